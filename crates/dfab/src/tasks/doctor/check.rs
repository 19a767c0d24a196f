//! What was measured, judged: each function makes one [`Check`] of plain values. Nothing is asked here.

use dfab_client::api::{NEWEST_API, OLDEST_API};
use dfab_map::observed::EngineInfo;
use dfab_tunnel::{Error, Stage, Way};
use serde_json::{Value, json};

use super::look::{Disk, Facts, Kind};
use crate::failure::chain;

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What, in one word of JSON.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was measured, or why nothing was.
    pub evidence: String,
    /// What to do about it: a command, or a line of a configuration file.
    pub fix: Option<String>,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// As it should be.
    Ok,
    /// It works, and something is worth a look.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be checked, because of another check.
    Skipped,
}

impl Status {
    /// Returns the word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

impl Check {
    /// As it should be.
    pub fn ok(name: &'static str, evidence: impl Into<String>) -> Self {
        Self { name, status: Status::Ok, evidence: evidence.into(), fix: None }
    }

    /// Works, and should be looked at.
    pub fn warning(name: &'static str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Warning, evidence: evidence.into(), fix: Some(fix.into()) }
    }

    /// Does not work.
    pub fn failed(name: &'static str, evidence: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, status: Status::Failed, evidence: evidence.into(), fix: Some(fix.into()) }
    }

    /// Was not checked because of another.
    pub fn skipped(name: &'static str, because: impl std::fmt::Display) -> Self {
        Self { name, status: Status::Skipped, evidence: format!("because {because}"), fix: None }
    }

    /// Returns the row of the document. `host` is `None` for the local engine.
    pub fn row(&self, host: Option<&str>) -> Value {
        json!({
            "host": host, "check": self.name, "status": self.status.as_str(), "evidence": self.evidence,
            "fix": self.fix,
        })
    }
}

/// The checks of the way to a host, with the stage that each is about.
pub const WAY: [(&str, Stage); 5] = [
    ("dns", Stage::Lookup),
    ("tcp", Stage::Connect),
    ("ssh", Stage::Handshake),
    ("host_key", Stage::HostKey),
    ("login", Stage::Login),
];

/// The checks that need a login.
pub const INSIDE: [&str; 8] =
    ["socket", "rights", "engine", "forwarding", "socat", "docker", "clock", "disk"];

/// Judges a connection that failed: what came before the failure worked, what comes after cannot be checked.
/// `dns` is the check of the name.
pub fn refused(dns: Check, error: &Error) -> Vec<Check> {
    let stage = error.stage().unwrap_or(Stage::Connect);
    let evidence = chain(error).join(": ");
    let fix = error.hint().unwrap_or_else(|| "see the message".to_owned());
    let mut checks = Vec::new();
    for (name, own) in WAY {
        checks.push(match own {
            _ if own == stage => Check::failed(name, &evidence, &fix),
            Stage::Lookup => dns.clone(),
            _ if own > stage => Check::skipped(name, format!("{} failed", name_of(stage))),
            Stage::Connect => Check::ok(name, "the port takes connections"),
            Stage::Handshake => Check::ok(name, "an SSH server answers"),
            _ => Check::ok(name, "it is the known one"),
        });
    }
    checks.extend(INSIDE.map(|name| Check::skipped(name, format!("{} failed", name_of(stage)))));
    checks
}

fn name_of(stage: Stage) -> &'static str {
    WAY.iter().find(|(_, own)| *own == stage).map_or("ssh", |(name, _)| name)
}

/// Returns the command that installs a package there.
fn install(facts: &Facts, package: &str) -> String {
    let has = |words: &[&str]| facts.system.split_whitespace().any(|word| words.contains(&word));
    if has(&["debian", "ubuntu"]) {
        format!("sudo apt-get install {package}")
    } else if has(&["fedora", "rhel", "centos"]) {
        format!("sudo dnf install {package}")
    } else if has(&["alpine"]) {
        format!("sudo apk add {package}")
    } else if has(&["suse", "opensuse"]) {
        format!("sudo zypper install {package}")
    } else if has(&["arch"]) {
        format!("sudo pacman -S {package}")
    } else {
        format!("install the package `{package}` there")
    }
}

/// Returns the command that brings the engine to life.
fn start_engine(facts: &Facts) -> String {
    match (&facts.dockerd, facts.systemd) {
        (None, _) => "install the Docker engine there: https://docs.docker.com/engine/install/".to_owned(),
        (Some(_), true) => "sudo systemctl enable --now docker".to_owned(),
        (Some(program), false) => format!("start the engine there: `sudo {program}`"),
    }
}

