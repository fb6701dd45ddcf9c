-- Schema version 12 (version 14 of the SQLite store): silences that people asked senders for. A version that does not know them would take the name of who
-- asked from an incident, so it must not use the database from here on, and says so.
CREATE TABLE silence (
    incident  BIGINT PRIMARY KEY,            -- it has at most one
    token     UUID NOT NULL,                 -- part of the comment at the sender, by which it is found there
    revision  BIGINT NOT NULL,               -- grows with everything that people ask for
    labels    TEXT NOT NULL,                 -- what it matches, a JSON object
    by        TEXT NOT NULL,                 -- who asked for it, a JSON object
    asked_at  BIGINT NOT NULL,
    until     BIGINT NOT NULL,
    state     TEXT COLLATE "C" NOT NULL,     -- asked, active, ending, ended, failed
    sender_id TEXT,                          -- the sender's id of it
    tries     BIGINT NOT NULL,               -- how often the sender was asked about this revision
    reason    TEXT NOT NULL,                 -- why it is not confirmed
    due_at    BIGINT                         -- when the sender is asked next; NULL: never again
);
CREATE INDEX silence_due ON silence (due_at) WHERE due_at IS NOT NULL;
