//! The keywords of the action tasks, by family (clients-tasks §9.3).

use crate::registry::{Parameter, ParameterKind, Place};

pub const BOOL: ParameterKind = ParameterKind::Bool;
pub const LIST: ParameterKind = ParameterKind::List;

/// What every action takes.
pub const TARGET: &[Parameter] = &[
    Parameter::rest("target", "map, configuration or group, instances"),
    Parameter::keyword(
        "map_name",
        ParameterKind::Text,
        "",
        "map of configurations that are named without one",
    ),
    Parameter::keyword("instances", LIST, "", "instances to work on"),
    Parameter::keyword(
        "nonrecoverable_exit_codes",
        LIST,
        "-127, -1",
        "exit codes after which a container is made anew instead of started",
    ),
];

pub const PREPARE: &[Parameter] = &[Parameter::keyword(
    "prepare_local",
    BOOL,
    "true",
    "set ownership of volumes by a command on the host where the backend can run one, else in a helper container",
)];

pub const TIMEOUT: &[Parameter] =
    &[Parameter::keyword("timeout", ParameterKind::Integer, "", "seconds before a stop becomes a kill")];

pub const REMOVE: &[Parameter] = &[
    Parameter::keyword("remove_persistent", BOOL, "true", "remove persistent containers too"),
    Parameter::keyword("remove_attached", BOOL, "false", "remove the attached volumes, and their data"),
    Parameter::keyword("remove_networks", BOOL, "false", "remove networks that nothing else is connected to"),
];

pub const ORPHANS: &[Parameter] = &[Parameter::keyword(
    "remove_orphans",
    BOOL,
    "false",
    "remove containers and networks that dfab made for this map and that are no longer in it",
)];

pub const FORCE_REMOVE: &[Parameter] = &[
    Parameter::keyword("v", BOOL, "false", "remove anonymous volumes of the selected containers too"),
    Parameter::keyword("force", BOOL, "false", "remove the selected containers also when they run"),
];

pub const HEALTHY: &[Parameter] = &[Parameter::keyword(
    "wait_healthy",
    BOOL,
    "false",
    "start what depends on a container with a health check only when it is healthy",
)];

pub const UPDATE: &[Parameter] = &[
    Parameter::keyword("force_update", LIST, "", "configurations to make anew in any case"),
    Parameter::keyword(
        "update_persistent",
        BOOL,
        "false",
        "let persistent containers follow their image too",
    ),
    Parameter::keyword(
        "check_exec_commands",
        ParameterKind::Choice(&["full", "partial", "none"]),
        "full",
        "how to find out whether exec commands run",
    ),
    Parameter::keyword(
        "skip_limit_reset",
        BOOL,
        "false",
        "leave limits that only a new container could lift",
    ),
    Parameter::keyword("pull_before_update", BOOL, "false", "pull every image first"),
];

pub const INSECURE: &[Parameter] = &[Parameter::keyword(
    "pull_insecure_registry",
    BOOL,
    "false",
    "accepted; the engine's own settings decide",
)];

pub const PULL: &[Parameter] = &[Parameter::keyword(
    "pull_all_images",
    BOOL,
    "true",
    "pull also what is present; false pulls what is absent",
)];

pub const RESTART: &[Parameter] =
    &[Parameter::keyword("restart_exec_commands", BOOL, "false", "run exec commands again afterwards")];

pub const SIGNAL: &[Parameter] =
    &[Parameter::keyword("signal", ParameterKind::Text, "SIGKILL", "signal to send")];

pub const ACTION: &[Parameter] = &[Parameter {
    name: "action",
    kind: ParameterKind::Text,
    place: Place::Required,
    default: "",
    help: "name of the action",
}];
