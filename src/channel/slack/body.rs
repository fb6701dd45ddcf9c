//! What Slack is sent: Block Kit inside an attachment that carries the colour, and how large that is. Pure.
//! Limits: <https://docs.slack.dev/reference/block-kit/blocks>, <https://docs.slack.dev/reference/block-kit/block-elements/button-element>

use serde::Serialize;

use crate::channel::kit::{broken, colour, cut_units, split_units, units};
use crate::model::{Facts, Link, Mentions, Page, Size};

/// Text of a header block: <https://docs.slack.dev/reference/block-kit/blocks/header-block>
const MAX_HEADER: usize = 150;
/// Text of a section block: <https://docs.slack.dev/reference/block-kit/blocks/section-block>
const MAX_SECTION: usize = 3000;
/// Fields of a section block, and the text of one (same page).
const MAX_FIELDS: usize = 10;
const MAX_FIELD: usize = 2000;
/// Buttons of an actions block: <https://docs.slack.dev/reference/block-kit/blocks/actions-block>
const MAX_BUTTONS: usize = 25;
/// Label and address of a button: <https://docs.slack.dev/reference/block-kit/block-elements/button-element>
const MAX_LABEL: usize = 75;
const MAX_URL: usize = 3000;
/// Blocks of a message: <https://docs.slack.dev/reference/block-kit/blocks>
const MAX_BLOCKS: usize = 50;
/// Text of all blocks together, above which Slack answers `msg_blocks_too_long` (observed near 13,200):
/// <https://github.com/slackapi/bolt-js/issues/2509>
const MAX_ALL_BLOCKS: usize = 13_000;
/// Text of a message, above which it is cut: <https://docs.slack.dev/reference/methods/chat.postMessage#truncating>
const MAX_TEXT: usize = 40_000;
/// What of a plain message is repeated as its preview for notifications: <https://docs.slack.dev/reference/methods/chat.postMessage> advises
/// at most 4,000.
const MAX_PREVIEW: usize = 4000;

#[derive(Debug, Serialize)]
pub(super) struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<Attachment>,
    unfurl_links: bool,
    unfurl_media: bool,
}

#[derive(Debug, Serialize)]
struct Attachment {
    color: String,
    fallback: String,
    blocks: Vec<Block>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Header {
        text: Text,
    },
    Section {
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<Text>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        fields: Vec<Text>,
    },
    Actions {
        elements: Vec<Button>,
    },
    Context {
        elements: Vec<Text>,
    },
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", content = "text", rename_all = "snake_case")]
enum Text {
    PlainText(String),
    Mrkdwn(String),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "button")]
struct Button {
    action_id: String,
    text: Text,
    url: String,
}

/// The message of a page. A direct call's text is mrkdwn already, as its caller wrote it; other plain text is escaped.
pub(super) fn message(page: &Page, direct: bool) -> Message {
    let facts = &page.facts;
    let pings = pings(&facts.mentions);
    let text = page.field("text");
    let mut message =
        Message { channel: None, text: String::new(), blocks: Vec::new(), attachments: Vec::new(), unfurl_links: false, unfurl_media: false };
    if page.plain {
        // Mattermost and Rocket.Chat, which take Slack's messages too, ping by `@all` in plain words.
        let text = if direct { text.to_owned() } else { broken(&entities(text), &["@"]) };
        // What is too long for blocks goes as text alone, which holds three times as much.
        let whole = spaced(&pings, &text);
        if units(&whole) > MAX_ALL_BLOCKS {
            message.text = whole;
            return message;
        }
        let preview = split_units(&text, MAX_PREVIEW).into_iter().next().unwrap_or_default();
        message.text = spaced(&pings, &preview);
        // The blocks replace the text, so they carry the pings as well.
        message.blocks = sections(&whole);
        return message;
    }
    message.text = cut_text(&spaced(&pings, &escape(&facts.title)));
    let color = format!("#{:06X}", colour(facts));
    message.attachments = vec![Attachment { color, fallback: facts.title.clone(), blocks: blocks(page) }];
    message
}

