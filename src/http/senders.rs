//! Limits of requests for each sender, so that a noisy one starves nobody: at once, and in a minute. A sender is a credential, or an address where none
//! is asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::model::UnixMs;

/// Senders that are counted in one minute; further addresses share one count, so that many of them take no memory.
const MAX_COUNTED: usize = 10_000;
/// Senders whose refusals are remembered.
const MAX_REMEMBERED: usize = 100;
const MINUTE_SECONDS: i64 = 60;

/// What senders asked for in this minute, and who was refused since the start.
#[derive(Debug, Default)]
pub(super) struct Senders(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    minute: i64,
    requests: HashMap<String, u32>,
    /// Requests that are in flight now.
    in_flight: HashMap<String, usize>,
    /// The last minute in which one had too many of them.
    crowded: i64,
    refused: BTreeMap<String, RefusedSender>,
}

/// Whose a request in flight is, once that is known: an extension of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<OnceLock<String>>);

/// Counts a request as its sender's until it is dropped.
pub(super) struct InFlightPermit<'a> {
    senders: &'a Senders,
    whose: InFlight,
}

impl Drop for InFlightPermit<'_> {
    fn drop(&mut self) {
        if let Some(sender) = self.whose.0.get() {
            self.senders.leave(sender);
        }
    }
}

/// Refusals of a sender, since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RefusedSender {
    /// How many.
    pub(super) count: u64,
    /// When the last one was.
    pub(super) at: UnixMs,
}

/// A request beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beyond {
    /// Whether it is the first one of this sender in this minute.
    pub(super) first: bool,
    /// Seconds until the next minute begins, at least 1.
    pub(super) wait: u32,
}

impl Senders {
    fn lock(&self) -> MutexGuard<'_, Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request of a sender, of which `limit` are admitted in a minute of the clock.
    pub(super) fn admit(&self, sender: &str, limit: u32, now: UnixMs) -> Result<(), Beyond> {
        let (minute, second) = (now.seconds().div_euclid(MINUTE_SECONDS), now.seconds().rem_euclid(MINUTE_SECONDS));
        let mut counted = self.lock();
        if counted.minute != minute {
            counted.minute = minute;
            counted.requests.clear();
        }
        let shared = counted.requests.len() >= MAX_COUNTED && !counted.requests.contains_key(sender);
        let count = counted.requests.entry(if shared { String::new() } else { sender.to_owned() }).or_default();
        *count = count.saturating_add(1);
        if *count <= limit {
            return Ok(());
        }
        let first = *count == limit.saturating_add(1);
        if counted.refused.len() < MAX_REMEMBERED || counted.refused.contains_key(sender) {
            let refused = counted.refused.entry(sender.to_owned()).or_insert(RefusedSender { count: 0, at: now });
            *refused = RefusedSender { count: refused.count.saturating_add(1), at: now };
        }
        Err(Beyond { first, wait: u32::try_from(MINUTE_SECONDS - second).unwrap_or(1) })
    }

    /// A request whose sender is not known yet.
    pub(super) fn begin(&self, whose: InFlight) -> InFlightPermit<'_> {
        InFlightPermit { senders: self, whose }
    }

    /// Says whose a request is. An error when `most` of that sender are in flight already: whether it is the first one of this minute.
    pub(super) fn enter(&self, whose: &InFlight, sender: &str, most: usize, now: UnixMs) -> Result<(), bool> {
        let minute = now.seconds().div_euclid(MINUTE_SECONDS);
        let mut counted = self.lock();
        if counted.in_flight.get(sender).is_some_and(|count| *count >= most) {
            let first = counted.crowded != minute;
            counted.crowded = minute;
            return Err(first);
        }
        if whose.0.set(sender.to_owned()).is_ok() {
            *counted.in_flight.entry(sender.to_owned()).or_default() += 1;
        }
        Ok(())
    }

    fn leave(&self, sender: &str) {
        let mut counted = self.lock();
        if let Some(count) = counted.in_flight.get_mut(sender) {
            *count -= 1;
            if *count == 0 {
                counted.in_flight.remove(sender);
            }
        }
    }

    /// Who was refused since the start, by name.
    pub(super) fn refused(&self) -> BTreeMap<String, RefusedSender> {
        self.lock().refused.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24 03:00:20 UTC.
    const NOW: UnixMs = UnixMs(1_795_489_220_000);

    #[test]
    fn a_noisy_sender_is_refused_beside_a_quiet_one() {
        let senders = Senders::default();
        let admitted = (0..10).filter(|_| senders.admit("noisy", 3, NOW).is_ok()).count();
        assert_eq!(admitted, 3);
        assert_eq!(senders.admit("quiet", 3, NOW), Ok(()), "another sender is not affected");
        assert_eq!(senders.admit("noisy", 3, NOW), Err(Beyond { first: false, wait: 40 }));
        assert_eq!(senders.refused(), BTreeMap::from([("noisy".to_owned(), RefusedSender { count: 8, at: NOW })]));
        let next = NOW + 40_000;
        assert_eq!(senders.admit("noisy", 1, next), Ok(()), "the next minute counts by itself");
        assert_eq!(senders.admit("noisy", 1, next), Err(Beyond { first: true, wait: 60 }));
    }

    #[test]
    fn a_sender_has_so_many_requests_in_flight() {
        let senders = Senders::default();
        let enter = |sender: &str| {
            let whose = InFlight::default();
            let permit = senders.begin(whose.clone());
            senders.enter(&whose, sender, 2, NOW).map(|()| permit)
        };
        let (first, second) = (enter("noisy").ok().unwrap(), enter("noisy").ok().unwrap());
        assert_eq!((enter("noisy").err(), enter("noisy").err()), (Some(true), Some(false)), "it is logged once a minute");
        assert!(enter("quiet").is_ok(), "another sender is not affected");
        drop(first);
        assert!(enter("noisy").is_ok());
        drop(second);
        drop(senders.begin(InFlight::default()));
        assert!(senders.lock().in_flight.is_empty(), "nothing is left of those that have ended, or never said whose they are");
    }

    #[test]
    fn many_addresses_take_no_memory() {
        let senders = Senders::default();
        (0..MAX_COUNTED + 50).for_each(|n| _ = senders.admit(&n.to_string(), 1, NOW));
        assert_eq!(senders.lock().requests.len(), MAX_COUNTED + 1, "the last ones share one count");
        assert!(senders.admit("new", 1, NOW).is_err() && senders.refused().len() <= MAX_REMEMBERED);
    }
}
