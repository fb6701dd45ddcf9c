//! What people were told of an alert before: whether the end of something that is muted, or was, is news to them.
//!
//! Knows what a lane carried before; knows nothing of how messages are made.

use std::collections::{HashMap, HashSet};

use crate::model::{Alert, DeliveryId, Event, LaneId, Status};
use crate::store::{LaneHistory, PendingDelivery, State, StoreError};
use crate::template::MessageKind;

use super::attempt::Step;
use super::job::Job;

/// Deliveries of a lane's past that are looked at.
const PAST: usize = 16;
/// Lanes of a message whose past is looked at.
const PAST_LANES: usize = 50;

/// What composing a message must know besides its members.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What was told before, of lanes that have muted members.
    pub told: HashMap<LaneId, Told>,
    /// Alerts of the lane that were not reported over yet, where that matters.
    pub unresolved: Option<u64>,
}

/// What a lane's past says of its alerts.
#[derive(Debug, Clone, Default)]
pub struct Told {
    /// Of each fingerprint what was said, newest first.
    said: HashMap<String, Vec<(Option<i64>, Status)>>,
    /// Whether the whole past is known.
    complete: bool,
}

/// Whether people heard of a delivery: the platform confirmed it, may have it, or it went to a fallback channel that the end follows.
fn heard(state: State) -> bool {
    matches!(state, State::Sent | State::Unknown | State::Dead)
}

fn start(alert: &Alert) -> Option<i64> {
    alert.starts_at.map(|at| at.as_millisecond())
}

impl Told {
    /// What the past says, besides the deliveries `members` that a message is made from.
    pub fn of(past: &LaneHistory, members: &[DeliveryId]) -> Self {
        let members: HashSet<DeliveryId> = members.iter().copied().collect();
        let mut said: HashMap<String, Vec<(Option<i64>, Status)>> = HashMap::new();
        for delivery in past.deliveries.iter().filter(|d| heard(d.state) && !members.contains(&d.id)) {
            for one in &delivery.said {
                said.entry(one.fingerprint.clone()).or_default().push((one.start, one.status));
            }
        }
        Self { said, complete: past.complete }
    }

    /// Whether `alert` was told as firing and not as over since; `None` when that is not known. A firing is known by its start, too. With `any_start`
    /// one of another start counts when there is none of this start: who says that something is over may name another than who said that it fires.
    pub fn is_open(&self, alert: &Alert, any_start: bool) -> Option<bool> {
        let unknown = self.complete.then_some(false);
        let Some(said) = self.said.get(&alert.fingerprint) else { return unknown };
        let same = said.iter().find(|(began, _)| *began == start(alert));
        let last = same.or_else(|| said.first().filter(|_| any_start));
        last.map_or(unknown, |one| Some(one.1 == Status::Firing))
    }
}

impl Step {
    /// What composing must know besides the members. What cannot be read is not known: then what may be news is told.
    pub(super) async fn known(&self, job: &Job) -> Known {
        let mut known = Known::default();
        let told =
            |error: StoreError| tracing::warn!(%error, message_id = %job.id, "what was told before could not be read; what may be news is told");
        let mut lanes: Vec<LaneId> = job.members.iter().filter(|m| m.state == State::Deferred).map(|m| m.lane).collect();
        lanes.dedup();
        for lane in lanes.into_iter().take(PAST_LANES) {
            let members: Vec<&PendingDelivery> = job.members.iter().filter(|m| m.lane == lane).collect();
            let Some(last) = members.iter().rfind(|m| m.resolved > 0) else { continue };
            match self.shared.store.lane_history(last.id, PAST + members.len()).await {
                Ok(past) => drop(known.told.insert(lane, Told::of(&past, &members.iter().map(|m| m.id).collect::<Vec<_>>()))),
                Err(error) => told(error),
            }
        }
        // Asked only where it decides something: where an incident would be closed, and where the sender left out alerts.
        if let Some(last) = job.members.last().filter(|m| m.firing == 0 && job.kind != MessageKind::Digest)
            && (self.channel.driver.keeps_incidents() || last.event.as_deref().is_some_and(Event::may_fire_on))
        {
            match self.shared.store.count_unresolved(last.lane).await {
                Ok(left) => known.unresolved = left,
                Err(error) => told(error),
            }
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::testing::{alert, event};
    use crate::store::PastDelivery;

    fn past(deliveries: Vec<(State, Vec<Alert>)>, complete: bool) -> LaneHistory {
        let one = |(state, alerts): (State, Vec<Alert>)| {
            PastDelivery::of(DeliveryId::new(), state, &(0..alerts.len() as u32).collect::<Vec<_>>(), &event(alerts))
        };
        LaneHistory { deliveries: deliveries.into_iter().map(one).collect(), complete }
    }

    fn started(mut alert: Alert, second: i64) -> Alert {
        alert.starts_at = jiff::Timestamp::from_second(second).ok();
        alert
    }

    #[test]
    fn only_what_reached_people_and_is_not_over_is_open() {
        let fires = |name: &str| alert(name, "critical", Status::Firing);
        let over = |name: &str| alert(name, "critical", Status::Resolved);
        let list = vec![
            (State::Skipped, vec![fires("muted")]),
            (State::Dropped, vec![fires("dropped")]),
            (State::Sent, vec![fires("told"), over("over")]),
            (State::Sent, vec![fires("over")]),
            (State::Unknown, vec![fires("perhaps")]),
            (State::Dead, vec![fires("elsewhere")]),
        ];
        let told = Told::of(&past(list.clone(), true), &[]);
        let open = |name: &'static str| told.is_open(&over(name), true);
        for (name, wanted) in
            [("muted", false), ("dropped", false), ("told", true), ("over", false), ("perhaps", true), ("elsewhere", true), ("never", false)]
        {
            assert_eq!(open(name), Some(wanted), "{name}");
        }
        let cut = past(list, false);
        let told = Told::of(&cut, &[cut.deliveries[2].id]);
        assert_eq!(told.is_open(&over("never"), true), None, "further back it may have been told");
        assert_eq!(told.is_open(&over("told"), true), None, "a member of the message itself is no past");
    }

    #[test]
    fn a_firing_is_known_by_its_start_and_an_end_may_name_another() {
        let list = vec![(State::Sent, vec![started(alert("a", "critical", Status::Firing), 1)])];
        let told = Told::of(&past(list, true), &[]);
        let over = started(alert("a", "critical", Status::Resolved), 2);
        assert_eq!(told.is_open(&over, true), Some(true));
        assert_eq!(told.is_open(&over, false), Some(false), "the one that came and went meanwhile is another");
    }
}
