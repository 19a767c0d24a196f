//! What is being typed: the words before the cursor, read as [`crate::cli::parse`] would.

use std::path::PathBuf;

use clap::Arg;

use crate::cli::parse;
use crate::registry::{self, Place, Task};

/// The place of the cursor in a command line.
#[derive(Debug, Default)]
pub struct Position {
    /// `-f`, as far as it is given: the project whose names count.
    pub file: Option<PathBuf>,
    /// Values of `--set`.
    pub set: Vec<String>,
    /// Whether `-l` or `--list` stands before.
    pub list: bool,
    /// The words before the cursor that are no options: the task first.
    pub words: Vec<String>,
    /// What the typed text is.
    pub slot: Slot,
    /// The typed text, without the part that [`Position::before`] holds.
    pub typed: String,
    /// What stands in the same word before the text to complete, such as `--output=` or `host1,`.
    pub before: String,
}

/// What the text at the cursor is.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Slot {
    /// A word: the task, or one of its arguments.
    #[default]
    Word,
    /// The name of an option.
    Option,
    /// The value of the option with this long name.
    Value(String),
    /// A word of a command for the hosts: nothing of ours.
    Foreign,
}

/// Finds out what the last of these words is.
pub fn position(words: &[String]) -> Position {
    let mut position = Position::default();
    let Some((typed, before)) = words.split_last() else { return position };
    let mut task = None;
    let mut pending: Option<Arg> = None;
    let mut only_words = false;
    for word in before {
        if let Some(option) = pending.take() {
            note(&mut position, &option, word);
        } else if only_words || !word.starts_with('-') || word == "-" {
            if position.words.is_empty() {
                task = registry::find(word);
            }
            position.words.push(word.clone());
        } else if word == "--" {
            only_words = true;
            if position.words.is_empty() {
                position.slot = Slot::Foreign;
                return position;
            }
        } else {
            let (option, value) = option_of(word, task);
            match (option, value) {
                (Some(option), Some(value)) => note(&mut position, &option, value),
                (Some(option), None) if option.get_action().takes_values() && !requires_equals(&option) => {
                    pending = Some(option);
                }
                (Some(option), None) => position.list |= option.get_long() == Some("list"),
                (None, _) => {}
            }
        }
    }
    let typed = typed.as_str();
    if let Some(option) = pending {
        position.value_of(&option, "", typed);
    } else if !only_words && typed.starts_with('-') {
        match option_of(typed, task) {
            (Some(option), Some(value)) => {
                position.value_of(&option, &typed[..typed.len() - value.len()], value);
            }
            _ => {
                position.slot = Slot::Option;
                position.typed = typed.to_owned();
            }
        }
    } else {
        position.typed = typed.to_owned();
    }
    position
}

impl Position {
    fn value_of(&mut self, option: &Arg, before: &str, value: &str) {
        self.slot = Slot::Value(long_name(option));
        // Of a list only the last item is typed.
        let list = option.get_value_delimiter().is_some();
        let item = value.rfind(',').filter(|_| list).map_or(0, |at| at + 1);
        self.before = format!("{before}{}", &value[..item]);
        self.typed = value[item..].to_owned();
    }

    /// Returns the task on the line, once it is complete.
    pub fn task(&self) -> Option<&'static Task> {
        self.words.first().and_then(|word| registry::find(word))
    }
}

/// Returns the long name, which the task's own options have even where they took it from a general one.
fn long_name(option: &Arg) -> String {
    option.get_long().unwrap_or_else(|| option.get_id().as_str()).to_owned()
}

fn requires_equals(option: &Arg) -> bool {
    option.is_require_equals_set()
}

fn note(position: &mut Position, option: &Arg, value: &str) {
    match option.get_id().as_str() {
        "file" => position.file = Some(PathBuf::from(value)),
        "set" => position.set.push(value.to_owned()),
        _ => {}
    }
}

