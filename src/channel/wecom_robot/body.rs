//! What the robot is sent: markdown, or text for plain pages. Pure. <https://developer.work.weixin.qq.com/document/path/99110>

use serde::Serialize;

use crate::channel::kit::{broken, phone};
use crate::model::{Page, Size};

/// Bytes of a markdown `content` (same page).
const MAX_MARKDOWN: usize = 4096;
/// Bytes of a text `content` (same page).
const MAX_TEXT: usize = 2048;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    msgtype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Content>,
}

#[derive(Debug, Serialize)]
struct Content {
    content: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentioned_list: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mentioned_mobile_list: Vec<String>,
}

/// The message of a page. Markdown pings user ids only, by `<@userid>`; text pings everybody, user ids and mobile numbers by lists, so whom markdown
/// cannot ping gets a text message of its own ([`super::DESCRIPTOR`], `pings`). In text, too, `<@userid>` pings: what an alert says must not do so, the
/// caller of a direct call may.
pub(super) fn message(page: &Page, direct: bool) -> Message {
    let mentions = &page.facts.mentions;
    // JSON writes control characters as `\uXXXX`, which WeCom refuses (40033, https://developer.work.weixin.qq.com/document/path/90313).
    let mut content: String = page.field("text").trim_end().chars().filter(|c| !c.is_control() || *c == '\n').collect();
    if page.plain {
        let mut mentioned_list = mentions.users.clone();
        if mentions.all {
            mentioned_list.push("@all".into());
        }
        let content = if direct { content } else { broken(&content, &["<@"]) };
        let text = Content { content, mentioned_list, mentioned_mobile_list: phone::pinged(&mentions.mobiles) };
        return Message { msgtype: "text", markdown: None, text: Some(text) };
    }
    let pings: Vec<String> = mentions.users.iter().map(|user| format!("<@{user}>")).filter(|ping| !content.contains(ping.as_str())).collect();
    let line = pings.join(" ");
    if !line.is_empty() {
        content.push_str("\n\n");
        content.push_str(&line);
    }
    let markdown = Content { content, mentioned_list: Vec::new(), mentioned_mobile_list: Vec::new() };
    Message { msgtype: "markdown", markdown: Some(markdown), text: None }
}

/// The bytes of the content.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, false);
    match (&message.markdown, &message.text) {
        (Some(markdown), _) => Size::bytes(markdown.content.len(), MAX_MARKDOWN),
        (_, text) => Size::bytes(text.as_ref().map_or(0, |text| text.content.len()), MAX_TEXT),
    }
}
