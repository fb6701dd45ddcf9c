//! Small builders for the contract: times, outlets, deliveries, events, messages, settlements.

use std::sync::Arc;

use crate::model::{
    Alert, AttemptId, DeliveryId, Event, EventId, IncidentId, LaneId, MessageId, MessageKind, OutletKey, Page, PlatformIds, Recipient, UnixMs, Verb,
};
use crate::store::*;

/// A moment, Unix milliseconds.
pub const T0: UnixMs = UnixMs(1_764_000_000_000);
/// A minute.
pub const MIN: i64 = 60_000;
/// The key of the lane when it does not matter.
pub const LANE: &str = "lane";
/// The store under test.
pub type S = Arc<dyn Store>;

/// The outlet that channel `ops` belongs to.
pub fn outlet() -> OutletKey {
    OutletKey::from_stored("log:1")
}

/// A delivery that waits in a lane of `channel`.
pub fn delivery(channel: &str, lane: &str) -> NewDelivery {
    NewDelivery {
        id: DeliveryId::new(),
        channel: channel.into(),
        outlet: outlet(),
        lane_key: lane.into(),
        target: Target { template: "default".into(), alerts: vec![0], ..Target::default() },
        mode: Mode::Queued,
        state: State::Waiting,
        rank: 2,
        summary: Summary { title: "Disk full".into(), firing: 1, resolved: 0 },
        born_at: T0,
        due_at: T0,
        fallback: Fallback::default(),
        reason: None,
        report: None,
        incident: DeliveryIncident::None,
    }
}

/// An event that carries these deliveries.
pub fn event(deliveries: Vec<NewDelivery>) -> NewEvent {
    let alert = Alert { labels: [("alertname".to_owned(), "DiskFull".to_owned())].into(), fingerprint: "f1".into(), ..Alert::default() };
    NewEvent {
        id: EventId::new(),
        event: Arc::new(Event { source: "alertmanager:a".into(), group_key: "{}:{x}".into(), alerts: vec![alert], ..Event::default() }),
        received_at: T0,
        plan: "plan-1".into(),
        dedup: None,
        note: None,
        incidents: Vec::new(),
        deliveries,
        steps: Vec::new(),
    }
}

/// Accepts one event with one delivery, in lane `key` of `ops`.
pub async fn put(store: &S, key: &str) -> AcceptedDelivery {
    put_one(store, delivery("ops", key)).await
}

/// Accepts one event with this delivery.
pub async fn put_one(store: &S, delivery: NewDelivery) -> AcceptedDelivery {
    store.accept(event(vec![delivery])).await.unwrap().deliveries.remove(0)
}

/// Claims the outlet for `node`.
pub fn claim(node: &str, now: UnixMs) -> LeaseRequest {
    LeaseRequest { outlet: outlet(), node: node.into(), now, lease_until: now + 8_000, window_start: now - MIN }
}

/// Claims the outlet for node `n1` and returns the fence.
pub async fn fence(store: &S) -> Fence {
    let owned = store.claim_outlet(claim("n1", T0)).await.unwrap().expect("nobody else owns it");
    Fence { outlet: outlet(), epoch: owned.epoch }
}

/// A cell of page 0.
pub fn cell(recipient: &str, state: CellState) -> Cell {
    Cell { page: 0, recipient: Recipient::new(recipient), state, tries: 0, unanswered: 0, due_at: T0, ids: PlatformIds::default(), code: None }
}

/// What a delivery says whose one alert is over.
pub fn over() -> Summary {
    Summary { title: "Disk full".into(), firing: 0, resolved: 1 }
}

/// A message of `ops` with one page and one cell.
pub fn message(members: &[DeliveryId]) -> NewMessage {
    NewMessage {
        id: MessageId::new(),
        channel: "ops".into(),
        platform: "log",
        kind: if members.len() > 1 { MessageKind::Fold } else { MessageKind::Single },
        template: "default".into(),
        generation: 0,
        formed_at: T0,
        pages: Arc::new(vec![Page { number: 1, total: 1, fields: [("text".to_owned(), "hello".to_owned())].into(), ..Page::default() }]),
        cells: vec![cell("room", CellState::Open)],
        members: members.to_vec(),
    }
}

/// An attempt at page 0 that ended.
pub fn ended(kind: &str, at: UnixMs) -> FinishedAttempt {
    FinishedAttempt {
        id: AttemptId::new(),
        page: 0,
        node: "n1".into(),
        begun_at: at,
        ended_at: at + 5,
        kind: AttemptKind::parse(kind),
        counted: true,
        code: Some("0".into()),
        answer: Some("{}".into()),
    }
}

/// What becomes of a delivery.
pub fn change(delivery: &AcceptedDelivery, state: State) -> DeliveryUpdate {
    DeliveryUpdate { id: delivery.id, lane: delivery.lane, state, tries: 1, due_at: T0, reason: None, leave_message: false }
}

/// Why something is overtaken.
pub fn refused(answer: Result<(), StoreError>) -> String {
    match answer {
        Err(StoreError::Overtaken(why)) => why,
        other => panic!("{other:?}"),
    }
}

pub fn press(verb: Verb, event: &str, on: IncidentId, now: UnixMs) -> Act {
    Act {
        press: PressKey { platform: "api".into(), event_id: event.into() },
        verb,
        until: (verb == Verb::Snooze).then(|| now + 30 * MIN),
        labels: Default::default(),
        mutes: Default::default(),
        by: Actor { id: "person:ann".into(), name: "ann".into(), via: "API".into() },
        on: vec![ActOn { incident: on, shown: None }],
        rules: AckRules { remind_after: 120 * MIN, expires_after: 480 * MIN, repeat: 60 * MIN },
        now,
    }
}

