//! Who is on an incident: acks, snoozes, their ends, and what a press does. Pure.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Act, ActResult, AlertState, Incident, IncidentReport, IncidentState, TWIN_DISAGREEMENT_MS, UnackReason, Unacked};
use crate::model::{IncidentId, MessageId, UnixMs, Verb, format_duration};
use crate::store::{Mute, Muted, SilenceWish, Silenced, TimelineKind, TimelineRow};

/// Somebody who acts on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Actor {
    /// Who, for machines: the same person by the same way has the same id (`telegram:1234`, `credential:alice`, `link:ops-sms 9f86d081884c7d65`).
    pub id: String,
    /// The name that people read.
    pub name: String,
    /// The way: `Telegram`, `API`, `link`.
    pub via: String,
}

/// Somebody is on some alerts of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// Who.
    pub by: Actor,
    /// Since when.
    pub at: UnixMs,
    /// Until when, for a snooze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UnixMs>,
    /// When people are reminded of it; `None` once they were, and for a snooze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_at: Option<UnixMs>,
    /// In which version of the incident they were; 0: not yet.
    #[serde(default)]
    pub reminded_in: i64,
    /// Without a sign of life it ends then; `None` for a snooze, which has an end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMs>,
    /// The most severe of its alerts: 0 critical .. 3 info. What is more severe ends it.
    pub rank: u8,
    /// The alerts, by their fingerprints.
    pub alerts: Vec<u64>,
    /// The message whose button was pressed; `None` where it came another way, and where the alerts were acked in another incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pressed: Option<MessageId>,
}

impl Ack {
    /// Whether it is about any of these alerts.
    pub(super) fn holds_any(&self, alerts: &HashSet<u64>) -> bool {
        self.alerts.iter().any(|fingerprint| alerts.contains(fingerprint))
    }

    /// When it ends or people are reminded of it.
    fn wake_at(&self) -> Option<UnixMs> {
        [self.until, self.remind_at, self.expires_at].into_iter().flatten().min()
    }
}

/// Who is on an incident.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Acks {
    /// The acks, oldest first. An alert is in at most one of them.
    pub list: Vec<Ack>,
    /// The end of the last one that ended while its alerts went on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unacked: Option<Unacked>,
    /// Whether the sender's newest report left out alerts that may fire: nobody has seen them, so that it goes on ringing when all others are acked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left_out: bool,
    /// When somebody closed the incident by hand; `None` once it is open again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<UnixMs>,
    /// The silence that somebody asked the sender for; `None` once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silenced>,
    /// The mute that somebody made from one of its messages; `None` once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mute: Option<Muted>,
    /// Alerts that fire again under their start within moments of their end: twins disagree. Each, by its fingerprint, with the time from which on it is news
    /// if it still fires then.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doubted: Vec<(u64, UnixMs)>,
    /// Since when its sender groups its alerts so; `None`: since it was opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grouped_at: Option<UnixMs>,
    /// As which incidents its alerts go on, where their sender groups them in another way now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub superseded_by: Vec<IncidentId>,
    /// Whether it was superseded, and reported again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub came_back: bool,
}

impl Acks {
    /// The ack that an alert is part of.
    pub fn of(&self, fingerprint: u64) -> Option<&Ack> {
        self.list.iter().find(|ack| ack.alerts.contains(&fingerprint))
    }

    /// Whether twins disagree about this alert, and it is not to ring yet.
    pub fn is_doubted(&self, fingerprint: u64, now: UnixMs) -> bool {
        self.doubted_until(fingerprint, now).is_some()
    }

    /// Until when twins disagree about this alert. A longer time than they may is of a clock that was set back since.
    fn doubted_until(&self, fingerprint: u64, now: UnixMs) -> Option<UnixMs> {
        let is_doubt = |(doubted, at): &&(u64, UnixMs)| *doubted == fingerprint && (1..=TWIN_DISAGREEMENT_MS).contains(&(*at - now));
        self.doubted.iter().find(is_doubt).map(|(_, at)| *at)
    }

