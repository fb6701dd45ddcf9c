//! What Slack is sent: headline and summary as blocks, the rest inside an attachment that carries the colour, and how large that is. Pure.
//! Limits: <https://docs.slack.dev/reference/block-kit/blocks>, <https://docs.slack.dev/reference/block-kit/block-elements/button-element>

use serde::Serialize;

use crate::channel::kit::{broken, colour, cut_units, links_in_text, outside_addresses, split_units, units};
use crate::model::{Form, Link, LinkKind, Mentions, MessageStatus, Page, Severity, Size, Verb};

/// Text of a section block: <https://docs.slack.dev/reference/block-kit/blocks/section-block>
const MAX_SECTION: usize = 3000;
/// Our own for a text of a context block, which is read last.
const MAX_CONTEXT: usize = 1000;
/// Buttons of an actions block: <https://docs.slack.dev/reference/block-kit/blocks/actions-block>
const MAX_BUTTONS: usize = 25;
/// Our own: buttons that a phone shows side by side.
const BUTTONS_IN_ROW: usize = 3;
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
/// Text of an edit, above which it is refused: <https://docs.slack.dev/reference/methods/chat.update#errors>, `msg_too_long`
const MAX_EDITED_TEXT: usize = 4000;
/// How the `action_id` of a button begins whose press means something; a link's button sends a payload as well, which is only acknowledged.
pub(super) const ACTION: &str = "press-";
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
    #[serde(skip_serializing_if = "Option::is_none")]
    thread_ts: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reply_broadcast: bool,
}

impl Message {
    /// In the thread of the message `ts`. What is critical, and what says once more that something goes on, is shown in the channel as well: most people
    /// follow no thread.
    pub(super) fn reply_in(&mut self, channel: &str, ts: &str, page: &Page) {
        self.channel = Some(channel.to_owned());
        self.thread_ts = Some(ts.to_owned());
        let facts = &page.facts;
        self.reply_broadcast = facts.status == MessageStatus::Firing && (facts.severity == Some(Severity::Critical) || facts.form == Form::Again);
    }
}

/// What `chat.update` takes: the whole content again. What is left out would stay as it was, so that empty lists clear.
#[derive(Debug, Serialize)]
pub(super) struct Update<'a> {
    channel: &'a str,
    ts: &'a str,
    /// As in a new message; the default of an edit is another.
    parse: &'static str,
    text: String,
    blocks: Vec<Block>,
    attachments: Vec<Attachment>,
}

