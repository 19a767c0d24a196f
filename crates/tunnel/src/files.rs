//! Files and trees over commands of the remote host: `cat` for a file, `tar` for a tree. Faster than
//! SFTP through libssh2, which waits for an answer to every block, and possible under sudo.
//!
//! A file arrives under another name and takes its place when it is complete, so that a broken
//! transfer leaves what was there. Until then nobody else can read it, whatever its permissions will be.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeekExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::SyncIoBridge;

use crate::command::{Command, Sudo};
use crate::process::{Process, tail};
use crate::{Error, Session, quote};

/// How to transfer.
#[derive(Clone, Default)]
pub struct Transfer {
    /// Permissions of the file where it goes to; `None` keeps those of a file that is replaced.
    pub mode: Option<u32>,
    /// Gives the file the permissions of its original. `mode` wins. Trees always have theirs.
    pub mirror_mode: bool,
    /// Reads or writes there as another user.
    pub sudo: Option<Sudo>,
    /// Goes on with what an earlier transfer of the same file left behind, and leaves that behind when
    /// it breaks itself. What is there is compared first. Files only.
    pub resume: bool,
    /// Is told how far it is, after every block.
    pub progress: Option<Arc<Listener>>,
}

/// A function that is told of progress; it must not wait.
pub type Listener = dyn Fn(&Progress) + Send + Sync;

impl std::fmt::Debug for Transfer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transfer")
            .field("mode", &self.mode)
            .field("mirror_mode", &self.mirror_mode)
            .field("sudo", &self.sudo)
            .field("resume", &self.resume)
            .finish_non_exhaustive()
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The remote path.
    pub path: String,
    /// Bytes that were carried, or were there already.
    pub done: u64,
    /// All of them, where that is known beforehand.
    pub total: Option<u64>,
}

const BLOCK: usize = 256 * 1024;
const PART: &str = ".dfab-part";

/// `$1` target, `$2` name for a directory, `$3` mode or nothing, `$4` size, `$5` offset, `$6` whether
/// to keep a part.
///
/// A part gets the permissions of the file when it is complete; a new file has those of the user's umask, as
/// `cat > file` gives. It is made anew, not written through what somebody has put in its place: `set -C` opens with
/// `O_EXCL`.
const RECEIVE: &str = r#"
target=$1
if [ -d "$target" ]; then target="${target%/}/$2"
else case $target in */) echo "$target is no directory" >&2; exit 1;; esac; fi
target=$(readlink -f -- "$target" 2>/dev/null || printf '%s' "$target")
part="$target.dfab-part"
mode=$3
[ -n "$mode" ] || mode=$(stat -c %a -- "$target" 2>/dev/null)
[ -n "$mode" ] || mode="$(umask -S),a-x"
umask 077
[ "$6" = keep ] || trap 'rm -f -- "$part"' EXIT
trap 'exit 1' HUP INT TERM
if [ "$5" = 0 ]; then
  rm -f -- "$part"
  set -C
  cat > "$part"
else
  chmod 600 "$part" && cat >> "$part"
fi || exit 1
size=$(wc -c < "$part") || exit 1
[ "$size" -eq "$4" ] || { echo "only $((size)) of $4 bytes arrived" >&2; exit 1; }
chmod "$mode" "$part" || exit 1
mv -f -- "$part" "$target"
"#;

/// `$1` path, `$2` how many bytes to leave out. Says size and mode, then sends.
const SEND: &str = r#"
[ -d "$1" ] && { echo "$1 is a directory" >&2; exit 1; }
size=$(wc -c < "$1") || exit 1
echo "$((size)) $(stat -Lc %a -- "$1" 2>/dev/null)"
tail -c "+$(($2 + 1))" < "$1"
"#;

