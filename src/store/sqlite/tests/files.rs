//! The file: made privately, locked, of a known version, sound enough to start with; closed, backed up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};

use super::super::open::{APPLICATION_ID, MIGRATIONS};
use super::super::{SqliteOptions, SqliteStore};
use super::{fresh, fresh_with};
use crate::model::{DeliveryId, Event, EventId, LaneId, MessageId, PlatformIds, UnixMs};
use crate::store::contract::fixtures::*;
use crate::store::*;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(SqliteOptions::new(path))
}

fn text_of<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> (&'static str, String) {
    match answer {
        Err(StoreError::Unusable(text)) => ("unusable", text),
        Err(StoreError::Unavailable(text)) => ("unavailable", text),
        Err(StoreError::Invalid(text)) => ("invalid", text),
        other => panic!("no such error: {other:?}"),
    }
}

/// A database with `n` events in it, closed.
async fn filled(n: usize) -> (PathBuf, tempfile::TempDir) {
    let (store, folder) = fresh();
    for ix in 0..n {
        put(&store, &format!("{ix}")).await;
    }
    store.close().await;
    (folder.path().join("w.db"), folder)
}

#[cfg(unix)]
#[tokio::test]
async fn every_file_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let (store, folder) = fresh();
    put(&store, LANE).await;
    store.backup(&folder.path().join("copy.db")).await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        let name = entry.file_name().into_string().unwrap();
        assert_eq!(mode, 0o600, "{name}: {mode:o}");
        names.push(name);
    }
    names.sort();
    assert_eq!(names, ["copy.db", "w.db", "w.db-shm", "w.db-wal", "w.db.lock"]);
}

#[tokio::test]
async fn settings_are_those_of_the_house() {
    let (store, folder) = fresh_with(|_| {});
    let db = store.files.writer().unwrap();
    let pragma = |name: &str| db.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
    for (name, value) in [("page_size", 2048), ("auto_vacuum", 2), ("synchronous", 2), ("wal_autocheckpoint", 0), ("user_version", 18)] {
        assert_eq!(pragma(name), rusqlite::types::Value::Integer(value), "{name}");
    }
    assert_eq!(pragma("journal_mode"), rusqlite::types::Value::Text("wal".into()));
    drop(folder);
}

