//! What a reload does to lanes: a renamed channel takes its lanes along, a changed credential moves them to another outlet.

use uuid::Uuid;

use super::error::DbError;
use super::lanes::{lock_lanes, recount};
use super::rows::get;
use super::tx::Tx;
use crate::model::OutletKey;

/// [`crate::store::MaintenanceStore::rename_channel`]. Returns how many lanes and open messages.
pub(super) async fn rename_channel(tx: &Tx, from: &str, to: &str, outlet: &OutletKey) -> Result<u64, DbError> {
    if from == to {
        return move_to_outlet(tx, to, outlet).await;
    }
    tx.query("SELECT 1 FROM lane WHERE channel IN ($1, $2) ORDER BY channel, key FOR UPDATE", &[&from, &to]).await?;
    let rows = tx
        .query(
            "SELECT l.id, l.message_id IS NOT NULL, l.waiting > 0, (SELECT t.id FROM lane t WHERE t.channel = $2 AND t.key = l.key) FROM lane l
             WHERE l.channel = $1 ORDER BY l.id",
            &[&from, &to],
        )
        .await?;
    let mut lanes = 0;
    for row in &rows {
        let (lane, in_flight, waits, twin): (i64, bool, bool, Option<i64>) = (get(row, 0)?, get(row, 1)?, get(row, 2)?, get(row, 3)?);
        // A lane that history still refers to stays under its old name after a merge: it is no news.
        lanes += u64::from(in_flight || waits);
        rename_open(tx, lane, to).await?;
        match twin {
            Some(twin) if !in_flight => merge(tx, lane, twin).await?,
            // What is under way cannot be put behind others without breaking its prefix: it drains in a lane of its own.
            Some(_) => rename_lane(tx, lane, to, outlet, "key || '~' || id").await?,
            None => rename_lane(tx, lane, to, outlet, "key").await?,
        }
    }
    move_to_outlet(tx, to, outlet).await?;
    let outlet = outlet.as_str();
    let messages = tx.execute("UPDATE message SET channel = $2, outlet = $3 WHERE channel = $1 AND NOT done", &[&from, &to, &outlet]).await?;
    tx.execute("UPDATE receipt SET channel = $2 WHERE channel = $1 AND due_at IS NOT NULL", &[&from, &to]).await?;
    let sql = "UPDATE mute SET channel = $2 WHERE channel = $1 AND NOT EXISTS (SELECT 1 FROM mute t WHERE t.channel = $2)";
    tx.execute(sql, &[&from, &to]).await?;
    Ok(lanes + messages)
}

async fn rename_open(tx: &Tx, lane: i64, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    tx.execute(
        "UPDATE delivery d SET channel = $2, origin_id = CASE
             WHEN EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = d.origin_id AND o.channel = $2) THEN NULL ELSE d.origin_id END
         WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred')",
        &[&lane, &to],
    )
    .await?;
    Ok(())
}

async fn rename_lane(tx: &Tx, lane: i64, to: &str, outlet: &OutletKey, key: &str) -> Result<(), DbError> {
    let sql = format!("UPDATE lane SET channel = $2, outlet = $3, key = {key} WHERE id = $1");
    tx.execute(&sql, &[&lane, &to, &outlet.as_str()]).await?;
    Ok(())
}

/// Puts what is open in `lane` behind what is in `twin`, in order, and removes `lane` when nothing refers to it.
async fn merge(tx: &Tx, lane: i64, twin: i64) -> Result<(), DbError> {
    let moved = tx
        .execute(
            "UPDATE delivery d SET lane_id = $2, lane_seq = n.last_seq + n.place
             FROM (SELECT o.id, t.last_seq, row_number() OVER (ORDER BY o.lane_seq) AS place FROM delivery o, lane t
                   WHERE o.lane_id = $1 AND o.state IN ('waiting', 'deferred') AND t.id = $2) AS n
             WHERE d.id = n.id",
            &[&lane, &twin],
        )
        .await?;
    let moved = i64::try_from(moved).unwrap_or(i64::MAX);
    // What fired in the merged lane is the newer: a later resolved one follows it.
    tx.execute(
        "UPDATE lane SET last_seq = last_seq + $3, size = size + $3, fired = coalesce((SELECT o.fired FROM lane o WHERE o.id = $1), fired) WHERE id = $2",
        &[&lane, &twin, &moved],
    )
    .await?;
    recount(tx, &[lane, twin]).await?;
    shrink(tx, &vec![lane], &vec![moved]).await
}

/// Deliveries left locked lanes, so many each; a lane to which nothing refers any more is removed.
pub(super) async fn shrink(tx: &Tx, lanes: &Vec<i64>, by: &Vec<i64>) -> Result<(), DbError> {
    if lanes.is_empty() {
        return Ok(());
    }
    tx.execute("UPDATE lane SET size = size - n.gone FROM unnest($1, $2) AS n (id, gone) WHERE lane.id = n.id", &[lanes, by]).await?;
    tx.execute("DELETE FROM lane WHERE id = ANY ($1) AND size = 0 AND waiting = 0 AND message_id IS NULL", &[lanes]).await?;
    Ok(())
}

/// [`crate::store::MaintenanceStore::move_to_outlet`]. Open messages go with their lanes: their new owner finishes them.
pub(super) async fn move_to_outlet(tx: &Tx, channel: &str, outlet: &OutletKey) -> Result<u64, DbError> {
    let outlet = outlet.as_str();
    let rows = tx.query("SELECT id FROM lane WHERE channel = $1 AND outlet <> $2", &[&channel, &outlet]).await?;
    let lanes: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    lock_lanes(tx, &lanes, &Vec::new(), &[]).await?;
    let moved = tx.execute("UPDATE lane SET outlet = $2 WHERE channel = $1 AND outlet <> $2", &[&channel, &outlet]).await?;
    let carried = tx.execute("UPDATE message SET outlet = $2 WHERE channel = $1 AND outlet <> $2 AND NOT done", &[&channel, &outlet]).await?;
    Ok(moved + carried)
}

/// Removes messages that are done and that nothing refers to, with their cells and attempts.
pub(super) async fn remove_messages(tx: &Tx, ids: &Vec<Uuid>) -> Result<(), DbError> {
    let sql = "DELETE FROM message WHERE id = ANY ($1) AND done AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = message.id OFFSET 0) RETURNING id";
    let rows = tx.query(sql, &[ids]).await?;
    let gone: Vec<Uuid> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    if !gone.is_empty() {
        tx.execute("DELETE FROM cell WHERE message_id = ANY ($1)", &[&gone]).await?;
        tx.execute("DELETE FROM attempt WHERE message_id = ANY ($1)", &[&gone]).await?;
        tx.execute("DELETE FROM receipt WHERE message_id = ANY ($1)", &[&gone]).await?;
    }
    Ok(())
}
