//! A store whose calls hold the paused clock: the runtime would else take a wait for the store's threads for idleness and move the time on.
//!
//! Its leases are measured by a clock of its own, as a shared database measures them, whatever the nodes' wall clocks do. Nodes that measured them by
//! their own clocks would wait for an hour for the lease of one that hung just when the clock was set back; no configuration does that. It knows
//! the nodes that are alive, too, so that they share the outlets out.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use crate::model::{DeliveryId, EventId, IncidentId, LaneId, MessageId, OutletKey, PlatformIds, Recipient, UnixMs};
use crate::store::*;

pub struct Paused {
    store: Arc<dyn Store>,
    /// What its clock shows at `start` (milliseconds); no wall-clock jump moves it.
    base: UnixMs,
    start: Instant,
    /// The nodes by their last signs of life: a file knows of none, since only one process may have it.
    nodes: Mutex<BTreeMap<String, (UnixMs, NodeRow)>>,
    /// A method that is busy: how many of its next calls pass, and how many then do not.
    busy: Mutex<(String, u32, u32)>,
}

impl Paused {
    pub fn new(store: Arc<dyn Store>, base: UnixMs) -> Self {
        Self { store, base, start: crate::delivery::Clock::runtime(base).instant(), nodes: Mutex::default(), busy: Mutex::default() }
    }

    /// After `passing` calls of a method, so many are answered that the store is busy.
    pub fn make_busy(&self, method: &str, passing: u32, calls: u32) {
        *self.busy.lock().unwrap() = (method.to_owned(), passing, calls);
    }

    fn admit(&self, method: &str) -> Result<(), StoreError> {
        let mut busy = self.busy.lock().unwrap();
        match &mut *busy {
            (name, 0, calls) if name == method && *calls > 0 => {
                *calls -= 1;
                return Err(StoreError::Busy);
            }
            (name, passing, _) if name == method => *passing = passing.saturating_sub(1),
            _ => {}
        }
        Ok(())
    }

    fn now(&self) -> UnixMs {
        self.base + self.start.elapsed()
    }
}

/// What a method answers when the store is busy.
trait Refused {
    fn refused(error: StoreError) -> Self;
}

impl<T> Refused for Result<T, StoreError> {
    fn refused(error: StoreError) -> Self {
        Err(error)
    }
}

impl Refused for () {
    fn refused(_: StoreError) -> Self {}
}

/// While it lives, a blocking task runs, and a paused clock does not move by itself.
pub struct Still {
    _end: std::sync::mpsc::Sender<()>,
}

pub fn still() -> Still {
    let (_end, wait) = std::sync::mpsc::channel::<()>();
    tokio::task::spawn_blocking(move || wait.recv().is_err());
    Still { _end }
}

/// Passes methods on to the store below, while the paused clock is held.
macro_rules! pass_on {
    ($($trait:ident { $($name:ident($($arg:ident: $kind:ty),*) -> $out:ty;)+ })+) => {
        $(#[async_trait]
        impl $trait for Paused {
            $(async fn $name(&self, $($arg: $kind),*) -> $out {
                let _still = still();
                if let Err(busy) = self.admit(stringify!($name)) {
                    return Refused::refused(busy);
                }
                self.store.$name($($arg),*).await
            })+
        })+
    };
}

