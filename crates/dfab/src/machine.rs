//! Commands and files on the machine where an engine runs: this one, or a host behind SSH.
//!
//! Files travel block by block, through the tunnel's own functions where there is a tunnel; nothing is
//! left there that was not asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dfab_cli_client::{Exit, LocalShell, Shell};
use dfab_client::error::Source;
use dfab_tasks::setup;
use dfab_tunnel::{Session, Transfer, quote};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::failure::{Failure, Kind, Result};
use crate::program_backend::SshShell;
use crate::project::Host;
use crate::ssh::Sessions;

/// A machine that runs an engine.
#[derive(Clone)]
pub struct Machine {
    shell: Arc<dyn Shell>,
    /// The SSH session of a host, made when it is first needed.
    remote: Option<(Arc<Sessions>, Host)>,
    /// How long a command may take there (`-T`).
    limit: Option<Duration>,
}

/// What a command has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Its exit status, or how it ended without one.
    pub exit: std::result::Result<i32, String>,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl Machine {
    /// Returns a machine; nothing is connected yet.
    pub fn new(host: Option<&Host>, sessions: &Arc<Sessions>) -> Self {
        let shell: Arc<dyn Shell> = match host {
            Some(host) => Arc::new(SshShell::new(Arc::clone(sessions), host.clone())),
            None => Arc::new(LocalShell::new()),
        };
        let limit = host.and_then(|_| sessions.command_timeout());
        Self { shell, remote: host.map(|host| (Arc::clone(sessions), host.clone())), limit }
    }

    /// This machine.
    #[cfg(test)]
    pub fn here() -> Self {
        Self { shell: Arc::new(LocalShell::new()), remote: None, limit: None }
    }

    /// Connects to a host; this machine needs no connection.
    ///
    /// # Errors
    ///
    /// Why the host cannot be reached, or does not let us in.
    pub async fn connect(&self) -> Result<()> {
        self.session().await.map(drop)
    }

    /// Runs a command line to its end, with this text as its standard input. On a host it may take as long as `-T`
    /// says; files that travel may take longer.
    ///
    /// # Errors
    ///
    /// When it cannot be started, its time is up, or the connection breaks. A failing command is no error here.
    pub async fn run(&self, line: &str, input: &[u8]) -> Result<Finished> {
        let run = self.run_to_end(line, input);
        let Some(limit) = self.limit else { return run.await };
        // The login has limits of its own.
        self.session().await?;
        tokio::time::timeout(limit, run).await.unwrap_or_else(|_| {
            let (host, doing) = (self.shell.host().to_owned(), format!("running `{line}`"));
            let error = dfab_tunnel::Error::Timeout { host, doing, after: limit };
            Err(self.failure(Kind::Connection, line, &error))
        })
    }

    async fn run_to_end(&self, line: &str, input: &[u8]) -> Result<Finished> {
        let failed = |error: &(dyn std::error::Error + 'static)| self.failure(Kind::Connection, line, error);
        let mut running = self.shell.start(line).await.map_err(|error| failed(error.as_ref()))?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut stdin = running.stdin;
        let write = async move {
            // A command that does not read its input to the end says why by its status.
            if stdin.write_all(input).await.is_ok() {
                let _ = stdin.shutdown().await;
            }
        };
        let ((), out, err) = tokio::join!(
            write,
            running.stdout.read_to_end(&mut stdout),
            running.stderr.read_to_end(&mut stderr)
        );
        out.and(err).map_err(|error| failed(&error))?;
        let exit = match running.exit.await.map_err(|error| failed(error.as_ref()))? {
            Exit::Status(status) => Ok(status),
            Exit::Other(how) => Err(how),
        };
        Ok(Finished { exit, stdout, stderr })
    }

    /// Runs a command line that must succeed, and returns its standard output.
    ///
    /// # Errors
    ///
    /// As [`Machine::run`], and when it ends with another status than zero.
    pub async fn succeed(&self, line: &str, input: &[u8]) -> Result<Vec<u8>> {
        let finished = self.run(line, input).await?;
        if finished.exit == Ok(0) {
            return Ok(finished.stdout);
        }
        let how = match finished.exit {
            Ok(status) => format!("it ended with status {status}"),
            Err(how) => format!("it {how}"),
        };
        let mut failure = Failure::new(Kind::Task, format!("`{line}` failed on `{}`", self.shell.host()));
        failure.causes.push(how);
        let stderr = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
        failure.causes.extend((!stderr.is_empty()).then_some(stderr));
        Err(failure)
    }

    /// Makes a directory that nobody else can look into; it must not exist.
    ///
    /// # Errors
    ///
    /// As [`Machine::succeed`].
    pub async fn make_dir(&self, path: &str) -> Result<()> {
        self.succeed(&format!("mkdir -m 700 {}", quote::shell(path)), b"").await.map(drop)
    }

    /// Removes a directory that [`Machine::make_dir`] has made, with everything in it. One that is gone is no failure.
    ///
    /// # Errors
    ///
    /// As [`Machine::succeed`].
    pub async fn remove_dir(&self, path: &str) -> Result<()> {
        self.succeed(&format!("rm -rf {}", quote::shell(path)), b"").await.map(drop)
    }

    /// Uploads a file or a directory to `target`; permission bits are kept.
    ///
    /// # Errors
    ///
    /// When the local file cannot be read, and when the host does not take it.
    pub async fn upload(&self, local: &Path, target: &str) -> Result<()> {
        let Some(session) = self.session().await? else {
            return copy(local.to_owned(), PathBuf::from(target)).await;
        };
        // Before anything is sent: a folder of this name there would be of no use.
        let is_dir = std::fs::metadata(local).map(|found| found.is_dir()).map_err(|error| {
            Failure::new(Kind::Task, format!("failed to read `{}`", local.display())).because(&error)
        })?;
        let transfer = Transfer { mirror_mode: true, ..Transfer::default() };
        let sent = if is_dir {
            session.upload_tree(local, target, &transfer).await
        } else {
            session.upload_file(local, target, &transfer).await
        };
        let what = format!("failed to upload `{}` to `{target}` on `{}`", local.display(), self.shell.host());
        sent.map(drop).map_err(|error| transferred(what, &error))
    }

    /// Downloads a file or a directory to the local path `target`; parent directories are made. Where
    /// `target` is a directory it goes into it under its own name.
    ///
    /// # Errors
    ///
    /// As [`Machine::download_contents`].
    pub async fn download(&self, path: &str, target: &Path) -> Result<()> {
        let (_, name) = split(path);
        let target = if target.is_dir() { target.join(name) } else { target.to_owned() };
        let unwritable = |error: std::io::Error| {
            Failure::new(Kind::Task, format!("failed to write `{}`", target.display())).because(&error)
        };
        let parent =
            target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(unwritable)?;
        let Some(session) = self.session().await? else {
            return copy(PathBuf::from(path), target).await;
        };
        let what = format!("failed to download `{path}` from `{}`", self.shell.host());
        let failed = |error: dfab_tunnel::Error| transferred(what, &error);
        if !self.is_dir(path).await? {
            let transfer = Transfer { mirror_mode: true, ..Transfer::default() };
            return session.download_file(path, &target, &transfer).await.map(drop).map_err(failed);
        }
        // Beside its place, so that the last step is a rename on one file system.
        let beside = tempfile::tempdir_in(parent).map_err(unwritable)?;
        let whole = beside.path().join("whole");
        session.download_tree(path, &whole, &Transfer::default()).await.map_err(failed)?;
        std::fs::rename(&whole, &target).map_err(unwritable)
    }

    /// Downloads the contents of a directory into the local directory `target`, which is made. The mode of
    /// `target` is not that of the directory: it is the user's own, or as new ones are.
    ///
    /// # Errors
    ///
    /// When the local files cannot be written, or the host does not give them.
    pub async fn download_contents(&self, path: &str, target: &Path) -> Result<()> {
        let Some(session) = self.session().await? else {
            std::fs::create_dir_all(target).map_err(|error| {
                Failure::new(Kind::Task, format!("failed to write `{}`", target.display())).because(&error)
            })?;
            return copy(PathBuf::from(path), target.to_owned()).await;
        };
        let what =
            format!("failed to download `{path}` from `{}` to `{}`", self.shell.host(), target.display());
        let received = session.download_tree(path, target, &Transfer::default()).await;
        received.map(drop).map_err(|error| transferred(what, &error))
    }

    async fn session(&self) -> Result<Option<Arc<Session>>> {
        let Some((sessions, host)) = &self.remote else { return Ok(None) };
        let session = sessions.session(host).await;
        session.map(Some).map_err(|error| {
            let mut failure = Failure::new(Kind::Connection, format!("failed to connect to `{host}`"));
            failure.causes.extend(crate::failure::chain(&error));
            failure.hints.extend(error.hint());
            failure
        })
    }

    async fn is_dir(&self, path: &str) -> Result<bool> {
        let finished = self.run(&format!("test -d {}", quote::shell(path)), b"").await?;
        Ok(finished.exit == Ok(0))
    }

    fn failure(&self, kind: Kind, line: &str, error: &(dyn std::error::Error + 'static)) -> Failure {
        let mut failure = Failure::new(kind, format!("failed to run `{line}` on `{}`", self.shell.host()));
        failure.causes.extend(crate::failure::chain(error));
        failure.hints.extend(error.downcast_ref::<dfab_tunnel::Error>().and_then(dfab_tunnel::Error::hint));
        failure
    }
}

#[async_trait(?Send)]
impl dfab_tasks::host::Commands for Machine {
    async fn run(&self, line: &str, root: bool) -> std::result::Result<setup::Finished, Source> {
        // Not the user's shell, which may read lines in another way.
        let line = format!("{}sh -c {}", if root { "sudo -n " } else { "" }, quote::shell(line));
        let finished = Machine::run(self, &line, b"").await?;
        let failed = match finished.exit {
            Ok(0) => None,
            Ok(status) => Some(format!("ended with status {status}")),
            Err(how) => Some(how),
        };
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok(setup::Finished { failed, stdout: text(finished.stdout), stderr: text(finished.stderr) })
    }
}

/// Splits a path into its directory and its last component.
fn split(path: &str) -> (&str, &str) {
    match path.trim_end_matches('/').rsplit_once('/') {
        Some(("", name)) => ("/", name),
        Some((parent, name)) => (parent, name),
        None => (".", path),
    }
}

/// Makes a report of a transfer that failed.
fn transferred(what: String, error: &dfab_tunnel::Error) -> Failure {
    let kind = if error.is_disconnected() { Kind::Connection } else { Kind::Task };
    let mut failure = Failure::new(kind, what).because(error);
    failure.hints.extend(error.hint());
    failure
}

/// Copies a file, or what is in a directory, on this machine; permission bits and links are kept. A directory that
/// is there already keeps its own mode.
async fn copy(from: PathBuf, to: PathBuf) -> Result<()> {
    let what = format!("failed to copy `{}` to `{}`", from.display(), to.display());
    let copied = tokio::task::spawn_blocking(move || copy_all(&from, &to)).await;
    let copied = copied.map_err(std::io::Error::other).and_then(|copied| copied);
    copied.map_err(|error| Failure::new(Kind::Task, what).because(&error))
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    let metadata = from.metadata()?;
    if !metadata.is_dir() {
        if !metadata.is_file() {
            // Reading a named pipe would wait for ever.
            let text = format!("`{}` is neither a file, a folder nor a link", from.display());
            return Err(std::io::Error::other(text));
        }
        return std::fs::copy(from, to).map(drop);
    }
    let is_new = !to.is_dir();
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_symlink() {
            if target.symlink_metadata().is_ok() {
                std::fs::remove_file(&target)?;
            }
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, &target)?;
        } else {
            copy_all(&entry.path(), &target)?;
        }
    }
    // Others may have to get into one that was there.
    if is_new {
        // Last: it may forbid what comes into it.
        std::fs::set_permissions(to, metadata.permissions())?;
    }
    Ok(())
}

