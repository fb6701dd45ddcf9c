//! A walk over a text that knows, at each character, its neighbours and whether only blanks precede it on its line.

use super::{HAIR_SPACE, ZERO_WIDTH};
use crate::model::{encoded_in_url, url_len};

/// One character and its surroundings.
pub(super) struct CharContext<'a> {
    pub c: char,
    /// The character before; `None` at the value's start, where anything may precede it.
    pub prev: Option<char>,
    /// The character after; `None` at the value's end, where anything may follow.
    pub next: Option<char>,
    /// The text from this character on.
    pub rest: &'a str,
    /// Whether only blanks precede it on its line.
    pub line_start: bool,
    /// Whether only digits (at most nine, as in a numbered list) precede it on its line.
    pub after_number: bool,
    /// Whether the last bracket that was opened may be the first sign of a line, so that `]:` ends the name of a link's target.
    pub may_define: bool,
    /// Whether it is part of a URL.
    pub in_url: bool,
    /// Whether it is part of a URL's user and host, where nothing can be percent-encoded.
    pub in_host: bool,
}

impl CharContext<'_> {
    /// Whether a letter or digit is on both sides: a marker there is part of a word in dialects that need word edges.
    pub fn inside_word(&self) -> bool {
        self.prev.is_some_and(|c| c.is_ascii_alphanumeric()) && self.next.is_some_and(|c| c.is_ascii_alphanumeric())
    }

    /// Whether the next character is `c`, or unknown.
    pub fn next_may_be(&self, c: char) -> bool {
        self.next.is_none_or(|next| next == c)
    }

    /// Whether the character before is `c`, or unknown.
    pub fn prev_may_be(&self, c: char) -> bool {
        self.prev.is_none_or(|prev| prev == c)
    }

    /// Whether this is the sign of a list item or of a horizontal rule at the start of a line: `- x`, `---`, `+`.
    pub fn is_bullet(&self) -> bool {
        self.line_start && matches!(self.c, '-' | '+' | '*') && self.next.is_none_or(|next| next.is_whitespace() || next == self.c)
    }

    /// Whether this ends the number of a numbered list item: `1. x`, `1) x`.
    pub fn ends_list_number(&self) -> bool {
        self.after_number && matches!(self.c, '.' | ')') && self.next.is_none_or(char::is_whitespace)
    }

    /// Whether an entity begins here: `&lt;`, `&#60;`.
    pub fn is_entity(&self) -> bool {
        self.rest.strip_prefix('&').is_some_and(|rest| {
            let name = rest.strip_prefix('#').unwrap_or(rest);
            let len = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
            // A value that ends inside an entity could be completed by what follows.
            len == name.len() || (len > 0 && name[len..].starts_with(';'))
        })
    }

    /// Whether it is read as it is: clients find no markup in a URL, and no mention in a mail address. Both can be copied then.
    pub fn is_verbatim(&self) -> bool {
        match self.c {
            '_' | '~' | ':' => self.in_url,
            '&' => self.in_url && !self.rest.split(['&', '=', '/', '?']).nth(1).is_some_and(|name| name.contains(';')),
            '@' => self.is_in_mail_address() || self.ends_user(),
            // Around an IPv6 address, unless a link could begin behind it.
            '[' => self.in_host,
            ']' => self.in_host && self.next.is_some_and(|next| matches!(next, ':' | '/' | '?' | '#' | ' ' | '\n')),
            _ => false,
        }
    }

    /// Whether this is the `@` of `ops@example.com`.
    fn is_in_mail_address(&self) -> bool {
        let (domain, host) = self.after_at();
        let named = self.prev.is_some_and(|c| c.is_ascii_alphanumeric()) && host.starts_with(|c: char| c.is_ascii_alphabetic());
        named && !pings(host) && domain.contains('.')
    }

    /// Whether this is the `@` of `https://user@host/`; a number behind it could be somebody's.
    fn ends_user(&self) -> bool {
        let (domain, host) = self.after_at();
        self.in_host && !pings(host) && (domain.contains('.') || host.contains(|c: char| c.is_ascii_alphabetic()))
    }

    /// The host's name behind an `@`, and its first label.
    fn after_at(&self) -> (&str, &str) {
        let domain = self.rest.get(1..).unwrap_or_default();
        let end = domain.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))).unwrap_or(domain.len());
        let domain = domain[..end].trim_end_matches('.');
        (domain, domain.split('.').next().unwrap_or_default())
    }

    /// Whether an emoji's short name begins here: `:fire:`, but not the minutes of `12:30:45`.
    pub fn is_short_name(&self) -> bool {
        self.rest.strip_prefix(':').is_some_and(|rest| {
            let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '\''))).unwrap_or(rest.len());
            let name = &rest[..len];
            let numeric = name.bytes().all(|b| b.is_ascii_digit()) && name != "100" && name != "1234";
            // A part of an IPv6 address: `2001:db8:85a3::8a2e`.
            let hex = self.prev.is_some_and(|c| c.is_ascii_hexdigit()) && len <= 4 && name.bytes().all(|b| b.is_ascii_hexdigit());
            len > 0 && !numeric && !hex && rest[len..].starts_with(':')
        })
    }
}

