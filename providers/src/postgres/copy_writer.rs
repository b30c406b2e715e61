//! Writes rows in the source's own forms of their types: many for `COPY ... FROM STDIN`, or value by value as parameters.
//!
//! What is written reads back as it was. A type whose binary form is not known here takes the text it prints; one such column and a
//! `COPY` is text throughout. A value that the source would cut or round without a word is an error.

mod limit;
mod misfit;
mod numeric;
mod text;
mod value;

use std::error::Error as StdError;

use bytes::{BufMut, Bytes, BytesMut};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::record_batch::RecordBatch;
use tokio_postgres::Column as Described;
use tokio_postgres::types::{Format, IsNull, ToSql, Type, to_sql_checked};

use self::limit::Limit;
pub(super) use self::value::Values;
use self::value::{BinaryForm, sized};
use super::copy_binary::PLAIN_HEADER;
use super::type_mapping::{NumericPolicy, map};
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED};
use crate::remote::RemoteColumn;

/// Writes the rows of some columns of a table.
#[derive(Debug)]
pub(super) struct RowWriter {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    data_type: DataType,
    /// `None` when it takes only text.
    binary: Option<BinaryForm>,
    limit: Limit,
}

/// The form of a whole `COPY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CopyForm {
    Binary,
    Text,
}

impl CopyForm {
    /// Its name in SQL.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Text => "text",
        }
    }
}

impl RowWriter {
    /// A writer for `columns`, which the source describes now as `described` says.
    ///
    /// # Errors
    /// `SchemaMismatch` with the code [`TYPE_CHANGED`], naming the first column that is read as another type now.
    pub(super) fn new(columns: &[&RemoteColumn], described: &[Described], policy: NumericPolicy) -> Result<Self> {
        let column = |(column, described): (&&RemoteColumn, &Described)| {
            let (remote, modifier) = (described.type_(), described.type_modifier());
            if map(remote.oid(), modifier, None, policy).data_type != column.data_type {
                let text = format!("column \"{}\" is {} at the source now, which is another type", column.name, remote.name());
                return Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"));
            }
            Ok(Column {
                name: column.name.clone(),
                data_type: column.data_type.clone(),
                binary: BinaryForm::of(&column.data_type, remote),
                limit: Limit::of(remote, modifier),
            })
        };
        Ok(Self { columns: columns.iter().zip(described).map(column).collect::<Result<_>>()? })
    }

    /// The form that a `COPY` of all columns needs.
    pub(super) fn copy_form(&self) -> CopyForm {
        if self.columns.iter().all(|column| column.binary.is_some()) { CopyForm::Binary } else { CopyForm::Text }
    }

    /// The columns of a batch, in the types of the table's columns.
    ///
    /// # Errors
    /// `Internal` for rows of other columns.
    pub(super) fn arrays(&self, batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let other = || Error::new(ErrorKind::Internal, "rows to insert have other columns than they are inserted into");
        if batch.num_columns() != self.columns.len() {
            return Err(other());
        }
        let array = |(column, array): (&Column, &ArrayRef)| match (&column.data_type, array.data_type()) {
            (wanted, given) if wanted == given => Ok(ArrayRef::clone(array)),
            (DataType::Utf8, DataType::LargeUtf8 | DataType::Utf8View)
            | (DataType::Binary, DataType::LargeBinary | DataType::BinaryView) => {
                cast(array, &column.data_type).map_err(|cause| other().because(cause))
            }
            // They differ in the names and the nullability of elements at most.
            (DataType::List(wanted), DataType::List(given)) if wanted.data_type() == given.data_type() => Ok(ArrayRef::clone(array)),
            _ => Err(other()),
        };
        self.columns.iter().zip(batch.columns()).map(array).collect()
    }

    /// What a `COPY` in `form` begins with.
    pub(super) fn begin(form: CopyForm, out: &mut BytesMut) {
        if form == CopyForm::Binary {
            out.put_slice(PLAIN_HEADER);
        }
    }

