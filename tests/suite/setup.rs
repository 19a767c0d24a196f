//! Set-up tasks on a bare Debian host: afterwards it is a Docker host like any other.

use dfab_tests::{Lab, Outcome, Project, lab_or_skip};

const MAP: &str =
    "name: small\napp:\n  image: registry.example.com/busybox\n  create_options: {command: sleep 600}\n";

fn dfab(project: &Project, lab: &Lab, words: &[&str]) -> Outcome {
    project.dfab_in(lab, &[&["-H", "bare"], words].concat()).run()
}

#[test]
fn a_bare_debian_becomes_a_host_that_a_map_is_updated_on() {
    let lab = lab_or_skip!();
    let Some(bare) = lab.bare() else { return dfab_tests::skipped("setup (a lab with `--bare`)") };
    let project = Project::new(&[("small.yaml", MAP)]);
    let install = ["docker.install_docker_debian", "--source", "distribution"];

    // A dry run names every step, and does none.
    let outcome = dfab(&project, &lab, &[&["--dry-run", "--detailed-exitcode"], &install[..]].concat());
    let outcome = outcome.expect_code(10);
    let apt = "DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o \
               Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install";
    let steps = format!(
        "[bare] would sudo: apt-get update  # the package lists may be old\n\
         [bare] would sudo: {apt} docker.io  # `docker` is not installed\n\
         [bare] would sudo: service docker start  # the engine does not run\n\
         [bare] would sudo: timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 1; done'  # it answers \
         a moment after its start\n\
         [bare] would sudo: usermod -aG docker deploy  # deploy is not in the group `docker`, which may use the \
         engine\n\
         [bare] Reconnect for the group assignment to take effect.\n"
    );
    assert_eq!(outcome.stdout, steps, "{outcome}");
    assert_eq!(bare.run("command -v docker || echo none"), "none");
    dfab(&project, &lab, &["docker.install_docker_centos"])
        .expect_code(1)
        .expect_error(&["CentOS/RHEL family"]);

    // sudo wants a password: nobody can be asked here, so that it must have been given.
    bare.run("echo 'deploy ALL=(ALL) ALL' > /etc/sudoers.d/lab");
    dfab(&project, &lab, &install).expect_code(1).expect_error(&["the sudo password of `deploy`"]);
    assert_eq!(bare.run("command -v docker || echo none"), "none");
    let with_password = |words: &[&str]| {
        let words = [&["-H", "bare"], words].concat();
        project.dfab_in(&lab, &words).env("DFAB_SUDO_PASSWORD", "lab-password").run()
    };
    let outcome = with_password(&install).expect_code(0);
    assert!(outcome.stdout.ends_with("[bare] 5 steps done, and nothing is left to do.\n"), "{outcome}");
    assert!(!outcome.stderr.contains("lab-password"), "{outcome}");
    assert_eq!(bare.run("id -nG deploy"), "deploy docker");

    // Again, and by the task that looks at the host: nothing is left.
    let outcome = with_password(&["--output=json", "docker.install_docker"]).expect_code(0);
    let json = outcome.json();
    assert_eq!(json["rows"][0]["steps"], serde_json::json!([]), "{outcome}");
    assert_eq!(json["rows"][0]["notes"][0], "Docker is already installed.");
    // The task of Docker-Fabric for the same family.
    let outcome = with_password(&["docker.install_docker_ubuntu"]).expect_code(0);
    assert!(outcome.stdout.ends_with("[bare] Nothing to do.\n"), "{outcome}");

    // The groups of a new login count: the very next call uses the engine, and a map is brought up on it.
    let update = ["actions.update", "small", "app", "--output=json"];
    let outcome = dfab(&project, &lab, &update).expect_code(0);
    assert!(outcome.plan().iter().any(|line| line == "create container small.app"), "{outcome}");
    assert_eq!(bare.run("docker inspect --format '{{.State.Running}}' small.app"), "true");
    assert_eq!(dfab(&project, &lab, &update).expect_code(0).plan(), [""; 0]);
}

