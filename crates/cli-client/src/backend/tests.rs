//! The backend over a stand-in for the program that replays what docker 20.10 and 28.2 have printed.

use std::error::Error as _;
use std::sync::Mutex;

use dfab_client::observe;
use dfab_map::observed::{ContainerState, Wanted};
use dfab_map::value::Late;

use super::call::generation;
use super::*;
use crate::echo::Echo;
use crate::fake::{Fake, Reply};
use crate::options::Sudo;

const VERSION: &str = r#"{"Client":{"Version":"20.10.24+dfsg1","ApiVersion":"1.41"},"Server":{"Version":"28.5.2","ApiVersion":"1.51","MinAPIVersion":"1.24"}}"#;

fn version() -> Reply<'static> {
    Reply { args: "version --format={{json .}}", stdout: VERSION.as_bytes(), ..Reply::default() }
}

fn container(name: &str, id: char) -> String {
    let id = id.to_string().repeat(64);
    format!(
        r#"{{"Id":"{id}","Name":"/{name}","State":{{"Status":"running","Running":true}},"Image":"sha256:1","Config":{{"Labels":{{"dfab.map":"m"}},"Cmd":["sleep","1"]}},"HostConfig":{{}},"Mounts":[{{"Type":"volume","Name":"m.data","Destination":"/d","RW":true}}],"NetworkSettings":{{"Networks":{{"m.front":{{"NetworkID":"n1"}}}}}}}}"#
    )
}

