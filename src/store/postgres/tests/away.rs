//! A database that goes away, comes back, hangs, or ends connections: callers fail at once, nothing that was accepted is lost, and nothing has
//! to be restarted.

use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::super::error::DbError;
use super::*;
use crate::store::contract::fixtures::*;
use crate::store::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Up,
    /// Connections break, and new ones are refused by closing them.
    Down,
    /// Nothing passes any more, and nobody says so.
    Silent,
}

/// A line to the database that can be cut. `None` for a server that is not ours.
struct Wire {
    place: Place,
    port: u16,
    line: watch::Sender<Line>,
}

impl Wire {
    async fn new() -> Option<Self> {
        let place = Place::new()?;
        let server = place.ours.clone()?.port;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, state) = watch::channel(Line::Up);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut state = state.clone();
                tokio::spawn(async move {
                    if *state.borrow() == Line::Silent {
                        let _ = state.wait_for(|line| *line != Line::Silent).await;
                    }
                    if *state.borrow() != Line::Up {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", server)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = state.wait_for(|line| *line != Line::Up) => {}
                    }
                    // A silent line keeps its ends open.
                    let _ = state.wait_for(|line| *line != Line::Silent).await;
                });
            }
        });
        Some(Self { place, port, line })
    }

    fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    async fn open(&self) -> Arc<PostgresStore> {
        let url = Secret::new(format!("postgres://watchfire@127.0.0.1:{}/postgres?sslmode=disable", self.port));
        self.place
            .open_with(|options| {
                options.url = url;
                options.statement_timeout = Duration::from_millis(400);
                options.connect_timeout = Duration::from_millis(400);
            })
            .await
    }
}

fn unavailable<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Err(StoreError::Unavailable(why)) => why,
        other => panic!("not unavailable: {other:?}"),
    }
}

