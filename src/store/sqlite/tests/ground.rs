//! Files that are taken away, cut or written over while they are open, and logs that were damaged while nobody had them open.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::SqliteStore;
use super::super::open::PAGE_SIZE;
use super::{SqliteOptions, fresh_with};
use crate::store::contract::fixtures::*;
use crate::store::*;

fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// A store with something in it, all of which has been moved into the file.
async fn settled() -> (S, PathBuf, tempfile::TempDir) {
    let (store, folder) = fresh_with(|_| {});
    let store: S = store;
    for ix in 0..200 {
        put(&store, &format!("{ix}")).await;
    }
    // The checkpoint of a quiet log, and a look that meets its end.
    tokio::time::sleep(Duration::from_millis(600)).await;
    store.check_writable().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    store.check_files().unwrap();
    (store, folder.path().join("w.db"), folder)
}

#[tokio::test]
async fn what_was_moved_away_takes_outcomes_still_and_nothing_new() {
    for what in ["deleted", "moved", "replaced", "its folder moved", "its log deleted"] {
        let (store, path, folder) = settled().await;
        let aside = folder.path().join("aside.db");
        match what {
            "deleted" => std::fs::remove_file(&path).unwrap(),
            "moved" => std::fs::rename(&path, &aside).unwrap(),
            "replaced" => {
                store.backup(&aside).await.unwrap();
                std::fs::rename(&aside, &path).unwrap();
            }
            "its folder moved" => std::fs::rename(folder.path(), folder.path().with_extension("away")).unwrap(),
            _ => std::fs::remove_file(beside(&path, "-wal")).unwrap(),
        }
        let told = store.check_files().unwrap_err();
        assert!(matches!(&told, StoreError::Unavailable(text) if text.contains("w.db") && text.contains("restart Watchfire")), "{what}: {told}");
        store.check_writable().await.unwrap_or_else(|error| panic!("{what}: outcomes are still written: {error}"));
        put(&store, "outcome").await;
        assert_eq!(store.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).await.unwrap().len(), 201, "{what}");
        match what {
            "moved" => std::fs::rename(&aside, &path).unwrap(),
            "its folder moved" => std::fs::rename(folder.path().with_extension("away"), folder.path()).unwrap(),
            _ => {
                store.close().await;
                continue;
            }
        }
        store.check_files().unwrap_or_else(|error| panic!("{what}, and back: {error}"));
        store.close().await;
        let again: S = Arc::new(SqliteStore::open(SqliteOptions::new(&path)).unwrap());
        assert_eq!(again.list_deliveries(&DeliveryFilter { limit: 1000, ..DeliveryFilter::default() }).await.unwrap().len(), 201, "{what}");
        again.close().await;
    }
}

#[tokio::test]
async fn what_was_cut_or_written_over_is_not_used_again() {
    for what in ["emptied", "cut in half", "a backup copied over it", "another database copied over it", "filled with something else"] {
        let (store, path, folder) = settled().await;
        let aside = folder.path().join("aside.db");
        match what {
            "emptied" => std::fs::write(&path, "").unwrap(),
            "cut in half" => {
                let half = std::fs::metadata(&path).unwrap().len() / 2;
                std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(half).unwrap();
            }
            "a backup copied over it" => {
                store.backup(&aside).await.unwrap();
                std::fs::copy(&aside, &path).map(drop).unwrap();
            }
            "another database copied over it" => {
                let (other, far) = fresh_with(|_| {});
                let other: S = other;
                put(&other, LANE).await;
                other.close().await;
                std::fs::copy(far.path().join("w.db"), &path).map(drop).unwrap();
            }
            _ => std::fs::write(&path, vec![0x5A; 4 << 20]).unwrap(),
        }
        for told in [store.check_files(), store.check_writable().await, store.check_files()] {
            let told = told.unwrap_err();
            assert!(matches!(&told, StoreError::Unusable(text) if text.contains("w.db") && text.contains("backup")), "{what}: {told}");
        }
        store.close().await;
    }
}

fn write_at(path: &Path, at: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    std::fs::OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap();
}

/// Waits for the check of a file that somebody else wrote to; what it said each time.
async fn checks(store: &S) -> Vec<Result<(), StoreError>> {
    let mut said = Vec::new();
    for _ in 0..3 {
        said.push(store.check_writable().await);
    }
    said
}

