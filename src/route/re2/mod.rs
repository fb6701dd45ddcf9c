//! Go's RE2 regular expressions, anchored at both ends, on top of the `regex` crate.
//!
//! The two languages look alike and differ in many corners (ASCII classes, `\Q..\E`, `[a&&b]`, stacked repetitions), so a
//! pattern is translated token by token and refused, with a position, when Go refuses it; `regex-syntax` parses how it nests. Knows nothing of labels or routes.
//!
//! Syntax: <https://pkg.go.dev/regexp/syntax>.

mod class;
mod escape;
mod example;
mod structure;
mod translate;

#[cfg(test)]
mod tests;

pub use example::example;
use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, literal::Extractor};

/// The most a compiled pattern may take, in bytes.
pub const MAX_COMPILED: usize = 1 << 20;

/// The most characters a pattern may have: room for some thousand host names, and bounded work to refuse one.
pub const MAX_LENGTH: usize = 64 * 1024;

/// The most texts of a pattern that are listed, and the most bytes of each.
const MAX_TEXTS: usize = 10_000;
const MAX_TEXT: usize = 255;

/// The largest character class that is spelled out in listed texts; larger ones are the engine's work.
const MAX_CLASS: usize = 16;

/// The most that one repetition, or nested ones multiplied, may ask for; Go's own limit.
const MAX_REPEAT: u32 = 1000;

/// What `regex-syntax` must allow for [`structure::MAX_DEPTH`]: each level may be a repetition of a group with alternatives of sequences.
const NEST_LIMIT: u32 = structure::MAX_DEPTH * 5;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}, at character {} of the regular expression; {help}", .offset + 1)]
pub struct PatternError {
    /// Where: characters into the pattern, from 0; at most its length.
    pub offset: usize,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: String,
}

impl PatternError {
    fn new(offset: usize, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self { offset, reason: reason.into(), help: help.into() }
    }
}

fn too_large() -> PatternError {
    let reason = format!("the regular expression compiles to more than {} KiB", MAX_COMPILED / 1024);
    PatternError::new(0, reason, "use smaller repetition counts, fewer Unicode classes, or split it over several routes")
}

/// Every text that the pattern matches as a whole, sorted and without repeats; `None` when there are too many, when one is long, or when it looks around.
fn all_texts(hir: &Hir) -> Option<Vec<Box<str>>> {
    if !hir.properties().look_set().is_empty() {
        return None;
    }
    let listed = Extractor::new().limit_class(MAX_CLASS).limit_literal_len(MAX_TEXT).limit_total(MAX_TEXTS).extract(hir);
    let literals = listed.literals().filter(|_| listed.is_exact())?;
    let mut texts: Vec<Box<str>> = literals.iter().map(|text| std::str::from_utf8(text.as_bytes()).map(Box::from)).collect::<Result<_, _>>().ok()?;
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

/// A compiled pattern that matches whole texts only.
#[derive(Debug, Clone)]
pub struct Pattern(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// Exactly these texts, sorted: most patterns in routing files are `a|b|c`, and comparing beats running a regex.
    OneOf(Vec<Box<str>>),
    Engine(Regex),
}

impl Pattern {
    /// Compiles a pattern in Go's syntax.
    ///
    /// # Errors
    /// Where and why Go refuses it, or that it is larger than [`MAX_COMPILED`] or [`MAX_LENGTH`] allow.
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let translated = translate::translate(pattern)?;
        let hir = structure::parse(&translated)?;
        if let Some(texts) = all_texts(&hir) {
            return Ok(Self(Kind::OneOf(texts)));
        }
        let anchored = format!(r"\A(?:{})\z", translated.text);
        let regex = RegexBuilder::new(&anchored).size_limit(MAX_COMPILED).nest_limit(NEST_LIMIT).build().map_err(|_| too_large())?;
        Ok(Self(Kind::Engine(regex)))
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        match &self.0 {
            Kind::OneOf(texts) => texts.binary_search_by(|known| (**known).cmp(text)).is_ok(),
            Kind::Engine(regex) => regex.is_match(text),
        }
    }

    /// All texts it matches, sorted, when they are few enough to be listed; then no regex engine is involved.
    pub fn texts(&self) -> Option<&[Box<str>]> {
        match &self.0 {
            Kind::OneOf(texts) => Some(texts),
            Kind::Engine(_) => None,
        }
    }
}
