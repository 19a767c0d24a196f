//! A host of which each command's answer is written down.

use std::cell::RefCell;
use std::collections::HashMap;

use async_trait::async_trait;
use dfab_client::error::Source;

use super::Commands;
use crate::setup::Finished;

/// What a command does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Ok(&'static str),
    /// How it ends, and its standard error.
    Failed(&'static str, &'static str),
}

/// Commands that are not in the table succeed without a word.
pub(super) struct FakeHost {
    answers: HashMap<&'static str, Answer>,
    log: RefCell<Vec<String>>,
}

impl FakeHost {
    pub(super) fn new(answers: impl IntoIterator<Item = (&'static str, Answer)>) -> Self {
        Self { answers: answers.into_iter().collect(), log: RefCell::default() }
    }

    pub(super) fn note(&self, line: &str) {
        self.log.borrow_mut().push(line.to_owned());
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.borrow().clone()
    }
}

#[async_trait(?Send)]
impl Commands for FakeHost {
    async fn run(&self, line: &str, root: bool) -> Result<Finished, Source> {
        self.note(&format!("{}{line}", if root { "root: " } else { "" }));
        Ok(match self.answers.get(line) {
            None => Finished::default(),
            Some(Answer::Ok(stdout)) => Finished { stdout: (*stdout).to_owned(), ..Finished::default() },
            Some(Answer::Failed(how, stderr)) => Finished {
                failed: Some((*how).to_owned()),
                stderr: (*stderr).to_owned(),
                ..Finished::default()
            },
        })
    }
}
