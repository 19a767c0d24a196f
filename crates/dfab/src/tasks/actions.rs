//! `actions.*`: what is done to container maps (clients-tasks §9, cli §1.1).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dfab_client::Backend;
use dfab_map::desired::{Role, Session, Settings, Target};
use dfab_map::diagnostic::{Findings, Sources};
use dfab_map::item::ItemId;
use dfab_map::plan::{ActionKind, ExecCheck, PlanOptions};
use dfab_map::select::{Maps, Reference, select};
use dfab_tasks::Outcome;
use dfab_tasks::actions::{ActionOptions, Engines, Refused};
use futures_util::FutureExt;
use tokio::sync::mpsc::unbounded_channel;

use crate::cli::Arguments;
use crate::console::plan::PlanPrinter;
use crate::failure::{Failure, Kind, Result};
use crate::project::{Host, unknown_map};
use crate::registry::{Parameter, ParameterKind, Place, Scope, Task};
use crate::report::Report;
use crate::run::{LoadedMaps, Run};

const BOOL: ParameterKind = ParameterKind::Bool;
const LIST: ParameterKind = ParameterKind::List;

/// What every action takes.
pub const TARGET: &[Parameter] = &[
    Parameter::rest("target", "map, configuration or group, instances"),
    Parameter::keyword(
        "map_name",
        ParameterKind::Text,
        "",
        "map of configurations that are named without one",
    ),
    Parameter::keyword("instances", LIST, "", "instances to work on"),
    Parameter::keyword(
        "nonrecoverable_exit_codes",
        LIST,
        "-127, -1",
        "exit codes after which a container is made anew instead of started",
    ),
];

const PREPARE: &[Parameter] = &[Parameter::keyword(
    "prepare_local",
    BOOL,
    "true",
    "set ownership of volumes by a command on the host where the backend can run one, else in a helper container",
)];

const TIMEOUT: &[Parameter] =
    &[Parameter::keyword("timeout", ParameterKind::Integer, "", "seconds before a stop becomes a kill")];

const REMOVE: &[Parameter] = &[
    Parameter::keyword("remove_persistent", BOOL, "true", "remove persistent containers too"),
    Parameter::keyword("remove_attached", BOOL, "false", "remove the attached volumes, and their data"),
    Parameter::keyword("remove_networks", BOOL, "false", "remove networks that nothing else is connected to"),
];

const ORPHANS: &[Parameter] = &[Parameter::keyword(
    "remove_orphans",
    BOOL,
    "false",
    "remove containers and networks that dfab made for this map and that are no longer in it",
)];

const FORCE_REMOVE: &[Parameter] = &[
    Parameter::keyword("v", BOOL, "false", "remove anonymous volumes of the selected containers too"),
    Parameter::keyword("force", BOOL, "false", "remove the selected containers also when they run"),
];

const HEALTHY: &[Parameter] = &[Parameter::keyword(
    "wait_healthy",
    BOOL,
    "false",
    "start what depends on a container with a health check only when it is healthy",
)];

const UPDATE: &[Parameter] = &[
    Parameter::keyword("force_update", LIST, "", "configurations to make anew in any case"),
    Parameter::keyword(
        "update_persistent",
        BOOL,
        "false",
        "let persistent containers follow their image too",
    ),
    Parameter::keyword(
        "check_exec_commands",
        ParameterKind::Choice(&["full", "partial", "none"]),
        "full",
        "how to find out whether exec commands run",
    ),
    Parameter::keyword(
        "skip_limit_reset",
        BOOL,
        "false",
        "leave limits that only a new container could lift",
    ),
    Parameter::keyword("pull_before_update", BOOL, "false", "pull every image first"),
];

const INSECURE: &[Parameter] = &[Parameter::keyword(
    "pull_insecure_registry",
    BOOL,
    "false",
    "accepted; the engine's own settings decide",
)];

const PULL: &[Parameter] = &[Parameter::keyword(
    "pull_all_images",
    BOOL,
    "true",
    "pull also what is present; false pulls what is absent",
)];

const RESTART: &[Parameter] =
    &[Parameter::keyword("restart_exec_commands", BOOL, "false", "run exec commands again afterwards")];

