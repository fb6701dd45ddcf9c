//! What one runner holds in memory of its lanes: of each lane a gap-free prefix of what waits, or the knowledge that it is on disk.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{Event, LaneId};
use crate::store::{LaneHead, State, Waiting};

use super::{heavy, policy};

/// Lanes held at once; the rest stays on disk.
pub const MAX_LANES: usize = 4096;
/// Bytes of waiting deliveries held per outlet.
pub const MAX_WEIGHT: usize = 4 << 20;
/// One rank step is worth this much waiting, in milliseconds: what waits long overtakes.
const RANK_STEP: i64 = 300_000;
/// A mute may last long, but a damaged due time must not hide a delivery for ever.
const LONGEST_MUTE: Duration = Duration::from_secs(400 * 86_400);

/// A delivery in memory, with its due time on the monotonic clock.
#[derive(Debug)]
struct Item {
    waiting: Waiting,
    due: Instant,
    weight: usize,
}

/// One lane.
#[derive(Debug)]
struct Lane {
    channel: Arc<str>,
    queue: VecDeque<Item>,
    /// Everything up to here is in the queue, under way, or final.
    loaded_to: i64,
    /// Something may wait on disk beyond `loaded_to`.
    on_disk: bool,
    /// An offer could not be taken while the lane was being read.
    missed: bool,
    /// A message of it is under way.
    open: bool,
    /// Rank and age of what is on disk, when the queue is empty.
    ord: i64,
    due: Instant,
    place: Option<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Ready(i64),
    Timer(Instant),
}

/// What was taken from a lane for a message.
#[derive(Debug)]
pub struct Taken {
    /// The lane.
    pub lane: LaneId,
    /// What was in memory and due.
    pub members: Vec<Waiting>,
    /// Read what waits beyond this `lane_seq` from the store first.
    pub read_after: Option<i64>,
}

/// What reading a lane from the store found.
#[derive(Debug, Clone, Copy)]
pub struct Read {
    /// The lane.
    pub lane: LaneId,
    /// The last `lane_seq` read; `after` when nothing was.
    pub to: i64,
    /// Whether more waits beyond it.
    pub more: bool,
}

/// The lanes of one outlet.
#[derive(Debug)]
pub struct Lanes {
    map: HashMap<LaneId, Lane>,
    ready: BTreeSet<(i64, LaneId)>,
    timers: BTreeSet<(Instant, LaneId)>,
    /// Lanes of which nothing is known to wait and that have no message under way: the first to make room.
    drained: HashSet<LaneId>,
    weight: usize,
    /// Whether every lane with something waiting is in memory.
    pub complete: bool,
    /// Whether something that could be sent at once was left on disk since the last look at the store began.
    pub left: bool,
}

impl Default for Lanes {
    /// Knows nothing yet: what waits is on disk.
    fn default() -> Self {
        Self {
            map: HashMap::new(),
            ready: BTreeSet::new(),
            timers: BTreeSet::new(),
            drained: HashSet::new(),
            weight: 0,
            complete: false,
            left: false,
        }
    }
}

impl Lanes {
    /// Lanes that could send now.
    pub fn ready_len(&self) -> usize {
        self.ready.len()
    }

    /// Lanes held, drained and busy ones included.
    pub fn held(&self) -> usize {
        self.map.len()
    }

    /// Bytes held.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// When the next lane becomes ready that is not ready now.
    pub fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A delivery that was just accepted. What does not fit, or does not follow what is known, stays on disk and is read later.
    pub fn offer(&mut self, waiting: Waiting, channel: &Arc<str>, now: Instant, now_ms: i64) {
        let id = waiting.lane;
        if !self.map.contains_key(&id) {
            if self.map.len() >= MAX_LANES && !self.make_room(order(waiting.rank, waiting.born_at), Some(now)) {
                self.leave();
                return;
            }
            // Only the first delivery of a lane surely has nothing before it on disk.
            let first = waiting.lane_seq == 1;
            let lane = Lane::new(channel, if first { 0 } else { -1 }, order(waiting.rank, waiting.born_at), now);
            self.map.insert(id, lane);
        }
        let weight = weight_of(&waiting);
        let full = self.weight + weight > MAX_WEIGHT;
        let Some(lane) = self.map.get_mut(&id) else { return };
        if waiting.lane_seq <= lane.loaded_to {
            return;
        }
        if lane.on_disk || full || lane.loaded_to + 1 != waiting.lane_seq {
            lane.on_disk = true;
            lane.missed = true;
            lane.ord = lane.ord.min(order(waiting.rank, waiting.born_at));
        } else {
            lane.loaded_to = waiting.lane_seq;
            self.weight += weight;
            lane.queue.push_back(Item { due: due_instant(&waiting, now, now_ms), waiting, weight });
        }
        self.place(id, now);
    }