#[test]
fn socat_comes_by_package_and_by_copy() {
    let lab = lab_or_skip!();
    let Some(bare) = lab.bare() else { return dfab_tests::skipped("setup (a lab with `--bare`)") };
    let project = Project::new(&[]);
    let outcome = dfab(&project, &lab, &["docker.install_socat"]).expect_code(0);
    assert!(outcome.stdout.contains("2 steps done"), "{outcome}");
    let version = bare.run("socat -V | sed -n 's/^socat version \\([^ ]*\\).*/\\1/p'");
    let outcome = dfab(&project, &lab, &["docker.install_socat"]).expect_code(0);
    assert_eq!(
        outcome.stdout,
        format!("[bare] socat {version} is already installed at /usr/bin/socat.\n[bare] Nothing to do.\n")
    );

    // What building it would do; the distribution's own stays where it is. See below for doing it.
    let outcome = dfab(&project, &lab, &["--dry-run", "docker.build_socat_ubuntu"]).expect_code(0);
    for step in ["install gcc make curl", "./configure", "make", "sudo: cd ", "make install"] {
        assert!(outcome.stdout.contains(step), "{outcome}");
    }
    dfab(&project, &lab, &["docker.build_socat_centos"]).expect_code(1).expect_error(&["CentOS/RHEL family"]);

    dfab(&project, &lab, &["fetch_socat", "fetched", "/usr/bin/socat"]).expect_code(0);
    dfab(&project, &lab, &["install_socat", "fetched"]).expect_code(0);
    assert_eq!(bare.run("stat -c '%a %U' /usr/local/bin/socat"), "755 root");
    let outcome = dfab(&project, &lab, &["install_socat:fetched"]).expect_code(0);
    assert!(outcome.stdout.contains("The same socat is already at /usr/local/bin/socat."), "{outcome}");
    dfab(&project, &lab, &["install_socat", "nowhere"])
        .expect_code(2)
        .expect_error(&["socat cannot be found in the provided path (nowhere or "]);
}

/// From Debian's copy of the sources, which lies on the host: the lab reaches no other place.
#[test]
fn socat_is_built_on_a_bare_debian() {
    let lab = lab_or_skip!();
    let Some(bare) = lab.bare() else { return dfab_tests::skipped("setup (a lab with `--bare`)") };
    let project = Project::new(&[]);
    let sources = bare.run("ls /srv/pool/socat_*.orig.tar.gz");
    let version = sources.trim_start_matches("/srv/pool/socat_").trim_end_matches(".orig.tar.gz");
    let sum = bare.run(&format!("sha256sum {sources} | cut -d' ' -f1"));
    let build = |sum: &str| {
        let variables = format!("socat_version={version},socat_url=file://{sources},socat_sha256={sum}");
        dfab(&project, &lab, &["--set", &variables, "docker.build_socat"])
    };
    // Other bytes than those that were asked for are neither unpacked nor left there.
    build(&"0".repeat(64)).expect_code(1).expect_error(&["sha256sum -c -"]);
    assert_eq!(bare.run("ls -d /tmp/*/ /usr/local/bin/* 2>/dev/null | cat"), "");

    let outcome = build(&sum).expect_code(0);
    assert!(outcome.stdout.ends_with("steps done, and nothing is left to do.\n"), "{outcome}");
    assert!(bare.run("/usr/local/bin/socat -V").contains(&format!("socat version {version} ")), "{outcome}");
    assert_eq!(bare.run("ls -d /tmp/*/ 2>/dev/null | cat"), "");
    let outcome = build(&sum).expect_code(0);
    assert_eq!(
        outcome.stdout,
        format!(
            "[bare] socat {version} is already installed at /usr/local/bin/socat.\n[bare] Nothing to do.\n"
        )
    );
}

#[test]
fn a_host_must_be_named() {
    let project = Project::new(&[]);
    for task in ["install_docker", "install_socat", "build_socat"] {
        project.dfab(&[task]).run().expect_code(2).expect_error(&["needs a host"]);
    }
}
