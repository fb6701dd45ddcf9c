//! Steps of escalations: deliveries that wait for their time, and end when nothing calls for them any more.
//!
//! All of it is decided here; both engines read and write.

mod planned;

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

pub use planned::PlannedStep;

use super::{AcceptedDelivery, Acks, AlertState, Incident, IncidentState, State, TWIN_DISAGREEMENT_MS, TimelineKind, TimelineRow};
use crate::model::{DeliveryId, IncidentId, UnixMs};

/// How the reason of a step begins that waits because something keeps it from everybody.
pub const WAITS_PREFIX: &str = "waits";

/// How the reason of a step begins that is for what is more severe, and is evaluated again in case that such a thing joins its incident.
pub const EVALUATED_PREFIX: &str = "evaluated again";

/// Why a step of an earlier run ends.
pub(in crate::store) const BEGAN_AGAIN: &str = "the escalation began again";

/// The step of an escalation that a delivery is; part of its target.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EscalationStep {
    /// The escalation's name.
    pub escalation: String,
    /// Its number, from 1. Deliveries of one step are due together.
    pub number: u32,
    /// When the escalation began, which is the same for all of its steps. An incident may see the same escalation begin again.
    pub began_at: UnixMs,
    /// How long after the first message it is due, in milliseconds.
    pub after: i64,
}

impl EscalationStep {
    /// Whether both are of one run of an escalation.
    pub fn is_of_run(&self, other: &Self) -> bool {
        self.escalation == other.escalation && self.began_at == other.began_at
    }

    /// When it comes, where twins disagree until then about all that it is for. What began while they did comes as long after that as it was to come after
    /// its beginning, unless a later step, which would end it, comes before. `rows` are the incident's steps.
    pub fn held(&self, rows: &[StepRow], until: UnixMs) -> UnixMs {
        if self.began_at + TWIN_DISAGREEMENT_MS < until {
            return until;
        }
        let due_at = until + self.after;
        let is_later = |row: &StepRow| row.step.escalation == self.escalation && row.step.began_at == self.began_at && row.step.number > self.number;
        let overtaken = rows.iter().any(|row| is_later(row) && (until..=due_at).contains(&row.due_at));
        if overtaken { until } else { due_at }
    }
}

impl std::fmt::Display for EscalationStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {} of the escalation `{}`", self.number, self.escalation)
    }
}

/// A step as stored, as far as others depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRow {
    /// The delivery.
    pub id: DeliveryId,
    /// Its incident.
    pub incident: IncidentId,
    /// Which step it is.
    pub step: EscalationStep,
    /// Its channel.
    pub channel: String,
    /// Its state.
    pub state: State,
    /// When it was to be due, less a millisecond.
    pub born_at: UnixMs,
    /// Not before.
    pub due_at: UnixMs,
    /// Tries spent.
    pub tries: u32,
    /// Whether a message that is not done carries it.
    pub in_flight: bool,
    /// Whether its platform said later that it reached nobody, or said nothing for too long.
    pub undelivered: bool,
    /// Whether its platform is still to say whether it reached somebody, and has said it of nobody.
    pub awaited: bool,
    /// Whether something keeps it from everybody, and it waits for the end of that ([`WAITS_PREFIX`]).
    pub waits: bool,
    /// Whether it ended because nothing called for it: somebody was on what it was for, or that was over.
    pub stopped: bool,
}

impl StepRow {
    /// Whether it reached somebody: its platform says so, or says no more than that it was sent.
    pub fn has_reached(&self) -> bool {
        self.state == State::Sent && !self.undelivered && !self.awaited
    }

    /// Whether its time has come, or came.
    fn is_due(&self, now: UnixMs) -> bool {
        self.due_at <= now || self.tries > 0
    }

    /// Why nobody can be sure that it reached somebody; `suspended` are channels that deliver nothing now.
    fn failure(&self, suspended: &[String], now: UnixMs) -> Option<&'static str> {
        match self.state {
            State::Dead => Some("it is dead"),
            State::Unknown => Some("nobody knows whether it was delivered"),
            State::Sent if self.undelivered => Some("it did not reach its person"),
            State::Waiting | State::Deferred if self.due_at <= now && suspended.contains(&self.channel) => Some("its channel is suspended"),
            _ => None,
        }
    }
}

