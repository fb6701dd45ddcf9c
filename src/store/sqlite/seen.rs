//! What the writer remembers of dedup keys: where each stands in the table, which is ordered by arrival and has no index over its keys.
//!
//! A key-ordered table would write one page at a random place for every event. Remembered are eight bytes of each key; a hit is looked up, so
//! that keys which only begin alike are never taken for one another. The memory follows the transaction: it is undone when that is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

use super::failure::Fail;
use super::rows::{bytes, uuid};
use crate::model::EventId;
use crate::store::{Dedup, StoreError};

/// Keys remembered at most, about 45 MiB; the oldest are forgotten first, and a repeat of one that was still within the window is delivered again.
/// At the usual window of two minutes that takes more than 8,000 events a second, sustained.
const MOST: usize = 1_000_000;
/// Keys removed in one step. Every event has one and they live for minutes, so a step must keep up with thousands of events a second.
const STEP: usize = 20_000;

/// How often it is said that keys are forgotten early.
const TELL: Duration = Duration::from_secs(600);

/// The beginning of a key.
type Short = u64;

fn short(key: &[u8]) -> Short {
    key.first_chunk().map_or(0, |first| Short::from_le_bytes(*first))
}

struct Row {
    id: i64,
    short: Short,
    seen_at: i64,
}

/// What one insertion changed.
struct Undo {
    short: Short,
    before: Option<i64>,
}

/// The memory.
#[derive(Default)]
pub(super) struct Seen {
    loaded: bool,
    rows: HashMap<Short, i64>,
    order: VecDeque<Row>,
    next: i64,
    undo: Vec<Undo>,
    /// So many of the oldest go with the transaction.
    leaving: usize,
    /// The window of the newest one.
    window: i64,
    /// When it was last said that keys are forgotten early.
    told: Option<Instant>,
}

