//! What each PostgreSQL type is here: its Arrow type, how clients see it, and which comparisons agree.
//!
//! `docs/types-postgres.md` has the table for users. What has no Arrow home is read as the text PostgreSQL prints.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit};
use tokio_postgres::types::{Kind, Type};

use super::manifest::NUMERIC;
use crate::error::{Error, ErrorKind, Result};
use crate::options::Options;
use crate::remote::{Comparison, Presentation};

/// Precision and scale of a `numeric` that declares neither.
pub(super) const UNCONSTRAINED: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 38);
/// The time zone of every instant.
const UTC: &str = "+00:00";

/// What becomes of a `numeric` without precision, which may hold more digits than any decimal, and NaN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NumericPolicy {
    /// A decimal. A value that does not fit is an error.
    Decimal,
    /// Text, which holds every value.
    Text,
    /// The nearest floating point number.
    Float,
}

impl NumericPolicy {
    pub(super) fn from_options(options: &Options) -> Result<Self> {
        match options.required(NUMERIC)? {
            "decimal" => Ok(Self::Decimal),
            "text" => Ok(Self::Text),
            "float" => Ok(Self::Float),
            other => Err(Error::new(ErrorKind::Internal, format!("numeric {other} is in the manifest and not known here"))),
        }
    }
}

/// A PostgreSQL type as we read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    pub(super) data_type: DataType,
    pub(super) presentation: Presentation,
    pub(super) comparison: Comparison,
}

/// The collation of a column, as far as comparisons depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Collation<'a> {
    /// `c` for libc, `i` for ICU, `b` for PostgreSQL's own.
    pub(super) provider: &'a str,
    /// The locale's name for the provider.
    pub(super) locale: &'a str,
    /// Whether `=` means equal bytes.
    pub(super) deterministic: bool,
    /// The database's encoding.
    pub(super) encoding: &'a str,
}

impl Collation<'_> {
    /// Which comparisons of text agree with ours, which go by the bytes of UTF-8.
    pub(super) fn comparison(self) -> Comparison {
        if !matches!(self.encoding, "UTF8" | "SQL_ASCII") {
            // A literal that the encoding lacks would fail over there and simply be unequal here.
            return Comparison::None;
        }
        match (self.provider, self.locale) {
            // PostgreSQL's own locales differ in what is a letter, never in order.
            ("b", _) | ("c", "C" | "POSIX") => Comparison::Total,
            _ if self.deterministic => Comparison::Equality,
            _ => Comparison::None,
        }
    }
}

/// The mapping of the type `oid`, domains already resolved, with its modifier and the collation of the column if it has one.
pub(super) fn map(oid: u32, modifier: i32, collation: Option<Collation<'_>>, policy: NumericPolicy) -> Mapping {
    let Some(base) = Type::from_oid(oid) else {
        return text(Presentation::Plain, Comparison::None);
    };
    match base.kind() {
        // Their first subscript is 0.
        _ if matches!(base, Type::INT2_VECTOR | Type::OID_VECTOR) => text(Presentation::Plain, Comparison::None),
        Kind::Array(element) => array(element, modifier, policy),
        _ => scalar(&base, modifier, collation, policy),
    }
}

fn scalar(base: &Type, modifier: i32, collation: Option<Collation<'_>>, policy: NumericPolicy) -> Mapping {
    let total = |data_type| Mapping { data_type, presentation: Presentation::Plain, comparison: Comparison::Total };
    let float = |data_type| Mapping { data_type, presentation: Presentation::Plain, comparison: Comparison::Float };
    let collated = || collation.map_or(Comparison::None, Collation::comparison);
    match *base {
        Type::BOOL => total(DataType::Boolean),
        Type::INT2 => total(DataType::Int16),
        Type::INT4 => total(DataType::Int32),
        Type::INT8 => total(DataType::Int64),
        // Compared with a bigint over there, the bigint becomes an oid, and fails when it is none.
        Type::OID => Mapping { data_type: DataType::Int64, presentation: Presentation::Plain, comparison: Comparison::None },
        Type::FLOAT4 => float(DataType::Float32),
        Type::FLOAT8 => float(DataType::Float64),
        Type::NUMERIC => numeric(modifier, policy),
        Type::TEXT | Type::VARCHAR | Type::NAME => text(Presentation::Plain, collated()),
        Type::BPCHAR => text(Presentation::Bpchar, collated()),
        // Ordered by its bytes, and so are the digits that they are written as.
        Type::UUID => text(Presentation::Uuid, Comparison::OwnType),
        Type::JSON => text(Presentation::Json, Comparison::None),
        Type::JSONB => text(Presentation::Jsonb, Comparison::None),
        Type::BYTEA => total(DataType::Binary),
        Type::DATE => total(DataType::Date32),
        Type::TIME => total(DataType::Time64(TimeUnit::Microsecond)),
        Type::TIMESTAMP => total(DataType::Timestamp(TimeUnit::Microsecond, None)),
        Type::TIMESTAMPTZ => total(DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()))),
        // An interval of 30 days equals one of a month over there, and not here.
        Type::INTERVAL => Mapping {
            data_type: DataType::Interval(IntervalUnit::MonthDayNano),
            presentation: Presentation::Plain,
            comparison: Comparison::None,
        },
        _ => text(Presentation::Plain, Comparison::None),
    }
}

