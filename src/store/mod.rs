//! The store: what must survive. Two engines, SQLite and PostgreSQL, hold to the same traits and the same contract test.
//!
//! [`Store`] is the sum of small traits, one per user: [`IntakeStore`], [`OutletStore`] (an outlet's worker), [`ClusterStore`],
//! [`ReceiptStore`], [`MaintenanceStore`], [`QueryStore`], [`OperatorStore`],
//! [`NoticeStore`], [`OnCallStore`], [`SilenceStore`] and [`SessionStore`]. Times are Unix milliseconds UTC, given by the caller: a store has no clock. Every
//! method documents its transaction, and returns only after what it wrote is synced to disk.

mod acts;
mod audits;
mod bounded_queue;
mod cluster;
#[cfg(test)]
pub(crate) mod contract;
mod copies;
mod incidents;
mod intake;
mod limits;
mod maintenance;
mod notices;
mod oncall;
mod operator;
mod outlet;
mod packed;
mod postgres;
mod prepared;
mod query;
mod receipts;
mod rows;
mod session;
mod silences;
mod sqlite;
mod types;

#[cfg(test)]
pub(crate) use postgres::tests::Place;
pub use postgres::{PostgresOptions, PostgresStore, Progress};
pub use sqlite::{SqliteOptions, SqliteStore};
pub use types::*;

pub use cluster::ClusterStore;
pub use copies::replayed_as;
pub use intake::{Arriving, IntakeStore};
pub use limits::{MAX_RETRY_DELAY_MS, SEVERITY_STEP_MS};
pub use maintenance::MaintenanceStore;
pub use notices::NoticeStore;
pub use oncall::OnCallStore;
pub use operator::OperatorStore;
pub use outlet::OutletStore;
pub use packed::unpack;
pub use query::QueryStore;
pub use receipts::ReceiptStore;
pub use session::SessionStore;
pub use silences::SilenceStore;

use async_trait::async_trait;

/// Everything that outlives the process.
#[async_trait]
pub trait Store:
    IntakeStore
    + OutletStore
    + ClusterStore
    + ReceiptStore
    + MaintenanceStore
    + QueryStore
    + OperatorStore
    + NoticeStore
    + OnCallStore
    + SilenceStore
    + SessionStore
    + 'static
{
    /// Writes a consistent copy to a file while running.
    async fn backup(&self, to: &std::path::Path) -> Result<(), StoreError>;

    /// What was damaged when the store was opened and is lost, in words, to be reported at start.
    fn damage_report(&self) -> Option<&str> {
        None
    }

    /// Finishes what is queued and closes. Later calls fail with [`StoreError::Unavailable`].
    async fn close(&self);
}
