//! A connection as callers see it: opens streams, runs commands, closes.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::known_hosts::Key;
use crate::options::ConnectOptions;
use crate::owner::link::Link;
use crate::owner::login::{self, Refusal, Tried};
use crate::owner::{Job, OpenFailure, OpenTurn, Order, Owner, Target, TcpOpen};
use crate::port::Handle;
use crate::wake::Wake;
use crate::{Error, Process, Stream, Way, dial, lock, unix};

/// A pseudo-terminal for a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pty {
    /// Terminal type, the remote `TERM`.
    pub term: String,
    /// Width in characters.
    pub columns: u32,
    /// Height in characters.
    pub rows: u32,
}

impl Default for Pty {
    /// `vt100`, 80 by 24.
    fn default() -> Self {
        Self { term: "vt100".into(), columns: 80, rows: 24 }
    }
}

/// What was seen while a connection was made, for people who want to know how they got in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrival {
    /// Address of the server; `None` behind a jump host or a proxy command.
    pub peer: Option<SocketAddr>,
    /// The server's own name and version, for example `SSH-2.0-OpenSSH_9.2p1`.
    pub server: String,
    /// Type and fingerprint of its host key, for example `ssh-ed25519 SHA256:…`.
    pub host_key: String,
    /// What let us in, for example ``key `/home/me/.ssh/id_ed25519` ``.
    pub login: String,
}

/// A logged-in SSH connection.
///
/// All methods take `&self` and may be called from many tasks at once; put it into an `Arc` to share
/// it. Streams and commands do not keep it alive: dropping it ends its thread, and with it all of
/// them. [`Session::close`] does the same in order and reports.
#[derive(Debug)]
pub struct Session {
    options: ConnectOptions,
    orders: Mutex<Sender<Order>>,
    wake: Arc<Wake>,
    /// Why the thread ended, once it has.
    end: Arc<OnceLock<Error>>,
    execs: Arc<Semaphore>,
    tcp_open: Arc<TcpOpen>,
    /// A second connection, for what would have to wait for a slow TCP port on this one.
    side: tokio::sync::OnceCell<Option<Box<Session>>>,
    arrival: Arrival,
    pub(crate) ways: unix::Ways,
}

impl Session {
    /// Connects, checks the host key and logs in.
    ///
    /// Attempts that do not reach the server are repeated as `attempts` says. Dropping the future ends
    /// the attempt.
    ///
    /// # Errors
    ///
    /// [`Error::Lookup`], [`Error::Connect`], [`Error::Timeout`], [`Error::Handshake`],
    /// [`Error::HostKey`], [`Error::Login`], [`Error::Disconnected`].
    pub async fn connect(options: ConnectOptions) -> Result<Self, Error> {
        let mut attempt = 0;
        let mut tried = Tried::default();
        loop {
            attempt += 1;
            match Self::connect_once(&options, tried.clone()).await {
                Ok(session) => return Ok(session),
                // The server counted keys; each round tries at least one more, so this ends.
                Err(Refusal::TooManyKeys(by_now)) => {
                    tracing::debug!(host = options.label(), tried = ?by_now, "too many keys for one connection");
                    tried = by_now;
                    attempt -= 1;
                }
                Err(Refusal::Cancelled) => return Err(Error::Closed { host: options.label().to_owned() }),
                Err(Refusal::Failed(error)) => {
                    if attempt >= options.attempts.max(1) || !is_worth_repeating(&error) {
                        return Err(match error {
                            Error::Connect { host, port, source, .. } => {
                                Error::Connect { host, port, attempts: attempt, source }
                            }
                            other => other,
                        });
                    }
                    tracing::debug!(host = options.label(), attempt, %error, "trying again");
                    tokio::time::sleep(dial::PAUSE).await;
                }
            }
        }
    }

