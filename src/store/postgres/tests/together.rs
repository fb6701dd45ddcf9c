//! Statements that travel together: their order, what a refused one does to the rest and to the end, and what becomes of the connection.

use std::time::Duration;

use futures_util::future::{join, join3};

use super::super::error::DbError;
use super::super::tx::Tx;
use super::*;
use crate::store::contract::fixtures::{LANE, delivery, event};
use crate::store::*;

const KEY: &str = "together";

async fn put(tx: &Tx, key: &str) -> Result<u64, DbError> {
    tx.execute("INSERT INTO outlet (key) VALUES ($1)", &[&key]).await
}

async fn there(store: &PostgresStore) -> i64 {
    let tx = store.db.read().await.unwrap();
    let row = tx.first("SELECT count(*) FROM outlet WHERE key LIKE 'together%'", &[]).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn the_first_statements_travel_with_the_beginning_and_the_last_with_the_end() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let tx = store.db.write().await.unwrap();
    let seen = tx.query("SELECT count(*) FROM outlet WHERE key = $1", &[&KEY]);
    let (one, two, seen) = join3(put(&tx, KEY), put(&tx, "together 2"), seen).await;
    assert_eq!((one.unwrap(), two.unwrap()), (1, 1));
    assert_eq!(seen.unwrap()[0].get::<_, i64>(0), 1, "the third sees what the first did");
    tx.commit_pipelined(put(&tx, "together 3")).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(there(&store).await, 3);
    store.close().await;
}

#[tokio::test]
async fn a_refused_last_statement_undoes_everything() {
    let Some(place) = Place::new() else { return };
    let store = place.open_with(|options| options.connections = 4).await;
    for _ in 0..8 {
        let tx = store.db.write().await.unwrap();
        put(&tx, KEY).await.unwrap();
        let last = async {
            let (again, other) = join(put(&tx, KEY), put(&tx, "together 2")).await;
            again.and(other)
        };
        let fail = tx.commit_pipelined(last).await.unwrap_err();
        assert!(!fail.is_fatal() && matches!(&fail, DbError::Sql(error) if error.code().is_some_and(|code| code.code() == "23505")), "{fail:?}");
    }
    assert_eq!(there(&store).await, 0, "and every connection can be used again");
    store.close().await;
}

/// What no index takes is one request's fault: the others of its group are stored.
#[tokio::test]
async fn a_value_that_is_too_long_is_no_fault_of_the_database() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let tx = store.db.write().await.unwrap();
    // Digests, for the database compresses what repeats itself.
    let long: String = (0..2000_u32).map(|n| crate::model::hash_hex(&[&n.to_string()])).collect();
    let fail = put(&tx, &format!("{KEY} {long}")).await.unwrap_err();
    assert!(!fail.is_fatal() && matches!(&fail, DbError::Sql(error) if error.code().is_some_and(|code| code.code() == "54000")), "{fail:?}");
    drop(tx);
    assert_eq!(there(&store).await, 0);
    store.close().await;
}

#[tokio::test]
async fn what_cannot_be_sent_keeps_the_rest_from_being_committed() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let tx = store.db.write().await.unwrap();
    put(&tx, KEY).await.unwrap();
    let last = async {
        // The driver refuses a statement with a U+0000 before anything of it leaves.
        let (unsent, other) = join(tx.execute("SELECT '\0'", &[]), put(&tx, "together 2")).await;
        unsent.and(other)
    };
    assert!(tx.commit_pipelined(last).await.is_err());
    drop(tx);
    assert_eq!(there(&store).await, 0);
    store.close().await;
}

#[tokio::test]
async fn a_statement_behind_the_end_is_refused() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let tx = store.db.write().await.unwrap();
    let late = async {
        put(&tx, KEY).await?;
        put(&tx, "together 2").await
    };
    let fail = tx.commit_pipelined(late).await.unwrap_err();
    assert!(matches!(&fail, DbError::Refused(StoreError::Unusable(why)) if why.contains("after the end")), "{fail:?}");
    assert_eq!(there(&store).await, 1, "it was not done outside the transaction");
    store.close().await;
}

#[tokio::test]
async fn what_never_came_to_its_end_may_be_done_again() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let (tx, shell) = (store.db.write().await.unwrap(), place.shell().await);
    let own: i32 = tx.first("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap().get(0);
    put(&tx, KEY).await.unwrap();
    // The last statement waits for a lock when its connection is ended.
    shell.batch_execute("BEGIN; LOCK TABLE lane IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let last = tx.query("SELECT 1 FROM lane", &[]);
    let (done, ()) = join(tx.commit_pipelined(last), async {
        let waits = "SELECT count(*) FROM pg_locks WHERE pid = $1 AND NOT granted";
        while shell.query_one(waits, &[&own]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        shell.query_one("SELECT pg_terminate_backend($1)", &[&own]).await.unwrap();
    })
    .await;
    // The database's last word is that it never came to the end; the work may be done again.
    let fail = done.unwrap_err();
    assert!(fail.is_passing(), "{fail:?}");
    shell.batch_execute("ROLLBACK").await.unwrap();
    drop(tx);
    assert_eq!(there(&store).await, 0);
    store.close().await;
}

#[tokio::test]
async fn a_repeat_leaves_no_lane_behind() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let dedup = Some(Dedup { key: [9; 32], window: Duration::from_secs(60) });
    let first = NewEvent { dedup, ..event(vec![delivery("ops", LANE)]) };
    let first = store.accept(first).await.unwrap();
    // The same alert again after a reload that sends it elsewhere as well.
    let again = NewEvent { dedup, ..event(vec![delivery("ops", LANE), delivery("dba", "made for nothing")]) };
    let again = store.accept(again).await.unwrap();
    assert_eq!((again.duplicate, again.event, again.deliveries), (true, first.event, first.deliveries));
    let lanes = place.shell().await.query("SELECT channel, waiting FROM lane", &[]).await.unwrap();
    assert_eq!(lanes.iter().map(|row| (row.get(0), row.get(1))).collect::<Vec<(&str, i64)>>(), [("ops", 1)]);
    store.close().await;
}
