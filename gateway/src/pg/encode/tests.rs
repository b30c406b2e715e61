//! Every Arrow type in text and binary, against what PostgreSQL prints.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray, DurationMillisecondArray,
    FixedSizeBinaryArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, ListArray, MapBuilder, NullArray, StringArray, StringBuilder, StringViewArray, StructArray,
    Time32SecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray, TimestampSecondArray, UInt32Array,
    UInt64Array,
};
use datafusion::arrow::datatypes::{Int32Type, IntervalMonthDayNano, Schema, i256};

use super::*;
use crate::pg::pg_type::TYPE_KEY;

const UTC: Style = Style { zone: Zone::Named(chrono_tz::UTC), extra_float_digits: 1, bytea_escape: false };

fn field(array: &ArrayRef, presentation: Presentation) -> Field {
    let field = Field::new("c", array.data_type().clone(), true);
    match presentation.as_str() {
        Some(word) => field.with_metadata([(causeway_providers::PRESENTATION_KEY.to_owned(), word.to_owned())].into()),
        None => field,
    }
}

/// The cells of a column as they are sent.
fn cells(array: &ArrayRef, field: Field, format: Format, style: Style) -> Result<Vec<Option<Vec<u8>>>, PgError> {
    let schema = Arc::new(Schema::new(vec![field]));
    let encoder = RowEncoder::new(Arc::clone(&schema), vec![format], style)?;
    let batch = RecordBatch::try_new(schema, vec![array.clone()]).expect("a batch of one column");
    let mut encoded = encoder.batch(&batch)?;
    let mut cells = Vec::new();
    while !encoded.is_done() {
        let mut out = BytesMut::new();
        encoded.write_row(&mut out)?;
        assert_eq!(out[0], b'D');
        assert_eq!(u32::from_be_bytes(out[1..5].try_into().unwrap()) as usize, out.len() - 1, "the row's length");
        assert_eq!(out[5..7], [0, 1]);
        let length = i32::from_be_bytes(out[7..11].try_into().unwrap());
        cells.push(match length {
            -1 => None,
            length => {
                assert_eq!(length as usize, out.len() - 11, "the value's length");
                Some(out[11..].to_vec())
            }
        });
    }
    Ok(cells)
}

fn texts_in(array: impl Array + 'static, presentation: Presentation, style: Style) -> Vec<String> {
    let array: ArrayRef = Arc::new(array);
    let field = field(&array, presentation);
    let cells = cells(&array, field, Format::Text, style).expect("text");
    cells.into_iter().map(|cell| cell.map_or("<null>".to_owned(), |bytes| String::from_utf8(bytes).expect("UTF-8"))).collect()
}

fn texts(array: impl Array + 'static) -> Vec<String> {
    texts_in(array, Presentation::Plain, UTC)
}

fn binary_of(array: impl Array + 'static, presentation: Presentation) -> Vec<Option<Vec<u8>>> {
    let array: ArrayRef = Arc::new(array);
    let field = field(&array, presentation);
    cells(&array, field, Format::Binary, UTC).expect("binary")
}

#[test]
fn integers_and_booleans() {
    assert_eq!(
        texts(Int64Array::from(vec![Some(i64::MIN), Some(0), None, Some(i64::MAX)])),
        ["-9223372036854775808", "0", "<null>", "9223372036854775807"]
    );
    assert_eq!(texts(UInt64Array::from(vec![u64::MAX, 0])), ["18446744073709551615", "0"]);
    assert_eq!(texts(BooleanArray::from(vec![true, false])), ["t", "f"]);
    assert_eq!(binary_of(Int8Array::from(vec![-1]), Presentation::Plain), [Some(vec![255, 255])]);
    assert_eq!(binary_of(UInt32Array::from(vec![u32::MAX]), Presentation::Plain), [Some(vec![0, 0, 0, 0, 255, 255, 255, 255])]);
    assert_eq!(texts(NullArray::new(2)), ["<null>", "<null>"]);
}

