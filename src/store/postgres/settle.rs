//! Outcomes: what attempts (or decisions without one) change; many settlements by a few statements in one transaction, each fenced.
//!
//! Settlements that touch the same message or delivery are done one after the other, in waves; those of one wave have nothing in common but
//! lanes and outlets, for which their order makes no difference or is kept here.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use super::accept::PreparedDelivery;
use super::connect::{Db, transaction};
use super::failure::Fail;
use super::group::Grouped;
use super::messages::{PreparedMessage, add_members, clean_cell, write_cells, write_messages};
use super::outcomes::{change_deliveries, end_attempts, update_lanes};
use super::rows::{clean, clean_optional, get};
use super::tx::Tx;
use crate::model::{EventId, OutletKey};
use crate::store::{Child, OutletChange, Settled, Settlement, StoreError};

/// Bytes of a platform's answer that are kept.
const ANSWER: usize = 1024;

/// A settlement with all JSON made.
pub(super) struct PreparedSettlement {
    pub(super) settlement: Settlement,
    pub(super) message: Option<PreparedMessage>,
    pub(super) children: Vec<(EventId, PreparedDelivery)>,
    /// Whether owners of the children's outlets are told.
    pub(super) notify: bool,
}

impl PreparedSettlement {
    /// Serialises; meant for the caller's thread.
    pub(super) fn new(mut settlement: Settlement, notify: bool) -> Result<Self, StoreError> {
        if settlement.message.is_none() && (settlement.attempt.is_some() || !settlement.cells.is_empty()) {
            return Err(StoreError::Invalid("an attempt or cells cannot be settled without their message".into()));
        }
        let store = settlement.message.as_mut().and_then(|m| Some((m.id, m.store.take()?)));
        if store.as_ref().is_some_and(|(id, message)| *id != message.id) {
            return Err(StoreError::Invalid("a settlement names one message and stores another".into()));
        }
        let message = store.map(|(_, message)| PreparedMessage::new(message)).transpose()?;
        let children = std::mem::take(&mut settlement.children);
        let prepare = |Child { event, delivery }| Ok((event, PreparedDelivery::new(delivery)?));
        let children = children.into_iter().map(prepare).collect::<Result<Vec<_>, StoreError>>()?;
        settlement.cells.iter_mut().for_each(clean_cell);
        settlement.deliveries.iter_mut().for_each(|change| clean_optional(&mut change.reason));
        if let Some(attempt) = &mut settlement.attempt {
            clean_optional(&mut attempt.code);
            if let Some(answer) = &mut attempt.answer {
                clean(answer);
                let mut end = answer.len().min(ANSWER);
                while !answer.is_char_boundary(end) {
                    end -= 1;
                }
                answer.truncate(end);
            }
        }
        if let Some(OutletChange { held: Some(held), .. }) = &mut settlement.outlet {
            clean_optional(held);
        }
        Ok(Self { settlement, message, children, notify })
    }

    /// Bytes it takes in the queue, about.
    pub(super) fn cost(&self) -> usize {
        let s = &self.settlement;
        let children: usize = self.children.iter().map(|(_, child)| 600 + child.target.len()).sum();
        2048 + self.message.as_ref().map_or(0, PreparedMessage::cost) + s.cells.len() * 120 + s.deliveries.len() * 200 + children
    }

    /// Ids of all that it reads or changes and others might: settlements that share one are not in the same wave.
    fn touches(&self) -> HashSet<Uuid> {
        let s = &self.settlement;
        let message = s.message.as_ref().map(|m| m.id.0);
        let members = self.message.iter().flat_map(|m| m.message.members.iter().map(|id| id.0));
        let children = self.children.iter().flat_map(|(_, c)| c.delivery.origin.map(|id| id.0).into_iter().chain([c.delivery.id.0]));
        let changes = s.deliveries.iter().map(|change| change.id.0);
        message.into_iter().chain(s.attempt.as_ref().map(|a| a.id.0)).chain(members).chain(children).chain(changes).collect()
    }
}

impl Grouped for PreparedSettlement {
    type Answer = Settled;

    async fn commit(db: &Db, group: &[&Self]) -> Result<Vec<Result<Settled, StoreError>>, Fail> {
        transaction!(db, write, |tx| settle_all(tx, group))
    }
}

async fn settle_all(tx: &Tx, group: &[&PreparedSettlement]) -> Result<Vec<Result<Settled, StoreError>>, Fail> {
    let epochs = lock_outlets(tx, group).await?;
    let live = |s: &PreparedSettlement| epochs.get(s.settlement.fence.outlet.as_str()) == Some(&s.settlement.fence.epoch);
    let mut settled = Vec::new();
    let (mut wave, mut touched): (Vec<&PreparedSettlement>, HashSet<Uuid>) = Default::default();
    for next in group.iter().filter(|s| live(s)) {
        let touches = next.touches();
        if !touched.is_disjoint(&touches) {
            settled.extend(settle_wave(tx, &wave).await?);
            wave.clear();
            touched.clear();
        }
        wave.push(next);
        touched.extend(touches);
    }
    settled.extend(settle_wave(tx, &wave).await?);
    let mut settled = settled.into_iter();
    Ok(group.iter().map(|s| if live(s) { settled.next().ok_or(StoreError::Fenced) } else { Err(StoreError::Fenced) }).collect())
}

