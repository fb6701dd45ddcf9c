//! Edits of an outlet: which message is brought up to date next, when nothing that rings is due.

use std::sync::Arc;

use tokio::time::Instant;

use crate::delivery::edit::{EditResult, EditTask, LONGEST_WAIT, keeps_its_edit};
use crate::delivery::plan::ChannelPlan;
use crate::model::UnixMs;
use crate::store::{DirtyAnchor, StoreError};

use super::ownership::Signal;
use super::polled::POLL_INTERVAL;
use super::worker::Worker;

/// Messages that one look finds.
const FOUND: usize = 16;

impl Worker {
    /// Looks for messages to edit, and edits one, when nothing that rings may start.
    pub(super) fn start_edits(&mut self, now: Instant, wall: UnixMs) {
        let names = self.edited_channels();
        if names.is_empty() || self.inbox.mailbox.saves() {
            (self.edits.full, self.edits.due_at) = (false, None);
            self.edits.found.clear();
            self.edits.look_at = now + POLL_INTERVAL;
            return;
        }
        if !self.edits.is_idle() || now < self.edits.paused_until {
            return;
        }
        self.edits.due_at = None;
        while let Some(next) = self.edits.found.last() {
            let wait = next.anchor.next_edit_at.since(wall);
            // A longer wait is of a clock that was set back.
            if !wait.is_zero() && wait <= LONGEST_WAIT {
                self.edits.due_at = Some(now + wait);
                break;
            }
            let Some(channel) = self.channel(&next.anchor.channel) else {
                self.edits.found.pop();
                continue;
            };
            let sends = !keeps_its_edit(&channel, &next.anchor, &next.incident);
            let counts = sends && (next.anchor.ids.is_empty() || channel.driver.living(channel.platform).edits_counted);
            let counted = channel.driver.counted(std::slice::from_ref(&next.anchor.recipient));
            let slot = self.rate.slot(now, &counted);
            if counts && slot > now {
                self.edits.due_at = Some(slot);
                break;
            }
            let posts = next.anchor.ids.is_empty();
            if posts && !self.in_flight.tasks.is_empty() {
                break;
            }
            let Some(dirty) = self.edits.found.pop() else { break };
            // One message to several is edited for all of them.
            self.edits.found.retain(|other| !dirty.anchor.is_one_message(&other.anchor));
            self.edits.posting = posts;
            if counts {
                self.rate.begin(now, &counted);
                self.edits.counted = Some(counted);
            }
            self.start_edit(channel, dirty);
            return;
        }
        if self.edits.is_due(now) {
            // An act on another node wakes no worker here.
            self.edits.look(now, self.poll_interval());
            let shared = self.shared.clone();
            self.edits.looking.spawn(async move { shared.store.dirty_anchors(&names, wall, FOUND).await });
        }
    }

    fn start_edit(&mut self, channel: Arc<ChannelPlan>, dirty: DirtyAnchor) {
        let task = EditTask { shared: self.shared.clone(), plan: self.shared.plan.load_full(), channel, outlet: self.owned_outlet() };
        self.edits.tasks.spawn(task.run(dirty));
    }

    /// What a look found.
    pub(super) fn edits_found(&mut self, found: Result<Vec<DirtyAnchor>, StoreError>) {
        let outdated = std::mem::take(&mut self.edits.outdated);
        match found {
            Ok(mut found) => {
                // More than that many are due: as soon as these are done.
                let wall = self.shared.clock.wall();
                self.edits.full = found.len() == FOUND && found.last().is_some_and(|last| last.anchor.next_edit_at <= wall);
                // What was gone may have been posted by the message that ended meanwhile.
                found.retain(|dirty| !outdated || !dirty.anchor.ids.is_empty());
                found.reverse();
                self.edits.found = found;
            }
            Err(error) => {
                self.edits.full = false;
                self.shared.health.request_failed(&error);
            }
        }
    }

    /// An edit ended.
    pub(super) fn edit_finished(&mut self, result: &EditResult) {
        let now = self.shared.clock.now();
        self.end_edit(now.mono);
        if let Some(until) = result.paused_until {
            self.edits.paused_until = now.mono + until.since(now.wall);
        }
        if result.fenced {
            self.ownership = self.ownership.on(Signal::Fenced);
        }
        self.edits.look_soon(now.mono);
    }

    /// No edit is in flight any more.
    pub(super) fn end_edit(&mut self, now: Instant) {
        self.edits.posting = false;
        if let Some(counted) = self.edits.counted.take() {
            self.rate.end(now, &counted);
        }
    }

    /// The outlet's channels that keep their messages up to date, or did: a message that was edited is until its incident ends.
    fn edited_channels(&self) -> Vec<String> {
        let plan = self.shared.plan.load();
        let lives = |channel: &ChannelPlan| channel.outlet == self.outlet && !channel.disabled && channel.can_edit();
        plan.channels.values().filter(|channel| lives(channel)).map(|channel| channel.name.to_string()).collect()
    }
}
