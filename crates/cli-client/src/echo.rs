//! What is run and what it prints, as values for the caller to show (clients-tasks §5.1).

use dfab_tunnel::{Secret, quote};

use crate::command::environment::FROM_INPUT;
use crate::command::{Command, Kind};
use crate::options::CliOptions;

/// One thing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Echo {
    /// A command is about to run: `[host] run: docker …`.
    Run {
        /// The command line as one would type it, without values that may be secret.
        line: String,
    },
    /// A command has printed: `[host] out: …`, line by line.
    Output {
        /// Standard output and standard error, in this order.
        text: String,
        /// Exit status.
        status: i32,
    },
}

/// What stands in place of a value that may be secret.
const HIDDEN: &str = "(hidden)";

/// Reports a command, if it is an action or everything is reported.
pub(crate) fn run(options: &CliOptions, command: &Command) {
    if let Some(echo) = wanted(options, command) {
        echo(Echo::Run { line: shown(options, command) });
    }
}

/// Reports what a command has printed, likewise.
pub(crate) fn output(options: &CliOptions, command: &Command, status: i32, stdout: &[u8], stderr: &[u8]) {
    if let Some(echo) = wanted(options, command) {
        let text = [stdout, stderr].map(String::from_utf8_lossy).concat();
        echo(Echo::Output { text, status });
    }
}

fn wanted<'o>(options: &'o CliOptions, command: &Command) -> Option<&'o (dyn Fn(Echo) + Send + Sync)> {
    options.echo.as_deref().filter(|_| options.debug || command.kind == Kind::Action)
}

/// Returns the line as one would type it. Values of variables are left out: they are where
/// passwords stand.
pub(crate) fn shown(options: &CliOptions, command: &Command) -> String {
    let hide = |word: &String| match word.split_once('=') {
        _ if word == FROM_INPUT => {
            let lines = command.input.as_ref().map_or("", Secret::reveal).lines();
            let names = lines.filter_map(|line| Some(line.split_once('=')?.0));
            names.map(|name| format!("--env={name}={HIDDEN}")).collect()
        }
        Some((flag @ ("--env" | "--build-arg"), variable)) => match variable.split_once('=') {
            Some((name, _)) => vec![format!("{flag}={name}={HIDDEN}")],
            None => vec![word.clone()],
        },
        _ => vec![word.clone()],
    };
    let program = options.prefix.iter().chain(&command.before).chain([&options.binary]).cloned();
    quote::command(program.chain(options.global_words()).chain(command.words.iter().flat_map(hide)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command;
    use crate::options::TlsFlags;

    #[test]
    fn the_program_is_called_as_configured() {
        let version = command::version();
        let default = CliOptions::default();
        let path = CliOptions { binary: "/usr/bin/docker".to_owned(), ..CliOptions::default() };
        let podman = CliOptions {
            prefix: CliOptions::prefix_words("nice -n 10").unwrap(),
            binary: "podman".to_owned(),
            base_url: Some("tcp://1.2.3.4:2375".to_owned()),
            tls: TlsFlags { enabled: true, ..TlsFlags::default() },
            ..CliOptions::default()
        };
        assert_eq!(shown(&default, &version), "docker version '--format={{json .}}'");
        assert_eq!(shown(&path, &version), "/usr/bin/docker version '--format={{json .}}'");
        assert_eq!(
            shown(&podman, &version),
            "nice -n 10 podman -H tcp://1.2.3.4:2375 --tls version '--format={{json .}}'"
        );
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let mut words = vec!["create".to_owned(), "--env=PASSWORD=hunter2".to_owned()];
        words.extend(["--env=HOME".to_owned(), "--build-arg=TOKEN=hunter2".to_owned()]);
        let command = Command { words, ..command::version() };
        let line = shown(&CliOptions::default(), &command);
        assert_eq!(line, "docker create '--env=PASSWORD=(hidden)' --env=HOME '--build-arg=TOKEN=(hidden)'");

        let words = vec!["create".to_owned(), FROM_INPUT.to_owned(), "image".to_owned()];
        let input = Some(Secret::new("A=hunter2\nB=hunter=3\n"));
        let line = shown(&CliOptions::default(), &Command { words, input, ..command::version() });
        assert_eq!(line, "docker create '--env=A=(hidden)' '--env=B=(hidden)' image");
    }
}
