//! `actions.*`: what is done to container maps (clients-tasks §9, cli §1.1).

mod keywords;
mod options;
mod selection;

use std::sync::Arc;

use dfab_client::Backend;
use dfab_map::desired::{Entry, Role, Session, Settings, Target};
use dfab_map::diagnostic::Sources;
use dfab_map::item::Kind as Item;
use dfab_map::names::ClientName;
use dfab_map::plan::{ActionKind, PlanOptions};
use dfab_tasks::Outcome;
use dfab_tasks::actions::{ActionOptions, Engines, Refused};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use super::script;
use crate::cli::Arguments;
use crate::console::plan::PlanPrinter;
use crate::engines::ssh_host;
use crate::failure::{Failure, Kind, Result};
use crate::project::Host;
use crate::registry::{Scope, Task};
use crate::report::Report;
use crate::run::Run;

pub use self::keywords::TARGET;
use self::keywords::{
    ACTION, FORCE_REMOVE, HEALTHY, INSECURE, ORPHANS, PREPARE, PULL, REMOVE, RESTART, SIGNAL, TIMEOUT, UPDATE,
};
pub use self::options::exit_codes;
use self::options::plan_options;
pub use self::selection::Selection;

const WORDS: Option<&str> = Some("[MAP] CONFIG [INSTANCE]...");

macro_rules! action {
    ($name:literal, $action:ident, $about:literal, $help:literal, [$($parameters:ident),*]) => {
        Task {
            namespace: "actions",
            name: $name,
            aliases: &[],
            about: $about,
            help: $help,
            parameters: &[TARGET, $($parameters),*],
            words: WORDS,
            scope: Scope::Clients,
            run: |run, arguments| act(run, arguments, ActionKind::$action, concat!("actions.", $name)).boxed_local(),
        }
    };
}

/// The table entries.
pub const TASKS: &[Task] = &[
    action!("create", Create, "Create a container and its dependencies.", "Nothing is started.", [PREPARE]),
    action!(
        "kill",
        Kill,
        "Send a signal to a container.",
        "Dependencies and dependents are left alone.",
        [SIGNAL]
    ),
    Task {
        namespace: "actions",
        name: "perform",
        aliases: &[],
        about: "Run an action by its name.",
        help: "`actions.perform update example_map web_server` is `actions.update example_map web_server`. Each action takes \
               the arguments of its own task.",
        parameters: &[
            ACTION,
            TARGET,
            UPDATE,
            PREPARE,
            ORPHANS,
            HEALTHY,
            REMOVE,
            FORCE_REMOVE,
            TIMEOUT,
            INSECURE,
            PULL,
            RESTART,
            SIGNAL,
            script::COMMON,
            script::SCRIPT,
            script::SINGLE_CMD,
        ],
        words: Some("ACTION [MAP] CONFIG [INSTANCE]..."),
        scope: Scope::Clients,
        run: |run, arguments| perform(run, arguments).boxed_local(),
    },
    action!(
        "pull_images",
        PullImages,
        "Pull the images of a container and of its dependencies.",
        "",
        [PULL, INSECURE]
    ),
    action!(
        "remove",
        Remove,
        "Remove a container and what depends on it.",
        "Containers that run are left, unless they are selected and `--force` is given. Volumes and networks stay, \
         unless asked for.",
        [REMOVE, FORCE_REMOVE]
    ),
    action!("restart", Restart, "Stop and start a container.", "Only this one.", [RESTART, TIMEOUT]),
    action!(
        "shutdown",
        Shutdown,
        "Stop and remove a container and what depends on it.",
        "Volumes and networks stay, unless asked for.",
        [REMOVE, TIMEOUT]
    ),
    action!("start", Start, "Start a container and its dependencies.", "They must exist.", [HEALTHY]),
    action!(
        "startup",
        Startup,
        "Create and start a container and its dependencies.",
        "What exists stays as it is; `actions.update` brings it to what the map says.",
        [PREPARE, HEALTHY, INSECURE]
    ),
    action!("stop", Stop, "Stop a container and what depends on it.", "", [TIMEOUT]),
    action!(
        "update",
        Update,
        "Bring a container and its dependencies to what the map says.",
        "Creates what is missing, starts what is stopped, changes in place what can be, and makes the rest anew. \
         `--dry-run` shows what would be done and why; a second run changes nothing.",
        [UPDATE, PREPARE, ORPHANS, HEALTHY, INSECURE]
    ),
];

