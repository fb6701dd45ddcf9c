//! What Feishu is sent: a card of schema 1.0 with a coloured header, or text for plain pages. Pure.
//! <https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/using-markdown-tags>

use serde::Serialize;
use serde_json::{Value, json};

use super::press::VALUE;
use crate::channel::kit::cut_units;
use crate::model::{Button, LinkKind, Mentions, MessageStatus, Page, Severity, Size, Verb, hash_hex};

/// The whole body of a bot's request, as documented (20 K): <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>
const MAX_BODY: usize = 20 * 1024;
/// What a signature and a timestamp, or a receiver and an idempotency key, add to the body.
const ENVELOPE_BYTES: usize = 400;
/// A uuid's length: <https://open.feishu.cn/document/server-docs/im-v1/message/create>
const MAX_UUID: usize = 50;
/// Our own: a phone shows less of a header.
const MAX_TITLE: usize = 200;
/// Our own: buttons that are of use on a phone.
const MAX_BUTTONS: usize = 5;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sign: Option<String>,
    msg_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<Value>,
}

impl Message {
    pub(super) fn sign(&mut self, timestamp: i64, sign: String) {
        self.timestamp = Some(timestamp.to_string());
        self.sign = Some(sign);
    }
}

/// The message of a page to a bot's group.
pub(super) fn message(page: &Page, keyword: Option<&str>) -> Message {
    let empty = Message { timestamp: None, sign: None, msg_type: "text", content: None, card: None };
    match page.plain {
        true => Message { content: Some(text(page, keyword)), ..empty },
        false => Message { msg_type: "interactive", card: Some(card(page, keyword)), ..empty },
    }
}

/// The same to a receiver of an application: the content is JSON in a string. The `uuid` makes Feishu take it once within an hour, whichever the
/// receiver is, so each receiver's is another.
pub(super) fn to_receiver(page: &Page, to: &str, key: &str, keyword: Option<&str>) -> Value {
    let (kind, content) = content(page, keyword);
    json!({ "receive_id": to, "msg_type": kind, "content": content, "uuid": uuid(key, to) })
}

/// The same in the topic of an earlier message.
pub(super) fn reply(page: &Page, to: &str, key: &str, keyword: Option<&str>) -> Value {
    let (kind, content) = content(page, keyword);
    json!({ "msg_type": kind, "content": content, "reply_in_thread": true, "uuid": uuid(key, to) })
}

/// What takes the place of an application's card. Only a card can, so that a plain page is one without markup:
/// <https://open.feishu.cn/document/uAjLw4CM/ukTMukTMukTM/reference/im-v1/message/patch>
pub(super) fn edit(page: &Page, keyword: Option<&str>) -> Value {
    let card = match page.plain {
        true => json!({
            "config": { "wide_screen_mode": true, "update_multi": true },
            "header": header(page, page.facts.title.trim()),
            "elements": [{ "tag": "div", "text": { "tag": "plain_text", "content": page.field("text").trim_end() } }],
        }),
        false => shared_card(page, keyword),
    };
    json!({ "content": card.to_string() })
}

fn uuid(key: &str, to: &str) -> String {
    cut_units(&hash_hex(&[key, to]), MAX_UUID)
}

/// An application's kind of message, and its content: JSON in a string.
fn content(page: &Page, keyword: Option<&str>) -> (&'static str, String) {
    if page.plain { ("text", text(page, keyword).to_string()) } else { ("interactive", shared_card(page, keyword).to_string()) }
}

/// A card that can be edited, for all who see it. One that was sent without this word never can (same page).
fn shared_card(page: &Page, keyword: Option<&str>) -> Value {
    let mut card = card(page, keyword);
    card["config"]["update_multi"] = true.into();
    card
}

/// What kind of id it is (same page).
pub(super) fn receiver_type(to: &str) -> &'static str {
    match to {
        to if to.starts_with("oc_") => "chat_id",
        to if to.starts_with("ou_") => "open_id",
        to if to.starts_with("on_") => "union_id",
        to if to.contains('@') => "email",
        _ => "user_id",
    }
}

