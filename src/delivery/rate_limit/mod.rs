//! The rate limit of an outlet: a log of sends that keeps every rolling window within the platform's limits (I10).
//!
//! A send counts from its start until its window after its **end**: the platform counts arrivals, which lie between the two, so the number of
//! arrivals in any rolling window stays within the limit however long requests take on the way. Where the platform counts each recipient by itself
//! ([`Counted`]), each has a log of its own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::channel::{Counted, Limit};
use crate::model::Recipient;

/// Added to every window, in proportion: two machines' clocks do not tick alike, and packets do not take the same time twice.
const WINDOW_MARGIN: f64 = 0.03;
/// A rate-limited outlet has as many attempts in flight as its limit starts in this time: more would not make it faster, and after a crash each of
/// them counts as sent.
const IN_FLIGHT_HORIZON: Duration = Duration::from_secs(10);

/// The longest time that spreading keeps a message back while a quarter of the window is left: a limit of a day must not delay an alert by a quarter of
/// an hour as long as there is plenty. What is left then is spread over the whole window, so that a storm leaves something for the rest of the day.
const LONGEST_SPREAD: Duration = Duration::from_secs(60);

/// Sliding-window log over one or several limits.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    limits: Vec<Limit>,
    longest_window: Duration,
    /// What counts for everybody.
    all: Log,
    /// What counts for one recipient.
    each: HashMap<Recipient, Log>,
    /// When the last send started, for spreading.
    last_start: Option<Instant>,
    /// When the one before it did, in case that never left.
    previous_start: Option<Instant>,
}

#[derive(Debug, Clone, Default)]
struct Log {
    /// Ends of finished sends, oldest first; of what an earlier owner may have in flight, the latest possible.
    ended: VecDeque<Instant>,
    in_flight: usize,
}

impl Log {
    fn forget(&mut self, before: Option<Instant>) {
        while before.is_some_and(|before| self.ended.front().is_some_and(|end| *end <= before)) {
            self.ended.pop_front();
        }
    }

    fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.in_flight == 0
    }
}

/// The `n`th oldest end, from 0, of two logs.
fn nth(a: &Log, b: &Log, n: usize) -> Option<Instant> {
    if b.ended.is_empty() {
        return a.ended.get(n).copied();
    }
    let (mut i, mut j) = (0, 0);
    loop {
        let (end, of_a) = match (a.ended.get(i), b.ended.get(j)) {
            (Some(x), Some(y)) if x <= y => (x, true),
            (Some(x), None) => (x, true),
            (_, Some(y)) => (y, false),
            (None, None) => return None,
        };
        i += usize::from(of_a);
        j += usize::from(!of_a);
        if i + j > n {
            return Some(*end);
        }
    }
}

impl RateLimiter {
    /// A limiter over `limits`; without any nothing waits.
    pub fn new(limits: &[Limit]) -> Self {
        let widen = |l: &Limit| Limit { count: l.count.max(1), window: l.window.mul_f64(1.0 + WINDOW_MARGIN) };
        let limits: Vec<Limit> = limits.iter().filter(|l| !l.window.is_zero()).map(widen).collect();
        let longest_window = limits.iter().map(|l| l.window).max().unwrap_or_default();
        Self { limits, longest_window, all: Log::default(), each: HashMap::new(), last_start: None, previous_start: None }
    }

    /// Takes over new limits, keeping what was sent.
    pub fn set_limits(&mut self, limits: &[Limit]) {
        let new = Self::new(limits);
        self.limits = new.limits;
        self.longest_window = new.longest_window;
    }

    /// Whether there is no limit at all.
    pub fn is_unlimited(&self) -> bool {
        self.limits.is_empty()
    }

    /// How far back sends matter.
    pub fn longest_window(&self) -> Duration {
        self.longest_window
    }

    /// How many sends may be in flight at once.
    pub fn max_in_flight(&self) -> usize {
        let of = |limit: &Limit| {
            (f64::from(limit.count) * IN_FLIGHT_HORIZON.as_secs_f64() / limit.window.as_secs_f64()).ceil().min(f64::from(limit.count))
        };
        self.limits.iter().map(|limit| (of(limit) as usize).max(1)).min().unwrap_or(usize::MAX)
    }

    /// Restores sends before a restart: when each ended, or will have ended, in any order. Their recipients are not known: they count for everybody.
    pub fn restore(&mut self, ends: impl IntoIterator<Item = Instant>) {
        self.all.ended.extend(ends);
        self.all.ended.make_contiguous().sort();
    }