fn blocks(page: &Page) -> Vec<Block> {
    let facts = &page.facts;
    let mut blocks = Vec::new();
    let title = if page.field("title").trim().is_empty() { facts.title.trim() } else { page.field("title").trim() };
    if !title.is_empty() {
        blocks.push(Block::Header { text: Text::PlainText(cut_units(title, MAX_HEADER)) });
    }
    blocks.extend(sections(page.field("text")));
    let fields: Vec<Text> = facts.pairs.iter().take(MAX_FIELDS).map(field).collect();
    if !fields.is_empty() {
        blocks.push(Block::Section { text: None, fields });
    }
    let buttons = buttons(facts);
    if !buttons.is_empty() {
        blocks.push(Block::Actions { elements: buttons });
    }
    if page.total > 1 {
        blocks.push(Block::Context { elements: vec![Text::PlainText(format!("{}/{}", page.number, page.total))] });
    }
    blocks
}

fn sections(text: &str) -> Vec<Block> {
    split_units(text, MAX_SECTION).into_iter().map(|part| Block::Section { text: Some(Text::Mrkdwn(part)), fields: Vec::new() }).collect()
}

/// A name over its value. What is cut is the unescaped value, so that no entity breaks.
fn field((name, value): &(String, String)) -> Text {
    let name = escape(&cut_units(name, MAX_FIELD / 20));
    let mut keep = MAX_FIELD - units(&name) - "**\n".len();
    loop {
        let value = escape(&cut_units(value, keep));
        let field = format!("*{name}*\n{value}");
        if units(&field) <= MAX_FIELD || keep == 0 {
            return Text::Mrkdwn(field);
        }
        keep /= 2;
    }
}

fn buttons(facts: &Facts) -> Vec<Button> {
    let fits = |link: &&Link| !link.label.trim().is_empty() && units(&link.url) <= MAX_URL;
    let button = |(place, link): (usize, &Link)| Button {
        action_id: format!("link-{place}"),
        text: Text::PlainText(cut_units(link.label.trim(), MAX_LABEL)),
        url: link.url.clone(),
    };
    facts.links.iter().filter(fits).take(MAX_BUTTONS).enumerate().map(button).collect()
}

/// The pings in Slack's form: <https://docs.slack.dev/messaging/formatting-message-text#advanced>. What is no id of Slack's is written as it
/// is, where everybody sees that it pings nobody.
fn pings(mentions: &Mentions) -> String {
    let mark = |open: &str, id: &String| {
        if !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()) { format!("<{open}{id}>") } else { escape(id) }
    };
    let all = mentions.all.then(|| "<!channel>".to_owned());
    let groups = mentions.groups.iter().map(|id| mark("!subteam^", id));
    let users = mentions.users.iter().map(|id| mark("@", id));
    all.into_iter().chain(groups).chain(users).collect::<Vec<_>>().join(" ")
}

fn spaced(pings: &str, text: &str) -> String {
    match (pings.is_empty(), text.is_empty()) {
        (true, _) => text.to_owned(),
        (_, true) => pings.to_owned(),
        _ => format!("{pings} {text}"),
    }
}

fn cut_text(text: &str) -> String {
    split_units(text, MAX_TEXT).into_iter().next().unwrap_or_default()
}

/// The three characters that Slack reads as markup of its own: <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
    out
}

/// Entities, and formatting marks held apart by a zero-width space where a second one could close them.
fn escape(text: &str) -> String {
    let mut out = entities(text);
    for mark in ['*', '_', '~', '`'] {
        if out.matches(mark).count() > 1 {
            out = out.replace(mark, &format!("\u{200b}{mark}\u{200b}"));
        }
    }
    out
}

/// The constraint that comes nearest to breaking: number of blocks, text in all blocks, text of the message.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, false);
    let blocks = message.attachments.first().map_or(&message.blocks, |attachment| &attachment.blocks);
    let of = |text: &Text| match text {
        Text::PlainText(text) | Text::Mrkdwn(text) => units(text),
    };
    let in_blocks = blocks.iter().map(|block| match block {
        Block::Header { text } => of(text),
        Block::Section { text, fields } => text.as_ref().map_or(0, of) + fields.iter().map(of).sum::<usize>(),
        Block::Actions { elements } => elements.iter().map(|button| of(&button.text)).sum(),
        Block::Context { elements } => elements.iter().map(of).sum(),
    });
    Size::characters(in_blocks.sum(), MAX_ALL_BLOCKS)
        .tighter(Size { used: blocks.len(), max: MAX_BLOCKS, unit: "blocks" })
        .tighter(Size::characters(units(&message.text), MAX_TEXT))
}
