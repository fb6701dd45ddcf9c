//! What people read: pages of deliveries, one delivery with all that is known about it, one event, one message.

use std::collections::HashSet;
use std::ops::Range;

use uuid::Uuid;

use super::error::DbError;
use super::rows::{EVENT, get, limit, stored_event};
use super::tx::{Param, Tx};
use crate::model::{DeliveryId, EventId, MessageId, UnixMs};
use crate::store::rows::{
    ATTEMPT, CELL, DELIVERY, SOLE, StoredRow as _, attempt, cell, confirmed, confirmed_sql, delivery, delivery_row, newest_of_each, sole, target,
};
use crate::store::{
    AttemptRow, DeliveryDetail, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow, Listed, StoreError, StoredEvent, StoredMessage,
    acked_by,
};

/// Of a group with a label.
pub(super) const OF_GROUP: &str =
    "(strpos(i.group_key, '{' || ?) > 0 OR strpos(i.group_key, ', ' || ?) > 0 OR strpos(i.labels, '{' || ?) > 0 OR strpos(i.labels, ', ' || ?) > 0)";
/// Acked or snoozed by somebody; the locale `C` changes ASCII letters only.
pub(super) const ACKED_BY: &str =
    "EXISTS (SELECT 1 FROM timeline t WHERE t.incident = i.id AND t.kind IN ('acked', 'snoozed') AND strpos(lower(t.text COLLATE \"C\"), ?) > 0)";

/// Conditions of a query that is put together, with their values.
#[derive(Default)]
pub(super) struct Conditions {
    pub(super) texts: Vec<String>,
    pub(super) values: Vec<Box<dyn Param>>,
}

impl Conditions {
    /// Adds a condition in which each `?` is the value.
    pub(super) fn add(&mut self, condition: &str, value: impl Param + 'static) {
        self.values.push(Box::new(value));
        self.texts.push(condition.replace('?', &format!("${}", self.values.len())));
    }

    /// The same for a pattern that finds this text anywhere. What is compared must be in lower case by the locale `C`, which changes ASCII letters only.
    pub(super) fn add_text(&mut self, condition: &str, text: &str) {
        let escaped = text.to_ascii_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
        self.add(condition, format!("%{escaped}%").replace('\0', "\u{FFFD}"));
    }
}

/// [`crate::store::QueryStore::list_deliveries`]. Newest first by id. Lists by event or message, of dead letters and of open ones follow an index; all others walk
/// back until they have enough hits.
pub(super) async fn list_deliveries(tx: &Tx, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, DbError> {
    let mut only = Conditions::default();
    if let Some(id) = filter.before {
        only.add("d.id < ?", id.0);
    }
    if let Some(id) = filter.after {
        only.add("d.id >= ?", id.0);
    }
    if let Some(id) = filter.event {
        only.add("d.event_id = ?", id.0);
    }
    if let Some(id) = filter.message {
        only.add("d.message_id = ?", id.0);
    }
    let of_incident = |condition: &str| format!("EXISTS (SELECT 1 FROM incident i WHERE i.id = d.incident AND {condition})");
    if let Some(label) = &filter.label {
        only.add(&of_incident(OF_GROUP), label.in_group_key());
    }
    if let Some(person) = &filter.acked_by {
        only.add(&of_incident(ACKED_BY), acked_by(person));
    }
    if let Some(names) = names(&filter.channels) {
        only.add("d.channel = ANY (?)", names);
    }
    if let Some(since) = filter.since {
        only.add("d.born_at >= ?", since);
    }
    if let Some(text) = filter.text.as_deref().filter(|text| !text.is_empty()) {
        only.add_text("(lower(d.title COLLATE \"C\") LIKE ? ESCAPE '\\' OR lower(d.reason COLLATE \"C\") LIKE ? ESCAPE '\\')", text);
    }
    if !filter.states.is_empty() {
        if filter.states.iter().all(|s| !s.is_final()) {
            // Letter for letter the condition of the partial index.
            only.texts.push("d.state IN ('waiting', 'deferred')".into());
        }
        let names: Vec<String> = filter.states.iter().map(|s| format!("'{}'", s.as_str())).collect();
        match names.as_slice() {
            [one] => only.texts.push(format!("d.state = {one}")),
            names => only.texts.push(format!("d.state IN ({})", names.join(", "))),
        }
    }
    only.texts.push("true".into());
    only.values.push(Box::new(limit(filter.limit)));
    let sql = format!("SELECT {DELIVERY} FROM delivery d WHERE {} ORDER BY d.id DESC LIMIT ${}", only.texts.join(" AND "), only.values.len());
    let values: Vec<&dyn Param> = only.values.iter().map(|value| &**value).collect();
    tx.query(&sql, &values).await?.iter().map(delivery_row).collect()
}

/// [`crate::store::QueryStore::delivered_elsewhere`].
pub(super) async fn delivered_elsewhere(tx: &Tx, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, DbError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    // Of a reason that a platform wrote no id is made.
    let sql = "WITH RECURSIVE after AS (
             SELECT d.id AS root, d.id, d.state, d.reason FROM delivery d WHERE d.id = ANY ($1)
             UNION
             SELECT a.root, n.id, n.state, n.reason FROM after a, LATERAL (
                 SELECT f.id, f.state, f.reason FROM delivery f WHERE f.origin_id = a.id
                 UNION ALL
                 SELECT r.id, r.state, r.reason FROM delivery r
                 WHERE r.id = CASE WHEN right(a.reason, 48) ~ '^replayed as [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN right(a.reason, 36)::uuid END
             ) n
         )
         SELECT DISTINCT root FROM after WHERE state = 'sent' AND id <> root";
    let rows = tx.query(sql, &[&ids]).await?;
    rows.iter().map(|row| Ok(DeliveryId(get(row, 0)?))).collect()
}

