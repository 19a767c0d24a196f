//! The language of the scenarios.
//!
//! ```text
//! == what is shown, as a name
//! -- map                     a map follows in YAML; its file is `m.yaml`
//! -- clients                 client configurations follow in YAML
//! -- hosts a b               the default client stands for these hosts
//! -- settings                settings of the session follow, one a line; see `setting`
//! -- state [CLIENT]          changes of the engine follow, one a line; see `change`
//! -- apply ACTION WORDS      carries the plan out, pulls first; it must then plan nothing any more
//! -- plan ACTION WORDS       what follows is the plan as it is printed
//! -- calls ACTION WORDS      the same with the engine calls of each step
//! -- made ACTION WORDS       what follows are the arguments of each object that the plan makes
//! -- wrong ACTION WORDS      what follows are the findings or errors
//! -- rows ID...              what the next command shows: rows of the specification; see `rows.rs`
//! ```
//!
//! WORDS are references, `volume:config.alias`, `network:name`, and options `--name=value`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use dfab_map::desired::{Session, Settings, Target};
use dfab_map::diagnostic::Finding;
use dfab_map::extend::extended;
use dfab_map::item::{ItemId, Kind};
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients};
use dfab_map::names::ClientName;
use dfab_map::observed::{ContainerDetail, ContainerState, Observed};
use dfab_map::plan::{
    ActionKind, Call, ExecCheck, Plan, PlanOptions, ScriptCommand, Step, StepId, plan, unseen,
};
use dfab_map::property::Property;
use dfab_map::select::{Maps, Reference, select};
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, ScriptSpec, VolumeSpec};
use dfab_map::value::{Tables, Value};

use crate::model::Engine;

/// One run of scenarios.
pub struct World {
    maps: Maps,
    clients: Clients,
    hosts: Vec<String>,
    settings: Settings,
    engines: BTreeMap<ClientName, Engine>,
    down: Vec<ClientName>,
    /// Steps are carried out in an order that this number chooses, instead of the printed one.
    pub shuffle: Option<u64>,
}

/// Runs all scenarios of a file, and returns the file with what was printed.
pub fn run(text: &str) -> String {
    let mut out = String::new();
    let mut world = World::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if line.starts_with("== ") {
            world = World::new();
            continue;
        }
        let Some(command) = line.strip_prefix("-- ") else { continue };
        let mut body = String::new();
        while let Some(next) = lines.next_if(|next| !next.starts_with("-- ") && !next.starts_with("== ")) {
            writeln!(body, "{next}").unwrap();
        }
        let printed = world.command(command, &body).unwrap_or_else(|problem| format!("PROBLEM {problem}\n"));
        out.push_str(&printed);
        if lines.peek().is_some_and(|next| next.starts_with("== ")) && !out.ends_with("\n\n") {
            out.push('\n');
        }
    }
    out
}

impl World {
    pub fn new() -> Self {
        Self {
            maps: Maps::new(),
            clients: Clients::new(),
            hosts: Vec::new(),
            settings: Settings::default(),
            engines: BTreeMap::new(),
            down: Vec::new(),
            shuffle: None,
        }
    }

