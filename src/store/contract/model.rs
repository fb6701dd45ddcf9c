//! A store as simple as it can be: vectors, and every answer computed from them again. What an engine keeps in counters and indices, this
//! computes from the deliveries each time; that is what makes it a check of them.

use super::incident_model::Incidents;
use crate::model::{DeliveryId, EventId, IncidentId, LaneId, MessageId, UnixMs};
use crate::store::{LaneSummary, State};

/// A delivery as the model knows it.
#[derive(Debug, Clone)]
pub struct Delivery {
    pub id: DeliveryId,
    pub event: EventId,
    pub channel: String,
    pub lane: LaneId,
    pub seq: i64,
    pub state: State,
    pub rank: i64,
    pub born: UnixMs,
    pub due: UnixMs,
    pub tries: u32,
    pub message: Option<MessageId>,
    pub fallback_of: Option<DeliveryId>,
    pub done_at: Option<UnixMs>,
    pub incident: Option<IncidentId>,
    /// Whether an operator sent it once more.
    pub replayed: bool,
}

impl Delivery {
    /// Whether it is waiting or deferred.
    pub fn open(&self) -> bool {
        !self.state.is_final()
    }
}

/// A lane as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    pub id: LaneId,
    pub channel: String,
    pub key: String,
    pub last_seq: i64,
    /// Key, event, when it came and its place: of the newest event, when it had a key.
    pub newest: Option<(u8, EventId, UnixMs, i64)>,
}

/// The whole.
#[derive(Debug, Default)]
pub struct Model {
    pub deliveries: Vec<Delivery>,
    pub lanes: Vec<Lane>,
    /// Open messages.
    pub open: Vec<MessageId>,
    /// Messages that are done.
    pub done: Vec<MessageId>,
    pub incidents: Incidents,
}

