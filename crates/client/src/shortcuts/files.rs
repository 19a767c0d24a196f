//! Files and folders: `rm`, `chown`, `chmod`, `mkdir`, `curl`, `wget`, `tar`.

use super::command::{CommandLine, quoted};

/// Mode of new folders where none is given.
const MODE: &str = "ug=rwX,o=rX";

/// A user and a group, as `chown` takes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// `user` (with the group of the same name), `user:group` or `user:`.
    Text(String),
    /// A user and a group, by name or number.
    Pair(String, String),
}

impl From<&str> for Owner {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u32> for Owner {
    fn from(id: u32) -> Self {
        Self::Pair(id.to_string(), id.to_string())
    }
}

impl<U: ToString, G: ToString> From<(U, G)> for Owner {
    fn from((user, group): (U, G)) -> Self {
        Self::Pair(user.to_string(), group.to_string())
    }
}

impl Owner {
    /// Returns `user:group`, each part quoted where needed.
    pub fn argument(&self) -> String {
        match self {
            Self::Text(text) => match text.split_once(':') {
                Some((user, "")) => format!("{}:", quoted(user)),
                Some(("", group)) => format!(":{}", quoted(group)),
                Some((user, group)) => format!("{}:{}", quoted(user), quoted(group)),
                None => format!("{0}:{0}", quoted(text)),
            },
            Self::Pair(user, group) => format!("{}:{}", quoted(user), quoted(group)),
        }
    }
}

/// `rm [-R] [-f] PATH`
pub fn rm(path: &str, recursive: bool, force: bool) -> String {
    CommandLine::new("rm").flag_if(recursive, "-R").flag_if(force, "-f").word(path).into()
}

/// `chown [-R] USER:GROUP PATH`
pub fn chown(owner: impl Into<Owner>, path: &str, recursive: bool) -> String {
    let owner = owner.into().argument();
    CommandLine::new("chown").flag_if(recursive, "-R").raw(&owner).word(path).into()
}

/// `chmod [-R] MODE PATH`
pub fn chmod(mode: &str, path: &str, recursive: bool) -> String {
    CommandLine::new("chmod").flag_if(recursive, "-R").word(mode).word(path).into()
}

/// `curl [-o FILE] URL`
pub fn curl(url: &str, file: Option<&str>) -> String {
    CommandLine::new("curl").option_if("-o", file).word(url).into()
}

/// `wget [-O FILE] URL`
pub fn wget(url: &str, file: Option<&str>) -> String {
    CommandLine::new("wget").option_if("-O", file).word(url).into()
}

/// How folders are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MakeDirectory {
    /// Makes parent folders too, and is content with a folder that is there. True by default.
    pub create_parent: bool,
    /// Asks first whether the folder is there.
    pub check_if_exists: bool,
    /// Mode of new folders; `None` leaves it. `ug=rwX,o=rX` by default.
    pub permissions: Option<String>,
    /// Changes owner and mode of everything in the folder too.
    pub recursive: bool,
    /// Goes on with the next folder after a failure, which is hidden then.
    pub ignore_failures: bool,
}

impl Default for MakeDirectory {
    fn default() -> Self {
        Self {
            create_parent: true,
            check_if_exists: false,
            permissions: Some(MODE.to_owned()),
            recursive: false,
            ignore_failures: false,
        }
    }
}

/// `mkdir [-p] PATH`, if asked for only where the folder is not there.
pub fn mkdir(path: &str, options: &MakeDirectory) -> String {
    let make = CommandLine::new("mkdir").flag_if(options.create_parent, "-p").word(path);
    match options.check_if_exists {
        true => format!("if [ ! -d {} ]; then {make}; fi", quoted(path)),
        false => make.into(),
    }
}

/// Makes folders and sets owner and mode of each; `None` leaves the owner. Joined by `&&`, so that no failure
/// is hidden.
pub fn mkdir_chown(paths: &[&str], owner: impl Into<MaybeOwner>, options: &MakeDirectory) -> String {
    let lists = mkdir_chown_lists(paths, owner, options);
    let separator = if options.ignore_failures { "; " } else { " && " };
    lists.iter().map(|commands| commands.join(" && ")).collect::<Vec<_>>().join(separator)
}

/// The commands of [`mkdir_chown`], one list for each folder.
pub fn mkdir_chown_lists(
    paths: &[&str],
    owner: impl Into<MaybeOwner>,
    options: &MakeDirectory,
) -> Vec<Vec<String>> {
    let MaybeOwner(owner) = owner.into();
    let commands = |path: &&str| {
        let owner = owner.clone().map(|owner| chown(owner, path, options.recursive));
        let mode = options.permissions.as_deref().map(|mode| chmod(mode, path, options.recursive));
        [Some(mkdir(path, options)), owner, mode].into_iter().flatten().collect()
    };
    paths.iter().map(commands).collect()
}

/// An owner, or none: what [`mkdir_chown`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaybeOwner(Option<Owner>);

impl<T: Into<Owner>> From<T> for MaybeOwner {
    fn from(owner: T) -> Self {
        Self(Some(owner.into()))
    }
}

impl From<Option<Owner>> for MaybeOwner {
    fn from(owner: Option<Owner>) -> Self {
        Self(owner)
    }
}

/// `tar -cf ARCHIVE [FLAG]… SOURCE`; flags are written as they are.
pub fn tar(archive: &str, source: &str, flags: &[&str]) -> String {
    with(CommandLine::new("tar").option("-cf", archive), flags).word(source).into()
}

/// `tar -xf ARCHIVE [-C FOLDER] [FLAG]…`; flags are written as they are.
pub fn untar(archive: &str, folder: Option<&str>, flags: &[&str]) -> String {
    with(CommandLine::new("tar").option("-xf", archive).option_if("-C", folder), flags).into()
}

/// [`tar`](fn@tar) with gzip: the flag `-z`.
pub fn targz(archive: &str, source: &str, flags: &[&str]) -> String {
    tar(archive, source, &[flags, &["-z"]].concat())
}

/// [`untar`] with gzip: the flag `-z`.
pub fn untargz(archive: &str, folder: Option<&str>, flags: &[&str]) -> String {
    untar(archive, folder, &[flags, &["-z"]].concat())
}

fn with(line: CommandLine, flags: &[&str]) -> CommandLine {
    flags.iter().fold(line, |line, flag| line.flag(flag))
}
