//! Reads a table over several connections at once, each taking the next range of its blocks, all in one exported snapshot.
//!
//! The first connection opens the snapshot, and the others join it (`crew`). So any number of connections from one upwards reads the
//! whole table, and none is held by somebody who only waits.
//!
//! `TRUNCATE` and rewrites of a table are not versioned as rows are: a snapshot taken before sees an empty table after. Each
//! connection therefore locks the table against them before it looks, and until it has read what it took. The first one holds its lock
//! as long as anything is left to take, so none that joins finds another table than it did.

use std::future::Ready;
use std::iter;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error as DriverError, SimpleQueryRow};

use super::block_ranges::{BlockRange, BlockRanges, SMALLEST_SPLIT};
use super::connect::{Lease, milliseconds};
use super::copy_binary::CopyDecoder;
use super::copy_reader::{CopyReader, ReadError, Step};
use super::described::Wanted;
use super::exported_snapshot::{BEGIN, ExportedSnapshot};
use super::failure;
use super::scan::{Source, clock, within};
use super::seat::{Seat, end};
use super::shape::Shapes;
use crate::crew::{Joining, Role, Shift, readers, work};
use crate::deadline::Deadline;
use crate::error::Result;
use crate::shared_rows::{RowQueue, shared_rows};
use crate::sql::{BATCHES_AHEAD, Reliance, ScanLimits, Select, SplitScan, Turn, origins};

/// The first server that reads a range of `ctid` without reading the rest of the table.
pub(super) const OLDEST_SERVER: u32 = 14;

/// Nodes of a plan that read all of a table. One with any other reads less than that, and reads it once.
const WHOLE_TABLE: [&str; 4] = ["Seq Scan", "Append", "Gather", "Result"];

/// A scan of one table, to be started any number of times.
#[derive(Debug, Clone)]
pub(super) struct ParallelScan {
    source: Source,
    /// A select of the bare table; it may filter.
    select: Select,
    streams: usize,
    /// Connections that read it at most.
    readers: usize,
    /// The snapshot it reads in; without one it takes its own.
    snapshot: Option<(Arc<ExportedSnapshot>, Turn)>,
}

impl ParallelScan {
    /// How a table of so many `blocks` is read into up to `streams`; `None` when one connection is as good, or all there may be.
    pub(super) fn new(source: Source, select: &Select, blocks: u64, streams: usize) -> Option<Self> {
        (blocks >= SMALLEST_SPLIT && source.connections.most() > 2).then(|| Self::in_snapshot(source, select, streams, None))
    }

    /// The same in a snapshot that is there, once it is known that there are several streams.
    pub(super) fn in_snapshot(source: Source, select: &Select, streams: usize, snapshot: Option<(Arc<ExportedSnapshot>, Turn)>) -> Self {
        let readers = readers(source.connections.most(), streams);
        Self { select: select.clone(), streams: streams.min(readers), readers, snapshot, source }
    }
}

impl SplitScan for ParallelScan {
    fn streams(&self) -> usize {
        self.streams
    }

    fn connections(&self) -> usize {
        self.readers
    }

    fn start(&self, schema: &SchemaRef, reliance: &Reliance, limits: ScanLimits) -> Result<Vec<SendableRecordBatchStream>> {
        // It proves that every column can be decoded; each connection has a decoder of its own.
        CopyDecoder::new(Arc::clone(schema), limits).map_err(|error| error.at(self.source.id.as_str()))?;
        let (scan, row_schema, reliance) = (self.clone(), Arc::clone(schema), reliance.clone());
        Ok(shared_rows(schema, self.streams, BATCHES_AHEAD * self.streams, move |queue| {
            async move {
                let deadline = limits.query_timeout.map(Deadline::after);
                let (id, closed) = (scan.source.id.clone(), scan.source.closed.clone());
                let run = Run { scan, schema: row_schema, reliance, limits, deadline, queue, progress: Notify::new() };
                within(deadline, &closed, run.conduct()).await.map_err(|error| error.at(id.as_str()))
            }
            .boxed()
        }))
    }
}

/// One run of a scan.
struct Run {
    scan: ParallelScan,
    schema: SchemaRef,
    reliance: Reliance,
    limits: ScanLimits,
    deadline: Option<Deadline>,
    queue: Arc<RowQueue>,
    /// A range was read.
    progress: Notify,
}

