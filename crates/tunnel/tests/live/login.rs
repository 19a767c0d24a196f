//! Proving who we are, and checking who they are.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dfab_tunnel::options::{KeyFile, Question, QuestionKind, UnknownHost};
use dfab_tunnel::{ConnectOptions, Error, HostKeyProblem, Login, Secret, Session, Sessions};

use crate::sshd::{PATIENCE, Sshd, User, enabled, free_port, keygen, until};

pub async fn works(options: ConnectOptions) {
    let session = Session::connect(options).await.unwrap();
    assert_eq!(session.exec("echo hello").await.unwrap().success().await.unwrap().text(), "hello");
    session.close().await.unwrap();
}

fn authorize(sshd: &Sshd, key: &str) {
    let line = std::fs::read_to_string(sshd.path(&format!("{key}.pub"))).unwrap();
    let file = sshd.path("authorized_keys");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(file, text + &line).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_all_kinds_log_in() {
    if !enabled("keys_of_all_kinds_log_in") {
        return;
    }
    let sshd = Sshd::start("");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(&sshd.path(kind), kind, "");
        authorize(&sshd, kind);
        let mut options = sshd.options();
        options.auth.keys = vec![KeyFile::named(sshd.path(kind))];
        works(options).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_key_asks_for_its_passphrase() {
    if !enabled("a_locked_key_asks_for_its_passphrase") {
        return;
    }
    let sshd = Sshd::start("");
    keygen(&sshd.path("locked"), "ed25519", "open sesame");
    authorize(&sshd, "locked");
    let asked = Arc::new(AtomicUsize::new(0));
    let mut options = sshd.options();
    options.auth.keys = vec![KeyFile::named(sshd.path("locked"))];
    // Nobody to ask: refused, and the report says why.
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("locked, and the passphrase is not known"), "{error}");
    let (counter, path) = (Arc::clone(&asked), sshd.path("locked"));
    options.auth.prompt = Some(Arc::new(move |question: &Question| {
        assert_eq!(question.kind, QuestionKind::Passphrase(path.clone()));
        // Wrong at first; a person may mistype.
        let first = counter.fetch_add(1, Ordering::Relaxed) == 0;
        assert_eq!(question.wrong, (!first).then(|| Secret::new("wrong")));
        Some(Secret::new(if first { "wrong" } else { "open sesame" }))
    }));
    works(options.clone()).await;
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    options.auth.prompt = None;
    options.auth.password = Some("open sesame".into());
    works(options).await;
}

struct Agent {
    socket: std::path::PathBuf,
    child: std::process::Child,
}

impl Agent {
    fn start(sshd: &Sshd, keys: &[String]) -> Self {
        let socket = sshd.path("agent");
        let child =
            Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        for key in keys {
            let added = Command::new("ssh-add")
                .env("SSH_AUTH_SOCK", &socket)
                .arg(sshd.path(key))
                .stderr(Stdio::null())
                .status();
            assert!(added.unwrap().success());
        }
        Self { socket, child }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_identities_of_an_agent_are_tried_whatever_the_server_allows_at_once() {
    if !enabled("all_identities_of_an_agent_are_tried") {
        return;
    }
    let sshd = Sshd::start("MaxAuthTries 3");
    let keys: Vec<String> = (0..9).map(|n| format!("id{n}")).collect();
    for key in &keys {
        keygen(&sshd.path(key), "ed25519", "");
    }
    authorize(&sshd, "id8");
    let agent = Agent::start(&sshd, &keys);
    let mut options = sshd.options();
    options.auth.keys = Vec::new();
    options.auth.agent = Some(agent.socket.clone());
    works(options.clone()).await;
    // A key that was named comes first, from the agent, and is enough.
    options.auth.keys = vec![KeyFile::named(sshd.path("id8"))];
    options.auth.identities_only = true;
    std::fs::remove_file(sshd.path("id8")).unwrap();
    works(options.clone()).await;
    options.auth.keys = vec![KeyFile::named(sshd.path("id3"))];
    let error = Session::connect(options.clone()).await.unwrap_err();
    let Error::Login { tried, .. } = &error else { panic!("{error}") };
    assert_eq!(tried.len(), 1, "{tried:?}");
    // Named by its public half.
    options.auth.keys = vec![KeyFile::named(sshd.path("id8.pub"))];
    works(options.clone()).await;
    options.auth.agent = None;
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("id8.pub`: a public key, and no agent holds"), "{error}");
    options.auth.agent = Some(agent.socket.clone());
    options.auth.keys = Vec::new();
    options.auth.identities_only = false;
    options.user = "nobody-of-this-name".into();
    let error = Session::connect(options).await.unwrap_err();
    let Error::Login { tried, .. } = &error else { panic!("{error}") };
    assert!(!tried.is_empty(), "{tried:?}");
}

/// An agent that accepts connections, says what its list is, if anything, and nothing more.
fn mute_agent(socket: &std::path::Path, list: Option<Vec<u8>>) {
    use std::io::{Read as _, Write as _};
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut question = [0; 5];
            // `SSH_AGENTC_REQUEST_IDENTITIES` (draft-miller-ssh-agent §3.5).
            if let Some(list) = &list
                && stream.read_exact(&mut question).is_ok()
                && question[4] == 11
            {
                stream.write_all(list).unwrap();
            }
            held.push(stream);
        }
    });
}

