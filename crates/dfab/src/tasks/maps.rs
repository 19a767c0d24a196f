//! `map.*`: looking at maps without an engine.

use dfab_map::check;
use dfab_map::deps::Dependencies;
use dfab_map::diagnostic::{Finding, Findings, Severity};
use dfab_map::item::Item;
use dfab_map::names::MapName;
use dfab_map::picture::Diagram;
use futures_util::FutureExt;
use serde_json::json;

use super::actions::{Selection, TARGET};
use crate::cli::Arguments;
use crate::failure::{Failure, Result};
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const MAP: Parameter =
    Parameter::optional("map", ParameterKind::Text, "", "name of the map; may be left out when there is one");

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "map",
        name: "check",
        aliases: &[],
        about: "Check maps and clients without contacting anything.",
        help: "Without names all maps of the project are checked. Everything that is wrong is reported at once.",
        parameters: &[&[Parameter::rest("maps", "names of maps")]],
        words: Some("[MAP]..."),
        scope: Scope::Here,
        run: |run, arguments| check(run, arguments).boxed_local(),
    },
    Task {
        namespace: "map",
        name: "deps",
        aliases: &[],
        about: "Print what a configuration needs and what needs it, in order.",
        help: "First the order of starting: what is needed, and the configuration. With `--reverse` the order of \
               stopping: what needs it, and the configuration.",
        parameters: &[
            TARGET,
            &[Parameter::keyword(
                "reverse",
                ParameterKind::Bool,
                "false",
                "print what needs it, in the order of stopping",
            )],
        ],
        words: Some("[MAP] CONFIG [INSTANCE]..."),
        scope: Scope::Here,
        run: |run, arguments| deps(run, arguments).boxed_local(),
    },
    Task {
        namespace: "map",
        name: "graph",
        aliases: &[],
        about: "Print a picture of a map: what runs where, and who needs whom.",
        help: "`dfab map.graph example_map --as svg > map.svg`; dot is for Graphviz, mermaid for Markdown.",
        parameters: &[&[
            MAP,
            Parameter::keyword(
                "as",
                ParameterKind::Choice(&["dot", "mermaid", "svg"]),
                "dot",
                "language of the picture",
            ),
        ]],
        words: None,
        scope: Scope::Here,
        run: |run, arguments| graph(run, arguments).boxed_local(),
    },
    Task {
        namespace: "map",
        name: "schema",
        aliases: &[],
        about: "Print the JSON Schema of map or client files, for editors.",
        help: "`dfab map.schema > map.schema.json`, then name the file in your editor's YAML settings.",
        parameters: &[&[Parameter::optional(
            "kind",
            ParameterKind::Choice(&["map", "clients"]),
            "map",
            "what the schema is for",
        )]],
        words: None,
        scope: Scope::Here,
        run: |run, arguments| schema(run, arguments).boxed_local(),
    },
    Task {
        namespace: "map",
        name: "show",
        aliases: &[],
        about: "Print a map in its normal form, with everything inherited.",
        help: "The output is a map file again. With a configuration only that one is printed; `--written` leaves out \
               what is inherited.",
        parameters: &[&[
            MAP,
            Parameter::optional("config", ParameterKind::Text, "", "a configuration of it"),
            Parameter::keyword(
                "written",
                ParameterKind::Bool,
                "false",
                "as it was written, abstract configurations included",
            ),
        ]],
        words: None,
        scope: Scope::Here,
        run: |run, arguments| show(run, arguments).boxed_local(),
    },
];

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

/// Returns the name of the map that a call means: the one given, else the only one.
fn map_name(run: &Run, arguments: &Arguments) -> Result<String> {
    if let Some(name) = arguments.text("map").filter(|name| !name.is_empty()) {
        return Ok(name.to_owned());
    }
    match run.project.map_names().as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(crate::project::unknown_map(&run.project, "")),
        many => Err(Failure::usage("no map is named, and several are configured")
            .hint(format!("configured maps: {}", crate::text::list(many, 12)))),
    }
}

