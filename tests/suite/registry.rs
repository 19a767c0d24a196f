//! Registries as users meet them, through `docker.login`, `docker.pull` and `docker.push`, over the Engine API and over
//! the host's own `docker` program: the lab's own, open and with a login, and one with TLS and a login that the engine
//! does or does not trust.

use std::fs;
use std::time::{Duration, Instant};

use dfab_tests::lab::REGISTRY;
use dfab_tests::{Host, Outcome, Project, lab_or_skip};

use crate::certificates::{authority, signed};

const BACKENDS: [&str; 2] = ["api", "cli"];

/// The lab's registry with a login.
const WITH_LOGIN: &str = "registry.example.com:5000";

/// A registry on the host itself, at an address that the engine does not take for insecure.
const SECURE: &str = "secure.example.com:5443";
const ADDRESS: &str = "198.51.100.7";
const FOLDER: &str = "/tmp/secure-registry";
const TRUST: &str = "/etc/docker/certs.d/secure.example.com:5443";

/// bcrypt of [`PASSWORD`], as in the lab's own registry.
const HTPASSWD: &str = "lab:$2b$04$e8EtHXdNyD0Y6UqEsSdiDes8IUcuUJgoT6CoZxnvLCvhZAvC9wMCe";
const PASSWORD: &str = include_str!("../../xtask/src/lab/ssh.rs");

/// The lab's password, as `xtask` has it.
pub fn password() -> &'static str {
    let (_, rest) = PASSWORD.split_once("pub const PASSWORD: &str = \"").expect("the lab has a password");
    rest.split_once('"').expect("it is a text").0
}

/// The registry of this test; it is gone with this value.
struct Secure<'a> {
    host: &'a Host<'a>,
}

impl<'a> Secure<'a> {
    fn start(host: &'a Host<'a>) -> Self {
        let secure = Self { host };
        secure.remove();
        let ours = authority("registry authority");
        let pair = signed(&ours, "registry", &["secure.example.com"], (0, 10));
        let text = |pem: Vec<u8>| String::from_utf8(pem).expect("PEM is text");
        host.run(&format!(
            "mkdir -p {FOLDER} && cd {FOLDER}
             cat >ca.pem <<'END'\n{}END
             cat >cert.pem <<'END'\n{}END
             cat >key.pem <<'END'\n{}END
             echo '{HTPASSWD}' >htpasswd
             cat >config.yml <<'END'
version: 0.1
storage: {{filesystem: {{rootdirectory: {FOLDER}/images}}}}
http:
  addr: {ADDRESS}:5443
  secret: test
  tls: {{certificate: {FOLDER}/cert.pem, key: {FOLDER}/key.pem}}
auth:
  htpasswd: {{realm: test, path: {FOLDER}/htpasswd}}
END
             ip addr add {ADDRESS}/32 dev lo
             echo '{ADDRESS} secure.example.com' >>/etc/hosts",
            text(ours.certificate_pem()),
            text(pair.certificate_pem()),
            text(pair.key_pem()),
        ));
        secure.serve();
        // The engine remembers `/etc/hosts` for five seconds.
        host.run(
            "for i in $(seq 300); do docker pull secure.example.com:5443/none:1 2>&1 | grep -q lookup || break; sleep 0.2; done",
        );
        secure
    }

    fn serve(&self) {
        self.host.run(&format!(
            "nohup docker-registry serve {FOLDER}/config.yml >{FOLDER}/log 2>&1 </dev/null & echo $! >{FOLDER}/pid"
        ));
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.host.run(&format!("ss -ltn | grep -c '{ADDRESS}:5443' || true")) == "0" {
            assert!(Instant::now() < deadline, "{}", self.host.run(&format!("cat {FOLDER}/log")));
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn stop(&self) {
        self.host.run(&format!(
            "p=$(cat {FOLDER}/pid); kill $p; while [ -e /proc/$p ] && ! grep -q '^State:.Z' /proc/$p/status; do sleep 0.1; done"
        ));
    }

    fn trust(&self) {
        self.host.run(&format!("mkdir -p {TRUST} && cp {FOLDER}/ca.pem {TRUST}/ca.crt"));
    }

    fn remove(&self) {
        self.host.run(&format!(
            "[ ! -e {FOLDER}/pid ] || kill $(cat {FOLDER}/pid) 2>/dev/null || true
             ip addr del {ADDRESS}/32 dev lo 2>/dev/null || true
             sed '/secure.example.com/d' /etc/hosts >/tmp/hosts && cat /tmp/hosts >/etc/hosts
             rm -rf {FOLDER} {TRUST} /tmp/hosts"
        ));
    }
}

impl Drop for Secure<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// One user's way to a host.
struct Way<'a> {
    project: &'a Project,
    host: &'a Host<'a>,
    backend: &'a str,
}

impl Way<'_> {
    fn call(&self, set: &[&str], words: &[&str]) -> Outcome {
        let mut arguments = vec!["-H", &self.host.name, "--backend", self.backend];
        for text in set {
            arguments.extend(["--set", text]);
        }
        arguments.extend(words);
        let outcome = self.project.dfab_in(self.host.lab, &arguments).run();
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!shown.contains(password()), "{}: the password is shown", self.backend);
        outcome
    }

    /// Calls that must fail with these words among the causes and hints.
    fn refused(&self, set: &[&str], words: &[&str], texts: &[&str]) {
        self.call(set, words).expect_code(1).expect_error(texts);
    }

    fn done(&self, set: &[&str], words: &[&str]) {
        self.call(set, words).expect_code(0);
    }

    /// The `docker` program keeps a login on the host, where it is good for later calls; over the Engine API there is
    /// nothing to forget.
    fn forget_login(&self, image: &str) {
        let push = ["docker.push", image];
        match self.backend {
            "cli" => {
                self.done(&[], &push);
                self.host.run("rm -r /home/deploy/.docker");
            }
            _ => assert_eq!(self.host.run("ls -d /home/deploy/.docker 2>/dev/null || true"), ""),
        }
        self.refused(&[], &push, &NOT_ALLOWED);
    }
}

