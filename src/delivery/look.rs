//! How a runner looks at the store: for lanes when memory runs low, and, from time to time, whether memory and store agree.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::MessageId;
use crate::store::LaneQuery;

use super::lanes::{AHEAD, FEW_LANES, MAX_LANES};
use super::runner::{CALLED, LOOK_AGAIN, LOOK_AGAIN_SHARED, LoadResult, REFILL, Runner};

impl Runner {
    /// Reads lanes from the store when memory runs low and something may wait there.
    pub(super) fn look(&mut self, now: Instant) {
        if self.lanes.left && self.loading.is_empty() {
            self.refill_at = self.refill_at.min(now + REFILL);
        }
        let low = !self.lanes.complete && self.lanes.ready_len() < MAX_LANES / 8 && now >= self.refill_at;
        if !self.loading.is_empty() || (now < self.look_at && !low) {
            return;
        }
        let regular = now >= self.look_at;
        if regular {
            self.look_for_strays(now);
        }
        self.look_at = now + if self.shared.leased() { LOOK_AGAIN_SHARED } else { LOOK_AGAIN };
        let now_ms = self.shared.clock.now_ms();
        let mutes = self.muted(now_ms);
        // What a mute holds back is looked for when it ends.
        if let Some(end) = mutes.iter().map(|(_, until)| *until).min() {
            self.look_at = self.look_at.min(now + Duration::from_millis((end - now_ms).max(1) as u64));
        }
        self.refill_at = now + LOOK_AGAIN;
        self.lanes.left = false;
        let (shared, outlet) = (self.shared.clone(), self.outlet.clone());
        self.called.retain(|_, at| now.duration_since(*at) < CALLED);
        let limit = if self.shared.budget.is_short() { FEW_LANES } else { MAX_LANES };
        self.lanes.shed();
        let mut except = self.lanes.known(now);
        except.extend(self.called.keys());
        let muted = mutes.into_iter().map(|(name, _)| name.to_string()).collect();
        let sought = LaneQuery { due_by: now_ms + AHEAD.as_millis() as i64, except, muted, limit };
        self.loading.spawn(async move {
            let open = if regular { Some(shared.store.open_messages(&outlet).await?) } else { None };
            Ok((shared.store.ready_lanes(&outlet, sought).await?, limit, open))
        });
    }

    /// The outlet's channels that are muted by hand, and until when.
    fn muted(&self, now_ms: i64) -> Vec<(Arc<str>, i64)> {
        let plan = self.shared.plan.load();
        let mine = plan.channels.values().filter(|channel| channel.outlet == self.outlet);
        mine.filter_map(|channel| Some((channel.name.clone(), self.shared.muted_until(&channel.name, now_ms)?))).collect()
    }

    pub(super) fn loaded(&mut self, loaded: LoadResult) {
        let (now, now_ms) = (self.shared.clock.instant(), self.shared.clock.now_ms());
        match loaded {
            Ok((heads, limit, open)) => {
                if let Some(open) = open {
                    self.compare(&open);
                }
                let all = heads.len() < limit;
                let (calls, heads): (Vec<_>, Vec<_>) = heads.into_iter().partition(|head| head.key.starts_with(super::accept::CALL_LANE));
                self.find_calls(calls);
                let shared = self.shared.clone();
                let news = self.lanes.load(heads, all, now, now_ms, |name| shared.name(name));
                // Only a look that found something new is worth repeating soon, or one that something was left behind after.
                if news > 0 || self.lanes.left {
                    self.refill_at = now + REFILL;
                }
            }
            Err(error) => {
                self.shared.store_failed(&error);
                self.look_at = now + Duration::from_secs(1);
            }
        }
    }

    /// Compares the outlet's open messages with those in memory. One that memory does not know, or one of memory that is not open here, in two looks after
    /// each other was moved by another node: the runner starts over from the store, else its lanes would wait for ever.
    fn compare(&mut self, open: &[MessageId]) {
        let known = |id: &MessageId| self.running.contains_key(id) || self.ended.contains(id) || self.jobs.iter().any(|job| job.id == *id);
        let gone = self.jobs.iter().filter(|job| job.stored && !open.contains(&job.id)).map(|job| job.id);
        let differ: HashSet<MessageId> = open.iter().filter(|id| !known(id)).copied().chain(gone).collect();
        if let Some(id) = differ.iter().find(|id| self.unknown.contains(id)) {
            tracing::warn!(outlet = %self.outlet, message_id = %id, "memory and store differ about a message under way; the outlet starts over from the store");
            self.again = true;
        }
        self.unknown = differ;
    }
}
