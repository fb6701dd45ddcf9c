//! Which of all open incidents go on as others, however many are open: a look that keeps a few bytes of each alert. Pure.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::{Acks, AlertState, IncidentAlert};
use crate::model::{IncidentId, UnixMs};

/// Incidents that are read and locked for one change at most; what is left is found by the next look.
const MAX_AT_ONCE: usize = 500;
/// Incidents that an alert may go on in: of those that hold it, so many that were grouped so last.
const MAX_HEIRS: usize = 64;

/// What of an open incident decides whether it goes on as others.
#[derive(Debug)]
pub(in crate::store) struct LookedAt<'r> {
    pub(in crate::store) id: IncidentId,
    pub(in crate::store) source: &'r str,
    pub(in crate::store) receiver: &'r str,
    pub(in crate::store) opened_at: UnixMs,
    pub(in crate::store) heard_at: UnixMs,
    pub(in crate::store) truncated: bool,
    pub(in crate::store) acks: Acks,
    pub(in crate::store) alerts: Vec<IncidentAlert>,
}

/// All open incidents, as far as they must be known. They are added one by one, in any order.
#[derive(Debug, Default)]
pub(in crate::store) struct Look {
    seen: Vec<Seen>,
    /// What fires, hashed with its sender and receiver, and the place of an incident that holds it.
    firing: Vec<(u64, usize)>,
}

#[derive(Debug)]
struct Seen {
    id: IncidentId,
    heard_at: UnixMs,
    grouped_at: UnixMs,
    regrouped: bool,
    may_end: bool,
    /// How much of it fires.
    firing: usize,
}

/// What a look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::store) struct Found {
    /// Incidents that may end.
    pub(in crate::store) ending: BTreeSet<IncidentId>,
    /// These, and those as which they go on.
    pub(in crate::store) all: BTreeSet<IncidentId>,
}

impl Found {
    /// Their numbers, for SQL.
    pub(in crate::store) fn ids(&self) -> Vec<i64> {
        self.all.iter().map(|id| id.0).collect()
    }

    /// Those that do not end now: those as which others go on, and those whose escalations wait.
    pub(in crate::store) fn staying(&self, busy: BTreeSet<IncidentId>) -> BTreeSet<IncidentId> {
        self.all.difference(&self.ending).copied().chain(busy).collect()
    }
}

impl Look {
    /// One of them.
    pub(in crate::store) fn add(&mut self, incident: &LookedAt<'_>) {
        let place = self.seen.len();
        let firing = incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
        let before = self.firing.len();
        self.firing.extend(firing.map(|alert| (hashed(incident, alert), place)));
        self.seen.push(Seen {
            id: incident.id,
            heard_at: incident.heard_at,
            grouped_at: incident.acks.grouped_since(incident.opened_at),
            regrouped: incident.acks.grouped_at.is_some(),
            may_end: incident.acks.may_be_superseded(incident.truncated),
            firing: self.firing.len() - before,
        });
    }

    /// Those of which all that fires seems to be in others too, which their sender began to report so later, and these others. Not those with steps of an
    /// escalation that wait (`busy`).
    pub(in crate::store) fn found(self, busy: &BTreeSet<IncidentId>) -> Found {
        let Self { seen, mut firing } = self;
        // Those that were grouped so last come first.
        firing.sort_unstable_by_key(|(alert, place)| (*alert, Reverse((seen[*place].grouped_at, seen[*place].id))));
        let mut heirs: Vec<(usize, usize)> = Vec::new();
        for holders in firing.chunk_by(|(one, _), (other, _)| one == other).filter(|holders| holders.len() > 1) {
            for (_, place) in holders {
                let heir = holders.iter().take(MAX_HEIRS).find(|(_, other)| seen[*other].follows(&seen[*place]));
                heirs.extend(heir.map(|(_, other)| (*place, *other)));
            }
        }
        heirs.sort_unstable();
        let mut found = Found::default();
        for parts in heirs.chunk_by(|(one, _), (other, _)| one == other) {
            let Some(one) = parts.first().map(|(place, _)| &seen[*place]) else { continue };
            if parts.len() < one.firing || !one.may_end || busy.contains(&one.id) {
                continue;
            }
            let all: BTreeSet<IncidentId> = parts.iter().map(|(_, heir)| seen[*heir].id).chain([one.id]).collect();
            if !found.all.is_empty() && found.all.len() + all.len() > MAX_AT_ONCE {
                break;
            }
            found.ending.insert(one.id);
            found.all.extend(all);
        }
        found
    }
}

impl Seen {
    /// Whether it is reported later than another one, and was opened or grouped so later.
    fn follows(&self, other: &Self) -> bool {
        self.heard_at > other.heard_at && self.grouped_at > other.heard_at && (self.id > other.id || self.regrouped)
    }
}

/// An alert as groups share it: who sends it to which receiver, its fingerprint, its start.
fn hashed(incident: &LookedAt<'_>, alert: &IncidentAlert) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&incident.source, &incident.receiver, alert.fingerprint, alert.start).hash(&mut hasher);
    hasher.finish()
}
