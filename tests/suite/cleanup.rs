//! The worked examples of clients-tasks §4.8–4.10 on an engine of each generation, by the real tasks, over the Engine
//! API and over the host's own `docker` program.
//!
//! What only lists is asked over both; what removes, over each in turn, so that a host is filled once.
//!
//! Three rows of the examples cannot be made on a living engine: a `Dead` container, one without a name, and
//! one without a status.

use dfab_tests::{Host, Project, lab_or_skip};

const BACKENDS: [&str; 2] = ["api", "cli"];

/// Runs a task and returns the labels of the objects whose IDs it prints, in the order of `known`.
fn chosen(
    project: &Project,
    host: &Host<'_>,
    backend: &str,
    words: &[&str],
    known: &[(String, String)],
) -> Vec<String> {
    let mut arguments = vec!["--backend", backend, "--yes", "-H", &host.name];
    arguments.extend(words);
    let outcome = project.dfab_in(host.lab, &arguments).run().expect_code(0);
    let is_named = |(_, id): &&(String, String)| outcome.stdout.contains(id.as_str());
    known.iter().filter(is_named).map(|(label, _)| label.clone()).collect()
}

/// Runs a script that prints `LABEL ID` lines.
fn made(host: &Host<'_>, script: &str) -> Vec<(String, String)> {
    let output = host.run(script);
    let pair = |line: &str| line.split_once(' ').map(|(label, id)| (label.to_owned(), id.to_owned()));
    output.lines().filter_map(pair).collect()
}

/// The containers of §4.8: `db` has the link alias `web/db`. What waits for nothing is made at once.
const CONTAINERS: &str = r#"
    keep="trap 'exit 0' TERM; while :; do sleep 0.1; done"
    { docker run -d --name db busybox sh -c "$keep"
      docker run -d --name web --link db:db busybox sh -c "$keep"
      docker kill db; } >/dev/null & p1=$!
    docker run --name old busybox true & p2=$!
    docker create --name init busybox true >/dev/null & p3=$!
    { docker run -d --name paused busybox sh -c "$keep"; docker pause paused; } >/dev/null & p4=$!
    docker run -d --name again --restart always busybox sh -c 'sleep 0.1; exit 1' >/dev/null & p5=$!
    for p in $p1 $p2 $p3 $p4 $p5; do wait $p || exit 1; done
    docker wait db old >/dev/null
    # An engine's list lags behind its own wait.
    for n in db old; do
      for i in $(seq 600); do docker ps -a --format '{{.Names}} {{.Status}}' | grep -q "$n Exited" && break; sleep 0.1; done
    done
    for n in web old init db paused again; do echo "$n $(docker inspect --format '{{.Id}}' $n)"; done
"#;

#[test]
fn containers_that_have_ended_are_chosen_as_the_worked_example_says() {
    let lab = lab_or_skip!();
    let project = Project::new(&[]);
    for number in lab.generations() {
        let host = lab.take(number);
        let known = made(&host, CONTAINERS);
        assert_eq!(known.len(), 6, "{known:?}");
        let chosen = |backend: &str, words: &[&str]| {
            chosen(&project, &host, backend, &[&["docker.cleanup_containers"], words].concat(), &known)
        };
        let list = "--list-only";
        for (words, expected) in [
            (&[list][..], &["old", "db"][..]),
            (&[list, "--include-initial"], &["old", "init", "db"]),
            (&[list, "--exclude", "old"], &["db"]),
            (&[list, "--exclude", "db"], &["old"]),
            (&[list, "--exclude", "web/db"], &["old"]),
        ] {
            for backend in BACKENDS {
                let found = chosen(backend, words);
                assert_eq!(found, expected, "{} ({}), {backend}: {words:?}", host.name, host.engine);
            }
        }
        assert_eq!(host.containers().len(), 6, "a list removes nothing");
        chosen("api", &["--exclude", "db"]);
        assert_eq!(host.containers(), ["again", "db", "init", "paused", "web"], "{}", host.name);
        chosen("cli", &["--include-initial"]);
        assert_eq!(host.containers(), ["again", "paused", "web"], "{}", host.name);
    }
}

