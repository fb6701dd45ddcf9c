//! Places in a template's source: from what Handlebars reports (the line and column of a tag) to the exact word.

use crate::model::{Place, Span};

/// A template's file.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// How findings name it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

impl File<'_> {
    /// Byte offset of a line and column (characters from 1); the end when it lies outside.
    pub fn offset(&self, line: usize, column: usize) -> usize {
        let start = match line {
            0 | 1 => 0,
            line => self.text.match_indices('\n').nth(line - 2).map_or(self.text.len(), |(at, _)| at + 1),
        };
        self.text[start..].char_indices().nth(column.saturating_sub(1)).map_or(self.text.len(), |(at, _)| start + at)
    }

    /// Offset of the next `word` at or after `from` that is not part of a longer one; `from` when there is none.
    pub fn find(&self, from: usize, word: &str) -> usize {
        let joins = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | ':' | '@');
        let whole = |at: &usize| {
            let before = self.text[..*at].chars().next_back();
            let after = self.text[*at + word.len()..].chars().next();
            !before.is_some_and(|c| joins(c) || c == '.' || c == '/') && !after.is_some_and(joins)
        };
        let mut at = from.min(self.text.len());
        while let Some(found) = self.text[at..].find(word) {
            if word.is_empty() || whole(&(at + found)) {
                return at + found;
            }
            at += found + word.len();
        }
        from
    }

    /// The place of `width` characters at a byte offset.
    pub fn place(&self, at: usize, width: usize) -> Place {
        let at = at.min(self.text.len());
        let before = &self.text[..at];
        let start = before.rfind('\n').map_or(0, |i| i + 1);
        let end = self.text[at..].find('\n').map_or(self.text.len(), |i| at + i);
        Place {
            file: self.name.to_owned(),
            span: Some(Span { line: before.matches('\n').count() + 1, column: before[start..].chars().count() + 1, width: width.max(1) }),
            line_text: Some(self.text[start..end].trim_end_matches('\r').to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_places_count_characters() {
        let file = File { name: "t", text: "告警 {{x.alers}}\n {{alers2}} {{alers}}" };
        let at = file.find(file.offset(1, 4), "alers");
        let place = file.place(at, 5);
        assert_eq!(place.span, Some(Span { line: 2, column: 15, width: 5 }));
        assert_eq!(place.line_text.as_deref(), Some(" {{alers2}} {{alers}}"));
        assert_eq!(file.offset(9, 9), file.text.len());
        assert_eq!(file.place(999, 1).span.unwrap().line, 2);
        assert_eq!(file.find(3, "nope"), 3);
    }
}
