//! Readers of single values: texts, late texts, flags, numbers, paths, names.
//!
//! Each yields `None` after reporting. A node whose eager tag failed has been reported already.

use super::context::Context;
use crate::model::Setting;
use crate::names::InvalidName;
use crate::value::Late;
use crate::yaml::{Node, ScalarKind};

impl Context {
    /// Reads a text; late values are refused.
    pub(super) fn text(&mut self, node: &Node, expected: &str) -> Option<String> {
        if self.refuse_late(node) {
            return None;
        }
        match node.text() {
            Some(text) => Some(text.to_owned()),
            None => {
                self.expected(node, expected);
                None
            }
        }
    }

    /// Reads a text or a late value.
    pub(super) fn late_text(&mut self, node: &Node, expected: &str) -> Option<Late<String>> {
        match node.lazy() {
            Some(lazy) => Some(Late::Lazy(Box::new(lazy))),
            None => self.text(node, expected).map(Late::Known),
        }
    }

    /// Reads a text, a late value, or null for "nothing".
    pub(super) fn optional_text(&mut self, node: &Node, expected: &str) -> Option<Late<String>> {
        if node.is_null() { None } else { self.late_text(node, expected) }
    }

    /// Reads an absolute path inside a container, or a late value.
    pub(super) fn container_path(&mut self, node: &Node) -> Option<Late<String>> {
        let path = self.late_text(node, "an absolute path inside the container")?;
        match &path {
            Late::Known(text) if !text.starts_with('/') => {
                self.invalid(node, format!("`{text}` is no absolute path inside the container"));
                None
            }
            _ => Some(path),
        }
    }

    /// Reads a boolean: YAML booleans only, those of YAML 1.1 with a warning (map-model §10.6, D22).
    pub(super) fn boolean(&mut self, node: &Node) -> Option<bool> {
        if self.refuse_late(node) {
            return None;
        }
        match node.scalar().filter(|_| node.tag.is_none()).map(|scalar| (scalar.kind(), &scalar.text)) {
            Some((ScalarKind::Bool(value), _)) => Some(value),
            Some((ScalarKind::OldBool(value), text)) => {
                let hint = format!("write `{value}`, which every YAML version reads as a boolean");
                self.warn(node, format!("`{text}` is a boolean in YAML 1.1 only; taken as `{value}`"), hint);
                Some(value)
            }
            _ => {
                self.invalid_hint(
                    node,
                    format!("expected `true` or `false`, found {}", node.describe()),
                    "booleans are written without quotes",
                );
                None
            }
        }
    }

    /// Reads an access flag (map-model §2.2): `true`/`ro` is read-only, `false`/`rw`/null is not.
    pub(super) fn readonly(&mut self, node: &Node) -> Option<bool> {
        match access(node) {
            Some(flag) => {
                if matches!(node.scalar().map(|scalar| scalar.kind()), Some(ScalarKind::OldBool(_))) {
                    self.boolean(node)
                } else {
                    Some(flag)
                }
            }
            None if self.refuse_late(node) => None,
            None => {
                let message = format!("expected an access flag, found {}", node.describe());
                self.invalid_hint(
                    node,
                    message,
                    "`ro` or `true` is read-only; `rw`, `false` or nothing is read-write",
                );
                None
            }
        }
    }

    /// Reads a whole number from zero on, as a number or as its text.
    pub(super) fn whole_number(&mut self, node: &Node, expected: &str) -> Option<u32> {
        let text = self.text(node, expected)?;
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        if number.is_none() {
            self.expected(node, expected);
        }
        number
    }

    /// Reads a property of three states (map-model §0.6).
    pub(super) fn setting<T>(
        &mut self,
        node: &Node,
        read: impl FnOnce(&mut Self, &Node) -> Option<T>,
    ) -> Setting<T> {
        if node.is_null() {
            return Setting::Null;
        }
        read(self, node).map_or(Setting::Unset, Setting::Value)
    }

    /// Reads a name, checked by its constructor.
    pub(super) fn name<T>(
        &mut self,
        node: &Node,
        expected: &str,
        new: fn(String) -> Result<T, InvalidName>,
    ) -> Option<T> {
        let text = self.text(node, expected)?;
        match new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.invalid_name(node.place(), &error);
                None
            }
        }
    }

    /// Reports a late value where none is allowed (map-model §10.5). True if there is nothing to read.
    pub(super) fn refuse_late(&mut self, node: &Node) -> bool {
        if node.is_failed() {
            return true;
        }
        let Some(tag) = node.tag else { return false };
        let eager = tag.as_str().trim_end_matches("_lazy");
        let message = format!("a late value (`{}`) is not possible here", tag.as_str());
        self.invalid_hint(node, message, format!("this is needed before anything runs: use `{eager}`"));
        true
    }
}

/// Reads an access flag, if the node is one. Null counts as read-write.
pub(super) fn access(node: &Node) -> Option<bool> {
    if node.is_null() {
        return Some(false);
    }
    let scalar = node.scalar().filter(|_| node.tag.is_none())?;
    match (scalar.kind(), scalar.text.as_str()) {
        (ScalarKind::Bool(value) | ScalarKind::OldBool(value), _) => Some(value),
        (_, "ro") => Some(true),
        (_, "rw") => Some(false),
        _ => None,
    }
}

/// Tells whether a node is an access flag that was written: null is none.
pub(super) fn is_access(node: &Node) -> bool {
    !node.is_null() && access(node).is_some()
}
