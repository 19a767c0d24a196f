//! Actions on the selected containers only: restart and kill (engine §5.3, §5.10).

use std::collections::BTreeMap;

use super::builder::{Builder, Order};
use super::{Action, ActionKind, Call, Plan, PlanError, PlanOptions, Reason, calls};
use crate::compare;
use crate::desired::{Desired, Entry, Lifecycle};
use crate::model::ExecPolicy;
use crate::names::ClientName;
use crate::observed::{ContainerState, Observed, ObservedContainer};

pub(super) fn plan(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> Result<Plan, Vec<PlanError>> {
    let mut builder = Builder::new(desired, observed, options, Order::Free);
    for (index, entry, observed) in builder.entries() {
        let Some(lifecycle) = entry.lifecycle() else { continue };
        let current = observed.containers.get(&entry.name);
        match (desired.action, current) {
            (ActionKind::Kill, Some(current)) if current.state.is_running() => {
                kill(&mut builder, index, entry)
            }
            (ActionKind::Restart, Some(current)) if current.state != ContainerState::Created => {
                restart(&mut builder, index, entry, lifecycle, current);
            }
            (_, None) => {
                builder.notice(format!("container {} on {} does not exist", entry.name, entry.client))
            }
            (_, Some(_)) => builder.unchanged(index),
        }
    }
    builder.finish()
}

fn requested() -> Vec<Reason> {
    vec![compare::because("requested", "asked for", None)]
}

fn kill(builder: &mut Builder<'_>, index: usize, entry: &Entry) {
    let signal = builder.options.signal.clone();
    let call = Call::KillContainer { name: entry.name.clone(), signal };
    builder.step(index, Action::Kill, requested(), vec![call]);
}

fn restart(
    builder: &mut Builder<'_>,
    index: usize,
    entry: &Entry,
    lifecycle: &Lifecycle,
    current: &ObservedContainer,
) {
    let mut stop = lifecycle.stop.clone();
    stop.timeout = builder.options.timeout.or(stop.timeout);
    let mut all = Vec::new();
    // Nothing is sent to a container that does not run (D-11).
    if current.state.is_running() {
        all.push(calls::stop(&entry.name, &stop));
    }
    all.push(Call::StartContainer { name: entry.name.clone(), delay: lifecycle.start_delay });
    if builder.options.restart_exec_commands {
        let again = lifecycle.exec.iter().filter(|exec| exec.policy == ExecPolicy::Restart);
        all.extend(again.map(|exec| calls::exec(&entry.name, exec)));
    }
    builder.step(index, Action::Restart, requested(), all);
}
