//! The decoder alone: framing, and bytes that no server should send.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, Int32Type, Schema, SchemaRef, i256};

use super::column::ValueFault;
use super::{CopyDecoder, Progress, TextForm, numeric};
use crate::error::{ErrorKind, TYPE_CHANGED};
use crate::sql::ScanLimits;

const TRAILER: [u8; 2] = [0xff, 0xff];

fn header() -> Vec<u8> {
    let mut bytes = b"PGCOPY\n\xff\r\n\0".to_vec();
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut bytes = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    for field in fields {
        match field {
            Some(value) => {
                bytes.extend_from_slice(&i32::try_from(value.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(value);
            }
            None => bytes.extend_from_slice(&(-1i32).to_be_bytes()),
        }
    }
    bytes
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("i", DataType::Int32, true), Field::new("s", DataType::Utf8, true)]))
}

fn stream() -> Vec<u8> {
    let mut bytes = header();
    bytes.extend(row(&[Some(&7i32.to_be_bytes()), Some("seven".as_bytes())]));
    bytes.extend(row(&[None, Some(b"")]));
    bytes.extend(row(&[Some(&(-1i32).to_be_bytes()), None]));
    bytes.extend(TRAILER);
    bytes
}

fn assert_is_stream(decoder: &mut CopyDecoder) {
    assert!(decoder.is_complete());
    let batch = decoder.take_batch().unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int32Type>().iter().collect::<Vec<_>>(), [Some(7), None, Some(-1)]);
    assert_eq!(batch.column(1).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("seven"), Some(""), None]);
}

#[test]
fn messages_may_end_anywhere() {
    let bytes = stream();
    for size in 1..=bytes.len() {
        let mut decoder = CopyDecoder::new(schema(), ScanLimits::new(None, 100)).unwrap();
        for message in bytes.chunks(size) {
            decoder.push(Bytes::copy_from_slice(message));
            assert_eq!(decoder.decode().unwrap(), Progress::Starved);
        }
        assert_is_stream(&mut decoder);
    }
}

#[test]
fn a_result_without_its_trailer_is_not_complete() {
    let bytes = stream();
    for end in 0..bytes.len() {
        let mut decoder = CopyDecoder::new(schema(), ScanLimits::new(None, 100)).unwrap();
        decoder.push(Bytes::copy_from_slice(&bytes[..end]));
        decoder.decode().unwrap();
        assert!(!decoder.is_complete(), "complete after {end} of {} bytes", bytes.len());
    }
}

/// One value of a text column that comes in `form`.
fn text(form: TextForm, value: &[u8]) -> Result<String, ErrorKind> {
    let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, true)]));
    let mut decoder = CopyDecoder::new(schema, ScanLimits::new(None, 1)).unwrap();
    decoder.expect(vec![form]);
    decoder.push(Bytes::from([header(), row(&[Some(value)])].concat()));
    decoder.decode().map_err(|error| error.kind())?;
    let batch = decoder.take_batch().map_err(|error| error.kind())?;
    Ok(batch.column(0).as_string::<i32>().value(0).to_owned())
}

#[test]
fn texts_come_in_several_forms() {
    let uuid: Vec<u8> = (0..16).map(|byte| byte * 17).collect();
    for (form, value, expected) in [
        (TextForm::Plain, " a ".as_bytes(), " a "),
        (TextForm::BlankPadded, b" a\xc3\xa4  ", " aä"),
        (TextForm::BlankPadded, b"a\t  ", "a\t"),
        (TextForm::BlankPadded, b"   ", ""),
        (TextForm::BlankPadded, b"", ""),
        (TextForm::Uuid, &uuid, "00112233-4455-6677-8899-aabbccddeeff"),
        (TextForm::Jsonb, b"\x01{\"a\": 1}", "{\"a\": 1}"),
    ] {
        assert_eq!(text(form, value).as_deref(), Ok(expected), "{form:?}");
    }
    for (form, value) in [(TextForm::Uuid, &uuid[1..]), (TextForm::Jsonb, b"\x02{}"), (TextForm::Jsonb, b"")] {
        assert_eq!(text(form, value), Err(ErrorKind::Invalid), "{form:?}");
    }
}

#[test]
fn a_full_batch_leaves_the_rest_for_the_next() {
    let mut decoder = CopyDecoder::new(schema(), ScanLimits::new(None, 2)).unwrap();
    decoder.push(Bytes::from(stream()));
    assert_eq!(decoder.decode().unwrap(), Progress::Full);
    assert_eq!(decoder.take_batch().unwrap().num_rows(), 2);
    assert_eq!(decoder.decode().unwrap(), Progress::Starved);
    assert_eq!((decoder.rows(), decoder.is_complete()), (1, true));
}

#[test]
fn what_is_not_a_copy_is_refused() {
    let broken = |bytes: Vec<u8>| {
        let mut decoder = CopyDecoder::new(schema(), ScanLimits::new(None, 100)).unwrap();
        decoder.push(Bytes::from(bytes));
        decoder.decode().unwrap_err()
    };
    assert_eq!(broken(vec![b'x'; 40]).kind(), ErrorKind::Internal);
    let mut three = header();
    three.extend(row(&[None, None, None]));
    assert!(broken(three).message().contains("another number of columns"));
    let mut more = stream();
    more.push(0);
    assert!(broken(more).message().contains("follows the end"));
    let mut narrow = header();
    narrow.extend(row(&[Some(&[1, 2]), None]));
    assert!(broken(narrow).message().contains("column \"i\""));
}

