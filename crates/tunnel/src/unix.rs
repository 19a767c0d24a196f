//! Ways to a Unix socket of the remote host (design §5), tried in order and remembered:
//!
//! ```text
//! direct-streamlocal  ->  socat STDIO UNIX-CONNECT:…  ->  docker system dial-stdio
//! ```
//!
//! `sshd` refuses a streamlocal channel with the same word whatever the cause, so the first refusal is
//! followed by a look around on the host ([`Facts`]), and [`decide`] makes of both either the next way
//! or an error that names the cause and the fix.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::options::Event;
use crate::{Error, Session, Stream, Way, lock, quote};

/// What was found out about the sockets of one connection.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    chosen: Mutex<HashMap<(String, Way), Way>>,
    /// One look around at a time: streams are often opened many at once.
    looking: tokio::sync::Mutex<()>,
}

impl Ways {
    fn get(&self, path: &str, wanted: Way) -> Option<Way> {
        lock(&self.chosen).get(&(path.to_owned(), wanted)).copied()
    }

    fn remember(&self, path: &str, wanted: Way, way: Way) {
        lock(&self.chosen).insert((path.to_owned(), wanted), way);
    }
}

impl Session {
    /// Returns the way that streams to this socket take, once the first one was opened.
    pub fn way_to(&self, path: &str) -> Option<Way> {
        self.ways.get(path, self.options().way)
    }
}

pub(crate) async fn open(session: &Session, path: &str, wanted: Way) -> Result<Stream, Error> {
    if path.is_empty() || path.contains('\0') {
        return Err(Error::Input(format!("missing socket path in `{}`", path.escape_debug())));
    }
    if let Some(way) = session.ways.get(path, wanted) {
        return open_by(session, path, wanted, way).await;
    }
    if matches!(wanted, Way::Auto | Way::Streamlocal) {
        // The usual case costs one round trip and no lock.
        if let Ok(handle) = session.streamlocal(path).await? {
            session.ways.remember(path, wanted, Way::Streamlocal);
            return Ok(Stream::direct(handle));
        }
    }
    let looking = session.ways.looking.lock().await;
    let way = match session.ways.get(path, wanted) {
        // Found out while waiting for the others.
        Some(way) => way,
        None => look_around(session, path, wanted, false).await?,
    };
    drop(looking);
    open_by(session, path, wanted, way).await
}

/// Finds the way for a socket to which streamlocal did not lead.
async fn look_around(session: &Session, path: &str, wanted: Way, worked: bool) -> Result<Way, Error> {
    let facts = gather(session, path, wanted).await?;
    match decide(wanted, worked, path, session.server(), facts.as_ref().map_err(String::as_str)) {
        Decision::Use { way, why } => {
            if wanted == Way::Auto {
                tracing::info!(host = session.host(), path, %way, why, "another way to the socket");
                session.options().events.tell(&Event::Fallback {
                    host: session.host().to_owned(),
                    path: path.to_owned(),
                    way,
                    why,
                });
            }
            session.ways.remember(path, wanted, way);
            Ok(way)
        }
        Decision::Fail { why, fix } => {
            Err(Error::Socket { host: session.host().to_owned(), path: path.to_owned(), why, fix: Some(fix) })
        }
    }
}

async fn open_by(session: &Session, path: &str, wanted: Way, way: Way) -> Result<Stream, Error> {
    let command = match way {
        Way::Auto | Way::Streamlocal => {
            return match session.streamlocal(path).await? {
                Ok(handle) => Ok(Stream::direct(handle)),
                // It worked before, so it is not forbidden: the look around finds what changed.
                Err(_) => match look_around(session, path, wanted, true).await {
                    Err(error) => Err(error),
                    Ok(_) => Err(Error::Socket {
                        host: session.host().to_owned(),
                        path: path.to_owned(),
                        why: "the connection was refused just now".into(),
                        fix: Some("run the command again; see whether the engine was restarted".into()),
                    }),
                },
            };
        }
        Way::Socat => socat_command(path),
        Way::DialStdio => dial_command(path),
    };
    let host = session.host();
    session.options().events.tell(&Event::StreamCommand { host: host.to_owned(), command: command.clone() });
    let handle = session.exec_handle(&command, &command, None, false).await?;
    Ok(Stream::carried(handle, host, path, way))
}

fn socat_command(path: &str) -> String {
    quote::command(["socat", "STDIO", &format!("UNIX-CONNECT:{}", quote::socat(path))])
}

fn dial_command(path: &str) -> String {
    quote::command(["docker", "-H", &format!("unix://{path}"), "system", "dial-stdio"])
}