/// Returns a name for a temporary directory that nobody else has.
pub fn temporary_name() -> PathBuf {
    use std::hash::{BuildHasher, RandomState};
    // The keys of `RandomState` come from the system's random numbers.
    let random = RandomState::new().hash_one((std::process::id(), std::time::SystemTime::now()));
    PathBuf::from(format!("/tmp/dfab-{random:016x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> Machine {
        Machine::here()
    }

    #[tokio::test]
    async fn files_go_there_and_back_with_their_modes() {
        use std::os::unix::fs::PermissionsExt;
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let script = from.path().join("run.sh");
        std::fs::write(&script, "#!/bin/sh\necho hello\n").unwrap();
        std::fs::write(from.path().join(".hidden"), "x").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o750)).unwrap();
        let dir = format!("{}/t", to.path().display());
        here().make_dir(&dir).await.unwrap();
        here().upload(&script, &format!("{dir}/it.sh")).await.unwrap();
        here().upload(from.path(), &format!("{dir}/all")).await.unwrap();
        let mode = std::fs::metadata(format!("{dir}/it.sh")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o750);
        assert_eq!(here().succeed(&format!("{dir}/all/run.sh"), b"").await.unwrap(), b"hello\n");
        let back = to.path().join("back");
        here().download_contents(&format!("{dir}/all"), &back).await.unwrap();
        assert!(back.join(".hidden").is_file() && back.join("run.sh").is_file());
        here().remove_dir(&dir).await.unwrap();
        assert!(!Path::new(&dir).exists());
    }

    /// The private mode of a temporary folder must not come to `--download-result .`.
    #[tokio::test]
    async fn a_folder_that_is_there_keeps_its_mode() {
        use std::os::unix::fs::PermissionsExt;
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in ["old", "new"] {
            std::fs::create_dir(from.path().join(folder)).unwrap();
            std::fs::write(from.path().join(folder).join("file"), "x").unwrap();
            set(&from.path().join(folder), 0o750);
        }
        // None that a new folder has, whatever the umask.
        set(from.path(), 0o711);
        std::fs::create_dir(to.path().join("old")).unwrap();
        for path in [to.path(), &to.path().join("old")] {
            set(path, 0o775);
        }
        let path = from.path().to_string_lossy().into_owned();
        here().download_contents(&path, to.path()).await.unwrap();
        assert_eq!(mode(to.path()), 0o775);
        assert_eq!(mode(&to.path().join("old")), 0o775);
        assert_eq!(mode(&to.path().join("new")), 0o750);
        assert!(to.path().join("old/file").is_file());
        // One that is made for it is as any other of the user, as it is over SSH.
        let made = to.path().join("a/b");
        here().download_contents(&path, &made).await.unwrap();
        assert_ne!(mode(&made), mode(from.path()));
        assert_eq!(mode(&made), mode(made.parent().unwrap()));
    }

    /// A command may leave its control pipe beside its results.
    #[tokio::test]
    async fn what_is_no_file_is_refused_by_name() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pipe = from.path().join("pipe");
        here().succeed(&format!("mkfifo {}", pipe.display()), b"").await.unwrap();
        let failure = here().download_contents(&from.path().to_string_lossy(), to.path()).await.unwrap_err();
        assert!(failure.causes[0].contains(&format!("`{}` is neither", pipe.display())), "{failure:?}");
    }

    #[tokio::test]
    async fn a_failing_command_says_how_it_failed() {
        let failure = here().succeed("echo no >&2; exit 3", b"").await.unwrap_err();
        assert_eq!(failure.causes, ["it ended with status 3", "no"]);
        assert_eq!(here().run("cat", b"in").await.unwrap().stdout, b"in");
    }

    #[tokio::test]
    async fn a_command_that_takes_too_long_is_given_up() {
        let limited = Machine { limit: Some(Duration::from_millis(200)), ..here() };
        let failure = limited.run("exec sleep 20", b"").await.unwrap_err();
        assert_eq!(failure.message, "failed to run `exec sleep 20` on `local engine`");
        let cause = "timed out after 0.2 s running `exec sleep 20` (host: local engine)";
        assert_eq!(failure.causes, [cause]);
        let patient = Machine { limit: Some(Duration::from_secs(60)), ..here() };
        assert_eq!(patient.run("echo done", b"").await.unwrap().stdout, b"done\n");
    }

    #[test]
    fn paths_are_split_at_the_last_slash() {
        for (path, expected) in
            [("/a/b", ("/a", "b")), ("/a", ("/", "a")), ("a", (".", "a")), ("a/b/", ("a", "b"))]
        {
            assert_eq!(split(path), expected);
        }
        assert_ne!(temporary_name(), temporary_name());
    }
}
