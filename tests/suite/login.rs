//! What a person is asked before a host lets them in, and what happens where nobody may be asked.

use std::fs;
use std::process::{Command, Stdio};

use dfab_tests::fault::wait_until;
use dfab_tests::{Lab, Project, Terminal, lab_or_skip};

/// The password of `deploy` on the lab's hosts.
const PASSWORD: &str = "lab-password";

/// A call on a terminal that has neither keys nor an agent to log in with.
fn call(lab: &Lab, words: &str) -> String {
    format!(
        "{} --ssh-config-path {} -k -a -u deploy {words} docker.version",
        dfab_tests::call::binary().display(),
        lab.ssh_config().display()
    )
}

#[test]
fn a_password_is_asked_for_once_and_never_shown() {
    let lab = lab_or_skip!();
    let hosts = [lab.take(1), lab.take(2)];
    let names = hosts.iter().map(|host| host.name.as_str()).collect::<Vec<_>>().join(",");
    let project = Project::new(&[]);
    for (words, question) in [
        // Before the first task, for all hosts.
        (format!("-I -H {names}"), "Initial value for env.password:".to_owned()),
        // When the host asks.
        (format!("-H {}", hosts[0].name), format!("[{}] Login password for 'deploy':", hosts[0].name)),
    ] {
        let mut terminal = Terminal::start(&call(&lab, &words), project.path(), 100, &[("NO_COLOR", "1")]);
        terminal.wait_for(&question);
        terminal.press(&format!("{PASSWORD}\r"));
        let (screen, code) = terminal.end();
        assert_eq!(code, Some(0), "{words}: {screen}");
        assert!(!screen.contains(PASSWORD), "{words}: {screen}");
        assert_eq!(screen.matches("assword").count(), 1, "{words}: {screen}");
    }
}

/// Two logins with one locked key. The first answer is wrong. A name and the address behind it are one login.
#[test]
fn a_passphrase_is_asked_for_once_for_all_connections() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let key = project.path().join("locked");
    fs::copy(lab.client_key(), &key).unwrap();
    let mut lock = Command::new("ssh-keygen");
    let locked = lock.args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"]).arg(&key).status();
    assert!(locked.expect("`ssh-keygen` starts").success());
    let logins = host.logins();
    let words = format!("-i {} -H {},{2},{2}:2222", key.display(), host.name, host.address);
    let mut terminal = Terminal::start(&call(&lab, &words), project.path(), 200, &[("NO_COLOR", "1")]);
    let question = "Passphrase for private key";
    terminal.wait_for(question);
    terminal.press("open season\r");
    terminal.wait_until("the question again", |screen| screen.matches(question).count() == 2);
    terminal.press("open sesame\r");
    let (screen, code) = terminal.end();
    assert_eq!(code, Some(0), "{screen}");
    assert_eq!(screen.matches(question).count(), 2, "{screen}");
    assert_eq!(logins.accepted(), 2, "{:?}", logins.lines());
}

#[test]
fn where_nobody_may_be_asked_the_login_fails_at_once() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let words = format!("--abort-on-prompts -H {}", host.name);
    let mut terminal = Terminal::start(&call(&lab, &words), project.path(), 160, &[("NO_COLOR", "1")]);
    let (screen, code) = terminal.end();
    assert_eq!(code, Some(1), "{screen}");
    assert!(screen.contains("nobody may be asked") && screen.contains(&host.name), "{screen}");
    // The question before the first task is a mistake of the call.
    let words = ["-I", "--abort-on-prompts", "-H", &host.name, "docker.version"];
    project.dfab_in(&lab, &words).run().expect_code(2).expect_error(&["-I", "abort-on-prompts"]);
    // Without a terminal it is as if nobody may be asked.
    let words = ["-k", "-a", "-u", "deploy", "-H", &host.name, "docker.version"];
    project.dfab_in(&lab, &words).run().expect_code(1).expect_error(&[&host.name, "password"]);
    // One that was given needs no question, and stands in no process list.
    let outcome = project.dfab_in(&lab, &words).env("DFAB_PASSWORD", PASSWORD).run();
    outcome.expect_code(0);
}

/// An agent that holds the lab's key; ends with the value.
struct Agent(std::process::Child);

impl Agent {
    fn start(lab: &Lab, socket: &std::path::Path) -> Self {
        let agent = Command::new("ssh-agent").arg("-D").arg("-a").arg(socket).stdout(Stdio::null()).spawn();
        let agent = Self(agent.expect("`ssh-agent` starts"));
        wait_until("the agent listens", || socket.exists());
        let mut add = Command::new("ssh-add");
        let added = add.env("SSH_AUTH_SOCK", socket).arg("-q").arg(lab.client_key()).status();
        assert!(added.expect("`ssh-add` starts").success());
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_way_in_has_its_option() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let socket = project.path().join("agent");
    let _agent = Agent::start(&lab, &socket);
    let key = lab.client_key().display().to_string();
    // Of the agent's keys `IdentitiesOnly` would leave those of the files that are named.
    let config =
        fs::read_to_string(lab.ssh_config()).unwrap().replace("IdentitiesOnly yes", "IdentitiesOnly no");
    fs::write(project.path().join("ssh_config"), config).unwrap();
    let refused = "refused the login of `deploy`";
    for (words, expected) in [
        // The key of the SSH configuration is left out, and the agent's is not.
        (&["-k"][..], None),
        (&["-k", "-a"], Some("nobody may be asked")),
        (&["-k", "-a", "-i", &key], None),
        (&["-k", "-a", "-i", "/no/such/key"], Some("/no/such/key")),
        (&["-k", "-a", "-p", PASSWORD], None),
        (&["-k", "-a", "-p", "not-the-password"], Some(refused)),
        (&["-i", "/no/such/key"], None),
    ] {
        let way = ["--ssh-config-path", "ssh_config", "--abort-on-prompts", "-H", &host.name];
        let call = project
            .dfab(&[&way, words, &["docker.version"]].concat())
            .env("SSH_AUTH_SOCK", &socket.to_string_lossy());
        let outcome = call.run();
        let Some(expected) = expected else {
            outcome.expect_code(0);
            continue;
        };
        let outcome = outcome.expect_code(1).expect_error(&[&host.name, expected]);
        assert!(!outcome.stderr.contains("not-the-password"), "the password is shown");
    }
}
