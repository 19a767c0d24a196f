//! The HTTP client under the API backend: pooled connections from a [`Connector`], the `/v1.xx`
//! prefix in every path, and the count of requests.
//!
//! bollard sends its requests through this client too. It builds its paths by `Url::join`, which
//! drops its own version prefix (0.21.1), so the prefix is put in here, for its requests and ours.

use std::fmt;
use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::{Either, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::connector::{Connector, Stream};
use crate::error::Source;
use crate::tls;

/// A request's body in bollard's form, so that both kinds of requests share one client.
pub(super) type Body =
    Either<Full<Bytes>, StreamBody<Pin<Box<dyn futures_util::Stream<Item = Chunk> + Send>>>>;

type Chunk = Result<Frame<Bytes>, std::io::Error>;

/// How long an unused connection is kept. An engine keeps them without limit; over SSH each one is a
/// channel that others may want.
const KEEP_IDLE: Duration = Duration::from_secs(60);

/// The pooled HTTP client of one engine.
pub(super) struct Transport {
    client: Client<Pool, Body>,
    connections: Arc<Semaphore>,
    version: OnceLock<(u32, u32)>,
    requests: AtomicU64,
}

impl Transport {
    /// At most `connections` are open at a time; requests beyond wait for one to be free.
    pub(super) fn new(connector: Arc<dyn Connector>, connections: usize) -> Self {
        let limit = Arc::new(Semaphore::new(connections));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEEP_IDLE)
            .pool_max_idle_per_host(connections)
            .build(Pool { connector, limit: Arc::clone(&limit) });
        Self { client, connections: limit, version: OnceLock::new(), requests: AtomicU64::new(0) }
    }

    /// Fixes the API version of all later requests. Only the first call counts.
    pub(super) fn set_version(&self, version: (u32, u32)) {
        // A second caller negotiated with the same engine and has the same version.
        let _ = self.version.set(version);
    }

    /// Lets so many connections fewer be open at a time.
    pub(super) fn forget(&self, connections: usize) {
        self.connections.forget_permits(connections);
    }

    /// Returns how many requests were sent.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends a request whose URI has a path such as `/containers/json`.
    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<Response<Incoming>, Failed> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if let Some((major, minor)) = self.version.get() {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let path = format!("http://localhost/v{major}.{minor}{path}");
            *request.uri_mut() = path.parse().map_err(|error| Failed::Request(Arc::new(error)))?;
        }
        tracing::trace!(method = %request.method(), path = request.uri().path(), "request");
        self.client.request(request).await.map_err(Failed::from)
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        // Connects that wait for a free place would otherwise go on when the pool gives theirs up.
        self.connections.close();
    }
}

/// Why a request was not answered. Cheap to clone, because it travels inside foreign errors.
#[derive(Clone, Debug)]
pub(super) enum Failed {
    /// No connection; what the connector said.
    Connect(Arc<dyn std::error::Error + Send + Sync>),
    /// The connection broke, or what came over it is not HTTP.
    Exchange(Arc<legacy::Error>),
    /// The request could not be built.
    Request(Arc<http::uri::InvalidUri>),
}

impl From<legacy::Error> for Failed {
    fn from(error: legacy::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            if let Some(failed) = found.downcast_ref::<Self>() {
                return failed.clone();
            }
            // An engine may refuse our certificate after the handshake: that is no connection either.
            let inner = found.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            if let Some(refused) = inner.and_then(|inner| inner.downcast_ref::<tls::Error>()) {
                return Self::Connect(Arc::new(refused.clone()));
            }
            cause = found.source();
        }
        Self::Exchange(Arc::new(error))
    }
}

// The wrapper adds nothing to what it carries: it says the same and has the same source.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => error.fmt(f),
            Self::Exchange(_) => f.write_str("the connection broke"),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(error) => error.source(),
            Self::Exchange(error) => Some(error.as_ref()),
            Self::Request(error) => error.source(),
        }
    }
}

/// The connector in hyper's terms.
#[derive(Clone)]
struct Pool {
    connector: Arc<dyn Connector>,
    limit: Arc<Semaphore>,
}

impl tower_service::Service<Uri> for Pool {
    type Response = Pooled;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Pooled, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let pool = self.clone();
        Box::pin(async move {
            // hyper takes a connection that gets free meanwhile, so waiting here blocks nobody.
            let closed = |error| Failed::Connect(Arc::new(error));
            let permit = pool.limit.acquire_owned().await.map_err(closed)?;
            let stream =
                pool.connector.connect().await.map_err(|error: Source| Failed::Connect(error.into()))?;
            Ok(Pooled { io: TokioIo::new(stream), _permit: permit })
        })
    }
}

/// A connection of the pool; closing it frees its place.
struct Pooled {
    io: TokioIo<Box<dyn Stream>>,
    _permit: OwnedSemaphorePermit,
}

impl Connection for Pooled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for Pooled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<(), std::io::Error>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Pooled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, std::io::Error>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<Result<usize, std::io::Error>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, buffers)
    }
}
