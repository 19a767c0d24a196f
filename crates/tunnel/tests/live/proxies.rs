//! Ways to a server other than a TCP connection of our own, and ways for others through ours.

use std::sync::Arc;

use dfab_tunnel::options::Proxy;
use dfab_tunnel::{Behind, ConnectOptions, Error, Forward, LocalPorts, Login, Session, Sessions, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Bulk, Echo, PATIENCE, Sshd, enabled, free_port, until};
use crate::streams::{Blackhole, download, upload};

#[tokio::test(flavor = "multi_thread")]
async fn two_jump_hosts_lead_to_the_third() {
    if !enabled("two_jump_hosts_lead_to_the_third") {
        return;
    }
    let (first, second, third) = (Sshd::start(""), Sshd::start(""), Sshd::start(""));
    const LENGTH: u64 = 20 * 1024 * 1024;
    let bulk = Bulk::start(third.path("bulk"), LENGTH);
    let mut options = third.options();
    options.proxy = Proxy::Jump(vec![first.options(), second.options()]);
    let session = Session::connect(options.clone()).await.unwrap();
    tokio::join!(download(&session, bulk.path(), LENGTH), upload(&session, bulk.path(), LENGTH));
    assert!(third.log().contains("Accepted publickey"));
    session.close().await.unwrap();
    // The hops end with it.
    until("the hops have ended", || first.descendants().is_empty() && second.descendants().is_empty()).await;

    // A hop that is down, and one that may not forward.
    let closed = Sshd::start("AllowTcpForwarding no");
    options.proxy = Proxy::Jump(vec![closed.options()]);
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(matches!(&error, Error::Forward { why, .. } if why.contains("prohibited")), "{error:?}");
    let mut down = first.options();
    down.port = free_port();
    options.proxy = Proxy::Jump(vec![down]);
    assert!(matches!(Session::connect(options).await.unwrap_err(), Error::Connect { .. }));
}

