//! Remote commands as callers mean them: words or a shell line, in a directory, with an environment,
//! under sudo, with a terminal, within a time.

use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::options::{Question, QuestionKind};
use crate::process::{Finished, Process, tail};
use crate::{Error, Pty, Secret, Session, lock, quote};

/// A command for a remote host. Values are quoted; nothing of it needs to be.
///
/// Environment values stand on the remote command line, which other users of the host can see. Give
/// secrets by standard input.
#[derive(Debug, Clone)]
pub struct Command {
    line: String,
    name: Option<String>,
    shell: Option<String>,
    dir: Option<String>,
    env: Vec<(String, String)>,
    sudo: Option<Sudo>,
    pty: Option<Pty>,
    timeout: Option<Duration>,
}

/// As whom a command runs.
#[derive(Debug, Clone, Default)]
pub struct Sudo {
    /// Target user; `None` is root.
    pub user: Option<String>,
    /// Target group; `None` is the user's own.
    pub group: Option<String>,
    /// The password to answer with; `None` takes that of the login, else asks.
    pub password: Option<Secret>,
}

/// What sudo asks with, so that its question is found in what it writes.
const ASK: &str = "sudo password:";

impl Command {
    /// A program with its arguments.
    pub fn new<I, W>(words: I) -> Self
    where
        I: IntoIterator<Item = W>,
        W: AsRef<str>,
    {
        Self::line(quote::command(words))
    }

    /// A line for a shell, with its variables, pipes and wildcards.
    pub fn line(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            name: None,
            shell: None,
            dir: None,
            env: Vec::new(),
            sudo: None,
            pty: None,
            timeout: None,
        }
    }

    /// Gives the command another name for messages, for example for a long script.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Has `shell` run the line, for example `/bin/bash -l -c`. Without one the login shell of the
    /// remote user does.
    #[must_use]
    pub fn shell(mut self, shell: impl Into<String>) -> Self {
        self.shell = Some(shell.into());
        self
    }

    /// Changes to a directory first.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<String>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs the command as another user.
    #[must_use]
    pub fn sudo(mut self, sudo: Sudo) -> Self {
        self.sudo = Some(sudo);
        self
    }

    /// Gives the command a terminal. Standard error then arrives with standard output, lines end with
    /// `\r\n`, and the end of the connection hangs the command up.
    #[must_use]
    pub fn pty(mut self, pty: Pty) -> Self {
        self.pty = Some(pty);
        self
    }

    /// Ends the command after this time, not counting what a person takes to answer sudo; only for
    /// [`Session::output`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Returns the command for messages: its name, or what was asked for without wrapping.
    pub fn shown(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.line)
    }

    /// Returns the full line as it is sent.
    ///
    /// # Errors
    ///
    /// [`Error::Input`] for an environment variable that is no name.
    pub fn full(&self) -> Result<String, Error> {
        let line = self.wrapped()?;
        // Commands tell their process group, so that they can be ended. Under sudo, what follows runs
        // as the target user: it says so, and from there on standard input is its.
        // The word stands there in two parts: sudo shows the command that it refuses.
        let (head, rest) = READY.split_at(5);
        let ready = format!("echo {head}\"\"{rest}");
        let begin = format!("{GROUP}{ready} $group >&2; exec $own");
        match &self.sudo {
            None if self.shell.is_some() || self.is_wrapped() => {
                Ok(format!("sh -c {}", quote::shell(&format!("{begin} {line}"))))
            }
            None => {
                let inner = format!(r#"{begin} "${{SHELL:-/bin/sh}}" -c {}"#, quote::shell(&line));
                Ok(format!("sh -c {}", quote::shell(&inner)))
            }
            Some(sudo) => {
                let mut words = vec!["sudo", "-S", "-p", ASK];
                for (flag, value) in [("-u", &sudo.user), ("-g", &sudo.group)] {
                    if let Some(value) = value {
                        words.extend([flag, value]);
                    }
                }
                // The processes of another user are not ours to end.
                let inner = quote::shell(&format!("{ready} >&2; exec {line}")).into_owned();
                Ok(format!("{} -- sh -c {inner}", quote::command(words)))
            }
        }
    }

    fn is_wrapped(&self) -> bool {
        !self.env.is_empty() || self.dir.is_some()
    }

    /// Returns directory, environment and line, in the shell that is wanted or needed for them.
    fn wrapped(&self) -> Result<String, Error> {
        let mut line = String::new();
        if let Some(dir) = &self.dir {
            // The target may not be one of `cd`'s options, and `CDPATH` must not speak.
            line.push_str(&format!("cd -- {} >/dev/null && ", quote::shell(dir)));
        }
        for (name, value) in &self.env {
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            if name.is_empty() || !name.bytes().all(good) || name.as_bytes()[0].is_ascii_digit() {
                return Err(Error::Input(format!("`{name}` is no name for an environment variable")));
            }
            line.push_str(&format!("export {name}={}; ", quote::shell(value)));
        }
        line.push_str(&self.line);
        let shell = match (&self.shell, &self.sudo) {
            (Some(shell), _) => Some(shell.as_str()),
            // Login shells read plain lines; sudo needs a program.
            (None, Some(_)) => Some("sh -c"),
            // `export` and `&&` are not for every login shell.
            (None, None) => self.is_wrapped().then_some("sh -c"),
        };
        Ok(match shell {
            Some(shell) => format!("{shell} {}", quote::shell(&line)),
            None => line,
        })
    }
}

