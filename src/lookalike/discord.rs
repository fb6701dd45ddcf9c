//! Discord: content and embeds of its markdown. <https://docs.discord.com/developers/resources/message>

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Message, Span, Style};
use super::inline::{Dialect, Mark, Tag};
use super::{Reader, colour, list, text};

const MARKDOWN: Dialect = Dialect {
    marks: &[("**", Mark::Bold), ("__", Mark::Underline), ("~~", Mark::Strike), ("*", Mark::Italic), ("_", Mark::Italic)],
    code: true,
    links: true,
    backslash: true,
    tag,
    headings: true,
    subtext: true,
    quotes: true,
    lists: true,
    ..Dialect::PLAIN
};

/// `<t:1795413785:R>` (<https://docs.discord.com/developers/reference#message-formatting-timestamp-styles>), `<@4711>`, `<@&815>`.
fn tag<'t>(rest: &'t str, reader: &Reader) -> Option<(usize, Tag<'t>)> {
    let inner = &rest[1..rest.find('>').filter(|end| *end < 40)?];
    let piece = if let Some(stamp) = inner.strip_prefix("t:") {
        let (second, form) = stamp.split_once(':').unwrap_or((stamp, "f"));
        let at = jiff::Timestamp::from_second(second.parse().ok()?).ok()?;
        Span::plain(match form {
            "R" => reader.ago(at),
            "t" => reader.time(at),
            _ => format!("{} {}", reader.day(at), reader.time(at)),
        })
    } else {
        let id = inner.strip_prefix("@&").or_else(|| inner.strip_prefix('@'))?;
        id.bytes().all(|byte| byte.is_ascii_digit()).then(|| Span::mention(format!("@{id}")))?
    };
    Some((inner.len() + 2, Tag::Piece(piece)))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let content = text(body, "/content");
    let mut out = match list(body, "/allowed_mentions/parse").is_empty() {
        true => blocks(content, &MARKDOWN, reader),
        // Everybody is pinged.
        false => {
            let mut all = vec![Block::Text(vec![Span::mention("@everyone")])];
            all.extend(blocks(content.trim_start_matches("@everyone").trim_start(), &MARKDOWN, reader));
            all
        }
    };
    for embed in list(body, "/embeds") {
        let link = Some(text(embed, "/url").to_owned()).filter(|url| !url.is_empty());
        let title = text(embed, "/title");
        let head = vec![Span { text: title.to_owned(), style: Style { bold: true, link, ..Style::default() } }];
        let mut inner: Vec<Block> = (!title.is_empty()).then_some(Block::Heading(4, head)).into_iter().collect();
        inner.extend(blocks(text(embed, "/description"), &MARKDOWN, reader));
        inner.extend(Some(text(embed, "/image/url")).filter(|url| !url.is_empty()).map(|url| Block::Picture(url.to_owned())));
        inner.extend(Some(text(embed, "/footer/text")).filter(|text| !text.is_empty()).map(|text| Block::Small(plain(text))));
        let number = embed.pointer("/color").and_then(Value::as_u64).unwrap_or_default();
        out.push(Block::Card { colour: colour(&format!("{number:06x}")), head: Vec::new(), blocks: inner });
    }
    Message { notification: String::new(), blocks: out }
}
