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
            paused_until: now,
            due_at: None,
            posting: false,
            counted: None,
        }
    }

    /// A message ended: what was found before may have another place now.
    pub(super) fn look_again(&mut self, now: Instant) {
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

    pub(super) fn is_idle(&self) -> bool {
        self.looking.is_empty() && self.tasks.is_empty()
    }
}
