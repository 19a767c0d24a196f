//! Directories that exist for as long as something is done with them (clients-tasks §7.2).

use std::os::unix::fs::PermissionsExt;

use dfab_client::apply::CancellationToken;
use dfab_client::shortcuts::{self, Owner, quoted};

use super::{Commands, Error, run, succeed};

/// A directory of a host.
#[derive(Clone, Debug, Default)]
pub struct TempDir {
    /// Its owner, set as root.
    pub apply_chown: Option<Owner>,
    /// Its mode.
    pub apply_chmod: Option<String>,
    /// Remove it as root; `None` is where it was given another owner.
    pub remove_using_sudo: Option<bool>,
    /// Remove it with `-f`.
    pub remove_force: bool,
}

/// Does something with a new directory of a host, and removes the directory: also when that fails, and when the
/// run is cancelled. Warnings are told what could not be removed.
///
/// Mirrors Docker-Fabric's `temp_dir`, by `mktemp -d`.
///
/// # Errors
///
/// Those of `body`, [`Error::Cancelled`], and those of the commands.
pub async fn temp_dir<T, E: From<Error>>(
    host: &dyn Commands,
    options: &TempDir,
    cancel: &CancellationToken,
    warn: &mut dyn FnMut(String),
    body: impl AsyncFnOnce(&str) -> Result<T, E>,
) -> Result<T, E> {
    let path = get_remote_temp(host).await?;
    let work = async {
        if let Some(mode) = &options.apply_chmod {
            succeed(host, &shortcuts::chmod(mode, &path, true), false).await?;
        }
        if let Some(owner) = &options.apply_chown {
            succeed(host, &shortcuts::chown(owner.clone(), &path, true), true).await?;
        }
        body(&path).await
    };
    let result = tokio::select! {
        result = work => result,
        () = cancel.cancelled() => Err(Error::Cancelled.into()),
    };
    let root = options.remove_using_sudo.unwrap_or(options.apply_chown.is_some());
    remove_ignore(host, &path, root, options.remove_force, warn).await;
    result
}

/// Makes a temporary directory on a host, and returns its path. Somebody has to remove it.
///
/// # Errors
///
/// [`Error::Answer`] when `mktemp` answers with something that must never be given to a removal.
pub async fn get_remote_temp(host: &dyn Commands) -> Result<String, Error> {
    let line = "mktemp -d";
    let output = succeed(host, line, false).await?;
    let path = output.lines().next().unwrap_or_default().trim_end();
    if path.starts_with('/') && path.trim_matches('/').len() > 1 {
        return Ok(path.to_owned());
    }
    let wanted = "the path of a directory";
    Err(Error::Answer { line: line.to_owned(), answer: output.trim_end().to_owned(), wanted })
}

/// Removes a path of a host with everything in it. A failure is only a warning.
pub async fn remove_ignore(
    host: &dyn Commands,
    path: &str,
    root: bool,
    force: bool,
    warn: &mut dyn FnMut(String),
) {
    if let Err(error) = succeed(host, &shortcuts::rm(path, true, force), root).await {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        warn(format!("`{path}` could not be removed: {error}{}", cause.unwrap_or_default()));
    }
}

/// What is at a path of a host: true for a directory, false for a regular file, nothing for neither.
///
/// # Errors
///
/// Those of the command, and [`Error::Answer`].
pub async fn is_directory(host: &dyn Commands, path: &str, root: bool) -> Result<Option<bool>, Error> {
    let path = quoted(path);
    let line = format!("if [ -f {path} ]; then echo 0; elif [ -d {path} ]; then echo 1; else echo -1; fi");
    let output = succeed(host, &line, root).await?;
    match output.trim() {
        "0" => Ok(Some(false)),
        "1" => Ok(Some(true)),
        "-1" => Ok(None),
        other => Err(Error::Answer { line, answer: other.to_owned(), wanted: "0, 1 or -1" }),
    }
}

/// Does something with a new directory of this machine that nobody else can look into, and removes it in any
/// case; what cannot be removed stays.
///
/// # Errors
///
/// Those of `body`, [`Error::Cancelled`], and [`Error::Local`].
pub async fn local_temp_dir<T, E: From<Error>>(
    cancel: &CancellationToken,
    body: impl AsyncFnOnce(&std::path::Path) -> Result<T, E>,
) -> Result<T, E> {
    let private = std::fs::Permissions::from_mode(0o700);
    // Dropped, it is removed: also where this future is dropped.
    let directory = tempfile::Builder::new().permissions(private).tempdir().map_err(Error::Local)?;
    tokio::select! {
        result = body(directory.path()) => result,
        () = cancel.cancelled() => Err(Error::Cancelled.into()),
    }
}

