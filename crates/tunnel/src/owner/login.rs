//! The first steps on a new connection: key exchange, host key, login.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::key_files::{beside, is_locked, public_blob, public_key};
use super::link::{Link, Stop};
use crate::error::doing;
use crate::known_hosts::{self, Key, KnownHosts, Verdict};
use crate::options::{Auth, ConnectOptions, Event, KeyFile, Question, QuestionKind, UnknownHost};
use crate::raw::{self, Failure};
use crate::{Error, HostKeyProblem, Secret};

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Refusal {
    Failed(Error),
    /// The server ended the connection after so many keys (`MaxAuthTries`); the rest may be tried on a new
    /// one.
    TooManyKeys(Tried),
    Cancelled,
}

/// What was tried on earlier connections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tried {
    /// So many keys, in the order of [`Login::candidates`].
    keys: usize,
    /// What came of them, and of all else, for messages.
    ways: Vec<String>,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Exchanges keys and checks the host's.
pub(crate) fn handshake(
    link: &mut Link,
    options: &ConnectOptions,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Refusal> {
    let host = options.label().to_owned();
    let deadline = Instant::now() + options.connect_timeout;
    let files = [&options.host_keys.files[..], &options.host_keys.global_files[..]].concat();
    let known = KnownHosts::read(&files)?;
    let name = options.host_key_alias.as_deref().unwrap_or(&options.host);
    // An alias stands for the host whatever its port, as in ssh.
    let port = if options.host_key_alias.is_some() { 22 } else { options.port };
    let known_as = if port == 22 { name.to_owned() } else { format!("[{name}]:{port}") };
    let failed = |stop: Stop, link: &Link| match stop {
        Stop::Cancelled => Refusal::Cancelled,
        Stop::Deadline => Refusal::Failed(Error::Timeout {
            host: host.clone(),
            doing: doing::HANDSHAKE.into(),
            after: options.connect_timeout,
        }),
        Stop::Failed(failure) => Refusal::Failed(Error::Handshake {
            host: host.clone(),
            source: link.epitaph(Some(&failure)).into(),
        }),
    };
    let prefer = |kind, list: &str| {
        // libssh2 drops what it does not know from the list; an empty rest would be an error, and then
        // its own defaults serve.
        let _ = link.session.method_pref(kind, list);
    };
    prefer(ssh2::MethodType::HostKey, &known.algorithms(name, port).join(","));
    let ciphers = ciphers();
    prefer(ssh2::MethodType::CryptCs, ciphers);
    prefer(ssh2::MethodType::CryptSc, ciphers);
    link.session.set_compress(options.compression);
    link.until(deadline, cancelled, |link| Ok(link.session.handshake()?))
        .map_err(|stop| failed(stop, link))?;
    let Some((blob, _)) = link.session.host_key() else {
        let source = "the server showed no host key".into();
        return Err(Refusal::Failed(Error::Handshake { host, source }));
    };
    let key = Key { blob: blob.to_vec() };
    match known.check(name, port, &key) {
        Verdict::Known => Ok(()),
        Verdict::Refused(problem) => {
            Err(Refusal::Failed(Error::HostKey { host, known_as, problem: problem.into() }))
        }
        Verdict::Unknown if options.host_keys.unknown == UnknownHost::Refuse => {
            let problem =
                HostKeyProblem::Unknown { algorithm: key.algorithm(), fingerprint: key.fingerprint() };
            Err(Refusal::Failed(Error::HostKey { host, known_as, problem: problem.into() }))
        }
        Verdict::Unknown => {
            options.events.tell(&Event::NewHostKey {
                host,
                algorithm: key.algorithm(),
                fingerprint: key.fingerprint(),
            });
            if let Some(file) = &options.host_keys.learn_to {
                known_hosts::learn(file, &known_hosts::line(name, port, &key))?;
            }
            Ok(())
        }
    }
}

/// Ciphers in order of preference: AES-GCM where the processor has instructions for it, which is
/// several times faster there than libssh2's ChaCha20.
fn ciphers() -> &'static str {
    const AES_FIRST: &str = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,\
                             aes256-ctr,aes192-ctr,aes128-ctr";
    const CHACHA_FIRST: &str = "chacha20-poly1305@openssh.com,aes128-gcm@openssh.com,aes256-gcm@openssh.com,\
                                aes256-ctr,aes192-ctr,aes128-ctr";
    #[cfg(target_arch = "x86_64")]
    let aes = std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    let aes = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let aes = false;
    if aes { AES_FIRST } else { CHACHA_FIRST }
}

