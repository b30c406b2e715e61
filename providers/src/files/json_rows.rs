//! Lines of JSON as columns. What does not fit a column exactly is an error.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Decimal256Builder, Float64Builder, Int64Builder, ListArray, NullBufferBuilder, StringBuilder, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::json_text::{Written, fields, items, unquoted};
use super::number::NUMERIC;
use super::written;
use crate::remote::Presentation;

/// Why a line is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine {
    /// The column, when it is about one.
    pub(super) column: Option<String>,
    /// Why, for the user, without the value.
    pub(super) reason: String,
}

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct JsonRows {
    columns: Vec<(FieldRef, Column)>,
    places: HashMap<String, usize>,
    rows: usize,
}

impl JsonRows {
    /// Rows of these columns; `None` when one has a type that JSON lines are never inferred to have.
    pub(super) fn of(columns: &[FieldRef]) -> Option<Self> {
        let places = columns.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect();
        let columns = columns.iter().map(|field| Some((Arc::clone(field), Column::of(field)?))).collect::<Option<_>>()?;
        Some(Self { columns, places, rows: 0 })
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Reads a line; an empty one is no row.
    pub(super) fn read(&mut self, line: &[u8]) -> Result<(), BadLine> {
        let bad = |reason: &str| BadLine { column: None, reason: reason.to_owned() };
        let line = std::str::from_utf8(line).map_err(|_| bad("it is not UTF-8"))?.trim_start_matches('\u{feff}');
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let Some(Written::Object(object)) = Written::parse(line) else { return Err(bad("it is not a JSON object")) };
        let mut values = vec![Written::Null; self.columns.len()];
        place(object, &self.places, &mut values).map_err(|reason| bad(&reason))?;
        for ((field, column), value) in self.columns.iter_mut().zip(values) {
            column.push(value).map_err(|reason| BadLine { column: Some(field.name().clone()), reason })?;
        }
        self.rows += 1;
        Ok(())
    }

    /// The columns of the rows so far; reading goes on with none.
    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        let rows = std::mem::take(&mut self.rows);
        self.columns.iter_mut().map(|(_, column)| column.take(rows)).collect()
    }
}

/// Puts the fields of an object where they belong; others are left out.
fn place<'a>(object: &'a str, places: &HashMap<String, usize>, values: &mut [Written<'a>]) -> Result<(), String> {
    for (name, value) in fields(object) {
        let name = unquoted(name).ok_or("a name in it is not Unicode")?;
        if let Some(place) = places.get(name.as_ref()) {
            values[*place] = value;
        }
    }
    Ok(())
}

/// A column that is being read.
#[derive(Debug)]
enum Column {
    Boolean(BooleanBuilder),
    Bigint(Int64Builder),
    Double(Float64Builder),
    Numeric(Decimal256Builder),
    Text(StringBuilder),
    Json(StringBuilder),
    List { item: FieldRef, items: Box<Column>, ends: Vec<i32>, length: usize, nulls: NullBufferBuilder },
    Object { fields: Fields, columns: Vec<Column>, places: HashMap<String, usize>, nulls: NullBufferBuilder },
}