fn text(presentation: Presentation, comparison: Comparison) -> Mapping {
    Mapping { data_type: DataType::Utf8, presentation, comparison }
}

/// `numeric`, `numeric(p, s)`, and those whose scale no decimal has.
fn numeric(modifier: i32, policy: NumericPolicy) -> Mapping {
    let exact = |data_type, presentation| Mapping { data_type, presentation, comparison: Comparison::Total };
    match (precision_and_scale(modifier), policy) {
        (None, NumericPolicy::Decimal) => exact(UNCONSTRAINED, Presentation::UnconstrainedNumeric),
        (None, NumericPolicy::Text) => text(Presentation::Plain, Comparison::None),
        // What is equal here was not before it was rounded.
        (None, NumericPolicy::Float) => {
            Mapping { data_type: DataType::Float64, presentation: Presentation::Plain, comparison: Comparison::None }
        }
        (Some((precision, scale)), _) => match decimal(precision, scale) {
            Some(data_type) => exact(data_type, Presentation::Plain),
            None => text(Presentation::Plain, Comparison::None),
        },
    }
}

fn decimal(precision: i32, scale: i32) -> Option<DataType> {
    let precision = u8::try_from(precision).ok().filter(|&precision| precision <= DECIMAL256_MAX_PRECISION)?;
    let scale = i8::try_from(scale).ok().filter(|scale| (0..=i32::from(precision)).contains(&i32::from(*scale)))?;
    Some(match precision {
        ..=DECIMAL128_MAX_PRECISION => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(precision, scale),
    })
}

/// Reads a `numeric`'s modifier: precision in the upper half, scale as a signed number of eleven bits, both shifted by four.
pub(super) fn precision_and_scale(modifier: i32) -> Option<(i32, i32)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    Some(((packed >> 16) & 0xFFFF, ((packed & 0x7FF) ^ 1024) - 1024))
}

