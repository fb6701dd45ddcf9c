//! The queue and the writer: order, limits, ages, and requests that go wrong.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use rusqlite::Connection;

use super::super::error::DbError;
use super::super::queue::{BATCH_BYTES, BATCH_REQUESTS, Class, Job, Queue};
use super::super::writer;
use super::{fresh, fresh_with};
use crate::store::bounded_queue::QueueLimits;
use crate::store::contract::fixtures::*;
use crate::store::*;

type Log = Arc<Mutex<Vec<(String, Option<StoreError>)>>>;

struct Named(String, Log);

impl Job for Named {
    fn run(&mut self, _: &Connection) -> Result<(), DbError> {
        Ok(())
    }

    fn answer(self: Box<Self>, error: Option<StoreError>) {
        self.1.lock().unwrap().push((self.0, error));
    }
}

fn queue(bytes: usize, requests: usize, age: Duration) -> (Queue, impl Fn(&Queue, Class, usize, &str) -> bool, Log) {
    queue_of(QueueLimits { bytes, requests, age, patience: Duration::ZERO })
}

fn queue_of(limits: QueueLimits) -> (Queue, impl Fn(&Queue, Class, usize, &str) -> bool, Log) {
    let log = Log::default();
    let sink = log.clone();
    let push = move |queue: &Queue, class, cost, name: &str| queue.push(class, cost, Box::new(Named(name.into(), sink.clone()))).is_ok();
    (Queue::new(limits), push, log)
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn accepts_come_first_and_one_purge_last() {
    let (queue, push, log) = queue(1 << 20, 100, LONG);
    for (class, name) in
        [(Class::Purge, "p1"), (Class::Other, "o1"), (Class::Accept, "a1"), (Class::Purge, "p2"), (Class::Accept, "a2"), (Class::Other, "o2")]
    {
        assert!(push(&queue, class, 1, name));
    }
    queue.close();
    assert!(!push(&queue, Class::Accept, 1, "late"));
    while let Some(batch) = queue.take() {
        for job in batch.jobs.into_iter().chain(batch.purge) {
            job.answer(None);
        }
        log.lock().unwrap().push(("|".into(), None));
    }
    let order: Vec<String> = log.lock().unwrap().iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(order, ["a1", "a2", "o1", "o2", "p1", "|", "p2", "|"]);
}

/// What a queue hands out, taken by a thread: the names of each batch, and how long it took.
fn batch(queue: &Queue, log: &Log) -> (Vec<String>, Duration) {
    let since = Instant::now();
    let jobs = queue.take().unwrap().jobs;
    let took = since.elapsed();
    jobs.into_iter().for_each(|job| job.answer(None));
    (log.lock().unwrap().drain(..).map(|(name, _)| name).collect(), took)
}

#[test]
fn outcomes_that_nothing_waits_for_go_with_what_comes_next_or_a_little_later() {
    let (patient, push, log) = queue_of(QueueLimits { bytes: 1 << 20, requests: 1000, age: LONG, patience: LONG });
    push(&patient, Class::Outcome, 1, "o1");
    push(&patient, Class::Outcome, 1, "o2");
    push(&patient, Class::Accept, 1, "a");
    assert_eq!(batch(&patient, &log).0, ["a", "o1", "o2"], "an event takes them along, and does not wait");
    push(&patient, Class::Outcome, 1, "o3");
    push(&patient, Class::Other, 1, "x");
    assert_eq!(batch(&patient, &log).0, ["x", "o3"]);
    for n in 0..40 {
        push(&patient, Class::Outcome, 1, &n.to_string());
    }
    assert_eq!(batch(&patient, &log).0.len(), 40, "so many are enough");
    push(&patient, Class::Outcome, 1, "last");
    patient.close();
    assert_eq!(batch(&patient, &log).0, ["last"], "a stop waits for nothing");
    let (queue, push, log) = queue_of(QueueLimits { bytes: 1 << 20, requests: 1000, age: LONG, patience: Duration::from_millis(50) });
    push(&queue, Class::Outcome, 1, "o4");
    let (alone, took) = batch(&queue, &log);
    assert!(alone == ["o4"] && took >= Duration::from_millis(30), "{alone:?} after {took:?}");
}

#[test]
fn an_event_waits_while_others_are_parsed_and_only_then() {
    let (queue, push, log) = queue(1 << 20, 1000, LONG);
    let queue = Arc::new(queue);
    let (one, two) = (Arriving::at(queue.clone()), Arriving::at(queue.clone()));
    let taking = std::thread::spawn({
        let (queue, log) = (queue.clone(), log.clone());
        move || batch(&queue, &log).0
    });
    push(&queue, Class::Accept, 1, "a1");
    drop(one);
    push(&queue, Class::Accept, 1, "a2");
    drop(two);
    assert_eq!(taking.join().unwrap(), ["a1", "a2"]);
    push(&queue, Class::Accept, 1, "a3");
    assert_eq!(batch(&queue, &log).0, ["a3"], "nobody else comes: at once");
    let _stuck = Arriving::at(queue.clone());
    push(&queue, Class::Accept, 1, "a4");
    assert_eq!(batch(&queue, &log).0, ["a4"], "one that takes long holds nobody up for more than a moment");
}

#[test]
fn a_batch_is_bounded_and_leaves_room_for_outcomes() {
    let (queue, push, _) = queue(usize::MAX, usize::MAX, LONG);
    for n in 0..2 * BATCH_REQUESTS {
        assert!(push(&queue, Class::Accept, 1, &n.to_string()));
    }
    assert_eq!(queue.take().unwrap().jobs.len(), BATCH_REQUESTS);
    for _ in 0..BATCH_REQUESTS {
        push(&queue, Class::Other, 1, "o");
    }
    let batch = queue.take().unwrap();
    assert!(batch.jobs.len() == BATCH_REQUESTS && !batch.last);
    let (accepts, others) = (BATCH_REQUESTS / 4, BATCH_REQUESTS * 3 / 4);
    assert_eq!(queue.take().unwrap().jobs.len(), BATCH_REQUESTS, "what is left of both: {accepts} and {others}");
    assert!(push(&queue, Class::Accept, BATCH_BYTES * 2, "huge") && push(&queue, Class::Accept, 1, "small"));
    let huge = queue.take().unwrap();
    assert_eq!((huge.jobs.len(), huge.bytes), (1, BATCH_BYTES * 2), "larger than a batch: it goes alone");
    assert!(queue.take().unwrap().last);
}

#[test]
fn a_full_queue_refuses_events_before_outcomes() {
    let (by_bytes, push, _) = queue(800, 1000, LONG);
    assert!(push(&by_bytes, Class::Accept, 700, "a"));
    assert!(!push(&by_bytes, Class::Accept, 1, "an eighth is kept"));
    assert!(push(&by_bytes, Class::Other, 100, "o"));
    assert!(!push(&by_bytes, Class::Other, 1, "full"));
    by_bytes.take();
    assert!(push(&by_bytes, Class::Accept, 100_000, "an empty queue takes anything"));
    let (by_number, push, _) = queue(1 << 20, 8, LONG);
    assert_eq!((0..20).filter(|_| push(&by_number, Class::Accept, 1, "a")).count(), 7);
    assert!(push(&by_number, Class::Other, 1, "o") && !push(&by_number, Class::Other, 1, "o"));
}

#[test]
fn what_waited_too_long_is_busy_and_never_runs() {
    let (queue, push, log) = queue(1 << 20, 100, Duration::ZERO);
    assert!(push(&queue, Class::Accept, 10, "a") && push(&queue, Class::Other, 10, "o"));
    std::thread::yield_now();
    queue.close();
    assert!(queue.take().is_none());
    let log = log.lock().unwrap();
    assert!(log.len() == 2 && log.iter().all(|(_, error)| matches!(error, Some(StoreError::Busy))), "{log:?}");
}

#[tokio::test]
async fn a_store_whose_writer_is_held_up_becomes_busy_and_recovers() {
    let (store, folder) = fresh_with(|options| options.queue_requests = 16);
    let shell = Connection::open(folder.path().join("w.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut tasks = Vec::new();
    for _ in 0..100 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.accept(event(vec![delivery("ops", LANE)])).await }));
        tokio::task::yield_now().await;
    }
    shell.execute_batch("ROLLBACK").unwrap();
    let mut taken = 0;
    let mut busy = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => taken += 1,
            Err(StoreError::Busy) => busy += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    // The writer may hold one batch besides what waits.
    assert!(busy > 0 && taken >= 14, "{taken} taken, {busy} busy");
    let store: S = store;
    assert_eq!(put(&store, LANE).await.lane_seq, taken + 1);
    store.close().await;
}

