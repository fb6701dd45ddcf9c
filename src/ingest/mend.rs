//! JSON as templates write it: line breaks within texts, a comma behind the last entry of a list, and lists and objects in quotes. Pure.

use serde_json::value::RawValue;

use super::value::{kind_of, members, text};

/// Members whose value is a list or an object: `payload` of Alertmanager has texts only, and `{{ .Alerts | toJson }}` becomes one.
const QUOTED: [&str; 6] = ["alerts", "labels", "annotations", "commonLabels", "groupLabels", "commonAnnotations"];

/// The body with those of its members that are the text of JSON as that JSON; `None` where there are none. Time and memory: linear in the body.
pub(super) fn unquoted(body: &str) -> Option<String> {
    let all = members(serde_json::from_str::<&RawValue>(body).ok()?.get());
    let (mut out, mut changed) = (String::with_capacity(body.len()), false);
    for (name, raw) in &all {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&serde_json::Value::from(&**name).to_string());
        out.push(':');
        let inner = if QUOTED.contains(&&**name) && kind_of(raw) == "a string" { text(raw) } else { "".into() };
        let json = serde_json::from_str::<&RawValue>(&inner).ok().filter(|json| json.get().starts_with(['{', '[']));
        changed |= json.is_some();
        out.push_str(json.map_or(raw, RawValue::get));
    }
    out.push('}');
    changed.then_some(out)
}

/// The body with what JSON forbids and nobody can take for anything else written as JSON wants it; `None` where it holds nothing of the kind. What is
/// wrong besides stays wrong. Time and memory: linear in the body.
pub(super) fn mended(body: &str) -> Option<String> {
    if !body.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut out = String::with_capacity(body.len() + 64);
    let (mut in_text, mut escaped, mut changed) = (false, false, false);
    for (at, c) in body.char_indices() {
        if in_text && c < ' ' {
            if !escaped {
                out.push('\\');
            }
            out.push_str(&escape(c));
            (escaped, changed) = (false, true);
        } else if in_text {
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
        } else if c == ',' && body[at + 1..].trim_start().starts_with(['}', ']']) {
            changed = true;
        } else {
            in_text = c == '"';
            out.push(c);
        }
    }
    changed.then_some(out)
}

/// A control character as JSON writes it behind a backslash.
fn escape(c: char) -> String {
    match c {
        '\n' => "n".to_owned(),
        '\r' => "r".to_owned(),
        '\t' => "t".to_owned(),
        c => format!("u{:04x}", u32::from(c)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_objects_in_quotes_are_that() {
        let body = r#"{"a":"[1]","alerts":"[{\"labels\":{\"a\":\"b\"}}]","labels":"x","n":null}"#;
        assert_eq!(unquoted(body).as_deref(), Some(r#"{"a":"[1]","alerts":[{"labels":{"a":"b"}}],"labels":"x","n":null}"#));
        for same in ["", "[1]", "x", r#"{"labels":"x"}"#, r#"{"labels":"[1"}"#, r#"{"labels":"1"}"#, r#"{"labels":{"a":"{}"}}"#] {
            assert_eq!(unquoted(same), None, "{same}");
        }
    }

    #[test]
    fn what_everybody_understands_is_json_and_all_else_stays() {
        for (body, json) in [
            ("{\"a\":\"x\ny\r\n\tz\"}", r#"{"a":"x\ny\r\n\tz"}"#),
            ("{\"a\":\"x\u{0}\u{1b}\"}", r#"{"a":"x\u0000\u001b"}"#),
            ("{\"a\":\"x\\\ny\"}", r#"{"a":"x\ny"}"#),
            ("{\"a\":\"\\\\\ny\"}", r#"{"a":"\\\ny"}"#),
            ("[1, 2 , \n]", "[1, 2  \n]"),
            (r#"{"a": [{"b": 1},], "c": ",]",}"#, r#"{"a": [{"b": 1}], "c": ",]"}"#),
        ] {
            assert_eq!(mended(body).as_deref(), Some(json), "{body:?}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        for same in ["", "x\ny", "{\n\t\"a\": \"b\\n,]\"\n}", r#"{"a": "b\"c,}"}"#, "[1,2]", "\"x\ny\""] {
            assert_eq!(mended(same), None, "{same:?}");
        }
    }
}
