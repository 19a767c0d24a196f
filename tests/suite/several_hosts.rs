//! One call, several hosts: the same map on each, or a map spread over clients.

use dfab_tests::{Host, Lab, Outcome, Project, lab_or_skip};

/// Takes the first `count` hosts of the lab, or none when it has fewer.
fn take(lab: &Lab, count: usize) -> Option<Vec<Host<'_>>> {
    if lab.host_count() < count {
        dfab_tests::skipped("several_hosts (a lab of four hosts)");
        return None;
    }
    Some((1..=count).map(|number| lab.take(number)).collect())
}

#[test]
fn a_map_without_clients_runs_once_for_each_host() {
    let lab = lab_or_skip!();
    let Some(hosts) = take(&lab, 2) else { return };
    let project = Project::example();
    for host in &hosts {
        host.install_site();
    }
    let call = ["-H", "host1,host2", "--output=json", "actions.update", "example_map", "web_server"];
    let outcome = project.dfab_in(&lab, &call).run().expect_code(0);
    for host in &hosts {
        assert!(host.ask().contains("version 1"), "{}", host.name);
        assert!(
            outcome.json()["plan"].to_string().contains(&format!("\"client\":\"{}\"", host.name)),
            "{outcome}"
        );
    }
    assert_eq!(project.dfab_in(&lab, &call).run().expect_code(0).plan(), [""; 0]);
}

#[test]
fn one_dead_host_does_not_stop_the_other() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::example();
    host.install_site();
    let dead = format!("deploy@{}.250", lab.address(1).rsplit_once('.').unwrap().0);
    let hosts = format!("host1,{dead}");
    let outcome = project.dfab_in(&lab, &["-H", &hosts, "actions.update", "example_map", "web_server"]).run();
    outcome.expect_code(1).expect_error(&[".250"]);
    assert!(host.ask().contains("version 1"));
}

/// The example over four hosts, with the web server on an engine of each generation and the application on the others:
/// both have run on each generation then.
#[test]
fn a_map_over_clients_reaches_each_of_them() {
    let lab = lab_or_skip!();
    let Some(mut hosts) = take(&lab, 4) else { return };
    for number in lab.generations() {
        let at = hosts.iter().position(|host| host.name == format!("host{number}"));
        hosts.swap(0, at.expect("it is one of the first hosts"));
        hosts.iter().for_each(Host::clean);
        the_example_on(&hosts, &lab);
    }
}

fn the_example_on(hosts: &[Host<'_>], lab: &Lab) {
    let project = Project::example();
    let (web, apps) = hosts.split_first().expect("there are four hosts");
    let when = format!("web server on engine {}", web.engine);
    for (client, host) in ["web_host", "app_host1", "app_host2", "app_host3"].iter().zip(hosts) {
        let name = &host.name;
        project.edit(
            "example_clients.yaml",
            &format!("fabric_host: {client}\n"),
            &format!("fabric_host: {name}\n"),
        );
    }
    let settings = install(web, apps);
    let upstream: String = apps.iter().map(|app| format!("server {}:8443;\n", app.address)).collect();
    web.run(&format!(
        "printf '{}' > /var/lib/site/config/nginx-proxy/app_hosts.conf",
        upstream.replace('\n', "\\n")
    ));
    let run = |action: &str, config: &str| {
        let mut words = settings.clone();
        words.extend(["--output=json", action, "example_hosts", config].map(str::to_owned));
        project.dfab_in(lab, &words).run().expect_code(0)
    };
    let logins: Vec<_> = hosts.iter().map(Host::logins).collect();
    run("actions.startup", "app_server");
    assert_eq!(
        logins.iter().map(|host| host.accepted()).collect::<Vec<_>>(),
        [0, 1, 1, 1],
        "{when}: one connection a host"
    );
    run("actions.startup", "web_server");
    for app in apps {
        assert_eq!(
            app.run("docker port example_hosts.app_server"),
            format!("8443/tcp -> {}:8443", app.address),
            "{when}"
        );
    }
    let answers: std::collections::HashSet<String> =
        (0..12).map(|_| web.ask().split(", request").next().unwrap_or_default().to_owned()).collect();
    assert_eq!(answers.len(), 3, "{when}: all three application hosts answer: {answers:?}");

    let ids = || hosts.iter().map(|host| host.run("docker ps -aq --no-trunc")).collect::<Vec<_>>();
    let before = ids();
    for action in ["actions.startup", "actions.update"] {
        for config in ["app_server", "web_server"] {
            let again = run(action, config);
            assert_eq!(again.plan(), [""; 0], "{when}: {again}");
        }
    }
    assert_eq!(ids(), before, "{when}");
    for host in hosts {
        // Their names are not those of a test's map, so they would count as left behind.
        host.run("docker rm -f $(docker ps -aq --filter name=example_hosts)");
        host.expect_no_leftovers();
    }
}

/// Puts the example's files on the hosts of `example_hosts`, and returns the options with their addresses.
fn install(web: &Host<'_>, apps: &[Host<'_>]) -> Vec<String> {
    web.install_site();
    let mut settings = Vec::new();
    for (number, app) in apps.iter().enumerate() {
        app.install_site();
        settings.extend(["--set".to_owned(), format!("app{}_private_address={}", number + 1, app.address)]);
    }
    settings
}

