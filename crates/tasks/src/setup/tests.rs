//! Hosts as they answer, and what is done on them. The hosts of the Red Hat family, and Docker's own
//! repository, are held by these texts alone: no such machine, and not that repository, was at hand.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::Path;

use async_trait::async_trait;
use dfab_client::error::Source as AnyError;
use futures_util::FutureExt as _;

use super::*;

/// Answers to [`PROBE`], without what the systems have in common.
const DEBIAN: &str = "user=deploy\nuid=1000\ngroups=deploy sudo\nmachine=x86_64\nhas.apt-get=/usr/bin/apt-get\n\
    has.service=/usr/sbin/service\nhas.sudo=/usr/bin/sudo\ndpkg=amd64\nos.ID=debian\nos.VERSION_ID=\"12\"\n\
    os.VERSION_CODENAME=bookworm\nos.PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nend=yes\n";
const MINT: &str = "Welcome!\nuser=deploy\nuid=1000\ngroups=deploy\nmachine=aarch64\nhas.apt-get=/usr/bin/apt-get\n\
    has.sudo=/usr/bin/sudo\nhas.systemctl=/usr/bin/systemctl\ndpkg=arm64\nsystemd=yes\nos.ID=linuxmint\n\
    os.ID_LIKE=\"ubuntu debian\"\nos.VERSION_CODENAME=virginia\nos.UBUNTU_CODENAME=jammy\nend=yes\n";
const CENTOS: &str = "user=centos\nuid=1000\ngroups=centos wheel\nmachine=x86_64\nhas.curl=/usr/bin/curl\n\
    has.rpm=/usr/bin/rpm\nhas.sudo=/usr/bin/sudo\nhas.systemctl=/usr/bin/systemctl\nhas.yum=/usr/bin/yum\n\
    systemd=yes\nos.ID=\"centos\"\nos.ID_LIKE=\"rhel fedora\"\nos.VERSION_ID=\"7\"\n\
    os.PRETTY_NAME=\"CentOS Linux 7 (Core)\"\nend=yes\n";
const ROCKY: &str = "user=root\nuid=0\ngroups=root\nmachine=x86_64\nhas.curl=/usr/bin/curl\nhas.dnf=/usr/bin/dnf\n\
    has.rpm=/usr/bin/rpm\nhas.systemctl=/usr/bin/systemctl\nhas.yum=/usr/bin/yum\nsystemd=yes\nos.ID=\"rocky\"\n\
    os.ID_LIKE=\"rhel centos fedora\"\nos.VERSION_ID=\"9.4\"\nos.PRETTY_NAME=\"Rocky Linux 9.4 (Blue Onyx)\"\nend=yes\n";
const FEDORA: &str = "user=me\nuid=1000\ngroups=me wheel\nmachine=x86_64\nhas.dnf=/usr/bin/dnf\nhas.dnf5=/usr/bin/dnf5\n\
    has.rpm=/usr/bin/rpm\nhas.sudo=/usr/bin/sudo\nsystemd=yes\nos.ID=fedora\nos.VERSION_ID=41\n\
    os.PRETTY_NAME=\"Fedora Linux 41\"\nend=yes\n";
const ALPINE: &str = "user=root\nuid=0\ngroups=root\nmachine=x86_64\nos.ID=alpine\nos.PRETTY_NAME=\"Alpine Linux v3.20\"\nend=yes\n";
/// What a host says in addition when Docker is installed, and when it runs.
const INSTALLED: &str = "has.docker=/usr/bin/docker\nhas.dockerd=/usr/sbin/dockerd\ngroup.docker=yes\n";
const RUNNING: &str = "engine=running\n";

fn facts(parts: &[&str]) -> Facts {
    Facts::parse(&parts.concat()).unwrap()
}

/// A plan without its reasons, or why there is none.
fn lines(plan: Result<Plan, Refusal>) -> Vec<String> {
    match plan {
        Ok(plan) => {
            plan.notes.into_iter().chain(plan.steps.iter().map(|step| step.action.to_string())).collect()
        }
        Err(refusal) => vec![refusal.to_string()],
    }
}

const WAIT: &str = "sudo: timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 1; done'";

