//! Reads an InnoDB table over several connections at once, each taking the next range of its key, all with snapshots of one moment.
//!
//! The first connection reads whatever nobody else does. Others come together with it before anything is read, as far as there are
//! connections to spare: all take their snapshots at about the same time, a few times over if need be, and those whose snapshot stands
//! where the first one's does take part. Later ones may join as long as nothing was committed since. So any number of connections from
//! one upwards reads the whole table, and none is held by somebody who only waits.
//!
//! A snapshot does not keep a table from being emptied or rewritten, but a transaction that has read it once does. The first connection has
//! read it before anybody takes a range, and stays in its transaction until nothing is left to take.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::FutureExt;
use futures::future::join_all;
use mysql_async::{Error as DriverError, Row};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::connect::ServerDial;
use super::decode::BatchBuilder;
use super::introspect::text;
use super::key_ranges::{KeyRange, KeyRanges};
use super::known_tables::Clustered;
use super::moment::{self, Told};
use super::row_reader::{Interruption, Output, RowReader};
use super::{MySqlRemote, collations, failure};
use crate::crew::{Joining, Role, Shift, readers, work};
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::pool::Pooled;
use crate::remote::Remote;
use crate::shared_rows::{RowQueue, shared_rows};
use crate::sql::{BATCHES_AHEAD, Dialect, Reliance, ScanLimits, Select, SplitScan, origins};

/// A smaller table is read in one stream.
const SMALLEST_SPLIT: u64 = 32 << 20;
/// How long the first worker waits for others before it begins: as long as making a few connections takes.
const GATHERING: Duration = Duration::from_millis(100);
/// How often snapshots are taken until all of them stand at one place.
const ATTEMPTS: usize = 4;
/// A snapshot is older than the table as it is now.
const TABLE_CHANGED: u16 = 1412;

/// Whether large tables are read over several connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ParallelScans {
    /// When all are known to see one moment.
    Consistent,
    /// Each connection may see a moment of its own.
    Always,
    Never,
}

impl ParallelScans {
    pub(super) fn of(options: &Options) -> Result<Self> {
        Ok(match options.required("parallel_scans")? {
            "always" => Self::Always,
            "never" => Self::Never,
            // The manifest allows `consistent` besides.
            _ => Self::Consistent,
        })
    }
}

type Lease = Pooled<ServerDial>;

/// A scan of one table, to be started any number of times.
#[derive(Debug, Clone)]
pub(super) struct ParallelScan {
    remote: Arc<MySqlRemote>,
    /// A select of the bare table, without a filter.
    select: Select,
    table: Clustered,
    streams: usize,
    /// Connections that read it at most.
    readers: usize,
}

