//! Every information and maintenance task, on one host and on several, through both backends: what people and programs
//! read of it.

use dfab_tests::lab::REGISTRY;
use dfab_tests::{Host, Lab, Outcome, Project, lab_or_skip};
use rustix::process::Signal;
use serde_json::Value;
use std::time::{Duration, Instant};

const BACKENDS: [&str; 2] = ["--backend=api", "--backend=cli"];

/// Replaces what varies by tokens: IDs, times and numbers of bytes.
fn normalised(text: &str) -> String {
    let word = |word: &str| -> String {
        let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
        let digest = word.strip_prefix("sha256:").unwrap_or(word);
        if digest.len() == 64 && digest.chars().all(|c| c.is_ascii_hexdigit()) {
            "<long id>".to_owned()
        } else if hexadecimal && word.len() == 12 {
            "<id>".to_owned()
        } else if word.len() == 19 && word.as_bytes()[10] == b'T' && word.starts_with("20") {
            "<time>".to_owned()
        } else if word.len() > 4 && word.chars().all(|c| c.is_ascii_digit()) {
            "<bytes>".to_owned()
        } else {
            word.to_owned()
        }
    };
    // Columns are as wide as their widest cell: several blanks become two.
    let line = |line: &str| {
        let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        let cells = cells.iter().map(|cell| cell.split(' ').map(word).collect::<Vec<_>>().join(" "));
        cells.collect::<Vec<_>>().join("  ")
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn on(project: &Project, host: &Host<'_>, words: &[&str]) -> Outcome {
    project.dfab_in(host.lab, &[&["-H", &host.name], words].concat()).run()
}

/// Starts two containers with everything that a table shows, and one that has ended.
fn fill(host: &Host<'_>) {
    host.run(
        "docker run -d --name web -p 8080:80 --label a=b busybox sleep 600 >/dev/null
         docker run --name ended busybox true
         docker create --name fresh busybox true >/dev/null
         docker network create front >/dev/null
         docker volume create data >/dev/null",
    );
}

#[test]
fn tables_show_every_column_alike_through_both_backends() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    fill(&host);
    let tables = [
        (
            &["docker.list_containers"][..],
            "Id  Names  Image  Command  Ports  Status  Created\n\
             <id>  /fresh  busybox  true  Created  <time>\n\
             <id>  /ended  busybox  true  Exited (0) …  <time>\n\
             <id>  /web  busybox  sleep 600  0.0.0.0:8080->80/tcp  Up …  <time>",
        ),
        (
            &["docker.list_containers", "--list-all=false"],
            "Id  Names  Image  Command  Ports  Status  Created\n\
             <id>  /web  busybox  sleep 600  0.0.0.0:8080->80/tcp  Up …  <time>",
        ),
        (
            &["docker.list_images"],
            "Id  RepoTags  ParentId  Created  VirtualSize  Size\n\
             <id>  busybox:latest  <time>  <bytes>  <bytes>",
        ),
        (
            &["docker.list_networks"],
            "Id  Name  Driver  Scope\n\
             <id>  bridge  bridge  local\n\
             <id>  front  bridge  local\n\
             <id>  host  host  local\n\
             <id>  none  null  local",
        ),
        (&["docker.list_volumes"], "Name  Driver\ndata  local"),
    ];
    for (words, expected) in tables {
        let mut documents = Vec::new();
        for backend in BACKENDS {
            let outcome = on(&project, &host, &[&[backend], words].concat()).expect_code(0);
            let mut lines = normalised(&outcome.stdout);
            for status in ["Exited (0)", "Up"] {
                lines = lines
                    .lines()
                    .map(|line| match line.split_once(&format!("  {status} ")) {
                        Some((before, after)) => {
                            format!("{before}  {status} …  {}", after.rsplit("  ").next().unwrap_or(after))
                        }
                        None => line.to_owned(),
                    })
                    .collect::<Vec<_>>()
                    .join("\n");
            }
            // Both addresses of a port, where the host has IPv6.
            let lines: Vec<&str> = lines
                .lines()
                .filter(|line| !line.starts_with("[::]:8080") && !line.starts_with(":::8080"))
                .collect();
            let found = lines.join("\n");
            let sorted = |text: &str| {
                let mut lines: Vec<&str> = text.lines().collect();
                lines[1..].sort_unstable();
                lines.join("\n")
            };
            let found = found.strip_prefix(&format!("[{}]\n", host.name)).unwrap_or(&found).to_owned();
            assert_eq!(sorted(&found), sorted(expected), "{outcome}");
            let outcome = on(&project, &host, &[&[backend, "--output=json"], words].concat()).expect_code(0);
            let rows = outcome.json()["rows"].as_array().unwrap().clone();
            let keys: Vec<&String> =
                rows[0].as_object().unwrap().keys().filter(|key| *key != "host").collect();
            let mut columns: Vec<&str> = expected.lines().next().unwrap().split("  ").collect();
            columns.sort_unstable();
            let mut keys: Vec<&str> = keys.into_iter().map(String::as_str).collect();
            keys.sort_unstable();
            assert_eq!(keys, columns, "{outcome}");
            assert!(rows.iter().all(|row| row["host"] == host.name.as_str()), "{outcome}");
            documents.push(rows.len());
        }
        assert_eq!(documents[0], documents[1], "{words:?}: as many rows through both backends");
    }
}

#[test]
fn the_version_is_a_list_in_the_specified_order() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    let order = [
        "Version",
        "ApiVersion",
        "MinAPIVersion",
        "GitCommit",
        "GoVersion",
        "Os",
        "Arch",
        "KernelVersion",
        "BuildTime",
        "Experimental",
    ];
    for backend in BACKENDS {
        let outcome = on(&project, &host, &[backend, "docker.version"]).expect_code(0);
        let keys: Vec<&str> =
            outcome.stdout.lines().skip(1).filter_map(|line| line.split(':').next()).collect();
        let expected: Vec<&str> = order.into_iter().filter(|key| keys.contains(key)).collect();
        assert!(keys.len() >= 9 && keys[..expected.len()] == expected[..], "{outcome}");
        assert!(outcome.stdout.contains(&format!("Version:       {}", host.engine)), "{outcome}");
        let json = on(&project, &host, &[backend, "--output=json", "check_version"]).expect_code(0).json();
        assert_eq!(json["rows"][0]["Arch"], "amd64");
    }
}

