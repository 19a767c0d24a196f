//! Hosts that fail in the middle of work: every call ends in time with an error that names host and cause, nothing
//! is left in this process, and the next run on the mended host works.
//!
//! A table of (fault × load), here over the crates in this process, whose threads, descriptors and memory are then
//! compared; in [`binary`] over `dfab` as a user calls it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a failed step is a failed test")]

mod binary;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dfab_client::streams::{EventOptions, LogOptions};
use dfab_client::{ApiBackend, ApiOptions, Backend};
use dfab_tests::engine::{Socket, login, login_options};
use dfab_tests::fault::wait_until;
use dfab_tests::{Fault, Host, Project, lab_or_skip};
use dfab_tunnel::ConnectOptions;
use dfab_tunnel::options::Keepalive;
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// Time for an answer, and the longest silence of a transfer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// After this much silence, and once more, a host is given up.
const KEEPALIVE: Keepalive = Keepalive { interval: Duration::from_secs(1), count_max: 2 };

/// When a call that has not ended hangs: far above [`TIMEOUT`], for slow machines.
const HANGS: Duration = Duration::from_secs(60);

/// What is under way when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// `docker load` of an image that does not end.
    Upload,
    /// The engine's events.
    Events,
    /// A container's log that is followed.
    Log,
    /// Sixteen callers at once, one request after the other.
    Requests,
}

impl Load {
    const ALL: [Load; 4] = [Load::Upload, Load::Events, Load::Log, Load::Requests];

    /// How far it should have come when the fault comes: bytes, lines, or answers.
    fn enough(self) -> u64 {
        match self {
            Load::Upload => 8 * 1024 * 1024,
            Load::Events => 1,
            Load::Log => 10,
            Load::Requests => 64,
        }
    }
}

/// How this test logs in: it gives up soon.
fn impatient(host: &Host<'_>) -> ConnectOptions {
    ConnectOptions {
        keepalive: Some(KEEPALIVE),
        open_timeout: TIMEOUT,
        label: host.name.clone(),
        ..login_options(host)
    }
}

/// How a call ended.
type Ended = Result<(), dfab_client::Error>;

