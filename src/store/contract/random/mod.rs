//! Random histories: the same operations on an engine and on the model, compared after each.

mod incidents;

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::fixtures::*;
use super::model::{Delivery, Model};
use crate::model::{DeliveryId, LaneId, MessageId, UnixMs};
use crate::store::*;

const CHANNELS: [&str; 3] = ["ops", "dba", "night"];

#[derive(Debug, Clone)]
enum Op {
    Accept { channel: usize, key: u8, state: State, rank: i64, born: i64, due: i64, dedup: Option<u8> },
    Form { lane: Index, from: usize, take: usize },
    Settle { message: Index, state: State, due: i64, leave_message: bool, done: bool },
    Single { lane: Index, take: usize, state: State, due: i64, leave_message: bool, child: Option<usize> },
    Drop { delivery: Index },
    Requeue { delivery: Index, to: Option<usize> },
    Relocate { from: usize, to: usize },
    Own,
    Stale { delivery: Index },
    Purge { age: i64 },
    Incidents(incidents::Op),
}

fn ops() -> impl Strategy<Value = Op> {
    let born = prop_oneof![Just(State::Waiting), Just(State::Waiting), Just(State::Deferred), Just(State::Skipped)];
    let becomes = || proptest::sample::select(vec![State::Sent, State::Sent, State::Dead, State::Waiting, State::Deferred, State::Unknown]);
    let index = any::<Index>;
    prop_oneof![
        8 => (0..2usize, 0..3u8, born, 0..4i64, -600..600i64, 0..600i64, proptest::option::of(0..4u8)).prop_map(
            |(channel, key, state, rank, born, due, dedup)| Op::Accept { channel, key, state, rank, born: born * 1000, due: due * 1000, dedup }
        ),
        3 => (index(), 0..2usize, 1..4usize).prop_map(|(lane, from, take)| Op::Form { lane, from: from / 2 * from, take }),
        1 => (index(), 1..3usize).prop_map(|(lane, from)| Op::Form { lane, from, take: 1 }),
        4 => (index(), becomes(), 0..600i64, any::<bool>(), any::<bool>())
            .prop_map(|(message, state, due, leave_message, done)| Op::Settle { message, state, due: due * 1000, leave_message, done }),
        5 => (index(), 1..3usize, becomes(), 0..600i64, any::<bool>(), proptest::option::of(0..2usize))
            .prop_map(|(lane, take, state, due, leave_message, child)| Op::Single { lane, take, state, due: due * 1000, leave_message, child }),
        1 => index().prop_map(|delivery| Op::Drop { delivery }),
        2 => (index(), proptest::option::of(0..2usize)).prop_map(|(delivery, to)| Op::Requeue { delivery, to }),
        1 => (0..3usize, 0..3usize).prop_map(|(from, to)| Op::Relocate { from, to }),
        1 => Just(Op::Own),
        1 => index().prop_map(|delivery| Op::Stale { delivery }),
        1 => (0..8i64).prop_map(|age| Op::Purge { age: age * 1000 }),
        12 => incidents::ops().prop_map(Op::Incidents),
    ]
}

