//! Engines that are spoken to by the `docker` program, here or on a host (clients-tasks §1.4, §5.1).

use std::sync::Arc;

use async_trait::async_trait;
use dfab_cli_client::{
    CliBackend, CliOptions, Echo, LocalShell, RemoteShell, Running, Shell, Sudo, TlsFlags,
};
use dfab_client::error::Source;
use dfab_map::model::{ClientConfig, Tls};
use dfab_map::value::Value;

use crate::console::Console;
use crate::failure::{Failure, Result};
use crate::project::Host;
use crate::settings::{ProgramSettings, Settings};
use crate::ssh::Sessions;

/// Makes the backend of a client. Nothing is started yet.
///
/// # Errors
///
/// A configuration failure for a prefix that is no command line, and for TLS settings that the
/// program does not have.
pub fn backend(
    config: &ClientConfig,
    host: Option<Host>,
    name: String,
    settings: &Settings,
    sessions: &Arc<Sessions>,
    console: &Arc<Console>,
) -> Result<Arc<CliBackend>> {
    let show = console.verbose > 1 || config.debug.unwrap_or(settings.program.debug);
    // As for other commands on hosts (`-T`).
    let limit = settings.ssh.command_timeout.filter(|_| host.is_some());
    let options = CliOptions { limit, ..options(config, settings, echo(console, &name, show))? };
    let shell: Arc<dyn Shell> = match host {
        Some(host) => Arc::new(SshShell::new(Arc::clone(sessions), host)),
        None => Arc::new(LocalShell::new()),
    };
    Ok(Arc::new(CliBackend::new(shell, options)))
}

fn options(
    config: &ClientConfig,
    settings: &Settings,
    echo: dfab_cli_client::EchoSink,
) -> Result<CliOptions> {
    let ProgramSettings { binary, prefix, sudo, debug } = &settings.program;
    let prefix = config.cmd_prefix.as_ref().or(prefix.as_ref()).map(String::as_str).unwrap_or_default();
    let words = CliOptions::prefix_words(prefix).map_err(|error| {
        Failure::configuration(format!("`{prefix}` is no command line (`docker_cli_prefix`)")).because(&error)
    })?;
    let sudo = match (config.use_sudo.unwrap_or(*sudo), &settings.ssh.sudo_password) {
        (false, _) => Sudo::No,
        (true, None) => Sudo::Yes,
        (true, Some(password)) => Sudo::WithPassword(password.clone()),
    };
    let binary = config.default_bin.clone().or_else(|| binary.clone()).filter(|binary| !binary.is_empty());
    let defaults = CliOptions::default();
    Ok(CliOptions {
        binary: binary.unwrap_or(defaults.binary),
        prefix: words,
        base_url: config
            .base_url
            .clone()
            .or_else(|| settings.docker_base_url.clone())
            .filter(|url| !url.is_empty()),
        tls: tls(config, settings)?,
        sudo,
        debug: config.debug.unwrap_or(*debug),
        echo: Some(echo),
        credentials: Some(Arc::new(settings.credentials.clone())),
        ..CliOptions::default()
    })
}

fn tls(config: &ClientConfig, settings: &Settings) -> Result<TlsFlags> {
    let entries = match &config.tls {
        Some(Tls::Enabled(enabled)) => return Ok(TlsFlags { enabled: *enabled, ..TlsFlags::default() }),
        None => {
            let verify = settings.docker_tls_verify.unwrap_or(false) && settings.docker_tls != Some(false);
            let enabled = settings.docker_tls.unwrap_or(verify);
            let folder = settings.docker_cert_path.as_ref().filter(|_| enabled);
            // The program takes these from its own machine, which may be another one.
            let file = |name: &str| folder.map(|folder| folder.join(name).display().to_string());
            return Ok(TlsFlags {
                enabled,
                verify,
                ca_cert: file("ca.pem"),
                client_cert: file("cert.pem"),
                client_key: file("key.pem"),
            });
        }
        Some(Tls::Settings(entries)) => entries,
    };
    let mut flags = TlsFlags { enabled: true, ..TlsFlags::default() };
    for (key, value) in entries {
        match (key.as_str(), value) {
            ("verify", Value::Bool(verify)) => flags.verify = *verify,
            ("ca_cert", Value::String(file)) => flags.ca_cert = Some(file.clone()),
            ("client_cert", Value::String(file)) => flags.client_cert = Some(file.clone()),
            ("client_key", Value::String(file)) => flags.client_key = Some(file.clone()),
            (_, Value::Null) => {}
            (key, _) => {
                return Err(Failure::configuration(format!(
                    "`tls.{key}` cannot be given to the `docker` program"
                ))
                .hint("it takes `verify`, and the files `ca_cert`, `client_cert` and `client_key`"));
            }
        }
    }
    Ok(flags)
}

/// Commands and their output are shown with `-vv`, or where `docker_cli_debug` asks for them.
fn echo(console: &Arc<Console>, name: &str, show: bool) -> dfab_cli_client::EchoSink {
    let (console, name) = (Arc::clone(console), name.to_owned());
    Arc::new(move |echo| match echo {
        Echo::Run { line } if show => console.progress_line(Some(&name), &format!("run: {line}")),
        Echo::Output { text, .. } if show => {
            for line in text.lines() {
                console.progress_line(Some(&name), &format!("out: {line}"));
            }
        }
        Echo::Run { .. } | Echo::Output { .. } => {}
    })
}

/// Runs commands on a host, connecting when the first one is started.
pub struct SshShell {
    sessions: Arc<Sessions>,
    host: Host,
}

impl SshShell {
    /// Makes a shell; nothing is connected yet.
    pub fn new(sessions: Arc<Sessions>, host: Host) -> Self {
        Self { sessions, host }
    }
}

#[async_trait]
impl Shell for SshShell {
    fn host(&self) -> &str {
        &self.host.text
    }

    async fn start(&self, command: &str) -> std::result::Result<Running, Source> {
        let session = self.sessions.session(&self.host).await?;
        RemoteShell::new(self.host.text.clone(), session).start(command).await
    }
}
