//! One connection per login, shared by all that a run does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::options::ConnectOptions;
use crate::{Error, Session, Stream, lock};

/// What tells connections apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Login {
    user: String,
    host: String,
    port: u16,
}

/// The open connections of a run, by user, host and port.
///
/// Options that come with a login that is connected already have no effect. A connection that broke is
/// replaced by the next request for it.
#[derive(Debug, Default)]
pub struct Sessions {
    sessions: Mutex<HashMap<Login, Arc<Place>>>,
}

/// One login. Its lock is held while connecting, so that there is never a second connection.
type Place = tokio::sync::Mutex<Option<Arc<Session>>>;

impl Sessions {
    /// Makes an empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    fn place(&self, options: &ConnectOptions) -> Arc<Place> {
        let login =
            Login { user: options.user.clone(), host: options.host.to_lowercase(), port: options.port };
        Arc::clone(lock(&self.sessions).entry(login).or_default())
    }

    /// Returns the connection for a login; connects if there is none or it broke. Requests for the same
    /// login wait for each other, those for others do not.
    ///
    /// # Errors
    ///
    /// As for [`Session::connect`].
    pub async fn get(&self, options: &ConnectOptions) -> Result<Arc<Session>, Error> {
        let place = self.place(options);
        let mut place = place.lock().await;
        if let Some(session) = place.as_ref().filter(|session| session.is_alive()) {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::connect(options.clone()).await?);
        *place = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does something that is safe to repeat, such as opening a stream or asking a question: when the
    /// connection turns out to be broken, connects anew and does it once more.
    ///
    /// # Errors
    ///
    /// Those of the work, and of [`Session::connect`].
    pub async fn repeat<T, Work>(
        &self,
        options: &ConnectOptions,
        work: impl Fn(Arc<Session>) -> Work,
    ) -> Result<T, Error>
    where
        Work: Future<Output = Result<T, Error>>,
    {
        let session = self.get(options).await?;
        match work(session).await {
            Err(error) if error.is_disconnected() => {
                tracing::debug!(host = options.label(), %error, "connecting anew");
                work(self.get(options).await?).await
            }
            result => result,
        }
    }

    /// Opens a stream to a Unix socket behind a login; connects anew once if the connection broke.
    ///
    /// # Errors
    ///
    /// As for [`Session::open_unix`] and [`Session::connect`].
    pub async fn open_unix(&self, options: &ConnectOptions, path: &str) -> Result<Stream, Error> {
        self.repeat(options, |session| async move { session.open_unix(path).await }).await
    }

    /// Opens a stream to a TCP port behind a login; connects anew once if the connection broke.
    ///
    /// # Errors
    ///
    /// As for [`Session::open_tcp`] and [`Session::connect`].
    pub async fn open_tcp(&self, options: &ConnectOptions, host: &str, port: u16) -> Result<Stream, Error> {
        self.repeat(options, |session| async move { session.open_tcp(host, port).await }).await
    }

    /// Closes all connections at once. Returns host and result of each that was open.
    pub async fn close(&self) -> Vec<(String, Result<(), Error>)> {
        let places: Vec<Arc<Place>> = lock(&self.sessions).drain().map(|(_, place)| place).collect();
        let mut closing = tokio::task::JoinSet::new();
        for place in places {
            closing.spawn(async move {
                let session = place.lock().await.take();
                let session = session.filter(|session| session.is_alive())?;
                let result = session.close().await;
                Some((session.host().to_owned(), result))
            });
        }
        let mut closed: Vec<_> = closing.join_all().await.into_iter().flatten().collect();
        closed.sort_by(|one, other| one.0.cmp(&other.0));
        closed
    }
}
