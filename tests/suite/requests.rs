//! How many requests an update that finds nothing to do sends, and how many of them wait for one another.

use std::time::Duration;

use dfab_tests::{Host, Project, Proxy, lab_or_skip};

/// Answers are held until no request has come for so long.
const QUIET: Duration = Duration::from_millis(1500);

fn a_no_op(host: &Host<'_>) {
    host.install_site();
    let project = Project::example();
    let proxy = Proxy::start(&host.docker_host());
    let update = || {
        project
            .dfab(&["--output=json", "actions.update", "example_map", "web_server"])
            .env("DOCKER_HOST", &proxy.docker_host())
    };
    update().run().expect_code(0);
    proxy.count_rounds(QUIET);
    let outcome = update().run().expect_code(0);
    assert_eq!(outcome.plan(), [""; 0], "{outcome}");
    let requests = proxy.requests();
    // The version, the lists of containers, networks, volumes and images, and three inspections.
    assert_eq!(requests.len(), 5 + 3, "engine {}: {requests:#?}", host.engine);
    assert_eq!(outcome.json()["requests"], 5 + 3, "{outcome}");
    assert!(requests.iter().all(|line| line.starts_with("GET ")), "{requests:#?}");
    assert!(proxy.rounds() <= 3, "engine {}: {} rounds: {requests:#?}", host.engine, proxy.rounds());
}

#[test]
fn a_no_op_sends_five_and_one_for_each_container_in_three_rounds() {
    let lab = lab_or_skip!();
    crate::one_run_per_example::on_each_generation(&lab, a_no_op);
}
