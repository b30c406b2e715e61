//! Reads a table over several connections at once, each taking the next range of its blocks, all in one exported snapshot.
//!
//! The first connection opens the snapshot and reads whatever nobody else does; the others join it while there are connections to
//! spare, and leave between two ranges when somebody waits for theirs. So any number of connections from one upwards reads the
//! whole table, and none is held by somebody who only waits.
//!
//! `TRUNCATE` and rewrites of a table are not versioned as rows are: a snapshot taken before sees an empty table after. Each
//! connection therefore locks the table against them before it looks, and until it has read what it took. The first one holds its lock
//! as long as anything is left to take, so none that joins finds another table than it did.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::FutureExt;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error as DriverError, SimpleQueryRow};
use tokio_util::sync::CancellationToken;

use super::block_ranges::{BlockRange, BlockRanges, SMALLEST_SPLIT};
use super::connect::{Connections, Lease, milliseconds};
use super::copy_binary::CopyDecoder;
use super::copy_reader::{CopyReader, ReadError, Step};
use super::failure;
use super::scan::{clock, within};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::remote::RemoteId;
use crate::shared_rows::{RowQueue, shared_rows};
use crate::sql::{Dialect, ScanLimits, Select, SplitScan};

/// The first server that reads a range of `ctid` without reading the rest of the table.
pub(super) const OLDEST_SERVER: u32 = 14;
/// Batches that may wait for the readers, for each stream.
const BATCHES_AHEAD: usize = 2;

/// Nodes of a plan that read all of a table. One with any other reads less than that, and reads it once.
const WHOLE_TABLE: [&str; 4] = ["Seq Scan", "Append", "Gather", "Result"];

/// A scan of one table, to be started any number of times.
#[derive(Debug, Clone)]
pub(super) struct ParallelScan {
    pub(super) id: RemoteId,
    pub(super) connections: Arc<Connections>,
    pub(super) closed: CancellationToken,
    pub(super) dialect: &'static dyn Dialect,
    /// A select of the bare table; it may filter.
    pub(super) select: Select,
    pub(super) streams: usize,
}

impl SplitScan for ParallelScan {
    fn streams(&self) -> usize {
        self.streams
    }

