-- Schema version 4: keys of dedup stand in the order in which they came, which writes one page where a key-ordered tree writes one for each.
-- Looked up by the writer's memory of them (`seen`).
ALTER TABLE dedup RENAME TO dedup_3;
CREATE TABLE dedup (
    id       INTEGER PRIMARY KEY,
    key      BLOB NOT NULL,                  -- 32 bytes
    event_id BLOB NOT NULL,
    seen_at  INTEGER NOT NULL
) STRICT;
INSERT INTO dedup (key, event_id, seen_at) SELECT key, event_id, seen_at FROM dedup_3 ORDER BY seen_at;
DROP TABLE dedup_3;
