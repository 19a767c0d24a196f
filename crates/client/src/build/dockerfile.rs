//! Dockerfiles written by code: instructions at once, properties at the end (clients-tasks §10.1).

use std::fs;
use std::path::{Path, PathBuf};

use dfab_map::resolve::expand_path;
use dfab_map::value::Lookup;

use super::Error;
use super::archive::top_level;
use super::instruction::{self, Labels, Words};
use crate::shortcuts;

/// The base image where none is named.
const BASE_IMAGE: &str = "tianon/true:latest";

/// A Dockerfile that is being written, and the files that it adds.
///
/// Everything but properties is written at once; properties come at the end, in a fixed order, when the
/// file is [finalized](DockerFile::finalize). Mirrors Docker-Map's `DockerFile`, clients-tasks §10.1.
///
/// # Examples
///
/// ```
/// use dfab_client::build::DockerFile;
///
/// # fn main() -> Result<(), dfab_client::build::Error> {
/// let mut file = DockerFile::new("debian:12");
/// file.comment("tools")?.run(["apt-get", "update"])?.run_join(&["a", "b"])?;
/// file.properties()?.expose = Some(vec!["80".into(), "443/tcp".into()]);
/// file.finalize()?;
/// assert_eq!(file.text(), "FROM debian:12\n\n# tools\nRUN apt-get update\nRUN a && b\nEXPOSE 80 443/tcp\n");
/// assert!(file.blank().is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DockerFile {
    text: String,
    properties: Properties,
    files: Vec<(PathBuf, String)>,
    archives: Vec<PathBuf>,
    removed: Vec<String>,
    is_finalized: bool,
}

/// How a Dockerfile begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerFileOptions {
    /// `FROM`; `None` or an empty text writes none. `tianon/true:latest` by default.
    pub base_image: Option<String>,
    /// `MAINTAINER`, which Docker has deprecated.
    pub maintainer: Option<String>,
    /// Lines as they are, after the base image.
    pub initial: Vec<String>,
    /// What is written at the end.
    pub properties: Properties,
}

impl Default for DockerFileOptions {
    fn default() -> Self {
        Self {
            base_image: Some(BASE_IMAGE.to_owned()),
            maintainer: None,
            initial: Vec::new(),
            properties: Properties::default(),
        }
    }
}

/// Instructions that stand at the end of a Dockerfile, each at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// `VOLUME`; an empty list is written too.
    pub volumes: Option<Vec<String>>,
    /// `USER`, for what runs in a container; an empty text writes nothing.
    pub command_user: Option<String>,
    /// `WORKDIR`; an empty text writes nothing.
    pub command_workdir: Option<String>,
    /// `SHELL`: a list in JSON, a text as it is.
    pub shell: Option<Words>,
    /// `ENTRYPOINT`
    pub entrypoint: Option<Words>,
    /// `CMD`
    pub command: Option<Words>,
    /// Writes `ENTRYPOINT` and `CMD` in shell form.
    pub command_shell: bool,
    /// `EXPOSE`: ports, with `/udp` where it is not TCP; an empty list writes nothing.
    pub expose: Option<Vec<String>>,
    /// `LABEL`; empty labels write nothing.
    pub labels: Option<Labels>,
    /// `STOPSIGNAL`
    pub stop_signal: Option<String>,
    /// `HEALTHCHECK`: `CMD curl -f http://localhost/` or `NONE`.
    pub health_check: Option<String>,
}

/// A file or folder that goes into the image.
#[derive(Clone, Default)]
pub struct AddFile<'a> {
    /// File or folder on this machine; a slash at its end is ignored.
    pub source: String,
    /// Path in the image; `None` is the last element of `source`.
    pub target: Option<String>,
    /// Path in the build context; `None` is the target.
    pub context: Option<String>,
    /// Writes the paths as they are, without minding blanks and what else means something in `ADD`.
    pub verbatim: bool,
    /// Expands `$VARIABLE` and `~` in all three paths.
    pub expand: Option<&'a dyn Lookup>,
    /// Removes the target again at the end of the Dockerfile. It stays in the layer that added it.
    pub remove_final: bool,
}

