-- Schema version 3. It only adds: programs that know version 1 go on beside it.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered BIGINT NOT NULL DEFAULT 0;
-- How often a message of the lane was begun and never ended, because the process died at it: after a few times it is sent in short.
ALTER TABLE lane ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