fn text(page: &Page, keyword: Option<&str>) -> Value {
    let mentions = &page.facts.mentions;
    let all = mentions.all.then(|| "<at user_id=\"all\"></at>".to_owned());
    let each = mentions.users.iter().map(|user| format!("<at user_id=\"{user}\"></at>"));
    let pings = all.into_iter().chain(each).collect::<Vec<_>>().join(" ");
    // In text, too, `<at ...>` is a ping: what an alert says must not be one.
    let body = page.field("text").trim_end().replace("<at", "<\u{200B}at");
    json!({ "text": with(&[&with_keyword(&body, keyword), &pings]) })
}

fn card(page: &Page, keyword: Option<&str>) -> Value {
    let facts = &page.facts;
    let title = if page.field("title").trim().is_empty() { facts.title.trim() } else { page.field("title").trim() };
    let content = with(&[&with_keyword(page.field("text").trim_end(), keyword.filter(|word| !title.contains(*word))), &pings(&facts.mentions)]);
    let mut elements = Vec::new();
    if !content.is_empty() {
        elements.push(json!({ "tag": "markdown", "content": content }));
    }
    // What can be done about the incident is a row of its own. A press returns the value, which must be an object:
    // <https://open.feishu.cn/document/feishu-cards/card-callback-communication>
    let act = |button: &Button| {
        let style = match button.verb {
            Verb::Ack => "primary",
            Verb::Close => "danger",
            Verb::Unack | Verb::Snooze | Verb::Silence | Verb::Unsilence | Verb::Mute | Verb::Unmute | Verb::Escalate => "default",
        };
        json!({ "tag": "button", "text": { "tag": "plain_text", "content": button.label }, "type": style, "value": { VALUE: button.value } })
    };
    let acts: Vec<Value> = facts.incident.buttons.iter().take(MAX_BUTTONS).map(act).collect();
    if !acts.is_empty() {
        elements.push(json!({ "tag": "action", "actions": acts }));
    }
    let buttons: Vec<Value> = facts
        .links
        .iter()
        .take(MAX_BUTTONS)
        .map(|link| {
            let style = if link.kind == LinkKind::Runbook { "primary" } else { "default" };
            json!({ "tag": "button", "text": { "tag": "plain_text", "content": link.label }, "url": link.url, "type": style })
        })
        .collect();
    if !buttons.is_empty() {
        elements.push(json!({ "tag": "action", "actions": buttons }));
    }
    let footer = page.field("footer").trim();
    if !footer.is_empty() {
        elements.push(json!({ "tag": "note", "elements": [{ "tag": "plain_text", "content": footer }] }));
    }
    json!({ "config": { "wide_screen_mode": true }, "header": header(page, title), "elements": elements })
}

fn header(page: &Page, title: &str) -> Value {
    let template = template(page.facts.status, page.facts.rank());
    json!({ "template": template, "title": { "tag": "plain_text", "content": cut_units(title, MAX_TITLE) } })
}

/// The header's colour (<https://open.feishu.cn/document/common-capabilities/message-card/message-cards-content/card-header>).
fn template(status: MessageStatus, severity: Severity) -> &'static str {
    match (status, severity) {
        (MessageStatus::Resolved, _) => "green",
        (MessageStatus::Unreported, _) => "grey",
        (_, Severity::Critical) => "red",
        (_, Severity::Error) => "orange",
        (_, Severity::Warning) => "yellow",
        (_, Severity::Info) => "blue",
    }
}

fn pings(mentions: &Mentions) -> String {
    let all = mentions.all.then(|| "<at id=all></at>".to_owned());
    let each = mentions.users.iter().map(|user| match user.contains('@') {
        true => format!("<at email={user}></at>"),
        false => format!("<at id={user}></at>"),
    });
    all.into_iter().chain(each).collect::<Vec<_>>().join(" ")
}

fn with(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("\n")
}

fn with_keyword(text: &str, keyword: Option<&str>) -> String {
    with(&[text, keyword.filter(|word| !text.contains(*word)).unwrap_or_default()])
}

/// The bytes of the encoded body, with room for what the way of sending adds.
pub(super) fn measure(page: &Page) -> Size {
    let bytes = serde_json::to_vec(&message(page, None)).map_or(usize::MAX / 2, |body| body.len());
    Size::bytes(bytes + ENVELOPE_BYTES, MAX_BODY)
}
