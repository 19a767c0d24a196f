//! The options of an action (engine §8), with their defaults.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use crate::image::ImageName;
use crate::item::ItemId;
use crate::names::ClientName;
use crate::value::Value;

/// What is to be done to the selected items (engine §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    /// Makes what is absent; starts nothing.
    Create,
    /// Starts what exists.
    Start,
    /// Stops and starts the selected containers only.
    Restart,
    /// Stops the selected containers and what depends on them.
    Stop,
    /// Removes the selected containers and what depends on them, unless they run.
    Remove,
    /// Makes what is absent and starts everything.
    Startup,
    /// Stops and removes.
    Shutdown,
    /// Brings everything to what the map says.
    Update,
    /// Sends a signal to the selected containers only (library name: `signal`).
    Kill,
    /// Pulls the images of the selected containers and of what they depend on.
    PullImages,
    /// Runs a script in a new container of the selected configuration (also `single_cmd`).
    Script,
}

/// The options of an action. `PlanOptions::default()` holds the defaults of engine §8.1.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOptions {
    /// Exit codes after which a container is made anew instead of started.
    pub nonrecoverable_exit_codes: Vec<i64>,
    /// Items that `update` makes anew in any case. A volume loses its data only when it is in here.
    pub force_update: BTreeSet<ItemId>,
    /// Persistent containers follow changes of their image too.
    pub update_persistent: bool,
    /// How `update` finds out whether exec commands run.
    pub check_exec_commands: ExecCheck,
    /// A limit that can only be lifted by a new container is left as it is.
    pub skip_limit_reset: bool,
    /// `update` pulls every image first.
    pub pull_before_update: bool,
    /// `pull_images` pulls also what is present.
    pub pull_all_images: bool,
    /// Accepted for compatibility and without effect: the engine's own settings decide.
    pub pull_insecure_registry: bool,
    /// `restart` runs exec commands with the policy `restart`.
    pub restart_exec_commands: bool,
    /// `remove` and `shutdown` remove persistent containers.
    pub remove_persistent: bool,
    /// `remove` and `shutdown` remove the attached volumes of what they remove.
    pub remove_attached: bool,
    /// `remove` and `shutdown` remove the networks of what they remove, when nothing else is connected.
    pub remove_networks: bool,
    /// Containers and networks that carry our labels and are no longer in the map are removed.
    pub remove_orphans: bool,
    /// `script`: a container of the name is removed first instead of being an error.
    pub remove_existing_before: bool,
    /// `script`: the container is removed afterwards.
    pub remove_created_after: bool,
    /// Volumes are prepared by a command on the host where the backend can run one.
    pub prepare_local: bool,
    /// Start what depends on a container with a health check only when it is healthy.
    pub wait_healthy: bool,
    /// Time to wait for `healthy`; `None` is without end.
    pub wait_healthy_timeout: Option<Duration>,
    /// Images pulled in an earlier stage of this run: they are not pulled again.
    pub pulled: BTreeSet<(ClientName, ImageName)>,
    /// The signal of `kill`; `None` is SIGKILL.
    pub signal: Option<String>,
    /// Stop timeout of `stop` and `restart`, before that of the configuration.
    pub timeout: Option<Duration>,
    /// `remove`: anonymous volumes of the selected containers too.
    pub remove_volumes: bool,
    /// `remove`: also when the selected containers run.
    pub force: bool,
    /// Further arguments for creating the *selected* containers (engine §8.4), the last layer of
    /// engine §6.2. Keys are those of `create_options`, and `host_config` with a mapping.
    pub create: IndexMap<String, Value>,
    /// The arguments of `script`.
    pub script: ScriptOptions,
}

/// How running exec commands are recognised (engine §4.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExecCheck {
    /// The process list holds exactly the command line.
    #[default]
    Full,
    /// A process' command line contains it.
    Partial,
    /// No check.
    None,
}