/// Whether a later step of the same escalation is due: of late steps only the latest is sent. Returns its number. One that was never tried and would reach
/// nobody now, as `planned`, does not count.
pub fn later_step(rows: &[StepRow], mine: &EscalationStep, planned: &[PlannedStep], now: UnixMs) -> Option<u32> {
    let later = rows.iter().filter(|row| row.step.is_of_run(mine) && row.step.number > mine.number);
    let counts = |row: &&StepRow| row.state == State::Sent || row.tries > 0 || row.step.reaches(planned);
    later.filter(counts).filter(|row| row.is_due(now)).map(|row| row.step.number).max()
}

/// What the attempt of a step depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepGuard {
    /// The incident.
    pub incident: IncidentId,
    /// The step.
    pub step: EscalationStep,
    /// The alerts that it is for, by eight bytes of their fingerprints.
    pub alerts: Vec<u64>,
    /// The steps of its escalation as the configuration has them now: a later one that would reach nobody takes no other one's place.
    pub planned: Vec<PlannedStep>,
    /// Now.
    pub now: UnixMs,
}

impl StepGuard {
    /// Whether the step may begin; else why not. `rows` are the incident's steps.
    pub fn check(&self, incident: Option<&Incident>, rows: &[StepRow]) -> Result<(), String> {
        let Some(incident) = incident else { return Err("the incident is not stored any more".into()) };
        still_calls(incident, &self.alerts)?;
        let is_newer = |row: &StepRow| row.step.escalation == self.step.escalation && row.step.began_at > self.step.began_at;
        if rows.iter().any(is_newer) {
            return Err(BEGAN_AGAIN.into());
        }
        match later_step(rows, &self.step, &self.planned, self.now) {
            Some(later) => Err(format!("step {later} is due: of late steps only the latest is sent")),
            None => Ok(()),
        }
    }
}

/// Whether one of these alerts still fires and nobody is on it; else why nothing calls for a step.
fn still_calls(incident: &Incident, alerts: &[u64]) -> Result<(), String> {
    if let Some(why) = nothing_calls(incident.state, &incident.acks) {
        return Err(why);
    }
    let firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing && alerts.contains(&alert.fingerprint));
    let firing: Vec<u64> = firing.map(|alert| alert.fingerprint).collect();
    if firing.is_empty() {
        return Err("over: none of its alerts fires any more".into());
    }
    if firing.iter().all(|fingerprint| incident.is_acked(*fingerprint)) {
        return Err(answered_by(&incident.acks, "acked", |alerts| firing.iter().any(|fingerprint| alerts.contains(fingerprint))));
    }
    Ok(())
}

/// Why nothing calls for any step of an incident: it is over, or somebody is on all of it; `None` where something may.
pub(in crate::store) fn nothing_calls(state: IncidentState, acks: &Acks) -> Option<String> {
    match state {
        IncidentState::Firing => None,
        IncidentState::Acked | IncidentState::Snoozed => Some(answered_by(acks, state.as_str(), |_| true)),
        IncidentState::Resolved | IncidentState::Stale | IncidentState::Closed | IncidentState::Superseded => {
            Some(format!("over: the incident is {}", state.as_str()))
        }
    }
}

pub(super) fn answered_by(acks: &Acks, how: &str, of: impl Fn(&[u64]) -> bool) -> String {
    let mut names: Vec<&str> = Vec::new();
    for ack in acks.list.iter().filter(|ack| of(&ack.alerts)) {
        if !names.contains(&ack.by.name.as_str()) {
            names.push(&ack.by.name);
        }
    }
    format!("{how} by {}", names.join(", "))
}

/// What becomes of a step without being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepChange {
    /// It ends; the text says why.
    Dropped(String),
    /// It is due at once, because the step before it was not confirmed; the text says why.
    DueAtOnce(&'static str),
    /// It is due at once, because somebody handed the incident on; the text says who.
    HandedOn(String),
}