/// `WATCHFIRE_ROUNDS` histories, or as many as the gate has time for.
fn rounds() -> u32 {
    std::env::var("WATCHFIRE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(8)
}

/// Runs random histories against stores that `open` makes.
pub fn histories_match_the_model<K, F: Future<Output = Option<(S, K)>>>(open: fn() -> F) {
    let config = ProptestConfig { cases: rounds(), failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    proptest!(config, |(history in proptest::collection::vec(ops(), 1..90))| {
        runtime.block_on(async {
            let Some((store, _keep)) = open().await else { return };
            let mut run = Run { fence: fence(&store).await, store, model: Model::default(), now: T0 };
            for op in history {
                run.step(op.clone()).await;
                run.compare(&op).await;
                run.compare_incidents(&format!("{op:?}")).await;
            }
            run.compare_timelines().await;
            run.store.close().await;
        });
    });
}

struct Run {
    store: S,
    model: Model,
    fence: Fence,
    now: UnixMs,
}

impl Run {
    fn lane(&self, ix: &Index) -> Option<LaneId> {
        (!self.model.lanes.is_empty()).then(|| self.model.lanes[ix.index(self.model.lanes.len())].id)
    }

    fn delivery(&self, ix: &Index) -> Option<Delivery> {
        (!self.model.deliveries.is_empty()).then(|| self.model.deliveries[ix.index(self.model.deliveries.len())].clone())
    }

    fn key_of(&self, lane: LaneId) -> String {
        self.model.lanes.iter().find(|l| l.id == lane).map(|l| l.key.clone()).unwrap_or_default()
    }

    async fn step(&mut self, op: Op) {
        self.now += 1000;
        match op {
            Op::Accept { channel, key, state, rank, born, due, dedup } => {
                let (born_at, due_at) = (self.now + born, self.now + due);
                self.accept(NewDelivery { state, rank, born_at, due_at, ..delivery(CHANNELS[channel], &format!("k{key}")) }, dedup).await;
            }
            Op::Form { lane, from, take } => self.form(lane, from, take).await,
            Op::Settle { message, state, due, leave_message, done } => self.settle(message, state, due, leave_message, done).await,
            Op::Single { lane, take, state, due, leave_message, child } => self.single(lane, take, state, due, leave_message, child).await,
            Op::Drop { delivery } => self.drop(delivery).await,
            Op::Requeue { delivery, to } => self.requeue(delivery, to).await,
            Op::Relocate { from, to } => {
                self.store.relocate(CHANNELS[from], &to_channel(CHANNELS[to], &outlet())).await.unwrap();
                if from != to {
                    self.model.relocate(CHANNELS[from], CHANNELS[to]);
                }
            }
            Op::Own => {
                let owned = self.store.claim_outlet(claim("n1", self.now)).await.unwrap().unwrap();
                assert_eq!(owned.open.len(), self.model.open.len());
                self.fence.epoch = owned.epoch;
            }
            Op::Stale { delivery } => {
                let Some(d) = self.delivery(&delivery) else { return };
                let old = Fence { epoch: self.fence.epoch - 1, ..self.fence.clone() };
                let s = OutcomeBatch { deliveries: vec![ends(&d, State::Sent, UnixMs(0), false)], ..with_message(&old, message(&[d.id]), true) };
                assert!(matches!(self.store.record_outcome(s).await, Err(StoreError::Fenced)));
            }
            Op::Purge { age } => {
                let before = self.now - age;
                let keep =
                    Retention { sent_before: before, presses_before: before, audit_rows: 100, dead_before: before - 3000, open_incidents: true };
                let removed = self.store.purge(keep, 10_000).await.unwrap();
                assert_eq!(removed, self.model.purge(before, before - 3000));
            }
            Op::Incidents(op) => self.change_incidents(op).await,
        }
    }

    async fn accept(&mut self, new: NewDelivery, key: Option<u8>) {
        let window = Duration::from_secs(4);
        let dedup = key.map(|key| Dedup { key: [key; 32], window });
        let event = NewEvent { dedup, received_at: self.now, ..event(vec![new.clone()]) };
        let accepted = self.store.accept(event.clone()).await.unwrap();
        let lane = self.model.lanes.iter().find(|l| l.channel == new.channel && l.key == new.lane_key);
        let newest = lane.and_then(|lane| lane.newest.filter(|(.., seq)| *seq == lane.last_seq));
        if let Some((known, first, at, _)) = newest
            && key == Some(known)
            && at > self.now - window
        {
            assert_eq!((accepted.duplicate, accepted.event), (true, first));
            return;
        }
        assert!(!accepted.duplicate);
        self.born(&accepted.deliveries[0], &new, event.id);
        let now = self.now;
        if let Some(lane) = self.model.lanes.iter_mut().find(|l| l.channel == new.channel && l.key == new.lane_key) {
            lane.newest = key.map(|key| (key, event.id, now, lane.last_seq));
        }
    }

    fn born(&mut self, accepted: &AcceptedDelivery, new: &NewDelivery, event: crate::model::EventId) {
        let d = Delivery {
            id: accepted.id,
            event,
            channel: new.channel.clone(),
            lane: accepted.lane,
            seq: 0,
            state: new.state,
            rank: new.rank,
            born: new.born_at,
            due: new.due_at,
            tries: 0,
            message: None,
            fallback_of: new.fallback.of,
            done_at: new.state.is_final().then_some(self.now),
            incident: accepted.incident,
            replayed: false,
        };
        assert_eq!(accepted.state, new.state);
        assert_eq!(self.model.append(d, &new.lane_key), accepted.lane_seq, "places are contiguous");
    }

    async fn form(&mut self, lane: Index, from: usize, take: usize) {
        let Some(lane) = self.lane(&lane) else { return };
        let open: Vec<Delivery> = self.model.open_in(lane).into_iter().cloned().collect();
        let members: Vec<Delivery> = open.iter().skip(from).take(take).cloned().collect();
        if members.is_empty() {
            return;
        }
        let last = members.iter().filter(|d| d.state == State::Waiting).map(|d| d.seq).max().unwrap_or(0);
        let gap = open.iter().any(|d| d.state == State::Waiting && d.seq < last && members.iter().all(|m| m.id != d.id));
        let formed = message(&members.iter().map(|d| d.id).collect::<Vec<_>>());
        let answer = self.store.store_message(self.fence.clone(), formed.clone()).await;
        if gap || self.model.message_in(lane).is_some() {
            assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
            return;
        }
        answer.unwrap();
        self.model.open.push(formed.id);
        for member in members {
            self.model.get(member.id).expect("open").message = Some(formed.id);
        }
    }

    async fn settle(&mut self, message: Index, state: State, due: i64, leave_message: bool, done: bool) {
        if self.model.open.is_empty() {
            return;
        }
        let id = self.model.open[message.index(self.model.open.len())];
        let members: Vec<Delivery> = self.model.deliveries.iter().filter(|d| d.message == Some(id) && d.open()).cloned().collect();
        let deliveries = members.iter().map(|d| ends(d, state, self.now + due, leave_message)).collect();
        self.store.record_outcome(OutcomeBatch { deliveries, now: self.now, ..of_message(&self.fence, id, done) }).await.unwrap();
        self.apply(&members, state, self.now + due, leave_message, None);
        if done {
            self.finish(id);
        }
    }

    fn finish(&mut self, id: MessageId) {
        self.model.open.retain(|open| *open != id);
        self.model.done.push(id);
    }

    /// The hot path: a message that is stored with its outcome.
    async fn single(&mut self, lane: Index, take: usize, state: State, due: i64, leave_message: bool, child: Option<usize>) {
        let Some(lane) = self.lane(&lane) else { return };
        if self.model.message_in(lane).is_some() {
            return;
        }
        let members: Vec<Delivery> = self.model.open_in(lane).into_iter().take(take).cloned().collect();
        let Some(first) = members.first() else { return };
        let single = message(&members.iter().map(|d| d.id).collect::<Vec<_>>());
        let id = single.id;
        let mut s = OutcomeBatch { now: self.now, attempt: Some(ended("ok", self.now)), ..with_message(&self.fence, single, true) };
        s.deliveries = members.iter().map(|d| ends(d, state, self.now + due, leave_message)).collect();
        let mut expected = None;
        if let (Some(channel), State::Dead) = (child, state) {
            let fallback_of = Some(first.id);
            let new = NewDelivery {
                fallback: Fallback { of: fallback_of, depth: 0 },
                rank: first.rank,
                born_at: first.born,
                due_at: self.now,
                ..delivery(CHANNELS[channel], "k0")
            };
            s.children = vec![FallbackChild { event: first.event, delivery: new.clone() }];
            let exists = self.model.deliveries.iter().any(|d| d.fallback_of == fallback_of && d.channel == new.channel);
            expected = (!exists).then_some((new, first.event));
        }
        let settled = self.store.record_outcome(s).await.unwrap();
        self.apply(&members, state, self.now + due, leave_message, Some(id));
        self.model.done.push(id);
        assert_eq!(settled.children.len(), usize::from(expected.is_some()));
        if let Some((new, event)) = expected {
            self.born(&settled.children[0], &new, event);
        }
    }

    fn apply(&mut self, members: &[Delivery], state: State, due: UnixMs, leave_message: bool, message: Option<MessageId>) {
        let now = self.now;
        for member in members {
            let d = self.model.get(member.id).expect("open");
            (d.state, d.due, d.tries) = (state, due, 1);
            d.done_at = state.is_final().then_some(now);
            d.message = if leave_message { None } else { message.or(d.message) };
        }
    }

    async fn drop(&mut self, delivery: Index) {
        let Some(d) = self.delivery(&delivery) else { return };
        let in_flight = d.message.is_some_and(|m| self.model.open.contains(&m));
        let drops = (d.open() || d.state == State::Dead) && !in_flight;
        assert_eq!(self.store.drop_deliveries(&[d.id], "r", self.now).await.unwrap(), u64::from(drops));
        if drops {
            let now = self.now;
            let d = self.model.get(d.id).expect("there");
            (d.state, d.done_at) = (State::Dropped, Some(now));
        }
    }

    async fn requeue(&mut self, delivery: Index, to: Option<usize>) {
        let Some(d) = self.delivery(&delivery) else { return };
        let in_flight = d.message.is_some_and(|m| self.model.open.contains(&m));
        let refused = d.state == State::Sent || (d.open() && in_flight);
        let channel = to.map_or(d.channel.as_str(), |ix| CHANNELS[ix]).to_owned();
        let target = to.map(|_| MoveTo { channel: channel.clone(), outlet: outlet(), fallback: vec![] });
        let answer = self.store.requeue(&[d.id], target, self.now).await;
        if refused {
            assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
            return;
        }
        let new = answer.unwrap().remove(0);
        if d.open() && to.is_none() {
            let now = self.now;
            let old = self.model.get(d.id).expect("there");
            (old.state, old.due) = (State::Waiting, old.due.min(now));
            return assert_eq!((new.id, new.lane, new.lane_seq, new.incident), (d.id, d.lane, d.seq, d.incident));
        }
        let key = self.key_of(d.lane);
        let born = NewDelivery { id: new.id, rank: d.rank, born_at: self.now, due_at: self.now, ..super::fixtures::delivery(&channel, &key) };
        let incident = d.incident.filter(|_| d.state != State::Skipped);
        assert_eq!(new.incident, incident, "as its origin, but for what was skipped: it is asked for now, whatever is known");
        self.born(&new, &born, d.event);
        let now = self.now;
        let old = self.model.get(d.id).expect("there");
        if d.open() {
            (old.state, old.done_at) = (State::Dropped, Some(now));
        } else {
            old.replayed = true;
        }
    }

    async fn compare(&self, op: &Op) {
        assert_eq!(ready(&self.store).await, self.model.ready(), "ready lanes after {op:?}");
        let filter = DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() };
        let rows = self.store.list_deliveries(&filter).await.unwrap();
        let mut expected: Vec<&Delivery> = self.model.deliveries.iter().collect();
        expected.sort_by_key(|d| std::cmp::Reverse(d.id));
        assert_eq!(rows.len(), expected.len(), "after {op:?}");
        for (row, d) in rows.iter().zip(expected) {
            let got = (row.id, &row.channel, row.state, row.due_at, row.tries, row.message, row.fallback_of, row.done_at, row.incident);
            assert_eq!(got, (d.id, &d.channel, d.state, d.due, d.tries, d.message, d.fallback_of, d.done_at, d.incident), "after {op:?}");
            assert!(d.open() || row.message.is_some() || row.reason.is_some(), "I4 after {op:?}");
        }
        for lane in &self.model.lanes {
            let open: Vec<(i64, DeliveryId)> = self.model.open_in(lane.id).iter().map(|d| (d.seq, d.id)).collect();
            assert_eq!(places(&self.store, lane.id).await, open, "lane {} after {op:?}", lane.key);
        }
        let stats = self.store.stats().await.unwrap();
        let open: u64 = stats.open.iter().map(|(.., n)| n).sum();
        let dead: u64 = stats.dead.iter().map(|(_, n)| n).sum();
        let count = |of: fn(&&Delivery) -> bool| self.model.deliveries.iter().filter(of).count() as u64;
        assert_eq!((open, dead), (count(|d| d.open()), count(|d| d.state == State::Dead && !d.replayed)), "counts after {op:?}");
    }
}

fn ends(d: &Delivery, state: State, due_at: UnixMs, leave_message: bool) -> DeliveryUpdate {
    // A reason is always given, as a worker does; that one is made up when it is not, the other tests check.
    DeliveryUpdate { id: d.id, lane: d.lane, state, tries: 1, due_at, reason: Some("r".into()), leave_message }
}
