//! List properties (map-model §2.2): plain lists, and tuple lists in all their spellings.
//!
//! A tuple list is written as one text, as a mapping, or as a list of texts, lists and mappings. This
//! file turns each spelling into [`Element`]s; a family's reader only says what its parts mean.

use std::borrow::Cow;

use super::context::{Context, list};
use crate::model::Keyed;
use crate::names::InvalidName;
use crate::value::Late;
use crate::yaml::{Entry, Node};

/// The long field names of a tuple (map-model §0.4).
pub(super) struct Fields {
    /// What an element is called in messages: `a link`.
    pub(super) what: &'static str,
    /// All field names in positional order.
    pub(super) names: &'static [&'static str],
    /// Those that mark a mapping of one key as the named form (map-model §2.2.6).
    pub(super) marks: &'static [&'static str],
    /// A bare number is an element.
    pub(super) numbers: bool,
}

/// One element of a tuple list.
pub(super) struct Element<'a> {
    /// The whole element, for places. For an entry, its key.
    pub(super) node: Cow<'a, Node>,
    pub(super) form: Form<'a>,
}

/// How an element was written.
pub(super) enum Form<'a> {
    /// A single value: `conf`.
    Bare(&'a Node),
    /// An entry of the top-level mapping: `{key: value}`. The key is the element's node.
    Entry(&'a Node),
    /// A mapping of one key inside a list: `[{key: value}]`.
    ListEntry(Node, &'a Node),
    /// A list of parts: `[[a, b]]`.
    Parts(&'a [Node]),
    /// The long field names: `[{name: a}]`.
    Named(Named<'a>),
}

/// A mapping in named form, its keys checked.
#[derive(Clone, Copy)]
pub(super) struct Named<'a>(&'a [Entry]);

impl<'a> Named<'a> {
    /// Takes a mapping whose keys are among `fields`; others are reported.
    pub(super) fn open(context: &mut Context, entries: &'a [Entry], what: &str, fields: &[&str]) -> Self {
        for entry in entries {
            if !fields.contains(&entry.key.text.as_str()) {
                context.unknown_key(&entry.key, what, fields);
            }
        }
        Self(entries)
    }

    /// Returns a field that is given and not null.
    pub(super) fn get(self, name: &str) -> Option<&'a Node> {
        self.0
            .iter()
            .find(|entry| entry.key.text == name)
            .map(|entry| &entry.value)
            .filter(|node| !node.is_null())
    }

    /// Returns a required field; its absence is reported at `node`.
    pub(super) fn required(self, context: &mut Context, node: &Node, name: &str) -> Option<&'a Node> {
        let found = self.get(name);
        if found.is_none() {
            context.invalid(node, format!("`{name}` is missing"));
        }
        found
    }
}

impl<'a> Element<'a> {
    /// Returns the key of an entry, the whole element in other forms.
    pub(super) fn key(&self) -> &Node {
        match &self.form {
            Form::ListEntry(key, _) => key,
            Form::Entry(_) | Form::Bare(_) | Form::Parts(_) | Form::Named(_) => &self.node,
        }
    }

    /// Returns the parts of a positional form: one for a bare value, key and value for an entry. A
    /// list in second and last place is flattened: `[a, [b, c]]` is `[a, b, c]`.
    ///
    /// `None` after reporting a number of parts that is not among `counts`.
    pub(super) fn parts(
        &self,
        context: &mut Context,
        counts: std::ops::RangeInclusive<usize>,
    ) -> Option<Vec<&Node>> {
        let mut parts: Vec<&Node> = match &self.form {
            Form::Bare(node) => vec![node],
            Form::Entry(value) => vec![&*self.node, value],
            Form::ListEntry(key, value) => vec![key, value],
            Form::Parts(parts) => parts.iter().collect(),
            Form::Named(_) => Vec::new(),
        };
        let nested = match &parts[..] {
            [_, second] => second.list(),
            _ => None,
        };
        if let Some(nested) = nested {
            if nested.is_empty() {
                context.invalid(&self.node, "the nested list is empty");
                return None;
            }
            parts.truncate(1);
            parts.extend(nested);
        }
        if counts.contains(&parts.len()) {
            return Some(parts);
        }
        let (least, most) = (counts.start(), counts.end());
        let message = match parts.len() {
            0 => "the element is empty".to_owned(),
            count => format!("expected {least} to {most} parts, found {count}"),
        };
        context.invalid(&self.node, message);
        None
    }
}

/// Reads a tuple list: its elements one by one, with their positions recorded under their keys.
pub(super) fn tuples<T: Keyed>(
    context: &mut Context,
    property: &str,
    node: &Node,
    fields: &Fields,
    mut read: impl FnMut(&mut Context, &Element<'_>) -> Option<T>,
) -> Vec<T> {
    let mut values = Vec::new();
    let mut take = |context: &mut Context, part: &str, element: Element<'_>| {
        let number = matches!(element.form, Form::Bare(node) if node.is_number());
        if number && !fields.numbers {
            context.within(part, |context| context.expected(&element.node, fields.what));
            return;
        }
        if let Some(value) = context.within(part, |context| read(context, &element)) {
            context.record(format!("{property}.{}", value.key()), &element.node);
            values.push(value);
        }
    };
    if let Some(entries) = node.mapping() {
        for Entry { key, value } in entries {
            let element = Element { node: Cow::Owned(key.to_node()), form: Form::Entry(value) };
            take(context, &format!("[{}]", key.text), element);
        }
    } else if let Some(items) = node.list() {
        for (at, item) in items.iter().enumerate() {
            let part = format!("[{at}]");
            if let Some(form) = context.within(&part, |context| item_form(context, item, fields)) {
                take(context, &part, Element { node: Cow::Borrowed(item), form });
            }
        }
    } else if !node.is_null() && !node.is_failed() {
        take(context, "[0]", Element { node: Cow::Borrowed(node), form: Form::Bare(node) });
    }
    // Most lists have one element or two, and a growing one makes room for four.
    values.shrink_to_fit();
    values
}

/// Says in which form an item of the top-level list is written.
fn item_form<'a>(context: &mut Context, item: &'a Node, fields: &Fields) -> Option<Form<'a>> {
    if item.is_failed() {
        return None;
    }
    if item.is_null() {
        context.expected(item, fields.what);
        return None;
    }
    if let Some(parts) = item.list() {
        return Some(Form::Parts(parts));
    }
    match item.mapping() {
        None => Some(Form::Bare(item)),
        Some([Entry { key, value }]) if !fields.marks.contains(&key.text.as_str()) => {
            Some(Form::ListEntry(key.to_node(), value))
        }
        Some(entries) if entries.iter().any(|entry| fields.names.contains(&entry.key.text.as_str())) => {
            Some(Form::Named(Named::open(context, entries, fields.what, fields.names)))
        }
        Some(entries) => {
            let message = match entries.len() {
                0 => "the mapping is empty".to_owned(),
                count => format!("a mapping of {count} keys is more than {}", fields.what),
            };
            let hint =
                format!("make each key an item of its own, or use the long form with {}", list(fields.names));
            context.invalid_hint(item, message, hint);
            None
        }
    }
}

