//! Set-up tasks: Docker and socat on a host (clients-tasks §8.3). What is to be done is decided by
//! [`dfab_tasks::setup`]; here it is asked for, shown, and run over SSH.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dfab_client::error::Source as AnyError;
use dfab_map::value::Value;
use dfab_tasks::setup::{
    self, BuildOptions, DockerOptions, Error, Event, Facts, Family, Finished, Plan, Refusal, SOCAT, Source,
};
use dfab_tunnel::{Command, Secret, Session, Sudo, Transfer};
use futures_util::FutureExt;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cli::Arguments;
use crate::failure::{Failure, Kind, Result};
use crate::machine::Machine;
use crate::project::Host;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const SKIP_GROUP: Parameter = Parameter::optional(
    "skip_group_assignment",
    ParameterKind::Bool,
    "false",
    "leave the login user out of the group `docker`",
);
const SOURCE: Parameter = Parameter::keyword(
    "source",
    ParameterKind::Choice(&["docker", "distribution"]),
    "docker",
    "Docker's own repository, or the distribution's packages",
);
const DOCKER_HELP: &str = "Steps that are not needed are left out, so that it can be run again; `--dry-run` shows \
    the rest, with its reasons. Root's steps go through sudo, whose password is asked for where it wants one.\n\n\
    The variables `docker_install_packages`, `docker_install_repository` and `docker_install_key_url` name other \
    packages and another repository.";
const BUILD_HELP: &str = "Installs to /usr/local/bin/socat. The variables `socat_version` (1.7.3.2), `socat_sha256` \
    and `socat_url` say which release, its checksum, and another place to fetch it from. A socat of this release \
    that is there is left.";

macro_rules! docker {
    ($name:literal, $about:literal, $family:expr) => {
        Task {
            namespace: "docker",
            name: $name,
            aliases: &[],
            about: $about,
            help: DOCKER_HELP,
            parameters: &[&[SKIP_GROUP, SOURCE]],
            words: None,
            scope: Scope::EachHost,
            run: |run, arguments| {
                install_docker(run, arguments, concat!("docker.", $name), $family).boxed_local()
            },
        }
    };
}

macro_rules! build {
    ($name:literal, $about:literal, $family:expr) => {
        Task {
            namespace: "docker",
            name: $name,
            aliases: &[],
            about: $about,
            help: BUILD_HELP,
            parameters: &[],
            words: None,
            scope: Scope::EachHost,
            run: |run, _| build_socat(run, concat!("docker.", $name), $family).boxed_local(),
        }
    };
}

