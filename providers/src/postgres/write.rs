//! Makes a table ready and inserts rows, over the connection that writes.

use std::borrow::Cow;
use std::future::Future;

use async_trait::async_trait;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Error as DriverError};

use super::connect::{Lease, REMOTE_GRACE};
use super::definition::{Named, PostgresDefinition, look};
use super::{PostgresRemote, failure, scan};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::writer::batch::{Batch, Row};
use crate::writer::bootstrap::{Definition, Ensuring, Step, list, not_a_table, refused};
use crate::writer::{CellValue, DescribedType, EnsureMode, EnsureReport, InsertReport, TableDescriptor, Writer, moment};

/// The bounds of one statement's rows. They travel as one array a column, so the protocol does not limit their number.
const CHUNK_ROWS: usize = 5000;
const CHUNK_BYTES: usize = 4 << 20;

#[async_trait]
impl Writer for PostgresRemote {
    async fn ensure_table(&self, descriptor: &TableDescriptor, mode: EnsureMode, deadline: Deadline) -> Result<EnsureReport> {
        let work = async {
            let ensuring = Ensuring::new(descriptor, &PostgresDefinition, mode)?;
            let lease = self.lease_to_write(deadline).await?;
            let done = ensure(lease.client(), descriptor, ensuring).await;
            conclude(lease, done)
        };
        self.write(deadline, &format!("making table \"{}\" ready", descriptor.name), work).await
    }

    async fn insert(&self, descriptor: &TableDescriptor, rows: &[Vec<CellValue>], deadline: Deadline) -> Result<InsertReport> {
        let work = async {
            let batch = Batch::new(descriptor, rows)?;
            if batch.rows().is_empty() {
                return Ok(InsertReport::default());
            }
            let lease = self.lease_to_write(deadline).await?;
            let done = insert(lease.client(), &batch).await.map_err(failure::writing);
            conclude(lease, done).map(|inserted| batch.report(inserted))
        };
        self.write(deadline, &format!("inserting into \"{}\"", descriptor.name), work).await
    }
}

impl PostgresRemote {
    /// Runs `work` until it ends, the deadline passes or the datasource is closed. Its lease, dropped on the way, ends the statement.
    async fn write<T>(&self, deadline: Deadline, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(scan::closed()),
            done = deadline.bound(what, work) => done,
        }
        .map_err(|error| error.at(self.id.as_str()))
    }

    /// The connection that writes, which has just answered: a write that fails is not tried again here, as its count would be lost.
    async fn lease_to_write(&self, deadline: Deadline) -> Result<Lease> {
        loop {
            let mut lease = self.writing.lease(None).await?;
            let used = lease.is_used();
            lease.begin();
            // The server ends by itself what a gateway that died left behind.
            let limit = deadline.remaining() + REMOTE_GRACE;
            let Err(error) = lease.limit_statements(Some(limit)).await else { return Ok(lease) };
            lease.discard();
            if !(used && failure::is_lost(&error)) {
                return Err(failure::writing(error));
            }
        }
    }
}

/// Gives the connection back, or closes it, with which the server rolls back what is open.
fn conclude<T>(lease: Lease, done: Result<T>) -> Result<T> {
    match done {
        Ok(_) => lease.finish(),
        Err(_) => lease.discard(),
    }
    done
}

async fn ensure(client: &Client, descriptor: &TableDescriptor, mut ensuring: Ensuring<'_>) -> Result<EnsureReport> {
    loop {
        let found = match look(client, descriptor).await.map_err(failure::writing)? {
            Named::Nothing => None,
            Named::Table(found) => Some(found),
            Named::Other(kind) => return Err(not_a_table(descriptor, kind)),
        };
        match ensuring.next(found.as_ref())? {
            Step::Done(report) => return Ok(report),
            Step::Run(statements) => {
                for statement in statements {
                    match client.batch_execute(&statement).await {
                        Ok(()) => ensuring.ran(statement),
                        // Another gateway was faster.
                        Err(error) if failure::is_there_already(&error) => {}
                        Err(error) => return Err(refused(failure::writing(error), &statement)),
                    }
                }
            }
        }
    }
}

async fn insert(client: &Client, batch: &Batch<'_>) -> Result<u64, DriverError> {
    let sql = statement(batch.descriptor());
    client.batch_execute("BEGIN").await?;
    let mut inserted = 0;
    for chunk in batch.chunks(CHUNK_ROWS, CHUNK_BYTES) {
        let columns: Vec<Values<'_>> =
            batch.descriptor().columns.iter().enumerate().map(|(at, column)| Values::of(chunk, at, column.kind)).collect();
        let parameters: Vec<_> = columns.iter().map(Values::parameter).collect();
        inserted += client.execute_typed(&sql, &parameters).await?;
    }
    client.batch_execute("COMMIT").await?;
    Ok(inserted)
}

/// The `INSERT` of rows that come as one array a column. Only without its schema does `unnest` take several arrays; `pg_catalog` comes
/// first in the search path.
fn statement(descriptor: &TableDescriptor) -> String {
    let columns = descriptor.columns.iter().enumerate();
    let selected: Vec<_> = columns.clone().map(|(at, column)| format!("v.c{at}{}", cast(column.kind))).collect();
    let arrays: Vec<_> = columns.clone().map(|(at, _)| format!("${}", at + 1)).collect();
    let names: Vec<_> = columns.map(|(at, _)| format!("c{at}")).collect();
    format!(
        "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS v({}) ON CONFLICT ({}) DO NOTHING",
        PostgresDefinition.table(descriptor),
        list(descriptor.columns.iter().map(|column| &column.name), &PostgresDefinition),
        selected.join(", "),
        arrays.join(", "),
        names.join(", "),
        list(&descriptor.primary_key, &PostgresDefinition),
    )
}

/// From what travels to what is stored.
fn cast(kind: DescribedType) -> &'static str {
    match kind {
        DescribedType::Key | DescribedType::Text | DescribedType::BigInt => "",
        DescribedType::Json => "::pg_catalog.json",
        DescribedType::Timestamp => "::pg_catalog.timestamptz",
    }
}

/// The values of one column.
enum Values<'a> {
    Texts(Vec<Option<Cow<'a, str>>>),
    Numbers(Vec<Option<i64>>),
}

impl<'a> Values<'a> {
    fn of(rows: &[Row<'a>], at: usize, kind: DescribedType) -> Self {
        let values = rows.iter().map(|row| &row[at]);
        match kind {
            DescribedType::BigInt => Self::Numbers(values.map(number).collect()),
            DescribedType::Key | DescribedType::Text | DescribedType::Json | DescribedType::Timestamp => {
                Self::Texts(values.map(text).collect())
            }
        }
    }

    fn parameter(&self) -> (&(dyn ToSql + Sync), Type) {
        match self {
            Self::Texts(texts) => (texts, Type::TEXT_ARRAY),
            Self::Numbers(numbers) => (numbers, Type::INT8_ARRAY),
        }
    }
}

fn number(value: &CellValue) -> Option<i64> {
    match value {
        CellValue::BigInt(number) => Some(*number),
        CellValue::Null | CellValue::Text(_) | CellValue::Json(_) | CellValue::Timestamp(_) => None,
    }
}

fn text(value: &CellValue) -> Option<Cow<'_, str>> {
    match value {
        CellValue::Text(text) | CellValue::Json(text) => Some(Cow::Borrowed(text)),
        CellValue::Timestamp(micros) => moment(*micros).map(|moment| Cow::Owned(moment.format("%Y-%m-%d %H:%M:%S%.6f+00").to_string())),
        CellValue::Null | CellValue::BigInt(_) => None,
    }
}