/// libssh2 waits for an agent without end, and the login with it.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_answer_is_passed_over() {
    if !enabled("an_agent_that_does_not_answer_is_passed_over") {
        return;
    }
    use base64::Engine as _;
    let sshd = Sshd::start("");
    let public = std::fs::read_to_string(sshd.path("user_key.pub")).unwrap();
    let blob = public.split_ascii_whitespace().nth(1).unwrap();
    let blob = base64::engine::general_purpose::STANDARD.decode(blob).unwrap();
    // `SSH_AGENT_IDENTITIES_ANSWER`: one key and its comment.
    let mut list = vec![12, 0, 0, 0, 1];
    for text in [&blob[..], b"mute"] {
        list.extend_from_slice(&(text.len() as u32).to_be_bytes());
        list.extend_from_slice(text);
    }
    let list = [&(list.len() as u32).to_be_bytes()[..], &list].concat();
    for (name, list, words) in [
        ("no list", None, "no answer within 10 s"),
        ("no signature", Some(list), "did not answer within 15 s"),
    ] {
        let socket = sshd.path(&name.replace(' ', "-"));
        mute_agent(&socket, list);
        let mut options = sshd.options();
        options.auth_timeout = Duration::from_secs(15);
        options.auth.agent = Some(socket);
        options.auth.keys.clear();
        let refused = tokio::time::timeout(PATIENCE, Session::connect(options.clone())).await;
        let error = refused.expect("the agent is not waited for").unwrap_err();
        assert!(error.to_string().contains(words), "{name}: {error}");
        // A key in a file is not the agent's.
        let copy = sshd.path(&format!("{}-key", name.replace(' ', "-")));
        std::fs::copy(sshd.path("user_key"), &copy).unwrap();
        options.auth.keys = vec![KeyFile::named(copy)];
        tokio::time::timeout(PATIENCE, works(options)).await.expect("the agent is not waited for");
    }
}

/// `ssh-keygen -s`: the server trusts who signed, and knows no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_beside_its_key_logs_in() {
    if !enabled("a_certificate_beside_its_key_logs_in") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    crate::sshd::set_mode(folder.path(), 0o755);
    keygen(&at("authority"), "ed25519", "");
    let lines = format!("AuthorizedKeysFile none\nTrustedUserCAKeys {}", at("authority.pub").display());
    let sshd = Sshd::start(&lines);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(&at(kind), kind, "");
        let mut options = sshd.options();
        options.auth.keys = vec![KeyFile::named(at(kind))];
        let error = Session::connect(options.clone()).await.unwrap_err();
        assert!(matches!(error, Error::Login { .. }), "{error:?}");
        let signed = Command::new("ssh-keygen")
            .args([
                "-q",
                "-s",
                at("authority").to_str().unwrap(),
                "-I",
                "test",
                "-n",
                &options.user,
                "-V",
                "+1h",
            ])
            .arg(at(&format!("{kind}.pub")))
            .status();
        assert!(signed.unwrap().success());
        works(options).await;
        assert!(sshd.log().contains(&format!("{}-CERT", kind.to_uppercase())), "{}", sshd.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_logs_in() {
    if !enabled("a_password_logs_in") {
        return;
    }
    let Some(user) = User::create("pw") else { return };
    let sshd = Sshd::start("PasswordAuthentication yes\nPubkeyAuthentication no");
    let mut options = sshd.options();
    options.user = user.name.clone();
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("password: not given, and nobody may be asked"), "{error}");
    options.auth.password = Some("wrong".into());
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("password: refused"), "{error}");
    assert!(!format!("{error:?}").contains("wrong"));
    options.auth.password = Some(User::PASSWORD.into());
    works(options.clone()).await;
    // Wrong at first, then asked.
    options.auth.password = Some("wrong".into());
    let login = Login::from(&options);
    options.auth.prompt = Some(Arc::new(move |question: &Question| {
        assert_eq!((&question.login, &question.wrong), (&login, &Some(Secret::new("wrong"))));
        Some(Secret::new(User::PASSWORD))
    }));
    works(options).await;
}

