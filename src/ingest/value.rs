//! One JSON value as a slice of the body: what it is called, what it reads as, what it holds.
//!
//! The slices were taken by a reader that checked their syntax, so nothing here fails; nesting costs neither stack nor memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Labels, annotations and values of one body together; alerts beyond them are counted. Bounds the memory that a small body can claim; 8 MiB of real alerts stay below it.
pub(super) const MAX_ENTRIES: usize = 250_000;

/// An object's key, borrowed where it has no escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.replace('\0', "\u{fffd}"))))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// What a value that was found is called in errors.
pub(super) fn kind_of(raw: &str) -> &'static str {
    match raw.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether a raw value is `null`.
pub(super) fn is_null(raw: &str) -> bool {
    raw == "null"
}

/// Whether a raw value is a text, a number or a boolean.
pub(super) fn is_scalar(raw: &str) -> bool {
    !matches!(kind_of(raw), "an object" | "an array" | "null")
}

/// Any JSON value as text: strings unescaped, null empty, numbers and booleans as they were written, objects and arrays as compact JSON.
/// U+0000 becomes U+FFFD: no message needs it and databases refuse it in text; half a surrogate pair becomes U+FFFD and its digits.
pub(super) fn text(raw: &str) -> Cow<'_, str> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
            if inner.contains('\\') { Cow::Owned(unescape(inner)) } else { Cow::Borrowed(inner) }
        }
        Some(b'n') | None => Cow::Borrowed(""),
        Some(b'{' | b'[') => Cow::Owned(compact(raw)),
        _ => Cow::Borrowed(raw),
    }
}

fn unescape(inner: &str) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut used = at + 2;
        match escape {
            b'u' => {
                let unit = hex4(rest, at + 2);
                used = at + 6;
                let mut code = unit;
                if (0xd800..0xdc00).contains(&unit) && rest.get(used..used + 2) == Some("\\u") {
                    let low = hex4(rest, used + 2);
                    if (0xdc00..0xe000).contains(&low) {
                        code = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                        used += 6;
                    }
                }
                match char::from_u32(code) {
                    Some('\0') => out.push('\u{fffd}'),
                    Some(c) => out.push(c),
                    // As of bytes that are no UTF-8, its digits keep two texts apart that were cut in the middle of a character.
                    None => out.push_str(&format!("\u{fffd}{unit:04X}")),
                }
            }
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'n' => out.push('\n'),
            b'r' => out.push('\r'),
            b't' => out.push('\t'),
            other => out.push(char::from(other)),
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

fn hex4(text: &str, at: usize) -> u32 {
    text.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// JSON without the white space between its tokens.
fn compact(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let (mut in_string, mut escaped, mut from) = (false, false, 0);
    for (i, b) in raw.bytes().enumerate() {
        if in_string {
            in_string = escaped || b != b'"';
            escaped = !escaped && b == b'\\';
        } else if b == b'"' {
            in_string = true;
        } else if b.is_ascii_whitespace() {
            out.push_str(&raw[from..i]);
            from = i + 1;
        }
    }
    out.push_str(&raw[from..]);
    out
}

/// A whole number, also when it was written as text or with a fraction; `None` when it is none.
pub(super) fn integer(raw: &str) -> Option<i64> {
    let text = text(raw);
    let text = text.trim();
    text.parse().ok().or_else(|| text.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| f as i64))
}

/// A finite number, also when it was written as text; `None` for null, `"NaN"` and everything else.
pub(super) fn finite(raw: &str) -> Option<f64> {
    text(raw).trim().parse::<f64>().ok().filter(|f| f.is_finite())
}

/// The members of a raw object that has been read before (and is therefore known to be well formed), in order; empty for anything else.
/// Memory: one slice per member, at most [`MAX_ENTRIES`].
pub(super) fn members(raw: &str) -> Vec<(Cow<'_, str>, &str)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(Key(key)) = map.next_key()? {
                let value = map.next_value::<&RawValue>()?.get();
                if members.len() < MAX_ENTRIES {
                    members.push((key, value));
                }
            }
            Ok(members)
        }
    }
    serde_json::Deserializer::from_str(raw).deserialize_map(Members).unwrap_or_default()
}