impl AddFile<'_> {
    /// Adds `source` under its own name.
    pub fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), ..Self::default() }
    }
}

type Written<'a> = Result<&'a mut DockerFile, Error>;

impl DockerFile {
    /// Starts a Dockerfile with a base image.
    pub fn new(base_image: impl Into<String>) -> Self {
        Self::with(DockerFileOptions { base_image: Some(base_image.into()), ..DockerFileOptions::default() })
    }

    /// Starts a Dockerfile.
    pub fn with(options: DockerFileOptions) -> Self {
        let DockerFileOptions { base_image, maintainer, initial, properties } = options;
        let mut text = String::new();
        if let Some(image) = base_image.filter(|image| !image.is_empty()) {
            text.push_str(&format!("FROM {image}\n"));
        }
        text.push('\n');
        if let Some(maintainer) = maintainer.filter(|maintainer| !maintainer.is_empty()) {
            text.push_str(&format!("MAINTAINER {maintainer}\n\n"));
        }
        initial.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        let (files, archives, removed) = Default::default();
        Self { text, properties, files, archives, removed, is_finalized: false }
    }

    /// Returns what has been written so far; properties are part of it once the file is finalized.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the properties, to be changed.
    ///
    /// # Errors
    ///
    /// [`Error::FileFinalized`] when they are written already; so do all methods that write.
    pub fn properties(&mut self) -> Result<&mut Properties, Error> {
        self.open()?;
        Ok(&mut self.properties)
    }

