-- Schema version 13: who is on call in place of whom, and which handoffs people were notified of.
CREATE TABLE oncall_override (
    id      INTEGER PRIMARY KEY NOT NULL,    -- its number; of two that overlap the larger one counts
    rota    TEXT NOT NULL,
    person  TEXT NOT NULL,
    from_at INTEGER NOT NULL,
    until   INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL
) STRICT;
CREATE TABLE rota (
    name    TEXT PRIMARY KEY NOT NULL,
    person  TEXT NOT NULL,                   -- whose turn it is, overrides aside
    from_at INTEGER NOT NULL,                -- since when
    noticed INTEGER NOT NULL                 -- handoffs up to this time were noticed
) STRICT, WITHOUT ROWID;
-- An answer by SMS is about the last message to its number, and a key may be reported after the end of its call, by which its receipt is final.
CREATE INDEX receipt_to ON receipt (recipient, message_id);
CREATE INDEX receipt_sent ON receipt (channel, platform_id);
DROP INDEX receipt_awaited;
