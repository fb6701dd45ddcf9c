//! Rooms that write down what people see and hear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::channel::{CellResult, Channel, SendContext};
use crate::model::{ErrorKind, Form, MessageStatus, Page, PlatformIds, Receipt, Recipient, SendError};

/// What a room does with the next requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    #[default]
    Works,
    /// Nothing gets through.
    Down,
    /// Edits are refused as too fast.
    EditsTooFast,
    /// Edits are refused for their text.
    EditsRefused,
    /// The next message arrives, and its answer is lost.
    LosesAnswer,
}

/// All rooms of a sequence.
#[derive(Debug, Default)]
pub struct Rooms {
    /// What was posted and not deleted: channel and number.
    pub posts: BTreeSet<(&'static str, u64)>,
    /// How many messages each channel got.
    counts: BTreeMap<&'static str, u64>,
    pub mood: Mood,
    /// Whether a message can be edited once.
    pub once: bool,
    /// What was edited.
    edited: BTreeSet<(&'static str, u64)>,
    /// What happened since the last step of the sequence.
    pub log: Vec<String>,
    /// Names of alerts that the sequence knows.
    pub names: Vec<String>,
}

impl Rooms {
    /// What a page says, as far as a sequence compares it: its status, the alerts that it names, and what it says about people and what is missing.
    fn gist(&self, page: &Page) -> String {
        let text = page.field("text");
        let status = match page.facts.status {
            MessageStatus::Firing => "firing",
            MessageStatus::Resolved => "resolved",
            MessageStatus::Unreported => "unreported",
        };
        let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        let named: Vec<&str> = self.names.iter().map(String::as_str).filter(|name| words.contains(name)).collect();
        let about = [
            "acked by",
            "snoozed by",
            "no longer reported",
            "was acked",
            "fires again",
            "not listed",
            "fired again",
            "more severe",
            "first notified",
            "goes on as",
        ];
        let said = text.lines().filter(|line| about.iter().any(|words| line.contains(words))).map(|line| format!(" | {}", line.trim()));
        format!("{status}: {}{}", named.join(" "), said.collect::<String>())
    }
}

/// The line of a channel to its room.
pub struct Line(pub Arc<Mutex<Rooms>>, pub &'static str);

fn id_of(ids: &PlatformIds) -> u64 {
    ids.get("id").and_then(|id| id.parse().ok()).expect("an id of this platform")
}

impl Line {
    fn post(&self, page: &Page, cx: &SendContext) -> Result<Receipt, SendError> {
        let Line(rooms, channel) = self;
        let mut rooms = rooms.lock().unwrap();
        if rooms.mood == Mood::Down {
            return Err(SendError::new(ErrorKind::Transient, "HTTP 502"));
        }
        let answers = cx.reply_to.as_ref().map(id_of);
        if answers.is_some_and(|parent| !rooms.posts.contains(&(*channel, parent))) {
            return Err(SendError::new(ErrorKind::Rejected, "the message to answer was deleted").gone());
        }
        let count = rooms.counts.entry(*channel).or_default();
        *count += 1;
        let id = *count;
        let form = match page.facts.form {
            Form::Card | Form::Note => "message",
            Form::News => "news",
            Form::Again => "again",
            Form::Over => "over",
        };
        let sound = if page.facts.mentions.is_empty() { "quiet" } else { "rings" };
        let answers = answers.map(|parent| format!(" in {parent}")).unwrap_or_default();
        let line = format!("{channel} {form} {id}{answers} {sound}, {}", rooms.gist(page));
        rooms.log.push(line);
        rooms.posts.insert((*channel, id));
        if rooms.mood == Mood::LosesAnswer {
            rooms.mood = Mood::Works;
            return Err(SendError::new(ErrorKind::Ambiguous, "the connection was closed before the answer"));
        }
        Ok(Receipt { ids: PlatformIds::one("id", id.to_string()), code: "ok".into(), answer: String::new() })
    }
}

#[async_trait]
impl Channel for Line {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    async fn send(&self, page: &Page, _: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        vec![(0, self.post(page, cx))]
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, _: &SendContext) -> Result<Receipt, SendError> {
        let Line(rooms, channel) = self;
        let mut rooms = rooms.lock().unwrap();
        let too_fast = ErrorKind::RateLimited { retry_after: None };
        match rooms.mood {
            Mood::Down => return Err(SendError::new(ErrorKind::Transient, "HTTP 502")),
            Mood::EditsTooFast => return Err(SendError::new(too_fast, "too fast")),
            Mood::EditsRefused => return Err(SendError::new(ErrorKind::Rejected, "the text is not allowed")),
            Mood::Works | Mood::LosesAnswer => {}
        }
        let id = id_of(ids);
        if !rooms.posts.contains(&(*channel, id)) {
            return Err(SendError::new(ErrorKind::Rejected, "deleted").gone());
        }
        if !rooms.edited.insert((*channel, id)) && rooms.once {
            return Err(SendError::new(ErrorKind::Rejected, "it was edited before").gone());
        }
        let line = format!("{channel} edits {id}, {}", rooms.gist(page));
        rooms.log.push(line);
        Ok(Receipt { ids: ids.clone(), code: "ok".into(), answer: String::new() })
    }
}

/// What an act did, in few words.
pub fn short(result: &crate::store::ActResult) -> String {
    use crate::store::ActResult::*;
    match result {
        Acked { alerts, left, until, taken_from, .. } => {
            let taken = if taken_from.is_empty() { String::new() } else { format!(", taken from {}", taken_from.join(", ")) };
            let left = if *left > 0 { format!(", {left} left") } else { String::new() };
            format!("{} {alerts}{left}{taken}", if until.is_some() { "snoozed" } else { "acked" })
        }
        Already { .. } => "already".into(),
        Unacked => "unacked".into(),
        NotAcked => "nobody is on it".into(),
        Closed => "closed".into(),
        Over { .. } => "it is over".into(),
        Unknown => "unknown".into(),
        other => format!("{other:?}"),
    }
}
