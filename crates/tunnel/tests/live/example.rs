//! The example of the crate, run as its documentation says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::sshd::{Echo, Sshd, enabled, until, whoami};

/// Builds the example as this test was built, and returns its program.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // `target/debug/deps/live-…`
    let profile = test.ancestors().nth(2).unwrap();
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "-q", "-p", "dfab-tunnel", "--example", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    build.arg("--target-dir").arg(profile.parent().unwrap());
    if profile.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success(), "the example does not build");
    profile.join("examples").join(name)
}

fn home(sshd: &Sshd, folder: &Path) {
    let ssh = folder.join(".ssh");
    std::fs::create_dir(&ssh).unwrap();
    std::fs::copy(sshd.path("user_key"), ssh.join("id_ed25519")).unwrap();
    std::fs::copy(sshd.known_hosts(), ssh.join("known_hosts")).unwrap();
}

/// A plain server behind a Unix socket, a real sshd, and no Docker anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_forwards_a_remote_socket() {
    if !enabled("the_example_forwards_a_remote_socket") {
        return;
    }
    let program = example("forward_unix_socket");
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let folder = tempfile::tempdir().unwrap();
    home(&sshd, folder.path());
    let start = |socket: &str| {
        Command::new(&program)
            .arg(format!("{}@127.0.0.1:{}", whoami(), sshd.port))
            .arg(socket)
            .env_clear()
            .env("HOME", folder.path())
            .env("USER", "somebody-else")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let mut forward = start(echo.path());
    let mut line = String::new();
    BufReader::new(forward.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (address, rest) = line.split_once(" -> ").unwrap_or_else(|| {
        let mut text = String::new();
        forward.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        panic!("`{line}`: {text}")
    });
    assert_eq!(rest.trim(), format!("{} on 127.0.0.1", echo.path()));
    for n in 0..3 {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("round {n}").as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text, format!("hello\nround {n}"));
    }
    assert!(Command::new("kill").args(["-INT", &forward.id().to_string()]).status().unwrap().success());
    assert!(forward.wait().unwrap().success());
    until("the connection has ended on the host", || sshd.descendants().is_empty()).await;

    // What is wrong with the socket is said before anybody waits.
    let refused = start("/no/such/socket").wait_with_output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("/no/such/socket") && text.contains("hint: "), "{text}");
}
