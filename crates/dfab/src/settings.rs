//! What the options, the settings file and the project file mean together (clients-tasks §1.1).
//!
//! A setting is, in this order: the option, `--set`, the project file's `env`, the settings file,
//! the built-in default. Only what is not given falls through; an explicit `false` or `0` holds.

mod fill;
mod read;

use std::path::PathBuf;
use std::time::Duration;

use dfab_tunnel::{Secret, Way};

use crate::cli::options::{BackendKind, Options};
use crate::credentials::DockerCredentials;
use crate::failure::{Failure, Result};
use crate::project::Variables;

pub use fill::fill;
use read::{Read, positive};

/// How hosts and engines are reached in this run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// SSH settings.
    pub ssh: SshSettings,
    /// `docker_base_url`
    pub docker_base_url: Option<String>,
    /// `docker_tunnel_local_port`
    pub tunnel_local_port: Option<u16>,
    /// `docker_tunnel_remote_port`
    pub tunnel_remote_port: Option<u16>,
    /// `docker_tunnel`: the way to a remote socket.
    pub tunnel: Way,
    /// `docker_timeout`
    pub docker_timeout: Duration,
    /// `docker_api_version`; `None` is negotiated.
    pub docker_api_version: Option<String>,
    /// `docker_tls`; `None` is not given.
    pub docker_tls: Option<bool>,
    /// `docker_tls_verify`: check the engine's certificate. True also turns TLS on.
    pub docker_tls_verify: Option<bool>,
    /// `docker_cert_path`: a folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub docker_cert_path: Option<PathBuf>,
    /// Where logins for registries come from.
    pub credentials: DockerCredentials,
    /// How engines are spoken to.
    pub backend: BackendKind,
    /// `shell`: what reads command lines on hosts.
    pub shell: String,
    /// How the `docker` program is called, where it is.
    pub program: ProgramSettings,
}

/// How the `docker` program is called (clients-tasks §1.4).
#[derive(Clone, Debug)]
pub struct ProgramSettings {
    /// `docker_cli_bin`
    pub binary: Option<String>,
    /// `docker_cli_prefix`
    pub prefix: Option<String>,
    /// `docker_cli_sudo`
    pub sudo: bool,
    /// `docker_cli_debug`
    pub debug: bool,
}

/// How SSH connections are made.
#[derive(Clone, Debug)]
pub struct SshSettings {
    /// Login name for hosts without one.
    pub user: Option<String>,
    /// Port for hosts without one.
    pub port: Option<u16>,
    /// Private keys, in order.
    pub key_files: Vec<PathBuf>,
    /// Do not look for keys in `~/.ssh`.
    pub no_keys: bool,
    /// Do not use the agent.
    pub no_agent: bool,
    /// Jump host.
    pub gateway: Option<String>,
    /// Time for one attempt to connect, where one was given.
    pub timeout: Option<Duration>,
    /// Time a remote command may take; images, archives, files and logs on their way have none.
    pub command_timeout: Option<Duration>,
    /// Attempts, where a number was given.
    pub attempts: Option<u32>,
    /// Time between keep-alive messages, where one was given; zero is off.
    pub keepalive: Option<Duration>,
    /// SSH configuration file to read.
    pub config_path: Option<PathBuf>,
    /// Read no user's known hosts.
    pub disable_known_hosts: bool,
    /// Further file of known host keys.
    pub system_known_hosts: Option<PathBuf>,
    /// Accept and remember unknown keys, or refuse them; `None` leaves it to the SSH configuration, which
    /// refuses unless it says otherwise.
    pub accept_new: Option<bool>,
    /// Password for login, locked keys and sudo.
    pub password: Option<Secret>,
    /// Password for sudo: its own, else that of the login.
    pub sudo_password: Option<Secret>,
    /// Time for a login, where one was given.
    pub auth_timeout: Option<Duration>,
    /// Home directory on this machine.
    pub home: PathBuf,
    /// Never ask.
    pub abort_on_prompts: bool,
    /// Do not show the command of each stream that needs one on the host.
    pub socat_quiet: bool,
}

