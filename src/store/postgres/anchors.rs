//! Anchors: what confirmed messages and edits change of them, and which are to be edited.
//!
//! Every edited anchor is dirty or shows its incident's version (I14): a transaction that writes an anchor keeps the row of its incident from changing until the end
//! of the transaction, and what changes an incident marks its anchors. Incidents are locked before anchors.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::join;

use super::error::DbError;
use super::messages::check_fence;
use super::outlets::count_month;
use super::rows::{Columns, get, limit};
use super::timeline;
use super::tx::Tx;
use crate::model::{IncidentId, PlatformIds, Recipient, UnixMs};
use crate::store::incidents::{ANCHOR, INCIDENT, MAX_NEIGHBOURS, anchor, anchor_at, incident};
use crate::store::prepared::PreparedOutcome;
use crate::store::{Anchor, AnchorUpdate, DirtyAnchor, EditOutcome, Fence, Incident, TimelineRow, write_notified};

/// Incident, channel and recipient.
type Key = (IncidentId, String, Recipient);

/// The versions of incidents whose rows are locked; those that were purged are left out.
pub(super) type Versions = HashMap<IncidentId, i64>;

/// Locks incidents against changes, in the order of their keys. All is sent when this is first polled.
pub(super) async fn lock_incidents(tx: &Tx, ids: BTreeSet<IncidentId>) -> Result<Versions, DbError> {
    if ids.is_empty() {
        return Ok(Versions::new());
    }
    let ids: Vec<i64> = ids.into_iter().map(|id| id.0).collect();
    let rows = tx.query("SELECT id, version FROM incident WHERE id = ANY ($1) ORDER BY key, id FOR SHARE", &[&ids]).await?;
    rows.iter().map(|row| Ok((IncidentId(get(row, 0)?), get(row, 1)?))).collect()
}

/// Locks anchors. All is sent when this is first polled.
async fn lock_anchors(tx: &Tx, keys: &[(IncidentId, &str, &Recipient)]) -> Result<BTreeMap<Key, Anchor>, DbError> {
    let incidents: Vec<i64> = keys.iter().map(|(incident, ..)| incident.0).collect();
    let channels: Vec<&str> = keys.iter().map(|(_, channel, _)| *channel).collect();
    let recipients: Vec<&str> = keys.iter().map(|(.., recipient)| recipient.expose()).collect();
    let sql = format!(
        "SELECT {ANCHOR} FROM anchor a WHERE (a.incident, a.channel, a.recipient) IN (SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[]))
         ORDER BY a.incident, a.channel, a.recipient FOR UPDATE"
    );
    let rows = tx.query(&sql, &[&incidents, &channels, &recipients]).await?;
    let anchors = rows.iter().map(anchor).collect::<Result<Vec<_>, _>>()?;
    Ok(anchors.into_iter().map(|a| ((a.incident, a.channel.clone(), a.recipient.clone()), a)).collect())
}

/// What the messages of a stage change of anchors (I12).
pub(super) struct Confirmations<'a>(Vec<(&'a AnchorUpdate, UnixMs)>);

impl<'a> Confirmations<'a> {
    pub(super) fn of(stage: &[&'a PreparedOutcome]) -> Self {
        Self(stage.iter().flat_map(|s| s.outcome.anchors.iter().map(|update| (update, s.outcome.now))).collect())
    }

    /// Locks anchors of locked incidents, and returns them as they will be, each with its incident's version.
    pub(super) async fn lock(&self, tx: &Tx, versions: &Versions) -> Result<Vec<(Anchor, i64)>, DbError> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = self.0.iter().map(|(update, _)| (update.incident, update.channel.as_str(), &update.recipient)).collect();
        let mut anchors = lock_anchors(tx, &keys).await?;
        for (update, now) in self.0.iter().filter(|(update, _)| versions.contains_key(&update.incident)) {
            let key = (update.incident, update.channel.clone(), update.recipient.clone());
            let before = anchors.remove(&key);
            anchors.insert(key, Anchor::confirmed(before, update, *now));
        }
        Ok(anchors.into_values().filter_map(|a| versions.get(&a.incident).map(|version| (a, *version))).collect())
    }
}

