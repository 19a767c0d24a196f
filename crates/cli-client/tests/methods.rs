//! The methods beside the trait, on a live engine; see [`live`] for the variables. With
//! `DFAB_LIVE_REGISTRY` (`host:port` as the engine sees it; `user:password` in
//! `DFAB_LIVE_REGISTRY_LOGIN`), those of registries too.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "helpers of tests")]

mod live;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dfab_cli_client::CliBackend;
use dfab_cli_client::command::{ExecOptions, TableOptions};
use dfab_client::Backend;
use dfab_client::error::Error;
use dfab_client::streams::LogOptions;
use dfab_client::transfer::{BuildOptions, Progress, Reader};
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use dfab_map::value::Late;
use serde_json::json;
use tokio::io::AsyncReadExt;

const IMAGE: &str = "dfab-cli-methods";

fn name(text: &str) -> ImageName {
    ImageName::expand(text, None, None).unwrap()
}

fn spec(container: &str, image: &str, command: &[&str]) -> ContainerSpec {
    ContainerSpec {
        name: container.to_owned(),
        image: name(image),
        properties: Properties::from([(Property::Command, json!(command))]),
        first_endpoint: None,
        own_labels: Default::default(),
    }
}

/// A tar archive with one file.
fn archive(path: &str, content: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    archive.into_inner().unwrap()
}

fn reader(bytes: &[u8]) -> Reader {
    Box::new(std::io::Cursor::new(bytes.to_vec()))
}

async fn all(stream: Result<Reader, Error>) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.unwrap_or_else(|error| panic!("{}", shown(&error))).read_to_end(&mut bytes).await.unwrap();
    bytes
}

fn members(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect()
}

async fn clean_up(docker: &CliBackend) {
    for container in ["dfab-cli-m1", "dfab-cli-m2"] {
        let _ = docker.remove_container(container, true, true).await;
    }
    for tag in ["one", "two", "imported", "committed", "built"] {
        let _ = docker.remove_image(&format!("{IMAGE}:{tag}"), true).await;
    }
}

