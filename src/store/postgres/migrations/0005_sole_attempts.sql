-- Schema version 5 (version 7 of the SQLite store): a message of one cell that was sent by its first attempt holds both in its own row, and has none in
-- `cell` and `attempt`. Messages that are stored stay as they are. A version that looks for those rows must not use the database from here on, and says so.
ALTER TABLE message
    ADD COLUMN recipient TEXT COLLATE "C",   -- its only cell, which is ok; NULL: see `cell` and `attempt`
    ADD COLUMN tries BIGINT,
    ADD COLUMN due_at BIGINT,
    ADD COLUMN platform_id TEXT,
    ADD COLUMN code TEXT,
    ADD COLUMN attempt_id UUID,              -- its only attempt, which is ok
    ADD COLUMN node TEXT,
    ADD COLUMN epoch BIGINT,
    ADD COLUMN begun_at BIGINT,
    ADD COLUMN ended_at BIGINT,
    ADD COLUMN answer TEXT,
    ADD COLUMN counted_at BIGINT;            -- begun_at, where the outlet has a rate limit
CREATE INDEX message_counted ON message (outlet, counted_at) WHERE counted_at IS NOT NULL;
