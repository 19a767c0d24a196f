//! Environment variables of a container on their way to `docker create`, past its command line: every
//! user of a host can read command lines.
//!
//! A variable goes as a line of `--env-file`, which is standard input. What such a file cannot carry
//! (line breaks, lines above 64 KiB) the program takes from its own environment by `--env=NAME`.
//! That is not the way for all of them, for the program acts on some: with a container's `PATH` it
//! would not be found, with its `DOCKER_HOST` it would talk to another engine.

use std::collections::BTreeSet;

use dfab_tunnel::Secret;

use super::Command;

/// The flag that reads lines of variables from standard input.
pub(crate) const FROM_INPUT: &str = "--env-file=/dev/stdin";

/// The program reads lines of less than this.
const LINE_LIMIT: usize = 64 << 10;

/// How the variables of one container travel.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Variables {
    /// `NAME=value`, for standard input.
    pub(super) lines: Vec<String>,
    /// Name and value, for the environment of the program.
    pub(super) exported: Vec<(String, String)>,
    /// `NAME=value`, for the command line: nothing else can carry them.
    pub(super) open: Vec<String>,
    /// Names without a value. They mean "not set" to the engine, but "take it from your own
    /// environment" to the program; so they are removed from there.
    pub(super) unset: Vec<String>,
}

impl Variables {
    pub(super) fn new(variables: Vec<String>) -> Self {
        let mut sorted = Self::default();
        let names: BTreeSet<&str> = variables.iter().map(|variable| name(variable)).collect();
        // The order decides between variables of one name, and each way has an order of its own.
        let is_unique = names.len() == variables.len();
        for variable in variables {
            match variable.split_once('=') {
                None => sorted.unset.push(variable),
                Some((name, value)) if is_unique && !fits_line(name, value) && is_harmless(name) => {
                    sorted.exported.push((name.to_owned(), value.to_owned()));
                }
                Some((name, value)) if is_unique && fits_line(name, value) => sorted.lines.push(variable),
                Some(_) => sorted.open.push(variable),
            }
        }
        sorted
    }
}

impl Variables {
    /// Lets a command whose words name the variables carry their values past its command line.
    pub(super) fn carried_by(self, mut command: Command) -> Command {
        let Self { lines, exported, unset, .. } = self;
        if !unset.is_empty() {
            command.before.push("env".to_owned());
            command.before.extend(unset.into_iter().flat_map(|name| ["-u".to_owned(), name]));
        }
        if !lines.is_empty() {
            command.input = Some(Secret::new(lines.join("\n") + "\n"));
        }
        command.exported = exported.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        command
    }
}

fn name(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

/// Tells whether a line of `--env-file` stands for this variable: `#` begins a comment, and the
/// carriage return before a line break is no part of the line.
fn fits_line(name: &str, value: &str) -> bool {
    let is_plain = |character: char| !character.is_whitespace() && !character.is_control();
    !name.is_empty()
        && !name.starts_with(['#', '\u{feff}'])
        && name.chars().all(is_plain)
        && !value.contains('\n')
        && !value.ends_with('\r')
        && name.len() + value.len() + 2 < LINE_LIMIT
}

/// Tells whether a shell can set the variable, and neither it nor a program acts on it.
pub(super) fn is_harmless(name: &str) -> bool {
    let is_identifier = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    let upper = name.to_ascii_uppercase();
    let begins = [
        "BASH",
        "BUILDX_",
        "BUILDKIT_",
        "CONTAINER",
        "DOCKER_",
        "GO",
        "LC_",
        "LD_",
        "MALLOC_",
        "OTEL_",
        "PS",
        "SSH_",
        "SSL_",
        "SUDO_",
        "XDG_",
    ];
    let is = [
        "_",
        "ENV",
        "EUID",
        "FPATH",
        "HOME",
        "IFS",
        "LANG",
        "LANGUAGE",
        "LINENO",
        "MAIL",
        "MAILPATH",
        "OLDPWD",
        "OPTARG",
        "OPTIND",
        "PATH",
        "PPID",
        "PWD",
        "SHELL",
        "SHELLOPTS",
        "TERM",
        "TMPDIR",
        "TZ",
        "UID",
        "USER",
    ];
    // One small letter: scripts have such variables of their own.
    is_identifier
        && (name.len() > 1 || name == upper)
        && !begins.iter().any(|begin| upper.starts_with(begin))
        && !is.contains(&upper.as_str())
        && !upper.ends_with("_PROXY")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_variable_takes_the_way_that_can_carry_it() {
        let long = format!("A={}", "x".repeat(LINE_LIMIT));
        let cases: [(&str, &str); 21] = [
            ("A=1", "line"),
            ("A=", "line"),
            ("A= b=c  ", "line"),
            ("A=#", "line"),
            ("A=a\rb", "line"),
            ("PATH=/bin", "line"),
            ("DOCKER_HOST=tcp://x", "line"),
            ("a.b-c=1", "line"),
            ("KEY=a\nb", "exported"),
            ("KEY=a\r", "exported"),
            ("_KEY=\n", "exported"),
            ("1KEY=a\nb", "open"),
            ("a.b=a\nb", "open"),
            ("IFS= \n", "open"),
            ("DOCKER_HOST=a\nb", "open"),
            ("https_proxy=a\nb", "open"),
            ("LD_PRELOAD=a\nb", "open"),
            ("#A=1", "open"),
            ("A B=1", "open"),
            ("=1", "open"),
            ("HOME", "unset"),
        ];
        let way = |variable: &str| {
            let Variables { lines, exported, open, unset } = Variables::new(vec![variable.to_owned()]);
            let counts = [lines.len(), exported.len(), open.len(), unset.len()];
            assert_eq!(counts.iter().sum::<usize>(), 1, "{variable:?}");
            ["line", "exported", "open", "unset"][counts.iter().position(|count| *count == 1).unwrap()]
        };
        for (variable, expected) in cases {
            assert_eq!(way(variable), expected, "{variable:?}");
        }
        assert_eq!(way(&long), "exported");
        assert_eq!(way(&long.replace("A=", "d=")), "open");
    }

    #[test]
    fn variables_of_one_name_stay_in_their_order() {
        let variables = ["A=1", "B=2", "A=3\n"].map(str::to_owned).to_vec();
        assert_eq!(Variables::new(variables.clone()), Variables { open: variables, ..Variables::default() });
    }
}
