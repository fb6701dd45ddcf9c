//! How often one person may press: a client that repeats itself, or a bored one, must not fill the store and the timeline.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::delivery::lock::lock;

/// Presses of one person that are taken at once.
const BURST: u32 = 10;
/// After them, one in so long.
const EVERY: Duration = Duration::from_secs(5);
/// People who are remembered.
const MAX_PEOPLE: usize = 4096;

/// Who pressed lately.
#[derive(Default)]
pub(in crate::delivery) struct Pressers(Mutex<HashMap<String, Instant>>);

impl Pressers {
    /// Whether a press of this person is taken now. Of each it is kept when their presses will all be forgotten.
    pub(in crate::delivery) fn admits(&self, who: &str, now: Instant) -> bool {
        let mut people = lock(&self.0);
        if people.len() >= MAX_PEOPLE {
            people.retain(|_, forgotten| *forgotten > now);
            if people.len() >= MAX_PEOPLE {
                people.clear();
            }
        }
        let forgotten = people.get(who).copied().unwrap_or(now).max(now) + EVERY;
        let admits = forgotten <= now + EVERY * BURST;
        if admits {
            people.insert(who.to_owned(), forgotten);
        }
        admits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_presses_are_taken_at_once_and_then_one_in_five_seconds() {
        let (pressers, now) = (Pressers::default(), Instant::now());
        let taken = |after: u64, count: usize| (0..count).filter(|_| pressers.admits("slack U1", now + Duration::from_secs(after))).count();
        assert_eq!((taken(0, 30), taken(4, 3), taken(5, 3), taken(16, 9)), (10, 0, 1, 2));
        assert_eq!(taken(600, 30), 10);
        assert!(pressers.admits("slack U2", now), "each by themselves");
        for n in 0..3 * MAX_PEOPLE {
            assert!(pressers.admits(&format!("flood {n}"), now));
        }
        assert!(lock(&pressers.0).len() <= MAX_PEOPLE);
    }
}
