//! How MySql writes SQL.

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;

use crate::remote::RemoteColumn;
use crate::sql::dialect::{Argument, Dialect, LikeSupport, NullOrder};

/// The dialect.
#[derive(Debug, Clone, Copy, Default)]
pub struct MySqlDialect;

impl Dialect for MySqlDialect {
    fn quote(&self, identifier: &str) -> String {
        format!("\"{}\"", identifier.replace('"', "\"\""))
    }

    fn table(&self, schema: &str, name: &str) -> String {
        format!("{}.{}", self.quote(schema), self.quote(name))
    }

    fn literal(&self, _value: &ScalarValue) -> Option<String> {
        None
    }

    fn type_name(&self, _data_type: &DataType) -> Option<String> {
        None
    }

    fn widening_cast(&self, _sql: &str, _from: &DataType, _to: &DataType) -> Option<String> {
        None
    }

    fn output(&self, _column: &RemoteColumn, sql: &str) -> String {
        sql.to_owned()
    }

    fn order_by(&self, sql: &str, ascending: bool, nulls: NullOrder) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let nulls = if nulls == NullOrder::First { "FIRST" } else { "LAST" };
        format!("{sql} {direction} NULLS {nulls}")
    }

    fn null_safe_equal(&self, left: &str, right: &str) -> String {
        format!("{left} IS NOT DISTINCT FROM {right}")
    }

    fn like(&self) -> LikeSupport {
        LikeSupport::Local
    }

    fn computes(&self) -> bool {
        false
    }

    fn function(&self, _name: &str, _arguments: &[Argument<'_>], _result: &DataType) -> Option<String> {
        None
    }

    fn aggregate(&self, _name: &str, _argument: Option<&Argument<'_>>, _result: &DataType) -> Option<String> {
        None
    }

    fn limit(&self, limit: Option<u64>, offset: u64) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!("LIMIT {limit}"),
            (None, offset) => format!("OFFSET {offset}"),
            (Some(limit), offset) => format!("LIMIT {limit} OFFSET {offset}"),
        }
    }
}
