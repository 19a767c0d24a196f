//! Hosts that fail under the `dfab` binary, as a user meets it: all that can be under way at once, by a process each.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use dfab_tests::fault::{bytes_sent_to, wait_until};
use dfab_tests::{Fault, Host, Outcome, Project, Running, SlowRegistry, lab_or_skip};

use crate::{causes, header};

/// A container that does not stop when it is asked for the first time, and notes that it was; and one for scripts.
const MAP: &str = r#"
host_root: /srv
slow:
  image: busybox
  stop_timeout: 60
  create_options:
    environment: {ROUND: "NUMBER"}
    command: [sh, -c, "trap 'trap exit TERM; touch /asked' TERM; while :; do sleep 0.1; done"]
script:
  image: busybox
  create_options: {entrypoint: /bin/sh}
sent:
  image: busybox
  create_options: {entrypoint: /bin/sh}
"#;

/// A script that does not end while there is a file `/hold`.
const SCRIPT: &str = "trap exit TERM; echo begun; while [ -e ${0%/*}/hold ]; do sleep 0.1; done; echo done\n";

/// Stands before the host's `tar`: stops after the first megabyte of an upload.
const TAR: &str = "#!/bin/sh
{ dd bs=1M count=1 iflag=fullblock 2>/dev/null; touch /tmp/half; while [ -e /tmp/half ]; do sleep 0.1; done; cat; } |
exec /usr/bin/tar \"$@\"
";

/// What is under way when the fault comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    /// `actions.update` waits for a container's end.
    Update,
    /// `docker.logs --follow` waits for lines: a stream of the engine.
    Logs,
    /// `docker.pull` has half of a layer.
    Pull,
    /// `actions.script` shows the output of a script that runs.
    Script,
    /// `actions.script` has sent a part of the script's folder.
    Upload,
    /// `docker.load_image` sends an image that does not end. The last one to be started: it takes what there is of the
    /// machine.
    Load,
}

impl Work {
    const ALL: [Work; 6] = [Work::Update, Work::Logs, Work::Pull, Work::Script, Work::Upload, Work::Load];

    /// The words of the call.
    fn words(self, registry: &SlowRegistry) -> Vec<&str> {
        match self {
            Work::Update => vec!["actions.update", "fault_map", "slow"],
            Work::Logs => vec!["docker.logs", "--follow", "talker"],
            Work::Pull => vec!["docker.pull", &registry.image],
            Work::Script => script("script"),
            Work::Upload => script("sent"),
            Work::Load => vec!["docker.load_image", "image.tar"],
        }
    }

    /// What its error must name beside the host.
    fn subject(self) -> &'static str {
        match self {
            Work::Update => "`fault_map.slow`",
            Work::Logs => "talker",
            Work::Pull => "slow",
            Work::Script => "`fault_map.script`",
            Work::Upload => "failed to upload",
            Work::Load => "load",
        }
    }

    /// Whether it may come to a good end though the engine restarts: containers end in order before the engine does,
    /// and with them what waits for their end; files go to the host, and not to its engine.
    fn outlives_the_engine(self) -> bool {
        matches!(self, Work::Update | Work::Logs | Work::Script | Work::Upload)
    }
}

/// The call of a script whose folder and configuration have this name. A run that was cut off has left its container.
fn script(name: &'static str) -> Vec<&'static str> {
    let path = if name == "script" { "script/run.sh" } else { "sent/run.sh" };
    let mut words = vec!["actions.script", "fault_map", name, path];
    words.extend(["--upload-dir=true", "--command-format={script_path}", "--wait-timeout=600"]);
    words.push("--remove-existing-before=true");
    words
}

/// A host, and the folder from which it is worked on.
struct Site<'a> {
    host: &'a Host<'a>,
    project: Project,
    registry: SlowRegistry,
}

impl<'a> Site<'a> {
    fn new(host: &'a Host<'a>) -> Self {
        let project = Project::new(&[("fault_map.yaml", "")]);
        for name in ["script", "sent"] {
            fs::create_dir(project.path().join(name)).unwrap();
            fs::write(project.path().join(name).join("run.sh"), SCRIPT).unwrap();
        }
        let data = |path: &str, megabytes: u64| {
            let file = fs::File::options().create(true).append(true).open(project.path().join(path)).unwrap();
            let random = fs::File::open("/dev/urandom").unwrap();
            std::io::copy(&mut random.take(megabytes * 1024 * 1024), &mut &file).unwrap();
            file
        };
        data("sent/data", 8);
        fs::write(project.path().join("image.tar"), header()).unwrap();
        // What cannot be compressed counts as sent; the rest of the file is a hole.
        data("image.tar", 128).set_len(1 << 36).unwrap();
        let registry = SlowRegistry::start(host);
        let site = Self { host, project, registry };
        host.run("docker run -d --name talker busybox sh -c 'while :; do echo talk; usleep 20000; done'");
        site.prepare(0);
        site.call(Work::Update, "json").end().expect_code(0);
        site
    }

