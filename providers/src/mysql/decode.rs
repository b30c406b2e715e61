//! From the driver's values to Arrow: one builder per wanted column, and an error for every value that does not fit it exactly.

mod value;

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Decimal256Builder, Float32Builder,
    Float64Builder, Int8Builder, Int16Builder, Int32Builder, Int64Builder, IntervalMonthDayNanoBuilder, LargeBinaryBuilder,
    LargeStringBuilder, RecordBatch, RecordBatchOptions, StringBuilder, StringViewBuilder, TimestampMicrosecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, SchemaRef, TimeUnit};
use mysql_async::consts::ColumnType;
use mysql_async::{Row, Value};

use self::value::{boolean, bytes, date, decimal128, decimal256, double, integer, interval, single, text, timestamp};
use super::policy::ZeroDates;
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED, VALUE_REFUSED};
use crate::sql::{Origin, column_of, row_bytes};

/// Rows on their way to a batch.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<Column>,
    zero_dates: ZeroDates,
    /// The stored column that each one is, for errors.
    origins: Vec<Option<Origin>>,
    /// Whether each is one of a table, as far as the server told.
    are_stored: Vec<bool>,
    rows: usize,
    bytes: usize,
    /// What each row holds beside the bytes of its values.
    row_bytes: usize,
}

impl BatchBuilder {
    /// # Errors
    /// [`ErrorKind::Unsupported`] for an Arrow type no column of this connector has.
    pub(super) fn new(schema: SchemaRef, zero_dates: ZeroDates) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| Column::new(field)).collect::<Result<_>>()?;
        let (origins, are_stored) = (Vec::new(), Vec::new());
        Ok(Self { row_bytes: row_bytes(schema.fields()), schema, columns, zero_dates, origins, are_stored, rows: 0, bytes: 0 })
    }

    /// The same, whose errors name the stored columns in `origins`, by position, rather than those of the result.
    #[must_use]
    pub(super) fn of(self, origins: Vec<Option<Origin>>) -> Self {
        Self { origins, ..self }
    }

    /// Takes what the server says of the columns of the result: which are stored ones, for errors, and that numbers are numbers. It
    /// would compare and sum up texts as well, by rules of its own.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column that is none.
    pub(super) fn come_from(&mut self, columns: &[mysql_async::Column]) -> Result<()> {
        self.are_stored = columns.iter().map(|column| !column.org_table_ref().is_empty()).collect();
        let mut columns = self.schema.fields().iter().zip(columns).enumerate();
        match columns.find(|(_, (field, column))| is_exact(field.data_type()) && is_text(column.column_type())) {
            Some((at, (field, _))) => {
                let name = column_of(field, self.origins.get(at).and_then(Option::as_ref));
                Err(changed(format!("{name} arrives as text, not as {}", field.data_type())))
            }
            None => Ok(()),
        }
    }

    /// Rows taken since the last batch.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes they hold.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a row, whose values are those of the schema by position.
    pub(super) fn push(&mut self, row: Row) -> Result<()> {
        // A schema without columns counts rows; the statement then selects something all the same.
        if row.len() != self.columns.len() && !self.columns.is_empty() {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("the statement gave {} columns where {} were expected", row.len(), self.columns.len()),
            ));
        }
        let values = row.unwrap_raw();
        for (at, ((column, field), value)) in self.columns.iter_mut().zip(self.schema.fields()).zip(values).enumerate() {
            let name = || column_of(field, self.origins.get(at).and_then(Option::as_ref));
            let value = value.unwrap_or(Value::NULL);
            if value == Value::NULL && !field.is_nullable() {
                return Err(changed(format!("{} is NOT NULL but holds NULL", name())));
            }
            self.bytes += if let Value::Bytes(bytes) = &value { bytes.len() } else { 0 };
            match column.push(value) {
                Err(Fault::NoDate(_)) if self.zero_dates == ZeroDates::Null && field.is_nullable() => column.push_null(),
                pushed => pushed.map_err(|fault| {
                    let is_stored = self.are_stored.get(at).copied().unwrap_or_default();
                    fault.at(&name(), field.data_type(), is_stored)
                })?,
            }
        }
        self.rows += 1;
        self.bytes += self.row_bytes;
        Ok(())
    }

    /// The rows taken so far as a batch; the builder is empty again.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        self.rows = 0;
        self.bytes = 0;
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|cause| Error::new(ErrorKind::Internal, "a batch does not match its schema").because(cause))
    }
}

