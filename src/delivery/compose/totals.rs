//! What a message says of all its alerts together.

use crate::delivery::fold::Folded;
use crate::delivery::plan::Plan;
use crate::model::Event;
use crate::template::{self, Brief, EntryStatus};

/// Numbers over all alerts of a message, shown or not.
pub(super) struct Totals {
    /// What templates see of them.
    pub(super) shown: template::Totals,
    /// Whether nothing of the group fires any more.
    pub(super) over: bool,
}

impl Totals {
    /// Of a lane's message. `unresolved` of its alerts were not reported over yet, where that was asked for.
    pub(super) fn of(folded: &Folded<'_>, unresolved: Option<u64>, plan: &Plan) -> Self {
        let shown = template::Totals::of(&folded.entries, &plan.scale);
        let newest = folded.newest;
        let over = shown.firing == 0 && unresolved.map_or_else(|| newest.is_some_and(Event::is_whole), |left| left == 0);
        let goes_on = shown.firing == 0 && !over && newest.is_some_and(Event::may_fire_on);
        let truncated = newest.map_or(0, |event| event.truncated);
        Self { shown: template::Totals { truncated, goes_on, ..shown }, over }
    }

    /// Of a digest.
    pub(super) fn of_briefs<'b>(briefs: impl Iterator<Item = &'b Brief> + Clone) -> Self {
        let mut shown = template::Totals::default();
        for brief in briefs.clone() {
            shown.count(brief.status, Some(brief.severity), brief.count);
        }
        let fires = |brief: &&Brief| shown.firing == 0 || brief.status == EntryStatus::Firing;
        shown.severity = briefs.filter(fires).map(|brief| brief.severity).min().unwrap_or_default();
        Self { shown, over: false }
    }
}
