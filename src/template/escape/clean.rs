//! What every value and every link goes through first, whatever the dialect.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Normalises line breaks, drops control characters and the characters that reverse the reading direction, and trims blank lines at both ends.
/// Tabs become spaces.
pub fn clean(text: &str) -> Cow<'_, str> {
    let odd = |c: char| c != '\n' && (c.is_control() || is_direction(c) || matches!(c, '\u{2028}' | '\u{2029}'));
    let trimmed = text.trim_matches(['\n', '\r']);
    if !trimmed.contains(odd) {
        return Cow::Borrowed(trimmed);
    }
    let mut out = String::with_capacity(trimmed.len());
    let mut chars = trimmed.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            '\u{2028}' | '\u{2029}' | '\u{85}' => out.push('\n'),
            '\t' => out.push(' '),
            c if odd(c) => {}
            c => out.push(c),
        }
    }
    // What was dropped may have stood between the text and blank lines.
    let len = out.trim_end_matches('\n').len();
    out.truncate(len);
    let start = out.len() - out.trim_start_matches('\n').len();
    out.drain(..start);
    Cow::Owned(out)
}

/// Embeddings, overrides and isolates of the bidirectional algorithm: they can make a text read as something else than it is.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Everything that is markup in some dialect, besides what a URL cannot hold. `%`, `&`, `=`, `?`, `/`, `:`, `#`, `+`, `,`, `!`, `$`, `-`, `.` and `_` stay.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'(')
    .add(b')')
    .add(b'*')
    .add(b'\\')
    .add(b'^')
    .add(b'{')
    .add(b'|')
    .add(b'}');
const UNSAFE_PATH: &AsciiSet = &UNSAFE.add(b'[').add(b']').add(b'@').add(b'~').add(b';');

/// A link that a message may hold: absolute http or https, with everything percent-encoded that is markup in any dialect, so that it is
/// unchanged in all of them. Anything else (another scheme, credentials, no host) is `None`: it is never made a link.
pub fn clean_url(text: &str) -> Option<String> {
    let text = text.trim();
    let (scheme, rest) = text.split_once("://")?;
    let scheme = if scheme.eq_ignore_ascii_case("https") {
        "https"
    } else if scheme.eq_ignore_ascii_case("http") {
        "http"
    } else {
        return None;
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    let host_is_sound = host.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_'));
    if host.is_empty() || !host_is_sound || !host.starts_with(|c: char| c.is_alphanumeric() || c == '[') || tail.contains(char::is_control) {
        return None;
    }
    let mut url = format!("{scheme}://{host}");
    let mut before = ' ';
    let mut chars = tail.chars().peekable();
    let mut buffer = [0; 4];
    while let Some(c) = chars.next() {
        // Between two letters an underscore is only an underscore; elsewhere it may open emphasis.
        let lone = c == '_' && !(before.is_ascii_alphanumeric() && chars.peek().is_some_and(char::is_ascii_alphanumeric));
        if lone {
            url.push_str("%5F");
        } else {
            url.extend(utf8_percent_encode(c.encode_utf8(&mut buffer), UNSAFE_PATH));
        }
        before = c;
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_go_and_lines_stay() {
        assert_eq!(clean("\n a: \n"), " a: ");
        assert_eq!(clean("\r\na\r\nb\rc\u{2028}d\u{7}\u{1b}[31m\te\u{0}\n\n"), "a\nb\nc\nd[31m e");
        assert_eq!(clean("user\u{202E}txt.exe"), "usertxt.exe");
        assert!(matches!(clean("plain 告警"), Cow::Borrowed("plain 告警")));
        assert_eq!(clean("a\n\u{7}\n"), "a");
    }

    #[test]
    fn only_web_links_are_links() {
        for bad in
            ["", "javascript:alert(1)", "JaVaScRiPt://x/%0aalert(1)", "data:text/html,x", "//host/x", "/x", "ftp://h/", "http://", "https:///x"]
        {
            assert_eq!(clean_url(bad), None, "{bad}");
        }
        for bad in ["https://good.example@evil.example/", "http://-h/", "http://h\u{0}/", "http://h/\n", "http://a b/"] {
            // A trailing line break is trimmed, one inside is refused.
            if bad != "http://h/\n" {
                assert_eq!(clean_url(bad), None, "{bad}");
            }
        }
        assert_eq!(clean_url(" HTTPS://h:3000/d/x?a=1&b=2#c "), Some("https://h:3000/d/x?a=1&b=2#c".into()));
        assert_eq!(clean_url("http://[::1]:9093/#/silences"), Some("http://[::1]:9093/#/silences".into()));
        assert_eq!(
            clean_url("http://p:9090/graph?g0.expr=up{a=\"b\"} > 0|x"),
            Some("http://p:9090/graph?g0.expr=up%7Ba=%22b%22%7D%20%3E%200%7Cx".into())
        );
        assert_eq!(clean_url("http://h/(a)_b_c*~@all"), Some("http://h/%28a%29%5Fb_c%2A%7E%40all".into()));
        assert_eq!(clean_url("http://h/告"), Some("http://h/%E5%91%8A".into()));
        assert_eq!(clean_url("http://h/%E5%91%8A"), Some("http://h/%E5%91%8A".into()));
    }
}
