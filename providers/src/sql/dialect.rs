//! How a source writes SQL. A dialect prints only what its source computes exactly as we do.

use std::fmt::Debug;

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use super::dynamic_filter::MOST_KEYS;
use super::normalize::Quoting;
use crate::remote::RemoteColumn;

/// The written form of one source's SQL.
///
/// Every method that may answer `None` does so unless the result is exact: printable is not equivalent.
pub trait Dialect: Debug + Send + Sync {
    /// An identifier in quotes, whatever it holds.
    fn quote(&self, identifier: &str) -> String;

    /// How the source reads quotes and backslashes.
    fn quoting(&self) -> Quoting;

    /// A table in `FROM`, schema included.
    fn table(&self, schema: &str, name: &str) -> String;

    /// What the names that a statement gives to tables begin with, before a number. Where a table is still known by its own name behind
    /// such a one, it is something that no table is called.
    fn table_alias(&self) -> &'static str {
        "t"
    }

    /// A literal that compares and computes as ours does.
    fn literal(&self, value: &ScalarValue) -> Option<String>;

    /// A literal of a column's own type at the source, for columns whose values read as text (a `uuid`). `Some` promises that `=`
    /// and `<>` between the column and it agree with ours between the texts.
    fn literal_of(&self, column: &RemoteColumn, value: &ScalarValue) -> Option<String>;

    /// The type to cast an output to so that its values arrive as `data_type`.
    fn type_name(&self, data_type: &DataType) -> Option<String>;

    /// `CAST(sql AS ...)` where the source converts without loss from `from` to `to`, and as we do.
    fn widening_cast(&self, sql: &str, from: &DataType, to: &DataType) -> Option<String>;

    /// A column as it must stand in the select list so that its values arrive as the column's Arrow type.
    fn output(&self, column: &RemoteColumn, sql: &str) -> String;

    /// A column as it must stand in the outermost select list of a statement. Its values may arrive in a form that only the scan
    /// understands, and that is cheaper to make.
    fn fetched(&self, column: &RemoteColumn, sql: &str) -> String {
        self.output(column, sql)
    }

    /// Whether `IS NULL` on the column, asked anywhere in a statement, is true of NULL alone.
    fn tells_null(&self, column: &RemoteColumn) -> bool;

    /// One `ORDER BY` term (or several) with explicit NULL placement, for values of `data_type`.
    fn order_by(&self, sql: &str, data_type: &DataType, ascending: bool, nulls: NullOrder) -> String;

    /// One `GROUP BY` key (or several that make the same groups), for values of `data_type`.
    fn group_by(&self, sql: &str, data_type: &DataType) -> String;

    /// `a IS NOT DISTINCT FROM b`.
    fn null_safe_equal(&self, left: &str, right: &str) -> String;

    /// Whether an outer join may have any condition. Otherwise it needs a plain `=` between the sides, or holds always (`1 = 1`).
    fn joins_outer_on_anything(&self) -> bool;

    /// How `LIKE` with a literal pattern may be shipped.
    fn like(&self) -> LikeSupport;

    /// The most literals that an `IN` list may have.
    fn longest_list(&self) -> usize {
        MOST_KEYS
    }

    /// Whether `+ - *` on integers and decimals, `CASE` and `coalesce` give our results or an error.
    fn computes(&self) -> bool;

    /// Whether decimals of so many digits before and behind the point are computed with exactly, where not all numbers are.
    fn keeps_digits(&self, _whole: i16, _fraction: i16) -> bool {
        self.computes()
    }

    /// Whether that is so of a column's numbers.
    fn keeps_digits_of(&self, _column: &RemoteColumn) -> bool {
        true
    }

    /// The quotient of two numbers of which one at least is a decimal, cut off after `scale` decimals. Division by zero is an error.
    fn quotient(&self, left: &str, right: &str, scale: u8) -> Option<String>;

    /// Whether a subquery that gives one row may stand for its value.
    fn takes_subqueries_for_values(&self) -> bool;

    /// Whether a query of a `WITH` that is named several times is computed once.
    fn computes_named_queries_once(&self) -> bool;

    /// Whether a text that a function makes of one column compares as the texts of that column do.
    fn keeps_collations(&self) -> bool;

    /// A scalar function by its DataFusion name, arguments already printed. The result has type `result`. A `character(n)` among the
    /// arguments is as it is stored, while its value is the text without the blanks at its end.
    fn function(&self, name: &str, arguments: &[Argument<'_>], result: &DataType) -> Option<String>;

    /// An aggregate by its DataFusion name, without `DISTINCT` or `FILTER`, cast to `result`. No argument is `count(*)`. `over` stands
    /// behind each call of an aggregate: nothing, or the `OVER` of a window with a blank before it.
    fn aggregate(&self, name: &str, argument: Option<&Argument<'_>>, over: &str, result: &DataType) -> Option<String>;

    /// A rank or the number of a row, written as the standard does, as a 64-bit integer.
    fn rank(&self, sql: &str) -> String {
        sql.to_owned()
    }

    /// `LIMIT` and `OFFSET`, or empty.
    fn limit(&self, limit: Option<u64>, offset: u64) -> String;
}

/// An argument of a function: its text and its type here.
#[derive(Debug, Clone)]
pub struct Argument<'a> {
    /// The printed expression.
    pub sql: String,
    /// Its Arrow type.
    pub data_type: DataType,
    /// The literal it is, when it is one.
    pub literal: Option<&'a ScalarValue>,
}

/// Where NULLs stand in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullOrder {
    /// Before all values.
    First,
    /// After all values.
    Last,
}

/// How a source's `LIKE` relates to ours, which is case-sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeSupport {
    /// The same, given an explicit `ESCAPE`.
    Exact,
    /// It is not shipped.
    Local,
}