    /// As a store keeps it; `None` when there is nothing to keep.
    pub fn to_stored(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::json!(self).to_string())
    }

    /// From what a store keeps. What this version cannot read is nobody's ack: it rings rather than not.
    pub fn from_stored(stored: Option<&str>) -> Self {
        stored.and_then(|stored| serde_json::from_str(stored).ok()).unwrap_or_default()
    }

    /// Takes alerts out of all acks, and says whose they were.
    pub(super) fn release(&mut self, alerts: &HashSet<u64>) -> Vec<Actor> {
        let mut from = Vec::new();
        for ack in &mut self.list {
            let before = ack.alerts.len();
            ack.alerts.retain(|fingerprint| !alerts.contains(fingerprint));
            if ack.alerts.len() < before && !from.contains(&ack.by) {
                from.push(ack.by.clone());
            }
        }
        self.list.retain(|ack| !ack.alerts.is_empty());
        from
    }
}

/// When acks are forgotten, and how often their ends ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AckRules {
    /// People are reminded of an ack after this, in milliseconds.
    pub remind_after: i64,
    /// An ack without a sign of life ends after this, in milliseconds.
    pub expires_after: i64,
    /// Ends of acks by hand ring once in this time, in milliseconds.
    pub repeat: i64,
}

/// What an act or a time changed of an incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Answered {
    /// What its timeline says.
    pub(in crate::store) rows: Vec<TimelineRow>,
    /// What its channels must ring about.
    pub(in crate::store) rings: Option<Ring>,
    /// What is to become of its silence.
    pub(in crate::store) silence: Option<SilenceWish>,
    /// The mute that is made, changed or ended with it.
    pub(in crate::store) mute: Option<Mute>,
}

/// What channels must ring about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct Ring {
    /// Why, in words.
    pub(in crate::store) why: String,
    /// The alerts, by their fingerprints.
    pub(in crate::store) about: HashSet<u64>,
}

impl Incident {
    /// Whether somebody is on this alert.
    pub fn is_acked(&self, fingerprint: u64) -> bool {
        self.acks.of(fingerprint).is_some()
    }

    /// Until when twins disagree about all of these alerts that fire and that nobody is on; `None` where one of them fires for sure, and where none does.
    pub fn doubted_until(&self, alerts: &[u64], now: UnixMs) -> Option<UnixMs> {
        let is_meant = |alert: &&super::IncidentAlert| alert.state == AlertState::Firing && alerts.contains(&alert.fingerprint);
        let open = self.alerts.iter().filter(is_meant).map(|alert| alert.fingerprint).filter(|one| !self.is_acked(*one));
        open.map(|one| self.acks.doubted_until(one, now)).collect::<Option<Vec<UnixMs>>>()?.into_iter().min()
    }

    /// When its next ack or its mute ends, people are reminded of an ack, or what twins disagreed about or was held is to ring; `None` when it is over.
    pub fn wake_at(&self) -> Option<UnixMs> {
        if !self.state.is_open() {
            return None;
        }
        let open = self.open_alerts(None);
        let acks = self.acks.list.iter().filter(|ack| ack.holds_any(&open)).filter_map(Ack::wake_at);
        let mute = self.acks.mute.iter().map(|mute| mute.until);
        let held = self.acks.unacked.iter().filter_map(|unacked| unacked.held_until);
        acks.chain(self.acks.doubted.iter().map(|(_, at)| *at)).chain(mute).chain(held).min()
    }

    /// Its alerts that are not over, among these.
    pub fn open_alerts(&self, only: Option<&HashSet<u64>>) -> HashSet<u64> {
        let is_meant = |fingerprint: &u64| only.is_none_or(|only| only.contains(fingerprint));
        let open = self.alerts.iter().filter(|alert| alert.state != AlertState::Resolved);
        open.map(|alert| alert.fingerprint).filter(is_meant).collect()
    }

    /// Its state while it goes on: of what fires, else of what is not over, all is acked, or not.
    pub(super) fn open_state(&self) -> IncidentState {
        let (mut any, mut snoozed) = (false, true);
        let all = self.calling().all(|alert| {
            any = true;
            self.acks.of(alert.fingerprint).is_some_and(|ack| {
                snoozed &= ack.until.is_some();
                true
            })
        });
        match (any && all && !self.truncated, snoozed) {
            (false, _) => IncidentState::Firing,
            (true, false) => IncidentState::Acked,
            (true, true) => IncidentState::Snoozed,
        }
    }

