//! Files of JSON lines, opened whole or in part.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{DataType, FieldRef, Fields, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener};
use datafusion::error::{DataFusionError, Result};
use datafusion_datasource::boundary_stream::AlignedBoundaryStream;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::{GetResult, GetResultPayload, ObjectStore, ObjectStoreExt};
use tokio_util::io::ReaderStream;

use super::connect::{FileName, read_failure_in_file};
use super::json_rows::{BadLine, JsonRows};
use super::text_files::unfit;
use crate::sql::BATCH_BYTES;

/// So many bytes of a local file are read at once.
const PIECE: usize = 256 << 10;

/// A longer line is an error: it would be held whole.
const LONGEST_LINE: usize = 256 << 20;

/// Opens files of JSON lines.
pub(super) struct JsonLines {
    store: Arc<dyn ObjectStore>,
    wanted: Arc<Wanted>,
}

/// What is wanted of each file.
struct Wanted {
    /// The columns of the batches.
    schema: SchemaRef,
    /// The columns of the files that are read.
    fields: Vec<FieldRef>,
    /// Where each column of the batches comes from.
    columns: Vec<Origin>,
    batch_size: usize,
    /// What each row holds beside the bytes of its line.
    row_bytes: usize,
    table: Arc<str>,
}

/// Where the values of a column are.
enum Origin {
    /// In the file, as one of its columns that are read.
    File(usize),
    /// In the names of its folders.
    Folder(usize),
}

impl JsonLines {
    /// `places` are those of the columns of `schema` among `files`, the columns that files have, and behind them the keys of folders.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        schema: SchemaRef,
        files: &Fields,
        places: &[usize],
        batch_size: usize,
        table: Arc<str>,
    ) -> Self {
        let mut read: Vec<usize> = Vec::new();
        let mut columns = Vec::with_capacity(places.len());
        for place in places {
            columns.push(match place.checked_sub(files.len()) {
                Some(key) => Origin::Folder(key),
                // A column may be wanted twice, under two names.
                None => Origin::File(read.iter().position(|known| known == place).unwrap_or_else(|| {
                    read.push(*place);
                    read.len() - 1
                })),
            });
        }
        let fields: Vec<FieldRef> = read.into_iter().map(|place| Arc::clone(&files[place])).collect();
        let row_bytes = fields.iter().map(|field| room(field.data_type())).sum();
        Self { store, wanted: Arc::new(Wanted { schema, fields, columns, batch_size, row_bytes, table }) }
    }
}

impl FileOpener for JsonLines {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (store, wanted) = (Arc::clone(&self.store), Arc::clone(&self.wanted));
        let reading = async move {
            let meta = &file.object_meta;
            let name = FileName::new(meta.location.as_ref(), &wanted.table);
            let place = |at: i64| u64::try_from(at).map_err(|_| DataFusionError::Internal("a file begins before its start".to_owned()));
            let bytes: BoxStream<'static, object_store::Result<Bytes>> = match &file.range {
                Some(range) => {
                    let (start, end) = (place(range.start)?, place(range.end)?);
                    let part = AlignedBoundaryStream::new(store, meta.location.clone(), start, end, meta.size, b'\n').await;
                    part.map_err(|e| read_failure_in_file(e.into(), &name))?.boxed()
                }
                None => whole(store.get(&meta.location).await.map_err(|e| read_failure_in_file(e.into(), &name))?),
            };
            // Lines of a part are not counted from the file's beginning.
            let line = file.range.as_ref().is_none_or(|range| range.start == 0).then_some(0);
            let rows = JsonRows::of(&wanted.fields);
            let rows = rows.ok_or_else(|| DataFusionError::Internal("JSON is never of such types".to_owned()))?;
            let reader = Reader {
                bytes,
                pending: BytesMut::new(),
                searched: 0,
                ended: false,
                line,
                rows,
                held: 0,
                keys: file.partition_values,
                name,
                wanted,
            };
            let batches =
                futures::stream::try_unfold(reader, |mut reader| async move { Ok(reader.next().await?.map(|batch| (batch, reader))) });
            Ok(batches.boxed())
        };
        Ok(reading.boxed())
    }
}

