-- Watchfire store, SQLite, schema version 1. *_at and due_at are Unix milliseconds UTC; ids are UUIDv7 as 16 bytes.
-- A table with bodies keeps its rowid: rows of several KB in the leaves of a key-ordered tree would spill to overflow pages.
CREATE TABLE event (
    id          BLOB PRIMARY KEY NOT NULL,
    source      TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    group_key   TEXT NOT NULL,
    plan        TEXT NOT NULL,
    body        BLOB NOT NULL,               -- the normalised event as JSON
    note        TEXT                         -- why it has no delivery
) STRICT;
CREATE INDEX event_bare ON event (received_at) WHERE note IS NOT NULL;

CREATE TABLE dedup (
    key      BLOB PRIMARY KEY NOT NULL,      -- 32 bytes
    event_id BLOB NOT NULL,
    seen_at  INTEGER NOT NULL                -- no index: what is old is looked for beside the writer, in a table that holds minutes
) STRICT, WITHOUT ROWID;

CREATE TABLE lane (
    id         INTEGER PRIMARY KEY AUTOINCREMENT, -- never given out twice: runners remember lanes by it
    channel    TEXT NOT NULL,
    key        TEXT NOT NULL,                -- hash(source, receiver, group key)
    outlet     TEXT NOT NULL,
    last_seq   INTEGER NOT NULL DEFAULT 0,   -- contiguous: the last lane_seq given out
    waiting    INTEGER NOT NULL DEFAULT 0,   -- deliveries in waiting or deferred
    deferred   INTEGER NOT NULL DEFAULT 0,   -- those of them in deferred
    rank       INTEGER NOT NULL DEFAULT 3,   -- the most severe of what waits, 0 critical .. 3 info
    due_at     INTEGER NOT NULL DEFAULT 0,   -- not before: the smallest of the first waiting one's and the deferred ones'
    since      INTEGER NOT NULL DEFAULT 0,   -- born_at of the oldest that waits
    message_id BLOB,                         -- the open message that has members in it (at most one)
    size       INTEGER NOT NULL DEFAULT 0,   -- deliveries that refer to it, of any state; without any it may be removed
    fired      BLOB,                         -- the newest delivery in it that carried a firing alert
    fired_before BLOB,                       -- what `fired` was before the newest delivery came
    UNIQUE (channel, key)
) STRICT;
-- The order in which an outlet takes its lanes: one step of rank weighs as much as five minutes of waiting.
CREATE INDEX lane_ready ON lane (outlet, rank * 300000 + since) WHERE waiting > 0 AND message_id IS NULL;
CREATE INDEX lane_message ON lane (message_id) WHERE message_id IS NOT NULL;

CREATE TABLE delivery (
    id         BLOB PRIMARY KEY NOT NULL,
    event_id   BLOB NOT NULL,
    lane_id    INTEGER NOT NULL,
    lane_seq   INTEGER NOT NULL,
    channel    TEXT NOT NULL,
    target     TEXT NOT NULL,                -- JSON: template, mentions, alert indices, fallback list
    mode       TEXT NOT NULL CHECK (mode IN ('queued', 'sync')),
    state      TEXT NOT NULL CHECK (state IN ('waiting', 'deferred', 'sent', 'dead', 'dropped', 'skipped', 'expired', 'unknown')),
    rank       INTEGER NOT NULL,
    title      TEXT NOT NULL,
    firing     INTEGER NOT NULL,
    resolved   INTEGER NOT NULL,
    born_at    INTEGER NOT NULL,
    due_at     INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    message_id BLOB,
    origin_id  BLOB,                         -- the delivery this one is a fallback of
    prior_id   BLOB,                         -- the newest one before it in its lane that carried a firing alert
    hop        INTEGER NOT NULL DEFAULT 0,
    done_at    INTEGER,
    reason     TEXT
) STRICT, WITHOUT ROWID;
-- No index over (lane_id, lane_seq) of what is final: it would write one page at a random place for every delivery. A place is unique because
-- the lane's row gives it out in the transaction that writes the delivery, and only one writer exists.
CREATE UNIQUE INDEX delivery_origin ON delivery (origin_id, channel) WHERE origin_id IS NOT NULL;
-- Holds all that a lane's counters are computed from, so that they are computed without touching the rows.
CREATE INDEX delivery_open ON delivery (lane_id, lane_seq, state, rank, born_at, due_at) WHERE state IN ('waiting', 'deferred');
CREATE INDEX delivery_event ON delivery (event_id);
CREATE INDEX delivery_message ON delivery (message_id, lane_id) WHERE message_id IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (channel, id) WHERE state = 'dead';
CREATE INDEX delivery_done ON delivery (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE message (
    id         BLOB PRIMARY KEY NOT NULL,
    channel    TEXT NOT NULL,
    platform   TEXT NOT NULL,
    outlet     TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('single', 'fold', 'digest')),
    template   TEXT NOT NULL,
    generation INTEGER NOT NULL,
    formed_at  INTEGER NOT NULL,
    pages      BLOB NOT NULL,                -- JSON: the pages as they are (or were) sent
    done       INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX message_open ON message (outlet) WHERE done = 0;
CREATE INDEX message_done ON message (formed_at) WHERE done = 1;

CREATE TABLE cell (
    message_id  BLOB NOT NULL,
    page        INTEGER NOT NULL,            -- from 0
    recipient   TEXT NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('open', 'begun', 'ok', 'dead', 'unknown')),
    tries       INTEGER NOT NULL DEFAULT 0,
    due_at      INTEGER NOT NULL DEFAULT 0,
    platform_id TEXT,
    code        TEXT,
    PRIMARY KEY (message_id, page, recipient)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempt (
    id         BLOB PRIMARY KEY NOT NULL,
    message_id BLOB NOT NULL,
    page       INTEGER NOT NULL,
    outlet     TEXT NOT NULL,
    node       TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    begun_at   INTEGER NOT NULL,
    ended_at   INTEGER,
    kind       TEXT,                         -- ok, or an ErrorKind; NULL while under way
    code       TEXT,
    answer     TEXT                          -- at most 1 KiB, scrubbed
) STRICT, WITHOUT ROWID;
CREATE INDEX attempt_outlet ON attempt (outlet, begun_at);
CREATE INDEX attempt_open ON attempt (outlet) WHERE ended_at IS NULL;
CREATE INDEX attempt_message ON attempt (message_id, begun_at);

CREATE TABLE outlet (
    key          TEXT PRIMARY KEY NOT NULL,
    owner        TEXT NOT NULL DEFAULT '',
    epoch        INTEGER NOT NULL DEFAULT 0,
    lease_until  INTEGER NOT NULL DEFAULT 0,
    paused_until INTEGER NOT NULL DEFAULT 0,
    held         TEXT,                       -- why it is held; NULL when it is not
    month        TEXT NOT NULL DEFAULT '',   -- 2026-11
    month_sent   INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE mute (
    channel TEXT PRIMARY KEY NOT NULL,
    until   INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
