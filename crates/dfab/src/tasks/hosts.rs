//! Tasks about a host itself: addresses, socat (clients-tasks §7.7, §8.3–§8.5).

use dfab_tasks::host::{Error, network};
use dfab_tunnel::quote;
use futures_util::FutureExt;
use serde_json::json;

use crate::cli::Arguments;
use crate::failure::{Failure, Kind, Result};
use crate::machine::Machine;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::remote;
use crate::report::Report;
use crate::run::Run;

const INTERFACE: Parameter =
    Parameter::optional("interface_name", ParameterKind::Text, "docker0", "name of the interface");

/// Where socat is put to and fetched from.
const SOCAT: &str = "/usr/local/bin/socat";

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "docker",
        name: "fetch_socat",
        aliases: &[],
        about: "Copy the socat binary from the host.",
        help: "Runs on the first host only. Into a directory it goes as `socat`.",
        parameters: &[&[
            Parameter::required("local", "file or directory on this machine"),
            Parameter::optional("remote", ParameterKind::Text, SOCAT, "path on the host"),
        ]],
        words: None,
        scope: Scope::FirstHost,
        run: |run, arguments| fetch_socat(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "get_ip",
        aliases: &[],
        about: "Print the IPv4 address of an interface.",
        help: "",
        parameters: &[&[INTERFACE]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| get_ip(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "get_ipv6",
        aliases: &[],
        about: "Print the IPv6 address of an interface.",
        help: "",
        parameters: &[&[
            INTERFACE,
            Parameter::optional("expand", ParameterKind::Bool, "false", "all eight groups of four digits"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| get_ipv6(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "reset_socat",
        aliases: &[],
        about: "Terminate socat processes on the host.",
        help: "Those of the login user only, unless sudo is asked for.",
        parameters: &[&[Parameter::optional(
            "use_sudo",
            ParameterKind::Bool,
            "false",
            "those of all users, as root",
        )]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| reset_socat(run, arguments).boxed_local(),
    },
];

fn machine(run: &Run) -> Machine {
    Machine::new(run.host.as_ref(), &run.engines.sessions)
}

/// What a question about an interface has come to.
fn asked<T>(answer: std::result::Result<Option<T>, Error>, interface: &str, family: &str) -> Result<T> {
    match answer {
        Ok(address) => address.ok_or_else(|| missing(interface, family)),
        Err(error @ Error::Interface(_)) => Err(Failure::new(Kind::Task, error.to_string())),
        Err(error) => {
            let text = format!("failed to ask for the address of interface {interface}");
            Err(Failure::new(Kind::Connection, text).because(&error))
        }
    }
}

fn missing(interface: &str, family: &str) -> Failure {
    Failure::new(Kind::Task, format!("interface {interface} has no {family} address"))
}

async fn get_ip(run: &Run, arguments: &Arguments) -> Result<Report> {
    let interface = arguments.text("interface_name").unwrap_or("docker0");
    let address = asked(network::get_ip4_address(&machine(run), interface).await, interface, "IPv4")?;
    run.result_line(&address.to_string());
    let rows = vec![json!({"host": run.host_text(), "interface": interface, "address": address.to_string()})];
    Ok(Report { rows: Some(rows), ..Report::done("docker.get_ip") })
}

async fn get_ipv6(run: &Run, arguments: &Arguments) -> Result<Report> {
    let given = arguments.text("interface_name").unwrap_or("docker0");
    // `get_ipv6:eth0:True` is documented for `get_ipv6:eth0,True` (D-36).
    let (interface, expand) = match given.split_once(':') {
        Some((name, flag)) => (name, crate::cli::arguments::boolean(flag)),
        None => (given, arguments.boolean("expand")),
    };
    let address = asked(network::get_ip6_address(&machine(run), interface).await, interface, "IPv6")?;
    let shown = if expand.unwrap_or(false) { network::expanded(address) } else { address.to_string() };
    run.result_line(&shown);
    let rows = vec![json!({"host": run.host_text(), "interface": interface, "address": shown})];
    Ok(Report { rows: Some(rows), ..Report::done("docker.get_ipv6") })
}

async fn reset_socat(run: &Run, arguments: &Arguments) -> Result<Report> {
    let all = arguments.flag("use_sudo");
    let list = if all { "pgrep -x socat" } else { "pgrep -x -u \"$(id -u)\" socat" };
    // It ends with 1 when it finds nothing, which is no failure here; without `pgrep` nothing is known.
    let list = format!("{list} || [ $? -eq 1 ]");
    // Not the user's shell, which may read lines in another way.
    let output = machine(run).succeed(&format!("sh -c {}", quote::shell(&list)), b"").await?;
    let text = String::from_utf8_lossy(&output).into_owned();
    let ids: Vec<&str> =
        text.split_whitespace().filter(|id| id.chars().all(|c| c.is_ascii_digit())).collect();
    let rows = vec![json!({"host": run.host_text(), "ids": ids})];
    if ids.is_empty() {
        run.result_line("No socat processes found.");
    } else if run.options.dry_run {
        run.result_line(&format!("would remove process(es) with id(s) {}", ids.join(", ")));
    } else {
        run.result_line(&format!("Removing process(es) with id(s) {}.", ids.join(", ")));
        let kill = format!("kill {}", ids.join(" "));
        match &run.host {
            // Sudo may want a password, which stands on no command line.
            Some(host) if all => drop(remote::run_line(run, host, &kill, true).await?),
            None if all => drop(machine(run).succeed(&format!("sudo -n {kill}"), b"").await?),
            _ => drop(machine(run).succeed(&kill, b"").await?),
        }
    }
    let would_change = run.options.dry_run && !ids.is_empty();
    Ok(Report { rows: Some(rows), would_change, ..Report::done("docker.reset_socat") })
}

async fn fetch_socat(run: &Run, arguments: &Arguments) -> Result<Report> {
    let remote = arguments.text("remote").unwrap_or(SOCAT);
    let given = arguments.text("local").unwrap_or_default();
    let local = run.directory.join(run.variables.expand_home(given));
    let dry_run = run.options.dry_run;
    if dry_run {
        run.result_line(&format!("would download: {given} <- {remote}"));
    } else {
        machine(run).download(remote, &local).await?;
        run.result_line(&format!("download: {given} <- {remote}"));
    }
    let rows = vec![json!({"host": run.host_text(), "local": given, "remote": remote})];
    Ok(Report { rows: Some(rows), would_change: dry_run, ..Report::done("docker.fetch_socat") })
}
