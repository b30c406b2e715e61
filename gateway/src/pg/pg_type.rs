//! Arrow types as PostgreSQL types: what a column is called on the wire, and what a parameter's number stands for.

use std::sync::Arc;

use causeway_providers::Presentation;
use datafusion::arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, Field, IntervalUnit, TimeUnit};

use super::sqlstate::{PgError, UNSUPPORTED};

pub(crate) const BOOL: u32 = 16;
pub(crate) const BYTEA: u32 = 17;
pub(crate) const CHAR: u32 = 18;
pub(crate) const NAME: u32 = 19;
pub(crate) const INT8: u32 = 20;
pub(crate) const INT2: u32 = 21;
const INT2VECTOR: u32 = 22;
pub(crate) const INT4: u32 = 23;
pub(crate) const REGPROC: u32 = 24;
pub(crate) const TEXT: u32 = 25;
pub(crate) const OID: u32 = 26;
pub(crate) const XID: u32 = 28;
const OIDVECTOR: u32 = 30;
pub(crate) const JSON: u32 = 114;
pub(crate) const FLOAT4: u32 = 700;
pub(crate) const FLOAT8: u32 = 701;
pub(crate) const UNKNOWN: u32 = 705;
pub(crate) const BPCHAR: u32 = 1042;
pub(crate) const VARCHAR: u32 = 1043;
pub(crate) const DATE: u32 = 1082;
pub(crate) const TIME: u32 = 1083;
pub(crate) const TIMESTAMP: u32 = 1114;
pub(crate) const TIMESTAMPTZ: u32 = 1184;
pub(crate) const INTERVAL: u32 = 1186;
pub(crate) const NUMERIC: u32 = 1700;
pub(crate) const REGCLASS: u32 = 2205;
pub(crate) const REGTYPE: u32 = 2206;
pub(crate) const UUID: u32 = 2950;
const VOID: u32 = 2278;
pub(crate) const JSONB: u32 = 3802;

/// The metadata key of a field whose PostgreSQL type its Arrow type cannot tell, as in the system catalogs. The value is the name of
/// the type, such as `oid`.
pub(crate) const TYPE_KEY: &str = "causeway.pg_type";

/// The unconstrained `numeric` of parameters.
pub(crate) const WIDE_NUMERIC: DataType = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 38);

/// A column's type as RowDescription has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PgType {
    pub(crate) oid: u32,
    pub(crate) modifier: i32,
}

impl PgType {
    fn plain(oid: u32) -> Self {
        Self { oid, modifier: -1 }
    }

    /// Bytes of a value, or -1 where it varies.
    pub(crate) fn length(self) -> i16 {
        match self.oid {
            BOOL | CHAR => 1,
            INT2 => 2,
            INT4 | FLOAT4 | DATE | OID | REGPROC | REGCLASS | REGTYPE | XID | VOID => 4,
            INT8 | FLOAT8 | TIME | TIMESTAMP | TIMESTAMPTZ => 8,
            INTERVAL | UUID => 16,
            NAME => 64,
            _ => -1,
        }
    }

    /// The type of a result's column.
    pub(crate) fn of(field: &Field) -> Result<Self, PgError> {
        Self::of_value(field.data_type(), field, Presentation::of(field)).ok_or_else(|| {
            PgError::new(UNSUPPORTED, format!("column \"{}\" has the type {}, which cannot be sent", field.name(), field.data_type()))
                .hint("Leave the column out, or cast it to text.")
        })
    }

