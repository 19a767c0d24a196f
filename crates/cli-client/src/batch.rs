//! Calls that are made at the same time share one channel.
//!
//! A call waits a moment for others ([`crate::CliOptions::linger`]); then all that have come are
//! sent in one script. Inspections become one command for all names. Results come back as each
//! command ends, so that a quick one never waits for a slow one. A script that only waits for
//! containers is ended when nobody waits for it any more.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use dfab_client::error::Cause;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::command::{self, Command};
use crate::failure::{self, Unusable};
use crate::frame::Finished;
use crate::host::Host;
use crate::parse;

/// Names in one inspection; each is at most some 100 bytes, and a command line may have 2 MiB.
const NAMES_AT_ONCE: usize = 1000;

/// Collects calls.
pub(crate) struct Batches {
    host: Arc<Host>,
    waiting: Arc<Mutex<Waiting>>,
    /// The scripts under way. They end with this value.
    running: Mutex<JoinSet<()>>,
}

#[derive(Default)]
struct Waiting {
    calls: Vec<Call>,
    is_scheduled: bool,
}

enum Call {
    Run(Command, oneshot::Sender<Result<Finished, Unusable>>),
    Inspect(String, oneshot::Sender<Inspected>),
}

/// An inspected container; `None` when there is none of this name.
type Inspected = Result<Option<Value>, Cause>;

impl Batches {
    pub(crate) fn new(host: Arc<Host>) -> Self {
        Self { host, waiting: Arc::default(), running: Mutex::default() }
    }

    /// Runs a command.
    pub(crate) async fn run(&self, command: Command) -> Result<Finished, Unusable> {
        let (reply, result) = oneshot::channel();
        self.push(Call::Run(command, reply));
        result.await.expect("a call is answered, or its backend is gone and nobody waits")
    }

    /// Inspects a container.
    pub(crate) async fn inspect(&self, name: &str) -> Inspected {
        let (reply, result) = oneshot::channel();
        self.push(Call::Inspect(name.to_owned(), reply));
        result.await.expect("a call is answered, or its backend is gone and nobody waits")
    }

    fn push(&self, call: Call) {
        let is_first = {
            let mut waiting = lock(&self.waiting);
            waiting.calls.push(call);
            !std::mem::replace(&mut waiting.is_scheduled, true)
        };
        if is_first {
            let (host, waiting) = (Arc::clone(&self.host), Arc::clone(&self.waiting));
            let mut running = lock(&self.running);
            while running.try_join_next().is_some() {}
            running.spawn(send(host, waiting));
        }
    }
}

/// Waits for more calls and for a free channel, and sends what has come by then.
async fn send(host: Arc<Host>, waiting: Arc<Mutex<Waiting>>) {
    tokio::time::sleep(host.options.linger).await;
    let channel = host.channel().await;
    let calls = {
        let mut waiting = lock(&waiting);
        waiting.is_scheduled = false;
        std::mem::take(&mut waiting.calls)
    };
    let is_long = |call: &Call| matches!(call, Call::Run(command, _) if command.is_long);
    if host.options.limit.is_none() || !calls.iter().any(is_long) {
        return script(&host, calls).await;
    }
    // The end of short ones must not be that of long ones.
    let (long, short): (Vec<Call>, Vec<Call>) = calls.into_iter().partition(is_long);
    let long = async {
        script(&host, long).await;
        drop(channel);
    };
    let short = async {
        if !short.is_empty() {
            let _channel = host.channel().await;
            script(&host, short).await;
        }
    };
    tokio::join!(long, short);
}

/// Sends calls in one script, and answers each. A script that only waits, and nobody for it, is given up: it ends by the
/// loss of its channel, and takes with it what it runs.
async fn script(host: &Host, calls: Vec<Call>) {
    let (commands, replies) = arranged(calls);
    let replies = Mutex::new(replies);
    let commands: Vec<&Command> = commands.iter().collect();
    let answered = host.batch(&commands, |index, finished| {
        let reply = lock(&replies).get_mut(index).and_then(Option::take);
        if let Some(reply) = reply {
            reply.send(Ok(finished), host);
        }
    });
    let result = tokio::select! {
        result = answered => result,
        () = given_up(&commands, &replies) => return,
    };
    let replies = replies.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let unanswered = result.err().unwrap_or_else(|| Unusable::NoShell {
        host: host.name().to_owned(),
        message: "a command has no result".to_owned(),
        source: None,
    });
    for reply in replies.into_iter().flatten() {
        reply.send(Err(unanswered.clone()), host);
    }
}

