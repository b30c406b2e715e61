DROP TABLE dead_letters;
DROP TABLE subscribers;
DROP TABLE oids;
DROP TABLE foreign_tables;
DROP TABLE drift;
DROP TABLE snapshots;
DROP TABLE events;
DROP TABLE environments;
