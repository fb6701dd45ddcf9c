-- Schema version 16 (version 18 of the SQLite store): open incidents by how much somebody is needed, and how many there are, without reading them.
CREATE INDEX incident_urgent ON incident (state, rank, opened_at, id) WHERE ended_at IS NULL;
