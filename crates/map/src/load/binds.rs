//! `binds`: volumes from the host (map-model §2.5).

use super::context::Context;
use super::elements::{Element, Fields, Form, tuples};
use super::scalars::is_access;
use super::volumes::host_path;
use crate::model::Bind;
use crate::names::VolumeAlias;
use crate::value::Late;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `alias`, `{alias: ro}`, `{/container/path: host/path}`, \
    `{/container/path: [host/path, ro]}`, or a list of these";

const FIELDS: Fields = Fields {
    what: "a bind",
    names: &["name", "path", "host_path", "readonly"],
    marks: &["name", "path"],
    numbers: false,
};

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<Bind> {
    tuples(context, "binds", node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Bind> {
    let node = &*element.node;
    if let Form::Named(named) = element.form {
        let readonly = named.get("readonly").map_or(Some(false), |flag| context.readonly(flag))?;
        if let Some(name) = named.get("name") {
            if let Some(extra) = named.get("path").or(named.get("host_path")) {
                context.invalid(extra, "a bind has either `name`, or `path` and `host_path`");
                return None;
            }
            return Some(Bind::Alias { name: alias(context, name)?, readonly });
        }
        let path = named.required(context, node, "path")?;
        let host = named.required(context, node, "host_path")?;
        return Some(Bind::Path {
            path: path_inside(context, path)?,
            host_path: host_path(context, host)?,
            readonly,
        });
    }
    let parts = element.parts(context, 1..=3)?;
    let first = parts[0];
    match &parts[1..] {
        [] => Some(Bind::Alias { name: alias(context, first)?, readonly: false }),
        [flag] if is_access(flag) || flag.is_null() => {
            if is_path(first) {
                let hint = "give the path on the host: `{/container/path: host/path}`";
                context.invalid_hint(node, "a direct bind needs a path on the host", hint);
                return None;
            }
            let readonly = context.readonly(flag)?;
            Some(Bind::Alias { name: alias(context, first)?, readonly })
        }
        [host, flag @ ..] => {
            let path = path_inside(context, first)?;
            let readonly = flag.first().map_or(Some(false), |flag| context.readonly(flag))?;
            Some(Bind::Path { path, host_path: host_path(context, host)?, readonly })
        }
    }
}

fn alias(context: &mut Context, node: &Node) -> Option<VolumeAlias> {
    if is_path(node) {
        let message = format!("{} is a path, where a volume alias is expected", node.describe());
        let hint =
            "a direct bind is one pair: `{/container/path: host/path}` or `[[/container/path, host/path]]`";
        context.invalid_hint(node, message, hint);
        return None;
    }
    volume_alias(context, node)
}

/// Reads a volume alias. A bare number is no alias, though a number as a key is one (map-model §1.4).
pub(super) fn volume_alias(context: &mut Context, node: &Node) -> Option<VolumeAlias> {
    context.name(node, "the name of a volume", VolumeAlias::new)
}

/// Reads the path inside the container, which starts with `/` or `./`.
fn path_inside(context: &mut Context, node: &Node) -> Option<Late<String>> {
    let path = context.late_text(node, "a path inside the container")?;
    if let Late::Known(text) = &path
        && !is_path(node)
    {
        let message = format!("`{text}` is no path inside the container");
        let hint = "it starts with `/`; an alias takes its host path from `host`, not from `binds`";
        context.invalid_hint(node, message, hint);
        return None;
    }
    Some(path)
}

fn is_path(node: &Node) -> bool {
    node.lazy().is_some() || node.text().is_some_and(|text| text.starts_with('/') || text.starts_with("./"))
}
