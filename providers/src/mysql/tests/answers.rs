//! The same queries with and without the server's help: filters pushed down, and the same rows filtered here.

use std::sync::Arc;

use datafusion::datasource::MemTable;
use datafusion::physical_plan::displayable;
use datafusion::prelude::SessionContext;
use mysql_async::prelude::Queryable;

use super::server::{TestServer, context, shown};

const PREDICATES: &[&str] = &[
    "ci = 'abc'",
    "ci = 'é'",
    "ci <> 'abc'",
    "NOT (ci = 'ABC')",
    "ci IN ('abc', 'É', '日本')",
    "ci NOT IN ('abc', 'b')",
    "ci = 'a ' OR id = 3",
    "ci = 'abc' AND la = 'abc'",
    "ci = 'it''s \\ \" :x ?'",
    "ci < 'b'",
    "ci LIKE 'a%'",
    "ci ILIKE 'a%'",
    "ci IS NULL",
    "ci = ex",
    "ci = la",
    "ci = ''",
    "la = '日本'",
    "la = 'é'",
    "la <> '日本'",
    "la = 'É' OR ex = 'É'",
    "ex = 'a'",
    "ex <> 'é'",
    "ex < 'b'",
    "ex >= 'é'",
    "ex BETWEEN 'A' AND 'a'",
    "ex IN ('a', 'é', '日本')",
    "ex IS NOT DISTINCT FROM 'a'",
    "ex = ci OR ex IS NULL",
    "i > 100",
    "i + 1 = 256",
    "i = 255 OR i IS NULL",
    "coalesce(i, 7) = 7",
    "nullif(i, 255) IS NULL",
    "b < -9223372036854775807",
    "bu > 9223372036854775807",
    "bu = 18446744073709551615",
    "b = bu",
    "d = 1.5",
    "d > 1 AND d < 2.0001",
    "d = 1.5001",
    "d = i",
    "f = 1.1",
    "f = CAST(1.1 AS real)",
    "f > 1.1",
    "f <= CAST(1.1 AS real)",
    "f = 0",
    "dbl = 1.1",
    "dbl >= 1.1",
    "dbl = f",
    "dbl = 0.0",
    "dbl > i",
    "flag",
    "NOT flag",
    "flag = true",
    "flag IS NOT TRUE",
    "flag IS NULL",
    "flag OR i = 255",
    "bits = '0101'",
    "bits > '0101'",
    "y = 2024",
    "da = DATE '2024-01-31'",
    "da < TIMESTAMP '2024-01-31 00:00:01'",
    "da = TIMESTAMP '2024-01-31 00:00:00.000001'",
    "da BETWEEN DATE '1000-01-01' AND DATE '2024-01-30'",
    "da > DATE '0001-01-01'",
    "dt = da",
    "dt = TIMESTAMP '2024-01-31 12:00:00.001'",
    "dt > TIMESTAMP '2024-01-31 12:00:00.0005'",
    "dt = TIMESTAMP '2024-01-31 12:00:00.0015'",
    "dt <> TIMESTAMP '2024-01-31 12:00:00.001'",
    "ts = TIMESTAMP '2024-01-31 12:00:00'",
    "ts = '2024-01-31T12:00:00.000001Z'",
    "ts >= '2024-01-31T12:00:00.5Z'",
    "ts < '2024-01-31T14:00:00+02:00'",
    "ts > '1900-01-01T00:00:00Z'",
    "ti = ti",
    "ti IS NOT NULL",
    "en = 'b'",
    "en > 'a'",
    "en IN ('c', 'B')",
    "st = 'a,b'",
    "u = '00112233-4455-6677-8899-aabbccddeeff'",
    "u = '00112233-4455-6677-8899-AABBCCDDEEFF'",
    "u = 'nonsense'",
    "u <> 'é'",
    "ip = '10.0.0.1'",
    "ip > '10.0.0.1'",
    "j = '{\"a\": 1}'",
    "bin = X'00ff'",
    "bin > X'00'",
    "id = 1 AND (ci = 'ABC' OR ex LIKE '%')",
    "(id < 5 AND ci = 'abc') OR (id > 10 AND la = 'é')",
    "id IN (SELECT i FROM t)",
];

