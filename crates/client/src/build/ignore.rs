//! `.dockerignore`: which files of a folder stay out of a build context (clients-tasks §10.2.2).
//!
//! Patterns are read as `docker build` reads them: `*` and `?` stay within one path element, `**` spans any
//! number of them, `\` takes the next character literally, and the last rule that matches decides. One thing
//! differs (clients-tasks §10.2.2, table B): an exemption of a folder does not bring back its contents.

use std::path::Path;

use super::Error;

/// The rules of one `.dockerignore`, in order.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    is_exemption: bool,
    pattern: Vec<Token>,
}

/// One part of a pattern.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Some,
    /// `**` in the middle: nothing, or anything that ends with a slash.
    Elements,
    /// `**` at the end.
    Rest,
    /// `[a-z]`, `[^a-z]`
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Ignore {
    /// Reads the text of a `.dockerignore`; `path` is for messages.
    ///
    /// Blank lines and lines that start with `#` are skipped, and so is a lone `!`.
    ///
    /// # Errors
    ///
    /// [`Error::Pattern`] for a class that is not closed or is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::path::Path;
    /// use dfab_client::build::Ignore;
    ///
    /// let rules = Ignore::parse("*.log\n!sub/c.log\n", Path::new(".dockerignore"))?;
    /// assert!(rules.excludes("b.log") && !rules.excludes("sub/c.log"));
    /// # Ok::<(), dfab_client::build::Error>(())
    /// ```
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut rules = Vec::new();
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            let line = line.trim();
            let (is_exemption, written) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let cleaned = cleaned(written);
            if cleaned.is_empty() {
                continue;
            }
            let failed = |reason| {
                let (path, pattern) = (path.to_owned(), written.to_owned());
                Error::Pattern { path, line: index + 1, pattern, reason }
            };
            rules.push(Rule { is_exemption, pattern: tokens(&cleaned).map_err(failed)? });
        }
        Ok(Self { rules })
    }

    /// Tells whether `path`, relative to the folder and with `/` between its elements, stays out.
    pub fn excludes(&self, path: &str) -> bool {
        let mut excluded = false;
        for rule in &self.rules {
            if rule.is_exemption == excluded && rule.applies_to(path) {
                excluded = !rule.is_exemption;
            }
        }
        excluded
    }

    /// Tells whether something below an excluded folder may be exempted, so that it has to be looked into.
    pub fn has_exemptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.is_exemption)
    }
}

impl Rule {
    /// An exclusion of a folder holds for what is in it.
    fn applies_to(&self, path: &str) -> bool {
        if matches(&self.pattern, path) {
            return true;
        }
        let parents = path.match_indices('/').map(|(end, _)| &path[..end]);
        !self.is_exemption && parents.into_iter().any(|parent| matches(&self.pattern, parent))
    }
}

/// Resolves `.`, `..` and repeated slashes, and drops a slash at either end, as Go's `filepath.Clean` does.
fn cleaned(pattern: &str) -> String {
    let mut elements: Vec<&str> = Vec::new();
    for element in pattern.split('/') {
        match element {
            "" | "." => {}
            ".." if elements.last().is_some_and(|last| *last != "..") => drop(elements.pop()),
            other => elements.push(other),
        }
    }
    elements.join("/")
}