/// The table entries.
pub const TASKS: &[Task] = &[
    build!("build_socat", "Compile and install socat on the host.", None),
    build!("build_socat_centos", "Compile and install socat on CentOS or RHEL.", Some(Family::RedHat)),
    build!("build_socat_ubuntu", "Compile and install socat on Ubuntu or Debian.", Some(Family::Debian)),
    docker!("install_docker", "Install Docker on the host.", None),
    docker!("install_docker_centos", "Install Docker on CentOS or RHEL.", Some(Family::RedHat)),
    docker!("install_docker_debian", "Install Docker on Debian or Ubuntu.", Some(Family::Debian)),
    docker!("install_docker_ubuntu", "Install Docker on Ubuntu or Debian.", Some(Family::Debian)),
    Task {
        namespace: "docker",
        name: "install_socat",
        aliases: &[],
        about: "Copy the socat binary to the host.",
        help: "Without a file the distribution's package is installed, unless there is a socat already.",
        parameters: &[&[
            Parameter::optional(
                "src",
                ParameterKind::Text,
                "",
                "file on this machine, or a directory with `socat` in it",
            ),
            Parameter::optional("remote", ParameterKind::Text, SOCAT, "path on the host"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| install_socat(run, arguments).boxed_local(),
    },
];

async fn install_docker(
    run: &Run,
    arguments: &Arguments,
    task: &str,
    family: Option<Family>,
) -> Result<Report> {
    let options = DockerOptions {
        family,
        source: match arguments.text("source") {
            Some("distribution") => Source::Distribution,
            _ => Source::Docker,
        },
        skip_group_assignment: arguments.flag("skip_group_assignment"),
        packages: texts(run, "docker_install_packages")?,
        repository: text(run, "docker_install_repository")?,
        key_url: text(run, "docker_install_key_url")?,
    };
    set_up(run, task, None, &|facts| setup::docker(facts, &options)).await
}

async fn build_socat(run: &Run, task: &str, family: Option<Family>) -> Result<Report> {
    let options = BuildOptions {
        family,
        version: text(run, "socat_version")?.unwrap_or_else(|| "1.7.3.2".to_owned()),
        sha256: text(run, "socat_sha256")?,
        url: text(run, "socat_url")?,
        directory: crate::machine::temporary_name().to_string_lossy().into_owned(),
    };
    set_up(run, task, Some(&options.directory), &|facts| setup::build(facts, &options)).await
}

async fn install_socat(run: &Run, arguments: &Arguments) -> Result<Report> {
    const TASK: &str = "docker.install_socat";
    let Some(given) = arguments.text("src").filter(|src| !src.is_empty()) else {
        if arguments.given("remote") {
            return Err(Failure::usage(format!(
                "task `{TASK}`: `remote` needs a file to copy (argument `src`)"
            )));
        }
        return set_up(run, TASK, None, &setup::package).await;
    };
    let local = local_socat(&run.directory.join(run.variables.expand_home(given)), given)?;
    let data = std::fs::read(&local).map_err(|error| {
        Failure::new(Kind::Task, format!("failed to read `{}`", local.display())).because(&error)
    })?;
    let sha256: String = Sha256::digest(&data).iter().map(|byte| format!("{byte:02x}")).collect();
    let remote = arguments.text("remote").unwrap_or(SOCAT);
    set_up(run, TASK, None, &|facts| setup::copy(facts, &local, &sha256, remote)).await
}

/// Returns the binary that a path means: itself, or `socat` in it.
fn local_socat(path: &Path, given: &str) -> Result<PathBuf> {
    let within = path.join("socat");
    [path, &within].into_iter().find(|path| path.is_file()).map(Path::to_owned).ok_or_else(|| {
        Failure::usage(format!(
            "socat cannot be found in the provided path ({given} or {})",
            within.display()
        ))
        .hint("`docker.install_socat` without a file installs the distribution's package")
    })
}

/// Checks that there is a host: this machine is not set up by accident.
///
/// # Errors
///
/// A usage failure when there is none.
pub fn check(run: &Run, task: &str) -> Result<()> {
    if run.hosts.is_empty() { Err(no_host(task)) } else { Ok(()) }
}

fn no_host(task: &str) -> Failure {
    Failure::usage(format!("task `{task}` needs a host: this machine is not set up by accident"))
        .hint("name hosts with `-H` or `-R`, or under `hosts:` in the project file")
}

/// Looks at the host, shows or does what is left to do, and looks again. `folder` is the one that steps make, and
/// remove at the end.
async fn set_up(
    run: &Run,
    task: &str,
    folder: Option<&str>,
    decide: &dyn Fn(&Facts) -> Result<Plan, Refusal>,
) -> Result<Report> {
    let host = run.host.as_ref().ok_or_else(|| no_host(task))?;
    let remote = SshHost::connect(run, host).await?;
    let facts = setup::inspect(&remote).await.map_err(|error| failure(&error, host))?;
    remote.is_root.set(facts.is_root);
    let plan = decide(&facts).map_err(|refusal| failure(&Error::Refused(refusal), host))?;
    let dry_run = run.options.dry_run;
    let mut done = 0;
    if dry_run {
        for step in &plan.steps {
            run.result_line(&format!("would {step}"));
        }
    } else if !plan.steps.is_empty() {
        let stop = || run.interrupt.finish.is_cancelled();
        let mut tell = |event: Event<'_>| match event {
            Event::Begins(step) => run.console.progress_line(run.host_text(), &step.to_string()),
            Event::Output(finished) => {
                done += 1;
                if run.console.verbose > 0 {
                    for line in finished.stdout.lines().chain(finished.stderr.lines()) {
                        run.console.progress_line(run.host_text(), &format!("out: {line}"));
                    }
                }
            }
        };
        let folder = folder.map(|path| {
            run.temporary.expect(&Machine::new(Some(host), &run.engines.sessions), Some(host), path)
        });
        let result = setup::run(&remote, &plan, decide, &stop, &mut tell).await;
        if let Some(folder) = folder {
            match &result {
                Ok(()) => run.temporary.forget(&folder),
                // The step that removes it may have failed too.
                Err(_) => run.temporary.remove(&folder.path, &run.console).await,
            }
        }
        result.map_err(|error| failure(&error, host))?;
    }
    for note in &plan.notes {
        run.result_line(note);
    }
    if !dry_run {
        match done {
            0 => run.result_line("Nothing to do."),
            _ => run.result_line(&format!(
                "{} done, and nothing is left to do.",
                crate::text::count(done, "step")
            )),
        }
        if plan.reconnect && done > 0 {
            run.engines.sessions.log_out(host).await;
        }
    }
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| json!({"step": step.action.to_string(), "why": step.why, "done": !dry_run}))
        .collect();
    let rows = vec![json!({"host": run.host_text(), "notes": plan.notes, "steps": steps})];
    let would_change = dry_run && !plan.steps.is_empty();
    Ok(Report { rows: Some(rows), would_change, ..Report::done(task) })
}

fn failure(error: &Error, host: &Host) -> Failure {
    let (kind, hint) = match error {
        Error::Refused(refusal) => (Kind::Task, refusal.hint()),
        Error::Broken(_, source) => {
            (Kind::Connection, source.downcast_ref::<dfab_tunnel::Error>().and_then(dfab_tunnel::Error::hint))
        }
        Error::Step { .. } => {
            (Kind::Task, Some("run the task again: what is done already is not done twice".to_owned()))
        }
        Error::NoEffect(_) => (Kind::Task, Some("`-v` shows what the steps have said".to_owned())),
        Error::Stopped(_) => (Kind::Interrupted, None),
    };
    let mut failure = Failure::new(kind, format!("host `{host}` is not set up")).because(error);
    if let Error::Step { said, .. } = error {
        failure.causes.extend((!said.is_empty()).then(|| said.clone()));
    }
    failure.hints.extend(hint);
    failure
}

/// A host behind SSH.
struct SshHost {
    session: Arc<Session>,
    password: Option<Secret>,
    limit: Option<std::time::Duration>,
    /// Root needs no sudo, and a bare host has none.
    is_root: Cell<bool>,
}

impl SshHost {
    async fn connect(run: &Run, host: &Host) -> Result<Self> {
        let session = run.engines.sessions.session(host).await.map_err(|error| {
            let mut failure =
                Failure::new(Kind::Connection, format!("failed to connect to `{host}`")).because(&error);
            failure.hints.extend(error.hint());
            failure
        })?;
        Ok(Self {
            session,
            password: run.settings.ssh.sudo_password.clone(),
            limit: run.settings.ssh.command_timeout,
            is_root: Cell::new(false),
        })
    }

    fn sudo(&self, root: bool) -> Option<Sudo> {
        (root && !self.is_root.get()).then(|| Sudo { password: self.password.clone(), ..Sudo::default() })
    }
}

#[async_trait(?Send)]
impl setup::Host for SshHost {
    async fn run(&self, line: &str, root: bool) -> std::result::Result<Finished, AnyError> {
        let shown = if line == setup::PROBE { "the questions about the host" } else { line };
        // Not the user's shell, which may read lines in another way, and `sbin` for those who are not root.
        let line = format!("PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; {line}");
        let mut command = Command::line(line).named(shown).shell("sh -c");
        if let Some(sudo) = self.sudo(root) {
            command = command.sudo(sudo);
        }
        if let Some(limit) = self.limit {
            command = command.timeout(limit);
        }
        let finished = self.session.output(&command).await?;
        Ok(Finished {
            failed: (!finished.exit.is_success()).then(|| finished.exit.to_string()),
            stdout: String::from_utf8_lossy(&finished.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&finished.stderr).into_owned(),
        })
    }

    async fn put(
        &self,
        local: &Path,
        remote: &str,
        mode: u32,
        root: bool,
    ) -> std::result::Result<(), AnyError> {
        let transfer = Transfer { mode: Some(mode), sudo: self.sudo(root), ..Transfer::default() };
        self.session.upload_file(local, remote, &transfer).await?;
        Ok(())
    }
}

fn text(run: &Run, name: &str) -> Result<Option<String>> {
    match run.variables.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(Value::Number(number)) => Ok(Some(number.as_str().to_owned())),
        Some(_) => Err(Failure::configuration(format!("the deployment variable `{name}` is no text"))),
    }
}

/// Reads a list of texts, or one text with blanks between.
fn texts(run: &Run, name: &str) -> Result<Vec<String>> {
    if let Some(Value::List(items)) = run.variables.get(name) {
        let text = |item: &Value| match item {
            Value::String(text) => Some(text.clone()),
            _ => None,
        };
        return items.iter().map(text).collect::<Option<_>>().ok_or_else(|| {
            Failure::configuration(format!("the deployment variable `{name}` is no list of texts"))
        });
    }
    Ok(text(run, name)?.unwrap_or_default().split_whitespace().map(str::to_owned).collect())
}
