//! What a reload does to lanes: a renamed channel takes its lanes along, a changed credential moves them to another outlet.

use uuid::Uuid;

use super::error::DbError;
use super::lanes::recount;
use super::lease::NOW;
use super::mute::list as list_mutes;
use super::rows::get;
use super::tx::Tx;
use crate::store::{FiredChain, Relocation, join_chains, merge_places, merge_unresolved, rename_channel};

/// Holds for a row of which another node holds the outlet by a lease: it may have it in flight. `$1` and `$2` are those of [`NOW`], `$3` is this node.
fn leased_elsewhere(table: &str) -> String {
    format!("EXISTS (SELECT 1 FROM outlet o WHERE o.key = {table}.outlet AND o.owner NOT IN ('', $3) AND o.lease_until > {NOW})")
}

/// Lanes of a renamed channel that one transaction moves: a large backlog takes several, each well within the time that a transaction has. What one of
/// them leaves under the former name is moved by the next, also after a crash.
const BATCH: i64 = 500;

/// What one transaction moved.
pub(super) struct Moved {
    pub(super) count: u64,
    /// Whether more is left to be moved.
    pub(super) more: bool,
}

/// One step of [`crate::store::ClusterStore::relocate`].
pub(super) async fn relocate(tx: &Tx, from: &str, to: &Relocation, by_database: bool) -> Result<Moved, DbError> {
    let (channel, outlet) = (to.channel.as_str(), to.outlet.as_str());
    // Nobody claims an outlet while lanes move to it or away from it.
    let sql = "SELECT 1 FROM outlet WHERE key = $3 OR key IN (SELECT outlet FROM lane WHERE channel IN ($1, $2)) ORDER BY key FOR SHARE";
    tx.query(sql, &[&from, &channel, &outlet]).await?;
    let (lane_elsewhere, message_elsewhere, twin_elsewhere) = (leased_elsewhere("lane"), leased_elsewhere("message"), leased_elsewhere("t"));
    let mut renamed = 0;
    if from != channel {
        let sql = format!("SELECT lane.id FROM lane WHERE lane.channel = $4 AND NOT {lane_elsewhere} ORDER BY lane.id LIMIT $5");
        let batch = tx.query(&sql, &[&by_database, &to.now, &to.node, &from, &BATCH]).await?;
        let batch: Vec<i64> = batch.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        let sql = "SELECT 1 FROM lane WHERE id = ANY ($1) OR channel = $2 AND key IN (SELECT key FROM lane WHERE id = ANY ($1)) ORDER BY channel, key FOR UPDATE";
        tx.query(sql, &[&batch, &channel]).await?;
        let sql = format!(
            "SELECT lane.id, lane.message_id IS NOT NULL, t.id, t.message_id IS NOT NULL, {twin_elsewhere}
             FROM lane LEFT JOIN lane t ON t.channel = $5 AND t.key = lane.key
             WHERE lane.id = ANY ($6) AND lane.channel = $4 AND NOT {lane_elsewhere} ORDER BY lane.id"
        );
        let lanes = tx.query(&sql, &[&by_database, &to.now, &to.node, &from, &channel, &batch]).await?;
        for row in &lanes {
            let twin = get::<Option<i64>>(row, 2)?;
            let twin = twin.map(|id| Ok::<_, DbError>(Twin { id, in_flight: get(row, 3)?, elsewhere: get(row, 4)? })).transpose()?;
            rename(tx, get(row, 0)?, get(row, 1)?, twin.as_ref(), channel).await?;
        }
        renamed = lanes.len() as u64;
        if batch.len() as i64 == BATCH {
            return Ok(Moved { count: renamed, more: true });
        }
        // The node that keeps some of them uses the former name.
        let left = "EXISTS (SELECT 1 FROM lane WHERE lane.channel = $1)";
        let sql = format!("UPDATE receipt SET channel = $2 WHERE channel = $1 AND due_at IS NOT NULL AND NOT {left}");
        tx.execute(&sql, &[&from, &channel]).await?;
        // An anchor that exists under the new name wins.
        let sql = format!(
            "DELETE FROM anchor a WHERE channel = $1 AND NOT {left}
             AND EXISTS (SELECT 1 FROM anchor t WHERE t.incident = a.incident AND t.channel = $2 AND t.recipient = a.recipient)"
        );
        tx.execute(&sql, &[&from, &channel]).await?;
        tx.execute(&format!("UPDATE anchor SET channel = $2 WHERE channel = $1 AND NOT {left}"), &[&from, &channel]).await?;
        let sql =
            format!("UPDATE mute SET matchers = $3 WHERE matchers = $2 AND NOT EXISTS (SELECT 1 FROM mute t WHERE t.matchers = $3) AND NOT {left}");
        for mute in list_mutes(tx).await? {
            if let Some(matchers) = rename_channel(&mute.matchers, from, channel) {
                tx.execute(&sql, &[&from, &mute.matchers, &matchers]).await?;
            }
        }
    }
    tx.query("SELECT 1 FROM lane WHERE channel IN ($1, $2) AND outlet <> $3 ORDER BY channel, key FOR UPDATE", &[&from, &channel, &outlet]).await?;
    let sql = format!(
        "UPDATE message SET channel = $5, outlet = $6 WHERE channel IN ($4, $5) AND (channel <> $5 OR outlet <> $6) AND NOT done AND NOT {message_elsewhere}"
    );
    let carried = tx.execute(&sql, &[&by_database, &to.now, &to.node, &from, &channel, &outlet]).await?;
    let sql = format!("UPDATE lane SET outlet = $5 WHERE channel = $4 AND outlet <> $5 AND NOT {lane_elsewhere}");
    let moved = tx.execute(&sql, &[&by_database, &to.now, &to.node, &channel, &outlet]).await?;
    Ok(Moved { count: renamed.max(moved) + carried, more: false })
}

