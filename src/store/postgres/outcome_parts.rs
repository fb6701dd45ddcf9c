//! The parts of a stage of settlements: attempts, deliveries, the lanes they leave, and fallback children (I8).
//!
//! Never unmakes a final state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::future::{join, join3, join4};
use uuid::Uuid;

use super::anchors;
use super::error::DbError;
use super::lanes::{Arrival, append, lock_lanes, recount};
use super::rows::Columns;
use super::rows::get;
use super::tx::Tx;
use crate::model::{DeliveryId, UnixMs};
use crate::store::limits::{KEPT_ATTEMPTS, NO_REASON, RECENT_ATTEMPT_MS};
use crate::store::prepared::PreparedOutcome;
use crate::store::{AcceptedDelivery, Anchor, State};

/// Inserts or ends the attempts that messages do not hold themselves, and trims the histories of messages that were stored before.
pub(super) async fn end_attempts(tx: &Tx, stage: &[&PreparedOutcome]) -> Result<(), DbError> {
    let apart = stage.iter().filter(|s| s.sole().is_none());
    let all: Vec<_> = apart.filter_map(|s| Some((&s.outcome.fence, s.outcome.message.as_ref()?.id, s.outcome.attempt.as_ref()?))).collect();
    if all.is_empty() {
        return Ok(());
    }
    let each = || all.iter().map(|(.., attempt)| *attempt);
    let columns = Columns::default()
        .with("id", each().map(|a| a.id.0))
        .with("message_id", all.iter().map(|(_, message, _)| message.0))
        .with("page", each().map(|a| i32::from(a.page)))
        .with("outlet", all.iter().map(|(fence, ..)| fence.outlet.as_str()))
        .with("node", each().map(|a| a.node.as_str()))
        .with("epoch", all.iter().map(|(fence, ..)| fence.epoch))
        .with("begun_at", each().map(|a| a.begun_at))
        .with("ended_at", each().map(|a| a.ended_at))
        .with("kind", each().map(|a| a.kind.as_str()))
        .with("code", each().map(|a| a.code.as_deref()))
        .with("answer", each().map(|a| a.answer.as_deref()));
    let earlier = stage.iter().filter(|s| s.message.is_none() && s.outcome.attempt.is_some());
    let (stored, before): (Vec<Uuid>, Vec<UnixMs>) =
        earlier.filter_map(|s| Some((s.outcome.message.as_ref()?.id.0, s.outcome.now - RECENT_ATTEMPT_MS))).unzip();
    let (written, trimmed) = join(
        columns.insert(
            tx,
            "attempt",
            "ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, kind = excluded.kind, code = excluded.code, answer = excluded.answer",
        ),
        trim(tx, &stored, &before),
    )
    .await;
    written.and(trimmed)
}

async fn trim(tx: &Tx, messages: &Vec<Uuid>, before: &Vec<UnixMs>) -> Result<(), DbError> {
    if messages.is_empty() {
        return Ok(());
    }
    tx.execute(
        "DELETE FROM attempt WHERE id IN (
             SELECT a.id FROM unnest($1, $2) AS n (message_id, before) CROSS JOIN LATERAL (
                 SELECT id, begun_at, ended_at, row_number() OVER (ORDER BY begun_at, id) AS place, count(*) OVER () AS all_of_them
                 FROM attempt WHERE message_id = n.message_id) AS a
             WHERE a.place > $3 AND a.place <= a.all_of_them - $3 AND a.begun_at < n.before AND a.ended_at IS NOT NULL)",
        &[messages, before, &KEPT_ATTEMPTS],
    )
    .await?;
    Ok(())
}

/// Deliveries and anchors that changed.
#[derive(Default)]
pub(super) struct Changed {
    /// Lanes of the deliveries.
    lanes: HashMap<DeliveryId, i64>,
    /// Deliveries that were sent and had become final meanwhile: ids, times, messages.
    late: (Vec<Uuid>, Vec<Option<UnixMs>>, Vec<Option<Uuid>>),
    /// Anchors as they will be, each with its incident's version.
    pub(super) anchors: Vec<(Anchor, i64)>,
}

