//! Statements as written, and with `ON`. They mean the same to a PostgreSQL server that has these tables.

use datafusion::sql::parser::Statement;

use super::join_on;
use crate::column_names::name_columns;
use crate::error::{Error, ErrorKind};
use crate::parse::parse;
use crate::rewrite::{KeyedTable, KnownNames};

/// Tables `a (x, y, k)`, `b (x, z)`, `c (w, x, z)` and `d (x, a)`.
struct Tables;

impl KnownNames for Tables {
    fn columns(&self, name: &[String]) -> Option<Vec<String>> {
        let columns: &[&str] = match name.last()?.as_str() {
            "a" => &["x", "y", "k"],
            "b" => &["x", "z"],
            "c" => &["w", "x", "z"],
            "d" => &["x", "a"],
            _ => return None,
        };
        Some(columns.iter().map(|&column| column.to_owned()).collect())
    }

    fn keyed_table(&self, _name: &[String]) -> Option<KeyedTable> {
        None
    }

    fn is_column(&self, _name: &str) -> bool {
        false
    }

    fn is_aggregate(&self, _name: &str) -> bool {
        false
    }
}

fn planned(sql: &str) -> Result<String, Error> {
    let Statement::Statement(statement) = parse(sql).unwrap().remove(0) else { panic!("not a query: {sql}") };
    join_on(name_columns(*statement), &Tables).map(|statement| statement.to_string().replace('"', ""))
}

fn becomes(cases: &[(&str, &str)]) {
    for (written, wanted) in cases {
        assert_eq!(planned(written).unwrap(), *wanted, "{written}");
    }
}

fn fails(cases: &[(&str, ErrorKind, &str)]) {
    for (sql, kind, message) in cases {
        let error = planned(sql).expect_err(sql);
        assert_eq!((error.kind(), error.message()), (*kind, *message), "{sql}");
    }
}

#[test]
fn a_shared_column_is_that_of_the_side_that_has_a_row() {
    becomes(&[
        ("SELECT x, b.z FROM a JOIN b USING (x) WHERE x > 1", "SELECT a.x AS x, b.z FROM a JOIN b ON a.x = b.x WHERE a.x > 1"),
        ("SELECT x FROM a l LEFT JOIN b r USING (x) ORDER BY x", "SELECT l.x AS x FROM a l LEFT JOIN b r ON l.x = r.x ORDER BY l.x"),
        ("SELECT x, b.z FROM a RIGHT JOIN b USING (X) WHERE x > 1", "SELECT b.X AS x, b.z FROM a RIGHT JOIN b ON a.X = b.X WHERE b.X > 1"),
        (
            "SELECT count(*) AS n FROM a FULL JOIN b USING (x) JOIN (SELECT a FROM d) e ON e.a = x GROUP BY x HAVING x > 1 ORDER BY x",
            "SELECT count(*) AS n FROM a FULL JOIN b ON a.x = b.x JOIN (SELECT a FROM d) e ON e.a = coalesce(a.x, b.x) GROUP BY coalesce(a.x, b.x) \
             HAVING coalesce(a.x, b.x) > 1 ORDER BY coalesce(a.x, b.x)",
        ),
        ("SELECT b.x, a.x FROM a JOIN b USING (x)", "SELECT b.x, a.x FROM a JOIN b ON a.x = b.x"),
        (
            "SELECT rank() OVER (PARTITION BY x ORDER BY x) AS r FROM a NATURAL RIGHT JOIN b WINDOW w AS (ORDER BY x)",
            "SELECT rank() OVER (PARTITION BY b.x ORDER BY b.x) AS r FROM a RIGHT JOIN b ON a.x = b.x WINDOW w AS (ORDER BY b.x)",
        ),
    ]);
}