#[test]
fn floats_as_postgresql_prints_them() {
    let doubles = [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (0.1, "0.1"),
        (-1234.5, "-1234.5"),
        (1e14, "100000000000000"),
        (123_456_789_012_345.0, "123456789012345"),
        (1e15, "1e+15"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "Infinity"),
        (f64::NEG_INFINITY, "-Infinity"),
    ];
    assert_eq!(texts(Float64Array::from(doubles.map(|(value, _)| value).to_vec())), doubles.map(|(_, text)| text));
    let singles = [(0.1, "0.1"), (1e6, "1e+06"), (123_456.0, "123456"), (1_234_567.0, "1.234567e+06"), (3.402_823_5e38, "3.4028235e+38")];
    assert_eq!(texts(Float32Array::from(singles.map(|(value, _)| value).to_vec())), singles.map(|(_, text)| text));
    let rounded = Style { extra_float_digits: 0, ..UTC };
    let array = Float64Array::from(vec![0.1 + 0.2, 100.0, 1e20]);
    assert_eq!(texts_in(array, Presentation::Plain, rounded), ["0.3", "100", "1e+20"]);
}

#[test]
fn decimals() {
    let array = || Decimal128Array::from(vec![0, 5, -5, 123_456, 100]).with_precision_and_scale(10, 3).unwrap();
    assert_eq!(texts(array()), ["0.000", "0.005", "-0.005", "123.456", "0.100"]);
    assert_eq!(texts_in(array(), Presentation::UnconstrainedNumeric, UTC), ["0", "0.005", "-0.005", "123.456", "0.1"]);
    let negative_scale = Decimal128Array::from(vec![12, 0]).with_precision_and_scale(5, -3).unwrap();
    assert_eq!(texts(negative_scale), ["12000", "0"]);
    let widest = i256::from_string(&"9".repeat(76)).unwrap();
    let wide = Decimal256Array::from(vec![widest, widest.wrapping_neg(), i256::from_string(&format!("125{}", "0".repeat(37))).unwrap()])
        .with_precision_and_scale(76, 38)
        .unwrap();
    let nines = format!("{}.{}", "9".repeat(38), "9".repeat(38));
    assert_eq!(texts_in(wide, Presentation::UnconstrainedNumeric, UTC), [nines.clone(), format!("-{nines}"), "12.5".to_owned()]);
}

#[test]
fn decimals_in_groups_of_four_digits() {
    fn groups(value: i128, scale: i8, trims: bool) -> Vec<i16> {
        let array = Decimal128Array::from(vec![value]).with_precision_and_scale(38, scale).unwrap();
        let presentation = if trims { Presentation::UnconstrainedNumeric } else { Presentation::Plain };
        let bytes = binary_of(array, presentation).remove(0).expect("a value");
        bytes.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
    }
    // The number of groups, the weight of the first, the sign, the shown scale, the groups.
    assert_eq!(groups(0, 2, false), [0, 0, 0, 2]);
    assert_eq!(groups(12_345_678, 3, false), [3, 1, 0, 3, 1, 2345, 6780]);
    assert_eq!(groups(-5, 3, false), [1, -1, 0x4000, 3, 50]);
    assert_eq!(groups(10_000, 0, false), [1, 1, 0, 0, 1]);
    assert_eq!(groups(1, 8, false), [1, -2, 0, 8, 1]);
    assert_eq!(groups(1_500, 3, true), [2, 0, 0, 1, 1, 5000]);
    let wide =
        Decimal256Array::from(vec![i256::from_string(&format!("1{}", "0".repeat(40))).unwrap()]).with_precision_and_scale(76, 38).unwrap();
    assert_eq!(binary_of(wide, Presentation::UnconstrainedNumeric), [Some(vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 100])]);
}

