//! Tasks about a host itself: addresses, socat (clients-tasks §7.7, §8.3–§8.5).

use std::net::{Ipv4Addr, Ipv6Addr};

use dfab_tunnel::quote;
use futures_util::FutureExt;
use serde_json::json;

use crate::cli::Arguments;
use crate::failure::{Failure, Kind, Result};
use crate::machine::Machine;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
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

/// Returns the addresses of an interface, as `ip` prints them one a line.
async fn addresses(run: &Run, family: &str, interface: &str) -> Result<String> {
    let line = format!("ip -o {family} addr show dev {}", quote::shell(interface));
    let output = machine(run).succeed(&line, b"").await?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

/// Returns the first address of a family (`inet`, `inet6`) in the output of `ip -o addr`; link-local
/// IPv6 addresses count only where there is no other.
fn first_address(output: &str, family: &str) -> Option<String> {
    let mut link_local = None;
    for line in output.lines() {
        let mut words = line.split_whitespace();
        if !words.any(|word| word == family) {
            continue;
        }
        let address = words.next()?.split('/').next()?.to_owned();
        if line.contains("scope link") && family == "inet6" {
            link_local.get_or_insert(address);
        } else {
            return Some(address);
        }
    }
    link_local
}

fn missing(interface: &str, family: &str) -> Failure {
    Failure::new(Kind::Task, format!("interface {interface} has no {family} address"))
}

async fn get_ip(run: &Run, arguments: &Arguments) -> Result<Report> {
    let interface = arguments.text("interface_name").unwrap_or("docker0");
    let output = addresses(run, "-4", interface).await?;
    let address = first_address(&output, "inet").and_then(|text| text.parse::<Ipv4Addr>().ok());
    let address = address.ok_or_else(|| missing(interface, "IPv4"))?;
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
    let output = addresses(run, "-6", interface).await?;
    let address = first_address(&output, "inet6").and_then(|text| text.parse::<Ipv6Addr>().ok());
    let address = address.ok_or_else(|| missing(interface, "IPv6"))?;
    let shown = if expand.unwrap_or(false) { expanded(address) } else { address.to_string() };
    run.result_line(&shown);
    let rows = vec![json!({"host": run.host_text(), "interface": interface, "address": shown})];
    Ok(Report { rows: Some(rows), ..Report::done("docker.get_ipv6") })
}

fn expanded(address: Ipv6Addr) -> String {
    address.segments().map(|segment| format!("{segment:04x}")).join(":")
}

async fn reset_socat(run: &Run, arguments: &Arguments) -> Result<Report> {
    let all = arguments.flag("use_sudo");
    // `pgrep` ends with 1 when it finds nothing, which is no failure here.
    let list = if all { "pgrep -x socat" } else { "pgrep -x -u \"$(id -u)\" socat" };
    let output = machine(run).run(list, b"").await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
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
        let kill = if all { format!("sudo -n {kill}") } else { kill };
        machine(run).succeed(&kill, b"").await?;
    }
    Ok(Report { rows: Some(rows), ..Report::done("docker.reset_socat") })
}

async fn fetch_socat(run: &Run, arguments: &Arguments) -> Result<Report> {
    let remote = arguments.text("remote").unwrap_or(SOCAT);
    let given = arguments.text("local").unwrap_or_default();
    let local = run.directory.join(run.variables.expand_home(given));
    if !run.options.dry_run {
        machine(run).download(remote, &local).await?;
    }
    run.result_line(&format!("download: {given} <- {remote}"));
    let rows = vec![json!({"host": run.host_text(), "local": given, "remote": remote})];
    Ok(Report { rows: Some(rows), ..Report::done("docker.fetch_socat") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_address_of_a_family_is_found() {
        let output = "\
2: eth0    inet 192.0.2.10/24 brd 192.0.2.255 scope global eth0\\       valid_lft forever preferred_lft forever
2: eth0    inet6 fe80::1/64 scope link \\       valid_lft forever preferred_lft forever
2: eth0    inet6 2001:db8::10/64 scope global \\       valid_lft forever preferred_lft forever
";
        assert_eq!(first_address(output, "inet").as_deref(), Some("192.0.2.10"));
        assert_eq!(first_address(output, "inet6").as_deref(), Some("2001:db8::10"));
        assert_eq!(first_address("", "inet"), None);
        let only_link = output.lines().nth(1).unwrap();
        assert_eq!(first_address(only_link, "inet6").as_deref(), Some("fe80::1"));
    }

    #[test]
    fn addresses_are_expanded_to_eight_groups() {
        for (address, expected) in [
            ("::1", "0000:0000:0000:0000:0000:0000:0000:0001"),
            ("2001:db8::", "2001:0db8:0000:0000:0000:0000:0000:0000"),
        ] {
            assert_eq!(expanded(address.parse().unwrap()), expected);
        }
    }
}
