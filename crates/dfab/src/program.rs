//! The program: from the words of the command line to an exit code.

use std::ffi::OsString;
use std::sync::Arc;

use futures_util::StreamExt;
use serde_json::json;

use crate::cli::options::{Options, Output};
use crate::cli::parse::{Parsed, Stop, parse};
use crate::cli::{Arguments, Call};
use crate::console::{self, Console};
use crate::course::{self, Course};
use crate::engines::Engines;
use crate::failure::{Failure, Kind, Result};
use crate::list::{self, Format};
use crate::project::{Host, Project, ProjectTask, Variables, settings_text};
use crate::registry::{self, Scope, Task};
use crate::report::{self, Report};
use crate::run::{Interrupt, Run};
use crate::settings::Settings;
use crate::ssh::Sessions;
use crate::{complete, exit, man};

/// Runs the program and returns its exit code.
pub fn main(arguments: &[OsString]) -> u8 {
    if let [first, words @ ..] = arguments
        && first == complete::COMMAND
    {
        anstream_print(&complete::answer(words));
        return exit::DONE;
    }
    if let [first, words @ ..] = arguments
        && first == man::COMMAND
    {
        return match man::answer(words.first().map(|word| word.to_string_lossy()).as_deref()) {
            Ok(text) => {
                anstream_print(&text);
                exit::DONE
            }
            Err(failure) => finish(&Console::new(&Options::default()), &[], Some(&failure), false),
        };
    }
    let parsed = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(Stop::Text(text)) => {
            anstream_print(&text);
            return exit::DONE;
        }
        Err(Stop::Failure(failure)) => {
            // The options could not be read; whether JSON was asked for is read off the words.
            let output = if wants_json(arguments) { Output::Json } else { Output::Human };
            let console = Console::new(&Options { output, ..Options::default() });
            return finish(&console, &[], Some(&failure), false);
        }
    };
    let console = Arc::new(Console::new(&parsed.options));
    match prepare(parsed, &console) {
        Ok(Prepared::Text(text)) => {
            console.block(&text);
            exit::DONE
        }
        Ok(Prepared::Calls(run, calls)) => {
            let detailed = run.options.detailed_exitcode;
            let (reports, failure) = work(*run, calls);
            finish(&console, &reports, failure.as_ref(), detailed)
        }
        Err(failure) => finish(&console, &[], Some(&failure), false),
    }
}

/// What is left to do once everything is read.
enum Prepared {
    /// Print this.
    Text(String),
    /// Run these.
    Calls(Box<Run>, Vec<Bound>),
}

/// A call whose task and arguments are known.
struct Bound {
    call: Call,
    work: Work,
}