const SIGNAL: &[Parameter] =
    &[Parameter::keyword("signal", ParameterKind::Text, "SIGKILL", "signal to send")];

const ACTION: &[Parameter] = &[Parameter {
    name: "action",
    kind: ParameterKind::Text,
    place: Place::Required,
    default: "",
    help: "name of the action",
}];

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
        help: "`actions.perform update example_map web_server` is `actions.update example_map web_server`.",
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
    let name = arguments.text("action").unwrap_or_default();
    let names = ActionKind::ALL.map(ActionKind::as_str);
    let action = ActionKind::by_name(name).ok_or_else(|| {
        Failure::usage(format!("there is no action `{name}`"))
            .nearest(name, "actions", names)
            .hint(format!("actions: {}", names.join(", ")))
    })?;
    let task = format!("actions.{}", action.as_str());
    let known = crate::registry::find(&task).ok_or_else(|| {
        Failure::usage(format!("`{name}` takes arguments of its own")).hint(format!("call `{task}`"))
    })?;
    let foreign =
        crate::registry::find("actions.perform").into_iter().flat_map(Task::parameters).find(|parameter| {
            let own = parameter.name == "action" || known.parameters().any(|own| own.name == parameter.name);
            arguments.given(parameter.name) && !own
        });
    match foreign {
        Some(parameter) => {
            Err(Failure::usage(format!("task `{task}`: there is no argument `{}`", parameter.name)))
        }
        None => act(run, arguments, action, &task).await,
    }
}

/// Runs an action: from words to items, then to a plan, and to what became of it.
async fn act(run: &Run, arguments: &Arguments, action: ActionKind, task: &str) -> Result<Report> {
    let selection = Selection::read(run, arguments).await?;
    let options = plan_options(arguments, &selection)?;
    apply(run, &selection, action, options, task).await
}

/// The items that the words of a call mean, and the maps they are from.
pub struct Selection {
    /// The maps of the project.
    pub loaded: LoadedMaps,
    /// What is selected.
    pub items: Vec<ItemId>,
    default_map: Option<String>,
    instances: Vec<String>,
}

impl Selection {
    /// Reads `[MAP] CONFIG [INSTANCE]...` and the keywords `map_name` and `instances`.
    ///
    /// # Errors
    ///
    /// A configuration failure for names that do not exist, and for maps that are wrong.
    pub async fn read(run: &Run, arguments: &Arguments) -> Result<Self> {
        Self::of_words(run, arguments, arguments.list("target")).await
    }

    /// As [`Selection::read`], from these words.
    ///
    /// # Errors
    ///
    /// As [`Selection::read`].
    pub async fn of_words(run: &Run, arguments: &Arguments, words: &[String]) -> Result<Self> {
        // `map,config,i1;i2` names several instances in one word.
        let words: Vec<String> = words
            .iter()
            .flat_map(|word| {
                word.split(';').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned)
            })
            .collect();
        let default_map = arguments.text("map_name").filter(|name| !name.is_empty()).map(str::to_owned);
        let instances = arguments.list("instances").to_vec();
        if words.is_empty() {
            return Err(Failure::usage("no configuration is named")
                .hint("name a configuration or a group of a map, or `__all__`"));
        }
        let named: Vec<String> = words.iter().cloned().chain(default_map.clone()).collect();
        let mut loaded = run.load_maps(&named);
        loaded.fail_if_named(&named)?;
        no_map_at_all(run, &loaded, &words)?;
        let sources = loaded.sources.clone();
        let wrong = |findings: Findings| unknown_names(findings, &loaded.maps, &sources, run);
        mistyped_map(run, &loaded.maps, &words)?;
        let reference =
            Reference::words(&loaded.maps, &words).map_err(|finding| wrong(Findings(vec![finding])))?;
        if let Some(name) = &default_map
            && !loaded.maps.contains_key(name.as_str())
        {
            return Err(unknown_map(&run.project, name));
        }
        let items = select(&loaded.maps, &[reference], default_map.as_deref(), &instances).map_err(wrong)?;
        loaded.check(run, items.iter().map(|item| item.map.as_str())).await?;
        Ok(Self { loaded, items, default_map, instances })
    }

    /// Returns the name of the map, when all items are of one.
    pub fn map(&self) -> Option<String> {
        let maps: BTreeSet<&str> = self.items.iter().map(|item| item.map.as_str()).collect();
        match maps.len() {
            1 => maps.first().map(|name| (*name).to_owned()),
            _ => None,
        }
    }
}

