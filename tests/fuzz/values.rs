//! What values there are, the nasty ones above all, and how each engine is told them.

use std::error::Error;
use std::fmt::Write as _;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, ToSql, Type};

use super::dice::Dice;

/// What an expression evaluates to, as far as the generator tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Int,
    Numeric,
    Float,
    Text,
    Bool,
    Date,
    Timestamp,
    Timestamptz,
    Bytes,
    Uuid,
}

/// One value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Int(i64),
    Numeric(String),
    Float(f64),
    Text(String),
    Bool(bool),
    Date(&'static str),
    Timestamp(&'static str),
    /// In UTC, without saying so.
    Timestamptz(&'static str),
    Bytes(Vec<u8>),
    Uuid(&'static str),
}

/// Whose SQL a value is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Engine {
    Postgres,
    MariaDb,
    Sqlite,
}

const INTEGERS: [i64; 14] = [0, 0, 1, 1, 2, 2, 3, 5, 7, -1, -2, 10, 31, 100];
const NUMERICS: [&str; 12] = ["0", "1", "-1", "12.5", "-3.25", "99.99", "0.01", "-0.5", "7", "100", "2.5", "0.25"];
const FINE_NUMERICS: [&str; 4] = ["0.0001", "1.2345", "-2.0005", "0.25"];
const FLOATS: [f64; 10] = [0.0, 1.5, -2.25, 3.0, -0.5, 100.0, 1e10, 0.125, 0.1, 2.0];
const TEXTS: [&str; 30] = [
    "a",
    "A",
    "b",
    "B",
    "á",
    "a ",
    "",
    "ab",
    "Ab",
    "ss",
    "ß",
    "_",
    "%",
    "x_y",
    "a%b",
    "😀",
    "it's",
    "back\\slash",
    "zz",
    " a",
    "é",
    "É",
    "e\u{301}",
    "10",
    "9",
    "NULL",
    "東京",
    "a\nb",
    "a-b",
    "\"q\"",
];
const PATTERNS: [&str; 22] = [
    "a%", "%a", "_", "%", "", "A%", "%\\_%", "%\\%%", "%\\\\%", "a_", "%s%", "á%", "%😀%", "__", "%%", "a ", "%'%", "É", "_\\_y", "%b",
    "%B%", "ß",
];
const DATES: [&str; 9] =
    ["1970-01-01", "1969-12-31", "2024-02-29", "2023-03-31", "2024-01-31", "2000-01-01", "2024-12-31", "1900-01-01", "1900-02-28"];
const FAR_DATES: [&str; 2] = ["9999-12-31", "1000-01-01"];
const MOMENTS: [&str; 7] = [
    "1970-01-01 00:00:01",
    "2024-02-29 12:00:00",
    "2024-02-29 00:00:00",
    "2023-06-30 23:59:59.5",
    "2024-01-31 10:30:00",
    "2000-01-01 00:00:00",
    "2024-12-31 23:59:59.999999",
];
/// Beyond what MariaDB's `timestamp` holds.
const WIDE_MOMENTS: [&str; 3] = ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1900-01-01 00:00:00"];
const FAR_MOMENTS: [&str; 2] = ["9999-12-31 23:59:59.999999", "1000-01-01 00:00:00"];
const BYTES: [&[u8]; 7] = [b"", b"\0", b"a", b"A", b"\xff\x00\x01", b"a ", b"'\\"];
const UUIDS: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12",
];

/// What values a column may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    /// The bits of its integers.
    pub(super) bits: u32,
    /// The digits of its numerics before the point, and behind it.
    pub(super) digits: (usize, usize),
    /// Whether zeros may have a sign, and numbers be none.
    pub(super) odd_floats: bool,
    /// Whether instants before 1970 and after 2038 fit.
    pub(super) wide_moments: bool,
    /// Whether dates and moments that 64 bits of nanoseconds do not hold are among them.
    pub(super) far: bool,
}

/// What a literal of a query may be.
pub(super) const IN_QUERIES: Range = Range { bits: 32, digits: (8, 4), odd_floats: false, wide_moments: true, far: true };