#[test]
fn all_columns_are_the_shared_ones_and_the_rest_of_each_relation() {
    becomes(&[
        (
            "SELECT * FROM s.a FULL JOIN s.c r USING (x) ORDER BY x, y",
            "SELECT coalesce(a.x, r.x) AS x, a.* EXCLUDE (x), r.* EXCLUDE (x) FROM s.a FULL JOIN s.c r ON a.x = r.x ORDER BY x, a.y",
        ),
        (
            "SELECT * FROM b NATURAL LEFT JOIN c",
            "SELECT b.x AS x, b.z AS z, c.* EXCLUDE (x, z) FROM b LEFT JOIN c ON b.x = c.x AND b.z = c.z",
        ),
        (
            "SELECT * FROM a JOIN b USING (x) JOIN c USING (z) JOIN d ON true",
            "SELECT b.z AS z, a.x AS x, a.* EXCLUDE (x), c.* EXCLUDE (z), d.* FROM a JOIN b ON a.x = b.x JOIN c ON b.z = c.z JOIN d ON true",
        ),
        (
            "SELECT * FROM a LEFT JOIN (b FULL JOIN c USING (z)) ON a.k = z, d",
            "SELECT a.*, coalesce(b.z, c.z) AS z, b.* EXCLUDE (z), c.* EXCLUDE (z), d.* FROM a LEFT JOIN (b FULL JOIN c ON b.z = c.z) \
             ON a.k = coalesce(b.z, c.z), d",
        ),
        ("SELECT r.*, 1 AS n FROM a JOIN b r USING (x)", "SELECT r.*, 1 AS n FROM a JOIN b r ON a.x = r.x"),
        (
            "SELECT *, x FROM s.b JOIN t.b USING (x, z)",
            "SELECT s.b.x AS x, s.b.z AS z, s.b.x AS x:2 FROM s.b JOIN t.b ON s.b.x = t.b.x AND s.b.z = t.b.z",
        ),
        (
            "SELECT * FROM (a JOIN b USING (x)) AS j JOIN d USING (x)",
            "SELECT j.x AS x, j.* EXCLUDE (x), d.* EXCLUDE (x) FROM (SELECT a.x AS x, a.* EXCLUDE (x), b.* EXCLUDE (x) \
             FROM a JOIN b ON a.x = b.x) AS j JOIN d ON j.x = d.x",
        ),
        (
            "SELECT * FROM a LEFT JOIN b ON a.x = b.x, c NATURAL JOIN f() AS f (u)",
            "SELECT * FROM a LEFT JOIN b ON a.x = b.x, c JOIN f() AS f (u) ON true",
        ),
    ]);
}

#[test]
fn the_next_join_shares_what_is_shared_already() {
    becomes(&[
        (
            "SELECT x FROM a FULL JOIN b USING (x) FULL JOIN d USING (x)",
            "SELECT coalesce(coalesce(a.x, b.x), d.x) AS x FROM a FULL JOIN b ON a.x = b.x FULL JOIN d ON coalesce(a.x, b.x) = d.x",
        ),
        (
            "SELECT * FROM a RIGHT JOIN b USING (x) LEFT JOIN c USING (x, z)",
            "SELECT b.x AS x, b.z AS z, a.* EXCLUDE (x), c.* EXCLUDE (x, z) FROM a RIGHT JOIN b ON a.x = b.x \
             LEFT JOIN c ON b.x = c.x AND b.z = c.z",
        ),
    ]);
}

#[test]
fn columns_of_queries_are_known_by_what_they_select() {
    becomes(&[
        (
            "WITH q AS (SELECT * FROM a JOIN b USING (x)) SELECT * FROM q NATURAL JOIN c",
            "WITH q AS (SELECT a.x AS x, a.* EXCLUDE (x), b.* EXCLUDE (x) FROM a JOIN b ON a.x = b.x) \
             SELECT q.x AS x, q.z AS z, q.* EXCLUDE (x, z), c.* EXCLUDE (x, z) FROM q JOIN c ON q.x = c.x AND q.z = c.z",
        ),
        (
            "SELECT x FROM (SELECT d.*, 1 AS y FROM d) q NATURAL JOIN a, (VALUES (1)) v (z), (SELECT x AS u FROM b UNION SELECT 1 AS n) w",
            "SELECT q.x AS x FROM (SELECT d.*, 1 AS y FROM d) q JOIN a ON q.x = a.x AND q.y = a.y, (VALUES (1)) v (z), \
             (SELECT x AS u FROM b UNION SELECT 1 AS n) w",
        ),
        (
            "WITH RECURSIVE r (x) AS (SELECT 1 AS n UNION ALL SELECT x FROM r NATURAL JOIN b) SELECT x FROM r",
            "WITH RECURSIVE r (x) AS (SELECT 1 AS n UNION ALL SELECT r.x AS x FROM r JOIN b ON r.x = b.x) SELECT x FROM r",
        ),
        (
            "SELECT * FROM (SELECT 1 AS x) JOIN b USING (x)",
            "SELECT causeway_unnamed_1.x AS x, b.* EXCLUDE (x) FROM (SELECT 1 AS x) AS causeway_unnamed_1 JOIN b ON causeway_unnamed_1.x = b.x",
        ),
        ("SELECT x FROM f() AS l JOIN g() AS r USING (x)", "SELECT l.x AS x FROM f() AS l JOIN g() AS r ON l.x = r.x"),
    ]);
}