#[tokio::test]
async fn a_defect_in_one_request_stops_only_that_request() {
    let (store, _folder) = fresh_with(|_| {});
    let bad = writer::submit(&store.queue, Class::Other, 1, |db: &Connection| -> Result<(), DbError> {
        db.execute("INSERT INTO mute (matchers, until, reason, by) VALUES ('x', 1, '', '')", [])?;
        panic!("on purpose")
    });
    let good = store.accept(event(vec![delivery("ops", LANE)]));
    let (bad, good) = tokio::join!(bad, good);
    assert!(matches!(bad, Err(StoreError::Invalid(_))), "{bad:?}");
    good.unwrap();
    assert!(store.list_mutes().await.unwrap().is_empty(), "what it wrote is undone");
    let bad = store.readers.read(|_| -> Result<(), DbError> { panic!("on purpose") }).await;
    assert!(bad.is_err());
    store.stats().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_read_fails_only_who_needs_it() {
    use rusqlite::ffi;
    let (store, _folder) = fresh_with(|_| {});
    let held = writer::submit(&store.queue, Class::Other, 1, |_: &Connection| -> Result<(), DbError> {
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    });
    let damaged = writer::submit(&store.queue, Class::Other, 1, |_: &Connection| -> Result<(), DbError> {
        Err(DbError::Sql(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None)))
    });
    let good = || store.accept(event(vec![delivery("ops", LANE)]));
    // What waits while the writer is held shares a transaction.
    let (held, one, damaged, two) = tokio::join!(held, good(), damaged, good());
    held.unwrap();
    assert!(matches!(damaged, Err(StoreError::Unusable(_))), "{damaged:?}");
    assert_eq!((one.unwrap().deliveries.len(), two.unwrap().deliveries.len()), (1, 1), "they need no such page");
    store.close().await;
}

#[tokio::test]
async fn a_caller_that_went_away_changes_nothing_for_the_rest() {
    let (store, _folder) = fresh();
    for _ in 0..20 {
        // Polled once, which queues it, and then dropped.
        let _ = store.accept(event(vec![delivery("ops", LANE)])).now_or_never();
    }
    assert_eq!(put(&store, LANE).await.lane_seq, 21, "what was queued is done, in order");
    store.close().await;
}