/// Written by a command when it has begun, with its process group; taken out of its output.
const READY: &str = "dfab-ready-9f3a61c7";

/// Has a shell find its process group, as `$group`, and what gives it one, as `$own`, with what it has
/// built in.
///
/// OpenSSH makes each command the leader of a group. Dropbear leaves all commands of a connection in one, its
/// own, and a signal to that would end them all; so the command gets one by `setsid`, which keeps the
/// process number of what is no leader. A command with a terminal has its own in either case, and would lose
/// the terminal. In `/proc/PID/stat` the group is the third field after the name, which ends with the last
/// `)`. Where there is no `/proc`, or no `setsid`, the group stays unknown. It is asked for at the start: later
/// the leader may be gone and leave processes of its group behind.
const GROUP: &str = r#"own=; stat=; read -r stat 2>/dev/null </proc/$$/stat; set -- ${stat##*) }; group=$3; if [ "$3" != $$ ] && [ ! -t 0 ]; then if command -v setsid >/dev/null 2>&1; then own=setsid group=$$; else group=; fi; fi; "#;

impl Session {
    /// Starts a command. Under sudo it returns when sudo has let it begin: the password was asked for
    /// and answered, or was not needed.
    ///
    /// # Errors
    ///
    /// As for [`Session::exec`]; [`Error::Prompt`] when sudo wants a password that nobody gives;
    /// [`Error::Sudo`] when it does not take the one that was given, and nobody can be asked for another;
    /// [`Error::Command`] when sudo refuses; [`Error::Timeout`] when nothing is heard for as long as a login may take.
    /// The time that a person takes to answer does not count.
    pub async fn start(&self, command: &Command) -> Result<Process, Error> {
        self.start_beside(command, &Pause::default()).await
    }

    async fn start_beside(&self, command: &Command, pause: &Pause) -> Result<Process, Error> {
        let full = command.full()?;
        let process = self.exec_with(&full, command.shown(), command.pty.clone()).await?;
        let limit = self.options().auth_timeout;
        let begun = self.begin(process, command.sudo.as_ref(), command.pty.is_some(), pause);
        pause.within(limit, begun).await.unwrap_or_else(|| {
            Err(Error::Timeout {
                host: self.host().to_owned(),
                doing: format!("waiting for `{}` to begin", command.shown()),
                after: limit,
            })
        })
    }

