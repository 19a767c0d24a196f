//! Programs that go on, played by a stand-in.

use std::time::{Duration, Instant};

use dfab_client::streams::Moment;

use super::*;
use crate::fake::{Fake, Reply};
use crate::options::CliOptions;

const INSPECTED: &str = r#"[{"Id": "1", "Name": "/web", "State": {"Status": "running", "Running": true}}]"#;

fn inspect() -> Reply<'static> {
    Reply { args: "inspect --type=container web", stdout: INSPECTED.as_bytes(), ..Reply::default() }
}

async fn lines(backend: &CliBackend, options: LogOptions) -> Vec<String> {
    let lines = backend.log_lines("web", options, true).await.unwrap();
    lines
        .map(|line| match line {
            Ok(line) => format!("{:?} {line}", line.output),
            Err(error) => format!("{error}: {}", error.cause),
        })
        .collect()
        .await
}

#[tokio::test]
async fn lines_of_both_outputs_come_before_the_programs_failure() {
    let script = "echo one; echo two >&2; printf three; echo 'Error: broken' >&2";
    let fake = Fake::new(&[
        inspect(),
        Reply { args: "logs --follow=true web", script, status: 1, ..Reply::default() },
    ]);
    let backend = fake.backend(CliOptions::default());
    let mut found = lines(&backend, LogOptions::default()).await;
    let last = found.pop();
    assert_eq!(
        last.as_deref(),
        Some("failed to read the log of container `web` on `local engine`: the engine refused (500): broken")
    );
    found.sort();
    assert_eq!(found, ["Stderr Error: broken", "Stderr two", "Stdout one", "Stdout three"]);
}

#[tokio::test]
async fn options_become_flags_and_one_output_can_be_left_out() {
    let args = "logs --follow=true --timestamps=true --since=1.500000000 --tail=3 web";
    let fake = Fake::new(&[inspect(), Reply { args, script: "echo one; echo two >&2", ..Reply::default() }]);
    let options = LogOptions {
        tail: Some(3),
        timestamps: true,
        since: Some(Moment(Duration::from_millis(1500))),
        only: Some(Output::Stderr),
        until: None,
    };
    assert_eq!(lines(&fake.backend(CliOptions::default()), options).await, ["Stderr two"]);
}

/// Before the watcher, a `docker logs --follow` stayed on the host until its container wrote again.
#[tokio::test]
async fn a_stream_that_is_given_up_ends_its_program() {
    let fake = Fake::new(&[
        inspect(),
        Reply {
            args: "logs --follow=true web",
            script: "trap 'echo ended >\"$here/ended\"; exit' TERM\necho one\nwhile :; do sleep 0.05; done",
            ..Reply::default()
        },
    ]);
    let backend = fake.backend(CliOptions::default());
    let mut lines = backend.log_lines("web", LogOptions::default(), true).await.unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap().text, b"one");
    drop(lines);
    let begun = Instant::now();
    while !fake.path("ended").exists() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the program goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn one_channel_is_always_left_for_other_commands() {
    let fake = Fake::new(&[
        inspect(),
        Reply { args: "logs --follow=true web", script: "exec sleep 30", ..Reply::default() },
    ]);
    let backend = fake.backend(CliOptions { channels: 3, ..CliOptions::default() });
    let first = backend.log_lines("web", LogOptions::default(), true).await.unwrap();
    let second = backend.log_lines("web", LogOptions::default(), true).await.unwrap();
    let third = backend.log_lines("web", LogOptions::default(), true).await.map(drop).unwrap_err();
    assert!(third.cause.to_string().starts_with("2 logs and event streams"), "{}", third.cause);
    assert!(backend.inspect_container("web").await.is_ok());
    drop((first, second));
    backend.log_lines("web", LogOptions::default(), true).await.map(drop).unwrap();
}

#[tokio::test]
async fn events_are_read_line_by_line_and_end_with_what_is_none() {
    let script = r#"echo '{"Type":"container","Action":"start","time":5}'; echo nonsense; exec sleep 30"#;
    let args = "events --format={{json .}} --until=9.000000000 --filter=type=container";
    let fake = Fake::new(&[Reply { args, script, ..Reply::default() }]);
    let backend = fake.backend(CliOptions::default());
    let options = EventOptions {
        until: Some(Moment(Duration::from_secs(9))),
        filters: vec![("type".to_owned(), "container".to_owned())],
        since: None,
    };
    let events: Vec<Result<Event>> = backend.events(&options).await.unwrap().collect().await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].as_ref().unwrap().action, "start");
    assert!(matches!(events[1].as_ref().unwrap_err().cause, Cause::Answer(_)));
}
