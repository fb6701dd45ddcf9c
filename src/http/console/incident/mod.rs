//! Incidents on pages: what is known of one, its row, and what can be done about it.

pub(super) mod act;
mod alerts;
mod forms;
pub(super) mod many;
pub(super) mod page;
mod row;
mod timeline;

pub(super) use row::row;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::failure::Failure;
use crate::delivery::mutes::ActiveMutes;
use crate::http::App;
use crate::model::{Alert, Event, EventId, IncidentId, Labels, Severity, UnixMs};
use crate::store::{AlertState, Incident, IncidentAlert, IncidentFilter, IncidentState, State};

/// Open incidents whose alerts are read, the most urgent ones. Each costs its body, read whole, of which a page shows a line or a count.
pub(super) const MAX_OPEN: usize = 200;
/// Bytes of bodies that are read for one page.
const MAX_BYTES: usize = 4 << 20;
/// How many bodies that are larger than that a page passes over.
const LARGE: usize = 8;

/// What happens when nobody acks.
pub(super) struct NextStep {
    /// Where it is sent.
    pub(super) channel: String,
    /// When.
    pub(super) at: UnixMs,
}

/// An incident with what a row shows of it.
pub(super) struct Known {
    pub(super) incident: Incident,
    /// Its most severe alert that fires, else its newest, as it was reported; `None` where its body was not read: others were more urgent.
    pub(super) lead: Option<Alert>,
    /// The next step of its escalations.
    pub(super) next: Option<NextStep>,
    /// Whether it has steps of an escalation, whatever became of them.
    pub(super) escalates: bool,
    /// Until when all of it that fires is muted on every channel; [`UnixMs::MAX`]: no end is known.
    pub(super) muted: Option<UnixMs>,
    /// Whether its Alertmanager can be asked to be silent.
    pub(super) silences: bool,
}

impl Known {
    /// The most severe of what fires, else of all.
    pub(super) fn severity(&self) -> Severity {
        Severity::from_rank(i64::from(self.incident.rank))
    }

    /// The sentence that a person wrote about it; empty where nobody did.
    pub(super) fn sentence(&self) -> &str {
        let Some(lead) = &self.lead else { return "" };
        ["summary", "message", "description"].into_iter().map(|name| lead.annotation(name)).find(|text| !text.is_empty()).unwrap_or_default()
    }

    /// The labels of its lead.
    pub(super) fn labels(&self) -> Option<&Labels> {
        self.lead.as_ref().map(|lead| &lead.labels)
    }

    /// Alerts of it that fire.
    pub(super) fn firing(&self) -> usize {
        firing(&self.incident).count()
    }

    /// Since when it is known here.
    pub(super) fn since(&self) -> UnixMs {
        self.incident.opened_at
    }
}

/// The open incidents in which somebody is needed most, the newest first.
pub(super) async fn most_urgent(app: &App) -> Result<Vec<Incident>, Failure> {
    urgent(app, MAX_OPEN).await
}

/// The same, at most `limit`.
pub(super) async fn urgent(app: &App, limit: usize) -> Result<Vec<Incident>, Failure> {
    let urgent = app.engine.query().urgent_incidents(limit).await?;
    by_number(app, urgent.into_iter().map(|one| one.id).collect()).await
}

/// The incidents with these numbers, the newest first; what is not stored is left out.
pub(super) async fn by_number(app: &App, ids: Vec<IncidentId>) -> Result<Vec<Incident>, Failure> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let limit = ids.len();
    Ok(app.engine.query().list_incidents(&IncidentFilter { ids, limit, ..IncidentFilter::default() }).await?)
}

/// The alert that speaks for an incident.
fn lead(incident: &Incident) -> Option<&IncidentAlert> {
    incident.alerts.iter().min_by_key(|alert| (alert.state != AlertState::Firing, alert.rank, std::cmp::Reverse(alert.changed_at)))
}

/// Reads what rows show of these incidents.
pub(super) async fn read(app: &App, incidents: Vec<Incident>) -> Result<Vec<Known>, Failure> {
    let mut known = leads(app, incidents).await?;
    next_steps(app, &mut known).await?;
    Ok(known)
}

