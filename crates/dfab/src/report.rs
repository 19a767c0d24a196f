//! What a task hands back, and the JSON document that is made of it (cli §5.1).

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// Version of the document's form. It changes when a key changes its meaning or goes.
pub const FORMAT: u32 = 1;

/// The result of one task call.
///
/// Keys that do not apply to a task are left out of the document.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Full name of the task.
    pub task: String,
    /// Whether everything that was asked for is done.
    pub ok: bool,
    /// Only planned, nothing changed.
    pub dry_run: bool,
    /// The map, where the task works on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The steps of an action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<Vec<Value>>,
    /// How each step ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<Vec<Value>>,
    /// Counts by what happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<IndexMap<&'static str, usize>>,
    /// Rows of an information task; each has `host`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<Vec<Value>>,
    /// Texts that a task yields, for example the log of a script.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Vec<Value>>,
    /// What the user should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
    /// Hosts that could not be worked on, each with its error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts_failed: Vec<Value>,
    /// Requests sent to engines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
    /// The failure behind `error`, for the console and the exit code.
    #[serde(skip)]
    pub failure: Option<Failure>,
    /// Whether a dry run found something to change.
    #[serde(skip)]
    pub would_change: bool,
}

impl Report {
    /// Makes a successful report without content.
    pub fn done(task: impl Into<String>) -> Self {
        Self { task: task.into(), ok: true, ..Self::default() }
    }

    /// Makes the report of a failed task, or turns this one into it.
    #[must_use]
    pub fn failed(mut self, failure: Failure) -> Self {
        self.ok = false;
        self.error = Some(error(&failure));
        self.failure = Some(failure);
        self
    }
}

/// Returns the `error` object of a failure.
pub fn error(failure: &Failure) -> Value {
    let mut error = json!({
        "kind": failure.kind.as_str(),
        "message": failure.message,
        "causes": failure.causes,
        "hint": (!failure.hints.is_empty()).then(|| failure.hints.join("; ")),
    });
    if let Some(findings) = &failure.findings {
        error["findings"] = findings.0.to_json();
    }
    error
}

/// Returns the document of a run: the report itself for one call, else all of them under `runs`.
/// A run that failed before its first task has only the error.
pub fn document(reports: &[Report], failure: Option<&Failure>) -> Value {
    let ok = failure.is_none() && reports.iter().all(|report| report.ok);
    let mut document = match reports {
        [report] => serde_json::to_value(report).expect("a report has only plain values and text keys"),
        _ => {
            let dry_run = reports.iter().any(|report| report.dry_run);
            let mut document = json!({"dry_run": dry_run});
            if !reports.is_empty() {
                document["runs"] =
                    serde_json::to_value(reports).expect("a report has only plain values and text keys");
            }
            document
        }
    };
    document["ok"] = json!(ok);
    if let Some(failure) = failure
        && document.get("error").is_none_or(Value::is_null)
    {
        document["error"] = error(failure);
    }
    let mut ordered = json!({"format": FORMAT, "ok": ok});
    if let (Value::Object(ordered), Value::Object(rest)) = (&mut ordered, document) {
        ordered.extend(rest);
    }
    ordered
}
