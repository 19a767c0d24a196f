//! Which hosts a task runs on (cli §3, clients-tasks §11.4), and host strings.

use std::fmt;

use dfab_tunnel::config::Destination;
use indexmap::IndexMap;

use crate::failure::{Failure, Result};

/// A host string `[user@]host[:port]`, as it was given and taken apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Exactly what was given; messages use it.
    pub text: String,
    /// Login name, if given.
    pub user: Option<String>,
    /// Host name or address, IPv6 without brackets.
    pub name: String,
    /// Port, if given.
    pub port: Option<u16>,
}

impl Host {
    /// Takes a host string apart, as [`Destination`] does.
    ///
    /// # Errors
    ///
    /// A usage failure when the host is empty or the port is no port number.
    pub fn parse(text: &str) -> Result<Self> {
        let Destination { user, host: name, port } = text.parse().map_err(|error: dfab_tunnel::Error| {
            Failure::usage(error.to_string()).hint("write `[user@]host[:port]`, IPv6 as `[::1]:22`")
        })?;
        Ok(Self { text: text.trim().to_owned(), user, name, port })
    }

    /// Tells whether two host strings mean the same login, with these defaults for what is not given
    /// (clients-tasks §2.6).
    pub fn same_login(&self, other: &Self, user: &str, port: u16) -> bool {
        let user_of = |host: &Self| host.user.clone().unwrap_or_else(|| user.to_owned());
        self.name.eq_ignore_ascii_case(&other.name)
            && self.port.unwrap_or(port) == other.port.unwrap_or(port)
            && user_of(self) == user_of(other)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where hosts are named: in the call, in the options, in the project file.
#[derive(Clone, Debug, Default)]
pub struct HostLists<'a> {
    /// `host=`/`hosts=` of the call.
    pub call_hosts: &'a [String],
    /// `role=`/`roles=` of the call.
    pub call_roles: &'a [String],
    /// `-H`
    pub hosts: &'a [String],
    /// `-R`
    pub roles: &'a [String],
    /// `hosts:` of the project file, or the variable `hosts`.
    pub project: &'a [String],
    /// The variable `roles`.
    pub default_roles: &'a [String],
    /// `-x` and `exclude_hosts=`
    pub exclude: &'a [String],
}

/// Returns the hosts of a task: those of the call, else those of `-H` and then `-R`, else those of the files. Empty is
/// "locally": nobody has named a host or a role.
///
/// Duplicates and excluded hosts are left out by their text; order is kept.
///
/// # Errors
///
/// A usage failure for roles that do not exist, for host strings that are none, and when everything
/// that was named is excluded: working locally instead would hit the wrong engine.
pub fn hosts_of(lists: &HostLists<'_>, roles: &IndexMap<String, Vec<String>>) -> Result<Vec<Host>> {
    let named = |hosts: &[String], names: &[String]| -> Result<Vec<String>> {
        let unknown: Vec<&String> = names.iter().filter(|name| !roles.contains_key(*name)).collect();
        if let Some(first) = unknown.first() {
            let known: Vec<&str> = roles.keys().map(String::as_str).collect();
            let message = format!("the following roles do not exist: {}", crate::text::list(&unknown, 9));
            let failure = Failure::usage(message);
            return Err(if known.is_empty() {
                failure.hint("name hosts under `roles:` in the project file")
            } else {
                failure.nearest(first, "roles", known)
            });
        }
        Ok(hosts.iter().chain(names.iter().flat_map(|name| &roles[name])).cloned().collect())
    };
    // A role without hosts is named all the same: what comes after it would be the wrong hosts.
    let levels = [
        (lists.call_hosts, lists.call_roles),
        (lists.hosts, lists.roles),
        (lists.project, lists.default_roles),
    ];
    let Some((own, names)) = levels.into_iter().find(|(own, names)| !own.is_empty() || !names.is_empty())
    else {
        return Ok(Vec::new());
    };
    let chosen = named(own, names)?;
    let mut hosts: Vec<Host> = Vec::new();
    for text in &chosen {
        let host = Host::parse(text)?;
        let excluded = lists.exclude.iter().any(|excluded| excluded.trim() == host.text);
        if !excluded && !hosts.iter().any(|known| known.text == host.text) {
            hosts.push(host);
        }
    }
    if hosts.is_empty() {
        return Err(Failure::usage("no host is left to run on")
            .hint("every host that was named is excluded, or the roles have no hosts"));
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn host_strings_are_taken_apart() {
        let cases = [
            ("web1", "- web1 -"),
            ("deploy@web1:2222", "deploy web1 2222"),
            ("a@b@web1", "a@b web1 -"),
            ("::1", "- ::1 -"),
            ("root@[::1]:222", "root ::1 222"),
            ("[fe80::1]", "- fe80::1 -"),
        ];
        for (text, expected) in cases {
            let host = Host::parse(text).unwrap();
            let port = host.port.map_or("-".to_owned(), |port| port.to_string());
            assert_eq!(format!("{} {} {port}", host.user.as_deref().unwrap_or("-"), host.name), expected);
        }
        for text in ["", "a b", "web:x", "web:0", "@web", "[::1", "[::1]22", "-oProxyCommand=x"] {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hosts_come_from_the_call_then_the_options_then_the_project() {
        let roles: IndexMap<String, Vec<String>> =
            [("web".to_owned(), texts(&["h1", "h2"])), ("db".to_owned(), texts(&["h3"]))].into();
        let (a, b, empty) = (texts(&["a", "b"]), texts(&["b"]), Vec::new());
        let (c, web_db, project) = (texts(&["c"]), texts(&["web", "db"]), texts(&["p"]));
        let lists = || HostLists { project: &project, ..HostLists::default() };
        let cases = [
            (HostLists { hosts: &a, ..lists() }, "a b"),
            (HostLists { roles: &web_db, ..lists() }, "h1 h2 h3"),
            (HostLists { hosts: &a, roles: &web_db, ..lists() }, "a b h1 h2 h3"),
            (HostLists { hosts: &a, exclude: &b, ..lists() }, "a"),
            (HostLists { hosts: &a, call_hosts: &c, ..lists() }, "c"),
            (lists(), "p"),
            (HostLists { default_roles: &web_db, ..lists() }, "p h1 h2 h3"),
            (HostLists { hosts: &a, default_roles: &web_db, ..lists() }, "a b"),
            (HostLists { project: &empty, ..lists() }, ""),
        ];
        for (lists, expected) in cases {
            let hosts: Vec<String> =
                hosts_of(&lists, &roles).unwrap().into_iter().map(|host| host.text).collect();
            assert_eq!(hosts.join(" "), expected);
        }
    }

    #[test]
    fn an_unknown_role_and_an_empty_rest_are_refused() {
        let roles: IndexMap<String, Vec<String>> = [("web".to_owned(), texts(&["h1"]))].into();
        let (wbe, web, h1) = (texts(&["wbe"]), texts(&["web"]), texts(&["h1"]));
        let failure = hosts_of(&HostLists { roles: &wbe, ..HostLists::default() }, &roles).unwrap_err();
        assert_eq!(failure.hints, ["did you mean `web`?"]);
        let failure =
            hosts_of(&HostLists { roles: &web, exclude: &h1, ..HostLists::default() }, &roles).unwrap_err();
        assert_eq!(failure.message, "no host is left to run on");
    }

    /// `-R app` ran on the `hosts:` of the project when the role had none.
    #[test]
    fn a_role_without_hosts_is_refused() {
        let roles: IndexMap<String, Vec<String>> = [("app".to_owned(), Vec::new())].into();
        let (app, project) = (texts(&["app"]), texts(&["prod1"]));
        let lists = || HostLists { project: &project, ..HostLists::default() };
        for lists in [
            HostLists { roles: &app, ..lists() },
            HostLists { call_roles: &app, ..lists() },
            HostLists { call_roles: &app, hosts: &project, ..lists() },
            HostLists { project: &[], default_roles: &app, ..lists() },
        ] {
            assert_eq!(
                hosts_of(&lists, &roles).unwrap_err().message,
                "no host is left to run on",
                "{lists:?}"
            );
        }
    }

    #[test]
    fn the_same_login_may_be_written_differently() {
        let host = |text| Host::parse(text).unwrap();
        assert!(host("web1").same_login(&host("deploy@WEB1:22"), "deploy", 22));
        assert!(!host("web1").same_login(&host("root@web1"), "deploy", 22));
        assert!(!host("web1:2222").same_login(&host("web1"), "deploy", 22));
    }
}
