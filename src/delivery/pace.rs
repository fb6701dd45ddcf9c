//! The pace of an outlet: a log of sends that keeps every rolling window within the platform's limits.
//!
//! A send counts from its start until its window after its **end**: the platform counts arrivals, which lie between the two, so the number of
//! arrivals in any rolling window stays within the limit however long requests take on the way.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::Limit;

/// Added to every window: clocks of two machines do not tick alike, and a vendor's window may begin at its own second.
const MARGIN: Duration = Duration::from_millis(1500);

/// Sliding-window log over one or several limits.
#[derive(Debug, Clone)]
pub struct Pacer {
    limits: Vec<Limit>,
    longest: Duration,
    /// Ends of finished sends, oldest first.
    ended: VecDeque<Instant>,
    under_way: usize,
    /// Starts of recent sends, for spreading.
    last_start: Option<Instant>,
}

impl Pacer {
    /// A pacer over `limits`; without any it never makes anybody wait.
    pub fn new(limits: &[Limit]) -> Self {
        let limits: Vec<Limit> =
            limits.iter().filter(|l| !l.window.is_zero()).map(|l| Limit { count: l.count.max(1), window: l.window + MARGIN }).collect();
        let longest = limits.iter().map(|l| l.window).max().unwrap_or_default();
        Self { limits, longest, ended: VecDeque::new(), under_way: 0, last_start: None }
    }

    /// Takes over new limits, keeping what was sent.
    pub fn set_limits(&mut self, limits: &[Limit]) {
        let new = Self::new(limits);
        self.limits = new.limits;
        self.longest = new.longest;
    }

    /// Whether there is no limit at all.
    pub fn is_off(&self) -> bool {
        self.limits.is_empty()
    }

    /// How far back sends matter.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// How many sends can be under way at once: those under way count for every limit.
    pub fn at_once(&self) -> usize {
        self.limits.iter().map(|limit| limit.count as usize).min().unwrap_or(usize::MAX)
    }

    /// Puts sends of before a restart back: how long ago each was, in any order.
    pub fn restore(&mut self, now: Instant, ages: impl IntoIterator<Item = Duration>) {
        for age in ages {
            self.ended.push_back(now.checked_sub(age).unwrap_or(now));
        }
        self.ended.make_contiguous().sort();
    }

    /// The earliest time at which `n` sends may start; `now` when they may start at once.
    pub fn slot(&mut self, now: Instant, n: usize) -> Instant {
        self.forget(now);
        let mut at = now;
        for limit in &self.limits {
            let allowed = (limit.count as usize).max(n) - n;
            let counted = self.ended.len() + self.under_way;
            if self.under_way > allowed {
                // Only an end frees a place; its time is not known yet, so look again when the window could have moved.
                at = at.max(now + Duration::from_millis(50));
                continue;
            }
            // Of the counted sends, all but `allowed` must have left the window: the oldest finished ones leave first.
            let must_leave = counted.saturating_sub(allowed);
            if must_leave > 0
                && let Some(end) = self.ended.get(must_leave - 1)
            {
                at = at.max(*end + limit.window);
            }
        }
        at
    }

    /// When the next message should start if others wait behind it: half of each window's sends may go in a burst, the rest is spread evenly, so
    /// that a storm does not spend a whole window on its first seconds and leave nothing for what is more severe and comes later.
    pub fn spread(&mut self, now: Instant) -> Instant {
        let mut at = self.slot(now, 1);
        for limit in &self.limits {
            if limit.count < 4 {
                continue;
            }
            let since = now.checked_sub(limit.window).unwrap_or(now);
            let recent = self.ended.iter().filter(|end| **end >= since).count() + self.under_way;
            let burst = (limit.count / 2) as usize;
            if recent >= burst
                && let Some(last) = self.last_start
            {
                at = at.max(last + limit.window / (limit.count - limit.count / 2));
            }
        }
        at
    }

    /// A send starts.
    pub fn begin(&mut self, now: Instant) {
        if !self.limits.is_empty() {
            self.under_way += 1;
            self.last_start = Some(now);
        }
    }

