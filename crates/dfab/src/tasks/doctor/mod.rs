//! `doctor`: checks the way to each host and what lies at its end, each with what was measured and the exact fix.
//!
//! [`look`] asks the machine by one script, [`check`] judges what was measured; here the questions are put in order.
//! What can go on after a failure goes on. Everything uses the one connection of the run.

mod check;
mod look;

use std::net::IpAddr;
use std::time::{Duration, Instant, SystemTime};

use dfab_client::{Backend, Information};
use dfab_tunnel::options::Proxy;
use dfab_tunnel::{ConnectOptions, Session, Way};
use futures_util::{FutureExt, StreamExt};
use owo_colors::Style;
use serde_json::Value;

use self::check::{Check, Status};
use self::look::{Disk, Facts};
use super::tunnel::{HOSTS, on_named_hosts};
use crate::cli::Arguments;
use crate::cli::options::BackendKind;
use crate::endpoint::Address;
use crate::failure::{Failure, Kind, Result, chain};
use crate::machine::Machine;
use crate::project::Host;
use crate::registry::{Scope, Task};
use crate::report::Report;
use crate::run::Run;
use crate::tasks::engine_failure;

/// The table entries.
pub const TASKS: &[Task] = &[Task {
    namespace: "",
    name: "doctor",
    aliases: &[],
    about: "Check the way to each host, its engine, and what is wrong.",
    help: "Looks at name, port, host key, login, the engine's socket and the rights on it, API version, sshd's \
           forwarding, socat, the docker program, clock and disk space. Each line has what was measured; what is wrong \
           has the command or the line of sshd_config that mends it. Nothing is changed. Without hosts the local \
           engine is looked at.\n\nThe exit code is 1 when a check failed; warnings do not count.",
    parameters: &[&[HOSTS]],
    words: None,
    scope: Scope::Clients,
    run: |run, arguments| doctor(run, arguments).boxed_local(),
}];

/// How long a command on a host may take.
const LIMIT: Duration = Duration::from_secs(30);

async fn doctor(run: &Run, arguments: &Arguments) -> Result<Report> {
    let on_hosts = on_named_hosts(run, arguments)?;
    let hosts: Vec<Option<Host>> = match on_hosts.hosts.as_slice() {
        [] => vec![None],
        hosts => hosts.iter().cloned().map(Some).collect(),
    };
    let count = hosts.len();
    let on_hosts = &on_hosts;
    let examine = |host: Option<Host>| async move {
        let run = on_hosts.on_host(host.clone());
        let checks = match &host {
            Some(host) => remote(&run, host).await,
            None => local(&run).await,
        };
        (host, checks)
    };
    let mut examining = futures_util::stream::iter(hosts.into_iter().map(examine)).buffered(count);
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    while let Some((host, checks)) = examining.next().await {
        let text = host.as_ref().map(|host| host.text.as_str());
        let name = text.unwrap_or(dfab_client::local::LOCAL);
        let checks = checks?;
        show(run, name, &checks);
        rows.extend(checks.iter().map(|check| check.row(text)));
        let failed: Vec<&str> =
            checks.iter().filter(|check| check.status == Status::Failed).map(|check| check.name).collect();
        if !failed.is_empty() {
            failures.push(format!("{} on `{name}`", crate::text::list(&failed, failed.len())));
        }
    }
    let report = Report { rows: Some(rows), ..Report::done("doctor") };
    if failures.is_empty() {
        return Ok(report);
    }
    let mut failure = Failure::new(Kind::Task, format!("something is wrong: {}", failures.join("; ")));
    failure.hints.push("each failed check above says what to do".to_owned());
    Ok(report.failed(failure))
}

