//! What a person may write for a type.

use super::remote_type::Stored;
use super::type_mapping::map;
use crate::declared_type::DeclaredType;

/// The names of the types that are published.
const KNOWN: &[&str] = &[
    "Array",
    "Bool",
    "Date",
    "Date32",
    "DateTime",
    "DateTime64",
    "Decimal",
    "Dynamic",
    "Enum16",
    "Enum8",
    "FixedString",
    "Float32",
    "Float64",
    "Geometry",
    "IPv4",
    "IPv6",
    "Int128",
    "Int16",
    "Int256",
    "Int32",
    "Int64",
    "Int8",
    "JSON",
    "LineString",
    "LowCardinality",
    "Map",
    "MultiLineString",
    "MultiPoint",
    "MultiPolygon",
    "Nullable",
    "Point",
    "Polygon",
    "Ring",
    "SimpleAggregateFunction",
    "String",
    "Time",
    "Time64",
    "Tuple",
    "UInt128",
    "UInt16",
    "UInt256",
    "UInt32",
    "UInt64",
    "UInt8",
    "UUID",
    "Variant",
];

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    match map(&Stored::parse(text)) {
        Ok(mapping) => DeclaredType::Known(mapping.data_type, mapping.presentation),
        Err(_) => DeclaredType::Unknown(KNOWN),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;

    use super::*;
    use crate::remote::Presentation;

    #[test]
    fn types_have_the_form_that_a_look_gives_them() {
        for (text, form) in [
            ("UInt8", DataType::Int16),
            ("bigint unsigned", DataType::Decimal128(20, 0)),
            ("Nullable(Decimal(40, 2))", DataType::Decimal256(40, 2)),
            ("LowCardinality(String)", DataType::Utf8),
            ("Date", DataType::Date32),
            ("FixedString(16)", DataType::Binary),
        ] {
            assert_eq!(declared_type(text), DeclaredType::plain(form), "{text}");
        }
        assert_eq!(declared_type("UUID"), DeclaredType::Known(DataType::Utf8, Presentation::Uuid));
        for text in ["Int7", "AggregateFunction(uniq, Int8)", "Array(", ""] {
            assert_eq!(declared_type(text), DeclaredType::Unknown(KNOWN), "{text}");
        }
        let arguments = ["", "(3)", "('a' = 1)", "(String, Int8)", "(Int8)", "(max, Int8)"];
        for name in KNOWN {
            let is_known = |arguments: &&str| matches!(declared_type(&format!("{name}{arguments}")), DeclaredType::Known(..));
            assert!(arguments.iter().any(is_known), "{name}");
        }
    }
}
