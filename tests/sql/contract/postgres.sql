-- What the connector contract is proven on: `things` is queried in every way, tables with `value` and `expected` say what their
-- values are to be read as, `many` has as many tables as a look must not notice.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);

CREATE TABLE things (
    id integer PRIMARY KEY,
    small smallint,
    amount numeric(12,2),
    name text COLLATE "en-x-icu",
    code varchar(20) COLLATE "C" NOT NULL,
    day date,
    at timestamp,
    instant timestamptz,
    flag boolean,
    ratio double precision,
    raw bytea,
    uid uuid
);
INSERT INTO things
SELECT i,
    CASE WHEN i % 9 = 0 THEN NULL ELSE (i * 37 % 60 - 30)::smallint END,
    CASE WHEN i % 11 = 0 THEN NULL ELSE (i * 7919 % 100000)::numeric / 100 - 300 END,
    CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN 'Straße ' || i WHEN 2 THEN 'strasse ' || i WHEN 3 THEN '' WHEN 4 THEN 'a' WHEN 5 THEN 'A' WHEN 6 THEN 'a ' ELSE '😀' || i END,
    CASE i % 5 WHEN 0 THEN '5-' || i WHEN 1 THEN '5.' || i WHEN 2 THEN 'Ab' WHEN 3 THEN 'aB' || i ELSE '%_' || i END,
    CASE WHEN i % 7 = 0 THEN NULL ELSE date '1999-12-25' + i END,
    CASE WHEN i % 10 = 0 THEN NULL ELSE timestamp '2024-02-28 23:59:59.999999' + i * interval '37 minutes' END,
    CASE WHEN i % 13 = 0 THEN NULL ELSE timestamptz '2024-03-31 00:30:00+01' + i * interval '11 minutes' END,
    CASE i % 3 WHEN 0 THEN NULL ELSE i % 2 = 0 END,
    CASE i % 6 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' WHEN 3 THEN '-0' ELSE i / 8.0 END,
    CASE WHEN i % 4 = 0 THEN NULL ELSE decode(lpad(to_hex(i), 4, '0'), 'hex') END,
    CASE WHEN i % 5 = 0 THEN NULL ELSE ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid END
FROM generate_series(1, 160) i;

CREATE TABLE empty_one (id bigint PRIMARY KEY, name text);
CREATE TABLE "Odd ""Name" ("Mixed Case" integer, "select" text, "a.b" date);
INSERT INTO "Odd ""Name" VALUES (1, 'it''s', '2024-01-01'), (2, E'back\\slash', NULL), (NULL, E'line\nbreak', 'infinity');

