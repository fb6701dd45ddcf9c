//! What random histories do to incidents and their anchors, and what is compared of them.

use proptest::prelude::*;
use proptest::sample::Index;

use super::super::fixtures::*;
use super::{CHANNELS, Run};
use crate::model::{IncidentId, PlatformIds};
use crate::store::*;

/// Something that changes incidents or anchors.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Report { key: u8, alerts: Vec<(u64, bool)>, whole: bool, state: State },
    Confirm { incident: Index, channel: usize, behind: i64, anchor: bool, edited: bool },
    Edit { incident: Index, channel: usize, change: u8, behind: i64 },
    EndStale { age: i64 },
    GiveUp { age: i64 },
}

pub(super) fn ops() -> impl Strategy<Value = Op> {
    let alerts = || proptest::collection::vec((0..4u64, proptest::bool::weighted(0.6)), 1..4);
    let state = || prop_oneof![Just(State::Waiting), Just(State::Skipped)];
    let index = any::<Index>;
    prop_oneof![
        6 => (0..3u8, alerts(), any::<bool>(), state()).prop_map(|(key, alerts, whole, state)| Op::Report { key, alerts, whole, state }),
        4 => (index(), 0..2usize, 0..2i64, proptest::bool::weighted(0.8), proptest::bool::weighted(0.8))
            .prop_map(|(incident, channel, behind, anchor, edited)| Op::Confirm { incident, channel, behind, anchor, edited }),
        3 => (index(), 0..2usize, 0..8u8, 0..2i64).prop_map(|(incident, channel, change, behind)| Op::Edit { incident, channel, change, behind }),
        1 => (0..8i64).prop_map(|age| Op::EndStale { age: age * 1000 }),
        1 => (0..8i64).prop_map(|age| Op::GiveUp { age: age * 1000 }),
    ]
}

impl Run {
    fn incident(&self, ix: &Index) -> Option<(IncidentId, i64)> {
        let all = &self.model.incidents.all;
        (!all.is_empty()).then(|| &all[ix.index(all.len())]).map(|incident| (incident.id, incident.version))
    }

    pub(super) async fn change_incidents(&mut self, op: Op) {
        match op {
            Op::Report { key, alerts, whole, state } => self.report(key, &alerts, whole, state).await,
            Op::Confirm { incident, channel, behind, anchor, edited } => {
                let Some((id, version)) = self.incident(&incident) else { return };
                let mut update = AnchorUpdate { channel: CHANNELS[channel].into(), edited, ..anchored(id, (version - behind).max(0)) };
                if !anchor {
                    (update.ids, update.shown) = (None, None);
                }
                let batch = OutcomeBatch { anchors: vec![update.clone()], now: self.now, ..settlement(&self.fence) };
                self.store.record_outcome(batch).await.unwrap();
                self.model.incidents.confirm(&update, self.now);
            }
            Op::Edit { incident, channel, change, behind } => {
                let Some((id, version)) = self.incident(&incident) else { return };
                let shown = (version - behind).max(0);
                let change = match change {
                    0 | 1 => EditChange::Shown(shown),
                    2 => EditChange::Gone { repost: behind == 0, why: "gone".into() },
                    3 => EditChange::Posted { shown, ids: PlatformIds::one("ts", "again".to_owned()) },
                    4 => EditChange::Failed,
                    5 => EditChange::Last { shown, over: if behind == 0 { vec![1] } else { Vec::new() } },
                    6 => EditChange::Kept(shown),
                    _ => EditChange::GivenUp("too old".into()),
                };
                let AnchorUpdate { recipient, .. } = anchored(id, 1);
                // Mostly of what the anchor is now; now and then of a message that another one took the place of.
                let anchors = self.store.get_incident(id).await.unwrap().map_or_else(Vec::new, |detail| detail.anchors);
                let of = anchors.into_iter().find(|anchor| anchor.channel == CHANNELS[channel] && anchor.recipient == recipient && behind < 2);
                let (ids, notified) = of.map_or_else(Default::default, |anchor| (anchor.ids, anchor.notified));
                let outcome = EditOutcome {
                    incident: id,
                    channel: CHANNELS[channel].into(),
                    recipient,
                    ids,
                    notified,
                    change,
                    next_edit_at: self.now,
                    sent_in_month: None,
                    now: self.now,
                };
                self.store.record_edit(self.fence.clone(), outcome.clone()).await.unwrap();
                self.model.incidents.edit(&outcome);
            }
            Op::EndStale { age } => {
                let ended = self.store.end_stale_incidents(self.now - age, self.now, 99).await.unwrap();
                assert_eq!(ended, self.model.incidents.end_stale(self.now - age, self.now));
            }
            Op::GiveUp { age } => {
                let given_up = self.store.give_up_edits(self.now - age, &CHANNELS.map(str::to_owned), self.now).await.unwrap();
                assert_eq!(given_up, self.model.incidents.give_up(self.now - age));
            }
        }
    }