#[test]
fn docker_is_installed_by_the_commands_of_the_system() {
    let apt = "sudo: DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install";
    let systemd = vec!["sudo: systemctl enable --now docker".to_owned(), WAIT.to_owned()];
    let from_docker = |system: &str, codename: &str, arch: &str| {
        vec![
            "sudo: apt-get update".to_owned(),
            format!("{apt} ca-certificates curl"),
            format!("sudo: install -m 0755 -d /etc/apt/keyrings && curl --fail --silent --show-error --location --output /etc/apt/keyrings/docker.asc https://download.docker.com/linux/{system}/gpg && chmod 0644 /etc/apt/keyrings/docker.asc"),
            format!("sudo: echo 'deb [arch={arch} signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/{system} {codename} stable' > /etc/apt/sources.list.d/docker.list"),
            "sudo: apt-get update -o Dir::Etc::sourcelist=sources.list.d/docker.list -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0".to_owned(),
            format!("{apt} docker-ce docker-ce-cli containerd.io"),
        ]
    };
    let note = |text: &str| vec![text.to_owned()];
    let new_login = || note("Reconnect for the group assignment to take effect.");
    let usermod = |user: &str| note(&format!("sudo: usermod -aG docker {user}"));
    let service = || vec!["sudo: service docker start".to_owned(), WAIT.to_owned()];
    type Case<'a> = (&'a str, &'a [&'a str], Source, Vec<Vec<String>>);
    let cases: Vec<Case<'_>> = vec![
        (
            "Docker's repository on Debian",
            &[DEBIAN],
            Source::Docker,
            vec![new_login(), from_docker("debian", "bookworm", "amd64"), service(), usermod("deploy")],
        ),
        (
            "made from Ubuntu",
            &[MINT],
            Source::Docker,
            vec![new_login(), from_docker("ubuntu", "jammy", "arm64"), systemd.clone(), usermod("deploy")],
        ),
        (
            "the distribution's on Debian",
            &[DEBIAN],
            Source::Distribution,
            vec![
                new_login(),
                note("sudo: apt-get update"),
                note(&format!("{apt} docker.io")),
                service(),
                usermod("deploy"),
            ],
        ),
        (
            "yum",
            &[CENTOS],
            Source::Docker,
            vec![
                new_login(),
                note("sudo: yum install -y yum-utils"),
                note(
                    "sudo: yum-config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo",
                ),
                note("sudo: yum install -y docker-ce docker-ce-cli containerd.io"),
                systemd.clone(),
                usermod("centos"),
            ],
        ),
        (
            "yum, the distribution's",
            &[CENTOS],
            Source::Distribution,
            vec![new_login(), note("sudo: yum install -y docker"), systemd.clone(), usermod("centos")],
        ),
        (
            "dnf as root",
            &[ROCKY],
            Source::Docker,
            vec![
                note("root may use Docker without the group `docker`."),
                note("sudo: dnf install -y dnf-plugins-core"),
                note(
                    "sudo: dnf config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo",
                ),
                note("sudo: dnf install -y docker-ce docker-ce-cli containerd.io"),
                systemd.clone(),
            ],
        ),
        (
            "a distribution without Docker",
            &[ROCKY],
            Source::Distribution,
            vec![note("`Rocky Linux 9.4 (Blue Onyx)` has no package with the Docker engine")],
        ),
        (
            "dnf5",
            &[FEDORA],
            Source::Docker,
            vec![
                new_login(),
                note("sudo: dnf install -y dnf5-plugins"),
                note(
                    "sudo: dnf config-manager addrepo --overwrite --from-repofile=https://download.docker.com/linux/fedora/docker-ce.repo",
                ),
                note("sudo: dnf install -y docker-ce docker-ce-cli containerd.io"),
                systemd.clone(),
                usermod("me"),
            ],
        ),
        (
            "another family",
            &[ALPINE],
            Source::Docker,
            vec![note(
                "there are no set-up steps for `Alpine Linux v3.20`: it is neither of the Debian nor of the Red Hat family",
            )],
        ),
        (
            "installed, stopped",
            &[INSTALLED, DEBIAN],
            Source::Docker,
            vec![note("Docker is already installed."), new_login(), service(), usermod("deploy")],
        ),
        (
            "only a client",
            &["has.docker=/usr/bin/docker\n", DEBIAN],
            Source::Distribution,
            vec![
                new_login(),
                note("sudo: apt-get update"),
                note(&format!("{apt} docker.io")),
                service(),
                usermod("deploy"),
            ],
        ),
    ];
    for (case, parts, source, expected) in cases {
        let options = DockerOptions { source, ..DockerOptions::default() };
        assert_eq!(lines(docker(&facts(parts), &options)), expected.concat(), "{case}");
    }
}

