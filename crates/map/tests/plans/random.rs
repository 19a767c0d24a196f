//! Random maps, random drift: after every run the next plan is empty, also when the run before was
//! interrupted at any call.

use std::fmt::Write;

use proptest::prelude::*;

use crate::scenario::World;

/// A source of choices that proptest can shrink: used up, it always chooses the first.
struct Choices<'a>(std::slice::Iter<'a, u16>);

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        self.0.next().map_or(0, |number| usize::from(*number) % limit.max(1))
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == one_in - 1
    }

    fn of<'a>(&mut self, options: &[&'a str]) -> &'a str {
        options[self.below(options.len())]
    }
}

const CONFIGS: [&str; 5] = ["a", "b", "c", "d", "e"];
const NETWORKS: [&str; 2] = ["front", "back"];

/// Writes a map. A configuration refers to earlier ones only, so that there is no circle.
fn map(choices: &mut Choices<'_>) -> String {
    let mut text = String::from("name: m\n");
    writeln!(text, "volumes: {{v0: /v0, v1: /v1, v2: /v2, v3: /v3, v4: /v4}}").unwrap();
    let internal = choices.chance(3);
    writeln!(
        text,
        "networks: {{front: {{internal: {internal}}}, back: {{create_options: {{labels: {{k: {}}}}}}}}}",
        choices.below(2)
    )
    .unwrap();
    let count = 1 + choices.below(CONFIGS.len());
    let mut instanced = [false; CONFIGS.len()];
    for index in 0..count {
        let (name, image) = (CONFIGS[index], choices.of(&["i", "j"]));
        write!(text, "{name}:\n  image: {image}\n").unwrap();
        if choices.chance(4) {
            instanced[index] = true;
            writeln!(text, "  instances: [x, y]").unwrap();
        }
        let reference = |other: usize| {
            if instanced[other] { format!("{}.x", CONFIGS[other]) } else { CONFIGS[other].to_owned() }
        };
        if choices.chance(2) {
            writeln!(text, "  attaches: v{index}\n  permissions: {}", choices.of(&["'0750'", "'0700'"]))
                .unwrap();
        }
        writeln!(text, "  shares: /s{index}").unwrap();
        let mut shares_network = false;
        if index > 0 {
            let other = choices.below(index);
            match choices.below(5) {
                0 => {}
                1 => writeln!(text, "  links: {}", reference(other)).unwrap(),
                2 => {
                    writeln!(text, "  uses: [[{}, {}]]", reference(other), choices.of(&["rw", "ro"])).unwrap()
                }
                3 => {
                    shares_network = true;
                    writeln!(text, "  network_mode: {}", reference(other)).unwrap();
                }
                _ => writeln!(text, "  links: {{{}: alias}}", reference(other)).unwrap(),
            }
        }
        if !shares_network && choices.chance(2) {
            let all = [
                NETWORKS[0].to_owned(),
                NETWORKS[1].to_owned(),
                format!("{{front: {{aliases: al{}}}}}, back", choices.below(2)),
                "bridge".to_owned(),
            ];
            writeln!(text, "  networks: [{}]", all[choices.below(all.len())]).unwrap();
        }
        if choices.chance(3) {
            writeln!(text, "  exec_commands: [[once, null, initial], always]").unwrap();
        }
        if choices.chance(4) {
            writeln!(text, "  persistent: true").unwrap();
        }
        if choices.chance(2) {
            writeln!(
                text,
                "  create_options: {{environment: {{A: {}}}, stop_signal: {}}}",
                choices.below(3),
                choices.of(&["SIGINT", "SIGHUP"])
            )
            .unwrap();
        }
        if choices.chance(2) {
            writeln!(
                text,
                "  host_config: {{mem_limit: {}, restart_policy: {}}}",
                choices.of(&["1g", "2g", "0"]),
                choices.of(&["always", "'no'"])
            )
            .unwrap();
        }
        if !shares_network && choices.chance(3) {
            writeln!(text, "  exposes: {{80: {}}}", 8000 + choices.below(3)).unwrap();
        }
    }
    text
}

/// Writes changes of the engine. Those that name nothing are left out by whoever applies them.
fn drift(choices: &mut Choices<'_>) -> Vec<String> {
    let container =
        |choices: &mut Choices<'_>| format!("m.{}{}", choices.of(&CONFIGS), choices.of(&["", ".x", ".y"]));
    (0..choices.below(5))
        .map(|_| match choices.below(10) {
            0 => format!("exit {} {}", container(choices), choices.below(3)),
            1 => format!("remove {}", container(choices)),
            2 => format!("detach {} m.{}", container(choices), choices.of(&NETWORKS)),
            3 => format!("image {}:latest sha256:{}", choices.of(&["i", "j"]), choices.below(4)),
            4 => format!("set {} environment [\"A=9\"]", container(choices)),
            5 => format!("set {} mem_limit 7", container(choices)),
            6 => format!("unlabel {}", container(choices)),
            7 => format!("create-only {}", container(choices)),
            8 => format!("dead {}", container(choices)),
            _ => format!("remove-unused {}", choices.of(&["m.v0", "m.v1", "m.front", "m.back"])),
        })
        .collect()
}

fn run(numbers: &[u16]) -> Result<(), String> {
    let mut choices = Choices(numbers.iter());
    let mut world = World::new();
    world.shuffle = Some(choices.below(1000) as u64);
    world.command("state", "image i:latest sha256:0\nimage j:latest sha256:0\n")?;
    let mut said = String::new();
    for _ in 0..3 {
        let text = map(&mut choices);
        let budget = choices.below(60);
        writeln!(said, "{text}-- interrupted after {budget} calls").unwrap();
        world.command("map", &text).map_err(|problem| format!("{problem}\n{said}"))?;
        for line in drift(&mut choices) {
            if world.command("state", &line).is_ok() {
                writeln!(said, "-- {line}").unwrap();
            }
        }
        world.interrupted_once("update __all__", budget).map_err(|problem| format!("{problem}\n{said}"))?;
        world
            .command("apply update __all__ --remove_orphans", "")
            .map_err(|problem| format!("{problem}\n{said}"))?;
        world.command("apply startup __all__", "").map_err(|problem| format!("{problem}\n{said}"))?;
        let left = world.command("plan update __all__", "")?;
        let left: Vec<&str> = left.lines().filter(|line| line.starts_with('[')).collect();
        if !left.is_empty() {
            return Err(format!("startup undid something: {left:?}\n{said}"));
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_map_converges_from_any_state(numbers in prop::collection::vec(any::<u16>(), 0..160)) {
        run(&numbers).map_err(TestCaseError::fail)?;
    }
}