#[derive(Debug, Serialize)]
struct Attachment {
    color: String,
    fallback: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<Block>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Section {
        text: Text,
        /// Shown whole; else Slack may fold it behind "see more" (<https://docs.slack.dev/reference/block-kit/blocks/section-block>).
        expand: bool,
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

impl Text {
    fn text(&self) -> &str {
        match self {
            Text::PlainText(text) | Text::Mrkdwn(text) => text,
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "button")]
struct Button {
    action_id: String,
    text: Text,
    #[serde(flatten)]
    effect: Effect,
    #[serde(skip_serializing_if = "Option::is_none")]
    style: Option<&'static str>,
}

/// What a press does: the client opens an address, or this server receives what the button carries.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Effect {
    Url(String),
    Value(String),
}

/// The message of a page. A direct call's text is mrkdwn already, as its caller wrote it; other plain text is escaped.
pub(super) fn message(page: &Page, direct: bool) -> Message {
    let facts = &page.facts;
    let pings = pings(&facts.mentions);
    let text = page.field("text");
    let mut message = Message {
        channel: None,
        text: String::new(),
        blocks: Vec::new(),
        attachments: Vec::new(),
        unfurl_links: false,
        unfurl_media: false,
        thread_ts: None,
        reply_broadcast: false,
    };
    if page.plain {
        // Mattermost and Rocket.Chat, which take Slack's messages too, ping by `@all` in plain words.
        let text = if direct { text.to_owned() } else { broken(&entities(&without_marks(text)), &["@"]) };
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
        message.blocks.extend(actions(page));
        return message;
    }
    let preview = if facts.preview.is_empty() { &facts.title } else { &facts.preview };
    message.text = cut_text(&entities(preview));
    message.blocks = sections(&spaced(&pings, &head(page)));
    let color = format!("#{:06X}", colour(facts));
    let attachment = |blocks, image_url| Attachment { color: color.clone(), fallback: facts.title.clone(), blocks, image_url };
    message.attachments = vec![attachment(blocks(page), None)];
    // As an image block, a picture that Slack cannot fetch would have the whole message refused.
    message.attachments.extend((!facts.image.is_empty()).then(|| attachment(Vec::new(), Some(facts.image.clone()))));
    message.attachments.retain(|one| !one.blocks.is_empty() || one.image_url.is_some());
    message
}

/// The message of a page in place of the one with this `ts`. A text that was too long for blocks is cut to what they hold.
pub(super) fn update<'a>(page: &Page, channel: &'a str, ts: &'a str, direct: bool) -> Update<'a> {
    let Message { text, mut blocks, attachments, .. } = message(page, direct);
    if blocks.is_empty() && attachments.is_empty() && units(&text) > MAX_EDITED_TEXT {
        blocks = sections(&shortened(&text, MAX_ALL_BLOCKS));
    }
    Update { channel, ts, parse: "none", text: shortened(&text, MAX_EDITED_TEXT), blocks, attachments }
}

/// At most so many units of a text with markup; when something is cut, the last one is `…`.
fn shortened(text: &str, max: usize) -> String {
    if units(text) <= max {
        return text.to_owned();
    }
    split_units(text, max - 1).into_iter().next().unwrap_or_default() + "…"
}

/// Whether the page's message has buttons.
pub(super) fn has_buttons(page: &Page) -> bool {
    actions(page).is_some() || !page.plain && blocks(page).iter().any(|block| matches!(block, Block::Actions { .. }))
}

/// The same page with its links in the text, and without its other buttons.
pub(super) fn without_buttons(page: &Page) -> Page {
    let mut page = if page.plain { page.clone() } else { links_in_text(page, measure, in_text) };
    page.facts.incident.buttons.clear();
    page
}

fn in_text(link: &Link) -> String {
    format!("<{}|{}>", link.url.replace('&', "&amp;"), entities(link.label.trim()))
}

/// A plain text in which Slack finds no markup, for it has no text without it whose addresses are links: as the templates' values are escaped.
fn without_marks(text: &str) -> String {
    outside_addresses(text, |before, c, after, out| {
        let inside_word = before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        // White space beside a mark is enough: an expression is pasted as it was written.
        let gap = |beside: Option<char>| (!beside.is_some_and(char::is_whitespace)).then_some('\u{200A}');
        match c {
            '`' => out.push('ˋ'),
            '*' | '_' | '~' if !inside_word => out.extend(gap(before).into_iter().chain([c]).chain(gap(after))),
            '>' if before.is_none_or(|before| before == '\n') => out.extend(['\u{200B}', c]),
            c => out.push(c),
        }
    })
}

/// The headline, and below it what a person wrote.
fn head(page: &Page) -> String {
    let title = page.field("title").trim();
    if title.is_empty() { format!("*{}*", escape_in_bold(page.facts.title.trim())) } else { title.to_owned() }
}

/// A title in bold: an asterisk would end it.
fn escape_in_bold(title: &str) -> String {
    entities(title).replace('*', "∗")
}

fn blocks(page: &Page) -> Vec<Block> {
    let facts = &page.facts;
    let text = page.field("text");
    let links: Vec<&Link> = facts.links.iter().filter(|link| page.number >= page.total && fits(link)).take(MAX_BUTTONS).collect();
    let details = links.iter().find(|link| link.kind == LinkKind::Details && units(&link.url) <= MAX_CONTEXT).copied();
    let inline = details.map(in_text).unwrap_or_default();
    // What does not fire is read in passing.
    if facts.status != MessageStatus::Firing
        && facts.incident.buttons.is_empty()
        && units(text) <= MAX_CONTEXT
        && page.total <= 1
        && links.iter().all(|link| Some(*link) == details)
    {
        return context([text, &inline].map(|text| Text::Mrkdwn(text.to_owned()))).into_iter().collect();
    }
    let mut blocks = sections(text);
    blocks.extend(actions(page));
    // A phone shows three buttons in a row; the link to the whole is small print then.
    let in_row = links.len() <= BUTTONS_IN_ROW || details.is_none();
    let buttons: Vec<Button> = links.into_iter().filter(|link| in_row || Some(*link) != details).enumerate().map(button).collect();
    if !buttons.is_empty() {
        blocks.push(Block::Actions { elements: buttons });
    }
    let footer = Text::PlainText(cut_units(page.field("footer").trim(), MAX_CONTEXT));
    let inline = Text::Mrkdwn(if in_row { String::new() } else { inline });
    blocks.extend(context([footer, inline]));
    blocks
}

/// A line of small print; none where nothing is in it.
fn context(elements: [Text; 2]) -> Option<Block> {
    let is_filled = |text: &Text| !text.text().is_empty();
    let elements: Vec<Text> = elements.into_iter().filter(is_filled).collect();
    (!elements.is_empty()).then_some(Block::Context { elements })
}

fn fits(link: &Link) -> bool {
    !link.label.trim().is_empty() && units(&link.url) <= MAX_URL
}

/// What can be done about the incident, in a row of its own.
fn actions(page: &Page) -> Option<Block> {
    let button = |(place, button): (usize, &crate::model::Button)| Button {
        action_id: format!("{ACTION}{place}"),
        text: Text::PlainText(cut_units(button.label.trim(), MAX_LABEL)),
        effect: Effect::Value(button.value.clone()),
        style: match button.verb {
            Verb::Ack => Some("primary"),
            Verb::Close => Some("danger"),
            Verb::Unack | Verb::Snooze | Verb::Silence | Verb::Unsilence | Verb::Mute | Verb::Unmute | Verb::Escalate => None,
        },
    };
    let elements: Vec<Button> = page.facts.incident.buttons.iter().take(MAX_BUTTONS).enumerate().map(button).collect();
    (!elements.is_empty()).then_some(Block::Actions { elements })
}

fn button((place, link): (usize, &Link)) -> Button {
    Button {
        action_id: format!("link-{place}"),
        text: Text::PlainText(cut_units(link.label.trim(), MAX_LABEL)),
        effect: Effect::Url(link.url.clone()),
        style: (link.kind == LinkKind::Runbook).then_some("primary"),
    }
}

fn sections(text: &str) -> Vec<Block> {
    split_units(text, MAX_SECTION).into_iter().map(|part| Block::Section { text: Text::Mrkdwn(part), expand: true }).collect()
}

/// The pings in Slack's form: <https://docs.slack.dev/messaging/formatting-message-text#advanced>. What is no id of Slack's is written as it
/// is, where everybody sees that it pings nobody.
fn pings(mentions: &Mentions) -> String {
    let mark = |open: &str, id: &String| {
        if !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()) { format!("<{open}{id}>") } else { entities(id) }
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
pub(super) fn entities(text: &str) -> String {
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

/// The constraint that comes nearest to breaking: number of blocks, text in all blocks, text of the message.
pub(super) fn measure(page: &Page) -> Size {
    let message = message(page, false);
    let blocks: Vec<&Block> = message.blocks.iter().chain(message.attachments.iter().flat_map(|attachment| &attachment.blocks)).collect();
    let of = |text: &Text| units(text.text());
    let in_blocks = blocks.iter().map(|block| match block {
        Block::Section { text, .. } => of(text),
        Block::Actions { elements } => elements.iter().map(|button| of(&button.text)).sum(),
        Block::Context { elements } => elements.iter().map(of).sum(),
    });
    Size::characters(in_blocks.sum(), MAX_ALL_BLOCKS)
        .tighter(Size { used: blocks.len(), max: MAX_BLOCKS, unit: "blocks" })
        .tighter(Size::characters(units(&message.text), MAX_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::kit::test_server::{Answer, ScriptedServer, build, context, page, rich};
    use crate::channel::slack::Config;
    use crate::model::Recipient;

    #[test]
    fn plain_text_holds_no_markup_and_its_addresses_stay() {
        let mut page = page(&[("text", "> *big* `c` _x_ ~s~ a * 2 snake_case 2*3\n> q\nhttps://h.example/~a_b?x=_y_&z")]);
        page.plain = true;
        let sent = serde_json::to_value(message(&page, false)).unwrap();
        let text = sent["blocks"][0]["text"]["text"].as_str().unwrap().replace('\u{200A}', "|").replace('\u{200B}', "^");
        assert_eq!(text, "^&gt; *|big|* ˋcˋ _|x|_ ~|s|~ a * 2 snake_case 2*3\n^&gt; q\nhttps://h.example/~a_b?x=_y_&amp;z");
    }

    #[tokio::test]
    async fn a_refused_button_does_not_lose_the_last_of_several_pages() {
        let server =
            ScriptedServer::start([Answer::from(r#"{"ok":false,"error":"invalid_blocks"}"#), Answer::from(r#"{"ok":true,"ts":"1.1"}"#)]).await;
        let built = build::<Config>("{ token: xoxb-1, channel: '#ops', api_base: BASE }", &server.base).unwrap();
        let mut page = rich(&[("title", "Disk (3/3)"), ("text", "db-1")]);
        (page.number, page.total) = (3, 3);
        let results = built.channel.send(&page, &[Recipient::new("#ops")], &context()).await;
        assert!(results[0].1.as_ref().is_ok_and(|receipt| receipt.answer.contains("buttons were refused")), "{results:?}");
        let (first, again) = (server.seen()[0].json().to_string(), server.seen()[1].json().to_string());
        assert!(!server.seen()[0].json()["attachments"].to_string().contains("3/3"), "the headline numbers the page: {first}");
        assert!(first.contains("\"actions\"") && !again.contains("\"actions\""), "{again}");
        assert!(page.facts.links.iter().all(|link| again.contains(&format!("|{}>", link.label))), "{again}");
    }
}
