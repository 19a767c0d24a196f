//! A socket in front of an engine that counts the requests, and can end the caller at one of them.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What happens to the engine's end of connections whose caller was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// They close with the caller, as they do in life: the engine may give up what it is doing.
    AtOnce,
    /// They stay until the engine has answered.
    Finished,
}

/// Time in which an engine begins to answer, where [`Ending::Finished`] waits for it.
const FINISHED: Duration = Duration::from_secs(30);

/// A socket that hands everything to an engine.
pub struct Proxy {
    folder: TempDir,
    shared: Arc<Shared>,
}

struct Shared {
    engine: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// First lines of all requests, in the order in which they came.
    requests: Vec<String>,
    /// At which request the caller is killed, counted from one, and how.
    kill_at: Option<(usize, Ending)>,
    caller: Option<Pid>,
    /// The caller was killed; nothing more of it reaches the engine.
    killed: bool,
    /// How long answers are held until no further request comes; `None` holds none.
    quiet: Option<Duration>,
    /// When the last request came.
    last: Option<Instant>,
    /// Connections that are open.
    connections: usize,
    /// Answers that were let through together so far.
    rounds: usize,
}

impl Proxy {
    /// Starts one in front of the engine whose `DOCKER_HOST` this is.
    pub fn start(docker_host: &str) -> Proxy {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let listener = UnixListener::bind(folder.path().join("docker.sock")).expect("a socket can be made");
        let engine = PathBuf::from(docker_host.strip_prefix("unix://").expect("a Unix socket"));
        let shared = Arc::new(Shared { engine, state: Mutex::default(), changed: Condvar::new() });
        let accepting = Arc::clone(&shared);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for caller in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || {
                    shared.lock().connections += 1;
                    shared.serve(caller);
                    let mut state = shared.lock();
                    state.connections = state.connections.saturating_sub(1);
                });
            }
        });
        Proxy { folder, shared }
    }

    /// The `DOCKER_HOST` of the socket.
    pub fn docker_host(&self) -> String {
        format!("unix://{}", self.folder.path().join("docker.sock").display())
    }

    /// Forgets all requests, and lets everything through.
    pub fn reset(&self) {
        *self.shared.lock() = State::default();
    }

    /// Kills the caller (SIGKILL) at its `number`-th request, which still reaches the engine. The caller's
    /// first request waits for [`Proxy::caller`].
    pub fn kill_at(&self, number: usize, ending: Ending) {
        *self.shared.lock() = State { kill_at: Some((number, ending)), ..State::default() };
    }

    /// Tells whom to kill.
    pub fn caller(&self, pid: u32) {
        self.shared.lock().caller = Pid::from_raw(pid.cast_signed());
        self.shared.changed.notify_all();
    }

    /// Waits until no connection is left: with [`Ending::Finished`], until the engine has answered.
    pub fn settle(&self) {
        let deadline = Instant::now() + FINISHED;
        while self.shared.lock().connections > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns whether the caller was killed.
    pub fn killed(&self) -> bool {
        self.shared.lock().killed
    }

    /// Holds every answer until no request has come for `quiet`, and then lets all go together: the number of
    /// such releases is the number of dependent rounds.
    pub fn count_rounds(&self, quiet: Duration) {
        *self.shared.lock() = State { quiet: Some(quiet), ..State::default() };
    }

    /// Returns how often answers were let through together.
    pub fn rounds(&self) -> usize {
        self.shared.lock().rounds
    }

    /// Returns the first lines of the requests so far, such as `GET /v1.41/version HTTP/1.1`.
    pub fn requests(&self) -> Vec<String> {
        self.shared.lock().requests.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread of ours panics while it holds the lock")
    }

    fn serve(&self, caller: UnixStream) {
        let Ok(engine) = UnixStream::connect(&self.engine) else { return };
        let (Ok(mut answers), Ok(mut back)) = (engine.try_clone(), caller.try_clone()) else { return };
        // Whether the next bytes from the engine are the beginning of an answer.
        let asked = AtomicBool::new(false);
        let asked = &asked;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(count @ 1..) = answers.read(&mut buffer) {
                    if asked.swap(false, Ordering::SeqCst) {
                        self.hold();
                    }
                    if back.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
                // The caller may be gone already.
                let _ = back.shutdown(Shutdown::Both);
            });
            let ending = self.forward(caller, &engine, asked);
            let deadline = Instant::now() + FINISHED;
            while ending == Ending::Finished && asked.load(Ordering::SeqCst) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            let _ = engine.shutdown(Shutdown::Both);
        });
    }

    /// Hands on one request after the other, until the caller ends or is killed.
    fn forward(&self, mut caller: UnixStream, mut engine: &UnixStream, asked: &AtomicBool) -> Ending {
        let mut read = Vec::new();
        while let Some(head) = read_head(&mut caller, &mut read) {
            let text = String::from_utf8_lossy(&read[..head]).into_owned();
            let Some(kill) = self.count(text.lines().next().unwrap_or_default()) else { break };
            asked.store(true, Ordering::SeqCst);
            if engine.write_all(&read[..head]).is_err() {
                break;
            }
            read.drain(..head);
            let whole = copy_body(&mut caller, engine, &mut read, &text);
            if kill {
                self.kill();
            }
            if whole.is_none() {
                break;
            }
        }
        let state = self.lock();
        if state.killed { state.kill_at.map_or(Ending::AtOnce, |(_, ending)| ending) } else { Ending::AtOnce }
    }

    /// Counts a request. `None` when it must not reach the engine; `Some(true)` at the one that ends the caller.
    fn count(&self, line: &str) -> Option<bool> {
        let mut state = self.lock();
        while state.kill_at.is_some() && state.caller.is_none() {
            state = self.changed.wait(state).expect("no thread of ours panics while it holds the lock");
        }
        let number = state.requests.len() + 1;
        let at = state.kill_at.map(|(at, _)| at);
        if state.killed || at.is_some_and(|at| number > at) {
            return None;
        }
        state.requests.push(line.to_owned());
        state.last = Some(Instant::now());
        Some(at == Some(number))
    }

    fn kill(&self) {
        let mut state = self.lock();
        state.killed = true;
        if let Some(pid) = state.caller {
            kill_process(pid, Signal::KILL).expect("the caller waits for its answer");
        }
    }

    /// Waits for the moment in which held answers are let through.
    fn hold(&self) {
        let mut state = self.lock();
        let Some(quiet) = state.quiet else { return };
        let round = state.rounds + 1;
        loop {
            if state.rounds >= round {
                break;
            }
            let since = state.last.map_or(quiet, |last| last.elapsed());
            if since >= quiet {
                state.rounds = round;
                self.changed.notify_all();
                break;
            }
            let waited = self.changed.wait_timeout(state, quiet - since);
            state = waited.expect("no thread of ours panics while it holds the lock").0;
        }
    }
}

/// Reads until the head of a request is complete, and returns its length.
fn read_head(caller: &mut UnixStream, read: &mut Vec<u8>) -> Option<usize> {
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(end + 4);
        }
        more(caller, read)?;
    }
}

fn more(caller: &mut UnixStream, read: &mut Vec<u8>) -> Option<()> {
    let mut buffer = [0; 65536];
    match caller.read(&mut buffer) {
        Ok(count @ 1..) => {
            read.extend_from_slice(&buffer[..count]);
            Some(())
        }
        _ => None,
    }
}

/// Hands on a body, of known length or in chunks.
fn copy_body(caller: &mut UnixStream, mut engine: &UnixStream, read: &mut Vec<u8>, head: &str) -> Option<()> {
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
            .next()
            .map(str::to_owned)
    };
    if header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        while !read.ends_with(b"0\r\n\r\n") {
            more(caller, read)?;
        }
        engine.write_all(read).ok()?;
        read.clear();
        return Some(());
    }
    let length: usize = header("content-length").map_or(0, |length| length.parse().expect("a length"));
    while read.len() < length {
        more(caller, read)?;
    }
    engine.write_all(&read[..length]).ok()?;
    read.drain(..length);
    Some(())
}