    /// Runs a command to its end, within its time, and collects what it wrote. A failing command is no
    /// error here; see [`Finished::exit`].
    ///
    /// # Errors
    ///
    /// As for [`Session::start`]; [`Error::Timeout`] when the time is up, after the command was ended.
    pub async fn output(&self, command: &Command) -> Result<Finished, Error> {
        let pause = Pause::default();
        let run = async { self.start_beside(command, &pause).await?.finish().await };
        match command.timeout {
            None => run.await,
            // Dropping the process ends the remote command (`TERM`, then its channel is closed).
            Some(limit) => pause.within(limit, run).await.unwrap_or_else(|| {
                Err(Error::Timeout {
                    host: self.host().to_owned(),
                    doing: format!("running `{}`", command.shown()),
                    after: limit,
                })
            }),
        }
    }

    /// Waits until the command has begun, and answers sudo before.
    async fn begin(
        &self,
        mut process: Process,
        sudo: Option<&Sudo>,
        pty: bool,
        pause: &Pause,
    ) -> Result<Process, Error> {
        let options = self.options();
        let mut given = sudo.and_then(|sudo| sudo.password.clone()).or_else(|| options.auth.password.clone());
        let mut wrong = None;
        let mut heard = Vec::new();
        let mut block = [0; 1024];
        loop {
            let output = if pty { &mut process.stdout } else { &mut process.stderr };
            let Some(output) = output else { return Ok(process) };
            if let Some(at) = find(&heard, READY.as_bytes())
                && let Some(end) = find(&heard[at..], b"\n")
            {
                let words = String::from_utf8_lossy(&heard[at..at + end]).into_owned();
                let group = words.split_ascii_whitespace().nth(1).and_then(|group| group.parse().ok());
                // What was heard besides is the command's, or sudo's lecture: it is not lost.
                heard.drain(at..=at + end);
                output.put_back(&heard);
                if let Some(group) = group {
                    process.set_group(group);
                }
                return Ok(process);
            }
            if sudo.is_some()
                && let Some(at) = find(&heard, ASK.as_bytes())
            {
                heard.drain(at..at + ASK.len());
                let refused = wrong.is_some();
                let password = match given.take() {
                    Some(password) => Some(password),
                    None => pause.during(self.ask_sudo(wrong.take())).await,
                };
                let Some(password) = password else {
                    let (host, user) = (self.host().to_owned(), options.user.clone());
                    if refused {
                        return Err(Error::Sudo { host, user });
                    }
                    return Err(Error::Prompt { host, what: format!("the sudo password of `{user}`") });
                };
                let Some(stdin) = &mut process.stdin else { return Ok(process) };
                let line = Secret::new(format!("{}\n", password.reveal()));
                stdin
                    .write_all(line.reveal().as_bytes())
                    .await
                    .map_err(|error| Error::from_io(self.host(), error))?;
                // It asks again only for another one.
                wrong = Some(password);
                continue;
            }
            let length = output.read(&mut block).await.map_err(|error| Error::from_io(self.host(), error))?;
            if length == 0 && sudo.is_none() {
                output.put_back(&heard);
                return Ok(process);
            }
            if length == 0 {
                let command = process.command().to_owned();
                let finished = process.finish().await?;
                let stderr = tail(&String::from_utf8_lossy(&heard));
                return Err(Error::Command {
                    host: self.host().to_owned(),
                    command,
                    exit: finished.exit,
                    stderr,
                });
            }
            heard.extend_from_slice(&block[..length]);
        }
    }

    async fn ask_sudo(&self, wrong: Option<Secret>) -> Option<Secret> {
        let options = self.options();
        let prompt = options.auth.prompt.clone()?;
        let question = Question::new(options, QuestionKind::SudoPassword, wrong);
        // A person takes their time, and this may be the runtime's only thread.
        let answer = tokio::task::spawn_blocking(move || prompt.ask(&question)).await;
        answer.ok().flatten().filter(|answer| !answer.is_empty())
    }
}

