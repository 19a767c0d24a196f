//! Option mappings: `create_options`, `host_config`, `driver_options` (map-model §2.17).

use indexmap::IndexMap;

use super::context::Context;
use crate::model::Options;
use crate::property::{Property, Shape};
use crate::value::{Late, Value};
use crate::yaml::{Content, Node, ScalarKind};

pub(super) const FORMS: &str = "accepted is a mapping of options; values may be late (`!env_lazy`), and so may list \
    elements and mapping values one level below";

/// Reads the options of a configuration. `property` is the name under which positions are recorded.
pub(super) fn read(context: &mut Context, property: &str, node: &Node) -> Options {
    let mut options = Options::default();
    for layer in layers(node) {
        match layer.lazy() {
            Some(lazy) => options.push(Late::Lazy(Box::new(lazy))),
            None => options.push(Late::Known(entries(context, property, layer))),
        }
    }
    options
}

/// Returns the layers of options: the node itself, or the elements of a list of mappings of which one is
/// late. The latter is how [`crate::show`] writes what inheritance makes of a late mapping.
fn layers(node: &Node) -> &[Node] {
    let is_layer = |node: &Node| node.lazy().is_some() || node.mapping().is_some();
    match node.list() {
        Some(items) if items.iter().all(is_layer) && items.iter().any(|item| item.lazy().is_some()) => items,
        _ => std::slice::from_ref(node),
    }
}

/// Reads a mapping of options, of which values and one level below may be late.
pub(super) fn entries(context: &mut Context, property: &str, node: &Node) -> IndexMap<String, Value> {
    let mut values = IndexMap::new();
    for entry in context.entries(node, "a mapping of options") {
        let key = &entry.key.text;
        let path = format!("{property}.{key}");
        context.origins.set(&path, entry.key.position.clone());
        record_parts(context, &path, &entry.value);
        if let Some(value) = context.within(key, |context| value(context, key, &entry.value)) {
            values.insert(key.to_string(), value);
        }
    }
    values
}

/// Records where the parts of a value stand: keys of a mapping, and names of `NAME=value` elements,
/// so that a plan can point at `create_options.environment.LANG`.
fn record_parts(context: &mut Context, path: &str, node: &Node) {
    for entry in node.mapping().unwrap_or_default() {
        context.origins.set(format!("{path}.{}", entry.key.text), entry.key.position.clone());
    }
    for item in node.list().unwrap_or_default() {
        if let Some((name, _)) = item.text().and_then(|text| text.split_once('=')) {
            context.record(format!("{path}.{name}"), item);
        }
    }
}

fn value(context: &mut Context, key: &str, node: &Node) -> Option<Value> {
    if node.is_failed() {
        return None;
    }
    if node.lazy().is_none() {
        let below: Vec<&Node> = match &node.content {
            Content::List(items) => items.iter().collect(),
            Content::Mapping(entries) => entries.iter().map(|entry| &entry.value).collect(),
            Content::Scalar(_) => Vec::new(),
        };
        let mut readable = true;
        for child in below {
            readable &= !child.is_failed() && (child.lazy().is_some() || no_late_below(context, child));
        }
        if !readable {
            return None;
        }
    }
    // A boolean of YAML 1.1 counts where the engine expects a boolean (map-model §10.6).
    let old = node.tag.is_none() && matches!(node.scalar().map(|s| s.kind()), Some(ScalarKind::OldBool(_)));
    if old && Property::by_name(key).is_some_and(|property| property.shape() == Shape::Boolean) {
        return context.boolean(node).map(Value::Bool);
    }
    Some(Value::from(node))
}

/// Reports late values deeper than they are allowed.
fn no_late_below(context: &mut Context, node: &Node) -> bool {
    let children: Vec<&Node> = match &node.content {
        Content::List(items) => items.iter().collect(),
        Content::Mapping(entries) => entries.iter().map(|entry| &entry.value).collect(),
        Content::Scalar(_) => return true,
    };
    let mut clean = true;
    for child in children {
        if child.tag.is_some() {
            context.refuse_late(child);
            clean = false;
        } else {
            clean &= no_late_below(context, child);
        }
    }
    clean
}
