//! The base types of PostgreSQL, and which of them a published column has.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::LazyLock;

use causeway_providers::{Presentation, RemoteColumn};
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit};

pub(super) const BOOL: u32 = 16;
pub(super) const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
pub(super) const NUMERIC: u32 = 1700;
pub(super) const VARCHAR: u32 = 1043;
pub(super) const BPCHAR: u32 = 1042;

/// What catalogs say about a type, from `pg_type`.
#[derive(Debug)]
pub(super) struct BaseType {
    pub(super) oid: u32,
    pub(super) name: &'static str,
    pub(super) length: i64,
    pub(super) by_value: bool,
    pub(super) align: &'static str,
    pub(super) storage: &'static str,
    pub(super) collation: u32,
    pub(super) element: u32,
    pub(super) category: &'static str,
}

static TYPES: LazyLock<Vec<BaseType>> = LazyLock::new(|| {
    include_str!("relations/pg_type.tsv")
        .lines()
        .map(|line| {
            let cells: Vec<&'static str> = line.split('\t').collect();
            let number = |index: usize| cells[index].parse::<i64>().expect("pg_type.tsv is part of the program");
            let oid = |index: usize| u32::try_from(number(index)).expect("pg_type.tsv holds oids");
            BaseType {
                oid: oid(0),
                name: cells[1],
                length: number(4),
                by_value: cells[5] == "t",
                category: cells[7],
                element: oid(13),
                align: cells[22],
                storage: cells[23],
                collation: oid(28),
            }
        })
        .collect()
});

static BY_OID: LazyLock<HashMap<u32, &'static BaseType>> = LazyLock::new(|| TYPES.iter().map(|t| (t.oid, t)).collect());

static BY_NAME: LazyLock<HashMap<&'static str, &'static BaseType>> = LazyLock::new(|| TYPES.iter().map(|t| (t.name, t)).collect());

/// The type PostgreSQL calls `name` internally, such as `int4`.
pub(super) fn base_type(name: &str) -> Option<&'static BaseType> {
    BY_NAME.get(name).copied()
}

/// The type with that oid.
pub(super) fn type_by_oid(oid: u32) -> Option<&'static BaseType> {
    BY_OID.get(&oid).copied()
}

/// The type an SQL text names, such as `integer`, `character varying` or `text[]`; a modifier is ignored.
pub(super) fn type_by_sql_name(text: &str) -> Option<&'static BaseType> {
    let text = text.trim();
    if let Some(element) = text.strip_suffix("[]") {
        let element = type_by_sql_name(element)?;
        return TYPES.iter().find(|t| t.element == element.oid && t.category == "A" && t.name.starts_with('_'));
    }
    let bare = text.strip_prefix("pg_catalog.").unwrap_or(text);
    let bare = match (bare.find('('), bare.find(')')) {
        (Some(open), Some(close)) if close > open => format!("{}{}", bare[..open].trim_end(), &bare[close + 1..]),
        _ => bare.to_owned(),
    };
    let quoted = bare.len() > 1 && bare.starts_with('"') && bare.ends_with('"');
    if quoted {
        return base_type(&bare[1..bare.len() - 1]);
    }
    let lower = bare.to_ascii_lowercase();
    let name = match lower.as_str() {
        "boolean" => "bool",
        "smallint" => "int2",
        "integer" | "int" => "int4",
        "bigint" => "int8",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "time without time zone" => "time",
        "time with time zone" => "timetz",
        "timestamp without time zone" => "timestamp",
        "timestamp with time zone" => "timestamptz",
        "bit varying" => "varbit",
        other => other,
    };
    base_type(name)
}

/// The type in the words of `format_type`; `modifier` is `None` where the caller has none, which PostgreSQL shows differently for some.
pub(super) fn format_type(oid: u32, modifier: Option<i64>) -> String {
    let Some(base) = type_by_oid(oid) else { return if oid == 0 { "-".to_owned() } else { "???".to_owned() } };
    if base.category == "A" && base.name.starts_with('_') && base.element != 0 {
        return format!("{}[]", format_type(base.element, modifier));
    }
    let typmod = modifier.filter(|m| *m >= 0);
    let with = |name: &str, text: String| format!("{name}{text}");
    let length = |m: i64| format!("({})", m - 4);
    match base.name {
        "bool" => "boolean".to_owned(),
        "int2" => "smallint".to_owned(),
        "int4" => "integer".to_owned(),
        "int8" => "bigint".to_owned(),
        "float4" => "real".to_owned(),
        "float8" => "double precision".to_owned(),
        "char" => "\"char\"".to_owned(),
        "varchar" => with("character varying", typmod.map(length).unwrap_or_default()),
        // Without a length `character` would mean one character, so the internal name stands for "any".
        "bpchar" => match (modifier, typmod) {
            (_, Some(m)) => with("character", length(m)),
            (Some(_), None) => "bpchar".to_owned(),
            (None, None) => "character".to_owned(),
        },
        "numeric" => match typmod {
            Some(m) => {
                let packed = m - 4;
                // The scale is an 11 bit two's complement number.
                let scale = ((packed & 0x7ff) ^ 1024) - 1024;
                format!("numeric({},{scale})", (packed >> 16) & 0xffff)
            }
            None => "numeric".to_owned(),
        },
        "time" | "timetz" | "timestamp" | "timestamptz" => {
            let (name, zone) = match base.name.strip_suffix("tz") {
                Some(name) => (name, "with"),
                None => (base.name, "without"),
            };
            let mut text = name.to_owned();
            if let Some(precision) = typmod {
                let _infallible = write!(text, "({precision})");
            }
            text + " " + zone + " time zone"
        }
        "bit" => with("bit", typmod.map(|m| format!("({m})")).unwrap_or_default()),
        "varbit" => with("bit varying", typmod.map(|m| format!("({m})")).unwrap_or_default()),
        other => other.to_owned(),
    }
}

