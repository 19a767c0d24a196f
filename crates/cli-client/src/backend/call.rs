//! What every call is made of: a command that is checked, run and read, and what is known about the engine behind it.

use dfab_client::backend::Result;
use dfab_client::engine_json::{self, Unreadable};
use dfab_client::error::{Cause, Error};
use dfab_map::observed::EngineInfo;
use dfab_tunnel::Secret;
use serde_json::Value;

use super::CliBackend;
use crate::command::{self, Built, Command, Generation};
use crate::failure::{self, Unusable};
use crate::frame::Finished;
use crate::parse;

/// The oldest API version that is spoken (design §4, O-02).
const OLDEST_API: (u32, u32) = (1, 40);

/// What is known about the engine and the program.
pub(super) struct Engine {
    pub(super) info: EngineInfo,
    pub(super) version: Value,
    pub(super) generation: Generation,
}

impl CliBackend {
    pub(crate) fn error(&self, operation: impl Into<String>, cause: Cause) -> Error {
        Error { operation: operation.into(), host: self.host.name().to_owned(), cause }
    }

    /// Checks a built command. A word with a NUL byte cannot be an argument of any program, nor a
    /// value of the environment, nor a word of a shell.
    pub(crate) fn built(&self, operation: &str, built: Built) -> Result<Command> {
        let command = built.map_err(|cause| self.error(operation, cause))?;
        let secrets = command.input.iter().chain(command.exported.iter().map(|(_, value)| value));
        let words = command.words.iter().chain(&command.before).map(String::as_str);
        if words.chain(secrets.map(Secret::reveal)).any(|word| word.contains('\0')) {
            return Err(self.error(operation, Cause::Input("an argument has a NUL byte in it".to_owned())));
        }
        Ok(command)
    }

    /// Runs a command that must succeed.
    pub(crate) async fn run(&self, command: Command) -> Result<Finished> {
        let (operation, merged) = (command.operation.clone(), command.merged);
        let finished = self.batches.run(command).await;
        self.succeeded(&operation, merged, finished)
    }

    pub(crate) fn succeeded(
        &self,
        operation: &str,
        merged: bool,
        finished: std::result::Result<Finished, Unusable>,
    ) -> Result<Finished> {
        let mut finished =
            finished.map_err(|unusable| self.error(operation, Cause::Unreachable(Box::new(unusable))))?;
        if !failure::is_failure(&finished) {
            return Ok(finished);
        }
        if merged {
            finished.stderr = std::mem::take(&mut finished.stdout);
        }
        Err(self.error(operation, failure::cause(&finished, self.host.name(), &self.host.options)))
    }

    /// Runs the command that `build` makes.
    pub(crate) async fn call(&self, operation: &str, build: impl FnOnce() -> Built) -> Result<Finished> {
        self.run(self.built(operation, build())?).await
    }

    pub(super) fn unreadable(&self, operation: &str) -> impl Fn(Unreadable) -> Error + '_ {
        let operation = operation.to_owned();
        move |error| self.error(operation.clone(), Cause::Answer(error.to_string()))
    }

    pub(super) async fn engine(&self) -> Result<&Engine> {
        self.engine.get_or_try_init(|| self.ask_version()).await
    }

    /// Asks the program for both versions; the API version is the lower one (clients-tasks §5.10).
    pub(super) async fn ask_version(&self) -> Result<Engine> {
        let command = command::version();
        let operation = command.operation.clone();
        let finished = self.run(command).await?;
        let failed = |cause| self.error(operation.clone(), cause);
        let answer = parse::json(&finished.stdout).map_err(failed)?;
        let no_server = || Cause::Answer("the docker command line names no engine".to_owned());
        let version = parse::version(&answer).ok_or_else(|| failed(no_server()))?;
        let mut info = engine_json::engine_info(&version).map_err(self.unreadable(&operation))?;
        let client = |field: &str| answer.pointer(field).and_then(Value::as_str).unwrap_or_default();
        if let Some(program) = engine_json::api_version(client("/Client/ApiVersion")) {
            info.api_version = info.api_version.min(program);
        }
        if info.api_version < OLDEST_API {
            let (major, minor) = info.api_version;
            return Err(failed(Cause::Unsupported(format!(
                "engine and command line speak API version {major}.{minor}, and 1.40 is the oldest that dfab speaks; \
                 Docker 19.03 or later is needed"
            ))));
        }
        let generation = generation(client("/Client/Version")).unwrap_or((19, 3));
        Ok(Engine { info, version, generation })
    }

    pub(super) async fn images(&self) -> Result<Value> {
        let command = command::list_images();
        let operation = command.operation.clone();
        let finished = self.run(command).await?;
        let lines = parse::lines(&finished.stdout).map_err(|cause| self.error(operation, cause))?;
        Ok(parse::images(&lines))
    }

    /// Asks the engine for its settings, the answer of `GET /info`.
    pub(super) async fn system(&self) -> Result<Value> {
        let command = command::info();
        let operation = command.operation.clone();
        let finished = self.run(command).await?;
        parse::json(&finished.stdout).map_err(|cause| self.error(operation, cause))
    }

    /// Runs a list and the inspection of its elements. Elements that vanish in between are left out.
    pub(crate) async fn inspected(&self, command: Command) -> Result<Vec<Value>> {
        let operation = command.operation.clone();
        let finished = self.batches.run(command).await;
        let finished =
            finished.map_err(|unusable| self.error(&operation, Cause::Unreachable(Box::new(unusable))))?;
        if finished.status != 0 {
            let cause = failure::cause(&finished, self.host.name(), &self.host.options);
            let stderr = String::from_utf8_lossy(&finished.stderr);
            let mut lines = stderr.lines().filter(|line| !line.trim().is_empty());
            let is_not_found = matches!(cause, Cause::Refused { status: 404, .. });
            if !is_not_found || !lines.all(says_vanished) {
                return Err(self.error(&operation, cause));
            }
        }
        let is_array = finished.stdout.trim_ascii_start().first() == Some(&b'[');
        let elements = if is_array { parse::array(&finished.stdout) } else { parse::lines(&finished.stdout) };
        elements.map_err(|cause| self.error(&operation, cause))
    }
}

/// Tells whether a line names an object that is gone. That a host, a file or the program itself is not found
/// says nothing of the objects.
fn says_vanished(line: &str) -> bool {
    let line = line.to_lowercase();
    let of_kind = |kind| line.contains(&format!("no such {kind}"));
    ["container", "image", "network", "volume", "object"].into_iter().any(of_kind)
        || ["network ", "volume "].iter().any(|kind| {
            line.split_once(kind).is_some_and(|(_, name)| name.trim_end().ends_with(" not found"))
        })
}

/// Reads `20.10.24+dfsg1` as (20, 10).
pub(super) fn generation(version: &str) -> Option<Generation> {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
