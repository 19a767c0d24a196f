//! The SSH sessions of a run, one for each login, and engines reached through them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dfab_client::Connector;
use dfab_client::connector::Stream;
use dfab_client::error::Source;
use dfab_tunnel::config::{Destination, Local, SshConfig};
use dfab_tunnel::options::{Event, Events, Keepalive, KeyFile, Prompt, Proxy, UnknownHost};
use dfab_tunnel::{ConnectOptions, Error, Login, Session, Stage, Way};
use tokio::sync::OnceCell;

use crate::console::Console;
use crate::endpoint::Address;
use crate::project::Host;
use crate::prompt::Questions;
use crate::settings::SshSettings;

/// The SSH sessions of a run: one for each login, opened when it is first needed.
pub struct Sessions {
    settings: SshSettings,
    way: Way,
    console: Arc<Console>,
    questions: Arc<Questions>,
    /// What was read of `ssh_config`, once.
    config: OnceCell<Result<SshConfig, Error>>,
    open: Arc<dfab_tunnel::Sessions>,
    /// Which login each host string means.
    logins: Mutex<HashMap<String, Login>>,
    /// Hosts of which was said that their streams need no command.
    direct: Mutex<HashSet<String>>,
    /// Hosts whose names nobody knows.
    unknown: Mutex<Vec<String>>,
}

impl Sessions {
    /// Makes an empty set.
    pub fn new(settings: SshSettings, way: Way, console: Arc<Console>) -> Self {
        let questions = Arc::new(Questions::new(Arc::clone(&console)));
        Self {
            settings,
            way,
            console,
            questions,
            config: OnceCell::new(),
            open: Arc::default(),
            logins: Mutex::default(),
            direct: Mutex::default(),
            unknown: Mutex::default(),
        }
    }

    /// Returns the session of a host, connecting when there is none that stands.
    ///
    /// # Errors
    ///
    /// Why the host cannot be reached, or does not let us in. A later call gets the same answer.
    pub async fn session(&self, host: &Host) -> Result<Arc<Session>, Error> {
        self.open.get(&self.login(host).await?, || self.connect(host)).await
    }

    /// Returns how long a command on a host may take (`-T`).
    pub fn command_timeout(&self) -> Option<Duration> {
        self.settings.command_timeout
    }

    /// Returns what is known that is spelled nearly as a host that a look-up did not find: names of `known` and of the SSH
    /// configuration.
    pub fn nearly_named(&self, known: &[&str]) -> Vec<String> {
        let unknown = std::mem::take(&mut *self.unknown.lock().unwrap_or_else(PoisonError::into_inner));
        let of_config = match self.config.get() {
            Some(Ok(config)) => config.names(),
            _ => Vec::new(),
        };
        let known = || known.iter().chain(&of_config).copied();
        let near = unknown.iter().filter(|name| !known().any(|other| other == name.as_str()));
        near.filter_map(|name| dfab_map::diagnostic::nearest(name, known())).map(str::to_owned).collect()
    }

