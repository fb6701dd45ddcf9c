-- Schema version 3: signs of life of senders, for the dead-man's switch.
CREATE TABLE heartbeat (
    name         TEXT PRIMARY KEY NOT NULL,
    seen_at      INTEGER NOT NULL,           -- 0: never
    silent_since INTEGER                     -- when its silence was told; NULL while it is heard
) STRICT, WITHOUT ROWID;
