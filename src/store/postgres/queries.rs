//! What people ask of the store in PostgreSQL: each method handed to the module that implements it, in one transaction that reads.

use std::collections::HashSet;
use std::ops::Range;

use async_trait::async_trait;
use uuid::Uuid;

use super::connect::transaction;
use super::engine::answer;
use super::*;
use crate::model::{DeliveryId, EventId, IncidentId, MessageId, UnixMs};

#[async_trait]
impl QueryStore for PostgresStore {
    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError> {
        answer!(self, read, |tx| history::list_deliveries(tx, filter))
    }

    async fn delivered_elsewhere(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, StoreError> {
        answer!(self, read, |tx| history::delivered_elsewhere(tx, ids))
    }

    async fn last_sent(&self, among: usize) -> Result<Vec<(String, UnixMs)>, StoreError> {
        answer!(self, read, |tx| history::last_sent(tx, among))
    }

    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
        answer!(self, read, |tx| history::get_delivery(tx, id))
    }

    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError> {
        answer!(self, read, |tx| history::list_events(tx, filter))
    }

    async fn get_event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError> {
        answer!(self, read, |tx| history::get_event(tx, id))
    }

    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        answer!(self, read, |tx| history::get_message(tx, id))
    }

    async fn list_message_ids(&self, among: Range<MessageId>) -> Result<Vec<MessageId>, StoreError> {
        answer!(self, read, |tx| history::list_message_ids(tx, &among))
    }

    async fn list_incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError> {
        answer!(self, read, |tx| incidents::list(tx, filter))
    }

    async fn open_incidents(&self) -> Result<Vec<OpenIncident>, StoreError> {
        answer!(self, read, |tx| incidents::open_ones(tx))
    }

    async fn count_incidents(&self) -> Result<OpenIncidents, StoreError> {
        answer!(self, read, |tx| incidents::count_open(tx))
    }

    async fn urgent_incidents(&self, most: usize) -> Result<Vec<OpenIncident>, StoreError> {
        answer!(self, read, |tx| incidents::urgent(tx, most))
    }

    async fn get_incident(&self, id: IncidentId) -> Result<Option<IncidentDetail>, StoreError> {
        answer!(self, read, |tx| incidents::find(tx, id))
    }

    async fn reach(&self, of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, StoreError> {
        answer!(self, read, |tx| history::reach(tx, of, before, rows))
    }

    async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError> {
        answer!(self, read, |tx| audit::list(tx, filter))
    }
}