#[tokio::test]
async fn bytes_that_another_program_writes_are_noticed() {
    for what in ["pages", "a byte of a row", "nothing, but its time"] {
        let (store, path, _folder) = settled().await;
        let row = std::fs::read(&path).unwrap().windows(6).rposition(|bytes| bytes == b"prod-1").unwrap_or(5 * 4096 + 4000);
        match what {
            "pages" => write_at(&path, 2 * 4096, &[0xA5; 40 * 4096]),
            "a byte of a row" => write_at(&path, row as u64, b"q"),
            _ => std::fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::SystemTime::now()).unwrap(),
        }
        // Nothing is accepted before the pages are checked.
        let refused = store.check_files().unwrap_err();
        assert!(refused.to_string().contains("another program has written"), "{what}: {refused}");
        let said = checks(&store).await;
        let first = said[0].as_ref().unwrap_err().to_string();
        assert!(first.contains("another program has written") && first.contains("w.db"), "{what}: {first}");
        if what == "pages" {
            assert!(said.iter().all(|said| matches!(said, Err(StoreError::Unusable(_)))), "{what}: {said:?}");
            assert!(store.check_files().is_err());
        } else {
            // Reported once; afterwards it goes on.
            assert!(said[1].is_ok() && said[2].is_ok() && first.contains("its pages are sound"), "{what}: {said:?}");
            store.check_files().unwrap();
            put(&store, "after").await;
            tokio::time::sleep(Duration::from_millis(600)).await;
            store.check_writable().await.unwrap();
            store.check_files().unwrap();
        }
        store.close().await;
    }
}

#[tokio::test]
async fn a_checkpoint_by_another_program_does_no_harm() {
    let (store, path, _folder) = settled().await;
    let other = Connection::open(&path).unwrap();
    for ix in 0..40 {
        put(&store, &format!("more-{ix}")).await;
        // It moves what we have committed, as a `sqlite3` shell does, often before our own checkpoint.
        other.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1)).unwrap();
        let found = store.check_files();
        assert!(!matches!(found, Err(StoreError::Unusable(_))), "{found:?}");
    }
    let last = checks(&store).await.pop().unwrap();
    assert!(last.is_ok() && store.check_files().is_ok(), "{last:?}");
    store.close().await;
}

/// Our own checkpoints, at whatever moment they come, are nobody else's writes.
#[tokio::test]
async fn our_own_writes_are_not_taken_for_those_of_others() {
    let (store, _path, _folder) = settled().await;
    for ix in 0..400 {
        put(&store, &format!("more-{}", ix % 50)).await;
        store.check_files().unwrap();
        if ix % 40 == 0 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            store.check_writable().await.unwrap();
        }
    }
    store.close().await;
}

#[tokio::test]
async fn a_log_that_is_damaged_while_it_is_open_is_not_moved_into_the_file() {
    const FRAME: u64 = 24 + PAGE_SIZE;
    for what in ["overwritten", "cut", "emptied", "its header"] {
        let (store, path, _folder) = settled().await;
        let log = beside(&path, "-wal");
        // All of the log is in the file, so it begins again; the checkpoint after these commits finds the damage.
        for ix in 0..5 {
            put(&store, &format!("late-{ix}")).await;
        }
        match what {
            "overwritten" => write_at(&log, 32 + 2 * FRAME + 2000, &[0x5A; 64]),
            "cut" => std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(32 + 2 * FRAME + 100).unwrap(),
            "emptied" => std::fs::OpenOptions::new().write(true).open(&log).unwrap().set_len(0).unwrap(),
            _ => write_at(&log, 16, &[0x5A; 8]),
        }
        let end = std::time::Instant::now() + Duration::from_secs(10);
        let told = loop {
            match store.check_files() {
                Err(told) => break told,
                Ok(()) if std::time::Instant::now() > end => panic!("{what}: not noticed"),
                Ok(()) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        assert!(matches!(&told, StoreError::Unusable(text) if text.contains("w.db-wal") && text.contains("restart Watchfire")), "{what}: {told}");
        assert!(store.check_writable().await.is_err(), "{what}");
        store.close().await;
        // What the file has is sound: nothing damaged was moved into it, not at the end either.
        let db = Connection::open(&path).unwrap();
        assert_eq!(db.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0)).unwrap(), "ok", "{what}");
    }
}