/// An array whose elements decode to a fixed Arrow type; any other is text as PostgreSQL prints it.
fn array(element: &Type, modifier: i32, policy: NumericPolicy) -> Mapping {
    let items = match *element {
        // Its elements would be shown with 38 decimals each: a list has no presentation for its elements.
        Type::NUMERIC if precision_and_scale(modifier).is_none() && policy != NumericPolicy::Float => None,
        Type::BOOL
        | Type::INT2
        | Type::INT4
        | Type::INT8
        | Type::OID
        | Type::FLOAT4
        | Type::FLOAT8
        | Type::NUMERIC
        | Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UUID
        | Type::BYTEA
        | Type::DATE
        | Type::TIME
        | Type::TIMESTAMP
        | Type::TIMESTAMPTZ
        | Type::INTERVAL => Some(scalar(element, modifier, None, policy).data_type),
        _ => None,
    };
    // A numeric whose scale no decimal has is text by now, and so is an array of them.
    let items = items.filter(|items| *element != Type::NUMERIC || *items != DataType::Utf8);
    match items {
        Some(items) => Mapping {
            data_type: DataType::List(Arc::new(Field::new_list_field(items, true))),
            presentation: Presentation::Plain,
            comparison: Comparison::None,
        },
        None => text(Presentation::Plain, Comparison::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(oid: u32, modifier: i32, collation: Option<Collation<'_>>) -> Mapping {
        super::map(oid, modifier, collation, NumericPolicy::Decimal)
    }

    const UTF8_C: Collation<'_> = Collation { provider: "c", locale: "C", deterministic: true, encoding: "UTF8" };

    fn modifier(precision: i32, scale: i32) -> i32 {
        ((precision << 16) | (scale & 0x7FF)) + 4
    }

    #[test]
    fn numerics_follow_their_modifier() {
        let cases = [
            (modifier(10, 2), DataType::Decimal128(10, 2), Presentation::Plain),
            (modifier(38, 38), DataType::Decimal128(38, 38), Presentation::Plain),
            (modifier(39, 0), DataType::Decimal256(39, 0), Presentation::Plain),
            (modifier(76, 76), DataType::Decimal256(76, 76), Presentation::Plain),
            (modifier(77, 0), DataType::Utf8, Presentation::Plain),
            (modifier(1000, 1000), DataType::Utf8, Presentation::Plain),
            (modifier(3, -2), DataType::Utf8, Presentation::Plain),
            (modifier(2, 5), DataType::Utf8, Presentation::Plain),
            (-1, DataType::Decimal256(76, 38), Presentation::UnconstrainedNumeric),
        ];
        for (modifier, data_type, presentation) in cases {
            let mapping = map(Type::NUMERIC.oid(), modifier, None);
            assert_eq!((mapping.data_type, mapping.presentation), (data_type, presentation), "modifier {modifier}");
        }
    }

    #[test]
    fn a_numeric_without_precision_follows_the_policy() {
        let list = DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true)));
        let cases = [
            (NumericPolicy::Decimal, UNCONSTRAINED, DataType::Utf8),
            (NumericPolicy::Text, DataType::Utf8, DataType::Utf8),
            (NumericPolicy::Float, DataType::Float64, list),
        ];
        for (policy, alone, in_array) in cases {
            assert_eq!(super::map(Type::NUMERIC.oid(), -1, None, policy).data_type, alone, "{policy:?}");
            assert_eq!(super::map(Type::NUMERIC_ARRAY.oid(), -1, None, policy).data_type, in_array, "{policy:?}");
            let declared = super::map(Type::NUMERIC.oid(), modifier(10, 2), None, policy);
            assert_eq!(declared.data_type, DataType::Decimal128(10, 2), "{policy:?}");
        }
    }

    #[test]
    fn text_compares_as_its_collation_allows() {
        let cases = [
            (UTF8_C, Comparison::Total),
            (Collation { locale: "POSIX", ..UTF8_C }, Comparison::Total),
            (Collation { locale: "en_US.utf8", ..UTF8_C }, Comparison::Equality),
            (Collation { locale: "C.UTF-8", ..UTF8_C }, Comparison::Equality),
            (Collation { provider: "b", locale: "C.UTF-8", ..UTF8_C }, Comparison::Total),
            (Collation { provider: "i", locale: "und", ..UTF8_C }, Comparison::Equality),
            (Collation { provider: "i", locale: "und", deterministic: false, ..UTF8_C }, Comparison::None),
            (Collation { encoding: "EUC_JP", ..UTF8_C }, Comparison::None),
        ];
        for (collation, comparison) in cases {
            assert_eq!(map(Type::TEXT.oid(), -1, Some(collation)).comparison, comparison, "{collation:?}");
        }
        assert_eq!(map(Type::TEXT.oid(), -1, None).comparison, Comparison::None);
    }

    #[test]
    fn types_without_a_home_are_text() {
        for oid in [
            Type::XML.oid(),
            Type::INET.oid(),
            Type::INT4_RANGE.oid(),
            Type::POINT.oid(),
            Type::MONEY.oid(),
            Type::INT2_VECTOR.oid(),
            99_999,
        ] {
            assert_eq!(map(oid, -1, None), text(Presentation::Plain, Comparison::None), "type {oid}");
        }
    }

    #[test]
    fn arrays_of_simple_types_are_lists() {
        let list = |items| DataType::List(Arc::new(Field::new_list_field(items, true)));
        assert_eq!(map(Type::INT4_ARRAY.oid(), -1, None).data_type, list(DataType::Int32));
        assert_eq!(map(Type::NUMERIC_ARRAY.oid(), modifier(10, 2), None).data_type, list(DataType::Decimal128(10, 2)));
        assert_eq!(map(Type::NUMERIC_ARRAY.oid(), -1, None).data_type, DataType::Utf8);
        assert_eq!(map(Type::NUMERIC_ARRAY.oid(), modifier(3, -2), None).data_type, DataType::Utf8);
        assert_eq!(map(Type::INET_ARRAY.oid(), -1, None).data_type, DataType::Utf8);
    }
}