#[test]
fn dates_of_all_ages() {
    let dates = [
        (0, "1970-01-01"),
        (19_782, "2024-02-29"),
        (-719_162, "0001-01-01"),
        (-719_163, "0001-12-31 BC"),
        (-735_103, "0044-05-11 BC"),
        (2_932_897, "10000-01-01"),
        (i32::MAX, "infinity"),
        (i32::MIN, "-infinity"),
    ];
    assert_eq!(texts(Date32Array::from(dates.map(|(days, _)| days).to_vec())), dates.map(|(_, text)| text));
    assert_eq!(
        binary_of(Date32Array::from(vec![10_957, i32::MAX]), Presentation::Plain),
        [Some(vec![0, 0, 0, 0]), Some(vec![0x7f, 0xff, 0xff, 0xff])]
    );
    for days in [-1_000_000_i64, -719_529, -1, 0, 59, 60, 365, 2_932_896] {
        let (year, month, day) = datetime::civil_from_days(days);
        assert_eq!(days_from_civil(year, month, day), days);
    }
}

#[test]
fn times_and_timestamps() {
    assert_eq!(texts(Time32SecondArray::from(vec![0, 86_399])), ["00:00:00", "23:59:59"]);
    assert_eq!(texts(Time64NanosecondArray::from(vec![1_500_000_999])), ["00:00:01.5"]);
    assert_eq!(texts(TimestampSecondArray::from(vec![1_704_103_200])), ["2024-01-01 10:00:00"]);
    assert_eq!(texts(TimestampNanosecondArray::from(vec![-1])), ["1969-12-31 23:59:59.999999"]);
    assert_eq!(texts(TimestampNanosecondArray::from(vec![i64::MAX])), ["2262-04-11 23:47:16.854775"]);
    let extremes = TimestampMicrosecondArray::from(vec![i64::MAX, i64::MIN, -62_135_596_800_000_001]);
    assert_eq!(texts(extremes), ["infinity", "-infinity", "0001-12-31 23:59:59.999999 BC"]);
    assert_eq!(
        binary_of(TimestampMicrosecondArray::from(vec![946_684_800_000_001, i64::MAX]), Presentation::Plain),
        [Some(vec![0, 0, 0, 0, 0, 0, 0, 1]), Some(i64::MAX.to_be_bytes().to_vec())]
    );
    let error = cells(
        &(Arc::new(TimestampSecondArray::from(vec![i64::MAX - 1])) as ArrayRef),
        Field::new("c", DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Second, None), true),
        Format::Text,
        UTC,
    );
    assert_eq!(error.unwrap_err().code, "22008");
}

#[test]
fn instants_are_shown_in_the_sessions_zone() {
    let instant = || TimestampMicrosecondArray::from(vec![1_704_103_200_000_000]).with_timezone("UTC");
    let zone = |zone| Style { zone, ..UTC };
    let show = |style| texts_in(instant(), Presentation::Plain, style).remove(0);
    assert_eq!(show(UTC), "2024-01-01 10:00:00+00");
    assert_eq!(show(zone(Zone::Named(chrono_tz::Asia::Kolkata))), "2024-01-01 15:30:00+05:30");
    assert_eq!(show(zone(Zone::Fixed(-12_600))), "2024-01-01 06:30:00-03:30");
    let old = TimestampMicrosecondArray::from(vec![-5_000_000_000_000_000]).with_timezone("UTC");
    assert_eq!(texts_in(old, Presentation::Plain, zone(Zone::Named(chrono_tz::Europe::Berlin))), ["1811-07-23 16:00:08+00:53:28"]);
}

