//! Long lists in a condition, at the source that nests conditions least deeply.

use causeway_tests::{Datasource, Gateway, write_sqlite};

/// More rows than SQLite nests conditions.
const LISTED: u32 = 3_000;

#[test]
fn sqlite_answers_long_lists_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(
        &file,
        "CREATE TABLE pairs (a INTEGER, b INTEGER); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) INSERT INTO pairs SELECT i, i % 7 FROM n; \
         INSERT INTO pairs VALUES (NULL, 1), (5000, NULL);",
    );
    let gateway = Gateway::start([Datasource::sqlite("shop", &file)]);
    let psql = gateway.psql();
    let list: Vec<String> = (1..=LISTED).map(|n| format!("({n}, {})", n % 7)).collect();
    let list = list.join(", ");
    let unequal: Vec<String> = (1..=LISTED).map(|n| format!("a <> {n}")).collect();
    for (condition, rows) in [
        (format!("(a, b) IN ({list})"), "3000"),
        // The row of which only one value is known differs from all of these by it, or may equal one of them.
        (format!("(a, b) NOT IN ({list})"), "1001"),
        (unequal.join(" AND "), "1001"),
    ] {
        let count = format!("SELECT count(*) FROM shop.pairs WHERE {condition}");
        assert_eq!(psql.rows(&count), [rows], "{condition:.60}");
        assert_eq!(psql.rows(&format!("SET causeway.push_down = off; {count}")).last().map(String::as_str), Some(rows), "{condition:.60}");
    }
}
