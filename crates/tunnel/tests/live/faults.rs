//! What breaks, and that nothing waits for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfab_tunnel::options::Keepalive;
use dfab_tunnel::{Error, Session};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Bulk, Echo, PATIENCE, Sshd, enabled, until};

/// Runs sixteen streams, an upload and a command into a fault, and returns how each ended.
async fn under_load(sshd: &Sshd, keepalive: Keepalive, fault: impl FnOnce()) -> (Vec<Error>, Duration) {
    let bulk = Bulk::start(sshd.path("bulk"), u64::MAX);
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let mut options = sshd.options();
    options.keepalive = Some(keepalive);
    let session = Arc::new(Session::connect(options).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..16 {
        let (session, path) = (Arc::clone(&session), bulk.path().to_owned());
        tasks.spawn(async move {
            let mut stream = session.open_unix(&path).await?;
            let mut block = vec![0; 64 * 1024];
            let result: std::io::Result<()> = async {
                stream.write_all(if n % 2 == 0 { b"<" } else { b">" }).await?;
                loop {
                    if n % 2 == 0 {
                        stream.read_exact(&mut block).await?;
                    } else {
                        stream.write_all(&block).await?;
                    }
                }
            }
            .await;
            Err::<(), Error>(Error::from_io("?", result.unwrap_err()))
        });
    }
    // A silent stream, as of events; a command; and a stream that is opened after the fault.
    let (quiet, path) = (Arc::clone(&session), echo.path().to_owned());
    tasks.spawn(async move {
        let mut stream = quiet.open_unix(&path).await?;
        let mut text = String::new();
        let result = stream.read_to_string(&mut text).await;
        Err(Error::from_io("?", result.unwrap_err()))
    });
    let command = Arc::clone(&session);
    tasks.spawn(async move { command.exec("sleep 100").await?.wait().await.map(drop) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    fault();
    let (late, path) = (Arc::clone(&session), echo.path().to_owned());
    tasks.spawn(async move { late.open_unix(&path).await.map(drop) });
    let started = Instant::now();
    let results = tokio::time::timeout(PATIENCE, tasks.join_all()).await;
    let results = results.expect("something waits for a connection that is gone");
    let took = started.elapsed();
    assert!(!session.is_alive());
    // Closing what is gone says so, and does not wait.
    assert!(session.close().await.is_err());
    (results.into_iter().map(|result| result.unwrap_err()).collect(), took)
}

fn check(errors: &[Error], words: &[&str]) {
    for error in errors {
        let text = match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        assert!(text.contains("lab"), "no host in `{text}`");
        assert!(words.iter().any(|word| text.contains(word)), "no cause in `{text}`");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_sshd_ends_everything_at_once() {
    if !enabled("a_killed_sshd_ends_everything_at_once") {
        return;
    }
    let mut sshd = Sshd::start("");
    // Were it left to the keepalives, it would take two minutes.
    let keepalive = Keepalive { interval: PATIENCE, count_max: 1 };
    let (errors, _) = under_load(&sshd, keepalive, || sshd.signal_all("-KILL")).await;
    check(&errors, &["closed the connection", "reset", "Broken pipe", "ended"]);
    sshd.restart();
    Session::connect(sshd.options()).await.unwrap().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_host_is_given_up_by_our_own_timer() {
    if !enabled("a_frozen_host_is_given_up_by_our_own_timer") {
        return;
    }
    let sshd = Sshd::start("");
    let keepalive = Keepalive { interval: Duration::from_secs(3), count_max: 2 };
    let (errors, took) = under_load(&sshd, keepalive, || sshd.signal_all("-STOP")).await;
    check(&errors, &["has not answered"]);
    assert!(took > Duration::from_secs(6), "{took:?}");
    sshd.signal_all("-CONT");
    Session::connect(sshd.options()).await.unwrap().close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_peer_that_answers_is_kept() {
    if !enabled("a_silent_peer_that_answers_is_kept") {
        return;
    }
    // The server asks too; nobody reads the connection for us when no channel is open.
    let sshd = Sshd::start("ClientAliveInterval 1\nClientAliveCountMax 5");
    let mut options = sshd.options();
    options.keepalive = Some(Keepalive { interval: Duration::from_secs(1), count_max: 6 });
    let session = Session::connect(options.clone()).await.unwrap();
    options.keepalive = None;
    let passive = Session::connect(options).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    for session in [&session, &passive] {
        assert!(session.is_alive());
        assert_eq!(session.exec("echo hi").await.unwrap().success().await.unwrap().text(), "hi");
    }
    // Also while a reader does not read and its window is shut.
    let bulk = Bulk::start(sshd.path("bulk"), u64::MAX);
    let mut stream = passive.open_unix(bulk.path()).await.unwrap();
    stream.write_all(b"<").await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(passive.is_alive());
    stream.read_exact(&mut vec![0; 4 * 1024 * 1024]).await.unwrap();
}

/// Design §5: freeing a channel is a session call. Streams are dropped by other threads in the middle
/// of transfers; the server must see each of them closed, and nothing may be disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn streams_dropped_anywhere_are_closed_on_the_server() {
    if !enabled("streams_dropped_anywhere_are_closed_on_the_server") {
        return;
    }
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), 8 * 1024 * 1024);
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0_u64..100 {
        let (session, path) = (Arc::clone(&session), bulk.path().to_owned());
        tasks.spawn(async move {
            if n % 10 == 0 {
                return crate::streams::download(&session, &path, 8 * 1024 * 1024).await;
            }
            let mut stream = session.open_unix(&path).await.unwrap();
            stream.write_all(b"<").await.unwrap();
            stream.read_exact(&mut vec![0; (n * 1000) as usize]).await.unwrap();
            std::thread::spawn(move || drop(stream)).join().unwrap();
        });
    }
    tasks.join_all().await;
    let sockets = || -> usize {
        let descriptors = |pid: &u32| std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        sshd.descendants().iter().map(descriptors).sum()
    };
    until("sshd holds no more descriptors than for itself", || sockets() <= 40).await;
    session.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_session_leaves_nothing_on_the_host() {
    if !enabled("a_dropped_session_leaves_nothing_on_the_host") {
        return;
    }
    let sshd = Sshd::start("AllowStreamLocalForwarding no");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let session = Session::connect(sshd.options()).await.unwrap();
    let mut stream = session.open_unix(echo.path()).await.unwrap();
    stream.read_exact(&mut [0; 6]).await.unwrap();
    assert!(sshd.descendants().len() > 1);
    drop(session);
    let error = Error::from_io("?", stream.read_exact(&mut [0; 1]).await.unwrap_err());
    assert!(matches!(error, Error::Closed { .. }), "{error:?}");
    until("no process is left on the host", || sshd.descendants().is_empty()).await;
}
