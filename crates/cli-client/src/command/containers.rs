//! Containers: `create`, `start`, `stop`, `rm` and what else there is.

use std::collections::BTreeSet;
use std::time::Duration;

use dfab_client::engine_json::{MAC_ADDRESS_LABEL, Rewritten};
use dfab_client::error::Cause;
use dfab_client::streams::LogOptions;
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, EndpointSpec, Properties};
use serde_json::Value;

use super::properties::Create;
use super::words::{Words, list, name, no_flag};
use super::{Built, Command, Generation};

/// `docker create [flags] IMAGE [words…]`. The ID is the last line of the output.
///
/// The program would pull an absent image; callers that want the engine's answer instead insert
/// `--pull=never`, see [`without_pull`].
///
/// # Errors
///
/// [`Cause::Unsupported`] for a property that the program has no flag for; nothing has been run.
pub fn create(spec: &ContainerSpec, generation: Generation) -> Built {
    let mut create = Create::new(generation);
    for (&property, value) in &spec.properties {
        create.property(property, value)?;
    }
    let mut words = Words::new("create");
    words.flag("name", name(&spec.name)?);
    words.0.append(&mut create.generic.0);
    network(&mut words, spec)?;
    create.rewritten.shares = volumes(&mut words, &spec.properties)?;
    ports(&mut words, &spec.properties)?;
    if let Some(links) = spec.properties.get(&Property::Links) {
        words.each("link", list("links", links)?);
    }
    words.0.append(&mut create.last.0);
    words.entries("label", &spec.own_labels);
    // Engines from API 1.44 on show the address until the first stop only.
    if let Some(address) = spec.properties.get(&Property::MacAddress).and_then(Value::as_str) {
        words.flag("label", format_args!("{MAC_ADDRESS_LABEL}={address}"));
    }
    if let Some(value) = create.rewritten.label() {
        words.flag("label", format_args!("{}={value}", Rewritten::LABEL));
    }
    words.positional(&spec.image.to_string())?;
    // Everything after the image belongs to the container's command, leading dashes included.
    words.0.append(&mut create.entrypoint_rest);
    if let Some(command) = spec.properties.get(&Property::Command) {
        words.0.extend(list("command", command)?);
    }
    let command = Command::action(format!("create container `{}`", spec.name), words);
    Ok(create.variables.carried_by(command))
}

/// Makes a `docker create` fail for an absent image, as the Engine API does, instead of pulling it.
pub fn without_pull(mut create: Command) -> Command {
    create.words.insert(1, "--pull=never".to_owned());
    create
}

/// The network flags: disabled wins over the mode, and the mode over the first endpoint's network.
fn network(words: &mut Words, spec: &ContainerSpec) -> Built<()> {
    let is_disabled = spec.properties.get(&Property::NetworkDisabled) == Some(&Value::Bool(true));
    let mode = spec.properties.get(&Property::NetworkMode).and_then(Value::as_str);
    match (is_disabled, mode, &spec.first_endpoint) {
        (true, ..) => drop(words.flag("net", "none")),
        (_, Some(mode), Some(endpoint)) if mode == endpoint.network => {
            words.flag("net", mode);
            create_endpoint(words, endpoint);
        }
        (_, Some(mode), _) => drop(words.flag("net", mode)),
        (_, None, Some(endpoint)) => {
            words.flag("net", name(&endpoint.network)?);
            create_endpoint(words, endpoint);
        }
        (_, None, None) => {}
    }
    Ok(())
}

/// The settings of the first endpoint; without any of them the engine makes them up.
fn create_endpoint(words: &mut Words, endpoint: &EndpointSpec) {
    words.each("network-alias", &endpoint.aliases);
    words.each("link", &endpoint.links);
    words.each("ip", &endpoint.ipv4_address);
    words.each("ip6", &endpoint.ipv6_address);
    words.each("link-local-ip", &endpoint.link_local_ips);
}

