//! Slack: blocks and attachments of mrkdwn. <https://docs.slack.dev/reference/block-kit/blocks>

use serde_json::Value;

use super::blocks::{blocks, plain};
use super::card::{Block, Button, Line, Message, Span, Style};
use super::inline::{Dialect, Mark, Tag, decode, inline};
use super::{Reader, colour, list, text};

/// <https://docs.slack.dev/messaging/formatting-message-text>
const MRKDWN: Dialect = Dialect {
    marks: &[("*", Mark::Bold), ("_", Mark::Italic), ("~", Mark::Strike)],
    words: true,
    code: true,
    entities: true,
    tag,
    quotes: true,
    ..Dialect::PLAIN
};

/// `<https://..|label>`, `<@U1>`, `<!channel>`, `<!date^1795413785^{time}|14:03>`.
fn tag<'t>(rest: &'t str, reader: &Reader) -> Option<(usize, Tag<'t>)> {
    let inner = &rest[1..rest.find('>').filter(|end| !rest[..*end].contains('\n'))?];
    let (target, label) = inner.split_once('|').map_or((inner, None), |(target, label)| (target, Some(label)));
    let tag = if let Some(command) = target.strip_prefix('!') {
        match command.strip_prefix("date^").and_then(|rest| rest.split_once('^')) {
            Some((second, form)) => {
                let at = second.parse().ok().and_then(|second| jiff::Timestamp::from_second(second).ok())?;
                Tag::Piece(Span::plain(form.replace("{time}", &reader.time(at)).replace("{date_short_pretty}", &reader.day(at))))
            }
            None => Tag::Piece(Span::mention(format!("@{}", label.unwrap_or(command.strip_prefix("subteam^").unwrap_or(command))))),
        }
    } else if target.starts_with(['@', '#']) {
        Tag::Piece(Span::mention(label.map_or_else(|| target.to_owned(), |label| format!("@{label}"))))
    } else if target.starts_with("http://") || target.starts_with("https://") || target.starts_with("mailto:") {
        Tag::Around(Style { link: Some(decode(target)), ..Style::default() }, label.unwrap_or(target))
    } else {
        return None;
    };
    Some((inner.len() + 2, tag))
}

pub(super) fn read(body: &Value, reader: &Reader) -> Message {
    let top = list(body, "/blocks");
    let mut out = Message { notification: decode(text(body, "/text")), ..Message::default() };
    match top {
        [] => out.blocks.extend(blocks(text(body, "/text"), &MRKDWN, reader)),
        _ => out.blocks.extend(top.iter().flat_map(|one| block(one, reader))),
    }
    for attachment in list(body, "/attachments") {
        let mut inner: Vec<Block> = list(attachment, "/blocks").iter().flat_map(|one| block(one, reader)).collect();
        inner.extend(picture(text(attachment, "/image_url")));
        out.blocks.push(Block::Card { colour: colour(text(attachment, "/color")), head: Vec::new(), blocks: inner });
    }
    out
}

fn picture(url: &str) -> Option<Block> {
    (!url.is_empty()).then(|| Block::Picture(url.to_owned()))
}

fn words(object: &Value, reader: &Reader) -> Line {
    match text(object, "/type") {
        "mrkdwn" => inline(text(object, "/text"), &MRKDWN, reader),
        _ => plain(text(object, "/text")),
    }
}

fn block(block: &Value, reader: &Reader) -> Vec<Block> {
    match text(block, "/type") {
        "header" => vec![Block::Heading(3, words(&block["text"], reader))],
        "section" if text(block, "/text/type") == "mrkdwn" => blocks(text(block, "/text/text"), &MRKDWN, reader),
        "section" => vec![Block::Text(words(&block["text"], reader))],
        "context" => list(block, "/elements").iter().map(|element| Block::Small(words(element, reader))).collect(),
        "actions" => vec![Block::Buttons(list(block, "/elements").iter().map(button).collect())],
        "image" => picture(text(block, "/image_url")).into_iter().collect(),
        "divider" => vec![Block::Rule],
        other => vec![Block::Text(plain(&format!("[{other}]")))],
    }
}

fn button(element: &Value) -> Button {
    Button { label: text(element, "/text/text").to_owned(), url: text(element, "/url").to_owned(), primary: text(element, "/style") == "primary" }
}
