//! Transactions at a real server: what they bring reads back, and what ends early leaves nothing.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{ArrayRef, AsArray, Int32Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use tokio_postgres::Client;

use super::server::{Database, Server};
use super::{PATIENCE, PostgresRemote, assert_fails, look, open, ours, schema};
use crate::changes::{Insertion, RemoteTransaction, Returned};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, TYPE_CHANGED};
use crate::remote::{Remote, RemoteTable};
use crate::sql::{Reliance, RemoteSql, SqlRemote};
use crate::writer::letters::{self, add, descriptor};

pub(super) const ACCOUNTS: &str =
    "CREATE TABLE accounts (id int PRIMARY KEY, owner varchar(8) NOT NULL, balance int DEFAULT 7 CHECK (balance >= 0))";

pub(super) fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

pub(super) fn rows(batches: Vec<RecordBatch>) -> SendableRecordBatchStream {
    let schema = batches[0].schema();
    Box::pin(RecordBatchStreamAdapter::new(schema, stream::iter(batches.into_iter().map(Ok))))
}

pub(super) fn accounts(ids: &[i32], owners: &[Option<&str>]) -> SendableRecordBatchStream {
    let columns: [(&str, ArrayRef); 2] =
        [("id", Arc::new(Int32Array::from(ids.to_vec()))), ("owner", Arc::new(StringArray::from(owners.to_vec())))];
    rows(vec![RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()])
}

pub(super) async fn begin(remote: &Arc<PostgresRemote>) -> Box<dyn RemoteTransaction> {
    Arc::clone(remote).as_transactional().unwrap().begin(soon()).await.unwrap()
}

pub(super) async fn table(remote: &Arc<PostgresRemote>, name: &str) -> RemoteTable {
    look(remote, &[]).await.tables.into_iter().find(|table| table.name == name).unwrap()
}

async fn run(transaction: &mut Box<dyn RemoteTransaction>, sql: &str) -> DataFusionResult<u64> {
    transaction.run(&RemoteSql::new(sql), None, soon()).await
}

/// Into the columns at these places, with these clauses.
pub(super) fn into(table: &RemoteTable, columns: &[usize], clauses: &str) -> Insertion {
    let updates = clauses.contains("DO UPDATE");
    Insertion {
        table: Arc::new(table.clone()),
        columns: columns.to_vec(),
        clauses: clauses.to_owned(),
        updates,
        reliance: Reliance::default(),
    }
}

/// Inserts into the columns at these places, by the source's `COPY` if it can.
pub(super) async fn insert(
    transaction: &mut Box<dyn RemoteTransaction>,
    table: &RemoteTable,
    columns: &[usize],
    rows: SendableRecordBatchStream,
) -> DataFusionResult<u64> {
    transaction.insert(&into(table, columns, ""), rows, None, soon()).await
}