    async fn connect(&self, host: &Host) -> Result<Session, Error> {
        let (options, warnings) = self.options(host).await?;
        for (name, warning) in warnings {
            self.console.warn(Some(&name), &warning);
        }
        let _activity = self.console.progress.start(Some(&host.text), "connecting");
        tracing::debug!(host = host.text, user = options.user, port = options.port, "connecting");
        let result = Session::connect(options).await;
        if matches!(result, Err(Error::Lookup { .. })) {
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).push(host.name.clone());
        }
        result
    }

    /// Closes the session of a host, so that the next call logs in anew: groups of a user count from then on.
    pub async fn log_out(&self, host: &Host) {
        let Ok(login) = self.login(host).await else { return };
        if let Err(error) = self.open.log_out(&login).await {
            tracing::debug!(host = host.text, %error, "closing");
        }
    }

    /// Closes all sessions, side by side. No other is opened from now on: a pool of connections that wants another one
    /// gets none.
    pub async fn close(&self) {
        for (host, result) in self.open.close().await {
            if let Err(error) = result {
                tracing::debug!(host, %error, "closing");
            }
        }
    }

    /// Which login a host string means: others may be spelled otherwise and mean the same (clients-tasks §2.6).
    async fn login(&self, host: &Host) -> Result<Login, Error> {
        let known = || self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(login) = known().get(&host.text) {
            return Ok(login.clone());
        }
        let (options, _) = self.options(host).await?;
        let login = Login::from(&options);
        known().insert(host.text.clone(), login.clone());
        Ok(login)
    }

    async fn config(&self, local: &Local) -> Result<&SshConfig, Error> {
        let read = self.config.get_or_init(|| async {
            match &self.settings.config_path {
                Some(path) if !path.is_file() => {
                    Err(Error::Input(format!("there is no SSH configuration file `{}`", path.display())))
                }
                Some(path) => SshConfig::read(path, &local.home),
                None => Ok(SshConfig::default()),
            }
        });
        read.await.as_ref().map_err(Clone::clone)
    }

    /// Puts the options of a connection together: the host string and options of the call, else the
    /// SSH configuration, else the defaults. Beside them stands what of the configuration has no effect, with
    /// the host that it is about.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for a configuration that cannot be read.
    pub async fn options(&self, host: &Host) -> Result<(ConnectOptions, Vec<(String, String)>), Error> {
        let settings = &self.settings;
        let local = Local { user: local_user(), home: settings.home.clone() };
        let mut base = ConnectOptions::new(host.name.clone(), local.user.clone());
        base.label.clone_from(&host.text);
        base.way = self.way;
        base.jumps = Arc::downgrade(&self.open);
        base.events = self.events();
        self.set_auth(&mut base);
        set_host_keys(&mut base, settings);
        let destination = Destination {
            user: host.user.clone().or_else(|| settings.user.clone()),
            host: host.name.clone(),
            port: host.port.or(settings.port),
        };
        let config = self.config(&local).await?;
        let (mut options, warnings) = config.options(&destination, &base, &local)?;
        let mut warnings: Vec<_> = warnings.into_iter().map(|warning| (host.text.clone(), warning)).collect();
        if let Some(gateway) = &settings.gateway {
            // What its host string leaves out, unless the SSH configuration says it of the gateway (clients-tasks §11.4).
            base.user = settings.user.clone().unwrap_or(base.user);
            base.port = settings.port.unwrap_or(base.port);
            let (proxy, more) = config.jump(gateway, &base, &local)?;
            warnings.extend(more.into_iter().map(|warning| (gateway.clone(), warning)));
            options.proxy = proxy;
        }
        self.override_by_options(&mut options);
        self.leave_out(&mut options);
        Ok((options, warnings))
    }

    /// Shows what happens on connections besides what was asked for.
    fn events(&self) -> Events {
        let (console, quiet) = (Arc::clone(&self.console), self.settings.socat_quiet);
        Events::to(move |event| match event {
            Event::NewHostKey { host, algorithm, fingerprint } => {
                console.note(Some(host), &format!("accepted its new host key {algorithm} {fingerprint}"));
            }
            Event::Fallback { host, path, way, why } => {
                console.note(Some(host), &format!("`{path}` is reached by {way}: {why}"));
            }
            Event::StreamCommand { host, command } if !quiet => {
                console.progress_line(Some(host), &format!("run: {command}"));
            }
            _ => {}
        })
    }

    /// Says once a host that its streams need no command, where those are to be shown (clients-tasks §3.2).
    fn tell_direct(&self, host: &Host, way: Option<Way>, path: &str) {
        if self.settings.socat_quiet || way != Some(Way::Streamlocal) {
            return;
        }
        let mut told = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        if told.insert(host.text.clone()) {
            let text = format!("no command runs for streams to `{path}`: sshd forwards to it");
            self.console.progress_line(Some(&host.text), &text);
        }
    }

    fn set_auth(&self, base: &mut ConnectOptions) {
        let settings = &self.settings;
        let auth = &mut base.auth;
        let agent = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
        auth.agent = agent.filter(|_| !settings.no_agent).map(PathBuf::from);
        auth.keys = settings.key_files.iter().map(KeyFile::named).collect();
        if !settings.no_keys {
            let names = ["id_ed25519", "id_ecdsa", "id_rsa"];
            auth.keys
                .extend(names.iter().map(|name| KeyFile::if_present(settings.home.join(".ssh").join(name))));
        }
        auth.password.clone_from(&settings.password);
        if !settings.abort_on_prompts {
            auth.prompt = Some(Arc::clone(&self.questions) as Arc<dyn Prompt>);
        }
    }

    /// `-k` and `-a` leave out what the SSH configuration names too, here and on the hosts on the way.
    fn leave_out(&self, options: &mut ConnectOptions) {
        if self.settings.no_keys {
            options.auth.keys.retain(|key| self.settings.key_files.contains(&key.path));
        }
        if self.settings.no_agent {
            options.auth.agent = None;
        }
        if let Proxy::Jump(hops) = &mut options.proxy {
            hops.iter_mut().for_each(|hop| self.leave_out(hop));
        }
    }

    /// What was given for this run wins over the SSH configuration, here and on the hosts on the way.
    fn override_by_options(&self, options: &mut ConnectOptions) {
        let settings = &self.settings;
        if let Some(timeout) = settings.timeout {
            options.connect_timeout = timeout;
        }
        if let Some(timeout) = settings.auth_timeout {
            options.auth_timeout = timeout;
        }
        if let Some(attempts) = settings.attempts {
            options.attempts = attempts;
        }
        if let Some(interval) = settings.keepalive {
            options.keepalive = (!interval.is_zero())
                .then(|| Keepalive { interval, ..options.keepalive.unwrap_or_default() });
        }
        match settings.accept_new {
            Some(true) => options.host_keys.unknown = UnknownHost::Accept,
            Some(false) => options.host_keys.unknown = UnknownHost::Refuse,
            None => {}
        }
        if settings.disable_known_hosts {
            options.host_keys.files.clear();
        }
        options.host_keys.learn_to = options.host_keys.files.first().cloned();
        if let Proxy::Jump(hops) = &mut options.proxy {
            hops.iter_mut().for_each(|hop| self.override_by_options(hop));
        }
    }
}

