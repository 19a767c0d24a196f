//! One run of the program: what all its task calls share.

use std::path::PathBuf;
use std::sync::Arc;

use dfab_client::Backend;
use dfab_client::apply::CancellationToken;
use dfab_map::check;
use dfab_map::desired::Target;
use dfab_map::diagnostic::{Findings, Sources};
use dfab_map::model::{ClientConfig, Clients};
use dfab_map::names::{ALL, ClientName, MapName};
use dfab_map::select::Maps;
use indexmap::IndexMap;
use tokio::sync::OnceCell;

use crate::cli::{Call, Options};
use crate::console::Console;
use crate::console::record::Recorder;
use crate::engines::Engines;
use crate::failure::{Failure, Result};
use crate::project::{self, Host, HostLists, Project, Variables};
use crate::settings::{Settings, SshSettings};
use crate::temporary::Folders;

/// What the calls of a run share.
pub struct Run {
    /// The options as written.
    pub options: Options,
    /// What they mean.
    pub settings: Settings,
    /// The project.
    pub project: Project,
    /// Deployment variables.
    pub variables: Variables,
    /// The terminal.
    pub console: Arc<Console>,
    /// Backends and SSH sessions.
    pub engines: Arc<Engines>,
    /// Working directory.
    pub directory: PathBuf,
    /// Says when the user wants to stop.
    pub interrupt: Interrupt,
    /// What has happened in the action under way.
    pub recorder: Recorder,
    /// Temporary folders on machines, which must not outlive the run.
    pub temporary: Arc<Folders>,
    /// The hosts of the current call, and the one that a host task is on.
    pub hosts: Vec<Host>,
    /// The host that a task is on, for tasks that run once a host.
    pub host: Option<Host>,
    /// Whether this call is all that the program does, so that its document may come before its end.
    pub only_call: bool,
    clients: Arc<OnceCell<Clients>>,
}

/// The maps of a call, extended, with what is needed to show places in them.
pub struct LoadedMaps {
    /// The maps.
    pub maps: Maps,
    /// Their texts.
    pub sources: Sources,
    /// Maps that could not be loaded, by name.
    pub broken: IndexMap<String, Failure>,
}

/// What the user has asked for by Ctrl-C.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    /// Cancelled by the first: steps under way finish, nothing else begins.
    pub finish: CancellationToken,
    /// Cancelled by the second: everything is given up at once.
    pub abort: CancellationToken,
}

impl LoadedMaps {
    /// Fails with what is wrong with a map that these words name, or that `__all__` means.
    ///
    /// # Errors
    ///
    /// The failures of loading.
    pub fn fail_if_named(&mut self, words: &[String]) -> Result<()> {
        let first_part = |word: &String| word.split('.').next().unwrap_or(word).to_owned();
        let named = words.iter().map(first_part).find(|part| self.broken.contains_key(part));
        let all = words
            .iter()
            .any(|word| word.starts_with(ALL))
            .then(|| self.broken.keys().next().cloned())
            .flatten();
        let only = (self.maps.is_empty()).then(|| self.broken.keys().next().cloned()).flatten();
        match named.or(all).or(only).and_then(|name| self.broken.shift_remove(&name)) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Checks the maps that an action works on (map-model §9), and their clients.
    ///
    /// # Errors
    ///
    /// A configuration failure with everything that is wrong.
    pub async fn check(&self, run: &Run, names: impl Iterator<Item = &str>) -> Result<()> {
        let names: std::collections::BTreeSet<&str> = names.collect();
        let clients = run.clients().await?;
        let mut findings = Vec::new();
        for map in names.into_iter().filter_map(|name| self.maps.get(name)) {
            findings.extend(check::check(map, check::Options::default()));
            findings.extend(check::clients(map, clients));
        }
        let findings = Findings(findings);
        if findings.has_errors() {
            return Err(Failure::findings("the map cannot be applied", findings, self.sources.clone()));
        }
        run.console.finding_warnings(&findings, &self.sources);
        Ok(())
    }
}

impl Run {
    /// Puts a run together. Nothing is contacted.
    #[expect(clippy::too_many_arguments, reason = "called once, with what `main` has read")]
    pub fn new(
        options: Options,
        settings: Settings,
        project: Project,
        variables: Variables,
        console: Arc<Console>,
        engines: Arc<Engines>,
        directory: PathBuf,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            options,
            settings,
            project,
            variables,
            console,
            engines,
            directory,
            interrupt,
            recorder: Recorder::default(),
            temporary: Arc::default(),
            hosts: Vec::new(),
            host: None,
            only_call: false,
            clients: Arc::default(),
        }
    }

