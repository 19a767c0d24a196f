//! Local ports that lead to something behind a host, for programs that know nothing of SSH.
//!
//! A port on the loopback address is open to every user of this machine while it lasts; streams opened
//! with [`Session::open_unix`] need none.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Error, Session, Stream};

/// Where a local port leads, as seen from the remote host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Behind {
    /// A Unix socket.
    Unix(String),
    /// A TCP port.
    Tcp(String, u16),
}

impl Behind {
    /// Opens one stream to it.
    ///
    /// # Errors
    ///
    /// As for [`Session::open_unix`] and [`Session::open_tcp`].
    pub async fn open(&self, session: &Session) -> Result<Stream, Error> {
        match self {
            Self::Unix(path) => session.open_unix(path).await,
            Self::Tcp(host, port) => session.open_tcp(host, *port).await,
        }
    }
}

/// Numbers local ports of one run: the first forward gets its start port, the next one the port after
/// that, and so on, whatever host it is for (clients-tasks §2.5). Share one value among all.
#[derive(Debug, Default)]
pub struct LocalPorts {
    opened: AtomicU16,
}

/// How many busy ports are passed over.
const TRIES: u16 = 100;

impl LocalPorts {
    /// Listens on 127.0.0.1, at once. Without a start port the system chooses. The second value names the
    /// ports that were busy.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when a hundred ports in a row are busy, or when the system does not let us listen
    /// there (ports below 1024).
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn listen(&self, start: Option<u16>) -> Result<(TcpListener, Vec<u16>), Error> {
        let Some(start) = start else {
            let listener = bind(0).map_err(|error| Error::Input(format!("no free local port: {error}")))?;
            return Ok((listener, Vec::new()));
        };
        let mut busy = Vec::new();
        for _ in 0..TRIES {
            // Taken before it is tried, so that others running at once try another.
            let offset = self.opened.fetch_add(1, Ordering::Relaxed);
            let Some(port) = start.checked_add(offset) else { break };
            match bind(port) {
                Ok(listener) => return Ok((listener, busy)),
                Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => busy.push(port),
                Err(error) => {
                    return Err(Error::Input(format!("cannot listen on 127.0.0.1:{port}: {error}")));
                }
            }
        }
        Err(Error::Input(format!("no free local port found from {start}")))
    }
}

/// Binds without waiting: the loopback address needs no look-up.
fn bind(port: u16) -> std::io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// A local port that leads behind a host. Dropping it stops listening and ends its connections.
#[derive(Debug)]
pub struct Forward {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Forward {
    /// Serves a listener. Every connection becomes a stream of its own; one that fails is closed and
    /// logged, and does not end the others.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the listener has no address.
    pub fn serve(listener: TcpListener, session: Arc<Session>, behind: Behind) -> Result<Self, Error> {
        Self::serve_with(listener, move || {
            let (session, behind) = (Arc::clone(&session), behind.clone());
            async move { behind.open(&session).await }
        })
    }

    /// As [`Forward::serve`], with a stream that the caller opens for each connection: one that outlives
    /// a session connects anew.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] when the listener has no address.
    pub fn serve_with<Open, Opening>(listener: TcpListener, open: Open) -> Result<Self, Error>
    where
        Open: Fn() -> Opening + Send + Sync + 'static,
        Opening: Future<Output = Result<Stream, Error>> + Send + 'static,
    {
        let address = listener.local_addr().map_err(|error| Error::Input(error.to_string()))?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(accept(listener, open, stopped));
        Ok(Self { address, stop, task })
    }

    /// Returns the address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, gives connections five seconds to end, and ends those that did not.
    pub async fn close(mut self) {
        // The receiver is gone only if the task is.
        let _ = self.stop.send(true);
        let _ = (&mut self.task).await;
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<Open, Opening>(listener: TcpListener, open: Open, mut stopped: watch::Receiver<bool>)
where
    Open: Fn() -> Opening,
    Opening: Future<Output = Result<Stream, Error>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let opening = open();
                    connections.spawn(async move {
                        if let Err(error) = carry(opening, socket).await {
                            tracing::warn!(%peer, error = %chain(&error), "incoming request was not forwarded");
                        }
                    });
                }
                // Out of descriptors, most likely: others may end meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = stopped.changed() => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(5), ended).await;
}

async fn carry(
    opening: impl Future<Output = Result<Stream, Error>>,
    mut socket: TcpStream,
) -> Result<(), Error> {
    // Without it a small write waits for the acknowledgement of the one before.
    let _ = socket.set_nodelay(true);
    let mut stream = opening.await?;
    const BLOCK: usize = 64 * 1024;
    match tokio::io::copy_bidirectional_with_sizes(&mut socket, &mut stream, BLOCK, BLOCK).await {
        Ok(_) => Ok(()),
        // A stream's own errors are ours and name the host; any other is of the local socket, one side of which
        // reset the connection: an end like any other.
        Err(error) => error.downcast::<Error>().map_or(Ok(()), Err),
    }
}

fn chain(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ports_count_up_and_pass_over_busy_ones() {
        let ports = LocalPorts::default();
        // A block of free ports, as far as one can know.
        let start = (20_000..60_000)
            .step_by(10)
            .find(|&port| {
                (port..port + 4).all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok())
            })
            .unwrap();
        let (first, busy) = ports.listen(Some(start)).unwrap();
        assert_eq!((first.local_addr().unwrap().port(), busy), (start, vec![]));
        let _taken = std::net::TcpListener::bind(("127.0.0.1", start + 1)).unwrap();
        let (second, busy) = ports.listen(Some(start)).unwrap();
        assert_eq!((second.local_addr().unwrap().port(), busy), (start + 2, vec![start + 1]));
        let (any, _) = ports.listen(None).unwrap();
        assert!(any.local_addr().unwrap().ip().is_loopback());
    }

    #[tokio::test]
    async fn the_last_port_is_the_end() {
        let ports = LocalPorts { opened: AtomicU16::new(10) };
        let error = ports.listen(Some(65_530)).unwrap_err();
        assert_eq!(error.to_string(), "no free local port found from 65530");
    }
}