/// What a look around on the host found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Facts {
    user: String,
    groups: Vec<String>,
    /// `socket`, `other` or `none`.
    kind: String,
    access: bool,
    mode: String,
    owner: String,
    group: String,
    socat: bool,
    docker: bool,
    /// Words of a failed connection, empty when it worked or could not be tried.
    connect: String,
}

/// Looks around. Only `sh` and what POSIX gives is needed; `$1` is the path, `$2` the socat address and
/// `$3` the only way that is of interest, if there is one.
const LOOK: &str = r#"
echo "user $(id -un 2>/dev/null || id -u)"
echo "groups $(id -Gn 2>/dev/null)"
if [ -S "$1" ]; then echo "kind socket"; elif [ -e "$1" ]; then echo "kind other"; else echo "kind none"; fi
if [ -r "$1" ] && [ -w "$1" ]; then access=yes; else access=no; fi
echo "access $access"
set -- "$1" "$2" "$3" $(ls -ldL "$1" 2>/dev/null)
echo "mode $4"; echo "owner $6"; echo "group $7"
socat=no; docker=no
if command -v socat >/dev/null 2>&1; then socat=yes; fi
if command -v docker >/dev/null 2>&1; then docker=yes; fi
echo "socat $socat"; echo "docker $docker"
if [ $access = yes ]; then
  if [ $socat = yes ] && [ "$3" != dial-stdio ]; then
    words=$(socat -u OPEN:/dev/null "$2" 2>&1 >/dev/null </dev/null) || echo "connect" $words
  elif [ $docker = yes ] && [ "$3" != socat ]; then
    words=$(docker -H "unix://$1" system dial-stdio 2>&1 >/dev/null </dev/null) || echo "connect" $words
  fi
fi
"#;

async fn gather(session: &Session, path: &str, wanted: Way) -> Result<Result<Facts, String>, Error> {
    let address = format!("UNIX-CONNECT:{}", quote::socat(path));
    let command = quote::command(["sh", "-c", LOOK, "sh", path, &address, wanted.as_str()]);
    let limit = session.options().open_timeout;
    let look = async {
        let process = session.exec_with(&command, "look around", None).await?;
        process.finish().await
    };
    match tokio::time::timeout(limit, look).await {
        Ok(Ok(finished)) if finished.exit.is_success() || !finished.stdout.is_empty() => {
            let facts = Facts::read(&String::from_utf8_lossy(&finished.stdout));
            Ok(facts.completed(&session.options().user).ok_or_else(|| MUTE.to_owned()))
        }
        Ok(Ok(finished)) => {
            let words = crate::process::tail(&String::from_utf8_lossy(&finished.stderr));
            Ok(Err(format!("commands cannot be run there ({}): {words}", finished.exit)))
        }
        Ok(Err(Error::Exec { why, .. })) => Ok(Err(format!("commands cannot be run there: {why}"))),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::Timeout {
            host: session.host().to_owned(),
            doing: format!("finding a way to socket `{path}`"),
            after: limit,
        }),
    }
}

/// A login shell such as `nologin` or a forced command runs nothing of ours, and may still call it a success.
const MUTE: &str = "the login shell there does not run commands";

impl Facts {
    /// Returns the facts with the login name where the host's own word is missing, or nothing when the
    /// look around itself did not run.
    fn completed(mut self, login: &str) -> Option<Self> {
        if self.user.is_empty() {
            self.user = login.to_owned();
        }
        (!self.kind.is_empty()).then_some(self)
    }

