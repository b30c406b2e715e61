//! Tables as files.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int16Array, Int32Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowWriter;

use super::tables::{Column, Place, Table};
use super::values::{Kind, Value, days, microseconds};

/// Writes those of the tables that are files into `folder`.
pub(super) fn write(folder: &Path, tables: &[Table]) {
    for table in tables {
        for place in &table.places {
            match place {
                Place::Parquet => write_parquet(&folder.join(format!("{}.parquet", table.name)), table),
                Place::Csv => {
                    std::fs::write(folder.join(format!("{}.csv", table.name)), csv(table)).expect("an own folder can be written to");
                }
                Place::Postgres | Place::MariaDb | Place::Sqlite => {}
            }
        }
    }
}

fn csv(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| column.name.trim_matches('"').to_owned()).collect();
    let mut text = names.join(",") + "\n";
    for row in &table.rows {
        let fields: Vec<_> = row.iter().map(field).collect();
        let _ = writeln!(text, "{}", fields.join(","));
    }
    text
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => format!("\"{}\"", text.replace('"', "\"\"")),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Date(text) | Value::Timestamp(text) => (*text).to_owned(),
        Value::Numeric(_) | Value::Timestamptz(_) | Value::Bytes(_) | Value::Uuid(_) => unreachable!("no such columns in CSV"),
    }
}

fn write_parquet(path: &Path, table: &Table) {
    let arrays: Vec<ArrayRef> = table.columns.iter().enumerate().map(|(index, column)| array(table, index, column)).collect();
    let field = |(column, array): (&Column, &ArrayRef)| -> Field {
        let ty: &DataType = array.data_type();
        Field::new(column.name.trim_matches('"'), ty.clone(), !column.required)
    };
    let schema = Arc::new(Schema::new(table.columns.iter().zip(&arrays).map(field).collect::<Vec<_>>()));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("the columns are equally long");
    let file = File::create(path).expect("an own folder can be written to");
    let mut writer = ArrowWriter::try_new(file, schema, None).expect("the schema is one Parquet has");
    writer.write(&batch).expect("the batch fits its schema");
    writer.close().expect("the file can be finished");
}

fn array(table: &Table, index: usize, column: &Column) -> ArrayRef {
    let values = table.rows.iter().map(|row| &row[index]);
    let integer = |value: &Value| if let Value::Int(number) = value { Some(*number) } else { None };
    match column.kind {
        Kind::Int => {
            let integers = Int64Array::from_iter(values.map(integer));
            let narrow = || integers.iter();
            match column.range.bits {
                16 => Arc::new(Int16Array::from_iter(narrow().map(|n| n.map(|n| i16::try_from(n).expect("it fits"))))),
                32 => Arc::new(Int32Array::from_iter(narrow().map(|n| n.map(|n| i32::try_from(n).expect("it fits"))))),
                _ => Arc::new(integers),
            }
        }
        Kind::Numeric => {
            let (before, behind) = column.range.digits;
            let digits = |value: &Value| if let Value::Numeric(text) = value { Some(unscaled(text, behind)) } else { None };
            let array = Decimal128Array::from_iter(values.map(digits));
            let (precision, scale) = (u8::try_from(before + behind).expect("few digits"), i8::try_from(behind).expect("few digits"));
            Arc::new(array.with_precision_and_scale(precision, scale).expect("the values fit"))
        }
        Kind::Float => Arc::new(Float64Array::from_iter(values.map(|value| if let Value::Float(v) = value { Some(*v) } else { None }))),
        Kind::Text => {
            let text = |value| if let Value::Text(text) = column.stored(Place::Parquet, value) { Some(text) } else { None };
            Arc::new(StringArray::from_iter(values.map(text)))
        }
        Kind::Bool => Arc::new(BooleanArray::from_iter(values.map(|value| if let Value::Bool(v) = value { Some(*v) } else { None }))),
        Kind::Date => Arc::new(Date32Array::from_iter(values.map(|value| if let Value::Date(v) = value { Some(days(v)) } else { None }))),
        Kind::Timestamp | Kind::Timestamptz => {
            let moment = |value: &Value| match value {
                Value::Timestamp(text) | Value::Timestamptz(text) => Some(microseconds(text)),
                _ => None,
            };
            let array = TimestampMicrosecondArray::from_iter(values.map(moment));
            Arc::new(if column.kind == Kind::Timestamptz { array.with_timezone("UTC") } else { array })
        }
        Kind::Bytes => {
            let bytes = |value: &Value| if let Value::Bytes(bytes) = value { Some(bytes.clone()) } else { None };
            Arc::new(BinaryArray::from_iter(values.map(bytes)))
        }
        Kind::Uuid => unreachable!("no such columns in Parquet"),
    }
}

/// A number without its point, `behind` digits behind it.
fn unscaled(text: &str, behind: usize) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    format!("{whole}{fraction:0<behind$}").parse().expect("numerics are digits")
}
