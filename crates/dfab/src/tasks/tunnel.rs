//! `docker.tunnel`: local ports that lead to the engines of hosts, held open for other programs (clients-tasks
//! §2.5).

use std::sync::Arc;
use std::time::Duration;

use dfab_map::model::ClientConfig;
use dfab_tunnel::{Forward, Session};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};

use crate::cli::{Arguments, Call};
use crate::endpoint::Address;
use crate::engines::Remote;
use crate::failure::{Failure, Kind, Result, chain};
use crate::registry::{Parameter, Scope, Task};
use crate::report::{self, Report};
use crate::run::Run;
use crate::settings::Settings;

/// The table entries.
pub const TASKS: &[Task] = &[Task {
    namespace: "docker",
    name: "tunnel",
    aliases: &[],
    about: "Hold local ports open that lead to the engines of hosts.",
    help: "Prints a line `DOCKER_HOST=tcp://127.0.0.1:PORT` for each host, and ends at Ctrl-C (exit code 130). Ports \
           count up from docker_tunnel_local_port, else from docker_tunnel_remote_port, else the system chooses; \
           ports in use are passed over. A host that cannot be reached is reported, and the others stay; one that \
           is lost later is connected anew. With `--output json` the document comes as soon as the ports stand.\n\n\
           While it runs, every user of this machine can use the ports.",
    parameters: &[&[HOSTS]],
    words: None,
    scope: Scope::Clients,
    run: |run, arguments| tunnel(run, arguments).boxed_local(),
}];

/// The hosts of a call, as words.
pub const HOSTS: Parameter =
    Parameter::rest("host", "hosts; without any those of -H, -R or the project file");

/// How long a host that was lost is left alone before it is tried again.
const PAUSE: Duration = Duration::from_secs(3);

/// Returns the run on the hosts that a call names as words, else on its own.
///
/// # Errors
///
/// As [`Run::for_call`].
pub fn on_named_hosts(run: &Run, arguments: &Arguments) -> Result<Run> {
    let words = arguments.list("host").iter().flat_map(|word| word.split(','));
    let hosts: Vec<String> =
        words.map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    if hosts.is_empty() { Ok(run.on_host(None)) } else { run.for_call(&Call { hosts, ..Call::default() }) }
}

/// A port that stands.
struct Open {
    remote: Remote,
    forward: Forward,
}

async fn tunnel(run: &Run, arguments: &Arguments) -> Result<Report> {
    let on_hosts = on_named_hosts(run, arguments)?;
    crate::remote::hosts(&on_hosts, "a tunnel")?;
    let mut remotes = Vec::new();
    for target in on_hosts.default_targets().await? {
        let remote = run.engines.remote(&target)?.expect("a target with a host is behind SSH");
        let start = first_port(&target.config, &remote, &run.settings);
        remotes.push((remote, start));
    }
    if run.options.dry_run {
        for (remote, start) in &remotes {
            let port = start.map_or("a free port".to_owned(), |port| format!("a port from {port} on"));
            let text = format!("would hold {port} of 127.0.0.1 open for {}", remote.address);
            run.console.line(Some(&remote.name), &text);
        }
        return Ok(Report { dry_run: true, ..Report::done("docker.tunnel") });
    }
    // All numbers are given out before anything is connected, so that a host's port does not depend on the others'
    // speed.
    let mut open = Vec::new();
    for (remote, start) in remotes {
        let forward = run.engines.open_port(&remote, start).map_err(|error| {
            Failure::new(Kind::Task, format!("failed to open a local port for `{}`", remote.name))
                .because(&error)
                .hint("`--set docker_tunnel_local_port=PORT` chooses where to begin")
        })?;
        open.push(Open { remote, forward });
    }
    let (open, rows, failures) = reach(run, open).await;
    let report = Report {
        rows: Some(rows),
        hosts_failed: failures
            .iter()
            .map(|(name, failure)| json!({"client": name, "error": report::error(failure)}))
            .collect(),
        ..Report::done("docker.tunnel")
    };
    let failed = summary(failures).filter(|_| open.is_empty() || !run.options.skip_bad_hosts);
    if !open.is_empty() && !run.interrupt.finish.is_cancelled() {
        if run.console.is_json() && run.only_call {
            // Whoever reads it wants the ports now, not when they are closed.
            run.console.document(&report::document(std::slice::from_ref(&report), failed.as_ref()));
        }
        run.console.note(None, "the ports stay open until Ctrl-C");
        let holding = open.iter().map(|open| hold(run, &open.remote));
        tokio::select! {
            _ = futures_util::future::join_all(holding) => {}
            () = run.interrupt.finish.cancelled() => {}
        }
    }
    futures_util::future::join_all(open.into_iter().map(|open| open.forward.close())).await;
    Ok(match failed {
        Some(failure) => report.failed(failure),
        None => report,
    })
}

/// Returns the port that the numbers begin with (clients-tasks §1.2, map-model §7): the one that was set, else the
/// engine's own TCP port.
fn first_port(config: &ClientConfig, remote: &Remote, settings: &Settings) -> Option<u16> {
    let of_url = match &remote.address {
        Address::Tcp { port, .. } => Some(*port),
        Address::Unix(_) => None,
    };
    remote.local_port.or(of_url).or(config.tunnel_remote_port).or(settings.tunnel_remote_port)
}

