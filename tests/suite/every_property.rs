//! The table of `docs/comparison.md` on each engine generation: every property is changed in the map, the difference is
//! named in the plan, handled in the way that the table announces, and nothing else is touched.
//!
//! One map has all properties, so that all changes are one update. Properties that go together share a container ([`GROUPS`]): a
//! dry run for one property of each group after the other shows that it alone has its effect.

use std::collections::BTreeMap;

use dfab_map::property::{OnChange, Property};
use dfab_tests::{Host, Outcome, Project, lab_or_skip, note};
use serde_json::Value;

/// What an engine and this machine can show of a property.
enum Row {
    /// (lines of the configuration before, and after)
    Change(&'static str, &'static str),
    /// As `Change`, on engines where the predicate holds; the text says why not on others.
    Where(fn(&Host<'_>) -> bool, &'static str, &'static str, &'static str),
    /// As the second line of `Change`, which no engine of the lab can make a container with: it is planned only. The text
    /// says why.
    Never(&'static str, &'static str),
}

use Row::{Change, Never, Where};

/// One row for each property: a new one does not compile until it has its row here.
fn row(property: Property) -> Row {
    match property {
        Property::User => Change("user: 1000", "user: 1001"),
        Property::Hostname => Change("create_options: {hostname: one}", "create_options: {hostname: two}"),
        Property::Domainname => {
            Change("create_options: {domainname: a.example}", "create_options: {domainname: b.example}")
        }
        Property::Environment => {
            Change("create_options: {environment: {A: 1}}", "create_options: {environment: {A: 2}}")
        }
        Property::Command => Change("", "create_options: {command: sleep 200000}"),
        Property::Entrypoint => Change("", "create_options: {entrypoint: [/bin/busybox]}"),
        Property::WorkingDir => {
            Change("create_options: {working_dir: /tmp}", "create_options: {working_dir: /etc}")
        }
        Property::Labels => Change("create_options: {labels: {a: 1}}", "create_options: {labels: {a: 2}}"),
        Property::Shares => Change("shares: /one", "shares: /two"),
        Property::ExposedPorts => Change("exposes: [80]", "exposes: [81]"),
        Property::StopSignal => Change("stop_signal: SIGKILL", "stop_signal: SIGQUIT"),
        Property::StopTimeout => Change("stop_timeout: 1", "stop_timeout: 2"),
        Property::Healthcheck => Change(
            "healthcheck: {test: 'true', interval: 30s}",
            "healthcheck: {test: 'true', interval: 40s, retries: 2}",
        ),
        Property::Tty => Change("create_options: {tty: false}", "create_options: {tty: true}"),
        Property::StdinOpen => {
            Change("create_options: {stdin_open: false}", "create_options: {stdin_open: true}")
        }
        // The map's word is the network mode `none`.
        Property::NetworkDisabled => Change("network_mode: none", ""),
        Property::MacAddress => Change(
            "create_options: {mac_address: '02:42:0a:00:00:01'}",
            "create_options: {mac_address: '02:42:0a:00:00:02'}",
        ),
        Property::Binds => Change("binds: [[/mnt, /var/lib/site/one]]", "binds: [[/mnt, /var/lib/site/two]]"),
        Property::Mounts => Change(
            "host_config: {mounts: [{target: /mnt, source: all_map.one, type: volume}]}",
            "host_config: {mounts: [{target: /mnt, source: all_map.one, type: volume, read_only: true}]}",
        ),
        Property::VolumesFrom => Change("uses: [still]", "uses: [[still, ro]]"),
        Property::VolumeDriver => Change("", "host_config: {volume_driver: local}"),
        Property::Links => Change("links: {still: one}", "links: {still: two}"),
        Property::PortBindings => Change("exposes: {80: 18080}", "exposes: {80: 18081}"),
        Property::PublishAllPorts => {
            Change("host_config: {publish_all_ports: false}", "host_config: {publish_all_ports: true}")
        }
        Property::NetworkMode => Change("network_mode: host", "network_mode: still"),
        Property::RestartPolicy => Change(
            "host_config: {restart_policy: {Name: on-failure, MaximumRetryCount: 2}}",
            "host_config: {restart_policy: {Name: always}}",
        ),
        Property::AutoRemove => {
            Change("host_config: {auto_remove: false}", "host_config: {auto_remove: true}")
        }
        Property::Init => Change("host_config: {init: false}", "host_config: {init: true}"),
        Property::Runtime => {
            Change("host_config: {runtime: runc}", "host_config: {runtime: io.containerd.runc.v2}")
        }
        Property::Privileged => Where(
            |host| host.engine != "20.10",
            "engine 20.10 asks for every capability that it knows, of which a machine in a container lacks some",
            "host_config: {privileged: false}",
            "host_config: {privileged: true}",
        ),
        Property::ReadOnly => Change("host_config: {read_only: false}", "host_config: {read_only: true}"),
        Property::CapAdd => {
            Change("host_config: {cap_add: [NET_ADMIN]}", "host_config: {cap_add: [SYS_TIME]}")
        }
        Property::CapDrop => Change("host_config: {cap_drop: [MKNOD]}", "host_config: {cap_drop: [CHOWN]}"),
        Property::SecurityOpt => Change("", "host_config: {security_opt: [no-new-privileges]}"),
        Property::Devices => Change(
            "host_config: {devices: ['/dev/null:/dev/one']}",
            "host_config: {devices: ['/dev/null:/dev/one:r']}",
        ),
        Property::DeviceRequests => Never(
            "an engine starts no container with a device that it has no driver for",
            "host_config: {device_requests: [{Count: 1, Capabilities: [[gpu]]}]}",
        ),
        Property::Dns => Change("host_config: {dns: [192.0.2.1]}", "host_config: {dns: [192.0.2.2]}"),
        Property::DnsSearch => {
            Change("host_config: {dns_search: [a.example]}", "host_config: {dns_search: [b.example]}")
        }
        Property::DnsOptions => {
            Change("host_config: {dns_opt: ['ndots:1']}", "host_config: {dns_opt: ['ndots:2']}")
        }
        Property::ExtraHosts => Change(
            "host_config: {extra_hosts: {gw: 192.0.2.1}}",
            "host_config: {extra_hosts: {gw: 192.0.2.2}}",
        ),
        Property::GroupAdd => Change("host_config: {group_add: [44]}", "host_config: {group_add: [45]}"),
        Property::CgroupParent => {
            Change("host_config: {cgroup_parent: CGROUP/one}", "host_config: {cgroup_parent: CGROUP/two}")
        }
        Property::PidMode => Change("", "host_config: {pid_mode: host}"),
        Property::IpcMode => Change("host_config: {ipc_mode: private}", "host_config: {ipc_mode: shareable}"),
        Property::UtsMode => Change("", "host_config: {uts_mode: host}"),
        Property::UsernsMode => Change("", "host_config: {userns_mode: host}"),
        Property::Sysctls => Change(
            "host_config: {sysctls: {net.core.somaxconn: 512}}",
            "host_config: {sysctls: {net.core.somaxconn: 1024}}",
        ),
        Property::Tmpfs => {
            Change("host_config: {tmpfs: {/run: size=1m}}", "host_config: {tmpfs: {/run: size=2m}}")
        }
        Property::Ulimits => Change(
            "host_config: {ulimits: [{name: nofile, soft: 512, hard: 1024}]}",
            "host_config: {ulimits: [{name: nofile, soft: 512, hard: 2048}]}",
        ),
        Property::LogConfig => Change(
            "host_config: {log_config: {type: json-file, config: {max-size: 1m}}}",
            "host_config: {log_config: {type: json-file, config: {max-size: 2m}}}",
        ),
        Property::StorageOpt => Never(
            "the storage driver of the lab takes sizes on xfs with project quotas only",
            "host_config: {storage_opt: {size: 1g}}",
        ),
        Property::ShmSize => Change("host_config: {shm_size: 16m}", "host_config: {shm_size: 32m}"),
        Property::OomScoreAdj => {
            Change("host_config: {oom_score_adj: 100}", "host_config: {oom_score_adj: 200}")
        }
        Property::OomKillDisable => Where(
            |host| limit(host, "OomKillDisable"),
            "the kernel cannot keep its killer from a control group",
            "host_config: {oom_kill_disable: false, mem_limit: 64m}",
            "host_config: {oom_kill_disable: true, mem_limit: 64m}",
        ),
        Property::MemSwappiness => Where(
            cgroup_v1,
            "control groups of version 2 have no swappiness",
            "host_config: {mem_swappiness: 10}",
            "host_config: {mem_swappiness: 0}",
        ),
        Property::MemLimit => Where(
            |host| limit(host, "MemoryLimit"),
            "the kernel limits no memory",
            "host_config: {mem_limit: 64m, memswap_limit: 256m}",
            "host_config: {mem_limit: 128m, memswap_limit: 256m}",
        ),
        Property::MemReservation => Where(
            |host| limit(host, "MemoryLimit"),
            "the kernel limits no memory",
            "host_config: {mem_reservation: 32m}",
            "host_config: {mem_reservation: 48m}",
        ),
        Property::MemswapLimit => Where(
            |host| limit(host, "SwapLimit"),
            "the kernel limits no swap space",
            "host_config: {mem_limit: 64m, memswap_limit: 128m}",
            "host_config: {mem_limit: 64m, memswap_limit: 256m}",
        ),
        // Engines since API 1.42 ignore it; the digest shows the change all the same.
        Property::KernelMemory => Where(
            |host| host.engine != "20.10" || limit(host, "KernelMemory"),
            "engine 20.10 refuses it where the kernel has no such limit",
            "host_config: {kernel_memory: 64m}",
            "host_config: {kernel_memory: 128m}",
        ),
        Property::CpuShares => Where(
            |host| limit(host, "CPUShares"),
            "the kernel has no shares of processors",
            "host_config: {cpu_shares: 512}",
            "host_config: {cpu_shares: 256}",
        ),
        Property::CpuPeriod => Where(
            |host| limit(host, "CPUCfsPeriod"),
            "the kernel limits no processor time",
            "host_config: {cpu_period: 50000}",
            "host_config: {cpu_period: 60000}",
        ),
        Property::CpuQuota => Where(
            |host| limit(host, "CPUCfsQuota"),
            "the kernel limits no processor time",
            "host_config: {cpu_quota: 25000}",
            "host_config: {cpu_quota: 30000}",
        ),
        Property::CpusetCpus => Where(
            |host| limit(host, "CPUSet") && host.run("nproc") != "1",
            "the kernel binds to no processors, or there is only one",
            "host_config: {cpuset_cpus: '0'}",
            "host_config: {cpuset_cpus: '0-1'}",
        ),
        Property::CpusetMems => Where(
            |host| limit(host, "CPUSet"),
            "the kernel binds to no memory nodes",
            "",
            "host_config: {cpuset_mems: '0'}",
        ),
        Property::NanoCpus => Where(
            |host| limit(host, "CPUCfsQuota"),
            "the kernel limits no processor time",
            "host_config: {nano_cpus: 500000000}",
            "host_config: {nano_cpus: 700000000}",
        ),
        Property::BlkioWeight => Where(
            weight,
            "the kernel weighs no disk access",
            "host_config: {blkio_weight: 300}",
            "host_config: {blkio_weight: 400}",
        ),
        Property::PidsLimit => Where(
            |host| limit(host, "PidsLimit"),
            "the kernel counts no processes",
            "host_config: {pids_limit: 100}",
            "host_config: {pids_limit: 200}",
        ),
        Property::CpuRtPeriod => Never(NO_REAL_TIME, "host_config: {cpu_rt_period: 10000}"),
        Property::CpuRtRuntime => Never(NO_REAL_TIME, "host_config: {cpu_rt_runtime: 9000}"),
        Property::BlkioWeightDevice => Where(
            |host| weight(host) && disk(host),
            "the kernel weighs no disk access",
            "host_config: {blkio_weight_device: [{Path: DISK, Weight: 200}]}",
            "host_config: {blkio_weight_device: [{Path: DISK, Weight: 300}]}",
        ),
        Property::DeviceReadBps => Where(
            disk,
            NO_DISK,
            "host_config: {device_read_bps: [{Path: DISK, Rate: 1048576}]}",
            "host_config: {device_read_bps: [{Path: DISK, Rate: 2097152}]}",
        ),
        Property::DeviceReadIops => Where(
            disk,
            NO_DISK,
            "host_config: {device_read_iops: [{Path: DISK, Rate: 100}]}",
            "host_config: {device_read_iops: [{Path: DISK, Rate: 200}]}",
        ),
        Property::DeviceWriteBps => Where(
            disk,
            NO_DISK,
            "host_config: {device_write_bps: [{Path: DISK, Rate: 1048576}]}",
            "host_config: {device_write_bps: [{Path: DISK, Rate: 2097152}]}",
        ),
        Property::DeviceWriteIops => Where(
            disk,
            NO_DISK,
            "host_config: {device_write_iops: [{Path: DISK, Rate: 100}]}",
            "host_config: {device_write_iops: [{Path: DISK, Rate: 200}]}",
        ),
        Property::DeviceCgroupRules => Change(
            "host_config: {device_cgroup_rules: ['c 1:3 r']}",
            "host_config: {device_cgroup_rules: ['c 1:3 rw']}",
        ),
        Property::CgroupnsMode => Change("host_config: {cgroupns: host}", "host_config: {cgroupns: private}"),
    }
}

const NO_REAL_TIME: &str = "no kernel of a distribution schedules real time by control groups";

const NO_DISK: &str = "there is no disk, or the kernel does not throttle it";

/// Tells whether the engine says that the kernel holds a limit.
fn limit(host: &Host<'_>, field: &str) -> bool {
    host.run(&format!("docker info --format '{{{{.{field}}}}}' 2>/dev/null || echo false")) == "true"
}

fn cgroup_v1(host: &Host<'_>) -> bool {
    host.run("docker info --format '{{.CgroupVersion}}'") == "1"
}

fn weight(host: &Host<'_>) -> bool {
    !host
        .run("ls /sys/fs/cgroup/blkio/blkio.weight /sys/fs/cgroup/system.slice/io.weight 2>/dev/null || true")
        .is_empty()
}

fn disk(host: &Host<'_>) -> bool {
    disk_path(host).is_some()
        && !host.run("ls /sys/fs/cgroup/blkio/blkio.throttle.read_bps_device 2>/dev/null || true").is_empty()
}

fn disk_path(host: &Host<'_>) -> Option<String> {
    let found = host.run("ls -d /dev/vda /dev/sda /dev/nvme0n1 2>/dev/null | head -n 1");
    Some(found).filter(|path| !path.is_empty())
}

/// Properties that one container can have changed at once, all with the same effect: starting a container for each takes
/// minutes. All others have one of their own.
const GROUPS: [(&str, &[Property]); 7] = [
    (
        "process",
        &[
            Property::User,
            Property::Hostname,
            Property::Domainname,
            Property::Environment,
            Property::WorkingDir,
            Property::Labels,
            Property::Tty,
            Property::StdinOpen,
        ],
    ),
    (
        "own-words",
        &[
            Property::Shares,
            Property::ExposedPorts,
            Property::StopSignal,
            Property::StopTimeout,
            Property::Healthcheck,
            Property::Binds,
            Property::MacAddress,
            Property::VolumeDriver,
        ],
    ),
    (
        "names",
        &[
            Property::Dns,
            Property::DnsSearch,
            Property::DnsOptions,
            Property::ExtraHosts,
            Property::GroupAdd,
            Property::Sysctls,
            Property::Tmpfs,
            Property::Ulimits,
        ],
    ),
    (
        "rights",
        &[
            Property::CapAdd,
            Property::CapDrop,
            Property::SecurityOpt,
            Property::Devices,
            Property::LogConfig,
            Property::ShmSize,
            Property::OomScoreAdj,
            Property::DeviceCgroupRules,
        ],
    ),
    (
        "engine",
        &[
            Property::Init,
            Property::CgroupParent,
            Property::IpcMode,
            Property::CgroupnsMode,
            Property::PublishAllPorts,
            Property::ReadOnly,
            Property::KernelMemory,
        ],
    ),
    (
        "disk",
        &[
            Property::DeviceReadBps,
            Property::DeviceReadIops,
            Property::DeviceWriteBps,
            Property::DeviceWriteIops,
        ],
    ),
    (
        "in-place",
        &[
            Property::RestartPolicy,
            Property::MemReservation,
            Property::CpuShares,
            Property::CpuPeriod,
            Property::CpuQuota,
            Property::CpusetCpus,
            Property::CpusetMems,
            Property::PidsLimit,
        ],
    ),
];

/// The name of the configuration that changes a property.
fn config(property: Property) -> String {
    let group = GROUPS.iter().find(|(_, members)| members.contains(&property));
    match group {
        Some((name, _)) => format!("g-{name}"),
        None => format!("p-{}", property.name().replace('_', "-")),
    }
}

/// The place of a property in its group; 0 for one that has a container of its own.
fn place(property: Property) -> usize {
    GROUPS.iter().find_map(|(_, members)| members.iter().position(|member| *member == property)).unwrap_or(0)
}

/// A property on this host: (before, after), or why not.
fn cells(
    host: &Host<'_>,
    disk: &str,
    group: &str,
    property: Property,
) -> Result<(String, String), &'static str> {
    let (before, after) = match row(property) {
        Change(before, after) => (before, after),
        Where(can, _, before, after) if can(host) => (before, after),
        Where(_, why_not, ..) | Never(why_not, _) => return Err(why_not),
    };
    let fill = |text: &str| text.replace("DISK", disk).replace("CGROUP", group);
    Ok((fill(before), fill(after)))
}