    /// Something was accepted for a lane without its delivery at hand (a fallback child, a requeue).
    pub fn poke(&mut self, id: LaneId, channel: &Arc<str>, rank: i64, born_at: i64, now: Instant) {
        let ord = order(rank, born_at);
        if !self.map.contains_key(&id) {
            if self.map.len() >= MAX_LANES && !self.make_room(ord, Some(now)) {
                self.leave();
                return;
            }
            self.map.insert(id, Lane::new(channel, -1, ord, now));
        }
        if let Some(lane) = self.map.get_mut(&id) {
            lane.on_disk = true;
            lane.missed = true;
            lane.ord = lane.ord.min(ord);
        }
        self.place(id, now);
    }

    /// Lanes read from the store. `all` says that there are no others. Gives how many of them were news.
    pub fn load(&mut self, heads: Vec<LaneHead>, all: bool, now: Instant, now_ms: i64, intern: impl Fn(&str) -> Arc<str>) -> usize {
        let mut news = 0;
        // What was left behind while the look was under way is not in it.
        self.complete = all && !self.left;
        for head in heads {
            if let Some(lane) = self.map.get_mut(&head.id) {
                // The net under everything else: memory thinks that nothing waits, the store knows better. Read once more, from the beginning.
                if !lane.open && lane.queue.is_empty() && !lane.on_disk {
                    lane.loaded_to = 0;
                    lane.on_disk = true;
                    lane.due = now + ahead(head.due_at, head.since, now_ms).min(LONGEST_MUTE);
                    self.place(head.id, now);
                    news += 1;
                }
                continue;
            }
            let due = ahead(head.due_at, head.since, now_ms).is_zero();
            if self.map.len() >= MAX_LANES && !self.make_room(order(head.rank, head.since), due.then_some(now)) {
                // What cannot be sent yet is not worth a look before the usual one.
                self.left |= due;
                self.complete = false;
                continue;
            }
            let mut lane = Lane::new(&intern(&head.channel), -1, order(head.rank, head.since), now);
            lane.on_disk = true;
            lane.due = now + ahead(head.due_at, head.since, now_ms).min(LONGEST_MUTE);
            self.map.insert(head.id, lane);
            self.place(head.id, now);
            news += 1;
        }
        news
    }

