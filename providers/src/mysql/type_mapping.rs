//! Which Arrow type a column's values arrive in, and which of its comparisons the server makes as we do.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::policy::{Policy, TinyInt1, ZeroDates};
use crate::remote::{Comparison, Presentation};

/// The longest text, in bytes, of which the server is sure to sort and group by every byte; see `max_sort_length` of the session.
const SORTABLE_BYTES: u64 = 1024;

/// A column as `information_schema.columns` describes it.
#[derive(Debug, Clone, Default)]
pub(super) struct ColumnType<'a> {
    /// `DATA_TYPE`, such as `int`.
    pub(super) name: &'a str,
    /// `COLUMN_TYPE`, such as `int(10) unsigned`.
    pub(super) full: &'a str,
    /// `NUMERIC_PRECISION`.
    pub(super) precision: Option<u64>,
    /// `NUMERIC_SCALE`.
    pub(super) scale: Option<u64>,
    /// `CHARACTER_OCTET_LENGTH`.
    pub(super) octets: Option<u64>,
    /// `COLLATION_NAME`.
    pub(super) collation: Option<&'a str>,
}

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

    fn text(presentation: Presentation, comparison: Comparison) -> Self {
        Self { data_type: DataType::Utf8, presentation, comparison }
    }
}

/// Maps a type.
///
/// # Errors
/// The reason, in words for the user, why a column of this type is not published.
pub(super) fn map(column: &ColumnType<'_>, policy: Policy) -> Result<Mapping, String> {
    let unsigned = column.full.to_ascii_lowercase().contains("unsigned");
    let total = |data_type| Mapping::plain(data_type, Comparison::Total);
    // What is NULL here is a date there, greater and smaller than others. It equals none that we have.
    let dates = if policy.zero_dates == ZeroDates::Null { Comparison::SupersetEquality } else { Comparison::Total };
    let mapping = match column.name.to_ascii_lowercase().as_str() {
        // The server takes any number but 0 for true, and we have none such: it is not asked.
        "tinyint" if policy.tinyint1 == TinyInt1::Boolean && is_tinyint1(column.full) => {
            Mapping::plain(DataType::Boolean, Comparison::None)
        }
        "tinyint" | "year" => total(DataType::Int16),
        "smallint" if !unsigned => total(DataType::Int16),
        "smallint" | "mediumint" => total(DataType::Int32),
        "int" | "integer" if !unsigned => total(DataType::Int32),
        "int" | "integer" => total(DataType::Int64),
        "bigint" if !unsigned => total(DataType::Int64),
        "bigint" => total(DataType::Decimal128(20, 0)),
        "decimal" | "numeric" => total(decimal(column)?),
        "float" => Mapping::plain(DataType::Float32, Comparison::Float),
        "double" | "real" => Mapping::plain(DataType::Float64, Comparison::Float),
        "bit" if column.precision == Some(1) => total(DataType::Boolean),
        // Shown as PostgreSQL shows its bit strings; the server compares them as numbers.
        "bit" => Mapping::text(Presentation::Plain, Comparison::None),
        "date" | "datetime" | "timestamp" if policy.zero_dates == ZeroDates::Text => Mapping::text(Presentation::Plain, Comparison::None),
        "date" => Mapping::plain(DataType::Date32, dates),
        "datetime" => Mapping::plain(DataType::Timestamp(TimeUnit::Microsecond, None), dates),
        "timestamp" => Mapping::plain(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())), dates),
        // From -838:59:59 to 838:59:59: an amount of time, not a time of day.
        "time" => total(DataType::Interval(IntervalUnit::MonthDayNano)),
        // In MariaDB `json` is another word for a `longtext` with a check, and this is how it is seen when it is not.
        "json" => Mapping::text(Presentation::Json, Comparison::None),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            Mapping::text(Presentation::Plain, text_comparison(column.collation, column.octets))
        }
        "enum" | "set" => Mapping::text(Presentation::Plain, Comparison::None),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            let comparison = if is_sortable(column.octets) { Comparison::Total } else { Comparison::SupersetEquality };
            Mapping::plain(DataType::Binary, comparison)
        }
        "vector" => Mapping::plain(DataType::Binary, Comparison::None),
        // The server reads other spellings of a literal as the same value, and orders by parts of it.
        "uuid" => Mapping::text(Presentation::Uuid, Comparison::SupersetEquality),
        "inet4" | "inet6" => Mapping::text(Presentation::Plain, Comparison::SupersetEquality),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometrycollection"
        | "geomcollection" => Mapping::text(Presentation::Plain, Comparison::None),
        other => return Err(format!("type {other} is not supported")),
    };
    Ok(mapping)
}

fn is_tinyint1(full: &str) -> bool {
    full.get(.."tinyint(1)".len()).is_some_and(|start| start.eq_ignore_ascii_case("tinyint(1)"))
}

fn decimal(column: &ColumnType<'_>) -> Result<DataType, String> {
    let narrow = |number: Option<u64>| number.and_then(|number| u8::try_from(number).ok());
    match (narrow(column.precision), narrow(column.scale)) {
        (Some(precision @ 1..=38), Some(scale)) if scale <= precision => Ok(DataType::Decimal128(precision, scale as i8)),
        (Some(precision @ 39..=76), Some(scale)) if scale <= precision => Ok(DataType::Decimal256(precision, scale as i8)),
        _ => Err(format!("type {} has no precision or scale that fits", column.full)),
    }
}

fn is_sortable(octets: Option<u64>) -> bool {
    octets.is_some_and(|octets| octets <= SORTABLE_BYTES)
}

