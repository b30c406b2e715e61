//! Values of every type through a driver, in both formats.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DurationSecondArray, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, IntervalYearMonthArray, LargeStringArray, ListArray, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array, UnionArray,
};
use datafusion::arrow::buffer::ScalarBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Int32Type, Schema, UnionFields};
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::{FromSql, Type};

use super::support::{Gateway, within};

/// The bytes of a value of any type.
struct Bytes(Vec<u8>);

impl<'a> FromSql<'a> for Bytes {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw.to_vec()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

fn table() -> RecordBatch {
    let presented = |name: &str, word: &str| {
        Field::new(name, DataType::Utf8, true).with_metadata([(causeway_providers::PRESENTATION_KEY.to_owned(), word.to_owned())].into())
    };
    let uuid = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
    let numeric = Decimal128Array::from(vec![Some(-12_345), None]).with_precision_and_scale(10, 2).unwrap();
    let zoned = TimestampMicrosecondArray::from(vec![Some(1_704_103_200_000_000), None]).with_timezone("UTC");
    let columns: Vec<(Field, ArrayRef)> = vec![
        (Field::new("bool", DataType::Boolean, true), Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (Field::new("int8", DataType::Int8, true), Arc::new(Int8Array::from(vec![Some(-8), None]))),
        (Field::new("int16", DataType::Int16, true), Arc::new(Int16Array::from(vec![Some(-16), None]))),
        (Field::new("int32", DataType::Int32, true), Arc::new(Int32Array::from(vec![Some(-32), None]))),
        (Field::new("int64", DataType::Int64, true), Arc::new(Int64Array::from(vec![Some(-64), None]))),
        (Field::new("uint8", DataType::UInt8, true), Arc::new(UInt8Array::from(vec![Some(255), None]))),
        (Field::new("uint16", DataType::UInt16, true), Arc::new(UInt16Array::from(vec![Some(65_535), None]))),
        (Field::new("uint32", DataType::UInt32, true), Arc::new(UInt32Array::from(vec![Some(u32::MAX), None]))),
        (Field::new("uint64", DataType::UInt64, true), Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        (Field::new("float32", DataType::Float32, true), Arc::new(Float32Array::from(vec![Some(1.5), None]))),
        (Field::new("float64", DataType::Float64, true), Arc::new(Float64Array::from(vec![Some(-2.5), None]))),
        (Field::new("decimal", DataType::Decimal128(10, 2), true), Arc::new(numeric)),
        (Field::new("text", DataType::Utf8, true), Arc::new(StringArray::from(vec![Some("grün"), None]))),
        (Field::new("large", DataType::LargeUtf8, true), Arc::new(LargeStringArray::from(vec![Some("x"), None]))),
        (presented("uuid", "uuid"), Arc::new(StringArray::from(vec![Some(uuid), None]))),
        (presented("json", "json"), Arc::new(StringArray::from(vec![Some("{\"a\": 1}"), None]))),
        (presented("jsonb", "jsonb"), Arc::new(StringArray::from(vec![Some("[1]"), None]))),
        (Field::new("bytes", DataType::Binary, true), Arc::new(BinaryArray::from(vec![Some(&b"\0\xff"[..]), None]))),
        (Field::new("date", DataType::Date32, true), Arc::new(Date32Array::from(vec![Some(19_723), None]))),
        (
            Field::new("time", DataType::Time64(datafusion::arrow::datatypes::TimeUnit::Microsecond), true),
            Arc::new(Time64MicrosecondArray::from(vec![Some(3_661_000_001), None])),
        ),
        (Field::new("zoned", datafusion::arrow::array::Array::data_type(&zoned).clone(), true), Arc::new(zoned)),
        (
            Field::new("span", DataType::Duration(datafusion::arrow::datatypes::TimeUnit::Second), true),
            Arc::new(DurationSecondArray::from(vec![Some(3_600), None])),
        ),
        (
            Field::new("months", DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::YearMonth), true),
            Arc::new(IntervalYearMonthArray::from(vec![Some(13), None])),
        ),
        (
            Field::new("list", DataType::new_list(DataType::Int32, true), true),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None])),
        ),
    ];
    let (fields, arrays): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

