//! Text files as batches of rows, opened whole or in part, whatever their format.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{FieldRef, Fields, SchemaRef};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileOpenFuture, FileOpener};
use datafusion::error::{DataFusionError, Result};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};

use super::compression::Compression;
use super::connect::{FileName, read_failure_in_file};
use super::csv_records::Broken;
use super::csv_rows::CsvRows;
use super::json_rows::JsonRows;
use super::lines::lines;
use super::opened::{Opened, PIECE, Pieces, SharedFile, whole};
use super::text_files::TextFormat;
use crate::error::ErrorKind;
use crate::sql::{BATCH_BYTES, row_bytes};

/// The bytes of the longest row: it is held whole while it is read. A longer one is an error.
pub(super) const LONGEST: usize = 256 << 20;

/// Rows of one format that are being made of a file's text.
pub(super) trait TextRows: Send {
    /// Reads rows from the head of `text` until they are enough for a batch, or it holds no further one. Says how many bytes are done
    /// with; the others are given again, with what comes behind them. `is_end` says that nothing does.
    ///
    /// # Errors
    /// What is wrong with a row. Nothing is read after that.
    fn read(&mut self, text: &[u8], is_end: bool) -> Result<usize, BadRow>;

    /// How much the rows are that were not taken yet.
    fn batch(&self) -> &Batch;

    /// How many rows there are, and their columns. Reading goes on with none.
    fn take(&mut self) -> (usize, Vec<ArrayRef>);
}

/// How much is in rows that are to be a batch.
#[derive(Debug)]
pub(super) struct Batch {
    most_rows: usize,
    /// What each row holds beside the bytes of its text.
    row_bytes: usize,
    rows: usize,
    bytes: usize,
}

impl Batch {
    /// A batch of these columns, of at most so many rows.
    pub(super) fn of(columns: &[FieldRef], most_rows: usize) -> Self {
        Self { most_rows, row_bytes: row_bytes(columns), rows: 0, bytes: 0 }
    }

    /// Counts a row whose values have so many bytes of text.
    pub(super) fn add_row(&mut self, text: usize) {
        self.rows += 1;
        self.bytes += self.row_bytes + text;
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= self.most_rows || self.bytes >= BATCH_BYTES
    }

    /// Begins the next one; says how many rows this one had.
    pub(super) fn take(&mut self) -> usize {
        self.bytes = 0;
        std::mem::take(&mut self.rows)
    }
}

/// Why a text is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadRow {
    /// Which one it is, where that is known.
    place: Option<String>,
    /// The column, when it is about one.
    column: Option<String>,
    /// Why, for the user, without the value.
    reason: String,
}

impl BadRow {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { place: None, column: None, reason: reason.into() }
    }

    pub(super) fn in_column(self, name: &str) -> Self {
        Self { column: Some(name.to_owned()), ..self }
    }

    pub(super) fn at(self, place: String) -> Self {
        Self { place: Some(place), ..self }
    }

    /// It quotes no value.
    fn in_file(self, file: &FileName) -> DataFusionError {
        let column = self.column.map(|column| format!("column \"{column}\""));
        let place: Vec<String> = self.place.into_iter().chain(column).collect();
        let place = if place.is_empty() { String::new() } else { format!("{}: ", place.join(", ")) };
        file.error(ErrorKind::Invalid, |path| format!("{path}: {place}{}", self.reason))
            .hint("types are inferred from the first part of a file; mend the row, or refresh the catalog if the file is a new one")
            .into()
    }
}

impl From<Broken> for BadRow {
    fn from(broken: Broken) -> Self {
        Self::because(broken.to_string())
    }
}

/// Opens the text files of a table.
pub(super) struct TextReader {
    store: Arc<dyn ObjectStore>,
    wanted: Arc<Wanted>,
}

/// What is wanted of each file.
struct Wanted {
    format: TextFormat,
    /// The columns of the batches.
    schema: SchemaRef,
    /// The columns that files have, and which of them are read.
    fields: Fields,
    read: Vec<usize>,
    /// Where each column of the batches comes from.
    columns: Vec<Origin>,
    most_rows: usize,
    table: Arc<str>,
}

/// Where the values of a column are.
enum Origin {
    /// In the file, as one of its columns that are read.
    File(usize),
    /// In the names of its folders.
    Folder(usize),
}

