-- What the connector contract is proven on: `things` is queried in every way, tables with `value` and `expected` say what their
-- values are to be read as.
CREATE TABLE things (
    id INTEGER PRIMARY KEY,
    small INTEGER,
    amount DECIMAL(12, 2),
    name TEXT COLLATE NOCASE,
    code TEXT NOT NULL,
    day DATE,
    at TIMESTAMP,
    instant TIMESTAMPTZ,
    flag BOOLEAN,
    ratio REAL,
    raw BLOB
);
WITH RECURSIVE numbers(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 160)
INSERT INTO things
SELECT i,
    CASE WHEN i % 9 = 0 THEN NULL ELSE i * 37 % 60 - 30 END,
    CASE WHEN i % 11 = 0 THEN NULL ELSE round((i * 7919 % 100000) / 100.0 - 300, 2) END,
    CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN 'Straße ' || i WHEN 2 THEN 'strasse ' || i WHEN 3 THEN '' WHEN 4 THEN 'a' WHEN 5 THEN 'A' WHEN 6 THEN 'a ' ELSE '😀' || i END,
    CASE i % 5 WHEN 0 THEN '5-' || i WHEN 1 THEN '5.' || i WHEN 2 THEN 'Ab' WHEN 3 THEN 'aB' || i ELSE '%_' || i END,
    CASE WHEN i % 7 = 0 THEN NULL ELSE date('1999-12-25', '+' || i || ' days') END,
    CASE WHEN i % 10 = 0 THEN NULL ELSE datetime('2024-02-28 23:59:59', '+' || (i * 37) || ' minutes') END,
    CASE WHEN i % 13 = 0 THEN NULL ELSE datetime('2024-03-31 00:30:00', '+' || (i * 11) || ' minutes') || 'Z' END,
    CASE i % 3 WHEN 0 THEN NULL ELSE i % 2 = 0 END,
    CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN 9e999 WHEN 3 THEN -0.0 ELSE i / 8.0 END,
    CASE WHEN i % 4 = 0 THEN NULL ELSE unhex(printf('%04x', i)) END
FROM numbers;

CREATE TABLE empty_one (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE "Odd ""Name" ("Mixed Case" INTEGER, "select" TEXT, "a.b" DATE);
INSERT INTO "Odd ""Name" VALUES (1, 'it''s', '2024-01-01'), (2, 'back\slash', NULL), (NULL, 'line
break', '9999-12-31');

CREATE TABLE value_integer (value INTEGER, expected TEXT);
INSERT INTO value_integer VALUES (-9223372036854775808, '-9223372036854775808'), (9223372036854775807, '9223372036854775807'), (NULL, NULL);
CREATE TABLE value_real (value REAL, expected TEXT);
INSERT INTO value_real VALUES (0.1, '0.1'), (9e999, 'inf'), (5e-324, '5e-324'), (7, '7.0'), (NULL, NULL);
CREATE TABLE value_decimal (value DECIMAL(12, 2), expected TEXT);
INSERT INTO value_decimal VALUES ('123.45', '123.45'), (-7, '-7.00'), (NULL, NULL);
CREATE TABLE value_text (value TEXT, expected TEXT);
INSERT INTO value_text VALUES ('', ''), ('😀 𝒳 é', '😀 𝒳 é'), (printf('%.*c', 1048576, 'x'), printf('%.*c', 1048576, 'x')), (NULL, NULL);
CREATE TABLE value_blob (value BLOB, expected TEXT);
INSERT INTO value_blob VALUES (x'', ''), (x'00ff7f', '00ff7f'), (NULL, NULL);
CREATE TABLE value_boolean (value BOOLEAN, expected TEXT);
INSERT INTO value_boolean VALUES (1, 'true'), (0, 'false'), (NULL, NULL);
CREATE TABLE value_date (value DATE, expected TEXT);
INSERT INTO value_date VALUES ('2024-02-29', '2024-02-29'), ('0001-01-01', '0001-01-01'), (NULL, NULL);
CREATE TABLE value_time (value TIME, expected TEXT);
INSERT INTO value_time VALUES ('23:59', '23:59:00'), ('23:59:59.999999', '23:59:59.999999');
CREATE TABLE value_timestamp (value TIMESTAMP, expected TEXT);
INSERT INTO value_timestamp VALUES ('2024-02-29', '2024-02-29T00:00:00'), ('2024-02-29T12:00:00.5', '2024-02-29T12:00:00.500');
CREATE TABLE value_timestamptz (value TIMESTAMPTZ, expected TEXT);
INSERT INTO value_timestamptz VALUES ('2024-03-31 02:30:00+02:00', '2024-03-31T00:30:00Z');
CREATE TABLE value_json (value JSON, expected TEXT);
INSERT INTO value_json VALUES ('{"b": 1}', '{"b": 1}'), (7, '7');
CREATE TABLE value_any (value ANY, expected TEXT);
INSERT INTO value_any VALUES ('x', 'x'), (7, '7'), (0.5, '0.5');