    /// Returns this run with the hosts of a call.
    ///
    /// # Errors
    ///
    /// As [`project::hosts_of`].
    pub fn for_call(&self, call: &Call) -> Result<Self> {
        let exclude: Vec<String> =
            self.options.exclude_hosts.iter().chain(&call.exclude_hosts).cloned().collect();
        let lists = HostLists {
            call_hosts: &call.hosts,
            call_roles: &call.roles,
            hosts: &self.options.hosts,
            roles: &self.options.roles,
            project: &self.project.hosts,
            default_roles: &self.project.default_roles,
            exclude: &exclude,
        };
        let hosts = project::hosts_of(&lists, &self.project.roles)?;
        Ok(Self { hosts, ..self.shared() })
    }

    /// Returns this run on one host.
    pub fn on_host(&self, host: Option<Host>) -> Self {
        Self { host, hosts: self.hosts.clone(), ..self.shared() }
    }

    fn shared(&self) -> Self {
        Self {
            options: self.options.clone(),
            settings: self.settings.clone(),
            project: self.project.clone(),
            variables: self.variables.clone(),
            console: Arc::clone(&self.console),
            engines: Arc::clone(&self.engines),
            directory: self.directory.clone(),
            interrupt: self.interrupt.clone(),
            recorder: self.recorder.clone(),
            temporary: Arc::clone(&self.temporary),
            hosts: Vec::new(),
            host: None,
            only_call: self.only_call,
            clients: Arc::clone(&self.clients),
        }
    }

    /// Returns the host for lines of output.
    pub fn host_text(&self) -> Option<&str> {
        self.host.as_ref().map(|host| host.text.as_str())
    }

    /// Prints a line of results, with the host where there is one.
    pub fn result_line(&self, text: &str) {
        self.console.line(self.host_text(), text);
    }

    /// Prints a table or a list of values, after a blank line as the source systems do.
    pub fn result_block(&self, text: &str) {
        self.console.host_block(self.host_text(), text);
    }

    /// Returns the engine of the host that a task is on.
    ///
    /// # Errors
    ///
    /// A configuration failure when the settings make no way to it.
    pub async fn backend(&self) -> Result<Arc<dyn Backend>> {
        self.engines.backend(&self.target().await?)
    }

    /// Returns the configured clients, loaded at the first call.
    ///
    /// # Errors
    ///
    /// As [`project::load_clients`].
    pub async fn clients(&self) -> Result<&Clients> {
        self.clients
            .get_or_try_init(|| async {
                Ok(match project::load_clients(&self.project, &self.variables)? {
                    Some(loaded) => {
                        let warnings = Findings(loaded.warnings);
                        self.console.finding_warnings(&warnings, &loaded.sources);
                        loaded.value
                    }
                    None => Clients::new(),
                })
            })
            .await
    }

    /// Loads the maps of the project. A map that is wrong is kept aside: it matters only to calls that
    /// name it.
    pub fn load_maps(&self, words: &[String]) -> LoadedMaps {
        let mut loaded =
            LoadedMaps { maps: Maps::new(), sources: self.project.sources.clone(), broken: IndexMap::new() };
        let names = if self.project.file.is_some() {
            self.project.map_names()
        } else {
            // Any file could be a map here; only those that are named are read.
            let first_parts = words.iter().map(|word| word.split('.').next().unwrap_or(word));
            let known = self.project.map_names();
            first_parts.filter(|part| known.iter().any(|name| name == part)).map(str::to_owned).collect()
        };
        for name in names {
            match self.load_map(&name, &mut loaded.sources) {
                Ok(map) => drop(loaded.maps.insert(map.name.clone(), map)),
                Err(failure) => drop(loaded.broken.insert(name, failure)),
            }
        }
        loaded
    }

