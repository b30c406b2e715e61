//! Decodes `COPY ... TO STDOUT (FORMAT binary)` straight into Arrow columns.
//!
//! The messages a server sends need not end where rows end: what is incomplete waits for the next one.

mod column;
mod numeric;
#[cfg(test)]
mod tests;

use bytes::{Buf, Bytes, BytesMut};
use datafusion::arrow::datatypes::{Field, SchemaRef};
use datafusion::arrow::record_batch::{RecordBatch, RecordBatchOptions};

use self::column::{Column, Room, ValueFault};
pub(super) use self::column::{DAY_MICROSECONDS, EPOCH_DAYS, EPOCH_MICROSECONDS, JSONB_FORMAT, TextForm};
pub(super) use self::numeric::bound256;
use crate::error::{Error, ErrorKind, Result, TYPE_CHANGED, VALUE_REFUSED};
use crate::sql::{BATCH_BYTES, Origin, ScanLimits, column_of, row_bytes};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
/// Signature, flags, length of the header's extension.
const HEADER: usize = 11 + 4 + 4;
/// The header of a `COPY` without flags and extension.
pub(super) const PLAIN_HEADER: &[u8; HEADER] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// The flag of a format that still has object ids, which no server we know sends.
const CRITICAL_FLAGS: u32 = 0xFFFF_0000;

/// A `COPY` stream on its way to record batches of one schema.
#[derive(Debug)]
pub(super) struct CopyDecoder {
    schema: SchemaRef,
    columns: Vec<Column>,
    /// How the texts of each column come.
    forms: Vec<TextForm>,
    /// The stored column that each one is, for errors.
    origins: Vec<Option<Origin>>,
    /// Where the fields of the row at hand lie in `input`; `None` is NULL.
    fields: Vec<Option<(usize, usize)>>,
    input: Bytes,
    rows: usize,
    bytes: usize,
    /// What each row holds beside the bytes that it came in.
    row_bytes: usize,
    limits: ScanLimits,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Rows,
    Complete,
}

/// How far the input reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// A batch is full; more input may be waiting.
    Full,
    /// All complete rows of the input are taken.
    Starved,
}

