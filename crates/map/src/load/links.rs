//! `links`, of configurations and of network endpoints (map-model §2.8), and references.

use super::context::Context;
use super::elements::{Element, Fields, Form, tuples};
use crate::model::{Link, Reference};
use crate::yaml::Node;

pub(super) const FORMS: &str =
    "accepted are `config`, `config.instance`, `{config: alias}`, or a list of these";

const FIELDS: Fields =
    Fields { what: "a link", names: &["container", "alias"], marks: &["container"], numbers: false };

/// Reads the links of a configuration (`property` is `links`) or of an endpoint.
pub(super) fn read(context: &mut Context, property: &str, node: &Node) -> Vec<Link> {
    tuples(context, property, node, &FIELDS, element)
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<Link> {
    if let Form::Named(named) = element.form {
        let node = named.required(context, &element.node, "container")?;
        let container = reference(context, node)?;
        let alias = named.get("alias").map_or(Some(None), |node| alias(context, node))?;
        return Some(Link { container, alias });
    }
    let parts = element.parts(context, 1..=2)?;
    let container = reference(context, parts[0])?;
    let alias = parts.get(1).map_or(Some(None), |node| alias(context, node))?;
    Some(Link { container, alias })
}

fn alias(context: &mut Context, node: &Node) -> Option<Option<String>> {
    if node.is_null() || node.text() == Some("") {
        return Some(None);
    }
    context.text(node, "the alias of a link").map(Some)
}

/// Reads `config` or `config.instance`, split at the first dot. A bare number is none.
pub(super) fn reference(context: &mut Context, node: &Node) -> Option<Reference> {
    let text = context.text(node, "`config` or `config.instance`")?;
    match Reference::parse(&text) {
        Ok(reference) => Some(reference),
        Err(error) => {
            context.invalid_name(node.place(), &error);
            None
        }
    }
}
