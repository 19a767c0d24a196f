//! Answers recorded from engines of three generations, read by the functions of this module.
//!
//! The same objects were made on each: `r.web` with nearly every property, on the networks
//! `r.front` and `r.back`; `r.db`; and `r.plain` with a legacy link, never started.

use std::collections::{BTreeMap, BTreeSet};

use dfab_map::observed::{ContainerDetail, ContainerState, Mount, ObservedContainer};
use dfab_map::property::Property;
use dfab_map::spec::EndpointSpec;
use serde_json::{Value, json};

use super::*;

/// Runs a check on each generation: (API version, engine version, reader of recorded answers).
fn each_generation(check: impl Fn(&str, &str, &dyn Fn(&str) -> Value)) {
    for (api, engine) in [("1.41", "20.10.24"), ("1.45", "26.1.5"), ("1.51", "28.5.2")] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine_json/recorded");
        check(api, engine, &|name| {
            let text = std::fs::read_to_string(format!("{folder}/{api}/{name}.json")).unwrap();
            serde_json::from_str(&text).unwrap()
        });
    }
}

fn web(read: &dyn Fn(&str) -> Value) -> (ObservedContainer, ContainerDetail) {
    let (name, container) = inspected_container(&read("web")).unwrap();
    assert_eq!(name, "r.web");
    let detail = container.detail.clone().unwrap();
    (container, detail)
}

#[test]
fn versions_and_limits_are_read() {
    each_generation(|api, engine, read| {
        let info = engine_info(&read("version")).unwrap();
        assert_eq!(Some(info.api_version), api_version(api));
        assert!(info.engine_version.starts_with(engine), "{}", info.engine_version);
        assert_eq!(unsupported_limits(&read("info")), BTreeSet::new());
    });
    let limits = unsupported_limits(&json!({"SwapLimit": false, "CPUSet": false, "PidsLimit": true}));
    assert_eq!(limits, BTreeSet::from([Property::MemswapLimit, Property::CpusetCpus, Property::CpusetMems]));
}