/// Networks besides the containers: (name, before, after). Their `driver` is planned only: of the drivers for one host, all
/// but `bridge` are modes of a container or want a kernel module and a network card of their own.
const NETWORKS: [(&str, &str, &str); 7] = [
    (
        "n-driver-options",
        "{driver_options: {com.docker.network.bridge.enable_icc: 'true'}}",
        "{driver_options: {com.docker.network.bridge.enable_icc: 'false'}}",
    ),
    ("n-internal", "{internal: false}", "{internal: true}"),
    ("n-labels", "{create_options: {labels: {a: 1}}}", "{create_options: {labels: {a: 2}}}"),
    (
        "n-ipam",
        "{create_options: {ipam: {Config: [{Subnet: 10.78.1.0/24}]}}}",
        "{create_options: {ipam: {Config: [{Subnet: 10.78.2.0/24}]}}}",
    ),
    ("n-attachable", "{create_options: {attachable: false}}", "{create_options: {attachable: true}}"),
    (
        "n-enable-ipv6",
        "{create_options: {enable_ipv6: false, ipam: {Config: [{Subnet: 10.78.3.0/24}, {Subnet: 'fd00:78::/64'}]}}}",
        "{create_options: {enable_ipv6: true, ipam: {Config: [{Subnet: 10.78.3.0/24}, {Subnet: 'fd00:78::/64'}]}}}",
    ),
    ("n-removed", "{driver_options: {com.docker.network.bridge.enable_icc: 'true'}}", "{}"),
];

