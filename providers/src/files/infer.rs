//! Column types from the text of CSV files.
//!
//! A type is inferred only when every value of the sample is written as that type would write it: a code such as `007` stays text.

use std::collections::HashSet;
use std::io::Cursor;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::csv::ReaderBuilder;
use datafusion::arrow::csv::reader::Format;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::arrow::error::ArrowError;

use super::json_types::presented;
use super::number::{NUMERIC, Numbers};
use super::sample::{Sample, Volume};
use super::written::{TIMESTAMP, boolean, date, timestamp_of};
use crate::remote::Presentation;

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
    volume: Volume,
}

impl CsvColumns {
    pub(super) fn new(names: Vec<String>) -> Self {
        let columns = vec![Candidates::default(); names.len()];
        Self { names, columns, volume: Volume::default() }
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Looks at whole rows with the names on top.
    ///
    /// # Errors
    /// The reason, for the user.
    pub(super) fn look_at(&mut self, sample: &Sample, delimiter: u8) -> Result<(), String> {
        let text = self.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Fields>();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(text))).with_header(true).with_delimiter(delimiter);
        let mut rows = 0;
        for batch in reader.build(Cursor::new(&sample.rows)).map_err(|e| csv_reason(&e))? {
            let batch = batch.map_err(|e| csv_reason(&e))?;
            rows += batch.num_rows();
            for (array, column) in batch.columns().iter().zip(&mut self.columns) {
                array.as_string::<i32>().iter().flatten().for_each(|value| column.see(value));
            }
        }
        self.volume.add(sample.volume(rows));
        Ok(())
    }

    /// How much was looked at.
    pub(super) fn volume(&self) -> Volume {
        self.volume
    }

    /// Takes in what was seen in another file of the same names.
    pub(super) fn merge(&mut self, other: &Self) {
        self.volume.add(other.volume);
        self.columns.iter_mut().zip(&other.columns).for_each(|(column, seen)| column.merge(seen));
    }

    pub(super) fn schema(&self) -> Schema {
        let field = |(name, column): (&String, &Candidates)| match column.data_type() {
            numeric if numeric == NUMERIC => presented(name, numeric, Presentation::UnconstrainedNumeric),
            data_type => Field::new(name, data_type, true),
        };
        Schema::new(self.names.iter().zip(&self.columns).map(field).collect::<Fields>())
    }
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
    numbers: Numbers,
    date: bool,
    timestamp: bool,
}

impl Default for Candidates {
    fn default() -> Self {
        Self { empty: true, boolean: true, numbers: Numbers::default(), date: true, timestamp: true }
    }
}

impl Candidates {
    fn see(&mut self, value: &str) {
        self.empty = false;
        self.boolean = self.boolean && boolean(value).is_some();
        self.numbers.see(value);
        self.date = self.date && date(value).is_some();
        self.timestamp = self.timestamp && timestamp_of(value).is_some();
    }

    fn merge(&mut self, other: &Self) {
        self.empty &= other.empty;
        self.boolean &= other.boolean;
        self.numbers.merge(other.numbers);
        self.date &= other.date;
        self.timestamp &= other.timestamp;
    }

    fn data_type(&self) -> DataType {
        if self.empty {
            return DataType::Utf8;
        }
        let number = self.numbers.data_type();
        match (self.boolean, number, self.date, self.timestamp) {
            (true, ..) => DataType::Boolean,
            (false, Some(number), ..) => number,
            (false, None, true, _) => DataType::Date32,
            (false, None, false, true) => TIMESTAMP,
            (false, None, false, false) => DataType::Utf8,
        }
    }
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
        let cases: &[(&[&str], DataType)] = &[
            (&[], DataType::Utf8),
            (&["1", "-20", "0"], DataType::Int64),
            (&["007"], DataType::Utf8),
            (&["+1"], DataType::Utf8),
            (&["9223372036854775808"], NUMERIC),
            (&["9007199254740993", "0.5"], NUMERIC),
            (&["1", "1.5", "-2e10"], DataType::Float64),
            (&["00.5"], DataType::Utf8),
            (&["0.123456789012345678901"], NUMERIC),
            (&["1e999"], DataType::Utf8),
            (&["NaN"], DataType::Utf8),
            (&["true", "FALSE"], DataType::Boolean),
            (&["true", "1"], DataType::Utf8),
            (&["2024-02-29"], DataType::Date32),
            (&["2023-02-29"], DataType::Utf8),
            (&["2024-02-29 12:00:00", "2024-02-29T12:00:00.123456"], TIMESTAMP),
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
        for (one, other) in [
            (&["1"][..], &["1.5"][..]),
            (&["9007199254740993"], &["1.5"]),
            (&[], &["2024-02-29"]),
            (&["1"], &["x"]),
            (&[], &[]),
            (&["true"], &["false", ""]),
        ] {
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
}
