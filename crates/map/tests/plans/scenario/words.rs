//! The words of a command: references and options.

use std::time::Duration;

use dfab_map::item::{ItemId, Kind};
use dfab_map::plan::{ExecCheck, PlanOptions, ScriptCommand};
use dfab_map::select::{Maps, Reference, select};
use dfab_map::value::Value;

pub(super) fn items(maps: &Maps, words: &[&str]) -> Result<Vec<ItemId>, String> {
    let references: Vec<Reference> = words
        .iter()
        .filter(|word| !word.starts_with("--"))
        .map(|word| match word.split_once(':') {
            Some((kind, name)) => {
                let (config, instance) = name.split_once('.').unwrap_or((name, ""));
                let kind = if kind == "volume" { Kind::Volume } else { Kind::Network };
                let instances = (!instance.is_empty()).then(|| instance.to_owned()).into_iter().collect();
                Reference { kind, instances, ..Reference::config(config) }
            }
            None => Reference::word(maps, None, word),
        })
        .collect();
    select(maps, &references, None, &[]).map_err(|findings| findings.to_string())
}

pub(super) fn options(maps: &Maps, words: &[&str]) -> Result<PlanOptions, String> {
    let mut options = PlanOptions::default();
    for word in words.iter().filter_map(|word| word.strip_prefix("--")) {
        let (name, value) = word.split_once('=').unwrap_or((word, "true"));
        let flag = value == "true";
        match name {
            "force_update" => {
                options.force_update.extend(items(maps, &value.split(',').collect::<Vec<_>>())?)
            }
            "nonrecoverable_exit_codes" => {
                options.nonrecoverable_exit_codes =
                    value.split(',').map(|code| code.parse().unwrap()).collect();
            }
            "check_exec_commands" => {
                options.check_exec_commands = ExecCheck::by_name(value).ok_or("unknown check")?
            }
            "update_persistent" => options.update_persistent = flag,
            "skip_limit_reset" => options.skip_limit_reset = flag,
            "pull_before_update" => options.pull_before_update = flag,
            "pull_all_images" => options.pull_all_images = flag,
            "restart_exec_commands" => options.restart_exec_commands = flag,
            "remove_persistent" => options.remove_persistent = flag,
            "remove_attached" => options.remove_attached = flag,
            "remove_networks" => options.remove_networks = flag,
            "remove_orphans" => options.remove_orphans = flag,
            "remove_existing_before" => options.remove_existing_before = flag,
            "remove_created_after" => options.remove_created_after = flag,
            "pull_insecure_registry" => options.pull_insecure_registry = flag,
            "prepare_local" => options.prepare_local = flag,
            "v" => options.remove_volumes = flag,
            "timeout" => options.timeout = Some(Duration::from_secs(value.parse().unwrap())),
            "wait_timeout" => options.script.wait_timeout = Some(Duration::from_secs(value.parse().unwrap())),
            "command_format" => {
                options.script.command_format = Some(ScriptCommand::Text(value.replace('+', " ")))
            }
            "tail" => options.script.tail = Some(value.parse().unwrap()),
            "wait_healthy" => options.wait_healthy = flag,
            "force" => options.force = flag,
            "signal" => options.signal = Some(value.to_owned()),
            "script_dir" => options.script.host_dir = Some(value.to_owned()),
            "script" => options.script.file = Some(value.to_owned()),
            "entrypoint" => options.script.entrypoint = Some(ScriptCommand::Text(value.to_owned())),
            // `KEY:JSON`, without blanks.
            "create" => {
                let (key, value) = value.split_once(':').ok_or("expected KEY:JSON")?;
                let value: serde_json::Value =
                    serde_json::from_str(value).map_err(|error| error.to_string())?;
                options.create.insert(key.to_owned(), from_json(&value));
            }
            "env" => {
                let value = Value::List(vec![Value::from(value)]);
                options.create.insert("environment".to_owned(), value);
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::from(number.as_i64().unwrap()),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            Value::Mapping(members.iter().map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}
