//! JSON as templates and scripts write it: line breaks and bare backslashes within texts, commas too many or too few between entries, numbers that are
//! none, and the zero byte that ends a text in C. Pure.

/// Numbers that JSON lacks, as Python and JavaScript write them.
const NO_NUMBERS: &[&str] = &["NaN", "Infinity", "-Infinity"];

/// The body with what JSON forbids and nobody can take for anything else written as JSON wants it; `None` where it holds nothing of the kind. What is
/// wrong besides stays wrong. Time and memory: linear in the body.
pub(super) fn mended(body: &str) -> Option<String> {
    if !body.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let mut out = String::with_capacity(body.len() + 64);
    let (mut in_text, mut escaped, mut changed) = (false, false, false);
    let mut read = 0;
    for (at, c) in body.char_indices() {
        if at < read {
            continue;
        }
        if in_text && c < ' ' {
            if !escaped {
                out.push('\\');
            }
            out.push_str(&escape(c));
            (escaped, changed) = (false, true);
        } else if in_text {
            if escaped && !is_escape(&body[at..]) {
                // JavaScript escapes this one, too; any other backslash is the text's own, as in `C:\path` and `\d+`.
                if c == '\'' {
                    out.pop();
                } else {
                    out.push('\\');
                }
                changed = true;
            }
            in_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            out.push(c);
        } else if c == '\0' || c == ',' && body[at + 1..].trim_start().starts_with(['}', ']', ',']) {
            changed = true;
        } else if let Some(word) = NO_NUMBERS.iter().find(|word| body[at..].starts_with(**word)) {
            out.extend(["\"", *word, "\""]);
            (read, changed) = (at + word.len(), true);
        } else {
            in_text = c == '"';
            // Behind a value begins the next entry.
            if in_text && out.trim_end().ends_with(['"', '}', ']']) {
                out.push(',');
                changed = true;
            }
            out.push(c);
        }
    }
    changed.then_some(out)
}

/// Whether JSON knows what follows a backslash.
fn is_escape(rest: &str) -> bool {
    match rest.as_bytes() {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', digits @ ..] => digits.len() >= 4 && digits[..4].iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
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
            ("{\"a\": 1,\n ,\n\"b\": [2,,,]}", "{\"a\": 1\n ,\n\"b\": [2]}"),
            (r#"{"a": "C:\path\d\Ünits", "b": "\d+\.\w"}"#, r#"{"a": "C:\\path\\d\\Ünits", "b": "\\d+\\.\\w"}"#),
            (r#"{"a": "it\'s \u12", "b": "\\d\"\u00e4"}"#, r#"{"a": "it's \\u12", "b": "\\d\"\u00e4"}"#),
            (r#"{"a": NaN, "b": [-Infinity,Infinity], "c": "NaN"}"#, r#"{"a": "NaN", "b": ["-Infinity","Infinity"], "c": "NaN"}"#),
            ("{\"a\": 1}\0\0", r#"{"a": 1}"#),
            ("{\"a\": \"x\"\n\"b\": {} \"c\": [] \"d\": 1}", "{\"a\": \"x\"\n,\"b\": {} ,\"c\": [] ,\"d\": 1}"),
        ] {
            assert_eq!(mended(body).as_deref(), Some(json), "{body:?}");
            assert!(serde_json::from_str::<serde_json::Value>(json).is_ok(), "{json}");
        }
        for same in ["", "x\ny", "{\n\t\"a\": \"b\\n,]\"\n}", r#"{"a": "b\"c,}"}"#, r#"{"a": "\\\\\u00e4\/"}"#, "[1,2]", "\"x\ny\""] {
            assert_eq!(mended(same), None, "{same:?}");
        }
    }
}
