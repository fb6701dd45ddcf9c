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
        // What a sender left out is counted in this very message, so the group is not over, whatever ended of what it listed.
        let goes_on = shown.firing == 0 && newest.is_some_and(Event::may_fire_on);
        let over = shown.firing == 0
            && shown.unreported == 0
            && !goes_on
            && unresolved.map_or_else(|| newest.is_some_and(Event::is_whole), |left| left == 0);
        let truncated = newest.map_or(0, |event| event.truncated);
        Self { shown: template::Totals { truncated, goes_on, ..shown }, over }
    }

    /// Something that is not among the alerts fires on.
    pub(super) fn goes_on(&mut self, goes_on: bool) {
        if goes_on {
            self.shown.goes_on |= self.shown.firing == 0;
            self.over = false;
        }
    }

    /// Of a digest whose lanes have these newest events.
    pub(super) fn of_briefs<'b>(briefs: impl Iterator<Item = &'b Brief> + Clone, newest: impl Iterator<Item = &'b Event> + Clone) -> Self {
        let mut shown = template::Totals { truncated: newest.clone().map(|event| event.truncated).sum(), ..template::Totals::default() };
        for brief in briefs.clone() {
            shown.count(brief.status, brief.severity, brief.count);
        }
        let fires = |brief: &&Brief| shown.firing == 0 || brief.status == EntryStatus::Firing;
        shown.goes_on = shown.firing == 0 && newest.clone().any(Event::may_fire_on);
        shown.severity = briefs.filter(fires).map(|brief| brief.severity.unwrap_or_default()).min().unwrap_or_default();
        Self { shown, over: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Status};

    #[test]
    fn a_digest_of_ends_is_not_over_while_a_sender_leaves_alerts_out() {
        let brief = |status| Brief { severity: Some(Severity::Critical), status, title: String::new(), count: 1, since: None };
        let event = |truncated| Event { status: Status::Resolved, group_key: "g".into(), truncated, ..Event::default() };
        let of = |statuses: &[EntryStatus], truncated: &[u64]| {
            let (briefs, events): (Vec<_>, Vec<_>) = (statuses.iter().map(|s| brief(*s)).collect(), truncated.iter().map(|n| event(*n)).collect());
            let totals = Totals::of_briefs(briefs.iter(), events.iter());
            (totals.shown.truncated, totals.shown.goes_on, totals.over)
        };
        use EntryStatus::{Firing, Resolved};
        assert_eq!(of(&[Resolved, Resolved], &[0, 0]), (0, false, false));
        assert_eq!(of(&[Resolved, Resolved], &[0, 3]), (3, true, false));
        assert_eq!(of(&[Resolved, Firing], &[2, 3]), (5, false, false), "it fires in any case");
    }

    #[test]
    fn an_alert_without_a_severity_is_counted_as_firing_and_as_nothing_else() {
        let brief = |severity| Brief { severity, status: EntryStatus::Firing, title: String::new(), count: 2, since: None };
        let briefs = [brief(Some(Severity::Info)), brief(None)];
        let totals = Totals::of_briefs(briefs.iter(), std::iter::empty());
        assert_eq!((totals.shown.firing, totals.shown.claimed, totals.shown.severity), (4, [0, 0, 0, 2], Severity::Warning));
    }
}
