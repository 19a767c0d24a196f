//! From the words of a command line to calls whose tasks and arguments are known. Nothing is contacted.

use std::path::Path;
use std::sync::Arc;

use dfab_map::value::Value;
use serde_json::json;

use crate::cli::options::Options;
use crate::cli::parse::Parsed;
use crate::cli::{Arguments, Call};
use crate::console::{self, Console};
use crate::engines::Engines;
use crate::failure::{Failure, Kind, Result};
use crate::list::{self, Format};
use crate::project::{Project, ProjectTask, Variables, settings_text};
use crate::registry::{self, Scope, Task};
use crate::report::{self, Report};
use crate::run::{Interrupt, Run};
use crate::settings::{self, Settings};
use crate::ssh::Sessions;
use crate::{beforehand, complete};

/// What is left to do once everything is read.
pub enum Prepared {
    /// Print this.
    Text(String),
    /// Print this as the document of the run.
    Document(serde_json::Value),
    /// Run these.
    Calls(Box<Run>, Vec<Bound>),
}

/// A call whose task and arguments are known.
pub struct Bound {
    /// The call as written.
    pub call: Call,
    /// What it means.
    pub work: Work,
}

/// What a call does.
pub enum Work {
    /// A task of ours.
    Task(&'static Task, Arguments),
    /// A task of the project, and its name.
    Project(String, ProjectTask),
    /// `-- COMMAND`
    Remote(String),
}

/// Reads everything that a run needs. Nothing is contacted.
///
/// # Errors
///
/// Whatever is wrong with the call, the project file, or the settings.
pub fn prepare(parsed: Parsed, console: &Arc<Console>) -> Result<Prepared> {
    let Parsed { mut options, calls, remote_command } = parsed;
    if let Some(shell) = options.completions {
        return Ok(Prepared::Text(complete::script(shell).to_owned()));
    }
    console::check_levels(&options)?;
    let directory = std::env::current_dir().map_err(|error| {
        Failure::new(Kind::Internal, "failed to find the working directory").because(&error)
    })?;
    let mut variables = Variables::new();
    if let Some(text) = settings_text(options.config.as_deref(), &variables)? {
        variables.read_settings(&text);
    }
    // Before the project file, which may use them.
    for set in &options.set {
        variables.set(set)?;
    }
    let mut project = load(&options, &directory, &mut variables)?;
    if options.list || options.shortlist {
        let format = match (&options.format, options.shortlist) {
            (_, true) => Format::Short,
            (Some(word), false) => Format::parse(word)?,
            (None, false) => Format::Normal,
        };
        return Ok(listing(&project, format, console));
    }
    if let Some(name) = &options.display {
        return display(name, &project, console);
    }
    if calls.is_empty() && remote_command.is_none() {
        return Err(Failure::usage("no task is given")
            .hint("`dfab --list` shows the tasks, `dfab --help` the options")
            .hint("main job: `dfab actions.update MAP CONFIG --dry-run`"));
    }
    if remote_command.as_ref().is_some_and(|line| line.trim().is_empty()) {
        return Err(Failure::usage("no command is given after `--`").hint("write `dfab -H HOST -- COMMAND`"));
    }
    let given = options.clone();
    settings::fill(&mut options, &mut project, &variables)?;
    let (mut bound, mut wrong) = (Vec::new(), Vec::new());
    for call in calls {
        match bind(&call, &project) {
            Ok(work) => bound.push(Bound { call, work }),
            Err(failure) if options.skip_unknown_tasks && is_unknown(&call, &project) => {
                console.warn(None, &failure.message);
            }
            // What follows may be its arguments: `actions.updaet example_map web_server`.
            Err(failure) if bound.is_empty() && wrong.is_empty() && is_unknown(&call, &project) => {
                return Err(failure);
            }
            // The message names the task.
            Err(failure) => wrong.push((String::new(), failure)),
        }
    }
    if let Some(failure) = Failure::of_several(beforehand::wrong_calls, wrong) {
        return Err(failure);
    }
    for text in without_effect(&given, options.parallel, &bound, &variables) {
        console.warn(None, &text);
    }
    if let Some(line) = remote_command {
        bound.push(Bound {
            call: Call { task: "--".to_owned(), ..Call::default() },
            work: Work::Remote(line),
        });
    }
    let mut settings = Settings::resolve(&options, &variables)?;
    if options.initial_password_prompt {
        if settings.ssh.abort_on_prompts {
            return Err(Failure::usage(
                "needed to prompt for the password (`-I`), but abort-on-prompts was set to True",
            ));
        }
        let own = settings.ssh.sudo_password == settings.ssh.password;
        settings.ssh.password = Some(crate::prompt::initial_password("env.password", "DFAB_PASSWORD")?);
        if own {
            settings.ssh.sudo_password.clone_from(&settings.ssh.password);
        }
    }
    if options.initial_sudo_password_prompt {
        if settings.ssh.abort_on_prompts {
            return Err(Failure::usage(
                "needed to prompt for the password of sudo, but abort-on-prompts was set to True",
            ));
        }
        let password = crate::prompt::initial_password("env.sudo_password", "DFAB_SUDO_PASSWORD")?;
        settings.ssh.sudo_password = Some(password);
    }
    let sessions = Arc::new(Sessions::new(settings.ssh.clone(), settings.tunnel, Arc::clone(console)));
    let engines = Arc::new(Engines::new(settings.clone(), sessions, Arc::clone(console)));
    let mut run = Run::new(
        options,
        settings,
        project,
        variables,
        Arc::clone(console),
        engines,
        directory,
        Interrupt::default(),
    );
    run.only_call = matches!(bound.as_slice(), [Bound { work: Work::Task(..), .. }]);
    Ok(Prepared::Calls(Box::new(run), bound))
}

/// Loads the project, and then reads the values of `--set` that ask for its variables.
fn load(options: &Options, directory: &Path, variables: &mut Variables) -> Result<Project> {
    let project = Project::load(options.file.as_deref(), directory, variables);
    match (project, variables.settle()) {
        (Ok(project), settled) => settled.map(|()| project),
        // The file may use what could not be set.
        (Err(failure), Err(set)) => Err(failure.hint(set.message)),
        (Err(failure), Ok(())) => Err(failure),
    }
}

/// Returns which options and variables have no effect: none is ignored in silence.
///
/// `options` are those of the call alone: that a variable is of no use to some tasks is no news. `parallel` comes from
/// both.
fn without_effect(options: &Options, parallel: bool, calls: &[Bound], variables: &Variables) -> Vec<String> {
    let mut texts = Vec::new();
    let mut say = |text: &str| texts.push(text.to_owned());
    let scopes: Vec<Scope> = calls
        .iter()
        .filter_map(|call| match &call.work {
            Work::Task(task, _) => Some(task.scope),
            Work::Project(..) | Work::Remote(_) => None,
        })
        .collect();
    let all_once = scopes.len() == calls.len() && !scopes.contains(&Scope::EachHost);
    if options.parallel && all_once && !calls.is_empty() {
        say("`-P` has no effect on these tasks: they work on all hosts at once, or run once");
    }
    if options.pool_size.is_some() && !parallel {
        say("`-z` has no effect without `-P`");
    }
    let is_table = |call: &Bound| match &call.work {
        Work::Task(task, _) => task.is_table(),
        Work::Project(..) => true,
        Work::Remote(_) => false,
    };
    if options.format.is_some() && !calls.is_empty() && !calls.iter().any(is_table) {
        say(
            "`--format` has no effect on these tasks: it chooses columns of tables, and the form of `--list`",
        );
    }
    if options.detailed_exitcode && !options.dry_run {
        say("`--detailed-exitcode` has no effect without `--dry-run`");
    }
    let levels = console::levels_without_output(options);
    if !levels.is_empty() {
        say(&format!(
            "`--show` and `--hide` have no effect on {}: dfab prints nothing at such a level (`-v` shows more, \
             `-q` less)",
            crate::text::list(&levels, levels.len())
        ));
    }
    for (given, option, why) in [
        (options.linewise, "--linewise", "output comes in whole lines always"),
        (options.colorize_errors, "--colorize-errors", "`--color` decides"),
        (
            options.eagerly_disconnect,
            "-e",
            "one connection serves all tasks on a host, and is closed at the end",
        ),
        (options.no_pty, "--no-pty", "commands have no terminal anyway"),
        (options.forward_agent, "-A", "nothing that dfab runs on a host logs in further"),
        (options.banner_timeout.is_some(), "--banner-timeout", "`-t` counts for the banner too"),
    ] {
        if given {
            say(&format!("`{option}` has no effect: {why}"));
        }
    }
    let identities = options.identities.iter().map(|path| ("-i", path));
    let known_hosts = options.system_known_hosts.iter().map(|path| ("--system-known-hosts", path));
    for (option, path) in identities.chain(known_hosts) {
        if let Err(error) = std::fs::metadata(variables.expand_home(&path.to_string_lossy())) {
            say(&format!("`{option} {}` has no effect: {error}", path.display()));
        }
    }
    if variables.get("socat_fork").is_some() {
        say("env.socat_fork has no effect.");
    }
    for (name, why) in [
        ("linewise", "output comes in whole lines always"),
        ("colorize_errors", "`--color` decides"),
        ("eagerly_disconnect", "one connection serves all tasks on a host, and is closed at the end"),
        ("always_use_pty", "commands have no terminal"),
        ("forward_agent", "nothing that dfab runs on a host logs in further"),
        ("banner_timeout", "`timeout` counts for the banner too"),
    ] {
        if variables.get(name).is_some_and(is_on) {
            say(&format!("env.{name} has no effect: {why}"));
        }
    }
    for (name, key) in [("docker_maps", "maps"), ("docker_clients", "clients"), ("roledefs", "roles")] {
        if variables.get(name).is_some() {
            say(&format!("env.{name} has no effect: write `{key}:` in the project file, beside `env:`"));
        }
    }
    texts
}

/// Tells whether a variable asks for something: it is not empty, and says no "no".
fn is_on(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => crate::cli::arguments::boolean(text) != Some(false),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Bool(true) | Value::List(_) | Value::Mapping(_) | Value::Lazy(_) => true,
    }
}