impl Column {
    fn of(field: &Field) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Utf8 if Presentation::of(field) == Presentation::Json => Self::Json(StringBuilder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int64 => Self::Bigint(Int64Builder::new()),
            DataType::Float64 => Self::Double(Float64Builder::new()),
            numeric if *numeric == NUMERIC => Self::Numeric(Decimal256Builder::new().with_data_type(NUMERIC)),
            DataType::List(item) => Self::List {
                item: Arc::clone(item),
                items: Box::new(Self::of(item)?),
                ends: Vec::new(),
                length: 0,
                nulls: NullBufferBuilder::new(0),
            },
            DataType::Struct(fields) => Self::Object {
                fields: fields.clone(),
                columns: fields.iter().map(|field| Self::of(field)).collect::<Option<_>>()?,
                places: fields.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect(),
                nulls: NullBufferBuilder::new(0),
            },
            _ => return None,
        })
    }

    /// Appends a value.
    ///
    /// # Errors
    /// Why it is none of this column, for the user.
    fn push(&mut self, value: Written<'_>) -> Result<(), String> {
        match (&mut *self, value) {
            (Self::Boolean(builder), Written::Null) => builder.append_null(),
            (Self::Boolean(builder), Written::Boolean(text)) => builder.append_value(text == "true"),
            (Self::Bigint(builder), Written::Null) => builder.append_null(),
            (Self::Bigint(builder), Written::Number(text)) => builder.append_value(exact(text, &DataType::Int64, written::bigint)?),
            (Self::Double(builder), Written::Null) => builder.append_null(),
            (Self::Double(builder), Written::Number(text)) => builder.append_value(exact(text, &DataType::Float64, written::double)?),
            (Self::Numeric(builder), Written::Null) => builder.append_null(),
            (Self::Numeric(builder), Written::Number(text)) => builder.append_value(exact(text, &NUMERIC, written::numeric)?),
            (Self::Text(builder) | Self::Json(builder), Written::Null) => builder.append_null(),
            (Self::Json(builder), value) => builder.append_value(value.text()),
            (Self::Text(builder), Written::String(text)) => builder.append_value(unquoted(text).ok_or("a text is not Unicode")?),
            (Self::Text(builder), Written::Number(text) | Written::Boolean(text)) => builder.append_value(text),
            (Self::List { ends, length, nulls, .. }, Written::Null) => {
                nulls.append_null();
                ends.push(offset(*length)?);
            }
            (Self::List { items: values, ends, length, nulls, .. }, Written::Array(array)) => {
                for item in items(array) {
                    values.push(item)?;
                    *length += 1;
                }
                nulls.append_non_null();
                ends.push(offset(*length)?);
            }
            (Self::Object { columns, nulls, .. }, Written::Null) => {
                nulls.append_null();
                columns.iter_mut().try_for_each(|column| column.push(Written::Null))?;
            }
            (Self::Object { columns, places, nulls, .. }, Written::Object(object)) => {
                let mut values = vec![Written::Null; columns.len()];
                place(object, places, &mut values)?;
                nulls.append_non_null();
                columns.iter_mut().zip(values).try_for_each(|(column, value)| column.push(value))?;
            }
            (
                Self::Boolean(_)
                | Self::Bigint(_)
                | Self::Double(_)
                | Self::Numeric(_)
                | Self::Text(_)
                | Self::List { .. }
                | Self::Object { .. },
                other,
            ) => return Err(format!("{} is no {}", kind(other), self.name())),
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Bigint(_) => "bigint",
            Self::Double(_) => "double precision",
            Self::Numeric(_) => "numeric",
            Self::Text(_) => "text",
            Self::Json(_) => "json",
            Self::List { .. } => "array",
            Self::Object { .. } => "object",
        }
    }

    fn take(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Bigint(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Numeric(builder) => Arc::new(builder.finish()),
            Self::Text(builder) | Self::Json(builder) => Arc::new(builder.finish()),
            Self::List { item, items, ends, length, nulls } => {
                let values = items.take(std::mem::take(length));
                let offsets = std::iter::once(0).chain(std::mem::take(ends)).collect::<Vec<i32>>();
                Arc::new(ListArray::new(Arc::clone(item), OffsetBuffer::new(offsets.into()), values, nulls.finish()))
            }
            Self::Object { fields, columns, nulls, .. } => {
                let columns = columns.iter_mut().map(|column| column.take(rows)).collect();
                let objects = StructArray::try_new_with_length(fields.clone(), columns, nulls.finish(), rows);
                Arc::new(objects.expect("each value was put into all columns"))
            }
        }
    }
}

fn exact<V>(text: &str, data_type: &DataType, value: impl Fn(&str) -> Option<V>) -> Result<V, String> {
    value(text).ok_or_else(|| written::misfit(text, data_type))
}

fn offset(length: usize) -> Result<i32, String> {
    i32::try_from(length).map_err(|_| "arrays have too many items together".to_owned())
}

