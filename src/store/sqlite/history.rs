//! What people read: pages of deliveries, one delivery with all that is known about it, one event, one message.

use std::collections::HashSet;
use std::ops::Range;

use rusqlite::{Connection, OptionalExtension, params, params_from_iter};
use uuid::Uuid;

use super::conditions::Conditions;
use super::error::DbError;
use super::rows::{attempts, bytes, cells, count, delivery_row, event, sole};
use super::timeline::{ACKED_BY, OF_GROUP};
use crate::model::{DeliveryId, EventId, MessageId, UnixMs};
use crate::store::rows::{DELIVERY, StoredRow as _, confirmed, confirmed_sql, newest_of_each, target};
use crate::store::{
    DeliveryDetail, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow, Listed, State, StoreError, StoredMessage, acked_by,
};

/// Up to so many open deliveries a list of open ones is made from their index and sorted; beyond, newest-first order finds them faster.
const FEW: i64 = 20_000;

/// [`crate::store::QueryStore::list_deliveries`]. Newest first by id. Lists by event or message, of dead letters and of few open ones follow an index; all others
/// walk back until they have enough hits, at worst over everything (about 0.15 s for a million deliveries in memory).
pub(super) fn list_deliveries(db: &Connection, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, DbError> {
    let mut only = Conditions::default();
    if let Some(id) = filter.before {
        only.add("d.id < ?", bytes(&id.0).to_vec());
    }
    if let Some(id) = filter.after {
        only.add("d.id >= ?", bytes(&id.0).to_vec());
    }
    if let Some(id) = filter.event {
        only.add("d.event_id = ?", bytes(&id.0).to_vec());
    }
    if let Some(id) = filter.message {
        only.add("d.message_id = ?", bytes(&id.0).to_vec());
    }
    let of_incident = |condition: &str| format!("EXISTS (SELECT 1 FROM incident i WHERE i.id = d.incident AND {condition})");
    if let Some(label) = &filter.label {
        only.add(&of_incident(OF_GROUP), label.in_group_key());
    }
    if let Some(person) = &filter.acked_by {
        only.add(&of_incident(ACKED_BY), acked_by(person));
    }
    if let Some(names) = names(&filter.channels) {
        only.add("d.channel IN (SELECT value FROM json_each(?))", names);
    }
    if let Some(since) = filter.since {
        only.add("d.born_at >= ?", since.0);
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        only.add_text("(d.title LIKE ? ESCAPE '\\' OR d.reason LIKE ? ESCAPE '\\')", text);
    }
    let limit = only.bind(i64::try_from(filter.limit).unwrap_or(i64::MAX));
    let narrow = filter.event.is_some() || filter.message.is_some();
    let mut index = "";
    match filter.states.as_slice() {
        [] => {}
        [State::Dead] => {
            only.texts.push("d.state = 'dead'".into());
            index = "INDEXED BY delivery_dead";
        }
        states => {
            if states.iter().all(|s| !s.is_final()) {
                // Letter for letter the condition of the partial index.
                only.texts.push("d.state IN ('waiting', 'deferred')".into());
                if few_open(db)? {
                    index = "INDEXED BY delivery_open";
                }
            }
            let names: Vec<String> = states.iter().map(|s| format!("'{}'", s.as_str())).collect();
            only.texts.push(format!("d.state IN ({})", names.join(", ")));
        }
    }
    if narrow {
        index = "";
    }
    let sql = format!("SELECT {DELIVERY} FROM delivery d {index} WHERE {} ORDER BY d.id DESC LIMIT {limit}", only.sql());
    let mut select = db.prepare_cached(&sql)?;
    Ok(select.query_map(params_from_iter(only.values), delivery_row)?.collect::<rusqlite::Result<_>>()?)
}

fn few_open(db: &Connection) -> Result<bool, DbError> {
    // In each of these lanes something waits: with more of them than are few, the rest need not be read.
    let mut count = db.prepare_cached("SELECT coalesce(sum(waiting), 0) FROM (SELECT waiting FROM lane WHERE waiting > 0 LIMIT ?1)")?;
    Ok(count.query_row([FEW + 1], |row| row.get::<_, i64>(0))? <= FEW)
}

/// [`crate::store::QueryStore::delivered_elsewhere`]. Fallbacks are found by their index, replays by their id at the end of a reason.
pub(super) fn delivered_elsewhere(db: &Connection, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, DbError> {
    let mut select = db.prepare_cached(
        "WITH RECURSIVE after (id, state, replay) AS (
             SELECT id, state, CASE WHEN substr(reason, -48, 12) = 'replayed as ' THEN unhex(substr(reason, -36), '-') END FROM delivery WHERE id = ?1
             UNION
             SELECT n.id, n.state, CASE WHEN substr(n.reason, -48, 12) = 'replayed as ' THEN unhex(substr(n.reason, -36), '-') END
             FROM after a JOIN delivery n ON n.origin_id = a.id
             UNION
             SELECT n.id, n.state, CASE WHEN substr(n.reason, -48, 12) = 'replayed as ' THEN unhex(substr(n.reason, -36), '-') END
             FROM after a JOIN delivery n ON n.id = a.replay
         )
         SELECT 1 FROM after WHERE state = 'sent' AND id <> ?1",
    )?;
    let mut found = HashSet::new();
    for id in ids {
        if select.exists([bytes(&id.0)])? {
            found.insert(*id);
        }
    }
    Ok(found)
}

/// Reads the index of what ended from its end.
pub(super) const LAST_SENT: &str = "SELECT channel, max(done_at) FROM (
         SELECT channel, state, done_at FROM delivery INDEXED BY delivery_done WHERE done_at IS NOT NULL ORDER BY done_at DESC LIMIT ?1
     ) WHERE state = 'sent' GROUP BY channel ORDER BY channel";

