//! What WeCom is sent: markdown, or text for plain pages, to users, departments and tags. Pure.
//! <https://developer.work.weixin.qq.com/document/path/90236>

use serde::Serialize;

use super::recipient::{PARTY, TAG};
use crate::channel::wecom_card::{self, Card, shown};
use crate::model::{Language, Page, Recipient, Size};

/// Bytes of `content`, of markdown and of text; longer text is cut off in silence (same page).
const MAX_CONTENT: usize = 2048;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "String::is_empty")]
    touser: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    toparty: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    totag: String,
    msgtype: &'static str,
    agentid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Content>,
    #[serde(skip_serializing_if = "Option::is_none")]
    textcard: Option<TextCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    template_card: Option<Card>,
}

impl Message {
    /// Whether it is a card with buttons to press.
    pub(super) fn has_buttons(&self) -> bool {
        self.template_card.is_some()
    }
}

/// What may be a card.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cards<'a> {
    /// Nothing.
    None,
    /// A single alert that fits.
    Fitting,
    /// What has buttons to press, under this id; else nothing, or a single alert that fits.
    Pressed { task_id: &'a str, fitting: bool },
}

#[derive(Debug, Serialize)]
struct Content {
    content: String,
}

/// What a phone shows as a card that opens a page (same page): a title of 128 characters, a description of 512, an address of 2048 bytes.
#[derive(Debug, Serialize)]
struct TextCard {
    title: String,
    description: String,
    url: String,
    btntxt: &'static str,
}

const MAX_TITLE: usize = 128;
const MAX_DESCRIPTION: usize = 512;
const MAX_URL: usize = 2048;

/// The card of a page, where the whole of it fits in one and there is a page to open. What is longer would be cut in silence.
fn card(page: &Page) -> Option<TextCard> {
    let description = page.field("card").trim();
    let link = page.facts.opens(usize::MAX)?;
    let fits = !description.is_empty() && description.chars().count() <= MAX_DESCRIPTION && link.url.len() <= MAX_URL;
    let title = shown(page.facts.title.trim(), page.plain);
    if page.plain || page.total > 1 || !fits || title.is_empty() || title.chars().count() > MAX_TITLE {
        return None;
    }
    let btntxt = if page.facts.language == Language::Zh { "详情" } else { "More" };
    Some(TextCard { title, description: shown(description, false), url: link.url.clone(), btntxt })
}

/// The message of a page to these recipients. `enable_duplicate_check` stays off: it knows a request by its text, so the second of two alerts that
/// read the same would be taken and reach nobody (same page).
pub(super) fn message(page: &Page, to: &[Recipient], agent_id: u32, direct: bool, cards: Cards<'_>) -> Message {
    let join = |pick: &dyn Fn(&str) -> Option<String>| to.iter().filter_map(|to| pick(to.expose())).collect::<Vec<_>>().join("|");
    let prefixed = |prefix: &'static str| move |name: &str| name.strip_prefix(prefix).map(str::to_owned);
    let mut message = Message {
        touser: join(&|name| (!name.starts_with(PARTY) && !name.starts_with(TAG)).then(|| name.to_owned())),
        toparty: join(&prefixed(PARTY)),
        totag: join(&prefixed(TAG)),
        msgtype: "",
        agentid: agent_id,
        markdown: None,
        text: None,
        textcard: None,
        template_card: None,
    };
    let (task_id, fitting) = match cards {
        Cards::None => (None, false),
        Cards::Fitting => (None, true),
        Cards::Pressed { task_id, fitting } => (Some(task_id), fitting),
    };
    message.template_card = task_id.and_then(|task_id| wecom_card::card(page, task_id));
    if message.has_buttons() {
        message.msgtype = "template_card";
        return message;
    }
    message.textcard = if fitting { card(page) } else { None };
    if message.textcard.is_some() {
        message.msgtype = "textcard";
        return message;
    }
    let content = Some(Content { content: content(page, direct) });
    (message.msgtype, message.markdown, message.text) = if page.plain { ("text", None, content) } else { ("markdown", content, None) };
    message
}

/// The content without control characters: JSON writes them as `\uXXXX`, which WeCom refuses (40033,
/// <https://developer.work.weixin.qq.com/document/path/90313>). In text, `<a` opens a link, unless the caller of a direct call meant it to.
fn content(page: &Page, direct: bool) -> String {
    shown(page.field("text").trim_end(), page.plain && !direct)
}

/// The bytes of the content.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(content(page, false).len(), MAX_CONTENT)
}
