-- Schema version 11 (version 13 of the SQLite store): who is on call in place of whom, and which handoffs people were notified of. A version that does not
-- know overrides would call the wrong person, so it must not use the database from here on, and says so.
CREATE TABLE oncall_override (
    id      BIGINT PRIMARY KEY,              -- its number; of two that overlap the larger one counts
    rota    TEXT COLLATE "C" NOT NULL,
    person  TEXT COLLATE "C" NOT NULL,
    from_at BIGINT NOT NULL,
    until   BIGINT NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL
);
CREATE TABLE rota (
    name    TEXT COLLATE "C" PRIMARY KEY,
    person  TEXT COLLATE "C" NOT NULL,       -- whose turn it is, overrides aside
    from_at BIGINT NOT NULL,                 -- since when
    noticed BIGINT NOT NULL                  -- handoffs up to this time were noticed
);
-- An answer by SMS is about the last message to its number, and a key may be reported after the end of its call, by which its receipt is final.
CREATE INDEX receipt_to ON receipt (recipient, message_id);
CREATE INDEX receipt_sent ON receipt (channel, platform_id);
DROP INDEX receipt_awaited;
