//! Escaping: one function per [`Escape`], so that a value can neither break a message, inject markup, nor ping anybody, and still reads the same.
//!
//! Knows dialects, not templates. Every function assumes the worst about its place: the value may begin a line, and any character may be
//! before and after it. What each dialect allows decides the means: entities or backslashes where the platform documents them, else
//! invisible characters that break a token (`@`, `](`, `<`), hair spaces that keep a marker from opening or closing anything, and for back
//! quotes the look-alike `ˋ`. Line breaks stay `\n` (HTML: `<br>`); [`finish`] turns them into what the field's dialect calls a line break.

mod chat;
mod clean;
mod finish;
mod markdown;
mod markup;
mod scanner;
#[cfg(test)]
mod tests;

pub use clean::{clean, clean_url};
pub use finish::finish;

use crate::model::Escape;

/// Breaks a token without being seen.
pub(crate) const ZERO_WIDTH: char = '\u{200B}';
/// White space to every Markdown parser, nearly invisible to a reader: a marker beside it neither opens nor closes anything.
pub(crate) const HAIR_SPACE: char = '\u{200A}';
/// Looks like a back quote and is none.
pub(crate) const BACK_QUOTE: char = '\u{02CB}';

/// Escapes a value for a field of this dialect. Control characters are dropped, line breaks kept.
pub fn escape(dialect: Escape, value: &str) -> String {
    let value = clean(value);
    match dialect {
        Escape::None => value.into_owned(),
        Escape::Html => markup::html(&value),
        Escape::SlackMrkdwn => chat::slack(&value),
        Escape::DingTalkMarkdown => chat::dingtalk(&value),
        Escape::WeComMarkdown => chat::wecom(&value),
        Escape::WeComText => chat::wecom_text(&value),
        Escape::LarkMarkdown => markup::lark(&value),
        Escape::TelegramHtml => markup::telegram(&value),
        Escape::DiscordMarkdown => markdown::discord(&value),
        Escape::ZulipMarkdown => chat::zulip(&value),
        Escape::TeamsMarkdown => markdown::teams(&value),
        Escape::Markdown => markdown::common_mark(&value),
        Escape::Xml => markup::xml(&value),
    }
}

/// A link in the dialect. `url` has passed [`clean_url`]; `label` is plain text. Where links do not exist: `label: url`.
pub fn link(dialect: Escape, label: &str, url: &str) -> String {
    // A bracket in the label could end it early in every bracketed dialect.
    let plain = || label.replace('[', "(").replace(']', ")");
    match dialect {
        Escape::None => format!("{}: {url}", clean(label)),
        Escape::Html | Escape::TelegramHtml | Escape::WeComText => format!("<a href=\"{}\">{}</a>", markup::html(url), escape(dialect, label)),
        Escape::SlackMrkdwn => format!("<{}|{}>", url.replace('&', "&amp;"), escape(dialect, label).replace('\n', " ")),
        Escape::Xml => escape(dialect, label),
        _ => format!("[{}]({url})", escape(dialect, &plain()).replace('\n', " ")),
    }
}

/// A bold value in the dialect, with code where `prose` has it; plain where bold does not exist. Line breaks become spaces: bold ends at a line's end
/// everywhere.
pub fn bold(dialect: Escape, value: &str) -> String {
    let flat = clean(value).replace('\n', " ");
    with_code(dialect, flat.trim(), |piece, behind| bold_piece(dialect, piece, behind))
}

/// A piece of one line in bold. The blanks at its ends are beside code, and outside the markers.
fn bold_piece(dialect: Escape, piece: &str, behind: bool) -> String {
    let text = escape_piece(dialect, piece.trim(), behind);
    if text.is_empty() {
        return piece.to_owned();
    }
    let guarded = |mark: &str| {
        // A marker beside white space would not open or close: an escaped value may begin or end with a hair space.
        let head = if text.starts_with(HAIR_SPACE) { "\u{200B}" } else { "" };
        let tail = if text.ends_with(HAIR_SPACE) { "\u{200B}" } else { "" };
        format!("{mark}{head}{text}{tail}{mark}")
    };
    let marked = match dialect {
        Escape::None | Escape::WeComText | Escape::Xml => text,
        Escape::Html | Escape::TelegramHtml => format!("<b>{text}</b>"),
        Escape::SlackMrkdwn => guarded("*"),
        _ => guarded("**"),
    };
    let blank = |there: bool| if there { " " } else { "" };
    format!("{}{marked}{}", blank(piece.starts_with(' ')), blank(piece.ends_with(' ')))
}