#[test]
fn a_host_that_is_set_up_has_no_step_left() {
    let of_group = DEBIAN.replace("groups=deploy sudo", "groups=deploy docker");
    let there = [INSTALLED, RUNNING, &of_group];
    assert_eq!(
        lines(docker(&facts(&there), &DockerOptions::default())),
        [
            "Docker is already installed.",
            "The engine is already running.",
            "deploy is already in the group `docker`."
        ]
    );
    let skipped = DockerOptions { skip_group_assignment: true, ..DockerOptions::default() };
    assert!(docker(&facts(&[INSTALLED, RUNNING, DEBIAN]), &skipped).unwrap().steps.is_empty());
}

#[test]
fn a_step_says_why_it_is_needed() {
    let options = DockerOptions { source: Source::Distribution, ..DockerOptions::default() };
    let plan = docker(&facts(&[DEBIAN]), &options).unwrap().to_string();
    assert_eq!(
        plan,
        "Reconnect for the group assignment to take effect.\n\
         sudo: apt-get update  # the package lists may be old\n\
         sudo: DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install docker.io  # `docker` is not installed\n\
         sudo: service docker start  # the engine does not run\n\
         sudo: timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 1; done'  # it answers a moment after its start\n\
         sudo: usermod -aG docker deploy  # deploy is not in the group `docker`, which may use the engine\n"
    );
}

#[test]
fn names_and_addresses_are_words_before_they_stand_in_a_command() {
    let refused = |options: DockerOptions| docker(&facts(&[DEBIAN]), &options).unwrap_err().to_string();
    let packages = |name: &str| DockerOptions { packages: vec![name.to_owned()], ..DockerOptions::default() };
    assert_eq!(refused(packages("docker; reboot")), "`docker; reboot` is no name of a package");
    assert_eq!(refused(packages("--reinstall")), "`--reinstall` is no name of a package");
    let repository = Some("https://mirror.example/$(id)".to_owned());
    assert_eq!(
        refused(DockerOptions { repository, ..DockerOptions::default() }),
        "`https://mirror.example/$(id)` is no address of a repository"
    );
    let hostile = DEBIAN.replace("os.VERSION_CODENAME=bookworm", "os.VERSION_CODENAME=\"a' 'b\"");
    let refusal = docker(&facts(&[&hostile]), &DockerOptions::default()).unwrap_err();
    assert_eq!(refusal.to_string(), "`a' 'b` is no code name");
    let own = DockerOptions {
        packages: vec!["docker-ce=5:26.1.4".to_owned()],
        repository: Some("https://mirror.example/docker/".to_owned()),
        ..DockerOptions::default()
    };
    let plan = docker(&facts(&[DEBIAN]), &own).unwrap().to_string();
    for part in [
        "https://mirror.example/docker/gpg",
        "https://mirror.example/docker/ bookworm",
        "install docker-ce=5:26.1.4 ",
    ] {
        assert!(plan.contains(part), "{part} is missing in\n{plan}");
    }
}

#[test]
fn a_task_of_another_family_and_a_login_without_root_are_refused() {
    let of = |family| DockerOptions { family: Some(family), ..DockerOptions::default() };
    let refusal = docker(&facts(&[CENTOS]), &of(Family::Debian)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the host runs `CentOS Linux 7 (Core)`, which is not of the Debian/Ubuntu family"
    );
    assert!(refusal.hint().unwrap().contains("install_docker_centos"));
    let bare = DEBIAN.replace("has.sudo=/usr/bin/sudo\n", "");
    let refusal = docker(&facts(&[&bare]), &DockerOptions::default()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "root is needed, but the user `deploy` is not root, and the host has no `sudo`"
    );
    assert!(matches!(Facts::parse("This account is not available.\n"), Err(Refusal::NoAnswer(_))));
}

#[test]
fn socat_comes_by_package_where_there_is_none() {
    let there = "socat=/usr/bin/socat\nsocat./usr/bin/socat=1.7.4.4 00ff\n";
    for (case, parts, expected) in [
        ("there", vec![there, DEBIAN], vec!["socat 1.7.4.4 is already installed at /usr/bin/socat."]),
        (
            "apt",
            vec![DEBIAN],
            vec![
                "sudo: apt-get update",
                "sudo: DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install socat",
            ],
        ),
        ("yum", vec![CENTOS], vec!["sudo: yum install -y socat"]),
        ("dnf", vec![ROCKY], vec!["sudo: dnf install -y socat"]),
    ] {
        assert_eq!(lines(package(&facts(&parts))), expected, "{case}");
    }
}

