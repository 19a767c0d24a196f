//! Which steps install Docker on a host (clients-tasks §8.3).

use super::step::{Plan, Refusal};
use super::{Facts, Family};

/// Where Docker is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// Docker's own package repository.
    #[default]
    Docker,
    /// The distribution's packages.
    Distribution,
}

/// How Docker is installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerOptions {
    /// The family that the task is for; `None` is that of the host.
    pub family: Option<Family>,
    /// Where Docker is taken from.
    pub source: Source,
    /// Leave the login user out of the group `docker`.
    pub skip_group_assignment: bool,
    /// Packages instead of those of the source or the distribution's (`docker_install_packages`).
    pub packages: Vec<String>,
    /// Repository instead of Docker's (`docker_install_repository`): the URL of an apt repository, or of
    /// a `.repo` file.
    pub repository: Option<String>,
    /// Key of an apt repository instead of the one below it (`docker_install_key_url`).
    pub key_url: Option<String>,
}

/// What is installed from Docker's repository.
const PACKAGES: [&str; 3] = ["docker-ce", "docker-ce-cli", "containerd.io"];
/// Docker's repositories stand below it, by system.
const DOWNLOAD: &str = "https://download.docker.com/linux";
const KEY: &str = "/etc/apt/keyrings/docker.asc";
const LIST: &str = "/etc/apt/sources.list.d/docker.list";
/// Asks nobody, keeps configuration files that somebody has written before, and waits for another apt-get, as the
/// nightly one, instead of failing.
pub(super) const APT_INSTALL: &str = "DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=120 -o \
     Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install";
pub(super) const APT_UPDATE: &str = "apt-get update";
/// The engine answers some seconds after its start.
const WAIT: &str = "timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 1; done'";
const NEW_LOGIN: &str = "Reconnect for the group assignment to take effect.";

/// Decides which steps a host needs to have a running Docker engine that its login user may use.
///
/// # Errors
///
/// Why there are no steps for this host.
pub fn docker(facts: &Facts, options: &DockerOptions) -> Result<Plan, Refusal> {
    let family = facts.expect_family(options.family)?;
    let mut plan = Plan::default();
    // A host may have the program without an engine, to speak to others.
    let installed = facts.engine_runs || (facts.has("docker") && facts.has("dockerd"));
    if installed {
        plan.notes.push("Docker is already installed.".to_owned());
    } else {
        match (family, options.source) {
            (Family::Debian, Source::Docker) => docker_apt(facts, options, &mut plan)?,
            (Family::Debian, Source::Distribution) => {
                plan.root(APT_UPDATE, "the package lists may be old");
                let packages = words(options, &["docker.io"])?;
                plan.root(format!("{APT_INSTALL} {packages}"), missing(facts));
            }
            (Family::RedHat, Source::Docker) => docker_rpm(facts, options, &mut plan)?,
            (Family::RedHat, Source::Distribution) => {
                let packages = words(options, rpm_packages(facts))?;
                if packages.is_empty() {
                    let system = facts.system().to_owned();
                    return Err(Refusal::NoPackage { system, what: "the Docker engine" });
                }
                plan.root(format!("{} install -y {packages}", facts.rpm_tool()), missing(facts));
            }
        }
    }
    if facts.engine_runs {
        plan.notes.push("The engine is already running.".to_owned());
    } else {
        let (start, why) = if facts.systemd {
            ("systemctl enable --now docker", "the engine does not run, or not after the next boot")
        } else {
            // A package may have started it; the script says so and does nothing then.
            ("service docker start", "the engine does not run")
        };
        plan.root(start, why);
        plan.root(WAIT, "it answers a moment after its start");
    }
    group(facts, options, installed, &mut plan);
    if !plan.steps.is_empty() {
        facts.expect_root()?;
    }
    Ok(plan)
}

fn missing(facts: &Facts) -> &'static str {
    if facts.has("docker") { "there is `docker`, but no engine" } else { "`docker` is not installed" }
}

