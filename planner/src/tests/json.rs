//! Casts to `json` and `jsonb`.

use causeway_providers::Presentation;

use super::support::world;
use crate::{Error, ErrorKind};

#[tokio::test]
async fn a_cast_tells_its_type_and_a_jsonb_is_written_as_postgres_writes_it() {
    let world = world();
    for (sql, presentation, value) in [
        ("SELECT '{\"a\": [1, null]}'::jsonb", Presentation::Jsonb, "{\"a\": [1, null]}"),
        ("SELECT '{\"b\":1e2,\"a\":[1.0,\"\\u0041\"],\"b\":2}'::jsonb", Presentation::Jsonb, "{\"a\": [1.0, \"A\"], \"b\": 2}"),
        ("SELECT '{\"b\":1,\"a\":2}'::json::jsonb", Presentation::Jsonb, "{\"a\": 2, \"b\": 1}"),
        ("SELECT '{\"b\":1}'::json", Presentation::Json, "{\"b\":1}"),
        ("SELECT CAST('  7' AS json)", Presentation::Json, "  7"),
        ("SELECT json '\"x\"'", Presentation::Json, "\"x\""),
        ("SELECT '{}'::pg_catalog.jsonb", Presentation::Jsonb, "{}"),
        ("SELECT NULL::json", Presentation::Json, "NULL"),
        ("SELECT id::text::json FROM customers WHERE id = 2", Presentation::Json, "2"),
        ("SELECT d FROM (SELECT '[]'::json::jsonb AS d UNION ALL SELECT '[]'::jsonb) t LIMIT 1", Presentation::Jsonb, "[]"),
    ] {
        let query = world.plan(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(Presentation::of(query.schema().field(0)), presentation, "{sql}");
        assert_eq!(query.rows(Vec::new()).await.unwrap_or_else(|error| panic!("{sql}: {error}"))[0], [value], "{sql}");
    }
    assert_eq!(world.plan("SELECT '{}'::jsonb").await.unwrap().schema().field(0).name(), "jsonb");
}

#[tokio::test]
async fn what_is_no_document_is_refused_and_not_shown() {
    let world = world();
    for sql in ["SELECT '{secret'::json", "SELECT ''::jsonb", "SELECT city::json FROM customers", "SELECT '{} {}'::json"] {
        let error: Error = world.rows(sql).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidText, "{sql}: {error}");
        assert!(!error.to_string().contains("secret") && !error.to_string().contains("Rome"), "{error}");
    }
    let error = world.rows("SELECT 1::json").await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::TypeMismatch, "cannot cast type bigint to json"));
}

#[tokio::test]
async fn jsonb_is_compared_as_a_document() {
    let world = world();
    for (sql, answer) in [
        ("SELECT '{\"a\": 1}'::jsonb = '{\"a\":1}'::jsonb", "true"),
        ("SELECT '{\"a\":1,\"b\":2}'::jsonb = '{\"b\":2.0, \"a\":1}'::jsonb", "true"),
        ("SELECT '{\"a\": 1}'::jsonb = '{\"a\":1}'", "true"),
        ("SELECT '[1]'::jsonb <> '[1.00]'::jsonb", "false"),
        ("SELECT '[1]'::jsonb IS DISTINCT FROM '[2]'::jsonb", "true"),
        ("SELECT '[1]'::jsonb IN ('[2]', '[ 1 ]')", "true"),
        ("SELECT '[1]'::jsonb = NULL", "NULL"),
        ("SELECT d = '{\"k\":1,\"i\":0}' FROM (SELECT '{\"i\":0, \"k\":1.0}'::jsonb AS d) t", "true"),
        ("SELECT count(*) FROM (SELECT '1'::jsonb AS d) a JOIN (SELECT '1.0'::jsonb AS d) b ON a.d = b.d", "1"),
        ("SELECT '\"1.0\"'::jsonb = '\"1\"'::jsonb", "false"),
    ] {
        let rows = world.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows[0], [answer], "{sql}");
    }
}

