//! `ssh_config(5)`: from a host as the user names it to [`ConnectOptions`].
//!
//! Supported: `Host` and `Match` (`all`, `host`, `originalhost`, `user`, `localuser`), `Include`,
//! `HostName`, `User`, `Port`, `IdentityFile`, `IdentitiesOnly`, `IdentityAgent`, `HostKeyAlias`,
//! `UserKnownHostsFile`, `GlobalKnownHostsFile`, `StrictHostKeyChecking`, `ProxyJump`, `ProxyCommand`,
//! `ServerAliveInterval`, `ServerAliveCountMax`, `ConnectTimeout`, `ConnectionAttempts`, `Compression`,
//! `BatchMode`, `PubkeyAuthentication`, `PasswordAuthentication`, `KbdInteractiveAuthentication`, and
//! the tokens `%% %d %h %i %n %p %r %u`. Other options that would change the connection are named in
//! warnings, with file and line.
//!
//! The reader is our own: `ssh2-config` 0.9 has neither `ProxyCommand`, `IdentitiesOnly`, known-hosts
//! nor server-alive-count options nor tokens, keeps no positions, and reads a `Match` line as an
//! option, so that what follows it would apply to hosts it was not meant for.

mod read;

use std::path::{Path, PathBuf};
use std::time::Duration;

use self::read::Setting;
pub use self::read::SshConfig;
use crate::Error;
use crate::options::{ConnectOptions, Keepalive, KeyFile, Proxy, UnknownHost};

/// A host as users write it: `[user@]host[:port]`. The user may contain `@` (the last one counts);
/// IPv6 addresses stand as `::1` or `[::1]:222`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Login name, if given.
    pub user: Option<String>,
    /// Host name, address, or the alias of a `Host` block. Without brackets.
    pub host: String,
    /// Port, if given.
    pub port: Option<u16>,
}

impl std::str::FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = |why: &str| Error::Input(format!("`{text}` is no host: {why}"));
        let trimmed = text.trim();
        let rest = trimmed.strip_prefix("ssh://").unwrap_or(trimmed).trim_end_matches('/');
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or_else(|| bad("`]` is missing"))?;
                match (after.strip_prefix(':'), after) {
                    (Some(port), _) => (host, Some(port)),
                    (None, "") => (host, None),
                    (None, _) => return Err(bad("only `:` and a port may follow the bracket")),
                }
            }
            // More than one colon without brackets is an IPv6 address.
            None if rest.matches(':').count() == 1 => {
                let (host, port) = rest.split_once(':').unwrap_or((rest, ""));
                (host, Some(port))
            }
            None => (rest, None),
        };
        let port = match port {
            Some(port) => Some(
                port.parse()
                    .ok()
                    .filter(|&port| port > 0)
                    .ok_or_else(|| bad("the port is no number from 1 to 65535"))?,
            ),
            None => None,
        };
        let destination = Self { user, host: host.to_owned(), port };
        destination.check().map_err(|why| bad(&why))?;
        Ok(destination)
    }
}

impl Destination {
    /// Refuses names that mean something to a shell or to a program that gets them: `%h`, `%n` and `%r` put them into
    /// the line of a `ProxyCommand`, and they may come from somebody else's file (CVE-2023-51385).
    fn check(&self) -> Result<(), String> {
        let refused = |what: &str, part: &str| Err(format!("{what} {part}"));
        if self.host.is_empty() {
            return refused("the name", "is empty");
        }
        check_host(&self.host).or_else(|why| refused("the name", &why))?;
        match self.user.as_deref() {
            Some("") => refused("the user before `@`", "is empty"),
            Some(user) => check_user(user).or_else(|why| refused("the user", &why)),
            None => Ok(()),
        }
    }
}

/// As `valid_hostname` of OpenSSH 9.6 does. Zones of IPv6 addresses (`%eth0`) have nothing of it.
fn check_host(host: &str) -> Result<(), String> {
    let bad = |character: &char| {
        character.is_whitespace() || character.is_control() || "'`\"$\\;&<>|(){}".contains(*character)
    };
    no_option(host)?;
    host.chars()
        .find(bad)
        .map_or(Ok(()), |character| Err(format!("has {character:?}, which no host name has")))
}

