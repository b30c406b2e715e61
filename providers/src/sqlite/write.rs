//! Makes a table ready and inserts rows, over the connection that writes and in a thread for blocking work.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::SqliteRemote;
use super::connect::{Database, patiently, write_failure};
use super::definition::{SqliteDefinition, check_schema, look};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Access;
use crate::writer::batch::Batch;
use crate::writer::bootstrap::{Definition, Ensuring, Step, list, refused};
use crate::writer::{CellValue, EnsureMode, EnsureReport, InsertReport, TableDescriptor, Writer, moment};

#[async_trait]
impl Writer for SqliteRemote {
    async fn ensure_table(&self, descriptor: &TableDescriptor, mode: EnsureMode, deadline: Deadline) -> Result<EnsureReport> {
        let at = |error: Error| error.at(self.id.as_str());
        check_schema(descriptor).map_err(at)?;
        let descriptor = descriptor.clone();
        let patience = self.patience;
        let what = format!("making table \"{}\" ready", descriptor.name);
        self.write(&what, deadline, move |database, stopped| {
            ensure(database.connection(), &descriptor, mode, &Waiting { patience, deadline, stopped })
        })
        .await
    }

    async fn insert(&self, descriptor: &TableDescriptor, rows: &[Vec<CellValue>], deadline: Deadline) -> Result<InsertReport> {
        let at = |error: Error| error.at(self.id.as_str());
        check_schema(descriptor).map_err(at)?;
        let batch = Batch::new(descriptor, rows).map_err(at)?;
        if batch.rows().is_empty() {
            return Ok(InsertReport::default());
        }
        let sql = statement(descriptor);
        let values: Vec<Vec<Value>> = batch.rows().iter().map(|row| row.iter().map(value).collect()).collect();
        let patience = self.patience;
        let what = format!("inserting into \"{}\"", descriptor.name);
        let inserted = self
            .write(&what, deadline, move |database, stopped| {
                insert(database.connection(), &sql, values, &Waiting { patience, deadline, stopped })
            })
            .await?;
        Ok(batch.report(inserted))
    }
}

impl SqliteRemote {
    /// Runs `work` until it ends, the deadline passes or the datasource is closed.
    async fn write<T, F>(&self, what: &str, deadline: Deadline, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Database, &dyn Fn() -> bool) -> Result<T> + Send + 'static,
    {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => {
                Err(Error::new(ErrorKind::Unreachable, "the datasource was closed").at(self.id.as_str()))
            }
            done = self.with_database(Access::Write, what, deadline, work) => done,
        }
    }
}

/// How long a write waits for the locks of other programs, and whether it is still wanted.
pub(super) struct Waiting<'a> {
    pub(super) patience: Duration,
    pub(super) deadline: Deadline,
    pub(super) stopped: &'a dyn Fn() -> bool,
}

impl Waiting<'_> {
    /// Runs one statement, again and again while a lock is in its way. It ends a little before the deadline, so that a lock is called
    /// a lock and not a lack of time.
    pub(super) fn run<T>(&self, mut statement: impl FnMut() -> Result<T>) -> Result<T> {
        // An interrupt that came between two statements was lost.
        self.check()?;
        patiently(self.patience.min(self.deadline.remaining() * 3 / 4), self.stopped, &mut statement)
    }

    pub(super) fn check(&self) -> Result<()> {
        if (self.stopped)() { Err(Error::new(ErrorKind::Cancelled, "the write was cancelled")) } else { Ok(()) }
    }
}

fn ensure(connection: &Connection, descriptor: &TableDescriptor, mode: EnsureMode, waiting: &Waiting<'_>) -> Result<EnsureReport> {
    let mut ensuring = Ensuring::new(descriptor, &SqliteDefinition, mode)?;
    loop {
        let found = waiting.run(|| look(connection, descriptor))?;
        match ensuring.next(found.as_ref())? {
            Step::Done(report) => return Ok(report),
            Step::Run(statements) => {
                for statement in statements {
                    match waiting.run(|| connection.execute_batch(&statement).map(|()| true).or_else(already_there).map_err(write_failure))
                    {
                        Ok(true) => ensuring.ran(statement),
                        // Another gateway was faster.
                        Ok(false) => {}
                        Err(error) => return Err(refused(error, &statement)),
                    }
                }
            }
        }
    }
}

/// `false` for a statement that found its work done.
fn already_there(error: rusqlite::Error) -> rusqlite::Result<bool> {
    match &error {
        rusqlite::Error::SqliteFailure(_, Some(text)) if text.starts_with("duplicate column name") => Ok(false),
        rusqlite::Error::SqlInputError { msg, .. } if msg.starts_with("duplicate column name") => Ok(false),
        _ => Err(error),
    }
}

/// Inserts all rows or none. An error closes the connection, and that rolls back.
fn insert(connection: &Connection, sql: &str, rows: Vec<Vec<Value>>, waiting: &Waiting<'_>) -> Result<u64> {
    let run = |sql: &str| connection.execute_batch(sql).map_err(write_failure);
    // A lock to write is met here, and not after half the rows.
    waiting.run(|| run("BEGIN IMMEDIATE"))?;
    let mut statement = connection.prepare(sql).map_err(write_failure)?;
    let mut inserted = 0;
    for row in rows {
        waiting.check()?;
        inserted += statement.execute(params_from_iter(row)).map_err(write_failure)? as u64;
    }
    // Readers may be in the way of a commit, and are soon gone.
    waiting.run(|| run("COMMIT"))?;
    Ok(inserted)
}

fn statement(descriptor: &TableDescriptor) -> String {
    format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO NOTHING",
        SqliteDefinition.table(descriptor),
        list(descriptor.columns.iter().map(|column| &column.name), &SqliteDefinition),
        vec!["?"; descriptor.columns.len()].join(", "),
        list(&descriptor.primary_key, &SqliteDefinition),
    )
}

fn value(value: &CellValue) -> Value {
    match value {
        CellValue::Null => Value::Null,
        CellValue::Text(text) | CellValue::Json(text) => Value::Text(text.clone()),
        CellValue::BigInt(number) => Value::Integer(*number),
        CellValue::Timestamp(micros) => {
            moment(*micros).map_or(Value::Null, |moment| Value::Text(moment.format("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()))
        }
    }
}