/// Goes on until the store answers again.
async fn back(store: &S) -> AcceptedDelivery {
    let begun = Instant::now();
    loop {
        match store.accept(event(vec![delivery("ops", LANE)])).await {
            Ok(accepted) => return accepted.deliveries[0].clone(),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(20), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_told_at_once_and_found_again() {
    let Some(wire) = Wire::new().await else { return };
    let store: S = wire.open().await;
    let fence = fence(&store).await;
    let first = put(&store, LANE).await;
    wire.set(Line::Down);
    let why = unavailable(store.accept(event(vec![delivery("ops", LANE)])).await);
    assert!(why.contains("check that it runs"), "{why}");
    unavailable(
        store
            .record_outcome(OutcomeBatch { deliveries: vec![change(&first, State::Sent)], ..with_message(&fence, message(&[first.id]), true) })
            .await,
    );
    unavailable(store.store_message(fence.clone(), message(&[first.id])).await);
    unavailable(store.claim_outlet(claim("n1", T0)).await);
    unavailable(store.stats().await);
    unavailable(store.check_writable().await);
    let begun = Instant::now();
    for _ in 0..200 {
        unavailable(store.accept(event(vec![delivery("ops", LANE)])).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "most are refused without an attempt to connect: {:?}", begun.elapsed());
    wire.set(Line::Up);
    let second = back(&store).await;
    assert_eq!((second.lane, second.lane_seq), (first.lane, 2), "what was refused left nothing");
    deliver(&store, &fence, &[&first], T0).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_fell_silent_is_given_up() {
    let Some(wire) = Wire::new().await else { return };
    let store: S = wire.open().await;
    put(&store, LANE).await;
    wire.set(Line::Silent);
    let begun = Instant::now();
    let why = unavailable(store.accept(event(vec![delivery("ops", "other")])).await);
    assert!(why.contains("no answer within"), "{why}");
    unavailable(store.stats().await);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    wire.set(Line::Up);
    back(&store).await;
    store.close().await;
}

/// The line breaks when the last statement and the end are on their way: the database does both although nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_nobody_confirmed_may_stand() {
    let Some(wire) = Wire::new().await else { return };
    let store = wire.open().await;
    let shell = wire.place.shell().await;
    let tx = store.db.write().await.unwrap();
    let own: i32 = tx.first("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap().get(0);
    shell.batch_execute("BEGIN; LOCK TABLE mute IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let last = tx.execute("INSERT INTO mute (matchers, until, reason, by) VALUES ('ops', 0, '', '')", &[]);
    let (done, ()) = futures_util::future::join(tx.commit_pipelined(last), async {
        while shell.query_one("SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted", &[&own]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        wire.set(Line::Down);
    })
    .await;
    let fail = done.unwrap_err();
    assert!(matches!(fail, DbError::Unsure(_)) && !fail.is_passing() && fail.is_fatal(), "{fail:?}");
    shell.batch_execute("ROLLBACK").await.unwrap();
    while shell.query_one("SELECT count(*) FROM mute", &[]).await.unwrap().get::<_, i64>(0) == 0 {
        tokio::task::yield_now().await;
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_the_server_ended_are_replaced() {
    let Some(place) = Place::new() else { return };
    let and = if place.url.contains('?') { '&' } else { '?' };
    let named = Secret::new(format!("{}{and}application_name={}", place.url, place.schema));
    let store: S = place.open_with(|options| options.url = named).await;
    let shell = place.shell().await;
    for n in 1..6 {
        assert_eq!(put(&store, LANE).await.lane_seq, n, "nobody sees that connections died meanwhile");
        store.stats().await.unwrap();
        let ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND application_name = $1";
        let row = shell.query_one(ended, &[&place.schema]).await;
        assert!(row.is_ok_and(|row| row.get::<_, i64>(0) > 0));
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_too_long_is_not_waited_for() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open_with(|options| options.statement_timeout = Duration::from_millis(300)).await;
    let d = put(&store, LANE).await;
    let shell = place.shell().await;
    shell.batch_execute("BEGIN; SELECT 1 FROM lane FOR UPDATE").await.unwrap();
    let answer = store.accept(event(vec![delivery("ops", LANE)])).await;
    assert!(matches!(&answer, Err(StoreError::Slow(why)) if why.contains("too long")), "{answer:?}");
    put(&store, "another lane is free").await;
    assert_eq!(places(&store, d.lane).await.len(), 1, "readers wait for nobody");
    shell.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(put(&store, LANE).await.lane_seq, 2);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_that_nobody_waits_for_spoils_no_connection() {
    let Some(place) = Place::new() else { return };
    let store = place.open_with(|options| options.connections = 4).await;
    let shell = place.shell().await;
    let all: S = store.clone();
    put(&all, LANE).await;
    shell.batch_execute("BEGIN; LOCK TABLE lane IN ACCESS EXCLUSIVE MODE").await.unwrap();
    for _ in 0..12 {
        let given_up = tokio::time::timeout(Duration::from_millis(30), store.stats()).await;
        assert!(given_up.is_err());
    }
    shell.batch_execute("ROLLBACK").await.unwrap();
    for _ in 0..8 {
        assert_eq!(store.stats().await.unwrap().open.len(), 1);
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_closed_finishes_and_refuses() {
    let Some(place) = Place::new() else { return };
    let store: S = place.open().await;
    let waiting: Vec<_> = (0..50).map(|_| store.accept(event(vec![delivery("ops", LANE)]))).collect();
    let (answers, ()) = tokio::join!(futures_util::future::join_all(waiting), store.close());
    assert!(answers.iter().all(Result::is_ok), "what was taken before is done");
    unavailable(store.accept(event(vec![delivery("ops", LANE)])).await);
    unavailable(store.stats().await);
    unavailable(store.check_writable().await);
    store.close().await;
    let again: S = place.open().await;
    assert_eq!(ready(&again).await[0].waiting, 50);
    again.close().await;
}
