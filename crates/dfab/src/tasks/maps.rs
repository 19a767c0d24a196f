//! `map.*`: looking at maps without an engine.

use dfab_map::check;
use dfab_map::diagnostic::{Finding, Findings, Severity};
use futures_util::FutureExt;
use serde_json::json;

use crate::cli::Arguments;
use crate::failure::{Failure, Result};
use crate::registry::{Parameter, Scope, Task};
use crate::report::Report;
use crate::run::Run;

/// The table entries.
pub const TASKS: &[Task] = &[Task {
    namespace: "map",
    name: "check",
    aliases: &[],
    about: "Check maps and clients without contacting anything.",
    help: "Without names all maps of the project are checked. Everything that is wrong is reported at once.",
    parameters: &[&[Parameter::rest("maps", "names of maps")]],
    words: Some("[MAP]..."),
    scope: Scope::Here,
    run: |run, arguments| check(run, arguments).boxed_local(),
}];

async fn check(run: &Run, arguments: &Arguments) -> Result<Report> {
    let clients = run.clients().await?;
    let names = match arguments.list("maps") {
        [] => run.project.map_names(),
        names => names.to_vec(),
    };
    if names.is_empty() {
        return Err(Failure::configuration("there is no map to check")
            .hint("name maps under `maps:` in the project file, or put `NAME.yaml` into this directory"));
    }
    let mut findings = Vec::new();
    let mut sources = run.project.sources.clone();
    let mut rows = Vec::new();
    for name in &names {
        let mut of_map: Vec<Finding> = match crate::project::load_map(&run.project, name, &run.variables) {
            Ok(loaded) => {
                sources.extend(loaded.sources);
                let mut found = loaded.warnings;
                found.extend(check::check_written(&loaded.value, check::Options::default()));
                found.extend(check::clients(&loaded.value, clients));
                found
            }
            Err(Failure { findings: Some(found), .. }) => {
                sources.extend(found.1);
                found.0.0
            }
            Err(failure) => return Err(failure),
        };
        let errors = of_map.iter().filter(|finding| finding.severity == Severity::Error).count();
        let warnings = of_map.len() - errors;
        let verdict = match (errors, warnings) {
            (0, 0) => "no findings".to_owned(),
            (errors, 0) => crate::text::count(errors, "error"),
            (0, warnings) => crate::text::count(warnings, "warning"),
            (errors, warnings) => {
                format!(
                    "{}, {}",
                    crate::text::count(errors, "error"),
                    crate::text::count(warnings, "warning")
                )
            }
        };
        run.result_line(&format!("{name}: {verdict}"));
        rows.push(json!({
            "map": name, "errors": errors, "warnings": warnings, "findings": Findings(of_map.clone()).to_json(),
        }));
        findings.append(&mut of_map);
    }
    let report = Report { rows: Some(rows), ..Report::done("map.check") };
    let findings = Findings(findings);
    if findings.has_errors() {
        let what = crate::text::count(names.len(), "map");
        return Ok(report.failed(Failure::findings(
            format!("{what} checked, with errors"),
            findings,
            sources,
        )));
    }
    run.console.finding_warnings(&findings, &sources);
    Ok(report)
}
