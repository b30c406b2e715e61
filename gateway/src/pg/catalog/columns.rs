//! The column types of system relations: their Arrow form, and the builder that turns rows into a record batch.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayBuilder, ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder, ListBuilder,
    StringBuilder, TimestampMicrosecondBuilder, UInt32Builder, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::{DataFusionError, Result};

/// The key of field metadata that holds the name of the PostgreSQL type a system column has, such as `oid`.
///
/// Arrow has one text type where PostgreSQL has `name`, `text`, `"char"` and `pg_node_tree`; clients that bind by type look at it.
pub(crate) const PG_TYPE_KEY: &str = "causeway.pg_type";

/// The Arrow form of a system column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    /// `oid`, `xid`, `regproc` and other unsigned 32 bit numbers.
    Oid,
    /// Everything that is shown as text.
    Text,
    Timestamp,
    Interval,
    Bytea,
    Int2List,
    OidList,
    Float4List,
    Float8List,
    BoolList,
    TextList,
}

impl ColumnType {
    /// The form of the type PostgreSQL calls `name`.
    pub(super) fn of(name: &str) -> Self {
        match name {
            "bool" => Self::Bool,
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float4" => Self::Float4,
            "float8" => Self::Float8,
            "oid" | "xid" | "regproc" | "regtype" | "regclass" => Self::Oid,
            "timestamptz" => Self::Timestamp,
            "interval" => Self::Interval,
            "bytea" => Self::Bytea,
            "int2vector" | "_int2" => Self::Int2List,
            "oidvector" | "_oid" | "_regtype" => Self::OidList,
            "_float4" => Self::Float4List,
            "_float8" => Self::Float8List,
            "_bool" => Self::BoolList,
            list if list.starts_with('_') => Self::TextList,
            _ => Self::Text,
        }
    }

    /// The Arrow type.
    pub(super) fn data_type(self) -> DataType {
        let list = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Oid => DataType::UInt32,
            Self::Text => DataType::Utf8,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Interval => DataType::Interval(IntervalUnit::MonthDayNano),
            Self::Bytea => DataType::Binary,
            Self::Int2List => list(DataType::Int16),
            Self::OidList => list(DataType::UInt32),
            Self::Float4List => list(DataType::Float32),
            Self::Float8List => list(DataType::Float64),
            Self::BoolList => list(DataType::Boolean),
            Self::TextList => list(DataType::Utf8),
        }
    }
}

/// One value of a row. Numbers are as wide as any column; a value that does not fit its column is a fault of the code that made the row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    /// Microseconds since 1970 in UTC.
    Timestamp(i64),
    Ints(&'a [i64]),
    Texts(&'a [String]),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(oid: u32) -> Self {
        Self::Int(i64::from(oid))
    }
}

