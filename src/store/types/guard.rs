//! What the beginning of an attempt depends on. It is decided here; both engines read, and write only then.

use super::step::answered_by;
use super::{AlertState, Incident, IncidentState, State, StepGuard, StepRow};
use crate::model::IncidentId;

/// What must hold for an attempt to begin; asked in the transaction that records its beginning (I13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptGuard {
    /// The step of an escalation is still called for.
    Step(StepGuard),
    /// Nobody is on something that a call is about.
    Call(Vec<CalledAbout>),
}

/// What a call is about in one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CalledAbout {
    /// The incident.
    pub incident: IncidentId,
    /// The alerts, by eight bytes of their fingerprints; `None` when they are not known: all of the incident's.
    pub alerts: Option<Vec<u64>>,
}

/// Why an end is not written.
pub(in crate::store) const CALLED_AGAIN: &str = "it is called for again: what answered for it ended meanwhile";

impl AttemptGuard {
    /// The incidents that decide.
    pub fn incidents(&self) -> Vec<IncidentId> {
        match self {
            AttemptGuard::Step(guard) => vec![guard.incident],
            AttemptGuard::Call(about) => about.iter().map(|one| one.incident).collect(),
        }
    }

    /// Whether the attempt may begin; else why not. `incidents` are those that decide, as far as they are stored; `rows` are the steps of a step's incident.
    pub fn check(&self, incidents: &[Incident], rows: &[StepRow]) -> Result<(), String> {
        match self {
            AttemptGuard::Step(guard) => guard.check(incidents.first(), rows),
            AttemptGuard::Call(about) => needless(about, incidents).map_or(Ok(()), Err),
        }
    }
}

/// Why nobody needs a call about this; `None` while somebody does. What is not stored any more is nobody's.
fn needless(about: &[CalledAbout], incidents: &[Incident]) -> Option<String> {
    let answered = |one: &CalledAbout| incidents.iter().find(|incident| incident.id == one.incident)?.answered(one.alerts.as_deref());
    let mut whys = about.iter().map(answered).collect::<Option<Vec<String>>>()?;
    whys.sort();
    whys.dedup();
    (!whys.is_empty()).then(|| whys.join("; "))
}

impl Incident {
    /// Who is on all that fires of these alerts, or that the incident was closed; `None` while something fires that is nobody's, and when nothing fires.
    /// Without alerts all of its own are meant.
    fn answered(&self, alerts: Option<&[u64]>) -> Option<String> {
        if self.state == IncidentState::Closed {
            return Some(format!("over: the incident is {}", self.state.as_str()));
        }
        let is_meant = |fingerprint: &u64| alerts.is_none_or(|alerts| alerts.contains(fingerprint));
        let firing = self.alerts.iter().filter(|alert| alert.state == AlertState::Firing).map(|alert| alert.fingerprint);
        let firing: Vec<u64> = firing.filter(is_meant).collect();
        // What the sender left out nobody has seen, and nobody is on.
        if firing.is_empty() || self.truncated || self.acks.left_out || !firing.iter().all(|one| self.is_acked(*one)) {
            return None;
        }
        let how = if self.state == IncidentState::Snoozed { self.state.as_str() } else { IncidentState::Acked.as_str() };
        Some(answered_by(&self.acks, how, |alerts| firing.iter().any(|one| alerts.contains(one))))
    }
}

/// Whether a delivery ended so because somebody was on all of it: the end of that ack rings its channel, which knows nothing of the incident yet.
pub(in crate::store) fn ended_by_ack(state: State, reason: Option<&str>) -> bool {
    // Of a digest there are several.
    let begins = |how: IncidentState| reason.is_some_and(|whys| whys.split("; ").any(|why| why.starts_with(how.as_str())));
    state == State::Skipped && (begins(IncidentState::Acked) || begins(IncidentState::Snoozed))
}