    /// Carries a command out, and returns what belongs under it.
    pub fn command(&mut self, command: &str, body: &str) -> Result<String, String> {
        let mut words = command.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let words: Vec<&str> = words.collect();
        let given = body.to_owned();
        match verb {
            "map" => {
                let lookup = Tables::default();
                let options = LoadOptions { file: "m.yaml", name: None, lookup: &lookup };
                let map = load::map(body, &options).map_err(|findings| findings.to_string())?.value;
                let map = extended(&map).map_err(|findings| findings.to_string())?;
                self.maps.insert(map.name.clone(), map);
                Ok(given)
            }
            "clients" => {
                let lookup = Tables::default();
                let options = LoadOptions { file: "clients.yaml", name: None, lookup: &lookup };
                self.clients = load::clients(body, &options).map_err(|findings| findings.to_string())?.value;
                Ok(given)
            }
            "hosts" => {
                self.hosts = words.iter().map(|word| (*word).to_owned()).collect();
                Ok(given)
            }
            "state" => {
                let client = ClientName::new(*words.first().unwrap_or(&"__default__")).unwrap();
                for line in body.lines().filter(|line| !line.trim().is_empty()) {
                    self.change(&client, line)?;
                }
                Ok(given)
            }
            "settings" => {
                body.lines()
                    .filter(|line| !line.trim().is_empty())
                    .try_for_each(|line| self.setting(line))?;
                Ok(given)
            }
            // Counted by `rows.rs`.
            "rows" => Ok(given),
            "plan" => Ok(print(&self.plan(&words)?, false)),
            "made" => Ok(made(&self.plan(&words)?)),
            "calls" => Ok(print(&self.plan(&words)?, true)),
            "wrong" => match self.plan(&words) {
                Ok(_) => Err("nothing is wrong".to_owned()),
                Err(problem) => Ok(format!("{problem}\n")),
            },
            "apply" => {
                self.apply(&words, usize::MAX)?;
                let again = self.plan(&words)?;
                let left = print(&Plan { notices: Vec::new(), ..again }, true);
                // What an action does each time it is asked for is no failure to converge.
                let repeats = ["restart", "kill", "pull_images", "script"].contains(&words[0])
                    || words.contains(&"--pull_before_update");
                let forced = words.iter().any(|word| word.starts_with("--force_update"));
                if repeats || forced || left == NOTHING {
                    Ok(given)
                } else {
                    Err(format!("left over:\n{left}"))
                }
            }
            "interrupted" => {
                self.interrupt(&words)?;
                Ok(given)
            }
            other => Err(format!("unknown command {other}")),
        }
    }

    /// Returns what inspection shows of a container of the default client.
    pub fn detail(&mut self, name: &str) -> ContainerDetail {
        self.engine().detail(name).unwrap().clone()
    }

    /// Replaces it. Networks stay as they are.
    pub fn set_detail(&mut self, name: &str, detail: ContainerDetail) {
        let current = self.engine().detail(name).unwrap();
        current.properties = detail.properties;
        current.mounts = detail.mounts;
    }

    /// Takes our labels from a container, as if something else had made it.
    pub fn strip_labels(&mut self, name: &str) {
        let container = self.engine().state.containers.get_mut(name).unwrap();
        container.labels.retain(|key, _| !key.starts_with("dfab."));
    }

    fn engine(&mut self) -> &mut Engine {
        self.engines.entry(ClientName::default_client()).or_insert_with(Engine::installed)
    }

