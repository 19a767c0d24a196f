//! Streams to sockets behind a host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfab_tunnel::{Session, Way};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Bulk, Echo, Sshd, delayed, enabled, pattern};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reaches_the_socket_and_half_closes() {
    if !enabled("a_stream_reaches_the_socket_and_half_closes") {
        return;
    }
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let session = Session::connect(sshd.options()).await.unwrap();
    let mut stream = session.open_unix(echo.path()).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello\nping");
    assert_eq!(session.way_to(echo.path()), Some(Way::Streamlocal));
    session.close().await.unwrap();
    assert!(!session.is_alive());
}

/// Design §5: the state of an open belongs to the session, so opens are serial. Were a second one
/// started before the first is answered, streams would come out at the wrong socket.
#[tokio::test(flavor = "multi_thread")]
async fn many_opens_at_once_reach_their_own_sockets() {
    if !enabled("many_opens_at_once_reach_their_own_sockets") {
        return;
    }
    let sshd = Sshd::start("");
    let echoes: Vec<Echo> =
        (0..8).map(|n| Echo::start(sshd.path(&format!("echo{n}")), &format!("socket {n}\n"))).collect();
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    let mut tasks = Vec::new();
    for n in 0..200 {
        let (session, path) = (Arc::clone(&session), echoes[n % 8].path().to_owned());
        tasks.push(tokio::spawn(async move {
            let mut stream = session.open_unix(&path).await.unwrap();
            stream.write_all(format!("stream {n}").as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, format!("socket {}\nstream {n}", n % 8));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    session.close().await.unwrap();
}

/// A port of this machine that answers nobody: its queue is full.
pub struct Blackhole {
    listener: std::net::TcpListener,
    _waiting: Vec<std::net::TcpStream>,
}

impl Blackhole {
    /// One at an address; port 0 is any.
    pub fn at(address: &str, port: u16) -> Self {
        let listener = std::net::TcpListener::bind((address, port)).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)) {
            waiting.push(stream);
        }
        Self { listener, _waiting: waiting }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }
}

/// libssh2 opens one channel at a time, and a server may take minutes to answer about a TCP port.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_port_does_not_hold_up_sockets_and_commands() {
    if !enabled("a_slow_port_does_not_hold_up_sockets_and_commands") {
        return;
    }
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let blackhole = Blackhole::at("127.0.0.1", 0);
    let port = blackhole.port();
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    let slow = Arc::clone(&session);
    let slow = tokio::spawn(async move { slow.open_tcp("127.0.0.1", port).await });
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..10 {
        let (session, path) = (Arc::clone(&session), echo.path().to_owned());
        tasks.spawn(async move {
            let mut stream = session.open_unix(&path).await.unwrap();
            stream.read_exact(&mut [0; 6]).await.unwrap();
            let finished = session.exec(&format!("echo {n}")).await.unwrap().success().await.unwrap();
            assert_eq!(finished.text(), n.to_string());
        });
    }
    tasks.join_all().await;
    assert!(!slow.is_finished(), "the port was not slow");
    assert_eq!(sshd.log().matches("Accepted publickey").count(), 2);
    slow.abort();
    session.close().await.unwrap();
}

pub async fn download(session: &Session, path: &str, length: u64) {
    let mut stream = session.open_unix(path).await.unwrap();
    stream.write_all(b"<").await.unwrap();
    let (mut block, mut expected) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut taken = 0;
    loop {
        let size = stream.read(&mut block).await.unwrap();
        if size == 0 {
            break;
        }
        pattern(taken, &mut expected[..size]);
        assert!(block[..size] == expected[..size], "wrong bytes near {taken}");
        taken += size as u64;
    }
    assert_eq!(taken, length);
}

pub async fn upload(session: &Session, path: &str, length: u64) {
    let mut stream = session.open_unix(path).await.unwrap();
    stream.write_all(b">").await.unwrap();
    let mut block = vec![0; 64 * 1024];
    let mut sent = 0;
    while sent < length {
        let size = block.len().min((length - sent) as usize);
        pattern(sent, &mut block[..size]);
        stream.write_all(&block[..size]).await.unwrap();
        sent += size as u64;
    }
    stream.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, format!("{length} true"));
}

