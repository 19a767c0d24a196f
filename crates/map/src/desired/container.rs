//! From a configuration, an instance and a client to what creates the container (engine §6.3, §6.4).

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexMap;
use serde_json::{Map, Value as Json, json};

use super::keyword::Group;
use super::layers::Layers;
use super::maker::{Maker, Owner};
use super::mounts::{desired_mounts, own_shares};
use super::{Container, DesiredMount, Exec, Features, Lifecycle, Networking, read};
use crate::digest;
use crate::image;
use crate::model::{self, CommandLine, HealthTest, Keyed, Setting};
use crate::names::{ConfigName, InstanceName, container_name, host_name};
use crate::property::Property;
use crate::spec::{ContainerSpec, StopSpec};
use crate::value::{Late, Value};

/// The longest host name that a container can have.
const MAX_HOST_NAME: usize = 63;

impl Maker<'_> {
    /// Makes a container. `caller` is the last layer of options, for selected containers only.
    /// `None` when something is wrong with it, which is recorded.
    pub(super) fn container(
        &self,
        config: &ConfigName,
        instance: Option<&InstanceName>,
        caller: &IndexMap<String, Value>,
    ) -> Option<Container> {
        let container = self.map.containers.get(config)?;
        let owner = Owner::new("configuration", config, &container.origins);
        let name = container_name(&self.map.name, config, instance.map(InstanceName::as_str));
        self.required_features();
        let mut layers = Layers::default();
        layers.origin("", container.origins.get(""));
        layers.origin("image", container.origins.get("image"));
        layers.origins.adopt("exec_commands", &container.origins);

        let mut bound_to = self.mounts(config, container, instance, &mut layers);
        bound_to.extend(self.links(container, &mut layers));
        self.ports(owner, container, &mut layers);
        let networking = self.networking(owner, container, &mut layers);
        self.process(owner, container, &mut layers);
        self.host_name(owner, &name, &mut layers);
        self.options(owner, container, &mut layers);
        self.caller(owner, caller, &mut layers);
        let (networking, binding) = self.settled(networking, &mut layers);
        bound_to.extend(binding);
        self.shared_names(owner, &networking, &mut layers);

        let properties = layers.properties();
        let mounts: BTreeMap<String, DesiredMount> =
            desired_mounts(properties.get(&Property::Binds)).into_iter().collect();
        let mut recorded = properties.clone();
        if let Some(shares) = recorded.get_mut(&Property::Shares) {
            *shares = own_shares(shares, &mounts);
        }
        let image = match image::of_configuration(self.map, config, self.images) {
            Ok(image) => image,
            Err(finding) => {
                self.findings.borrow_mut().push(finding);
                return None;
            }
        };
        let mut own_labels = [
            (digest::MAP.to_owned(), self.map.name.to_string()),
            (digest::CONFIG.to_owned(), config.to_string()),
            (digest::DESIRED.to_owned(), digest::of_properties(&recorded)),
        ]
        .into_iter()
        .collect::<BTreeMap<_, _>>();
        if let Some(instance) = instance {
            own_labels.insert(digest::INSTANCE.to_owned(), instance.to_string());
        }
        let first_endpoint = match &networking {
            Networking::Endpoints(endpoints) => endpoints.first().cloned(),
            _ => None,
        };
        Some(Container {
            mounts,
            spec: ContainerSpec { name, image, properties, first_endpoint, own_labels },
            networking,
            bound_to,
            lifecycle: self.lifecycle(config, true)?,
            wait_timeout: self.wait_timeout(container),
            features: Features {
                update_limits: self.feature("container_update"),
                update_restart_policy: self.feature("container_update_restart_policy"),
                limits: self.limits(),
            },
            origins: layers.origins,
        })
    }

    /// Returns how the containers of a configuration live, with their exec commands if they matter.
    pub(super) fn lifecycle(&self, config: &ConfigName, exec: bool) -> Option<Lifecycle> {
        let container = self.map.containers.get(config)?;
        let owner = Owner::new("configuration", config, &container.origins);
        let attached = container.attaches.iter().map(|attach| self.volumes.docker_name(config, &attach.name));
        Some(Lifecycle {
            attached: attached.collect(),
            stop: self.stop(container),
            start_delay: container.start_delay.value().copied(),
            persistent: container.persistent.value().copied().unwrap_or_default(),
            exec: if exec { self.exec(owner, container) } else { Vec::new() },
        })
    }

    /// Returns how a container of the configuration is stopped (engine §6.6).
    fn stop(&self, container: &model::Container) -> StopSpec {
        let signal = container.stop_signal.value().map(|signal| signal.0.clone());
        let seconds = match container.stop_timeout {
            Setting::Value(seconds) => Some(seconds),
            Setting::Null => None,
            Setting::Unset => self.target.config.stop_timeout,
        };
        StopSpec {
            signal: signal.filter(|signal| signal != "SIGTERM"),
            timeout: seconds.map(|seconds| Duration::from_secs(seconds.into())),
        }
    }

    fn wait_timeout(&self, container: &model::Container) -> Option<Duration> {
        let own = container.stop_timeout.value().map(|seconds| Duration::from_secs((*seconds).into()));
        own.or(self.target.config.wait_timeout)
    }

    /// Tells whether a feature is not turned off in the client's settings; all engines that are
    /// supported have all of them (map-model §4.4, O-02).
    fn feature(&self, name: &str) -> bool {
        self.target.config.features.get(name).copied().unwrap_or(true)
    }

    /// Engines without these are older than any that is supported (O-02): nothing is emulated.
    fn required_features(&self) {
        let client = Owner::new("client", &self.target.name, &self.target.config.origins);
        for name in ["host_config", "networks", "volumes"] {
            if !self.feature(name) {
                self.fail(
                    client,
                    &format!("features.{name}"),
                    format!("engines without `{name}` are not supported"),
                );
            }
        }
    }

    fn limits(&self) -> BTreeMap<Property, bool> {
        let constraints = self.target.config.constraints.iter();
        constraints.filter_map(|(name, supported)| Some((Property::by_name(name)?, *supported))).collect()
    }

    /// User, signals, health check.
    fn process(&self, owner: Owner<'_>, container: &model::Container, layers: &mut Layers) {
        if let Some(user) = container.user.value()
            && let Some(user) = self.resolve(owner, "user", user)
        {
            layers.merge(Property::User, Json::from(user.user));
            layers.origin(Property::User.name(), owner.origins.get("user"));
        }
        if let Some(signal) = container.stop_signal.value().filter(|_| self.feature("stop_signal")) {
            layers.merge(Property::StopSignal, Json::from(signal.0.clone()));
            layers.origin(Property::StopSignal.name(), owner.origins.get("stop_signal"));
        }
        if let Some(seconds) = container.stop_timeout.value().filter(|_| self.feature("stop_timeout")) {
            layers.merge(Property::StopTimeout, Json::from(*seconds));
            layers.origin(Property::StopTimeout.name(), owner.origins.get("stop_timeout"));
        }
        if let Some(check) = container.healthcheck.value().filter(|_| self.feature("healthcheck")) {
            layers.merge(Property::Healthcheck, health_check(check));
            layers.origin(Property::Healthcheck.name(), owner.origins.get("healthcheck"));
        }
    }

    fn host_name(&self, owner: Owner<'_>, name: &str, layers: &mut Layers) {
        if self.map.set_hostname != Some(false) {
            let client = Some(&self.target.name).filter(|_| !self.target.is_default);
            let host_name = host_name(name, client, &self.session.settings.hostname_replace);
            layers.origin(Property::Hostname.name(), owner.origins.get(""));
            layers.merge(Property::Hostname, Json::from(host_name));
        }
        let client = Owner::new("client", &self.target.name, &self.target.config.origins);
        let domain = match (&self.target.config.domainname, &self.map.default_domain) {
            (Some(domain), _) => self.resolve(client, "domainname", domain),
            (None, Some(domain)) => {
                layers.origin(Property::Domainname.name(), self.map.origins.get("default_domain"));
                self.resolve(Owner::new("map", &self.map.name, &self.map.origins), "default_domain", domain)
            }
            (None, None) => None,
        };
        if let Some(domain) = domain.filter(|domain| !domain.is_empty()) {
            layers.merge(Property::Domainname, Json::from(domain));
        }
    }

    fn options(&self, owner: Owner<'_>, container: &model::Container, layers: &mut Layers) {
        // Host settings first: they have priority over those that old SDKs took at creation.
        for (group, options) in
            [(Group::Host, &container.host_config), (Group::Create, &container.create_options)]
        {
            match options.resolve(self.session.lookup, group.as_str()) {
                Ok(entries) => self.merge_options(owner, group, &entries, layers),
                Err(error) => self.fail_unresolved(owner, group.as_str(), &error),
            }
        }
    }

    fn caller(&self, owner: Owner<'_>, caller: &IndexMap<String, Value>, layers: &mut Layers) {
        let mut create = caller.clone();
        if let Some(host) = create.shift_remove("host_config") {
            match &host {
                Value::Mapping(entries) => self.merge_options(owner, Group::Host, entries, layers),
                other => {
                    self.fail(owner, "host_config", format!("expected a mapping, found {}", other.describe()))
                }
            }
        }
        self.merge_options(owner, Group::Create, &create, layers);
    }

    /// A container that shares the network of another one, or the host's UTS namespace, cannot have
    /// names of its own (D-50).
    fn shared_names(&self, owner: Owner<'_>, networking: &Networking, layers: &mut Layers) {
        let text = |property| layers.get(property).and_then(Json::as_str).unwrap_or_default().to_owned();
        let shares_network =
            *networking == Networking::Mode && text(Property::NetworkMode).starts_with("container:");
        if shares_network || text(Property::UtsMode) == "host" {
            layers.remove(Property::Hostname);
            layers.remove(Property::Domainname);
        }
        let host_name = layers.get(Property::Hostname).and_then(Json::as_str).unwrap_or_default();
        if host_name.len() > MAX_HOST_NAME {
            let message = format!("host name `{host_name}` is longer than {MAX_HOST_NAME} characters");
            let hint = "set `hostname` in `create_options`, or `set_hostname: false` for the map".to_owned();
            self.fail_with_hint(owner, "", message, hint);
        }
    }

    fn exec(&self, owner: Owner<'_>, container: &model::Container) -> Vec<Exec> {
        let user =
            container.user.value().and_then(|user| self.resolve(owner, "user", user)).map(|user| user.user);
        let exec = |command: &model::ExecCommand| {
            let path = format!("exec_commands.{}", command.key());
            let words = match &command.cmd {
                CommandLine::Text(text) => {
                    let text = self.resolve(owner, &path, text)?;
                    read::split(&text).map_err(|problem| self.fail(owner, &path, problem)).ok()?
                }
                CommandLine::Words(words) => words
                    .iter()
                    .map(|word: &Late<String>| self.resolve(owner, &path, word))
                    .collect::<Option<_>>()?,
            };
            let own = match &command.user {
                Some(user) => Some(self.resolve(owner, &path, user)?),
                None => user.clone(),
            };
            Some(Exec { command: words, user: own, policy: command.policy })
        };
        container.exec_commands.iter().filter_map(exec).collect()
    }
}

/// Zero and unset parts are left out (engine §6.3).
fn health_check(check: &model::HealthCheck) -> Json {
    let test = match &check.test {
        // An empty test would inherit the image's; only this one switches it off (D-53).
        HealthTest::Disabled => json!(["NONE"]),
        HealthTest::Shell(text) => json!(["CMD-SHELL", text]),
        HealthTest::Words(words) => json!(words),
    };
    let mut object = Map::new();
    object.insert("Test".into(), test);
    for (name, value) in [
        ("Interval", check.interval),
        ("Timeout", check.timeout),
        ("Retries", check.retries.map(u64::from)),
        ("StartPeriod", check.start_period),
    ] {
        if let Some(value) = value.filter(|value| *value != 0) {
            object.insert(name.into(), json!(value));
        }
    }
    Json::Object(object)
}
