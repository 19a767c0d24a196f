//! Patterns of ssh_config(5) and known_hosts: `*`, `?`, and lists with `!`.

/// Whether `name` matches `pattern`; both are expected in the same case.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // The last `*` seen and where the name stood then: the only point worth going back to.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, n) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == b'*')
}

/// Whether `name` matches one of the patterns and none of those that begin with `!`.
pub(crate) fn list_matches<'a>(patterns: impl Iterator<Item = &'a str>, name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => found |= matches(pattern, name),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_ssh_config() {
        let cases = [
            ("*", "", true),
            ("*", "a.b", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*.example.*", "x.example.com", true),
            ("*a*a*", "aba", true),
            ("*a*a*", "ab", false),
            ("web1", "web10", false),
            ("", "", true),
            ("10.0.0.?", "10.0.0.1", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        assert!(list_matches(["*", "!b"].into_iter(), "a"));
        assert!(!list_matches(["*", "!b"].into_iter(), "b"));
        assert!(!list_matches(["!b"].into_iter(), "a"), "a list of exceptions matches nothing");
    }

    #[test]
    fn many_stars_take_no_time() {
        assert!(!matches(&"*a".repeat(50), &"b".repeat(10_000)));
    }
}