/// Every bind in its order, then the anonymous volumes at paths that no bind covers. Tells whether
/// there are volumes at paths that a bind covers.
fn volumes(words: &mut Words, properties: &Properties) -> Built<bool> {
    let values =
        |property| properties.get(&property).map(|value| list(Property::name(property), value)).transpose();
    let binds = values(Property::Binds)?.unwrap_or_default();
    for bind in &binds {
        if !bind.contains(':') {
            return Err(Cause::Input(format!("bind `{bind}` has no `host:container` form")));
        }
        words.flag("volume", bind);
    }
    let covered: BTreeSet<&str> = binds.iter().filter_map(|bind| bind.split(':').nth(1)).collect();
    let mut is_covered = false;
    for path in values(Property::Shares)?.unwrap_or_default() {
        if path.contains(':') {
            return Err(no_flag(format_args!(
                "an anonymous volume at `{path}`: a colon would make it a bind"
            )));
        }
        if covered.contains(path.as_str()) {
            is_covered = true;
        } else {
            words.flag("volume", path);
        }
    }
    Ok(is_covered)
}

/// `--expose` of each port, directly followed by its `--publish` flags; then the published ports
/// that are not exposed.
fn ports(words: &mut Words, properties: &Properties) -> Built<()> {
    let exposed = match properties.get(&Property::ExposedPorts) {
        Some(value) => list("exposes", value)?,
        None => Vec::new(),
    };
    let bindings = match properties.get(&Property::PortBindings) {
        Some(Value::Object(bindings)) => bindings.clone(),
        None | Some(Value::Null) => serde_json::Map::new(),
        Some(other) => return Err(super::words::unexpected("port_bindings", "a mapping", other)),
    };
    let key = |port: &str| if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") };
    let mut published = BTreeSet::new();
    for port in &exposed {
        words.flag("expose", port.strip_suffix("/tcp").unwrap_or(port));
        for (found, value) in bindings.iter().filter(|(found, _)| key(found) == key(port)) {
            published.insert(found.clone());
            publish(words, found, value)?;
        }
    }
    for (port, value) in bindings.iter().filter(|(port, _)| !published.contains(*port)) {
        publish(words, port, value)?;
    }
    Ok(())
}

/// `--publish=[ip:][host port:]port` for each binding of a port.
fn publish(words: &mut Words, port: &str, value: &Value) -> Built<()> {
    let bindings = match value {
        Value::Array(bindings) => bindings.as_slice(),
        Value::Null => &[Value::Null],
        single => std::slice::from_ref(single),
    };
    for binding in bindings {
        let part = |name: &str| match binding.get(name) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(value) => super::words::text("port_bindings", value),
        };
        let (ip, host_port) = match binding {
            Value::Null => (String::new(), String::new()),
            Value::Object(_) => (part("HostIp")?, part("HostPort")?),
            scalar => (String::new(), super::words::text("port_bindings", scalar)?),
        };
        // A protocol after the host port has no meaning, and the program refuses it.
        let host_port = host_port.split('/').next().unwrap_or_default();
        let ip = if ip.contains(':') && !ip.starts_with('[') { format!("[{ip}]") } else { ip };
        match (ip.as_str(), host_port) {
            ("", "") => words.flag("publish", port),
            ("", host_port) => words.flag("publish", format_args!("{host_port}:{port}")),
            (ip, host_port) => words.flag("publish", format_args!("{ip}:{host_port}:{port}")),
        };
    }
    Ok(())
}

/// `docker start NAME`.
pub fn start(container: &str) -> Built {
    let mut words = Words::new("start");
    words.positional(container)?;
    Ok(Command::action(format!("start container `{container}`"), words).long())
}

/// `docker stop [--time=SECONDS] NAME`; parts of seconds are rounded up.
pub fn stop(container: &str, timeout: Option<Duration>) -> Built {
    stop_or_restart("stop", container, timeout)
}

/// `docker restart [--time=SECONDS] NAME`.
pub fn restart(container: &str, timeout: Option<Duration>) -> Built {
    stop_or_restart("restart", container, timeout)
}

