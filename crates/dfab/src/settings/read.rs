//! Deployment variables as settings: each read by its type, or an error that names it.

use std::time::Duration;

use dfab_map::value::Value;

use crate::failure::{Failure, Result};
use crate::project::Variables;

/// Typed reading of deployment variables.
pub(super) struct Read<'a>(pub(super) &'a Variables);

impl Read<'_> {
    pub(super) fn wrong(name: &str, expected: &str) -> Failure {
        Failure::configuration(format!("the deployment variable `{name}` is no {expected}"))
            .hint(format!("set it under `env:` in the project file, or with `--set {name}=VALUE`"))
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) => Ok(Some(number.as_str().to_owned())),
            Some(_) => Err(Self::wrong(name, "text")),
        }
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>> {
        match self.0.get(name) {
            Some(Value::List(items)) => {
                let text = |item: &Value| match item {
                    Value::String(text) => Ok(text.clone()),
                    _ => Err(Self::wrong(name, "list of texts")),
                };
                items.iter().map(text).collect()
            }
            Some(Value::Bool(_) | Value::Mapping(_)) => Err(Self::wrong(name, "text, and no list of texts")),
            _ => Ok(self.text(name)?.into_iter().collect()),
        }
    }

    /// A list of names, or a text with commas between them as options have it.
    pub(super) fn names(&self, name: &str) -> Result<Vec<String>> {
        let texts = self.texts(name)?;
        let names = texts.iter().flat_map(|text| text.split([',', ';'])).map(str::trim);
        Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if crate::cli::arguments::boolean(text).is_some() => {
                Ok(crate::cli::arguments::boolean(text))
            }
            Some(Value::Number(number)) if matches!(number.as_i64(), Some(0 | 1)) => {
                Ok(Some(number.as_i64() == Some(1)))
            }
            Some(_) => Err(Self::wrong(name, "truth value")),
        }
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>> {
        match self.text(name)? {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| Self::wrong(name, "whole number in its range")),
        }
    }

    /// Zero is "off", as in Fabric.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>> {
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let value: f64 = text.parse().map_err(|_| Self::wrong(name, "number of seconds"))?;
        if value == 0.0 {
            Ok(None)
        } else {
            positive(value).map(Some).ok_or_else(|| Self::wrong(name, "number of seconds"))
        }
    }

    pub(super) fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(&text));
        let expected: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.map(|(_, value)| Some(*value)).ok_or_else(|| {
            Failure::configuration(format!("the deployment variable `{name}` is `{text}`"))
                .hint(format!("expected one of {}", crate::text::list(&expected, 9)))
        })
    }
}

/// Returns a time that is none of zero, below zero, or beyond counting.
pub(super) fn positive(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}
