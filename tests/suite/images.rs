//! Images from Dockerfiles, on every engine of the lab and over both backends; and the utilities of the host's
//! `docker` program.

use std::sync::{Arc, Mutex};

use dfab_cli_client::{CliBackend, CliOptions, RemoteShell};
use dfab_client::build::{AddFile, BuildRequest, DockerFile, build_from_file};
use dfab_client::transfer::{BuildOptions, Progress};
use dfab_client::{ApiBackend, ApiOptions};
use dfab_client::{Backend, LocalConnector};
use dfab_map::image::ImageName;
use dfab_map::spec::{ContainerSpec, Properties};
use dfab_tests::{Host, Project, lab_or_skip};
use dfab_tunnel::options::{Auth, HostKeys, KeyFile};
use dfab_tunnel::{ConnectOptions, Session};

async fn session(host: &Host<'_>) -> Arc<Session> {
    let options = ConnectOptions {
        auth: Auth { keys: vec![KeyFile::named(host.lab.client_key())], ..Auth::default() },
        host_keys: HostKeys { files: vec![host.lab.known_hosts()], ..HostKeys::default() },
        ..ConnectOptions::new(&host.address, "deploy")
    };
    Arc::new(Session::connect(options).await.expect("the lab lets `deploy` in"))
}

/// Both backends of a host: the API through its socket, the program through SSH.
fn backends(host: &Host<'_>, session: &Arc<Session>) -> [(&'static str, Arc<dyn Backend>); 2] {
    let socket = host.docker_host();
    let socket = LocalConnector::unix(socket.strip_prefix("unix://").expect("it is a socket"));
    let shell = RemoteShell::new(&host.name, Arc::clone(session));
    [
        ("api", Arc::new(ApiBackend::new(Arc::new(socket), ApiOptions::default()))),
        ("cli", Arc::new(CliBackend::new(Arc::new(shell), CliOptions::default()))),
    ]
}

fn shown(error: &dfab_client::Error) -> String {
    format!("{error}: {}", error.cause)
}

const SECRET: &str = "hunter2 'quoted' $HOME `id`";