/// Returns the first line that a command writes, and nothing where it fails or writes nothing (`single_line_stdout`).
///
/// # Errors
///
/// When it cannot be run.
pub async fn single_line(host: &dyn Commands, line: &str, root: bool) -> Result<Option<String>, Error> {
    let finished = run(host, line, root).await?;
    let first = finished.stdout.lines().next().filter(|_| finished.failed.is_none());
    Ok(first.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Answer, FakeHost};
    use super::*;

    async fn in_temp_dir(
        host: &FakeHost,
        options: &TempDir,
        cancel: &CancellationToken,
        result: Result<u8, Error>,
    ) -> (Result<u8, Error>, Vec<String>) {
        let mut warnings = Vec::new();
        let mut warn = |warning| warnings.push(warning);
        let done = temp_dir(host, options, cancel, &mut warn, async |path| {
            assert_eq!(path, "/tmp/tmp.1");
            host.note("the work");
            result
        });
        let done = done.await;
        (done, warnings)
    }

    #[tokio::test]
    async fn a_directory_is_removed_whatever_becomes_of_the_work() {
        let plain = TempDir::default();
        let owned = TempDir {
            apply_chown: Some("app".into()),
            apply_chmod: Some("u=rwX".into()),
            remove_force: true,
            ..TempDir::default()
        };
        let own_removal = TempDir { remove_using_sudo: Some(false), ..owned.clone() };
        let before = ["chmod -R u=rwX /tmp/tmp.1", "root: chown -R app:app /tmp/tmp.1", "the work"];
        for (options, work, removal) in [
            (&plain, &["the work"][..], "rm -R /tmp/tmp.1"),
            (&owned, &before, "root: rm -R -f /tmp/tmp.1"),
            (&own_removal, &before, "rm -R -f /tmp/tmp.1"),
        ] {
            for fails in [false, true] {
                let host = FakeHost::new([("mktemp -d", Answer::Ok("/tmp/tmp.1\nmore\n"))]);
                let work_result = if fails { Err(Error::Interface("x".into())) } else { Ok(7) };
                let (result, warnings) =
                    in_temp_dir(&host, options, &CancellationToken::new(), work_result).await;
                assert_eq!(result.is_ok(), !fails);
                assert_eq!(warnings, [""; 0]);
                assert_eq!(host.log(), [&["mktemp -d"][..], work, &[removal]].concat());
            }
        }
    }

    #[tokio::test]
    async fn a_directory_is_removed_when_it_cannot_be_prepared_or_the_run_is_cancelled() {
        let options = TempDir { apply_chmod: Some("x".into()), ..TempDir::default() };
        let host = FakeHost::new([
            ("mktemp -d", Answer::Ok("/tmp/tmp.1\n")),
            ("chmod -R x /tmp/tmp.1", Answer::Failed("ended with status 1", "invalid mode")),
            ("rm -R /tmp/tmp.1", Answer::Failed("ended with status 1", "busy")),
        ]);
        let (result, warnings) = in_temp_dir(&host, &options, &CancellationToken::new(), Ok(1)).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "`chmod -R x /tmp/tmp.1` ended with status 1: invalid mode"
        );
        assert_eq!(
            warnings,
            ["`/tmp/tmp.1` could not be removed: `rm -R /tmp/tmp.1` ended with status 1: busy"]
        );
        assert_eq!(host.log(), ["mktemp -d", "chmod -R x /tmp/tmp.1", "rm -R /tmp/tmp.1"]);

        let host = FakeHost::new([("mktemp -d", Answer::Ok("/tmp/tmp.1\n"))]);
        let cancel = CancellationToken::new();
        let plain = TempDir::default();
        let mut warn = |_| {};
        let working = temp_dir(&host, &plain, &cancel, &mut warn, async |_| {
            cancel.cancel();
            std::future::pending::<Result<(), Error>>().await
        });
        assert!(matches!(working.await, Err(Error::Cancelled)));
        assert_eq!(host.log(), ["mktemp -d", "rm -R /tmp/tmp.1"]);
    }

    /// clients-tasks §7.2: nothing of this is ever given to a removal.
    #[tokio::test]
    async fn paths_that_are_none_are_refused() {
        for answer in ["", "\n", "tmp/x\n", "/\n", "//\n", " /tmp\n"] {
            let host = FakeHost::new([("mktemp -d", Answer::Ok(answer))]);
            let (result, _) = in_temp_dir(&host, &TempDir::default(), &CancellationToken::new(), Ok(1)).await;
            assert!(matches!(result, Err(Error::Answer { .. })), "{answer:?}");
            assert_eq!(host.log(), ["mktemp -d"], "{answer:?}");
        }
    }

    #[tokio::test]
    async fn what_is_at_a_path() {
        let line = "if [ -f '/a b' ]; then echo 0; elif [ -d '/a b' ]; then echo 1; else echo -1; fi";
        for (answer, expected) in
            [("0\n", Some(Some(false))), ("1\n", Some(Some(true))), ("-1\n", Some(None)), ("?\n", None)]
        {
            let host = FakeHost::new([(line, Answer::Ok(answer))]);
            assert_eq!(is_directory(&host, "/a b", false).await.ok(), expected, "{answer:?}");
        }
    }

    #[tokio::test]
    async fn a_local_directory_is_private_and_goes() {
        let mut seen = std::path::PathBuf::new();
        let cancel = CancellationToken::new();
        let failed: Result<(), Error> = local_temp_dir(&cancel, async |path| {
            seen = path.to_owned();
            assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
            std::fs::write(path.join("file"), "x").unwrap();
            Err(Error::Interface("x".into()))
        })
        .await;
        assert!(failed.is_err() && !seen.exists());
        let cancelled: Result<(), Error> = local_temp_dir(&cancel, async |path| {
            seen = path.to_owned();
            cancel.cancel();
            std::future::pending().await
        })
        .await;
        assert!(matches!(cancelled, Err(Error::Cancelled)) && !seen.exists());
    }

    #[tokio::test]
    async fn the_first_line_of_a_command() {
        let host = FakeHost::new([
            ("two", Answer::Ok("a\nb\n")),
            ("none", Answer::Ok("")),
            ("bad", Answer::Failed("ended with status 1", "")),
        ]);
        for (line, expected) in [("two", Some("a")), ("none", None), ("bad", None)] {
            assert_eq!(single_line(&host, line, false).await.unwrap().as_deref(), expected, "{line}");
        }
    }
}
