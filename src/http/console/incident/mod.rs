//! Incidents on pages: what is known of one, its row, and what can be done about it.

pub(super) mod act;
mod alerts;
mod forms;
pub(super) mod page;
mod row;
mod timeline;

pub(super) use row::row;

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::failure::Failure;
use crate::http::App;
use crate::model::{Alert, Event, EventId, Labels, Severity, UnixMs};
use crate::store::{AlertState, Incident, IncidentAlert, IncidentFilter, IncidentState, State};

/// Open incidents that are read.
const MAX_OPEN: usize = 500;
/// Bytes of bodies that are read for one page.
const MAX_BYTES: usize = 4 << 20;

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
    /// Its most severe alert that fires, else its newest, as it was reported.
    pub(super) lead: Option<Alert>,
    /// The next step of its escalations.
    pub(super) next: Option<NextStep>,
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
        self.incident.alerts.iter().filter(|alert| alert.state == AlertState::Firing).count()
    }

    /// Since when its oldest alert that goes on fires, as its sender says; else since when it is known here.
    pub(super) fn since(&self) -> UnixMs {
        self.incident.opened_at
    }
}

/// The open incidents, the newest first; of very many the newest.
pub(super) async fn open(app: &App) -> Result<Vec<Incident>, Failure> {
    let states = vec![IncidentState::Firing, IncidentState::Acked, IncidentState::Snoozed];
    Ok(app.engine.query().list_incidents(&IncidentFilter { states, limit: MAX_OPEN, ..IncidentFilter::default() }).await?)
}

/// The alert that speaks for an incident.
fn lead(incident: &Incident) -> Option<&IncidentAlert> {
    incident.alerts.iter().min_by_key(|alert| (alert.state != AlertState::Firing, alert.rank, std::cmp::Reverse(alert.changed_at)))
}

/// Reads what rows show of these incidents.
pub(super) async fn read(app: &App, incidents: Vec<Incident>) -> Result<Vec<Known>, Failure> {
    let mut ids: Vec<EventId> = incidents.iter().filter_map(|incident| Some(lead(incident)?.event)).collect();
    ids.sort_unstable();
    ids.dedup();
    let events = events(app, &ids).await?;
    let open = |incident: &Incident| incident.state.is_open();
    let steps = try_join_all(incidents.iter().map(async |incident| match open(incident) {
        true => app.engine.steps(incident.id).await,
        false => Ok(Vec::new()),
    }))
    .await?;
    let known = incidents.into_iter().zip(steps).map(|(incident, steps)| {
        let lead = lead(&incident).and_then(|alert| events.get(&alert.event)?.alerts.get(alert.index as usize).cloned());
        let waits = steps.into_iter().filter(|step| matches!(step.state, State::Waiting | State::Deferred));
        let next = waits.min_by_key(|step| step.due_at).map(|step| NextStep { channel: step.channel, at: step.due_at });
        Known { incident, lead, next }
    });
    Ok(known.collect())
}

/// The bodies of events, as far as a page may read them.
async fn events(app: &App, ids: &[EventId]) -> Result<HashMap<EventId, Arc<Event>>, Failure> {
    let bodies = app.engine.load_events(ids, MAX_BYTES).await?;
    Ok(bodies.events.into_iter().map(|stored| (stored.id, stored.event)).collect())
}
