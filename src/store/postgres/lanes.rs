//! How deliveries enter their lanes, many at once: lanes are made or locked in key order, places are given out here, all is written by a few
//! statements. Also how a lane's counters are computed from its deliveries.
//!
//! Every transaction locks lanes in the order of (channel, key), so that two of them never wait for each other.

use std::collections::BTreeMap;

use futures_util::future::{join, join3};
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::DbError;
use super::rows::Columns;
use super::rows::{get, outlet};
use super::tx::Tx;
use crate::model::{EventId, IncidentId, LaneId, OutletKey, UnixMs};
use crate::store::prepared::PreparedDelivery;
use crate::store::{AcceptedDelivery, NewestEvent, State, StoreError};

/// A delivery that arrives.
pub(super) struct Arrival<'a> {
    pub(super) event: EventId,
    pub(super) prepared: &'a PreparedDelivery,
    pub(super) now: UnixMs,
    /// The event's dedup key, when the event itself arrives.
    pub(super) key: Option<[u8; 32]>,
    /// The incident that it belongs to.
    pub(super) incident: Option<IncidentId>,
}

impl<'a> Arrival<'a> {
    /// One that comes from another delivery of its event.
    pub(super) fn copied((event, prepared): &'a (EventId, PreparedDelivery), now: UnixMs) -> Self {
        Self { event: *event, prepared, now, key: None, incident: prepared.delivery.incident.resolve(&[]) }
    }
}

/// A lane whose row is locked, as it will be written back.
pub(super) struct Lane {
    id: i64,
    outlet: OutletKey,
    last_seq: i64,
    waiting: i64,
    deferred: i64,
    rank: i64,
    due_at: UnixMs,
    since: UnixMs,
    size: i64,
    fired: Option<Uuid>,
    /// The newest event in it, when that is known.
    pub(super) newest: Option<NewestEvent>,
    /// Its alerts that were not reported over yet.
    unresolved: Vec<u8>,
    /// Whether a delivery has entered it.
    entered: bool,
}

impl Lane {
    /// Assigns the next place to a delivery; returns it and the one that fired before it.
    fn take(&mut self, arrival: &Arrival<'_>) -> (i64, Option<Uuid>) {
        let d = &arrival.prepared.delivery;
        let prior = self.fired;
        self.entered = true;
        self.last_seq += 1;
        self.size += 1;
        self.newest = arrival.key.map(|key| NewestEvent { key, event: arrival.event, at: arrival.now, seq: self.last_seq });
        if let Some(report) = &d.report {
            self.unresolved = report.apply(&self.unresolved);
        }
        if d.summary.firing > 0 {
            self.fired = Some(d.id.0);
        }
        if !d.state.is_final() {
            let deferred = d.state == State::Deferred;
            let first = self.waiting == 0;
            self.rank = if first { d.rank } else { self.rank.min(d.rank) };
            self.since = if first { d.born_at } else { self.since.min(d.born_at) };
            // What is due first is the first waiting one or a deferred one. A newcomer that waits counts only when none waits before it.
            if first {
                self.due_at = d.due_at;
            } else if deferred || self.waiting == self.deferred {
                self.due_at = self.due_at.min(d.due_at);
            }
            self.waiting += 1;
            self.deferred += i64::from(deferred);
        }
        (self.last_seq, prior)
    }

    /// Whether nothing ever entered it.
    pub(super) fn is_new(&self) -> bool {
        self.last_seq == 0
    }
}

/// Lanes whose rows are locked, by channel and key.
pub(super) type LaneMap<'a> = BTreeMap<(&'a str, &'a str), Lane>;

/// Deliveries with their places in their lanes, not written yet.
pub(super) struct Entry<'a> {
    arrivals: &'a [Arrival<'a>],
    lanes: LaneMap<'a>,
    places: Vec<(i64, i64, Option<Uuid>)>,
    /// Lanes that were made for what turned out to be a repeat.
    unused: Vec<i64>,
    /// What the caller receives.
    pub(super) accepted: Vec<AcceptedDelivery>,
}

