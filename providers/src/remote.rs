//! The live side of a datasource: what it has, whether it answers, and its tables as DataFusion sees them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;

use crate::capabilities::Capabilities;
use crate::deadline::Deadline;
use crate::error::Result;
use crate::pool::PoolState;
use crate::sql::SqlRemote;
use crate::subject::Subject;
use crate::writer::Writer;

/// Names a remote: the name of its datasource, unique within its environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemoteId(Arc<str>);

impl RemoteId {
    /// The id of the datasource `name`.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The datasource's name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An opened datasource.
///
/// All methods may be called at once from many tasks. Dropping the future or the stream of a call ends the work at the
/// source too: a connector sends its source a cancel and gives the connection back only once it has settled.
/// After [`close`](Self::close) every call fails with `Unreachable`.
#[async_trait]
pub trait Remote: fmt::Debug + Send + Sync {
    /// Which datasource this is.
    fn id(&self) -> &RemoteId;

    /// What the source does as we would, and may therefore be asked to do.
    fn capabilities(&self) -> &Capabilities;

    /// Asks the source for its version over a connection of the pool.
    ///
    /// # Errors
    /// `Unreachable`, `Unauthorized` or `Timeout`, naming the datasource; `LimitExceeded` when all connections are at work, which
    /// says that the source is there.
    async fn ping(&self, deadline: Deadline) -> Result<ServerVersion>;

    /// Lists tables and columns in bulk: at most three remote statements, transaction control and all, whatever the number of tables.
    ///
    /// A table or column that cannot be mapped, or that our user may not read where the source tells, is in
    /// [`Introspection::omitted`] with the reason; it never fails the call.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    async fn introspect(&self, scope: &Scope, deadline: Deadline) -> Result<Introspection>;

    /// A mark of what a look finds, to spare looks that would find nothing new: as long as it is the same, so is what the source has in
    /// any scope, and what our user may read of it. Sizes, estimates and comments may change under one mark. A look that follows the mark
    /// sees what the mark is of, or something newer. It is one remote statement that costs a small part of a look; `None` when the source has no
    /// such mark, or when a look is due for what no mark tells.
    ///
    /// # Errors
    /// As [`ping`](Self::ping).
    async fn catalog_mark(&self, deadline: Deadline) -> Result<Option<CatalogMark>>;

    /// Asks the source about tables, or columns, that a look did not find: are they gone, or may our user not read them any more? The
    /// answers are in the order of `subjects`.
    ///
    /// It is one remote statement however many there are, unless the source can only be asked for one after the other.
    ///
    /// # Errors
    /// As [`ping`](Self::ping). A source that does not answer has not said that a table is absent.
    async fn presence(&self, subjects: &[Subject], deadline: Deadline) -> Result<Vec<RemotePresence>>;

    /// A table of this remote for the planner. Does no IO.
    ///
    /// # Errors
    /// `NotFound` when the remote does not know such a table and must (files), `Unsupported` when it cannot be read.
    fn table(self: Arc<Self>, table: &RemoteTable) -> Result<Arc<dyn TableProvider>>;

    /// How the connections are that its tables are read over, when there are any. Does no IO.
    fn pool(&self) -> Option<PoolState>;

    /// This remote as one that takes SQL text, when it does.
    fn as_sql(self: Arc<Self>) -> Option<Arc<dyn SqlRemote>>;

    /// This remote as one that takes rows, when it does. Whether it may is for the caller to know.
    fn as_writer(self: Arc<Self>) -> Option<Arc<dyn Writer>>;

    /// Closes all connections. Running streams fail.
    async fn close(&self);
}

/// A state of a source's catalog, to be compared with another of the same remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogMark(String);

impl CatalogMark {
    /// The mark that a source gives of itself.
    pub fn new(mark: impl Into<String>) -> Self {
        Self(mark.into())
    }
}

/// What the source says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// The product, such as `PostgreSQL` or `MariaDB`.
    pub product: String,
    /// Its version as it prints it.
    pub version: String,
}

/// Which part of a source to introspect.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    /// Remote schemas to look at; empty is all that are not the source's own.
    pub schemas: Vec<String>,
}

/// What a source has, as one look saw it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Introspection {
    /// The schema whose tables appear under the datasource's own name (`public`, the configured database, `main`).
    pub default_schema: String,
    /// The tables and views, sorted by schema and name.
    pub tables: Vec<RemoteTable>,
    /// What was left out.
    pub omitted: Vec<Omission>,
}

/// A table or column that is not published, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Omission {
    /// The [`Subject`] as it prints, `schema.table` or `schema.table.column`; or the path of a file that is no table.
    pub subject: String,
    /// Why, in words for the user.
    pub reason: String,
    /// Why, for programs.
    pub cause: OmissionCause,
}

/// What keeps a table or column from being published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OmissionCause {
    /// It cannot be made a table or a column of ours.
    Unmapped,
    /// Our user may not read it.
    Unreadable,
}

/// What the source says about one table or column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RemotePresence {
    /// It is there, and our user may read it.
    Readable,
    /// Our user may not read it. It is there, unless the source answers so of whatever our user may not know of.
    Forbidden,
    /// It is not there, or nothing is that can be read as a table or column.
    Absent,
}

