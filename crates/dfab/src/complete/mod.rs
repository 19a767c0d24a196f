//! Completion at the shell's prompt (cli §4, `--completions`).
//!
//! The scripts below `shells/` are small: they hand the words so far to `dfab __complete` and show what comes back.
//! So the names of the project are those of the moment, options are those of the task on the line, and the three
//! shells agree. Nothing is contacted, and whatever is wrong in a file costs its names only: somebody is typing.

mod candidates;
mod line;
mod names;

use std::ffi::OsString;

use clap::ValueEnum;

use candidates::Reply;
use names::Names;

/// The first word of the scripts' calls; no task can have this name.
pub const COMMAND: &str = "__complete";

/// Shells with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash, 4.4 or later.
    Bash,
    /// Zsh, 5.0 or later.
    Zsh,
    /// Fish, 3.0 or later.
    Fish,
}

/// Returns the completion script for a shell.
pub fn script(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => include_str!("shells/dfab.bash"),
        Shell::Zsh => include_str!("shells/_dfab"),
        Shell::Fish => include_str!("shells/dfab.fish"),
    }
}

/// Answers a script: `arguments` is the shell, then the words of the line up to the cursor without the program's name.
/// The last word is the one being typed and may be empty.
///
/// The answer is one candidate a line, for zsh and fish with its description after a tab. A line `:files` asks for
/// names of files, and `:nospace` says that more may follow a candidate directly.
///
/// For bash the words are `COMP_WORDBREAKS` and the line as one text: bash has taken the line apart at characters
/// that belong to our words, and replaces only what stands after the last of them.
pub fn answer(arguments: &[OsString]) -> String {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    match words.as_slice() {
        [shell, breaks, line] if shell == "bash" => {
            let words = line::split(line);
            let current = words.last().cloned().unwrap_or_default();
            // Quotes are no break: bash hands the quoted part over as one word.
            let broken = current.rfind(|c: char| breaks.contains(c) && !"\"' \t\n".contains(c));
            // Readline counts an `@` to the word that it begins (`rl_special_prefixes`), other breaks not.
            let kept = match broken.map(|at| (at, current[at..].chars().next())) {
                Some((at, Some(own))) if own != '@' => at + own.len_utf8(),
                Some((at, _)) => at,
                None => 0,
            };
            reply(&words).text(kept, false)
        }
        [_shell, words @ ..] if !words.is_empty() => reply(words).text(0, true),
        _ => String::new(),
    }
}

fn reply(words: &[String]) -> Reply {
    let position = line::position(words);
    let names = Names::read(&position);
    candidates::candidates(&position, &names)
}
