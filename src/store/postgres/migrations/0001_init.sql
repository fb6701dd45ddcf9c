-- Watchfire store, PostgreSQL, schema version 1. *_at and due_at are Unix milliseconds UTC; ids are UUIDv7. Names are compared byte by byte
-- (COLLATE "C"), whatever the locale of the database. Tables whose rows change often leave room in their pages and are cleaned early.
CREATE TABLE event (
    id          UUID PRIMARY KEY,
    source      TEXT COLLATE "C" NOT NULL,
    received_at BIGINT NOT NULL,
    group_key   TEXT COLLATE "C" NOT NULL,
    plan        TEXT COLLATE "C" NOT NULL,
    body        BYTEA NOT NULL,              -- the normalised event as JSON; bytes, because JSONB refuses the character U+0000
    note        TEXT                         -- why it has no delivery
);
CREATE INDEX event_bare ON event (received_at) WHERE note IS NOT NULL;

CREATE TABLE dedup (
    key      BYTEA PRIMARY KEY,              -- 32 bytes
    event_id UUID NOT NULL,
    seen_at  BIGINT NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.02);
CREATE INDEX dedup_seen ON dedup (seen_at);

CREATE TABLE lane (
    id         BIGINT PRIMARY KEY GENERATED ALWAYS AS IDENTITY, -- never given out twice: runners remember lanes by it
    channel    TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,    -- hash(source, receiver, group key)
    outlet     TEXT COLLATE "C" NOT NULL,
    last_seq   BIGINT NOT NULL DEFAULT 0,    -- contiguous: the last lane_seq given out
    waiting    BIGINT NOT NULL DEFAULT 0,    -- deliveries in waiting or deferred
    deferred   BIGINT NOT NULL DEFAULT 0,    -- those of them in deferred
    rank       BIGINT NOT NULL DEFAULT 3,    -- the most severe of what waits, 0 critical .. 3 info
    due_at     BIGINT NOT NULL DEFAULT 0,    -- not before: the smallest of the first waiting one's and the deferred ones'
    since      BIGINT NOT NULL DEFAULT 0,    -- born_at of the oldest that waits
    message_id UUID,                         -- the open message that has members in it (at most one)
    size       BIGINT NOT NULL DEFAULT 0,    -- deliveries that refer to it, of any state; without any it may be removed
    fired      UUID,                         -- the newest delivery in it that carried a firing alert
    UNIQUE (channel, key)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
-- The order in which an outlet takes its lanes: one step of rank weighs as much as five minutes of waiting.
CREATE INDEX lane_ready ON lane (outlet, (rank * 300000 + since), id) WHERE waiting > 0 AND message_id IS NULL;
CREATE INDEX lane_message ON lane (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX lane_waiting ON lane (channel) WHERE waiting > 0;

CREATE TABLE delivery (
    id         UUID PRIMARY KEY,
    event_id   UUID NOT NULL,
    lane_id    BIGINT NOT NULL,
    lane_seq   BIGINT NOT NULL,              -- unique in its lane: given out under the lock of the lane's row
    channel    TEXT COLLATE "C" NOT NULL,
    target     TEXT NOT NULL,                -- JSON: template, mentions, alert indices, fallback list
    fallback   TEXT[] COLLATE "C",           -- of the target: channels to try when this one is dead; NULL when there is none
    mode       TEXT COLLATE "C" NOT NULL CHECK (mode IN ('queued', 'sync')),
    state      TEXT COLLATE "C" NOT NULL
               CHECK (state IN ('waiting', 'deferred', 'sent', 'dead', 'dropped', 'skipped', 'expired', 'unknown')),
    rank       BIGINT NOT NULL,
    title      TEXT NOT NULL,
    firing     BIGINT NOT NULL,
    resolved   BIGINT NOT NULL,
    born_at    BIGINT NOT NULL,
    due_at     BIGINT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    message_id UUID,
    origin_id  UUID,                         -- the delivery this one is a fallback of
    prior_id   UUID,                         -- the newest one before it in its lane that carried a firing alert
    hop        BIGINT NOT NULL DEFAULT 0,
    done_at    BIGINT,
    reason     TEXT,
    tried      UUID[]                        -- messages it was tried in and left, oldest first; the first and last ten
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02);
CREATE UNIQUE INDEX delivery_origin ON delivery (origin_id, channel) WHERE origin_id IS NOT NULL;
-- Holds all that a lane's counters are computed from.
CREATE INDEX delivery_open ON delivery (lane_id, lane_seq) INCLUDE (state, rank, born_at, due_at) WHERE state IN ('waiting', 'deferred');
CREATE INDEX delivery_event ON delivery (event_id);
CREATE INDEX delivery_message ON delivery (message_id, lane_id) WHERE message_id IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (channel, id) WHERE state = 'dead';
CREATE INDEX delivery_done ON delivery (done_at) WHERE done_at IS NOT NULL;

CREATE TABLE message (
    id         UUID PRIMARY KEY,
    channel    TEXT COLLATE "C" NOT NULL,
    platform   TEXT COLLATE "C" NOT NULL,
    outlet     TEXT COLLATE "C" NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL CHECK (kind IN ('single', 'fold', 'digest')),
    template   TEXT NOT NULL,
    generation BIGINT NOT NULL,
    formed_at  BIGINT NOT NULL,
    pages      BYTEA NOT NULL,               -- JSON: the pages as they are (or were) sent
    done       BOOLEAN NOT NULL DEFAULT false
);
CREATE INDEX message_open ON message (outlet) WHERE NOT done;
CREATE INDEX message_done ON message (formed_at) WHERE done;

CREATE TABLE cell (
    message_id  UUID NOT NULL,
    page        INTEGER NOT NULL,            -- from 0
    recipient   TEXT COLLATE "C" NOT NULL,
    state       TEXT COLLATE "C" NOT NULL CHECK (state IN ('open', 'begun', 'ok', 'dead', 'unknown')),
    tries       BIGINT NOT NULL DEFAULT 0,
    due_at      BIGINT NOT NULL DEFAULT 0,
    platform_id TEXT,
    code        TEXT,
    PRIMARY KEY (message_id, page, recipient)
) WITH (fillfactor = 85);

CREATE TABLE attempt (
    id         UUID PRIMARY KEY,
    message_id UUID NOT NULL,
    page       INTEGER NOT NULL,
    outlet     TEXT COLLATE "C" NOT NULL,
    node       TEXT COLLATE "C" NOT NULL,
    epoch      BIGINT NOT NULL,
    begun_at   BIGINT NOT NULL,
    ended_at   BIGINT,
    kind       TEXT,                         -- ok, or an ErrorKind; NULL while under way
    code       TEXT,
    answer     TEXT                          -- at most 1 KiB, scrubbed
);
CREATE INDEX attempt_outlet ON attempt (outlet, begun_at);
CREATE INDEX attempt_open ON attempt (outlet) WHERE ended_at IS NULL;
CREATE INDEX attempt_message ON attempt (message_id, begun_at);

CREATE TABLE outlet (
    key          TEXT COLLATE "C" PRIMARY KEY,
    owner        TEXT COLLATE "C" NOT NULL DEFAULT '',
    epoch        BIGINT NOT NULL DEFAULT 0,
    lease_until  BIGINT NOT NULL DEFAULT 0,
    paused_until BIGINT NOT NULL DEFAULT 0,
    held         TEXT,                       -- why it is held; NULL when it is not
    month        TEXT COLLATE "C" NOT NULL DEFAULT '', -- 2026-11
    month_sent   BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02);

CREATE TABLE mute (
    channel TEXT COLLATE "C" PRIMARY KEY,
    until   BIGINT NOT NULL,
    reason  TEXT NOT NULL,
    by      TEXT NOT NULL
);

-- Nodes that share this database; one that gave no sign of life until alive_until is gone.
CREATE TABLE node (
    name        TEXT COLLATE "C" PRIMARY KEY,
    plan        TEXT COLLATE "C" NOT NULL,
    version     TEXT COLLATE "C" NOT NULL,
    alive_until BIGINT NOT NULL
) WITH (fillfactor = 50);
