//! Saving and loading an image of 1 GB over SSH, against `ssh host docker save | cat` and
//! `cat | ssh host docker load` (clients-tasks §8.9), and the memory that it takes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::{Bench, median};
use crate::interrupt;
use crate::lab::read_on;
use crate::run::Runs as _;

const IMAGE: &str = "bench-transfer:1";

/// Bytes of the image's only layer. They are random: nothing on the way can make them less.
const SIZE: u64 = 1_000_000_000;

/// What a transfer may take, as a multiple of the time of `ssh`: 0.9 of its speed.
const LIMIT: f64 = 1.0 / 0.9;

/// What dfab may hold in memory at its highest, in MiB.
const MEMORY: f64 = 48.0;

impl Bench<'_> {
    /// Measures both ways, in turn with `ssh`.
    pub(super) fn image_transfer(&self) -> Result<()> {
        let folder = self.lab.folder.join("bench-images");
        fs::create_dir_all(&folder).context("cannot make a folder for the archives")?;
        let make = format!(
            "d=$(mktemp -d) && head -c {SIZE} /dev/urandom >$d/content && tar -C $d -c . | docker import - {IMAGE}; rm -r $d"
        );
        read_on(self.host, &["sh", "-c", &make]).context("the image cannot be made")?;
        let result = self.measured(&folder);
        let _ = fs::remove_dir_all(&folder);
        result
    }

    fn measured(&self, folder: &Path) -> Result<()> {
        let config = self.lab.ssh_config();
        let config = config.to_string_lossy();
        let reference = |line: &str| {
            let mut command = Command::new("sh");
            command.current_dir(folder).env("CONFIG", &*config).args(["-c", line]);
            command
        };
        let save = format!("ssh -F \"$CONFIG\" host1 docker save {IMAGE} | cat >ssh.tar");
        let load = "cat ssh.tar | ssh -F \"$CONFIG\" host1 docker load";
        let dfab = |arguments: &[&str]| {
            let mut command = Command::new(&self.dfab);
            command.current_dir(folder).args(["--ssh-config-path", &config, "-H", "host1"]).args(arguments);
            command
        };
        let (mut ssh_save, mut ssh_load, mut save_times, mut load_times) = (vec![], vec![], vec![], vec![]);
        let mut peaks = [0_f64; 2];
        for _ in 0..self.rounds {
            ssh_save.push(watched(reference(&save))?.0);
            let (seconds, peak) = watched(dfab(&["docker.save_image", IMAGE, "dfab.tar"]))?;
            save_times.push(seconds);
            peaks[0] = peaks[0].max(peak);
            for name in ["ssh.tar", "dfab.tar"] {
                let size = fs::metadata(folder.join(name)).with_context(|| format!("no `{name}`"))?.len();
                if size < SIZE {
                    bail!("`{name}` holds {size} bytes only");
                }
            }

            self.forget_image()?;
            ssh_load.push(watched(reference(load))?.0);
            self.forget_image()?;
            let (seconds, peak) = watched(dfab(&["docker.load_image", "dfab.tar", "--timeout", "600"]))?;
            load_times.push(seconds);
            peaks[1] = peaks[1].max(peak);
            // A round takes minutes on a slow disk; one that is cut off has still said something.
            let last = |times: &[f64]| times.last().copied().unwrap_or_default();
            eprintln!(
                "round: save {:.2} s (ssh {:.2} s), load {:.2} s (ssh {:.2} s)",
                last(&save_times),
                last(&ssh_save),
                last(&load_times),
                last(&ssh_load)
            );
        }
        println!("image of {} MB over SSH, speed against `ssh` itself", SIZE / 1_000_000);
        let [ssh_save, ssh_load] = [ssh_save, ssh_load].map(median);
        println!("  ssh host docker save | cat    {ssh_save:8.3} s");
        self.promise("docker.save_image", median(save_times), ssh_save, LIMIT);
        println!("  cat | ssh host docker load    {ssh_load:8.3} s");
        self.promise("docker.load_image", median(load_times), ssh_load, LIMIT);
        for (name, peak) in [("save", peaks[0]), ("load", peaks[1])] {
            let verdict = if peak < MEMORY { "" } else { "   MISSED" };
            println!(
                "  memory of dfab, {name:<13} {peak:8.1} MiB              promised {MEMORY:.0}{verdict}"
            );
            if peak >= MEMORY {
                self.missed.set(self.missed.get() + 1);
            }
        }
        Ok(())
    }

    /// Removes the image, and checks that it was there: each load has all of it to do.
    fn forget_image(&self) -> Result<()> {
        interrupt::check()?;
        read_on(self.host, &["docker", "rmi", IMAGE]).map(drop)
    }
}

/// Runs a command and returns the seconds it took, and the most memory in MiB that it held.
fn watched(mut command: Command) -> Result<(f64, f64)> {
    interrupt::check()?;
    let line = command.line();
    let started = Instant::now();
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().with_context(|| format!("cannot start `{line}`"))?;
    let mut peak = 0.0;
    let status = loop {
        // The kernel keeps the highest value: the last look sees all but the very end.
        peak = resident_peak(&child).unwrap_or(peak);
        if let Some(status) = child.try_wait().with_context(|| format!("cannot wait for `{line}`"))? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok((started.elapsed().as_secs_f64(), peak))
}

/// `VmHWM` of a process in MiB; `None` once it has ended.
fn resident_peak(child: &Child) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<f64>().ok()? / 1024.0)
}
