-- Schema version 14 (version 16 of the SQLite store): what people were notified of mutes, and what mutes held.
CREATE TABLE mute_notice (
    key      TEXT COLLATE "C" PRIMARY KEY,   -- the mute's name in the file between back quotes, or its matchers
    channels TEXT NOT NULL,                  -- the channels that are notified, with commas between
    began_at BIGINT NOT NULL,
    until    BIGINT NOT NULL,
    stage    BIGINT NOT NULL,                -- 0: begun, 1: ends soon, 2: ended
    critical BIGINT NOT NULL,                -- deliveries that it holds or held, by severity
    error    BIGINT NOT NULL,
    warning  BIGINT NOT NULL,
    info     BIGINT NOT NULL,
    held_at  BIGINT                          -- when it held something last
);
