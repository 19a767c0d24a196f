//! Update detection is the same over both backends, on the example and on the map of every property: the same plans for
//! the same engine, and nothing left to do from either on what the other has created and changed.
//!
//! The example on every engine generation; the map of every property on one, created over the Engine API and changed by
//! command lines. With `DFAB_ALL_GENERATIONS` both on every one, and the other way round too.

use dfab_map::property::Property;
use dfab_tests::{Host, Outcome, Project, lab_or_skip, thoroughly};
use serde_json::{Value, json};

use crate::every_property::{After, map, rows};

const MAP: &str = "all_map.yaml";

/// Who creates, and who applies the change.
const ROUNDS: [(&str, &str); 2] = [("api", "cli"), ("cli", "api")];

/// A map on a host.
struct Place<'a> {
    project: Project,
    host: &'a Host<'a>,
    /// Its name, and the configuration.
    config: [&'a str; 2],
}

impl Place<'_> {
    fn update(&self, backend: &str, more: &[&str]) -> Outcome {
        let call = ["-H", &self.host.name, "--backend", backend, "--output=json", "actions.update"];
        self.project.dfab_in(self.host.lab, &[&call, &self.config[..], more].concat()).run().expect_code(0)
    }

    /// Returns the plan, which must be the same from both.
    fn plan(&self, when: &str) -> Value {
        let of = |backend| self.update(backend, &["--dry-run"]).json()["plan"].clone();
        let (api, cli) = (of("api"), of("cli"));
        let engine = &self.host.engine;
        assert_eq!(api, cli, "engine {engine}, {when}: the plans over the Engine API and by command lines");
        api
    }

    /// One of them creates everything, the other brings it to the changed map, and both find nothing to do after each.
    /// The plans must be longer than `steps`.
    fn round(&self, (creator, changer): (&str, &str), change: impl FnOnce(), steps: (usize, usize)) {
        let is_longer = |plan: &Value, count: usize| {
            assert!(plan.as_array().is_some_and(|plan| plan.len() > count), "{plan}")
        };
        let plan = self.plan("with nothing there");
        is_longer(&plan, steps.0);
        self.update(creator, &[]);
        assert_eq!(self.plan(&format!("created over {creator}")), json!([]), "created over {creator}");
        change();
        let plan = self.plan(&format!("created over {creator}, then changed in the map"));
        is_longer(&plan, steps.1);
        let run = self.update(changer, &[]);
        assert_eq!(run.json()["plan"], plan, "the plan that {changer} applies");
        let when = format!("created over {creator}, changed over {changer}");
        assert_eq!(self.plan(&when), json!([]), "{when}");
        self.host.expect_no_leftovers();
    }
}

#[test]
fn both_backends_plan_the_same_for_the_example_whichever_of_them_has_made_it() {
    let lab = lab_or_skip!();
    for (index, number) in lab.generations().into_iter().enumerate() {
        let host = lab.take(number);
        // The generations take turns, unless all is asked for.
        for round in ROUNDS.into_iter().cycle().skip(index).take(if thoroughly() { 2 } else { 1 }) {
            host.clean();
            host.install_site();
            let place =
                Place { project: Project::example(), host: &host, config: ["example_map", "web_server"] };
            let change =
                || place.project.edit("example_map.yaml", "    80: 80\n", "    80: 80\n    81: 8081\n");
            place.round(round, change, (5, 0));
        }
    }
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
    for round in ROUNDS.into_iter().take(if thoroughly() { 2 } else { 1 }) {
        host.clean();
        let project = Project::new(&[("dfab.yaml", "maps: {all_map: all_map.yaml}\n")]);
        let file = project.path().join(MAP);
        let write = |after| std::fs::write(&file, map(&rows, after)).expect("a file can be written");
        write(After::None);
        Place { project, host, config: ["all_map", "__all__"] }.round(round, || write(After::All), (40, 30));
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
    let place = Place { project, host: &host, config: ["all_map", "__all__"] };
    place.update("api", &[]);
    let before = host.logins();
    let run = place.update("cli", &[]);
    assert_eq!(run.json()["plan"], json!([]));
    let lines = before.lines();
    let channels = lines.iter().filter(|line| line.starts_with("Starting session: command")).count();
    assert!((1..=8).contains(&channels), "{channels} exec channels for {} commands", run.json()["requests"]);
    host.expect_no_leftovers();
}
