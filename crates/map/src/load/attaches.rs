//! `attaches`: volumes owned by the configuration (map-model §2.6).

use super::binds::volume_alias;
use super::context::Context;
use super::elements::{Element, Fields, Form, tuples};
use crate::model::Attach;
use crate::value::Late;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `alias`, `{alias: /container/path}`, or a list of these";

const FIELDS: Fields = Fields {
    what: "an attached volume",
    names: &["name", "path", "readonly"],
    marks: &["name", "path"],
    numbers: false,
};

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<Attach> {
    tuples(context, "attaches", node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Attach> {
    if let Form::Named(named) = element.form {
        let node = named.required(context, &element.node, "name")?;
        let name = volume_alias(context, node)?;
        if let Some(flag) = named.get("readonly")
            && context.readonly(flag)?
        {
            context.invalid_hint(flag, "an attached volume cannot be read-only", "leave `readonly` out");
            return None;
        }
        return Some(Attach {
            name,
            path: named.get("path").map_or(Some(None), |node| path(context, node))?,
        });
    }
    let parts = match &element.form {
        // A nested list is no path here, unlike in `binds` and `uses`.
        Form::Entry(value) | Form::ListEntry(_, value) if value.list().is_some() => {
            context.expected(value, "an absolute path inside the container");
            return None;
        }
        _ => element.parts(context, 1..=2)?,
    };
    let name = volume_alias(context, parts[0])?;
    let path = parts.get(1).map_or(Some(None), |node| path(context, node))?;
    Some(Attach { name, path })
}

/// Reads a mount path; null, `false` and an empty text are the default path.
fn path(context: &mut Context, node: &Node) -> Option<Option<Late<String>>> {
    let is_false = node.scalar().is_some_and(|scalar| scalar.plain && scalar.text == "false");
    if node.is_null() || node.tag.is_none() && (is_false || node.text() == Some("")) {
        return Some(None);
    }
    context.container_path(node).map(Some)
}
