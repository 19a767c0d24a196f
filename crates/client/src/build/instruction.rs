//! Arguments of Dockerfile instructions as text (clients-tasks §10.1.4).

use super::Error;
use crate::shortcuts;

/// A command, or other words, as one text or as a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    /// Text: split into words by POSIX shell rules for the exec form, and left as it is for the shell form.
    Text(String),
    /// Words: quoted where needed for the shell form.
    List(Vec<String>),
}

/// Labels of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Labels {
    /// The arguments of `LABEL`, as they are.
    Text(String),
    /// Names and values, in this order.
    Pairs(Vec<(String, String)>),
}

impl From<&str> for Words {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<String>> From<Vec<T>> for Words {
    fn from(words: Vec<T>) -> Self {
        Self::List(words.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<String>, const N: usize> From<[T; N]> for Words {
    fn from(words: [T; N]) -> Self {
        Self::List(words.into_iter().map(Into::into).collect())
    }
}

impl From<&str> for Labels {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl<N: Into<String>, V: Into<String>, const C: usize> From<[(N, V); C]> for Labels {
    fn from(pairs: [(N, V); C]) -> Self {
        Self::Pairs(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// A JSON array as `VOLUME` and the exec forms take it, with `, ` between its items.
pub(super) fn json<T: AsRef<str>>(items: &[T]) -> String {
    let items: Vec<String> =
        items.iter().map(|item| serde_json::Value::from(item.as_ref()).to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// The arguments of `CMD` and `ENTRYPOINT`.
///
/// # Errors
///
/// [`Error::CommandText`] for an exec form of a text with an open quotation mark.
pub(super) fn command(words: &Words, is_shell: bool) -> Result<String, Error> {
    Ok(match words {
        Words::Text(text) if text.is_empty() => "[]".to_owned(),
        Words::List(list) if list.is_empty() => "[]".to_owned(),
        Words::Text(text) if is_shell => text.clone(),
        Words::List(list) if is_shell => {
            list.iter().map(|word| shortcuts::quoted(word)).collect::<Vec<_>>().join(" ")
        }
        Words::Text(text) => json(&shell_words::split(text).map_err(|_| Error::CommandText(text.clone()))?),
        Words::List(list) => json(list),
    })
}

/// The arguments of `LABEL`; nothing when there are none.
pub(super) fn labels(labels: &Labels) -> String {
    let quoted = |text: &str| {
        let mut quoted = String::with_capacity(text.len() + 2);
        for char in text.chars() {
            if matches!(char, '"' | '\\' | '$' | '\n') {
                quoted.push('\\');
            }
            quoted.push(char);
        }
        format!("\"{quoted}\"")
    };
    match labels {
        Labels::Text(text) => text.clone(),
        Labels::Pairs(pairs) => {
            let pairs: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{}={}", quoted(name), quoted(value))).collect();
            pairs.join(" ")
        }
    }
}

/// One source or target of `ADD` in which nothing means anything but itself: the builder replaces
/// variables and takes quotation marks away, and reads a source as a pattern.
pub(super) fn path(name: &str, is_source: bool) -> String {
    let mut path = String::with_capacity(name.len());
    for char in name.chars() {
        match char {
            '*' | '?' | '[' if is_source => path.extend(['[', char, ']']),
            '$' | '"' | '\'' => path.extend(['\\', char]),
            // Once for the replacement of variables, and once more in a pattern; the builder reads a source as
            // one only where something else than a backslash makes it one.
            '\\' if is_source => path.push_str(r"[\\\\]"),
            '\\' => path.push_str(r"\\"),
            other => path.push(other),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clients-tasks §10.1.4, the table of command texts.
    #[test]
    fn command_texts() {
        let none: [&str; 0] = [];
        for (words, exec, shell) in [
            (Words::from(""), "[]", "[]"),
            (Words::from(none), "[]", "[]"),
            (Words::from("ls -l /tmp"), r#"["ls", "-l", "/tmp"]"#, "ls -l /tmp"),
            (Words::from(r"echo a\ b c"), r#"["echo", "a b", "c"]"#, r"echo a\ b c"),
            (Words::from(r#"sh -c "a b""#), r#"["sh", "-c", "a b"]"#, r#"sh -c "a b""#),
            (Words::from("a  b"), r#"["a", "b"]"#, "a  b"),
            (Words::from("a "), r#"["a"]"#, "a "),
            (Words::from(["ls", "-l"]), r#"["ls", "-l"]"#, "ls -l"),
            (Words::from(["x", "1"]), r#"["x", "1"]"#, "x 1"),
            (Words::from(["sh", "-c", "a b"]), r#"["sh", "-c", "a b"]"#, "sh -c 'a b'"),
            (Words::from(["ä\"", "\n"]), r#"["ä\"", "\n"]"#, "'ä\"' '\n'"),
        ] {
            assert_eq!(command(&words, false).unwrap(), exec, "{words:?}");
            assert_eq!(command(&words, true).unwrap(), shell, "{words:?}");
        }
        assert!(matches!(command(&"a 'b".into(), false), Err(Error::CommandText(text)) if text == "a 'b"));
        assert_eq!(command(&"a 'b".into(), true).unwrap(), "a 'b");
    }

    /// clients-tasks §10.1.4, labels.
    #[test]
    fn labels_are_quoted() {
        for (given, expected) in [
            (Labels::from("a=b c"), "a=b c"),
            (Labels::from([("a", "b"), ("c d", "")]), r#""a"="b" "c d"="""#),
            (Labels::from([("a", "x\ny")]), "\"a\"=\"x\\\ny\""),
            (Labels::from([("q\"", r"\ $HOME")]), r#""q\""="\\ \$HOME""#),
        ] {
            assert_eq!(labels(&given), expected);
        }
    }
}
