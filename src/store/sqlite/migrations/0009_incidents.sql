-- Schema version 9: incidents, where their messages are, and what happened to them.
CREATE TABLE incident (
    id        INTEGER PRIMARY KEY AUTOINCREMENT, -- its number; never given out twice
    key       TEXT NOT NULL,                 -- hash of site, receiver and group
    source    TEXT NOT NULL,
    receiver  TEXT NOT NULL,
    group_key TEXT NOT NULL,
    title     TEXT NOT NULL,
    state     TEXT NOT NULL CHECK (state IN ('firing', 'resolved', 'stale')),
    rank      INTEGER NOT NULL,              -- 0 critical .. 3 info
    version   INTEGER NOT NULL,              -- grows with every event and every change of state
    opened_at INTEGER NOT NULL,
    heard_at  INTEGER NOT NULL,              -- when the newest report of it was accepted
    ended_at  INTEGER,
    lead      INTEGER NOT NULL,              -- hash of sender, fingerprint and start of the alert that opened it
    truncated INTEGER NOT NULL,              -- whether alerts that are not resolved were left out
    alerts    BLOB NOT NULL                  -- 54 bytes each
) STRICT;
-- The newest of a key is the open one, else the one that ended last: one that was regrouped may have a smaller number than others of its key.
CREATE INDEX incident_key ON incident (key, coalesce(ended_at, 9223372036854775807));
CREATE INDEX incident_open ON incident (heard_at, rank) WHERE state = 'firing';
CREATE INDEX incident_lead ON incident (lead) WHERE state = 'firing';
CREATE INDEX incident_ended ON incident (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE anchor (
    incident     INTEGER NOT NULL,
    channel      TEXT NOT NULL,
    recipient    TEXT NOT NULL,
    message_id   BLOB NOT NULL,
    ids          TEXT,                       -- the platform's ids, a JSON object
    notified         BLOB NOT NULL,              -- alerts that its readers were notified of, 17 bytes each
    notified_at      INTEGER NOT NULL,
    rang_at      INTEGER NOT NULL,           -- 0: never
    shown        INTEGER NOT NULL,           -- the version of the incident that it shows
    edited       INTEGER NOT NULL,           -- whether it is kept up to date by edits
    dirty        INTEGER NOT NULL,           -- whether it is edited and shows less than the incident's version
    next_edit_at INTEGER NOT NULL,
    edits        INTEGER NOT NULL,
    failures     INTEGER NOT NULL,
    reposts      INTEGER NOT NULL,
    reposted_at  INTEGER NOT NULL,           -- 0: never
    PRIMARY KEY (incident, channel, recipient)
) STRICT, WITHOUT ROWID;
CREATE INDEX anchor_dirty ON anchor (channel, next_edit_at) WHERE dirty = 1;

CREATE TABLE timeline (
    id       INTEGER PRIMARY KEY,
    incident INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    channel  TEXT NOT NULL,                  -- empty: it is about no channel
    text     TEXT NOT NULL
) STRICT;
CREATE INDEX timeline_incident ON timeline (incident, id);

ALTER TABLE delivery ADD COLUMN incident INTEGER; -- the incident that it belongs to
CREATE INDEX delivery_incident ON delivery (incident) WHERE incident IS NOT NULL;