    fn read(text: &str) -> Self {
        let mut facts = Self::default();
        for line in text.lines() {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            let value = value.trim();
            match name {
                "user" => facts.user = value.to_owned(),
                "groups" => facts.groups = value.split_whitespace().map(str::to_owned).collect(),
                "kind" => facts.kind = value.to_owned(),
                "access" => facts.access = value == "yes",
                "mode" => facts.mode = value.to_owned(),
                "owner" => facts.owner = value.to_owned(),
                "group" => facts.group = value.to_owned(),
                "socat" => facts.socat = value == "yes",
                "docker" => facts.docker = value == "yes",
                "connect" => {
                    facts.connect = if value.is_empty() { "it failed".into() } else { value.to_owned() }
                }
                // Greetings of login shells.
                _ => {}
            }
        }
        facts
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Decision {
    Use { way: Way, why: String },
    Fail { why: String, fix: String },
}

/// Says that a server does not forward to Unix sockets, and what to do about it. Only OpenSSH's has settings for that.
fn forbidden(server: &str) -> (String, String) {
    let name = server.strip_prefix("SSH-2.0-").unwrap_or(server);
    if name.starts_with("OpenSSH") {
        return (
            "the server does not forward to Unix sockets (AllowStreamLocalForwarding or DisableForwarding in \
             sshd_config)"
                .into(),
            "set `AllowStreamLocalForwarding yes` in the host's sshd_config and reload sshd, or install socat there"
                .into(),
        );
    }
    (format!("the server ({name}) does not forward to Unix sockets"), "install socat there".into())
}

/// Makes a way or an explanation of what was found. `worked`: streamlocal worked before on this
/// connection.
fn decide(wanted: Way, worked: bool, path: &str, server: &str, facts: Result<&Facts, &str>) -> Decision {
    let fail = |why: String, fix: String| Decision::Fail { why, fix };
    let (forbidden, allow) = forbidden(server);
    let facts = match facts {
        Ok(facts) => facts,
        // Without a look around nobody knows whether the user or the server is to blame.
        Err(why) => {
            return fail(
                format!("the server refuses the stream, and {why}"),
                format!(
                    "check there that the user may use the socket (`ls -l {}`, group `docker`), and that the login \
                     shell runs commands; {allow}",
                    quote::shell(path)
                ),
            );
        }
    };
    match facts.kind.as_str() {
        "none" => {
            return fail(
                format!("there is no such socket, or user `{}` may not see it", facts.user),
                "check that the engine is installed and running there (`systemctl status docker`), and the path \
                 in docker_base_url"
                    .into(),
            );
        }
        "other" => {
            return fail("it is not a socket".into(), "check the path in docker_base_url".into());
        }
        _ => {}
    }
    if !facts.access && facts.group.is_empty() {
        return fail(
            format!("permission denied: user `{}` may not use it", facts.user),
            format!("see there who owns it (`ls -l {}`), and add the user to that group", quote::shell(path)),
        );
    }
    if !facts.access {
        let listed = facts.groups.contains(&facts.group);
        let why = if listed {
            format!(
                "permission denied: user `{}` is in group `{}`, but the socket is {}",
                facts.user, facts.group, facts.mode
            )
        } else {
            format!(
                "permission denied: user `{}` is not in group `{}`, which owns {path}",
                facts.user, facts.group
            )
        };
        let fix = if listed {
            format!("make the socket writable for its group there: `chmod g+rw {}`", quote::shell(path))
        } else {
            format!(
                "add the user to the group there (`usermod -aG {} {}`) and log in again",
                facts.group, facts.user
            )
        };
        return fail(why, fix);
    }
    if !facts.connect.is_empty() {
        return fail(
            format!("nothing answers on the socket: {}", facts.connect),
            "check that the engine is running there (`systemctl status docker`)".into(),
        );
    }
    let no_socat = "socat was not found".to_owned();
    match wanted {
        Way::Streamlocal => fail(format!("{forbidden}, and no other way is wanted"), allow),
        Way::Socat if facts.socat => Decision::Use { way: Way::Socat, why: "wanted".into() },
        Way::Socat => fail(no_socat, "install it or use the CLI client".into()),
        Way::DialStdio if facts.docker => Decision::Use { way: Way::DialStdio, why: "wanted".into() },
        Way::DialStdio => {
            fail("the docker command was not found".into(), "install it there, or choose another way".into())
        }
        Way::Auto if worked => Decision::Use { way: Way::Streamlocal, why: "it worked before".into() },
        Way::Auto if facts.socat => Decision::Use { way: Way::Socat, why: forbidden },
        Way::Auto if facts.docker => {
            Decision::Use { way: Way::DialStdio, why: format!("{forbidden}, and {no_socat}") }
        }
        Way::Auto => fail(format!("{forbidden}, and neither socat nor the docker command was found"), allow),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Welcome!\nuser deploy\ngroups deploy docker\nkind socket\naccess yes\n\
                        mode srw-rw----\nowner root\ngroup docker\nsocat yes\ndocker yes\n";

    const OPENSSH: &str = "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u10";

    #[test]
    fn the_ladder_goes_down_by_what_was_found() {
        let no_socat = GOOD.replace("socat yes", "socat no");
        let nothing = no_socat.replace("docker yes", "docker no");
        let outside =
            GOOD.replace("access yes", "access no").replace("groups deploy docker", "groups deploy");
        let unlisted = GOOD.replace("access yes\nmode srw-rw----\nowner root\ngroup docker", "access no");
        let unwritable = GOOD.replace("access yes", "access no");
        let missing = GOOD.replace("kind socket", "kind none");
        let file = GOOD.replace("kind socket", "kind other");
        let dead = format!("{GOOD}connect 2026/11/21 socat[7] E connect: Connection refused\n");
        let cases = [
            (Way::Auto, GOOD, "use socat"),
            (Way::Auto, &no_socat, "use dial-stdio"),
            (Way::Auto, &nothing, "fail: AllowStreamLocalForwarding"),
            (Way::Auto, &outside, "fail: user `deploy` is not in group `docker`, which owns /s"),
            (Way::Auto, &unlisted, "fail: permission denied: user `deploy` may not use it"),
            (Way::Auto, &unwritable, "fail: but the socket is srw-rw----"),
            (Way::Auto, &missing, "fail: no such socket"),
            (Way::Auto, &file, "fail: not a socket"),
            (Way::Auto, &dead, "fail: Connection refused"),
            (Way::Streamlocal, GOOD, "fail: no other way is wanted"),
            (Way::Socat, GOOD, "use socat"),
            (Way::Socat, &no_socat, "fail: socat was not found"),
            (Way::DialStdio, GOOD, "use dial-stdio"),
            (Way::DialStdio, &nothing, "fail: docker command was not found"),
        ];
        for (wanted, text, expected) in cases {
            let found = match decide(wanted, false, "/s", OPENSSH, Ok(&Facts::read(text))) {
                Decision::Use { way, .. } => format!("use {way}"),
                Decision::Fail { why, fix } => {
                    assert!(!fix.is_empty());
                    format!("fail: {why}")
                }
            };
            match expected.strip_prefix("fail: ") {
                Some(part) => assert!(found.contains(part), "{found} should say {part}"),
                None => assert_eq!(found, expected),
            }
        }
    }

    #[test]
    fn settings_of_sshd_are_named_only_where_it_is_sshd() {
        let nothing = GOOD.replace("socat yes", "socat no").replace("docker yes", "docker no");
        for (server, named) in [(OPENSSH, true), ("SSH-2.0-dropbear_2022.83", false)] {
            let decision = decide(Way::Auto, false, "/s", server, Ok(&Facts::read(&nothing)));
            let Decision::Fail { why, fix } = decision else { panic!("{decision:?}") };
            assert_eq!(why.contains("sshd_config") && fix.contains("sshd_config"), named, "{why}; {fix}");
            assert!(fix.contains("install socat"), "{fix}");
        }
    }

    #[test]
    fn a_way_that_worked_is_not_forbidden() {
        let decision = decide(Way::Auto, true, "/s", OPENSSH, Ok(&Facts::read(GOOD)));
        assert!(matches!(decision, Decision::Use { way: Way::Streamlocal, .. }));
    }

    #[test]
    fn without_commands_the_server_is_to_blame() {
        let Decision::Fail { why, .. } =
            decide(Way::Auto, false, "/s", OPENSSH, Err("commands cannot be run there"))
        else {
            panic!("there is nothing to go on with");
        };
        assert_eq!(why, "the server refuses the stream, and commands cannot be run there");
    }

    #[test]
    fn a_login_shell_that_says_nothing_makes_no_facts() {
        let facts = |text: &str| Facts::read(text).completed("web");
        assert_eq!(facts(""), None);
        assert_eq!(facts("This account is currently not available.\n"), None);
        let nameless = facts(&GOOD.replace("user deploy", "user ")).map(|facts| facts.user);
        assert_eq!(nameless.as_deref(), Some("web"));
        assert_eq!(facts(GOOD).map(|facts| facts.user).as_deref(), Some("deploy"));
    }

    #[test]
    fn paths_are_quoted_for_socat_and_for_the_shell() {
        assert_eq!(socat_command("/var/run/docker.sock"), "socat STDIO UNIX-CONNECT:/var/run/docker.sock");
        assert_eq!(socat_command("/a b,c"), r"socat STDIO 'UNIX-CONNECT:/a b\,c'");
        assert_eq!(dial_command("/a b"), "docker -H 'unix:///a b' system dial-stdio");
    }

    /// The script itself, run by the local shell.
    #[test]
    fn the_look_around_reads_a_real_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s ock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let look = |path: &str| {
            let address = format!("UNIX-CONNECT:{}", quote::socat(path));
            let output = std::process::Command::new("sh")
                .args(["-c", LOOK, "sh", path, &address, "streamlocal"])
                .output()
                .unwrap();
            Facts::read(&String::from_utf8_lossy(&output.stdout))
        };
        let facts = look(path.to_str().unwrap());
        assert_eq!((facts.kind.as_str(), facts.access), ("socket", true));
        assert!(
            facts.mode.starts_with('s') && !facts.user.is_empty() && !facts.group.is_empty(),
            "{facts:?}"
        );
        assert_eq!(look("/does/not/exist").kind, "none");
        assert_eq!(look("/etc").kind, "other");
    }
}
