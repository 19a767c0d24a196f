//! Which steps bring socat to a host: by package, by building it, or by copying a binary
//! (clients-tasks §8.3).

use std::path::Path;

use super::docker::{APT_INSTALL, APT_UPDATE, is_word, quote, url};
use super::step::{Action, Plan, Refusal, Step};
use super::{Facts, Family};

/// Where a socat that was built or copied lies.
pub const SOCAT: &str = "/usr/local/bin/socat";

/// How socat is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOptions {
    /// The family that the task is for; `None` is that of the host.
    pub family: Option<Family>,
    /// Release to build (`socat_version`).
    pub version: String,
    /// SHA-256 of its archive, in hexadecimal (`socat_sha256`).
    pub sha256: Option<String>,
    /// Address of the archive instead of the maker's (`socat_url`).
    pub url: Option<String>,
    /// Directory on the host to work in; it must not exist.
    pub directory: String,
}

/// Decides which steps install the distribution's socat. One that is there, from wherever, is left.
///
/// # Errors
///
/// Why there are no steps for this host.
pub fn package(facts: &Facts) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    if let Some(path) = &facts.socat {
        plan.notes.push(already(facts, path));
        return Ok(plan);
    }
    match facts.family()? {
        Family::Debian => {
            plan.root(APT_UPDATE, "the package lists may be old");
            plan.root(format!("{APT_INSTALL} socat"), "`socat` is not installed");
        }
        Family::RedHat => {
            plan.root(format!("{} install -y socat", facts.rpm_tool()), "`socat` is not installed");
        }
    }
    facts.expect_root()?;
    Ok(plan)
}

/// Decides which steps copy a local binary with this SHA-256 to `remote`. The same binary is left.
///
/// # Errors
///
/// Why there are no steps for this host.
pub fn copy(facts: &Facts, local: &Path, sha256: &str, remote: &str) -> Result<Plan, Refusal> {
    let mut plan = Plan::default();
    match facts.socats.get(remote) {
        Some((_, digest)) if digest == sha256 => {
            plan.notes.push(format!("The same socat is already at {remote}."));
            return Ok(plan);
        }
        Some((version, _)) => {
            plan.steps.push(put(local, remote, format!("socat {version} there is another one")));
        }
        None => plan.steps.push(put(local, remote, "there is no socat at this path".to_owned())),
    }
    // A binary for another machine, or one whose libraries are missing there, would fail at its first use.
    plan.user(format!("{} -V >/dev/null", quote_path(remote)), "a binary from elsewhere may not run here");
    facts.expect_root()?;
    Ok(plan)
}

fn put(local: &Path, remote: &str, why: String) -> Step {
    let action = Action::Put { local: local.to_owned(), remote: remote.to_owned(), mode: 0o755, root: true };
    Step { action, why, undoes: None }
}

fn quote_path(path: &str) -> String {
    if path.split('/').all(|part| part.is_empty() || is_word(part)) { path.to_owned() } else { quote(path) }
}

/// Decides which steps compile and install socat. One of this release at its place is left.
///
/// # Errors
///
/// Why there are no steps for this host.
pub fn build(facts: &Facts, options: &BuildOptions) -> Result<Plan, Refusal> {
    let family = facts.expect_family(options.family)?;
    let BuildOptions { version, directory, .. } = options;
    if !is_word(version) {
        return Err(Refusal::Word { what: "release of socat", value: version.clone() });
    }
    let mut plan = Plan::default();
    if facts.socats.get(SOCAT).is_some_and(|(present, _)| present == version) {
        plan.notes.push(already(facts, SOCAT));
        return Ok(plan);
    }
    tools(facts, family, &mut plan);
    let archive = format!("socat-{version}.tar.gz");
    let address = match &options.url {
        Some(address) => url("address of an archive", address)?,
        None => format!("http://www.dest-unreach.org/socat/download/{archive}"),
    };
    let directory_word = quote_path(directory);
    let path = format!("{directory_word}/{archive}");
    let made = plan.steps.len();
    plan.user(format!("mkdir -m 700 {directory_word}"), "sources are built apart");
    plan.user(
        format!("curl --fail --silent --show-error --location -o {path} {address}"),
        "the sources are not on the host",
    );
    match &options.sha256 {
        Some(sum) if sum.len() == 64 && sum.chars().all(|c| c.is_ascii_hexdigit()) => {
            plan.user(
                format!("echo '{}  {path}' | sha256sum -c -", sum.to_ascii_lowercase()),
                "the download is not encrypted, nor signed",
            );
        }
        Some(sum) => return Err(Refusal::Word { what: "SHA-256 sum", value: sum.clone() }),
        None => plan.notes.push(format!(
            "The download is not checked: set `socat_sha256` to the SHA-256 sum of {archive}."
        )),
    }
    plan.user(format!("tar -xf {path} -C {directory_word} -z"), "the sources are packed");
    let sources = format!("{directory_word}/socat-{version}");
    plan.user(format!("cd {sources} && ./configure"), "the sources fit themselves to the host");
    plan.user(format!("cd {sources} && make"), "there is no binary yet");
    plan.root(format!("cd {sources} && make install"), format!("there is no socat {version} at {SOCAT}"));
    let line = format!("rm -rf {directory_word}");
    plan.steps.push(Step {
        // Root has written into it.
        action: Action::Run { line, root: true },
        why: "the sources are not needed any more".to_owned(),
        undoes: Some(made),
    });
    facts.expect_root()?;
    Ok(plan)
}

/// Adds the compiler, and curl where it is missing.
fn tools(facts: &Facts, family: Family, plan: &mut Plan) {
    let wanted: Vec<&str> = ["gcc", "make", "curl"].into_iter().filter(|name| !facts.has(name)).collect();
    let Some(last) = wanted.last() else { return };
    let why = match wanted.split_last() {
        Some((_, [])) | None => format!("there is no `{last}`"),
        Some((_, first)) => format!("there is no `{}` and no `{last}`", first.join("`, no `")),
    };
    let packages = wanted.join(" ");
    match family {
        Family::Debian => {
            plan.root(APT_UPDATE, "the package lists may be old");
            plan.root(format!("{APT_INSTALL} {packages}"), why);
        }
        Family::RedHat => plan.root(format!("{} install -y {packages}", facts.rpm_tool()), why),
    }
}

fn already(facts: &Facts, path: &str) -> String {
    let version = facts.socats.get(path).map_or("", |(version, _)| version.as_str());
    let version = if version.is_empty() { String::new() } else { format!(" {version}") };
    format!("socat{version} is already installed at {path}.")
}