enum Work {
    Task(&'static Task, Arguments),
    Project(String, ProjectTask),
    /// `-- COMMAND`
    Remote(String),
}

/// Reads everything that a run needs. Nothing is contacted.
fn prepare(parsed: Parsed, console: &Arc<Console>) -> Result<Prepared> {
    let Parsed { options, calls, remote_command } = parsed;
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
    let project = Project::load(options.file.as_deref(), &directory, &mut variables)?;
    for set in &options.set {
        variables.set(set)?;
    }
    if options.list || options.shortlist {
        let format = match (&options.format, options.shortlist) {
            (_, true) => Format::Short,
            (Some(word), false) => Format::parse(word)?,
            (None, false) => Format::Normal,
        };
        return listing(&project, format, console);
    }
    if let Some(name) = &options.display {
        return display(name, &project);
    }
    if calls.is_empty() && remote_command.is_none() {
        return Err(Failure::usage("no task is given")
            .hint("`dfab --list` shows the tasks, `dfab --help` the options")
            .hint("main job: `dfab actions.update MAP CONFIG --dry-run`"));
    }
    let mut bound = Vec::new();
    for call in calls {
        match bind(&call, &project) {
            Ok(work) => bound.push(Bound { call, work }),
            Err(failure) if options.skip_unknown_tasks && is_unknown(&call, &project) => {
                console.warn(None, &failure.message);
            }
            Err(failure) => return Err(failure),
        }
    }
    for text in without_effect(&options, &bound, &variables) {
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

/// Returns which options and variables of the call have no effect: none is ignored in silence.
fn without_effect(options: &Options, calls: &[Bound], variables: &Variables) -> Vec<String> {
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
    if options.pool_size.is_some() && !options.parallel {
        say("`-z` has no effect without `-P`");
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
    if variables.get("socat_fork").is_some() {
        say("env.socat_fork has no effect.");
    }
    for (name, key) in [("docker_maps", "maps"), ("docker_clients", "clients")] {
        if variables.get(name).is_some() {
            say(&format!("env.{name} has no effect: write `{key}:` in the project file, beside `env:`"));
        }
    }
    texts
}

fn is_unknown(call: &Call, project: &Project) -> bool {
    registry::find(&call.task).is_none() && !project.tasks.contains_key(&call.task)
}

fn bind(call: &Call, project: &Project) -> Result<Work> {
    let project_task = project.tasks.get(&call.task);
    let builtin = match project_task {
        Some(_) => registry::find_full(&call.task),
        None => registry::find(&call.task),
    };
    if let Some(task) = builtin {
        return Ok(Work::Task(task, Arguments::bind(task, call)?));
    }
    match project_task {
        Some(task) if call.positional.is_empty() && call.keywords.is_empty() => {
            Ok(Work::Project(call.task.clone(), task.clone()))
        }
        Some(_) => Err(Failure::usage(format!("task `{}` takes no arguments", call.task))
            .hint("use `--set NAME=VALUE` and `{{ NAME }}` in its steps")),
        None => Err(registry::unknown(&call.task, list::project_names(project))),
    }
}

fn listing(project: &Project, format: Format, console: &Console) -> Result<Prepared> {
    if console.is_json() {
        let rows: Vec<_> = project
            .tasks
            .iter()
            .map(|(name, task)| json!({"name": name, "description": task.description}))
            .chain(registry::tasks().map(|task| json!({"name": task.full_name(), "description": task.about})))
            .collect();
        console.document(&report::document(&[Report { rows: Some(rows), ..Report::done("--list") }], None));
        return Ok(Prepared::Text(String::new()));
    }
    Ok(Prepared::Text(list::listing(project, format, console.width())))
}

fn display(name: &str, project: &Project) -> Result<Prepared> {
    if let Some(task) = project.tasks.get(name) {
        let about = task.description.clone().unwrap_or_default();
        let steps: Vec<String> = task.steps.iter().map(|step| format!("  {}", step.kind)).collect();
        return Ok(Prepared::Text(format!(
            "Task `{name}` of the project. {about}\n\nSteps:\n{}",
            steps.join("\n")
        )));
    }
    match registry::find(name) {
        Some(task) => Ok(Prepared::Text(crate::cli::parse::command(Some(task)).render_help().to_string())),
        None => Err(registry::unknown(name, list::project_names(project))),
    }
}

/// Runs the calls, and closes what was opened.
fn work(run: Run, calls: Vec<Bound>) -> (Vec<Report>, Option<Failure>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new(Kind::Internal, "failed to start the runtime").because(&error);
            return (Vec::new(), Some(failure));
        }
    };
    let course = Course::new(run.options.dry_run, run.recorder.clone());
    let failure = runtime.block_on(async {
        let engines = Arc::clone(&run.engines);
        let interrupt = run.interrupt.clone();
        let watcher = tokio::spawn(watch_interrupts(interrupt.clone(), Arc::clone(&run.console)));
        let failure = tokio::select! {
            failure = run_calls(&run, calls, &course) => failure,
            () = interrupt.abort.cancelled() => course.stop(run.engines.requests()),
        };
        engines.close().await;
        watcher.abort();
        failure
    });
    // Threads that hang in a look-up of a name, say, must not keep the program.
    runtime.shutdown_timeout(std::time::Duration::from_millis(200));
    (course.into_reports(), failure)
}

async fn watch_interrupts(interrupt: Interrupt, console: Arc<Console>) {
    let mut times = 0;
    while tokio::signal::ctrl_c().await.is_ok() {
        times += 1;
        if times == 1 {
            console.note(None, "interrupted: finishing what is under way; once more stops at once");
            interrupt.finish.cancel();
        } else {
            interrupt.abort.cancel();
        }
    }
}

async fn run_calls(run: &Run, calls: Vec<Bound>, course: &Course) -> Option<Failure> {
    let name_of = |bound: &Bound| match &bound.work {
        Work::Task(task, _) => task.full_name(),
        Work::Project(name, _) => name.clone(),
        Work::Remote(_) => "--".to_owned(),
    };
    let mut left: Vec<String> = calls.iter().rev().map(name_of).collect();
    for bound in calls {
        if run.interrupt.finish.is_cancelled() {
            break;
        }
        left.pop();
        let name = name_of(&bound);
        course.begin(&name);
        let report = match run_call(run, &bound, &[]).await {
            Ok(report) => report,
            Err(failure) => Report { dry_run: run.options.dry_run, ..Report::done(name) }.failed(failure),
        };
        let failed = !report.ok;
        let interrupted = report.failure.as_ref().is_some_and(|failure| failure.kind == Kind::Interrupted);
        course.end(report);
        if interrupted || (failed && !run.options.warn_only) {
            break;
        }
    }
    left.reverse();
    (run.interrupt.finish.is_cancelled() && course.is_good()).then(|| course::interrupted(&left))
}

async fn run_call(run: &Run, bound: &Bound, callers: &[String]) -> Result<Report> {
    let run = run.for_call(&bound.call)?;
    match &bound.work {
        Work::Project(name, task) => crate::project_task::run(&run, name, task, callers).await,
        Work::Remote(line) => {
            let mut report = Report { dry_run: run.options.dry_run, ..Report::done("--") };
            for host in crate::remote::hosts(&run, "a command")? {
                let output = crate::remote::run_line(&run, host, line, false).await?;
                report.outputs.get_or_insert_default().push(output);
            }
            Ok(report)
        }
        Work::Task(task, arguments) => match task.scope {
            Scope::Clients | Scope::Here => (task.run)(&run, arguments).await,
            Scope::EachHost | Scope::FirstHost => run_on_hosts(&run, task, arguments).await,
        },
    }
}

/// Runs a call that a task of the project makes.
///
/// # Errors
///
/// A call that is wrong, and the failures of the task.
pub async fn run_nested(run: &Run, call: Call, callers: &[String]) -> Result<Report> {
    let work = bind(&call, &run.project)?;
    run_call(run, &Bound { call, work }, callers).await
}

/// Runs a task on each host: one after the other, or several at once with `-P`.
async fn run_on_hosts(run: &Run, task: &'static Task, arguments: &Arguments) -> Result<Report> {
    let hosts: Vec<Option<Host>> = match run.hosts.as_slice() {
        [] => vec![None],
        [first, ..] if task.scope == Scope::FirstHost => vec![Some(first.clone())],
        all => all.iter().cloned().map(Some).collect(),
    };
    let host_count = hosts.len();
    let mut done = Vec::new();
    let pool = match (run.options.parallel, run.options.pool_size) {
        (false, _) => 1,
        (true, None | Some(0)) => hosts.len(),
        (true, Some(size)) => size.min(hosts.len()),
    };
    let before = run.engines.requests();
    let started = std::time::Instant::now();
    let mut combined = Report { dry_run: run.options.dry_run, ..Report::done(task.full_name()) };
    let mut failures: Vec<(Option<Host>, Failure)> = Vec::new();
    let mut not_begun: Vec<String> = Vec::new();
    let work = |host: Option<Host>| async move {
        let run = run.on_host(host.clone());
        if run.interrupt.finish.is_cancelled() {
            return (host, None);
        }
        if let Some(name) = run.host_text() {
            run.console.progress_line(Some(name), &format!("Executing task '{}'", task.full_name()));
        }
        let result = (task.run)(&run, arguments).await;
        (host, Some(result))
    };
    let mut results = futures_util::stream::iter(hosts.into_iter().map(work)).buffered(pool.max(1));
    while let Some((host, result)) = results.next().await {
        let text = host.as_ref().map(|host| host.text.clone());
        match result {
            None => not_begun.extend(text),
            Some(Ok(mut report)) => {
                if let Some(failure) = report.failure.take() {
                    failures.push((host, failure));
                }
                if report.ok && report.failure.is_none() {
                    done.extend(text);
                }
                merge(&mut combined, report);
            }
            Some(Err(failure)) if run.options.skip_bad_hosts && failure.kind == Kind::Connection => {
                run.console.warn(text.as_deref(), &format!("left out: {}", one_line(&failure)));
                combined.hosts_failed.push(json!({"client": text, "error": report::error(&failure)}));
            }
            Some(Err(failure)) => {
                combined.hosts_failed.push(json!({"client": text, "error": report::error(&failure)}));
                failures.push((host, failure));
                // One after the other, a failure ends the task, as in Fabric; side by side the others
                // have begun already.
                if pool == 1 && !run.options.warn_only {
                    break;
                }
            }
        }
    }
    drop(results);
    say_of_hosts(run, task, host_count, &done, &failures, &combined);
    combined.requests = Some(run.engines.requests() - before);
    combined.seconds = Some((started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    Ok(match failures.len() {
        0 if not_begun.is_empty() => combined,
        0 => combined.failed(
            Failure::new(
                Kind::Interrupted,
                format!(
                    "interrupted before task `{}` ran on {}",
                    task.full_name(),
                    crate::text::list(&not_begun, 9)
                ),
            )
            .hint("what is done stays; run the command again for the rest"),
        ),
        1 => {
            let (_, failure) = failures.remove(0);
            combined.failed(failure)
        }
        many => {
            let mut failure = Failure::new(
                failures[0].1.kind,
                format!(
                    "{} failed while executing task `{}`",
                    crate::text::count(many, "host"),
                    task.full_name()
                ),
            );
            let cause = |(host, failure): &(Option<Host>, Failure)| {
                format!(
                    "[{}] {}",
                    host.as_ref().map_or("local", |host| host.text.as_str()),
                    one_line(failure)
                )
            };
            failure.causes = failures.iter().map(cause).collect();
            failure.hints = failures.remove(0).1.hints;
            combined.failed(failure)
        }
    })
}

/// Says after a task on several hosts what became of each of them.
fn say_of_hosts(
    run: &Run,
    task: &Task,
    count: usize,
    done: &[String],
    failures: &[(Option<Host>, Failure)],
    combined: &Report,
) {
    if count < 2 {
        return;
    }
    let failed: Vec<&str> =
        failures.iter().filter_map(|(host, _)| host.as_ref()).map(|host| host.text.as_str()).collect();
    let left_out: Vec<&str> = combined
        .hosts_failed
        .iter()
        .filter_map(|host| host["client"].as_str())
        .filter(|host| !failed.contains(host))
        .collect();
    let not_begun = count.saturating_sub(done.len() + failed.len() + left_out.len());
    let mut parts = vec![format!("{} done", done.len())];
    for (what, hosts) in [("failed", failed), ("left out", left_out)] {
        if !hosts.is_empty() {
            parts.push(format!("{} {what} ({})", hosts.len(), crate::text::list(&hosts, 8)));
        }
    }
    if not_begun > 0 {
        parts.push(format!("{not_begun} not begun"));
    }
    let text = format!("{} on {}: {}", task.full_name(), crate::text::count(count, "host"), parts.join(", "));
    run.console.progress_line(None, &text);
}

fn one_line(failure: &Failure) -> String {
    std::iter::once(&failure.message).chain(&failure.causes).cloned().collect::<Vec<_>>().join(": ")
}

fn merge(combined: &mut Report, report: Report) {
    let join = |into: &mut Option<Vec<serde_json::Value>>, more: Option<Vec<serde_json::Value>>| {
        if let Some(more) = more {
            into.get_or_insert_default().extend(more);
        }
    };
    join(&mut combined.rows, report.rows);
    join(&mut combined.outputs, report.outputs);
    combined.notices.extend(report.notices);
    combined.would_change |= report.would_change;
    combined.ok &= report.ok;
}

/// Prints what is left to say, and returns the exit code.
fn finish(console: &Console, reports: &[Report], failure: Option<&Failure>, detailed_exitcode: bool) -> u8 {
    let failures: Vec<&Failure> =
        reports.iter().filter_map(|report| report.failure.as_ref()).chain(failure).collect();
    for failure in &failures {
        console.failure(None, failure);
    }
    if console.is_json() {
        console.document(&report::document(reports, failure));
    }
    // With `-w` others may have failed before; that the user has stopped the run goes before them.
    let interrupted = failures.iter().find(|failure| failure.kind == Kind::Interrupted);
    match interrupted.or(failures.first()) {
        Some(failure) => exit::code(failure.kind),
        None if detailed_exitcode && reports.iter().any(|report| report.would_change) => exit::WOULD_CHANGE,
        None => exit::DONE,
    }
}

fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// Prints help in the colours that clap gave it, where stdout takes them.
fn anstream_print(text: &str) {
    use std::io::Write;
    let mut stdout = anstream::stdout().lock();
    // A closed pipe is no failure of ours.
    let _ = stdout.write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interruption_goes_before_other_failures() {
        let failed = |kind| Report::done("x").failed(Failure::new(kind, "x"));
        let console = Console::new(&Options { quiet: true, ..Options::default() });
        let reports = [failed(Kind::Engine), failed(Kind::Interrupted)];
        assert_eq!(finish(&console, &reports, None, false), exit::INTERRUPTED);
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let mut variables = Variables::for_tests("/");
        variables.set("docker_maps=[a],docker_clients={},socat_fork,socat_quiet=").unwrap();
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
            "env.socat_fork has no effect.",
            "env.docker_maps has no effect: write `maps:` in the project file, beside `env:`",
            "env.docker_clients has no effect: write `clients:` in the project file, beside `env:`",
        ];
        assert_eq!(without_effect(&options, &[], &variables), expected);
        assert!(without_effect(&Options::default(), &[], &Variables::for_tests("/")).is_empty());
    }

    #[test]
    fn json_is_recognised_in_a_call_that_cannot_be_read() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("x --output json --nope")));
        assert!(wants_json(&words("--output=json")));
        assert!(!wants_json(&words("--output human json")));
    }
}