/// The memory, which is the writer's: the lock is always free.
pub(super) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    // A defect in one request is caught, and its transaction undone with what it noted here.
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// Reads the table, once.
    fn load(&mut self, db: &Connection) -> Result<(), Fail> {
        if self.loaded {
            return Ok(());
        }
        let mut select = db.prepare("SELECT id, key, seen_at FROM dedup ORDER BY id")?;
        let mut rows = select.query([])?;
        (self.rows, self.order, self.next) = Default::default();
        while let Some(row) = rows.next()? {
            let (id, short) = (row.get(0)?, short(&row.get::<_, Vec<u8>>(1)?));
            self.order.push_back(Row { id, short, seen_at: row.get(2)? });
            self.rows.insert(short, id);
            self.next = id + 1;
        }
        self.loaded = true;
        Ok(())
    }

    /// The first event with this key, when it was seen within the window; else the key now stands for `event`.
    pub(super) fn first(&mut self, db: &Connection, dedup: &Dedup, event: EventId, now: i64) -> Result<Option<EventId>, Fail> {
        self.load(db)?;
        let short = short(&dedup.key);
        let before = self.rows.get(&short).copied();
        if let Some(id) = before {
            let mut select = db.prepare_cached("SELECT event_id, seen_at FROM dedup WHERE id = ?1 AND key = ?2")?;
            let found = select.query_row(params![id, &dedup.key[..]], |row| Ok((uuid(row, 0)?, row.get::<_, i64>(1)?))).optional()?;
            if let Some((first, at)) = found {
                // A row from the future (the clock was set back) must not swallow events until the clock has caught up with it.
                if at > now - dedup.window && at <= now + dedup.window {
                    return Ok(Some(EventId(first)));
                }
                db.prepare_cached("DELETE FROM dedup WHERE id = ?1")?.execute([id])?;
            }
        }
        let id = self.next;
        let mut insert = db.prepare_cached("INSERT INTO dedup (id, key, event_id, seen_at) VALUES (?1, ?2, ?3, ?4)")?;
        if let Err(error) = insert.execute(params![id, &dedup.key[..], bytes(&event.0), now]) {
            if error.sqlite_error_code() != Some(ErrorCode::ConstraintViolation) {
                return Err(error.into());
            }
            // The table has a row that memory does not know of. No event may be refused for good because of it.
            self.forget();
            return Err(Fail::Undo(StoreError::Unavailable("the keys of repeats are read anew; try again".into())));
        }
        self.window = dedup.window;
        self.rows.insert(short, id);
        self.order.push_back(Row { id, short, seen_at: now });
        self.next += 1;
        self.undo.push(Undo { short, before });
        Ok(None)
    }

    /// Knows nothing any more and reads the table again when it is next asked: what is on disk may be something else than what was told.
    pub(super) fn forget(&mut self) {
        *self = Self { told: self.told, ..Self::default() };
    }

    /// Removes keys that were seen before `before`, a step of them.
    pub(super) fn purge(&mut self, db: &Connection, before: i64) -> Result<(), Fail> {
        self.load(db)?;
        // What came before an old one is old, whatever the clock said then.
        let end = self.order.len().min(self.leaving + STEP);
        let old = self.order.range(self.leaving..end).rposition(|row| row.seen_at < before).map_or(0, |at| at + 1);
        let Some(first_kept) = self.order.get(self.leaving + old).map(|row| row.id).or((old > 0).then_some(self.next)) else { return Ok(()) };
        // What memory has forgotten by itself stands before them in the table.
        db.prepare_cached("DELETE FROM dedup WHERE id < min(?1, (SELECT min(id) FROM dedup) + ?2)")?.execute(params![first_kept, STEP as i64])?;
        self.leaving += old;
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn committed(&mut self) {
        self.undo.clear();
        let leaving = std::mem::take(&mut self.leaving);
        let over = (self.order.len() - leaving).saturating_sub(MOST);
        let newest = self.order.back().map_or(0, |row| row.seen_at);
        let early = |row: &Row| newest - row.seen_at < self.window;
        if over > 0 && self.order.get(leaving + over - 1).is_some_and(early) && self.told.is_none_or(|at| at.elapsed() > TELL) {
            self.told = Some(Instant::now());
            tracing::warn!(
                remembered = MOST,
                "more events came within the dedup window than are remembered; repeats of the oldest are delivered again"
            );
        }
        for row in self.order.drain(..leaving + over) {
            if self.rows.get(&row.short) == Some(&row.id) {
                self.rows.remove(&row.short);
            }
        }
    }

    /// Nothing of the transaction remains.
    pub(super) fn rolled_back(&mut self) {
        self.leaving = 0;
        if !self.loaded {
            return self.undo.clear();
        }
        for change in self.undo.drain(..).rev() {
            match change.before {
                Some(id) => self.rows.insert(change.short, id),
                None => self.rows.remove(&change.short),
            };
            self.order.pop_back();
            self.next -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIN: i64 = 60_000;

    fn table() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../schema.sql")).unwrap();
        db.execute_batch(include_str!("schema_4.sql")).unwrap();
        db
    }

    /// A key whose first eight bytes are `start` and whose last one is `end`.
    fn key(start: u8, end: u8) -> Dedup {
        let mut key = [start; 32];
        key[31] = end;
        Dedup { key, window: 2 * MIN }
    }

    fn rows(db: &Connection) -> i64 {
        db.query_row("SELECT count(*) FROM dedup", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_key_stands_for_its_first_event_within_the_window_and_after_a_restart() {
        let (db, mut seen) = (table(), Seen::default());
        let (first, second, third) = (EventId::new(), EventId::new(), EventId::new());
        assert_eq!(seen.first(&db, &key(1, 1), first, 0).unwrap(), None);
        assert_eq!(seen.first(&db, &key(1, 1), second, MIN).unwrap(), Some(first));
        seen.committed();
        let mut restarted = Seen::default();
        assert_eq!(restarted.first(&db, &key(1, 1), second, MIN).unwrap(), Some(first));
        assert_eq!(restarted.first(&db, &key(1, 1), second, 2 * MIN).unwrap(), None, "the window is over");
        assert_eq!(restarted.first(&db, &key(1, 1), third, 3 * MIN).unwrap(), Some(second));
        assert_eq!(rows(&db), 1, "one row a key");
        // The clock was set back: what lies in the future swallows nothing.
        assert_eq!(restarted.first(&db, &key(1, 1), third, -10 * MIN).unwrap(), None);
    }

    #[test]
    fn keys_that_begin_alike_are_not_the_same() {
        let (db, mut seen) = (table(), Seen::default());
        let (first, second) = (EventId::new(), EventId::new());
        assert_eq!(seen.first(&db, &key(1, 1), first, 0).unwrap(), None);
        assert_eq!(seen.first(&db, &key(1, 2), second, 1).unwrap(), None);
        assert_eq!(seen.first(&db, &key(1, 2), first, 2).unwrap(), Some(second));
    }

    #[test]
    fn what_is_rolled_back_was_never_seen() {
        let (mut db, mut seen) = (table(), Seen::default());
        let (first, second) = (EventId::new(), EventId::new());
        assert_eq!(seen.first(&db, &key(1, 1), first, 0).unwrap(), None);
        seen.committed();
        let tx = db.transaction().unwrap();
        assert_eq!(seen.first(&tx, &key(1, 1), second, 5 * MIN).unwrap(), None);
        assert_eq!(seen.first(&tx, &key(2, 1), second, 5 * MIN).unwrap(), None);
        seen.purge(&tx, 10 * MIN).unwrap();
        tx.rollback().unwrap();
        seen.rolled_back();
        assert_eq!(rows(&db), 1);
        assert_eq!(seen.first(&db, &key(1, 1), second, 1).unwrap(), Some(first));
        assert_eq!(seen.first(&db, &key(2, 1), first, 1).unwrap(), None);
        seen.committed();
        assert_eq!((seen.rows.len(), seen.order.len(), rows(&db)), (2, 2, 2));
    }

    #[test]
    fn a_row_that_memory_does_not_know_of_costs_a_repeat_and_no_event() {
        let (mut db, mut seen) = (table(), Seen::default());
        let (first, second) = (EventId::new(), EventId::new());
        assert_eq!(seen.first(&db, &key(1, 1), first, 0).unwrap(), None);
        seen.committed();
        // A transaction that was told to have failed and is there all the same.
        db.execute("INSERT INTO dedup (id, key, event_id, seen_at) SELECT id + 1, zeroblob(32), event_id, seen_at FROM dedup", []).unwrap();
        let tx = db.transaction().unwrap();
        let Err(Fail::Undo(StoreError::Unavailable(_))) = seen.first(&tx, &key(2, 1), second, 1) else { panic!("it is to be sent again") };
        tx.rollback().unwrap();
        seen.rolled_back();
        assert_eq!(seen.first(&db, &key(2, 1), second, 2).unwrap(), None);
        assert_eq!(seen.first(&db, &key(1, 1), second, 2).unwrap(), Some(first), "what was known is known again");
        seen.committed();
        assert_eq!((seen.rows.len(), rows(&db)), (3, 3));
    }

    #[test]
    fn a_clock_that_was_ahead_keeps_nothing_from_leaving() {
        let (db, mut seen) = (table(), Seen::default());
        for (n, at) in [(1, 0), (2, 1_000 * MIN), (3, 1), (4, 50)] {
            assert_eq!(seen.first(&db, &key(n, 1), EventId::new(), at).unwrap(), None);
        }
        seen.committed();
        seen.purge(&db, 10).unwrap();
        seen.committed();
        assert_eq!((seen.rows.len(), seen.order.len(), rows(&db)), (1, 1, 1));
    }

    #[test]
    fn what_is_old_goes_from_memory_and_table() {
        let (db, mut seen) = (table(), Seen::default());
        for n in 0..50 {
            assert_eq!(seen.first(&db, &key(n, 1), EventId::new(), i64::from(n)).unwrap(), None);
        }
        seen.committed();
        seen.purge(&db, 20).unwrap();
        seen.committed();
        assert_eq!((seen.rows.len(), seen.order.len(), rows(&db)), (30, 30, 30));
        seen.purge(&db, 100).unwrap();
        seen.committed();
        assert_eq!((seen.rows.len(), seen.order.len(), rows(&db)), (0, 0, 0));
        assert_eq!(seen.first(&db, &key(1, 1), EventId::new(), 200).unwrap(), None);
    }
}
