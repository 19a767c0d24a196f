//! From exit status and standard error to [`Cause`]: the one place that tells refused, unreachable
//! and unusable apart (clients-tasks §5.2).

use std::sync::Arc;

use dfab_client::error::{Cause, Source};

use crate::frame::Finished;
use crate::options::CliOptions;

/// Why no command can be run on a host at all. It is the source of [`Cause::Unreachable`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Unusable {
    /// There is no such program.
    #[error(
        "docker command line client `{binary}` not found on `{host}`; install it there, or set `docker_cli_bin`"
    )]
    NoProgram {
        /// The program as it was called.
        binary: String,
        /// The host.
        host: String,
    },
    /// The user may not use the engine's socket.
    #[error(
        "permission denied on the engine's socket on `{host}`; add the user to the group `docker` there, or set \
         `docker_cli_sudo`: {message}"
    )]
    NoPermission {
        /// The host.
        host: String,
        /// What the program said.
        message: String,
    },
    /// sudo asks for a password that was not given, or does not accept it.
    #[error("sudo on `{host}` asks for a password: {message}")]
    SudoPassword {
        /// The host.
        host: String,
        /// What sudo said.
        message: String,
    },
    /// sudo does not let the user run the program.
    #[error("sudo on `{host}` refuses: {message}")]
    SudoRefuses {
        /// The host.
        host: String,
        /// What sudo said.
        message: String,
    },
    /// The program cannot reach its engine.
    #[error("{message}")]
    NoEngine {
        /// What the program said.
        message: String,
    },
    /// The host's shell gave no usable answer.
    #[error("the shell on `{host}` gives no usable answer{}", said(.message))]
    NoShell {
        /// The host.
        host: String,
        /// What it wrote to standard error, and how it ended.
        message: String,
        /// What is wrong with its output.
        #[source]
        source: Option<Shared>,
    },
    /// The host cannot be reached, or the connection broke.
    #[error("no command can be run on `{host}`")]
    NoHost {
        /// The host.
        host: String,
        /// Why; shared by all commands of one channel.
        #[source]
        source: Shared,
    },
}

/// An error that several calls failed of.
#[derive(Clone, Debug)]
pub struct Shared(Arc<Source>);

impl Shared {
    /// Shares an error.
    pub(crate) fn new(source: Source) -> Self {
        Self(Arc::new(source))
    }
}

