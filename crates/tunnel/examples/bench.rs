//! Measures what the crate promises, against `ssh` itself, in one run on one machine:
//!
//! ```text
//! cargo run --release -p dfab-tunnel --example bench [-- MEGABYTES [PART…]]
//! ```
//!
//! Parts are `bulk`, `many`, `first`, `delayed` and `memory`; without any, all are measured.
//!
//! Needs `/usr/sbin/sshd` and `ssh`; starts a private sshd on 127.0.0.1 and ends it. Prints one JSON
//! object a line: name, value, unit, and the limit that is promised.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, missing_docs)]

#[path = "../tests/live/sshd.rs"]
#[allow(dead_code)]
mod sshd;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfab_tunnel::{ConnectOptions, Session, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::sshd::{Sshd, whoami};

const MB: u64 = 1024 * 1024;

fn report(name: &str, value: f64, unit: &str, limit: &str) {
    println!(r#"{{"name":"{name}","value":{value:.3},"unit":"{unit}","limit":"{limit}"}}"#);
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some("memory") {
        return memory(&args.collect::<Vec<_>>()).await;
    }
    let length = first.and_then(|text| text.parse::<u64>().ok()).unwrap_or(1024) * MB;
    let sshd = Sshd::start("");
    let socket = serve(&sshd);
    let parts: Vec<String> = args.collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    if wants("bulk") {
        bulk(&sshd, &socket, length).await;
    }
    if wants("many") {
        many(&sshd, &socket, length).await;
    }
    if wants("first") {
        first_answer(&sshd, &socket).await;
    }
    if wants("delayed") {
        delayed(&sshd, &socket, length).await;
    }
    if !wants("memory") {
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["memory", &sshd.port.to_string(), socket.to_str().unwrap()])
        .arg(sshd.path("user_key"))
        .arg(sshd.known_hosts())
        .arg(length.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

/// A server that costs as little as `cat`: `<` and eight bytes of length sends so many, `>` takes all
/// and says `done`, `?` answers one byte.
fn serve(sshd: &Sshd) -> std::path::PathBuf {
    let path = sshd.path("bench");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut kind = [0];
                let mut block = vec![0; 256 * 1024];
                if stream.read_exact(&mut kind).is_err() {
                    return;
                }
                match kind[0] {
                    b'<' => {
                        let mut left = [0; 8];
                        stream.read_exact(&mut left).unwrap();
                        let mut left = u64::from_be_bytes(left);
                        while left > 0 {
                            let size = left.min(block.len() as u64) as usize;
                            if stream.write_all(&block[..size]).is_err() {
                                return;
                            }
                            left -= size as u64;
                        }
                    }
                    b'>' => {
                        while stream.read(&mut block).unwrap_or(0) > 0 {}
                        let _ = stream.write_all(b"done");
                    }
                    _ => {
                        let _ = stream.write_all(b"!");
                    }
                }
            });
        }
    });
    path
}

fn ssh(sshd: &Sshd, command: &str) -> Command {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"])
        .arg(sshd.path("user_key"));
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", sshd.known_hosts().display()));
    ssh.args(["-p", &sshd.port.to_string(), &format!("{}@127.0.0.1", whoami()), command]);
    ssh.stdin(Stdio::null()).stdout(Stdio::null());
    ssh
}

async fn download(mut stream: Stream, length: u64) -> u64 {
    stream.write_all(b"<").await.unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    let mut block = vec![0; 256 * 1024];
    let mut taken = 0;
    loop {
        match stream.read(&mut block).await.unwrap() {
            0 => return taken,
            size => taken += size as u64,
        }
    }
}

async fn upload(mut stream: Stream, length: u64) {
    stream.write_all(b">").await.unwrap();
    let block = vec![0; 256 * 1024];
    let mut left = length;
    while left > 0 {
        let size = left.min(block.len() as u64) as usize;
        stream.write_all(&block[..size]).await.unwrap();
        left -= size as u64;
    }
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "done");
}

