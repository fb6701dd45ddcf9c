-- Schema version 17: by which labels an incident is found whose group key does not have them.
ALTER TABLE incident ADD COLUMN labels TEXT NOT NULL DEFAULT '';  -- {team="db"}, as it was opened; empty: the group key has them