/// Locks the outlets' rows, in key order, and gives their epochs (I7).
async fn lock_outlets(tx: &Tx, group: &[&PreparedSettlement]) -> Result<HashMap<String, i64>, Fail> {
    let keys: BTreeSet<&str> = group.iter().map(|s| s.settlement.fence.outlet.as_str()).collect();
    let keys: Vec<&str> = keys.into_iter().collect();
    let rows = tx.query("SELECT key, epoch FROM outlet WHERE key = ANY ($1) ORDER BY key FOR UPDATE", &[&keys]).await?;
    rows.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

async fn settle_wave(tx: &Tx, wave: &[&PreparedSettlement]) -> Result<Vec<Settled>, Fail> {
    if wave.is_empty() {
        return Ok(Vec::new());
    }
    count_months(tx, wave).await?;
    for s in wave {
        if let Some(change) = &s.settlement.outlet {
            change_outlet(tx, &s.settlement.fence.outlet, change).await?;
        }
    }
    let taken = settle_messages(tx, wave).await?;
    end_attempts(tx, wave).await?;
    let mut cells = Vec::new();
    for s in wave {
        let Some(message) = &s.settlement.message else { continue };
        cells.extend(s.message.iter().flat_map(|m| &m.message.cells).chain(&s.settlement.cells).map(|cell| (message.id, cell)));
    }
    write_cells(tx, &cells).await?;
    let lanes = change_deliveries(tx, wave).await?;
    let children = update_lanes(tx, wave, &taken, &lanes).await?;
    Ok(children.into_iter().map(|children| Settled { children }).collect())
}

/// Stores messages with their members, or marks stored ones; gives the lanes that open messages take.
async fn settle_messages(tx: &Tx, wave: &[&PreparedSettlement]) -> Result<Vec<(i64, Uuid)>, Fail> {
    let mut writes = Vec::new();
    let (mut members, mut messages) = (Vec::new(), Vec::new());
    let (mut stored, mut dones) = (Vec::new(), Vec::new());
    let mut open = HashSet::new();
    for s in wave {
        let Some(message) = &s.settlement.message else { continue };
        let Some(new) = &s.message else {
            stored.push(message.id.0);
            dones.push(message.done);
            continue;
        };
        writes.push((&s.settlement.fence.outlet, new, message.done));
        if !message.done {
            open.insert(message.id.0);
        }
        for member in &new.message.members {
            // Those that change now get their message with the change; only an open message occupies lanes.
            if !message.done || s.settlement.deliveries.iter().all(|change| change.id != *member) {
                members.push(member.0);
                messages.push(message.id.0);
            }
        }
    }
    write_messages(tx, &writes).await?;
    let members = add_members(tx, members, messages).await?;
    if !stored.is_empty() {
        let sql = "UPDATE message m SET done = n.done FROM unnest($1, $2) AS n (id, done) WHERE m.id = n.id RETURNING m.id";
        let rows = tx.query(sql, &[&stored, &dones]).await?;
        let known: HashSet<Uuid> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        if let Some(id) = stored.iter().find(|id| !known.contains(id)) {
            return Err(StoreError::Invalid(format!("message {id} was never formed and is not given")).into());
        }
    }
    Ok(members.into_iter().filter(|member| open.contains(&member.message)).map(|member| (member.lane, member.message)).collect())
}

/// `2026-11` sorts as text; an outcome that comes in late for a month gone by changes nothing.
async fn count_months(tx: &Tx, wave: &[&PreparedSettlement]) -> Result<(), Fail> {
    let mut months: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    let mut latest: HashMap<&str, &str> = HashMap::new();
    for s in wave {
        let Some((month, count)) = &s.settlement.sent_in_month else { continue };
        let outlet = s.settlement.fence.outlet.as_str();
        let latest = latest.entry(outlet).or_insert(month);
        if month.as_str() >= *latest {
            *latest = month;
            *months.entry(month).or_default().entry(outlet).or_default() += count;
        }
    }
    for (month, counts) in months {
        let (outlets, counts): (Vec<&str>, Vec<i64>) = counts.into_iter().unzip();
        tx.execute(
            "UPDATE outlet o SET month_sent = CASE WHEN o.month = $1 THEN o.month_sent + n.count ELSE n.count END, month = $1
             FROM unnest($2, $3) AS n (key, count) WHERE o.key = n.key AND o.month <= $1",
            &[&month, &outlets, &counts],
        )
        .await?;
    }
    Ok(())
}

/// Sets what of an outlet's pause and hold changes.
pub(super) async fn change_outlet(tx: &Tx, outlet: &OutletKey, change: &OutletChange) -> Result<(), Fail> {
    if change.paused_until.is_none() && change.held.is_none() {
        return Ok(());
    }
    let held = change.held.as_ref().and_then(|held| held.as_deref());
    tx.execute(
        "UPDATE outlet SET paused_until = coalesce($2, paused_until), held = CASE WHEN $3 THEN $4 ELSE held END WHERE key = $1",
        &[&outlet.as_str(), &change.paused_until, &change.held.is_some(), &held],
    )
    .await?;
    Ok(())
}
