//! `docker.cleanup_*`, `docker.remove_all_containers`, `docker.top`, `docker.restart`:
//! looking after an engine (clients-tasks §4.8–§4.10, §8.8).

use std::time::Duration;

use dfab_client::maintenance::{
    CleanupContainers, CleanupImages, Event, Everything, Partial, cleanup_containers, cleanup_images,
    remove_all_containers,
};
use dfab_map::value::Value;
use futures_util::FutureExt;
use serde_json::json;

use super::engine_failure;
use crate::cli::Arguments;
use crate::console::table::Table;
use crate::failure::{Failure, Kind, Result, chain};
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const BOOL: ParameterKind = ParameterKind::Bool;
const LIST_ONLY: Parameter =
    Parameter::optional("list_only", BOOL, "false", "list what would be removed, and change nothing");
const RAISE: Parameter = Parameter::optional(
    "raise_on_error",
    BOOL,
    "docker_default_raise_on_error, else false",
    "end at the first failure instead of going on",
);
const CONTAINERS: &[Parameter] = &[Parameter::rest("containers", "names of containers")];
const TIMEOUT: Parameter =
    Parameter::keyword("timeout", ParameterKind::Integer, "10", "seconds before a stop becomes a kill");

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "docker",
        name: "cleanup_containers",
        aliases: &[],
        about: "Remove containers that have exited.",
        help: "Several names to keep are separated by `;`: `--exclude 'db;web'`.",
        parameters: &[&[
            Parameter::optional("include_initial", BOOL, "false", "also containers that were never started"),
            Parameter::optional("exclude", ParameterKind::List, "", "names of containers to keep"),
            RAISE,
            LIST_ONLY,
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| clean_containers(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "cleanup_images",
        aliases: &[],
        about: "Remove unnamed images that nothing depends on.",
        help: "With `--remove-old` also images that have names, unless a tag is `latest` or one of `keep_tags`.",
        parameters: &[&[
            Parameter::optional("remove_old", BOOL, "false", "also images that have names"),
            Parameter::optional(
                "keep_tags",
                ParameterKind::List,
                "docker_keep_tags",
                "tags that protect an image",
            ),
            Parameter::optional("force", BOOL, "false", "also images with names in several repositories"),
            RAISE,
            LIST_ONLY,
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| clean_images(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "remove_all_containers",
        aliases: &[],
        about: "Stop and remove every container on the host.",
        help: "Asks before; `--yes` answers, and where nobody can be asked it is needed.",
        parameters: &[&[
            Parameter::optional(
                "stop_timeout",
                ParameterKind::Integer,
                "10",
                "seconds before a stop becomes a kill",
            ),
            Parameter::optional(
                "raise_on_error",
                BOOL,
                "docker_default_raise_on_error, else true",
                "end at the first failure instead of going on",
            ),
            LIST_ONLY,
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| remove_all(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "restart",
        aliases: &[],
        about: "Stop and start containers by their names.",
        help: "`actions.restart` does so for configurations of a map.",
        parameters: &[CONTAINERS, &[TIMEOUT]],
        words: Some("CONTAINER..."),
        scope: Scope::EachHost,
        run: |run, arguments| restart(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "top",
        aliases: &[],
        about: "Print the processes of containers.",
        help: "",
        parameters: &[CONTAINERS],
        words: Some("CONTAINER..."),
        scope: Scope::EachHost,
        run: |run, arguments| top(run, arguments).boxed_local(),
    },
];

fn raise(run: &Run, arguments: &Arguments, default: bool) -> bool {
    let variable = run.variables.get("docker_default_raise_on_error");
    raised(arguments.boolean("raise_on_error"), variable, default)
}

/// The keyword, else the variable, else the method's own default (clients-tasks §4.3).
fn raised(keyword: Option<bool>, variable: Option<&Value>, default: bool) -> bool {
    let variable = match variable {
        Some(Value::Bool(value)) => Some(*value),
        _ => None,
    };
    keyword.or(variable).unwrap_or(default)
}

async fn clean_containers(run: &Run, arguments: &Arguments) -> Result<Report> {
    let backend = run.backend().await?;
    let options = CleanupContainers {
        include_initial: arguments.flag("include_initial"),
        exclude: arguments.list("exclude").iter().cloned().collect(),
        raise_on_error: raise(run, arguments, false),
        list_only: arguments.flag("list_only") || run.options.dry_run,
    };
    run.console.progress_line(run.host_text(), "docker: Generating list of stopped containers.");
    let done = cleanup_containers(backend.as_ref(), &options, &run.interrupt.finish, &|event| {
        tell(run, "container", event)
    })
    .await;
    let (found, error) = halves(done);
    let names = found.into_iter().map(|(id, name)| (id.clone(), format!("{id}  {name}")));
    let task = "docker.cleanup_containers";
    let title = "Existing containers:";
    Ok(removed(run, task, "container", options.list_only, title, names.collect(), error))
}

async fn clean_images(run: &Run, arguments: &Arguments) -> Result<Report> {
    let backend = run.backend().await?;
    let keep_tags =
        if arguments.given("keep_tags") { arguments.list("keep_tags").to_vec() } else { keep_tags(run)? };
    let options = CleanupImages {
        remove_old: arguments.flag("remove_old"),
        keep_tags: keep_tags.into_iter().collect(),
        force: arguments.flag("force"),
        raise_on_error: raise(run, arguments, false),
        list_only: arguments.flag("list_only") || run.options.dry_run,
    };
    let text = "docker: Checking images for dependent images and containers.";
    run.console.progress_line(run.host_text(), text);
    let done =
        cleanup_images(backend.as_ref(), &options, &run.interrupt.finish, &|event| tell(run, "image", event))
            .await;
    let (found, error) = halves(done);
    let names = found.into_iter().map(|id| (id.clone(), id));
    let task = "docker.cleanup_images";
    Ok(removed(run, task, "image", options.list_only, "Unused images:", names.collect(), error))
}

fn keep_tags(run: &Run) -> Result<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    };
    let tags = match run.variables.get("docker_keep_tags") {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::List(items)) => items.iter().map(text).collect(),
        Some(single) => text(single).map(|tag| vec![tag]),
    };
    tags.ok_or_else(|| {
        Failure::configuration("the deployment variable `docker_keep_tags` is no list of tags")
    })
}

async fn remove_all(run: &Run, arguments: &Arguments) -> Result<Report> {
    let backend = run.backend().await?;
    let seconds = arguments.integer("stop_timeout").unwrap_or(10);
    let stop_timeout = u64::try_from(seconds).map_err(|_| {
        Failure::usage(format!("`{seconds}` is no number of seconds (argument `stop_timeout`)"))
    })?;
    let options = Everything {
        stop_timeout: Duration::from_secs(stop_timeout),
        raise_on_error: raise(run, arguments, true),
        list_only: arguments.flag("list_only") || run.options.dry_run,
    };
    if !options.list_only {
        let question = format!("Stop and remove every container on {}?", backend.host());
        crate::prompt::confirm(run, &question).await?;
    }
    run.console.progress_line(run.host_text(), "docker: Fetching container list.");
    let done = remove_all_containers(backend.as_ref(), &options, &run.interrupt.finish, &|event| {
        tell(run, "container", event)
    })
    .await;
    let (done, error) = halves(done);
    if error.is_some() && !done.stopped.is_empty() && done.removed.is_empty() {
        run.result_line(&format!("Stopped {} container(s).", done.stopped.len()));
    }
    let names = done.removed.into_iter().map(|id| (id.clone(), id));
    let task = "docker.remove_all_containers";
    let title = "Existing containers:";
    Ok(removed(run, task, "container", options.list_only, title, names.collect(), error))
}

/// Shows what is done to containers or images (clients-tasks §4.3), and what of it fails.
fn tell(run: &Run, what: &str, event: Event<'_>) {
    let begins = |text: String| run.console.progress_line(run.host_text(), &format!("docker: {text}"));
    match event {
        Event::Stops(name) => begins(format!("Stopping {what} '{name}'.")),
        Event::Removes(name) => begins(format!("Removing {what} '{name}'.")),
        Event::Kills(id) => {
            run.console
                .warn(run.host_text(), &format!("Container {id} did not stop in time - sent SIGKILL."));
        }
        Event::Skips(error) => run.console.warn(run.host_text(), &chain(error).join(": ")),
    }
}

/// Takes what was done, and why it stopped half-way where it did.
fn halves<T>(done: std::result::Result<T, Partial<T>>) -> (T, Option<dfab_client::Error>) {
    match done {
        Ok(done) => (done, None),
        Err(Partial { done, error }) => (done, Some(error)),
    }
}

/// Prints what was removed, or would be: also where an error has ended the work half-way.
fn removed(
    run: &Run,
    task: &str,
    what: &str,
    list_only: bool,
    title: &str,
    found: Vec<(String, String)>,
    error: Option<dfab_client::Error>,
) -> Report {
    if found.is_empty() && error.is_some() {
        // The failure says it all.
    } else if list_only {
        run.result_line(title);
        for (_, line) in &found {
            run.console.block(line);
        }
    } else {
        run.result_line(&format!("Removed {} {what}(s).", found.len()));
    }
    let rows = found.iter().map(|(id, _)| json!({"host": run.host_text(), "Id": id, "removed": !list_only}));
    let would_change = run.options.dry_run && !found.is_empty();
    let report = Report { rows: Some(rows.collect()), would_change, ..Report::done(task) };
    match error {
        Some(error) => report.failed(engine_failure(&error)),
        None => report,
    }
}

fn names<'a>(arguments: &'a Arguments, task: &str) -> Result<&'a [String]> {
    match arguments.list("containers") {
        [] => Err(Failure::usage(format!("task `{task}`: no container is named"))
            .hint(format!("usage: dfab {task} CONTAINER..."))),
        names => Ok(names),
    }
}

async fn restart(run: &Run, arguments: &Arguments) -> Result<Report> {
    let names = names(arguments, "docker.restart")?;
    let backend = run.backend().await?;
    let seconds = arguments.integer("timeout").unwrap_or(10);
    let timeout = u64::try_from(seconds)
        .map_err(|_| Failure::usage(format!("`{seconds}` is no number of seconds (argument `timeout`)")))?;
    let dry_run = run.options.dry_run;
    let mut rows = Vec::new();
    let mut failure = None;
    for name in names {
        if dry_run {
            run.result_line(&format!("would restart container {name}"));
        } else if run.interrupt.finish.is_cancelled() {
            let text = format!("interrupted before container `{name}` was restarted");
            failure = Some(Failure::new(Kind::Interrupted, text));
            break;
        } else {
            run.console.progress_line(run.host_text(), &format!("docker: Restarting container '{name}'."));
            let restarting = async {
                backend.stop_container(name, Some(Duration::from_secs(timeout))).await?;
                backend.start_container(name).await
            };
            if let Err(error) = restarting.await {
                // Those before are restarted, and the report says so.
                failure = Some(engine_failure(&error));
                break;
            }
            run.result_line(&format!("restarted container {name}"));
        }
        rows.push(json!({"host": run.host_text(), "container": name, "restarted": !dry_run}));
    }
    let report = Report { rows: Some(rows), would_change: dry_run, ..Report::done("docker.restart") };
    Ok(match failure {
        Some(failure) => report.failed(failure),
        None => report,
    })
}

async fn top(run: &Run, arguments: &Arguments) -> Result<Report> {
    let names = names(arguments, "docker.top")?;
    let backend = run.backend().await?;
    let mut table = Table::new(["Container", "User", "Command"]);
    let mut rows = Vec::new();
    for name in names {
        let processes = backend.container_processes(name).await.map_err(|error| engine_failure(&error))?;
        for (user, command) in processes {
            rows.push(json!({"host": run.host_text(), "Container": name, "User": user, "Command": command}));
            table.rows.push(vec![name.clone(), user, command]);
        }
    }
    run.result_block(&table.render(run.console.fits().then(|| run.console.width())));
    Ok(Report { rows: Some(rows), ..Report::done("docker.top") })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// clients-tasks D-03: the source computes the variable's value and never applies it.
    #[test]
    fn the_keyword_wins_over_the_variable_and_the_variable_over_the_default() {
        let (yes, no) = (Value::Bool(true), Value::Bool(false));
        for (keyword, variable, default, expected) in [
            (Some(false), Some(&yes), true, false),
            (Some(true), Some(&no), false, true),
            (None, Some(&yes), false, true),
            (None, Some(&no), true, false),
            (None, Some(&Value::Null), true, true),
            (None, None, false, false),
            (None, None, true, true),
        ] {
            assert_eq!(raised(keyword, variable, default), expected, "{keyword:?} {variable:?} {default}");
        }
    }
}