/// Endpoints of a container, changed in place: (configuration, before, after, the reason's field).
const ENDPOINTS: [(&str, &str, &str, &str); 5] = [
    ("e-connect", "[still]", "[still, other]", "networks.other"),
    ("e-disconnect", "[still, other]", "[still]", "networks.other"),
    ("e-aliases", "[{still: {aliases: one}}]", "[{still: {aliases: two}}]", "networks.still.aliases"),
    (
        "e-address",
        "[{still: {ipv4_address: 10.78.9.10}}]",
        "[{still: {ipv4_address: 10.78.9.11}}]",
        "networks.still.ipv4_address",
    ),
    (
        "e-links",
        "[{still: {links: {still: one}}}]",
        "[{still: {links: {still: two}}}]",
        "networks.still.links",
    ),
];

/// Lines of configuration by property, before and after a change.
pub(crate) type Rows = BTreeMap<Property, (String, String)>;

/// Which second values a map has.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum After {
    None,
    /// Those of the properties at this place of their groups.
    Place(usize),
    All,
}

impl After {
    fn is_of(self, property: Property) -> bool {
        match self {
            Self::None => false,
            Self::Place(place_) => place(property) == place_ && config(property).starts_with("g-"),
            Self::All => true,
        }
    }
}

/// Puts lines of a configuration together: those of one key in braces are one.
pub(crate) fn merged<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    let mut keys: Vec<(&str, Vec<&str>)> = Vec::new();
    let mut text = String::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (key, value) = line.split_once(": ").expect("a line has a key");
        match (key, value.strip_prefix('{').and_then(|value| value.strip_suffix('}'))) {
            ("create_options" | "host_config", Some(value)) => {
                match keys.iter_mut().find(|(other, _)| *other == key) {
                    Some((_, values)) => values.push(value),
                    None => keys.push((key, vec![value])),
                }
            }
            _ => text += &format!("  {line}\n"),
        }
    }
    for (key, values) in keys {
        text += &format!("  {key}: {{{}}}\n", values.join(", "));
    }
    text
}

