//! What an outlet sent lately, for people to look at; the rate limit counts for itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::model::UnixMs;

/// Seconds that are counted.
const SECONDS: usize = 60;

/// Sends of the last minute, by the second, and when each channel's last one was confirmed.
#[derive(Debug)]
pub struct Recent {
    /// When the first second began, and the number of the newest one; its place is that number modulo [`SECONDS`].
    newest: Option<(Instant, u64)>,
    counts: [u32; SECONDS],
    confirmed: BTreeMap<Arc<str>, UnixMs>,
}

impl Default for Recent {
    fn default() -> Self {
        Self { newest: None, counts: [0; SECONDS], confirmed: BTreeMap::new() }
    }
}

impl Recent {
    /// Something was sent on a channel; with the time when its platform confirmed it.
    pub fn sent(&mut self, channel: &Arc<str>, at: Instant, confirmed: Option<UnixMs>) {
        let (begin, newest) = *self.newest.get_or_insert((at, 0));
        let second = at.saturating_duration_since(begin).as_secs().max(newest);
        for passed in (newest + 1..=second).take(SECONDS) {
            self.counts[place(passed)] = 0;
        }
        if second >= newest + SECONDS as u64 {
            self.counts = [0; SECONDS];
        }
        self.counts[place(second)] = self.counts[place(second)].saturating_add(1);
        self.newest = Some((begin, second));
        if let Some(at) = confirmed {
            self.confirmed.insert(channel.clone(), at);
        }
    }

    /// How many were sent in the last minute.
    pub fn in_last_minute(&self, now: Instant) -> u32 {
        let Some((begin, newest)) = self.newest else { return 0 };
        let second = now.saturating_duration_since(begin).as_secs().max(newest);
        let first = (second + 1).saturating_sub(SECONDS as u64);
        (first..=newest).map(|second| self.counts[place(second)]).sum()
    }

    /// When the last message of a channel was confirmed by its platform.
    pub fn confirmed(&self, channel: &str) -> Option<UnixMs> {
        self.confirmed.get(channel).copied()
    }

    /// A time before now, as the time of day.
    pub fn wall_of(at: Instant, now: Instant, wall: UnixMs) -> UnixMs {
        wall - i64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(i64::MAX)
    }
}

fn place(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_minute_is_counted_and_no_more() {
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        let (ops, mut recent) = (Arc::from("ops"), Recent::default());
        assert_eq!(recent.in_last_minute(at(0)), 0);
        for second in [0, 0, 10, 59] {
            recent.sent(&ops, at(second), None);
        }
        let seen: Vec<u32> = [59, 60, 69, 70, 118, 119, 1000].map(|second| recent.in_last_minute(at(second))).into();
        assert_eq!(seen, [4, 2, 2, 1, 1, 0, 0]);
        recent.sent(&ops, at(130), None);
        assert_eq!((recent.in_last_minute(at(130)), recent.in_last_minute(at(190))), (1, 0));
        recent.sent(&ops, at(5000), Some(UnixMs(7)));
        assert_eq!((recent.in_last_minute(at(5000)), recent.confirmed("ops"), recent.confirmed("dba")), (1, Some(UnixMs(7)), None));
        assert_eq!(Recent::wall_of(at(1), at(3), UnixMs(5000)), UnixMs(3000));
    }
}
