//! Transactions that change rows, each over a connection of its own.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Params, Row};
use tokio_util::sync::CancellationToken;

use super::bind::Binding;
use super::change_failure::{of_change, of_warning, tells_of_a_changed_value};
use super::connect::{ServerDial, Session};
use super::decode::{BatchBuilder, changed};
use super::dialect::MySqlDialect;
use super::insert::{STATEMENT_BYTES, Statement, Waiting, check_types};
use super::introspect::text;
use super::policy::ZeroDates;
use super::row_reader::Interruption;
use super::{MySqlRemote, collations, failure};
use crate::changes::{Fault, Insertion, RETURNED_ROWS, RemoteTransaction, Returned, TransactionalRemote, bounded, spent, unknown};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::{PoolState, Pooled};
use crate::remote::{RemoteColumn, RemoteId, RemoteTable};
use crate::sql::{BATCH_BYTES, ChangeDialect, Dialect, RemoteSql};

/// Room in a packet for what is not a row's values.
const PACKET_ROOM: usize = 4096;

/// The server's own limit comes this much after the deadline, which has the better text.
const REMOTE_GRACE: Duration = Duration::from_secs(1);

#[async_trait]
impl TransactionalRemote for MySqlRemote {
    async fn begin(&self, deadline: Deadline) -> Result<Box<dyn RemoteTransaction>> {
        let begun = bounded(&self.closed, deadline, "beginning a transaction", async { Ok(self.session_in_transaction(deadline).await?) });
        Ok(Box::new(MySqlTransaction {
            id: self.id.clone(),
            session: Some(begun.await.map_err(|fault| fault.own().at(self.id.as_str()))?),
            dialect: self.dialect,
            zero_dates: self.policy.zero_dates,
            closed: self.closed.clone(),
            packet: None,
            held: HashSet::new(),
        }))
    }

    fn change_dialect(&self) -> &dyn ChangeDialect {
        &self.dialect
    }

    fn transaction_pool(&self) -> PoolState {
        self.changing.state()
    }
}

impl MySqlRemote {
    /// A connection in a transaction. One that idled may have been closed by the server, and then so were most likely all.
    async fn session_in_transaction(&self, deadline: Deadline) -> Result<Pooled<ServerDial>> {
        loop {
            let mut session = self.changing.acquire(Some(deadline)).await?;
            session.begin();
            let begun = async {
                session.prove().await?;
                session.connection().query_drop("START TRANSACTION READ WRITE").await
            };
            match begun.await {
                Ok(()) => {
                    session.finish();
                    return Ok(session);
                }
                Err(cause) => {
                    let may_be_replaced = session.has_served() && failure::lost_connection(&cause);
                    session.finish();
                    if !may_be_replaced {
                        return Err(of_change(cause));
                    }
                }
            }
        }
    }
}

/// An open transaction.
struct MySqlTransaction {
    id: RemoteId,
    /// Its connection, unless a statement has it or failed. Closed, the server rolls back.
    session: Option<Pooled<ServerDial>>,
    dialect: MySqlDialect,
    zero_dates: ZeroDates,
    closed: CancellationToken,
    /// How much the server takes at once, once it was asked.
    packet: Option<usize>,
    /// The tables that stay what they are, by schema and name.
    held: HashSet<(String, String)>,
}

impl fmt::Debug for MySqlTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlTransaction").field("id", &self.id).field("is_open", &self.session.is_some()).finish_non_exhaustive()
    }
}

#[async_trait]
impl RemoteTransaction for MySqlTransaction {
    async fn run(&mut self, sql: &RemoteSql, returned: Option<Returned<'_>>, deadline: Deadline) -> DataFusionResult<u64> {
        let (id, closed) = (self.id.clone(), self.closed.clone());
        let done = bounded(&closed, deadline, "the change", async {
            let mut session = self.session.take().ok_or_else(spent)?;
            session.begin();
            let done = self.change(&mut session, sql, returned, deadline).await;
            self.conclude(session, done)
        });
        done.await.map_err(|fault| fault.at(id.as_str()))
    }

    async fn insert(
        &mut self,
        insertion: &Insertion,
        rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> DataFusionResult<u64> {
        let (id, closed) = (self.id.clone(), self.closed.clone());
        let done = bounded(&closed, deadline, "the insert", async {
            let mut session = self.session.take().ok_or_else(spent)?;
            session.begin();
            let done = self.insert_all(&mut session, insertion, rows, returned, deadline).await;
            self.conclude(session, done)
        });
        done.await.map_err(|fault| fault.at(id.as_str()))
    }

    async fn commit(mut self: Box<Self>, deadline: Deadline) -> Result<()> {
        let at = |error: Error| error.at(self.id.as_str());
        let Some(mut session) = self.session.take() else { return Err(at(spent())) };
        let committed = bounded(&self.closed, deadline, "the commit", async {
            session.begin();
            let done = session.connection().query_drop("COMMIT").await.map_err(Stop::Remote);
            Stop::settle(&mut session, &done);
            done?;
            Ok(session)
        });
        committed.await.map_err(|fault| at(unknown(fault.own())))?.give_back();
        Ok(())
    }
}

impl MySqlTransaction {
    /// Keeps the connection when all went well. Otherwise it is closed, and with it what ran there is ended.
    fn conclude<T>(&mut self, mut session: Pooled<ServerDial>, done: Result<T, Stop>) -> Result<T, Fault> {
        Stop::settle(&mut session, &done);
        let value = done?;
        self.session = Some(session);
        Ok(value)
    }