/// Changes deliveries. One that became final meanwhile stays as it is.
pub(super) async fn change_deliveries(tx: &Tx, stage: &[&PreparedOutcome]) -> Result<Changed, DbError> {
    let (mut ids, mut states, mut tries, mut due, mut reasons) = (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut done, mut leave_message, mut messages, mut left) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut named = HashSet::new();
    for s in stage {
        let id = s.outcome.message.as_ref().map(|m| m.id);
        let members: HashSet<DeliveryId> = s.message.iter().flat_map(|m| m.message.members.iter().copied()).collect();
        // One that is named twice changes once, as the first time.
        for c in s.outcome.deliveries.iter().filter(|c| named.insert(c.id)) {
            // A final delivery names its message or a reason (I4). What was sent, died or is unknown did so in this message.
            let carried = members.contains(&c.id) || matches!(c.state, State::Sent | State::Dead | State::Unknown);
            ids.push(c.id.0);
            states.push(c.state.as_str());
            tries.push(i64::from(c.tries));
            due.push(c.due_at);
            reasons.push(c.reason.as_deref());
            done.push(c.state.is_final().then_some(s.outcome.now));
            leave_message.push(c.leave_message);
            messages.push(id.filter(|_| carried && !c.leave_message).map(|id| id.0));
            left.push(id.filter(|_| c.leave_message).map(|id| id.0));
        }
    }
    if ids.is_empty() {
        return Ok(Changed::default());
    }
    let rows = tx
        .query(
            "UPDATE delivery d SET state = n.state, tries = n.tries, due_at = n.due_at, done_at = n.done_at,
                 message_id = CASE WHEN n.leave_message THEN NULL ELSE coalesce(n.message_id, d.message_id) END,
                 tried = CASE WHEN n.gone IS NULL THEN d.tried
                     WHEN cardinality(d.tried) >= 20 THEN d.tried[1:10] || d.tried[12:20] || n.gone
                     ELSE coalesce(d.tried, '{}') || n.gone END,
                 reason = CASE WHEN n.reason IS NULL AND n.done_at IS NOT NULL AND (n.leave_message OR coalesce(n.message_id, d.message_id) IS NULL)
                     THEN $10 ELSE n.reason END
             FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS n (id, state, tries, due_at, reason, done_at, leave_message, message_id, gone)
             WHERE d.id = n.id AND d.state IN ('waiting', 'deferred') RETURNING d.id, d.lane_id",
            &[&ids, &states, &tries, &due, &reasons, &done, &leave_message, &messages, &left, &NO_REASON],
        )
        .await?;
    let mut changed = Changed::default();
    for row in &rows {
        changed.lanes.insert(DeliveryId(get(row, 0)?), get(row, 1)?);
    }
    for ix in (0..ids.len()).filter(|&ix| states[ix] == State::Sent.as_str() && !changed.lanes.contains_key(&DeliveryId(ids[ix]))) {
        changed.late.0.push(ids[ix]);
        changed.late.1.push(done[ix]);
        changed.late.2.push(messages[ix]);
    }
    Ok(changed)
}

/// A dropped delivery that turns out to have been sent already becomes `sent`.
async fn mark_late_sent(tx: &Tx, (ids, done, messages): &(Vec<Uuid>, Vec<Option<UnixMs>>, Vec<Option<Uuid>>)) -> Result<(), DbError> {
    if !ids.is_empty() {
        tx.execute(
            "UPDATE delivery d SET state = 'sent', done_at = n.done_at, message_id = coalesce(n.message_id, d.message_id),
                 reason = coalesce(d.reason || '; ', '') || 'it had already left'
             FROM unnest($1, $2, $3) AS n (id, done_at, message_id) WHERE d.id = n.id AND d.state = 'dropped'",
            &[ids, done, messages],
        )
        .await?;
    }
    Ok(())
}

/// A fallback child that is wanted, and the settlement of the stage that makes it.
struct Wanted<'a> {
    of: usize,
    arrival: Arrival<'a>,
}

/// Fallback children: left out when their origin was dropped meanwhile, or has one on that channel already.
async fn wanted_children<'a>(tx: &Tx, stage: &[&'a PreparedOutcome]) -> Result<Vec<Wanted<'a>>, DbError> {
    let mut all: Vec<Wanted<'a>> = Vec::new();
    for (of, s) in stage.iter().enumerate() {
        all.extend(s.children.iter().map(|child| Wanted { of, arrival: Arrival::copied(child, s.outcome.now) }));
    }
    if all.is_empty() {
        return Ok(all);
    }
    let delivery = |child: &Wanted<'a>| &child.arrival.prepared.delivery;
    let origins: Vec<Option<Uuid>> = all.iter().map(|child| delivery(child).fallback.of.map(|id| id.0)).collect();
    let channels: Vec<&str> = all.iter().map(|child| delivery(child).channel.as_str()).collect();
    // Locked, so that nobody drops an origin between the look and the commit.
    tx.query("SELECT 1 FROM delivery WHERE id = ANY ($1) ORDER BY id FOR UPDATE", &[&origins]).await?;
    let rows = tx
        .query(
            "SELECT n.place FROM unnest($1, $2) WITH ORDINALITY AS n (origin_id, channel, place)
             WHERE EXISTS (SELECT 1 FROM delivery d WHERE d.origin_id = n.origin_id AND d.channel = n.channel)
                 OR EXISTS (SELECT 1 FROM delivery d WHERE d.id = n.origin_id AND d.state = 'dropped')",
            &[&origins, &channels],
        )
        .await?;
    let unwanted: HashSet<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let mut named = HashSet::new();
    let mut place = 0;
    all.retain(|child| {
        place += 1;
        let d = delivery(child);
        let twice = d.fallback.of.is_some() && !named.insert((d.fallback.of, d.channel.as_str()));
        !twice && !unwanted.contains(&place)
    });
    Ok(all)
}

