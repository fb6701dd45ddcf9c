//! What was sent about an alert before: whether its end is news to people after a mute.

use std::collections::{HashMap, HashSet};

use crate::model::{Alert, DeliveryId, LaneId, Mentions, Status, UnixMs};
use crate::store::{LaneHistory, State};

use super::missed::Missed;

/// What composing a message must know besides its members.
#[derive(Debug, Clone, Default)]
pub struct MessageContext {
    /// What was sent before, of lanes that have muted members.
    pub notified: HashMap<LaneId, Notified>,
    /// How many alerts of the lane were not reported as resolved yet, where that matters.
    pub unresolved: Option<u64>,
    /// Whom it pings, where people of the configuration are named.
    pub mentions: Option<Mentions>,
    /// Why some of them are not reached.
    pub missed: Vec<Missed>,
}

/// What a lane sent about its alerts before.
#[derive(Debug, Clone, Default)]
pub struct Notified {
    /// By fingerprint: start and status of what was sent, newest first.
    reported: HashMap<String, Vec<(Option<UnixMs>, Status)>>,
    /// Whether the whole past is known.
    complete: bool,
}

/// Whether people have seen a delivery: the platform confirmed it, may have it, or it went to a fallback channel, which the end follows.
fn reached_people(state: State) -> bool {
    matches!(state, State::Sent | State::Unknown | State::Dead)
}

fn started_at(alert: &Alert) -> Option<UnixMs> {
    alert.starts_at.map(UnixMs::from)
}

impl Notified {
    /// What the past says, besides the deliveries `members` that a message is made from.
    pub fn of(past: &LaneHistory, members: &[DeliveryId]) -> Self {
        let members: HashSet<DeliveryId> = members.iter().copied().collect();
        let mut reported: HashMap<String, Vec<(Option<UnixMs>, Status)>> = HashMap::new();
        for delivery in past.deliveries.iter().filter(|d| reached_people(d.state) && !members.contains(&d.id)) {
            for one in &delivery.said {
                reported.entry(one.fingerprint.clone()).or_default().push((one.start, one.status));
            }
        }
        Self { reported, complete: past.complete }
    }

    /// Whether `alert` was sent as firing and not as resolved since; `None` when that is not known. A firing is identified by its start, too. With
    /// `any_start` another start counts when this one is not found: the sender of a resolved alert may name another start.
    pub fn is_open(&self, alert: &Alert, any_start: bool) -> Option<bool> {
        let unknown = self.complete.then_some(false);
        let Some(reported) = self.reported.get(&alert.fingerprint) else { return unknown };
        let same = reported.iter().find(|(began, _)| *began == started_at(alert));
        let last = same.or_else(|| reported.first().filter(|_| any_start));
        last.map_or(unknown, |one| Some(one.1 == Status::Firing))
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
