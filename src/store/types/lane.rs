//! What a lane's row remembers: its newest event, and which of its alerts are not resolved yet.

use uuid::Uuid;

use super::{Audience, Dedup, State};
use crate::model::{Alert, DeliveryId, Event, EventId, LaneId, Recipient, Status, UnixMs, hash_hex};

/// The newest event in a lane, 64 bytes of its row: a repeat counts only while it equals that one.
///
/// It names the place that its event took. When anything entered the lane since without saying what it is (a replay by hand, a node of an older
/// version), the lane's last place is another, and nothing is known of the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestEvent {
    /// The event's dedup key.
    pub key: [u8; 32],
    /// The event.
    pub event: EventId,
    /// When it arrived.
    pub at: UnixMs,
    /// The last place in the lane that it took.
    pub seq: i64,
}

impl NewestEvent {
    /// As it is stored.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.key);
        bytes[32..48].copy_from_slice(self.event.0.as_bytes());
        bytes[48..56].copy_from_slice(&self.at.0.to_be_bytes());
        bytes[56..].copy_from_slice(&self.seq.to_be_bytes());
        bytes
    }

    /// From what is stored in a lane whose last place is `last_seq`; `None` when that is not known to be this event's.
    pub fn of_lane(stored: Option<&[u8]>, last_seq: i64) -> Option<Self> {
        let bytes: &[u8; 64] = stored?.try_into().ok()?;
        let number = |at: usize| Some(i64::from_be_bytes(*bytes[at..].first_chunk()?));
        let newest = Self {
            key: *bytes.first_chunk()?,
            event: EventId(Uuid::from_bytes(*bytes[32..].first_chunk()?)),
            at: UnixMs(number(48)?),
            seq: number(56)?,
        };
        (newest.seq == last_seq).then_some(newest)
    }

    /// Whether an event that arrives `now` repeats this one. A time ahead of now (the clock was set back) must not swallow events until the clock
    /// has caught up with it.
    pub fn is_repeated(&self, dedup: &Dedup, now: UnixMs) -> bool {
        self.key == dedup.key && self.at > now - dedup.window && self.at <= now + dedup.window
    }
}

/// The event that one which arrives `now` repeats: the newest of the lanes that it would enter. `lanes` are these, in any order, each with what is
/// known of its newest event; those that nothing ever entered (a reload sends the alert elsewhere as well) are left out.
pub fn duplicate_of(lanes: impl IntoIterator<Item = Option<NewestEvent>>, dedup: &Dedup, now: UnixMs) -> Option<EventId> {
    let mut first = None;
    for newest in lanes {
        let newest = newest.filter(|newest| newest.is_repeated(dedup, now))?;
        first = first.or(Some(newest.event));
    }
    first
}

/// Unresolved alerts of a lane that are remembered; the oldest are forgotten first. A group of that many is one message in any case.
const MOST_UNRESOLVED: usize = 1024;

/// What an event says of the alerts of a lane that it enters. Alerts are known by eight bytes of their fingerprints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertReport {
    /// Those that fire.
    pub fires: Vec<u64>,
    /// Those that are over.
    pub ends: Vec<u64>,
    /// Whether that is all of the lane's group: what is not among them is over, too.
    pub whole: bool,
}

impl AlertReport {
    /// The alerts of the lane that were not reported over, after this; `before` are those that were not until now. Eight bytes each, oldest first.
    pub fn apply(&self, before: &[u8]) -> Vec<u8> {
        let mut left: Vec<u64> = Vec::new();
        if self.whole {
            left.extend(&self.fires);
        } else {
            let before = before.chunks_exact(8).filter_map(|id| id.try_into().ok().map(u64::from_be_bytes));
            left.extend(before.filter(|id| !self.ends.contains(id) && !self.fires.contains(id)));
            left.extend(&self.fires);
        }
        let first = left.len().saturating_sub(MOST_UNRESOLVED);
        left[first..].iter().flat_map(|id| id.to_be_bytes()).collect()
    }
}

/// Between the group and the hash of its audience.
const AUDIENCE_SEPARATOR: char = '/';

/// The key of the lane of a group within a channel; an audience of its own has a lane of its own.
pub fn lane_key(group: &str, audience: Audience<'_>) -> String {
    if audience.recipients.is_empty() && audience.mentions.is_none() {
        return group.to_owned();
    }
    // Whatever a text holds, the quotes of JSON keep it apart from the next.
    let recipients: Vec<&str> = audience.recipients.iter().map(Recipient::expose).collect();
    let names = serde_json::json!([recipients, audience.mentions]).to_string();
    format!("{group}{AUDIENCE_SEPARATOR}{}", hash_hex(&[&names]))
}

/// The group in a lane's key.
pub fn group_of(key: &str) -> &str {
    key.split(AUDIENCE_SEPARATOR).next().unwrap_or(key)
}

/// What the keys of lanes of fallbacks begin with; the number of the lane that they come from follows.
pub const FALLBACK_LANE_PREFIX: &str = "fallback:";

/// What the key of the lane of a step of an escalation begins with; its delivery's id follows. Each step has a lane of its own.
pub const STEP_LANE_PREFIX: &str = "step:";

/// The lane whose fallbacks a lane of this key carries.
pub fn source_lane(key: &str) -> Option<LaneId> {
    // A channel that was renamed while its lane was in flight has `~` and a number behind the key.
    key.strip_prefix(FALLBACK_LANE_PREFIX)?.split('~').next()?.parse().ok().map(LaneId)
}

