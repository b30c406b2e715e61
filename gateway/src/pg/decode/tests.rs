//! Parameters in text and binary, valid and not.

use super::*;
use datafusion::arrow::datatypes::TimeUnit;

const UTC: Zone = Zone::Named(chrono_tz::UTC);

fn text(oid: u32, text: &str) -> Result<ScalarValue, String> {
    text_value(oid, text, UTC).map_err(|error| error.code)
}

fn error(oid: u32, value: &str) -> String {
    text(oid, value).expect_err("a wrong text")
}

#[test]
fn texts_of_the_simple_types() {
    assert_eq!(text(BOOL, " T "), Ok(ScalarValue::from(true)));
    assert_eq!(text(INT4, "-5"), Ok(ScalarValue::from(-5_i32)));
    assert_eq!(text(FLOAT8, "Infinity"), Ok(ScalarValue::from(f64::INFINITY)));
    assert_eq!(text(BYTEA, "\\x00fF"), Ok(ScalarValue::Binary(Some(vec![0, 255]))));
    assert_eq!(text(BYTEA, "a\\\\b\\001"), Ok(ScalarValue::Binary(Some(b"a\\b\x01".to_vec()))));
    assert_eq!(text(UUID, "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"), Ok(ScalarValue::from("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")));
    assert_eq!(text(DATE, "2000-01-01"), Ok(ScalarValue::Date32(Some(10_957))));
    assert_eq!(text(DATE, "infinity"), Ok(ScalarValue::Date32(Some(i32::MAX))));
    assert_eq!(text(DATE, "0001-12-31 BC"), Ok(ScalarValue::Date32(Some(-719_163))));
    assert_eq!(text(DATE, "2000-01-01 +00"), Ok(ScalarValue::Date32(Some(10_957))));
    assert_eq!(text(DATE, "2000-01-01T23:00:00Z"), Ok(ScalarValue::Date32(Some(10_957))));
    assert_eq!(text(TIME, "00:00:01+02"), Ok(ScalarValue::Time64Microsecond(Some(1_000_000))));
    assert_eq!(text(TIMESTAMP, "1970-01-01 +00"), Ok(ScalarValue::TimestampMicrosecond(Some(0), None)));
    assert_eq!(text(TIME, "23:59:59.5"), Ok(ScalarValue::Time64Microsecond(Some(86_399_500_000))));
    assert_eq!(text(TIMESTAMP, "1970-01-02T00:00:01.0000005"), Ok(ScalarValue::TimestampMicrosecond(Some(86_401_000_001), None)));
}

#[test]
fn wrong_texts_have_their_codes_and_are_not_repeated() {
    for (oid, value, code) in [
        (INT4, "5.5", "22P02"),
        (INT4, "", "22P02"),
        (INT4, "3000000000", "22003"),
        (INT2, "-40000", "22003"),
        (BOOL, "perhaps", "22P02"),
        (UUID, "12", "22P02"),
        (BYTEA, "\\x1", "22P02"),
        (NUMERIC, "1.2.3", "22P02"),
        (NUMERIC, ".", "22P02"),
        (NUMERIC, "1e40", "22003"),
        (NUMERIC, "1e-39", "22003"),
        (NUMERIC, "NaN", "0A000"),
        (DATE, "2023-02-29", "22007"),
        (DATE, "31.12.2024", "22007"),
        (DATE, "2024-12-31x", "22007"),
        (DATE, "2024-12-31 tomorrow", "22007"),
        (TIME, "10:00 later", "22007"),
        (TIME, "25:00", "22007"),
        (TIMESTAMP, "yesterday", "22007"),
        (INTERVAL, "", "22007"),
        (INTERVAL, "1 parsec", "22007"),
        (1007, "{1,2", "22P02"),
        (1007, "{{1},{2}}", "0A000"),
        (1007, "{1,}", "22P02"),
    ] {
        assert_eq!(error(oid, value), code, "{value}");
    }
    let shown = text_value(INT4, "s3cret", UTC).unwrap_err();
    assert!(!shown.message.contains("s3cret"), "{}", shown.message);
}

