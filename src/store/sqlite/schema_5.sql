-- Schema version 5.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
-- How often a message of the lane was begun and never ended, because the process died at it: after a few times it is sent in short.
ALTER TABLE lane ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;
