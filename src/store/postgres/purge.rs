//! Purging in small steps: what may go is looked up in a read, and again under locks before it goes.
//!
//! Removes only events whose deliveries are all final and past their retention (I9); a message goes with the last of its deliveries.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::acts;
use super::audit;
use super::error::DbError;
use super::incidents;
use super::lanes::lock_lanes;
use super::relocate::{remove_messages, shrink};
use super::rows::{get, limit};
use super::tx::Tx;
use crate::store::Retention;

/// Rows that a step may remove, by id.
#[derive(Default)]
pub(super) struct Candidates {
    events: Vec<Uuid>,
    messages: Vec<Uuid>,
    incidents: Vec<i64>,
}

/// Holds for an event (`x.id`; `$1`, `$2` are sent_before, dead_before) none of whose deliveries must be kept: not final, within its retention, in
/// a message that is still open, or of an incident that is. `OFFSET 0` here and below keeps the planner from joining whole tables for the few rows that are asked for.
const EXPIRED: &str = "NOT EXISTS (SELECT 1 FROM delivery k WHERE k.event_id = x.id
    AND (k.done_at IS NULL OR k.done_at >= CASE WHEN k.state IN ('sent', 'skipped', 'dropped') THEN $1 ELSE $2 END
        OR EXISTS (SELECT 1 FROM message o WHERE o.id = k.message_id AND NOT o.done){OF_INCIDENT}) OFFSET 0)";
/// What [`EXPIRED`] adds where events of open incidents stay.
const OF_INCIDENT: &str = " OR EXISTS (SELECT 1 FROM incident n WHERE n.id = k.incident AND n.ended_at IS NULL)";

fn expired(keep: Retention) -> String {
    EXPIRED.replace("{OF_INCIDENT}", if keep.open_incidents { OF_INCIDENT } else { "" })
}

/// Looks for at most `most` events, and as many messages and incidents that nothing refers to any more. Read only.
pub(super) async fn candidates(tx: &Tx, keep: Retention, most: usize) -> Result<Candidates, DbError> {
    let ids = |rows: Vec<tokio_postgres::Row>| rows.iter().map(|row| get(row, 0)).collect::<Result<Vec<Uuid>, DbError>>();
    // In the order in which they ended, so that a step reads little more than it returns; an event comes once for each delivery.
    let expired = expired(keep);
    let sql = format!(
        "SELECT x.id FROM (SELECT d.event_id AS id, d.done_at FROM delivery d WHERE d.done_at < greatest($1, $2)
             AND d.done_at < CASE WHEN d.state IN ('sent', 'skipped', 'dropped') THEN $1 ELSE $2 END) AS x
         WHERE {expired} ORDER BY x.done_at LIMIT $3"
    );
    let mut found =
        Candidates { events: ids(tx.query(&sql, &[&keep.sent_before, &keep.dead_before, &limit(most)]).await?)?, ..Candidates::default() };
    let left = limit(most).saturating_sub(limit(found.events.len()));
    let bare = "SELECT id FROM event e WHERE note IS NOT NULL AND received_at < $1
                AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id OFFSET 0) ORDER BY received_at LIMIT $2";
    found.events.extend(ids(tx.query(bare, &[&keep.sent_before, &left]).await?)?);
    // Messages that their only delivery left (a postponed single, composed again under another id).
    let orphans = "SELECT id FROM message m WHERE done AND formed_at < $1
                   AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = m.id OFFSET 0) ORDER BY formed_at LIMIT $2";
    found.messages = ids(tx.query(orphans, &[&keep.sent_before, &limit(most)]).await?)?;
    found.incidents = incidents::expired(tx, keep.sent_before, most).await?;
    Ok(found)
}

/// [`crate::store::MaintenanceStore::purge`], after [`candidates`]. Returns how many events went.
pub(super) async fn purge(tx: &Tx, candidates: &Candidates, keep: Retention) -> Result<u64, DbError> {
    let mut messages: BTreeSet<Uuid> = candidates.messages.iter().copied().collect();
    let mut removed = 0;
    if !candidates.events.is_empty() {
        // Locked before they are read again: a replay of one of them waits, or was there first and keeps its event.
        tx.query("SELECT 1 FROM delivery WHERE event_id = ANY ($1) ORDER BY id FOR UPDATE", &[&candidates.events]).await?;
        let sql = format!("SELECT x.id FROM unnest($3) AS x (id) WHERE {}", expired(keep));
        let rows = tx.query(&sql, &[&keep.sent_before, &keep.dead_before, &candidates.events]).await?;
        let events: BTreeSet<Uuid> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let events: Vec<Uuid> = events.into_iter().collect();
        let rows = tx.query("DELETE FROM delivery WHERE event_id = ANY ($1) RETURNING lane_id, message_id", &[&events]).await?;
        let mut lanes: BTreeMap<i64, i64> = BTreeMap::new();
        for row in &rows {
            *lanes.entry(get(row, 0)?).or_default() += 1;
            messages.extend(get::<Option<Uuid>>(row, 1)?);
        }
        removed = tx.execute("DELETE FROM event WHERE id = ANY ($1)", &[&events]).await?;
        let (lanes, gone): (Vec<i64>, Vec<i64>) = lanes.into_iter().unzip();
        lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
        shrink(tx, &lanes, &gone).await?;
    }
    if !messages.is_empty() {
        remove_messages(tx, &messages.into_iter().collect()).await?;
    }
    incidents::remove(tx, &candidates.incidents, keep.sent_before).await?;
    acts::purge_presses(tx, keep.presses_before).await?;
    audit::purge(tx, keep).await?;
    Ok(removed)
}
