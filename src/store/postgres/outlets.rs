//! Rows of outlets: pauses, suspensions, and what a month has seen.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::error::DbError;
use super::tx::Tx;
use crate::model::{OutletKey, UnixMs};
use crate::store::{MonthlySends, OutletUpdate, SuspensionChange};

/// Sets an outlet's pause and suspension without an attempt.
pub(super) async fn change_outlet(tx: &Tx, outlet: &OutletKey, change: &OutletUpdate) -> Result<(), DbError> {
    let mut row = OutletRow::default();
    row.add(Some(change), None);
    write_outlets(tx, &BTreeMap::from([(outlet.as_str(), row)])).await
}

/// Counts messages and edits of an outlet in a month.
pub(super) async fn count_month(tx: &Tx, outlet: &OutletKey, sends: &MonthlySends) -> Result<(), DbError> {
    let mut row = OutletRow::default();
    row.add(None, Some(sends));
    write_outlets(tx, &BTreeMap::from([(outlet.as_str(), row)])).await
}

/// What changes in an outlet's row; what came later counts.
#[derive(Default)]
pub(super) struct OutletRow<'a> {
    paused_until: Option<UnixMs>,
    suspension: Option<&'a SuspensionChange>,
    month: Option<&'a str>,
    sent: i64,
}

impl<'a> OutletRow<'a> {
    pub(super) fn add(&mut self, change: Option<&'a OutletUpdate>, month: Option<&'a MonthlySends>) {
        if let Some(change) = change {
            self.paused_until = change.paused_until.or(self.paused_until);
            self.suspension = change.suspension.as_ref().or(self.suspension);
        }
        // `2026-11` sorts as text; an outcome that comes in late for a month gone by changes nothing.
        let Some(MonthlySends { month, sends }) = month else { return };
        match self.month.map_or(Ordering::Greater, |known| month.as_str().cmp(known)) {
            Ordering::Greater => (self.month, self.sent) = (Some(month.as_str()), *sends),
            Ordering::Equal => self.sent += sends,
            Ordering::Less => {}
        }
    }
}

/// Writes what changes; all outlets in one statement.
pub(super) async fn write_outlets(tx: &Tx, changes: &BTreeMap<&str, OutletRow<'_>>) -> Result<(), DbError> {
    if changes.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = changes.keys().copied().collect();
    let paused: Vec<Option<UnixMs>> = changes.values().map(|row| row.paused_until).collect();
    let holds: Vec<bool> = changes.values().map(|row| row.suspension.is_some()).collect();
    let held: Vec<Option<&str>> = changes.values().map(|row| row.suspension.and_then(SuspensionChange::reason)).collect();
    let months: Vec<Option<&str>> = changes.values().map(|row| row.month).collect();
    let sent: Vec<i64> = changes.values().map(|row| row.sent).collect();
    tx.execute(
        "UPDATE outlet o SET paused_until = coalesce(n.paused_until, o.paused_until), held = CASE WHEN n.holds THEN n.held ELSE o.held END,
             month = greatest(o.month, n.month COLLATE \"C\"),
             month_sent = CASE WHEN o.month = n.month THEN o.month_sent + n.sent WHEN o.month < n.month THEN n.sent ELSE o.month_sent END
         FROM unnest($1, $2, $3, $4, $5, $6) AS n (key, paused_until, holds, held, month, sent) WHERE o.key = n.key",
        &[&keys, &paused, &holds, &held, &months, &sent],
    )
    .await?;
    Ok(())
}
