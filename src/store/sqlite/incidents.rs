//! Incidents: what events, silence and time do to them, and how they are read.

use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::anchors;
use super::conditions::Conditions;
use super::error::DbError;
use super::rows::{count, delivery_row, find_incident, insert};
use super::timeline::{self, ACKED_BY, OF_GROUP};
use crate::model::{IncidentId, UnixMs};
use crate::store::incidents::{
    Change, GIVEN_UP_AFTER_END, INCIDENT, MAX_DETAIL_ROWS, MAX_LEADS, OWN_SOURCE, Step, in_key_order, incident, is_regrouped, leads, lost_row,
    open as open_new, regroup, stale_row, step,
};
use crate::store::prepared::PreparedEvent;
use crate::store::rows::{DELIVERY, StoredRow as _};
use crate::store::{
    Incident, IncidentCount, IncidentDetail, IncidentFilter, IncidentReport, IncidentState, OpenIncident, OpenIncidents, TimelineKind, TimelineRow,
    acked_by, write_incident_alerts,
};

/// The newest incident of a key: the open one, else the one that ended last.
pub(super) const NEWEST: &str = "SELECT id FROM incident WHERE key = ?1 ORDER BY coalesce(ended_at, 9223372036854775807) DESC, id DESC LIMIT 1";

/// Applies what an event says of incidents, and returns the incident of each report.
pub(super) fn report(db: &Connection, event: &PreparedEvent) -> Result<Vec<Option<IncidentId>>, DbError> {
    let mut reported = vec![None; event.incidents.len()];
    for place in in_key_order(&event.incidents) {
        reported[place] = report_one(db, &event.incidents[place], event)?;
    }
    Ok(reported)
}

fn report_one(db: &Connection, report: &IncidentReport, prepared: &PreparedEvent) -> Result<Option<IncidentId>, DbError> {
    let (event, now) = (prepared.id, prepared.received_at);
    let mut select = db.prepare_cached(&format!("SELECT {INCIDENT} FROM incident i WHERE i.id = ({NEWEST})"))?;
    let newest = select.query_row([&report.key], |row| incident(row, 0)).optional()?;
    match step(newest, report, event, &prepared.event, now) {
        Step::Nothing => Ok(None),
        Step::Attached(id) => Ok(Some(id)),
        Step::Changed(change) => {
            update(db, &change)?;
            Ok(Some(change.incident.id))
        }
        Step::Another => {
            let leads = leads(report);
            if let Some(known) = regrouped(db, report, &leads)? {
                let change = regroup(known, report, event, now);
                let Change { incident: Incident { id, key, group_key, .. }, .. } = &change;
                db.prepare_cached("UPDATE incident SET key = ?2, group_key = ?3 WHERE id = ?1")?.execute(params![id.0, key, group_key])?;
                update(db, &change)?;
                return Ok(Some(*id));
            }
            open_new(report, event, now).map(|change| open(db, &change, leads.first().copied().unwrap_or_default(), &report.labels)).transpose()
        }
    }
}

/// The open incident, of another key, that the report goes on with.
fn regrouped(db: &Connection, report: &IncidentReport, leads: &[i64]) -> Result<Option<Incident>, DbError> {
    const MARKS: &str = "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
    let sql = format!("SELECT {INCIDENT} FROM incident i INDEXED BY incident_lead WHERE i.lead IN ({MARKS}) AND i.ended_at IS NULL ORDER BY i.id");
    let mut select = db.prepare_cached(&sql)?;
    let sought = (0..MAX_LEADS).map(|place| leads.get(place).copied());
    for candidate in select.query_map(params_from_iter(sought), |row| incident(row, 0))? {
        let candidate = candidate?;
        if is_regrouped(&candidate, report) {
            return Ok(Some(candidate));
        }
    }
    Ok(None)
}

fn open(db: &Connection, Change { incident, rows, .. }: &Change, lead: i64, labels: &str) -> Result<IncidentId, DbError> {
    insert!(db, "incident", {
        key: incident.key,
        source: incident.source,
        receiver: incident.receiver,
        group_key: incident.group_key,
        title: incident.title,
        state: incident.state.as_str(),
        rank: incident.rank,
        version: incident.version,
        opened_at: incident.opened_at,
        heard_at: incident.heard_at,
        ended_at: incident.ended_at,
        lead: lead,
        truncated: incident.truncated,
        acks: incident.acks.to_stored(),
        wake_at: incident.wake_at(),
        alerts: write_incident_alerts(&incident.alerts),
        labels: labels,
    })?;
    let id = IncidentId(db.last_insert_rowid());
    rows.iter().try_for_each(|row| timeline::add(db, id, row))?;
    Ok(id)
}

