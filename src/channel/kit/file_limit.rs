//! How many files this process may open, and who may take how many of them: senders' connections one half of what is free, attempts the other. A listener
//! that took all would accept alerts and deliver none; attempts that took all would keep senders and the operator out.

use std::fmt;

/// Maximum number of senders' connections, where the system allows more.
const MAX_CONNECTIONS: usize = 4096;
/// Number of connections and of attempts that are allowed however few files the system allows.
const MIN_SHARE: usize = 4;
/// Of so many connections that may be open, one more may be at its TLS handshake.
const CONNECTIONS_PER_HANDSHAKE: usize = 4;
/// Maximum number of concurrent handshakes; they cost more than what follows.
const MAX_HANDSHAKES: usize = 256;
/// Files that are opened now and then: templates, the configuration, a backup, connections to the database that are made again.
const RESERVE: usize = 8;
/// Hosts that idle connections are kept for at least; a connection that is kept is an open file.
const HOSTS: usize = 16;
/// Idle connections kept for each host: as many as an outlet without a rate limit may use at once, so that not every message opens one.
const MAX_IDLE_PER_HOST: usize = 64;
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

    fn free(self) -> usize {
        self.limit.map_or(usize::MAX, |limit| limit.saturating_sub(self.open + RESERVE))
    }

    /// How many connections senders may have together; a quarter more wait for a place, and a quarter more are at their handshake.
    pub fn connections(self) -> usize {
        (self.free() / 2 * 2 / 3).clamp(MIN_SHARE, MAX_CONNECTIONS)
    }

    /// How many more may be at their TLS handshake.
    pub fn handshakes(self) -> usize {
        (self.connections() / CONNECTIONS_PER_HANDSHAKE).clamp(1, MAX_HANDSHAKES)
    }

    /// How many attempts may be at their request.
    pub fn attempts(self) -> usize {
        self.free().saturating_sub(self.connections() + 2 * self.handshakes()).max(MIN_SHARE)
    }

    /// How many idle connections to a host are kept for the next message.
    pub fn idle_per_host(self) -> usize {
        (self.free() / 2 / HOSTS).min(MAX_IDLE_PER_HOST)
    }

    /// What to say at start where the limit is low.
    pub fn warning(self) -> Option<FileLimitWarning> {
        let limit = self.limit.filter(|limit| *limit < USUAL_LIMIT)?;
        Some(FileLimitWarning { limit, open: self.open, connections: self.connections(), attempts: self.attempts() })
    }
}

/// A limit that is low.
#[derive(Debug)]
pub struct FileLimitWarning {
    limit: usize,
    open: usize,
    connections: usize,
    attempts: usize,
}

impl fmt::Display for FileLimitWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, open, connections, attempts } = self;
        write!(
            f,
            "only {limit} files may be open and {open} are: at most {connections} connections of senders and {attempts} requests to platforms are open at a \
             time; raise the limit to {USUAL_LIMIT} or more (`ulimit -n`, systemd `LimitNOFILE=`, `docker run --ulimit nofile=`)"
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
    fn senders_and_attempts_share_what_is_free_however_little_that_is() {
        for (limit, open) in [(64, 22), (100, 22), (200, 90), (1024, 24), (4096, 24)] {
            let files = FileLimit { limit: Some(limit), open };
            let (senders, attempts) = (files.connections() + 2 * files.handshakes(), files.attempts());
            assert!(open + senders + attempts + RESERVE <= limit, "{files:?}: {senders} and {attempts}");
            assert!(senders * 3 >= limit - open - RESERVE && attempts >= senders - 2, "{files:?}: {senders} and {attempts}");
            assert!(files.idle_per_host() * HOSTS <= attempts, "{files:?}");
        }
        let none_left = FileLimit { limit: Some(24), open: 22 };
        assert_eq!((none_left.connections(), none_left.attempts(), none_left.idle_per_host()), (MIN_SHARE, MIN_SHARE, 0));
        for many in [Some(1 << 20), None] {
            let files = FileLimit { limit: many, open: 24 };
            assert_eq!((files.connections(), files.handshakes(), files.idle_per_host()), (MAX_CONNECTIONS, MAX_HANDSHAKES, MAX_IDLE_PER_HOST));
            assert!(files.attempts() > 1 << 19);
        }
    }

    #[test]
    fn a_low_limit_is_reported_with_its_numbers_and_what_to_do() {
        let said = FileLimit { limit: Some(64), open: 22 }.warning().unwrap().to_string();
        for part in ["64 files", "22 are", "11 connections", "19 requests", "ulimit -n", "LimitNOFILE"] {
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
