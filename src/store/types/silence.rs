//! Silences that people asked a sender for: what is wanted, what is known of it there, and what readers see. Pure.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Act, ActResult, Actor, Answered, Incident, Ring, TimelineKind, TimelineRow, UnackReason, Unacked};
use crate::model::{IncidentId, Labels, UnixMs};

/// What is known of a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SilenceState {
    /// It is asked for, and the sender has not confirmed it.
    Asked,
    /// The sender is silent.
    Active,
    /// It is to end, and the sender has not confirmed that.
    Ending,
    /// It has ended.
    Ended,
    /// The sender refused it.
    Failed,
}

impl SilenceState {
    /// All states.
    pub const ALL: [SilenceState; 5] = [SilenceState::Asked, SilenceState::Active, SilenceState::Ending, SilenceState::Ended, SilenceState::Failed];

    /// The name in SQL and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            SilenceState::Asked => "asked",
            SilenceState::Active => "active",
            SilenceState::Ending => "ending",
            SilenceState::Ended => "ended",
            SilenceState::Failed => "failed",
        }
    }

    /// The state of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether nothing becomes of it any more.
    pub fn is_final(self) -> bool {
        matches!(self, SilenceState::Ended | SilenceState::Failed)
    }
}

/// The silence of an incident, as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silenced {
    /// Who asked for it.
    pub by: Actor,
    /// Until when.
    pub until: UnixMs,
    /// What is known of it.
    pub state: SilenceState,
    /// Why it is not confirmed, where that is known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// What is to become of the silence of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) enum SilenceWish {
    /// There is to be one.
    Silent {
        /// The labels that it matches.
        labels: Labels,
        /// Who asks for it.
        by: Actor,
        /// Until when.
        until: UnixMs,
    },
    /// It is to end.
    Loud,
}

/// The silence of an incident: what somebody wants, and what is known of it at the sender. An incident has at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silence {
    /// The incident.
    pub incident: IncidentId,
    /// By this it is found at the sender, whatever the sender's own id: it is part of the comment there.
    pub token: Uuid,
    /// Grows with everything that people ask for.
    pub revision: i64,
    /// The labels that it matches.
    pub labels: Labels,
    /// Who asked for it.
    pub by: Actor,
    /// When.
    pub asked_at: UnixMs,
    /// Until when.
    pub until: UnixMs,
    /// What is known of it.
    pub state: SilenceState,
    /// The sender's id of it, once it is known.
    pub sender_id: Option<String>,
    /// How often the sender was asked since somebody asked for something.
    pub tries: i64,
    /// Why it is not confirmed, where that is known.
    pub reason: String,
    /// When the sender is asked next; `None` once nothing becomes of it any more.
    pub due_at: Option<UnixMs>,
    /// Whether the sender has listed an alert that it is about: only what it had can have ended there.
    pub seen: bool,
}

/// What a sender said of a silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilenceOutcome {
    /// The silence as it was taken: what it was said of.
    pub of: Silence,
    /// The sender's id of it, where it said one.
    pub sender_id: Option<String>,
    /// What is known of it now.
    pub state: SilenceState,
    /// Until when, as the sender has it.
    pub until: UnixMs,
    /// Why it is not confirmed, where that is known.
    pub reason: String,
    /// When the sender is asked next; `None` for never.
    pub due_at: Option<UnixMs>,
    /// Whether the sender lists an alert that it is about.
    pub seen: bool,
    /// Now.
    pub now: UnixMs,
}