impl Settings {
    /// Resolves the settings of a run.
    ///
    /// # Errors
    ///
    /// A configuration failure naming the variable whose value does not fit.
    pub fn resolve(options: &Options, variables: &Variables) -> Result<Self> {
        let read = Read(variables);
        let backend = match options.backend {
            Some(backend) => backend,
            None => read
                .word(
                    "docker_fabric_implementation",
                    &[("API", BackendKind::Api), ("CLI", BackendKind::Cli)],
                )?
                .unwrap_or_default(),
        };
        let ways = [Way::Auto, Way::Streamlocal, Way::Socat, Way::DialStdio].map(|way| (way.as_str(), way));
        Ok(Self {
            ssh: SshSettings::resolve(options, &read)?,
            docker_base_url: read.text("docker_base_url")?.filter(|url| !url.is_empty()),
            tunnel_local_port: read.number("docker_tunnel_local_port")?,
            tunnel_remote_port: read.number("docker_tunnel_remote_port")?,
            tunnel: read.word("docker_tunnel", &ways)?.unwrap_or_default(),
            docker_timeout: read.seconds("docker_timeout")?.unwrap_or(Duration::from_secs(60)),
            docker_api_version: read
                .text("docker_api_version")?
                .filter(|version| version != "auto" && !version.is_empty()),
            docker_tls: read.flag("docker_tls")?,
            docker_tls_verify: read.flag("docker_tls_verify")?,
            docker_cert_path: read
                .text("docker_cert_path")?
                .filter(|path| !path.is_empty())
                .map(|path| variables.expand_home(&path)),
            credentials: DockerCredentials::new(variables),
            backend,
            shell: options
                .shell
                .clone()
                .or(read.text("shell")?)
                .unwrap_or_else(|| crate::remote::SHELL.to_owned()),
            program: ProgramSettings {
                binary: read.text("docker_cli_bin")?,
                prefix: read.text("docker_cli_prefix")?,
                sudo: read.flag("docker_cli_sudo")?.unwrap_or(false),
                debug: read.flag("docker_cli_debug")?.unwrap_or(false),
            },
        })
    }
}