/// The arguments of a script run (engine §7.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptOptions {
    /// Directory on the engine's host that is mounted; `None` mounts nothing.
    pub host_dir: Option<String>,
    /// File inside `host_dir` that `{script_path}` names; `None` is the directory itself.
    pub file: Option<String>,
    /// Entry point, split by shell rules when it is one text.
    pub entrypoint: Option<ScriptCommand>,
    /// Command; `{script_path}` is replaced by the path in the container, other braces stay.
    pub command_format: Option<ScriptCommand>,
    /// Mount point of `host_dir`.
    pub container_script_dir: String,
    /// How long to wait; `None` is the container's stop timeout, else the client's `wait_timeout`.
    pub wait_timeout: Option<Duration>,
    /// Log lines with time stamps.
    pub timestamps: bool,
    /// Only the last lines of the log; `None` is all.
    pub tail: Option<u32>,
}

/// One text, split by POSIX shell rules, or words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptCommand {
    /// A text.
    Text(String),
    /// Words.
    Words(Vec<String>),
}

impl Default for PlanOptions {
    fn default() -> Self {
        Self {
            nonrecoverable_exit_codes: vec![-127, -1],
            force_update: BTreeSet::new(),
            update_persistent: false,
            check_exec_commands: ExecCheck::Full,
            skip_limit_reset: false,
            pull_before_update: false,
            pull_all_images: true,
            pull_insecure_registry: false,
            restart_exec_commands: false,
            remove_persistent: true,
            remove_attached: false,
            remove_networks: false,
            remove_orphans: false,
            remove_existing_before: false,
            remove_created_after: true,
            prepare_local: true,
            wait_healthy: false,
            wait_healthy_timeout: None,
            pulled: BTreeSet::new(),
            signal: None,
            timeout: None,
            remove_volumes: false,
            force: false,
            create: IndexMap::new(),
            script: ScriptOptions::default(),
        }
    }
}

impl Default for ScriptOptions {
    fn default() -> Self {
        Self {
            host_dir: None,
            file: None,
            entrypoint: None,
            command_format: None,
            container_script_dir: "/tmp/script_run".to_owned(),
            wait_timeout: None,
            timestamps: false,
            tail: None,
        }
    }
}

impl ActionKind {
    /// Every action, in the order of engine §3.2.
    pub const ALL: [Self; 11] = [
        Self::Create,
        Self::Start,
        Self::Restart,
        Self::Stop,
        Self::Remove,
        Self::Startup,
        Self::Shutdown,
        Self::Update,
        Self::Script,
        Self::Kill,
        Self::PullImages,
    ];

    /// Returns the word of the command line: `create`, …, `kill`, `pull_images`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Remove => "remove",
            Self::Startup => "startup",
            Self::Shutdown => "shutdown",
            Self::Update => "update",
            Self::Kill => "kill",
            Self::PullImages => "pull_images",
            Self::Script => "script",
        }
    }

    /// Returns the action of a word of the command line, of `perform`, or of the library (`signal`,
    /// `run_script`).
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "signal" => Some(Self::Kill),
            "run_script" | "single_cmd" => Some(Self::Script),
            _ => Self::ALL.into_iter().find(|action| action.as_str() == name),
        }
    }

    /// Tells which items an action visits beside the selected ones.
    pub fn reach(self) -> Reach {
        match self {
            Self::Restart | Self::Kill => Reach::Selected,
            Self::Stop | Self::Remove | Self::Shutdown => Reach::Dependents,
            Self::Create | Self::Start | Self::Startup | Self::Update | Self::Script => Reach::Dependencies,
            Self::PullImages => Reach::Images,
        }
    }
}

/// Which items an action visits (engine §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The selected ones only.
    Selected,
    /// What they depend on first, then they.
    Dependencies,
    /// What depends on them first, then they.
    Dependents,
    /// The images of what they depend on, and their own.
    Images,
}

impl ExecCheck {
    /// Returns the check of the words `full`, `partial`, `none`.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "full" => Some(Self::Full),
            "partial" => Some(Self::Partial),
            "none" => Some(Self::None),
            _ => None,
        }
    }
}