    /// What a `COPY` in `form` ends with.
    pub(super) fn end(form: CopyForm, out: &mut BytesMut) {
        if form == CopyForm::Binary {
            out.put_i16(-1);
        }
    }

    /// Adds a row to a `COPY` in `form`.
    ///
    /// # Errors
    /// `Invalid` for a value that the column does not take, with the SQLSTATE that says why.
    pub(super) fn copy_row(&self, form: CopyForm, values: &[Values<'_>], row: usize, out: &mut BytesMut) -> Result<()> {
        match form {
            CopyForm::Binary => self.binary_row(values, row, out),
            CopyForm::Text => self.text_row(values, row, out),
        }
    }

    fn binary_row(&self, values: &[Values<'_>], row: usize, out: &mut BytesMut) -> Result<()> {
        // No table has more than 1,600 columns.
        out.put_i16(self.columns.len() as i16);
        for (column, values) in self.columns.iter().zip(values) {
            match &column.binary {
                Some(form) if !values.is_null(row) => {
                    column.limit.check(values, row).map_err(|misfit| misfit.of(&column.name))?;
                    sized(out, |out| form.write(values, row, out)).map_err(|misfit| misfit.of(&column.name))?;
                }
                Some(_) | None => out.put_i32(-1),
            }
        }
        Ok(())
    }

    fn text_row(&self, values: &[Values<'_>], row: usize, out: &mut BytesMut) -> Result<()> {
        let mut text = Vec::new();
        for (place, (column, values)) in self.columns.iter().zip(values).enumerate() {
            if place > 0 {
                out.put_u8(b'\t');
            }
            if values.is_null(row) {
                out.put_slice(b"\\N");
                continue;
            }
            text.clear();
            column.text(values, row, &mut text)?;
            escape(&text, out);
        }
        out.put_u8(b'\n');
        Ok(())
    }

    /// The value of the column at `place` as a parameter.
    ///
    /// # Errors
    /// As [`copy_row`](Self::copy_row).
    pub(super) fn parameter(&self, place: usize, values: &Values<'_>, row: usize) -> Result<Parameter> {
        let column = &self.columns[place];
        if values.is_null(row) {
            return Ok(Parameter { value: None, is_text: false });
        }
        match &column.binary {
            Some(form) => {
                let mut value = BytesMut::new();
                column.limit.check(values, row).map_err(|misfit| misfit.of(&column.name))?;
                form.write(values, row, &mut value).map_err(|misfit| misfit.of(&column.name))?;
                Ok(Parameter { value: Some(value.freeze()), is_text: false })
            }
            None => {
                let mut text = Vec::new();
                column.text(values, row, &mut text)?;
                Ok(Parameter { value: Some(text.into()), is_text: true })
            }
        }
    }
}

impl Column {
    fn text(&self, values: &Values<'_>, row: usize, out: &mut Vec<u8>) -> Result<()> {
        self.limit.check(values, row).and_then(|()| text::write(values, row, out)).map_err(|misfit| misfit.of(&self.name))
    }
}

/// Escapes what means something in the text form of `COPY`.
fn escape(text: &[u8], out: &mut BytesMut) {
    for &byte in text {
        match byte {
            b'\\' => out.put_slice(b"\\\\"),
            b'\n' => out.put_slice(b"\\n"),
            b'\r' => out.put_slice(b"\\r"),
            b'\t' => out.put_slice(b"\\t"),
            other => out.put_u8(other),
        }
    }
}

/// A value as it travels.
#[derive(Clone)]
pub(super) struct Parameter {
    value: Option<Bytes>,
    is_text: bool,
}

impl Parameter {
    /// How much of a message it is.
    pub(super) fn size(&self) -> usize {
        size_of::<i32>() + self.value.as_ref().map_or(0, Bytes::len)
    }
}

/// The driver prints parameters.
impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameter").finish_non_exhaustive()
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        Ok(match &self.value {
            Some(value) => {
                out.put_slice(value);
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.is_text { Format::Text } else { Format::Binary }
    }

    to_sql_checked!();
}
