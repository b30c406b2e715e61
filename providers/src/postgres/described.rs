//! Whether a statement gives the types that its rows are decoded as. A binary `COPY` does not say what its bytes are, and those of one
//! type are values of another too.

use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use tokio_postgres::Column;
use tokio_postgres::types::{Kind, Type};

use super::shape::Shapes;
use super::type_mapping::{UNCONSTRAINED, precision_and_scale};
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED};

/// What the source must be for a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// What the rows are decoded as.
    pub(super) schema: &'a Schema,
    /// The tables, as the last look saw them and as the statement was made for them.
    pub(super) shapes: &'a Shapes<'a>,
}

/// Compares what the source says a statement gives with the `schema` it is wanted in.
///
/// # Errors
/// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column of another type.
pub(super) fn check(schema: &Schema, described: &[Column]) -> Result<()> {
    // Rows that are only counted have a column nobody reads.
    if schema.fields().is_empty() {
        return Ok(());
    }
    if schema.fields().len() != described.len() {
        let text = format!("a statement for {} columns gives {}", schema.fields().len(), described.len());
        return Err(Error::new(ErrorKind::Internal, text));
    }
    let is_as_wanted = |field: &Field, column: &Column| is_read_as(field.data_type(), column.type_()) && fits(field.data_type(), column);
    match schema.fields().iter().zip(described).find(|(field, column)| !is_as_wanted(field, column)) {
        None => Ok(()),
        Some((field, column)) => {
            let text = format!("column \"{}\" is {} at the source now, which is another type", field.name(), column.type_().name());
            Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"))
        }
    }
}

/// Whether the binary form of a type decodes to `data_type`.
fn is_read_as(data_type: &DataType, remote: &Type) -> bool {
    match data_type {
        DataType::Boolean => *remote == Type::BOOL,
        DataType::Int8 | DataType::Int16 => *remote == Type::INT2,
        DataType::Int32 => *remote == Type::INT4,
        DataType::Int64 => *remote == Type::INT8,
        DataType::Float32 => *remote == Type::FLOAT4,
        DataType::Float64 => *remote == Type::FLOAT8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => *remote == Type::NUMERIC,
        DataType::Date32 => *remote == Type::DATE,
        DataType::Timestamp(TimeUnit::Microsecond, None) => *remote == Type::TIMESTAMP,
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => *remote == Type::TIMESTAMPTZ,
        DataType::Time64(TimeUnit::Microsecond) => *remote == Type::TIME,
        DataType::Interval(IntervalUnit::MonthDayNano) => *remote == Type::INTERVAL,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => *remote == Type::BYTEA,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => TEXTS.contains(remote),
        DataType::List(element) => match remote.kind() {
            Kind::Array(of) => is_read_as(element.data_type(), of),
            _ => false,
        },
        _ => false,
    }
}

/// Whether all that a stored numeric may hold fits the decimal it is wanted as. What is computed has a type without bounds over there.
fn fits(data_type: &DataType, column: &Column) -> bool {
    let (DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale)) = data_type else { return true };
    if column.table_oid().is_none() {
        return true;
    }
    match precision_and_scale(column.type_modifier()) {
        None => *data_type == UNCONSTRAINED,
        Some((digits, decimals)) => {
            let (precision, scale) = (i32::from(*precision), i32::from(*scale));
            decimals <= scale && digits - decimals <= precision - scale
        }
    }
}

/// Types whose binary form is their text.
const TEXTS: [Type; 8] = [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::JSON, Type::CHAR, Type::XML, Type::UNKNOWN];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;

    use super::*;

    #[test]
    fn bytes_of_another_type_are_not_read() {
        let list = DataType::List(Arc::new(Field::new("item", DataType::Int32, true)));
        let read = [
            (DataType::Int32, Type::INT4),
            (DataType::Utf8, Type::BPCHAR),
            (DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), Type::TIMESTAMPTZ),
            (list.clone(), Type::INT4_ARRAY),
        ];
        assert!(read.iter().all(|(data_type, remote)| is_read_as(data_type, remote)), "{read:?}");
        let not_read = [
            (DataType::Int32, Type::FLOAT4),
            (DataType::Int64, Type::TIMESTAMP),
            (DataType::Utf8, Type::JSONB),
            (DataType::Timestamp(TimeUnit::Microsecond, None), Type::TIMESTAMPTZ),
            (list, Type::FLOAT4_ARRAY),
        ];
        assert!(!not_read.iter().any(|(data_type, remote)| is_read_as(data_type, remote)), "{not_read:?}");
    }
}
