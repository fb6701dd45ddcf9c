//! Contract of `requeue`, `drop_deliveries`, `relocate`, `update_heartbeats` and `check_writable`.

use std::collections::BTreeSet;

use super::fixtures::*;
use crate::model::{AttemptId, DeliveryId, OutletKey, Recipient, UnixMs};
use crate::store::*;

fn to(channel: &str) -> Option<MoveTo> {
    Some(MoveTo { channel: channel.into(), outlet: OutletKey::from_stored("log:2"), fallback: vec!["sms".into()] })
}

pub async fn the_dead_live_again(store: S) {
    let fence = fence(&store).await;
    let mut new = NewDelivery { mode: Mode::Direct, rank: 1, summary: Summary { firing: 3, ..over() }, ..delivery("ops", LANE) };
    new.target.recipients = vec![Recipient::new("x@example.com")];
    let target = new.target.clone();
    let old = put_one(&store, new).await;
    kill(&store, &fence, &old, T0).await;
    let again = store.requeue(&[old.id], None, T0 + MIN).await.unwrap().remove(0);
    assert_eq!((again.channel.as_str(), again.lane, again.lane_seq, again.state, &again.outlet), ("ops", old.lane, 2, State::Waiting, &outlet()));
    let detail = store.get_delivery(again.id).await.unwrap().unwrap();
    assert_eq!((detail.target, detail.row.mode), (target, Mode::Queued));
    assert_eq!((detail.row.rank, detail.row.firing, detail.row.tries, detail.row.fallback_of), (1, 3, 0, None));
    assert_eq!((detail.row.born_at, detail.row.due_at), (T0 + MIN, T0 + MIN));
    assert!(detail.row.reason.unwrap().contains(&old.id.to_string()));
    let old = row(&store, old.id).await;
    assert_eq!((old.state, old.done_at), (State::Dead, Some(T0)));
    let reason = old.reason.unwrap();
    assert!(reason.starts_with("refused") && reason.contains(&again.id.to_string()), "{reason}");
    let elsewhere = store.requeue(&[old.id], to("dba"), T0 + MIN).await.unwrap().remove(0);
    let moved = store.get_delivery(elsewhere.id).await.unwrap().unwrap();
    assert_eq!((moved.row.channel.as_str(), elsewhere.outlet.as_str(), moved.target.fallback.len()), ("dba", "log:2", 1));
    assert!(moved.target.recipients.is_empty(), "recipients are the other channel's own");
}

pub async fn what_waits_is_moved(store: S) {
    let (a, b) = (put_one(&store, NewDelivery { rank: 0, ..delivery("ops", LANE) }).await, put(&store, LANE).await);
    let moved = store.requeue(&[a.id], to("dba"), T0 + 1).await.unwrap().remove(0);
    let old = row(&store, a.id).await;
    assert_eq!((old.state, old.done_at), (State::Dropped, Some(T0 + 1)));
    assert!(old.reason.unwrap().contains(&moved.id.to_string()));
    let left = head(&store, a.lane).await;
    assert_eq!((left.waiting, left.rank, places(&store, a.lane).await), (1, 2, vec![(2, b.id)]));
    let lanes = store.ready_lanes(&OutletKey::from_stored("log:2"), LaneQuery::any(9)).await.unwrap();
    assert_eq!((lanes.len(), lanes[0].id, lanes[0].rank, lanes[0].key.as_str()), (1, moved.lane, 0, LANE));
}

pub async fn nonsense_is_not_requeued(store: S) {
    let fence = fence(&store).await;
    let (sent, flying, dead) = (put(&store, "s").await, put(&store, "f").await, put(&store, "d").await);
    deliver(&store, &fence, &[&sent], T0).await;
    kill(&store, &fence, &dead, T0).await;
    store.store_message(fence, message(&[flying.id])).await.unwrap();
    for (ids, to) in [
        (vec![dead.id, sent.id], None),
        (vec![dead.id, flying.id], None),
        (vec![dead.id, flying.id], to("dba")),
        (vec![dead.id, DeliveryId::new()], to("dba")),
    ] {
        let answer = store.requeue(&ids, to, T0).await;
        assert!(matches!(answer, Err(StoreError::Invalid(_))), "{answer:?}");
    }
    let all = store.list_deliveries(&DeliveryFilter { limit: 99, ..DeliveryFilter::default() }).await.unwrap();
    assert_eq!(all.len(), 3, "all of it or nothing");
    assert_eq!(row(&store, dead.id).await.reason.as_deref(), Some("refused"));
}

