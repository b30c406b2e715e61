//! Makes a table ready and inserts rows, over the connection that writes.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{Datelike, Timelike};
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row as Answer, Value};

use super::connect::{ServerDial, Session};
use super::definition::{MySqlDefinition, Named, look, primary_key};
use super::{MySqlRemote, failure};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Pooled;
use crate::writer::batch::{Batch, Row, size};
use crate::writer::bootstrap::{Definition, Ensuring, Step, list, not_a_table, refused};
use crate::writer::{CellValue, EnsureMode, EnsureReport, InsertReport, TableDescriptor, Writer, moment};

/// The bounds of one statement's rows, unless the server's packets are smaller still.
const CHUNK_ROWS: usize = 500;
const CHUNK_BYTES: usize = 512 << 10;

/// The most parameters of one statement.
const MOST_PARAMETERS: usize = 65_535;

/// Room in a packet for what is not a row's values.
const PACKET_ROOM: usize = 4096;

/// The server's own limit comes this much after the deadline, which has the better text.
const REMOTE_GRACE: Duration = Duration::from_secs(1);

/// How often a batch is begun again when the server ends it because it and another write wait for each other. Each time it lets the
/// other one go on for longer before it does; the write's deadline holds for all of it.
const DEADLOCKS: u32 = 20;
/// How long it lets the other one go on the first time.
const YIELD: Duration = Duration::from_millis(2);

#[async_trait]
impl Writer for MySqlRemote {
    async fn ensure_table(&self, descriptor: &TableDescriptor, mode: EnsureMode, deadline: Deadline) -> Result<EnsureReport> {
        let work = async {
            let mut session = self.session_to_write(deadline).await?;
            let definition = MySqlDefinition::new(session.flavor());
            let ensuring = Ensuring::new(descriptor, &definition, mode)?;
            let done = ensure(&mut session, descriptor, &definition.table(descriptor), ensuring).await;
            conclude(session, done)
        };
        self.write(deadline, &format!("making table \"{}\" ready", descriptor.name), work).await
    }

    async fn insert(&self, descriptor: &TableDescriptor, rows: &[Vec<CellValue>], deadline: Deadline) -> Result<InsertReport> {
        let work = async {
            let batch = Batch::new(descriptor, rows)?;
            if batch.rows().is_empty() {
                return Ok(InsertReport::default());
            }
            let mut session = self.session_to_write(deadline).await?;
            let done = Insert::new(&batch, &MySqlDefinition::new(session.flavor())).run(&mut session).await;
            conclude(session, done).map(|inserted| batch.report(inserted))
        };
        self.write(deadline, &format!("inserting into \"{}\"", descriptor.name), work).await
    }
}

impl MySqlRemote {
    /// Runs `work` until it ends, the deadline passes or the datasource is closed. Its session, dropped on the way, ends the statement.
    async fn write<T>(&self, deadline: Deadline, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        deadline.bound(what, self.until_closed(work)).await.map_err(|error| error.at(self.id.as_str()))
    }

    /// The connection that writes, which has just answered: a write that fails is not tried again here, as its count would be lost.
    async fn session_to_write(&self, deadline: Deadline) -> Result<Pooled<ServerDial>> {
        loop {
            let mut session = self.writing.acquire(None).await?;
            // MariaDB ends by itself what a gateway that died left behind; MySQL has no such limit for writes.
            let limit = deadline.remaining() + REMOTE_GRACE;
            session.begin();
            let Err(cause) = session.limit_time(Some(limit)).await else { return Ok(session) };
            session.finish();
            if !(session.has_served() && failure::lost_connection(&cause)) {
                return Err(failure::of_write(cause));
            }
        }
    }
}

/// Why a write ended early.
enum Interruption {
    /// The server or the connection to it.
    Remote(mysql_async::Error),
    /// Our own verdict.
    Here(Error),
}

impl From<mysql_async::Error> for Interruption {
    fn from(cause: mysql_async::Error) -> Self {
        Self::Remote(cause)
    }
}