/// The lane that has a lane's key under the channel's new name.
struct Twin {
    id: i64,
    in_flight: bool,
    /// Another node holds its outlet by a lease.
    elsewhere: bool,
}

/// Moves a lane to its channel's new name. Of two lanes with one key one remains, with what waits in both: the one that was renamed, unless a message of
/// the other is in flight or may be. If a message of each is, the renamed one ends by itself under a key of its own.
async fn rename(tx: &Tx, lane: i64, in_flight: bool, twin: Option<&Twin>, to: &str) -> Result<(), DbError> {
    // A fallback child whose origin has another child on that channel already would collide with it: it becomes a delivery of its own.
    tx.execute(
        "UPDATE delivery d SET channel = $2, origin_id = CASE
             WHEN EXISTS (SELECT 1 FROM delivery o WHERE o.origin_id = d.origin_id AND o.channel = $2) THEN NULL ELSE d.origin_id END
         WHERE d.lane_id = $1 AND d.state IN ('waiting', 'deferred')",
        &[&lane, &to],
    )
    .await?;
    let remains = twin.is_none_or(|twin| !twin.in_flight && !twin.elsewhere);
    if let Some(aside) = twin.map(|twin| if remains { twin.id } else { lane }) {
        tx.execute("UPDATE lane SET key = key || '~' || id WHERE id = $1", &[&aside]).await?;
    }
    tx.execute("UPDATE lane SET channel = $2 WHERE id = $1", &[&lane, &to]).await?;
    match twin {
        Some(twin) if remains => merge(tx, lane, twin.id, false).await,
        Some(twin) if !in_flight => merge(tx, twin.id, lane, twin.elsewhere).await,
        _ => Ok(()),
    }
}

/// Puts what waits in `other` among what waits in `lane`, in the order in which it was accepted, behind what is in flight. Where another node has `lane`
/// in memory, its places stay as they are, and what is new there comes last. Removes `other` when nothing refers to it any more.
async fn merge(tx: &Tx, lane: i64, other: i64, elsewhere: bool) -> Result<(), DbError> {
    let (own, theirs) = (if elsewhere { Vec::new() } else { waiting(tx, lane).await? }, waiting(tx, other).await?);
    let merged = merge_places(&own, &theirs);
    tx.execute(
        "UPDATE delivery d SET lane_id = l.id, lane_seq = l.last_seq + n.place, prior_id = coalesce(d.prior_id, CASE WHEN d.lane_id <> l.id THEN l.fired END)
         FROM unnest($2) WITH ORDINALITY AS n (id, place), lane l WHERE d.id = n.id AND l.id = $1",
        &[&lane, &merged],
    )
    .await?;
    let rows = tx.query("SELECT unresolved FROM lane WHERE id IN ($1, $2) ORDER BY id = $2", &[&lane, &other]).await?;
    let mut unresolved = Vec::new();
    for row in &rows {
        let theirs: Vec<u8> = get(row, 0)?;
        unresolved = merge_unresolved(&unresolved, &theirs);
    }
    let (fired, link) = join_chains(&fired_chain(tx, lane).await?, &fired_chain(tx, other).await?);
    if let Some((delivery, before)) = link {
        tx.execute("UPDATE delivery SET prior_id = $2 WHERE id = $1", &[&delivery, &before]).await?;
    }
    let (places, moved) = (merged.len() as i64, theirs.len() as i64);
    tx.execute(
        "UPDATE lane SET last_seq = last_seq + $2, size = size + $3, unresolved = $4, newest = NULL, fired = $5 WHERE id = $1",
        &[&lane, &places, &moved, &unresolved.as_slice(), &fired],
    )
    .await?;
    recount(tx, &[lane, other]).await?;
    shrink(tx, &vec![other], &vec![moved]).await
}

/// What a lane carried that fired.
async fn fired_chain(tx: &Tx, lane: i64) -> Result<FiredChain, DbError> {
    let head = tx.query("SELECT fired FROM lane WHERE id = $1", &[&lane]).await?;
    let mut chain = FiredChain { head: head.first().map(|row| get::<Option<Uuid>>(row, 0)).transpose()?.flatten(), ..FiredChain::default() };
    let Some(first) = chain.head else { return Ok(chain) };
    let sql = "WITH RECURSIVE chain (id, prior, place) AS (
                 SELECT id, prior_id, 1 FROM delivery WHERE id = $1
                 UNION ALL SELECT d.id, d.prior_id, place + 1 FROM chain JOIN delivery d ON d.id = chain.prior WHERE place < $2
               ) SELECT id, prior FROM chain ORDER BY place";
    for row in &tx.query(sql, &[&first, &(FiredChain::MAX as i32)]).await? {
        chain.ids.push(get(row, 0)?);
        chain.ended = get::<Option<Uuid>>(row, 1)?.is_none();
    }
    Ok(chain)
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