pub async fn dropping_ends_what_is_not_on_its_way(store: S) {
    let fence = fence(&store).await;
    let (sent, dead, flying) = (put(&store, "s").await, put(&store, "d").await, put(&store, "f").await);
    let (a, b) = (put_one(&store, NewDelivery { due_at: T0 + MIN, ..delivery("ops", LANE) }).await, put(&store, LANE).await);
    let muted = put_one(&store, NewDelivery { state: State::Deferred, ..delivery("ops", "m") }).await;
    deliver(&store, &fence, &[&sent], T0).await;
    kill(&store, &fence, &dead, T0).await;
    store.store_message(fence, message(&[flying.id])).await.unwrap();
    let ids = [sent.id, dead.id, flying.id, a.id, muted.id, DeliveryId::new()];
    assert_eq!(store.drop_deliveries(&ids, "by ann: noise", T0 + 5).await.unwrap(), 3);
    for (d, state) in [(&sent, State::Sent), (&dead, State::Dropped), (&flying, State::Waiting), (&a, State::Dropped), (&muted, State::Dropped)] {
        assert_eq!(row(&store, d.id).await.state, state);
    }
    let dropped = row(&store, dead.id).await;
    let reason = dropped.reason.unwrap();
    assert!(reason.starts_with("by ann: noise") && reason.contains("refused"), "{reason}");
    assert_eq!(dropped.done_at, Some(T0 + 5));
    let lanes = ready(&store).await;
    assert_eq!((lanes.len(), lanes[0].id, lanes[0].waiting, lanes[0].due_at), (1, b.lane, 1, T0));
}

