//! Tables made ready and rows inserted, as the server then has them.

use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row};

use super::server::{PASSWORD, READER, TestServer};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::mysql::MySqlRemote;
use crate::remote::Remote;
use crate::writer::letters::{AWKWARD, add, check, descriptor, from_nothing, insert, json, row, rows, two_at_once};
use crate::writer::{CellValue, EnsureReport, InsertReport, TableDescriptor, Writer};

const PATIENCE: Duration = Duration::from_secs(60);

/// A new database whose reader may do everything, and the datasource on it.
async fn writable(server: &TestServer, name: &str) -> (Conn, Arc<MySqlRemote>) {
    let mut admin = server.database(name).await;
    admin.query_drop(format!("GRANT ALL ON `{name}`.* TO {READER}")).await.unwrap();
    (admin, server.remote(name).await)
}

async fn count(admin: &mut Conn, condition: &str) -> u64 {
    admin.query_first(format!("SELECT COUNT(*) FROM letters WHERE {condition}")).await.unwrap().unwrap()
}

async fn shape(admin: &mut Conn) -> String {
    admin.query_first::<(String, String), _>("SHOW CREATE TABLE letters").await.unwrap().unwrap().1
}

fn assert_fails(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!((error.kind(), error.datasource()), (kind, Some("shop")), "{error}");
    assert!(error.message().contains(text), "\"{}\" does not contain \"{text}\"", error.message());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_from_nothing_takes_each_row_once() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_nothing").await;
    from_nothing(&*remote).await;
    assert_eq!(count(&mut admin, "TRUE").await, 10_705);
    let connections = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{READER}' AND DB = 'write_nothing'");
    let open: u64 = admin.query_first(&connections).await.unwrap().unwrap();
    assert!(open <= 2, "{open} connections");
    remote.close().await;
    assert_fails(&insert(&*remote, &rows("late", 1)).await.unwrap_err(), ErrorKind::Unreachable, "closed");
    let end = Deadline::after(PATIENCE);
    while admin.query_first::<u64, _>(&connections).await.unwrap() != Some(0) {
        assert!(!end.remaining().is_zero(), "a connection stays open");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_arrive_as_they_were_given_whatever_the_server_is_set_to() {
    let arguments = [
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH",
        "--default-time-zone=+07:00",
        "--character-set-server=latin1",
        "--default-storage-engine=MyISAM",
        "--max-allowed-packet=1M",
    ];
    let Some(server) = TestServer::start(&arguments) else { return };
    server.database("awkward").await;
    let mut admin = server.admin().await;
    admin.query_drop("DROP DATABASE awkward; CREATE DATABASE awkward CHARACTER SET latin1").await.unwrap();
    let (mut admin, remote) = {
        admin.query_drop(format!("GRANT ALL ON awkward.* TO {READER}")).await.unwrap();
        admin.query_drop("USE awkward").await.unwrap();
        (admin, server.remote("awkward").await)
    };
    add(&*remote, &descriptor()).await.unwrap();
    let made = shape(&mut admin).await;
    assert!(made.contains("ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"), "{made}");
    assert!(!made.contains("latin1"), "{made}");
    let mut given: Vec<_> = AWKWARD.iter().enumerate().map(|(seq, text)| row(seq as i64, &format!("{seq:02}"), text)).collect();
    given[0][2] = CellValue::Null;
    given[0][4] = CellValue::Null;
    insert(&*remote, &given).await.unwrap();
    let found: Vec<(i64, Option<String>, String, Option<String>)> =
        admin.query("SELECT seq, `su\"b``ject`, CAST(at AS CHAR), data FROM letters ORDER BY id").await.unwrap();
    let expected: Vec<_> = AWKWARD
        .iter()
        .enumerate()
        .map(|(seq, text)| {
            let (subject, data) = (seq > 0).then(|| ((*text).to_owned(), json(text))).unzip();
            (seq as i64, subject, format!("2024-02-29 12:34:56.{}", 789_012 + seq), data)
        })
        .collect();
    assert_eq!(found, expected);
    // Many rows of a good size are many packets, and one that no packet holds is an error of its own.
    let wide: Vec<_> = (0..40).map(|seq| row(seq, &format!("wide-{seq}"), &"x".repeat(100_000))).collect();
    assert_eq!(insert(&*remote, &wide).await.unwrap().inserted, 40);
    let error = insert(&*remote, &[row(1, "too wide", &"x".repeat(700_000))]).await.unwrap_err();
    assert_fails(&error, ErrorKind::LimitExceeded, "max_allowed_packet");
    for (micros, shown) in
        [(-62_135_596_800_000_000, "0001-01-01 00:00:00.000000"), (253_402_300_799_999_999, "9999-12-31 23:59:59.999999")]
    {
        let mut edge = row(0, &micros.to_string(), "");
        edge[3] = CellValue::Timestamp(micros);
        insert(&*remote, &[edge]).await.unwrap();
        assert_eq!(count(&mut admin, &format!("id = '{micros}' AND CAST(at AS CHAR) = '{shown}'")).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_column_is_added_and_old_rows_survive() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_column").await;
    admin
        .query_drop(
            "CREATE TABLE letters (ID varchar(64) COLLATE utf8mb4_bin PRIMARY KEY, seq bigint NOT NULL, at datetime(6)) CHARACTER SET utf8mb4",
        )
        .await
        .unwrap();
    admin.query_drop("INSERT INTO letters VALUES ('old', 1, NULL); ALTER TABLE letters DEFAULT CHARACTER SET latin1").await.unwrap();
    let statements = [
        "ALTER TABLE `letters` ADD COLUMN `su\"b``ject` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin".to_owned(),
        "ALTER TABLE `letters` ADD COLUMN `data` json".to_owned(),
    ];
    let before = shape(&mut admin).await;
    let checked = check(&*remote, &descriptor()).await.unwrap();
    assert_eq!((checked.executed.len(), &checked.skipped[..], checked.obstacles.len()), (0, &statements[..], 2));
    assert_eq!(shape(&mut admin).await, before);
    let added = add(&*remote, &descriptor()).await.unwrap();
    assert_eq!(added, EnsureReport { executed: statements.into(), ..EnsureReport::default() });
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    let report = insert(&*remote, &[row(2, "old", "中文"), row(3, "new", "中文")]).await.unwrap();
    assert_eq!(report, InsertReport { inserted: 1, duplicates: 1 });
    assert_eq!(count(&mut admin, "id = 'old' AND seq = 1 AND data IS NULL").await, 1);
    assert_eq!(count(&mut admin, "id = 'new' AND `su\"b``ject` = '中文'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_lose_data_is_reported_and_not_run() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_skips").await;
    let table = "CREATE TABLE letters (id varchar(64) COLLATE utf8mb4_general_ci, seq int PRIMARY KEY AUTO_INCREMENT, at datetime(6), \
                 data longtext COLLATE utf8mb4_bin NOT NULL, `su\"b``ject` longtext, more text NOT NULL, fine text NOT NULL DEFAULT 'x', \
                 made int AS (seq + 1)) CHARACTER SET utf8mb4";
    admin.query_drop(table).await.unwrap();
    let before = shape(&mut admin).await;
    for report in [add(&*remote, &descriptor()).await.unwrap(), check(&*remote, &descriptor()).await.unwrap()] {
        let key = "the primary key of `letters` is (`seq`), and needs to be (`id`)";
        assert_eq!(report.executed, [] as [&str; 0]);
        assert_eq!(
            report.skipped,
            [
                "ALTER TABLE `letters` MODIFY COLUMN `seq` bigint NOT NULL",
                "ALTER TABLE `letters` MODIFY COLUMN `id` varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin NOT NULL",
                "ALTER TABLE `letters` MODIFY COLUMN `data` longtext COLLATE utf8mb4_bin NULL",
                key,
                "ALTER TABLE `letters` DROP COLUMN `more`",
                "ALTER TABLE `letters` DROP COLUMN `fine`",
                "ALTER TABLE `letters` DROP COLUMN `made`",
            ]
        );
        assert_eq!(
            report.obstacles[..2],
            [
                "column \"seq\" is int(11) where bigint is needed",
                "column \"id\" is varchar(64) COLLATE utf8mb4_general_ci where varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin is needed"
            ]
        );
        assert_eq!(report.obstacles.len(), 5);
        assert_eq!(shape(&mut admin).await, before);
    }
    assert_fails(&insert(&*remote, &rows("a", 1)).await.unwrap_err(), ErrorKind::Conflict, "primary key");
    // The statements that are shown are right.
    admin.query_drop("ALTER TABLE letters MODIFY seq int NOT NULL, DROP PRIMARY KEY, DROP COLUMN made").await.unwrap();
    for statement in add(&*remote, &descriptor()).await.unwrap().skipped.iter().filter(|text| text.starts_with("ALTER")) {
        admin.query_drop(statement).await.unwrap();
    }
    admin.query_drop("ALTER TABLE letters ADD PRIMARY KEY (id)").await.unwrap();
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    insert(&*remote, &rows("a", 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_taken_as_they_are() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_names").await;
    admin.query_drop("CREATE DATABASE `o'd``d\"`").await.unwrap();
    admin.query_drop(format!("GRANT ALL ON `o'd``d\"`.* TO {READER}")).await.unwrap();
    let mut odd = TableDescriptor { schema: Some("o'd`d\"".to_owned()), name: "ta\"b`l'e; --".to_owned(), ..descriptor() };
    assert_eq!(add(&*remote, &odd).await.unwrap().executed.len(), 1);
    assert_eq!(add(&*remote, &odd).await.unwrap(), EnsureReport::default());
    assert_eq!(remote.insert(&odd, &rows("a", 3), Deadline::after(PATIENCE)).await.unwrap().inserted, 3);
    odd.schema = Some("nowhere".to_owned());
    assert!(add(&*remote, &odd).await.is_err());
    admin.query_drop("CREATE VIEW taken AS SELECT 1 AS id").await.unwrap();
    let taken = TableDescriptor { name: "taken".to_owned(), ..descriptor() };
    assert_fails(&add(&*remote, &taken).await.unwrap_err(), ErrorKind::Conflict, "\"taken\" is a view and not a table");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_at_once_insert_each_row_once() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, one) = writable(server, "write_both").await;
    let other = server.remote("write_both").await;
    for _ in 0..5 {
        two_at_once(&*one, &*other).await;
        assert_eq!(count(&mut admin, "TRUE").await, 2000);
        admin.query_drop("DROP TABLE letters").await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_not_write_is_told_what_it_lacks() {
    let Some(server) = TestServer::start(&[]) else { return };
    let mut admin = server.database("write_denied").await;
    let remote = server.remote("write_denied").await;
    let error = add(&*remote, &descriptor()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "CREATE command denied");
    let statement = error.hint_text().unwrap().strip_prefix("let somebody who may do it run: ").unwrap();
    admin.query_drop(statement).await.unwrap();
    assert_eq!(add(&*remote, &descriptor()).await.unwrap(), EnsureReport::default());
    let error = insert(&*remote, &rows("a", 1)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "command denied");
    assert!(error.hint_text().unwrap().contains("grant the datasource's user INSERT, UPDATE"), "{error}");
    admin.query_drop(format!("GRANT INSERT, UPDATE, SELECT ON write_denied.letters TO {READER}")).await.unwrap();
    assert_eq!(insert(&*remote, &rows("a", 2)).await.unwrap().inserted, 2);
    assert_eq!(insert(&*remote, &rows("a", 3)).await.unwrap(), InsertReport { inserted: 1, duplicates: 2 });
    // A server that somebody made read-only, in both ways there are.
    admin.query_drop("SET GLOBAL read_only = 1").await.unwrap();
    let error = insert(&*remote, &rows("b", 1)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "--read-only");
    assert!(error.hint_text().unwrap().contains("the source takes no writes"));
    admin.query_drop("SET GLOBAL read_only = 0, GLOBAL tx_read_only = 1").await.unwrap();
    let fresh = server.remote("write_denied").await;
    assert_fails(&insert(&*fresh, &rows("b", 1)).await.unwrap_err(), ErrorKind::Unauthorized, "READ ONLY");
    admin.query_drop("SET GLOBAL tx_read_only = 0").await.unwrap();
    let refused = MySqlRemote::open(&server.options_with("write_denied", &[], "wrong")).await.unwrap_err();
    assert!(!format!("{refused:?}").contains(PASSWORD));
}

/// `ON DUPLICATE KEY` means any key: a row that another one refuses is not taken for delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_refused_leaves_nothing() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_refused").await;
    add(&*remote, &descriptor()).await.unwrap();
    insert(&*remote, &[row(7000, "there", "")]).await.unwrap();
    admin.query_drop("CREATE UNIQUE INDEX by_seq ON letters (seq)").await.unwrap();
    let error = insert(&*remote, &rows("a", 10_000)).await.unwrap_err();
    assert_fails(&error, ErrorKind::Conflict, "another unique key");
    assert_eq!(count(&mut admin, "TRUE").await, 1);
    admin.query_drop("DROP INDEX by_seq ON letters").await.unwrap();
    let mut bad = rows("b", 3);
    bad[2][4] = CellValue::Json("{secret".to_owned());
    let error = insert(&*remote, &bad).await.unwrap_err();
    assert_fails(&error, ErrorKind::Failed, "CONSTRAINT");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert_eq!(count(&mut admin, "TRUE").await, 1);
    // A key that ignores case finds another row, which is no duplicate.
    admin.query_drop("ALTER TABLE letters MODIFY id varchar(64) COLLATE utf8mb4_general_ci NOT NULL").await.unwrap();
    assert_fails(&insert(&*remote, &[row(1, "THERE", "")]).await.unwrap_err(), ErrorKind::Conflict, "another unique key");
    assert_eq!(insert(&*remote, &[row(1, "there", "")]).await.unwrap(), InsertReport { inserted: 0, duplicates: 1 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_hangs_ends_in_time_here_and_there() {
    let Some(server) = TestServer::shared() else { return };
    let (mut admin, remote) = writable(server, "write_hangs").await;
    add(&*remote, &descriptor()).await.unwrap();
    admin.query_drop("START TRANSACTION").await.unwrap();
    admin.query_drop("INSERT INTO letters VALUES (1, 'a-50', '', '2024-01-01', '1')").await.unwrap();
    let error = remote.insert(&descriptor(), &rows("a", 100), Deadline::after(Duration::from_millis(700))).await.unwrap_err();
    assert_fails(&error, ErrorKind::Timeout, "inserting into \"letters\" took longer than 700ms");
    server.gone("INSERT INTO `letters`").await;
    admin.query_drop("ROLLBACK").await.unwrap();
    assert_eq!(insert(&*remote, &rows("a", 100)).await.unwrap(), InsertReport { inserted: 100, duplicates: 0 });
    // A connection the server closed while it idled is replaced unseen, and nothing is counted twice.
    let ids: Vec<Row> =
        admin.query("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = 'write_hangs' AND USER = 'reader'").await.unwrap();
    for id in ids {
        admin.query_drop(format!("KILL {}", id.get::<u64, _>(0).unwrap())).await.unwrap();
    }
    assert_eq!(insert(&*remote, &rows("a", 101)).await.unwrap(), InsertReport { inserted: 1, duplicates: 100 });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_amid_an_insert_has_each_row_once_after_all() {
    let Some(server) = TestServer::start(&["--innodb-flush-log-at-trx-commit=1"]) else { return };
    let (mut admin, remote) = writable(&server, "write_dies").await;
    add(&*remote, &descriptor()).await.unwrap();
    // One of its last statements waits for this session, those before it are done.
    admin.query_drop("START TRANSACTION").await.unwrap();
    admin.query_drop("INSERT INTO letters VALUES (1, 'a-9999', '', '2024-01-01', '1')").await.unwrap();
    let stop = async {
        server.seen("INSERT INTO `letters`").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kill();
    };
    let batch = rows("a", 10_000);
    let (outcome, ()) = tokio::time::timeout(PATIENCE, futures::future::join(insert(&*remote, &batch), stop)).await.unwrap();
    assert_fails(&outcome.unwrap_err(), ErrorKind::Unreachable, "lost");
    assert_fails(&insert(&*remote, &batch).await.unwrap_err(), ErrorKind::Unreachable, "cannot connect");
    server.revive();
    assert_eq!(insert(&*remote, &batch).await.unwrap(), InsertReport { inserted: 10_000, duplicates: 0 });
    assert_eq!(insert(&*remote, &batch).await.unwrap(), InsertReport { inserted: 0, duplicates: 10_000 });
    let mut admin = server.admin().await;
    admin.query_drop("USE write_dies").await.unwrap();
    assert_eq!(count(&mut admin, "TRUE").await, 10_000);
}