fn stop_or_restart(verb: &str, container: &str, timeout: Option<Duration>) -> Built {
    let mut words = Words::new(verb);
    words.each("time", timeout.map(whole_seconds)).positional(container)?;
    Ok(Command::action(format!("{verb} container `{container}`"), words).long())
}

/// `docker kill [--signal=NAME] NAME`.
pub fn kill(container: &str, signal: Option<&str>) -> Built {
    let mut words = Words::new("kill");
    words.each("signal", signal).positional(container)?;
    Ok(Command::action(format!("kill container `{container}`"), words))
}

/// `[timeout -s INT SECONDS] docker wait NAME`; exit status 124 says that the time has passed.
///
/// The time is rounded up to whole seconds, and is one second at least: zero would mean "for ever"
/// to `timeout`.
pub fn wait(container: &str, timeout: Option<Duration>) -> Built {
    let mut words = Words::new("wait");
    words.positional(container)?;
    let operation = format!("wait for container `{container}`");
    let mut command = Command { only_waits: true, ..Command::action(operation, words).long() };
    if let Some(timeout) = timeout {
        let seconds = whole_seconds(timeout).max(1).to_string();
        command.before = ["timeout", "-s", "INT", &seconds].map(str::to_owned).to_vec();
    }
    Ok(command)
}

/// `docker rm [--force=true] [--volumes=true] NAME`.
pub fn remove(container: &str, volumes: bool, force: bool) -> Built {
    let mut words = Words::new("rm");
    if force {
        words.flag("force", true);
    }
    if volumes {
        words.flag("volumes", true);
    }
    words.positional(container)?;
    Ok(Command::action(format!("remove container `{container}`"), words).long())
}

/// `docker rm --link=true NAME/ALIAS`: removes a link, not a container.
pub fn remove_link(container: &str, alias: &str) -> Built {
    let mut words = Words::new("rm");
    words.flag("link", true).positional(&format!("{container}/{alias}"))?;
    Ok(Command::action(format!("remove link `{alias}` of container `{container}`"), words))
}

/// `docker update [flags] NAME`.
///
/// # Errors
///
/// [`Cause::Unsupported`] for a property that `docker update` has no flag for.
pub fn update(container: &str, properties: &Properties, generation: Generation) -> Built {
    let mut update = Create::new(generation);
    for (&property, value) in properties {
        if property.on_change() != dfab_map::property::OnChange::Update {
            return Err(no_flag(format_args!("a change of `{property}` on a living container")));
        }
        update.property(property, value)?;
    }
    let mut words = Words::new("update");
    words.0.append(&mut update.generic.0);
    words.0.append(&mut update.last.0);
    words.positional(container)?;
    Ok(Command::action(format!("update container `{container}`"), words))
}

/// `docker rename OLD NEW`.
pub fn rename(container: &str, new_name: &str) -> Built {
    let mut words = Words::new("rename");
    words.positional(container)?.positional(new_name)?;
    Ok(Command::action(format!("rename container `{container}` to `{new_name}`"), words))
}

/// `docker pause NAME` or `docker unpause NAME`.
pub fn pause(container: &str, paused: bool) -> Built {
    let verb = if paused { "pause" } else { "unpause" };
    let mut words = Words::new(verb);
    words.positional(container)?;
    Ok(Command::action(format!("{verb} container `{container}`"), words))
}

/// `docker ps --all --quiet`, then `docker inspect` of all of them, one short JSON object a line.
///
/// `docker ps` alone shows labels as one text that cannot be split again, and no image IDs.
pub fn list_containers() -> Command {
    let mut words = Words::new("ps");
    words.flag("all", true).flag("no-trunc", true).flag("quiet", true);
    let mut details = Words::new("inspect");
    details.flag("type", "container").flag("format", CONTAINER_LINE);
    Command { then: Some(details.0), ..Command::query("list containers", words) }
}

/// The fields of a container that a list shows, in the shape of inspection.
const CONTAINER_LINE: &str = concat!(
    r#"{"Id":{{json .ID}},"Name":{{json .Name}},"State":{{json .State}},"Image":{{json .Image}},"#,
    r#""Config":{"Labels":{{json .Config.Labels}}},"Mounts":{{json .Mounts}},"#,
    r#""NetworkSettings":{"Networks":{{json .NetworkSettings.Networks}}}}"#,
);