#[test]
fn every_generation_shows_the_same_properties() {
    let expected: BTreeMap<Property, Value> = BTreeMap::from([
        (Property::User, json!("0")),
        (Property::Hostname, json!("r-web")),
        (Property::Domainname, json!("example.org")),
        (Property::Environment, json!(["LANG=C", "EMPTY=", "A=b=c"])),
        (Property::Command, json!(["-c", "sleep 3141"])),
        (Property::Entrypoint, json!(["sh"])),
        (Property::WorkingDir, json!("/srv")),
        (Property::Labels, json!({"app": "web", "empty": ""})),
        (Property::Shares, json!(["/anon"])),
        (Property::ExposedPorts, json!(["53/udp", "80/tcp"])),
        (Property::StopSignal, json!("SIGINT")),
        (Property::StopTimeout, json!(9)),
        (
            Property::Healthcheck,
            json!({"Test": ["CMD-SHELL", "true"], "Interval": 30_000_000_000_u64, "Retries": 3}),
        ),
        (Property::Binds, json!(["/srv/:/host:ro", "r.data:/data:rw"])),
        (
            Property::PortBindings,
            json!({"80/tcp": [{"HostPort": "18080"}], "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "18053"}]}),
        ),
        (Property::RestartPolicy, json!({"Name": "on-failure", "MaximumRetryCount": 4})),
        (Property::Init, json!(true)),
        (Property::Runtime, json!("runc")),
        (Property::ReadOnly, json!(true)),
        (Property::CapAdd, json!(["NET_ADMIN"])),
        (Property::CapDrop, json!(["MKNOD"])),
        (Property::SecurityOpt, json!(["no-new-privileges"])),
        (
            Property::Devices,
            json!([{"PathOnHost": "/dev/null", "PathInContainer": "/dev/xnull", "CgroupPermissions": "rwm"}]),
        ),
        (Property::Dns, json!(["192.0.2.53"])),
        (Property::DnsSearch, json!(["example.org"])),
        (Property::DnsOptions, json!(["ndots:2"])),
        (Property::ExtraHosts, json!(["gw:192.0.2.1"])),
        (Property::GroupAdd, json!(["44"])),
        (Property::IpcMode, json!("private")),
        // What an engine on cgroup v1 fills in.
        (Property::CgroupnsMode, json!("host")),
        (Property::Sysctls, json!({"net.ipv4.ip_forward": "1"})),
        (Property::Tmpfs, json!({"/run": ""})),
        (Property::Ulimits, json!([{"Name": "nofile", "Soft": 1024, "Hard": 2048}])),
        (Property::LogConfig, json!({"Type": "json-file", "Config": {"max-size": "1m"}})),
        (Property::ShmSize, json!(33_554_432)),
        (Property::OomScoreAdj, json!(100)),
        (Property::MemLimit, json!(67_108_864)),
        (Property::MemReservation, json!(33_554_432)),
        (Property::MemswapLimit, json!(134_217_728)),
        (Property::CpuShares, json!(512)),
        (Property::CpuPeriod, json!(100_000)),
        (Property::CpuQuota, json!(50_000)),
        (Property::PidsLimit, json!(100)),
    ]);
    each_generation(|api, _, read| {
        let (container, detail) = web(read);
        assert_eq!(detail.properties, expected, "API {api}");
        assert_eq!(container.state, ContainerState::Running);
        assert_eq!(container.labels.get("dfab.map").map(String::as_str), Some("r"));
    });
}

#[test]
fn every_generation_shows_the_same_mounts() {
    each_generation(|api, _, read| {
        let mut mounts = web(read).1.mounts;
        let anonymous = mounts.remove("/anon").unwrap();
        assert!(anonymous.is_volume && anonymous.source.len() == 64, "API {api}");
        let mount = |source: &str, is_volume, writable| Mount { source: source.into(), is_volume, writable };
        let expected = [("/data", mount("r.data", true, true)), ("/host", mount("/srv", false, false))];
        assert_eq!(mounts, expected.map(|(path, mount)| (path.to_owned(), mount)).into(), "API {api}");
    });
}

/// As 20.10 shows a container after a failed `docker network connect bridge`; disconnecting is refused, too.
#[test]
fn a_connection_that_failed_is_none() {
    each_generation(|api, _, read| {
        let mut answer = read("web");
        answer["NetworkSettings"]["Networks"]["bridge"] =
            json!({"IPAMConfig": {}, "Links": null, "Aliases": [], "NetworkID": "", "EndpointID": ""});
        let networks = |answer: &Value| {
            let detail = inspected_container(answer).unwrap().1.detail.unwrap();
            detail.endpoints.into_keys().collect::<Vec<_>>()
        };
        answer["State"] = json!({"Status": "running", "Running": true});
        assert_eq!(networks(&answer), ["r.back", "r.front"], "API {api}");
        // Its next start connects it.
        answer["State"] = json!({"Status": "exited", "Running": false});
        assert_eq!(networks(&answer), ["bridge", "r.back", "r.front"], "API {api}");
    });
}

#[test]
fn every_generation_shows_the_endpoints_that_were_asked_for() {
    each_generation(|api, _, read| {
        let (container, mut detail) = web(read);
        let short_id = &container.id[..12];
        let mut aliases = BTreeSet::from(["www".to_owned()]);
        let front = detail.endpoints.remove("r.front").unwrap();
        let back = detail.endpoints.remove("r.back").unwrap();
        if api == "1.41" {
            // This one lists the host name as an alias of every endpoint.
            assert_eq!(back.aliases, BTreeSet::from(["r-web".to_owned()]));
            aliases.insert("r-web".to_owned());
        } else {
            assert_eq!(back.aliases, BTreeSet::new(), "API {api}");
        }
        assert!(!front.aliases.contains(short_id));
        let ipv4_address = Some("10.77.1.9".to_owned());
        let expected =
            EndpointSpec { network: "r.front".into(), aliases, ipv4_address, ..EndpointSpec::default() };
        assert_eq!(front, expected, "API {api}");
        assert_eq!(back.links, BTreeSet::from(["r.db:database".to_owned()]), "API {api}");
        let networks = networks_by_name(&read("networks")).unwrap();
        assert_eq!(detail.network_ids["r.back"], networks["r.back"].id, "API {api}");
    });
}

#[test]
fn a_container_that_was_never_started_is_created_and_keeps_its_links() {
    each_generation(|api, _, read| {
        let (_, plain) = inspected_container(&read("plain")).unwrap();
        assert_eq!(plain.state, ContainerState::Created, "API {api}");
        let properties = plain.detail.unwrap().properties;
        assert_eq!(properties.get(&Property::Links), Some(&json!(["r.db:db"])), "API {api}");
        assert_eq!(properties.get(&Property::NetworkMode), None, "API {api}");
        assert_eq!(health(&read("plain")), crate::backend::Health::Ended);
        assert_eq!(health(&read("web")), crate::backend::Health::Starting);
    });
}

#[test]
fn the_list_shows_names_states_networks_and_volumes() {
    each_generation(|api, _, read| {
        let containers = read("containers");
        let listed: BTreeMap<_, _> =
            containers.as_array().unwrap().iter().map(|element| listed_container(element).unwrap()).collect();
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["r.db", "r.plain", "r.web"], "API {api}");
        let web = &listed["r.web"];
        assert_eq!(web.networks, BTreeSet::from(["r.back".to_owned(), "r.front".to_owned()]), "API {api}");
        assert!(web.volumes.contains("r.data") && web.volumes.len() == 2, "API {api}");
        assert_eq!(web.container.state, ContainerState::Running);
        assert_eq!(listed["r.plain"].container.state, ContainerState::Created);
        assert_eq!(listed["r.plain"].networks, BTreeSet::from(["bridge".to_owned()]), "API {api}");
    });
}

#[test]
fn networks_volumes_images_and_processes_are_read() {
    each_generation(|api, _, read| {
        let networks = networks_by_name(&read("networks")).unwrap();
        let front = &networks["r.front"].spec;
        let ranges = json!({"Config": [{"Subnet": "10.77.1.0/24", "Gateway": "10.77.1.1"}]});
        assert_eq!(
            (front.driver.as_str(), &front.ipam, front.internal),
            ("bridge", &ranges, false),
            "API {api}"
        );
        assert_eq!(front.options["com.docker.network.bridge.enable_icc"], "true");
        assert_eq!(front.labels["tier"], "front");
        assert!(networks["r.back"].spec.internal, "API {api}");

        let volumes = read("volumes");
        let volume = listed_volume(&volumes["Volumes"][0]).unwrap().spec;
        assert_eq!((volume.name.as_str(), volume.driver.as_str()), ("r.data", "local"), "API {api}");
        assert!(volume.driver_opts.is_empty() && volume.labels.contains_key("dfab.map"));

        let images = images_by_reference(&read("images")).unwrap();
        assert!(images["busybox:latest"].starts_with("sha256:"), "API {api}");
        let processes = processes(&read("top")).unwrap();
        assert!(processes.contains(&("root".into(), "sleep 3141".into())), "API {api}: {processes:?}");
    });
}

#[test]
fn a_process_on_its_way_to_its_command_is_told_from_others() {
    let list =
        |command: &str| vec![("root".to_owned(), "sh".to_owned()), ("root".to_owned(), command.to_owned())];
    for (command, starting) in
        [("runc init", true), ("[sleep]", true), ("sleep 5", false), ("[sleep] <defunct>", false)]
    {
        assert_eq!(is_starting(&list(command)), starting, "{command}");
    }
}