    async fn connect_once(options: &ConnectOptions, tried: Tried) -> Result<Self, Refusal> {
        let (socket, guard) = dial::dial(options).await?;
        let peer = rustix::net::getpeername(&socket).ok().and_then(|peer| SocketAddr::try_from(peer?).ok());
        let failed = |error: std::io::Error| Error::Handshake {
            host: options.label().to_owned(),
            source: error.into(),
        };
        let wake = Arc::new(Wake::new().map_err(failed)?);
        let (orders, inbox) = mpsc::channel();
        let (ready, connected) = oneshot::channel();
        let end = Arc::new(OnceLock::new());
        let tcp_open = Arc::<TcpOpen>::default();
        let thread = {
            let (options, wake, end) = (options.clone(), Arc::clone(&wake), Arc::clone(&end));
            let slow = Arc::clone(&tcp_open);
            move || {
                // Dropped last: the connection says goodbye through it.
                let way = guard;
                let mut ready = Some(ready);
                let result = prepare(socket, &wake, &options, tried, &|| {
                    ready.as_ref().is_some_and(oneshot::Sender::is_closed)
                });
                let Some(ready) = ready.take() else { return };
                let (link, login) = match result {
                    Ok(both) => both,
                    Err(refusal) => {
                        let refusal = match refusal {
                            Refusal::Failed(error) => Refusal::Failed(way.explain(error)),
                            refusal => refusal,
                        };
                        let _ = ready.send(Err(refusal));
                        return;
                    }
                };
                let key = link.session.host_key().map(|(blob, _)| Key { blob: blob.to_vec() });
                let key = key.map(|key| format!("{} {}", key.algorithm(), key.fingerprint()));
                let server = link.session.banner().unwrap_or_default().to_owned();
                let arrival = Arrival { peer, server, host_key: key.unwrap_or_default(), login };
                let host = options.label().to_owned();
                let owner = Owner::new(link, inbox, host, options.keepalive, slow);
                if ready.send(Ok(arrival)).is_ok() {
                    owner.run(&end);
                }
            }
        };
        let name = format!("ssh {}", options.label());
        // Linux shows 15 bytes of a thread's name; the builder refuses none but NUL.
        std::thread::Builder::new().name(name.replace('\0', "")).spawn(thread).map_err(failed)?;
        let ring = RingOnDrop(Arc::clone(&wake));
        let arrival = match connected.await {
            Ok(Ok(arrival)) => arrival,
            Ok(Err(refusal)) => return Err(refusal),
            Err(_) => {
                let source = "the connection's thread ended".into();
                return Err(Error::Disconnected { host: options.label().to_owned(), source }.into());
            }
        };
        drop(ring);
        Ok(Self {
            execs: Arc::new(Semaphore::new(options.max_exec_channels.max(1))),
            tcp_open,
            side: tokio::sync::OnceCell::new(),
            options: options.clone(),
            orders: Mutex::new(orders),
            wake,
            end,
            arrival,
            ways: unix::Ways::default(),
        })
    }

    /// Returns the host as messages name it.
    pub fn host(&self) -> &str {
        self.options.label()
    }

    /// Returns what the connection was made from.
    pub fn options(&self) -> &ConnectOptions {
        &self.options
    }

    /// Returns the server's own name and version, for example `SSH-2.0-OpenSSH_9.2p1`.
    pub fn server(&self) -> &str {
        &self.arrival.server
    }

    /// Returns what was seen while connecting.
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Whether the connection stands, as far as is known.
    pub fn is_alive(&self) -> bool {
        self.end.get().is_none()
    }

    /// Opens a stream to a Unix socket of the remote host, the way that `way` says; see
    /// [`Way`]. With [`Way::Auto`] the first way that works is remembered for the connection.
    ///
    /// # Errors
    ///
    /// [`Error::Socket`] with what was found out and how to mend it; [`Error::Disconnected`],
    /// [`Error::Closed`], [`Error::Timeout`].
    pub async fn open_unix(&self, path: &str) -> Result<Stream, Error> {
        unix::open(self, path, self.options.way).await
    }

    /// Opens a stream to a Unix socket in one particular way.
    ///
    /// # Errors
    ///
    /// As for [`Session::open_unix`].
    pub async fn open_unix_by(&self, path: &str, way: Way) -> Result<Stream, Error> {
        unix::open(self, path, way).await
    }

    /// Opens a stream to a TCP port as seen from the remote host (`direct-tcpip`). Names are resolved
    /// there.
    ///
    /// # Errors
    ///
    /// [`Error::Forward`] when the server or the port refuses; [`Error::Disconnected`],
    /// [`Error::Closed`], [`Error::Timeout`].
    pub async fn open_tcp(&self, host: &str, port: u16) -> Result<Stream, Error> {
        self.open_tcp_in_turn(host, port, &Arc::default()).await
    }

