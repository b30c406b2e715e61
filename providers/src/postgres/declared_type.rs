//! PostgreSQL's types by their names. Which others a database has is for its users to say.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit};

use super::type_change::{Temporal, Type};
use crate::declared_type::DeclaredType;
use crate::remote::Presentation;
use crate::type_change::Declaration;

/// The types every database has, but for those with words behind their arguments.
const KNOWN: &[&str] = &[
    "bigint",
    "bigserial",
    "bit",
    "bit varying",
    "bool",
    "boolean",
    "box",
    "bpchar",
    "bytea",
    "char",
    "character",
    "character varying",
    "cid",
    "cidr",
    "circle",
    "date",
    "datemultirange",
    "daterange",
    "dec",
    "decimal",
    "double precision",
    "float",
    "float4",
    "float8",
    "inet",
    "int",
    "int2",
    "int2vector",
    "int4",
    "int4multirange",
    "int4range",
    "int8",
    "int8multirange",
    "int8range",
    "integer",
    "interval",
    "json",
    "jsonb",
    "jsonpath",
    "line",
    "lseg",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "numeric",
    "nummultirange",
    "numrange",
    "oid",
    "oidvector",
    "path",
    "pg_lsn",
    "pg_snapshot",
    "point",
    "polygon",
    "real",
    "refcursor",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
    "serial",
    "smallint",
    "smallserial",
    "text",
    "tid",
    "time",
    "time with time zone",
    "time without time zone",
    "timestamp",
    "timestamp with time zone",
    "timestamp without time zone",
    "timestamptz",
    "timetz",
    "tsmultirange",
    "tsquery",
    "tsrange",
    "tstzmultirange",
    "tstzrange",
    "tsvector",
    "txid_snapshot",
    "uuid",
    "varbit",
    "varchar",
    "xid",
    "xid8",
    "xml",
];

/// What `text` is as the type of a column.
pub(super) fn declared_type(text: &str) -> DeclaredType {
    match Type::parse(text) {
        Type::Other(canonical) => other(&canonical),
        Type::Array(element) => array(*element),
        known => form(&known),
    }
}

/// A type that is like none but itself.
fn other(canonical: &str) -> DeclaredType {
    match canonical {
        "boolean" => return DeclaredType::plain(DataType::Boolean),
        "date" => return DeclaredType::plain(DataType::Date32),
        "bytea" => return DeclaredType::plain(DataType::Binary),
        "uuid" => return DeclaredType::Known(DataType::Utf8, Presentation::Uuid),
        "json" => return DeclaredType::Known(DataType::Utf8, Presentation::Json),
        "jsonb" => return DeclaredType::Known(DataType::Utf8, Presentation::Jsonb),
        _ => {}
    }
    match Declaration::parse(canonical).map(|declaration| (declaration.name(), declaration.arguments.is_empty())) {
        Some((name, true)) if KNOWN.contains(&name.as_str()) => DeclaredType::text(),
        // No type of PostgreSQL's takes those arguments, and nothing of an empty name is a type.
        Some((name, _)) if name.is_empty() || KNOWN.contains(&name.as_str()) => DeclaredType::Unknown(KNOWN),
        Some(_) => DeclaredType::Custom(KNOWN),
        None => DeclaredType::Unknown(KNOWN),
    }
}

fn array(element: Type) -> DeclaredType {
    if let Type::Other(canonical) = &element {
        return match other(canonical) {
            DeclaredType::Known(items, _) if items != DataType::Utf8 || canonical == "uuid" => list(items),
            DeclaredType::Known(..) => DeclaredType::text(),
            undecided => undecided,
        };
    }
    match (&element, form(&element)) {
        // As they are seen in PostgreSQL's text of the whole.
        (Type::Numeric(None) | Type::Bit(_) | Type::BitVarying(_) | Type::Temporal(Temporal::TimeWithZone, _), _) => DeclaredType::text(),
        (_, DeclaredType::Known(items, _)) => list(items),
        (_, undecided) => undecided,
    }
}

fn list(items: DataType) -> DeclaredType {
    DeclaredType::plain(DataType::List(Arc::new(Field::new_list_field(items, true))))
}

/// The form of a type with a place of its own here.
fn form(known: &Type) -> DeclaredType {
    DeclaredType::plain(match known {
        Type::SmallInt => DataType::Int16,
        Type::Integer => DataType::Int32,
        Type::BigInt | Type::Oid => DataType::Int64,
        Type::Real => DataType::Float32,
        Type::Double => DataType::Float64,
        Type::Numeric(None) => {
            return DeclaredType::Known(DataType::Decimal256(DECIMAL256_MAX_PRECISION, 38), Presentation::UnconstrainedNumeric);
        }
        Type::Numeric(Some((precision, scale))) => match (u8::try_from(*precision), i8::try_from(*scale)) {
            (Ok(precision @ ..=DECIMAL128_MAX_PRECISION), Ok(scale @ 0..)) => DataType::Decimal128(precision, scale),
            (Ok(precision @ ..=DECIMAL256_MAX_PRECISION), Ok(scale @ 0..)) => DataType::Decimal256(precision, scale),
            _ => DataType::Utf8,
        },
        Type::Character(_) => return DeclaredType::Known(DataType::Utf8, Presentation::Bpchar),
        Type::Temporal(Temporal::Time, _) => DataType::Time64(TimeUnit::Microsecond),
        Type::Temporal(Temporal::Timestamp, _) => DataType::Timestamp(TimeUnit::Microsecond, None),
        Type::Temporal(Temporal::TimestampWithZone, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        Type::Interval(..) => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::Text(_)
        | Type::Name
        | Type::Bit(_)
        | Type::BitVarying(_)
        | Type::Temporal(Temporal::TimeWithZone, _)
        | Type::Array(_)
        | Type::Other(_) => DataType::Utf8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_the_form_that_a_look_gives_them() {
        let items = |items| DataType::List(Arc::new(Field::new_list_field(items, true)));
        for (text, form) in [
            ("integer", DataType::Int32),
            ("numeric(10,2)", DataType::Decimal128(10, 2)),
            ("numeric(50, 2)", DataType::Decimal256(50, 2)),
            ("character varying(20)", DataType::Utf8),
            ("timestamp(3) with time zone", DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
            ("date", DataType::Date32),
            ("integer[]", items(DataType::Int32)),
            ("date[]", items(DataType::Date32)),
            ("numeric[]", DataType::Utf8),
            ("inet", DataType::Utf8),
            ("inet[]", DataType::Utf8),
        ] {
            assert_eq!(declared_type(text), DeclaredType::plain(form), "{text}");
        }
        assert_eq!(declared_type("jsonb"), DeclaredType::Known(DataType::Utf8, Presentation::Jsonb));
        assert!(KNOWN.iter().all(|name| matches!(declared_type(name), DeclaredType::Known(..))));
    }

    #[test]
    fn what_users_may_have_made_is_told_from_what_nobody_can() {
        for text in ["mood", "public.mood", "\"Odd\"", "geometry(Point,4326)", "mood[]", "integr"] {
            assert_eq!(declared_type(text), DeclaredType::Custom(KNOWN), "{text}");
        }
        for text in ["integer(5)", "varchar(x)", "numeric(", "", "inet(3)", "integer(5)[]"] {
            assert_eq!(declared_type(text), DeclaredType::Unknown(KNOWN), "{text}");
        }
    }
}