    fn start(&self, schema: &SchemaRef, limits: ScanLimits) -> Result<Vec<SendableRecordBatchStream>> {
        // It proves that every column can be decoded; each connection has a decoder of its own.
        CopyDecoder::new(Arc::clone(schema), limits.batch_rows).map_err(|error| error.at(self.id.as_str()))?;
        let (scan, row_schema) = (self.clone(), Arc::clone(schema));
        Ok(shared_rows(schema, self.streams, BATCHES_AHEAD * self.streams, move |queue| {
            async move {
                let deadline = limits.query_timeout.map(Deadline::after);
                let (id, closed) = (scan.id.clone(), scan.closed.clone());
                let run = Arc::new(Run { scan, schema: row_schema, limits, deadline, queue, progress: Notify::new() });
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

/// Whether a worker may leave before all is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It holds the snapshot that others join, and stays.
    First,
    /// It leaves when somebody waits for its connection.
    Joined,
}

impl Run {
    /// Reads everything, with as many workers as there are connections to spare.
    async fn conduct(self: Arc<Self>) -> Result<()> {
        let Some((lease, view, ranges)) = self.open().await? else { return self.read_whole().await };
        let (view, ranges) = (Arc::new(view), Arc::new(ranges));
        let mut workers = JoinSet::new();
        workers.spawn(Arc::clone(&self).read_ranges(lease, Arc::clone(&ranges), Role::First));
        self.ask_for_help(&mut workers, &view, &ranges);
        loop {
            tokio::select! {
                ended = workers.join_next() => match ended {
                    None => return Ok(()),
                    Some(Ok(result)) => result?,
                    Some(Err(cause)) => return Err(Error::new(ErrorKind::Internal, "a worker of the scan stopped").because(cause)),
                },
                () = self.progress.notified() => self.ask_for_help(&mut workers, &view, &ranges),
            }
        }
    }

    /// Lets workers try to join where some are missing.
    fn ask_for_help(self: &Arc<Self>, workers: &mut JoinSet<Result<()>>, view: &Arc<View>, ranges: &Arc<BlockRanges>) {
        while workers.len() < self.scan.streams && !ranges.is_empty() {
            workers.spawn(Arc::clone(self).join(Arc::clone(view), Arc::clone(ranges)));
        }
    }

    /// Opens the snapshot. `None` when the source does not let us: the role may not lock, the server exports no snapshots.
    async fn open(&self) -> Result<Option<(Lease, View, BlockRanges)>> {
        loop {
            let mut lease = self.scan.connections.lease(self.deadline).await?;
            let used = lease.is_used();
            match self.begin(&mut lease, None).await {
                Ok(rows) => {
                    let Some(view) = rows.last().and_then(view) else { return Ok(None) };
                    let is_whole = rows.iter().rev().skip(1).filter_map(|row| row.get(0)).all(reads_everything);
                    let ranges = if is_whole { BlockRanges::new(view.blocks, self.scan.streams) } else { BlockRanges::whole() };
                    return Ok(Some((lease, view, ranges)));
                }
                Err(error) if failure::is_refused(&error) => {
                    tracing::debug!(datasource = %self.scan.id, code = error.code().map(SqlState::code), "no parallel scan");
                    end(lease, "ROLLBACK").await;
                    return Ok(None);
                }
                Err(error) => {
                    lease.discard();
                    if !(used && failure::is_lost(&error)) {
                        return Err(failure::running(error, clock(self.deadline)));
                    }
                }
            }
        }
    }

    /// Joins the snapshot of the first worker on a connection that is to spare, and reads ranges. A worker that cannot join leaves
    /// all ranges to the others.
    async fn join(self: Arc<Self>, first: Arc<View>, ranges: Arc<BlockRanges>) -> Result<()> {
        let lease = loop {
            let mut lease = match self.scan.connections.lease_spare(self.deadline).await {
                Ok(Some(lease)) => lease,
                Ok(None) => return Ok(()),
                Err(error) => return self.stay_away(&error),
            };
            let used = lease.is_used();
            match self.begin(&mut lease, Some(&first.snapshot)).await {
                Ok(_) => break lease,
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
        };
        self.read_ranges(lease, ranges, Role::Joined).await
    }

    fn stay_away(&self, reason: impl std::fmt::Display) -> Result<()> {
        tracing::debug!(datasource = %self.scan.id, %reason, "a worker could not join the scan");
        Ok(())
    }

    /// Begins a transaction that locks the table, in a new snapshot or in `joined`. In a new one it also looks at the table, and when
    /// the select filters, at the source's plan for it before that.
    async fn begin(&self, lease: &mut Lease, joined: Option<&str>) -> Result<Vec<SimpleQueryRow>, DriverError> {
        let table = &self.scan.select.from;
        // The source may have sent a range in full while its reader still has it before him.
        let idle = milliseconds(self.limits.query_timeout);
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let idle = format!("SET LOCAL idle_in_transaction_session_timeout = {idle}");
        // A lock is no query: a new snapshot is taken after it was waited for.
        let lock = format!("LOCK TABLE {table} IN ACCESS SHARE MODE");
        let sql = match joined {
            // Whoever waits to rewrite the table waits for us, and one that joins would wait for him.
            Some(snapshot) => format!("{begin}; SET TRANSACTION SNAPSHOT '{snapshot}'; {idle}; {lock} NOWAIT"),
            None => {
                let explain = match self.scan.select.filter.is_empty() {
                    true => String::new(),
                    false => format!("EXPLAIN (FORMAT JSON, COSTS OFF) {}; ", self.scan.select.render(self.scan.dialect)),
                };
                let name = table.replace('\'', "''");
                format!(
                    "{begin}; {idle}; {lock}; {explain}\
                     WITH RECURSIVE part AS ( \
                         SELECT pg_catalog.to_regclass('{name}')::pg_catalog.oid AS oid \
                         UNION ALL SELECT i.inhrelid FROM part p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid \
                     ) \
                     SELECT pg_catalog.pg_export_snapshot(), \
                            COALESCE(pg_catalog.max(pg_catalog.pg_relation_size(p.oid)), 0) \
                                / pg_catalog.current_setting('block_size')::pg_catalog.int8 \
                     FROM part p"
                )
            }
        };
        lease.text_rows(&sql, self.limits.query_timeout).await
    }

    /// Reads one range after another until there is none.
    async fn read_ranges(self: Arc<Self>, mut lease: Lease, ranges: Arc<BlockRanges>, role: Role) -> Result<()> {
        let mut reader = CopyReader::new(CopyDecoder::new(Arc::clone(&self.schema), self.limits.batch_rows)?);
        while let Some(range) = ranges.take() {
            let sql = self.statement(range);
            let rows = match lease.copy_out(&sql, self.limits.query_timeout).await {
                Ok(rows) => rows,
                Err(error) => {
                    lease.discard();
                    return Err(failure::running(error, clock(self.deadline)));
                }
            };
            let mut rows = Box::pin(rows);
            loop {
                match reader.step(&mut rows).await {
                    Ok(Step::Batch(batch)) => self.queue.push(batch).await,
                    Ok(Step::End) => break,
                    Err(ReadError::Driver(error)) => {
                        lease.discard();
                        return Err(failure::running(error, clock(self.deadline)));
                    }
                    Err(ReadError::Value(error)) => return Err(error),
                }
            }
            reader.restart();
            if role == Role::Joined && self.scan.connections.are_waited_for() {
                break;
            }
            self.progress.notify_one();
        }
        end(lease, "COMMIT").await;
        if let Some(batch) = reader.rest()? {
            self.queue.push(batch).await;
        }
        Ok(())
    }

    /// Reads the table in one statement and one transaction of its own.
    async fn read_whole(self: Arc<Self>) -> Result<()> {
        let lease = loop {
            let mut lease = self.scan.connections.lease(self.deadline).await?;
            match lease.text_rows("", self.limits.query_timeout).await {
                Ok(_) => break lease,
                Err(error) if lease.is_used() && failure::is_lost(&error) => lease.discard(),
                Err(error) => {
                    lease.discard();
                    return Err(failure::running(error, clock(self.deadline)));
                }
            }
        };
        self.read_ranges(lease, Arc::new(BlockRanges::whole()), Role::First).await
    }

    fn statement(&self, range: BlockRange) -> String {
        let mut select = self.scan.select.clone();
        select.filter.extend(range.condition());
        select.render(self.scan.dialect)
    }
}

/// Ends the transaction and gives the connection back. What was to be read was read by then, so a failure costs the connection only.
async fn end(lease: Lease, statement: &str) {
    match lease.client().batch_execute(statement).await {
        Ok(()) => lease.finish(),
        Err(_) => lease.discard(),
    }
}

fn view(row: &SimpleQueryRow) -> Option<View> {
    Some(View { snapshot: row.get(0)?.to_owned(), blocks: row.get(1)?.parse().ok()? })
}

/// Whether a plan, as `EXPLAIN (FORMAT JSON)` shows it, reads the table from end to end. Quotes inside its texts are escaped.
fn reads_everything(plan: &str) -> bool {
    const NODE: &str = "\"Node Type\": \"";
    plan.split(NODE).skip(1).all(|rest| WHOLE_TABLE.iter().any(|node| rest.strip_prefix(node).is_some_and(|rest| rest.starts_with('"'))))
}

/// How many streams a table of so many blocks is read in.
pub(super) fn streams(blocks: u64, wanted: usize, connections: usize) -> usize {
    if blocks < SMALLEST_SPLIT {
        return 1;
    }
    // One connection stays for somebody else.
    wanted.min(connections.saturating_sub(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_in_the_plan_is_seen_and_one_in_a_text_is_not() {
        let plan = |node: &str, filter: &str| format!("[{{ \"Plan\": {{ \"Node Type\": \"{node}\", \"Filter\": \"{filter}\" }} }}]");
        assert!(reads_everything(&plan("Seq Scan", "(a > 5)")));
        assert!(reads_everything(&plan("Seq Scan", "(a = '\\\"Node Type\\\": \\\"Index Scan\\\"'::text)")));
        assert!(!reads_everything(&plan("Index Scan", "")));
        assert!(!reads_everything(&plan("Seq Scan Of Something", "")));
        assert!(!reads_everything(&(plan("Append", "") + &plan("Bitmap Heap Scan", ""))));
    }

    #[test]
    fn small_tables_and_small_pools_have_one_stream() {
        assert_eq!(streams(SMALLEST_SPLIT - 1, 8, 5), 1);
        assert_eq!(streams(SMALLEST_SPLIT, 8, 5), 4);
        assert_eq!(streams(1_000_000, 3, 5), 3);
        assert_eq!(streams(1_000_000, 8, 2), 1);
        assert_eq!(streams(1_000_000, 8, 1), 1);
    }
}
