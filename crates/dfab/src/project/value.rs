//! From YAML nodes to values of deployment variables.

use dfab_map::diagnostic::{Finding, FindingKind};
use dfab_map::resolve::expand_path;
use dfab_map::value::{Lookup, Number, Value};
use dfab_map::yaml::{Content, Node, ScalarKind, Tag};

/// Returns the value of a node. `!path` is expanded; `!env` takes a variable that is set already.
///
/// # Errors
///
/// A finding for a tag that cannot be resolved here.
pub fn value(node: &Node, lookup: &dyn Lookup) -> Result<Value, Finding> {
    match (&node.content, node.tag) {
        (Content::Scalar(scalar), Some(Tag::Path)) => expand_path(&scalar.text, lookup)
            .map(Value::String)
            .map_err(|why| node.error(FindingKind::Unresolved, why)),
        (Content::Scalar(scalar), Some(Tag::Env)) => lookup.variable(&scalar.text).ok_or_else(|| {
            let name = &scalar.text;
            node.error(FindingKind::Unresolved, format!("deployment variable `{name}` is not set"))
                .hint(format!("set it under `env:`, before it is used there, or with `--set {name}=VALUE`"))
        }),
        (_, Some(tag)) => {
            let message = format!("`{}` has no meaning here", tag.as_str());
            Err(node.error(FindingKind::InvalidInput, message).hint("write the value itself"))
        }
        (Content::Scalar(scalar), None) => Ok(match scalar.kind() {
            ScalarKind::Null => Value::Null,
            ScalarKind::Bool(value) => Value::Bool(value),
            ScalarKind::Number => scalar
                .number()
                .map(|number: Number| Value::Number(number))
                .unwrap_or_else(|| Value::String(scalar.text.to_string())),
            ScalarKind::OldBool(_) | ScalarKind::Text => Value::String(scalar.text.to_string()),
        }),
        (Content::List(items), None) => {
            items.iter().map(|item| value(item, lookup)).collect::<Result<_, _>>().map(Value::List)
        }
        (Content::Mapping(entries), None) => entries
            .iter()
            .map(|entry| Ok((entry.key.text.to_string(), value(&entry.value, lookup)?)))
            .collect::<Result<_, _>>()
            .map(Value::Mapping),
    }
}