/// The elements of a raw array that has been read before; empty for anything else. At most [`MAX_ENTRIES`].
pub(super) fn elements(raw: &str) -> Vec<&str> {
    struct Elements;
    impl<'de> Visitor<'de> for Elements {
        type Value = Vec<&'de str>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut elements = Vec::new();
            while let Some(element) = seq.next_element::<&RawValue>()? {
                if elements.len() < MAX_ENTRIES {
                    elements.push(element.get());
                }
            }
            Ok(elements)
        }
    }
    serde_json::Deserializer::from_str(raw).deserialize_seq(Elements).unwrap_or_default()
}

/// Levels that become a tree; what is nested deeper is text.
const MAX_DEPTH: usize = 16;

/// Makes trees of raw values, of a body at most [`MAX_ENTRIES`] values together.
pub(super) struct Trees {
    room: usize,
    /// Elements of lists that were left out because there was no room.
    pub(super) left_out: u64,
}

impl Default for Trees {
    fn default() -> Self {
        Self { room: MAX_ENTRIES, left_out: 0 }
    }
}

impl Trees {
    /// A raw value that has been read before as a tree. Texts read as by [`text`], and a number whose digits would not be kept is the text that it was written as.
    pub(super) fn tree(&mut self, raw: &str) -> Value {
        self.at(raw, 0)
    }

    fn at(&mut self, raw: &str, depth: usize) -> Value {
        match kind_of(raw) {
            "null" => Value::Null,
            "a boolean" => Value::Bool(raw == "true"),
            "a number" => number(raw),
            "an object" if depth < MAX_DEPTH => {
                let members = members(raw).into_iter();
                members
                    .map_while(|(name, value)| self.takes().then(|| (name.into_owned(), self.at(value, depth + 1))))
                    .collect::<serde_json::Map<_, _>>()
                    .into()
            }
            "an array" if depth < MAX_DEPTH => {
                let mut items = Vec::new();
                for element in elements(raw) {
                    match self.takes() {
                        true => items.push(self.at(element, depth + 1)),
                        false => self.left_out += 1,
                    }
                }
                items.into()
            }
            _ => Value::String(text(raw).into_owned()),
        }
    }

    fn takes(&mut self) -> bool {
        let room = self.room > 0;
        self.room = self.room.saturating_sub(1);
        room
    }
}

fn number(raw: &str) -> Value {
    let whole = raw.parse::<i64>().map(Value::from).or_else(|_| raw.parse::<u64>().map(Value::from));
    let real = || raw.parse::<f64>().ok().filter(|number| number.is_finite() && number.to_string() == raw).map(Value::from);
    whole.ok().or_else(real).unwrap_or_else(|| Value::String(raw.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tree_keeps_digits_and_texts() {
        let raw = r#"{"a": [1, 1.5, 1.0, 12345678901234567890123, true, null], "b\u0000": "x\ud83dy", "a2": {"c": -0.25}}"#;
        let read = json!({ "a": [1, 1.5, "1.0", "12345678901234567890123", true, null], "b\u{fffd}": "x\u{fffd}D83Dy", "a2": { "c": -0.25 } });
        assert_eq!(Trees::default().tree(raw), read);
    }

    #[test]
    fn a_tree_has_bounds() {
        let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
        let tree = Trees::default().tree(&deep).to_string();
        assert!(tree.starts_with("[[[[[[[[[[[[[[[[\"[[") && tree.len() == deep.len() + 2, "{tree}");
        let mut trees = Trees { room: 3, left_out: 0 };
        assert_eq!((trees.tree("[1, 2, 3, 4, 5]"), trees.left_out), (json!([1, 2, 3]), 2));
    }
}
