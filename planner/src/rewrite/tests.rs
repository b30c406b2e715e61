//! Rewrites by example: the statement as written, and as it is planned.

use datafusion::sql::parser::Statement;

use super::{rewrite, tell_apart};
use crate::parse::parse;

fn rewritten(sql: &str) -> String {
    let mut statements = parse(sql).unwrap();
    assert_eq!(statements.len(), 1, "{sql}");
    let Statement::Statement(statement) = statements.remove(0) else { panic!("not a query: {sql}") };
    rewrite(*statement).to_string()
}

fn becomes(cases: &[(&str, &str)]) {
    for (written, planned) in cases {
        assert_eq!(rewritten(written), *planned, "{written}");
    }
}

fn stays(cases: &[&str]) {
    for sql in cases {
        assert_eq!(rewritten(sql), *sql);
    }
}

#[test]
fn ordinary_statements_stay_as_they_are() {
    stays(&[
        "SELECT a, count(*) FROM t WHERE b = 'x' GROUP BY a ORDER BY 2 DESC LIMIT 10",
        "SELECT (SELECT max(u.x) FROM u WHERE u.id = t.id) FROM t",
        "SELECT (SELECT u.x FROM u WHERE u.id = t.id) FROM t",
        "SELECT * FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id)",
        "SELECT t.a, u.a FROM t JOIN u ON t.id = u.id",
        "SELECT x FROM t WHERE contype = 'f'",
        "SELECT a.b.c, a[1], '{1}' FROM a",
        "SELECT x COLLATE \"de_DE\" FROM t",
        "SELECT x::INT, CAST(y AS TEXT) FROM t",
        "SELECT xmin, tableoid FROM t",
    ]);
}

#[test]
fn identifier_types_become_numbers_and_names() {
    becomes(&[
        ("SELECT x FROM t WHERE o = 'a'::regclass", "SELECT x FROM t WHERE o = causeway_regclass('a')"),
        ("SELECT 'a'::regclass", "SELECT causeway_regclass_name(causeway_regclass('a'))"),
        ("SELECT x FROM t WHERE o::regtype::text = 'a'", "SELECT x FROM t WHERE causeway_regtype_name(causeway_regtype(o))::TEXT = 'a'"),
        ("SELECT x FROM t WHERE 1::oid = 1", "SELECT x FROM t WHERE 1::INT UNSIGNED = 1"),
        ("SELECT x FROM t WHERE y = '{a}'::name[]", "SELECT x FROM t WHERE y = ARRAY[CAST('a' AS TEXT)]::TEXT[]"),
    ]);
}

#[test]
fn operators_collations_and_patterns_are_plain() {
    becomes(&[
        ("SELECT 1 FROM t WHERE a OPERATOR(pg_catalog.~) 'x' COLLATE pg_catalog.default", "SELECT 1 FROM t WHERE a ~ 'x'"),
        ("SELECT 1 FROM t WHERE a LIKE 'x/_' ESCAPE '/'", "SELECT 1 FROM t WHERE a LIKE like_escape('x/_', '/')"),
        ("SELECT 1 FROM t WHERE a = ANY ('{x,\"y,z\",NULL}')", "SELECT 1 FROM t WHERE a IN ('x', 'y,z', NULL)"),
    ]);
}

#[test]
fn rows_are_compared_by_their_values() {
    becomes(&[
        ("SELECT 1 FROM t WHERE (a, b) = (1, c + 1)", "SELECT 1 FROM t WHERE (((a = 1) AND (b = c + 1)))"),
        ("SELECT 1 FROM t WHERE (a, b) <> (1, 2)", "SELECT 1 FROM t WHERE (((a <> 1) OR (b <> 2)))"),
        ("SELECT 1 FROM t WHERE (a, b) <= (1, 2)", "SELECT 1 FROM t WHERE ((a < 1) OR ((a = 1) AND (b <= 2)))"),
        (
            "SELECT 1 FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
            "SELECT 1 FROM t WHERE (((((a = 1) AND (b = 2))) OR (((a = 3) AND (b = 4)))))",
        ),
        (
            "SELECT 1 FROM t WHERE (a, b) NOT IN ((1, 2), (3, 4))",
            "SELECT 1 FROM t WHERE (((((a <> 1) OR (b <> 2))) AND (((a <> 3) OR (b <> 4)))))",
        ),
    ]);
    stays(&["SELECT 1 FROM t WHERE (a, b) = (1, 2, 3)"]);
}

#[test]
fn functions_in_from_are_relations() {
    becomes(&[
        ("SELECT i FROM generate_series(1, 3) AS i", "SELECT i FROM generate_series(1, 3) AS i (i)"),
        ("SELECT word FROM pg_get_keywords()", "SELECT word FROM pg_catalog.pg_get_keywords AS \"pg_get_keywords\""),
        ("SELECT v FROM version() AS v", "SELECT v FROM (SELECT version() AS \"v\") AS v"),
    ]);
}

