//! The entry point for events: route, store, answer, dispatch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::ingest;
use crate::model::{Event, EventId, Mentions, Note, OutletKey, Recipient, SenderKind, Status, UnixMs, hash_hex};
use crate::store::{
    Accepted, AcceptedDelivery, Dedup, DeliveryIncident, IncidentReport, NewDelivery, NewEvent, PendingDelivery, State, StoreError, StoredEvent,
    group_of, lane_key,
};

use super::engine::Engine;
use super::escalation;
use super::incident::reports;
use super::intake::Intake;
use super::lanes::is_large;
use super::plan::Plan;

/// How long a shared store may take to commit an event.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How the note of a heartbeat's event begins.
const HEARTBEAT_NOTE: &str = "a sign of life";

impl Engine {
    /// Ingests an event: it is committed when this returns. `to` bypasses the routing table and names its channels (the caller leaves unknown names out).
    pub async fn accept(&self, event: Event, to: Option<&[String]>) -> Result<Accepted, StoreError> {
        self.accept_traced(event, to, Extras::default()).await
    }

    /// The same, with mentions of its own.
    pub(super) async fn accept_mentioning(&self, event: Event, to: Option<&[String]>, mentions: Option<Mentions>) -> Result<Accepted, StoreError> {
        self.accept_addressed(event, to, mentions, BTreeMap::new(), None, None).await
    }

    /// The same, on some of these channels to recipients in place of the channel's own, and rendered by a set of templates where the platform has it.
    /// `credential` is whose it came with, where its source does not say so.
    pub async fn accept_addressed(
        &self,
        event: Event,
        to: Option<&[String]>,
        mentions: Option<Mentions>,
        recipients: BTreeMap<String, Vec<Recipient>>,
        template: Option<String>,
        credential: Option<String>,
    ) -> Result<Accepted, StoreError> {
        let mentions = mentions.filter(|mentions| !mentions.is_empty());
        let extras = Extras { mentions, recipients, template, credential, ..Extras::default() };
        self.accept_traced(event, to, extras).await
    }

    /// The same for these channels, with an escalation that begins with it.
    pub(super) async fn accept_escalating(&self, event: Event, to: &[String], escalation: &str) -> Result<Accepted, StoreError> {
        self.accept_traced(event, Some(to), Extras { escalation: Some(escalation.to_owned()), ..Extras::default() }).await
    }

    /// Sends an event again, as [`Engine::accept`] would now, because a person asked for it: a new event that is no duplicate, joins no incident, begins no
    /// escalation and is no sign of life of its sender. Its messages say when it came first; they edit none that were sent before, and fold with none that wait.
    pub async fn replay(&self, stored: &StoredEvent, to: Option<&[String]>) -> Result<Accepted, StoreError> {
        let mut event = (*stored.event).clone();
        event.unknown_to.clear();
        event.trace.clear();
        event.notes.push(Note::Replay(stored.received_at));
        self.accept_traced(event, to, Extras { replay_of: Some(stored.id), ..Extras::default() }).await
    }

    async fn accept_traced(&self, mut event: Event, to: Option<&[String]>, extras: Extras) -> Result<Accepted, StoreError> {
        let span = self.shared.telemetry.traces.intake(&event.trace, event.kind.as_str(), self.shared.clock.wall().into());
        event.trace = span.context(std::mem::take(&mut event.trace));
        let accepted = self.ingest(event, to, extras).await;
        if self.shared.telemetry.traces.on() {
            let result = accepted
                .as_ref()
                .map(|accepted| (accepted.event.to_string(), accepted.deliveries.len(), accepted.duplicate))
                .map_err(ToString::to_string);
            span.end(self.shared.clock.wall().into(), result);
        }
        accepted
    }

