//! `docs/comparison.md` is made from the table of properties.
//!
//! `UPDATE_DOCS=1 cargo test -p dfab-map --test comparison` writes it.

// Helpers of tests may panic as tests may.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;

use dfab_map::property::{Compared, OnChange, Property, Shape};

/// What stands before the table.
const INTRODUCTION: &str = "\
# How a container, a network and a volume are compared

<!-- Made from crates/map/src/property.rs by `UPDATE_DOCS=1 cargo test -p dfab-map --test comparison`. -->

`actions.update` compares what the map says with what the engine shows, and names every difference in the plan
(`dfab --dry-run actions.update …`). Absent, null and empty are one; a number equals its text. What the map does not set is
not compared, so that defaults of the image and of the engine are no differences.

What was *removed* from the map is seen as well: every container that dfab makes carries the label `dfab.desired` with a
digest of each property that was set (16 hexadecimal digits of a SHA-256, never a value). A container without the label,
made by Docker-Fabric or by hand, is compared by inspection only.

A difference is handled *in place* where the engine can change a living container, else the container is *recreated*:
stopped with its own signal and timeout, removed, created, connected and started. Volumes and their data stay.

## Containers: image, volumes, networks, commands

| in the map | how it is compared | what a difference does |
|---|---|---|
| `image` | the ID that the reference has on the engine, after any pull; not for `persistent` containers, unless `--update-persistent` | recreate |
| `binds`, `attaches`, `uses` | what is mounted at each path: volume or cleaned host path, read-only or not; other options by digest | recreate |
| `uses` of a container | the container, and that its volume at each path is still the one mounted here | recreate |
| `networks` | each endpoint: connected, aliases, links, addresses; the network must still be the same one | connect, connect again, disconnect |
| `network_mode`, also in `host_config`; `network_disabled` | `host`, `none` and `container:…` against each other and the default | recreate |
| `exec_commands` | with policy `restart`: a process with these words, of the command's or else the container's user, runs (`--check-exec-commands full`, `partial`, `none`) | run it |
| `links`, `network_mode`, `uses` of a container that is made anew | follows from the plan | recreate |

Environment variables, labels and options of log drivers are compared, but their values are never shown.

## Containers: properties

| in the map | in `POST /containers/create` | what counts | compared by | what a difference does |
|---|---|---|---|---|
";

/// What stands behind it.
const REST: &str = "
Limits and the restart policy are compared both ways: one that the container has and the map does not set is lifted.
A limit can only be lifted by a new container (`--skip-limit-reset` leaves it), a policy in place. A limit that the kernel
of the engine cannot hold is not compared. For `blkio_weight`, `blkio_weight_device`
and `mem_swappiness` no engine says whether it can: where none shows, the digest decides. With `mem_limit` alone, the engine keeps twice as much as `memswap_limit`.

## Networks

| in the map | how it is compared | what a difference does |
|---|---|---|
| `driver`, `internal` | equal | recreate: its containers are disconnected and connected again, each as the map says or, where no map knows it, as it was |
| `driver_options`, `labels` in `create_options` | every configured entry; removed ones by digest | the same |
| `ipam` in `create_options` | every configured range is there; removed ones by digest | the same |
| `enable_ipv6`, `attachable` in `create_options` | equal, where the map sets them; removed ones by digest | the same |

Where an engine holds several networks of one name, nothing is done that has to address one of them: the plan names their IDs.

## Volumes

A volume cannot be changed, and a new one is empty. So nothing makes a volume anew, unless the volume itself is named in
`--force-update`.

| in the map | how it is compared | what a difference does |
|---|---|---|
| `driver`, `driver_options` | equal | an error that names each option and the containers which hold the volume |
| `labels` in `create_options` | every configured entry | a note |
| `user`, `permissions` | by digest | a note: they are set on a new volume only |
";

fn table() -> String {
    let mut text = String::from(INTRODUCTION);
    for property in Property::ALL {
        let counts = match property.shape() {
            Shape::Text | Shape::Integer | Shape::Bytes | Shape::Boolean => "the value",
            Shape::Words => "all words in order",
            Shape::Environment => "each variable",
            Shape::Labels => "each entry",
            Shape::Set => "each element",
            Shape::Json => "every part that is set",
        };
        let compared = match property.compared() {
            Compared::Inspect => "inspection",
            Compared::Digest => "digest",
        };
        let change = match property.on_change() {
            OnChange::Update => "in place",
            OnChange::Recreate => "recreate",
        };
        writeln!(text, "| `{property}` | `{}` | {counts} | {compared} | {change} |", property.path())
            .unwrap();
    }
    text + REST
}

#[test]
fn the_guide_shows_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/comparison.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, table()).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text == table(), "docs/comparison.md is not what UPDATE_DOCS=1 makes of the table");
}
