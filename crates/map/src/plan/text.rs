//! Plans and calls as text.

use std::fmt;

use super::{Call, Plan, Reason};

/// One line a step: `[1,2] -> #3 web container m.app, create, not found`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let after: Vec<String> = step.after.iter().map(|id| id.0.to_string()).collect();
            let reasons: Vec<&str> = step.reasons.iter().map(|reason| reason.text.as_str()).collect();
            let (id, client, kind) = (step.id, &step.client, step.kind);
            let after = after.join(",");
            writeln!(
                f,
                "[{after}] -> {id} {client} {kind} {}, {}, {}",
                step.name,
                step.action,
                reasons.join("; ")
            )?;
        }
        Ok(())
    }
}

/// `mem_limit: 1073741824 -> 2147483648 (m.yaml:4:3)`, without what is not known.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.field)?;
        if self.current.is_some() || self.desired.is_some() {
            let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "(none)".to_owned());
            write!(f, ": {} -> {}", shown(&self.current), shown(&self.desired))?;
        }
        match &self.source {
            Some(position) => write!(f, " ({position})"),
            None => Ok(()),
        }
    }
}

/// What the call does, without values that may be secret: `create container m.web from nginx:latest`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PullImage { image, then_compare } => {
                write!(f, "pull image {image}{}", if *then_compare { ", then compare" } else { "" })
            }
            Self::CreateNetwork(spec) => write!(f, "create network {}", spec.name),
            Self::RemoveNetwork { name } => write!(f, "remove network {name}"),
            Self::CreateVolume(spec) => write!(f, "create volume {}", spec.name),
            Self::RemoveVolume { name } => write!(f, "remove volume {name}"),
            Self::PrepareVolume(spec) => {
                write!(f, "prepare volume {}:", spec.volume)?;
                let part = |word: &str, value: &Option<String>| {
                    value.as_ref().map(|value| format!(" {word} {value}"))
                };
                f.write_str(&part("owner", &spec.owner).unwrap_or_default())?;
                f.write_str(&part("mode", &spec.mode).unwrap_or_default())
            }
            Self::CreateContainer(spec) => write!(f, "create container {} from {}", spec.name, spec.image),
            Self::StartContainer { name, .. } => write!(f, "start container {name}"),
            Self::StopContainer { name, stop } => {
                write!(f, "stop container {name}")?;
                if let Some(signal) = &stop.signal {
                    write!(f, " with {signal}")?;
                }
                match stop.timeout {
                    Some(timeout) => write!(f, " within {} s", timeout.as_secs()),
                    None => Ok(()),
                }
            }
            Self::KillContainer { name, signal } => {
                write!(f, "send {} to container {name}", signal.as_deref().unwrap_or("SIGKILL"))
            }
            Self::RemoveContainer { name, volumes, force } => {
                let how = match (volumes, force) {
                    (false, false) => "",
                    (true, false) => " and its anonymous volumes",
                    (false, true) => " by force",
                    (true, true) => " and its anonymous volumes by force",
                };
                write!(f, "remove container {name}{how}")
            }
            Self::UpdateContainer { name, properties } => {
                let names: Vec<&str> = properties.keys().map(|property| property.name()).collect();
                write!(f, "update container {name}: {}", names.join(", "))
            }
            Self::Connect { container, endpoint } => write!(f, "connect {container} to {}", endpoint.network),
            Self::Disconnect { container, network } => write!(f, "disconnect {container} from {network}"),
            // Arguments may be secret.
            Self::Exec { container, command, .. } => {
                write!(f, "run {} in {container}", command.first().map_or("", String::as_str))
            }
            Self::WaitHealthy { name, .. } => write!(f, "wait until {name} is healthy"),
            Self::RunScript(script) => write!(f, "run the script in {}", script.container.name),
        }
    }
}
