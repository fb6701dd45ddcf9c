//! Mail: the headers that a reader sees, and the part that a client shows. The body is [`email`](crate::channel)'s: headers by name, `text`, `html`.

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Message, Span};
use super::inline::Dialect;
use super::{Reader, text};

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let subject = text(body, "/subject");
    let mut out = vec![Block::Heading(3, plain(subject))];
    let headers = ["from", "to", "cc"].iter().map(|name| (*name, text(body, &format!("/{name}")))).filter(|(_, value)| !value.is_empty());
    out.push(Block::Facts(headers.map(|(name, value)| (name.to_owned(), vec![Span::plain(value)])).collect()));
    match text(body, "/html") {
        "" => out.extend(blocks(text(body, "/text"), &Dialect::PLAIN, reader)),
        html => out.push(Block::Document { html: html.to_owned(), text: text(body, "/text").to_owned() }),
    }
    Message { notification: subject.to_owned(), blocks: out }
}
