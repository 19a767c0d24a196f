//! Words, quoted and joined.

/// Quotes a word where it is not made of letters, digits and `_@%+=:,./-` only: in single quotes, a single
/// quote itself as `'"'"'` (clients-tasks §10.3, `str_arg`).
pub fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_@%+=:,./-".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r#"'"'"'"#))
}

/// A command line that grows from left to right: options, then words.
///
/// # Examples
///
/// ```
/// use dfab_client::shortcuts::CommandLine;
///
/// let line = CommandLine::new("tar").option("-cf", "a b.tar").flag("-v").keyword("__exclude", "*.log").word("src");
/// assert_eq!(line.to_string(), "tar -cf 'a b.tar' -v --exclude '*.log' src");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine(String);

impl CommandLine {
    /// Starts with a command, which is not quoted.
    pub fn new(command: impl Into<String>) -> Self {
        Self(command.into())
    }

    /// Adds an option without a value, as it is.
    #[must_use]
    pub fn flag(mut self, name: &str) -> Self {
        self.0.push(' ');
        self.0.push_str(name);
        self
    }

    /// Adds an option without a value if `condition` holds.
    #[must_use]
    pub fn flag_if(self, condition: bool, name: &str) -> Self {
        if condition { self.flag(name) } else { self }
    }

    /// Adds an option and its value.
    #[must_use]
    pub fn option(self, name: &str, value: impl ToString) -> Self {
        self.flag(name).word(value)
    }

    /// Adds an option and its value, if there is one.
    #[must_use]
    pub fn option_if(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.option(name, value),
            None => self,
        }
    }

    /// Adds an option and its value by a keyword of Docker-Map: `_v` is `-v`, `__exclude` is `--exclude`.
    #[must_use]
    pub fn keyword(self, keyword: &str, value: impl ToString) -> Self {
        self.option(&keyword.replace('_', "-"), value)
    }

    /// Adds an option without a value by a keyword.
    #[must_use]
    pub fn switch(self, keyword: &str) -> Self {
        self.flag(&keyword.replace('_', "-"))
    }

    /// Adds a word.
    #[must_use]
    pub fn word(self, word: impl ToString) -> Self {
        self.flag(&quoted(&word.to_string()))
    }

    /// Adds text that is quoted already.
    #[must_use]
    pub(super) fn raw(self, text: &str) -> Self {
        self.flag(text)
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<CommandLine> for String {
    fn from(line: CommandLine) -> Self {
        line.0
    }
}