async fn perform(run: &Run, arguments: &Arguments) -> Result<Report> {
    (performed(arguments)?.run)(run, arguments).await
}

/// Returns the task that `actions.perform` means.
fn performed(arguments: &Arguments) -> Result<&'static Task> {
    let name = arguments.text("action").unwrap_or_default();
    // What carries out several actions has a task for each; these names are theirs, and those of the library.
    let task = match name {
        "single_cmd" => Some(name),
        "run_script" => Some("script"),
        _ => ActionKind::by_name(name).map(ActionKind::as_str),
    };
    let task = task.ok_or_else(|| {
        let names = ActionKind::ALL.map(ActionKind::as_str);
        let names: Vec<&str> = names.into_iter().chain(["single_cmd"]).collect();
        Failure::usage(format!("there is no action `{name}`"))
            .nearest(name, "actions", names.iter().copied())
            .hint(format!("actions: {}", names.join(", ")))
    })?;
    let full = format!("actions.{task}");
    let known = crate::registry::find_full(&full).expect("every action has a task of its name");
    let foreign =
        crate::registry::find("actions.perform").into_iter().flat_map(Task::parameters).find(|parameter| {
            let own = parameter.name == "action" || known.parameters().any(|own| own.name == parameter.name);
            arguments.given(parameter.name) && !own
        });
    match foreign {
        Some(parameter) => {
            Err(Failure::usage(format!("task `{full}`: there is no argument `{}`", parameter.name)))
        }
        None => Ok(known),
    }
}

/// Checks what a call of a task in [`TASKS`] or [`script::TASKS`] names.
///
/// # Errors
///
/// Names that do not exist, arguments that are none, and what is wrong with the map.
pub async fn check(run: &Run, task: &Task, arguments: &Arguments) -> Result<()> {
    let task = if task.name == "perform" { performed(arguments)? } else { task };
    if script::TASKS.iter().any(|script| script.name == task.name) {
        return script::check(run, arguments, task.name).await;
    }
    let selection = Selection::read(run, arguments).await?;
    plan_options(arguments, &selection).map(drop)
}

/// Runs an action: from words to items, then to a plan, and to what became of it.
async fn act(run: &Run, arguments: &Arguments, action: ActionKind, task: &str) -> Result<Report> {
    let selection = Selection::read(run, arguments).await?;
    let options = plan_options(arguments, &selection)?;
    apply(run, &selection, action, options, task).await
}

/// Plans and applies an action, and reports it.
pub async fn apply(
    run: &Run,
    selection: &Selection,
    action: ActionKind,
    plan: PlanOptions,
    task: &str,
) -> Result<Report> {
    let (outcome, report) = plan_and_apply(run, selection, action, plan, task).await?;
    Ok(crate::console::outcome::judge(report, &outcome, run))
}

/// Returns the session of an action.
async fn session<'a>(run: &'a Run, selection: &'a Selection) -> Result<Session<'a>> {
    Ok(Session {
        maps: &selection.loaded.maps,
        clients: run.clients().await?,
        defaults: run.default_targets().await?,
        lookup: &run.variables,
        settings: settings(run)?,
    })
}

