//! Every comparable property, once: a change in the map is detected, named, and handled as the table
//! says; nothing is left over afterwards; and the same for its removal (design §4, K-04).

use dfab_map::property::{Compared, OnChange, Property};

use crate::scenario::World;

/// (property, where it is written, a value, another value)
const VALUES: &[(Property, &str, &str, &str)] = &[
    (Property::User, "create_options.user", "app", "root"),
    (Property::Hostname, "create_options.hostname", "one", "two"),
    (Property::Domainname, "create_options.domainname", "a.example", "b.example"),
    (Property::Environment, "create_options.environment", "{A: 1}", "{A: 2}"),
    (Property::Command, "create_options.command", "sleep 1", "[sleep, 2]"),
    (Property::Entrypoint, "create_options.entrypoint", "/bin/a", "/bin/b"),
    (Property::WorkingDir, "create_options.working_dir", "/a", "/b"),
    (Property::Labels, "create_options.labels", "{a: 1}", "{a: 2}"),
    (Property::Shares, "shares", "[/a]", "[/b]"),
    (Property::ExposedPorts, "exposes", "[80]", "[81]"),
    (Property::StopSignal, "stop_signal", "SIGINT", "SIGQUIT"),
    (Property::StopTimeout, "stop_timeout", "5", "0"),
    (Property::Healthcheck, "healthcheck", "{test: 'true'}", "{test: 'false', retries: 3}"),
    (Property::Tty, "create_options.tty", "true", "false"),
    (Property::StdinOpen, "create_options.stdin_open", "true", "false"),
    (Property::NetworkDisabled, "network_mode", "none", "host"),
    (Property::MacAddress, "create_options.mac_address", "'02:42:00:00:00:01'", "'02:42:00:00:00:02'"),
    (Property::Binds, "binds", "[[/a, /x]]", "[[/a, /y]]"),
    (Property::Mounts, "host_config.mounts", "[{target: /a, source: v}]", "[{target: /b, source: v}]"),
    (Property::VolumesFrom, "uses", "[other]", "[[other, ro]]"),
    (Property::VolumeDriver, "host_config.volume_driver", "local", "nfs"),
    (Property::Links, "links", "{other: a}", "{other: b}"),
    (Property::PortBindings, "exposes", "{80: 8080}", "{80: 8081}"),
    (Property::PublishAllPorts, "host_config.publish_all_ports", "true", "false"),
    (Property::NetworkMode, "network_mode", "host", "'container:x'"),
    (Property::RestartPolicy, "host_config.restart_policy", "always", "'on-failure:3'"),
    (Property::AutoRemove, "host_config.auto_remove", "true", "false"),
    (Property::Init, "host_config.init", "true", "false"),
    (Property::Runtime, "host_config.runtime", "runc", "crun"),
    (Property::Privileged, "host_config.privileged", "true", "false"),
    (Property::ReadOnly, "host_config.read_only", "true", "false"),
    (Property::CapAdd, "host_config.cap_add", "[NET_ADMIN]", "[NET_RAW]"),
    (Property::CapDrop, "host_config.cap_drop", "[KILL]", "[CHOWN]"),
    (Property::SecurityOpt, "host_config.security_opt", "[no-new-privileges]", "[seccomp=unconfined]"),
    (Property::Devices, "host_config.devices", "['/dev/null:/dev/a']", "['/dev/null:/dev/a:r']"),
    (Property::DeviceRequests, "host_config.device_requests", "[{count: 1}]", "[{count: 2}]"),
    (Property::Dns, "host_config.dns", "[8.8.8.8]", "[8.8.4.4]"),
    (Property::DnsSearch, "host_config.dns_search", "[a.example]", "[b.example]"),
    (Property::DnsOptions, "host_config.dns_opt", "['ndots:1']", "['ndots:2']"),
    (Property::ExtraHosts, "host_config.extra_hosts", "{h: 10.0.0.1}", "['h:10.0.0.2']"),
    (Property::GroupAdd, "host_config.group_add", "[7]", "[audio]"),
    (Property::CgroupParent, "host_config.cgroup_parent", "/a", "/b"),
    (Property::PidMode, "host_config.pid_mode", "host", "'container:x'"),
    (Property::IpcMode, "host_config.ipc_mode", "host", "private"),
    (Property::UtsMode, "host_config.uts_mode", "host", "''"),
    (Property::UsernsMode, "host_config.userns_mode", "host", "''"),
    (Property::Sysctls, "host_config.sysctls", "{net.core.somaxconn: 1}", "{net.core.somaxconn: 2}"),
    (Property::Tmpfs, "host_config.tmpfs", "{/t: size=1m}", "['/t:size=2m']"),
    (
        Property::Ulimits,
        "host_config.ulimits",
        "[{name: nofile, soft: 1, hard: 2}]",
        "[{Name: nofile, Soft: 2, Hard: 2}]",
    ),
    (
        Property::LogConfig,
        "host_config.log_config",
        "{type: json-file, config: {max-size: 1m}}",
        "{type: journald}",
    ),
    (Property::StorageOpt, "host_config.storage_opt", "{size: 1g}", "{size: 2g}"),
    (Property::ShmSize, "host_config.shm_size", "128m", "256m"),
    (Property::OomScoreAdj, "host_config.oom_score_adj", "100", "200"),
    (Property::OomKillDisable, "host_config.oom_kill_disable", "true", "false"),
    (Property::MemSwappiness, "host_config.mem_swappiness", "10", "0"),
    (Property::MemLimit, "host_config.mem_limit", "512m", "1g"),
    (Property::MemReservation, "host_config.mem_reservation", "256m", "128m"),
    (Property::MemswapLimit, "host_config.memswap_limit", "1g", "2g"),
    (Property::KernelMemory, "host_config.kernel_memory", "64m", "128m"),
    (Property::CpuShares, "host_config.cpu_shares", "512", "256"),
    (Property::CpuPeriod, "host_config.cpu_period", "50000", "60000"),
    (Property::CpuQuota, "host_config.cpu_quota", "25000", "30000"),
    (Property::CpusetCpus, "host_config.cpuset_cpus", "'0'", "'0,1'"),
    (Property::CpusetMems, "host_config.cpuset_mems", "'0'", "'0-1'"),
    (Property::NanoCpus, "host_config.nano_cpus", "500000000", "1000000000"),
    (Property::BlkioWeight, "host_config.blkio_weight", "300", "400"),
    (Property::PidsLimit, "host_config.pids_limit", "100", "200"),
    (Property::CpuRtPeriod, "host_config.cpu_rt_period", "1000", "2000"),
    (Property::CpuRtRuntime, "host_config.cpu_rt_runtime", "500", "600"),
    (
        Property::BlkioWeightDevice,
        "host_config.blkio_weight_device",
        "[{Path: /dev/sda, Weight: 1}]",
        "[{Path: /dev/sda, Weight: 2}]",
    ),
    (
        Property::DeviceReadBps,
        "host_config.device_read_bps",
        "[{Path: /dev/sda, Rate: 1}]",
        "[{Path: /dev/sda, Rate: 2}]",
    ),
    (
        Property::DeviceReadIops,
        "host_config.device_read_iops",
        "[{Path: /dev/sda, Rate: 1}]",
        "[{Path: /dev/sda, Rate: 2}]",
    ),
    (
        Property::DeviceWriteBps,
        "host_config.device_write_bps",
        "[{Path: /dev/sda, Rate: 1}]",
        "[{Path: /dev/sda, Rate: 2}]",
    ),
    (
        Property::DeviceWriteIops,
        "host_config.device_write_iops",
        "[{Path: /dev/sda, Rate: 1}]",
        "[{Path: /dev/sda, Rate: 2}]",
    ),
    (Property::DeviceCgroupRules, "host_config.device_cgroup_rules", "['c 1:3 r']", "['c 1:3 rw']"),
    (Property::CgroupnsMode, "host_config.cgroupns", "host", "private"),
];

