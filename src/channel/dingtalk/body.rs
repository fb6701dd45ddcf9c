//! What the robot is sent: markdown, or text for plain pages, with everybody who is pinged both in the content and in `at`. Pure.
//! <https://open.dingtalk.com/document/orgapp/custom-robots-send-group-messages>

use serde::Serialize;

use crate::channel::kit::phone;
use crate::model::{Language, Mentions, Page, Size};

/// People that one message may ping (same page).
pub(super) const MAX_AT: usize = 50;

/// The whole JSON body (same page; above it DingTalk answers 460101).
const MAX_BODY: usize = 20_000;

/// The longest idempotency key that `measure` leaves room for: a SHA-256 in hex.
const MAX_KEY: usize = 64;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    msgtype: &'static str,
    #[serde(rename = "msgUuid")]
    msg_uuid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<Markdown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Text>,
    #[serde(rename = "actionCard", skip_serializing_if = "Option::is_none")]
    card: Option<Card>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<At>,
}

#[derive(Debug, Serialize)]
struct Markdown {
    title: String,
    text: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Card {
    title: String,
    text: String,
    btn_orientation: &'static str,
    btns: Vec<Button>,
}

#[derive(Debug, Serialize)]
struct Button {
    title: String,
    #[serde(rename = "actionURL")]
    url: String,
}

/// Buttons of one card; more push the message off a phone's screen.
const MAX_BUTTONS: usize = 4;

#[derive(Debug, Serialize)]
struct Text {
    content: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct At {
    at_mobiles: Vec<String>,
    at_user_ids: Vec<String>,
    is_at_all: bool,
}

/// How the message of a page is written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Style<'a> {
    /// A word of the robot's keyword list.
    pub keyword: Option<&'a str>,
    /// Whether links become the buttons of an action card.
    pub card: bool,
}

/// The message of a page. `key` makes DingTalk take it once, however often it is sent.
pub(super) fn message(page: &Page, key: &str, style: Style<'_>) -> Message {
    let keyword = style.keyword;
    let at = at(&page.facts.mentions);
    let mut content = page.field("text").trim_end().to_owned();
    if let Some(keyword) = keyword.filter(|keyword| !content.contains(*keyword)) {
        append(&mut content, keyword, page.plain);
    }
    if let Some(at) = &at {
        let pings = pings(at, &content, page);
        append(&mut content, &pings, page.plain);
    }
    let buttons = if style.card { buttons(page, at.as_ref()) } else { Vec::new() };
    if !buttons.is_empty() {
        let text = without_links(&content, &buttons);
        let btn_orientation = if buttons.len() == 2 { "1" } else { "0" };
        let card = Some(Card { title: title(page), text, btn_orientation, btns: buttons });
        return Message { msgtype: "actionCard", msg_uuid: key.to_owned(), markdown: None, text: None, card, at };
    }
    let (markdown, text) = match page.plain {
        true => (None, Some(Text { content })),
        false => (Some(Markdown { title: title(page), text: content }), None),
    };
    Message { msgtype: if page.plain { "text" } else { "markdown" }, msg_uuid: key.to_owned(), markdown, text, card: None, at }
}

/// The buttons of a card; none where a card would lose something: it pings by user id only, and plain text is not markdown.
fn buttons(page: &Page, at: Option<&At>) -> Vec<Button> {
    let pings_otherwise = at.is_some_and(|at| at.is_at_all || !at.at_mobiles.is_empty());
    if page.plain || pings_otherwise {
        return Vec::new();
    }
    page.facts.links.iter().take(MAX_BUTTONS).map(|link| Button { title: link.label.clone(), url: link.url.clone() }).collect()
}

/// The text without the lines that hold nothing but links which have become buttons.
fn without_links(text: &str, buttons: &[Button]) -> String {
    let only_links = |line: &str| {
        let mut rest = line.trim();
        let mut met = false;
        while let Some((label, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("](")) {
            let Some(button) = buttons.iter().find(|button| after.starts_with(&format!("{})", button.url))) else { return false };
            if label.contains('[') {
                return false;
            }
            met = true;
            rest = after[button.url.len() + 1..].trim_start_matches([' ', '·', '|']);
        }
        met && rest.is_empty()
    };
    let kept: Vec<&str> = text.lines().filter(|line| !only_links(line)).collect();
    // A card refuses an empty text (40035), and the title is all that is left then.
    let kept = kept.join("\n").trim_end().to_owned();
    if kept.is_empty() { text.to_owned() } else { kept }
}

fn append(content: &mut String, line: &str, plain: bool) {
    if line.is_empty() {
        return;
    }
    if !content.is_empty() {
        content.push_str(if plain { "\n" } else { "\n\n" });
    }
    content.push_str(line);
}

/// The line in the list of chats; DingTalk refuses a message without one (300001).
fn title(page: &Page) -> String {
    let first_line = page.field("text").lines().map(str::trim).find(|line| !line.is_empty());
    let candidates = [Some(page.field("title").trim()), Some(page.facts.title.trim()), first_line];
    candidates.into_iter().flatten().find(|title| !title.is_empty()).unwrap_or("-").to_owned()
}

fn at(mentions: &Mentions) -> Option<At> {
    let mut at_mobiles = phone::pinged(&mentions.mobiles);
    at_mobiles.truncate(MAX_AT);
    let at_user_ids = mentions.users.iter().take(MAX_AT - at_mobiles.len()).cloned().collect::<Vec<_>>();
    let nobody = at_mobiles.is_empty() && at_user_ids.is_empty() && !mentions.all;
    (!nobody).then_some(At { at_mobiles, at_user_ids, is_at_all: mentions.all })
}

/// What the content must hold for the pings to light up, as far as it does not yet. Text pings everybody by `isAtAll` alone.
fn pings(at: &At, content: &str, page: &Page) -> String {
    let all = match page.facts.language {
        Language::Zh => "@所有人",
        Language::En => "@all",
    };
    let all = (at.is_at_all && !page.plain).then(|| all.to_owned());
    let each = at.at_mobiles.iter().chain(&at.at_user_ids).map(|who| format!("@{who}"));
    all.into_iter().chain(each.filter(|ping| !mentions(content, ping))).collect::<Vec<_>>().join(" ")
}

/// Whether the content holds the ping as a whole word: `@138` is not a word of `@1380`.
fn mentions(content: &str, ping: &str) -> bool {
    content
        .match_indices(ping)
        .any(|(start, _)| !content[start + ping.len()..].starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
}

/// The bytes of the encoded body.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, &"0".repeat(MAX_KEY), Style::default());
    // As a card it has the same links once more, as buttons.
    let buttons: usize = page.facts.links.iter().take(MAX_BUTTONS).map(|link| link.label.len() + link.url.len() + 32).sum();
    Size::bytes(serde_json::to_vec(&message).map_or(usize::MAX / MAX_BODY, |body| body.len() + buttons), MAX_BODY)
}
