//! A look around on the machine of an engine: one script, and what it printed as values.

use std::time::{Duration, SystemTime};

use dfab_tunnel::quote;

/// Looks around. Only `sh` and what POSIX gives is needed; `$1` is the path of the engine's socket, empty for a TCP
/// endpoint.
const SCRIPT: &str = r#"
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
echo "epoch $(date -u +%s 2>/dev/null)"
echo "user $(id -un 2>/dev/null || id -u)"
echo "groups $(id -Gn 2>/dev/null)"
echo "system $(. /etc/os-release 2>/dev/null && echo "$ID $ID_LIKE")"
if [ -S "$1" ]; then echo "kind socket"; elif [ -e "$1" ]; then echo "kind other"; else echo "kind none"; fi
if [ -r "$1" ] && [ -w "$1" ]; then echo "access yes"; else echo "access no"; fi
path=$1
set -- $(ls -ldL "$path" 2>/dev/null)
echo "mode $1"; echo "owner $3"; echo "group $4"
if command -v socat >/dev/null 2>&1; then
  echo "socat $(command -v socat) $(socat -V 2>/dev/null </dev/null | sed -n 's/^socat version \([^ ]*\).*/\1/p')"
fi
if command -v docker >/dev/null 2>&1; then
  echo "docker $(command -v docker) $(docker --version 2>/dev/null </dev/null | sed -n 's/^Docker version \([^ ,]*\).*/\1/p')"
fi
if command -v dockerd >/dev/null 2>&1; then echo "dockerd $(command -v dockerd)"; fi
if command -v systemctl >/dev/null 2>&1; then echo "systemd yes"; fi
"#;

/// Returns the command line of the look around.
pub fn command(socket: &str) -> String {
    quote::command(["sh", "-c", SCRIPT, "sh", socket])
}

/// Returns the command line that measures the space and the inodes of a folder's file system.
pub fn disk_command(folder: &str) -> String {
    let folder = quote::shell(folder);
    format!("df -Pk {folder} && df -Pi {folder}")
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Seconds since 1970 by the machine's clock.
    pub epoch: Option<u64>,
    /// The login name there.
    pub user: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// `ID` and `ID_LIKE` of `/etc/os-release`, in one.
    pub system: String,
    /// What stands at the path of the socket.
    pub kind: Kind,
    /// Whether the user may read and write it.
    pub access: bool,
    /// Its mode as `ls` shows it, its owner and group; empty when it cannot be seen.
    pub mode: String,
    /// The owner.
    pub owner: String,
    /// The group.
    pub group: String,
    /// Path and version of socat.
    pub socat: Option<String>,
    /// Path and version of the `docker` program.
    pub docker: Option<String>,
    /// Path of the engine's own program.
    pub dockerd: Option<String>,
    /// Whether `systemctl` is there.
    pub systemd: bool,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A Unix socket.
    Socket,
    /// Something else.
    Other,
    /// Nothing, or nothing that the user may see.
    #[default]
    None,
}

impl Facts {
    /// Reads the output of the look around; `None` when it did not run, as with a login shell such as `nologin`.
    pub fn read(output: &str) -> Option<Self> {
        let mut facts = Self::default();
        let mut ran = false;
        for line in output.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = value.trim().to_owned();
            match name {
                "epoch" => facts.epoch = value.parse().ok(),
                "user" => facts.user = value,
                "groups" => facts.groups = value.split_whitespace().map(str::to_owned).collect(),
                "system" => facts.system = value,
                "kind" => {
                    ran = true;
                    facts.kind = match value.as_str() {
                        "socket" => Kind::Socket,
                        "other" => Kind::Other,
                        _ => Kind::None,
                    };
                }
                "access" => facts.access = value == "yes",
                "mode" => facts.mode = value,
                "owner" => facts.owner = value,
                "group" => facts.group = value,
                "socat" => facts.socat = Some(value),
                "docker" => facts.docker = Some(value),
                "dockerd" => facts.dockerd = Some(value),
                "systemd" => facts.systemd = value == "yes",
                // Greetings of login shells.
                _ => {}
            }
        }
        ran.then_some(facts)
    }
}

/// The free and the whole size of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where it is mounted.
    pub mount: String,
    /// Free bytes.
    pub free: u64,
    /// All bytes.
    pub size: u64,
    /// Free inodes; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
}