/// Prints the checks of a host, one a line, each fix below its check.
fn show(run: &Run, name: &str, checks: &[Check]) {
    let console = &run.console;
    // What is skipped for one and the same reason stands in one line.
    for group in checks.chunk_by(|one, next| {
        one.status == Status::Skipped && (next.status, &next.evidence) == (one.status, &one.evidence)
    }) {
        let check = &group[0];
        let style = match check.status {
            Status::Ok => Style::new().green(),
            Status::Warning => Style::new().yellow().bold(),
            Status::Failed => Style::new().red().bold(),
            Status::Skipped => Style::new().dimmed(),
        };
        let word = console.styled(console.color(), &format!("{:<8}", check.status.as_str()), style);
        let names = group.iter().map(|check| check.name).collect::<Vec<_>>().join(", ");
        console.line(Some(name), &format!("{word} {names:<11} {}", check.evidence));
        if let Some(fix) = &check.fix {
            console.line(Some(name), &format!("{:<8} {:<11} fix: {fix}", "", ""));
        }
    }
    let of = |status| checks.iter().filter(|check| check.status == status).count();
    let mut words = vec![format!("{} ok", of(Status::Ok))];
    for (status, word) in
        [(Status::Warning, "warning"), (Status::Failed, "failed"), (Status::Skipped, "skipped")]
    {
        let count = of(status);
        if count > 0 {
            words.push(if status == Status::Warning {
                crate::text::count(count, word)
            } else {
                format!("{count} {word}")
            });
        }
    }
    console.line(Some(name), &format!("{}: {}", crate::text::count(checks.len(), "check"), words.join(", ")));
}

/// Examines a host behind SSH.
async fn remote(run: &Run, host: &Host) -> Result<Vec<Check>> {
    let sessions = &run.engines.sessions;
    let target = run.target().await?;
    let remote = run.engines.remote(&target)?.expect("a target with a host is behind SSH");
    let (options, _) = sessions.options(host).await.map_err(|error| {
        Failure::configuration(format!("the SSH settings for `{host}` cannot be used")).because(&error)
    })?;
    let dns = dns(&options).await;
    if dns.status == Status::Failed {
        let because = "dns failed";
        let rest = check::WAY[1..].iter().map(|(name, _)| *name).chain(check::INSIDE);
        return Ok(std::iter::once(dns).chain(rest.map(|name| Check::skipped(name, because))).collect());
    }
    let started = Instant::now();
    let session = match sessions.session(host).await {
        Ok(session) => session,
        Err(error) => return Ok(check::refused(dns, &error)),
    };
    let arrival = session.arrival();
    let tcp = match (arrival.peer, &options.proxy) {
        (Some(peer), _) => peer.to_string(),
        (None, Proxy::Jump(hops)) => format!("{} through {}", address(&options), route(hops)),
        (None, _) => format!("{} through a proxy command", address(&options)),
    };
    let mut checks = vec![
        dns,
        Check::ok("tcp", tcp),
        Check::ok("ssh", arrival.server.clone()),
        Check::ok("host_key", format!("{} is known", arrival.host_key)),
        Check::ok(
            "login",
            format!(
                "user `{}` by {}, {} ms after the start",
                options.user,
                arrival.login,
                started.elapsed().as_millis()
            ),
        ),
    ];
    checks.extend(inside(run, host, &remote.address, &session).await);
    Ok(checks)
}

/// Names the jump hosts of a route.
fn route(hops: &[ConnectOptions]) -> String {
    hops.iter().map(address).collect::<Vec<_>>().join(", ")
}

fn address(options: &ConnectOptions) -> String {
    dfab_tunnel::authority(&options.host, options.port)
}

/// Looks up the name that is connected to first.
async fn dns(options: &ConnectOptions) -> Check {
    let (first, what) = match &options.proxy {
        Proxy::None => (options, ""),
        Proxy::Jump(hops) => match hops.first() {
            Some(hop) => (hop, " (the jump host)"),
            None => (options, ""),
        },
        Proxy::Command(command) => {
            return Check::skipped("dns", format!("`{command}` makes the connection"));
        }
    };
    let name = &first.host;
    if name.parse::<IpAddr>().is_ok() {
        return Check::ok("dns", format!("{name}{what} is an address"));
    }
    let fix = "check the spelling, set `HostName` in ~/.ssh/config, or add the name to DNS or /etc/hosts";
    let look_up = tokio::net::lookup_host((name.as_str(), first.port));
    match tokio::time::timeout(options.connect_timeout, look_up).await {
        Err(_) => {
            let limit = options.connect_timeout.as_secs_f64();
            Check::failed("dns", format!("no answer for `{name}`{what} within {limit} s"), fix)
        }
        Ok(Err(error)) => Check::failed("dns", format!("`{name}`{what} has no address: {error}"), fix),
        Ok(Ok(found)) => {
            let mut addresses: Vec<String> = Vec::new();
            for address in found.map(|address| address.ip().to_string()) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            Check::ok("dns", format!("{name}{what} is {}", addresses.join(", ")))
        }
    }
}