    /// Takes another outage out of the acks, before a report is merged: an ack is of one outage, and what fires again long after its end is another one.
    /// Returns the alerts that become more severe. `places` has the place of each fingerprint.
    pub(super) fn acks_before(&mut self, report: &IncidentReport, places: &HashMap<u64, usize>, now: UnixMs) -> HashSet<u64> {
        let (mut rose, mut another) = (HashSet::new(), HashSet::new());
        for said in report.alerts.iter().filter(|said| said.fires) {
            let Some(alert) = places.get(&said.fingerprint).map(|place| &self.alerts[*place]) else { continue };
            if said.rank < alert.rank {
                rose.insert(said.fingerprint);
            }
            let long_over = alert.state != AlertState::Firing && now - alert.changed_at > report.reopen_within;
            if long_over && (alert.state == AlertState::Resolved || alert.start != said.start) {
                another.insert(said.fingerprint);
            }
        }
        self.acks.release(&another);
        rose
    }

    /// Does what somebody asks for; `only` are the alerts that are meant, `None` all. Nothing changes when there is nothing to do.
    pub(in crate::store) fn act(&mut self, act: &Act, only: Option<&HashSet<u64>>) -> (ActResult, Option<Answered>) {
        let now = act.now;
        // These outlive the outage, and hide the next one.
        match act.verb {
            Verb::Unsilence => return self.unsilence(act),
            Verb::Unmute => return self.unmute(act),
            _ => {}
        }
        if !self.state.is_open() {
            return (ActResult::Over { since: self.ended_at }, None);
        }
        let meant = self.open_alerts(only);
        if meant.is_empty() {
            return (ActResult::Over { since: None }, None);
        }
        let by = |what: String| format!("{what} by {} ({})", act.by.name, act.by.via);
        let answered = |kind, text, rings| {
            Some(Answered { rows: vec![TimelineRow { at: now, kind, channel: String::new(), text }], rings, silence: None, mute: None })
        };
        let (mut result, mut answered) = match act.verb {
            Verb::Ack | Verb::Snooze => return self.ack(act, &meant),
            Verb::Unack => {
                if self.acks.release(&meant).is_empty() {
                    return (ActResult::NotAcked, None);
                }
                let why = by("unacked".into());
                let by = UnackReason::By { name: act.by.name.clone() };
                let unacked = Unacked::new(now, self.version + 1, by);
                self.acks.unacked = Some(unacked.after(self.acks.unacked.as_ref(), act.rules.repeat));
                (ActResult::Unacked, answered(TimelineKind::Unacked, why.clone(), Some(Ring { why, about: meant })))
            }
            // Who was shown a part ends nothing of the rest.
            Verb::Close if meant != self.open_alerts(None) => return self.ack(act, &meant),
            Verb::Close => {
                self.acks.closed_at = Some(now);
                (self.state, self.ended_at) = (IncidentState::Closed, Some(now));
                (ActResult::Closed, answered(TimelineKind::Closed, by("closed".into()), None))
            }
            Verb::Silence => return self.silence(act),
            Verb::Unsilence => return self.unsilence(act),
            Verb::Mute => return self.mute(act),
            Verb::Unmute => return self.unmute(act),
            Verb::Escalate if self.state != IncidentState::Firing => return (ActResult::NoStep, None),
            Verb::Escalate => (ActResult::HandedOn { steps: Vec::new() }, answered(TimelineKind::Escalated, by("handed on".into()), None)),
        };
        self.version += 1;
        self.answer_state();
        if let (Verb::Unack, Some((rings_at, later)), Some(answered)) = (act.verb, self.rings_later(), &mut answered) {
            answered.rows.iter_mut().for_each(|row| row.text.push_str(&later));
            result = ActResult::UnackedQuietly { rings_at };
        }
        (result, answered)
    }

