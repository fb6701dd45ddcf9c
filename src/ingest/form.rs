//! Bodies of HTML forms, which some senders post in place of JSON.

use super::decode::to_utf8;

/// Fields that are read at most.
const MAX_FIELDS: usize = 1000;

/// The fields of a body that is a form (`application/x-www-form-urlencoded`), in their order; `None` when it is none. Senders often leave the type out, so the text
/// itself decides: names and values without a blank, each with its `=`.
pub(super) fn fields(text: &str) -> Option<Vec<(String, String)>> {
    let text = text.trim();
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
        for none in ["", "disk full", "disk=full on db", "{\"a\"=1}", "a=1&b", "=1", "<a=b>", "a=1\nb=2"] {
            assert_eq!(fields(none), None, "{none}");
        }
    }
}
