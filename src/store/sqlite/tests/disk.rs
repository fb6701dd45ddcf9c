//! Full disks and foreign writers: a clear answer, nothing half written, and no restart needed afterwards.

use std::sync::Arc;

use rusqlite::Connection;

use super::fresh_with;
use crate::model::{Alert, Event};
use crate::store::contract::fixtures::*;
use crate::store::*;

const CAP: u64 = 200 * 4096;

fn large(bytes: usize) -> NewEvent {
    let alert = Alert { generator_url: noise(bytes), ..Alert::default() };
    NewEvent { event: Arc::new(Event { alerts: vec![alert], ..Event::default() }), ..event(vec![delivery("ops", LANE)]) }
}

fn no_room<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
    match answer {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("no room"), "{text}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_gone_when_there_is_room() {
    let (store, _folder) = fresh_with(|options| options.max_bytes = Some(CAP));
    let store: S = store;
    let fence = fence(&store).await;
    let mut taken = Vec::new();
    let refused = loop {
        let new = large(20_000);
        match store.accept(new.clone()).await {
            Ok(accepted) => taken.push(accepted),
            Err(error) => break (new.id, error),
        }
        assert!(taken.len() < 100, "the cap holds");
    };
    no_room::<()>(Err(refused.1));
    assert!(store.get_event(refused.0).await.unwrap().is_none());
    assert!(taken.len() > 10);
    no_room(store.check_writable().await);
    // Small outcomes still find room between the pages, so the queue can drain.
    for accepted in &taken {
        let d = &accepted.deliveries[0];
        let gone = DeliveryUpdate { reason: Some("r".into()), ..change(d, State::Skipped) };
        store.record_outcome(OutcomeBatch { deliveries: vec![gone], ..settlement(&fence) }).await.unwrap();
    }
    let keep = Retention { sent_before: T0 + 1, presses_before: T0 + 1, audit_rows: 100, dead_before: T0 + 1, open_incidents: true };
    assert_eq!(store.purge(keep, 100).await.unwrap(), taken.len() as u64);
    store.check_writable().await.unwrap();
    store.accept(large(20_000)).await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn one_request_too_large_for_the_disk_fails_alone() {
    let (store, _folder) = fresh_with(|options| options.max_bytes = Some(CAP));
    let events: Vec<NewEvent> = (0..20).map(|n| if n == 7 { large(CAP as usize) } else { large(10) }).collect();
    let answers = futures_util::future::join_all(events.into_iter().map(|e| store.accept(e))).await;
    for (n, answer) in answers.into_iter().enumerate() {
        if n == 7 {
            no_room(answer);
        } else {
            answer.unwrap();
        }
    }
    let store: S = store;
    assert_eq!(ready(&store).await[0].waiting, 19);
    store.close().await;
}

#[tokio::test]
async fn a_foreign_writer_is_told_and_outlived() {
    let (store, folder) = fresh_with(|_| {});
    let shell = Connection::open(folder.path().join("w.db")).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    match store.check_writable().await {
        Err(StoreError::Unavailable(text)) => assert!(text.contains("another program"), "{text}"),
        other => panic!("{other:?}"),
    }
    store.stats().await.expect("reads go on");
    shell.execute_batch("ROLLBACK").unwrap();
    store.check_writable().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn free_pages_go_back_to_the_file_system_in_steps() {
    let (store, folder) = fresh_with(|_| {});
    let store: S = store;
    for _ in 0..10 {
        let new = NewEvent { note: Some("n".into()), deliveries: vec![], ..large(1 << 20) };
        store.accept(new).await.unwrap();
    }
    let pages = || -> i64 { Connection::open(folder.path().join("w.db")).unwrap().query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap() };
    let full = pages();
    assert!(full > 2560);
    let keep = Retention { sent_before: T0 + 1, presses_before: T0 + 1, audit_rows: 100, dead_before: T0 + 1, open_incidents: true };
    assert_eq!(store.purge(keep, 100).await.unwrap(), 10);
    let one_step = pages();
    assert!(one_step < full && full - one_step <= 514, "{full} {one_step}");
    for _ in 0..20 {
        store.purge(keep, 100).await.unwrap();
    }
    let rest = pages();
    assert!((1024..1200).contains(&rest), "some stay for what comes next: {rest}");
    store.close().await;
}
