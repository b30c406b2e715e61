//! Values meet and convert as in PostgreSQL. The expected values are what PostgreSQL 15 answers.

use super::support::world;
use crate::ErrorKind;

#[tokio::test]
async fn values_meet_as_in_postgres() {
    let world = world();
    for (sql, expected) in [
        ("SELECT CAST(2.5 AS int), CAST(-2.5 AS int) AS b, CAST(2.4 AS bigint) AS c", vec!["3", "-3", "2"]),
        ("SELECT CAST(2.5::float8 AS int) AS a, CAST(3.5::float8 AS int) AS b", vec!["2", "4"]),
        ("SELECT 'Infinity'::float8 > 0.5 AS a, 1e300 > 1.5 AS b", vec!["true", "true"]),
        ("SELECT CAST(date '2024-03-05' + interval '12 hours' AS text) AS a", vec!["2024-03-05T12:00:00"]),
        ("SELECT '\\x00ff'::bytea = '\\x00FF' AS a, '\\x61'::bytea IN ('a', 'b') AS b", vec!["true", "true"]),
        ("SELECT true IS DISTINCT FROM true AND false AS a, 1 IS NOT DISTINCT FROM 2 OR true AS b", vec!["false", "true"]),
        ("SELECT sum(x) AS a FROM (VALUES (9223372036854775807), (1)) v(x)", vec!["9223372036854775808"]),
        ("SELECT sum(x) OVER () AS a FROM (VALUES (9223372036854775807)) v(x)", vec!["9223372036854775807"]),
        ("SELECT -2^2 AS a, - 2 * 3 AS b, -7 % 4 AS c, +2 - -3 AS d, -1::int AS e", vec!["4.0", "-6", "-3", "5", "-1"]),
        ("SELECT 'abc'::varchar(2) AS a, 'äbc'::char(2) AS b, 12345::varchar(3) AS c, 'x'::varchar(9) AS d", vec!["ab", "äb", "123", "x"]),
        ("SELECT interval '1 month' = interval '30 days' AS a, interval '1 day' < interval '25 hours' AS b", vec!["true", "true"]),
        (
            "SELECT interval '29 days' BETWEEN interval '3 weeks' AND interval '1 month' AS a, interval '24 hours' IN (interval '1 day') AS b",
            vec!["true", "true"],
        ),
        ("SELECT timestamp '2024-01-01 10:00' = '2024-01-01 10:00:00' AS a", vec!["true"]),
    ] {
        assert_eq!(world.rows(sql).await.unwrap(), [expected], "{sql}");
    }
}

#[tokio::test]
async fn what_would_be_answered_wrongly_is_refused() {
    let world = world();
    for (sql, kind) in [
        ("SELECT count(*) FROM customers TABLESAMPLE BERNOULLI (0)", ErrorKind::Unsupported),
        ("SELECT now() AT TIME ZONE 'Europe/Paris'", ErrorKind::Unsupported),
        ("SELECT to_char(now(), 'YYYY')", ErrorKind::UndefinedFunction),
        ("SELECT '\\x0'::bytea", ErrorKind::InvalidText),
    ] {
        assert_eq!(world.rows(sql).await.unwrap_err().kind(), kind, "{sql}");
    }
    for sql in [
        "SELECT 2147483647::int + 1::int",
        "SELECT 9223372036854775807 + 1",
        "SELECT -9223372036854775807 - 2",
        "SELECT 4000000000 * 4000000000",
        "SELECT -(-32768)::smallint",
        "SELECT x + 1 FROM (SELECT 9223372036854775807 AS x) s",
        "SELECT x * x FROM (VALUES (1), (3037000500)) v(x)",
        "SELECT sum(x * x) FROM (VALUES (1), (3037000500)) v(x)",
        "SELECT count(*) FROM (VALUES (1)) v(x) WHERE x + 9223372036854775807 > 0",
    ] {
        let error = world.rows(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfRange, "{sql}: {error}");
    }
    let nested = format!("SELECT {}1{}", "array[".repeat(60), "]".repeat(60));
    assert_eq!(world.rows(&nested).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