/// Files with names that `ADD` takes for something else, an archive, a build argument, and properties.
fn dockerfile(folder: &std::path::Path) -> DockerFile {
    for name in ["it's $HOME.txt", "a [1] *.txt", "b\\c.txt", "plain"] {
        std::fs::write(folder.join(name), format!("{name}\n")).expect("a file can be written");
    }
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(9);
    header.set_mode(0o600);
    archive.append_data(&mut header, "from/archive", &b"archived\n"[..]).expect("it fits");
    let archive = archive.into_inner().expect("it is in memory");
    std::fs::write(folder.join("a.tar"), archive).expect("a file can be written");

    let mut file = DockerFile::new("busybox:latest");
    let mut write = || -> Result<(), dfab_client::build::Error> {
        for name in ["it's $HOME.txt", "a [1] *.txt", "b\\c.txt", "plain"] {
            let source = folder.join(name).to_str().expect("it is UTF-8").to_owned();
            let target = Some(format!("/srv/files/{name}"));
            file.add_file(&AddFile { target, ..AddFile::new(source) })?;
        }
        let source = folder.join("plain").to_str().expect("it is UTF-8").to_owned();
        let target = Some("/srv/gone".to_owned());
        file.add_file(&AddFile { target, remove_final: true, ..AddFile::new(source) })?;
        file.add_archive(folder.join("a.tar"), false)?;
        file.prefix("ARG", ["TOKEN"])?;
        file.run(["echo \"$TOKEN\" >/srv/token"])?;
        file.add_volume("/data")?;
        let properties = file.properties()?;
        properties.entrypoint = Some(["/bin/sh", "-c"].into());
        properties.command =
            Some(["cat /srv/files/* /from/archive /srv/token; ls /srv; echo $0; id -u; pwd"].into());
        properties.command_user = Some("0".into());
        properties.command_workdir = Some("/srv/files".into());
        properties.expose = Some(vec!["80".into(), "53/udp".into()]);
        properties.labels = Some([("a \"b\" $c", "d\\e\nf")].into());
        properties.stop_signal = Some("SIGQUIT".into());
        properties.health_check = Some("NONE".into());
        Ok(())
    };
    write().expect("the file can be written");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_a_dockerfile_runs_on_every_engine_over_both_backends() {
    let lab = lab_or_skip!();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let expected = "a [1] *.txt\nb\\c.txt\nit's $HOME.txt\nplain\narchived\n\
                    hunter2 'quoted' $HOME `id`\nfiles\ntoken\n/bin/sh\n0\n/srv/files\n";
    for number in lab.generations() {
        let host = lab.take(number);
        let session = session(&host).await;
        for (way, backend) in backends(&host, &session) {
            let place = format!("{} ({}), {way}", host.name, host.engine);
            let mut file = dockerfile(folder.path());
            let options = BuildOptions {
                tag: format!("built/{way}:1"),
                buildargs: [("TOKEN".to_owned(), SECRET.to_owned())].into(),
                rm: true,
                nocache: true,
                ..BuildOptions::default()
            };
            let request = BuildRequest { options, add_tags: vec!["2".into()], add_latest_tag: true };
            let lines = Mutex::new(Vec::new());
            let log = |line: Progress| lines.lock().expect("no panic").push(line.to_string());
            let built = build_from_file(backend.as_ref(), &mut file, &request, &log).await;
            let built = built.unwrap_or_else(|error| panic!("{place}: {}\n{lines:?}", shown(&error)));
            assert_eq!(
                built.added_names,
                [format!("built/{way}:2"), format!("built/{way}:latest")],
                "{place}"
            );
            assert!(
                lines.lock().expect("no panic").iter().any(|line| line.contains("ARG TOKEN")),
                "{place}: {lines:?}"
            );

            let image = ImageName::expand(&format!("built/{way}:latest"), None, None).expect("it is a name");
            let spec = ContainerSpec {
                name: format!("built_map.{way}"),
                image: image.clone(),
                properties: Properties::new(),
                first_endpoint: None,
                own_labels: Default::default(),
            };
            backend
                .create_container(&spec)
                .await
                .unwrap_or_else(|error| panic!("{place}: {}", shown(&error)));
            backend
                .start_container(&spec.name)
                .await
                .unwrap_or_else(|error| panic!("{place}: {}", shown(&error)));
            backend.wait_container(&spec.name, None).await.expect("the container ends");
            let output = backend.container_logs(&spec.name, Default::default()).await.expect("it has a log");
            assert_eq!(String::from_utf8_lossy(&output), expected, "{place}");
            let labels = host.container(&spec.name, "{{json .Config.Labels}}").expect("it is there");
            // A Dockerfile cannot hold a line break in a value: it joins the lines.
            assert!(labels.contains(r#""a \"b\" $c":"d\\ef""#), "{place}: {labels}");
            backend.remove_container(&spec.name, true, true).await.expect("it is there");

            // What fails says what, and leaves no image.
            let mut failing = DockerFile::new("busybox:latest");
            failing.run(["echo before; exit 7"]).expect("it is one instruction");
            let options = BuildOptions { tag: "built/failing:1".into(), rm: true, ..BuildOptions::default() };
            let request = BuildRequest { options, ..BuildRequest::default() };
            let failed = build_from_file(backend.as_ref(), &mut failing, &request, &|_| {}).await;
            let error = failed.expect_err("the command fails");
            assert!(shown(&error).contains('7'), "{place}: {}", shown(&error));
            let image = ImageName::expand("built/failing:1", None, None).expect("it is a name");
            assert_eq!(backend.image_id(&image).await.expect("the engine answers"), None, "{place}");
        }
        session.close().await.expect("the session is open");
        host.run("docker ps -aq | xargs -r docker rm -f -v");
        host.expect_no_leftovers();
    }
}

fn members(path: &std::path::Path) -> Vec<String> {
    let file = std::fs::File::open(path).expect("the archive is there");
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(file));
    let entries = archive.entries().expect("it is an archive");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("it is whole").path().expect("a name").display().to_string())
        .collect();
    names.sort();
    names
}

/// A container with files to fetch.
fn container(host: &Host<'_>) {
    host.run(
        "docker run -d --name src_map.app busybox:latest sh -c '
             mkdir -p /var/lib/app/data1/old /var/lib/app/data2
             echo a >/var/lib/app/data1/a.log; echo b >/var/lib/app/data1/old/b.log; echo h >/var/lib/app/data1/.hidden
             echo c >/var/lib/app/data2/c; echo ready; sleep 100000'
         until docker logs src_map.app | grep -q ready; do sleep 0.1; done",
    );
}

#[test]
fn utilities_fetch_and_keep_what_a_container_has() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        let host = lab.take(number);
        container(&host);
        let project = Project::new(&[]);
        let call = |arguments: &[&str]| {
            project.dfab_in(&lab, &[&["-H", &host.name], arguments].concat()).run().expect_code(0);
        };
        let got = |name: &str| project.path().join(name);
        call(&["cli.copy_resource", "src_map.app", "/var/lib/app/data1", "."]);
        assert_eq!(members(&got("container_src_map.app.tar.gz")), [".hidden", "a.log", "old/", "old/b.log"]);
        call(&["cli.copy_resource", "src_map.app", "/etc/passwd", "p.tar.gz", "false"]);
        assert_eq!(members(&got("p.tar.gz")), ["passwd"]);
        let data = "/var/lib/app/data1;/var/lib/app/data2";
        let map = "--dst-directories=/var/lib/app/data1=d1;*=others";
        call(&["cli.isolate_and_get", "src_map.app", data, "i.tar.gz", map, "--apply-chmod=true"]);
        let expected = ["d1/", "d1/.hidden", "d1/a.log", "d1/old/", "d1/old/b.log", "others/", "others/c"];
        assert_eq!(members(&got("i.tar.gz")), expected);
        call(&["cli.copy_resources", "src_map.app", data, "/tmp/kept", map, "--apply-chmod=0750"]);
        let found =
            host.run("cd /tmp/kept && find . -type f | sort && stat -c %a d1/a.log && rm -rf /tmp/kept");
        assert_eq!(found, "./d1/.hidden\n./d1/a.log\n./d1/old/b.log\n./others/c\n750");
        call(&["cli.isolate_to_image", "src_map.app", data, "isolated:1", map]);
        let listed = host.run("docker create --name x_map.y isolated:1 none >/dev/null && docker export x_map.y | tar -t | grep -c d1/old/b.log; docker rm x_map.y >/dev/null");
        assert_eq!(listed, "1");
        host.run("docker tag busybox:latest flat:1");
        let layers = "docker inspect --format '{{len .RootFS.Layers}} {{.Config.Cmd}}'";
        host.run("printf 'FROM busybox\\nRUN touch /one\\nRUN touch /two\\nCMD [\"x\"]\\n' | DOCKER_BUILDKIT=0 docker build -q -t layered:1 - >/dev/null");
        call(&["cli.flatten_image", "layered:1", "flat:1"]);
        assert_eq!(host.run(&format!("{layers} flat:1")), "1 []");
        call(&["cli.save_image", "flat:1", "."]);
        assert!(members(&got("image_flat.tar.gz")).contains(&"manifest.json".to_owned()));
        host.expect_no_leftovers();

        // What fails says why, writes no file, and leaves nothing.
        for (arguments, expected) in [
            (&["cli.copy_resource", "src_map.app", "/none", "no.tar.gz"][..], "/none"),
            (&["cli.copy_resource", "absent", "/etc", "no.tar.gz"], "absent"),
            (&["cli.save_image", "absent:1", "no.tar.gz"], "absent:1"),
            (&["cli.isolate_and_get", "src_map.app", "/etc;/none", "no.tar.gz"], "/none"),
            (&["cli.isolate_to_image", "src_map.app", "/none", "no:1"], "/none"),
            (&["cli.flatten_image", "layered:1", "no:1", "/bin/absent"], "/bin/absent"),
        ] {
            let outcome =
                project.dfab_in(&lab, &[&["-H", &host.name], arguments].concat()).run().expect_code(1);
            assert!(outcome.to_string().contains(expected), "{arguments:?}: {outcome}");
            assert!(!got("no.tar.gz").exists(), "{arguments:?}");
            assert_eq!(host.run("docker images -q no:1"), "");
        }
        host.expect_no_leftovers();
        host.run("docker rm -f -v src_map.app");
    }
}