/// [`crate::store::QueryStore::last_sent`].
pub(super) fn last_sent(db: &Connection, among: usize) -> Result<Vec<(String, UnixMs)>, DbError> {
    let mut select = db.prepare_cached(LAST_SENT)?;
    let among = i64::try_from(among).unwrap_or(i64::MAX);
    Ok(select.query_map([among], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::QueryStore::get_delivery`].
pub(super) fn get_delivery(db: &Connection, id: DeliveryId) -> Result<Option<DeliveryDetail>, DbError> {
    let mut select = db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.id = ?1"))?;
    let found = select.query_row([bytes(&id.0)], |row| Ok((delivery_row(row)?, target(row)?))).optional()?;
    let Some((row, target)) = found else { return Ok(None) };
    let mut select = db.prepare_cached("SELECT coalesce(tried, x'') FROM delivery WHERE id = ?1")?;
    let tried: Vec<u8> = select.query_row([bytes(&id.0)], |row| row.get(0))?;
    let mut earlier = Vec::new();
    for message in tried.chunks_exact(16).filter_map(|id| Uuid::from_slice(id).ok()) {
        earlier.extend(attempts(db, MessageId(message))?);
    }
    let Some(event) = event(db, row.event)? else {
        return Err(DbError::Refused(StoreError::Unusable(format!("delivery {id} has no event {}; the database is damaged", row.event))));
    };
    let message = match row.message {
        Some(id) => get_message(db, id)?,
        None => None,
    };
    let mut select = db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.origin_id = ?1 ORDER BY d.id"))?;
    let children = select.query_map([bytes(&id.0)], delivery_row)?.collect::<rusqlite::Result<_>>()?;
    let mut select = db.prepare_cached(&confirmed_sql("?1"))?;
    let confirmed = newest_of_each(select.query_map([bytes(&id.0)], |row| confirmed(row))?.collect::<rusqlite::Result<_>>()?);
    Ok(Some(DeliveryDetail { row, target, event, message, earlier, children, confirmed }))
}

/// Names as a list that SQL can look into; `None` when all are meant.
fn names(channels: &[String]) -> Option<String> {
    (!channels.is_empty()).then(|| serde_json::json!(channels).to_string())
}

/// [`crate::store::QueryStore::reach`].
pub(super) fn reach(db: &Connection, of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, DbError> {
    let Some(skipped) = rows.checked_sub(1) else { return Ok(before) };
    let mut select = db.prepare_cached(&format!("SELECT id FROM {} WHERE id < ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2", of.table()))?;
    let skipped = i64::try_from(skipped).unwrap_or(i64::MAX);
    Ok(select.query_row(params![bytes(&before.unwrap_or(Uuid::max())), skipped], |row| row.uuid(0)).optional()?)
}

/// [`crate::store::QueryStore::list_events`]: walks back by id until it has enough hits.
pub(super) fn list_events(db: &Connection, filter: &EventFilter) -> Result<Vec<EventRow>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT id, source, received_at, note FROM event e
         WHERE id < ?1 AND id >= ?6 AND (?2 IS NULL OR source = ?2) AND (NOT ?3 OR (note IS NOT NULL AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id)))
         AND (?5 IS NULL OR EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id AND d.channel IN (SELECT value FROM json_each(?5))))
         ORDER BY id DESC LIMIT ?4",
    )?;
    let before = filter.before.map_or(Uuid::max(), |id| id.0);
    let after = filter.after.map_or(Uuid::nil(), |id| id.0);
    let limit = i64::try_from(filter.limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![bytes(&before), filter.source, filter.bare, limit, names(&filter.channels), bytes(&after)], |row| {
        Ok(EventRow { id: EventId(row.uuid(0)?), source: row.get(1)?, received_at: row.get(2)?, note: row.get(3)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::QueryStore::get_event`].
pub(super) fn get_event(db: &Connection, id: EventId) -> Result<Option<EventDetail>, DbError> {
    let Some(event) = event(db, id)? else { return Ok(None) };
    let mut select = db.prepare_cached(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.event_id = ?1 ORDER BY d.id"))?;
    let deliveries = select.query_map([bytes(&id.0)], delivery_row)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(EventDetail { event, deliveries }))
}

/// [`crate::store::QueryStore::list_message_ids`].
pub(super) fn list_message_ids(db: &Connection, among: &Range<MessageId>) -> Result<Vec<MessageId>, DbError> {
    let mut select = db.prepare_cached("SELECT id FROM message WHERE id >= ?1 AND id < ?2 ORDER BY id")?;
    let ids = select.query_map([bytes(&among.start.0), bytes(&among.end.0)], |row| Ok(MessageId(row.uuid(0)?)))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

/// [`crate::store::QueryStore::get_message`].
pub(super) fn get_message(db: &Connection, id: MessageId) -> Result<Option<StoredMessage>, DbError> {
    let mut select = db.prepare_cached(
        "SELECT channel, platform, kind, template, formed_at, done, pages, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id)
         FROM message m WHERE id = ?1",
    )?;
    let found = select.query_row([bytes(&id.0)], |row| {
        let (cells, attempts) = match sole(db, id)? {
            Some((cell, attempt)) => (vec![cell], vec![attempt]),
            None => (cells(db, id)?, attempts(db, id)?),
        };
        Ok(StoredMessage {
            id,
            channel: row.get(0)?,
            platform: row.get(1)?,
            kind: row.message_kind(2)?,
            template: row.get(3)?,
            formed_at: row.get(4)?,
            done: row.get(5)?,
            pages: row.pages(6)?,
            cells,
            attempts,
            members: count(row, 7)?,
            receipts: super::receipts::all(db, id)?,
        })
    });
    Ok(found.optional()?)
}
