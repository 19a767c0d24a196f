//! `docker.version`, `docker.list_*`: tables about an engine (clients-tasks §8.6, §8.7).

use dfab_tasks::information::{self, Cell, ContainerOptions, ImageOptions, Rows};
use futures_util::FutureExt;
use serde_json::{Map, Value, json};

use crate::cli::Arguments;
use crate::console::table::Table;
use crate::failure::Result;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;
use crate::tasks::engine_failure;

const FULL_IDS: Parameter = Parameter::optional("full_ids", ParameterKind::Bool, "false", "show IDs in full");

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "docker",
        name: "version",
        aliases: &["check_version"],
        about: "Print version details of the Docker service.",
        help: "",
        parameters: &[],
        words: None,
        scope: Scope::EachHost,
        run: |run, _| version(run).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "list_images",
        aliases: &[],
        about: "Print a table of images.",
        help: "Columns: Id, RepoTags, ParentId, Created, VirtualSize, Size. `--format Id,RepoTags` chooses some.",
        parameters: &[&[
            Parameter::optional("list_all", ParameterKind::Bool, "false", "show intermediate images too"),
            FULL_IDS,
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| list_images(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "list_containers",
        aliases: &[],
        about: "Print a table of containers.",
        help: "Shows all containers, unlike `docker ps`.\n\nColumns: Id, Names, Image, Command, Ports, Status, \
               Created. `--format Names,Status` chooses some.",
        parameters: &[&[
            Parameter::optional("list_all", ParameterKind::Bool, "true", "also show what does not run"),
            Parameter::optional(
                "short_image",
                ParameterKind::Bool,
                "true",
                "show image names without registry and path",
            ),
            FULL_IDS,
            Parameter::optional("full_cmd", ParameterKind::Bool, "false", "show commands in full"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| list_containers(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "list_networks",
        aliases: &[],
        about: "Print a table of networks.",
        help: "Columns: Id, Name, Driver, Scope.",
        parameters: &[&[FULL_IDS]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| list_networks(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "list_volumes",
        aliases: &[],
        about: "Print a table of volumes.",
        help: "Columns: Name, Driver.",
        parameters: &[],
        words: None,
        scope: Scope::EachHost,
        run: |run, _| list_volumes(run).boxed_local(),
    },
];

async fn version(run: &Run) -> Result<Report> {
    let backend = run.backend().await?;
    let entries = information::version(backend.as_ref()).await.map_err(|error| engine_failure(&error))?;
    let longest = entries.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0) + 1;
    let lines: Vec<String> =
        entries.iter().map(|(key, value)| format!("{:<longest$} {value}", format!("{key}:"))).collect();
    run.result_block(&lines.join("\n"));
    let mut row: Map<String, Value> =
        entries.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    row.insert("host".to_owned(), host_value(run));
    Ok(Report { rows: Some(vec![Value::Object(row)]), ..Report::done("docker.version") })
}

async fn list_images(run: &Run, arguments: &Arguments) -> Result<Report> {
    check(run, "list_images")?;
    let backend = run.backend().await?;
    let options = ImageOptions { list_all: arguments.flag("list_all"), full_ids: arguments.flag("full_ids") };
    let rows =
        information::images(backend.as_ref(), options).await.map_err(|error| engine_failure(&error))?;
    show(run, "docker.list_images", &rows)
}

async fn list_containers(run: &Run, arguments: &Arguments) -> Result<Report> {
    check(run, "list_containers")?;
    let backend = run.backend().await?;
    let options = ContainerOptions {
        list_all: arguments.boolean("list_all").unwrap_or(true),
        short_image: arguments.boolean("short_image").unwrap_or(true),
        full_ids: arguments.flag("full_ids"),
        full_cmd: arguments.flag("full_cmd"),
    };
    let rows =
        information::containers(backend.as_ref(), options).await.map_err(|error| engine_failure(&error))?;
    show(run, "docker.list_containers", &rows)
}

async fn list_networks(run: &Run, arguments: &Arguments) -> Result<Report> {
    check(run, "list_networks")?;
    let backend = run.backend().await?;
    let full_ids = arguments.flag("full_ids");
    let rows =
        information::networks(backend.as_ref(), full_ids).await.map_err(|error| engine_failure(&error))?;
    show(run, "docker.list_networks", &rows)
}

async fn list_volumes(run: &Run) -> Result<Report> {
    check(run, "list_volumes")?;
    let backend = run.backend().await?;
    let rows = information::volumes(backend.as_ref()).await.map_err(|error| engine_failure(&error))?;
    show(run, "docker.list_volumes", &rows)
}

/// Checks the columns of `--format`, before anything is contacted.
///
/// # Errors
///
/// A usage failure for columns that the table of this task does not have.
pub fn check(run: &Run, task: &str) -> Result<()> {
    let columns: &[&str] = match task {
        "list_images" => &information::IMAGE_COLUMNS,
        "list_containers" => &information::CONTAINER_COLUMNS,
        "list_networks" => &information::NETWORK_COLUMNS,
        "list_volumes" => &information::VOLUME_COLUMNS,
        _ => return Ok(()),
    };
    let Some(format) = &run.options.format else { return Ok(()) };
    let mut table = Table::new(columns.iter().copied());
    table.select(&format.split(',').collect::<Vec<_>>()).map_err(|mut failure| {
        // Of several tasks, which one.
        failure.message = format!("task `docker.{task}`: {}", failure.message);
        failure
    })
}

/// Prints rows as a table and makes the report of them. All columns are in the document, whatever
/// `--format` chooses for the table.
fn show(run: &Run, task: &str, rows: &Rows) -> Result<Report> {
    let mut table = Table::new(rows.columns.iter().copied());
    table.rows = rows.rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect();
    if let Some(format) = &run.options.format {
        table.select(&format.split(',').collect::<Vec<_>>())?;
    }
    // On a terminal a table keeps within its width; elsewhere scripts read it as the source systems
    // print it.
    run.result_block(&table.render(run.console.fits().then(|| run.console.width())));
    let row = |cells: &Vec<Cell>| {
        let mut row = Map::new();
        row.insert("host".to_owned(), host_value(run));
        row.extend(
            rows.columns.iter().zip(cells).map(|(column, cell)| ((*column).to_owned(), cell.to_json())),
        );
        Value::Object(row)
    };
    Ok(Report { rows: Some(rows.rows.iter().map(row).collect()), ..Report::done(task) })
}

fn host_value(run: &Run) -> Value {
    run.host_text().map_or(Value::Null, |host| json!(host))
}
