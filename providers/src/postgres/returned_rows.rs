//! Reads the rows that a change returns as a scan reads its own.

use std::pin::pin;

use bytes::{BufMut, BytesMut};
use datafusion::arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Column, Row, RowStream};

use super::copy_binary::{CopyDecoder, PLAIN_HEADER, Progress};
use super::described::text_forms;
use super::transaction::Ended;
use crate::changes::Returned;
use crate::error::Result;
use crate::sql::{Origin, ScanLimits};

/// How many rows a batch has at most.
const BATCH_ROWS: usize = 8192;
/// How much is read before it is decoded.
const CHUNK_BYTES: usize = 64 << 10;

/// What is returned, and whom it is for.
pub(super) struct ReturnedRows<'a> {
    returned: Returned<'a>,
    decoder: CopyDecoder,
    /// The rows that are not decoded yet, as a `COPY` of them has them.
    input: BytesMut,
}

impl<'a> ReturnedRows<'a> {
    /// Of columns whose stored columns `origins` names.
    ///
    /// # Errors
    /// As [`CopyDecoder::new`].
    pub(super) fn new(returned: Returned<'a>, origins: Vec<Option<Origin>>) -> Result<Self> {
        let decoder = CopyDecoder::new(SchemaRef::clone(&returned.schema), ScanLimits::new(None, BATCH_ROWS))?.of(origins);
        Ok(Self { returned, decoder, input: BytesMut::from(&PLAIN_HEADER[..]) })
    }

    /// Learns how the rows come, before the first of them.
    ///
    /// # Errors
    /// As [`text_forms`].
    pub(super) fn expect(&mut self, described: &[Column]) -> Result<()> {
        self.decoder.expect(text_forms(&self.returned.schema, described)?);
        Ok(())
    }

    /// Reads the rows of one statement, and gives the number of those that it changed.
    pub(super) async fn read(&mut self, rows: RowStream) -> Result<u64, Ended> {
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            self.add(&row)?;
            if self.input.len() >= CHUNK_BYTES {
                self.decode()?;
            }
        }
        self.decode()?;
        Ok(rows.rows_affected().unwrap_or_default())
    }

    /// Gives away the rows that are in no batch yet.
    pub(super) fn finish(mut self) -> Result<(), Ended> {
        if self.decoder.rows() > 0 {
            (self.returned.take)(self.decoder.take_batch()?)?;
        }
        Ok(())
    }

    fn add(&mut self, row: &Row) -> Result<(), Ended> {
        // No statement has more than 1,664 columns.
        self.input.put_i16(row.len() as i16);
        for place in 0..row.len() {
            match row.try_get::<_, Option<Raw<'_>>>(place)? {
                Some(Raw(value)) => {
                    // It came in a message whose length has 31 bits.
                    self.input.put_i32(value.len() as i32);
                    self.input.put_slice(value);
                }
                None => self.input.put_i32(-1),
            }
        }
        Ok(())
    }

    fn decode(&mut self) -> Result<(), Ended> {
        self.decoder.push(self.input.split().freeze());
        while self.decoder.decode()? == Progress::Full {
            (self.returned.take)(self.decoder.take_batch()?)?;
        }
        Ok(())
    }
}

/// The bytes of a value of any type.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
