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

/// All of it lies in libssh2 when somebody has room for it: neither the socket nor the caller says then that more waits.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_arrived_is_handed_on_without_anything_else_happening() {
    if !enabled("what_has_arrived_is_handed_on_without_anything_else_happening") {
        return;
    }
    let sshd = Sshd::start("");
    let mut options = sshd.options();
    options.keepalive = None;
    let session = Session::connect(options).await.unwrap();
    // So much widens the window; then less than that, and more than one turn of the owner.
    const MUCH: usize = 20_000_000;
    let command = format!("head -c {MUCH} /dev/zero; head -c 2000000 /dev/zero; echo done >&2");
    let mut process = session.exec(&command).await.unwrap();
    let (mut stdout, mut stderr) = (process.stdout.take().unwrap(), process.stderr.take().unwrap());
    stdout.read_exact(&mut vec![0; MUCH]).await.unwrap();
    let mut text = [0; 5];
    stderr.read_exact(&mut text).await.unwrap();
    // Only a test of less is made where the end takes longer to arrive.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(stdout);
    let exit = tokio::time::timeout(PATIENCE, process.exit()).await.expect("the end is behind the output");
    assert_eq!(exit.unwrap(), Exit::Status(0));
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

/// Not a test: what `a_command_outlives_a_killed_caller_only_when_it_is_deaf` kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "is started by another test"]
async fn holds_commands_until_it_is_killed() {
    let Ok(lines) = std::env::var("DFAB_TEST_HOLD") else { return };
    let words: Vec<&str> = lines.lines().collect();
    let [port, key, known, number] = words[..] else { panic!("unexpected words {words:?}") };
    let mut options = dfab_tunnel::ConnectOptions::new("127.0.0.1", crate::sshd::whoami());
    options.port = port.parse().unwrap();
    options.auth.keys = vec![dfab_tunnel::options::KeyFile::named(key)];
    options.host_keys.files = vec![known.into()];
    let session = Session::connect(options).await.unwrap();
    let terminal = Command::line(format!("sleep {number}1")).pty(Pty::default());
    let reader = Command::line(format!("cat; exec cat /dev/null {number}2"));
    let writer = Command::line(format!("while echo {number}3; do sleep 0.1; done"));
    let deaf = Command::line(format!("exec sleep {number}4"));
    let mut held = Vec::new();
    for command in [terminal, reader, writer, deaf] {
        held.push(session.start(&command).await.unwrap());
    }
    eprintln!("held");
    std::future::pending::<()>().await;
}