/// `$1` path, `$2` name for a directory, `$3` what is added to a part's name. Says size and digest of a part of ours.
const PART_OF: &str = r#"
target=$1
[ -d "$target" ] && target="${target%/}/$2"
target=$(readlink -f -- "$target" 2>/dev/null || printf '%s' "$target")
part="$target$3"
[ -f "$part" ] && [ ! -L "$part" ] && [ -O "$part" ] && echo "$(($(wc -c < "$part"))) $(sha256sum < "$part")"
exit 0
"#;

/// `$1` directory, `$2` its mode where it is made, which comes last: it may forbid what comes into it.
const UNPACK: &str = r#"
if [ -d "$1" ]; then mode=; else mode=$2; mkdir -p -m 700 -- "$1"; fi || exit 1
tar -xpof - -C "$1" || exit 1
[ -z "$mode" ] || chmod "$mode" "$1"
"#;

/// `$1` path, `$2` how many bytes. Says their digest.
const DIGEST: &str = r#"head -c "$2" < "$1" | sha256sum"#;

impl Session {
    /// Uploads a file. A remote directory receives it under its own name. Returns its size.
    ///
    /// # Errors
    ///
    /// [`Error::File`] for the local file; [`Error::Command`] when the host cannot store it; else as
    /// for [`Session::start`].
    pub async fn upload_file(&self, local: &Path, remote: &str, transfer: &Transfer) -> Result<u64, Error> {
        let bad = |operation, error: std::io::Error| file_error(operation, local, error);
        let mut file = File::open(local).await.map_err(|error| bad("read", error))?;
        let metadata = file.metadata().await.map_err(|error| bad("read", error))?;
        if metadata.is_dir() {
            return Err(Error::Input(format!("`{}` is a directory; upload it as a tree", local.display())));
        }
        let total = metadata.len();
        let name = local.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mirrored = transfer.mirror_mode.then(|| metadata.permissions().mode() & 0o7777);
        let mode = transfer.mode.or(mirrored).map(|mode| format!("{mode:o}")).unwrap_or_default();
        let mut offset = 0;
        if transfer.resume {
            let words = self.words(transfer, PART_OF, &[remote, &name, PART]).await?;
            if let [size, digest, ..] = words.as_slice()
                && let Ok(size) = size.parse::<u64>()
                && size <= total
                && digest_of(&mut file, size).await.map_err(|error| bad("read", error))? == *digest
            {
                offset = size;
            }
            file.seek(std::io::SeekFrom::Start(offset)).await.map_err(|error| bad("read", error))?;
        }
        let keep = if transfer.resume { "keep" } else { "drop" };
        let numbers = [total.to_string(), offset.to_string()];
        let args = [remote, &name, &mode, &numbers[0], &numbers[1], keep];
        let mut process = self.start(&script(transfer, RECEIVE, &args, "upload", remote)).await?;
        let tell = Teller { transfer, remote, total: Some(total) };
        if let Some(mut stdin) = process.stdin.take() {
            // The host stops reading when its disk is full; its own words then say more.
            match carry(&mut file.take(total - offset), &mut stdin, offset, &tell).await {
                Ok(_) | Err(Broken::Write(_)) => {}
                Err(Broken::Read(error)) => return Err(bad("read", error)),
            }
        }
        process.success().await?;
        Ok(total)
    }