    async fn ingest(&self, event: Event, to: Option<&[String]>, extras: Extras) -> Result<Accepted, StoreError> {
        let started = self.shared.clock.instant();
        let plan = self.shared.plan.load_full();
        let now = self.shared.clock.wall();
        if extras.replay_of.is_none() {
            // Whatever happens to the event, its sender is alive.
            self.shared.heartbeats.last_seen.observe(&plan, &event, now);
        }
        // Watchfire's own alerts, too, while the store accepts them: people must see them.
        let own = event.kind == SenderKind::Watchfire;
        if own {
            self.ensure_not_full()?
        } else {
            self.ensure_capacity()?
        }
        if !event.unknown_to.is_empty() {
            self.shared.telemetry.metrics.unknown_channels(event.unknown_to.len() as u64);
        }
        let event = Arc::new(event);
        let id = EventId::new();
        let routed = self.route_event(&event, &plan, now, to, destination(to, &extras.recipients)).await;
        let routed = match extras.replay_of {
            Some(first) => routed.replaying(first, id),
            None => routed,
        };
        let Routed { mut deliveries, mut steps, incidents, dedup, note } = routed;
        extras.change(&mut deliveries, &plan);
        if let Some(name) = &extras.escalation {
            steps = escalation::begin_by_hand(&event, name, &plan, now);
        }
        let pending = |d: &NewDelivery| (d.outlet.clone(), to_pending(d, id, &event));
        let (waiting, later) = (deliveries.iter().map(pending).collect(), steps.iter().map(pending).collect());
        self.count_skipped(&deliveries, &plan);
        let unrouted = deliveries.is_empty() && !note.as_deref().is_some_and(|note| note.starts_with(HEARTBEAT_NOTE));
        let new = NewEvent { id, event: event.clone(), received_at: now, plan: plan.hash.clone(), dedup, note, incidents, deliveries, steps };
        let accepted = self.commit(new).await.inspect_err(|error| {
            if matches!(error, StoreError::Unavailable(_) | StoreError::Unusable(_)) {
                self.shared.health.store_failed(error);
            }
        })?;
        self.shared.telemetry.metrics.ingested_in(started.elapsed());
        if !accepted.duplicate {
            self.count_alerts(&event, unrouted);
            self.dispatch_accepted(waiting, &accepted.deliveries);
            self.dispatch_accepted(later, &accepted.steps);
        }
        if !own {
            // The sender keeps what would not outlive this process.
            self.shared.store.check_files()?;
        }
        log_accepted(&event, &accepted, extras.credential.as_deref());
        Ok(accepted)
    }

    /// Routes an event. A large one leaves the threads that answer.
    async fn route_event(&self, event: &Arc<Event>, plan: &Arc<Plan>, now: UnixMs, to: Option<&[String]>, destination: String) -> Routed {
        let mutes = self.shared.mutes();
        if !is_large(event) {
            return Routed::of(event, &Intake { plan, at: now.timestamp(), mutes: &mutes, to }, &destination);
        }
        let (event, plan, to) = (event.clone(), plan.clone(), to.map(<[String]>::to_vec));
        let route = move || {
            let intake = Intake { plan: &plan, at: now.timestamp(), mutes: &mutes, to: to.as_deref() };
            Routed::of(&event, &intake, &destination)
        };
        self.shared.heavy.run_blocking(route).await
    }

    fn count_skipped(&self, deliveries: &[NewDelivery], plan: &Plan) {
        for skipped in deliveries.iter().filter(|d| d.state == State::Skipped) {
            if let Some(channel) = plan.channel(&skipped.channel) {
                self.shared.telemetry.metrics.delivered(channel.platform.name, &channel.name, State::Skipped.as_str(), 1);
            }
        }
    }

    fn count_alerts(&self, event: &Event, unrouted: bool) {
        let sender = event.kind.as_str();
        let firing = event.alerts.iter().filter(|alert| alert.status == Status::Firing).count();
        let counts = [(Status::Firing, firing), (Status::Resolved, event.alerts.len() - firing)];
        for (status, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
            self.shared.telemetry.metrics.alerts(sender, status.as_str(), n as u64);
        }
        if unrouted {
            self.shared.telemetry.metrics.unrouted(sender);
        }
    }

