//! Types of MySQL and MariaDB by their names.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, IntervalUnit, TimeUnit};

use super::type_change::{Temporal, Type};
use crate::declared_type::DeclaredType;
use crate::remote::Presentation;

/// The types there are, by the names `COLUMN_TYPE` prints.
const KNOWN: &[&str] = &[
    "bigint",
    "binary",
    "bit",
    "blob",
    "char",
    "date",
    "datetime",
    "decimal",
    "double",
    "enum",
    "float",
    "geometry",
    "geometrycollection",
    "inet4",
    "inet6",
    "int",
    "integer",
    "json",
    "linestring",
    "longblob",
    "longtext",
    "mediumblob",
    "mediumint",
    "mediumtext",
    "multilinestring",
    "multipoint",
    "multipolygon",
    "numeric",
    "point",
    "polygon",
    "set",
    "smallint",
    "text",
    "time",
    "timestamp",
    "tinyblob",
    "tinyint",
    "tinytext",
    "uuid",
    "varbinary",
    "varchar",
    "vector",
    "year",
];

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    DeclaredType::plain(match Type::parse(text) {
        Type::Whole(low, high) => whole(low, high),
        Type::Year => DataType::Int16,
        Type::Decimal { before, after, .. } => match (u8::try_from(before + after), i8::try_from(after)) {
            (Ok(precision), Ok(scale)) if precision <= DECIMAL128_MAX_PRECISION => DataType::Decimal128(precision, scale),
            (Ok(precision), Ok(scale)) => DataType::Decimal256(precision, scale),
            _ => return DeclaredType::Unknown(KNOWN),
        },
        Type::Float { double, .. } => {
            if double {
                DataType::Float64
            } else {
                DataType::Float32
            }
        }
        Type::Bit(1) => DataType::Boolean,
        Type::Binary(_) | Type::Bytes(_) => DataType::Binary,
        Type::Temporal(Temporal::DateTime, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::Temporal(Temporal::Timestamp, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        Type::Temporal(Temporal::Time, _) => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::Json => return DeclaredType::Known(DataType::Utf8, Presentation::Json),
        Type::Bit(_)
        | Type::Char(_)
        | Type::VarChar(_)
        | Type::Text(_)
        | Type::Enum(_)
        | Type::Set(_)
        | Type::Geometry
        | Type::GeometryOf(_) => DataType::Utf8,
        Type::Other(text) => match text.split('(').next().unwrap_or_default() {
            "date" => DataType::Date32,
            "vector" => DataType::Binary,
            "inet4" | "inet6" => DataType::Utf8,
            "uuid" => return DeclaredType::Known(DataType::Utf8, Presentation::Uuid),
            _ => return DeclaredType::Unknown(KNOWN),
        },
    })
}

/// The type that holds all numbers from one to another.
fn whole(low: i128, high: i128) -> DataType {
    let fits = |least: i64, most: i64| i128::from(least) <= low && high <= i128::from(most);
    if fits(i16::MIN.into(), i16::MAX.into()) {
        DataType::Int16
    } else if fits(i32::MIN.into(), i32::MAX.into()) {
        DataType::Int32
    } else if fits(i64::MIN, i64::MAX) {
        DataType::Int64
    } else {
        DataType::Decimal128(20, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_form_that_a_look_gives_them() {
        for (text, form) in [
            ("tinyint(1)", DataType::Int16),
            ("int(10) unsigned", DataType::Int64),
            ("BIGINT UNSIGNED", DataType::Decimal128(20, 0)),
            ("decimal(10,2)", DataType::Decimal128(10, 2)),
            ("decimal(65,30)", DataType::Decimal256(65, 30)),
            ("varchar(20)", DataType::Utf8),
            ("enum('a','b')", DataType::Utf8),
            ("date", DataType::Date32),
            ("datetime(6)", DataType::Timestamp(TimeUnit::Microsecond, None)),
            ("longblob", DataType::Binary),
        ] {
            assert_eq!(declared_type(text), DeclaredType::plain(form), "{text}");
        }
        assert!(KNOWN.iter().all(|name| {
            let lengths = ["", "(1)", "('a')"].map(|arguments| declared_type(&format!("{name}{arguments}")));
            lengths.iter().any(|declared| matches!(declared, DeclaredType::Known(..)))
        }));
        for text in ["integr", "varchar(x)", "int(", "mood", ""] {
            assert_eq!(declared_type(text), DeclaredType::Unknown(KNOWN), "{text}");
        }
    }
}
