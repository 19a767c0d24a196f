//! From the words of the command line to options and task calls, in both forms of cli §1.
//!
//! All options stand on one level, so that they may come before or after the task's name: the
//! task is found first, then one clap command is made from the options and the task's keywords.

use std::ffi::OsString;

use clap::{Arg, ArgAction, Args, Command, FromArgMatches};

use super::{Call, Options};
use crate::failure::{Failure, Kind};
use crate::registry::{self, Parameter, ParameterKind, Place, Task};

/// What the command line asks for.
#[derive(Debug)]
pub struct Parsed {
    /// The options.
    pub options: Options,
    /// The task calls, in order; empty for `--list` and the like.
    pub calls: Vec<Call>,
    /// `-- COMMAND`: one remote command to run on the hosts.
    pub remote_command: Option<String>,
}

/// Why there is nothing to run.
#[derive(Debug)]
pub enum Stop {
    /// Help or version: a text for stdout, and success.
    Text(String),
    /// A wrong call.
    Failure(Failure),
}

/// Identifier prefix of task keywords among clap's arguments.
const KEYWORD: &str = "keyword ";
/// Identifier of the words among clap's arguments: the task and its arguments.
const WORDS: &str = "words";

/// Reads the command line. `arguments` is without the program's name.
///
/// # Errors
///
/// A text to print for `--help`, `--version` and `help TASK`; a usage failure for a wrong call.
pub fn parse(arguments: &[OsString]) -> Result<Parsed, Stop> {
    let mut own = arguments.to_vec();
    let remote_command = take_remote_command(&mut own);
    let first = first_word(&own);
    match first.as_deref() {
        Some("help") => help_of(&own),
        // Project tasks are not in the registry; what does not exist is found out when the project
        // file is known. They take no keywords of their own, so the plain command reads them.
        Some(word) if !word.contains(':') => match registry::find(word) {
            Some(task) => first_form(task, &own, remote_command),
            None => second_form(&own, remote_command),
        },
        _ => second_form(&own, remote_command),
    }
}

/// Returns the command for `task`, or the general one: for parsing, help, completions and man pages.
pub fn command(task: Option<&Task>) -> Command {
    let mut command = Options::augment_args(Command::new("dfab"))
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version"),
        )
        .arg(
            Arg::new(WORDS)
                .num_args(0..)
                .value_name("TASK [ARGUMENT]")
                .help("Task and its arguments, or several tasks as `task:argument,keyword=value`"),
        )
        // One form of help: the short layout, with everything in it.
        .disable_help_flag(true)
        .arg(Arg::new("help").short('h').long("help").action(ArgAction::HelpShort).help("Print this help"))
        .max_term_width(100);
    let Some(task) = task else {
        return command
            .about("Deploys container maps to Docker engines, local or behind SSH")
            .override_usage(
                "dfab [OPTIONS] <TASK> [ARGUMENT]... [--KEYWORD[=VALUE]]...\n       \
                 dfab [OPTIONS] <TASK>:<arg>,<keyword>=<value> [<TASK>:...]...\n       \
                 dfab [OPTIONS] -- <COMMAND ON THE HOSTS>",
            )
            .after_help(
                "`dfab --list` shows the tasks, `dfab help TASK` one of them.\n\
                 Defaults for `hosts`, `user`, `parallel`, `timeout` and the like stand in `env:`\n\
                 of the project file or in `~/.fabricrc`; `--set` wins over both.\n\n\
                 Main job:  dfab actions.update example_map web_server --dry-run",
            );
    };
    command = command
        // The options of every call are in `dfab --help`; here they would bury the task's own.
        .mut_args(|arg| arg.hide(true))
        .after_help("Options of every call (hosts, SSH, --dry-run, output): `dfab --help`")
        .override_usage(format!("dfab [OPTIONS] {}", task.usage()))
        .about(if task.help.is_empty() {
            task.about.to_owned()
        } else {
            format!("{}\n\n{}", task.about, task.help)
        });
    for parameter in task.parameters().filter(|parameter| parameter.place != Place::Rest) {
        let option = parameter.option();
        // A keyword of the task wins over the general option of the same name, whose short form stays.
        let clash = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(&option))
            .map(|arg| arg.get_id().clone());
        if let Some(id) = clash {
            command = command.mut_arg(id, |arg| arg.long(None));
        }
        command = command.arg(keyword_argument(parameter, option));
    }
    command
}

fn keyword_argument(parameter: &Parameter, option: String) -> Arg {
    let mut help = parameter.help.to_owned();
    if let ParameterKind::Choice(words) = parameter.kind {
        help.push_str(&format!(" ({})", words.join(", ")));
    }
    if !parameter.default.is_empty() {
        help.push_str(&format!(" [default: {}]", parameter.default));
    }
    let arg = Arg::new(format!("{KEYWORD}{}", parameter.name))
        .long(option)
        .alias(parameter.name)
        .help(help)
        .help_heading("Task")
        .action(ArgAction::Append)
        .value_name(match parameter.kind {
            ParameterKind::Bool => "true|false",
            ParameterKind::Integer => "N",
            ParameterKind::List => "ITEM",
            ParameterKind::Text | ParameterKind::Choice(_) => "VALUE",
        });
    match parameter.kind {
        ParameterKind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        ParameterKind::List => arg.value_delimiter(','),
        ParameterKind::Integer => arg.allow_negative_numbers(true),
        ParameterKind::Text | ParameterKind::Choice(_) => arg,
    }
}