    /// Makes all that is to be done in a round, and all that holds it there.
    fn prepare(&self, round: usize) {
        let map = MAP.replace("NUMBER", &round.to_string());
        fs::write(self.project.path().join("fault_map.yaml"), map).unwrap();
        fs::write(self.project.path().join("script/hold"), "").unwrap();
        self.registry.hold();
        self.host.run(&format!(
            "docker image rm {} >/dev/null 2>&1 || true; docker start talker",
            self.registry.image
        ));
    }

    /// Takes away what holds the work, so that it comes to its end.
    fn release(&self) {
        let _ = fs::remove_file(self.project.path().join("script/hold"));
        self.registry.release();
        self.host.run("rm -f /usr/local/bin/tar /tmp/half");
    }

    /// The file for the standard output of a piece of work.
    fn output(&self, work: Work) -> PathBuf {
        self.project.path().join(format!("{work:?}.out"))
    }

    fn call(&self, work: Work, output: &str) -> Running {
        let output = format!("--output={output}");
        let mut words = vec!["--keepalive", "1", "--set", "docker_timeout=20", "-H", "host1", &output];
        words.extend(work.words(&self.registry));
        self.project.dfab_in(self.host.lab, &words).start_into(&self.output(work))
    }

    /// Whether something stands in the standard output.
    fn shows(&self, work: Work, text: &str) -> bool {
        fs::read_to_string(self.output(work)).unwrap().contains(text)
    }

    /// Starts a piece of work, and waits until it is well under way.
    fn start(&self, work: Work) -> Running {
        let sent = bytes_sent_to(self.host);
        if work == Work::Upload {
            self.host.run(&format!("printf %s '{TAR}' >/usr/local/bin/tar && chmod 755 /usr/local/bin/tar"));
        }
        let holds = |script: &str| self.host.run(&format!("{script} && echo yes || true")) == "yes";
        let mut running = self.call(work, "human");
        wait_until(&format!("{work:?} is under way"), || {
            assert!(!running.has_ended(), "{work:?} has ended by itself: {:?}", self.output(work));
            match work {
                Work::Update => holds("docker exec fault_map.slow test -e /asked"),
                Work::Logs => self.shows(work, "talk"),
                Work::Pull => self.registry.is_half_pulled(),
                Work::Script => self.shows(work, "begun"),
                Work::Upload => holds("test -e /tmp/half"),
                Work::Load => bytes_sent_to(self.host) > sent + 8 * 1024 * 1024,
            }
        });
        running
    }
}

/// A test that has failed leaves nothing that holds the work of the next one.
impl Drop for Site<'_> {
    fn drop(&mut self) {
        let release = std::panic::AssertUnwindSafe(|| self.release());
        drop(std::panic::catch_unwind(release));
    }
}

fn check(fault: Fault, work: Work, outcome: Outcome) {
    eprintln!("{fault:?} in {work:?}: {:.1?}\n{}", outcome.took, outcome.stderr);
    let restarts = fault == Fault::EngineRestarted;
    if restarts && work.outlives_the_engine() && outcome.status.success() {
        return;
    }
    // An engine that ends in order says in its own words what it does not do any more.
    let outcome = outcome.expect_code(1).expect_error(&["host1", "caused by"]);
    let named = causes(fault).iter().any(|cause| outcome.stderr.contains(cause));
    assert!(named || restarts, "{fault:?} in {work:?}: no cause\n{outcome}");
    let subject = work.subject();
    assert!(outcome.stderr.contains(subject) || restarts, "{fault:?} in {work:?}: no {subject}\n{outcome}");
}

#[test]
fn the_binary_names_host_and_cause_and_its_next_run_works() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let site = Site::new(&host);
    for (round, fault) in Fault::ALL.into_iter().enumerate() {
        site.prepare(round + 1);
        let running: Vec<Running> = Work::ALL.map(|work| site.start(work)).into();
        let struck = fault.strike(&host);
        if fault == Fault::EngineRestarted {
            // Sending a folder needs no engine: it goes on.
            host.run("rm -f /tmp/half");
        }
        for (work, running) in Work::ALL.into_iter().zip(running) {
            check(fault, work, running.end());
        }
        drop(struck);
        site.release();
        // They were told to stop, or belong to a run that is gone; the next run need not wait for that. Nobody could
        // remove a folder from a host that was away.
        host.run("docker kill fault_map.slow fault_map.script || true; rm -rf /tmp/dfab*");
        for work in [Work::Pull, Work::Script, Work::Upload] {
            site.call(work, "human").end().expect_code(0);
        }
        assert!(site.shows(Work::Script, "done\n") && site.shows(Work::Script, "Exit code: 0"), "{fault:?}");
        site.call(Work::Update, "json").end().expect_code(0);
        site.call(Work::Update, "json").end().expect_code(0);
        let again: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(site.output(Work::Update)).unwrap()).unwrap();
        assert_eq!(again["plan"], serde_json::json!([]), "{fault:?}");
    }
    host.run("docker rm -f fault_map.slow talker");
    host.expect_no_leftovers();
}