#[tokio::test]
async fn every_type_in_both_formats() {
    let gateway = Gateway::start().await;
    gateway.environment.publish_rows("types", table());
    let client = gateway.connect().await;

    let rows = within("rows", client.query("select * from types", &[])).await.unwrap();
    let (row, nulls) = (&rows[0], &rows[1]);
    let types: Vec<&str> = row.columns().iter().map(|column| column.type_().name()).collect();
    assert_eq!(
        types,
        [
            "bool",
            "int2",
            "int2",
            "int4",
            "int8",
            "int2",
            "int4",
            "int8",
            "numeric",
            "float4",
            "float8",
            "numeric",
            "text",
            "text",
            "uuid",
            "json",
            "jsonb",
            "bytea",
            "date",
            "time",
            "timestamptz",
            "interval",
            "interval",
            "_int4",
        ]
    );
    assert!(row.get::<_, bool>("bool"));
    assert_eq!((row.get::<_, i16>("int8"), row.get::<_, i16>("int16"), row.get::<_, i32>("int32")), (-8, -16, -32));
    assert_eq!((row.get::<_, i64>("int64"), row.get::<_, i16>("uint8"), row.get::<_, i32>("uint16")), (-64, 255, 65_535));
    assert_eq!((row.get::<_, i64>("uint32"), row.get::<_, f32>("float32"), row.get::<_, f64>("float64")), (i64::from(u32::MAX), 1.5, -2.5));
    assert_eq!((row.get::<_, &str>("text"), row.get::<_, &str>("large")), ("grün", "x"));
    assert_eq!(row.get::<_, Vec<u8>>("bytes"), [0, 255]);
    assert_eq!(row.get::<_, Vec<Option<i32>>>("list"), [Some(1), None]);
    let bytes = |name: &str| row.get::<_, Bytes>(name).0;
    assert_eq!(bytes("decimal"), [0, 2, 0, 0, 0x40, 0, 0, 2, 0, 123, 0x11, 0x94]);
    assert_eq!(bytes("uuid")[..4], [0xa0, 0xee, 0xbc, 0x99]);
    assert_eq!(bytes("jsonb"), b"\x01[1]");
    assert_eq!(bytes("date"), 8_766_i32.to_be_bytes());
    assert_eq!(bytes("time"), 3_661_000_001_i64.to_be_bytes());
    assert_eq!(bytes("zoned"), 757_418_400_000_000_i64.to_be_bytes());
    assert_eq!(bytes("span")[..8], 3_600_000_000_i64.to_be_bytes());
    assert_eq!(bytes("months")[12..], 13_i32.to_be_bytes());
    for column in 0..nulls.len() {
        assert!(nulls.get::<_, Option<Bytes>>(column).is_none(), "{}", nulls.columns()[column].name());
    }

    let messages = within("text", client.simple_query("select * from types")).await.unwrap();
    let texts: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|column| row.get(column)).collect::<Vec<_>>()),
            _ => None,
        })
        .collect();
    let expected = [
        "t",
        "-8",
        "-16",
        "-32",
        "-64",
        "255",
        "65535",
        "4294967295",
        "18446744073709551615",
        "1.5",
        "-2.5",
        "-123.45",
        "grün",
        "x",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": 1}",
        "[1]",
        "\\x00ff",
        "2024-01-01",
        "01:01:01.000001",
        "2024-01-01 10:00:00+00",
        "01:00:00",
        "1 year 1 mon",
        "{1,NULL}",
    ];
    assert_eq!(texts[0], expected.map(Some));
    assert!(texts[1].iter().all(Option::is_none));
}

#[tokio::test]
async fn a_union_is_json() {
    let fields: UnionFields =
        [(0_i8, Arc::new(Field::new("i", DataType::Int32, true))), (1, Arc::new(Field::new("t", DataType::Utf8, true)))]
            .into_iter()
            .collect();
    let members: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(vec![1, 0])), Arc::new(StringArray::from(vec!["", "x"]))];
    let union = UnionArray::try_new(fields, ScalarBuffer::from(vec![0_i8, 1]), None, members).unwrap();
    let gateway = Gateway::start().await;
    gateway.environment.publish_rows("unions", RecordBatch::try_from_iter([("u", Arc::new(union) as ArrayRef)]).unwrap());
    let client = gateway.connect().await;
    let messages = within("text", client.simple_query("select * from unions")).await.unwrap();
    let texts: Vec<_> = messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["1", "\"x\""]);
}
