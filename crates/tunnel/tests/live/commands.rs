//! Remote commands.

use std::sync::Arc;
use std::time::Duration;

use dfab_tunnel::options::Question;
use dfab_tunnel::{Command, Error, Exit, Pty, Secret, Session, Sudo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{PATIENCE, Sshd, User, enabled, until};

#[tokio::test(flavor = "multi_thread")]
async fn output_status_and_signal_come_back_apart() {
    if !enabled("output_status_and_signal_come_back_apart") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let finished = session.output(&Command::line("echo out; echo err >&2; exit 3")).await.unwrap();
    assert_eq!(finished.exit, Exit::Status(3));
    assert_eq!((finished.stdout.as_slice(), finished.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
    let killed = session.output(&Command::line("kill -KILL $$")).await.unwrap();
    assert_eq!(killed.exit, Exit::Signal("KILL".into()));
    let missing = session.exec("no-such-program").await.unwrap().success().await.unwrap_err();
    assert!(missing.to_string().contains("ended with status 127"), "{missing}");
    let wrapped = Command::line("echo \"$A $PWD\"").env("A", "it's $x").dir("/").shell("/bin/sh -c");
    assert_eq!(session.output(&wrapped).await.unwrap().text(), "it's $x /");
    let tty = session.output(&Command::line("tty; stty size").pty(Pty::default())).await.unwrap();
    assert!(tty.text().starts_with("/dev/pts/") && tty.text().ends_with("24 80"), "{}", tty.text());
    let none = session.output(&Command::line("tty")).await.unwrap();
    assert_eq!(none.text(), "not a tty");
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_fed_and_output_streams_while_it_runs() {
    if !enabled("input_is_fed_and_output_streams_while_it_runs") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let mut process = session.exec("cat").await.unwrap();
    let (mut stdin, mut stdout) = (process.stdin.take().unwrap(), process.stdout.take().unwrap());
    for n in 0..5 {
        stdin.write_all(format!("line {n}\n").as_bytes()).await.unwrap();
        let mut line = [0; 7];
        stdout.read_exact(&mut line).await.unwrap();
        assert_eq!(line, format!("line {n}\n").as_bytes());
    }
    // More than all buffers hold, both ways at once.
    let feed = tokio::spawn(async move {
        for _ in 0..200 {
            stdin.write_all(&[7; 64 * 1024]).await.unwrap();
        }
    });
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).await.unwrap();
    feed.await.unwrap();
    assert_eq!(rest.len(), 200 * 64 * 1024);
    assert!(process.wait().await.unwrap().is_success());
}

fn running(marker: &str) -> bool {
    let output = std::process::Command::new("pgrep").args(["-f", marker]).output().unwrap();
    !output.stdout.is_empty()
}

async fn gone(marker: &str) {
    until(&format!("`{marker}` has ended"), || !running(marker)).await;
}

async fn begun(marker: &str) {
    until(&format!("`{marker}` runs"), || running(marker)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_end_when_their_time_is_up_or_nobody_waits() {
    if !enabled("commands_end_when_their_time_is_up_or_nobody_waits") {
        return;
    }
    let sshd = Sshd::start("");
    let session = Session::connect(sshd.options()).await.unwrap();
    let number = 41_000_000 + std::process::id();
    let marker = format!("sleep {number}");
    let command = Command::line(&marker).timeout(Duration::from_millis(500));
    let error = tokio::time::timeout(PATIENCE, session.output(&command)).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    gone(&marker).await;
    let process = session.start(&Command::line(&marker)).await.unwrap();
    drop(process);
    gone(&marker).await;
    // What was started by the command ends with it.
    let process = session.start(&Command::line(format!("{marker} & wait"))).await.unwrap();
    assert_eq!(process.cancel(PATIENCE).await.unwrap(), Exit::Signal("TERM".into()));
    gone(&marker).await;
    // One that does not listen to `TERM`. `KILL` is waited for, however short the grace.
    let stubborn = format!("trap '' TERM; while :; do {marker} & wait; done");
    let process = session.start(&Command::line(stubborn)).await.unwrap();
    begun(&marker).await;
    let exit = process.cancel(Duration::from_millis(1)).await.unwrap();
    assert_eq!(exit, Exit::Signal("KILL".into()));
    gone(&marker).await;
    // One that does, with a child that does not: the group is known without its leader.
    let orphan = format!("(trap '' TERM; echo stubborn; exec {marker}) & wait");
    let mut process = session.start(&Command::line(orphan)).await.unwrap();
    process.stdout.as_mut().unwrap().read_exact(&mut [0; 9]).await.unwrap();
    let exit = process.cancel(Duration::from_secs(1)).await.unwrap();
    assert!(matches!(exit, Exit::Signal(_)), "{exit:?}");
    gone(&marker).await;
    // Closing the connection ends what still runs, and so does a terminal that hangs up.
    let _running = session.start(&Command::line(&marker)).await.unwrap();
    session.close().await.unwrap();
    gone(&marker).await;
    let session = Session::connect(sshd.options()).await.unwrap();
    drop(session.start(&Command::line(&marker).pty(Pty::default())).await.unwrap());
    gone(&marker).await;
    // A command line of its own, as a user that is not root: the server itself sends the signal.
    let Some(user) = User::create("sig") else { return };
    let mut options = sshd.options();
    options.user = user.name.clone();
    let session = Session::connect(options).await.unwrap();
    let mut process = session.exec(&format!("echo begun; exec {marker}")).await.unwrap();
    // What is about to become the shell forgets signals.
    process.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).await.unwrap();
    assert_eq!(process.cancel(PATIENCE).await.unwrap(), Exit::Signal("TERM".into()));
    session.close().await.unwrap();
}

/// A `sudo` that behaves like the real one: prompts on standard error, reads a line, gives three
/// tries. The real one is not on this machine.
const SUDO: &str = r#"#!/bin/sh
[ "$1 $2 $3" = "-S -p sudo password:" ] || { echo "wrong call: $*" >&2; exit 64; }
shift 3
while [ "$1" != -- ]; do shift; done
shift
[ -e "$0.open" ] && exec "$@"
for try in 1 2 3; do
  printf '%s' 'sudo password:' >&2
  IFS= read -r line || exit 1
  [ "$line" = hunter2 ] && exec "$@"
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2
exit 1
"#;

#[tokio::test(flavor = "multi_thread")]
async fn sudo_is_answered_and_the_password_stays_secret() {
    if !enabled("sudo_is_answered_and_the_password_stays_secret") {
        return;
    }
    let programs = tempfile::tempdir().unwrap();
    let sudo = programs.path().join("sudo");
    std::fs::write(&sudo, SUDO).unwrap();
    crate::sshd::set_mode(&sudo, 0o755);
    let sshd = Sshd::start(&format!("SetEnv PATH={}:/usr/bin:/bin", programs.path().display()));
    let session = Session::connect(sshd.options()).await.unwrap();
    let with = |password: &str| Sudo { password: Some(password.into()), ..Sudo::default() };
    let command = |sudo| Command::line("cat; echo err >&2").sudo(sudo);

    let mut process = session.start(&command(with("hunter2"))).await.unwrap();
    process.stdin.as_mut().unwrap().write_all(b"for the command\n").await.unwrap();
    let finished = process.finish().await.unwrap();
    assert_eq!((finished.text().as_str(), finished.stderr.as_slice()), ("for the command", &b"err\n"[..]));

    let error = session.start(&command(with("wrong"))).await.unwrap_err();
    assert!(matches!(error, Error::Prompt { .. }), "{error:?}");

    // Wrong at first, then asked; with a terminal the questions come with the output.
    let mut options = sshd.options();
    options.auth.prompt = Some(Arc::new(|_: &Question| Some(Secret::new("hunter2"))));
    let asking = Session::connect(options).await.unwrap();
    let finished = asking.start(&command(with("wrong"))).await.unwrap().finish().await.unwrap();
    assert_eq!(finished.exit, Exit::Status(0));
    let tty = Command::line("echo done").sudo(with("hunter2")).pty(Pty::default());
    assert!(asking.output(&tty).await.unwrap().text().ends_with("done"));

    let mut wrong = sshd.options();
    wrong.auth.prompt = Some(Arc::new(|_: &Question| Some(Secret::new("wrong"))));
    let refused = Session::connect(wrong).await.unwrap();
    let error = refused.start(&command(with("wrong"))).await.unwrap_err();
    assert!(error.to_string().contains("3 incorrect password attempts"), "{error}");

    std::fs::write(programs.path().join("sudo.open"), "").unwrap();
    let mut process = session.start(&command(Sudo::default())).await.unwrap();
    process.stdin.as_mut().unwrap().write_all(b"no password needed").await.unwrap();
    assert_eq!(process.finish().await.unwrap().text(), "no password needed");
}
