//! Values that belie their column, in statements that SQLite computes.

use super::*;
use crate::sql::Reliance;

impl Source {
    /// The answer of a statement over all tables, or the datasource's error.
    async fn answer(&self, sql: &str) -> Result<String> {
        let context = SessionContext::new();
        for table in self.introspect().await.tables {
            let name = datafusion::common::TableReference::bare(table.name.clone());
            context.register_table(name, Arc::clone(&self.remote).table(&table).unwrap()).unwrap();
        }
        let batches = context.sql(sql).await.unwrap().collect().await.map_err(|e| reown(Error::find(&e).unwrap()))?;
        Ok(pretty_format_batches(&batches).unwrap().to_string())
    }
}

/// Filters that SQLite decides, none of which returns the column itself.
const FILTERS: [&str; 5] = ["v = 5", "v <> 5", "v > 1", "v IN (5, 6)", "v IS NOT NULL"];

#[tokio::test]
async fn a_filter_on_a_belied_column_is_an_error_naming_table_column_and_key() {
    for (value, class) in [("'five'", "text"), ("x'05'", "a blob"), ("5.5", "a real")] {
        let source = Source::of(&format!(
            "CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY, v INTEGER, w INTEGER); INSERT INTO t VALUES ('a', 5, 1), ('it''s', {value}, 2), ('c', 7, 3);"
        ))
        .await;
        for filter in FILTERS {
            let error = source.answer(&format!("SELECT w FROM t WHERE {filter}")).await.unwrap_err();
            assert_eq!((error.kind(), error.datasource()), (ErrorKind::Invalid, Some("shop")), "{filter}: {error:?}");
            let told = format!("{error} {}", error.hint_text().unwrap_or_default());
            for word in ["table \"t\"", "column \"v\"", class, "k = 'it''s'"] {
                assert!(told.contains(word), "{filter}: {told} lacks {word}");
            }
        }
        // Where nothing is computed with the column only the values that are returned count.
        assert!(source.answer("SELECT v FROM t WHERE w = 1").await.unwrap().contains("| 5 |"));
    }
}

#[tokio::test]
async fn every_type_is_looked_at_as_it_is_read() {
    let cases = [
        ("BOOLEAN", "1", "2", "v"),
        ("DATE", "'2024-02-29'", "'29.2.2024'", "v = DATE '2024-02-29'"),
        ("REAL", "1.5", "'much'", "v = 1.5"),
        ("TEXT", "'x'", "x'ff'", "v = 'x'"),
        ("TEXT", "'x'", "CAST(x'ff' AS TEXT)", "v = 'x'"),
        ("BLOB", "x'00'", "'text'", "v = '\\x00'"),
        ("BIGINT", "1", "'many'", "v = 1"),
    ];
    for (declared, good, bad, filter) in cases {
        let source = Source::of(&format!("CREATE TABLE t (id INTEGER, v {declared}); INSERT INTO t VALUES (1, {good}), (2, NULL);")).await;
        let sql = format!("SELECT id FROM t WHERE {filter}");
        if declared != "BLOB" {
            assert!(source.answer(&sql).await.unwrap().contains("| 1 "), "{declared}: {filter}");
        }
        source.writer().execute_batch(&format!("INSERT INTO t VALUES (3, {bad})")).unwrap();
        let mut reliance = Reliance::default();
        reliance.on(&Arc::new(source.table("t").await), 1);
        let statement = RemoteSql { text: "SELECT id FROM t".to_owned(), reliance };
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let limits = ScanLimits { query_timeout: None, batch_rows: 1024 };
        let remote = Arc::clone(&source.remote).as_sql().unwrap();
        let error = failure_of(remote.execute(statement, schema, limits).unwrap()).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{declared} {bad}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("rowid = 3")), "{declared} {bad}: {:?}", error.hint_text());
    }
}

#[tokio::test]
async fn what_was_found_sound_is_looked_at_again_when_the_file_changed() {
    let source = Source::with("CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5), (2, 6);", |options| {
        options.pool.max_connections = 1;
    })
    .await;
    let sql = "SELECT id FROM t WHERE v > 5";
    for _ in 0..3 {
        assert!(source.answer(sql).await.unwrap().contains("| 2 "));
        source.writer().execute_batch("INSERT INTO t VALUES (3, 'six')").unwrap();
        let error = source.answer(sql).await.unwrap_err();
        assert!(error.hint_text().is_some_and(|hint| hint.contains("id = 3")), "{error:?}");
        source.writer().execute_batch("DELETE FROM t WHERE id = 3").unwrap();
    }
    // A key that is the row's number needs no look, and a filter on it is right whatever else the row holds.
    source.writer().execute_batch("INSERT INTO t VALUES (3, 'six')").unwrap();
    assert!(source.answer("SELECT v FROM t WHERE id = 2").await.unwrap().contains("| 6 "));
}

#[tokio::test]
async fn views_and_strict_tables() {
    let source = Source::of(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5), (2, 'six'); CREATE VIEW w AS SELECT id, v FROM t;
         CREATE TABLE s (id INTEGER PRIMARY KEY, v INTEGER, n TEXT) STRICT; INSERT INTO s VALUES (1, 5, 'x'), (2, 6, CAST(x'ff' AS TEXT));",
    )
    .await;
    let error = source.answer("SELECT id FROM w WHERE v > 5").await.unwrap_err();
    assert!(error.message().contains("table \"w\"") && error.message().contains("column \"v\""), "{error}");
    assert!(source.answer("SELECT id FROM s WHERE v > 5").await.unwrap().contains("| 2 "));
    let error = source.answer("SELECT id FROM s WHERE n = 'x'").await.unwrap_err();
    assert!(error.hint_text().is_some_and(|hint| hint.contains("id = 2")), "{error:?}");
}

#[tokio::test]
async fn a_long_look_is_cancelled_like_a_statement() {
    let source = Source::of(
        "CREATE TABLE t (v INTEGER); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) INSERT INTO t SELECT i FROM n;
         CREATE VIEW w AS SELECT a.v FROM t a CROSS JOIN t b;",
    )
    .await;
    let mut reliance = Reliance::default();
    reliance.on(&Arc::new(source.table("w").await), 0);
    let statement = RemoteSql { text: "SELECT v FROM t".to_owned(), reliance };
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let limits = ScanLimits { query_timeout: Some(Duration::from_millis(200)), batch_rows: 1024 };
    let remote = Arc::clone(&source.remote).as_sql().unwrap();
    let error = failure_of(remote.execute(statement, schema, limits).unwrap()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}