/// Logs in, and returns what let us in.
pub(crate) fn login(
    link: &mut Link,
    options: &ConnectOptions,
    earlier: Tried,
    cancelled: &dyn Fn() -> bool,
) -> Result<String, Refusal> {
    let deadline = Instant::now() + link.paused + options.auth_timeout;
    let mut login = Login {
        link,
        options,
        deadline,
        cancelled,
        skip: earlier.keys,
        tried: earlier,
        offered: String::new(),
        proving: None,
    };
    let result = login.run();
    // To one wrong password too many (`MaxAuthTries`) sshd answers with its goodbye. Taken for a connection that broke,
    // the same password would be given again, by everybody who wants a connection.
    if let Err(Refusal::Failed(Error::Disconnected { source, .. })) = &result
        && let Some(method) = login.proving
        && login.link.has_farewell()
    {
        login.note(format!("{method}: {source}"));
        return Err(login.refused());
    }
    result
}

/// How long an agent may take to list its keys.
const AGENT_LIST: Duration = Duration::from_secs(10);

struct Login<'a> {
    link: &'a mut Link,
    options: &'a ConnectOptions,
    deadline: Instant,
    cancelled: &'a dyn Fn() -> bool,
    /// So many keys were tried before this connection.
    skip: usize,
    tried: Tried,
    /// What the server accepts, as it says itself.
    offered: String,
    /// The method by which a password or an answer was sent, once one was.
    proving: Option<&'static str>,
}

/// No server asks for more proofs than that.
const STEPS: usize = 8;

/// What came of all that the server offers.
enum Step {
    /// Let in by this.
    In(String),
    /// This was accepted, and the server wants another proof besides.
    More(String),
    Refused,
}

/// What came of one attempt.
enum Attempt {
    In,
    /// The proof is good, and the server wants another one besides (RFC 4252 §5.1, "partial success").
    Accepted,
    Refused,
    /// The attempt could not be made; why.
    Unusable(String),
}

/// A key to offer, in the order of [`Login::candidates`].
enum Candidate {
    Agent(ssh2::PublicKey),
    File(KeyFile),
}

