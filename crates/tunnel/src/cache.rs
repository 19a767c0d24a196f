//! One connection per login, shared by all that a run does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::options::ConnectOptions;
use crate::{Error, Session, lock};

/// What tells connections apart: user, host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    user: String,
    host: String,
    port: u16,
}

impl Login {
    /// Makes a login. Host names in capitals are the same host. What a configuration decides that is read while
    /// connecting, may be empty or zero: it decides the same each time.
    pub fn new(user: &str, host: &str, port: u16) -> Self {
        Self { user: user.to_owned(), host: host.to_ascii_lowercase(), port }
    }
}

impl From<&ConnectOptions> for Login {
    fn from(options: &ConnectOptions) -> Self {
        Self::new(&options.user, &options.host, options.port)
    }
}

/// The connections of a run, one for each login, opened when they are first needed.
///
/// Requests for the same login wait for each other, those for others do not. A connection that broke is replaced by
/// the next request for it. A refusal is the answer to all later requests too, until it is forgotten: a host that does
/// not answer is waited for once, and a person is asked once.
#[derive(Debug, Default)]
pub struct Sessions {
    places: Mutex<HashMap<Login, Arc<Place>>>,
    /// Whoever wants another connection from now on gets none.
    closed: AtomicBool,
}

/// One login. Its lock is held while connecting, so that there is never a second connection.
type Place = tokio::sync::Mutex<Option<Result<Arc<Session>, Error>>>;

impl Sessions {
    /// Makes an empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the connection for a login; makes one with `connect` where none stands.
    ///
    /// # Errors
    ///
    /// Those of `connect`, now or at an earlier request; [`Error::Closed`] after [`Sessions::close`].
    pub async fn get<Connecting>(
        &self,
        login: &Login,
        connect: impl FnOnce() -> Connecting,
    ) -> Result<Arc<Session>, Error>
    where
        Connecting: Future<Output = Result<Session, Error>>,
    {
        let place = Arc::clone(lock(&self.places).entry(login.clone()).or_default());
        let mut place = place.lock().await;
        match &*place {
            Some(Ok(session)) if session.is_alive() => return Ok(Arc::clone(session)),
            Some(Err(error)) if !error.is_disconnected() => return Err(error.clone()),
            // None yet, or the connection broke: a new one may help.
            _ => {}
        }
        self.check_open(login)?;
        let result = connect().await.map(Arc::new);
        // The end may have come meanwhile; it has not waited for this one.
        self.check_open(login)?;
        *place = Some(result.clone());
        result
    }