/// Judges the engine's socket.
pub fn socket(facts: &Facts, path: &str) -> Check {
    match facts.kind {
        Kind::Socket => {
            Check::ok("socket", format!("{path} is there ({} {} {})", facts.mode, facts.owner, facts.group))
        }
        Kind::Other => Check::failed(
            "socket",
            format!("{path} is not a socket ({} {} {})", facts.mode, facts.owner, facts.group),
            "name the right path in `docker_base_url: unix:///PATH`",
        ),
        Kind::None => {
            let engine = match &facts.dockerd {
                Some(program) => format!("the engine is installed as {program}"),
                None => "no `dockerd` was found".to_owned(),
            };
            Check::failed(
                "socket",
                format!("{path} does not exist, or user `{}` may not see it; {engine}", facts.user),
                start_engine(facts),
            )
        }
    }
}

/// Judges the user's rights on the socket.
pub fn rights(facts: &Facts, path: &str) -> Check {
    let who = format!("user `{}` (groups {})", facts.user, facts.groups.join(", "));
    if facts.access {
        return Check::ok("rights", format!("{who} may read and write {path}"));
    }
    let owned = format!("{} {} {}", facts.mode, facts.owner, facts.group);
    let in_group = facts.groups.contains(&facts.group);
    let fix = if in_group {
        format!("sudo chmod g+rw {path}")
    } else if facts.group.is_empty() || facts.group == "root" {
        format!("sudo groupadd -f docker; sudo chgrp docker {path}; sudo usermod -aG docker {}", facts.user)
    } else {
        format!("sudo usermod -aG {} {}  (counts from the next login on)", facts.group, facts.user)
    };
    Check::failed("rights", format!("{who} may not use {path} ({owned})"), fix)
}

/// What else could lead to a socket where sshd does not.
fn others(facts: &Facts) -> Vec<&'static str> {
    [("socat", &facts.socat), ("docker system dial-stdio", &facts.docker)]
        .into_iter()
        .filter_map(|(name, found)| found.as_ref().map(|_| name))
        .collect()
}

/// Judges whether sshd forwards to the engine's socket. `probe` is how a `direct-streamlocal` stream ended, and
/// `answers` whether the engine answers at all. Only OpenSSH's server can be told to forward.
pub fn forwarding(
    facts: &Facts,
    server: &str,
    way: Way,
    probe: Result<std::time::Duration, &Error>,
    answers: bool,
) -> Check {
    let allow = if server.contains("OpenSSH") {
        "set `AllowStreamLocalForwarding yes` in /etc/ssh/sshd_config (and see `DisableForwarding` there), \
         then `sudo systemctl reload ssh`"
    } else {
        "use OpenSSH's server there"
    };
    let error = match probe {
        Ok(took) => {
            let text = format!("sshd forwards to the socket (direct-streamlocal, {} ms)", took.as_millis());
            return Check::ok("forwarding", text);
        }
        Err(error) => error,
    };
    let why = chain(error).join(": ");
    let others = others(facts);
    match (answers, others.first()) {
        // The engine answers another way, so that it is sshd which refuses.
        (true, Some(other)) if way != Way::Streamlocal => Check::warning(
            "forwarding",
            format!("sshd does not forward to Unix sockets; {other} is used instead, which takes longer"),
            allow,
        ),
        (true, _) => Check::failed("forwarding", "sshd does not forward to Unix sockets", allow),
        (false, Some(_)) if way != Way::Streamlocal => {
            Check::skipped("forwarding", "nothing answers on the socket")
        }
        // No other way was tried: what was found on the host tells sshd's refusal from the engine's.
        (false, _) => Check::failed("forwarding", why, error.hint().unwrap_or_else(|| allow.to_owned())),
    }
}

/// Judges whether sshd forwards to the engine's TCP port.
pub fn tcp_forwarding(address: &str, probe: Result<std::time::Duration, &Error>) -> Check {
    match probe {
        Ok(took) => Check::ok(
            "forwarding",
            format!("sshd forwards to {address} (direct-tcpip, {} ms)", took.as_millis()),
        ),
        Err(error) => Check::failed(
            "forwarding",
            chain(error).join(": "),
            format!(
                "see that the engine listens on {address} there, and that /etc/ssh/sshd_config has \
                 `AllowTcpForwarding yes` and no other `PermitOpen`"
            ),
        ),
    }
}

