//! A text that names one thing leads to it.

use uuid::Uuid;

use super::super::failure::Failure;
use super::super::viewer::Viewer;
use crate::http::App;
use crate::model::{DeliveryId, EventId, IncidentId};
use crate::store::{DeliveryFilter, EventFilter, EventRow, IncidentFilter};

/// Where the id of a delivery or an event, or the number of an incident (`#1842`) leads, as far as the viewer may see it.
pub(super) async fn leads_to(app: &App, viewer: &Viewer, text: &str) -> Result<Option<String>, Failure> {
    if let Some(number) = text.strip_prefix('#').and_then(|number| number.parse().ok()) {
        return incident(app, viewer, IncidentId(number)).await;
    }
    let Ok(id) = text.parse::<Uuid>() else { return Ok(None) };
    let channels = viewer.caller.channels.clone();
    let (before, after) = (Some(DeliveryId(next(id))), Some(DeliveryId(id)));
    let filter = DeliveryFilter { channels, before, after, limit: 1, ..DeliveryFilter::default() };
    if !app.engine.query().list_deliveries(&filter).await?.is_empty() {
        return Ok(Some(format!("/ui/deliveries/{id}")));
    }
    Ok(event(app, viewer, EventId(id)).await?.map(|row| format!("/ui/history?event={}", row.id)))
}

async fn incident(app: &App, viewer: &Viewer, number: IncidentId) -> Result<Option<String>, Failure> {
    if viewer.caller.is_limited() {
        return Ok(None);
    }
    let filter = IncidentFilter { ids: vec![number], limit: 1, ..IncidentFilter::default() };
    let found = app.engine.query().list_incidents(&filter).await?;
    Ok(found.first().map(|incident| format!("/ui/incidents/{}", incident.id)))
}

/// An event without its body, as far as the viewer may see it.
pub(super) async fn event(app: &App, viewer: &Viewer, id: EventId) -> Result<Option<EventRow>, Failure> {
    let channels = viewer.caller.channels.clone();
    let filter = EventFilter { channels, before: Some(EventId(next(id.0))), after: Some(id), limit: 1, ..EventFilter::default() };
    Ok(app.engine.query().list_events(&filter).await?.pop())
}

/// The id after this one.
fn next(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128().saturating_add(1))
}
