//! What real `docker` programs make of our command lines: a stand-in for the engine records the
//! requests, so that no engine is needed. The programs are those of `DFAB_LIVE_DOCKER` (separated
//! by `:`), else the one in `PATH`, if any.

// Tests that are skipped say so.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use dfab_cli_client::{CliBackend, CliOptions, LocalShell};
use dfab_client::Backend;
use dfab_client::engine_json::inspected_container;
use dfab_client::error::{Cause, Error};
use dfab_client::registry::TOKEN_USER;
use dfab_map::canonical::canonical;
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, Properties};
use dfab_map::value::Late;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Programs on this machine that run at all.
fn programs() -> Vec<String> {
    let programs = std::env::var("DFAB_LIVE_DOCKER").unwrap_or_else(|_| "docker".to_owned());
    let runs = |program: &&str| {
        std::process::Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let found: Vec<String> = programs.split(':').filter(runs).map(str::to_owned).collect();
    if found.is_empty() {
        println!("skipped: no docker program in PATH or DFAB_LIVE_DOCKER");
    }
    found
}

/// Bodies of `POST /containers/create` and logins of `POST /images/create`, in order.
type Recorded = Arc<Mutex<Vec<Value>>>;

/// Answers like an engine of API 1.51 that agrees with everything.
fn stand_in(socket: &Path) -> Recorded {
    let listener = UnixListener::bind(socket).unwrap();
    let recorded = Recorded::default();
    let records = Arc::clone(&recorded);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve(connection, Arc::clone(&records)));
        }
    });
    recorded
}

