//! The queue and the group commit: limits, ages, order, and requests that go wrong.

use std::time::Duration;

use futures_util::FutureExt as _;

use super::super::queue::{BATCH_BYTES, BATCH_REQUESTS, Class, Queue};
use super::*;
use crate::store::bounded_queue::QueueLimits;
use crate::store::contract::fixtures::*;
use crate::store::*;

const LONG: Duration = Duration::from_secs(3600);

/// Submits without waiting; says why not when it is not taken.
fn push(queue: &Queue<usize, ()>, work: usize, cost: usize) -> Option<StoreError> {
    queue.submit(Class::Urgent, work, cost).now_or_never().map(|answer| answer.expect_err("nobody has done it"))
}

fn taken(queue: &Queue<usize, ()>) -> Vec<usize> {
    queue.take().now_or_never().flatten().unwrap_or_default().into_iter().map(|request| request.work).collect()
}

#[test]
fn batches_are_bounded_and_in_order() {
    let queue = Queue::new(QueueLimits { bytes: usize::MAX, requests: usize::MAX, age: LONG, patience: Duration::ZERO });
    for n in 0..BATCH_REQUESTS + 5 {
        assert!(push(&queue, n, 1).is_none());
    }
    assert_eq!(taken(&queue), (0..BATCH_REQUESTS).collect::<Vec<_>>());
    assert_eq!(taken(&queue).len(), 5);
    push(&queue, 1, BATCH_BYTES * 2);
    push(&queue, 2, BATCH_BYTES / 2);
    push(&queue, 3, BATCH_BYTES / 2);
    push(&queue, 4, 1);
    assert_eq!([taken(&queue), taken(&queue), taken(&queue)], [vec![1], vec![2, 3], vec![4]], "what is larger than a batch goes alone");
}

#[tokio::test(start_paused = true)]
async fn outcomes_that_nothing_waits_for_go_with_what_comes_next_or_a_little_later() {
    let queue = Queue::<usize, ()>::new(QueueLimits { bytes: 1000, requests: 100, age: LONG, patience: LONG });
    let add = |class, work| assert!(queue.submit(class, work, 1).now_or_never().is_none());
    add(Class::Patient, 1);
    assert!(taken(&queue).is_empty());
    add(Class::Urgent, 2);
    assert_eq!(taken(&queue), [2, 1]);
    for n in 0..40 {
        add(Class::Patient, n);
    }
    assert_eq!(taken(&queue).len(), 40, "so many are enough");
    add(Class::Patient, 3);
    queue.close();
    assert_eq!(taken(&queue), [3], "a stop waits for nothing");
}

#[test]
fn a_full_queue_is_busy_and_a_closed_one_is_emptied() {
    let queue = Queue::new(QueueLimits { bytes: 100, requests: 3, age: LONG, patience: Duration::ZERO });
    assert!(push(&queue, 1, 5000).is_none(), "an empty queue takes anything");
    assert!(matches!(push(&queue, 2, 1), Some(StoreError::Busy)));
    taken(&queue);
    for n in 0..3 {
        assert!(push(&queue, n, 1).is_none());
    }
    assert!(matches!(push(&queue, 9, 1), Some(StoreError::Busy)));
    queue.close();
    assert!(matches!(push(&queue, 9, 1), Some(StoreError::Unavailable(_))));
    assert_eq!(taken(&queue), [0, 1, 2]);
    assert!(queue.take().now_or_never().expect("it does not wait").is_none());
}

#[tokio::test]
async fn what_waited_too_long_is_busy_and_never_runs() {
    let queue = Queue::<usize, ()>::new(QueueLimits { bytes: 100, requests: 10, age: Duration::ZERO, patience: Duration::ZERO });
    let waiting = queue.submit(Class::Urgent, 1, 1);
    tokio::pin!(waiting);
    assert!(waiting.as_mut().now_or_never().is_none());
    queue.close();
    assert!(queue.take().await.is_none());
    assert!(matches!(waiting.await, Err(StoreError::Busy)));
}

