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

/// To close any other handle of the file would end them, and a `sqlite3` shell that ends would then remove the log from under the writer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sqlites_locks_are_held_for_as_long_as_it_runs() {
    use std::os::unix::fs::MetadataExt;
    let (store, path, _folder) = settled().await;
    let ino = std::fs::metadata(&path).unwrap().ino();
    let held = || {
        let locks = std::fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("POSIX") && line.contains(&format!(" {} ", std::process::id())) && line.contains(&format!(":{ino} ")))
    };
    assert!(held(), "{}", std::fs::read_to_string("/proc/locks").unwrap());
    store.check_files().unwrap();
    store.check_writable().await.unwrap();
    store.stats().await.unwrap();
    assert!(held());
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