impl TextReader {
    /// `places` are those of the columns of `schema` among `fields`, the columns that files have, and behind them the keys of folders.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        format: TextFormat,
        schema: SchemaRef,
        fields: &Fields,
        places: &[usize],
        most_rows: usize,
        table: Arc<str>,
    ) -> Self {
        let mut read: Vec<usize> = Vec::new();
        let mut columns = Vec::with_capacity(places.len());
        for place in places {
            columns.push(match place.checked_sub(fields.len()) {
                Some(key) => Origin::Folder(key),
                // A column may be wanted twice, under two names.
                None => Origin::File(read.iter().position(|known| known == place).unwrap_or_else(|| {
                    read.push(*place);
                    read.len() - 1
                })),
            });
        }
        Self { store, wanted: Arc::new(Wanted { format, schema, fields: fields.clone(), read, columns, most_rows, table }) }
    }
}

impl Wanted {
    /// The rows of a file. Those of a part that does not begin with the file are not counted.
    fn rows(&self, is_from_start: bool) -> Result<Box<dyn TextRows>> {
        fn boxed(rows: impl TextRows + 'static) -> Box<dyn TextRows> {
            Box::new(rows)
        }
        let rows = match self.format {
            TextFormat::Csv(delimiter) => CsvRows::of(&self.fields, &self.read, delimiter, self.most_rows).map(boxed),
            TextFormat::Json => {
                let read: Vec<FieldRef> = self.read.iter().map(|place| Arc::clone(&self.fields[*place])).collect();
                JsonRows::of(&read, is_from_start, self.most_rows).map(boxed)
            }
        };
        rows.ok_or_else(|| DataFusionError::Internal("text files are never of such types".to_owned()))
    }
}

impl FileOpener for TextReader {
    fn open(&self, file: PartitionedFile) -> Result<FileOpenFuture> {
        let (store, wanted) = (Arc::clone(&self.store), Arc::clone(&self.wanted));
        let reading = async move {
            let name = FileName::new(file.object_meta.location.as_ref(), &wanted.table);
            let bytes = bytes_of(&store, &file).await.map_err(|e| read_failure_in_file(e.into(), &name))?;
            let rows = wanted.rows(file.range.as_ref().is_none_or(|range| range.start == 0))?;
            let reading = Reading { bytes, pending: BytesMut::new(), has_ended: false, rows, keys: file.partition_values, name, wanted };
            let batches =
                futures::stream::try_unfold(reading, |mut reading| async move { Ok(reading.next().await?.map(|batch| (batch, reading))) });
            Ok(batches.boxed())
        };
        Ok(reading.boxed())
    }
}

/// The text of a file, or the lines of the part that is wanted of it.
async fn bytes_of(store: &Arc<dyn ObjectStore>, file: &PartitionedFile) -> object_store::Result<Pieces> {
    let meta = &file.object_meta;
    let part = file.range.as_ref().map(|range| [range.start, range.end].map(|at| u64::try_from(at).unwrap_or_default()));
    // What is listed as its end is the end, wherever it is by now.
    match part.map(|[start, end]| start..if end >= meta.size { u64::MAX } else { end }) {
        Some(part) if part != (0..u64::MAX) => {
            let opened = match file.extension::<Arc<SharedFile>>() {
                Some(shared) => shared.opened(store, &meta.location).await?.clone(),
                None => Opened::at(store, &meta.location).await?,
            };
            Ok(lines(opened, part))
        }
        Some(_) | None => {
            let stored = whole(store, store.get(&meta.location).await?, PIECE);
            let (_, compression) = Compression::of(meta.location.as_ref());
            Ok(match compression {
                Some(compression) => compression.unpack(stored),
                None => stored,
            })
        }
    }
}

/// A file, or a part of one, that is being read.
struct Reading {
    bytes: Pieces,
    /// What was read and is not yet in rows.
    pending: BytesMut,
    has_ended: bool,
    rows: Box<dyn TextRows>,
    keys: Vec<ScalarValue>,
    name: FileName,
    wanted: Arc<Wanted>,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let done = self.rows.read(&self.pending, self.has_ended).map_err(|bad| bad.in_file(&self.name))?;
            self.pending.advance(done);
            let batch = self.rows.batch();
            if batch.is_full() || self.has_ended && batch.rows() > 0 {
                return self.batch().map(Some);
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.bytes.try_next().await.map_err(|e| read_failure_in_file(e.into(), &self.name))? {
                Some(piece) => self.pending.extend_from_slice(&piece),
                None => self.has_ended = true,
            }
        }
    }

    fn batch(&mut self) -> Result<RecordBatch> {
        let (count, own) = self.rows.take();
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