#[test]
fn lookups_in_the_catalog_are_aggregates() {
    becomes(&[
        (
            "SELECT (SELECT n.nspname FROM pg_namespace n WHERE n.oid = c.relnamespace AND c.relkind = 'r') FROM pg_class c",
            "SELECT CASE WHEN c.relkind = 'r' THEN (SELECT causeway_single(array_agg(n.nspname)) FROM pg_namespace n \
             WHERE n.oid = c.relnamespace) END FROM pg_class c",
        ),
        (
            "SELECT ARRAY(SELECT b.x FROM b WHERE b.id = a.id ORDER BY 1) FROM a",
            "SELECT causeway_or_empty((SELECT array_agg(b.x ORDER BY b.x) FROM b WHERE b.id = a.id)) FROM a",
        ),
        (
            "SELECT (SELECT c.x FROM pg_c c, pg_t t WHERE c.oid = a.coll AND t.oid = a.typ AND a.coll <> t.coll) FROM pg_a a",
            "SELECT (SELECT causeway_single(array_agg(c.x)) FROM pg_c c, pg_t t WHERE c.oid = a.coll AND t.oid = a.typ \
             AND c.oid <> t.coll) FROM pg_a a",
        ),
    ]);
}

#[test]
fn nothing_is_computed_of_no_rows() {
    becomes(&[
        ("SELECT (SELECT t.tgname FROM pg_trigger t WHERE t.tgrelid = c.oid) FROM pg_class c", "SELECT NULL FROM pg_class c"),
        (
            "SELECT polname, ARRAY(SELECT rolname FROM pg_roles WHERE oid = ANY (polroles)) FROM pg_policy WHERE polroles = '{0}'",
            "SELECT polname, CAST(NULL AS TEXT) FROM pg_policy WHERE false",
        ),
    ]);
    // The optional side of an outer join may be empty without harm, and a count of nothing is a row.
    stays(&["SELECT a.x[1] FROM a LEFT JOIN pg_trigger t ON t.tgrelid = a.oid", "SELECT count(*) FROM pg_trigger WHERE tgname = '{x}'"]);
}

/// What `tell_apart` makes of statements whose relations `f` and `g` are columns too, of tables with the columns `k`, `f` and `g`. All
/// of them mean the same before and after to a PostgreSQL server that has these tables.
#[test]
fn a_relation_is_renamed_where_it_is_meant() {
    let columns = || ["k", "f", "g"].map(str::to_owned).into();
    let apart = |sql: &str| match parse(sql).unwrap().remove(0) {
        Statement::Statement(statement) => tell_apart(*statement, columns()).to_string(),
        _ => panic!("not a query: {sql}"),
    };
    for (written, planned) in [
        // Each part of a set operation has its own relations.
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f WHERE f.k = 1 UNION ALL SELECT 1 FROM u WHERE u.k = f.k)",
            "SELECT f_.k FROM t AS f_ WHERE EXISTS (SELECT 1 FROM u AS f WHERE f.k = 1 UNION ALL SELECT 1 FROM u WHERE u.k = f_.k)",
        ),
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u WHERE u.k = f.k EXCEPT (SELECT 1 FROM u AS f WHERE f.k = 1))",
            "SELECT f_.k FROM t AS f_ WHERE EXISTS (SELECT 1 FROM u WHERE u.k = f_.k EXCEPT (SELECT 1 FROM u AS f WHERE f.k = 1))",
        ),
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f WHERE f.k = 1 UNION SELECT 1 FROM t AS f)",
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f WHERE f.k = 1 UNION SELECT 1 FROM t AS f)",
        ),
        // A common table expression does not see what is read beside it, nor does its name alone hide anything.
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (WITH w AS (SELECT f.k AS x) SELECT 1 FROM u AS f, w WHERE f.k = w.x)",
            "SELECT f_.k FROM t AS f_ WHERE EXISTS (WITH w AS (SELECT f_.k AS x) SELECT 1 FROM u AS f, w WHERE f.k = w.x)",
        ),
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (WITH f AS (SELECT 2 AS k) SELECT 1 FROM u WHERE u.k = f.k)",
            "SELECT f_.k FROM t AS f_ WHERE EXISTS (WITH f AS (SELECT 2 AS k) SELECT 1 FROM u WHERE u.k = f_.k)",
        ),
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (WITH f AS (SELECT 2 AS k) SELECT 1 FROM f WHERE f.k = 2)",
            "SELECT f.k FROM t AS f WHERE EXISTS (WITH f AS (SELECT 2 AS k) SELECT 1 FROM f WHERE f.k = 2)",
        ),
        // Nor does a subquery in `FROM`, unless it is lateral.
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f, (SELECT f.k AS x) AS d WHERE f.k = d.x)",
            "SELECT f_.k FROM t AS f_ WHERE EXISTS (SELECT 1 FROM u AS f, (SELECT f_.k AS x) AS d WHERE f.k = d.x)",
        ),
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f, LATERAL (SELECT f.k AS x) AS d WHERE d.x = 2)",
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT 1 FROM u AS f_, LATERAL (SELECT f_.k AS x) AS d WHERE d.x = 2)",
        ),
        (
            "SELECT f.k, (SELECT d.x FROM (SELECT f.k AS x) AS d) FROM t AS f",
            "SELECT f_.k, (SELECT d.x FROM (SELECT f_.k AS x) AS d) FROM t AS f_",
        ),
        // The order of a query sees what its only select sees.
        (
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT f.k FROM u AS f ORDER BY f.k) ORDER BY f.k",
            "SELECT f.k FROM t AS f WHERE EXISTS (SELECT f.k FROM u AS f ORDER BY f.k) ORDER BY f.k",
        ),
        (
            "SELECT f.k FROM t AS f ORDER BY (SELECT min(u.k) FROM u WHERE u.k > f.k)",
            "SELECT f_.k FROM t AS f_ ORDER BY (SELECT min(u.k) FROM u WHERE u.k > f_.k)",
        ),
    ] {
        // A new name is written so that it is exactly that.
        assert_eq!(apart(written).replace('"', ""), planned, "{written}");
    }
}
