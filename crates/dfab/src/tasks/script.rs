//! `actions.script` and `actions.single_cmd`: a script in a new container of a configuration
//! (clients-tasks §9.4, §9.5; engine §7).

use std::path::{Path, PathBuf};
use std::time::Duration;

use dfab_client::apply::{ScriptOutcome, ScriptResult};
use dfab_map::plan::{ActionKind, PlanOptions, ScriptCommand, ScriptOptions};
use dfab_tasks::Outcome;
use futures_util::FutureExt;
use serde_json::json;

use super::actions::{self, Selection, TARGET};
use crate::cli::Arguments;
use crate::failure::{Failure, Kind, Result};
use crate::machine::{Machine, temporary_name};
use crate::project::Host;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const BOOL: ParameterKind = ParameterKind::Bool;
const TEXT: ParameterKind = ParameterKind::Text;

/// What both tasks take.
pub const COMMON: &[Parameter] = &[
    Parameter::keyword(
        "entrypoint",
        TEXT,
        "the image's",
        "program that runs the script, for example /bin/sh",
    ),
    Parameter::keyword(
        "command_format",
        TEXT,
        "-c {script_path}",
        "arguments of the program; {script_path} is the script's path in the container",
    ),
    Parameter::keyword(
        "container_script_dir",
        TEXT,
        "/tmp/script_run",
        "where the script's directory is mounted",
    ),
    Parameter::keyword(
        "wait_timeout",
        ParameterKind::Integer,
        "the container's stop timeout",
        "seconds to wait for the end",
    ),
    Parameter::keyword("timestamps", BOOL, "false", "log lines with their time"),
    Parameter::keyword("tail", TEXT, "all", "number of log lines"),
    Parameter::keyword("fail_nonzero", BOOL, "false", "fail when the exit code is not zero"),
    Parameter::keyword("remove_existing_before", BOOL, "false", "remove a container of the name first"),
    Parameter::keyword("remove_created_after", BOOL, "true", "remove the container afterwards"),
];

/// What `actions.script` takes besides.
pub const SCRIPT: &[Parameter] =
    &[Parameter::keyword("upload_dir", BOOL, "false", "upload the whole directory of the script")];

/// What `actions.single_cmd` takes besides.
pub const SINGLE_CMD: &[Parameter] = &[Parameter::keyword(
    "download_result",
    TEXT,
    "",
    "local directory for the files that the command leaves",
)];

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "actions",
        name: "script",
        aliases: &[],
        about: "Run a local script in a new container of a configuration.",
        help: "What the configuration needs is created and started first, and left running. The script is uploaded to \
               every host on which the container runs. Prints its output while it runs, then `Exit code: N`.",
        parameters: &[TARGET, COMMON, SCRIPT],
        words: Some("[MAP] CONFIG SCRIPT_PATH [INSTANCE]..."),
        scope: Scope::Clients,
        run: |run, arguments| script(run, arguments).boxed_local(),
    },
    Task {
        namespace: "actions",
        name: "single_cmd",
        aliases: &[],
        about: "Run a command in a new container of a configuration.",
        help: "The command is given to the entry point after `-c`, so that one of a shell is needed: from the image, the \
               configuration, or `--entrypoint /bin/sh`. It can leave files in {script_path}, which \
               `--download-result` fetches. Prints its output while it runs, then \
               `Exit code: N`.",
        parameters: &[TARGET, COMMON, SINGLE_CMD],
        words: Some("[MAP] CONFIG COMMAND [INSTANCE]..."),
        scope: Scope::Clients,
        run: |run, arguments| single_cmd(run, arguments).boxed_local(),
    },
];

async fn script(run: &Run, arguments: &Arguments) -> Result<Report> {
    let (words, path) = take_word(run, arguments, "SCRIPT_PATH")?;
    let local = run.directory.join(run.variables.expand_home(&path));
    if !local.is_file() {
        return Err(Failure::usage(format!("there is no script `{path}`"))
            .hint("usage: dfab actions.script [MAP] CONFIG SCRIPT_PATH [INSTANCE]..."));
    }
    let file_name = local.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = temporary_name();
    let upload_dir = arguments.flag("upload_dir");
    let (source, host_dir) = if upload_dir {
        let dir = local.parent().map(Path::to_owned).unwrap_or_default();
        let name =
            dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or("script".to_owned());
        (dir, temporary.join(name))
    } else {
        (local, temporary.clone())
    };
    let target = if upload_dir { host_dir.clone() } else { temporary.join(&file_name) };
    let options = script_options(arguments, &host_dir, Some(file_name), None)?;
    let transfer = Transfer { temporary, upload: Some((source, target)), download: None };
    perform(run, arguments, &words, options, &transfer, "actions.script").await
}

