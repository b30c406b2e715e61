//! From the batches that the server sends to those that were promised: exactly, or as an error that names the column.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray, ListArray, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Date32Type, SchemaRef, TimeUnit, UInt16Type};

use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED, VALUE_REFUSED};
use crate::sql::{Origin, column_of};

/// The columns of `batch` as those of `schema`, by position. `origins` says which stored columns they are, as far as it is known.
///
/// # Errors
/// `Invalid` for a value that has no place in its column, `SchemaMismatch` for a column of another type, both naming it.
pub(super) fn conform(batch: &RecordBatch, schema: &SchemaRef, origins: &[Option<Origin>]) -> Result<RecordBatch> {
    // Rows that are only counted come with a column that nobody asked for.
    if batch.num_columns() != schema.fields().len() && !schema.fields().is_empty() {
        let text = format!("{} columns arrived where {} were asked for", batch.num_columns(), schema.fields().len());
        return Err(Error::new(ErrorKind::Internal, text));
    }
    let columns = schema.fields().iter().zip(batch.columns()).enumerate().map(|(at, (field, column))| {
        let name = || column_of(field, origins.get(at).and_then(Option::as_ref));
        if column.null_count() > 0 && !field.is_nullable() {
            return Err(changed(format!("{} is NOT NULL but holds NULL", name())));
        }
        values(column, field.data_type()).map_err(|fault| fault.at(&name(), field.data_type()))
    });
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|cause| Error::new(ErrorKind::Internal, "a batch does not match its schema").because(cause))
}

/// What is wrong with a column.
#[derive(Debug)]
enum Fault {
    /// It is of another type.
    Mismatch(DataType),
    /// A value does not fit.
    TooLarge,
    /// A text is not UTF-8.
    NotText,
}

impl Fault {
    /// The error of a column of that name and type.
    fn at(self, name: &str, wanted: &DataType) -> Error {
        match self {
            Fault::Mismatch(arrived) => changed(format!("{name} arrived as {arrived}, not as {wanted}")),
            Fault::TooLarge => changed(format!("{name} holds a value that does not fit {wanted}")),
            Fault::NotText => Error::new(ErrorKind::Invalid, format!("{name} holds bytes that are not UTF-8"))
                .code(VALUE_REFUSED)
                .hint("correct the value at the source, or leave the column out"),
        }
    }
}

/// The error of a column that is not what it was published as.
fn changed(text: String) -> Error {
    Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("the remote table has changed: refresh the datasource's catalog")
}

fn values(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Fault> {
    let arrived = array.data_type();
    if arrived == wanted {
        return Ok(Arc::clone(array));
    }
    let cast = |array: &ArrayRef| {
        cast_with_options(array, wanted, &CastOptions { safe: false, ..CastOptions::default() }).map_err(|_| Fault::TooLarge)
    };
    match (arrived, wanted) {
        (DataType::Binary, DataType::Utf8) => {
            let bytes: &BinaryArray = array.as_binary();
            Ok(Arc::new(StringArray::try_from_binary(bytes.clone()).map_err(|_| Fault::NotText)?))
        }
        (DataType::FixedSizeBinary(_), DataType::Binary) => cast(array),
        (arrived, wanted) if arrived.is_integer() && wanted.is_integer() => cast(array),
        (arrived, DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0)) if arrived.is_integer() => cast(array),
        (
            DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale),
            DataType::Decimal128(_, wanted_scale) | DataType::Decimal256(_, wanted_scale),
        ) if scale <= wanted_scale => cast(array),
        (DataType::Float32, DataType::Float64) => cast(array),
        // Days since 1970, in servers that do not yet send them as dates.
        (DataType::UInt16, DataType::Date32) => Ok(Arc::new(array.as_primitive::<UInt16Type>().unary::<_, Date32Type>(i32::from))),
        // Seconds since 1970.
        (DataType::UInt32, DataType::Timestamp(TimeUnit::Second, _)) => {
            let seconds = cast_with_options(array, &DataType::Int64, &CastOptions { safe: false, ..CastOptions::default() })
                .map_err(|_| Fault::TooLarge)?;
            cast(&seconds)
        }
        (DataType::Timestamp(unit, Some(_)), DataType::Timestamp(wanted_unit, Some(_)))
            if per_second(*unit) <= per_second(*wanted_unit) =>
        {
            cast(array)
        }
        (DataType::List(_), DataType::List(item)) => {
            let list: &ListArray = array.as_list();
            let (_, offsets, items, nulls) = list.clone().into_parts();
            let items = values(&items, item.data_type())?;
            ListArray::try_new(Arc::clone(item), offsets, items, nulls).map(|list| Arc::new(list) as ArrayRef).map_err(|_| Fault::TooLarge)
        }
        (other, _) => Err(Fault::Mismatch(other.clone())),
    }
}

