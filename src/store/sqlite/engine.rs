//! The store's traits in SQLite: each method handed to the module that implements it, on the writer's thread or a reader's.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;
use std::sync::PoisonError;

use async_trait::async_trait;
use uuid::Uuid;

use super::super::prepared::{PreparedEvent, PreparedMessage, PreparedOutcome, TextRule, prepare_edit};
use super::queue::Class;
use super::*;
use crate::model::{DeliveryId, EventId, IncidentId, LaneId, MessageId, OutletKey, UnixMs};

#[async_trait]
impl IntakeStore for SqliteStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError> {
        let event = PreparedEvent::new(event, TextRule::Any)?;
        writer::submit(&self.queue, Class::Accept, event.cost(), move |db| accept::accept(db, &event)).await
    }

    fn arriving(&self) -> Arriving {
        Arriving::at(self.queue.clone())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        let found = self.files.ground.look();
        if let Some(write) = self.files.ground.unchecked() {
            self.check_pages(write).await?;
        }
        match found {
            // What is open takes outcomes still; `check_files` reports that nothing new is accepted.
            Ok(()) | Err(StoreError::Unavailable(_)) => self.write(512, admin::check_writable).await,
            Err(broken) => Err(broken),
        }
    }

    fn check_files(&self) -> Result<(), StoreError> {
        self.files.ground.look()
    }
}

#[async_trait]
impl OutletStore for SqliteStore {
    async fn ready_lanes(&self, outlet: &OutletKey, sought: LaneQuery) -> Result<Vec<LaneSummary>, StoreError> {
        let (outlet, except) = (outlet.clone(), sought.except.iter().copied().collect::<HashSet<_>>());
        self.readers.read(move |db| read::ready_lanes(db, &outlet, &sought, &except)).await
    }