/// The type of a column as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnShape {
    pub(super) type_oid: u32,
    pub(super) modifier: i64,
}

/// The PostgreSQL type of values of an Arrow field.
pub(super) fn shape_of_field(field: &Field) -> ColumnShape {
    let plain = |type_oid| ColumnShape { type_oid, modifier: -1 };
    if let Some(base) = field.metadata().get(super::columns::PG_TYPE_KEY).and_then(|name| base_type(name)) {
        return plain(base.oid);
    }
    match Presentation::of(field) {
        Presentation::Uuid => return plain(2950),
        Presentation::Json => return plain(114),
        Presentation::Jsonb => return plain(3802),
        Presentation::Bpchar => return plain(BPCHAR),
        Presentation::UnconstrainedNumeric => return plain(NUMERIC),
        Presentation::Plain => {}
    }
    let numeric = |precision: u8, scale: i8| ColumnShape {
        type_oid: NUMERIC,
        modifier: ((i64::from(precision) << 16) | (i64::from(scale) & 0x7ff)) + 4,
    };
    match field.data_type() {
        DataType::Boolean => plain(BOOL),
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => plain(21),
        DataType::Int32 | DataType::UInt16 => plain(INT4),
        DataType::Int64 | DataType::UInt32 => plain(20),
        DataType::UInt64 => plain(NUMERIC),
        DataType::Float16 | DataType::Float32 => plain(700),
        DataType::Float64 => plain(701),
        DataType::Decimal32(p, s) | DataType::Decimal64(p, s) | DataType::Decimal128(p, s) | DataType::Decimal256(p, s) => numeric(*p, *s),
        DataType::Date32 | DataType::Date64 => plain(1082),
        DataType::Time32(_) | DataType::Time64(_) => plain(1083),
        DataType::Timestamp(_, None) => plain(1114),
        DataType::Timestamp(_, Some(_)) => plain(1184),
        DataType::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime | IntervalUnit::MonthDayNano) | DataType::Duration(_) => {
            plain(1186)
        }
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => plain(17),
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) | DataType::ListView(item) => {
            let element = shape_of_field(item);
            let array = TYPES.iter().find(|t| t.category == "A" && t.element == element.type_oid && t.name.starts_with('_'));
            ColumnShape { type_oid: array.map_or(1009, |t| t.oid), modifier: element.modifier }
        }
        DataType::Dictionary(_, values) => shape_of_field(&Field::new("", values.as_ref().clone(), true)),
        DataType::Struct(_) | DataType::Map(_, _) => plain(114),
        _ => plain(TEXT),
    }
}

/// The type of a remote column as clients see it once it is published, such as `character varying(20)`.
pub(crate) fn shown_type(column: &RemoteColumn) -> String {
    let shape = shape_of_column(&column.field(), Some(column));
    format_type(shape.type_oid, Some(shape.modifier))
}

/// The type of a published column: its Arrow type, with the length the source declared for text.
pub(super) fn shape_of_column(field: &Field, remote: Option<&RemoteColumn>) -> ColumnShape {
    let shape = shape_of_field(field);
    let declared = remote.map(|r| r.remote_type.to_ascii_lowercase()).unwrap_or_default();
    let (name, length) = match declared.split_once('(') {
        Some((name, rest)) => (name.trim_end(), rest.split(')').next().and_then(|n| n.trim().parse::<i64>().ok())),
        None => (declared.as_str(), None),
    };
    match (shape.type_oid, name, length) {
        (TEXT, "character varying" | "varchar" | "nvarchar", length) => {
            ColumnShape { type_oid: VARCHAR, modifier: length.map_or(-1, |n| n + 4) }
        }
        (BPCHAR, _, Some(length)) | (TEXT, "character" | "char", Some(length)) => ColumnShape { type_oid: BPCHAR, modifier: length + 4 },
        _ => shape,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_as_postgres_shows_them() {
        for (oid, modifier, expected) in [
            (23, Some(-1), "integer"),
            (1043, Some(24), "character varying(20)"),
            (1043, Some(-1), "character varying"),
            (1042, Some(14), "character(10)"),
            (1042, Some(-1), "bpchar"),
            (1700, Some(((12 << 16) | 2) + 4), "numeric(12,2)"),
            (1700, Some(((5 << 16) | (-2 & 0x7ff)) + 4), "numeric(5,-2)"),
            (1184, Some(-1), "timestamp with time zone"),
            (1184, Some(3), "timestamp(3) with time zone"),
            (1114, None, "timestamp without time zone"),
            (1009, Some(-1), "text[]"),
            (1015, Some(24), "character varying(20)[]"),
            (18, None, "\"char\""),
            (22, None, "int2vector"),
            (0, None, "-"),
            (424_242, None, "???"),
        ] {
            assert_eq!(format_type(oid, modifier), expected);
        }
    }

    #[test]
    fn types_are_found_by_the_names_people_write() {
        for (text, oid) in [
            ("integer", 23),
            ("INT4", 23),
            ("character varying(20)", 1043),
            ("pg_catalog.text", 25),
            ("text[]", 1009),
            ("timestamp(3) with time zone", 1184),
            ("\"char\"", 18),
            ("char", 1042),
        ] {
            assert_eq!(type_by_sql_name(text).map(|t| t.oid), Some(oid), "{text}");
        }
        assert!(type_by_sql_name("no such type").is_none());
    }
}
