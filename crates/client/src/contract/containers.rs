//! Checks of containers.

use std::time::Duration;

use dfab_map::observed::{ContainerState, ObservedContainer};
use dfab_map::property::Property;
use dfab_map::spec::Properties;
use futures_util::FutureExt;
use serde_json::{Value, json};

use super::{Broken, Check, Checked, LONG, SHORT, Suite, checks, conflict, equal, expect, not_found};
use crate::backend::{Health, LogOptions};

pub(super) const CHECKS: &[(&str, Check)] = checks![
    a_created_container_shows_what_was_asked_for,
    a_name_that_is_taken_is_a_conflict,
    a_container_of_a_missing_image_is_not_found,
    what_does_not_exist_is_none_or_not_found,
    starting_and_stopping_twice_is_no_error,
    a_signal_ends_a_running_container_and_is_a_conflict_otherwise,
    waiting_returns_the_exit_code_or_none_in_time,
    a_running_container_is_removed_by_force_only,
    anonymous_volumes_go_with_their_container_when_asked,
    limits_and_restart_policy_change_in_place,
    commands_run_in_running_containers_only,
    logs_are_merged_and_can_be_cut,
    health_is_that_of_the_check,
    a_restart_starts_what_runs_and_what_does_not,
    a_container_takes_another_name_that_is_free,
    what_is_not_paused_cannot_continue,
];

async fn inspected(suite: &Suite<'_>, name: &str) -> Result<ObservedContainer, Broken> {
    let container = suite.backend.inspect_container(name).await?;
    container.ok_or_else(|| Broken(format!("container `{name}` is not there")))
}

async fn property(suite: &Suite<'_>, name: &str, property: Property) -> Result<Value, Broken> {
    let detail = inspected(suite, name).await?.detail;
    let detail = detail.ok_or_else(|| Broken("an inspected container has no detail".into()))?;
    Ok(detail.properties.get(&property).cloned().unwrap_or_default())
}

async fn a_created_container_shows_what_was_asked_for(suite: &Suite<'_>) -> Checked {
    let mut spec = suite.running("shown");
    let asked = Properties::from([
        (Property::User, json!("0")),
        (Property::Hostname, json!("contract-host")),
        (Property::WorkingDir, json!("/")),
        (Property::StopSignal, json!("SIGTERM")),
        (Property::StopTimeout, json!(7)),
        (Property::ExposedPorts, json!(["53/udp", "80/tcp"])),
        (Property::PortBindings, json!({"80/tcp": [{"HostPort": "18745"}]})),
        (Property::MemLimit, json!(67_108_864)),
        (Property::CpuShares, json!(512)),
        (Property::RestartPolicy, json!({"Name": "on-failure", "MaximumRetryCount": 3})),
        (Property::CapAdd, json!(["NET_ADMIN"])),
        (Property::Dns, json!(["192.0.2.1"])),
        (Property::ExtraHosts, json!(["db:192.0.2.2"])),
        (Property::ReadOnly, json!(true)),
        (Property::Tmpfs, json!({"/run": ""})),
    ]);
    spec.properties.extend(asked.clone());
    spec.properties.insert(Property::Environment, json!(["LANG=C", "EMPTY=", "TEXT=a b=c"]));
    spec.properties.insert(Property::Labels, json!({"contract": "yes", "empty": ""}));
    spec.own_labels.insert("dfab.map".into(), "contract".into());
    suite.backend.create_container(&spec).await?;

    let container = inspected(suite, &spec.name).await?;
    equal("state", container.state, ContainerState::Created)?;
    let label = |name: &str| container.labels.get(name).map(String::as_str);
    equal("label", label("contract"), Some("yes"))?;
    equal("empty label", label("empty"), Some(""))?;
    equal("our label", label("dfab.map"), Some("contract"))?;
    let properties = container.detail.map(|detail| detail.properties).unwrap_or_default();
    for (name, value) in asked {
        equal(name.name(), properties.get(&name), Some(&value))?;
    }
    equal("command", properties.get(&Property::Command), Some(&json!(suite.fixture.running)))?;
    let environment = properties.get(&Property::Environment).cloned().unwrap_or_default();
    for line in ["LANG=C", "EMPTY=", "TEXT=a b=c"] {
        expect(line, environment.as_array().is_some_and(|lines| lines.contains(&json!(line))))?;
    }

    let listed = suite.backend.list_containers().await?.remove(&spec.name);
    let listed = listed.ok_or_else(|| Broken("the container is not in the list".into()))?;
    equal("listed ID", &listed.container.id, &container.id)?;
    equal("listed state", listed.container.state, ContainerState::Created)?;
    let image = suite.backend.image_id(&spec.image).await?;
    equal("image", Some(container.image_id), image)
}