async fn single_cmd(run: &Run, arguments: &Arguments) -> Result<Report> {
    let (words, command) = take_word(run, arguments, "COMMAND")?;
    let temporary = temporary_name();
    let default = ScriptCommand::Words(vec!["-c".to_owned(), command]);
    let options = script_options(arguments, &temporary, None, Some(default))?;
    let download = arguments.text("download_result").filter(|path| !path.is_empty());
    let download = download.map(|path| run.directory.join(run.variables.expand_home(path)));
    perform(
        run,
        arguments,
        &words,
        options,
        &Transfer { temporary, upload: None, download },
        "actions.single_cmd",
    )
    .await
}

/// Checks what a call of one of both tasks names. The script itself may be written by then.
///
/// # Errors
///
/// As the tasks.
pub async fn check(run: &Run, arguments: &Arguments, task: &str) -> Result<()> {
    let (words, _) = take_word(run, arguments, if task == "script" { "SCRIPT_PATH" } else { "COMMAND" })?;
    Selection::of_words(run, arguments, &words).await?;
    actions::exit_codes(arguments)?;
    script_options(arguments, Path::new(""), None, None).map(drop)
}

/// What is put to the hosts before, and fetched from them after the run.
struct Transfer {
    /// Directory on every host, removed afterwards.
    temporary: PathBuf,
    /// Local path, and path on the host.
    upload: Option<(PathBuf, PathBuf)>,
    /// Local directory for what is in the directory then.
    download: Option<PathBuf>,
}

/// Takes the script or the command out of the words: it stands after MAP and CONFIG, or after CONFIG
/// where the first word is no map, or carries its map.
fn take_word(run: &Run, arguments: &Arguments, what: &str) -> Result<(Vec<String>, String)> {
    let mut words = arguments.list("target").to_vec();
    let is_map = words.first().is_some_and(|first| run.project.map_names().iter().any(|name| name == first));
    let position = if is_map && words.len() > 2 { 2 } else { 1 };
    if position >= words.len() {
        return Err(Failure::usage(format!("{what} is missing"))
            .hint(format!("write [MAP] CONFIG {what} [INSTANCE]...")));
    }
    let word = words.remove(position);
    Ok((words, word))
}

fn script_options(
    arguments: &Arguments,
    host_dir: &Path,
    file: Option<String>,
    default_command: Option<ScriptCommand>,
) -> Result<ScriptOptions> {
    let defaults = ScriptOptions::default();
    let text = |name: &str| arguments.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let seconds = arguments.integer("wait_timeout").map(|seconds| {
        u64::try_from(seconds).map(Duration::from_secs).map_err(|_| {
            Failure::usage(format!("`{seconds}` is no number of seconds (argument `wait_timeout`)"))
        })
    });
    let tail = text("tail").filter(|tail| tail != "all").map(|tail| {
        tail.parse().map_err(|_| Failure::usage(format!("`{tail}` is no number of lines (argument `tail`)")))
    });
    Ok(ScriptOptions {
        host_dir: Some(host_dir.to_string_lossy().into_owned()),
        file,
        entrypoint: text("entrypoint").map(ScriptCommand::Text),
        command_format: text("command_format").map(ScriptCommand::Text).or(default_command),
        container_script_dir: text("container_script_dir").unwrap_or(defaults.container_script_dir),
        wait_timeout: seconds.transpose()?,
        timestamps: arguments.flag("timestamps"),
        tail: tail.transpose()?,
    })
}