/// Writes what became of an incident that existed. Most reports leave its state as it is, and the indexes that depend on it.
fn update(db: &Connection, change: &Change) -> Result<(), DbError> {
    let Change { incident: i, rows, answered } = change;
    let mut update =
        db.prepare_cached("UPDATE incident SET title = ?2, rank = ?3, version = ?4, heard_at = ?5, truncated = ?6, alerts = ?7 WHERE id = ?1")?;
    update.execute(params![i.id.0, i.title, i.rank, i.version, i.heard_at, i.truncated, write_incident_alerts(&i.alerts)])?;
    if *answered {
        set_answer(db, i)?;
    }
    anchors::mark_dirty(db, i.id)?;
    rows.iter().try_for_each(|row| timeline::add(db, i.id, row))
}

/// Writes an incident's state, its end, and who is on it.
pub(super) fn set_answer(db: &Connection, i: &Incident) -> Result<(), DbError> {
    let mut update = db.prepare_cached("UPDATE incident SET state = ?2, ended_at = ?3, acks = ?4, wake_at = ?5, version = ?6 WHERE id = ?1")?;
    update.execute(params![i.id.0, i.state.as_str(), i.ended_at, i.acks.to_stored(), i.wake_at(), i.version])?;
    Ok(())
}

/// [`crate::store::MaintenanceStore::end_stale_incidents`].
pub(super) fn end_stale(db: &Connection, heard_before: UnixMs, now: UnixMs, limit: usize) -> Result<u64, DbError> {
    let mut select = db.prepare_cached(
        "SELECT id, heard_at FROM incident INDEXED BY incident_open WHERE ended_at IS NULL AND heard_at < ?1 ORDER BY heard_at LIMIT ?2",
    )?;
    let rows = select.query_map(params![heard_before, i64::try_from(limit).unwrap_or(i64::MAX)], |row| Ok((IncidentId(row.get(0)?), row.get(1)?)))?;
    let silent: Vec<(IncidentId, UnixMs)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut end = db.prepare_cached("UPDATE incident SET state = ?2, ended_at = ?3, version = version + 1 WHERE id = ?1")?;
    for (id, heard_at) in &silent {
        end.execute(params![id.0, IncidentState::Stale.as_str(), now])?;
        anchors::mark_dirty(db, *id)?;
        timeline::add(db, *id, &stale_row(*heard_at, now))?;
    }
    Ok(silent.len() as u64)
}

/// [`crate::store::MaintenanceStore::keep_incidents`].
pub(super) fn keep(db: &Connection, groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), DbError> {
    let mut keep = db.prepare_cached(
        "UPDATE incident INDEXED BY incident_open SET heard_at = ?3
         WHERE ended_at IS NULL AND heard_at < ?2 AND source = ?4 AND group_key IN (SELECT value FROM json_each(?1))",
    )?;
    keep.execute(params![serde_json::json!(groups).to_string(), heard_before, now, OWN_SOURCE])?;
    Ok(())
}