/// Writes the map.
pub(crate) fn map(rows: &Rows, after: After) -> String {
    let pick = |pair: (&str, &str)| if after == After::All { pair.1.to_owned() } else { pair.0.to_owned() };
    let mut text = String::from("name: all_map\nhost_root: /tmp\nnetworks:\n");
    text.push_str("  still: {create_options: {ipam: {Config: [{Subnet: 10.78.9.0/24}]}}}\n  other: {}\n");
    for (name, before, then) in NETWORKS {
        text += &format!("  {name}: {}\n", pick((before, then)));
    }
    text.push_str(
        "base:\n  abstract: true\n  image: busybox\n  stop_timeout: 1\n  create_options: {command: [sleep, '100000']}\n\
         still:\n  extends: base\n  shares: /data\n  networks: [bridge, still]\n",
    );
    let mut configs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (property, (before, then)) in rows {
        let line = if after.is_of(*property) { then } else { before };
        configs.entry(config(*property)).or_default().push(line);
    }
    for (config, lines) in configs {
        text += &format!("{config}:\n  extends: base\n{}", merged(lines.into_iter()));
    }
    for (name, before, then, _) in ENDPOINTS {
        text += &format!("{name}:\n  extends: base\n  networks: {}\n", pick((before, then)));
    }
    for (name, ..) in NETWORKS {
        text += &format!("c-{name}:\n  extends: base\n  networks: [{name}]\n");
    }
    text
}