impl Disk {
    /// Reads the output of [`disk_command`]: `df -P` twice, blocks of 1024 bytes, then inodes.
    pub fn read(output: &str) -> Option<Self> {
        let mut rows = output.lines().filter(|line| !line.starts_with("Filesystem"));
        let numbers = |row: &str| -> Option<(u64, u64, String)> {
            let words: Vec<&str> = row.split_whitespace().collect();
            // A device's name may have blanks; the percentage before the mount point is the landmark.
            let percent =
                words.iter().position(|word| word.ends_with('%') || *word == "-").filter(|at| *at > 3)?;
            let number = |at: usize| words.get(at)?.parse().ok();
            Some((number(percent - 3)?, number(percent - 1)?, words[percent + 1..].join(" ")))
        };
        let (size, free, mount) = numbers(rows.next()?)?;
        let inodes = rows.next().and_then(numbers).filter(|(all, ..)| *all > 0);
        Some(Self {
            mount,
            free: free * 1024,
            size: size * 1024,
            free_inodes: inodes.map(|(_, free, _)| free),
        })
    }
}

/// Returns how far a clock is ahead of ours (seconds, negative when it is behind). `epoch` was read there at some
/// moment between `asked` and `answered`, and it is a whole number: the uncertainty of both is in our favour.
pub fn clock_difference(epoch: u64, asked: SystemTime, answered: SystemTime) -> i64 {
    let seconds = |time: SystemTime| {
        time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs().cast_signed()
    };
    let (earliest, latest, there) = (seconds(asked) - 1, seconds(answered) + 1, epoch.cast_signed());
    if there < earliest {
        there - earliest
    } else if there > latest {
        there - latest
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_runs_in_a_plain_shell() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s ock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let look = |path: &str| {
            let output = std::process::Command::new("sh").args(["-c", &command(path)]).output().unwrap();
            Facts::read(&String::from_utf8_lossy(&output.stdout)).unwrap()
        };
        let facts = look(path.to_str().unwrap());
        assert_eq!((facts.kind, facts.access), (Kind::Socket, true), "{facts:?}");
        assert!(
            facts.mode.starts_with('s') && !facts.user.is_empty() && !facts.owner.is_empty(),
            "{facts:?}"
        );
        assert!(facts.epoch.is_some_and(|epoch| epoch > 1_700_000_000));
        assert_eq!(look("/does/not/exist").kind, Kind::None);
        assert_eq!(look("/etc").kind, Kind::Other);
        let output = std::process::Command::new("sh").args(["-c", &disk_command("/")]).output().unwrap();
        let disk = Disk::read(&String::from_utf8_lossy(&output.stdout)).unwrap();
        assert!(disk.size >= disk.free && disk.mount == "/", "{disk:?}");
    }

    #[test]
    fn greetings_are_passed_over_and_a_mute_shell_makes_no_facts() {
        let facts = Facts::read(
            "Welcome to web1!\nuser deploy\ngroups deploy docker\nkind none\nsocat /usr/bin/socat 1.7\n",
        );
        let facts = facts.unwrap();
        assert_eq!((facts.user.as_str(), facts.groups.len(), facts.kind), ("deploy", 2, Kind::None));
        assert_eq!((facts.socat.as_deref(), facts.docker), (Some("/usr/bin/socat 1.7"), None));
        assert_eq!(Facts::read("This account is currently not available.\n"), None);
    }

    #[test]
    fn file_systems_are_read_as_df_prints_them() {
        let blocks = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n";
        let inodes = "Filesystem       Inodes  IUsed    IFree IUse% Mounted on\n";
        let disk = |a: &str, b: &str| Disk::read(&format!("{blocks}{a}\n{inodes}{b}\n"));
        let expected = |mount: &str, free: u64, size: u64, free_inodes| {
            Some(Disk { mount: mount.into(), free: free * 1024, size: size * 1024, free_inodes })
        };
        assert_eq!(
            disk("/dev/sda1 41152736 20000000 19000000 52% /", "/dev/sda1 2621440 300000 2321440 12% /"),
            expected("/", 19_000_000, 41_152_736, Some(2_321_440))
        );
        assert_eq!(
            disk("a b 100 90 10 90% /my disk", "a b 0 0 0 - /my disk"),
            expected("/my disk", 10, 100, None)
        );
        assert_eq!(Disk::read("df: /var/lib/docker: No such file or directory\n"), None);
    }

    #[test]
    fn a_clock_differs_only_by_what_the_measurement_cannot_explain() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (epoch, asked, answered, expected) in [
            (1000, 1000, 1000, 0),
            (999, 1000, 1000, 0),
            (1010, 1000, 1012, 0),
            (1100, 1000, 1002, 97),
            (900, 1000, 1002, -99),
        ] {
            assert_eq!(clock_difference(epoch, at(asked), at(answered)), expected, "{epoch}");
        }
    }
}
