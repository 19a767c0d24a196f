//! Which hosts play which part (clients-tasks §7.6).

use std::collections::BTreeSet;

use dfab_map::model::Clients;
use indexmap::IndexMap;

/// Roles by name, each with its host strings, as the project file has them.
pub type Roles = IndexMap<String, Vec<String>>;

/// Returns the names of the roles that a host plays.
pub fn get_current_roles<'a>(roles: &'a Roles, host: &str) -> Vec<&'a str> {
    let plays = |(_, hosts): &(&String, &Vec<String>)| hosts.iter().any(|member| member == host);
    roles.iter().filter(plays).map(|(name, _)| name.as_str()).collect()
}

/// Returns the addresses that the clients of a role's hosts have for an interface's alias, and the names of those
/// clients that have none, which is worth a warning.
///
/// A role that is not there has no addresses. An address that has not been looked up yet counts as missing.
pub fn get_role_addresses(
    roles: &Roles,
    clients: &Clients,
    role: &str,
    interface: &str,
) -> (BTreeSet<String>, Vec<String>) {
    let hosts = roles.get(role).map(Vec::as_slice).unwrap_or_default();
    let (mut addresses, mut without) = (BTreeSet::new(), Vec::new());
    for (name, config) in clients {
        if !config.fabric_host.as_ref().is_some_and(|host| hosts.contains(host)) {
            continue;
        }
        match config.interfaces.get(interface).and_then(|address| address.known()) {
            Some(address) => {
                addresses.insert(address.clone());
            }
            None => without.push(name.to_string()),
        }
    }
    (addresses, without)
}

#[cfg(test)]
mod tests {
    use dfab_map::model::ClientConfig;
    use dfab_map::names::ClientName;
    use dfab_map::value::Late;

    use super::*;

    /// The example of clients-tasks §7.6, and a client without the interface.
    #[test]
    fn roles_and_their_addresses() {
        let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
        let roles =
            Roles::from([("web".to_owned(), hosts(&["h1", "h2", "h4"])), ("db".to_owned(), hosts(&["h3"]))]);
        assert_eq!(get_current_roles(&roles, "h1"), ["web"]);
        assert_eq!(get_current_roles(&roles, "h9"), [""; 0]);
        assert_eq!(get_current_roles(&Roles::new(), "h1"), [""; 0]);

        let client = |name: &str, host: &str, address: Option<&str>| {
            let address = address.map(|address| ("private".to_owned(), Late::Known(address.to_owned())));
            let config = ClientConfig {
                fabric_host: Some(host.to_owned()),
                interfaces: address.into_iter().collect(),
                ..ClientConfig::default()
            };
            (ClientName::new(name).unwrap(), config)
        };
        let clients = Clients::from_iter([
            client("c1", "h1", Some("10.0.0.1")),
            client("c2", "h2", Some("10.0.0.2")),
            client("c3", "h3", Some("10.0.0.3")),
            client("c4", "h4", None),
        ]);
        let of = |role, clients| get_role_addresses(&roles, clients, role, "private");
        let found = |addresses: &[&str]| addresses.iter().map(|address| (*address).to_owned()).collect();
        assert_eq!(of("web", &clients), (found(&["10.0.0.1", "10.0.0.2"]), vec!["c4".to_owned()]));
        assert_eq!(of("none", &clients), (BTreeSet::new(), Vec::new()));
        assert_eq!(of("web", &Clients::new()), (BTreeSet::new(), Vec::new()));
    }
}
