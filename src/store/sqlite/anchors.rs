//! Anchors: what a confirmed message and an edit change of them, and which are to be edited.
//!
//! Every edited anchor is dirty or shows its incident's version (I14): whatever changes an anchor or a version says so in the same transaction.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::DbError;
use super::messages::check_fence;
use super::outlets::count_month;
use super::rows::{bytes, find_incident};
use super::timeline;
use crate::model::{IncidentId, PlatformIds, Recipient, UnixMs};
use crate::store::incidents::{ANCHOR, INCIDENT, MAX_NEIGHBOURS, anchor, anchor_at, incident};
use crate::store::{Anchor, AnchorUpdate, DirtyAnchor, EditOutcome, Fence, Incident, TimelineRow, write_notified};

/// The incident changed: its edited anchors show less than it is.
pub(super) fn mark_dirty(db: &Connection, incident: IncidentId) -> Result<(), DbError> {
    db.prepare_cached("UPDATE anchor SET dirty = 1 WHERE incident = ?1 AND edited = 1 AND dirty = 0")?.execute([incident.0])?;
    Ok(())
}

/// Part of an outcome: what its message changes of anchors (I12).
pub(super) fn confirm(db: &Connection, updates: &[AnchorUpdate], now: UnixMs) -> Result<(), DbError> {
    for update in updates {
        let Some(version) = version(db, update.incident)? else { continue };
        let before = find(db, update.incident, &update.channel, &update.recipient)?;
        write(db, &Anchor::confirmed(before, update, now), version)?;
    }
    Ok(())
}

/// [`crate::store::OutletStore::record_edit`].
pub(super) fn record_edit(db: &Connection, fence: &Fence, outcome: &EditOutcome) -> Result<(), DbError> {
    check_fence(db, fence)?;
    outcome.sent_in_month.iter().try_for_each(|sends| count_month(db, &fence.outlet, sends))?;
    let Some(version) = version(db, outcome.incident)? else { return Ok(()) };
    let mut said: Option<TimelineRow> = None;
    let mut replaced: Option<String> = None;
    for before in all(db, outcome.incident)?.into_iter().filter(|anchor| outcome.is_about(anchor)) {
        let (anchor, row) = before.after_edit(outcome);
        // They are one message: the timeline has one line of it.
        if said.is_none() {
            replaced = row.as_ref().and_then(|row| anchor.replaced_edit_line(row));
            said = row;
        }
        write(db, &anchor, version)?;
    }
    let Some(row) = said else { return Ok(()) };
    if let Some(end) = replaced {
        timeline::remove_last(db, outcome.incident, &row, &end)?;
    }
    timeline::add(db, outcome.incident, &row)
}

/// [`crate::store::OperatorStore::keep_copy`].
pub(super) fn keep_copy(db: &Connection, incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, DbError> {
    let Some(version) = version(db, incident)? else { return Ok(false) };
    let Some(anchor) = find(db, incident, channel, recipient)?.and_then(|anchor| anchor.with_copy(copy)) else { return Ok(false) };
    if is_known(db, incident, copy)? {
        return Ok(false);
    }
    write(db, &anchor, version)?;
    Ok(true)
}

/// Whether a message is already that of an anchor of an incident about as old. The range of the primary key bounds what is read.
fn is_known(db: &Connection, near: IncidentId, message: &PlatformIds) -> Result<bool, DbError> {
    let mut select = db.prepare_cached("SELECT ids FROM anchor WHERE incident BETWEEN ?1 AND ?2 AND ids IS NOT NULL")?;
    let mut rows = select.query([near.0.saturating_sub(MAX_NEIGHBOURS), near.0.saturating_add(MAX_NEIGHBOURS)])?;
    while let Some(row) = rows.next()? {
        let ids: String = row.get(0)?;
        if PlatformIds::from_stored(&ids).all().iter().any(|known| known.is_same_message(message)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn version(db: &Connection, incident: IncidentId) -> Result<Option<i64>, DbError> {
    Ok(db.prepare_cached("SELECT version FROM incident WHERE id = ?1")?.query_row([incident.0], |row| row.get(0)).optional()?)
}

fn find(db: &Connection, incident: IncidentId, channel: &str, recipient: &Recipient) -> Result<Option<Anchor>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = ?1 AND a.channel = ?2 AND a.recipient = ?3"))?;
    Ok(select.query_row(params![incident.0, channel, recipient.expose()], |row| anchor(row)).optional()?)
}

fn write(db: &Connection, a: &Anchor, version: i64) -> Result<(), DbError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO anchor (incident, channel, recipient, message_id, ids, notified, notified_at, rang_at, rang_version, shown, edited, dirty, next_edit_at, edits,
             failures, reposts, reposted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    )?
    .execute(params![
        a.incident.0,
        a.channel,
        a.recipient.expose(),
        bytes(&a.message.0),
        a.ids.to_stored(),
        write_notified(&a.notified),
        a.notified_at,
        a.rang.at,
        a.rang.version,
        a.shown,
        a.edited,
        a.is_dirty(version),
        a.next_edit_at,
        a.edits,
        a.failures,
        a.reposts,
        a.reposted_at,
    ])?;
    Ok(())
}

/// The anchors of an incident, by channel and recipient.
pub(super) fn all(db: &Connection, incident: IncidentId) -> Result<Vec<Anchor>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = ?1 ORDER BY a.channel, a.recipient"))?;
    Ok(select.query_map([incident.0], |row| anchor(row))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::OutletStore::incidents`].
pub(super) fn with_incidents(db: &Connection, ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = ?1 AND a.channel = ?2 ORDER BY a.recipient"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(incident) = find_incident(db, *id)? {
            let anchors = select.query_map(params![id.0, channel], |row| anchor(row))?.collect::<rusqlite::Result<_>>()?;
            found.push((incident, anchors));
        }
    }
    Ok(found)
}

/// [`crate::store::OutletStore::dirty_anchors`]. Their order is found before anything large is read.
pub(super) fn dirty(db: &Connection, channels: &[String], now: UnixMs, limit: usize) -> Result<Vec<DirtyAnchor>, DbError> {
    let mut select = db.prepare_cached(&format!(
        "SELECT {ANCHOR}, {INCIDENT} FROM (
             SELECT d.incident, d.channel, d.recipient, CASE WHEN d.next_edit_at <= ?2 THEN 0 ELSE d.next_edit_at END AS due, n.rank
             FROM anchor d INDEXED BY anchor_dirty CROSS JOIN incident n
             WHERE d.channel IN (SELECT value FROM json_each(?1)) AND d.dirty = 1 AND n.id = d.incident
             ORDER BY due, n.rank, d.incident, d.channel, d.recipient LIMIT ?3) o
         CROSS JOIN anchor a ON a.incident = o.incident AND a.channel = o.channel AND a.recipient = o.recipient
         CROSS JOIN incident i ON i.id = o.incident ORDER BY o.due, o.rank, o.incident, o.channel, o.recipient"
    ))?;
    let names = serde_json::json!(channels).to_string();
    let rows = select.query_map(params![names, now, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(DirtyAnchor { anchor: anchor(row)?, incident: incident(row, anchor_at::NEXT)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