impl Login<'_> {
    fn run(&mut self) -> Result<String, Refusal> {
        let Some(offered) = self.methods()? else { return Ok("no proof was asked for".to_owned()) };
        self.offered = offered;
        let mut accepted = Vec::new();
        // A server may want one proof after the other (`AuthenticationMethods`).
        for _ in 0..STEPS {
            match self.step()? {
                Step::In(way) => {
                    accepted.push(way);
                    return Ok(accepted.join(", then "));
                }
                Step::More(way) => {
                    self.note(format!("{way}: accepted, and the server wants more ({})", self.offered));
                    accepted.push(way);
                }
                Step::Refused => break,
            }
        }
        Err(self.refused())
    }

    /// Tries all that the server offers now.
    fn step(&mut self) -> Result<Step, Refusal> {
        let auth = &self.options.auth;
        type Method<'a> = fn(&mut Login<'a>) -> Result<Step, Refusal>;
        let methods: [(&str, bool, Method<'_>); 3] = [
            ("publickey", auth.keys_allowed, Self::keys),
            ("keyboard-interactive", auth.interactive_allowed, Self::interactive),
            ("password", auth.password_allowed, Self::password),
        ];
        for (name, allowed, method) in methods {
            if allowed && self.offers(name) {
                match method(self)? {
                    Step::Refused => {}
                    step => return Ok(step),
                }
            }
        }
        Ok(Step::Refused)
    }

    fn offers(&self, method: &str) -> bool {
        self.offered.split(',').any(|offer| offer == method)
    }

    fn refused(&mut self) -> Refusal {
        let mut tried = std::mem::take(&mut self.tried.ways);
        if tried.is_empty() {
            tried.push("nothing that the server accepts was given".into());
        }
        Refusal::Failed(Error::Login {
            host: self.options.label().to_owned(),
            user: self.options.user.clone(),
            tried,
            offered: std::mem::take(&mut self.offered),
        })
    }

    fn note(&mut self, way: String) {
        // An agent that cannot be reached is the same on each connection.
        if !self.tried.ways.contains(&way) {
            self.tried.ways.push(way);
        }
    }

    fn call<T>(
        &mut self,
        call: impl FnMut(&mut Link) -> Result<T, Failure>,
    ) -> Result<Result<T, Failure>, Refusal> {
        match self.link.until(self.deadline, self.cancelled, call) {
            Ok(value) => Ok(Ok(value)),
            Err(Stop::Failed(failure)) => Ok(Err(failure)),
            Err(Stop::Cancelled) => Err(Refusal::Cancelled),
            Err(Stop::Deadline) => Err(Refusal::Failed(Error::Timeout {
                host: self.options.label().to_owned(),
                doing: doing::LOGIN.into(),
                after: self.options.auth_timeout,
            })),
        }
    }

    /// Sorts a failed attempt: refusals go on to the next, anything else is the end.
    fn attempt(&mut self, call: impl FnMut(&mut Link) -> Result<(), Failure>) -> Result<Attempt, Refusal> {
        match self.call(call)? {
            Ok(()) => Ok(Attempt::In),
            Err(failure) if failure.code == libssh2_sys::LIBSSH2_ERROR_AUTHENTICATION_FAILED => {
                Ok(Attempt::Refused)
            }
            // libssh2 calls it "unverified", too, when the connection ends before the server answers
            // (`userauth_publickey`): only what is known of the connection tells the two apart.
            Err(failure) if self.link.has_ended() || failure.is_of_socket() => {
                Err(Refusal::Failed(Error::Disconnected {
                    host: self.options.label().to_owned(),
                    source: self.link.epitaph(Some(&failure)).into(),
                }))
            }
            // The server wanted this key's signature, and then did not let us in.
            Err(failure) if failure.code == libssh2_sys::LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED => self.doubt(),
            Err(failure) => Ok(Attempt::Unusable(failure.message)),
        }
    }

    /// Sorts an attempt with a password or an answer.
    fn prove(
        &mut self,
        method: &'static str,
        call: impl FnMut(&mut Link) -> Result<(), Failure>,
    ) -> Result<Attempt, Refusal> {
        self.proving = Some(method);
        match self.attempt(call)? {
            // The question costs a try (`MaxAuthTries`) and stands in the server's log as a failure. Where a key could be
            // given instead, one proof is as good as another, and it is not asked.
            Attempt::Refused if !self.offers("publickey") => self.doubt(),
            attempt => Ok(attempt),
        }
    }

    /// Finds out whether what looks like a refusal is one. libssh2 does not tell it from an acceptance after which
    /// another proof is wanted; but then the server offers something else than before.
    fn doubt(&mut self) -> Result<Attempt, Refusal> {
        match self.methods()? {
            None => Ok(Attempt::In),
            Some(now) if now == self.offered => Ok(Attempt::Refused),
            Some(now) => {
                self.offered = now;
                Ok(Attempt::Accepted)
            }
        }
    }

    /// Returns what the server offers, or `None` if it needs nothing.
    fn methods(&mut self) -> Result<Option<String>, Refusal> {
        let user = self.options.user.clone();
        let result = self.call(|link| raw::auth_methods(&link.session, &user))?;
        match result {
            _ if self.link.session.authenticated() => Ok(None),
            Ok(methods) => Ok(Some(methods)),
            Err(failure) => Err(Refusal::Failed(Error::Disconnected {
                host: self.options.label().to_owned(),
                source: self.link.epitaph(Some(&failure)).into(),
            })),
        }
    }

    fn ask(&mut self, kind: QuestionKind, wrong: Option<Secret>) -> Option<Secret> {
        let prompt = self.options.auth.prompt.as_ref()?;
        let question = Question::new(self.options, kind, wrong);
        let before = Instant::now();
        let answer = prompt.ask(&question);
        self.link.paused += before.elapsed();
        answer.filter(|answer| !answer.is_empty())
    }

    /// Offers the keys that were not tried yet.
    fn keys(&mut self) -> Result<Step, Refusal> {
        let mut agent = None;
        let candidates = self.candidates(&mut agent);
        for candidate in candidates.into_iter().skip(self.tried.keys) {
            let attempt = match &candidate {
                Candidate::Agent(key) => self.agent_key(agent.as_ref(), key),
                Candidate::File(file) => self.key_file(file),
            };
            let name = match &candidate {
                Candidate::Agent(key) => format!("key `{}` of the agent", key.comment()),
                Candidate::File(file) => format!("key `{}`", file.path.display()),
            };
            match attempt {
                Ok(Attempt::In) => return Ok(Step::In(name)),
                Ok(Attempt::Accepted) => {
                    self.tried.keys += 1;
                    return Ok(Step::More(name));
                }
                Ok(Attempt::Refused) => self.note(format!("{name}: refused")),
                Ok(Attempt::Unusable(why)) => self.note(format!("{name}: {why}")),
                // Servers count keys and hang up (`MaxAuthTries`). The others get another connection.
                Err(Refusal::Failed(Error::Disconnected { .. })) if self.tried.keys > self.skip => {
                    return Err(Refusal::TooManyKeys(self.tried.clone()));
                }
                // Already after the first: it was not that one, or each connection would try it again.
                Err(Refusal::Failed(Error::Disconnected { source, .. })) if self.link.has_farewell() => {
                    self.note(format!("{name}: {source}"));
                    self.tried.keys += 1;
                    return Err(Refusal::TooManyKeys(self.tried.clone()));
                }
                Err(refusal) => return Err(refusal),
            }
            self.tried.keys += 1;
        }
        Ok(Step::Refused)
    }

    /// Returns the keys to offer: first those that were named, from the agent if it has them, then
    /// the agent's others, then the files that are used if they are there.
    fn candidates(&mut self, agent: &mut Option<ssh2::Agent>) -> Vec<Candidate> {
        let auth: &Auth = &self.options.auth;
        let mut held = Vec::new();
        if let Some(socket) = &auth.agent {
            // A list needs nobody's consent. An agent that is slow with it is stuck.
            let limit = AGENT_LIST.min(self.options.auth_timeout);
            let started = Instant::now();
            raw::agent_deadline(started + limit);
            let opened = open_agent(&self.link.session, socket);
            self.link.paused += started.elapsed();
            match opened {
                Ok((opened, identities)) => {
                    *agent = Some(opened);
                    held = identities;
                }
                Err(_) if raw::agent_is_silent() => self.note(format!(
                    "agent `{}`: no answer within {} s",
                    socket.display(),
                    limit.as_secs_f32()
                )),
                Err(error) => self.note(format!("agent `{}`: {error}", socket.display())),
            }
        }
        let mut candidates = Vec::new();
        let mut optional = Vec::new();
        for file in &auth.keys {
            let blob = public_blob(&file.path);
            let at = held.iter().position(|key| Some(key.blob()) == blob.as_deref());
            let candidate = match at {
                Some(at) => Candidate::Agent(held.remove(at)),
                None => Candidate::File(file.clone()),
            };
            match candidate {
                Candidate::File(file) if file.optional => optional.push(Candidate::File(file)),
                candidate => candidates.push(candidate),
            }
        }
        if !auth.identities_only {
            candidates.extend(held.into_iter().map(Candidate::Agent));
        }
        candidates.extend(optional.into_iter().filter(|candidate| match candidate {
            Candidate::File(file) => file.path.exists(),
            Candidate::Agent(_) => true,
        }));
        candidates
    }

    fn agent_key(&mut self, agent: Option<&ssh2::Agent>, key: &ssh2::PublicKey) -> Result<Attempt, Refusal> {
        let user = self.options.user.clone();
        let Some(agent) = agent else { return Ok(Attempt::Unusable("the agent is gone".into())) };
        // It may have to ask a person, so it is given the time of a whole login, which does not count.
        let limit = self.options.auth_timeout;
        if raw::agent_deadline(Instant::now() + limit) {
            return Ok(Attempt::Unusable("the agent no longer answers".into()));
        }
        let attempt = self.attempt(|link| {
            let started = Instant::now();
            let result = agent.userauth(&user, key);
            link.paused += started.elapsed();
            Ok(result?)
        });
        if raw::agent_is_silent() && !self.link.has_ended() {
            let why = format!("the agent did not answer within {} s", limit.as_secs_f32());
            return Ok(Attempt::Unusable(why));
        }
        attempt
    }

    fn key_file(&mut self, file: &KeyFile) -> Result<Attempt, Refusal> {
        let text = match std::fs::read_to_string(&file.path) {
            Ok(text) => text,
            Err(error) => return Ok(Attempt::Unusable(error.to_string())),
        };
        if public_key(&text).is_some() {
            return Ok(Attempt::Unusable("a public key, and no agent holds its private one".into()));
        }
        let certificate = std::fs::read_to_string(beside(&file.path, "-cert.pub")).ok();
        if !is_locked(&text) {
            return self.key_text(&text, None, certificate.as_deref());
        }
        if let Some(password) = self.options.auth.password.clone() {
            match self.key_text(&text, Some(&password), certificate.as_deref())? {
                Attempt::Unusable(_) => {}
                tried => return Ok(tried),
            }
        }
        let mut wrong = None;
        for _ in 0..3 {
            let kind = QuestionKind::Passphrase(file.path.clone());
            let Some(passphrase) = self.ask(kind, wrong.take()) else { break };
            match self.key_text(&text, Some(&passphrase), certificate.as_deref())? {
                Attempt::Unusable(_) => wrong = Some(passphrase),
                tried => return Ok(tried),
            }
        }
        Ok(Attempt::Unusable("locked, and the passphrase is not known".into()))
    }

    fn key_text(
        &mut self,
        text: &str,
        passphrase: Option<&Secret>,
        certificate: Option<&str>,
    ) -> Result<Attempt, Refusal> {
        let user = self.options.user.clone();
        let passphrase = passphrase.map(|passphrase| passphrase.reveal().to_owned());
        let public = [certificate, None];
        let public = if certificate.is_some() { &public[..] } else { &public[1..] };
        let mut last = Attempt::Refused;
        for public in public {
            last = self.attempt(|link| {
                Ok(link.session.userauth_pubkey_memory(&user, *public, text, passphrase.as_deref())?)
            })?;
            if matches!(last, Attempt::In | Attempt::Accepted) {
                break;
            }
        }
        Ok(last)
    }

    fn interactive(&mut self) -> Result<Step, Refusal> {
        const METHOD: &str = "keyboard-interactive";
        // A wrong password may be given again as often as the server asks; three times as in ssh.
        for round in 0..3 {
            let user = self.options.user.clone();
            let password = self.options.auth.password.clone().filter(|_| round == 0);
            let mut answers =
                Answers { password, options: self.options, waited: Duration::ZERO, unanswered: None };
            let attempt = self.prove(METHOD, |link| {
                let result = link.session.userauth_keyboard_interactive(&user, &mut answers);
                link.paused += std::mem::take(&mut answers.waited);
                Ok(result?)
            });
            match &attempt {
                Ok(Attempt::In) => return Ok(Step::In(METHOD.into())),
                Ok(Attempt::Accepted) => return Ok(Step::More(METHOD.into())),
                _ => {}
            }
            if let Some(question) = answers.unanswered {
                self.note(format!("{METHOD}: nobody answers `{question}`"));
                return attempt.map(|_| Step::Refused);
            }
            if let Attempt::Unusable(why) = attempt? {
                self.note(format!("{METHOD}: {why}"));
                return Ok(Step::Refused);
            }
            if self.options.auth.prompt.is_none() {
                break;
            }
        }
        self.note(format!("{METHOD}: refused"));
        Ok(Step::Refused)
    }

    fn password(&mut self) -> Result<Step, Refusal> {
        const METHOD: &str = "password";
        let user = self.options.user.clone();
        let mut given = self.options.auth.password.clone();
        let mut wrong = None;
        for round in 0..3 {
            let secret = match given.take() {
                Some(secret) => Some(secret),
                None => self.ask(QuestionKind::Password, wrong.take()),
            };
            let Some(secret) = secret else {
                if round == 0 {
                    self.note(format!("{METHOD}: not given, and nobody may be asked"));
                }
                break;
            };
            match self.prove(METHOD, |link| Ok(link.session.userauth_password(&user, secret.reveal())?))? {
                Attempt::In => return Ok(Step::In(METHOD.into())),
                Attempt::Accepted => return Ok(Step::More(METHOD.into())),
                Attempt::Refused => self.note(format!("{METHOD}: refused")),
                Attempt::Unusable(why) => self.note(format!("{METHOD}: {why}")),
            }
            wrong = Some(secret);
        }
        Ok(Step::Refused)
    }
}