pass_on! {
    IntakeStore {
        accept(event: NewEvent) -> Result<Accepted, StoreError>;
        check_writable() -> Result<(), StoreError>;
    }
    OutletStore {
        ready_lanes(outlet: &OutletKey, sought: LaneQuery) -> Result<Vec<LaneSummary>, StoreError>;
        open_messages(outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError>;
        pending(lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<PendingDelivery>, StoreError>;
        pending_of(lanes: &[(LaneId, i64)], limit: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<Vec<PendingDelivery>>, StoreError>;
        mark_lanes_started(lanes: &[LaneId]) -> Result<Vec<LaneStarts>, StoreError>;
        clear_lanes_started(started: &[LaneStarts]) -> Result<(), StoreError>;
        load_events(ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError>;
        store_message(fence: Fence, message: NewMessage) -> Result<(), StoreError>;
        begin_attempt(fence: Fence, attempt: NewAttempt) -> Result<(), StoreError>;
        record_outcome(settlement: OutcomeBatch) -> Result<RecordedOutcome, StoreError>;
        set_outlet_state(fence: Fence, change: OutletUpdate) -> Result<(), StoreError>;
        count_unresolved(lane: LaneId) -> Result<Option<u64>, StoreError>;
        lane_history(id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError>;
        fallback_targets(lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError>;
        incidents(ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, StoreError>;
        steps(incidents: &[IncidentId]) -> Result<Vec<StepRow>, StoreError>;
        dirty_anchors(channels: &[String], now: UnixMs, limit: usize) -> Result<Vec<DirtyAnchor>, StoreError>;
        record_edit(fence: Fence, outcome: EditOutcome) -> Result<(), StoreError>;
    }
    ReceiptStore {
        due_receipts(now: UnixMs, limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;
        find_receipt(channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, StoreError>;
        receipts_to(recipient: &Recipient, channels: &[String], limit: usize) -> Result<Vec<ReceiptRow>, StoreError>;
        sent_to(recipient: &Recipient, outlet: &OutletKey, channels: &[String], since: UnixMs, limit: usize) -> Result<Vec<UnixMs>, StoreError>;
        sent_deliveries(message: MessageId) -> Result<Vec<SentDelivery>, StoreError>;
        update_receipt(heard: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError>;
    }
    MaintenanceStore {
        overdue(before: UnixMs) -> Result<Vec<OverdueRow>, StoreError>;
        fallback_chains(channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, StoreError>;
        copy_to_fallback(channel: &str, born_before: UnixMs, step: FallbackStep, reason: &str, limit: usize, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError>;
        stats() -> Result<Stats, StoreError>;
        purge(retention: Retention, limit: usize) -> Result<u64, StoreError>;
        list_deferrals(now: UnixMs) -> Result<Vec<Deferral>, StoreError>;
        reschedule_deferred(deferral: Deferral, reason: Option<String>, now: UnixMs) -> Result<u64, StoreError>;
        update_heartbeats(changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError>;
        end_stale_incidents(heard_before: UnixMs, now: UnixMs, limit: usize) -> Result<u64, StoreError>;
        keep_incidents(groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), StoreError>;
        end_superseded_incidents(now: UnixMs) -> Result<u64, StoreError>;
        wake_incidents(now: UnixMs, limit: usize) -> Result<Woken, StoreError>;
        change_steps(suspended: &[String], now: UnixMs) -> Result<Vec<ChangedStep>, StoreError>;
        give_up_edits(ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, StoreError>;
    }
    QueryStore {
        list_deliveries(filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError>;
        delivered_elsewhere(ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, StoreError>;
        last_sent(among: usize) -> Result<Vec<(String, UnixMs)>, StoreError>;
        get_delivery(id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;
        list_events(filter: &EventFilter) -> Result<Vec<EventRow>, StoreError>;
        get_event(id: EventId) -> Result<Option<EventDetail>, StoreError>;
        get_message(id: MessageId) -> Result<Option<StoredMessage>, StoreError>;
        list_message_ids(among: Range<MessageId>) -> Result<Vec<MessageId>, StoreError>;
        list_incidents(filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError>;
        open_incidents() -> Result<Vec<OpenIncident>, StoreError>;
        count_incidents() -> Result<OpenIncidents, StoreError>;
        urgent_incidents(most: usize) -> Result<Vec<OpenIncident>, StoreError>;
        get_incident(id: IncidentId) -> Result<Option<IncidentDetail>, StoreError>;
        reach(of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, StoreError>;
        list_audit(filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError>;
    }
    OperatorStore {
        requeue(ids: &[DeliveryId], to: Option<MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError>;
        drop_deliveries(ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, StoreError>;
        act(act: Act) -> Result<Acted, StoreError>;
        keep_copy(incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, StoreError>;
        list_mutes() -> Result<Vec<Mute>, StoreError>;
        set_mute(mute: Mute, now: UnixMs) -> Result<(), StoreError>;
        record_audit(row: AuditRow) -> Result<(), StoreError>;
        end_audit(id: Uuid, state: AuditState, outcome: &str) -> Result<(), StoreError>;
    }
    NoticeStore {
        count_held() -> Result<Vec<HeldRow>, StoreError>;
        update_mute_rows(changes: Vec<MuteRow>, gone: Vec<String>) -> Result<Vec<MuteRow>, StoreError>;
        note_held(held: Vec<(String, [u32; 4])>, now: UnixMs) -> Result<(), StoreError>;
    }
    OnCallStore {
        list_overrides() -> Result<Vec<Override>, StoreError>;
        add_override(new: Override, now: UnixMs) -> Result<Override, StoreError>;
        end_override(id: i64, now: UnixMs) -> Result<bool, StoreError>;
        update_rotas(changes: Vec<RotaRow>) -> Result<Vec<RotaRow>, StoreError>;
    }
    SilenceStore {
        take_silences(now: UnixMs, until: UnixMs, limit: usize) -> Result<Vec<Silence>, StoreError>;
        record_silence(outcome: SilenceOutcome) -> Result<Vec<AcceptedDelivery>, StoreError>;
    }
    SessionStore {
        open_session(session: Session) -> Result<(), StoreError>;
        session(key: [u8; 32]) -> Result<Option<Session>, StoreError>;
        touch_session(key: [u8; 32], now: UnixMs) -> Result<(), StoreError>;
        end_session(key: [u8; 32]) -> Result<bool, StoreError>;
        list_sessions(now: UnixMs) -> Result<Vec<Session>, StoreError>;
    }
    Store {
        backup(to: &Path) -> Result<(), StoreError>;
        close() -> ();
    }
}

#[async_trait]
impl ClusterStore for Paused {
    async fn claim_outlet(&self, claim: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError> {
        let _still = still();
        let now = self.now();
        self.store.claim_outlet(LeaseRequest { now, lease_until: now + (claim.lease_until - claim.now), ..claim }).await
    }

    async fn renew_leases(&self, node: &str, now: UnixMs, lease_until: UnixMs) -> Result<Vec<OutletKey>, StoreError> {
        let _still = still();
        self.store.renew_leases(node, self.now(), self.now() + (lease_until - now)).await
    }

    async fn relocate(&self, from: &str, to: &Relocation) -> Result<u64, StoreError> {
        let _still = still();
        let now = if to.now == UnixMs::MAX { to.now } else { self.now() };
        self.store.relocate(from, &Relocation { now, ..to.clone() }).await
    }

    async fn node_heartbeat(&self, beat: NodeHeartbeat) -> Result<Vec<NodeRow>, StoreError> {
        let row = NodeRow { name: beat.node.clone(), plan: beat.plan, version: beat.version, outlets: 0 };
        self.nodes.lock().unwrap().insert(beat.node, (self.now() + (beat.alive_until - beat.now), row));
        self.live_nodes(UnixMs::EPOCH).await
    }

    async fn live_nodes(&self, _now: UnixMs) -> Result<Vec<NodeRow>, StoreError> {
        let now = self.now();
        Ok(self.nodes.lock().unwrap().values().filter(|(until, _)| *until > now).map(|(_, row)| row.clone()).collect())
    }

    async fn deregister_node(&self, node: &str) -> Result<(), StoreError> {
        self.nodes.lock().unwrap().remove(node);
        Ok(())
    }

    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError> {
        let _still = still();
        self.store.release_outlet(fence).await
    }
}
