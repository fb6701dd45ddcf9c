//! Purging in small steps: what may go is looked up on a reader, and looked up again by the writer before it goes.
//!
//! Removes only events whose deliveries are all final and past their retention (I9); a message goes with the last of its deliveries.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::acts;
use super::audit;
use super::error::DbError;
use super::incidents;
use super::relocate::shrink;
use crate::store::Retention;

/// Free pages that stay in the file for what comes next.
const FREE_PAGES: i64 = 1024;
/// Pages returned to the file system in one step.
const VACUUM_PAGES: i64 = 512;

/// Rows that a step may remove, by key.
#[derive(Default)]
pub(super) struct Candidates {
    events: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    incidents: Vec<i64>,
}

/// Holds for an event (`?1`..`?4` are id, sent_before, dead_before, open_incidents) none of whose deliveries must be kept: not final, within its retention, in a
/// message that is still open, or of an incident that is, where that matters.
const EXPIRED: &str = "NOT EXISTS (SELECT 1 FROM delivery k WHERE k.event_id = ?1
    AND (k.done_at IS NULL OR k.done_at >= CASE WHEN k.state IN ('sent', 'skipped', 'dropped') THEN ?2 ELSE ?3 END
        OR EXISTS (SELECT 1 FROM message o WHERE o.id = k.message_id AND o.done = 0)
        OR ?4 AND EXISTS (SELECT 1 FROM incident n WHERE n.id = k.incident AND n.ended_at IS NULL)))";

/// Looks for at most `limit` events, and as many messages and incidents that nothing refers to any more. Read only.
pub(super) fn candidates(db: &Connection, keep: Retention, limit: usize) -> Result<Candidates, DbError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut found = Candidates::default();
    let sql = format!(
        "SELECT DISTINCT d.event_id FROM delivery d INDEXED BY delivery_done WHERE d.done_at IS NOT NULL AND d.done_at < max(?2, ?3)
             AND {} LIMIT ?1",
        EXPIRED.replace("?1", "d.event_id")
    );
    let mut done = db.prepare_cached(&sql)?;
    found.events = done
        .query_map(params![limit, keep.sent_before, keep.dead_before, keep.open_incidents], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let left = limit - found.events.len() as i64;
    let mut bare = db.prepare_cached(
        "SELECT id FROM event e INDEXED BY event_bare WHERE note IS NOT NULL AND received_at < ?1
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id) LIMIT ?2",
    )?;
    for id in bare.query_map(params![keep.sent_before, left], |row| row.get(0))? {
        found.events.push(id?);
    }
    // Messages that their only delivery left (a postponed single, composed again under another id).
    let mut orphans = db.prepare_cached(
        "SELECT id FROM message m INDEXED BY message_done WHERE done = 1 AND recipient IS NULL AND formed_at < ?1
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id) LIMIT ?2",
    )?;
    found.messages = orphans.query_map(params![keep.sent_before, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    found.incidents = incidents::expired(db, keep.sent_before, limit)?;
    Ok(found)
}

/// [`crate::store::MaintenanceStore::purge`], after [`candidates`]. Returns how many events went.
pub(super) fn purge(db: &Connection, candidates: &Candidates, keep: Retention) -> Result<u64, DbError> {
    let mut touched = Touched::default();
    let mut removed = 0;
    for event in &candidates.events {
        removed += u64::from(remove_event(db, event, keep, &mut touched)?);
    }
    for message in touched.messages.iter().chain(&candidates.messages) {
        remove_message(db, message)?;
    }
    for (lane, gone) in &touched.lanes {
        shrink(db, *lane, *gone)?;
    }
    for incident in &candidates.incidents {
        incidents::remove(db, *incident, keep.sent_before)?;
    }
    acts::purge_presses(db, keep.presses_before)?;
    audit::purge(db, keep)?;
    vacuum(db)?;
    Ok(removed)
}

#[derive(Default)]
struct Touched {
    lanes: BTreeMap<i64, i64>,
    messages: BTreeSet<Vec<u8>>,
}

fn remove_event(db: &Connection, event: &[u8], keep: Retention, touched: &mut Touched) -> Result<bool, DbError> {
    let mut expired = db.prepare_cached(&format!("SELECT {EXPIRED}"))?;
    if !expired.query_row(params![event, keep.sent_before, keep.dead_before, keep.open_incidents], |row| row.get::<_, bool>(0))? {
        return Ok(false);
    }
    let mut delete = db.prepare_cached("DELETE FROM delivery WHERE event_id = ?1 RETURNING lane_id, message_id")?;
    for row in delete.query_map([event], |row| Ok((row.get(0)?, row.get::<_, Option<Vec<u8>>>(1)?)))? {
        let (lane, message) = row?;
        *touched.lanes.entry(lane).or_default() += 1;
        touched.messages.extend(message);
    }
    Ok(db.prepare_cached("DELETE FROM event WHERE id = ?1")?.execute([event])? > 0)
}

fn remove_message(db: &Connection, id: &[u8]) -> Result<(), DbError> {
    let gone = db
        .prepare_cached("DELETE FROM message WHERE id = ?1 AND done = 1 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = ?1)")?
        .execute([id])?;
    if gone > 0 {
        db.prepare_cached("DELETE FROM cell WHERE message_id = ?1")?.execute([id])?;
        db.prepare_cached("DELETE FROM attempt WHERE message_id = ?1")?.execute([id])?;
        db.prepare_cached("DELETE FROM receipt WHERE message_id = ?1")?.execute([id])?;
    }
    Ok(())
}

fn vacuum(db: &Connection) -> Result<(), DbError> {
    let free: i64 = db.prepare_cached("PRAGMA freelist_count")?.query_row([], |row| row.get(0))?;
    if free > FREE_PAGES {
        let mut vacuum = db.prepare(&format!("PRAGMA incremental_vacuum({})", VACUUM_PAGES.min(free - FREE_PAGES)))?;
        let mut rows = vacuum.query([])?;
        while rows.next()?.is_some() {}
    }
    Ok(())
}