/// Docker's repository for apt.
fn docker_apt(facts: &Facts, options: &DockerOptions, plan: &mut Plan) -> Result<(), Refusal> {
    let no_repository = |what| Refusal::NoPackage { system: facts.system().to_owned(), what };
    let repository = match &options.repository {
        Some(repository) => url("address of a repository", repository)?,
        None => {
            let id = facts.ids().find(|id| ["debian", "ubuntu", "raspbian"].contains(id));
            let id = id.ok_or_else(|| no_repository("Docker's repository"))?;
            format!("{DOWNLOAD}/{id}")
        }
    };
    let key_url = match &options.key_url {
        Some(key) => url("address of a key", key)?,
        None => format!("{}/gpg", repository.trim_end_matches('/')),
    };
    // What is made from Ubuntu has a code name of its own, and Ubuntu's beside.
    let codename = [facts.os("UBUNTU_CODENAME"), facts.os("VERSION_CODENAME")]
        .into_iter()
        .find(|name| !name.is_empty())
        .ok_or_else(|| no_repository("a code name in /etc/os-release"))?;
    let arch = facts.dpkg.as_deref().ok_or_else(|| no_repository("`dpkg`"))?;
    for (what, value) in [("code name", codename), ("architecture", arch)] {
        if !is_word(value) {
            return Err(Refusal::Word { what, value: value.to_owned() });
        }
    }
    plan.root(APT_UPDATE, "the package lists may be old");
    plan.root(format!("{APT_INSTALL} ca-certificates curl"), "the key is fetched over HTTPS");
    plan.root(
        format!(
            "install -m 0755 -d /etc/apt/keyrings && curl --fail --silent --show-error --location --output {KEY} \
             {key_url} && chmod 0644 {KEY}"
        ),
        "apt checks the packages by this key",
    );
    plan.root(
        format!("echo 'deb [arch={arch} signed-by={KEY}] {repository} {codename} stable' > {LIST}"),
        "Docker's packages are not in the distribution's repository",
    );
    plan.root(
        "apt-get update -o Dir::Etc::sourcelist=sources.list.d/docker.list -o Dir::Etc::sourceparts=- -o \
         APT::Get::List-Cleanup=0",
        "the list of this repository was not read yet",
    );
    plan.root(format!("{APT_INSTALL} {}", words(options, &PACKAGES)?), missing(facts));
    Ok(())
}

/// Docker's repository for dnf and yum.
fn docker_rpm(facts: &Facts, options: &DockerOptions, plan: &mut Plan) -> Result<(), Refusal> {
    let repository = match &options.repository {
        Some(repository) => url("address of a repository file", repository)?,
        None => {
            // Rocky, Alma and Oracle take CentOS's.
            let system = match facts.os("ID") {
                id @ ("fedora" | "rhel") => id,
                _ => "centos",
            };
            format!("{DOWNLOAD}/{system}/docker-ce.repo")
        }
    };
    let tool = facts.rpm_tool();
    let (helper, add) = if facts.has("dnf5") {
        ("dnf5-plugins", format!("dnf config-manager addrepo --overwrite --from-repofile={repository}"))
    } else if tool == "dnf" {
        ("dnf-plugins-core", format!("dnf config-manager --add-repo {repository}"))
    } else {
        ("yum-utils", format!("yum-config-manager --add-repo {repository}"))
    };
    plan.root(format!("{tool} install -y {helper}"), "it adds repositories");
    plan.root(add, "Docker's packages are not in the distribution's repository");
    plan.root(format!("{tool} install -y {}", words(options, &PACKAGES)?), missing(facts));
    Ok(())
}

/// Packages with the Docker engine in systems of the Red Hat family; most have none.
fn rpm_packages(facts: &Facts) -> &'static [&'static str] {
    match (facts.os("ID"), facts.os("VERSION_ID")) {
        ("fedora", _) => &["moby-engine"],
        ("amzn", _) | ("centos" | "rhel", "7") => &["docker"],
        _ => &[],
    }
}

/// Lets the login user use Docker.
fn group(facts: &Facts, options: &DockerOptions, installed: bool, plan: &mut Plan) {
    let user = &facts.user;
    if options.skip_group_assignment {
        return;
    }
    if facts.is_root {
        plan.notes.push("root may use Docker without the group `docker`.".to_owned());
    } else if facts.groups.contains("docker") {
        plan.notes.push(format!("{user} is already in the group `docker`."));
    } else {
        if installed && !facts.docker_group {
            plan.root("groupadd --system --force docker", "there is no group `docker`");
        }
        plan.root(
            format!("usermod -aG docker {}", quote(user)),
            format!("{user} is not in the group `docker`, which may use the engine"),
        );
        plan.notes.push(NEW_LOGIN.to_owned());
        plan.reconnect = true;
    }
}

/// Returns the packages to install.
fn words(options: &DockerOptions, default: &[&str]) -> Result<String, Refusal> {
    if options.packages.is_empty() {
        return Ok(default.join(" "));
    }
    match options.packages.iter().find(|package| !is_word(package)) {
        Some(package) => Err(Refusal::Word { what: "name of a package", value: package.clone() }),
        None => Ok(options.packages.join(" ")),
    }
}

/// Returns whether a text is one word to a shell, and no option to a program.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+:=~".contains(c))
}

/// Returns a URL, which must stand in a shell line and in apt's lists as it is.
pub(super) fn url(what: &'static str, text: &str) -> Result<String, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.+:=~/%@,[]".contains(c);
    if text.contains("://") && text.chars().all(plain) && !text.starts_with('-') {
        return Ok(text.to_owned());
    }
    Err(Refusal::Word { what, value: text.to_owned() })
}

/// Quotes a word for a POSIX shell where it needs it.
pub(super) fn quote(word: &str) -> String {
    if is_word(word) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