async fn show(run: &Run, arguments: &Arguments) -> Result<Report> {
    let name = map_name(run, arguments)?;
    let loaded = crate::project::load_map(&run.project, &name, &run.variables)?;
    run.console.finding_warnings(&Findings(loaded.warnings), &loaded.sources);
    let map = if arguments.flag("written") {
        loaded.value
    } else {
        dfab_map::extend::extended(&loaded.value).map_err(|findings| {
            Failure::findings(format!("map `{name}` is wrong"), findings, loaded.sources.clone())
        })?
    };
    let text = match arguments.text("config").filter(|config| !config.is_empty()) {
        None => dfab_map::show::map(&map),
        Some(config) => dfab_map::show::configuration(&map, config).ok_or_else(|| {
            Failure::configuration(format!("configuration `{config}` not found on map `{name}`")).nearest(
                config,
                "configurations",
                map.containers.keys().map(|name| name.as_str()),
            )
        })?,
    };
    run.console.block(text.trim_end());
    let report =
        Report { outputs: Some(vec![json!({"map": name, "yaml": text})]), ..Report::done("map.show") };
    Ok(Report { map: Some(name), ..report })
}

async fn deps(run: &Run, arguments: &Arguments) -> Result<Report> {
    let selection = Selection::read(run, arguments).await?;
    let reverse = arguments.flag("reverse");
    let mut rows = Vec::new();
    let mut lines = Vec::new();
    for (name, map) in &selection.loaded.maps {
        let chosen: Vec<Item> =
            selection.items.iter().filter(|id| id.map == *name).map(|id| id.item.clone()).collect();
        if chosen.is_empty() {
            continue;
        }
        let graph = Dependencies::new(map, &run.variables).map_err(|findings| {
            Failure::findings(format!("map `{name}` is wrong"), findings, selection.loaded.sources.clone())
        })?;
        for item in if reverse { graph.reverse(&chosen) } else { graph.forward(&chosen) } {
            let neighbours: Vec<&Item> =
                if reverse { graph.dependents(&item).collect() } else { graph.edges(&item).collect() };
            lines.push(item_line(name, &item, &neighbours, reverse));
            rows.push(json!({
                "map": name.as_str(),
                "kind": item.kind().as_str(),
                "name": item_name(&item),
                "selected": chosen.contains(&item),
                if reverse { "needed_by" } else { "needs" }: neighbours.iter().map(|item| item_name(item)).collect::<Vec<_>>(),
            }));
        }
    }
    run.console.block(&lines.join("\n"));
    Ok(Report { rows: Some(rows), map: selection.map(), ..Report::done("map.deps") })
}

fn item_line(map: &MapName, item: &Item, neighbours: &[&Item], reverse: bool) -> String {
    let line = match item {
        Item::Image(image) => format!("image     {image}"),
        item => format!("{:<9} {map}.{}", item.kind().as_str(), item_name(item)),
    };
    if neighbours.is_empty() {
        return line;
    }
    let names: Vec<String> = neighbours.iter().map(|item| item_name(item)).collect();
    let verb = if reverse { "needed by" } else { "needs" };
    format!("{line}  ({verb} {})", names.join(", "))
}

fn item_name(item: &Item) -> String {
    match item {
        Item::Container { config, instance: Some(instance) } => format!("{config}.{instance}"),
        Item::Container { config, instance: None } => config.to_string(),
        Item::Volume { config, alias } => format!("{config}:{alias}"),
        Item::Network(name) => name.to_string(),
        Item::Image(image) => image.to_string(),
    }
}

async fn graph(run: &Run, arguments: &Arguments) -> Result<Report> {
    let name = map_name(run, arguments)?;
    let mut loaded = run.load_maps(std::slice::from_ref(&name));
    loaded.fail_if_named(std::slice::from_ref(&name))?;
    let map =
        loaded.maps.get(name.as_str()).ok_or_else(|| crate::project::unknown_map(&run.project, &name))?;
    let diagram = Diagram::new(map, run.clients().await?);
    let language = arguments.text("as").unwrap_or("dot");
    let text = match language {
        "svg" => diagram.svg(),
        "mermaid" => diagram.mermaid(),
        _ => diagram.dot(),
    };
    run.console.block(text.trim_end());
    let outputs = vec![json!({"map": name, "language": language, "text": text})];
    Ok(Report { outputs: Some(outputs), map: Some(name), ..Report::done("map.graph") })
}

async fn schema(run: &Run, arguments: &Arguments) -> Result<Report> {
    let schema = match arguments.text("kind") {
        Some("clients") => dfab_map::schema::clients(),
        _ => dfab_map::schema::map(),
    };
    run.console.block(&serde_json::to_string_pretty(&schema).expect("a JSON value can be written"));
    Ok(Report { outputs: Some(vec![schema]), ..Report::done("map.schema") })
}
