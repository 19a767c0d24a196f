//! Tasks of a project on hosts: every kind of step, its hosts, and what it does with values of `env`.

use dfab_tests::{Host, Outcome, Project, lab_or_skip};

/// A value that a shell would make something else of.
const TEXT: &str = "it's $HOME; `id` \"x\"";

const PROJECT: &str = r#"
env:
  text: "it's $HOME; `id` \"x\""
  folder: /tmp/project tasks
  words: [one, "two three"]
roles: {web: [host1], all: [host1, host2]}
maps: {task_map: {app: {image: busybox, create_options: {command: 'sleep 600'}}}}
tasks:
  deploy:
    description: Bring everything up.
    steps:
    - local: "printf %s {{ text }} > sent.txt"
    - run: "mkdir -p {{ folder }}; printf '<%s>' {{ words }}"
    - put: [sent.txt, "{{ folder }}/sent.txt"]
    - run: "cat {{ folder }}/sent.txt; printf %s {{ text }} | cmp - {{ folder }}/sent.txt"
    - sudo: "id -un; chown root {{ folder }}/sent.txt"
    - run: "echo for the web"
      when_role: web
    - run: hostname
      hosts: [host2]
    - task: actions.update task_map app
      when_role: web
    - docker.list_containers -H host1
    - get: ["{{ folder }}/sent.txt", "got/%(host)s.txt"]
    - sudo: "rm -r {{ folder }}"
  fails:
  - run: "echo before"
  - run: "exit 7"
  - run: "echo never"
  warns: ["docker.version -H host1", {run: "exit 7"}, {run: "echo after"}]
"#;

fn call(project: &Project, host: &Host<'_>, words: &[&str]) -> Outcome {
    project.dfab_in(host.lab, words).run()
}

/// The lines of one host, in order.
fn of_host<'a>(outcome: &'a Outcome, host: &str) -> Vec<&'a str> {
    let prefix = format!("[{host}] ");
    outcome.stdout.lines().filter_map(|line| line.strip_prefix(&prefix)).collect()
}

#[test]
fn every_kind_of_step_does_its_work_on_its_hosts() {
    let lab = lab_or_skip!();
    if lab.host_count() < 2 {
        return dfab_tests::skipped("project_tasks (a lab of two hosts)");
    }
    let hosts = [lab.take(1), lab.take(2)];
    for options in [&["-R", "all"][..], &["-H", "host1,host2", "-P"]] {
        let project = Project::new(&[("dfab.yaml", PROJECT)]);
        let run = |words: &[&str]| call(&project, &hosts[0], &[options, words].concat());

        let dry = run(&["--dry-run", "--detailed-exitcode", "deploy"]).expect_code(10);
        assert!(
            dry.stdout.contains("[host1] would sudo: id -un; chown root '/tmp/project tasks'/sent.txt"),
            "{dry}"
        );
        assert!(!project.path().join("sent.txt").exists(), "{dry}");
        for host in &hosts {
            assert_eq!(host.run("ls /tmp"), "", "{dry}");
        }

        let outcome = run(&["deploy"]).expect_code(0);
        let expected = ["out: <one><two three>", &format!("out: {TEXT}"), "out: root"];
        for (host, own) in hosts.iter().zip(["out: for the web", "out: host2"]) {
            let lines = of_host(&outcome, &host.name);
            assert_eq!(lines[..3], expected, "{outcome}");
            assert_eq!(lines[3], own, "{outcome}");
            let got = project.path().join(format!("got/{}.txt", host.name));
            assert_eq!(std::fs::read_to_string(got).unwrap(), TEXT);
            assert_eq!(host.run("ls /tmp"), "");
        }
        assert_eq!(hosts[0].containers(), ["task_map.app"]);
        assert_eq!(hosts[1].containers(), [""; 0], "it has not the role");
        assert!(outcome.stdout.contains("/task_map.app"), "the table of a task in a step: {outcome}");

        // Again: the action has nothing to do, the commands run again. The document has each step.
        let outcome = run(&["--output=json", "deploy"]).expect_code(0);
        let json = outcome.json();
        let outputs = json["outputs"].as_array().unwrap();
        let of = |key: &str| outputs.iter().filter(|output| output.get(key).is_some()).count();
        assert_eq!(["local", "run", "put", "sudo", "get"].map(of), [1, 6, 2, 4, 2], "{outcome}");
        let update = outputs.iter().find(|output| output["task"] == "actions.update").unwrap();
        assert_eq!(update["plan"], serde_json::json!([]), "{outcome}");
        hosts[0].run("docker rm -f task_map.app");
    }
}

#[test]
fn a_step_that_fails_ends_the_task_and_says_where_it_stands() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[("dfab.yaml", PROJECT)]);
    let outcome = call(&project, &host, &["-H", "host1", "fails"]).expect_code(1);
    assert_eq!(of_host(&outcome, "host1"), ["out: before"]);
    outcome.expect_error(&[
        "task `fails` failed at",
        "dfab.yaml:28:5",
        "`exit 7` ended with status 7 on `host1`",
    ]);
    let outcome = call(&project, &host, &["-H", "host1", "-w", "warns"]).expect_code(0);
    assert_eq!(of_host(&outcome, "host1").last(), Some(&"out: after"));
    outcome.expect_error(&["warning: `exit 7` ended with status 7 on `host1`"]);
    // A step with a host that is not there, beside one that is.
    let dead = format!("{}.250", lab.address(1).rsplit_once('.').unwrap().0);
    let both = format!("{dead},host1");
    let outcome = call(&project, &host, &["-t", "3", "--skip-bad-hosts", "-H", &both, "--", "hostname"]);
    let outcome = outcome.expect_code(0);
    assert_eq!(of_host(&outcome, "host1"), ["out: host1"]);
    outcome.expect_error(&["left out:", "hostname on 2 hosts: 1 done, 1 left out"]);
    call(&project, &host, &["fails"]).expect_code(2).expect_error(&["needs a host"]);
}