/// A settlement of nothing yet.
pub fn settlement(fence: &Fence) -> OutcomeBatch {
    OutcomeBatch::new(fence.clone(), T0)
}

/// A settlement of a stored message.
pub fn of_message(fence: &Fence, id: MessageId, done: bool) -> OutcomeBatch {
    OutcomeBatch { message: Some(MessageOutcome { id, store: None, done, receipts: Vec::new() }), ..settlement(fence) }
}

/// A settlement that also stores its message, as the hot path does.
pub fn with_message(fence: &Fence, message: NewMessage, done: bool) -> OutcomeBatch {
    OutcomeBatch { message: Some(MessageOutcome { id: message.id, store: Some(message), done, receipts: Vec::new() }), ..settlement(fence) }
}

/// Sends what was accepted, in one message, by the hot path.
pub async fn deliver(store: &S, fence: &Fence, deliveries: &[&AcceptedDelivery], now: UnixMs) -> MessageId {
    let ids: Vec<DeliveryId> = deliveries.iter().map(|d| d.id).collect();
    let sent = Cell { tries: 1, ids: PlatformIds::one("ts", "p1".to_owned()), code: Some("0".into()), ..cell("room", CellState::Ok) };
    let message = NewMessage { formed_at: now, cells: vec![sent], ..message(&ids) };
    let id = message.id;
    let mut s = OutcomeBatch { now, attempt: Some(ended("ok", now)), ..with_message(fence, message, true) };
    s.deliveries = deliveries.iter().map(|d| change(d, State::Sent)).collect();
    store.record_outcome(s).await.unwrap();
    id
}

/// Ends a delivery as dead, without a message.
pub async fn kill(store: &S, fence: &Fence, delivery: &AcceptedDelivery, now: UnixMs) {
    let dead = DeliveryUpdate { reason: Some("refused".into()), ..change(delivery, State::Dead) };
    store.record_outcome(OutcomeBatch { deliveries: vec![dead], now, ..settlement(fence) }).await.unwrap();
}

/// The lanes of the outlet that are ready.
pub async fn ready(store: &S) -> Vec<LaneSummary> {
    store.ready_lanes(&outlet(), LaneQuery::any(1000)).await.unwrap()
}

/// One lane that must be ready.
pub async fn head(store: &S, lane: LaneId) -> LaneSummary {
    ready(store).await.into_iter().find(|head| head.id == lane).expect("the lane is ready")
}

/// A delivery's row.
pub async fn row(store: &S, id: DeliveryId) -> DeliveryRow {
    store.get_delivery(id).await.unwrap().expect("it is there").row
}

/// Places and states of what is open in a lane.
pub async fn places(store: &S, lane: LaneId) -> Vec<(i64, DeliveryId)> {
    store.pending(lane, 0, 1000, 0, UnixMs::MAX).await.unwrap().into_iter().map(|w| (w.lane_seq, w.id)).collect()
}

/// Where the deliveries of a channel belong now, moved by node `n1`.
pub fn to_channel(channel: &str, outlet: &OutletKey) -> Relocation {
    Relocation { channel: channel.into(), outlet: outlet.clone(), node: "n1".into(), now: T0 }
}

/// What an event says of the incident `key`: the whole of its group, alerts by number, each with whether it fires.
pub fn report(key: &str, alerts: &[(u64, bool)]) -> IncidentReport {
    let reported = |(index, &(fingerprint, fires)): (usize, &(u64, bool))| ReportedAlert {
        fingerprint,
        start: Some(T0 - MIN),
        fires,
        rank: 1,
        index: index as u32,
    };
    IncidentReport {
        source: "alertmanager:a".into(),
        group_key: format!("{{}}:{{{key}}}"),
        title: format!("Disk full on {key}"),
        reopen_within: 10 * MIN,
        closed_for: 9 * 3_600_000,
        ..IncidentReport::of_group(key, alerts.iter().enumerate().map(reported).collect())
    }
}

/// An event that arrives `now` with this report, and a delivery of `ops` in the lane of its key that belongs to the report's incident.
pub fn reporting(report: IncidentReport, now: UnixMs) -> NewEvent {
    let belongs = NewDelivery { incident: DeliveryIncident::Reported(0), ..delivery("ops", &report.key) };
    NewEvent { received_at: now, incidents: vec![report], ..event(vec![belongs]) }
}

/// Accepts such an event.
pub async fn put_report(store: &S, report: IncidentReport, now: UnixMs) -> AcceptedDelivery {
    store.accept(reporting(report, now)).await.unwrap().deliveries.remove(0)
}

/// An incident with all that is known about it.
pub async fn incident(store: &S, id: IncidentId) -> IncidentDetail {
    store.get_incident(id).await.unwrap().expect("the incident is there")
}

/// What a message in `room` of `ops` that shows `shown` changes of an anchor that is edited.
pub fn anchored(incident: IncidentId, shown: i64) -> AnchorUpdate {
    AnchorUpdate {
        incident,
        channel: "ops".into(),
        recipient: Recipient::new("room"),
        message: MessageId::new(),
        ids: Some(PlatformIds::one("ts", format!("v{shown}"))),
        notified: vec![NotifiedAlert { fingerprint: 1, rank: 1, version: shown, over: false }],
        shown: Some(shown),
        edited: true,
        rang: Some(shown),
    }
}

/// Text that takes about so many bytes wherever it is stored: it can hardly be packed.
pub fn noise(bytes: usize) -> String {
    // Of 57 characters each holds less than six bits of its eight.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'#' + (state >> 33) as u8 % 57)
    };
    std::iter::repeat_with(next).take(bytes * 7 / 5).collect()
}