    /// Refuses new events while the store is full of deliveries that wait, or its files are not where they were.
    pub fn ensure_capacity(&self) -> Result<(), StoreError> {
        self.ensure_not_full()?;
        self.shared.store.check_files()
    }

    pub(super) fn ensure_not_full(&self) -> Result<(), StoreError> {
        if !self.shared.health.is_full() {
            return Ok(());
        }
        let text =
            "the store has reached `retention.max_size` and everything in it still waits to be delivered; raise the cap, or see `watchfire queue ls`";
        Err(StoreError::Unavailable(text.into()))
    }

    /// Commits an event. While the database is down or does not answer, the sender gets an error soon: it repeats, and the dedup key of what may have been
    /// committed anyway keeps the repeat from being delivered twice.
    pub(super) async fn commit(&self, new: NewEvent) -> Result<Accepted, StoreError> {
        if !self.shared.leased() {
            return self.shared.store.accept(new).await;
        }
        if !*self.shared.health.store_ok().borrow() {
            return Err(StoreError::Unavailable("the database is down".into()));
        }
        let silent = || Err(StoreError::Unavailable(format!("the database did not answer within {} s", COMMIT_TIMEOUT.as_secs())));
        tokio::time::timeout(COMMIT_TIMEOUT, self.shared.store.accept(new)).await.unwrap_or_else(|_| silent())
    }

    /// `accepted` are those of `waiting` that were stored, in their order.
    fn dispatch_accepted(&self, waiting: Vec<(OutletKey, PendingDelivery)>, accepted: &[AcceptedDelivery]) {
        let mut waiting = waiting.into_iter();
        let placed = accepted.iter().filter_map(|a| {
            let (_, mut w) = waiting.find(|(_, w)| w.id == a.id)?;
            w.lane = a.lane;
            w.lane_seq = a.lane_seq;
            w.incident = a.incident;
            (!a.state.is_final()).then(|| (a.outlet.clone(), w))
        });
        self.dispatch(placed.collect());
    }
}

/// What an event has that neither its sender nor a route says.
#[derive(Default)]
struct Extras {
    /// Whom its deliveries ping.
    mentions: Option<Mentions>,
    /// By channel, to whom they go in place of the channel's recipients.
    recipients: BTreeMap<String, Vec<Recipient>>,
    /// The set of templates that renders it, on platforms that have it.
    template: Option<String>,
    /// Whose credential it came with, where its source does not say so.
    credential: Option<String>,
    /// The escalation that begins with it.
    escalation: Option<String>,
    /// The event that it sends again.
    replay_of: Option<EventId>,
}

impl Extras {
    /// Has its deliveries be as it says.
    fn change(&self, deliveries: &mut [NewDelivery], plan: &Plan) {
        for delivery in deliveries {
            if let Some(mentions) = &self.mentions {
                mention(delivery, mentions);
            }
            if let Some(recipients) = self.recipients.get(&delivery.channel) {
                address(delivery, recipients);
            }
            let has = |set: &&String| plan.channel(&delivery.channel).is_some_and(|channel| plan.templates.has_set(channel.platform.name, set));
            if let Some(set) = self.template.as_ref().filter(has) {
                delivery.target.template.clone_from(set);
            }
        }
    }
}

/// Has a delivery ping these; its audience has a lane of its own.
fn mention(delivery: &mut NewDelivery, mentions: &Mentions) {
    delivery.target.mentions = Some(mentions.clone());
    delivery.lane_key = lane_key(group_of(&delivery.lane_key), delivery.target.audience());
}

/// Has a delivery go to these; its audience has a lane of its own. Whom its channel mentions would take their place.
fn address(delivery: &mut NewDelivery, recipients: &[Recipient]) {
    (delivery.target.recipients, delivery.target.mentions) = (recipients.to_vec(), None);
    delivery.lane_key = lane_key(group_of(&delivery.lane_key), delivery.target.audience());
}