/// Returns the option that a word begins with, and the value behind it in the same word.
fn option_of<'a>(word: &'a str, task: Option<&'static Task>) -> (Option<Arg>, Option<&'a str>) {
    let command = parse::command(task);
    if let Some(long) = word.strip_prefix("--") {
        let (long, value) = match long.split_once('=') {
            Some((long, value)) => (long, Some(value)),
            None => (long, None),
        };
        let named = |arg: &&Arg| {
            arg.get_long() == Some(long)
                || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
        };
        return (command.get_arguments().find(named).cloned(), value);
    }
    // In a cluster (`-qH web1`) the first option with a value takes the rest, or the next word.
    let cluster = &word[1..];
    for (index, short) in cluster.char_indices() {
        let Some(option) = command.get_arguments().find(|arg| arg.get_short() == Some(short)) else {
            return (None, None);
        };
        let rest = &cluster[index + short.len_utf8()..];
        if option.get_action().takes_values() || rest.is_empty() {
            return (Some(option.clone()), Some(rest).filter(|rest| !rest.is_empty()));
        }
    }
    (None, None)
}

/// Splits a line as a shell does, without the program's name; an open quote and a trailing backslash are no
/// mistakes here, they are being typed. The last word is what stands at the end, perhaps nothing.
pub fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut begun = false;
    let mut quote = None;
    let mut characters = line.trim_start().chars();
    while let Some(character) = characters.next() {
        let word = words.last_mut().expect("there is a first word");
        match (character, quote) {
            ('\\', None | Some('"')) => {
                word.extend(characters.next());
                begun = true;
            }
            (_, Some(open)) if character == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(character);
                begun = true;
            }
            (blank, None) if blank.is_whitespace() => {
                if begun {
                    words.push(String::new());
                }
                begun = false;
            }
            _ => {
                word.push(character);
                begun = true;
            }
        }
    }
    words.remove(0);
    words
}

/// Returns what the argument at the cursor is for: the parameter's name.
pub fn parameter(task: &'static Task, index: usize) -> Option<&'static registry::Parameter> {
    let mut places = task.parameters().filter(|parameter| parameter.place != Place::Keyword);
    let mut last = None;
    for _ in 0..=index {
        match places.next() {
            Some(parameter) => last = Some(parameter),
            None => return last.filter(|parameter| parameter.place == Place::Rest),
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        let position = position(&split(&format!("dfab {line}")));
        let slot = match &position.slot {
            Slot::Word => "word".to_owned(),
            Slot::Option => "option".to_owned(),
            Slot::Value(name) => format!("value of {name}"),
            Slot::Foreign => "foreign".to_owned(),
        };
        format!("{} | {slot} | {}[{}]", position.words.join(" "), position.before, position.typed)
    }

    #[test]
    fn the_place_of_the_cursor_is_found() {
        let cases = [
            ("", " | word | []"),
            ("act", " | word | [act]"),
            ("actions.update ", "actions.update | word | []"),
            ("actions.update m 'a b' i", "actions.update m a b | word | [i]"),
            ("-H web1,we", " | value of hosts | web1,[we]"),
            ("-qH we", " | value of hosts | [we]"),
            ("-Hwe", " | value of hosts | -H[we]"),
            ("--output=js", " | value of output | --output=[js]"),
            ("--output js", " | value of output | [js]"),
            ("--dry-run --ou", " | option | [--ou]"),
            ("actions.stop --timeout ", "actions.stop | value of timeout | []"),
            ("actions.update m --remove-orphans ", "actions.update m | word | []"),
            (
                "actions.update m --remove-orphans=t",
                "actions.update m | value of remove-orphans | --remove-orphans=[t]",
            ),
            ("actions.update --force-update a,b", "actions.update | value of force-update | a,[b]"),
            ("-- upt", " | foreign | []"),
            ("actions.update m -- -l", "actions.update m | word | [-l]"),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn the_files_before_the_cursor_are_kept() {
        let position = position(&split("dfab -f a/dfab.yaml --set x=1 --set=y=2 actions.update "));
        assert_eq!(position.file, Some(PathBuf::from("a/dfab.yaml")));
        assert_eq!(position.set, ["x=1", "y=2"]);
    }
}
