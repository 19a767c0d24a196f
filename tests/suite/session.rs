//! A person brings the example up on three hosts and one that is not there, looks at the screen, and presses Ctrl-C.
//!
//! What the screen shows at the end is compared; what moves is only looked for. `DFAB_RECORD=1` writes the screens as
//! they are to `tests/sessions/`, for eyes.

use std::fs;
use std::path::Path;

use dfab_tests::terminal::CTRL_C;
use dfab_tests::{Host, Lab, Project, Terminal, lab_or_skip};

/// Images of the example that take a moment to pull: with 24 MiB that cannot be compressed on top.
const PREFIX: &str = "registry.example.com/session";

fn push_large_images(host: &Host<'_>) {
    host.run(&format!(
        "mkdir -p /tmp/large && cd /tmp/large && head -c 25165824 /dev/urandom > noise
         for name in nginx app; do
             docker pull -q registry.example.com/$name:latest
             printf 'FROM registry.example.com/%s:latest\\nCOPY noise /noise\\n' $name > Dockerfile
             docker build -q -t {PREFIX}/$name:latest . && docker push -q {PREFIX}/$name:latest
             docker rmi -f {PREFIX}/$name:latest registry.example.com/$name:latest
         done
         docker image prune -f; rm -rf /tmp/large"
    ));
}

fn forget_images(hosts: &[Host<'_>]) {
    for host in hosts {
        host.run(
            "docker ps -aq | xargs -r docker rm -f -v; docker volume ls -q | xargs -r docker volume rm -f
             docker images --format '{{.Repository}}:{{.Tag}}' | grep -v '^busybox:' | xargs -r docker rmi -f
             docker image prune -f",
        );
    }
}

/// An address of the lab's network that nobody has.
fn dead(lab: &Lab) -> String {
    format!("deploy@{}.250", lab.address(1).rsplit_once('.').expect("an address has dots").0)
}

fn line(lab: &Lab, hosts: &str) -> String {
    format!(
        "{} --ssh-config-path {} --set registry_prefix={PREFIX} -t 60 -H {hosts} actions.update example_map web_server",
        dfab_tests::call::binary().display(),
        lab.ssh_config().display()
    )
}

/// Keeps a screen for eyes.
fn record(name: &str, columns: u16, terminal: &Terminal) {
    if std::env::var_os("DFAB_RECORD").is_some() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions");
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(format!("{name}-{columns}.txt")), format!("{}\n", terminal.rows()))
            .expect("it can be written");
    }
}

/// Replaces what differs between runs: times, counts of requests, the lab's addresses, and with their lengths where a
/// sentence is broken. Lines of a host are put together and sorted: its steps run side by side, as do the hosts.
fn normalised(lab: &Lab, screen: &str) -> String {
    let network = lab.address(1).rsplit_once('.').expect("an address has dots").0.to_owned();
    let screen = screen.replace("\n    ", " ");
    let mut lines: Vec<String> =
        screen.lines().map(|line| without_numbers(&line.replace(&network, "10.0.0"))).collect();
    let (mut of_hosts, rest): (Vec<String>, Vec<String>) =
        lines.drain(..).partition(|line| line.starts_with('['));
    of_hosts.sort();
    of_hosts.into_iter().chain(rest).collect::<Vec<_>>().join("\n")
}

/// `0.41 s` becomes `N s`, `31 requests` becomes `N requests`.
fn without_numbers(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let is_unit = |word: Option<&&str>| {
        word.is_some_and(|word| ["s", "requests", "request"].contains(&word.trim_end_matches([',', ')'])))
    };
    let replaced = words.iter().enumerate().map(|(index, word)| {
        let number = word.trim_start_matches('(');
        match is_unit(words.get(index + 1)) && number.parse::<f64>().is_ok() {
            true => word.replace(number, "N"),
            false => (*word).to_owned(),
        }
    });
    replaced.collect::<Vec<_>>().join(" ")
}

