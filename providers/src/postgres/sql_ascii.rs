//! The dialect of a database whose encoding is `SQL_ASCII`: it counts bytes where we count characters.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::dialect::PostgresDialect;
use crate::remote::RemoteColumn;
use crate::sql::{Argument, Dialect, LikeSupport, NullOrder, Quoting};

/// [`PostgresDialect`] without what depends on where characters begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct SqlAsciiDialect;

impl Dialect for SqlAsciiDialect {
    fn quote(&self, identifier: &str) -> String {
        PostgresDialect.quote(identifier)
    }

    fn quoting(&self) -> Quoting {
        PostgresDialect.quoting()
    }

    fn table(&self, schema: &str, name: &str) -> String {
        PostgresDialect.table(schema, name)
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        PostgresDialect.literal(value)
    }

    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String> {
        PostgresDialect.literal_of(column, value)
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        PostgresDialect.type_name(data_type)
    }

    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String> {
        PostgresDialect.widening_cast(sql, from, to)
    }

    fn output(&self, column: &RemoteColumn, sql: &str) -> String {
        PostgresDialect.output(column, sql)
    }

    fn fetched(&self, column: &RemoteColumn, sql: &str) -> String {
        PostgresDialect.fetched(column, sql)
    }

    fn tells_null(&self, column: &RemoteColumn) -> bool {
        PostgresDialect.tells_null(column)
    }

    fn order_by(&self, sql: &str, data_type: &DataType, ascending: bool, nulls: NullOrder) -> String {
        PostgresDialect.order_by(sql, data_type, ascending, nulls)
    }

    fn group_by(&self, sql: &str, data_type: &DataType) -> String {
        PostgresDialect.group_by(sql, data_type)
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        PostgresDialect.null_safe_equal(left, right)
    }

    fn joins_outer_on_anything(&self) -> bool {
        PostgresDialect.joins_outer_on_anything()
    }

    /// `_` matches one byte over there.
    fn like(&self) -> LikeSupport {
        LikeSupport::Local
    }

    fn computes(&self) -> bool {
        PostgresDialect.computes()
    }

    fn quotient(&self, left: &str, right: &str, scale: u8) -> Option<String> {
        PostgresDialect.quotient(left, right, scale)
    }

    fn takes_subqueries_for_values(&self) -> bool {
        PostgresDialect.takes_subqueries_for_values()
    }

    fn keeps_collations(&self) -> bool {
        PostgresDialect.keeps_collations()
    }

    fn function(&self, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String> {
        match name {
            "character_length" | "char_length" | "length" | "substr" | "substring" => None,
            _ => PostgresDialect.function(name, arguments, result),
        }
    }

    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, result: &DataType) -> Option<String> {
        PostgresDialect.aggregate(name, argument, result)
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        PostgresDialect.limit(limit, offset)
    }
}
