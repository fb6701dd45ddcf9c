-- Schema version 10 (version 12 of the SQLite store): what people did by hand, and logins to the console.
CREATE TABLE audit (
    id         UUID PRIMARY KEY,
    at         BIGINT NOT NULL,
    by_name    TEXT NOT NULL,                -- empty: nobody has to show who they are
    by_way     TEXT NOT NULL,                -- console, API, command line, link, Slack
    by_address TEXT NOT NULL,
    act        TEXT NOT NULL,                -- ack, retry, mute
    object     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    state      TEXT COLLATE "C" NOT NULL,    -- begun, done, refused, failed
    outcome    TEXT NOT NULL                 -- empty: not known
);
CREATE INDEX audit_at ON audit (at);

CREATE TABLE session (
    key        BYTEA PRIMARY KEY,            -- SHA-256 of its id
    credential TEXT NOT NULL,
    seal       BYTEA NOT NULL,               -- SHA-256 of its id and the credential's secret
    address    TEXT NOT NULL,
    opened_at  BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);

-- Dead letters that somebody replayed.
CREATE INDEX delivery_replayed ON delivery (channel) WHERE state = 'dead' AND left(right(reason, 48), 12) = 'replayed as ';
