//! Label matchers: `team="ops"`, `severity=~"critical|page"`; Alertmanager's grammar of 0.27 and later.
//!
//! A text is read by two grammars, the UTF-8 one and the classic one; where only one takes it that one counts, and where
//! both take it and disagree the classic one counts, exactly as Alertmanager decides. Knows nothing of routes or files.

mod classic;
mod lint;
mod quote;
mod utf8;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::model::Labels;

use super::re2::Pattern;

pub use lint::{ListProblem, lint_matcher_list};

/// How a matcher compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Op {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `=~`
    Regex,
    /// `!~`
    NotRegex,
}

impl Op {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Regex => "=~",
            Op::NotRegex => "!~",
        }
    }

    fn is_regex(self) -> bool {
        matches!(self, Op::Regex | Op::NotRegex)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is not a list of matchers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}, at character {}; {help}", .offset + 1)]
pub struct MatcherError {
    /// Where: characters into the text, from 0; at most its length.
    pub offset: usize,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: String,
}

impl MatcherError {
    fn new(offset: usize, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Self { offset, reason: reason.into(), help: help.into() }
    }
}

/// One condition on one label. A label that is missing has the empty value.
#[derive(Clone)]
pub struct Matcher {
    name: String,
    op: Op,
    value: String,
    pattern: Option<Arc<Pattern>>,
}

impl Matcher {
    /// A matcher from its parts; for `=~` and `!~` the value is a regular expression in Go's syntax that must match the whole value.
    ///
    /// # Errors
    /// The regular expression is refused; the offset counts characters into `value`.
    pub fn new(name: impl Into<String>, op: Op, value: impl Into<String>) -> Result<Self, MatcherError> {
        let value = value.into();
        let pattern = if op.is_regex() {
            let pattern = Pattern::new(&value).map_err(|error| MatcherError {
                offset: error.offset,
                reason: format!("in the regular expression, {}", error.reason),
                help: error.help,
            })?;
            Some(Arc::new(pattern))
        } else {
            None
        };
        Ok(Self { name: name.into(), op, value, pattern })
    }

    /// The label's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it compares.
    pub fn op(&self) -> Op {
        self.op
    }

    /// The value or regular expression, as written, without quotes and escapes.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a value of the label satisfies it; a missing label's value is empty.
    pub fn matches_value(&self, value: &str) -> bool {
        match (self.op, &self.pattern) {
            (Op::Equal, _) => value == self.value,
            (Op::NotEqual, _) => value != self.value,
            (Op::Regex, pattern) => pattern.as_ref().is_some_and(|pattern| pattern.matches(value)),
            (Op::NotRegex, pattern) => !pattern.as_ref().is_some_and(|pattern| pattern.matches(value)),
        }
    }

    /// Whether a label set satisfies it.
    pub fn matches(&self, labels: &Labels) -> bool {
        self.matches_value(labels.get(&self.name).map_or("", String::as_str))
    }

    /// Every value that satisfies it, when they can be listed: for `=`, and for a `=~` of plain texts.
    pub fn values(&self) -> Option<Vec<&str>> {
        match (self.op, &self.pattern) {
            (Op::Equal, _) => Some(vec![&self.value]),
            (Op::Regex, Some(pattern)) => Some(pattern.texts()?.iter().map(|text| &**text).collect()),
            _ => None,
        }
    }

    /// Values that its own text names: those that can be listed, else one of them.
    pub fn named_values(&self) -> Vec<String> {
        match &self.pattern {
            None => vec![self.value.clone()],
            Some(pattern) => match pattern.texts() {
                Some(texts) => texts.iter().map(|text| text.to_string()).collect(),
                None => super::re2::example(&self.value).into_iter().collect(),
            },
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.name == other.name && self.value == other.value
    }
}

impl Eq for Matcher {}

/// Written so that [`parse`] reads the same matcher again.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() || self.name.chars().any(utf8::is_reserved) {
            quote::write_quoted(f, &self.name)?;
        } else {
            f.write_str(&self.name)?;
        }
        f.write_str(self.op.as_str())?;
        quote::write_quoted(f, &self.value)
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Matchers as read from one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The matchers in the order they were written; empty for an empty text and for `{}`.
    pub matchers: Vec<Matcher>,
    /// When the two grammars do not agree: what is odd, and how to write it so that they do.
    pub note: Option<String>,
}

/// A matcher's parts with their places, before its regular expression is compiled.
struct Raw {
    name: String,
    op: Op,
    /// The value's characters, each with its place in the text.
    value: Vec<(char, usize)>,
    /// Where the value starts and ends in the text.
    value_at: (usize, usize),
}

impl Raw {
    fn compile(self) -> Result<Matcher, MatcherError> {
        let value: String = self.value.iter().map(|(c, _)| c).collect();
        Matcher::new(self.name, self.op, value).map_err(|error| {
            let at = self.value.get(error.offset).map_or(self.value_at.1, |(_, at)| *at);
            MatcherError { offset: at.max(self.value_at.0), ..error }
        })
    }
}

/// Reads one text into a list of matchers: `a="b"`, `a="b",c!~"d.*"`, `{a="b",}`, `"label name"=value`.
///
/// # Errors
/// Neither grammar takes the text; the error is of the grammar that came further, with the offset in characters.
pub fn parse(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    parse_noted(text).map(|reading| reading.matchers)
}

/// Like [`parse`], and says when only one grammar takes the text or when they disagree.
///
/// # Errors
/// As [`parse`].
pub fn parse_noted(text: &str) -> Result<Reading, MatcherError> {
    let chars: Vec<char> = text.chars().collect();
    match (utf8::parse(&chars), classic::parse(&chars)) {
        (Ok(matchers), Err(_)) => Ok(Reading { matchers, note: None }),
        (Ok(modern), Ok(classic)) if modern == classic => Ok(Reading { matchers: modern, note: None }),
        (Ok(modern), Ok(classic)) => {
            let note = format!(
                "the two matcher grammars of Alertmanager disagree about this text and the classic reading counts, as in Alertmanager; \
                 write `{}` for it, or `{}` for the other",
                list(&classic),
                list(&modern)
            );
            Ok(Reading { matchers: classic, note: Some(note) })
        }
        (Err(_), Ok(classic)) => {
            let note =
                format!("only Alertmanager's classic matcher grammar takes this text; write `{}`, which means the same in both", list(&classic));
            Ok(Reading { matchers: classic, note: Some(note) })
        }
        (Err(modern), Err(classic)) => Err(if classic.offset > modern.offset { classic } else { modern }),
    }
}

fn list(matchers: &[Matcher]) -> String {
    if matchers.is_empty() {
        return "{}".to_owned();
    }
    matchers.iter().map(Matcher::to_string).collect::<Vec<_>>().join(",")
}
