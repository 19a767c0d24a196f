//! Short ways to make the values in code.
//!
//! Every struct of the model is plain and has public fields; with `..Default::default()` and the
//! functions here, a map in code is as short as in YAML. Names are checked where they are given.

use super::{
    Attach, Bind, CommandLine, Container, Endpoint, ExecCommand, ExecPolicy, HostPath, Link, Map, Network,
    Options, Port, PortProtocol, PublishedPort, Reference, Setting, Use, Volume,
};
use crate::names::{ConfigName, InstanceName, InvalidName, NetworkName, VolumeAlias};
use crate::value::{Late, Value};

impl Map {
    /// Adds a configuration, replacing one of the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the name of the configuration.
    pub fn add(&mut self, name: &str, container: Container) -> Result<&mut Self, InvalidName> {
        self.containers.insert(ConfigName::new(name)?, Box::new(container));
        Ok(self)
    }

    /// Adds a volume alias, replacing one of the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the alias.
    pub fn add_volume(&mut self, alias: &str, volume: Volume) -> Result<&mut Self, InvalidName> {
        self.volumes.insert(VolumeAlias::new(alias)?, volume);
        Ok(self)
    }

    /// Adds the path of an alias on the host, replacing one of the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the alias.
    pub fn add_host(&mut self, alias: &str, path: impl Into<HostPath>) -> Result<&mut Self, InvalidName> {
        self.host.insert(VolumeAlias::new(alias)?, path.into());
        Ok(self)
    }

    /// Adds a network, replacing one of the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the name of the network.
    pub fn add_network(&mut self, name: &str, network: Network) -> Result<&mut Self, InvalidName> {
        self.networks.insert(NetworkName::new(name)?, network);
        Ok(self)
    }

    /// Adds a group of `config` and `config.instance` references, replacing one of the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the name of the group or of a member.
    pub fn add_group<'a>(
        &mut self,
        name: &str,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Result<&mut Self, InvalidName> {
        let members = members.into_iter().map(Reference::parse).collect::<Result<_, _>>()?;
        self.groups.insert(ConfigName::new(name)?, members);
        Ok(self)
    }
}

impl Volume {
    /// Makes a volume that is mounted at `default_path`.
    pub fn at(default_path: &str) -> Self {
        Self { default_path: Some(default_path.into()), ..Self::default() }
    }
}

impl Reference {
    /// Reads `config` or `config.instance`, split at the first dot.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for either part.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (config, instance) = match text.split_once('.') {
            Some((config, instance)) => (config, Some(instance)),
            None => (text, None),
        };
        Ok(Self { config: ConfigName::new(config)?, instance: instance.map(InstanceName::new).transpose()? })
    }
}

impl Bind {
    /// Binds an alias read-write.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the alias.
    pub fn alias(name: &str) -> Result<Self, InvalidName> {
        Ok(Self::Alias { name: VolumeAlias::new(name)?, readonly: false })
    }

    /// Binds a path of the host read-write; a relative one is below the host root.
    pub fn path(path: &str, host_path: impl Into<HostPath>) -> Self {
        Self::Path { path: path.into(), host_path: host_path.into(), readonly: false }
    }

    /// Makes the bind read-only.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        match &mut self {
            Self::Alias { readonly, .. } | Self::Path { readonly, .. } => *readonly = true,
        }
        self
    }
}

impl Attach {
    /// Attaches a volume at its alias' default path.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the alias.
    pub fn new(alias: &str) -> Result<Self, InvalidName> {
        Ok(Self { name: VolumeAlias::new(alias)?, path: None })
    }
}

impl Use {
    /// Uses a volume, or all volumes of a container, read-write.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: None, readonly: false }
    }
}

impl Link {
    /// Links a container under the dashed form of its reference.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for a part of the reference.
    pub fn new(container: &str) -> Result<Self, InvalidName> {
        Ok(Self { container: Reference::parse(container)?, alias: None })
    }
}

impl Port {
    /// Exposes a TCP port to linked containers and networks only.
    pub fn exposed(port: u16) -> Self {
        Self { exposed_port: port, protocol: PortProtocol::Tcp, published: None }
    }

