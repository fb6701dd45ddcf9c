-- Schema version 8: a mute has matchers; the channel is one of them.
ALTER TABLE mute RENAME COLUMN channel TO matchers;
UPDATE mute SET matchers = 'channel="' || replace(replace(matchers, '\', '\\'), '"', '\"') || '"';