fn is_unknown(call: &Call, project: &Project) -> bool {
    registry::find(&call.task).is_none() && !project.tasks.contains_key(&call.task)
}

/// Finds the task of a call, and reads its arguments.
///
/// # Errors
///
/// A name or an argument that there is not.
pub fn bind(call: &Call, project: &Project) -> Result<Work> {
    let project_task = project.tasks.get(&call.task);
    let builtin = match project_task {
        Some(_) => registry::find_full(&call.task),
        None => registry::find(&call.task),
    };
    if let Some(task) = builtin {
        return Ok(Work::Task(task, Arguments::bind(task, call)?));
    }
    match project_task {
        // `task:` has one empty argument, which is none.
        Some(task) if call.positional.iter().all(String::is_empty) && call.keywords.is_empty() => {
            Ok(Work::Project(call.task.clone(), task.clone()))
        }
        Some(_) => Err(Failure::usage(format!("task `{}` takes no arguments", call.task))
            .hint("use `--set NAME=VALUE` and `{{ NAME }}` in its steps")),
        None => Err(registry::unknown(&call.task, list::project_names(project))),
    }
}

fn listing(project: &Project, format: Format, console: &Console) -> Prepared {
    if console.is_json() {
        let rows = project
            .tasks
            .iter()
            .map(|(name, task)| json!({"name": name, "description": task.description}))
            .chain(registry::tasks().map(|task| json!({"name": task.full_name(), "description": task.about})))
            .collect();
        return rows_document("--list", rows);
    }
    Prepared::Text(list::listing(project, format, console.width()))
}