/// As `valid_ruser` of OpenSSH 9.6 does: names of Windows domains have `$` and `\`, some have blanks.
fn check_user(user: &str) -> Result<(), String> {
    let bad = |character: &char| character.is_control() || "'`\";&<>|(){}".contains(*character);
    no_option(user)?;
    if let Some(character) = user.chars().find(bad) {
        return Err(format!("has {character:?}, which a shell would read"));
    }
    if user.ends_with('\\') {
        return Err("ends with a backslash, which a shell would read".to_owned());
    }
    user.split(char::is_whitespace).skip(1).try_for_each(no_option)
}

fn no_option(word: &str) -> Result<(), String> {
    match word.starts_with('-') {
        true => {
            Err("has a word with a dash at its beginning, which a program would take for an option"
                .to_owned())
        }
        false => Ok(()),
    }
}

/// What the configuration refers to on this side.
#[derive(Debug, Clone)]
pub struct Local {
    /// Login name here: `%u`, and the remote user when nothing else says one.
    pub user: String,
    /// Home directory: `~` and `%d`.
    pub home: PathBuf,
}

impl SshConfig {
    /// Returns the options for a host: what the destination says itself, else what the configuration
    /// says, else what `base` holds; and warnings about settings that have no effect here.
    ///
    /// `base.user` counts when neither names a user. Jump hosts are looked up in the configuration too.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for a value that cannot be understood, with file and line.
    pub fn options(
        &self,
        destination: &Destination,
        base: &ConnectOptions,
        local: &Local,
    ) -> Result<(ConnectOptions, Vec<String>), Error> {
        let mut warnings = Vec::new();
        let options = self.resolve(destination, base, local, &mut warnings, 0)?;
        Ok((options, warnings))
    }

    fn resolve(
        &self,
        destination: &Destination,
        base: &ConnectOptions,
        local: &Local,
        warnings: &mut Vec<String>,
        depth: usize,
    ) -> Result<ConnectOptions, Error> {
        if depth > 8 {
            return Err(Error::Input(format!("ProxyJump for `{}` goes round in a circle", destination.host)));
        }
        // Not all of them were read from one text: `-u` and `env.user` are put together with a host.
        destination.check().map_err(|why| {
            let user = destination.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            Error::Input(format!("`{user}{}` is no host: {why}", destination.host))
        })?;
        check_user(&base.user)
            .map_err(|why| Error::Input(format!("`{}` is no login name: it {why}", base.user)))?;
        let settings = self.settings(destination, &base.user, local);
        let mut options = base.clone();
        options.host = destination.host.clone();
        if options.label.is_empty() || depth > 0 {
            options.label = destination.host.clone();
        }
        let first = |name: &str| settings.iter().find(|setting| setting.is(name)).copied();
        if let Some(setting) = first("hostname") {
            let mut tokens = Tokens::new(destination, local);
            tokens.host = &destination.host;
            options.host = tokens.expand(setting, setting.value()?)?;
        }
        options.port = match (destination.port, first("port")) {
            (Some(port), _) => port,
            (None, Some(setting)) => setting.number()?,
            (None, None) => base.port,
        };
        options.user = match (&destination.user, first("user")) {
            (Some(user), _) => user.clone(),
            (None, Some(setting)) => setting.value()?.to_owned(),
            (None, None) => base.user.clone(),
        };
        let (host, user) = (options.host.clone(), options.user.clone());
        let tokens =
            Tokens { host: &host, original: &destination.host, port: options.port, user: &user, local };
        for setting in &settings {
            let earlier = first(&setting.name).is_some_and(|first| !std::ptr::eq(first, *setting));
            if earlier && !setting.is("identityfile") {
                continue;
            }
            apply(&mut options, setting, &tokens, warnings)?;
        }
        if !settings.iter().any(|setting| setting.is("identityfile")) {
            // Nothing named: the base's keys stay.
        } else {
            let named = options.auth.keys.split_off(base.auth.keys.len());
            // Keys given on the command line come first, and the defaults make way.
            options.auth.keys.retain(|key| !key.optional);
            options.auth.keys.extend(named);
        }
        // New keys go where the host's known ones are looked for.
        let sets = |name: &str| settings.iter().any(|setting| setting.is(name));
        let learns = options.host_keys.learn_to.is_some() || sets("stricthostkeychecking");
        if options.host_keys.unknown == UnknownHost::Accept
            && learns
            && (options.host_keys.learn_to.is_none() || sets("userknownhostsfile"))
        {
            options.host_keys.learn_to = options.host_keys.files.first().cloned();
        }
        // Of the two, the one that was set first counts.
        let proxy = settings.iter().find(|setting| setting.is("proxyjump") || setting.is("proxycommand"));
        if let Some(setting) = proxy {
            options.proxy = self.proxy(setting, &tokens, base, local, warnings, depth)?;
        }
        Ok(options)
    }

