//! What Telegram is sent: HTML, or text without a parse mode for plain pages. Pure. <https://core.telegram.org/bots/api#html-style>

use serde::Serialize;

use crate::channel::kit::{broken, is_linkable, links_in_text, units};
use crate::model::{Link, MessageStatus, Page, Size};

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
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_parameters: Option<ReplyParameters>,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<TextMention>,
    link_preview_options: Preview,
    disable_notification: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
}

/// <https://core.telegram.org/bots/api#replyparameters>
#[derive(Debug, Serialize)]
struct ReplyParameters {
    message_id: i64,
    allow_sending_without_reply: bool,
}

impl Message {
    /// As a reply to a message of the same chat, which is refused when that is not there any more. Only what fires makes a sound.
    pub(super) fn reply_to(&mut self, message_id: i64, page: &Page) {
        self.reply_parameters = Some(ReplyParameters { message_id, allow_sending_without_reply: false });
        self.disable_notification |= page.facts.status != MessageStatus::Firing;
    }
}

/// What `editMessageText` takes: the text and the keyboard again, which goes where none is named.
#[derive(Debug, Serialize)]
pub(super) struct Edit<'a> {
    chat_id: &'a str,
    message_id: i64,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parse_mode: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    entities: Vec<TextMention>,
    link_preview_options: Preview,
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_markup: Option<Keyboard>,
}

/// Somebody who is pinged by id in a text without a parse mode; places are in UTF-16 units. <https://core.telegram.org/bots/api#messageentity>
#[derive(Debug, Serialize)]
struct TextMention {
    r#type: &'static str,
    offset: usize,
    length: usize,
    user: User,
}

#[derive(Debug, Serialize)]
struct User {
    id: i64,
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
    #[serde(flatten)]
    effect: Effect,
}

/// What a press does: the client opens an address, or the bot receives what the button carries.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Url(String),
    CallbackData(String),
}

impl Keyboard {
    /// What can be done about the incident, and below it the links.
    fn of(page: &Page) -> Option<Self> {
        let actions = page.facts.incident.buttons.iter();
        let actions = actions.map(|button| Button { text: button.label.clone(), effect: Effect::CallbackData(button.value.clone()) });
        let links = links(page, true).map(|link| Button { text: link.label.clone(), effect: Effect::Url(link.url.clone()) });
        let mut inline_keyboard = rows(actions.collect());
        inline_keyboard.extend(rows(links.collect()));
        (!inline_keyboard.is_empty()).then_some(Self { inline_keyboard })
    }
}

/// As few rows as there may be, of the same length: four are two and two.
fn rows(buttons: Vec<Button>) -> Vec<Vec<Button>> {
    let in_row = buttons.len().div_ceil(buttons.len().div_ceil(BUTTONS_IN_ROW).max(1)).max(1);
    buttons.chunks(in_row).map(<[_]>::to_vec).collect()
}

/// The message of a page to a chat. A picture is shown as the preview of its address: one that Telegram cannot fetch is left out, and refuses nothing.
pub(super) fn message(page: &Page, chat: &str, thread_id: Option<i64>, quiet_resolved: bool) -> Message {
    let image = Some(&page.facts.image).filter(|url| !page.plain && is_linkable(url)).cloned();
    let (text, entities) = text(page);
    Message {
        chat_id: chat.to_owned(),
        message_thread_id: thread_id,
        reply_parameters: None,
        text,
        parse_mode: (!page.plain).then_some("HTML"),
        entities,
        link_preview_options: Preview { is_disabled: image.is_none(), prefer_large_media: image.is_some(), url: image },
        disable_notification: quiet_resolved && page.facts.status != MessageStatus::Firing,
        reply_markup: Keyboard::of(page),
    }
}

/// The message of a page in place of the one with this id.
pub(super) fn edit<'a>(page: &Page, chat_id: &'a str, message_id: i64) -> Edit<'a> {
    let Message { text, parse_mode, entities, link_preview_options, reply_markup, .. } = message(page, chat_id, None, false);
    Edit { chat_id, message_id, text, parse_mode, entities, link_preview_options, reply_markup }
}

/// The links of the last page that Telegram takes as buttons (it refuses a message whose button leads to `http://alertmanager:9093`), or the others.
/// Plain text holds its links itself.
fn links(page: &Page, as_buttons: bool) -> impl Iterator<Item = &Link> {
    let shown = !page.plain && page.number == page.total;
    page.facts.links.iter().filter(move |link| shown && (is_linkable(&link.url) && units(&link.url) <= MAX_URL) == as_buttons)
}

/// Whether the page's message has buttons.
pub(super) fn has_buttons(page: &Page) -> bool {
    Keyboard::of(page).is_some()
}

/// The same page with all its links in the text. Where no button of it is a link, it has none at all.
pub(super) fn without_buttons(page: &Page) -> Page {
    if links(page, true).next().is_some() {
        return links_in_text(page, measure, anchor);
    }
    let mut page = page.clone();
    page.facts.incident.buttons.clear();
    page
}

fn anchor(link: &Link) -> String {
    format!("<a href=\"{}\">{}</a>", html(&link.url), html(&link.label))
}

/// The text with the links that are no buttons, and with everybody who is pinged: `@name`, or a link to a person's id; without a parse mode that is an
/// entity.
fn text(page: &Page) -> (String, Vec<TextMention>) {
    let text = page.field("text").trim_end();
    // Without a parse mode `@name` still notifies its owner.
    let mut text = if page.plain { broken(text, &["@"]) } else { text.to_owned() };
    let links: Vec<String> = links(page, false).map(anchor).collect();
    if !links.is_empty() {
        text.push_str("\n\n");
        text.push_str(&links.join(" · "));
    }
    let mut entities = Vec::new();
    let mut space = "\n\n";
    for user in &page.facts.mentions.users {
        let id = id(user).filter(|_| page.plain);
        let ping = id.map_or_else(|| ping(user), |id| id.to_string());
        if id.is_none() && text.contains(&ping) {
            continue;
        }
        text.push_str(std::mem::replace(&mut space, " "));
        entities.extend(id.map(|id| TextMention { r#type: "text_mention", offset: units(&text), length: units(&ping), user: User { id } }));
        text.push_str(&ping);
    }
    (text, entities)
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The id of somebody who is not named by a user name.
fn id(user: &str) -> Option<i64> {
    user.trim_start_matches('@').parse().ok()
}

fn ping(user: &str) -> String {
    let name = user.trim_start_matches('@');
    match id(user) {
        Some(id) => format!("<a href=\"tg://user?id={id}\">{id}</a>"),
        None => format!("@{}", name.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>()),
    }
}

/// UTF-16 units of the text.
pub(super) fn measure(page: &Page) -> Size {
    Size::characters(units(&text(page).0), MAX_TEXT)
}
