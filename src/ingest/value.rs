//! One JSON value as a slice of the body: what it is called, what it reads as, what it holds.
//!
//! The slices were taken by a reader that checked their syntax, so nothing here fails; nesting costs neither stack nor memory.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
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