#[tokio::test]
async fn there_is_no_comparison_of_json_and_no_order_of_jsonb() {
    let world = world();
    for (sql, kind, message) in [
        ("SELECT '1'::json = '1'::json", ErrorKind::UndefinedFunction, "operator does not exist: json = json"),
        ("SELECT '1'::json <> '1'", ErrorKind::UndefinedFunction, "operator does not exist: json <> unknown"),
        ("SELECT '1'::jsonb = '1'::json", ErrorKind::UndefinedFunction, "operator does not exist: jsonb = json"),
        ("SELECT '1'::json IN ('1', '2')", ErrorKind::UndefinedFunction, "operator does not exist: json = unknown"),
        ("SELECT id FROM customers WHERE id::text::jsonb = id", ErrorKind::UndefinedFunction, "operator does not exist: jsonb = bigint"),
        ("SELECT '1'::jsonb = 1", ErrorKind::UndefinedFunction, "operator does not exist: jsonb = integer"),
        ("SELECT '1'::jsonb < '2'::jsonb", ErrorKind::Unsupported, "the order of jsonb values is not supported"),
        ("SELECT '1'::jsonb BETWEEN '1' AND '2'", ErrorKind::Unsupported, "the order of jsonb values is not supported"),
        ("SELECT '1'::jsonb = '{'", ErrorKind::InvalidText, "invalid input syntax for type jsonb"),
    ] {
        let error: Error = world.rows(sql).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (kind, message), "{sql}");
    }
}

#[tokio::test]
async fn deep_documents_are_written_and_compared() {
    let world = world();
    let arrays = |depth: usize| format!("(repeat('[', {depth}) || repeat(']', {depth}))");
    let objects = |first: &str, second: &str| format!("(repeat('{{{first}', 200000) || '1' || repeat('{second}}}', 200000))::jsonb");
    let (one, other) = (objects("\"b\":1,\"a\":", ""), objects("\"a\": ", ", \"b\": 1.0"));
    for (sql, answer) in [
        (format!("SELECT length({}::jsonb::text)", arrays(1_000_000)), "2000000"),
        (format!("SELECT length({}::json::text)", arrays(1_000_000)), "2000000"),
        (format!("SELECT {0}::jsonb = {0}::jsonb", arrays(1_000_000)), "true"),
        (format!("SELECT {}::jsonb = {}::jsonb", arrays(1_000_000), arrays(999_999)), "false"),
        (format!("SELECT {one} = {other}"), "true"),
        // As it comes from a source: not a cast that is known before the rows are.
        (
            format!(
                "SELECT count(*) FROM customers WHERE (repeat('[', 200000) || id::text || repeat(']', 200000))::jsonb = {}::jsonb",
                arrays(3)
            ),
            "0",
        ),
    ] {
        let rows = world.rows(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        assert_eq!(rows[0], [answer], "{sql}");
    }
}

#[tokio::test]
async fn what_exponents_stand_for_is_bounded() {
    let world = world();
    for sql in [
        "SELECT length(('[' || repeat('1e131071,', 3000) || '1]')::jsonb::text)",
        "SELECT ('[' || repeat('1e131071,', 3000) || '1]')::jsonb = '1'",
        "SELECT length(('[' || repeat('1e-16383,', 30000) || '1]')::jsonb::text)",
        // Each of these fits, but not all at once.
        "SELECT sum(length(('[' || repeat('1e131071,', 60) || i || ']')::jsonb::text)) FROM generate_series(1, 8) s(i)",
    ] {
        let error = world.rows(sql).await.expect_err(sql);
        assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{sql}: {error}");
        assert!(error.message().contains("too large") && error.hint_text().is_some(), "{sql}: {error}");
    }
    for (sql, answer) in [
        ("SELECT length('1e131071'::jsonb::text)", "131072"),
        // A literal is compared without being written out.
        ("SELECT '1'::jsonb = '[1e131071, 1e131071]'", "false"),
        ("SELECT '1e131071'::jsonb = '10.0e131070'", "true"),
        // It is what it grows by that counts.
        ("SELECT length(('[' || repeat('1234567,', 1000000) || '1]')::jsonb::text)", "9000003"),
    ] {
        assert_eq!(world.rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))[0], [answer], "{sql}");
    }
}
