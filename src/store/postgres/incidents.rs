//! Incidents: what silence and time do to them, and how they are read. What events do to them is in `reports`.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use super::anchors;
use super::error::DbError;
use super::history::{ACKED_BY, Conditions, OF_GROUP, names};
use super::rows::{get, limit};
use super::timeline;
use super::tx::{Param, Tx};
use crate::model::{IncidentId, UnixMs};
use crate::store::incidents::{GIVEN_UP_AFTER_END, INCIDENT, MAX_DETAIL_ROWS, OWN_SOURCE, incident, lost_row, stale_row};
use crate::store::rows::{DELIVERY, StoredRow, delivery_row};
use crate::store::{
    Incident, IncidentCount, IncidentDetail, IncidentFilter, IncidentState, OpenIncident, OpenIncidents, TimelineKind, TimelineRow, acked_by,
};

/// [`crate::store::MaintenanceStore::end_stale_incidents`].
pub(super) async fn end_stale(tx: &Tx, heard_before: UnixMs, now: UnixMs, most: usize) -> Result<u64, DbError> {
    let rows = tx
        .query(
            "SELECT id, heard_at FROM incident
             WHERE id IN (SELECT id FROM incident WHERE ended_at IS NULL AND heard_at < $1 ORDER BY heard_at LIMIT $2)
                 AND ended_at IS NULL AND heard_at < $1 ORDER BY key, id FOR UPDATE",
            &[&heard_before, &limit(most)],
        )
        .await?;
    let silent = rows.iter().map(|row| Ok((IncidentId(get(row, 0)?), stale_row(get(row, 1)?, now)))).collect::<Result<Vec<_>, DbError>>()?;
    let ids: Vec<i64> = silent.iter().map(|(id, _)| id.0).collect();
    let sql = "UPDATE incident SET state = $2, ended_at = $3, version = version + 1 WHERE id = ANY ($1)";
    tx.execute(sql, &[&ids, &IncidentState::Stale.as_str(), &now]).await?;
    anchors::mark_dirty(tx, &ids).await?;
    timeline::add(tx, &silent.iter().map(|(id, row)| (*id, row)).collect::<Vec<_>>()).await?;
    Ok(ids.len() as u64)
}

/// [`crate::store::MaintenanceStore::keep_incidents`].
pub(super) async fn keep(tx: &Tx, groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), DbError> {
    let sql = "UPDATE incident SET heard_at = $3 WHERE id IN (SELECT id FROM incident
         WHERE ended_at IS NULL AND heard_at < $2 AND source = $4 AND group_key = ANY ($1) ORDER BY key, id FOR UPDATE)";
    tx.execute(sql, &[&groups.to_vec(), &heard_before, &now, &OWN_SOURCE]).await?;
    Ok(())
}

/// Edits that are due of incidents that are known to be over, by channel.
pub(super) async fn count_behind(tx: &Tx) -> Result<Vec<(String, u64)>, DbError> {
    let sql = "SELECT a.channel, count(*) FROM anchor a JOIN incident i ON i.id = a.incident WHERE a.dirty AND i.state = $1
         GROUP BY a.channel ORDER BY a.channel";
    tx.query(sql, &[&IncidentState::Resolved.as_str()]).await?.iter().map(|row| Ok((get(row, 0)?, row.count(1)?))).collect()
}

