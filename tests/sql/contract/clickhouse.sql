CREATE TABLE IN_HERE.things (id Int32, small Nullable(Int16), amount Nullable(Decimal(12, 2)), name Nullable(String), code LowCardinality(String),
  day Nullable(Date), at Nullable(DateTime), instant Nullable(DateTime64(6)), flag Nullable(Bool), ratio Nullable(Float64), uid Nullable(UUID),
  big Nullable(UInt64)) ENGINE = MergeTree ORDER BY id;
INSERT INTO IN_HERE.things SELECT number + 1 AS i,
  if(i % 9 = 0, NULL, i * 37 % 60 - 30),
  if(i % 11 = 0, NULL, toDecimal64(i * 7919 % 100000, 2) / 100 - 300),
  multiIf(i % 8 = 0, NULL, i % 8 = 1, concat('Straße ', toString(i)), i % 8 = 2, concat('strasse ', toString(i)), i % 8 = 3, '', i % 8 = 4, 'a', i % 8 = 5, 'A', i % 8 = 6, 'a ', concat('😀', toString(i))),
  multiIf(i % 5 = 0, concat('5-', toString(i)), i % 5 = 1, concat('5.', toString(i)), i % 5 = 2, 'Ab', i % 5 = 3, concat('aB', toString(i)), concat('%_', toString(i))),
  if(i % 7 = 0, NULL, toDate('1999-12-25') + i),
  if(i % 10 = 0, NULL, toDateTime('2024-02-28 23:59:59', 'UTC') + i * 37 * 60),
  if(i % 13 = 0, NULL, toDateTime64('2024-03-31 00:30:00.000001', 6, 'UTC') + i * 11 * 60),
  multiIf(i % 3 = 0, NULL, i % 2 = 0),
  multiIf(i % 6 = 0, NULL, i % 6 = 3, -0.0, i / 8),
  if(i % 4 = 0, NULL, toUUID(concat('00112233-4455-6677-8899-', leftPad(toString(i), 12, '0')))),
  if(i % 5 = 0, NULL, 18446744073709551615 - i)
  FROM numbers(160);
CREATE TABLE IN_HERE.plain (id UInt8, label Nullable(Enum8('low' = 1, 'high' = 2)), fine DateTime64(3), fixed FixedString(2), ip IPv4, single Float32)
  ENGINE = MergeTree ORDER BY tuple();
INSERT INTO IN_HERE.plain SELECT number % 50, if(number % 3 = 0, NULL, number % 2 + 1), fromUnixTimestamp64Milli(toInt64(1704067200000 + number)),
  char(65 + number % 3), toIPv4(concat('10.0.0.', toString(number))), number / 4 FROM numbers(100);
CREATE TABLE IN_HERE.empty_one (id Int64, name String) ENGINE = MergeTree ORDER BY id;
CREATE TABLE IN_HERE.`Odd ``Name` (`Mixed Case` Nullable(Int32), `select` String, `a.b` Nullable(Date)) ENGINE = MergeTree ORDER BY tuple();
INSERT INTO IN_HERE.`Odd ``Name` VALUES (1, 'it\'s', '2024-01-01'), (2, 'back\\slash', NULL), (NULL, 'line\nbreak', '1970-01-01');
CREATE VIEW IN_HERE.seen AS SELECT id, name FROM IN_HERE.things WHERE id < 50;
CREATE TABLE IN_HERE.value_int8 (value Int8, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_int8 VALUES (-128, '-128'), (127, '127');
CREATE TABLE IN_HERE.value_uint32 (value UInt32, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_uint32 VALUES (4294967295, '4294967295');
CREATE TABLE IN_HERE.value_int64 (value Nullable(Int64), expected Nullable(String)) ENGINE = Memory;
INSERT INTO IN_HERE.value_int64 VALUES (-9223372036854775808, '-9223372036854775808'), (9223372036854775807, '9223372036854775807'), (NULL, NULL);
CREATE TABLE IN_HERE.value_uint64 (value UInt64, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_uint64 VALUES (18446744073709551615, '18446744073709551615'), (0, '0');
CREATE TABLE IN_HERE.value_int256 (value Int256, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_int256 VALUES ('-57896044618658097711785492504343953926634992332820282019728792003956564819968', '-57896044618658097711785492504343953926634992332820282019728792003956564819968');
CREATE TABLE IN_HERE.value_decimal (value Decimal(76, 38), expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_decimal VALUES ('-0.00000000000000000000000000000000000001', '-0.00000000000000000000000000000000000001');
CREATE TABLE IN_HERE.value_float32 (value Float32, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_float32 VALUES (1.5, '1.5'), (nan, 'NaN');
CREATE TABLE IN_HERE.value_string (value Nullable(String), expected Nullable(String)) ENGINE = Memory;
INSERT INTO IN_HERE.value_string VALUES ('😀', '😀'), ('', ''), (NULL, NULL);
CREATE TABLE IN_HERE.value_date (value Date, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_date VALUES ('1970-01-01', '1970-01-01'), ('2149-06-06', '2149-06-06');
CREATE TABLE IN_HERE.value_date32 (value Date32, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_date32 VALUES ('1900-01-01', '1900-01-01'), ('2299-12-31', '2299-12-31');
CREATE TABLE IN_HERE.value_datetime (value DateTime('Asia/Tokyo'), expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_datetime SELECT toDateTime('2106-02-07 06:28:15', 'UTC'), '2106-02-07T06:28:15Z';
CREATE TABLE IN_HERE.value_datetime64 (value DateTime64(6), expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_datetime64 SELECT toDateTime64('1900-01-01 00:00:00.000001', 6, 'UTC'), '1900-01-01T00:00:00.000001Z';
CREATE TABLE IN_HERE.value_uuid (value UUID, expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_uuid VALUES ('61F0C404-5cb3-11e7-907b-a6006ad3dba0', '61f0c404-5cb3-11e7-907b-a6006ad3dba0');
CREATE TABLE IN_HERE.value_enum (value Enum8('a' = 1, 'it\'s' = -1), expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_enum VALUES ('it\'s', 'it\'s');
CREATE TABLE IN_HERE.value_map (value Map(String, Int8), expected String) ENGINE = Memory;
INSERT INTO IN_HERE.value_map SELECT map('k', 1), '{\'k\':1}';
