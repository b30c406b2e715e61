//! Lines of JSON as columns. What does not fit a column exactly is an error.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, ListArray, NullBufferBuilder, StringBuilder, StructArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};

use super::json_text::{Written, fields, items, unquoted};
use super::text_reader::{BadRow, Batch, LONGEST, TextRows};
use super::written::Scalars;
use crate::remote::Presentation;

/// Rows that are being read.
#[derive(Debug)]
pub(super) struct JsonRows {
    columns: Vec<(FieldRef, Column)>,
    places: HashMap<String, usize>,
    /// The lines that were read, where they are known.
    line: Option<usize>,
    /// So many bytes of what is read next are known to have no end of a line.
    searched: usize,
    batch: Batch,
}

impl JsonRows {
    /// Rows of these columns, whose lines are counted if they are those `from_start` of a file; `None` when one has a type that JSON
    /// lines are never inferred to have.
    pub(super) fn of(columns: &[FieldRef], from_start: bool, most_rows: usize) -> Option<Self> {
        let places = columns.iter().enumerate().map(|(place, field)| (field.name().clone(), place)).collect();
        let batch = Batch::of(columns, most_rows);
        let columns = columns.iter().map(|field| Some((Arc::clone(field), Column::of(field)?))).collect::<Option<_>>()?;
        Some(Self { columns, places, line: from_start.then_some(0), searched: 0, batch })
    }

    /// Reads a line; an empty one is no row.
    fn read_line(&mut self, bytes: &[u8]) -> Result<(), BadRow> {
        let line = std::str::from_utf8(bytes).map_err(|_| BadRow::because("it is not UTF-8"))?.trim_start_matches('\u{feff}');
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let Some(Written::Object(object)) = Written::parse(line) else { return Err(BadRow::because("it is not a JSON object")) };
        let mut values = vec![Written::Null; self.columns.len()];
        place(object, &self.places, &mut values).map_err(BadRow::because)?;
        for ((field, column), value) in self.columns.iter_mut().zip(values) {
            column.push(value).map_err(|reason| BadRow::because(reason).in_column(field.name()))?;
        }
        self.batch.add_row(bytes.len());
        Ok(())
    }
}

impl TextRows for JsonRows {
    fn read(&mut self, text: &[u8], is_end: bool) -> Result<usize, BadRow> {
        let mut start = 0;
        while !self.batch.is_full() && start < text.len() {
            let rest = &text[start..];
            let searched = std::mem::take(&mut self.searched);
            let length = match rest[searched..].iter().position(|byte| *byte == b'\n') {
                Some(length) => searched + length,
                // The last line need not end.
                None if is_end => rest.len(),
                None if rest.len() > LONGEST => {
                    return Err(BadRow::because(format!("a line is longer than {} MiB", LONGEST >> 20)));
                }
                None => {
                    self.searched = rest.len();
                    break;
                }
            };
            if let Some(line) = &mut self.line {
                *line += 1;
            }
            let read = self.read_line(&rest[..length]);
            read.map_err(|bad| bad.at(self.line.map_or_else(|| "a line".to_owned(), |line| format!("line {line}"))))?;
            start += length + 1;
        }
        Ok(start.min(text.len()))
    }

    fn batch(&self) -> &Batch {
        &self.batch
    }

    fn take(&mut self) -> (usize, Vec<ArrayRef>) {
        let rows = self.batch.take();
        (rows, self.columns.iter_mut().map(|(_, column)| column.take(rows)).collect())
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
    Scalar(Scalars),
    Json(StringBuilder),
    List { item: FieldRef, items: Box<Column>, ends: Vec<i32>, length: usize, nulls: NullBufferBuilder },
    Object { fields: Fields, columns: Vec<Column>, places: HashMap<String, usize>, nulls: NullBufferBuilder },
}

impl Column {
    fn of(field: &Field) -> Option<Self> {
        Some(match field.data_type() {
            DataType::Utf8 if Presentation::of(field) == Presentation::Json => Self::Json(StringBuilder::new()),
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
            scalar => Self::Scalar(Scalars::of(scalar)?),
        })
    }

    /// Appends a value.
    ///
    /// # Errors
    /// Why it is none of this column, for the user.
    fn push(&mut self, value: Written<'_>) -> Result<(), String> {
        match (&mut *self, value) {
            (Self::Scalar(scalars), Written::Null) => scalars.push_null(),
            (Self::Scalar(scalars), Written::String(text)) if scalars.are_texts() => {
                scalars.push(&unquoted(text).ok_or("a text is not Unicode")?)?;
            }
            (Self::Scalar(scalars), Written::Boolean(text)) if scalars.are_texts() || scalars.are_booleans() => scalars.push(text)?,
            (Self::Scalar(scalars), Written::Number(text)) if !scalars.are_booleans() => scalars.push(text)?,
            (Self::Json(builder), Written::Null) => builder.append_null(),
            (Self::Json(builder), value) => builder.append_value(value.text()),
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
            (Self::Scalar(_) | Self::List { .. } | Self::Object { .. }, other) => {
                return Err(format!("{} is no {}", kind(other), self.name()));
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Scalar(scalars) => scalars.name(),
            Self::Json(_) => "json",
            Self::List { .. } => "array",
            Self::Object { .. } => "object",
        }
    }

    fn take(&mut self, rows: usize) -> ArrayRef {
        match self {
            Self::Scalar(scalars) => scalars.take(),
            Self::Json(builder) => Arc::new(builder.finish()),
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
    fn shown(sample: &str, lines: &str) -> Result<Vec<String>, BadRow> {
        let mut columns = JsonColumns::default();
        columns.look_at_lines(sample.as_bytes()).unwrap();
        let schema = Arc::new(columns.schema().unwrap());
        let mut rows = JsonRows::of(schema.fields(), false, 1000).unwrap();
        lines.lines().try_for_each(|line| rows.read_line(line.as_bytes()))?;
        let (count, columns) = rows.take();
        assert_eq!(count, lines.lines().filter(|line| !line.is_empty()).count());
        let batch = RecordBatch::try_new(schema, columns).unwrap();
        assert_eq!(rows.batch().rows(), 0);
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
        let bad = |column: Option<&str>, reason: &str| {
            let bad = BadRow::because(reason);
            column.map_or(bad.clone(), |column| bad.in_column(column))
        };
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