fn map(path: &str, value: Option<&str>) -> String {
    let setting = match (value, path.split_once('.')) {
        (None, _) => String::new(),
        (Some(value), Some((group, key))) => format!(", {group}: {{{key}: {value}}}"),
        (Some(value), None) => format!(", {path}: {value}"),
    };
    // `x` stands for a container that no map manages.
    format!("name: m\na: {{image: i{setting}}}\nother: {{image: i, shares: [/data]}}\n")
}

/// The word under which reasons name a property.
fn field(property: Property) -> &'static str {
    match property {
        Property::PortBindings => "exposes",
        Property::VolumesFrom => "uses",
        Property::NetworkDisabled => "network_mode",
        property => property.name(),
    }
}

fn apply(world: &mut World, what: &str) -> String {
    let planned =
        world.command("calls update other a", "").unwrap_or_else(|problem| panic!("{what}: {problem}"));
    world
        .command("apply update other a", "")
        .unwrap_or_else(|problem| panic!("{what}: {problem}\n{planned}"));
    planned
}

fn check(planned: &str, property: Property, changed_in_place: bool, what: &str) {
    let action = if changed_in_place { ", update, " } else { ", recreate, " };
    let lines: Vec<&str> = planned.lines().filter(|line| line.starts_with('[')).collect();
    let [line] = lines.as_slice() else { panic!("{what}: more or less than one step:\n{planned}") };
    assert!(line.contains("container m.a") && line.contains(action), "{what}:\n{planned}");
    let word = format!("{} ", field(property));
    let keyed = format!("{}.", field(property));
    let named = line.contains(&word) || line.contains(&keyed) || line.ends_with(field(property));
    assert!(named, "{what}: the reason does not name it:\n{planned}");
}

