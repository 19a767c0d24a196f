//! Checks of what comes bit by bit: logs that are followed, tables of processes.

use std::time::Duration;

use futures_util::{FutureExt, StreamExt};

use super::{Broken, Check, Checked, LONG, SHORT, Suite, checks, conflict, equal, expect, not_found};
use crate::streams::{LogLines, LogOptions, Output};

pub(super) const CHECKS: &[(&str, Check)] = checks![
    lines_of_a_log_end_where_the_log_does,
    a_followed_log_waits_and_ends_with_its_container,
    a_log_that_is_given_up_leaves_room_for_others,
    processes_are_a_table,
];

async fn all(lines: LogLines<'_>) -> Result<Vec<String>, Broken> {
    let lines = tokio::time::timeout(LONG, lines.collect::<Vec<_>>());
    let lines = lines.await.map_err(|_| Broken("the log does not end".into()))?;
    lines
        .into_iter()
        .map(|line| {
            let line = line?;
            equal("output", line.output, Output::Stdout)?;
            Ok(line.to_string())
        })
        .collect()
}

async fn lines_of_a_log_end_where_the_log_does(suite: &Suite<'_>) -> Checked {
    let spec = suite.ending("lines");
    suite.create_and_start(&spec).await?;
    suite.backend.wait_container(&spec.name, Some(LONG)).await?;
    for follow in [false, true] {
        let lines = suite.backend.log_lines(&spec.name, LogOptions::default(), follow).await?;
        equal("lines", all(lines).await?, vec!["hello".to_owned(), "world".to_owned()])?;
        let last = LogOptions { tail: Some(1), ..LogOptions::default() };
        let lines = suite.backend.log_lines(&spec.name, last, follow).await?;
        equal("last line", all(lines).await?, vec!["world".to_owned()])?;
        let absent = suite.backend.log_lines(&suite.name("nothing"), last, follow).await;
        not_found("reading the log", absent.map(drop))?;
    }
    Ok(())
}

async fn a_followed_log_waits_and_ends_with_its_container(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("followed");
    suite.create_and_start(&spec).await?;
    let mut lines = suite.backend.log_lines(&spec.name, LogOptions::default(), true).await?;
    let early = tokio::time::timeout(SHORT, lines.next()).await;
    expect("a container that is silent has no line", early.is_err())?;
    // Others are not held up meanwhile.
    suite.backend.stop_container(&spec.name, Some(Duration::from_secs(5))).await?;
    equal("lines after the end", all(lines).await?, Vec::new())
}

async fn a_log_that_is_given_up_leaves_room_for_others(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("given-up");
    suite.create_and_start(&spec).await?;
    for _ in 0..20 {
        let mut lines = suite.backend.log_lines(&spec.name, LogOptions::default(), true).await?;
        expect("there is no line", lines.next().now_or_never().is_none())?;
    }
    let read = suite.backend.container_logs(&spec.name, LogOptions::default());
    let read = tokio::time::timeout(LONG, read).await;
    let log = read.map_err(|_| Broken("the backend is stuck behind logs that were given up".into()))??;
    equal("log", log.len(), 0)
}

async fn processes_are_a_table(suite: &Suite<'_>) -> Checked {
    let spec = suite.running("top");
    suite.backend.create_container(&spec).await?;
    conflict("processes before the start", suite.backend.top(&spec.name, &[]).await)?;
    not_found("processes of nothing", suite.backend.top(&suite.name("nothing"), &[]).await)?;
    suite.backend.start_container(&spec.name).await?;
    let top = suite.backend.top(&spec.name, &[]).await?;
    expect("there is a process", !top.processes.is_empty())?;
    let whole = top.processes.iter().all(|row| row.len() == top.titles.len());
    expect("every row has a cell for each title", whole && !top.titles.is_empty())
}