/// What the comparisons under a collation are worth.
///
/// Under every collation equal texts are equal, so that its `=` is a superset of ours, provided that different bytes at the server
/// are different texts here. Only the binary collations without padding go further; in order only where bytes sort as code points.
fn text_comparison(collation: Option<&str>, octets: Option<u64>) -> Comparison {
    let Some(collation) = collation.map(str::to_ascii_lowercase) else { return Comparison::None };
    let character_set = collation.split('_').next().unwrap_or_default();
    let sorts_by_code_point = match character_set {
        "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => true,
        "latin1" | "ucs2" | "utf16" | "utf16le" | "utf32" => false,
        // Several byte sequences of these stand for one text here, or for a question mark.
        _ => return Comparison::None,
    };
    let is_exact = collation.ends_with("_nopad_bin") || collation == "utf8mb4_0900_bin";
    match (is_exact && is_sortable(octets), sorts_by_code_point) {
        (true, true) => Comparison::Total,
        (true, false) => Comparison::Equality,
        (false, _) => Comparison::SupersetEquality,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, full: &str) -> Mapping {
        map(&ColumnType { name, full, ..ColumnType::default() }, Policy::default()).unwrap()
    }

    #[test]
    fn unsigned_integers_are_widened() {
        let cases = [
            ("tinyint", "tinyint(1)", DataType::Int16),
            ("tinyint", "tinyint(3) unsigned", DataType::Int16),
            ("smallint", "smallint(6)", DataType::Int16),
            ("smallint", "smallint(5) unsigned", DataType::Int32),
            ("mediumint", "mediumint(8) unsigned zerofill", DataType::Int32),
            ("int", "int(11)", DataType::Int32),
            ("int", "int unsigned", DataType::Int64),
            ("bigint", "bigint(20)", DataType::Int64),
            ("bigint", "bigint(20) unsigned", DataType::Decimal128(20, 0)),
        ];
        for (name, full, expected) in cases {
            assert_eq!(of(name, full), Mapping::plain(expected, Comparison::Total), "{full}");
        }
    }

    #[test]
    fn decimals_keep_precision_and_scale() {
        let decimal = |precision, scale| {
            let column =
                ColumnType { name: "decimal", full: "decimal", precision: Some(precision), scale: Some(scale), ..ColumnType::default() };
            map(&column, Policy::default()).unwrap().data_type
        };
        assert_eq!(decimal(10, 2), DataType::Decimal128(10, 2));
        assert_eq!(decimal(38, 38), DataType::Decimal128(38, 38));
        assert_eq!(decimal(39, 0), DataType::Decimal256(39, 0));
        assert_eq!(decimal(65, 30), DataType::Decimal256(65, 30));
    }

    #[test]
    fn one_bit_is_a_boolean_and_more_are_text() {
        let bit =
            |precision| map(&ColumnType { name: "bit", precision: Some(precision), ..ColumnType::default() }, Policy::default()).unwrap();
        assert_eq!(bit(1), Mapping::plain(DataType::Boolean, Comparison::Total));
        assert_eq!(bit(8), Mapping::text(Presentation::Plain, Comparison::None));
    }

    #[test]
    fn collations_are_judged() {
        let cases = [
            ("utf8mb4_nopad_bin", 400, Comparison::Total),
            ("utf8mb4_0900_bin", 400, Comparison::Total),
            ("utf8mb3_nopad_bin", 400, Comparison::Total),
            ("ascii_nopad_bin", 400, Comparison::Total),
            ("latin1_nopad_bin", 400, Comparison::Equality),
            ("utf8mb4_nopad_bin", 65_535, Comparison::SupersetEquality),
            ("utf8mb4_bin", 400, Comparison::SupersetEquality),
            ("utf8mb4_general_ci", 400, Comparison::SupersetEquality),
            ("utf8mb4_0900_as_cs", 400, Comparison::SupersetEquality),
            ("utf8mb4_nopad_ci", 400, Comparison::SupersetEquality),
            ("latin1_swedish_ci", 400, Comparison::SupersetEquality),
            ("cp932_nopad_bin", 400, Comparison::None),
            ("gbk_chinese_ci", 400, Comparison::None),
            ("latin2_general_ci", 400, Comparison::None),
        ];
        for (collation, octets, expected) in cases {
            assert_eq!(text_comparison(Some(collation), Some(octets)), expected, "{collation}");
        }
        assert_eq!(text_comparison(None, Some(10)), Comparison::None);
    }

    #[test]
    fn policies_change_what_is_published() {
        let boolean = Policy { tinyint1: TinyInt1::Boolean, ..Policy::default() };
        let with = |name, full, policy| map(&ColumnType { name, full, ..ColumnType::default() }, policy).unwrap();
        assert_eq!(with("tinyint", "tinyint(1)", boolean), Mapping::plain(DataType::Boolean, Comparison::None));
        assert_eq!(with("tinyint", "tinyint(4)", boolean), Mapping::plain(DataType::Int16, Comparison::Total));
        let null = Policy { zero_dates: ZeroDates::Null, ..Policy::default() };
        assert_eq!(with("date", "date", null), Mapping::plain(DataType::Date32, Comparison::SupersetEquality));
        let text = Policy { zero_dates: ZeroDates::Text, ..Policy::default() };
        for name in ["date", "datetime", "timestamp"] {
            assert_eq!(with(name, name, text), Mapping::text(Presentation::Plain, Comparison::None));
        }
        assert_eq!(with("time", "time", text).data_type, DataType::Interval(IntervalUnit::MonthDayNano));
    }

    #[test]
    fn an_unknown_type_is_a_reason() {
        assert_eq!(
            map(&ColumnType { name: "xmltype", ..ColumnType::default() }, Policy::default()),
            Err("type xmltype is not supported".to_owned())
        );
    }
}
