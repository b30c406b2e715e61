//! Values as they are written in text files: which types a text can be of, and its value in one of them.
//!
//! A column is inferred and read by the same rules, so a value either is what the column's type says or an error.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal256Builder, Float64Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, i256};

use super::number::{NUMERIC, Number, are_digits};

/// The type of a date and a time.
pub(super) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The values of a column of text files, as they are read.
#[derive(Debug)]
pub(super) enum Scalars {
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Numeric(Decimal256Builder),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
}

impl Scalars {
    /// No values yet of `data_type`; `None` when no text is of that type.
    pub(super) fn of(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Bigint(Int64Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            DataType::Date32 => Self::Date(Date32Builder::new()),
            numeric if *numeric == NUMERIC => Self::Numeric(Decimal256Builder::new().with_data_type(NUMERIC)),
            timestamp if *timestamp == TIMESTAMP => Self::Timestamp(TimestampMicrosecondBuilder::new()),
            _ => return None,
        })
    }

    pub(super) fn are_texts(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub(super) fn are_booleans(&self) -> bool {
        matches!(self, Self::Boolean(_))
    }

    pub(super) fn push_null(&mut self) {
        match self {
            Self::Text(values) => values.append_null(),
            Self::Boolean(values) => values.append_null(),
            Self::Bigint(values) => values.append_null(),
            Self::Double(values) => values.append_null(),
            Self::Numeric(values) => values.append_null(),
            Self::Date(values) => values.append_null(),
            Self::Timestamp(values) => values.append_null(),
        }
    }

    /// Appends the value that is written as `text`.
    ///
    /// # Errors
    /// Why it is none of this type, for the user, without the text itself.
    pub(super) fn push(&mut self, text: &str) -> Result<(), String> {
        let pushed = match self {
            Self::Text(values) => Some(text).map(|value| values.append_value(value)),
            Self::Boolean(values) => boolean(text).map(|value| values.append_value(value)),
            Self::Bigint(values) => bigint(text).map(|value| values.append_value(value)),
            Self::Double(values) => double(text).map(|value| values.append_value(value)),
            Self::Numeric(values) => numeric(text).map(|value| values.append_value(value)),
            Self::Date(values) => date(text).map(|value| values.append_value(Date32Type::from_naive_date(value))),
            Self::Timestamp(values) => timestamp_of(text).map(|value| values.append_value(value.and_utc().timestamp_micros())),
        };
        pushed.ok_or_else(|| self.misfit(text))
    }

    fn misfit(&self, text: &str) -> String {
        let wanted = self.name();
        match (self, Number::parse(text)) {
            (Self::Double(_), Some(_)) => format!("a number has more digits than {wanted} keeps"),
            (Self::Numeric(_), Some(_)) => format!("a number has more digits than {wanted} has here, 38 on each side of the point"),
            _ => format!("a value is no {wanted}"),
        }
    }

    /// Their type, as PostgreSQL calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Boolean(_) => "boolean",
            Self::Bigint(_) => "bigint",
            Self::Double(_) => "double precision",
            Self::Numeric(_) => "numeric",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
        }
    }

    /// The values so far; reading goes on with none.
    pub(super) fn take(&mut self) -> ArrayRef {
        match self {
            Self::Text(values) => Arc::new(values.finish()),
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Bigint(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
            Self::Numeric(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Timestamp(values) => Arc::new(values.finish()),
        }
    }
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") { Some(true) } else { text.eq_ignore_ascii_case("false").then_some(false) }
}

pub(super) fn bigint(text: &str) -> Option<i64> {
    // What is parsed as an integer has digits and a sign at the most.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.starts_with('+') || digits.len() > 1 && digits.starts_with('0') { None } else { text.parse().ok() }
}

pub(super) fn double(text: &str) -> Option<f64> {
    Number::parse(text)?.double()
}

pub(super) fn numeric(text: &str) -> Option<i256> {
    Number::parse(text)?.numeric()
}

/// A date of four digits for the year, and two for month and day.
pub(super) fn date(text: &str) -> Option<NaiveDate> {
    if is_shaped(text, "0000-00-00") { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

/// Whether there is a digit wherever `shape` has one, and the same character elsewhere.
fn is_shaped(text: &str, shape: &str) -> bool {
    let fits = |(byte, wanted): (u8, u8)| if wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// A date and a time to the second or microsecond, without an offset.
pub(super) fn timestamp_of(text: &str) -> Option<NaiveDateTime> {
    let day = date(text.get(..10)?)?;
    let time = text.get(11..)?;
    let (seconds, fraction) = time.split_at_checked(8)?;
    let is_fraction = fraction.is_empty() || fraction.strip_prefix('.').is_some_and(|digits| are_digits(digits) && digits.len() <= 6);
    let is_written_so =
        matches!(text.get(10..11)?, " " | "T") && is_shaped(seconds, "00:00:00") && !seconds.ends_with(":60") && is_fraction;
    let time = NaiveTime::parse_from_str(time, "%H:%M:%S%.f").ok()?;
    is_written_so.then(|| day.and_time(time))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};

    use super::*;

    fn read(text: &str, data_type: &DataType) -> Result<ArrayRef, String> {
        let mut values = Scalars::of(data_type).unwrap();
        values.push_null();
        values.push(text)?;
        Ok(values.take())
    }

    #[test]
    fn texts_are_read_as_they_were_inferred() {
        let moments = read("2024-02-29T12:00:00.5", &TIMESTAMP).unwrap();
        assert_eq!((moments.as_primitive::<TimestampMicrosecondType>().value(1), moments.is_null(0)), (1_709_208_000_500_000, true));
        assert_eq!(read("-7", &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(1), -7);
        assert!((read("1e3", &DataType::Float64).unwrap().as_primitive::<Float64Type>().value(1) - 1000.0).abs() < f64::EPSILON);
        assert!(Scalars::of(&DataType::Binary).is_none());
    }

    #[test]
    fn what_a_type_would_change_is_no_value_of_it() {
        for (text, data_type, reason) in [
            ("007", DataType::Int64, "a value is no bigint"),
            ("1.5", DataType::Int64, "a value is no bigint"),
            ("+1", DataType::Int64, "a value is no bigint"),
            ("-01", DataType::Int64, "a value is no bigint"),
            ("-", DataType::Int64, "a value is no bigint"),
            ("9007199254740993", DataType::Float64, "a number has more digits than double precision keeps"),
            ("hush", DataType::Float64, "a value is no double precision"),
            ("1e60", NUMERIC, "a number has more digits than numeric has here, 38 on each side of the point"),
            ("2024-1-1", DataType::Date32, "a value is no date"),
            (" 2024-1-01", DataType::Date32, "a value is no date"),
            ("+2024-1-01", DataType::Date32, "a value is no date"),
            ("-024-02-02", DataType::Date32, "a value is no date"),
            ("2024-01-01 1:02:3.4", TIMESTAMP, "a value is no timestamp"),
            ("2024-01-01 23:59:60", TIMESTAMP, "a value is no timestamp"),
            ("2024-01-01 00:00:00.1234567", TIMESTAMP, "a value is no timestamp"),
            ("2024-01-01 00:00:00Z", TIMESTAMP, "a value is no timestamp"),
            ("1", DataType::Boolean, "a value is no boolean"),
        ] {
            assert_eq!(read(text, &data_type).unwrap_err(), reason, "{text}");
        }
    }
}
