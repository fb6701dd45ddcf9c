//! Hints to other nodes that something waits on an outlet: `NOTIFY watchfire` with the outlet's key. Nothing depends on them; a node that
//! misses one finds the work when it next looks.
//!
//! They are sent after the commit, not in it: a transaction that notifies holds a lock of the whole database until its commit is on disk, so that
//! commits of all nodes would wait for each other.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::model::OutletKey;
use crate::store::{AcceptedDelivery, State};

/// The channel of the hints.
pub(super) const CHANNEL: &str = "watchfire";
/// The longest payload that PostgreSQL takes is 8,000 bytes; no outlet's key comes near.
const LONGEST: usize = 4_000;

/// The hints to be sent, each once.
pub(super) struct Hints {
    on: bool,
    outlets: Mutex<BTreeSet<OutletKey>>,
    wake: Notify,
}

impl Hints {
    pub(super) fn new(on: bool) -> Self {
        Self { on, outlets: Mutex::default(), wake: Notify::new() }
    }

    /// The outlets on which these wait are to be hinted to others.
    pub(super) fn add(&self, accepted: &[AcceptedDelivery]) {
        if !self.on {
            return;
        }
        let mut outlets = self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        for one in accepted.iter().filter(|d| d.state == State::Waiting && d.outlet.as_str().len() < LONGEST) {
            if !outlets.contains(&one.outlet) {
                outlets.insert(one.outlet.clone());
            }
        }
        drop(outlets);
        self.wake.notify_one();
    }

    /// Waits for hints and takes them.
    pub(super) async fn next(&self) -> BTreeSet<OutletKey> {
        loop {
            let outlets = std::mem::take(&mut *self.outlets.lock().unwrap_or_else(PoisonError::into_inner));
            if !outlets.is_empty() {
                return outlets;
            }
            self.wake.notified().await;
        }
    }
}