#[test]
fn every_property_that_inspection_shows_is_compared_with_it() {
    let world = |path: &str, value: &str| {
        let mut world = World::new();
        world.command("state", "image i:latest sha256:1\nforeign x i\n").unwrap();
        world.command("map", &map(path, Some(value))).unwrap();
        apply(&mut world, path);
        world
    };
    let shown = VALUES.iter().filter(|(property, ..)| property.compared() == Compared::Inspect);
    for (property, path, value, other) in shown {
        let mut drifted = world(path, value);
        // What the engine holds is another value; the labels are those of the first.
        let detail = world(path, other).detail("m.a");
        drifted.set_detail("m.a", detail);
        let planned = apply(&mut drifted, &format!("{property} drifted"));
        let in_place = property.on_change() == OnChange::Update;
        check(&planned, *property, in_place, &format!("{property} drifted"));
        drifted.strip_labels("m.a");
        let planned = drifted.command("plan update other a", "").unwrap();
        assert_eq!(planned, "nothing to do\n", "{property}: without labels, what is equal stays equal");
    }
}

#[test]
fn every_property_is_compared_and_handled_as_its_table_says() {
    for property in Property::ALL {
        let found = VALUES.iter().find(|(other, ..)| other == property);
        let (_, path, value, other) = found.unwrap_or_else(|| panic!("{property} is not in the table"));
        let mut world = World::new();
        world.command("state", "image i:latest sha256:1\nforeign x i\n").unwrap();
        world.command("map", &map(path, None)).unwrap();
        apply(&mut world, "without");

        let in_place = property.on_change() == OnChange::Update;
        world.command("map", &map(path, Some(value))).unwrap();
        // An engine does not say whether its kernel holds this one: where it shows none, a container
        // is made with it, whose label tells afterwards.
        let discarded = *property == Property::BlkioWeight;
        check(
            &apply(&mut world, &format!("{property} added")),
            *property,
            in_place && !discarded,
            &format!("{property} added"),
        );

        world.command("map", &map(path, Some(other))).unwrap();
        check(
            &apply(&mut world, &format!("{property} changed")),
            *property,
            in_place,
            &format!("{property} changed"),
        );

        // A limit can be set, but not lifted in place; a policy can be both.
        let in_place = *property == Property::RestartPolicy;
        world.command("map", &map(path, None)).unwrap();
        let what = format!("{property} removed");
        let planned = apply(&mut world, &what);
        let is_nothing = |value: &str| matches!(value, "false" | "''");
        if is_nothing(other) {
            assert_eq!(planned, "nothing to do\n", "{what}: it was nothing before");
        } else {
            check(&planned, *property, in_place, &what);
        }
    }
}
