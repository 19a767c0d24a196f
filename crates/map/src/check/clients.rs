//! Do the clients exist that a map names (map-model §4.6)?

use crate::diagnostic::{Finding, FindingKind, Subject, nearest};
use crate::model::{Clients, Map};
use crate::names::ClientName;
use crate::place::{in_configuration, in_map, written_at};
use crate::position::Origins;

/// Returns a finding for every client that the map, or one of its configurations, names and that is
/// not configured. The default client always exists.
pub fn clients(map: &Map, clients: &Clients) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut look = |names: &[ClientName], subject: Subject, origins: &Origins| {
        for name in names.iter().filter(|name| !name.is_default() && !clients.contains_key(*name)) {
            let message = format!("`{name}` is no configured client");
            let finding = Finding::error(FindingKind::UnknownReference, message).about(subject.clone());
            let finding = match nearest(name, clients.keys().map(|name| name.as_str())) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding,
            };
            findings.push(written_at(finding, origins, &format!("clients.{name}"), name));
        }
    };
    let whole_map = Subject { property: Some("clients".to_owned()), ..in_map(&map.name) };
    look(&map.clients, whole_map, &map.origins);
    for (name, container) in &map.containers {
        look(&container.clients, in_configuration(&map.name, name, "clients"), &container.origins);
    }
    findings
}
