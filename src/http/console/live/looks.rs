//! What the task that looks at the store found lately, for consoles that open or wake up: they read nothing of their own.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::http::console::headline::Headline;
use crate::http::console::incident::Known;
use crate::model::{IncidentId, UnixMs};

/// Updates that a slow console may be behind, and that are kept for others.
pub(super) const BEHIND: usize = 64;
/// Rows of one update.
pub(super) const MAX_ROWS: usize = 150;
/// Rows that are kept of all updates: each holds an alert with all its texts.
const MAX_KEPT: usize = 600;

/// Incidents that changed, shared by all consoles.
pub(super) type Rows = Arc<[Arc<Known>]>;

/// What changed between two looks.
#[derive(Clone)]
pub(super) struct Update {
    /// When the look began.
    pub(super) at: UnixMs,
    pub(super) changed: Rows,
    /// The numbers of the open incidents.
    pub(super) open: Arc<Vec<i64>>,
    /// What the page says of all that are open.
    pub(super) head: Headline,
}

/// What the looks of one task found.
struct Found {
    /// From when on nothing is missing.
    since: UnixMs,
    /// The newest updates, each with when it had been read.
    updates: VecDeque<(UnixMs, Update)>,
}

impl Found {
    /// Keeps an update; of each incident the newest row only.
    fn push(&mut self, read_at: UnixMs, update: Update) {
        let newer: HashSet<IncidentId> = update.changed.iter().map(|known| known.incident.id).collect();
        for (_, old) in &mut self.updates {
            if old.changed.iter().any(|known| newer.contains(&known.incident.id)) {
                old.changed = old.changed.iter().filter(|known| !newer.contains(&known.incident.id)).cloned().collect();
            }
        }
        self.updates.push_back((read_at, update));
        let rows = |updates: &VecDeque<(UnixMs, Update)>| updates.iter().map(|(_, update)| update.changed.len()).sum::<usize>();
        while self.updates.len() > 1 && (self.updates.len() > BEHIND || rows(&self.updates) > MAX_KEPT) {
            let Some((read_at, _)) = self.updates.pop_front() else { break };
            self.since = UnixMs(read_at.0 + 1);
        }
    }

    /// What changed since for a page whose newest incident has that number, each incident once, with the head of now; and whether that is all.
    fn after(&self, from: UnixMs, newest: i64) -> Option<(Update, bool)> {
        let (_, last) = self.updates.back()?;
        let later = self.updates.iter().rev().take_while(|(read_at, _)| *read_at >= from);
        let mut seen = HashSet::new();
        let rows = later.flat_map(|(_, update)| update.changed.iter());
        let rows = rows.filter(|known| known.incident.id.0 <= newest && seen.insert(known.incident.id));
        Some((Update { changed: rows.take(MAX_ROWS).cloned().collect(), ..last.clone() }, from >= self.since))
    }
}

/// Whether a task looks at the store, and what it found.
#[derive(Default)]
pub(super) struct Looks {
    busy: AtomicBool,
    found: Mutex<Option<Found>>,
}

/// The one that looks; another may when it is dropped, however it ends.
pub(super) struct Looking<'a>(&'a Looks);

impl Looks {
    /// `None` where a task looks already.
    pub(super) fn begin(&self) -> Option<Looking<'_>> {
        if self.busy.swap(true, Ordering::AcqRel) { None } else { Some(Looking(self)) }
    }

    fn found(&self) -> MutexGuard<'_, Option<Found>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what a look found. It is kept before it is sent: a console that is already counted gets it in one way or the other.
    pub(super) fn keep(&self, read_at: UnixMs, update: &Update) {
        let mut found = self.found();
        found.get_or_insert_with(|| Found { since: read_at, updates: VecDeque::new() }).push(read_at, update.clone());
    }

    /// What changed since a time of what a page may show, and whether that is all; `None` where nobody looked yet.
    pub(super) fn after(&self, from: UnixMs, newest: i64) -> Option<(Update, bool)> {
        self.found().as_ref()?.after(from, newest)
    }

    /// Whether the task ends: nothing is kept when nobody looks. A console is counted before it asks what is kept, so that it keeps the task.
    pub(super) fn ends(&self, needed: impl Fn() -> bool) -> bool {
        let mut found = self.found();
        let ends = !needed();
        if ends {
            *found = None;
        }
        ends
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        *self.0.found() = None;
        self.0.busy.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(at: i64, open: usize) -> Update {
        let head = Headline { open, firing: open, acked: 0, snoozed: 0 };
        Update { at: UnixMs(at), changed: Rows::default(), open: Arc::default(), head }
    }

    #[test]
    fn one_task_looks_and_the_next_may_when_it_ended_by_a_panic() {
        let looks = Looks::default();
        let first = looks.begin();
        assert!(first.is_some() && looks.begin().is_none() && looks.begin().is_none());
        looks.keep(UnixMs(5), &update(4, 1));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _first = first;
            panic!("a defect");
        }));
        assert!(ended.is_err() && looks.after(UnixMs(9), 0).is_none(), "what changes until the next looks is in no update");
        assert!(looks.begin().is_some());
    }

    #[test]
    fn what_was_found_is_all_for_a_page_that_is_not_older_than_the_first_look() {
        let looks = Looks::default();
        assert!(looks.after(UnixMs(0), 0).is_none());
        looks.keep(UnixMs(10), &update(9, 1));
        looks.keep(UnixMs(20), &update(19, 2));
        let after = |from: i64| looks.after(UnixMs(from), 0).map(|(update, whole)| (update.head.open, update.at, whole));
        assert_eq!(after(9), Some((2, UnixMs(19), false)), "the head is right anyway");
        assert_eq!(after(10), Some((2, UnixMs(19), true)));
        assert_eq!(after(500), Some((2, UnixMs(19), true)), "nothing changed since");
        for n in 3..=i64::try_from(BEHIND).unwrap() + 2 {
            looks.keep(UnixMs(n * 10), &update(n * 10 - 1, 3));
        }
        assert_eq!((after(20).unwrap().2, after(21).unwrap().2), (false, true), "the two oldest are not kept any more");
        assert!(!looks.ends(|| true) && looks.after(UnixMs(500), 0).is_some());
        assert!(looks.ends(|| false) && looks.after(UnixMs(500), 0).is_none());
    }
}