#[test]
fn numerics_are_exact() {
    let ten = i256::from_i128(10);
    for (given, unscaled) in [
        ("0", i256::ZERO),
        ("-1.5", i256::from_i128(-15).wrapping_mul(ten.wrapping_pow(37))),
        ("1e2", i256::from_i128(1).wrapping_mul(ten.wrapping_pow(40))),
        (".00000000000000000000000000000000000001", i256::from_i128(1)),
        ("99999999999999999999999999999999999999", ten.wrapping_pow(76).wrapping_sub(ten.wrapping_pow(38))),
    ] {
        assert_eq!(text(NUMERIC, given), Ok(numeric(unscaled)), "{given}");
    }
    // -12345.678 as PostgreSQL sends it: groups 1, 2345, 6780; weight 1.
    let sent = Bytes::from_static(&[0, 3, 0, 1, 0x40, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    let expected = numeric(i256::from_i128(-12_345_678).wrapping_mul(ten.wrapping_pow(35)));
    assert_eq!(binary_value(NUMERIC, &sent).map_err(|error| error.message), Ok(expected));
}

#[test]
fn instants_follow_the_zone() {
    let berlin = Zone::Named(chrono_tz::Europe::Berlin);
    let read = |text: &str| match text_value(TIMESTAMPTZ, text, berlin) {
        Ok(ScalarValue::TimestampMicrosecond(Some(value), Some(_))) => value / 1_000_000,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(read("2024-01-01 01:00:00"), 1_704_067_200);
    assert_eq!(read("2024-01-01 00:00:00Z"), 1_704_067_200);
    assert_eq!(read("2024-01-01 05:30:00+05:30"), 1_704_067_200);
    assert_eq!(read("2023-12-31T19:00:00-0500"), 1_704_067_200);
    // The hour that happens twice is standard time, the one that never happens has the offset before it.
    assert_eq!(read("2024-10-27 02:30:00"), 1_729_992_600);
    assert_eq!(read("2024-03-31 02:30:00"), 1_711_848_600);
}

#[test]
fn intervals() {
    let read = |given: &str| match text(INTERVAL, given) {
        Ok(ScalarValue::IntervalMonthDayNano(Some(value))) => (value.months, value.days, value.nanoseconds / 1_000),
        other => panic!("{given}: {other:?}"),
    };
    assert_eq!(read("1 year 2 mons 3 days 04:05:06.7"), (14, 3, 14_706_700_000));
    assert_eq!(read("-1 days +02:00:00"), (0, -1, 7_200_000_000));
    assert_eq!(read("90 min"), (0, 0, 5_400_000_000));
    assert_eq!(read("1.5 days"), (0, 1, 43_200_000_000));
    assert_eq!(read("36:00:00"), (0, 0, 129_600_000_000));
}

#[test]
fn arrays_of_one_dimension() {
    let expected = ScalarValue::List(ScalarValue::new_list_nullable(
        &[ScalarValue::from("a"), ScalarValue::Utf8(None), ScalarValue::from("b \"c\", NULL")],
        &DataType::Utf8,
    ));
    assert_eq!(text(1009, r#"{a, NULL ,"b \"c\", NULL"}"#), Ok(expected));
    let sent = Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 7]);
    let expected = ScalarValue::List(ScalarValue::new_list_nullable(&[ScalarValue::from(7_i32)], &DataType::Int32));
    assert_eq!(binary_value(1007, &sent).map_err(|error| error.code), Ok(expected));
    for length in 0..sent.len() {
        assert!(binary_value(1007, &sent.slice(..length)).is_err(), "{length} bytes were accepted");
    }
}

#[test]
fn wrong_bytes_are_refused() {
    for (oid, bytes) in
        [(INT4, &[0_u8, 0][..]), (BOOL, &[]), (UUID, &[1]), (TIMESTAMP, &[0; 7]), (JSONB, &[2, b'1']), (NUMERIC, &[0, 9, 0, 0, 0, 0, 0, 0])]
    {
        let code = binary_value(oid, &Bytes::copy_from_slice(bytes)).unwrap_err().code;
        assert_eq!(code, "22P03", "type {oid}");
    }
    let huge = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 23, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1];
    assert_eq!(binary_value(1007, &Bytes::copy_from_slice(&huge)).unwrap_err().code, "22P03");
}

#[test]
fn values_fit_the_plan_or_fail() {
    let decimal = DataType::Decimal128(10, 2);
    let read = |text: &str| from_text(NUMERIC, Some(text), &decimal, UTC).map_err(|error| error.code);
    assert_eq!(read("1.5"), Ok(ScalarValue::Decimal128(Some(150), 10, 2)));
    assert_eq!(read("1.005"), Err("22003".to_owned()), "a parameter must not be rounded");
    assert_eq!(from_text(INT4, None, &DataType::Int32, UTC).unwrap(), ScalarValue::Int32(None));
    let seconds = DataType::Timestamp(TimeUnit::Nanosecond, None);
    assert!(matches!(from_text(TIMESTAMP, Some("2024-01-01"), &seconds, UTC), Ok(ScalarValue::TimestampNanosecond(Some(_), None))));
}
