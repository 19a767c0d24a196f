//! The layer of options that makes a container a script run (engine §7.2).

use indexmap::IndexMap;

use super::read;
use crate::plan::{ScriptCommand, ScriptOptions};
use crate::value::Value;

/// The only variable of a command; other braces stay, for shell code often has them (O-08).
const SCRIPT_PATH: &str = "{script_path}";

/// Returns the caller's layer of `create` arguments for a script run: mount, entry point, command.
///
/// # Errors
///
/// A command with an open quote.
pub(super) fn layer(script: &ScriptOptions) -> Result<IndexMap<String, Value>, String> {
    let dir = script.container_script_dir.trim_end_matches('/');
    let path = script.host_dir.as_ref().map(|_| match &script.file {
        Some(file) => format!("{dir}/{file}"),
        None => dir.to_owned(),
    });
    let words = |command: &ScriptCommand| match command {
        ScriptCommand::Text(text) => read::split(text),
        ScriptCommand::Words(words) => Ok(words.clone()),
    };
    let mut layer = IndexMap::new();
    if let Some(entrypoint) = &script.entrypoint {
        layer.insert("entrypoint".to_owned(), list(words(entrypoint)?));
    }
    let default = ScriptCommand::Words(vec!["-c".to_owned(), SCRIPT_PATH.to_owned()]);
    let command = match &script.command_format {
        Some(format) => Some(format),
        // An entry point without a command is meant to run the script (clients-tasks §9.4).
        None => script.entrypoint.as_ref().filter(|_| path.is_some()).map(|_| &default),
    };
    if let Some(command) = command {
        let words = words(command)?.into_iter().map(|word| match &path {
            Some(path) => word.replace(SCRIPT_PATH, path),
            None => word,
        });
        layer.insert("command".to_owned(), list(words.collect()));
    }
    if let Some(host_dir) = &script.host_dir {
        layer.insert("volumes".to_owned(), list(vec![dir.to_owned()]));
        let binds = list(vec![format!("{}:{dir}:rw", super::clean(host_dir))]);
        layer.insert("host_config".to_owned(), Value::Mapping([("binds".to_owned(), binds)].into()));
    }
    Ok(layer)
}

fn list(words: Vec<String>) -> Value {
    Value::List(words.into_iter().map(Value::String).collect())
}
