//! What the store counts, kept for a moment where counting takes long: a million groups that wait take half a second, and a page must not.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{Stats, StoreError};

use super::core::Shared;
use super::lock::lock;

/// What is counted faster than this is counted each time.
const SLOW: Duration = Duration::from_millis(50);
/// A slow count is good for so long; the maintenance tick counts more often, so pages never wait for one.
const KEPT: Duration = Duration::from_secs(10);

struct Counted {
    stats: Arc<Stats>,
    at: Instant,
    took: Duration,
}

/// The last count.
#[derive(Default)]
pub(super) struct Counts(Mutex<Option<Counted>>);

impl Counts {
    /// The last one, when it took long and is recent.
    fn recent(&self, now: Instant) -> Option<Arc<Stats>> {
        let last = lock(&self.0);
        last.as_ref().filter(|last| last.took > SLOW && now.saturating_duration_since(last.at) < KEPT).map(|last| last.stats.clone())
    }

    fn keep(&self, stats: &Arc<Stats>, began: Instant, ended: Instant) {
        *lock(&self.0) = Some(Counted { stats: stats.clone(), at: began, took: ended.saturating_duration_since(began) });
    }
}

impl Shared {
    /// What the store counts now.
    pub(super) async fn count(&self) -> Result<Arc<Stats>, StoreError> {
        let began = self.clock.instant();
        let stats = Arc::new(self.store.stats().await?);
        self.telemetry.counts.keep(&stats, began, self.clock.instant());
        Ok(stats)
    }

    /// The same, where counting takes long as of a few seconds ago.
    pub(super) async fn recent_count(&self) -> Result<Arc<Stats>, StoreError> {
        match self.telemetry.counts.recent(self.clock.instant()) {
            Some(stats) => Ok(stats),
            None => self.count().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_took_long_is_kept_and_not_for_long() {
        let (counts, began) = (Counts::default(), Instant::now());
        let of = |bytes| Arc::new(Stats { bytes, ..Stats::default() });
        assert!(counts.recent(began).is_none());
        counts.keep(&of(1), began, began + SLOW);
        assert!(counts.recent(began + SLOW).is_none(), "fast: counted again");
        counts.keep(&of(2), began, began + SLOW * 2);
        assert_eq!(counts.recent(began + SLOW * 2).map(|stats| stats.bytes), Some(2));
        assert_eq!(counts.recent(began + KEPT - SLOW).map(|stats| stats.bytes), Some(2));
        assert!(counts.recent(began + KEPT).is_none(), "old: counted again");
    }
}
