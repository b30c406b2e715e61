//! Column types from the text of CSV and JSON files.
//!
//! A type is inferred only when every value of the sample is written as that type would write it: a code such as `007` stays text.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::reader::infer_json_schema;

/// Digits that any double keeps.
const DOUBLE_DIGITS: usize = 17;

/// Names in the first row. Without one a column is called by its position.
///
/// # Errors
/// The reason, for the user.
pub(super) fn csv_names(head: &Bytes, delimiter: u8) -> Result<Vec<String>, String> {
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let (schema, _) = format.infer_schema(Cursor::new(head), Some(0)).map_err(|e| csv_reason(&e))?;
    let names: Vec<String> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(at, field)| match field.name().trim_start_matches('\u{feff}') {
            "" => format!("column_{}", at + 1),
            name => name.to_owned(),
        })
        .collect();
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("two columns are called \"{twice}\"")),
        None if names.is_empty() => Err("it has no first row with names".to_owned()),
        None => Ok(names),
    }
}

/// What the columns of CSV files may be, from all values seen so far.
#[derive(Debug, Clone)]
pub(super) struct CsvColumns {
    names: Vec<String>,
    columns: Vec<Candidates>,
}

impl CsvColumns {
    pub(super) fn new(names: Vec<String>) -> Self {
        let columns = vec![Candidates::default(); names.len()];
        Self { names, columns }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Looks at whole rows with the names on top.
    ///
    /// # Errors
    /// The reason, for the user.
    pub(super) fn look_at(&mut self, rows: &Bytes, delimiter: u8) -> Result<(), String> {
        let text = self.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Fields>();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(text))).with_header(true).with_delimiter(delimiter);
        for batch in reader.build(Cursor::new(rows)).map_err(|e| csv_reason(&e))? {
            let batch = batch.map_err(|e| csv_reason(&e))?;
            for (array, column) in batch.columns().iter().zip(&mut self.columns) {
                array.as_string::<i32>().iter().flatten().for_each(|value| column.see(value));
            }
        }
        Ok(())
    }

    /// Takes in what was seen in another file of the same names.
    pub(super) fn merge(&mut self, other: &Self) {
        self.columns.iter_mut().zip(&other.columns).for_each(|(column, seen)| column.merge(seen));
    }

    pub(super) fn schema(&self) -> Schema {
        let field = |(name, column): (&String, &Candidates)| Field::new(name, column.data_type(), true);
        Schema::new(self.names.iter().zip(&self.columns).map(field).collect::<Fields>())
    }
}

/// The columns of JSON lines.
///
/// # Errors
/// The reason, for the user.
pub(super) fn json_schema(rows: &[u8]) -> Result<Schema, String> {
    if rows.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err("it is a JSON array; one object per line is read".to_owned());
    }
    let (schema, _) = infer_json_schema(Cursor::new(rows), None).map_err(|_| "it is not one JSON object per line".to_owned())?;
    if schema.fields().is_empty() { Err("its objects have no fields".to_owned()) } else { Ok(schema) }
}

/// Why a CSV file cannot be read. The library's text may quote a value, but for the one about the number of fields.
fn csv_reason(error: &ArrowError) -> String {
    let text = error.to_string();
    match text.find("incorrect number of fields").or_else(|| text.find("Encountered unequal lengths")) {
        Some(at) => format!("a row has more or fewer fields than the first: {}", &text[at..]),
        None if text.contains("UTF-8") || text.contains("utf-8") => "it is not UTF-8".to_owned(),
        None => "it is not valid CSV".to_owned(),
    }
}

#[derive(Debug, Clone)]
struct Candidates {
    empty: bool,
    boolean: bool,
    integer: bool,
    double: bool,
    date: bool,
    timestamp: bool,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { empty: true, boolean: true, integer: true, double: true, date: true, timestamp: true }
    }
}

impl Candidates {
    fn see(&mut self, value: &str) {
        self.empty = false;
        self.boolean &= value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
        self.integer &= is_integer(value);
        self.double &= is_double(value);
        self.date &= is_date(value);
        self.timestamp &= is_timestamp(value);
    }

    fn merge(&mut self, other: &Self) {
        self.empty &= other.empty;
        self.boolean &= other.boolean;
        self.integer &= other.integer;
        self.double &= other.double;
        self.date &= other.date;
        self.timestamp &= other.timestamp;
    }