fn tokens(pattern: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut rest = pattern.chars().peekable();
    while let Some(char) = rest.next() {
        tokens.push(match char {
            '*' if rest.next_if_eq(&'*').is_some() => {
                // `**/` is `**`: the slash is part of what it may stand for.
                rest.next_if_eq(&'/');
                if rest.peek().is_none() { Token::Rest } else { Token::Elements }
            }
            '*' => Token::Some,
            '?' => Token::One,
            '\\' => Token::Literal(rest.next().unwrap_or('\\')),
            '[' => class(&mut rest)?,
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Token, &'static str> {
    const OPEN: &str = "a `[` is not closed";
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    let one = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>, char| match char {
        '\\' => rest.next().ok_or(OPEN),
        other => Ok(other),
    };
    loop {
        match rest.next().ok_or(OPEN)? {
            ']' if ranges.is_empty() => return Err("a `[` has nothing in it"),
            ']' => return Ok(Token::Class { negated, ranges }),
            char => {
                let first = one(rest, char)?;
                let last = match rest.next_if_eq(&'-') {
                    None => first,
                    Some(_) => {
                        let char = rest.next().ok_or(OPEN)?;
                        if char == ']' {
                            return Err("a range in `[…]` has no end");
                        }
                        one(rest, char)?
                    }
                };
                if last < first {
                    return Err("a range in `[…]` ends before it begins");
                }
                ranges.push((first, last));
            }
        }
    }
}

/// Matches a whole path by following all possibilities at once, so that no pattern takes long.
fn matches(pattern: &[Token], path: &str) -> bool {
    // `states[i]`: the tokens before `i` have matched what was read.
    let mut states = vec![false; pattern.len() + 1];
    states[0] = true;
    skip(pattern, &mut states);
    // Between the slashes that `Elements` spans; apart from `states`, for it may end only after a slash.
    let mut inside = vec![false; pattern.len()];
    for char in path.chars() {
        let mut next = vec![false; pattern.len() + 1];
        let mut next_inside = vec![false; pattern.len()];
        for (index, token) in pattern.iter().enumerate() {
            if !states[index] && !inside[index] {
                continue;
            }
            match token {
                Token::Literal(expected) => next[index + 1] |= *expected == char,
                Token::One => next[index + 1] |= char != '/',
                Token::Some => next[index] |= char != '/',
                Token::Rest => next[index] = true,
                Token::Elements => {
                    next_inside[index] = true;
                    next[index + 1] |= char == '/';
                }
                Token::Class { negated, ranges } => {
                    let is_in = ranges.iter().any(|(first, last)| (*first..=*last).contains(&char));
                    next[index + 1] |= is_in != *negated && char != '/';
                }
            }
        }
        skip(pattern, &mut next);
        (states, inside) = (next, next_inside);
    }
    states[pattern.len()]
}

/// Tokens that may stand for nothing.
fn skip(pattern: &[Token], states: &mut [bool]) {
    for (index, token) in pattern.iter().enumerate() {
        if states[index] && matches!(token, Token::Some | Token::Rest | Token::Elements) {
            states[index + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ignore(rules: &[&str]) -> Ignore {
        Ignore::parse(&rules.join("\n"), Path::new("x/.dockerignore")).unwrap()
    }

    fn check(rules: &[&str], kept: &[&str], dropped: &[&str]) {
        let ignore = ignore(rules);
        let wrong: Vec<&&str> = kept
            .iter()
            .filter(|path| ignore.excludes(path))
            .chain(dropped.iter().filter(|path| !ignore.excludes(path)))
            .collect();
        assert!(wrong.is_empty(), "{rules:?}: {wrong:?}");
    }

    /// clients-tasks §10.2.2, tables A and B.
    #[test]
    fn the_tables_of_the_specification() {
        check(
            &[".*", "dir1", "dir2/**/a", "dir3/*/testfile", r"dir3/a\\b*"],
            &["abc", "dir4", "abc/cde", "dir2", "dir2/sub/b", "dir2/sub/sub/b", "dir3/sub/c"],
            &[".git", ".dockerignore", "dir1", "dir2/sub/a", r"dir3/a\bc"],
        );
        check(
            &[
                ".*",
                "!.include",
                "!test/.root",
                "dir3/**",
                "!dir3",
                "*/*/testfile",
                "!dir3/*/testfile",
                "dir3/drop/*",
            ],
            &[".include", "dir2", "dir3", "dir3/keep/testfile", "test/.root"],
            &[".git", "dir3/drop/testfile", "dir3/drop/this", "dir3/unrelated/file"],
        );
    }

    /// clients-tasks §10.2.2, the table of constructs; the rest as `docker build` reads it.
    #[test]
    fn constructs() {
        for (rule, kept, dropped) in [
            ("*.log", &["a", "sub/a.log", "a.logs"][..], &["a.log", ".log"][..]),
            ("a?c", &["ac", "abbc", "a/c", "abcd"], &["abc", "aäc"]),
            ("**/*.log", &["a.txt"], &["a.log", "sub/a.log", "s/u/b/a.log"]),
            ("a/**/b", &["a", "b", "ab", "a/bc", "x/a/b"], &["a/b", "a/x/b", "a/x/y/b", "a/b/c"]),
            ("a/**", &["a", "ab"], &["a/b", "a/b/c"]),
            ("**", &[], &["a", "a/b"]),
            ("a**b", &["acb", "a/c"], &["ab", "ac/b", "a/c/b"]),
            ("[a-c]x", &["dx", "ax.", "/x"], &["ax", "bx", "cx"]),
            ("[^a-c]x", &["ax"], &["dx", "€x"]),
            (r"[\]a]x", &["bx"], &["]x", "ax"]),
            (r"\*.log", &["a.log"], &["*.log"]),
            (r"\#x", &["x"], &["#x"]),
            ("/a/", &["b/a"], &["a", "a/b"]),
            ("./a//b/../c", &["a", "c"], &["a/c"]),
            ("a.b", &["axb"], &["a.b"]),
            ("(a|b)+$^", &["a"], &["(a|b)+$^"]),
            ("{a,b}", &["a", "b"], &["{a,b}"]),
            ("dir", &["dirs", "x/dir"], &["dir", "dir/a", "dir/a/b"]),
        ] {
            check(&[rule], kept, dropped);
        }
    }

    #[test]
    fn lines_that_are_no_rules() {
        check(&["", "   ", "# a", "#a", "!", "/", ".", " ! ", "  b  "], &["a", "# a", "#a"], &["b"]);
        check(&["\u{feff}a", "b\r"], &[], &["a", "b"]);
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        check(&["*", "!a", "a"], &[], &["a", "b"]);
        check(&["a", "!a/b", "a/b/c", "!a/b/d"], &["a/b", "a/b/d"], &["a", "a/c", "a/b/c", "a/b/e"]);
    }

    #[test]
    fn patterns_that_are_none_are_named() {
        for (rule, expected) in [
            ("a[b", "`x/.dockerignore`, line 2: `a[b` is no pattern: a `[` is not closed"),
            ("[]", "`x/.dockerignore`, line 2: `[]` is no pattern: a `[` has nothing in it"),
            ("![a-", "`x/.dockerignore`, line 2: `[a-` is no pattern: a `[` is not closed"),
            ("[a-]", "`x/.dockerignore`, line 2: `[a-]` is no pattern: a range in `[…]` has no end"),
            (
                "[b-a]",
                "`x/.dockerignore`, line 2: `[b-a]` is no pattern: a range in `[…]` ends before it begins",
            ),
        ] {
            let text = format!("fine\n{rule}\n");
            let error = Ignore::parse(&text, Path::new("x/.dockerignore")).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let ignore = ignore(&[&"**a*".repeat(200)]);
        let started = std::time::Instant::now();
        assert!(!ignore.excludes(&"b/".repeat(300)));
        assert!(started.elapsed().as_secs() < 20);
    }
}