/// [`crate::store::MaintenanceStore::give_up_edits`]. One that somebody else changes now is left to the next call.
pub(super) async fn give_up_edits(tx: &Tx, ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, DbError> {
    let sql = "SELECT i.id, a.channel FROM incident i JOIN anchor a ON a.incident = i.id
         WHERE a.dirty AND a.channel <> ALL ($1)
             AND $2 IS DISTINCT FROM (SELECT t.kind FROM timeline t WHERE t.incident = a.incident AND t.channel = a.channel AND t.kind IN ($2, $3, $4)
                 ORDER BY t.id DESC LIMIT 1)
         ORDER BY i.key, i.id FOR SHARE OF i SKIP LOCKED";
    let [kind, edited, reposted] = [TimelineKind::Lost, TimelineKind::Edited, TimelineKind::Reposted].map(TimelineKind::as_str);
    let rows = tx.query(sql, &[&channels.to_vec(), &kind, &edited, &reposted]).await?;
    let lost = rows.iter().map(|row| Ok((IncidentId(get(row, 0)?), get::<String>(row, 1)?))).collect::<Result<BTreeSet<_>, DbError>>()?;
    let lost: Vec<_> = lost.into_iter().map(|(id, channel)| (id, lost_row(channel, now))).collect();
    timeline::add(tx, &lost.iter().map(|(id, row)| (*id, row)).collect::<Vec<_>>()).await?;
    let rows = tx
        .query(
            "SELECT id FROM incident WHERE id IN (SELECT incident FROM anchor WHERE dirty) AND ended_at < $1 ORDER BY key, id FOR UPDATE SKIP LOCKED",
            &[&ended_before],
        )
        .await?;
    let ids: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let sql = "UPDATE anchor SET edited = false, dirty = false WHERE incident = ANY ($1) AND dirty RETURNING incident, channel";
    let rows = tx.query(sql, &[&ids]).await?;
    let line = |channel| TimelineRow { at: now, kind: TimelineKind::GivenUp, channel, text: GIVEN_UP_AFTER_END.into() };
    let lines = rows.iter().map(|row| Ok((IncidentId(get(row, 0)?), line(get(row, 1)?)))).collect::<Result<Vec<_>, DbError>>()?;
    timeline::add(tx, &lines.iter().map(|(id, row)| (*id, row)).collect::<Vec<_>>()).await?;
    Ok(lines.len() as u64)
}

/// Incidents that ended before, and that no delivery refers to any more.
pub(super) async fn expired(tx: &Tx, ended_before: UnixMs, most: usize) -> Result<Vec<i64>, DbError> {
    let sql = "SELECT id FROM incident i WHERE ended_at < $1 AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.incident = i.id OFFSET 0)
               ORDER BY ended_at LIMIT $2";
    tx.query(sql, &[&ended_before, &limit(most)]).await?.iter().map(|row| get(row, 0)).collect()
}

/// Removes such incidents with their anchors and their timelines. One that somebody else changes now stays: its lanes may be locked, too, which come
/// after it in the order of locks.
pub(super) async fn remove(tx: &Tx, incidents: &Vec<i64>, ended_before: UnixMs) -> Result<(), DbError> {
    if incidents.is_empty() {
        return Ok(());
    }
    let sql = "SELECT id FROM incident WHERE id = ANY ($1) AND ended_at < $2 ORDER BY key, id FOR UPDATE SKIP LOCKED";
    let locked: Vec<i64> = tx.query(sql, &[incidents, &ended_before]).await?.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    // A statement of its own sees what was committed before the lock.
    let sql =
        "DELETE FROM incident WHERE id = ANY ($1) AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.incident = incident.id OFFSET 0) RETURNING id";
    let gone: Vec<i64> = tx.query(sql, &[&locked]).await?.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    if !gone.is_empty() {
        tx.execute("DELETE FROM anchor WHERE incident = ANY ($1)", &[&gone]).await?;
        tx.execute("DELETE FROM timeline WHERE incident = ANY ($1)", &[&gone]).await?;
        tx.execute("DELETE FROM silence WHERE incident = ANY ($1)", &[&gone]).await?;
    }
    Ok(())
}

/// [`crate::store::QueryStore::list_incidents`]: walks back by number until it has enough hits, or over those that are open.
pub(super) async fn list(tx: &Tx, filter: &IncidentFilter) -> Result<Vec<Incident>, DbError> {
    let mut only = Conditions::default();
    if let Some(id) = filter.before {
        only.add("i.id < ?", id.0);
    }
    if let Some(id) = filter.after {
        only.add("i.id >= ?", id.0);
    }
    if let Some(label) = &filter.label {
        only.add(OF_GROUP, label.in_group_key());
    }
    if let Some(person) = &filter.acked_by {
        only.add(ACKED_BY, acked_by(person));
    }
    if !filter.ids.is_empty() {
        only.add("i.id = ANY (?)", filter.ids.iter().map(|id| id.0).collect::<Vec<i64>>());
    }
    if let Some(rank) = filter.max_rank {
        only.add("i.rank <= ?", i64::from(rank));
    }
    if let Some(since) = filter.since {
        only.add("i.opened_at >= ?", since);
    }
    if let Some(until) = filter.until {
        only.add("i.opened_at < ?", until);
    }
    if let Some(ended) = filter.ended_since {
        only.add("i.ended_at IS NOT NULL AND i.ended_at >= ?", ended);
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        only.add_text("lower(i.title COLLATE \"C\") LIKE ? ESCAPE '\\'", text);
    }
    if let Some(names) = names(&filter.channels) {
        only.add("EXISTS (SELECT 1 FROM anchor a WHERE a.incident = i.id AND a.channel = ANY (?))", names);
    }
    match filter.states.as_slice() {
        [] => {}
        states => {
            if states.iter().all(|state| state.is_open()) {
                // Letter for letter the condition of the partial indexes.
                only.texts.push("i.ended_at IS NULL".into());
            }
            let names: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
            only.texts.push(format!("i.state IN ({})", names.join(", ")));
        }
    }
    only.texts.push("true".into());
    only.values.push(Box::new(limit(filter.limit)));
    let order = if filter.ended_since.is_some() { "i.ended_at DESC, i.id DESC" } else { "i.id DESC" };
    let sql = format!("SELECT {INCIDENT} FROM incident i WHERE {} ORDER BY {order} LIMIT ${}", only.texts.join(" AND "), only.values.len());
    let values: Vec<&dyn Param> = only.values.iter().map(|value| &**value).collect();
    tx.query(&sql, &values).await?.iter().map(|row| incident(row, 0)).collect()
}

/// [`crate::store::QueryStore::open_incidents`].
pub(super) async fn open_ones(tx: &Tx) -> Result<Vec<OpenIncident>, DbError> {
    let rows = tx.query("SELECT id, version, rank, state, opened_at FROM incident WHERE ended_at IS NULL ORDER BY id", &[]).await?;
    rows.iter().map(open_one).collect()
}

fn open_one(row: &Row) -> Result<OpenIncident, DbError> {
    let state = StoredRow::named(row, 3, IncidentState::parse, "incident's state")?;
    Ok(OpenIncident { id: IncidentId(get(row, 0)?), version: get(row, 1)?, rank: StoredRow::count(row, 2)?, state, opened_at: get(row, 4)? })
}

/// [`crate::store::QueryStore::count_incidents`].
pub(super) async fn count_open(tx: &Tx) -> Result<OpenIncidents, DbError> {
    let rows = tx.query("SELECT rank, state, count(*), max(id) FROM incident WHERE ended_at IS NULL GROUP BY state, rank", &[]).await?;
    let mut open = OpenIncidents::default();
    for row in &rows {
        let state = StoredRow::named(row, 1, IncidentState::parse, "incident's state")?;
        open.counts.push(IncidentCount { rank: StoredRow::count(row, 0)?, state, count: StoredRow::count(row, 2)? });
        open.newest = open.newest.max(Some(IncidentId(get(row, 3)?)));
    }
    Ok(open)
}

/// [`crate::store::QueryStore::urgent_incidents`].
pub(super) async fn urgent(tx: &Tx, most: usize) -> Result<Vec<OpenIncident>, DbError> {
    let sql = "SELECT id, version, rank, state, opened_at FROM incident WHERE ended_at IS NULL AND state = $1 ORDER BY rank, opened_at, id LIMIT $2";
    let mut open = Vec::new();
    for state in IncidentState::ALL.into_iter().filter(|state| state.is_open()) {
        for row in &tx.query(sql, &[&state.as_str(), &limit(most)]).await? {
            open.push(open_one(row)?);
        }
    }
    Ok(OpenIncident::most_urgent(open, most))
}

/// [`crate::store::QueryStore::get_incident`].
pub(super) async fn find(tx: &Tx, id: IncidentId) -> Result<Option<IncidentDetail>, DbError> {
    let Some(row) = tx.first(&format!("SELECT {INCIDENT} FROM incident i WHERE i.id = $1"), &[&id.0]).await? else { return Ok(None) };
    let sql = format!("SELECT {DELIVERY} FROM delivery d WHERE d.incident = $1 ORDER BY d.id DESC LIMIT $2");
    let mut deliveries = tx.query(&sql, &[&id.0, &MAX_DETAIL_ROWS]).await?;
    deliveries.reverse();
    Ok(Some(IncidentDetail {
        incident: incident(&row, 0)?,
        anchors: anchors::all(tx, id).await?,
        timeline: timeline::of(tx, id).await?,
        deliveries: deliveries.iter().map(delivery_row).collect::<Result<_, _>>()?,
    }))
}
