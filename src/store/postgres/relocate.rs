//! What a reload does to lanes: a renamed channel takes its lanes along, a changed credential moves them to another outlet.

use uuid::Uuid;

use super::error::DbError;
use super::lanes::recount;
use super::lease::NOW;
use super::rows::get;
use super::tx::Tx;
use crate::store::{Relocation, merge_places, merge_unresolved};

/// Holds for a row of which another node holds the outlet by a lease: it may have it in flight. `$1` and `$2` are those of [`NOW`], `$3` is this node.
fn leased_elsewhere(table: &str) -> String {
    format!("EXISTS (SELECT 1 FROM outlet o WHERE o.key = {table}.outlet AND o.owner NOT IN ('', $3) AND o.lease_until > {NOW})")
}

/// [`crate::store::ClusterStore::relocate`].
pub(super) async fn relocate(tx: &Tx, from: &str, to: &Relocation, by_database: bool) -> Result<u64, DbError> {
    let (channel, outlet) = (to.channel.as_str(), to.outlet.as_str());
    tx.query("SELECT 1 FROM lane WHERE channel IN ($1, $2) ORDER BY channel, key FOR UPDATE", &[&from, &channel]).await?;
    let (lane_elsewhere, message_elsewhere) = (leased_elsewhere("lane"), leased_elsewhere("message"));
    let mut renamed = 0;
    if from != channel {
        let sql = format!(
            "SELECT id, (SELECT t.id FROM lane t WHERE t.channel = $5 AND t.key = lane.key) FROM lane
             WHERE channel = $4 AND NOT {lane_elsewhere} ORDER BY lane.id"
        );
        let lanes = tx.query(&sql, &[&by_database, &to.now, &to.node, &from, &channel]).await?;
        for row in &lanes {
            rename(tx, get(row, 0)?, get(row, 1)?, channel).await?;
        }
        renamed = lanes.len() as u64;
        tx.execute("UPDATE receipt SET channel = $2 WHERE channel = $1 AND due_at IS NOT NULL", &[&from, &channel]).await?;
        let sql = "UPDATE mute SET channel = $2 WHERE channel = $1 AND NOT EXISTS (SELECT 1 FROM mute t WHERE t.channel = $2)";
        tx.execute(sql, &[&from, &channel]).await?;
    }
    let sql = format!(
        "UPDATE message SET channel = $5, outlet = $6 WHERE channel IN ($4, $5) AND (channel <> $5 OR outlet <> $6) AND NOT done AND NOT {message_elsewhere}"
    );
    let carried = tx.execute(&sql, &[&by_database, &to.now, &to.node, &from, &channel, &outlet]).await?;
    let sql = format!("UPDATE lane SET outlet = $5 WHERE channel = $4 AND outlet <> $5 AND NOT {lane_elsewhere}");
    let moved = tx.execute(&sql, &[&by_database, &to.now, &to.node, &channel, &outlet]).await?;
    Ok(renamed.max(moved) + carried)
}

/// Moves a lane to its channel's new name. `twin` has its key under that name: what waits there is put in order with what waits here.
async fn rename(tx: &Tx, lane: i64, twin: Option<i64>, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    tx.execute(
        "UPDATE delivery d SET channel = $2, origin_id = CASE
             WHEN EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = d.origin_id AND o.channel = $2) THEN NULL ELSE d.origin_id END
         WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred')",
        &[&lane, &to],
    )
    .await?;
    if let Some(twin) = twin {
        // What is in flight there ends there.
        tx.execute("UPDATE lane SET key = key || '~' || id WHERE id = $1", &[&twin]).await?;
    }
    tx.execute("UPDATE lane SET channel = $2 WHERE id = $1", &[&lane, &to]).await?;
    match twin {
        Some(twin) => merge(tx, lane, twin).await,
        None => Ok(()),
    }
}

/// Puts what waits in `twin` among what waits in `lane`, in the order in which it was accepted, behind what is in flight. Removes `twin` when nothing
/// refers to it any more.
async fn merge(tx: &Tx, lane: i64, twin: i64) -> Result<(), DbError> {
    let (own, theirs) = (waiting(tx, lane).await?, waiting(tx, twin).await?);
    let merged = merge_places(&own, &theirs);
    tx.execute(
        "UPDATE delivery d SET lane_id = l.id, lane_seq = l.last_seq + n.place, prior_id = coalesce(d.prior_id, CASE WHEN d.lane_id <> l.id THEN l.fired END)
         FROM unnest($2) WITH ORDINALITY AS n (id, place), lane l WHERE d.id = n.id AND l.id = $1",
        &[&lane, &merged],
    )
    .await?;
    let rows = tx.query("SELECT unresolved, fired FROM lane WHERE id IN ($1, $2) ORDER BY id = $2", &[&lane, &twin]).await?;
    let (mut unresolved, mut fired) = (Vec::new(), None::<Uuid>);
    for row in &rows {
        let theirs: Vec<u8> = get(row, 0)?;
        unresolved = merge_unresolved(&unresolved, &theirs);
        fired = fired.max(get(row, 1)?);
    }
    let (places, moved) = (merged.len() as i64, theirs.len() as i64);
    tx.execute(
        "UPDATE lane SET last_seq = last_seq + $2, size = size + $3, unresolved = $4, newest = NULL, fired = $5 WHERE id = $1",
        &[&lane, &places, &moved, &unresolved.as_slice(), &fired],
    )
    .await?;
    recount(tx, &[lane, twin]).await?;
    shrink(tx, &vec![twin], &vec![moved]).await
}

/// What waits in a lane and is in no open message, by place.
async fn waiting(tx: &Tx, lane: i64) -> Result<Vec<Uuid>, DbError> {
    let sql = "SELECT d.id FROM delivery d WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred')
               AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = d.message_id AND NOT m.done) ORDER BY d.lane_seq";
    tx.query(sql, &[&lane]).await?.iter().map(|row| get(row, 0)).collect()
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
