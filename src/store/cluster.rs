//! What the nodes of a cluster ask of the store: leases on outlets, who is alive, hints from other nodes.

use async_trait::async_trait;

use super::{Fence, LeaseRequest, NodeHeartbeat, NodeRow, OutletSnapshot, Relocation, StoreError};
use crate::model::{OutletKey, UnixMs};

/// Used by whatever decides which node owns which outlet. The defaults are those of a store that only one process can use.
#[async_trait]
pub trait ClusterStore: Send + Sync {
    /// Claims an outlet for a node: raises its epoch and sets the lease. Returns what a worker must know to go on: pause, suspension, the ends of
    /// attempts begun since `window_start` (unfinished ones included), and the outlet's open messages with their cells. Attempts that were begun
    /// and never ended (a crash) are ended as `unknown` first; their cells stay `begun`. `None` when another node holds a live lease. One
    /// transaction.
    async fn claim_outlet(&self, request: LeaseRequest) -> Result<Option<OutletSnapshot>, StoreError>;

    /// Renews the leases of all outlets that `node` owns, and returns them. One transaction.
    async fn renew_leases(&self, node: &str, now: UnixMs, lease_until: UnixMs) -> Result<Vec<OutletKey>, StoreError>;

    /// Releases an outlet: another node may claim it at once. Does nothing when `fence` is old. One transaction.
    async fn release_outlet(&self, fence: Fence) -> Result<(), StoreError>;

    /// Moves the lanes, waiting deliveries and open messages of channel `from` to the name and outlet that it has now (`from` may be that name: then its
    /// credentials changed). What waits in a lane of the same key under the new name is put in order with the rest.
    /// What another node holds by a lease stays where it is, because that node may have it in flight. One transaction. Returns how many lanes and open
    /// messages moved.
    async fn relocate(&self, from: &str, to: &Relocation) -> Result<u64, StoreError>;

    /// Records that a node is alive, and returns all live nodes, by name. One transaction.
    async fn node_heartbeat(&self, heartbeat: NodeHeartbeat) -> Result<Vec<NodeRow>, StoreError> {
        Ok(vec![NodeRow { name: heartbeat.node, plan: heartbeat.plan, version: heartbeat.version, outlets: 0 }])
    }

    /// The live nodes, as of their last heartbeats. Read only.
    async fn live_nodes(&self, now: UnixMs) -> Result<Vec<NodeRow>, StoreError> {
        let _ = now;
        Ok(Vec::new())
    }

    /// Removes a node that leaves: it does not count as alive any more. One transaction.
    async fn deregister_node(&self, node: &str) -> Result<(), StoreError> {
        let _ = node;
        Ok(())
    }

    /// Outlets on which another process accepted something, as it happens. These are hints: some may be lost. `None` where no other process can.
    fn subscribe(&self) -> Option<tokio::sync::mpsc::Receiver<OutletKey>> {
        None
    }
}