impl From<Error> for Interruption {
    fn from(error: Error) -> Self {
        Self::Here(error)
    }
}

/// Gives the connection back, or closes it, with which the server rolls back what is open.
fn conclude<T>(mut session: Pooled<ServerDial>, done: Result<T, Interruption>) -> Result<T> {
    match done {
        Ok(done) => {
            session.finish();
            session.give_back();
            Ok(done)
        }
        Err(Interruption::Here(error)) => {
            session.finish();
            Err(error)
        }
        Err(Interruption::Remote(cause)) => {
            // What runs on a connection that was lost may run on: it is killed.
            if !failure::lost_connection(&cause) {
                session.finish();
            }
            Err(failure::of_write(cause))
        }
    }
}

async fn ensure(
    session: &mut Session,
    descriptor: &TableDescriptor,
    table: &str,
    mut ensuring: Ensuring<'_>,
) -> Result<EnsureReport, Interruption> {
    loop {
        let found = match look(session, table).await? {
            Named::Nothing => None,
            Named::Table(found) => Some(found),
            Named::View => return Err(not_a_table(descriptor, "a view").into()),
        };
        match ensuring.next(found.as_ref())? {
            Step::Done(report) => return Ok(report),
            Step::Run(statements) => {
                for statement in statements {
                    match session.connection().query_drop(statement.as_str()).await {
                        Ok(()) => ensuring.ran(statement),
                        // Another gateway was faster.
                        Err(cause) if matches!(failure::code(&cause), Some(1050 | 1060)) => {}
                        Err(cause) if failure::lost_connection(&cause) => return Err(cause.into()),
                        Err(cause) => return Err(refused(failure::of_write(cause), &statement).into()),
                    }
                }
            }
        }
    }
}

/// One batch on its way.
struct Insert<'a> {
    batch: &'a Batch<'a>,
    table: String,
    columns: String,
    key: String,
    /// What an existing row is "updated" with: a column of its key, with its own value. `INSERT IGNORE` would pass over other errors
    /// than a taken key.
    nothing: String,
}

impl<'a> Insert<'a> {
    fn new(batch: &'a Batch<'a>, definition: &MySqlDefinition) -> Self {
        let descriptor = batch.descriptor();
        let first = list(descriptor.primary_key.first(), definition);
        Self {
            batch,
            table: definition.table(descriptor),
            columns: list(descriptor.columns.iter().map(|column| &column.name), definition),
            key: list(&descriptor.primary_key, definition),
            nothing: format!("{first} = {first}"),
        }
    }