/// Also the re-key deadlock of old libssh2 versions, and the rule that a half-sent packet goes first:
/// both directions are full while keys are exchanged every megabyte.
#[tokio::test(flavor = "multi_thread")]
async fn up_and_down_at_once_with_rekeying_every_megabyte() {
    if !enabled("up_and_down_at_once_with_rekeying_every_megabyte") {
        return;
    }
    const LENGTH: u64 = 200 * 1024 * 1024;
    let sshd = Sshd::start("RekeyLimit 1M\nLogLevel DEBUG1");
    let bulk = Bulk::start(sshd.path("bulk"), LENGTH);
    let session = Session::connect(sshd.options()).await.unwrap();
    tokio::join!(download(&session, bulk.path(), LENGTH), upload(&session, bulk.path(), LENGTH));
    let rekeys = sshd.log().matches("rekey").count();
    assert!(rekeys > 100, "sshd exchanged keys {rekeys} times only");
    session.close().await.unwrap();
}

/// The round trip was taken from the TCP connection, which ends at the nearest proxy, and the window
/// never grew.
#[tokio::test(flavor = "multi_thread")]
async fn a_download_from_far_away_is_not_bound_by_the_first_window() {
    if !enabled("a_download_from_far_away_is_not_bound_by_the_first_window") {
        return;
    }
    const LENGTH: u64 = 60 * 1024 * 1024;
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), LENGTH);
    let session = Session::connect(delayed(&sshd, Duration::from_secs(1)).await).await.unwrap();
    let started = Instant::now();
    download(&session, bulk.path(), LENGTH).await;
    let took = started.elapsed();
    // 2 MiB each second would be 30 s.
    assert!(took < Duration::from_secs(25), "{took:?}");
    session.close().await.unwrap();
}

/// `Compression yes` of the SSH configuration.
#[tokio::test(flavor = "multi_thread")]
async fn compression_is_agreed_on_where_it_is_wanted() {
    if !enabled("compression_is_agreed_on_where_it_is_wanted") {
        return;
    }
    const LENGTH: u64 = 5 * 1024 * 1024;
    let sshd = Sshd::start("Compression yes\nLogLevel DEBUG1");
    let bulk = Bulk::start(sshd.path("bulk"), LENGTH);
    for wanted in [false, true] {
        let mut options = sshd.options();
        options.compression = wanted;
        let session = Session::connect(options).await.unwrap();
        tokio::join!(download(&session, bulk.path(), LENGTH), upload(&session, bulk.path(), LENGTH));
        session.close().await.unwrap();
        let agreed = sshd.log().contains("compression: zlib@openssh.com [preauth]");
        assert_eq!(agreed, wanted, "{}", sshd.log());
    }
}

/// Reads at an uneven pace, so that the room in the stream's buffer differs from turn to turn.
async fn stumble(session: &Session, path: &str, length: u64) {
    let mut stream = session.open_unix(path).await.unwrap();
    stream.write_all(b"<").await.unwrap();
    let (mut block, mut expected) = (vec![0; 100_000], vec![0; 100_000]);
    let mut taken = 0;
    let mut turn: usize = 1;
    loop {
        turn = turn.wrapping_mul(69_069).wrapping_add(1) % 99_991;
        let size = stream.read(&mut block[..turn + 1]).await.unwrap();
        if size == 0 {
            break;
        }
        pattern(taken, &mut expected[..size]);
        assert!(block[..size] == expected[..size], "wrong bytes near {taken}");
        taken += size as u64;
        // Long enough for the server to use up the window.
        if turn.is_multiple_of(97) {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    assert_eq!(taken, length);
}

/// A window adjustment that had to wait for a key exchange was not repeated with the same amount, so
/// that libssh2 cut off what the server sent beyond the window that it counted.
#[tokio::test(flavor = "multi_thread")]
async fn windows_are_kept_while_keys_are_exchanged() {
    if !enabled("windows_are_kept_while_keys_are_exchanged") {
        return;
    }
    const LENGTH: u64 = 40 * 1024 * 1024;
    let sshd = Sshd::start("RekeyLimit 1M");
    let bulk = Bulk::start(sshd.path("bulk"), LENGTH);
    let session = Session::connect(delayed(&sshd, Duration::from_millis(20)).await).await.unwrap();
    tokio::join!(
        stumble(&session, bulk.path(), LENGTH),
        stumble(&session, bulk.path(), LENGTH),
        stumble(&session, bulk.path(), LENGTH),
        upload(&session, bulk.path(), LENGTH)
    );
    session.close().await.unwrap();
}
