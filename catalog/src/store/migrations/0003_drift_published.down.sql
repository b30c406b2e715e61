ALTER TABLE drift DROP COLUMN published;