/// What the first worker found.
#[derive(Debug)]
struct View {
    /// The name by which others join the snapshot.
    snapshot: String,
    /// The blocks of the table, or of its largest part.
    blocks: u64,
}

/// How the first worker reads.
enum Opened {
    /// In ranges, in which others may help.
    Ranges(Seat, View, BlockRanges),
    /// All at once: the source does not let us do otherwise.
    Whole(Option<Seat>),
}

/// The ranges of a table, and who reads them.
struct Shared {
    run: Run,
    view: View,
    ranges: BlockRanges,
}

impl Shift for Shared {
    type Seat = Seat;

    fn is_over(&self) -> bool {
        self.ranges.is_empty()
    }

    fn progress(&self) -> &Notify {
        &self.run.progress
    }

    async fn join(self: Arc<Self>) -> Joining<Seat> {
        self.run.join(&self.view).await
    }

    async fn read(self: Arc<Self>, seat: Seat, role: Role) -> Result<()> {
        self.run.read_ranges(seat, &self.ranges, role).await
    }
}

impl Run {
    /// Reads everything, with as many workers as there are connections to spare.
    async fn conduct(self) -> Result<()> {
        match self.open().await? {
            Opened::Ranges(seat, view, ranges) => {
                let readers = self.scan.readers;
                work(Arc::new(Shared { run: self, view, ranges }), readers, seat, iter::empty::<Ready<_>>()).await
            }
            Opened::Whole(seat) => self.read_whole(seat).await,
        }
    }

    /// Opens the snapshot, or finds a place in the statement's.
    async fn open(&self) -> Result<Opened> {
        let lease = match &self.scan.snapshot {
            None => None,
            Some((snapshot, turn)) => match snapshot.seat(*turn, self.deadline).await?.into_own() {
                Ok(lease) => Some(lease),
                Err(seat) => return self.open_in(seat, snapshot).await,
            },
        };
        self.open_alone(lease).await
    }

    /// In the snapshot of the statement, whose connection has locked the table already.
    async fn open_in(&self, mut seat: Seat, snapshot: &ExportedSnapshot) -> Result<Opened> {
        let Some(exported) = snapshot.exported().filter(|exported| exported.is_locked) else { return Ok(Opened::Whole(Some(seat))) };
        let sql = format!("{}{}", self.explain(), self.view(&format!("'{}'", exported.name)));
        match seat.text_rows(&sql, self.limits.query_timeout).await {
            Ok(rows) => Ok(match self.viewed(&rows) {
                Some((view, ranges)) => Opened::Ranges(seat, view, ranges),
                None => Opened::Whole(Some(seat)),
            }),
            Err(error) => Err(seat.fail(failure::running(error, clock(self.deadline)))),
        }
    }

    /// In a snapshot of its own, on `lease` if there is one that will do.
    async fn open_alone(&self, mut lease: Option<Lease>) -> Result<Opened> {
        loop {
            let mut own = match lease.take() {
                Some(lease) => lease,
                None => self.scan.source.connections.lease(self.deadline).await?,
            };
            let used = own.is_used();
            match self.begin(&mut own).await {
                Ok(rows) => {
                    let seat = Seat::in_transaction(own);
                    return Ok(match self.viewed(&rows) {
                        Some((view, ranges)) => Opened::Ranges(seat, view, ranges),
                        None => Opened::Whole(Some(seat)),
                    });
                }
                Err(error) if failure::is_refused(&error) => {
                    tracing::debug!(datasource = %self.scan.source.id, code = error.code().map(SqlState::code), "no parallel scan");
                    end(own, "ROLLBACK").await;
                    return Ok(Opened::Whole(None));
                }
                Err(error) => {
                    own.discard();
                    if !(used && failure::is_lost(&error)) {
                        return Err(failure::running(error, clock(self.deadline)));
                    }
                }
            }
        }
    }

    /// What the source says of the table, and in which ranges it is read then.
    fn viewed(&self, rows: &[SimpleQueryRow]) -> Option<(View, BlockRanges)> {
        let (last, plans) = rows.split_last()?;
        let view = View { snapshot: last.get(0)?.to_owned(), blocks: last.get(1)?.parse().ok()? };
        let is_whole = plans.iter().filter_map(|row| row.get(0)).all(reads_everything);
        let ranges = if is_whole { BlockRanges::new(view.blocks, self.scan.readers) } else { BlockRanges::whole() };
        Some((view, ranges))
    }