    async fn open_messages(&self, outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError> {
        let outlet = outlet.clone();
        self.readers.read(move |db| read::open_messages(db, &outlet)).await
    }

    async fn pending(&self, lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<PendingDelivery>, StoreError> {
        self.readers.read(move |db| read::pending(db, lane, after, limit, bodies, due_by)).await
    }

    async fn pending_of(
        &self,
        lanes: &[(LaneId, i64)],
        limit: usize,
        bodies: usize,
        due_by: UnixMs,
    ) -> Result<Vec<Vec<PendingDelivery>>, StoreError> {
        let lanes = lanes.to_vec();
        self.readers.read(move |db| read::pending_of(db, &lanes, limit, bodies, due_by)).await
    }

    async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError> {
        let ids = ids.to_vec();
        self.readers.read(move |db| read::load_events(db, &ids, bytes)).await
    }

    async fn mark_lanes_started(&self, lanes: &[LaneId]) -> Result<Vec<LaneStarts>, StoreError> {
        let lanes = lanes.to_vec();
        self.write(64 + lanes.len() * 16, move |db| messages::mark_lanes_started(db, &lanes)).await
    }

    async fn clear_lanes_started(&self, started: &[LaneStarts]) -> Result<(), StoreError> {
        let started = started.to_vec();
        self.write(64 + started.len() * 16, move |db| messages::clear_lanes_started(db, &started)).await
    }

    async fn store_message(&self, fence: Fence, message: NewMessage) -> Result<(), StoreError> {
        let message = PreparedMessage::new(message, TextRule::Any)?;
        self.write(message.cost(), move |db| messages::store(db, &fence, &message)).await
    }

    async fn begin_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<(), StoreError> {
        self.write(512 + attempt.recipients.len() * 64, move |db| messages::begin_attempt(db, &fence, &attempt)).await
    }

    async fn record_outcome(&self, outcome: OutcomeBatch) -> Result<RecordedOutcome, StoreError> {
        let outcome = PreparedOutcome::new(outcome, TextRule::Any)?;
        let class = if outcome.outcome.may_wait { Class::Outcome } else { Class::Other };
        writer::submit(&self.queue, class, outcome.cost(), move |db| outcome::record(db, &outcome)).await
    }

    async fn set_outlet_state(&self, fence: Fence, change: OutletUpdate) -> Result<(), StoreError> {
        self.write(512, move |db| lease::set_state(db, &fence, &change)).await
    }

    async fn count_unresolved(&self, lane: LaneId) -> Result<Option<u64>, StoreError> {
        self.readers.read(move |db| read::count_unresolved(db, lane)).await
    }

    async fn lane_history(&self, id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError> {
        self.readers.read(move |db| read::lane_history(db, id, limit)).await
    }

    async fn fallback_targets(&self, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError> {
        self.readers.read(move |db| fallback::fallback_targets(db, lane, lane_seq)).await
    }

    async fn incidents(&self, ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, StoreError> {
        let (ids, channel) = (ids.to_vec(), channel.to_owned());
        self.readers.read(move |db| anchors::with_incidents(db, &ids, &channel)).await
    }

    async fn steps(&self, incidents: &[IncidentId]) -> Result<Vec<StepRow>, StoreError> {
        let incidents = incidents.to_vec();
        self.readers.read(move |db| guard::of(db, &incidents)).await
    }

    async fn dirty_anchors(&self, channels: &[String], now: UnixMs, limit: usize) -> Result<Vec<DirtyAnchor>, StoreError> {
        let channels = channels.to_vec();
        self.readers.read(move |db| anchors::dirty(db, &channels, now, limit)).await
    }

    async fn record_edit(&self, fence: Fence, outcome: EditOutcome) -> Result<(), StoreError> {
        let outcome = prepare_edit(outcome, TextRule::Any);
        self.write(512, move |db| anchors::record_edit(db, &fence, &outcome)).await
    }
}

#[async_trait]
impl ClusterStore for SqliteStore {
    async fn claim_outlet(&self, claim: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError> {
        self.write(512, move |db| lease::claim(db, &claim)).await
    }

    async fn renew_leases(&self, node: &str, _now: UnixMs, lease_until: UnixMs) -> Result<Vec<OutletKey>, StoreError> {
        let node = node.to_owned();
        self.write(512, move |db| lease::renew(db, &node, lease_until)).await
    }

    async fn relocate(&self, from: &str, to: &Relocation) -> Result<u64, StoreError> {
        let (from, to) = (from.to_owned(), to.clone());
        self.write(512, move |db| relocate::relocate(db, &from, &to)).await
    }

    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError> {
        self.write(256, move |db| lease::release(db, &fence)).await
    }
}

#[async_trait]
impl MaintenanceStore for SqliteStore {
    async fn overdue(&self, before: UnixMs) -> Result<Vec<OverdueRow>, StoreError> {
        self.readers.read(move |db| read::overdue(db, before)).await
    }

    async fn fallback_chains(&self, channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, StoreError> {
        let channel = channel.to_owned();
        self.readers.read(move |db| fallback::chains(db, &channel, born_before)).await
    }

    async fn copy_to_fallback(
        &self,
        channel: &str,
        born_before: UnixMs,
        step: FallbackStep,
        reason: &str,
        limit: usize,
        now: UnixMs,
    ) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let (channel, FallbackStep { chain, to }) = (channel.to_owned(), step);
        let found = self.readers.read(move |db| fallback::candidates(db, &channel, born_before, &chain, limit)).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let reason = reason.to_owned();
        self.write(found.len() * 1024, move |db| fallback::copy(db, &found, &to, &reason, now)).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.readers.read(read::stats).await
    }

    async fn purge(&self, retention: Retention, limit: usize) -> Result<u64, StoreError> {
        let found = self.readers.read(move |db| purge::candidates(db, retention, limit)).await?;
        writer::submit(&self.queue, Class::Purge, 512, move |db| purge::purge(db, &found, retention)).await
    }

    async fn list_deferrals(&self, now: UnixMs) -> Result<Vec<Deferral>, StoreError> {
        self.readers.read(move |db| mute::list_deferrals(db, now)).await
    }

    async fn reschedule_deferred(&self, deferral: Deferral, reason: Option<String>, now: UnixMs) -> Result<u64, StoreError> {
        self.write(512, move |db| mute::reschedule(db, &deferral, reason.as_deref(), now)).await
    }

    async fn update_heartbeats(&self, changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError> {
        if !changes.is_empty() {
            self.write(256 * changes.len(), move |db| admin::update_heartbeats(db, &changes)).await?;
        }
        self.readers.read(read::heartbeats).await
    }

    async fn end_stale_incidents(&self, heard_before: UnixMs, now: UnixMs, limit: usize) -> Result<u64, StoreError> {
        self.write(512, move |db| incidents::end_stale(db, heard_before, now, limit)).await
    }

    async fn keep_incidents(&self, groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), StoreError> {
        let groups = groups.to_vec();
        self.write(512, move |db| incidents::keep(db, &groups, heard_before, now)).await
    }

    async fn end_superseded_incidents(&self, now: UnixMs) -> Result<u64, StoreError> {
        let found = self.readers.read(acts::look_for_superseded).await?;
        if found.ending.is_empty() {
            return Ok(0);
        }
        self.write(512, move |db| acts::end_superseded(db, &found, now)).await
    }

    async fn wake_incidents(&self, now: UnixMs, limit: usize) -> Result<Woken, StoreError> {
        self.write(512, move |db| acts::wake(db, now, limit)).await
    }

    async fn change_steps(&self, suspended: &[String], now: UnixMs) -> Result<Vec<ChangedStep>, StoreError> {
        let (read, suspended) = (suspended.to_vec(), suspended.to_vec());
        let found = self.readers.read(move |db| steps::changes(db, &read, now)).await?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        self.write(found.len() * 512, move |db| steps::change(db, steps::changes(db, &suspended, now)?, now)).await
    }

    async fn give_up_edits(&self, ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, StoreError> {
        let channels = channels.to_vec();
        self.write(512, move |db| incidents::give_up_edits(db, ended_before, &channels, now)).await
    }
}

#[async_trait]
impl QueryStore for SqliteStore {
    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| history::list_deliveries(db, &filter)).await
    }

    async fn delivered_elsewhere(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, StoreError> {
        let ids = ids.to_vec();
        self.readers.read(move |db| history::delivered_elsewhere(db, &ids)).await
    }

    async fn last_sent(&self, among: usize) -> Result<Vec<(String, UnixMs)>, StoreError> {
        self.readers.read(move |db| history::last_sent(db, among)).await
    }

    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        self.readers.read(move |db| history::get_delivery(db, id)).await
    }

    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| history::list_events(db, &filter)).await
    }

    async fn get_event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        self.readers.read(move |db| history::get_event(db, id)).await
    }

    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        self.readers.read(move |db| history::get_message(db, id)).await
    }

    async fn list_message_ids(&self, among: Range<MessageId>) -> Result<Vec<MessageId>, StoreError> {
        self.readers.read(move |db| history::list_message_ids(db, &among)).await
    }

    async fn list_incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| incidents::list(db, &filter)).await
    }

