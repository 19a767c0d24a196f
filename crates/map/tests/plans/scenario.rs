//! The language of the scenarios.
//!
//! ```text
//! == what is shown, as a name
//! -- map                     a map follows in YAML; its file is `m.yaml`
//! -- clients                 client configurations follow in YAML
//! -- hosts a b               the default client stands for these hosts
//! -- settings                settings of the session follow, one a line; see `change.rs`
//! -- state [CLIENT]          changes of the engine follow, one a line; see `change.rs`
//! -- apply ACTION WORDS      carries the plan out, pulls first; it must then plan nothing any more
//! -- plan ACTION WORDS       what follows is the plan as it is printed
//! -- calls ACTION WORDS      the same with the engine calls of each step
//! -- made ACTION WORDS       what follows are the arguments of each object that the plan makes
//! -- wrong ACTION WORDS      what follows are the findings or errors
//! -- rows ID...              what the next command shows: rows of the specification; see `rows.rs`
//! ```
//!
//! WORDS are references, `volume:config.alias`, `network:name`, and options `--name=value`.

mod change;
mod print;
mod words;

use std::collections::BTreeMap;
use std::fmt::Write;

use dfab_map::desired::{Session, Settings, Target};
use dfab_map::diagnostic::Finding;
use dfab_map::extend::extended;
use dfab_map::load::{self, LoadOptions};
use dfab_map::model::{ClientConfig, Clients};
use dfab_map::names::ClientName;
use dfab_map::observed::{ContainerDetail, Observed};
use dfab_map::plan::{ActionKind, Call, Plan, PlanOptions, Step, StepId, plan, unseen};
use dfab_map::select::Maps;
use dfab_map::value::Tables;

use crate::model::Engine;
use print::{NOTHING, made, print};
use words::{items, options};

/// One run of scenarios.
pub struct World {
    maps: Maps,
    clients: Clients,
    hosts: Vec<String>,
    settings: Settings,
    lookup: Tables,
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
            lookup: Tables::default(),
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
            Session { maps: &self.maps, clients: &self.clients, defaults, lookup: &self.lookup, settings };
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