#[test]
fn ctrl_c_under_a_utility_leaves_nothing_on_the_host() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    container(&host);
    let project = Project::new(&[]);
    host.run("printf 'FROM busybox\\nRUN touch /one\\n' | docker build -q -t layered:1 - >/dev/null");
    // Enough to be interrupted in.
    host.run("docker exec src_map.app dd if=/dev/urandom of=/var/lib/app/large bs=1M count=100 2>/dev/null");
    for (arguments, sign) in [
        // A command that does not end: the temporary container runs when the signal comes.
        (&["cli.flatten_image", "layered:1", "flat:1", "sleep 1000"][..], "docker ps -q --filter name=dfab."),
        (
            &["cli.isolate_and_get", "src_map.app", "/var/lib/app", "x.tar.gz"],
            "ls -d /tmp/dfab.* 2>/dev/null || true",
        ),
    ] {
        let mut running = project.dfab_in(&lab, &[&["-H", &host.name], arguments].concat()).start();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while host.run(sign).is_empty() && !running.has_ended() {
            assert!(std::time::Instant::now() < deadline, "{arguments:?}: nothing begins");
        }
        let outcome = running.interrupt_until_it_ends();
        // One that was quick enough has ended well.
        assert!(matches!(outcome.status.code(), Some(130 | 0)), "{arguments:?}: {outcome}");
        host.expect_no_leftovers();
    }
    host.run("docker rm -f -v src_map.app");
}