impl std::fmt::Display for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Shared {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

fn said(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Texts of refusals and the HTTP status that the Engine API has for them; the first that is in the
/// message counts. Where engine generations differ, it is the status of the API backend.
const STATUSES: &[(&str, u16)] = &[
    // A port is no object of the engine's: the API has 500 for both.
    ("address already in use", 500),
    ("port is already allocated", 500),
    // Words of the container's own system, not of the engine.
    ("executable file not found", 400),
    ("oci runtime", 400),
    ("is not connected to", 404),
    ("no such ", 404),
    ("reference does not exist", 404),
    ("pull access denied", 404),
    ("manifest unknown", 404),
    ("no basic auth credentials", 401),
    ("unauthorized", 401),
    ("denied: ", 403),
    ("has active endpoints", 409),
    ("already in use", 409),
    ("already exists", 409),
    ("conflict", 409),
    ("volume is in use", 409),
    ("is not running", 409),
    ("is running", 409),
    ("a running container", 409),
    ("is not paused", 409),
    ("is paused", 409),
    ("is already in progress", 409),
    ("marked for removal", 409),
    ("is being used by", 409),
    ("not found", 404),
    ("could not find", 404),
    ("invalid reference format", 400),
    ("invalid ", 400),
];

/// Returns the cause for a command that ended with a status other than zero, or that reports an
/// error although it ended well (see [`is_failure`]).
pub(crate) fn cause(finished: &Finished, host: &str, options: &CliOptions) -> Cause {
    let stderr = String::from_utf8_lossy(&finished.stderr);
    let message = message(&stderr);
    let lower = message.to_lowercase();
    let has = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let host = host.to_owned();
    let unusable = |unusable: Unusable| Cause::Unreachable(Box::new(unusable));
    let from_engine = stderr.contains("response from daemon") || lower.contains("oci runtime");

    if lower.contains("sudo: ") || lower.contains("sorry, try again") || lower.contains("sudoers") {
        if has(&["command not found", "no such file"]) {
            return unusable(Unusable::NoProgram { binary: options.binary.clone(), host });
        }
        if has(&["password", "terminal is required", "sorry, try again"]) {
            return unusable(Unusable::SudoPassword { host, message });
        }
        return unusable(Unusable::SudoRefuses { host, message });
    }
    if lower.contains("argument list too long") {
        return Cause::Input(
            "the arguments are longer than the host's system lets a command have".to_owned(),
        );
    }
    if finished.status == 127 && !from_engine {
        return unusable(Unusable::NoProgram { binary: options.binary.clone(), host });
    }
    if !from_engine {
        if has(&["permission denied while trying to connect", "dial unix"])
            && lower.contains("permission denied")
        {
            return unusable(Unusable::NoPermission { host, message });
        }
        if has(&[
            "cannot connect to the docker daemon",
            "error during connect",
            "failed to connect to the docker api",
        ]) {
            return unusable(Unusable::NoEngine { message });
        }
        if has(&["requires api version", "unknown flag", "unknown shorthand flag", "is not a docker command"])
            || has(&["unknown command: docker", "client version", "is too new", "is too old"])
        {
            return Cause::Unsupported(format!("the docker command line on `{host}` says: {message}"));
        }
    }
    let known = STATUSES.iter().find(|(part, _)| lower.contains(part));
    let status = known.map_or(500, |(_, status)| *status);
    let message = if message.is_empty() {
        format!("the docker command line ended with status {} and no message", finished.status)
    } else {
        message
    };
    Cause::Refused { status, message }
}

/// Tells whether a command has failed.
///
/// `docker rm --force` of an absent container ends well since docker 20.10, and says so on standard
/// error only.
pub(crate) fn is_failure(finished: &Finished) -> bool {
    finished.status != 0 || String::from_utf8_lossy(&finished.stderr).contains("No such container")
}

/// Returns the message in a standard error: without prefixes and without advice.
fn message(stderr: &str) -> String {
    let noise = |line: &str| {
        line.is_empty()
            || line.starts_with("See 'docker")
            || line.starts_with("Run 'docker")
            || line.starts_with("Usage:")
            || line.starts_with("WARNING: ")
            // docker 28 warns about `--time`, which older ones need.
            || (line.starts_with("Flag --") && line.contains("has been deprecated"))
    };
    let strip = |line: &str| {
        let mut line = line;
        for prefix in ["docker: ", "Error: ", "Error response from daemon: "] {
            line = line.strip_prefix(prefix).unwrap_or(line);
        }
        line.to_owned()
    };
    let lines: Vec<String> = stderr.lines().map(str::trim).filter(|line| !noise(line)).map(strip).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn of(status: i32, stderr: &str) -> Cause {
        let finished = Finished { status, stdout: Vec::new(), stderr: stderr.as_bytes().to_vec() };
        cause(&finished, "web1", &CliOptions::default())
    }

    fn status(cause: &Cause) -> Option<u16> {
        match cause {
            Cause::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// Recorded from docker 20.10.24, 26.1.5 and 28.2.2.
    #[test]
    fn refusals_have_the_status_of_the_engine_api() {
        let rows: &[(&str, u16, &str)] = &[
            ("Error: No such container: x", 404, "No such container: x"),
            ("Error response from daemon: No such container: x", 404, "No such container: x"),
            ("Error response from daemon: reference does not exist", 404, "reference does not exist"),
            ("Error: No such network: x", 404, "No such network: x"),
            ("Error response from daemon: network x not found", 404, "network x not found"),
            ("Error: No such volume: x", 404, "No such volume: x"),
            ("Error response from daemon: get x: no such volume", 404, "get x: no such volume"),
            ("Error: No such object: x", 404, "No such object: x"),
            ("Error response from daemon: No such image: x:latest", 404, "No such image: x:latest"),
            (
                "Error response from daemon: container 1 is not connected to network n",
                404,
                "container 1 is not connected to network n",
            ),
            (
                "Error response from daemon: Conflict. The container name \"/x\" is already in use by container \"1\".",
                409,
                "Conflict. The container name \"/x\" is already in use by container \"1\".",
            ),
            (
                "Error response from daemon: network with name n already exists",
                409,
                "network with name n already exists",
            ),
            (
                "Error response from daemon: remove v: volume is in use - [1]",
                409,
                "remove v: volume is in use - [1]",
            ),
            (
                "Error response from daemon: error while removing network: network n id 1 has active endpoints",
                409,
                "error while removing network: network n id 1 has active endpoints",
            ),
            (
                "Error response from daemon: You cannot remove a running container 1. Stop the container before \
                 attempting removal or force remove",
                409,
                "You cannot remove a running container 1. Stop the container before attempting removal or force remove",
            ),
            (
                "Error response from daemon: cannot remove container \"/x\": container is running: stop the container",
                409,
                "cannot remove container \"/x\": container is running: stop the container",
            ),
            (
                "Error response from daemon: Cannot kill container: x: Container 1 is not running",
                409,
                "Cannot kill container: x: Container 1 is not running",
            ),
            (
                "Error response from daemon: cannot kill container: x: container 1 is not running",
                409,
                "cannot kill container: x: container 1 is not running",
            ),
            (
                "Error response from daemon: driver failed programming external connectivity on endpoint x: Bind for \
                 0.0.0.0:80 failed: port is already allocated\nError: failed to start containers: x",
                500,
                "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is \
                 already allocated; failed to start containers: x",
            ),
            (
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": executable file \
                 not found in $PATH: unknown",
                400,
                "OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": executable file \
                 not found in $PATH: unknown",
            ),
            (
                "Error response from daemon: manifest for r/x:1 not found: manifest unknown: manifest unknown",
                404,
                "manifest for r/x:1 not found: manifest unknown: manifest unknown",
            ),
            (
                "Error response from daemon: pull access denied for x, repository does not exist or may require \
                 'docker login': denied: requested access to the resource is denied",
                404,
                "pull access denied for x, repository does not exist or may require 'docker login': denied: requested \
                 access to the resource is denied",
            ),
            (
                "Error response from daemon: Get \"https://r/v2/\": no basic auth credentials",
                401,
                "Get \"https://r/v2/\": no basic auth credentials",
            ),
            (
                "Error response from daemon: Get \"https://r/v2/\": x509: certificate signed by unknown authority",
                500,
                "Get \"https://r/v2/\": x509: certificate signed by unknown authority",
            ),
            (
                "Error response from daemon: Get \"http://r/v2/\": dial tcp 10.0.0.1:80: connect: connection refused",
                500,
                "Get \"http://r/v2/\": dial tcp 10.0.0.1:80: connect: connection refused",
            ),
            (
                "docker: invalid reference format.\nSee 'docker create --help'.",
                400,
                "invalid reference format.",
            ),
            (
                "Flag --time has been deprecated, use --timeout instead\nError response from daemon: No such container: x",
                404,
                "No such container: x",
            ),
            ("", 500, "the docker command line ended with status 1 and no message"),
        ];
        for (stderr, expected, text) in rows {
            let cause = of(1, stderr);
            assert_eq!(status(&cause), Some(*expected), "{stderr}");
            assert!(matches!(&cause, Cause::Refused { message, .. } if message == text), "{stderr}: {cause}");
        }
    }

    /// The source of a failure to reach the engine.
    fn source(cause: &Cause) -> String {
        assert!(matches!(cause, Cause::Unreachable(_)), "{cause}");
        cause.source().unwrap().to_string()
    }

    #[test]
    fn what_stands_in_the_way_is_said_with_what_to_do() {
        let rows: &[(i32, &str, &str)] = &[
            (127, "sh: 1: docker: not found", "docker command line client `docker` not found on `web1`"),
            (
                127,
                "bash: line 1: docker: command not found",
                "docker command line client `docker` not found on `web1`",
            ),
            (1, "sudo: docker: command not found", "docker command line client `docker` not found on `web1`"),
            (
                1,
                "Got permission denied while trying to connect to the Docker daemon socket at \
                 unix:///var/run/docker.sock: Get \"http://%2Fvar%2Frun%2Fdocker.sock/v1.24/version\": dial unix \
                 /var/run/docker.sock: connect: permission denied",
                "add the user to the group `docker` there, or set `docker_cli_sudo`",
            ),
            (
                1,
                "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: \
                 Head \"http://x/_ping\": dial unix /var/run/docker.sock: connect: permission denied",
                "add the user to the group `docker` there, or set `docker_cli_sudo`",
            ),
            (
                1,
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
                "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            ),
            (
                1,
                "error during connect: Get \"http://10.0.0.1:2375/version\": dial tcp 10.0.0.1:2375: connection refused",
                "dial tcp 10.0.0.1:2375: connection refused",
            ),
            (1, "sudo: a password is required", "sudo on `web1` asks for a password"),
            (1, "sudo: a terminal is required to read the password", "sudo on `web1` asks for a password"),
            (1, "Sorry, try again.\nsudo: no password was provided", "sudo on `web1` asks for a password"),
            (1, "deploy is not in the sudoers file.", "sudo on `web1` refuses"),
        ];
        for (status, stderr, expected) in rows {
            let source = source(&of(*status, stderr));
            assert!(source.contains(expected), "{stderr}: {source}");
        }
    }

    #[test]
    fn words_of_the_engine_are_never_taken_for_a_missing_program() {
        let engine = "Error response from daemon: OCI runtime create failed: exec: \"nope\": not found";
        assert!(matches!(of(127, engine), Cause::Refused { .. }));
        assert!(matches!(of(126, "OCI runtime exec failed: permission denied"), Cause::Refused { .. }));
    }

    #[test]
    fn a_flag_that_the_program_does_not_know_is_no_refusal_of_the_engine() {
        for stderr in [
            "unknown flag: --health-start-interval\nSee 'docker create --help'.",
            "\"--health-start-interval\" requires API version 1.44, but the Docker daemon API version is 1.41",
            "docker: 'foo' is not a docker command.",
            "Error response from daemon: client version 1.51 is too new. Maximum supported API version is 1.41",
        ] {
            let cause = of(1, stderr);
            let from_engine = stderr.starts_with("Error response");
            assert_eq!(matches!(cause, Cause::Unsupported(_)), !from_engine, "{stderr}: {cause}");
        }
    }

    #[test]
    fn a_forced_removal_of_nothing_is_a_failure() {
        let finished =
            Finished { status: 0, stdout: Vec::new(), stderr: b"Error: No such container: x\n".to_vec() };
        assert!(is_failure(&finished));
        assert!(!is_failure(&Finished::default()));
    }
}