#[tokio::test]
async fn settlements_of_one_transaction_keep_their_order() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open().await;
    let fence = fence(&store).await;
    let d = put(&store, LANE).await;
    let formed = message(&[d.id]);
    store.store_message(fence.clone(), formed.clone()).await.unwrap();
    let postponed = |n: i64| DeliveryUpdate { due_at: T0 + n, tries: n as u32, reason: Some(n.to_string()), ..change(&d, State::Waiting) };
    let mut all = Vec::new();
    for n in 0..20 {
        let change = OutletUpdate { paused_until: Some(T0 + n), suspension: None };
        let month = Some(MonthlySends { month: if n < 10 { "2026-11" } else { "2026-12" }.to_owned(), sends: 1 });
        let s = OutcomeBatch { deliveries: vec![postponed(n)], outlet: Some(change), sent_in_month: month, ..of_message(&fence, formed.id, false) };
        all.push(store.record_outcome(s));
    }
    // One of an owner before, and one that names no message that is known, are refused alone.
    let old = Fence { epoch: fence.epoch - 1, ..fence.clone() };
    all.push(store.record_outcome(of_message(&old, formed.id, true)));
    all.push(store.record_outcome(of_message(&fence, crate::model::MessageId::new(), true)));
    all.push(store.record_outcome(OutcomeBatch { deliveries: vec![change(&d, State::Sent)], ..of_message(&fence, formed.id, true) }));
    let answers = futures_util::future::join_all(all).await;
    assert!(answers[..20].iter().all(Result::is_ok) && answers[22].is_ok(), "{answers:?}");
    assert!(matches!((&answers[20], &answers[21]), (Err(StoreError::Fenced), Err(StoreError::Invalid(_)))), "{answers:?}");
    let row = row(&store, d.id).await;
    assert_eq!((row.state, row.tries, row.due_at, row.message), (State::Sent, 1, T0, Some(formed.id)));
    let outlets = store.stats().await.unwrap().outlets;
    assert_eq!((outlets[0].paused_until, outlets[0].month.as_str(), outlets[0].month_sent), (T0 + 19, "2026-12", 10));
    store.close().await;
}

#[tokio::test]
async fn many_outcomes_share_a_transaction() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open().await;
    let fence = fence(&store).await;
    let taken = futures_util::future::join_all((0..300).map(|n| {
        let store = store.clone();
        async move { put(&store, &format!("lane {n}")).await }
    }))
    .await;
    let shell = place.shell().await;
    let commits = "SELECT count(DISTINCT xmin::text) FROM attempt";
    let sends = taken.iter().map(|d| {
        let cells = vec![cell("room", CellState::Ok)];
        let end = OutcomeBatch { attempt: Some(ended("ok", T0)), cells, ..with_message(&fence, message(&[d.id]), true) };
        store.record_outcome(OutcomeBatch { deliveries: vec![change(d, State::Sent)], ..end })
    });
    assert!(futures_util::future::join_all(sends).await.iter().all(Result::is_ok));
    let transactions: i64 = shell.query_one(commits, &[]).await.unwrap().get(0);
    assert!(transactions <= 10, "{transactions} transactions for 300 outcomes");
    assert!(ready(&store).await.is_empty());
    let sent = DeliveryFilter { states: vec![State::Sent], limit: 1000, ..DeliveryFilter::default() };
    assert_eq!(store.list_deliveries(&sent).await.unwrap().len(), 300);
    store.close().await;
}

#[tokio::test]
async fn a_caller_that_went_away_changes_nothing_for_the_rest() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open().await;
    for _ in 0..20 {
        // Polled once, which queues it, and then dropped.
        let _ = store.accept(event(vec![delivery("ops", LANE)])).now_or_never();
    }
    assert_eq!(put(&store, LANE).await.lane_seq, 21, "what was queued is done, in order");
    store.close().await;
}