/// Options that log in behind a gateway, whose connection is shared.
fn behind(gateway: &ConnectOptions, target: &Sshd, sessions: &Arc<Sessions>) -> ConnectOptions {
    let jumps = Arc::downgrade(sessions);
    let gateway = ConnectOptions { jumps: jumps.clone(), ..gateway.clone() };
    ConnectOptions { proxy: Proxy::Jump(vec![gateway]), jumps, ..target.options() }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_behind_a_gateway_go_through_one_login_there() {
    if !enabled("all_behind_a_gateway_go_through_one_login_there") {
        return;
    }
    let mut gateway = Sshd::start("");
    let targets = [Sshd::start(""), Sshd::start(""), Sshd::start(""), Sshd::start("")];
    let sessions = Arc::new(Sessions::new());
    let logins = |sshd: &Sshd| sshd.log().matches("Accepted publickey").count();
    let all = async |gateway: &Sshd| {
        // Making options writes known_hosts, which those who connect read.
        let gateway = gateway.options();
        let all: Vec<_> = targets.iter().map(|target| behind(&gateway, target, &sessions)).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for options in all {
            let sessions = Arc::clone(&sessions);
            tasks.spawn(async move {
                let login = Login::from(&options);
                let work = async |session: Arc<Session>| session.exec("echo hi").await?.success().await;
                let connect = || Session::connect(options.clone());
                assert_eq!(sessions.repeat(&login, connect, work).await.unwrap().text(), "hi");
            });
        }
        tasks.join_all().await;
    };
    all(&gateway).await;
    // On a machine that is so busy that a channel takes a second, the others go by a further connection.
    let first = logins(&gateway);
    assert!((1..4).contains(&first), "{}", gateway.log());
    // When it breaks, all are connected anew, and again by one.
    gateway.signal_all("-KILL");
    gateway.restart();
    all(&gateway).await;
    assert!((1..4).contains(&(logins(&gateway) - first)), "{}", gateway.log());
    assert_eq!(targets.each_ref().map(logins), [2; 4]);
    // What goes through it says goodbye before it does.
    let closed = sessions.close().await;
    assert!((5..8).contains(&closed.len()), "{closed:?}");
    assert!(closed.iter().all(|(_, result)| result.is_ok()), "{closed:?}");
    until("the gateway has no connection", || gateway.descendants().is_empty()).await;
}

/// libssh2 opens one channel at a time, and a gateway may take minutes to answer about a host.
#[tokio::test(flavor = "multi_thread")]
async fn a_dead_host_behind_a_gateway_does_not_hold_up_the_others() {
    if !enabled("a_dead_host_behind_a_gateway_does_not_hold_up_the_others") {
        return;
    }
    let (gateway, target) = (Sshd::start(""), Sshd::start(""));
    let blackhole = Blackhole::at("127.0.0.1", 0);
    let sessions = Arc::new(Sessions::new());
    let mut dead = behind(&gateway.options(), &target, &sessions);
    (dead.port, dead.connect_timeout) = (blackhole.port(), PATIENCE);
    let waiting = tokio::spawn(Session::connect(dead.clone()));
    until("the gateway asks", || gateway.log().contains("Accepted publickey")).await;
    // Its channel is asked for right after the login; this one may come first, and is none the worse.
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(Session::connect(behind(&gateway.options(), &target, &sessions)).await.unwrap());
    }
    assert!(!waiting.is_finished(), "the port was not slow");
    assert!(gateway.log().matches("Accepted publickey").count() <= 2, "{}", gateway.log());
    waiting.abort();
    dead.connect_timeout = std::time::Duration::from_secs(1);
    let error = Session::connect(dead).await.unwrap_err();
    let text =
        format!("timed out after 1 s connecting to port {} through `lab` (host: lab)", blackhole.port());
    assert_eq!(error.to_string(), text);
    drop(others);
    sessions.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_command_carries_the_connection_and_ends_with_it() {
    if !enabled("a_proxy_command_carries_the_connection_and_ends_with_it") {
        return;
    }
    let sshd = Sshd::start("");
    let mut options = sshd.options();
    let command = format!("socat STDIO TCP:127.0.0.1:{}", sshd.port);
    options.proxy = Proxy::Command(command.clone());
    let session = Session::connect(options.clone()).await.unwrap();
    assert_eq!(session.exec("echo hi").await.unwrap().success().await.unwrap().text(), "hi");
    session.close().await.unwrap();
    let running = || std::process::Command::new("pgrep").args(["-f", &command]).output().unwrap();
    until("the proxy command has ended", || running().stdout.is_empty()).await;
    options.proxy = Proxy::Command("exit 1".into());
    assert!(matches!(Session::connect(options.clone()).await.unwrap_err(), Error::Handshake { .. }));
    // Its own words say why.
    options.proxy = Proxy::Command("seq 3000 >&2; echo no way to gate >&2; exit 1".into());
    let Error::Handshake { source, .. } = Session::connect(options).await.unwrap_err() else { panic!() };
    assert!(
        source.0.ends_with("; the proxy command says: 2997; 2998; 2999; 3000; no way to gate"),
        "{source}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_local_port_leads_behind_the_host() {
    if !enabled("a_local_port_leads_behind_the_host") {
        return;
    }
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    let (listener, _) = LocalPorts::default().listen(None).unwrap();
    let forward = Forward::serve(listener, Arc::clone(&session), Behind::Unix(echo.path().into())).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let address = forward.address();
        tasks.spawn(async move {
            let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
            socket.write_all(format!("{n}").as_bytes()).await.unwrap();
            socket.shutdown().await.unwrap();
            let mut text = String::new();
            socket.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, format!("hello\n{n}"));
        });
    }
    tasks.join_all().await;
    // A target that refuses ends its connection and not the forward.
    let (listener, _) = LocalPorts::default().listen(None).unwrap();
    let behind = Behind::Tcp("127.0.0.1".into(), free_port());
    let refused = Forward::serve(listener, Arc::clone(&session), behind).unwrap();
    for _ in 0..2 {
        let mut socket = tokio::net::TcpStream::connect(refused.address()).await.unwrap();
        assert_eq!(socket.read(&mut [0; 8]).await.unwrap_or_default(), 0);
    }
    // And the sshd itself as a TCP target.
    let (listener, _) = LocalPorts::default().listen(None).unwrap();
    let behind = Behind::Tcp("localhost".into(), sshd.port);
    let tcp = Forward::serve(listener, Arc::clone(&session), behind).unwrap();
    let mut socket = tokio::net::TcpStream::connect(tcp.address()).await.unwrap();
    let mut banner = [0; 8];
    socket.read_exact(&mut banner).await.unwrap();
    assert_eq!(&banner, b"SSH-2.0-");
    drop(socket);
    let address = forward.address();
    forward.close().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    session.close().await.unwrap();
}

async fn open(sessions: &Sessions, options: &ConnectOptions, path: &str) -> Stream {
    let connect = || Session::connect(options.clone());
    let work = async |session: Arc<Session>| session.open_unix(path).await;
    sessions.repeat(&Login::from(options), connect, work).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_serves_all_and_is_replaced_when_it_breaks() {
    if !enabled("one_connection_serves_all_and_is_replaced_when_it_breaks") {
        return;
    }
    let mut sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let sessions = Arc::new(Sessions::new());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (sessions, options, path) = (Arc::clone(&sessions), sshd.options(), echo.path().to_owned());
        tasks.spawn(async move { open(&sessions, &options, &path).await });
    }
    let streams = tasks.join_all().await;
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 1);
    drop(streams);
    sshd.signal_all("-KILL");
    sshd.restart();
    let mut stream = open(&sessions, &sshd.options(), echo.path()).await;
    let mut line = [0; 6];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"hello\n");
    let closed = sessions.close().await;
    assert_eq!(closed.len(), 1);
    assert!(closed[0].1.is_ok(), "{closed:?}");
}
