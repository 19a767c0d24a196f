//! The API backend against a small HTTP server in this process: what goes over the wire, and what a
//! failure there becomes.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

#[path = "common/server.rs"]
mod server;

use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use dfab_client::connector::{Connector, Stream};
use dfab_client::error::{Cause, Source};
use dfab_client::streams::LogOptions;
use dfab_client::{ApiBackend, ApiOptions, Backend, observe};
use dfab_map::image::ImageName;
use dfab_map::observed::Wanted;
use server::{Server, backend};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};

/// Answers by path; everything else is an empty list.
fn answer(request: &str) -> Option<(u16, String)> {
    let path = request.split(' ').nth(1).unwrap_or_default();
    Some(match path {
        path if path.ends_with("/volumes") => (200, r#"{"Volumes": null}"#.into()),
        path if path.contains("/silent/") => return None,
        path if path.contains("/refusing/") => (409, r#"{"message": "it is in use"}"#.into()),
        path if path.contains("/garbled/") => (200, "<html>".into()),
        path if path.contains("/build?") => {
            (200, r#"{"stream": "Successfully built 0123456789ab\n"}"#.into())
        }
        path if path.contains("/images/load") => (200, String::new()),
        path if path.ends_with("/m.short/json") => (200, r#"{"Config": {}}"#.into()),
        path if path.ends_with("/m.stop-300/json") => (200, r#"{"Config": {"StopTimeout": 300}}"#.into()),
        path if path.ends_with("/m.stop-never/json") => (200, r#"{"Config": {"StopTimeout": -1}}"#.into()),
        path if path.ends_with("/m.unknown/json") => (404, r#"{"message": "No such container"}"#.into()),
        path if path.ends_with("/exec") => (201, r#"{"Id": "e1"}"#.into()),
        path if path.contains("/exec/e1/start") => (200, String::new()),
        path if path.contains("/images/create") => (200, r#"{"status": "Pulling"}"#.into()),
        path if path.ends_with("/start") => (204, String::new()),
        _ => (200, "[]".into()),
    })
}

#[tokio::test]
async fn every_path_has_the_negotiated_version_and_connections_are_reused() {
    let server = Server::new("1.43", answer);
    let backend = backend(&server, ApiOptions::default());
    for _ in 0..3 {
        observe(&backend, &Wanted::default()).await.unwrap();
    }
    // Through bollard, which would send no version at all.
    backend.start_container("m.web").await.unwrap();
    let requests = server.requests.lock().unwrap().clone();
    assert_eq!(requests[0], "GET /_ping HTTP/1.1");
    assert!(requests[1..].iter().all(|request| request.contains(" /v1.43/")), "{requests:?}");
    assert_eq!(requests.last().unwrap(), "POST /v1.43/containers/m.web/start HTTP/1.1");
    assert_eq!(backend.requests(), requests.len() as u64);
    assert_eq!(requests.len(), 1 + 3 * 4 + 1, "the version is asked for once");
    let connections = server.connections.load(Ordering::Relaxed);
    assert!(connections <= 5, "{connections} connections for four requests at once");
}

#[tokio::test]
async fn no_more_connections_are_opened_than_allowed() {
    let server = Server::new("1.41", answer);
    let backend = backend(&server, ApiOptions { connections: 2, ..ApiOptions::default() });
    let all = (0..20).map(|_| backend.list_volumes());
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 2);
}

/// A way that bears four connections, as those over SSH that use a channel for each bear a few.
struct Narrow(Arc<dyn Connector>);

#[async_trait]
impl Connector for Narrow {
    fn host(&self) -> &str {
        self.0.host()
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        self.0.connect().await
    }

    fn most(&self) -> Option<usize> {
        Some(4)
    }
}

fn narrow() -> (Arc<Server>, ApiBackend) {
    let server = Server::new("1.41", answer);
    let connector = Arc::new(Narrow(server::connector(&server)));
    (server, ApiBackend::new(connector, ApiOptions::default()))
}

#[tokio::test]
async fn no_more_connections_are_opened_than_the_way_bears() {
    let (server, backend) = narrow();
    for result in futures_util::future::join_all((0..20).map(|_| backend.list_volumes())).await {
        result.unwrap();
    }
    assert_eq!(server.connections.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn logs_that_the_way_does_not_bear_are_refused_at_once() {
    let (_server, backend) = narrow();
    let all = (0..3).map(|_| backend.log_lines("m.web", LogOptions::default(), true));
    let logs = futures_util::future::join_all(all).await;
    let refused: Vec<String> =
        logs.iter().filter_map(|log| Some(log.as_ref().err()?.cause.to_string())).collect();
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].starts_with("2 logs and event streams"), "{refused:?}");
    // Two connections are left.
    backend.list_volumes().await.unwrap();
}

/// Waits took all connections, and what would have ended their containers got none.
#[tokio::test]
async fn waits_without_an_end_leave_connections_for_other_calls() {
    let (server, backend) = narrow();
    let waits = futures_util::future::join_all((0..6).map(|_| backend.wait_container("silent", None)));
    let others = async {
        let waiting = || server.requests.lock().unwrap().iter().filter(|line| line.contains("/wait")).count();
        while waiting() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Time for more of them to come, which must not.
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(waiting(), 2);
        backend.list_volumes().await.unwrap();
    };
    tokio::select! {
        ended = waits => panic!("{ended:?}"),
        () = others => {}
    }
}

#[tokio::test]
async fn failures_are_told_apart() {
    // clients-tasks D-02: without a word about it there is a limit.
    assert_eq!(ApiOptions::default().timeout, Duration::from_secs(60));
    let server = Server::new("1.41", answer);
    let options = ApiOptions { timeout: Duration::from_millis(200), ..ApiOptions::default() };
    let backend = backend(&server, options);
    // `/containers/NAME/json`: the name chooses the answer.
    let cause = async |name: &str| backend.inspect_container(name).await.unwrap_err().cause;
    assert!(matches!(cause("silent").await, Cause::Timeout(time) if time == Duration::from_millis(200)));
    assert!(matches!(cause("garbled").await, Cause::Answer(_)));
    match cause("refusing").await {
        Cause::Refused { status: 409, message } => assert_eq!(message, "it is in use"),
        other => panic!("{other:?}"),
    }
    // The same through bollard.
    let refused = backend.kill_container("refusing", None).await.unwrap_err();
    assert!(refused.is_conflict());
    assert_eq!(refused.to_string(), "failed to send SIGKILL to container `refusing` on `test`");
}

#[tokio::test]
async fn an_engine_that_is_too_old_is_said_to_be() {
    let server = Server::new("1.39", answer);
    let error = backend(&server, ApiOptions::default()).list_networks().await.unwrap_err();
    assert!(error.cause.to_string().contains("Docker 19.03 or later is needed"), "{}", error.cause);
}

/// An older version than the engine's newest may be too old for it, which only `/version` says.
#[tokio::test]
async fn an_engine_that_is_to_speak_an_older_version_is_asked_for_its_oldest() {
    let server = Server::new("1.43", answer);
    let options = ApiOptions { version: Some((1, 41)), ..ApiOptions::default() };
    backend(&server, options).list_networks().await.unwrap();
    let requests = server.requests.lock().unwrap().clone();
    let expected = ["GET /_ping HTTP/1.1", "GET /version HTTP/1.1", "GET /v1.41/networks HTTP/1.1"];
    assert_eq!(requests, expected);
}

/// engine D-47: the source takes a wait that runs out of time for a broken connection.
#[tokio::test]
async fn a_wait_that_runs_out_of_time_is_an_answer() {
    let server = Server::new("1.41", answer);
    let backend = backend(&server, ApiOptions::default());
    let waited = backend.wait_container("silent", Some(Duration::from_millis(50))).await;
    assert_eq!(waited.unwrap(), None);
}

/// engine D-49: the source stays attached, and waits for the end of the command.
#[tokio::test]
async fn commands_are_started_detached() {
    let server = Server::new("1.41", answer);
    let backend = backend(&server, ApiOptions::default());
    backend.exec("m.web", &["sleep".to_owned(), "3".to_owned()], Some("app:adm")).await.unwrap();
    let whole = server.whole.lock().unwrap().clone();
    let bodies: Vec<serde_json::Value> =
        whole.iter().filter_map(|(_, body)| serde_json::from_str(body).ok()).collect();
    let [create, start] = bodies.as_slice() else { panic!("{whole:?}") };
    assert_eq!(create["Cmd"], serde_json::json!(["sleep", "3"]));
    assert_eq!(create["User"], "app:adm");
    assert_eq!((&create["AttachStdout"], &create["AttachStderr"]), (&false.into(), &false.into()));
    assert_eq!(start["Detach"], true);
}

fn upload(text: &'static str) -> dfab_client::transfer::Reader {
    Box::new(io::Cursor::new(text))
}

/// A step of a build may be silent for hours, and a load is until its end.
#[tokio::test(start_paused = true)]
async fn an_engine_that_has_all_of_an_upload_may_work_in_silence() {
    let server = Server::new("1.41", answer);
    *server.slow.lock().unwrap() = Some(("POST", Duration::from_secs(3000)));
    let backend = backend(&server, ApiOptions::default());
    let built = backend.build_image(upload("context"), &Default::default(), &|_| {}).await;
    assert_eq!(built.unwrap().as_deref(), Some("0123456789ab"));
    backend.load_image(upload("image"), &|_| {}).await.unwrap();
    // What is given a limit keeps it.
    let options = dfab_client::transfer::BuildOptions {
        timeout: Some(Duration::from_secs(2000)),
        ..Default::default()
    };
    let cause = backend.build_image(upload("context"), &options, &|_| {}).await.unwrap_err().cause;
    assert!(matches!(cause, Cause::Timeout(limit) if limit == Duration::from_secs(2000)), "{cause}");
    let cause = backend.import_image(upload("files"), "x", "1").await.unwrap_err().cause;
    assert!(matches!(cause, Cause::Timeout(limit) if limit == Duration::from_secs(300)), "{cause}");
}

/// An upload that stands still is given up, whatever the engine would do with it.
#[tokio::test(start_paused = true)]
async fn an_upload_that_stands_still_is_given_up() {
    let server = Server::new("1.41", answer);
    let backend = backend(&server, ApiOptions::default());
    let (_ours, theirs) = tokio::io::duplex(64);
    let cause = backend.load_image(Box::new(theirs), &|_| {}).await.unwrap_err().cause;
    assert!(matches!(cause, Cause::Timeout(limit) if limit == Duration::from_secs(300)), "{cause}");
}

/// The engine waits for as long as a container says where a stop says nothing.
#[tokio::test(start_paused = true)]
async fn a_stop_has_the_time_of_its_container() {
    // 60 s for the answer, and 10 s, or what the container has.
    for (name, late, expected) in [
        ("m.short", 66, None),
        ("m.short", 74, Some(70)),
        ("m.stop-300", 350, None),
        ("m.stop-300", 370, Some(360)),
        ("m.stop-never", 5000, None),
        ("m.unknown", 74, Some(70)),
    ] {
        for restart in [false, true] {
            let server = Server::new("1.41", answer);
            let part = if restart { "/restart" } else { "/stop" };
            *server.slow.lock().unwrap() = Some((part, Duration::from_secs(late)));
            let backend = backend(&server, ApiOptions::default());
            let result = match restart {
                true => backend.restart_container(name, None).await,
                false => backend.stop_container(name, None).await,
            };
            let limit = match result.map_err(|error| error.cause) {
                Ok(()) => None,
                Err(Cause::Timeout(limit)) => Some(limit.as_secs()),
                Err(other) => panic!("{name} {late}: {other}"),
            };
            assert_eq!(limit, expected, "{name} {late} {restart}");
            let requests = server.requests.lock().unwrap().clone();
            let asked = requests.iter().filter(|request| request.contains("/json")).count();
            assert_eq!(asked, usize::from(late > 70), "{requests:?}");
        }
    }
    let server = Server::new("1.41", answer);
    *server.slow.lock().unwrap() = Some(("/stop?t=5", Duration::from_secs(80)));
    let backend = backend(&server, ApiOptions::default());
    let stopped = backend.stop_container("m.stop-300", Some(Duration::from_secs(5)));
    let cause = stopped.await.unwrap_err().cause;
    assert!(matches!(cause, Cause::Timeout(limit) if limit == Duration::from_secs(65)), "{cause}");
}

/// engine D-52: without a login for its registry, the source takes an image for one that cannot be pulled.
#[tokio::test]
async fn an_image_is_pulled_with_and_without_a_login() {
    let server = Server::new("1.41", answer);
    let backend = backend(&server, ApiOptions::default());
    let image = ImageName::expand("quay.io/org/app:2", None, None).unwrap();
    let auth = dfab_map::model::Auth { username: "u".into(), password: "p".into(), email: None };
    for (login, sent) in [(None, false), (Some(&auth), true)] {
        backend.pull_image(&image, login, &|_| {}).await.unwrap();
        let (head, _) = server.whole.lock().unwrap().last().cloned().unwrap();
        assert!(head.starts_with("POST /v1.41/images/create?"), "{head}");
        assert!(head.contains("fromImage=quay.io%2Forg%2Fapp") && head.contains("tag=2"), "{head}");
        assert_eq!(head.to_lowercase().contains("x-registry-auth:"), sent, "{head}");
    }
}

struct Nowhere;

#[async_trait]
impl Connector for Nowhere {
    fn host(&self) -> &str {
        "web1"
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        Err("the host key of `web1` is not known".into())
    }
}

#[tokio::test]
async fn what_the_connector_says_is_the_source_of_every_call() {
    let backend = ApiBackend::new(Arc::new(Nowhere), ApiOptions::default());
    let error = backend.start_container("m.web").await.unwrap_err();
    assert!(error.is_unreachable());
    let source = error.cause.source().map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("the host key of `web1` is not known"));
}

/// A connection whose end is an error of its own, as a tunnel's is.
struct Tunnel(tokio::io::DuplexStream);

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(ctx, buf))?;
        match buf.filled().len() == before {
            true => Poll::Ready(Err(io::Error::other("the connection to `web1` broke"))),
            false => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, ctx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(ctx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(ctx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(ctx)
    }
}

struct Breaking;

#[async_trait]
impl Connector for Breaking {
    fn host(&self) -> &str {
        "web1"
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(async move {
            let mut lines = BufReader::new(theirs).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                let answer = match line.as_str() {
                    "GET /_ping HTTP/1.1" => "Api-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK",
                    line if line.starts_with("POST ") || line.starts_with("GET ") => {
                        "Transfer-Encoding: chunked\r\n\r\n"
                    }
                    _ => continue,
                };
                let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
                lines.get_mut().write_all(answer.as_bytes()).await.unwrap();
                if answer.contains("chunked") {
                    // The beginning of an answer, and no more.
                    return;
                }
            }
        });
        Ok(Box::new(Tunnel(ours)))
    }
}

/// A call that waited for a container's end said no more than "error reading a body from connection".
#[tokio::test]
async fn what_broke_in_the_middle_of_an_answer_is_told_in_the_words_of_the_connection() {
    let backend = ApiBackend::new(Arc::new(Breaking), ApiOptions::default());
    for error in [
        backend.wait_container("m.web", None).await.unwrap_err(),
        backend.list_containers().await.unwrap_err(),
        backend
            .pull_image(&ImageName::expand("app:2", None, None).unwrap(), None, &|_| {})
            .await
            .unwrap_err(),
    ] {
        let source = error.cause.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("the connection to `web1` broke"), "{error}");
    }
}