#[test]
fn a_name_within_a_query_is_the_nearest_column() {
    becomes(&[
        (
            "SELECT k FROM a WHERE EXISTS (SELECT 1 AS n FROM b JOIN d USING (x) WHERE x = a.x)",
            "SELECT k FROM a WHERE EXISTS (SELECT 1 AS n FROM b JOIN d ON b.x = d.x WHERE b.x = a.x)",
        ),
        (
            "SELECT (SELECT max(w) FROM c WHERE x = y) FROM a JOIN b USING (x)",
            "SELECT (SELECT max(w) AS max FROM c WHERE x = y) AS max FROM a JOIN b ON a.x = b.x",
        ),
        (
            "SELECT 1 AS n FROM a FULL JOIN b USING (x) WHERE k IN (SELECT v FROM (SELECT z AS v FROM c) q WHERE v > x)",
            "SELECT 1 AS n FROM a FULL JOIN b ON a.x = b.x WHERE k IN (SELECT v FROM (SELECT z AS v FROM c) q WHERE v > coalesce(a.x, b.x))",
        ),
        // Sorted by an item, and grouped by one: neither is the column around.
        (
            "SELECT 1 AS n FROM a JOIN b USING (x) WHERE 1 IN (SELECT q.w AS x FROM (SELECT w FROM c) q GROUP BY x ORDER BY x)",
            "SELECT 1 AS n FROM a JOIN b ON a.x = b.x WHERE 1 IN (SELECT q.w AS x FROM (SELECT w FROM c) q GROUP BY x ORDER BY x)",
        ),
        (
            "SELECT 1 AS n FROM a JOIN b USING (x), LATERAL (SELECT x + 1 AS v) q, (SELECT x FROM c) r",
            "SELECT 1 AS n FROM a JOIN b ON a.x = b.x, LATERAL (SELECT a.x + 1 AS v) q, (SELECT x FROM c) r",
        ),
        ("SELECT (a.y).x, y[x] FROM a JOIN b USING (x)", "SELECT (a.y).x AS x, y[a.x] AS y FROM a JOIN b ON a.x = b.x"),
    ]);
}

#[test]
fn items_that_are_one_column_differ_by_name() {
    becomes(&[
        ("SELECT x, a.x FROM a JOIN b USING (x) ORDER BY x", "SELECT a.x AS x, a.x AS x:2 FROM a JOIN b ON a.x = b.x ORDER BY a.x"),
        ("SELECT x, b.x FROM a JOIN b USING (x)", "SELECT a.x AS x, b.x FROM a JOIN b ON a.x = b.x"),
        (
            "SELECT x, a.x, b.x FROM a FULL JOIN b USING (x)",
            "SELECT coalesce(a.x, b.x) AS x, a.x AS x:2, b.x AS x:3 FROM a FULL JOIN b ON a.x = b.x",
        ),
        (
            "SELECT upper(x) AS x FROM a JOIN b USING (x) ORDER BY x, x + 1",
            "SELECT upper(a.x) AS x FROM a JOIN b ON a.x = b.x ORDER BY x, a.x + 1",
        ),
    ]);
}

#[test]
fn columns_that_are_not_one_on_each_side_are_an_error() {
    use ErrorKind::{AmbiguousColumn, DuplicateColumn, UndefinedColumn, Unsupported};
    fails(&[
        ("SELECT 1 FROM a JOIN b USING (x, X)", DuplicateColumn, "column name \"x\" appears more than once in USING clause"),
        ("SELECT 1 FROM a JOIN b USING (z)", UndefinedColumn, "column \"z\" specified in USING clause does not exist in left table"),
        ("SELECT 1 FROM a JOIN b USING (y)", UndefinedColumn, "column \"y\" specified in USING clause does not exist in right table"),
        (
            "SELECT 1 FROM a JOIN b ON true JOIN c USING (x)",
            AmbiguousColumn,
            "common column name \"x\" appears more than once in left table",
        ),
        (
            "SELECT 1 FROM (SELECT a.x, b.x FROM a, b) q JOIN c USING (x)",
            AmbiguousColumn,
            "common column name \"x\" appears more than once in left table",
        ),
        ("SELECT x FROM a JOIN b USING (x), c", AmbiguousColumn, "column reference \"x\" is ambiguous"),
        ("SELECT 1 FROM a WHERE 1 IN (SELECT x FROM a JOIN b USING (x), c)", AmbiguousColumn, "column reference \"x\" is ambiguous"),
        (
            "SELECT 1 FROM a NATURAL JOIN f() AS f",
            Unsupported,
            "USING and NATURAL are not supported where the columns of a joined relation are not known",
        ),
        (
            "SELECT 1 FROM f() AS f, g() AS g JOIN (SELECT h.* FROM h() AS h) h ON true JOIN a USING (x)",
            Unsupported,
            "USING and NATURAL are not supported where the columns of joined relations are not known",
        ),
        (
            "SELECT 1 FROM a JOIN b USING (x) WHERE EXISTS (SELECT 1 FROM f() AS f WHERE x = 1)",
            Unsupported,
            "USING and NATURAL are not supported where a subquery may have a column of the shared one's name",
        ),
    ]);
    // The planner tells of a table that is not there.
    becomes(&[("SELECT * FROM a NATURAL JOIN missing", "SELECT * FROM a NATURAL JOIN missing")]);
}