/// Writes locked anchors, each with its incident's version; all is sent when this is first polled.
pub(super) async fn write(tx: &Tx, anchors: &[(Anchor, i64)]) -> Result<(), DbError> {
    if anchors.is_empty() {
        return Ok(());
    }
    let each = || anchors.iter().map(|(anchor, _)| anchor);
    Columns::default()
        .with("incident", each().map(|a| a.incident.0))
        .with("channel", each().map(|a| a.channel.as_str()))
        .with("recipient", each().map(|a| a.recipient.expose()))
        .with("message_id", each().map(|a| a.message.0))
        .with("ids", each().map(|a| a.ids.to_stored()))
        .with("notified", each().map(|a| write_notified(&a.notified)))
        .with("notified_at", each().map(|a| a.notified_at))
        .with("rang_at", each().map(|a| a.rang.at))
        .with("rang_version", each().map(|a| a.rang.version))
        .with("shown", each().map(|a| a.shown))
        .with("edited", each().map(|a| a.edited))
        .with("dirty", anchors.iter().map(|(anchor, version)| anchor.is_dirty(*version)))
        .with("next_edit_at", each().map(|a| a.next_edit_at))
        .with("edits", each().map(|a| i64::from(a.edits)))
        .with("failures", each().map(|a| i64::from(a.failures)))
        .with("reposts", each().map(|a| i64::from(a.reposts)))
        .with("reposted_at", each().map(|a| a.reposted_at))
        .insert(
            tx,
            "anchor",
            "ON CONFLICT (incident, channel, recipient) DO UPDATE SET message_id = excluded.message_id, ids = excluded.ids, notified = excluded.notified,
                 notified_at = excluded.notified_at, rang_at = excluded.rang_at, rang_version = excluded.rang_version, shown = excluded.shown, edited = excluded.edited, dirty = excluded.dirty,
                 next_edit_at = excluded.next_edit_at, edits = excluded.edits, failures = excluded.failures, reposts = excluded.reposts,
                 reposted_at = excluded.reposted_at",
        )
        .await
}

/// These incidents changed: their edited anchors show less than they are. All is sent when this is first polled.
pub(super) async fn mark_dirty(tx: &Tx, incidents: &Vec<i64>) -> Result<(), DbError> {
    if !incidents.is_empty() {
        tx.execute("UPDATE anchor SET dirty = true WHERE incident = ANY ($1) AND edited AND NOT dirty", &[incidents]).await?;
    }
    Ok(())
}

/// [`crate::store::OutletStore::record_edit`].
pub(super) async fn record_edit(tx: &Tx, fence: &Fence, outcome: &EditOutcome) -> Result<(), DbError> {
    // Before the fence is checked, which shares the row: two that share it would wait for each other.
    if let Some(sends) = &outcome.sent_in_month {
        count_month(tx, &fence.outlet, sends).await?;
    }
    check_fence(tx, fence).await?;
    let (versions, anchors) = join(lock_incidents(tx, BTreeSet::from([outcome.incident])), lock_channel(tx, outcome)).await;
    let (versions, anchors) = (versions?, anchors?);
    let Some(version) = versions.get(&outcome.incident) else { return Ok(()) };
    let mut said: Option<TimelineRow> = None;
    let mut replaced: Option<String> = None;
    let mut after = Vec::new();
    for before in anchors.into_iter().filter(|anchor| outcome.is_about(anchor)) {
        let (anchor, row) = before.after_edit(outcome);
        // They are one message: the timeline has one line of it.
        if said.is_none() {
            replaced = row.as_ref().and_then(|row| anchor.replaced_edit_line(row));
            said = row;
        }
        after.push((anchor, *version));
    }
    if let (Some(row), Some(end)) = (&said, &replaced) {
        timeline::remove_last(tx, outcome.incident, row, end).await?;
    }
    let rows: Vec<_> = said.iter().map(|row| (outcome.incident, row)).collect();
    let (written, added) = join(write(tx, &after), timeline::add(tx, &rows)).await;
    written.and(added)
}

/// Locks the anchors of an edit's incident on its channel. All is sent when this is first polled.
async fn lock_channel(tx: &Tx, outcome: &EditOutcome) -> Result<Vec<Anchor>, DbError> {
    let sql = format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = $1 AND a.channel = $2 ORDER BY a.recipient FOR UPDATE");
    tx.query(&sql, &[&outcome.incident.0, &outcome.channel]).await?.iter().map(anchor).collect()
}

