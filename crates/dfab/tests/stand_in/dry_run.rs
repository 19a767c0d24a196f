//! What `--dry-run` does not do (cli §5): every task is called with it.

use std::collections::BTreeSet;

use crate::bench::Bench;

/// Calls of tasks, and their exit codes with `--dry-run --detailed-exitcode`: 10 where something would change.
const CALLS: &[(&str, i32)] = &[
    ("actions.create m new", 10),
    ("actions.kill m app", 10),
    ("actions.perform update m app", 10),
    ("actions.pull_images m app", 10),
    ("actions.remove m app --force", 10),
    ("actions.remove m app", 0),
    ("actions.restart m app", 10),
    ("actions.script m new run.sh", 10),
    ("actions.shutdown m app", 10),
    ("actions.single_cmd m new true --download-result got", 10),
    ("actions.start m app", 0),
    ("actions.startup m new", 10),
    ("actions.stop m app", 10),
    ("actions.update m app", 10),
    ("cli.copy_resource app /etc got", 10),
    ("cli.copy_resources app /etc /srv/got", 10),
    ("cli.flatten_image busybox", 10),
    ("cli.isolate_and_get app /etc got", 10),
    ("cli.isolate_to_image app /etc new", 10),
    ("cli.save_image busybox got", 10),
    ("docker.build new context", 10),
    ("docker.cleanup_containers", 0),
    ("docker.cleanup_images", 10),
    ("docker.fetch_socat got", 10),
    ("docker.list_containers", 0),
    ("docker.list_images", 0),
    ("docker.list_networks", 0),
    ("docker.list_volumes", 0),
    ("docker.load_image image.tar", 10),
    // An engine checks a login and forgets it.
    ("docker.login registry.example.com --username deploy", 0),
    ("docker.pull busybox", 10),
    ("docker.push busybox", 10),
    ("docker.remove_all_containers", 10),
    ("docker.reset_socat", 10),
    ("docker.restart m.app", 10),
    ("docker.save_image busybox got", 10),
    ("docker.version", 0),
    ("doctor", 0),
    ("map.check", 0),
    ("map.deps m app", 0),
    ("map.graph m", 0),
    ("map.schema", 0),
    ("map.show m", 0),
    // A task of the project, by the kinds of its steps.
    ("here", 10),
    ("there -H nowhere.invalid", 10),
    ("asks", 0),
];

/// Tasks that need a host behind SSH, or more of an engine than this one has; `tests/suite` calls them.
const ELSEWHERE: &[&str] = &[
    "docker.build_socat",
    "docker.build_socat_centos",
    "docker.build_socat_ubuntu",
    "docker.get_ip",
    "docker.get_ipv6",
    "docker.install_docker",
    "docker.install_docker_centos",
    "docker.install_docker_debian",
    "docker.install_docker_ubuntu",
    "docker.install_socat",
    "docker.logs",
    "docker.top",
    "docker.tunnel",
];

/// Commands of the `docker` program that only ask.
const QUESTIONS: &[&str] = &["--version", "version", "info", "ps", "images", "inspect", "top", "logs"];

#[test]
fn a_dry_run_of_any_task_only_asks_and_its_exit_code_tells_whether_something_would_change() {
    let bench = Bench::new();
    let before = bench.files();
    let mut wrong = Vec::new();
    for (line, expected) in CALLS {
        let words: Vec<&str> = line.split(' ').chain(["--dry-run", "--detailed-exitcode"]).collect();
        let (code, printed) = bench.run(&words);
        let requests = std::mem::take(&mut *bench.requests.lock().unwrap());
        let changing: Vec<&String> = requests
            .iter()
            .filter(|request| !request.starts_with("GET ") && !request.starts_with("HEAD "))
            .collect();
        if code != *expected || !changing.is_empty() {
            wrong.push(format!("{line}: exit {code} instead of {expected}, {changing:?}\n{printed}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(bench.files(), before, "on this machine");
}

/// The program fails each time, so that only what it was asked counts.
#[test]
fn a_dry_run_gives_the_docker_program_no_command_that_changes_anything() {
    let bench = Bench::new();
    let commands = bench.folder.path().join("commands");
    let mut wrong = Vec::new();
    let mut asked = 0;
    for (line, _) in CALLS {
        std::fs::write(&commands, "").unwrap();
        let words: Vec<&str> = line.split(' ').chain(["--dry-run", "--backend", "cli"]).collect();
        bench.run(&words);
        for command in std::fs::read_to_string(&commands).unwrap().lines() {
            asked += 1;
            let mut words = command.split(' ');
            let is_question = match words.next().unwrap_or_default() {
                "network" | "volume" => words.next() == Some("ls"),
                word => QUESTIONS.contains(&word),
            };
            if !is_question {
                wrong.push(format!("{line}: docker {command}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 10, "the program in `bin` was not called: {asked}");
}

/// Nor is a host looked for.
#[test]
fn a_dry_run_of_a_command_would_change_something() {
    let bench = Bench::new();
    let line = "-H nowhere.invalid --dry-run --detailed-exitcode -- uptime";
    let (code, printed) = bench.run(&line.split(' ').collect::<Vec<_>>());
    assert_eq!((code, printed.as_str()), (10, "[nowhere.invalid] would run: uptime\n"));
}

/// The `docker` program keeps what it logs in with.
#[test]
fn a_login_by_the_docker_program_would_change_its_host() {
    let bench = Bench::new();
    let line =
        "docker.login registry.example.com --username deploy --dry-run --detailed-exitcode --backend cli";
    let (code, printed) = bench.run(&line.split(' ').collect::<Vec<_>>());
    assert_eq!((code, printed.as_str()), (10, "would log in at registry.example.com\n"));
}

/// A login of a client is looked up before anything is connected; nothing listens at the client's host.
#[test]
fn late_values_of_a_login_are_looked_up_or_named() {
    let bench = Bench::new();
    let project = "clients: {dead: {fabric_host: '127.0.0.1:1', auth_configs: {reg.example.com: \
                   {username: u, password: !env_lazy regpw}}}}\n";
    std::fs::write(bench.folder.path().join("dfab.yaml"), project).unwrap();
    for task in
        ["docker.pull reg.example.com/x:1", "docker.push reg.example.com/x:1", "docker.login reg.example.com"]
    {
        let words: Vec<&str> = "-H 127.0.0.1:1".split(' ').chain(task.split(' ')).collect();
        let (_, printed) = bench.run(&words);
        assert!(printed.contains("variable `regpw` is not set"), "{task}: {printed}");
        let words: Vec<&str> = words.into_iter().chain(["--set", "regpw=secret"]).collect();
        let (_, printed) = bench.run(&words);
        assert!(printed.contains("127.0.0.1:1") && printed.contains("refused"), "{task}: {printed}");
        assert!(!printed.contains("looked up") && !printed.contains("secret"), "{task}: {printed}");
    }
}

/// A new task gets a row.
#[test]
fn every_task_is_called_here_or_elsewhere() {
    let (_, listing) = Bench::new().run(&["--shortlist"]);
    let called = CALLS.iter().map(|(line, _)| line.split(' ').next().unwrap());
    let known: BTreeSet<&str> = called.chain(ELSEWHERE.iter().copied()).collect();
    let listed: BTreeSet<&str> = listing.lines().collect();
    assert_eq!(known, listed);
}