    fn proxy(
        &self,
        setting: &Setting,
        tokens: &Tokens<'_>,
        base: &ConnectOptions,
        local: &Local,
        warnings: &mut Vec<String>,
        depth: usize,
    ) -> Result<Proxy, Error> {
        let value = setting.rest().to_owned();
        if value.eq_ignore_ascii_case("none") {
            return Ok(Proxy::None);
        }
        if setting.is("proxycommand") {
            return Ok(Proxy::Command(tokens.expand(setting, &value)?));
        }
        // As for ssh, which starts another ssh for it: user and port of this connection are not the jump host's.
        let base = ConnectOptions { user: local.user.clone(), port: 22, ..base.clone() };
        self.jumps(&tokens.expand(setting, &value)?, &base, local, warnings, depth)
    }

    fn jumps(
        &self,
        hosts: &str,
        base: &ConnectOptions,
        local: &Local,
        warnings: &mut Vec<String>,
        depth: usize,
    ) -> Result<Proxy, Error> {
        let mut base = base.clone();
        // A jump host is reached by its own settings, the user name included.
        base.proxy = Proxy::None;
        base.host_key_alias = None;
        base.label = String::new();
        let mut hops = Vec::new();
        for (index, hop) in hosts.split(',').enumerate() {
            let mut hop = self.resolve(&hop.parse()?, &base, local, warnings, depth + 1)?;
            // Only the nearest hop may itself need a way there; the others are reached through it.
            if index > 0 {
                hop.proxy = Proxy::None;
            }
            // Hops of the first hop come before it.
            if let Proxy::Jump(before) = std::mem::take(&mut hop.proxy) {
                hops.extend(before);
            }
            hops.push(hop);
        }
        Ok(Proxy::Jump(hops))
    }

    /// Returns the proxy for a list of jump hosts as `ProxyJump` and `--gateway` take it:
    /// `[user@]host[:port]`, several separated by commas, nearest first.
    ///
    /// # Errors
    ///
    /// [`Error::Input`].
    pub fn jump(
        &self,
        hosts: &str,
        base: &ConnectOptions,
        local: &Local,
    ) -> Result<(Proxy, Vec<String>), Error> {
        let mut warnings = Vec::new();
        let proxy = self.jumps(hosts, base, local, &mut warnings, 0)?;
        Ok((proxy, warnings))
    }
}

/// Carries one setting over.
fn apply(
    options: &mut ConnectOptions,
    setting: &Setting,
    tokens: &Tokens<'_>,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    match setting.name.as_str() {
        "hostname" | "user" | "port" | "proxyjump" | "proxycommand" => {}
        "identityfile" => {
            let value = tokens.expand(setting, setting.value()?)?;
            if !value.eq_ignore_ascii_case("none") {
                // ssh passes over missing ones too; a key that was named deserves a word in the
                // login's report, and no more.
                options.auth.keys.push(KeyFile::named(home(&value, tokens.local)));
            }
        }
        "identitiesonly" => options.auth.identities_only = setting.flag()?,
        "identityagent" => match tokens.expand(setting, setting.value()?)?.as_str() {
            "none" => options.auth.agent = None,
            // What the environment says is what the base was made from.
            "SSH_AUTH_SOCK" => {}
            path if path.starts_with('$') => warnings.push(setting.warning("reads the environment")),
            path => options.auth.agent = Some(home(path, tokens.local)),
        },
        "hostkeyalias" => options.host_key_alias = Some(tokens.expand(setting, setting.value()?)?),
        "userknownhostsfile" => options.host_keys.files = files(setting, tokens)?,
        "globalknownhostsfile" => options.host_keys.global_files = files(setting, tokens)?,
        "stricthostkeychecking" => match setting.value()?.to_ascii_lowercase().as_str() {
            "yes" | "ask" => options.host_keys.unknown = UnknownHost::Refuse,
            "accept-new" => options.host_keys.unknown = UnknownHost::Accept,
            "no" | "off" => {
                options.host_keys.unknown = UnknownHost::Accept;
                warnings.push(setting.warning("accepts new keys here; changed ones are still refused"));
            }
            _ => return Err(setting.error("expected yes, no, ask, accept-new or off")),
        },
        "serveraliveinterval" => {
            let interval = setting.duration()?;
            options.keepalive = (!interval.is_zero())
                .then(|| Keepalive { interval, ..options.keepalive.unwrap_or_default() });
        }
        "serveralivecountmax" => {
            if let Some(keepalive) = &mut options.keepalive {
                keepalive.count_max = setting.number()?;
            }
        }
        "connecttimeout" => options.connect_timeout = setting.duration()?,
        "connectionattempts" => options.attempts = setting.number()?,
        "compression" => options.compression = setting.flag()?,
        "batchmode" => {
            if setting.flag()? {
                options.auth.prompt = None;
            }
        }
        "pubkeyauthentication" => {
            if setting.value()?.eq_ignore_ascii_case("no") {
                options.auth.keys_allowed = false;
            }
        }
        "passwordauthentication" => options.auth.password_allowed = setting.flag()?,
        "kbdinteractiveauthentication" | "challengeresponseauthentication" => {
            options.auth.interactive_allowed = setting.flag()?;
        }
        name if MEANINGLESS.contains(&name) => {}
        _ => warnings.push(setting.warning("is not supported and has no effect")),
    }
    Ok(())
}