async fn a_name_that_is_taken_is_a_conflict(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("taken");
    suite.backend.create_container(&spec).await?;
    conflict("creating it again", suite.backend.create_container(&spec).await)
}

async fn a_container_of_a_missing_image_is_not_found(suite: &Suite<'_>) -> Checked {
    let mut spec = suite.running("no-image");
    spec.image = suite.fixture.absent_image.clone();
    not_found("creating it", suite.backend.create_container(&spec).await)?;
    equal("image", suite.backend.image_id(&spec.image).await?, None)
}

async fn what_does_not_exist_is_none_or_not_found(suite: &Suite<'_>) -> Checked {
    let name = suite.name("nothing");
    expect("there is nothing to inspect", suite.backend.inspect_container(&name).await?.is_none())?;
    not_found("starting", suite.backend.start_container(&name).await)?;
    not_found("stopping", suite.backend.stop_container(&name, None).await)?;
    not_found("killing", suite.backend.kill_container(&name, None).await)?;
    not_found("waiting", suite.backend.wait_container(&name, Some(LONG)).await)?;
    not_found("removing", suite.backend.remove_container(&name, false, true).await)?;
    not_found("updating", suite.backend.update_container(&name, &Properties::new()).await)?;
    not_found("reading the log", suite.backend.container_logs(&name, LogOptions::default()).await)?;
    not_found("exec", suite.backend.exec(&name, &["true".into()], None).await)
}

async fn starting_and_stopping_twice_is_no_error(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("twice");
    suite.backend.create_container(&spec).await?;
    for _ in 0..2 {
        suite.backend.start_container(&spec.name).await?;
        equal("state", inspected(suite, &spec.name).await?.state, ContainerState::Running)?;
    }
    for _ in 0..2 {
        suite.backend.stop_container(&spec.name, Some(Duration::from_secs(5))).await?;
        let state = inspected(suite, &spec.name).await?.state;
        expect("it has ended", matches!(state, ContainerState::Exited(_)))?;
    }
    let listed = suite.backend.list_containers().await?.remove(&spec.name);
    let state = listed.map(|listed| listed.container.state);
    expect("the list says so", matches!(state, Some(ContainerState::Exited(_))))
}

async fn a_signal_ends_a_running_container_and_is_a_conflict_otherwise(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("signal");
    suite.create_and_start(&spec).await?;
    suite.backend.kill_container(&spec.name, None).await?;
    let code = suite.backend.wait_container(&spec.name, Some(LONG)).await?;
    equal("exit code after SIGKILL", code, Some(137))?;
    conflict("another signal", suite.backend.kill_container(&spec.name, Some("SIGTERM")).await)
}

async fn waiting_returns_the_exit_code_or_none_in_time(suite: &Suite<'_>) -> Checked {
    let running = suite.running("waiting");
    suite.create_and_start(&running).await?;
    equal("still running", suite.backend.wait_container(&running.name, Some(SHORT)).await?, None)?;
    let ending = suite.ending("ending");
    suite.create_and_start(&ending).await?;
    let code = suite.backend.wait_container(&ending.name, Some(LONG)).await?;
    equal("exit code", code, Some(3))?;
    equal("exit code again", suite.backend.wait_container(&ending.name, None).await?, Some(3))?;
    equal("state", inspected(suite, &ending.name).await?.state, ContainerState::Exited(3))
}

async fn a_running_container_is_removed_by_force_only(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("removed");
    suite.create_and_start(&spec).await?;
    conflict("removing it", suite.backend.remove_container(&spec.name, false, false).await)?;
    suite.backend.remove_container(&spec.name, false, true).await?;
    expect("it is gone", suite.backend.inspect_container(&spec.name).await?.is_none())
}

async fn anonymous_volumes_go_with_their_container_when_asked(suite: &Suite<'_>) -> Checked {
    let named = suite.name("kept");
    let mut spec = suite.running("volumes");
    spec.properties.insert(Property::Shares, json!(["/anonymous"]));
    spec.properties.insert(Property::Binds, json!([format!("{named}:/named:rw")]));
    suite.backend.create_container(&spec).await?;
    let mounts = inspected(suite, &spec.name).await?.detail.map(|detail| detail.mounts).unwrap_or_default();
    let anonymous = mounts.get("/anonymous").map(|mount| mount.source.clone()).unwrap_or_default();
    equal("named volume", mounts.get("/named").map(|mount| mount.source.clone()), Some(named.clone()))?;
    expect("the anonymous volume is there", suite.backend.list_volumes().await?.contains_key(&anonymous))?;
    suite.backend.remove_container(&spec.name, true, false).await?;
    let volumes = suite.backend.list_volumes().await?;
    expect("the anonymous volume is gone", !volumes.contains_key(&anonymous))?;
    expect("the named volume is kept", volumes.contains_key(&named))
}

