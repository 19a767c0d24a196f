//! `uses`: volumes of other configurations (map-model §2.7).

use super::context::Context;
use super::elements::{Element, Fields, Form, tuples};
use super::scalars::is_access;
use crate::model::Use;
use crate::names::InstanceName;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `name`, `{name: ro}`, `{name: /container/path}`, \
    `{name: [/container/path, ro]}`, or a list of these; a name is an attached volume, `config` or `config.instance`";

const FIELDS: Fields = Fields {
    what: "a used volume",
    names: &["name", "path", "readonly"],
    marks: &["name", "path"],
    numbers: false,
};

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<Use> {
    tuples(context, "uses", node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Use> {
    if let Form::Named(named) = element.form {
        let node = named.required(context, &element.node, "name")?;
        let name = name(context, node)?;
        let readonly = named.get("readonly").map_or(Some(false), |flag| context.readonly(flag))?;
        let path = match named.get("path") {
            Some(node) => Some(context.container_path(node)?),
            None => None,
        };
        return Some(Use { name, path, readonly });
    }
    let parts = element.parts(context, 1..=3)?;
    let name = name(context, parts[0])?;
    match &parts[1..] {
        [] => Some(Use { name, path: None, readonly: false }),
        [flag] if is_access(flag) || flag.is_null() => {
            Some(Use { name, path: None, readonly: context.readonly(flag)? })
        }
        [path, flag @ ..] => {
            let path = Some(context.container_path(path)?);
            let readonly = flag.first().map_or(Some(false), |flag| context.readonly(flag))?;
            Some(Use { name, path, readonly })
        }
    }
}

/// Reads the name of a volume or a container. Which of them it is, the whole map decides; both are
/// made of the characters of an instance name.
fn name(context: &mut Context, node: &Node) -> Option<String> {
    context
        .name(node, "the name of an attached volume or a configuration", InstanceName::new)
        .map(|name| name.to_string())
}