/// The next step of each escalation of an incident, to be due at once; `why` says who wants it.
pub(in crate::store) fn next_steps(rows: &[StepRow], why: &str, now: UnixMs) -> Vec<(DeliveryId, StepChange)> {
    let begun = |row: &StepRow| rows.iter().filter(|other| other.step.escalation == row.step.escalation).map(|other| other.step.began_at).max();
    // What a mute defers waits for its end.
    let waits = |row: &&StepRow| !row.state.is_final() && !row.in_flight && row.due_at > now && row.due_at == row.born_at + 1;
    let waiting: Vec<&StepRow> = rows.iter().filter(|row| waits(row) && begun(row) == Some(row.step.began_at)).collect();
    let is_next = |row: &&&StepRow| !waiting.iter().any(|other| other.step.escalation == row.step.escalation && other.step.number < row.step.number);
    waiting.iter().filter(is_next).map(|row| (row.id, StepChange::HandedOn(why.to_owned()))).collect()
}

/// What becomes of steps that wait: those of an incident that is over or acked end, those of an escalation that began again end, and one whose predecessor
/// was not confirmed is due at once. `rows` are all steps of the incidents in `calls`, each with why nothing calls for a step of it.
pub(in crate::store) fn step_changes(
    rows: &[StepRow],
    calls: &HashMap<IncidentId, Option<String>>,
    suspended: &[String],
    now: UnixMs,
) -> Vec<(DeliveryId, StepChange)> {
    let mut newest: HashMap<(IncidentId, &str), UnixMs> = HashMap::new();
    let mut failed: BTreeMap<(IncidentId, &str, UnixMs, u32), &'static str> = BTreeMap::new();
    for row in rows {
        let step = &row.step;
        let began = newest.entry((row.incident, step.escalation.as_str())).or_insert(step.began_at);
        *began = (*began).max(step.began_at);
        if let Some(why) = row.failure(suspended, now) {
            failed.insert((row.incident, &step.escalation, step.began_at, step.number), why);
        }
    }
    let change = |row: &StepRow| {
        match calls.get(&row.incident) {
            None => return Some(StepChange::Dropped("the incident is not stored any more".into())),
            Some(Some(why)) => return Some(StepChange::Dropped(why.clone())),
            Some(None) => {}
        }
        let step = &row.step;
        if newest.get(&(row.incident, step.escalation.as_str())).is_some_and(|newest| *newest > step.began_at) {
            return Some(StepChange::Dropped(BEGAN_AGAIN.into()));
        }
        // What a mute defers waits for its end.
        let as_planned = row.due_at == row.born_at + 1;
        let before = (row.incident, step.escalation.as_str(), step.began_at, step.number.checked_sub(1)?);
        let why = failed.get(&before).filter(|_| as_planned && row.due_at > now)?;
        Some(StepChange::DueAtOnce(why))
    };
    let waiting = rows.iter().filter(|row| !row.state.is_final() && !row.in_flight);
    waiting.filter_map(|row| Some((row.id, change(row)?))).collect()
}

impl StepChange {
    /// Its state from then on, where it is final, and why.
    pub(in crate::store) fn applied(&self) -> (Option<State>, String) {
        match self {
            StepChange::Dropped(why) => (Some(State::Skipped), why.clone()),
            StepChange::DueAtOnce(why) => (None, format!("at once, because of the step before: {why}")),
            StepChange::HandedOn(why) => (None, format!("at once: {why}")),
        }
    }
}

/// A step that changed without being sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedStep {
    /// The delivery as it is now; its worker is to be notified.
    pub delivery: AcceptedDelivery,
    /// Its incident.
    pub incident: IncidentId,
    /// Which step it is.
    pub step: EscalationStep,
    /// What became of it.
    pub change: StepChange,
}

impl ChangedStep {
    /// What the timeline of its incident says. The end of an incident says enough of the steps that end with it.
    pub(in crate::store) fn timeline_row(&self, now: UnixMs) -> Option<TimelineRow> {
        if matches!(self.change, StepChange::Dropped(_)) {
            return None;
        }
        let text = format!("{} {}", self.step, self.change.applied().1);
        Some(TimelineRow { at: now, kind: TimelineKind::Escalated, channel: self.delivery.channel.clone(), text })
    }
}

/// The last run of an escalation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct LastRun {
    /// When it began.
    pub(in crate::store) began_at: UnixMs,
    /// By number and channel, whether a step ended because nothing called for it, and when it ended; of two runs that began in one moment the later one.
    steps: HashMap<(u32, String), (bool, Option<UnixMs>)>,
}

