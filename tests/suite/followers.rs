//! Containers that cannot outlive one that is made anew (its network, its volumes, a link) follow it, whether or
//! not they were asked for, and work with the new one. On each engine generation.

use std::collections::BTreeMap;

use dfab_tests::{Host, Outcome, Project, lab_or_skip};

/// `app` is made anew for VERSION. What each follower shares with it can be asked for from inside.
const MAP: &str = r#"
name: tied_map
base:
  abstract: true
  image: busybox
  stop_timeout: 1
  create_options: {command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]}
app:
  extends: base
  shares: /shared
  networks: [{bridge: }]
  create_options:
    command: [sh, -c, "trap 'exit 0' TERM; echo VERSION > /shared/version; sleep 100000 & wait"]
    environment: {VERSION: "VERSION"}
net:
  extends: base
  network_mode: app
reader:
  extends: base
  network_mode: none
  uses: app
linked:
  extends: base
  networks: [{bridge: }]
  links: {app: the-app}
second:
  extends: base
  networks: [{bridge: }]
  links: {linked: near}
alone:
  extends: base
"#;

const FOLLOWERS: [&str; 4] = ["tied_map.net", "tied_map.reader", "tied_map.linked", "tied_map.second"];

fn map(version: &str) -> String {
    MAP.replace("VERSION", version)
}

fn update(project: &Project, host: &Host<'_>, config: &str) -> Outcome {
    let call = ["--output=json", "actions.update", "tied_map", config];
    project.dfab(&call).env("DOCKER_HOST", &host.docker_host()).run()
}

/// ID and start of each container.
fn containers(host: &Host<'_>) -> BTreeMap<String, String> {
    let shown = |name: String| {
        let shown = host.container(&name, "{{.Id}} {{.State.StartedAt}} {{.State.Running}}");
        let shown = shown.unwrap_or_default();
        (name, shown)
    };
    host.containers().into_iter().map(shown).collect()
}

/// Each follower shares with the container what the map says, from the inside.
fn expect_ties(host: &Host<'_>, version: &str, when: &str) {
    let inside = |name: &str, command: &str| host.run(&format!("docker exec tied_map.{name} {command}"));
    let addresses = "ip -4 -o addr show eth0";
    assert_eq!(inside("net", addresses), inside("app", addresses), "{when}: the network of app");
    // `app` writes it a moment after its start.
    let read = "docker exec tied_map.reader cat /shared/version 2>/dev/null || true";
    host.run(&format!(
        "n=0; while [ \"$({read})\" != {version} ] && [ $n -lt 200 ]; do n=$((n+1)); sleep 0.1; done"
    ));
    assert_eq!(inside("reader", "cat /shared/version"), version, "{when}: the volume of app");
    let address = host
        .container("tied_map.app", "{{.NetworkSettings.Networks.bridge.IPAddress}}")
        .expect("it is there");
    assert!(inside("linked", "cat /etc/hosts").contains(&format!("{address}\tthe-app")), "{when}: the link");
}

fn followers(host: &Host<'_>) {
    let project =
        Project::new(&[("dfab.yaml", "maps: {tied_map: tied_map.yaml}\n"), ("tied_map.yaml", &map("one"))]);
    host.run("docker run -d --name other_map.bystander busybox sleep 100000");
    update(&project, host, "__all__").expect_code(0);
    let when = format!("engine {}, after creation", host.engine);
    expect_ties(host, "one", &when);

    // First `app` alone is asked for, then all of them.
    for (version, config) in [("two", "app"), ("three", "__all__")] {
        let when = format!("engine {}, {config} to version {version}", host.engine);
        let before = containers(host);
        std::fs::write(project.path().join("tied_map.yaml"), map(version)).expect("the map can be written");
        let run = update(&project, host, config).expect_code(0);
        let after = containers(host);
        expect_ties(host, version, &format!("{when}: {run}"));
        for name in FOLLOWERS.iter().chain(&["tied_map.app"]) {
            assert!(after[*name].ends_with("true"), "{when}: {name} does not run: {run}");
            assert_ne!(
                after[*name].split(' ').next(),
                before[*name].split(' ').next(),
                "{when}: {name} is the same: {run}"
            );
        }
        for name in ["tied_map.alone", "other_map.bystander"] {
            assert_eq!(after[name], before[name], "{when}: {name} was touched: {run}");
        }
        // Why each was made anew is in the plan.
        let plan = run.json()["plan"].clone();
        for name in FOLLOWERS {
            let steps: Vec<_> =
                plan.as_array().into_iter().flatten().filter(|step| step["name"] == name).collect();
            assert!(!steps.is_empty(), "{when}: {run}");
            let because = |step: &&serde_json::Value| step["reasons"].to_string().contains("dependency");
            assert!(steps.iter().all(because), "{when}, {name}: {run}");
        }
        let again = update(&project, host, "__all__").expect_code(0);
        assert_eq!(again.plan(), [""; 0], "{when}: {again}\nafter\n{run}");
        assert_eq!(containers(host), after, "{when}");
    }
    host.expect_no_leftovers();
}

#[test]
fn containers_that_cannot_outlive_another_follow_it() {
    let lab = lab_or_skip!();
    crate::one_run_per_example::on_each_generation(&lab, followers);
}
