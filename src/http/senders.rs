//! One limit of requests for each sender, so that a noisy one starves nobody. A sender is a credential, or an address where none is asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

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
    refused: BTreeMap<String, RefusedSender>,
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
    fn many_addresses_take_no_memory() {
        let senders = Senders::default();
        (0..MAX_COUNTED + 50).for_each(|n| _ = senders.admit(&n.to_string(), 1, NOW));
        assert_eq!(senders.lock().requests.len(), MAX_COUNTED + 1, "the last ones share one count");
        assert!(senders.admit("new", 1, NOW).is_err() && senders.refused().len() <= MAX_REMEMBERED);
    }
}
