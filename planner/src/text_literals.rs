//! Text literals of types whose written form DataFusion reads otherwise than PostgreSQL, or not at all.

use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::scalar::ScalarValue;

use crate::{Error, ErrorKind};

/// The literal that `text` is as a `data_type`, when DataFusion should not read it itself.
///
/// # Errors
/// When the text is no `bytea`.
pub(crate) fn read(text: &str, data_type: &DataType) -> Result<Option<ScalarValue>> {
    match data_type {
        DataType::Binary | DataType::LargeBinary => match bytea(text) {
            Some(bytes) => Ok(Some(ScalarValue::Binary(Some(bytes)))),
            None => {
                let fault = Error::new(ErrorKind::InvalidText, "invalid input syntax for type bytea");
                Err(DataFusionError::External(Box::new(fault)))
            }
        },
        DataType::Timestamp(..) => Ok(with_seconds(text).map(|text| ScalarValue::Utf8(Some(text)))),
        _ => Ok(None),
    }
}

/// The form that a `uuid` has here of one that PostgreSQL takes: in either case, in braces or not, and with a hyphen or none behind
/// any four digits.
///
/// # Errors
/// When the text is no `uuid`.
pub(crate) fn uuid(text: &str) -> Result<String> {
    canonical(text).ok_or_else(|| {
        let fault = Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type uuid: \"{text}\""));
        DataFusionError::External(Box::new(fault))
    })
}

fn canonical(text: &str) -> Option<String> {
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}')?,
        None => text,
    };
    let (mut digits, mut may_part) = (String::with_capacity(36), false);
    let mut count = 0;
    for letter in inner.chars() {
        if letter == '-' && may_part && count < 32 {
            may_part = false;
            continue;
        }
        if !letter.is_ascii_hexdigit() {
            return None;
        }
        if matches!(count, 8 | 12 | 16 | 20) {
            digits.push('-');
        }
        digits.push(letter.to_ascii_lowercase());
        count += 1;
        may_part = count % 4 == 0;
    }
    (count == 32).then_some(digits)
}

/// `\x` and hexadecimal digits, or text with `\\` and `\ooo` for bytes.
/// Source: PostgreSQL's manual, section "Binary Data Types".
fn bytea(text: &str) -> Option<Vec<u8>> {
    let hexadecimal = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = digits.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let pairs = digits.chunks_exact(2);
        if !pairs.remainder().is_empty() {
            return None;
        }
        return pairs.map(|pair| Some(hexadecimal(pair[0])? << 4 | hexadecimal(pair[1])?)).collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                bytes.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
                rest = after;
            }
            _ => return None,
        }
    }
    Some(bytes)
}

/// `2024-01-01 10:00+02` with the seconds it leaves out; `None` when there is nothing to add.
fn with_seconds(text: &str) -> Option<String> {
    let at = text.find(':')?;
    let minutes = text.get(at + 1..at + 3)?;
    let rest = text.get(at + 3..)?;
    let date = text.get(..at)?.trim_end_matches(|c: char| c.is_ascii_digit());
    let dated = date.ends_with([' ', 'T']) && date.contains('-');
    if !dated || !minutes.bytes().all(|byte| byte.is_ascii_digit()) || rest.starts_with(|c: char| c == ':' || c.is_ascii_digit()) {
        return None;
    }
    Some(format!("{}:{minutes}:00{rest}", &text[..at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_one_form() {
        let form = "c4ca4238-a0b9-2382-0dcc-509a6f75849b";
        for text in [
            form,
            "C4CA4238-A0B9-2382-0DCC-509A6F75849B",
            "{c4ca4238-a0b9-2382-0dcc-509a6f75849b}",
            "c4ca4238a0b923820dcc509a6f75849b",
            "c4ca-4238-a0b9-2382-0dcc-509a-6f75-849b",
        ] {
            assert_eq!(uuid(text).unwrap(), form, "{text}");
        }
        for text in
            ["", "nonsense", "{c4ca4238a0b923820dcc509a6f75849b", "c4ca4238--a0b923820dcc509a6f75849b", "c4ca4238a0b923820dcc509a6f75849b-"]
        {
            assert!(uuid(text).is_err(), "{text}");
        }
        assert!(uuid("c4-ca4238a0b923820dcc509a6f75849b").is_err() && uuid("c4ca4238a0b923820dcc509a6f75849bc4").is_err());
    }

    #[test]
    fn bytea_is_read_as_postgres_writes_it() {
        assert_eq!(bytea("\\x00fF"), Some(vec![0, 255]));
        assert_eq!(bytea("\\x"), Some(vec![]));
        assert_eq!(bytea("a\\\\b\\000\\377"), Some(vec![b'a', b'\\', b'b', 0, 255]));
        assert_eq!((bytea("\\x0"), bytea("\\xzz"), bytea("\\q"), bytea("\\477")), (None, None, None, None));
    }

    #[test]
    fn seconds_are_added_where_they_lack() {
        assert_eq!(with_seconds("2024-01-01 10:00").as_deref(), Some("2024-01-01 10:00:00"));
        assert_eq!(with_seconds("2024-01-01T10:00+02:30").as_deref(), Some("2024-01-01T10:00:00+02:30"));
        assert_eq!((with_seconds("2024-01-01 10:00:01"), with_seconds("2024-01-01"), with_seconds("10:00")), (None, None, None));
    }
}