    /// Moves lanes whose time has come to the ready ones.
    pub fn tick(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                break;
            }
            self.place(id, now);
        }
    }

    /// The first ready lane whose channel passes, and its channel.
    pub fn first(&self, mut passes: impl FnMut(&Arc<str>) -> bool) -> Option<(LaneId, Arc<str>)> {
        self.ready.iter().find_map(|(_, id)| {
            let lane = self.map.get(id)?;
            passes(&lane.channel).then(|| (*id, lane.channel.clone()))
        })
    }

    /// The ready lane with the newest delivery in memory among those that pass, and its channel.
    pub fn newest(&self, mut passes: impl FnMut(&Arc<str>, &mut dyn Iterator<Item = &Waiting>) -> bool) -> Option<(LaneId, Arc<str>)> {
        let of = |id: &LaneId| self.map.get(id).map(|lane| (*id, lane));
        let passing =
            self.ready.iter().filter_map(|(_, id)| of(id)).filter(|(_, lane)| passes(&lane.channel, &mut lane.queue.iter().map(|i| &i.waiting)));
        let newest = passing.max_by_key(|(_, lane)| lane.queue.iter().map(|i| i.waiting.born_at).max());
        newest.map(|(id, lane)| (id, lane.channel.clone()))
    }

    /// Up to `n` ready lanes of a channel, most severe first.
    pub fn of_channel(&self, channel: &str, n: usize) -> Vec<LaneId> {
        self.ready.iter().filter(|(_, id)| self.map.get(id).is_some_and(|l| &*l.channel == channel)).take(n).map(|(_, id)| *id).collect()
    }

    /// Takes what is due of a lane for a message, at most `max` deliveries; the lane is open until [`Lanes::close`].
    pub fn take(&mut self, id: LaneId, max: usize, now: Instant) -> Taken {
        let Some(lane) = self.map.get_mut(&id) else { return Taken { lane: id, members: Vec::new(), read_after: None } };
        lane.open = true;
        let mut members = Vec::new();
        let mut rest = VecDeque::new();
        let mut blocked = false;
        // What resolved goes with what fired, though its own mute may end a moment later: else the firing would be told and its end only recorded.
        let released = lane.queue.iter().any(|i| i.waiting.state == State::Deferred && i.due <= now);
        while let Some(item) = lane.queue.pop_front() {
            let deferred = item.waiting.state == State::Deferred;
            // Order holds among what is not muted: a head that waits for its next try holds back what came later.
            let due = item.due <= now || (released && deferred && item.waiting.firing == 0);
            let takes = due && members.len() < max && (deferred || !blocked);
            if takes {
                self.weight -= item.weight;
                members.push(item.waiting);
            } else {
                blocked |= !deferred;
                rest.push_back(item);
            }
        }
        lane.queue = rest;
        let only_muted = lane.queue.iter().all(|i| i.waiting.state == State::Deferred);
        let read_after = (lane.on_disk && only_muted && members.len() < max).then(|| lane.loaded_to.max(0));
        if read_after.is_some() {
            lane.missed = false;
        }
        self.place(id, now);
        Taken { lane: id, members, read_after }
    }

    /// The message of a lane is done (or gave up): what was read, and what goes back to the front.
    pub fn close(&mut self, id: LaneId, read: Option<Read>, back: Vec<Waiting>, now: Instant, now_ms: i64) {
        let Some(lane) = self.map.get_mut(&id) else { return };
        lane.open = false;
        if let Some(read) = read {
            lane.loaded_to = lane.loaded_to.max(read.to);
            lane.on_disk = read.more || lane.missed;
        }
        for waiting in back.into_iter().rev() {
            let weight = weight_of(&waiting);
            self.weight += weight;
            lane.queue.push_front(Item { due: due_instant(&waiting, now, now_ms), waiting, weight });
        }
        lane.queue.make_contiguous().sort_by_key(|i| i.waiting.lane_seq);
        if lane.queue.is_empty() && !lane.on_disk && self.map.len() > MAX_LANES / 2 {
            self.unplace(id);
            self.map.remove(&id);
            return;
        }
        self.place(id, now);
    }

    /// Forgets a lane (moved, adopted, dropped by hand): it is read again when it is poked.
    pub fn forget(&mut self, id: LaneId) {
        if self.map.get(&id).is_some_and(|l| l.open) {
            return;
        }
        self.unplace(id);
        if let Some(lane) = self.map.remove(&id) {
            self.weight -= lane.queue.iter().map(|i| i.weight).sum::<usize>();
        }
    }

    /// Offers may have been lost: of every lane something may wait on disk beyond what is in memory.
    pub fn doubt(&mut self, now: Instant) {
        self.complete = false;
        let ids: Vec<LaneId> = self.map.keys().copied().collect();
        for id in ids {
            if let Some(lane) = self.map.get_mut(&id) {
                lane.on_disk = true;
                lane.missed = true;
            }
            self.place(id, now);
        }
    }

    /// Forgets every lane that has no message under way; what waits is read again.
    pub fn forget_all(&mut self) {
        let ids: Vec<LaneId> = self.map.keys().copied().collect();
        for id in ids {
            self.forget(id);
        }
        for lane in self.map.values_mut() {
            lane.on_disk = true;
            lane.missed = true;
        }
        self.complete = false;
    }

    /// Postpones every ready lane of a channel (muted by hand) to `until`.
    pub fn postpone(&mut self, channel: &str, until: Instant, now: Instant) {
        for id in self.of_channel(channel, usize::MAX) {
            if let Some(lane) = self.map.get_mut(&id) {
                lane.due = until;
                for item in &mut lane.queue {
                    item.due = item.due.max(until);
                }
            }
            self.place(id, now);
        }
    }

    fn leave(&mut self) {
        self.complete = false;
        self.left = true;
    }

    /// Room for one more lane; `ready_at` is now when it could send at once.
    fn make_room(&mut self, for_order: i64, ready_at: Option<Instant>) -> bool {
        if let Some(id) = self.drained.iter().next().copied() {
            self.forget(id);
            return true;
        }
        // What can only send later goes back to disk for what can send now, the last of it first; else the least urgent for something more urgent.
        if let (Some(now), Some(&(at, id))) = (ready_at, self.timers.last())
            && at > now
        {
            self.forget(id);
            self.complete = false;
            return true;
        }
        match self.ready.last().copied() {
            Some((ord, id)) if ord > for_order => {
                self.forget(id);
                self.leave();
                true
            }
            _ => false,
        }
    }

    /// Lanes of which memory knows that something waits: a look at the store need not bring them again.
    pub fn known(&self) -> Vec<LaneId> {
        self.map.iter().filter(|(_, lane)| lane.open || lane.on_disk || !lane.queue.is_empty()).map(|(id, _)| *id).collect()
    }

    /// The channels of the lanes held.
    pub fn channels(&self) -> BTreeSet<Arc<str>> {
        let mut channels = BTreeSet::new();
        for lane in self.map.values() {
            if !channels.contains(&lane.channel) {
                channels.insert(lane.channel.clone());
            }
        }
        channels
    }

    fn unplace(&mut self, id: LaneId) {
        self.drained.remove(&id);
        if let Some(place) = self.map.get_mut(&id).and_then(|lane| lane.place.take()) {
            match place {
                Place::Ready(ord) => self.ready.remove(&(ord, id)),
                Place::Timer(at) => self.timers.remove(&(at, id)),
            };
        }
    }

    fn place(&mut self, id: LaneId, now: Instant) {
        self.unplace(id);
        let Some(lane) = self.map.get_mut(&id) else { return };
        let Some((due, ord)) = lane.next(now) else {
            if !lane.open {
                self.drained.insert(id);
            }
            return;
        };
        let place = if due <= now { Place::Ready(ord) } else { Place::Timer(due) };
        lane.place = Some(place);
        match place {
            Place::Ready(ord) => self.ready.insert((ord, id)),
            Place::Timer(at) => self.timers.insert((at, id)),
        };
    }
}

