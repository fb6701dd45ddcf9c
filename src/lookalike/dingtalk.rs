//! DingTalk: markdown, action cards and text of robots, <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>, and an
//! application's cards, <https://open.dingtalk.com/document/orgapp/create-and-deliver-cards>.

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Button, Message, Span};
use super::inline::{Dialect, Mark};
use super::{Reader, list, text};

const MARKDOWN: Dialect = Dialect {
    marks: &[("**", Mark::Bold), ("*", Mark::Italic), ("_", Mark::Italic)],
    links: true,
    backslash: true,
    entities: true,
    headings: true,
    quotes: true,
    lists: true,
    breaks: false,
    ..Dialect::PLAIN
};

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let mut out = match text(body, "/msgtype") {
        "text" => Message { notification: String::new(), blocks: blocks(text(body, "/text/content"), &Dialect::PLAIN, reader) },
        "actionCard" => {
            let button = |one: &Value| Button { label: text(one, "/title").to_owned(), url: text(one, "/actionURL").to_owned(), primary: false };
            let mut inner = blocks(text(body, "/actionCard/text"), &MARKDOWN, reader);
            inner.push(Block::Buttons(list(body, "/actionCard/btns").iter().map(button).collect()));
            Message { notification: text(body, "/actionCard/title").to_owned(), blocks: inner }
        }
        _ => Message { notification: text(body, "/markdown/title").to_owned(), blocks: blocks(text(body, "/markdown/text"), &MARKDOWN, reader) },
    };
    mark(&mut out.blocks, &pinged(body));
    out
}

/// An interactive card of DingTalk's own template: a title above its text; its buttons are JSON in a text.
pub(super) fn card(body: &Value, reader: &Reader) -> Message {
    let variable = |name: &str| text(body, &format!("/cardData/cardParamMap/{name}"));
    let listed: Value = serde_json::from_str(variable("sys_full_json_obj")).unwrap_or_default();
    let primary = |one: &Value| text(one, "/color") == "blue";
    let button = |one: &Value| Button { label: text(one, "/text").to_owned(), url: text(one, "/url").to_owned(), primary: primary(one) };
    let title = plain(variable("title"));
    let mut inner: Vec<Block> = (!variable("title").trim().is_empty()).then_some(Block::Heading(4, title)).into_iter().collect();
    inner.extend(blocks(variable("markdown"), &MARKDOWN, reader));
    let buttons: Vec<Button> = list(&listed, "/msgButtons").iter().map(button).collect();
    inner.extend((!buttons.is_empty()).then_some(Block::Buttons(buttons)));
    let pinged = body.pointer("/imGroupOpenDeliverModel/atUserIds").and_then(Value::as_object).into_iter().flatten();
    let pinged: Vec<String> = pinged.map(|(user, _)| format!("@{}", user.trim_start_matches('@'))).collect();
    inner.extend((!pinged.is_empty()).then(|| Block::Text(vec![Span::mention(pinged.join(" "))])));
    Message { notification: variable("title").to_owned(), blocks: inner }
}

/// Who is pinged, as it is written in the text.
fn pinged(body: &Value) -> Vec<String> {
    let named = list(body, "/at/atMobiles").iter().chain(list(body, "/at/atUserIds")).filter_map(Value::as_str);
    let all = body.pointer("/at/isAtAll").and_then(Value::as_bool).unwrap_or_default();
    named.map(|name| format!("@{name}")).chain(all.then(|| ["@所有人".to_owned(), "@all".to_owned()]).into_iter().flatten()).collect()
}

/// Shows the last block, where the driver writes the pings, as pings.
fn mark(blocks: &mut [Block], pinged: &[String]) {
    let Some(Block::Text(line)) = blocks.iter_mut().rev().find(|block| matches!(block, Block::Text(_))) else { return };
    let whole: String = line.iter().map(|span| span.text.as_str()).collect();
    if !whole.trim().is_empty() && whole.split_whitespace().all(|word| pinged.iter().any(|ping| ping == word)) {
        *line = vec![Span::mention(whole)];
    }
}
