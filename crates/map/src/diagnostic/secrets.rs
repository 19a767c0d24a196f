//! Keeping secrets out of the source lines that findings show.
//!
//! A finding shows the line it is about, and a line of a client file, or of an `environment`, may hold
//! a password beside the mistake. What stands after a key or variable that ends in one of [`KEYS`] is
//! replaced by `*`, character by character, so that markers keep their place.

/// Ends of names whose values are hidden, in any case: `password`, `DB_PASSWORD`, `api_token`.
const KEYS: [&str; 6] = ["password", "passwd", "passphrase", "secret", "token", "private_key"];

/// Returns the line with its secrets replaced. Takes time linear in its length.
pub(super) fn hidden(line: &str) -> String {
    let brace = line.find('{').unwrap_or(line.len());
    let mut shown = String::with_capacity(line.len());
    let mut from = 0;
    for start in value_starts(line) {
        // A key inside a value that is hidden already counts no more.
        if start >= from {
            let end = start + value_length(&line[start..], brace < start);
            shown.push_str(&line[from..start]);
            shown.extend(line[start..end].chars().map(|c| if c == ' ' { ' ' } else { '*' }));
            from = end;
        }
    }
    shown.push_str(&line[from..]);
    shown
}

/// Returns where the values of secret keys start, in order.
fn value_starts(line: &str) -> Vec<usize> {
    // Only ASCII letters change, so that offsets are those of the line.
    let lower = line.to_ascii_lowercase();
    let value_after = |end: usize| {
        let after = &lower[end..];
        let rest = after.trim_start_matches(['"', '\'']).trim_start();
        let value = rest.strip_prefix(':').or_else(|| after.strip_prefix('='))?.trim_start();
        (!value.is_empty()).then(|| lower.len() - value.len())
    };
    let ends =
        |key: &&'static str| lower.match_indices(*key).map(|(at, key)| at + key.len()).collect::<Vec<_>>();
    let mut starts: Vec<usize> = KEYS.iter().flat_map(ends).filter_map(value_after).collect();
    starts.sort_unstable();
    starts
}

/// Returns the length of a value: a quoted one with its quotes, a plain one to the end of the line, or,
/// inside braces, to the next comma or brace.
fn value_length(value: &str, flow: bool) -> usize {
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let mut escaped = false;
        for (at, c) in value.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' if quote == '"' => escaped = true,
                c if c == quote => return at + 1,
                _ => {}
            }
        }
        return value.len();
    }
    let ends = |c| matches!(c, ',' | '}');
    if flow { value.find(ends).unwrap_or(value.len()) } else { value.len() }
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn long_lines_take_linear_time() {
        let line = "{token: a, secret b, password=c}".repeat(100_000);
        assert!(!hidden(&line).contains("token: a"));
    }

    #[test]
    fn secrets_are_hidden_and_nothing_moves() {
        let cases = [
            ("password: s3cret", "password: ******"),
            ("    password: a, b }", "    password: ** * *"),
            (
                "r: {username: ci, password: s3cret}, timeout: x",
                "r: {username: ci, password: ******}, timeout: x",
            ),
            ("r: {'password': 'a}b', x: 1}", "r: {'password': *****, x: 1}"),
            (r#"r: {"Password" : "a\"b", x: 1}"#, r#"r: {"Password" : ******, x: 1}"#),
            ("- DB_PASSWORD=pässwort", "- DB_PASSWORD=********"),
            ("{TOKEN: a, DB_SECRET: b}", "{TOKEN: *, DB_SECRET: *}"),
            ("password:", "password:"),
            ("password: 'unclosed", "password: *********"),
            ("binds: {/run/secrets: secrets}", "binds: {/run/secrets: secrets}"),
            ("image: nginx", "image: nginx"),
        ];
        for (line, expected) in cases {
            assert_eq!(hidden(line), expected);
            assert_eq!(hidden(line).chars().count(), line.chars().count());
        }
    }
}
