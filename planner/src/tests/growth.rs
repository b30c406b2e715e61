//! Values that would not fit into memory are refused before they are made.

use super::support::world;
use crate::ErrorKind;

#[tokio::test]
async fn what_would_grow_too_large_is_refused() {
    let world = world();
    for sql in [
        "SELECT length(repeat('x', 2000000000))",
        "SELECT length(repeat(repeat('x', 1000), 1000000))",
        "SELECT length(lpad('x', 2000000000))",
        "SELECT length(rpad('é', 1000000000, 'x'))",
        "SELECT length(replace(repeat('x', 1000000), 'x', repeat('y', 1000)))",
        "SELECT length(regexp_replace(repeat('x', 1000000), 'x', repeat('y', 1000), 'g'))",
        "SELECT levenshtein(repeat('x', 8000000), repeat('y', 8000000))",
        "SELECT cardinality(array_replace(array_repeat('x', 100000), 'x', repeat('y', 100000)))",
        "SELECT cardinality(array_repeat(1, 1000000000))",
        "SELECT cardinality(array_resize(ARRAY[1], 1000000000, 0))",
        "SELECT length(array_to_string(array_repeat('x', 100000), repeat('y', 100000)))",
        "SELECT cardinality(range(1, 1000000000000))",
        "SELECT cardinality(range(timestamp '2024-01-01', timestamp '2025-01-01', interval '1 millisecond'))",
        "SELECT sum(length(repeat(name, 1000000000))) FROM customers",
        // Each of these fits, but not all at once.
        "SELECT sum(length(repeat('x', 8000000))) FROM (VALUES (1), (2), (3), (4), (5), (6)) v(i) WHERE length(repeat('x', i + 7999990)) > 0",
    ] {
        let error = world.rows(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{sql}: {error}");
        assert!(error.message().contains("too large") && error.hint_text().is_some(), "{sql}: {error}");
    }
}

#[tokio::test]
async fn what_fits_is_as_it_was() {
    let world = world();
    for (sql, expected) in [
        ("SELECT repeat('ab', 3) AS a, repeat('ab', -1) AS b, repeat(NULL, 3) AS c", vec!["ababab", "", "NULL"]),
        ("SELECT lpad('x', 3) AS a, rpad('xyz', 2) AS b, lpad('x', 4, 'é') AS c", vec!["  x", "xy", "éééx"]),
        ("SELECT replace('banana', 'a', 'oo') AS a, length(repeat('x', 8000000)) AS b", vec!["boonoonoo", "8000000"]),
        ("SELECT cardinality(array_repeat(1, 5)) AS a, cardinality(range(1, 100000)) AS b", vec!["5", "99999"]),
        ("SELECT regexp_replace('banana', 'a', 'oo', 'g') AS a, levenshtein('kitten', 'sitting') AS b", vec!["boonoonoo", "3"]),
        ("SELECT array_to_string(array_replace(ARRAY['a', 'b', 'a'], 'a', 'c'), ', ') AS a", vec!["c, b, a"]),
        ("SELECT count(*) FROM generate_series(1, 100000)", vec!["100000"]),
        ("SELECT array_to_string(ARRAY['a', 'b', 'c'], ', ') AS a", vec!["a, b, c"]),
    ] {
        assert_eq!(world.rows(sql).await.unwrap(), [expected], "{sql}");
    }
}