/// What a lane carried before a delivery, as far as it fired.
#[derive(Debug, Clone, Default)]
pub struct LaneHistory {
    /// The deliveries that carried a firing alert, newest first.
    pub deliveries: Vec<PastDelivery>,
    /// Whether there are no others, further back, purged, or in an older lane that the group has for other people.
    pub complete: bool,
}

/// A delivery of the past.
#[derive(Debug, Clone)]
pub struct PastDelivery {
    /// Its identity.
    pub id: DeliveryId,
    /// Its state.
    pub state: State,
    /// What it says of its alerts.
    pub said: Vec<AlertStatus>,
}

/// What a delivery says of an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertStatus {
    /// The alert's fingerprint.
    pub fingerprint: String,
    /// When it began, Unix milliseconds.
    pub start: Option<UnixMs>,
    /// Whether it fires.
    pub status: Status,
}

impl PastDelivery {
    /// Of a delivery that carries these alerts of an event. The body itself is not kept: it may be large.
    pub fn of(id: DeliveryId, state: State, alerts: &[u32], event: &Event) -> Self {
        let of =
            |alert: &Alert| AlertStatus { fingerprint: alert.fingerprint.clone(), start: alert.starts_at.map(UnixMs::from), status: alert.status };
        Self { id, state, said: alerts.iter().filter_map(|i| event.alerts.get(*i as usize)).map(of).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Mentions;
    use crate::store::Target;

    fn ids(bytes: &[u8]) -> Vec<u64> {
        bytes.chunks_exact(8).map(|id| u64::from_be_bytes(id.try_into().unwrap())).collect()
    }

    fn report(fires: &[u64], ends: &[u64], whole: bool) -> AlertReport {
        AlertReport { fires: fires.to_vec(), ends: ends.to_vec(), whole }
    }

    #[test]
    fn a_part_of_a_group_ends_what_it_names_and_the_whole_ends_the_rest() {
        let two = report(&[1, 2], &[], true).apply(&[]);
        assert_eq!(ids(&two), [1, 2]);
        assert_eq!(ids(&report(&[], &[1], false).apply(&two)), [2], "what is not named goes on");
        assert_eq!(ids(&report(&[3], &[2, 9], false).apply(&two)), [1, 3]);
        assert_eq!(ids(&report(&[], &[1], true).apply(&two)), [0u64; 0], "the last of a group that resolved one by one");
        assert_eq!(ids(&report(&[2], &[1], true).apply(&two)), [2]);
        // One that fires again is as new as any.
        assert_eq!(ids(&report(&[1], &[1], false).apply(&two)), [2, 1]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let all: Vec<u64> = (0..5000).collect();
        let left = ids(&report(&all, &[], true).apply(&[]));
        assert_eq!((left.len(), left[0]), (MOST_UNRESOLVED, 5000 - MOST_UNRESOLVED as u64));
        let more = ids(&report(&[9000], &[], false).apply(&report(&all, &[], true).apply(&[])));
        assert_eq!((more.len(), more.last()), (MOST_UNRESOLVED, Some(&9000)));
    }

    #[test]
    fn an_audience_of_its_own_has_a_lane_of_its_own() {
        let mentions = |user: &str| Mentions { users: vec![user.into()], ..Mentions::default() };
        let to = |list: &[&str]| list.iter().map(|name| Recipient::new(*name)).collect::<Vec<_>>();
        let targets = [
            Target::default(),
            Target { mentions: Some(mentions("ann")), ..Target::default() },
            Target { mentions: Some(mentions("bob")), ..Target::default() },
            Target { mentions: Some(Mentions::default()), ..Target::default() },
            Target { recipients: to(&["ann"]), ..Target::default() },
            Target { recipients: to(&["ann", "bob"]), ..Target::default() },
            Target { recipients: to(&["ann\",\"bob"]), ..Target::default() },
        ];
        let keys: Vec<String> = targets.iter().map(|target| lane_key("0123456789abcdef", target.audience())).collect();
        assert_eq!(keys[0], "0123456789abcdef", "whom the channel reaches is in the lane that it always had");
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len(), "{keys:?}");
        assert!(keys.iter().all(|key| group_of(key) == keys[0]), "{keys:?}");
        let template = Target { template: "short".into(), ..targets[1].clone() };
        assert_eq!(lane_key("0123456789abcdef", template.audience()), keys[1], "only the audience counts");
    }

    #[test]
    fn the_newest_is_known_only_while_it_is_the_last() {
        let newest = NewestEvent { key: [7; 32], event: EventId::new(), at: UnixMs(1_764_000_000_000), seq: 3 };
        assert_eq!(NewestEvent::of_lane(Some(&newest.to_bytes()), 3), Some(newest));
        assert_eq!(NewestEvent::of_lane(Some(&newest.to_bytes()), 4), None, "something else entered the lane since");
        assert_eq!(NewestEvent::of_lane(Some(b"short"), 3), None);
        let dedup = Dedup { key: [7; 32], window: Duration::from_secs(1) };
        assert!(newest.is_repeated(&dedup, newest.at + 999) && !newest.is_repeated(&dedup, newest.at + 1000));
        assert!(!newest.is_repeated(&dedup, newest.at - 1001), "a clock that was set back swallows nothing");
        assert!(!newest.is_repeated(&Dedup { key: [8; 32], ..dedup }, newest.at));
    }
}
