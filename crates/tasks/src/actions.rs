//! Actions on container maps: desired state, observation, plan, pulls, plan again, application
//! (design §3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use dfab_client::apply::{ApplyOptions, Backends, CancellationToken, Event, Report, StepResult};
use dfab_client::error::Source;
use dfab_client::{Backend, Error, apply, observe, observe_more};
use dfab_map::desired::{Container, Desired, Entry, Object, Session, Target};
use dfab_map::diagnostic::Findings;
use dfab_map::item::{ItemId, Kind};
use dfab_map::model::Auth;
use dfab_map::names::ClientName;
use dfab_map::observed::{Observed, Wanted};
use dfab_map::plan::{self, ActionKind, Call, Plan, PlanError, PlanOptions, Step, StepId};
use futures_util::future::join_all;
use indexmap::IndexMap;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::outcome::{Outcome, Stage};

/// Where backends come from.
pub trait Engines: Send + Sync {
    /// Returns the backend of a target; nothing need be connected yet. Called at most once for each
    /// target of an action.
    ///
    /// # Errors
    ///
    /// What is wrong with the target's settings.
    fn backend(&self, target: &Target) -> Result<Arc<dyn Backend>, Source>;
}

/// How an action is run.
#[derive(Clone, Debug)]
pub struct ActionOptions {
    /// Plan only, and change nothing.
    pub dry_run: bool,
    /// Steps at a time on each client.
    pub jobs: usize,
    /// Stop at the first failed step.
    pub fail_fast: bool,
    /// Cancelled when the user wants to stop: steps under way finish, no other starts.
    pub cancel: CancellationToken,
    /// Options of the planner.
    pub plan: PlanOptions,
}

impl Default for ActionOptions {
    fn default() -> Self {
        Self {
            dry_run: false,
            jobs: 8,
            fail_fast: false,
            cancel: CancellationToken::new(),
            plan: PlanOptions::default(),
        }
    }
}

/// Something that happens in an action. All facts are in it; whoever listens makes text of them.
#[derive(Clone, Debug)]
pub enum Happening {
    /// These clients are being observed.
    Observing(Vec<ClientName>),
    /// A client cannot be worked on; the others go on.
    Unreachable(ClientName, Arc<Error>),
    /// A stage is planned and begins.
    Planned {
        /// The plan of the stage.
        plan: Arc<Plan>,
        /// More stages follow: this one only pulls.
        pulls_first: bool,
    },
    /// Something happened to a step of the stage that began last.
    Step(Event),
}

/// Why an action did not begin. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The map or its values are wrong.
    #[error("the map cannot be applied")]
    Desired(Findings),
    /// The settings of a client make no way to an engine.
    #[error("client `{0}` cannot be used")]
    Client(ClientName, #[source] Source),
    /// Something must be settled first.
    #[error("there is no plan")]
    Plan(Vec<PlanError>),
}

