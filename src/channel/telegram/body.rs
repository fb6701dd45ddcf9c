//! What Telegram is sent: HTML, or text without a parse mode for plain pages. Pure. <https://core.telegram.org/bots/api#html-style>

use serde::Serialize;

use crate::channel::kit::{broken, units};
use crate::model::{Page, Size, Status};

/// Characters of a text after its markup is read (<https://core.telegram.org/bots/api#sendmessage>); counted here with it, in UTF-16 units, which
/// is never less.
const MAX_TEXT: usize = 4096;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    chat_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_thread_id: Option<i64>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'static str>,
    link_preview_options: Preview,
    disable_notification: bool,
}

#[derive(Debug, Serialize)]
struct Preview {
    is_disabled: bool,
}

/// The message of a page to a chat.
pub(super) fn message(page: &Page, chat: &str, thread_id: Option<i64>, quiet_resolved: bool) -> Message {
    Message {
        chat_id: chat.to_owned(),
        message_thread_id: thread_id,
        text: text(page),
        parse_mode: (!page.plain).then_some("HTML"),
        link_preview_options: Preview { is_disabled: true },
        disable_notification: quiet_resolved && page.facts.status == Status::Resolved,
    }
}

/// The text with everybody who is pinged: `@name`, or a link to a person's id.
fn text(page: &Page) -> String {
    let text = page.field("text").trim_end();
    // Without a parse mode `@name` still notifies its owner.
    let mut text = if page.plain { broken(text, &["@"]) } else { text.to_owned() };
    let pings: Vec<String> =
        page.facts.mentions.users.iter().map(|user| ping(user, page.plain)).filter(|ping| !text.contains(ping.as_str())).collect();
    if !pings.is_empty() {
        text.push_str("\n\n");
        text.push_str(&pings.join(" "));
    }
    text
}

fn ping(user: &str, plain: bool) -> String {
    let name = user.trim_start_matches('@');
    match name.parse::<i64>() {
        Ok(id) if !plain => format!("<a href=\"tg://user?id={id}\">{id}</a>"),
        _ => format!("@{}", name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()),
    }
}

/// UTF-16 units of the text.
pub(super) fn measure(page: &Page) -> Size {
    Size::characters(units(&text(page)), MAX_TEXT)
}
