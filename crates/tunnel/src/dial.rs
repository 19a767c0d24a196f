//! Getting a connected socket to a server: by TCP, through a jump host, or over a local command.

use std::io::Read as _;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::pin::Pin;
use std::process::{Child, ChildStderr, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::doing;
use crate::options::{ConnectOptions, Proxy};
use crate::process::tail;
use crate::{Error, Login, Session, Stream, lock};

/// What must live as long as the socket.
#[derive(Debug)]
pub(crate) enum Guard {
    None,
    /// The connection to the jump host, perhaps one of several that hold it, and the task that carries bytes.
    Jump {
        _session: Arc<Session>,
        carrier: tokio::task::JoinHandle<()>,
    },
    /// The proxy command; ended with the connection.
    Command(Child, Words),
}

impl Guard {
    /// Adds what the proxy command says to the failure of a handshake through it.
    pub(crate) fn explain(&self, error: Error) -> Error {
        match (self, error) {
            (Self::Command(_, words), Error::Handshake { host, source }) => {
                let source = match words.heard() {
                    heard if heard.is_empty() => source,
                    heard => format!("{source}; the proxy command says: {heard}").into(),
                };
                Error::Handshake { host, source }
            }
            (_, error) => error,
        }
    }
}

/// The end of what a program writes to its standard error.
#[derive(Debug)]
pub(crate) struct Words {
    said: Arc<Mutex<Vec<u8>>>,
    /// Its other end goes when the program's standard error does.
    ended: mpsc::Receiver<()>,
}

impl Words {
    /// So many bytes are kept.
    const LIMIT: usize = 4096;

    fn of(mut stderr: ChildStderr) -> std::io::Result<Self> {
        let said = Arc::<Mutex<Vec<u8>>>::default();
        let (end, ended) = mpsc::channel();
        let heard = Arc::clone(&said);
        let listen = move || {
            let _end = end;
            let mut block = [0; 1024];
            while let Ok(size @ 1..) = stderr.read(&mut block) {
                let mut heard = lock(&heard);
                heard.extend_from_slice(&block[..size]);
                let excess = heard.len().saturating_sub(Self::LIMIT);
                heard.drain(..excess);
            }
        };
        std::thread::Builder::new().name("ssh proxy".into()).spawn(listen)?;
        Ok(Self { said, ended })
    }

    /// Returns the last lines. A program that fails has said why before it ends, which takes a moment.
    fn heard(&self) -> String {
        let _ = self.ended.recv_timeout(Duration::from_secs(1));
        tail(&String::from_utf8_lossy(&lock(&self.said)))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        match self {
            Self::None => {}
            Self::Jump { carrier, .. } => carrier.abort(),
            Self::Command(child, _) => {
                // Its own process group: `ssh -W` and what a shell started end together.
                if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
                    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
                }
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Connects once, within `connect_timeout`.
pub(crate) async fn dial(options: &ConnectOptions) -> Result<(OwnedFd, Guard), Error> {
    match &options.proxy {
        Proxy::None => Ok((tcp(options).await?, Guard::None)),
        Proxy::Command(command) => command_socket(options, command),
        Proxy::Jump(hops) => jump(options, hops).await,
    }
}

/// Tries the addresses of the host one after the other. An error names each of them: which one is dead is what a
/// reader needs to know of a host that has both IPv6 and IPv4.
async fn tcp(options: &ConnectOptions) -> Result<OwnedFd, Error> {
    let host = options.label().to_owned();
    let deadline = Instant::now() + options.connect_timeout;
    let late = |doing: String| Error::Timeout { host: host.clone(), doing, after: options.connect_timeout };
    let failed =
        |source: crate::Cause| Error::Connect { host: host.clone(), port: options.port, attempts: 1, source };
    let lookup = tokio::net::lookup_host((options.host.as_str(), options.port));
    let mut addresses: Vec<SocketAddr> = Vec::new();
    match timeout_at(deadline, lookup).await {
        Err(_) => return Err(late(doing::LOOKUP.into())),
        Ok(Err(error)) => return Err(Error::Lookup { host, source: error.into() }),
        Ok(Ok(found)) => {
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    let (mut refusals, mut silent) = (Vec::new(), 0);
    let count = addresses.len();
    for (index, address) in addresses.iter().enumerate() {
        // Each address gets its part of the time that is left, so that a dead IPv6 route leaves some
        // for IPv4.
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / (count - index) as u32;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return prepare(stream).map_err(|error| failed(error.into())),
            Ok(Err(error)) => refusals.push(format!("{}: {error}", address.ip())),
            Err(_) => {
                silent += 1;
                refusals.push(format!("{}: no answer within {:.1} s", address.ip(), share.as_secs_f64()));
            }
        }
    }
    if count == 0 {
        return Err(failed("the name has no address".into()));
    }
    if silent < count {
        return Err(failed(refusals.join("; ").into()));
    }
    let mut doing = format!("{} {}", doing::CONNECT, options.port);
    if options.host.parse::<IpAddr>().is_err() {
        let names: Vec<String> = addresses.iter().map(|address| address.ip().to_string()).collect();
        doing.push_str(&format!(" of {}", names.join(" and of ")));
    }
    Err(late(doing))
}

/// Writes a host and a port as one word, an IPv6 address in brackets (RFC 3986 §3.2.2).
pub fn authority(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Small packets leave at once; TCP's own keepalive notices what ours is switched off for.
fn prepare(stream: TcpStream) -> std::io::Result<OwnedFd> {
    stream.set_nodelay(true)?;
    let socket = OwnedFd::from(stream.into_std()?);
    rustix::net::sockopt::set_socket_keepalive(&socket, true)?;
    Ok(socket)
}

fn pair() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

fn command_socket(options: &ConnectOptions, command: &str) -> Result<(OwnedFd, Guard), Error> {
    let failed = |error: std::io::Error| Error::Connect {
        host: options.label().to_owned(),
        port: options.port,
        attempts: 1,
        source: format!("proxy command `{command}`: {error}").into(),
    };
    let (ours, theirs) = pair().map_err(failed)?;
    // Programs expect standard streams that wait.
    rustix::io::ioctl_fionbio(&theirs, false).map_err(|error| failed(error.into()))?;
    let input = theirs.try_clone().map_err(failed)?;
    let mut child = std::process::Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(theirs))
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let stderr = child.stderr.take().expect("its standard error is a pipe");
    let words = Words::of(stderr).map_err(failed)?;
    Ok((ours, Guard::Command(child, words)))
}

/// Returns the last hop, which opens the channel to the server, with those before it as its own way.
pub(crate) fn last_hop(hops: &[ConnectOptions]) -> Option<ConnectOptions> {
    let (last, before) = hops.split_last()?;
    let mut hop = last.clone();
    if !before.is_empty() {
        hop.proxy = Proxy::Jump(before.to_vec());
    }
    Some(hop)
}

/// Goes through the hops, nearest first; the last one opens a channel to the server.
async fn jump(options: &ConnectOptions, hops: &[ConnectOptions]) -> Result<(OwnedFd, Guard), Error> {
    let Some(hop) = last_hop(hops) else {
        return Ok((tcp(options).await?, Guard::None));
    };
    let (session, mut channel) = through(options, hop).await?;
    let failed = |error: std::io::Error| Error::Connect {
        host: options.label().to_owned(),
        port: options.port,
        attempts: 1,
        source: error.into(),
    };
    let (ours, theirs) = pair().map_err(failed)?;
    let mut theirs = UnixStream::from_std(theirs.into()).map_err(failed)?;
    let carrier = tokio::spawn(async move {
        // Either end ends both: the session above sees a closed connection.
        let _ =
            tokio::io::copy_bidirectional_with_sizes(&mut theirs, &mut channel, 64 * 1024, 64 * 1024).await;
    });
    Ok((ours, Guard::Jump { _session: session, carrier }))
}

/// Opens a channel to the server on a connection to the hop: that of all who go through it, or one of our own.
///
/// A connection opens one channel at a time. Where it waits for a server that does not answer, the others take a
/// further one, which they share again; where the hop gives none, they wait too.
async fn through(options: &ConnectOptions, hop: ConnectOptions) -> Result<(Arc<Session>, Stream), Error> {
    let sessions = options.jumps.upgrade().unwrap_or_default();
    let (host, port, limit) = (options.host.as_str(), options.port, options.connect_timeout);
    let (login, gateway) = (Login::from(&hop), hop.label().to_owned());
    let late = |_| Error::Timeout {
        host: options.label().to_owned(),
        doing: format!("{} {port} through `{gateway}`", doing::CONNECT),
        after: limit,
    };
    let pass = async |session: Arc<Session>| {
        let opened = timeout(limit, session.open_tcp_unless_held_up(host, port)).await.map_err(late)?;
        Ok(opened?.map(|stream| (session, stream)))
    };
    let wait = async |session: Arc<Session>| {
        let opened = timeout(limit, session.open_tcp(host, port)).await.map_err(late)?;
        Ok((session, opened?))
    };
    for number in 0.. {
        let login = login.further(number);
        if number > 0 {
            tracing::debug!(
                host = options.label(),
                gateway,
                number,
                "a server is slow; by a further connection"
            );
            if sessions.get(&login, || connect(hop.clone())).await.is_err() {
                break;
            }
        }
        if let Some(both) = sessions.repeat(&login, || connect(hop.clone()), pass).await? {
            return Ok(both);
        }
    }
    sessions.repeat(&login, || connect(hop.clone()), wait).await
}

/// Connects to a hop. Its own type, and not that of the function, ends the circle: a hop may have a hop.
fn connect(hop: ConnectOptions) -> Pin<Box<dyn Future<Output = Result<Session, Error>> + Send>> {
    Box::pin(Session::connect(hop))
}

/// Between two attempts.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