/// Whether this name pings whatever is before its `@`.
fn pings(name: &str) -> bool {
    ["all", "here", "channel", "everyone"].iter().any(|everybody| name.eq_ignore_ascii_case(everybody))
}

/// Walks over `text`; `each` writes what replaces the character. `encoded` are the characters that are percent-encoded in a URL: there a client would read
/// them, and what else could keep it from that would be copied with the URL.
pub(super) fn walk(text: &str, encoded: &str, mut each: impl FnMut(&CharContext<'_>, &mut String)) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8 + 4);
    let mut prev = None;
    let mut line_start = true;
    let mut digits = 0;
    let mut may_define = true;
    let (mut host_end, mut url_end) = (0, 0);
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        let next = rest[c.len_utf8()..].chars().next();
        if at >= url_end
            && let len @ 1.. = url_len(rest)
        {
            url_end = at + len;
            let host = rest.find("://").map_or(0, |scheme| scheme + 3);
            host_end = at + rest[host..len].find(['/', '?', '#']).map_or(len, |end| host + end);
        }
        let after_number = (1..10).contains(&digits);
        let spot = CharContext { c, prev, next, rest, line_start, after_number, may_define, in_url: at < url_end, in_host: at < host_end };
        match encoded_in_url(c).filter(|_| spot.in_url && !spot.in_host && encoded.contains(c) && !spot.is_verbatim()) {
            Some(replaced) => out.push_str(replaced),
            None => each(&spot, &mut out),
        }
        match c {
            '\n' => (line_start, digits) = (true, 0),
            '[' => (may_define, line_start, digits) = (line_start, false, 0),
            c if c.is_ascii_digit() && (line_start || digits > 0) => (line_start, digits) = (false, digits + 1),
            c => {
                line_start &= c.is_whitespace();
                digits = 0;
            }
        }
        prev = Some(c);
    }
    out
}

/// Writes a marker with hair spaces around it (none where there is white space already), so that it neither opens nor closes anything. At a
/// line's start it always has one before it: blanks there would leave it a list's bullet.
pub(super) fn padded(spot: &CharContext<'_>, out: &mut String) {
    if spot.is_verbatim() {
        return out.push(spot.c);
    }
    if !out.ends_with(HAIR_SPACE) && (spot.line_start || !out.ends_with(char::is_whitespace)) {
        out.push(HAIR_SPACE);
    }
    out.push(spot.c);
    if !spot.next.is_some_and(char::is_whitespace) {
        out.push(HAIR_SPACE);
    }
}

/// Writes the character with an invisible one after it.
pub(super) fn broken(spot: &CharContext<'_>, out: &mut String) {
    out.push(spot.c);
    if !spot.is_verbatim() {
        out.push(ZERO_WIDTH);
    }
}

/// Writes the character with an invisible one before it.
pub(super) fn shielded(spot: &CharContext<'_>, out: &mut String) {
    out.push(ZERO_WIDTH);
    out.push(spot.c);
}
