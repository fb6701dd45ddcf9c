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
    /// Whether a message ended since the look that is on its way began.
    pub(super) outdated: bool,
    /// At most one is in flight.
    pub(super) tasks: JoinSet<EditResult>,
    /// What the last look found and was not edited yet, the first at the end.
    pub(super) found: Vec<DirtyAnchor>,
    /// When to look next.
    pub(super) look_at: Instant,
    pub(super) looked_at: Instant,
    /// Whether the last look found as many as it reads: there are more.
    pub(super) full: bool,
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
            outdated: false,
            tasks: JoinSet::new(),
            found: Vec::new(),
            look_at: now,
            looked_at: now - LOOK_INTERVAL,
            full: false,
            paused_until: now,
            due_at: None,
            posting: false,
            counted: None,
        }
    }

    /// A message ended: what was found before may have another place now.
    pub(super) fn look_again(&mut self, now: Instant) {
        self.outdated |= !self.looking.is_empty();
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
        Some(next.max(self.paused_until))
    }

    /// What rings comes first, or nothing may start: the next look is later.
    pub(super) fn postpone(&mut self, now: Instant) {
        self.found.clear();
        self.due_at = None;
        self.look_at = self.look_at.max(now + LOOK_INTERVAL);
    }

    /// Whether it is time to look. Of very many, the next are read as soon as those that were found are done or were let go for what rings: a look a second would
    /// leave them behind indefinitely where messages ring all the time.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.look_at || (self.full && self.found.is_empty())
    }

    /// Looks now, and again after `interval` at the latest.
    pub(super) fn look(&mut self, now: Instant, interval: Duration) {
        (self.look_at, self.looked_at) = (now + interval, now);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.looking.is_empty() && self.tasks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER: Duration = Duration::from_secs(60);

    /// When it looks, in tenths of a second, while for ten seconds messages ring: each begins at a multiple of three, and takes one.
    fn looks(edits: &mut Edits, start: Instant) -> Vec<u32> {
        let at = |tenths: u32| start + Duration::from_millis(100) * tenths;
        let mut looked = Vec::new();
        for begun in (3..100).step_by(3) {
            edits.postpone(at(begun));
            edits.look_again(at(begun + 1));
            if edits.is_due(at(begun + 1)) {
                looked.push(begun + 1);
                edits.look(at(begun + 1), LATER);
            }
        }
        looked
    }

    #[tokio::test]
    async fn messages_that_ring_all_the_time_leave_edits_their_turns() {
        let start = Instant::now();
        let mut edits = Edits::new(start);
        edits.look(start, LATER);
        assert_eq!(looks(&mut edits, start), [10, 22, 34, 46, 58, 70, 82, 94], "once a second, between two messages");
        edits.look(start, LATER);
        edits.full = true;
        assert_eq!(looks(&mut edits, start).len(), 33, "of very many, after each message");
    }

    #[tokio::test]
    async fn what_one_look_did_not_read_is_read_as_soon_as_the_rest_is_done() {
        let now = Instant::now();
        let mut edits = Edits::new(now);
        edits.look(now, LATER);
        assert!(!edits.is_due(now));
        edits.full = true;
        assert!(edits.is_due(now));
    }
}
