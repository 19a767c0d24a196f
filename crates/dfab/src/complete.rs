//! Completion scripts for shells: options, their values, and the names of the tasks.

use clap::builder::PossibleValuesParser;
use clap_complete::Shell;

use crate::cli::parse::WORDS;
use crate::registry;

/// Returns the completion script for a shell.
pub fn script(shell: Shell) -> String {
    let names = PossibleValuesParser::new(registry::tasks().map(registry::Task::full_name));
    let mut command = crate::cli::parse::command(None).mut_arg(WORDS, |words| words.value_parser(names));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "dfab", &mut script);
    let mut script = String::from_utf8_lossy(&script).into_owned();
    if shell == Shell::Fish {
        // clap_complete writes no values of positional arguments for fish.
        for task in registry::tasks() {
            let about = task.about.replace('\'', "");
            script.push_str(&format!("complete -c dfab -f -a '{}' -d '{about}'\n", task.full_name()));
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_know_the_tasks_and_the_options() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = script(shell);
            for word in ["actions.update", "docker.version", "dry-run"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}