/// [`crate::store::QueryStore::last_sent`].
pub(super) async fn last_sent(tx: &Tx, among: usize) -> Result<Vec<(String, UnixMs)>, DbError> {
    // Reads the index of what ended from its end.
    let sql = "SELECT channel, max(done_at) FROM (
             SELECT channel, state, done_at FROM delivery WHERE done_at IS NOT NULL ORDER BY done_at DESC LIMIT $1
         ) newest WHERE state = 'sent' GROUP BY channel ORDER BY channel";
    tx.query(sql, &[&limit(among)]).await?.iter().map(|row| Ok((get(row, 0)?, get(row, 1)?))).collect()
}

/// [`crate::store::QueryStore::get_delivery`].
pub(super) async fn get_delivery(tx: &Tx, id: DeliveryId) -> Result<Option<DeliveryDetail>, DbError> {
    let found = tx.first(&format!("SELECT {DELIVERY}, d.tried FROM delivery d WHERE d.id = $1"), &[&id.0]).await?;
    let Some(found) = found else { return Ok(None) };
    let (row, target) = (delivery_row(&found)?, target(&found)?);
    let mut earlier = Vec::new();
    for message in get::<Option<Vec<Uuid>>>(&found, delivery::NEXT)?.unwrap_or_default() {
        earlier.extend(attempts(tx, MessageId(message)).await?);
    }
    let Some(event) = event(tx, row.event).await? else {
        return Err(StoreError::Unusable(format!("delivery {id} has no event {}; the database is damaged", row.event)).into());
    };
    let message = match row.message {
        Some(id) => get_message(tx, id).await?,
        None => None,
    };
    let children = tx.query(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.origin_id = $1 ORDER BY d.id"), &[&id.0]).await?;
    let children = children.iter().map(delivery_row).collect::<Result<_, _>>()?;
    let found = tx.query(&confirmed_sql("$1"), &[&id.0]).await?;
    let confirmed = newest_of_each(found.iter().map(confirmed).collect::<Result<_, _>>()?);
    Ok(Some(DeliveryDetail { row, target, event, message, earlier, children, confirmed }))
}

async fn event(tx: &Tx, id: EventId) -> Result<Option<StoredEvent>, DbError> {
    tx.first(&format!("SELECT {EVENT} FROM event e WHERE e.id = $1"), &[&id.0]).await?.as_ref().map(stored_event).transpose()
}

async fn attempts(tx: &Tx, message: MessageId) -> Result<Vec<AttemptRow>, DbError> {
    tx.query(&format!("SELECT {ATTEMPT} FROM attempt WHERE message_id = $1 ORDER BY begun_at, id"), &[&message.0])
        .await?
        .iter()
        .map(attempt)
        .collect()
}

/// Names that the database can take; `None` when all are meant.
pub(super) fn names(channels: &[String]) -> Option<Vec<String>> {
    (!channels.is_empty()).then(|| channels.iter().map(|name| name.replace('\0', "\u{FFFD}")).collect())
}

/// [`crate::store::QueryStore::reach`].
pub(super) async fn reach(tx: &Tx, of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, DbError> {
    let Some(skipped) = rows.checked_sub(1) else { return Ok(before) };
    let sql = format!("SELECT id FROM {} WHERE id < $1 ORDER BY id DESC LIMIT 1 OFFSET $2", of.table());
    tx.first(&sql, &[&before.unwrap_or(Uuid::max()), &limit(skipped)]).await?.as_ref().map(|row| get(row, 0)).transpose()
}

/// [`crate::store::QueryStore::list_events`]: walks back by id until it has enough hits.
pub(super) async fn list_events(tx: &Tx, filter: &EventFilter) -> Result<Vec<EventRow>, DbError> {
    let source = filter.source.as_ref().map(|source| source.replace('\0', "\u{FFFD}"));
    let before = filter.before.map_or(Uuid::max(), |id| id.0);
    let after = filter.after.map_or(Uuid::nil(), |id| id.0);
    let rows = tx
        .query(
            "SELECT id, source, received_at, note FROM event e
             WHERE id < $1 AND id >= $6 AND ($2::text IS NULL OR source = $2) AND (NOT $3::bool OR (note IS NOT NULL AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id OFFSET 0)))
             AND ($5::text[] = '{}' OR EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id AND d.channel = ANY ($5)))
             ORDER BY id DESC LIMIT $4::bigint",
            &[&before, &source, &filter.bare, &limit(filter.limit), &names(&filter.channels).unwrap_or_default(), &after],
        )
        .await?;
    rows.iter().map(|row| Ok(EventRow { id: EventId(get(row, 0)?), source: get(row, 1)?, received_at: get(row, 2)?, note: get(row, 3)? })).collect()
}