/// What sshd does when the connection is gone and nobody sends signals any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_outlives_a_killed_caller_only_when_it_is_deaf() {
    if !enabled("a_command_outlives_a_killed_caller_only_when_it_is_deaf") {
        return;
    }
    let sshd = Sshd::start("");
    let number = 42_000_000 + std::process::id();
    let hold = [
        sshd.port.to_string(),
        sshd.path("user_key").display().to_string(),
        sshd.known_hosts().display().to_string(),
        number.to_string(),
    ];
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "commands::holds_commands_until_it_is_killed", "--ignored", "--nocapture"])
        .env("DFAB_TEST_HOLD", hold.join("\n"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufRead::lines(std::io::BufReader::new(caller.stderr.take().unwrap()));
    assert!(said.any(|line| line.unwrap() == "held"), "the commands did not start");
    // `Child::kill` sends `KILL`.
    caller.kill().unwrap();
    caller.wait().unwrap();
    for (what, mark) in [("terminal", 1), ("reader", 2), ("writer", 3)] {
        until(&format!("the command with a {what} has ended"), || !running(&format!("{number}{mark}"))).await;
    }
    let deaf =
        std::process::Command::new("pgrep").args(["-f", &format!("^sleep {number}4")]).output().unwrap();
    let deaf = String::from_utf8(deaf.stdout).unwrap();
    assert!(!deaf.is_empty(), "sshd ended it: say so in the crate's documentation");
    std::process::Command::new("kill").arg(deaf.trim()).status().unwrap();
}

/// Takes the right to use sudo away again.
struct Sudoer(std::path::PathBuf);

impl Drop for Sudoer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_real_sudo_is_answered() {
    if !enabled("the_real_sudo_is_answered") {
        return;
    }
    if !std::path::Path::new("/usr/bin/sudo").exists() {
        eprintln!("SKIPPED: no sudo (Debian package sudo)");
        return;
    }
    let Some(user) = User::create("su") else { return };
    let sudoer = Sudoer(format!("/etc/sudoers.d/{}", user.name).into());
    let allow = |what: &str| {
        // Each command is to ask: no time of grace, and no lecture for new users.
        let name = &user.name;
        let rule =
            format!("Defaults:{name} timestamp_timeout=0, lecture=never\n{name} ALL=(ALL:ALL) {what}\n");
        std::fs::write(&sudoer.0, rule).unwrap();
        crate::sshd::set_mode(&sudoer.0, 0o440);
    };
    allow("ALL");
    let sshd = Sshd::start("");
    let mut options = sshd.options();
    options.user = user.name.clone();
    let session = Session::connect(options).await.unwrap();
    let with = |password: &str| Sudo { password: Some(password.into()), ..Sudo::default() };
    for pty in [None, Some(Pty::default())] {
        let mut command = Command::line("id -un").sudo(with(User::PASSWORD));
        if let Some(pty) = pty {
            command = command.pty(pty);
        }
        let finished = session.output(&command).await.unwrap();
        assert!(finished.text().ends_with("root"), "{finished:?}");
        assert!(!String::from_utf8_lossy(&finished.stdout).contains(User::PASSWORD), "the password shows");
    }
    let mut process = session.start(&Command::line("cat").sudo(with(User::PASSWORD))).await.unwrap();
    process.stdin.as_mut().unwrap().write_all(b"for the command").await.unwrap();
    assert_eq!(process.finish().await.unwrap().text(), "for the command");
    let other = Sudo { user: Some("nobody".into()), ..with(User::PASSWORD) };
    assert_eq!(session.output(&Command::line("id -un").sudo(other)).await.unwrap().text(), "nobody");
    let error = session.start(&Command::line("id").sudo(with("wrong"))).await.unwrap_err();
    assert!(matches!(error, Error::Sudo { .. }), "{error:?}");
    let error = session.start(&Command::line("id").sudo(Sudo::default())).await.unwrap_err();
    assert!(matches!(error, Error::Prompt { .. }), "{error:?}");
    allow("NOPASSWD: ALL");
    assert_eq!(session.output(&Command::line("id -u").sudo(Sudo::default())).await.unwrap().text(), "0");
    allow("/bin/true");
    let error = session.start(&Command::line("id").sudo(with(User::PASSWORD))).await.unwrap_err();
    assert!(error.to_string().contains("is not allowed to execute"), "{error}");
    session.close().await.unwrap();
}

/// A `sudo` that behaves like the real one: prompts on standard error, reads a line, gives three
/// tries; for what the real one does only after seconds, or not for everybody who runs these tests.
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

    // Not given is another thing than given and wrong.
    let error = session.start(&command(with("wrong"))).await.unwrap_err();
    assert!(matches!(error, Error::Sudo { .. }), "{error:?}");
    let error = session.start(&command(Sudo::default())).await.unwrap_err();
    assert!(matches!(error, Error::Prompt { .. }), "{error:?}");

    // Wrong at first, then asked; with a terminal the questions come with the output.
    let mut options = sshd.options();
    options.auth.prompt = Some(Arc::new(|question: &Question| {
        assert_eq!(question.wrong, Some(Secret::new("wrong")));
        Some(Secret::new("hunter2"))
    }));
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

    // A person may take longer than the host may, whatever runs meanwhile.
    const LIMIT: Duration = Duration::from_secs(20);
    let mut slow = sshd.options();
    slow.auth_timeout = LIMIT;
    slow.auth.prompt = Some(Arc::new(|_: &Question| {
        std::thread::sleep(LIMIT + Duration::from_secs(1));
        Some(Secret::new("hunter2"))
    }));
    let slow = Session::connect(slow).await.unwrap();
    let limited = Command::line("echo done").sudo(Sudo::default()).timeout(LIMIT);
    let id = Command::line("id").sudo(Sudo::default());
    let (started, limited) = tokio::join!(slow.start(&id), slow.output(&limited));
    assert!(started.is_ok(), "{started:?}");
    assert_eq!(limited.unwrap().text(), "done");

    std::fs::write(programs.path().join("sudo.open"), "").unwrap();
    let mut process = session.start(&command(Sudo::default())).await.unwrap();
    process.stdin.as_mut().unwrap().write_all(b"no password needed").await.unwrap();
    assert_eq!(process.finish().await.unwrap().text(), "no password needed");
}
