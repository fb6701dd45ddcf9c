//! What Telegram is sent: HTML, or text without a parse mode for plain pages. Pure. <https://core.telegram.org/bots/api#html-style>

use serde::Serialize;

use crate::channel::kit::{broken, is_linkable, units};
use crate::model::{Link, Page, Size, Status};

/// Characters of a text after its markup is read (<https://core.telegram.org/bots/api#sendmessage>); counted here with it, in UTF-16 units, which
/// is never less.
const MAX_TEXT: usize = 4096;

/// Our own for the address of a button, as no limit is documented: a longer one is a link in the text.
const MAX_URL: usize = 2048;
/// Buttons that are side by side on a phone with their labels whole.
const BUTTONS_IN_ROW: usize = 3;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
}

/// <https://core.telegram.org/bots/api#linkpreviewoptions>
#[derive(Debug, Serialize)]
struct Preview {
    is_disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    prefer_large_media: bool,
}

/// <https://core.telegram.org/bots/api#inlinekeyboardmarkup>
#[derive(Debug, Serialize)]
struct Keyboard {
    inline_keyboard: Vec<Vec<Button>>,
}

#[derive(Debug, Clone, Serialize)]
struct Button {
    text: String,
    url: String,
}

/// The message of a page to a chat. A picture is shown as the preview of its address: one that Telegram cannot fetch is left out, and refuses nothing.
pub(super) fn message(page: &Page, chat: &str, thread_id: Option<i64>, quiet_resolved: bool) -> Message {
    let image = Some(&page.facts.image).filter(|url| !page.plain && is_linkable(url)).cloned();
    let buttons: Vec<Button> = links(page, true).map(|link| Button { text: link.label.clone(), url: link.url.clone() }).collect();
    // Four are two and two.
    let in_row = buttons.len().div_ceil(buttons.len().div_ceil(BUTTONS_IN_ROW).max(1)).max(1);
    Message {
        chat_id: chat.to_owned(),
        message_thread_id: thread_id,
        text: text(page),
        parse_mode: (!page.plain).then_some("HTML"),
        link_preview_options: Preview { is_disabled: image.is_none(), prefer_large_media: image.is_some(), url: image },
        disable_notification: quiet_resolved && page.facts.status == Status::Resolved,
        reply_markup: (!buttons.is_empty()).then(|| Keyboard { inline_keyboard: buttons.chunks(in_row).map(<[_]>::to_vec).collect() }),
    }
}

/// The links of the last page that Telegram takes as buttons (it refuses a message whose button leads to `http://alertmanager:9093`), or the others.
/// Plain text holds its links itself.
fn links(page: &Page, as_buttons: bool) -> impl Iterator<Item = &Link> {
    let shown = !page.plain && page.number == page.total;
    page.facts.links.iter().filter(move |link| shown && (is_linkable(&link.url) && units(&link.url) <= MAX_URL) == as_buttons)
}

/// The text with the links that are no buttons, and with everybody who is pinged: `@name`, or a link to a person's id.
fn text(page: &Page) -> String {
    let text = page.field("text").trim_end();
    // Without a parse mode `@name` still notifies its owner.
    let mut text = if page.plain { broken(text, &["@"]) } else { text.to_owned() };
    let links: Vec<String> = links(page, false).map(|link| format!("<a href=\"{}\">{}</a>", html(&link.url), html(&link.label))).collect();
    let pings: Vec<String> =
        page.facts.mentions.users.iter().map(|user| ping(user, page.plain)).filter(|ping| !text.contains(ping.as_str())).collect();
    for line in [links.join(" · "), pings.join(" ")].into_iter().filter(|line| !line.is_empty()) {
        text.push_str("\n\n");
        text.push_str(&line);
    }
    text
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
