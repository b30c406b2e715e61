//! Rows as clients see them, and whether two engines gave the same ones.

use std::fmt::Write as _;

use futures::TryStreamExt;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Error, SimpleQueryMessage};

/// One row in text form; `None` is NULL.
pub type Row = Vec<Option<String>>;

/// One value in binary form, undecoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// The type the server says it has.
    pub type_name: String,
    /// Its bytes; `None` is NULL.
    pub bytes: Option<Vec<u8>>,
}

/// Whether the order of rows is part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The statement orders its rows completely.
    Given,
    /// Any order is right.
    Any,
}

struct Bytes(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(Some(raw.to_vec())))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// The rows of a statement by the simple protocol, in text form.
///
/// # Errors
/// What the server or the connection says.
pub async fn text_rows(client: &Client, sql: &str) -> Result<Vec<Row>, Error> {
    let messages = client.simple_query(sql).await?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect()),
        _ => None,
    });
    Ok(rows.collect())
}

/// The rows of a statement by the extended protocol, in binary form.
///
/// # Errors
/// What the server or the connection says.
pub async fn raw_rows(client: &Client, sql: &str) -> Result<Vec<Vec<Cell>>, Error> {
    let parameters: [&str; 0] = [];
    let rows: Vec<_> = client.query_raw(sql, parameters).await?.try_collect().await?;
    let cell = |row: &tokio_postgres::Row, column: usize| {
        Ok(Cell { type_name: row.columns()[column].type_().name().to_owned(), bytes: row.try_get::<_, Bytes>(column)?.0 })
    };
    rows.iter().map(|row| (0..row.len()).map(|column| cell(row, column)).collect()).collect()
}

/// Compares two answers to one statement.
///
/// Texts and whole numbers must be equal. Other numbers may differ in trailing zeros and, where either side has more digits than a double keeps, in the
/// last ones: engines add floats up in different orders and give averages different scales.
///
/// # Errors
/// The first difference, for people.
pub fn compare_rows(expected: &[Row], actual: &[Row], order: Order) -> Result<(), String> {
    if expected.len() != actual.len() {
        return Err(format!("{} rows instead of {}{}", actual.len(), expected.len(), sample(expected, actual)));
    }
    let (mut expected, mut actual) = (keyed(expected), keyed(actual));
    if order == Order::Any {
        expected.sort_by(|(one, _), (other, _)| one.cmp(other));
        actual.sort_by(|(one, _), (other, _)| one.cmp(other));
    }
    for (index, (_, left)) in expected.iter().enumerate() {
        // Rows that sort alike need not be alike: the one that is comes first.
        if order == Order::Any && !same_row(left, actual[index].1) {
            let key = actual[index].0.clone();
            let alike = actual[index..].iter().take_while(|(other, _)| *other == key).position(|(_, right)| same_row(left, right));
            actual.swap(index, index + alike.unwrap_or(0));
        }
        let (_, right) = &actual[index];
        if !same_row(left, right) {
            return Err(format!("row {index} is {} instead of {}", shown(right), shown(left)));
        }
    }
    Ok(())
}

/// As [`compare_rows`], for one statement.
///
/// # Panics
/// With the statement and the first difference.
pub fn assert_same_rows(sql: &str, expected: &[Row], actual: &[Row], order: Order) {
    if let Err(difference) = compare_rows(expected, actual, order) {
        panic!("{sql}\n{difference}");
    }
}

/// What PostgreSQL gives, with no more decimals of quotients than we give: it gives more, and we cut off the rest without rounding.
/// See `docs/postgres-differences.md`.
pub fn as_precise(expected: &[Row], ours: &[Row]) -> Vec<Row> {
    let mut expected = expected.to_vec();
    let values = expected.iter_mut().zip(ours).flat_map(|(expected, ours)| expected.iter_mut().zip(ours));
    for (value, ours) in values.filter(|(value, ours)| !same_value(value.as_deref(), ours.as_deref())) {
        if let (Some(value), Some(ours)) = (value, ours)
            && let (Some((_, all)), Some((_, kept))) = (value.split_once('.'), ours.split_once('.'))
            && (6..all.len()).contains(&kept.len())
        {
            value.truncate(value.len() - all.len() + kept.len());
        }
    }
    expected
}

fn keyed(rows: &[Row]) -> Vec<(String, &Row)> {
    rows.iter().map(|row| (sort_key(row), row)).collect()
}

fn same_row(left: &Row, right: &Row) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same_value(left.as_deref(), right.as_deref()))
}

fn same_value(left: Option<&str>, right: Option<&str>) -> bool {
    let (Some(left), Some(right)) = (left, right) else { return left == right };
    if left == right {
        return true;
    }
    let (Some(l), Some(r)) = (Number::parse(left), Number::parse(right)) else { return false };
    if l.canonical == r.canonical {
        return true;
    }
    let whole = !left.contains(['.', 'e', 'E']) && !right.contains(['.', 'e', 'E']);
    let noisy = !whole && (l.significant > 15 || r.significant > 15);
    noisy && (l.value - r.value).abs() <= 1e-12 * l.value.abs().max(r.value.abs())
}

