//! Reasons in the language of a channel: drivers and the delivery write theirs in English, which logs, the API and the store keep; `templates/reasons.yaml`,
//! embedded, has the Chinese of each.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use crate::model::{Language, yaml};

use super::words::{Word, fill};

/// How deep a reason is taken apart.
const MAX_DEPTH: usize = 8;

enum Piece {
    Words(&'static str),
    /// A place, by its name without braces.
    Place(&'static str),
}

struct Pattern {
    en: Vec<Piece>,
    zh: &'static str,
}

#[derive(Default)]
struct Table {
    whole: HashMap<&'static str, &'static str>,
    /// In the order of the file.
    patterns: Vec<Pattern>,
}

static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| {
    yaml::read(include_str!("../../../templates/reasons.yaml")).expect("the embedded table is valid: a test of this module reads it")
});

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    for Word { en, zh } in WORDS.iter() {
        let en = pieces(en);
        match en.as_slice() {
            [Piece::Words(words)] => drop(table.whole.insert(words, zh)),
            _ => table.patterns.push(Pattern { en, zh }),
        }
    }
    table
});

/// The text in its words and places; a place is a brace, one letter, a brace.
fn pieces(text: &'static str) -> Vec<Piece> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{').filter(|at| rest.get(at + 2..at + 3) == Some("}")) {
        if at > 0 {
            found.push(Piece::Words(&rest[..at]));
        }
        found.push(Piece::Place(&rest[at + 1..at + 2]));
        rest = &rest[at + 3..];
    }
    if !rest.is_empty() {
        found.push(Piece::Words(rest));
    }
    found
}

impl Pattern {
    /// What is at its places in a text; `None` for a text that is not built like that.
    fn places<'t>(&self, text: &'t str) -> Option<Vec<(&'static str, &'t str)>> {
        let (mut found, mut open, mut rest) = (Vec::new(), None, text);
        for (at, piece) in self.en.iter().enumerate() {
            let words = match piece {
                Piece::Place(name) => {
                    open = Some(*name);
                    continue;
                }
                Piece::Words(words) => *words,
            };
            let (before, after) = match open {
                None => ("", rest.strip_prefix(words)?),
                Some(_) if at + 1 == self.en.len() => (rest.strip_suffix(words)?, ""),
                // The last brackets: a name before them may have some of its own.
                Some(_) if words == " (" && at + 3 == self.en.len() => {
                    let is_whole = |(before, _): &(&str, &str)| before.matches('(').count() == before.matches(')').count();
                    rest.rsplit_once(words).filter(is_whole).or_else(|| rest.split_once(words))?
                }
                Some(_) => rest.split_once(words)?,
            };
            found.extend(open.take().map(|name| (name, before)));
            rest = after;
        }
        match open {
            Some(name) => found.push((name, rest)),
            None if !rest.is_empty() => return None,
            None => {}
        }
        let sound = |(name, value): &(&str, &str)| !(value.trim().is_empty() || *name == "h" && value.contains(char::is_whitespace));
        found.iter().all(sound).then_some(found)
    }
}

/// A reason as its readers read it; what the table does not know stays as it is.
pub fn reason(language: Language, reason: &str) -> Cow<'_, str> {
    match language {
        Language::En => Cow::Borrowed(reason),
        Language::Zh => chinese(reason, MAX_DEPTH),
    }
}

fn chinese(text: &str, depth: usize) -> Cow<'_, str> {
    let text = text.trim();
    if let Some(zh) = TABLE.whole.get(text) {
        return Cow::Borrowed(zh);
    }
    if depth == 0 {
        return Cow::Borrowed(text);
    }
    let Some((pattern, places)) = TABLE.patterns.iter().find_map(|pattern| Some((pattern, pattern.places(text)?))) else {
        return Cow::Borrowed(text);
    };
    let stays = |name: &str| matches!(name, "q" | "r" | "h");
    let shown = places.into_iter().map(|(name, value)| (name, if stays(name) { Cow::Borrowed(value) } else { chinese(value, depth - 1) }));
    let shown: Vec<(&str, Cow<'_, str>)> = shown.collect();
    let values: Vec<(&str, &str)> = shown.iter().map(|(name, value)| (*name, value.as_ref())).collect();
    Cow::Owned(fill(pattern.zh, &values))
}

#[cfg(test)]
pub(crate) mod tests;
