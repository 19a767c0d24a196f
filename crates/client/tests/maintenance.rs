//! `cleanup_containers`, `cleanup_images` and `remove_all_containers` where something goes wrong
//! (clients-tasks §4.8–§4.10): what the worked examples on real engines cannot show.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

#[path = "common/server.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod server;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use dfab_client::ApiOptions;
use dfab_client::apply::CancellationToken;
use dfab_client::error::Cause;
use dfab_client::maintenance::{
    CleanupContainers, CleanupImages, Event, Everything, cleanup_containers, cleanup_images,
    remove_all_containers,
};
use serde_json::json;
use server::{Server, backend};

/// Three containers have ended: `gone` vanishes before it is removed, `held` cannot be removed.
fn ended(request: &str) -> Option<(u16, String)> {
    Some(match request.split(' ').nth(1).unwrap_or_default() {
        path if path.contains("/containers/json") => {
            let ended = |name: &str| json!({"Id": name, "Names": [format!("/{name}")], "Status": "Exited (0) 1 hour ago"});
            (200, json!([ended("first"), ended("gone"), ended("held"), ended("last")]).to_string())
        }
        path if path.contains("/containers/gone") => (404, r#"{"message": "no such container"}"#.into()),
        path if path.contains("/containers/held") => (500, r#"{"message": "device is busy"}"#.into()),
        _ => (204, String::new()),
    })
}

/// The requests that change something.
fn changes(server: &Arc<Server>) -> Vec<String> {
    let requests = server.requests.lock().unwrap();
    let changes = requests.iter().filter(|request| !request.starts_with("GET "));
    changes.map(|request| request.replace(" HTTP/1.1", "").replace("/v1.41", "")).collect()
}

#[tokio::test]
async fn a_container_that_cannot_be_removed_is_skipped_or_ends_the_work() {
    for (raise_on_error, expected, told) in [
        (false, &["first", "gone", "last"][..], 1),
        // What was removed until then comes with the error.
        (true, &["first", "gone"], 0),
    ] {
        let server = Server::new("1.41", ended);
        let engine = backend(&server, ApiOptions::default());
        let skipped = Mutex::new(Vec::new());
        let begun = Mutex::new(Vec::new());
        let tell = |event: Event<'_>| match event {
            Event::Removes(name) => begun.lock().unwrap().push(name.to_owned()),
            Event::Skips(error) => skipped.lock().unwrap().push(format!("{error}: {}", error.cause)),
            other => panic!("{other:?}"),
        };
        let options = CleanupContainers { raise_on_error, ..CleanupContainers::default() };
        let done = cleanup_containers(&engine, &options, &CancellationToken::new(), &tell).await;
        assert_eq!(done.is_err(), raise_on_error);
        let removed = done.unwrap_or_else(|partial| {
            assert_eq!(partial.to_string(), "failed to remove container `held` on `test`");
            partial.done
        });
        let names: Vec<&str> = removed.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, expected);
        assert_eq!(begun.into_inner().unwrap()[..3], ["first", "gone", "held"]);
        let skipped = skipped.into_inner().unwrap();
        assert_eq!(skipped.len(), told, "{skipped:?}");
        assert!(skipped.iter().all(|text| text.contains("`held`") && text.contains("device is busy")));
    }
}

