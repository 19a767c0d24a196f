//! What a run meets that is no fault of the network: another run, a full disk, an engine that fails by itself.

use std::time::Duration;

use dfab_tests::fault::wait_until;
use dfab_tests::{Host, Project, lab_or_skip};

const MAP: &str = "\
a: {image: busybox, create_options: {command: sleep 1000}}
b: {image: busybox, create_options: {command: sleep 1000}}
c: {image: busybox, create_options: {command: sleep 1000}}
";

/// Two runs of one map on one host at a time: nothing is made twice, a run that loses says which container it
/// could not make, and the next one finds everything in order. There is no lock (design §8).
#[test]
fn two_runs_at_once_make_everything_once() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[("twice_map.yaml", MAP)]);
    let call = || project.dfab_in(&lab, &["-H", "host1", "actions.startup", "twice_map", "__all__"]);
    let (one, other) = (call().start(), call().start());
    for outcome in [one.end(), other.end()] {
        if outcome.status.code() != Some(0) {
            // The engine's words depend on what the other one was just doing: a name in use, a removal under way.
            outcome
                .expect_code(1)
                .expect_error(&["failed to apply map `twice_map`", "container `twice_map."]);
        }
    }
    let again = project
        .dfab_in(&lab, &["-H", "host1", "--output=json", "actions.startup", "twice_map", "__all__"])
        .run();
    // A run that lost may have left a container created and not started: then this one starts it.
    again.expect_code(0);
    assert_eq!(host.containers(), ["twice_map.a", "twice_map.b", "twice_map.c"]);
    let last = project
        .dfab_in(&lab, &["-H", "host1", "--output=json", "actions.startup", "twice_map", "__all__"])
        .run();
    assert_eq!(last.expect_code(0).plan(), [""; 0]);
    host.expect_no_leftovers();
}

/// An engine that answers everything with a status of 500: a socket behind which a script stands.
#[test]
fn an_engine_that_fails_is_quoted() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    host.run(
        r#"cat > /tmp/failing.sh <<'END'
#!/bin/sh
while read -r line; do [ "$line" = "$(printf '\r')" ] && break; done
body='{"message":"layer store: no space left on device"}'
printf 'HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nContent-Length: %s\r\nConnection: close\r\n\r\n%s' ${#body} "$body"
END
chmod +x /tmp/failing.sh
setsid socat UNIX-LISTEN:/tmp/failing.sock,fork,mode=666 EXEC:/tmp/failing.sh >/dev/null 2>&1 </dev/null &"#,
    );
    wait_until("the script listens", || host.run("[ -S /tmp/failing.sock ] && echo yes || true") == "yes");
    let project = Project::new(&[]);
    let url = "docker_base_url=unix:///tmp/failing.sock";
    let version = project.dfab_in(&lab, &["-H", "host1", "--set", url, "docker.version"]).run();
    let doctor = project.dfab_in(&lab, &["--set", url, "doctor", "host1"]).run();
    host.run("kill $(pgrep -f [U]NIX-LISTEN:/tmp/failing.sock)");
    version
        .expect_code(1)
        .expect_error(&["host1", "the engine refused (500): layer store", "`dfab doctor host1`"])
        .expect_within(Duration::from_secs(60));
    let doctor = doctor.expect_code(1);
    assert!(
        doctor.stdout.contains("failed   engine") && doctor.stdout.contains("fix: the disk of"),
        "{doctor}"
    );
}

/// A data root of a few mebibytes, until this value goes.
struct SmallDisk<'a>(&'a Host<'a>);

impl<'a> SmallDisk<'a> {
    fn make(host: &'a Host<'a>) -> Self {
        let small = Self(host);
        small.restart_engine("mount -t tmpfs -o size=24m small /var/lib/docker");
        small
    }

    fn restart_engine(&self, between: &str) {
        self.0.run(&format!(
            "pid=$(cat /run/docker.pid)
             cp /proc/$pid/cmdline /run/dockerd.words
             kill -TERM $pid
             while kill -0 $pid 2>/dev/null; do sleep 0.1; done
             {between}
             setsid xargs -0 -a /run/dockerd.words env >>/run/lab/host/dockerd.log 2>&1 </dev/null &"
        ));
        let answers = "docker version >/dev/null 2>&1 && echo yes || true";
        wait_until("the engine answers", || self.0.run(answers) == "yes");
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let mend = std::panic::AssertUnwindSafe(|| self.restart_engine("umount -l /var/lib/docker"));
        if let Err(failed) = std::panic::catch_unwind(mend)
            && !std::thread::panicking()
        {
            std::panic::resume_unwind(failed);
        }
    }
}

#[test]
fn a_full_disk_is_named_and_measured() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    // An image of one file that is larger than the disk. What it holds does not matter: it never gets that far.
    let file = std::fs::File::create(project.path().join("layer.tar")).unwrap();
    file.set_len(60 * 1024 * 1024).unwrap();
    let tar = std::process::Command::new("tar")
        .args(["-C", &project.path().display().to_string(), "-cf"])
        .arg(project.path().join("image.tar"))
        .arg("layer.tar")
        .status();
    assert!(tar.expect("`tar` starts").success());
    let small = SmallDisk::make(&host);
    let load = project.dfab_in(&lab, &["-H", "host1", "docker.load_image", "image.tar"]).run();
    let doctor = project.dfab_in(&lab, &["doctor", "host1"]).run();
    drop(small);
    load.expect_code(1).expect_error(&[
        "host1",
        "no space left on device",
        "the disk of the engine's host is full",
    ]);
    let doctor = doctor.expect_code(1);
    assert!(doctor.stdout.contains("failed   disk"), "{doctor}");
    assert!(
        doctor.stdout.contains("of 24.0 MiB free") && doctor.stdout.contains("docker system prune"),
        "{doctor}"
    );
    project.dfab_in(&lab, &["-H", "host1", "docker.version"]).run().expect_code(0);
    host.expect_no_leftovers();
}