    /// Returns the steps in an order that their prerequisites allow: the printed one, or another.
    fn some_order<'a>(&mut self, steps: Vec<&'a Step>) -> Vec<&'a Step> {
        let Some(seed) = &mut self.shuffle else { return steps };
        let planned: Vec<StepId> = steps.iter().map(|step| step.id).collect();
        let (mut open, mut done, mut order) = (steps, Vec::new(), Vec::new());
        while !open.is_empty() {
            let waits = |step: &Step| step.after.iter().any(|id| planned.contains(id) && !done.contains(id));
            let ready: Vec<usize> = (0..open.len()).filter(|at| !waits(open[*at])).collect();
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let step = open.remove(ready[(*seed >> 33) as usize % ready.len()]);
            done.push(step.id);
            order.push(step);
        }
        order
    }

    /// Carries an action out until it is interrupted after some calls, or finished.
    pub fn interrupted_once(&mut self, command: &str, budget: usize) -> Result<(), String> {
        let words: Vec<&str> = command.split_whitespace().collect();
        match self.apply(&words, budget) {
            Err(problem) if problem != "interrupted" => Err(problem),
            _ => Ok(()),
        }
    }

    /// Interrupts the action after each number of calls, and checks that it converges when it is
    /// called again.
    fn interrupt(&mut self, words: &[&str]) -> Result<(), String> {
        let before = self.engines.clone();
        self.apply(words, usize::MAX)?;
        let calm = strip(&self.engines);
        for budget in 0.. {
            self.engines = before.clone();
            let finished = match self.apply(words, budget) {
                Ok(()) => true,
                Err(problem) if problem == "interrupted" => false,
                Err(problem) => return Err(format!("after {budget} calls: {problem}")),
            };
            self.apply(words, usize::MAX)
                .map_err(|problem| format!("resumed after {budget} calls: {problem}"))?;
            let again = print(&Plan { notices: Vec::new(), ..self.plan(words)? }, true);
            if again != NOTHING {
                return Err(format!("interrupted after {budget} calls, left over:\n{again}"));
            }
            if strip(&self.engines) != calm {
                return Err(format!("interrupted after {budget} calls: another state than without"));
            }
            if finished {
                return Ok(());
            }
        }
        unreachable!("a plan has an end")
    }

    fn apply(&mut self, words: &[&str], mut budget: usize) -> Result<(), String> {
        let mut options = options(&self.maps, words)?;
        for _ in 0..2 {
            let plan = self.plan_with(words, &options)?;
            let decides = |call: &Call| matches!(call, Call::PullImage { then_compare: true, .. });
            let stage = plan.steps.iter().any(|step| step.calls.iter().any(decides));
            let steps: Vec<&Step> =
                plan.steps.iter().filter(|step| !stage || step.calls.iter().any(decides)).collect();
            for step in self.some_order(steps) {
                let engine = self.engines.entry(step.client.clone()).or_insert_with(Engine::installed);
                engine.step(step, &mut budget).map_err(|problem| match problem.ends_with("interrupted") {
                    true => "interrupted".to_owned(),
                    false => problem,
                })?;
                for call in &step.calls {
                    if let Call::PullImage { image, .. } = call {
                        options.pulled.insert((step.client.clone(), image.clone()));
                    }
                }
            }
            if !stage {
                break;
            }
        }
        Ok(())
    }

    fn plan(&mut self, words: &[&str]) -> Result<Plan, String> {
        let options = options(&self.maps, words)?;
        self.plan_with(words, &options)
    }

    fn plan_with(&mut self, words: &[&str], options: &PlanOptions) -> Result<Plan, String> {
        let action = ActionKind::by_name(words[0]).ok_or("unknown action")?;
        let selected = items(&self.maps, &words[1..])?;
        let lookup = Tables::default();
        let target = |name: &str| Target {
            name: ClientName::new(name).unwrap(),
            config: ClientConfig::default(),
            is_default: true,
        };
        let defaults = match self.hosts.is_empty() {
            true => vec![target("__default__")],
            false => self.hosts.iter().map(|host| target(host)).collect(),
        };
        let settings = self.settings.clone();
        let session =
            Session { maps: &self.maps, clients: &self.clients, defaults, lookup: &lookup, settings };
        let desired = session.desired(action, &selected, options).map_err(|findings| {
            let hint = |finding: &Finding| finding.hint.as_ref().map(|hint| format!("\n    hint: {hint}"));
            let lines =
                findings.0.iter().map(|finding| format!("{finding}{}", hint(finding).unwrap_or_default()));
            lines.collect::<Vec<_>>().join("\n")
        })?;
        let wanted = desired.wanted();
        let mut observed: BTreeMap<ClientName, Observed> = BTreeMap::new();
        for (client, wanted) in wanted {
            if self.down.contains(&client) {
                continue;
            }
            let engine = self.engines.entry(client.clone()).or_insert_with(Engine::installed);
            let mut state = engine.state.clone();
            for (name, container) in &mut state.containers {
                if !wanted.containers.contains(name) {
                    container.detail = None;
                } else if let Some(detail) = &mut container.detail
                    && !wanted.processes.contains(name)
                {
                    detail.processes = None;
                }
            }
            observed.insert(client, state);
        }
        for (client, names) in unseen(&desired, &observed, options) {
            let (engine, state) =
                (&self.engines[&client], observed.get_mut(&client).expect("it was observed"));
            for name in names {
                let seen = engine.state.containers[&name].clone();
                state.containers.insert(name, seen);
            }
        }
        let planned = plan(&desired, &observed, options).map_err(|errors| {
            let lines: Vec<String> =
                errors.iter().map(|error| format!("{error}\nhint: {}", error.hint())).collect();
            lines.join("\n")
        })?;
        check_order(&planned)?;
        Ok(planned)
    }

    /// Changes a setting of the session (engine §8.3):
    ///
    /// ```text
    /// hostname_replace FROM=TO...     default_networks NAME...     prepare_image REF
    /// ```
    fn setting(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        match (words.next(), words.map(str::to_owned)) {
            (Some("hostname_replace"), words) => {
                let pair =
                    |word: String| word.split_once('=').map(|(from, to)| (from.to_owned(), to.to_owned()));
                self.settings.hostname_replace = words.filter_map(pair).collect();
            }
            (Some("default_networks"), words) => self.settings.default_networks = words.collect(),
            (Some("prepare_image"), mut words) => {
                let image = words.next().unwrap_or_default();
                self.settings.prepare_image = dfab_map::image::ImageName::expand(&image, None, None)
                    .map_err(|error| error.to_string())?;
            }
            _ => return Err(format!("no such setting: {line}")),
        }
        Ok(())
    }

    /// Changes an engine:
    ///
    /// ```text
    /// image REF ID        the engine has the image     no-image REF
    /// registry REF ID     a pull brings it
    /// exit NAME CODE      the container has ended      create-only NAME   it was never started
    /// dead NAME           run NAME                    restarting NAME
    /// remove NAME         the container is gone        remove-volume NAME, remove-network NAME
    /// detach NAME NET     set NAME PROPERTY JSON       unset NAME PROPERTY
    /// unlabel NAME        without our labels           rename NAME NEW
    /// process NAME USER COMMAND...                     endpoint NAME NET KEY=VALUE
    /// foreign NAME IMAGE NET...   a running container that is not ours
    /// unsupported PROPERTY        mount NAME PATH SOURCE       unmount NAME PATH      readonly NAME PATH
    /// another-network NAME ID     a second network of the name
    /// network-id NAME NET ID      network NAME driver|internal|enable_ipv6|attachable|ipam VALUE
    /// network NAME option|label KEY VALUE              volume NAME driver VALUE, option|label KEY VALUE, no-options
    /// down                nothing can be asked
    /// forget-effects      what ran and was prepared so far does not count
    /// marked NAME MARKER  a run that was interrupted has left this marker
    /// ```
    fn change(&mut self, client: &ClientName, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words[0] == "down" {
            self.down.push(client.clone());
            return Ok(());
        }
        let engine = self.engines.entry(client.clone()).or_insert_with(Engine::installed);
        let missing = || format!("no such object: {line}");
        match words.as_slice() {
            ["forget-effects"] => engine.effects.clear(),
            ["marked", name, marker] => {
                let (name, driver) = (format!("{name}.{marker}"), "local".to_owned());
                let spec = VolumeSpec { name, driver, ..Default::default() };
                engine.call(&Call::CreateVolume(spec))?;
            }
            ["image", reference, id] => {
                let image = dfab_map::observed::image_key(reference);
                drop(engine.state.images.insert(image, (*id).to_owned()));
            }
            ["no-image", reference] => drop(engine.state.images.remove(*reference)),
            ["registry", reference, id] => {
                drop(engine.registry.insert((*reference).to_owned(), (*id).to_owned()))
            }
            ["remove", name] => engine.forget(name),
            ["remove-unused", name] => {
                let unused =
                    |name: &str| match (engine.state.volumes.get(name), engine.state.networks.get(name)) {
                        (Some(volume), _) => volume.holders.is_empty(),
                        (_, Some(network)) => network.containers.is_empty(),
                        _ => false,
                    };
                if unused(name) {
                    engine.state.volumes.remove(*name);
                    engine.state.networks.remove(*name);
                }
            }
            ["remove-volume", name] => drop(engine.state.volumes.remove(*name)),
            ["remove-network", name] => drop(engine.state.networks.remove(*name)),
            ["detach", name, network] => engine.disconnect(name, network),
            ["set", name, property, rest @ ..] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                let value = serde_json::from_str(&rest.join(" ")).map_err(|error| error.to_string())?;
                drop(engine.detail(name)?.properties.insert(property, value));
            }
            ["unset", name, property] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                drop(engine.detail(name)?.properties.remove(&property));
            }
            ["process", name, user, command @ ..] => {
                let process = ((*user).to_owned(), command.join(" "));
                engine.detail(name)?.processes.get_or_insert_default().push(process);
            }
            ["mount", name, path, source] => {
                let mount = engine.detail(name)?.mounts.get_mut(*path).ok_or_else(missing)?;
                (*source).clone_into(&mut mount.source);
            }
            ["endpoint", name, network, setting] => {
                let endpoint = engine.detail(name)?.endpoints.get_mut(*network).ok_or_else(missing)?;
                let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
                let value = Some(value.to_owned()).filter(|value| !value.is_empty());
                match key {
                    "aliases" => endpoint.aliases = value.into_iter().collect(),
                    "links" => endpoint.links = value.into_iter().collect(),
                    "ipv4_address" => endpoint.ipv4_address = value,
                    "ipv6_address" => endpoint.ipv6_address = value,
                    "link_local_ips" => endpoint.link_local_ips = value.into_iter().collect(),
                    _ => return Err(missing()),
                }
            }
            ["unmount", name, path] => drop(engine.detail(name)?.mounts.remove(*path).ok_or_else(missing)?),
            ["readonly", name, path] => {
                engine.detail(name)?.mounts.get_mut(*path).ok_or_else(missing)?.writable = false;
            }
            ["another-network", name, id] => {
                engine.state.networks.get_mut(*name).ok_or_else(missing)?.others.push((*id).to_owned());
            }
            ["network-id", name, network, id] => {
                drop(engine.detail(name)?.network_ids.insert((*network).to_owned(), (*id).to_owned()));
            }
            ["network", name, field, rest @ ..] => {
                let spec = &mut engine.state.networks.get_mut(*name).ok_or_else(missing)?.spec;
                match (*field, rest) {
                    ("driver", [driver]) => (*driver).clone_into(&mut spec.driver),
                    ("internal", [value]) => spec.internal = *value == "true",
                    ("enable_ipv6", [value]) => spec.enable_ipv6 = Some(*value == "true"),
                    ("attachable", [value]) => spec.attachable = Some(*value == "true"),
                    ("option", [key, value]) => drop(spec.options.insert((*key).into(), (*value).into())),
                    ("label", [key, value]) => drop(spec.labels.insert((*key).into(), (*value).into())),
                    ("ipam", [json]) => {
                        spec.ipam = serde_json::from_str(json).map_err(|error| error.to_string())?
                    }
                    _ => return Err(missing()),
                }
            }
            ["volume", name, field, rest @ ..] => {
                let spec = &mut engine.state.volumes.get_mut(*name).ok_or_else(missing)?.spec;
                match (*field, rest) {
                    ("driver", [driver]) => (*driver).clone_into(&mut spec.driver),
                    ("option", [key, value]) => drop(spec.driver_opts.insert((*key).into(), (*value).into())),
                    ("label", [key, value]) => drop(spec.labels.insert((*key).into(), (*value).into())),
                    ("no-options", []) => spec.driver_opts.clear(),
                    _ => return Err(missing()),
                }
            }
            ["unsupported", property] => {
                let property = Property::by_name(property).ok_or_else(missing)?;
                _ = engine.state.engine.unsupported.insert(property);
            }
            ["foreign", name, image, networks @ ..] => {
                let image = dfab_map::image::ImageName::expand(image, None, None).unwrap();
                let key = dfab_map::observed::image_key(&image.to_string());
                engine.state.images.entry(key).or_insert_with(|| "sha256:foreign".to_owned());
                let spec = ContainerSpec {
                    name: (*name).to_owned(),
                    image,
                    properties: [(Property::NetworkMode, "none".into())].into(),
                    first_endpoint: None,
                    own_labels: BTreeMap::new(),
                };
                engine.call(&Call::CreateContainer(Box::new(spec)))?;
                for network in networks {
                    let endpoint = EndpointSpec { network: (*network).to_owned(), ..Default::default() };
                    engine.call(&Call::Connect { container: (*name).to_owned(), endpoint })?;
                }
                engine.call(&Call::StartContainer { name: (*name).to_owned(), delay: None })?;
            }
            [verb, name, rest @ ..] => {
                let container = engine.state.containers.get_mut(*name).ok_or_else(missing)?;
                match (*verb, rest) {
                    ("exit", [code]) => container.state = ContainerState::Exited(code.parse().unwrap()),
                    ("create-only", []) => container.state = ContainerState::Created,
                    ("dead", []) => container.state = ContainerState::Dead,
                    ("run", []) => container.state = ContainerState::Running,
                    ("restarting", []) => container.state = ContainerState::Restarting,
                    ("unlabel", []) => container.labels.retain(|key, _| !key.starts_with("dfab.")),
                    ("label", [key, value]) => drop(container.labels.insert((*key).into(), (*value).into())),
                    _ => return Err(missing()),
                }
            }
            _ => return Err(missing()),
        }
        Ok(())
    }
}

