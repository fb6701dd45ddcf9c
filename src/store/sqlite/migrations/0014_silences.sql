-- Schema version 14: silences that people asked senders for.
CREATE TABLE silence (
    incident  INTEGER PRIMARY KEY NOT NULL,  -- it has at most one
    token     BLOB NOT NULL,                 -- part of the comment at the sender, by which it is found there
    revision  INTEGER NOT NULL,              -- grows with everything that people ask for
    labels    TEXT NOT NULL,                 -- what it matches, a JSON object
    by        TEXT NOT NULL,                 -- who asked for it, a JSON object
    asked_at  INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    state     TEXT NOT NULL,                 -- asked, active, ending, ended, failed
    sender_id TEXT,                          -- the sender's id of it
    tries     INTEGER NOT NULL,              -- how often the sender was asked about this revision
    reason    TEXT NOT NULL,                 -- why it is not confirmed
    due_at    INTEGER                        -- when the sender is asked next; NULL: never again
) STRICT;
CREATE INDEX silence_due ON silence (due_at) WHERE due_at IS NOT NULL;
