//! Rooms that write down what people see and hear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::channel::{CellResult, Channel, Press, PressWay, Presser, SendContext};
use crate::delivery::Engine;
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
    /// The next message arrives, and its answer never comes.
    NeverAnswers,
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
    /// Whether messages have buttons.
    has_buttons: bool,
    /// Whether only the newest edit of a message counts within a step: one that begins before what rings is on disk, which is a matter of threads, is made
    /// up for by the next.
    newest_edits: bool,
    /// What the first button of each message says when it is pressed: by channel and number.
    values: BTreeMap<(&'static str, u64), String>,
    /// What happened since the last step of the sequence.
    pub log: Vec<String>,
    /// Names of alerts that the sequence knows.
    pub names: Vec<String>,
}

impl Rooms {
    /// What is said before the first step.
    pub fn set(&mut self, option: &str) {
        match option {
            "buttons" => self.has_buttons = true,
            _ => self.newest_edits = true,
        }
    }

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

fn ids_of(channel: &str, id: u64) -> PlatformIds {
    PlatformIds::one("id", id.to_string()).and("channel", channel.to_owned())
}

fn id_of(ids: &PlatformIds) -> u64 {
    ids.get("id").and_then(|id| id.parse().ok()).expect("an id of this platform")
}

impl Line {
    fn ends_without_answer(&self) -> bool {
        let mut rooms = self.0.lock().unwrap();
        let ends = rooms.mood == Mood::NeverAnswers;
        if ends {
            rooms.mood = Mood::Works;
        }
        ends
    }

    /// Somebody sees the buttons of a message.
    fn show(&self, rooms: &mut Rooms, id: u64, page: &Page) {
        match page.facts.incident.buttons.first() {
            Some(button) => rooms.values.insert((self.1, id), button.value.clone()),
            None => rooms.values.remove(&(self.1, id)),
        };
    }

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
        self.show(&mut rooms, id, page);
        if rooms.mood == Mood::LosesAnswer {
            rooms.mood = Mood::Works;
            return Err(SendError::new(ErrorKind::Ambiguous, "the connection was closed before the answer"));
        }
        Ok(Receipt { ids: ids_of(channel, id), code: "ok".into(), answer: String::new() })
    }
}

#[async_trait]
impl Channel for Line {
    fn body(&self, page: &Page) -> serde_json::Value {
        crate::channel::kit::shown(&page.fields)
    }

    fn press_way(&self) -> Option<PressWay> {
        self.0.lock().unwrap().has_buttons.then_some(PressWay::Callback)
    }

    async fn send(&self, page: &Page, _: &[Recipient], cx: &SendContext) -> Vec<CellResult> {
        let posted = self.post(page, cx);
        if self.ends_without_answer() {
            std::future::pending::<()>().await;
        }
        vec![(0, posted)]
    }

    async fn update(&self, ids: &PlatformIds, page: &Page, _: &Recipient, _: &SendContext) -> Result<Receipt, SendError> {
        let Line(rooms, channel) = self;
        let mut rooms = rooms.lock().unwrap();
        let too_fast = ErrorKind::RateLimited { retry_after: None };
        match rooms.mood {
            Mood::Down => return Err(SendError::new(ErrorKind::Transient, "HTTP 502")),
            Mood::EditsTooFast => return Err(SendError::new(too_fast, "too fast")),
            Mood::EditsRefused => return Err(SendError::new(ErrorKind::Rejected, "the text is not allowed")),
            Mood::Works | Mood::LosesAnswer | Mood::NeverAnswers => {}
        }
        let id = id_of(ids);
        if !rooms.posts.contains(&(*channel, id)) {
            return Err(SendError::new(ErrorKind::Rejected, "deleted").gone());
        }
        if !rooms.edited.insert((*channel, id)) && rooms.once {
            return Err(SendError::new(ErrorKind::Rejected, "it was edited before").gone());
        }
        let edit = format!("{channel} edits {id}, ");
        let line = format!("{edit}{}", rooms.gist(page));
        let before = rooms.log.iter().position(|line| line.starts_with(&edit)).filter(|_| rooms.newest_edits);
        match before {
            Some(place) => rooms.log[place] = line,
            None => rooms.log.push(line),
        }
        self.show(&mut rooms, id, page);
        Ok(Receipt { ids: ids.clone(), code: "ok".into(), answer: String::new() })
    }
}

/// Ann presses the first button of a message of `chat`; returns what she is shown.
pub async fn press(engine: &Engine, rooms: &Mutex<Rooms>, message: u64, event: u64) -> String {
    let value = rooms.lock().unwrap().values.get(&("chat", message)).expect("a message with a button").clone();
    let by = Presser { id: "U1".into(), name: "ann".into(), foreign: false };
    let press = Press { event_id: event.to_string(), value, message: ids_of("chat", message), by };
    let plan = engine.plan();
    let answer = engine.presses(plan.channel("chat").expect("the channel")).press(press).await;
    format!("a press in message {message} for {}", answer.text)
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
        UnackedQuietly { .. } => "unacked, it rings later".into(),
        NotAcked => "nobody is on it".into(),
        Closed => "closed".into(),
        Over { .. } => "it is over".into(),
        Unknown => "unknown".into(),
        other => format!("{other:?}"),
    }
}

/// Of lines that differ by numbers only one, with how many they are.
pub fn crowd(lines: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines {
        let parts = line.split(|c: char| c.is_ascii_digit()).collect::<Vec<_>>();
        let mut alike = parts.join("N");
        while alike.contains("NN") {
            alike = alike.replace("NN", "N");
        }
        *counts.entry(alike).or_default() += 1;
    }
    counts.into_iter().map(|(alike, count)| format!("{count} times {alike}")).collect()
}
