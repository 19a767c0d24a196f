//! The program as users call it: help, listings, mistakes. Nothing here reaches an engine or a host.
//!
//! Each call runs in a cleared environment, in a temporary directory, at a fixed width; snapshots hold
//! the exit code and both outputs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::process::Command;

/// A project in a temporary directory.
struct Project(tempfile::TempDir);

const MAP: &str = "\
web_server:
  image: nginx
  uses: app_server_socket
app_server:
  image: app
  instances: [instance1, instance2]
  attaches: app_server_socket
volumes:
  app_server_socket: /var/lib/app/socket
groups:
  site: [web_server, app_server]
";

const PROJECT: &str = "\
description: The example.
env:
  docker_base_url: /nowhere/docker.sock
maps:
  example_map: example_map.yaml
  other: {db: {image: postgres}}
roles:
  app: [app1, app2]
tasks:
  deploy:
    description: Deploy the site.
    steps:
    - actions.update example_map site
";

impl Project {
    fn new() -> Self {
        Self::empty().with("dfab.yaml", PROJECT).with("example_map.yaml", MAP)
    }

    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, file: &str, text: &str) -> Self {
        std::fs::write(self.0.path().join(file), text).unwrap();
        self
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfab"));
        command.args(words).current_dir(self.0.path()).env_clear();
        command.env("HOME", self.0.path()).env("COLUMNS", "80").env("USER", "deploy");
        command
    }

    /// Runs `dfab LINE` (words are separated by blanks) and returns exit code and outputs as one text.
    fn run(&self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = self.command(&words).output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.0.path().display().to_string(), "[DIR]");
            text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
        };
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let mut shown = format!("$ dfab {line}\nexit {}\n", output.status.code().unwrap());
        for (name, text) in [("stdout", stdout), ("stderr", stderr)] {
            if !text.is_empty() {
                shown.push_str(&format!("--- {name}\n{text}\n"));
            }
        }
        shown
    }

    fn runs(&self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.run(line)).collect::<Vec<_>>().join("\n")
    }

    fn json(&self, line: &str) -> (serde_json::Value, i32) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output = self.command(&words).output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        let document =
            serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{line}: {error}: {stdout}"));
        (document, output.status.code().unwrap())
    }
}

