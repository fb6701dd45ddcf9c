//! What an edited message shows: what its readers were notified of, in its newest state.

use std::collections::{BTreeMap, HashSet};

use crate::delivery::compose::{Draft, Wording};
use crate::delivery::heavy::{LARGE_BODY, LargeBodyPermit};
use crate::delivery::incident::{Notification, NotifiedIncident, answer, mute, shown_state, silence};
use crate::delivery::notified::MessageContext;
use crate::model::{DeliveryId, EventId, LaneId, Page, Status};
use crate::store::{AlertState, Anchor, Fallback, Incident, IncidentState, PendingDelivery, State, StoreError, StoredEvent, Summary, Target};
use crate::template::MessageKind;

use super::EditTask;

/// Events that are read to show an incident: those of its newest alerts.
const MAX_EVENTS: usize = 50;

/// By event, the places of the alerts whose newest state is in it.
type Places = BTreeMap<EventId, Vec<u32>>;

impl EditTask {
    /// The message as it should be now: what its readers were notified of, in its newest state. `None` when nothing of it is stored any more.
    pub(super) async fn page(&self, anchor: &Anchor, incident: &Incident) -> Result<Option<Page>, StoreError> {
        let (mut places, open) = newest_places(anchor, incident);
        let (mut events, permit) = self.read_events(&places, &open).await?;
        if events.is_empty() {
            return Ok(None);
        }
        let goes_on = open.iter().any(|id| events.iter().all(|event| event.id != *id));
        events.sort_by_key(|event| event.id);
        let members: Vec<PendingDelivery> = events.into_iter().map(|event| member(event, &mut places, anchor)).collect();
        let notification = notification(anchor, incident, goes_on);
        let (plan, channel, message, now) = (self.plan.clone(), self.channel.clone(), anchor.message, self.now().timestamp());
        let work = move || {
            let draft = Draft {
                plan: &plan,
                templates: &plan.templates,
                channel: &channel,
                message,
                members: &members,
                kind: if members.len() > 1 { MessageKind::Fold } else { MessageKind::Single },
                now,
                wording: &Wording::default(),
                context: &MessageContext::default(),
                notification: &notification,
            };
            draft.compose().pages.into_iter().next()
        };
        let page = self.shared.heavy.run_blocking(work).await;
        drop(permit);
        Ok(page)
    }

    /// Reads what fits of the newest of these events; of large ones only the first, under a permit.
    async fn read_events(&self, places: &Places, open: &HashSet<EventId>) -> Result<(Vec<StoredEvent>, Option<LargeBodyPermit>), StoreError> {
        // What is not over first: without it the message would say that all is.
        let mut ids: Vec<EventId> = places.keys().rev().copied().collect();
        ids.sort_by_key(|id| !open.contains(id));
        ids.truncate(MAX_EVENTS);
        let bodies = self.shared.store.load_events(&ids, LARGE_BODY).await?;
        if !bodies.events.is_empty() || bodies.left == 0 {
            return Ok((bodies.events, None));
        }
        let permit = self.shared.heavy.large_body().await;
        let events = self.shared.store.load_events(&ids[..1], usize::MAX).await?.events;
        Ok((events, Some(permit)))
    }
}

/// Where the newest state is of each alert that the readers were notified of, and in which of these events one is that is not over.
fn newest_places(anchor: &Anchor, incident: &Incident) -> (Places, HashSet<EventId>) {
    let notified: HashSet<u64> = anchor.notified.iter().map(|one| one.fingerprint).collect();
    let (mut places, mut open) = (Places::new(), HashSet::new());
    for alert in incident.alerts.iter().filter(|alert| notified.contains(&alert.fingerprint)) {
        places.entry(alert.event).or_default().push(alert.index);
        if alert.state != AlertState::Resolved {
            open.insert(alert.event);
        }
    }
    (places, open)
}

/// What the message says of its incident; `goes_on`: something that is not over is not in what was read.
fn notification(anchor: &Anchor, incident: &Incident, goes_on: bool) -> Notification {
    // Of what is stale nobody knows whether it fires, and what goes on elsewhere is not reported here any more.
    let stale = matches!(incident.state, IncidentState::Stale | IncidentState::Closed | IncidentState::Superseded);
    let unknown = |state: AlertState| state == AlertState::Unreported || (stale && state == AlertState::Firing);
    let of = |is: &dyn Fn(AlertState) -> bool| -> HashSet<u64> {
        incident.alerts.iter().filter(|alert| is(alert.state)).map(|alert| alert.fingerprint).collect()
    };
    let shown: HashSet<u64> = anchor.notified.iter().map(|one| one.fingerprint).collect();
    Notification {
        mentions: false,
        edited: true,
        is_edit: true,
        incidents: vec![NotifiedIncident {
            id: incident.id,
            version: incident.version,
            complete: true,
            state: incident.state,
            shown_state: shown_state(incident, &shown),
            left_out: incident.acks.left_out,
            answer: answer(incident, &shown),
            silence: silence(incident),
            mute: mute(incident),
            notified: anchor.notified.clone(),
            acked: Vec::new(),
            fired_at: None,
            first_notified: Some(anchor.notified_at),
        }],
        unreported: of(&unknown),
        resolved: of(&|state: AlertState| state == AlertState::Resolved),
        goes_on,
        ..Notification::default()
    }
}

/// What an event says of the alerts whose newest state is in it, as if it were delivered.
fn member(event: StoredEvent, places: &mut BTreeMap<EventId, Vec<u32>>, anchor: &Anchor) -> PendingDelivery {
    let alerts = places.remove(&event.id).unwrap_or_default();
    let fires = |index: &&u32| event.event.alerts.get(**index as usize).is_some_and(|alert| alert.status == Status::Firing);
    let firing = alerts.iter().filter(fires).count() as u32;
    PendingDelivery {
        id: DeliveryId(uuid::Uuid::nil()),
        event_id: event.id,
        lane: LaneId(0),
        lane_seq: 0,
        channel: anchor.channel.clone(),
        state: State::Waiting,
        rank: 0,
        summary: Summary { title: String::new(), firing, resolved: alerts.len() as u32 - firing },
        target: Target { alerts, ..Target::default() },
        // It is as old as its newest word: an edit is not late.
        born_at: event.received_at,
        due_at: event.received_at,
        tries: 0,
        fallback: Fallback::default(),
        incident: Some(anchor.incident),
        event: Some(event.event),
    }
}