/// [`crate::store::OperatorStore::keep_copy`].
pub(super) async fn keep_copy(tx: &Tx, incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, DbError> {
    let key = [(incident, channel, recipient)];
    let (versions, anchors) = join(lock_incidents(tx, BTreeSet::from([incident])), lock_anchors(tx, &key)).await;
    let (versions, anchors) = (versions?, anchors?);
    let anchor = anchors.into_values().next().and_then(|anchor| anchor.with_copy(copy));
    let (Some(version), Some(anchor)) = (versions.get(&incident), anchor) else { return Ok(false) };
    if is_known(tx, incident, copy).await? {
        return Ok(false);
    }
    write(tx, &[(anchor, *version)]).await?;
    Ok(true)
}

/// Whether a message is already that of an anchor of an incident about as old. The range of the primary key bounds what is read.
async fn is_known(tx: &Tx, near: IncidentId, message: &PlatformIds) -> Result<bool, DbError> {
    let sql = "SELECT ids FROM anchor WHERE incident BETWEEN $1 AND $2 AND ids IS NOT NULL";
    let rows = tx.query(sql, &[&near.0.saturating_sub(MAX_NEIGHBOURS), &near.0.saturating_add(MAX_NEIGHBOURS)]).await?;
    for row in &rows {
        let ids: String = get(row, 0)?;
        if PlatformIds::from_stored(&ids).all().iter().any(|known| known.is_same_message(message)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The anchors of an incident, by channel and recipient.
pub(super) async fn all(tx: &Tx, incident: IncidentId) -> Result<Vec<Anchor>, DbError> {
    let sql = format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = $1 ORDER BY a.channel, a.recipient");
    tx.query(&sql, &[&incident.0]).await?.iter().map(anchor).collect()
}

/// [`crate::store::OutletStore::incidents`].
pub(super) async fn with_incidents(tx: &Tx, ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, DbError> {
    let sought: Vec<i64> = ids.iter().map(|id| id.0).collect();
    let incidents = format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ANY ($1)");
    let anchors = format!("SELECT {ANCHOR} FROM anchor a WHERE a.incident = ANY ($1) AND a.channel = $2 ORDER BY a.recipient");
    let (incidents, anchors) = join(tx.query(&incidents, &[&sought]), tx.query(&anchors, &[&sought, &channel])).await;
    let mut of: HashMap<IncidentId, Vec<Anchor>> = HashMap::new();
    for row in &anchors? {
        let anchor = anchor(row)?;
        of.entry(anchor.incident).or_default().push(anchor);
    }
    let known = incidents?.iter().map(|row| incident(row, 0)).collect::<Result<Vec<_>, _>>()?;
    let known: HashMap<IncidentId, Incident> = known.into_iter().map(|incident| (incident.id, incident)).collect();
    Ok(ids.iter().filter_map(|id| Some((known.get(id)?.clone(), of.get(id).cloned().unwrap_or_default()))).collect())
}

/// [`crate::store::OutletStore::dirty_anchors`]. Their order is found before anything large is read.
pub(super) async fn dirty(tx: &Tx, channels: &[String], now: UnixMs, most: usize) -> Result<Vec<DirtyAnchor>, DbError> {
    let sql = format!(
        "SELECT {ANCHOR}, {INCIDENT} FROM (
             SELECT d.incident, d.channel, d.recipient, CASE WHEN d.next_edit_at <= $2 THEN 0 ELSE d.next_edit_at END AS due, n.rank
             FROM anchor d JOIN incident n ON n.id = d.incident WHERE d.channel = ANY ($1) AND d.dirty
             ORDER BY due, n.rank, d.incident, d.channel, d.recipient LIMIT $3) AS o
         JOIN anchor a ON a.incident = o.incident AND a.channel = o.channel AND a.recipient = o.recipient
         JOIN incident i ON i.id = o.incident ORDER BY o.due, o.rank, o.incident, o.channel, o.recipient"
    );
    let rows = tx.query(&sql, &[&channels.to_vec(), &now, &limit(most)]).await?;
    rows.iter().map(|row| Ok(DirtyAnchor { anchor: anchor(row)?, incident: incident(row, anchor_at::NEXT)? })).collect()
}
