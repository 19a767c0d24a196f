//! Questions to the person at the terminal (clients-tasks §11.8).

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use dfab_tunnel::options::{Prompt, Question, QuestionKind};
use dfab_tunnel::{Login, Secret};

use crate::console::Console;
use crate::failure::{Failure, Kind, Result};
use crate::run::Run;

/// Asks for passwords and passphrases, one question at a time, and keeps the answers for the rest of the run. Without a
/// terminal it answers nothing.
pub struct Questions {
    console: Arc<Console>,
    /// Held while a question stands on the terminal: two hosts must not ask at once.
    answers: Mutex<Answers>,
}

impl Questions {
    /// Makes one.
    pub fn new(console: Arc<Console>) -> Self {
        Self { console, answers: Mutex::default() }
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
        let Question { host, user, .. } = question;
        let (prompt, echo) = match &question.kind {
            QuestionKind::Password => (format!("[{host}] Login password for '{user}': "), false),
            QuestionKind::SudoPassword => (format!("[{host}] sudo password for '{user}': "), false),
            QuestionKind::Passphrase(path) => {
                (format!("[{host}] Passphrase for private key {}: ", path.display()), false)
            }
            QuestionKind::Server { text, echo } => (format!("[{host}] {text}"), *echo),
        };
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.answer(question, || self.read(&prompt, echo))
    }
}

/// What was answered in this run.
#[derive(Default)]
struct Answers(HashMap<Kept, Secret>);

/// What an answer is kept for.
#[derive(PartialEq, Eq, Hash)]
enum Kept {
    Passphrase(PathBuf),
    Password(Login),
    SudoPassword(Login),
}

impl Answers {
    /// Returns what is known to be the answer, unless that was wrong; else asks, and keeps what is said.
    fn answer(&mut self, question: &Question, ask: impl FnOnce() -> Option<Secret>) -> Option<Secret> {
        let login = || question.login.clone();
        let (place, instead) = match &question.kind {
            QuestionKind::Passphrase(path) => (Kept::Passphrase(path.clone()), None),
            QuestionKind::Password => (Kept::Password(login()), None),
            // It is most often the login's.
            QuestionKind::SudoPassword => (Kept::SudoPassword(login()), Some(Kept::Password(login()))),
            // A code that is good for once, as likely as not.
            QuestionKind::Server { .. } => return ask(),
        };
        // Another host that was given the same wrong answer may have heard a better one meanwhile.
        let right = |answer: &&Secret| question.wrong.as_ref() != Some(*answer);
        let known =
            [Some(&place), instead.as_ref()].into_iter().flatten().find_map(|place| self.0.get(place));
        if let Some(known) = known.filter(right) {
            return Some(known.clone());
        }
        self.0.remove(&place);
        let answer = ask()?;
        self.0.insert(place, answer.clone());
        Some(answer)
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
    answer.map(Secret::new).map_err(|error| not_read(&error))
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
    answer.map(Secret::new).map_err(|error| not_read(&error))
}

/// Makes a report of a password that was not given.
fn not_read(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::Interrupted {
        return Failure::new(Kind::Interrupted, "interrupted at the question for a password");
    }
    Failure::usage("failed to read the password").because(error)
}

/// Asks whether to go on. `--yes` answers; where nobody can or may be asked, nothing is done.
///
/// # Errors
///
/// A usage failure when the answer is no, or there is none; an interruption at Ctrl-C.
pub async fn confirm(run: &Run, question: &str) -> Result<()> {
    // With `-P` two hosts must not ask at once.
    static ASKS: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    if run.options.yes {
        return Ok(());
    }
    if run.settings.ssh.abort_on_prompts || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(format!(
            "nothing was done: needed to ask `{question}`, but nobody can be asked"
        ))
        .hint("`--yes` answers yes"));
    }
    let _asks = ASKS.lock().await;
    let answer = async {
        run.console.progress.suspend(|| eprint_prompt(&format!("{question} [y/N] ")));
        // In a thread of its own, which nothing waits for: only there can it be left alone.
        let reading = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).map(|_| line)
        });
        reading.await.ok().and_then(std::result::Result::ok)
    };
    let answer = tokio::select! {
        biased;
        () = run.interrupt.finish.cancelled() => {
            return Err(Failure::new(Kind::Interrupted, "nothing was done: interrupted at the question"));
        }
        answer = answer => answer,
    };
    match answer {
        Some(line) if crate::cli::arguments::boolean(line.trim()) == Some(true) => Ok(()),
        _ => Err(Failure::usage("nothing was done: the answer was no").hint("`--yes` answers yes")),
    }
}

#[expect(clippy::print_stderr, reason = "a question has no line end, and the console writes lines")]
fn eprint_prompt(prompt: &str) {
    eprint!("{prompt}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(port: u16, kind: QuestionKind, wrong: Option<&str>) -> Question {
        Question {
            host: "web1".into(),
            user: "deploy".into(),
            login: Login::new("deploy", "web1", port),
            kind,
            wrong: wrong.map(Secret::from),
        }
    }

    /// A passphrase was forgotten when it was used, and asked for again at every second connection.
    #[test]
    fn a_person_is_asked_once_for_each_secret() {
        let key = || QuestionKind::Passphrase("/key".into());
        let other = || QuestionKind::Passphrase("/other".into());
        let server = || QuestionKind::Server { text: "Code:".into(), echo: false };
        let (login, sudo) = (QuestionKind::Password, QuestionKind::SudoPassword);
        // Port, question, the wrong answer before; what the person says, who is not asked where nothing stands; the
        // answer.
        let steps = [
            (22, key(), None, Some("typo"), Some("typo")),
            // Two hosts at once: both got the wrong one, and the second needs not ask.
            (22, key(), None, None, Some("typo")),
            (22, key(), Some("typo"), Some("open"), Some("open")),
            (22, key(), Some("typo"), None, Some("open")),
            (22, key(), None, None, Some("open")),
            (22, key(), None, None, Some("open")),
            (22, other(), None, Some("sesame"), Some("sesame")),
            (22, key(), None, None, Some("open")),
            // Each login has its own password, and sudo mostly the same.
            (22, login.clone(), None, Some("one"), Some("one")),
            (23, login.clone(), None, Some("two"), Some("two")),
            (22, login.clone(), None, None, Some("one")),
            (22, sudo.clone(), None, None, Some("one")),
            (22, sudo.clone(), Some("one"), Some("root"), Some("root")),
            (22, sudo.clone(), None, None, Some("root")),
            (22, login.clone(), None, None, Some("one")),
            (24, sudo.clone(), None, Some("three"), Some("three")),
            (24, sudo, None, None, Some("three")),
            // Who gives up is asked the next time; what was wrong is forgotten.
            (23, login.clone(), Some("two"), Some(""), None),
            (23, login, None, Some("four"), Some("four")),
            // Codes are good for once.
            (22, server(), None, Some("123"), Some("123")),
            (22, server(), None, Some("456"), Some("456")),
        ];
        let mut answers = Answers::default();
        for (step, (port, kind, wrong, said, expected)) in steps.into_iter().enumerate() {
            let mut asked = false;
            let ask = || {
                asked = true;
                said.filter(|said| !said.is_empty()).map(Secret::from)
            };
            let answer = answers.answer(&question(port, kind, wrong), ask);
            assert_eq!(answer, expected.map(Secret::from), "step {step}");
            assert_eq!(asked, said.is_some(), "step {step}");
        }
    }
}
