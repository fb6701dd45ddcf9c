//! What people were notified of an alert before: whether the end of something that is muted, or was, is news to them.
//!
//! Knows what a lane carried before; knows nothing of how messages are made.

use std::collections::{HashMap, HashSet};

use crate::model::{Alert, DeliveryId, Event, LaneId, Status};
use crate::store::{LaneHistory, PendingDelivery, State, StoreError};
use crate::template::MessageKind;

use super::attempt::AttemptTask;
use super::pending::PendingMessage;

/// Deliveries of a lane's past that are looked at.
const MAX_PAST_DELIVERIES: usize = 16;
/// Lanes of a message whose past is looked at.
const MAX_PAST_LANES: usize = 50;

/// What composing a message must know besides its members.
#[derive(Debug, Clone, Default)]
pub struct MessageContext {
    /// What was notified before, of lanes that have muted members.
    pub notified: HashMap<LaneId, Notified>,
    /// Alerts of the lane that were not reported over yet, where that matters.
    pub unresolved: Option<u64>,
}

/// What a lane's past says of its alerts.
#[derive(Debug, Clone, Default)]
pub struct Notified {
    /// Of each fingerprint what was reported, newest first.
    reported: HashMap<String, Vec<(Option<i64>, Status)>>,
    /// Whether the whole past is known.
    complete: bool,
}

/// Whether people heard of a delivery: the platform confirmed it, may have it, or it went to a fallback channel that the end follows.
fn reached_people(state: State) -> bool {
    matches!(state, State::Sent | State::Unknown | State::Dead)
}

fn started_at(alert: &Alert) -> Option<i64> {
    alert.starts_at.map(|at| at.as_millisecond())
}

impl Notified {
    /// What the past says, besides the deliveries `members` that a message is made from.
    pub fn of(past: &LaneHistory, members: &[DeliveryId]) -> Self {
        let members: HashSet<DeliveryId> = members.iter().copied().collect();
        let mut reported: HashMap<String, Vec<(Option<i64>, Status)>> = HashMap::new();
        for delivery in past.deliveries.iter().filter(|d| reached_people(d.state) && !members.contains(&d.id)) {
            for one in &delivery.said {
                reported.entry(one.fingerprint.clone()).or_default().push((one.start, one.status));
            }
        }
        Self { reported, complete: past.complete }
    }

    /// Whether `alert` was notified as firing and not as over since; `None` when that is not known. A firing is known by its start, too. With `any_start`
    /// one of another start counts when there is none of this start: who says that something is over may name another than who reported that it fires.
    pub fn is_open(&self, alert: &Alert, any_start: bool) -> Option<bool> {
        let unknown = self.complete.then_some(false);
        let Some(reported) = self.reported.get(&alert.fingerprint) else { return unknown };
        let same = reported.iter().find(|(began, _)| *began == started_at(alert));
        let last = same.or_else(|| reported.first().filter(|_| any_start));
        last.map_or(unknown, |one| Some(one.1 == Status::Firing))
    }
}

impl AttemptTask {
    /// What composing must know besides the members. What cannot be read is not known: then what may be news is notified.
    pub(super) async fn context(&self, message: &PendingMessage) -> MessageContext {
        let mut known = MessageContext::default();
        let notified = |error: StoreError| tracing::warn!(%error, message_id = %message.id, "what was notified before could not be read; what may be news is notified");
        let mut lanes: Vec<LaneId> = message.members.iter().filter(|m| m.state == State::Deferred).map(|m| m.lane).collect();
        lanes.dedup();
        for lane in lanes.into_iter().take(MAX_PAST_LANES) {
            let members: Vec<&PendingDelivery> = message.members.iter().filter(|m| m.lane == lane).collect();
            let Some(last) = members.iter().rfind(|m| m.resolved > 0) else { continue };
            match self.shared.store.lane_history(last.id, MAX_PAST_DELIVERIES + members.len()).await {
                Ok(past) => drop(known.notified.insert(lane, Notified::of(&past, &members.iter().map(|m| m.id).collect::<Vec<_>>()))),
                Err(error) => notified(error),
            }
        }
        // Asked only where it decides something: where an incident would be closed, and where the sender left out alerts.
        if let Some(last) = message.members.last().filter(|m| m.firing == 0 && message.kind != MessageKind::Digest)
            && (self.channel.driver.keeps_incidents() || last.event.as_deref().is_some_and(Event::may_fire_on))
        {
            match self.shared.store.count_unresolved(last.lane).await {
                Ok(left) => known.unresolved = left,
                Err(error) => notified(error),
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
            (State::Sent, vec![fires("notified"), over("over")]),
            (State::Sent, vec![fires("over")]),
            (State::Unknown, vec![fires("perhaps")]),
            (State::Dead, vec![fires("elsewhere")]),
        ];
        let notified = Notified::of(&past(list.clone(), true), &[]);
        let open = |name: &'static str| notified.is_open(&over(name), true);
        for (name, wanted) in
            [("muted", false), ("dropped", false), ("notified", true), ("over", false), ("perhaps", true), ("elsewhere", true), ("never", false)]
        {
            assert_eq!(open(name), Some(wanted), "{name}");
        }
        let cut = past(list, false);
        let notified = Notified::of(&cut, &[cut.deliveries[2].id]);
        assert_eq!(notified.is_open(&over("never"), true), None, "further back it may have been notified");
        assert_eq!(notified.is_open(&over("notified"), true), None, "a member of the message itself is no past");
    }

    #[test]
    fn a_firing_is_known_by_its_start_and_an_end_may_name_another() {
        let list = vec![(State::Sent, vec![started(alert("a", "critical", Status::Firing), 1)])];
        let notified = Notified::of(&past(list, true), &[]);
        let over = started(alert("a", "critical", Status::Resolved), 2);
        assert_eq!(notified.is_open(&over, true), Some(true));
        assert_eq!(notified.is_open(&over, false), Some(false), "the one that came and went meanwhile is another");
    }
}