    async fn change(
        &mut self,
        session: &mut Session,
        sql: &RemoteSql,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> Result<u64, Stop> {
        session.limit_time(Some(limit(deadline))).await?;
        for table in sql.reliance.tables() {
            self.hold(session, table).await?;
        }
        collations::check(session, self.dialect, &sql.reliance).await?;
        let output = returned.map(|returned| Output::new(returned, self.zero_dates)).transpose()?;
        let mut output = output.map(|output| Output { batch: output.batch.of(sql.origins.clone()), ..output });
        let changed = execute(session, &sql.text, Params::Empty, output.as_mut()).await?;
        output.map_or(Ok(()), |mut output| output.hand_on())?;
        Ok(changed)
    }

    async fn insert_all(
        &mut self,
        session: &mut Session,
        insertion: &Insertion,
        mut rows: SendableRecordBatchStream,
        returned: Option<Returned<'_>>,
        deadline: Deadline,
    ) -> Result<u64, Stop> {
        let table = &insertion.table;
        let columns: Vec<&RemoteColumn> = insertion.columns.iter().filter_map(|&at| table.columns.get(at)).collect();
        session.limit_time(Some(limit(deadline))).await?;
        self.hold(session, table).await?;
        self.check_columns(session, table, &columns).await?;
        let packet = self.packet(session).await?;
        let mut output = returned.map(|returned| Output::new(returned, self.zero_dates)).transpose()?;
        let bindings: Vec<Binding<'_>> = columns.iter().map(|column| Binding::new(column)).collect();
        let statement = Statement::new(self.dialect, insertion, &columns);
        let (mut waiting, mut inserted) = (Waiting::new(columns.len()), 0);
        while let Some(batch) = rows.next().await {
            let batch = batch.map_err(Fault::from)?;
            check_types(&batch, insertion, &columns)?;
            for row in 0..batch.num_rows() {
                let values = bindings.iter().zip(batch.columns()).map(|(binding, array)| binding.value(array, row));
                if waiting.push(values)? > packet {
                    let error = Error::new(ErrorKind::LimitExceeded, "a row is larger than the server's max_allowed_packet")
                        .hint("raise max_allowed_packet at the server");
                    return Err(error.into());
                }
                while let Some(rows) = waiting.beyond(packet.min(STATEMENT_BYTES)) {
                    inserted += execute(session, &statement.text(rows), waiting.take(rows), output.as_mut()).await?;
                }
            }
        }
        if waiting.rows() > 0 {
            let rows = waiting.rows();
            inserted += execute(session, &statement.text(rows), waiting.take(rows), output.as_mut()).await?;
        }
        output.map_or(Ok(()), |mut output| output.hand_on())?;
        Ok(inserted)
    }

    /// How many bytes of rows the server takes at once. A packet that is too large ends the connection without a word.
    async fn packet(&mut self, session: &mut Session) -> Result<usize, Stop> {
        if self.packet.is_none() {
            self.packet = session.connection().query_first("SELECT @@max_allowed_packet").await?;
        }
        Ok(self.packet.unwrap_or(STATEMENT_BYTES).saturating_sub(PACKET_ROOM))
    }

    /// Has the table stay what it is until the transaction ends: whoever reads it keeps others from altering it. Refuses a table whose
    /// engine would keep what is rolled back.
    async fn hold(&mut self, session: &mut Session, table: &RemoteTable) -> Result<(), Stop> {
        let named = (table.schema.clone(), table.name.clone());
        if self.held.contains(&named) {
            return Ok(());
        }
        session.connection().query_drop(format!("SELECT 1 FROM {} LIMIT 0", self.dialect.table(&table.schema, &table.name))).await?;
        let sql = format!(
            "SELECT CONVERT(t.ENGINE USING utf8mb4) FROM information_schema.TABLES AS t JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE \
             WHERE {} AND e.TRANSACTIONS <> 'YES'",
            self.is_named("t", table)?
        );
        match session.rows(&sql).await?.first().and_then(|row| text(row, 0)) {
            Some(engine) => {
                let text = format!("table \"{}\" is stored by {engine}, which knows no transactions", table.name);
                Err(Error::new(ErrorKind::Unsupported, text).hint("store it with InnoDB").remote_code("0A000").into())
            }
            None => {
                self.held.insert(named);
                Ok(())
            }
        }
    }

    /// Makes sure that the columns still have the types they are known by: values were only checked against those.
    async fn check_columns(&self, session: &mut Session, table: &RemoteTable, columns: &[&RemoteColumn]) -> Result<(), Stop> {
        let sql = format!(
            "SELECT CONVERT(c.COLUMN_NAME USING utf8mb4), CONVERT(c.COLUMN_TYPE USING utf8mb4) FROM information_schema.COLUMNS AS c WHERE {}",
            self.is_named("c", table)?
        );
        let now: HashMap<String, String> =
            session.rows(&sql).await?.iter().filter_map(|row| Some((text(row, 0)?, text(row, 1)?))).collect();
        match columns.iter().find(|column| now.get(&column.name).is_some_and(|now| *now != column.remote_type)) {
            Some(column) => Err(changed(format!("column \"{}\" of {} is {} now", column.name, table.subject(), now[&column.name])).into()),
            None => Ok(()),
        }
    }

    fn is_named(&self, alias: &str, table: &RemoteTable) -> Result<String> {
        let literal = |name: &str| {
            let unwritable = || Error::new(ErrorKind::Internal, format!("the name {name:?} cannot be written as a literal"));
            self.dialect.literal(&ScalarValue::Utf8(Some(name.to_owned()))).ok_or_else(unwritable)
        };
        let schema = if table.schema.is_empty() { "DATABASE()".to_owned() } else { literal(&table.schema)? };
        Ok(format!("{alias}.TABLE_SCHEMA = {schema} AND {alias}.TABLE_NAME = {}", literal(&table.name)?))
    }
}

/// Why a statement of a transaction ended early.
enum Stop {
    /// The server or the connection to it.
    Remote(mysql_async::Error),
    /// Anybody else.
    Here(Fault),
}

impl Stop {
    /// Marks the connection as one that nothing runs on, if so. What runs on it otherwise is ended when it is dropped.
    fn settle<T>(session: &mut Session, done: &Result<T, Stop>) {
        match done {
            Ok(_) => session.finish(),
            Err(Self::Remote(cause)) if !failure::lost_connection(cause) => session.finish(),
            Err(_) => {}
        }
    }
}

impl From<mysql_async::Error> for Stop {
    fn from(cause: mysql_async::Error) -> Self {
        Self::Remote(cause)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Here(error.into())
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Here(fault)
    }
}

impl From<Interruption> for Stop {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Remote(cause) => Self::Remote(cause),
            Interruption::Here(error) => error.into(),
            Interruption::Unwanted => Error::new(ErrorKind::Cancelled, "the change was cancelled").into(),
        }
    }
}