    /// Downloads a file. A local directory receives it under its own name. Returns its size.
    ///
    /// # Errors
    ///
    /// [`Error::Command`] when the host cannot read it; [`Error::File`] for the local file; else as for
    /// [`Session::start`].
    pub async fn download_file(&self, remote: &str, local: &Path, transfer: &Transfer) -> Result<u64, Error> {
        let mut target = local.to_owned();
        if fs::metadata(local).await.is_ok_and(|metadata| metadata.is_dir()) {
            target.push(remote.rsplit('/').find(|part| !part.is_empty()).unwrap_or("download"));
        }
        let bad = |operation, error: std::io::Error| file_error(operation, &target, error);
        let mut part = target.clone().into_os_string();
        part.push(PART);
        let part = Part { path: part.into(), keep: transfer.resume };
        let mut file = part.open().await.map_err(|error| bad("write", error))?;
        let mut offset = file.metadata().await.map_err(|error| bad("read", error))?.len();
        if offset > 0 {
            let ours = digest_of(&mut file, offset).await.map_err(|error| bad("read", error))?;
            let theirs = match transfer.resume {
                true => self.words(transfer, DIGEST, &[remote, &offset.to_string()]).await?,
                false => Vec::new(),
            };
            if theirs.first() != Some(&ours) {
                offset = 0;
            }
        }
        file.set_len(offset).await.map_err(|error| bad("write", error))?;
        file.seek(std::io::SeekFrom::Start(offset)).await.map_err(|error| bad("write", error))?;
        let number = offset.to_string();
        let mut process = self.start(&script(transfer, SEND, &[remote, &number], "download", remote)).await?;
        let Some(mut stdout) = process.stdout.take() else {
            return Err(Error::Closed { host: self.host().to_owned() });
        };
        let head = line(&mut stdout).await.map_err(|error| Error::from_io(self.host(), error))?;
        let mut head = head.split_ascii_whitespace();
        let total = head.next().and_then(|size| size.parse::<u64>().ok());
        let theirs = head.next().and_then(|mode| u32::from_str_radix(mode, 8).ok());
        let Some(total) = total else {
            // No head: the command says why.
            drop(stdout);
            let (host, command) = (self.host().to_owned(), process.command().to_owned());
            let finished = process.finish().await?;
            let stderr = tail(&String::from_utf8_lossy(&finished.stderr));
            return Err(Error::Command { host, command, exit: finished.exit, stderr });
        };
        let tell = Teller { transfer, remote, total: Some(total) };
        let done = match carry(&mut stdout, &mut file, offset, &tell).await {
            Ok(done) => done,
            Err(Broken::Read(error)) => return Err(Error::from_io(self.host(), error)),
            Err(Broken::Write(error)) => return Err(bad("write", error)),
        };
        process.success().await?;
        if done != total {
            return Err(bad("write", std::io::Error::other(format!("{done} of {total} bytes arrived"))));
        }
        let replaced =
            fs::metadata(&target).await.ok().map(|metadata| metadata.permissions().mode() & 0o7777);
        let mode = transfer.mode.or(theirs.filter(|_| transfer.mirror_mode)).or(replaced);
        let mode = Permissions::from_mode(mode.unwrap_or_else(default_mode));
        file.set_permissions(mode).await.map_err(|error| bad("write", error))?;
        file.flush().await.map_err(|error| bad("write", error))?;
        fs::rename(&part.path, &target).await.map_err(|error| bad("write", error))?;
        Ok(total)
    }

