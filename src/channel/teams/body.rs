//! What Teams is sent: an adaptive card with a coloured title, the text, facts and link buttons. Pure.
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format>, <https://adaptivecards.io/explorer/>

use serde_json::{Value, json};

use crate::channel::kit::cut_units;
use crate::model::{LinkKind, MessageStatus, Page, Severity, Size};

/// Of the 28 KB that Teams takes after wrapping (a request of 24.4 KB was refused), what a request may have:
/// <https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>
const MAX_BODY: usize = 20 * 1024;
/// Our own: what is of use on a phone.
const MAX_TITLE: usize = 250;
const MAX_BUTTONS: usize = 5;

/// The message of a page.
pub(super) fn message(page: &Page) -> Value {
    let facts = &page.facts;
    let users = &facts.mentions.users;
    let title = if page.field("title").trim().is_empty() { facts.title.trim() } else { page.field("title").trim() };
    let mut body = Vec::new();
    if !title.is_empty() && !page.plain {
        let colour = colour(facts.status, facts.rank());
        let text = plain(&cut_units(title, MAX_TITLE));
        body.push(json!({ "type": "TextBlock", "text": text, "size": "Large", "weight": "Bolder", "wrap": true, "color": colour }));
    }
    let text = page.field("text").trim_end();
    let text = if page.plain { plain(text) } else { text.to_owned() };
    body.push(json!({ "type": "TextBlock", "text": if text.is_empty() { "-" } else { &text }, "wrap": true }));
    if takes_image(&facts.image) && !page.plain {
        body.push(json!({ "type": "Image", "url": facts.image, "altText": facts.title }));
    }
    let footer = page.field("footer").trim();
    if !footer.is_empty() && !page.plain {
        body.push(json!({ "type": "TextBlock", "text": plain(footer), "wrap": true, "isSubtle": true, "size": "Small" }));
    }
    if !users.is_empty() {
        let pings = users.iter().map(|user| format!("<at>{user}</at>")).collect::<Vec<_>>().join(" ");
        body.push(json!({ "type": "TextBlock", "text": pings, "wrap": true }));
    }
    let good = |url: &str| url.starts_with("http://") || url.starts_with("https://");
    let actions: Vec<Value> = facts
        .links
        .iter()
        .filter(|link| good(&link.url) && !page.plain)
        .take(MAX_BUTTONS)
        .map(|link| {
            let style = if link.kind == LinkKind::Runbook { "positive" } else { "default" };
            json!({ "type": "Action.OpenUrl", "title": link.label, "url": link.url, "style": style })
        })
        .collect();
    let entities: Vec<Value> = users
        .iter()
        .map(|user| json!({ "type": "mention", "text": format!("<at>{user}</at>"), "mentioned": { "id": user, "name": user } }))
        .collect();
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": body, "actions": actions, "msteams": { "width": "Full", "entities": entities },
    });
    let preview = if facts.preview.is_empty() { &facts.title } else { &facts.preview };
    // Without a summary the notification says "Card": <https://github.com/prometheus/alertmanager/pull/4319>
    json!({
        "type": "message",
        "summary": cut_units(preview, MAX_TITLE),
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card }],
    })
}

/// Clients show pictures over TLS only.
fn takes_image(url: &str) -> bool {
    url.starts_with("https://")
}

/// Colours of a text block: <https://adaptivecards.io/explorer/TextBlock.html>
fn colour(status: MessageStatus, severity: Severity) -> &'static str {
    match (status, severity) {
        (MessageStatus::Resolved, _) => "Good",
        (MessageStatus::Unreported, _) => "Default",
        (_, Severity::Critical) => "Attention",
        (_, Severity::Error | Severity::Warning) => "Warning",
        (_, Severity::Info) => "Accent",
    }
}

/// Text in which the card's markdown finds nothing: a backslash before what would be markup, blank lines kept as paragraphs.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\\' | '*' | '_' | '[' | ']' | '`' | '#' => out.extend(['\\', c]),
            '<' => out.push_str("&lt;"),
            '\n' => out.push_str("\n\n"),
            c => out.push(c),
        }
    }
    out
}

/// The bytes of the encoded body.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(serde_json::to_vec(&message(page)).map_or(usize::MAX / 2, |body| body.len()), MAX_BODY)
}
