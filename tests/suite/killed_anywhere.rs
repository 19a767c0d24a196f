//! `kill -9` at the n-th engine request, for every n of an update: the same command again always completes the
//! job, data stays, and nothing is left behind.

use dfab_tests::{Ending, Host, Outcome, Project, Proxy, lab_or_skip, note, thoroughly};

/// What a real update is made of: a network and all containers made anew, an owner and a mode for a new volume,
/// commands after the start, a link, an alias, a change in place.
const MAP: &str = r#"
name: cut_map
networks:
  back:
    driver_options: {com.docker.network.bridge.enable_icc: "ICC"}
volumes:
  data: /data
  log: /log
db:
  image: busybox
  attaches: data
  user: 2000
  permissions: "0750"
  networks: [{back: database}]
  exec_commands:
    - [[sh, -c, "echo VERSION >> /data/initialised"], "2000", initial]
  create_options:
    command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]
    environment: {VERSION: "VERSION"}
app:
  image: busybox
  uses: data
  attaches: LOG
  user: 2000
  permissions: "0750"
  networks: [back, {bridge: }]
  links: [legacy]
  exec_commands:
    - [[sleep, "200000"], root, restart]
  create_options:
    command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]
    environment: {VERSION: "VERSION"}
legacy:
  image: busybox
  networks: [{bridge: }]
  host_config: {cpu_shares: SHARES}
  create_options:
    command: [sh, -c, "trap 'exit 0' TERM; sleep 100000 & wait"]
"#;

const CONTAINERS: [&str; 3] = ["cut_map.app", "cut_map.db", "cut_map.legacy"];

/// The two states between which the update goes back and forth. Only the second one has the volume `log`.
fn map(version: &str) -> String {
    let (icc, log, shares) = if version == "one" { ("true", "[]", "256") } else { ("false", "[log]", "512") };
    MAP.replace("VERSION", version).replace("ICC", icc).replace("LOG", log).replace("SHARES", shares)
}

fn update(project: &Project, docker_host: &str) -> Outcome {
    let call = ["--output=json", "actions.update", "cut_map", "__all__"];
    project.dfab(&call).env("DOCKER_HOST", docker_host).run()
}

/// All that a host holds, without IDs: containers, volumes and networks by name.
fn inventory(host: &Host<'_>) -> Vec<String> {
    let list = "docker ps -a --format 'container {{.Names}} {{.State}}'
                docker volume ls --format 'volume {{.Name}}'
                docker network ls --filter type=custom --format 'network {{.Name}}'";
    let mut lines: Vec<String> = host.run(list).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Where an engine keeps the content of a volume.
fn mountpoint(volume: &str) -> String {
    format!("/var/lib/docker/volumes/{volume}/_data")
}

fn bystander(host: &Host<'_>) -> Option<String> {
    host.container("other_map.bystander", "{{.Id}} {{.State.StartedAt}}")
}

fn killed_anywhere(host: &Host<'_>) {
    let project =
        Project::new(&[("dfab.yaml", "maps: {cut_map: cut_map.yaml}\n"), ("cut_map.yaml", &map("one"))]);
    let proxy = Proxy::start(&host.docker_host());
    host.run("docker run -d --name other_map.bystander busybox sleep 100000");
    let stands_by = bystander(host);
    update(&project, &host.docker_host()).expect_code(0);
    let (data, log) = (mountpoint("cut_map.data"), mountpoint("cut_map.log"));
    host.run(&format!("echo precious > {data}/precious"));

    let (mut number, mut kills) = (0, 0);
    loop {
        number += 1;
        let mut interrupted = 0;
        // There or back: each is the same update. Where every generation is asked for, both, with either ending.
        let ways = [
            ("two", Ending::AtOnce),
            ("one", Ending::Finished),
            ("two", Ending::Finished),
            ("one", Ending::AtOnce),
        ];
        let ways = if thoroughly() { &ways[..] } else { &ways[(number + 1) % 2..][..1] };
        for &(version, ending) in ways {
            std::fs::write(project.path().join("cut_map.yaml"), map(version))
                .expect("the map can be written");
            let when =
                format!("engine {}, to `{version}`, killed at request {number} ({ending:?})", host.engine);
            proxy.kill_at(number, ending);
            let call = ["--output=json", "actions.update", "cut_map", "__all__"];
            let running = project.dfab(&call).env("DOCKER_HOST", &proxy.docker_host()).start();
            proxy.caller(running.pid());
            let outcome = running.end();
            let last = proxy.requests().last().cloned().unwrap_or_default();
            if proxy.killed() {
                interrupted += 1;
                assert_eq!(outcome.status.code(), None, "{when}, `{last}`: {outcome}");
            } else {
                assert_eq!(outcome.status.code(), Some(0), "{when}: {outcome}");
            }

            proxy.settle();
            let again = update(&project, &host.docker_host());
            assert_eq!(again.status.code(), Some(0), "{when}, `{last}`: {again}");
            let plan = update(&project, &host.docker_host()).expect_code(0);
            assert_eq!(plan.plan(), [""; 0], "{when}, `{last}`: {plan}\nafter\n{again}");
            if version == "one" {
                // The map has no such volume any more, and its data are still there. Nothing holds it, so it can be
                // removed, to be made and prepared again the next time.
                assert_eq!(host.run(&format!("cat {log}/precious")), "precious", "{when}, `{last}`: {again}");
                host.run("docker volume rm cut_map.log");
            }
            assert_eq!(inventory(host), expected(version), "{when}, `{last}`: {again}");
            assert_eq!(host.run(&format!("cat {data}/precious")), "precious", "{when}, `{last}`");
            assert_eq!(
                host.run(&format!("tail -n 1 {data}/initialised")),
                version,
                "{when}, `{last}`: {again}"
            );
            assert_eq!(host.run(&format!("stat -c '%u:%g %a' {data}")), "2000:2000 750", "{when}, `{last}`");
            if version == "two" {
                assert_eq!(
                    host.run(&format!("stat -c '%u:%g %a' {log}")),
                    "2000:2000 750",
                    "{when}, `{last}`"
                );
                host.run(&format!("echo precious > {log}/precious"));
            }
            assert_eq!(bystander(host), stands_by, "{when}, `{last}`: {again}");
        }
        kills += interrupted;
        if interrupted == 0 {
            break;
        }
    }
    note(&format!("engine {}: killed {kills} times, at each of {} requests", host.engine, number - 1));
    assert!(number > 30, "the update was killed only {number} times");
    host.expect_no_leftovers();
}

fn expected(version: &str) -> Vec<String> {
    let mut lines: Vec<String> = CONTAINERS.iter().map(|name| format!("container {name} running")).collect();
    lines.push("container other_map.bystander running".to_owned());
    lines.push("network cut_map.back".to_owned());
    lines.push("volume cut_map.data".to_owned());
    if version == "two" {
        lines.push("volume cut_map.log".to_owned());
    }
    lines.sort();
    lines
}

#[test]
fn an_update_that_is_killed_at_any_request_is_completed_by_the_next() {
    let lab = lab_or_skip!();
    // Each request costs two updates and more: one generation for every run, all of them where it is asked for, which
    // takes many minutes.
    let hosts = if thoroughly() { lab.generations() } else { vec![lab.host_count()] };
    for number in hosts {
        killed_anywhere(&lab.take(number));
    }
}
