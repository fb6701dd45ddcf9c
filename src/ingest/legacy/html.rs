//! Whether the content of a direct e-mail call is HTML.
//!
//! Comparisons (`a < b and c > d`), type names (`vector<i>`), addresses (`<ops@example.com>`) and placeholders (`<host>`) are not.

/// Tags that are HTML anywhere.
const PLAIN: [&str; 54] = [
    "html",
    "head",
    "body",
    "title",
    "style",
    "meta",
    "link",
    "div",
    "span",
    "p",
    "br",
    "hr",
    "img",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "tr",
    "td",
    "th",
    "caption",
    "colgroup",
    "col",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "code",
    "blockquote",
    "strong",
    "em",
    "font",
    "center",
    "small",
    "big",
    "sub",
    "sup",
    "del",
    "ins",
    "mark",
    "strike",
    "section",
    "article",
    "header",
    "footer",
];
/// Tags of one letter: HTML only with attributes or a closing tag, because text uses `<i>` and `<a>` for other things.
const SHORT: [&str; 6] = ["a", "b", "i", "q", "s", "u"];
/// Attributes without a value.
const BARE_ATTRIBUTES: [&str; 6] = ["hidden", "nowrap", "noshade", "compact", "border", "reversed"];

/// Whether `text` contains at least one HTML tag (or a doctype). Linear in the text's length.
pub fn contains_html(text: &str) -> bool {
    let mut opened: [bool; SHORT.len()] = [false; SHORT.len()];
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let Some(tag) = read_tag(rest) else { continue };
        let name = tag.name.to_ascii_lowercase();
        if name == "!doctype" || PLAIN.contains(&name.as_str()) {
            return true;
        }
        if let Some(i) = SHORT.iter().position(|short| *short == name) {
            if tag.attributes || (tag.closing && opened[i]) {
                return true;
            }
            opened[i] |= !tag.closing;
        }
    }
    false
}

struct Tag<'a> {
    name: &'a str,
    closing: bool,
    attributes: bool,
}

/// Longest inside of a tag that is looked at; keeps a text of many `<` linear.
const MAX_TAG: usize = 4096;

/// A tag at the beginning of `text` (behind its `<`), if it is one in form: a name, then only attributes, then `>`.
fn read_tag(text: &str) -> Option<Tag<'_>> {
    let closing = text.starts_with('/');
    let text = if closing { &text[1..] } else { text };
    let name_end = text.bytes().take(16).position(|b| !(b.is_ascii_alphanumeric() || b == b'!'))?;
    let (name, rest) = text.split_at(name_end);
    if !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!') {
        return None;
    }
    if name.eq_ignore_ascii_case("!doctype") {
        return Some(Tag { name, closing, attributes: false });
    }
    if !rest.starts_with(['>', '/', ' ', '\t', '\r', '\n']) {
        return None;
    }
    let attributes = read_attributes(rest)?;
    (!closing || !attributes).then_some(Tag { name, closing, attributes })
}

/// Whether there are attributes before the closing `>`; `None` when something else is there.
fn read_attributes(text: &str) -> Option<bool> {
    let mut rest = text;
    let mut any = false;
    loop {
        rest = rest.trim_start();
        if rest.starts_with('>') || rest.starts_with("/>") {
            return Some(any);
        }
        if text.len() - rest.len() > MAX_TAG {
            return None;
        }
        let end = rest.bytes().take(64).position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'-' | b':' | b'_')))?;
        let (name, tail) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        any = true;
        let Some(value) = tail.trim_start().strip_prefix('=') else {
            if !BARE_ATTRIBUTES.contains(&name.to_ascii_lowercase().as_str()) {
                return None;
            }
            rest = tail;
            continue;
        };
        rest = value.trim_start();
        let window = rest.len().min(MAX_TAG);
        let skip = match rest.bytes().next()? {
            quote @ (b'"' | b'\'') => rest.bytes().take(window).skip(1).position(|b| b == quote)? + 2,
            _ => rest.bytes().take(window).position(|b| b == b'>' || b.is_ascii_whitespace())?,
        };
        rest = &rest[skip..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_from_text_that_looks_like_it() {
        for html in [
            "<p>hello</p>",
            "line<br>line",
            "line<BR/>line",
            "<b>bold</b>",
            "x <a href=\"https://x\">y</a>",
            "<a href=https://x>",
            "<!DOCTYPE html>",
            "1 < 2 <div class='a b' style=\"c > d\" hidden>",
            "<table border=1 cellpadding=\"0\"><tr><td nowrap>",
            "<font color=red>告警",
            "<H2\n id=x >",
            "<i>a</i >",
        ] {
            assert!(contains_html(html), "{html}");
        }
        for text in [
            "",
            "plain",
            "a < b and c > d",
            "a <b and c> d",
            "if x<p and y> q",
            "vector<i> and map<a>",
            "</b> <b>",
            "mail <ops@example.com>",
            "replace <host> and <port>",
            "<3 <<<>>> <> </> < p>",
            "<p",
            "<div class=\"x",
            "cpu<td&x>",
            "&lt;p&gt;",
            "<a?>",
            "<告警>",
        ] {
            assert!(!contains_html(text), "{text}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for piece in ["<", "<p a=\"", "<a b=c ", "<div "] {
            assert!(!contains_html(&piece.repeat(20_000)));
        }
    }
}