    /// The earliest time at which a send that counts so may start; `now` when it may start at once.
    pub fn slot(&self, now: Instant, counted: &Counted) -> Instant {
        let none = Log::default();
        match counted {
            Counted::Outlet => self.each.values().chain([&none]).map(|log| self.slot_of(now, log)).max().unwrap_or(now),
            Counted::Recipients(to) => to.iter().map(|r| self.slot_of(now, self.each.get(r).unwrap_or(&none))).max().unwrap_or(now),
        }
    }

    fn slot_of(&self, now: Instant, own: &Log) -> Instant {
        let in_flight = self.all.in_flight + own.in_flight;
        let counted = self.all.ended.len() + own.ended.len() + in_flight;
        let mut at = now;
        for limit in &self.limits {
            let allowed = limit.count as usize - 1;
            if in_flight > allowed {
                // Only an end frees a place; its time is not known yet, so look again when the window could have moved.
                at = at.max(now + Duration::from_millis(50));
                continue;
            }
            // Of the counted sends, all but `allowed` must have left the window: the oldest finished ones leave first.
            let must_leave = counted.saturating_sub(allowed);
            if must_leave > 0
                && let Some(end) = nth(&self.all, own, must_leave - 1)
            {
                at = at.max(end + limit.window);
            }
        }
        at
    }

    /// When the next message should start if others wait behind it: half of each window's sends may go in a burst, the rest is spread, at most a minute
    /// apart until a quarter is left, and evenly from there on. So a storm does not spend a whole window on its first seconds, and leaves something for
    /// what is more severe and comes later: where `is_critical`, the last quarter is for that.
    pub fn spread(&self, now: Instant, counted: &Counted, is_critical: impl Fn() -> bool) -> Instant {
        let mut at = self.slot(now, counted);
        let none = Log::default();
        let own = match counted {
            Counted::Outlet => &none,
            Counted::Recipients(to) => to.iter().filter_map(|r| self.each.get(r)).max_by_key(|log| log.ended.len() + log.in_flight).unwrap_or(&none),
        };
        for limit in &self.limits {
            if limit.count < 4 {
                continue;
            }
            let since = now.checked_sub(limit.window).unwrap_or(now);
            let recent = self.all.ended.iter().chain(&own.ended).filter(|end| **end >= since).count() + self.all.in_flight + own.in_flight;
            let burst = (limit.count / 2) as usize;
            if recent >= burst
                && let Some(last) = self.last_start
            {
                let even = limit.window / (limit.count - limit.count / 2);
                let is_soon = recent < (limit.count - limit.count / 4) as usize || even <= LONGEST_SPREAD || is_critical();
                at = at.max(last + if is_soon { even.min(LONGEST_SPREAD) } else { even });
            }
        }
        at
    }

    /// A send starts.
    pub fn begin(&mut self, now: Instant, counted: &Counted) {
        if !self.limits.is_empty() {
            self.forget(now);
            self.each_log(counted, |log| log.in_flight += 1);
            self.previous_start = self.last_start.replace(now);
        }
    }

    /// A send ended: answered, refused or given up.
    pub fn end(&mut self, now: Instant, counted: &Counted) {
        if !self.limits.is_empty() {
            self.each_log(counted, |log| {
                log.in_flight = log.in_flight.saturating_sub(1);
                let place = log.ended.partition_point(|end| *end <= now);
                log.ended.insert(place, now);
            });
        }
    }

    /// A send that was begun never left.
    pub fn cancel(&mut self, counted: &Counted) {
        self.each_log(counted, |log| log.in_flight = log.in_flight.saturating_sub(1));
        self.last_start = self.previous_start;
    }

    /// Sends per second in the long run; infinite without limits.
    pub fn rate(&self) -> f64 {
        self.limits.iter().map(|l| f64::from(l.count) / l.window.as_secs_f64()).fold(f64::INFINITY, f64::min)
    }

    fn each_log(&mut self, counted: &Counted, mut change: impl FnMut(&mut Log)) {
        match counted {
            Counted::Outlet => change(&mut self.all),
            Counted::Recipients(to) => to.iter().for_each(|r| change(self.each.entry(r.clone()).or_default())),
        }
    }

    fn forget(&mut self, now: Instant) {
        let before = now.checked_sub(self.longest_window);
        self.all.forget(before);
        self.each.retain(|_, log| {
            log.forget(before);
            !log.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
