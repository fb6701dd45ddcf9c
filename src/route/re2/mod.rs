//! Go's RE2 regular expressions, anchored at both ends, on top of the `regex` crate.
//!
//! The two languages look alike and differ in many corners (ASCII classes, `\Q..\E`, `[a&&b]`, stacked repetitions), so a
//! pattern is translated token by token and refused, with a position, when Go refuses it. Knows nothing of labels or routes.
//!
//! Syntax: <https://pkg.go.dev/regexp/syntax>.

mod class;
mod escape;
mod literal;
mod translate;

#[cfg(test)]
mod tests;

use regex::{Regex, RegexBuilder};

/// The most a compiled pattern may take, in bytes.
pub const MAX_COMPILED: usize = 1 << 20;

/// The most characters a pattern may have: room for some thousand host names, and bounded work to refuse one.
pub const MAX_LENGTH: usize = 64 * 1024;

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
        let too_large = || {
            PatternError::new(
                0,
                format!("the regular expression compiles to more than {} KiB", MAX_COMPILED / 1024),
                "use smaller repetition counts, fewer Unicode classes, or split it over several routes",
            )
        };
        let hir = regex_syntax::ParserBuilder::new().nest_limit(translate::NEST_LIMIT).build().parse(&translated).map_err(|_| too_large())?;
        if let Some(texts) = literal::all_texts(&hir) {
            return Ok(Self(Kind::OneOf(texts)));
        }
        let regex = RegexBuilder::new(&format!(r"\A(?:{translated})\z"))
            .size_limit(MAX_COMPILED)
            .nest_limit(translate::NEST_LIMIT)
            .build()
            .map_err(|_| too_large())?;
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
