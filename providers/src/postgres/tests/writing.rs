//! Tables made ready and rows inserted, as the server then has them.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use super::server::{Database, Server};
use super::{PATIENCE, PostgresRemote, assert_fails, open};
use crate::deadline::Deadline;
use crate::error::ErrorKind;
use crate::remote::Remote;
use crate::writer::letters::{AWKWARD, add, check, descriptor, from_nothing, insert, json, row, rows, two_at_once};
use crate::writer::{EnsureReport, InsertReport, TableDescriptor, Writer};

async fn count(admin: &Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

/// Everything the catalog says of the table's columns and constraints.
async fn shape(admin: &Client) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', column_name, data_type, is_nullable, column_default) FROM information_schema.columns \
               WHERE table_name = 'letters' UNION ALL \
               SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'public.letters'::regclass ORDER BY 1";
    admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_nothing_takes_each_row_once() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    from_nothing(&*remote).await;
    let admin = database.admin().await;
    assert_eq!(count(&admin, "SELECT count(*) FROM letters").await, 10_705);
    // One connection reads and one writes.
    assert_eq!(database.connections(&admin).await, 2);
    remote.close().await;
    let end = Deadline::after(PATIENCE);
    while database.connections(&admin).await > 0 {
        assert!(!end.remaining().is_zero(), "a connection stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_fails(&insert(&*remote, &rows("late", 1)).await.unwrap_err(), ErrorKind::Unreachable, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn values_arrive_as_they_were_given() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    add(&*remote, &descriptor()).await.unwrap();
    let mut given: Vec<_> = AWKWARD.iter().enumerate().map(|(seq, text)| row(seq as i64, &format!("{seq:02}"), text)).collect();
    given[0][2] = crate::CellValue::Null;
    given[0][4] = crate::CellValue::Null;
    insert(&*remote, &given).await.unwrap();
    let admin = database.admin().await;
    let sql =
        "SELECT seq, \"su\"\"b`ject\", to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), data::text FROM letters ORDER BY id";
    let found = admin.query(sql, &[]).await.unwrap();
    assert_eq!(found.len(), AWKWARD.len());
    for (seq, (row, text)) in found.iter().zip(AWKWARD).enumerate() {
        let expected = (seq > 0).then(|| (text.to_owned(), json(text))).unzip();
        assert_eq!(row.get::<_, i64>(0), seq as i64);
        assert_eq!((row.get::<_, Option<String>>(1), row.get::<_, Option<String>>(3)), expected);
        assert_eq!(row.get::<_, String>(2), format!("2024-02-29 12:34:56.{}", 789_012 + seq));
    }
    for micros in [-62_135_596_800_000_000, -1, 253_402_300_799_999_999] {
        let mut edge = row(0, &micros.to_string(), "");
        edge[3] = crate::CellValue::Timestamp(micros);
        insert(&*remote, &[edge]).await.unwrap();
        let sql = format!("SELECT (extract(epoch FROM at) * 1000000)::bigint FROM letters WHERE id = '{micros}'");
        assert_eq!(count(&admin, &sql).await, micros);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_column_is_added_and_old_rows_survive() {
    let sql =
        "CREATE TABLE letters (id varchar(64) PRIMARY KEY, seq bigint NOT NULL, at timestamptz); INSERT INTO letters VALUES ('old', 1)";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let statements = [
        r#"ALTER TABLE "public"."letters" ADD COLUMN IF NOT EXISTS "su""b`ject" text"#.to_owned(),
        r#"ALTER TABLE "public"."letters" ADD COLUMN IF NOT EXISTS "data" json"#.to_owned(),
    ];
    let checked = check(&*remote, &descriptor()).await.unwrap();
    assert_eq!((checked.executed.len(), &checked.skipped[..]), (0, &statements[..]));
    assert_eq!(checked.obstacles, ["column \"su\"b`ject\" is missing", "column \"data\" is missing"]);
    let added = add(&*remote, &descriptor()).await.unwrap();
    assert_eq!(added, EnsureReport { executed: statements.into(), ..EnsureReport::default() });
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    assert_eq!(insert(&*remote, &[row(2, "old", "x"), row(3, "new", "x")]).await.unwrap(), InsertReport { inserted: 1, duplicates: 1 });
    let admin = database.admin().await;
    assert_eq!(count(&admin, "SELECT count(*) FROM letters WHERE id = 'old' AND seq = 1 AND data IS NULL").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_lose_data_is_reported_and_not_run() {
    let sql = "CREATE TABLE letters (id varchar(64), seq integer PRIMARY KEY, at timestamptz, data json NOT NULL, \"su\"\"b`ject\" text, \
               more text NOT NULL, fine text NOT NULL DEFAULT 'x')";
    let Some(database) = Database::new(sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let before = shape(&admin).await;
    for report in [add(&*remote, &descriptor()).await.unwrap(), check(&*remote, &descriptor()).await.unwrap()] {
        let key = r#"the primary key of "public"."letters" is ("seq"), and needs to be ("id")"#;
        assert_eq!(report.executed, [] as [&str; 0]);
        assert_eq!(
            report.skipped,
            [
                r#"ALTER TABLE "public"."letters" ALTER COLUMN "seq" TYPE bigint USING "seq"::bigint"#,
                r#"ALTER TABLE "public"."letters" ALTER COLUMN "data" DROP NOT NULL"#,
                key,
                r#"ALTER TABLE "public"."letters" DROP COLUMN "more""#,
                r#"ALTER TABLE "public"."letters" DROP COLUMN "fine""#,
            ]
        );
        assert_eq!(
            report.obstacles,
            [
                "column \"seq\" is integer where bigint is needed",
                "column \"data\" takes no NULL",
                key,
                "column \"more\" is not ours, takes no NULL and has no default: give it a default or drop it",
            ]
        );
        assert_eq!(shape(&admin).await, before);
    }
    assert_fails(&insert(&*remote, &rows("a", 1)).await.unwrap_err(), ErrorKind::Conflict, "primary key");
    // The statements that are shown are right.
    for statement in add(&*remote, &descriptor()).await.unwrap().skipped.iter().filter(|text| text.starts_with("ALTER")) {
        admin.batch_execute(statement).await.unwrap();
    }
    admin.batch_execute("ALTER TABLE letters DROP CONSTRAINT letters_pkey, ADD PRIMARY KEY (id)").await.unwrap();
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    insert(&*remote, &rows("a", 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_as_they_are() {
    let Some(database) = Database::new("CREATE SCHEMA \"o'd\"\"d\"; CREATE VIEW taken AS SELECT 1 AS id").await else { return };
    let remote = open(&database).await;
    let mut odd = TableDescriptor { schema: Some("o'd\"d".to_owned()), name: "ta\"b`l'e; --".to_owned(), ..descriptor() };
    assert_eq!(add(&*remote, &odd).await.unwrap().executed.len(), 1);
    assert_eq!(add(&*remote, &odd).await.unwrap(), EnsureReport::default());
    let report = remote.insert(&odd, &rows("a", 3), Deadline::after(PATIENCE)).await.unwrap();
    assert_eq!(report.inserted, 3);
    odd.schema = Some("nowhere".to_owned());
    assert_fails(&add(&*remote, &odd).await.unwrap_err(), ErrorKind::NotFound, "nowhere");
    let taken = TableDescriptor { name: "taken".to_owned(), ..descriptor() };
    assert_fails(&add(&*remote, &taken).await.unwrap_err(), ErrorKind::Conflict, "\"taken\" is a view and not a table");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_at_once_insert_each_row_once() {
    let Some(database) = Database::new("").await else { return };
    for _ in 0..5 {
        let (one, other) = (open(&database).await, open(&database).await);
        two_at_once(&*one, &*other).await;
        let admin = database.admin().await;
        assert_eq!(count(&admin, "SELECT count(*) FROM letters").await, 2000);
        admin.batch_execute("DROP TABLE letters").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_may_not_write_is_told_what_it_lacks() {
    let sql = "DROP ROLE IF EXISTS scribe; CREATE ROLE scribe LOGIN PASSWORD 'correct horse'; REVOKE CREATE ON SCHEMA public FROM PUBLIC";
    let Some(database) = Database::new(sql).await else { return };
    let (remote, admin) = (PostgresRemote::open(&database.options_with(&[("user", "scribe")])).await.unwrap(), database.admin().await);
    let error = add(&*remote, &descriptor()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "permission denied");
    let statement = error.hint_text().unwrap().strip_prefix("let somebody who may do it run: ").unwrap();
    admin.batch_execute(statement).await.unwrap();
    // Seeing the table takes no privilege, inserting does.
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    let error = insert(&*remote, &rows("a", 1)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "permission denied");
    assert!(error.hint_text().unwrap().contains("grant the datasource's role INSERT and SELECT"));
    admin.batch_execute("GRANT INSERT, SELECT ON letters TO scribe").await.unwrap();
    insert(&*remote, &rows("a", 1)).await.unwrap();
    // A role that somebody made read-only stays so.
    admin.batch_execute("ALTER ROLE scribe SET default_transaction_read_only = on").await.unwrap();
    let remote = PostgresRemote::open(&database.options_with(&[("user", "scribe")])).await.unwrap();
    let error = insert(&*remote, &rows("b", 1)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "the source takes no writes");
    assert_eq!(error.remote_sqlstate(), Some("25006"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_leaves_nothing() {
    let Some(database) = Database::new("").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    add(&*remote, &descriptor()).await.unwrap();
    admin.batch_execute("CREATE UNIQUE INDEX by_seq ON letters (seq)").await.unwrap();
    insert(&*remote, &[row(7000, "there", "")]).await.unwrap();
    let error = insert(&*remote, &rows("a", 10_000)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Conflict, "constraint \"by_seq\" refuses a row");
    assert!(!format!("{error} {error:?}").contains("7000"), "{error:?}");
    assert_eq!(count(&admin, "SELECT count(*) FROM letters").await, 1);
    let mut bad = rows("b", 3);
    bad[2][4] = crate::CellValue::Json("{secret".to_owned());
    let error = insert(&*remote, &bad).await.unwrap_err();
    assert_fails(&error, ErrorKind::Failed, "invalid input syntax for type json");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert_eq!(count(&admin, "SELECT count(*) FROM letters").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs_ends_in_time_here_and_there() {
    let Some(database) = Database::new("").await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    add(&*remote, &descriptor()).await.unwrap();
    let other = database.admin().await;
    other.batch_execute("BEGIN; INSERT INTO letters VALUES (1, 'a-50', '', now(), '1')").await.unwrap();
    let error = remote.insert(&descriptor(), &rows("a", 100), Deadline::after(Duration::from_millis(700))).await.unwrap_err();
    assert_fails(&error, ErrorKind::Timeout, "inserting into \"letters\" took longer than 700ms");
    let end = Deadline::after(PATIENCE);
    while database.running(&admin, "INSERT INTO \"public\".\"letters\"").await > 0 {
        assert!(!end.remaining().is_zero(), "the statement goes on at the source");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(insert(&*remote, &rows("a", 100)).await.unwrap(), InsertReport { inserted: 100, duplicates: 0 });
    // The connection the server closed while it idled is replaced unseen, and nothing is counted twice.
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'causeway/crm' AND datname = $1";
    admin.query(kill, &[&database.name]).await.unwrap();
    assert_eq!(insert(&*remote, &rows("a", 101)).await.unwrap(), InsertReport { inserted: 1, duplicates: 100 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_amid_an_insert_has_each_row_once_after_all() {
    let Some(server) = Server::start("") else { return };
    let server = Arc::new(server);
    let Some(database) = Database::on(Arc::clone(&server), "", "").await else { return };
    let remote = open(&database).await;
    add(&*remote, &descriptor()).await.unwrap();
    let admin = database.admin().await;
    // Its second statement waits for this session, its first is done.
    admin.batch_execute("BEGIN; INSERT INTO letters VALUES (1, 'a-9999', '', now(), '1')").await.unwrap();
    let stop = async {
        let watcher = database.admin().await;
        while database.running(&watcher, "INSERT INTO \"public\".\"letters\"").await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || server.down("immediate")).await.unwrap();
    };
    let batch = rows("a", 10_000);
    let (outcome, ()) = tokio::time::timeout(PATIENCE, futures::future::join(insert(&*remote, &batch), stop)).await.unwrap();
    assert_fails(&outcome.unwrap_err(), ErrorKind::Unreachable, "lost the connection while writing");
    assert_fails(&insert(&*remote, &batch).await.unwrap_err(), ErrorKind::Unreachable, "");
    server.up();
    assert_eq!(insert(&*remote, &batch).await.unwrap(), InsertReport { inserted: 10_000, duplicates: 0 });
    assert_eq!(insert(&*remote, &batch).await.unwrap(), InsertReport { inserted: 0, duplicates: 10_000 });
    assert_eq!(count(&database.admin().await, "SELECT count(*) FROM letters").await, 10_000);
}