#[test]
fn help_and_version() {
    let project = Project::empty();
    insta::assert_snapshot!(project.run("--help"));
    let version = project.run("--version");
    assert_eq!(
        version,
        format!("$ dfab --version\nexit 0\n--- stdout\ndfab {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn help_of_a_task() {
    let project = Project::empty();
    insta::assert_snapshot!(project.run("help actions.update"));
    for line in ["actions.update --help", "-d actions.update", "--display update"] {
        let same = |text: String| text.split_once("--- stdout").map(|(_, text)| text.trim().to_owned());
        assert_eq!(same(project.run(line)), same(project.run("help actions.update")), "{line}");
    }
}

#[test]
fn listings() {
    let project = Project::new();
    insta::assert_snapshot!(project.runs(&["--list", "--list --format nested", "--shortlist"]));
}

#[test]
fn mistyped_names_get_the_nearest_one() {
    let project = Project::new();
    insta::assert_snapshot!(project.runs(&[
        "actions.updaet example_map web_server",
        "actions.update exmple_map web_server",
        "actions.update example_map.web_servr",
        "actions.update example_map app_server instance3",
        "actions.update example_map web_server --dry-rnu",
        "actions.update:example_map,web_server,force_updat=x",
        "actions.update example_map web_server --force-update web_srever",
        "-R ap docker.version",
        "-d docker.versoin",
        "--list --format nestde",
        "--hide runing docker.version",
        "actions.update web_server",
        "actions.update",
        "actions.perform updte example_map web_server",
        "docker.version docker.list_images",
        "docker.list_images:maybe",
        "deploy:x",
        "--timeout soon docker.version",
        "-P -z two docker.version",
        "--output jsn docker.version",
        "-H web:x docker.version",
        "",
    ]));
}

#[test]
fn wrong_files_are_shown_with_their_lines() {
    let cases = [
        Project::empty(),
        Project::empty().with("dfab.yaml", "mpas:\n  a: a.yaml\nhosts: [web1:x]\n"),
        Project::empty().with("dfab.yaml", "maps:\n  a: a.yaml\n"),
        Project::new().with("example_map.yaml", "web_server:\n  image: [nginx\n"),
        Project::new()
            .with("example_map.yaml", "web_server:\n  imgae: nginx\n  uses: nothing\n  exposes: x\n"),
        Project::new().with("example_map.yaml", "web_server:\n  uses: nothing\n"),
        Project::new().with("example_map.yaml", "web_server:\n  image: !env no_such_variable\n"),
    ];
    let shown: Vec<String> =
        cases.iter().map(|case| case.run("actions.update example_map web_server")).collect();
    insta::assert_snapshot!(shown.join("\n"));
    insta::assert_snapshot!("missing_project_file", Project::empty().run("-f nowhere.yaml --list"));
}

#[test]
fn a_broken_map_stops_only_calls_that_need_it() {
    let project = Project::new().with("example_map.yaml", "a: [\n");
    let shown = project.run("actions.update other db --dry-run");
    assert!(shown.starts_with("$ dfab actions.update other db --dry-run\nexit 1"), "{shown}");
    for line in ["actions.update example_map a", "actions.update __all__.__all__"] {
        assert!(project.run(line).contains("exit 2"), "{line}");
    }
}

#[test]
fn every_document_follows_the_schema() {
    let schema =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/output.schema.json"));
    let schema = serde_json::from_str(&schema.unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let project = Project::new();
    let lines = [
        ("--list --output json", 0),
        ("-d deploy --output json", 0),
        ("help deploy --output json", 0),
        ("-d actions.update --output json --hide everything", 0),
        ("-d actions.updaet --output json", 2),
        ("map.check --output json", 0),
        ("docker.version --output json", 1),
        ("actions.update example_map web_server --output json", 1),
        ("actions.update example_map web_servr --output json", 2),
        ("actions.nothing --output json", 2),
        ("--nothing --output=json", 2),
        ("docker.version: docker.list_networks: --warn-only --output json", 1),
        ("-f nowhere.yaml docker.version --output json", 2),
    ];
    for (line, code) in lines {
        let (document, exit) = project.json(line);
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line}: {errors:#?}\n{document:#}");
        assert_eq!((exit, document["ok"].as_bool()), (code, Some(code == 0)), "{line}: {document:#}");
    }
    let (document, _) = project.json("-d actions.stop --output json");
    let parameters = document["rows"][0]["parameters"].as_array().unwrap();
    let timeout = parameters.iter().find(|parameter| parameter["name"] == "timeout").unwrap();
    assert_eq!((&timeout["option"], &timeout["kind"]), (&"--timeout".into(), &"integer".into()));
    let (document, _) = project.json("-d deploy --output json");
    assert_eq!(document["rows"][0]["steps"][0], "actions.update example_map site");
}

/// They came out empty: what is hidden are levels of a run's output.
#[test]
fn what_an_option_asks_for_is_printed_whatever_is_hidden() {
    let project = Project::new();
    for (line, expected) in [
        ("--list --hide user", "actions.update"),
        ("-d deploy --hide everything", "actions.update example_map site"),
        ("--completions bash --output json", "complete -"),
    ] {
        assert!(project.run(line).contains(expected), "{line}");
    }
}

#[test]
fn tasks_of_the_project_run_their_steps() {
    let tasks = "\
env: {name: it is}
roles: {web: [w1]}
tasks:
  build:
    description: Build it.
    steps:
    - local: echo {{ name }} > built
    - local: cat built
    - map.schema clients
  broken: [{local: exit 3}, {local: touch never}]
  remote: [{run: uptime}]
  roles: [{run: uptime, when_role: wbe}]
  circle: [circle]
  options: [map.schema --dry-run]
";
    let project = Project::empty().with("dfab.yaml", tasks);
    let shown = project.run("build -q");
    assert!(shown.contains("[localhost] out: it is\n{\n"), "{shown}");
    insta::assert_snapshot!(project.runs(&["broken", "remote", "roles", "circle", "options"]));
    assert!(!project.0.path().join("never").exists());
}

/// What it has printed says why it failed (clients-tasks §11.6), and `-w` is for all commands (§11.7).
#[test]
fn a_local_step_that_fails_shows_all_it_has_printed() {
    let tasks = "env: {docker_base_url: /nowhere/docker.sock}\n\
                 tasks: {both: [{local: 'echo one; echo two >&2; exit 3'}, {local: touch after}], \
                 calls: [docker.version, {local: 'echo on'}], killed: [{local: 'kill -9 $$'}]}\n";
    let project = Project::empty().with("dfab.yaml", tasks);
    let lines = "--- stdout\n[localhost] out: one\n[localhost] err: two\n--- stderr\n";
    let shown = project.run("both -q");
    assert!(shown.contains(&format!("exit 1\n{lines}error: task `both` failed at")), "{shown}");
    assert!(
        shown.contains("caused by: `echo one; echo two >&2; exit 3` ended with status 3 on `localhost`"),
        "{shown}"
    );
    assert!(!project.0.path().join("after").exists());
    let shown = project.run("both -q -w");
    assert!(shown.contains(&format!("exit 0\n{lines}[localhost] warning: `echo one;")), "{shown}");
    assert!(project.0.path().join("after").exists());
    let (document, _) = project.json("both -w --output json");
    let expected = serde_json::json!({
        "local": "echo one; echo two >&2; exit 3", "exit_code": 3, "stdout": "one", "stderr": "two",
    });
    assert_eq!(document["outputs"][0], expected, "{document:#}");
    let (document, code) = project.json("-w calls --output json");
    assert_eq!((code, document["outputs"].as_array().unwrap().len()), (1, 2), "{document:#}");
    let shown = project.run("calls -w");
    assert!(shown.contains("warning: the step at dfab.yaml:2:90 failed: "), "{shown}");
    assert!(shown.contains("error: task `calls` failed at dfab.yaml:2:90"), "{shown}");
    let shown = project.run("killed");
    assert!(shown.contains("`kill -9 $$` was ended by signal 9 on `localhost`"), "{shown}");
}

/// Exit code 2 says that nothing was contacted: what is wrong with a later call, or with a later step of a task, is found
/// before the first begins.
#[test]
fn what_is_wrong_later_is_said_before_anything_is_done() {
    let tasks = "\
roles: {web: [w1], none: []}
maps: {m: {a: {image: busybox}}}
tasks:
  unknown: [{local: touch done}, docker.nope]
  role: [{local: touch done}, {run: x, when_role: wbe}]
  variable: [{local: touch done}, {local: 'echo {{ nothing }}'}]
  host: [{local: touch done}, {run: uptime}]
  nested: [{local: touch done}, unknown]
  several: [{local: touch done}, docker.nope, {sudo: uptime}]
  map: [{local: touch done}, actions.update m b]
  local: [{local: touch done}]
";
    let project = Project::empty().with("dfab.yaml", tasks);
    for (line, expected) in [
        ("unknown", "there is no task `docker.nope`"),
        ("role", "there is no role `wbe`"),
        ("variable", "the deployment variable `nothing` is not set"),
        ("host", "the step `run: uptime` needs a host"),
        ("nested", "task `nested` cannot begin because of dfab.yaml:8:33"),
        ("several", "dfab.yaml:9:47: the step `sudo: uptime` needs a host"),
        ("map", "map `m` has no configuration or group `b`"),
        ("local: actions.nope:m", "there is no task `actions.nope`"),
        ("local:x docker.nope:", "2 calls are wrong, and nothing was done"),
        ("docker.version:role=none docker.logs:m,b local:", "`docker.logs`: map `m` has no"),
        ("local: docker.version:role=none", "no host is left to run on"),
        ("local: docker.version:role=nobody", "the following roles do not exist: `nobody`"),
        ("actions.update:m,b local:", "map `m` has no configuration or group `b`"),
        ("actions.perform:update,m,b local:", "map `m` has no configuration or group `b`"),
        ("actions.update:m,a,force_update=c local:", "argument `force_update`"),
        ("actions.single_cmd:m,b,ls local:", "map `m` has no configuration or group `b`"),
        ("docker.logs:m,b local:", "map `m` has no configuration or group `b`"),
        ("local: docker.list_images: --format Nmae", "Nmae"),
        ("local: docker.install_docker:", "needs a host"),
    ] {
        let shown = project.run(line);
        assert!(shown.contains("exit 2") && shown.contains(expected), "{shown}");
        assert!(!project.0.path().join("done").exists(), "{shown}");
    }
    // A map that an earlier step writes cannot be known before.
    let tasks = "\
maps: {m: m.yaml}
roles: {web: [w1]}
tasks:
  other: [{run: x, when_role: web}]
  make: [{local: 'echo \"{a: {image: busybox}}\" > m.yaml'}, map.deps m b]
";
    let project = Project::empty().with("dfab.yaml", tasks);
    let shown = project.run("other -H h");
    assert!(shown.contains("exit 0") && shown.contains("note: task `other` did nothing"), "{shown}");
    let shown = project.run("make");
    assert!(shown.contains("map `m` has no configuration or group `b`"), "{shown}");
    assert!(shown.contains("exit 1"), "something was done: {shown}");
}

/// Variables and roles decide where work is done. Each of these worked somewhere else.
#[test]
fn the_hosts_of_a_run_are_those_that_the_call_means() {
    let text = "\
env: {target: prod1}
hosts: [!env target]
roles: {app: [], web: [w1]}
";
    let project = Project::empty().with("dfab.yaml", text).with(".fabricrc", "roles = app\nuser = me\n");
    for (options, expected) in [
        ("", "[prod1] would run: x"),
        ("--set target=staging1", "[staging1] would run: x"),
        ("--set hosts=[x1,x2]", "[x1] would run: x\n[x2] would run: x"),
        ("--set roles=web", "[w1] would run: x"),
        ("--set hosts=x1 -H h1", "[h1] would run: x"),
        ("--set exclude_hosts=prod1", "no host is left to run on"),
        ("--set hosts", "the deployment variable `hosts` is no text, and no list of texts"),
        ("--set hosts=", "`--set hosts` names none"),
        ("--set warn_only=maybe", "the deployment variable `warn_only` is no truth value"),
        ("-R app", "no host is left to run on"),
        ("-- -H h1", "[prod1] would run: -H h1 -- x"),
    ] {
        let shown = project.run(&format!("--dry-run {options} -- x"));
        assert!(shown.contains(expected), "{shown}");
        let hosts = shown.lines().filter(|line| line.starts_with('[')).count();
        assert_eq!(hosts, expected.lines().filter(|line| line.starts_with('[')).count(), "{shown}");
    }
    // Where the project names no hosts, the settings file does.
    let project =
        Project::empty().with("dfab.yaml", "env: {a: b}\n").with(".fabricrc", "hosts = web1, web2\n");
    let shown = project.run("--dry-run --");
    assert!(shown.contains("exit 2") && shown.contains("no command is given"), "{shown}");
    let shown = project.run("--dry-run -- x");
    assert!(shown.contains("[web1] would run: x\n[web2] would run: x"), "{shown}");
}

#[test]
fn colours_are_asked_for_or_absent() {
    let project = Project::new();
    let stderr = |mut command: Command| String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(!stderr(project.command(&["no.task"])).contains('\u{1b}'));
    assert!(stderr(project.command(&["no.task", "--color", "always"])).contains('\u{1b}'));
}

/// On a full disk, say. Who asked for a document must not take an empty file for an answer.
#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let project = Project::new();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for line in [
        "--help",
        "help actions.update",
        "--list",
        "--completions bash",
        "map.show other",
        "map.show other --output json",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = project.command(&words).stdout(full()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{line}: {stderr}");
        assert!(stderr.contains("No space left on device"), "{line}: {stderr}");
    }
}

/// `dfab --list | head -1`: whoever reads has had enough.
#[test]
fn a_closed_pipe_is_no_failure() {
    let project = Project::new();
    for line in ["--list", "--help", "map.show other"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let words: Vec<&str> = line.split(' ').collect();
        let output = project.command(&words).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()), "{line}");
    }
}
