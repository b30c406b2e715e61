//! Arrow's types, for the connectors that find them in their sources.

use std::str::FromStr;

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

use super::TypeChange;

/// The change between two types as Arrow prints them. A text that Arrow cannot read back is only the same as itself.
pub(crate) fn between_arrow_types(expected: &str, actual: &str) -> TypeChange {
    match (DataType::from_str(expected), DataType::from_str(actual)) {
        (Ok(expected), Ok(actual)) => TypeChange::between(&expected, &actual, fits),
        _ => TypeChange::between(&plain_text(expected), &plain_text(actual), String::eq),
    }
}

fn plain_text(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Whether each value of `narrow` is an equal value of `wide`. How values are laid out in memory is no difference.
fn fits(narrow: &DataType, wide: &DataType) -> bool {
    let (narrow, wide) = (values(narrow), values(wide));
    if narrow == wide || *narrow == DataType::Null {
        return true;
    }
    if let Some((low, high)) = whole_numbers(narrow) {
        let largest = high.max(-low);
        return match wide {
            DataType::Float16 => largest <= 1 << 11,
            DataType::Float32 => largest <= 1 << 24,
            DataType::Float64 => largest <= 1 << 53,
            _ => match (whole_numbers(wide), digits(wide)) {
                (Some((lowest, highest)), _) => lowest <= low && high <= highest,
                (None, Some((before, _))) => largest.to_string().len() <= usize::from(before),
                (None, None) => false,
            },
        };
    }
    if let (Some((before, after)), Some((wide_before, wide_after))) = (digits(narrow), digits(wide)) {
        return before <= wide_before && after <= wide_after;
    }
    if let (Some(narrow), Some(wide)) = (item(narrow), item(wide)) {
        return match (narrow.length, wide.length) {
            (Some(narrow_length), Some(wide_length)) if narrow_length != wide_length => false,
            (None, Some(_)) => false,
            _ => fits(narrow.field.data_type(), wide.field.data_type()),
        };
    }
    match (narrow, wide) {
        (DataType::Float16, DataType::Float32 | DataType::Float64) | (DataType::Float32, DataType::Float64) => true,
        (narrow, wide) if is_text(narrow) => is_text(wide),
        (narrow, wide) if is_bytes(narrow) => is_bytes(wide),
        (DataType::FixedSizeBinary(_), wide) => is_bytes(wide),
        (DataType::Time32(unit) | DataType::Time64(unit), DataType::Time32(wide) | DataType::Time64(wide))
        | (DataType::Duration(unit), DataType::Duration(wide)) => fineness(*unit) <= fineness(*wide),
        // A finer unit ends earlier, but beyond its end reading fails and never gives another instant: files of one folder that
        // differ so are one table as well. The zone is but a label on an instant.
        (DataType::Timestamp(unit, zone), DataType::Timestamp(wide, wide_zone)) => {
            fineness(*unit) <= fineness(*wide) && zone.is_some() == wide_zone.is_some()
        }
        // Published as a timestamp.
        (DataType::Date64, DataType::Timestamp(wide, None)) => fineness(TimeUnit::Millisecond) <= fineness(*wide),
        (DataType::Struct(narrow), DataType::Struct(wide)) => {
            let same = |(narrow, wide): (&std::sync::Arc<Field>, &std::sync::Arc<Field>)| {
                narrow.name() == wide.name() && fits(narrow.data_type(), wide.data_type())
            };
            narrow.len() == wide.len() && narrow.iter().zip(wide).all(same)
        }
        (DataType::Map(narrow, _), DataType::Map(wide, _)) => fits(narrow.data_type(), wide.data_type()),
        _ => false,
    }
}

/// The type of the values, however they are encoded.
fn values(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, of) => values(of),
        DataType::RunEndEncoded(_, of) => values(of.data_type()),
        other => other,
    }
}

/// The lowest and the highest whole number of the type.
fn whole_numbers(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// The digits of a decimal before and behind the point.
fn digits(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let before = i16::from(*precision) - i16::from(*scale);
            Some((u8::try_from(before.max(0)).unwrap_or(u8::MAX), *scale))
        }
        _ => None,
    }
}

struct Item<'a> {
    field: &'a Field,
    length: Option<i32>,
}

fn item(data_type: &DataType) -> Option<Item<'_>> {
    match data_type {
        DataType::List(field) | DataType::LargeList(field) | DataType::ListView(field) | DataType::LargeListView(field) => {
            Some(Item { field, length: None })
        }
        DataType::FixedSizeList(field, length) => Some(Item { field, length: Some(*length) }),
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}
