//! When the next step of an escalation is due, for each open incident: then its row shows another one, and nothing else of the incident changes.

use std::collections::{BTreeMap, HashMap};

use crate::http::App;
use crate::http::console::failure::Failure;
use crate::model::{IncidentId, UnixMs};
use crate::store::{State, StepRow};

/// How long the row of a step that is late is left as it is: the step waits for its channel.
pub(super) const LATE_MS: i64 = 3_000;

async fn steps(app: &App, ids: &[IncidentId]) -> Result<Vec<StepRow>, Failure> {
    if ids.is_empty() { Ok(Vec::new()) } else { Ok(app.engine.steps(ids).await?) }
}

/// When the last of the steps of these incidents was due whose time has come; those without such a step are left out.
pub(super) async fn last(app: &App, ids: &[IncidentId], now: UnixMs) -> Result<HashMap<IncidentId, UnixMs>, Failure> {
    let mut last = HashMap::new();
    for step in steps(app, ids).await?.into_iter().filter(|step| step.due_at <= now) {
        let known = last.entry(step.incident).or_insert(step.due_at);
        *known = step.due_at.max(*known);
    }
    Ok(last)
}

/// When the next step of each is due.
#[derive(Default)]
pub(super) struct Due(BTreeMap<IncidentId, UnixMs>);

impl Due {
    /// Of these incidents.
    pub(super) async fn of(app: &App, ids: &[IncidentId]) -> Result<Self, Failure> {
        let mut due = BTreeMap::new();
        for step in steps(app, ids).await?.into_iter().filter(|step| matches!(step.state, State::Waiting | State::Deferred)) {
            let known = due.entry(step.incident).or_insert(step.due_at);
            *known = step.due_at.min(*known);
        }
        Ok(Self(due))
    }

    /// Adds those of others.
    pub(super) fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// Those whose step is due by now, the first one first: of very many that are late each has its turn, and what is due in time has it before them.
    pub(super) fn passed(&self, now: UnixMs) -> Vec<IncidentId> {
        let mut passed: Vec<(UnixMs, IncidentId)> = self.0.iter().filter(|(_, due)| **due <= now).map(|(id, due)| (*due, *id)).collect();
        passed.sort_unstable();
        passed.into_iter().map(|(_, id)| id).collect()
    }

    /// Takes over what a row shows that was read now. Returns whether it shows more than that a step is late.
    pub(super) fn read(&mut self, id: IncidentId, next: Option<UnixMs>, now: UnixMs) -> bool {
        let is_late = next.is_some_and(|at| at <= now);
        match next {
            Some(at) => self.0.insert(id, if is_late { now + LATE_MS } else { at }),
            None => self.0.remove(&id),
        };
        !is_late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_when_its_step_is_due_and_a_late_one_not_all_the_time() {
        let (one, two) = (IncidentId(1), IncidentId(2));
        let mut due = Due::default();
        assert!(due.read(one, Some(UnixMs(5_000)), UnixMs(0)) && due.read(two, Some(UnixMs(9_000)), UnixMs(0)));
        let passed = |due: &Due, now: i64| due.passed(UnixMs(now));
        assert_eq!((passed(&due, 4_999), passed(&due, 5_000)), (vec![], vec![one]));
        assert!(!due.read(one, Some(UnixMs(5_000)), UnixMs(5_500)), "it waits for its channel");
        assert_eq!((passed(&due, 8_000), passed(&due, 8_500)), (vec![], vec![one]));
        assert!(due.read(one, Some(UnixMs(60_000)), UnixMs(8_500)), "the step after it");
        assert!(due.read(two, None, UnixMs(8_500)), "no further step");
        assert_eq!(passed(&due, 60_000), [one]);
    }

    #[test]
    fn what_is_late_for_long_does_not_keep_others_from_their_turn() {
        let (held, other) = (IncidentId(1), IncidentId(2));
        let mut due = Due::default();
        due.read(held, Some(UnixMs(1_000)), UnixMs(0));
        due.read(other, Some(UnixMs(2_000)), UnixMs(0));
        assert_eq!(due.passed(UnixMs(2_000)), [held, other]);
        due.read(held, Some(UnixMs(1_000)), UnixMs(2_000));
        assert_eq!(due.passed(UnixMs(5_000)), [other, held], "it was read already");
    }
}
