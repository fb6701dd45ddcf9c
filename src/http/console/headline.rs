//! The head of the first page: how many incidents are open, and how many of them need somebody. Live updates keep it right.

use super::parts::say;
use crate::model::Language;
use crate::store::{IncidentState, OpenIncident, OpenIncidents};

/// From so many open incidents on it is a storm.
pub(super) const STORM: usize = 30;

/// How many incidents are open, and in which states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Headline {
    /// All of them.
    pub(super) open: usize,
    /// Those on which nobody is.
    pub(super) firing: usize,
    /// Those on which somebody is.
    pub(super) acked: usize,
    /// Those that ring again later.
    pub(super) snoozed: usize,
}

impl Headline {
    /// Of these.
    pub(super) fn of(open: &[OpenIncident]) -> Self {
        let count = |state: IncidentState| open.iter().filter(|one| one.state == state).count();
        let (firing, acked, snoozed) = (count(IncidentState::Firing), count(IncidentState::Acked), count(IncidentState::Snoozed));
        Self { open: open.len(), firing, acked, snoozed }
    }

    /// Of what was counted.
    pub(super) fn counted(open: &OpenIncidents) -> Self {
        let of = |state: IncidentState| open.count(|count| count.state == state);
        let (firing, acked, snoozed) = (of(IncidentState::Firing), of(IncidentState::Acked), of(IncidentState::Snoozed));
        Self { open: open.count(|_| true), firing, acked, snoozed }
    }

    /// The heading.
    pub(super) fn heading(self, language: Language) -> String {
        match (self.open, self.firing) {
            (0, _) => say(language, "All quiet", "一切平静").to_owned(),
            (n, _) if n >= STORM => format!("{n} {}", say(language, "open: a storm", "个未结事件：告警风暴")),
            (_, 0) => say(language, "Nothing needs you", "无需处理").to_owned(),
            (_, 1) => say(language, "1 needs somebody", "1 个待认领").to_owned(),
            (_, n) => format!("{n} {}", say(language, "need somebody", "个待认领")),
        }
    }

    /// The line below it.
    pub(super) fn detail(self, language: Language) -> String {
        let Self { open, firing, acked, snoozed } = self;
        match (open, language) {
            (0, _) => say(language, "Nothing fires.", "没有告警在触发。").to_owned(),
            (_, Language::En) => format!("{open} open: {firing} not acked, {acked} acked, {snoozed} snoozed."),
            (_, Language::Zh) => format!("{open} 个未结：{firing} 个待认领，{acked} 个处理中，{snoozed} 个暂缓。"),
        }
    }

    /// The same for an open page, a line each: heading, detail, and how many the title of the tab counts.
    pub(super) fn lines(self, language: Language) -> String {
        format!("{}\n{}\n{}", self.heading(language), self.detail(language), self.firing)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::IncidentState::{Acked, Firing, Snoozed};

    use super::*;
    use crate::model::{IncidentId, UnixMs};
    use crate::store::IncidentCount;

    #[test]
    fn the_head_says_how_many_need_somebody() {
        let one = |state| OpenIncident { id: IncidentId(1), version: 1, rank: 0, state, opened_at: UnixMs(1) };
        let said = |states: &[IncidentState]| Headline::of(&states.iter().map(|state| one(*state)).collect::<Vec<_>>()).lines(Language::En);
        assert_eq!(said(&[]), "All quiet\nNothing fires.\n0");
        assert_eq!(said(&[Acked, Snoozed]), "Nothing needs you\n2 open: 0 not acked, 1 acked, 1 snoozed.\n0");
        assert_eq!(said(&[Firing, Acked]), "1 needs somebody\n2 open: 1 not acked, 1 acked, 0 snoozed.\n1");
        assert!(said(&[Firing; STORM]).starts_with("30 open: a storm\n30 open: 30 not acked, "));
        let count = |state, count| IncidentCount { rank: 0, state, count };
        let counted = OpenIncidents { counts: vec![count(Firing, 1), count(Acked, 2), count(Firing, 3)], newest: None };
        assert_eq!(Headline::counted(&counted), Headline { open: 6, firing: 4, acked: 2, snoozed: 0 });
        let zh = Headline { open: 3, firing: 2, acked: 1, snoozed: 0 }.lines(Language::Zh);
        assert_eq!(zh, "2 个待认领\n3 个未结：2 个待认领，1 个处理中，0 个暂缓。\n2");
    }
}
