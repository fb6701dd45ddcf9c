//! Ids of people on a platform, looked up by mail address or mobile number and remembered, for platforms that mention or address people by an id. It knows
//! no platform: how an id is asked for is an argument.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::model::{ErrorKind, Recipient, SendError};

/// An id is asked for again after this.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// While it cannot be asked for, the known one is used for this long.
const STALE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Whom the platform does not know is not asked for again within this time, nor whose id it refused.
pub const UNKNOWN: Duration = Duration::from_secs(600);
/// After a failure nobody is asked for within this time: each would cost its message a second.
const PAUSE: Duration = Duration::from_secs(60);

/// By what a platform finds a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// The mail address.
    Email,
    /// The mobile number.
    Mobile,
}

/// Why there is no id.
#[derive(Debug, Clone)]
pub struct NotFound {
    /// Why.
    pub why: Why,
    /// Whether the platform was asked now, so that it is news.
    pub asked: bool,
}

/// Why there is no id.
#[derive(Debug, Clone)]
pub enum Why {
    /// The platform knows nobody under the address.
    Unknown,
    /// The platform refused a mention of the id that it had named.
    Refused,
    /// Another message asks, and got no answer in time.
    Late,
    /// It could not be asked.
    Failed(SendError),
}

#[derive(Default)]
struct Known {
    id: Option<(String, Instant)>,
    missing: Option<(Why, Instant)>,
}

#[derive(Default)]
struct Entry {
    known: Mutex<Known>,
    /// Held by the one that asks, across the question: the others wait for its answer.
    flight: tokio::sync::Mutex<()>,
}

/// The ids of people by their addresses. Shared by every channel of an application (see `HttpClients::shared`).
pub struct Directory {
    /// How long somebody whom the platform does not know is not asked for again.
    unknown: Duration,
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    pause: Mutex<Option<(SendError, Instant)>>,
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Directory")
    }
}

impl Directory {
    /// Empty.
    pub fn new(unknown: Duration) -> Self {
        Self { unknown, entries: Mutex::default(), pause: Mutex::default() }
    }

    /// The id of an address: the one that is known, or the one that `ask` brings before the deadline. Calls that overlap share one question.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn id(
        &self,
        address: &str,
        deadline: Instant,
        ask: impl Future<Output = Result<Option<String>, SendError>>,
    ) -> Result<String, NotFound> {
        let entry = lock(&self.entries).entry(address.to_owned()).or_default().clone();
        if let Some(answer) = self.answer(&entry) {
            return answer;
        }
        let Ok(_flight) = timeout_at(deadline, entry.flight.lock()).await else {
            return lock(&entry.known).stale().ok_or(NotFound { why: Why::Late, asked: false });
        };
        if let Some(answer) = self.answer(&entry) {
            return answer;
        }
        let late = || SendError::new(ErrorKind::Transient, "the platform did not say in time who it is").code("timeout");
        let answer = timeout_at(deadline, ask).await.unwrap_or_else(|_| Err(late()));
        let (now, mut known) = (Instant::now(), lock(&entry.known));
        match answer {
            Ok(Some(id)) => {
                *known = Known { id: Some((id.clone(), now)), missing: None };
                Ok(id)
            }
            Ok(None) => {
                *known = Known { id: None, missing: Some((Why::Unknown, now + self.unknown)) };
                Err(NotFound { why: Why::Unknown, asked: true })
            }
            Err(error) => {
                *lock(&self.pause) = Some((error.clone(), now + pause_after(&error)));
                known.stale().ok_or(NotFound { why: Why::Failed(error), asked: true })
            }
        }
    }

    /// Forgets an id that the platform refused; returns whether it had named it.
    pub fn refused(&self, id: &Recipient) -> bool {
        let until = Instant::now() + UNKNOWN;
        let mut found = false;
        for entry in lock(&self.entries).values() {
            let mut known = lock(&entry.known);
            if known.id.as_ref().is_some_and(|(known, _)| known == id.expose()) {
                *known = Known { id: None, missing: Some((Why::Refused, until)) };
                found = true;
            }
        }
        found
    }

    /// What is known without a question; `None`: ask.
    fn answer(&self, entry: &Entry) -> Option<Result<String, NotFound>> {
        let (now, known) = (Instant::now(), lock(&entry.known));
        if let Some((id, _)) = known.id.as_ref().filter(|(_, since)| now.saturating_duration_since(*since) < FRESH) {
            return Some(Ok(id.clone()));
        }
        if let Some((why, _)) = known.missing.as_ref().filter(|(_, until)| now < *until) {
            return Some(Err(NotFound { why: why.clone(), asked: false }));
        }
        let pause = lock(&self.pause);
        let (error, _) = pause.as_ref().filter(|(_, until)| now < *until)?;
        Some(known.stale().ok_or_else(|| NotFound { why: Why::Failed(error.clone()), asked: false }))
    }
}

impl Known {
    /// The id that was known last, while it may be used.
    fn stale(&self) -> Option<String> {
        let (id, since) = self.id.as_ref()?;
        (Instant::now().saturating_duration_since(*since) < STALE).then(|| id.clone())
    }
}

