-- Schema version 12: what people did by hand, and logins to the console.
CREATE TABLE audit (
    id         BLOB PRIMARY KEY NOT NULL,
    at         INTEGER NOT NULL,
    by_name    TEXT NOT NULL,                -- empty: nobody has to show who they are
    by_way     TEXT NOT NULL,                -- console, API, command line, link, Slack
    by_address TEXT NOT NULL,
    act        TEXT NOT NULL,                -- ack, retry, mute
    object     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    state      TEXT NOT NULL,                -- begun, done, refused, failed
    outcome    TEXT NOT NULL                 -- empty: not known
) STRICT, WITHOUT ROWID;
CREATE INDEX audit_at ON audit (at);

CREATE TABLE session (
    key        BLOB PRIMARY KEY NOT NULL,    -- SHA-256 of its id
    credential TEXT NOT NULL,
    seal       BLOB NOT NULL,                -- SHA-256 of its id and the credential's secret
    address    TEXT NOT NULL,
    opened_at  INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Dead letters that somebody replayed.
CREATE INDEX delivery_replayed ON delivery (channel) WHERE state = 'dead' AND substr(reason, -48, 12) = 'replayed as ';