/// Runs on the first two hosts, one after the other and side by side, and with one that is not there.
#[test]
fn a_task_on_several_hosts_says_what_became_of_each() {
    let lab = lab_or_skip!();
    if lab.host_count() < 2 {
        return dfab_tests::skipped("tasks (a lab of two hosts)");
    }
    let _hosts = [lab.take(1), lab.take(2)];
    let project = Project::new(&[("dfab.yaml", "roles: {all: [host1, host2]}\nhosts: [host2]\n")]);
    let run = |words: &[&str]| project.dfab_in(&lab, words).run();
    let hosts = |outcome: &Outcome| -> Vec<Value> {
        outcome.json()["rows"].as_array().into_iter().flatten().map(|row| row["host"].clone()).collect()
    };
    for words in [
        &["-H", "host1,host2", "docker.version"][..],
        &["-R", "all", "-P", "docker.version"],
        &["-R", "all", "-P", "-z", "1", "docker.version"],
        &["docker.version:hosts=host1;host2"],
        &["docker.version:role=all", "-P"],
    ] {
        let outcome = run(&[&["--output=json"], words].concat()).expect_code(0);
        assert_eq!(hosts(&outcome), ["host1", "host2"], "{outcome}");
        assert!(outcome.stderr.contains("docker.version on 2 hosts: 2 done"), "{outcome}");
    }
    // Hosts of the project file; excluded ones; the first host only.
    assert_eq!(hosts(&run(&["--output=json", "docker.version"]).expect_code(0)), ["host2"]);
    assert_eq!(hosts(&run(&["--output=json", "-R", "all", "-x", "host2", "docker.version"])), ["host1"]);
    run(&["-R", "all", "-x", "host1,host2", "docker.version"])
        .expect_code(2)
        .expect_error(&["no host is left"]);

    let dead = format!("{}.250", lab.address(1).rsplit_once('.').unwrap().0);
    let with_dead = format!("host1,{dead},host2");
    let call = |words: &[&str]| run(&[&["--output=json", "-t", "3", "-H", &with_dead], words].concat());
    let outcome = call(&["docker.version"]).expect_code(1);
    assert_eq!(hosts(&outcome), ["host1"], "{outcome}");
    let count = format!("docker.version on 3 hosts: 1 done, 1 failed (`{dead}`), 1 not begun");
    assert!(outcome.stderr.contains(&count), "{outcome}");
    let outcome = call(&["-P", "docker.version"]).expect_code(1);
    assert_eq!(hosts(&outcome), ["host1", "host2"], "{outcome}");
    assert!(outcome.stderr.contains(&format!("2 done, 1 failed (`{dead}`)")), "{outcome}");
    let outcome = call(&["--skip-bad-hosts", "docker.version"]).expect_code(0);
    assert_eq!(hosts(&outcome), ["host1", "host2"], "{outcome}");
    assert!(outcome.stderr.contains(&format!("2 done, 1 left out (`{dead}`)")), "{outcome}");
    // With -w the next task runs nevertheless; without it does not.
    for (words, tasks) in [
        (&["docker.version:", "docker.list_volumes:"][..], 1),
        (&["-w", "docker.version:", "docker.list_volumes:"], 2),
    ] {
        let outcome = call(words).expect_code(1);
        let json = outcome.json();
        assert_eq!(json["runs"].as_array().map_or(1, Vec::len), tasks, "{outcome}");
    }
}