/// What a value takes in each row, its text or items aside.
fn room(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| room(field.data_type())).sum(),
        other => other.primitive_width().unwrap_or(4),
    }
}

/// The bytes of a file, in pieces that are worth the way to another thread.
fn whole(found: GetResult) -> BoxStream<'static, object_store::Result<Bytes>> {
    let failed = |e| object_store::Error::Generic { store: "file", source: Box::new(e) };
    match found.payload {
        GetResultPayload::File(file, _) => ReaderStream::with_capacity(tokio::fs::File::from_std(file), PIECE).map_err(failed).boxed(),
        GetResultPayload::Stream(pieces) => pieces,
    }
}

/// A file, or a part of one, that is being read.
struct Reader {
    bytes: BoxStream<'static, object_store::Result<Bytes>>,
    /// What was read and is not yet in rows.
    pending: BytesMut,
    /// So many bytes of `pending` are known to have no end of a line.
    searched: usize,
    ended: bool,
    /// The lines before `pending`, where they are known.
    line: Option<usize>,
    rows: JsonRows,
    /// How many bytes the rows were made of.
    held: usize,
    keys: Vec<ScalarValue>,
    name: FileName,
    wanted: Arc<Wanted>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.read_lines()?;
            if self.is_full() || self.ended && self.rows.len() > 0 {
                return self.batch().map(Some);
            }
            if self.ended {
                return Ok(None);
            }
            match self.bytes.try_next().await.map_err(|e| read_failure_in_file(e.into(), &self.name))? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => self.ended = true,
            }
        }
    }

    /// Reads the lines that are there, up to a batch of them. At the end of the file the last one need not end.
    fn read_lines(&mut self) -> Result<()> {
        let mut start = 0;
        while !self.is_full() && start < self.pending.len() {
            let rest = &self.pending[start..];
            let searched = std::mem::take(&mut self.searched);
            let length = match rest[searched..].iter().position(|byte| *byte == b'\n') {
                Some(length) => searched + length,
                None if self.ended => rest.len(),
                None if rest.len() > LONGEST_LINE => {
                    let reason = format!("a line is longer than {} MiB", LONGEST_LINE >> 20);
                    return Err(unfit(&self.name, &reason));
                }
                None => {
                    self.searched = rest.len();
                    break;
                }
            };
            if let Some(line) = &mut self.line {
                *line += 1;
            }
            self.rows.read(&rest[..length]).map_err(|bad| self.unfit(&bad))?;
            self.held += length + self.wanted.row_bytes;
            start += length + 1;
        }
        self.pending.advance(start.min(self.pending.len()));
        Ok(())
    }

    /// Whether the rows are enough for a batch.
    fn is_full(&self) -> bool {
        self.rows.len() >= self.wanted.batch_size || self.held >= BATCH_BYTES
    }

    fn unfit(&self, bad: &BadLine) -> DataFusionError {
        let line = self.line.map(|line| format!("line {line}"));
        let column = bad.column.as_ref().map(|column| format!("column \"{column}\""));
        let place: Vec<String> = line.into_iter().chain(column).collect();
        let place = if place.is_empty() { "a line".to_owned() } else { place.join(", ") };
        unfit(&self.name, &format!("{place}: {}", bad.reason))
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let count = self.rows.len();
        let own = self.rows.take();
        self.held = 0;
        let internal = || DataFusionError::Internal("a wanted column is not there".to_owned());
        let column = |origin: &Origin| -> Result<ArrayRef> {
            match origin {
                Origin::File(place) => own.get(*place).cloned().ok_or_else(internal),
                Origin::Folder(key) => self.keys.get(*key).ok_or_else(internal)?.to_array_of_size(count),
            }
        };
        let columns = self.wanted.columns.iter().map(column).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.wanted.schema), columns, &options)?)
    }
}