    async fn report(&mut self, key: u8, alerts: &[(u64, bool)], whole: bool, state: State) {
        let said = IncidentReport { whole, reopen_within: 3000, ..report(&format!("i{key}"), alerts) };
        let mut event = reporting(said.clone(), self.now);
        event.deliveries[0].state = state;
        let new = event.deliveries[0].clone();
        let accepted = self.store.accept(event.clone()).await.unwrap().deliveries.remove(0);
        let expected = self.model.incidents.report(&said, event.id, self.now, accepted.incident);
        assert_eq!(accepted.incident, expected, "{said:?}");
        self.born(&accepted, &new, event.id);
    }

    /// Incidents, and their anchors on each channel; every edited anchor is dirty or shows its incident's version (I14).
    pub(super) async fn compare_incidents(&self, what: &str) {
        let model = &self.model.incidents;
        let mut all = self.store.list_incidents(&IncidentFilter { limit: 1000, ..IncidentFilter::default() }).await.unwrap();
        all.reverse();
        assert_eq!(all, model.all, "incidents after {what}");
        let ids: Vec<IncidentId> = all.iter().map(|incident| incident.id).collect();
        for channel in CHANNELS {
            let found = self.store.incidents(&ids, channel).await.unwrap();
            assert_eq!(found.iter().map(|(incident, _)| incident.id).collect::<Vec<_>>(), ids);
            let mut expected: Vec<Anchor> = model.anchors.iter().filter(|anchor| anchor.channel == channel).cloned().collect();
            expected.sort_by_key(|anchor| anchor.incident);
            assert_eq!(found.into_iter().flat_map(|(_, anchors)| anchors).collect::<Vec<_>>(), expected, "anchors of {channel} after {what}");
            let dirty = self.store.dirty_anchors(&[channel.to_owned()], self.now, 1000).await.unwrap();
            assert!(dirty.iter().all(|one| all.contains(&one.incident)));
            let dirty: Vec<Anchor> = dirty.into_iter().map(|one| one.anchor).collect();
            assert_eq!(dirty, model.dirty(channel, self.now), "dirty anchors of {channel} after {what}");
        }
        let mut open: Vec<IncidentCount> = Vec::new();
        for rank in 0..4 {
            let count = all.iter().filter(|incident| incident.state.is_open() && incident.rank == rank).count() as u64;
            open.extend((count > 0).then_some(IncidentCount { rank, state: IncidentState::Firing, count }));
        }
        assert_eq!(self.store.stats().await.unwrap().incidents, open);
    }

    /// Timelines, at the end of a history.
    pub(super) async fn compare_timelines(&self) {
        for incident in &self.model.incidents.all {
            let kinds: Vec<_> = super::super::fixtures::incident(&self.store, incident.id).await.timeline.iter().map(|row| row.kind).collect();
            let expected: Vec<_> = self.model.incidents.timeline.iter().filter(|(id, _)| *id == incident.id).map(|(_, kind)| *kind).collect();
            assert_eq!(kinds, expected, "{}", incident.id);
        }
    }
}