/// Which containers a table shows; by default those that run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// The last so many that were created, whether or not they run.
    pub limit: Option<u32>,
    /// Name and value of each condition, as of `docker ps --filter`.
    pub filters: Vec<(String, String)>,
}

/// `docker ps [--last=N] [--filter=NAME=VALUE]… [--all]`, one JSON object a line, for people: see
/// [`list_containers`] for plans.
pub fn container_table(options: &TableOptions) -> Command {
    let mut words = Words::new("ps");
    words.flag("no-trunc", true).flag("format", "{{json .}}").each("last", options.limit);
    words.entries("filter", options.filters.iter().map(|(name, value)| (name, value)));
    if options.all {
        words.flag("all", true);
    }
    Command::query("list containers", words)
}

/// `docker inspect --type=container NAME…`: a JSON array of those that exist; the others are named
/// on standard error.
pub fn inspect_containers(containers: &[&str]) -> Built {
    let mut words = Words::new("inspect");
    words.flag("type", "container");
    for container in containers {
        words.positional(container)?;
    }
    let operation = match containers {
        [container] => format!("inspect container `{container}`"),
        many => format!("inspect {} containers", many.len()),
    };
    Ok(Command::query(operation, words))
}

/// `docker top NAME [PS-ARGUMENTS…]`.
pub fn top(container: &str, ps_args: &[&str]) -> Built {
    let mut words = Words::new("top");
    words.positional(container)?;
    words.0.extend(ps_args.iter().map(|&word| word.to_owned()));
    Ok(Command::query(format!("list the processes of container `{container}`"), words))
}

/// `docker logs [--tail=N] NAME`, with standard error joined in.
pub fn logs(container: &str, tail: Option<u32>, timestamps: bool) -> Built {
    let options = LogOptions { tail, timestamps, ..LogOptions::default() };
    Ok(Command { merged: true, ..log_stream(container, options, false)? })
}

/// `docker logs [--follow=true] [--timestamps=true] [--since=TIME] [--until=TIME] [--tail=N] NAME`. The
/// program has no flag for one of the outputs: it writes both, each to its own.
pub fn log_stream(container: &str, options: LogOptions, follow: bool) -> Built {
    let mut words = Words::new("logs");
    for (name, wanted) in [("follow", follow), ("timestamps", options.timestamps)] {
        if wanted {
            words.flag(name, true);
        }
    }
    words.each("since", options.since).each("until", options.until).each("tail", options.tail);
    words.positional(container)?;
    Ok(Command::query(format!("read the log of container `{container}`"), words))
}

/// `docker commit [--message=TEXT] NAME [IMAGE]`; the output is the image ID.
pub fn commit(container: &str, image: Option<&str>, message: Option<&str>) -> Built {
    let mut words = Words::new("commit");
    words.each("message", message).positional(container)?;
    if let Some(image) = image {
        words.positional(image)?;
    }
    Ok(Command::action(format!("commit container `{container}`"), words).long())
}

/// `docker cp NAME:PATH -`: a tar stream on standard output.
pub fn copy_from(container: &str, path: &str) -> Built {
    let mut words = Words::new("cp");
    words.word(format!("{}:{path}", name(container)?)).word("-");
    Ok(Command::query(format!("copy `{path}` from container `{container}`"), words).long())
}

/// `docker cp - NAME:PATH`: unpacks a tar stream from standard input.
pub fn copy_to(container: &str, path: &str) -> Built {
    let mut words = Words::new("cp");
    words.word("-").word(format!("{}:{path}", name(container)?));
    Ok(Command::action(format!("copy to `{path}` in container `{container}`"), words).long())
}

/// `docker export NAME`: the file system as a tar stream on standard output.
pub fn export(container: &str) -> Built {
    let mut words = Words::new("export");
    words.positional(container)?;
    Ok(Command::query(format!("export container `{container}`"), words).long())
}

fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
