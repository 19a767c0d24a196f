//! The plan: a graph of steps, each with its reasons (design §3).

mod ambiguous;
mod builder;
mod calls;
mod containers;
mod error;
mod forward;
mod images;
pub mod marker;
mod networks;
mod options;
mod orphans;
mod reverse;
mod script;
mod selected;
mod text;
mod update;
mod volumes;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

pub use error::PlanError;
pub use networks::unseen;
pub use options::{ActionKind, ExecCheck, PlanOptions, Reach, ScriptCommand, ScriptOptions};

use crate::desired::Desired;
use crate::image::ImageName;
use crate::item::Kind;
use crate::names::ClientName;
use crate::observed::Observed;
use crate::position::Position;
use crate::spec::{
    ContainerSpec, EndpointSpec, NetworkSpec, PrepareSpec, Properties, ScriptSpec, StopSpec, VolumeSpec,
};

/// Decides what to do.
///
/// A client that is missing from `observed` (its host is down) gets no steps, and steps elsewhere
/// that depend on its items are left out with a notice. The result depends on nothing but the
/// arguments.
///
/// # Errors
///
/// Everything that must be settled first; nothing may be done then.
pub fn plan(
    desired: &Desired,
    observed: &BTreeMap<ClientName, Observed>,
    options: &PlanOptions,
) -> Result<Plan, Vec<PlanError>> {
    match desired.action {
        ActionKind::Create
        | ActionKind::Start
        | ActionKind::Startup
        | ActionKind::Update
        | ActionKind::Script => forward::plan(desired, observed, options),
        ActionKind::Stop | ActionKind::Remove | ActionKind::Shutdown => {
            reverse::plan(desired, observed, options)
        }
        ActionKind::Restart | ActionKind::Kill => selected::plan(desired, observed, options),
        ActionKind::PullImages => images::plan(desired, observed, options),
    }
}

/// What to do, in which order, and why.
///
/// Steps are in a topological order: a step's prerequisites stand before it. The same input gives
/// the same plan and the same text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Items that were looked at and need nothing.
    pub unchanged: Vec<Unchanged>,
    /// What the user should know, without a step of its own: orphans, options without effect.
    pub notices: Vec<String>,
}

/// An item that needs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchanged {
    /// Client it is on.
    pub client: ClientName,
    /// Its kind.
    pub kind: Kind,
    /// Its Docker name.
    pub name: String,
}

/// The number of a step in its plan, from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepId(pub u32);

/// One thing to do to one object.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Number in the plan.
    pub id: StepId,
    /// Client it runs on.
    pub client: ClientName,
    /// Kind of object.
    pub kind: Kind,
    /// Docker name of the object.
    pub name: String,
    /// What happens to it, as one word for people.
    pub action: Action,
    /// Why. Never empty.
    pub reasons: Vec<Reason>,
    /// Steps that must be done before.
    pub after: Vec<StepId>,
    /// The engine calls that make up the action, in order.
    pub calls: Vec<Call>,
}

/// What happens to an object, as one word for people and scripts (cli §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It is made (and started, where the action starts things).
    Create,
    /// It is started.
    Start,
    /// It is stopped and started.
    Restart,
    /// It is stopped.
    Stop,
    /// It is removed (and stopped before, where it runs).
    Remove,
    /// It is removed and made anew.
    Recreate,
    /// It is changed in place.
    Update,
    /// Commands are run in it.
    Exec,
    /// It is sent a signal.
    Kill,
    /// It is pulled.
    Pull,
    /// It runs a script and is removed.
    Script,
}

/// Why a step is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The property, in the map's words (`image`, `exposes`, `environment.LANG`), or `state`, or
    /// `requested`, or `dependency` for a step forced by another.
    pub field: String,
    /// Current value; `None` is absent. Values that may be secret are given as `(hidden)`.
    pub current: Option<String>,
    /// Desired value; `None` is absent.
    pub desired: Option<String>,
    /// Where the desired value was written.
    pub source: Option<Position>,
    /// One sentence fragment that reads well alone: `not found`, `image differs`,
    /// `recreated because its volume owner m.app is recreated`.
    pub text: String,
}