/// Returns the hosts on which the selected containers run, each once; `None` is this machine.
///
/// # Errors
///
/// What is wrong with the map or its clients.
pub async fn selected_hosts(
    run: &Run,
    selection: &Selection,
    action: ActionKind,
    options: &PlanOptions,
) -> Result<Vec<Option<Host>>> {
    let mut hosts = Vec::new();
    for (target, _) in selected(run, selection, action, options).await? {
        let host = ssh_host(&target)?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Returns the selected containers by name, each with its client.
///
/// # Errors
///
/// What is wrong with the map or its clients.
pub async fn selected_containers(run: &Run, selection: &Selection) -> Result<Vec<(Target, String)>> {
    // Restart looks at what is selected alone.
    let found = selected(run, selection, ActionKind::Restart, &PlanOptions::default()).await?;
    let container = |(target, entry): (Target, Entry)| {
        (entry.id.item.kind() == Item::Container).then_some((target, entry.name))
    };
    Ok(found.into_iter().filter_map(container).collect())
}

/// Returns what an action does to the selected items, each with its client.
async fn selected(
    run: &Run,
    selection: &Selection,
    action: ActionKind,
    options: &PlanOptions,
) -> Result<Vec<(Target, Entry)>> {
    let session = session(run, selection).await?;
    let desired = session
        .desired(action, &selection.items, options)
        .map_err(|findings| refusal(Refused::Desired(findings), &selection.loaded.sources))?;
    let target = |name: &ClientName| {
        let default = session.defaults.iter().find(|target| target.name == *name).cloned();
        default.or_else(|| {
            let config = session.clients.get(name)?.clone();
            Some(Target { name: name.clone(), config, is_default: false })
        })
    };
    let entries = desired.entries.into_iter().filter(|entry| entry.role == Role::Selected);
    Ok(entries.filter_map(|entry| Some((target(&entry.client)?, entry))).collect())
}

/// Plans and applies an action. The report is not judged yet: see [`crate::console::outcome::judge`].
///
/// # Errors
///
/// When there is nothing that could be applied.
pub async fn plan_and_apply(
    run: &Run,
    selection: &Selection,
    action: ActionKind,
    plan: PlanOptions,
    task: &str,
) -> Result<(Outcome, Report)> {
    warn_repeated_hosts(run, selection);
    let session = session(run, selection).await?;
    let options = ActionOptions {
        dry_run: run.options.dry_run,
        jobs: run.options.jobs.unwrap_or(8),
        fail_fast: run.options.fail_fast,
        cancel: run.interrupt.finish.clone(),
        plan,
    };
    let (happenings, mut received) = unbounded_channel();
    let mut printer = PlanPrinter::new(&run.console, run.options.dry_run, run.options.skip_bad_hosts);
    let printing = async {
        while let Some(happening) = received.recv().await {
            run.recorder.happening(&happening);
            printer.happening(happening);
        }
    };
    let engines = EngineSet { run };
    run.recorder.begin(task, selection.map());
    let working = async {
        let result =
            dfab_tasks::actions::run(&session, &engines, action, &selection.items, &options, &happenings)
                .await;
        // Ends `printing`.
        drop(happenings);
        result
    };
    let (result, ()) = futures_util::future::join(working, printing).await;
    drop(run.recorder.take());
    let outcome = result.map_err(|refused| refusal(refused, &selection.loaded.sources))?;
    let mut report = crate::console::outcome::report(&outcome, task, run.options.dry_run);
    report.map = selection.map();
    printer.summary(&outcome, &report);
    Ok((outcome, report))
}

fn warn_repeated_hosts(run: &Run, selection: &Selection) {
    let with_clients = selection
        .items
        .iter()
        .any(|item| selection.loaded.maps.get(item.map.as_str()).is_some_and(|map| !map.clients.is_empty()));
    if with_clients && !run.options.hosts.is_empty() {
        run.console.warn(None, "the map names its own clients: `-H` counts for the default client only");
    }
}

fn settings(run: &Run) -> Result<Settings> {
    let mut settings = Settings::default();
    if let Some(value) = run.variables.get("docker_prepare_image") {
        let dfab_map::value::Value::String(image) = value else {
            return Err(Failure::configuration("the deployment variable `docker_prepare_image` is no text"));
        };
        settings.prepare_image = dfab_map::image::ImageName::expand(image, None, None).map_err(|error| {
            Failure::configuration("the deployment variable `docker_prepare_image` is wrong").because(&error)
        })?;
    }
    Ok(settings)
}

fn refusal(refused: Refused, sources: &Sources) -> Failure {
    match refused {
        Refused::Desired(findings) => {
            Failure::findings("the map cannot be applied", findings, sources.clone())
        }
        Refused::Client(name, source) => match source.downcast::<Failure>() {
            Ok(failure) => *failure,
            Err(source) => {
                Failure::configuration(format!("client `{name}` cannot be used")).because(source.as_ref())
            }
        },
        Refused::Plan(errors) => {
            let mut failure = Failure::new(Kind::Engine, "there is no plan, and nothing was changed");
            for error in errors {
                failure.causes.push(error.to_string());
                let hint = error.hint();
                if !failure.hints.contains(&hint) {
                    failure.hints.push(hint);
                }
            }
            failure
        }
    }
}

/// The engines of a run in the form that actions take.
struct EngineSet<'a> {
    run: &'a Run,
}

impl Engines for EngineSet<'_> {
    fn backend(&self, target: &Target) -> std::result::Result<Arc<dyn Backend>, dfab_client::error::Source> {
        self.run.engines.backend(target).map_err(|failure| Box::new(failure) as _)
    }
}
