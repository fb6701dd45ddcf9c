-- Schema version 2: signs of life of senders, for the dead-man's switch. It only adds: programs that know version 1 go on beside it.
CREATE TABLE heartbeat (
    name         TEXT COLLATE "C" PRIMARY KEY,
    seen_at      BIGINT NOT NULL,            -- 0: never
    silent_since BIGINT                      -- when its silence was told; NULL while it is heard
) WITH (fillfactor = 50);