/// Edits that are due of incidents that are known to be over, by channel.
pub(super) fn count_behind(db: &Connection) -> Result<Vec<(String, u64)>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT a.channel, count(*) FROM anchor a INDEXED BY anchor_dirty CROSS JOIN incident i
         WHERE a.dirty = 1 AND i.id = a.incident AND i.state = ?1 GROUP BY a.channel ORDER BY a.channel",
    )?;
    Ok(select.query_map([IncidentState::Resolved.as_str()], |row| Ok((row.get(0)?, count(row, 1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::MaintenanceStore::give_up_edits`].
pub(super) fn give_up_edits(db: &Connection, ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, DbError> {
    let mut lost = db.prepare_cached(
        "SELECT DISTINCT a.incident, a.channel FROM anchor a INDEXED BY anchor_dirty
         WHERE a.dirty = 1 AND a.channel NOT IN (SELECT value FROM json_each(?1))
             AND ?2 IS NOT (SELECT kind FROM timeline t WHERE t.incident = a.incident AND t.channel = a.channel AND t.kind IN (?2, ?3, ?4)
                 ORDER BY t.id DESC LIMIT 1)",
    )?;
    let names = serde_json::json!(channels).to_string();
    let [kind, edited, reposted] = [TimelineKind::Lost, TimelineKind::Edited, TimelineKind::Reposted].map(TimelineKind::as_str);
    let rows = lost.query_map(params![names, kind, edited, reposted], |row| Ok((IncidentId(row.get(0)?), row.get(1)?)))?;
    for (incident, channel) in rows.collect::<rusqlite::Result<Vec<_>>>()? {
        timeline::add(db, incident, &lost_row(channel, now))?;
    }
    let mut select = db.prepare_cached(
        "SELECT a.incident, a.channel, a.recipient FROM anchor a INDEXED BY anchor_dirty CROSS JOIN incident i
         WHERE a.dirty = 1 AND i.id = a.incident AND i.ended_at < ?1",
    )?;
    let rows = select.query_map([ended_before], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let late: Vec<(i64, String, String)> = rows.collect::<rusqlite::Result<_>>()?;
    let mut give_up = db.prepare_cached("UPDATE anchor SET edited = 0, dirty = 0 WHERE incident = ?1 AND channel = ?2 AND recipient = ?3")?;
    for (incident, channel, recipient) in &late {
        give_up.execute(params![incident, channel, recipient])?;
        let row = TimelineRow { at: now, kind: TimelineKind::GivenUp, channel: channel.clone(), text: GIVEN_UP_AFTER_END.into() };
        timeline::add(db, IncidentId(*incident), &row)?;
    }
    Ok(late.len() as u64)
}

/// Incidents that ended before, and that no delivery refers to any more.
pub(super) fn expired(db: &Connection, ended_before: UnixMs, limit: i64) -> Result<Vec<i64>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT id FROM incident i INDEXED BY incident_ended WHERE ended_at IS NOT NULL AND ended_at < ?1
         AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.incident = i.id) ORDER BY ended_at LIMIT ?2",
    )?;
    Ok(select.query_map(params![ended_before, limit], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
}

/// Removes such an incident with its anchors and its timeline.
pub(super) fn remove(db: &Connection, incident: i64, ended_before: UnixMs) -> Result<(), DbError> {
    let gone = db
        .prepare_cached(
            "DELETE FROM incident WHERE id = ?1 AND ended_at IS NOT NULL AND ended_at < ?2
             AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.incident = ?1)",
        )?
        .execute(params![incident, ended_before])?;
    if gone > 0 {
        db.prepare_cached("DELETE FROM anchor WHERE incident = ?1")?.execute([incident])?;
        db.prepare_cached("DELETE FROM timeline WHERE incident = ?1")?.execute([incident])?;
        db.prepare_cached("DELETE FROM silence WHERE incident = ?1")?.execute([incident])?;
    }
    Ok(())
}

/// [`crate::store::QueryStore::list_incidents`]: walks back by number until it has enough hits, over those that are open, or from those that ended
/// last.
pub(super) fn list(db: &Connection, filter: &IncidentFilter) -> Result<Vec<Incident>, DbError> {
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
        let ids: Vec<i64> = filter.ids.iter().map(|id| id.0).collect();
        only.add("i.id IN (SELECT value FROM json_each(?))", serde_json::json!(ids).to_string());
    }
    if let Some(rank) = filter.max_rank {
        only.add("i.rank <= ?", i64::from(rank));
    }
    if let Some(since) = filter.since {
        only.add("i.opened_at >= ?", since.0);
    }
    if let Some(until) = filter.until {
        only.add("i.opened_at < ?", until.0);
    }
    let (mut index, mut order) = ("", "i.id DESC");
    if let Some(ended) = filter.ended_since {
        only.add("i.ended_at IS NOT NULL AND i.ended_at >= ?", ended.0);
        (index, order) = ("INDEXED BY incident_ended", "i.ended_at DESC, i.id DESC");
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        only.add_text("i.title LIKE ? ESCAPE '\\'", text);
    }
    if !filter.channels.is_empty() {
        let names = serde_json::json!(filter.channels).to_string();
        only.add("EXISTS (SELECT 1 FROM anchor a WHERE a.incident = i.id AND a.channel IN (SELECT value FROM json_each(?)))", names);
    }
    let limit = only.bind(i64::try_from(filter.limit).unwrap_or(i64::MAX));
    match filter.states.as_slice() {
        [] => {}
        states => {
            if states.iter().all(|state| state.is_open()) {
                // Letter for letter the condition of the partial indexes.
                only.texts.push("i.ended_at IS NULL".into());
                // Few are open, of however many: their order is made after.
                index = "INDEXED BY incident_open";
            }
            let names: Vec<String> = states.iter().map(|state| format!("'{}'", state.as_str())).collect();
            only.texts.push(format!("i.state IN ({})", names.join(", ")));
        }
    }
    let sql = format!("SELECT {INCIDENT} FROM incident i {index} WHERE {} ORDER BY {order} LIMIT {limit}", only.sql());
    let mut select = db.prepare_cached(&sql)?;
    Ok(select.query_map(params_from_iter(only.values), |row| incident(row, 0))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::QueryStore::open_incidents`].
pub(super) fn open_ones(db: &Connection) -> Result<Vec<OpenIncident>, DbError> {
    let mut select =
        db.prepare_cached("SELECT id, version, rank, state, opened_at FROM incident INDEXED BY incident_open WHERE ended_at IS NULL ORDER BY id")?;
    let rows = select.query_map([], open_one)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn open_one(row: &Row<'_>) -> rusqlite::Result<OpenIncident> {
    let state = row.named(3, IncidentState::parse, "incident's state")?;
    Ok(OpenIncident { id: IncidentId(row.get(0)?), version: row.get(1)?, rank: row.get(2)?, state, opened_at: row.get(4)? })
}

/// Reads the index only: it has the number of each as well.
pub(super) const COUNTS: &str =
    "SELECT rank, state, count(*), max(id) FROM incident INDEXED BY incident_urgent WHERE ended_at IS NULL GROUP BY state, rank";

/// [`crate::store::QueryStore::count_incidents`].
pub(super) fn count_open(db: &Connection) -> Result<OpenIncidents, DbError> {
    let mut select = db.prepare_cached(COUNTS)?;
    let rows = select.query_map([], |row| {
        let state = row.named(1, IncidentState::parse, "incident's state")?;
        Ok((IncidentCount { rank: row.get(0)?, state, count: count(row, 2)? }, IncidentId(row.get(3)?)))
    })?;
    let (counts, newest): (Vec<_>, Vec<_>) = rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().unzip();
    Ok(OpenIncidents { counts, newest: newest.into_iter().max() })
}

/// In the order of the index: nothing is sorted.
pub(super) const URGENT: &str =
    "SELECT id, version, rank, state, opened_at FROM incident INDEXED BY incident_urgent WHERE ended_at IS NULL AND state = ?1
     ORDER BY rank, opened_at, id LIMIT ?2";

/// [`crate::store::QueryStore::urgent_incidents`].
pub(super) fn urgent(db: &Connection, most: usize) -> Result<Vec<OpenIncident>, DbError> {
    let mut select = db.prepare_cached(URGENT)?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut open = Vec::new();
    for state in IncidentState::ALL.into_iter().filter(|state| state.is_open()) {
        let rows = select.query_map(params![state.as_str(), limit], open_one)?;
        open.extend(rows.collect::<rusqlite::Result<Vec<_>>>()?);
    }
    Ok(OpenIncident::most_urgent(open, most))
}

/// [`crate::store::QueryStore::get_incident`].
pub(super) fn get(db: &Connection, id: IncidentId) -> Result<Option<IncidentDetail>, DbError> {
    let Some(incident) = find_incident(db, id)? else { return Ok(None) };
    let mut select = db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.incident = ?1 ORDER BY d.id DESC LIMIT ?2"))?;
    let mut deliveries: Vec<_> = select.query_map([id.0, MAX_DETAIL_ROWS], delivery_row)?.collect::<rusqlite::Result<_>>()?;
    deliveries.reverse();
    Ok(Some(IncidentDetail { incident, anchors: anchors::all(db, id)?, timeline: timeline::of(db, id)?, deliveries }))
}
