//! The store's traits in PostgreSQL: each method handed to the module that implements it, in one transaction of its own or by a group commit.

use std::path::Path;
use std::sync::PoisonError;

use async_trait::async_trait;
use uuid::Uuid;

use super::super::audits::{bounded, shortened};
use super::super::prepared::{PreparedMessage, PreparedReceipt, TextRule, prepare_edit};
use super::connect::transaction;
use super::queue::Class;
use super::*;
use crate::model::{DeliveryId, EventId, IncidentId, LaneId, MessageId, OutletKey, PlatformIds, Recipient, UnixMs};

/// One transaction of the store, with the caller's error type.
macro_rules! answer {
    ($store:expr, $begin:ident, |$tx:ident| $work:expr) => {
        transaction!(&$store.db, $begin, |$tx| $work).map_err(DbError::into_store_error)
    };
}
pub(super) use answer;

#[async_trait]
impl IntakeStore for PostgresStore {
    async fn accept(&self, event: NewEvent) -> Result<Accepted, StoreError> {
        let event = PreparedEvent::new(event, TextRule::NoNul)?;
        let cost = event.cost();
        let accepted = self.events.submit(Class::Urgent, event, cost).await?;
        if !accepted.duplicate {
            self.hints.add(&accepted.deliveries);
            self.hints.add(&accepted.steps);
        }
        Ok(accepted)
    }

    fn arriving(&self) -> Arriving {
        Arriving::at(self.events.clone())
    }

    async fn check_writable(&self) -> Result<(), StoreError> {
        answer!(self, write, |tx| admin::check_writable(tx))
    }
}

#[async_trait]
impl OutletStore for PostgresStore {
    async fn ready_lanes(&self, outlet: &OutletKey, sought: LaneQuery) -> Result<Vec<LaneSummary>, StoreError> {
        answer!(self, read, |tx| read::ready_lanes(tx, outlet, &sought))
    }

    async fn open_messages(&self, outlet: &OutletKey) -> Result<Vec<MessageId>, StoreError> {
        answer!(self, read, |tx| read::open_messages(tx, outlet))
    }

    async fn pending(&self, lane: LaneId, after: i64, limit: usize, bodies: usize, due_by: UnixMs) -> Result<Vec<PendingDelivery>, StoreError> {
        answer!(self, read, |tx| read::pending(tx, lane, after, limit, bodies, due_by))
    }

    async fn pending_of(
        &self,
        lanes: &[(LaneId, i64)],
        limit: usize,
        bodies: usize,
        due_by: UnixMs,
    ) -> Result<Vec<Vec<PendingDelivery>>, StoreError> {
        answer!(self, read, |tx| read::pending_of(tx, lanes, limit, bodies, due_by))
    }

    async fn load_events(&self, ids: &[EventId], bytes: usize) -> Result<EventBodies, StoreError> {
        answer!(self, read, |tx| read::load_events(tx, ids, bytes))
    }

    async fn mark_lanes_started(&self, lanes: &[LaneId]) -> Result<Vec<LaneStarts>, StoreError> {
        answer!(self, write, |tx| messages::mark_lanes_started(tx, lanes))
    }

    async fn clear_lanes_started(&self, started: &[LaneStarts]) -> Result<(), StoreError> {
        answer!(self, write, |tx| messages::clear_lanes_started(tx, started))
    }

    async fn store_message(&self, fence: Fence, message: NewMessage) -> Result<(), StoreError> {
        let message = PreparedMessage::new(message, TextRule::NoNul)?;
        answer!(self, write, |tx| messages::store(tx, &fence, &message))
    }

    async fn begin_attempt(&self, fence: Fence, attempt: NewAttempt) -> Result<(), StoreError> {
        answer!(self, write, |tx| messages::begin_attempt(tx, &fence, &attempt))
    }