/// A value that is not NULL.
pub(super) fn any(dice: &mut Dice, kind: Kind, range: Range) -> Value {
    match kind {
        Kind::Int if dice.chance(6) => {
            let most = (1_i64 << (range.bits - 2)) - 1 + (1_i64 << (range.bits - 2));
            Value::Int(*dice.pick(&[most, -most, most - 1, -most - 1]))
        }
        Kind::Int => Value::Int(*dice.pick(&INTEGERS)),
        Kind::Numeric => Value::Numeric(numeric(dice, range.digits)),
        Kind::Float if range.odd_floats && dice.chance(10) => Value::Float(*dice.pick(&[-0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
        Kind::Float => Value::Float(*dice.pick(&FLOATS)),
        Kind::Text => Value::Text(dice.word(&TEXTS).to_owned()),
        Kind::Bool => Value::Bool(dice.chance(50)),
        Kind::Date if range.far && dice.chance(6) => Value::Date(dice.word(&FAR_DATES)),
        Kind::Date => Value::Date(dice.word(&DATES)),
        Kind::Timestamp => Value::Timestamp(moment(dice, range)),
        Kind::Timestamptz => Value::Timestamptz(moment(dice, Range { far: range.far && range.wide_moments, ..range })),
        Kind::Bytes => Value::Bytes(dice.pick(&BYTES).to_vec()),
        Kind::Uuid => Value::Uuid(dice.word(&UUIDS)),
    }
}

/// What a text is compared with by LIKE.
pub(super) fn pattern(dice: &mut Dice) -> Value {
    Value::Text(dice.word(&PATTERNS).to_owned())
}

fn moment(dice: &mut Dice, range: Range) -> &'static str {
    match dice.roll(20) {
        0 if range.far => dice.word(&FAR_MOMENTS),
        1..=4 if range.wide_moments => dice.word(&WIDE_MOMENTS),
        _ => dice.word(&MOMENTS),
    }
}

fn numeric(dice: &mut Dice, (before, behind): (usize, usize)) -> String {
    if dice.chance(6) {
        let mut most = "9".repeat(before);
        if behind > 0 {
            let _ = write!(most, ".{}", "9".repeat(behind));
        }
        return if dice.chance(50) { format!("-{most}") } else { most };
    }
    let text = if behind >= 4 && dice.chance(30) { dice.word(&FINE_NUMERICS) } else { dice.word(&NUMERICS) };
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() > behind => whole.trim_start_matches('-').to_owned(),
        _ => text.to_owned(),
    }
}

impl Value {
    /// As a literal in a query, with a word for its type where it has none.
    pub(super) fn in_query(&self) -> String {
        match self {
            Self::Date(text) => format!("date '{text}'"),
            Self::Timestamp(text) => format!("timestamp '{text}'"),
            Self::Timestamptz(text) => format!("timestamptz '{text}+00'"),
            Self::Int(number) if *number < 0 => format!("({number})"),
            Self::Numeric(text) => match text.split_once('.') {
                Some(_) => format!("({text})"),
                None => format!("({text}.0)"),
            },
            _ => self.sql(Engine::Postgres),
        }
    }

    /// As a literal for `INSERT`.
    pub(super) fn sql(&self, engine: Engine) -> String {
        match (self, engine) {
            (Self::Null, _) => "NULL".to_owned(),
            (Self::Int(number), _) => number.to_string(),
            (Self::Numeric(text), _) => text.clone(),
            (Self::Float(number), Engine::Postgres) => format!("'{number}'::float8"),
            (Self::Float(number), _) => format!("{number:e}"),
            (Self::Text(text), _) => format!("'{}'", text.replace('\'', "''")),
            (Self::Bool(value), Engine::Postgres) => value.to_string(),
            (Self::Bool(value), _) => u8::from(*value).to_string(),
            (Self::Date(text) | Self::Timestamp(text) | Self::Uuid(text), _) => format!("'{text}'"),
            (Self::Timestamptz(text), Engine::MariaDb) => format!("'{text}'"),
            (Self::Timestamptz(text), _) => format!("'{text}+00:00'"),
            (Self::Bytes(bytes), Engine::Postgres) => format!("'\\x{}'::bytea", hexadecimal(bytes)),
            (Self::Bytes(bytes), _) => format!("x'{}'", hexadecimal(bytes)),
        }
    }

    /// Whether it can be a parameter.
    pub(super) fn can_be_sent(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Float(_) | Self::Text(_) | Self::Bool(_) | Self::Date(_))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The days since 1970 of a date `YYYY-MM-DD`.
pub(super) fn days(text: &str) -> i32 {
    let mut numbers = text.split('-').map(|part| part.parse::<i64>().expect("dates are numbers"));
    let mut next = || numbers.next().expect("dates have three parts");
    let (year, month, day) = (next(), next(), next());
    // Years begin in March, so that the leap day is the last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468;
    i32::try_from(days).expect("four digits of years are few days")
}

/// The microseconds since 1970 of a moment `YYYY-MM-DD HH:MM:SS[.ffffff]`.
pub(super) fn microseconds(text: &str) -> i64 {
    let (date, time) = text.split_once(' ').expect("moments have a date and a time");
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = whole.split(':').fold(0, |seconds, part| seconds * 60 + part.parse::<i64>().expect("times are numbers"));
    let fraction: i64 = format!("{fraction:0<6}").parse().expect("fractions are numbers");
    (i64::from(days(date)) * 86_400 + seconds) * 1_000_000 + fraction
}

impl ToSql for Value {
    fn to_sql(&self, asked: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, asked) {
            (Self::Int(number), &Type::INT2) => out.put_i16(i16::try_from(*number)?),
            (Self::Int(number), &Type::INT4) => out.put_i32(i32::try_from(*number)?),
            (Self::Int(number), &Type::INT8) => out.put_i64(*number),
            (Self::Float(number), &Type::FLOAT8) => out.put_f64(*number),
            (Self::Text(text), _) => out.put_slice(text.as_bytes()),
            (Self::Bool(value), &Type::BOOL) => out.put_u8(u8::from(*value)),
            // PostgreSQL's dates begin in 2000.
            (Self::Date(text), &Type::DATE) => out.put_i32(days(text) - 10_957),
            _ => return Err(format!("{self:?} cannot be sent as {asked}").into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

#[test]
fn dates_are_counted() {
    assert_eq!([days("1970-01-01"), days("2000-02-29"), days("1900-03-01")], [0, 11_016, -25_508]);
    assert_eq!(microseconds("1969-12-31 23:59:59.5"), -500_000);
}