/// [`crate::store::QueryStore::get_event`].
pub(super) async fn get_event(tx: &Tx, id: EventId) -> Result<Option<EventDetail>, DbError> {
    let Some(event) = event(tx, id).await? else { return Ok(None) };
    let rows = tx.query(&format!("SELECT {DELIVERY} FROM delivery d WHERE d.event_id = $1 ORDER BY d.id"), &[&id.0]).await?;
    Ok(Some(EventDetail { event, deliveries: rows.iter().map(delivery_row).collect::<Result<_, _>>()? }))
}

/// [`crate::store::QueryStore::list_message_ids`].
pub(super) async fn list_message_ids(tx: &Tx, among: &Range<MessageId>) -> Result<Vec<MessageId>, DbError> {
    let rows = tx.query("SELECT id FROM message WHERE id >= $1 AND id < $2 ORDER BY id", &[&among.start.0, &among.end.0]).await?;
    rows.iter().map(|row| Ok(MessageId(get(row, 0)?))).collect()
}

/// [`crate::store::QueryStore::get_message`].
pub(super) async fn get_message(tx: &Tx, id: MessageId) -> Result<Option<StoredMessage>, DbError> {
    let found = tx
        .first(
            "SELECT channel, platform, kind, template, formed_at, done, pages, (SELECT count(*) FROM delivery d WHERE d.message_id = m.id)
             FROM message m WHERE id = $1",
            &[&id.0],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    let itself = tx.first(&format!("SELECT {SOLE} FROM message WHERE id = $1 AND recipient IS NOT NULL"), &[&id.0]).await?;
    let (cells, attempts) = match itself.as_ref().map(sole).transpose()? {
        Some((cell, attempt)) => (vec![cell], vec![attempt]),
        None => {
            let cells = tx.query(&format!("SELECT {CELL} FROM cell WHERE message_id = $1 ORDER BY page, recipient"), &[&id.0]).await?;
            (cells.iter().map(cell).collect::<Result<_, _>>()?, attempts(tx, id).await?)
        }
    };
    Ok(Some(StoredMessage {
        id,
        channel: get(&row, 0)?,
        platform: get(&row, 1)?,
        kind: row.message_kind(2)?,
        template: get(&row, 3)?,
        formed_at: get(&row, 4)?,
        done: get(&row, 5)?,
        pages: row.pages(6)?,
        cells,
        attempts,
        members: row.count(7)?,
        receipts: super::receipts::all(tx, id).await?,
    }))
}