async fn answer(context: &SessionContext, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    frame.collect().await.map(|batches| shown(&batches)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn answers_are_the_same_with_and_without_the_server() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("answers").await;
    admin
        .query_drop(
            "CREATE TABLE t (id int PRIMARY KEY, i tinyint unsigned, b bigint, bu bigint unsigned, d decimal(10,3), f float, dbl double, \
             flag bit(1), bits bit(4), y year, da date, dt datetime(3), ts timestamp NULL, ti time(1), \
             ci varchar(30) COLLATE utf8mb4_general_ci, ex varchar(30) COLLATE utf8mb4_nopad_bin, \
             la varchar(30) CHARACTER SET latin1 COLLATE latin1_swedish_ci, en enum('c','b','a'), st set('b','a'), u uuid, ip inet4, j json, \
             bin varbinary(10), KEY (ci), KEY (ex), KEY (la), KEY (f), KEY (dt), KEY (ts), KEY (da))",
        )
        .await
        .unwrap();
    for (id, row) in [
        "0, -9223372036854775808, 0, 1.5, 1.1, 1.1, b'1', b'0101', 2024, '2024-01-31', '2024-01-31 12:00:00.001', '2024-01-31 12:00:00', '12:00:00.5', \
         'abc', 'a', 'abc', 'a', 'a', '00112233-4455-6677-8899-aabbccddeeff', '10.0.0.1', '{\"a\": 1}', X'00ff'",
        "255, 9223372036854775807, 9223372036854775807, -1.5, 1.5, 1.5, b'0', b'1111', 1901, '1700-01-01', '2024-01-31 00:00:00', \
         '2024-01-31 12:00:01', '-838:59:59', 'ABC', 'A', 'ABC', 'b', 'a,b', NULL, '9.0.0.1', '{\"a\":1}', X''",
        "7, 5, 5, 2.000, 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "7, 6, 18446744073709551615, 7, -0e0, -0e0, b'0', b'0000', 2155, '2200-12-31', '2200-12-31 23:59:59.999', '2038-01-19 03:14:07', \
         '00:00:00', 'é', 'é', 'é', 'c', '', 'ffffffff-4455-6677-8899-aabbccddeeff', '200.0.0.1', '[]', X'00'",
        "NULL, NULL, NULL, NULL, NULL, NULL, b'1', b'0110', 2024, '2024-01-30', '2024-01-31 12:00:00', '1970-01-01 00:00:01', '01:00:00', \
         'É', 'É', 'É', 'a', 'b', '00000000-0000-0000-0000-000000000000', '10.0.0.1', '1', X'61'",
        "1, 2, 3, 1.501, 3.5, 3.5, b'1', b'0001', 2000, '2024-02-29', '2024-02-29 00:00:00', '2024-02-29 00:00:00', '00:00:01', \
         'abc ', 'a ', 'abc ', 'b', 'a', NULL, NULL, NULL, X'6120'",
        "9, 9, 9, 9, 9, 9, b'0', b'1001', 2001, '2001-01-01', '2001-01-01 01:01:01', '2001-01-01 01:01:01', '10:00:00', \
         'it''s \\\\ \" :x ?', '日本', '', 'c', 'b', NULL, NULL, NULL, NULL",
        "9, 9, 9, 9, 9, 9, b'0', b'1001', 2001, '2001-01-01', '2001-01-01 01:01:01', '2001-01-01 01:01:01', '10:00:00', \
         '日本', 'abc', 'a', 'c', 'b', NULL, NULL, NULL, NULL",
    ]
    .into_iter()
    .enumerate()
    {
        admin.query_drop(format!("INSERT INTO t VALUES ({}, {row})", id + 1)).await.unwrap();
    }
    // Enough rows for the server to use its indexes.
    admin
        .query_drop(
            "INSERT INTO t (id, f, da, dt, ts, ci, ex, la) SELECT 1000 + seq, 1000 + seq, '1990-01-01' + INTERVAL seq DAY, '1990-01-01' + INTERVAL seq DAY, \
             '1990-01-01' + INTERVAL seq DAY, CONCAT('x', seq), CONCAT('x', seq), CONCAT('x', seq) FROM seq_1_to_500",
        )
        .await
        .unwrap();
    admin.query_drop("ANALYZE TABLE t").await.unwrap();
    let remote = server.remote("answers").await;
    let pushed = context(&remote).await;
    let alone = SessionContext::new();
    let all = pushed.table("t").await.unwrap();
    let schema = Arc::new(all.schema().as_arrow().clone());
    alone.register_table("t", Arc::new(MemTable::try_new(schema, vec![all.collect().await.unwrap()]).unwrap())).unwrap();
    let (mut shipped, mut here) = (0, 0);
    for predicate in PREDICATES {
        let sql = format!("SELECT id FROM t WHERE {predicate} ORDER BY id");
        let (ours, theirs) = (answer(&alone, &sql).await, answer(&pushed, &sql).await);
        assert_eq!(theirs, ours, "{predicate}");
        assert!(ours.is_ok(), "{predicate}: {ours:?}");
        if let Ok(plan) = pushed.sql(&sql).await.unwrap().create_physical_plan().await {
            let plan = displayable(plan.as_ref()).indent(false).to_string();
            if plan.contains(" WHERE ") { shipped += 1 } else { here += 1 }
        }
    }
    assert!(shipped > 50 && here > 10, "{shipped} of the predicates were shipped, {here} were not");
}

/// What must be shipped for the server's indexes to be of use.
#[tokio::test]
async fn ordinary_predicates_are_shipped() {
    let Some(server) = TestServer::shared() else { return };
    let mut admin = server.database("shipped").await;
    admin
        .query_drop(
            "CREATE TABLE t (id int PRIMARY KEY, ci varchar(30) COLLATE utf8mb4_general_ci, ex varchar(30) COLLATE utf8mb4_nopad_bin, \
             da date, ts timestamp(6) NULL, d decimal(10,2))",
        )
        .await
        .unwrap();
    let remote = server.remote("shipped").await;
    let context = context(&remote).await;
    for (predicate, expected) in [
        ("id = 5", "WHERE (`id` = 5)"),
        ("ci = 'abc'", "WHERE (`ci` = 'abc')"),
        ("ci = 'é'", "WHERE (`ci` = _utf8mb4 X'C3A9' COLLATE utf8mb4_nopad_bin)"),
        ("ex > 'it''s'", "WHERE (`ex` > _utf8mb4 X'69742773')"),
        ("d >= 1.5", "WHERE (`d` >= 1.50)"),
        ("da < DATE '2024-01-31'", "WHERE (`da` < DATE'2024-01-31')"),
        ("ts > '2024-01-31T12:00:00.5Z'", "WHERE (`ts` > CAST('2024-01-31 12:00:00.500000' AS DATETIME(6)))"),
    ] {
        let frame = context.sql(&format!("SELECT id FROM t WHERE {predicate}")).await.unwrap();
        let plan = displayable(frame.create_physical_plan().await.unwrap().as_ref()).indent(false).to_string();
        assert!(plan.contains(expected), "{predicate}: {plan}");
        // A superset is checked again here.
        assert_eq!(plan.contains("FilterExec"), predicate.starts_with("ci"), "{predicate}: {plan}");
    }
}
