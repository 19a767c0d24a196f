//! `--list`, `--shortlist` and `-d`: the tasks as text (clients-tasks §11.5).

use std::collections::BTreeMap;

use crate::failure::{Failure, Result};
use crate::project::Project;
use crate::registry;

/// How a listing looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Names with a line each.
    Normal,
    /// The same by namespace.
    Nested,
    /// Names only.
    Short,
}

/// The words of `--format`.
pub const FORMATS: [&str; 3] = ["short", "normal", "nested"];

impl Format {
    /// Reads the word of `--format`.
    ///
    /// # Errors
    ///
    /// A usage failure for a word that is none.
    pub fn parse(word: &str) -> Result<Self> {
        match word {
            "normal" => Ok(Self::Normal),
            "nested" => Ok(Self::Nested),
            "short" => Ok(Self::Short),
            _ => Err(Failure::usage(format!("`{word}` is no list format")).nearest(word, "formats", FORMATS)),
        }
    }
}

/// Returns the listing of all tasks, those of the project first.
pub fn listing(project: &Project, format: Format, width: usize) -> String {
    let mut tasks: BTreeMap<(bool, String), String> = BTreeMap::new();
    for (name, task) in &project.tasks {
        tasks.insert((false, name.clone()), task.description.clone().unwrap_or_default());
    }
    for task in registry::tasks() {
        tasks.insert((true, task.full_name()), task.about.to_owned());
    }
    let mut lines = Vec::new();
    if format != Format::Short {
        lines.extend(project.description.iter().flat_map(|text| [text.clone(), String::new()]));
        let header = match format {
            Format::Nested => "Available commands (remember to call as module.[...].task):",
            _ => "Available commands:",
        };
        lines.extend([header.to_owned(), String::new()]);
    }
    let longest = tasks.keys().map(|(_, name)| name.chars().count()).max().unwrap_or(0);
    let mut namespace = None;
    for ((builtin, name), about) in &tasks {
        match format {
            Format::Short => lines.push(name.clone()),
            Format::Normal => lines.push(row(4, name, longest, about, width)),
            Format::Nested => match name.split_once('.').filter(|_| *builtin) {
                Some((space, plain)) => {
                    if namespace != Some(space) {
                        lines.push(format!("    {space}:"));
                        namespace = Some(space);
                    }
                    lines.push(row(8, plain, longest, about, width));
                }
                None => lines.push(row(4, name, longest, about, width)),
            },
        }
    }
    lines.join("\n")
}

fn row(indent: usize, name: &str, longest: usize, about: &str, width: usize) -> String {
    let line = format!("{}{name:<longest$}  {about}", " ".repeat(indent));
    let line = line.trim_end();
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(3)).collect();
    format!("{}...", kept.trim_end())
}

/// Returns the names of the tasks of a project, for messages.
pub fn project_names(project: &Project) -> Vec<String> {
    project.tasks.keys().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_cut_at_the_width() {
        assert_eq!(row(4, "a", 3, "A long description.", 80), "    a    A long description.");
        assert_eq!(row(4, "a", 3, "A long description.", 20), "    a    A long d...");
        assert_eq!(row(4, "a", 3, "", 80), "    a");
    }

    #[test]
    fn formats_are_read() {
        assert_eq!(Format::parse("nested").unwrap(), Format::Nested);
        assert_eq!(Format::parse("nestde").unwrap_err().hints, ["did you mean `nested`?"]);
    }
}
