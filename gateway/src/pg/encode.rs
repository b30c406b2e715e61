//! Rows for the wire, written column by column straight from Arrow arrays.
//!
//! A batch gets one writer per column, chosen by type and format. Writing a cell is then a null check, one virtual call and the
//! bytes: no downcast, no allocation.

mod array;
mod binary;
mod column;
mod datetime;
mod float;
mod json;
mod numeric;
mod text;

#[cfg(test)]
mod tests;

use bytes::{BufMut, BytesMut};
use causeway_providers::Presentation;
use datafusion::arrow::array::{ArrayRef, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};

use super::pg_type::PgType;
use super::settings::{Settings, Zone};
use super::sqlstate::{OUT_OF_RANGE, PROTOCOL_VIOLATION, PgError};
pub(crate) use datetime::days_from_civil;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Binary,
}

impl Format {
    /// Reads the codes of a Bind: none is all text, one is for all columns.
    pub(crate) fn of_columns(codes: &[i16], columns: usize) -> Result<Vec<Format>, PgError> {
        let format = |code: &i16| match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            other => Err(PgError::new("22023", format!("unsupported format code: {other}"))),
        };
        match codes {
            [] => Ok(vec![Format::Text; columns]),
            [one] => Ok(vec![format(one)?; columns]),
            many if many.len() == columns => many.iter().map(format).collect(),
            many => Err(PgError::new(
                PROTOCOL_VIOLATION,
                format!("bind message has {} result formats but query has {columns} columns", many.len()),
            )),
        }
    }

    /// The code RowDescription has for it.
    pub(crate) fn code(self) -> i16 {
        match self {
            Format::Text => 0,
            Format::Binary => 1,
        }
    }
}

/// What of the session decides how values look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Style {
    pub(crate) zone: Zone,
    pub(crate) extra_float_digits: i32,
    pub(crate) bytea_escape: bool,
}

impl Style {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { zone: settings.time_zone(), extra_float_digits: settings.extra_float_digits(), bytea_escape: settings.bytea_escape() }
    }
}

/// Writes the rows of one result.
#[derive(Debug)]
pub(crate) struct RowEncoder {
    schema: SchemaRef,
    formats: Vec<Format>,
    style: Style,
}

impl RowEncoder {
    /// # Errors
    /// When a column's type cannot be sent.
    pub(crate) fn new(schema: SchemaRef, formats: Vec<Format>, style: Style) -> Result<Self, PgError> {
        for field in schema.fields() {
            PgType::of(field)?;
        }
        Ok(Self { schema, formats, style })
    }

    /// Chooses the writers for a batch.
    pub(crate) fn batch(&self, batch: &RecordBatch) -> Result<EncodedBatch, PgError> {
        if batch.num_columns() != self.formats.len() {
            return Err(PgError::internal(format!(
                "a batch has {} columns where {} were promised",
                batch.num_columns(),
                self.formats.len()
            )));
        }
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(batch.columns())
            .zip(&self.formats)
            .map(|((field, array), format)| self.column(field, array, *format))
            .collect::<Result<_, _>>()?;
        Ok(EncodedBatch { columns, rows: batch.num_rows(), next: 0 })
    }

    fn column(&self, field: &Field, array: &ArrayRef, format: Format) -> Result<Box<dyn Column>, PgError> {
        // A stream may choose another layout for the same values, such as views for text.
        let array = if array.data_type() == field.data_type() { array.clone() } else { flatten(array, field.data_type())? };
        column::writer(&array, field, Presentation::of(field), format, &self.style)
    }
}

/// Brings an array into another layout of the same values.
fn flatten(array: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, PgError> {
    cast(array, data_type).map_err(|error| PgError::internal(format!("{} as {data_type}: {error}", array.data_type())))
}

/// A batch on its way out, with the rows that are left.
pub(crate) struct EncodedBatch {
    columns: Vec<Box<dyn Column>>,
    rows: usize,
    next: usize,
}

impl EncodedBatch {
    /// Whether all rows have been written.
    pub(crate) fn is_done(&self) -> bool {
        self.next == self.rows
    }

    /// Leaves out the next `rows` rows, as far as there are, and says how many.
    pub(crate) fn skip(&mut self, rows: usize) -> usize {
        let skipped = rows.min(self.rows - self.next);
        self.next += skipped;
        skipped
    }

    /// Writes one DataRow. A row that fails leaves nothing behind.
    pub(crate) fn write_row(&mut self, out: &mut BytesMut) -> Result<(), PgError> {
        let start = out.len();
        let written = self.write_unchecked(start, out);
        if written.is_err() {
            out.truncate(start);
        }
        self.next += 1;
        written
    }

    fn write_unchecked(&mut self, start: usize, out: &mut BytesMut) -> Result<(), PgError> {
        out.put_u8(b'D');
        out.put_i32(0);
        let count = i16::try_from(self.columns.len()).map_err(|_| PgError::new("54011", "a result has at most 32767 columns"))?;
        out.put_i16(count);
        for column in &mut self.columns {
            write_cell(column.as_mut(), self.next, out)?;
        }
        patch_length(start + 1, start + 1, out)
    }
}

/// The writer of one column.
trait Column: Send {
    fn is_null(&self, row: usize) -> bool;

    /// Writes the value without its length; never called for a null.
    fn write(&mut self, row: usize, out: &mut BytesMut) -> Result<(), PgError>;
}

/// Writes a value with its length before it, or the length of a null.
fn write_cell(column: &mut dyn Column, row: usize, out: &mut BytesMut) -> Result<(), PgError> {
    if column.is_null(row) {
        out.put_i32(-1);
        return Ok(());
    }
    let at = out.len();
    out.put_i32(0);
    column.write(row, out)?;
    patch_length(at, at + 4, out)
}

/// Sets the length field at `at` to what was written from `from` on.
fn patch_length(at: usize, from: usize, out: &mut BytesMut) -> Result<(), PgError> {
    let length = i32::try_from(out.len() - from).map_err(|_| PgError::new("54000", "a row or value is longer than 2 GB"))?;
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

fn out_of_range(what: &str) -> PgError {
    PgError::new(OUT_OF_RANGE, format!("{what} out of range"))
}
