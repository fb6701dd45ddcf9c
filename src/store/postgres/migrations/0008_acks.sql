-- Schema version 8 (version 10 of the SQLite store): who is on an incident, and what people pressed.
ALTER TABLE incident DROP CONSTRAINT IF EXISTS incident_state_check;
ALTER TABLE incident ADD COLUMN acks TEXT;       -- who is on it, a JSON object; NULL: nobody was
ALTER TABLE incident ADD COLUMN wake_at BIGINT;  -- when an ack ends, or people are reminded of one
DROP INDEX incident_open_key, incident_open, incident_lead;
-- Of two nodes that open an incident of one key at once, one finds that of the other.
CREATE UNIQUE INDEX incident_open_key ON incident (key) WHERE ended_at IS NULL;
CREATE INDEX incident_open ON incident (heard_at) INCLUDE (rank, state) WHERE ended_at IS NULL;
CREATE INDEX incident_lead ON incident (lead) WHERE ended_at IS NULL;
CREATE INDEX incident_wake ON incident (wake_at) WHERE wake_at IS NOT NULL;

-- The version of its incident as of which it rang last.
ALTER TABLE anchor ADD COLUMN rang_version BIGINT NOT NULL DEFAULT 0;

CREATE TABLE press (
    platform TEXT COLLATE "C" NOT NULL,      -- where it came from: slack, telegram, api, link
    event_id TEXT COLLATE "C" NOT NULL,      -- the id of the event there
    at       BIGINT NOT NULL,
    person   TEXT NOT NULL,                  -- who, for machines
    verb     TEXT COLLATE "C" NOT NULL,
    outcome  TEXT NOT NULL,                  -- what it did to which incidents, a JSON list
    PRIMARY KEY (platform, event_id)
);
CREATE INDEX press_at ON press (at);
