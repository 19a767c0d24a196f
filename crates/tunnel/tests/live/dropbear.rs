//! The other server. Runs when dropbear is installed (Debian package `dropbear-bin`) or `DFAB_DROPBEAR`
//! names it, and as root: dropbear looks for keys in the home directory of a user.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dfab_tunnel::options::{Keepalive, KeyFile, Proxy, UnknownHost};
use dfab_tunnel::{ConnectOptions, Error, Exit, HostKeyProblem, Session, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::ladder::{greet, programs};
use crate::login::works;
use crate::sshd::{Bulk, Echo, PATIENCE, User, enabled, free_port, keygen, set_mode};
use crate::streams::{download, upload};

struct Dropbear {
    child: Child,
    port: u16,
    home: tempfile::TempDir,
    user: User,
}

impl Dropbear {
    /// Starts one for a user of its own, with this in the user's name.
    fn start(tag: &str) -> Option<Self> {
        let program = std::env::var_os("DFAB_DROPBEAR").map(PathBuf::from);
        let program = program.unwrap_or_else(|| "/usr/sbin/dropbear".into());
        if !program.exists() {
            eprintln!("SKIPPED: no dropbear (Debian package dropbear-bin, or DFAB_DROPBEAR=/path)");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let user = User::with_home(tag, home.path())?;
        set_mode(home.path(), 0o755);
        keygen(&home.path().join("user_key"), "ed25519", "");
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        let public = home.path().join("user_key.pub");
        std::fs::copy(public, home.path().join(".ssh/authorized_keys")).unwrap();
        let path = home.path().to_str().unwrap();
        assert!(Command::new("chown").args(["-R", &user.name, path]).status().unwrap().success());
        // Its own format; the program stands beside it, or where Debian has it.
        let key = home.path().join("host_key");
        let maker = program.with_file_name("dropbearkey");
        let maker = if maker.exists() { maker } else { "/usr/bin/dropbearkey".into() };
        let made = Command::new(maker).args(["-t", "ed25519", "-f"]).arg(&key).stdout(Stdio::null()).status();
        assert!(made.unwrap().success());
        let port = free_port();
        let child = Command::new(program)
            .args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-P", &format!("{path}/pid"), "-r"])
            .arg(key)
            .stdin(Stdio::null())
            .stderr(std::fs::File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, port, home, user })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn options(&self) -> ConnectOptions {
        let mut options = ConnectOptions::new("127.0.0.1", &self.user.name);
        options.port = self.port;
        options.auth.keys = vec![KeyFile::named(self.path("user_key"))];
        options.host_keys.unknown = UnknownHost::Accept;
        options
    }

    /// Makes a key that may log in, with options as authorized_keys has them, and returns options that use it.
    fn authorize(&self, name: &str, kind: &str, passphrase: &str, restrictions: &str) -> ConnectOptions {
        keygen(&self.path(name), kind, passphrase);
        let public = std::fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        let file = self.path(".ssh/authorized_keys");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(file, format!("{text}{restrictions} {public}").replace("\n ", "\n")).unwrap();
        let mut options = self.options();
        options.auth.keys = vec![KeyFile::named(self.path(name))];
        options
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default());
        }
        let _ = Command::new("pkill").args(["-KILL", "-P", &self.child.id().to_string()]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_serves_commands_streams_and_keepalives() {
    if !enabled("dropbear_serves_commands_streams_and_keepalives") {
        return;
    }
    // Dropbear 2022.83 now and then ends itself by an assertion (`!channel->sent_close` in
    // common-channel.c), when a program's output ends in the moment in which its channel is closed. That is
    // its own; anything else is ours.
    for round in 1.. {
        let Some(dropbear) = Dropbear::start("db") else { return };
        let log = dropbear.path("log");
        let dropbear = std::sync::Arc::new(dropbear);
        let Err(failed) = tokio::spawn(serves(std::sync::Arc::clone(&dropbear))).await else { return };
        let log = std::fs::read_to_string(log).unwrap();
        assert!(round < 12 && log.contains("Failed assertion (common-channel.c"), "{failed}\n{log}");
        eprintln!("dropbear ended itself in round {round}");
    }
}

async fn serves(dropbear: std::sync::Arc<Dropbear>) {
    let mut options = dropbear.options();
    options.keepalive = Some(Keepalive { interval: Duration::from_secs(1), count_max: 8 });
    let session = Session::connect(options).await.unwrap();
    assert!(session.server().contains("dropbear"), "{}", session.server());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(session.is_alive());
    let command = dfab_tunnel::Command::line("echo out; echo err >&2; exit 3");
    let finished = session.output(&command).await.unwrap();
    assert_eq!((finished.exit, finished.stderr.as_slice()), (Exit::Status(3), &b"err\n"[..]));
    // Ending a command ends nothing else, whatever process group this server gives it.
    let process = session.start(&dfab_tunnel::Command::line("sleep 1000")).await.unwrap();
    let exit = process.cancel(PATIENCE).await.unwrap();
    assert_eq!(exit, Exit::Signal("TERM".into()));
    assert_eq!(session.exec("echo on").await.unwrap().success().await.unwrap().text(), "on");
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let echo = Echo::start(folder.path().join("echo"), "hello\n");
    set_mode(&echo.path, 0o777);
    let mut stream = session.open_unix(echo.path()).await.unwrap();
    eprintln!("dropbear: way {:?}", session.way_to(echo.path()));
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello\nping");
    const LENGTH: u64 = 20 * 1024 * 1024;
    let bulk = Bulk::start(folder.path().join("bulk"), LENGTH);
    set_mode(&bulk.path, 0o777);
    tokio::join!(download(&session, bulk.path(), LENGTH), upload(&session, bulk.path(), LENGTH));
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbear_lets_in_by_password_and_by_keys_of_all_kinds() {
    if !enabled("dropbear_lets_in_by_password_and_by_keys_of_all_kinds") {
        return;
    }
    let Some(dropbear) = Dropbear::start("dl") else { return };
    let mut options = dropbear.options();
    options.auth.keys.clear();
    options.auth.password = Some("wrong".into());
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("password: refused"), "{error}");
    options.auth.password = Some(User::PASSWORD.into());
    works(options).await;
    for (kind, passphrase) in [("ecdsa", ""), ("rsa", ""), ("ed25519", "open sesame")] {
        let mut options = dropbear.authorize(kind, kind, passphrase, "");
        // Also the passphrase of a locked key.
        options.auth.password = (!passphrase.is_empty()).then(|| passphrase.into());
        works(options).await;
    }
    // A way there through itself.
    let mut options = dropbear.options();
    options.proxy = Proxy::Jump(vec![dropbear.options(), dropbear.options()]);
    works(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_key_of_dropbear_is_checked() {
    if !enabled("the_host_key_of_dropbear_is_checked") {
        return;
    }
    let Some(dropbear) = Dropbear::start("dk") else { return };
    let mut options = dropbear.options();
    options.host_keys.learn_to = Some(dropbear.path("known"));
    works(options.clone()).await;
    options.host_keys.files = vec![dropbear.path("known")];
    options.host_keys.unknown = UnknownHost::Refuse;
    works(options.clone()).await;
    let learnt = std::fs::read_to_string(dropbear.path("known")).unwrap();
    keygen(&dropbear.path("other"), "ed25519", "");
    let other = std::fs::read_to_string(dropbear.path("other.pub")).unwrap();
    let (name, key) = learnt.split_once(' ').unwrap();
    let refused = async |text: String| {
        std::fs::write(dropbear.path("known"), text).unwrap();
        match Session::connect(options.clone()).await.unwrap_err() {
            Error::HostKey { problem, .. } => *problem,
            error => panic!("{error}"),
        }
    };
    assert!(matches!(refused(format!("elsewhere {key}")).await, HostKeyProblem::Unknown { .. }));
    assert!(matches!(refused(format!("{name} {other}")).await, HostKeyProblem::Changed { .. }));
    assert!(matches!(refused(format!("{learnt}@revoked * {key}")).await, HostKeyProblem::Revoked { .. }));
}

/// What sshd has `AllowStreamLocalForwarding no` for, dropbear has for each key.
#[tokio::test(flavor = "multi_thread")]
async fn where_dropbear_does_not_forward_the_other_ways_are_found() {
    if !enabled("where_dropbear_does_not_forward_the_other_ways_are_found") {
        return;
    }
    let Some(dropbear) = Dropbear::start("dw") else { return };
    let folder = tempfile::tempdir().unwrap();
    set_mode(folder.path(), 0o755);
    let echo = Echo::start(folder.path().join("echo"), "hello\n");
    set_mode(&echo.path, 0o777);
    for (name, found, way) in [
        ("socat", &["socat", "docker"][..], Some(Way::Socat)),
        ("dial", &["docker"], Some(Way::DialStdio)),
        ("none", &[], None),
    ] {
        let programs = programs(found);
        let shell = programs.path().join("shell");
        let script = "#!/bin/sh\nPATH=${0%/*}\nexport PATH\neval \"$SSH_ORIGINAL_COMMAND\"\n";
        std::fs::write(&shell, script).unwrap();
        set_mode(&shell, 0o755);
        let restrictions = format!("no-port-forwarding,command=\"{}\"", shell.display());
        let options = dropbear.authorize(name, "ed25519", "", &restrictions);
        let session = Session::connect(options).await.unwrap();
        match (session.open_unix(echo.path()).await, way) {
            (Ok(stream), Some(_)) => assert_eq!(greet(stream).await.unwrap(), "hello\nping", "{name}"),
            (Err(Error::Socket { why, fix, .. }), None) => {
                assert!(why.contains("neither socat nor the docker command was found"), "{why}");
                assert!(why.contains("dropbear") && !why.contains("sshd_config"), "{why}");
                assert_eq!(fix.as_deref(), Some("install socat there"));
            }
            (result, way) => panic!("{name}: {result:?} instead of {way:?}"),
        }
        assert_eq!(session.way_to(echo.path()), way, "{name}");
        session.close().await.unwrap();
    }
}