/// Reads a plain list (map-model §2.2.2): one text, a list of texts, or nothing.
pub(super) fn plain<T: Keyed + PartialEq>(
    context: &mut Context,
    property: &str,
    node: &Node,
    mut read: impl FnMut(&mut Context, &Node) -> Option<T>,
) -> Vec<T> {
    let items = match node.list() {
        Some(items) => items,
        None if node.is_null() || node.is_failed() => &[],
        None if node.mapping().is_some() || node.is_number() => {
            context.expected(node, "a text or a list of texts");
            &[]
        }
        None => std::slice::from_ref(node),
    };
    let mut values = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let value = context.within(&format!("[{at}]"), |context| read(context, item));
        if let Some(value) = value {
            context.record(format!("{property}.{}", value.key()), item);
            values.push(value);
        }
    }
    values.shrink_to_fit();
    values
}

/// Reads a plain list of names.
pub(super) fn names<T: Keyed + PartialEq>(
    context: &mut Context,
    property: &str,
    node: &Node,
    expected: &str,
    new: fn(String) -> Result<T, InvalidName>,
) -> Vec<T> {
    plain(context, property, node, |context, item| context.name(item, expected, new))
}

/// Reads one text or a list of texts, late ones allowed, without recording positions: a part of an element.
pub(super) fn late_texts(context: &mut Context, node: &Node, expected: &str) -> Vec<Late<String>> {
    let items = match node.list() {
        Some(items) => items,
        None if node.is_null() || node.is_failed() => &[],
        None => std::slice::from_ref(node),
    };
    items.iter().filter_map(|item| context.late_text(item, expected)).collect()
}