/// What is compared between two states: everything but IDs.
fn strip(engines: &BTreeMap<ClientName, Engine>) -> String {
    let mut text = String::new();
    for (client, engine) in engines {
        for (name, container) in &engine.state.containers {
            let detail = container.detail.clone().unwrap_or_default();
            let networks: Vec<&String> = detail.endpoints.keys().collect();
            writeln!(text, "{client} {name} {:?} {:?} {networks:?}", container.state, detail.properties)
                .unwrap();
        }
        let volumes: Vec<&String> = engine.state.volumes.keys().collect();
        let networks: Vec<&String> = engine.state.networks.keys().collect();
        writeln!(text, "{volumes:?} {networks:?}").unwrap();
        let effects: std::collections::BTreeSet<&String> = engine.effects.iter().collect();
        writeln!(text, "{effects:?}").unwrap();
    }
    text
}

/// Steps stand after what they wait for, each has a reason, and each does something.
fn check_order(plan: &Plan) -> Result<(), String> {
    for (index, step) in plan.steps.iter().enumerate() {
        if step.id.0 as usize != index + 1 || step.after.iter().any(|before| before.0 >= step.id.0) {
            return Err(format!("{} is not in order", step.id));
        }
        if step.reasons.is_empty() || step.calls.is_empty() {
            return Err(format!("{} has no reason or does nothing", step.id));
        }
    }
    Ok(())
}

