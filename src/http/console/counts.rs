//! What the navigation counts: how much needs somebody, page by page.

use std::collections::HashSet;

use crate::delivery::ChannelPlan;
use crate::http::{App, Caller};
use crate::model::OutletKey;
use crate::store::{IncidentState, Stats};

/// How much needs somebody, of what a caller may see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Incidents on which nobody is.
    pub(super) firing: u64,
    /// Dead letters.
    pub(super) dead: u64,
    /// Channels that are held.
    pub(super) held: u64,
}

impl Counts {
    /// As of when the store was counted last, which is seconds ago: a page asks the store for nothing that only its navigation shows.
    pub(super) fn of(app: &App, caller: &Caller) -> Self {
        let Some(stats) = app.engine.last_stats() else { return Self::default() };
        let recorded: HashSet<&OutletKey> = stats.outlets.iter().filter(|row| row.suspended.is_some()).map(|row| &row.key).collect();
        let is_held = |channel: &ChannelPlan| {
            let outlet = app.engine.outlet_state(&channel.outlet);
            outlet.suspended.is_some() || (!outlet.owned && recorded.contains(&channel.outlet))
        };
        let plan = app.engine.plan();
        let channels = plan.channels.values().filter(|channel| !channel.disabled && caller.may_use(&channel.name));
        Self { held: channels.filter(|channel| is_held(channel)).count() as u64, ..Self::stored(&stats, caller) }
    }

    /// Those of the store.
    fn stored(stats: &Stats, caller: &Caller) -> Self {
        let firing = stats.incidents.iter().filter(|one| !caller.is_limited() && one.state == IncidentState::Firing).map(|one| one.count).sum();
        let dead = stats.dead.iter().filter(|(channel, _)| caller.may_use(channel)).map(|(_, count)| count).sum();
        Self { firing, dead, held: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::IncidentCount;

    #[test]
    fn what_a_caller_may_not_see_is_not_counted() {
        let count = |state, count| IncidentCount { rank: 0, state, count };
        let stats = Stats {
            incidents: vec![count(IncidentState::Firing, 3), count(IncidentState::Acked, 5), count(IncidentState::Firing, 4)],
            dead: vec![("ops".into(), 2), ("web".into(), 9)],
            ..Stats::default()
        };
        let limited = Caller { channels: vec!["ops".into()], ..Caller::default() };
        assert_eq!(Counts::stored(&stats, &Caller::default()), Counts { firing: 7, dead: 11, held: 0 });
        assert_eq!(Counts::stored(&stats, &limited), Counts { firing: 0, dead: 2, held: 0 });
    }
}