fn first_form(task: &'static Task, own: &[OsString], remote_command: Option<String>) -> Result<Parsed, Stop> {
    let matches = matches(command(Some(task)), own)?;
    let mut words = matches.get_many::<String>(WORDS).into_iter().flatten();
    let name = words.next().cloned().unwrap_or_default();
    let mut call = Call { task: name, positional: words.cloned().collect(), ..Call::default() };
    for parameter in task.parameters().filter(|parameter| parameter.place != Place::Rest) {
        let id = format!("{KEYWORD}{}", parameter.name);
        for value in matches.get_many::<String>(&id).into_iter().flatten() {
            call.keywords.push((parameter.name.to_owned(), value.clone()));
        }
    }
    Ok(Parsed { options: options(&matches)?, calls: vec![call], remote_command })
}

fn second_form(own: &[OsString], remote_command: Option<String>) -> Result<Parsed, Stop> {
    let matches = matches(command(None), own)?;
    let words: Vec<&String> = matches.get_many::<String>(WORDS).into_iter().flatten().collect();
    let calls: Result<Vec<Call>, Failure> = words.into_iter().map(|word| Call::read(word)).collect();
    Ok(Parsed { options: options(&matches)?, calls: calls.map_err(Stop::Failure)?, remote_command })
}

fn options(matches: &clap::ArgMatches) -> Result<Options, Stop> {
    Options::from_arg_matches(matches).map_err(|error| Stop::Failure(wrong_call(&error)))
}

fn matches(command: Command, own: &[OsString]) -> Result<clap::ArgMatches, Stop> {
    let program = std::iter::once(OsString::from("dfab"));
    command.try_get_matches_from(program.chain(own.iter().cloned())).map_err(|error| match error.kind() {
        clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion => {
            Stop::Text(error.render().ansi().to_string())
        }
        _ => Stop::Failure(wrong_call(&error)),
    })
}

/// Turns clap's report into ours: its first line is the message, its tips are hints.
fn wrong_call(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let mut failure = Failure::new(Kind::Usage, "");
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(message) = line.strip_prefix("error: ") {
            failure.message = plain(message).replace('\'', "`");
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            failure.hints.push(tip.replace('\'', "`"));
        } else if line.starts_with('[') {
            failure.hints.push(line.trim_matches(['[', ']']).to_owned());
        }
    }
    if failure.hints.is_empty() {
        failure.hints.push("`dfab --help` shows the options".to_owned());
    }
    failure
}