    fn data_type(&self) -> DataType {
        match self {
            Self { empty: true, .. } => DataType::Utf8,
            Self { boolean: true, .. } => DataType::Boolean,
            Self { integer: true, .. } => DataType::Int64,
            Self { double: true, .. } => DataType::Float64,
            Self { date: true, .. } => DataType::Date32,
            Self { timestamp: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8,
        }
    }
}

/// Digits without zeros in front, as an integer is written.
fn is_canonical(digits: &str) -> bool {
    digits == "0" || (!digits.starts_with('0') && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn is_integer(value: &str) -> bool {
    is_canonical(value.strip_prefix('-').unwrap_or(value)) && value.parse::<i64>().is_ok()
}

fn is_double(value: &str) -> bool {
    let unsigned = value.strip_prefix('-').unwrap_or(value);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_canonical(whole)
        && digits(fraction)
        && digits(exponent.trim_start_matches(['+', '-']))
        && whole.len() + fraction.len() <= DOUBLE_DIGITS
        && value.parse::<f64>().is_ok_and(f64::is_finite)
}

fn is_date(value: &str) -> bool {
    value.len() == 10 && chrono::NaiveDate::parse_from_str(value, "%Y-%m-%d").is_ok()
}

/// A date and a time to the second or microsecond, without an offset.
fn is_timestamp(value: &str) -> bool {
    let time = value.get(11..).unwrap_or_default();
    value.get(..10).is_some_and(is_date)
        && value.get(10..11).is_some_and(|between| between == " " || between == "T")
        && (time.len() == 8 || (10..=15).contains(&time.len()))
        && chrono::NaiveTime::parse_from_str(time, "%H:%M:%S%.f").is_ok_and(|_| !time.contains(":60"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inferred(values: &[&str]) -> DataType {
        let mut candidates = Candidates::default();
        values.iter().for_each(|value| candidates.see(value));
        candidates.data_type()
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        let cases: &[(&[&str], DataType)] = &[
            (&[], DataType::Utf8),
            (&["1", "-20", "0"], DataType::Int64),
            (&["007"], DataType::Utf8),
            (&["+1"], DataType::Utf8),
            (&["9223372036854775808"], DataType::Utf8),
            (&["1", "1.5", "-2e10"], DataType::Float64),
            (&["00.5"], DataType::Utf8),
            (&["0.123456789012345678901"], DataType::Utf8),
            (&["1e999"], DataType::Utf8),
            (&["NaN"], DataType::Utf8),
            (&["true", "FALSE"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2023-02-29"], DataType::Utf8),
            (&["2024-02-29 12:00:00", "2024-02-29T12:00:00.123456"], micros),
            (&["2024-02-29 12:00:00.1234567"], DataType::Utf8),
            (&["2024-02-29 12:00:00Z"], DataType::Utf8),
            (&["2024-02-29", "2024-02-29 12:00:00"], DataType::Utf8),
            (&["1", "x"], DataType::Utf8),
            (&["é024-02-29 12"], DataType::Utf8),
        ];
        for (values, wanted) in cases {
            assert_eq!(inferred(values), *wanted, "{values:?}");
        }
    }

    #[test]
    fn a_column_of_several_files_is_what_it_would_be_of_one() {
        for (one, other) in [(&["1"][..], &["1.5"][..]), (&[], &["2024-02-29"]), (&["1"], &["x"]), (&[], &[]), (&["true"], &["false", ""])]
        {
            let seen = |values: &[&str]| {
                let mut candidates = Candidates::default();
                values.iter().for_each(|value| candidates.see(value));
                candidates
            };
            let mut merged = seen(one);
            merged.merge(&seen(other));
            assert_eq!(merged.data_type(), inferred(&[one, other].concat()), "{one:?} {other:?}");
        }
    }

    #[test]
    fn names_come_from_the_first_row() {
        let names = |text: &'static str| csv_names(&Bytes::from_static(text.as_bytes()), b',');
        assert_eq!(names("\u{feff}id,,\"a \"\"b\"\"\"\n1,2,3\n").unwrap(), ["id", "column_2", "a \"b\""]);
        assert!(names("a,b,a\n").unwrap_err().contains("\"a\""));
    }

    #[test]
    fn json_must_be_lines() {
        assert_eq!(json_schema(b"{\"a\": 1}\n{\"a\": 2.5, \"b\": null}\n").unwrap().fields().len(), 2);
        assert!(json_schema(b" [{\"a\": 1}]").unwrap_err().contains("array"));
        assert!(json_schema(b"{\"a\": 1").is_err());
        assert!(json_schema(b"{}\n").is_err());
    }
}