    fn check_open(&self, login: &Login) -> Result<(), Error> {
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { host: login.host.clone() });
        }
        Ok(())
    }

    /// Does something that is safe to repeat, such as opening a stream or asking a question: when the
    /// connection turns out to be broken, connects anew and does it once more.
    ///
    /// # Errors
    ///
    /// Those of the work, and as for [`Sessions::get`].
    pub async fn repeat<T, Connecting, Work>(
        &self,
        login: &Login,
        connect: impl Fn() -> Connecting,
        work: impl Fn(Arc<Session>) -> Work,
    ) -> Result<T, Error>
    where
        Connecting: Future<Output = Result<Session, Error>>,
        Work: Future<Output = Result<T, Error>>,
    {
        let once = async || work(self.get(login, &connect).await?).await;
        match once().await {
            Err(error) if error.is_disconnected() => {
                tracing::debug!(host = login.host, %error, "connecting anew");
                once().await
            }
            result => result,
        }
    }

    /// Forgets the refusal of a login: the next request for it tries again.
    pub async fn forget(&self, login: &Login) {
        let place = lock(&self.places).get(login).cloned();
        if let Some(place) = place {
            place.lock().await.take_if(|result| result.is_err());
        }
    }

    /// Closes the connection for a login, so that the next request logs in anew.
    ///
    /// # Errors
    ///
    /// As for [`Session::close`]. The connection is gone in any case.
    pub async fn log_out(&self, login: &Login) -> Result<(), Error> {
        let place = lock(&self.places).remove(login);
        let Some(place) = place else { return Ok(()) };
        match place.lock().await.take() {
            Some(Ok(session)) => session.close().await,
            _ => Ok(()),
        }
    }

    /// Closes all connections at once, and opens no other from now on. Returns host and result of each that was
    /// open.
    pub async fn close(&self) -> Vec<(String, Result<(), Error>)> {
        self.closed.store(true, Ordering::Relaxed);
        let places: Vec<Arc<Place>> = lock(&self.places).drain().map(|(_, place)| place).collect();
        let mut closing = tokio::task::JoinSet::new();
        for place in places {
            closing.spawn(async move {
                // Whoever holds the lock is still connecting, and throws away what comes of it.
                let session = place.try_lock().ok()?.take()?.ok()?;
                if !session.is_alive() {
                    return None;
                }
                let result = session.close().await;
                Some((session.host().to_owned(), result))
            });
        }
        let mut closed: Vec<_> = closing.join_all().await.into_iter().flatten().collect();
        closed.sort_by(|one, other| one.0.cmp(&other.0));
        closed
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn refused() -> Error {
        Error::Connect { host: "web1".into(), port: 22, attempts: 1, source: "refused".into() }
    }

    fn broke() -> Error {
        Error::Disconnected { host: "web1".into(), source: "reset".into() }
    }

    #[tokio::test]
    async fn a_refusal_is_remembered_until_it_is_forgotten() {
        let (sessions, tries) = (Sessions::new(), Cell::new(0));
        let connect = |error: fn() -> Error| {
            tries.set(tries.get() + 1);
            std::future::ready(Err(error()))
        };
        let login = Login::new("deploy", "web1", 22);
        let same = Login::new("deploy", "WEB1", 22);
        let other = Login::new("deploy", "web1", 2222);
        for (login, error, expected) in [
            (&login, refused as fn() -> Error, 1),
            (&same, refused, 1),
            (&other, broke, 2),
            (&other, broke, 3),
        ] {
            sessions.get(login, || connect(error)).await.unwrap_err();
            assert_eq!(tries.get(), expected, "{login:?}");
        }
        sessions.forget(&login).await;
        sessions.get(&login, || connect(refused)).await.unwrap_err();
        assert_eq!(tries.get(), 4);
    }

    #[tokio::test]
    async fn only_what_broke_is_repeated_and_only_once() {
        let sessions = Sessions::new();
        for (error, expected) in [(refused as fn() -> Error, 1), (broke, 2)] {
            let tries = Cell::new(0);
            let connect = || {
                tries.set(tries.get() + 1);
                std::future::ready(Err(error()))
            };
            let login = Login::new("deploy", "web1", expected);
            let work = async |_: Arc<Session>| Ok(());
            sessions.repeat(&login, connect, work).await.unwrap_err();
            assert_eq!(tries.get(), expected);
        }
    }

    #[tokio::test]
    async fn after_the_end_nobody_connects() {
        let sessions = Sessions::new();
        assert!(sessions.close().await.is_empty());
        let connect = || async { panic!("a connection is made") };
        let error = sessions.get(&Login::new("deploy", "web1", 22), connect).await.unwrap_err();
        assert!(matches!(&error, Error::Closed { host } if host == "web1"), "{error:?}");
    }

    /// What comes of an attempt that is under way at the end is thrown away, and not waited for.
    #[tokio::test]
    async fn the_end_does_not_wait_for_those_who_connect() {
        let sessions = Sessions::new();
        let (answer, waiting) = tokio::sync::oneshot::channel::<()>();
        let login = Login::new("deploy", "web1", 22);
        let connect = || async {
            let _ = waiting.await;
            Err(refused())
        };
        let end = async {
            tokio::task::yield_now().await;
            assert!(sessions.close().await.is_empty());
            answer.send(()).unwrap();
        };
        let (result, ()) = tokio::join!(sessions.get(&login, connect), end);
        assert!(matches!(result.unwrap_err(), Error::Closed { .. }));
    }
}
