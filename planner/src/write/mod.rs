//! Statements that change rows: `INSERT`, `UPDATE` and `DELETE` of one table, which its source does in a transaction of its own.
//!
//! What is inserted is the result of a query, planned and computed as any other and streamed to the source ([`insert`]). What is
//! updated or deleted is decided by the source alone, in one statement, so that nobody changes a row between our look at it and the
//! change ([`change`]): its conditions and values must be such that the source computes them exactly as is done here. What is returned
//! is computed here, over the rows as the source gives them back ([`returning`]).

mod change;
mod conflict;
mod flat;
mod insert;
mod returning;
mod syntax;
mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use causeway_providers::sql::normalize;
use causeway_providers::{Deadline, Insertion, RemoteId, RemoteTransaction, Returned, StatementObserver, observe_changes};
use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{SelectItem, Statement as SqlStatement, TableFactor, With};
use futures::{StreamExt, stream};

use crate::changes::RowChange;
use crate::engine::{Engine, PushDown, StatementContext};
use crate::error::{Error, Result};
use crate::memory::ProcessMemory;
use crate::progress::Progress;
use crate::query::{Execution, Query};
use change::Change;
use conflict::ConflictClause;
use insert::Insert;
use target::Target;

/// A planned change of one table's rows.
pub struct Write {
    target: Target,
    work: Work,
    returning: Option<Query>,
    /// Is told of what is sent.
    observer: Option<Arc<dyn StatementObserver>>,
    /// Of which each run gets a share.
    memory: Arc<ProcessMemory>,
}

/// What is done to the table.
enum Work {
    Insert(Insert),
    Change(Change),
}

/// A change that was made, as far as its transaction is concerned.
pub struct Written {
    /// How many rows were inserted, updated or deleted.
    pub rows: u64,
    /// What it returns, if it was asked to.
    pub returned: Option<Execution>,
}

impl Write {
    /// The schema and name here of the table it changes.
    pub fn table(&self) -> (&str, &str) {
        let (schema, name) = self.target.place();
        (schema, name)
    }

    /// The datasource whose table it changes.
    pub fn datasource(&self) -> &RemoteId {
        self.target.remote().id()
    }

    /// Whether it inserts.
    pub fn is_insert(&self) -> bool {
        matches!(self.work, Work::Insert(_))
    }

    /// How long the datasource lets a statement take. `None` is without limit.
    pub fn query_timeout(&self) -> Option<std::time::Duration> {
        self.target.query_timeout()
    }

    /// Begins a transaction of the datasource, in which this may run, and others that change the same datasource.
    ///
    /// # Errors
    /// What the datasource gives.
    pub async fn begin(&self, deadline: Deadline) -> Result<Box<dyn RemoteTransaction>> {
        let remote = self.target.remote();
        let transaction = remote.begin(deadline).await.map_err(from_source)?;
        Ok(match &self.observer {
            Some(observer) => observe_changes(transaction, Arc::clone(remote) as _, Arc::clone(observer)),
            None => transaction,
        })
    }

    /// Makes the change in `transaction`, which is one of this datasource and of no use any more when this fails.
    ///
    /// Dropping the future ends the work here and at the sources, and `transaction` with it.
    ///
    /// # Errors
    /// What the sources give; what its query fails with; `Unsupported` with a reason when the source cannot make it as is meant here.
    pub async fn run(
        &self,
        parameters: &[ScalarValue],
        transaction: &mut dyn RemoteTransaction,
        progress: &Progress,
        deadline: Deadline,
    ) -> Result<Written> {
        let run = Run { parameters, progress, memory: self.memory.for_statement(), deadline };
        let Some(returning) = &self.returning else {
            let rows = self.change(&run, transaction, None).await?;
            return Ok(Written { rows, returned: None });
        };
        let kept = Kept::new(&run.memory);
        let mut take = |batch| kept.take(batch);
        let returned = Returned { schema: self.target.table().arrow_schema(), take: &mut take };
        let rows = self.change(&run, transaction, Some(returned)).await?;
        let (kept, held) = kept.into_parts();
        let Execution { rows: returned, truncation } =
            returning.execute_over(of(returning, parameters), self.target.table(), kept, progress, run.memory).await?;
        // What it was made of counts for as long as it is read.
        let rows_and_memory = stream::unfold((returned, held), async |(mut returned, held)| {
            let batch = returned.next().await?;
            Some((batch, (returned, held)))
        });
        let returned =
            Execution { rows: Box::pin(RecordBatchStreamAdapter::new(Arc::clone(returning.schema()), rows_and_memory)), truncation };
        Ok(Written { rows, returned: Some(returned) })
    }