/// Examines what needs a login.
async fn inside(run: &Run, host: &Host, address: &Address, session: &Session) -> Vec<Check> {
    let machine = Machine::new(Some(host), &run.engines.sessions);
    let path = match address {
        Address::Unix(path) => path.as_str(),
        Address::Tcp { .. } => "",
    };
    let asked = SystemTime::now();
    let facts = facts(&machine, path).await;
    let answered = SystemTime::now();
    let facts = match facts {
        Ok(facts) => facts,
        Err(why) => return mute(run, address, session, &why).await,
    };
    let mut checks = Vec::new();
    let mut usable = true;
    if let Address::Unix(path) = address {
        let socket = check::socket(&facts, path);
        let rights = match socket.status {
            Status::Ok => check::rights(&facts, path),
            _ => Check::skipped("rights", "socket failed"),
        };
        usable = rights.status == Status::Ok;
        checks.extend([socket, rights]);
    } else {
        checks.extend(
            ["socket", "rights"].map(|name| Check::skipped(name, format!("the engine listens on {address}"))),
        );
    }
    let unusable = || if checks[0].status == Status::Ok { "rights failed" } else { "socket failed" };
    let (engine, backend) = match usable {
        true => engine(run).await,
        false => (Check::skipped("engine", unusable()), None),
    };
    let way = run.settings.tunnel;
    let forwarding = match address {
        Address::Unix(path) if usable => {
            let started = Instant::now();
            let probe = session.open_unix_by(path, Way::Streamlocal).await;
            let probe = probe.map(|_| started.elapsed());
            check::forwarding(
                &facts,
                session.server(),
                way,
                probe.as_ref().copied(),
                engine.status == Status::Ok,
            )
        }
        Address::Unix(_) => Check::skipped("forwarding", unusable()),
        Address::Tcp { host, port, .. } => {
            let started = Instant::now();
            let probe = session.open_tcp(host, *port).await.map(|_| started.elapsed());
            check::tcp_forwarding(&address.to_string(), probe.as_ref().copied())
        }
    };
    let forwards = matches!(forwarding.status, Status::Ok | Status::Skipped);
    let by_program = run.settings.backend == BackendKind::Cli || way == Way::DialStdio;
    let clock = facts.epoch.map(|epoch| look::clock_difference(epoch, asked, answered));
    checks.extend([
        engine,
        forwarding,
        check::socat(&facts, way, forwards),
        check::docker(&facts, by_program),
        check::clock(clock),
    ]);
    checks.push(match (backend, address) {
        (_, Address::Tcp { host, .. }) if !is_loopback(host) => {
            Check::skipped("disk", format!("the engine is on another machine, {host}"))
        }
        (Some(backend), _) => disk(&machine, backend.as_ref()).await,
        (None, _) => disk_at(&machine, check::DATA_ROOT).await,
    });
    checks
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Examines what can be without commands: the login shell runs none.
async fn mute(run: &Run, address: &Address, session: &Session, why: &str) -> Vec<Check> {
    let started = Instant::now();
    let probe = match address {
        Address::Unix(path) => session.open_unix_by(path, Way::Streamlocal).await,
        Address::Tcp { host, port, .. } => session.open_tcp(host, *port).await,
    };
    let forwarding = match probe {
        Ok(_) => Check::ok(
            "forwarding",
            format!("sshd forwards to {address} ({} ms)", started.elapsed().as_millis()),
        ),
        Err(error) => Check::failed(
            "forwarding",
            chain(&error).join(": "),
            error.hint().unwrap_or_else(|| "give the user a login shell that runs commands".to_owned()),
        ),
    };
    let skipped = |name| Check::skipped(name, format!("commands cannot be run there: {why}"));
    let engine = match forwarding.status {
        Status::Ok => engine(run).await.0,
        _ => Check::skipped("engine", "forwarding failed"),
    };
    let mut checks: Vec<Check> = check::INSIDE.map(skipped).into();
    for check in &mut checks {
        match check.name {
            "engine" => *check = engine.clone(),
            "forwarding" => *check = forwarding.clone(),
            _ => {}
        }
    }
    checks
}

/// Examines the engine of this machine, or one that it reaches without SSH.
async fn local(run: &Run) -> Result<Vec<Check>> {
    let endpoint = run.engines.endpoint(&run.target().await?)?;
    if let Some(host) = &endpoint.host {
        // DOCKER_HOST=ssh://…
        return remote(&run.on_host(Some(host.clone())), host).await;
    }
    let machine = Machine::new(None, &run.engines.sessions);
    let path = match &endpoint.address {
        Address::Unix(path) => path.as_str(),
        Address::Tcp { .. } => "",
    };
    let facts = match facts(&machine, path).await {
        Ok(facts) => facts,
        Err(why) => {
            return Ok(vec![Check::failed("socket", why, "see that `/bin/sh` works on this machine")]);
        }
    };
    let mut checks = Vec::new();
    let mut usable = true;
    if let Address::Unix(path) = &endpoint.address {
        let socket = check::socket(&facts, path);
        let rights = match socket.status {
            Status::Ok => check::rights(&facts, path),
            _ => Check::skipped("rights", "socket failed"),
        };
        usable = rights.status == Status::Ok;
        checks.extend([socket, rights]);
    }
    let (engine, backend) = match usable {
        true => engine(run).await,
        false => (Check::skipped("engine", "the socket cannot be used"), None),
    };
    checks.push(engine);
    checks.push(check::docker(&facts, run.settings.backend == BackendKind::Cli));
    checks.push(match (backend, &endpoint.address) {
        (_, Address::Tcp { host, .. }) if !is_loopback(host) => {
            Check::skipped("disk", format!("the engine is on another machine, {host}"))
        }
        (Some(backend), _) => disk(&machine, backend.as_ref()).await,
        (None, _) => disk_at(&machine, check::DATA_ROOT).await,
    });
    Ok(checks)
}

/// Looks around on a machine; the error is why commands cannot be run there.
async fn facts(machine: &Machine, socket: &str) -> std::result::Result<Facts, String> {
    let output = output(machine, &look::command(socket)).await?;
    Facts::read(&output).ok_or_else(|| "the login shell there does not run commands".to_owned())
}

/// Runs a command for what it prints; a failure of its own is left to whoever reads the output.
async fn output(machine: &Machine, line: &str) -> std::result::Result<String, String> {
    match tokio::time::timeout(LIMIT, machine.run(line, b"")).await {
        Ok(Ok(finished)) => Ok(String::from_utf8_lossy(&finished.stdout).into_owned()),
        Ok(Err(failure)) => Err(failure.causes.join(": ")),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

/// Asks the engine what it speaks. Returns it, where it answers, for further questions.
async fn engine(run: &Run) -> (Check, Option<std::sync::Arc<dyn Backend>>) {
    let judged = |failure: Failure| {
        let evidence = std::iter::once(failure.message).chain(failure.causes).collect::<Vec<_>>().join(": ");
        let fix = failure.hints.first().cloned();
        Check::failed(
            "engine",
            evidence,
            fix.unwrap_or_else(|| "see the engine's own log (`journalctl -u docker`)".to_owned()),
        )
    };
    let backend = match run.backend().await {
        Ok(backend) => backend,
        Err(failure) => return (judged(failure), None),
    };
    let info = match backend.engine_info().await {
        Ok(info) => info,
        Err(error) => return (judged(engine_failure(&error)), None),
    };
    // From the memory of the question before, or one more; what it lacks is not shown.
    let version = backend.information(Information::Version).await.unwrap_or(Value::Null);
    let text = |field: &str| version.get(field).and_then(Value::as_str);
    (check::engine(&info, text("ApiVersion"), text("MinAPIVersion")), Some(backend))
}

/// Measures the space where the engine keeps its data.
async fn disk(machine: &Machine, backend: &dyn Backend) -> Check {
    let info = match backend.information(Information::System).await {
        Ok(info) => info,
        Err(error) => return Check::skipped("disk", chain(&error).join(": ")),
    };
    let Some(root) = info.get("DockerRootDir").and_then(Value::as_str) else {
        return Check::skipped("disk", "the engine does not say where its data is");
    };
    disk_at(machine, root).await
}

async fn disk_at(machine: &Machine, root: &str) -> Check {
    match output(machine, &look::disk_command(root)).await {
        Ok(output) => match Disk::read(&output) {
            Some(found) => check::disk(root, &found),
            None => Check::skipped("disk", format!("`df` does not tell the user about {root}")),
        },
        Err(why) => Check::skipped("disk", why),
    }
}
