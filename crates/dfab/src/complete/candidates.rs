//! What may stand at the cursor.

use std::collections::HashSet;

use clap::ValueHint;
use dfab_map::names::ALL;
use dfab_map::plan::ActionKind;

use super::line::{Position, Slot, parameter};
use super::names::{MapNames, Names};
use crate::cli::parse;
use crate::registry::{self, Parameter, ParameterKind, Place, Task};

/// Candidates for the text at the cursor.
#[derive(Debug, Default)]
pub struct Reply {
    /// Whole words, with descriptions.
    candidates: Vec<(String, String)>,
    /// Names of files may stand here too.
    files: bool,
    /// More may follow a candidate in the same word.
    nospace: bool,
}

impl Reply {
    /// Returns the answer for a script. The first `kept` bytes of the word stay as they are and are left out.
    pub fn text(&self, kept: usize, described: bool) -> String {
        let mut text = String::new();
        for (value, about) in &self.candidates {
            text.push_str(value.get(kept..).unwrap_or_default());
            if described && !about.is_empty() {
                text.push('\t');
                text.push_str(about);
            }
            text.push('\n');
        }
        if self.nospace {
            text.push_str(":nospace\n");
        }
        if self.files {
            text.push_str(":files\n");
        }
        text
    }
}

/// Returns what may stand at the cursor.
pub fn candidates(position: &Position, names: &Names) -> Reply {
    let mut found = Found { position, names, reply: Reply::default(), seen: HashSet::new() };
    match &position.slot {
        Slot::Foreign => {}
        Slot::Option => found.options(),
        Slot::Value(option) => found.value(option),
        Slot::Word => found.word(),
    }
    found.reply
}

struct Found<'a> {
    position: &'a Position,
    names: &'a Names,
    reply: Reply,
    seen: HashSet<String>,
}

impl<'a> Found<'a> {
    fn add(&mut self, value: &str, about: &str) {
        if value.starts_with(&self.position.typed) && self.seen.insert(value.to_owned()) {
            self.reply.candidates.push((format!("{}{value}", self.position.before), about.to_owned()));
        }
    }

