-- Schema version 10: who is on an incident, and what people pressed.
CREATE TABLE incident_new (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- its number; never given out twice
    key       TEXT NOT NULL,                 -- hash of site, receiver and group
    source    TEXT NOT NULL,
    receiver  TEXT NOT NULL,
    group_key TEXT NOT NULL,
    title     TEXT NOT NULL,
    state     TEXT NOT NULL,                 -- firing, acked, snoozed, resolved, stale, closed
    rank      INTEGER NOT NULL,              -- 0 critical .. 3 info
    version   INTEGER NOT NULL,              -- grows with every event and every change of state
    opened_at INTEGER NOT NULL,
    heard_at  INTEGER NOT NULL,              -- when the newest report of it was accepted
    ended_at  INTEGER,                       -- NULL while it goes on
    lead      INTEGER NOT NULL,              -- hash of sender, fingerprint and start of the alert that opened it
    truncated INTEGER NOT NULL,              -- whether alerts that are not resolved were left out
    acks      TEXT,                          -- who is on it, a JSON object; NULL: nobody was
    wake_at   INTEGER,                       -- when an ack ends, or people are reminded of one
    alerts    BLOB NOT NULL                  -- 54 bytes each
) STRICT;
INSERT INTO incident_new SELECT id, key, source, receiver, group_key, title, state, rank, version, opened_at, heard_at, ended_at, lead, truncated, NULL, NULL,
    alerts FROM incident;
-- Numbers of incidents that were purged are not given out again.
DELETE FROM sqlite_sequence WHERE name = 'incident_new';
INSERT INTO sqlite_sequence (name, seq) SELECT 'incident_new', seq FROM sqlite_sequence WHERE name = 'incident';
DROP TABLE incident;
ALTER TABLE incident_new RENAME TO incident;
-- The newest of a key is the open one, else the one that ended last: one that was regrouped may have a smaller number than others of its key.
CREATE INDEX incident_key ON incident (key, coalesce(ended_at, 9223372036854775807));
CREATE INDEX incident_open ON incident (heard_at, rank, state) WHERE ended_at IS NULL;
CREATE INDEX incident_lead ON incident (lead) WHERE ended_at IS NULL;
CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX incident_wake ON incident (wake_at) WHERE wake_at IS NOT NULL;

-- The version of its incident as of which it rang last.
ALTER TABLE anchor ADD COLUMN rang_version INTEGER NOT NULL DEFAULT 0;

CREATE TABLE press (
    platform TEXT NOT NULL,                  -- where it came from: slack, telegram, api, link
    event_id TEXT NOT NULL,                  -- the id of the event there
    at       INTEGER NOT NULL,
    person   TEXT NOT NULL,                  -- who, for machines
    verb     TEXT NOT NULL,
    outcome  TEXT NOT NULL,                  -- what it did to which incidents, a JSON list
    PRIMARY KEY (platform, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX press_at ON press (at);
