//! JSON as templates write it: line breaks within texts, and a comma behind the last entry of a list. Pure.

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