impl Model {
    /// A delivery by id.
    pub fn get(&mut self, id: DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|d| d.id == id)
    }

    /// What is open in a lane, by place.
    pub fn open_in(&self, lane: LaneId) -> Vec<&Delivery> {
        let mut open: Vec<&Delivery> = self.deliveries.iter().filter(|d| d.lane == lane && d.open()).collect();
        open.sort_by_key(|d| d.seq);
        open
    }

    /// The open message that has members in a lane.
    pub fn message_in(&self, lane: LaneId) -> Option<MessageId> {
        self.deliveries.iter().filter(|d| d.lane == lane).filter_map(|d| d.message).find(|m| self.open.contains(m))
    }

    /// What `ready_lanes` must return, by definition.
    pub fn ready(&self) -> Vec<LaneSummary> {
        let mut heads: Vec<LaneSummary> =
            self.lanes.iter().filter(|lane| self.message_in(lane.id).is_none()).filter_map(|lane| self.head(lane)).collect();
        heads.sort_by_key(|head| (head.since + head.rank * 300_000, head.id));
        heads
    }

    fn head(&self, lane: &Lane) -> Option<LaneSummary> {
        let open = self.open_in(lane.id);
        let first_waiting = open.iter().find(|d| d.state == State::Waiting);
        let deferred = open.iter().filter(|d| d.state == State::Deferred);
        Some(LaneSummary {
            id: lane.id,
            channel: lane.channel.clone(),
            key: lane.key.clone(),
            last_seq: lane.last_seq,
            waiting: open.len() as i64,
            rank: open.iter().map(|d| d.rank).min()?,
            due_at: first_waiting.into_iter().chain(deferred).map(|d| d.due).min()?,
            since: open.iter().map(|d| d.born).min()?,
        })
    }

    /// Puts a delivery at the end of the lane that the engine chose, and returns the place it must have.
    pub fn append(&mut self, mut delivery: Delivery, key: &str) -> i64 {
        let known = self.lanes.iter().position(|l| l.channel == delivery.channel && l.key == key);
        let lane = match known {
            Some(ix) => &mut self.lanes[ix],
            None => {
                assert!(self.lanes.iter().all(|l| l.id != delivery.lane), "a lane's number was given out twice");
                self.lanes.push(Lane { id: delivery.lane, channel: delivery.channel.clone(), key: key.into(), last_seq: 0, newest: None });
                self.lanes.last_mut().expect("just pushed")
            }
        };
        assert_eq!(lane.id, delivery.lane, "one lane for each channel and key");
        lane.last_seq += 1;
        delivery.seq = lane.last_seq;
        self.deliveries.push(delivery);
        self.lanes.iter().find(|l| l.channel == self.deliveries.last().expect("just pushed").channel && l.key == key).map_or(0, |l| l.last_seq)
    }

    /// A channel renamed: lanes move. Of two lanes with one key one remains, with what waits in both: that of which a message is in flight, and the one
    /// that was renamed when none is; if one of each is, the renamed one ends by itself.
    pub fn relocate(&mut self, from: &str, to: &str) {
        self.incidents.relocate(from, to);
        let lanes: Vec<Lane> = self.lanes.iter().filter(|l| l.channel == from).cloned().collect();
        for lane in lanes {
            let open: Vec<DeliveryId> = self.open_in(lane.id).iter().map(|d| d.id).collect();
            for id in &open {
                let fallback_of = self.get(*id).expect("open").fallback_of;
                let twin = fallback_of.is_some() && self.deliveries.iter().any(|d| d.fallback_of == fallback_of && d.channel == to);
                let d = self.get(*id).expect("open");
                d.channel = to.into();
                d.fallback_of = d.fallback_of.filter(|_| !twin);
            }
            let twin = self.lanes.iter().find(|l| l.channel == to && l.key == lane.key).map(|twin| twin.id);
            let remains = twin.is_none_or(|twin| self.message_in(twin).is_none());
            if let Some(twin) = twin {
                let aside = if remains { twin } else { lane.id };
                self.lane(aside).key.push_str(&format!("~{}", aside.0));
            }
            self.lane(lane.id).channel = to.into();
            let (into, other) = match twin {
                Some(twin) if remains => (lane.id, twin),
                Some(twin) if self.message_in(lane.id).is_none() => (twin, lane.id),
                _ => continue,
            };
            self.lane(into).newest = None;
            self.merge(into, other);
            self.remove_if_empty(other);
        }
    }

    fn lane(&mut self, id: LaneId) -> &mut Lane {
        self.lanes.iter_mut().find(|l| l.id == id).expect("a lane")
    }

    /// By the greatest id up to each place, which keeps the order within a lane.
    fn merge(&mut self, lane: LaneId, twin: LaneId) {
        let waiting = |lane: LaneId| {
            let free = self.open_in(lane).into_iter().filter(|d| d.message.is_none_or(|m| !self.open.contains(&m)));
            let mut greatest = None;
            free.map(|d| {
                greatest = greatest.max(Some(d.id));
                (greatest, d.lane == twin, d.id)
            })
            .collect::<Vec<_>>()
        };
        let (mut all, theirs) = (waiting(lane), waiting(twin));
        let first = theirs.first().map(|(_, _, id)| *id);
        all.retain(|(greatest, ..)| first.is_some() && *greatest > first);
        all.extend(theirs);
        all.sort_by_key(|(greatest, of_twin, _)| (*greatest, *of_twin));
        for (_, _, id) in all {
            self.lane(lane).last_seq += 1;
            let seq = self.lane(lane).last_seq;
            let d = self.get(id).expect("open");
            (d.lane, d.seq) = (lane, seq);
        }
    }

    /// A lane without deliveries goes.
    pub fn remove_if_empty(&mut self, lane: LaneId) {
        if self.deliveries.iter().all(|d| d.lane != lane) {
            self.lanes.retain(|l| l.id != lane);
        }
    }

    /// Purges every event all of whose deliveries ended before these and belong to no open incident, and incidents to which nothing referred; returns
    /// how many events.
    pub fn purge(&mut self, sent_before: UnixMs, dead_before: UnixMs) -> u64 {
        let open = self.open.clone();
        let living: Vec<IncidentId> = self.incidents.all.iter().filter(|incident| incident.state.is_open()).map(|incident| incident.id).collect();
        let referred: Vec<IncidentId> = self.deliveries.iter().filter_map(|d| d.incident).collect();
        let keeps = |d: &Delivery| {
            let before = if matches!(d.state, State::Sent | State::Skipped | State::Dropped) { sent_before } else { dead_before };
            d.done_at.is_none_or(|at| at >= before)
                || d.message.is_some_and(|m| open.contains(&m))
                || d.incident.is_some_and(|id| living.contains(&id))
        };
        let kept: Vec<EventId> = self.deliveries.iter().filter(|d| keeps(d)).map(|d| d.event).collect();
        let (stay, go): (Vec<Delivery>, Vec<Delivery>) = self.deliveries.drain(..).partition(|d| kept.contains(&d.event));
        self.deliveries = stay;
        let mut events: Vec<EventId> = go.iter().map(|d| d.event).collect();
        events.sort_unstable();
        events.dedup();
        for d in &go {
            self.remove_if_empty(d.lane);
        }
        self.incidents.purge(sent_before, &referred);
        events.len() as u64
    }
}
