//! From parser events to nodes, with a stack instead of recursion.

mod tags;

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag as RawTag};

use super::merge::{self, MERGE_KEY};
use super::outlet::Outlet;
use super::{
    Content, Entry, Key, MAX_DEPTH, MAX_FINDINGS, MAX_NODES, MAX_TEXT, Node, Scalar, ScalarKind, Tag,
};
use crate::diagnostic::{Finding, FindingKind, Findings, Sources};
use crate::position::{FileName, Position};

/// Reads the one document of `text`. An empty text is a null.
///
/// `file` is the name that positions carry.
///
/// # Errors
///
/// Findings of kind `Load`, with their source lines: no valid YAML, more than one document, duplicate
/// keys, unknown tags, keys that are no texts, and texts beyond the limits of [`crate::yaml`].
pub fn parse(text: &str, file: &str) -> Result<Node, Findings> {
    read(text, file, None).map(|(root, _)| root)
}

/// The root of a text whose entries were asked for one by one.
pub(crate) enum Root {
    /// A mapping without its entries, all of which were given away.
    Given(Node),
    /// A root that has to be read as a whole. What was given away before does not count.
    Whole(Node),
}

/// Reads the one document of `text` as [`parse`] does, and gives the entries of its root away as soon as
/// they are complete. On an error, they do not count.
pub(crate) fn entries(text: &str, file: &str, give: &mut dyn FnMut(Entry)) -> Result<Root, Findings> {
    match read(text, file, Some(Outlet::new(give)))? {
        (_, Some(outlet)) if outlet.merges => parse(text, file).map(Root::Whole),
        (root, Some(_)) => Ok(Root::Given(root)),
        (root, None) => Ok(Root::Whole(root)),
    }
}

/// Reads a text. The outlet comes back when the entries of the root went there.
fn read<'a>(
    text: &'a str,
    file: &str,
    outlet: Option<Outlet<'a>>,
) -> Result<(Node, Option<Outlet<'a>>), Findings> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > MAX_TEXT {
        let message = format!("`{file}` has {} bytes, more than the limit of {MAX_TEXT}", text.len());
        return Err(Findings(vec![Finding::error(FindingKind::Load, message)]));
    }
    let mut builder = Builder::new(text, file);
    builder.outlet = outlet;
    let root = builder.run(text);
    if builder.findings.is_empty() {
        let root = root.unwrap_or_else(|| builder.null(Position::new(builder.file.clone(), 1, 1)));
        return Ok((root, builder.outlet));
    }
    let mut findings = Findings(builder.findings);
    Sources::of(file, text).fill_all(&mut findings);
    Err(findings)
}

/// A finished node with what the limits need to know about it.
#[derive(Clone)]
struct Built {
    node: Node,
    /// Nodes in it, itself included.
    size: usize,
    /// Levels of lists and mappings in it.
    height: usize,
}

/// A list or mapping whose end has not been read.
struct Frame {
    anchor: usize,
    tag: Option<Tag>,
    start: Marker,
    size: usize,
    height: usize,
    open: Open,
}

enum Open {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, merge: Option<(Key, Node)>, key: PendingKey },
}

/// The key whose value comes next.
enum PendingKey {
    /// A key comes next.
    None,
    /// An ordinary key.
    Key(Key),
    /// A merge key.
    Merge(Key),
    /// A key that was reported; its value is dropped.
    Invalid,
}

struct Builder<'a> {
    file: FileName,
    lines: Vec<&'a str>,
    findings: Vec<Finding>,
    stack: Vec<Frame>,
    anchors: HashMap<usize, Built>,
    nodes: usize,
    root: Option<Node>,
    /// Takes the entries of the root, as long as that is one of which they can be taken.
    outlet: Option<Outlet<'a>>,
}

/// The text is not read further; if it cannot be, the finding has been made.
struct Stop;

impl<'a> Builder<'a> {
    fn new(text: &'a str, file: &str) -> Self {
        Self {
            file: file.into(),
            lines: crate::diagnostic::lines(text).collect(),
            findings: Vec::new(),
            stack: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            root: None,
            outlet: None,
        }
    }