    async fn change(&self, run: &Run<'_>, transaction: &mut dyn RemoteTransaction, returned: Option<Returned<'_>>) -> Result<u64> {
        let &Run { parameters, progress, deadline, .. } = run;
        let returning = if returned.is_some() { self.target.returning() } else { String::new() };
        match &self.work {
            Work::Change(change) => match change.statement(&self.target, parameters, &returning)? {
                Some(sql) => {
                    progress.show_change(self.datasource(), normalize(&sql.text, self.target.dialect().quoting()));
                    Ok(transaction.run(&sql, returned, deadline).await?)
                }
                // Its condition holds for no row.
                None => Ok(0),
            },
            Work::Insert(insert) => {
                let ConflictClause { text, updates, reliance } = insert.conflict_clause(&self.target, parameters)?;
                let insertion = Insertion {
                    table: Arc::clone(self.target.table()),
                    columns: insert.columns().to_vec(),
                    clauses: [text, returning].into_iter().filter(|clause| !clause.is_empty()).collect::<Vec<_>>().join(" "),
                    updates,
                    reliance,
                };
                let sent = progress.show_change(self.datasource(), insertion.normalized(self.target.dialect()));
                let rows: SendableRecordBatchStream = insert.rows(&self.target, run, sent).await?;
                Ok(transaction.insert(&insertion, rows, returned, deadline).await?)
            }
        }
    }
}

/// What one run of a change is given.
struct Run<'a> {
    parameters: &'a [ScalarValue],
    progress: &'a Progress,
    /// Of all that it does.
    memory: Arc<dyn MemoryPool>,
    deadline: Deadline,
}

/// Those of a statement's parameters that `query`, a part of it, takes.
fn of(query: &Query, parameters: &[ScalarValue]) -> Vec<ScalarValue> {
    parameters[..query.parameter_types().len().min(parameters.len())].to_vec()
}

fn from_source(error: causeway_providers::Error) -> Error {
    Error::from(datafusion::error::DataFusionError::from(error))
}

/// Rows that came back, until what is returned of them is computed.
struct Kept {
    rows: Mutex<Vec<RecordBatch>>,
    memory: MemoryReservation,
}

impl Kept {
    fn new(pool: &Arc<dyn MemoryPool>) -> Self {
        Self { rows: Mutex::default(), memory: MemoryConsumer::new("RETURNING").register(pool) }
    }

    fn take(&self, batch: RecordBatch) -> DataFusionResult<()> {
        self.memory.try_grow(batch.get_array_memory_size())?;
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
        Ok(())
    }

    fn into_parts(self) -> (Vec<RecordBatch>, MemoryReservation) {
        (self.rows.into_inner().unwrap_or_else(PoisonError::into_inner), self.memory)
    }
}

/// Plans a change, with the `WITH` in front of it.
///
/// # Errors
/// As those of a query; `Unsupported` for a form or a table that cannot be written here.
pub(crate) async fn plan(
    engine: &Engine,
    change: RowChange<'_>,
    with: Option<&With>,
    declared: &[Option<DataType>],
    context: &StatementContext,
) -> Result<Query> {
    let planning = Planning { engine, context, with };
    match change {
        RowChange::Insert(insert) => insert::plan(&planning, insert, declared).await,
        RowChange::Update(update) => change::update(&planning, update, declared).await,
        RowChange::Delete(delete) => change::delete(&planning, delete, declared).await,
    }
}

/// What the parts of a change are planned with.
struct Planning<'a> {
    engine: &'a Engine,
    context: &'a StatementContext,
    /// The `WITH` in front of the statement.
    with: Option<&'a With>,
}

impl Planning<'_> {
    /// Plans a query that is a part of the change.
    async fn query(&self, query: SqlStatement, declared: &[Option<DataType>]) -> Result<Query> {
        self.engine.query(&query, None, declared, self.context).await
    }

    /// Plans a query that only words what the source is told, whatever sources may compute otherwise.
    async fn wording(&self, query: SqlStatement, declared: &[Option<DataType>]) -> Result<Query> {
        let context = StatementContext { push_down: PushDown::On, ..self.context.clone() };
        self.engine.query(&query, None, declared, &context).await
    }

    /// Puts the parts together. `main` is the query that tells which rows change, or gives those that are inserted; `types` are those of the
    /// statement's parameters.
    async fn finish(
        &self,
        target: Target,
        factor: &TableFactor,
        work: Work,
        main: &Query,
        types: Vec<DataType>,
        returning: Option<&Vec<SelectItem>>,
    ) -> Result<Query> {
        let declared: Vec<_> = types.iter().cloned().map(Some).collect();
        let returning = match returning {
            Some(items) => Some(returning::plan(self, &target, factor, &work, items, &declared).await?),
            None => None,
        };
        let schema = returning.as_ref().map_or_else(|| Arc::new(Schema::empty()), |returning| Arc::clone(returning.schema()));
        let types = match &returning {
            Some(returning) if returning.parameter_types().len() > declared.len() => returning.parameter_types().to_vec(),
            _ => types,
        };
        let mut tables = main.tables().to_vec();
        if !tables.contains(target.place()) {
            tables.push(target.place().clone());
        }
        let (observer, memory) = (self.context.observer.clone(), self.engine.memory());
        Ok(Query::of_write(Write { target, work, returning, observer, memory }, main, schema, types, tables))
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write").field("target", &self.target).finish_non_exhaustive()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("rows", &self.rows).finish_non_exhaustive()
    }
}