/// One engine call (or a short fixed sequence that belongs together, where documented).
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// `POST /images/create`. With `then_compare`, everything that needs the image is observed and
    /// planned again after the pull (design §3).
    PullImage {
        /// What to pull.
        image: ImageName,
        /// The rest of the plan depends on what the pull brings.
        then_compare: bool,
    },
    /// `POST /networks/create`
    CreateNetwork(NetworkSpec),
    /// `DELETE /networks/{id}`
    RemoveNetwork {
        /// Network name.
        name: String,
    },
    /// `POST /volumes/create`
    CreateVolume(VolumeSpec),
    /// `DELETE /volumes/{name}`
    RemoveVolume {
        /// Volume name.
        name: String,
    },
    /// Sets owner and mode of a volume in a helper container, which is always removed.
    PrepareVolume(PrepareSpec),
    /// `POST /containers/create`
    CreateContainer(Box<ContainerSpec>),
    /// `POST /containers/{id}/start`
    StartContainer {
        /// Container name.
        name: String,
        /// Time to wait afterwards (`start_delay`).
        delay: Option<Duration>,
    },
    /// Stops: `POST /containers/{id}/stop`, or `kill` with a signal and `wait`. A container that
    /// does not run, or no longer exists, is no error.
    StopContainer {
        /// Container name.
        name: String,
        /// How.
        stop: StopSpec,
    },
    /// `POST /containers/{id}/kill`
    KillContainer {
        /// Container name.
        name: String,
        /// Signal name; `None` is SIGKILL.
        signal: Option<String>,
    },
    /// `DELETE /containers/{id}`; a container that is already gone is no error (K-15).
    RemoveContainer {
        /// Container name.
        name: String,
        /// Remove its anonymous volumes too.
        volumes: bool,
        /// Remove it even when it runs.
        force: bool,
    },
    /// `POST /containers/{id}/update`
    UpdateContainer {
        /// Container name.
        name: String,
        /// Limits and restart policy to set.
        properties: Properties,
    },
    /// `POST /networks/{id}/connect`
    Connect {
        /// Container name.
        container: String,
        /// Network and settings.
        endpoint: EndpointSpec,
    },
    /// `POST /networks/{id}/disconnect`; a container that is not connected is no error.
    Disconnect {
        /// Container name.
        container: String,
        /// Network name.
        network: String,
    },
    /// `POST /containers/{id}/exec` and `POST /exec/{id}/start`, detached.
    Exec {
        /// Container name.
        container: String,
        /// Words.
        command: Vec<String>,
        /// User, with its group where one is given.
        user: Option<String>,
    },
    /// Waits until the container's health check reports `healthy`. A container without a health
    /// check, one that is reported `unhealthy`, and one that has ended, are errors.
    WaitHealthy {
        /// Container name.
        name: String,
        /// How long; `None` is without end.
        timeout: Option<Duration>,
    },
    /// Runs a script (engine §7.2): creates the container, connects and starts it, waits, reads exit
    /// code and log, and removes it whatever happened.
    RunScript(Box<ScriptSpec>),
}

impl Reason {
    /// The object does not exist.
    pub(crate) fn not_found(source: Option<&Position>) -> Self {
        Self {
            field: "state".to_owned(),
            current: None,
            desired: Some("present".to_owned()),
            source: source.cloned(),
            text: "not found".to_owned(),
        }
    }

    /// The user named the object in `force_update`.
    pub(crate) fn forced() -> Self {
        let text = "named in force_update".to_owned();
        Self { field: "force_update".to_owned(), current: None, desired: None, source: None, text }
    }

    /// Replaces the text.
    pub(crate) fn with_text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }
}

impl Action {
    /// Returns the word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::Recreate => "recreate",
            Self::Update => "update",
            Self::Exec => "exec",
            Self::Kill => "kill",
            Self::Pull => "pull",
            Self::Script => "script",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl Plan {
    /// Tells whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}
