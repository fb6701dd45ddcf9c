//! What a worker has in memory of its lanes (ordered queues): of each a gap-free prefix of what waits (I2), or the knowledge that it is on disk.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::clock::Now;
use crate::model::{LaneId, Severity, UnixMs};
use crate::store::{LaneSummary, PendingDelivery, State};

mod budget;
mod evict;
mod lane;

pub use budget::*;
pub use lane::is_large;
use lane::{IndexKey, Lane, Queued, ahead, due_instant, priority, sooner};

/// Lanes in memory at once; the rest stays on disk.
pub const MAX_LANES: usize = 4096;
/// Lanes that an outlet may have in memory however little of it is left.
pub const MIN_LANES: usize = 64;
/// Lanes that are read ahead at once.
const AHEAD: usize = 64;
/// Bytes of waiting deliveries in memory per outlet.
pub const MAX_BYTES: usize = 4 << 20;
/// What is due later than this is left on disk, where a poll finds it in time: it must take no memory from what is due.
pub const LOOKAHEAD: Duration = Duration::from_secs(20);

/// What was taken from a lane for a message.
#[derive(Debug)]
pub struct TakenLane {
    /// The lane.
    pub lane: LaneId,
    /// What was in memory and due.
    pub members: Vec<PendingDelivery>,
    /// The bytes that it takes.
    pub reservations: Vec<Reservation>,
    /// Read what waits beyond this `lane_seq` from the store first.
    pub read_after: Option<i64>,
}

/// What reading a lane from the store found.
#[derive(Debug, Clone, Copy)]
pub struct ReadProgress {
    /// The lane.
    pub lane: LaneId,
    /// The last `lane_seq` read; `after` when nothing was.
    pub to: i64,
    /// Whether more waits beyond it.
    pub more: bool,
}

/// A lane that a message releases.
#[derive(Debug)]
pub struct LaneReturn {
    /// The lane.
    pub lane: LaneId,
    /// What reading it found, when it was read.
    pub read: Option<ReadProgress>,
    /// Deliveries that go back to its front.
    pub put_back: Vec<PendingDelivery>,
}

/// The lanes of one outlet.
#[derive(Debug)]
pub struct Lanes {
    map: HashMap<LaneId, Lane>,
    ready: BTreeSet<(i64, LaneId)>,
    timers: BTreeSet<(Instant, LaneId)>,
    /// Lanes of which nothing is known to wait and that have no message in flight: the first to be evicted.
    empty: HashSet<LaneId>,
    bytes: usize,
    budget: Arc<MemoryBudget>,
    /// Whether every lane that is due soon is in memory.
    pub complete: bool,
    /// Whether something that could be sent at once was left on disk since the last poll of the store began.
    pub overflowed: bool,
}

impl Lanes {
    /// Empty: what waits is on disk. Its memory is part of `budget`, with the other outlets.
    pub fn new(budget: Arc<MemoryBudget>) -> Self {
        Self {
            map: HashMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            empty: HashSet::new(),
            bytes: 0,
            budget,
            complete: false,
            overflowed: false,
        }
    }

    /// Lanes that could send now.
    pub fn ready_count(&self) -> usize {
        self.ready.len()
    }

    /// Whether something critical is ready. Walks over all that is in memory.
    pub fn has_critical(&self) -> bool {
        let mut ready = self.ready.iter().filter_map(|(_, id)| self.map.get(id));
        ready.any(|lane| lane.queue.iter().any(|item| item.waiting.rank == Severity::Critical.rank()))
    }