#[test]
fn intervals_in_the_style_of_postgresql() {
    let interval = |months, days, nanoseconds| IntervalMonthDayNano { months, days, nanoseconds };
    let array = IntervalMonthDayNanoArray::from(vec![
        Some(interval(14, 3, 14_706_789_000_000)),
        Some(interval(-14, 3, -14_706_000_000_000)),
        Some(interval(0, 0, 0)),
        Some(interval(0, -1, 3_600_000_000_000)),
        Some(interval(1, 0, 0)),
        None,
    ]);
    assert_eq!(
        texts(array.clone()),
        ["1 year 2 mons 3 days 04:05:06.789", "-1 years -2 mons +3 days -04:05:06", "00:00:00", "-1 days +01:00:00", "1 mon", "<null>"]
    );
    let binary = binary_of(array, Presentation::Plain);
    assert_eq!(binary[4], Some(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(binary[5], None, "a null interval is not zero");
    assert_eq!(texts(DurationMillisecondArray::from(vec![90_061_500])), ["25:01:01.5"]);
}

#[test]
fn texts_and_bytes() {
    assert_eq!(texts(StringViewArray::from(vec!["grün", ""])), ["grün", ""]);
    let fixed = FixedSizeBinaryArray::try_from_iter([[0_u8, 255], [b'a', b'\\']].into_iter()).unwrap();
    assert_eq!(texts(fixed.clone()), ["\\x00ff", "\\x615c"]);
    assert_eq!(texts_in(fixed, Presentation::Plain, Style { bytea_escape: true, ..UTC }), ["\\000\\377", "a\\\\"]);
    let dictionary: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("a")].into_iter().collect();
    assert_eq!(texts(dictionary), ["a", "<null>", "a"]);
}

#[test]
fn presentations_in_binary() {
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let bytes = binary_of(StringArray::from(vec![uuid]), Presentation::Uuid).remove(0).expect("a value");
    assert_eq!((bytes.len(), bytes[0], bytes[15]), (16, 0xa0, 0x11));
    assert_eq!(binary_of(StringArray::from(vec!["{}"]), Presentation::Jsonb), [Some(b"\x01{}".to_vec())]);
    assert_eq!(binary_of(StringArray::from(vec!["{}"]), Presentation::Json), [Some(b"{}".to_vec())]);
    let wrong: ArrayRef = Arc::new(StringArray::from(vec!["no uuid"]));
    assert_eq!(cells(&wrong, field(&wrong, Presentation::Uuid), Format::Binary, UTC).unwrap_err().code, "22P02");
}

#[test]
fn arrays_in_text() {
    let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None, Some(vec![])]);
    assert_eq!(texts(numbers), ["{1,NULL}", "<null>", "{}"]);
    let words = StringArray::from(vec!["plain", "a b", "", "null", "q\"\\", "{"]);
    let words = FixedSizeListArray::new(Arc::new(Field::new_list_field(DataType::Utf8, true)), 3, Arc::new(words), None);
    assert_eq!(texts(words), ["{plain,\"a b\",\"\"}", "{\"null\",\"q\\\"\\\\\",\"{\"}"]);
}

/// Lists of lists: two rectangular, then one ragged.
fn nested() -> ListArray {
    let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        Some(vec![Some(3), None]),
        Some(vec![Some(4)]),
        Some(vec![Some(5), Some(6)]),
    ]);
    let offsets = datafusion::arrow::buffer::OffsetBuffer::new(vec![0, 2, 2, 4].into());
    let element = Field::new_list_field(inner.data_type().clone(), true);
    ListArray::new(Arc::new(element), offsets, Arc::new(inner), None)
}

#[test]
fn arrays_of_arrays_are_dimensions() {
    assert_eq!(texts(nested()), ["{{1,2},{3,NULL}}", "{}", "{{4},{5,6}}"]);
    let rows = nested().slice(0, 2);
    let binary = binary_of(rows, Presentation::Plain);
    let words: Vec<i32> = binary[0].as_ref().unwrap().chunks(4).map(|word| i32::from_be_bytes(word.try_into().unwrap())).collect();
    // Two dimensions of two elements from one, a null among them, elements with their lengths.
    assert_eq!(words, [2, 1, 23, 2, 1, 2, 1, 4, 1, 4, 2, 4, 3, -1]);
    assert_eq!(binary[1], Some(vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23]));
    let ragged: ArrayRef = Arc::new(nested());
    assert_eq!(cells(&ragged, field(&ragged, Presentation::Plain), Format::Binary, UTC).unwrap_err().code, "2202E");
}