pub(super) async fn count(admin: &Client, sql: &str) -> i64 {
    admin.query_one(sql, &[]).await.unwrap().get(0)
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let end = soon();
    while !is_so().await {
        assert!(!end.remaining().is_zero(), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_is_there_at_once_and_nothing_before() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let accounts_table = table(&remote, "accounts").await;
    let mut transaction = begin(&remote).await;
    let given = accounts(&[1, 2, 3], &[Some("ann"), Some("bob"), Some("")]);
    assert_eq!(insert(&mut transaction, &accounts_table, &[0, 1], given).await.unwrap(), 3);
    // Rows that are met and stay as they are count.
    assert_eq!(run(&mut transaction, "UPDATE public.accounts SET balance = 7").await.unwrap(), 3);
    assert_eq!(run(&mut transaction, "DELETE FROM public.accounts WHERE id = 2").await.unwrap(), 1);
    assert_eq!(run(&mut transaction, "DELETE FROM public.accounts WHERE id = 2").await.unwrap(), 0);
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 0);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(count(&admin, "SELECT sum(balance) FROM accounts").await, 14);
    // The connection serves the next one.
    let mut transaction = begin(&remote).await;
    assert_eq!(run(&mut transaction, "UPDATE public.accounts SET balance = balance + 1").await.unwrap(), 2);
    transaction.commit(soon()).await.unwrap();
    assert_eq!(database.connections(&admin).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_dropped_leaves_no_row_and_no_lock() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let accounts_table = table(&remote, "accounts").await;
    let mut transaction = begin(&remote).await;
    insert(&mut transaction, &accounts_table, &[0, 1], accounts(&[1], &[Some("ann")])).await.unwrap();
    drop(transaction);
    admin
        .batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE; INSERT INTO accounts VALUES (1, 'eve'); COMMIT")
        .await
        .unwrap();
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 1);
    // A statement that runs when its future is dropped ends there, though the transaction is still held here.
    let mut transaction = begin(&remote).await;
    let sql = RemoteSql::new("UPDATE public.accounts SET balance = 1 WHERE pg_sleep(100) IS NOT NULL");
    let ended = tokio::time::timeout(Duration::from_millis(500), transaction.run(&sql, None, soon())).await;
    assert!(ended.is_err());
    until("the statement goes on", async || database.running(&admin, "pg_sleep(100)").await == 0).await;
    admin.batch_execute("BEGIN; LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE; COMMIT").await.unwrap();
    assert_fails(
        ours(&run(&mut transaction, "UPDATE public.accounts SET balance = 1").await.unwrap_err()),
        ErrorKind::Failed,
        "was rolled back",
    );
    // Nor does one go on whose rows stop coming.
    let mut transaction = begin(&remote).await;
    let given = accounts(&[2], &[Some("bob")]);
    let schema = given.schema();
    let stuck = Box::pin(RecordBatchStreamAdapter::new(schema, given.chain(stream::pending())));
    let ended = tokio::time::timeout(Duration::from_millis(500), insert(&mut transaction, &accounts_table, &[0, 1], stuck)).await;
    assert!(ended.is_err());
    until("the copy goes on", async || database.running(&admin, "COPY").await == 0).await;
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_refuses_is_told_by_its_kind_and_code() {
    let sql = format!(
        "{ACCOUNTS}; INSERT INTO accounts VALUES (1, 'ann'); \
         CREATE TABLE cards (account int REFERENCES accounts DEFERRABLE INITIALLY DEFERRED, now_account int REFERENCES accounts)"
    );
    let Some(database) = Database::new(&sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let accounts_table = table(&remote, "accounts").await;
    let inserted = [
        (accounts(&[2, 1], &[Some("secret"), Some("secret")]), ErrorKind::Conflict, "23505", "accounts_pkey"),
        (accounts(&[2], &[None]), ErrorKind::Conflict, "23502", "owner"),
        (accounts(&[2], &[Some("secret-123")]), ErrorKind::Invalid, "22001", "value too long"),
        (accounts(&[2], &[Some("sec\0ret")]), ErrorKind::Invalid, "22021", "invalid byte sequence"),
    ];
    for (given, kind, code, text) in inserted {
        let mut transaction = begin(&remote).await;
        let error = insert(&mut transaction, &accounts_table, &[0, 1], given).await.unwrap_err();
        assert_fails(ours(&error), kind, text);
        assert_eq!(ours(&error).remote_sqlstate(), Some(code));
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        assert_fails(&transaction.commit(soon()).await.unwrap_err(), ErrorKind::Failed, "was rolled back");
    }
    let ran = [
        ("UPDATE public.accounts SET balance = -1", ErrorKind::Conflict, "23514", "accounts_balance_check"),
        ("INSERT INTO public.cards (now_account) VALUES (77)", ErrorKind::Conflict, "23503", "cards_now_account_fkey"),
        ("UPDATE public.accounts SET balance = 2147483647 + id", ErrorKind::Invalid, "22003", "integer out of range"),
        ("UPDATE public.absent SET balance = 1", ErrorKind::NotFound, "42P01", "absent"),
    ];
    for (sql, kind, code, text) in ran {
        let mut transaction = begin(&remote).await;
        let error = run(&mut transaction, sql).await.unwrap_err();
        assert_fails(ours(&error), kind, text);
        assert_eq!(ours(&error).remote_sqlstate(), Some(code));
    }
    let mut transaction = begin(&remote).await;
    run(&mut transaction, "INSERT INTO public.cards (account) VALUES (77)").await.unwrap();
    let error = transaction.commit(soon()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Conflict, "cards_account_fkey");
    assert_eq!(error.remote_sqlstate(), Some("23503"));
    // What the rows fail with comes back as it is.
    let mut transaction = begin(&remote).await;
    let given = accounts(&[5], &[Some("eve")]);
    let other = DataFusionError::from(Error::new(ErrorKind::Unreachable, "another source").at("erp"));
    let failing = Box::pin(RecordBatchStreamAdapter::new(given.schema(), given.chain(stream::iter([Err(other)]))));
    let error = insert(&mut transaction, &accounts_table, &[0, 1], failing).await.unwrap_err();
    assert_eq!((ours(&error).datasource(), ours(&error).message()), (Some("erp"), "another source"));
    drop(transaction);
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 1);
    assert_eq!(count(&admin, "SELECT count(*) FROM cards").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_transaction_keeps_neither_the_sink_nor_another_one_waiting() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let remote = open(&database).await;
    let mut held = begin(&remote).await;
    run(&mut held, "DELETE FROM public.accounts").await.unwrap();
    add(&*remote, &descriptor()).await.unwrap();
    assert_eq!(letters::insert(&*remote, &letters::rows("a", 10)).await.unwrap().inserted, 10);
    let mut other = begin(&remote).await;
    assert_eq!(run(&mut other, "INSERT INTO public.accounts VALUES (9, 'zoe')").await.unwrap(), 1);
    other.commit(soon()).await.unwrap();
    held.commit(soon()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_has_changed_is_not_written_to() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let known = table(&remote, "accounts").await;
    admin.batch_execute("ALTER TABLE accounts ADD COLUMN more text").await.unwrap();
    let mut transaction = begin(&remote).await;
    insert(&mut transaction, &known, &[0, 1], accounts(&[1], &[Some("ann")])).await.unwrap();
    transaction.commit(soon()).await.unwrap();
    admin.batch_execute("ALTER TABLE accounts ALTER COLUMN id TYPE real").await.unwrap();
    let mut transaction = begin(&remote).await;
    let error = insert(&mut transaction, &known, &[0, 1], accounts(&[2], &[Some("bob")])).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::SchemaMismatch, "column \"id\"");
    assert_eq!(ours(&error).code_text(), Some(TYPE_CHANGED));
    let mut transaction = begin(&remote).await;
    let sql = RemoteSql { reliance: Reliance::of(&Arc::new(known)), ..RemoteSql::new("DELETE FROM public.accounts") };
    assert_fails(ours(&transaction.run(&sql, None, soon()).await.unwrap_err()), ErrorKind::SchemaMismatch, "column \"id\"");
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_takes_no_writes_says_so_at_the_beginning() {
    let Some(database) = Database::new("").await else { return };
    let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = on", database.name);
    database.admin().await.batch_execute(&sql).await.unwrap();
    let error = open(&database).await.as_transactional().unwrap().begin(soon()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unauthorized, "the source takes no writes");
    assert_eq!(error.remote_sqlstate(), Some("25006"));
}

#[tokio::test(flavor = "multi_thread")]
async fn time_runs_out_here_and_there_and_of_a_commit_nobody_knows() {
    let sql = format!(
        "{ACCOUNTS}; CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(100); RETURN NULL; END'; \
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON accounts DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
    );
    let Some(database) = Database::new(&sql).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let short = || Deadline::after(Duration::from_millis(500));
    let mut transaction = begin(&remote).await;
    let error = transaction.run(&RemoteSql::new("SELECT pg_sleep(100)"), None, short()).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Timeout, "the change took longer than 500ms");
    let mut transaction = begin(&remote).await;
    run(&mut transaction, "INSERT INTO public.accounts VALUES (9, 'zoe')").await.unwrap();
    let error = transaction.commit(short()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Timeout, "it is not known whether the transaction was committed");
    until("something goes on", async || database.running(&admin, "").await == 0).await;
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_dies_is_told_of() {
    let Some(server) = Server::start("") else { return };
    let server = Arc::new(server);
    let Some(database) = Database::on(Arc::clone(&server), ACCOUNTS, "").await else { return };
    let remote = open(&database).await;
    let (mut one, mut other) = (begin(&remote).await, begin(&remote).await);
    run(&mut one, "INSERT INTO public.accounts VALUES (1, 'ann')").await.unwrap();
    run(&mut other, "INSERT INTO public.accounts VALUES (2, 'bob')").await.unwrap();
    let down = Arc::clone(&server);
    tokio::task::spawn_blocking(move || down.down("immediate")).await.unwrap();
    assert_fails(
        ours(&run(&mut one, "DELETE FROM public.accounts").await.unwrap_err()),
        ErrorKind::Unreachable,
        "lost the connection while changing rows",
    );
    let error = other.commit(soon()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unreachable, "it is not known whether the transaction was committed");
    server.up();
    // A connection that the server has closed since is replaced unseen.
    let mut transaction = begin(&remote).await;
    assert_eq!(run(&mut transaction, "DELETE FROM public.accounts").await.unwrap(), 0);
    transaction.commit(soon()).await.unwrap();
    let open = begin(&remote).await;
    remote.close().await;
    assert_fails(&open.commit(soon()).await.unwrap_err(), ErrorKind::Unreachable, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rows_come_back_as_a_scan_reads_them() {
    let sql = "CREATE TABLE t (id int PRIMARY KEY, u uuid, n numeric, c character(4), a int[]); \
               INSERT INTO t SELECT i, 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 1.5, 'ab', '{1,NULL}' FROM generate_series(1, 20000) i";
    let Some(database) = Database::new(sql).await else { return };
    let remote = open(&database).await;
    let t = table(&remote, "t").await;
    let schema = t.arrow_schema();
    let mut transaction = begin(&remote).await;
    let mut batches = Vec::new();
    let mut take = |batch: RecordBatch| {
        batches.push(batch);
        Ok(())
    };
    let update = RemoteSql::new("UPDATE public.t SET id = id - 20000 RETURNING id, u, n, c, a");
    let returned = Returned { schema: Arc::clone(&schema), take: &mut take };
    assert_eq!(transaction.run(&update, Some(returned), soon()).await.unwrap(), 20_000);
    transaction.commit(soon()).await.unwrap();
    assert!(batches.len() > 1 && batches.iter().all(|batch| batch.schema() == schema));
    let all = |batches: &[RecordBatch]| {
        let whole = datafusion::arrow::compute::concat_batches(&schema, batches).unwrap();
        let mut shown: Vec<String> = (0..whole.num_rows()).map(|row| format!("{:?}", whole.slice(row, 1))).collect();
        shown.sort();
        shown
    };
    assert_eq!(all(&batches), all(&super::read(&remote, &t).await.unwrap()));
    // What takes them may fail, and rows of another type are not read.
    let mut transaction = begin(&remote).await;
    let mut refuse = |_: RecordBatch| Err(DataFusionError::Execution("no more".to_owned()));
    let returned = Returned { schema: Arc::clone(&schema), take: &mut refuse };
    let error = transaction.run(&update, Some(returned), soon()).await.unwrap_err();
    assert!(matches!(&error, DataFusionError::Execution(text) if text == "no more"), "{error}");
    assert_fails(&transaction.commit(soon()).await.unwrap_err(), ErrorKind::Failed, "was rolled back");
    let mut transaction = begin(&remote).await;
    let mut never = |_: RecordBatch| unreachable!();
    let returned = Returned { schema: super::schema(&[("id", DataType::Int64)]), take: &mut never };
    let delete = RemoteSql::new("DELETE FROM public.t RETURNING id");
    let error = transaction.run(&delete, Some(returned), soon()).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::SchemaMismatch, "column \"id\"");
    // None of it happened.
    let counted = super::column(&remote, "SELECT count(*)::int FROM t WHERE id <= 0", DataType::Int32).await.unwrap();
    assert_eq!(counted.as_primitive::<Int32Type>().value(0), 20_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_on_while_a_transaction_is_open() {
    let Some(database) = Database::new(&format!("{ACCOUNTS}; INSERT INTO accounts VALUES (1, 'ann')")).await else { return };
    let mut options = database.options();
    options.pool.max_connections = 1;
    let remote = PostgresRemote::open(&options).await.unwrap();
    let accounts_table = table(&remote, "accounts").await;
    let mut transaction = begin(&remote).await;
    run(&mut transaction, "DELETE FROM public.accounts").await.unwrap();
    let seen = super::read(&remote, &accounts_table).await.unwrap();
    assert_eq!(seen.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
    // There is no second transaction while this one has the only connection.
    let error = Arc::clone(&remote).as_transactional().unwrap().begin(Deadline::after(Duration::from_millis(300))).await.unwrap_err();
    assert_fails(&error, ErrorKind::Timeout, "pooled connections");
    transaction.commit(soon()).await.unwrap();
    assert_eq!(run(&mut begin(&remote).await, "DELETE FROM public.accounts").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_row_in_vain_is_told_and_harms_nobody() {
    let Some(database) = Database::new(&format!("{ACCOUNTS}; INSERT INTO accounts VALUES (1, 'ann')")).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let (mut first, mut second) = (begin(&remote).await, begin(&remote).await);
    run(&mut first, "UPDATE public.accounts SET balance = 1").await.unwrap();
    let update = RemoteSql::new("UPDATE public.accounts SET balance = 2");
    let error = second.run(&update, None, Deadline::after(Duration::from_millis(500))).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Timeout, "the change took longer than 500ms");
    until("it waits on", async || database.running(&admin, "balance = 2").await == 0).await;
    let mut third = begin(&remote).await;
    run(&mut third, "SET LOCAL lock_timeout = '100ms'").await.unwrap();
    let error = third.run(&update, None, soon()).await.unwrap_err();
    assert_fails(ours(&error), ErrorKind::Timeout, "waited too long for a lock");
    assert_eq!(ours(&error).remote_sqlstate(), Some("55P03"));
    first.commit(soon()).await.unwrap();
    assert_eq!(count(&admin, "SELECT sum(balance) FROM accounts").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_ends_what_idles_and_what_runs() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let mut idle = begin(&remote).await;
    run(&mut idle, "INSERT INTO public.accounts VALUES (1, 'ann')").await.unwrap();
    let mut running = begin(&remote).await;
    let sleeping = tokio::spawn(async move {
        let sql = RemoteSql::new("UPDATE public.accounts SET balance = 1 FROM (SELECT pg_sleep(100)) s");
        running.run(&sql, None, soon()).await
    });
    until("it does not run", async || database.running(&admin, "pg_sleep(100)").await == 1).await;
    remote.close().await;
    assert_fails(ours(&sleeping.await.unwrap().unwrap_err()), ErrorKind::Unreachable, "closed");
    until("a connection stays", async || database.connections(&admin).await == 0).await;
    assert_fails(ours(&run(&mut idle, "DELETE FROM public.accounts").await.unwrap_err()), ErrorKind::Unreachable, "closed");
    assert_eq!(count(&admin, "SELECT count(*) FROM accounts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_killed_is_unreachable() {
    let Some(database) = Database::new(ACCOUNTS).await else { return };
    let (remote, admin) = (open(&database).await, database.admin().await);
    let kill = async |marker: &str| {
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
             AND (xact_start IS NOT NULL OR query LIKE '{marker}')"
        );
        count(&admin, &sql).await
    };
    let mut idle = begin(&remote).await;
    assert_eq!(kill("-").await, 1);
    until("it stays", async || database.running(&admin, "").await == 0).await;
    assert_fails(ours(&run(&mut idle, "DELETE FROM public.accounts").await.unwrap_err()), ErrorKind::Unreachable, "lost the connection");
    let mut running = begin(&remote).await;
    let sql = RemoteSql::new("SELECT pg_sleep(100)");
    let (ran, _) = tokio::join!(running.run(&sql, None, soon()), async {
        until("it does not run", async || database.running(&admin, "pg_sleep(100)").await == 1).await;
        kill("-").await
    });
    assert_fails(ours(&ran.unwrap_err()), ErrorKind::Unreachable, "lost the connection while changing rows");
    let committing = begin(&remote).await;
    kill("-").await;
    until("it stays", async || database.running(&admin, "").await == 0).await;
    let error = committing.commit(soon()).await.unwrap_err();
    assert_fails(&error, ErrorKind::Unreachable, "it is not known whether the transaction was committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_think_for_minutes_and_the_connection_goes_back_clean() {
    let Some(database) = Database::new("").await else { return };
    let remote = open(&database).await;
    let setting = async |transaction: &mut Box<dyn RemoteTransaction>, name: &str| {
        let mut shown = String::new();
        let mut take = |batch: RecordBatch| {
            shown = batch.column(0).as_string::<i32>().value(0).to_owned();
            Ok(())
        };
        let sql = RemoteSql::new(format!("SELECT current_setting('{name}')"));
        let returned = Returned { schema: schema(&[("v", DataType::Utf8)]), take: &mut take };
        transaction.run(&sql, Some(returned), soon()).await.unwrap();
        shown
    };
    let mut transaction = begin(&remote).await;
    assert_eq!(setting(&mut transaction, "idle_in_transaction_session_timeout").await, "15min");
    assert_eq!(setting(&mut transaction, "default_transaction_read_only").await, "off");
    transaction.commit(soon()).await.unwrap();
    let lease = remote.changing.lease(None).await.unwrap();
    let row = lease
        .client()
        .query_one("SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('statement_timeout')", &[])
        .await
        .unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("1min", "0"));
    assert!(lease.is_used());
}
