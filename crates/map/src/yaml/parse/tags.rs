//! Tags: ours stay on their nodes, core ones decide how a scalar is read, others are reported.

use saphyr_parser::{Span, Tag as RawTag};

use super::Builder;
use crate::diagnostic::{Finding, FindingKind, nearest};
use crate::yaml::{Scalar, ScalarKind, Tag, shortened};

impl Builder<'_> {
    /// Applies a tag to a scalar: core tags decide how its text is read.
    pub(super) fn scalar_tag(&mut self, tag: &RawTag, scalar: &mut Scalar, span: Span) -> Option<Tag> {
        let as_plain = Scalar::plain(scalar.text.clone());
        let fits = match tag.suffix.as_str() {
            // `! text` is a text (YAML 1.2 §6.9.1); the parser gives the `!` as the suffix.
            "!" if tag.handle.is_empty() => {
                scalar.plain = false;
                return None;
            }
            _ if !tag.is_yaml_core_schema() => return self.own_tag(tag, span),
            "str" => {
                scalar.plain = false;
                return None;
            }
            "null" => as_plain.kind() == ScalarKind::Null,
            "bool" => matches!(as_plain.kind(), ScalarKind::Bool(_) | ScalarKind::OldBool(_)),
            "int" => as_plain.number().is_some_and(|number| number.as_i64().is_some()),
            "float" => as_plain.kind() == ScalarKind::Number,
            _ => return self.own_tag(tag, span),
        };
        if fits {
            scalar.plain = true;
        } else {
            let message = format!("`{}` cannot be read as `!!{}`", shortened(&scalar.text), tag.suffix);
            self.report(span.start, message);
        }
        None
    }

    pub(super) fn own_tag(&mut self, tag: &RawTag, span: Span) -> Option<Tag> {
        let core = tag.is_yaml_core_schema();
        let written = if core { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let known = Tag::ALL.iter().copied().find(|known| known.as_str() == written);
        if known.is_none() {
            let names = Tag::ALL.map(Tag::as_str);
            let hint = match nearest(&written, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("known tags are `{}`", names.join("`, `")),
            };
            let message = format!("unknown tag `{}`", shortened(&written));
            let position = self.position(span.start);
            self.findings.push(Finding::error(FindingKind::Load, message).at(position.into()).hint(hint));
        }
        known
    }
}