    /// Opens a stream like [`Session::open_tcp`]. Returns `None` where it would have to wait for another port that does
    /// not answer: the caller may have another connection.
    pub(crate) async fn open_tcp_unless_held_up(
        &self,
        host: &str,
        port: u16,
    ) -> Result<Option<Stream>, Error> {
        let turn = Arc::<OpenTurn>::default();
        tokio::select! {
            opened = self.open_tcp_in_turn(host, port, &turn) => opened.map(Some),
            () = self.held_up(&turn) => Ok(None),
        }
    }

    async fn open_tcp_in_turn(&self, host: &str, port: u16, turn: &Arc<OpenTurn>) -> Result<Stream, Error> {
        let target = Target::Tcp(host.to_owned(), port);
        match self.open(target, "opening a TCP stream", turn).await? {
            Ok(handle) => Ok(Stream::direct(handle)),
            Err(why) => Err(Error::Forward {
                host: self.host().to_owned(),
                address: dial::authority(host, port),
                why: self.explain(&why),
            }),
        }
    }

    /// Starts a command line, as the login shell of the remote user reads it. Nothing is quoted or
    /// wrapped; see [`crate::Command`] for that.
    ///
    /// # Errors
    ///
    /// [`Error::Exec`] when the server refuses; [`Error::Disconnected`], [`Error::Closed`],
    /// [`Error::Timeout`]. A command that is not found is no error here: shells say so by status 127.
    pub async fn exec(&self, command: &str) -> Result<Process, Error> {
        self.exec_with(command, command, None).await
    }

    /// Starts a command line under another name for messages, perhaps with a terminal.
    pub(crate) async fn exec_with(
        &self,
        command: &str,
        shown: &str,
        pty: Option<Pty>,
    ) -> Result<Process, Error> {
        let handle = self.exec_handle(command, shown, pty, true).await?;
        Ok(Process::new(self.host().to_owned(), shown.to_owned(), handle))
    }

    pub(crate) async fn exec_handle(
        &self,
        command: &str,
        shown: &str,
        pty: Option<Pty>,
        end_on_drop: bool,
    ) -> Result<Handle, Error> {
        let target = Target::Exec { command: command.as_bytes().to_vec(), pty, end_on_drop };
        match self.open(target, "starting a command", &Arc::default()).await? {
            Ok(handle) => Ok(handle),
            Err(why) => Err(Error::Exec {
                host: self.host().to_owned(),
                command: shown.to_owned(),
                why: self.explain(&why),
            }),
        }
    }

    pub(crate) async fn streamlocal(&self, path: &str) -> Result<Result<Handle, String>, Error> {
        let target = Target::Streamlocal(path.to_owned());
        self.open(target, "opening a stream to a socket", &Arc::default()).await
    }

    /// Opens a channel. The inner error is the server's reason to refuse it.
    async fn open(
        &self,
        target: Target,
        doing: &str,
        turn: &Arc<OpenTurn>,
    ) -> Result<Result<Handle, String>, Error> {
        let limit = self.options.open_timeout;
        let opened = async {
            let here = self.open_here(target.clone(), limit, turn);
            if matches!(target, Target::Tcp(..)) {
                return here.await;
            }
            tokio::select! {
                opened = here => opened,
                side = self.way_round(turn) => {
                    tracing::debug!(host = self.host(), doing, "a TCP port is slow; by a second connection");
                    side.open_here(target.clone(), limit, &Arc::default()).await
                }
            }
        };
        tokio::time::timeout(limit, opened).await.unwrap_or_else(|_| {
            Err(Error::Timeout { host: self.host().to_owned(), doing: doing.to_owned(), after: limit })
        })
    }

    async fn open_here(
        &self,
        target: Target,
        limit: Duration,
        turn: &Arc<OpenTurn>,
    ) -> Result<Result<Handle, String>, Error> {
        let permit = match &target {
            Target::Exec { .. } => {
                let permit = Arc::clone(&self.execs).acquire_owned().await;
                Some(permit.expect("the semaphore is never closed"))
            }
            Target::Streamlocal(_) | Target::Tcp(..) => None,
        };
        let (reply, answer) = oneshot::channel();
        let deadline = Instant::now() + limit.mul_f64(0.95);
        let job = Job { target, reply: Some(reply), permit, deadline, turn: Arc::clone(turn), begun: false };
        self.order(Order::Open(job))?;
        match answer.await {
            Ok(Ok(handle)) => Ok(Ok(handle)),
            Ok(Err(OpenFailure::Refused(why))) => Ok(Err(why)),
            Ok(Err(OpenFailure::Failed(error))) => Err(error),
            Err(_) => Err(self.gone()),
        }
    }