impl<'a> Entry<'a> {
    /// Assigns places at the ends of the lanes, which are all locked, in the order given; lanes keep the outlets that they have.
    pub(super) fn new(mut lanes: LaneMap<'a>, arrivals: &'a [Arrival<'a>]) -> Result<Self, DbError> {
        let mut places = Vec::with_capacity(arrivals.len());
        let mut accepted = Vec::with_capacity(arrivals.len());
        for arrival in arrivals {
            let d = &arrival.prepared.delivery;
            let lane = lanes.get_mut(&(d.channel.as_str(), d.lane_key.as_str())).ok_or_else(|| DbError::from("a lane is missing".to_owned()))?;
            let (lane_seq, prior) = lane.take(arrival);
            places.push((lane.id, lane_seq, prior));
            accepted.push(AcceptedDelivery {
                id: d.id,
                channel: d.channel.clone(),
                outlet: lane.outlet.clone(),
                lane: LaneId(lane.id),
                lane_seq,
                state: d.state,
                incident: arrival.incident,
            });
        }
        let unused = lanes.values().filter(|lane| lane.size == 0).map(|lane| lane.id).collect();
        lanes.retain(|_, lane| lane.entered);
        Ok(Self { arrivals, lanes, places, unused, accepted })
    }

    /// Writes lanes and deliveries; all is sent when this is first polled.
    pub(super) async fn write(&self, tx: &Tx) -> Result<(), DbError> {
        let (lanes, deliveries, deleted) =
            join3(write_back(tx, &self.lanes), insert(tx, self.arrivals, &self.places), delete_unused_lanes(tx, &self.unused)).await;
        lanes.and(deliveries).and(deleted)
    }
}

/// Puts deliveries at the ends of their lanes, in the order given; lanes are made when they are not there.
pub(super) async fn append(tx: &Tx, arrivals: &[Arrival<'_>]) -> Result<Vec<AcceptedDelivery>, DbError> {
    let entry = Entry::new(claim(tx, arrivals).await?, arrivals)?;
    entry.write(tx).await?;
    Ok(entry.accepted)
}

type Names<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

fn names_of<'a>(arrivals: &[Arrival<'a>]) -> Names<'a> {
    let mut names = Names::new();
    for Arrival { prepared, .. } in arrivals {
        let d = &prepared.delivery;
        names.entry((&d.channel, &d.lane_key)).or_insert(d.outlet.as_str());
    }
    names
}

/// Makes lanes that are not there.
async fn make(tx: &Tx, names: &Names<'_>) -> Result<(), DbError> {
    let channels: Vec<&str> = names.keys().map(|(channel, _)| *channel).collect();
    let keys: Vec<&str> = names.keys().map(|(_, key)| *key).collect();
    let outlets: Vec<&str> = names.values().copied().collect();
    tx.execute(
        "INSERT INTO lane (channel, key, outlet)
         SELECT n.channel, n.key, n.outlet FROM unnest($1, $2, $3) WITH ORDINALITY AS n (channel, key, outlet, place)
         WHERE NOT EXISTS (SELECT 1 FROM lane l WHERE l.channel = n.channel AND l.key = n.key) ORDER BY n.place
         ON CONFLICT (channel, key) DO NOTHING",
        &[&channels, &keys, &outlets],
    )
    .await?;
    Ok(())
}

/// Makes and locks the lanes of these deliveries.
pub(super) async fn claim<'a>(tx: &Tx, arrivals: &[Arrival<'a>]) -> Result<LaneMap<'a>, DbError> {
    let wanted = names_of(arrivals);
    if wanted.is_empty() {
        return Ok(LaneMap::new());
    }
    let names: Vec<_> = wanted.keys().copied().collect();
    let (channels, keys): (Vec<&str>, Vec<&str>) = names.iter().copied().unzip();
    // A purge may remove an empty lane between the two statements.
    for _ in 0..3 {
        let (made, rows) = join(
            make(tx, &wanted),
            tx.query(
                "SELECT n.place, l.id, l.outlet, l.last_seq, l.waiting, l.deferred, l.rank, l.due_at, l.since, l.size, l.fired, l.newest,
                     l.unresolved
                 FROM unnest($1, $2) WITH ORDINALITY AS n (channel, key, place) JOIN lane l ON l.channel = n.channel AND l.key = n.key
                 ORDER BY l.channel, l.key FOR UPDATE OF l",
                &[&channels, &keys],
            ),
        )
        .await;
        made?;
        let rows = rows?;
        if rows.len() == names.len() {
            return rows.iter().map(|row| Ok((name_of(&names, row)?, lane(row)?))).collect();
        }
    }
    Err(StoreError::Unavailable("lanes were removed as fast as they were made; try again".into()).into())
}