    /// Publishes a TCP port at `host_port` of all addresses.
    pub fn published(port: u16, host_port: u16) -> Self {
        let published =
            PublishedPort { host_port: Late::Known(host_port), interface: None, ipv6: Late::Known(false) };
        Self { published: Some(published), ..Self::exposed(port) }
    }
}

impl Endpoint {
    /// Joins a network without aliases or fixed addresses.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for the name of the network.
    pub fn new(network: &str) -> Result<Self, InvalidName> {
        Ok(Self {
            network_name: NetworkName::new(network)?,
            aliases: Vec::new(),
            links: Vec::new(),
            ipv4_address: None,
            ipv6_address: None,
            link_local_ips: Vec::new(),
        })
    }
}

impl ExecCommand {
    /// Runs a command after every start, as the configuration's user.
    pub fn new(command: &str) -> Self {
        Self { cmd: CommandLine::Text(command.into()), user: None, policy: ExecPolicy::default() }
    }
}

impl From<&str> for HostPath {
    fn from(path: &str) -> Self {
        Self::Path(path.into())
    }
}

impl<T> From<T> for Setting<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

impl From<&str> for Setting<String> {
    fn from(text: &str) -> Self {
        Self::Value(text.to_owned())
    }
}

/// Options from keys and values: `[("mem_limit", Value::from("512m"))].into()`.
impl<const N: usize> From<[(&str, Value); N]> for Options {
    fn from(entries: [(&str, Value); N]) -> Self {
        Self::known(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{self, LoadOptions};
    use crate::model::User;
    use crate::names::MapName;
    use crate::value::Tables;

    /// The documentation's example (map-model §14), without the second instance.
    #[test]
    fn a_map_built_in_code_equals_the_same_map_in_yaml() -> Result<(), InvalidName> {
        let yaml = "\
name: example_map
repository: registry.example.com
host_root: /var/lib/site
web_server:
  image: nginx
  binds: {/etc/nginx: [config/nginx, ro]}
  uses: app_server_socket
  attaches: web_log
  exposes: {80: 80, 443: 443}
  networks: front
  host_config: {mem_limit: 512m}
app_server:
  image: app
  instances: [one]
  binds: [{app_config: ro}, app_data]
  attaches: [app_log, app_server_socket]
  links: web_server
  exec_commands: init.sh
  user: 2000
  permissions: u=rwX,g=rX,o=
volumes: {web_log: /var/log/nginx, app_data: /data}
host: {app_data: data/app}
networks: {front: }
groups: {all: [web_server, app_server.one]}
";
        let mut map = Map::new(MapName::new("example_map")?);
        map.repository = Some("registry.example.com".into());
        map.host_root = Some("/var/lib/site".into());
        map.add(
            "web_server",
            Container {
                image: "nginx".into(),
                binds: vec![Bind::path("/etc/nginx", "config/nginx").read_only()],
                uses: vec![Use::new("app_server_socket")],
                attaches: vec![Attach::new("web_log")?],
                exposes: vec![Port::published(80, 80), Port::published(443, 443)],
                networks: vec![Endpoint::new("front")?],
                host_config: [("mem_limit", Value::from("512m"))].into(),
                ..Container::default()
            },
        )?;
        map.add(
            "app_server",
            Container {
                image: "app".into(),
                instances: vec![InstanceName::new("one")?],
                binds: vec![Bind::alias("app_config")?.read_only(), Bind::alias("app_data")?],
                attaches: vec![Attach::new("app_log")?, Attach::new("app_server_socket")?],
                links: vec![Link::new("web_server")?],
                exec_commands: vec![ExecCommand::new("init.sh")],
                user: Late::Known(User { user: "2000".to_owned(), group: None }).into(),
                permissions: Late::from("u=rwX,g=rX,o=").into(),
                ..Container::default()
            },
        )?;
        map.add_volume("web_log", Volume::at("/var/log/nginx"))?
            .add_volume("app_data", Volume::at("/data"))?;
        map.add_host("app_data", "data/app")?.add_network("front", Network::default())?;
        map.add_group("all", ["web_server", "app_server.one"])?;

        let options = LoadOptions { file: "map.yaml", name: None, lookup: &Tables::default() };
        assert_eq!(load::map(yaml, &options).unwrap().value, map);
        Ok(())
    }
}
