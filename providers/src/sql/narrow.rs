//! A statement whose rows may be narrowed by what is only known while a plan runs.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::logical_expr::Expr;

use super::{RemoteSql, Select};
use crate::remote::RemoteTable;

/// A statement that takes in conditions on its rows.
pub trait Narrow: fmt::Debug + Send + Sync {
    /// Its columns, by the names under which conditions know them.
    fn columns(&self) -> SchemaRef;

    /// The statement whose rows are those of this one that `conditions` keep, and perhaps more; `None` when the source can be told none
    /// of the conditions.
    fn narrowed(&self, conditions: &[Expr]) -> Option<Narrowed>;
}

/// A statement with more conditions.
#[derive(Debug)]
pub struct Narrowed {
    /// The statement.
    pub sql: RemoteSql,
    /// The conditions that were added, as they stand in it.
    pub added: String,
    /// The table and the select on it, when it is one on a bare table.
    pub table: Option<(Arc<RemoteTable>, Select)>,
}
