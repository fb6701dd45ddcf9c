//! What is dropped from memory: because it is stale, or because others need the room. Everything is on disk, too.

use tokio::time::Instant;

use crate::model::LaneId;

use super::budget::{LANE_BYTES, Reservation};
use super::lane::sooner;
use super::{Lanes, MAX_LANES, MIN_LANES};

impl Lanes {
    /// Drops a lane from memory (moved, renamed, dropped by hand): it is read again when it is marked dirty, or when its message is done.
    pub fn evict(&mut self, id: LaneId) {
        if let Some(lane) = self.map.get_mut(&id).filter(|lane| lane.in_flight) {
            lane.stale = true;
            return;
        }
        self.unindex(id);
        if let Some(mut lane) = self.map.remove(&id) {
            self.bytes -= lane.clear();
        }
    }

    /// Commands may have been lost: memory may lack deliveries of any lane.
    pub fn invalidate_all(&mut self, now: Instant) {
        self.complete = false;
        let ids: Vec<LaneId> = self.map.keys().copied().collect();
        for id in ids {
            if let Some(lane) = self.map.get_mut(&id) {
                sooner(&mut lane.reload_at, now);
            }
            self.index(id, now);
        }
    }

    /// Drops every lane from memory; what waits is read again.
    pub fn evict_all(&mut self) {
        let ids: Vec<LaneId> = self.map.keys().copied().collect();
        for id in ids {
            self.evict(id);
        }
        self.complete = false;
    }

    /// Drops the ready lanes of a channel that is muted by hand: they take no memory from others until the mute ends.
    pub fn evict_channel(&mut self, channel: &str) {
        for id in self.ready_of_channel(channel, usize::MAX) {
            self.evict(id);
        }
    }

    /// When memory is short, drops the lanes of which nothing is known to wait: others need the room.
    pub fn evict_empty(&mut self) {
        if self.budget.is_short() {
            let empty: Vec<LaneId> = self.empty.iter().copied().collect();
            empty.into_iter().for_each(|id| self.evict(id));
        }
    }

    pub(super) fn note_overflow(&mut self) {
        self.complete = false;
        self.overflowed = true;
    }

    /// Room for one more lane; `ready_at` is now when it could send at once.
    pub(super) fn reserve_lane(&mut self, for_priority: i64, ready_at: Option<Instant>) -> Option<Reservation> {
        if self.map.len() >= MAX_LANES && !self.evict_one(for_priority, ready_at) {
            return None;
        }
        if let Some(share) = self.budget.try_reserve(LANE_BYTES) {
            return Some(share);
        }
        // Memory is full, of other outlets' lanes perhaps: each keeps a few anyway.
        if self.map.len() >= MIN_LANES && !self.evict_one(for_priority, ready_at) {
            return None;
        }
        Some(self.budget.reserve(LANE_BYTES))
    }

    fn evict_one(&mut self, for_priority: i64, ready_at: Option<Instant>) -> bool {
        if let Some(id) = self.empty.iter().next().copied() {
            self.evict(id);
            return true;
        }
        // What can only send later goes back to disk for what can send now, the last of it first; else the least urgent for something more urgent.
        if let (Some(now), Some(&(at, id))) = (ready_at, self.timers.last())
            && at > now
        {
            self.evict(id);
            self.complete = false;
            return true;
        }
        match self.ready.last().copied() {
            Some((priority, id)) if priority > for_priority => {
                self.evict(id);
                self.note_overflow();
                true
            }
            _ => false,
        }
    }
}
