//! `cargo xtask integration`: all tests of the workspace, the live ones in a lab made for them.

use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::lab::{Generation, Lab, Temporary, Wanted, bare, engine, setup};
use crate::project;
use crate::run::wait;

/// Arguments of `cargo xtask integration`.
#[derive(Args)]
pub struct IntegrationArgs {
    /// Use and keep the lab of this name (`cargo xtask lab up --hosts 4 --lab NAME`) instead of a new one
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// What to hand to `cargo test`, instead of `--workspace`
    #[arg(last = true)]
    test: Vec<String>,
}

/// Hosts of the lab: a web server and three application hosts.
const HOSTS: u8 = 4;

/// Runs the tests.
pub fn run(args: IntegrationArgs) -> Result<ExitCode> {
    setup::install_if_allowed()?;
    setup::check()?;
    let dfab = project::build_dfab(false)?;

    // Both wait for downloads most of the time.
    let (engines, bare) = std::thread::scope(|scope| {
        let bare = scope.spawn(|| bare::provide().map(drop));
        (engines(), bare.join().expect("making a root does not panic"))
    });
    if let Err(error) = &bare {
        eprintln!("SKIPPED: the set-up tasks are not tested on a bare host: {error:#}");
    }
    let wanted =
        Wanted { name: "integration".to_owned(), hosts: HOSTS, engines: engines.clone(), bare: bare.is_ok() };
    let temporary = Temporary::up_or_keep(args.keep.as_deref(), wanted)?;
    let lab = &temporary.lab;
    print!("{}", lab.describe());

    let mut test = project::cargo();
    test.args(["test", "--no-fail-fast"]);
    if args.test.is_empty() {
        test.arg("--workspace");
    } else {
        test.args(&args.test);
    }
    // `DFAB_LIVE` lets the tests of `dfab-tunnel` start servers of their own on the loopback address.
    // `DFAB_LIVE_ENGINES`: one engine of each generation for the tests of `dfab-client`, which run before the suite.
    test.env("DFAB_LIVE_ENGINES", sockets(lab));
    test.env("DFAB_LAB", &lab.folder).env("DFAB_BIN", &dfab).env("DFAB_LIVE", "1").stdout(Stdio::piped());
    let mut child = test.spawn().context("cannot start `cargo test`")?;
    let output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    let (sum, status) = std::thread::scope(|scope| {
        let sum = scope.spawn(|| {
            let mut sum = Sum::default();
            for line in output.lines().map_while(Result::ok) {
                println!("{line}");
                sum.add(&line);
            }
            sum
        });
        let status = wait(&mut child);
        (sum.join().expect("printing lines does not panic"), status)
    });
    let status = status?;
    println!("\n{} passed, {} failed", sum.passed, sum.failed);
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The sockets of one engine of each generation, separated by commas.
fn sockets(lab: &Lab) -> String {
    let mut seen = Vec::new();
    let mut sockets = Vec::new();
    for host in lab.hosts.iter().filter(|host| host.machine.is_running()) {
        if !seen.contains(&host.engine) {
            seen.push(host.engine);
            sockets.push(host.socket());
        }
    }
    sockets.join(",")
}

/// Each generation once, and 20.10 for the rest. One that cannot be had is left out loudly.
fn engines() -> Vec<Generation> {
    let mut engines = Vec::new();
    for generation in Generation::ALL {
        match engine::Engine::provide(generation) {
            Ok(_) => engines.push(generation),
            Err(error) => eprintln!("SKIPPED: engine {generation} is not tested: {error:#}"),
        }
    }
    engines.resize(usize::from(HOSTS), Generation::V20);
    engines
}

/// The sum of what the test binaries report.
#[derive(Default, Debug, PartialEq, Eq)]
struct Sum {
    passed: u64,
    failed: u64,
}

impl Sum {
    /// Reads a line such as `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        for part in result.split([';', '.']) {
            let mut words = part.split_ascii_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn results_of_all_binaries_are_summed() {
        let mut sum = Sum::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
        ] {
            sum.add(line);
        }
        assert_eq!(sum, Sum { passed: 5, failed: 4 });
    }
}