fn items(maps: &Maps, words: &[&str]) -> Result<Vec<ItemId>, String> {
    let references: Vec<Reference> = words
        .iter()
        .filter(|word| !word.starts_with("--"))
        .map(|word| match word.split_once(':') {
            Some((kind, name)) => {
                let (config, instance) = name.split_once('.').unwrap_or((name, ""));
                let kind = if kind == "volume" { Kind::Volume } else { Kind::Network };
                let instances = (!instance.is_empty()).then(|| instance.to_owned()).into_iter().collect();
                Reference { kind, instances, ..Reference::config(config) }
            }
            None => Reference::word(maps, None, word),
        })
        .collect();
    select(maps, &references, None, &[]).map_err(|findings| findings.to_string())
}

fn options(maps: &Maps, words: &[&str]) -> Result<PlanOptions, String> {
    let mut options = PlanOptions::default();
    for word in words.iter().filter_map(|word| word.strip_prefix("--")) {
        let (name, value) = word.split_once('=').unwrap_or((word, "true"));
        let flag = value == "true";
        match name {
            "force_update" => {
                options.force_update.extend(items(maps, &value.split(',').collect::<Vec<_>>())?)
            }
            "nonrecoverable_exit_codes" => {
                options.nonrecoverable_exit_codes =
                    value.split(',').map(|code| code.parse().unwrap()).collect();
            }
            "check_exec_commands" => {
                options.check_exec_commands = ExecCheck::by_name(value).ok_or("unknown check")?
            }
            "update_persistent" => options.update_persistent = flag,
            "skip_limit_reset" => options.skip_limit_reset = flag,
            "pull_before_update" => options.pull_before_update = flag,
            "pull_all_images" => options.pull_all_images = flag,
            "restart_exec_commands" => options.restart_exec_commands = flag,
            "remove_persistent" => options.remove_persistent = flag,
            "remove_attached" => options.remove_attached = flag,
            "remove_networks" => options.remove_networks = flag,
            "remove_orphans" => options.remove_orphans = flag,
            "remove_existing_before" => options.remove_existing_before = flag,
            "remove_created_after" => options.remove_created_after = flag,
            "pull_insecure_registry" => options.pull_insecure_registry = flag,
            "prepare_local" => options.prepare_local = flag,
            "v" => options.remove_volumes = flag,
            "timeout" => options.timeout = Some(Duration::from_secs(value.parse().unwrap())),
            "wait_timeout" => options.script.wait_timeout = Some(Duration::from_secs(value.parse().unwrap())),
            "command_format" => {
                options.script.command_format = Some(ScriptCommand::Text(value.replace('+', " ")))
            }
            "tail" => options.script.tail = Some(value.parse().unwrap()),
            "wait_healthy" => options.wait_healthy = flag,
            "force" => options.force = flag,
            "signal" => options.signal = Some(value.to_owned()),
            "script_dir" => options.script.host_dir = Some(value.to_owned()),
            "script" => options.script.file = Some(value.to_owned()),
            "entrypoint" => options.script.entrypoint = Some(ScriptCommand::Text(value.to_owned())),
            // `KEY:JSON`, without blanks.
            "create" => {
                let (key, value) = value.split_once(':').ok_or("expected KEY:JSON")?;
                let value: serde_json::Value =
                    serde_json::from_str(value).map_err(|error| error.to_string())?;
                options.create.insert(key.to_owned(), from_json(&value));
            }
            "env" => {
                let value = Value::List(vec![Value::from(value)]);
                options.create.insert("environment".to_owned(), value);
            }
            other => return Err(format!("unknown option {other}")),
        }
    }
    Ok(options)
}

