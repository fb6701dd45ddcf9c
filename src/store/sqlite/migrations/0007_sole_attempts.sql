-- Schema version 7: a message of one cell that was sent by its first attempt holds both in its own row, and has none in `cell` and `attempt`. Messages
-- that are stored stay as they are.
ALTER TABLE message ADD COLUMN recipient TEXT;       -- its only cell, which is ok; NULL: see `cell` and `attempt`
ALTER TABLE message ADD COLUMN tries INTEGER;
ALTER TABLE message ADD COLUMN due_at INTEGER;
ALTER TABLE message ADD COLUMN platform_id TEXT;
ALTER TABLE message ADD COLUMN code TEXT;
ALTER TABLE message ADD COLUMN attempt_id BLOB;      -- its only attempt, which is ok
ALTER TABLE message ADD COLUMN node TEXT;
ALTER TABLE message ADD COLUMN epoch INTEGER;
ALTER TABLE message ADD COLUMN begun_at INTEGER;
ALTER TABLE message ADD COLUMN ended_at INTEGER;
ALTER TABLE message ADD COLUMN answer TEXT;
ALTER TABLE message ADD COLUMN counted_at INTEGER;   -- begun_at, where the outlet has a rate limit
CREATE INDEX message_counted ON message (outlet, counted_at) WHERE counted_at IS NOT NULL;
-- Purge looks here for messages that their deliveries left. One that was sent is not left.
DROP INDEX message_done;
CREATE INDEX message_done ON message (formed_at) WHERE done = 1 AND recipient IS NULL;