/// Where an event goes past the routing table; the same body that goes elsewhere is no repeat.
fn destination(to: Option<&[String]>, recipients: &BTreeMap<String, Vec<Recipient>>) -> String {
    let mut text = to.map_or_else(String::new, |names| names.join(","));
    for (channel, people) in recipients {
        let people: Vec<String> = people.iter().map(Recipient::digest).collect();
        text.push_str(&format!(";{channel}={}", people.join(",")));
    }
    text
}

/// Where an event goes.
struct Routed {
    deliveries: Vec<NewDelivery>,
    steps: Vec<NewDelivery>,
    incidents: Vec<IncidentReport>,
    dedup: Option<Dedup>,
    note: Option<String>,
}

impl Routed {
    fn of(event: &Event, intake: &Intake<'_>, destination: &str) -> Self {
        let (plan, to) = (intake.plan, intake.to);
        let mut deliveries = intake.deliveries(event);
        let incidents = reports(event, &mut deliveries, plan);
        let steps = escalation::begin(event, &deliveries, &incidents, plan, intake.at.into());
        let window = plan.senders.dedup_window;
        let dedup = (!window.is_zero()).then(|| Dedup { key: ingest::dedup_key(event, destination), window });
        let note = deliveries.is_empty().then(|| match event.alerts.iter().find_map(|alert| plan.absorbed(&alert.labels)) {
            _ if event.alerts.is_empty() => format!("no alert in the body: {}", event.message),
            Some(heartbeat) if to.is_none() => format!("{HEARTBEAT_NOTE} for the heartbeat `{}`, which is not routed", heartbeat.name),
            _ => "no route of the plan leads to a channel".to_owned(),
        });
        let named = || format!("it names channels that do not exist, or that its sender may not use: {}", event.unknown_to.join(", "));
        let note = note.or_else(|| (!event.unknown_to.is_empty()).then(named));
        Self { deliveries, steps, incidents, dedup, note }
    }

    /// The same for an event that is sent again: each delivery is by itself, in a lane that no other event has.
    fn replaying(self, first: EventId, id: EventId) -> Self {
        let mut deliveries = self.deliveries;
        for delivery in &mut deliveries {
            delivery.incident = DeliveryIncident::None;
            let group = hash_hex(&["replay", &id.to_string(), group_of(&delivery.lane_key)]);
            delivery.lane_key = lane_key(&group, delivery.target.audience());
        }
        let note = self.note.map_or_else(|| format!("replay of {first}"), |note| format!("replay of {first}: {note}"));
        Self { deliveries, steps: Vec::new(), incidents: Vec::new(), dedup: None, note: Some(note) }
    }
}

/// Says what was accepted, and nothing of what its alerts say.
fn log_accepted(event: &Event, accepted: &Accepted, credential: Option<&str>) {
    tracing::info!(
        event = %accepted.event,
        source = event.source,
        credential,
        alerts = event.alerts.len(),
        deliveries = accepted.deliveries.len(),
        duplicate = accepted.duplicate,
        "accepted: it is on disk"
    );
    for delivery in accepted.deliveries.iter().filter(|_| !accepted.duplicate) {
        tracing::debug!(event = %accepted.event, delivery = %delivery.id, channel = delivery.channel, state = delivery.state.as_str(), "routed");
    }
}

/// The delivery as a worker takes it; lane, sequence and incident come with the store's answer.
pub(super) fn to_pending(new: &NewDelivery, event_id: EventId, event: &Arc<Event>) -> PendingDelivery {
    PendingDelivery {
        id: new.id,
        event_id,
        // A large body stays on disk, where what sends it reads it.
        event: (!is_large(event)).then(|| event.clone()),
        lane: crate::model::LaneId(0),
        lane_seq: 0,
        channel: new.channel.clone(),
        target: new.target.clone(),
        state: new.state,
        rank: new.rank,
        summary: new.summary.clone(),
        born_at: new.born_at,
        due_at: new.due_at,
        tries: 0,
        fallback: new.fallback,
        incident: None,
    }
}
