//! Update detection is the same over both backends, on the map of every property: the same plans for the same engine,
//! and nothing left to do from either on what the other has created and changed.
//!
//! On one engine generation, created over the Engine API and changed by command lines; with `DFAB_LIVE_ALL` on every one,
//! and the other way round too.

use dfab_map::property::Property;
use dfab_tests::{Host, Outcome, Project, lab_or_skip};
use serde_json::{Value, json};

use crate::every_property::{After, map, rows};

const MAP: &str = "all_map.yaml";

fn update(project: &Project, host: &Host<'_>, backend: &str, more: &[&str]) -> Outcome {
    let call =
        ["-H", &host.name, "--backend", backend, "--output=json", "actions.update", "all_map", "__all__"];
    project.dfab_in(host.lab, &[&call, more].concat()).run().expect_code(0)
}

/// Returns the plan, which must be the same from both.
fn plan(project: &Project, host: &Host<'_>, when: &str) -> Value {
    let of = |backend| update(project, host, backend, &["--dry-run"]).json()["plan"].clone();
    let (api, cli) = (of("api"), of("cli"));
    assert_eq!(
        api, cli,
        "engine {}, {when}: the plans over the Engine API and by command lines",
        host.engine
    );
    api
}

fn backends_agree(host: &Host<'_>) {
    let mut rows = rows(host);
    if host.engine == "26.1" {
        // Its program drops them (docker/cli issue 5321), and the backend refuses them.
        for property in [
            Property::DeviceReadBps,
            Property::DeviceReadIops,
            Property::DeviceWriteBps,
            Property::DeviceWriteIops,
        ] {
            rows.remove(&property);
        }
    }
    let project = Project::new(&[("dfab.yaml", "maps: {all_map: all_map.yaml}\n")]);
    let write =
        |after| std::fs::write(project.path().join(MAP), map(&rows, after)).expect("a file can be written");
    let rounds = [("api", "cli"), ("cli", "api")];
    let count = if std::env::var_os("DFAB_LIVE_ALL").is_some() { rounds.len() } else { 1 };
    for (creator, changer) in rounds.into_iter().take(count) {
        host.clean();
        write(After::None);
        let steps = plan(&project, host, "with nothing there");
        assert!(steps.as_array().is_some_and(|steps| steps.len() > 40), "{steps}");
        update(&project, host, creator, &[]);
        assert_eq!(
            plan(&project, host, &format!("created over {creator}")),
            json!([]),
            "created over {creator}"
        );
        write(After::All);
        let steps = plan(&project, host, &format!("created over {creator}, then changed in the map"));
        assert!(steps.as_array().is_some_and(|steps| steps.len() > 30), "{steps}");
        let run = update(&project, host, changer, &[]);
        assert_eq!(run.json()["plan"], steps, "the plan that {changer} applies");
        let when = format!("created over {creator}, changed over {changer}");
        assert_eq!(plan(&project, host, &when), json!([]), "{when}");
        host.expect_no_leftovers();
    }
}

#[test]
fn both_backends_plan_the_same_for_every_property_whichever_of_them_has_made_it() {
    let lab = lab_or_skip!();
    for number in lab.some_generations(|all| all.first()) {
        backends_agree(&lab.take(number));
    }
}

/// Commands of one stage go in one exec channel: sshd counts them. It is two or three; on a busy machine a call may come too
/// late to share one.
#[test]
fn a_no_op_update_of_twenty_containers_by_command_lines_takes_few_exec_channels() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let instances: Vec<String> = (1..=20).map(|number| format!("i{number}")).collect();
    let map = format!(
        "name: all_map\napp:\n  image: busybox\n  instances: [{}]\n  stop_timeout: 1\n  create_options: {{command: sleep 100000}}\n",
        instances.join(", ")
    );
    let project = Project::new(&[("dfab.yaml", "maps: {all_map: all_map.yaml}\n"), (MAP, &map)]);
    update(&project, &host, "api", &[]);
    let before = host.logins();
    let run = update(&project, &host, "cli", &[]);
    assert_eq!(run.json()["plan"], json!([]));
    let lines = before.lines();
    let channels = lines.iter().filter(|line| line.starts_with("Starting session: command")).count();
    assert!((1..=8).contains(&channels), "{channels} exec channels for {} commands", run.json()["requests"]);
    host.expect_no_leftovers();
}