impl ParallelScan {
    /// How `select` on `table` is read into up to `streams`; `None` when one connection is as good, or all there may be.
    pub(super) fn new(remote: Arc<MySqlRemote>, select: &Select, table: Clustered, streams: usize) -> Option<Self> {
        // With a filter the source may find the few rows by an index, and whether it does is not asked of every look-up.
        if table.bytes < SMALLEST_SPLIT || !select.filter.is_empty() {
            return None;
        }
        let readers = readers(remote.pool.most(), streams);
        (readers > 1).then(|| Self { remote, select: select.clone(), table, streams: streams.min(readers), readers })
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
        // It proves that every column can be decoded; each connection has a builder of its own.
        let zero_dates = self.remote.policy.zero_dates;
        BatchBuilder::new(Arc::clone(schema), zero_dates).map_err(|error| error.at(self.remote.id().as_str()))?;
        let (scan, row_schema, reliance) = (self.clone(), Arc::clone(schema), reliance.clone());
        Ok(shared_rows(schema, self.streams, BATCHES_AHEAD * self.streams, move |queue| {
            async move {
                let deadline = limits.query_timeout.map(Deadline::after);
                let remote = Arc::clone(&scan.remote);
                let run = Run { scan, schema: row_schema, reliance, limits, deadline, queue, progress: Notify::new() };
                let done = remote.until_closed(run.conduct());
                let outcome = match limits.query_timeout {
                    Some(limit) => timeout(limit, done).await.unwrap_or_else(|_| Err(failure::timed_out(limit))),
                    None => done.await,
                };
                outcome.map_err(|error| error.at(remote.id().as_str()))
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

/// How the first worker reads.
enum Opened {
    /// In ranges, in which others may help, and those who do from the start.
    Ranges(Lease, Vec<Lease>, Told, KeyRanges),
    /// All at once: the source does not let us do otherwise.
    Whole(Lease),
}

/// The ranges of a table, and who reads them.
struct Shared {
    run: Run,
    moment: Told,
    ranges: KeyRanges,
}

impl Shift for Shared {
    type Seat = Lease;

    fn is_over(&self) -> bool {
        self.ranges.is_empty()
    }

    fn progress(&self) -> &Notify {
        &self.run.progress
    }

    async fn join(self: Arc<Self>) -> Joining<Lease> {
        self.run.join(&self.moment).await
    }

    async fn read(self: Arc<Self>, lease: Lease, role: Role) -> Result<()> {
        self.run.read_ranges(lease, &self.ranges, role).await
    }
}

impl Run {
    /// Reads everything, with as many workers as there are connections to spare.
    async fn conduct(self) -> Result<()> {
        match self.open().await? {
            Opened::Ranges(first, helpers, moment, ranges) => {
                let readers = self.scan.readers;
                let shared = Arc::new(Shared { run: self, moment, ranges });
                let entering = helpers.into_iter().map(|helper| {
                    let shared = Arc::clone(&shared);
                    async move { shared.run.enter(helper).await }
                });
                work(Arc::clone(&shared), readers, first, entering).await
            }
            Opened::Whole(first) => self.read_ranges(first, &KeyRanges::whole(), Role::First).await,
        }
    }

    /// Takes the snapshot of the first worker, and at the same time those of the others that are there.
    async fn open(&self) -> Result<Opened> {
        let first = self.scan.remote.proven_session(self.deadline).await;
        let mut first = first.map_err(|error| failure::while_waiting(error, self.limits.query_timeout))?;
        let mut helpers = self.gather().await;
        for left in (0..ATTEMPTS).rev() {
            let begun = futures::join!(self.begin(&mut first), self.begin_all(std::mem::take(&mut helpers)));
            let (moment, others) = match begun {
                (Ok(moment), others) => (moment, others),
                (Err(cause), others) if !failure::lost_connection(&cause) => {
                    self.alone(&cause);
                    helpers.extend(others.into_iter().map(|(helper, _)| helper));
                    break;
                }
                (Err(cause), _) => return Err(failure::of_statement(cause, self.limits.query_timeout)),
            };
            let (together, apart): (Vec<_>, Vec<_>) = others.into_iter().partition(|(_, other)| self.is_one(&moment, other));
            let is_told = self.is_one(&moment, &moment);
            helpers.extend(together.into_iter().map(|(helper, _)| helper));
            let may_agree = matches!(moment, Told::At(_) | Told::Moved);
            if left > 0 && may_agree && !(is_told && apart.is_empty()) {
                helpers.extend(apart.into_iter().map(|(helper, _)| helper));
                continue;
            }
            end_all(apart.into_iter().map(|(helper, _)| helper)).await;
            if !is_told {
                break;
            }
            match self.look(&mut first).await {
                Ok(Some(ranges)) => return Ok(Opened::Ranges(first, helpers, moment, ranges)),
                Ok(None) => break,
                // Another attempt sees the table as it is now.
                Err(Interruption::Remote(cause)) if failure::code(&cause) == Some(TABLE_CHANGED) => {}
                Err(Interruption::Remote(cause)) if !failure::lost_connection(&cause) => {
                    self.alone(&cause);
                    break;
                }
                Err(interruption) => return Err(self.stopped(interruption)),
            }
        }
        end_all(helpers).await;
        // Whatever snapshot it has is not needed.
        first.rows(END).await.map_err(|cause| failure::of_statement(cause, self.limits.query_timeout))?;
        Ok(Opened::Whole(first))
    }

    fn alone(&self, reason: &DriverError) {
        tracing::debug!(datasource = %self.scan.remote.id(), code = failure::code(reason), "no parallel scan");
    }

    /// The connections that are to spare, as far as they are there soon.
    async fn gather(&self) -> Vec<Lease> {
        let spare = (1..self.scan.readers).map(|_| timeout(GATHERING, self.scan.remote.pool.acquire_spare(self.deadline)));
        join_all(spare).await.into_iter().filter_map(|lease| lease.ok()??.ok()).collect()
    }

    /// Begins a transaction with a snapshot, and tells where it stands if that matters.
    async fn begin(&self, lease: &mut Lease) -> Result<Told, DriverError> {
        lease.begin();
        lease.limit_time(self.limits.query_timeout).await?;
        match self.scan.remote.parallel_scans {
            ParallelScans::Consistent => moment::begin_told(lease).await,
            ParallelScans::Always | ParallelScans::Never => moment::begin(lease).await.map(|()| Told::Nothing),
        }
    }

    /// As [`begin`](Self::begin) on each; those that fail or take long are closed.
    async fn begin_all(&self, helpers: Vec<Lease>) -> Vec<(Lease, Told)> {
        let begun = join_all(helpers.into_iter().map(async |mut helper| {
            let moment = timeout(GATHERING, self.begin(&mut helper)).await.ok()?.ok()?;
            Some((helper, moment))
        }));
        begun.await.into_iter().flatten().collect()
    }

    /// Whether snapshots that stand there may be read together.
    fn is_one(&self, moment: &Told, other: &Told) -> bool {
        match self.scan.remote.parallel_scans {
            ParallelScans::Always => true,
            ParallelScans::Consistent => matches!(moment, Told::At(_)) && moment == other,
            ParallelScans::Never => false,
        }
    }

    /// In which ranges the table is read; `None` when it is better read in one go. From here on it stays as it is.
    async fn look(&self, first: &mut Lease) -> Result<Option<KeyRanges>, Interruption> {
        let ends = self.touch(first).await?;
        // All columns may be in an index that is smaller than the table.
        let explained = first.rows(&format!("EXPLAIN {}", self.scan.select.render(&self.scan.remote.dialect))).await?;
        let of = |row: &Row, name: &str| {
            let place = row.columns_ref().iter().position(|column| column.name_str().eq_ignore_ascii_case(name))?;
            text(row, place)
        };
        let is_whole = |row: &Row| of(row, "type").as_deref() == Some("ALL") || of(row, "key").as_deref() == Some("PRIMARY");
        let ranges = || Some(KeyRanges::new(ends?.0, ends?.1, self.scan.table.bytes));
        Ok(if explained.iter().all(is_whole) { ranges() } else { None })
    }

    /// Reads the ends of the key, which keeps the table from being changed until the transaction ends.
    async fn touch(&self, lease: &mut Lease) -> Result<Option<(i128, i128)>, Interruption> {
        let (key, table) = (self.key(), self.table());
        let rows = lease.rows(&format!("SELECT MIN({key}), MAX({key}) FROM {table}")).await?;
        let end = |place| rows.first().and_then(|row| text(row, place)).and_then(|end| end.parse().ok());
        Ok(end(0).zip(end(1)))
    }

    /// Joins the first worker on a connection that is to spare, if nothing was committed since. A worker that cannot join leaves all
    /// ranges to the others.
    async fn join(&self, first: &Told) -> Joining<Lease> {
        loop {
            let mut lease = match self.scan.remote.pool.acquire_spare(self.deadline).await {
                None => return Joining::Unneeded,
                Some(Err(error)) => return self.stay_away(&error),
                Some(Ok(lease)) => lease,
            };
            match self.begin(&mut lease).await {
                Ok(moment) if self.is_one(first, &moment) => return self.enter(lease).await,
                Ok(_) => {
                    end(lease).await;
                    return self.stay_away("something was committed since");
                }
                // One that idled may have been closed by the server; a new one comes at last.
                Err(cause) if lease.has_served() && failure::lost_connection(&cause) => lease.finish(),
                Err(cause) => return self.stay_away(&cause),
            }
        }
    }

    /// Makes a worker whose snapshot is taken a reader.
    async fn enter(&self, mut lease: Lease) -> Joining<Lease> {
        match self.touch(&mut lease).await {
            Ok(_) => Joining::Joined(lease),
            Err(Interruption::Remote(cause)) => self.stay_away(&cause),
            Err(Interruption::Here(error)) => self.stay_away(&error),
            Err(Interruption::Unwanted) => Joining::Unneeded,
        }
    }

    fn stay_away(&self, reason: impl std::fmt::Display) -> Joining<Lease> {
        tracing::debug!(datasource = %self.scan.remote.id(), %reason, "a worker could not join the scan");
        Joining::Failed
    }

    /// Reads one range after another until there is none.
    async fn read_ranges(&self, mut lease: Lease, ranges: &KeyRanges, role: Role) -> Result<()> {
        let batch =
            BatchBuilder::new(Arc::clone(&self.schema), self.scan.remote.policy.zero_dates)?.of(origins(&self.schema, &self.reliance));
        let mut reader = RowReader::new(batch, self.limits, Output::Queue(Arc::clone(&self.queue)));
        let checked = collations::check(&mut lease, self.scan.remote.dialect, &self.reliance).await;
        checked.map_err(|interruption| self.stopped(interruption))?;
        while let Some(range) = ranges.take() {
            let read = reader.read(&mut lease, &self.statement(range)).await;
            read.map_err(|interruption| self.stopped(interruption))?;
            if role == Role::Joined && self.scan.remote.pool.is_waited_for() {
                break;
            }
            self.progress.notify_one();
        }
        end(lease).await;
        Ok(())
    }

    fn stopped(&self, interruption: Interruption) -> Error {
        match interruption {
            Interruption::Remote(cause) => failure::of_statement(cause, self.limits.query_timeout),
            Interruption::Here(error) => error,
            Interruption::Unwanted => Error::new(ErrorKind::Cancelled, "nobody reads the scan any more"),
        }
    }

    fn statement(&self, range: KeyRange) -> String {
        let mut select = self.scan.select.clone();
        if let Some(condition) = range.condition(&self.key()) {
            select.from = self.table();
            select.filter.push(condition);
        }
        select.render(&self.scan.remote.dialect)
    }

    fn key(&self) -> String {
        self.scan.remote.dialect.quote(&self.scan.table.key)
    }

    /// The table in the order of its key, whatever index has the columns too: it would be read from end to end for each range.
    fn table(&self) -> String {
        format!("{} FORCE INDEX (PRIMARY)", self.scan.select.from)
    }
}

const END: &str = "ROLLBACK AND NO CHAIN NO RELEASE";

/// Ends the transaction and gives the connection back.
async fn end(mut lease: Lease) {
    if lease.rows(END).await.is_ok() {
        lease.finish();
        lease.give_back();
    }
}

async fn end_all(leases: impl IntoIterator<Item = Lease>) {
    join_all(leases.into_iter().map(end)).await;
}