#[test]
fn what_is_not_needed_is_cleaned_up_and_everything_only_when_asked() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    for backend in BACKENDS {
        fill(&host);
        let run = |words: &[&str]| on(&project, &host, &[&[backend], words].concat());
        let listed = run(&["cleanup_containers", "--list-only"]).expect_code(0);
        assert!(
            normalised(&listed.stdout).ends_with("[host1] Existing containers:\n<long id>  ended"),
            "{listed}"
        );
        let outcome = run(&["cleanup_containers"]).expect_code(0);
        assert!(outcome.stdout.contains("[host1] Removed 1 container(s)."), "{outcome}");
        assert_eq!(host.containers(), ["fresh", "web"]);
        run(&["cleanup_containers:True,exclude=fresh"]).expect_code(0);
        assert_eq!(host.containers(), ["fresh", "web"]);
        run(&["cleanup_containers", "--include-initial"]).expect_code(0);
        assert_eq!(host.containers(), ["web"]);

        host.run("echo x | docker import - dangling >/dev/null; docker tag busybox keep:2.0; docker rmi dangling >/dev/null || true");
        let outcome = run(&["cleanup_images:True,keep_tags=1.0;2.0", "--output=json"]).expect_code(0);
        assert_eq!(outcome.json()["rows"], serde_json::json!([]), "{outcome}");
        host.run("docker rmi keep:2.0 >/dev/null");

        // Nobody can be asked here.
        run(&["remove_all_containers"]).expect_code(2).expect_error(&["--yes"]);
        assert_eq!(host.containers(), ["web"]);
        let outcome = run(&["remove_all_containers", "--yes", "--stop-timeout=1"]).expect_code(0);
        assert!(outcome.stdout.contains("Removed 1 container(s)."), "{outcome}");
        assert_eq!(host.containers(), [""; 0]);
        host.run("docker network rm front >/dev/null; docker volume rm data >/dev/null");
    }
}

