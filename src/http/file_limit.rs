//! How many files this process may open, and how many of them connections of senders may take. The others are for deliveries, the store and templates: a
//! listener that took all would accept alerts and deliver none.

use std::fmt;

/// Maximum number of connections, where the system allows more.
const MAX_CONNECTIONS: usize = 4096;
/// Number of connections that are allowed however few files the system allows.
const MIN_CONNECTIONS: usize = 4;
/// Below this limit it is worth a warning; it is the usual default of a system.
const USUAL_LIMIT: usize = 1024;

/// What the system allows, read once at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLimit {
    /// How many files may be open; `None` when the system does not say or sets no limit.
    limit: Option<usize>,
    /// How many are open already.
    open: usize,
}

impl FileLimit {
    /// Of this process, now: the store should be open.
    pub fn of_this_process() -> Self {
        let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { limit: soft_limit(&limits), open }
    }

    /// How many connections senders may have together: half of what is free.
    pub fn connections(self) -> usize {
        self.limit.map_or(MAX_CONNECTIONS, |limit| (limit.saturating_sub(self.open) / 2).clamp(MIN_CONNECTIONS, MAX_CONNECTIONS))
    }

    /// What to say at start where the limit is low.
    pub fn warning(self) -> Option<FileLimitWarning> {
        let limit = self.limit.filter(|limit| *limit < USUAL_LIMIT)?;
        Some(FileLimitWarning { limit, open: self.open, connections: self.connections() })
    }
}

/// A limit that is low.
#[derive(Debug)]
pub struct FileLimitWarning {
    limit: usize,
    open: usize,
    connections: usize,
}

impl fmt::Display for FileLimitWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, open, connections } = self;
        let rest = limit.saturating_sub(open + connections);
        write!(
            f,
            "only {limit} files may be open and {open} are: at most {connections} connections of senders are accepted at a time, and {rest} files are left for \
             deliveries; raise the limit to {USUAL_LIMIT} or more (`ulimit -n`, systemd `LimitNOFILE=`, `docker run --ulimit nofile=`)"
        )
    }
}

/// The limit that is active, of the text of `/proc/self/limits`.
fn soft_limit(limits: &str) -> Option<usize> {
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_free_is_left_to_deliveries_however_little_that_is() {
        let connections = |limit, open| FileLimit { limit, open }.connections();
        for (limit, open, wanted) in [(24, 22, 4), (64, 22, 21), (100, 22, 39), (1024, 24, 500), (1 << 20, 24, MAX_CONNECTIONS)] {
            assert_eq!(connections(Some(limit), open), wanted, "{limit} with {open} open");
        }
        assert_eq!(connections(None, 22), MAX_CONNECTIONS);
    }

    #[test]
    fn a_low_limit_is_reported_with_its_numbers_and_what_to_do() {
        let said = FileLimit { limit: Some(64), open: 22 }.warning().unwrap().to_string();
        for part in ["64 files", "22 are", "21 connections", "21 files are left", "ulimit -n", "LimitNOFILE"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(FileLimit { limit: Some(1024), open: 22 }.warning().is_none() && FileLimit { limit: None, open: 22 }.warning().is_none());
    }

    #[test]
    fn the_system_is_asked() {
        assert_eq!(soft_limit("Max processes 1 1 processes\nMax open files            64   4096   files\n"), Some(64));
        assert_eq!((soft_limit("Max open files   unlimited unlimited files\n"), soft_limit("")), (None, None));
        if cfg!(target_os = "linux") {
            assert!(FileLimit::of_this_process().open > 2);
        }
    }
}
