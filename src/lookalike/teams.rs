//! Teams: adaptive cards. <https://adaptivecards.io/explorer/>

use serde_json::Value;

use super::blocks::blocks;
use super::card::{Block, Button, Line, Message, Span, Style, Tint};
use super::inline::{Dialect, Mark, Tag};
use super::{Reader, list, text};

/// <https://learn.microsoft.com/en-us/adaptive-cards/authoring-cards/text-features>: one line break is a space, two begin a paragraph.
const MARKDOWN: Dialect = Dialect {
    marks: &[("**", Mark::Bold), ("*", Mark::Italic), ("_", Mark::Italic)],
    links: true,
    backslash: true,
    entities: true,
    tag,
    lists: true,
    breaks: false,
    ..Dialect::PLAIN
};

/// `<at>ops@example.com</at>`.
fn tag<'t>(rest: &'t str, _: &Reader) -> Option<(usize, Tag<'t>)> {
    let inner = &rest.strip_prefix("<at>")?[..rest.find("</at>")? - "<at>".len()];
    Some((inner.len() + "<at></at>".len(), Tag::Piece(Span::mention(format!("@{inner}")))))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let mut out = Message { notification: text(body, "/summary").to_owned(), ..Message::default() };
    for attachment in list(body, "/attachments") {
        let card = &attachment["content"];
        let mut inner: Vec<Block> = list(card, "/body").iter().flat_map(|one| element(one, reader)).collect();
        let buttons: Vec<Button> = list(card, "/actions").iter().map(button).collect();
        inner.extend((!buttons.is_empty()).then_some(Block::Buttons(buttons)));
        out.blocks.push(Block::Card { colour: String::new(), head: Vec::new(), blocks: inner });
    }
    out
}

fn element(element: &Value, reader: &Reader) -> Vec<Block> {
    match text(element, "/type") {
        "TextBlock" => text_block(element, reader),
        "FactSet" => {
            let fact = |one: &Value| (text(one, "/title").to_owned(), vec![Span::plain(text(one, "/value"))]);
            vec![Block::Facts(list(element, "/facts").iter().map(fact).collect())]
        }
        "Image" => vec![Block::Picture(text(element, "/url").to_owned())],
        "Container" => list(element, "/items").iter().flat_map(|one| self::element(one, reader)).collect(),
        "ActionSet" => vec![Block::Buttons(list(element, "/actions").iter().map(button).collect())],
        other => vec![Block::Text(vec![Span::plain(format!("[{other}]"))])],
    }
}

fn text_block(element: &Value, reader: &Reader) -> Vec<Block> {
    let tint = match text(element, "/color") {
        "Attention" => Some(Tint::Red),
        "Warning" => Some(Tint::Orange),
        "Good" => Some(Tint::Green),
        "Accent" => Some(Tint::Blue),
        _ => None,
    };
    let bold = text(element, "/weight") == "Bolder";
    let styled = |line: Line| -> Line {
        let more = |span: Span| Span { style: Style { bold: bold || span.style.bold, tint: tint.or(span.style.tint), ..span.style }, ..span };
        line.into_iter().map(more).collect()
    };
    let (large, small) = (text(element, "/size") == "Large", text(element, "/size") == "Small");
    let dress = |block: Block| match block {
        Block::Text(line) if large => Block::Heading(3, styled(line)),
        Block::Text(line) if small => Block::Small(styled(line)),
        Block::Text(line) => Block::Text(styled(line)),
        other => other,
    };
    blocks(&times(text(element, "/text"), reader), &MARKDOWN, reader).into_iter().map(dress).collect()
}

/// `{{TIME(2026-11-23T06:03:05Z)}}` and `{{DATE(..,SHORT)}}` in the reader's zone.
fn times(text: &str, reader: &Reader) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let token = after.split_once(")}}").and_then(|(inner, after)| {
            let (name, at) = inner.split_once('(')?;
            let at = at.split(',').next()?.parse().ok()?;
            let shown = match name {
                "TIME" => reader.time(at),
                "DATE" => reader.day(at),
                _ => return None,
            };
            Some((shown, after))
        });
        match token {
            Some((shown, after)) => {
                out.push_str(&shown);
                rest = after;
            }
            None => {
                out.push_str("{{");
                rest = after;
            }
        }
    }
    out + rest
}

fn button(action: &Value) -> Button {
    Button { label: text(action, "/title").to_owned(), url: text(action, "/url").to_owned(), primary: text(action, "/style") == "positive" }
}
