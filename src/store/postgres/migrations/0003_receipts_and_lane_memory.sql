-- Schema version 3 (version 5 of the SQLite store). It only adds: programs that know version 1 or 2 go on beside it.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered BIGINT NOT NULL DEFAULT 0;
-- How often a message of the lane was begun and never ended, because the process died at it: after a few times it is sent in short.
ALTER TABLE lane ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;

-- What a vendor says later about a message that it took: whether the SMS came, whether somebody answered the call.
CREATE TABLE receipt (
    message_id  UUID NOT NULL,
    page        INTEGER NOT NULL,            -- from 0; with the recipient, the cell that was taken
    recipient   TEXT COLLATE "C" NOT NULL,
    channel     TEXT COLLATE "C" NOT NULL,
    platform_id TEXT COLLATE "C" NOT NULL,   -- the vendor's id, by which it is asked
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('awaited', 'delivered', 'undelivered', 'unheard')),
    sent_at     BIGINT NOT NULL,
    due_at      BIGINT,                      -- when it is asked for next; NULL when its state is final
    until       BIGINT NOT NULL,             -- after this it is unheard
    asked       BIGINT NOT NULL DEFAULT 0,
    heard_at    BIGINT,
    code        TEXT,
    detail      TEXT,
    PRIMARY KEY (message_id, page, recipient)
) WITH (fillfactor = 85);
CREATE INDEX receipt_due ON receipt (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX receipt_awaited ON receipt (channel, platform_id) WHERE due_at IS NOT NULL;
-- A lane knows the newest event in it: a repeat counts only while it equals that one. The table `dedup` is not used any more; it stays for nodes
-- of an older version that still run, and a later version drops it.
ALTER TABLE lane ADD COLUMN newest BYTEA;    -- key, event, when it arrived, its last place in the lane; 64 bytes
-- It also knows which of its alerts were not reported over yet.
ALTER TABLE lane ADD COLUMN unresolved BYTEA NOT NULL DEFAULT ''; -- eight bytes of each fingerprint, oldest first