    fn run(&mut self, text: &str) -> Option<Node> {
        // The parser takes a NUL for the end of the text, which would hide the rest of it.
        if let Some(place) = self.control_character() {
            let message =
                "the text holds a character that YAML does not allow, or that its versions read differently";
            let hint = "write it in double quotes as an escape, such as `\\u0085`";
            self.findings.push(Finding::error(FindingKind::Load, message).at(place).hint(hint));
            return None;
        }
        let mut parser = Parser::new_from_str(text);
        let mut documents = 0;
        while let Some(event) = parser.next_event() {
            let done = match event {
                Ok((Event::DocumentStart(_), span)) => {
                    documents += 1;
                    if documents > 1 { self.second_document(span) } else { Ok(()) }
                }
                Ok((event, span)) => self.event(event, span),
                Err(error) => self.not_yaml(&error),
            };
            if done.is_err() {
                return None;
            }
            if self.findings.len() >= MAX_FINDINGS {
                let message = format!("reading stopped after {MAX_FINDINGS} findings");
                self.findings.push(Finding::error(FindingKind::Load, message));
                return None;
            }
        }
        self.root.take()
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                let mut scalar = Scalar { text: text.into(), plain };
                let position = self.position(span.start);
                let length = self.length(span.start, span.end);
                let tag = match tag {
                    Some(tag) => self.scalar_tag(&tag, &mut scalar, span),
                    None => None,
                };
                let node = Node { content: Content::Scalar(scalar), tag, position, length };
                self.finish(Built { node, size: 1, height: 0 }, anchor, span)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(anchor, tag.as_deref(), "seq", span, Open::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let open = Open::Mapping { entries: Vec::new(), merge: None, key: PendingKey::None };
                self.open(anchor, tag.as_deref(), "map", span, open)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(built) => {
                    if self.nodes + built.size > MAX_NODES {
                        return self.too_many(span);
                    }
                    let built = built.clone();
                    self.nodes += built.size;
                    self.place(built, span)
                }
                None => self.stop(span.start, "an alias stands inside the very value that it names"),
            },
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn open(
        &mut self,
        anchor: usize,
        tag: Option<&RawTag>,
        core: &str,
        span: Span,
        open: Open,
    ) -> Result<(), Stop> {
        if self.stack.len() >= MAX_DEPTH {
            return self.too_deep(span);
        }
        let tag = match tag {
            Some(tag) if tag.is_yaml_core_schema() && tag.suffix == core => None,
            Some(tag) => self.own_tag(tag, span),
            None => None,
        };
        // What a tag means for the entries, and what an anchor names, is a matter of the whole.
        let is_plain = anchor == 0 && tag.is_none() && matches!(open, Open::Mapping { .. });
        if self.stack.is_empty() && !is_plain {
            self.outlet = None;
        }
        self.stack.push(Frame { anchor, tag, start: span.start, size: 1, height: 0, open });
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), Stop> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let (start, end) = (frame.start, span.end);
        let content = match frame.open {
            Open::List(mut items) => {
                items.shrink_to_fit();
                Content::List(items)
            }
            Open::Mapping { entries, merge, .. } => {
                Content::Mapping(merge::close(entries, merge, &mut self.findings))
            }
        };
        // A block collection is marked by its first character or key, a flow one as a whole.
        let opener = self.line(start).chars().nth(start.col());
        let length = match (opener, &content) {
            (Some('[' | '{'), _) => self.length(start, end),
            (_, Content::Mapping(entries)) => match (entries.first(), &self.outlet) {
                (Some(entry), _) => entry.key.length,
                (None, Some(outlet)) if self.stack.is_empty() => outlet.first_length.unwrap_or(1),
                (None, _) => 1,
            },
            _ => 1,
        };
        let node = Node { content, tag: frame.tag, position: self.position(start), length };
        let built = Built { node, size: frame.size, height: frame.height + 1 };
        self.finish(built, frame.anchor, span)
    }

