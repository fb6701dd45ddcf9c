//! What people do and who they are, in SQLite: as [`super::engine`].

use async_trait::async_trait;
use uuid::Uuid;

use super::super::audits::{bounded, shortened};
use super::*;
use crate::model::{DeliveryId, IncidentId, PlatformIds, Recipient, UnixMs};

#[async_trait]
impl OperatorStore for SqliteStore {
    async fn requeue(&self, ids: &[DeliveryId], to: Option<MoveTo>, now: UnixMs) -> Result<Vec<AcceptedDelivery>, StoreError> {
        let ids = ids.to_vec();
        self.write(ids.len() * 1024, move |db| admin::requeue(db, &ids, to.as_ref(), now)).await
    }

    async fn drop_deliveries(&self, ids: &[DeliveryId], reason: &str, now: UnixMs) -> Result<u64, StoreError> {
        let (ids, reason) = (ids.to_vec(), reason.to_owned());
        self.write(ids.len() * 256, move |db| admin::drop_deliveries(db, &ids, &reason, now)).await
    }

    async fn act(&self, act: Act) -> Result<Acted, StoreError> {
        self.write(2048, move |db| acts::act(db, &act)).await
    }

    async fn keep_copy(&self, incident: IncidentId, channel: &str, recipient: &Recipient, copy: &PlatformIds) -> Result<bool, StoreError> {
        let (channel, recipient, copy) = (channel.to_owned(), recipient.clone(), copy.clone());
        self.write(512, move |db| anchors::keep_copy(db, incident, &channel, &recipient, &copy)).await
    }

    async fn list_mutes(&self) -> Result<Vec<Mute>, StoreError> {
        self.readers.read(mute::list).await
    }

    async fn set_mute(&self, mute: Mute, now: UnixMs) -> Result<(), StoreError> {
        self.write(512, move |db| acts::set_mutes(db, vec![&mute], now)).await
    }

    async fn record_audit(&self, row: AuditRow) -> Result<(), StoreError> {
        let row = bounded(row);
        self.write(1024, move |db| audit::record(db, &row)).await
    }

    async fn end_audit(&self, id: Uuid, state: AuditState, outcome: &str) -> Result<(), StoreError> {
        let outcome = shortened(outcome);
        self.write(512, move |db| audit::end(db, id, state, &outcome)).await
    }
}

#[async_trait]
impl SessionStore for SqliteStore {
    async fn open_session(&self, new: Session) -> Result<(), StoreError> {
        self.write(512, move |db| session::open(db, &new)).await
    }

    async fn session(&self, key: [u8; 32]) -> Result<Option<Session>, StoreError> {
        self.readers.read(move |db| session::find(db, key)).await
    }

    async fn touch_session(&self, key: [u8; 32], now: UnixMs) -> Result<(), StoreError> {
        self.write(128, move |db| session::touch(db, key, now)).await
    }

    async fn end_session(&self, key: [u8; 32]) -> Result<bool, StoreError> {
        self.write(128, move |db| session::end(db, key)).await
    }

    async fn list_sessions(&self, now: UnixMs) -> Result<Vec<Session>, StoreError> {
        self.readers.read(move |db| session::list(db, now)).await
    }
}
