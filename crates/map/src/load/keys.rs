//! The known keys of every object, which messages and the schema share.

/// The reserved root keys of a map (map-model §1.1).
pub(crate) const MAP: [&str; 13] = [
    "name",
    "containers",
    "volumes",
    "host",
    "host_root",
    "networks",
    "groups",
    "clients",
    "repository",
    "default_tag",
    "default_domain",
    "set_hostname",
    "use_attached_parent_name",
];

/// The properties of a configuration, in the order of map-model §2.1.
pub(crate) const CONTAINER: [&str; 24] = [
    "abstract",
    "extends",
    "image",
    "instances",
    "clients",
    "shares",
    "binds",
    "attaches",
    "uses",
    "links",
    "exposes",
    "networks",
    "network_mode",
    "exec_commands",
    "healthcheck",
    "user",
    "permissions",
    "stop_timeout",
    "stop_signal",
    "start_delay",
    "persistent",
    "create_options",
    "host_config",
    "start_options",
];

/// The keys of a volume (map-model §3.1).
pub(crate) const VOLUME: [&str; 6] =
    ["default_path", "driver", "driver_options", "create_options", "user", "permissions"];

/// The keys of a network (map-model §3.3).
pub(crate) const NETWORK: [&str; 4] = ["driver", "driver_options", "internal", "create_options"];

/// The keys of a client (map-model §4.2, §4.3).
pub(crate) const CLIENT: [&str; 19] = [
    "base_url",
    "version",
    "timeout",
    "tls",
    "interfaces",
    "interfaces_ipv6",
    "auth_configs",
    "domainname",
    "stop_timeout",
    "wait_timeout",
    "features",
    "constraints",
    "fabric_host",
    "tunnel_remote_port",
    "tunnel_local_port",
    "cmd_prefix",
    "default_bin",
    "use_sudo",
    "debug",
];

/// Features that the API version decides (map-model §4.4).
pub(crate) const FEATURES: [&str; 8] = [
    "host_config",
    "networks",
    "volumes",
    "stop_signal",
    "healthcheck",
    "stop_timeout",
    "container_update",
    "container_update_restart_policy",
];

/// Constraints that the host's information decides (map-model §4.4).
pub(crate) const CONSTRAINTS: [&str; 10] = [
    "mem_limit",
    "memswap_limit",
    "kernel_memory",
    "cpu_period",
    "cpu_quota",
    "cpu_shares",
    "cpuset_cpus",
    "cpuset_mems",
    "oom_kill_disable",
    "pids_limit",
];

/// The keys of a registry login.
pub(crate) const AUTH: [&str; 3] = ["username", "password", "email"];

/// The keys of TLS settings.
pub(crate) const TLS: [&str; 5] = ["ca_cert", "client_cert", "client_key", "verify", "assert_hostname"];