    pub(in crate::store::types) fn ack(&mut self, act: &Act, meant: &HashSet<u64>) -> (ActResult, Option<Answered>) {
        let now = act.now;
        let own = self.acks.list.iter().find(|ack| ack.by.id == act.by.id && meant.iter().all(|one| ack.alerts.contains(one)));
        if let Some(own) = own.filter(|own| matches!(act.verb, Verb::Ack | Verb::Close) && own.until.is_none() && own.reminded_in == 0) {
            return (ActResult::Already { since: own.at }, None);
        }
        let since = own.map_or(now, |own| own.at);
        let taken_from: Vec<String> = self.acks.release(meant).into_iter().filter(|actor| actor.id != act.by.id).map(|actor| actor.name).collect();
        let rank = self.alerts.iter().filter(|alert| meant.contains(&alert.fingerprint)).map(|alert| alert.rank).min().unwrap_or(3);
        let mut alerts: Vec<u64> = meant.iter().copied().collect();
        alerts.sort_unstable();
        let until = act.until.filter(|_| matches!(act.verb, Verb::Snooze | Verb::Silence));
        let (remind_at, expires_at) = match until {
            None => (Some(now + act.rules.remind_after), Some(now + act.rules.expires_after)),
            Some(_) => (None, None),
        };
        let pressed = act.pressed(self.id);
        self.acks.list.push(Ack { by: act.by.clone(), at: since, until, remind_at, reminded_in: 0, expires_at, rank, alerts, pressed });
        self.version += 1;
        self.answer_state();
        let left = self.alerts.iter().filter(|alert| alert.state == AlertState::Firing && !self.is_acked(alert.fingerprint)).count();
        let of = if left > 0 { format!("{} of {} alerts ", meant.len(), meant.len() + left) } else { String::new() };
        let from = if taken_from.is_empty() { String::new() } else { format!(", taken over from {}", taken_from.join(", ")) };
        let who = format!("by {} ({}){from}", act.by.name, act.by.via);
        let (kind, text) = match until {
            None => (TimelineKind::Acked, format!("{of}acked {who}")),
            Some(until) => (TimelineKind::Snoozed, format!("{of}snoozed until {until} {who}")),
        };
        let row = TimelineRow { at: now, kind, channel: String::new(), text };
        // One that begins again is as old as it was.
        let after = since - self.opened_at;
        let result = ActResult::Acked { alerts: meant.len() as u32, left: left as u32, until, taken_from, after };
        (result, Some(Answered { rows: vec![row], rings: None, silence: None, mute: None }))
    }

    /// Ends the acks and the mute whose time has come, notes of which people are to be reminded, and rings for what twins disagreed about and what fires
    /// still. `None` when nothing was due.
    pub(in crate::store) fn wake(&mut self, now: UnixMs) -> Option<Answered> {
        if self.wake_at().is_none_or(|at| at > now) {
            return None;
        }
        let (open, version) = (self.open_alerts(None), self.version + 1);
        let mut rows = Vec::new();
        let mut ring = Ring { why: String::new(), about: HashSet::new() };
        let mut row = |kind, text: String, alerts: &[u64]| {
            rows.push(TimelineRow { at: now, kind, channel: String::new(), text: text.clone() });
            ring.why = text;
            ring.about.extend(alerts);
        };
        let mut ended = None;
        self.acks.list.retain_mut(|ack| {
            // All that it was about is over.
            if !ack.holds_any(&open) {
                return ack.wake_at().is_none_or(|at| at > now);
            }
            let why = if ack.until.is_some_and(|until| until <= now) {
                UnackReason::SnoozeEnded { name: ack.by.name.clone() }
            } else if ack.expires_at.is_some_and(|at| at <= now) {
                UnackReason::Expired { name: ack.by.name.clone(), seconds: now.since(ack.at).as_secs() }
            } else {
                if ack.remind_at.is_some_and(|at| at <= now) {
                    (ack.remind_at, ack.reminded_in) = (None, version);
                    let since = format_duration(Duration::from_secs(now.since(ack.at).as_secs()));
                    row(TimelineKind::Reminded, format!("acked by {} {since} ago, and it still fires", ack.by.name), &ack.alerts);
                }
                return true;
            };
            row(TimelineKind::Unacked, why.text(), &ack.alerts);
            ended = Some(Unacked::new(now, version, why));
            false
        });
        if ended.is_some() {
            self.acks.unacked = ended;
        }
        if let Some((why, about)) = self.end_hold(now) {
            ring.why = why;
            ring.about.extend(about);
        }
        let due: Vec<u64> = self.acks.doubted.iter().filter(|(_, at)| *at <= now).map(|(doubted, _)| *doubted).collect();
        self.acks.doubted.retain(|(_, at)| *at > now);
        let fires = |one: &u64| self.alerts.iter().any(|alert| alert.fingerprint == *one && alert.state == AlertState::Firing);
        if due.iter().any(fires) && ring.why.is_empty() {
            ring.why = "it still fires a minute after its end was reported".into();
        }
        ring.about.extend(due.iter().filter(|one| fires(one)));
        rows.extend(self.end_mute(now));
        self.version += 1;
        self.answer_state();
        let rings = (!ring.about.is_empty()).then_some(ring);
        Some(Answered { rows, rings, silence: None, mute: None })
    }

    pub(in crate::store::types) fn answer_state(&mut self) {
        if self.ended_at.is_none() {
            self.state = self.open_state();
        }
        self.drop_hold();
    }
}
