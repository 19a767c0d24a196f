//! Long sentences on a terminal, broken between words instead of where the edge happens to be.

/// Breaks a text at blanks so that no line is wider than `width`, where that can be done. `lead` columns of the first
/// line are taken; further lines are indented. What stands in backticks stays whole: a command can be copied.
pub fn wrap(text: &str, lead: usize, width: usize) -> String {
    const INDENT: &str = "    ";
    let mut wrapped = String::new();
    let mut column = lead;
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            wrapped.push('\n');
            column = 0;
        }
        for (index, piece) in pieces(line).into_iter().enumerate() {
            let length = piece.chars().count();
            if index == 0 {
                column += length;
            } else if column + 1 + length > width {
                wrapped.push('\n');
                wrapped.push_str(INDENT);
                column = INDENT.len() + length;
            } else {
                wrapped.push(' ');
                column += 1 + length;
            }
            wrapped.push_str(piece);
        }
    }
    wrapped
}

/// Splits at blanks outside of backticks.
fn pieces(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let split = |c: char| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    };
    line.split(split).collect()
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn lines_break_between_words_and_never_in_a_command() {
        for (text, lead, width, expected) in [
            ("short enough", 0, 20, "short enough"),
            ("one two three four", 0, 9, "one two\n    three\n    four"),
            ("one two", 6, 10, "one\n    two"),
            ("run `docker rm -f web app` there", 0, 20, "run\n    `docker rm -f web app`\n    there"),
            (
                "a_word_that_is_wider_than_the_terminal is",
                0,
                10,
                "a_word_that_is_wider_than_the_terminal\n    is",
            ),
            ("two lines\nas they are", 15, 20, "two\n    lines\nas they are"),
            ("  kept  blanks", 0, 40, "  kept  blanks"),
        ] {
            assert_eq!(wrap(text, lead, width), expected);
        }
    }
}
