//! Outcomes: what attempts (or decisions without one) change; many settlements by a few statements in one transaction, each fenced.
//!
//! Settlements that touch the same message or delivery are done one after the other, in stages; those of one stage have nothing in common but
//! lanes and outlets, for which their order makes no difference or is kept here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use futures_util::future::{join, join3, join4, join5};
use uuid::Uuid;

use super::anchors::{Confirmations, Versions, lock_incidents};
use super::connect::{Db, transaction};
use super::error::DbError;
use super::group::Grouped;
use super::guard;
use super::messages::{Write, add_members, write_cells, write_messages};
use super::outcome_parts::{LaneLocks, change_deliveries, end_attempts};
use super::outlets::{OutletRow, write_outlets};
use super::receipts::await_all;
use super::rows::get;
use super::timeline;
use super::tx::Tx;
use crate::store::prepared::PreparedOutcome;
use crate::store::{AttemptGuard, RecordedOutcome, StoreError};

impl PreparedOutcome {
    /// Ids of all that it reads or changes and others might: settlements that share one are not in the same stage.
    fn touches(&self) -> HashSet<Uuid> {
        let s = &self.outcome;
        let message = s.message.as_ref().map(|m| m.id.0);
        let members = self.message.iter().flat_map(|m| m.message.members.iter().map(|id| id.0));
        let children = self.children.iter().flat_map(|(_, c)| c.delivery.fallback.of.map(|id| id.0).into_iter().chain([c.delivery.id.0]));
        let changes = s.deliveries.iter().map(|change| change.id.0);
        message.into_iter().chain(s.attempt.as_ref().map(|a| a.id.0)).chain(members).chain(children).chain(changes).collect()
    }
}

impl Grouped for PreparedOutcome {
    type Answer = RecordedOutcome;

    async fn commit(db: &Db, group: &[&Self]) -> Result<Vec<Result<RecordedOutcome, StoreError>>, DbError> {
        transaction!(db, write, |tx| record_all(tx, group))
    }
}

async fn record_all(tx: &Tx, group: &[&PreparedOutcome]) -> Result<Vec<Result<RecordedOutcome, StoreError>>, DbError> {
    // All incidents at once: they are locked before lanes, and each stage locks lanes.
    let guarded = group.iter().flat_map(|s| s.outcome.needless.iter().flat_map(AttemptGuard::incidents));
    let incidents = group.iter().flat_map(|s| s.outcome.anchors.iter().map(|update| update.incident)).chain(guarded).collect();
    let (epochs, versions) = join(lock_outlets(tx, group), lock_incidents(tx, incidents)).await;
    let (epochs, versions) = (epochs?, versions?);
    let mut refused = Vec::with_capacity(group.len());
    for s in group {
        let live = epochs.get(s.outcome.fence.outlet.as_str()) == Some(&s.outcome.fence.epoch);
        refused.push(match &s.outcome.needless {
            _ if !live => Some(StoreError::Fenced),
            Some(guard) => guard::called_again(tx, guard).await?,
            None => None,
        });
    }
    let mut stages: Vec<Vec<&PreparedOutcome>> = Vec::new();
    let mut touched: HashSet<Uuid> = HashSet::new();
    for (next, _) in group.iter().zip(&refused).filter(|(_, why)| why.is_none()) {
        let touches = next.touches();
        if stages.is_empty() || !touched.is_disjoint(&touches) {
            stages.push(Vec::new());
            touched.clear();
        }
        if let Some(stage) = stages.last_mut() {
            stage.push(next);
        }
        touched.extend(touches);
    }
    let mut settled = Vec::with_capacity(group.len());
    for (ix, stage) in stages.iter().enumerate() {
        settled.extend(settle_wave(tx, stage, &versions, ix + 1 == stages.len()).await?);
    }
    let mut settled = settled.into_iter();
    Ok(refused.into_iter().map(|why| why.map_or_else(|| settled.next().ok_or(StoreError::Fenced), Err)).collect())
}