    fn of_value(data_type: &DataType, field: &Field, presentation: Presentation) -> Option<Self> {
        if let Some(oid) = field.metadata().get(TYPE_KEY).and_then(|name| oid_of_name(name)) {
            return Some(Self::plain(oid));
        }
        Some(match data_type {
            DataType::Boolean => Self::plain(BOOL),
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::plain(INT2),
            DataType::Int32 | DataType::UInt16 => Self::plain(INT4),
            DataType::Int64 | DataType::UInt32 => Self::plain(INT8),
            DataType::UInt64 => Self::plain(NUMERIC),
            DataType::Float16 | DataType::Float32 => Self::plain(FLOAT4),
            DataType::Float64 => Self::plain(FLOAT8),
            DataType::Decimal32(precision, scale)
            | DataType::Decimal64(precision, scale)
            | DataType::Decimal128(precision, scale)
            | DataType::Decimal256(precision, scale) => Self { oid: NUMERIC, modifier: numeric_modifier(*precision, *scale, presentation) },
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::plain(match presentation {
                Presentation::Plain | Presentation::UnconstrainedNumeric => TEXT,
                Presentation::Uuid => UUID,
                Presentation::Json => JSON,
                Presentation::Jsonb => JSONB,
                Presentation::Bpchar => BPCHAR,
            }),
            DataType::Null => Self::plain(TEXT),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Self::plain(BYTEA),
            DataType::Date32 | DataType::Date64 => Self::plain(DATE),
            DataType::Time32(_) | DataType::Time64(_) => Self::plain(TIME),
            DataType::Timestamp(_, None) => Self::plain(TIMESTAMP),
            DataType::Timestamp(_, Some(_)) => Self::plain(TIMESTAMPTZ),
            DataType::Interval(_) | DataType::Duration(_) => Self::plain(INTERVAL),
            DataType::Struct(_) | DataType::Map(_, _) | DataType::Union(_, _) => Self::plain(JSON),
            DataType::Dictionary(_, value) => return Self::of_value(value, field, presentation),
            DataType::RunEndEncoded(_, values) => return Self::of_value(values.data_type(), field, presentation),
            DataType::List(element)
            | DataType::LargeList(element)
            | DataType::FixedSizeList(element, _)
            | DataType::ListView(element)
            | DataType::LargeListView(element) => {
                let element = innermost(element, presentation)?;
                Self { oid: array_oid(element.oid)?, modifier: element.modifier }
            }
        })
    }
}

/// The type of an array's elements: PostgreSQL has one array type for any number of dimensions.
fn innermost(element: &Field, outer: Presentation) -> Option<PgType> {
    if let Some(inner) = list_element(element.data_type()) {
        return innermost(inner, outer);
    }
    PgType::of_value(element.data_type(), element, element_presentation(element, outer))
}

/// How an element is shown: as it says itself, or as the whole column is.
pub(crate) fn element_presentation(element: &Field, outer: Presentation) -> Presentation {
    match Presentation::of(element) {
        Presentation::Plain => outer,
        own => own,
    }
}

/// The element of a list type.
pub(crate) fn list_element(data_type: &DataType) -> Option<&Arc<Field>> {
    match data_type {
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _)
        | DataType::ListView(element)
        | DataType::LargeListView(element) => Some(element),
        _ => None,
    }
}

fn numeric_modifier(precision: u8, scale: i8, presentation: Presentation) -> i32 {
    match presentation {
        Presentation::UnconstrainedNumeric => -1,
        _ => ((i32::from(precision) << 16) | (i32::from(scale) & 0x7ff)) + 4,
    }
}

/// Types with a name the system catalogs use, their arrays' numbers beside them.
const NAMED: &[(&str, u32, u32)] = &[
    ("bool", BOOL, 1000),
    ("bytea", BYTEA, 1001),
    ("char", CHAR, 1002),
    ("name", NAME, 1003),
    ("int2", INT2, 1005),
    ("int4", INT4, 1007),
    ("regproc", REGPROC, 1008),
    ("text", TEXT, 1009),
    ("oid", OID, 1028),
    ("xid", XID, 1011),
    ("bpchar", BPCHAR, 1014),
    ("varchar", VARCHAR, 1015),
    ("int8", INT8, 1016),
    ("float4", FLOAT4, 1021),
    ("float8", FLOAT8, 1022),
    ("timestamp", TIMESTAMP, 1115),
    ("date", DATE, 1182),
    ("time", TIME, 1183),
    ("timestamptz", TIMESTAMPTZ, 1185),
    ("interval", INTERVAL, 1187),
    ("numeric", NUMERIC, 1231),
    ("json", JSON, 199),
    ("jsonb", JSONB, 3807),
    ("regclass", REGCLASS, 2210),
    ("regtype", REGTYPE, 2211),
    ("uuid", UUID, 2951),
];

fn oid_of_name(name: &str) -> Option<u32> {
    match name {
        "int2vector" => return Some(INT2VECTOR),
        "oidvector" => return Some(OIDVECTOR),
        "void" => return Some(VOID),
        _ => {}
    }
    match name.strip_prefix('_') {
        Some(element) => NAMED.iter().find(|(known, ..)| *known == element).map(|(_, _, array)| *array),
        None => NAMED.iter().find(|(known, ..)| *known == name).map(|(_, oid, _)| *oid),
    }
}