fn from_json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::from(number.as_i64().unwrap()),
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(from_json).collect()),
        serde_json::Value::Object(members) => {
            Value::Mapping(members.iter().map(|(key, value)| (key.clone(), from_json(value))).collect())
        }
    }
}

/// The arguments of every object that a plan makes, by their paths in the Engine API. Our own labels are the same
/// everywhere, and are left out.
fn made(plan: &Plan) -> String {
    let mut text = String::new();
    let calls = plan.steps.iter().flat_map(|step| step.calls.iter().map(move |call| (step, call)));
    for (step, call) in calls {
        match call {
            Call::CreateNetwork(spec) => {
                let NetworkSpec {
                    name,
                    driver,
                    options,
                    internal,
                    enable_ipv6,
                    attachable,
                    ipam,
                    labels,
                    ..
                } = spec;
                writeln!(
                    text,
                    "network {name} on {}: {driver} options {options:?} internal {internal} ipv6 {enable_ipv6:?} \
                     attachable {attachable:?} ipam {ipam} labels {labels:?}",
                    step.client
                )
                .unwrap();
            }
            Call::CreateVolume(spec) if !spec.name.contains(".dfab-un") => {
                let VolumeSpec { name, driver, driver_opts, labels, .. } = spec;
                let client = &step.client;
                writeln!(
                    text,
                    "volume {name} on {client}: {driver} options {driver_opts:?} labels {labels:?}"
                )
                .unwrap();
            }
            Call::PrepareVolume(spec) => {
                let images: Vec<String> = spec.images.iter().map(ToString::to_string).collect();
                writeln!(
                    text,
                    "prepare {}: owner {:?} mode {:?} local {} images {images:?}",
                    spec.volume, spec.owner, spec.mode, spec.local
                )
                .unwrap();
            }
            Call::CreateContainer(spec) => text.push_str(&container(spec, &step.client)),
            Call::Connect { container, endpoint } => {
                writeln!(text, "connect {container}: {}", shown(endpoint)).unwrap();
            }
            Call::RunScript(script) => {
                text.push_str(&container(&script.container, &step.client));
                script
                    .endpoints
                    .iter()
                    .for_each(|endpoint| writeln!(text, "    joins {}", shown(endpoint)).unwrap());
                let ScriptSpec { wait_timeout, timestamps, tail, remove, .. } = &**script;
                writeln!(
                    text,
                    "    script: wait {wait_timeout:?} timestamps {timestamps} tail {tail:?} remove {remove}"
                )
                .unwrap();
            }
            Call::UpdateContainer { name, properties } => {
                writeln!(text, "update {name}").unwrap();
                properties.iter().for_each(|(property, value)| {
                    writeln!(text, "    {}: {value}", property.path()).unwrap();
                });
            }
            _ => {}
        }
    }
    text
}