impl Silence {
    /// What it is once somebody wants that; `None` when there is nothing to end.
    pub(in crate::store) fn wished(before: Option<Self>, incident: IncidentId, wish: &SilenceWish, now: UnixMs) -> Option<Self> {
        let before = before.filter(|before| !before.state.is_final());
        let revision = before.as_ref().map_or(1, |before| before.revision + 1);
        match (wish, before) {
            (SilenceWish::Loud, before) => {
                before.map(|before| Self { revision, state: SilenceState::Ending, tries: 0, reason: String::new(), due_at: Some(now), ..before })
            }
            (SilenceWish::Silent { labels, by, until }, before) => {
                let (token, sender_id, seen) =
                    before.map_or_else(|| (Uuid::new_v4(), None, false), |before| (before.token, before.sender_id, before.seen));
                Some(Self {
                    incident,
                    token,
                    revision,
                    labels: labels.clone(),
                    by: by.clone(),
                    asked_at: now,
                    until: *until,
                    state: SilenceState::Asked,
                    sender_id,
                    tries: 0,
                    reason: String::new(),
                    due_at: Some(now),
                    seen,
                })
            }
        }
    }

    /// What it is after the sender said this, and whether that is about what people want now.
    pub(in crate::store) fn after(self, outcome: &SilenceOutcome) -> Option<(Self, bool)> {
        if self.token != outcome.of.token {
            return None;
        }
        let sender_id = outcome.sender_id.clone().or_else(|| self.sender_id.clone());
        let seen = self.seen || outcome.seen;
        if (self.revision, self.tries) != (outcome.of.revision, outcome.of.tries) {
            return Some((Self { sender_id, seen, ..self }, false));
        }
        let SilenceOutcome { state, until, due_at, .. } = *outcome;
        Some((Self { sender_id, state, until, due_at, seen, reason: outcome.reason.clone(), ..self }, true))
    }

    fn shown(&self) -> Silenced {
        Silenced { by: self.by.clone(), until: self.until, state: self.state, reason: self.reason.clone() }
    }
}

impl Incident {
    /// Snoozes all of it, and has its sender asked to be silent about it.
    pub(in crate::store::types) fn silence(&mut self, act: &Act) -> (ActResult, Option<Answered>) {
        let (Some(labels), Some(until)) = (act.labels.get(&self.id).cloned(), act.until) else {
            return (ActResult::CannotSilence { why: super::NoSilence::NoLabels }, None);
        };
        self.acks.silence = Some(Silenced { by: act.by.clone(), until, state: SilenceState::Asked, reason: String::new() });
        let (_, answered) = self.ack(act, &self.open_alerts(None));
        let text = format!("a silence until {until} was asked for by {} ({})", act.by.name, act.by.via);
        let rows = vec![TimelineRow { at: act.now, kind: TimelineKind::Silenced, channel: String::new(), text }];
        let silence = Some(SilenceWish::Silent { labels, by: act.by.clone(), until });
        let result = ActResult::Silenced { until, state: SilenceState::Asked, reason: String::new() };
        (result, answered.map(|answered| Answered { rows, silence, ..answered }))
    }

    /// Has its silence ended, and with it the snooze with which it began.
    pub(in crate::store::types) fn unsilence(&mut self, act: &Act) -> (ActResult, Option<Answered>) {
        let Some(before) = self.acks.silence.clone().filter(|silence| silence.state != SilenceState::Ending) else {
            return (ActResult::NotSilenced, None);
        };
        let text = format!("the silence was ended by {} ({})", act.by.name, act.by.via);
        let mut rows = vec![TimelineRow { at: act.now, kind: TimelineKind::Unsilenced, channel: String::new(), text: text.clone() }];
        let by = UnackReason::By { name: act.by.name.clone() };
        // Ends by hand by turns do not ring each time, whatever they end.
        let unacked = Unacked::new(act.now, self.version + 1, by).after(self.acks.unacked.as_ref(), act.rules.repeat);
        let about = self.end_snooze_of(&before, unacked);
        self.acks.silence = Some(Silenced { state: SilenceState::Ending, reason: String::new(), ..before });
        self.version += 1;
        self.answer_state();
        let mut result = ActResult::Unsilenced;
        if let Some((rings_at, later)) = self.rings_later().filter(|_| about.is_some()) {
            rows.iter_mut().for_each(|row| row.text.push_str(&later));
            result = ActResult::UnsilencedQuietly { rings_at };
        }
        let rings = about.map(|about| Ring { why: text, about });
        (result, Some(Answered { rows, rings, silence: Some(SilenceWish::Loud), mute: None }))
    }