fn update(project: &Project, host: &Host<'_>, more: &[&str]) -> Outcome {
    let call = [&["--output=json", "actions.update", "all_map", "__all__"], more].concat();
    project.dfab(&call).env("DOCKER_HOST", &host.docker_host()).run()
}

/// ID and start of every container by name.
fn containers(host: &Host<'_>) -> BTreeMap<String, (String, String)> {
    let text = host.run(
        "docker ps -aq --no-trunc | xargs docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}}'",
    );
    let line = |line: &str| {
        let mut words = line.trim_start_matches('/').split(' ').map(str::to_owned);
        Some((words.next()?, (words.next()?, words.next()?)))
    };
    text.lines().filter_map(line).collect()
}

/// What should be planned for an object: an action, and for each property fields of which one is named.
struct Announced {
    action: &'static str,
    fields: Vec<Vec<String>>,
    /// What may be named as well, because it follows.
    also: &'static str,
}

fn announced(rows: &Rows, after: After) -> BTreeMap<String, Announced> {
    let mut all: BTreeMap<String, Announced> = BTreeMap::new();
    for property in rows.keys().filter(|property| after.is_of(**property)) {
        let action = if property.on_change() == OnChange::Update { "update" } else { "recreate" };
        // What the map says by words of its own is named by them.
        let fields = match property {
            Property::NetworkDisabled => vec!["network_mode"],
            Property::VolumesFrom => vec!["uses"],
            Property::PortBindings => vec!["exposes", "port_bindings"],
            Property::Mounts => vec!["mounts", "uses", "binds"],
            other => vec![other.name()],
        };
        let fields: Vec<String> = fields.into_iter().map(str::to_owned).collect();
        // Who shares the host's name has none of their own.
        let shared_name = matches!(property, Property::NetworkMode | Property::UtsMode);
        let also = if shared_name { "hostname" } else { "" };
        let container = all.entry(format!("all_map.{}", config(*property)));
        let container = container.or_insert_with(|| Announced { action, fields: Vec::new(), also });
        assert_eq!(container.action, action, "{property} is in a group of another effect");
        container.fields.push(fields);
    }
    if after != After::All {
        return all;
    }
    for (name, _, _, field) in ENDPOINTS {
        all.insert(
            format!("all_map.{name}"),
            Announced { action: "update", fields: vec![vec![field.to_owned()]], also: "" },
        );
    }
    for (name, ..) in NETWORKS {
        let field = name.trim_start_matches("n-").replace('-', "_").replace("removed", "driver_options");
        all.insert(
            format!("all_map.{name}"),
            Announced { action: "recreate", fields: vec![vec![field]], also: "" },
        );
        let connected_again =
            Announced { action: "update", fields: vec![vec!["dependency".to_owned()]], also: "" };
        all.insert(format!("all_map.c-{name}"), connected_again);
    }
    all
}

