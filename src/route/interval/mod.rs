//! Time intervals: when a route is muted or active, and until when.
//!
//! A moment is tested by the wall clock of the interval's time zone, as Alertmanager does: an hour that a clock change skips
//! never comes, one that it repeats comes twice. Knows nothing of routes; the moment is an argument.

mod config;
mod read;
mod rule;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use rule::Rule;

pub use config::{Scalar, TimeIntervalConfig, TimeRangeConfig, TimeRuleConfig};

/// How far ahead a change is searched for, in days.
pub const HORIZON_DAYS: i64 = 400;

/// Intervals by name.
pub type Intervals = BTreeMap<String, Arc<TimeInterval>>;

/// Why a part of an interval cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}; {help}")]
pub struct IntervalProblem {
    /// Which part, below the interval's item: `time_intervals[0].times[1].end_time`.
    pub path: String,
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub help: String,
}

/// A named set of moments: those at which any of its rules holds.
#[derive(Debug, Clone)]
pub struct TimeInterval {
    name: String,
    rules: Vec<Rule>,
}

impl TimeInterval {
    fn new(name: String, rules: Vec<Rule>) -> Self {
        Self { name, rules }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it contains the moment.
    pub fn contains(&self, at: Timestamp) -> bool {
        self.rules.iter().any(|rule| rule.contains(at))
    }

    /// The first moment from `at` on that it does not contain: `at` itself when it does not contain that.
    /// `None` when there is none within [`HORIZON_DAYS`].
    pub fn end_of(&self, at: Timestamp) -> Option<Timestamp> {
        let horizon = horizon(at);
        let mut end = at;
        // One rule may take over where another stops; each turn ends a rule's stretch, and time only moves on.
        while let Some(rule) = self.rules.iter().find(|rule| rule.contains(end)) {
            end = rule.next(false, end, horizon)?;
        }
        Some(end)
    }

    /// The first moment from `at` on that it contains: `at` itself when it contains that.
    /// `None` when there is none within [`HORIZON_DAYS`].
    pub fn next_start(&self, at: Timestamp) -> Option<Timestamp> {
        let horizon = horizon(at);
        self.rules.iter().filter_map(|rule| rule.next(true, at, horizon)).min()
    }
}

/// The end of the search that starts at `at`.
pub(in crate::route) fn horizon(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * HORIZON_DAYS)).unwrap_or(Timestamp::MAX)
}