/// Options about things that do not happen here: terminals, X11, sharing connections, forwards of the
/// interactive client. Without them nothing is missing, so no warning names them.
const MEANINGLESS: &[&str] = &[
    "addkeystoagent",
    "clearallforwardings",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "escapechar",
    "exitonforwardfailure",
    "fingerprinthash",
    "forwardx11",
    "forwardx11timeout",
    "forwardx11trusted",
    "gssapiauthentication",
    "gssapidelegatecredentials",
    "hashknownhosts",
    "ignoreunknown",
    "ipqos",
    "loglevel",
    "numberofpasswordprompts",
    "permitlocalcommand",
    "requesttty",
    "sendenv",
    "tcpkeepalive",
    "updatehostkeys",
    "visualhostkey",
    "xauthlocation",
];

fn files(setting: &Setting, tokens: &Tokens<'_>) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for value in &setting.values {
        if !value.eq_ignore_ascii_case("none") {
            files.push(home(&tokens.expand(setting, value)?, tokens.local));
        }
    }
    Ok(files)
}

/// Resolves `~`.
fn home(path: &str, local: &Local) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => local.home.join(rest),
        None if path == "~" => local.home.clone(),
        None => Path::new(path).to_owned(),
    }
}

/// What tokens stand for.
struct Tokens<'a> {
    host: &'a str,
    original: &'a str,
    port: u16,
    user: &'a str,
    local: &'a Local,
}

impl<'a> Tokens<'a> {
    fn new(destination: &'a Destination, local: &'a Local) -> Self {
        Self { host: &destination.host, original: &destination.host, port: 22, user: "", local }
    }

    fn expand(&self, setting: &Setting, text: &str) -> Result<String, Error> {
        let mut expanded = String::with_capacity(text.len());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                expanded.push(character);
                continue;
            }
            match characters.next() {
                Some('%') => expanded.push('%'),
                Some('d') => expanded.push_str(&self.local.home.to_string_lossy()),
                Some('h') => expanded.push_str(self.host),
                Some('i') => expanded.push_str(&rustix::process::getuid().as_raw().to_string()),
                Some('n') => expanded.push_str(self.original),
                Some('p') => expanded.push_str(&self.port.to_string()),
                Some('r') => expanded.push_str(self.user),
                Some('u') => expanded.push_str(&self.local.user),
                Some(other) => return Err(setting.error(&format!("token `%{other}` is not supported"))),
                None => return Err(setting.error("a single `%` at the end")),
            }
        }
        Ok(expanded)
    }
}

/// Reads a time as sshd_config(5) has it under "TIME FORMATS": `90`, `1m30s`, `2h`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut number = String::new();
    for character in text.chars() {
        if character.is_ascii_digit() {
            number.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if !number.is_empty() {
        total = total.checked_add(number.parse().ok()?)?;
    } else if text.is_empty() {
        return None;
    }
    Some(Duration::from_secs(total))
}

#[cfg(test)]
mod tests;