    async fn record_outcome(&self, outcome: OutcomeBatch) -> Result<RecordedOutcome, StoreError> {
        let outcome = PreparedOutcome::new(outcome, TextRule::NoNul)?;
        let (class, cost) = (if outcome.outcome.may_wait { Class::Patient } else { Class::Urgent }, outcome.cost());
        let recorded = self.outcomes.submit(class, outcome, cost).await?;
        self.hints.add(&recorded.children);
        Ok(recorded)
    }

    async fn set_outlet_state(&self, fence: Fence, mut change: OutletUpdate) -> Result<(), StoreError> {
        if let Some(SuspensionChange::Suspend(reason)) = &mut change.suspension {
            TextRule::NoNul.apply(reason);
        }
        answer!(self, write, |tx| lease::set_state(tx, &fence, &change))
    }

    async fn count_unresolved(&self, lane: LaneId) -> Result<Option<u64>, StoreError> {
        answer!(self, read, |tx| read::count_unresolved(tx, lane))
    }

    async fn lane_history(&self, id: DeliveryId, limit: usize) -> Result<LaneHistory, StoreError> {
        answer!(self, read, |tx| read::lane_history(tx, id, limit))
    }

    async fn fallback_targets(&self, lane: LaneId, lane_seq: i64) -> Result<Vec<String>, StoreError> {
        answer!(self, read, |tx| fallback::fallback_targets(tx, lane, lane_seq))
    }

    async fn incidents(&self, ids: &[IncidentId], channel: &str) -> Result<Vec<(Incident, Vec<Anchor>)>, StoreError> {
        answer!(self, read, |tx| anchors::with_incidents(tx, ids, channel))
    }

    async fn steps(&self, incidents: &[IncidentId]) -> Result<Vec<StepRow>, StoreError> {
        answer!(self, read, |tx| guard::of(tx, incidents))
    }

    async fn dirty_anchors(&self, channels: &[String], now: UnixMs, limit: usize) -> Result<Vec<DirtyAnchor>, StoreError> {
        answer!(self, read, |tx| anchors::dirty(tx, channels, now, limit))
    }

    async fn record_edit(&self, fence: Fence, outcome: EditOutcome) -> Result<(), StoreError> {
        let outcome = prepare_edit(outcome, TextRule::NoNul);
        answer!(self, write, |tx| anchors::record_edit(tx, &fence, &outcome))
    }
}

#[async_trait]
impl ClusterStore for PostgresStore {
    async fn claim_outlet(&self, claim: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError> {
        answer!(self, write, |tx| lease::claim(tx, &claim, self.database_clock))
    }

    async fn renew_leases(&self, node: &str, now: UnixMs, lease_until: UnixMs) -> Result<Vec<OutletKey>, StoreError> {
        answer!(self, write, |tx| lease::renew(tx, node, now, lease_until, self.database_clock))
    }

    async fn relocate(&self, from: &str, to: &Relocation) -> Result<u64, StoreError> {
        let mut count = 0;
        loop {
            let moved = answer!(self, write, |tx| relocate::relocate(tx, from, to, self.database_clock))?;
            count += moved.count;
            if !moved.more {
                return Ok(count);
            }
        }
    }

    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError> {
        answer!(self, write, |tx| nodes::release(tx, &fence))
    }

    async fn node_heartbeat(&self, beat: NodeHeartbeat) -> Result<Vec<NodeRow>, StoreError> {
        answer!(self, write, |tx| nodes::heartbeat(tx, &beat, self.database_clock))
    }

    async fn live_nodes(&self, now: UnixMs) -> Result<Vec<NodeRow>, StoreError> {
        answer!(self, read, |tx| nodes::alive(tx, now, self.database_clock))
    }

    async fn deregister_node(&self, node: &str) -> Result<(), StoreError> {
        answer!(self, write, |tx| nodes::deregister(tx, node))
    }

    fn subscribe(&self) -> Option<tokio::sync::mpsc::Receiver<OutletKey>> {
        let (heard, taken) = tokio::sync::mpsc::channel(1024);
        let task = tokio::spawn(listen::listen(self.db.clone(), self.hints.clone(), heard));
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        Some(taken)
    }
}

#[async_trait]
impl ReceiptStore for PostgresStore {
    async fn due_receipts(&self, now: UnixMs, limit: usize) -> Result<Vec<ReceiptRow>, StoreError> {
        answer!(self, read, |tx| receipts::due(tx, now, limit))
    }

