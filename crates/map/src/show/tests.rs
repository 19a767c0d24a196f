//! What is shown loads again, and means the same.

use super::*;
use crate::load::{self, LoadOptions};
use crate::value::Tables;

fn load(text: &str) -> Map {
    let options = LoadOptions { file: "map.yaml", name: None, lookup: &Tables::default() };
    load::map(text, &options).unwrap_or_else(|findings| panic!("{findings}\n{text}")).value
}

#[test]
fn the_normal_form_of_a_map() {
    let text = "\
name: shop
repository: !env_lazy registry
host_root: /srv
web:
  binds: [{conf: ro}, [/etc/x, x]]
  uses: sock
  exposes: {80: 8080, 53/udp: [53, private, true]}
  networks: {front: [www, web]}
  network_mode:
  healthcheck: [[curl, -f, x], 30s]
  exec_commands: [[[sh, -c, a b], root, initial]]
  user: [app, web]
  permissions: 0750
  image:
  create_options: {environment: {A: '1', B: 1.10, C: yes}}
app: {extends: web, attaches: {sock: /run/x}, instances: [one, '2']}
volumes: {sock: /run/s, conf: {default_path: /c, driver: nfs}}
networks: {front: }
host: {conf: {one: a, default: b}}
groups: {all: [web, app.one]}
";
    let shown = map(&load(text));
    insta::assert_snapshot!(shown);
    assert_eq!(load(&shown), load(text));
}

#[test]
fn one_configuration_stands_under_its_name() {
    let map = load("name: m\nweb: {image: nginx}\n");
    assert_eq!(configuration(&map, "web").as_deref(), Some("web:\n  abstract: false\n  image: nginx\n"));
    assert_eq!(configuration(&map, "app"), None);
}

#[test]
fn layers_of_late_options_come_back() {
    let text = "name: m\na: {abstract: true, create_options: !env_lazy all}\nb: {extends: a, create_options: {x: 1}}\n";
    let extended = crate::extend::extended(&load(text)).unwrap();
    assert_eq!(extended.containers["b"].create_options.layers().len(), 2);
    assert_eq!(load(&map(&extended)), extended);
}
