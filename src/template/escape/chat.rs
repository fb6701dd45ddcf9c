//! Dialects without a documented escape: Slack, DingTalk, WeCom, Zulip.

use super::BACK_QUOTE;
use super::scanner::{CharContext, broken, padded, shielded, walk};

/// Slack mrkdwn. Entities for `& < >` are its only documented escape (<https://docs.slack.dev/messaging/formatting-message-text>); white
/// space on either side keeps `* _ ~` from formatting.
pub(super) fn slack(text: &str) -> String {
    walk(text, "@*", |spot, out| match spot.c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        // Even as an entity it begins a quote at the start of a line.
        '>' if spot.line_start => out.push_str("\u{200B}&gt;"),
        '>' => out.push_str("&gt;"),
        '`' => out.push(BACK_QUOTE),
        '*' | '_' | '~' if !spot.inside_word() => padded(spot, out),
        // `@channel` pings where the message is sent with link_names; an address has a letter before its `@`.
        '@' if !spot.prev.is_some_and(|c| c.is_ascii_alphanumeric()) => broken(spot, out),
        ':' if spot.is_short_name() => broken(spot, out),
        c => out.push(c),
    })
}

/// DingTalk markdown: no documented escape; close to CommonMark on the clients.
pub(super) fn dingtalk(text: &str) -> String {
    walk(text, "@[]()*", dingtalk_character)
}

fn dingtalk_character(spot: &CharContext<'_>, out: &mut String) {
    match spot.c {
        ' ' if spot.line_start => {}
        // `@` + number pings anywhere, when the number is among the message's own.
        '@' | '<' => broken(spot, out),
        '&' if spot.is_entity() => broken(spot, out),
        '`' => out.push(BACK_QUOTE),
        '*' => padded(spot, out),
        '_' if !spot.inside_word() => padded(spot, out),
        '~' if spot.next_may_be('~') || spot.prev_may_be('~') => padded(spot, out),
        ']' if spot.next.is_none_or(|c| matches!(c, '(' | '[') || (c == ':' && spot.may_define)) => broken(spot, out),
        '\\' if spot.next.is_none_or(|c| c.is_ascii_punctuation()) => broken(spot, out),
        '#' | '>' | '=' | '|' if spot.line_start => shielded(spot, out),
        // `:--|--` could make a table of the line above.
        ':' if spot.line_start && spot.next == Some('-') => shielded(spot, out),
        '-' | '+' if spot.is_bullet() => shielded(spot, out),
        '.' | ')' if spot.ends_list_number() => shielded(spot, out),
        c => out.push(c),
    }
}

/// Zulip markdown: a backslash escapes nothing (<https://zulip.readthedocs.io/en/latest/subsystems/markdown.html>). Like DingTalk's, with emoji,
/// formulas and avatars.
pub(super) fn zulip(text: &str) -> String {
    walk(text, "@[]()*", |spot, out| match spot.c {
        ':' if spot.is_short_name() => broken(spot, out),
        '$' if spot.in_url && (spot.next == Some('$') || spot.prev == Some('$')) => out.push_str("%24"),
        '$' if spot.next_may_be('$') || spot.prev_may_be('$') => broken(spot, out),
        '!' if spot.rest.starts_with("!avatar(") || spot.rest.starts_with("!gravatar(") => broken(spot, out),
        _ => dingtalk_character(spot, out),
    })
}

/// WeCom markdown: headings, bold, links, inline code, quotes, `<font>` and `<@userid>`; no documented escape.
pub(super) fn wecom(text: &str) -> String {
    walk(text, "@[]()*", |spot, out| match spot.c {
        '@' | '<' => broken(spot, out),
        '&' if spot.is_entity() => broken(spot, out),
        '`' => out.push(BACK_QUOTE),
        // Only a pair is bold; one alone means nothing.
        '*' => {
            if spot.prev.is_none() {
                out.push(super::ZERO_WIDTH);
            }
            out.push('*');
            if spot.next_may_be('*') {
                out.push(super::ZERO_WIDTH);
            }
        }
        ']' if spot.next_may_be('(') => broken(spot, out),
        '#' | '>' if spot.line_start => shielded(spot, out),
        c => out.push(c),
    })
}

/// WeCom text: only `<a href>` is special.
pub(super) fn wecom_text(text: &str) -> String {
    walk(text, "@", |spot, out| match spot.c {
        '<' | '@' => broken(spot, out),
        c => out.push(c),
    })
}