#[test]
fn all_containers_are_removed_whatever_they_do() {
    let lab = lab_or_skip!();
    let project = Project::new(&[]);
    for (number, removing) in lab.generations().into_iter().zip(BACKENDS.into_iter().cycle()) {
        let host = lab.take(number);
        let mut known = made(&host, CONTAINERS);
        let deaf = r#"echo "deaf $(docker run -d --name deaf busybox sh -c "trap '' TERM; while :; do sleep 0.1; done")""#;
        known.extend(made(&host, deaf));
        let task = |backend: &str, words: &[&str]| {
            chosen(&project, &host, backend, &[&["docker.remove_all_containers"], words].concat(), &known)
        };
        for backend in BACKENDS {
            assert_eq!(task(backend, &["--list-only"]).len(), 7, "{} {backend}", host.name);
        }
        assert_eq!(host.containers().len(), 7, "a list removes nothing");
        task(removing, &["--stop-timeout", "1"]);
        assert_eq!(host.containers(), [""; 0], "{} ({}), {removing}", host.name, host.engine);
    }
}

/// The images of §4.9. A commit's parent is the image of its container.
const IMAGES: &str = r#"
    root() { c=$(docker create busybox true); docker export $c | docker import - "$1"; docker rm $c >/dev/null; }
    child() { c=$(docker create "$1" true); docker commit $c $2; docker rm $c >/dev/null; }
    base=$(root ubuntu:14.04); old=$(root tool:3)
    l1=$(child $base); l2=$(child $base); l3=$(child $base); l4=$(child $base)
    app2=$(child $l2 app:latest); docker tag app:latest app:2.0
    app1=$(child $l1 app:1.0); app0=$(child $l1 app:0.9)
    dang=$(child $l3); dangused=$(child $l4)
    docker create --name user $dangused true >/dev/null
    for n in app2 app1 app0 dang l1 l2 l3 dangused l4 base old; do eval "echo $n \$$n"; done
"#;

#[test]
fn images_that_nothing_needs_are_chosen_as_the_worked_example_says() {
    let lab = lab_or_skip!();
    let project = Project::new(&[]);
    for number in lab.generations() {
        let host = lab.take(number);
        let known = made(&host, IMAGES);
        assert_eq!(known.len(), 11, "{known:?}");
        let chosen = |backend: &str, words: &[&str]| {
            chosen(&project, &host, backend, &[&["docker.cleanup_images"], words].concat(), &known)
        };
        let list = "--list-only";
        let all_old = &["app1", "app0", "dang", "l1", "l3", "old"][..];
        for (words, expected) in [
            (&[list][..], &["dang", "l3"][..]),
            (&[list, "--keep-tags", "1.0"], &["dang", "l3"]),
            (&[list, "--remove-old"], all_old),
            (&[list, "--remove-old", "--keep-tags", "1.0"], &["app0", "dang", "l3", "old"]),
            (&[list, "--remove-old", "--keep-tags", "1.0;14.04"], &["app0", "dang", "l3", "old"]),
            (&[list, "--remove-old", "--keep-tags", "0"], all_old),
        ] {
            for backend in BACKENDS {
                let found = chosen(backend, words);
                assert_eq!(found, expected, "{} ({}), {backend}: {words:?}", host.name, host.engine);
            }
        }
        let left = || {
            let ids = host.run("docker images -aq --no-trunc");
            let is_left = |(_, id): &&(String, String)| ids.contains(id.as_str());
            known.iter().filter(is_left).map(|(label, _)| label.clone()).collect::<Vec<_>>()
        };
        assert_eq!(left().len(), 11, "a list removes nothing");
        chosen("cli", &[]);
        let expected = ["app2", "app1", "app0", "l1", "l2", "dangused", "l4", "base", "old"];
        assert_eq!(left(), expected, "{} ({})", host.name, host.engine);
        chosen("api", &["--remove-old"]);
        let expected = ["app2", "l2", "dangused", "l4", "base"];
        assert_eq!(left(), expected, "{} ({})", host.name, host.engine);
        host.run("docker rm user >/dev/null; docker images -aq --filter dangling=true | xargs -r docker rmi -f || true");
    }
}