/// A table or view of a remote. Names are the remote's own, verbatim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTable {
    /// The remote schema (the database on MySQL, `main` on SQLite, empty for files).
    pub schema: String,
    /// The remote name.
    pub name: String,
    /// What it is over there.
    pub kind: TableKind,
    /// Its columns in the remote's order.
    pub columns: Vec<RemoteColumn>,
    /// Remote names of the primary key's columns in key order; empty without one.
    pub primary_key: Vec<String>,
    /// Other keys the source enforces to be unique.
    pub unique_keys: Vec<Vec<String>>,
    /// The remote's comment.
    pub comment: Option<String>,
    /// How many rows the source believes it has.
    pub row_estimate: Option<u64>,
}

impl RemoteTable {
    /// The Arrow schema of all its columns, in order, with the metadata of [`RemoteColumn::field`].
    pub fn arrow_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(RemoteColumn::field).collect::<Vec<_>>()))
    }

    /// The table's own name for people and programs.
    pub fn subject(&self) -> Subject {
        Subject::table(&self.schema, &self.name)
    }
}

/// What a remote relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TableKind {
    /// An ordinary table, or a file or folder of files.
    Table,
    /// A partitioned parent.
    PartitionedTable,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table over there.
    ForeignTable,
}

impl TableKind {
    /// The words users see.
    pub fn as_str(self) -> &'static str {
        match self {
            TableKind::Table => "table",
            TableKind::PartitionedTable => "partitioned table",
            TableKind::View => "view",
            TableKind::MaterializedView => "materialized view",
            TableKind::ForeignTable => "foreign table",
        }
    }
}

/// A column of a remote table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteColumn {
    /// The remote name, verbatim.
    pub name: String,
    /// The type as the source prints it, such as `character varying(20)`.
    pub remote_type: String,
    /// The Arrow type its values arrive in.
    pub data_type: DataType,
    /// How clients see it where the Arrow type alone does not say.
    pub presentation: Presentation,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// The remote's comment.
    pub comment: Option<String>,
    /// The collation's name as the source prints it, for text.
    pub collation: Option<String>,
    /// Which comparisons the source makes exactly as we do.
    pub comparison: Comparison,
}

/// The metadata key of a field that holds its [`Presentation`].
pub const PRESENTATION_KEY: &str = "causeway.presentation";

impl RemoteColumn {
    /// The Arrow field under the remote's name.
    pub fn field(&self) -> Field {
        let field = Field::new(&self.name, self.data_type.clone(), self.nullable);
        match self.presentation.as_str() {
            Some(word) => field.with_metadata([(PRESENTATION_KEY.to_owned(), word.to_owned())].into()),
            None => field,
        }
    }
}

/// How a value is shown to clients where its Arrow type alone does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Presentation {
    /// As the Arrow type suggests.
    #[default]
    Plain,
    /// Text that is `uuid` (36 characters, lower case).
    Uuid,
    /// Text that is `json`.
    Json,
    /// Text that is `jsonb`.
    Jsonb,
    /// Text that is `character(n)`, trailing blanks removed.
    Bpchar,
    /// A decimal from an unconstrained `numeric`: shown without padding zeros.
    UnconstrainedNumeric,
}

impl Presentation {
    /// The word kept in field metadata; `None` for [`Presentation::Plain`].
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Presentation::Plain => None,
            Presentation::Uuid => Some("uuid"),
            Presentation::Json => Some("json"),
            Presentation::Jsonb => Some("jsonb"),
            Presentation::Bpchar => Some("bpchar"),
            Presentation::UnconstrainedNumeric => Some("numeric"),
        }
    }

    /// Reads a field's metadata; anything unknown is [`Presentation::Plain`].
    pub fn of(field: &Field) -> Self {
        match field.metadata().get(PRESENTATION_KEY).map(String::as_str) {
            Some("uuid") => Presentation::Uuid,
            Some("json") => Presentation::Json,
            Some("jsonb") => Presentation::Jsonb,
            Some("bpchar") => Presentation::Bpchar,
            Some("numeric") => Presentation::UnconstrainedNumeric,
            _ => Presentation::Plain,
        }
    }
}

/// Which comparisons on a column the source makes exactly as we would on the values we read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`, `<>`, `<`, ordering, grouping and joining agree (integers, decimals, dates, text in a byte order collation).
    Total,
    /// `=`, `<>`, grouping and joining agree; order does not (text in a deterministic locale).
    Equality,
    /// As [`Comparison::Total`] but for NaN and signed zero: range and equality with an ordinary, non-zero literal agree.
    Float,
    /// As [`Comparison::Total`] among columns of the same type at the source, and with no other value but the literals that
    /// [`Dialect::literal_of`](crate::sql::Dialect::literal_of) writes (a `uuid`, which is text here).
    OwnType,
    /// The source's `=` holds for every pair ours holds for, and more (case-insensitive or padded collations).
    SupersetEquality,
    /// Nothing may be compared over there.
    None,
}

impl Comparison {
    /// The comparison of a computed value: only its type speaks for it, and text has lost its collation.
    pub fn of_computed(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Comparison::Float,
            DataType::Boolean
            | DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::Decimal128(..)
            | DataType::Decimal256(..)
            | DataType::Date32
            | DataType::Timestamp(..) => Comparison::Total,
            _ => Comparison::None,
        }
    }
}