async fn limits_and_restart_policy_change_in_place(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("update");
    suite.create_and_start(&spec).await?;
    let id = inspected(suite, &spec.name).await?.id;
    let changes = Properties::from([
        (Property::CpuShares, json!(256)),
        (Property::RestartPolicy, json!({"Name": "unless-stopped"})),
    ]);
    suite.backend.update_container(&spec.name, &changes).await?;
    for (name, value) in changes {
        equal(name.name(), property(suite, &spec.name, name).await?, value)?;
    }
    equal("ID", inspected(suite, &spec.name).await?.id, id)
}

async fn commands_run_in_running_containers_only(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("exec");
    suite.backend.create_container(&spec).await?;
    let command = ["sleep".to_owned(), "3141".to_owned()];
    conflict("a command before the start", suite.backend.exec(&spec.name, &command, None).await)?;
    conflict("its processes", suite.backend.container_processes(&spec.name).await)?;
    suite.backend.start_container(&spec.name).await?;
    suite.backend.exec(&spec.name, &command, Some("root")).await?;
    // It was started detached, so it may take a moment to show.
    let shows = async {
        loop {
            let processes = suite.backend.container_processes(&spec.name).await?;
            if processes.contains(&("root".into(), "sleep 3141".into())) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let never = || Err(Broken("the command does not show among the processes".into()));
    tokio::time::timeout(LONG, shows).await.unwrap_or_else(|_| never())
}

async fn logs_are_merged_and_can_be_cut(suite: &Suite<'_>) -> Checked {
    let spec = suite.ending("log");
    suite.create_and_start(&spec).await?;
    suite.backend.wait_container(&spec.name, Some(LONG)).await?;
    let log = |options| async move {
        let log = suite.backend.container_logs(&spec.name, options).await?;
        Ok::<_, Broken>(String::from_utf8_lossy(&log).into_owned())
    };
    equal("log", log.clone()(LogOptions::default()).await?.as_str(), "hello\nworld\n")?;
    let last = LogOptions { tail: Some(1), ..LogOptions::default() };
    equal("last line", log(last).await?.as_str(), "world\n")
}

async fn health_is_that_of_the_check(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("health");
    suite.backend.create_container(&spec).await?;
    equal("before the start", suite.backend.container_health(&spec.name).await?, Health::Ended)?;
    suite.backend.start_container(&spec.name).await?;
    equal("without a check", suite.backend.container_health(&spec.name).await?, Health::Unchecked)
}

async fn a_restart_starts_what_runs_and_what_does_not(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("restart");
    suite.backend.create_container(&spec).await?;
    let id = inspected(suite, &spec.name).await?.id;
    for when in ["before the start", "while it runs"] {
        suite.backend.restart_container(&spec.name, Some(Duration::from_secs(5))).await?;
        let container = inspected(suite, &spec.name).await?;
        equal(when, (container.state, &container.id), (ContainerState::Running, &id))?;
    }
    let absent = suite.backend.restart_container(&suite.name("nothing"), Some(SHORT)).await;
    not_found("restarting nothing", absent)
}

async fn a_container_takes_another_name_that_is_free(suite: &Suite<'_>) -> Checked {
    let (before, other) = (suite.running("before"), suite.running("other"));
    suite.backend.create_container(&before).await?;
    suite.backend.create_container(&other).await?;
    let id = inspected(suite, &before.name).await?.id;
    conflict("a name that is taken", suite.backend.rename_container(&before.name, &other.name).await)?;
    let after = suite.name("after");
    suite.backend.rename_container(&before.name, &after).await?;
    equal("ID", inspected(suite, &after).await?.id, id)?;
    expect("the old name is free", suite.backend.inspect_container(&before.name).await?.is_none())?;
    not_found("renaming nothing", suite.backend.rename_container(&before.name, &suite.name("x")).await)
}

async fn what_is_not_paused_cannot_continue(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("awake");
    suite.create_and_start(&spec).await?;
    conflict("unpausing it", suite.backend.unpause_container(&spec.name).await)?;
    not_found("unpausing nothing", suite.backend.unpause_container(&suite.name("nothing")).await)
}