    /// Joins the snapshot of the first worker on a connection that is to spare. A worker that cannot join leaves all ranges to the
    /// others.
    async fn join(&self, first: &View) -> Joining<Seat> {
        loop {
            let mut lease = match self.scan.source.connections.lease_spare(self.deadline).await {
                Ok(Some(lease)) => lease,
                Ok(None) => return Joining::Unneeded,
                Err(error) => return self.stay_away(&error),
            };
            let used = lease.is_used();
            match self.join_on(&mut lease, &first.snapshot).await {
                Ok(_) => return Joining::Joined(Seat::in_transaction(lease)),
                Err(error) if failure::is_lost(&error) => {
                    lease.discard();
                    if !used {
                        return self.stay_away(&error);
                    }
                }
                Err(error) => {
                    end(lease, "ROLLBACK").await;
                    return self.stay_away(&error);
                }
            }
        }
    }

    fn stay_away(&self, reason: impl std::fmt::Display) -> Joining<Seat> {
        tracing::debug!(datasource = %self.scan.source.id, %reason, "a worker could not join the scan");
        Joining::Failed
    }

    /// Begins a transaction that locks the table in a new snapshot. It also looks at the table, and when the select filters, at the
    /// source's plan for it before that.
    async fn begin(&self, lease: &mut Lease) -> Result<Vec<SimpleQueryRow>, DriverError> {
        // A lock is no query: the snapshot is taken after it was waited for.
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE", self.scan.select.from);
        let (idle, explain, view) = (self.patience(), self.explain(), self.view("pg_catalog.pg_export_snapshot()"));
        lease.text_rows(&format!("{BEGIN}; {idle}; {lock}; {explain}{view}"), self.limits.query_timeout).await
    }

    /// Begins a transaction that locks the table in the snapshot of another.
    async fn join_on(&self, lease: &mut Lease, snapshot: &str) -> Result<Vec<SimpleQueryRow>, DriverError> {
        // Whoever waits to rewrite the table waits for us, and one that joins would wait for him.
        let lock = format!("LOCK TABLE {} IN ACCESS SHARE MODE NOWAIT", self.scan.select.from);
        let sql = format!("{BEGIN}; SET TRANSACTION SNAPSHOT '{snapshot}'; {}; {lock}", self.patience());
        lease.text_rows(&sql, self.limits.query_timeout).await
    }

    /// The source may have sent a range in full while its reader still has it before him.
    fn patience(&self) -> String {
        format!("SET LOCAL idle_in_transaction_session_timeout = {}", milliseconds(self.limits.query_timeout))
    }

    fn explain(&self) -> String {
        match self.scan.select.filter.is_empty() {
            true => String::new(),
            false => format!("EXPLAIN (FORMAT JSON, COSTS OFF) {}; ", self.scan.select.render(self.scan.source.dialect)),
        }
    }

    /// The statement that tells the snapshot's name and the blocks of the table, or of its largest part.
    fn view(&self, snapshot: &str) -> String {
        let name = self.scan.select.from.replace('\'', "''");
        format!(
            "WITH RECURSIVE part AS ( \
                 SELECT pg_catalog.to_regclass('{name}')::pg_catalog.oid AS oid \
                 UNION ALL SELECT i.inhrelid FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid \
             ) \
             SELECT {snapshot}, \
                    COALESCE(pg_catalog.max(pg_catalog.pg_relation_size(p.oid)), 0) \
                        / pg_catalog.current_setting('block_size')::pg_catalog.int8 \
             FROM part p"
        )
    }

