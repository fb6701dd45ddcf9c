//! What `watchfire --version` prints behind the name: the version, the commit, what the build is for, and which stores are in it.

use std::env::consts::{ARCH, OS};
use std::sync::LazyLock;

use crate::store::{PostgresStore, SqliteStore};

/// Characters of a commit that are shown, as `git log --abbrev=12` shows it.
const SHOWN: usize = 12;

/// `0.1.0 (c2d4d13abcde, x86_64-linux-gnu, SQLite 3.50.2 with schema 18, PostgreSQL with schema 16)`: scripts read the version as the second word of the line. A build without a commit has none here.
pub fn long() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| text(crate::metrics::revision(), cfg!(debug_assertions)));
    &TEXT
}

fn text(revision: Option<&str>, is_debug: bool) -> String {
    let libc = if cfg!(target_env = "musl") {
        "-musl"
    } else if cfg!(target_env = "gnu") {
        "-gnu"
    } else {
        ""
    };
    let commit = revision.map(|revision| revision.chars().take(SHOWN).collect::<String>() + ", ");
    let debug = if is_debug { "debug build, " } else { "" };
    let stores = format!("SQLite {} with schema {}, PostgreSQL with schema {}", rusqlite::version(), SqliteStore::SCHEMA, PostgresStore::SCHEMA);
    format!("{} ({}{debug}{ARCH}-{OS}{libc}, {stores})", env!("CARGO_PKG_VERSION"), commit.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_short_and_may_be_missing() {
        let whole = text(Some("c2d4d13abcde0123456789abcdef0123456789ab"), false);
        assert!(whole.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (c2d4d13abcde, ")) && whole.ends_with(')'), "{whole}");
        assert!(whole.contains(ARCH) && !whole.contains("debug"), "{whole}");
        assert!(whole.contains(", SQLite 3.") && whole.contains(", PostgreSQL with schema ") && whole.lines().count() == 1, "{whole}");
        let none = text(None, true);
        assert!(none.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (debug build, ")), "{none}");
    }
}
