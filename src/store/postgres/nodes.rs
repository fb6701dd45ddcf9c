//! The nodes that share the database: signs of life, and outlets given up in good order.

use super::error::DbError;
use super::lease::NOW;
use super::rows::get;
use super::tx::Tx;
use crate::model::UnixMs;
use crate::store::rows::StoredRow as _;
use crate::store::{Fence, NodeHeartbeat, NodeRow};

/// A node that has been silent for this long is forgotten, in milliseconds.
const FORGOTTEN: i64 = 3_600_000;

/// [`crate::store::ClusterStore::release_outlet`].
pub(super) async fn release(tx: &Tx, fence: &Fence) -> Result<(), DbError> {
    let sql = "UPDATE outlet SET owner = '', lease_until = 0 WHERE key = $1 AND epoch = $2";
    tx.execute(sql, &[&fence.outlet.as_str(), &fence.epoch]).await?;
    Ok(())
}

/// [`crate::store::ClusterStore::node_heartbeat`].
pub(super) async fn heartbeat(tx: &Tx, beat: &NodeHeartbeat, by_database: bool) -> Result<Vec<NodeRow>, DbError> {
    let sql = format!(
        "INSERT INTO node (name, plan, version, alive_until) VALUES ($3, $4, $5, {NOW} + $6)
         ON CONFLICT (name) DO UPDATE SET plan = $4, version = $5, alive_until = {NOW} + $6"
    );
    let length = beat.alive_until - beat.now;
    tx.execute(&sql, &[&by_database, &beat.now, &beat.node, &beat.plan, &beat.version, &length]).await?;
    tx.execute(&format!("DELETE FROM node WHERE alive_until < {NOW} - $3"), &[&by_database, &beat.now, &FORGOTTEN]).await?;
    alive(tx, beat.now, by_database).await
}

/// [`crate::store::ClusterStore::live_nodes`].
pub(super) async fn alive(tx: &Tx, now: UnixMs, by_database: bool) -> Result<Vec<NodeRow>, DbError> {
    let sql = format!(
        "SELECT name, plan, version, (SELECT count(*) FROM outlet WHERE owner = node.name) FROM node WHERE alive_until > {NOW} ORDER BY name"
    );
    let rows = tx.query(&sql, &[&by_database, &now]).await?;
    rows.iter().map(|row| Ok(NodeRow { name: get(row, 0)?, plan: get(row, 1)?, version: get(row, 2)?, outlets: row.count(3)? })).collect()
}

/// [`crate::store::ClusterStore::deregister_node`].
pub(super) async fn deregister(tx: &Tx, node: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM node WHERE name = $1", &[&node]).await?;
    Ok(())
}
