//! What every source that takes SQL text shares: what a dialect says, the translation of expressions, the select statement, the scan.

mod batch;
mod change_dialect;
mod dialect;
mod dynamic_filter;
mod first_row;
mod narrow;
mod normalize;
mod origin;
mod reliance;
mod scan;
mod select;
mod shared_snapshot;
mod statistics;
mod table;
mod translate;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;

use crate::changes::TransactionalRemote;
use crate::error::Result;
use crate::remote::{Remote, RemoteTable};

pub(crate) use batch::{BATCH_BYTES, BATCHES_AHEAD, row_bytes};
pub use change_dialect::{ChangeDialect, ChangeForms};
pub use dialect::{Argument, Dialect, LikeSupport, NullOrder};
pub use dynamic_filter::MOST_KEYS;
pub use narrow::{Narrow, Narrowed};
pub use normalize::{Quoting, normalize};
pub use origin::Origin;
pub(crate) use origin::{column_of, origins};
pub use reliance::Reliance;
pub use scan::RemoteScan;
pub use select::{Select, SelectItem};
pub use shared_snapshot::{SharedSnapshot, StatementScans, Turn, share_snapshots};
pub use statistics::{ColumnEstimate, TableStatistics, believed};
pub use table::SqlTable;
pub use translate::{ColumnScope, ScopedColumn, TableScope, Translation, Value, nullness, translate, translate_value};

/// A remote that takes SQL text.
pub trait SqlRemote: Remote {
    /// How the source writes SQL, and what it computes as we do.
    fn dialect(&self) -> &dyn Dialect;

    /// Runs `sql` and streams its rows as batches of exactly `schema`.
    ///
    /// Returns at once; connecting happens when the stream is first polled. The statement's columns correspond to `schema` by
    /// position and come in the form [`Dialect::output`] and [`Dialect::type_name`] promise for each Arrow type.
    /// The first batch leaves as soon as the first rows arrive and the source pauses, not when a batch is full.
    /// Dropping the stream cancels the statement at the source. A connection that ends before the source said the result is
    /// complete is an error, never an end.
    /// A source that lets a column hold values that are none of its type looks for them in the columns of [`RemoteSql::reliance`]
    /// before it computes with those. As far as it can, a source sees to it that the tables still have the types and collations they
    /// are known by, and says so if not, for else its answer may be that of another question.
    ///
    /// # Errors
    /// In the stream: `Timeout` naming the datasource and the limit, `Unreachable`, `NotFound`, `Failed`, and `SchemaMismatch` with the
    /// code [`TYPE_CHANGED`](crate::TYPE_CHANGED) when a column is not what the statement was made for, all naming the datasource.
    fn execute(self: Arc<Self>, sql: RemoteSql, schema: SchemaRef, limits: ScanLimits) -> Result<SendableRecordBatchStream>;

    /// How a scan of `table` is read over several connections into at most `streams`; `None` when one connection reads it. Does no IO.
    ///
    /// `select` reads the bare table and may filter; it neither sorts, groups nor limits.
    fn split(self: Arc<Self>, table: &RemoteTable, select: &Select, streams: usize) -> Option<Arc<dyn SplitScan>>;

    /// A snapshot for all `scans` of one statement, if the source can give one; a connection to be kept for the scan if there is but
    /// one. Does no IO.
    fn share_snapshot(self: Arc<Self>, scans: &StatementScans) -> Option<Arc<dyn SharedSnapshot>>;

    /// How long a statement may take until its first rows are here, or word that there are none. `None` is as long as it may take.
    fn first_row_timeout(&self) -> Option<Duration>;

    /// What the source believed of the table when it was looked at last, if it told. Does no IO.
    fn statistics(&self, table: &RemoteTable) -> Option<Arc<TableStatistics>>;

    /// This remote as one whose rows statements can change, when they can. Whether they may is for the caller to know.
    fn as_transactional(self: Arc<Self>) -> Option<Arc<dyn TransactionalRemote>> {
        None
    }
}

/// A scan of one table that is read over several connections, into one stream or more.
pub trait SplitScan: fmt::Debug + Send + Sync {
    /// How many streams.
    fn streams(&self) -> usize;

    /// How many connections read at once, at most.
    fn connections(&self) -> usize;

    /// The streams of one run. Together they give each row of the select once, all as of one moment unless the datasource's options say
    /// otherwise; which of them gives a row is decided when it is read.
    ///
    /// `reliance` is that of the select. Returns at once; connecting happens when the first stream is polled. No stream waits for a
    /// connection of its own: one connection suffices for all of them, however few of them are read. Otherwise as [`SqlRemote::execute`]: the query timeout is
    /// that of all streams together, and dropping the last of them ends the work at the source.
    ///
    /// # Errors
    /// As [`SqlRemote::execute`], in every stream.
    fn start(&self, schema: &SchemaRef, reliance: &Reliance, limits: ScanLimits) -> Result<Vec<SendableRecordBatchStream>>;
}

/// A statement in the dialect of its remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSql {
    /// Its text.
    pub text: String,
    /// The tables it reads, and the columns whose stored values it computes with.
    pub reliance: Reliance,
    /// The stored column that each column of the result is, by position; `None` for what is computed, and none at all when nothing is
    /// known of them. Only errors tell of it.
    pub origins: Vec<Option<Origin>>,
}

impl RemoteSql {
    /// A statement that computes with no stored value, or one for a source whose columns hold what their types say.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), reliance: Reliance::default(), origins: Vec::new() }
    }
}

/// What one scan may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Time from the first poll to the last row, connecting included. `None` is without limit.
    pub query_timeout: Option<Duration>,
    /// At most so many rows in a batch.
    pub batch_rows: usize,
}

impl ScanLimits {
    /// The limits of a scan that may take so long, in batches of at most so many rows.
    pub const fn new(query_timeout: Option<Duration>, batch_rows: usize) -> Self {
        Self { query_timeout, batch_rows }
    }
}
