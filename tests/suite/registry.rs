//! Registries as users meet them, through `docker.login`, `docker.pull` and `docker.push`: the lab's own, open
//! and with a login, and one with TLS and a login that the engine does or does not trust.

use std::fs;
use std::time::{Duration, Instant};

use dfab_tests::lab::REGISTRY;
use dfab_tests::{Host, Outcome, Project, lab_or_skip};

use crate::certificates::{authority, signed};

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
fn password() -> &'static str {
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

fn call(project: &Project, host: &Host<'_>, set: &[&str], words: &[&str]) -> Outcome {
    let mut arguments = vec!["-H", &host.name];
    for text in set {
        arguments.extend(["--set", text]);
    }
    arguments.extend(words);
    let outcome = project.dfab_in(host.lab, &arguments).run();
    assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains(password()), "the password is shown");
    outcome
}

fn config(project: &Project, text: &str) {
    let folder = project.path().join(".docker");
    fs::create_dir_all(&folder).expect("a folder can be made");
    fs::write(folder.join("config.json"), text).expect("a file can be written");
}

#[test]
fn a_registry_with_a_login_takes_it_from_variables_and_from_the_docker_programs_configuration() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let image = format!("{WITH_LOGIN}/registry-test:1");
    host.run(&format!("docker tag busybox:latest {image}"));
    let registry = format!("docker_registry_repository={WITH_LOGIN}");
    let right = format!("docker_registry_password={}", password());
    let variables = [&*registry, "docker_registry_user=lab", &*right];
    let wrong = [&*registry, "docker_registry_user=lab", "docker_registry_password=wrong"];

    call(&project, &host, &variables, &["docker.login"]).expect_code(0);
    call(&project, &host, &wrong, &["docker.login"]).expect_code(1).expect_error(&["refuses the login"]);
    let not_allowed = ["caused by: not allowed", "hint: check the login"];
    call(&project, &host, &[], &["docker.push", &image]).expect_code(1).expect_error(&not_allowed);
    call(&project, &host, &wrong, &["docker.push", &image]).expect_code(1).expect_error(&not_allowed);
    call(&project, &host, &variables, &["docker.push", &image]).expect_code(0);

    host.run(&format!("docker rmi {image}"));
    call(&project, &host, &[], &["docker.pull", &image]).expect_code(1).expect_error(&not_allowed);
    call(&project, &host, &wrong, &["docker.pull", &image]).expect_code(1).expect_error(&not_allowed);
    config(
        &project,
        &format!(r#"{{"auths": {{"{WITH_LOGIN}": {{"username": "lab", "password": "{}"}}}}}}"#, password()),
    );
    call(&project, &host, &[], &["docker.pull", &image]).expect_code(0);
    // The variables win over the file.
    host.run(&format!("docker rmi {image}"));
    call(&project, &host, &wrong, &["docker.pull", &image]).expect_code(1);
    config(&project, r#"{"credsStore": "no-such-store"}"#);
    call(&project, &host, &[], &["docker.pull", &image])
        .expect_code(2)
        .expect_error(&["`docker-credential-no-such-store`", "cannot be started"]);
}

#[test]
fn what_is_wrong_at_a_registry_is_told_apart() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let pull = |image: &str| call(&project, &host, &[], &["docker.pull", image]);
    let not_found = ["caused by: not found", "hint: check the image's name and tag"];
    pull(&format!("{REGISTRY}/no-such-image:1")).expect_code(1).expect_error(&not_found);
    pull(&format!("{REGISTRY}/busybox:no-such-tag")).expect_code(1).expect_error(&not_found);
    call(&project, &host, &[], &["docker.push", &format!("{REGISTRY}/not-here:1")])
        .expect_code(1)
        .expect_error(&["caused by: not found"]);
    let no_route =
        ["caused by: the engine does not reach the registry", "hint: check that the registry runs"];
    pull("nowhere.invalid/image:1").expect_code(1).expect_error(&no_route);
    pull("registry.example.com:9/image:1").expect_code(1).expect_error(&no_route);
}

#[test]
fn a_registry_with_tls_and_a_login_is_used_once_its_certificate_is_trusted() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let secure = Secure::start(&host);
    let image = format!("{SECURE}/registry-test:1");
    host.run(&format!("docker tag busybox:latest {image}"));
    let registry = format!("docker_registry_repository={SECURE}");
    let right = format!("docker_registry_password={}", password());
    let variables = [&*registry, "docker_registry_user=lab", &*right];
    let login = |set: &[&str]| call(&project, &host, set, &["docker.login"]);
    let push = |set: &[&str]| call(&project, &host, set, &["docker.push", &image]);

    let untrusted = ["caused by: the registry's certificate is not trusted", "/etc/docker/certs.d/"];
    login(&variables).expect_code(1).expect_error(&untrusted);
    push(&variables).expect_code(1).expect_error(&untrusted);
    secure.trust();
    login(&variables).expect_code(0);
    let wrong = [&*registry, "docker_registry_user=lab", "docker_registry_password=wrong"];
    login(&wrong).expect_code(1).expect_error(&["refuses the login"]);
    push(&wrong).expect_code(1).expect_error(&["caused by: not allowed"]);
    push(&variables).expect_code(0);
    host.run(&format!("docker rmi {image}"));
    call(&project, &host, &variables, &["docker.pull", &image]).expect_code(0);
    let absent = format!("{SECURE}/no-such-image:1");
    call(&project, &host, &variables, &["docker.pull", &absent])
        .expect_code(1)
        .expect_error(&["caused by: not found"]);
    secure.stop();
    let stopped = ["caused by: the engine does not reach the registry"];
    login(&variables).expect_code(1).expect_error(&stopped);
    call(&project, &host, &variables, &["docker.pull", &image]).expect_code(1).expect_error(&stopped);
}
