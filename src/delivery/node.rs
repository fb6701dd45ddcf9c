//! This process among the nodes that share a store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::lock::lock;

/// This process.
#[derive(Debug)]
pub struct Node {
    /// Its name, unique among all processes that ever used the store.
    pub name: Arc<str>,
    /// How long an outlet's lease lives.
    pub lease: Duration,
    /// Whether leases must be renewed, because several nodes share the store.
    pub leased: bool,
    /// Until when this node is the leader, if it is.
    leader_until: Mutex<Option<Instant>>,
}

impl Node {
    /// A node that is not the leader yet, unless it is alone.
    pub fn new(name: &str, lease: Duration, leased: bool) -> Self {
        Self { name: name.into(), lease, leased, leader_until: Mutex::default() }
    }

    /// Whether this node does what must be done once.
    pub fn is_leader(&self, now: Instant) -> bool {
        !self.leased || lock(&self.leader_until).is_some_and(|until| now < until)
    }

    /// Until when this node is the leader. One that cannot say that it is alive is not: another one is by then, and what this one knows may be stale.
    pub fn set_leader(&self, until: Option<Instant>) {
        *lock(&self.leader_until) = until;
    }
}