    /// Shows what became of its silence. `None` when it is what was shown.
    pub(in crate::store) fn silence_became(&mut self, silence: &Silence, now: UnixMs) -> Option<Answered> {
        let (before, after) = (self.acks.silence.clone(), silence.shown());
        if before.as_ref() == Some(&after) || (before.is_none() && after.state.is_final()) {
            return None;
        }
        let (name, via) = (&after.by.name, &after.by.via);
        let was = before.as_ref().map(|before| before.state);
        let text = match after.state {
            SilenceState::Active if was != Some(SilenceState::Active) => Some(format!("silenced until {} by {name} ({via})", after.until)),
            SilenceState::Active => Some(format!("the silence by {name} ends at {} now", after.until)),
            SilenceState::Asked if before.as_ref().is_none_or(|before| before.reason.is_empty()) => {
                Some(format!("the silence by {name} is not confirmed, and is tried again: {}", after.reason))
            }
            SilenceState::Ending if before.as_ref().is_none_or(|before| before.reason.is_empty()) => {
                Some(format!("the end of the silence by {name} is not confirmed, and is tried again: {}", after.reason))
            }
            SilenceState::Asked | SilenceState::Ending => None,
            SilenceState::Ended => Some(UnackReason::SilenceEnded { name: name.clone() }.text()),
            SilenceState::Failed => Some(UnackReason::NotSilenced { name: name.clone(), reason: after.reason.clone() }.text()),
        };
        let kind = if after.state.is_final() || after.state == SilenceState::Ending { TimelineKind::Unsilenced } else { TimelineKind::Silenced };
        let rows: Vec<TimelineRow> = text.iter().map(|text| TimelineRow { at: now, kind, channel: String::new(), text: text.clone() }).collect();
        let why = match after.state {
            SilenceState::Ended => Some(UnackReason::SilenceEnded { name: name.clone() }),
            SilenceState::Failed => Some(UnackReason::NotSilenced { name: name.clone(), reason: after.reason.clone() }),
            _ => None,
        };
        let known = before.as_ref().unwrap_or(&after);
        let about = why.and_then(|why| self.end_snooze_of(known, Unacked::new(now, self.version + 1, why)));
        if after.state == SilenceState::Active {
            self.acks.list.iter_mut().filter(|ack| known.began(ack)).for_each(|ack| ack.until = Some(after.until));
        }
        self.acks.silence = Some(after).filter(|after| !after.state.is_final());
        self.version += 1;
        self.answer_state();
        let rings = about.map(|about| Ring { why: text.unwrap_or_default(), about });
        Some(Answered { rows, rings, silence: None, mute: None })
    }

    /// Ends the snooze with which a silence began, where it goes on; returns the alerts that are nobody's any more.
    fn end_snooze_of(&mut self, silence: &Silenced, unacked: Unacked) -> Option<HashSet<u64>> {
        let open = if self.state.is_open() { self.open_alerts(None) } else { HashSet::new() };
        let mut about = HashSet::new();
        self.acks.list.retain(|ack| {
            let ends = silence.began(ack);
            if ends {
                about.extend(ack.alerts.iter().filter(|fingerprint| open.contains(fingerprint)));
            }
            !ends
        });
        if about.is_empty() {
            return None;
        }
        self.acks.unacked = Some(unacked);
        Some(about)
    }
}

impl Silenced {
    /// Whether the snooze with which it began is this one, which ends with it: one that the same person made since ends at its own time.
    pub fn began(&self, ack: &super::Ack) -> bool {
        ack.by.id == self.by.id && ack.until == Some(self.until)
    }
}