#[test]
fn null_where_none_was_declared_is_an_error() {
    let schema = Arc::new(Schema::new(vec![Field::new("i", DataType::Int32, false)]));
    let mut decoder = CopyDecoder::new(schema, ScanLimits::new(None, 100)).unwrap();
    let mut bytes = header();
    bytes.extend(row(&[None]));
    decoder.push(Bytes::from(bytes));
    decoder.decode().unwrap();
    let error = decoder.take_batch().unwrap_err();
    assert_eq!((error.kind(), error.code_text()), (ErrorKind::SchemaMismatch, Some(TYPE_CHANGED)));
    assert!(error.message().contains("column \"i\" holds NULL"));
}

#[test]
fn text_that_is_not_utf8_names_its_column() {
    let mut decoder = CopyDecoder::new(schema(), ScanLimits::new(None, 100)).unwrap();
    let mut bytes = header();
    bytes.extend(row(&[None, Some(b"a\xff")]));
    decoder.push(Bytes::from(bytes));
    decoder.decode().unwrap();
    let error = decoder.take_batch().unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "column \"s\" holds text that is not UTF-8"));
}

#[test]
fn a_type_without_binary_form_is_refused_at_once() {
    for data_type in [DataType::UInt64, DataType::Decimal128(5, -2), DataType::Duration(datafusion::arrow::datatypes::TimeUnit::Second)] {
        let schema = Arc::new(Schema::new(vec![Field::new("v", data_type, true)]));
        assert_eq!(CopyDecoder::new(schema, ScanLimits::new(None, 100)).unwrap_err().kind(), ErrorKind::Internal);
    }
}

/// The binary form of a numeric: groups of four digits, the first worth `10000^weight`.
fn raw(weight: i16, sign: u16, groups: &[u16]) -> Vec<u8> {
    let mut bytes = u16::try_from(groups.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(weight.to_be_bytes());
    bytes.extend(sign.to_be_bytes());
    bytes.extend([0, 0]);
    groups.iter().for_each(|group| bytes.extend(group.to_be_bytes()));
    bytes
}

#[test]
fn numerics_are_exact_or_refused() {
    let out = Err(ValueFault::NumericOutOfRange);
    let cases = [
        (raw(0, 0, &[]), 10, 2, Ok(0)),
        (raw(0, 0, &[1, 5000]), 10, 2, Ok(150)),
        (raw(0, 0x4000, &[1, 5000]), 10, 2, Ok(-150)),
        (raw(1, 0, &[1]), 10, 2, Ok(1_000_000)),
        (raw(-1, 0, &[100]), 10, 2, Ok(1)),
        (raw(-1, 0, &[1]), 10, 2, out),
        (raw(-2, 0, &[1]), 10, 2, out),
        (raw(0, 0, &[1, 5001]), 10, 2, out),
        (raw(2, 0, &[1]), 10, 2, out),
        (raw(100, 0, &[1]), 38, 0, out),
        (raw(9, 0, &[99, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999]), 38, 0, Ok(10i128.pow(38) - 1)),
        (raw(9, 0, &[100, 0, 0, 0, 0, 0, 0, 0, 0, 1]), 38, 0, out),
        (raw(-1, 0, &[9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9999, 9900]), 38, 38, Ok(10i128.pow(38) - 1)),
        (raw(0, 0xC000, &[]), 10, 2, Err(ValueFault::NumericNan)),
        (raw(0, 0xD000, &[]), 10, 2, Err(ValueFault::NumericInfinity)),
        (raw(0, 0xF000, &[]), 10, 2, Err(ValueFault::NumericInfinity)),
        (raw(0, 0x1234, &[]), 10, 2, Err(ValueFault::Malformed)),
        (vec![0, 1, 0], 10, 2, Err(ValueFault::Malformed)),
        (raw(0, 0, &[1])[..9].to_vec(), 10, 2, Err(ValueFault::Malformed)),
    ];
    for (bytes, precision, scale, expected) in cases {
        assert_eq!(numeric::decimal128(&bytes, precision, scale), expected, "{bytes:?}");
        let wide = numeric::decimal256(&bytes, numeric::bound256(precision), scale);
        assert_eq!(wide, expected.map(i256::from_i128), "{bytes:?}");
    }
    assert_eq!(numeric::bound256(76), i256::from_string(&format!("1{}", "0".repeat(76))).unwrap());
    assert_eq!(numeric::decimal256(&raw(i16::MAX, 0, &[1]), numeric::bound256(76), 38), Err(ValueFault::NumericOutOfRange));
}

#[test]
fn a_column_that_failed_leaves_the_decoder_to_be_dropped_and_others_alone() {
    let schema = Arc::new(Schema::new(vec![Field::new("d", DataType::Decimal128(10, 2), true)]));
    let mut decoder = CopyDecoder::new(schema, ScanLimits::new(None, 100)).unwrap();
    let mut bytes = header();
    bytes.extend(row(&[Some(&raw(0, 0, &[12]))]));
    decoder.push(Bytes::from(bytes));
    decoder.decode().unwrap();
    assert_eq!(decoder.take_batch().unwrap().column(0).as_primitive::<Decimal128Type>().value(0), 1200);
    decoder.push(Bytes::from(row(&[Some(&raw(0, 0xC000, &[]))])));
    assert!(decoder.decode().unwrap_err().message().contains("column \"d\" holds the numeric NaN"));
}