/// The lanes that a stage touches.
pub(super) struct LaneLocks {
    /// Where settlements say that their deliveries are; they may have been moved since.
    named: Vec<i64>,
    /// Messages that are done.
    finished: Vec<Uuid>,
    /// Whether there are no fallback children: those enter other lanes, and all lanes are locked at once when it is known which.
    alone: bool,
}

impl LaneLocks {
    pub(super) fn of(stage: &[&PreparedOutcome]) -> Self {
        let messages = stage.iter().filter_map(|s| s.outcome.message.as_ref());
        let named: BTreeSet<i64> = stage.iter().flat_map(|s| s.outcome.deliveries.iter().map(|c| c.lane.0)).collect();
        Self {
            named: named.into_iter().collect(),
            finished: messages.filter(|m| m.done).map(|m| m.id.0).collect(),
            alone: stage.iter().all(|s| s.children.is_empty()),
        }
    }

    /// Locks what is known beforehand; returns whether a finished message holds a lane.
    pub(super) async fn lock(&self, tx: &Tx) -> Result<bool, DbError> {
        if self.alone { lock_lanes(tx, &self.named, &self.finished, &[]).await } else { Ok(false) }
    }

    /// Locks the rest, lets open messages take theirs, frees those of messages that are done or that nothing in the lane belongs to any more, counts
    /// again, and puts the children into theirs. Returns the children by outcome. Behind the last stage the transaction ends.
    pub(super) async fn update(
        &self,
        tx: &Tx,
        stage: &[&PreparedOutcome],
        taken: Vec<(i64, Uuid)>,
        changed: &Changed,
        mut held: bool,
        last: bool,
    ) -> Result<Vec<Vec<AcceptedDelivery>>, DbError> {
        let (of, arrivals): (Vec<usize>, Vec<Arrival<'_>>) = wanted_children(tx, stage).await?.into_iter().map(|c| (c.of, c.arrival)).unzip();
        let counted: Vec<i64> = changed.lanes.values().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let lanes = counted.iter().copied().chain(taken.iter().map(|(lane, _)| *lane));
        if self.alone {
            let rest: Vec<i64> = lanes.filter(|lane| self.named.binary_search(lane).is_err()).collect();
            lock_lanes(tx, &rest, &Vec::new(), &[]).await?;
        } else {
            held = lock_lanes(tx, &lanes.collect::<Vec<_>>(), &self.finished, &arrivals).await?;
        }
        let written = async {
            let lanes = join4(
                occupy_lanes(tx, taken),
                free_lanes(tx, held, &self.finished),
                free_left_lanes(tx, stage, &changed.lanes),
                recount(tx, &counted),
            );
            let (late, anchors, (taken, freed, left, counted)) =
                join3(mark_late_sent(tx, &changed.late), anchors::write(tx, &changed.anchors), lanes).await;
            late.and(anchors).and(taken).and(freed).and(left).and(counted)
        };
        if last && arrivals.is_empty() {
            tx.commit_pipelined(written).await?;
        } else {
            written.await?;
        }
        let mut made: Vec<Vec<AcceptedDelivery>> = stage.iter().map(|_| Vec::new()).collect();
        for (of, child) in of.into_iter().zip(append(tx, &arrivals).await?) {
            made[of].push(child);
        }
        Ok(made)
    }
}

async fn occupy_lanes(tx: &Tx, taken: Vec<(i64, Uuid)>) -> Result<(), DbError> {
    if !taken.is_empty() {
        let (lanes, messages): (Vec<i64>, Vec<Uuid>) = taken.into_iter().collect::<BTreeMap<_, _>>().into_iter().unzip();
        let sql = "UPDATE lane SET message_id = n.message_id FROM unnest($1, $2) AS n (id, message_id) WHERE lane.id = n.id";
        tx.execute(sql, &[&lanes, &messages]).await?;
    }
    Ok(())
}

async fn free_lanes(tx: &Tx, held: bool, finished: &Vec<Uuid>) -> Result<(), DbError> {
    if held {
        tx.execute("UPDATE lane SET message_id = NULL WHERE message_id = ANY ($1)", &[finished]).await?;
    }
    Ok(())
}

/// Frees lanes of open messages when no member of theirs is left there.
async fn free_left_lanes(tx: &Tx, stage: &[&PreparedOutcome], changed: &HashMap<DeliveryId, i64>) -> Result<(), DbError> {
    let (mut lanes, mut messages) = (Vec::new(), Vec::new());
    for s in stage {
        let Some(message) = s.outcome.message.as_ref().filter(|m| !m.done) else { continue };
        for lane in s.outcome.deliveries.iter().filter(|c| c.leave_message).filter_map(|c| changed.get(&c.id)) {
            lanes.push(*lane);
            messages.push(message.id.0);
        }
    }
    if !lanes.is_empty() {
        tx.execute(
            "UPDATE lane SET message_id = NULL FROM unnest($1, $2) AS n (id, message_id)
             WHERE lane.id = n.id AND lane.message_id = n.message_id
                 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.message_id = n.message_id AND d.lane_id = n.id)",
            &[&lanes, &messages],
        )
        .await?;
    }
    Ok(())
}