/// Runs an action on the selected items.
///
/// All clients are observed at once. One that cannot be observed is left out and reported; the rest
/// of the plan goes on without it.
///
/// When images must be pulled whose content decides what else is to do, pulling is a stage of its
/// own, after which everything is observed and planned again.
///
/// # Errors
///
/// [`Refused`], when there is nothing that could be applied.
pub async fn run(
    session: &Session<'_>,
    engines: &dyn Engines,
    action: ActionKind,
    selected: &[ItemId],
    options: &ActionOptions,
    happenings: &UnboundedSender<Happening>,
) -> Result<Outcome, Refused> {
    let started = Instant::now();
    let tell = |happening| {
        // Whoever stopped listening does not want to know.
        let _ = happenings.send(happening);
    };
    let desired = session.desired(action, selected, &options.plan).map_err(Refused::Desired)?;
    let wanted = desired.wanted();
    let mut outcome = Outcome { notices: desired.notices.clone(), ..Outcome::default() };

    let mut backends = Backends::new();
    for name in wanted.keys() {
        let target = target(session, name)
            .ok_or_else(|| Refused::Client(name.clone(), "it is not configured".into()))?;
        let backend = engines.backend(&target).map_err(|source| Refused::Client(name.clone(), source))?;
        backends.insert(name.clone(), backend);
    }
    // A client that is given up has been asked too.
    let asked: Vec<Arc<dyn Backend>> = backends.values().cloned().collect();
    let requests = || -> u64 { asked.iter().map(|backend| backend.requests()).sum() };
    let requests_before = requests();

    let mut plan_options = options.plan.clone();
    let mut failed_pulls: BTreeSet<(ClientName, String)> = BTreeSet::new();
    let mut offset = 0;
    loop {
        tell(Happening::Observing(backends.keys().cloned().collect()));
        let mut observed = observe_all(&wanted, &mut backends, &mut outcome, &tell).await;
        for (name, containers) in plan::unseen(&desired, &observed, &plan_options) {
            let (Some(backend), Some(state)) = (backends.get(&name), observed.get_mut(&name)) else {
                continue;
            };
            if let Err(error) = observe_more(backend.as_ref(), &containers, state).await {
                observed.remove(&name);
                backends.remove(&name);
                give_up(&name, error, &mut outcome, &tell);
            }
        }
        let plan = match plan::plan(&desired, &observed, &plan_options) {
            Ok(plan) => plan,
            Err(errors) if outcome.stages.is_empty() => return Err(Refused::Plan(errors)),
            // What the stage before has done stays, and is told (engine D-60).
            Err(errors) => {
                outcome.refused = errors;
                break;
            }
        };
        let pulls: BTreeSet<StepId> =
            plan.steps.iter().filter(|step| decides(step)).map(|step| step.id).collect();
        let open: BTreeSet<StepId> = pulls
            .iter()
            .copied()
            .filter(|id| {
                let step = step_of(&plan, *id);
                !failed_pulls.contains(&(step.client.clone(), step.name.clone()))
            })
            .collect();
        if options.dry_run {
            tell(Happening::Planned { plan: Arc::new(plan.clone()), pulls_first: !pulls.is_empty() });
            outcome.stages.push(Stage { plan, report: None, offset });
            break;
        }
        if options.cancel.is_cancelled() {
            outcome.stages.push(Stage { plan: Plan::default(), report: None, offset });
            outcome.cancelled = true;
            break;
        }
        let pull_stage = !open.is_empty();
        let plan = if pull_stage { only(&plan, &open) } else { without_failed(plan, &pulls, &desired) };
        tell(Happening::Planned { plan: Arc::new(plan.clone()), pulls_first: pull_stage });
        let report = apply_stage(&plan, &backends, session, options, happenings).await;
        for (step, result) in plan.steps.iter().zip(&report.steps) {
            for call in &step.calls {
                if let Call::PullImage { image, .. } = call {
                    match result.result {
                        StepResult::Done => {
                            plan_options.pulled.insert((step.client.clone(), image.clone()));
                        }
                        _ => {
                            failed_pulls.insert((step.client.clone(), step.name.clone()));
                        }
                    }
                }
            }
        }
        let failed = !report.is_success();
        let next_offset = offset + plan.steps.iter().map(|step| step.id.0).max().unwrap_or(0);
        outcome.stages.push(Stage { plan, report: Some(report), offset });
        offset = next_offset;
        if pull_stage && options.cancel.is_cancelled() {
            outcome.cancelled = true;
            break;
        }
        if !pull_stage || (failed && options.fail_fast) {
            break;
        }
    }
    // Who wants to stop when the last step is under way has stopped nothing.
    outcome.cancelled |=
        outcome.stages.iter().filter_map(|stage| stage.report.as_ref()).any(Report::is_cancelled);
    outcome.requests = requests().saturating_sub(requests_before);
    outcome.time = started.elapsed();
    Ok(outcome)
}

/// Returns the target of a client name: a default one, else the configured client.
fn target(session: &Session<'_>, name: &ClientName) -> Option<Target> {
    let default = session.defaults.iter().find(|target| target.name == *name).cloned();
    default.or_else(|| {
        let config = session.clients.get(name)?.clone();
        Some(Target { name: name.clone(), config, is_default: false })
    })
}

/// Observes all clients at once. One that fails is taken out of `backends`.
async fn observe_all(
    wanted: &IndexMap<ClientName, Wanted>,
    backends: &mut Backends,
    outcome: &mut Outcome,
    tell: &impl Fn(Happening),
) -> BTreeMap<ClientName, Observed> {
    let observations = backends.iter().map(|(name, backend)| {
        let backend = Arc::clone(backend);
        async move { (name.clone(), observe(backend.as_ref(), &wanted[name]).await) }
    });
    let mut observed = BTreeMap::new();
    for (name, result) in join_all(observations).await {
        match result {
            Ok(state) => drop(observed.insert(name, state)),
            Err(error) => {
                backends.remove(&name);
                give_up(&name, error, outcome, tell);
            }
        }
    }
    observed
}