/// Answers a server's questions: the password for what must not be shown, a person for the rest.
struct Answers<'a> {
    password: Option<Secret>,
    options: &'a ConnectOptions,
    waited: Duration,
    unanswered: Option<String>,
}

impl ssh2::KeyboardInteractivePrompt for Answers<'_> {
    fn prompt<'a>(&mut self, _: &str, _: &str, prompts: &[ssh2::Prompt<'a>]) -> Vec<String> {
        let mut answers = Vec::new();
        for prompt in prompts {
            let text = prompt.text.trim().to_owned();
            let answer = match self.password.take_if(|_| !prompt.echo) {
                Some(password) => Some(password),
                None => self.options.auth.prompt.as_ref().and_then(|asked| {
                    let before = Instant::now();
                    let kind = QuestionKind::Server { text: text.clone(), echo: prompt.echo };
                    let answer = asked.ask(&Question::new(self.options, kind, None));
                    self.waited += before.elapsed();
                    answer
                }),
            };
            match answer {
                Some(answer) => answers.push(answer.reveal().to_owned()),
                None => {
                    self.unanswered.get_or_insert(text);
                    answers.push(String::new());
                }
            }
        }
        answers
    }
}

fn open_agent(
    session: &ssh2::Session,
    socket: &Path,
) -> Result<(ssh2::Agent, Vec<ssh2::PublicKey>), ssh2::Error> {
    // One that takes no connections would be waited for by the connection.
    if let Err(Errno::AGAIN) = try_connect(socket) {
        return Err(ssh2::Error::new(
            ssh2::ErrorCode::Session(libssh2_sys::LIBSSH2_ERROR_AGENT_PROTOCOL),
            "it takes no more connections",
        ));
    }
    let mut agent = session.agent()?;
    agent.set_identity_path(socket)?;
    agent.connect()?;
    agent.list_identities()?;
    let identities = agent.identities()?;
    Ok((agent, identities))
}

fn try_connect(socket: &Path) -> Result<(), Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&probe, &SocketAddrUnix::new(socket)?)
}