    async fn open_incidents(&self) -> Result<Vec<OpenIncident>, StoreError> {
        self.readers.read(incidents::open_ones).await
    }

    async fn count_incidents(&self) -> Result<OpenIncidents, StoreError> {
        self.readers.read(incidents::count_open).await
    }

    async fn urgent_incidents(&self, most: usize) -> Result<Vec<OpenIncident>, StoreError> {
        self.readers.read(move |db| incidents::urgent(db, most)).await
    }

    async fn get_incident(&self, id: IncidentId) -> Result<Option<IncidentDetail>, StoreError> {
        self.readers.read(move |db| incidents::get(db, id)).await
    }

    async fn reach(&self, of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, StoreError> {
        self.readers.read(move |db| history::reach(db, of, before, rows)).await
    }

    async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        let filter = filter.clone();
        self.readers.read(move |db| audit::list(db, &filter)).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        let (files, to) = (self.files.clone(), to.to_owned());
        let copy = tokio::task::spawn_blocking(move || backup::backup(&files, &to)).await;
        copy.unwrap_or_else(|error| Err(StoreError::Unavailable(format!("the backup was not made: {error}"))))
    }

    fn damage_report(&self) -> Option<&str> {
        self.files.found.as_deref()
    }

    async fn close(&self) {
        // The writer last: only a connection that may write moves the log into the file and removes it.
        self.files.ground.end();
        self.readers.close();
        self.activity.close();
        let mut threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        let others = threads.split_off(threads.len().min(1));
        let (files, queue) = (self.files.clone(), self.queue.clone());
        let joined = tokio::task::spawn_blocking(move || {
            let end = |thread: std::thread::JoinHandle<()>| {
                if thread.join().is_err() {
                    tracing::warn!("a thread of the store panicked");
                }
            };
            others.into_iter().for_each(end);
            queue.close();
            threads.into_iter().for_each(end);
            files.release();
        });
        let _ = joined.await;
    }
}
