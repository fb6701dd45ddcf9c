//! Feishu and Lark: cards of schema 1.0, and text.
//! <https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/using-markdown-tags>

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Button, Message, Span, Style, Tint};
use super::inline::{Dialect, Mark, Tag};
use super::{Reader, list, text};

const MARKDOWN: Dialect = Dialect {
    marks: &[("**", Mark::Bold), ("~~", Mark::Strike), ("*", Mark::Italic)],
    code: true,
    links: true,
    entities: true,
    tag,
    lists: true,
    ..Dialect::PLAIN
};

const TEXT: Dialect = Dialect { tag, ..Dialect::PLAIN };

/// `<at id=all></at>`, `<at user_id="ou_1"></at>`, `<font color='grey'>..</font>`.
fn tag<'t>(rest: &'t str, _: &Reader) -> Option<(usize, Tag<'t>)> {
    if let Some(open) = rest.strip_prefix("<at ") {
        let (who, _) = open.split_once("></at>")?;
        let (_, name) = who.split_once('=').filter(|_| !who.contains(['<', '\n']))?;
        let piece = Span::mention(format!("@{}", name.trim_matches(['"', '\''])));
        return Some(("<at ".len() + who.len() + "></at>".len(), Tag::Piece(piece)));
    }
    let open = rest.strip_prefix("<font color=")?;
    let (name, inner) = open.split_once('>')?;
    let inner = &inner[..inner.find("</font>")?];
    let tint = match name.trim_matches(['"', '\'']) {
        "grey" => Tint::Grey,
        "green" => Tint::Green,
        "red" => Tint::Red,
        _ => return None,
    };
    let len = "<font color=".len() + name.len() + 1 + inner.len() + "</font>".len();
    Some((len, Tag::Around(Style { tint: Some(tint), ..Style::default() }, inner)))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    // To an application's receivers the content is JSON in a text.
    let inner = serde_json::from_str::<Value>(text(body, "/content")).ok();
    let (content, card) = (inner.as_ref().unwrap_or(&body["content"]), inner.as_ref().unwrap_or(&body["card"]));
    if text(body, "/msg_type") == "text" {
        return Message { notification: String::new(), blocks: blocks(text(content, "/text"), &TEXT, reader) };
    }
    let title = text(card, "/header/title/content");
    let elements = list(card, "/elements").iter().flat_map(|one| element(one, reader)).collect();
    let colour = template(text(card, "/header/template")).to_owned();
    Message { notification: title.to_owned(), blocks: vec![Block::Card { colour, head: plain(title), blocks: elements }] }
}

/// <https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/card-header>
fn template(name: &str) -> &'static str {
    match name {
        "red" => "#f54a45",
        "orange" => "#ff8800",
        "yellow" => "#ffc60a",
        "green" => "#34c724",
        "blue" => "#3370ff",
        _ => "#8f959e",
    }
}

fn element(element: &Value, reader: &Reader) -> Vec<Block> {
    match text(element, "/tag") {
        "markdown" => blocks(text(element, "/content"), &MARKDOWN, reader),
        "div" => blocks(text(element, "/text/content"), &MARKDOWN, reader),
        "action" => vec![Block::Buttons(list(element, "/actions").iter().map(button).collect())],
        "note" => list(element, "/elements").iter().map(|one| Block::Small(plain(text(one, "/content")))).collect(),
        "hr" => vec![Block::Rule],
        other => vec![Block::Text(plain(&format!("[{other}]")))],
    }
}

fn button(action: &Value) -> Button {
    Button { label: text(action, "/text/content").to_owned(), url: text(action, "/url").to_owned(), primary: text(action, "/type") == "primary" }
}
