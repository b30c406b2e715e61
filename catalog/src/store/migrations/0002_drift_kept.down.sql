DROP INDEX resolved_drift;
DROP INDEX events_by_time;
ALTER TABLE drift DROP COLUMN resolution;
