//! Whether this process can do its work: what `/-/ready` answers, and what pauses sending.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::metrics::Metrics;
use crate::store::StoreError;

use super::lock::lock;

/// How long something may be due while its outlet's worker is free to send, and how long a worker may not run.
pub(crate) const STALL_BOUND: Duration = Duration::from_secs(60);

/// The state of the store and of the workers.
pub struct Health {
    store_ok: watch::Sender<bool>,
    full: AtomicBool,
    /// What stalls, and when that was checked.
    stalled: Mutex<(Vec<String>, Option<Instant>)>,
    /// How many deliveries wait for each channel that the configuration no longer has.
    orphaned: Mutex<BTreeMap<String, u64>>,
    metrics: Arc<Metrics>,
}

impl Health {
    /// All is well until something says otherwise.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { store_ok: watch::Sender::new(true), full: AtomicBool::new(false), stalled: Mutex::default(), orphaned: Mutex::default(), metrics }
    }

    /// Whether the store has reached its size cap and holds nothing that may be purged: then nothing new is accepted.
    pub fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            if full {
                tracing::error!(
                    "the store has reached retention.max_size and everything in it still waits: senders get 503 until something is delivered or dropped"
                );
            } else {
                tracing::info!("the store is below retention.max_size again");
            }
        }
    }

    pub fn set_stalled(&self, reasons: Vec<String>, at: Instant) {
        *lock(&self.stalled) = (reasons, Some(at));
    }

    /// Why something that is due is not sent though nothing keeps it from being sent; empty when all is well.
    pub fn stalled(&self, now: Instant) -> Vec<String> {
        let (mut reasons, looked_at) = lock(&self.stalled).clone();
        if looked_at.is_some_and(|at| now.saturating_duration_since(at) > STALL_BOUND) && *self.store_ok.borrow() {
            reasons.push("stalled deliveries are not looked for: the maintenance task does not run".into());
        }
        reasons
    }

    pub fn set_orphaned(&self, orphaned: BTreeMap<String, u64>) {
        *lock(&self.orphaned) = orphaned;
    }

    /// How many deliveries wait for each channel that the configuration no longer has.
    pub fn orphaned(&self) -> BTreeMap<String, u64> {
        lock(&self.orphaned).clone()
    }

    /// Whether outcomes can be stored; changes can be awaited.
    pub fn store_ok(&self) -> watch::Receiver<bool> {
        self.store_ok.subscribe()
    }

    /// The store refused something: counted, logged once, and `/-/ready` fails until a write works again.
    pub fn store_failed(&self, error: &StoreError) {
        self.metrics.store_error();
        if matches!(error, StoreError::Fenced | StoreError::Invalid(_)) {
            tracing::error!(%error, "the store refused a request");
            return;
        }
        if self.store_ok.send_replace(false) {
            tracing::error!(%error, "store unavailable: sending is paused until outcomes can be recorded");
        }
    }

    /// A request failed that is repeated by itself or by who made it. That too many others wait (readers of pages, too), or that it was cancelled because it
    /// took too long, does not say that the store is broken: sending continues. Whether outcomes can be recorded is checked by every tick of maintenance.
    pub fn request_failed(&self, error: &StoreError) {
        if matches!(error, StoreError::Busy | StoreError::Slow(_)) {
            self.metrics.store_error();
            tracing::debug!(%error, "the store is busy; the request is repeated");
        } else {
            self.store_failed(error);
        }
    }

    /// The result of a check of the store: a failed one stops new attempts, a good one lets them continue.
    pub fn store_checked(&self, result: &Result<(), StoreError>) {
        match result {
            Ok(()) if !*self.store_ok.borrow() => self.store_works(),
            Ok(()) => {}
            Err(error) => self.store_failed(error),
        }
    }

    fn store_works(&self) {
        if !self.store_ok.send_replace(true) {
            tracing::info!("the store works again; sending continues");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_store_pauses_no_sending_and_a_broken_one_does() {
        let text = || "why".to_owned();
        // Which request failed says whether being busy matters: what must be recorded stops sending, what is repeated does not.
        for (error, repeated, recorded) in [
            (StoreError::Busy, true, false),
            (StoreError::Slow(text()), true, false),
            (StoreError::Fenced, true, true),
            (StoreError::Invalid(text()), true, true),
            (StoreError::Unavailable(text()), false, false),
            (StoreError::Unusable(text()), false, false),
        ] {
            let health = Health::new(Arc::new(Metrics::default()));
            let ok = health.store_ok();
            health.request_failed(&error);
            assert_eq!(*ok.borrow(), repeated, "{error:?} of a request");
            health.store_checked(&Ok(()));
            health.store_checked(&Err(error.clone()));
            assert_eq!(*ok.borrow(), recorded, "{error:?} of a check");
            health.store_checked(&Ok(()));
            assert!(*ok.borrow(), "it works again");
        }
    }
}