fn set_host_keys(base: &mut ConnectOptions, settings: &SshSettings) {
    base.host_keys.files = vec![settings.home.join(".ssh/known_hosts")];
    base.host_keys.global_files = vec![Path::new("/etc/ssh/ssh_known_hosts").to_owned()];
    base.host_keys.global_files.extend(settings.system_known_hosts.clone());
}

/// Returns the login name on this machine.
pub fn local_user() -> String {
    ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "root".to_owned())
}

/// Opens streams to an engine through an SSH session.
pub struct SshConnector {
    sessions: Arc<Sessions>,
    host: Host,
    address: Address,
    name: String,
    /// The streams that may be open at a time, where the way to the engine is one with a limit.
    most: OnceLock<usize>,
}

impl SshConnector {
    /// Makes a connector; nothing is connected yet.
    pub fn new(sessions: Arc<Sessions>, host: Host, address: Address, name: String) -> Self {
        Self { sessions, host, address, name, most: OnceLock::new() }
    }
}

#[async_trait]
impl Connector for SshConnector {
    fn host(&self) -> &str {
        &self.name
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        Ok(Box::new(self.stream().await?))
    }

    fn most(&self) -> Option<usize> {
        self.most.get().copied()
    }
}

/// Commands of `run:` steps, of copies and of the look around need a channel beside those of streams.
const KEPT_CHANNELS: usize = 2;

/// Returns how many streams may be open at a time by a way of a session with so many exec channels (design §5).
fn streams_at_once(way: Option<Way>, channels: usize) -> Option<usize> {
    match way {
        Some(Way::Socat | Way::DialStdio) => Some(channels.saturating_sub(KEPT_CHANNELS).max(1)),
        Some(Way::Auto | Way::Streamlocal) | None => None,
    }
}

impl SshConnector {
    /// Opens a stream to the engine. Where the connection broke since it was last used, a new one is made.
    ///
    /// # Errors
    ///
    /// Why the host or the engine's socket cannot be reached.
    pub async fn stream(&self) -> Result<dfab_tunnel::Stream, Error> {
        let Self { sessions, host, .. } = self;
        let login = sessions.login(host).await?;
        sessions.open.repeat(&login, || sessions.connect(host), |session| self.open(session)).await
    }

    /// Forgets that the host could not be reached, so that the next stream tries again. What the host has
    /// refused, such as a login, stays refused.
    pub async fn forget_unreachable(&self, error: &Error) {
        if error.stage().is_some_and(|stage| stage <= Stage::Handshake) {
            let Ok(login) = self.sessions.login(&self.host).await else { return };
            self.sessions.open.forget(&login).await;
        }
    }

