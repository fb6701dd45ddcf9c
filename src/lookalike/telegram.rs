//! Telegram: the few HTML tags it knows, or text; the picture is the preview of a link. <https://core.telegram.org/bots/api#html-style>

use serde_json::Value;

use super::blocks::blocks;
use super::card::{Block, Button, Message, Style};
use super::inline::{Dialect, Tag, decode};
use super::{Reader, list, text};

const HTML: Dialect = Dialect { entities: true, tag, ..Dialect::PLAIN };

/// Tags that only change the text's style.
fn tag<'t>(rest: &'t str, _: &Reader) -> Option<(usize, Tag<'t>)> {
    let open = &rest[1..rest.find('>')?];
    let (name, attributes) = open.split_once(' ').unwrap_or((open, ""));
    let end = format!("</{name}>");
    let inner = &rest[open.len() + 2..];
    let inner = &inner[..inner.find(&end)?];
    let mut style = Style::default();
    match name {
        "b" | "strong" => style.bold = true,
        "i" | "em" => style.italic = true,
        "u" | "ins" => style.underline = true,
        "s" | "del" => style.strike = true,
        "code" => style.code = true,
        "a" => {
            let url = decode(attributes.strip_prefix("href=\"")?.strip_suffix('"')?);
            style.mention = url.starts_with("tg://user");
            style.link = Some(url);
        }
        _ => return None,
    }
    Some((open.len() + 2 + inner.len() + end.len(), Tag::Around(style, inner)))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let whole = text(body, "/text");
    let mut out = if text(body, "/parse_mode") == "HTML" { html(whole, reader) } else { blocks(whole, &Dialect::PLAIN, reader) };
    // Below the text, unless `show_above_text` (<https://core.telegram.org/bots/api#linkpreviewoptions>).
    let picture = Some(text(body, "/link_preview_options/url")).filter(|url| !url.is_empty());
    out.extend(picture.map(|url| Block::Picture(url.to_owned())));
    for row in list(body, "/reply_markup/inline_keyboard") {
        let button = |one: &Value| Button { label: text(one, "/text").to_owned(), url: text(one, "/url").to_owned(), primary: false };
        out.push(Block::Buttons(row.as_array().into_iter().flatten().map(button).collect()));
    }
    Message { notification: String::new(), blocks: out }
}

/// Quotations and code on lines of their own; the rest is text.
fn html(whole: &str, reader: &Reader) -> Vec<Block> {
    let mut out = Vec::new();
    let mut rest = whole;
    let opening = |text: &str| ["<blockquote", "<pre>"].iter().filter_map(|tag| text.find(tag)).min();
    while let Some(at) = opening(rest) {
        let name = if rest[at..].starts_with("<pre") { "pre" } else { "blockquote" };
        let end = format!("</{name}>");
        let (Some(open), Some(close)) = (rest[at..].find('>'), rest[at..].find(&end)) else { break };
        out.extend(blocks(&rest[..at], &HTML, reader));
        let inner = rest[at..].get(open + 1..close).unwrap_or_default();
        out.push(match name {
            "pre" => Block::Code(decode(inner)),
            _ => Block::Quote(blocks(inner, &HTML, reader)),
        });
        rest = &rest[at + close + end.len()..];
    }
    out.extend(blocks(rest, &HTML, reader));
    out
}
