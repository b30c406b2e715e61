//! Functions that quote, format and measure.

use causeway_planner::{Error, ErrorKind};
use datafusion::error::Result;

use super::{Outcome, Row, RowFunction};
use crate::pg::catalog::identifiers::{quote_identifier, split_name};

/// Appends these functions.
pub(super) fn add(functions: &mut Vec<RowFunction>) {
    functions.push(RowFunction::new("quote_ident", 1..=1, "text", |row| Ok(row.text(0).map(|t| quote_identifier(&t)).into())));
    functions.push(RowFunction::new("quote_literal", 1..=1, "text", |row| Ok(row.text(0).map(|t| quote_literal(&t)).into())));
    let nullable = RowFunction::new("quote_nullable", 1..=1, "text", |row| {
        Ok(row.text(0).map_or_else(|| "NULL".to_owned(), |t| quote_literal(&t)).into())
    });
    functions.push(nullable.called_with_nulls());
    functions.push(RowFunction::new("parse_ident", 1..=2, "_text", |row| {
        let text = row.text(0).unwrap_or_default();
        let invalid = || Error::new(ErrorKind::InvalidText, format!("string is not a valid identifier: \"{text}\""));
        Ok(Outcome::Texts(split_name(&text).ok_or_else(invalid)?))
    }));
    functions.push(RowFunction::new("like_escape", 2..=2, "text", like_escape));
    functions.push(RowFunction::new("format", 1..=1, "text", format).variadic().called_with_nulls());
    functions.push(RowFunction::new("pg_size_pretty", 1..=1, "text", |row| Ok(row.int(0).map(size_pretty).into())));
    // A foreign option, `name=value`, as a pair that SQL can read.
    functions.push(RowFunction::new("causeway_options", 1..=1, "_text", |row| {
        let pairs = row.texts(0).unwrap_or_default();
        let quoted = pairs.iter().map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            format!("{} {}", quote_identifier(name), quote_literal(value))
        });
        Ok(Outcome::Texts(quoted.collect()))
    }));
    functions.push(RowFunction::new("causeway_prefixed", 2..=2, "_text", |row| {
        let prefix = row.text(0).unwrap_or_default();
        Ok(Outcome::Texts(row.texts(1).unwrap_or_default().iter().map(|item| format!("{prefix}{item}")).collect()))
    }));
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, text)
}

fn quote_literal(text: &str) -> String {
    let quoted = text.replace('\'', "''");
    if text.contains('\\') { format!(" E'{}'", quoted.replace('\\', "\\\\")) } else { format!("'{quoted}'") }
}

/// A pattern of LIKE with its escape character in place of the backslash.
fn like_escape(row: &Row<'_>) -> Result<Outcome> {
    let (pattern, escape) = (row.text(0).unwrap_or_default(), row.text(1).unwrap_or_default());
    let mut letters = escape.chars();
    let escape = match (letters.next(), letters.next()) {
        (escape, None) => escape,
        (_, Some(_)) => return Err(invalid("invalid escape string").into()),
    };
    let mut text = String::with_capacity(pattern.len() + 2);
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        if Some(letter) == escape {
            text.push('\\');
            text.extend(rest.next());
        } else if letter == '\\' {
            text.push_str("\\\\");
        } else {
            text.push(letter);
        }
    }
    Ok(text.into())
}

/// `format`: `%s`, `%I`, `%L` and `%%`, with `%n$` positions.
fn format(row: &Row<'_>) -> Result<Outcome> {
    let Some(template) = row.text(0) else { return Ok(Outcome::Null) };
    let mut text = String::with_capacity(template.len());
    let mut letters = template.chars().peekable();
    let mut next = 1;
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        if letters.next_if_eq(&'%').is_some() {
            text.push('%');
            continue;
        }
        let mut digits = String::new();
        while let Some(digit) = letters.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        if letters.next_if_eq(&'$').is_some() {
            next = digits.parse().map_err(|_| invalid("format specifies argument 0, but arguments are numbered from 1"))?;
        } else if !digits.is_empty() {
            return Err(invalid("format with a width is not supported").into());
        }
        let kind = letters.next().ok_or_else(|| invalid("unterminated format() type specifier"))?;
        if next == 0 || next >= row.count() {
            return Err(invalid("too few arguments for format()").into());
        }
        let argument = row.text(next);
        next += 1;
        match (kind, argument) {
            ('s', argument) => text.push_str(&argument.unwrap_or_default()),
            ('I', Some(argument)) => text.push_str(&quote_identifier(&argument)),
            ('I', None) => return Err(invalid("null values cannot be formatted as an SQL identifier").into()),
            ('L', argument) => text.push_str(&argument.map_or_else(|| "NULL".to_owned(), |a| quote_literal(&a))),
            (other, _) => return Err(invalid(format!("unrecognized format() type specifier \"{other}\"")).into()),
        }
    }
    Ok(text.into())
}

/// A number of bytes in the unit that keeps it below 10240, as PostgreSQL rounds it.
fn size_pretty(bytes: i64) -> String {
    let mut size = bytes;
    if size.unsigned_abs() < 10 * 1024 {
        return format!("{size} bytes");
    }
    // One bit more than the unit is kept until the end, to round half up.
    size >>= 9;
    for unit in ["kB", "MB", "GB", "TB"] {
        if size.unsigned_abs() < 2 * 10 * 1024 - 1 {
            return format!("{} {unit}", (size + size.signum()) / 2);
        }
        size >>= 10;
    }
    format!("{} PB", (size + size.signum()) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_postgres_writes_them() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (16_384, "16 kB"),
            (10 * 1024 * 1024, "10 MB"),
            (1 << 40, "1024 GB"),
        ] {
            assert_eq!(size_pretty(bytes), text);
        }
    }

    #[test]
    fn literals_are_quoted() {
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\b"), " E'a\\\\b'");
    }
}
