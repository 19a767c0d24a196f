//! Sequences of engine calls that several actions share (engine §5, composite actions; §6).

use super::marker::Unfinished;
use super::{Call, PlanOptions};
use crate::compare::{EndpointChanges, expected_endpoints};
use crate::desired::{Container, Exec, Lifecycle, Networking, Volume};
use crate::model::ExecPolicy;
use crate::observed::{Observed, ObservedContainer};
use crate::property::Property;
use crate::spec::{EndpointSpec, StopSpec};

/// Creates a container and connects it to its further networks, before it is started (K-10).
pub(super) fn create(container: &Container, observed: &Observed) -> Vec<Call> {
    let name = &container.spec.name;
    let mut calls = vec![Call::CreateContainer(Box::new(container.spec.clone()))];
    calls.extend(further_endpoints(container, observed).iter().map(|endpoint| connect(name, endpoint)));
    if let Networking::Default(names) = &container.networking
        && calls.len() > 1
        && !names.iter().any(|name| name == ENGINE_DEFAULT)
    {
        calls.push(disconnect(name, ENGINE_DEFAULT));
    }
    calls
}

/// The network that a container joins at creation where none is named.
const ENGINE_DEFAULT: &str = "bridge";

/// The endpoints that are not part of creation.
pub(super) fn further_endpoints(container: &Container, observed: &Observed) -> Vec<EndpointSpec> {
    let mut endpoints = expected_endpoints(container, observed).unwrap_or_default();
    match &container.networking {
        Networking::Default(_) => endpoints.retain(|endpoint| endpoint.network != ENGINE_DEFAULT),
        _ if endpoints.is_empty() => {}
        _ => drop(endpoints.remove(0)),
    }
    endpoints
}

pub(super) fn connect(container: &str, endpoint: &EndpointSpec) -> Call {
    Call::Connect { container: container.to_owned(), endpoint: endpoint.clone() }
}

pub(super) fn disconnect(container: &str, network: &str) -> Call {
    Call::Disconnect { container: container.to_owned(), network: network.to_owned() }
}

/// A start of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Started {
    /// It is the first one, which `initial` commands wait for (D-48).
    pub(super) first: bool,
    /// Something waits for the container to be healthy.
    pub(super) awaited: bool,
    /// What earlier starts have left unfinished.
    pub(super) left: Marks,
}

/// What earlier starts of a container have left unfinished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// [`Unfinished::Initialisation`]
    pub(super) initialisation: bool,
    /// [`Unfinished::Commands`]
    pub(super) commands: bool,
}

impl Marks {
    pub(super) fn any(self) -> bool {
        self.initialisation || self.commands
    }

    fn has(self, mark: Unfinished) -> bool {
        match mark {
            Unfinished::Initialisation => self.initialisation,
            Unfinished::Commands => self.commands,
            _ => false,
        }
    }
}

/// Starts a container and runs its commands.
pub(super) fn start(container: &Container, started: Started, options: &PlanOptions) -> Vec<Call> {
    let (name, lifecycle) = (&container.spec.name, &container.lifecycle);
    let run = |exec: &&Exec| started.first || exec.policy == ExecPolicy::Restart;
    let commands: Vec<Call> = lifecycle.exec.iter().filter(run).map(|command| exec(name, command)).collect();
    let mark = match started.first && has_initial(lifecycle) {
        _ if commands.is_empty() => None,
        true => Some(Unfinished::Initialisation),
        false => Some(Unfinished::Commands),
    };
    let mut calls: Vec<Call> =
        mark.filter(|mark| !started.left.has(*mark)).map(|mark| mark.creation(name)).into_iter().collect();
    calls.push(Call::StartContainer { name: name.clone(), delay: lifecycle.start_delay });
    calls.extend(commands);
    let marks = [Unfinished::Initialisation, Unfinished::Commands].into_iter();
    let set = marks.filter(|other| mark == Some(*other) || started.left.has(*other));
    calls.extend(set.map(|mark| mark.removal(name)));
    if started.awaited && options.wait_healthy && has_health_check(container) {
        calls.push(Call::WaitHealthy { name: name.clone(), timeout: options.wait_healthy_timeout });
    }
    calls
}

/// Runs the commands of a running container whose start was interrupted. Each is run at least once: nothing
/// shows which of them were.
pub(super) fn finish_start(name: &str, lifecycle: &Lifecycle, left: Marks) -> Vec<Call> {
    let run = |exec: &&Exec| left.initialisation || exec.policy == ExecPolicy::Restart;
    let mut calls: Vec<Call> = lifecycle.exec.iter().filter(run).map(|command| exec(name, command)).collect();
    let marks = [Unfinished::Initialisation, Unfinished::Commands].into_iter();
    calls.extend(marks.filter(|mark| left.has(*mark)).map(|mark| mark.removal(name)));
    calls
}

pub(super) fn exec(container: &str, exec: &Exec) -> Call {
    Call::Exec { container: container.to_owned(), command: exec.command.clone(), user: exec.user.clone() }
}

pub(super) fn has_initial(lifecycle: &Lifecycle) -> bool {
    lifecycle.exec.iter().any(|exec| exec.policy == ExecPolicy::Initial)
}

fn has_health_check(container: &Container) -> bool {
    let check = container.spec.properties.get(&Property::Healthcheck);
    check.and_then(|check| check.get("Test")?.get(0)?.as_str()).is_some_and(|test| test != "NONE")
}

pub(super) fn stop(name: &str, stop: &StopSpec) -> Call {
    Call::StopContainer { name: name.to_owned(), stop: stop.clone() }
}

/// Stops a container by the signal that it was made with, where it was made with one: the map's may be a
/// new one, which it does not listen to.
pub(super) fn stop_own(name: &str, stop: &StopSpec, current: &ObservedContainer) -> Call {
    let own = current.detail.as_ref().and_then(|detail| detail.properties.get(&Property::StopSignal));
    let signal = stop.signal.clone().filter(|signal| own.is_none_or(|own| own == signal));
    Call::StopContainer { name: name.to_owned(), stop: StopSpec { signal, timeout: stop.timeout } }
}

/// Removes a container. Its anonymous volumes stay: no data goes without being asked for.
pub(super) fn remove(name: &str) -> Call {
    Call::RemoveContainer { name: name.to_owned(), volumes: false, force: false }
}

/// Creates a volume and gives it its owner and mode.
pub(super) fn create_volume(volume: &Volume) -> Vec<Call> {
    let create = Call::CreateVolume(volume.spec.clone());
    match &volume.prepare {
        Some(prepare) => Unfinished::Preparation
            .around(&volume.spec.name, vec![create, Call::PrepareVolume(prepare.clone())]),
        None => vec![create],
    }
}

/// Connects, connects anew, disconnects: in this order a container never loses its last network in
/// between (K-03).
pub(super) fn endpoints(name: &str, changes: &EndpointChanges) -> Vec<Call> {
    let mut calls: Vec<Call> = changes.connect.iter().map(|(endpoint, _)| connect(name, endpoint)).collect();
    for (endpoint, _) in &changes.reconnect {
        calls.push(disconnect(name, &endpoint.network));
        calls.push(connect(name, endpoint));
    }
    calls.extend(changes.disconnect.iter().map(|(network, _)| disconnect(name, network)));
    calls
}
