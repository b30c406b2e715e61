//! Whether a statement gives the types that its rows are decoded as, and how. A binary `COPY` does not say what its bytes are, and
//! those of one type are values of another too.

use datafusion::arrow::datatypes::{DataType, FieldRef, IntervalUnit, Schema, TimeUnit};
use tokio_postgres::Column;
use tokio_postgres::types::{Kind, Type};

use super::copy_binary::{CopyDecoder, TextForm};
use super::shape::Shapes;
use super::type_mapping::{UNCONSTRAINED, precision_and_scale};
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED};

/// What the source must be for a statement.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// What decodes the rows. It is told how they come.
    pub(super) decoder: &'a mut CopyDecoder,
    /// The tables, as the last look saw them and as the statement was made for them.
    pub(super) shapes: &'a Shapes<'a>,
}

/// Compares what the source says a statement gives with the `schema` it is wanted in, and says how the texts of each column come.
///
/// # Errors
/// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column of another type.
pub(super) fn text_forms(schema: &Schema, described: &[Column]) -> Result<Vec<TextForm>> {
    // Rows that are only counted have a column nobody reads.
    if schema.fields().is_empty() {
        return Ok(Vec::new());
    }
    if schema.fields().len() != described.len() {
        let text = format!("a statement for {} columns gives {}", schema.fields().len(), described.len());
        return Err(Error::new(ErrorKind::Internal, text));
    }
    let form = |(field, column): (&FieldRef, &Column)| {
        if is_read_as(field.data_type(), column.type_()) && fits(field.data_type(), column) {
            return Ok(text_form(column.type_()));
        }
        let text = format!("column \"{}\" is {} at the source now, which is another type", field.name(), column.type_().name());
        Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"))
    };
    schema.fields().iter().zip(described).map(form).collect()
}

/// How the texts of a type, or of an array of it, come.
fn text_form(remote: &Type) -> TextForm {
    match remote.kind() {
        Kind::Array(of) => text_form(of),
        _ if *remote == Type::BPCHAR => TextForm::BlankPadded,
        _ if *remote == Type::UUID => TextForm::Uuid,
        _ if *remote == Type::JSONB => TextForm::Jsonb,
        _ => TextForm::Plain,
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

/// Types whose binary form is their text, or one that a [`TextForm`] reads as it.
const TEXTS: [Type; 10] =
    [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::JSON, Type::CHAR, Type::XML, Type::UNKNOWN, Type::UUID, Type::JSONB];

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
            (DataType::Utf8, Type::JSONB),
        ];
        assert!(read.iter().all(|(data_type, remote)| is_read_as(data_type, remote)), "{read:?}");
        let not_read = [
            (DataType::Int32, Type::FLOAT4),
            (DataType::Int64, Type::TIMESTAMP),
            (DataType::Utf8, Type::INET),
            (DataType::Binary, Type::JSONB),
            (DataType::Timestamp(TimeUnit::Microsecond, None), Type::TIMESTAMPTZ),
            (list, Type::FLOAT4_ARRAY),
        ];
        assert!(!not_read.iter().any(|(data_type, remote)| is_read_as(data_type, remote)), "{not_read:?}");
    }

    #[test]
    fn texts_are_read_in_the_form_of_their_type() {
        for (remote, expected) in [
            (Type::VARCHAR, TextForm::Plain),
            (Type::JSON, TextForm::Plain),
            (Type::BPCHAR, TextForm::BlankPadded),
            (Type::BPCHAR_ARRAY, TextForm::BlankPadded),
            (Type::UUID, TextForm::Uuid),
            (Type::JSONB_ARRAY, TextForm::Jsonb),
        ] {
            assert_eq!(text_form(&remote), expected, "{remote}");
        }
    }
}
