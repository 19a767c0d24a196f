//! The table of container properties: how each is called in a map, where it stands in the Engine
//! API, how it is compared, and what a difference does. The guide `docs/comparison.md` shows it.

use std::fmt;

/// Where the current value of a property is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// From inspection; removal from the map is seen through the recorded digest.
    Inspect,
    /// Inspection cannot show it; the digest recorded at creation is compared.
    Digest,
}

/// What a difference does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnChange {
    /// Changed on the living container: `POST /containers/{id}/update`.
    Update,
    /// The container is created anew.
    Recreate,
}

/// The shape of a canonical value, which decides how two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A text; equal or not.
    Text,
    /// An integer; zero equals absent.
    Integer,
    /// A number of bytes, written as `512m` or an integer; zero equals absent.
    Bytes,
    /// A boolean; false equals absent.
    Boolean,
    /// Words in order; all count.
    Words,
    /// `NAME=value` lines, compared by name: every configured one must be there.
    Environment,
    /// An object of texts: every configured key must be there with an equal value.
    Labels,
    /// A set of texts (sorted): every configured element must be there.
    Set,
    /// Anything else, compared as a whole.
    Json,
}

macro_rules! properties {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $path:literal, $shape:ident, $compared:ident, $change:ident;)*) => {
        /// A comparable property of a container.
        ///
        /// [`fmt::Display`] and plans use the map's word, `memory` limits for example `mem_limit`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Property {
            $(#[doc = concat!("`", $name, "`: `", $path, "` of `POST /containers/create`.")] $(#[$doc])* $variant,)*
        }

        impl Property {
            /// Every property, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns the map's word: a property of a configuration, or a key of `create_options`
            /// or `host_config`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// Returns the path inside the body of `POST /containers/create`, parts joined by `.`.
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => $path),* }
            }

            /// Returns the shape of the value.
            pub fn shape(self) -> Shape {
                match self { $(Self::$variant => Shape::$shape),* }
            }

            /// Returns where the current value is read.
            pub fn compared(self) -> Compared {
                match self { $(Self::$variant => Compared::$compared),* }
            }

            /// Returns what a difference does.
            pub fn on_change(self) -> OnChange {
                match self { $(Self::$variant => OnChange::$change),* }
            }
        }
    };
}

