-- Schema version 3. It only adds: programs that know version 1 go on beside it.
-- Tries of a cell whose outcome nobody knows: they are repeated a few times only.
ALTER TABLE cell ADD COLUMN unanswered BIGINT NOT NULL DEFAULT 0;
