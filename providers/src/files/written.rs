//! Values as they are written in text files: which types a text can be of, and its value in one of them.
//!
//! A column is inferred and read by the same rules, so a value either is what the column's type says or an error.

use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal256Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, TimeUnit, i256};

use super::number::{NUMERIC, Number};

/// The type of a date and a time.
pub(super) const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// A value that is not of its column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Misfit {
    /// Its place among the values.
    pub(super) at: usize,
    /// Why, for the user, without the value.
    pub(super) reason: String,
}

/// The values of a column of text files as `data_type`; `None` when no text is of that type.
pub(super) fn read(texts: &StringArray, data_type: &DataType) -> Option<Result<ArrayRef, Misfit>> {
    fn arc<A: Array + 'static>(values: A) -> ArrayRef {
        Arc::new(values)
    }
    Some(match data_type {
        DataType::Utf8 => Ok(Arc::new(texts.clone())),
        DataType::Boolean => collected::<_, BooleanArray>(texts, data_type, boolean).map(arc),
        DataType::Int64 => collected::<_, Int64Array>(texts, data_type, bigint).map(arc),
        DataType::Float64 => collected::<_, Float64Array>(texts, data_type, double).map(arc),
        exact if *exact == NUMERIC => {
            collected(texts, data_type, numeric).map(|values: Decimal256Array| arc(values.with_data_type(NUMERIC)))
        }
        DataType::Date32 => collected::<_, Date32Array>(texts, data_type, |text| date(text).map(Date32Type::from_naive_date)).map(arc),
        timestamp if *timestamp == TIMESTAMP => {
            collected::<_, TimestampMicrosecondArray>(texts, data_type, |text| Some(timestamp_of(text)?.and_utc().timestamp_micros()))
                .map(arc)
        }
        _ => return None,
    })
}

fn collected<V, A: FromIterator<Option<V>>>(
    texts: &StringArray,
    data_type: &DataType,
    value: impl Fn(&str) -> Option<V>,
) -> Result<A, Misfit> {
    let read = |(at, text): (usize, Option<&str>)| match text {
        Some(text) => value(text).map(Some).ok_or_else(|| Misfit { at, reason: misfit(text, data_type) }),
        None => Ok(None),
    };
    texts.iter().enumerate().map(read).collect()
}

/// Why a text is no value of a column, without the text itself.
pub(super) fn misfit(text: &str, data_type: &DataType) -> String {
    let wanted = named(data_type);
    match Number::parse(text) {
        Some(_) if *data_type == DataType::Float64 => format!("a number has more digits than {wanted} keeps"),
        Some(_) if *data_type == NUMERIC => format!("a number has more digits than {wanted} has here, 38 on each side of the point"),
        _ => format!("a value is no {wanted}"),
    }
}

/// A type that a text file's values may have, as PostgreSQL calls it.
pub(super) fn named(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 => "text".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double precision".to_owned(),
        DataType::Date32 => "date".to_owned(),
        numeric if *numeric == NUMERIC => "numeric".to_owned(),
        timestamp if *timestamp == TIMESTAMP => "timestamp".to_owned(),
        DataType::List(_) => "array".to_owned(),
        DataType::Struct(_) => "object".to_owned(),
        other => other.to_string(),
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

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A date and a time to the second or microsecond, without an offset.
pub(super) fn timestamp_of(text: &str) -> Option<NaiveDateTime> {
    let day = date(text.get(..10)?)?;
    let time = text.get(11..)?;
    let (seconds, fraction) = time.split_at_checked(8)?;
    let digits = fraction.strip_prefix('.').unwrap_or(fraction);
    let is_fraction = fraction.is_empty() || fraction.len() == digits.len() + 1 && (1..=6).contains(&digits.len()) && all_digits(digits);
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

    #[test]
    fn texts_are_read_as_they_were_inferred() {
        let texts = StringArray::from(vec![Some("2024-02-29T12:00:00.5"), None]);
        let moments = read(&texts, &TIMESTAMP).unwrap().unwrap();
        assert_eq!((moments.as_primitive::<TimestampMicrosecondType>().value(0), moments.is_null(1)), (1_709_208_000_500_000, true));
        let numbers = read(&StringArray::from(vec!["-7"]), &DataType::Int64).unwrap().unwrap();
        assert_eq!(numbers.as_primitive::<Int64Type>().value(0), -7);
        let doubles = read(&StringArray::from(vec!["1e3"]), &DataType::Float64).unwrap().unwrap();
        assert!((doubles.as_primitive::<Float64Type>().value(0) - 1000.0).abs() < f64::EPSILON);
        assert!(read(&texts, &DataType::Binary).is_none());
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
            let texts = StringArray::from(vec![None, Some(text)]);
            assert_eq!(read(&texts, &data_type).unwrap().unwrap_err(), Misfit { at: 1, reason: reason.to_owned() }, "{text}");
        }
    }
}
