//! What the events of a group say of incidents: applied one event after the other in memory, on locked rows, and written by a few statements.
//!
//! Incidents are locked in the order of their keys, before lanes. One that another node opens at the same time breaks a unique index, and the group is done
//! again with it.

use std::collections::{BTreeSet, HashMap};

use futures_util::future::join4;

use super::anchors::mark_dirty;
use super::error::DbError;
use super::rows::{Columns, get};
use super::timeline;
use super::tx::Tx;
use crate::model::{IncidentId, UnixMs};
use crate::store::incidents::{Change, INCIDENT, Step, in_key_order, incident, incident_at, is_regrouped, leads, open, regroup, step};
use crate::store::prepared::PreparedEvent;
use crate::store::{Begun, Incident, IncidentReport, TimelineKind, TimelineRow, write_incident_alerts};

/// An incident in memory.
struct Entry {
    incident: Incident,
    lead: i64,
    /// Those of the report that opened it; empty of one that was there.
    labels: String,
    is_new: bool,
    changed: bool,
    rows: Vec<TimelineRow>,
}

/// Incidents that a group of events may change, all locked.
#[derive(Default)]
pub(super) struct Reports {
    entries: Vec<Entry>,
    by_key: HashMap<String, Vec<usize>>,
    by_lead: HashMap<i64, Vec<usize>>,
}

impl Reports {
    /// Locks the newest incident of each key in the group (the open one, else the one that ended last), and those that may be regrouped. All is sent when
    /// this is first polled.
    pub(super) async fn lock(tx: &Tx, group: &[&PreparedEvent]) -> Result<Self, DbError> {
        let reports = || group.iter().flat_map(|event| &event.incidents);
        let keys: BTreeSet<&str> = reports().map(|report| report.key.as_str()).collect();
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let (keys, leads): (Vec<&str>, BTreeSet<i64>) = (keys.into_iter().collect(), reports().flat_map(leads).collect());
        let leads: Vec<i64> = leads.into_iter().collect();
        let sql = format!(
            "SELECT {INCIDENT}, i.lead FROM incident i WHERE i.id IN (
                 SELECT newest.id FROM unnest($1::text[]) AS n (key) CROSS JOIN LATERAL (
                     SELECT k.id FROM incident k WHERE k.key = n.key ORDER BY coalesce(k.ended_at, 9223372036854775807) DESC, k.id DESC LIMIT 1) AS newest
                 UNION SELECT l.id FROM incident l WHERE l.ended_at IS NULL AND l.lead = ANY ($2::bigint[]))
             ORDER BY i.key, i.id FOR UPDATE OF i"
        );
        let rows = tx.query(&sql, &[&keys, &leads]).await?;
        let known = rows.iter().map(|row| Ok((incident(row, 0)?, get(row, incident_at::NEXT)?))).collect::<Result<Vec<_>, DbError>>()?;
        let mut all = Self::default();
        let mut known: Vec<(Incident, i64)> = known;
        known.sort_by_key(|(incident, _)| incident.id);
        for (incident, lead) in known {
            all.add(Entry { incident, lead, labels: String::new(), is_new: false, changed: false, rows: Vec::new() });
        }
        Ok(all)
    }

    fn add(&mut self, entry: Entry) -> usize {
        let place = self.entries.len();
        self.by_key.entry(entry.incident.key.clone()).or_default().push(place);
        self.by_lead.entry(entry.lead).or_default().push(place);
        self.entries.push(entry);
        place
    }

    /// The place of the newest incident of a key.
    fn newest(&self, key: &str) -> Option<usize> {
        let age = |place: &usize| (self.entries[*place].incident.ended_at.unwrap_or(UnixMs::MAX), *place);
        self.by_key.get(key)?.iter().copied().max_by_key(age)
    }

    /// The place of the open incident, of another key, that the report goes on with.
    fn regrouped(&self, report: &IncidentReport, leads: &[i64]) -> Option<usize> {
        let candidates: BTreeSet<usize> = leads.iter().filter_map(|lead| self.by_lead.get(lead)).flatten().copied().collect();
        candidates.into_iter().find(|place| is_regrouped(&self.entries[*place].incident, report))
    }

    /// Applies what an event says, and returns the place of the incident of each report.
    fn apply(&mut self, event: &PreparedEvent) -> Vec<Option<usize>> {
        let mut reported = vec![None; event.incidents.len()];
        for place in in_key_order(&event.incidents) {
            let report = &event.incidents[place];
            let newest = self.newest(&report.key);
            let known = newest.map(|place| self.entries[place].incident.clone());
            reported[place] = match step(known, report, event.id, &event.event, event.received_at) {
                Step::Nothing => None,
                Step::Attached(_) => newest,
                Step::Changed(change) => newest.inspect(|place| self.change(*place, *change)),
                Step::Another => self.another(report, event),
            };
        }
        reported
    }

    fn change(&mut self, place: usize, Change { incident, rows, .. }: Change) {
        let entry = &mut self.entries[place];
        entry.incident = incident;
        entry.changed = true;
        entry.rows.extend(rows);
    }

    fn another(&mut self, report: &IncidentReport, event: &PreparedEvent) -> Option<usize> {
        let leads = leads(report);
        if let Some(place) = self.regrouped(report, &leads) {
            let known = self.entries[place].incident.clone();
            if let Some(places) = self.by_key.get_mut(&known.key) {
                places.retain(|other| *other != place);
            }
            self.by_key.entry(report.key.clone()).or_default().push(place);
            self.change(place, regroup(known, report, event.id, event.received_at));
            return Some(place);
        }
        let Change { incident, rows, .. } = open(report, event.id, event.received_at)?;
        let lead = leads.first().copied().unwrap_or_default();
        Some(self.add(Entry { incident, lead, labels: report.labels.clone(), is_new: true, changed: false, rows }))
    }

    /// Applies what events say, in their order, numbers those that open, and returns the incidents of each event's reports.
    pub(super) async fn apply_all(&mut self, tx: &Tx, events: &[&PreparedEvent]) -> Result<Vec<Vec<Option<IncidentId>>>, DbError> {
        let places: Vec<Vec<Option<usize>>> = events.iter().map(|event| self.apply(event)).collect();
        let new: Vec<&mut Entry> = self.entries.iter_mut().filter(|entry| entry.is_new).collect();
        if !new.is_empty() {
            let sql = "SELECT nextval(pg_get_serial_sequence('incident', 'id')) FROM generate_series(1::bigint, $1)";
            let numbers = tx.query(sql, &[&(new.len() as i64)]).await?;
            for (entry, row) in new.into_iter().zip(&numbers) {
                entry.incident.id = IncidentId(get(row, 0)?);
            }
        }
        let id = |place: Option<usize>| place.map(|place| self.entries[place].incident.id);
        Ok(places.into_iter().map(|of| of.into_iter().map(id).collect()).collect())
    }

    /// Adds what the incidents are now, and which of them these events reopened.
    pub(super) fn add_to(&self, begun: &mut Begun) {
        for entry in &self.entries {
            begun.know(&entry.incident);
            for row in entry.rows.iter().filter(|row| row.kind == TimelineKind::Reopened) {
                begun.called_again(entry.incident.id, row.at);
            }
        }
    }

    /// Writes what changed; all is sent when this is first polled. What ends makes room for what opens under its key, and so comes first.
    pub(super) async fn write(&self, tx: &Tx) -> Result<(), DbError> {
        let changed: Vec<&Entry> = self.entries.iter().filter(|entry| entry.changed && !entry.is_new).collect();
        let mut new: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_new).collect();
        // All nodes open incidents in the order of their keys, so that none waits for another in a circle.
        new.sort_by_key(|entry| &entry.incident.key);
        let dirty: Vec<i64> = changed.iter().map(|entry| entry.incident.id.0).collect();
        let rows: Vec<_> = self.entries.iter().flat_map(|entry| entry.rows.iter().map(|row| (entry.incident.id, row))).collect();
        let (changed, new, marked, added) = join4(update(tx, &changed), insert(tx, &new), mark_dirty(tx, &dirty), timeline::add(tx, &rows)).await;
        changed.and(new).and(marked).and(added)
    }
}

