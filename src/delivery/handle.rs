//! How others reach a runner, what it shows of its outlet, and that it goes on whatever happens to it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::model::OutletKey;

use super::engine::{Shared, lock};
use super::fallback::Falling;
use super::runner::{Command, Runner};
use super::supervise::Supervision;

/// What a runner shows of its outlet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutletState {
    /// How long it still pauses, milliseconds.
    pub paused_ms: i64,
    /// Why it is held.
    pub held: Option<String>,
    /// Whether the breaker is open.
    pub breaker_open: bool,
    /// Steps under way.
    pub under_way: usize,
    /// Lanes in memory.
    pub lanes: usize,
    /// Bytes in memory.
    pub weight: usize,
    /// Whether this node owns it.
    pub owned: bool,
    /// When its runner last showed that it runs.
    pub seen_at: Option<Instant>,
    /// Since when nothing keeps it from sending but that it knows of nothing to send.
    pub free_since: Option<Instant>,
}

/// How others reach a runner.
#[derive(Debug)]
pub struct Handle {
    pub(super) commands: mpsc::Sender<Command>,
    /// A command did not fit: look at the store.
    pub(super) dirty: AtomicBool,
    pub(super) kicked: Notify,
    /// Another process accepted something for the outlet: look at the store.
    pub(super) hinted: AtomicBool,
    /// What is stored for the outlet was moved there: start over from the store.
    pub(super) over: AtomicBool,
    /// Channels that moved away, of which something is here: to be brought home when what is under way has ended, and by nobody else before.
    pub(super) leaving: Mutex<BTreeSet<Arc<str>>>,
    pub(super) falling: Falling,
    pub(super) orders: Mutex<Orders>,
    pub(super) state: Mutex<OutletState>,
}

/// What a runner is to do about its outlet on a store that several nodes share.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Orders {
    /// Whether this node is to own it.
    pub wanted: bool,
    /// What the last renewal gave: until when (`None`: another node owns it), and when it was asked for.
    pub lease: Option<(Option<Instant>, Instant)>,
}

impl Handle {
    pub(super) fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.dirty.store(true, Ordering::Release);
            self.kicked.notify_one();
        }
    }

    pub(super) fn orders(&self) -> Orders {
        *lock(&self.orders)
    }

    pub(super) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut lock(&self.orders));
        self.kicked.notify_one();
    }

    /// Something of that channel is here, and the channel has moved away.
    pub(super) fn note_leaving(&self, name: &Arc<str>) {
        lock(&self.leaving).insert(name.clone());
    }

    /// One of the channels to be brought home.
    pub(super) fn next_leaving(&self) -> Option<Arc<str>> {
        lock(&self.leaving).first().cloned()
    }

    pub(super) fn under_way(&self) -> usize {
        lock(&self.state).under_way
    }

    pub(super) fn show(&self, state: OutletState) {
        *lock(&self.state) = state;
    }

    /// Its runner runs.
    pub(super) fn seen(&self, at: Instant) {
        lock(&self.state).seen_at = Some(at);
    }
}

/// A runner, begun anew for as long as the engine runs. What is queued for it stays queued meanwhile; what it had under way is taken up from the store.
pub(super) async fn supervised(
    shared: Arc<Shared>,
    outlet: OutletKey,
    handle: Arc<Handle>,
    queued: mpsc::Receiver<Command>,
    stopped: CancellationToken,
    stop: watch::Receiver<bool>,
) {
    let queued = Arc::new(tokio::sync::Mutex::new(queued));
    let mut supervision = Supervision::of("runner", &shared);
    loop {
        let runner = Runner::new(shared.clone(), outlet.clone(), handle.clone(), queued.clone().lock_owned().await, stop.clone());
        if supervision.run(runner.run(), outlet.as_str(), &stopped).await {
            return;
        }
    }
}
