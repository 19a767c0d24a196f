//! What a host tells about itself: system, user, programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Refusal;

/// A POSIX shell script that prints what [`Facts::parse`] reads. It changes nothing and needs no rights.
pub const PROBE: &str = r#"PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
echo "user=$(id -un)"
echo "uid=$(id -u)"
echo "groups=$(id -Gn "$(id -un)")"
echo "machine=$(uname -m)"
for name in apt-get curl dnf dnf5 docker dockerd gcc make rpm service sudo systemctl yum; do
    path=$(command -v "$name" 2>/dev/null) && echo "has.$name=$path"
done
arch=$(dpkg --print-architecture 2>/dev/null) && echo "dpkg=$arch"
[ -d /run/systemd/system ] && echo systemd=yes
grep -q '^docker:' /etc/group && echo group.docker=yes
[ -S /var/run/docker.sock ] && grep -qsx dockerd /proc/[0-9]*/comm && echo engine=running
socat=$(command -v socat 2>/dev/null) && echo "socat=$socat"
for path in /usr/local/bin/socat "$socat"; do
    [ -x "$path" ] || continue
    echo "socat.$path=$("$path" -V 2>/dev/null | sed -n 's/^socat version \([^ ]*\).*/\1/p') $(sha256sum < "$path" 2>/dev/null | cut -d ' ' -f 1)"
done
sed -n 's/^[A-Z_]*=/os.&/p' /etc/os-release 2>/dev/null
echo end=yes
"#;

/// The families of systems that have steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what is made from them: `apt-get`.
    Debian,
    /// CentOS, RHEL, Fedora and what is made from them: `dnf` or `yum`.
    RedHat,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debian => "Debian/Ubuntu",
            Self::RedHat => "CentOS/RHEL",
        })
    }
}

/// What a host tells about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Login name.
    pub user: String,
    /// Whether the login user is root.
    pub is_root: bool,
    /// Names of the user's groups, as they are in a new login.
    pub groups: BTreeSet<String>,
    /// `uname -m`, for example `x86_64`.
    pub machine: String,
    /// Debian's name of the architecture, for example `amd64`.
    pub dpkg: Option<String>,
    /// Whether systemd runs the host's services.
    pub systemd: bool,
    /// Whether there is a group `docker`.
    pub docker_group: bool,
    /// Whether a Docker engine runs on its default socket.
    pub engine_runs: bool,
    /// Programs by name, with their paths.
    pub programs: BTreeMap<String, String>,
    /// Path of the `socat` that a login finds.
    pub socat: Option<String>,
    /// Version and SHA-256 of each `socat` that was found, by path.
    pub socats: BTreeMap<String, (String, String)>,
    /// The values of os-release(5).
    pub os: BTreeMap<String, String>,
}

impl Facts {
    /// Reads what [`PROBE`] has printed. Lines of another form, as a login shell may print them, are
    /// passed over.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoAnswer`] where the end, or who logs in, is missing.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let mut facts = Self::default();
        let mut complete = false;
        for (key, value) in text.lines().filter_map(|line| line.trim_end().split_once('=')) {
            match key {
                "user" => facts.user = value.to_owned(),
                "uid" => facts.is_root = value == "0",
                "groups" => facts.groups = value.split_whitespace().map(str::to_owned).collect(),
                "machine" => facts.machine = value.to_owned(),
                "dpkg" => facts.dpkg = Some(value.to_owned()),
                "systemd" => facts.systemd = true,
                "group.docker" => facts.docker_group = true,
                "engine" => facts.engine_runs = true,
                "socat" => facts.socat = Some(value.to_owned()),
                "end" => complete = true,
                _ => {
                    if let Some(name) = key.strip_prefix("has.") {
                        facts.programs.insert(name.to_owned(), value.to_owned());
                    } else if let Some(path) = key.strip_prefix("socat.") {
                        let (version, digest) = value.split_once(' ').unwrap_or((value, ""));
                        facts.socats.insert(path.to_owned(), (version.to_owned(), digest.to_owned()));
                    } else if let Some(name) = key.strip_prefix("os.") {
                        facts.os.insert(name.to_owned(), unquoted(value));
                    }
                }
            }
        }
        if !complete || facts.user.is_empty() {
            return Err(Refusal::NoAnswer(text.trim().chars().take(200).collect()));
        }
        Ok(facts)
    }

    /// Returns whether the host has this program.
    pub fn has(&self, program: &str) -> bool {
        self.programs.contains_key(program)
    }

    /// Returns a value of os-release, empty where there is none.
    pub fn os(&self, name: &str) -> &str {
        self.os.get(name).map_or("", String::as_str)
    }

    /// Returns the system's identifier and those it is like, nearest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.os("ID")).chain(self.os("ID_LIKE").split_whitespace())
    }

    /// Returns the system's name for messages.
    pub fn system(&self) -> &str {
        [self.os("PRETTY_NAME"), self.os("ID"), "a system without /etc/os-release"]
            .into_iter()
            .find(|name| !name.is_empty())
            .expect("the last name is not empty")
    }

    /// Returns the family: by os-release, and by its package manager where that says nothing we know.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownSystem`]
    pub fn family(&self) -> Result<Family, Refusal> {
        let by_name = self.ids().find_map(|id| match id {
            "debian" | "ubuntu" => Some(Family::Debian),
            "rhel" | "centos" | "fedora" | "amzn" | "rocky" | "almalinux" | "ol" => Some(Family::RedHat),
            _ => None,
        });
        let family = by_name.or_else(|| {
            if self.has("apt-get") {
                Some(Family::Debian)
            } else {
                (self.has("rpm") && (self.has("dnf") || self.has("yum"))).then_some(Family::RedHat)
            }
        });
        family.ok_or_else(|| Refusal::UnknownSystem(self.system().to_owned()))
    }

    /// Returns the family, which must be the expected one where one is.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnknownSystem`], [`Refusal::OtherFamily`]
    pub fn expect_family(&self, expected: Option<Family>) -> Result<Family, Refusal> {
        let family = self.family()?;
        match expected {
            Some(expected) if expected != family => {
                Err(Refusal::OtherFamily { system: self.system().to_owned(), expected })
            }
            _ => Ok(family),
        }
    }

    /// Fails where steps of root cannot be done.
    ///
    /// # Errors
    ///
    /// [`Refusal::NoRoot`]
    pub fn expect_root(&self) -> Result<(), Refusal> {
        if self.is_root || self.has("sudo") { Ok(()) } else { Err(Refusal::NoRoot(self.user.clone())) }
    }

    /// Returns the program that installs packages of the Red Hat family.
    pub(super) fn rpm_tool(&self) -> &'static str {
        if self.has("dnf") || self.has("dnf5") { "dnf" } else { "yum" }
    }
}

/// Takes the quotes of os-release(5) off a value.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    let Some(inner) = inner else { return value.to_owned() };
    let mut text = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    text
}
