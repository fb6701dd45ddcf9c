//! Bodies of HTML forms, which some senders post in place of JSON.

use super::decode::to_utf8;

/// Fields that are read at most.
const MAX_FIELDS: usize = 1000;

/// The fields of a body that is a form (`application/x-www-form-urlencoded`, `multipart/form-data`), in their order; `None` when it is none. Senders often
/// leave the type out, so the text itself decides: names and values without a blank, each with its `=`, or parts between boundaries.
pub(super) fn fields(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
    if text.starts_with("--") {
        return parts(text);
    }
    if !text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || text.contains(|c: char| c.is_ascii_whitespace() || c.is_control()) {
        return None;
    }
    let name = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-[]%".contains(&b));
    let field = |part: &str| {
        let (key, value) = part.split_once('=').filter(|(key, _)| name(key))?;
        Some((decoded(key), decoded(value)))
    };
    text.split('&').filter(|part| !part.is_empty()).take(MAX_FIELDS).map(field).collect()
}

/// The fields of a form in parts (<https://www.rfc-editor.org/rfc/rfc7578>); its first line is the boundary, which ends it with two hyphens more.
fn parts(text: &str) -> Option<Vec<(String, String)>> {
    let boundary = text.lines().next()?.trim_end();
    if boundary.len() == 2 || boundary.contains(char::is_whitespace) {
        return None;
    }
    let (inner, end) = text.rsplit_once(boundary)?;
    if end != "--" {
        return None;
    }
    inner.split(boundary).skip(1).take(MAX_FIELDS).map(part).collect()
}

fn part(text: &str) -> Option<(String, String)> {
    let text = text.strip_prefix("\r\n").or_else(|| text.strip_prefix('\n'))?;
    let (head, value) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n"))?;
    let value = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n')).unwrap_or(value);
    let name = head.split([';', '\r', '\n']).find_map(|parameter| parameter.trim().strip_prefix("name="))?;
    Some((name.trim_matches('"').to_owned(), value.replace('\0', "\u{fffd}")))
}

fn decoded(text: &str) -> String {
    let spaced = text.replace('+', " ");
    let bytes: Vec<u8> = percent_encoding::percent_decode_str(&spaced).collect();
    to_utf8(&bytes, None).text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_told_by_its_text() {
        let read = fields("alertName=%E7%A3%81%E7%9B%98&curValue=97.39&expression=%24Average%3E%3D95+now&dimensions=&a%5B0%5D=1").unwrap();
        let read: Vec<(&str, &str)> = read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(read, [("alertName", "磁盘"), ("curValue", "97.39"), ("expression", "$Average>=95 now"), ("dimensions", ""), ("a[0]", "1")]);
        assert_eq!(fields("name=%B4%C5%C5%CC").unwrap()[0].1, "磁盘", "GBK");
        let parts = "--x1\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: text/plain\r\n\r\n{\"a\":\r\n1}\r\n--x1\r\n\
                     Content-Disposition: form-data; filename=\"f\"; name=b\r\n\r\n\r\n--x1--\r\n";
        assert_eq!(fields(parts).unwrap(), [("data".to_owned(), "{\"a\":\r\n1}".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!(fields(&parts.replace("\r\n", "\n")).unwrap()[1].0, "b");
        for cut in ["--", "--x1", "--x1--", "--x1\nname=a\n\nb\n--x1", "--x1\na\n--x1--", "---\na: b\n---", "-- a\nname=a\n\nb\n-- a--"] {
            assert_eq!(fields(cut), None, "{cut}");
        }
        for none in ["", "disk full", "disk=full on db", "{\"a\"=1}", "a=1&b", "=1", "<a=b>", "a=1\nb=2"] {
            assert_eq!(fields(none), None, "{none}");
        }
    }
}
