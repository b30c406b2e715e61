//! Which Arrow type a column's values arrive in, and which of its comparisons the server makes as we do.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Field, TimeUnit};

use super::remote_type::{Stored, Type};
use crate::remote::{Comparison, Presentation};

/// What becomes of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) data_type: DataType,
    pub(super) presentation: Presentation,
    pub(super) comparison: Comparison,
}

impl Mapping {
    fn plain(data_type: DataType, comparison: Comparison) -> Self {
        Self { data_type, presentation: Presentation::Plain, comparison }
    }

    /// What is printed is compared by the server as something else.
    fn printed(presentation: Presentation) -> Self {
        Self { data_type: DataType::Utf8, presentation, comparison: Comparison::None }
    }
}

/// Maps a type.
///
/// # Errors
/// The reason, in words for the user, why a column of this type is not published.
pub(super) fn map(stored: &Stored) -> Result<Mapping, String> {
    let total = |data_type| Mapping::plain(data_type, Comparison::Total);
    Ok(match &stored.of {
        Type::Array(of) if !stored.of.is_printed() => {
            let item = Field::new("item", map(of)?.data_type, true);
            Mapping::plain(DataType::List(Arc::new(item)), Comparison::None)
        }
        Type::Uuid => Mapping::printed(Presentation::Uuid),
        Type::Json => Mapping::printed(Presentation::Json),
        of if of.is_printed() => Mapping::printed(Presentation::Plain),
        Type::Whole { signed, bits } => total(match (signed, bits) {
            (true, 8 | 16) | (false, 8) => DataType::Int16,
            (true, 32) | (false, 16) => DataType::Int32,
            (true, _) | (false, 32) => DataType::Int64,
            (false, _) => DataType::Decimal128(20, 0),
        }),
        // NaN is neither greater than a number nor equal to itself over there.
        Type::Float(32) => Mapping::plain(DataType::Float32, Comparison::None),
        Type::Float(64) => Mapping::plain(DataType::Float64, Comparison::None),
        Type::Decimal { precision, scale } if *precision <= DECIMAL128_MAX_PRECISION => {
            total(DataType::Decimal128(*precision, *scale as i8))
        }
        Type::Decimal { precision, scale } => total(DataType::Decimal256(*precision, *scale as i8)),
        // Compared byte by byte, which for UTF-8 is by code point.
        Type::String => total(DataType::Utf8),
        // A shorter text is filled up with zero bytes before it is compared.
        Type::FixedString(_) => Mapping::plain(DataType::Binary, Comparison::None),
        Type::Date | Type::Date32 => total(DataType::Date32),
        Type::DateTime => total(instant(0)),
        // An `IN` list is cut to the digits that the column has: the literals of these have as many.
        Type::DateTime64(digits @ (3 | 6 | 9)) => total(instant(*digits)),
        Type::DateTime64(digits) => Mapping::plain(instant(*digits), Comparison::None),
        Type::Bool => total(DataType::Boolean),
        Type::Float(_) | Type::Other(_) | Type::Array(_) | Type::Time(_) | Type::Enum(_) | Type::Ipv4 | Type::Ipv6 | Type::Printed(_) => {
            return Err("a value of this type has no exact form here".to_owned());
        }
    })
}

/// An instant that has room for so many digits of the second.
fn instant(digits: u8) -> DataType {
    let unit = match digits {
        0 => TimeUnit::Second,
        1..=3 => TimeUnit::Millisecond,
        4..=6 => TimeUnit::Microsecond,
        _ => TimeUnit::Nanosecond,
    };
    DataType::Timestamp(unit, Some("+00:00".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Mapping {
        map(&Stored::parse(text)).unwrap()
    }

    #[test]
    fn unsigned_integers_are_widened() {
        let cases = [
            ("Int8", DataType::Int16),
            ("UInt8", DataType::Int16),
            ("Int16", DataType::Int16),
            ("UInt16", DataType::Int32),
            ("Int32", DataType::Int32),
            ("UInt32", DataType::Int64),
            ("Nullable(Int64)", DataType::Int64),
            ("UInt64", DataType::Decimal128(20, 0)),
        ];
        for (text, expected) in cases {
            assert_eq!(of(text), Mapping::plain(expected, Comparison::Total), "{text}");
        }
    }

    #[test]
    fn only_instants_whose_digits_a_literal_can_have_are_compared() {
        for digits in 0..=9 {
            let expected = if [3, 6, 9].contains(&digits) { Comparison::Total } else { Comparison::None };
            assert_eq!(of(&format!("DateTime64({digits}, 'UTC')")).comparison, expected, "{digits}");
        }
        assert_eq!(of("DateTime('Asia/Tokyo')"), Mapping::plain(instant(0), Comparison::Total));
    }

    #[test]
    fn what_the_server_compares_otherwise_is_printed_and_compared_here() {
        for text in ["Int128", "UInt256", "Enum8('a' = 1)", "IPv6", "Map(String, Int8)", "Array(UUID)", "Array(Array(Int8))", "Time64(3)"] {
            assert_eq!(of(text), Mapping::printed(Presentation::Plain), "{text}");
        }
        assert_eq!(of("UUID"), Mapping::printed(Presentation::Uuid));
        assert_eq!(of("JSON"), Mapping::printed(Presentation::Json));
        assert_eq!(of("FixedString(3)"), Mapping::plain(DataType::Binary, Comparison::None));
    }

    #[test]
    fn what_has_no_exact_form_is_left_out() {
        for text in ["AggregateFunction(uniq, UInt64)", "BFloat16", "Nothing", "IntervalDay", "Array(Nothing"] {
            assert!(map(&Stored::parse(text)).is_err(), "{text}");
        }
    }
}
