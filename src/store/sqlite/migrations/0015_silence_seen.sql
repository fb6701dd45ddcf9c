-- Schema version 15: whether the Alertmanager of a silence has listed an alert that the silence is about.
ALTER TABLE silence ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;  -- only what it had can have ended there
