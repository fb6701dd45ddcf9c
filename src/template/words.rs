//! The words that templates add around the values, per language: `templates/words.yaml`, embedded.
//!
//! Knows keys and languages, not who uses them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::{Language, Severity, yaml};

use super::status::EntryStatus;

/// A text in each language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Word {
    pub en: String,
    pub zh: String,
}

static WORDS: LazyLock<BTreeMap<String, Word>> =
    LazyLock::new(|| yaml::read(include_str!("../../templates/words.yaml")).expect("the embedded table is valid: a test of this module reads it"));

/// The word for `key`; an unknown key is `None`.
pub fn word(language: Language, key: &str) -> Option<&'static str> {
    WORDS.get(key).map(|word| match language {
        Language::En => word.en.as_str(),
        Language::Zh => word.zh.as_str(),
    })
}

/// The word for a key that this program itself uses; an unknown one is shown as it is.
pub(super) fn own(language: Language, key: &'static str) -> &'static str {
    word(language, key).unwrap_or(key)
}

/// The word for `key` with `{name}` replaced by each given value; `{who}` is who acted.
pub(super) fn filled(language: Language, key: &'static str, values: &[(&str, &str)]) -> String {
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, if *name == "who" { who(language, value) } else { *value })).collect();
    fill(own(language, key), &values)
}

/// Who acted, as people read it: without credentials nobody is known.
pub fn who(language: Language, stored: &str) -> &str {
    match stored {
        "somebody" if language == Language::Zh => "某人",
        other => other,
    }
}

/// Replaces `{name}` by each given value, in one pass: a value that itself reads `{name}` stays as it is.
pub(super) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let named = rest.find('}').and_then(|close| values.iter().find(|(name, _)| *name == &rest[1..close]).map(|(_, value)| (close, value)));
        match named {
            Some((close, value)) => {
                out.push_str(value);
                rest = &rest[close + 1..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// All keys, sorted: for checks and suggestions.
pub fn keys() -> impl Iterator<Item = &'static str> {
    WORDS.keys().map(String::as_str)
}

/// The language as templates see it: `en`, `zh`.
pub(super) fn code(language: Language) -> &'static str {
    match language {
        Language::En => "en",
        Language::Zh => "zh",
    }
}

/// The language of a code; anything else is English.
pub(super) fn language(code: &str) -> Language {
    if code == "zh" { Language::Zh } else { Language::En }
}

/// The severity's word.
pub(super) fn severity(language: Language, severity: Severity) -> &'static str {
    own(language, severity.as_str())
}

/// The status' word.
pub(super) fn status(language: Language, status: EntryStatus) -> &'static str {
    own(
        language,
        match status {
            EntryStatus::Firing => "firing",
            EntryStatus::Unreported => "unreported",
            EntryStatus::CameAndWent => "came_and_went",
            EntryStatus::Resolved => "resolved",
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_in_both_languages_with_the_same_places() {
        assert!(keys().count() > 30);
        for key in keys() {
            let places = |text: &str| {
                let mut found: Vec<String> =
                    text.split('{').skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name.to_owned())).collect();
                found.sort();
                found
            };
            let (en, zh) = (own_of(Language::En, key), own_of(Language::Zh, key));
            assert!(!en.is_empty() && !zh.is_empty(), "{key}");
            assert_eq!(places(en), places(zh), "{key}");
        }
        assert_eq!(word(Language::En, "sinse"), None);
    }

    fn own_of(language: Language, key: &str) -> &'static str {
        word(language, key).unwrap()
    }

    #[test]
    fn values_are_filled_in_once() {
        assert_eq!(fill("{a} of {b} {c} {", &[("a", "{b}"), ("b", "2")]), "{b} of 2 {c} {");
        assert_eq!(filled(Language::Zh, "more", &[("n", "37")]), "另有 37 条未列出");
        let unacked = |language, name| filled(language, "unacked_by", &[("who", name)]);
        assert!(unacked(Language::Zh, "somebody").contains("某人") && unacked(Language::En, "somebody").contains("somebody"));
        assert!(unacked(Language::Zh, "ann").contains("ann"));
    }
}