/// Connects to all hosts at once, and tells of each as soon as it is known: the port, or why there is none.
async fn reach(run: &Run, open: Vec<Open>) -> (Vec<Open>, Vec<Value>, Vec<(String, Failure)>) {
    let mut reaching: FuturesUnordered<_> = open
        .into_iter()
        .enumerate()
        .map(|(index, open)| async move {
            // A first stream: what is wrong with the socket is better known now than at the first request.
            let stream = run.engines.connector(&open.remote).stream().await;
            (index, open, stream.map(drop))
        })
        .collect();
    let (mut open, mut failures) = (Vec::new(), Vec::new());
    loop {
        let next = tokio::select! {
            next = reaching.next() => next,
            () = run.interrupt.finish.cancelled() => None,
        };
        let Some((index, one, result)) = next else { break };
        match result {
            Ok(()) => {
                run.console
                    .line(Some(&one.remote.name), &format!("DOCKER_HOST={}", docker_host(&one.forward)));
                open.push((index, one));
            }
            Err(error) => {
                let message = format!("no port leads to the engine of `{}`", one.remote.name);
                let mut failure = Failure::new(Kind::Connection, message).because(&error);
                failure.hints.extend(error.hint());
                run.console.warn(Some(&one.remote.name), &chain(&error).join(": "));
                failures.push((index, (one.remote.name, failure)));
            }
        }
    }
    open.sort_by_key(|(index, _)| *index);
    failures.sort_by_key(|(index, _)| *index);
    let open: Vec<Open> = open.into_iter().map(|(_, one)| one).collect();
    let rows = open.iter().map(|one| {
        json!({
            "host": one.remote.name,
            "docker_host": docker_host(&one.forward),
            "port": one.forward.address().port(),
            "engine": one.remote.address.to_string(),
        })
    });
    let rows = rows.collect();
    (open, rows, failures.into_iter().map(|(_, failure)| failure).collect())
}

fn docker_host(forward: &Forward) -> String {
    format!("tcp://{}", forward.address())
}

/// Watches over a connection: says when it breaks and when it stands again. Never ends by itself.
async fn hold(run: &Run, remote: &Remote) {
    let name = Some(remote.name.as_str());
    let connector = run.engines.connector(remote);
    loop {
        let session: Arc<Session> = match run.engines.sessions.session(&remote.host).await {
            Ok(session) => session,
            Err(error) => {
                connector.forget_unreachable(&error).await;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while session.is_alive() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // Closing what broke says why it did.
        let why =
            session.close().await.err().map_or("it was closed".to_owned(), |error| chain(&error).join(": "));
        run.console.warn(name, &format!("{why}; trying again"));
        while let Err(error) = connector.stream().await {
            connector.forget_unreachable(&error).await;
            tokio::time::sleep(PAUSE).await;
        }
        run.console.note(name, "connected again");
    }
}

/// Makes one failure of those of several hosts.
fn summary(mut failures: Vec<(String, Failure)>) -> Option<Failure> {
    if failures.len() < 2 {
        return failures.pop().map(|(_, failure)| failure);
    }
    let mut failure = Failure::new(
        Kind::Connection,
        format!("no ports lead to the engines of {}", crate::text::count(failures.len(), "host")),
    );
    for (name, one) in failures {
        failure.causes.push(format!("[{name}] {}", one.causes.join(": ")));
        failure
            .hints
            .extend(one.hints.into_iter().filter(|hint| !failure.hints.contains(hint)).collect::<Vec<_>>());
    }
    Some(failure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Options;
    use crate::project::{Host, Variables};

    #[test]
    fn ports_begin_where_the_settings_say() {
        let (socket, tcp) = ("/var/run/docker.sock", "tcp://a:8000");
        for (set, of_client, url, expected) in [
            (None, None, socket, None),
            (Some("docker_tunnel_remote_port=2375"), None, socket, Some(2375)),
            (Some("docker_tunnel_remote_port=2375"), None, tcp, Some(8000)),
            (Some("docker_tunnel_local_port=22024"), None, tcp, Some(22_024)),
            (Some("docker_tunnel_local_port=22024"), Some(3000), tcp, Some(3000)),
        ] {
            let mut variables = Variables::for_tests("/");
            set.iter().for_each(|text| variables.set(text).unwrap());
            let settings = Settings::resolve(&Options::default(), &variables).unwrap();
            let remote = Remote {
                host: Host::parse("h").unwrap(),
                address: Address::parse(url, None).unwrap(),
                name: "h".to_owned(),
                local_port: of_client.or(settings.tunnel_local_port),
            };
            assert_eq!(first_port(&ClientConfig::default(), &remote, &settings), expected, "{set:?} {url}");
        }
    }

    #[test]
    fn failures_of_several_hosts_are_one() {
        let failure = |cause: &str| {
            let mut failure =
                Failure::new(Kind::Connection, "no port leads to the engine of `x`").hint("look");
            failure.causes.push(cause.to_owned());
            failure
        };
        assert!(summary(Vec::new()).is_none());
        let both = vec![("a".to_owned(), failure("dead")), ("b".to_owned(), failure("shut"))];
        let both = summary(both).unwrap();
        assert_eq!(both.message, "no ports lead to the engines of 2 hosts");
        assert_eq!(both.causes, ["[a] dead", "[b] shut"]);
        assert_eq!(both.hints, ["look"]);
    }
}