#[tokio::test]
async fn a_second_opener_is_told_or_waits() {
    let (store, folder) = fresh();
    let path = folder.path().join("w.db");
    let put_before = put(&store, LANE).await;
    let (kind, text) = text_of(open(&path));
    assert_eq!(kind, "unavailable");
    assert!(text.contains("in use") && text.contains(&std::process::id().to_string()), "{text}");
    let wait = OpenProgress::new();
    let waiting = SqliteOptions { wait: Some(wait.clone()), ..SqliteOptions::new(&path) };
    let (one, two) = (tokio::spawn(SqliteStore::open_async(waiting.clone())), tokio::spawn(SqliteStore::open_async(waiting.clone())));
    let never = tokio::time::timeout(Duration::from_millis(500), SqliteStore::open_async(waiting));
    assert!(never.await.is_err(), "it waits");
    assert!(!one.is_finished() && !two.is_finished());
    assert_eq!(wait.reason(), text, "why can be asked");
    store.close().await;
    drop(store);
    // The first one has it; the other waits for that one to close.
    let use_it = |opened: tokio::task::JoinHandle<Result<SqliteStore, StoreError>>| async move {
        let store = opened.await.unwrap().unwrap();
        let found = store.get_delivery(put_before.id).await.unwrap();
        store.close().await;
        drop(store);
        found
    };
    let (first, second) = tokio::join!(use_it(one), use_it(two));
    assert!(first.is_some() && second.is_some());
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let (path, _folder) = filled(1).await;
    Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE").unwrap();
    let before = std::fs::read(&path).unwrap();
    let (kind, text) = text_of(open(&path));
    assert_eq!(kind, "unusable");
    for part in ["99", "up to 18", "newer Watchfire", "backup"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_foreign_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    let (kind, text) = text_of(open(&path));
    assert_eq!(kind, "unusable");
    assert!(text.contains("not one of Watchfire's"), "{text}");
}

#[tokio::test]
async fn damage_is_told_with_what_to_do() {
    let (path, _folder) = filled(200).await;
    let whole = std::fs::read(&path).unwrap();
    let mut header = whole.clone();
    header[..16].fill(b'x');
    let mut schema = whole.clone();
    schema[100..4000].fill(0xAA);
    for (what, bytes) in [("header", header), ("schema", schema), ("cut short", whole[..whole.len() / 2].to_vec())] {
        std::fs::write(&path, bytes).unwrap();
        let (kind, text) = text_of(open(&path));
        assert_eq!(kind, "unusable", "{what}: {text}");
        for part in ["w.db", "aside", "backup", ".recover"] {
            assert!(text.contains(part), "{what}: {text}");
        }
    }
    std::fs::write(&path, &whole).unwrap();
    open(&path).unwrap().close().await;
}

#[tokio::test]
async fn damage_in_the_middle_is_an_answer_not_a_crash() {
    let (path, _folder) = filled(300).await;
    let mut bytes = std::fs::read(&path).unwrap();
    let pages = bytes.len() / 4096;
    // All but the first pages (schema, roots) of a closed file.
    for page in 40..pages {
        bytes[page * 4096..(page + 1) * 4096].fill(0x5A);
    }
    std::fs::write(&path, bytes).unwrap();
    match open(&path) {
        Err(error) => assert!(matches!(error, StoreError::Unusable(_)), "{error:?}"),
        Ok(store) => {
            let answer = store.list_deliveries(&DeliveryFilter { limit: 10_000, ..DeliveryFilter::default() }).await;
            let (kind, text) = text_of(answer);
            assert_eq!(kind, "unusable", "{text}");
            assert!(text.contains("damaged"), "{text}");
            store.close().await;
        }
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "x").unwrap();
    for path in [folder.path().join("none/w.db"), file.join("w.db"), PathBuf::from("/proc/w.db"), folder.path().to_owned()] {
        let (kind, text) = text_of(open(&path));
        assert_eq!(kind, "unavailable", "{text}");
        assert!(text.contains("check"), "{text}");
    }
}

#[tokio::test]
async fn what_was_answered_is_there_after_closing() {
    let (store, folder) = fresh();
    let path = folder.path().join("w.db");
    let d = put(&store, LANE).await;
    let epoch = fence(&store).await.epoch;
    store.close().await;
    for answer in [store.accept(event(vec![])).await.map(|_| ()), store.stats().await.map(|_| ()), store.check_writable().await] {
        assert_eq!(text_of(answer).0, "unavailable");
    }
    assert!(!folder.path().join("w.db-wal").exists(), "closed without a log to replay");
    let again: S = Arc::new(open(&path).unwrap());
    assert_eq!(places(&again, d.lane).await, [(1, d.id)]);
    // The lock says that the node before is gone: its lease does not keep another name waiting.
    let owned = again.claim_outlet(claim("n2", T0 + 1)).await.unwrap().unwrap();
    assert!(owned.epoch > epoch);
    again.close().await;
}

#[tokio::test]
async fn a_dropped_store_finishes_what_it_took() {
    let (store, folder) = fresh();
    let path = folder.path().join("w.db");
    let taken: Vec<_> = (0..100)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, LANE).await })
        })
        .collect();
    for task in taken {
        task.await.unwrap();
    }
    drop(store);
    let again = SqliteStore::open_async(SqliteOptions { wait: Some(OpenProgress::new()), ..SqliteOptions::new(path) }).await.unwrap();
    assert_eq!(again.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).await.unwrap().len(), 100);
    again.close().await;
}

