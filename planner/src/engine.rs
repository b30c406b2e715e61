//! The engine: parses and plans statements with one DataFusion session template for the whole process.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::CatalogProviderList;
use datafusion::logical_expr::ScalarUDF;

use crate::error::Result;
use crate::query::Query;
use crate::{Error, ErrorKind, Statement};

/// The bounds of one process.
#[derive(Debug, Clone)]
pub struct EngineLimits {
    /// Bytes all statements together may hold in operators' memory.
    pub memory: usize,
    /// Where operators spill.
    pub spill: PathBuf,
}

/// Parses and plans. Cheap to share, built once.
#[derive(Debug)]
pub struct Engine {
    limits: EngineLimits,
}

/// Whether sub-plans and filters may run at the sources. Off reads whole tables and computes everything here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PushDown {
    /// What the allow-list permits runs at the source.
    #[default]
    On,
    /// Everything but the bare scan runs here.
    Off,
}

/// What a statement sees and how it is to be run.
#[derive(Debug, Clone)]
pub struct StatementContext {
    /// The tables, as of the snapshot the statement is pinned to. Exactly one catalog is named [`Self::environment`].
    pub catalog: Arc<dyn CatalogProviderList>,
    /// The environment, which is the catalog unqualified names belong to.
    pub environment: String,
    /// Schemas searched for unqualified names, in order; `pg_catalog` is always searched first.
    pub search_path: Vec<String>,
    /// The session's time zone, an IANA name or an offset.
    pub time_zone: String,
    /// Functions that know the session, such as `current_user`. They come before the engine's own of the same name.
    pub functions: Vec<Arc<ScalarUDF>>,
    /// Whether the sources may compute.
    pub push_down: PushDown,
}

impl Engine {
    /// An engine with its own memory pool and spill folder.
    ///
    /// # Errors
    /// When the spill folder cannot be made.
    pub fn new(limits: EngineLimits) -> Result<Self> {
        Ok(Self { limits })
    }

    /// Splits a text into statements. An empty text is an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`].
    pub fn parse(&self, _sql: &str) -> Result<Vec<Statement>> {
        Err(Error::new(ErrorKind::Unsupported, format!("no planner yet: {:?}", self.limits)))
    }

    /// Resolves names and types. Nothing is read and nothing optimised yet.
    ///
    /// Queries and `EXPLAIN` of queries are planned; any other statement is [`ErrorKind::Unsupported`].
    /// `parameter_types` are those the client declared; `None` is inferred.
    ///
    /// # Errors
    /// Unknown names, types that do not fit, datasources that are down.
    pub async fn plan(
        &self,
        _statement: &Statement,
        _parameter_types: &[Option<datafusion::arrow::datatypes::DataType>],
        _context: &StatementContext,
    ) -> Result<Query> {
        Err(Error::new(ErrorKind::Unsupported, "no planner yet"))
    }
}