fn give_up(name: &ClientName, error: Error, outcome: &mut Outcome, tell: &impl Fn(Happening)) {
    let error = Arc::new(error);
    tell(Happening::Unreachable(name.clone(), Arc::clone(&error)));
    outcome.unreachable.push((name.clone(), error));
}

async fn apply_stage(
    plan: &Plan,
    backends: &Backends,
    session: &Session<'_>,
    options: &ActionOptions,
    happenings: &UnboundedSender<Happening>,
) -> Report {
    let apply_options = ApplyOptions {
        jobs: options.jobs,
        fail_fast: options.fail_fast,
        cancel: options.cancel.clone(),
        logins: logins(session, backends),
        ..ApplyOptions::default()
    };
    let (events, mut received) = unbounded_channel();
    let forward = async {
        while let Some(event) = received.recv().await {
            let _ = happenings.send(Happening::Step(event));
        }
    };
    let applied = async {
        let report = apply(plan, backends, &apply_options, &events).await;
        // Ends `forward`.
        drop(events);
        report
    };
    futures_util::future::join(applied, forward).await.0
}

/// Looks registry logins up. One whose values cannot be looked up is left out: the registry may be
/// public, and says so otherwise.
fn logins(session: &Session<'_>, backends: &Backends) -> BTreeMap<ClientName, BTreeMap<String, Auth>> {
    let of_client = |name: &ClientName| {
        let target = target(session, name)?;
        let known = |auth: &Auth| auth.resolve(session.lookup).ok();
        let auth =
            target.config.auth_configs.iter().filter_map(|(host, auth)| Some((host.clone(), known(auth)?)));
        Some((name.clone(), auth.collect()))
    };
    backends.keys().filter_map(of_client).collect()
}

/// Tells whether the rest of the plan depends on what this step brings.
fn decides(step: &Step) -> bool {
    step.calls.iter().any(|call| matches!(call, Call::PullImage { then_compare: true, .. }))
}

fn step_of(plan: &Plan, id: StepId) -> &Step {
    plan.steps.iter().find(|step| step.id == id).expect("the step is of this plan")
}

/// Returns the plan with these steps only. What stood before them is no part of a pull.
fn only(plan: &Plan, ids: &BTreeSet<StepId>) -> Plan {
    let steps = plan.steps.iter().filter(|step| ids.contains(&step.id)).cloned().collect();
    Plan { steps, unchanged: Vec::new(), notices: Vec::new() }
}

/// Returns the plan without pulls that have failed before, and without what depends on them: the pulls were
/// reported with the first stage. What is left out is named, and so are containers that exist and could not be
/// compared with an image that did not come.
fn without_failed(mut plan: Plan, failed: &BTreeSet<StepId>, desired: &Desired) -> Plan {
    let mut uncompared: Vec<(&Entry, String)> = Vec::new();
    for step in failed.iter().map(|id| step_of(&plan, *id)) {
        let follows = |entry: &&Entry| {
            let of_image = |container: &Container| container.spec.image.to_string() == step.name;
            entry.client == step.client && matches!(&entry.object, Object::Container(one) if of_image(one))
        };
        uncompared.extend(desired.entries.iter().filter(follows).map(|entry| (entry, step.name.clone())));
    }
    for (entry, image) in uncompared {
        let is_it = |client: &ClientName, kind: Kind, name: &str| {
            kind == Kind::Container && *client == entry.client && name == entry.name
        };
        let planned = plan.steps.iter().any(|step| is_it(&step.client, step.kind, &step.name))
            || plan.unchanged.iter().any(|item| is_it(&item.client, item.kind, &item.name));
        if !planned {
            plan.notices.push(format!(
                "container `{}` on `{}` is left as it is: image {image} could not be pulled, and is what it is \
                 compared with",
                entry.name, entry.client
            ));
        }
    }
    let mut gone: BTreeMap<StepId, String> =
        failed.iter().map(|id| (*id, step_of(&plan, *id).name.clone())).collect();
    // Steps are in topological order, so one pass finds all dependents.
    plan.steps.retain(|step| {
        let image = step.after.iter().find_map(|id| gone.get(id)).cloned();
        if let Some(image) = image.filter(|_| !gone.contains_key(&step.id)) {
            plan.notices.push(format!(
                "{} of {} `{}` on `{}` is left out: image {image} could not be pulled",
                step.action, step.kind, step.name, step.client
            ));
            gone.insert(step.id, image);
        }
        !gone.contains_key(&step.id)
    });
    plan
}

#[cfg(test)]
mod tests;