/// sshd's answer to the last try is its goodbye. It was taken for a broken connection: the password was given once
/// more, and by everybody who asked for the same connection later.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_goodbye_is_a_refusal() {
    if !enabled("a_refusal_by_goodbye_is_a_refusal") {
        return;
    }
    let Some(user) = User::create("bye") else { return };
    let sshd = Sshd::start("PasswordAuthentication yes\nMaxAuthTries 1");
    keygen(&sshd.path("stranger"), "ed25519", "");
    let mut options = sshd.options();
    options.user = user.name.clone();
    options.auth.keys = vec![KeyFile::named(sshd.path("stranger"))];
    options.auth.password = Some("wrong".into());
    let (sessions, login) = (Sessions::new(), Login::from(&options));
    for _ in 0..2 {
        let connect = || Session::connect(options.clone());
        let error = sessions.repeat(&login, connect, async |_| Ok(())).await.unwrap_err();
        let Error::Login { tried, .. } = &error else { panic!("{error:?}") };
        let tried = tried.join("; ");
        for way in ["stranger`: ", "password: "] {
            let goodbye = format!("{way}the server ended the connection: Too many authentication failures");
            assert!(tried.contains(&goodbye), "{tried}");
        }
        // sshd's monitor writes it down after its answer is on the way.
        until("the refusal is in the log", || sshd.log().contains("Failed password")).await;
        assert_eq!(sshd.log().matches("Failed password").count(), 1, "{}", sshd.log());
    }
    // The key that used up the only try is not tried again.
    options.auth.password = Some(User::PASSWORD.into());
    works(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keyboard_interactive_logs_in() {
    if !enabled("keyboard_interactive_logs_in") {
        return;
    }
    if !std::path::Path::new("/etc/pam.d/sshd").exists() {
        eprintln!("SKIPPED: no PAM configuration for sshd");
        return;
    }
    let Some(user) = User::create("ki") else { return };
    let sshd = Sshd::start("UsePAM yes\nKbdInteractiveAuthentication yes\nPubkeyAuthentication no");
    let mut options = sshd.options();
    options.user = user.name.clone();
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.to_string().contains("nobody answers `Password:`"), "{error}");
    options.auth.password = Some(User::PASSWORD.into());
    works(options.clone()).await;
    options.auth.password = None;
    options.auth.prompt = Some(Arc::new(|question: &Question| match &question.kind {
        QuestionKind::Server { text, echo: false } if text == "Password:" => {
            Some(Secret::new(User::PASSWORD))
        }
        other => panic!("unexpected question {other:?}"),
    }));
    works(options).await;
}

