//! The table from [`Property`] to flags of `docker create` and `docker update`.

use dfab_client::engine_json::Rewritten;
use dfab_map::property::Property;
use serde_json::Value;

use super::environment::{FROM_INPUT, Variables};
use super::healthcheck::healthcheck;
use super::mounts::mount;
use super::words::{Words, csv_field, entries, list, no_flag, objects, text, unexpected};
use super::{Built, Generation};

/// The parts of a `docker create` in the making.
pub(super) struct Create {
    generation: Generation,
    /// Flags in the order of the table.
    pub(super) generic: Words,
    /// Restart policy and health check, which stand last.
    pub(super) last: Words,
    /// Words of the entry point after the first.
    pub(super) entrypoint_rest: Vec<String>,
    /// Environment variables that do not stand on the command line.
    pub(super) variables: Variables,
    pub(super) rewritten: Rewritten,
}

impl Create {
    pub(super) fn new(generation: Generation) -> Self {
        Self {
            generation,
            generic: Words::default(),
            last: Words::default(),
            entrypoint_rest: Vec::new(),
            variables: Variables::default(),
            rewritten: Rewritten::default(),
        }
    }

    /// Adds the flags of one property. Nothing is added for null, and for the properties that
    /// stand in groups of their own: command, network, volumes, ports, links.
    pub(super) fn property(&mut self, property: Property, value: &Value) -> Built<()> {
        let what = property.name();
        if value.is_null() {
            return Ok(());
        }
        match property {
            Property::Command
            | Property::Links
            | Property::NetworkMode
            | Property::Binds
            | Property::Shares
            | Property::ExposedPorts
            | Property::PortBindings => {}

            Property::User => self.scalar("user", what, value)?,
            Property::Hostname => self.scalar("hostname", what, value)?,
            Property::Domainname => self.scalar("domainname", what, value)?,
            Property::WorkingDir => self.scalar("workdir", what, value)?,
            Property::StopSignal => self.scalar("stop-signal", what, value)?,
            Property::StopTimeout => self.scalar("stop-timeout", what, value)?,
            Property::Tty => self.scalar("tty", what, value)?,
            Property::StdinOpen => self.scalar("interactive", what, value)?,
            Property::MacAddress => self.scalar("mac-address", what, value)?,
            Property::VolumeDriver => self.scalar("volume-driver", what, value)?,
            Property::PublishAllPorts => self.scalar("publish-all", what, value)?,
            Property::AutoRemove => self.scalar("rm", what, value)?,
            Property::Init => self.scalar("init", what, value)?,
            Property::Runtime => self.scalar("runtime", what, value)?,
            Property::Privileged => self.scalar("privileged", what, value)?,
            Property::ReadOnly => self.scalar("read-only", what, value)?,
            Property::CgroupParent => self.scalar("cgroup-parent", what, value)?,
            Property::PidMode => self.scalar("pid", what, value)?,
            Property::IpcMode => self.scalar("ipc", what, value)?,
            Property::UtsMode => self.scalar("uts", what, value)?,
            Property::UsernsMode => self.scalar("userns", what, value)?,
            Property::ShmSize => self.scalar("shm-size", what, value)?,
            Property::OomScoreAdj => self.scalar("oom-score-adj", what, value)?,
            Property::OomKillDisable => self.scalar("oom-kill-disable", what, value)?,
            Property::MemSwappiness => self.scalar("memory-swappiness", what, value)?,
            Property::MemLimit => self.scalar("memory", what, value)?,
            Property::MemReservation => self.scalar("memory-reservation", what, value)?,
            Property::MemswapLimit => self.scalar("memory-swap", what, value)?,
            Property::KernelMemory => self.scalar("kernel-memory", what, value)?,
            Property::CpuShares => self.scalar("cpu-shares", what, value)?,
            Property::CpuPeriod => self.scalar("cpu-period", what, value)?,
            Property::CpuQuota => self.scalar("cpu-quota", what, value)?,
            Property::CpusetCpus => self.scalar("cpuset-cpus", what, value)?,
            Property::CpusetMems => self.scalar("cpuset-mems", what, value)?,
            Property::BlkioWeight => self.scalar("blkio-weight", what, value)?,
            Property::PidsLimit => self.scalar("pids-limit", what, value)?,
            Property::CpuRtPeriod => self.scalar("cpu-rt-period", what, value)?,
            Property::CpuRtRuntime => self.scalar("cpu-rt-runtime", what, value)?,
            Property::CgroupnsMode => self.scalar("cgroupns", what, value)?,

            Property::VolumesFrom => self.values("volumes-from", what, value)?,
            Property::CapAdd => self.values("cap-add", what, value)?,
            Property::CapDrop => self.values("cap-drop", what, value)?,
            Property::Dns => self.values("dns", what, value)?,
            Property::DnsSearch => self.values("dns-search", what, value)?,
            Property::DnsOptions => self.values("dns-option", what, value)?,
            Property::GroupAdd => self.values("group-add", what, value)?,
            Property::DeviceCgroupRules => self.values("device-cgroup-rule", what, value)?,

            Property::BlkioWeightDevice => {
                self.device_limits("blkio-weight-device", what, "Weight", value)?
            }
            Property::DeviceReadBps => self.device_rates("device-read-bps", what, value)?,
            Property::DeviceReadIops => self.device_rates("device-read-iops", what, value)?,
            Property::DeviceWriteBps => self.device_rates("device-write-bps", what, value)?,
            Property::DeviceWriteIops => self.device_rates("device-write-iops", what, value)?,

            Property::Labels => drop(self.generic.entries("label", entries(what, value)?)),
            Property::Sysctls => drop(self.generic.entries("sysctl", entries(what, value)?)),
            Property::StorageOpt => drop(self.generic.entries("storage-opt", entries(what, value)?)),

            Property::Environment => self.environment(value)?,
            Property::Entrypoint => self.entrypoint(value)?,
            Property::NetworkDisabled => self.rewritten.network_disabled = value == &Value::Bool(true),
            Property::ExtraHosts => self.extra_hosts(value)?,
            Property::Tmpfs => self.tmpfs(value)?,
            Property::SecurityOpt => self.security_opt(value)?,
            Property::Ulimits => self.ulimits(value)?,
            Property::LogConfig => self.log_config(value)?,
            Property::Devices => self.devices(value)?,
            Property::DeviceRequests => self.device_requests(value)?,
            Property::NanoCpus => self.nano_cpus(value)?,
            Property::RestartPolicy => self.restart_policy(value)?,
            Property::Mounts => {
                for fields in objects(what, value)? {
                    let mount = mount(fields, self.generation)?;
                    self.generic.flag("mount", mount);
                }
            }
            Property::Healthcheck => {
                self.rewritten.healthcheck = healthcheck(&mut self.last, value, self.generation)?;
            }
        }
        Ok(())
    }