fn is_exact(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_text(column: ColumnType) -> bool {
    matches!(
        column,
        ColumnType::MYSQL_TYPE_VARCHAR | ColumnType::MYSQL_TYPE_VAR_STRING | ColumnType::MYSQL_TYPE_STRING | ColumnType::MYSQL_TYPE_BLOB
    )
}

/// What is wrong with a value.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// It is of another type than the column's.
    Mismatch(&'static str),
    /// A date that is none, as the server's looser modes let in.
    NoDate(String),
    /// It does not fit the type.
    TooLarge,
    /// Its bytes are not UTF-8.
    NotText,
}

impl Fault {
    /// The error of a column of that name and type.
    fn at(self, name: &str, wanted: &DataType, is_stored: bool) -> Error {
        match self {
            Fault::Mismatch(arrived) => changed(format!("{name} arrived as {arrived}, not as {wanted}")),
            Fault::NoDate(shown) => Error::new(ErrorKind::Invalid, format!("{name} holds {shown}, which is no date"))
                .code(VALUE_REFUSED)
                .hint("correct the value at the source, leave it out of the query, or set the datasource's option `zero_dates`"),
            Fault::TooLarge if *wanted == DataType::Boolean => {
                Error::new(ErrorKind::Invalid, format!("{name} holds a number that is neither 0 nor 1"))
                    .code(VALUE_REFUSED)
                    .hint("correct the value at the source, or leave the datasource's option `tinyint1` at `integer`")
            }
            // A stored number beyond the column's type: the type is another one now.
            Fault::TooLarge if is_stored => changed(format!("{name} holds a number that does not fit {wanted}")),
            Fault::TooLarge => Error::new(ErrorKind::Invalid, format!("{name} holds a number that does not fit {wanted}"))
                .code(VALUE_REFUSED)
                .hint("select an expression of a wider type"),
            Fault::NotText => Error::new(ErrorKind::Invalid, format!("{name} holds bytes that are not UTF-8"))
                .code(VALUE_REFUSED)
                .hint("correct the value at the source, or make the column a binary type there"),
        }
    }
}

/// The error of a column that is not what it was published as.
pub(super) fn changed(text: String) -> Error {
    Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("the remote table has changed: refresh the datasource's catalog")
}

enum Column {
    Boolean(BooleanBuilder),
    Int8(Int8Builder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    UInt64(UInt64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Decimal128(Decimal128Builder, u8, i8),
    Decimal256(Decimal256Builder, u8, i8),
    Date(Date32Builder),
    Timestamp(TimestampMicrosecondBuilder),
    Interval(IntervalMonthDayNanoBuilder),
    Text(StringBuilder),
    LargeText(LargeStringBuilder),
    TextView(StringViewBuilder),
    Binary(BinaryBuilder),
    LargeBinary(LargeBinaryBuilder),
}

impl Column {
    fn new(field: &Field) -> Result<Self> {
        let decimal = |cause| Error::new(ErrorKind::Internal, "a decimal type is not valid").because(cause);
        Ok(match field.data_type() {
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(Int8Builder::new()),
            DataType::Int16 => Self::Int16(Int16Builder::new()),
            DataType::Int32 => Self::Int32(Int32Builder::new()),
            DataType::Int64 => Self::Int64(Int64Builder::new()),
            DataType::UInt64 => Self::UInt64(UInt64Builder::new()),
            DataType::Float32 => Self::Float32(Float32Builder::new()),
            DataType::Float64 => Self::Float64(Float64Builder::new()),
            &DataType::Decimal128(precision, scale) if scale >= 0 => {
                let builder = Decimal128Builder::new().with_precision_and_scale(precision, scale).map_err(decimal)?;
                Self::Decimal128(builder, precision, scale)
            }
            &DataType::Decimal256(precision, scale) if scale >= 0 => {
                let builder = Decimal256Builder::new().with_precision_and_scale(precision, scale).map_err(decimal)?;
                Self::Decimal256(builder, precision, scale)
            }
            DataType::Date32 => Self::Date(Date32Builder::new()),
            DataType::Timestamp(TimeUnit::Microsecond, zone) => {
                Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            DataType::Interval(IntervalUnit::MonthDayNano) => Self::Interval(IntervalMonthDayNanoBuilder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::LargeUtf8 => Self::LargeText(LargeStringBuilder::new()),
            DataType::Utf8View => Self::TextView(StringViewBuilder::new()),
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::LargeBinary => Self::LargeBinary(LargeBinaryBuilder::new()),
            other => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!("column \"{}\": a MySQL server has no values of type {other}", field.name()),
                ));
            }
        })
    }

    fn push(&mut self, value: Value) -> Result<(), Fault> {
        if value == Value::NULL {
            self.push_null();
            return Ok(());
        }
        match self {
            Self::Boolean(to) => to.append_value(boolean(&value)?),
            Self::Int8(to) => to.append_value(integer(&value)?),
            Self::Int16(to) => to.append_value(integer(&value)?),
            Self::Int32(to) => to.append_value(integer(&value)?),
            Self::Int64(to) => to.append_value(integer(&value)?),
            Self::UInt64(to) => to.append_value(integer(&value)?),
            Self::Float32(to) => to.append_value(single(&value)?),
            Self::Float64(to) => to.append_value(double(&value)?),
            Self::Decimal128(to, precision, scale) => to.append_value(decimal128(&value, *precision, *scale)?),
            Self::Decimal256(to, precision, scale) => to.append_value(decimal256(&value, *precision, *scale)?),
            Self::Date(to) => to.append_value(date(&value)?),
            Self::Timestamp(to) => to.append_value(timestamp(&value)?),
            Self::Interval(to) => to.append_value(interval(&value)?),
            Self::Text(to) => to.append_value(text(&value)?),
            Self::LargeText(to) => to.append_value(text(&value)?),
            Self::TextView(to) => to.append_value(text(&value)?),
            Self::Binary(to) => to.append_value(bytes(&value)?),
            Self::LargeBinary(to) => to.append_value(bytes(&value)?),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Boolean(to) => to.append_null(),
            Self::Int8(to) => to.append_null(),
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::UInt64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Decimal128(to, ..) => to.append_null(),
            Self::Decimal256(to, ..) => to.append_null(),
            Self::Date(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
            Self::Interval(to) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::LargeText(to) => to.append_null(),
            Self::TextView(to) => to.append_null(),
            Self::Binary(to) => to.append_null(),
            Self::LargeBinary(to) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        let builder: &mut dyn ArrayBuilder = match self {
            Self::Boolean(builder) => builder,
            Self::Int8(builder) => builder,
            Self::Int16(builder) => builder,
            Self::Int32(builder) => builder,
            Self::Int64(builder) => builder,
            Self::UInt64(builder) => builder,
            Self::Float32(builder) => builder,
            Self::Float64(builder) => builder,
            Self::Decimal128(builder, ..) => builder,
            Self::Decimal256(builder, ..) => builder,
            Self::Date(builder) => builder,
            Self::Timestamp(builder) => builder,
            Self::Interval(builder) => builder,
            Self::Text(builder) => builder,
            Self::LargeText(builder) => builder,
            Self::TextView(builder) => builder,
            Self::Binary(builder) => builder,
            Self::LargeBinary(builder) => builder,
        };
        builder.finish()
    }
}