/// Says what is wrong with a number without the words of a programming language.
fn plain(message: &str) -> String {
    const PLAIN: [(&str, &str); 4] = [
        ("invalid float literal", "it is no number"),
        ("invalid digit found in string", "it is no whole number"),
        ("cannot parse float from empty string", "it is empty"),
        ("cannot parse integer from empty string", "it is empty"),
    ];
    PLAIN.iter().fold(message.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// `help`, `help TASK`, with options before, between or after. A task of the project is left to `-d`, for which
/// the project file is read.
fn help_of(own: &[OsString]) -> Result<Parsed, Stop> {
    let mut rest = own.to_vec();
    take_word(&mut rest);
    let text = |mut command: Command| Err(Stop::Text(command.render_help().ansi().to_string()));
    let Some(name) = take_word(&mut rest) else { return text(command(None)) };
    if let Some(task) = registry::find(&name) {
        return text(command(Some(task)));
    }
    let mut parsed = second_form(&rest, None)?;
    parsed.options.display = Some(name);
    Ok(parsed)
}

/// Takes the first word that is neither an option nor the value of one out of the words.
fn take_word(own: &mut Vec<OsString>) -> Option<String> {
    let position = (0..own.len()).find(|&position| first_word(&own[..=position]).is_some())?;
    Some(own.remove(position).to_string_lossy().into_owned())
}

/// Takes `-- COMMAND…` off the end when no task stands before it; after a task, `--` only ends the
/// options, as everywhere.
fn take_remote_command(own: &mut Vec<OsString>) -> Option<String> {
    let position = own.iter().position(|word| word == "--")?;
    if first_word(&own[..position]).is_some() {
        return None;
    }
    let command: Vec<String> =
        own.drain(position..).skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    Some(command.join(" "))
}

/// Returns the first word that is neither an option nor the value of one.
pub fn first_word(own: &[OsString]) -> Option<String> {
    let command = command(None);
    let takes_value = |matched: &dyn Fn(&Arg) -> bool| {
        command.get_arguments().find(|arg| matched(arg)).is_some_and(|arg| arg.get_action().takes_values())
    };
    let mut words = own.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if let Some(long) = text.strip_prefix("--") {
            if long.is_empty() {
                return words.next().map(|word| word.to_string_lossy().into_owned());
            }
            let known = |arg: &Arg| {
                arg.get_long() == Some(long)
                    || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
            };
            if takes_value(&known) {
                words.next();
            }
        } else if let Some(cluster) = text.strip_prefix('-').filter(|cluster| !cluster.is_empty()) {
            // In a cluster (`-qH web1`) the first option with a value takes the rest, or the next word.
            for (index, short) in cluster.char_indices() {
                if takes_value(&|arg: &Arg| arg.get_short() == Some(short)) {
                    if index + short.len_utf8() == cluster.len() {
                        words.next();
                    }
                    break;
                }
            }
        } else {
            return Some(text.into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    fn call(line: &str) -> Call {
        let mut parsed = parse(&words(line)).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        assert_eq!(parsed.calls.len(), 1, "{line}");
        parsed.calls.remove(0)
    }

    #[test]
    fn options_stand_before_or_after_the_task() {
        for line in
            ["-H a,b -v docker.version", "docker.version -H a -H b -v", "-vHa docker.version --hosts=b"]
        {
            let parsed = parse(&words(line)).unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
            assert_eq!(
                (parsed.options.hosts, parsed.options.verbose),
                (vec!["a".to_owned(), "b".to_owned()], 1)
            );
            assert_eq!(parsed.calls[0].task, "docker.version", "{line}");
        }
    }

    #[test]
    fn both_forms_bind_to_the_same_arguments() {
        let cases = [
            ("actions.update m web_server", "actions.update:m,web_server"),
            ("actions.update m a i1 i2", "actions.update:m,a,i1,i2"),
            (
                "actions.remove m a --remove-attached --remove-persistent=false",
                "actions.remove:m,a,remove_attached=true,remove_persistent=false",
            ),
            ("actions.update --force-update web,db m a", "actions.update:m,a,force_update=web;db"),
            ("actions.stop m a --timeout 5", "actions.stop:m,a,timeout=5"),
        ];
        for (first, second) in cases {
            let task = registry::find(&call(first).task).unwrap();
            let bound = super::super::Arguments::bind(task, &call(first)).unwrap();
            assert_eq!(bound, super::super::Arguments::bind(task, &call(second)).unwrap(), "{first}");
        }
    }

    #[test]
    fn several_tasks_run_in_one_call() {
        let parsed = parse(&words("docker.version: -P docker.list_images:full_ids=1")).unwrap();
        let tasks: Vec<&str> = parsed.calls.iter().map(|call| call.task.as_str()).collect();
        assert_eq!(tasks, ["docker.version", "docker.list_images"]);
        assert!(parsed.options.parallel);
    }

    #[test]
    fn the_rest_after_two_dashes_is_a_remote_command() {
        let parsed = parse(&words("-H web1 -- uname -a")).unwrap();
        assert_eq!((parsed.remote_command.as_deref(), parsed.calls.len()), (Some("uname -a"), 0));
        assert_eq!(call("actions.update m a -- -l").positional, ["m", "a", "-l"]);
    }

    #[test]
    fn help_is_found_between_options() {
        for line in
            ["help actions.update", "-H help help -q actions.update -v", "--hosts=a help actions.update"]
        {
            let Err(Stop::Text(text)) = parse(&words(line)) else { panic!("{line}: no help") };
            assert!(text.contains("actions.update [MAP] CONFIG"), "{line}: {text}");
        }
        assert!(matches!(parse(&words("-H a help")), Err(Stop::Text(_))));
        let parsed = parse(&words("-f p.yaml help deploy")).unwrap();
        assert_eq!(parsed.options.display.as_deref(), Some("deploy"));
        assert_eq!(parsed.calls.len(), 0);
    }

    #[test]
    fn a_keyword_of_a_task_wins_over_the_general_option_of_the_same_name() {
        let parsed = parse(&words("-t 3 actions.stop m a --timeout 5")).unwrap();
        assert_eq!(parsed.options.timeout, Some(3.0));
        assert_eq!(parsed.calls[0].keywords, [("timeout".to_owned(), "5".to_owned())]);
    }

    #[test]
    fn a_mistyped_option_gets_the_nearest_one() {
        let Err(Stop::Failure(failure)) = parse(&words("actions.update m a --dry-rnu")) else {
            panic!("accepted")
        };
        assert_eq!(failure.message, "unexpected argument `--dry-rnu` found");
        assert!(failure.hints[0].contains("`--dry-run`"), "{:?}", failure.hints);
    }

    #[test]
    fn the_commands_are_well_formed() {
        command(None).debug_assert();
        for task in registry::tasks() {
            command(Some(task)).debug_assert();
        }
    }
}
