//! What must hold for an attempt to begin.

use std::collections::BTreeMap;

use crate::delivery::pending::PendingMessage;
use crate::model::IncidentId;
use crate::store::{AttemptGuard, CalledAbout};

use super::AttemptTask;
use super::step::fingerprints;

impl AttemptTask {
    /// What must hold for an attempt to begin: its step is still called for, or nobody is on something that a call is about (I13).
    pub(super) fn attempt_guard(&self, message: &PendingMessage) -> Option<AttemptGuard> {
        if let Some(step) = self.step_guard(message) {
            return Some(AttemptGuard::Step(step));
        }
        let calls = message.caller.is_none() && self.channel.driver.calls();
        calls.then(|| called_about(message)).flatten().map(AttemptGuard::Call)
    }
}

/// What a call is about; `None` where something of it is about no incident, or says that it is over: nobody can be on that.
fn called_about(message: &PendingMessage) -> Option<Vec<CalledAbout>> {
    // What was composed is what is said. It is known of large bodies, too, which memory does not hold any more.
    let mut said: BTreeMap<IncidentId, Vec<u64>> = BTreeMap::new();
    for incident in &message.notification.incidents {
        said.entry(incident.id).or_default().extend(incident.notified.iter().filter(|one| !one.over).map(|one| one.fingerprint));
    }
    let mut about: BTreeMap<IncidentId, Option<Vec<u64>>> = BTreeMap::new();
    for member in &message.members {
        let id = member.incident.filter(|_| member.summary.firing > 0)?;
        let alerts = said.get(&id).cloned().or_else(|| Some(fingerprints(member)).filter(|alerts| !alerts.is_empty()));
        let all = about.entry(id).or_insert_with(|| Some(Vec::new()));
        *all = all.take().zip(alerts).map(|(all, more)| [all, more].concat());
    }
    Some(about.into_iter().map(|(incident, alerts)| CalledAbout { incident, alerts }).collect())
}
