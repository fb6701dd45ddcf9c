//! What the form of an act page sends, and the name that a browser keeps.

use std::ops::RangeInclusive;

use axum::http::{HeaderMap, header};
use percent_encoding::percent_decode_str;

use crate::http::pairs::pairs;
use crate::model::Verb;

/// The cookie with the name that a reader wrote last.
pub(super) const COOKIE: &str = "wf_name";
const MAX_NAME: usize = 60;
/// Characters without a shape of their own: hyphens of breaks, joiners, directions, fillers, variations and tags.
const UNSEEN: [RangeInclusive<char>; 14] = [
    '\u{AD}'..='\u{AD}',
    '\u{34F}'..='\u{34F}',
    '\u{61C}'..='\u{61C}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{200B}'..='\u{200F}',
    '\u{202A}'..='\u{202E}',
    '\u{2060}'..='\u{206F}',
    '\u{3164}'..='\u{3164}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{E0000}'..='\u{E0FFF}',
];

/// The name that was written last.
pub(super) fn kept_name(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(';'));
    let kept = cookies.filter_map(|cookie| cookie.trim().strip_prefix(COOKIE)?.strip_prefix('=')).next()?;
    let name = percent_decode_str(kept).decode_utf8().ok()?;
    Some(cleaned(&name)).filter(|name| !name.is_empty())
}

/// A name in one line without what nobody sees: with it a known person's name would be another one that reads the same.
fn cleaned(name: &str) -> String {
    let is_unseen = |c: char| c.is_control() || UNSEEN.iter().any(|unseen| unseen.contains(&c));
    let seen: String = name.chars().filter(|c| c.is_whitespace() || !is_unseen(*c)).collect();
    let name: String = seen.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MAX_NAME).collect();
    name.trim_end().to_owned()
}

/// What the form sends.
#[derive(Default)]
pub(super) struct Form {
    pub(super) verb: Option<Verb>,
    /// Of the incident that the page showed.
    pub(super) version: i64,
    /// The form's own number.
    pub(super) nonce: String,
    pub(super) name: String,
}

impl Form {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut form = Self::default();
        let text = String::from_utf8_lossy(bytes);
        for (key, value) in pairs(Some(&*text)) {
            match key.as_str() {
                "verb" => form.verb = Verb::parse(&value),
                "version" => form.version = value.parse().unwrap_or(0),
                "nonce" => form.nonce = value.chars().filter(char::is_ascii_alphanumeric).take(64).collect(),
                "name" => form.name = cleaned(&value),
                _ => {}
            }
        }
        form
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_form_says_what_is_done_by_whom_and_nothing_that_it_may_not() {
        let form = Form::read("verb=ack&version=7&nonce=ab-c1&name=%E5%BC%A0+%0A%E4%B8%89&x=1".as_bytes());
        assert_eq!((form.verb, form.version, form.nonce.as_str(), form.name.as_str()), (Some(Verb::Ack), 7, "abc1", "张 三"));
        assert_eq!(Form::read(b"verb=close").verb, Some(Verb::Close));
        for none in ["verb=shut", "verb=", "", "&&&=", "verb"] {
            assert_eq!(Form::read(none.as_bytes()).verb, None, "{none}");
        }
        assert_eq!(Form::read(&[0xff, b'=', 0xfe]).version, 0);
        let long = format!("name={}", "x".repeat(3000));
        assert_eq!(Form::read(long.as_bytes()).name.len(), MAX_NAME);
    }

    #[test]
    fn a_name_has_nothing_that_nobody_sees() {
        for written in
            ["Ann B", "Ann  B", " Ann\tB\n", "Ann B\u{202E}", "A\u{200B}nn\u{AD} B", "\u{FEFF}Ann\u{A0}B\u{2069}", "Ann\u{3000} B\u{3164}\0"]
        {
            assert_eq!(cleaned(written), "Ann B", "{written:?}");
        }
        assert_eq!(cleaned("\u{200B} \u{2060}"), "");
        assert_eq!(cleaned(&format!("{} B", "x".repeat(MAX_NAME - 1))).len(), MAX_NAME - 1);
    }

    #[test]
    fn the_name_that_was_written_last_is_kept() {
        let asked = |cookie: &str| kept_name(&[(header::COOKIE, HeaderValue::from_str(cookie).unwrap())].into_iter().collect());
        assert_eq!(asked("a=1; wf_name=%E5%BC%A0%E4%B8%89; b=2").as_deref(), Some("张三"));
        assert_eq!((asked("wf_name="), asked("wf_names=x"), asked("x=wf_name")), (None, None, None));
    }
}