/// Starts a load. Each of its tasks ends when its call does, which none does by itself.
fn start(load: Load, engine: &Arc<ApiBackend>, progress: &Arc<AtomicU64>) -> JoinSet<Ended> {
    let mut tasks = JoinSet::new();
    let callers = if matches!(load, Load::Requests) { 16 } else { 1 };
    for _ in 0..callers {
        let (engine, progress) = (Arc::clone(engine), Arc::clone(progress));
        tasks.spawn(async move {
            match load {
                Load::Upload => engine.load_image(Box::new(endless_image(progress)), &|_| {}).await,
                Load::Events => {
                    let mut events = engine.events(&EventOptions::default()).await?;
                    // The stream stands: its silence is what the fault meets.
                    progress.fetch_add(1, Ordering::Relaxed);
                    while events.next().await.transpose()?.is_some() {}
                    Ok(())
                }
                Load::Log => {
                    let mut lines = engine.log_lines("talker", LogOptions::default(), true).await?;
                    while lines.next().await.transpose()?.is_some() {
                        progress.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                }
                Load::Requests => loop {
                    engine.list_containers().await?;
                    progress.fetch_add(1, Ordering::Relaxed);
                },
            }
        });
    }
    tasks
}

/// An archive of one file that is far from its end, as fast as is taken but for a millisecond between two blocks:
/// the host keeps what it gets on its disk.
fn endless_image(progress: Arc<AtomicU64>) -> tokio::io::DuplexStream {
    const BLOCK: usize = 64 * 1024;
    let (reader, mut writer) = tokio::io::duplex(BLOCK);
    tokio::spawn(async move {
        let header = header();
        if writer.write_all(&header).await.is_err() {
            return;
        }
        let block = vec![0; BLOCK];
        // Ends when the reader is dropped.
        while writer.write_all(&block).await.is_ok() {
            progress.fetch_add(BLOCK as u64, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    reader
}

/// The head of the only file of an image's archive that is far from its end.
fn header() -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path("layer.tar").unwrap();
    header.set_size(1 << 36);
    header.set_mode(0o644);
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// Returns an error with all its causes.
fn shown(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!(": {source}"));
        cause = source.source();
    }
    text
}

/// Words of which each error must have one.
fn causes(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::LinkDown | Fault::Frozen => &["has not answered"],
        Fault::SshdKilled => &["closed the connection", "reset", "Broken pipe", "connection ended"],
        Fault::EngineRestarted => {
            &["cannot be reached", "nothing answers", "refused just now", "no such socket"]
        }
    }
}

/// One cell of the table.
async fn cell(host: &Host<'_>, fault: Fault, load: Load) {
    let session = login(impatient(host)).await;
    let socket = Socket::new(host, &session);
    let options = ApiOptions { timeout: TIMEOUT, stream_timeout: TIMEOUT, ..ApiOptions::default() };
    let engine = Arc::new(ApiBackend::new(Arc::new(socket), options));
    let progress = Arc::new(AtomicU64::new(0));
    let mut tasks = start(load, &engine, &progress);
    let begun = || progress.load(Ordering::Relaxed) >= load.enough();
    tokio::task::block_in_place(|| wait_until(&format!("{load:?} is under way"), begun));

    let struck = tokio::task::block_in_place(|| fault.strike(host));
    let since = Instant::now();
    let mut errors = Vec::new();
    let all = async {
        while let Some(ended) = tasks.join_next().await {
            match ended.expect("a load does not panic") {
                Err(error) => errors.push(shown(&error)),
                // The engine ends its containers before itself, and a log with its container.
                Ok(()) if (fault, load) == (Fault::EngineRestarted, Load::Log) => {}
                Ok(()) => panic!("{fault:?} in {load:?}: the call ended as if nothing had happened"),
            }
        }
    };
    assert!(
        tokio::time::timeout(HANGS, all).await.is_ok(),
        "{fault:?} in {load:?}: {} calls hang; others ended with {errors:#?}",
        tasks.len()
    );
    let took = since.elapsed();
    for error in &errors {
        assert!(error.contains(&format!("`{}`", host.name)), "{fault:?} in {load:?}: no host in `{error}`");
        assert!(
            causes(fault).iter().any(|cause| error.contains(cause)),
            "{fault:?} in {load:?}: no cause in `{error}`"
        );
    }
    drop(engine);
    // It broke, or it is closed now; both within the time that is promised.
    let closed = tokio::time::timeout(HANGS, session.close()).await;
    assert!(closed.is_ok(), "{fault:?} in {load:?}: closing hangs");
    drop(session);
    tokio::task::block_in_place(|| drop(struck));
    eprintln!("{fault:?} in {load:?}: {took:.1?}, {}", errors.first().map_or("ended", String::as_str));
}

/// What this process holds.
#[derive(Clone, Copy, Debug)]
struct Figures {
    threads: usize,
    descriptors: usize,
    resident_kib: u64,
}

impl Figures {
    fn now() -> Self {
        let count = |folder: &str| fs::read_dir(folder).unwrap().count();
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        Self {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            resident_kib: resident.trim().trim_end_matches(" kB").parse().unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_ends_when_its_host_fails_and_all_is_given_back() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let talk =
        || host.run("docker run -d --name talker busybox sh -c 'while :; do echo talk; usleep 20000; done'");
    let next_run_works = || {
        let outcome = Project::new(&[]).dfab_in(&lab, &["-H", &host.name, "docker.version"]).run();
        outcome.expect_code(0);
    };
    talk();
    // Warm: the runtime and the allocator have what they need.
    cell(&host, Fault::SshdKilled, Load::Requests).await;
    let before = Figures::now();
    for fault in Fault::ALL {
        for load in Load::ALL {
            host.run("docker start talker");
            cell(&host, fault, load).await;
            tokio::task::block_in_place(next_run_works);
        }
    }
    // Threads for files and names end by themselves after ten idle seconds.
    let deadline = Instant::now() + Duration::from_secs(60);
    let after = loop {
        let now = Figures::now();
        if (now.threads <= before.threads && now.descriptors <= before.descriptors)
            || Instant::now() > deadline
        {
            break now;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    eprintln!("before {before:?}\nafter  {after:?}");
    assert!(after.threads <= before.threads, "threads: {before:?} -> {after:?}");
    assert!(after.descriptors <= before.descriptors, "descriptors: {before:?} -> {after:?}");
    assert!(after.resident_kib < before.resident_kib + 32 * 1024, "memory: {before:?} -> {after:?}");
    tokio::task::block_in_place(|| {
        host.run("docker rm -f talker");
        host.expect_no_leftovers();
    });
}
