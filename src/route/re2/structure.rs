//! How a pattern nests: parsed by `regex-syntax`, whose complaints are reported at their place in the Go pattern, and held to Go's bounds.

use regex_syntax::ast::{self, Ast, ErrorKind, RepetitionKind, RepetitionRange, Visitor};
use regex_syntax::hir::{Hir, translate::Translator};

use super::translate::Translated;
use super::{MAX_REPEAT, NEST_LIMIT, PatternError, too_large};

/// How deep groups and repetitions may nest. Go stops at 1000; this many are safe on a small stack.
pub(super) const MAX_DEPTH: u32 = 150;

/// Parses a translated pattern.
pub(super) fn parse(translated: &Translated) -> Result<Hir, PatternError> {
    let parsed = ast::parse::ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(&translated.text);
    let ast = parsed.map_err(|error| {
        let at = translated.offset(error.span().start.offset);
        match error.kind() {
            ErrorKind::GroupUnclosed => PatternError::new(at, "`(` has no closing `)`", "close it, or write `\\(` for the character"),
            ErrorKind::GroupUnopened => PatternError::new(
                at,
                "`)` closes nothing",
                "put the whole alternative in one pair, like `(a|b)`, or write `\\)`; Alertmanager takes `a)|(b` only by accident of how it anchors",
            ),
            ErrorKind::RepetitionMissing => {
                let help = "put a character before it, or write it as `\\*`, `\\+`, `\\?`, `\\{`";
                PatternError::new(at, "there is nothing here to repeat", help)
            }
            ErrorKind::NestLimitExceeded(_) => too_deep(at),
            _ => too_large(),
        }
    })?;
    ast::visit(&ast, Bounds { translated, path: Vec::new() })?;
    Translator::new().translate(&translated.text, &ast).map_err(|_| too_large())
}

fn too_deep(at: usize) -> PatternError {
    PatternError::new(at, format!("groups and repetitions nest more than {MAX_DEPTH} deep"), "write it flatter")
}

/// Go's bounds, checked on the way from the root to each leaf.
struct Bounds<'t> {
    translated: &'t Translated,
    /// How often each open group or repetition asks for what is in it.
    path: Vec<u32>,
}

impl Visitor for Bounds<'_> {
    type Output = ();
    type Err = PatternError;

    fn finish(self) -> Result<(), PatternError> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), PatternError> {
        let (times, span) = match ast {
            Ast::Group(group) => (1, group.span),
            Ast::Repetition(repetition) => (times(&repetition.op.kind), repetition.op.span),
            _ => return Ok(()),
        };
        self.path.push(times);
        let at = self.translated.offset(span.start.offset);
        if self.path.len() > MAX_DEPTH as usize {
            return Err(too_deep(at));
        }
        if times >= 2 && self.path.iter().fold(1, |product: u32, times| product.saturating_mul(*times)) > MAX_REPEAT {
            let help = format!("keep the product of their counts within {MAX_REPEAT}");
            return Err(PatternError::new(at, "nested repetitions multiply to more than Go allows", help));
        }
        Ok(())
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), PatternError> {
        if matches!(ast, Ast::Group(_) | Ast::Repetition(_)) {
            self.path.pop();
        }
        Ok(())
    }
}

/// The count that nesting multiplies.
fn times(kind: &RepetitionKind) -> u32 {
    match kind {
        RepetitionKind::Range(RepetitionRange::Exactly(n) | RepetitionRange::AtLeast(n) | RepetitionRange::Bounded(_, n)) => (*n).max(1),
        _ => 1,
    }
}
