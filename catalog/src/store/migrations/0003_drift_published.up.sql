-- The tables of ours a difference is about, as a list of schemas and names in JSON.
ALTER TABLE drift ADD COLUMN published TEXT NOT NULL DEFAULT '[]';