/// An image without a name, with a child without one.
fn dangling(request: &str) -> Option<(u16, String)> {
    let image = |id: &str, parent: &str| json!({"Id": id, "ParentId": parent, "RepoTags": null});
    Some(match request.split(' ').nth(1).unwrap_or_default() {
        path if path.contains("/images/json") => {
            (200, json!([image("parent", ""), image("child", "parent"), image("held", "")]).to_string())
        }
        path if path.contains("/json") => (200, "[]".into()),
        // The engine takes a parent along with its last child.
        path if path.contains("/images/parent") => (404, r#"{"message": "No such image: parent"}"#.into()),
        path if path.contains("/images/held") => (409, r#"{"message": "image is being used"}"#.into()),
        _ => (200, "[]".into()),
    })
}

#[tokio::test]
async fn an_image_that_went_with_its_child_counts_as_removed() {
    for (raise_on_error, expected) in [(false, &["child", "parent"][..]), (true, &["child"])] {
        let server = Server::new("1.41", dangling);
        let engine = backend(&server, ApiOptions::default());
        let options = CleanupImages { raise_on_error, force: true, ..CleanupImages::default() };
        let done = cleanup_images(&engine, &options, &CancellationToken::new(), &|_| {}).await;
        assert_eq!(done.is_err(), raise_on_error);
        assert_eq!(done.unwrap_or_else(|partial| partial.done), expected);
        assert!(changes(&server)[0].starts_with("DELETE /images/child?force=true"), "{:?}", changes(&server));
    }
}

/// One of each kind: `deaf` answers no stop, `odd` refuses it.
fn everything(request: &str) -> Option<(u16, String)> {
    let one = |name: &str, state: &str, status: &str| json!({"Id": name, "Names": [format!("/{name}")], "State": state, "Status": status});
    Some(match request.split(' ').nth(1).unwrap_or_default() {
        path if path.contains("/containers/json") => {
            let all = json!([
                one("up", "running", "Up 2 hours"),
                one("fresh", "created", "Created"),
                one("held", "paused", "Up 1 hour (Paused)"),
                one("again", "restarting", "Restarting (1) 5 seconds ago"),
                one("old", "exited", "Exited (0) 2 days ago"),
                one("dead", "dead", "Dead"),
                one("odd", "running", "Up 1 hour"),
                one("deaf", "running", "Up 1 hour"),
            ]);
            (200, all.to_string())
        }
        path if path.contains("/containers/deaf/stop") => return None,
        path if path.contains("/containers/deaf/wait") => (200, r#"{"StatusCode": 137}"#.into()),
        path if path.contains("/containers/odd/stop") => (500, r#"{"message": "cannot stop"}"#.into()),
        _ => (204, String::new()),
    })
}

const ALL: [&str; 8] = ["up", "fresh", "held", "again", "old", "dead", "odd", "deaf"];

#[tokio::test]
async fn everything_is_stopped_as_far_as_it_can_be_and_then_removed() {
    let server = Server::new("1.41", everything);
    let engine = backend(&server, ApiOptions { timeout: Duration::from_secs(4), ..ApiOptions::default() });
    let options = Everything { stop_timeout: Duration::from_secs(1), raise_on_error: false, list_only: true };
    let listed = remove_all_containers(&engine, &options, &CancellationToken::new(), &|_| {}).await.unwrap();
    assert_eq!(listed.stopped, ["up", "fresh", "held", "again", "odd", "deaf"]);
    assert_eq!(listed.removed, ALL);
    assert_eq!(changes(&server), [""; 0], "a list changes nothing");

    let warnings = Mutex::new(Vec::new());
    let begun = Mutex::new(Vec::new());
    let warn = |event: Event<'_>| match event {
        Event::Stops(name) => begun.lock().unwrap().push(format!("stop {name}")),
        Event::Removes(name) => begun.lock().unwrap().push(format!("remove {name}")),
        Event::Kills(id) => warnings.lock().unwrap().push(format!("kill {id}")),
        Event::Skips(error) => warnings.lock().unwrap().push(format!("{error}: {}", error.cause)),
    };
    let options = Everything { list_only: false, ..options };
    let done = remove_all_containers(&engine, &options, &CancellationToken::new(), &warn).await.unwrap();
    // One that had to be killed was not stopped.
    assert_eq!(done.stopped, ["up", "fresh", "held", "again"]);
    assert_eq!(done.removed, ALL);
    let warnings = warnings.into_inner().unwrap();
    assert_eq!(
        warnings,
        ["failed to stop container `odd` on `test`: the engine refused (500): cannot stop", "kill deaf",]
    );
    let begun = begun.into_inner().unwrap();
    assert_eq!((begun[0].as_str(), begun[6].as_str(), begun.len()), ("stop up", "remove up", 6 + 8));
    let changes = changes(&server);
    let position = |part: &str| {
        changes
            .iter()
            .position(|change| change.contains(part))
            .unwrap_or_else(|| panic!("{part}: {changes:?}"))
    };
    assert!(position("/held/unpause") < position("/held/stop"));
    assert!(position("/deaf/stop") < position("/deaf/kill"));
    assert!(position("/deaf/kill") < position("/deaf/wait"));
    assert!(position("/deaf/wait") < position("DELETE /containers/up"));

    let options = Everything { raise_on_error: true, ..options };
    let partial =
        remove_all_containers(&engine, &options, &CancellationToken::new(), &|_| {}).await.unwrap_err();
    assert_eq!(partial.to_string(), "failed to stop container `odd` on `test`");
    assert_eq!(partial.done.stopped, ["up", "fresh", "held", "again"]);
    assert_eq!(partial.done.removed, [""; 0]);
}

/// Ctrl-C: what is under way finishes, nothing else begins.
#[tokio::test]
async fn nothing_else_is_removed_once_the_work_is_cancelled() {
    let cancel = CancellationToken::new();
    // The first that is skipped cancels the rest.
    let server = Server::new("1.41", ended);
    let engine = backend(&server, ApiOptions::default());
    let tell = |event: Event<'_>| {
        if let Event::Skips(_) = event {
            cancel.cancel();
        }
    };
    let partial =
        cleanup_containers(&engine, &CleanupContainers::default(), &cancel, &tell).await.unwrap_err();
    assert_eq!(partial.to_string(), "failed to remove 1 of 4 containers on `test`");
    assert!(matches!(partial.error.cause, Cause::Cancelled));
    let names: Vec<&str> = partial.done.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["first", "gone"]);

    let server = Server::new("1.41", dangling);
    let engine = backend(&server, ApiOptions::default());
    let partial = cleanup_images(&engine, &CleanupImages::default(), &cancel, &|_| {}).await.unwrap_err();
    assert!(partial.done.is_empty() && changes(&server).is_empty(), "{partial:?}");

    let server = Server::new("1.41", everything);
    let engine = backend(&server, ApiOptions::default());
    let partial = remove_all_containers(&engine, &Everything::default(), &cancel, &|_| {}).await.unwrap_err();
    assert!(partial.done.removed.is_empty() && changes(&server).is_empty(), "{partial:?}");
}