/// The same without the next steps.
pub(super) async fn leads(app: &App, incidents: Vec<Incident>) -> Result<Vec<Known>, Failure> {
    let mut events = events(app, &by_urgency(&incidents)).await?;
    let mutes = app.engine.mutes();
    let mutes = mutes.at(app.engine.clock().wall());
    // Whether anything rings is seen from the lead, unless that is muted.
    let of_lead = |incident: &&Incident| lead(incident).is_some_and(|alert| end_of_mute(alert, &events, &mutes).is_some());
    let others = ids(incidents.iter().filter(of_lead).flat_map(firing).filter(|alert| !events.contains_key(&alert.event)));
    if !others.is_empty() {
        events.extend(self::events(app, &others).await?);
    }
    let known = incidents.into_iter().map(|incident| {
        let lead = lead(&incident).and_then(|alert| events.get(&alert.event)?.alerts.get(alert.index as usize).cloned());
        let silences = app.engine.can_silence(&incident);
        let muted = muted(&incident, &events, &mutes);
        Known { incident, lead, next: None, escalates: false, muted, silences }
    });
    Ok(known.collect())
}

/// Those of its alerts that fire.
fn firing(incident: &Incident) -> impl Iterator<Item = &IncidentAlert> {
    incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing)
}

/// The events of their leads, each once, of the most urgent incident first: what no longer fits is left out.
fn by_urgency(incidents: &[Incident]) -> Vec<EventId> {
    let mut all: Vec<&Incident> = incidents.iter().collect();
    all.sort_by_key(|one| (one.state != IncidentState::Firing, one.rank, one.opened_at, one.id));
    let mut seen = HashSet::new();
    all.into_iter().filter_map(lead).map(|alert| alert.event).filter(|event| seen.insert(*event)).collect()
}

/// The events of alerts, each once.
fn ids<'a>(alerts: impl Iterator<Item = &'a IncidentAlert>) -> Vec<EventId> {
    let mut ids: Vec<EventId> = alerts.map(|alert| alert.event).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Until when an alert is muted on every channel. One whose body was not read may ring.
fn end_of_mute(alert: &IncidentAlert, events: &Bodies, mutes: &ActiveMutes<'_>) -> Option<UnixMs> {
    let alert = events.get(&alert.event)?.alerts.get(alert.index as usize)?;
    Some(mutes.on_every_channel(&alert.labels)?.until)
}

/// Until when nothing of an incident rings: each of its alerts that fire is muted, and the first of these mutes ends then.
fn muted(incident: &Incident, events: &Bodies, mutes: &ActiveMutes<'_>) -> Option<UnixMs> {
    firing(incident).map(|alert| end_of_mute(alert, events, mutes)).collect::<Option<Vec<_>>>()?.into_iter().min()
}

/// Reads the next step of those that are shown, all at once: a page must not take the store's readers away from the engine.
pub(super) async fn next_steps(app: &App, shown: &mut [Known]) -> Result<(), Failure> {
    let firing: Vec<IncidentId> = shown.iter().map(|one| &one.incident).filter(|one| one.state == IncidentState::Firing).map(|one| one.id).collect();
    if firing.is_empty() {
        return Ok(());
    }
    let mut next: HashMap<IncidentId, NextStep> = HashMap::new();
    let steps = app.engine.steps(&firing).await?;
    let escalating: HashSet<IncidentId> = steps.iter().map(|step| step.incident).collect();
    let plan = app.engine.plan();
    // One on a disabled channel reaches nobody.
    for step in steps.into_iter().filter(|step| matches!(step.state, State::Waiting | State::Deferred) && plan.sends(&step.channel)) {
        if next.get(&step.incident).is_none_or(|known| step.due_at < known.at) {
            next.insert(step.incident, NextStep { channel: step.channel, at: step.due_at });
        }
    }
    for one in shown {
        one.next = next.remove(&one.incident.id);
        one.escalates = escalating.contains(&one.incident.id);
    }
    Ok(())
}

type Bodies = HashMap<EventId, Arc<Event>>;

/// The bodies of events, as far as a page may read them.
async fn events(app: &App, ids: &[EventId]) -> Result<Bodies, Failure> {
    let (mut rest, mut bodies) = (ids, app.engine.load_events(ids, MAX_BYTES).await?);
    // One that is too large by itself hides no other.
    for _ in 0..LARGE {
        if !bodies.events.is_empty() || bodies.left == 0 {
            break;
        }
        rest = &rest[rest.len() + 1 - bodies.left.min(rest.len())..];
        bodies = app.engine.load_events(rest, MAX_BYTES).await?;
    }
    Ok(bodies.events.into_iter().map(|stored| (stored.id, stored.event)).collect())
}
