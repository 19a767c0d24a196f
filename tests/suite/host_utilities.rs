//! Utilities of `dfab_tasks` on a real host: what commands answer there, and that nothing stays
//! (clients-tasks §7).

use std::cell::RefCell;
use std::sync::Arc;

use async_trait::async_trait;
use dfab_client::apply::CancellationToken;
use dfab_client::error::Source;
use dfab_client::shortcuts::{Flavour, Group, User};
use dfab_client::{ApiBackend, ApiOptions, Backend};
use dfab_map::image::ImageName;
use dfab_tasks::container::{TempContainer, temp_container};
use dfab_tasks::host::directories::{TempDir, is_directory, temp_dir};
use dfab_tasks::host::{Commands, Error, network, users};
use dfab_tasks::setup::Finished;
use dfab_tests::engine::{Socket, login, login_options};
use dfab_tests::lab_or_skip;
use dfab_tunnel::{Command, Session, Sudo};

/// `deploy` on a host.
struct Deploy(Arc<Session>);

#[async_trait(?Send)]
impl Commands for Deploy {
    async fn run(&self, line: &str, root: bool) -> Result<Finished, Source> {
        let mut command = Command::line(line).shell("sh -c");
        if root {
            command = command.sudo(Sudo::default());
        }
        let finished = self.0.output(&command).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Finished {
            failed: (!finished.exit.is_success()).then(|| finished.exit.to_string()),
            stdout: text(&finished.stdout),
            stderr: text(&finished.stderr),
        })
    }
}

#[tokio::test]
async fn users_and_groups_are_made_once() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let remove = "userdel dfab-user 2>/dev/null; groupdel dfab-user 2>/dev/null; groupdel dfab-group 2>/dev/null; true";
    host.run(remove);
    let session = login(login_options(&host)).await;
    let deploy = Deploy(Arc::clone(&session));
    let flavour = Flavour::Debian;

    assert_eq!(users::get_user_id(&deploy, "dfab-user").await.unwrap(), None);
    assert_eq!(users::get_user_groups(&deploy, "dfab-user").await.unwrap(), None);
    assert_eq!(users::get_group_id(&deploy, "dfab-group").await.unwrap(), None);
    let group = Group { gid: Some(23_001), ..Group::new("dfab-group") };
    for _ in 0..2 {
        let made = users::get_or_create_group(&deploy, &group, true, flavour).await.unwrap();
        assert_eq!(made, 23_001);
    }
    let other = Group { gid: Some(23_009), ..group.clone() };
    let error = users::get_or_create_group(&deploy, &other, true, flavour).await.unwrap_err();
    assert!(matches!(error, Error::GroupId { present: 23_001, required: 23_009 }), "{error}");

    let user = User { uid: Some(23_000), ..User::new("dfab-user") };
    for groups in [&[][..], &["dfab-group"], &["dfab-group", "docker"]] {
        let made = users::get_or_create_user(&deploy, &user, groups, true, flavour).await.unwrap();
        assert_eq!(made, 23_000);
        let found = users::get_user_groups(&deploy, "dfab-user").await.unwrap().unwrap();
        assert!(groups.iter().all(|group| found.iter().any(|found| found == group)), "{found:?} {groups:?}");
        // Newer versions of `adduser` put everybody into `users`.
        let asked_for = found.iter().filter(|group| *group != "users");
        assert_eq!(asked_for.count(), groups.len(), "{found:?}");
    }
    assert_eq!(users::get_group_id(&deploy, "dfab-user").await.unwrap(), Some(23_000));
    let other = User { uid: Some(23_009), ..user };
    let error = users::get_or_create_user(&deploy, &other, &[], true, flavour).await.unwrap_err();
    assert!(matches!(error, Error::UserId { present: 23_000, required: 23_009 }), "{error}");
    session.close().await.unwrap();
    host.run(remove);
}

