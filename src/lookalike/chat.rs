//! Markdown as most chats read it, and Zulip's messages. <https://zulip.com/help/format-your-message-using-markdown>

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Message, Span};
use super::inline::{Dialect, Mark, Tag};
use super::{Reader, text};

/// CommonMark without what alerts never have.
pub(super) const MARKDOWN: Dialect = Dialect {
    marks: &[("**", Mark::Bold), ("~~", Mark::Strike), ("*", Mark::Italic), ("_", Mark::Italic)],
    code: true,
    links: true,
    backslash: true,
    headings: true,
    quotes: true,
    lists: true,
    ..Dialect::PLAIN
};

/// A backslash escapes nothing in Zulip.
const ZULIP: Dialect = Dialect { backslash: false, tag: time, ..MARKDOWN };

/// `<time:2026-11-23T06:03:05Z>`.
fn time<'t>(rest: &'t str, reader: &Reader) -> Option<(usize, Tag<'t>)> {
    let inner = rest.strip_prefix("<time:")?;
    let inner = &inner[..inner.find('>')?];
    let at = inner.parse().ok()?;
    Some((inner.len() + "<time:>".len(), Tag::Piece(Span::plain(reader.time(at)))))
}

pub(super) fn zulip(body: &Value, reader: &Reader) -> Message {
    let topic = text(body, "/topic");
    let mut out: Vec<Block> = (!topic.is_empty()).then(|| Block::Heading(4, plain(topic))).into_iter().collect();
    out.extend(blocks(text(body, "/content"), &ZULIP, reader));
    Message { notification: String::new(), blocks: out }
}