fn wanted(names: &[&str]) -> Wanted {
    Wanted { containers: names.iter().map(|&name| name.to_owned()).collect(), ..Wanted::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observation_takes_three_channels() {
    let list = format!("{}\n{}\n", container("m.a", 'a'), container("m.b", 'b'));
    let both = format!("[{},{}]", container("m.a", 'a'), container("m.b", 'b'));
    let line = command::list_containers().then.unwrap().join(" ");
    let inspect_ids = format!("{line} a b");
    let fake = Fake::new(&[
        version(),
        Reply { args: "ps --all=true --no-trunc=true --quiet=true", stdout: b"a\nb\n", ..Reply::default() },
        Reply { args: &inspect_ids, stdout: list.as_bytes(), ..Reply::default() },
        Reply { args: "network ls --no-trunc=true --quiet=true", stdout: b"n1\nn2\n", ..Reply::default() },
        Reply {
            args: "network inspect n1 n2",
            stdout: br#"[{"Name":"m.front","Id":"n1","Driver":"bridge","Created":"2020"},{"Name":"gone","Id":"n2","Driver":"bridge"}]"#,
            ..Reply::default()
        },
        Reply { args: "volume ls --quiet=true", stdout: b"m.data\nvanished\n", ..Reply::default() },
        Reply {
            args: "volume inspect m.data vanished",
            stdout: br#"[{"Name":"m.data","Driver":"local"}]"#,
            stderr: "Error: No such volume: vanished\n",
            status: 1,
            ..Reply::default()
        },
        Reply {
            args: "images --no-trunc=true --digests=true --format={{json .}}",
            stdout: br#"{"Repository":"docker.io/library/x","Tag":"1","Digest":"<none>","ID":"sha256:1"}"#,
            ..Reply::default()
        },
        Reply { args: "inspect --type=container m.a m.b", stdout: both.as_bytes(), ..Reply::default() },
    ]);
    let backend = fake.backend(CliOptions::default());
    let observed = observe(&backend, &wanted(&["m.a", "m.b", "m.none"])).await.unwrap();
    assert_eq!(observed.engine.api_version, (1, 41));
    assert_eq!(observed.engine.engine_version, "28.5.2");
    let names: Vec<&str> = observed.containers.keys().map(String::as_str).collect();
    assert_eq!(names, ["m.a", "m.b"]);
    assert_eq!(observed.containers["m.a"].state, ContainerState::Running);
    let detail = observed.containers["m.a"].detail.as_ref().unwrap();
    assert_eq!(detail.properties[&Property::Command], json!(["sleep", "1"]));
    assert_eq!(observed.networks["m.front"].containers.len(), 2);
    assert_eq!(observed.volumes["m.data"].holders.len(), 2);
    assert_eq!(observed.images["x:1"], "sha256:1");
    assert_eq!((backend.channels(), backend.requests()), (3, 6));
    fake.assert_tidy();
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_containers_are_none_and_other_failures_are_errors() {
    let one = format!("[{}]", container("m.a", 'a'));
    let fake = Fake::new(&[
        Reply {
            args: "inspect --type=container m.a m.b",
            stdout: one.as_bytes(),
            stderr: "Error: No such container: m.b\n",
            status: 1,
            ..Reply::default()
        },
        Reply {
            args: "inspect --type=container m.c",
            stdout: b"[]\n",
            stderr: "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n",
            status: 1,
            ..Reply::default()
        },
    ]);
    let backend = fake.backend(CliOptions::default());
    let (a, b, again) = tokio::join!(
        backend.inspect_container("m.a"),
        backend.inspect_container("m.b"),
        backend.inspect_container("m.a")
    );
    assert!(a.unwrap().is_some() && b.unwrap().is_none() && again.unwrap().is_some());
    assert_eq!(backend.channels(), 1);
    let error = backend.inspect_container("m.c").await.unwrap_err();
    assert!(error.is_unreachable());
    assert_eq!(error.to_string(), "failed to inspect container `m.c` on `local engine`");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_together_share_a_channel() {
    let fake = Fake::new(&[
        Reply { args: "start a", ..Reply::default() },
        Reply { args: "start b", ..Reply::default() },
    ]);
    let backend = fake.backend(CliOptions::default());
    let (a, b) = tokio::join!(backend.start_container("a"), backend.start_container("b"));
    a.and(b).unwrap();
    assert_eq!((backend.channels(), backend.requests()), (1, 2));
    backend.start_container("a").await.unwrap();
    assert_eq!((backend.channels(), backend.requests()), (2, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_expressed_is_said_before_anything_is_run() {
    let fake = Fake::new(&[version()]);
    let backend = fake.backend(CliOptions::default());
    let mut spec = ContainerSpec {
        name: "c".into(),
        image: ImageName::expand("x", None, None).unwrap(),
        properties: Properties::from([(Property::SecurityOpt, json!(["seccomp={}"]))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    };
    let error = backend.create_container(&spec).await.unwrap_err();
    assert!(matches!(error.cause, Cause::Unsupported(_)), "{}", error.cause);
    let with_nul = [
        (Property::User, json!("a\0b")),
        (Property::Environment, json!(["A=a\0b"])),
        (Property::Environment, json!(["A=a\nb\0"])),
    ];
    for property in with_nul {
        spec.properties = Properties::from([property]);
        let error = backend.create_container(&spec).await.unwrap_err();
        assert!(matches!(error.cause, Cause::Input(_)), "{}", error.cause);
    }
    assert_eq!(fake.calls().len(), 1, "only the version was asked for");
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_returns_the_warnings() {
    let id = format!("{}\n", "a1".repeat(32));
    let fake = Fake::new(&[
        version(),
        Reply {
            args: "create --pull=never --name=c x:latest",
            stdout: id.as_bytes(),
            stderr: "WARNING: Your kernel does not support swap limit capabilities.\n",
            ..Reply::default()
        },
    ]);
    let spec = ContainerSpec {
        name: "c".into(),
        image: ImageName::expand("x", None, None).unwrap(),
        properties: Properties::new(),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    };
    let warnings = fake.backend(CliOptions::default()).create_container(&spec).await.unwrap();
    assert_eq!(warnings, ["Your kernel does not support swap limit capabilities."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_with_a_code_or_without() {
    let fake = Fake::new(&[
        Reply { args: "wait a", stdout: b"137\n", ..Reply::default() },
        Reply { args: "wait b", script: "sleep 5\n", ..Reply::default() },
        Reply {
            args: "wait c",
            stderr: "Error response from daemon: No such container: c\n",
            status: 1,
            ..Reply::default()
        },
    ]);
    let backend = fake.backend(CliOptions::default());
    assert_eq!(backend.wait_container("a", None).await.unwrap(), Some(137));
    assert_eq!(backend.wait_container("b", Some(Duration::from_millis(10))).await.unwrap(), None);
    assert!(backend.wait_container("c", None).await.unwrap_err().is_not_found());
}

/// Polls a call until the program was called so many times.
async fn until_called(fake: &Fake, times: usize, call: impl Future<Output = impl std::fmt::Debug>) {
    let called = async {
        while fake.calls().len() < times {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        ended = call => panic!("{ended:?}"),
        () = called => {}
    }
}

fn endless_waits() -> Fake {
    let wait = |args| Reply { args, script: "exec sleep 60\n", ..Reply::default() };
    let stop = Reply { args: "stop a", stdout: b"a\n", ..Reply::default() };
    Fake::new(&[wait("wait a"), wait("wait b"), stop])
}

/// What would have ended the container waited for the channel of those who wait for its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_wait_that_is_given_up_leaves_its_channel() {
    for timeout in [None, Some(Duration::from_secs(60))] {
        let fake = endless_waits();
        let backend = fake.backend(CliOptions { channels: 1, ..CliOptions::default() });
        until_called(&fake, 1, backend.wait_container("a", timeout)).await;
        let stopped = tokio::time::timeout(Duration::from_secs(20), backend.stop_container("a", None)).await;
        stopped.expect("a channel is free").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_without_an_end_leave_a_channel_for_other_commands() {
    let fake = endless_waits();
    let backend = fake.backend(CliOptions { channels: 2, ..CliOptions::default() });
    let first = backend.wait_container("a", None);
    tokio::pin!(first);
    until_called(&fake, 1, &mut first).await;
    let others = async {
        // Time for the second wait to take a channel, which it must not.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let stopped = tokio::time::timeout(Duration::from_secs(20), backend.stop_container("a", None)).await;
        stopped.expect("a channel is free").unwrap();
    };
    tokio::select! {
        ended = first => panic!("{ended:?}"),
        ended = backend.wait_container("b", None) => panic!("{ended:?}"),
        () = others => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_reports_lines_and_keeps_its_login_to_itself() {
    let fake = Fake::new(&[]);
    fake.program(
        "docker",
        "#!/bin/sh\n[ \"$1\" = --config ] || exit 9\ngrep -q dTpzZWNyZXQ= \"$2/config.json\" || exit 8\n\
         echo '1: Pulling from x'\necho '5040bd298390: Pull complete'\n",
    );
    let echoed = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&echoed);
    let options = CliOptions {
        echo: Some(Arc::new(move |echo: Echo| sink.lock().unwrap().push(echo))),
        ..CliOptions::default()
    };
    let auth = Auth { username: "u".into(), password: Late::Known("secret".into()), email: None };
    let image = ImageName::expand("reg.example.com/x:1", None, None).unwrap();
    let lines = Mutex::new(Vec::new());
    let backend = fake.backend(options);
    backend.pull_image(&image, Some(&auth), &|line| lines.lock().unwrap().push(line)).await.unwrap();
    let lines = lines.into_inner().unwrap();
    assert_eq!((lines.len(), lines[1].layer.as_str()), (2, "5040bd298390"));
    let echoed = echoed.lock().unwrap();
    assert_eq!(echoed[0], Echo::Run { line: "docker pull reg.example.com/x:1".into() });
    assert!(!format!("{echoed:?}").contains("secret"));
    fake.assert_tidy();
}

/// Logins by the registry's host, `None` of which is none.
#[derive(Debug)]
struct Known;

#[async_trait]
impl dfab_client::registry::Credentials for Known {
    async fn find(
        &self,
        registry: Option<&str>,
    ) -> std::result::Result<Option<Auth>, dfab_client::error::Source> {
        match registry {
            Some("known.example") => {
                Ok(Some(Auth { username: "u".into(), password: Late::Known("secret".into()), email: None }))
            }
            Some("locked.example") => Err("the helper is locked".into()),
            _ => Ok(None),
        }
    }
}

/// Logins of the variables, and of this machine, were for the API backend only.
#[tokio::test(flavor = "multi_thread")]
async fn pulls_and_pushes_without_a_login_use_one_that_is_known() {
    let fake = Fake::new(&[]);
    fake.program(
        "docker",
        "#!/bin/sh\n[ \"$1\" = --config ] && grep -q dTpzZWNyZXQ= \"$2/config.json\" && exit 0\nexit 9\n",
    );
    let backend = fake.backend(CliOptions { credentials: Some(Arc::new(Known)), ..CliOptions::default() });
    for (registry, expected) in [
        ("known.example", None),
        ("other.example", Some("9")),
        ("locked.example", Some("the helper is locked")),
    ] {
        let image = ImageName::expand(&format!("{registry}/x:1"), None, None).unwrap();
        for result in
            [backend.pull_image(&image, None, &|_| {}).await, backend.push_image(&image, None, &|_| {}).await]
        {
            let failed = result.err().map(|error| error.cause.to_string());
            match (&failed, expected) {
                (None, None) => {}
                (Some(text), Some(part)) => assert!(text.contains(part), "{registry}: {text}"),
                _ => panic!("{registry}: {failed:?}"),
            }
        }
    }
    fake.assert_tidy();
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_echoed_only_when_debugging() {
    for (debug, expected) in [(false, 0), (true, 2)] {
        let fake = Fake::new(&[version()]);
        let echoed = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&echoed);
        let echo: crate::options::EchoSink = Arc::new(move |echo: Echo| sink.lock().unwrap().push(echo));
        let backend = fake.backend(CliOptions { debug, echo: Some(echo), ..CliOptions::default() });
        backend.engine_info().await.unwrap();
        assert_eq!(echoed.lock().unwrap().len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_without_the_program_say_what_to_do() {
    let fake = Fake::new(&[]);
    let backend = fake.backend(CliOptions { binary: "/nowhere/docker".into(), ..CliOptions::default() });
    let error = backend.engine_info().await.unwrap_err();
    let source = error.cause.source().unwrap().to_string();
    assert_eq!(
        source,
        "docker command line client `/nowhere/docker` not found on `local engine`; install it there, or set \
         `docker_cli_bin`"
    );
}

/// A list is the proof that there is nothing; "not found" of anything but an element must not make it empty.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_asked_for_is_no_empty_list() {
    let nowhere = CliOptions { binary: "/nowhere/docker".into(), ..CliOptions::default() };
    let backend = Fake::new(&[]).backend(nowhere);
    assert!(backend.list_volumes().await.unwrap_err().is_unreachable());
    assert!(backend.list_containers().await.unwrap_err().is_unreachable());
    assert!(backend.images_in_detail(false, None).await.unwrap_err().is_unreachable());
    for (stderr, status, is_unreachable) in [
        ("sudo: docker: command not found\n", 1, true),
        ("sh: 1: docker: not found\n", 127, true),
        (
            "error during connect: Get \"http://nosuchhost.invalid:2375/v1.24/volumes\": dial tcp: lookup \
             nosuchhost.invalid: no such host\n",
            1,
            true,
        ),
        (
            "failed to connect to the docker API at tcp://nosuchhost.invalid:2375: lookup nosuchhost.invalid: no such \
             host\n",
            1,
            true,
        ),
        ("Failed to load the configuration: open /x/config.json: no such file or directory\n", 1, false),
        ("context \"x\": context not found: open /x/meta.json: no such file or directory\n", 1, false),
        ("Error: No such volume: x\nError response from daemon: plugin \"y\" not found\n", 1, false),
        ("", 1, false),
    ] {
        let fake = Fake::new(&[
            Reply { args: "volume ls --quiet=true", stderr, status, ..Reply::default() },
            Reply { args: "network ls --no-trunc=true --quiet=true", stdout: b"n1\n", ..Reply::default() },
            Reply { args: "network inspect n1", stdout: b"[]\n", stderr, status, ..Reply::default() },
        ]);
        let backend = fake.backend(CliOptions::default());
        for error in [backend.list_volumes().await.unwrap_err(), backend.list_networks().await.unwrap_err()] {
            assert_eq!(error.is_unreachable(), is_unreachable, "{stderr}: {}", error.cause);
        }
    }
    for stderr in [
        "Error: No such network: n1\n",
        "Error response from daemon: network n1 not found\n",
        "Error: No such network: n1\nError response from daemon: network n2 not found\n\n",
    ] {
        let fake = Fake::new(&[
            Reply { args: "network ls --no-trunc=true --quiet=true", stdout: b"n1\n", ..Reply::default() },
            Reply { args: "network inspect n1", stdout: b"[]\n", stderr, status: 1, ..Reply::default() },
        ]);
        assert!(fake.backend(CliOptions::default()).list_networks().await.unwrap().is_empty(), "{stderr}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_run_is_unreachable() {
    let answer = br#"{"Client":{"Version":"28.2.2","ApiVersion":"1.50"},"Server":null}"#;
    let stderr =
        "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\n";
    let reply =
        Reply { args: "version --format={{json .}}", stdout: answer, stderr, status: 1, ..Reply::default() };
    let error = Fake::new(&[reply]).backend(CliOptions::default()).engine_info().await.unwrap_err();
    assert!(error.is_unreachable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_room_for_temporary_files_is_no_usable_shell() {
    let fake = Fake::new(&[version()]);
    let shell = fake.shell().with_variable("TMPDIR", "/nowhere");
    let backend = CliBackend::new(Arc::new(shell), CliOptions::default());
    let error = backend.engine_info().await.unwrap_err();
    let source = error.cause.source().unwrap().to_string();
    assert!(
        source.starts_with(
            "the shell on `local engine` gives no usable answer: it cannot make a temporary folder"
        ),
        "{source}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_prepared_on_the_host() {
    let fake = Fake::new(&[]);
    let folder = fake.path("volume");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    fake.program("docker", &format!("#!/bin/sh\necho '{}'\n", folder.display()));
    fake.program("sudo", "#!/bin/sh\nshift\nexec \"$@\"\n");
    let backend = fake.backend(CliOptions { sudo: Sudo::Yes, ..CliOptions::default() });
    let spec = PrepareSpec { volume: "v".into(), mode: Some("0750".into()), ..PrepareSpec::default() };
    backend.prepare_volume_on_host(&spec).await.unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(folder.join("file")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o750);
    let spec = PrepareSpec { mode: Some("nonsense".into()), ..spec };
    assert!(backend.prepare_volume_on_host(&spec).await.is_err());
    assert!(backend.runs_on_host());
}

#[tokio::test(flavor = "multi_thread")]
async fn information_has_the_shape_of_the_engine_api() {
    let fake = Fake::new(&[
        version(),
        Reply {
            args: "ps --no-trunc=true --format={{json .}}",
            stdout: br#"{"ID":"abc","Image":"img:1","CreatedAt":"2017-02-14 10:11:12 +0100 CET","Status":"Up 2 hours","State":"running","Names":"web","Command":"\"sleep 1\"","Ports":"443/tcp"}"#,
            ..Reply::default()
        },
        Reply { args: "images --no-trunc=true --quiet=true", stdout: b"sha256:1\nsha256:1\n", ..Reply::default() },
        Reply {
            args: "inspect --type=image sha256:1 sha256:1",
            stdout: br#"[{"Id":"sha256:1","RepoTags":["a:1"],"Created":"1970-01-01T00:01:00Z","Size":7,"Parent":""},{"Id":"sha256:1"}]"#,
            ..Reply::default()
        },
        Reply { args: "network ls --no-trunc=true --quiet=true", ..Reply::default() },
        Reply { args: "volume ls --quiet=true", ..Reply::default() },
    ]);
    let backend = fake.backend(CliOptions::default());
    let version = backend.information(Information::Version).await.unwrap();
    assert_eq!((&version["Version"], &version["Client"]["ApiVersion"]), (&json!("28.5.2"), &json!("1.41")));
    let containers = backend.information(Information::Containers { all: false }).await.unwrap();
    assert_eq!(
        (&containers[0]["Names"], &containers[0]["Ports"][0]["PrivatePort"]),
        (&json!(["/web"]), &json!(443))
    );
    let images = backend.information(Information::Images { all: false }).await.unwrap();
    assert_eq!(images.as_array().map(Vec::len), Some(1));
    assert_eq!((&images[0]["Created"], &images[0]["RepoTags"]), (&json!(60), &json!(["a:1"])));
    assert_eq!(backend.information(Information::Networks).await.unwrap(), json!([]));
    assert_eq!(
        backend.information(Information::Volumes).await.unwrap(),
        json!({"Volumes": [], "Warnings": null})
    );
}

#[test]
fn the_generation_of_a_program_is_read_from_its_version() {
    for (version, expected) in [
        ("20.10.24+dfsg1", Some((20, 10))),
        ("28.2.2", Some((28, 2))),
        ("26.1", Some((26, 1))),
        ("", None),
        ("x", None),
    ] {
        assert_eq!(generation(version), expected, "{version}");
    }
}
