//! Contract of `ready_lanes`, `pending` and `lane_history`: order, ageing, counters, what hides a lane.

use super::fixtures::*;
use crate::model::{DeliveryId, LaneId, UnixMs};
use crate::store::*;

pub async fn ready_lanes_come_by_rank_and_age(store: S) {
    let mut lanes = Vec::new();
    // One step of rank weighs five minutes: the info lane is born 11 minutes before the error lane and so precedes it.
    for (key, rank, born) in [("warning", 2, 0), ("critical", 0, 0), ("old info", 3, -11 * MIN), ("error", 1, 0), ("newer critical", 0, 1)] {
        lanes.push((key, put_one(&store, NewDelivery { rank, born_at: T0 + born, ..delivery("ops", key) }).await.lane));
    }
    put_one(&store, NewDelivery { outlet: crate::model::OutletKey::from_stored("log:2"), ..delivery("far", "far") }).await;
    let order: Vec<String> = ready(&store).await.into_iter().map(|head| head.key).collect();
    assert_eq!(order, ["critical", "newer critical", "old info", "error", "warning"]);
    let except: Vec<LaneId> = lanes.iter().filter(|(key, _)| key.contains("critical")).map(|(_, lane)| *lane).collect();
    let rest: Vec<String> =
        store.ready_lanes(&outlet(), LaneQuery { except, ..LaneQuery::any(2) }).await.unwrap().into_iter().map(|head| head.key).collect();
    assert_eq!(rest, ["old info", "error"]);
    // A severe newcomer lifts its whole lane.
    put_one(&store, NewDelivery { rank: 0, born_at: T0 - 1, ..delivery("ops", "warning") }).await;
    let first = ready(&store).await.remove(0);
    assert_eq!((first.key.as_str(), first.rank, first.since, first.waiting), ("warning", 0, T0 - 1, 2));
}

