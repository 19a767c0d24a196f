//! Users and groups: `adduser`, `addgroup`, `usermod` of three families of systems.
//!
//! Each function writes what the tools of its family take. `compat` writes what Docker-Map wrote, byte for
//! byte, which some of them refuse (clients-tasks §10.3, D-55).

use super::command::{CommandLine, quoted};

/// Whose tools are called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flavour {
    /// Debian and Ubuntu: `adduser`, `addgroup`, `usermod`.
    #[default]
    Debian,
    /// CentOS and its like: `useradd`, `groupadd`, `usermod`.
    Centos,
    /// BusyBox: `adduser`, `addgroup`.
    Busybox,
}

/// A request that the tools of a family cannot fulfil.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Argument {argument} is not supported on {flavour}.")]
pub struct Unsupported {
    argument: &'static str,
    flavour: &'static str,
}

/// A new user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name.
    pub name: String,
    /// Number.
    pub uid: Option<u32>,
    /// A system's user.
    pub system: bool,
    /// Cannot log in, and has no home folder. True by default.
    pub no_login: bool,
    /// Has no password; follows from `no_login` where the tools know it.
    pub no_password: bool,
    /// Full name and the like.
    pub gecos: Option<String>,
    /// Writes what Docker-Map wrote.
    pub compat: bool,
}

/// A new group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Number.
    pub gid: Option<u32>,
    /// A system's group.
    pub system: bool,
    /// Writes what Docker-Map wrote.
    pub compat: bool,
}

/// The names of options of one family.
struct Words {
    adduser: &'static str,
    addgroup: &'static str,
    uid: &'static str,
    gid: &'static str,
    primary: &'static str,
    no_login: &'static str,
    no_home: &'static str,
    no_password: Option<&'static str>,
    gecos: &'static str,
    system: &'static str,
}

const DEBIAN: Words = Words {
    adduser: "adduser",
    addgroup: "addgroup",
    uid: "--uid",
    gid: "--gid",
    primary: "--ingroup",
    no_login: "--disabled-login",
    no_home: "--no-create-home",
    no_password: Some("--disabled-password"),
    gecos: "--gecos",
    system: "--system",
};

const CENTOS: Words = Words {
    adduser: "useradd",
    addgroup: "groupadd",
    primary: "--gid",
    no_login: "-s /sbin/nologin",
    no_password: None,
    gecos: "--comment",
    ..DEBIAN
};

const BUSYBOX: Words = Words {
    uid: "-u",
    gid: "-g",
    primary: "-G",
    no_login: "-s /sbin/nologin",
    no_home: "-H",
    no_password: Some("-D"),
    gecos: "-g",
    system: "-S",
    ..DEBIAN
};

impl Flavour {
    fn words(self, compat: bool) -> Words {
        let words = match self {
            Self::Debian => DEBIAN,
            Self::Centos => CENTOS,
            Self::Busybox => BUSYBOX,
        };
        match compat {
            true => Words { adduser: "adduser", addgroup: "addgroup", uid: "-u", gid: "-g", ..words },
            false => words,
        }
    }
}

impl User {
    /// A user who cannot log in.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            uid: None,
            system: false,
            no_login: true,
            no_password: false,
            gecos: None,
            compat: false,
        }
    }

    /// Returns the command that makes the user.
    ///
    /// # Errors
    ///
    /// [`Unsupported`] for `no_password` on CentOS.
    pub fn adduser(&self, flavour: Flavour) -> Result<String, Unsupported> {
        let words = flavour.words(self.compat);
        self.line(flavour, &words, CommandLine::new(words.adduser)).map(Into::into)
    }

    /// Returns the command that makes the user, with a primary group that exists.
    ///
    /// # Errors
    ///
    /// As [`User::adduser`].
    pub fn adduser_in_group(&self, group: &str, flavour: Flavour) -> Result<String, Unsupported> {
        let words = flavour.words(self.compat);
        let line = CommandLine::new(words.adduser);
        // The group is named after the number, as in `adduser --uid 2000 --ingroup app …`.
        let line = line.option_if(words.uid, self.uid).option(words.primary, group);
        Self { uid: None, ..self.clone() }.line(flavour, &words, line).map(Into::into)
    }

    fn line(&self, flavour: Flavour, words: &Words, line: CommandLine) -> Result<CommandLine, Unsupported> {
        let no_password = match words.no_password {
            None if self.no_password => {
                return Err(Unsupported { argument: "no_password", flavour: "centos" });
            }
            None => None,
            Some(word) => (self.no_password || self.no_login).then_some(word),
        };
        // An unset one would make Debian's program ask.
        let unset = (flavour == Flavour::Debian).then_some("");
        let mut line = line.option_if(words.uid, self.uid);
        if self.no_login {
            line = line.flag(words.no_login).flag(words.no_home);
        }
        if let Some(word) = no_password {
            line = line.flag(word);
        }
        line = line.option_if(words.gecos, self.gecos.as_deref().or(unset));
        Ok(line.flag_if(self.system, words.system).word(&self.name))
    }
}

impl Group {
    /// A group that gets its number from the system.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Returns the command that makes the group.
    pub fn addgroup(&self, flavour: Flavour) -> String {
        let words = flavour.words(self.compat);
        let line = CommandLine::new(words.addgroup).option_if(words.gid, self.gid);
        line.flag_if(self.system, words.system).word(&self.name).into()
    }
}

/// Returns the command that puts a user into further groups; an empty text for no groups.
pub fn assignuser(user: &str, groups: &[&str], flavour: Flavour) -> String {
    assignuser_list(user, groups, flavour).join(" && ")
}

/// The commands of [`assignuser`].
pub fn assignuser_list(user: &str, groups: &[&str], flavour: Flavour) -> Vec<String> {
    match flavour {
        _ if groups.is_empty() => Vec::new(),
        Flavour::Debian | Flavour::Centos => {
            vec![CommandLine::new("usermod").option("-aG", groups.join(",")).word(user).into()]
        }
        Flavour::Busybox => {
            groups.iter().map(|group| format!("adduser {} {}", quoted(user), quoted(group))).collect()
        }
    }
}

/// Returns commands that make a user with a group of the same name (and number, where one is given), who is
/// in further groups too. With [`User::compat`] as Docker-Map wrote it: no group of its own.
///
/// # Errors
///
/// As [`User::adduser`].
pub fn addgroupuser(user: &User, groups: &[&str], flavour: Flavour) -> Result<String, Unsupported> {
    let (first, make) = if user.compat {
        let words = flavour.words(true);
        let line = CommandLine::new(words.adduser);
        let line = match flavour == Flavour::Busybox || groups.is_empty() {
            true => line,
            false => line.option("-G", groups.join(",")),
        };
        (None, user.line(flavour, &words, line)?.into())
    } else {
        let group = Group { gid: user.uid, system: user.system, ..Group::new(&user.name) };
        (Some(group.addgroup(flavour)), user.adduser_in_group(&user.name, flavour)?)
    };
    let mut commands: Vec<String> = first.into_iter().chain([make]).collect();
    if !user.compat || flavour == Flavour::Busybox {
        commands.extend(assignuser_list(&user.name, groups, flavour));
    }
    Ok(commands.join(" && "))
}
