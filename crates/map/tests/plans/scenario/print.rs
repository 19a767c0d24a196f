//! What stands under a command: plans, and the arguments of what they make.

use std::fmt::Write;

use dfab_map::names::ClientName;
use dfab_map::plan::{Call, Plan};
use dfab_map::spec::{ContainerSpec, EndpointSpec, NetworkSpec, ScriptSpec, VolumeSpec};

/// The arguments of every object that a plan makes, by their paths in the Engine API. Our own labels are the same
/// everywhere, and are left out.
pub(super) fn made(plan: &Plan) -> String {
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
pub(super) const NOTHING: &str = "nothing to do\n";

pub(super) fn print(plan: &Plan, calls: bool) -> String {
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
