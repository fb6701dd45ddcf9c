-- Schema version 9 (version 11 of the SQLite store): deliveries that are steps of escalations. A version that does not know them would send them after an
-- acknowledgement, so it must not use the database from here on, and says so.
ALTER TABLE delivery ADD COLUMN escalation TEXT COLLATE "C"; -- the escalation's name, for a step of one
ALTER TABLE delivery ADD COLUMN step BIGINT;                 -- its number, from 1
ALTER TABLE delivery ADD COLUMN began_at BIGINT;             -- when the escalation began
ALTER TABLE delivery ADD COLUMN after_ms BIGINT;             -- how long after the first message the step is due
CREATE INDEX delivery_step ON delivery (incident) WHERE escalation IS NOT NULL;
CREATE INDEX delivery_step_open ON delivery (incident) WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred');