#[test]
fn images_come_and_go() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    for backend in BACKENDS {
        let run = |words: &[&str]| on(&project, &host, &[&[backend], words].concat()).expect_code(0);
        let image = format!("{REGISTRY}/app:latest");
        run(&["docker.pull", &image]);
        let id = host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}"));
        run(&["docker.save_image", &image, "app.tar.gz"]);
        host.run(&format!("docker rmi {image} >/dev/null"));
        run(&["docker.load_image:app.tar.gz,60"]);
        assert_eq!(host.run(&format!("docker inspect --format '{{{{.Id}}}}' {image}")), id, "{backend}");
        host.run(&format!("docker rmi {image} >/dev/null"));
    }
}

#[test]
fn tasks_about_a_host_and_its_containers_answer() {
    let lab = lab_or_skip!();
    let (project, host) = (Project::new(&[]), lab.take(1));
    fill(&host);
    let run = |words: &[&str]| on(&project, &host, words).expect_code(0);
    assert_eq!(run(&["get_ip", "eth0"]).stdout, format!("[host1] {}\n", host.address));
    assert_eq!(run(&["get_ip:eth0"]).stdout, format!("[host1] {}\n", host.address));
    let plain = run(&["get_ipv6", "eth0"]).stdout;
    assert!(plain.starts_with("[host1] fe80::"), "{plain}");
    let expanded = run(&["get_ipv6:eth0:True"]).stdout;
    assert!(
        expanded.starts_with("[host1] fe80:0000:0000:0000:") && expanded.len() > plain.len(),
        "{expanded}"
    );
    on(&project, &host, &["get_ip", "nothing0"]).expect_code(1).expect_error(&["nothing0"]);
    assert_eq!(run(&["reset_socat"]).stdout, "[host1] No socat processes found.\n");
    for backend in BACKENDS {
        assert!(run(&[backend, "docker.top", "web"]).stdout.contains("sleep 600"));
        let started = host.container("web", "{{.State.StartedAt}}");
        run(&[backend, "docker.restart", "web", "--timeout=1"]);
        assert_ne!(host.container("web", "{{.State.StartedAt}}"), started);
    }
}

const TALKING: &str = "name: talk_map\napp:\n  image: busybox\n  instances: [one, two]\n  create_options:\n    command: [sh, -c, \
     'echo up; trap \"echo down; exit\" TERM; while :; do sleep 0.1; done']\n";