fn display(name: &str, project: &Project, console: &Console) -> Result<Prepared> {
    if let Some(task) = project.tasks.get(name) {
        let steps: Vec<String> = task.steps.iter().map(|step| step.kind.to_string()).collect();
        if console.is_json() {
            let row = json!({"name": name, "description": task.description, "steps": steps});
            return Ok(rows_document("--display", vec![row]));
        }
        let about = task.description.clone().unwrap_or_default();
        let head = format!("Task `{name}` of the project. {about}");
        let text = format!("{}\n\nSteps:\n  {}", head.trim_end(), steps.join("\n  "));
        return Ok(Prepared::Text(text));
    }
    match registry::find(name) {
        Some(task) if console.is_json() => Ok(rows_document("--display", vec![task.to_json()])),
        Some(task) => Ok(Prepared::Text(crate::cli::parse::command(Some(task)).render_help().to_string())),
        None => Err(registry::unknown(name, list::project_names(project))),
    }
}

fn rows_document(option: &str, rows: Vec<serde_json::Value>) -> Prepared {
    let report = Report { rows: Some(rows), ..Report::done(option) };
    Prepared::Document(report::document(&[report], None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_named() {
        let mut variables = Variables::for_tests("/");
        variables.set("docker_maps=[a],docker_clients={},socat_fork,socat_quiet=").unwrap();
        variables.set("roledefs={web: a},linewise=no,forward_agent=true").unwrap();
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let options = Options {
            hide: words(&["status", "running"]),
            show: words(&["debug", "status"]),
            pool_size: Some(2),
            linewise: true,
            colorize_errors: true,
            eagerly_disconnect: true,
            no_pty: true,
            forward_agent: true,
            banner_timeout: Some(15.0),
            identities: vec!["/nowhere/key".into(), "/".into()],
            system_known_hosts: Some("/nowhere/known_hosts".into()),
            ..Options::default()
        };
        let expected = [
            "`-z` has no effect without `-P`",
            "`--show` and `--hide` have no effect on `debug`, `status`: dfab prints nothing at such a level (`-v` shows more, `-q` less)",
            "`--linewise` has no effect: output comes in whole lines always",
            "`--colorize-errors` has no effect: `--color` decides",
            "`-e` has no effect: one connection serves all tasks on a host, and is closed at the end",
            "`--no-pty` has no effect: commands have no terminal anyway",
            "`-A` has no effect: nothing that dfab runs on a host logs in further",
            "`--banner-timeout` has no effect: `-t` counts for the banner too",
            "`-i /nowhere/key` has no effect: No such file or directory (os error 2)",
            "`--system-known-hosts /nowhere/known_hosts` has no effect: No such file or directory (os error 2)",
            "env.socat_fork has no effect.",
            "env.forward_agent has no effect: nothing that dfab runs on a host logs in further",
            "env.docker_maps has no effect: write `maps:` in the project file, beside `env:`",
            "env.docker_clients has no effect: write `clients:` in the project file, beside `env:`",
            "env.roledefs has no effect: write `roles:` in the project file, beside `env:`",
        ];
        assert_eq!(without_effect(&options, false, &[], &variables), expected);
        assert!(without_effect(&Options::default(), false, &[], &Variables::for_tests("/")).is_empty());
    }
}
