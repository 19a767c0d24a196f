//! A machine of the lab: namespaces that live as long as their first process.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::interrupt;
use crate::run::{Runs as _, tool};

/// A network, mount, PID, UTS and IPC namespace with one address on the lab's bridge.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    /// Its name, which is also its host name.
    pub name: String,
    /// Its IPv4 address.
    pub address: String,
    /// Its folder in the state folder; `/run/lab/host` inside.
    pub folder: PathBuf,
    /// Its first process as seen from outside.
    pub init: Process,
}

/// A process, told from a later one with the same number by the time of its start.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process ID.
    pub pid: i32,
    /// Start in clock ticks after boot (field 22 of `/proc/PID/stat`).
    pub start: u64,
}

impl Process {
    /// Returns the running process of this number.
    pub fn find(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command in parentheses may hold blanks and parentheses itself.
        let fields = &stat[stat.rfind(')')? + 1..];
        let mut fields = fields.split_ascii_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        Some(Process { pid, start: fields.nth(18)?.parse().ok()? })
    }

    fn is_running(self) -> bool {
        Process::find(self.pid) == Some(self)
    }
}

/// What the first process of a machine does before it becomes the reaper of the others.
///
/// `$1` is the machine's folder, `$2` its name, `$3` a folder whose `usr` lies over the machine's own, or nothing,
/// `$4` a root that stands for the machine's own, or nothing.
const INIT: &str = r#"
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
folder=$1 name=$2 engine=$3 root=$4
hostname "$name"
mount --make-rprivate /
resolver=$(cat /etc/resolv.conf 2>/dev/null || true)

# A fresh /sys shows this network namespace's interfaces; the control groups stay the machine's.
mount -t proc proc /proc
mount -t tmpfs -o mode=755 run "$folder/run"
mkdir "$folder/run/cgroup"
mount --rbind /sys/fs/cgroup "$folder/run/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$folder/run/cgroup" /sys/fs/cgroup
umount -l "$folder/run/cgroup"

# An own /run; all that changes on this host lies in it, or in the machine's folder.
mkdir -p "$folder/run/lab/host" "$folder/run/lock" "$folder/run/sshd"
mount --bind "$folder" "$folder/run/lab/host"
init=tini over=/run/lab/over
if [ -n "$root" ]; then
    # Another root may lack it. What is installed there is too much for memory, in which /run lies.
    cp "$(command -v tini-static)" "$folder/run/lab/init"
    init=/run/lab/init over=/run/lab/host/over
    # The folder's own path is covered below.
    mkdir "$folder/run/lab/root"
    mount --bind "$root" "$folder/run/lab/root"
    root=/run/lab/root
fi
mount --rbind "$folder/run" /run
for top in etc usr var opt srv home root; do
    lower=$root/$top
    [ -d "$lower" ] && [ -d "/$top" ] || continue
    if [ "$top" = usr ] && [ -n "$engine" ]; then lower=$engine/usr:/usr; fi
    mkdir -p "$over/$top/upper" "$over/$top/work"
    mount -t overlay -o "lowerdir=$lower,upperdir=$over/$top/upper,workdir=$over/$top/work" \
        overlay "/$top"
done
mount -t tmpfs -o mode=1777 tmp /tmp
[ ! -d /var/tmp ] || mount --bind /tmp /var/tmp
mkdir -p /var/lib/docker /run/lab/host/docker
mount --bind /run/lab/host/docker /var/lib/docker
# The operator's programs in /usr/local are no part of a host.
rm -rf /usr/local/bin /usr/local/sbin
mkdir -p /usr/local/bin /usr/local/sbin
echo "$name" > /etc/hostname
# It may be a link into a /run that is not ours.
rm -f /etc/resolv.conf
echo "$resolver" > /etc/resolv.conf
cd /
touch /run/lab/ready
exec "$init" -- sleep infinity
"#;

/// Stands before the folder in the command line of a machine's `unshare`.
const MARK: &str = "lab-init";

