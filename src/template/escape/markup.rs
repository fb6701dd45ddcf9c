//! Dialects with entities: HTML, Telegram, XML, Feishu.

use super::scanner::{CharContext, broken, walk};

fn entity(spot: &CharContext<'_>, out: &mut String) {
    match spot.c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c => out.push(c),
    }
}

/// HTML, in text and in quoted attributes; a line break becomes `<br>`.
pub(super) fn html(text: &str) -> String {
    walk(text, "", |spot, out| match spot.c {
        '\'' => out.push_str("&#39;"),
        '\n' => out.push_str("<br>"),
        _ => entity(spot, out),
    })
}

/// XML as text-to-speech reads it.
pub(super) fn xml(text: &str) -> String {
    walk(text, "", |spot, out| match spot.c {
        '\'' => out.push_str("&apos;"),
        _ => entity(spot, out),
    })
}

/// Telegram's HTML (<https://core.telegram.org/bots/api#html-style>); `@name` would notify its owner.
pub(super) fn telegram(text: &str) -> String {
    walk(text, "@", |spot, out| match spot.c {
        '@' if !spot.prev.is_some_and(|c| c.is_ascii_alphanumeric()) => broken(spot, out),
        _ => entity(spot, out),
    })
}

/// Feishu's card markdown: numeric entities, which its documents give for `< > * ~ _` and the like.
pub(super) fn lark(text: &str) -> String {
    walk(text, "", |spot, out| {
        let special = match spot.c {
            '&' | '<' | '>' | '*' | '_' | '`' | '~' | '[' | ']' | '\\' => true,
            '#' | '|' | '=' => spot.line_start,
            '-' | '+' => spot.is_bullet(),
            '.' | ')' => spot.ends_list_number(),
            ':' => spot.is_short_name(),
            _ => false,
        };
        if special {
            out.push_str(&format!("&#{};", u32::from(spot.c)));
        } else {
            out.push(spot.c);
        }
    })
}