async fn serve(connection: UnixStream, recorded: Recorded) {
    let mut connection = BufReader::new(connection);
    loop {
        let (mut request, mut length, mut login) = (String::new(), 0, None);
        if connection.read_line(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        loop {
            let mut header = String::new();
            connection.read_line(&mut header).await.unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("x-registry-auth")
            {
                let bytes = base64::engine::general_purpose::URL_SAFE.decode(value.trim()).unwrap();
                login = Some(serde_json::from_slice(&bytes).unwrap());
            }
        }
        let mut body = vec![0; length];
        connection.read_exact(&mut body).await.unwrap();
        let answer = if request.contains("/containers/create") {
            recorded.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            json!({"Id": "0".repeat(64), "Warnings": ["your kernel is odd"]})
        } else if request.contains("/images/create") {
            recorded.lock().unwrap().push(login.unwrap_or_default());
            json!({"status": "Status: Downloaded newer image"})
        } else if request.contains("/version") {
            json!({"Version": "20.10.24", "ApiVersion": "1.51", "MinAPIVersion": "1.12", "Os": "linux"})
        } else if request.contains("/info") {
            json!({"OSType": "linux", "IndexServerAddress": "https://index.docker.io/v1/"})
        } else {
            json!("OK")
        };
        let answer = if request.starts_with("HEAD") { String::new() } else { answer.to_string() };
        let head = format!(
            "HTTP/1.1 200 OK\r\nApi-Version: 1.51\r\nOSType: linux\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        connection.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
    }
}

/// Returns a backend that drives `program`, and what the engine that stands in for a real one records.
fn before_a_stand_in(program: &str, folder: &Path) -> (CliBackend, Recorded) {
    let socket = folder.join("engine.sock");
    let recorded = stand_in(&socket);
    let base_url = Some(format!("unix://{}", socket.display()));
    let options = CliOptions { binary: program.to_owned(), base_url, ..CliOptions::default() };
    (CliBackend::new(Arc::new(LocalShell::new()), options), recorded)
}

fn spec(properties: Properties) -> ContainerSpec {
    ContainerSpec {
        name: "m.web".to_owned(),
        image: ImageName::expand("image:1", None, None).unwrap(),
        properties,
        first_endpoint: None,
        own_labels: [("dfab.map".to_owned(), "m".to_owned())].into(),
    }
}

/// Sends `specs` through every program and returns what the engine would have got from each; null where the backend
/// refuses what the program would drop.
async fn sent(specs: &[ContainerSpec]) -> Vec<(String, Vec<Value>)> {
    let mut all = Vec::new();
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let (backend, recorded) = before_a_stand_in(&program, folder.path());
        for spec in specs {
            let warnings = backend.create_container(spec).await;
            if let Err(Error { cause: Cause::Unsupported(why), .. }) = &warnings
                && why.contains("which drops --")
            {
                recorded.lock().unwrap().push(Value::Null);
                continue;
            }
            let warnings =
                warnings.unwrap_or_else(|error| panic!("{program}: {spec:?}: {error}: {}", error.cause));
            assert!(warnings.contains(&"your kernel is odd".to_owned()), "{program}: {warnings:?}");
        }
        let recorded = recorded.lock().unwrap().clone();
        assert_eq!(recorded.len(), specs.len());
        all.push((program, recorded));
    }
    all
}

/// What inspection would show of a container that was created with `body`.
fn shown(body: &Value) -> Properties {
    let mut host = body["HostConfig"].clone();
    // The program always sends "not set"; engines keep null.
    if host["MemorySwappiness"] == -1 {
        host["MemorySwappiness"] = Value::Null;
    }
    let networks = json!({"Networks": body["NetworkingConfig"]["EndpointsConfig"]});
    let id = "0".repeat(64);
    let answer =
        json!({"Id": id, "Name": "/m.web", "Config": body, "HostConfig": host, "NetworkSettings": networks});
    inspected_container(&answer).unwrap().1.detail.unwrap().properties
}

#[tokio::test(flavor = "multi_thread")]
async fn every_property_arrives_as_the_api_backend_would_send_it() {
    use Property::*;
    let rows: Vec<(Property, Value)> = vec![
        (User, json!("2000:2001")),
        (Hostname, json!("host")),
        (Domainname, json!("example.com")),
        (Environment, json!(["A=1", "B=", "C=x \"y\" $Z `id` \\ 'q'\nnext", "D=ä€", "HOME"])),
        // As lines of standard input, from the program's environment, and on its command line.
        (
            Environment,
            json!(["A= x \"y\" $Z `id` \\ 'q' %s # = \t ", "PATH=/none", "DOCKER_HOST=tcp://x", "a.b=1"]),
        ),
        (
            Environment,
            json!(["A=\n", "KEY=a\r", "CRLF=a\r\n\r\n", format!("LONG={}", "x".repeat(70_000)), "Z="]),
        ),
        (
            Environment,
            json!(["A=a\rb", format!("NEAR={}", "x".repeat(65_529)), "d=a\nb", "IFS= \t\n", "#A=1"]),
        ),
        (Command, json!(["sh", "-c", "echo \"a b\" $HOME", "", "-x", "--", "*", "~"])),
        (Entrypoint, json!(["/bin/entry point", "-a", "b c"])),
        (Entrypoint, json!(["/entry"])),
        (WorkingDir, json!("/srv/a b")),
        (Labels, json!({"a": "b,c=d", "e": "", "x.y": "multi\nline"})),
        (Shares, json!(["/a", "/b c"])),
        (ExposedPorts, json!(["53/udp", "80/tcp", "90/sctp"])),
        (StopSignal, json!("SIGQUIT")),
        (StopTimeout, json!(7)),
        (
            Healthcheck,
            json!({"Test": ["CMD", "curl", "-f", "http://a b/"], "Interval": 30_000_000_000_u64, "Timeout": 5_000_000_000_u64, "Retries": 3, "StartPeriod": 1_000_000_000}),
        ),
        (Healthcheck, json!({"Test": ["CMD-SHELL", "curl -f \"http://x/\" || exit 1"]})),
        (Healthcheck, json!({"Test": ["NONE"]})),
        (Healthcheck, json!({"Interval": 1_500_000_000})),
        (Tty, json!(true)),
        (StdinOpen, json!(true)),
        (NetworkDisabled, json!(true)),
        (MacAddress, json!("92:d0:c6:0a:29:33")),
        (Binds, json!(["/host path:/a:ro", "vol:/b:rw", "vol2:/c"])),
        (
            Mounts,
            json!([{"Type": "bind", "Source": "/a,b \"c\"", "Target": "/c", "ReadOnly": true, "BindOptions": {"Propagation": "rslave"}}]),
        ),
        (
            Mounts,
            json!([{"Type": "volume", "Source": "v", "Target": "/v", "VolumeOptions": {"NoCopy": true, "Labels": {"l": "1"}, "DriverConfig": {"Name": "local", "Options": {"o": "uid=1,gid=2"}}}}]),
        ),
        (
            Mounts,
            json!([{"Type": "tmpfs", "Target": "/t", "TmpfsOptions": {"SizeBytes": 1_048_576, "Mode": 1023}}]),
        ),
        (VolumesFrom, json!(["c1", "c2:ro"])),
        (VolumeDriver, json!("local")),
        (Links, json!(["m.db:db"])),
        (
            PortBindings,
            json!({"80/tcp": [{"HostPort": "8080"}, {"HostIp": "127.0.0.1", "HostPort": "8081"}], "53/udp": [{"HostIp": "::1", "HostPort": "53"}], "90/sctp": [{}]}),
        ),
        (PublishAllPorts, json!(true)),
        (NetworkMode, json!("host")),
        (NetworkMode, json!("container:m.db")),
        (NetworkMode, json!("none")),
        (RestartPolicy, json!({"Name": "on-failure", "MaximumRetryCount": 3})),
        (RestartPolicy, json!({"Name": "unless-stopped"})),
        (AutoRemove, json!(true)),
        (Init, json!(true)),
        (Runtime, json!("runc")),
        (Privileged, json!(true)),
        (ReadOnly, json!(true)),
        (CapAdd, json!(["NET_ADMIN", "SYS_TIME"])),
        (CapDrop, json!(["ALL"])),
        (SecurityOpt, json!(["apparmor=unconfined", "no-new-privileges", "seccomp=unconfined"])),
        (
            Devices,
            json!([{"PathOnHost": "/dev/null", "PathInContainer": "/dev/x", "CgroupPermissions": "r"}]),
        ),
        (DeviceRequests, json!([{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}])),
        (
            DeviceRequests,
            json!([{"DeviceIDs": ["0", "1"], "Capabilities": [["gpu", "utility"]], "Options": {"a": "b"}}]),
        ),
        (Dns, json!(["192.0.2.2", "192.0.2.1"])),
        (DnsSearch, json!(["example.com", "."])),
        (DnsOptions, json!(["ndots:1"])),
        (ExtraHosts, json!(["a:192.0.2.1", "b:2001:db8::1"])),
        (GroupAdd, json!(["adm", "1000"])),
        (CgroupParent, json!("/parent")),
        (PidMode, json!("host")),
        (IpcMode, json!("private")),
        (UtsMode, json!("host")),
        (UsernsMode, json!("host")),
        (Sysctls, json!({"net.ipv4.ip_forward": "1"})),
        (Tmpfs, json!({"/run": "", "/tmp": "rw,size=1m"})),
        (
            Ulimits,
            json!([{"Name": "core", "Soft": -1, "Hard": -1}, {"Name": "nofile", "Soft": 10, "Hard": 20}]),
        ),
        (LogConfig, json!({"Type": "json-file", "Config": {"max-size": "1m", "tag": "{{.Name}} x"}})),
        (StorageOpt, json!({"size": "10G"})),
        (ShmSize, json!(67_108_864)),
        (OomScoreAdj, json!(-5)),
        (OomKillDisable, json!(true)),
        (MemSwappiness, json!(60)),
        (MemLimit, json!(536_870_912)),
        (MemReservation, json!(268_435_456)),
        (MemswapLimit, json!(-1)),
        (MemswapLimit, json!(1_073_741_824)),
        (KernelMemory, json!(67_108_864)),
        (CpuShares, json!(512)),
        (CpuPeriod, json!(50_000)),
        (CpuQuota, json!(25_000)),
        (CpusetCpus, json!("0-1")),
        (CpusetMems, json!("0")),
        (NanoCpus, json!(1_500_000_001)),
        (BlkioWeight, json!(300)),
        (CpuRtPeriod, json!(1_000_000)),
        (CpuRtRuntime, json!(950_000)),
        (CgroupnsMode, json!("private")),
        (DeviceCgroupRules, json!(["c 1:3 rwm"])),
        (BlkioWeightDevice, json!([{"Path": "/dev/null", "Weight": 100}])),
        (DeviceReadBps, json!([{"Path": "/dev/null", "Rate": 1024}])),
        (DeviceReadIops, json!([{"Path": "/dev/null", "Rate": 1024}])),
        (DeviceWriteBps, json!([{"Path": "/dev/null", "Rate": 1024}])),
        (DeviceWriteIops, json!([{"Path": "/dev/null", "Rate": 1024}])),
        (PidsLimit, json!(100)),
        (PidsLimit, json!(-1)),
    ];
    for property in Property::ALL {
        assert!(rows.iter().any(|(row, _)| row == property), "no row for {property}");
    }
    let specs: Vec<ContainerSpec> =
        rows.iter().map(|(property, value)| spec([(*property, value.clone())].into())).collect();
    let mut broken = Vec::new();
    for (program, bodies) in sent(&specs).await {
        for ((property, value), body) in rows.iter().zip(&bodies).filter(|(_, body)| !body.is_null()) {
            let mut shown = shown(body);
            // The program sends variables in any order; they are compared by name.
            let mut expected = canonical(*property, value);
            for variables in
                [shown.get_mut(&Environment), Some(&mut expected).filter(|_| *property == Environment)]
            {
                if let Some(Value::Array(lines)) = variables {
                    lines.sort_by_key(ToString::to_string);
                }
            }
            // Engines since API 1.42 ignore it, and the program no longer sends it to them.
            if *property == KernelMemory && !shown.contains_key(property) {
                expected = Value::Null;
            }
            let found = shown.get(property).cloned().unwrap_or_default();
            if found != expected {
                broken.push(format!("{program}: {property}: sent {found}, asked {expected}"));
            }
            assert_eq!(body["Labels"]["dfab.map"], "m", "{program}: {property}");
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_without_properties_asks_for_nothing() {
    for (program, bodies) in sent(&[spec(Properties::new())]).await {
        assert_eq!(shown(&bodies[0]), Properties::new(), "{program}");
    }
}

/// An identity token goes to the engine as one, and not as the password of a user `<token>`.
#[tokio::test(flavor = "multi_thread")]
async fn a_pull_hands_on_a_password_or_an_identity_token() {
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let (backend, recorded) = before_a_stand_in(&program, folder.path());
        let image = ImageName::expand("reg.example.com:5000/x:1", None, None).unwrap();
        for (username, password) in [("u", "p:w"), (TOKEN_USER, "t0")] {
            let auth = Auth {
                username: Late::Known(username.to_owned()),
                password: Late::Known(password.to_owned()),
                email: None,
            };
            let pulled = backend.pull_image(&image, Some(&auth), &|_| {}).await;
            pulled.unwrap_or_else(|error| panic!("{program}: {error}: {}", error.cause));
        }
        let recorded = recorded.lock().unwrap().clone();
        let of = |login: &Value, field: &str| login[field].as_str().unwrap_or_default().to_owned();
        let fields = ["username", "password", "identitytoken", "serveraddress"];
        let found: Vec<Vec<String>> =
            recorded.iter().map(|login| fields.map(|field| of(login, field)).to_vec()).collect();
        let registry = "reg.example.com:5000";
        assert_eq!(found, [["u", "p:w", "", registry], ["", "", "t0", registry]], "{program}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_endpoint_is_part_of_creation() {
    let endpoint = EndpointSpec {
        network: "m.front".to_owned(),
        aliases: ["a".to_owned(), "b".to_owned()].into(),
        links: ["m.db:db".to_owned()].into(),
        ipv4_address: Some("10.0.0.2".to_owned()),
        ipv6_address: Some("2001:db8::2".to_owned()),
        link_local_ips: ["169.254.1.1".to_owned()].into(),
    };
    let spec = ContainerSpec { first_endpoint: Some(endpoint), ..spec(Properties::new()) };
    for (program, bodies) in sent(&[spec]).await {
        let found = &bodies[0]["NetworkingConfig"]["EndpointsConfig"]["m.front"];
        assert_eq!(bodies[0]["HostConfig"]["NetworkMode"], "m.front", "{program}");
        assert_eq!(found["Aliases"], json!(["a", "b"]), "{program}");
        assert_eq!(found["Links"], json!(["m.db:db"]), "{program}");
        assert_eq!(found["IPAMConfig"]["IPv4Address"], "10.0.0.2", "{program}");
        assert_eq!(found["IPAMConfig"]["IPv6Address"], "2001:db8::2", "{program}");
        assert_eq!(found["IPAMConfig"]["LinkLocalIPs"], json!(["169.254.1.1"]), "{program}");
    }
}