    fn add_all<'n>(&mut self, values: impl IntoIterator<Item = &'n String>) {
        for value in values {
            self.add(value, "");
        }
    }

    fn options(&mut self) {
        let command = parse::command(self.position.task());
        // The task's own first: they are why somebody presses the key after a task's name.
        let (own, general): (Vec<_>, Vec<_>) =
            command.get_arguments().partition(|arg| arg.get_help_heading() == Some("Task"));
        for arg in own.into_iter().chain(general) {
            let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let about = about.lines().next().unwrap_or_default();
            if let Some(long) = arg.get_long() {
                self.add(&format!("--{long}"), about);
            }
            if let Some(short) = arg.get_short().filter(|_| !self.position.typed.starts_with("--")) {
                self.add(&format!("-{short}"), about);
            }
        }
    }

    fn value(&mut self, option: &str) {
        let own = self.position.task().and_then(|task| {
            task.parameters().find(|parameter| parameter.place != Place::Rest && parameter.option() == option)
        });
        if let Some(parameter) = own {
            self.argument(parameter);
            return;
        }
        match option {
            "hosts" | "exclude-hosts" | "gateway" => self.hosts(),
            "roles" => self.add_all(&self.names.roles),
            "display" => self.tasks(),
            "format" if self.position.list => {
                for format in crate::list::FORMATS {
                    self.add(format, "");
                }
            }
            "show" | "hide" => {
                for level in crate::console::LEVELS {
                    self.add(level, "");
                }
            }
            "set" => {
                for name in &self.names.variables {
                    self.add(&format!("{name}="), "");
                }
                self.reply.nospace = true;
            }
            _ => {
                let command = parse::command(None);
                let Some(arg) = command.get_arguments().find(|arg| arg.get_long() == Some(option)) else {
                    return;
                };
                for value in arg.get_possible_values() {
                    let about = value.get_help().map(ToString::to_string).unwrap_or_default();
                    self.add(value.get_name(), &about);
                }
                self.reply.files = matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath)
                    || arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "PATH"));
            }
        }
    }

    /// Hosts are offered with the user that is typed, too: `root@we` becomes `root@web1`.
    fn hosts(&mut self) {
        self.add_all(&self.names.hosts);
        if let Some((user, _)) = self.position.typed.split_once('@') {
            for host in &self.names.hosts {
                let name = host.rsplit_once('@').map_or(host.as_str(), |(_, name)| name);
                self.add(&format!("{user}@{name}"), "");
            }
        }
    }

    fn tasks(&mut self) {
        for (name, about) in &self.names.tasks {
            self.add(name, about);
        }
        for task in registry::tasks() {
            self.add(&task.full_name(), task.about);
        }
        if !self.reply.candidates.is_empty() || self.position.typed.is_empty() {
            return;
        }
        // Names that are unique without their namespace may be called so.
        for task in registry::tasks().filter(|task| registry::find(task.name).is_some()) {
            self.add(task.name, task.about);
        }
    }

    fn word(&mut self) {
        let Some(first) = self.position.words.first() else {
            if self.colon_form() {
                return;
            }
            self.tasks();
            self.add("help", "Show the help of a task.");
            return;
        };
        if first == "help" {
            if self.position.words.len() == 1 {
                self.tasks();
            }
        } else if let Some(task) = registry::find(first) {
            let given: Vec<&str> = self.position.words[1..].iter().map(String::as_str).collect();
            self.arguments(task, &given);
        } else if first.contains(':') || self.names.tasks.iter().any(|(name, _)| name == first) {
            // Several tasks in a run.
            if !self.colon_form() {
                self.tasks();
            }
        }
    }

    /// `task:argument,keyword=value`
    fn colon_form(&mut self) -> bool {
        let Some((name, rest)) = self.position.typed.split_once(':') else { return false };
        let Some(task) = registry::find(name) else { return true };
        let (given, typed) =
            rest.rsplit_once(',').map_or((None, rest), |(given, typed)| (Some(given), typed));
        let given: Vec<&str> = given.map(|given| given.split(',').collect()).unwrap_or_default();
        let typed_at = self.position.typed.len() - typed.len();
        let before = &self.position.typed[..typed_at];
        let inner = |before: &str, typed: &str| Position {
            slot: Slot::Word,
            before: before.to_owned(),
            typed: typed.to_owned(),
            ..Position::default()
        };
        if let Some((keyword, value)) = typed.split_once('=') {
            let position = inner(&format!("{before}{keyword}="), value);
            let mut found = Found {
                position: &position,
                names: self.names,
                reply: Reply::default(),
                seen: HashSet::new(),
            };
            if let Some(parameter) = task.parameters().find(|parameter| parameter.name == keyword) {
                found.argument(parameter);
            }
            self.reply = found.reply;
            return true;
        }
        let position = inner(before, typed);
        let mut found =
            Found { position: &position, names: self.names, reply: Reply::default(), seen: HashSet::new() };
        let words: Vec<&str> = given.iter().copied().filter(|word| !word.contains('=')).collect();
        found.arguments(task, &words);
        for parameter in task.parameters().filter(|parameter| parameter.place == Place::Keyword) {
            found.add(&format!("{}=", parameter.name), parameter.help);
        }
        self.reply = Reply { nospace: true, ..found.reply };
        true
    }

    /// Candidates for the argument after those that are `given`.
    fn arguments(&mut self, task: &'static Task, given: &[&str]) {
        // `actions.perform` has the action before what other actions have.
        let before = task.parameters().take_while(|parameter| parameter.place == Place::Required).count();
        let target = task.parameters().any(|parameter| parameter.name == "target");
        if target && given.len() >= before {
            self.target(&given[before..]);
        } else if let Some(parameter) = parameter(task, given.len()) {
            if parameter.name == "config" {
                let names: &'a Names = self.names;
                let map = given.first().and_then(|name| names.maps.get(*name)).or_else(|| names.only_map());
                if let Some(map) = map {
                    self.add_all(map.configurations.keys());
                }
            } else {
                self.argument(parameter);
            }
        }
    }

    fn argument(&mut self, parameter: &Parameter) {
        match (parameter.kind, parameter.name) {
            (ParameterKind::Bool, _) => {
                self.add("true", "");
                self.add("false", "");
            }
            (ParameterKind::Choice(words), _) => words.iter().for_each(|word| self.add(word, "")),
            (_, "map" | "maps" | "map_name") => self.add_all(self.names.maps.keys()),
            (_, "containers" | "exclude") => {
                for name in self.names.containers() {
                    self.add(&name, "");
                }
            }
            (_, "force_update") => self.target(&[]),
            (_, "instances") => {
                let maps = self.names.maps.values();
                self.add_all(maps.flat_map(|map| map.configurations.values().flatten()));
            }
            (_, "action") => {
                for action in ActionKind::ALL {
                    self.add(action.as_str(), "");
                }
            }
            (ParameterKind::Text, name) => {
                let words: Vec<&str> = name.split('_').collect();
                self.reply.files = words.iter().any(|word| {
                    matches!(
                        *word,
                        "file" | "filename" | "path" | "dir" | "directory" | "local" | "dockerfile"
                    )
                });
            }
            (ParameterKind::Integer | ParameterKind::List, _) => {}
        }
    }

    /// `[MAP] CONFIG [INSTANCE]...`, the words before given.
    fn target(&mut self, given: &[&str]) {
        let names: &'a Names = self.names;
        let maps = &names.maps;
        match given {
            [] => {
                self.add_all(maps.keys());
                if let Some(map) = names.only_map() {
                    self.configurations("", map);
                }
                if let Some((name, _)) = self.position.typed.split_once('.')
                    && let Some(map) = maps.get(name)
                {
                    self.configurations(&format!("{name}."), map);
                }
            }
            [first, rest @ ..] => {
                let (map, rest) = match (first.split_once('.'), maps.get(*first)) {
                    (_, Some(map)) => (Some(map), rest),
                    (Some((name, _)), None) if maps.contains_key(name) => (maps.get(name), given),
                    _ => (names.only_map(), given),
                };
                let Some(map) = map else { return };
                let [config, ..] = rest else {
                    self.configurations("", map);
                    return;
                };
                let config = config.rsplit('.').next().unwrap_or(config);
                if let Some(instances) = map.configurations.get(config) {
                    self.add_all(instances.iter().filter(|instance| !rest.contains(&instance.as_str())));
                }
            }
        }
    }

    /// Configurations and groups; after `config.` its instances.
    fn configurations(&mut self, before: &str, map: &MapNames) {
        for (name, instances) in &map.configurations {
            self.add(&format!("{before}{name}"), "");
            if self.position.typed.starts_with(&format!("{before}{name}.")) {
                for instance in instances {
                    self.add(&format!("{before}{name}.{instance}"), "");
                }
            }
        }
        for group in &map.groups {
            self.add(&format!("{before}{group}"), "group");
        }
        self.add(&format!("{before}{ALL}"), "everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::complete::line::{position, split};
    use crate::project::Variables;

    const PROJECT: &str = "\
hosts: [deploy@web1, web2:2222]
roles: {app: [app1, web2:2222], db: db1}
maps: {shop: shop.yaml, broken: broken.yaml, absent: absent.yaml}
clients: {remote: {fabric_host: far}}
env: {registry_prefix: r}
tasks: {deploy: {description: Deploy it., steps: [docker.version]}}
nonsense: [is left out]
";
    const SHOP: &str = "\
base: {abstract: true, instances: [a, b]}
web: {extends: base}
db: {image: postgres}
volumes: {x: /x}
groups: {all_of_it: [web, db]}
";
    const BROKEN: &str =
        "one: {image: !env no_such_variable, instances: [i1]}\ntwo: {uses: nothing, what: is this}\n";

    fn complete(line: &str) -> String {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [("dfab.yaml", PROJECT), ("shop.yaml", SHOP), ("broken.yaml", BROKEN)] {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let position = position(&split(&format!("dfab {line}")));
        let names = Names::of(&position, directory.path(), Variables::for_tests("/nowhere"));
        let text = candidates(&position, &names).text(0, false);
        text.lines().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn names_come_from_the_project() {
        let cases = [
            ("dep", "deploy"),
            ("actions.upd", "actions.update"),
            ("upd", "update"),
            ("help actions.upd", "actions.update"),
            ("-d dep", "deploy"),
            ("docker.version: actions.upd", "actions.update"),
            ("actions.update ", "shop broken absent"),
            ("actions.update shop ", "web db all_of_it __all__"),
            ("actions.update shop web ", "a b"),
            ("actions.update shop web a ", "b"),
            ("actions.update shop web.", "web.a web.b"),
            ("actions.update shop.", "shop.web shop.db shop.all_of_it shop.__all__"),
            ("actions.update shop.web ", "a b"),
            ("actions.perform upd", "update"),
            ("actions.perform update sh", "shop"),
            ("actions.update broken ", "one two __all__"),
            ("actions.update broken one ", "i1"),
            ("actions.update absent ", "__all__"),
            ("map.show sh", "shop"),
            ("map.show shop d", "db"),
            ("map.check shop br", "broken"),
            ("docker.restart shop.w", "shop.web.a shop.web.b"),
            ("actions.update --map-name s", "shop"),
            ("actions.update --force-update shop.web,shop.d", "shop.web,shop.db"),
            ("actions.update:sh", "actions.update:shop :nospace"),
            ("actions.update:shop,web,", "actions.update:shop,web,a actions.update:shop,web,b"),
            ("actions.update:shop,web,map_name=b", "actions.update:shop,web,map_name=broken"),
            ("actions.update:shop,web,force_", "actions.update:shop,web,force_update= :nospace"),
            ("-H ", "deploy@web1 web2:2222 app1 db1 far"),
            (
                "-H web2:2222,",
                "web2:2222,deploy@web1 web2:2222,web2:2222 web2:2222,app1 web2:2222,db1 web2:2222,far",
            ),
            ("-H root@w", "root@web1 root@web2:2222"),
            ("--roles=a", "--roles=app"),
            ("--set reg", "registry_prefix= :nospace"),
            ("map.graph --as s", "svg"),
            ("--output ", "human json"),
            ("--color=n", "--color=never"),
            ("-l --format n", "normal nested"),
            ("-l -F s", "short"),
            ("--hide runn", "running"),
            ("actions.update shop --remove-o", "--remove-orphans"),
            ("actions.update shop --dry", "--dry-run"),
            ("-f ", ":files"),
            ("docker.load_image ", ":files"),
            ("-- upt", ""),
            ("nothing.known ", ""),
            ("xyzzy", ""),
        ];
        for (line, expected) in cases {
            let shown = complete(line);
            // After an argument of the colon form keywords follow, which have their own cases.
            let shown = match line.ends_with(",web,") {
                true => shown.split(' ').take(2).collect::<Vec<_>>().join(" "),
                false => shown,
            };
            assert_eq!(shown, expected, "dfab {line}");
        }
    }

    #[test]
    fn every_task_has_its_options() {
        for task in registry::tasks() {
            let shown = complete(&format!("{} --", task.full_name()));
            for parameter in task.parameters().filter(|parameter| parameter.place != Place::Rest) {
                let option = format!("--{}", parameter.option());
                assert!(shown.split(' ').any(|word| word == option), "{}: {option}", task.full_name());
            }
        }
    }

    #[test]
    fn bash_gets_what_stands_after_its_last_break() {
        let answer = |line: &str| {
            let words = ["bash", " \t\n\"'@><=;|&(:", line].map(std::ffi::OsString::from);
            crate::complete::answer(&words)
        };
        assert_eq!(answer("dfab --output=js"), "json\n");
        assert_eq!(answer("/usr/bin/dfab --output js"), "json\n");
        assert_eq!(answer("dfab docker.list_images:full_ids=t"), "true\n");
    }
}
