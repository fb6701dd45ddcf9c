//! Contract of `purge` (I9).

use std::time::Duration;

use super::fixtures::*;
use crate::model::{MessageId, MessageKind, UnixMs};
use crate::store::*;

/// Keeps sent ones for 10 minutes, dead ones for an hour, keys for 5 minutes, as seen at `now`.
fn keep(now: UnixMs) -> Retention {
    Retention { sent_before: now - 10 * MIN, presses_before: now - 10 * MIN, audit_rows: 100, dead_before: now - 60 * MIN, open_incidents: true }
}

async fn exists(store: &S, d: &AcceptedDelivery) -> bool {
    store.get_delivery(d.id).await.unwrap().is_some()
}

async fn purge_all(store: &S, now: UnixMs) -> u64 {
    let mut all = 0;
    loop {
        match store.purge(keep(now), 100).await.unwrap() {
            0 => return all,
            n => all += n,
        }
    }
}

pub async fn only_events_past_retention_go(store: S) {
    let fence = fence(&store).await;
    let (sent, dead, dropped, waits) = (put(&store, "s").await, put(&store, "d").await, put(&store, "x").await, put(&store, "w").await);
    deliver(&store, &fence, &[&sent], T0).await;
    kill(&store, &fence, &dead, T0).await;
    store.drop_deliveries(&[dropped.id], "r", T0).await.unwrap();
    assert_eq!(purge_all(&store, T0 + 10 * MIN).await, 0, "not a millisecond early");
    assert_eq!(purge_all(&store, T0 + 10 * MIN + 1).await, 2);
    assert!(!exists(&store, &sent).await && !exists(&store, &dropped).await && exists(&store, &dead).await);
    assert_eq!(purge_all(&store, T0 + 60 * MIN + 1).await, 1);
    assert!(!exists(&store, &dead).await);
    assert_eq!(purge_all(&store, T0 + 10_000 * MIN).await, 0);
    assert!(exists(&store, &waits).await, "what waits never goes");
}

pub async fn an_event_stays_while_one_delivery_must(store: S) {
    let fence = fence(&store).await;
    let accepted = store.accept(event(vec![delivery("ops", "a"), delivery("dba", "a")])).await.unwrap();
    let [a, b] = &accepted.deliveries[..] else { panic!("two deliveries") };
    deliver(&store, &fence, &[a], T0).await;
    assert_eq!(purge_all(&store, T0 + 100 * MIN).await, 0);
    deliver(&store, &fence, &[b], T0 + 100 * MIN).await;
    assert_eq!(purge_all(&store, T0 + 109 * MIN).await, 0);
    assert_eq!(purge_all(&store, T0 + 111 * MIN).await, 1);
    assert!(store.get_event(accepted.event).await.unwrap().is_none());
    assert!(!exists(&store, a).await && !exists(&store, b).await);
}

pub async fn a_message_goes_with_its_last_delivery(store: S) {
    let fence = fence(&store).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    let digest = NewMessage { kind: MessageKind::Digest, ..message(&[a.id, b.id]) };
    let id = digest.id;
    let dead = DeliveryUpdate { reason: Some("r".into()), ..change(&b, State::Dead) };
    let s =
        OutcomeBatch { deliveries: vec![change(&a, State::Sent), dead], attempt: Some(ended("partial", T0)), ..with_message(&fence, digest, true) };
    store.record_outcome(s).await.unwrap();
    assert_eq!(purge_all(&store, T0 + 11 * MIN).await, 1);
    assert_eq!(store.get_message(id).await.unwrap().unwrap().members, 1);
    assert_eq!(purge_all(&store, T0 + 61 * MIN).await, 1);
    assert!(store.get_message(id).await.unwrap().is_none());
    let owned = store.claim_outlet(LeaseRequest { window_start: UnixMs(0), ..claim("n1", T0) }).await.unwrap().unwrap();
    assert!(owned.sends.is_empty(), "its attempts went with it");
}

pub async fn events_without_deliveries_go_too(store: S) {
    let noted = NewEvent { note: Some("no route matched".into()), ..event(vec![]) };
    store.accept(noted.clone()).await.unwrap();
    store.accept(event(vec![])).await.unwrap();
    assert_eq!(purge_all(&store, T0 + 10 * MIN).await, 0);
    assert_eq!(purge_all(&store, T0 + 10 * MIN + 1).await, 2);
    assert!(store.load_events(&[noted.id], usize::MAX).await.unwrap().events.is_empty());
}

pub async fn messages_left_behind_go_too(store: S) {
    let fence = fence(&store).await;
    let a = put(&store, LANE).await;
    let mut left: Vec<MessageId> = Vec::new();
    for done in [true, false] {
        let formed = message(&[a.id]);
        left.push(formed.id);
        let leaves = DeliveryUpdate { leave_message: true, ..change(&a, State::Waiting) };
        store.record_outcome(OutcomeBatch { deliveries: vec![leaves], ..with_message(&fence, formed, done) }).await.unwrap();
    }
    purge_all(&store, T0 + 11 * MIN).await;
    assert!(store.get_message(left[0]).await.unwrap().is_none());
    assert!(store.get_message(left[1]).await.unwrap().is_some(), "an open message stays");
}

pub async fn a_step_is_small(store: S) {
    let fence = fence(&store).await;
    for n in 0..9 {
        let d = put(&store, &format!("{n}")).await;
        deliver(&store, &fence, &[&d], T0).await;
    }
    let mut steps = Vec::new();
    for _ in 0..4 {
        steps.push(store.purge(keep(T0 + 20 * MIN), 4).await.unwrap());
    }
    assert_eq!(steps, [4, 4, 1, 0]);
}

pub async fn a_repeat_is_known_as_long_as_its_event(store: S) {
    let fence = fence(&store).await;
    let keyed = |at| NewEvent {
        dedup: Some(Dedup { key: [1; 32], window: Duration::from_secs(6000) }),
        received_at: at,
        ..event(vec![delivery("ops", LANE)])
    };
    let first = store.accept(keyed(T0)).await.unwrap();
    deliver(&store, &fence, &[&first.deliveries[0]], T0).await;
    purge_all(&store, T0 + 9 * MIN).await;
    let again = store.accept(keyed(T0 + 9 * MIN)).await.unwrap();
    assert_eq!((again.duplicate, again.event), (true, first.event));
    purge_all(&store, T0 + 11 * MIN).await;
    assert!(!store.accept(keyed(T0 + 12 * MIN)).await.unwrap().duplicate);
}

pub async fn lanes_are_never_reused(store: S) {
    let fence = fence(&store).await;
    let (gone, kept) = (put(&store, "a").await, put(&store, "b").await);
    let last = put(&store, "c").await;
    deliver(&store, &fence, &[&gone, &last], T0).await;
    deliver(&store, &fence, &[&kept], T0 + 20 * MIN).await;
    purge_all(&store, T0 + 20 * MIN).await;
    let (a, b) = (put(&store, "a").await, put(&store, "b").await);
    assert_eq!((b.lane, b.lane_seq), (kept.lane, 2), "a lane with a past stays");
    assert_eq!(a.lane_seq, 1);
    assert!(a.lane > last.lane, "a worker may still remember the old number");
}