    /// A send ended: answered, refused or given up.
    pub fn end(&mut self, now: Instant) {
        if !self.limits.is_empty() {
            self.under_way = self.under_way.saturating_sub(1);
            self.ended.push_back(now);
        }
    }

    /// A send that was begun never left.
    pub fn cancel(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// Sends per second in the long run; infinite without limits.
    pub fn rate(&self) -> f64 {
        self.limits.iter().map(|l| f64::from(l.count) / l.window.as_secs_f64()).fold(f64::INFINITY, f64::min)
    }

    fn forget(&mut self, now: Instant) {
        while self.ended.front().is_some_and(|end| *end + self.longest <= now) {
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn per_minute(count: u32) -> Vec<Limit> {
        vec![Limit { count, window: MINUTE }]
    }

    #[test]
    fn without_limits_nobody_waits() {
        let mut pacer = Pacer::new(&[]);
        let now = Instant::now();
        pacer.begin(now);
        assert_eq!(pacer.slot(now, 1), now);
        assert!(pacer.rate().is_infinite());
    }

    #[test]
    fn no_more_are_under_way_than_the_tightest_limit_allows() {
        let mut pacer = Pacer::new(&[Limit { count: 60, window: MINUTE }, Limit { count: 2, window: Duration::from_secs(1) }]);
        let mut now = Instant::now();
        for _ in 0..100 {
            if pacer.slot(now, 1) <= now {
                pacer.begin(now);
            }
            now += Duration::from_secs(10);
        }
        assert_eq!((pacer.under_way, pacer.at_once()), (2, 2), "however long they take");
        assert_eq!(Pacer::new(&[]).at_once(), usize::MAX);
    }

    #[test]
    fn sends_of_before_a_restart_count() {
        let mut pacer = Pacer::new(&per_minute(2));
        let now = Instant::now() + MINUTE * 10;
        pacer.restore(now, [Duration::from_secs(10), Duration::from_secs(50)]);
        assert_eq!(pacer.slot(now, 1), now + Duration::from_secs(10) + MARGIN);
    }

    #[test]
    fn a_burst_takes_half_and_the_rest_is_spread() {
        let mut pacer = Pacer::new(&per_minute(20));
        let mut now = Instant::now();
        let start = now;
        let mut times = Vec::new();
        for _ in 0..20 {
            now = pacer.spread(now);
            pacer.begin(now);
            pacer.end(now);
            times.push((now - start).as_secs());
        }
        assert!(times[9] == 0, "half at once: {times:?}");
        assert!(times[10] >= 6 && times[19] >= 60, "then evenly: {times:?}");
    }

    proptest! {
        /// I10: however sends overlap and however long they take, no rolling window sees more arrivals than the limit.
        #[test]
        fn no_rolling_window_exceeds_the_limit(
            count in 1u32..8,
            steps in prop::collection::vec((0u64..4000, 0u64..9000, 0u64..=100), 1..120),
        ) {
            let window = Duration::from_secs(10);
            let mut pacer = Pacer::new(&[Limit { count, window }]);
            let start = Instant::now();
            let mut now = start;
            let mut open: Vec<(Instant, Instant)> = Vec::new();
            let mut arrivals = Vec::new();
            for (gap, takes, share) in steps {
                now += Duration::from_millis(gap);
                open.sort();
                while let Some(&(end, _)) = open.first() {
                    if end > now { break; }
                    pacer.end(end);
                    open.remove(0);
                }
                if pacer.slot(now, 1) <= now {
                    pacer.begin(now);
                    let end = now + Duration::from_millis(takes);
                    arrivals.push(now + Duration::from_millis(takes * share / 100));
                    open.push((end, now));
                }
            }
            arrivals.sort();
            for (i, first) in arrivals.iter().enumerate() {
                let inside = arrivals[i..].iter().take_while(|t| **t - *first < window).count();
                prop_assert!(inside <= count as usize, "{inside} > {count}");
            }
        }
    }
}