    /// Waits until an open stands behind a TCP port that does not answer, and takes it from this connection. Never
    /// returns for one that this connection has begun with.
    async fn held_up(&self, turn: &OpenTurn) {
        self.slow_port().await;
        if !turn.take() {
            std::future::pending().await
        }
    }

    /// Waits until an open stands behind a TCP port that does not answer, has it taken from this
    /// connection, and returns the second one. Never returns for one that this connection has begun with.
    async fn way_round(&self, turn: &OpenTurn) -> &Session {
        self.slow_port().await;
        let side = self.side.get_or_init(|| async {
            let mut options = self.options.clone();
            // Nobody is asked for the same once more; without it, the open waits as it must.
            options.auth.prompt = None;
            Box::pin(Self::connect(options)).await.ok().map(Box::new)
        });
        match side.await {
            Some(side) if side.is_alive() && turn.take() => side,
            _ => std::future::pending().await,
        }
    }

    /// Waits until this connection is opening a stream to a TCP port that does not answer.
    async fn slow_port(&self) {
        loop {
            tokio::time::sleep(SLOW_TCP).await;
            if self.tcp_open.takes_longer_than(SLOW_TCP) {
                return;
            }
        }
    }

    fn order(&self, order: Order) -> Result<(), Error> {
        lock(&self.orders).send(order).map_err(|_| self.gone())?;
        self.wake.ring();
        Ok(())
    }

    fn gone(&self) -> Error {
        self.end.get().cloned().unwrap_or_else(|| Error::Disconnected {
            host: self.host().to_owned(),
            source: "the connection's thread ended".into(),
        })
    }

    /// libssh2's words for a refused channel, without its prefix.
    fn explain(&self, why: &str) -> String {
        why.strip_prefix("Channel open failure (")
            .and_then(|why| why.strip_suffix(')'))
            .map_or_else(|| why.to_owned(), |why| format!("the server refuses: {why}"))
    }

    /// Closes the connection: streams get their last bytes out (5 s at most) and commands their signal
    /// (15 s at most), the server is told, and the thread ends.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the connection had broken before, [`Error::Timeout`] when the
    /// thread does not answer within 20 s. The connection is gone in any case.
    pub async fn close(&self) -> Result<(), Error> {
        const LIMIT: Duration = Duration::from_secs(20);
        if let Some(Some(side)) = self.side.get() {
            // What it reports is not what was asked for.
            let _ = Box::pin(side.close()).await;
        }
        let (reply, answer) = oneshot::channel();
        match self.order(Order::Close(reply)) {
            Err(Error::Closed { .. }) => return Ok(()),
            result => result?,
        }
        match tokio::time::timeout(LIMIT, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => match self.gone() {
                Error::Closed { .. } => Ok(()),
                error => Err(error),
            },
            Err(_) => Err(Error::Timeout {
                host: self.host().to_owned(),
                doing: "closing the connection".into(),
                after: LIMIT,
            }),
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The owner sees the sender go only after the fields are dropped; this order wakes it, and
        // asks for the same.
        let (reply, _) = oneshot::channel();
        let _ = self.order(Order::Close(reply));
    }
}

/// After this long without an answer about a TCP port, others go round it.
const SLOW_TCP: Duration = Duration::from_secs(1);

/// Wakes the thread when the caller gives up, so that it notices.
struct RingOnDrop(Arc<Wake>);

impl Drop for RingOnDrop {
    fn drop(&mut self) {
        self.0.ring();
    }
}

pub(crate) fn prepare(
    socket: std::os::fd::OwnedFd,
    wake: &Arc<Wake>,
    options: &ConnectOptions,
    tried: Tried,
    cancelled: &dyn Fn() -> bool,
) -> Result<(Link, String), Refusal> {
    let mut link = Link::new(socket, Arc::clone(wake)).map_err(|failure| Error::Handshake {
        host: options.label().to_owned(),
        source: failure.message.into(),
    })?;
    login::handshake(&mut link, options, cancelled)?;
    let login = login::login(&mut link, options, tried, cancelled)?;
    Ok((link, login))
}

/// Whether another attempt may end otherwise: the server was not reached, or was too busy to go on
/// (`MaxStartups` closes connections during the handshake).
fn is_worth_repeating(error: &Error) -> bool {
    matches!(
        error,
        Error::Connect { .. } | Error::Timeout { .. } | Error::Handshake { .. } | Error::Lookup { .. }
    )
}