    async fn run(&self, session: &mut Session) -> Result<u64, Interruption> {
        self.check_key(session).await?;
        let most_bytes = self.check_size(session).await?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.attempt(session, most_bytes).await {
                // The server has rolled it back.
                Err(Interruption::Remote(cause)) if failure::code(&cause) == Some(1213) && attempts < DEADLOCKS => {
                    tokio::time::sleep(YIELD * attempts).await;
                }
                done => return done,
            }
        }
    }

    /// Without its key a table would take each row again and again, and nobody would notice.
    async fn check_key(&self, session: &mut Session) -> Result<(), Interruption> {
        let lower = |names: &[String]| names.iter().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>();
        let found = primary_key(session, &self.table).await?;
        if lower(&found) == lower(&self.batch.descriptor().primary_key) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Conflict, "the table's primary key is not the described one")
            .hint("make the table ready first, and see what that leaves to be done by hand");
        Err(error.into())
    }

    /// How many bytes one statement may have. A packet that is too large ends the connection without a word.
    async fn check_size(&self, session: &mut Session) -> Result<usize, Interruption> {
        let answer: Option<usize> = session.connection().query_first("SELECT @@max_allowed_packet").await?;
        let packet = answer.unwrap_or(CHUNK_BYTES).saturating_sub(PACKET_ROOM);
        match self.batch.rows().iter().map(|row| size(row)).max() {
            Some(largest) if largest > packet => {
                let text = format!("a row of {largest} bytes is more than the server's max_allowed_packet takes");
                Err(Error::new(ErrorKind::LimitExceeded, text).hint("raise max_allowed_packet at the server").into())
            }
            _ => Ok(packet.min(CHUNK_BYTES)),
        }
    }

    async fn attempt(&self, session: &mut Session, most_bytes: usize) -> Result<u64, Interruption> {
        session.connection().query_drop("START TRANSACTION").await?;
        let most_rows = CHUNK_ROWS.min(MOST_PARAMETERS / self.batch.descriptor().columns.len());
        let mut inserted = 0;
        for chunk in self.batch.chunks(most_rows, most_bytes) {
            let sql = format!(
                "INSERT INTO {} ({}) VALUES {} ON DUPLICATE KEY UPDATE {}",
                self.table,
                self.columns,
                places(chunk.len(), self.batch.descriptor().columns.len()),
                self.nothing,
            );
            let values = chunk.iter().flat_map(|row| row.iter().map(value)).collect();
            session.connection().exec_drop(sql, Params::Positional(values)).await?;
            // A row that is there already counts as none.
            let affected = session.connection().affected_rows();
            if affected < chunk.len() as u64 {
                self.check_arrival(session, chunk).await?;
            }
            inserted += affected;
        }
        session.connection().query_drop("COMMIT").await?;
        Ok(inserted)
    }

    /// Any unique key of the table, or a key that is compared loosely, makes a row a duplicate to the server. It is one to us when its
    /// own key is there. The lock makes the server look at what is committed now, as the `INSERT` did.
    async fn check_arrival(&self, session: &mut Session, chunk: &[Row<'_>]) -> Result<(), Interruption> {
        let wanted: BTreeSet<Vec<&CellValue>> = chunk.iter().map(|row| self.batch.key_of(row)).collect();
        let sql = format!(
            "SELECT {key} FROM {} WHERE ({key}) IN ({}) LOCK IN SHARE MODE",
            self.table,
            places(wanted.len(), self.batch.descriptor().primary_key.len()),
            key = self.key,
        );
        let values = wanted.iter().flatten().map(|key| value(key)).collect();
        let rows: Vec<Answer> = session.connection().exec(sql, Params::Positional(values)).await?;
        let there: BTreeSet<Vec<CellValue>> = rows.into_iter().map(|row| row.unwrap().into_iter().map(cell).collect()).collect();
        if wanted.iter().all(|key| there.contains(&key.iter().map(|&value| value.clone()).collect::<Vec<_>>())) {
            return Ok(());
        }
        let error = Error::new(ErrorKind::Conflict, "another unique key of the table than its primary one refuses a row")
            .hint("drop that key, or make the primary key compare by bytes");
        Err(error.into())
    }
}

/// `(?, ?), (?, ?)`: so many rows of so many parameters.
fn places(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row.as_str(); rows].join(", ")
}

fn value(value: &CellValue) -> Value {
    match value {
        CellValue::Null => Value::NULL,
        CellValue::Text(text) | CellValue::Json(text) => Value::Bytes(text.clone().into_bytes()),
        CellValue::BigInt(number) => Value::Int(*number),
        CellValue::Timestamp(micros) => moment(*micros).map_or(Value::NULL, |moment| {
            let part = |number: u32| u8::try_from(number).unwrap_or_default();
            let year = u16::try_from(moment.year()).unwrap_or_default();
            let (date, time) =
                ((part(moment.month()), part(moment.day())), (part(moment.hour()), part(moment.minute()), part(moment.second())));
            Value::Date(year, date.0, date.1, time.0, time.1, time.2, moment.and_utc().timestamp_subsec_micros())
        }),
    }
}

/// A value of a key as the server gives it back.
fn cell(value: Value) -> CellValue {
    match value {
        Value::Bytes(bytes) => CellValue::Text(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Int(number) => CellValue::BigInt(number),
        Value::UInt(_) | Value::Float(_) | Value::Double(_) | Value::Date(..) | Value::Time(..) | Value::NULL => CellValue::Null,
    }
}
