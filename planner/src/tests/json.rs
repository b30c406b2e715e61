//! Casts to `json` and `jsonb`.

use causeway_providers::Presentation;

use super::support::world;
use crate::{Error, ErrorKind};

#[tokio::test]
async fn a_cast_keeps_the_text_and_tells_its_type() {
    let world = world();
    for (sql, presentation, value) in [
        ("SELECT '{\"a\": [1, null]}'::jsonb", Presentation::Jsonb, "{\"a\": [1, null]}"),
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
