//! A project with an engine at a socket and a `docker` program in `PATH`, which both write down what they are asked.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

const PROJECT: &str = "\
env: {docker_registry_password: secret}
clients: {here: {fabric_host: null}, dead: {fabric_host: '127.0.0.1:1'}}
maps:
  m: {app: {image: busybox}, new: {image: busybox}}
  two: {clients: [dead, here], new: {image: busybox}}
tasks:
  here: [{local: touch made}]
  there: [{run: touch made}, {sudo: touch made}, {put: [run.sh, /tmp/made]}, {get: [/etc/motd, made]}]
  asks: [docker.version]
";

/// A project in a temporary folder, and an engine for it.
pub struct Bench {
    /// The folder.
    pub folder: tempfile::TempDir,
    /// Methods and paths that the engine was asked for, in order.
    pub requests: Arc<Mutex<Vec<String>>>,
}

impl Bench {
    /// Makes the folder and starts the engine.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("context")).unwrap();
        std::fs::create_dir(at("bin")).unwrap();
        for (name, text) in [
            ("dfab.yaml", PROJECT),
            ("commands", ""),
            ("run.sh", "exit 0\n"),
            ("context/Dockerfile", "FROM busybox\n"),
            ("bin/docker", "#!/bin/sh\necho \"$@\" >>\"$COMMANDS\"\nexit 1\n"),
            // No process has this ID.
            ("bin/pgrep", "#!/bin/sh\necho 999999999\n"),
        ] {
            std::fs::write(at(name), text).unwrap();
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        // As much of a tar archive as tells that it is one.
        let mut archive = vec![0; 512];
        archive[257..262].copy_from_slice(b"ustar");
        std::fs::write(at("image.tar"), archive).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let listener = UnixListener::bind(at("engine.sock")).unwrap();
        let recorded = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let recorded = Arc::clone(&recorded);
                std::thread::spawn(move || drop(serve(&connection, &recorded)));
            }
        });
        Self { folder, requests }
    }

    /// Makes a call, and returns its exit code with all that it has printed.
    pub fn run(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8_lossy(&printed).into_owned())
    }

    /// Returns a call that has not started.
    pub fn command(&self, words: &[&str]) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_dfab"));
        command
            .args(words)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("PATH", format!("{}:/usr/bin:/bin", at("bin").display()))
            .env("DOCKER_HOST", format!("unix://{}", at("engine.sock").display()))
            .env("COMMANDS", at("commands"))
            .stdin(Stdio::null());
        command
    }

    /// Returns the names in the folder.
    pub fn files(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }
}

/// Answers like an engine with a running container of the map, its image, and an image without a name. What would change
/// anything gets no answer at all.
fn serve(connection: &UnixStream, recorded: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        recorded.lock().unwrap().push(format!("{method} {target}"));
        if method != "GET" && method != "HEAD" {
            // Until the other side has had enough.
            return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
        }
        let path = target.split('?').next().unwrap();
        let path = path.strip_prefix("/v1.45").unwrap_or(path);
        if path == "/containers/endless/logs" {
            // A line, and no end.
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n";
            let mut writer = connection;
            writer.write_all(&[head.as_bytes(), b"\x01\0\0\0\0\0\0\x06first\n"].concat())?;
            return std::io::copy(&mut reader, &mut std::io::sink()).map(drop);
        }
        let (status, body) = match answer(path) {
            Some(body) => ("200 OK", body),
            None => ("404 Not Found", json!({"message": format!("no {path}")})),
        };
        let body = body.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nApi-Version: 1.45\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let body = if method == "HEAD" { "" } else { &body };
        let mut writer = connection;
        writer.write_all(format!("{head}{body}").as_bytes())?;
    }
}

fn answer(path: &str) -> Option<Value> {
    Some(match path {
        "/_ping" => json!("OK"),
        "/version" => json!({
            "Version": "26.1.5", "ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64",
        }),
        "/info" => json!({"OSType": "linux"}),
        "/containers/json" => json!([{
            "Id": "c0", "Names": ["/m.app"], "Image": "busybox", "ImageID": "sha256:i0", "Command": "true",
            "State": "running", "Status": "Up 3 days", "Created": 1,
        }]),
        "/containers/m.app/json" => json!({
            "Id": "c0", "Name": "/m.app", "Image": "sha256:i0", "Config": {"Image": "busybox"}, "HostConfig": {},
            "State": {
                "Status": "running", "Running": true, "ExitCode": 0,
                "StartedAt": "2020-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z",
            },
        }),
        "/images/json" => json!([
            {"Id": "sha256:i0", "RepoTags": ["busybox:latest"], "ParentId": "", "Created": 1, "Size": 1},
            {"Id": "sha256:i1", "RepoTags": [], "ParentId": "", "Created": 1, "Size": 1},
        ]),
        "/networks" => json!([]),
        "/volumes" => json!({"Volumes": []}),
        _ => return None,
    })
}
