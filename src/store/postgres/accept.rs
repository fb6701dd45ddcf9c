//! Taking events in: dedup, events, incidents, lanes and deliveries of a whole group by a handful of statements. JSON is made by the caller.
//!
//! Knows nothing of what becomes of a delivery.

use std::collections::{BTreeMap, HashMap};

use futures_util::future::{join, join4};
use tokio_postgres::Row;
use uuid::Uuid;

use super::connect::{Db, transaction};
use super::error::DbError;
use super::group::Grouped;
use super::lanes::{Arrival, Entry, LaneMap, claim};
use super::reports::Reports;
use super::rows::Columns;
use super::rows::{get, outlet};
use super::steps;
use super::tx::Tx;
use crate::model::{DeliveryId, EventId, IncidentId, LaneId};
use crate::store::prepared::PreparedEvent;
use crate::store::rows::StoredRow as _;
use crate::store::{Accepted, AcceptedDelivery, NewestEvent, StoreError, duplicate_of};

impl Grouped for PreparedEvent {
    type Answer = Accepted;

    async fn commit(db: &Db, group: &[&Self]) -> Result<Vec<Result<Accepted, StoreError>>, DbError> {
        transaction!(db, write, |tx| accept_all(tx, group))
    }
}

/// Two steps, each sent as one: what must be known and locked, incidents before lanes, and everything that is written, with the end; between them the
/// numbers of incidents that open, when some do. Who holds a lane's row decides what is the newest event in it, so that a repeat at another node waits for
/// this commit.
async fn accept_all(tx: &Tx, group: &[&PreparedEvent]) -> Result<Vec<Result<Accepted, StoreError>>, DbError> {
    let all = arrivals_of(group, &[]);
    let (reports, lanes) = join(Reports::lock(tx, group), claim(tx, &all)).await;
    let (mut reports, lanes) = (reports?, lanes?);
    let firsts = repeats(group, &lanes);
    let new: Vec<&PreparedEvent> = group.iter().zip(&firsts).filter(|(_, first)| first.is_none()).map(|(event, _)| *event).collect();
    let reported = reports.apply_all(tx, &new).await?;
    let mut arrivals = arrivals_of(&new, &reported);
    let mut begun = steps::begin(tx, &new, &reported, &reports).await?;
    let (steps, count): (Vec<usize>, usize) = (begun.iter().map(Vec::len).collect(), arrivals.len());
    let mut lanes = lanes;
    for step in &mut begun {
        // Lanes that nobody else knows of yet: no order of locks matters.
        lanes.extend(claim(tx, step).await?);
        arrivals.append(step);
    }
    let entry = Entry::new(lanes, &arrivals)?;
    let repeated: Vec<Uuid> = firsts.iter().flatten().map(|first| first.0).collect();
    let known = tx
        .commit_pipelined(async {
            let (reported, events, entered, known) =
                join4(reports.write(tx), insert_events(tx, &new), entry.write(tx), deliveries_of(tx, repeated)).await;
            reported.and(events).and(entered).and(known)
        })
        .await?;
    let known = accepted_of(&known)?;
    let mut accepted = entry.accepted;
    let mut begun = accepted.split_off(count).into_iter();
    let mut accepted = accepted.into_iter();
    let mut steps = steps.into_iter();
    let answers = group.iter().zip(firsts).map(|(event, first)| {
        Ok(match first {
            None => Accepted {
                event: event.id,
                duplicate: false,
                deliveries: accepted.by_ref().take(event.deliveries.len()).collect(),
                steps: begun.by_ref().take(steps.next().unwrap_or(0)).collect(),
            },
            Some(first) => Accepted { event: first, duplicate: true, deliveries: known.get(&first).cloned().unwrap_or_default(), steps: Vec::new() },
        })
    });
    Ok(answers.collect())
}

/// `reported` has the incidents of each event's reports, once they are known.
fn arrivals_of<'a>(events: &[&'a PreparedEvent], reported: &[Vec<Option<IncidentId>>]) -> Vec<Arrival<'a>> {
    let mut arrivals = Vec::new();
    for (place, event) in events.iter().enumerate() {
        let (now, key, reported) = (event.received_at, event.dedup.map(|dedup| dedup.key), reported.get(place).map_or(&[][..], Vec::as_slice));
        let each = event.deliveries.iter();
        arrivals.extend(each.map(|prepared| Arrival { event: event.id, prepared, now, key, incident: prepared.delivery.incident.resolve(reported) }));
    }
    arrivals
}

/// For each event of a group the one that it repeats, which may be an earlier one of the group.
fn repeats(group: &[&PreparedEvent], lanes: &LaneMap<'_>) -> Vec<Option<EventId>> {
    let mut newest: BTreeMap<(&str, &str), Option<NewestEvent>> =
        lanes.iter().filter(|(_, lane)| !lane.is_new()).map(|(name, lane)| (*name, lane.newest)).collect();
    let mut firsts = Vec::with_capacity(group.len());
    for event in group {
        let names = || event.deliveries.iter().map(|d| (d.delivery.channel.as_str(), d.delivery.lane_key.as_str()));
        let known = names().filter_map(|name| newest.get(&name).copied());
        let first = event.dedup.and_then(|dedup| duplicate_of(known, &dedup, event.received_at));
        if first.is_none() {
            // Its places are given out later; nothing comes between them.
            let own = event.dedup.map(|dedup| NewestEvent { key: dedup.key, event: event.id, at: event.received_at, seq: 0 });
            newest.extend(names().map(|name| (name, own)));
        }
        firsts.push(first);
    }
    firsts
}

async fn insert_events(tx: &Tx, events: &[&PreparedEvent]) -> Result<(), DbError> {
    if events.is_empty() {
        return Ok(());
    }
    let each = || events.iter();
    Columns::default()
        .with("id", each().map(|e| e.id.0))
        .with("source", each().map(|e| e.source.as_str()))
        .with("received_at", each().map(|e| e.received_at))
        .with("group_key", each().map(|e| e.group_key.as_str()))
        .with("plan", each().map(|e| &*e.plan))
        .with("body", each().map(|e| e.body.as_slice()))
        .with("note", each().map(|e| e.note.as_deref()))
        .insert(tx, "event", "")
        .await
}

async fn deliveries_of(tx: &Tx, events: Vec<Uuid>) -> Result<Vec<Row>, DbError> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    tx.query(
        "SELECT d.event_id, d.id, d.channel, l.outlet, d.lane_id, d.lane_seq, d.state, d.incident FROM delivery d JOIN lane l ON l.id = d.lane_id
         WHERE d.event_id = ANY ($1) ORDER BY d.id",
        &[&events],
    )
    .await
}

fn accepted_of(rows: &[Row]) -> Result<HashMap<EventId, Vec<AcceptedDelivery>>, DbError> {
    let mut known: HashMap<EventId, Vec<AcceptedDelivery>> = HashMap::new();
    for row in rows {
        known.entry(EventId(get(row, 0)?)).or_default().push(AcceptedDelivery {
            id: DeliveryId(get(row, 1)?),
            channel: get(row, 2)?,
            outlet: outlet(row, 3)?,
            lane: LaneId(get(row, 4)?),
            lane_seq: get(row, 5)?,
            state: row.state(6)?,
            incident: row.optional_int(7)?.map(IncidentId),
        });
    }
    Ok(known)
}
