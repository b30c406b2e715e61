//! The dialect of a datasource that reads values in place of others: which of them are NULL, SQLite does not know.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::dialect::SqliteDialect;
use crate::remote::{Comparison, RemoteColumn};
use crate::sql::{Argument, Dialect, LikeSupport, NullOrder, Quoting};

/// [`SqliteDialect`] without what depends on a stored value being NULL.
#[derive(Debug, Clone, Copy)]
pub(super) struct LenientDialect;

impl Dialect for LenientDialect {
    fn quote(&self, identifier: &str) -> String {
        SqliteDialect.quote(identifier)
    }

    fn quoting(&self) -> Quoting {
        SqliteDialect.quoting()
    }

    fn table(&self, schema: &str, name: &str) -> String {
        SqliteDialect.table(schema, name)
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        SqliteDialect.literal(value)
    }

    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        SqliteDialect.literal_of(column, value)
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        SqliteDialect.type_name(data_type)
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        SqliteDialect.widening_cast(sql, from, to)
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        SqliteDialect.output(column, sql)
    }

    /// What is compared there holds nothing but values of its type.
    fn tells_null(&self, column: &RemoteColumn) -> bool {
        column.comparison != Comparison::None
    }

    fn order_by(&self, sql: &str, data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        SqliteDialect.order_by(sql, data_type, ascending, nulls)
    }

    fn group_by(&self, sql: &str, data_type: &DataType) -> String {
        SqliteDialect.group_by(sql, data_type)
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        SqliteDialect.null_safe_equal(left, right)
    }

    fn joins_outer_on_anything(&self) -> bool {
        SqliteDialect.joins_outer_on_anything()
    }

    fn like(&self) -> LikeSupport {
        SqliteDialect.like()
    }

    fn computes(&self) -> bool {
        SqliteDialect.computes()
    }

    fn quotient(&self, left: &str, right: &str, scale: u8) -> Option<String> {
        SqliteDialect.quotient(left, right, scale)
    }

    fn takes_subqueries_for_values(&self) -> bool {
        SqliteDialect.takes_subqueries_for_values()
    }

    fn keeps_collations(&self) -> bool {
        SqliteDialect.keeps_collations()
    }

    fn function(&self, _name: &str, _arguments: &[Argument<'_>], _result: &DataType) -> Option<String> {
        None
    }

    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, result: &DataType) -> Option<String> {
        match (name, argument) {
            ("count", Some(_)) => None,
            _ => SqliteDialect.aggregate(name, argument, result),
        }
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        SqliteDialect.limit(limit, offset)
    }
}