/// Judges socat. `forwards` says whether sshd leads to the socket itself.
pub fn socat(facts: &Facts, way: Way, forwards: bool) -> Check {
    let missing = "it is not installed";
    match (&facts.socat, way) {
        (Some(found), _) => Check::ok("socat", found.clone()),
        (None, Way::Socat) => Check::failed(
            "socat",
            format!("{missing}, and docker_tunnel asks for it"),
            install(facts, "socat"),
        ),
        (None, _) if forwards || way != Way::Auto => {
            Check::ok("socat", format!("{missing}, and not needed: there is another way to the socket"))
        }
        (None, _) => Check::warning(
            "socat",
            format!("{missing}, and sshd does not forward to the socket"),
            install(facts, "socat"),
        ),
    }
}

/// Judges the `docker` program. `needed` says whether the run goes through it.
pub fn docker(facts: &Facts, needed: bool) -> Check {
    match &facts.docker {
        Some(found) => Check::ok("docker", found.clone()),
        None if needed => Check::failed(
            "docker",
            "the `docker` program is not installed, and the settings ask for it",
            install(facts, "docker.io"),
        ),
        None => Check::ok("docker", "the `docker` program is not installed, and not needed"),
    }
}

/// Judges what an engine speaks. `oldest` is its `MinAPIVersion`.
pub fn engine(info: &EngineInfo, newest: Option<&str>, oldest: Option<&str>) -> Check {
    let show = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let range = match (oldest, newest) {
        (Some(oldest), Some(newest)) => format!(", which speaks {oldest} to {newest}"),
        (None, Some(newest)) => format!(", which speaks up to {newest}"),
        _ => String::new(),
    };
    Check::ok(
        "engine",
        format!(
            "Docker {}{range}; API {} is used (dfab speaks {} to {})",
            info.engine_version,
            show(info.api_version),
            show(OLDEST_API),
            show(NEWEST_API)
        ),
    )
}

/// Seconds from which on a clock is worth a look, and from which on things fail (TLS, signed tokens).
const CLOCK: (u64, u64) = (2, 60);

/// Judges the difference of the clocks, in seconds; positive is ahead of ours.
pub fn clock(difference: Option<i64>) -> Check {
    let fix = "sudo timedatectl set-ntp true";
    let Some(difference) = difference else {
        return Check::warning("clock", "`date -u +%s` printed no number there", fix);
    };
    let off = difference.unsigned_abs();
    let side = if difference < 0 { "behind" } else { "ahead of" };
    let text = format!(
        "{} {side} this machine's",
        crate::text::count(usize::try_from(off).unwrap_or(usize::MAX), "second")
    );
    match off {
        0 => Check::ok("clock", "no difference could be measured"),
        off if off < CLOCK.0 => Check::ok("clock", text),
        off if off < CLOCK.1 => Check::warning("clock", text, fix),
        _ => Check::failed("clock", text, fix),
    }
}

const MIB: u64 = 1024 * 1024;

/// Where an engine keeps its data unless it is told otherwise.
pub const DATA_ROOT: &str = "/var/lib/docker";