#[tokio::test]
async fn a_backup_is_a_database_of_its_own() {
    let (store, folder) = fresh();
    let mut known = Vec::new();
    for _ in 0..50 {
        known.push(put(&store, LANE).await.id);
    }
    let known_incident = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
    put_report(&store, report("a", &[(1, false)]), T0 + 1).await;
    let fence = fence(&store).await;
    store.record_outcome(OutcomeBatch { anchors: vec![anchored(known_incident, 2)], ..settlement(&fence) }).await.unwrap();
    let busy = store.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..50 {
            put(&busy, "meanwhile").await;
        }
    });
    let copy = folder.path().join("copy.db");
    store.backup(&copy).await.unwrap();
    writer.await.unwrap();
    let (kind, text) = text_of(store.backup(&copy).await);
    assert_eq!(kind, "invalid");
    assert!(text.contains("never overwrites"), "{text}");
    assert_eq!(text_of(store.backup(&folder.path().join("none/copy.db")).await).0, "unavailable");
    assert!(!folder.path().join("copy.db-wal").exists());
    let copied = open(&copy).unwrap();
    let copied_incident = copied.get_incident(known_incident).await.unwrap().expect("incidents come along");
    assert_eq!((copied_incident.anchors.len(), copied_incident.timeline.len(), copied_incident.deliveries.len()), (1, 1, 2));
    let rows = copied.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).await.unwrap();
    assert!(known.iter().all(|id| rows.iter().any(|row| row.id == *id)));
    let lanes: i64 = copied.ready_lanes(&outlet(), LaneQuery::any(9)).await.unwrap().iter().map(|lane| lane.waiting).sum();
    assert_eq!(lanes, rows.len() as i64, "counters and deliveries are of one moment");
    copied.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_database_of_every_earlier_version_is_brought_up_to_date() {
    for version in 1..=MIGRATIONS.len() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.db");
        let (event, delivery) = (EventId::new(), DeliveryId::new());
        let db = Connection::open(&path).unwrap();
        MIGRATIONS[..version].iter().for_each(|script| db.execute_batch(script).unwrap());
        db.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        db.pragma_update(None, "user_version", version as i64).unwrap();
        // What the first version wrote, by its columns.
        db.execute(
            "INSERT INTO event (id, source, received_at, group_key, plan, body) VALUES (?1, 'a', 1, '', '', ?2)",
            params![event.0.as_bytes(), serde_json::to_vec(&Event::default()).unwrap()],
        )
        .unwrap();
        db.execute_batch("INSERT INTO lane (channel, key, outlet, last_seq, waiting, size) VALUES ('ops', 'lane', 'log:1', 1, 1, 1)").unwrap();
        db.execute(
            "INSERT INTO delivery (id, event_id, lane_id, lane_seq, channel, target, mode, state, rank, title, firing, resolved, born_at, due_at)
             VALUES (?1, ?2, 1, 1, 'ops', '{\"alerts\":[0]}', 'sync', 'waiting', 2, 't', 1, 0, 1, 1)",
            params![delivery.0.as_bytes(), event.0.as_bytes()],
        )
        .unwrap();
        let message = MessageId::new();
        db.execute(
            "INSERT INTO message (id, channel, platform, outlet, kind, template, generation, formed_at, pages, done)
             VALUES (?1, 'ops', 'log', 'log:1', 'single', 'default', 0, ?2, CAST('[]' AS BLOB), 1)",
            params![message.0.as_bytes(), T0],
        )
        .unwrap();
        db.execute(
            "INSERT INTO cell (message_id, page, recipient, state, tries, code, platform_id) VALUES (?1, 0, 'room', 'ok', 1, '0', '1764000000.000100')",
            [message.0.as_bytes()],
        )
        .unwrap();
        db.execute(
            "INSERT INTO attempt (id, message_id, page, outlet, node, epoch, begun_at, ended_at, kind, code, answer)
             VALUES (?1, ?2, 0, 'log:1', 'n', 1, ?3, ?3, 'ok', '0', 'taken')",
            params![delivery.0.as_bytes(), message.0.as_bytes(), T0],
        )
        .unwrap();
        let muted = if version < 8 { r#"a "night" one"#.to_owned() } else { channel_matchers(r#"a "night" one"#) };
        let column = if version < 8 { "channel" } else { "matchers" };
        db.execute(&format!("INSERT INTO mute ({column}, until, reason, by) VALUES (?1, 5, 'r', 'b')"), [&muted]).unwrap();
        drop(db);
        let store: S = Arc::new(open(&path).unwrap_or_else(|error| panic!("version {version}: {error}")));
        let mutes: Vec<String> = store.list_mutes().await.unwrap().into_iter().map(|mute| mute.matchers).collect();
        assert_eq!(mutes, [channel_matchers(r#"a "night" one"#)], "version {version}");
        let cells = store.get_message(message).await.unwrap().unwrap().cells;
        assert_eq!(cells[0].ids, PlatformIds::one("id", "1764000000.000100".to_owned()), "an id from before ids had names");
        let row = row(&store, delivery).await;
        assert_eq!((row.event, row.mode, row.state), (event, Mode::Direct, State::Waiting), "version {version}");
        assert_eq!(store.pending(LaneId(1), 0, 9, usize::MAX, UnixMs::MAX).await.unwrap().len(), 1);
        let next = put(&store, LANE).await;
        assert_eq!((next.lane, next.lane_seq), (LaneId(1), 2), "what comes next is behind it");
        let fence = fence(&store).await;
        let sent = deliver(&store, &fence, &[&next], T0).await;
        let (old, new) = (store.get_message(message).await.unwrap().unwrap(), store.get_message(sent).await.unwrap().unwrap());
        for stored in [old, new] {
            let (cell, attempt) = (&stored.cells[0], &stored.attempts[0]);
            assert_eq!((cell.state, cell.recipient.expose(), attempt.begun_at, attempt.kind), (CellState::Ok, "room", T0, Some(AttemptKind::Ok)));
        }
        assert_eq!(store.claim_outlet(claim("n1", T0)).await.unwrap().unwrap().sends, [T0, T0 + 5], "of both rows");
        assert_eq!(row.incident, None, "what was accepted before belongs to none");
        let opened = put_report(&store, report("a", &[(1, true)]), T0).await.incident.unwrap();
        let fence = Fence { epoch: fence.epoch + 1, ..fence };
        store.record_outcome(OutcomeBatch { anchors: vec![anchored(opened, 1)], ..settlement(&fence) }).await.unwrap();
        assert_eq!(incident(&store, opened).await.anchors.len(), 1);
        store.close().await;
        let now: i64 = Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(now, MIGRATIONS.len() as i64);
    }
}
