//! Why a body was refused: which field, where in the body, and in words that fit one log line.
//!
//! Knows texts and offsets only; what the fields mean is not its business.

use std::fmt;

/// Characters of the body that an error may repeat at most.
const MAX_ECHO: usize = 60;
/// Bytes of message and of path that are kept; with the position the first line stays below 1 KB (Grafana keeps 1024 bytes of an answer).
const MAX_MESSAGE: usize = 640;
const MAX_PATH: usize = 200;

/// Why a body cannot become an event. `Display` is one line below 1 KB that never repeats more than 60 characters of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestError {
    /// What is wrong, and where it is not obvious what to do.
    pub message: String,
    /// The field, as `alerts[3].labels`; empty when the whole body is meant.
    pub path: String,
    /// Line in the body, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for IngestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{} (line {}, column {})", self.message, self.line, self.column)
    }
}

impl std::error::Error for IngestError {}

/// The text that is being read: turns places in it into lines and columns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    /// Byte offset of a part that was borrowed from the text.
    pub(super) fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }

    /// Where the JSON value begins: the place that errors about the whole body name.
    pub(super) fn start(&self) -> usize {
        self.text.len() - self.text.trim_start().len()
    }

    /// An error about `path`, at a byte offset.
    pub(super) fn error(&self, offset: usize, path: impl Into<String>, message: impl Into<String>) -> IngestError {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        IngestError {
            message: cut(message.into(), MAX_MESSAGE),
            path: cut(path.into(), MAX_PATH),
            line: 1 + before.bytes().filter(|b| *b == b'\n').count(),
            column: 1 + before[line_start..].chars().count(),
        }
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A piece of the body for an error: at most 60 characters, what a terminal or a log would act on escaped.
pub(super) fn echo(text: &str) -> String {
    echo_up_to(text, MAX_ECHO)
}

/// As [`echo`], with a smaller share of the 60 characters.
pub(super) fn echo_up_to(text: &str, max: usize) -> String {
    let mut out = String::new();
    for (i, c) in text.chars().enumerate() {
        if i == max.min(MAX_ECHO) {
            out.push('…');
            break;
        }
        // Control characters, and those that are invisible or turn the direction of a line.
        let acts = c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if acts { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}
