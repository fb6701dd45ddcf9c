//! Whether the configuration changed on disk: a hash over the contents of every file it was made from. Contents, not times and not inodes: Kubernetes
//! swaps folders behind a symbolic link, editors replace files, and network file systems tell nobody.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// Files in a folder are looked for this deep: `templates/<platform>/<file>`.
const MAX_DEPTH: usize = 2;
/// A single file is hashed up to this many bytes.
const MAX_FILE: u64 = 4 << 20;
/// A file system's clock advances in steps of up to 10 ms (a tick of the kernel): a change may seem so much older than it is.
const CLOCK_STEP: Duration = Duration::from_millis(10);

/// Files and folders that a configuration was read from, and what was in them before it was read.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Sorted.
    pub paths: Vec<PathBuf>,
    /// `None` when one of them changed while it was read: what was read may be what was there before.
    hash: Option<[u8; 32]>,
}

impl Watched {
    /// Runs `read`, which names what it read, and keeps what these files held before. What was not `known` to be read is looked at only afterwards: by
    /// its times it shows whether it changed since. Does blocking I/O.
    pub fn while_reading<T>(known: Vec<PathBuf>, read: impl FnOnce() -> (T, Vec<PathBuf>)) -> (T, Self) {
        let before = fingerprint(&known);
        let began = SystemTime::now().checked_sub(CLOCK_STEP).unwrap_or(SystemTime::UNIX_EPOCH);
        let (result, paths) = read();
        let hash = if paths == known {
            Some(before)
        } else {
            // In this order: what changes between the two shows by its times.
            let after = fingerprint(&paths);
            (!paths.iter().any(|path| changed_since(path, 0, began))).then_some(after)
        };
        (result, Self { paths, hash })
    }

    /// Whether what is there `now` ([`fingerprint`] of the same paths) is something else than what was read.
    pub fn differs(&self, now: [u8; 32]) -> bool {
        self.hash != Some(now)
    }
}

/// Whether a file or folder was written, replaced, created or removed since then. For what is absent its folder answers.
fn changed_since(path: &Path, depth: usize, since: SystemTime) -> bool {
    let Ok(meta) = std::fs::metadata(path) else {
        return path.parent().and_then(|folder| std::fs::metadata(folder).ok()).is_some_and(|folder| changed(&folder) >= since);
    };
    if changed(&meta) >= since {
        return true;
    }
    let inside = if meta.is_dir() && depth < MAX_DEPTH { std::fs::read_dir(path).ok() } else { None };
    inside.is_some_and(|entries| entries.flatten().any(|entry| changed_since(&entry.path(), depth + 1, since)))
}

/// When it was changed last: unlike the time of modification, nobody can set it, and a file that was moved has a new one.
fn changed(meta: &std::fs::Metadata) -> SystemTime {
    let (seconds, nanoseconds) = (u64::try_from(meta.ctime()).unwrap_or(0), u64::try_from(meta.ctime_nsec()).unwrap_or(0));
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// A hash over the names and contents of files and of all files in folders. What does not exist or cannot be read counts as such, so that its coming
/// and going changes the hash. Does blocking I/O.
pub fn fingerprint(paths: &[PathBuf]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for path in paths {
        add(path, 0, &mut hash);
    }
    hash.finalize().into()
}

fn add(path: &Path, depth: usize, hash: &mut Sha256) {
    hash.update(path.as_os_str().as_encoded_bytes());
    let Ok(meta) = std::fs::metadata(path) else {
        hash.update(b"\0absent\0");
        return;
    };
    if meta.is_dir() {
        hash.update(b"\0folder\0");
        let Ok(entries) = std::fs::read_dir(path) else { return };
        let mut inside: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        inside.sort();
        if depth < MAX_DEPTH {
            inside.iter().for_each(|path| add(path, depth + 1, hash));
        }
        return;
    }
    hash.update(meta.len().to_le_bytes());
    if meta.is_file() && meta.len() <= MAX_FILE {
        match std::fs::read(path) {
            Ok(bytes) => hash.update(Sha256::digest(&bytes)),
            Err(_) => hash.update(b"\0unreadable\0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_count_and_times_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("routes.yaml");
        let templates = folder.path().join("templates");
        std::fs::create_dir_all(templates.join("slack")).unwrap();
        let paths = [file.clone(), templates.clone()];
        let absent = fingerprint(&paths);
        std::fs::write(&file, "a").unwrap();
        let first = fingerprint(&paths);
        assert_ne!(absent, first);
        std::fs::write(&file, "a").unwrap();
        assert_eq!(first, fingerprint(&paths), "written again, but the same");
        std::fs::write(&file, "b").unwrap();
        let changed = fingerprint(&paths);
        assert_ne!(first, changed);
        std::fs::write(templates.join("slack/a.text.hbs"), "x").unwrap();
        let added = fingerprint(&paths);
        assert_ne!(changed, added);
        std::fs::rename(templates.join("slack/a.text.hbs"), templates.join("slack/b.text.hbs")).unwrap();
        assert_ne!(added, fingerprint(&paths));
    }

    #[test]
    fn what_changes_while_it_is_read_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
        std::fs::create_dir(at("templates")).unwrap();
        for name in ["routes.yaml", "secret", "templates/a.hbs", "templates/b.hbs"] {
            write(name, "one");
        }
        let main = vec![at("routes.yaml")];
        let all = vec![at("absent/not"), at("routes.yaml"), at("secret"), at("templates")];
        std::fs::create_dir(at("absent")).unwrap();
        std::thread::sleep(CLOCK_STEP * 3);
        let read = |known: &Vec<PathBuf>, meanwhile: &dyn Fn()| {
            let ((), watched) = Watched::while_reading(known.clone(), || {
                meanwhile();
                ((), all.clone())
            });
            watched.differs(fingerprint(&all))
        };
        for known in [&main, &all] {
            assert!(!read(known, &|| ()), "nothing changed");
            let changes: [&dyn Fn(); 5] = [
                &|| write("secret", "two"),
                &|| write("templates/a.hbs", "two"),
                &|| std::fs::rename(at("templates/b.hbs"), at("templates/c.hbs")).unwrap(),
                &|| write("absent/not", "here"),
                &|| std::fs::remove_file(at("absent/not")).unwrap(),
            ];
            for (number, change) in changes.iter().enumerate() {
                assert!(read(known, change), "change {number}");
                std::thread::sleep(CLOCK_STEP * 3);
                assert!(!read(known, &|| ()), "change {number}, read again");
            }
            std::fs::rename(at("templates/c.hbs"), at("templates/b.hbs")).unwrap();
            for name in ["secret", "templates/a.hbs"] {
                write(name, "one");
            }
            std::thread::sleep(CLOCK_STEP * 3);
        }
    }
}
