//! Who owns an outlet: claims, leases and what a new owner must know to go on.
//!
//! Epochs only grow; a claim by the same node raises the epoch too, so that writes of its earlier life are fenced.

use rusqlite::{Connection, OptionalExtension, params};

use super::error::DbError;
use super::messages::check_fence;
use super::outlets::change_outlet;
use super::rows::{OPEN, bytes, cells, pending_delivery};
use crate::model::{MessageId, OutletKey, UnixMs};
use crate::store::rows::{DELIVERY, StoredRow as _, is_direct};
use crate::store::{Fence, LeaseRequest, OpenMessage, OutletSnapshot, OutletUpdate, PendingDelivery};

/// When an outlet's sends ended, oldest first. Those that messages hold themselves count only where the outlet had a rate limit.
pub(super) const SENDS: &str = "SELECT max(begun_at, ended_at) FROM attempt WHERE outlet = ?1 AND begun_at >= ?2
    UNION ALL SELECT counted_at FROM message INDEXED BY message_counted WHERE outlet = ?1 AND counted_at >= ?2 AND counted_at IS NOT NULL ORDER BY 1";

/// [`crate::store::ClusterStore::claim_outlet`].
pub(super) fn claim(db: &Connection, claim: &LeaseRequest) -> Result<Option<OutletSnapshot>, DbError> {
    let key = claim.outlet.as_str();
    let before: Option<String> = db.prepare_cached("SELECT owner FROM outlet WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()?;
    let mut upsert = db.prepare_cached(
        "INSERT INTO outlet (key, owner, epoch, lease_until) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, epoch = epoch + 1, lease_until = excluded.lease_until
         WHERE owner = excluded.owner OR lease_until <= ?4
         RETURNING epoch, paused_until, held, month, month_sent",
    )?;
    let owned = upsert.query_row(params![key, claim.node, claim.lease_until, claim.now], |row| {
        Ok(OutletSnapshot {
            epoch: row.get(0)?,
            paused_until: row.get(1)?,
            suspended: row.get(2)?,
            month: row.get(3)?,
            month_sent: row.get(4)?,
            ..OutletSnapshot::default()
        })
    });
    let Some(mut owned) = owned.optional()? else { return Ok(None) };
    owned.released = before.is_none_or(|owner| owner.is_empty());
    db.prepare_cached("UPDATE attempt INDEXED BY attempt_open SET ended_at = ?2, kind = 'unknown' WHERE outlet = ?1 AND ended_at IS NULL")?
        .execute(params![key, claim.now])?;
    let mut sends = db.prepare_cached(SENDS)?;
    owned.sends = sends.query_map(params![key, claim.window_start], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    owned.open = open_messages(db, &claim.outlet)?;
    Ok(Some(owned))
}

fn open_messages(db: &Connection, outlet: &OutletKey) -> Result<Vec<OpenMessage>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT id, channel, kind, template, generation, formed_at, pages FROM message INDEXED BY message_open
         WHERE outlet = ?1 AND done = 0 ORDER BY formed_at, id",
    )?;
    let rows = select.query_map([outlet.as_str()], |row| {
        Ok(OpenMessage {
            id: MessageId(row.uuid(0)?),
            channel: row.get(1)?,
            kind: row.message_kind(2)?,
            template: row.get(3)?,
            generation: row.get(4)?,
            direct: true,
            formed_at: row.get(5)?,
            pages: row.pages(6)?,
            cells: Vec::new(),
            members: Vec::new(),
        })
    })?;
    let mut open: Vec<OpenMessage> = rows.collect::<rusqlite::Result<_>>()?;
    for message in &mut open {
        message.cells = cells(db, message.id)?;
        let members = open_members(db, message.id)?;
        message.direct = members.iter().all(|(_, direct)| *direct);
        message.members = members.into_iter().map(|(member, _)| member).collect();
    }
    Ok(open)
}

/// The members, each with whether it is a direct send.
fn open_members(db: &Connection, message: MessageId) -> Result<Vec<(PendingDelivery, bool)>, DbError> {
    let mut select =
        db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.message_id = ?1 AND d.{OPEN} ORDER BY d.lane_id, d.lane_seq"))?;
    Ok(select.query_map([bytes(&message.0)], |row| Ok((pending_delivery(row)?, is_direct(row)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::ClusterStore::renew_leases`]. An owner stays the owner until another node claims, also when its lease has run out.
pub(super) fn renew(db: &Connection, node: &str, lease_until: UnixMs) -> Result<Vec<OutletKey>, DbError> {
    let mut update = db.prepare_cached("UPDATE outlet SET lease_until = ?2 WHERE owner = ?1 RETURNING key")?;
    let rows = update.query_map(params![node, lease_until], |row| Ok(OutletKey::from_stored(row.get_ref(0)?.as_str()?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::ClusterStore::release_outlet`].
pub(super) fn release(db: &Connection, fence: &Fence) -> Result<(), DbError> {
    db.prepare_cached("UPDATE outlet SET owner = '', lease_until = 0 WHERE key = ?1 AND epoch = ?2")?
        .execute(params![fence.outlet.as_str(), fence.epoch])?;
    Ok(())
}

/// [`crate::store::OutletStore::set_outlet_state`].
pub(super) fn set_state(db: &Connection, fence: &Fence, change: &OutletUpdate) -> Result<(), DbError> {
    check_fence(db, fence)?;
    change_outlet(db, &fence.outlet, change)
}
