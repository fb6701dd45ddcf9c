//! The contract for the SQLite engine, and what only this engine promises: files, modes, locks, full disks, group commit, plans.

mod disk;
mod files;
mod ground;
mod plans;
mod queueing;

use std::sync::Arc;

use tempfile::TempDir;

use super::{SqliteOptions, SqliteStore};
use crate::store::Store;
use crate::store::contract::store_contract;

fn fresh() -> (Arc<dyn Store>, TempDir) {
    let (store, folder) = fresh_with(|_| {});
    (store, folder)
}

async fn fresh_for_contract() -> Option<(Arc<dyn Store>, TempDir)> {
    Some(fresh())
}

fn fresh_with(change: impl FnOnce(&mut SqliteOptions)) -> (Arc<SqliteStore>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SqliteOptions::new(folder.path().join("w.db"));
    change(&mut options);
    (Arc::new(SqliteStore::open(options).unwrap()), folder)
}

mod contract {
    super::store_contract!(crate::store::sqlite::tests::fresh_for_contract);
}