const NOT_ALLOWED: [&str; 2] = ["caused by: not allowed", "hint: check the login"];

fn config(project: &Project, text: &str) {
    let folder = project.path().join(".docker");
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join("config.json"), text).expect("a file can be written");
}

#[test]
fn a_registry_with_a_login_takes_it_from_variables_and_from_the_docker_programs_configuration() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    for backend in BACKENDS {
        let project = Project::new(&[]);
        let way = Way { project: &project, host: &host, backend };
        let image = format!("{WITH_LOGIN}/registry-test-{backend}:1");
        let (push, pull) = (["docker.push", &*image], ["docker.pull", &*image]);
        host.run(&format!("docker tag busybox:latest {image}"));
        let registry = format!("docker_registry_repository={WITH_LOGIN}");
        let right = format!("docker_registry_password={}", password());
        let variables = [&*registry, "docker_registry_user=lab", &*right];
        let wrong = [&*registry, "docker_registry_user=lab", "docker_registry_password=wrong"];

        way.refused(&[], &push, &NOT_ALLOWED);
        way.done(&variables, &["docker.login"]);
        way.refused(&wrong, &["docker.login"], &["refuses the login"]);
        way.forget_login(&image);
        way.refused(&wrong, &push, &NOT_ALLOWED);
        // D-11: one warning, and nothing else of it.
        let insecure = [&*registry, "docker_registry_user=lab", &*right, "docker_registry_insecure=true"];
        let pushed = way.call(&insecure, &push).expect_code(0);
        assert_eq!(pushed.stderr.matches("`docker_registry_insecure` has no effect").count(), 1, "{pushed}");

        host.run(&format!("docker rmi {image}"));
        way.refused(&[], &pull, &NOT_ALLOWED);
        way.refused(&wrong, &pull, &NOT_ALLOWED);
        let entry = format!(r#"{{"username": "lab", "password": "{}"}}"#, password());
        config(&project, &format!(r#"{{"auths": {{"{WITH_LOGIN}": {entry}}}}}"#));
        way.done(&[], &pull);
        // The variables win over the file.
        host.run(&format!("docker rmi {image}"));
        way.call(&wrong, &pull).expect_code(1);
        config(&project, r#"{"credsStore": "no-such-store"}"#);
        let missing = ["`docker-credential-no-such-store`", "cannot be started"];
        way.call(&[], &pull).expect_code(2).expect_error(&missing);
        host.expect_no_leftovers();
    }
}

#[test]
fn what_is_wrong_at_a_registry_is_told_apart() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    for backend in BACKENDS {
        let way = Way { project: &project, host: &host, backend };
        let pull = |image: &str, texts: &[&str]| way.refused(&[], &["docker.pull", image], texts);
        let not_found = ["caused by: not found", "hint: check the image's name and tag"];
        pull(&format!("{REGISTRY}/no-such-image:1"), &not_found);
        pull(&format!("{REGISTRY}/busybox:no-such-tag"), &not_found);
        let absent = format!("{REGISTRY}/not-here:1");
        way.refused(&[], &["docker.push", &absent], &["caused by: not found"]);
        let no_route =
            ["caused by: the engine does not reach the registry", "hint: check that the registry runs"];
        pull("nowhere.invalid/image:1", &no_route);
        pull("registry.example.com:9/image:1", &no_route);
    }
}

#[test]
fn a_registry_with_tls_and_a_login_is_used_once_its_certificate_is_trusted() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    for backend in BACKENDS {
        let way = Way { project: &project, host: &host, backend };
        let secure = Secure::start(&host);
        let image = format!("{SECURE}/registry-test:1");
        let (login, push, pull) = (["docker.login"], ["docker.push", &*image], ["docker.pull", &*image]);
        host.run(&format!("docker tag busybox:latest {image}"));
        let registry = format!("docker_registry_repository={SECURE}");
        let right = format!("docker_registry_password={}", password());
        let variables = [&*registry, "docker_registry_user=lab", &*right];
        let wrong = [&*registry, "docker_registry_user=lab", "docker_registry_password=wrong"];

        let untrusted = ["caused by: the registry's certificate is not trusted", "/etc/docker/certs.d/"];
        way.refused(&variables, &login, &untrusted);
        way.refused(&variables, &push, &untrusted);
        secure.trust();
        way.done(&variables, &login);
        way.refused(&wrong, &login, &["refuses the login"]);
        way.forget_login(&image);
        way.refused(&wrong, &push, &["caused by: not allowed"]);
        way.done(&variables, &push);
        host.run(&format!("docker rmi {image}"));
        way.done(&variables, &pull);
        let absent = format!("{SECURE}/no-such-image:1");
        way.refused(&variables, &["docker.pull", &absent], &["caused by: not found"]);
        secure.stop();
        let stopped = ["caused by: the engine does not reach the registry"];
        way.refused(&variables, &login, &stopped);
        way.refused(&variables, &pull, &stopped);
        drop(secure);
        host.run(&format!("docker rmi {image}"));
        host.expect_no_leftovers();
    }
}
