//! What people ask of the store: history. Read only.

use std::collections::HashSet;
use std::ops::Range;

use async_trait::async_trait;
use uuid::Uuid;

use super::{
    AuditFilter, AuditRow, DeliveryDetail, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow, Incident, IncidentDetail, IncidentFilter,
    Listed, OpenIncident, OpenIncidents, StoreError, StoredMessage,
};
use crate::model::{DeliveryId, EventId, IncidentId, MessageId, UnixMs};

/// Used by the API, the CLI and the pages.
#[async_trait]
pub trait QueryStore: Send + Sync {
    /// A page of deliveries, newest first, by filter; the cursor is the last id of the previous page. Read only.
    async fn list_deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, StoreError>;

    /// Of these deliveries, those whose alerts were delivered in their place: by a fallback, or its fallback, or a replay of one of them. Read only.
    async fn delivered_elsewhere(&self, ids: &[DeliveryId]) -> Result<HashSet<DeliveryId>, StoreError>;

    /// When each channel's last message was confirmed, among the deliveries that ended last, at most so many of them. Read only.
    async fn last_sent(&self, among: usize) -> Result<Vec<(String, UnixMs)>, StoreError>;

    /// One delivery with its event, message, cells and attempts. Read only.
    async fn get_delivery(&self, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError>;

    /// A page of events, newest first, by filter. Read only.
    async fn list_events(&self, filter: &EventFilter) -> Result<Vec<EventRow>, StoreError>;

    /// One event with its deliveries. Read only.
    async fn get_event(&self, id: EventId) -> Result<Option<EventDetail>, StoreError>;

    /// One message with its pages. Read only.
    async fn get_message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError>;

    /// The ids of the messages in a range of ids, oldest first: a second's, where the ids are UUIDv7. Read only.
    async fn list_message_ids(&self, among: Range<MessageId>) -> Result<Vec<MessageId>, StoreError>;

    /// A page of incidents, newest first, by filter; those that ended since a time by their end, the last first. Read only.
    async fn list_incidents(&self, filter: &IncidentFilter) -> Result<Vec<Incident>, StoreError>;

    /// Every open incident without its alerts, oldest first. Read only.
    async fn open_incidents(&self) -> Result<Vec<OpenIncident>, StoreError>;

    /// How many incidents are open, and the newest of them. Reads their index only.
    async fn count_incidents(&self) -> Result<OpenIncidents, StoreError>;

    /// The open incidents in which somebody is needed most, at most so many: where nobody is on it, by severity, and the oldest first. Reads so many of each
    /// open state, of however many. Read only.
    async fn urgent_incidents(&self, most: usize) -> Result<Vec<OpenIncident>, StoreError>;

    /// One incident with its anchors, its timeline and its deliveries. Read only.
    async fn get_incident(&self, id: IncidentId) -> Result<Option<IncidentDetail>, StoreError>;

    /// How far back so many rows reach: the id of the last of those that come before `before`, or that are the newest. `None` where there are not so many.
    /// A search that goes no further reads no more rows, however rare what it looks for is. Reads so many ids of the primary key, in their order. Read only.
    async fn reach(&self, of: Listed, before: Option<Uuid>, rows: usize) -> Result<Option<Uuid>, StoreError>;

    /// A page of what people did by hand, newest first; the cursor is the last id of the previous page. Read only.
    async fn list_audit(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, StoreError>;
}