/// Fails when there is no map that the words could mean.
fn no_map_at_all(run: &Run, loaded: &LoadedMaps, words: &[String]) -> Result<()> {
    if !loaded.maps.is_empty() {
        return Ok(());
    }
    let first = words.first().map_or("", |word| word.split('.').next().unwrap_or(word));
    Err(unknown_map(&run.project, first))
}

/// Fails when the first word must be a map, or is no configuration either, and a map has nearly its
/// name: the likelier mistake is said.
fn mistyped_map(run: &Run, maps: &Maps, words: &[String]) -> Result<()> {
    let Some(first) = words.first() else { return Ok(()) };
    let (name, more) = match first.split_once('.') {
        Some((name, _)) => (name, true),
        None => (first.as_str(), words.len() > 1),
    };
    let is_known = name == dfab_map::names::ALL
        || maps.contains_key(name)
        || maps.values().any(|map| map.containers.contains_key(name) || map.groups.contains_key(name));
    let near = dfab_map::diagnostic::nearest(name, maps.keys().map(|name| name.as_str()));
    if more && !is_known && near.is_some() { Err(unknown_map(&run.project, name)) } else { Ok(()) }
}

/// Turns findings about names of a call into a failure. A single one is said as a message; nothing
/// points into a file then.
fn unknown_names(findings: Findings, maps: &Maps, sources: &Sources, run: &Run) -> Failure {
    let Findings(mut list) = findings;
    if list.len() == 1
        && let Some(finding) = list.pop()
    {
        let mut failure = Failure::configuration(finding.message);
        failure.hints.extend(finding.hint);
        if failure.hints.is_empty() && maps.len() > 1 {
            let names = run.project.map_names();
            failure = failure.hint(format!("configured maps: {}", crate::text::list(&names, 12)));
        }
        return failure;
    }
    Failure::findings("names in the call do not exist", Findings(list), sources.clone())
}

/// Reads the options of the planner.
fn plan_options(arguments: &Arguments, selection: &Selection) -> Result<PlanOptions> {
    let defaults = PlanOptions::default();
    let flag = |name: &str, default: bool| arguments.boolean(name).unwrap_or(default);
    let timeout = match arguments.integer("timeout") {
        Some(seconds) if seconds < 0 => {
            return Err(Failure::usage(format!("`{seconds}` is no number of seconds (argument `timeout`)")));
        }
        Some(seconds) => Some(Duration::from_secs(seconds.unsigned_abs())),
        None => None,
    };
    let check = arguments.text("check_exec_commands").and_then(ExecCheck::by_name);
    Ok(PlanOptions {
        nonrecoverable_exit_codes: exit_codes(arguments)?.unwrap_or(defaults.nonrecoverable_exit_codes),
        force_update: force_update(arguments, selection)?,
        update_persistent: flag("update_persistent", defaults.update_persistent),
        check_exec_commands: check.unwrap_or(defaults.check_exec_commands),
        skip_limit_reset: flag("skip_limit_reset", defaults.skip_limit_reset),
        pull_before_update: flag("pull_before_update", defaults.pull_before_update),
        pull_all_images: flag("pull_all_images", defaults.pull_all_images),
        pull_insecure_registry: flag("pull_insecure_registry", defaults.pull_insecure_registry),
        restart_exec_commands: flag("restart_exec_commands", defaults.restart_exec_commands),
        remove_persistent: flag("remove_persistent", defaults.remove_persistent),
        remove_attached: flag("remove_attached", defaults.remove_attached),
        remove_networks: flag("remove_networks", defaults.remove_networks),
        remove_orphans: flag("remove_orphans", defaults.remove_orphans),
        prepare_local: flag("prepare_local", defaults.prepare_local),
        wait_healthy: flag("wait_healthy", defaults.wait_healthy),
        signal: arguments.text("signal").map(str::to_owned),
        timeout,
        remove_volumes: flag("v", defaults.remove_volumes),
        force: flag("force", defaults.force),
        ..defaults
    })
}

