//! Networks: `docker network …`.

use dfab_map::spec::{EndpointSpec, NetworkSpec};
use serde_json::Value;

use super::words::{Words, entries, no_flag, objects, text};
use super::{Built, Command};

/// `docker network create [flags] NAME`; the output is the ID.
///
/// # Errors
///
/// `Unsupported` for a key of `IPAM` that the program has no flag for.
pub fn create_network(spec: &NetworkSpec) -> Built {
    let mut words = Words::new("network create");
    if !spec.driver.is_empty() {
        words.flag("driver", &spec.driver);
    }
    words.entries("opt", &spec.options);
    if spec.internal {
        words.flag("internal", true);
    }
    words.each("ipv6", spec.enable_ipv6);
    words.each("attachable", spec.attachable);
    ipam(&mut words, &spec.ipam)?;
    words.entries("label", &spec.labels).entries("label", &spec.own_labels);
    words.positional(&spec.name)?;
    Ok(Command::action(format!("create network `{}`", spec.name), words))
}

/// `--ipam-driver`, `--ipam-opt`, and `--subnet`, `--ip-range`, `--gateway`, `--aux-address` for
/// each pool. The program finds the pool of an address by its subnet.
fn ipam(words: &mut Words, ipam: &Value) -> Built<()> {
    const WHAT: &str = "ipam";
    let empty = serde_json::Map::new();
    let fields = match ipam {
        Value::Null => &empty,
        Value::Object(fields) => fields,
        other => return Err(super::words::unexpected(WHAT, "a mapping", other)),
    };
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
        match name.as_str() {
            "Driver" => drop(words.flag("ipam-driver", text(WHAT, value)?)),
            "Options" => drop(words.entries("ipam-opt", entries(WHAT, value)?)),
            "Config" => {
                for pool in objects(WHAT, value)? {
                    for (name, value) in pool.iter().filter(|(_, value)| !value.is_null()) {
                        match name.as_str() {
                            "Subnet" => drop(words.flag("subnet", text(WHAT, value)?)),
                            "IPRange" => drop(words.flag("ip-range", text(WHAT, value)?)),
                            "Gateway" => drop(words.flag("gateway", text(WHAT, value)?)),
                            "AuxiliaryAddresses" | "AuxAddress" => {
                                words.entries("aux-address", entries(WHAT, value)?);
                            }
                            other => return Err(no_flag(format_args!("`{other}` of an IPAM pool"))),
                        }
                    }
                }
            }
            other => return Err(no_flag(format_args!("`{other}` of `ipam`"))),
        }
    }
    Ok(())
}

/// `docker network rm NAME`.
pub fn remove_network(network: &str) -> Built {
    let mut words = Words::new("network rm");
    words.positional(network)?;
    Ok(Command::action(format!("remove network `{network}`"), words))
}

/// `docker network connect [flags] NETWORK CONTAINER`.
pub fn connect_network(container: &str, endpoint: &EndpointSpec) -> Built {
    let mut words = Words::new("network connect");
    words.each("alias", &endpoint.aliases);
    words.each("link", &endpoint.links);
    words.each("ip", &endpoint.ipv4_address);
    words.each("ip6", &endpoint.ipv6_address);
    words.each("link-local-ip", &endpoint.link_local_ips);
    words.positional(&endpoint.network)?.positional(container)?;
    Ok(Command::action(format!("connect container `{container}` to network `{}`", endpoint.network), words))
}

/// `docker network disconnect [--force=true] NETWORK CONTAINER`.
pub fn disconnect_network(container: &str, network: &str, force: bool) -> Built {
    let mut words = Words::new("network disconnect");
    if force {
        words.flag("force", true);
    }
    words.positional(network)?.positional(container)?;
    Ok(Command::action(format!("disconnect container `{container}` from network `{network}`"), words))
}

/// `docker network ls --quiet [--filter=name=NAME]… [--filter=id=ID]…`, then `docker network inspect` of
/// all: a JSON array. Names and IDs may be parts of them, and a network fits that has one of the names and
/// one of the IDs.
pub fn list_networks(names: &[&str], ids: &[&str]) -> Command {
    let mut words = Words::new("network ls");
    words.flag("no-trunc", true).flag("quiet", true);
    words.entries("filter", names.iter().map(|name| ("name", name)));
    words.entries("filter", ids.iter().map(|id| ("id", id)));
    Command { then: Some(Words::new("network inspect").0), ..Command::query("list networks", words) }
}

/// `docker network inspect NAME`: a JSON array of one.
pub fn inspect_network(network: &str) -> Built {
    let mut words = Words::new("network inspect");
    words.positional(network)?;
    Ok(Command::query(format!("inspect network `{network}`"), words))
}
