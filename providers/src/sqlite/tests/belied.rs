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
        let statement = RemoteSql { reliance, ..RemoteSql::new("SELECT id FROM t") };
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
        let limits = ScanLimits::new(None, 1024);
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
    let statement = RemoteSql { reliance, ..RemoteSql::new("SELECT v FROM t") };
    let schema = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let limits = ScanLimits::new(Some(Duration::from_millis(200)), 1024);
    let remote = Arc::clone(&source.remote).as_sql().unwrap();
    let error = failure_of(remote.execute(statement, schema, limits).unwrap()).await;
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}

#[tokio::test]
async fn a_value_that_is_only_returned_is_named_by_table_column_and_rowid() {
    let source = Source::of(
        "CREATE TABLE t (k TEXT, v INTEGER, rowid TEXT); INSERT INTO t VALUES ('a', 5, 'x'), ('b', 'five', 'y');
         CREATE TABLE keyed (k TEXT PRIMARY KEY, v DATE); INSERT INTO keyed VALUES ('a', '2024-02-29'), ('b', 'soon');
         CREATE TABLE numbered (id INTEGER PRIMARY KEY, v BOOLEAN); INSERT INTO numbered VALUES (7, 2);
         CREATE TABLE bare (k TEXT PRIMARY KEY, v REAL) WITHOUT ROWID; INSERT INTO bare VALUES ('z', 'much');
         CREATE VIEW w AS SELECT v AS renamed FROM t;",
    )
    .await;
    for (sql, table, column, row) in [
        ("SELECT v FROM t", "t", "v", "_rowid_ = 2"),
        ("SELECT v AS other FROM keyed", "keyed", "v", "k = 'b', rowid = 2"),
        ("SELECT * FROM numbered", "numbered", "v", "with id = 7;"),
        ("SELECT v FROM bare", "bare", "v", "with k = 'z';"),
        // The table that the view shows is where the row is.
        ("SELECT renamed FROM w", "t", "renamed", "_rowid_ = 2"),
    ] {
        let error = source.answer(sql).await.unwrap_err();
        assert_eq!((error.kind(), error.datasource()), (ErrorKind::Invalid, Some("shop")), "{sql}: {error:?}");
        let told = format!("{error} {}", error.hint_text().unwrap_or_default());
        for word in [format!("table \"{table}\""), format!("column \"{column}\""), row.to_owned()] {
            assert!(told.contains(&word), "{sql}: {told} lacks {word}");
        }
    }
    // A value that is computed is in no row.
    let error = failure_of(source.stream("SELECT 'x' AS v", &[("v", DataType::Int64)], None)).await;
    assert!(error.message().starts_with("column \"v\" holds text"), "{error}");
}

/// Values of every kind in columns of every type, and the rows that a policy makes of them.
const MIXED: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER UNIQUE, r REAL, d DATE, b BOOLEAN, x TEXT, y BLOB, n DECIMAL(5,2));
    INSERT INTO t VALUES (1, 5, 1.5, '2024-02-29', 1, 'text', x'01ff', 1.25), (2, 'five', 'much', 'soon', 2, x'ff', 'blob', 'no'),
        (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (4, 6.5, x'00', 20240229, 'true', 7, 8, 1.255);
    CREATE TABLE s (id INTEGER PRIMARY KEY, v INTEGER) STRICT; INSERT INTO s VALUES (1, 10), (2, NULL);";

impl Source {
    async fn with_policy(script: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        Connection::open(&path).unwrap().execute_batch(script).unwrap();
        let values = [("path", path.to_str().unwrap()), ("on_mismatch", policy)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let options = Options::check(&manifest::MANIFEST, RemoteId::new("shop"), Path::new("/"), values.into(), BTreeMap::new()).unwrap();
        Self { folder, remote: SqliteConnector.open(&options).await.unwrap() }
    }

    /// The rows of an answer, their cells joined by blanks.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let printed = self.answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let rows = printed.lines().filter(|line| line.starts_with('|')).skip(1);
        rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ")).collect()
    }
}

#[tokio::test]
async fn what_does_not_fit_is_null_when_the_option_says_so() {
    let source = Source::with_policy(MIXED, "null").await;
    let seen = source.table("t").await;
    assert!(seen.columns.iter().skip(1).all(|column| column.nullable && column.comparison == Comparison::None), "{seen:?}");
    assert_eq!((seen.primary_key.as_slice(), seen.unique_keys.len()), (["id".to_owned()].as_slice(), 0));
    let rows = ["1 5 1.5 2024-02-29 true text 01ff 1.25", "2", "3", "4     7  "];
    let read: Vec<String> = source.rows("SELECT * FROM t ORDER BY id").await.iter().map(|row| row.trim_end().to_owned()).collect();
    assert_eq!(read, rows.map(str::trim_end));
    // SQLite has values where we read NULL.
    for (filter, ids) in [
        ("i IS NULL", "2 3 4"),
        ("i IS NOT NULL", "1"),
        ("i > 5", ""),
        ("i <> 0", "1"),
        ("x = 'text'", "1"),
        ("coalesce(i, -1) = -1", "2 3 4"),
        ("NOT b", ""),
        ("id > 2", "3 4"),
        ("CASE WHEN id = 2 THEN i ELSE 0 END IS NULL", "2"),
    ] {
        assert_eq!(source.rows(&format!("SELECT id FROM t WHERE {filter} ORDER BY id")).await.join(" "), ids, "{filter}");
    }
    assert_eq!(source.rows("SELECT count(i), sum(i), max(d), count(*), count(DISTINCT x) FROM t").await, ["1 5 2024-02-29 4 2"]);
    assert_eq!(source.rows("SELECT s.v FROM s JOIN t ON s.id = t.id WHERE s.v > 5").await, ["10"]);
}

#[tokio::test]
async fn what_may_not_fit_is_text_when_the_option_says_so() {
    let source = Source::with_policy(MIXED, "text").await;
    let types: Vec<DataType> = source.table("t").await.columns.into_iter().map(|column| column.data_type).collect();
    let text = DataType::Utf8;
    assert_eq!(types, [DataType::Int64, text.clone(), text.clone(), text.clone(), text.clone(), text.clone(), DataType::Binary, text]);
    assert_eq!(source.table("s").await.columns[1].data_type, DataType::Int64, "a strict table holds what it says");
    let rows = ["1 5 1.5 2024-02-29 1 text 01ff 1.25", "2 five much soon 2 x'ff' 626c6f62 no", "3", "4 6.5 x'00' 20240229 true 7 38 1.255"];
    let read: Vec<String> = source.rows("SELECT * FROM t ORDER BY id").await.iter().map(|row| row.trim_end().to_owned()).collect();
    assert_eq!(read, rows);
    assert_eq!(source.rows("SELECT id FROM t WHERE i = '6.5' OR x = '7' OR r > 'm' ORDER BY id").await.join(" "), "2 4");
    assert_eq!(source.rows("SELECT count(i), max(i) FROM t").await, ["3 five"]);
}