    fn scalar(&mut self, flag: &str, what: &str, value: &Value) -> Built<()> {
        self.generic.flag(flag, text(what, value)?);
        Ok(())
    }

    fn values(&mut self, flag: &str, what: &str, value: &Value) -> Built<()> {
        self.generic.each(flag, list(what, value)?);
        Ok(())
    }

    /// `--env-file` for what standard input carries, `--env=NAME` for what is in the program's
    /// environment or absent from it, `--env=NAME=value` for the rest.
    fn environment(&mut self, value: &Value) -> Built<()> {
        let lines = match value {
            Value::Object(_) => {
                entries("environment", value)?.into_iter().map(|(k, v)| format!("{k}={v}")).collect()
            }
            other => list("environment", other)?,
        };
        self.variables = Variables::new(lines);
        let Variables { lines, exported, open, unset } = &self.variables;
        if !lines.is_empty() {
            self.generic.word(FROM_INPUT);
        }
        self.generic.each("env", exported.iter().map(|(name, _)| name));
        self.generic.each("env", open.iter().chain(unset));
        Ok(())
    }

    /// The first word as `--entrypoint`, the others before the command.
    fn entrypoint(&mut self, value: &Value) -> Built<()> {
        let mut words = list("entrypoint", value)?.into_iter();
        self.generic.flag("entrypoint", words.next().unwrap_or_default());
        self.entrypoint_rest = words.collect();
        if !self.entrypoint_rest.is_empty() {
            self.rewritten.entrypoint = Some(self.entrypoint_rest.len() + 1);
        }
        Ok(())
    }

