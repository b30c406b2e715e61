//! Types found in files as the Arrow types we publish. `docs/types-files.md` is this file for users.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};

/// The published type: the nearest that PostgreSQL has too and that holds every value of `found`.
///
/// Reading casts from what a file has, and fails where a value does not fit.
pub(super) fn publish(found: &DataType) -> DataType {
    match found {
        DataType::Null | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Int8 | DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 => DataType::Float32,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Time32(_) => DataType::Time64(TimeUnit::Microsecond),
        // Nanoseconds stay: PostgreSQL shows six digits, but comparisons here see them all.
        DataType::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Dictionary(_, values) => publish(values),
        DataType::RunEndEncoded(_, values) => publish(values.data_type()),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(publish_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(publish_field).collect::<Fields>()),
        other => other.clone(),
    }
}

fn publish_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), publish(field.data_type()), true))
}

/// The one type for a column that files hold in these two, when there is one that holds both exactly.
pub(super) fn common(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int16, Int32, Int64, Null, Timestamp};
    Some(match (left, right) {
        (left, right) if left == right => left.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Int16, Int32) | (Int32, Int16) => Int32,
        (Int16 | Int32, Int64) | (Int64, Int16 | Int32) => Int64,
        (Float32, Float64) | (Float64, Float32) | (Int16 | Int32, Float64) | (Float64, Int16 | Int32) => Float64,
        (Decimal128(20, 0), Int16 | Int32 | Int64) | (Int16 | Int32 | Int64, Decimal128(20, 0)) => Decimal128(20, 0),
        (Timestamp(TimeUnit::Microsecond, left), Timestamp(TimeUnit::Nanosecond, right))
        | (Timestamp(TimeUnit::Nanosecond, left), Timestamp(TimeUnit::Microsecond, right))
            if left == right =>
        {
            Timestamp(TimeUnit::Nanosecond, left.clone())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_place() {
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8));
        let list = DataType::LargeList(Arc::new(Field::new("item", DataType::UInt64, false)));
        let cases = [
            (DataType::Int8, DataType::Int16),
            (DataType::UInt64, DataType::Decimal128(20, 0)),
            (DataType::Float16, DataType::Float32),
            (DataType::Utf8View, DataType::Utf8),
            (dictionary, DataType::Utf8),
            (DataType::FixedSizeBinary(16), DataType::Binary),
            (DataType::Timestamp(TimeUnit::Second, Some("UTC".into())), DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
            (DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Timestamp(TimeUnit::Nanosecond, None)),
            (list, DataType::List(Arc::new(Field::new("item", DataType::Decimal128(20, 0), true)))),
            (DataType::Decimal256(50, 3), DataType::Decimal256(50, 3)),
            (DataType::Boolean, DataType::Boolean),
        ];
        for (found, wanted) in cases {
            assert_eq!(publish(&found), wanted, "{found}");
            assert_eq!(publish(&wanted), wanted, "publishing twice changes nothing");
        }
    }

    #[test]
    fn only_lossless_types_are_common() {
        assert_eq!(common(&DataType::Int16, &DataType::Int64), Some(DataType::Int64));
        assert_eq!(common(&DataType::Null, &DataType::Date32), Some(DataType::Date32));
        assert_eq!(common(&DataType::Int64, &DataType::Float64), None);
        assert_eq!(common(&DataType::Utf8, &DataType::Int64), None);
    }
}
