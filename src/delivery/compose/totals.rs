//! What a message says of all its alerts together.

use crate::delivery::fold::Folded;
use crate::delivery::plan::Plan;
use crate::model::{Event, Severity};
use crate::template::{Brief, EntryStatus};

/// Numbers over all alerts of a message, shown or not.
pub(super) struct Totals {
    pub(super) firing: usize,
    pub(super) resolved: usize,
    pub(super) truncated: u64,
    pub(super) severity: Severity,
    /// Whether alerts may fire that the sender left out, though none that it lists does.
    pub(super) goes_on: bool,
    /// Whether nothing of the group fires any more.
    pub(super) over: bool,
}

impl Totals {
    /// Of a lane's message. `unresolved` of its alerts were not reported over yet, where that was asked for.
    pub(super) fn of(folded: &Folded<'_>, unresolved: Option<u64>, plan: &Plan) -> Self {
        let entries = &folded.entries;
        let firing = entries.iter().filter(|e| e.status == EntryStatus::Firing).count();
        let severity =
            entries.iter().filter(|e| firing == 0 || e.status == EntryStatus::Firing).map(|e| plan.scale.of(e.alert)).min().unwrap_or_default();
        let newest = folded.newest;
        let over = firing == 0 && unresolved.map_or_else(|| newest.is_some_and(Event::is_whole), |left| left == 0);
        let goes_on = firing == 0 && !over && newest.is_some_and(Event::may_fire_on);
        let truncated = newest.map_or(0, |event| event.truncated);
        Self { firing, resolved: entries.len() - firing, truncated, severity, goes_on, over }
    }

    /// Of a digest.
    pub(super) fn of_briefs<'b>(briefs: impl Iterator<Item = &'b Brief> + Clone) -> Self {
        let is_firing = |brief: &&Brief| brief.status == EntryStatus::Firing;
        let count = |firing: bool| briefs.clone().filter(|brief| is_firing(brief) == firing).map(|brief| brief.count).sum();
        let firing = count(true);
        let severity = briefs.clone().filter(|brief| firing == 0 || is_firing(brief)).map(|brief| brief.severity).min().unwrap_or_default();
        Self { firing, resolved: count(false), truncated: 0, severity, goes_on: false, over: false }
    }
}
