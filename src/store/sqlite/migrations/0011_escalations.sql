-- Schema version 11: deliveries that are steps of escalations.
ALTER TABLE delivery ADD COLUMN escalation TEXT;  -- the escalation's name, for a step of one
ALTER TABLE delivery ADD COLUMN step INTEGER;     -- its number, from 1
ALTER TABLE delivery ADD COLUMN began_at INTEGER; -- when the escalation began
ALTER TABLE delivery ADD COLUMN after_ms INTEGER; -- how long after the first message the step is due
CREATE INDEX delivery_step ON delivery (incident) WHERE escalation IS NOT NULL;
CREATE INDEX delivery_step_open ON delivery (incident) WHERE escalation IS NOT NULL AND state IN ('waiting', 'deferred');