#[tokio::test]
async fn a_directory_of_the_host_goes_after_success_failure_and_cancellation() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let session = login(login_options(&host)).await;
    let deploy = Deploy(Arc::clone(&session));
    let (warnings, seen) = (RefCell::new(Vec::new()), RefCell::new(String::new()));
    for (owner, ending) in
        [(None, "well"), (Some("root"), "well"), (Some("root"), "failure"), (None, "cancelled")]
    {
        let options = TempDir {
            apply_chown: owner.map(Into::into),
            apply_chmod: Some("u=rwX,g=rX,o=".into()),
            ..TempDir::default()
        };
        let cancel = CancellationToken::new();
        let mut warn = |warning| warnings.borrow_mut().push(warning);
        let done: Result<(), Error> = temp_dir(&deploy, &options, &cancel, &mut warn, async |path| {
            seen.replace(path.to_owned());
            let is_root = owner == Some("root");
            assert_eq!(is_directory(&deploy, path, is_root).await?, Some(true));
            assert_eq!(is_directory(&deploy, &format!("{path}/none"), is_root).await?, None);
            let shown = host.run(&format!("stat -c '%U %a' {path}; echo x >{path}/file"));
            assert_eq!(shown, format!("{} 750", owner.unwrap_or("deploy")));
            assert_eq!(is_directory(&deploy, &format!("{path}/file"), is_root).await?, Some(false));
            match ending {
                "failure" => Err(Error::Interface("x".into())),
                "cancelled" => {
                    cancel.cancel();
                    std::future::pending().await
                }
                _ => Ok(()),
            }
        })
        .await;
        assert_eq!(done.is_ok(), ending == "well", "{ending}");
        host.run(&format!("[ ! -e {} ]", seen.borrow()));
    }
    assert!(warnings.borrow().is_empty(), "{warnings:?}");
    session.close().await.unwrap();
    host.expect_no_leftovers();
}

#[tokio::test]
async fn addresses_of_a_host_by_every_program() {
    let lab = lab_or_skip!();
    let host = lab.take(1);
    let session = login(login_options(&host)).await;
    let deploy = Deploy(Arc::clone(&session));
    let interface = host
        .run("ip -o -4 addr show | awk -v a=$(hostname -I | cut -d' ' -f1) '$4 ~ \"^\"a\"/\" {print $2}'");
    let found = network::get_ip4_address(&deploy, &interface).await.unwrap().unwrap();
    assert_eq!(found.to_string(), host.run("hostname -I | cut -d' ' -f1"));
    assert_eq!(network::get_ip6_address(&deploy, "lo").await.unwrap().map(network::expanded).as_deref(), {
        let has_six = !host.run("ip -6 -o addr show dev lo").is_empty();
        has_six.then_some("0000:0000:0000:0000:0000:0000:0000:0001")
    });
    let error = network::get_ip4_address(&deploy, "no such").await.unwrap_err();
    assert_eq!(error.to_string(), "Network interface no such not found.");
    session.close().await.unwrap();
}

#[tokio::test]
async fn a_temporary_container_goes_on_every_engine() {
    let lab = lab_or_skip!();
    for number in lab.generations() {
        let host = lab.take(number);
        let session = login(login_options(&host)).await;
        let engine = ApiBackend::new(Arc::new(Socket::new(&host, &session)), ApiOptions::default());
        let image = ImageName::expand("busybox", None, None).unwrap();
        let options = TempContainer {
            no_op: vec!["/bin/sh".into(), "-c".into(), "exit 4".into()],
            ..TempContainer::new(image)
        };
        for ending in ["well", "failure", "cancelled"] {
            let (cancel, warnings) = (CancellationToken::new(), RefCell::new(Vec::new()));
            let mut warn = |warning| warnings.borrow_mut().push(warning);
            let done: Result<(), dfab_client::Error> =
                temp_container(&engine, &options, &cancel, &mut warn, async |name| {
                    assert_eq!(
                        host.container(name, "{{.State.ExitCode}} {{.HostConfig.RestartPolicy.Name}}")
                            .unwrap(),
                        "4 no"
                    );
                    match ending {
                        "failure" => engine.kill_container(name, None).await,
                        "cancelled" => {
                            cancel.cancel();
                            std::future::pending().await
                        }
                        _ => Ok(()),
                    }
                })
                .await;
            assert_eq!(done.is_ok(), ending == "well", "{ending}");
            assert_eq!(*warnings.borrow(), ["the command that should do nothing ended with status 4"]);
            assert_eq!(host.containers(), [""; 0], "{ending}");
        }
        session.close().await.unwrap();
    }
}
