//! Statements that go on for longer than anybody waits, made of a table that is joined with itself again and again.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::execution::SendableRecordBatchStream;

use super::sampled::{MOST_ROWS, Sampled};
use super::{Refusal, told};
use crate::remote::RemoteTable;
use crate::sql::{RemoteSql, ScanLimits, SqlRemote, SqlTable};

/// So many combinations of rows take any source longer than anybody waits.
const ENDLESS: f64 = 1e13;
/// Rows in a batch.
const BATCH_ROWS: usize = 1_024;

/// The table that is joined with itself: the largest of those that are known whole, else of those that are known in part.
pub(super) fn widest(tables: &[Sampled]) -> Option<&Sampled> {
    let is_wide = |sampled: &&Sampled| sampled.rows.num_rows() >= 10;
    tables.iter().filter(is_wide).max_by_key(|sampled| (sampled.part().is_none(), sampled.rows.num_rows()))
}

/// `table a, table b, ...`, as often as it takes.
fn product(remote: &dyn SqlRemote, sampled: &Sampled) -> String {
    let rows = sampled.rows.num_rows() as f64;
    let times = (ENDLESS.ln() / rows.ln()).ceil() as usize;
    let name = remote.dialect().table(&sampled.table.schema, &sampled.table.name);
    let parts: Vec<String> = (0..times).map(|at| format!("{name} t{at}")).collect();
    parts.join(", ")
}

fn limits(query_timeout: Option<Duration>) -> ScanLimits {
    ScanLimits::new(query_timeout, BATCH_ROWS)
}

/// Counts without an end: the source computes and sends nothing.
pub(super) fn computing(
    remote: &Arc<dyn SqlRemote>,
    sampled: &Sampled,
    query_timeout: Option<Duration>,
) -> Result<SendableRecordBatchStream, Refusal> {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    // A condition that no source can decide without looking keeps it from multiplying counts.
    let column = remote.dialect().quote(&sampled.table.columns[0].name);
    let sql = format!(
        "SELECT count(*) FROM {} WHERE t0.{column} IS NULL OR t1.{column} IS NOT NULL OR t1.{column} IS NULL",
        product(remote.as_ref(), sampled)
    );
    Arc::clone(remote).execute(RemoteSql::new(sql), schema, limits(query_timeout)).map_err(told)
}

/// Rows without an end: the source sends as fast as it is read.
pub(super) fn sending(
    remote: &Arc<dyn SqlRemote>,
    sampled: &Sampled,
    query_timeout: Option<Duration>,
) -> Result<SendableRecordBatchStream, Refusal> {
    let table = SqlTable::new(Arc::clone(remote), sampled.table.clone(), None);
    let rows = table.select(None, &[], None).render(remote.dialect());
    let sql = format!("SELECT r.* FROM ({rows}) r, {}", product(remote.as_ref(), sampled));
    Arc::clone(remote).execute(RemoteSql::new(sql), sampled.table.arrow_schema(), limits(query_timeout)).map_err(told)
}

/// The rows of a table once, no more of them than a table that is known whole can have.
pub(super) fn whole(
    remote: &Arc<dyn SqlRemote>,
    table: &RemoteTable,
    query_timeout: Option<Duration>,
) -> Result<SendableRecordBatchStream, Refusal> {
    let select = SqlTable::new(Arc::clone(remote), table.clone(), None).select(None, &[], Some(MOST_ROWS));
    let sql = RemoteSql::new(select.render(remote.dialect()));
    Arc::clone(remote).execute(sql, table.arrow_schema(), limits(query_timeout)).map_err(told)
}
