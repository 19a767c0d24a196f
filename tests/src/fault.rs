//! What goes wrong with a host in the middle of something, done from outside, and how it is mended.

use std::fs;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Host;

/// A fault of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its network link is down: packets go nowhere, and nobody says so.
    LinkDown,
    /// `sshd` and `dockerd` are stopped (SIGSTOP): the kernel still takes packets, nobody answers.
    Frozen,
    /// All processes of `sshd` are killed, the one that listens included.
    SshdKilled,
    /// The engine ends in order, and starts again.
    EngineRestarted,
}

/// A fault that is there until this value goes, also when the test fails.
pub struct Struck<'a> {
    host: &'a Host<'a>,
    fault: Fault,
}

impl Fault {
    /// All of them.
    pub const ALL: [Fault; 4] = [Fault::LinkDown, Fault::Frozen, Fault::SshdKilled, Fault::EngineRestarted];

    /// Makes it happen.
    pub fn strike<'a>(self, host: &'a Host<'a>) -> Struck<'a> {
        let struck = Struck { host, fault: self };
        match self {
            Fault::LinkDown => set_link(host, "down"),
            Fault::Frozen => signal(host, "STOP"),
            Fault::SshdKilled => drop(host.run("kill -KILL $(pgrep -x sshd)")),
            Fault::EngineRestarted => {
                // The same words as before, whatever they were.
                host.run(
                    "pid=$(cat /run/docker.pid)
                     cp /proc/$pid/cmdline /run/dockerd.words
                     kill -TERM $pid
                     while kill -0 $pid 2>/dev/null; do sleep 0.1; done
                     setsid xargs -0 -a /run/dockerd.words env >>/run/lab/host/dockerd.log 2>&1 </dev/null &",
                );
            }
        }
        struck
    }
}

impl Drop for Struck<'_> {
    fn drop(&mut self) {
        // A test that has failed must not fail once more here: what cannot be mended shows in the next test.
        if std::thread::panicking() {
            let mend = std::panic::AssertUnwindSafe(|| mend(self.host, self.fault));
            drop(std::panic::catch_unwind(mend));
        } else {
            mend(self.host, self.fault);
        }
    }
}

fn mend(host: &Host<'_>, fault: Fault) {
    match fault {
        Fault::LinkDown => set_link(host, "up"),
        Fault::Frozen => signal(host, "CONT"),
        Fault::SshdKilled => {
            host.run(
                "setsid /usr/sbin/sshd -D -e -f /run/lab/host/sshd_config >>/run/lab/host/sshd.log 2>&1 </dev/null &",
            );
        }
        Fault::EngineRestarted => {}
    }
    wait_until("sshd takes connections", || TcpStream::connect((host.address.as_str(), 22)).is_ok());
    wait_until("the engine answers", || {
        host.run("docker version >/dev/null 2>&1 && echo yes || true") == "yes"
    });
}

fn signal(host: &Host<'_>, name: &str) {
    host.run(&format!("kill -{name} $(pgrep -x sshd) $(cat /run/docker.pid)"));
}

fn set_link(host: &Host<'_>, state: &str) {
    let status = Command::new("ip").args(["link", "set", &host.link, state]).status();
    assert!(status.expect("`ip` starts").success(), "the link of {} cannot be set {state}", host.name);
}

/// Returns how many bytes this machine has sent to a host.
pub fn bytes_sent_to(host: &Host<'_>) -> u64 {
    let file = format!("/sys/class/net/{}/statistics/tx_bytes", host.link);
    let text = fs::read_to_string(&file).expect("a link counts its bytes");
    text.trim().parse().expect("it is a number")
}

/// Waits until something is so.
///
/// # Panics
///
/// When it is not so within two minutes.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
