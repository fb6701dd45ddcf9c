//! The incident of a message, in the line that says what Watchfire adds.

use std::borrow::Cow;

use jiff::Timestamp;

use super::super::reasons::reason;
use super::super::words;
use super::Scene;
use crate::model::Severity;

/// The incident of a page, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentView {
    /// Its number.
    pub number: i64,
    /// When the channel was notified of it first: of a further message about it, where the first one cannot be edited or answered.
    pub first_notified: Option<Timestamp>,
    /// Who is on it, or why nobody is any more; `None` where that was never asked.
    pub answer: Option<AnswerView>,
    /// The silence that somebody asked its sender for.
    pub silence: Option<SilenceView>,
    /// The mute that somebody made from a message of it.
    pub mute: Option<MuteView>,
    /// Whether readers can act on the page of the message, as nothing in the message lets them.
    pub acts: bool,
}

/// Who is on an incident, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnswerView {
    /// Somebody is.
    Acked {
        /// The name.
        name: String,
        /// The way in which it was said: `Telegram`, `API`.
        via: String,
        /// Since when.
        at: Timestamp,
        /// Until when, for a snooze.
        until: Option<Timestamp>,
        /// Alerts that fire and that nobody is on.
        left: usize,
    },
    /// Nobody is any more: something more severe fires than was acked.
    Worse {
        /// The most severe that was acked.
        was: Severity,
    },
    /// Nobody is any more: a snooze ended.
    SnoozeEnded {
        /// Whose it was.
        name: String,
    },
    /// Nobody is any more: the ack expired.
    Expired {
        /// Whose it was.
        name: String,
    },
    /// Nobody is any more: somebody said so.
    Unacked {
        /// Who.
        name: String,
    },
    /// Nobody is any more: the silence with which it began ended.
    SilenceEnded {
        /// Whose it was.
        name: String,
    },
    /// Nobody is any more: the silence with which it began was refused.
    NotSilenced {
        /// Whose it was.
        name: String,
        /// Why.
        reason: String,
    },
    /// Somebody closed it by hand.
    Closed,
    /// Its alerts go on as other incidents.
    Superseded {
        /// Their numbers: `#2, #3`.
        by: String,
    },
}

/// The silence of an incident, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceView {
    /// Who asked for it.
    pub name: String,
    /// The way: `Telegram`, `API`.
    pub via: String,
    /// Until when.
    pub until: Timestamp,
    /// What its sender says of it.
    pub state: SilenceViewState,
}

/// The mute of an incident, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteView {
    /// Who made it.
    pub name: String,
    /// Until when.
    pub until: Timestamp,
}

/// What the sender says of a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SilenceViewState {
    /// It is silent.
    Confirmed,
    /// Nothing yet; why, where that is known.
    Asked(String),
    /// It is to end, and nothing is said yet.
    Ending,
}

/// `#1842`; of a further message of the incident `#1842, first notified 03:12 UTC`; then who is on it. Empty without an incident.
pub fn incident_line(input: &Scene<'_>) -> String {
    let Some(incident) = input.incident else { return String::new() };
    let number = format!("#{}", incident.number);
    let line = match incident.first_notified {
        Some(at) => words::filled(input.language, "first_notified", &[("what", &number), ("at", &input.times().short(at))]),
        None => number,
    };
    let answer = incident.answer.as_ref().map(|answer| answered(input, answer));
    let silence = incident.silence.as_ref().map(|silence| silenced(input, silence));
    let muted = |mute: &MuteView| words::filled(input.language, "muted_by", &[("who", &mute.name), ("until", &input.times().short(mute.until))]);
    let mute = incident.mute.as_ref().map(muted);
    [answer, silence, mute].into_iter().flatten().fold(line, |line, part| format!("{line} · {part}"))
}

/// What is known of its silence.
fn silenced(input: &Scene<'_>, silence: &SilenceView) -> String {
    let SilenceView { name, via, until, state } = silence;
    let (key, why) = match state {
        SilenceViewState::Confirmed => ("silenced_by", ""),
        SilenceViewState::Asked(why) if why.is_empty() => ("silence_asked", ""),
        SilenceViewState::Asked(why) => ("silence_late", why.as_str()),
        SilenceViewState::Ending => ("silence_ending", ""),
    };
    words::filled(
        input.language,
        key,
        &[("who", name), ("via", &way(input, via)), ("until", &input.times().short(*until)), ("why", &reason(input.language, why))],
    )
}

/// The way in which an act came; a platform stays as it is.
fn way<'t>(input: &Scene<'_>, via: &'t str) -> Cow<'t, str> {
    if via.starts_with("link sent to ") { reason(input.language, via) } else { Cow::Borrowed(via) }
}

/// Who is on it, or why nobody is any more.
fn answered(input: &Scene<'_>, answer: &AnswerView) -> String {
    let filled = |key, values: &[(&str, &str)]| words::filled(input.language, key, values);
    let short = |at| input.times().short(at);
    match answer {
        AnswerView::Acked { name, via, at, until, left } => {
            let told = match until {
                Some(until) => filled("snoozed_by", &[("who", name), ("via", &way(input, via)), ("until", &short(*until))]),
                None => filled("acked_by", &[("who", name), ("via", &way(input, via)), ("at", &short(*at))]),
            };
            if *left > 0 { format!("{told}{}", filled("not_acked", &[("n", &left.to_string())])) } else { told }
        }
        AnswerView::Worse { was } => filled("unacked_worse", &[("was", words::severity(input.language, *was))]),
        AnswerView::SnoozeEnded { name } => filled("snooze_ended", &[("who", name)]),
        AnswerView::Expired { name } => filled("ack_expired", &[("who", name)]),
        AnswerView::Unacked { name } => filled("unacked_by", &[("who", name)]),
        AnswerView::SilenceEnded { name } => filled("silence_ended", &[("who", name)]),
        AnswerView::NotSilenced { name, reason: why } => filled("not_silenced", &[("who", name), ("why", &reason(input.language, why))]),
        AnswerView::Closed => filled("closed_by_hand", &[]),
        AnswerView::Superseded { by } => filled("goes_on_as", &[("what", by)]),
    }
}