fn shown(error: &Error) -> String {
    format!("{error}: {}", error.cause)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_and_containers_go_out_and_come_back() {
    for place in live::places().await {
        let (way, docker) = (&place.name, place.backend());
        clean_up(&docker).await;

        docker.tag_image("busybox:latest", IMAGE, "one").await.unwrap();
        let id = docker.image_id(&name(&format!("{IMAGE}:one"))).await.unwrap();
        assert!(id.is_some(), "{way}");
        let saved = all(docker.save_image(&format!("{IMAGE}:one")).await).await;
        assert!(members(&saved).contains(&"manifest.json".to_owned()), "{way}");
        docker.remove_image(&format!("{IMAGE}:one"), false).await.unwrap();
        assert_eq!(docker.image_id(&name(&format!("{IMAGE}:one"))).await.unwrap(), None);
        docker.load_image(reader(&saved), &|_| {}).await.unwrap();
        assert_eq!(docker.image_id(&name(&format!("{IMAGE}:one"))).await.unwrap(), id, "{way}");
        let error = docker.load_image(reader(b"no archive at all"), &|_| {}).await.unwrap_err();
        assert!(!error.is_unreachable(), "{}", shown(&error));
        let error = docker.save_image("dfab-cli/no-such:1").await.err().unwrap();
        assert!(error.is_not_found(), "{}", shown(&error));

        docker.create_container(&spec("dfab-cli-m1", "busybox", &["sleep", "1000"])).await.unwrap();
        let data = reader(&archive("it's.txt", "a\nb"));
        docker.copy_to_container("dfab-cli-m1", "/tmp", data).await.unwrap();
        let copied = all(docker.copy_from_container("dfab-cli-m1", "/tmp/it's.txt").await).await;
        assert_eq!(members(&copied), ["it's.txt"], "{way}");
        let error = docker.copy_from_container("dfab-cli-m1", "/no/such").await.err().unwrap();
        assert!(error.is_not_found(), "{}", shown(&error));

        let exported = all(docker.export_container("dfab-cli-m1").await).await;
        assert!(members(&exported).contains(&"tmp/it's.txt".to_owned()), "{way}");
        docker.import_image(reader(&exported), IMAGE, "imported").await.unwrap();
        let images = docker.inspect_images(&[&format!("{IMAGE}:imported")]).await.unwrap();
        assert_eq!(images[0]["RepoTags"], json!([format!("{IMAGE}:imported")]), "{way}");

        let id = docker
            .commit_with_message("dfab-cli-m1", Some(&format!("{IMAGE}:committed")), "it's $HOME")
            .await
            .unwrap();
        assert_eq!(docker.image_id(&name(&format!("{IMAGE}:committed"))).await.unwrap(), Some(id), "{way}");
        let comment =
            docker.inspect_images(&[&format!("{IMAGE}:committed")]).await.unwrap()[0]["Comment"].clone();
        assert_eq!(comment, "it's $HOME", "{way}");

        docker.start_container("dfab-cli-m1").await.unwrap();
        docker.restart_container("dfab-cli-m1", Some(Duration::from_secs(1))).await.unwrap();
        docker.rename_container("dfab-cli-m1", "dfab-cli-m2").await.unwrap();
        assert!(docker.inspect_container("dfab-cli-m2").await.unwrap().is_some());
        let error = docker.rename_container("dfab-cli-m1", "x").await.unwrap_err();
        assert!(error.is_not_found(), "{}", shown(&error));
        clean_up(&docker).await;
    }
}

/// Texts that a shell, an option parser, or a character set could spoil.
const TEXTS: [&str; 12] = [
    "a b  c",
    "it's",
    "\"quoted\"",
    "$HOME ${HOME} $(id)",
    "`id`",
    "\\ back \\n",
    "two\nlines\n",
    "-x",
    "--rm=true",
    "; & | * ? ~ # ! < >",
    "ä€ 漢字 \u{1f40b}",
    "",
];

#[tokio::test(flavor = "multi_thread")]
async fn arguments_arrive_unharmed_whatever_is_in_them() {
    let container = "dfab-cli-a1";
    for place in live::places().await {
        let (way, docker) = (&place.name, place.backend());
        let _ = docker.remove_container(container, true, true).await;
        // Each word and variable in brackets, so that ends and empty ones show.
        let variables: String = (0..TEXTS.len()).map(|number| format!(" \"$T{number}\"")).collect();
        let script = format!("printf '[%s]' \"$@\"{variables}");
        let words: Vec<&str> = ["sh", "-c", &script, "-"].into_iter().chain(TEXTS).collect();
        let mut spec = spec(container, "busybox", &words);
        let numbered = TEXTS.iter().enumerate();
        let lines: Vec<String> = numbered.clone().map(|(number, text)| format!("T{number}={text}")).collect();
        let labels: BTreeMap<String, &str> =
            numbered.map(|(number, text)| (format!("t{number}"), *text)).collect();
        spec.properties.insert(Property::Environment, json!(lines));
        spec.properties.insert(Property::Labels, json!(labels));
        docker.create_container(&spec).await.unwrap_or_else(|error| panic!("{way}: {}", shown(&error)));
        docker.start_container(container).await.unwrap();
        docker.wait_container(container, None).await.unwrap();
        let expected: String = TEXTS.iter().chain(&TEXTS).map(|text| format!("[{text}]")).collect();
        let log = docker.container_logs(container, LogOptions::default()).await.unwrap();
        assert_eq!(String::from_utf8(log).unwrap(), expected, "{way}");
        let found = docker.inspect_container(container).await.unwrap().unwrap();
        for (name, text) in labels {
            assert_eq!(found.labels[&name], text, "{way}");
        }
        docker.remove_container(container, true, true).await.unwrap();
    }
}

const RUNNING: &str = "dfab-cli-f1";
const LINKED: &str = "dfab-cli-f2";

/// The flags that the trait has no words for.
#[tokio::test(flavor = "multi_thread")]
async fn flags_of_the_program_beside_the_trait_do_what_they_say() {
    for place in live::places().await {
        let (way, docker) = (&place.name, place.backend());
        for name in [LINKED, RUNNING] {
            let _ = docker.remove_container(name, true, true).await;
        }
        docker.create_container(&spec(RUNNING, "busybox", &["sleep", "100000"])).await.unwrap();
        docker.start_container(RUNNING).await.unwrap();

        let options = ExecOptions {
            user: Some("0:44".to_owned()),
            tty: true,
            environment: TEXTS
                .iter()
                .enumerate()
                .map(|(number, text)| (format!("T{number}"), (*text).to_owned()))
                .collect(),
            ..ExecOptions::default()
        };
        let words = [
            "sh",
            "-c",
            "{ id -g; test -t 2 && echo terminal; printf '%s|' \"$T0\" \"$T3\" \"$T6\"; } >/tmp/part; mv /tmp/part /tmp/seen",
        ];
        let words = words.map(str::to_owned);
        docker
            .exec_with(RUNNING, &words, &options)
            .await
            .unwrap_or_else(|error| panic!("{way}: {}", shown(&error)));
        let seen = seen(&docker).await;
        assert_eq!(seen, format!("44\nterminal\n{}|{}|{}|", TEXTS[0], TEXTS[3], TEXTS[6]), "{way}");

        let mut linked = spec(LINKED, "busybox", &["true"]);
        linked.properties.insert(Property::Links, json!([format!("{RUNNING}:db")]));
        docker.create_container(&linked).await.unwrap();
        // Names with a further slash are link aliases.
        let names = async |options: TableOptions| {
            let table = docker.table_of_containers(&options).await.unwrap();
            let names = table.as_array().unwrap().iter().flat_map(|row| row["Names"].as_array().unwrap());
            let names = names.map(|name| name.as_str().unwrap().to_owned());
            names.filter(|name| !name[1..].contains('/')).collect::<Vec<String>>()
        };
        let ours = ("name".to_owned(), "dfab-cli-f".to_owned());
        let running = names(TableOptions { filters: vec![ours.clone()], ..TableOptions::default() }).await;
        assert_eq!(running, [format!("/{RUNNING}")], "{way}");
        let created = TableOptions {
            all: true,
            filters: vec![ours, ("status".to_owned(), "created".to_owned())],
            ..TableOptions::default()
        };
        assert_eq!(names(created).await, [format!("/{LINKED}")], "{way}");
        let last = names(TableOptions { limit: Some(1), ..TableOptions::default() }).await;
        assert_eq!(last.len(), 1, "{way}: {last:?}");
        docker.remove_link(LINKED, "db").await.unwrap_or_else(|error| panic!("{way}: {}", shown(&error)));
        let error = docker.remove_link(LINKED, "db").await.unwrap_err();
        assert!(!error.is_unreachable(), "{way}: {}", shown(&error));
        assert!(docker.inspect_container(RUNNING).await.unwrap().is_some(), "{way}: a link is no container");

        let images = docker.images_in_detail(false, Some("busybox")).await.unwrap();
        assert_eq!(images.as_array().map(Vec::len), Some(1), "{way}: {images}");
        let networks = docker.find_networks(&["bridge"], &[]).await.unwrap();
        assert_eq!(networks[0]["Name"], "bridge", "{way}");
        let id = networks[0]["Id"].as_str().unwrap();
        assert_eq!(
            docker.find_networks(&[], &[id]).await.unwrap().as_array().map(Vec::len),
            Some(1),
            "{way}"
        );
        assert_eq!(docker.find_networks(&["no-such-network"], &[]).await.unwrap(), json!([]), "{way}");
        let history = docker.image_history("busybox:latest").await.unwrap();
        assert!(
            history[0]["Size"].as_u64().is_some() && history[0]["Created"].as_i64().is_some(),
            "{way}: {history}"
        );
        for name in [LINKED, RUNNING] {
            let _ = docker.remove_container(name, true, true).await;
        }
    }
}

/// What a detached command has written, once it has.
async fn seen(docker: &CliBackend) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match docker.copy_from_container(RUNNING, "/tmp/seen").await {
            Ok(stream) => {
                let archive = all(Ok(stream)).await;
                let mut archive = tar::Archive::new(archive.as_slice());
                let mut text = String::new();
                let mut file = archive.entries().unwrap().next().unwrap().unwrap();
                std::io::Read::read_to_string(&mut file, &mut text).unwrap();
                return text;
            }
            Err(error) => assert!(error.is_not_found() && Instant::now() < deadline, "{}", shown(&error)),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_built_from_a_stream() {
    for place in live::places().await {
        let (way, docker) = (&place.name, place.backend());
        let context =
            archive("Dockerfile", "FROM busybox:latest\nARG WORD\nLABEL word=$WORD\nCMD [\"true\"]\n");
        let options = BuildOptions {
            tag: format!("{IMAGE}:built"),
            buildargs: [("WORD".to_owned(), "a 'b' $HOME c".to_owned())].into(),
            rm: true,
            ..BuildOptions::default()
        };
        let log = Mutex::new(Vec::new());
        let id = docker
            .build_image(reader(&context), &options, &|line: Progress| {
                log.lock().unwrap().push(line.to_string())
            })
            .await
            .unwrap_or_else(|error| panic!("{way}: {}", shown(&error)))
            .unwrap();
        let images = docker.inspect_images(&[&id]).await.unwrap();
        assert_eq!(images[0]["RepoTags"], json!([format!("{IMAGE}:built")]), "{way}");
        assert_eq!(images[0]["Config"]["Labels"]["word"], "a 'b' $HOME c", "{way}");
        assert!(log.lock().unwrap().iter().any(|line| line.contains("FROM busybox")), "{way}");

        let context = archive("Dockerfile", "FROM busybox:latest\nRUN exit 7\n");
        // Without `forcerm` the engine keeps the container of the step that failed.
        let options = BuildOptions { forcerm: true, ..options };
        let error = docker.build_image(reader(&context), &options, &|_| {}).await.unwrap_err();
        assert!(shown(&error).contains('7'), "{way}: {}", shown(&error));
        docker.remove_image(&format!("{IMAGE}:built"), true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_logged_in_to_pushed_to_and_pulled_from() {
    let Ok(registry) = std::env::var("DFAB_LIVE_REGISTRY") else {
        println!("skipped: DFAB_LIVE_REGISTRY does not name a registry");
        return;
    };
    let login = std::env::var("DFAB_LIVE_REGISTRY_LOGIN").expect("DFAB_LIVE_REGISTRY_LOGIN is user:password");
    let (user, password) = login.split_once(':').expect("DFAB_LIVE_REGISTRY_LOGIN is user:password");
    let image = format!("{registry}/{IMAGE}:one");
    let auth = |password: &str| Auth {
        username: Late::Known(user.to_owned()),
        password: Late::Known(password.to_owned()),
        email: None,
    };
    for place in live::places().await {
        let (way, docker) = (&place.name, place.backend());
        assert!(!docker.login(Some(&registry), &auth("wrong")).await.unwrap(), "{way}");
        assert!(docker.login(Some(&registry), &auth(password)).await.unwrap(), "{way}");

        docker.tag_image("busybox:latest", &format!("{registry}/{IMAGE}"), "one").await.unwrap();
        let id = docker.image_id(&name(&image)).await.unwrap();
        docker
            .push_image(&name(&image), None, &|_| {})
            .await
            .unwrap_or_else(|error| panic!("{way}: {}", shown(&error)));
        docker.remove_image(&image, true).await.unwrap();
        let lines = Mutex::new(Vec::new());
        let progress = |line: dfab_client::backend::PullProgress| lines.lock().unwrap().push(line.status);
        docker.pull_image(&name(&image), Some(&auth(password)), &progress).await.unwrap();
        assert_eq!(docker.image_id(&name(&image)).await.unwrap(), id, "{way}");
        assert!(!lines.lock().unwrap().is_empty(), "{way}");
        // The credentials of a call count, not those that the host has stored.
        let error = docker.pull_image(&name(&image), Some(&auth("wrong")), &|_| {}).await.unwrap_err();
        assert!(shown(&error).contains("(401)"), "{way}: {}", shown(&error));
        let absent = name(&format!("{registry}/{IMAGE}:absent"));
        let error = docker.pull_image(&absent, Some(&auth(password)), &|_| {}).await.unwrap_err();
        assert!(error.is_not_found(), "{way}: {}", shown(&error));
        docker.remove_image(&image, true).await.unwrap();
        docker.logout(Some(&registry)).await.unwrap();
        let error = docker.pull_image(&name(&image), None, &|_| {}).await.unwrap_err();
        assert!(shown(&error).contains("(401)"), "{way}: {}", shown(&error));
    }
    let Some(place) = live::places().await.into_iter().next() else { return };
    let error = place.backend().pull_image(&name("127.0.0.1:9/x:1"), None, &|_| {}).await.unwrap_err();
    assert!(shown(&error).contains("connection refused"), "{}", shown(&error));
}