/// Reads `nonrecoverable_exit_codes`, where it is given.
///
/// # Errors
///
/// A usage failure for what is no number.
pub fn exit_codes(arguments: &Arguments) -> Result<Option<Vec<i64>>> {
    if !arguments.given("nonrecoverable_exit_codes") {
        return Ok(None);
    }
    let read = |text: &str| {
        text.trim().parse().map_err(|_| {
            Failure::usage(format!("`{text}` is no exit code (argument `nonrecoverable_exit_codes`)"))
        })
    };
    let texts = arguments.list("nonrecoverable_exit_codes").iter().flat_map(|text| text.split(','));
    texts.map(read).collect::<Result<_>>().map(Some)
}

/// Reads `force_update`: configurations as in a call, or volumes as `volume:config` and networks as
/// `network:name`, each with a map before a dot where it is not the call's.
fn force_update(arguments: &Arguments, selection: &Selection) -> Result<BTreeSet<ItemId>> {
    let maps = &selection.loaded.maps;
    let call_map = selection.map();
    let map = selection.default_map.as_deref().or(call_map.as_deref());
    let mut references = Vec::new();
    for word in arguments.list("force_update") {
        let (kind, name) = match word.split_once(':') {
            Some(("volume", name)) => (dfab_map::item::Kind::Volume, name),
            Some(("network", name)) => (dfab_map::item::Kind::Network, name),
            Some(("container", name)) => (dfab_map::item::Kind::Container, name),
            Some((kind, _)) => {
                return Err(Failure::usage(format!(
                    "`{word}`: there is no kind `{kind}` (argument `force_update`)"
                ))
                .nearest(kind, "kinds", ["container", "volume", "network"]));
            }
            None => (dfab_map::item::Kind::Container, word.as_str()),
        };
        references.push(Reference { kind, ..Reference::word(maps, map, name) });
    }
    let items = select(maps, &references, map, &selection.instances).map_err(|findings| {
        let mut failure = Failure::findings(
            "argument `force_update` names what does not exist",
            findings,
            selection.loaded.sources.clone(),
        );
        if let Some(found) = &failure.findings
            && found.0.0.len() == 1
        {
            let finding = &found.0.0[0];
            let (message, hint) =
                (format!("argument `force_update`: {}", finding.message), finding.hint.clone());
            failure = Failure::configuration(message);
            failure.hints.extend(hint);
        }
        failure
    })?;
    Ok(items.into_iter().collect())
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
    Ok(crate::console::plan::judge(report, &outcome, run))
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
    let session = session(run, selection).await?;
    let desired = session
        .desired(action, &selection.items, options)
        .map_err(|findings| refusal(Refused::Desired(findings), &selection.loaded.sources))?;
    let mut hosts = Vec::new();
    for entry in desired.entries.iter().filter(|entry| entry.role == Role::Selected) {
        let default =
            session.defaults.iter().find(|target| target.name == entry.client).map(|target| &target.config);
        let config = default.or_else(|| session.clients.get(&entry.client));
        let text = config.and_then(|config| config.fabric_host.as_deref()).filter(|text| !text.is_empty());
        let host = text.map(Host::parse).transpose()?;
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    Ok(hosts)
}

/// Plans and applies an action. The report is not judged yet: see [`crate::console::plan::judge`].
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
            printer.happening(happening);
        }
    };
    let engines = EngineSet { run };
    let working = async {
        let result =
            dfab_tasks::actions::run(&session, &engines, action, &selection.items, &options, &happenings)
                .await;
        // Ends `printing`.
        drop(happenings);
        result
    };
    let (result, ()) = futures_util::future::join(working, printing).await;
    let outcome = result.map_err(|refused| refusal(refused, &selection.loaded.sources))?;
    let mut report = crate::console::plan::report(&outcome, task, run.options.dry_run);
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
