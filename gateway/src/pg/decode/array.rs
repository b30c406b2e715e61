//! Arrays of one dimension as parameters.

use bytes::{Buf, Bytes};
use datafusion::scalar::ScalarValue;

use super::malformed;
use crate::pg::pg_type::parameter_type;
use crate::pg::sqlstate::{INVALID_TEXT, PgError, UNSUPPORTED};

/// Reads `{1,NULL,"a \"b\""}`.
pub(super) fn from_text(
    element: u32,
    text: &str,
    mut read: impl FnMut(u32, &str) -> Result<ScalarValue, PgError>,
) -> Result<ScalarValue, PgError> {
    let body = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or_else(malformed_text)?;
    let mut values = Vec::new();
    let mut rest = body.trim();
    let mut word = String::new();
    while !rest.is_empty() {
        word.clear();
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut characters = quoted.char_indices();
            let end = loop {
                match characters.next().ok_or_else(malformed_text)? {
                    (end, '"') => break end,
                    (_, '\\') => word.push(characters.next().ok_or_else(malformed_text)?.1),
                    (_, other) => word.push(other),
                }
            };
            rest = quoted[end + 1..].trim_start();
            values.push(read(element, &word)?);
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            let plain = rest[..end].trim();
            if plain.starts_with('{') {
                return Err(several_dimensions());
            }
            if plain.is_empty() || plain.contains(['"', '{', '}']) {
                return Err(malformed_text());
            }
            values.push(if plain.eq_ignore_ascii_case("null") { null(element)? } else { read(element, &plain.replace('\\', ""))? });
            rest = &rest[end..];
        }
        match rest.strip_prefix(',') {
            Some(more) if !more.trim().is_empty() => rest = more.trim_start(),
            None if rest.is_empty() => {}
            _ => return Err(malformed_text()),
        }
    }
    list(element, &values)
}

/// Reads PostgreSQL's binary array.
pub(super) fn from_binary(
    element: u32,
    mut bytes: Bytes,
    read: &dyn Fn(u32, &Bytes) -> Result<ScalarValue, PgError>,
) -> Result<ScalarValue, PgError> {
    if bytes.len() < 12 {
        return Err(malformed());
    }
    let (dimensions, _has_null, sent_element) = (bytes.get_i32(), bytes.get_i32(), bytes.get_u32());
    if sent_element != element {
        return Err(PgError::new("42804", "wrong element type in an array parameter"));
    }
    match dimensions {
        0 => return list(element, &[]),
        1 => {}
        2..=6 => return Err(several_dimensions()),
        _ => return Err(malformed()),
    }
    if bytes.len() < 8 {
        return Err(malformed());
    }
    let (length, _lower) = (bytes.get_i32(), bytes.get_i32());
    let length = usize::try_from(length).map_err(|_| malformed())?;
    // Every element takes at least the four bytes of its length.
    if length > bytes.len() / 4 {
        return Err(malformed());
    }
    let mut values = Vec::with_capacity(length);
    for _ in 0..length {
        if bytes.len() < 4 {
            return Err(malformed());
        }
        values.push(match bytes.get_i32() {
            -1 => null(element)?,
            size => {
                let size = usize::try_from(size).ok().filter(|size| *size <= bytes.len()).ok_or_else(malformed)?;
                read(element, &bytes.split_to(size))?
            }
        });
    }
    if bytes.has_remaining() { Err(malformed()) } else { list(element, &values) }
}

fn null(element: u32) -> Result<ScalarValue, PgError> {
    let data_type = element_type(element)?;
    ScalarValue::try_from(&data_type).map_err(|error| PgError::internal(error.to_string()))
}

fn list(element: u32, values: &[ScalarValue]) -> Result<ScalarValue, PgError> {
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(values, &element_type(element)?)))
}

fn element_type(element: u32) -> Result<datafusion::arrow::datatypes::DataType, PgError> {
    parameter_type(element)?.ok_or_else(malformed)
}

fn malformed_text() -> PgError {
    PgError::new(INVALID_TEXT, "malformed array literal")
}

fn several_dimensions() -> PgError {
    PgError::new(UNSUPPORTED, "array parameters have one dimension")
}
