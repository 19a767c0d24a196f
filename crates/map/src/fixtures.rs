//! Maps for tests, from YAML.

use crate::diagnostic::{Findings, RenderOptions, Sources, render_all};
use crate::extend::extended;
use crate::load::{self, LoadOptions};
use crate::model::Map;
use crate::value::Tables;

/// Loads a map as it is written; its name is `m` unless the text has one.
pub(crate) fn map(text: &str) -> Map {
    try_map(text).unwrap_or_else(|findings| panic!("{text}\n{findings}"))
}

/// Loads and extends a map.
pub(crate) fn extended_map(text: &str) -> Map {
    extended(&map(text)).unwrap_or_else(|findings| panic!("{text}\n{findings}"))
}

pub(crate) fn try_map(text: &str) -> Result<Map, Findings> {
    let name = if text.lines().any(|line| line.starts_with("name:")) { None } else { Some("m") };
    load::map(text, &LoadOptions { file: "m.yaml", name, lookup: &Tables::default() })
        .map(|loaded| loaded.value)
}

/// Returns findings as a user sees them.
pub(crate) fn shown(findings: &[crate::diagnostic::Finding], text: &str) -> String {
    render_all(findings, &Sources::of("m.yaml", text), RenderOptions::default())
}

/// The example of the documentation (map-model §14).
pub(crate) const EXAMPLE: &str = "\
name: example_map
repository: registry.example.com
host_root: /var/lib/site
web_server:
  image: nginx
  binds: {/etc/nginx: [config/nginx, ro]}
  uses: app_server_socket
  attaches: web_log
  exposes: {80: 80, 443: 443}
app_server:
  image: app
  instances: [instance1, instance2]
  binds:
  - app_config: ro
  - app_data:            # see D14: an alias, read-write
  attaches: [app_log, app_server_socket]
  user: 2000
  permissions: u=rwX,g=rX,o=
volumes:
  web_log: /var/log/nginx
  app_server_socket: /var/lib/app/socket
  app_config: /var/lib/app/config
  app_log: /var/lib/app/log
  app_data: /var/lib/app/data
host:
  app_config: {instance1: config/app1, instance2: config/app2}
  app_data: {instance1: data/app1, instance2: data/app2}
";
