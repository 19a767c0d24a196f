//! TLS to a real engine that is started with `--tlsverify`, over TCP and through the tunnel.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use dfab_tests::{Host, Outcome, Project, lab_or_skip};

use crate::certificates::{Pair, authority, signed};

/// Certificates for an engine and for those who may speak to it.
struct Files {
    authority: Pair,
    project: Project,
}

impl Files {
    fn new(names: &[&str], validity: (i64, i64)) -> Self {
        let project = Project::new(&[]);
        let ours = authority("lab authority");
        let engine = signed(&ours, "engine", names, validity);
        let operator = signed(&ours, "operator", &[], (0, 10));
        let other = authority("other authority");
        let write = |name: &str, data: Vec<u8>| write(project.path(), name, data);
        write("engine/ca.pem", ours.certificate_pem());
        write("engine/cert.pem", engine.certificate_pem());
        write("engine/key.pem", engine.key_pem());
        for (folder, trusted) in [("right", &ours), ("distrust", &other), ("no-client", &ours)] {
            write(&format!("{folder}/ca.pem"), trusted.certificate_pem());
            if folder != "no-client" {
                write(&format!("{folder}/cert.pem"), operator.certificate_pem());
                write(&format!("{folder}/key.pem"), operator.key_pem());
            }
        }
        Self { authority: ours, project }
    }

    /// Puts a new certificate of the engine beside the first.
    fn renew(&self, names: &[&str], validity: (i64, i64)) {
        let engine = signed(&self.authority, "engine", names, validity);
        write(self.project.path(), "engine/cert.pem", engine.certificate_pem());
        write(self.project.path(), "engine/key.pem", engine.key_pem());
    }
}

fn write(folder: &Path, name: &str, data: Vec<u8>) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
    fs::write(path, data).expect("a file can be written");
}

/// A second engine on a host, beside the host's own. It ends with this value.
struct Secured<'a> {
    host: &'a Host<'a>,
}

const FOLDER: &str = "/tmp/secured";

impl<'a> Secured<'a> {
    fn start(host: &'a Host<'a>, files: &Files) -> Self {
        let secured = Self { host };
        let mut script = format!("mkdir -p {FOLDER} && cd {FOLDER}\n");
        for name in ["ca.pem", "cert.pem", "key.pem"] {
            let text =
                fs::read_to_string(files.project.path().join("engine").join(name)).expect("it was written");
            script.push_str(&format!("cat >{name} <<'END'\n{text}END\n"));
        }
        // A bridge of its own: with `--bridge none`, an engine removes the `docker0` of the other one.
        script.push_str(&format!(
            "ip link add dfab-tls type bridge; ip addr add 172.31.77.1/24 dev dfab-tls; ip link set dfab-tls up
             nohup dockerd --data-root {FOLDER}/data --exec-root {FOLDER}/exec --pidfile {FOLDER}/pid \
             --storage-driver vfs --bridge dfab-tls --iptables=false --ip6tables=false -H tcp://0.0.0.0:2376 --tlsverify \
             --tlscacert {FOLDER}/ca.pem --tlscert {FOLDER}/cert.pem --tlskey {FOLDER}/key.pem \
             >{FOLDER}/log 2>&1 </dev/null &"
        ));
        host.run(&script);
        let deadline = Instant::now() + Duration::from_secs(90);
        while !host.run(&format!("grep -c 'API listen on' {FOLDER}/log || true")).starts_with('1') {
            assert!(Instant::now() < deadline, "{}", host.run(&format!("tail -20 {FOLDER}/log")));
            std::thread::sleep(Duration::from_millis(200));
        }
        secured
    }
}

impl Drop for Secured<'_> {
    fn drop(&mut self) {
        self.host.run(&format!(
            "p=$(cat {FOLDER}/pid) && kill $p && for i in $(seq 300); do [ -e /proc/$p ] || break; sleep 0.1; done
             kill -9 $p 2>/dev/null || true
             ip link del dfab-tls 2>/dev/null || true
             grep -o '{FOLDER}[^ ]*' /proc/self/mounts | sort -r | xargs -r umount -l; rm -rf {FOLDER}"
        ));
    }
}

fn call(files: &Files, host: &Host<'_>, through_ssh: bool, folder: &str, set: &[&str]) -> Outcome {
    let certificates = format!("docker_cert_path={}", files.project.path().join(folder).display());
    let address = if through_ssh { "127.0.0.1" } else { &host.address };
    let url = format!("docker_base_url=tcp://{address}:2376");
    let mut arguments = vec!["--set", &url, "--set", &certificates];
    for text in set {
        arguments.extend(["--set", text]);
    }
    if through_ssh {
        arguments.extend(["-H", &host.name]);
    }
    arguments.extend(["docker.version"]);
    files.project.dfab_in(host.lab, &arguments).run()
}

#[test]
fn an_engine_with_tls_is_spoken_to_and_every_refusal_is_clear() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let files = Files::new(&["127.0.0.1", &host.address], (0, 10));
    let on = &["docker_tls=true"][..];
    {
        let _engine = Secured::start(&host, &files);
        for through_ssh in [false, true] {
            let call = |folder: &str, set: &[&str]| call(&files, &host, through_ssh, folder, set);
            call("right", on).expect_code(0);
            call("right", &["docker_tls_verify=true"]).expect_code(0);
            call("distrust", &["docker_tls=true", "docker_tls_verify=false"]).expect_code(0);
            call("distrust", on).expect_code(1).expect_error(&[
                "(engine) is not signed by an authority in",
                "distrust/ca.pem",
                "hint: name the authority's certificate as `ca_cert`",
            ]);
            call("no-client", on).expect_code(1).expect_error(&[
                "wants a TLS client certificate",
                "hint: give `client_cert` and `client_key`",
            ]);
            // Without TLS the engine says so itself, in plain HTTP.
            call("right", &[]).expect_error(&["HTTPS server"]);
        }
    }
    files.renew(&["engine.test"], (0, 10));
    {
        let _engine = Secured::start(&host, &files);
        let said = format!("is not for `{}`, but for `engine.test`", host.address);
        call(&files, &host, false, "right", on).expect_code(1).expect_error(&[&said, "`assert_hostname`"]);
        call(&files, &host, true, "right", on)
            .expect_code(1)
            .expect_error(&["is not for `127.0.0.1`, but for `engine.test`"]);
    }
    files.renew(&["127.0.0.1", &host.address], (-10, -5));
    {
        let _engine = Secured::start(&host, &files);
        for through_ssh in [false, true] {
            call(&files, &host, through_ssh, "right", on)
                .expect_code(1)
                .expect_error(&["was valid until", "hint: renew the certificate"]);
        }
    }
}