pub async fn an_open_message_hides_its_lane(store: S) {
    let fence = fence(&store).await;
    let first = put(&store, "a").await;
    put(&store, "a").await;
    put(&store, "b").await;
    let formed = message(&[first.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    assert_eq!(ready(&store).await.iter().map(|head| head.key.as_str()).collect::<Vec<_>>(), ["b"]);
    put(&store, "a").await;
    assert_eq!(ready(&store).await.len(), 1, "a newcomer does not open it");
    let mut done = of_message(&fence, formed.id, false);
    done.cells = vec![cell("room", CellState::Open)];
    store.record_outcome(done).await.unwrap();
    assert_eq!(ready(&store).await.len(), 1, "still open");
    let mut done = of_message(&fence, formed.id, true);
    done.deliveries = vec![change(&first, State::Sent)];
    store.record_outcome(done).await.unwrap();
    let head = head(&store, first.lane).await;
    assert_eq!((head.waiting, head.last_seq), (2, 3));
}

pub async fn a_lane_is_due_when_its_head_or_a_deferred_one_is(store: S) {
    let waiting = |due: i64| NewDelivery { due_at: T0 + due, ..delivery("ops", LANE) };
    let deferred = |due: i64| NewDelivery { state: State::Deferred, ..waiting(due) };
    let lane = put_one(&store, deferred(500)).await.lane;
    assert_eq!(head(&store, lane).await.due_at, T0 + 500);
    let first = put_one(&store, waiting(300)).await;
    assert_eq!(head(&store, lane).await.due_at, T0 + 300, "the first that waits");
    put_one(&store, waiting(10)).await;
    assert_eq!(head(&store, lane).await.due_at, T0 + 300, "one behind it must wait for it");
    let soon = put_one(&store, deferred(200)).await;
    assert_eq!(head(&store, lane).await.due_at, T0 + 200, "a deferred one is due by itself");
    let fence = fence(&store).await;
    let mut s = settlement(&fence);
    s.deliveries = vec![
        DeliveryUpdate { reason: Some("resolved while muted".into()), ..change(&soon, State::Skipped) },
        DeliveryUpdate { due_at: T0 + 900, ..change(&first, State::Waiting) },
    ];
    store.record_outcome(s).await.unwrap();
    assert_eq!(head(&store, lane).await.due_at, T0 + 500);
}

pub async fn waiting_goes_on_after_a_place(store: S) {
    let mut all = Vec::new();
    for n in 0..7 {
        let state = if n % 3 == 1 { State::Skipped } else { State::Waiting };
        let reason = state.is_final().then(|| "skip".to_owned());
        all.push(put_one(&store, NewDelivery { state, reason, ..delivery("ops", LANE) }).await);
    }
    let lane = all[0].lane;
    let list = |after, limit| {
        let store = store.clone();
        async move { store.pending(lane, after, limit, 0, UnixMs::MAX).await.unwrap().into_iter().map(|w| w.lane_seq).collect::<Vec<_>>() }
    };
    assert_eq!(list(0, 100).await, [1, 3, 4, 6, 7]);
    assert_eq!(list(3, 2).await, [4, 6]);
    assert_eq!(list(7, 10).await, Vec::<i64>::new());
    assert!(store.pending(lane, 0, 1, 0, UnixMs::MAX).await.unwrap()[0].event.is_none());
}

pub async fn several_lanes_are_read_at_once(store: S) {
    let mut lanes = Vec::new();
    for key in ["a", "b", "c"] {
        for _ in 0..3 {
            lanes.push(put(&store, key).await.lane);
        }
    }
    lanes.dedup();
    let asked = [(lanes[2], 1), (lanes[0], 0), (LaneId(9999), 0), (lanes[1], 3)];
    let found = store.pending_of(&asked, 2, usize::MAX, UnixMs::MAX).await.unwrap();
    let places: Vec<Vec<(LaneId, i64)>> = found.iter().map(|of| of.iter().map(|w| (w.lane, w.lane_seq)).collect()).collect();
    assert_eq!(places, [vec![(lanes[2], 2), (lanes[2], 3)], vec![(lanes[0], 1), (lanes[0], 2)], vec![], vec![]]);
    assert!(found.iter().flatten().all(|w| w.event.is_some()));
    let none = store.pending_of(&asked, 2, 0, UnixMs::MAX).await.unwrap();
    assert!(none.iter().flatten().all(|w| w.event.is_none()));
    let body = serde_json::to_vec(&**found[0][0].event.as_ref().unwrap()).unwrap().len();
    let some = store.pending_of(&asked, 2, body * 5 / 2, UnixMs::MAX).await.unwrap();
    assert_eq!(some.iter().flatten().filter(|w| w.event.is_some()).count(), 2, "bodies count for all lanes together");
    assert!(store.pending_of(&[], 2, 9, UnixMs::MAX).await.unwrap().is_empty());
}

pub async fn what_waits_for_later_stands_in_nobodys_way(store: S) {
    let muted = |key: &str, due: i64| NewDelivery { state: State::Deferred, rank: 0, due_at: T0 + due, ..delivery("ops", key) };
    let later = put_one(&store, muted("later", 60 * MIN)).await;
    put_one(&store, muted("both", 60 * MIN)).await;
    let soon = put_one(&store, muted("soon", MIN)).await;
    let both = put(&store, "both").await;
    put_one(&store, delivery("night", "night")).await;
    // Written before the clock was set back: what is due at its birth is due, and no next try lies so far ahead.
    put_one(&store, NewDelivery { born_at: T0 + 90 * MIN, due_at: T0 + 90 * MIN, ..delivery("ops", "future") }).await;
    put_one(&store, NewDelivery { due_at: T0 + 90 * MIN, ..delivery("ops", "far") }).await;
    put_one(&store, NewDelivery { due_at: T0 + 4 * MIN, ..delivery("ops", "backs off") }).await;
    // Deferred after the clock was set back: until then, though that is before its birth.
    let back =
        put_one(&store, NewDelivery { state: State::Deferred, rank: 0, born_at: T0 + 90 * MIN, due_at: T0 + 60 * MIN, ..delivery("ops", "back") })
            .await;
    let keys =
        async |sought: LaneQuery| -> Vec<String> { store.ready_lanes(&outlet(), sought).await.unwrap().into_iter().map(|head| head.key).collect() };
    let sought = |due_by: i64| LaneQuery { due_by: T0 + due_by, ..LaneQuery::any(9) };
    assert_eq!(keys(sought(0)).await, ["both", "night", "far", "future"]);
    assert_eq!(keys(sought(MIN)).await, ["both", "soon", "night", "far", "future"]);
    assert_eq!(keys(LaneQuery { limit: 1, ..sought(0) }).await, ["both"], "what is not due takes no place");
    assert_eq!(keys(LaneQuery { muted: vec!["ops".into()], ..sought(0) }).await, ["night"]);
    let read = async |lane, due: i64| -> Vec<i64> { store.pending(lane, 0, 9, 0, T0 + due).await.unwrap().into_iter().map(|w| w.lane_seq).collect() };
    assert_eq!((read(both.lane, 0).await, read(both.lane, 60 * MIN).await), (vec![2], vec![1, 2]));
    assert_eq!((read(back.lane, 0).await, read(back.lane, 60 * MIN).await), (vec![], vec![1]));
    assert_eq!((read(soon.lane, MIN - 1).await, read(later.lane, 60 * MIN).await), (vec![], vec![1]));
}

pub async fn a_lane_that_emptied_starts_afresh(store: S) {
    let fence = fence(&store).await;
    let old = put_one(&store, NewDelivery { rank: 0, born_at: T0 - 60 * MIN, due_at: T0 - 60 * MIN, ..delivery("ops", LANE) }).await;
    deliver(&store, &fence, &[&old], T0).await;
    assert!(ready(&store).await.is_empty());
    let new = put(&store, LANE).await;
    let head = head(&store, new.lane).await;
    assert_eq!((new.lane, new.lane_seq), (old.lane, 2));
    assert_eq!((head.waiting, head.rank, head.since, head.due_at), (1, 2, T0, T0));
}

pub async fn what_is_begun_and_not_ended_is_counted(store: S) {
    let (a, b) = (put(&store, "a").await.lane, put(&store, "b").await.lane);
    let of = |lane, starts| LaneStarts { lane, starts };
    let mark = async |lanes: &[LaneId]| {
        let mut started = store.mark_lanes_started(lanes).await.unwrap();
        started.sort_by_key(|one| one.lane);
        started
    };
    for expected in 1..=3 {
        assert_eq!(mark(&[b, a]).await, [of(a, expected), of(b, expected)]);
    }
    assert_eq!(mark(&[a]).await, [of(a, 4)]);
    store.clear_lanes_started(&[of(a, 4)]).await.unwrap();
    assert_eq!((mark(&[a]).await, mark(&[b]).await), (vec![of(a, 1)], vec![of(b, 4)]));
    // Two processes: the end of the first says nothing of the second, and the end of the second says that both survived.
    assert_eq!(mark(&[a]).await, [of(a, 2)]);
    store.clear_lanes_started(&[of(a, 1)]).await.unwrap();
    assert_eq!(mark(&[a]).await, [of(a, 2)]);
    store.clear_lanes_started(&[of(a, 2), of(b, 9)]).await.unwrap();
    store.clear_lanes_started(&[of(a, 1)]).await.unwrap();
    assert_eq!(mark(&[b, a]).await, [of(a, 1), of(b, 1)]);
    let unknown = LaneId(i64::MAX);
    assert_eq!(mark(&[unknown]).await, []);
    store.clear_lanes_started(&[of(unknown, 1)]).await.unwrap();
}

pub async fn a_lane_knows_what_was_not_reported_over(store: S) {
    let report = |fires: &[u64], ends: &[u64], whole: bool| {
        let report = Some(AlertReport { fires: fires.to_vec(), ends: ends.to_vec(), whole });
        let target = Target { fallback: vec!["sms".into()], ..delivery("ops", LANE).target };
        NewDelivery { report, target, ..delivery("ops", LANE) }
    };
    let first = put_one(&store, report(&[1, 2], &[], true)).await;
    assert_eq!(store.count_unresolved(first.lane).await.unwrap(), Some(2));
    // What reports nothing (a replay, a call) changes nothing.
    put(&store, LANE).await;
    put_one(&store, report(&[], &[1], false)).await;
    assert_eq!(store.count_unresolved(first.lane).await.unwrap(), Some(1));
    let to = MoveTo { channel: "sms".into(), outlet: outlet(), fallback: vec![] };
    let step = FallbackStep { chain: vec!["sms".into()], to };
    let copies = store.copy_to_fallback("ops", T0 + 1, step, "r", 9, T0).await.unwrap();
    assert_eq!(store.count_unresolved(copies[0].lane).await.unwrap(), Some(1), "a lane of fallbacks follows the one that it comes from");
    put_one(&store, report(&[], &[2], true)).await;
    assert_eq!(store.count_unresolved(copies[0].lane).await.unwrap(), Some(0));
    // Two deliveries of one event in one lane, apart by their routes, each say the whole.
    let both = event(vec![report(&[5], &[6], true), report(&[5], &[6], true)]);
    store.accept(both).await.unwrap();
    assert_eq!(store.count_unresolved(first.lane).await.unwrap(), Some(1));
    assert_eq!(store.count_unresolved(LaneId(i64::MAX)).await.unwrap(), None);
}

pub async fn the_past_of_a_delivery_is_what_fired_before_it(store: S) {
    let fence = fence(&store).await;
    let resolved = || NewDelivery { summary: over(), ..delivery("ops", LANE) };
    let told = put(&store, LANE).await;
    deliver(&store, &fence, &[&told], T0).await;
    let end = put_one(&store, resolved()).await;
    let muted = put_one(&store, NewDelivery { state: State::Deferred, ..delivery("ops", LANE) }).await;
    let last = put_one(&store, resolved()).await;
    put(&store, "another lane").await;
    let past = store.lane_history(last.id, 9).await.unwrap();
    let seen: Vec<_> = past.deliveries.iter().map(|d| (d.id, d.state)).collect();
    assert_eq!((seen, past.complete), (vec![(muted.id, State::Deferred), (told.id, State::Sent)], true));
    assert_eq!(past.deliveries[1].said, [AlertStatus { fingerprint: "f1".into(), start: None, status: crate::model::Status::Firing }]);
    let cut = store.lane_history(last.id, 1).await.unwrap();
    assert_eq!((cut.deliveries.len(), cut.complete), (1, false));
    assert_eq!(store.lane_history(end.id, 9).await.unwrap().deliveries.len(), 1);
    let first = store.lane_history(told.id, 9).await.unwrap();
    assert!(first.deliveries.is_empty() && first.complete);
    let others = put(&store, &format!("{LANE}/audience")).await;
    let past = store.lane_history(others.id, 9).await.unwrap();
    assert!(past.deliveries.is_empty() && !past.complete, "the group is older than its lane for these people");
    let unknown = store.lane_history(DeliveryId::new(), 9).await.unwrap();
    assert!(unknown.deliveries.is_empty() && !unknown.complete);
}
