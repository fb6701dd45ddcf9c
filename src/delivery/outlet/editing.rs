//! What a worker knows of the messages that it keeps up to date.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::channel::Counted;
use crate::delivery::edit::EditResult;
use crate::store::{DirtyAnchor, StoreError};

/// How often a worker looks for messages to edit, at most.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a worker knows of the messages that it keeps up to date.
pub(super) struct Edits {
    pub(super) looking: JoinSet<Result<Vec<DirtyAnchor>, StoreError>>,
    /// At most one is in flight.
    pub(super) tasks: JoinSet<EditResult>,
    /// What the last look found and was not edited yet, the first at the end.
    pub(super) found: Vec<DirtyAnchor>,
    /// When to look next.
    pub(super) look_at: Instant,
    pub(super) looked_at: Instant,
    /// Whether there was more than that look read, or than was edited of it.
    pub(super) more: bool,
    /// What rings comes first, or nothing may start: unless something ends before, it is tried again then.
    not_before: Instant,
    /// The platform takes no edits before this; what rings it may take.
    pub(super) paused_until: Instant,
    /// When the first of what was found may be edited.
    pub(super) due_at: Option<Instant>,
    /// Whether the one in flight posts a message in place of one that is gone: a card that rings would make two of it.
    pub(super) posting: bool,
    /// What the platform counts the one in flight against, where it counts edits as messages.
    pub(super) counted: Option<Counted>,
}

impl Edits {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            looking: JoinSet::new(),
            tasks: JoinSet::new(),
            found: Vec::new(),
            look_at: now,
            looked_at: now - LOOK_INTERVAL,
            more: false,
            not_before: now,
            paused_until: now,
            due_at: None,
            posting: false,
            counted: None,
        }
    }

    /// A message ended: what was found before may have another place now, and is looked for again.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.more |= !self.found.is_empty() && self.due_at.is_none();
        self.found.clear();
        self.due_at = None;
        self.look_soon(now);
    }

    /// Something may have changed: looks soon.
    pub(super) fn look_soon(&mut self, now: Instant) {
        self.look_at = self.look_at.min(now.max(self.looked_at + LOOK_INTERVAL));
    }

    /// When it has something to do; `None` while it is at work.
    pub(super) fn wake(&self) -> Option<Instant> {
        if !self.looking.is_empty() || !self.tasks.is_empty() {
            return None;
        }
        let next = self.due_at.map_or(self.look_at, |due| due.min(self.look_at));
        Some(next.max(self.paused_until).max(self.not_before))
    }

    /// What rings comes first, or nothing may start. What was found a while ago is looked for again: however many messages ring, edits have their turns between
    /// them.
    pub(super) fn postpone(&mut self, now: Instant) {
        if now >= self.looked_at + LOOK_INTERVAL {
            self.found.clear();
            self.due_at = None;
            self.look_at = self.look_at.min(now);
        }
        self.not_before = now + LOOK_INTERVAL;
    }

    /// Whether it is time to look for some.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.look_at || (self.more && self.found.is_empty())
    }

    /// Looks now, and again after `interval` at the latest.
    pub(super) fn look(&mut self, now: Instant, interval: Duration) {
        (self.look_at, self.looked_at, self.more) = (now + interval, now, false);
    }

    /// Edits may start.
    pub(super) fn may_start(&mut self, now: Instant) {
        self.not_before = now;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.looking.is_empty() && self.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn however_many_messages_ring_edits_have_their_turns_between_them() {
        let start = Instant::now();
        let mut edits = Edits::new(start);
        edits.look(start, LATER);
        let mut looked = Vec::new();
        for n in 1..=10 {
            let now = start + Duration::from_millis(400) * n;
            edits.postpone(now);
            assert_eq!(edits.wake(), Some(now + LOOK_INTERVAL), "while it is on its way, nothing else wakes the worker sooner");
            let ended = now + Duration::from_millis(100);
            edits.look_again(ended);
            edits.may_start(ended);
            if edits.is_due(ended) {
                looked.push(n);
                edits.look(ended, LATER);
            }
        }
        assert_eq!(looked, [3, 6, 9]);
    }

    #[tokio::test]
    async fn what_one_look_did_not_read_is_read_as_soon_as_the_rest_is_done() {
        let now = Instant::now();
        let mut edits = Edits::new(now);
        edits.look(now, LATER);
        assert!(!edits.is_due(now));
        edits.more = true;
        assert!(edits.is_due(now));
        edits.look(now, LATER);
        assert!(!edits.is_due(now));
    }
}