async fn perform(
    run: &Run,
    arguments: &Arguments,
    words: &[String],
    script: ScriptOptions,
    transfer: &Transfer,
    task: &str,
) -> Result<Report> {
    let selection = Selection::of_words(run, arguments, words).await?;
    let defaults = PlanOptions::default();
    let options = PlanOptions {
        script,
        remove_existing_before: arguments.flag("remove_existing_before"),
        remove_created_after: arguments.boolean("remove_created_after").unwrap_or(true),
        nonrecoverable_exit_codes: actions::exit_codes(arguments)?
            .unwrap_or(defaults.nonrecoverable_exit_codes),
        ..PlanOptions::default()
    };
    if run.options.dry_run {
        return actions::apply(run, &selection, ActionKind::Script, options, task).await;
    }
    if let Some(target) = &transfer.download {
        // Before the command runs: what it leaves would be lost.
        std::fs::create_dir_all(target).map_err(|error| {
            Failure::usage(format!("the folder `{}` cannot be made", target.display()))
                .because(&error)
                .hint("`--download-result` names a folder on this machine")
        })?;
    }
    // The hosts on which the container runs, not only the one of the task (D-43).
    let hosts = actions::selected_hosts(run, &selection, ActionKind::Script, &options).await?;
    let machines: Vec<Machine> =
        hosts.iter().map(|host| Machine::new(host.as_ref(), &run.engines.sessions)).collect();
    let temporary = transfer.temporary.to_string_lossy().into_owned();
    let result = async {
        // What is wrong with a host that cannot be reached is told with its engine, which is behind it; the others go on.
        let connected = futures_util::future::join_all(machines.iter().map(Machine::connect)).await;
        let hosts_there: Vec<(&Machine, &Option<Host>)> = machines
            .iter()
            .zip(&hosts)
            .zip(&connected)
            .filter_map(|(place, connected)| connected.is_ok().then_some(place))
            .collect();
        for (machine, host) in &hosts_there {
            run.temporary.make(machine, host.as_ref(), &temporary).await?;
            if let Some((local, target)) = &transfer.upload {
                machine.upload(local, &target.to_string_lossy()).await?;
            }
        }
        let (outcome, report) =
            actions::plan_and_apply(run, &selection, ActionKind::Script, options, task).await?;
        let report = crate::console::outcome::judge(report, &outcome, run);
        let mut report = show(run, arguments, &outcome, report);
        if let Some(target) = &transfer.download {
            for (machine, host) in hosts_there {
                let target = download_dir(target, host.as_ref(), hosts.len());
                let Err(failure) = machine.download_contents(&temporary, &target).await else { continue };
                // The command has run, and the other hosts' results are worth something.
                if report.ok {
                    report = report.failed(failure);
                } else {
                    run.console.failure(host.as_ref().map(|host| host.text.as_str()), &failure);
                }
            }
        }
        Ok(report)
    }
    .await;
    run.temporary.remove(&temporary, &run.console).await;
    result
}

/// One directory for one host; one below it for each of several, so that none overwrites another's.
fn download_dir(target: &Path, host: Option<&Host>, hosts: usize) -> PathBuf {
    match host {
        Some(host) if hosts > 1 => target.join(host.text.replace([':', '/'], "-")),
        _ => target.to_owned(),
    }
}

/// Prints the exit code of each run, and puts it and the log into the report.
fn show(run: &Run, arguments: &Arguments, outcome: &Outcome, mut report: Report) -> Report {
    let scripts =
        outcome.stages.iter().filter_map(|stage| stage.report.as_ref()).flat_map(|report| &report.scripts);
    let mut outputs = Vec::new();
    let mut failure = None;
    for ScriptResult { client, container, outcome, .. } in scripts {
        let place = (!client.is_default()).then_some(client.as_str());
        match outcome {
            ScriptOutcome::Ended { exit_code, log } => {
                // Its output was printed while it ran.
                let log = String::from_utf8_lossy(log);
                run.console.line(place, &format!("Exit code: {exit_code}"));
                outputs.push(json!({"client": client.as_str(), "container": container, "exit_code": exit_code, "log": log}));
                if *exit_code != 0 && arguments.flag("fail_nonzero") {
                    let message =
                        format!("the script in container `{container}` ended with exit code {exit_code}");
                    failure.get_or_insert(Failure::new(Kind::Task, message));
                }
            }
            ScriptOutcome::TimedOut => {
                let message = "Timed out while waiting for the container to finish.";
                outputs.push(json!({"client": client.as_str(), "container": container, "error": message}));
                failure.get_or_insert(
                    Failure::new(
                        Kind::Task,
                        format!("container `{container}`: timed out while waiting for it to finish"),
                    )
                    .hint("give it more time with `--wait-timeout SECONDS`"),
                );
            }
            ScriptOutcome::Cancelled => {
                outputs
                    .push(json!({"client": client.as_str(), "container": container, "error": "interrupted"}));
            }
        }
    }
    report.outputs = Some(outputs);
    match failure {
        Some(failure) if report.ok => report.failed(failure),
        _ => report,
    }
}
