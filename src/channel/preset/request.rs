//! `{{name}}` in a preset's texts: found when the file is read, replaced for each message. Nothing but names: no conditions, no loops.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Values by name; a name without a value leaves out what mentions it.
pub type Values = BTreeMap<String, Value>;

/// RFC 3986's unreserved characters stay.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else { break };
        if !before.is_empty() {
            found.push(Piece::Text(before));
        }
        found.push(Piece::Name(name.trim()));
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Piece::Text(rest));
    }
    found
}

/// The names a text mentions.
pub fn names(text: &str) -> Vec<&str> {
    pieces(text).into_iter().filter_map(|piece| if let Piece::Name(name) = piece { Some(name) } else { None }).collect()
}

/// The names that a value's texts mention.
pub fn names_in(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => names(text),
        Value::Array(items) => items.iter().flat_map(names_in).collect(),
        Value::Object(fields) => fields.values().flat_map(names_in).collect(),
        _ => Vec::new(),
    }
}

/// The text with its values, or `None` when one of them is not there.
pub fn text(pattern: &str, values: &Values) -> Option<String> {
    write(pattern, values, |_, word, out| out.push_str(word))
}

/// An address: values are percent-encoded, except those of `verbatim`.
pub fn address(pattern: &str, values: &Values, verbatim: &dyn Fn(&str) -> bool) -> Option<String> {
    write(pattern, values, |name, word, out| {
        if verbatim(name) {
            out.push_str(word.trim_end_matches('/'));
        } else {
            out.extend(utf8_percent_encode(word, ENCODED));
        }
    })
}

fn write(pattern: &str, values: &Values, mut put: impl FnMut(&str, &str, &mut String)) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    for piece in pieces(pattern) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Name(name) => match values.get(name)? {
                Value::Null => return None,
                Value::String(word) => put(name, word, &mut out),
                other => put(name, &other.to_string(), &mut out),
            },
        }
    }
    Some(out)
}

/// A body with its values; a text that is one name becomes the value with its type.
pub fn value(pattern: &Value, values: &Values) -> Option<Value> {
    match pattern {
        Value::String(pattern) => match pieces(pattern).as_slice() {
            [Piece::Name(name)] => values.get(*name).filter(|value| !value.is_null()).cloned(),
            _ => text(pattern, values).map(Value::String),
        },
        Value::Array(items) => Some(items.iter().filter_map(|item| value(item, values)).collect()),
        Value::Object(fields) => {
            let filled: serde_json::Map<String, Value> =
                fields.iter().filter_map(|(name, field)| Some((name.clone(), value(field, values)?))).collect();
            // An object of which nothing is left (its only values were not given) goes too.
            (!filled.is_empty() || fields.is_empty()).then_some(Value::Object(filled))
        }
        other => Some(other.clone()),
    }
}

/// A form's fields with their values; those without a value are left out.
pub fn form<'f>(fields: &'f BTreeMap<String, Value>, values: &Values) -> Vec<(&'f str, String)> {
    let text = |value: Value| if let Value::String(text) = value { text } else { value.to_string() };
    fields.iter().filter_map(|(name, pattern)| Some((name.as_str(), text(value(pattern, values)?)))).collect()
}