/// Compares a plan with what was announced, and returns all that differs.
fn differences(plan: &Value, announced: &BTreeMap<String, Announced>) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut planned: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for step in plan.as_array().into_iter().flatten() {
        let reasons = step["reasons"].as_array().into_iter().flatten();
        let fields = reasons.map(|reason| text(&reason["field"])).collect();
        let name = text(&step["name"]);
        if planned.insert(name.clone(), (text(&step["action"]), fields)).is_some() {
            wrong.push(format!("{name}: two steps"));
        }
    }
    for (name, Announced { action, fields, also }) in announced {
        match planned.remove(name) {
            None => wrong.push(format!("{name}: nothing is planned, not {action}")),
            Some((other, found)) => {
                let is_one_of = |named: &String, fields: &[String]| {
                    fields.iter().any(|field| named == field || named.starts_with(&format!("{field}.")))
                };
                let is_named = |named: &String| fields.iter().any(|fields| is_one_of(named, fields));
                let all_named =
                    fields.iter().all(|fields| found.iter().any(|named| is_one_of(named, fields)));
                if other != *action || !all_named {
                    wrong.push(format!("{name}: {other} for {found:?}, not {action} for {fields:?}"));
                }
                // Nothing else was changed, so nothing else is named.
                let others: Vec<&String> =
                    found.iter().filter(|named| !is_named(named) && named != also).collect();
                if !others.is_empty() {
                    wrong.push(format!("{name}: {others:?} differ as well"));
                }
            }
        }
    }
    wrong
        .extend(planned.into_iter().map(|(name, step)| format!("{name}: {step:?} is planned for no reason")));
    wrong
}

/// The rows that can be shown on a host.
pub(crate) fn rows(host: &Host<'_>) -> Rows {
    let mut rows = Rows::new();
    let disk = disk_path(host).unwrap_or_default();
    // Groups of a lab are below the lab's own, so that they go with it.
    let group = host.run("sed -n 's/.*--cgroup-parent.//p' /proc/$(pgrep -x dockerd | head -n 1)/cmdline | tr '\\0' ' ' | cut -d' ' -f1");
    for &property in Property::ALL {
        match cells(host, &disk, &group, property) {
            Ok(pair) => drop(rows.insert(property, pair)),
            Err(why) => note(&format!("engine {}, not shown live: {property}: {why}", host.engine)),
        }
    }
    assert!(rows.len() > 55, "hardly anything can be shown here");
    rows
}

