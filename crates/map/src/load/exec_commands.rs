//! `exec_commands` (map-model §2.12).

use super::context::Context;
use super::elements::{Element, Fields, Form, tuples};
use crate::model::{CommandLine, ExecCommand, ExecPolicy};
use crate::value::Late;
use crate::yaml::Node;

pub(super) const FORMS: &str = "accepted are `command`, `{command: user}`, `[[command, user, policy]]`, or a list of these; \
    a command of several words is a list inside: `[[[/bin/sh, -c, text], user]]`";

const FIELDS: Fields =
    Fields { what: "a command", names: &["cmd", "user", "policy"], marks: &["cmd"], numbers: false };

pub(super) fn read(context: &mut Context, node: &Node) -> Vec<ExecCommand> {
    words_as_commands(context, node);
    tuples(context, "exec_commands", node, &FIELDS, element)
}

/// Warns of `[/bin/sh, -c, text]`, which are three commands (K4).
fn words_as_commands(context: &mut Context, node: &Node) {
    let Some([first, second, ..]) = node.list() else { return };
    if first.text().is_some() && second.text().is_some_and(|text| text.starts_with('-')) {
        let hint =
            "each item of the outer list is a command; for one command write `[[[/bin/sh, -c, text]]]`";
        context.warn(second, format!("{} is taken as a command of its own", second.describe()), hint);
    }
}

fn element(context: &mut Context, element: &Element<'_>) -> Option<ExecCommand> {
    let [cmd, user, policy] = match &element.form {
        Form::Named(named) => {
            let cmd = named.required(context, &element.node, "cmd")?;
            return command(context, cmd, named.get("user"), named.get("policy"));
        }
        Form::Bare(node) => [Some(*node), None, None],
        Form::Entry(value) => [Some(&*element.node), Some(*value), None],
        Form::ListEntry(key, value) => [Some(key), Some(*value), None],
        Form::Parts(parts @ ([_] | [_, _] | [_, _, _])) => [parts.first(), parts.get(1), parts.get(2)],
        Form::Parts(parts) => {
            let message = match parts.len() {
                0 => "the element is empty".to_owned(),
                count => format!("expected command, user and policy, found {count} parts"),
            };
            context.invalid(&element.node, message);
            return None;
        }
    };
    command(context, cmd?, user.filter(|node| !node.is_null()), policy.filter(|node| !node.is_null()))
}

fn command(
    context: &mut Context,
    cmd: &Node,
    user: Option<&Node>,
    policy: Option<&Node>,
) -> Option<ExecCommand> {
    let cmd = match cmd.list() {
        Some([]) => {
            context.invalid(cmd, "the command has no words");
            return None;
        }
        Some(words) => {
            let word = |word| context.late_text(word, "a word of the command");
            CommandLine::Words(words.iter().map(word).collect::<Option<_>>()?)
        }
        None if cmd.is_number() => {
            context.expected(cmd, "a command");
            return None;
        }
        None => match context.late_text(cmd, "a command")? {
            Late::Known(text) if text.trim().is_empty() => {
                context.invalid(cmd, "the command is empty");
                return None;
            }
            text => CommandLine::Text(text),
        },
    };
    let user = match user {
        Some(node) => Some(context.late_text(node, "the name of a user")?),
        None => None,
    };
    let policy = match policy.map(|node| (node, node.text())) {
        None => ExecPolicy::default(),
        Some((_, Some("restart"))) => ExecPolicy::Restart,
        Some((_, Some("initial"))) => ExecPolicy::Initial,
        Some((node, _)) => {
            let hint = "`restart` runs it after every start, `initial` once after creation";
            context.invalid_hint(node, format!("unknown policy, found {}", node.describe()), hint);
            return None;
        }
    };
    Some(ExecCommand { cmd, user, policy })
}
