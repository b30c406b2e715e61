//! A datasource as declared: plain values, checked, without a connection.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_providers::Options;

use crate::drift::{Contract, ContractColumn};

/// Our record of one source.
#[derive(Debug, Clone)]
pub struct Datasource {
    /// Its name, which is also its schema's.
    pub name: String,
    /// The connector kind.
    pub connector: String,
    /// Where it was declared.
    pub origin: Origin,
    /// Who owns its schema.
    pub schema_mode: SchemaMode,
    /// A label for people.
    pub label: Option<String>,
    /// The connector's options, the pool's bounds and the query timeout.
    pub options: Options,
    /// Remote schemas to publish; empty is all.
    pub allowed_schemas: Vec<String>,
    /// Published schema names by remote schema, where the default naming is overridden.
    pub schema_names: BTreeMap<String, String>,
    /// Which tables are published.
    pub expose: Expose,
    /// Whether writes may be allowed per table at all.
    pub allow_writes: bool,
    /// What happens when pinned tables do not match.
    pub validation: Validation,
    /// How often the tables are read anew by themselves; `None` is never.
    pub refresh_interval: Option<Duration>,
    /// Tables with a column contract of their own.
    pub tables: Vec<PinnedTable>,
}

/// Where a datasource was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// In a YAML file; read-only at run time.
    Code,
    /// While the gateway ran.
    Runtime,
}

impl Origin {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            Origin::Code => "code",
            Origin::Runtime => "runtime",
        }
    }
}

/// Who owns the schema at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaMode {
    /// We do.
    Managed,
    /// Somebody else does: no DDL, ever.
    External,
    /// As external, and only checked, never read.
    ValidateOnly,
}

impl SchemaMode {
    /// The word users write and see.
    pub fn as_str(self) -> &'static str {
        match self {
            SchemaMode::Managed => "managed",
            SchemaMode::External => "external",
            SchemaMode::ValidateOnly => "validate_only",
        }
    }
}

/// Which tables are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expose {
    /// Every table the source shows us.
    All,
    /// Only pinned ones.
    Pinned,
}

/// When pinned tables are compared with the source, and what a difference does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validation {
    /// What a mismatch does.
    pub on_mismatch: OnMismatch,
    /// Whether to compare at start.
    pub check_on_boot: bool,
    /// How often to compare afterwards; `None` is never.
    pub check_interval: Option<Duration>,
}

/// What a mismatch does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMismatch {
    /// The datasource does not start.
    Fail,
    /// It is logged.
    Warn,
    /// Nothing.
    Ignore,
}

/// A remote table published under a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedTable {
    /// The published name.
    pub name: String,
    /// The remote schema; `None` is the source's default schema.
    pub remote_schema: Option<String>,
    /// The remote name.
    pub remote_table: String,
    /// Whether writes are allowed, given the datasource allows them.
    pub writable: bool,
    /// Published column names by remote column name.
    pub column_map: BTreeMap<String, String>,
    /// Remote columns that are not published.
    pub ignore_columns: Vec<String>,
    /// The remote columns it is pinned to, which are then all that is published; `None` follows the source.
    pub columns: Option<Vec<ContractColumn>>,
    /// The remote primary key it is pinned to; `None` follows the source.
    pub primary_key: Option<Vec<String>>,
}

impl PinnedTable {
    /// What is expected of the remote table, when more than its presence is.
    pub(crate) fn contract(&self, default_schema: &str) -> Option<Contract> {
        let columns = self.columns.clone()?;
        Some(Contract {
            schema: self.remote_schema.clone().unwrap_or_else(|| default_schema.to_owned()),
            table: self.remote_table.clone(),
            columns,
            primary_key: self.primary_key.clone(),
            ignore_columns: self.ignore_columns.iter().cloned().collect(),
        })
    }
}