#[test]
fn a_socat_is_copied_unless_it_is_the_same() {
    let there = "socat./usr/local/bin/socat=1.7.3.2 00ff\n";
    let plan = |parts: &[&str], sum| lines(copy(&facts(parts), Path::new("bin/socat"), sum, SOCAT));
    assert_eq!(plan(&[there, DEBIAN], "00ff"), ["The same socat is already at /usr/local/bin/socat."]);
    let put =
        ["put: bin/socat -> /usr/local/bin/socat (mode 0755)", "run: /usr/local/bin/socat -V >/dev/null"];
    assert_eq!(plan(&[there, DEBIAN], "aa"), put);
    assert_eq!(plan(&[DEBIAN], "aa"), put);
}

fn build_options(sha256: Option<&str>) -> BuildOptions {
    BuildOptions {
        family: None,
        version: "1.7.3.2".to_owned(),
        sha256: sha256.map(str::to_owned),
        url: None,
        directory: "/tmp/dfab-1".to_owned(),
    }
}

#[test]
fn socat_is_built_in_a_directory_that_goes_away() {
    let steps = [
        "run: mkdir -m 700 /tmp/dfab-1",
        "run: curl --fail --silent --show-error --location -o /tmp/dfab-1/socat-1.7.3.2.tar.gz http://www.dest-unreach.org/socat/download/socat-1.7.3.2.tar.gz",
        "run: tar -xf /tmp/dfab-1/socat-1.7.3.2.tar.gz -C /tmp/dfab-1 -z",
        "run: cd /tmp/dfab-1/socat-1.7.3.2 && ./configure",
        "run: cd /tmp/dfab-1/socat-1.7.3.2 && make",
        "sudo: cd /tmp/dfab-1/socat-1.7.3.2 && make install",
        "sudo: rm -rf /tmp/dfab-1",
    ];
    let unchecked =
        "The download is not checked: set `socat_sha256` to the SHA-256 sum of socat-1.7.3.2.tar.gz.";
    let apt = "sudo: DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install gcc make curl";
    let cases = [
        (DEBIAN, vec![unchecked, "sudo: apt-get update", apt]),
        (CENTOS, vec![unchecked, "sudo: yum install -y gcc make"]),
        (ROCKY, vec![unchecked, "sudo: dnf install -y gcc make"]),
    ];
    for (system, first) in cases {
        assert_eq!(
            lines(build(&facts(&[system]), &build_options(None))),
            [first.as_slice(), &steps].concat()
        );
    }
    let sum = "0A".repeat(32);
    let checked = build(&facts(&[CENTOS]), &build_options(Some(&sum))).unwrap();
    let check = format!("run: echo '{}  /tmp/dfab-1/socat-1.7.3.2.tar.gz' | sha256sum -c -", "0a".repeat(32));
    assert_eq!(checked.steps[3].action.to_string(), check);
    assert!(checked.notes.is_empty());
    assert!(build(&facts(&[CENTOS]), &build_options(Some("12"))).is_err());
    let there = "socat./usr/local/bin/socat=1.7.3.2 00ff\n";
    assert_eq!(
        lines(build(&facts(&[there, CENTOS]), &build_options(None))),
        ["socat 1.7.3.2 is already installed at /usr/local/bin/socat."]
    );
}

/// A host that expects these lines in this order, and answers them.
struct Recorded {
    lines: RefCell<VecDeque<(String, Finished)>>,
}

impl Recorded {
    fn new(lines: &[(&str, &str)]) -> Self {
        let answer = |(line, answer): &(&str, &str)| {
            let failed = answer.strip_prefix("failed: ");
            let finished = match failed {
                Some(text) => Finished {
                    failed: Some("ended with status 1".to_owned()),
                    stdout: text.to_owned(),
                    ..Finished::default()
                },
                None => Finished { stdout: (*answer).to_owned(), ..Finished::default() },
            };
            ((*line).to_owned(), finished)
        };
        Self { lines: RefCell::new(lines.iter().map(answer).collect()) }
    }
}

#[async_trait(?Send)]
impl Host for Recorded {
    async fn run(&self, line: &str, root: bool) -> Result<Finished, AnyError> {
        let shown = if line == PROBE {
            "?".to_owned()
        } else {
            format!("{}: {line}", if root { "sudo" } else { "run" })
        };
        let (expected, answer) =
            self.lines.borrow_mut().pop_front().unwrap_or_else(|| panic!("not expected: {shown}"));
        assert_eq!(shown, expected);
        Ok(answer)
    }

    async fn put(&self, local: &Path, remote: &str, mode: u32, root: bool) -> Result<(), AnyError> {
        let shown = format!("put: {} -> {remote} {mode:o} {root}", local.display());
        let (expected, _) =
            self.lines.borrow_mut().pop_front().unwrap_or_else(|| panic!("not expected: {shown}"));
        assert_eq!(shown, expected);
        Ok(())
    }
}

