//! Whether the configuration changed on disk: a hash over the contents of every file it was made from. Contents, not times and not inodes: Kubernetes
//! swaps folders behind a symbolic link, editors replace files, and network file systems tell nobody.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Files in a folder are looked for this deep: `templates/<platform>/<file>`.
const MAX_DEPTH: usize = 2;
/// A single file is hashed up to this many bytes.
const MAX_FILE: u64 = 4 << 20;

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
}
