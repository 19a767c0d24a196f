//! `user` and `permissions`, of configurations and volumes (map-model §2.14).

use super::context::Context;
use crate::model::{Setting, User};
use crate::value::Late;
use crate::yaml::{Node, ScalarKind};

pub(super) const USER_FORMS: &str =
    "accepted are `name`, `1000`, `\"name:group\"`, `[name, group]`; nothing is the default user";
pub(super) const PERMISSIONS_FORMS: &str = "accepted is a mode of `chmod`, such as `u=rwX,g=rX,o=` or `0750`";

pub(super) fn user(context: &mut Context, node: &Node) -> Setting<Late<User>> {
    if node.text() == Some("") {
        return Setting::Null;
    }
    context.setting(node, |context, node| {
        if let Some(lazy) = node.lazy() {
            return Some(Late::Lazy(Box::new(lazy)));
        }
        if let Some(parts) = node.list() {
            let [user, group] = parts else {
                context.expected(node, "`[user, group]`");
                return None;
            };
            let (user, group) = (context.text(user, "a user"), context.text(group, "a group"));
            let user = User { user: user?, group: Some(group?) };
            if user.user.is_empty() || user.group.as_deref() == Some("") {
                context.invalid(node, "user and group must not be empty");
                return None;
            }
            return Some(Late::Known(user));
        }
        let text = text_but_boolean(context, node, "a user")?;
        let user = User::parse(&text);
        if user.is_none() {
            context.invalid(node, format!("`{text}` is no user specification"));
        }
        user.map(Late::Known)
    })
}

pub(super) fn permissions(context: &mut Context, node: &Node) -> Setting<Late<String>> {
    if node.text() == Some("") {
        return Setting::Null;
    }
    context.setting(node, |context, node| match node.lazy() {
        Some(lazy) => Some(Late::Lazy(Box::new(lazy))),
        None => text_but_boolean(context, node, "a mode").map(Late::Known),
    })
}

/// Reads a text; a boolean is a mistake here.
fn text_but_boolean(context: &mut Context, node: &Node, expected: &str) -> Option<String> {
    if node.scalar().is_some_and(|scalar| matches!(scalar.kind(), ScalarKind::Bool(_))) {
        context.expected(node, expected);
        return None;
    }
    context.text(node, expected)
}
