//! The figures of the SSH transport, for `cargo xtask bench`: runs the example `bench` of `dfab-tunnel`, which
//! measures against `ssh` itself on a private sshd, and shows its lines.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::project;
use crate::run::Runs as _;

/// One line of the example.
#[derive(Deserialize)]
struct Figure {
    name: String,
    value: f64,
    unit: String,
    /// What is promised, for example `>= 0.9`; empty for what is only told.
    limit: String,
}

impl Figure {
    /// Whether the promise is kept.
    fn is_kept(&self) -> Result<bool> {
        let mut words = self.limit.split_whitespace();
        let Some(sign) = words.next() else { return Ok(true) };
        let bound = words.next().and_then(|word| word.parse::<f64>().ok());
        match (sign, bound) {
            (">=", Some(bound)) => Ok(self.value >= bound),
            ("<=", Some(bound)) => Ok(self.value <= bound),
            ("<", Some(bound)) => Ok(self.value < bound),
            _ => bail!("`{}` of `{}` is no limit", self.limit, self.name),
        }
    }
}

/// Measures and prints. Returns how many promises were missed.
pub fn run() -> Result<usize> {
    let mut bench = project::cargo();
    bench.args(["run", "-q", "--release", "-p", "dfab-tunnel", "--example", "bench"]);
    let lines = bench.read().context("the transport cannot be measured")?;
    println!("transport, 1 GiB each way on one connection, best or middle of the rounds");
    let mut missed = 0;
    for line in lines.lines() {
        let figure: Figure =
            serde_json::from_str(line).with_context(|| format!("`{line}` is no figure of the example"))?;
        let kept = figure.is_kept()?;
        missed += usize::from(!kept);
        let mark = if kept { "" } else { "   MISSED" };
        let Figure { name, value, unit, limit } = figure;
        println!("  {name:<42} {value:10.2} {unit:<12} {limit}{mark}");
    }
    println!();
    Ok(missed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_the_example_writes_them() {
        let kept = |value: f64, limit: &str| {
            Figure { name: "n".into(), value, unit: String::new(), limit: limit.into() }.is_kept()
        };
        let cases = [
            (0.9, ">= 0.9", true),
            (0.8, ">= 0.9", false),
            (1.5, "<= 1.5", true),
            (1.6, "<= 1.5", false),
            (32.0, "< 32", false),
            (7.0, "", true),
        ];
        for (value, limit, expected) in cases {
            assert_eq!(kept(value, limit).unwrap(), expected, "{value} {limit}");
        }
        assert!(kept(1.0, "about 3").is_err());
    }
}