/// Starts a machine. `engine` is a folder whose `usr` lies over the machine's own.
pub fn start(bridge: &str, link: &str, folder: &Path, machine: &Spec<'_>) -> Result<Machine> {
    let Spec { name, address, engine, root } = *machine;
    let cannot = || format!("cannot start machine `{name}`");
    fs::create_dir_all(folder.join("run")).with_context(cannot)?;
    let log = fs::File::create(folder.join("init.log")).with_context(cannot)?;

    // The namespaces are entered by `unshare`; the shell inside is the first process. It must not be in the
    // terminal's process group: Ctrl-C is for us, who then end it.
    let mut unshare = Command::new("unshare")
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL", "--"])
        .args(["sh", "-c", INIT, MARK])
        .arg(folder)
        .arg(name)
        .arg(engine.unwrap_or(Path::new("")))
        .arg(root.unwrap_or(Path::new("")))
        .env_clear()
        .stdin(Stdio::null())
        .stdout(log.try_clone().with_context(cannot)?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("cannot start `unshare` (package util-linux)")?;
    let outer = i32::try_from(unshare.id()).expect("process IDs are positive 32-bit numbers");

    let deadline = Instant::now() + Duration::from_secs(20);
    let init = loop {
        if let Some(status) = unshare.try_wait().with_context(cannot)? {
            let said = fs::read_to_string(folder.join("init.log")).unwrap_or_default();
            bail!("machine `{name}` ended while it was made ({status}):\n{}", said.trim_end());
        }
        if let Some(init) = child_of(outer)
            && fs::exists(format!("/proc/{}/root/run/lab/ready", init.pid)).unwrap_or(false)
        {
            break init;
        }
        if Instant::now() > deadline || interrupt::requested() {
            if let Some(init) = child_of(outer) {
                end(init);
            }
            bail!("machine `{name}` did not become ready; see `{}`", folder.join("init.log").display());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let machine =
        Machine { name: name.to_owned(), address: address.to_owned(), folder: folder.to_owned(), init };
    let connected = connect(bridge, link, &machine);
    if connected.is_err() {
        end(init);
    }
    connected.with_context(cannot)?;
    Ok(machine)
}

/// What a machine is made from.
#[derive(Clone, Copy)]
pub struct Spec<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its IPv4 address.
    pub address: &'a str,
    /// A folder whose `usr` lies over the machine's own.
    pub engine: Option<&'a Path>,
    /// A root that stands for the machine's own.
    pub root: Option<&'a Path>,
}

fn connect(bridge: &str, link: &str, machine: &Machine) -> Result<()> {
    let pid = machine.init.pid.to_string();
    ip(&["link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", &pid])?;
    ip(&["link", "set", link, "master", bridge, "up"])?;
    let address = format!("{}/24", machine.address);
    machine.enter(&["ip", "address", "add", &address, "dev", "eth0"]).read()?;
    machine.enter(&["ip", "link", "set", "lo", "up"]).read()?;
    machine.enter(&["ip", "link", "set", "eth0", "up"]).read()?;
    Ok(())
}

/// Runs iproute2's `ip`.
pub fn ip(arguments: &[&str]) -> Result<String> {
    tool("ip").args(arguments).read()
}

/// Returns the only child of `unshare --fork`.
fn child_of(pid: i32) -> Option<Process> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    Process::find(children.split_ascii_whitespace().next()?.parse().ok()?)
}

/// Ends a process at once. One that ended meanwhile is fine.
fn end(process: Process) {
    if process.is_running()
        && let Some(pid) = Pid::from_raw(process.pid)
    {
        // The only failure left is that it ended between the two lines.
        let _ = kill_process(pid, Signal::KILL);
    }
}

impl Machine {
    /// Returns whether the machine runs.
    pub fn is_running(&self) -> bool {
        self.init.is_running()
    }

    /// Returns a command that runs inside the machine as root.
    pub fn enter<S: AsRef<std::ffi::OsStr>>(&self, command: &[S]) -> Command {
        let mut nsenter = Command::new("nsenter");
        nsenter
            .args(["--target", &self.init.pid.to_string()])
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--wd=/", "--"])
            .args([
                "env",
                "-i",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
            ])
            .args(command);
        nsenter
    }

    /// Starts a program inside that outlives this one; its output goes to `LOG` in the machine's folder.
    pub fn start_service(&self, log: &str, command: &[&str]) -> Result<()> {
        let line = command.iter().map(|word| crate::run::quoted(word)).collect::<Vec<_>>().join(" ");
        let script = format!("setsid {line} >>/run/lab/host/{log} 2>&1 </dev/null &");
        self.enter(&["sh", "-c", &script]).read().map(drop)
    }

    /// Returns the last lines of a service's log.
    pub fn log_end(&self, log: &str) -> String {
        let text = fs::read_to_string(self.folder.join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Ends all processes of the machine and waits until they are gone.
    pub fn end(&self) -> Result<()> {
        end(self.init);
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.is_running() {
            if Instant::now() > deadline {
                bail!("machine `{}` (process {}) does not end", self.name, self.init.pid);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

/// Ends machines of the lab in `folder` that are not on record: their maker was killed before it could write, or the
/// record was deleted. They are told by the command line of their `unshare`, which names their folder.
pub fn end_unrecorded(folder: &Path) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| Process::find(name.parse().ok()?))
        else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        let ours = words.first() == Some(&b"unshare".as_slice())
            && words.windows(2).any(|pair| {
                pair[0] == MARK.as_bytes()
                    && Path::new(std::ffi::OsStr::from_bytes(pair[1])).starts_with(folder)
            });
        if ours {
            // Its child, the machine's first process, ends with it (`--kill-child`).
            end(process);
        }
    }
}

/// Removes the control groups that the engines of a lab made.
pub fn remove_cgroups(lab_id: &str) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    let mut roots = vec![root.to_owned()];
    roots.extend(fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path()));
    for root in roots {
        let group = root.join(lab_id);
        if group.is_dir() {
            remove_cgroup(&group)?;
        }
    }
    Ok(())
}

fn remove_cgroup(group: &Path) -> Result<()> {
    for entry in fs::read_dir(group).with_context(|| format!("cannot read `{}`", group.display()))?.flatten()
    {
        if entry.path().is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    // The kernel frees a group a moment after its last process; only `rmdir` works on these folders.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match fs::remove_dir(group) {
            Err(error) if error.kind() == std::io::ErrorKind::ResourceBusy && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            done => return done.with_context(|| format!("cannot remove `{}`", group.display())),
        }
    }
}
