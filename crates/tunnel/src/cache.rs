//! One connection per login, shared by all that a run does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::dial::last_hop;
use crate::options::{ConnectOptions, Proxy};
use crate::{Error, Session, lock};

/// What tells connections apart: user, host and port, and the way there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Login {
    user: String,
    host: String,
    port: u16,
    /// Who it must be, where that is not said by the host's name.
    alias: Option<String>,
    road: Road,
    /// Which of several connections; the first is 0.
    number: usize,
}

/// How a host is reached. The same private address is another machine behind another jump host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
enum Road {
    #[default]
    Direct,
    /// Through this host, which may itself be reached through one.
    Jump(Box<Login>),
    Command(String),
}

impl Login {
    /// Makes a login that needs no jump host. Host names in capitals are the same host.
    pub fn new(user: &str, host: &str, port: u16) -> Self {
        let (user, host) = (user.to_owned(), host.to_ascii_lowercase());
        Self { user, host, port, alias: None, road: Road::Direct, number: 0 }
    }

    /// Another connection of the same login.
    pub(crate) fn further(&self, number: usize) -> Self {
        Self { number, ..self.clone() }
    }

    /// The login on the jump host next to this one.
    fn jump(&self) -> Option<&Self> {
        match &self.road {
            Road::Jump(hop) => Some(hop),
            Road::Direct | Road::Command(_) => None,
        }
    }

    /// How many jump hosts lie on the way.
    fn depth(&self) -> usize {
        std::iter::successors(self.jump(), |hop| hop.jump()).count()
    }
}

impl From<&ConnectOptions> for Login {
    fn from(options: &ConnectOptions) -> Self {
        let road = match &options.proxy {
            Proxy::None => Road::Direct,
            Proxy::Command(command) => Road::Command(command.clone()),
            Proxy::Jump(hops) => {
                last_hop(hops).map_or(Road::Direct, |hop| Road::Jump(Box::new(Self::from(&hop))))
            }
        };
        let alias = options.host_key_alias.clone();
        Self { alias, road, ..Self::new(&options.user, &options.host, options.port) }
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

    /// Forgets the refusal of a login, and those of the jump hosts on its way: the next request for it tries again.
    pub async fn forget(&self, login: &Login) {
        for login in std::iter::successors(Some(login), |login| login.jump()) {
            let place = lock(&self.places).get(login).cloned();
            if let Some(place) = place {
                place.lock().await.take_if(|result| result.is_err());
            }
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

    /// Closes all connections, side by side but those to jump hosts after what goes through them, and opens no other from
    /// now on. Returns host and result of each that was open.
    pub async fn close(&self) -> Vec<(String, Result<(), Error>)> {
        self.closed.store(true, Ordering::Relaxed);
        let mut places: Vec<_> = lock(&self.places).drain().collect();
        places.sort_by_key(|(login, _)| std::cmp::Reverse(login.depth()));
        let mut closed = Vec::new();
        for places in places.chunk_by(|(one, _), (other, _)| one.depth() == other.depth()) {
            let mut closing = tokio::task::JoinSet::new();
            for (_, place) in places {
                let place = Arc::clone(place);
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
            closed.extend(closing.join_all().await.into_iter().flatten());
        }
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

    #[test]
    fn logins_are_told_apart_by_the_way_there_too() {
        let direct = ConnectOptions::new("10.0.0.1", "deploy");
        let behind = |hops: &[&str]| {
            let hops = hops.iter().map(|hop| ConnectOptions::new(*hop, "deploy")).collect();
            ConnectOptions { proxy: Proxy::Jump(hops), ..direct.clone() }
        };
        let by = |command: &str| ConnectOptions { proxy: Proxy::Command(command.into()), ..direct.clone() };
        let ways = [
            direct.clone(),
            behind(&["gw1"]),
            behind(&["gw2"]),
            behind(&["gw1", "gw2"]),
            by("nc a"),
            by("nc b"),
            ConnectOptions { host_key_alias: Some("web1".into()), ..direct.clone() },
            ConnectOptions { port: 222, ..direct.clone() },
        ];
        for (at, one) in ways.iter().enumerate() {
            for (place, other) in ways.iter().enumerate() {
                assert_eq!(Login::from(one) == Login::from(other), at == place, "{one:?} and {other:?}");
            }
        }
        assert_eq!(Login::from(&behind(&["GW1"])), Login::from(&behind(&["gw1"])));
        assert_eq!(Login::from(&behind(&[])), Login::new("deploy", "10.0.0.1", 22));
        let depths: Vec<_> = ways.iter().map(|way| Login::from(way).depth()).collect();
        assert_eq!(depths, [0, 1, 1, 2, 0, 0, 0, 0]);
    }

    #[tokio::test]
    async fn what_is_forgotten_of_a_host_is_forgotten_of_its_way() {
        let hop = ConnectOptions::new("gw", "deploy");
        let web =
            ConnectOptions { proxy: Proxy::Jump(vec![hop.clone()]), ..ConnectOptions::new("web", "deploy") };
        let (sessions, tries) = (Sessions::new(), Cell::new(0));
        let connect = || {
            tries.set(tries.get() + 1);
            std::future::ready(Err(refused()))
        };
        for expected in [1, 1, 2] {
            if expected == 2 {
                sessions.forget(&Login::from(&web)).await;
            }
            sessions.get(&Login::from(&hop), connect).await.unwrap_err();
            assert_eq!(tries.get(), expected);
        }
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