    /// Uploads what is in a directory into a remote one, which is made if it is missing. Permissions,
    /// times and symbolic links come along, owners do not; a remote directory that is there keeps its own
    /// permissions. Returns the bytes of the archive.
    ///
    /// # Errors
    ///
    /// As for [`Session::upload_file`].
    pub async fn upload_tree(&self, local: &Path, remote: &str, transfer: &Transfer) -> Result<u64, Error> {
        let metadata = fs::metadata(local).await.map_err(|error| file_error("read", local, error))?;
        let mode = format!("{:o}", metadata.permissions().mode() & 0o7777);
        let mut process = self.start(&script(transfer, UNPACK, &[remote, &mode], "upload", remote)).await?;
        let Some(mut stdin) = process.stdin.take() else {
            return Err(Error::Closed { host: self.host().to_owned() });
        };
        // A pipe between the archive's thread and this task: dropping the task ends both.
        let (ours, theirs) = tokio::io::duplex(BLOCK);
        let (_, theirs) = tokio::io::split(theirs);
        let folder = local.to_owned();
        let packing = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let mut archive = tar::Builder::new(SyncIoBridge::new(theirs));
            archive.follow_symlinks(false);
            // Without an entry for the directory itself: others may have to get into the one that is there.
            archive.append_dir_all("", &folder)?;
            archive.into_inner()?.shutdown()
        });
        let tell = Teller { transfer, remote, total: None };
        let (mut archive, _) = tokio::io::split(ours);
        let carried = carry(&mut archive, &mut stdin, 0, &tell).await;
        drop((stdin, archive));
        let packed = packing.await.map_err(std::io::Error::other).and_then(|result| result);
        match packed {
            // The host stopped reading; its own words say more.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {}
            result => result.map_err(|error| file_error("read", local, error))?,
        }
        process.success().await?;
        carried.map_err(|broken| match broken {
            Broken::Read(error) | Broken::Write(error) => Error::from_io(self.host(), error),
        })
    }

    /// Downloads what is in a remote directory into a local one, which is made if it is missing.
    /// Nothing is written outside of it, whatever the names in the archive are. Returns the bytes of
    /// the archive.
    ///
    /// # Errors
    ///
    /// As for [`Session::download_file`].
    pub async fn download_tree(&self, remote: &str, local: &Path, transfer: &Transfer) -> Result<u64, Error> {
        const PACK: &str = r#"tar -cf - -C "$1" ."#;
        fs::create_dir_all(local).await.map_err(|error| file_error("write", local, error))?;
        let mut process: Process = self.start(&script(transfer, PACK, &[remote], "download", remote)).await?;
        let Some(mut stdout) = process.stdout.take() else {
            return Err(Error::Closed { host: self.host().to_owned() });
        };
        let (ours, theirs) = tokio::io::duplex(BLOCK);
        let (theirs, _) = tokio::io::split(theirs);
        let folder = local.to_owned();
        let unpacking = tokio::task::spawn_blocking(move || -> std::io::Result<()> {
            let mut input = SyncIoBridge::new(theirs);
            crate::unpack::unpack(&mut input, &folder)?;
            // The padding after the last entry: the sender must not find a closed pipe.
            std::io::copy(&mut input, &mut std::io::sink()).map(drop)
        });
        let tell = Teller { transfer, remote, total: None };
        let (_, mut archive) = tokio::io::split(ours);
        let carried = carry(&mut stdout, &mut archive, 0, &tell).await;
        // Both halves must go for the reader to see the end.
        drop(archive);
        let unpacked = unpacking.await.map_err(std::io::Error::other).and_then(|result| result);
        if let Err(Broken::Read(error)) = carried {
            return Err(Error::from_io(self.host(), error));
        }
        drop(stdout);
        let finished = process.success().await;
        // An empty archive of a failed command is not the local side's fault.
        finished?;
        unpacked.map_err(|error| file_error("write", local, error))?;
        carried.map_err(|broken| match broken {
            Broken::Read(error) | Broken::Write(error) => file_error("write", local, error),
        })
    }

    /// Runs a small script and returns the words of its output.
    async fn words(&self, transfer: &Transfer, text: &str, args: &[&str]) -> Result<Vec<String>, Error> {
        let command = script(transfer, text, args, "compare", args[0]);
        let finished = self.start(&command).await?.success().await?;
        Ok(finished.text().split_ascii_whitespace().map(str::to_owned).collect())
    }
}

fn script(transfer: &Transfer, text: &str, args: &[&str], verb: &str, remote: &str) -> Command {
    let words = ["sh", "-c", text, "sh"].into_iter().chain(args.iter().copied());
    let command = Command::new(words).named(format!("{verb} {}", quote::shell(remote)));
    match &transfer.sudo {
        Some(sudo) => command.sudo(sudo.clone()),
        None => command,
    }
}

/// The part of a file that has arrived; removed unless a later transfer is to go on with it.
struct Part {
    path: PathBuf,
    keep: bool,
}