/// Judges the space where the engine keeps its data.
pub fn disk(root: &str, disk: &Disk) -> Check {
    let inodes = disk.free_inodes.map(|free| format!(", {free} inodes")).unwrap_or_default();
    let percent = (u128::from(disk.free) * 100).checked_div(u128::from(disk.size)).unwrap_or(0);
    let text = format!(
        "{} of {} free ({percent} %){inodes} at {root} (mounted at {})",
        bytes(disk.free),
        bytes(disk.size),
        disk.mount
    );
    let fix = "`docker system df` there shows what takes the space; `dfab docker.cleanup_images` and \
               `docker system prune` remove what is not used";
    if disk.free < 100 * MIB || disk.free_inodes.is_some_and(|free| free < 1000) {
        Check::failed("disk", text, fix)
    } else if disk.free < 1024 * MIB || percent < 5 {
        Check::warning("disk", text, fix)
    } else {
        Check::ok("disk", text)
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for next in &UNITS[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GOOD: &str = "epoch 1\nuser deploy\ngroups deploy docker\nsystem debian\nkind socket\naccess yes\n\
                        mode srw-rw----\nowner root\ngroup docker\nsocat /usr/bin/socat 1.7.4\n\
                        docker /usr/bin/docker 20.10.24\ndockerd /usr/sbin/dockerd\nsystemd yes\n";

    /// The facts of a good host with some lines replaced; an empty one takes the line away.
    fn facts(changes: &[(&str, &str)]) -> Facts {
        let lines = GOOD.lines().filter_map(|line| {
            match changes.iter().find(|(name, _)| line.split(' ').next() == Some(*name)) {
                Some((_, "")) => None,
                Some((name, value)) => Some(format!("{name} {value}\n")),
                None => Some(format!("{line}\n")),
            }
        });
        Facts::read(&lines.collect::<String>()).unwrap()
    }

    fn shown(check: &Check) -> String {
        let fix = check.fix.as_deref().map(|fix| format!(" => {fix}")).unwrap_or_default();
        format!("{} {}: {}{fix}", check.status.as_str(), check.name, check.evidence)
    }

    const PATH: &str = "/var/run/docker.sock";

    #[test]
    fn a_socket_and_the_rights_on_it_are_judged_apart() {
        for (changes, expected) in [
            (
                &[][..],
                [
                    "ok socket: /var/run/docker.sock is there (srw-rw---- root docker)",
                    "ok rights: user `deploy` (groups deploy, docker) may read and write /var/run/docker.sock",
                ],
            ),
            (
                &[("user", "guest"), ("groups", "guest"), ("access", "no")],
                [
                    "ok socket: /var/run/docker.sock is there (srw-rw---- root docker)",
                    "failed rights: user `guest` (groups guest) may not use /var/run/docker.sock (srw-rw---- root docker) \
                 => sudo usermod -aG docker guest  (counts from the next login on)",
                ],
            ),
            (
                &[("mode", "srw-------"), ("access", "no")],
                [
                    "ok socket: /var/run/docker.sock is there (srw------- root docker)",
                    "failed rights: user `deploy` (groups deploy, docker) may not use /var/run/docker.sock \
                 (srw------- root docker) => sudo chmod g+rw /var/run/docker.sock",
                ],
            ),
            (
                &[("groups", "deploy"), ("group", "root"), ("access", "no")],
                [
                    "ok socket: /var/run/docker.sock is there (srw-rw---- root root)",
                    "failed rights: user `deploy` (groups deploy) may not use /var/run/docker.sock (srw-rw---- root root) \
                 => sudo groupadd -f docker; sudo chgrp docker /var/run/docker.sock; sudo usermod -aG docker deploy",
                ],
            ),
        ] {
            let facts = facts(changes);
            assert_eq!([shown(&socket(&facts, PATH)), shown(&rights(&facts, PATH))], expected);
        }
    }

    #[test]
    fn a_missing_socket_gets_the_command_that_makes_it() {
        for (changes, expected) in [
            (&[("kind", "none")][..], "installed as /usr/sbin/dockerd => sudo systemctl enable --now docker"),
            (&[("kind", "none"), ("systemd", "")], "=> start the engine there: `sudo /usr/sbin/dockerd`"),
            (&[("kind", "none"), ("dockerd", "")], "=> install the Docker engine there: "),
            (&[("kind", "other")], "is not a socket (srw-rw---- root docker) => name the right path"),
        ] {
            let shown = shown(&socket(&facts(changes), PATH));
            assert!(shown.contains(expected), "`{shown}` should have `{expected}`");
        }
    }

    #[test]
    fn sshd_is_blamed_only_where_the_engine_answers_another_way() {
        let error = Error::Socket {
            host: "h".into(),
            path: PATH.into(),
            why: "refused".into(),
            fix: Some("set `AllowStreamLocalForwarding yes`".into()),
        };
        let nothing = facts(&[("socat", ""), ("docker", "")]);
        for (facts, way, probe, answers, expected) in [
            (
                &facts(&[]),
                Way::Auto,
                Ok(Duration::from_millis(2)),
                true,
                "ok forwarding: sshd forwards to the socket (direct-streamlocal, 2 ms)",
            ),
            (
                &facts(&[]),
                Way::Auto,
                Err(&error),
                true,
                "warning forwarding: sshd does not forward to Unix sockets; socat is used",
            ),
            (&facts(&[("socat", "")]), Way::Auto, Err(&error), true, "docker system dial-stdio is used"),
            (&facts(&[]), Way::Streamlocal, Err(&error), true, "failed forwarding: sshd does not forward"),
            (&facts(&[]), Way::Auto, Err(&error), false, "skipped forwarding: because nothing answers"),
            (&nothing, Way::Auto, Err(&error), false, "failed forwarding: cannot reach socket"),
        ] {
            let check = forwarding(facts, "SSH-2.0-OpenSSH_9.2p1", way, probe, answers);
            assert!(shown(&check).contains(expected), "`{}` should have `{expected}`", shown(&check));
            let names_the_line =
                check.fix.as_deref().is_some_and(|fix| fix.contains("`AllowStreamLocalForwarding yes`"));
            assert_eq!(names_the_line, matches!(check.status, Status::Warning | Status::Failed));
        }
        let other = forwarding(&facts(&[]), "SSH-2.0-dropbear_2022.83", Way::Auto, Err(&error), true);
        assert!(shown(&other).ends_with("=> use OpenSSH's server there"), "{}", shown(&other));
    }

    #[test]
    fn programs_are_asked_for_only_where_they_are_needed() {
        let none = facts(&[("socat", ""), ("docker", "")]);
        let fedora = facts(&[("socat", ""), ("system", "rocky rhel centos fedora")]);
        let unknown = facts(&[("socat", ""), ("system", "plan9")]);
        for (check, expected) in [
            (socat(&facts(&[]), Way::Auto, true), "ok socat: /usr/bin/socat 1.7.4"),
            (socat(&none, Way::Auto, true), "ok socat: it is not installed, and not needed"),
            (socat(&none, Way::Auto, false), "=> sudo apt-get install socat"),
            (socat(&fedora, Way::Socat, true), "docker_tunnel asks for it => sudo dnf install socat"),
            (socat(&unknown, Way::Auto, false), "=> install the package `socat` there"),
            (docker(&facts(&[]), true), "ok docker: /usr/bin/docker 20.10.24"),
            (docker(&none, false), "ok docker: the `docker` program is not installed, and not needed"),
            (docker(&none, true), "=> sudo apt-get install docker.io"),
        ] {
            assert!(shown(&check).contains(expected), "`{}` should have `{expected}`", shown(&check));
        }
    }

    #[test]
    fn what_lies_behind_a_failure_is_skipped_because_of_it() {
        let dns = Check::ok("dns", "10.0.0.1");
        let key = Error::Login {
            host: "web1".into(),
            user: "deploy".into(),
            tried: vec!["key `/k`: refused".into()],
            offered: "publickey".into(),
        };
        let checks = refused(dns.clone(), &key);
        let statuses: Vec<_> = checks.iter().map(|check| (check.name, check.status.as_str())).collect();
        assert_eq!(
            statuses[..5],
            [("dns", "ok"), ("tcp", "ok"), ("ssh", "ok"), ("host_key", "ok"), ("login", "failed")]
        );
        assert!(checks[4].evidence.contains("key `/k`: refused") && checks[4].fix.is_some());
        assert!(checks[5..].iter().all(|check| check.evidence == "because login failed"), "{checks:?}");
        assert_eq!(checks.len(), WAY.len() + INSIDE.len());
        let dead = Error::Timeout {
            host: "h".into(),
            doing: "connecting to port 22".into(),
            after: Duration::from_secs(1),
        };
        let statuses: Vec<_> = refused(dns, &dead).iter().map(|check| check.status).collect();
        assert_eq!(statuses[..3], [Status::Ok, Status::Failed, Status::Skipped]);
    }

    #[test]
    fn clocks_and_disks_are_judged_by_their_numbers() {
        for (difference, expected) in [
            (Some(0), "ok clock: no difference could be measured"),
            (Some(-1), "ok clock: 1 second behind this machine's"),
            (Some(7), "warning clock: 7 seconds ahead of this machine's => sudo timedatectl set-ntp true"),
            (
                Some(-3600),
                "failed clock: 3600 seconds behind this machine's => sudo timedatectl set-ntp true",
            ),
            (None, "warning clock: `date -u +%s` printed no number there => sudo timedatectl set-ntp true"),
        ] {
            assert_eq!(shown(&clock(difference)), expected);
        }
        for (free, size, inodes, expected) in [
            (
                20_000,
                40_000,
                Some(50_000),
                "ok disk: 19.5 GiB of 39.1 GiB free (50 %), 50000 inodes at /d (mounted at /)",
            ),
            (900, 40_000, None, "warning disk: 900.0 MiB of 39.1 GiB free (2 %) at /d (mounted at /) => "),
            (50, 40_000, None, "failed disk: 50.0 MiB of 39.1 GiB free (0 %)"),
            (20_000, 40_000, Some(3), "failed disk: 19.5 GiB of 39.1 GiB free (50 %), 3 inodes"),
            (0, 0, None, "failed disk: 0.0 KiB of 0.0 KiB free (0 %)"),
        ] {
            let found = Disk { mount: "/".into(), free: free * MIB, size: size * MIB, free_inodes: inodes };
            let shown = shown(&disk("/d", &found));
            assert!(shown.starts_with(expected), "`{shown}` should start with `{expected}`");
        }
    }
}
