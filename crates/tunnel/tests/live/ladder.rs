//! Ways to a Unix socket when sshd does not forward to it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfab_tunnel::options::{Event, Events};
use dfab_tunnel::{Error, Session, Stream, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Echo, Sshd, User, enabled, set_mode};

pub async fn greet(mut stream: Stream) -> std::io::Result<String> {
    stream.write_all(b"ping").await?;
    stream.shutdown().await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// A folder with the programs that a host is to have.
pub fn programs(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    for name in ["sh", "id", "ls", "cat", "sleep"].iter().chain(names) {
        let target = folder.path().join(name);
        if *name == "docker" {
            // Does what `docker system dial-stdio` does.
            let script = "#!/bin/sh\n[ \"$1 $3 $4\" = '-H system dial-stdio' ] || exit 64\n\
                          exec /usr/bin/socat -t 30 STDIO UNIX-CONNECT:\"${2#unix://}\"\n";
            std::fs::write(&target, script).unwrap();
            set_mode(&target, 0o755);
            continue;
        }
        let found =
            ["/usr/bin", "/bin"].iter().map(|dir| Path::new(dir).join(name)).find(|path| path.exists());
        std::os::unix::fs::symlink(found.unwrap_or_else(|| PathBuf::from(name)), &target).unwrap();
    }
    folder
}

struct Host {
    sshd: Sshd,
    echo: Echo,
    session: Session,
    events: Arc<Mutex<Vec<Event>>>,
    _programs: tempfile::TempDir,
}

async fn host(lines: &str, names: &[&str]) -> Host {
    let programs = programs(names);
    let sshd = Sshd::start(&format!("SetEnv PATH={}\n{lines}", programs.path().display()));
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let mut options = sshd.options();
    let told = Arc::clone(&events);
    options.events = Events::to(move |event| told.lock().unwrap().push(event.clone()));
    let session = Session::connect(options).await.unwrap();
    Host { sshd, echo, session, events, _programs: programs }
}

fn why(error: &Error) -> (String, String) {
    match error {
        Error::Socket { why, fix, .. } => (why.clone(), fix.clone().unwrap_or_default()),
        error => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_forwarding_socat_is_used_and_told() {
    if !enabled("without_forwarding_socat_is_used_and_told") {
        return;
    }
    for lines in ["AllowStreamLocalForwarding no", "DisableForwarding yes"] {
        let host = host(lines, &["socat", "docker"]).await;
        let stream = host.session.open_unix(host.echo.path()).await.unwrap();
        assert_eq!(greet(stream).await.unwrap(), "hello\nping");
        assert_eq!(host.session.way_to(host.echo.path()), Some(Way::Socat));
        let events = host.events.lock().unwrap().clone();
        assert!(
            matches!(&events[0], Event::Fallback { way: Way::Socat, why, .. } if why.contains("AllowStreamLocalForwarding")),
            "{events:?}"
        );
        assert!(
            matches!(&events[1], Event::StreamCommand { command, .. } if command.starts_with("socat STDIO UNIX-CONNECT:")),
            "{events:?}"
        );
        // Remembered: no second look around.
        greet(host.session.open_unix(host.echo.path()).await.unwrap()).await.unwrap();
        assert_eq!(host.events.lock().unwrap().len(), 3);
        host.session.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_socat_docker_dials() {
    if !enabled("without_socat_docker_dials") {
        return;
    }
    let host = host("AllowStreamLocalForwarding no", &["docker"]).await;
    let stream = host.session.open_unix(host.echo.path()).await.unwrap();
    assert_eq!(greet(stream).await.unwrap(), "hello\nping");
    assert_eq!(host.session.way_to(host.echo.path()), Some(Way::DialStdio));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nothing_left_the_error_says_what_to_do() {
    if !enabled("with_nothing_left_the_error_says_what_to_do") {
        return;
    }
    let host = host("AllowStreamLocalForwarding no", &[]).await;
    let (why, fix) = why(&host.session.open_unix(host.echo.path()).await.unwrap_err());
    assert!(why.contains("neither socat nor the docker command was found"), "{why}");
    assert!(fix.contains("AllowStreamLocalForwarding yes"), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_way_is_not_left() {
    if !enabled("a_fixed_way_is_not_left") {
        return;
    }
    let host = host("", &["docker"]).await;
    let path = host.echo.path();
    let (reason, _) = why(&host.session.open_unix_by(path, Way::Socat).await.unwrap_err());
    assert_eq!(reason, "socat was not found");
    let stream = host.session.open_unix_by(path, Way::DialStdio).await.unwrap();
    assert_eq!(greet(stream).await.unwrap(), "hello\nping");
    let stream = host.session.open_unix_by(path, Way::Streamlocal).await.unwrap();
    assert_eq!(greet(stream).await.unwrap(), "hello\nping");
    let closed = self::host("AllowStreamLocalForwarding no", &["socat"]).await;
    let (reason, _) =
        why(&closed.session.open_unix_by(closed.echo.path(), Way::Streamlocal).await.unwrap_err());
    assert!(reason.contains("no other way is wanted"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_that_do_not_answer_are_told_apart() {
    if !enabled("sockets_that_do_not_answer_are_told_apart") {
        return;
    }
    let host = host("", &["socat"]).await;
    let missing = host.sshd.path("missing");
    let (reason, _) = why(&host.session.open_unix(missing.to_str().unwrap()).await.unwrap_err());
    assert!(reason.contains("no such socket"), "{reason}");
    let file = host.sshd.path("authorized_keys");
    let (reason, _) = why(&host.session.open_unix(file.to_str().unwrap()).await.unwrap_err());
    assert_eq!(reason, "it is not a socket");
    // A socket without its program, as after a crash of the engine.
    let dead = host.sshd.path("dead");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let (reason, fix) = why(&host.session.open_unix(dead.to_str().unwrap()).await.unwrap_err());
    assert!(
        reason.contains("Connection refused") && fix.contains("systemctl status docker"),
        "{reason}; {fix}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_outside_the_group_is_told_so() {
    if !enabled("a_user_outside_the_group_is_told_so") {
        return;
    }
    let Some(user) = User::create("out") else { return };
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    set_mode(&echo.path, 0o660);
    let mut options = sshd.options();
    options.user = user.name.clone();
    let session = Session::connect(options).await.unwrap();
    let (reason, fix) = why(&session.open_unix(echo.path()).await.unwrap_err());
    assert!(reason.contains(&format!("user `{}` is not in group `root`", user.name)), "{reason}");
    assert!(fix.contains(&format!("usermod -aG root {}", user.name)), "{fix}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_first_byte_is_explained() {
    if !enabled("an_end_before_the_first_byte_is_explained") {
        return;
    }
    let host = host("AllowStreamLocalForwarding no", &["socat"]).await;
    greet(host.session.open_unix(host.echo.path()).await.unwrap()).await.unwrap();
    // The way is known; then the engine goes.
    let path = host.echo.path.clone();
    drop(host.echo);
    std::fs::remove_file(&path).unwrap();
    let stream = host.session.open_unix(path.to_str().unwrap()).await.unwrap();
    let error = Error::from_io("x", greet(stream).await.unwrap_err());
    let (reason, _) = why(&error);
    assert!(reason.contains("No such file or directory"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_at_a_time_is_enough_for_commands() {
    if !enabled("one_session_at_a_time_is_enough_for_commands") {
        return;
    }
    let host = host("MaxSessions 1\nAllowStreamLocalForwarding no", &["socat"]).await;
    let session = Arc::new(host.session);
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..12 {
        let session = Arc::clone(&session);
        tasks.spawn(async move {
            let process = session.exec(&format!("sleep 0.05; echo {n}")).await.unwrap();
            assert_eq!(process.success().await.unwrap().text(), n.to_string());
        });
    }
    tasks.join_all().await;
    // The ladder too: the look around ends before the stream begins.
    assert_eq!(greet(session.open_unix(host.echo.path()).await.unwrap()).await.unwrap(), "hello\nping");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_session_in_vain_is_told_why() {
    if !enabled("what_waits_for_a_session_in_vain_is_told_why") {
        return;
    }
    let sshd = Sshd::start("MaxSessions 1");
    let mut options = sshd.options();
    options.open_timeout = Duration::from_secs(8);
    let session = Session::connect(options).await.unwrap();
    let first = session.exec("cat").await.unwrap();
    let error = session.exec("echo").await.unwrap_err();
    assert!(error.to_string().contains("MaxSessions"), "{error}");
    drop(first);
    session.exec("echo").await.unwrap().success().await.unwrap();
    // Streams over `direct-streamlocal` do not count.
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let _held = session.exec("cat").await.unwrap();
    assert_eq!(greet(session.open_unix(echo.path()).await.unwrap()).await.unwrap(), "hello\nping");
}

#[tokio::test(flavor = "multi_thread")]
async fn exec_channels_stay_within_their_number() {
    if !enabled("exec_channels_stay_within_their_number") {
        return;
    }
    let host = host("AllowStreamLocalForwarding no\nLogLevel DEBUG1", &["socat"]).await;
    let path = host.echo.path().to_owned();
    let session = Arc::new(host.session);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (session, path) = (Arc::clone(&session), path.clone());
        tasks.spawn(async move {
            assert_eq!(greet(session.open_unix(&path).await.unwrap()).await.unwrap(), "hello\nping");
        });
    }
    tasks.join_all().await;
    let refused = host.sshd.log().matches("no more sessions").count();
    assert_eq!(refused, 0, "sshd had to refuse sessions");
}
