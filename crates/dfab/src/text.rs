//! Counting words and lists, in one place (style §10).

/// Returns `1 step`, `2 steps`.
pub fn count(number: usize, singular: &str) -> String {
    if number == 1 { format!("1 {singular}") } else { format!("{number} {singular}s") }
}

/// Returns names in backticks, separated by commas, at most `limit` of them.
pub fn list<T: AsRef<str>>(names: &[T], limit: usize) -> String {
    let mut shown: Vec<String> =
        names.iter().take(limit).map(|name| format!("`{}`", name.as_ref())).collect();
    if names.len() > limit {
        shown.push(format!("and {} more", names.len() - limit));
    }
    shown.join(", ")
}

/// Returns a duration for people: `0.41 s`, `12.3 s`, `3 min 05 s`.
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        let whole = seconds.round() as u64;
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_and_few_digits() {
        let shown: Vec<String> = [0.4136, 61.04, 185.2].into_iter().map(seconds).collect();
        assert_eq!(shown, ["0.41 s", "61.0 s", "3 min 05 s"]);
    }
}