fn name_of<'a>(names: &[(&'a str, &'a str)], row: &Row) -> Result<(&'a str, &'a str), DbError> {
    let place = usize::try_from(get::<i64>(row, 0)? - 1).unwrap_or(usize::MAX);
    names.get(place).copied().ok_or_else(|| DbError::from("a lane has a place that was not asked for".to_owned()))
}

fn lane(row: &Row) -> Result<Lane, DbError> {
    let last_seq = get(row, 3)?;
    Ok(Lane {
        id: get(row, 1)?,
        outlet: outlet(row, 2)?,
        last_seq,
        waiting: get(row, 4)?,
        deferred: get(row, 5)?,
        rank: get(row, 6)?,
        due_at: get(row, 7)?,
        since: get(row, 8)?,
        size: get(row, 9)?,
        fired: get(row, 10)?,
        newest: NewestEvent::of_lane(get(row, 11)?, last_seq),
        unresolved: get(row, 12)?,
        entered: false,
    })
}

async fn delete_unused_lanes(tx: &Tx, lanes: &Vec<i64>) -> Result<(), DbError> {
    if !lanes.is_empty() {
        tx.execute("DELETE FROM lane WHERE id = ANY ($1) AND size = 0", &[lanes]).await?;
    }
    Ok(())
}

async fn write_back(tx: &Tx, lanes: &LaneMap<'_>) -> Result<(), DbError> {
    if lanes.is_empty() {
        return Ok(());
    }
    let each = || lanes.values();
    Columns::default()
        .with("id", each().map(|l| l.id))
        .with("last_seq", each().map(|l| l.last_seq))
        .with("waiting", each().map(|l| l.waiting))
        .with("deferred", each().map(|l| l.deferred))
        .with("rank", each().map(|l| l.rank))
        .with("due_at", each().map(|l| l.due_at))
        .with("since", each().map(|l| l.since))
        .with("size", each().map(|l| l.size))
        .with("fired", each().map(|l| l.fired))
        .with("newest", each().map(|l| l.newest.map(|newest| newest.to_bytes().to_vec())))
        .with("unresolved", each().map(|l| l.unresolved.as_slice()))
        .update(tx, "lane")
        .await
}