/// A value as inline code, so that it can be copied as it is; escaped where the dialect has no code, or the value would end it.
pub fn code(dialect: Escape, value: &str) -> String {
    let text = clean(value);
    let text = text.trim();
    let ends_code = text.is_empty() || text.contains(['`', '\n']);
    match dialect {
        Escape::TelegramHtml if !text.is_empty() => format!("<code>{}</code>", markup::html(text)),
        _ if ends_code => escape(dialect, text),
        // Entities are read inside code, too: <https://docs.slack.dev/messaging/formatting-message-text#escaping>
        Escape::SlackMrkdwn => format!("`{}`", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")),
        Escape::WeComMarkdown if !text.contains(['<', '@']) => format!("`{text}`"),
        Escape::DiscordMarkdown | Escape::ZulipMarkdown | Escape::Markdown => format!("`{text}`"),
        _ => escape(dialect, text),
    }
}

/// A text in which pieces between back quotes become code where the dialect has it.
pub fn prose(dialect: Escape, value: &str) -> String {
    with_code(dialect, &clean(value), |piece, behind| escape_piece(dialect, piece, behind))
}

/// A text with its pieces between back quotes as code, where the dialect has it. `plain` writes the others, and knows whether something is before
/// them.
fn with_code(dialect: Escape, text: &str, plain: impl Fn(&str, bool) -> String) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, inside, after)) = coded(rest) {
        let shown = code(dialect, inside);
        if shown == escape(dialect, inside) {
            break;
        }
        out.push_str(&plain(before, !out.is_empty()));
        out.push_str(&shown);
        rest = after;
    }
    out.push_str(&plain(rest, !out.is_empty()));
    out
}

/// Escapes a piece of a text. Behind something else on its line no list or quote begins, and a blank is a gap.
fn escape_piece(dialect: Escape, piece: &str, behind: bool) -> String {
    if !behind {
        return escape(dialect, piece);
    }
    // A full stop is itself in every dialect.
    let mut escaped = escape(dialect, &format!(".{piece}"));
    escaped.remove(0);
    escaped
}

/// The first piece between two back quotes of one line, with what is before and after it.
fn coded(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (inside, after) = rest.split_once('`')?;
    let sound =
        !inside.trim().is_empty() && !inside.contains('\n') && !before.ends_with(char::is_alphanumeric) && !after.starts_with(char::is_alphanumeric);
    sound.then_some((before, inside, after))
}

/// A value that is read last: grey or small where the dialect can, on a line of its own.
pub fn dim(dialect: Escape, value: &str) -> String {
    let flat = clean(value).replace('\n', " ");
    let text = escape(dialect, flat.trim());
    if text.is_empty() {
        return text;
    }
    match dialect {
        Escape::WeComMarkdown => format!("<font color=\"comment\">{text}</font>"),
        // Its clients show quotes in grey.
        Escape::DingTalkMarkdown => format!("> {text}"),
        // <https://support.discord.com/hc/en-us/articles/210298617>: subtext.
        Escape::DiscordMarkdown => format!("-# {text}"),
        Escape::TelegramHtml => format!("<i>{text}</i>"),
        // <https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/using-markdown-tags>
        Escape::LarkMarkdown => format!("<font color='grey'>{text}</font>"),
        _ => text,
    }
}

/// A quoted value in the dialect: every line of it is quoted. Indented by two spaces where quotes do not exist.
pub fn quote(dialect: Escape, value: &str) -> String {
    let text = escape(dialect, value);
    let mark = match dialect {
        Escape::Html | Escape::TelegramHtml => return format!("<blockquote>{text}</blockquote>"),
        Escape::Xml => return text,
        Escape::None | Escape::WeComText => "  ",
        // No quotes in Feishu's older cards and in Teams; a plain line reads better there than a lone `>`.
        Escape::LarkMarkdown | Escape::TeamsMarkdown => "",
        _ => "> ",
    };
    let lines: Vec<String> = text.lines().filter(|line| !line.trim().is_empty()).map(|line| format!("{mark}{line}")).collect();
    lines.join("\n")
}