/// The type a client may write in `PREPARE p (integer)`.
pub(crate) fn oid_of_sql_name(name: &str) -> Option<u32> {
    let folded = name.to_lowercase();
    let (element, is_array) = match folded.strip_suffix("[]") {
        Some(element) => (element.trim_end(), true),
        None => (folded.as_str(), false),
    };
    let oid = match element {
        "boolean" => BOOL,
        "smallint" => INT2,
        "integer" | "int" => INT4,
        "bigint" => INT8,
        "real" => FLOAT4,
        "double precision" | "float" => FLOAT8,
        "decimal" => NUMERIC,
        "character varying" => VARCHAR,
        "character" => BPCHAR,
        "timestamp without time zone" => TIMESTAMP,
        "timestamp with time zone" => TIMESTAMPTZ,
        "time without time zone" => TIME,
        other => NAMED.iter().find(|(known, ..)| *known == other).map(|(_, oid, _)| *oid)?,
    };
    if is_array { array_oid(oid) } else { Some(oid) }
}

fn array_oid(element: u32) -> Option<u32> {
    NAMED.iter().find(|(_, oid, _)| *oid == element).map(|(_, _, array)| *array)
}

/// The element type of an array type.
pub(crate) fn element_oid(array: u32) -> Option<u32> {
    NAMED.iter().find(|(_, _, known)| *known == array).map(|(_, oid, _)| *oid)
}

/// The Arrow type values of a declared parameter type are given to the planner in; `None` is one to infer.
pub(crate) fn parameter_type(oid: u32) -> Result<Option<DataType>, PgError> {
    Ok(Some(match oid {
        0 | UNKNOWN => return Ok(None),
        BOOL => DataType::Boolean,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 | OID | REGCLASS | REGTYPE | REGPROC | XID => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        NUMERIC => WIDE_NUMERIC,
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | JSON | JSONB | UUID => DataType::Utf8,
        BYTEA => DataType::Binary,
        DATE => DataType::Date32,
        TIME => DataType::Time64(TimeUnit::Microsecond),
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
        INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        other => match element_oid(other).map(parameter_type).transpose()?.flatten() {
            Some(element) => DataType::new_list(element, true),
            None => {
                return Err(PgError::new(UNSUPPORTED, format!("parameters of the type with number {other} are not supported"))
                    .hint("Declare the parameter as text and cast it in the statement."));
            }
        },
    }))
}

/// The type a client is told for a parameter of this Arrow type.
pub(crate) fn parameter_oid(data_type: &DataType) -> u32 {
    let field = Field::new("", data_type.clone(), true);
    PgType::of_value(data_type, &field, Presentation::Plain).map_or(TEXT, |known| known.oid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data_type: DataType) -> PgType {
        PgType::of(&Field::new("c", data_type, true)).unwrap()
    }

    #[test]
    fn arrow_types_have_their_oids() {
        assert_eq!(of(DataType::UInt32).oid, INT8);
        assert_eq!(of(DataType::Decimal128(12, 2)), PgType { oid: NUMERIC, modifier: (12 << 16 | 2) + 4 });
        assert_eq!(of(DataType::new_list(DataType::new_list(DataType::Int32, true), true)).oid, 1007);
        assert_eq!(of(DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))).oid, TEXT);
        assert_eq!(of(DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))).length(), 8);
    }

    #[test]
    fn metadata_names_what_arrow_cannot() {
        let field = Field::new("c", DataType::Int64, true).with_metadata([(TYPE_KEY.to_owned(), "oid".to_owned())].into());
        assert_eq!(PgType::of(&field).unwrap().oid, OID);
        let field = Field::new("c", DataType::Utf8, true)
            .with_metadata([(causeway_providers::PRESENTATION_KEY.to_owned(), "uuid".to_owned())].into());
        assert_eq!(PgType::of(&field).unwrap().oid, UUID);
    }

    #[test]
    fn declared_parameters() {
        assert_eq!(parameter_type(0).unwrap(), None);
        assert_eq!(parameter_type(1007).unwrap(), Some(DataType::new_list(DataType::Int32, true)));
        assert_eq!(parameter_type(600).unwrap_err().code, "0A000");
        assert_eq!(oid_of_sql_name("Integer[]"), Some(1007));
        assert_eq!(oid_of_sql_name("double precision"), Some(FLOAT8));
        assert_eq!(oid_of_sql_name("no_such"), None);
    }
}
