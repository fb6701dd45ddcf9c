-- Schema version 13 (version 15 of the SQLite store): whether the Alertmanager of a silence has listed an alert that the silence is about.
ALTER TABLE silence ADD COLUMN seen BOOLEAN NOT NULL DEFAULT false;  -- only what it had can have ended there
