//! How a source writes the changes of rows that it takes.

use datafusion::scalar::ScalarValue;

use super::dialect::Dialect;
use crate::remote::RemoteColumn;

/// The written form of one source's statements that change rows. As a [`Dialect`] it prints only what the source does exactly as is meant here.
pub trait ChangeDialect: Dialect {
    /// What its statements that change rows can say.
    fn forms(&self) -> ChangeForms;

    /// A constant as it is assigned to `column`, which then reads back as the constant.
    fn assigned(&self, _column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        self.literal(value)
    }

    /// Whether what is computed there can be assigned to `column`, which keeps it as it is or refuses it.
    fn takes_computed(&self, _column: &RemoteColumn) -> bool {
        true
    }

    /// A text column, written as `sql`, as it compares code point by code point: for conditions that must be decided as they are here,
    /// at the price of an index. `None` where it does so anyhow, or cannot be made to.
    fn by_code_point(&self, _column: &RemoteColumn, _sql: &str) -> Option<String> {
        None
    }

    /// A computed integer as it is assigned: an error where it is beyond 64 bits.
    fn assigned_integer(&self, sql: &str) -> String {
        sql.to_owned()
    }
}

/// What the statements of a source that change rows can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeForms {
    /// `INSERT ... ON CONFLICT`.
    pub on_conflict: bool,
    /// `SET column = DEFAULT`.
    pub assigns_defaults: bool,
    /// `SET a = b, b = a`, in which both are read before either is assigned to.
    pub assigns_at_once: bool,
    /// `INSERT ... RETURNING`.
    pub insert_returning: bool,
    /// `UPDATE ... RETURNING`.
    pub update_returning: bool,
    /// `DELETE ... RETURNING`.
    pub delete_returning: bool,
}

impl ChangeForms {
    /// Everything that can be said.
    pub const ALL: Self = Self {
        on_conflict: true,
        assigns_defaults: true,
        assigns_at_once: true,
        insert_returning: true,
        update_returning: true,
        delete_returning: true,
    };
}
