//! The options of every call (cli §4): those kept from Fabric 1.x, and ours.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// The options of every call, as they were written. [`crate::settings`] says what they mean.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Project file [default: `dfab.yaml` here or in the nearest parent]
    #[arg(short, long, visible_alias = "fabfile", value_name = "PATH", help_heading = "Project")]
    pub file: Option<PathBuf>,
    /// Settings file with `NAME = VALUE` lines [default: `~/.fabricrc`]
    #[arg(short, long, value_name = "PATH", help_heading = "Project")]
    pub config: Option<PathBuf>,
    /// Set a deployment variable for this run; the value is read as YAML
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Project")]
    pub set: Vec<String>,
    /// List the tasks and exit
    #[arg(short, long, help_heading = "Project")]
    pub list: bool,
    /// List the names of the tasks only
    #[arg(long, help_heading = "Project")]
    pub shortlist: bool,
    /// With `--list`: short, normal or nested; with a table task: its columns, comma separated
    #[arg(short = 'F', long, visible_alias = "list-format", value_name = "FORMAT", help_heading = "Project")]
    pub format: Option<String>,
    /// Show the full help of a task and exit
    #[arg(short, long, value_name = "TASK", help_heading = "Project")]
    pub display: Option<String>,

    /// Hosts to run on, as `[user@]host[:port]` [default: `hosts:` of the project file, else this machine]
    #[arg(short = 'H', long, value_name = "HOST", value_delimiter = ',', help_heading = "Hosts")]
    pub hosts: Vec<String>,
    /// Roles of the project file to run on
    #[arg(short = 'R', long, value_name = "ROLE", value_delimiter = ',', help_heading = "Hosts")]
    pub roles: Vec<String>,
    /// Hosts to leave out
    #[arg(short = 'x', long, value_name = "HOST", value_delimiter = ',', help_heading = "Hosts")]
    pub exclude_hosts: Vec<String>,
    /// Run a task on all hosts at once
    #[arg(short = 'P', long, help_heading = "Hosts")]
    pub parallel: bool,
    /// With `-P`: most hosts at once [default: all]
    #[arg(short = 'z', long, value_name = "N", help_heading = "Hosts")]
    pub pool_size: Option<usize>,
    /// Warn about hosts that cannot be reached, and go on with the others
    #[arg(long, help_heading = "Hosts")]
    pub skip_bad_hosts: bool,
    /// Warn about a task that failed, and go on with the next
    #[arg(short = 'w', long, help_heading = "Hosts")]
    pub warn_only: bool,
    /// Warn about tasks that do not exist, and run the others
    #[arg(long, help_heading = "Hosts")]
    pub skip_unknown_tasks: bool,

    /// Login name [default: the local user]
    #[arg(short, long, value_name = "NAME", help_heading = "SSH")]
    pub user: Option<String>,
    /// Port for hosts without one [default: 22]
    #[arg(long, value_name = "PORT", help_heading = "SSH")]
    pub port: Option<u16>,
    /// Private key file; may be repeated, tried in order
    #[arg(short = 'i', long = "identity", value_name = "PATH", help_heading = "SSH")]
    pub identities: Vec<PathBuf>,
    /// Password for login, locked keys and sudo; others can see it in the process list, so prefer
    /// `-I` or the environment variable `DFAB_PASSWORD`
    #[arg(short, long, value_name = "TEXT", help_heading = "SSH")]
    pub password: Option<String>,
    /// Password for sudo only, where it is not that of the login; `DFAB_SUDO_PASSWORD` is safer
    #[arg(long, value_name = "TEXT", help_heading = "SSH")]
    pub sudo_password: Option<String>,
    /// Ask for the password of sudo before the first task
    #[arg(long, help_heading = "SSH")]
    pub initial_sudo_password_prompt: bool,
    /// Ask for the password before the first task
    #[arg(short = 'I', long, help_heading = "SSH")]
    pub initial_password_prompt: bool,
    /// Connect through this host
    #[arg(short, long, value_name = "HOST", help_heading = "SSH")]
    pub gateway: Option<String>,
    /// Use no keys but those of `-i`: none from `~/.ssh`, nor from the SSH configuration
    #[arg(short = 'k', long, help_heading = "SSH")]
    pub no_keys: bool,
    /// Do not use the SSH agent
    #[arg(short = 'a', long, visible_alias = "no_agent", help_heading = "SSH")]
    pub no_agent: bool,
    /// Seconds to wait for a connection [default: 10]
    #[arg(short, long, value_name = "SECONDS", help_heading = "SSH")]
    pub timeout: Option<f64>,
    /// Seconds a login may take [default: 30]
    #[arg(long, value_name = "SECONDS", help_heading = "SSH")]
    pub auth_timeout: Option<f64>,
    /// What reads command lines on hosts [default: `/bin/bash -l -c`]
    #[arg(short, long, value_name = "TEXT", help_heading = "SSH")]
    pub shell: Option<String>,
    /// Seconds a remote command may take [default: no limit]
    #[arg(short = 'T', long, value_name = "SECONDS", help_heading = "SSH")]
    pub command_timeout: Option<f64>,
    /// Attempts before a host counts as unreachable [default: 1]
    #[arg(short = 'n', long, value_name = "N", help_heading = "SSH")]
    pub connection_attempts: Option<u32>,
    /// Seconds between keep-alive messages [default: off]
    #[arg(long, value_name = "SECONDS", help_heading = "SSH")]
    pub keepalive: Option<u32>,
    /// SSH configuration file to read; `~/.ssh/config` is read where `use_ssh_config` is set
    #[arg(long, value_name = "PATH", help_heading = "SSH")]
    pub ssh_config_path: Option<PathBuf>,
    /// Further file of known host keys
    #[arg(long, value_name = "PATH", help_heading = "SSH")]
    pub system_known_hosts: Option<PathBuf>,
    /// Do not read `~/.ssh/known_hosts`
    #[arg(short = 'D', long, help_heading = "SSH")]
    pub disable_known_hosts: bool,
    /// Refuse hosts whose key is not known (this is the default)
    #[arg(short = 'r', long, conflicts_with = "accept_new", help_heading = "SSH")]
    pub reject_unknown_hosts: bool,
    /// Accept the keys of hosts that are not known yet and remember them; a changed key is refused
    #[arg(long, help_heading = "SSH")]
    pub accept_new: bool,
    /// Fail instead of asking for anything
    #[arg(long, visible_alias = "no-input", help_heading = "SSH")]
    pub abort_on_prompts: bool,

    /// How engines are spoken to [default: `docker_fabric_implementation`, else api]
    #[arg(long, value_enum, ignore_case = true, help_heading = "Run")]
    pub backend: Option<BackendKind>,
    /// Show what would be done and why, and change nothing
    #[arg(long, help_heading = "Run")]
    pub dry_run: bool,
    /// With `--dry-run`: exit with 10 when something would change
    #[arg(long, help_heading = "Run")]
    pub detailed_exitcode: bool,
    /// Steps at once on each engine [default: 8]
    #[arg(short, long, value_name = "N", help_heading = "Run")]
    pub jobs: Option<usize>,
    /// Stop at the first failed step instead of finishing what does not depend on it
    #[arg(long, help_heading = "Run")]
    pub fail_fast: bool,
    /// Answer yes to every question
    #[arg(short, long, help_heading = "Run")]
    pub yes: bool,

    /// Form of the result on stdout
    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub output: Output,
    /// Only errors and results
    #[arg(short, long, conflicts_with = "verbose", help_heading = "Output")]
    pub quiet: bool,
    /// More detail: unchanged items and every reason; twice also what is sent
    #[arg(short, long, action = ArgAction::Count, help_heading = "Output")]
    pub verbose: u8,
    /// When to use colours (`NO_COLOR` holds with auto)
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", help_heading = "Output")]
    pub color: Color,
    /// Output levels to hide: warnings, running (or commands), user (the results), everything; Fabric's
    /// others are accepted with a warning
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', help_heading = "Output")]
    pub hide: Vec<String>,
    /// Output levels to show; applied before `--hide`
    #[arg(long, value_name = "LEVEL", value_delimiter = ',', help_heading = "Output")]
    pub show: Vec<String>,
    /// Fabric's, without effect here
    #[arg(long, hide = true)]
    pub linewise: bool,
    /// Fabric's, without effect here
    #[arg(long, hide = true)]
    pub colorize_errors: bool,
    /// Fabric's, without effect here
    #[arg(short, long, hide = true)]
    pub eagerly_disconnect: bool,
    /// Fabric's, without effect here
    #[arg(long, hide = true)]
    pub no_pty: bool,
    /// Fabric's, without effect here
    #[arg(short = 'A', long, hide = true)]
    pub forward_agent: bool,
    /// Fabric's, without effect here
    #[arg(long, hide = true, value_name = "SECONDS")]
    pub banner_timeout: Option<f64>,
    /// Print a completion script for a shell and exit
    #[arg(long, value_enum, value_name = "SHELL", help_heading = "Output")]
    pub completions: Option<crate::complete::Shell>,
}

/// How engines are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendKind {
    /// The Engine API.
    #[default]
    Api,
    /// The `docker` command line on the host.
    Cli,
}

/// Form of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
