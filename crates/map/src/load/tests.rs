//! Tables of accepted and refused forms, wrong maps as users see them, whole maps.

pub(crate) mod forms;
mod maps;
mod notation;
mod properties;
mod wrong_maps;

use super::*;
use crate::diagnostic::{RenderOptions, render_all};
use crate::value::{Tables, Value};

/// The surroundings of the tests: map-model §10.3's, and some variables.
pub(crate) fn tables() -> Tables {
    let mut tables = Tables::default();
    tables.environment.insert("SITE".to_owned(), "/srv/site".to_owned());
    tables.homes.insert(String::new(), "/home/u".to_owned());
    tables.variables.insert("port".to_owned(), Value::from(8080));
    tables.variables.insert("tag".to_owned(), Value::from("devel"));
    let binds = [("conf".to_owned(), Value::from("ro"))];
    tables.variables.insert("binds".to_owned(), Value::Mapping(binds.into()));
    tables
}

pub(super) fn load(text: &str) -> Result<Loaded<Map>, Findings> {
    map(text, &LoadOptions { file: "map.yaml", name: None, lookup: &tables() })
}

pub(super) fn load_clients(text: &str) -> Result<Loaded<Clients>, Findings> {
    clients(text, &LoadOptions { file: "clients.yaml", name: None, lookup: &tables() })
}

/// What the user sees.
pub(super) fn shown(findings: &Findings) -> String {
    render_all(&findings.0, &Sources::default(), RenderOptions::default())
}
