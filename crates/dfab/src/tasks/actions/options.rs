//! The options of the planner, from the keywords of a call (clients-tasks §9.3).

use std::collections::BTreeSet;
use std::time::Duration;

use dfab_map::item::ItemId;
use dfab_map::plan::{ExecCheck, PlanOptions};
use dfab_map::select::{Reference, select};

use super::selection::Selection;
use crate::cli::Arguments;
use crate::failure::{Failure, Result};

/// Reads the options of the planner.
///
/// # Errors
///
/// A usage failure for values that are none, a configuration failure for names that do not exist.
pub fn plan_options(arguments: &Arguments, selection: &Selection) -> Result<PlanOptions> {
    let defaults = PlanOptions::default();
    let flag = |name: &str, default: bool| arguments.boolean(name).unwrap_or(default);
    let timeout = match arguments.integer("timeout") {
        Some(seconds) if seconds < 0 => {
            return Err(Failure::usage(format!("`{seconds}` is no number of seconds (argument `timeout`)")));
        }
        Some(seconds) => Some(Duration::from_secs(seconds.unsigned_abs())),
        None => None,
    };
    let check = arguments.text("check_exec_commands").and_then(ExecCheck::by_name);
    Ok(PlanOptions {
        nonrecoverable_exit_codes: exit_codes(arguments)?.unwrap_or(defaults.nonrecoverable_exit_codes),
        force_update: force_update(arguments, selection)?,
        update_persistent: flag("update_persistent", defaults.update_persistent),
        check_exec_commands: check.unwrap_or(defaults.check_exec_commands),
        skip_limit_reset: flag("skip_limit_reset", defaults.skip_limit_reset),
        pull_before_update: flag("pull_before_update", defaults.pull_before_update),
        pull_all_images: flag("pull_all_images", defaults.pull_all_images),
        pull_insecure_registry: flag("pull_insecure_registry", defaults.pull_insecure_registry),
        restart_exec_commands: flag("restart_exec_commands", defaults.restart_exec_commands),
        remove_persistent: flag("remove_persistent", defaults.remove_persistent),
        remove_attached: flag("remove_attached", defaults.remove_attached),
        remove_networks: flag("remove_networks", defaults.remove_networks),
        remove_orphans: flag("remove_orphans", defaults.remove_orphans),
        prepare_local: flag("prepare_local", defaults.prepare_local),
        wait_healthy: flag("wait_healthy", defaults.wait_healthy),
        signal: arguments.text("signal").map(str::to_owned),
        timeout,
        remove_volumes: flag("v", defaults.remove_volumes),
        force: flag("force", defaults.force),
        ..defaults
    })
}

/// Reads `nonrecoverable_exit_codes`, where it is given.
///
/// # Errors
///
/// A usage failure for what is no number.
pub fn exit_codes(arguments: &Arguments) -> Result<Option<Vec<i64>>> {
    if !arguments.given("nonrecoverable_exit_codes") {
        return Ok(None);
    }
    let read = |text: &str| {
        text.trim().parse().map_err(|_| {
            Failure::usage(format!("`{text}` is no exit code (argument `nonrecoverable_exit_codes`)"))
        })
    };
    let texts = arguments.list("nonrecoverable_exit_codes").iter().flat_map(|text| text.split(','));
    texts.map(read).collect::<Result<_>>().map(Some)
}

/// Reads `force_update`: configurations as in a call, or volumes as `volume:config` and networks as
/// `network:name`, each with a map before a dot where it is not the call's.
fn force_update(arguments: &Arguments, selection: &Selection) -> Result<BTreeSet<ItemId>> {
    let maps = &selection.loaded.maps;
    let call_map = selection.map();
    let map = selection.default_map.as_deref().or(call_map.as_deref());
    let mut references = Vec::new();
    for word in arguments.list("force_update") {
        let (kind, name) = match word.split_once(':') {
            Some(("volume", name)) => (dfab_map::item::Kind::Volume, name),
            Some(("network", name)) => (dfab_map::item::Kind::Network, name),
            Some(("container", name)) => (dfab_map::item::Kind::Container, name),
            Some((kind, _)) => {
                return Err(Failure::usage(format!(
                    "`{word}`: there is no kind `{kind}` (argument `force_update`)"
                ))
                .nearest(kind, "kinds", ["container", "volume", "network"]));
            }
            None => (dfab_map::item::Kind::Container, word.as_str()),
        };
        references.push(Reference { kind, ..Reference::word(maps, map, name) });
    }
    let items = select(maps, &references, map, &selection.instances).map_err(|findings| {
        let mut failure = Failure::findings(
            "argument `force_update` names what does not exist",
            findings,
            selection.loaded.sources.clone(),
        );
        if let Some(found) = &failure.findings
            && found.0.0.len() == 1
        {
            let finding = &found.0.0[0];
            let (message, hint) =
                (format!("argument `force_update`: {}", finding.message), finding.hint.clone());
            failure = Failure::configuration(message);
            failure.hints.extend(hint);
        }
        failure
    })?;
    Ok(items.into_iter().collect())
}