fn container(spec: &ContainerSpec, client: &ClientName) -> String {
    let mut text = format!("container {} on {client} from {}\n", spec.name, spec.image);
    for (property, value) in spec.properties.iter().filter(|(_, value)| !value.is_null()) {
        writeln!(text, "    {}: {value}", property.path()).unwrap();
    }
    if let Some(endpoint) = &spec.first_endpoint {
        writeln!(text, "    joins {}", shown(endpoint)).unwrap();
    }
    text
}

fn shown(endpoint: &EndpointSpec) -> String {
    let EndpointSpec { network, aliases, links, ipv4_address, ipv6_address, link_local_ips } = endpoint;
    let mut text = network.clone();
    let sets = [("aliases", aliases), ("links", links), ("link-local", link_local_ips)];
    for (word, set) in sets.into_iter().filter(|(_, set)| !set.is_empty()) {
        write!(text, " {word} {set:?}").unwrap();
    }
    for address in [ipv4_address, ipv6_address].into_iter().flatten() {
        write!(text, " address {address}").unwrap();
    }
    text
}

/// What an empty plan prints.
const NOTHING: &str = "nothing to do\n";

fn print(plan: &Plan, calls: bool) -> String {
    let mut text = String::new();
    let lines = plan.to_string();
    for (line, step) in lines.lines().zip(&plan.steps) {
        writeln!(text, "{line}").unwrap();
        for reason in step.reasons.iter().filter(|reason| reason.current.is_some() || reason.source.is_some())
        {
            writeln!(text, "    {reason}").unwrap();
        }
        if calls {
            step.calls.iter().for_each(|call| writeln!(text, "    - {call}").unwrap());
        }
    }
    for notice in &plan.notices {
        writeln!(text, "note: {notice}").unwrap();
    }
    if text.is_empty() {
        text.push_str(NOTHING);
    }
    text
}
