//! What is expected of remote tables.

use std::collections::BTreeSet;

use causeway_providers::{Introspection, RemoteTable};
use serde::{Deserialize, Serialize};

use crate::published_name::PublishedName;

/// What is expected of one remote table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Contract {
    /// The remote schema.
    pub schema: String,
    /// The remote table.
    pub table: String,
    /// Its columns, in any order.
    pub columns: Vec<ContractColumn>,
    /// The columns of its primary key; `None` when the contract does not say.
    pub primary_key: Option<Vec<String>>,
    /// Remote columns that do not matter.
    #[serde(default)]
    pub ignore_columns: BTreeSet<String>,
}

/// What is expected of one remote column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractColumn {
    /// The remote name.
    pub name: String,
    /// The type as the source prints it, or in another spelling that its connector knows; empty when the contract does not say.
    pub remote_type: String,
    /// Whether it may be NULL; `None` when the contract does not say.
    pub nullable: Option<bool>,
}

impl Contract {
    /// A table as it is now.
    pub fn of(table: &RemoteTable) -> Self {
        let column = |column: &causeway_providers::RemoteColumn| ContractColumn {
            name: column.name.clone(),
            remote_type: column.remote_type.clone(),
            nullable: Some(column.nullable),
        };
        Self {
            schema: table.schema.clone(),
            table: table.name.clone(),
            columns: table.columns.iter().map(column).collect(),
            primary_key: Some(table.primary_key.clone()),
            ignore_columns: BTreeSet::new(),
        }
    }
}

/// What is expected of a source.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Baseline {
    /// Table by table. A table may be in it more than once, as one that is published twice is.
    pub(crate) expectations: Vec<Expectation>,
    /// Whether a table that is not expected is a difference.
    pub(crate) watches_new_tables: bool,
}

/// What is expected of one table, and how it was before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expectation {
    pub(crate) contract: Contract,
    pub(crate) standing: Standing,
    /// The table as it was published and accepted before, the newest first; none when it never was.
    pub(crate) earlier: Vec<RemoteTable>,
    /// The table of ours it is expected for; `None` when it is published under no name.
    pub(crate) published: Option<PublishedName>,
}

/// How much of a table is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// That it is there, as its contract says.
    Published,
    /// The same, of one that is published under a name of its own choice: that says nothing of whether the datasource shows it.
    Imported,
    /// Only that it is there: a pinned table without columns that was never seen.
    Unseen,
    /// Only that it is there: an exposed table that our user might not read when it was accepted. It is published no more, so it is a
    /// new one once it may be read.
    Hidden,
}

impl Baseline {
    /// Everything a source had.
    pub(crate) fn of(seen: &Introspection) -> Self {
        let expectation = |table: &RemoteTable| Expectation {
            contract: Contract::of(table),
            standing: Standing::Published,
            earlier: vec![table.clone()],
            published: None,
        };
        Self { expectations: seen.tables.iter().map(expectation).collect(), watches_new_tables: true }
    }
}
