//! Fabric's form of a task call: `name:arg1,arg2,key=value` (clients-tasks §11.3).

use crate::failure::{Failure, Result};

/// A task call as it was written, before anything is known about the task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Name of the task.
    pub task: String,
    /// Positional arguments.
    pub positional: Vec<String>,
    /// Keyword arguments in `snake_case`, in the order given.
    pub keywords: Vec<(String, String)>,
    /// `host=`, `hosts=`: run on these.
    pub hosts: Vec<String>,
    /// `role=`, `roles=`: run on the hosts of these.
    pub roles: Vec<String>,
    /// `exclude_hosts=`
    pub exclude_hosts: Vec<String>,
}

impl Call {
    /// Reads one word of Fabric's form.
    ///
    /// The first colon ends the name, `,` separates, the first unescaped `=` of an item makes a
    /// keyword; `\,` and `\=` are literal. Nothing after the colon is one empty argument.
    ///
    /// # Errors
    ///
    /// A usage failure when there is no name before the colon, no keyword before `=`, or no host in a list of hosts.
    pub fn read(word: &str) -> Result<Self> {
        let (name, rest) = match word.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (word, None),
        };
        if name.is_empty() {
            return Err(Failure::usage(format!("`{word}` has no task name before the colon"))
                .hint("write `task:argument,keyword=value`"));
        }
        let mut call = Self { task: name.to_owned(), ..Self::default() };
        for item in rest.map(split_items).unwrap_or_default() {
            match item {
                (None, value) => call.positional.push(value),
                (Some(keyword), _) if keyword.is_empty() => {
                    return Err(Failure::usage(format!(
                        "an argument of task `{name}` has no name before `=`"
                    ))
                    .hint("write a literal `=` as `\\=`"));
                }
                (Some(keyword), value) if LISTS.contains(&keyword.as_str()) && names_none(&value) => {
                    // The default hosts are not those that were meant here.
                    return Err(Failure::usage(format!("`{keyword}=` of task `{name}` names none"))
                        .hint("leave it out where the hosts of `-H`, `-R` or the project file are meant"));
                }
                (Some(keyword), value) => call.keyword(&keyword, value),
            }
        }
        Ok(call)
    }

    /// Adds a keyword; the reserved ones go to the host lists.
    pub fn keyword(&mut self, keyword: &str, value: String) {
        let hosts = match keyword {
            "host" | "hosts" => &mut self.hosts,
            "role" | "roles" => &mut self.roles,
            "exclude_hosts" => &mut self.exclude_hosts,
            _ => {
                self.keywords.push((keyword.replace('-', "_"), value));
                return;
            }
        };
        hosts.extend(value.split(';').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned));
    }
}

/// The reserved keywords that say where a task runs.
const LISTS: [&str; 4] = ["host", "hosts", "role", "roles"];

fn names_none(list: &str) -> bool {
    list.split(';').all(|name| name.trim().is_empty())
}

/// Splits at unescaped commas, and each item at its first unescaped `=`.
fn split_items(text: &str) -> Vec<(Option<String>, String)> {
    let mut items = Vec::new();
    let (mut keyword, mut value) = (None, String::new());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if characters.peek().is_some_and(|next| matches!(next, ',' | '=')) => {
                value.extend(characters.next())
            }
            ',' => items.push((keyword.take(), std::mem::take(&mut value))),
            '=' if keyword.is_none() => keyword = Some(std::mem::take(&mut value)),
            _ => value.push(character),
        }
    }
    items.push((keyword, value));
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(word: &str) -> String {
        let call = Call::read(word).unwrap();
        let mut parts: Vec<String> = call.positional.iter().map(|value| format!("'{value}'")).collect();
        parts.extend(call.keywords.iter().map(|(key, value)| format!("{key}='{value}'")));
        parts.extend(call.hosts.iter().map(|host| format!("@{host}")));
        parts.extend(call.roles.iter().map(|role| format!("%{role}")));
        format!("{}({})", call.task, parts.join(", "))
    }

    #[test]
    fn items_are_read_as_in_fabric() {
        let cases = [
            ("hello", "hello()"),
            ("hello:1", "hello('1')"),
            ("hello:1,b=2,c=3", "hello('1', b='2', c='3')"),
            (r"hello:a\,b\=c,b=", "hello('a,b=c', b='')"),
            ("hello:", "hello('')"),
            ("get_ipv6:eth0,True", "get_ipv6('eth0', 'True')"),
            ("get_ipv6:eth0:True", "get_ipv6('eth0:True')"),
            ("t:e=a=b", "t(e='a=b')"),
            ("t:force-update=x", "t(force_update='x')"),
            ("hello:1,hosts=a;b,role=r", "hello('1', @a, @b, %r)"),
        ];
        for (word, expected) in cases {
            assert_eq!(shown(word), expected, "{word}");
        }
    }

    #[test]
    fn a_call_without_a_name_is_refused() {
        assert!(Call::read(":a").is_err());
        assert!(Call::read("t:=a").is_err());
    }

    /// `task:host=$HOST` with an empty variable ran on the hosts of the project file.
    #[test]
    fn a_list_of_no_hosts_is_refused() {
        for word in ["t:host=", "t:a,hosts= ; ", "t:role=,b", "t:roles=;"] {
            let message = Call::read(word).unwrap_err().message;
            assert!(message.contains("of task `t` names none"), "{word}: {message}");
        }
        assert!(Call::read("t:exclude_hosts=").is_ok());
    }
}