/// How long nobody is asked for after a failure: as long as the platform asks, longer where a person must change something first.
fn pause_after(error: &SendError) -> Duration {
    match error.kind {
        ErrorKind::RateLimited { retry_after } => retry_after.unwrap_or(PAUSE).max(PAUSE),
        ErrorKind::Misconfigured | ErrorKind::Rejected => UNKNOWN,
        _ => PAUSE,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn id(directory: &Directory, answer: Result<Option<&str>, ErrorKind>) -> Result<String, String> {
        let answer = answer.map(|id| id.map(str::to_owned)).map_err(|kind| SendError::new(kind, "no"));
        let found = directory.id("ann@example.com", Instant::now() + SECOND, async { answer }).await;
        found.map_err(|missed| format!("{} {}", if missed.asked { "asked" } else { "known" }, word(&missed.why)))
    }

    fn word(why: &Why) -> &'static str {
        match why {
            Why::Unknown => "unknown",
            Why::Refused => "refused",
            Why::Late => "late",
            Why::Failed(_) => "failed",
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_fresh_for_a_day_and_of_use_for_a_month_while_it_cannot_be_asked_for() {
        let directory = Directory::new(UNKNOWN);
        let hour = 3600 * SECOND;
        assert_eq!(id(&directory, Ok(Some("U1"))).await, Ok("U1".into()));
        tokio::time::advance(23 * hour).await;
        assert_eq!(id(&directory, Ok(Some("U2"))).await, Ok("U1".into()), "it is not asked for again");
        tokio::time::advance(2 * hour).await;
        assert_eq!(id(&directory, Err(ErrorKind::Transient)).await, Ok("U1".into()));
        tokio::time::advance(28 * 24 * hour).await;
        assert_eq!(id(&directory, Err(ErrorKind::Transient)).await, Ok("U1".into()));
        tokio::time::advance(24 * hour).await;
        assert_eq!(id(&directory, Err(ErrorKind::Transient)).await, Err("asked failed".into()), "after a month it may be another's");
        tokio::time::advance(PAUSE).await;
        assert_eq!(id(&directory, Ok(Some("U3"))).await, Ok("U3".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_unknown_or_refused_is_not_asked_for_again_soon() {
        let directory = Directory::new(6 * UNKNOWN);
        assert_eq!(id(&directory, Ok(None)).await, Err("asked unknown".into()));
        tokio::time::advance(6 * UNKNOWN - SECOND).await;
        assert_eq!(id(&directory, Ok(Some("U1"))).await, Err("known unknown".into()));
        tokio::time::advance(SECOND).await;
        assert_eq!(id(&directory, Ok(Some("U1"))).await, Ok("U1".into()));
        assert!(!directory.refused(&Recipient::new("U2")) && directory.refused(&Recipient::new("U1")));
        assert_eq!(id(&directory, Ok(Some("U1"))).await, Err("known refused".into()));
        tokio::time::advance(UNKNOWN).await;
        assert_eq!(id(&directory, Ok(Some("U4"))).await, Ok("U4".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_pauses_the_questions_for_everybody() {
        let directory = Directory::new(UNKNOWN);
        let day = 24 * 3600 * SECOND;
        for (kind, pause) in [
            (ErrorKind::Transient, PAUSE),
            (ErrorKind::Misconfigured, UNKNOWN),
            (ErrorKind::RateLimited { retry_after: Some(SECOND) }, PAUSE),
            (ErrorKind::RateLimited { retry_after: Some(day) }, day),
        ] {
            assert_eq!(id(&directory, Err(kind)).await, Err("asked failed".into()), "{kind:?}");
            tokio::time::advance(pause - SECOND).await;
            let other = directory.id("bob@example.com", Instant::now() + SECOND, async { panic!("it is asked") }).await;
            assert_eq!(other.map_err(|missed| word(&missed.why)), Err("failed"), "{kind:?}");
            tokio::time::advance(SECOND).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_at_once_share_one_question_and_none_waits_longer_than_its_deadline() {
        let directory = Arc::new(Directory::new(UNKNOWN));
        let asked = Arc::new(AtomicUsize::new(0));
        let call = |after: Duration| {
            let (directory, asked) = (directory.clone(), asked.clone());
            tokio::spawn(async move {
                let ask = async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(after).await;
                    Ok(Some("U1".to_owned()))
                };
                let begun = Instant::now();
                let found = directory.id("ann@example.com", begun + SECOND, ask).await;
                assert!(begun.elapsed() <= SECOND, "{:?}", begun.elapsed());
                found.map_err(|missed| word(&missed.why))
            })
        };
        for late in futures_util::future::join_all((0..20).map(|_| call(5 * SECOND))).await {
            assert!(matches!(late.unwrap(), Err("failed" | "late")));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        tokio::time::advance(PAUSE).await;
        for found in futures_util::future::join_all((0..20).map(|_| call(SECOND / 2))).await {
            assert_eq!(found.unwrap(), Ok("U1".to_owned()));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
