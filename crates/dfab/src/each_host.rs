//! Work on each of several hosts: one after the other, or several at once with `-P`; and what became of it there.

use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind, Result};
use crate::project::Host;
use crate::report::{self, Report};
use crate::run::Run;

/// What became of the work on each host, in the order of the hosts. `None` is this machine.
#[derive(Debug)]
pub struct Ends<T> {
    /// Where it ended well.
    pub done: Vec<(Option<Host>, T)>,
    /// Where it failed.
    pub failed: Vec<(Option<Host>, Failure)>,
    /// Hosts that could not be reached, with `--skip-bad-hosts`.
    pub left_out: Vec<(Option<Host>, Failure)>,
    /// Where it did not begin, because the run was interrupted or another host failed.
    pub not_begun: Vec<Option<Host>>,
}

impl<T> Default for Ends<T> {
    fn default() -> Self {
        Self { done: Vec::new(), failed: Vec::new(), left_out: Vec::new(), not_begun: Vec::new() }
    }
}

/// Does work on each host, at most `-z` at once with `-P`.
///
/// One after the other, a failure ends it, as in Fabric, unless `-w` is given; side by side the others have begun
/// already, and go on.
pub async fn on_each<T>(
    run: &Run,
    hosts: &[Option<Host>],
    work: impl AsyncFn(Option<Host>) -> Result<T>,
) -> Ends<T> {
    let pool = match (run.options.parallel, run.options.pool_size) {
        (false, _) => 1,
        (true, None | Some(0)) => hosts.len(),
        (true, Some(size)) => size.min(hosts.len()),
    };
    let begin = |host: Option<Host>| {
        let work = &work;
        async move {
            match run.interrupt.finish.is_cancelled() {
                true => (host, None),
                false => (host.clone(), Some(work(host).await)),
            }
        }
    };
    let mut ends = Ends::default();
    let mut results = futures_util::stream::iter(hosts.iter().cloned().map(begin)).buffered(pool.max(1));
    let mut ended = 0;
    while let Some((host, result)) = results.next().await {
        ended += 1;
        match result {
            None => ends.not_begun.push(host),
            Some(Ok(value)) => ends.done.push((host, value)),
            Some(Err(failure)) if run.options.skip_bad_hosts && failure.kind == Kind::Connection => {
                let place = host.as_ref().map(|host| host.text.as_str());
                run.console.warn(place, &format!("left out: {}", failure.one_line()));
                ends.left_out.push((host, failure));
            }
            Some(Err(failure)) => {
                ends.failed.push((host, failure));
                if pool <= 1 && !run.options.warn_only {
                    break;
                }
            }
        }
    }
    ends.not_begun.extend(hosts[ended..].iter().cloned());
    ends
}

impl<T> Ends<T> {
    /// Returns what was done, for a step of a task: the failures as one, if there are any.
    ///
    /// # Errors
    ///
    /// The failure of the only host that failed, or one that has those of all as its causes.
    pub fn all(self, what: &str) -> Result<Vec<T>> {
        match failure_of(self.failed, &self.not_begun, what) {
            Some(failure) => Err(failure),
            None => Ok(self.done.into_iter().map(|(_, value)| value).collect()),
        }
    }
}

/// Runs a task on each host, and makes one report of what comes of it.
///
/// `work` gets the run on one host; `called` is what people read: the task's name, or a command.
pub async fn run(
    run: &Run,
    task: &str,
    called: &str,
    hosts: &[Option<Host>],
    work: impl AsyncFn(Run) -> Result<Report>,
) -> Report {
    let before = run.engines.requests();
    let started = std::time::Instant::now();
    let mut combined = Report { dry_run: run.options.dry_run, ..Report::done(task) };
    // A report of a failure is a result too: it says what was done before.
    let reports: Vec<Option<Report>> = hosts.iter().map(|_| None).collect();
    let reports = std::cell::RefCell::new(reports);
    let on_host = async |host: Option<Host>| {
        let place = hosts.iter().position(|other| *other == host);
        let mut report = work(run.on_host(host)).await?;
        let failure = report.failure.take();
        if let Some(place) = place {
            reports.borrow_mut()[place] = Some(report);
        }
        failure.map_or(Ok(()), Err)
    };
    let ends = on_each(run, hosts, on_host).await;
    say(run, called, hosts.len(), &ends);
    let bad = ends.left_out.iter().chain(&ends.failed);
    combined.hosts_failed = bad
        .map(|(host, failure)| json!({"client": text(host.as_ref()), "error": report::error(failure)}))
        .collect();
    for report in reports.into_inner().into_iter().flatten() {
        merge(&mut combined, report);
    }
    combined.requests = Some(run.engines.requests() - before);
    combined.seconds = Some((started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0);
    match failure_of(ends.failed, &ends.not_begun, &format!("`{called}`")) {
        Some(failure) => combined.failed(failure),
        None => combined,
    }
}

/// Makes one failure of those of several hosts; what was not begun counts where nothing failed.
fn failure_of(
    mut failed: Vec<(Option<Host>, Failure)>,
    not_begun: &[Option<Host>],
    what: &str,
) -> Option<Failure> {
    match failed.len() {
        0 if not_begun.is_empty() => None,
        0 => {
            let names: Vec<&str> = not_begun.iter().map(|host| name(host.as_ref())).collect();
            let message = format!("interrupted before {what} ran on {}", crate::text::list(&names, 9));
            let hint = "what is done stays; run the command again for the rest";
            Some(Failure::new(Kind::Interrupted, message).hint(hint))
        }
        1 => Some(failed.remove(0).1),
        many => {
            let message = format!("{} failed while executing {what}", crate::text::count(many, "host"));
            let mut failure = Failure::new(failed[0].1.kind, message);
            failure.causes = failed
                .iter()
                .map(|(host, failure)| format!("[{}] {}", name(host.as_ref()), failure.one_line()))
                .collect();
            failure.hints = failed.remove(0).1.hints;
            Some(failure)
        }
    }
}

/// Says after a task on several hosts what became of each of them.
fn say<T>(run: &Run, called: &str, count: usize, ends: &Ends<T>) {
    if count < 2 {
        return;
    }
    let mut parts = vec![format!("{} done", ends.done.len())];
    for (what, hosts) in [("failed", &ends.failed), ("left out", &ends.left_out)] {
        if !hosts.is_empty() {
            let names: Vec<&str> = hosts.iter().map(|(host, _)| name(host.as_ref())).collect();
            parts.push(format!("{} {what} ({})", hosts.len(), crate::text::list(&names, 8)));
        }
    }
    if !ends.not_begun.is_empty() {
        parts.push(format!("{} not begun", ends.not_begun.len()));
    }
    let text = format!("{called} on {}: {}", crate::text::count(count, "host"), parts.join(", "));
    run.console.progress_line(None, &text);
}

fn text(host: Option<&Host>) -> Option<&str> {
    host.map(|host| host.text.as_str())
}

fn name(host: Option<&Host>) -> &str {
    text(host).unwrap_or("local")
}

fn merge(combined: &mut Report, report: Report) {
    let join = |into: &mut Option<Vec<Value>>, more: Option<Vec<Value>>| {
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