struct Number {
    value: f64,
    canonical: String,
    significant: usize,
}

impl Number {
    fn parse(text: &str) -> Option<Self> {
        let value: f64 = text.parse().ok()?;
        if !value.is_finite() || !text.bytes().any(|b| b.is_ascii_digit()) || text.starts_with('+') {
            return None;
        }
        let digits: String = text.chars().take_while(|c| !matches!(c, 'e' | 'E')).filter(char::is_ascii_digit).collect();
        let significant = digits.trim_start_matches('0').len();
        let plain = !text.contains(['e', 'E']);
        let canonical = match text.split_once('.') {
            Some((whole, fraction)) if plain => {
                let fraction = fraction.trim_end_matches('0');
                if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
            }
            _ => text.to_owned(),
        };
        // A zero has no sign to most types.
        let canonical = if value == 0.0 { "0".to_owned() } else { canonical };
        Some(Self { value, canonical, significant })
    }
}

/// Numbers that [`same_value`] takes for equal sort alike, but for the rare pair on either side of a rounding border.
fn sort_key(row: &Row) -> String {
    row.iter().fold(String::new(), |mut key, value| {
        let _ = match value.as_deref() {
            None => write!(key, "\u{1}\u{0}"),
            Some(text) => match Number::parse(text) {
                Some(number) => write!(key, "\u{1}{:.9e}", number.value),
                None => write!(key, "\u{1}{text}"),
            },
        };
        key
    })
}

fn shown(row: &Row) -> String {
    let values: Vec<_> = row.iter().map(|value| value.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("{text:?}"))).collect();
    format!("({})", values.join(", "))
}

/// A row that only one of two answers of different length has.
fn sample(expected: &[Row], actual: &[Row]) -> String {
    let (more, fewer, word) = if expected.len() > actual.len() { (expected, actual, "missing") } else { (actual, expected, "extra") };
    let odd = more.iter().find(|row| !fewer.iter().any(|other| sort_key(other) == sort_key(row)));
    odd.map(|row| format!("; {word}, for one: {}", shown(row))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(values: &[&str]) -> Row {
        values.iter().map(|value| (*value != "NULL").then(|| (*value).to_owned())).collect()
    }

    #[test]
    fn equal_answers() {
        let cases: [(&[&str], &[&str]); 6] = [
            (&["1.50"], &["1.5"]),
            (&["2"], &["2.000"]),
            (&["0.3333333333333333"], &["0.33333333333333333333"]),
            (&["0.1000000000000000055"], &["0.1"]),
            (&["NULL"], &["NULL"]),
            (&["a"], &["a"]),
        ];
        for (left, right) in cases {
            assert_eq!(compare_rows(&[row(left)], &[row(right)], Order::Given), Ok(()), "{left:?} {right:?}");
        }
        let pairs = [["1", "2"], ["-946684800000000", "-946684800000001"], ["10000000000.5", "9999999999.99"], ["NULL", "-"]];
        for [one, other] in pairs.map(|pair| pair.map(|value| row(&[value]))) {
            assert_eq!(compare_rows(&[one.clone(), other.clone()], &[other, one], Order::Any), Ok(()));
        }
    }

    #[test]
    fn quotients_are_cut_and_nothing_else() {
        let cases = [
            ("0.66666666666666666667", "0.666666", "0.666666"),
            ("0.66666666666666666667", "0.6666666666666666", "0.66666666666666666667"),
            ("0.66666666666666666667", "0.67", "0.66666666666666666667"),
            ("1.5", "1.500000", "1.5"),
        ];
        for (theirs, ours, cut) in cases {
            assert_eq!(as_precise(&[row(&[theirs])], &[row(&[ours])]), [row(&[cut])], "{theirs} {ours}");
        }
    }

    #[test]
    fn different_answers() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["1.50"], &["1.51"]),
            (&["0.333333"], &["0.33333333333333333333"]),
            (&["9007199254740993"], &["9007199254740992"]),
            (&["NULL"], &[""]),
            (&["a"], &["A"]),
            (&["a "], &["a"]),
            (&["NaN"], &["NULL"]),
            (&["1", "2"], &["1"]),
        ];
        for (left, right) in cases {
            assert!(compare_rows(&[row(left)], &[row(right)], Order::Given).is_err(), "{left:?} {right:?}");
        }
        assert!(compare_rows(&[row(&["1"]), row(&["2"])], &[row(&["2"]), row(&["1"])], Order::Given).is_err());
        let shorter = compare_rows(&[row(&["1"]), row(&["2"])], &[row(&["1"])], Order::Any);
        assert_eq!(shorter, Err("1 rows instead of 2; missing, for one: (\"2\")".to_owned()));
    }
}
