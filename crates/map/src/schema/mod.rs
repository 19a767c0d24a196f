//! JSON Schema of map files and client files, for editors: what `map.schema` prints.
//!
//! The schema describes the written forms, not the normal form. It sees a tagged scalar (`!env_lazy x`)
//! as its text, as editors do that know the tags (for the YAML language server:
//! `yaml.customTags: ["!path scalar", "!path_lazy scalar", "!env scalar", "!env_lazy scalar"]`). It is
//! necessarily wider than the loader where a rule depends on more than a form: cross-references, an
//! address that must be valid, a late value in a place that must be known.
//!
//! Key names come from the loader's own tables, so that a new property cannot be forgotten here.

mod clients;
mod container;
mod forms;

use serde_json::{Map as Object, Value, json};

use crate::load::keys;
use forms::{
    anything_of, boolean, mapping_of, name, names, null_or, object, options, plain_list, reference, text,
};

/// The rule of configuration, group and map names (map-model §1.4).
const CONFIGURATION: &str = "[A-Za-z0-9][A-Za-z0-9_-]*";
/// The rule of volume aliases and network names.
const ALIAS: &str = "[A-Za-z0-9][A-Za-z0-9_.-]*";

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the schema of a map file.
pub fn map() -> Value {
    let properties: Object<String, Value> =
        keys::MAP.iter().map(|key| ((*key).to_owned(), root_property(key))).collect();
    // Every root key that is not reserved is a configuration.
    let mut configurations = Object::new();
    let pattern = format!("^(?!(?:{})$){CONFIGURATION}$", keys::MAP.join("|"));
    configurations.insert(pattern, json!({ "$ref": "#/$defs/container" }));
    json!({
        "$schema": DIALECT,
        "title": "dfab container map",
        "description": "A container map. Root keys other than the reserved ones are container configurations.",
        "type": "object",
        "properties": properties,
        "patternProperties": configurations,
        "additionalProperties": false,
        "$defs": { "container": container::schema(), "volume": volume(), "network": network() },
    })
}

/// Returns the schema of a client file.
pub fn clients() -> Value {
    json!({
        "$schema": DIALECT,
        "title": "dfab client configurations",
        "description": "Docker engines by name, and the ways to them.",
        "type": "object",
        "minProperties": 0,
        "additionalProperties": null_or(clients::schema()),
    })
}

fn root_property(key: &str) -> Value {
    let described = |schema: Value, description: &str| forms::described(schema, description);
    match key {
        "name" => described(name(CONFIGURATION), "Map name; the first part of every Docker name."),
        "containers" => described(
            null_or(mapping_of(CONFIGURATION, json!({ "$ref": "#/$defs/container" }))),
            "Container configurations.",
        ),
        "volumes" => described(
            null_or(mapping_of(ALIAS, json!({ "$ref": "#/$defs/volume" }))),
            "Volume aliases: a path inside containers, or settings.",
        ),
        "networks" => described(
            null_or(mapping_of(
                "(?!(?:bridge|host|none)$)[A-Za-z0-9][A-Za-z0-9_.-]*",
                json!({ "$ref": "#/$defs/network" }),
            )),
            "User-defined networks.",
        ),
        "host" => described(null_or(host()), "Paths on the host of the aliases used in `binds`."),
        "groups" => described(
            null_or(mapping_of(CONFIGURATION, plain_list(reference()))),
            "Names for several configurations or instances.",
        ),
        "clients" => described(names(".+"), "Clients of the whole map."),
        "host_root" => described(null_or(text()), "Prefix of relative paths on the host."),
        "repository" => described(null_or(text()), "Prefix of image names without a `/`."),
        "default_tag" => described(null_or(text()), "Tag of images without one."),
        "default_domain" => described(null_or(text()), "Domain name of new containers."),
        "set_hostname" => described(null_or(boolean()), "Whether containers get a generated host name."),
        "use_attached_parent_name" => {
            described(null_or(boolean()), "Whether attached volumes are named per owning configuration.")
        }
        _ => json!({}),
    }
}

fn host() -> Value {
    let mut schema = mapping_of("(?!root$)[A-Za-z0-9][A-Za-z0-9_.-]*", forms::host_path());
    schema["properties"] = json!({ "root": null_or(text()) });
    schema
}

fn volume() -> Value {
    let property = |key: &str| match key {
        "default_path" => null_or(forms::container_path()),
        "driver" => null_or(text()),
        "driver_options" | "create_options" => options(),
        "user" => forms::user(),
        "permissions" => null_or(text()),
        _ => json!({}),
    };
    anything_of([json!({ "type": "null" }), forms::container_path(), object(&keys::VOLUME, &[], property)])
}

fn network() -> Value {
    let property = |key: &str| match key {
        "driver" => null_or(text()),
        "driver_options" | "create_options" => options(),
        "internal" => null_or(boolean()),
        _ => json!({}),
    };
    null_or(object(&keys::NETWORK, &[], property))
}

#[cfg(test)]
mod tests;