/// Starts `app_server` on the three hosts of `apps`.
fn start_apps(project: &Project, lab: &Lab, settings: &[String]) -> Outcome {
    let mut words = settings.to_vec();
    words.extend(["--output=json", "actions.startup", "example_hosts", "app_server"].map(str::to_owned));
    project.dfab_in(lab, &words).run()
}

const APP: &str = "example_hosts.app_server";

#[test]
fn the_hosts_of_a_map_work_at_the_same_time() {
    let lab = lab_or_skip!();
    let Some(hosts) = take(&lab, 4) else { return };
    let project = Project::example();
    let (web, apps) = hosts.split_first().unwrap();
    let settings = install(web, apps);
    // Each host is busy for so long after its container has started; one after the other, the third container
    // would start two such times after the first.
    project.edit("example_hosts.yaml", "  image: app\n", "  image: app\n  start_delay: 10\n");
    start_apps(&project, &lab, &settings).expect_code(0);
    let started = |app: &Host<'_>| -> i64 {
        let time = app.container(APP, "{{.State.StartedAt}}").unwrap();
        app.run(&format!("date -d {time} +%s")).parse().unwrap()
    };
    let started: Vec<i64> = apps.iter().map(started).collect();
    let spread = started.iter().max().unwrap() - started.iter().min().unwrap();
    assert!(spread < 20, "the containers were started at {started:?}");
}

#[test]
fn one_application_host_that_is_down_does_not_stop_the_others() {
    let lab = lab_or_skip!();
    let Some(hosts) = take(&lab, 4) else { return };
    let project = Project::example();
    let (web, apps) = hosts.split_first().unwrap();
    let settings = install(web, apps);
    let dead = format!("deploy@{}.250", lab.address(1).rsplit_once('.').unwrap().0);
    project.edit("example_clients.yaml", "fabric_host: app_host2", &format!("fabric_host: {dead}"));

    let outcome = start_apps(&project, &lab, &settings).expect_code(1).expect_error(&[&dead[7..]]);
    let json = outcome.json();
    assert_eq!(json["ok"], false, "{outcome}");
    let done = json["results"].as_array().unwrap().iter().filter(|result| result["status"] == "done");
    assert_eq!(done.count(), json["plan"].as_array().unwrap().len(), "{outcome}");
    for (app, expected) in apps.iter().zip([&[APP][..], &[], &[APP]]) {
        assert_eq!(app.containers(), expected, "{}: {outcome}", app.name);
    }

    // When it is back, it alone is left to do.
    project.edit("example_clients.yaml", &format!("fabric_host: {dead}"), "fabric_host: app_host2");
    let outcome = start_apps(&project, &lab, &settings).expect_code(0);
    let json = outcome.json();
    let steps = json["plan"].as_array().unwrap();
    assert!(!steps.is_empty() && steps.iter().all(|step| step["client"] == "apps2"), "{outcome}");
    assert_eq!(apps[1].containers(), [APP]);
}
