-- Why a difference was resolved: `reverted` or `accepted`, as the event says that told of it.
ALTER TABLE drift ADD COLUMN resolution TEXT;
UPDATE drift SET resolution = COALESCE(
    (SELECT json_extract(e.data, '$.reason') FROM events e WHERE e.environment = drift.environment AND e.seq = drift.resolved_seq),
    'reverted')
WHERE resolved_at IS NOT NULL;

-- What is old is looked for by its time, whenever something is dropped.
CREATE INDEX events_by_time ON events (environment, time);
CREATE INDEX resolved_drift ON drift (environment, resolved_at) WHERE resolved_at IS NOT NULL;
