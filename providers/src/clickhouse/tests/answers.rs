//! The same queries with and without the server's help: filters pushed down, and the same rows filtered here.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;

use super::server::{TestServer, cells, context, shown};
use crate::clickhouse::dialect::ClickHouseDialect;
use crate::sql::{Argument, Dialect, NullOrder};

const SCRIPT: &str = "
CREATE TABLE IN_HERE.t (id Int32, i8 Nullable(Int8), u8 UInt8, u32 Nullable(UInt32), b Int64, u64 Nullable(UInt64), d Nullable(Decimal(10, 3)),
  d20 Decimal(20, 0), wide Decimal(60, 5), f Nullable(Float32), dbl Float64, flag Nullable(Bool), s String, n Nullable(String),
  lc LowCardinality(Nullable(String)), fs FixedString(3), da Nullable(Date), d32 Date32, dt Nullable(DateTime('Asia/Tokyo')),
  d1 DateTime64(1), d3 Nullable(DateTime64(3, 'Europe/Berlin')), d6 DateTime64(6), d9 DateTime64(9), u UUID,
  e Nullable(Enum8('a' = 2, 'it\\'s' = 1)), ip IPv4, ip6 IPv6, big Int128, arr Array(Nullable(Int16)), m Map(String, Int8))
  ENGINE = MergeTree ORDER BY id;
INSERT INTO IN_HERE.t SELECT number, if(number % 5 = 0, NULL, number % 256 - 128), number % 256, if(number % 3 = 0, NULL, 4294967295 - number),
  if(number % 2 = 0, 9223372036854775807 - number, -9223372036854775808 + number), if(number % 4 = 0, NULL, 18446744073709551615 - number),
  if(number % 6 = 0, NULL, number / 8), number * 7 - 40, toDecimal256('99999999999999999999999999999999999999999999', 5) - number,
  if(number % 7 = 0, NULL, if(number = 8, nan, number / 10)), if(number = 3, -0.0, if(number = 4, nan, if(number = 5, inf, number / 10))),
  [true, false, NULL][number % 3 + 1], ['', 'a', 'A', 'ä', 'it\\'s \\\\ \" :x', 'a\\0', '日本', 'a '][number % 8 + 1],
  [NULL, 'a', 'A', 'é', 'b', ''][number % 6 + 1], [NULL, 'x', 'Y'][number % 3 + 1], ['a', 'ab', 'abc', ''][number % 4 + 1],
  if(number % 9 = 0, NULL, toDate('2024-01-29') + number), toDate32('1900-01-01') + number * 9000, if(number % 8 = 0, NULL, toDateTime('2024-01-31 12:00:00', 'UTC') + number),
  toDateTime64(fromUnixTimestamp64Milli(toInt64(1706702400000 + number * 100)), 1, 'UTC'), if(number % 5 = 1, NULL, fromUnixTimestamp64Milli(toInt64(1706702400000 + number))),
  toDateTime64('1969-12-31 23:59:59.999990', 6, 'UTC') + toIntervalMicrosecond(number), toDateTime64('2024-01-31 12:00:00', 9, 'UTC') + toIntervalNanosecond(number),
  toUUID('00112233-4455-6677-8899-aabbccddeef' || toString(number % 10)), [NULL, 'a', 'it\\'s'][number % 3 + 1], toIPv4('10.0.0.' || toString(number)),
  toIPv6('2001:db8::' || toString(number)), number * 100000000000000000000, [number, NULL], map('k', number % 100)
  FROM numbers(40);
";

const PREDICATES: &[&str] = &[
    "i8 = 5",
    "i8 <> 5",
    "i8 > 300",
    "i8 IN (1, 2, 3, 4, 300, -127)",
    "i8 NOT IN (1, 2, 3, 4, 300, -127)",
    "NOT (i8 = -127)",
    "NOT (i8 > 0 AND n = 'a')",
    "i8 IS NULL OR i8 = -123",
    "i8 IS NOT DISTINCT FROM -127",
    "i8 IS DISTINCT FROM -127",
    "i8 IS NOT DISTINCT FROM NULL",
    "i8 = u8 - 128",
    "u8 = -1",
    "u8 > i8",
    "u8 IN (-1, 5, 6, 7, 8)",
    "u32 = 4294967295",
    "u32 > 4294967290",
    "u32 NOT IN (4294967291, 1, 2, 3, -5)",
    "b = 9223372036854775807",
    "b < -9223372036854775800",
    "u64 = 18446744073709551614",
    "u64 > 18446744073709551600",
    "u64 IN (18446744073709551614, 18446744073709551613, 5, -5, 7)",
    "u64 NOT IN (18446744073709551614, 18446744073709551613, 5, -5, 7)",
    "u64 < 99999999999999999999",
    "u64 > b",
    "d = 1.5",
    "d > 1 AND d < 2.0001",
    "d = 1.5001",
    "d IN (1.5, 1.625, 2.125, 2.0001, 3)",
    "d = i8",
    "d20 = 2",
    "d20 < 0",
    "d20 IN (2, 9, -5, 16, 99999999999999999999)",
    "wide > 99999999999999999999999999999999999999999990.0",
    "f = 1.1",
    "f = CAST(1.1 AS real)",
    "f > 1.1",
    "f <= CAST(1.1 AS real)",
    "f = 0",
    "f IN (CAST(1.1 AS real), CAST(1.2 AS real), CAST(1.3 AS real), CAST(0.5 AS real))",
    "dbl = 1.1",
    "dbl >= 1.1",
    "dbl = f",
    "dbl = 0.0",
    "dbl <> 1.5",
    "dbl < 1.5",
    "dbl > i8",
    "flag",
    "NOT flag",
    "flag = true",
    "flag IS TRUE",
    "flag IS NOT TRUE",
    "flag IS FALSE",
    "flag IS NOT FALSE",
    "flag IS NULL",
    "flag OR i8 = 5",
    "(i8 > 0) IS UNKNOWN",
    "(i8 > 0) = flag",
    "s = ''",
    "s = 'a'",
    "s = 'it''s \\ \" :x'",
    "s <> 'a '",
    "s < 'a'",
    "s >= 'ä'",
    "s BETWEEN 'A' AND 'a'",
    "s NOT BETWEEN 'A' AND 'a'",
    "s LIKE 'a%'",
    "s ILIKE 'a%'",
    "s IN ('a', 'ä', '日本', 'z')",
    "n = s",
    "n IN ('a', 'é', '日本', 'z')",
    "n NOT IN ('a', 'é', '日本', 'z')",
    "n IS NULL",
    "n < 'b'",
    "lower(n) = 'a'",
    "lc = 'x'",
    "lc <> 'x'",
    "lc > 'Y'",
    "lc = n",
    "fs = X'616200'",
    "fs <> X'616200'",
    "fs = X'6162'",
    "fs > X'61'",
    "fs IN (X'616200', X'61626364', X'610000', X'')",
    "da = DATE '2024-01-31'",
    "da IN (DATE '2024-01-31', DATE '1960-01-01', DATE '2400-01-01', DATE '2024-02-02')",
    "da > DATE '0001-01-01'",
    "da < TIMESTAMP '2024-01-31 00:00:01'",
    "d32 > DATE '2299-12-30'",
    "d32 = DATE '1900-01-01'",
    "d32 < DATE '1899-12-31'",
    "da < d32",
    "dt = '2024-01-31T12:00:01Z'",
    "dt >= '2024-01-31T12:00:01.5Z'",
    "dt = '2024-01-31T12:00:01.5Z'",
    "dt < '2300-01-01T00:00:00Z'",
    "dt > '1900-01-01T00:00:00Z'",
    "dt IN ('2024-01-31T12:00:01Z', '2024-01-31T12:00:02Z', '2024-01-31T12:00:03.5Z', '2024-01-31T12:00:05Z')",
    "dt NOT IN ('2024-01-31T12:00:01Z', '2024-01-31T12:00:02Z', '2024-01-31T12:00:03.5Z', '2024-01-31T12:00:05Z')",
    "dt = d3",
    "d1 = '2024-01-31T12:00:00.5Z'",
    "d1 IN ('2024-01-31T12:00:00.5Z', '2024-01-31T12:00:00.612Z', '2024-01-31T12:00:00.7Z', '2024-01-31T12:00:09Z')",
    "d1 > '2024-01-31T12:00:00.55Z'",
    "d3 = '2024-01-31T12:00:00.007Z'",
    "d3 IN ('2024-01-31T12:00:00.007Z', '2024-01-31T12:00:00.0085Z', '2024-01-31T12:00:00.009Z', '2024-01-31T12:00:09Z')",
    "d3 > '2024-01-31T12:00:00.0075Z'",
    "d3 < '2024-01-31T14:00:00+02:00'",
    "d6 < '1970-01-01T00:00:00Z'",
    "d6 = '1969-12-31T23:59:59.999999Z'",
    "d9 > '2024-01-31T12:00:00.000000005Z'",
    "d9 = '2024-01-31T12:00:00.000000005Z'",
    "u = '00112233-4455-6677-8899-aabbccddeef1'",
    "u = '00112233-4455-6677-8899-AABBCCDDEEF1'",
    "u <> '00112233-4455-6677-8899-aabbccddeef1'",
    "u < '00112233-4455-6677-8899-aabbccddeef1'",
    "u = 'nonsense'",
    "u IN ('00112233-4455-6677-8899-aabbccddeef1', 'x', 'y', 'z')",
    "e = 'a'",
    "e <> 'it''s'",
    "e = 'unknown'",
    "e > 'a'",
    "e IN ('a', 'b', 'c', 'it''s')",
    "ip = '10.0.0.1'",
    "ip > '10.0.0.10'",
    "ip <> '10.0.0.001'",
    "ip6 = '2001:db8::5'",
    "big = '100000000000000000000'",
    "big > '5'",
    "id = 1 AND (n = 'A' OR s LIKE '%')",
    "(id < 5 AND n = 'a') OR (id > 10 AND lc = 'x')",
    "id IN (SELECT u8 FROM t WHERE u8 > 30)",
];

async fn answer(context: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    frame.collect().await.map(|batches| shown(&batches)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn answers_are_the_same_with_and_without_the_server() {
    let Some(server) = TestServer::shared() else { return };
    server.database("answers", SCRIPT);
    let remote = server.remote("answers").await;
    let helped = context(&remote).await;
    let all = helped.sql("SELECT * FROM t").await.unwrap();
    let schema = Arc::new(all.schema().as_arrow().clone());
    let rows = all.collect().await.unwrap();
    assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 40);
    let alone = SessionContext::new();
    alone.register_table("t", Arc::new(MemTable::try_new(schema, vec![rows]).unwrap())).unwrap();
    let (mut wrong, mut shipped) = (Vec::new(), 0);
    for predicate in PREDICATES {
        let sql = format!("SELECT id FROM t WHERE {predicate} ORDER BY id");
        let (with, without) = (answer(&helped, &sql).await, answer(&alone, &sql).await);
        match (with, without) {
            (Ok(with), Ok(without)) if with == without => {}
            // What the engine cannot type is no difference.
            (Err(_), Err(_)) => {}
            (with, without) => wrong.push(format!("{predicate}: {with:?} with the server, {without:?} without")),
        }
        if let Ok(frame) = helped.sql(&sql).await
            && let Ok(plan) = frame.create_physical_plan().await
        {
            shipped += usize::from(displayable(plan.as_ref()).indent(true).to_string().contains(" WHERE "));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(shipped > 70, "only {shipped} of {} were shipped", PREDICATES.len());
}

#[tokio::test]
async fn order_limit_and_null_safe_equality_are_as_ours() {
    let Some(server) = TestServer::shared() else { return };
    server.database(
        "orders",
        "CREATE TABLE IN_HERE.t (x Nullable(Int32)) ENGINE = MergeTree ORDER BY tuple();\nINSERT INTO IN_HERE.t VALUES (2), (NULL), (1), (3)",
    );
    let remote = server.remote("orders").await;
    for (ascending, nulls, expected) in [
        (true, NullOrder::First, ["NULL", "1", "2", "3"]),
        (true, NullOrder::Last, ["1", "2", "3", "NULL"]),
        (false, NullOrder::First, ["NULL", "3", "2", "1"]),
        (false, NullOrder::Last, ["3", "2", "1", "NULL"]),
    ] {
        for (limit, offset) in [(None, 0), (Some(2), 0), (Some(2), 1), (None, 2), (Some(0), 0), (Some(9), 3), (None, 9)] {
            let order = ClickHouseDialect.order_by("x", &DataType::Int32, ascending, nulls);
            let sql = format!("SELECT x FROM orders.t ORDER BY {order} {}", ClickHouseDialect.limit(limit, offset));
            let expected: Vec<_> =
                expected.iter().skip(offset as usize).take(limit.unwrap_or(9) as usize).map(|x| vec![(*x).to_owned()]).collect();
            assert_eq!(cells(&remote, &sql, &[DataType::Int32]).await.unwrap(), expected, "{sql}");
        }
    }
    let same = ClickHouseDialect.null_safe_equal("a.x", "b.x");
    let sql = format!("SELECT count() FROM orders.t a, orders.t b WHERE {same}");
    assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap(), [["4".to_owned()]]);
    let other = format!("SELECT count() FROM orders.t a, orders.t b WHERE NOT ({same})");
    assert_eq!(cells(&remote, &other, &[DataType::Int64]).await.unwrap(), [["12".to_owned()]]);
}

#[tokio::test]
async fn of_no_rows_the_least_is_null_and_the_count_zero() {
    let Some(server) = TestServer::shared() else { return };
    server.database("nothing", "CREATE TABLE IN_HERE.t (x Int32, s String, d Date) ENGINE = MergeTree ORDER BY tuple();");
    let remote = server.remote("nothing").await;
    let of = |name: &str, sql: &str, data_type: DataType| {
        let argument = Argument { sql: sql.to_owned(), data_type: data_type.clone(), literal: None };
        ClickHouseDialect.aggregate(name, Some(&argument), "", &data_type).unwrap()
    };
    let (x, s, d) = (of("min", "x", DataType::Int32), of("max", "s", DataType::Utf8), of("min", "d", DataType::Date32));
    let sql = format!("SELECT {x}, {s}, {d}, count(), count(x) FROM nothing.t");
    let types = [DataType::Int32, DataType::Utf8, DataType::Date32, DataType::Int64, DataType::Int64];
    assert_eq!(cells(&remote, &sql, &types).await.unwrap(), [["NULL", "NULL", "NULL", "0", "0"].map(str::to_owned)]);
    // What they are without the settings and the spelling of the connector.
    assert_eq!(server.admin("SELECT min(x), max(s), min(d), count() FROM nothing.t"), "0\t\t1970-01-01\t0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_may_be_longer_than_servers_take_by_themselves() {
    let Some(server) = TestServer::shared() else { return };
    server.database("long_statement", "");
    let remote = server.remote("long_statement").await;
    let sql = format!("SELECT toInt64(1) WHERE '{}' <> ''", "x".repeat(300_000));
    assert_eq!(cells(&remote, &sql, &[DataType::Int64]).await.unwrap(), [["1"]]);
    // So it would be without our setting: the server refuses what is longer than that one, too.
    let longer = format!("SELECT toInt64(1) WHERE '{}' <> ''", "x".repeat(17_000_000));
    assert!(cells(&remote, &longer, &[DataType::Int64]).await.is_err());
}