/// Locks the outlets' rows, in key order, and returns their epochs (I7).
async fn lock_outlets(tx: &Tx, group: &[&PreparedOutcome]) -> Result<HashMap<String, i64>, DbError> {
    let keys: BTreeSet<&str> = group.iter().map(|s| s.outcome.fence.outlet.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let rows = tx.query("SELECT key, epoch FROM outlet WHERE key = ANY ($1) ORDER BY key FOR UPDATE", &[&keys]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// Two steps, each sent as one: what changes by itself, with the locks of the lanes, and then what is written to the lanes; behind the last stage
/// the end.
async fn settle_wave(tx: &Tx, stage: &[&PreparedOutcome], versions: &Versions, last: bool) -> Result<Vec<RecordedOutcome>, DbError> {
    let messages = Messages::of(stage);
    let (mut cells, mut receipts) = (Vec::new(), Vec::new());
    for s in stage {
        let Some(message) = &s.outcome.message else { continue };
        receipts.extend(message.receipts.iter().map(|receipt| (message.id, receipt)));
        let own = s.message.iter().filter(|_| s.sole().is_none());
        cells.extend(own.flat_map(|m| &m.message.cells).chain(&s.outcome.cells).map(|cell| (message.id, cell)));
    }
    let lanes = LaneLocks::of(stage);
    let confirmed = Confirmations::of(stage);
    let rows: Vec<_> = stage.iter().flat_map(|s| s.outcome.timeline.iter().map(|(incident, row)| (*incident, row))).collect();
    let (anchors, (outlets, taken, (attempts, cells, awaited, added), changed, held)) = join(
        confirmed.lock(tx, versions),
        join5(
            change_outlets(tx, stage),
            messages.settle(tx),
            join4(end_attempts(tx, stage), write_cells(tx, &cells), await_all(tx, &receipts), timeline::add(tx, &rows)),
            change_deliveries(tx, stage),
            lanes.lock(tx),
        ),
    )
    .await;
    // The first that was refused says why; the others say that the transaction is broken.
    let anchors = anchors?;
    outlets?;
    let taken = taken?;
    attempts.and(cells).and(awaited).and(added)?;
    let mut changed = changed?;
    changed.anchors = anchors;
    let children = lanes.update(tx, stage, taken, &changed, held?, last).await?;
    Ok(children.into_iter().map(|children| RecordedOutcome { children }).collect())
}

/// What becomes of the messages of a stage.
#[derive(Default)]
struct Messages<'a> {
    writes: Vec<Write<'a>>,
    members: (Vec<Uuid>, Vec<Uuid>),
    stored: (Vec<Uuid>, Vec<bool>),
    open: HashSet<Uuid>,
}

impl<'a> Messages<'a> {
    fn of(stage: &[&'a PreparedOutcome]) -> Self {
        let mut all = Self::default();
        for s in stage {
            let Some(message) = &s.outcome.message else { continue };
            let Some(new) = &s.message else {
                all.stored.0.push(message.id.0);
                all.stored.1.push(message.done);
                continue;
            };
            all.writes.push(Write { fence: &s.outcome.fence, message: new, done: message.done, sole: s.sole() });
            if !message.done {
                all.open.insert(message.id.0);
            }
            for member in &new.message.members {
                // Those that change now get their message with the change; only an open message occupies lanes.
                if !message.done || s.outcome.deliveries.iter().all(|change| change.id != *member) {
                    all.members.0.push(member.0);
                    all.members.1.push(message.id.0);
                }
            }
        }
        all
    }

    /// Stores messages with their members, or marks stored ones; returns the lanes that open messages take. All is sent when this is first polled.
    async fn settle(&self, tx: &Tx) -> Result<Vec<(i64, Uuid)>, DbError> {
        let members = add_members(tx, self.members.0.clone(), self.members.1.clone());
        let (written, members, marked) = join3(write_messages(tx, &self.writes), members, mark(tx, &self.stored)).await;
        written?;
        let members = members?;
        marked?;
        Ok(members.into_iter().filter(|member| self.open.contains(&member.message)).map(|member| (member.lane, member.message)).collect())
    }
}

async fn mark(tx: &Tx, (stored, dones): &(Vec<Uuid>, Vec<bool>)) -> Result<(), DbError> {
    if stored.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE message m SET done = n.done FROM unnest($1, $2) AS n (id, done) WHERE m.id = n.id RETURNING m.id";
    let rows = tx.query(sql, &[stored, dones]).await?;
    let known: HashSet<Uuid> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    match stored.iter().find(|id| !known.contains(id)) {
        None => Ok(()),
        Some(id) => Err(StoreError::Invalid(format!("message {id} was never formed and is not given")).into()),
    }
}

async fn change_outlets(tx: &Tx, stage: &[&PreparedOutcome]) -> Result<(), DbError> {
    let mut changes: BTreeMap<&str, OutletRow<'_>> = BTreeMap::new();
    for s in stage.iter().map(|s| &s.outcome) {
        if s.outlet.is_some() || s.sent_in_month.is_some() {
            changes.entry(s.fence.outlet.as_str()).or_default().add(s.outlet.as_ref(), s.sent_in_month.as_ref());
        }
    }
    write_outlets(tx, &changes).await
}
