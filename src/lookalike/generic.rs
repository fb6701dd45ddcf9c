//! Any other body: its title, its texts and everything else by name.

use serde_json::Value;

use super::Reader;
use super::blocks::{blocks, plain};
use super::card::{Block, Line, Message, Span, Style};
use super::inline::Dialect;

/// What the title is called, by the first of these that is there.
const TITLES: &[&str] = &["title", "subject", "payload.summary", "topic"];
/// A value that is longer, or has several lines, is a text of its own.
const MAX_FACT: usize = 80;
/// Values that are shown at most; more are counted.
const MAX_VALUES: usize = 60;

/// `dialect` is that of its long texts.
pub(super) fn read(body: &Value, dialect: &Dialect, reader: &Reader) -> Message {
    let mut values = Vec::new();
    collect(body, String::new(), &mut values);
    let mut out = Message::default();
    let place = |title: &&str| values.iter().position(|(name, _)| name.as_str() == *title);
    if let Some(at) = TITLES.iter().find_map(place) {
        let (_, title) = values.remove(at);
        out.notification.clone_from(&title);
        out.blocks.push(Block::Heading(3, plain(&title)));
    }
    let hidden = values.len().saturating_sub(MAX_VALUES);
    values.truncate(MAX_VALUES);
    let mut facts: Vec<(String, Line)> = Vec::new();
    for (name, value) in values {
        if is_address(&value) {
            let style = Style { link: Some(value.clone()), ..Style::default() };
            facts.push((name, vec![Span { text: value, style }]));
        } else if value.contains('\n') || value.chars().count() > MAX_FACT || matches!(name.as_str(), "text" | "message" | "content" | "body") {
            out.blocks.extend(blocks(&value, dialect, reader));
        } else {
            facts.push((name, plain(&value)));
        }
    }
    if !facts.is_empty() {
        out.blocks.push(Block::Facts(facts));
    }
    if hidden > 0 {
        out.blocks.push(Block::Small(vec![Span::plain(format!("and {hidden} more values"))]));
    }
    out
}

fn is_address(value: &str) -> bool {
    (value.starts_with("https://") || value.starts_with("http://")) && !value.contains(char::is_whitespace)
}

/// Every value that is there, by its path.
fn collect(value: &Value, path: String, out: &mut Vec<(String, String)>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => out.push((path, text.clone())),
        Value::Array(items) => items.iter().enumerate().for_each(|(place, item)| collect(item, below(&(place + 1).to_string()), out)),
        Value::Object(fields) => fields.iter().for_each(|(name, field)| collect(field, below(name), out)),
        other => out.push((path, other.to_string())),
    }
}