impl Part {
    /// Opens what an earlier transfer has left, where this one is to go on with it, else a new file, which only we can
    /// read. Nothing is written through a link, nor into what belongs to somebody else.
    async fn open(&self) -> std::io::Result<File> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        let found = fs::symlink_metadata(&self.path).await;
        let uid = rustix::process::geteuid().as_raw();
        if self.keep && found.is_ok_and(|found| found.is_file() && found.uid() == uid) {
            let file = options.open(&self.path).await?;
            file.set_permissions(Permissions::from_mode(0o600)).await?;
            return Ok(file);
        }
        match fs::remove_file(&self.path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => options.create_new(true).open(&self.path).await,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.keep {
            // It has its final name, or is of no use.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

struct Teller<'a> {
    transfer: &'a Transfer,
    remote: &'a str,
    total: Option<u64>,
}

/// Which side of a transfer failed.
enum Broken {
    Read(std::io::Error),
    Write(std::io::Error),
}

async fn carry(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut done: u64,
    tell: &Teller<'_>,
) -> Result<u64, Broken> {
    let mut block = vec![0; BLOCK];
    loop {
        let size = from.read(&mut block).await.map_err(Broken::Read)?;
        if size == 0 {
            to.flush().await.map_err(Broken::Write)?;
            to.shutdown().await.map_err(Broken::Write)?;
            return Ok(done);
        }
        to.write_all(&block[..size]).await.map_err(Broken::Write)?;
        done += size as u64;
        if let Some(progress) = &tell.transfer.progress {
            progress(&Progress { path: tell.remote.to_owned(), done, total: tell.total });
        }
    }
}

async fn line(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 100 && from.read(&mut byte).await? == 1 && byte != *b"\n" {
        line.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Returns the SHA-256 of the first bytes of a file, as `sha256sum` writes it.
async fn digest_of(file: &mut File, mut length: u64) -> std::io::Result<String> {
    file.seek(std::io::SeekFrom::Start(0)).await?;
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK];
    while length > 0 {
        let size = file.read(&mut block[..BLOCK.min(usize::try_from(length).unwrap_or(BLOCK))]).await?;
        if size == 0 {
            break;
        }
        digest.update(&block[..size]);
        length -= size as u64;
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Returns the permissions of a new file. Linux tells the umask; one can ask for it otherwise only by changing it for
/// all threads.
fn default_mode() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    let umask = umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok());
    0o666 & !umask.unwrap_or(0o077)
}

fn file_error(operation: &'static str, path: &Path, error: std::io::Error) -> Error {
    Error::File { operation, path: path.to_owned(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// Starts [`RECEIVE`] with each shell that a host may have as `/bin/sh`, under this umask.
    fn receive(shell: &str, umask: &str, target: &Path, mode: &str, (size, offset): (usize, usize)) -> Child {
        let script = format!("umask {umask}\n{RECEIVE}");
        let mut words = shell.split(' ');
        Command::new(words.next().unwrap())
            .args(words)
            .args(["-c", &script, "sh"])
            .arg(target)
            .args(["name", mode, &size.to_string(), &offset.to_string(), "drop"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn mode_of(path: &Path) -> u32 {
        std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn shells() -> Vec<&'static str> {
        let is_there = |shell: &&str| {
            let mut words = shell.split(' ');
            let mut command = Command::new(words.next().unwrap());
            let runs =
                command.args(words).args(["-c", "exit 0"]).status().is_ok_and(|status| status.success());
            if !runs {
                eprintln!("SKIPPED for `{shell}`, which is not here");
            }
            runs
        };
        ["sh", "dash", "bash", "busybox sh"].into_iter().filter(is_there).collect()
    }

    #[test]
    fn a_file_that_arrives_is_nobody_elses_to_read() {
        for shell in shells() {
            for (umask, there, given, expected) in [
                ("022", None, "", 0o644),
                ("027", None, "", 0o640),
                ("022", Some(0o600), "", 0o600),
                ("022", Some(0o664), "", 0o664),
                ("022", Some(0o600), "755", 0o755),
                ("022", None, "600", 0o600),
            ] {
                let folder = tempfile::tempdir().unwrap();
                let (target, part) = (folder.path().join("a key"), folder.path().join("a key.dfab-part"));
                if let Some(mode) = there {
                    std::fs::write(&target, "old").unwrap();
                    std::fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
                }
                let mut child = receive(shell, umask, &target, given, (8, 0));
                let mut stdin = child.stdin.take().unwrap();
                stdin.write_all(b"half").unwrap();
                let deadline = Instant::now() + Duration::from_secs(60);
                while std::fs::metadata(&part).map_or(0, |found| found.len()) < 4 {
                    assert!(Instant::now() < deadline, "{shell}: nothing arrives");
                    std::thread::sleep(Duration::from_millis(5));
                }
                assert_eq!(mode_of(&part), 0o600, "{shell} while it arrives");
                stdin.write_all(b"rest").unwrap();
                drop(stdin);
                assert!(child.wait().unwrap().success(), "{shell}");
                assert_eq!(std::fs::read(&target).unwrap(), b"halfrest");
                assert_eq!(
                    mode_of(&target),
                    expected,
                    "{shell}: umask {umask}, there {there:?}, given `{given}`"
                );
                assert!(!part.exists(), "{shell}");
            }
        }
    }

    #[test]
    fn a_part_that_somebody_has_put_there_is_not_written_through() {
        for shell in shells() {
            let folder = tempfile::tempdir().unwrap();
            let (target, victim) = (folder.path().join("target"), folder.path().join("victim"));
            std::fs::write(&victim, "untouched").unwrap();
            std::os::unix::fs::symlink(&victim, folder.path().join("target.dfab-part")).unwrap();
            let mut child = receive(shell, "022", &target, "", (4, 0));
            child.stdin.take().unwrap().write_all(b"text").unwrap();
            assert!(child.wait().unwrap().success(), "{shell}");
            assert_eq!(std::fs::read(&victim).unwrap(), b"untouched", "{shell}");
            assert_eq!(std::fs::read(&target).unwrap(), b"text", "{shell}");
        }
    }

    /// What an earlier transfer left may be readable; what is added to it must not be.
    #[test]
    fn a_transfer_that_goes_on_hides_what_was_left() {
        for shell in shells() {
            let folder = tempfile::tempdir().unwrap();
            let (target, part) = (folder.path().join("target"), folder.path().join("target.dfab-part"));
            std::fs::write(&part, "half").unwrap();
            std::fs::set_permissions(&part, Permissions::from_mode(0o644)).unwrap();
            let mut child = receive(shell, "022", &target, "640", (8, 4));
            let mut stdin = child.stdin.take().unwrap();
            let deadline = Instant::now() + Duration::from_secs(60);
            while mode_of(&part) != 0o600 {
                assert!(Instant::now() < deadline, "{shell}: still {:o}", mode_of(&part));
                std::thread::sleep(Duration::from_millis(5));
            }
            stdin.write_all(b"rest").unwrap();
            drop(stdin);
            assert!(child.wait().unwrap().success(), "{shell}");
            assert_eq!(
                (std::fs::read(&target).unwrap().as_slice(), mode_of(&target)),
                (&b"halfrest"[..], 0o640)
            );
        }
    }

    #[tokio::test]
    async fn the_part_of_a_download_is_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("x.dfab-part"), folder.path().join("victim"));
        std::fs::write(&victim, "untouched").unwrap();
        for keep in [false, true] {
            let part = Part { path: path.clone(), keep };
            std::os::unix::fs::symlink(&victim, &path).unwrap();
            let file = part.open().await.unwrap();
            file.set_len(0).await.unwrap();
            assert_eq!(mode_of(&path), 0o600);
            assert_eq!(std::fs::read(&victim).unwrap(), b"untouched");
            // What is left of an earlier one is gone on with only where that is wanted.
            std::fs::write(&path, "left").unwrap();
            std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
            let length = part.open().await.unwrap().metadata().await.unwrap().len();
            assert_eq!((length, mode_of(&path)), (if keep { 4 } else { 0 }, 0o600));
            std::fs::remove_file(&path).unwrap();
        }
        let new = folder.path().join("new");
        std::fs::write(&new, "").unwrap();
        assert_eq!(default_mode(), mode_of(&new));
    }
}