/// To close any other handle of the file would end them, and a `sqlite3` shell that ends would then remove the log from under the writer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sqlites_locks_are_held_for_as_long_as_it_runs() {
    use std::os::unix::fs::MetadataExt;
    let (store, path, _folder) = settled().await;
    let listed = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        [path.clone(), beside(&path, "-shm")].iter().all(|file| {
            let ino = std::fs::metadata(file).unwrap().ino();
            let ours = |line: &str| line.contains(&format!(" {} ", std::process::id())) && line.contains(&format!(":{ino} "));
            locks.lines().any(|line| line.contains("POSIX") && ours(line))
        })
    };
    // The list is not read at one instant: while others come and go, one of them may be left out.
    let held = || {
        (0..50).any(|_| {
            let all = listed();
            if !all {
                std::thread::sleep(Duration::from_millis(10));
            }
            all
        })
    };
    assert!(held(), "{}", std::fs::read_to_string("/proc/locks").unwrap());
    store.check_files().unwrap();
    store.check_writable().await.unwrap();
    store.stats().await.unwrap();
    assert!(held());
    // Somebody else writes for longer than a write waits: the writer's connection is made again, the readers' go on.
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(store.check_writable().await.is_err());
    other.execute_batch("ROLLBACK").unwrap();
    store.check_writable().await.unwrap();
    assert!(held(), "{}", std::fs::read_to_string("/proc/locks").unwrap());
    store.close().await;
}

/// A database as a crash leaves it, with `n` transactions of which none was moved into the file; `-shm` says so.
fn crashed(path: &Path, n: usize) -> tempfile::TempDir {
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    for ix in 0..n {
        db.execute(
            "UPDATE delivery SET title = ?1 WHERE id = (SELECT id FROM delivery ORDER BY id LIMIT 1 OFFSET ?2)",
            (format!("t{ix} {:?}", crate::model::DeliveryId::new()), ix as i64),
        )
        .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::copy(beside(path, suffix), beside(&folder.path().join("w.db"), suffix)).unwrap();
    }
    folder
}

#[tokio::test]
async fn a_damaged_log_is_told_when_it_is_opened() {
    const FRAME: u64 = 24 + PAGE_SIZE;
    let (store, path, _folder) = settled().await;
    store.close().await;
    let cut = |log: &Path, at: u64| std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(at).unwrap();
    let flip = |log: &Path, at: usize| {
        let mut bytes = std::fs::read(log).unwrap();
        bytes[at] ^= 0x10;
        std::fs::write(log, bytes).unwrap();
    };
    for (what, with_index, told) in [
        ("nothing", true, None),
        ("nothing", false, None),
        ("cut between two commits", true, Some("are lost")),
        ("cut in a page", true, Some("are lost")),
        ("a bit of a page", true, Some("are lost")),
        ("a bit of a page", false, Some("power failure")),
        ("a bit of a frame's head", true, Some("are lost")),
        ("a bit of the header", true, Some("are lost")),
        ("a bit of the header", false, Some("power failure")),
        ("emptied", true, Some("are lost")),
        ("deleted", true, Some("are lost")),
    ] {
        let image = crashed(&path, 40);
        let (copy, log) = (image.path().join("w.db"), image.path().join("w.db-wal"));
        let frames = (std::fs::metadata(&log).unwrap().len() - 32) / FRAME;
        assert!(frames >= 40, "{frames}");
        match what {
            "cut between two commits" => cut(&log, 32 + FRAME * (frames / 2)),
            "cut in a page" => cut(&log, 32 + FRAME * (frames / 2) + 1000),
            "a bit of a page" => flip(&log, (32 + FRAME * (frames / 2) + 500) as usize),
            "a bit of a frame's head" => flip(&log, (32 + FRAME * (frames / 2) + 9) as usize),
            "a bit of the header" => flip(&log, 17),
            "emptied" => cut(&log, 0),
            "deleted" => std::fs::remove_file(&log).unwrap(),
            _ => {}
        }
        if !with_index {
            std::fs::remove_file(beside(&copy, "-shm")).unwrap();
        }
        let name = format!("{what}, {}", if with_index { "with the index" } else { "without it" });
        let opened = SqliteStore::open(SqliteOptions::new(&copy)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = opened.damage_report().map(|text| text.replace("is forgotten", "are lost"));
        match told {
            None => assert_eq!(found, None, "{name}"),
            Some(part) => assert!(found.as_deref().is_some_and(|text| text.contains(part) && text.contains("w.db-wal")), "{name}: {found:?}"),
        }
        opened.close().await;
        // It is reported once: afterwards the log is whole.
        let again = SqliteStore::open(SqliteOptions::new(&copy)).unwrap();
        assert_eq!(again.damage_report(), None, "{name}");
        again.close().await;
    }
}