    fn extra_hosts(&mut self, value: &Value) -> Built<()> {
        let hosts = match value {
            Value::Object(_) => {
                entries("extra_hosts", value)?.into_iter().map(|(h, ip)| format!("{h}:{ip}")).collect()
            }
            other => list("extra_hosts", other)?,
        };
        self.generic.each("add-host", hosts);
        Ok(())
    }

    fn tmpfs(&mut self, value: &Value) -> Built<()> {
        for (path, options) in entries("tmpfs", value)? {
            if path.contains(':') {
                return Err(no_flag(format_args!("a tmpfs at `{path}`: a colon would end the path")));
            }
            match options.as_str() {
                "" => self.generic.flag("tmpfs", path),
                options => self.generic.flag("tmpfs", format_args!("{path}:{options}")),
            };
        }
        Ok(())
    }

    /// The program reads a seccomp profile from a file on its host, the engine gets its content.
    fn security_opt(&mut self, value: &Value) -> Built<()> {
        for option in list("security_opt", value)? {
            let profile = option.strip_prefix("seccomp=").or_else(|| option.strip_prefix("seccomp:"));
            if profile.is_some_and(|profile| !matches!(profile, "unconfined" | "builtin")) {
                return Err(no_flag("a seccomp profile given by its content (`security_opt`)"));
            }
            self.generic.flag("security-opt", option);
        }
        Ok(())
    }

    fn ulimits(&mut self, value: &Value) -> Built<()> {
        for limit in objects("ulimits", value)? {
            let field = |name: &str| limit.get(name).map(|value| text("ulimits", value)).transpose();
            let Some(name) = field("Name")? else {
                return Err(unexpected("ulimits", "a mapping with a `Name`", value));
            };
            let soft = field("Soft")?.unwrap_or_else(|| "0".to_owned());
            let hard = field("Hard")?.unwrap_or_else(|| soft.clone());
            self.generic.flag("ulimit", format_args!("{name}={soft}:{hard}"));
        }
        Ok(())
    }

    fn log_config(&mut self, value: &Value) -> Built<()> {
        if let Some(driver) = value.get("Type").filter(|driver| !driver.is_null()) {
            self.scalar("log-driver", "log_config", driver)?;
        }
        if let Some(options) = value.get("Config") {
            self.generic.entries("log-opt", entries("log_config", options)?);
        }
        Ok(())
    }

    /// `--device=HOST[:CONTAINER[:PERMISSIONS]]`
    fn devices(&mut self, value: &Value) -> Built<()> {
        for device in objects("devices", value)? {
            let field = |name: &str| device.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
            let Some(host) = field("PathOnHost") else {
                return Err(unexpected("devices", "a mapping with a `PathOnHost`", value));
            };
            let container = field("PathInContainer").unwrap_or(host);
            if host.contains(':') || container.contains(':') {
                return Err(no_flag(format_args!("device `{host}`: a colon would end the path")));
            }
            match (field("PathInContainer"), field("CgroupPermissions")) {
                (None, None) => self.generic.flag("device", host),
                (Some(container), None) => self.generic.flag("device", format_args!("{host}:{container}")),
                (_, Some(mode)) => self.generic.flag("device", format_args!("{host}:{container}:{mode}")),
            };
        }
        Ok(())
    }

    /// `--device-read-bps=…` and its siblings. The program of 23.0 to 27.1 drops them without a word
    /// (<https://github.com/docker/cli/issues/5321>); the last fixes of some of its lines are refused with it.
    fn device_rates(&mut self, flag: &str, what: &str, value: &Value) -> Built<()> {
        let is_dropped = ((23, 0)..(27, 2)).contains(&self.generation);
        if is_dropped && !objects(what, value)?.is_empty() {
            return Err(no_flag(format_args!("`{what}` with docker 23.0 to 27.1, which drops --{flag}")));
        }
        self.device_limits(flag, what, "Rate", value)
    }