#[test]
fn docker_build_takes_a_folder_a_dockerfile_and_an_archive() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let project = Project::new(&[]);
    let folder = project.path().join("app");
    std::fs::create_dir(&folder).expect("a folder can be made");
    for (name, text) in [
        ("Dockerfile", "FROM busybox\nARG TOKEN\nCOPY . /srv\nRUN ls /srv; echo \"$TOKEN\" | wc -c\n"),
        (".dockerignore", "*.log\n"),
        ("kept.txt", ""),
        ("ignored.log", ""),
    ] {
        std::fs::write(folder.join(name), text).expect("a file can be written");
    }
    for backend in ["api", "cli"] {
        let build = |arguments: &[&str]| {
            let call = [&["-H", &host.name, "--backend", backend, "docker.build"], arguments].concat();
            project.dfab_in(&lab, &call).env("TOKEN", "hunter2").run()
        };
        let outcome =
            build(&["by:1", "app", "--buildargs=TOKEN", "--add-tags=2;3", "--add-latest-tag", "--nocache"]);
        let outcome = outcome.expect_code(0);
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(text.contains("docker: kept.txt") && !text.contains("ignored.log"), "{text}");
        assert!(text.contains("built by:1, by:2, by:3, by:latest"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let tags = host.run("docker images --format '{{.Tag}}' by | sort | tr '\\n' ' '");
        assert_eq!(tags.trim(), "1 2 3 latest", "{backend}");

        std::fs::write(project.path().join("Alone"), "FROM busybox\nRUN exit 9\n")
            .expect("a file can be written");
        let text = build(&["alone:1", "Alone", "--forcerm"]).expect_code(1).to_string();
        assert!(text.contains("returned a non-zero code: 9"), "{text}");
        let text = build(&["x", "app", "--dockerfile=none"]).expect_code(2).to_string();
        assert!(text.contains("`app`"), "{text}");
        let dry = build(&["x", "app", "--dry-run"]).expect_code(0).to_string();
        assert!(dry.contains("would build x from app"), "{dry}");
        host.run("docker images -q by | sort -u | xargs -r docker rmi -f");
    }
    host.expect_no_leftovers();
}
