//! Tables made ready and rows inserted, as another connection to the file then sees them.

use datafusion::arrow::datatypes::TimeUnit;

use super::*;
use crate::remote::Presentation;
use crate::writer::letters::{AWKWARD, add, check, descriptor, from_nothing, insert, json, row, rows, two_at_once};
use crate::writer::{CellValue, EnsureMode, EnsureReport, InsertReport, TableDescriptor};

impl Source {
    fn writes(&self) -> Arc<dyn Writer> {
        Arc::clone(&self.remote).as_writer().unwrap()
    }

    fn count(&self, sql: &str) -> i64 {
        self.writer().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// The schema as SQLite keeps it.
    fn shape(&self) -> String {
        self.writer().query_row("SELECT group_concat(sql, ';') FROM sqlite_schema", [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_nothing_takes_each_row_once() {
    for journal in ["delete", "wal"] {
        let source = Source::of(&format!("PRAGMA journal_mode = {journal}; CREATE TABLE other (x)")).await;
        from_nothing(&*source.writes()).await;
        assert_eq!(source.count("SELECT count(*) FROM letters"), 10_705);
        // The journal stays what it was.
        assert_eq!(source.writer().query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0)).unwrap(), journal);
        source.remote.close().await;
        assert_eq!(insert(&*source.writes(), &rows("late", 1)).await.unwrap_err().kind(), ErrorKind::Unreachable);
    }
}

#[tokio::test]
async fn values_arrive_as_they_were_given() {
    let source = Source::of("").await;
    add(&*source.writes(), &descriptor()).await.unwrap();
    let mut given: Vec<_> = AWKWARD.iter().enumerate().map(|(seq, text)| row(seq as i64, &format!("{seq:02}"), text)).collect();
    given[0][2] = CellValue::Null;
    // A document that is only a number is not made one.
    given[1][4] = CellValue::Json("12345678901234567890.10".to_owned());
    insert(&*source.writes(), &given).await.unwrap();
    let connection = source.writer();
    let mut statement = connection.prepare("SELECT seq, \"su\"\"b`ject\", at, data FROM letters ORDER BY id").unwrap();
    let found: Vec<(i64, Option<String>, String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
        .unwrap()
        .collect::<rusqlite::Result<_>>()
        .unwrap();
    let expected: Vec<_> = AWKWARD
        .iter()
        .enumerate()
        .map(|(seq, text)| {
            let data = if seq == 1 { "12345678901234567890.10".to_owned() } else { json(text) };
            (seq as i64, (seq > 0).then(|| (*text).to_owned()), format!("2024-02-29 12:34:56.{}+00:00", 789_012 + seq), data)
        })
        .collect();
    assert_eq!(found, expected);
    // And the connector reads them as what they are.
    let table = source.table("letters").await;
    assert_eq!(column(&table, "data").presentation, Presentation::Json);
    assert_eq!(column(&table, "at").data_type, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    assert_eq!(table.primary_key, ["id"]);
    assert_eq!(source.read("letters").await.unwrap().num_rows(), AWKWARD.len());
}

#[tokio::test]
async fn a_missing_column_is_added_and_old_rows_survive() {
    let sql = "CREATE TABLE Letters (ID text NOT NULL PRIMARY KEY, seq bigint NOT NULL, at timestamptz); INSERT INTO letters VALUES ('old', 1, '')";
    let source = Source::of(sql).await;
    let statements = [
        r#"ALTER TABLE "main"."letters" ADD COLUMN "su""b`ject" TEXT"#.to_owned(),
        r#"ALTER TABLE "main"."letters" ADD COLUMN "data" JSON TEXT"#.to_owned(),
    ];
    let before = source.shape();
    let checked = check(&*source.writes(), &descriptor()).await.unwrap();
    assert_eq!((checked.executed.len(), &checked.skipped[..], checked.obstacles.len()), (0, &statements[..], 2));
    assert_eq!(source.shape(), before);
    let added = add(&*source.writes(), &descriptor()).await.unwrap();
    assert_eq!(added, EnsureReport { executed: statements.into(), ..EnsureReport::default() });
    assert_eq!(add(&*source.writes(), &descriptor()).await.unwrap(), EnsureReport::default());
    let report = insert(&*source.writes(), &[row(2, "old", "x"), row(3, "new", "x")]).await.unwrap();
    assert_eq!(report, InsertReport { inserted: 1, duplicates: 1 });
    assert_eq!(source.count("SELECT count(*) FROM letters WHERE id = 'old' AND seq = 1 AND data IS NULL"), 1);
}

#[tokio::test]
async fn what_sqlite_cannot_change_is_reported_and_not_run() {
    let sql = "CREATE TABLE letters (id text COLLATE NOCASE, seq text PRIMARY KEY, at timestamptz, data json text NOT NULL, \
               \"su\"\"b`ject\" text, more text NOT NULL, fine text NOT NULL DEFAULT 'x', made text AS (id))";
    let source = Source::of(sql).await;
    let before = source.shape();
    for report in [add(&*source.writes(), &descriptor()).await.unwrap(), check(&*source.writes(), &descriptor()).await.unwrap()] {
        let key = r#"the primary key of "main"."letters" is ("seq"), and needs to be ("id")"#;
        assert_eq!(report.executed, [] as [&str; 0]);
        assert_eq!(
            report.skipped,
            [
                "column \"seq\" is TEXT where BIGINT is needed: the table has to be made anew",
                "column \"id\" is TEXT where VARCHAR(64) is needed: the table has to be made anew",
                "column \"data\" takes no NULL: the table has to be made anew",
                key,
                r#"ALTER TABLE "main"."letters" DROP COLUMN "more""#,
                r#"ALTER TABLE "main"."letters" DROP COLUMN "fine""#,
                r#"ALTER TABLE "main"."letters" DROP COLUMN "made""#,
            ]
        );
        assert_eq!(report.obstacles.len(), 5);
        assert_eq!(source.shape(), before);
    }
    assert_eq!(insert(&*source.writes(), &rows("a", 1)).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn names_are_taken_as_they_are() {
    let source = Source::of("CREATE VIEW taken AS SELECT 1 AS id; CREATE VIRTUAL TABLE searched USING fts5(id)").await;
    let odd = TableDescriptor { schema: Some("main".to_owned()), name: "ta\"b`l'e; --".to_owned(), ..descriptor() };
    assert_eq!(add(&*source.writes(), &odd).await.unwrap().executed.len(), 1);
    assert_eq!(add(&*source.writes(), &odd).await.unwrap(), EnsureReport::default());
    assert_eq!(source.writes().insert(&odd, &rows("a", 3), soon()).await.unwrap().inserted, 3);
    let elsewhere = TableDescriptor { schema: Some("public".to_owned()), ..descriptor() };
    assert_eq!(add(&*source.writes(), &elsewhere).await.unwrap_err().kind(), ErrorKind::Invalid);
    for (name, text) in [("Taken", "\"Taken\" is a view and not a table"), ("searched", "\"searched\" is a virtual table and not a table")]
    {
        let error = add(&*source.writes(), &TableDescriptor { name: name.to_owned(), ..descriptor() }).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Conflict, text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_at_once_insert_each_row_once() {
    let source = Source::of("").await;
    for _ in 0..3 {
        let other = open(&source.path(), |_| {}).await.unwrap().as_writer().unwrap();
        two_at_once(&*source.writes(), &*other).await;
        assert_eq!(source.count("SELECT count(*) FROM letters"), 2000);
        source.writer().execute_batch("DROP TABLE letters").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_is_said_to_be_locked_within_the_deadline() {
    let source = Source::of("").await;
    add(&*source.writes(), &descriptor()).await.unwrap();
    let other = source.writer();
    let limit = Duration::from_millis(800);
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        other.execute_batch(lock).unwrap();
        let writes = source.writes();
        let error = writes.insert(&descriptor(), &rows("a", 10), Deadline::after(limit)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert_eq!(error.to_string(), "datasource \"shop\": the database is locked by another program");
        assert!(error.hint_text().is_some());
        other.execute_batch("ROLLBACK").unwrap();
    }
    // A table cannot be made either, and nothing of it is.
    source.writer().execute_batch("DROP TABLE letters; BEGIN; COMMIT").unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = source.writes().ensure_table(&descriptor(), EnsureMode::Additive, Deadline::after(limit)).await.unwrap_err();
    assert_eq!(error.message(), "the database is locked by another program");
    other.execute_batch("ROLLBACK").unwrap();
    add(&*source.writes(), &descriptor()).await.unwrap();
    // A reader is only in the way of the commit, which waits for it.
    let mut reader = source.writer();
    let transaction = reader.transaction().unwrap();
    transaction.query_row("SELECT count(*) FROM letters", [], |row| row.get::<_, i64>(0)).unwrap();
    let error = source.writes().insert(&descriptor(), &rows("a", 10), Deadline::after(limit)).await.unwrap_err();
    assert_eq!(error.message(), "the database is locked by another program");
    drop(transaction);
    assert_eq!(insert(&*source.writes(), &rows("a", 10)).await.unwrap(), InsertReport { inserted: 10, duplicates: 0 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_insert_leaves_nothing() {
    let source = Source::of("").await;
    add(&*source.writes(), &descriptor()).await.unwrap();
    // Never ends at the sixth row.
    let endless = "CREATE VIEW endless AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n; \
                   CREATE TRIGGER hang BEFORE INSERT ON letters WHEN new.seq = 5 BEGIN SELECT count(*) FROM endless; END";
    source.writer().execute_batch(endless).unwrap();
    let (writes, batch) = (source.writes(), rows("a", 10));
    let error = writes.insert(&descriptor(), &batch, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "datasource \"shop\": inserting into \"letters\" took longer than 500ms");
    source.writer().execute_batch("DROP TRIGGER hang").unwrap();
    assert_eq!(insert(&*writes, &batch).await.unwrap(), InsertReport { inserted: 10, duplicates: 0 });
    assert_eq!(source.count("SELECT count(*) FROM letters"), 10);
}

#[tokio::test]
async fn a_batch_that_is_refused_leaves_nothing() {
    let source = Source::of("").await;
    add(&*source.writes(), &descriptor()).await.unwrap();
    source.writer().execute_batch("CREATE UNIQUE INDEX by_seq ON letters (seq)").unwrap();
    insert(&*source.writes(), &[row(700, "there", "")]).await.unwrap();
    let error = insert(&*source.writes(), &rows("a", 1000)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(source.count("SELECT count(*) FROM letters"), 1);
    source
        .writer()
        .execute_batch("DROP INDEX by_seq; CREATE TRIGGER no BEFORE INSERT ON letters BEGIN SELECT raise(ABORT, 'secret'); END")
        .unwrap();
    let error = insert(&*source.writes(), &rows("a", 1000)).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Failed, "a constraint of the table refuses a row"));
}

/// A file whose header says that a newer SQLite may write to it, and this one may not: read-only whoever asks.
#[tokio::test]
async fn a_file_that_may_not_be_written_to_says_so() {
    let source = Source::of("CREATE TABLE other (x)").await;
    let mut bytes = std::fs::read(source.path()).unwrap();
    bytes[18] = 3;
    std::fs::write(source.path(), &bytes).unwrap();
    let remote = open(&source.path(), |_| {}).await.unwrap();
    assert_eq!(remote.introspect(&Scope::default(), soon()).await.unwrap().tables.len(), 1);
    let error = add(&*remote.as_writer().unwrap(), &descriptor()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Unauthorized, "the database file may not be written to"));
    assert_eq!(error.datasource(), Some("shop"));
    assert!(error.hint_text().unwrap().starts_with("let somebody who may do it run: CREATE TABLE"));
}

#[tokio::test]
async fn a_missing_file_is_not_made() {
    let source = Source::of("").await;
    std::fs::remove_file(source.path()).unwrap();
    let error = add(&*source.writes(), &descriptor()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!source.path().exists());
}
