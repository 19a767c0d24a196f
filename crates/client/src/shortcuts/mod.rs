//! Texts of shell commands, for Dockerfiles and for commands on hosts (clients-tasks §10.3).
//!
//! Pure functions: they run nothing. Words are quoted where a shell would take them for something else.
//! Every text is valid in POSIX `sh`.
//!
//! ```
//! use dfab_client::shortcuts::{self, Flavour, MakeDirectory, User};
//!
//! assert_eq!(shortcuts::curl("https://e.com/x?a=1&b=2", None), "curl 'https://e.com/x?a=1&b=2'");
//! assert_eq!(
//!     shortcuts::mkdir_chown(&["path/a"], (1000, 1001), &MakeDirectory::default()),
//!     "mkdir -p path/a && chown 1000:1001 path/a && chmod ug=rwX,o=rX path/a"
//! );
//! let user = User { uid: Some(2000), ..User::new("app") };
//! assert_eq!(
//!     user.adduser(Flavour::Debian).unwrap(),
//!     "adduser --uid 2000 --disabled-login --no-create-home --disabled-password --gecos '' app"
//! );
//! ```

mod command;
mod files;
mod users;

pub use command::{CommandLine, quoted};
pub use files::{
    MakeDirectory, Owner, chmod, chown, curl, mkdir, mkdir_chown, mkdir_chown_lists, rm, tar, targz, untar,
    untargz, wget,
};
pub use users::{Flavour, Group, Unsupported, User, addgroupuser, assignuser, assignuser_list};

/// Expands `$NAME` and `${NAME}`, then a leading `~` or `~user`, with what `lookup` knows of this machine.
///
/// # Errors
///
/// What is missing, as a fragment.
pub use dfab_map::resolve::expand_path;

#[cfg(test)]
mod tests;