    async fn open(&self, session: Arc<Session>) -> Result<dfab_tunnel::Stream, Error> {
        match &self.address {
            Address::Unix(path) => {
                let stream = session.open_unix(path).await?;
                let way = session.way_to(path);
                if let Some(most) = streams_at_once(way, session.options().max_exec_channels) {
                    // Another stream may have found the same.
                    let _ = self.most.set(most);
                }
                self.sessions.tell_direct(&self.host, way, path);
                Ok(stream)
            }
            Address::Tcp { host, port, .. } => session.open_tcp(host, *port).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;
    use crate::project::Variables;
    use crate::settings::Settings;

    /// Sessions with this SSH configuration, which is read when they are first used.
    fn sessions(config: &str, options: Options) -> (tempfile::TempDir, Sessions) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        std::fs::write(&path, config).unwrap();
        let options = Options { ssh_config_path: Some(path), ..options };
        let settings = Settings::resolve(&options, &Variables::for_tests("/home/u")).unwrap();
        let console = Arc::new(Console::new(&Options { quiet: true, ..Options::default() }));
        (folder, Sessions::new(settings.ssh, Way::Auto, console))
    }

    #[tokio::test]
    async fn host_strings_that_mean_one_login_share_its_connection() {
        let local = local_user();
        let alias = "Host alias\nHostName web1\nUser deploy\n";
        let far = "Host a\nHostName 10.0.0.1\nProxyJump gw1\nHost b\nHostName 10.0.0.1\nProxyJump gw2\n";
        let set = || Options { user: Some("deploy".into()), port: Some(222), ..Options::default() };
        for (config, options, one, other, same) in [
            ("", Options::default(), "web1", "web1:22", true),
            ("", Options::default(), "web1", "WEB1", true),
            ("", Options::default(), "web1", &format!("{local}@web1"), true),
            ("", Options::default(), "web1", "web1:222", false),
            ("", Options::default(), "web1", &format!("{local}x@web1"), false),
            ("", set(), "web1", "deploy@web1:222", true),
            ("", set(), "web1", "deploy@web1:22", false),
            (alias, Options::default(), "alias", "deploy@web1", true),
            (alias, Options::default(), "alias", &format!("{local}@web1"), false),
            // The same private address behind another gateway is another machine.
            (far, Options::default(), "a", "b", false),
        ] {
            let (_folder, sessions) = sessions(config, options);
            let host = |text: &str| Host::parse(text).unwrap();
            let logins =
                [sessions.login(&host(one)).await.unwrap(), sessions.login(&host(other)).await.unwrap()];
            assert_eq!(logins[0] == logins[1], same, "{one} and {other}");
        }
    }

    /// The options of a connection to `web`, and behind them those for the hosts on the way, nearest first.
    async fn ways_in(config: &str, options: Options) -> Vec<ConnectOptions> {
        let (_folder, sessions) = sessions(config, options);
        let (options, _) = sessions.options(&Host::parse("web").unwrap()).await.unwrap();
        let Proxy::Jump(hops) = options.proxy.clone() else { panic!("{options:?}") };
        std::iter::once(options).chain(hops).collect()
    }

    #[tokio::test]
    async fn without_keys_and_agent_those_of_the_ssh_configuration_are_left_out_too() {
        let keys = async |options| {
            let config = "Host *\nIdentityFile /configured\nIdentityAgent /agent\nHost web\nProxyJump jump\n";
            let named = |options: &ConnectOptions| {
                let keys = options.auth.keys.iter().filter(|key| !key.optional).map(|key| key.path.clone());
                (keys.collect(), options.auth.agent.clone())
            };
            ways_in(config, options).await.iter().map(named).collect::<Vec<_>>()
        };
        let (configured, agent) = (PathBuf::from("/configured"), Some(PathBuf::from("/agent")));
        assert_eq!(keys(Options::default()).await, vec![(vec![configured], agent); 2]);
        let none = Options { no_keys: true, no_agent: true, ..Options::default() };
        assert_eq!(keys(none.clone()).await, vec![(vec![], None); 2]);
        let own = Options { identities: vec!["/own".into()], ..none };
        assert_eq!(keys(own).await, vec![(vec![PathBuf::from("/own")], None); 2]);
    }

    fn shown(options: &ConnectOptions) -> String {
        let ConnectOptions { user, host, port, host_keys, .. } = options;
        let seconds = |time: Duration| time.as_secs();
        format!(
            "{user}@{host}:{port} {:?} {:?} t={} a={} n={} k={}",
            host_keys.unknown,
            host_keys.learn_to.as_deref().unwrap_or(Path::new("-")),
            seconds(options.connect_timeout),
            seconds(options.auth_timeout),
            options.attempts,
            options.keepalive.map_or(0, |keepalive| seconds(keepalive.interval)),
        )
    }

    #[tokio::test]
    async fn what_is_given_for_the_run_counts_on_the_way_too() {
        let known = "/home/u/.ssh/known_hosts";
        let gateway = Options { gateway: Some("gw".into()), ..Options::default() };
        let given = Options {
            timeout: Some(3.0),
            auth_timeout: Some(4.0),
            connection_attempts: Some(5),
            keepalive: Some(6),
            accept_new: true,
            ..Options::default()
        };
        let refuse = Options { reject_unknown_hosts: true, ..Options::default() };
        let forget = Options { disable_known_hosts: true, accept_new: true, ..Options::default() };
        let through = |options: &Options| Options { gateway: gateway.gateway.clone(), ..options.clone() };
        let jumping = "Host *\nStrictHostKeyChecking no\nConnectTimeout 9\nHost web\nProxyJump gw\n";
        for (config, options, expected) in [
            ("", through(&given), format!(r#"Accept "{known}" t=3 a=4 n=5 k=6"#)),
            (jumping, given.clone(), format!(r#"Accept "{known}" t=3 a=4 n=5 k=6"#)),
            (jumping, refuse.clone(), format!(r#"Refuse "{known}" t=9 a=30 n=1 k=15"#)),
            ("", through(&refuse), format!(r#"Refuse "{known}" t=10 a=30 n=1 k=15"#)),
            (jumping, forget.clone(), r#"Accept "-" t=9 a=30 n=1 k=15"#.to_owned()),
        ] {
            let ways: Vec<String> = ways_in(config, options).await.iter().map(shown).collect();
            assert_eq!(ways.len(), 2);
            for way in ways {
                assert!(way.ends_with(&format!(":22 {expected}")), "{way} is not {expected}");
            }
        }
    }

    #[test]
    fn streams_that_need_a_channel_leave_two_for_commands() {
        for (way, channels, expected) in [
            (None, 8, None),
            (Some(Way::Streamlocal), 8, None),
            (Some(Way::Socat), 8, Some(6)),
            (Some(Way::DialStdio), 8, Some(6)),
            (Some(Way::Socat), 2, Some(1)),
        ] {
            assert_eq!(streams_at_once(way, channels), expected, "{way:?} of {channels}");
        }
    }

    #[tokio::test]
    async fn user_and_port_of_the_run_are_those_of_the_gateway_too() {
        let local = local_user();
        let options = Options { user: Some("deploy".into()), port: Some(222), ..Options::default() };
        let gateway = |text: &str| Options { gateway: Some(text.into()), ..options.clone() };
        let configured = "Host gw\nUser jump\nPort 23\n";
        let behind = "Host gw\nProxyJump first\n";
        for (config, options, expected) in [
            ("", gateway("gw"), vec!["deploy@gw:222".to_owned()]),
            ("", gateway("admin@gw:24"), vec!["admin@gw:24".to_owned()]),
            (configured, gateway("gw"), vec!["jump@gw:23".to_owned()]),
            // A jump host of the configuration is looked up as ssh does: neither `-l` nor `-p` are for it.
            ("Host web\nProxyJump gw\n", options.clone(), vec![format!("{local}@gw:22")]),
            (behind, gateway("gw"), vec![format!("{local}@first:22"), "deploy@gw:222".to_owned()]),
        ] {
            let ways = ways_in(config, options).await;
            let ways: Vec<String> =
                ways.iter().map(|way| format!("{}@{}:{}", way.user, way.host, way.port)).collect();
            assert_eq!(ways[0], "deploy@web:222");
            assert_eq!(ways[1..], expected, "{config}");
        }
    }
}
