//! What a server answers to a statement, in a form that is the same for both protocols.

use causeway_tests::{Cell, Row, text_rows};
use futures::TryStreamExt;
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Error};

use super::tree::Literals;
use super::values::Value;

/// Why there are no rows.
#[derive(Debug)]
pub(super) enum Refusal {
    /// An error with its SQLSTATE.
    Server { code: String, message: String },
    /// Anything else, such as a connection that was closed.
    Client(String),
}

/// The rows of a statement.
pub(super) async fn rows(client: &Client, sql: &str, literals: Literals, parameters: &[Value]) -> Result<Vec<Row>, Refusal> {
    match literals {
        Literals::Written => text_rows(client, sql).await.map_err(|error| refusal(&error)),
        Literals::Sent => sent(client, sql, parameters).await,
    }
}

fn refusal(error: &Error) -> Refusal {
    match error.as_db_error() {
        Some(error) => Refusal::Server { code: error.code().code().to_owned(), message: error.message().to_owned() },
        None => Refusal::Client(format!("{error:?}")),
    }
}

async fn sent(client: &Client, sql: &str, parameters: &[Value]) -> Result<Vec<Row>, Refusal> {
    let prepared = client.prepare(sql).await.map_err(|error| refusal(&error))?;
    if prepared.params().len() != parameters.len() {
        return Err(Refusal::Client(format!("{} parameters instead of {}", prepared.params().len(), parameters.len())));
    }
    let parameters = parameters.iter().map(|value| value as &(dyn ToSql + Sync));
    let rows = client.query_raw(&prepared, parameters).await.map_err(|error| refusal(&error))?;
    let rows: Vec<_> = rows.try_collect().await.map_err(|error| refusal(&error))?;
    let cell = |row: &tokio_postgres::Row, column: usize| {
        let Raw(bytes) = row.get(column);
        text(&Cell { type_name: row.columns()[column].type_().name().to_owned(), bytes })
    };
    Ok(rows.iter().map(|row| (0..row.len()).map(|column| cell(row, column)).collect()).collect())
}

/// Bytes as they came.
struct Raw(Option<Vec<u8>>);

impl<'a> FromSql<'a> for Raw {
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

/// A UUID as it is written.
fn uuid(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&digits[..4], &digits[4..6], &digits[6..8], &digits[8..10], &digits[10..]].map(|part| part.concat()).join("-")
}

/// A text that is equal for equal values. Dates and moments are numbers, which serves as well.
fn text(cell: &Cell) -> Option<String> {
    let bytes = cell.bytes.as_deref()?;
    Some(match cell.type_name.as_str() {
        "int2" => i16::from_be_bytes(fixed(bytes)).to_string(),
        "int4" | "date" => i32::from_be_bytes(fixed(bytes)).to_string(),
        "int8" | "timestamp" | "timestamptz" => i64::from_be_bytes(fixed(bytes)).to_string(),
        "float4" => f32::from_be_bytes(fixed(bytes)).to_string(),
        "float8" => f64::from_be_bytes(fixed(bytes)).to_string(),
        "bool" => (bytes == [1]).to_string(),
        "numeric" => numeric(bytes),
        // As text, which the gateway says it is where it is computed.
        "uuid" => uuid(bytes),
        "text" | "varchar" | "bpchar" | "unknown" => String::from_utf8_lossy(bytes).into_owned(),
        _ => format!("{bytes:02x?}"),
    })
}

fn fixed<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("numbers have the width of their type")
}

/// PostgreSQL's numeric: how many digits, the weight of the first, a sign, how many decimals are shown; then digits of base 10,000.
fn numeric(bytes: &[u8]) -> String {
    let number = |place: usize| i16::from_be_bytes(fixed(&bytes[place * 2..place * 2 + 2]));
    let (count, weight, sign) = (usize::try_from(number(0)).expect("a count"), number(1), number(2));
    if sign.cast_unsigned() >= 0xC000 {
        return "NaN".to_owned();
    }
    let digit = |weight: i16, place: i16| match usize::try_from(weight - place) {
        Ok(index) if index < count => number(4 + index),
        _ => 0,
    };
    let whole: String = (0..=weight.max(0)).rev().map(|place| format!("{:04}", digit(weight, place))).collect();
    let lowest = weight - i16::try_from(count).expect("a count") + 1;
    let fraction: String = (lowest.min(0)..0).rev().map(|place| format!("{:04}", digit(weight, place))).collect();
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let sign = if sign == 0 || (whole.is_empty() && fraction.is_empty()) { "" } else { "-" };
    let whole = if whole.is_empty() { "0" } else { whole };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[test]
fn numerics_are_read() {
    let bytes = |numbers: &[i16]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<_>>();
    assert_eq!(numeric(&bytes(&[2, 0, 0, 2, 12, 5000])), "12.5");
    assert_eq!(numeric(&bytes(&[1, 1, 0x4000, 0, 3])), "-30000");
    assert_eq!(numeric(&bytes(&[1, -2, 0, 6, 50])), "0.0000005");
    assert_eq!(numeric(&bytes(&[0, 0, 0, 2])), "0");
}