    /// Lanes in memory, with empty ones and those in flight.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Bytes of deliveries in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next lane becomes ready that is not ready now.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A delivery that was just accepted, with its share of the budget. What does not fit, or does not follow what is known, stays on disk and is read
    /// later; so does what is deferred.
    pub fn push(&mut self, waiting: PendingDelivery, share: Reservation, channel: &Arc<str>, now: Now) {
        let (id, deferred) = (waiting.lane, waiting.state == State::Deferred);
        let due = due_instant(&waiting, now);
        if !self.map.contains_key(&id) {
            if deferred && due > now.mono + LOOKAHEAD {
                return;
            }
            let Some(room) = self.reserve_lane(priority(waiting.rank, waiting.born_at), Some(now.mono)) else { return self.note_overflow() };
            // Only the first delivery of a lane surely has nothing before it on disk.
            let more_on_disk_at = if waiting.lane_seq == 1 { None } else { Some(due) };
            self.map.insert(id, Lane::new(channel, more_on_disk_at, priority(waiting.rank, waiting.born_at), room));
        }
        let full = self.bytes + share.bytes() > MAX_BYTES;
        let Some(lane) = self.map.get_mut(&id) else { return };
        if waiting.lane_seq <= lane.loaded_to {
            return;
        }
        let follows = lane.more_on_disk_at.is_none() && lane.loaded_to + 1 == waiting.lane_seq;
        if deferred {
            if follows {
                lane.loaded_to = waiting.lane_seq;
            }
            if due <= now.mono + LOOKAHEAD {
                sooner(&mut lane.reload_at, due);
                lane.priority = lane.priority.min(priority(waiting.rank, waiting.born_at));
            }
        } else if full || !follows {
            // Whatever was known of what is on disk, this is due now.
            sooner(&mut lane.more_on_disk_at, due);
            lane.offer_lost = true;
            lane.priority = lane.priority.min(priority(waiting.rank, waiting.born_at));
        } else {
            lane.loaded_to = waiting.lane_seq;
            self.bytes += share.bytes();
            lane.queue.push_back(Queued { due, waiting, share });
        }
        self.index(id, now.mono);
    }

    /// Something was accepted for a lane, and its delivery is on disk only (a fallback child, a requeue).
    pub fn mark_dirty(&mut self, id: LaneId, channel: &Arc<str>, rank: i64, born_at: UnixMs, now: Instant) {
        let priority = priority(rank, born_at);
        if !self.map.contains_key(&id) {
            let Some(room) = self.reserve_lane(priority, Some(now)) else { return self.note_overflow() };
            self.map.insert(id, Lane::new(channel, Some(now), priority, room));
        }
        if let Some(lane) = self.map.get_mut(&id) {
            sooner(&mut lane.more_on_disk_at, now);
            lane.offer_lost = true;
            lane.priority = lane.priority.min(priority);
        }
        self.index(id, now);
    }

    /// Adds lanes that a poll of the store found. `all` means that no others are due soon. Returns how many of them were new.
    pub fn load(&mut self, heads: Vec<LaneSummary>, all: bool, now: Now, intern: impl Fn(&str) -> Arc<str>) -> usize {
        let mut news = 0;
        // What was left behind during the poll is not in it.
        self.complete = all && !self.overflowed;
        for head in heads {
            let ahead = ahead(head.due_at, head.since, now.wall);
            // The store returns what is due soon, and what only seems to be due later because the clock was set back.
            let due = if ahead > LOOKAHEAD { now.mono } else { now.mono + ahead };
            if let Some(lane) = self.map.get_mut(&head.id) {
                // The safety net: memory believes that nothing waits, or not yet, and the store knows better.
                if !lane.in_flight && lane.next(now.mono).is_none_or(|(known, _)| known > due) {
                    sooner(&mut lane.reload_at, due);
                    self.index(head.id, now.mono);
                    news += 1;
                }
                continue;
            }
            let ready = (due <= now.mono).then_some(now.mono);
            let Some(room) = self.reserve_lane(priority(head.rank, head.since), ready) else {
                // What cannot be sent yet is not worth a poll before the regular one.
                self.overflowed |= ready.is_some();
                self.complete = false;
                continue;
            };
            self.map.insert(head.id, Lane::new(&intern(&head.channel), Some(due), priority(head.rank, head.since), room));
            self.index(head.id, now.mono);
            news += 1;
        }
        news
    }