/// The columns that a report may change.
fn columns<'a>(entries: &'a [&'a Entry]) -> Columns<'a> {
    let each = || entries.iter().map(|entry| &entry.incident);
    Columns::default()
        .with("id", each().map(|i| i.id.0))
        .with("key", each().map(|i| i.key.as_str()))
        .with("group_key", each().map(|i| i.group_key.as_str()))
        .with("title", each().map(|i| i.title.as_str()))
        .with("state", each().map(|i| i.state.as_str()))
        .with("rank", each().map(|i| i64::from(i.rank)))
        .with("version", each().map(|i| i.version))
        .with("heard_at", each().map(|i| i.heard_at))
        .with("ended_at", each().map(|i| i.ended_at))
        .with("truncated", each().map(|i| i.truncated))
        .with("acks", each().map(|i| i.acks.to_stored()))
        .with("wake_at", each().map(Incident::wake_at))
        .with("alerts", each().map(|i| write_incident_alerts(&i.alerts)))
}

async fn update(tx: &Tx, entries: &[&Entry]) -> Result<(), DbError> {
    if entries.is_empty() {
        return Ok(());
    }
    columns(entries).update(tx, "incident").await
}

async fn insert(tx: &Tx, entries: &[&Entry]) -> Result<(), DbError> {
    if entries.is_empty() {
        return Ok(());
    }
    let each = || entries.iter().map(|entry| &entry.incident);
    columns(entries)
        .with("source", each().map(|i| i.source.as_str()))
        .with("receiver", each().map(|i| i.receiver.as_str()))
        .with("opened_at", each().map(|i| i.opened_at))
        .with("lead", entries.iter().map(|entry| entry.lead))
        .with("labels", entries.iter().map(|entry| entry.labels.as_str()))
        .insert(tx, "incident", "")
        .await
}