    async fn find_receipt(&self, channels: &[String], platform_id: &str) -> Result<Option<ReceiptRow>, StoreError> {
        answer!(self, read, |tx| receipts::find(tx, channels, platform_id))
    }

    async fn receipts_to(&self, recipient: &Recipient, channels: &[String], limit: usize) -> Result<Vec<ReceiptRow>, StoreError> {
        answer!(self, read, |tx| receipts::to(tx, recipient, channels, limit))
    }

    async fn sent_to(
        &self,
        recipient: &Recipient,
        outlet: &OutletKey,
        channels: &[String],
        since: UnixMs,
        limit: usize,
    ) -> Result<Vec<UnixMs>, StoreError> {
        answer!(self, read, |tx| receipts::sent_to(tx, recipient, outlet, channels, since, limit))
    }

    async fn sent_deliveries(&self, message: MessageId) -> Result<Vec<SentDelivery>, StoreError> {
        answer!(self, read, |tx| receipts::sent_deliveries(tx, message))
    }

    async fn update_receipt(&self, update: ReceiptUpdate) -> Result<Option<Vec<AcceptedDelivery>>, StoreError> {
        let update = PreparedReceipt::new(update, TextRule::NoNul)?;
        let made = answer!(self, write, |tx| receipts::update(tx, &update))?;
        self.hints.add(made.as_deref().unwrap_or_default());
        Ok(made)
    }
}

#[async_trait]
impl MaintenanceStore for PostgresStore {
    async fn overdue(&self, before: UnixMs) -> Result<Vec<OverdueRow>, StoreError> {
        answer!(self, read, |tx| read::overdue(tx, before))
    }

    async fn fallback_chains(&self, channel: &str, born_before: UnixMs) -> Result<Vec<Vec<String>>, StoreError> {
        answer!(self, read, |tx| fallback::chains(tx, channel, born_before))
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
        let found = answer!(self, read, |tx| fallback::candidates(tx, channel, born_before, &step.chain, limit))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        answer!(self, write, |tx| fallback::copy(tx, &found, &step.to, reason, now)).inspect(|accepted| self.hints.add(accepted))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        answer!(self, read, |tx| read::stats(tx))
    }

    async fn purge(&self, retention: Retention, limit: usize) -> Result<u64, StoreError> {
        let found = answer!(self, read, |tx| purge::candidates(tx, retention, limit))?;
        answer!(self, write, |tx| purge::purge(tx, &found, retention))
    }

    async fn list_deferrals(&self, now: UnixMs) -> Result<Vec<Deferral>, StoreError> {
        answer!(self, read, |tx| mute::list_deferrals(tx, now))
    }

    async fn reschedule_deferred(&self, deferral: Deferral, reason: Option<String>, now: UnixMs) -> Result<u64, StoreError> {
        answer!(self, write, |tx| mute::reschedule(tx, &deferral, reason.as_deref(), now))
    }

    async fn update_heartbeats(&self, mut changes: Vec<HeartbeatUpdate>) -> Result<Vec<HeartbeatRow>, StoreError> {
        if !changes.is_empty() {
            // Nodes write in one order, so that none waits for another in a circle.
            TextRule::NoNul.apply_all(changes.iter_mut().map(|change| &mut change.name));
            changes.sort_by(|a, b| a.name.cmp(&b.name));
            answer!(self, write, |tx| admin::update_heartbeats(tx, &changes))?;
        }
        answer!(self, read, |tx| read::heartbeats(tx))
    }

