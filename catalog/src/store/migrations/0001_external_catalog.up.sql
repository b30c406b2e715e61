-- Moments are microseconds since 1970-01-01 UTC. JSON is text in a stored form with a version of its own.
CREATE TABLE environments (
    name          TEXT NOT NULL PRIMARY KEY,
    last_sequence INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE events (
    environment TEXT NOT NULL REFERENCES environments (name),
    seq         INTEGER NOT NULL,
    id          TEXT NOT NULL UNIQUE,
    type        TEXT NOT NULL,
    datasource  TEXT,
    subject     TEXT,
    time        INTEGER NOT NULL,
    actor       TEXT,
    data        TEXT NOT NULL,
    PRIMARY KEY (environment, seq)
) STRICT;

-- What each datasource had, one row per difference; the newest is what is published.
CREATE TABLE snapshots (
    environment TEXT NOT NULL REFERENCES environments (name),
    datasource  TEXT NOT NULL,
    version     INTEGER NOT NULL,
    taken_at    INTEGER NOT NULL,
    seen_at     INTEGER NOT NULL,
    fingerprint TEXT NOT NULL,
    table_count INTEGER NOT NULL,
    content     TEXT NOT NULL,
    PRIMARY KEY (environment, datasource, version)
) STRICT;

-- A row per difference. Open ones have no resolved_at.
CREATE TABLE drift (
    id            INTEGER PRIMARY KEY,
    environment   TEXT NOT NULL REFERENCES environments (name),
    datasource    TEXT NOT NULL,
    remote_schema TEXT NOT NULL,
    remote_table  TEXT NOT NULL,
    kind          TEXT NOT NULL,
    column_name   TEXT,
    expected      TEXT,
    actual        TEXT,
    severity      TEXT NOT NULL,
    first_seen    INTEGER NOT NULL,
    opened_seq    INTEGER NOT NULL,
    resolved_at   INTEGER,
    resolved_seq  INTEGER
) STRICT;
CREATE INDEX open_drift ON drift (environment, datasource) WHERE resolved_at IS NULL;

-- Imported tables, with the contract they were imported under.
CREATE TABLE foreign_tables (
    environment   TEXT NOT NULL REFERENCES environments (name),
    schema_name   TEXT NOT NULL,
    table_name    TEXT NOT NULL,
    datasource    TEXT NOT NULL,
    remote_schema TEXT NOT NULL,
    remote_table  TEXT NOT NULL,
    writable      INTEGER NOT NULL,
    contract      TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    comment       TEXT,
    imported_at   INTEGER NOT NULL,
    imported_by   TEXT,
    PRIMARY KEY (environment, schema_name, table_name)
) STRICT;

CREATE TABLE oids (
    environment TEXT NOT NULL REFERENCES environments (name),
    kind        TEXT NOT NULL,
    schema_name TEXT NOT NULL,
    object_name TEXT NOT NULL,
    oid         INTEGER NOT NULL,
    PRIMARY KEY (environment, kind, schema_name, object_name),
    UNIQUE (environment, oid)
) STRICT;

-- Whoever is sent events and says how far it came: webhooks, and the sink.
CREATE TABLE subscribers (
    environment TEXT NOT NULL REFERENCES environments (name),
    name        TEXT NOT NULL,
    kind        TEXT NOT NULL,
    target      TEXT NOT NULL,
    secret      TEXT,
    types       TEXT NOT NULL,
    state       TEXT NOT NULL,
    position    INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0,
    retry_at    INTEGER,
    last_error  TEXT,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (environment, name)
) STRICT;

-- Events a subscriber did not take after all attempts.
CREATE TABLE dead_letters (
    environment TEXT NOT NULL,
    subscriber  TEXT NOT NULL,
    seq         INTEGER NOT NULL,
    failed_at   INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    error       TEXT NOT NULL,
    PRIMARY KEY (environment, subscriber, seq),
    FOREIGN KEY (environment, subscriber) REFERENCES subscribers (environment, name) ON DELETE CASCADE
) STRICT;