impl LastRun {
    /// A step of the escalation, of all in the order in which they were made.
    pub(in crate::store) fn add(&mut self, began_at: UnixMs, step: (u32, String), stopped: bool, ended_at: Option<UnixMs>) {
        if began_at > self.began_at {
            (self.began_at, self.steps) = (began_at, HashMap::new());
        }
        if began_at == self.began_at {
            self.steps.insert(step, (stopped, ended_at));
        }
    }

    /// Whether a step of it ended because nothing called for it.
    fn is_stopped(&self) -> bool {
        self.steps.values().any(|(stopped, _)| *stopped)
    }

    /// Whether steps of it wait, and nothing stopped one: they are for what nobody was on.
    pub(in crate::store) fn goes_on(&self) -> bool {
        self.went_on_after(UnixMs::MAX)
    }

    /// The same at a time that has passed: what waited then may have ended since, also by another ack.
    fn went_on_after(&self, at: UnixMs) -> bool {
        let waited = |ended_at: &Option<UnixMs>| ended_at.is_none_or(|ended_at| ended_at > at);
        let is_stopped = self.steps.values().any(|(stopped, ended_at)| *stopped && !waited(ended_at));
        !is_stopped && self.steps.values().any(|(_, ended_at)| waited(ended_at))
    }
}

/// When the escalations of incidents began, each the last time, and what would make them begin again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Begun {
    /// Their last runs, by incident and escalation.
    pub(in crate::store) runs: HashMap<(IncidentId, String), LastRun>,
    /// When an incident was reopened last.
    again: HashMap<IncidentId, UnixMs>,
    /// When its last ack ended.
    unacked: HashMap<IncidentId, UnixMs>,
    /// Incidents of which nothing calls for a step.
    stopped: HashSet<IncidentId>,
    /// What goes on of incidents that somebody is on.
    attended: HashMap<IncidentId, HashSet<u64>>,
}

impl Begun {
    /// An incident as it is now.
    pub(in crate::store) fn know(&mut self, incident: &Incident) {
        if nothing_calls(incident.state, &incident.acks).is_some() {
            self.stopped.insert(incident.id);
        }
        self.attended.insert(incident.id, incident.attended());
        if let Some(unacked) = &incident.acks.unacked {
            self.unacked.insert(incident.id, unacked.at);
        }
    }

    /// An incident was reopened.
    pub(in crate::store) fn called_again(&mut self, incident: IncidentId, at: UnixMs) {
        let last = self.again.entry(incident).or_insert(at);
        *last = (*last).max(at);
    }

    /// Which steps of an event are to be stored: an escalation begins once, until its incident was over and fires again, or was acked and is not any more: the
    /// ack ended, or nothing that it was about fires any more, and what joined that is nobody's. So does what fires again of what is routed to it, while the
    /// rest of its incident went on. One that nothing stopped goes on, and does not begin again once it is through. Each step comes with the alerts of the
    /// event that are routed elsewhere: who is on those is on nothing of its. What begins is remembered.
    pub(in crate::store) fn begin<'s, E: Fn() -> HashSet<u64>>(
        &mut self,
        steps: impl Iterator<Item = (IncidentId, &'s EscalationStep, E)>,
    ) -> Vec<bool> {
        let mut decided: HashMap<(IncidentId, &str), bool> = HashMap::new();
        let begins = |(incident, step, elsewhere): (IncidentId, &'s EscalationStep, E)| {
            *decided.entry((incident, &step.escalation)).or_insert_with(|| {
                let key = (incident, step.escalation.clone());
                let (again, unacked) = (self.again.get(&incident), self.unacked.get(&incident));
                let is_attended = || self.attended.get(&incident).is_some_and(|attended| !attended.is_subset(&elsewhere()));
                let may_begin = |run: &LastRun| {
                    let is_reopened = again.is_some_and(|at| *at > run.began_at);
                    let is_unacked = unacked.is_some_and(|at| *at > run.began_at && !run.went_on_after(*at));
                    is_reopened || is_unacked || (run.is_stopped() && !is_attended())
                };
                let begins = !self.stopped.contains(&incident) && self.runs.get(&key).is_none_or(may_begin);
                if begins {
                    self.runs.insert(key, LastRun { began_at: step.began_at, ..LastRun::default() });
                }
                begins
            })
        };
        steps.map(begins).collect()
    }
}

#[cfg(test)]
mod tests;