pub async fn a_renamed_channel_takes_its_lanes_along(store: S) {
    let fence = fence(&store).await;
    let (sent, a) = (put(&store, "a").await, put(&store, "a").await);
    put(&store, "b").await;
    deliver(&store, &fence, &[&sent], T0).await;
    for matchers in [channel_matchers("ops"), r#"channel="ops",team="db""#.to_owned()] {
        store.set_mute(Mute { matchers, until: T0 + MIN, reason: "r".into(), by: "b".into() }, T0).await.unwrap();
    }
    let outlet = OutletKey::from_stored("log:2");
    assert_eq!(store.relocate("ops", &to_channel("night", &outlet)).await.unwrap(), 2);
    assert!(ready(&store).await.is_empty());
    let lanes = store.ready_lanes(&outlet, LaneQuery::any(9)).await.unwrap();
    assert_eq!(lanes.iter().map(|l| (l.channel.as_str(), l.key.as_str())).collect::<Vec<_>>(), [("night", "a"), ("night", "b")]);
    assert_eq!((lanes[0].id, row(&store, a.id).await.channel.as_str()), (a.lane, "night"));
    assert_eq!(row(&store, sent.id).await.channel, "ops", "what is past keeps its name");
    let mutes: Vec<String> = store.list_mutes().await.unwrap().into_iter().map(|mute| mute.matchers).collect();
    assert_eq!(mutes, [channel_matchers("night"), r#"channel="night",team="db""#.to_owned()]);
    assert_eq!(store.relocate("ops", &to_channel("night", &outlet)).await.unwrap(), 0);
}

pub async fn lanes_with_one_key_become_one_in_the_order_of_acceptance(store: S) {
    let (o1, n1, o2, n2) = (
        put(&store, LANE).await,
        put_one(&store, delivery("night", LANE)).await,
        put(&store, LANE).await,
        put_one(&store, NewDelivery { rank: 0, born_at: T0 - MIN, ..delivery("night", LANE) }).await,
    );
    assert_eq!(store.relocate("ops", &to_channel("night", &outlet())).await.unwrap(), 1);
    assert_eq!(places(&store, o1.lane).await, [(1, o1.id), (3, n1.id), (4, o2.id), (5, n2.id)]);
    let lanes = ready(&store).await;
    assert_eq!((lanes.len(), lanes[0].id, lanes[0].waiting, lanes[0].last_seq, lanes[0].rank, lanes[0].since), (1, o1.lane, 4, 5, 0, T0 - MIN));
    assert_eq!(put_one(&store, delivery("night", LANE)).await.lane_seq, 6);
}

pub async fn what_lanes_sent_before_they_became_one_is_known_afterwards(store: S) {
    let fence = fence(&store).await;
    let (o, n) = (put(&store, LANE).await, put_one(&store, delivery("night", LANE)).await);
    deliver(&store, &fence, &[&o], T0).await;
    deliver(&store, &fence, &[&n], T0).await;
    let (o2, n2) = (put(&store, LANE).await, put_one(&store, delivery("night", LANE)).await);
    store.relocate("ops", &to_channel("night", &outlet())).await.unwrap();
    let last = put_one(&store, NewDelivery { summary: over(), ..delivery("night", LANE) }).await;
    let past = store.lane_history(last.id, 9).await.unwrap();
    let mut seen: Vec<_> = past.deliveries.iter().map(|d| d.id).collect();
    seen.sort();
    let mut all = [o.id, n.id, o2.id, n2.id];
    all.sort();
    assert_eq!((seen.as_slice(), past.complete), (all.as_slice(), true));
}

/// More than one transaction of the database moves at once.
pub async fn a_large_backlog_moves_to_its_new_name(store: S) {
    const LANES: usize = 1100;
    for first in (0..LANES).step_by(100) {
        let all = (first..first + 100).map(|lane| delivery("ops", &format!("lane-{lane}")));
        store.accept(event(all.collect())).await.unwrap();
    }
    put_one(&store, delivery("night", "lane-7")).await;
    let other = OutletKey::from_stored("log:2");
    assert!(store.relocate("ops", &to_channel("night", &other)).await.unwrap() >= LANES as u64);
    let lanes = store.ready_lanes(&other, LaneQuery::any(LANES + 9)).await.unwrap();
    assert_eq!((lanes.len(), lanes.iter().map(|lane| lane.waiting).sum::<i64>()), (LANES, LANES as i64 + 1));
    assert!(lanes.iter().all(|lane| lane.channel == "night") && ready(&store).await.is_empty());
    assert_eq!(store.relocate("ops", &to_channel("night", &other)).await.unwrap(), 0);
}

pub async fn what_waits_behind_a_message_in_flight_stays_behind_it(store: S) {
    let first = fence(&store).await;
    let (a, b) = (put(&store, LANE).await, put(&store, LANE).await);
    let n = put_one(&store, delivery("night", LANE)).await;
    let formed = message(&[a.id]);
    store.store_message(first, formed.clone()).await.unwrap();
    let outlet2 = OutletKey::from_stored("log:2");
    store.relocate("ops", &to_channel("night", &outlet2)).await.unwrap();
    let owned = store.claim_outlet(LeaseRequest { outlet: outlet2.clone(), ..claim("n1", T0) }).await.unwrap().unwrap();
    assert_eq!(owned.open.len(), 1, "the new outlet's owner finishes it");
    assert_eq!((owned.open[0].id, owned.open[0].channel.as_str(), owned.open[0].members[0].channel.as_str()), (formed.id, "night", "night"));
    assert!(store.ready_lanes(&outlet2, LaneQuery::any(9)).await.unwrap().is_empty(), "nothing overtakes it");
    let fence = Fence { outlet: outlet2.clone(), epoch: owned.epoch };
    store.record_outcome(OutcomeBatch { deliveries: vec![change(&a, State::Sent)], ..of_message(&fence, formed.id, true) }).await.unwrap();
    let lanes = store.ready_lanes(&outlet2, LaneQuery::any(9)).await.unwrap();
    assert_eq!((lanes.len(), lanes[0].id, lanes[0].waiting), (1, a.lane, 2));
    assert_eq!(places(&store, a.lane).await, [(2, b.id), (3, n.id)]);
}

/// A message of the new name is in flight: what waits under the old one goes behind it.
pub async fn what_is_renamed_goes_behind_what_is_in_flight_under_the_new_name(store: S) {
    let fence = fence(&store).await;
    let n1 = put_one(&store, delivery("night", LANE)).await;
    let formed = message(&[n1.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let (o, n2) = (put(&store, LANE).await, put_one(&store, delivery("night", LANE)).await);
    store.relocate("ops", &to_channel("night", &outlet())).await.unwrap();
    assert_eq!(places(&store, n1.lane).await, [(1, n1.id), (3, o.id), (4, n2.id)]);
    assert!(ready(&store).await.is_empty(), "nothing overtakes it");
    store.record_outcome(OutcomeBatch { deliveries: vec![change(&n1, State::Sent)], ..of_message(&fence, formed.id, true) }).await.unwrap();
    assert_eq!(ready(&store).await.iter().map(|lane| (lane.id, lane.waiting)).collect::<Vec<_>>(), [(n1.lane, 2)]);
}

/// A message of each name is in flight: each lane ends by itself, in its own order, and news follows under the new name.
pub async fn lanes_of_which_each_has_a_message_in_flight_stay_apart(store: S) {
    let fence = fence(&store).await;
    let (o, n1, n2) = (put(&store, LANE).await, put_one(&store, delivery("night", LANE)).await, put_one(&store, delivery("night", LANE)).await);
    let (old, new) = (message(&[o.id]), message(&[n1.id]));
    store.store_message(fence.clone(), old.clone()).await.unwrap();
    store.store_message(fence.clone(), new.clone()).await.unwrap();
    store.relocate("ops", &to_channel("night", &outlet())).await.unwrap();
    assert_eq!(places(&store, o.lane).await, [(1, o.id)]);
    assert_eq!(places(&store, n1.lane).await, [(1, n1.id), (2, n2.id)]);
    let ends = |d: &AcceptedDelivery, id| OutcomeBatch { deliveries: vec![change(d, State::Sent)], ..of_message(&fence, id, true) };
    store.record_outcome(ends(&o, old.id)).await.unwrap();
    assert!(ready(&store).await.is_empty(), "what is before it is still in flight");
    store.record_outcome(ends(&n1, new.id)).await.unwrap();
    assert_eq!(ready(&store).await.iter().map(|lane| (lane.id, lane.waiting)).collect::<Vec<_>>(), [(n1.lane, 1)]);
    let next = put_one(&store, delivery("night", LANE)).await;
    assert_eq!((next.lane, next.lane_seq), (n1.lane, 3));
}

/// Another node has the lane of the new name in memory, by its places: they stay, and what is renamed comes behind.
pub async fn what_is_renamed_goes_behind_what_another_node_has_in_memory(store: S) {
    let o = put(&store, LANE).await;
    let other = OutletKey::from_stored("log:2");
    let of_n2 = |place: &'static str| NewDelivery { outlet: OutletKey::from_stored(place), ..delivery("night", LANE) };
    let (n1, n2) = (put_one(&store, of_n2("log:2")).await, put_one(&store, of_n2("log:2")).await);
    store.claim_outlet(LeaseRequest { outlet: other.clone(), ..claim("n2", T0) }).await.unwrap().unwrap();
    assert_eq!(store.relocate("ops", &to_channel("night", &other)).await.unwrap(), 1);
    assert_eq!(places(&store, n1.lane).await, [(1, n1.id), (2, n2.id), (3, o.id)]);
    let next = put_one(&store, of_n2("log:2")).await;
    assert_eq!((next.lane, next.lane_seq), (n1.lane, 4));
}

/// What another node holds by a lease may be in flight there.
pub async fn what_another_node_has_by_a_lease_is_not_moved_under_it(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    let formed = message(&[a.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let other = OutletKey::from_stored("log:2");
    let until = claim("n1", T0).lease_until;
    let moved = |from: &'static str, to: &'static str, node: &str, now| {
        let (store, to) = (store.clone(), Relocation { node: node.into(), now, ..to_channel(to, &other) });
        async move { store.relocate(from, &to).await.unwrap() }
    };
    assert_eq!(moved("ops", "ops", "n2", until - 1).await + moved("ops", "night", "n2", until - 1).await, 0);
    assert_eq!((row(&store, b.id).await.channel.as_str(), ready(&store).await.len()), ("ops", 1));
    assert_eq!(store.open_messages(&outlet()).await.unwrap(), [formed.id]);
    assert_eq!(moved("ops", "night", "n2", until).await, 3, "its lease has ended");
    assert_eq!(store.open_messages(&other).await.unwrap(), [formed.id]);
    let of_n1 = store.claim_outlet(LeaseRequest { outlet: other.clone(), ..claim("n1", T0) }).await.unwrap().unwrap();
    assert_eq!(of_n1.open.len(), 1);
    assert_eq!(moved("night", "dba", "n1", T0).await, 3, "what a node has itself it moves at any time");
}

pub async fn lanes_follow_their_credential(store: S) {
    let first = fence(&store).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    put_one(&store, delivery("dba", "a")).await;
    let formed = message(&[a.id]);
    store.store_message(first.clone(), formed.clone()).await.unwrap();
    assert_eq!(store.open_messages(&outlet()).await.unwrap(), [formed.id]);
    let other = OutletKey::from_stored("log:2");
    assert_eq!(store.relocate("ops", &to_channel("ops", &other)).await.unwrap(), 3, "two lanes, and the message of one");
    assert_eq!(store.relocate("ops", &to_channel("ops", &other)).await.unwrap(), 0);
    assert!(store.open_messages(&outlet()).await.unwrap().is_empty());
    assert_eq!(ready(&store).await.iter().map(|l| l.channel.as_str()).collect::<Vec<_>>(), ["dba"]);
    assert_eq!(store.ready_lanes(&other, LaneQuery::any(9)).await.unwrap().len(), 1);
    let owned = store.claim_outlet(LeaseRequest { outlet: other.clone(), ..claim("n1", T0) }).await.unwrap().unwrap();
    assert_eq!(owned.open.iter().map(|m| m.id).collect::<Vec<_>>(), [formed.id]);
    let late = message(&[b.id]);
    store.store_message(first.clone(), late.clone()).await.unwrap();
    assert_eq!(store.relocate("ops", &to_channel("ops", &other)).await.unwrap(), 1, "what the owner before formed in the meantime");
    let open: BTreeSet<_> = store.open_messages(&other).await.unwrap().into_iter().collect();
    assert_eq!(open, BTreeSet::from([formed.id, late.id]));
    let recipients = late.cells.iter().map(|cell| cell.recipient.clone()).collect();
    let begin = NewAttempt { id: AttemptId::new(), message: late.id, page: 0, recipients, node: "n1".into(), begun_at: T0, guard: None };
    assert!(matches!(store.begin_attempt(first, begin.clone()).await, Err(StoreError::Fenced)), "only its new owner sends it");
    let fence = Fence { outlet: other.clone(), epoch: owned.epoch };
    store.begin_attempt(fence.clone(), begin).await.unwrap();
    store.record_outcome(OutcomeBatch { deliveries: vec![change(&b, State::Sent)], ..of_message(&fence, late.id, true) }).await.unwrap();
    assert_eq!(store.open_messages(&other).await.unwrap(), [formed.id]);
    assert_eq!(put(&store, "a").await.outlet, other, "a lane that exists keeps its outlet");
}

pub async fn what_waits_can_be_retried(store: S) {
    let muted = NewDelivery { state: State::Deferred, due_at: T0 + 60 * MIN, reason: Some("muted".into()), ..delivery("ops", LANE) };
    let (muted, later) = (put_one(&store, muted).await, put_one(&store, NewDelivery { due_at: T0 + MIN, ..delivery("ops", LANE) }).await);
    let call = put_one(&store, NewDelivery { mode: Mode::Direct, ..delivery("ops", "call") }).await;
    let again = store.requeue(&[muted.id, later.id], None, T0 + 1).await.unwrap();
    let told: Vec<_> = again.iter().map(|d| (d.id, d.lane, d.lane_seq, d.state, d.channel.as_str(), &d.outlet)).collect();
    let same = |d: &AcceptedDelivery| (d.id, d.lane, d.lane_seq, State::Waiting, "ops", &again[0].outlet);
    assert_eq!(told, [same(&muted), same(&later)]);
    let row = row(&store, muted.id).await;
    assert_eq!((row.state, row.due_at, row.reason.as_deref()), (State::Waiting, T0 + 1, Some("muted; retried by hand")));
    let head = head(&store, muted.lane).await;
    assert_eq!((head.waiting, head.due_at, head.last_seq), (2, T0 + 1, 2));
    assert!(matches!(store.requeue(&[call.id], None, T0 + 1).await, Err(StoreError::Invalid(_))), "a direct send reports in its own answer");
}

pub async fn heartbeats_are_kept(store: S) {
    use HeartbeatChange::{Missing, Recovered, Seen};
    let change = |name: &str, change| HeartbeatUpdate { name: name.into(), change };
    let row = |name: &str, seen_at, silent_since| HeartbeatRow { name: name.into(), seen_at, silent_since };
    assert!(store.update_heartbeats(Vec::new()).await.unwrap().is_empty());
    let rows = store.update_heartbeats(vec![change("b", Seen(T0)), change("a", Missing(T0 + MIN))]).await.unwrap();
    assert_eq!(rows, [row("a", UnixMs(0), Some(T0 + MIN)), row("b", T0, None)]);
    // A clock set back is a sign of life as well: the last word counts.
    store.update_heartbeats(vec![change("b", Seen(T0 - MIN)), change("a", Seen(T0))]).await.unwrap();
    let rows = store.update_heartbeats(vec![change("a", Recovered), change("b", Missing(T0))]).await.unwrap();
    assert_eq!(rows, [row("a", T0, None), row("b", T0 - MIN, Some(T0))]);
    assert_eq!(store.update_heartbeats(Vec::new()).await.unwrap(), rows);
}

pub async fn a_check_leaves_nothing(store: S) {
    for _ in 0..3 {
        store.check_writable().await.unwrap();
    }
    assert!(store.list_deliveries(&DeliveryFilter { limit: 9, ..DeliveryFilter::default() }).await.unwrap().is_empty());
    assert!(store.stats().await.unwrap().outlets.is_empty());
}