#[test]
fn structs_and_maps_are_json() {
    let members: Vec<(Arc<Field>, ArrayRef)> = vec![
        (Arc::new(Field::new("n", DataType::Float64, true)), Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]))),
        (Arc::new(Field::new("a \"b\"", DataType::Utf8, true)), Arc::new(StringArray::from(vec!["x\n", "\u{1}", "ü"]))),
        (Arc::new(Field::new("ok", DataType::Boolean, true)), Arc::new(BooleanArray::from(vec![true, false, true]))),
        (
            Arc::new(Field::new("l", DataType::new_list(DataType::Int32, true), true)),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), Some(vec![]), None])),
        ),
    ];
    assert_eq!(
        texts(StructArray::from(members)),
        [
            r#"{"n":1.5,"a \"b\"":"x\n","ok":true,"l":[1,null]}"#,
            r#"{"n":"NaN","a \"b\"":"\u0001","ok":false,"l":[]}"#,
            r#"{"n":null,"a \"b\"":"ü","ok":true,"l":null}"#,
        ]
    );
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    assert_eq!(texts(map.finish()), [r#"{"k":null}"#, "<null>"]);
}

#[test]
fn system_columns_have_their_own_types() {
    let named =
        |data_type: DataType, name: &str| Field::new("c", data_type, true).with_metadata([(TYPE_KEY.to_owned(), name.to_owned())].into());
    let oids: ArrayRef = Arc::new(UInt32Array::from(vec![4_000_000_000]));
    assert_eq!(
        cells(&oids, named(DataType::UInt32, "oid"), Format::Binary, UTC).unwrap(),
        [Some(4_000_000_000_u32.to_be_bytes().to_vec())]
    );
    let vector: ArrayRef = Arc::new(ListArray::from_iter_primitive::<datafusion::arrow::datatypes::Int16Type, _, _>(vec![
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
    ]));
    let kind = vector.data_type().clone();
    assert_eq!(cells(&vector, named(kind.clone(), "int2vector"), Format::Text, UTC).unwrap(), [Some(b"1 2".to_vec()), Some(Vec::new())]);
    let binary = cells(&vector.slice(0, 1), named(kind, "int2vector"), Format::Binary, UTC).unwrap();
    assert_eq!(binary, [Some(vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 21, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1, 0, 0, 0, 2, 0, 2])]);
}

#[test]
fn another_layout_of_the_promised_type_is_accepted() {
    let schema = Arc::new(Schema::new(vec![Field::new("c", DataType::Utf8, true)]));
    let encoder = RowEncoder::new(schema, vec![Format::Text], UTC).unwrap();
    let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a"]));
    let batch = RecordBatch::try_from_iter([("c", views)]).unwrap();
    let mut out = BytesMut::new();
    encoder.batch(&batch).unwrap().write_row(&mut out).unwrap();
    assert_eq!(out[out.len() - 1], b'a');
}

#[test]
fn a_row_that_fails_leaves_nothing_behind() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("a", Arc::new(Int16Array::from(vec![1, 2]))),
        ("b", Arc::new(TimestampSecondArray::from(vec![0, i64::MAX - 1]))),
        ("c", Arc::new(Int32Array::from(vec![1, 2]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let encoder = RowEncoder::new(batch.schema(), vec![Format::Text; 3], UTC).unwrap();
    let mut encoded = encoder.batch(&batch).unwrap();
    let mut out = BytesMut::new();
    encoded.write_row(&mut out).unwrap();
    let whole = out.len();
    assert!(encoded.write_row(&mut out).is_err());
    assert_eq!(out.len(), whole);
}

#[test]
fn formats_of_a_bind() {
    assert_eq!(Format::of_columns(&[], 2).unwrap(), [Format::Text; 2]);
    assert_eq!(Format::of_columns(&[1], 2).unwrap(), [Format::Binary; 2]);
    assert_eq!(Format::of_columns(&[1, 0], 2).unwrap(), [Format::Binary, Format::Text]);
    assert_eq!(Format::of_columns(&[1, 0], 3).unwrap_err().code, "08P01");
    assert_eq!(Format::of_columns(&[2], 1).unwrap_err().code, "22023");
}