    /// Moves lanes whose time has come to the ready ones.
    pub fn advance(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.index(id, now);
        }
    }

    /// The first ready lane whose channel passes, and its channel.
    pub fn first_ready(&self, mut passes: impl FnMut(&Arc<str>) -> bool) -> Option<(LaneId, Arc<str>)> {
        self.ready.iter().find_map(|(_, id)| {
            let lane = self.map.get(id)?;
            passes(&lane.channel).then(|| (*id, lane.channel.clone()))
        })
    }

    /// The ready lane with the newest delivery in memory among those that pass, and its channel.
    pub fn newest_ready(&self, mut passes: impl FnMut(&Arc<str>, &mut dyn Iterator<Item = &PendingDelivery>) -> bool) -> Option<(LaneId, Arc<str>)> {
        let of = |id: &LaneId| self.map.get(id).map(|lane| (*id, lane));
        let passing =
            self.ready.iter().filter_map(|(_, id)| of(id)).filter(|(_, lane)| passes(&lane.channel, &mut lane.queue.iter().map(|i| &i.waiting)));
        let newest = passing.max_by_key(|(_, lane)| lane.queue.iter().map(|i| i.waiting.born_at).max());
        newest.map(|(id, lane)| (id, lane.channel.clone()))
    }

    /// Whether a lane is in memory and no message of it is in flight.
    pub fn is_free(&self, id: LaneId) -> bool {
        self.map.get(&id).is_some_and(|lane| !lane.in_flight)
    }

    /// Up to `n` ready lanes of a channel, most severe first.
    pub fn ready_of_channel(&self, channel: &str, n: usize) -> Vec<LaneId> {
        self.ready.iter().filter(|(_, id)| self.map.get(id).is_some_and(|l| &*l.channel == channel)).take(n).map(|(_, id)| *id).collect()
    }

    /// Takes what is due of a lane for a message, at most `max` deliveries; the lane is in flight until [`Lanes::release`].
    pub fn take(&mut self, id: LaneId, max: usize, now: Instant) -> TakenLane {
        let mut taken = TakenLane { lane: id, members: Vec::new(), reservations: Vec::new(), read_after: None };
        let Some(lane) = self.map.get_mut(&id) else { return taken };
        lane.in_flight = true;
        if max > 0 && lane.reload_at.is_some_and(|at| at <= now) {
            self.bytes -= lane.clear();
            (lane.reload_at, lane.loaded_to, lane.more_on_disk_at) = (None, 0, Some(now));
        }
        // Order holds among what is not muted: a head that waits for its next try holds back what came later.
        while taken.members.len() < max
            && lane.queue.front().is_some_and(|item| item.due <= now)
            && let Some(item) = lane.queue.pop_front()
        {
            self.bytes -= item.share.bytes();
            taken.members.push(item.waiting);
            taken.reservations.push(item.share);
        }
        if lane.more_on_disk_at.is_some() && lane.queue.is_empty() && taken.members.len() < max {
            taken.read_after = Some(lane.loaded_to);
            lane.offer_lost = false;
        }
        self.index(id, now);
        taken
    }

    /// Takes lanes that could send now and of which memory holds nothing, to be read ahead: each with the place after which it is to be read, and in flight
    /// until [`Lanes::release`]. None while most of what is next is in memory.
    pub fn take_spilled(&mut self, now: Now) -> Vec<(LaneId, i64)> {
        let is_spilled = |id: &LaneId| self.map.get(id).is_some_and(|lane| lane.queue.is_empty() && lane.reload_at.is_none());
        let next = || self.ready.iter().map(|(_, id)| *id);
        if next().take(AHEAD / 4).filter(is_spilled).count() < AHEAD / 8 {
            return Vec::new();
        }
        let spilled: Vec<LaneId> = next().take(4 * AHEAD).filter(is_spilled).take(AHEAD).collect();
        let mut taken = Vec::with_capacity(spilled.len());
        for id in spilled {
            match self.take(id, usize::MAX, now.mono).read_after {
                Some(after) => taken.push((id, after)),
                None => self.release(LaneReturn { lane: id, read: None, put_back: Vec::new() }, now),
            }
        }
        taken
    }

    /// The message of a lane is done (or gave up): what was read, and what goes back to the front.
    pub fn release(&mut self, released: LaneReturn, now: Now) {
        let LaneReturn { lane: id, read, put_back } = released;
        let Some(lane) = self.map.get_mut(&id) else { return };
        lane.in_flight = false;
        if lane.stale {
            self.bytes -= lane.clear();
            (lane.stale, lane.offer_lost, lane.loaded_to, lane.more_on_disk_at, lane.reload_at) = (false, false, 0, Some(now.mono), None);
            self.index(id, now.mono);
            return;
        }
        if let Some(read) = read {
            lane.loaded_to = lane.loaded_to.max(read.to);
            lane.more_on_disk_at = (read.more || lane.offer_lost).then_some(now.mono);
        }
        let mut fits = true;
        for waiting in put_back {
            let due = due_instant(&waiting, now);
            if waiting.state == State::Deferred {
                sooner(&mut lane.reload_at, due);
                continue;
            }
            let weight = delivery_bytes(&waiting);
            match self.budget.try_reserve(weight) {
                Some(share) if self.bytes + weight <= MAX_BYTES => {
                    self.bytes += weight;
                    lane.queue.push_back(Queued { due, waiting, share });
                }
                // It waits on disk, where it was read or accepted.
                _ => {
                    fits = false;
                    lane.priority = lane.priority.min(priority(waiting.rank, waiting.born_at));
                    sooner(&mut lane.reload_at, due);
                }
            }
        }
        lane.queue.make_contiguous().sort_by_key(|i| i.waiting.lane_seq);
        if !fits {
            let head = lane.queue.front().map(|head| head.due);
            self.bytes -= lane.clear();
            head.into_iter().for_each(|due| sooner(&mut lane.reload_at, due));
        }
        if lane.is_empty() && (self.map.len() > MAX_LANES / 2 || self.budget.is_short()) {
            self.unindex(id);
            self.map.remove(&id);
            return;
        }
        self.index(id, now.mono);
    }

    /// Lanes of which memory knows that they are in flight or due soon: a poll of the store leaves them out.
    pub fn due_soon(&self, now: Instant) -> Vec<LaneId> {
        let soon = |lane: &Lane| lane.in_flight || lane.next(now).is_some_and(|(due, _)| due <= now + LOOKAHEAD);
        self.map.iter().filter(|(_, lane)| soon(lane)).map(|(id, _)| *id).collect()
    }

    /// The channels of the lanes in memory.
    pub fn channels(&self) -> BTreeSet<Arc<str>> {
        let mut channels = BTreeSet::new();
        for lane in self.map.values() {
            if !channels.contains(&lane.channel) {
                channels.insert(lane.channel.clone());
            }
        }
        channels
    }

    fn unindex(&mut self, id: LaneId) {
        self.empty.remove(&id);
        if let Some(key) = self.map.get_mut(&id).and_then(|lane| lane.key.take()) {
            match key {
                IndexKey::Ready(priority) => self.ready.remove(&(priority, id)),
                IndexKey::Timer(at) => self.timers.remove(&(at, id)),
            };
        }
    }

    fn index(&mut self, id: LaneId, now: Instant) {
        self.unindex(id);
        let Some(lane) = self.map.get_mut(&id) else { return };
        let Some((due, priority)) = lane.next(now) else {
            if !lane.in_flight {
                self.empty.insert(id);
            }
            return;
        };
        let key = if due <= now { IndexKey::Ready(priority) } else { IndexKey::Timer(due) };
        lane.key = Some(key);
        match key {
            IndexKey::Ready(priority) => self.ready.insert((priority, id)),
            IndexKey::Timer(at) => self.timers.insert((at, id)),
        };
    }
}

#[cfg(test)]
mod tests;