    /// `--device-read-bps=/dev/sda:1048576`
    fn device_limits(&mut self, flag: &str, what: &str, amount: &str, value: &Value) -> Built<()> {
        for limit in objects(what, value)? {
            let path = limit.get("Path").and_then(Value::as_str);
            let (Some(path), Some(amount)) = (path, limit.get(amount).and_then(Value::as_u64)) else {
                return Err(unexpected(what, "a mapping with a `Path` and a number", value));
            };
            self.generic.flag(flag, format_args!("{path}:{amount}"));
        }
        Ok(())
    }

    /// `--gpus=count=…,driver=…,"device=0,1",capabilities=…`; CDI devices are `--device` names.
    fn device_requests(&mut self, value: &Value) -> Built<()> {
        const WHAT: &str = "device_requests";
        for request in objects(WHAT, value)? {
            let field = |name: &str| request.get(name).cloned().unwrap_or_default();
            let driver = field("Driver").as_str().unwrap_or_default().to_owned();
            let ids = list(WHAT, &field("DeviceIDs"))?;
            if driver == "cdi" {
                self.generic.each("device", ids);
                continue;
            }
            let capabilities = match field("Capabilities") {
                Value::Array(sets) if sets.len() == 1 => list(WHAT, &sets[0])?,
                _ => Vec::new(),
            };
            // The program adds this capability to every request, at the end.
            let others: Vec<&str> =
                capabilities.iter().map(String::as_str).filter(|name| *name != "gpu").collect();
            if others.len() == capabilities.len() {
                return Err(no_flag("a device request other than for one set of capabilities with `gpu`"));
            }
            let mut parts = Vec::new();
            if !driver.is_empty() {
                parts.push(format!("driver={driver}"));
            }
            match field("Count").as_i64().unwrap_or(0) {
                0 => {}
                -1 => parts.push("count=all".to_owned()),
                count => parts.push(format!("count={count}")),
            }
            if !ids.is_empty() {
                parts.push(format!("device={}", ids.join(",")));
            }
            if !others.is_empty() {
                parts.push(format!("capabilities={}", others.join(",")));
            }
            let options = entries(WHAT, &field("Options"))?;
            if !options.is_empty() {
                let options: Vec<String> =
                    options.iter().map(|(k, v)| csv_field(&format!("{k}={v}"))).collect();
                parts.push(format!("options={}", options.join(",")));
            }
            if parts.is_empty() {
                parts.push("capabilities=gpu".to_owned());
            }
            let parts: Vec<String> = parts.iter().map(|part| csv_field(part)).collect();
            self.generic.flag("gpus", parts.join(","));
        }
        Ok(())
    }

    /// `--cpus` takes a decimal number of processors, the engine counts in billionths.
    fn nano_cpus(&mut self, value: &Value) -> Built<()> {
        let Some(nano) = value.as_u64() else {
            return Err(unexpected("nano_cpus", "a whole number", value));
        };
        let decimal = format!("{}.{:09}", nano / 1_000_000_000, nano % 1_000_000_000);
        self.generic.flag("cpus", decimal.trim_end_matches('0').trim_end_matches('.'));
        Ok(())
    }

    /// `--restart=NAME[:COUNT]`
    fn restart_policy(&mut self, value: &Value) -> Built<()> {
        let name = match value {
            Value::String(name) => name.as_str(),
            value => value.get("Name").and_then(Value::as_str).unwrap_or_default(),
        };
        match (name, value.get("MaximumRetryCount").and_then(Value::as_i64).unwrap_or(0)) {
            ("", _) => {}
            (name, 0) => drop(self.last.flag("restart", name)),
            (name, count) => drop(self.last.flag("restart", format_args!("{name}:{count}"))),
        }
        Ok(())
    }
}