    /// Counts a new node, remembers it under its anchor and puts it in its place.
    fn finish(&mut self, built: Built, anchor: usize, span: Span) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.too_many(span);
        }
        if anchor != 0 {
            // The copy is memory of its own: it counts, so that nested anchors stay bounded.
            self.nodes += built.size;
            if self.nodes > MAX_NODES {
                return self.too_many(span);
            }
            self.anchors.insert(anchor, built.clone());
        }
        self.place(built, span)
    }

    /// Puts a node where it belongs: into the open list or mapping, or at the root.
    fn place(&mut self, built: Built, span: Span) -> Result<(), Stop> {
        if self.stack.len() + built.height > MAX_DEPTH {
            return self.too_deep(span);
        }
        let outlet = self.outlet.as_mut().filter(|_| self.stack.len() == 1);
        let Some(frame) = self.stack.last_mut() else {
            if !matches!(built.node.content, Content::Mapping(_)) {
                self.outlet = None;
            }
            self.root = Some(built.node);
            return Ok(());
        };
        frame.size += built.size;
        frame.height = frame.height.max(built.height);
        let node = built.node;
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Mapping { entries, merge, key } => match std::mem::replace(key, PendingKey::None) {
                PendingKey::None => {
                    *key = pending_key(node, &mut self.findings);
                    if let (PendingKey::Merge(_), Some(outlet)) = (key, outlet) {
                        outlet.merges = true;
                        return Err(Stop);
                    }
                }
                PendingKey::Key(key) => match outlet {
                    Some(outlet) => outlet.give(entry(key, node), &mut self.findings),
                    None => entries.push(entry(key, node)),
                },
                PendingKey::Merge(key) => match merge {
                    Some((first, _)) => {
                        let hint = "merge several mappings with one key: `<<: [*first, *second]`";
                        self.findings.push(merge::duplicate(&key, first).hint(hint));
                    }
                    None => *merge = Some((key, node)),
                },
                PendingKey::Invalid => {}
            },
        }
        Ok(())
    }

    fn not_yaml(&mut self, error: &ScanError) -> Result<(), Stop> {
        if error.info() == "recursion limit exceeded" {
            // The scanner looks ahead and meets its own limit (255 flow levels) before ours.
            return self.too_deep(Span::empty(*error.marker()));
        }
        let position = self.position(*error.marker());
        let finding = Finding::error(FindingKind::Load, format!("not valid YAML: {}", error.info()))
            .at(position.into());
        let hint = hint(error.info());
        self.findings.push(match hint {
            Some(hint) => finding.hint(hint),
            None => finding,
        });
        Err(Stop)
    }

    fn second_document(&mut self, span: Span) -> Result<(), Stop> {
        self.stop(span.start, "a second document starts here; one file holds one document")
    }

    fn too_many(&mut self, span: Span) -> Result<(), Stop> {
        let message = format!("the text has more than {MAX_NODES} values once its aliases are expanded");
        self.stop(span.start, message)
    }

    fn too_deep(&mut self, span: Span) -> Result<(), Stop> {
        self.stop(span.start, format!("lists and mappings are nested more than {MAX_DEPTH} deep"))
    }

    fn stop(&mut self, at: Marker, message: impl Into<String>) -> Result<(), Stop> {
        self.report(at, message);
        Err(Stop)
    }

    fn report(&mut self, at: Marker, message: impl Into<String>) {
        let position = self.position(at);
        self.findings.push(Finding::error(FindingKind::Load, message).at(position.into()));
    }

    fn control_character(&self) -> Option<crate::diagnostic::Place> {
        // Some of these are line breaks to YAML 1.1 readers and ordinary characters to others.
        let allowed = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}') || c == '\t';
        // Most texts show by their bytes alone that they have none.
        let plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t');
        let mut unusual =
            self.lines.iter().enumerate().filter(|(_, text)| !text.as_bytes().iter().all(plain));
        unusual.find_map(|(line, text)| {
            let column = text.chars().position(|c| !allowed(c))?;
            Some(Position::new(self.file.clone(), number(line + 1), number(column + 1)).into())
        })
    }

    fn null(&self, position: Position) -> Node {
        Node::new(Content::Scalar(Scalar::plain("")), position, 1)
    }

    fn position(&self, marker: Marker) -> Position {
        if marker.line() > self.lines.len() {
            // The end of a text without a final line break: show the end of its last line.
            let column = self.lines.last().map_or(0, |line| line.chars().count());
            return Position::new(self.file.clone(), number(self.lines.len()), number(column + 1));
        }
        Position::new(self.file.clone(), number(marker.line().max(1)), number(marker.col() + 1))
    }

    fn line(&self, marker: Marker) -> &'a str {
        marker.line().checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default()
    }

    /// How many characters of the first line lie between two markers.
    fn length(&self, start: Marker, end: Marker) -> u32 {
        let end = match end.line() == start.line() {
            true => end.col(),
            false => self.line(start).trim_end().chars().count(),
        };
        number(end.saturating_sub(start.col()).max(1))
    }
}

/// Turns a node in key position into a key.
fn pending_key(node: Node, findings: &mut Vec<Finding>) -> PendingKey {
    let place = node.place();
    let described = node.describe();
    match node {
        Node { content: Content::Scalar(scalar), tag: None, position, length }
            if scalar.kind() != ScalarKind::Null =>
        {
            let merge = scalar.plain && scalar.text == MERGE_KEY;
            let key = Key { text: scalar.text, position, length };
            if merge { PendingKey::Merge(key) } else { PendingKey::Key(key) }
        }
        _ => {
            let message = format!("a key must be a plain text, found {described}");
            findings.push(Finding::error(FindingKind::Load, message).at(place));
            PendingKey::Invalid
        }
    }
}

/// Makes an entry; an empty value stands at its key, since it has no characters to point at.
fn entry(key: Key, mut value: Node) -> Entry {
    let empty = matches!(&value.content, Content::Scalar(scalar) if scalar.plain && scalar.text.is_empty());
    if empty && value.tag.is_none() {
        value.position = key.position.clone();
        value.length = key.length;
    }
    Entry { key, value }
}

/// Says what to do about the parser's most frequent complaints.
fn hint(info: &str) -> Option<&'static str> {
    const HINTS: [(&str, &str); 6] = [
        ("tabs disallowed", "indent with spaces"),
        ("unknown anchor", "an anchor is set with `&name` before it is used, in the same file"),
        (
            "mapping values are not allowed",
            "a text that holds `: ` needs quotes; keys of one mapping stand in one column",
        ),
        ("expected ',' or", "a bracket that was opened before is not closed, or a comma is missing"),
        (
            "invalid indentation",
            "lines inside brackets or quotes stand further to the right than the key they belong to",
        ),
        ("simple key expect", "this line has no `:`, or the text before it needs quotes"),
    ];
    HINTS.iter().find(|(part, _)| info.contains(part)).map(|(_, hint)| *hint)
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