impl Lane {
    fn new(channel: &Arc<str>, loaded_to: i64, ord: i64, now: Instant) -> Self {
        let known = loaded_to >= 0;
        Self {
            channel: channel.clone(),
            queue: VecDeque::new(),
            loaded_to: loaded_to.max(0),
            on_disk: !known,
            missed: false,
            open: false,
            ord,
            due: now,
            place: None,
        }
    }

    /// When the lane may send next, and its order; `None` when it has nothing or a message of it is under way.
    fn next(&self, now: Instant) -> Option<(Instant, i64)> {
        if self.open {
            return None;
        }
        let head = self.queue.iter().find(|i| i.waiting.state != State::Deferred).map(|i| i.due).or(self.on_disk.then_some(self.due));
        let muted = self.queue.iter().filter(|i| i.waiting.state == State::Deferred).map(|i| i.due).min();
        let due = match (head, muted) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let due = due?;
        let shown = self.queue.iter().filter(|i| i.due <= now.max(due)).map(|i| order(i.waiting.rank, i.waiting.born_at)).min();
        let on_disk = self.on_disk.then_some(self.ord);
        Some((due, shown.into_iter().chain(on_disk).min().unwrap_or(self.ord)))
    }
}

/// Smaller goes first: severity, then age; one rank step is worth five minutes of waiting.
pub fn order(rank: i64, born_at: i64) -> i64 {
    rank.saturating_mul(RANK_STEP).saturating_add(born_at)
}

/// How far ahead a stored due time lies. What was due at its birth is due now: a wall clock that was set back since must not make it wait.
fn ahead(due_at: i64, born_at: i64, now_ms: i64) -> Duration {
    if due_at <= born_at { Duration::ZERO } else { Duration::from_millis(due_at.saturating_sub(now_ms).max(0) as u64) }
}

/// A stored due time on the monotonic clock, clamped to what can legally have been set.
fn due_instant(waiting: &Waiting, now: Instant, now_ms: i64) -> Instant {
    let ahead = ahead(waiting.due_at, waiting.born_at, now_ms);
    // Pauses are the outlet's own; a delivery by itself is never postponed for longer than the schedule's cap.
    let longest = if waiting.state == State::Deferred { LONGEST_MUTE } else { policy::CAP };
    now + ahead.min(longest)
}

/// What a delivery takes in memory, roughly: its columns, and its event's text.
pub fn weight_of(waiting: &Waiting) -> usize {
    512 + waiting.event.as_deref().map_or(0, event_weight)
}

/// Whether an event is too large to be kept while it waits.
pub fn is_large(event: &Event) -> bool {
    event.alerts.len() > heavy::MANY || event_weight(event) > 4 * heavy::LARGE
}

fn event_weight(event: &Event) -> usize {
    let map = |m: &crate::model::Labels| m.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
    event.alerts.iter().map(|a| 512 + map(&a.labels) + map(&a.annotations)).sum()
}

#[cfg(test)]
mod tests;
