-- Schema version 5.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
-- How often a message of the lane was begun and never ended, because the process died at it: after a few times it is sent in short.
ALTER TABLE lane ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;

-- What a vendor says later about a message that it took: whether the SMS came, whether somebody answered the call.
CREATE TABLE receipt (
    message_id  BLOB NOT NULL,
    page        INTEGER NOT NULL,            -- from 0; with the recipient, the cell that was taken
    recipient   TEXT NOT NULL,
    channel     TEXT NOT NULL,
    platform_id TEXT NOT NULL,               -- the vendor's id, by which it is asked
    state       TEXT NOT NULL CHECK (state IN ('awaited', 'delivered', 'undelivered', 'unheard')),
    sent_at     INTEGER NOT NULL,
    due_at      INTEGER,                     -- when it is asked for next; NULL when its state is final
    until       INTEGER NOT NULL,            -- after this it is unheard
    asked       INTEGER NOT NULL DEFAULT 0,
    heard_at    INTEGER,
    code        TEXT,
    detail      TEXT,
    PRIMARY KEY (message_id, page, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX receipt_due ON receipt (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX receipt_awaited ON receipt (channel, platform_id) WHERE due_at IS NOT NULL;
-- A lane knows the newest event in it: a repeat counts only while it equals that one, so no table of keys is needed any more.
ALTER TABLE lane ADD COLUMN newest BLOB;     -- key, event, when it arrived, its last place in the lane; 64 bytes
-- It also knows which of its alerts were not reported over yet.
ALTER TABLE lane ADD COLUMN unresolved BLOB NOT NULL DEFAULT x''; -- eight bytes of each fingerprint, oldest first
DROP TABLE dedup;
