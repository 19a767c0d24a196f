//! A configuration in normal form, list elements in named form (map-model §0.4, §2).

use indexmap::IndexMap;

use super::node::{Fields, late, list, mapping, scalar, text, value};
use super::{host_path, number};
use crate::model::{
    Attach, Bind, CommandLine, Container, Endpoint, ExecCommand, ExecPolicy, HealthCheck, HealthTest, Link,
    NetworkMode, Options, Port, PortProtocol, Use, User,
};
use crate::value::{Late, Value};
use crate::yaml::Node;

pub(super) fn node(container: &Container) -> Node {
    let mut fields = Fields::default();
    fields.boolean("abstract", Some(container.is_abstract));
    fields.list("extends", &container.extends, |parent| text(parent));
    fields.setting("image", &container.image, |image| text(image));
    fields.list("instances", &container.instances, |instance| text(instance));
    fields.list("clients", &container.clients, |client| text(client));
    fields.list("shares", &container.shares, late_text);
    fields.list("binds", &container.binds, bind);
    fields.list("attaches", &container.attaches, attach);
    fields.list("uses", &container.uses, used);
    fields.list("links", &container.links, link);
    fields.list("exposes", &container.exposes, port);
    fields.list("networks", &container.networks, endpoint);
    fields.setting("network_mode", &container.network_mode, network_mode);
    fields.list("exec_commands", &container.exec_commands, exec_command);
    fields.setting("healthcheck", &container.healthcheck, health_check);
    fields.setting("user", &container.user, user);
    fields.setting("permissions", &container.permissions, late_text);
    fields.setting("stop_timeout", &container.stop_timeout, |seconds| number(*seconds));
    fields.setting("stop_signal", &container.stop_signal, |signal| text(&signal.0));
    fields.setting("start_delay", &container.start_delay, |delay| scalar(delay.as_secs_f64().to_string()));
    fields.setting("persistent", &container.persistent, |persistent| scalar(persistent.to_string()));
    options(&mut fields, "create_options", &container.create_options);
    options(&mut fields, "host_config", &container.host_config);
    fields.node()
}

fn late_text(value: &Late<String>) -> Node {
    late(value, |value| text(value))
}

/// One layer is a mapping; several, which inheritance of late mappings makes, are a list of them.
fn options(fields: &mut Fields, name: &str, options: &Options) {
    let layer = |layer: &Late<IndexMap<String, Value>>| {
        late(layer, |entries| mapping(entries.iter().map(|(key, data)| (key.clone(), value(data)))))
    };
    match options.layers() {
        [] => {}
        [only] => fields.put(name, layer(only)),
        layers => fields.put(name, list(layers.iter().map(layer))),
    }
}

fn bind(bind: &Bind) -> Node {
    let mut fields = Fields::default();
    let readonly = match bind {
        Bind::Alias { name, readonly } => {
            fields.text("name", name);
            readonly
        }
        Bind::Path { path, host_path: host, readonly } => {
            fields.late("path", Some(path));
            fields.put("host_path", host_path(host));
            readonly
        }
    };
    fields.boolean("readonly", Some(*readonly));
    fields.node()
}

fn attach(attach: &Attach) -> Node {
    let mut fields = Fields::default();
    fields.text("name", &attach.name);
    fields.late("path", attach.path.as_ref());
    fields.node()
}

fn used(used: &Use) -> Node {
    let mut fields = Fields::default();
    fields.text("name", &used.name);
    fields.late("path", used.path.as_ref());
    fields.boolean("readonly", Some(used.readonly));
    fields.node()
}

fn link(link: &Link) -> Node {
    let mut fields = Fields::default();
    fields.text("container", &link.container.to_string());
    if let Some(alias) = &link.alias {
        fields.text("alias", alias);
    }
    fields.node()
}

fn port(port: &Port) -> Node {
    let mut fields = Fields::default();
    fields.put(
        "exposed_port",
        match port.protocol {
            PortProtocol::Tcp => number(port.exposed_port),
            PortProtocol::Udp | PortProtocol::Sctp => text(&port.key()),
        },
    );
    if let Some(published) = &port.published {
        fields.put("host_port", late(&published.host_port, |port| number(*port)));
        fields.late("interface", published.interface.as_ref());
        if published.ipv6 != Late::Known(false) {
            fields.put("ipv6", late(&published.ipv6, |ipv6| scalar(ipv6.to_string())));
        }
    }
    fields.node()
}

fn endpoint(endpoint: &Endpoint) -> Node {
    let mut fields = Fields::default();
    fields.text("network_name", &endpoint.network_name);
    fields.list("aliases", &endpoint.aliases, late_text);
    fields.list("links", &endpoint.links, link);
    fields.late("ipv4_address", endpoint.ipv4_address.as_ref());
    fields.late("ipv6_address", endpoint.ipv6_address.as_ref());
    fields.list("link_local_ips", &endpoint.link_local_ips, late_text);
    fields.node()
}

fn network_mode(mode: &NetworkMode) -> Node {
    match mode {
        NetworkMode::None => text("none"),
        NetworkMode::Bridge => text("bridge"),
        NetworkMode::Host => text("host"),
        NetworkMode::Unmanaged(name) => text(&format!("container:{name}")),
        NetworkMode::Container(reference) => {
            let mut fields = Fields::default();
            fields.text("config_name", &reference.config);
            if let Some(instance) = &reference.instance {
                fields.text("instance_name", instance);
            }
            fields.node()
        }
    }
}

fn exec_command(command: &ExecCommand) -> Node {
    let mut fields = Fields::default();
    fields.put(
        "cmd",
        match &command.cmd {
            CommandLine::Text(command) => late_text(command),
            CommandLine::Words(words) => list(words.iter().map(late_text)),
        },
    );
    fields.late("user", command.user.as_ref());
    fields.text(
        "policy",
        match command.policy {
            ExecPolicy::Restart => "restart",
            ExecPolicy::Initial => "initial",
        },
    );
    fields.node()
}

fn health_check(check: &HealthCheck) -> Node {
    let mut fields = Fields::default();
    fields.put(
        "test",
        match &check.test {
            HealthTest::Disabled => list([text("NONE")]),
            HealthTest::Shell(command) => text(command),
            HealthTest::Words(words) => list(words.iter().map(|word| text(word))),
        },
    );
    let times = [("interval", check.interval), ("timeout", check.timeout)];
    let times = times
        .into_iter()
        .chain([("retries", check.retries.map(u64::from)), ("start_period", check.start_period)]);
    for (name, value) in times {
        if let Some(value) = value {
            fields.put(name, number(value));
        }
    }
    fields.node()
}

pub(super) fn user(user: &Late<User>) -> Node {
    late(user, |user| match &user.group {
        Some(group) => text(&format!("{}:{group}", user.user)),
        None => text(&user.user),
    })
}