fn per_second(unit: TimeUnit) -> u32 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{
        Date32Array, Decimal128Array, Int32Array, Int64Array, TimestampMillisecondArray, TimestampSecondArray, UInt16Array, UInt32Array,
        UInt64Array,
    };
    use datafusion::arrow::datatypes::{Field, Schema};

    use super::*;

    fn converted(array: ArrayRef, wanted: DataType) -> Result<ArrayRef> {
        let batch = RecordBatch::try_from_iter([("x", array)]).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("c", wanted, true)]));
        Ok(Arc::clone(conform(&batch, &schema, &[])?.column(0)))
    }

    fn utc(unit: TimeUnit) -> DataType {
        DataType::Timestamp(unit, Some("+00:00".into()))
    }

    #[test]
    fn values_keep_what_they_are() {
        let most = u64::MAX;
        let cases: Vec<(ArrayRef, ArrayRef)> = vec![
            (
                Arc::new(UInt64Array::from(vec![most])),
                Arc::new(Decimal128Array::from(vec![i128::from(most)]).with_precision_and_scale(20, 0).unwrap()),
            ),
            (Arc::new(UInt64Array::from(vec![5])), Arc::new(Int64Array::from(vec![5]))),
            (Arc::new(UInt16Array::from(vec![u16::MAX])), Arc::new(Int32Array::from(vec![65_535]))),
            (Arc::new(UInt16Array::from(vec![u16::MAX])), Arc::new(Date32Array::from(vec![65_535]))),
            (
                Arc::new(UInt32Array::from(vec![u32::MAX])),
                Arc::new(TimestampSecondArray::from(vec![i64::from(u32::MAX)]).with_timezone("+00:00")),
            ),
            (
                Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("Europe/Berlin")),
                Arc::new(TimestampMillisecondArray::from(vec![-1]).with_timezone("+00:00")),
            ),
            (Arc::new(BinaryArray::from_vec(vec!["ä".as_bytes()])), Arc::new(StringArray::from(vec!["ä"]))),
        ];
        for (arrived, expected) in cases {
            assert_eq!(converted(arrived, expected.data_type().clone()).unwrap().as_ref(), expected.as_ref());
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_names_the_column() {
        let cases: Vec<(ArrayRef, DataType, ErrorKind)> = vec![
            (Arc::new(BinaryArray::from_vec(vec![b"\xff"])), DataType::Utf8, ErrorKind::Invalid),
            (Arc::new(UInt64Array::from(vec![u64::MAX])), DataType::Int64, ErrorKind::SchemaMismatch),
            (Arc::new(Int64Array::from(vec![40_000])), DataType::Int16, ErrorKind::SchemaMismatch),
            (Arc::new(StringArray::from(vec!["5"])), DataType::Int64, ErrorKind::SchemaMismatch),
            (Arc::new(Decimal128Array::from(vec![5])), DataType::Decimal128(38, 0), ErrorKind::SchemaMismatch),
            (Arc::new(TimestampMillisecondArray::from(vec![1]).with_timezone("UTC")), utc(TimeUnit::Second), ErrorKind::SchemaMismatch),
            (
                Arc::new(TimestampSecondArray::from(vec![i64::MAX]).with_timezone("UTC")),
                utc(TimeUnit::Nanosecond),
                ErrorKind::SchemaMismatch,
            ),
        ];
        for (arrived, wanted, kind) in cases {
            let error = converted(arrived, wanted.clone()).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.message().contains("column \"c\""), "{error}");
        }
    }
}
