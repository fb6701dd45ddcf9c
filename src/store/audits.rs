//! Audit and sessions of both engines: how their rows are read.

use super::rows::{StoredRow, columns};
use super::{AuditRow, AuditState, Author, Session};

/// Rows of the audit that are kept, in milliseconds: a year.
pub(super) const AUDIT_KEPT_MS: i64 = 366 * 86_400_000;
/// Old rows of the audit that a new one removes at most.
pub(super) const AUDIT_BATCH: i64 = 100;
/// Refusals are kept among the newest of this part of the rows: who is refused often, logged in or not, pushes out no act.
pub(super) const NEWER: i64 = 2;
/// Rows that a purge removes at a time.
pub(super) const PURGED: i64 = 1000;
/// Longest text of a column, in characters.
const MAX_TEXT: usize = 2000;

columns! {
    /// The columns of an act, for [`audit_row`].
    AUDIT, audit_at, "": id, at, by_name, by_way, by_address, act, object, reason, state, outcome
}
columns! {
    /// The columns of a login, for [`session`].
    SESSION, session_at, "": key, credential, seal, address, opened_at, seen_at
}

/// An act.
pub(super) fn audit_row<R: StoredRow>(row: &R) -> Result<AuditRow, R::Error> {
    use audit_at as at;
    Ok(AuditRow {
        id: row.uuid(at::id)?,
        at: row.time(at::at)?,
        by: Author { name: row.owned(at::by_name)?, via: row.owned(at::by_way)?, from: row.owned(at::by_address)? },
        act: row.owned(at::act)?,
        on: row.owned(at::object)?,
        reason: row.owned(at::reason)?,
        state: row.named(at::state, AuditState::parse, "state of an act")?,
        outcome: row.owned(at::outcome)?,
    })
}

/// A login.
pub(super) fn session<R: StoredRow>(row: &R) -> Result<Session, R::Error> {
    use session_at as at;
    let hash = |column| row.bytes(column)?.try_into().map_err(|_| row.unreadable(column, "a hash has not 32 bytes"));
    Ok(Session {
        key: hash(at::key)?,
        credential: row.owned(at::credential)?,
        seal: hash(at::seal)?,
        from: row.owned(at::address)?,
        opened_at: row.time(at::opened_at)?,
        seen_at: row.time(at::seen_at)?,
    })
}

/// An act within the bounds of its columns, for either engine.
pub(super) fn bounded(mut row: AuditRow) -> AuditRow {
    for text in [&mut row.by.name, &mut row.by.via, &mut row.by.from, &mut row.act, &mut row.on, &mut row.reason, &mut row.outcome] {
        *text = shortened(text);
    }
    row
}

/// A text that can be stored: PostgreSQL has no U+0000.
pub(super) fn shortened(text: &str) -> String {
    text.chars().map(|c| if c == '\0' { '\u{FFFD}' } else { c }).take(MAX_TEXT).collect()
}

/// The pattern for LIKE that finds a text anywhere.
pub(super) fn anywhere(text: &str) -> String {
    format!("%{}%", text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}