fn every_property_is_handled(host: &Host<'_>) {
    let rows = rows(host);
    let when = format!("engine {}", host.engine);
    let project = Project::new(&[
        ("dfab.yaml", "maps: {all_map: all_map.yaml}\n"),
        ("all_map.yaml", &map(&rows, After::None)),
    ]);
    host.run("docker run -d --name other_map.bystander busybox sleep 100000");
    update(&project, host, &[]).expect_code(0);
    let again = update(&project, host, &[]).expect_code(0);
    assert_eq!(again.json()["plan"], serde_json::json!([]), "{when}, after creation: {again}");
    let before = containers(host);

    let write = |after| {
        std::fs::write(project.path().join("all_map.yaml"), map(&rows, after))
            .expect("the map can be written");
        announced(&rows, after)
    };
    for place in 0..GROUPS.iter().map(|(_, members)| members.len()).max().unwrap_or_default() {
        let announced = write(After::Place(place));
        let dry = update(&project, host, &["--dry-run"]).expect_code(0);
        let wrong = differences(&dry.json()["plan"], &announced);
        assert!(wrong.is_empty(), "{when}, place {place} of each group:\n{}", wrong.join("\n"));
    }
    let announced = write(After::All);
    let dry = update(&project, host, &["--dry-run"]).expect_code(0);
    let wrong = differences(&dry.json()["plan"], &announced);
    assert!(wrong.is_empty(), "{when}:\n{}", wrong.join("\n"));
    assert_eq!(containers(host), before, "{when}: a dry run changes nothing");

    let run = update(&project, host, &[]).expect_code(0);
    assert_eq!(run.json()["plan"], dry.json()["plan"], "{when}: {run}");
    let after = containers(host);
    let mut wrong = Vec::new();
    for (name, container) in &before {
        let recreated = announced.get(name).is_some_and(|announced| announced.action == "recreate");
        match after.get(name) {
            None => wrong.push(format!("{name} is gone")),
            Some(now) if recreated && now.0 == container.0 => wrong.push(format!("{name} is the same")),
            Some(now) if !recreated && now != container => wrong.push(format!("{name} was touched")),
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{when}: {wrong:?}\n{run}");
    let again = update(&project, host, &[]).expect_code(0);
    assert_eq!(again.json()["plan"], serde_json::json!([]), "{when}, after the changes: {again}");
    host.expect_no_leftovers();
}

/// Properties of which no engine tells whether it can hold them: they are compared all the same.
const IN_THE_DARK: [Property; 4] =
    [Property::Privileged, Property::MemSwappiness, Property::BlkioWeight, Property::BlkioWeightDevice];

/// What no engine of the lab can make a container with, or this one cannot, is planned all the same.
fn the_others_are_planned(host: &Host<'_>) {
    let map = |line: &str, network: &str| {
        let lines = merged(["create_options: {command: [sleep, '100000']}", line].into_iter());
        format!(
            "name: all_map\nnetworks: {{n: {{{network}}}}}\nplain:\n  image: busybox\n  stop_timeout: 1\n  networks: [n]\n{lines}"
        )
    };
    let project =
        Project::new(&[("dfab.yaml", "maps: {all_map: all_map.yaml}\n"), ("all_map.yaml", &map("", ""))]);
    update(&project, host, &[]).expect_code(0);
    let before = containers(host);
    let expect_planned = |text: &str, announced: &BTreeMap<String, Announced>, what: &str| {
        std::fs::write(project.path().join("all_map.yaml"), text).expect("the map can be written");
        let dry = update(&project, host, &["--dry-run"]).expect_code(0);
        let wrong = differences(&dry.json()["plan"], announced);
        assert!(wrong.is_empty(), "engine {}, {what}: {}\n{dry}", host.engine, wrong.join("\n"));
    };
    let fields = |field: &str| vec![vec![field.to_owned()]];
    let lines = Property::ALL.iter().filter_map(|&property| match row(property) {
        Never(_, line) => Some((property, line)),
        // What an engine says that it cannot hold is not compared.
        Where(can, _, _, line) if IN_THE_DARK.contains(&property) && !can(host) => Some((property, line)),
        _ => None,
    });
    for (property, line) in lines {
        // A weight that the engine does not show cannot be changed in place.
        let in_place = property.on_change() == OnChange::Update && property != Property::BlkioWeight;
        let action = if in_place { "update" } else { "recreate" };
        let announced = Announced { action, fields: fields(property.name()), also: "" };
        let announced = BTreeMap::from([("all_map.plain".to_owned(), announced)]);
        expect_planned(&map(&line.replace("DISK", "/dev/null"), ""), &announced, property.name());
    }

    let network = Announced { action: "recreate", fields: fields("driver"), also: "" };
    let connected_again = Announced { action: "update", fields: fields("dependency"), also: "" };
    let announced =
        BTreeMap::from([("all_map.n".to_owned(), network), ("all_map.plain".to_owned(), connected_again)]);
    expect_planned(&map("", "driver: macvlan"), &announced, "a network's driver");

    assert_eq!(containers(host), before, "engine {}", host.engine);
    host.expect_no_leftovers();
}

#[test]
fn properties_that_no_container_here_can_have_are_planned_as_the_table_says() {
    let lab = lab_or_skip!();
    crate::one_run_per_example::on_each_generation(&lab, the_others_are_planned);
}

#[test]
fn every_property_is_compared_and_handled_as_the_table_says() {
    let lab = lab_or_skip!();
    crate::one_run_per_example::on_each_generation(&lab, every_property_is_handled);
}

/// Volumes of one container, which differ in what is only told: (name, before, after, what the note names).
const VOLUMES: [(&str, &str, &str, &str); 3] = [
    ("labels", "create_options: {labels: {a: 1}}", "create_options: {labels: {a: 2}}", "labels"),
    ("user", "user: 1000", "user: 1001", "user"),
    ("permissions", "permissions: '0700'", "permissions: '0750'", "permissions"),
];

/// Volumes that would have to be made anew: (name, before, after, what the error names).
const OTHER_VOLUMES: [(&str, &str, &str, &str); 2] = [
    (
        "options",
        "driver_options: {type: tmpfs, device: tmpfs, o: size=1m}",
        "driver_options: {type: tmpfs, device: tmpfs, o: size=2m}",
        "driver_options",
    ),
    // There is no other driver here; one that is wanted differs all the same.
    ("driver", "", "driver: another", "driver"),
];

/// A volume is told to differ, or refused to be made anew; either way neither it nor what holds it is touched.
fn volumes_stay_what_they_are(host: &Host<'_>) {
    let rows = VOLUMES.iter().chain(&OTHER_VOLUMES);
    let map = |changed: &dyn Fn(&str) -> bool| {
        let mut text = String::from("name: vol_map\nvolumes:\n");
        let mut attached = Vec::new();
        for (name, before, then, _) in rows.clone() {
            let chosen = if changed(name) { then } else { before };
            let more = if chosen.is_empty() { String::new() } else { format!(", {chosen}") };
            text += &format!("  {name}: {{default_path: /{name}{more}}}\n");
            attached.push(*name);
        }
        text + &format!(
            "holder:\n  image: busybox\n  stop_timeout: 1\n  attaches: [{}]\n  create_options: {{command: [sleep, '100000']}}\n",
            attached.join(", ")
        )
    };
    let project =
        Project::new(&[("dfab.yaml", "maps: {vol_map: vol_map.yaml}\n"), ("vol_map.yaml", &map(&|_| false))]);
    let run = || {
        let call = ["--output=json", "actions.update", "vol_map", "holder"];
        project.dfab(&call).env("DOCKER_HOST", &host.docker_host()).run()
    };
    run().expect_code(0);
    let created = "docker volume ls -q --filter name=vol_map | xargs docker volume inspect --format '{{.Name}} {{.CreatedAt}} {{.Labels}}'";
    let before = (containers(host), host.run(created));
    for (name, _, _, field) in &VOLUMES {
        let when = format!("engine {}, {name}", host.engine);
        std::fs::write(project.path().join("vol_map.yaml"), map(&|other| other == *name))
            .expect("the map can be written");
        let outcome = run().expect_code(0);
        assert_eq!(outcome.plan(), [""; 0], "{when}: {outcome}");
        let note = format!("volume vol_map.{name} on");
        let named = format!("keeps the {field} that it was made with");
        let told = outcome.json()["notices"].as_array().into_iter().flatten().any(|notice| {
            notice.as_str().is_some_and(|notice| notice.contains(&note) && notice.contains(&named))
        });
        assert!(told, "{when}: {outcome}");
        assert_eq!((containers(host), host.run(created)), before, "{when}: {outcome}");
    }
    for (name, _, _, field) in &OTHER_VOLUMES {
        let when = format!("engine {}, {name}", host.engine);
        std::fs::write(project.path().join("vol_map.yaml"), map(&|other| other == *name))
            .expect("the map can be written");
        let outcome = run();
        assert_ne!(outcome.status.code(), Some(0), "{when}: {outcome}");
        let text = format!("{}{}", outcome.stdout, outcome.stderr);
        for part in [&format!("vol_map.{name}")[..], field, "vol_map.holder"] {
            assert!(text.contains(part), "{when}: `{part}` is not named: {outcome}");
        }
        assert_eq!((containers(host), host.run(created)), before, "{when}: {outcome}");
    }
    host.expect_no_leftovers();
}

#[test]
fn a_volume_is_never_made_anew_for_a_difference() {
    let lab = lab_or_skip!();
    crate::one_run_per_example::on_each_generation(&lab, volumes_stay_what_they_are);
}