/// Waits until a text is in a file.
fn wait_for(file: &std::path::Path, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = std::fs::read_to_string(file).unwrap_or_default();
        if found.contains(text) {
            return;
        }
        assert!(Instant::now() < deadline, "`{text}` did not come:\n{found}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn talking<'a>(lab: &'a Lab) -> (Project, Host<'a>) {
    let (project, host) = (Project::new(&[("talk_map.yaml", TALKING)]), lab.take(1));
    project.dfab_in(lab, &["-H", "host1", "actions.update", "talk_map", "app"]).run().expect_code(0);
    (project, host)
}

#[test]
fn logs_of_a_map_have_the_names_of_its_containers() {
    let lab = lab_or_skip!();
    let (project, host) = talking(&lab);
    let deadline = Instant::now() + Duration::from_secs(30);
    while host.run("docker logs talk_map.app.one; docker logs talk_map.app.two").lines().count() < 2 {
        assert!(Instant::now() < deadline, "the containers say nothing");
    }
    for backend in BACKENDS {
        for words in [
            &["docker.logs", "talk_map.app"][..],
            &["docker.logs", "talk_map", "app"],
            &["docker.logs:talk_map.app.one,talk_map.app.two"],
        ] {
            let outcome = on(&project, &host, &[&[backend], words].concat()).expect_code(0);
            assert_eq!(
                outcome.stdout, "[host1] talk_map.app.one | up\n[host1] talk_map.app.two | up\n",
                "{outcome}"
            );
        }
        let outcome =
            on(&project, &host, &[backend, "docker.logs", "talk_map.app.one", "--timestamps"]).expect_code(0);
        let line = outcome.stdout.trim_end();
        assert!(line.starts_with("[host1] 20") && line.ends_with("Z up"), "{outcome}");
        let outcome =
            on(&project, &host, &[backend, "docker.logs", "talk_map.app.one", "--until=1"]).expect_code(0);
        assert_eq!(outcome.stdout, "", "{outcome}");
    }
    let outcome =
        on(&project, &host, &["docker.logs", "talk_map.app.one", "nothing", "nobody"]).expect_code(1);
    assert_eq!(outcome.stdout, "[host1] talk_map.app.one | up\n", "{outcome}");
    outcome.expect_error(&["2 logs could not be read", "`nothing`", "`nobody`"]);
    on(&project, &host, &["docker.logs", "talk_map.ap"])
        .expect_code(2)
        .expect_error(&["did you mean `app`?"]);
}

/// Lines of containers on two hosts come as they are written, each with its host and container.
#[test]
fn logs_are_followed_over_several_hosts() {
    let lab = lab_or_skip!();
    if lab.host_count() < 2 {
        return dfab_tests::skipped("tasks (a lab of two hosts)");
    }
    let (project, hosts) = (Project::new(&[("talk_map.yaml", TALKING)]), [lab.take(1), lab.take(2)]);
    project.dfab_in(&lab, &["-H", "host1,host2", "actions.update", "talk_map", "app"]).run().expect_code(0);
    for backend in BACKENDS {
        let file = project.path().join("lines");
        let call = ["-H", "host1,host2", backend, "docker.logs", "talk_map.app", "--follow"];
        let running = project.dfab_in(&lab, &call).start_into(&file);
        for host in &hosts {
            for instance in ["one", "two"] {
                wait_for(&file, &format!("[{}] talk_map.app.{instance} | up", host.name));
            }
        }
        // One host's containers end; the others go on until Ctrl-C.
        hosts[0]
            .run("docker restart -t 5 talk_map.app.one >/dev/null; docker stop talk_map.app.two >/dev/null");
        wait_for(&file, "[host1] talk_map.app.two | down");
        hosts[1].run("docker kill --signal=TERM talk_map.app.one >/dev/null");
        wait_for(&file, "[host2] talk_map.app.one | down");
        running.signal(Signal::INT);
        let outcome = running.end().expect_code(130);
        assert!(!outcome.stderr.contains("error: failed"), "{outcome}");
        for host in &hosts {
            host.expect_no_leftovers();
            host.run("docker rm -f talk_map.app.one talk_map.app.two >/dev/null");
        }
        project
            .dfab_in(&lab, &["-H", "host1,host2", "actions.update", "talk_map", "app"])
            .run()
            .expect_code(0);
    }
}

#[test]
fn followed_logs_end_with_their_containers_or_at_ctrl_c() {
    let lab = lab_or_skip!();
    let (project, host) = talking(&lab);
    for backend in BACKENDS {
        let file = project.path().join("lines");
        let call = ["-H", "host1", backend, "docker.logs", "talk_map.app", "--follow", "--tail=1"];
        let running = project.dfab_in(&lab, &call).start_into(&file);
        wait_for(&file, "talk_map.app.two | up");
        running.signal(Signal::INT);
        running.end().expect_code(130);

        let running = project.dfab_in(&lab, &call).start_into(&file);
        wait_for(&file, "talk_map.app.two | up");
        host.run("docker stop talk_map.app.one talk_map.app.two >/dev/null");
        running.end().expect_code(0);
        let lines = std::fs::read_to_string(&file).unwrap();
        for line in ["[host1] talk_map.app.one | down", "[host1] talk_map.app.two | down"] {
            assert!(lines.contains(line), "{lines}");
        }
        host.run("docker rm talk_map.app.one talk_map.app.two >/dev/null");
        project.dfab_in(&lab, &["-H", "host1", "actions.update", "talk_map", "app"]).run().expect_code(0);
    }
    host.expect_no_leftovers();
    on(&project, &host, &["--output=json", "docker.logs", "talk_map.app", "--follow"]).expect_code(2);
}
