-- Schema version 18: open incidents by how much somebody is needed, and how many there are, without reading them.
CREATE INDEX incident_urgent ON incident (state, rank, opened_at) WHERE ended_at IS NULL;
