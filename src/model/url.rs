//! Where a web address in a text ends.

/// The length in bytes of the http or https address that a text begins with, as clients that link addresses read it; 0 where it begins with none. A pair
/// of brackets belongs to it, one alone ends it: `(see https://example.com/a(b))`. Asterisks at its end belong to the text.
pub fn url_len(text: &str) -> usize {
    let Some(scheme) = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme)) else { return 0 };
    let ends = |c: char| !c.is_ascii_graphic() || matches!(c, '<' | '>' | '|' | '`' | '"' | '\\');
    let mut at = scheme.len();
    while let Some(c) = text[at..].chars().next() {
        let close = match c {
            '(' => ')',
            '[' => ']',
            ')' | ']' => break,
            c if ends(c) => break,
            _ => {
                at += 1;
                continue;
            }
        };
        let inside = &text[at + 1..];
        match inside.find(|c: char| ends(c) || matches!(c, '(' | ')' | '[' | ']')) {
            Some(end) if inside[end..].starts_with(close) => at += end + 2,
            _ => break,
        }
    }
    text[..at].trim_end_matches('*').len()
}

/// What replaces a character in an address where a client would read it as markup or as a mention: its percent-encoding, which means the same there.
/// `None` for a character that is no markup in any dialect.
pub fn encoded_in_url(c: char) -> Option<&'static str> {
    Some(match c {
        '@' => "%40",
        '[' => "%5B",
        ']' => "%5D",
        '(' => "%28",
        ')' => "%29",
        '*' => "%2A",
        '!' => "%21",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_ends_where_clients_say_so() {
        for (text, address) in [
            ("https://h/x, y", "https://h/x,"),
            ("https://user@host/", "https://user@host/"),
            ("https://h/?q=[a]&b=(c) d", "https://h/?q=[a]&b=(c)"),
            ("https://h/a(b))", "https://h/a(b)"),
            ("https://h/a(b", "https://h/a"),
            ("https://h/a(b]c)", "https://h/a"),
            ("http://[::1]:9093/#/alerts.", "http://[::1]:9093/#/alerts."),
            ("https://h/x**", "https://h/x"),
            ("https://h/告", "https://h/"),
            ("https://h/x\"y", "https://h/x"),
            ("see https://h/", ""),
            ("ftp://h/", ""),
            ("http://", "http://"),
        ] {
            assert_eq!(&text[..url_len(text)], address, "{text}");
        }
    }
}
