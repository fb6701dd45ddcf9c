//! A token cache for platforms whose credentials buy short-lived tokens (WeCom, DingTalk apps, Feishu). It knows no platform: how a token is
//! fetched is an argument. Waiters share one fetch, and one failure; failures are not kept.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::{ErrorKind, Secret, SendError};

/// A token is given up this long before it ends, or a tenth of its life before when that is less, so that it does not end on its way.
const EXPIRY_MARGIN: Duration = Duration::from_secs(300);

/// A token as the platform gave it.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// The token.
    pub token: Secret,
    /// How long it lives, as the platform says, from the moment it was asked for.
    pub expires_in: Duration,
}

struct Entry {
    token: Secret,
    good_until: Instant,
}

/// One credential's token. Shared by every channel that uses the credential (see `HttpClients::tokens`).
#[derive(Default)]
pub struct TokenCache {
    entry: Mutex<Option<Entry>>,
    failures: AtomicU64,
    /// Held by the task that fetches, on purpose across the fetch: the others wait for its outcome. It is an async lock, and a fetch that is
    /// given up (its attempt's deadline passed) releases it to the next.
    flight: tokio::sync::Mutex<Option<SendError>>,
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache")
    }
}

impl TokenCache {
    /// The cached token, or the one that `fetch` brings. Calls that overlap share one fetch: its token, or its error. `fetch` is not run
    /// when there is a token; an error is not remembered for calls that come later. What is refused here refuses the application, and no message for
    /// what it says: `Rejected` becomes `Misconfigured`.
    pub async fn get(&self, fetch: impl Future<Output = Result<Fresh, SendError>>) -> Result<Secret, SendError> {
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        let failures = self.failures.load(Ordering::Acquire);
        let mut last = self.flight.lock().await;
        if let Some(token) = self.cached() {
            return Ok(token);
        }
        if self.failures.load(Ordering::Acquire) != failures
            && let Some(error) = &*last
        {
            return Err(error.clone());
        }
        let asked = Instant::now();
        match fetch.await {
            Ok(fresh) => {
                let margin = EXPIRY_MARGIN.min(fresh.expires_in / 10);
                // A life too long for the clock is a life of a day: the platform will say when it is over.
                let good_until = asked.checked_add(fresh.expires_in - margin).unwrap_or(asked + Duration::from_secs(86_400));
                *self.lock() = Some(Entry { token: fresh.token.clone(), good_until });
                *last = None;
                Ok(fresh.token)
            }
            Err(error) => {
                let error = match error.kind {
                    ErrorKind::Rejected => SendError { kind: ErrorKind::Misconfigured, recipient: false, mentions: false, ..error },
                    _ => error,
                };
                self.failures.fetch_add(1, Ordering::Release);
                *last = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Forgets the token if it is still the one that the platform refused: another call may have replaced it already.
    pub fn invalidate(&self, refused: &Secret) {
        let mut entry = self.lock();
        if entry.as_ref().is_some_and(|entry| entry.token == *refused) {
            *entry = None;
        }
    }

    fn cached(&self) -> Option<Secret> {
        self.lock().as_ref().filter(|entry| Instant::now() < entry.good_until).map(|entry| entry.token.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Entry>> {
        self.entry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn fresh(token: &str, seconds: u64) -> Fresh {
        Fresh { token: Secret::new(token), expires_in: Duration::from_secs(seconds) }
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_calls_at_once_share_one_fetch() {
        let cache = Arc::new(TokenCache::default());
        let fetches = Arc::new(AtomicUsize::new(0));
        let calls = (0..50).map(|_| {
            let (cache, fetches) = (cache.clone(), fetches.clone());
            tokio::spawn(async move {
                cache
                    .get(async {
                        fetches.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Ok(fresh("t-1", 7200))
                    })
                    .await
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap(), Secret::new("t-1"));
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_share_a_failure_and_later_calls_ask_again() {
        let cache = Arc::new(TokenCache::default());
        let fetches = Arc::new(AtomicUsize::new(0));
        let calls = (0..10).map(|_| {
            let (cache, fetches) = (cache.clone(), fetches.clone());
            tokio::spawn(async move {
                cache
                    .get(async {
                        fetches.fetch_add(1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        Err(SendError::new(ErrorKind::Transient, "no token today"))
                    })
                    .await
            })
        });
        for call in calls.collect::<Vec<_>>() {
            assert_eq!(call.await.unwrap().unwrap_err().summary, "no token today");
        }
        assert_eq!(fetches.load(Ordering::SeqCst), 1);
        assert_eq!(cache.get(async { Ok(fresh("t-2", 7200)) }).await.unwrap(), Secret::new("t-2"));
    }

    #[tokio::test]
    async fn what_is_refused_before_there_is_a_token_refuses_no_message() {
        let cache = TokenCache::default();
        for (answered, means) in [
            (ErrorKind::Rejected, ErrorKind::Misconfigured),
            (ErrorKind::Misconfigured, ErrorKind::Misconfigured),
            (ErrorKind::Transient, ErrorKind::Transient),
            (ErrorKind::RateLimited { retry_after: None }, ErrorKind::RateLimited { retry_after: None }),
        ] {
            let error = cache.get(async { Err(SendError::new(answered, "a code of tomorrow").code("7").of_recipient()) }).await.unwrap_err();
            assert_eq!((error.kind, error.code.as_deref(), error.summary.as_str()), (means, Some("7"), "a code of tomorrow"));
            assert_eq!(error.recipient, answered != ErrorKind::Rejected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_that_is_given_up_hands_over_to_the_next() {
        let cache = Arc::new(TokenCache::default());
        let hanging = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(std::future::pending()).await })
        };
        tokio::task::yield_now().await;
        let waiting = {
            let cache = cache.clone();
            tokio::spawn(async move { cache.get(async { Ok(fresh("t-1", 7200)) }).await })
        };
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        hanging.abort();
        assert_eq!(waiting.await.unwrap().unwrap(), Secret::new("t-1"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_renewed_before_it_ends() {
        let cache = TokenCache::default();
        cache.get(async { Ok(fresh("t-1", 7200)) }).await.unwrap();
        tokio::time::advance(Duration::from_secs(7200 - 301)).await;
        assert_eq!(cache.get(async { Ok(fresh("t-2", 7200)) }).await.unwrap(), Secret::new("t-1"));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(cache.get(async { Ok(fresh("t-2", 7200)) }).await.unwrap(), Secret::new("t-2"));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_refused_token_is_forgotten() {
        let cache = TokenCache::default();
        cache.get(async { Ok(fresh("t-2", 7200)) }).await.unwrap();
        cache.invalidate(&Secret::new("t-1"));
        assert_eq!(cache.get(async { Ok(fresh("t-3", 7200)) }).await.unwrap(), Secret::new("t-2"));
        cache.invalidate(&Secret::new("t-2"));
        assert_eq!(cache.get(async { Ok(fresh("t-3", 7200)) }).await.unwrap(), Secret::new("t-3"));
    }

    #[tokio::test(start_paused = true)]
    async fn lives_of_nothing_and_of_for_ever_do_no_harm() {
        let cache = TokenCache::default();
        cache.get(async { Ok(fresh("t-1", 0)) }).await.unwrap();
        assert_eq!(cache.get(async { Ok(fresh("t-2", u64::MAX)) }).await.unwrap(), Secret::new("t-2"));
        assert_eq!(cache.get(async { Ok(fresh("t-3", 7200)) }).await.unwrap(), Secret::new("t-2"));
    }
}