/// Tells whether a screen shows bars with megabytes of pulls on several hosts at once.
fn shows_pulls(screen: &str) -> bool {
    let bars = |host: &str| {
        screen.lines().any(|line| {
            line.contains(&format!("[{host}] "))
                && line.contains(" MiB")
                && line.contains(['━', '╌'])
                && line.contains("pull ")
        })
    };
    ["host1", "host2", "host3"].iter().filter(|host| bars(host)).count() >= 2
}

/// Returns three hosts with the example's site, and large images in the registry.
fn three_hosts(lab: &Lab) -> Option<Vec<Host<'_>>> {
    if lab.host_count() < 3 {
        dfab_tests::skipped("session (a lab of three hosts)");
        return None;
    }
    let hosts: Vec<Host<'_>> = (1..=3).map(|number| lab.take(number)).collect();
    hosts.iter().for_each(Host::install_site);
    push_large_images(&hosts[0]);
    Some(hosts)
}

#[test]
fn an_update_of_three_hosts_and_a_dead_one_reads_well() {
    let lab = lab_or_skip!();
    let Some(hosts) = three_hosts(&lab) else { return };
    let project = Project::example();
    let names = format!("host1,host2,host3,{}", dead(&lab));
    for columns in [80, 140] {
        forget_images(&hosts);
        let mut terminal =
            Terminal::start(&line(&lab, &names), project.path(), columns, &[("NO_COLOR", "1")]);
        terminal.wait_until("pulls of several hosts", shows_pulls);
        record("pulling", columns, &terminal);
        let (screen, code) = terminal.end();
        record("updated", columns, &terminal);
        assert_eq!(code, Some(1), "{screen}");
        assert!(!screen.contains(['━', '╌', '⠉']), "nothing that moves stays:\n{screen}");
        insta::with_settings!({snapshot_path => "../snapshots", prepend_module_to_snapshot => false}, {
            insta::assert_snapshot!(format!("session_{columns}"), normalised(&lab, &screen));
        });
        for host in &hosts {
            assert!(host.ask().contains("version 1"), "{}", host.name);
        }
    }
}

#[test]
fn ctrl_c_ends_the_session_with_what_was_done() {
    let lab = lab_or_skip!();
    let Some(hosts) = three_hosts(&lab) else { return };
    forget_images(&hosts);
    let project = Project::example();
    let mut terminal =
        Terminal::start(&line(&lab, "host1,host2,host3"), project.path(), 100, &[("NO_COLOR", "1")]);
    terminal.wait_until("pulls of several hosts", shows_pulls);
    terminal.press(CTRL_C);
    terminal.wait_for("interrupted: finishing what is under way; once more stops at once");
    let (screen, code) = terminal.end();
    record("interrupted", 100, &terminal);
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.contains("run the command again"), "{screen}");
    assert!(screen.contains(" steps, because the run was interrupted"), "{screen}");
    assert!(!screen.contains(['━', '╌', '⠉']), "nothing that moves stays:\n{screen}");
    for host in &hosts {
        host.expect_no_leftovers();
    }
    let made: usize = hosts.iter().map(|host| host.containers().len()).sum();
    assert!(made < 9, "what had to wait was not begun: {screen}");
}

#[test]
fn the_second_ctrl_c_stops_a_login_that_hangs() {
    let lab = lab_or_skip!();
    let project = Project::example();
    let mut terminal = Terminal::start(
        &line(&lab, &dead(&lab)).replace("-t 60", "-t 600 --output json"),
        project.path(),
        100,
        &[("NO_COLOR", "1")],
    );
    terminal.wait_for("looking at");
    terminal.press(CTRL_C);
    terminal.wait_for("once more stops at once");
    terminal.press(CTRL_C);
    let (screen, code) = terminal.end();
    assert_eq!(code, Some(130), "{screen}");
    assert!(screen.contains(r#""kind": "interrupted""#) && screen.contains(r#""plan": []"#), "{screen}");
}

#[test]
fn numbers_that_differ_are_left_out() {
    assert_eq!(
        without_numbers("12 created, 3 unchanged (0.41 s, 31 requests)"),
        "12 created, 3 unchanged (N s, N requests)"
    );
}