/// Waits until all that is left of a script only waits, and nobody for it. What changes something is never cut short, and
/// where all have their results the script's end is its own.
async fn given_up(commands: &[&Command], replies: &Mutex<Vec<Option<Reply>>>) {
    std::future::poll_fn(|context| {
        let (mut left, mut wanted) = (false, false);
        for (command, reply) in commands.iter().zip(lock(replies).iter_mut()) {
            let Some(reply) = reply else { continue };
            left = true;
            // Each is asked, so that each wakes this task.
            wanted |= !(command.only_waits && reply.is_given_up(context));
        }
        if left && !wanted { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Who waits for the result of one command.
enum Reply {
    One(oneshot::Sender<Result<Finished, Unusable>>),
    Containers(Vec<(String, oneshot::Sender<Inspected>)>),
}

/// Makes commands of calls, one for all inspections.
fn arranged(calls: Vec<Call>) -> (Vec<Command>, Vec<Option<Reply>>) {
    let (mut commands, mut replies, mut inspections) = (Vec::new(), Vec::new(), Vec::new());
    for call in calls {
        match call {
            Call::Run(command, reply) => {
                commands.push(command);
                replies.push(Some(Reply::One(reply)));
            }
            Call::Inspect(name, reply) => inspections.push((name, reply)),
        }
    }
    while !inspections.is_empty() {
        let rest = inspections.split_off(inspections.len().min(NAMES_AT_ONCE));
        let mut names: Vec<&str> = inspections.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        match command::inspect_containers(&names) {
            Ok(command) => {
                commands.push(command);
                replies.push(Some(Reply::Containers(inspections)));
            }
            // Names are checked before they get here; a caller that is told nothing would wait.
            Err(cause) => {
                let text = cause.to_string();
                inspections
                    .into_iter()
                    .for_each(|(_, reply)| drop(reply.send(Err(Cause::Input(text.clone())))));
            }
        }
        inspections = rest;
    }
    (commands, replies)
}

impl Reply {
    /// Whether the one who waited has gone; else the task is woken when it goes.
    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::One(reply) => reply.poll_closed(context).is_ready(),
            // A look takes no time.
            Self::Containers(_) => false,
        }
    }

    fn send(self, result: Result<Finished, Unusable>, host: &Host) {
        match self {
            // Whoever does not wait any more needs no answer.
            Self::One(reply) => drop(reply.send(result)),
            Self::Containers(waiting) => {
                let names: Vec<String> = waiting.iter().map(|(name, _)| name.clone()).collect();
                let mut found = result.map(|finished| found(&names, finished, host));
                for (name, reply) in waiting {
                    let answer = match &mut found {
                        Err(unusable) => Err(Cause::Unreachable(Box::new(unusable.clone()))),
                        Ok(Ok((containers, _))) if containers.contains_key(&name) => {
                            Ok(containers.get(&name).cloned())
                        }
                        Ok(Ok((_, None))) => Ok(None),
                        Ok(Ok((_, Some(rest)))) => Err(failure::cause(rest, host.name(), &host.options)),
                        Ok(Err(text)) => Err(Cause::Answer(text.clone())),
                    };
                    drop(reply.send(answer));
                }
            }
        }
    }
}

/// The containers that were found, and what went wrong beside absent ones.
type Found = (std::collections::BTreeMap<String, Value>, Option<Finished>);

fn found(names: &[String], finished: Finished, _host: &Host) -> Result<Found, String> {
    let elements = parse::array(&finished.stdout).map_err(|cause| cause.to_string())?;
    let containers = parse::by_name(names, elements);
    if finished.status == 0 {
        return Ok((containers, None));
    }
    // A line for each absent container is expected; anything else is a failure of all.
    let stderr = String::from_utf8_lossy(&finished.stderr);
    let is_absent = |line: &str| line.to_lowercase().contains("no such container");
    let rest: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty() && !is_absent(line)).collect();
    let only_absent = rest.is_empty() && stderr.lines().any(is_absent);
    let rest = Finished { stderr: rest.join("\n").into_bytes(), ..finished };
    Ok((containers, (!only_absent).then_some(rest)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