impl SshSettings {
    fn resolve(options: &Options, read: &Read<'_>) -> Result<Self> {
        let seconds = |given: Option<f64>, option: &str, name: &str| match given {
            Some(value) => positive(value)
                .map(Some)
                .ok_or_else(|| Failure::usage(format!("`{value}` is no number of seconds for `--{option}`"))),
            None => read.seconds(name),
        };
        let key_files = if options.identities.is_empty() { read.texts("key_filename")? } else { Vec::new() };
        let key_files = options.identities.iter().cloned().chain(key_files.into_iter().map(PathBuf::from));
        let path = |name: &str| read.text(name).map(|text| text.map(|text| read.0.expand_home(&text)));
        let given_config = options.ssh_config_path.clone().or(path("ssh_config_path")?);
        // Fabric reads the SSH configuration only where `use_ssh_config` is set; naming a file is
        // as good as setting it.
        let config_path = match (read.flag("use_ssh_config")?, given_config) {
            (Some(false), _) => None,
            (_, Some(path)) => Some(path),
            (Some(true), None) => Some(read.0.expand_home("~/.ssh/config")),
            (None, None) => None,
        };
        let accept_new = match (options.accept_new, options.reject_unknown_hosts) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            // Fabric's switch the other way round: an explicit `reject_unknown_hosts: false` accepts.
            (false, false) => read.flag("reject_unknown_hosts")?.map(|reject| !reject),
        };
        let secret = |given: &Option<String>, environment: &str, name: &str| -> Result<Option<Secret>> {
            let text = match given {
                Some(text) => Some(text.clone()),
                None => std::env::var(environment).ok().or(read.text(name)?),
            };
            Ok(text.filter(|text| !text.is_empty()).map(Secret::new))
        };
        let password = secret(&options.password, "DFAB_PASSWORD", "password")?;
        let sudo_password = secret(&options.sudo_password, "DFAB_SUDO_PASSWORD", "sudo_password")?;
        Ok(Self {
            user: options.user.clone().or(read.text("user")?).filter(|user| !user.is_empty()),
            port: options.port.or(read.number("port")?),
            key_files: key_files.map(|path| read.0.expand_home(&path.to_string_lossy())).collect(),
            no_keys: options.no_keys || read.flag("no_keys")?.unwrap_or(false),
            no_agent: options.no_agent || read.flag("no_agent")?.unwrap_or(false),
            gateway: options.gateway.clone().or(read.text("gateway")?).filter(|host| !host.is_empty()),
            timeout: seconds(options.timeout, "timeout", "timeout")?,
            command_timeout: seconds(options.command_timeout, "command-timeout", "command_timeout")?,
            attempts: options.connection_attempts.or(read.number("connection_attempts")?),
            keepalive: match options.keepalive {
                Some(value) => Some(Duration::from_secs(value.into())),
                None => read.seconds("keepalive")?,
            },
            config_path,
            disable_known_hosts: options.disable_known_hosts
                || read.flag("disable_known_hosts")?.unwrap_or(false),
            system_known_hosts: options.system_known_hosts.clone().or(path("system_known_hosts")?),
            accept_new,
            sudo_password: sudo_password.or_else(|| password.clone()),
            password,
            auth_timeout: seconds(options.auth_timeout, "auth-timeout", "auth_timeout")?,
            home: read.0.expand_home("~"),
            abort_on_prompts: options.abort_on_prompts || read.flag("abort_on_prompts")?.unwrap_or(false),
            socat_quiet: read.flag("socat_quiet")?.unwrap_or(true),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(set: &[&str], options: Options) -> Result<Settings> {
        let mut variables = Variables::for_tests("/home/u");
        for text in set {
            variables.set(text).unwrap();
        }
        Settings::resolve(&options, &variables)
    }

    #[test]
    fn an_option_wins_over_a_variable_and_a_variable_over_the_default() {
        let options = || Options { timeout: Some(3.0), ..Options::default() };
        assert_eq!(settings(&[], Options::default()).unwrap().ssh.timeout, None);
        assert_eq!(
            settings(&["timeout=7"], Options::default()).unwrap().ssh.timeout,
            Some(Duration::from_secs(7))
        );
        assert_eq!(settings(&["timeout=7"], options()).unwrap().ssh.timeout, Some(Duration::from_secs(3)));
        assert_eq!(
            settings(&["docker_timeout=20.5"], options()).unwrap().docker_timeout,
            Duration::from_millis(20_500)
        );
    }

    #[test]
    fn host_keys_are_accepted_or_refused_as_the_call_says() {
        let accepts = |set: &[&str], options| settings(set, options).unwrap().ssh.accept_new;
        let reject = || Options { reject_unknown_hosts: true, ..Options::default() };
        let accept = || Options { accept_new: true, ..Options::default() };
        assert_eq!(accepts(&[], Options::default()), None);
        assert_eq!(accepts(&[], accept()), Some(true));
        assert_eq!(accepts(&["reject_unknown_hosts=false"], Options::default()), Some(true));
        assert_eq!(accepts(&["reject_unknown_hosts=false"], reject()), Some(false));
        assert_eq!(accepts(&["reject_unknown_hosts=true"], accept()), Some(true));
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", settings(&["password=hunter2"], Options::default()).unwrap());
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn the_ssh_configuration_is_read_where_it_is_asked_for() {
        let path = |set: &[&str]| settings(set, Options::default()).unwrap().ssh.config_path;
        assert_eq!(path(&[]), None);
        assert_eq!(path(&["use_ssh_config"]), Some(PathBuf::from("/home/u/.ssh/config")));
        assert_eq!(path(&["ssh_config_path=~/lab"]), Some(PathBuf::from("/home/u/lab")));
        assert_eq!(path(&["ssh_config_path=x", "use_ssh_config=false"]), None);
    }

    #[test]
    fn a_value_that_does_not_fit_is_named() {
        for (set, expected) in [
            (
                "docker_fabric_implementation=grpc",
                "the deployment variable `docker_fabric_implementation` is `grpc`",
            ),
            (
                "docker_tunnel_local_port=70000",
                "the deployment variable `docker_tunnel_local_port` is no whole number in its range",
            ),
            ("no_keys=[1]", "the deployment variable `no_keys` is no truth value"),
            ("timeout=-1", "the deployment variable `timeout` is no number of seconds"),
        ] {
            assert_eq!(settings(&[set], Options::default()).unwrap_err().message, expected);
        }
    }

    type Effect = fn(&Options, &Settings) -> bool;

    /// The options that cli §4 keeps from Fabric, with what each must change. What is read elsewhere is only looked
    /// for among the options here; the name beside says which test holds its effect.
    const FABRIC: &[(&str, Effect)] = &[
        ("-f p.yaml", |options, _| options.file == Some("p.yaml".into())), // project::file
        ("-l", |options, _| options.list),                                 // tests/cli.rs
        ("-d docker.version", |options, _| options.display.as_deref() == Some("docker.version")), // cli::parse
        ("-H a,b", |options, _| options.hosts == ["a", "b"]), // project::hosts
        ("-x a,b", |options, _| options.exclude_hosts == ["a", "b"]), // project::hosts
        ("-R web,db", |options, _| options.roles == ["web", "db"]), // project::hosts
        ("-P", |options, _| options.parallel),                // suite/tasks
        ("-z 3", |options, _| options.pool_size == Some(3)),  // suite/tasks
        ("--skip-bad-hosts", |options, _| options.skip_bad_hosts), // suite/tasks
        ("-w", |options, _| options.warn_only),               // suite/tasks
        ("--set a=1", |options, _| options.set == ["a=1"]),   // project::variables
        ("--hide running", |options, _| options.hide == ["running"]), // console
        ("--show running", |options, _| options.show == ["running"]), // console
        ("-I", |options, _| options.initial_password_prompt), // prepare
        ("-u deploy", |_, settings| settings.ssh.user.as_deref() == Some("deploy")),
        ("-i key", |_, settings| settings.ssh.key_files == [PathBuf::from("key")]),
        ("-p secret", |_, settings| {
            let secret = Some(Secret::new("secret"));
            settings.ssh.password == secret && settings.ssh.sudo_password == secret
        }),
        ("-g jump", |_, settings| settings.ssh.gateway.as_deref() == Some("jump")),
        ("-k", |_, settings| settings.ssh.no_keys),
        ("-a", |_, settings| settings.ssh.no_agent),
        ("-t 3", |_, settings| settings.ssh.timeout == Some(Duration::from_secs(3))),
        ("-T 3", |_, settings| settings.ssh.command_timeout == Some(Duration::from_secs(3))),
        ("-n 3", |_, settings| settings.ssh.attempts == Some(3)),
        ("--keepalive 3", |_, settings| settings.ssh.keepalive == Some(Duration::from_secs(3))),
        ("--ssh-config-path c", |_, settings| settings.ssh.config_path == Some("c".into())),
        ("-D", |_, settings| settings.ssh.disable_known_hosts),
        ("-r", |_, settings| settings.ssh.accept_new == Some(false)),
        ("--abort-on-prompts", |_, settings| settings.ssh.abort_on_prompts),
        // Further ones of clients-tasks §11.2.
        ("--sudo-password x", |_, settings| {
            settings.ssh.sudo_password == Some(Secret::new("x")) && settings.ssh.password.is_none()
        }),
        ("--initial-sudo-password-prompt", |options, _| options.initial_sudo_password_prompt), // prepare
        ("--auth-timeout 3", |_, settings| settings.ssh.auth_timeout == Some(Duration::from_secs(3))),
        ("-s sh", |_, settings| settings.shell == "sh"),
        ("--port 222", |_, settings| settings.ssh.port == Some(222)),
        ("--system-known-hosts k", |_, settings| settings.ssh.system_known_hosts == Some("k".into())),
        ("--skip-unknown-tasks", |options, _| options.skip_unknown_tasks), // prepare
        // Without effect here; prepare::without_effect says why.
        ("--linewise", |options, _| options.linewise),
        ("--colorize-errors", |options, _| options.colorize_errors),
        ("-e", |options, _| options.eagerly_disconnect),
        ("--no-pty", |options, _| options.no_pty),
        ("-A", |options, _| options.forward_agent),
        ("--banner-timeout 3", |options, _| options.banner_timeout == Some(3.0)),
    ];

    #[test]
    fn every_option_of_fabric_changes_what_it_names() {
        let read = |line: &str| {
            let words: Vec<std::ffi::OsString> =
                line.split_whitespace().chain(["docker.version"]).map(Into::into).collect();
            let parsed = crate::cli::parse::parse(&words).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
            let settings = Settings::resolve(&parsed.options, &Variables::for_tests("/home/u")).unwrap();
            (parsed.options, settings)
        };
        let (options, settings) = read("");
        for (line, effect) in FABRIC {
            assert!(!effect(&options, &settings), "{line} is no change");
            let (options, settings) = read(line);
            assert!(effect(&options, &settings), "{line} has no effect");
        }
    }
}