properties! {
    User = "user", "User", Text, Inspect, Recreate;
    Hostname = "hostname", "Hostname", Text, Inspect, Recreate;
    Domainname = "domainname", "Domainname", Text, Inspect, Recreate;
    Environment = "environment", "Env", Environment, Inspect, Recreate;
    Command = "command", "Cmd", Words, Inspect, Recreate;
    Entrypoint = "entrypoint", "Entrypoint", Words, Inspect, Recreate;
    WorkingDir = "working_dir", "WorkingDir", Text, Inspect, Recreate;
    Labels = "labels", "Labels", Labels, Inspect, Recreate;
    Shares = "shares", "Volumes", Set, Inspect, Recreate;
    ExposedPorts = "exposes", "ExposedPorts", Set, Inspect, Recreate;
    StopSignal = "stop_signal", "StopSignal", Text, Inspect, Recreate;
    StopTimeout = "stop_timeout", "StopTimeout", Integer, Inspect, Recreate;
    Healthcheck = "healthcheck", "Healthcheck", Json, Inspect, Recreate;
    Tty = "tty", "Tty", Boolean, Inspect, Recreate;
    StdinOpen = "stdin_open", "OpenStdin", Boolean, Inspect, Recreate;
    NetworkDisabled = "network_disabled", "NetworkDisabled", Boolean, Inspect, Recreate;
    MacAddress = "mac_address", "MacAddress", Text, Inspect, Recreate;
    Binds = "binds", "HostConfig.Binds", Set, Inspect, Recreate;
    Mounts = "mounts", "HostConfig.Mounts", Json, Inspect, Recreate;
    VolumesFrom = "volumes_from", "HostConfig.VolumesFrom", Set, Inspect, Recreate;
    VolumeDriver = "volume_driver", "HostConfig.VolumeDriver", Text, Inspect, Recreate;
    Links = "links", "HostConfig.Links", Set, Inspect, Recreate;
    PortBindings = "port_bindings", "HostConfig.PortBindings", Json, Inspect, Recreate;
    PublishAllPorts = "publish_all_ports", "HostConfig.PublishAllPorts", Boolean, Inspect, Recreate;
    NetworkMode = "network_mode", "HostConfig.NetworkMode", Text, Inspect, Recreate;
    RestartPolicy = "restart_policy", "HostConfig.RestartPolicy", Json, Inspect, Update;
    AutoRemove = "auto_remove", "HostConfig.AutoRemove", Boolean, Inspect, Recreate;
    Init = "init", "HostConfig.Init", Boolean, Inspect, Recreate;
    Runtime = "runtime", "HostConfig.Runtime", Text, Inspect, Recreate;
    Privileged = "privileged", "HostConfig.Privileged", Boolean, Inspect, Recreate;
    ReadOnly = "read_only", "HostConfig.ReadonlyRootfs", Boolean, Inspect, Recreate;
    CapAdd = "cap_add", "HostConfig.CapAdd", Set, Inspect, Recreate;
    CapDrop = "cap_drop", "HostConfig.CapDrop", Set, Inspect, Recreate;
    SecurityOpt = "security_opt", "HostConfig.SecurityOpt", Set, Inspect, Recreate;
    Devices = "devices", "HostConfig.Devices", Json, Inspect, Recreate;
    DeviceRequests = "device_requests", "HostConfig.DeviceRequests", Json, Inspect, Recreate;
    Dns = "dns", "HostConfig.Dns", Words, Inspect, Recreate;
    DnsSearch = "dns_search", "HostConfig.DnsSearch", Words, Inspect, Recreate;
    DnsOptions = "dns_opt", "HostConfig.DnsOptions", Words, Inspect, Recreate;
    ExtraHosts = "extra_hosts", "HostConfig.ExtraHosts", Set, Inspect, Recreate;
    GroupAdd = "group_add", "HostConfig.GroupAdd", Set, Inspect, Recreate;
    CgroupParent = "cgroup_parent", "HostConfig.CgroupParent", Text, Inspect, Recreate;
    PidMode = "pid_mode", "HostConfig.PidMode", Text, Inspect, Recreate;
    IpcMode = "ipc_mode", "HostConfig.IpcMode", Text, Inspect, Recreate;
    UtsMode = "uts_mode", "HostConfig.UTSMode", Text, Inspect, Recreate;
    UsernsMode = "userns_mode", "HostConfig.UsernsMode", Text, Inspect, Recreate;
    Sysctls = "sysctls", "HostConfig.Sysctls", Labels, Inspect, Recreate;
    Tmpfs = "tmpfs", "HostConfig.Tmpfs", Labels, Inspect, Recreate;
    Ulimits = "ulimits", "HostConfig.Ulimits", Json, Inspect, Recreate;
    LogConfig = "log_config", "HostConfig.LogConfig", Json, Inspect, Recreate;
    StorageOpt = "storage_opt", "HostConfig.StorageOpt", Labels, Inspect, Recreate;
    ShmSize = "shm_size", "HostConfig.ShmSize", Bytes, Inspect, Recreate;
    OomScoreAdj = "oom_score_adj", "HostConfig.OomScoreAdj", Integer, Inspect, Recreate;
    OomKillDisable = "oom_kill_disable", "HostConfig.OomKillDisable", Boolean, Inspect, Recreate;
    MemSwappiness = "mem_swappiness", "HostConfig.MemorySwappiness", Integer, Inspect, Recreate;
    MemLimit = "mem_limit", "HostConfig.Memory", Bytes, Inspect, Update;
    MemReservation = "mem_reservation", "HostConfig.MemoryReservation", Bytes, Inspect, Update;
    MemswapLimit = "memswap_limit", "HostConfig.MemorySwap", Bytes, Inspect, Update;
    /// Engines since API 1.42 ignore it, and then show nothing.
    KernelMemory = "kernel_memory", "HostConfig.KernelMemory", Bytes, Digest, Recreate;
    CpuShares = "cpu_shares", "HostConfig.CpuShares", Integer, Inspect, Update;
    CpuPeriod = "cpu_period", "HostConfig.CpuPeriod", Integer, Inspect, Update;
    CpuQuota = "cpu_quota", "HostConfig.CpuQuota", Integer, Inspect, Update;
    CpusetCpus = "cpuset_cpus", "HostConfig.CpusetCpus", Text, Inspect, Update;
    CpusetMems = "cpuset_mems", "HostConfig.CpusetMems", Text, Inspect, Update;
    NanoCpus = "nano_cpus", "HostConfig.NanoCpus", Integer, Inspect, Update;
    BlkioWeight = "blkio_weight", "HostConfig.BlkioWeight", Integer, Inspect, Update;
    PidsLimit = "pids_limit", "HostConfig.PidsLimit", Integer, Inspect, Update;
    CpuRtPeriod = "cpu_rt_period", "HostConfig.CpuRealtimePeriod", Integer, Inspect, Recreate;
    CpuRtRuntime = "cpu_rt_runtime", "HostConfig.CpuRealtimeRuntime", Integer, Inspect, Recreate;
    BlkioWeightDevice = "blkio_weight_device", "HostConfig.BlkioWeightDevice", Json, Inspect, Recreate;
    DeviceReadBps = "device_read_bps", "HostConfig.BlkioDeviceReadBps", Json, Inspect, Recreate;
    DeviceReadIops = "device_read_iops", "HostConfig.BlkioDeviceReadIOps", Json, Inspect, Recreate;
    DeviceWriteBps = "device_write_bps", "HostConfig.BlkioDeviceWriteBps", Json, Inspect, Recreate;
    DeviceWriteIops = "device_write_iops", "HostConfig.BlkioDeviceWriteIOps", Json, Inspect, Recreate;
    DeviceCgroupRules = "device_cgroup_rules", "HostConfig.DeviceCgroupRules", Set, Inspect, Recreate;
    CgroupnsMode = "cgroupns", "HostConfig.CgroupnsMode", Text, Inspect, Recreate;
}

impl Property {
    /// Returns the property that a map calls `name`, if there is one.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|property| property.name() == name)
    }

    /// Tells whether the property belongs to `HostConfig`, and so to a map's `host_config`.
    pub fn is_host(self) -> bool {
        self.path().starts_with("HostConfig.")
    }

    /// Tells whether zero is a value of its own, other than "not set".
    pub fn zero_counts(self) -> bool {
        matches!(self, Self::StopTimeout | Self::MemSwappiness)
    }

    /// Tells whether values may be secret, so that they are never shown.
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Environment | Self::Labels | Self::LogConfig | Self::StorageOpt)
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
