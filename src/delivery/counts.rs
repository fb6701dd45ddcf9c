//! What the store counts, kept for a moment where counting takes long: a million groups that wait take half a second, and a page must not.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::store::{HeldRow, OpenIncidents, Stats, StoreError};

use super::clock::Clock;
use super::lock::lock;

/// What is counted faster than this is counted each time.
const SLOW: Duration = Duration::from_millis(50);
/// A slow count is good for so long. The maintenance tick counts more often, so pages seldom wait for one.
const MAX_AGE: Duration = Duration::from_secs(10);

/// The last counts.
#[derive(Default)]
pub(super) struct Counts {
    /// What waits, since when, and how much is stored.
    pub(super) stats: Kept<Stats>,
    /// What mutes defer.
    pub(super) held: Kept<Vec<HeldRow>>,
    /// How many incidents are open.
    pub(super) open: Kept<OpenIncidents>,
}

struct Counted<T> {
    value: Arc<T>,
    at: Instant,
    took: Duration,
}

/// The last value of something that is counted.
pub(super) struct Kept<T> {
    last: Mutex<Option<Counted<T>>>,
    /// Held by the one that counts for all that ask: the store has few readers, and deliveries need them.
    turn: tokio::sync::Mutex<()>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { last: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<T> Kept<T> {
    /// The last value, however old it is; `None` before the first.
    pub(super) fn last(&self) -> Option<Arc<T>> {
        lock(&self.last).as_ref().map(|last| last.value.clone())
    }

    /// The last value, when it took long and is recent.
    fn recent(&self, now: Instant) -> Option<Arc<T>> {
        let last = lock(&self.last);
        last.as_ref().filter(|last| last.took > SLOW && now.saturating_duration_since(last.at) < MAX_AGE).map(|last| last.value.clone())
    }

    fn keep(&self, value: &Arc<T>, began: Instant, ended: Instant) {
        *lock(&self.last) = Some(Counted { value: value.clone(), at: ended, took: ended.saturating_duration_since(began) });
    }

    /// Counts, whatever is kept.
    pub(super) async fn count(&self, clock: &Clock, count: impl Future<Output = Result<T, StoreError>>) -> Result<Arc<T>, StoreError> {
        let began = clock.instant();
        let value = Arc::new(count.await?);
        self.keep(&value, began, clock.instant());
        Ok(value)
    }

    /// The last value, where it took long and is recent; else counts.
    pub(super) async fn recent_or_count(&self, clock: &Clock, count: impl Future<Output = Result<T, StoreError>>) -> Result<Arc<T>, StoreError> {
        if let Some(value) = self.recent(clock.instant()) {
            return Ok(value);
        }
        let _turn = self.turn.lock().await;
        match self.recent(clock.instant()) {
            Some(value) => Ok(value),
            None => self.count(clock, count).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_took_long_is_kept_and_not_for_long() {
        let (counts, began) = (Kept::default(), Instant::now());
        counts.keep(&Arc::new(1), began, began + SLOW);
        assert_eq!((counts.recent(began + SLOW), counts.last().as_deref()), (None, Some(&1)), "fast: counted again");
        let ended = began + MAX_AGE * 3;
        counts.keep(&Arc::new(2), began, ended);
        assert_eq!(counts.recent(ended).as_deref(), Some(&2), "however long it took");
        assert_eq!(counts.recent(ended + MAX_AGE - SLOW).as_deref(), Some(&2));
        assert_eq!(counts.recent(ended + MAX_AGE), None, "old: counted again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_while_it_is_counted_waits_for_that_count() {
        let (counts, clock) = (Arc::new(Kept::default()), Clock::system());
        let ask = |value: u32| {
            let (counts, clock) = (counts.clone(), clock.clone());
            tokio::spawn(async move {
                let slow = async {
                    tokio::time::sleep(SLOW * 2).await;
                    Ok(value)
                };
                counts.recent_or_count(&clock, slow).await.map(|value| *value).ok()
            })
        };
        let (first, second) = (ask(1), ask(2));
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Some(1), Some(1)));
    }
}
