//! What WeCom is sent: markdown, or text for plain pages, to users, departments and tags. Pure.
//! <https://developer.work.weixin.qq.com/document/path/90236>

use serde::Serialize;

use super::config::{PARTY, TAG};
use crate::model::{Language, LinkKind, Page, Recipient, Size};

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
    let link = page.facts.links.iter().find(|link| link.kind == LinkKind::Details).or(page.facts.links.first())?;
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
pub(super) fn message(page: &Page, to: &[Recipient], agent_id: u32, direct: bool, as_card: bool) -> Message {
    let join = |pick: &dyn Fn(&str) -> Option<String>| to.iter().filter_map(|to| pick(to.expose())).collect::<Vec<_>>().join("|");
    let prefixed = |prefix: &'static str| move |name: &str| name.strip_prefix(prefix).map(str::to_owned);
    let content = Content { content: content(page, direct) };
    let textcard = if as_card { card(page) } else { None };
    let (markdown, text) = if textcard.is_some() {
        (None, None)
    } else if page.plain {
        (None, Some(content))
    } else {
        (Some(content), None)
    };
    Message {
        touser: join(&|name| (!name.starts_with(PARTY) && !name.starts_with(TAG)).then(|| name.to_owned())),
        toparty: join(&prefixed(PARTY)),
        totag: join(&prefixed(TAG)),
        msgtype: if textcard.is_some() {
            "textcard"
        } else if page.plain {
            "text"
        } else {
            "markdown"
        },
        textcard,
        agentid: agent_id,
        markdown,
        text,
    }
}

/// The content without control characters: JSON writes them as `\uXXXX`, which WeCom refuses (40033,
/// <https://developer.work.weixin.qq.com/document/path/90313>). In text, `<a` opens a link, unless the caller of a direct call meant it to.
fn content(page: &Page, direct: bool) -> String {
    shown(page.field("text").trim_end(), page.plain && !direct)
}

fn shown(text: &str, plain: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c.is_control() && c != '\n' && c != '\t' {
            continue;
        }
        out.push(c);
        let opens_tag = c == '<' && rest.peek().is_some_and(|next| matches!(next, 'a' | 'A' | '/'));
        if plain && opens_tag {
            out.push('\u{200b}');
        }
    }
    out
}

/// The bytes of the content.
pub(super) fn measure(page: &Page) -> Size {
    Size::bytes(content(page, false).len(), MAX_CONTENT)
}