/// Time that limits do not count: a person takes it to answer, or waits for another question to be answered.
#[derive(Debug, Default)]
struct Pause(Mutex<Paused>);

#[derive(Debug, Default, Clone, Copy)]
struct Paused {
    /// Of pauses that have ended.
    total: Duration,
    /// The beginning of one that has not.
    since: Option<Instant>,
}

impl Pause {
    async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        lock(&self.0).since = Some(Instant::now());
        let done = work.await;
        let mut paused = lock(&self.0);
        let took = paused.since.take().map_or(Duration::ZERO, |since| since.elapsed());
        paused.total += took;
        done
    }

    /// Returns what comes of the work, or `None` when the time is up first.
    async fn within<T>(&self, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
        let begun = Instant::now();
        let mut work = pin!(work);
        loop {
            let left = self.left(limit, begun);
            if let Ok(done) = tokio::time::timeout(left, &mut work).await {
                return Some(done);
            }
            if self.left(limit, begun).is_zero() {
                return None;
            }
        }
    }

    /// What is left of a limit; during a pause a moment at least, after which to look again.
    fn left(&self, limit: Duration, begun: Instant) -> Duration {
        const MOMENT: Duration = Duration::from_millis(100);
        let Paused { total, since } = *lock(&self.0);
        let running = since.map_or(Duration::ZERO, |since| since.elapsed());
        let left = (limit + total + running).saturating_sub(begun.elapsed());
        if since.is_some() { left.max(MOMENT) } else { left }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_only_as_far_as_needed() {
        let cases = [
            (Command::new(["ls", "a b"]), "ls 'a b'"),
            (Command::line("ls *").dir("/a b"), r#"sh -c 'cd -- '\''/a b'\'' >/dev/null && ls *'"#),
            (Command::line("id").env("A", "x y"), r#"sh -c 'export A='\''x y'\''; id'"#),
            (Command::line("echo $HOME").shell("/bin/bash -l -c"), "/bin/bash -l -c 'echo $HOME'"),
        ];
        for (command, expected) in cases {
            assert_eq!(command.wrapped().unwrap(), expected);
            let full = command.full().unwrap();
            assert!(full.starts_with("sh -c 'own=; stat=; read -r stat "), "{full}");
            assert!(full.contains(r#"echo dfab-""ready-9f3a61c7 $group >&2; exec $own "#), "{full}");
        }
        assert!(Command::line("x").env("A B", "").full().is_err());
        assert!(Command::line("x").env("1A", "").full().is_err());
    }

    #[test]
    fn sudo_names_user_and_group_and_no_password() {
        let sudo =
            Sudo { user: Some("web".into()), group: Some("www".into()), password: Some("hunter2".into()) };
        let full = Command::new(["id"]).sudo(sudo).full().unwrap();
        assert!(full.starts_with("sudo -S -p 'sudo password:' -u web -g www -- sh -c "), "{full}");
        assert!(!full.contains(READY), "what sudo refuses would be taken for begun: {full}");
        assert!(!full.contains("hunter2"));
    }

    #[test]
    fn wrapped_lines_mean_the_same_to_a_shell() {
        let command = Command::line(r#"printf '%s|' "$A" "$PWD" 'it'"'"'s'"#).dir("/").env("A", "x 'y' $z");
        let child = std::process::Command::new("sh")
            .args(["-c", &command.full().unwrap()])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "x 'y' $z|/|it's|");
        let ready = String::from_utf8_lossy(&output.stderr).into_owned();
        let group: Option<i32> = ready.trim().strip_prefix(READY).and_then(|text| text.trim().parse().ok());
        // This test's own group, as it would be dropbear's, is not the command's to be ended.
        let ours = rustix::process::getpgrp().as_raw_nonzero().get();
        assert!(group.is_some_and(|group| group != ours), "{ready}");
    }
}
