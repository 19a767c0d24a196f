//! Findings as JSON values for programs.

use serde_json::{Value, json};

use super::{Finding, Findings, Place, Severity};

impl Severity {
    /// Returns the word that JSON output uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl Finding {
    /// Returns the finding as an object: `kind`, `severity`, `message`, then what applies of `map`,
    /// `object` (`{kind, name}`), `property`, `place`, `related` and `hint`.
    ///
    /// A place is `{file, line, column, length, source}`, where `source` is `file:line:column`.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "kind": self.kind.as_str(),
            "severity": self.severity.as_str(),
            "message": self.message,
        });
        let mut set = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                object[key] = value;
            }
        };
        set("map", self.subject.map.as_ref().map(|map| json!(map)));
        set("object", self.subject.object.as_ref().map(|(kind, name)| json!({"kind": kind, "name": name})));
        set("property", self.subject.property.as_ref().map(|property| json!(property)));
        set("place", self.place.as_ref().map(place));
        let related: Vec<Value> =
            self.related.iter().map(|(at, text)| json!({"text": text, "place": place(at)})).collect();
        set("related", (!related.is_empty()).then_some(Value::Array(related)));
        set("hint", self.hint.as_ref().map(|hint| json!(hint)));
        object
    }
}

impl Findings {
    /// Returns the findings as an array of objects, see [`Finding::to_json`].
    pub fn to_json(&self) -> Value {
        self.0.iter().map(Finding::to_json).collect()
    }
}

fn place(place: &Place) -> Value {
    let position = &place.position;
    json!({
        "file": &*position.file,
        "line": position.line,
        "column": position.column,
        "length": place.length,
        "source": position.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FindingKind, Subject};
    use crate::position::Position;

    #[test]
    fn what_does_not_apply_is_left_out() {
        let subject = Subject { map: Some("m".to_owned()), ..Subject::default() };
        let finding =
            Finding::warning(FindingKind::Load, "odd").about(subject).at(Position::new("f", 1, 2).into());
        let place = json!({"file": "f", "line": 1, "column": 2, "length": 1, "source": "f:1:2"});
        let expected =
            json!({"kind": "load", "severity": "warning", "message": "odd", "map": "m", "place": place});
        assert_eq!(finding.to_json(), expected);
    }
}