/// The best of five, alternating, so that what else the machine does meets both.
async fn bulk(sshd: &Sshd, socket: &std::path::Path, length: u64) {
    let session = Session::connect(sshd.options()).await.unwrap();
    let path = socket.to_str().unwrap();
    let rate = |started: Instant| length as f64 / MB as f64 / started.elapsed().as_secs_f64();
    let (mut ssh_down, mut ssh_up, mut down, mut up) = (0_f64, 0_f64, 0_f64, 0_f64);
    for _ in 0..5 {
        let started = Instant::now();
        assert!(ssh(sshd, &format!("head -c {length} /dev/zero")).status().unwrap().success());
        ssh_down = ssh_down.max(rate(started));
        let started = Instant::now();
        assert_eq!(download(session.open_unix(path).await.unwrap(), length).await, length);
        down = down.max(rate(started));
        let mut feed = Command::new("head")
            .args(["-c", &length.to_string(), "/dev/zero"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let input = feed.stdout.take().unwrap();
        assert!(ssh(sshd, "cat > /dev/null").stdin(input).status().unwrap().success());
        ssh_up = ssh_up.max(rate(started));
        feed.wait().unwrap();
        let started = Instant::now();
        upload(session.open_unix(path).await.unwrap(), length).await;
        up = up.max(rate(started));
    }
    report("ssh cat download", ssh_down, "MiB/s", "");
    report("stream download", down, "MiB/s", "");
    report("download against ssh", down / ssh_down, "ratio", ">= 0.9");
    report("ssh cat upload", ssh_up, "MiB/s", "");
    report("stream upload", up, "MiB/s", "");
    report("upload against ssh", up / ssh_up, "ratio", ">= 0.9");
    session.close().await.unwrap();
}

/// The middle of fifteen rounds, in each of which both carry a quarter: a busy moment of the machine meets one of them
/// only.
async fn many(sshd: &Sshd, socket: &std::path::Path, length: u64) {
    let session = Arc::new(Session::connect(sshd.options()).await.unwrap());
    let path = socket.to_str().unwrap().to_owned();
    let length = length / 4;
    let mut ratios = Vec::new();
    for _ in 0..15 {
        let started = Instant::now();
        download(session.open_unix(&path).await.unwrap(), length).await;
        let one = started.elapsed();
        let started = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..16 {
            let (session, path) = (Arc::clone(&session), path.clone());
            tasks.spawn(async move { download(session.open_unix(&path).await.unwrap(), length / 16).await });
        }
        tasks.join_all().await;
        ratios.push(one.as_secs_f64() / started.elapsed().as_secs_f64());
    }
    report("sixteen streams against one", median(ratios), "ratio", ">= 0.9");
    let mut opens = Vec::new();
    for _ in 0..200 {
        let started = Instant::now();
        let stream = session.open_unix(&path).await.unwrap();
        opens.push(started.elapsed().as_secs_f64());
        drop(stream);
    }
    report("new stream, median", median(opens) * 1000.0, "ms", "");
    session.close().await.unwrap();
}

async fn ask(session: &Session, path: &str) {
    let mut stream = session.open_unix(path).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
}

async fn first_answer(sshd: &Sshd, socket: &std::path::Path) {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let started = Instant::now();
        assert!(ssh(sshd, "true").status().unwrap().success());
        theirs.push(started.elapsed().as_secs_f64());
        let started = Instant::now();
        let session = Session::connect(sshd.options()).await.unwrap();
        ask(&session, socket.to_str().unwrap()).await;
        ours.push(started.elapsed().as_secs_f64());
        session.close().await.unwrap();
    }
    let (theirs, ours) = (median(theirs), median(ours));
    report("ssh host true, median", theirs * 1000.0, "ms", "");
    report("first answer, median", ours * 1000.0, "ms", "");
    report("first answer against ssh host true", ours / theirs, "ratio", "<= 1.5");
}

/// What the proxy itself can carry: a stranger who sends as fast as is taken.
async fn bare(round_trip: Duration, length: u64) -> f64 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = sshd::delaying_proxy(listener.local_addr().unwrap().port(), round_trip).await;
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let block = vec![0; 256 * 1024];
        for _ in 0..length / block.len() as u64 {
            stream.write_all(&block).unwrap();
        }
    });
    let started = Instant::now();
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut block = vec![0; 256 * 1024];
    let mut left = length;
    while left > 0 {
        left -= stream.read(&mut block).await.unwrap() as u64;
    }
    length as f64 / MB as f64 / started.elapsed().as_secs_f64()
}

/// The download is the middle of five: where sshd falls behind while the machine is busy, it stays slow for a second.
async fn delayed(sshd: &Sshd, socket: &std::path::Path, length: u64) {
    const ROUND_TRIP: Duration = Duration::from_millis(50);
    report("tcp alone at 50 ms", bare(ROUND_TRIP, length).await, "MiB/s", "");
    let options = sshd::delayed(sshd, ROUND_TRIP).await;
    let session = Session::connect(options).await.unwrap();
    let path = socket.to_str().unwrap();
    ask(&session, path).await;
    let mut opens = Vec::new();
    for _ in 0..20 {
        let started = Instant::now();
        drop(session.open_unix(path).await.unwrap());
        opens.push(started.elapsed().as_secs_f64());
    }
    let round_trips = median(opens) / ROUND_TRIP.as_secs_f64();
    report("new stream at 50 ms", round_trips, "round trips", "<= 1.2");
    let mut rates = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        download(session.open_unix(path).await.unwrap(), length).await;
        rates.push(length as f64 / started.elapsed().as_secs_f64());
    }
    let rate = median(rates);
    let bound = 2.0 * MB as f64 / ROUND_TRIP.as_secs_f64();
    report("download at 50 ms", rate / MB as f64, "MiB/s", "");
    report("download at 50 ms against a 2 MiB window", rate / bound, "ratio", ">= 4");
    session.close().await.unwrap();
}

/// In a process of its own: nothing else counts.
async fn memory(args: &[String]) {
    let [port, socket, key, known, length] = args else { panic!("unexpected arguments") };
    let mut options = ConnectOptions::new("127.0.0.1", whoami());
    options.port = port.parse().unwrap();
    options.auth.keys = vec![dfab_tunnel::options::KeyFile::named(key)];
    options.host_keys.files = vec![known.into()];
    let session = Session::connect(options).await.unwrap();
    let length = length.parse().unwrap();
    download(session.open_unix(socket).await.unwrap(), length).await;
    upload(session.open_unix(socket).await.unwrap(), length).await;
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: f64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    report("peak memory, all both ways", peak / 1024.0, "MiB", "< 32");
    session.close().await.unwrap();
}