    /// Writes text as it is, without a line break.
    pub fn write(&mut self, text: &str) -> Written<'_> {
        self.open()?;
        self.text.push_str(text);
        Ok(self)
    }

    /// Writes a line as it is.
    pub fn write_line(&mut self, line: &str) -> Written<'_> {
        self.write(line)?.write("\n")
    }

    /// Writes lines as they are.
    pub fn write_lines<T: AsRef<str>>(&mut self, lines: impl IntoIterator<Item = T>) -> Written<'_> {
        for line in lines {
            self.write_line(line.as_ref())?;
        }
        self.open()?;
        Ok(self)
    }

    /// Writes an empty line.
    pub fn blank(&mut self) -> Written<'_> {
        self.write("\n")
    }

    /// Writes a comment; an empty one is a lone `#`.
    pub fn comment(&mut self, text: &str) -> Written<'_> {
        let text = Some(text).filter(|text| !text.is_empty());
        self.prefix("#", text)
    }

    /// Writes an instruction with its arguments, which are joined by blanks.
    ///
    /// # Errors
    ///
    /// [`Error::LineBreak`] when the result would not be one instruction.
    pub fn prefix<T: AsRef<str>>(
        &mut self,
        instruction: &str,
        arguments: impl IntoIterator<Item = T>,
    ) -> Written<'_> {
        let arguments: Vec<T> = arguments.into_iter().collect();
        let text = arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        if !is_one_instruction(&text) {
            return Err(Error::LineBreak { instruction: instruction.to_owned(), text });
        }
        match arguments.is_empty() {
            true => self.write_line(instruction),
            false => self.write_line(&format!("{instruction} {text}")),
        }
    }

    /// Writes one instruction a line; a line of no words, or of one empty one, is an empty line.
    ///
    /// # Errors
    ///
    /// As [`DockerFile::prefix`].
    pub fn prefix_all<T: AsRef<str>>(&mut self, instruction: &str, lines: &[&[T]]) -> Written<'_> {
        for line in lines {
            match line {
                [] => self.blank()?,
                [only] if only.as_ref().is_empty() => self.blank()?,
                words => self.prefix(instruction, words.iter())?,
            };
        }
        self.open()?;
        Ok(self)
    }

    /// Writes `RUN` with its arguments, which are joined by blanks.
    ///
    /// # Errors
    ///
    /// As [`DockerFile::prefix`].
    pub fn run<T: AsRef<str>>(&mut self, arguments: impl IntoIterator<Item = T>) -> Written<'_> {
        self.prefix("RUN", arguments)
    }

    /// Writes one `RUN` a line, as [`DockerFile::prefix_all`].
    ///
    /// # Errors
    ///
    /// As [`DockerFile::prefix`].
    pub fn run_all<T: AsRef<str>>(&mut self, lines: &[&[T]]) -> Written<'_> {
        self.prefix_all("RUN", lines)
    }

    /// Writes one `RUN` of all lines, joined by `&&`.
    ///
    /// # Errors
    ///
    /// As [`DockerFile::prefix`].
    pub fn run_join<T: AsRef<str>>(&mut self, lines: &[T]) -> Written<'_> {
        let joined = lines.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" && ");
        self.run([joined])
    }

    /// Adds a path to the property `volumes`.
    ///
    /// # Errors
    ///
    /// [`Error::FileFinalized`].
    pub fn add_volume(&mut self, path: impl Into<String>) -> Written<'_> {
        self.properties()?.volumes.get_or_insert_default().push(path.into());
        Ok(self)
    }

    /// Writes `ADD` for a file or folder, remembers it for the build context, and returns its path there.
    ///
    /// # Errors
    ///
    /// [`Error::NoFileName`], [`Error::Expansion`], [`Error::Outside`].
    pub fn add_file(&mut self, file: &AddFile<'_>) -> Result<String, Error> {
        self.open()?;
        let expanded = |path: &str| match file.expand {
            None => Ok(path.to_owned()),
            Some(lookup) => expand_path(path, lookup)
                .map_err(|message| Error::Expansion { path: path.to_owned(), message }),
        };
        let source = expanded(&file.source)?;
        let target = match file.target.as_deref().filter(|target| !target.is_empty()) {
            Some(target) => expanded(target)?,
            None => {
                let name = Path::new(&source).file_name().and_then(|name| name.to_str());
                name.ok_or_else(|| Error::NoFileName(file.source.clone()))?.to_owned()
            }
        };
        let context = match file.context.as_deref().filter(|context| !context.is_empty()) {
            Some(context) => expanded(context)?,
            None => target.clone(),
        };
        member_name(&context)?;
        self.add(&context, &target, file.verbatim)?;
        if file.remove_final {
            self.removed.push(target);
        }
        self.files.push((source.into(), context.clone()));
        Ok(context)
    }

    /// Writes `ADD` for each top-level member of a tar archive, plain or compressed, remembers the archive
    /// for the build context, and returns the members' names.
    ///
    /// # Errors
    ///
    /// [`Error::Archive`] and [`Error::Member`] for an archive that cannot be taken.
    pub fn add_archive(
        &mut self,
        path: impl Into<PathBuf>,
        remove_final: bool,
    ) -> Result<Vec<String>, Error> {
        self.open()?;
        let path = path.into();
        let names = top_level(&path)?;
        for name in &names {
            self.add(name, name, false)?;
            if remove_final {
                self.removed.push(name.clone());
            }
        }
        self.archives.push(path);
        Ok(names)
    }

    /// Paths with blanks need the JSON form: `ADD` knows no quotation.
    fn add(&mut self, context: &str, target: &str, verbatim: bool) -> Result<(), Error> {
        let (source, destination) = match verbatim {
            true => (context.to_owned(), target.to_owned()),
            false => (instruction::path(context, true), instruction::path(target, false)),
        };
        let needs_json = |path: &str| path.contains(char::is_whitespace) || path.starts_with("--");
        if !verbatim && (needs_json(&source) || needs_json(&destination)) {
            self.prefix("ADD", [instruction::json(&[source, destination])])?;
        } else {
            self.prefix("ADD", [source, destination])?;
        }
        Ok(())
    }

    /// Writes the properties; from then on nothing can be written. Once more is harmless.
    ///
    /// # Errors
    ///
    /// [`Error::CommandText`] for a command text that is none; nothing is written then.
    pub fn finalize(&mut self) -> Result<(), Error> {
        if !self.is_finalized {
            let end = self.properties.text(&self.removed)?;
            self.text.push_str(&end);
            self.is_finalized = true;
        }
        Ok(())
    }

    /// Finalizes the file and writes it to `path`.
    ///
    /// # Errors
    ///
    /// As [`DockerFile::finalize`], and [`Error::Write`].
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<(), Error> {
        self.finalize()?;
        let path = path.as_ref();
        fs::write(path, &self.text).map_err(|source| Error::Write { path: path.to_owned(), source })
    }

    /// Files and folders, and their paths in the context.
    pub(super) fn files(&self) -> &[(PathBuf, String)] {
        &self.files
    }

    pub(super) fn archives(&self) -> &[PathBuf] {
        &self.archives
    }

    fn open(&self) -> Result<(), Error> {
        if self.is_finalized { Err(Error::FileFinalized) } else { Ok(()) }
    }
}