/// What is accepted and not enough looks like a refusal to libssh2.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_two_proofs_gets_both() {
    if !enabled("a_server_that_wants_two_proofs_gets_both") {
        return;
    }
    let Some(user) = User::create("2f") else { return };
    for (methods, lines) in [
        ("publickey,password", "PasswordAuthentication yes"),
        ("password,publickey", "PasswordAuthentication yes"),
        ("publickey,keyboard-interactive", "KbdInteractiveAuthentication yes\nUsePAM yes"),
    ] {
        if lines.contains("PAM") && !std::path::Path::new("/etc/pam.d/sshd").exists() {
            eprintln!("SKIPPED: no PAM configuration for sshd");
            continue;
        }
        let sshd = Sshd::start(&format!("AuthenticationMethods {methods}\n{lines}"));
        keygen(&sshd.path("stranger"), "ed25519", "");
        let agent = Agent::start(&sshd, &["user_key".to_owned()]);
        let key = format!("key `{}`", sshd.path("user_key").display());
        let mut options = sshd.options();
        options.user = user.name.clone();
        options.auth.keys =
            ["stranger", "user_key"].map(|name| KeyFile::named(sshd.path(name))).into_iter().collect();
        options.auth.password = Some(User::PASSWORD.into());
        for (agent, key) in [(None, key.as_str()), (Some(agent.socket.clone()), "key `test` of the agent")] {
            options.auth.agent = agent;
            let session = Session::connect(options.clone()).await.unwrap();
            let ways: Vec<String> = methods.split(',').map(|way| way.replace("publickey", key)).collect();
            assert_eq!(session.arrival().login, ways.join(", then "));
            session.close().await.unwrap();
        }
        options.auth.agent = None;
        // Half of it is said to be good.
        let (first, last) = methods.split_once(',').unwrap();
        match first {
            "publickey" => options.auth.password = Some("wrong".into()),
            _ => options.auth.keys.truncate(1),
        }
        let error = Session::connect(options).await.unwrap_err();
        let Error::Login { tried, offered, .. } = &error else { panic!("{error:?}") };
        let first = first.replace("publickey", &key);
        let accepted = format!("{first}: accepted, and the server wants more ({last})");
        assert!(tried.contains(&accepted), "{accepted}: {tried:?}");
        assert!(tried.last().unwrap().ends_with(": refused"), "{tried:?}");
        assert_eq!(offered, last);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn host_keys_are_checked() {
    if !enabled("host_keys_are_checked") {
        return;
    }
    let sshd = Sshd::start("");
    let other = Sshd::start("");
    let mut options = sshd.options();
    let known = options.host_keys.files[0].clone();
    let problem = |error: Error| match error {
        Error::HostKey { problem, .. } => *problem,
        error => panic!("{error}"),
    };
    options.host_keys.files = vec![sshd.path("missing")];
    let HostKeyProblem::Unknown { fingerprint, .. } =
        problem(Session::connect(options.clone()).await.unwrap_err())
    else {
        panic!("the host is not known")
    };
    let listed = Command::new("ssh-keygen").arg("-lf").arg(sshd.path("host_key.pub")).output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(&fingerprint), "{fingerprint}");
    // Accepted, and known from then on, also hashed.
    options.host_keys.unknown = UnknownHost::Accept;
    options.host_keys.learn_to = Some(sshd.path("learnt"));
    works(options.clone()).await;
    let hashed =
        Command::new("ssh-keygen").args(["-q", "-H", "-f"]).arg(sshd.path("learnt")).output().unwrap();
    assert!(hashed.status.success());
    assert!(std::fs::read_to_string(sshd.path("learnt")).unwrap().starts_with("|1|"));
    options.host_keys.files = vec![sshd.path("learnt")];
    options.host_keys.unknown = UnknownHost::Refuse;
    works(options.clone()).await;
    // Another key under this name, also where new ones are accepted.
    let key = std::fs::read_to_string(other.path("host_key.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{} {key}", sshd.port)).unwrap();
    options.host_keys.files = vec![known.clone()];
    options.host_keys.unknown = UnknownHost::Accept;
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(error.hint().unwrap().contains("ssh-keygen -R"), "{error:?}");
    assert!(matches!(problem(error), HostKeyProblem::Changed { .. }));
    let key = std::fs::read_to_string(sshd.path("host_key.pub")).unwrap();
    std::fs::write(&known, format!("[127.0.0.1]:{0} {key}\n@revoked * {key}\n", sshd.port)).unwrap();
    let error = Session::connect(options).await.unwrap_err();
    assert!(matches!(problem(error), HostKeyProblem::Revoked { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_known_kind_of_host_key_is_asked_for() {
    if !enabled("the_known_kind_of_host_key_is_asked_for") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    keygen(&folder.path().join("rsa"), "rsa", "");
    // The server has an Ed25519 key too and would rather show that.
    let sshd = Sshd::start(&format!("HostKey {}/rsa", folder.path().display()));
    let mut options = sshd.options();
    let key = std::fs::read_to_string(folder.path().join("rsa.pub")).unwrap();
    std::fs::write(&options.host_keys.files[0], format!("[127.0.0.1]:{} {key}", sshd.port)).unwrap();
    options.auth.keys = vec![KeyFile::named(sshd.path("user_key"))];
    works(options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_tried_again() {
    if !enabled("a_busy_server_is_tried_again") {
        return;
    }
    let sshd = Sshd::start("MaxStartups 1");
    let mut logins = tokio::task::JoinSet::new();
    let mut options = sshd.options();
    options.attempts = 100;
    for _ in 0..6 {
        logins.spawn(works(options.clone()));
    }
    logins.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_not_answer_end_within_their_time() {
    if !enabled("servers_that_do_not_answer_end_within_their_time") {
        return;
    }
    let closed = free_port();
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = ConnectOptions::new("127.0.0.1", "x");
    options.connect_timeout = Duration::from_secs(3);
    options.port = closed;
    options.attempts = 2;
    let error = Session::connect(options.clone()).await.unwrap_err();
    assert!(matches!(error, Error::Connect { attempts: 2, .. }), "{error:?}");
    options.port = mute.local_addr().unwrap().port();
    options.attempts = 1;
    let ended = tokio::time::timeout(PATIENCE, Session::connect(options.clone())).await;
    let error = ended.expect("a server that says nothing is given up").unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    options.host = "no-such-host.invalid".into();
    let error = Session::connect(options).await.unwrap_err();
    assert!(matches!(error, Error::Lookup { .. } | Error::Timeout { .. }), "{error:?}");
}
