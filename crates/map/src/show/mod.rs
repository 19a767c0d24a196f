//! A map in normal form as YAML (map-model §1.8): what `map.show` prints.
//!
//! Loading the text again gives an equal map. List elements stand in named form, empty lists and
//! unset values are left out; `abstract`, `driver`, `internal` and `host` are always there.

mod container;
mod node;

use node::{Fields, list, mapping, scalar, text, value};

use crate::model::{HostPath, Map, Network, Volume};
use crate::yaml::{self, Node};

/// Writes a whole map.
pub fn map(map: &Map) -> String {
    yaml::write(&map_node(map))
}

/// Writes one configuration of a map under its name; `None` if there is none of this name.
pub fn configuration(map: &Map, name: &str) -> Option<String> {
    let (name, container) = map.containers.get_key_value(name)?;
    Some(yaml::write(&mapping([(name.to_string(), container::node(container))])))
}

fn map_node(map: &Map) -> Node {
    let mut root = Fields::default();
    root.text("name", &map.name);
    root.late("repository", map.repository.as_ref());
    root.late("default_tag", map.default_tag.as_ref());
    root.late("default_domain", map.default_domain.as_ref());
    root.boolean("set_hostname", map.set_hostname);
    root.boolean("use_attached_parent_name", map.use_attached_parent_name);
    root.list("clients", &map.clients, |client| text(client));
    root.late("host_root", map.host_root.as_ref());
    root.mapping("containers", &map.containers, |container| container::node(container));
    root.mapping("volumes", &map.volumes, volume);
    root.put("host", mapping(map.host.iter().map(|(alias, path)| (alias.to_string(), host_path(path)))));
    root.mapping("networks", &map.networks, network);
    root.mapping("groups", &map.groups, |members| {
        list(members.iter().map(|member| text(&member.to_string())))
    });
    root.node()
}

fn volume(volume: &Volume) -> Node {
    let mut fields = Fields::default();
    fields.late("default_path", volume.default_path.as_ref());
    fields.text("driver", volume.driver_or_default());
    fields.mapping("driver_options", &volume.driver_options, value);
    fields.mapping("create_options", &volume.create_options, value);
    fields.setting("user", &volume.user, container::user);
    fields.setting("permissions", &volume.permissions, |mode| node::late(mode, |mode| text(mode)));
    fields.node()
}

fn network(network: &Network) -> Node {
    let mut fields = Fields::default();
    fields.text("driver", network.driver_or_default());
    fields.mapping("driver_options", &network.driver_options, value);
    fields.boolean("internal", Some(network.is_internal()));
    fields.mapping("create_options", &network.create_options, value);
    fields.node()
}

fn host_path(path: &HostPath) -> Node {
    match path {
        HostPath::Path(path) => node::late(path, |path| text(path)),
        HostPath::PerInstance(paths) => mapping(
            paths.iter().map(|(instance, path)| (instance.to_string(), node::late(path, |path| text(path)))),
        ),
    }
}

/// A whole number.
fn number(number: impl Into<u64>) -> Node {
    scalar(number.into().to_string())
}

#[cfg(test)]
mod tests;