fn kind(value: Written<'_>) -> &'static str {
    match value {
        Written::Null => "a null",
        Written::Boolean(_) => "a boolean",
        Written::Number(_) => "a number",
        Written::String(_) => "a text",
        Written::Array(_) => "an array",
        Written::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::RecordBatch;
    use datafusion::arrow::util::pretty::pretty_format_batches;

    use super::*;
    use crate::files::json_types::JsonColumns;

    /// The rows as text, with the types that they themselves tell.
    fn shown(sample: &str, lines: &str) -> Result<Vec<String>, BadLine> {
        let mut columns = JsonColumns::default();
        columns.look_at_lines(sample.as_bytes()).unwrap();
        let schema = Arc::new(columns.schema().unwrap());
        let mut rows = JsonRows::of(schema.fields()).unwrap();
        lines.lines().try_for_each(|line| rows.read(line.as_bytes()))?;
        assert_eq!(rows.len(), lines.lines().filter(|line| !line.is_empty()).count());
        let batch = RecordBatch::try_new(schema, rows.take()).unwrap();
        assert_eq!(rows.len(), 0);
        let printed = pretty_format_batches(&[batch]).unwrap().to_string();
        let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|");
        Ok(printed.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect())
    }

    #[test]
    fn rows_are_what_is_written() {
        let same = |lines: &str| shown(lines, lines).unwrap();
        assert_eq!(same("{\"a\": 1, \"b\": \"x\\u0021\"}\n\n{\"b\": null, \"a\": -2, \"a\": 3}")[1], "3|");
        assert_eq!(same("{\"a\": 9007199254740993}\n{\"a\": 0.5}")[0], format!("9007199254740993.{}", "0".repeat(38)));
        assert_eq!(same("{\"a\": 1e400}\n{\"a\": 1}"), ["1e400", "1"]);
        assert_eq!(same("{\"a\": 1.0}\n{\"a\": \"x\"}\n{\"a\": true}"), ["1.0", "x", "true"]);
        assert_eq!(same("{\"a\": {\"b\":  [1.0]}}\n{\"a\": \"x\"}\n{\"a\": null}\n{}"), ["{\"b\":  [1.0]}", "\"x\"", "", ""]);
        assert_eq!(same("{\"a\": [1, null]}\n{\"a\": []}\n{\"a\": null}\n{\"a\": [2, 3]}"), ["[1, ]", "[]", "", "[2, 3]"]);
        assert_eq!(same("{\"a\": [{\"b\": 1}, {}]}\n{}\n{\"a\": [null]}"), ["[{b: 1}, {b: }]", "", "[]"]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let bad = |column: Option<&str>, reason: &str| BadLine { column: column.map(str::to_owned), reason: reason.to_owned() };
        for (sample, line, wanted) in [
            ("{\"a\": 1}", "{\"a\": 1.5}", bad(Some("a"), "a value is no bigint")),
            ("{\"a\": 1}", "{\"a\": 9223372036854775808}", bad(Some("a"), "a value is no bigint")),
            ("{\"a\": 1}", "{\"a\": \"1\"}", bad(Some("a"), "a text is no bigint")),
            ("{\"a\": 1.5}", "{\"a\": 9007199254740993}", bad(Some("a"), "a number has more digits than double precision keeps")),
            ("{\"a\": [1.5]}", "{\"a\": [9007199254740993]}", bad(Some("a"), "a number has more digits than double precision keeps")),
            ("{\"a\": {\"b\": 1}}", "{\"a\": {\"b\": {}}}", bad(Some("a"), "an object is no bigint")),
            ("{\"a\": \"x\"}", "{\"a\": []}", bad(Some("a"), "an array is no text")),
            ("{\"a\": \"x\"}", "{\"a\": \"\\ud800\"}", bad(Some("a"), "a text is not Unicode")),
            ("{\"a\": 1}", "{\"a\": 1", bad(None, "it is not a JSON object")),
            ("{\"a\": 1}", "[]", bad(None, "it is not a JSON object")),
        ] {
            assert_eq!(shown(sample, line), Err(wanted), "{line}");
        }
    }
}