impl From<i32> for Value<'_> {
    fn from(value: i32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Builds one column.
pub(super) enum ColumnBuilder {
    Bool(BooleanBuilder),
    Int2(Int16Builder),
    Int4(Int32Builder),
    Int8(Int64Builder),
    Float4(Float32Builder),
    Float8(Float64Builder),
    Oid(UInt32Builder),
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Int2List(ListBuilder<Int16Builder>),
    OidList(ListBuilder<UInt32Builder>),
    TextList(ListBuilder<StringBuilder>),
    /// A type no system relation of ours has a value of.
    Nulls(DataType, usize),
}

impl ColumnBuilder {
    /// A builder for columns of `column_type`.
    pub(super) fn new(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Bool => Self::Bool(BooleanBuilder::new()),
            ColumnType::Int2 => Self::Int2(Int16Builder::new()),
            ColumnType::Int4 => Self::Int4(Int32Builder::new()),
            ColumnType::Int8 => Self::Int8(Int64Builder::new()),
            ColumnType::Float4 => Self::Float4(Float32Builder::new()),
            ColumnType::Float8 => Self::Float8(Float64Builder::new()),
            ColumnType::Oid => Self::Oid(UInt32Builder::new()),
            ColumnType::Text => Self::Text(StringBuilder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Int2List => Self::Int2List(ListBuilder::new(Int16Builder::new())),
            ColumnType::OidList => Self::OidList(ListBuilder::new(UInt32Builder::new())),
            ColumnType::TextList => Self::TextList(ListBuilder::new(StringBuilder::new())),
            ColumnType::Interval | ColumnType::Bytea | ColumnType::Float4List | ColumnType::Float8List | ColumnType::BoolList => {
                Self::Nulls(column_type.data_type(), 0)
            }
        }
    }

    /// Appends a value.
    ///
    /// # Errors
    /// An internal error when the value is not of the column's type.
    pub(super) fn push(&mut self, value: Value<'_>) -> Result<()> {
        fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T> {
            T::try_from(value).map_err(|_| DataFusionError::Internal(format!("{value} does not fit its system column")))
        }
        match (self, value) {
            (Self::Bool(b), Value::Bool(v)) => b.append_value(v),
            (Self::Int2(b), Value::Int(v)) => b.append_value(narrow(v)?),
            (Self::Int4(b), Value::Int(v)) => b.append_value(narrow(v)?),
            (Self::Int8(b), Value::Int(v)) => b.append_value(v),
            (Self::Float4(b), Value::Float(v)) => b.append_value(v as f32),
            (Self::Float8(b), Value::Float(v)) => b.append_value(v),
            (Self::Oid(b), Value::Int(v)) => b.append_value(narrow(v)?),
            (Self::Text(b), Value::Text(v)) => b.append_value(v),
            (Self::Timestamp(b), Value::Timestamp(v)) => b.append_value(v),
            (Self::Int2List(b), Value::Ints(v)) => {
                for item in v {
                    b.values().append_value(narrow(*item)?);
                }
                b.append(true);
            }
            (Self::OidList(b), Value::Ints(v)) => {
                for item in v {
                    b.values().append_value(narrow(*item)?);
                }
                b.append(true);
            }
            (Self::TextList(b), Value::Texts(v)) => {
                for item in v {
                    b.values().append_value(item);
                }
                b.append(true);
            }
            (builder, Value::Null) => builder.push_null(),
            (_, value) => return Err(DataFusionError::Internal(format!("{value:?} is not of its system column's type"))),
        }
        Ok(())
    }

    fn push_null(&mut self) {
        match self {
            Self::Bool(b) => b.append_null(),
            Self::Int2(b) => b.append_null(),
            Self::Int4(b) => b.append_null(),
            Self::Int8(b) => b.append_null(),
            Self::Float4(b) => b.append_null(),
            Self::Float8(b) => b.append_null(),
            Self::Oid(b) => b.append_null(),
            Self::Text(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Int2List(b) => b.append_null(),
            Self::OidList(b) => b.append_null(),
            Self::TextList(b) => b.append_null(),
            Self::Nulls(_, count) => *count += 1,
        }
    }

    /// Appends a value in the text form `COPY` writes, without escapes.
    ///
    /// # Errors
    /// When the text is not a value of the column's type.
    fn push_copied(&mut self, text: &str) -> Result<()> {
        if text == "\\N" {
            self.push_null();
            return Ok(());
        }
        let number = |text: &str| text.parse::<i64>().map_err(|e| DataFusionError::Internal(format!("{text:?} in a system table: {e}")));
        let numbers = |text: &str| {
            text.trim_matches(['{', '}']).split([' ', ',']).filter(|item| !item.is_empty()).map(number).collect::<Result<Vec<_>>>()
        };
        match self {
            Self::Bool(_) => self.push(Value::Bool(text == "t")),
            Self::Int2(_) | Self::Int4(_) | Self::Int8(_) | Self::Oid(_) => self.push(Value::Int(number(text)?)),
            Self::Float4(_) | Self::Float8(_) => {
                self.push(Value::Float(text.parse().map_err(|e| DataFusionError::Internal(format!("{text:?} in a system table: {e}")))?))
            }
            Self::Int2List(_) | Self::OidList(_) => self.push(Value::Ints(&numbers(text)?)),
            Self::TextList(_) => {
                let items: Vec<String> = text.trim_matches(['{', '}']).split(',').map(|item| item.trim_matches('"').to_owned()).collect();
                self.push(Value::Texts(&items))
            }
            Self::Text(_) => self.push(Value::Text(text)),
            Self::Timestamp(_) | Self::Nulls(..) => Err(DataFusionError::Internal("a system table has a value of an unread type".into())),
        }
    }

    /// The column so far, and an empty builder.
    pub(super) fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Bool(b) => ArrayBuilder::finish(b),
            Self::Int2(b) => ArrayBuilder::finish(b),
            Self::Int4(b) => ArrayBuilder::finish(b),
            Self::Int8(b) => ArrayBuilder::finish(b),
            Self::Float4(b) => ArrayBuilder::finish(b),
            Self::Float8(b) => ArrayBuilder::finish(b),
            Self::Oid(b) => ArrayBuilder::finish(b),
            Self::Text(b) => ArrayBuilder::finish(b),
            Self::Timestamp(b) => ArrayBuilder::finish(b),
            Self::Int2List(b) => ArrayBuilder::finish(b),
            Self::OidList(b) => ArrayBuilder::finish(b),
            Self::TextList(b) => ArrayBuilder::finish(b),
            Self::Nulls(data_type, count) => new_null_array(data_type, std::mem::take(count)),
        }
    }
}

/// Builds the rows of one system relation.
pub(super) struct Rows {
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    count: usize,
}

impl Rows {
    /// No rows yet of the columns `column_types`, which `schema` describes.
    pub(super) fn new(schema: SchemaRef, column_types: impl Iterator<Item = ColumnType>) -> Self {
        Self { schema, columns: column_types.map(ColumnBuilder::new).collect(), count: 0 }
    }

    /// Appends a row: a value for each column, in order. Columns after the last value given are NULL.
    ///
    /// # Errors
    /// An internal error when a value is not of its column's type.
    pub(super) fn push(&mut self, values: &[Value<'_>]) -> Result<()> {
        if values.len() > self.columns.len() {
            return Err(DataFusionError::Internal(format!("{} values for {} system columns", values.len(), self.columns.len())));
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.push(values.get(index).copied().unwrap_or(Value::Null)).map_err(|e| {
                DataFusionError::Internal(format!("system column {}: {}", self.schema.field(index).name(), e.strip_backtrace()))
            })?;
        }
        self.count += 1;
        Ok(())
    }

    /// Appends rows in the text form of `COPY`.
    ///
    /// # Errors
    /// When a line does not fit the columns.
    pub(super) fn push_copied(&mut self, text: &str) -> Result<()> {
        for line in text.lines() {
            let mut cells = line.split('\t');
            for column in &mut self.columns {
                let cell = cells.next().ok_or_else(|| DataFusionError::Internal("a line of a system table is too short".into()))?;
                column.push_copied(cell)?;
            }
            if cells.next().is_some() {
                return Err(DataFusionError::Internal("a line of a system table is too long".into()));
            }
            self.count += 1;
        }
        Ok(())
    }

    /// The rows as one batch.
    ///
    /// # Errors
    /// When a column that may not be NULL is.
    pub(super) fn finish(mut self) -> Result<RecordBatch> {
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        let options = datafusion::arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(self.count));
        Ok(RecordBatch::try_new_with_options(self.schema, columns, &options)?)
    }
}
