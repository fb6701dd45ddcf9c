-- Schema version 16: what people were notified of mutes, and what mutes held.
CREATE TABLE mute_notice (
    key      TEXT PRIMARY KEY NOT NULL,      -- the mute's name in the file between back quotes, or its matchers
    channels TEXT NOT NULL,                  -- the channels that are notified, with commas between
    began_at INTEGER NOT NULL,
    until    INTEGER NOT NULL,
    stage    INTEGER NOT NULL,               -- 0: begun, 1: ends soon, 2: ended
    critical INTEGER NOT NULL,               -- deliveries that it holds or held, by severity
    error    INTEGER NOT NULL,
    warning  INTEGER NOT NULL,
    info     INTEGER NOT NULL,
    held_at  INTEGER                         -- when it held something last
) STRICT, WITHOUT ROWID;