impl Properties {
    /// The last lines, in the order of clients-tasks §10.1.4.
    fn text(&self, removed: &[String]) -> Result<String, Error> {
        let mut lines = Vec::new();
        if !removed.is_empty() {
            lines.extend(removed.iter().map(|target| format!("RUN rm -Rf {}", shortcuts::quoted(target))));
            lines.push(String::new());
        }
        let mut line = |instruction: &str, text: Option<String>| {
            lines.extend(text.filter(|text| !text.is_empty()).map(|text| format!("{instruction} {text}")));
        };
        let command = |words: &Words| instruction::command(words, self.command_shell);
        line("VOLUME", self.volumes.as_deref().map(instruction::json));
        line("USER", self.command_user.clone());
        line("WORKDIR", self.command_workdir.clone());
        line(
            "SHELL",
            self.shell.as_ref().map(|shell| match shell {
                Words::Text(text) => text.clone(),
                Words::List(list) => instruction::json(list),
            }),
        );
        line("ENTRYPOINT", self.entrypoint.as_ref().map(command).transpose()?);
        line("CMD", self.command.as_ref().map(command).transpose()?);
        line("EXPOSE", self.expose.as_ref().map(|ports| ports.join(" ")));
        line("LABEL", self.labels.as_ref().map(instruction::labels));
        line("STOPSIGNAL", self.stop_signal.clone());
        line("HEALTHCHECK", self.health_check.clone());
        Ok(lines.into_iter().map(|line| line + "\n").collect())
    }
}

/// The name of a context's member: without slashes at its ends and without `.` elements.
pub(super) fn member_name(path: &str) -> Result<String, Error> {
    let elements: Vec<&str> = path.split('/').filter(|element| !matches!(*element, "" | ".")).collect();
    if elements.contains(&"..") {
        return Err(Error::Outside(path.to_owned()));
    }
    Ok(elements.join("/"))
}

/// Tells whether text stays one instruction: every line but the last ends with a backslash, or a heredoc
/// begins in the first one.
fn is_one_instruction(text: &str) -> bool {
    let mut lines: Vec<&str> = text.split('\n').collect();
    let _last = lines.pop();
    lines.iter().all(|line| line.trim_end().ends_with('\\'))
        || lines.first().is_some_and(|line| has_heredoc(line))
}

/// `<<EOF`, `<<-EOF`, `<<"EOF"`.
fn has_heredoc(line: &str) -> bool {
    line.match_indices("<<").any(|(at, _)| {
        let word = line[at + 2..].trim_start_matches('-').trim_start_matches(['"', '\'']);
        word.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    })
}

#[cfg(test)]
mod tests;
