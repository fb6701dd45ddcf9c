-- Schema version 2: a delivery remembers the messages it was tried in and left, so that each of its attempts can be shown.
ALTER TABLE delivery ADD COLUMN tried BLOB;  -- their ids, 16 bytes each, oldest first; the first and last ten
