//! Ten thousand streams on one connection. In a process of its own, so that descriptors, threads and
//! memory are those of this test. Runs when `DFAB_LIVE` is set; prints its figures.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "live/sshd.rs"]
#[allow(dead_code)]
mod sshd;

use std::sync::Arc;
use std::time::Instant;

use dfab_tunnel::Session;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use sshd::{Echo, Sshd, enabled};

fn count(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[derive(Debug, Clone, Copy)]
#[allow(dead_code)]
struct Figures {
    descriptors: usize,
    threads: usize,
    resident_kb: u64,
    server_descriptors: usize,
}

fn figures(sshd: &Sshd) -> Figures {
    let server = |pid: &u32| count(&format!("/proc/{pid}/fd"));
    Figures {
        descriptors: count("/proc/self/fd"),
        threads: count("/proc/self/task"),
        resident_kb: resident(),
        server_descriptors: sshd.descendants().iter().map(server).sum(),
    }
}

/// Looks until it is as it should be, or nothing has changed for three seconds.
async fn settled(sshd: &Sshd, good: impl Fn(&Figures) -> bool) -> Figures {
    let (mut last, mut same) = (figures(sshd), 0);
    while !good(&last) && same < 30 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        let now = figures(sshd);
        let unchanged =
            now.descriptors == last.descriptors && now.server_descriptors == last.server_descriptors;
        same = if unchanged { same + 1 } else { 0 };
        last = now;
    }
    last
}

async fn round(session: &Arc<Session>, path: &str, streams: usize) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..streams {
        if tasks.len() >= 20 {
            tasks.join_next().await.unwrap().unwrap();
        }
        let (session, path) = (Arc::clone(session), path.to_owned());
        tasks.spawn(async move {
            let mut stream = session.open_unix(&path).await.unwrap();
            stream.write_all(b"ping").await.unwrap();
            let mut answer = [0; 10];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"hello\nping");
            // Half of them end in order, half are dropped.
            if n % 2 == 0 {
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut answer).await.unwrap(), 0);
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_streams_leave_nothing_behind() {
    if !enabled("ten_thousand_streams_leave_nothing_behind") {
        return;
    }
    let sshd = Sshd::start("");
    let echo = Echo::start(sshd.path("echo"), "hello\n");
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    // Warm: pools and allocators have what they need.
    round(&session, echo.path(), 500).await;
    // The last ones are being closed: what is left is what stays.
    let before = settled(&sshd, |_| false).await;
    let started = Instant::now();
    round(&session, echo.path(), 10_000).await;
    let took = started.elapsed();
    let after = settled(&sshd, |now| {
        now.descriptors <= before.descriptors && now.server_descriptors <= before.server_descriptors
    })
    .await;
    eprintln!("before {before:?}\nafter  {after:?}\n10000 streams in {took:.1?}");
    assert!(after.descriptors <= before.descriptors, "descriptors leak");
    assert!(after.threads <= before.threads, "threads leak");
    assert!(after.server_descriptors <= before.server_descriptors, "the server's descriptors leak");
    assert!(after.resident_kb < before.resident_kb + 4096, "memory leaks");
    session.close().await.unwrap();
}