CREATE TABLE value_boolean (value boolean, expected text);
INSERT INTO value_boolean VALUES (true, 'true'), (false, 'false'), (NULL, NULL);
CREATE TABLE value_smallint (value smallint, expected text);
INSERT INTO value_smallint VALUES (-32768, '-32768'), (32767, '32767'), (0, '0'), (NULL, NULL);
CREATE TABLE value_integer (value integer, expected text);
INSERT INTO value_integer VALUES (-2147483648, '-2147483648'), (2147483647, '2147483647'), (NULL, NULL);
CREATE TABLE value_bigint (value bigint, expected text);
INSERT INTO value_bigint VALUES (-9223372036854775808, '-9223372036854775808'), (9223372036854775807, '9223372036854775807'), (NULL, NULL);
CREATE TABLE value_real (value real, expected text);
INSERT INTO value_real VALUES (1.5, '1.5'), ('NaN', 'NaN'), ('Infinity', 'inf'), ('-Infinity', '-inf'), (1e-45, '1e-45'), (3.4028235e38, '3.4028235e38'), (NULL, NULL);
CREATE TABLE value_double (value double precision, expected text);
INSERT INTO value_double VALUES (0.1, '0.1'), ('-0', '-0.0'), ('NaN', 'NaN'), ('-Infinity', '-inf'), (5e-324, '5e-324'), (1.7976931348623157e308, '1.7976931348623157e308'), (NULL, NULL);
CREATE TABLE value_numeric_12_2 (value numeric(12,2), expected text);
INSERT INTO value_numeric_12_2 VALUES (-9999999999.99, '-9999999999.99'), (0, '0.00'), (0.01, '0.01'), (NULL, NULL);
CREATE TABLE value_numeric_38_10 (value numeric(38,10), expected text);
INSERT INTO value_numeric_38_10 VALUES (9999999999999999999999999999.9999999999, '9999999999999999999999999999.9999999999'), (-1, '-1.0000000000');
CREATE TABLE value_numeric_76_0 (value numeric(76,0), expected text);
INSERT INTO value_numeric_76_0 VALUES (repeat('9', 76)::numeric, repeat('9', 76)), (('-' || repeat('9', 76))::numeric, '-' || repeat('9', 76));
CREATE TABLE value_text (value text, expected text);
INSERT INTO value_text VALUES ('', ''), ('😀 𝒳 é', '😀 𝒳 é'), (E'tab\tline\n\\', E'tab\tline\n\\'), (repeat('x', 1048576), repeat('x', 1048576)), (NULL, NULL);
CREATE TABLE value_char (value character(6), expected text);
INSERT INTO value_char VALUES ('ab', 'ab'), ('', ''), ('  b', '  b');
CREATE TABLE value_bytea (value bytea, expected text);
INSERT INTO value_bytea VALUES ('\x', ''), ('\x00ff7f', '00ff7f'), (NULL, NULL);
CREATE TABLE value_date (value date, expected text);
INSERT INTO value_date VALUES ('2024-02-29', '2024-02-29'), ('0044-03-15 BC', '-0043-03-15'), ('0001-01-01', '0001-01-01'), ('9999-12-31', '9999-12-31'), (NULL, NULL);
CREATE TABLE value_timestamp (value timestamp, expected text);
INSERT INTO value_timestamp VALUES ('2016-12-31 23:59:60', '2017-01-01T00:00:00'), ('0001-01-01 00:00:00.000001', '0001-01-01T00:00:00.000001'), ('9999-12-31 23:59:59.999999', '9999-12-31T23:59:59.999999'), (NULL, NULL);
CREATE TABLE value_timestamptz (value timestamptz, expected text);
INSERT INTO value_timestamptz VALUES ('2024-03-31 02:30:00+02', '2024-03-31T00:30:00Z'), ('1969-12-31 23:59:59.5+00', '1969-12-31T23:59:59.500Z'), (NULL, NULL);
CREATE TABLE value_time (value time, expected text);
INSERT INTO value_time VALUES ('00:00:00', '00:00:00'), ('23:59:59.999999', '23:59:59.999999'), (NULL, NULL);
CREATE TABLE value_timetz (value timetz, expected text);
INSERT INTO value_timetz VALUES ('23:59:59+05:30', '23:59:59+05:30');
CREATE TABLE value_interval (value interval, expected text);
INSERT INTO value_interval VALUES ('1 year 2 months -3 days 04:05:06.789', '14 mons -3 days 4 hours 5 mins 6.789000000 secs'), (NULL, NULL);
CREATE TABLE value_uuid (value uuid, expected text);
INSERT INTO value_uuid VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), (NULL, NULL);
CREATE TABLE value_json (value json, expected text);
INSERT INTO value_json VALUES ('{"b": 1,  "a": 1.0}', '{"b": 1,  "a": 1.0}'), ('null', 'null'), (NULL, NULL);
CREATE TABLE value_jsonb (value jsonb, expected text);
INSERT INTO value_jsonb VALUES ('{"b": 1,  "a": 1.0}', '{"a": 1.0, "b": 1}'), (NULL, NULL);
CREATE TABLE value_enum (value mood, expected text);
INSERT INTO value_enum VALUES ('happy', 'happy'), ('sad', 'sad'), (NULL, NULL);
CREATE TABLE value_domain (value positive, expected text);
INSERT INTO value_domain VALUES (7, '7'), (NULL, NULL);
CREATE TABLE value_composite (value pair, expected text);
INSERT INTO value_composite VALUES (ROW(1, 'x y'), '(1,"x y")'), (NULL, NULL);
CREATE TABLE value_inet (value inet, expected text);
INSERT INTO value_inet VALUES ('192.168.0.1/24', '192.168.0.1/24'), ('::1', '::1'), (NULL, NULL);
CREATE TABLE value_bit (value bit(5), expected text);
INSERT INTO value_bit VALUES (B'00101', '00101');
CREATE TABLE value_range (value int4range, expected text);
INSERT INTO value_range VALUES ('[1,5]', '[1,6)'), ('empty', 'empty');
CREATE TABLE value_money (value money, expected text);
INSERT INTO value_money SELECT m, m::text FROM (SELECT '-1234.56'::money m) one;
CREATE TABLE value_integers (value integer[], expected text);
INSERT INTO value_integers VALUES ('{1,NULL,-3}', '[1, , -3]'), ('{}', '[]'), (NULL, NULL);
CREATE TABLE value_texts (value text[], expected text);
INSERT INTO value_texts VALUES (ARRAY['a', '', 'b,c'], '[a, , b,c]');

DO $$ BEGIN
    EXECUTE (SELECT 'CREATE TABLE wide (' || string_agg('c' || i || ' integer', ', ') || ')' FROM generate_series(1, 1600) i);
    INSERT INTO wide (c1, c1600) VALUES (1, 1600), (2, NULL);
END $$;

CREATE SCHEMA many;