impl From<Stop> for Fault {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Remote(cause) => of_change(cause).into(),
            Stop::Here(fault) => fault,
        }
    }
}

/// The server's limit for what has this deadline: of few lengths, so that it is rarely told anew.
fn limit(deadline: Deadline) -> Duration {
    Duration::from_secs((deadline.remaining() + REMOTE_GRACE).as_secs().saturating_add(1).next_power_of_two())
}

/// Where returned rows go.
struct Output<'a> {
    batch: BatchBuilder,
    returned: Returned<'a>,
}

impl<'a> Output<'a> {
    fn new(returned: Returned<'a>, zero_dates: ZeroDates) -> Result<Self> {
        Ok(Self { batch: BatchBuilder::new(returned.schema.clone(), zero_dates)?, returned })
    }

    fn push(&mut self, row: Row) -> Result<(), Fault> {
        self.batch.push(row)?;
        if self.batch.rows() >= RETURNED_ROWS || self.batch.bytes() >= BATCH_BYTES { self.hand_on() } else { Ok(()) }
    }

    fn hand_on(&mut self) -> Result<(), Fault> {
        if self.batch.rows() == 0 {
            return Ok(());
        }
        let batch = self.batch.finish()?;
        Ok((self.returned.take)(batch)?)
    }
}

/// Runs a statement, prepared, and says how many rows it changed or returned.
async fn execute(session: &mut Session, sql: &str, params: Params, output: Option<&mut Output<'_>>) -> Result<u64, Stop> {
    let Some(output) = output else {
        session.connection().exec_drop(sql, params).await?;
        let changed = session.connection().affected_rows();
        if session.connection().get_warnings() > 0 {
            check_warnings(session).await?;
        }
        return Ok(changed);
    };
    let mut result = session.connection().exec_iter(sql, params).await?;
    output.batch.come_from(result.columns_ref())?;
    let mut count = 0;
    {
        let Some(mut rows) = result.stream::<Row>().await? else {
            return Err(Error::new(ErrorKind::Internal, "the change returned no rows").into());
        };
        while let Some(row) = rows.next().await {
            output.push(row?)?;
            count += 1;
        }
    }
    drop(result);
    check_warnings(session).await?;
    Ok(count)
}

/// Refuses what the server changed on its way into a row and only warned of.
async fn check_warnings(session: &mut Session) -> Result<(), Stop> {
    let warnings: Vec<(String, u16, String)> = session.connection().query("SHOW WARNINGS").await?;
    match warnings.into_iter().find(|(_, code, _)| tells_of_a_changed_value(*code)) {
        Some((_, code, message)) => Err(of_warning(code, message).into()),
        None => Ok(()),
    }
}
