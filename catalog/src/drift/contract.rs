//! What is expected of one remote table.

use std::collections::BTreeSet;

use causeway_providers::{RemoteColumn, RemoteTable};
use serde::{Deserialize, Serialize};

/// What is expected of a remote table. Names are the remote's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Where the expectation comes from.
    pub kind: ContractKind,
    /// The remote schema.
    pub schema: String,
    /// The remote table.
    pub table: String,
    /// The columns, in any order.
    pub columns: Vec<ContractColumn>,
    /// The primary key's columns in key order, empty for none; `None` when the key is not part of the contract.
    pub primary_key: Option<Vec<String>>,
    /// Remote columns of which nothing is expected, whether they are there or not.
    #[serde(default)]
    pub ignore_columns: BTreeSet<String>,
}

/// Where an expectation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractKind {
    /// The table was seen so when the catalog was last accepted.
    Exposed,
    /// Somebody declared or imported it so.
    Pinned,
}

impl ContractKind {
    /// The word users see.
    pub fn as_str(self) -> &'static str {
        match self {
            ContractKind::Exposed => "exposed",
            ContractKind::Pinned => "pinned",
        }
    }
}

/// What is expected of a remote column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractColumn {
    /// The remote name.
    pub name: String,
    /// The type as the source prints it, or in another spelling that the connector knows.
    pub remote_type: String,
    /// Whether it may be NULL; `None` when that is not part of the contract.
    pub nullable: Option<bool>,
}

impl Contract {
    /// All of `table` as it is, as an exposed table is expected to stay.
    pub fn of(table: &RemoteTable) -> Self {
        let column = |column: &RemoteColumn| ContractColumn {
            name: column.name.clone(),
            remote_type: column.remote_type.clone(),
            nullable: Some(column.nullable),
        };
        Self {
            kind: ContractKind::Exposed,
            schema: table.schema.clone(),
            table: table.name.clone(),
            columns: table.columns.iter().map(column).collect(),
            primary_key: Some(table.primary_key.clone()),
            ignore_columns: BTreeSet::new(),
        }
    }
}
