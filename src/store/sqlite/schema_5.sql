-- Schema version 5.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered INTEGER NOT NULL DEFAULT 0;