impl CopyDecoder {
    /// A decoder for rows of `schema`, in batches as `limits` say.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when a field has a type that no value can be decoded to.
    pub(super) fn new(schema: SchemaRef, limits: ScanLimits) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| {
            Column::new(field.data_type(), TextForm::Plain, Room::default()).ok_or_else(|| {
                let text = format!("column \"{}\" is wanted as {}, which is not read from PostgreSQL", field.name(), field.data_type());
                Error::new(ErrorKind::Internal, text)
            })
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            fields: Vec::with_capacity(columns.len()),
            forms: vec![TextForm::Plain; columns.len()],
            origins: Vec::new(),
            row_bytes: row_bytes(schema.fields()),
            schema,
            columns,
            input: Bytes::new(),
            rows: 0,
            bytes: 0,
            limits,
            state: State::Header,
        })
    }

    /// The same, whose errors name the stored columns in `origins`, by position, rather than those of the result.
    #[must_use]
    pub(super) fn of(mut self, origins: Vec<Option<Origin>>) -> Self {
        self.origins = origins;
        self
    }

    /// What the rows become.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// From here on the texts of each column come as `forms` says, one for each column of the schema.
    pub(super) fn expect(&mut self, forms: Vec<TextForm>) {
        for ((column, field), form) in self.columns.iter_mut().zip(self.schema.fields()).zip(&forms) {
            *column = empty(field, *form, Room::default());
        }
        self.forms = forms;
    }

    /// Adds a message. Call [`decode`](Self::decode) until it is starved before the next one.
    pub(super) fn push(&mut self, message: Bytes) {
        if self.input.is_empty() {
            self.input = message;
        } else {
            let mut joined = BytesMut::with_capacity(self.input.len() + message.len());
            joined.extend_from_slice(&self.input);
            joined.extend_from_slice(&message);
            self.input = joined.freeze();
        }
    }

    /// Takes complete rows from the input until there is none or the batch is full.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] naming the column whose value cannot be held.
    pub(super) fn decode(&mut self) -> Result<Progress> {
        if self.state == State::Header && !self.take_header()? {
            return Ok(Progress::Starved);
        }
        while self.state == State::Rows {
            if self.rows >= self.limits.batch_rows.max(1) || self.bytes >= BATCH_BYTES {
                return Ok(Progress::Full);
            }
            if !self.take_row()? {
                break;
            }
        }
        if self.state == State::Complete && !self.input.is_empty() {
            return Err(malformed("data follows the end of the result"));
        }
        Ok(Progress::Starved)
    }

    /// Rows that no batch has taken yet.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Whether the source said that this was all.
    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Expects the header of another result. Rows that no batch has taken yet stay.
    pub(super) fn restart(&mut self) {
        self.state = State::Header;
    }

    /// The rows so far as a batch.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for text that is not UTF-8; [`ErrorKind::SchemaMismatch`] with the code [`TYPE_CHANGED`] for NULL in a
    /// column that was said to have none.
    pub(super) fn take_batch(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (index, ((column, field), form)) in self.columns.iter_mut().zip(self.schema.fields()).zip(&self.forms).enumerate() {
            let room = column.room(rows);
            let named = || column_of(field, self.origins.get(index).and_then(Option::as_ref));
            let array = column.finish().map_err(|cause| {
                Error::new(ErrorKind::Invalid, format!("{} holds text that is not UTF-8", named()))
                    .code(VALUE_REFUSED)
                    .hint("the database's encoding is probably SQL_ASCII: mend the text at the source or leave the column out")
                    .because(cause)
            })?;
            if !field.is_nullable() && array.null_count() > 0 {
                let text = format!("{} holds NULL although the source declared it NOT NULL", named());
                return Err(Error::new(ErrorKind::SchemaMismatch, text).code(TYPE_CHANGED).hint("refresh the catalog of the datasource"));
            }
            // The next batch is probably as long as this one.
            *column = empty(field, *form, room);
            arrays.push(array);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(self.schema.clone(), arrays, &options)
            .map_err(|cause| Error::new(ErrorKind::Internal, "the columns of a batch do not fit its schema").because(cause))
    }

    fn take_header(&mut self) -> Result<bool> {
        let Some(header) = self.input.first_chunk::<HEADER>() else {
            return Ok(false);
        };
        let (signature, mut rest) = header.split_at(SIGNATURE.len());
        if signature != SIGNATURE || rest.get_u32() & CRITICAL_FLAGS != 0 {
            return Err(malformed("its header is not that of a binary COPY"));
        }
        let extension = rest.get_u32() as usize;
        if self.input.len() < HEADER + extension {
            return Ok(false);
        }
        self.input.advance(HEADER + extension);
        self.state = State::Rows;
        Ok(true)
    }

    /// Takes one row when it is there in full.
    fn take_row(&mut self) -> Result<bool> {
        let input = &self.input[..];
        let Some(count) = input.first_chunk::<2>() else {
            return Ok(false);
        };
        let count = i16::from_be_bytes(*count);
        if count == -1 {
            self.input.advance(2);
            self.state = State::Complete;
            return Ok(false);
        }
        // A statement for rows without columns still selects a constant, which nobody wants.
        if !self.columns.is_empty() && usize::try_from(count) != Ok(self.columns.len()) {
            return Err(malformed("a row has another number of columns than was asked for"));
        }
        self.fields.clear();
        let mut at = 2;
        for _ in 0..count {
            let Some(length) = input.get(at..).and_then(<[u8]>::first_chunk::<4>) else {
                return Ok(false);
            };
            at += 4;
            match usize::try_from(i32::from_be_bytes(*length)) {
                Ok(length) if input.len() - at < length => return Ok(false),
                Ok(length) => {
                    self.fields.push(Some((at, at + length)));
                    at += length;
                }
                Err(_) => self.fields.push(None),
            }
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            let value = self.fields[index].map(|(start, end)| &input[start..end]);
            if let Err(fault) = column.append(value) {
                return Err(self.refusal(index, fault));
            }
        }
        self.rows += 1;
        self.bytes += at + self.row_bytes;
        self.input.advance(at);
        Ok(true)
    }

    fn refusal(&self, index: usize, fault: ValueFault) -> Error {
        let name = column_of(self.schema.field(index), self.origins.get(index).and_then(Option::as_ref));
        let text = format!("{name} {}", fault.message());
        let refusal = Error::new(ErrorKind::Invalid, text).hint(fault.hint());
        if fault.is_the_values() { refusal.code(VALUE_REFUSED) } else { refusal }
    }
}

/// A column for values of `field`, whose type the decoder was made for.
fn empty(field: &Field, form: TextForm, room: Room) -> Column {
    Column::new(field.data_type(), form, room).expect("the type was accepted when the decoder was made")
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the source's result could not be read: {what}"))
}
