//! `dfab doctor`: each fault is found where it is, with what was measured and the fix; what depends on it is skipped
//! because of it, and all else is still checked.

use std::fs;

use dfab_tests::{Host, Outcome, Project, lab_or_skip};
use serde_json::Value;

/// What a check should say: its name, its status, a part of its evidence, a part of its fix.
type Expected<'a> = (&'a str, &'a str, &'a str, &'a str);

fn examine(project: &Project, host: &Host<'_>, words: &[&str]) -> Outcome {
    project.dfab_in(host.lab, &[&["--output=json", "doctor"], words].concat()).run()
}

#[track_caller]
fn expect(outcome: &Outcome, code: i32, expected: &[Expected<'_>]) {
    assert_eq!(outcome.status.code(), Some(code), "{outcome}");
    let json = outcome.json();
    let rows = json["rows"].as_array().unwrap_or_else(|| panic!("no rows:\n{outcome}"));
    assert_eq!(rows.len(), 13, "{outcome}");
    let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
    for (name, status, evidence, fix) in expected {
        let row = rows
            .iter()
            .find(|row| row["check"] == *name)
            .unwrap_or_else(|| panic!("no `{name}`:\n{outcome}"));
        assert_eq!(text(row, "status"), *status, "{name}:\n{outcome}");
        assert!(text(row, "evidence").contains(evidence), "{name} should say `{evidence}`:\n{outcome}");
        assert!(text(row, "fix").contains(fix), "{name} should be mended by `{fix}`:\n{outcome}");
    }
    // Nothing else is wrong than what was expected to be. How full this machine's disk is, is its own affair.
    for row in rows.iter().filter(|row| row["check"] != "disk") {
        let as_expected = expected.iter().any(|(name, ..)| row["check"] == *name);
        assert!(as_expected || row["status"] == "ok", "{row}:\n{outcome}");
    }
}

#[test]
fn a_healthy_host_passes_every_check_over_one_connection() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    let logins = host.logins();
    let outcome = examine(&project, &host, &["host1"]);
    let address = format!("{}:22", host.address);
    expect(
        &outcome,
        0,
        &[
            ("tcp", "ok", &address, ""),
            ("ssh", "ok", "SSH-2.0-OpenSSH", ""),
            ("host_key", "ok", "ssh-ed25519 SHA256:", ""),
            ("login", "ok", "user `deploy` by key", ""),
            ("socket", "ok", "/var/run/docker.sock is there (srw", ""),
            ("rights", "ok", "docker", ""),
            ("engine", "ok", &host.engine, ""),
            ("forwarding", "ok", "direct-streamlocal", ""),
            ("docker", "ok", "/usr/bin/docker ", ""),
        ],
    );
    assert_eq!((logins.connections(), logins.accepted()), (1, 1), "{:?}", logins.lines());
    host.expect_no_leftovers();

    let shown = project.dfab_in(&lab, &["doctor", "host1"]).run().expect_code(0);
    assert!(shown.stdout.lines().all(|line| line.starts_with("[host1] ")), "{shown}");
    assert!(shown.stdout.contains("13 checks: "), "{shown}");
}

#[test]
fn each_fault_is_found_where_it_is() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    let address = &host.address;
    let skipped = |name, because| (name, "skipped", because, "");

    let outcome = examine(&project, &host, &["guest@host1"]);
    expect(
        &outcome,
        1,
        &[
            ("rights", "failed", "user `guest` (groups guest) may not use", "sudo usermod -aG docker guest"),
            skipped("engine", "because rights failed"),
            skipped("forwarding", "because rights failed"),
        ],
    );

    let refusing = format!("deploy@{address}:2222");
    let allow = "`AllowStreamLocalForwarding yes` in /etc/ssh/sshd_config";
    let outcome = examine(&project, &host, &[&refusing]);
    expect(&outcome, 0, &[("forwarding", "warning", "socat is used instead", allow)]);
    let outcome = examine(&project, &host, &["--set", "docker_tunnel=streamlocal", &refusing]);
    expect(
        &outcome,
        1,
        &[
            ("engine", "failed", "does not forward to Unix sockets", "AllowStreamLocalForwarding yes"),
            ("forwarding", "failed", "does not forward to Unix sockets", "AllowStreamLocalForwarding yes"),
        ],
    );

    host.run("mv /run/docker.sock /run/docker.sock.away");
    let outcome = examine(&project, &host, &["host1"]);
    host.run("mv /run/docker.sock.away /run/docker.sock");
    expect(
        &outcome,
        1,
        &[
            ("socket", "failed", "/var/run/docker.sock does not exist", "docker"),
            skipped("rights", "because socket failed"),
            skipped("engine", "because socket failed"),
            skipped("forwarding", "because socket failed"),
        ],
    );

    // The host's clock is this machine's; what its `date` says is not.
    host.run("printf '#!/bin/sh\\necho $(($(/usr/bin/date +%%s) + 3600))\\n' > /usr/local/bin/date; chmod +x /usr/local/bin/date");
    let outcome = examine(&project, &host, &["host1"]);
    host.run("rm /usr/local/bin/date");
    expect(
        &outcome,
        1,
        &[("clock", "failed", "seconds ahead of this machine's", "timedatectl set-ntp true")],
    );
    host.expect_no_leftovers();
}

#[test]
fn what_stands_before_the_login_is_told_apart() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    let behind = |because: &'static str, from: usize| -> Vec<Expected<'static>> {
        let names = [
            "tcp",
            "ssh",
            "host_key",
            "login",
            "socket",
            "rights",
            "engine",
            "forwarding",
            "socat",
            "docker",
            "clock",
            "disk",
        ];
        names[from..].iter().map(|name| (*name, "skipped", because, "")).collect()
    };
    let with = |first: Expected<'static>, rest: Vec<Expected<'static>>| [vec![first], rest].concat();

    let dead = format!("deploy@{}.250", host.address.rsplit_once('.').unwrap().0);
    let outcome = examine(&project, &host, &["-t", "2", &dead]);
    expect(&outcome, 1, &with(("tcp", "failed", ".250", "firewall"), behind("because tcp failed", 1)));

    let outcome = examine(&project, &host, &["no-such-host.invalid"]);
    let first = ("dns", "failed", "`no-such-host.invalid` has no address", "`HostName` in ~/.ssh/config");
    expect(&outcome, 1, &with(first, behind("because dns failed", 0)));

    let config = fs::read_to_string(lab.ssh_config()).unwrap();
    let own = |file: &str| project.path().join(file).display().to_string();
    let examine_with = |config: &str| {
        fs::write(project.path().join("ssh_config"), config).unwrap();
        let words = ["--ssh-config-path", "ssh_config", "--output=json", "doctor", "host1"];
        project.dfab(&words).run()
    };
    fs::write(own("known_hosts"), "").unwrap();
    let outcome =
        examine_with(&config.replace(&lab.known_hosts().display().to_string(), &own("known_hosts")));
    let first = ("host_key", "failed", "is not known (ssh-ed25519, SHA256:", "ssh-keyscan");
    expect(&outcome, 1, &with(first, behind("because host_key failed", 3)));

    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f", &own("key")])
        .status();
    assert!(made.expect("`ssh-keygen` starts").success());
    let outcome = examine_with(&config.replace(&lab.client_key().display().to_string(), &own("key")));
    let first = ("login", "failed", "refused the login of `deploy`", "-i");
    expect(&outcome, 1, &with(first, behind("because login failed", 4)));
}
