//! Where deliveries are at home: a reload may give a channel another name or another outlet, and what waits, or is under way, goes with it.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::MessageId;
use crate::store::StoreError;

use super::engine::Shared;
use super::plan::ChannelPlan;
use super::runner::{LOOK_AGAIN, Runner};

impl Shared {
    /// The channel that has the deliveries of `name` now: the one of that name, else its successor.
    pub(super) fn home(&self, name: &str) -> Option<Arc<ChannelPlan>> {
        let plan = self.plan.load();
        plan.channel(name).or_else(|| plan.channels.values().find(|channel| channel.was.iter().any(|was| was == name))).cloned()
    }

    /// Moves what is stored under a channel's former names and credentials to it. If it was anything, the runner that has it now starts over from the
    /// store: what it holds in memory is of before.
    pub(super) async fn bring_home(&self, channel: &ChannelPlan) -> Result<(), StoreError> {
        let mut moved = 0;
        for old in &channel.was {
            let adopted = self.store.adopt(old, &channel.name, &channel.outlet).await?;
            if adopted > 0 {
                tracing::info!(from = %old, to = %channel.name, moved = adopted, "adopted the waiting deliveries of a renamed channel");
            }
            moved += adopted;
        }
        moved += self.store.assign(&channel.name, &channel.outlet).await?;
        if moved > 0 {
            self.start_over(&channel.outlet);
        }
        Ok(())
    }
}

impl Runner {
    /// Whether the channel of that name, or its successor, is another outlet's or has another name now. Then the runner starts over from the store once
    /// nothing is under way, and brings home what it wrote in the meantime.
    pub(super) fn is_stray(&mut self, name: &Arc<str>) -> bool {
        if self.channel(name).is_some() || self.shared.home(name).is_none() {
            return false;
        }
        self.strays.insert(name.clone());
        self.epoch = 0;
        true
    }

    /// Whether strays were brought home a moment ago: what is still one then waits for the next look.
    pub(super) fn brought_lately(&self, now: Instant) -> bool {
        self.brought.is_some_and(|at| now.duration_since(at) < LOOK_AGAIN)
    }

    /// Brings strays home; `false` when the store did not take it, and it is to be tried again.
    pub(super) async fn bring_strays(&mut self) -> bool {
        while let Some(name) = self.strays.first().cloned() {
            if let Some(home) = self.shared.home(&name)
                && let Err(error) = self.shared.bring_home(&home).await
            {
                self.shared.store_failed(&error);
                return false;
            }
            self.strays.remove(&name);
            self.brought = Some(self.shared.clock.instant());
        }
        true
    }

    /// Compares the outlet's open messages with those in memory. One that memory does not know in two looks after each other came from elsewhere (another
    /// node moved it here): its lanes would wait for it for ever, so the runner starts over from the store.
    pub(super) fn compare(&mut self, open: Vec<MessageId>) {
        let mine: HashSet<MessageId> = self.jobs.iter().map(|job| job.id).chain(self.running.iter().copied()).collect();
        let unknown: HashSet<MessageId> = open.into_iter().filter(|id| !mine.contains(id)).collect();
        if let Some(id) = unknown.iter().find(|id| self.unknown.contains(id)) {
            tracing::warn!(outlet = %self.outlet, message_id = %id, "a message that is under way is not in memory; the outlet starts over from the store");
            self.epoch = 0;
            self.unknown.clear();
            return;
        }
        self.unknown = unknown;
    }
}
