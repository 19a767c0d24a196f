//! Every task as people and as programs read it: on one host, on several one after the other, and side by side; with
//! both backends.
//!
//! Each row of the tables below is one call. The snapshot has its lines and its document of one host; what several hosts
//! say must be the same with their names.

use dfab_tests::lab::REGISTRY;
use dfab_tests::{Host, Lab, Outcome, Project, lab_or_skip};
use serde_json::{Value, json};

/// One call of a task.
#[derive(Clone, Copy)]
struct Call {
    words: &'static [&'static str],
    /// A shell script on each host before each call.
    before: &'static str,
    /// Whether the task works on each host that is named; else on the first.
    each: bool,
}

const fn each(before: &'static str, words: &'static [&'static str]) -> Call {
    Call { words, before, each: true }
}

const fn first(before: &'static str, words: &'static [&'static str]) -> Call {
    Call { words, before, each: false }
}

/// A running container with files, and one that has ended.
const CONTAINERS: &str = "docker rm -f -v $(docker ps -aq) >/dev/null 2>&1
    docker run -d --name web -p 8080:80 busybox sh -c 'mkdir -p /srv/a; echo x >/srv/a/file; echo ready; exec sleep 600' >/dev/null
    docker run --name ended busybox true
    until docker logs web | grep -q ready; do sleep 0.1; done";

/// An image without a name that nothing depends on.
const DANGLING: &str = "docker rm -f -v $(docker ps -aq) >/dev/null 2>&1
    docker image prune -f >/dev/null
    echo x >/tmp/x; tar -C /tmp -cf - x | docker import - dangling >/dev/null; rm /tmp/x
    docker tag busybox:latest dangling:latest; docker rmi dangling:latest >/dev/null";

const ABOUT_HOSTS: &[Call] = &[
    each(CONTAINERS, &["docker.version"]),
    each("", &["docker.list_containers", "--format", "Names,Image,Command,Ports"]),
    each("", &["docker.list_images", "--format", "Id,RepoTags,ParentId"]),
    each("", &["docker.list_networks"]),
    each("docker volume create data >/dev/null", &["docker.list_volumes"]),
    each("", &["docker.top", "web"]),
    each("", &["docker.logs", "web", "ended"]),
    each("", &["docker.restart", "web", "--timeout=0"]),
    each("", &["docker.cleanup_containers", "--list-only"]),
    each(CONTAINERS, &["docker.cleanup_containers"]),
    each(DANGLING, &["docker.cleanup_images", "--list-only"]),
    each(DANGLING, &["docker.cleanup_images"]),
    each(CONTAINERS, &["docker.remove_all_containers", "--list-only"]),
    each(CONTAINERS, &["docker.remove_all_containers", "--yes", "--stop-timeout=0"]),
    each("", &["docker.get_ip", "lo"]),
    each("", &["docker.get_ipv6", "eth0", "--expand"]),
    each("", &["docker.reset_socat"]),
];

const ABOUT_IMAGES: &[Call] = &[
    each(
        "docker rmi -f registry.example.com/app:latest >/dev/null",
        &["docker.pull", "registry.example.com/app:latest"],
    ),
    each(
        "docker tag busybox:latest registry.example.com/every_task:1",
        &["docker.push", "registry.example.com/every_task:1"],
    ),
    each("", &["docker.login", "registry.example.com:5000"]),
    each("", &["docker.build", "built:1", "context", "--quiet"]),
    first("", &["docker.save_image", "busybox:latest", "saved.tar.gz"]),
    each("", &["docker.load_image", "saved.tar.gz"]),
    first(CONTAINERS, &["cli.copy_resource", "web", "/srv/a", "a.tar.gz"]),
    each("rm -rf /tmp/kept", &["cli.copy_resources", "web", "/srv/a;/etc/passwd", "/tmp/kept"]),
    first("", &["cli.isolate_and_get", "web", "/srv/a", "b.tar.gz"]),
    each("", &["cli.isolate_to_image", "web", "/srv/a", "isolated:1"]),
    each("docker tag busybox:latest flat:1", &["cli.flatten_image", "flat:1"]),
    first("", &["cli.save_image", "busybox:latest", "image.tar.gz"]),
];

const MAP: &str = "name: task_map
app:
  image: busybox
  attaches: data
  create_options: {command: [sh, -c, 'trap exit TERM; while :; do sleep 0.1; done']}
job: {image: registry.example.com/app, create_options: {entrypoint: ''}}
volumes: {data: /data}
";

const GONE: &str = "docker rm -f -v $(docker ps -aq) >/dev/null 2>&1; docker volume rm -f $(docker volume ls -q) >/dev/null 2>&1; true";
const CREATED: &str = "docker rm -f task_map.app >/dev/null 2>&1
    docker create --name task_map.app busybox sh -c 'trap exit TERM; while :; do sleep 0.1; done' >/dev/null";
const RUNS: &str = "docker rm -f task_map.app >/dev/null 2>&1
    docker run -d --name task_map.app busybox sh -c 'trap exit TERM; while :; do sleep 0.1; done' >/dev/null";

const ACTIONS: &[Call] = &[
    each(GONE, &["actions.create", "task_map", "app"]),
    each(CREATED, &["actions.start", "task_map", "app"]),
    each(RUNS, &["actions.stop", "task_map", "app"]),
    each(RUNS, &["actions.restart", "task_map", "app"]),
    each(RUNS, &["actions.kill", "task_map", "app"]),
    each(CREATED, &["actions.remove", "task_map", "app"]),
    each(RUNS, &["actions.shutdown", "task_map", "app"]),
    each(GONE, &["actions.startup", "task_map", "app"]),
    each(GONE, &["actions.update", "task_map.app"]),
    each(
        "docker rmi -f registry.example.com/app:latest >/dev/null 2>&1; true",
        &["actions.pull_images", "task_map", "job"],
    ),
    each(GONE, &["actions.perform", "update", "task_map", "app"]),
    each(GONE, &["actions.single_cmd", "task_map", "app", "echo one; exit 3", "--entrypoint=/bin/sh"]),
    each(GONE, &["actions.perform", "single_cmd", "task_map.app", "echo two", "--entrypoint=/bin/sh"]),
    each(
        GONE,
        &[
            "actions.script",
            "task_map",
            "app",
            "script.sh",
            "--entrypoint=/bin/sh",
            "--command-format={script_path}",
        ],
    ),
];

const ABOUT_MAPS: &[&[&str]] = &[
    &["map.check", "task_map"],
    &["map.deps", "task_map", "app"],
    &["map.graph", "task_map", "--as=mermaid"],
    &["map.schema"],
    &["map.show", "task_map", "app"],
];

/// Replaces what varies: IDs, times, numbers of bytes, addresses, and what tells one generation of engines from another.
fn normalised(text: &str) -> String {
    let word = |word: &str| -> String {
        let plain = word.trim_matches(|c| ['"', ',', '(', ')', '.'].contains(&c));
        let digest = plain.strip_prefix("sha256:").unwrap_or(plain);
        let hexadecimal = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
        let number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
        let token = match plain {
            _ if digest.len() == 64 && hexadecimal(digest) => "<id>",
            _ if plain.len() == 12 && hexadecimal(plain) => "<id>",
            _ if plain.len() == 19 && plain.as_bytes()[10] == b'T' => "<time>",
            _ if number(plain) && (plain.len() > 4 || plain.contains('.')) => "<number>",
            _ if plain.starts_with("fe80:") => "<address>",
            _ => return word.to_owned(),
        };
        word.replacen(plain, token, 1)
    };
    // Columns are as wide as their widest cell: several blanks become two.
    let line = |line: &str| {
        let indent = line.len() - line.trim_start().len();
        let cells = line.trim().split("  ").map(str::trim).filter(|cell| !cell.is_empty());
        let cells: Vec<String> =
            cells.map(|cell| without_sizes(&cell.split(' ').map(word).collect::<Vec<_>>())).collect();
        let line = format!("{}{}", " ".repeat(indent.min(40)), cells.join("  "));
        match line.split_once(", sent ") {
            Some((start, _)) if line.ends_with(')') => format!("{start})"),
            _ => line.trim_end().to_owned(),
        }
    };
    // What an engine tells of both addresses of a port.
    let is_ipv6_port = |line: &str| line.contains("[::]:8080") || line.contains(":::8080");
    text.lines().filter(|line| !is_ipv6_port(line)).map(line).collect::<Vec<_>>().join("\n")
}

/// `(2 MiB, …` becomes `(<number> MiB, …`.
fn without_sizes(words: &[String]) -> String {
    let is_size = |index: usize| words.get(index + 1).is_some_and(|unit| unit.starts_with("MiB"));
    let shown = words.iter().enumerate().map(|(index, word)| match is_size(index) {
        true => format!("{}<number>", if word.starts_with('(') { "(" } else { "" }),
        false => word.clone(),
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// Process IDs and times of `docker.top` may have any number of digits.
fn without_digits(words: &[&str], text: &str) -> String {
    if words[0] != "docker.top" {
        return text.to_owned();
    }
    let mut result = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if result.ends_with('#') => {}
            '0'..='9' => result.push('#'),
            c => result.push(c),
        }
    }
    result
}

/// Values that tell how much or when, by their keys.
fn without_numbers(value: &mut Value) {
    const VARYING: [&str; 3] = ["seconds", "requests", "bytes"];
    const OF_ENGINES: [&str; 11] = [
        "Version",
        "ApiVersion",
        "MinAPIVersion",
        "GitCommit",
        "GoVersion",
        "KernelVersion",
        "BuildTime",
        "Status",
        "Created",
        "VirtualSize",
        "Size",
    ];
    match value {
        Value::Object(entries) => {
            // Only some engines tell; and what is quickest depends on the way.
            entries.shift_remove("Experimental");
            entries.shift_remove("sent_as");
            for (key, value) in entries {
                match value {
                    Value::Number(_) if VARYING.contains(&key.as_str()) => *value = json!("<number>"),
                    Value::Number(_) | Value::String(_) if OF_ENGINES.contains(&key.as_str()) => {
                        *value = json!("<engine>")
                    }
                    value => without_numbers(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(without_numbers),
        _ => {}
    }
}

/// The lines of a call, those of a host with its name taken off, without what differs between runs and engines.
fn lines(words: &[&str], outcome: &Outcome, host: &str) -> String {
    let text = without_digits(words, &outcome.stdout.replace(host, "HOST"));
    let of_engine = [
        "Version:",
        "ApiVersion:",
        "MinAPIVersion:",
        "GitCommit:",
        "GoVersion:",
        "KernelVersion:",
        "BuildTime:",
    ];
    let lines = normalised(&text);
    let lines = lines.lines().filter(|line| !line.starts_with("Experimental:"));
    let lines = lines.map(|line| match of_engine.iter().find(|key| line.starts_with(**key)) {
        Some(key) => format!("{key} <engine>"),
        None => without_times(line),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `(0.41 s, 31 requests)` and the time of a step at the end of its line.
fn without_times(line: &str) -> String {
    let line = match line.rsplit_once(" (") {
        Some((start, end)) if end.ends_with(" requests)") || end.ends_with(" request)") => {
            format!("{start} (<time>, <requests>)")
        }
        _ => line.to_owned(),
    };
    match line.rsplit_once("  ") {
        Some((start, end)) if end.ends_with(" s") && end.len() < 14 => format!("{start}  <time>"),
        _ => line,
    }
}

/// The document of a call, as [`lines`].
fn document(words: &[&str], outcome: &Outcome, host: &str) -> String {
    let mut json = outcome.json();
    without_numbers(&mut json);
    let text = serde_json::to_string_pretty(&json).expect("a value can be written");
    normalised(&without_digits(words, &text.replace(host, "HOST")))
}

/// Runs every call of a table in all ways, and returns what is to be compared.
fn show(project: &Project, lab: &Lab, hosts: &[Host<'_>], calls: &[Call]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    let run = |call: &Call, on: &[&Host<'_>], options: &[&str]| {
        for host in on {
            host.run(call.before);
        }
        let names = on.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(",");
        let words = [&["-H", names.as_str()], options, call.words].concat();
        project.dfab_in(lab, &words).run().expect_code(0)
    };
    let mut shown = String::new();
    for call in calls {
        let one = &hosts[0];
        let api = run(call, &[one], &["--backend=api"]);
        let cli = run(call, &[one], &["--backend=cli", "--output=json"]);
        let (human, json) = (lines(call.words, &api, &one.name), document(call.words, &cli, &one.name));
        shown.push_str(&format!("## {}\n{human}\n{json}\n\n", call.words.join(" ")));

        let all: Vec<&Host<'_>> = hosts.iter().collect();
        for options in [&["--backend=cli"][..], &["--backend=api", "-P"]] {
            let outcome = run(call, &all, options);
            let many = hosts.len() > 1
                && call.each
                && !call.words[0].starts_with("actions.")
                && call.words[0] != "docker.logs";
            if many {
                let said = format!("{} on {} hosts: {} done", call.words[0], hosts.len(), hosts.len());
                assert!(outcome.stderr.contains(&said), "{outcome}");
            }
            for host in if call.each { &names[..] } else { &names[..1] } {
                let of_host = of_host(&outcome, host);
                assert_eq!(of_host, self::of_host(&api, &one.name), "on {host}: {outcome}");
            }
            if !call.each {
                assert!(!outcome.stdout.contains("[host2]"), "{outcome}");
            }
        }
    }
    shown
}

/// The lines that begin with a host, sorted: steps of an action run side by side.
fn of_host(outcome: &Outcome, host: &str) -> Vec<String> {
    let prefix = format!("[{host}]");
    let own: Vec<&str> = outcome.stdout.lines().filter(|line| line.starts_with(&prefix)).collect();
    let mut lines: Vec<String> =
        own.iter().map(|line| without_times(&normalised(&line.replace(host, "HOST")))).collect();
    lines.sort();
    lines
}

fn compare(name: &str, shown: &str) {
    insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(name, shown);
    });
}

/// Two hosts where the lab has them, from `start` on.
fn hosts(lab: &Lab, start: usize) -> Vec<Host<'_>> {
    let start = if lab.host_count() > start { start } else { 1 };
    (start..=lab.host_count().min(start + 1)).map(|number| lab.take(number)).collect()
}

#[test]
fn tasks_about_hosts_and_their_containers() {
    let lab = lab_or_skip!();
    let hosts = hosts(&lab, 1);
    compare("every_task_hosts", &show(&Project::new(&[]), &lab, &hosts, ABOUT_HOSTS));
}

#[test]
fn tasks_about_images_and_files() {
    let lab = lab_or_skip!();
    let hosts = hosts(&lab, 3);
    let variables = format!(
        "env: {{docker_registry_repository: '{REGISTRY}:5000', docker_registry_user: lab, docker_registry_password: {}}}\n",
        crate::registry::password()
    );
    let project = Project::new(&[("dfab.yaml", &variables)]);
    std::fs::create_dir(project.path().join("context")).unwrap();
    std::fs::write(project.path().join("context/Dockerfile"), "FROM busybox\nENV a=b\n").unwrap();
    let shown = show(&project, &lab, &hosts, ABOUT_IMAGES);
    for host in &hosts {
        // The program keeps logins.
        host.run("rm -rf /home/deploy/.docker");
    }
    compare("every_task_images", &shown);
}

#[test]
fn actions_on_a_map() {
    let lab = lab_or_skip!();
    let hosts = hosts(&lab, 3);
    let project = Project::new(&[("task_map.yaml", MAP), ("script.sh", "echo from a file\n")]);
    compare("every_task_actions", &show(&project, &lab, &hosts, ACTIONS));
}

/// Those that look at maps need no host.
#[test]
fn tasks_about_maps() {
    let project = Project::new(&[("task_map.yaml", MAP)]);
    let mut shown = String::new();
    for words in ABOUT_MAPS {
        let human = project.dfab(words).run().expect_code(0).stdout;
        let json = project.dfab(&[&["--output=json"], *words].concat()).run().expect_code(0).json();
        if words[0] == "map.schema" {
            assert_eq!(serde_json::from_str::<Value>(&human).unwrap(), json["outputs"][0]);
            continue;
        }
        let json = serde_json::to_string_pretty(&json).unwrap();
        shown.push_str(&format!("## {}\n{}\n{json}\n\n", words.join(" "), human.trim_end()));
    }
    compare("every_task_maps", &shown);
}

/// What `--list` names is called by a live test, here or in the file of its subject.
#[test]
fn no_task_is_forgotten() {
    let setup = include_str!("setup.rs");
    let elsewhere = |task: &str| {
        let name = task.strip_prefix("docker.").unwrap_or(task);
        let text = match name {
            "tunnel" => include_str!("tunnel.rs"),
            "doctor" => include_str!("doctor.rs"),
            _ if name.starts_with("install_") || name.ends_with("_socat") || name.contains("_socat_") => {
                setup
            }
            _ => "",
        };
        text.contains(&format!("\"{task}\"")) || text.contains(&format!("\"{name}\""))
    };
    let here = |task: &str| {
        let live = [ABOUT_HOSTS, ABOUT_IMAGES, ACTIONS].concat();
        live.iter().any(|call| call.words[0] == task) || ABOUT_MAPS.iter().any(|words| words[0] == task)
    };
    let outcome = Project::new(&[]).dfab(&["--shortlist"]).run().expect_code(0);
    let forgotten: Vec<&str> =
        outcome.stdout.lines().filter(|task| !here(task) && !elsewhere(task)).collect();
    assert!(forgotten.is_empty(), "no live test calls {forgotten:?}");
}
