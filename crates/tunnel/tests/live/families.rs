//! Hosts with IPv6, IPv4 or both, some of which answer at one of their addresses only.
//!
//! The addresses behind a name and their order are the system's, so each test runs once more as a process of its own
//! in a network and a file system where `/etc/hosts`, `/etc/gai.conf` and both loopback addresses are as it needs them.
//! A machine where that cannot be made fails the test: nothing here is skipped once live tests run.

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use dfab_tunnel::options::{Proxy, UnknownHost};
use dfab_tunnel::{Behind, ConnectOptions, Error, Forward, LocalPorts, Session, Stage};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Echo, PATIENCE, Sshd, enabled, free_port};
use crate::streams::Blackhole;

/// The name of a host with one address of each family.
const BOTH: &str = "both.example";

/// Says in the process inside that it is there.
const INSIDE: &str = "DFAB_TEST_INSIDE";

/// What the first of two addresses is.
#[derive(Clone, Copy, PartialEq)]
enum First {
    V6,
    V4,
}

/// Whether the caller is the process inside; starts it and waits for it where not.
fn inside(test: &str, first: First) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    if !enabled(test) {
        return false;
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let hosts = write("hosts", &format!("127.0.0.1 localhost {BOTH}\n::1 localhost {BOTH}\n"));
    // gai.conf(5): a line replaces the whole table.
    let table = match first {
        First::V6 => "precedence ::1/128 50\nprecedence ::ffff:0:0/96 10\n",
        First::V4 => "precedence ::1/128 10\nprecedence ::ffff:0:0/96 50\n",
    };
    let script = "set -e
        for file in /proc/sys/net/ipv6/conf/all/disable_ipv6 /proc/sys/net/ipv6/conf/lo/disable_ipv6; do
            [ $(cat $file) = 0 ] || echo 0 > $file
        done
        ip link set lo up
        ip -6 address show dev lo | grep -q ::1/128
        mount --bind \"$1\" /etc/hosts
        [ -e /etc/gai.conf ] || touch /etc/gai.conf
        mount --bind \"$2\" /etc/gai.conf
        shift 2
        exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--", "sh", "-c", script, "families"])
        .args([hosts, write("gai.conf", table)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("families::{test}"), "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .expect("`unshare` (package util-linux) starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(
        output.status.success() && said.contains("1 passed"),
        "inside a network of its own, which takes root and a kernel with IPv6:\n{said}"
    );
    false
}

/// Starts a server at one loopback address.
fn server(address: &str) -> Sshd {
    Sshd::start_at((address, free_port()), "", "ed25519")
}

/// Logs in, and returns the address that the server saw.
async fn seen_from(mut options: ConnectOptions) -> String {
    options.connect_timeout = Duration::from_secs(20);
    let session = Session::connect(options).await.unwrap();
    let seen = session.exec("echo ${SSH_CONNECTION%% *}").await.unwrap().success().await.unwrap();
    session.close().await.unwrap();
    seen.text().to_owned()
}

/// How a connection failed: the error, and what is behind it.
async fn refusal(options: ConnectOptions) -> (Error, String) {
    let error = tokio::time::timeout(PATIENCE, Session::connect(options)).await.unwrap().unwrap_err();
    assert_eq!(error.stage(), Some(Stage::Connect), "{error:?}");
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    (error, cause)
}

/// A host's first address is dead, at first because it refuses, then because it is silent.
async fn falls_back(dead: &str, alive: &str) {
    let order: Vec<String> =
        tokio::net::lookup_host((BOTH, 1)).await.unwrap().map(|address| address.ip().to_string()).collect();
    assert_eq!(order, [dead, alive]);
    let sshd = server(alive);
    assert_eq!(seen_from(sshd.options_for(BOTH)).await, alive);
    let _silent = Blackhole::at(dead, sshd.port);
    assert_eq!(seen_from(sshd.options_for(BOTH)).await, alive);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_ipv4_answers_a_host_with_both_is_reached() {
    if inside("where_only_ipv4_answers_a_host_with_both_is_reached", First::V6) {
        falls_back("::1", "127.0.0.1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_only_ipv6_answers_a_host_with_both_is_reached() {
    if inside("where_only_ipv6_answers_a_host_with_both_is_reached", First::V4) {
        falls_back("127.0.0.1", "::1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_neither_answers_both_addresses_are_named() {
    if !inside("where_neither_answers_both_addresses_are_named", First::V6) {
        return;
    }
    let mut options = ConnectOptions::new(BOTH, "x");
    options.label = "web1".into();
    options.port = free_port();
    options.connect_timeout = Duration::from_secs(4);
    let head = format!("cannot connect to `web1` on port {} (tried 1 time)", options.port);

    let (error, cause) = refusal(options.clone()).await;
    assert_eq!(error.to_string(), head);
    let (v6, v4) = cause.split_once("; ").unwrap();
    assert!(v6.starts_with("::1: Connection refused"), "{cause}");
    assert!(v4.starts_with("127.0.0.1: Connection refused"), "{cause}");

    let silent = Blackhole::at("::1", options.port);
    let (error, cause) = refusal(options.clone()).await;
    assert_eq!(error.to_string(), head);
    let (v6, v4) = cause.split_once("; ").unwrap();
    assert!(v6.starts_with("::1: no answer within "), "{cause}");
    assert!(v4.starts_with("127.0.0.1: Connection refused"), "{cause}");

    let _both = (silent, Blackhole::at("127.0.0.1", options.port));
    let (error, _) = refusal(options.clone()).await;
    let port = options.port;
    assert_eq!(
        error.to_string(),
        format!("timed out after 4 s connecting to port {port} of ::1 and of 127.0.0.1 (host: web1)")
    );
}

/// Addresses are written in brackets wherever a port follows, as OpenSSH writes and reads them, and bare elsewhere.
#[tokio::test(flavor = "multi_thread")]
async fn known_hosts_have_ipv6_as_openssh_has_it() {
    if !inside("known_hosts_have_ipv6_as_openssh_has_it", First::V6) {
        return;
    }
    for port in [22, 2222] {
        let sshd = Sshd::start_at(("::1", port), "", "ed25519");
        let key = std::fs::read_to_string(sshd.path("host_key.pub")).unwrap();
        let key = key.rsplit_once(' ').unwrap().0;
        let options = |file: &str| {
            let mut options = sshd.options();
            options.host_keys.files = vec![sshd.path(file)];
            options.host_keys.learn_to = Some(sshd.path(file));
            options.host_keys.unknown = UnknownHost::Accept;
            options
        };
        let ssh = |file: &str, strict: &str| {
            let output = Command::new("ssh")
                .args(["-F", "none", "-o", "BatchMode=yes", "-o", "GlobalKnownHostsFile=none"])
                .args(["-o", &format!("StrictHostKeyChecking={strict}")])
                .args(["-o", &format!("UserKnownHostsFile={}", sshd.path(file).display())])
                .args(["-o", "IdentitiesOnly=yes", "-p", &port.to_string(), "-i"])
                .arg(sshd.path("user_key"))
                .args(["::1", "echo in"])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "in\n", "{port}: {output:?}");
        };
        // Ours, read by OpenSSH.
        Session::connect(options("ours")).await.unwrap().close().await.unwrap();
        let learnt = std::fs::read_to_string(sshd.path("ours")).unwrap();
        let name = if port == 22 { "::1".to_owned() } else { format!("[::1]:{port}") };
        assert_eq!(learnt, format!("{name} {key}\n"));
        ssh("ours", "yes");
        // OpenSSH's, read by us: plain and hashed.
        ssh("theirs", "accept-new");
        for _ in 0..2 {
            let mut strict = options("theirs");
            strict.host_keys.unknown = UnknownHost::Refuse;
            Session::connect(strict.clone()).await.unwrap().close().await.unwrap();
            // The other spelling is another host.
            strict.host_keys.files = vec![sshd.path("none")];
            let error = Session::connect(strict).await.unwrap_err();
            let hint = error.hint().unwrap();
            let words = if port == 22 { " ::1 >>".to_owned() } else { format!(" -p {port} ::1 >>") };
            assert!(hint.contains(&format!("ssh-keyscan{words}")), "{hint}");
            let file = sshd.path("theirs");
            let hashed = Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(&file).output().unwrap();
            assert!(hashed.status.success(), "{hashed:?}");
        }
        assert!(std::fs::read_to_string(sshd.path("theirs")).unwrap().starts_with("|1|"));
    }
}

/// Two hops, ports behind a host by `direct-tcpip`, and a local port before one of them.
#[tokio::test(flavor = "multi_thread")]
async fn ipv6_addresses_are_forwarded_to() {
    if !inside("ipv6_addresses_are_forwarded_to", First::V4) {
        return;
    }
    let (first, second, third) = (server("::1"), server("::1"), server("::1"));
    let mut options = third.options_for("::1");
    options.proxy = Proxy::Jump(vec![first.options_for("::1"), second.options_for(BOTH)]);
    let session = std::sync::Arc::new(Session::connect(options).await.unwrap());
    let echo = Echo::start(third.path("echo"), "hello\n");
    let mut line = [0; 6];
    session.open_unix(echo.path()).await.unwrap().read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"hello\n");

    let listener = TcpListener::bind("[::1]:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::Write::write_all(&mut stream, b"behind").unwrap();
        }
    });
    let mut word = [0; 6];
    for host in ["::1", BOTH] {
        session.open_tcp(host, port).await.unwrap().read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"behind", "{host}");
    }
    let (local, _) = LocalPorts::default().listen(None).unwrap();
    let behind = Behind::Tcp("::1".into(), port);
    let forward = Forward::serve(local, std::sync::Arc::clone(&session), behind).unwrap();
    let mut socket = tokio::net::TcpStream::connect(forward.address()).await.unwrap();
    socket.shutdown().await.unwrap();
    socket.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"behind");
    serving.join().unwrap();

    let closed = free_port();
    let error = session.open_tcp("::1", closed).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("cannot reach `[::1]:{closed}` from `lab`: ")), "{error}");
    forward.close().await;
    session.close().await.unwrap();
}
