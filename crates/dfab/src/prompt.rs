//! Questions to the person at the terminal (clients-tasks §11.8).

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use dfab_tunnel::Secret;
use dfab_tunnel::options::{Prompt, Question, QuestionKind};

use crate::console::Console;
use crate::failure::{Failure, Result};
use crate::run::Run;

/// Asks for passwords and passphrases, one question at a time, and remembers passphrases for the rest
/// of the run. Without a terminal it answers nothing.
pub struct Questions {
    console: Arc<Console>,
    /// Held while a question stands on the terminal: two hosts must not ask at once.
    passphrases: Mutex<HashMap<String, Secret>>,
}

impl Questions {
    /// Makes one.
    pub fn new(console: Arc<Console>) -> Self {
        Self { console, passphrases: Mutex::default() }
    }

    fn read(&self, prompt: &str, echo: bool) -> Option<Secret> {
        if !std::io::stdin().is_terminal() {
            return None;
        }
        let answer = self.console.progress.suspend(|| {
            if echo {
                let mut line = String::new();
                eprint_prompt(prompt);
                std::io::stdin().read_line(&mut line).ok().filter(|read| *read > 0)?;
                Some(line.trim_end_matches(['\r', '\n']).to_owned())
            } else {
                rpassword::prompt_password(prompt).ok()
            }
        })?;
        // An empty answer gives up, as an interrupted one does.
        (!answer.is_empty()).then(|| Secret::new(answer))
    }
}

impl Prompt for Questions {
    fn ask(&self, question: &Question) -> Option<Secret> {
        let mut passphrases = self.passphrases.lock().unwrap_or_else(PoisonError::into_inner);
        match &question.kind {
            QuestionKind::Password => {
                self.read(&format!("[{}] Login password for '{}': ", question.host, question.user), false)
            }
            QuestionKind::SudoPassword => {
                self.read(&format!("[{}] sudo password for '{}': ", question.host, question.user), false)
            }
            QuestionKind::Passphrase(path) => {
                let key = path.display().to_string();
                // A wrong one is asked for anew: it is taken out when it is handed out.
                if let Some(known) = passphrases.remove(&key) {
                    return Some(known);
                }
                let answer =
                    self.read(&format!("[{}] Passphrase for private key {key}: ", question.host), false)?;
                passphrases.insert(key, answer.clone());
                Some(answer)
            }
            QuestionKind::Server { text, echo } => self.read(&format!("[{}] {text}", question.host), *echo),
        }
    }
}

/// Asks for a password before the first task: the initial value of this Fabric variable.
///
/// # Errors
///
/// A usage failure when nobody can be asked.
pub fn initial_password(variable: &str, environment: &str) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!("needed to prompt for `{variable}`, but stdin is no terminal"))
            .hint(format!("set the environment variable `{environment}`")));
    }
    let answer = rpassword::prompt_password(format!("Initial value for {variable}: "));
    answer.map(Secret::new).map_err(|error| Failure::usage("failed to read the password").because(&error))
}

/// Asks for a secret.
///
/// # Errors
///
/// A usage failure when nobody can or may be asked.
pub fn secret(run: &Run, prompt: &str) -> Result<Secret> {
    if run.settings.ssh.abort_on_prompts || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "needed to prompt for `{}`, but nobody can be asked",
            prompt.trim_end_matches([':', ' '])
        )));
    }
    let answer = run.console.progress.suspend(|| rpassword::prompt_password(prompt));
    answer.map(Secret::new).map_err(|error| Failure::usage("failed to read the password").because(&error))
}

/// Asks whether to go on. `--yes` answers; where nobody can or may be asked, nothing is done.
///
/// # Errors
///
/// A usage failure when the answer is no, or there is none.
pub fn confirm(run: &Run, question: &str) -> Result<()> {
    if run.options.yes {
        return Ok(());
    }
    if run.settings.ssh.abort_on_prompts || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "nothing was done: needed to ask `{question}`, but nobody can be asked"
        ))
        .hint("`--yes` answers yes"));
    }
    let answer = run.console.progress.suspend(|| {
        eprint_prompt(&format!("{question} [y/N] "));
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    });
    match answer {
        Ok(line) if crate::cli::arguments::boolean(line.trim()) == Some(true) => Ok(()),
        _ => Err(Failure::usage("nothing was done: the answer was no").hint("`--yes` answers yes")),
    }
}

#[expect(clippy::print_stderr, reason = "a question has no line end, and the console writes lines")]
fn eprint_prompt(prompt: &str) {
    eprint!("{prompt}");
}
