//! Dialects where a backslash takes a character's meaning away: Discord, Teams, CommonMark.

use super::scanner::{CharContext, broken, walk};

/// What is read as a link, as emphasis or as a mention also within a URL, where a backslash would be a part of it.
const MARKS: &str = "@[]()*";

fn backslash(spot: &CharContext<'_>, out: &mut String) {
    if !spot.is_verbatim() {
        out.push('\\');
    }
    out.push(spot.c);
}

/// Whether it means something only at the start of a line, and is there.
fn begins_block(spot: &CharContext<'_>) -> bool {
    match spot.c {
        '#' | '>' | '=' | '|' => spot.line_start,
        '-' | '+' => spot.is_bullet(),
        '.' | ')' => spot.ends_list_number(),
        _ => false,
    }
}

/// Discord. Mentions are also switched off by the driver's `allowed_mentions`; this keeps them from looking like ones.
pub(super) fn discord(text: &str) -> String {
    walk(text, MARKS, |spot, out| match spot.c {
        '\\' | '*' | '~' | '`' | '[' | ']' | '<' | '|' => backslash(spot, out),
        '_' if !spot.inside_word() => backslash(spot, out),
        '@' => broken(spot, out),
        ':' if spot.is_short_name() => backslash(spot, out),
        _ if begins_block(spot) => backslash(spot, out),
        c => out.push(c),
    })
}

/// Markdown of Teams' adaptive cards. `<at>` needs an entity in the card to ping; it is broken anyway.
pub(super) fn teams(text: &str) -> String {
    walk(text, MARKS, |spot, out| match spot.c {
        '\\' | '*' | '~' | '`' | '[' | ']' => backslash(spot, out),
        '_' if !spot.inside_word() => backslash(spot, out),
        '<' => broken(spot, out),
        '&' if spot.is_entity() => broken(spot, out),
        _ if begins_block(spot) => backslash(spot, out),
        c => out.push(c),
    })
}

/// CommonMark as Mattermost, Rocket.Chat, Gotify and ntfy read it (<https://spec.commonmark.org/0.31.2/#backslash-escapes>). `@all`, `@here`
/// and `@channel` ping in the chats among them.
pub(super) fn common_mark(text: &str) -> String {
    walk(text, MARKS, |spot, out| match spot.c {
        ' ' if spot.line_start => {}
        '\\' | '*' | '~' | '`' | '[' | ']' | '<' | '|' => backslash(spot, out),
        '_' if !spot.inside_word() => backslash(spot, out),
        '&' if spot.is_entity() => backslash(spot, out),
        '@' => broken(spot, out),
        ':' if spot.is_short_name() => backslash(spot, out),
        _ if begins_block(spot) => backslash(spot, out),
        c => out.push(c),
    })
}
