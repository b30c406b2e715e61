-- What the connector contract is proven on: `things` is queried in every way, tables with `value` and `expected` say what their
-- values are to be read as.
CREATE TABLE things (
    id int PRIMARY KEY,
    small smallint,
    amount decimal(12,2),
    name varchar(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
    code varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL,
    day date,
    at datetime(6),
    instant timestamp(6) NULL,
    flag bit(1),
    ratio double,
    raw varbinary(40),
    big bigint unsigned
);
INSERT INTO things
SELECT i,
    IF(i % 9 = 0, NULL, i * 37 % 60 - 30),
    IF(i % 11 = 0, NULL, (i * 7919 % 100000) / 100 - 300),
    CASE i % 8 WHEN 0 THEN NULL WHEN 1 THEN CONCAT('Straße ', i) WHEN 2 THEN CONCAT('strasse ', i) WHEN 3 THEN '' WHEN 4 THEN 'a' WHEN 5 THEN 'A' WHEN 6 THEN 'a ' ELSE CONCAT('😀', i) END,
    CASE i % 5 WHEN 0 THEN CONCAT('5-', i) WHEN 1 THEN CONCAT('5.', i) WHEN 2 THEN 'Ab' WHEN 3 THEN CONCAT('aB', i) ELSE CONCAT('%_', i) END,
    IF(i % 7 = 0, NULL, '1999-12-25' + INTERVAL i DAY),
    IF(i % 10 = 0, NULL, '2024-02-28 23:59:59.999999' + INTERVAL i * 37 MINUTE),
    IF(i % 13 = 0, NULL, '2024-03-31 00:30:00' + INTERVAL i * 11 MINUTE),
    CASE i % 3 WHEN 0 THEN NULL ELSE i % 2 = 0 END,
    CASE i % 6 WHEN 0 THEN NULL WHEN 3 THEN -0e0 ELSE i / 8 END,
    IF(i % 4 = 0, NULL, UNHEX(LPAD(HEX(i), 4, '0'))),
    IF(i % 5 = 0, NULL, 18446744073709551615 - i)
FROM (SELECT CAST(seq AS SIGNED) AS i FROM seq_1_to_160) numbers;

CREATE TABLE empty_one (id bigint PRIMARY KEY, name text);
CREATE TABLE `Odd ``Name` (`Mixed Case` int, `select` text, `a.b` date);
INSERT INTO `Odd ``Name` VALUES (1, 'it''s', '2024-01-01'), (2, 'back\\slash', NULL), (NULL, 'line\nbreak', '1000-01-01');

CREATE TABLE value_tinyint (value tinyint, expected text);
INSERT INTO value_tinyint VALUES (-128, '-128'), (127, '127'), (NULL, NULL);
CREATE TABLE value_bigint (value bigint, expected text);
INSERT INTO value_bigint VALUES (-9223372036854775808, '-9223372036854775808'), (9223372036854775807, '9223372036854775807');
CREATE TABLE value_bigint_unsigned (value bigint unsigned, expected text);
INSERT INTO value_bigint_unsigned VALUES (18446744073709551615, '18446744073709551615'), (0, '0'), (NULL, NULL);
CREATE TABLE value_int_unsigned (value int unsigned, expected text);
INSERT INTO value_int_unsigned VALUES (4294967295, '4294967295');
CREATE TABLE value_decimal_12_2 (value decimal(12,2), expected text);
INSERT INTO value_decimal_12_2 VALUES (-9999999999.99, '-9999999999.99'), (0, '0.00'), (NULL, NULL);
CREATE TABLE value_decimal_65_30 (value decimal(65,30), expected text);
INSERT INTO value_decimal_65_30 VALUES (99999999999999999999999999999999999.999999999999999999999999999999, '99999999999999999999999999999999999.999999999999999999999999999999');
CREATE TABLE value_float (value float, expected text);
INSERT INTO value_float VALUES (1.5, '1.5'), (3.40282e38, '3.40282e38'), (NULL, NULL);
CREATE TABLE value_double (value double, expected text);
INSERT INTO value_double VALUES (0.1, '0.1'), (5e-324, '5e-324'), (1.7976931348623157e308, '1.7976931348623157e308');
CREATE TABLE value_bit (value bit(5), expected text);
INSERT INTO value_bit VALUES (b'00101', '00101'), (NULL, NULL);
CREATE TABLE value_year (value year, expected text);
INSERT INTO value_year VALUES (1901, '1901'), (2155, '2155');
CREATE TABLE value_date (value date, expected text);
INSERT INTO value_date VALUES ('2024-02-29', '2024-02-29'), ('9999-12-31', '9999-12-31'), (NULL, NULL);
CREATE TABLE value_datetime (value datetime(6), expected text);
INSERT INTO value_datetime VALUES ('2024-02-29 23:59:59.999999', '2024-02-29T23:59:59.999999'), ('9999-12-31 23:59:59', '9999-12-31T23:59:59'), (NULL, NULL);
CREATE TABLE value_timestamp (value timestamp(3) NULL, expected text);
SET time_zone = '+00:00';
INSERT INTO value_timestamp VALUES ('2024-03-31 01:30:00.125', '2024-03-31T01:30:00.125Z'), (NULL, NULL);
CREATE TABLE value_time (value time(3), expected text);
INSERT INTO value_time VALUES ('-838:59:59', '-838 hours -59 mins -59.000000000 secs'), (NULL, NULL);
CREATE TABLE value_text (value longtext CHARACTER SET utf8mb4, expected longtext CHARACTER SET utf8mb4);
INSERT INTO value_text VALUES ('', ''), ('😀 𝒳 é', '😀 𝒳 é'), ('tab\tline\n\\', 'tab\tline\n\\'), (REPEAT('x', 1048576), REPEAT('x', 1048576)), (NULL, NULL);
CREATE TABLE value_latin1 (value varchar(20) CHARACTER SET latin1, expected varchar(20) CHARACTER SET utf8mb4);
INSERT INTO value_latin1 VALUES ('é ß', 'é ß');
CREATE TABLE value_char (value char(6), expected text);
INSERT INTO value_char VALUES ('ab', 'ab'), ('  b', '  b');
CREATE TABLE value_binary (value binary(3), expected text);
INSERT INTO value_binary VALUES (x'00', '000000'), (x'00ff7f', '00ff7f'), (NULL, NULL);
CREATE TABLE value_blob (value longblob, expected text);
INSERT INTO value_blob VALUES ('', ''), (x'00ff7f', '00ff7f');
CREATE TABLE value_enum (value enum('sad', 'ok', 'happy'), expected text);
INSERT INTO value_enum VALUES ('happy', 'happy'), (NULL, NULL);
CREATE TABLE value_set (value set('a', 'b', 'c'), expected text);
INSERT INTO value_set VALUES ('c,a', 'a,c'), ('', '');
CREATE TABLE value_json (value json, expected text);
INSERT INTO value_json VALUES ('{"b": 1,  "a": 1.0}', '{"b": 1,  "a": 1.0}'), (NULL, NULL);
CREATE TABLE value_uuid (value uuid, expected text);
INSERT INTO value_uuid VALUES ('A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
CREATE TABLE value_inet6 (value inet6, expected text);
INSERT INTO value_inet6 VALUES ('::1', '::1');