    async fn end_stale_incidents(&self, heard_before: UnixMs, now: UnixMs, limit: usize) -> Result<u64, StoreError> {
        answer!(self, write, |tx| incidents::end_stale(tx, heard_before, now, limit))
    }

    async fn keep_incidents(&self, groups: &[String], heard_before: UnixMs, now: UnixMs) -> Result<(), StoreError> {
        answer!(self, write, |tx| incidents::keep(tx, groups, heard_before, now))
    }

    async fn end_superseded_incidents(&self, now: UnixMs) -> Result<u64, StoreError> {
        let found = answer!(self, read, |tx| acts::look_for_superseded(tx))?;
        if found.ending.is_empty() {
            return Ok(0);
        }
        answer!(self, write, |tx| acts::end_superseded(tx, &found, now))
    }

    async fn wake_incidents(&self, now: UnixMs, limit: usize) -> Result<Woken, StoreError> {
        answer!(self, write, |tx| acts::wake(tx, now, limit)).inspect(|woken| self.hints.add(&woken.rings))
    }

    async fn change_steps(&self, suspended: &[String], now: UnixMs) -> Result<Vec<ChangedStep>, StoreError> {
        let found = answer!(self, read, |tx| steps::changes(tx, suspended, now))?;
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let changed = answer!(self, write, |tx| steps::change(tx, &found, now))?;
        self.hints.add(&changed.iter().map(|step| step.delivery.clone()).collect::<Vec<_>>());
        Ok(changed)
    }

    async fn give_up_edits(&self, ended_before: UnixMs, channels: &[String], now: UnixMs) -> Result<u64, StoreError> {
        answer!(self, write, |tx| incidents::give_up_edits(tx, ended_before, channels, now))
    }
}

#[async_trait]
impl OperatorStore for PostgresStore {
    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError> {
        answer!(self, write, |tx| admin::requeue(tx, ids, to.as_ref(), now)).inspect(|accepted| self.hints.add(accepted))
    }

    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, StoreError> {
        let mut reason = reason.to_owned();
        TextRule::NoNul.apply(&mut reason);
        answer!(self, write, |tx| admin::drop_deliveries(tx, ids, &reason, now))
    }

    async fn act(&self, act: Act) -> Result<Acted, StoreError> {
        answer!(self, write, |tx| acts::act(tx, &act)).inspect(|acted| self.hints.add(&acted.rings))
    }

    async fn keep_copy(&self, incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, StoreError> {
        answer!(self, write, |tx| anchors::keep_copy(tx, incident, channel, recipient, copy))
    }

    async fn list_mutes(&self) -> Result<Vec<Mute>, StoreError> {
        answer!(self, read, |tx| mute::list(tx))
    }

    async fn set_mute(&self, mut mute: Mute, now: UnixMs) -> Result<(), StoreError> {
        TextRule::NoNul.apply_all([&mut mute.matchers, &mut mute.reason, &mut mute.by]);
        answer!(self, write, |tx| acts::set_mutes(tx, vec![&mute], now))
    }

    async fn record_audit(&self, row: AuditRow) -> Result<(), StoreError> {
        let row = bounded(row);
        answer!(self, write, |tx| audit::record(tx, &row))
    }

    async fn end_audit(&self, id: Uuid, state: AuditState, outcome: &str) -> Result<(), StoreError> {
        let outcome = shortened(outcome);
        answer!(self, write, |tx| audit::end(tx, id, state, &outcome))
    }
}

#[async_trait]
impl Store for PostgresStore {
    /// Always refused: a copy of a database server is made with its own tools.
    async fn backup(&self, _: &Path) -> Result<(), StoreError> {
        let schema = self.db.schema();
        Err(StoreError::Invalid(format!("this store is in PostgreSQL: make the copy there, for example `pg_dump --schema={schema} --format=custom`")))
    }

    async fn close(&self) {
        self.stop();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if task.await.is_err() {
                tracing::warn!("a task of the store panicked");
            }
        }
        self.db.close();
    }
}
