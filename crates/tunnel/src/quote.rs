//! Quoting for remote shells and for socat. Every remote command line is built with these.

use std::borrow::Cow;

/// Quotes a word for a POSIX shell. Words of `A–Z a–z 0–9 . _ / - = : , + @ %` stay as they are.
pub fn shell(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    // Inside single quotes nothing is special; a single quote itself is closed, escaped, reopened.
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

/// Joins words to one command line for a POSIX shell.
pub fn command<I, W>(words: I) -> String
where
    I: IntoIterator<Item = W>,
    W: AsRef<str>,
{
    words.into_iter().map(|word| shell(word.as_ref()).into_owned()).collect::<Vec<_>>().join(" ")
}

/// Escapes a path for a socat address, in which `,` `:` `!` `"` `'` `\` and brackets have a meaning.
pub fn socat(path: &str) -> String {
    let mut escaped = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, ',' | ':' | '!' | '"' | '\'' | '\\' | '(' | ')' | '[' | ']' | '{' | '}') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_a_shell() {
        let words =
            ["", "a", "a b", "it's", "$HOME `id` \"x\"", "a\nb", "\\", "-n", "ä", "*", "~", "!", ";&|<>"];
        let line = format!("printf '%s\\0' {}", command(words));
        let output = std::process::Command::new("sh").args(["-c", &line]).output().unwrap();
        let expected: String = words.iter().map(|word| format!("{word}\0")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(
            command(["docker", "-H", "unix:///var/run/docker.sock"]),
            "docker -H unix:///var/run/docker.sock"
        );
        assert_eq!(shell("a b"), "'a b'");
    }

    #[test]
    fn socat_addresses_keep_their_meaning() {
        assert_eq!(socat("/var/run/docker.sock"), "/var/run/docker.sock");
        assert_eq!(socat(r#"/a,b:c!d"e\f"#), r#"/a\,b\:c\!d\"e\\f"#);
    }
}