    /// Reads one range after another until there is none.
    async fn read_ranges(&self, mut seat: Seat, ranges: &BlockRanges, role: Role) -> Result<()> {
        let mut reader =
            CopyReader::new(CopyDecoder::new(Arc::clone(&self.schema), self.limits)?.of(origins(&self.schema, &self.reliance)));
        let shapes = Shapes::of(&self.reliance, &self.scan.source.known, self.scan.source.dialect)?;
        // Reading it once keeps the table from being changed until the transaction ends.
        let mut is_checked = false;
        while let Some(range) = ranges.take() {
            let sql = self.statement(range);
            let wanted = (!is_checked).then(|| Wanted { decoder: reader.decoder(), shapes: &shapes });
            is_checked = true;
            let rows = match seat.copy_out(&sql, wanted, self.limits.query_timeout).await {
                Ok(rows) => rows,
                Err(ReadError::Value(error)) => return Err(seat.fail(error)),
                Err(ReadError::Driver(error)) => return Err(seat.fail(failure::running(error, clock(self.deadline)))),
            };
            let mut rows = Box::pin(rows);
            loop {
                match reader.step(&mut rows).await {
                    Ok(Step::Batch(batch)) => self.queue.push(batch).await,
                    Ok(Step::End) => break,
                    Err(ReadError::Driver(error)) => return Err(seat.fail(failure::running(error, clock(self.deadline)))),
                    Err(ReadError::Value(error)) => return Err(error),
                }
            }
            reader.restart();
            if role == Role::Joined && self.scan.source.connections.are_waited_for() {
                break;
            }
            self.progress.notify_one();
        }
        seat.finish().await;
        if let Some(batch) = reader.rest()? {
            self.queue.push(batch).await;
        }
        Ok(())
    }

    /// Reads the table in one statement, on `seat` if there is one.
    async fn read_whole(&self, seat: Option<Seat>) -> Result<()> {
        let seat = match seat {
            Some(seat) => seat,
            None => Seat::alone(self.proven().await?),
        };
        self.read_ranges(seat, &BlockRanges::whole(), Role::First).await
    }

    /// A connection that has just answered.
    async fn proven(&self) -> Result<Lease> {
        loop {
            let mut lease = self.scan.source.connections.lease(self.deadline).await?;
            match lease.text_rows("", self.limits.query_timeout).await {
                Ok(_) => return Ok(lease),
                Err(error) if lease.is_used() && failure::is_lost(&error) => lease.discard(),
                Err(error) => {
                    lease.discard();
                    return Err(failure::running(error, clock(self.deadline)));
                }
            }
        }
    }

    fn statement(&self, range: BlockRange) -> String {
        let mut select = self.scan.select.clone();
        select.filter.extend(range.condition());
        select.render(self.scan.source.dialect)
    }
}

/// Whether a plan, as `EXPLAIN (FORMAT JSON)` shows it, reads the table from end to end. What cannot be read as one does not.
fn reads_everything(plan: &str) -> bool {
    let Ok(Value::Array(plans)) = serde_json::from_str(plan) else { return false };
    !plans.is_empty() && plans.iter().all(|plan| plan.get("Plan").is_some_and(node_reads_everything))
}

fn node_reads_everything(node: &Value) -> bool {
    let is_whole = node.get("Node Type").and_then(Value::as_str).is_some_and(|name| WHOLE_TABLE.contains(&name));
    let below = node.get("Plans").map_or(Some(&[][..]), |plans| plans.as_array().map(Vec::as_slice));
    is_whole && below.is_some_and(|plans| plans.iter().all(node_reads_everything))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_in_the_plan_is_seen_and_one_in_a_text_is_not() {
        let plan = |node: &str, more: &str| format!("[ {{ \"Plan\": {{ \"Node Type\" : \"{node}\" {more} }} }} ]");
        assert!(reads_everything(&plan("Seq Scan", ", \"Filter\": \"(a > 5)\"")));
        assert!(reads_everything(&plan("Seq Scan", ", \"Filter\": \"(a = '\\\"Node Type\\\": \\\"Index Scan\\\"'::text)\"")));
        assert!(!reads_everything(&plan("Index Scan", "")));
        assert!(!reads_everything(&plan("Seq Scan Of Something", "")));
        let below = |node: &str| format!(", \"Plans\": [ {{ \"Node Type\": \"Seq Scan\" }}, {{\"Node Type\":\"{node}\"}} ]");
        assert!(reads_everything(&plan("Append", &below("Seq Scan"))));
        assert!(!reads_everything(&plan("Append", &below("Bitmap Heap Scan"))));
        for odd in ["", "[]", "{}", "[{}]", "[{\"Plan\": {}}]", "[{\"Plan\": {\"Node Type\": \"Append\", \"Plans\": 7}}]"] {
            assert!(!reads_everything(odd), "{odd}");
        }
    }
}
