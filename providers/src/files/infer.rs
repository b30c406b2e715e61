//! Column types from the text of CSV files.
//!
//! A type is inferred only when every value of the sample is written as that type would write it: a code such as `007` stays text.

use std::collections::HashSet;
use std::fmt;

use datafusion::arrow::datatypes::{DataType, Field, Fields as SchemaFields, Schema};

use super::csv_records::{Fields, Records};
use super::csv_rows::other_length;
use super::json_types::presented;
use super::number::{NUMERIC, Numbers};
use super::sample::{Head, Volume};
use super::written::{TIMESTAMP, boolean, date, timestamp_of};
use crate::remote::Presentation;

/// Names in the first row. Without one a column is called by its position.
///
/// # Errors
/// The reason, for the user.
pub(super) fn csv_names(first: Fields<'_>) -> Result<Vec<String>, String> {
    let name = |(at, name): (usize, &str)| if name.is_empty() { format!("column_{}", at + 1) } else { name.to_owned() };
    let names: Vec<String> = first.iter().enumerate().map(name).collect();
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(format!("two columns are called \"{twice}\"")),
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
    /// Looks at the whole rows that a file begins with.
    ///
    /// # Errors
    /// The reason, for the user.
    pub(super) fn of(file: &Head, delimiter: u8) -> Result<Self, String> {
        let (mut records, mut rest) = (Records::new(delimiter), &*file.bytes);
        if !records.next(&mut rest, file.is_whole).map_err(|broken| broken.to_string())? {
            let reason =
                if file.is_whole { "it has no first row with names" } else { "its first row is too long, or a quote is not closed" };
            return Err(reason.to_owned());
        }
        let names = csv_names(records.fields().map_err(|broken| broken.to_string())?)?;
        let mut columns = vec![Candidates::default(); names.len()];
        let (mut rows, mut whole) = (0, file.bytes.len() - rest.len());
        let place = |rows: usize, reason: &dyn fmt::Display| format!("row {}: {reason}", rows + 1);
        while records.next(&mut rest, file.is_whole).map_err(|broken| place(rows, &broken))? {
            if records.count() != names.len() {
                return Err(place(rows, &other_length(records.count(), names.len())));
            }
            let values = records.fields().map_err(|broken| place(rows, &broken))?.iter();
            values.zip(&mut columns).filter(|(value, _)| !value.is_empty()).for_each(|(value, column)| column.see(value));
            rows += 1;
            whole = file.bytes.len() - rest.len();
        }
        Ok(Self { names, columns, volume: file.volume(rows, whole) })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
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
        Schema::new(self.names.iter().zip(&self.columns).map(field).collect::<SchemaFields>())
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
        let names = |text: &'static str| Ok::<_, String>(CsvColumns::of(&Head::whole(text), b',')?.names);
        assert_eq!(names("\u{feff}id,,\"a \"\"b\"\"\"\n1,2,3\n").unwrap(), ["id", "column_2", "a \"b\""]);
        for (text, wanted) in [
            ("a,b,a\n", "two columns are called \"a\""),
            ("\n", "it has no first row with names"),
            ("a,b\n1,2\n3\n", "row 2: it has fewer fields than the first row, 1 and not 2"),
            ("a\n1\n\"2\n", "row 2: a quote is not closed"),
        ] {
            assert_eq!(names(text).unwrap_err(), wanted);
        }
    }
}
