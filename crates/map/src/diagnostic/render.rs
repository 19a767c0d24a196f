//! Findings as text for people: message, place, source line with a marker, what to do.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};

use super::{Finding, Place, Severity, Sources};

/// How findings are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// With ANSI colours.
    pub color: bool,
    /// Columns to fit overlong source lines into; `None` is 140.
    pub width: Option<usize>,
}

/// Renders one finding in several lines, without a newline at the end.
///
/// Places whose line is not known to the finding are looked up in `sources`; without it, the file
/// name and position are shown alone.
pub fn render(finding: &Finding, sources: &Sources, options: RenderOptions) -> String {
    let mut finding = finding.clone();
    sources.fill_finding(&mut finding);
    let level = match finding.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let id = finding.kind.as_str();
    let subject = (!finding.subject.is_empty()).then(|| finding.subject.to_string());
    // The subject stands at the marker; without a source line it goes in front of the message.
    let shown = finding.place.as_ref().is_some_and(|place| !place.line_text.is_empty());
    let message = match &subject {
        Some(subject) if !shown => format!("{subject}: {}", finding.message),
        _ => finding.message.clone(),
    };
    let label = subject.as_deref().filter(|_| shown);
    let mut group = Group::with_title(level.primary_title(message).id(id));
    if let Some(place) = &finding.place {
        group = group.element(place_element(place, AnnotationKind::Primary, label));
    }
    for (place, text) in &finding.related {
        group = group.element(place_element(place, AnnotationKind::Context, Some(text)));
    }
    group = group.elements(finding.hint.iter().map(|hint| Level::HELP.message(hint)));
    let renderer = if options.color { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(options.width.unwrap_or(140)).render(&[group])
}

/// Renders all findings, a blank line between them.
pub fn render_all<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    sources: &Sources,
    options: RenderOptions,
) -> String {
    let texts: Vec<String> = findings.into_iter().map(|finding| render(finding, sources, options)).collect();
    texts.join("\n\n")
}

fn place_element<'a>(place: &'a Place, kind: AnnotationKind, label: Option<&'a str>) -> Element<'a> {
    let position = &place.position;
    let (line, column) = (position.line as usize, position.column as usize);
    if place.line_text.is_empty() {
        return Origin::path(&*position.file).line(line).char_column(column).into();
    }
    let start = byte_offset(&place.line_text, column.saturating_sub(1));
    let length = byte_offset(&place.line_text[start..], place.length.max(1) as usize);
    let annotation = kind.span(start..start + length).label(label);
    Snippet::source(&place.line_text).line_start(line).path(&*position.file).annotation(annotation).into()
}

/// Returns the byte offset of character `count` of `text`, at most its length.
fn byte_offset(text: &str, count: usize) -> usize {
    text.char_indices().nth(count).map_or(text.len(), |(offset, _)| offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{FindingKind, Subject};
    use crate::position::Position;

    fn finding() -> Finding {
        let subject = Subject {
            map: Some("shop".to_owned()),
            object: Some(("configuration", "web".to_owned())),
            property: Some("exposes[0]".to_owned()),
        };
        Finding::error(FindingKind::InvalidInput, "port `70000` is out of range")
            .about(subject)
            .at(Place { position: Position::new("shop.yaml", 3, 12), line_text: String::new(), length: 5 })
            .hint("ports go from 1 to 65535")
    }

    #[test]
    fn shows_place_marker_subject_and_hint() {
        let sources = Sources::of("shop.yaml", "name: shop\nweb:\n  exposes: 70000\n");
        insta::assert_snapshot!(render(&finding(), &sources, RenderOptions::default()), @r"
        error[invalid_input]: port `70000` is out of range
         --> shop.yaml:3:12
          |
        3 |   exposes: 70000
          |            ^^^^^ `exposes[0]` of configuration `web` in map `shop`
          |
          = help: ports go from 1 to 65535
        ");
    }

    #[test]
    fn shows_the_place_alone_without_its_source() {
        insta::assert_snapshot!(render(&finding(), &Sources::default(), RenderOptions::default()), @r"
        error[invalid_input]: `exposes[0]` of configuration `web` in map `shop`: port `70000` is out of range
        --> shop.yaml:3:12
         = help: ports go from 1 to 65535
        ");
    }

    #[test]
    fn a_place_beyond_its_line_does_not_panic() {
        let sources = Sources::of("shop.yaml", "\n\nä");
        assert!(render(&finding(), &sources, RenderOptions::default()).contains("shop.yaml:3"));
    }
}
