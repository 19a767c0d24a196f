//! The program: from the words of the command line to an exit code.

use std::ffi::OsString;
use std::sync::Arc;

use crate::cli::options::{Options, Output};
use crate::cli::parse::{Stop, parse};
use crate::console::Console;
use crate::course::{self, Course};
use crate::failure::{Failure, Kind, Result};
use crate::prepare::{Bound, Prepared, Work, prepare};
use crate::project::Host;
use crate::registry::{self, Scope};
use crate::report::{self, Report};
use crate::run::{Interrupt, Run};
use crate::{beforehand, complete, each_host, exit, man};

/// Runs the program and returns its exit code.
pub fn main(arguments: &[OsString]) -> u8 {
    if let [first, words @ ..] = arguments
        && first == complete::COMMAND
    {
        return print(&complete::answer(words));
    }
    if let [first, words @ ..] = arguments
        && first == man::COMMAND
    {
        return match man::answer(words.first().map(|word| word.to_string_lossy()).as_deref()) {
            Ok(text) => print(&text),
            Err(failure) => finish(&Console::new(&Options::default()), &[], Some(&failure), false),
        };
    }
    let parsed = match parse(arguments) {
        Ok(parsed) => parsed,
        Err(Stop::Text(text)) => return print(&text),
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
            console.answer(&text);
            written(&console, exit::DONE)
        }
        Ok(Prepared::Document(document)) => {
            console.document(&document);
            written(&console, exit::DONE)
        }
        Ok(Prepared::Calls(run, calls)) => {
            let detailed = run.options.detailed_exitcode;
            let (reports, failure) = work(*run, calls);
            finish(&console, &reports, failure.as_ref(), detailed)
        }
        Err(failure) => finish(&console, &[], Some(&failure), false),
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
        // What was given up cannot clean up after itself.
        run.temporary.remove_all(&run.console).await;
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
    // A single task of ours does the same by itself.
    if !run.only_call
        && let Err(failure) = beforehand::check(run, &calls).await
    {
        return Some(failure);
    }
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
        let report = match run_call(run, &bound).await {
            Ok(report) => report,
            Err(failure) => Report { dry_run: run.options.dry_run, ..Report::done(name) }.failed(failure),
        };
        let report = with_near_hosts(run, report);
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

/// Adds the names that are nearest to those of hosts that nobody knows.
fn with_near_hosts(run: &Run, mut report: Report) -> Report {
    if report.failure.as_ref().is_none_or(|failure| failure.kind != Kind::Connection) {
        return report;
    }
    let texts = run.project.hosts.iter().chain(run.project.roles.values().flatten());
    let hosts: Vec<Host> = texts.filter_map(|text| Host::parse(text).ok()).collect();
    let known: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let near = run.engines.sessions.nearly_named(&known);
    match report.failure.take() {
        Some(mut failure) => {
            // Before what else can be done: it is the likeliest.
            failure.hints.splice(0..0, near.iter().map(|name| format!("did you mean `{name}`?")));
            report.failed(failure)
        }
        None => report,
    }
}

/// Runs a call: one of the program, or one of a step of a task of the project.
///
/// # Errors
///
/// A call that is wrong, and the failures of the task.
pub async fn run_call(run: &Run, bound: &Bound) -> Result<Report> {
    let run = run.for_call(&bound.call)?;
    match &bound.work {
        Work::Project(name, task) => Ok(crate::project_task::run(&run, name, task).await),
        Work::Remote(line) => {
            let hosts: Vec<_> = crate::remote::hosts(&run, "a command")?.iter().cloned().map(Some).collect();
            let command = async |run: Run| {
                let host = run.host.as_ref().expect("a command has hosts");
                let output = crate::remote::run_line(&run, host, line, false).await?;
                let would_change = run.options.dry_run;
                Ok(Report { outputs: Some(vec![output]), would_change, ..Report::done("--") })
            };
            Ok(each_host::run(&run, "--", line, &hosts, command).await)
        }
        Work::Task(task, arguments) => match task.scope {
            Scope::Clients | Scope::Here => (task.run)(&run, arguments).await,
            Scope::EachHost | Scope::FirstHost => {
                let hosts: Vec<Option<Host>> = match run.hosts.as_slice() {
                    [] => vec![None],
                    [first, ..] if task.scope == Scope::FirstHost => vec![Some(first.clone())],
                    all => all.iter().cloned().map(Some).collect(),
                };
                let name = task.full_name();
                let on_host = async |run: Run| {
                    if let Some(host) = run.host_text() {
                        run.console.progress_line(Some(host), &format!("Executing task '{name}'"));
                    }
                    (task.run)(&run, arguments).await
                };
                Ok(each_host::run(&run, &name, &name, &hosts, on_host).await)
            }
        },
    }
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
    let code = match interrupted.or(failures.first()) {
        Some(failure) => match exit::code(failure.kind) {
            // What is wrong was found too late: this code would say that nothing was contacted.
            exit::WRONG_CALL if reports.iter().any(did_something) => exit::FAILED,
            code => code,
        },
        None if detailed_exitcode && reports.iter().any(|report| report.would_change) => exit::WOULD_CHANGE,
        None => exit::DONE,
    };
    written(console, code)
}

/// Tells whether a task has done something beyond reading files, whatever came of the rest.
fn did_something(report: &Report) -> bool {
    let elsewhere = registry::find_full(&report.task).is_none_or(|task| task.scope != Scope::Here);
    elsewhere && (report.ok || report.outputs.as_ref().is_some_and(|outputs| !outputs.is_empty()))
}

/// Says when results could not be written. Such a run has failed, unless it has a failure of its own.
fn written(console: &Console, code: u8) -> u8 {
    match console.lost() {
        Some(failure) => {
            console.failure(None, &failure);
            if [exit::DONE, exit::WOULD_CHANGE].contains(&code) { exit::code(failure.kind) } else { code }
        }
        None => code,
    }
}

fn wants_json(arguments: &[OsString]) -> bool {
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.iter().any(|word| word == "--output=json")
        || words.windows(2).any(|pair| pair[0] == "--output" && pair[1] == "json")
}

/// Prints a text in the colours that clap gave it, where stdout takes them, and returns the exit code.
fn print(text: &str) -> u8 {
    use std::io::Write;
    let console = Console::new(&Options::default());
    let mut stdout = anstream::stdout().lock();
    console.written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()));
    drop(stdout);
    written(&console, exit::DONE)
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
    fn a_wrong_call_after_work_is_a_failed_run() {
        let console = Console::new(&Options { quiet: true, ..Options::default() });
        let wrong = || Report::done("x").failed(Failure::usage("x"));
        let code = |reports: &[Report]| finish(&console, reports, None, false);
        assert_eq!(code(&[wrong()]), exit::WRONG_CALL);
        assert_eq!(code(&[Report::done("x"), wrong()]), exit::FAILED);
        let half = Report { outputs: Some(vec![serde_json::json!({"local": "make"})]), ..wrong() };
        assert_eq!(code(&[half]), exit::FAILED);
        assert_eq!(code(&[Report::done("map.show"), wrong()]), exit::WRONG_CALL);
    }

    #[test]
    fn json_is_recognised_in_a_call_that_cannot_be_read() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(wants_json(&words("x --output json --nope")));
        assert!(wants_json(&words("--output=json")));
        assert!(!wants_json(&words("--output human json")));
    }
}