async fn insert(tx: &Tx, arrivals: &[Arrival<'_>], places: &[(i64, i64, Option<Uuid>)]) -> Result<(), DbError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let each = || arrivals.iter();
    let all = || arrivals.iter().map(|a| &a.prepared.delivery);
    Columns::default()
        .with("id", all().map(|d| d.id.0))
        .with("event_id", each().map(|a| a.event.0))
        .with("lane_id", places.iter().map(|(lane, ..)| *lane))
        .with("lane_seq", places.iter().map(|(_, seq, _)| *seq))
        .with("channel", all().map(|d| d.channel.as_str()))
        .with("target", each().map(|a| a.prepared.target.as_str()))
        .with_expression("fallback", "string_to_array(nullif(n.fallback, ''), E'\x1f')", each().map(|a| a.prepared.fallback.as_str()))
        .with("mode", all().map(|d| d.mode.as_str()))
        .with("state", all().map(|d| d.state.as_str()))
        .with("rank", all().map(|d| d.rank))
        .with("title", all().map(|d| d.summary.title.as_str()))
        .with("firing", all().map(|d| i64::from(d.summary.firing)))
        .with("resolved", all().map(|d| i64::from(d.summary.resolved)))
        .with("born_at", all().map(|d| d.born_at))
        .with("due_at", all().map(|d| d.due_at))
        .with("origin_id", all().map(|d| d.fallback.of.map(|id| id.0)))
        .with("hop", all().map(|d| i64::from(d.fallback.depth)))
        .with("done_at", each().map(|a| a.prepared.done_at(a.now)))
        .with("reason", each().map(|a| a.prepared.reason()))
        .with("prior_id", places.iter().map(|(.., prior)| *prior))
        .with("incident", each().map(|a| a.incident.map(|id| id.0)))
        .with("escalation", each().map(|a| a.prepared.step().map(|step| step.escalation.as_str())))
        .with("step", each().map(|a| a.prepared.step().map(|step| i64::from(step.number))))
        .with("began_at", each().map(|a| a.prepared.step().map(|step| step.began_at)))
        .with("after_ms", each().map(|a| a.prepared.step().map(|step| step.after)))
        .insert(tx, "delivery", "")
        .await
}

/// Locks lanes at once, in the order that all transactions share: those given, those that these messages hold, and those that these deliveries will
/// enter. What is read of them by a later statement is what others have committed until then. Returns whether a message of those holds one.
pub(super) async fn lock_lanes(tx: &Tx, lanes: &[i64], messages: &Vec<Uuid>, arrivals: &[Arrival<'_>]) -> Result<bool, DbError> {
    if lanes.is_empty() && messages.is_empty() && arrivals.is_empty() {
        return Ok(false);
    }
    // Without arrivals it is found by two indexes at a time, which the database sees much sooner than in the other form.
    let rows = if arrivals.is_empty() {
        let sql = "SELECT message_id = ANY ($2) FROM lane WHERE id = ANY ($1) OR message_id = ANY ($2) ORDER BY channel, key FOR UPDATE";
        tx.query(sql, &[&lanes.to_vec(), messages]).await?
    } else {
        let names = names_of(arrivals);
        make(tx, &names).await?;
        let (channels, keys): (Vec<&str>, Vec<&str>) = names.into_keys().unzip();
        tx.query(
            "SELECT message_id = ANY ($2) FROM lane WHERE id IN (
                 SELECT unnest($1) UNION SELECT id FROM lane WHERE message_id = ANY ($2)
                 UNION SELECT l.id FROM unnest($3, $4) AS n (channel, key) JOIN lane l ON l.channel = n.channel AND l.key = n.key)
             ORDER BY channel, key FOR UPDATE",
            &[&lanes.to_vec(), messages, &channels, &keys],
        )
        .await?
    };
    let mut held = false;
    for row in &rows {
        held |= get::<Option<bool>>(row, 0)?.unwrap_or(false);
    }
    Ok(held)
}

/// Computes the counters of locked lanes again; reads only the partial index.
pub(super) async fn recount(tx: &Tx, lanes: &[i64]) -> Result<(), DbError> {
    if lanes.is_empty() {
        return Ok(());
    }
    tx.execute(
        "UPDATE lane SET waiting = c.waiting, deferred = c.deferred, rank = c.rank, since = c.since, due_at = c.due_at
         FROM unnest($1) AS l (id) CROSS JOIN LATERAL (
             SELECT count(*) AS waiting, count(*) FILTER (WHERE d.state = 'deferred') AS deferred, coalesce(min(d.rank), 3) AS rank,
                 coalesce(min(d.born_at), 0) AS since,
                 coalesce(least(min(d.due_at) FILTER (WHERE d.state = 'deferred'),
                     (SELECT w.due_at FROM delivery w WHERE w.lane_id = l.id AND w.state IN ('waiting', 'deferred') AND w.state = 'waiting'
                      ORDER BY w.lane_seq LIMIT 1)), 0) AS due_at
             FROM delivery d WHERE d.lane_id = l.id AND d.state IN ('waiting', 'deferred')) AS c
         WHERE lane.id = l.id",
        &[&lanes.to_vec()],
    )
    .await?;
    Ok(())
}