    fn load_map(&self, name: &str, sources: &mut Sources) -> Result<dfab_map::model::Map> {
        let loaded = project::load_map(&self.project, name, &self.variables)?;
        let warnings = Findings(loaded.warnings);
        self.console.finding_warnings(&warnings, &loaded.sources);
        sources.extend(loaded.sources.clone());
        let wrong =
            |findings| Failure::findings(format!("map `{name}` is wrong"), findings, loaded.sources.clone());
        MapName::new(name).map_err(|error| {
            Failure::configuration(error.to_string()).hint(format!("a map name has {}", error.rule))
        })?;
        dfab_map::extend::extended(&loaded.value).map_err(wrong)
    }

    /// Returns what the default client stands for (cli §3): the hosts of the call, else the local
    /// engine. A host that a configured client has as `fabric_host` takes that client's settings.
    ///
    /// # Errors
    ///
    /// As [`Run::clients`].
    pub async fn default_targets(&self) -> Result<Vec<Target>> {
        let clients = self.clients().await?;
        if self.hosts.is_empty() {
            let name = ClientName::default_client();
            return Ok(vec![Target { name, config: ClientConfig::default(), is_default: true }]);
        }
        self.hosts.iter().map(|host| Ok(self.host_target(host, clients))).collect()
    }

    /// Returns the engine that a host task works on.
    ///
    /// # Errors
    ///
    /// As [`Run::clients`].
    pub async fn target(&self) -> Result<Target> {
        let clients = self.clients().await?;
        Ok(match &self.host {
            Some(host) => self.host_target(host, clients),
            None => {
                let name = ClientName::default_client();
                Target { name, config: ClientConfig::default(), is_default: true }
            }
        })
    }

    fn host_target(&self, host: &Host, clients: &Clients) -> Target {
        let config = config_of(host, clients, &self.settings.ssh);
        let config = ClientConfig { fabric_host: Some(host.text.clone()), ..config };
        let name = ClientName::new(host.text.clone()).expect("a host string is not empty");
        Target { name, config, is_default: true }
    }
}

/// Returns the settings of the client whose `fabric_host` is the same login as a host, however each is spelled
/// (clients-tasks §2.6).
fn config_of(host: &Host, clients: &Clients, ssh: &SshSettings) -> ClientConfig {
    let user = ssh.user.clone().unwrap_or_else(crate::ssh::local_user);
    let same = |config: &&ClientConfig| {
        let fabric_host = config.fabric_host.as_deref().and_then(|text| Host::parse(text).ok());
        fabric_host.is_some_and(|other| other.same_login(host, &user, ssh.port.unwrap_or(22)))
    };
    clients.values().find(same).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of a client for `LOCAL@web1` were not those of `web1`: another engine was used.
    #[test]
    fn a_client_that_names_the_local_user_is_the_hosts() {
        let local = crate::ssh::local_user();
        let resolved =
            |options: Options| Settings::resolve(&options, &Variables::for_tests("/home/u")).unwrap().ssh;
        let own = resolved(Options::default());
        let other = resolved(Options { user: Some(format!("{local}x")), ..Options::default() });
        let named = ClientName::new("c").unwrap();
        for (fabric_host, host, ssh, is_found) in [
            (format!("{local}@web1"), "web1", &own, true),
            (format!("{local}@web1:22"), "WEB1", &own, true),
            ("web1".to_owned(), &format!("{local}@web1"), &own, true),
            (format!("{local}@web1"), "web1", &other, false),
            (format!("{local}@web1"), "web1:222", &own, false),
        ] {
            let base_url = Some("/run/special.sock".to_owned());
            let client = ClientConfig {
                fabric_host: Some(fabric_host.clone()),
                base_url: base_url.clone(),
                ..ClientConfig::default()
            };
            let clients: Clients = [(named.clone(), client)].into_iter().collect();
            let config = config_of(&Host::parse(host).unwrap(), &clients, ssh);
            assert_eq!(config.base_url == base_url, is_found, "{fabric_host} and {host}");
        }
    }
}