/// Sets a recorded host up, and returns what was said about it.
fn set_up(
    recorded: &[(&str, &str)],
    decide: &dyn Fn(&Facts) -> Result<Plan, Refusal>,
    stop_after: usize,
) -> String {
    let host = Recorded::new(recorded);
    let mut begun = Vec::new();
    let count = std::cell::Cell::new(0);
    let result = async {
        let plan = decide(&inspect(&host).await?).map_err(Error::Refused)?;
        let stop = || count.replace(count.get() + 1) >= stop_after;
        let mut tell = |event: Event<'_>| {
            if let Event::Begins(step) = event {
                begun.push(step.action.to_string());
            }
        };
        run(&host, &plan, decide, &stop, &mut tell).await
    };
    let result = result.now_or_never().expect("a recorded host never waits");
    assert!(host.lines.borrow().is_empty(), "not run: {:?}", host.lines.borrow());
    match result {
        Ok(()) => "done".to_owned(),
        Err(error) => {
            let said = match &error {
                Error::Step { said, .. } => format!(": {said}"),
                _ => String::new(),
            };
            format!("{error}{said}")
        }
    }
}

#[test]
fn a_recorded_centos_is_set_up_and_looked_at_again() {
    let decide = |facts: &Facts| docker(facts, &DockerOptions::default());
    let after = [INSTALLED, RUNNING, &CENTOS.replace("centos wheel", "centos wheel docker")].concat();
    let mut recorded = vec![
        ("?", CENTOS),
        ("sudo: yum install -y yum-utils", "Complete!"),
        ("sudo: yum-config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo", ""),
        ("sudo: yum install -y docker-ce docker-ce-cli containerd.io", "Complete!"),
        ("sudo: systemctl enable --now docker", ""),
        (WAIT, ""),
        ("sudo: usermod -aG docker centos", ""),
        ("?", after.as_str()),
    ];
    assert_eq!(set_up(&recorded, &decide, 99), "done");
    // A second run finds all of it.
    assert_eq!(set_up(&[("?", &after), ("?", &after)], &decide, 99), "done");
    recorded[7].1 = CENTOS;
    assert!(
        set_up(&recorded, &decide, 99)
            .starts_with("all steps were done, and these are still needed: sudo: yum")
    );
    recorded.truncate(4);
    recorded[3].1 = "failed: No package docker-ce available.";
    assert_eq!(
        set_up(&recorded, &decide, 99),
        "the step `sudo: yum install -y docker-ce docker-ce-cli containerd.io` ended with status 1: No package docker-ce available."
    );
    recorded.truncate(2);
    assert_eq!(
        set_up(&recorded, &decide, 1),
        "stopped before the step `sudo: yum-config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo`"
    );
}

#[test]
fn what_a_failed_build_has_made_is_removed() {
    let decide = |facts: &Facts| build(facts, &build_options(None));
    let ready = CENTOS.replace("has.curl", "has.gcc=/usr/bin/gcc\nhas.make=/usr/bin/make\nhas.curl");
    let download = "run: curl --fail --silent --show-error --location -o /tmp/dfab-1/socat-1.7.3.2.tar.gz http://www.dest-unreach.org/socat/download/socat-1.7.3.2.tar.gz";
    let recorded = [
        ("?", ready.as_str()),
        ("run: mkdir -m 700 /tmp/dfab-1", ""),
        (download, "failed: curl: (22) 404"),
        ("sudo: rm -rf /tmp/dfab-1", ""),
    ];
    assert_eq!(
        set_up(&recorded, &decide, 99),
        format!("the step `{download}` ended with status 1: curl: (22) 404")
    );
    // A directory that is not ours is left.
    let foreign = [("?", ready.as_str()), ("run: mkdir -m 700 /tmp/dfab-1", "failed: File exists")];
    assert!(set_up(&foreign, &decide, 99).ends_with("File exists"));
}

#[test]
fn the_probe_is_read_by_a_real_shell() {
    let output = std::process::Command::new("sh").args(["-c", PROBE]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let facts = Facts::parse(&String::from_utf8_lossy(&output.stdout)).unwrap();
    let id = std::process::Command::new("id").arg("-un").output().unwrap();
    assert_eq!(facts.user, String::from_utf8_lossy(&id.stdout).trim());
    assert!(!facts.groups.is_empty() && !facts.machine.is_empty(), "{facts:?}");
}
