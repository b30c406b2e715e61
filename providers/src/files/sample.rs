//! The first part of files, cut at the end of a row.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::compression::Compression;
use super::connect::store_failure;
use crate::error::Result;

/// At most so many bytes of a table are read to infer its columns.
const TABLE_BYTES: usize = 4 << 20;

/// At most so many files of a table are looked at.
pub(super) const TABLE_FILES: usize = 16;

/// Bytes that hold any reasonable row of names.
const HEADER_BYTES: usize = 64 << 10;

/// Up to [`TABLE_FILES`] of `files`, spread evenly, the first and the last among them.
pub(super) fn choose(files: &[ObjectMeta]) -> Vec<&ObjectMeta> {
    if files.len() <= TABLE_FILES {
        return files.iter().collect();
    }
    (0..TABLE_FILES).map(|n| &files[n * (files.len() - 1) / (TABLE_FILES - 1)]).collect()
}

/// The share of the bytes of a table that each of `files` chosen ones may have.
pub(super) fn share(files: usize) -> usize {
    TABLE_BYTES / files.clamp(1, TABLE_FILES)
}

/// How much a sample held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Volume {
    pub(super) rows: u64,
    /// The bytes of these rows as text.
    pub(super) unpacked: u64,
    /// The bytes they take where they are stored.
    pub(super) stored: u64,
}

impl Volume {
    pub(super) fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.unpacked += other.unpacked;
        self.stored += other.stored;
    }

    /// About how many rows a file has that takes so many bytes; `None` when nothing is known.
    pub(super) fn rows_in(&self, stored: u64) -> Option<u64> {
        self.scaled(self.rows, stored)
    }

    /// About how many bytes its text has.
    pub(super) fn unpacked_in(&self, stored: u64) -> Option<u64> {
        self.scaled(self.unpacked, stored)
    }

    fn scaled(&self, of_sample: u64, stored: u64) -> Option<u64> {
        let scaled = u128::from(of_sample) * u128::from(stored);
        u64::try_from(scaled.checked_div(u128::from(self.stored))?).ok()
    }
}

/// Rows from the beginning of a file.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// Whole rows, unpacked.
    pub(super) rows: Bytes,
    /// How many bytes they take where they are stored, about.
    stored: u64,
}

impl Sample {
    /// How much it holds, when that is so many rows.
    pub(super) fn volume(&self, rows: usize) -> Volume {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Volume { rows: count(rows), unpacked: count(self.rows.len()), stored: self.stored }
    }
}

/// The whole rows among the first `limit` bytes of a file, unpacked; `None` when not even one ends there.
pub(super) async fn rows(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize, quote: Option<u8>) -> Result<Option<Sample>> {
    let Head { bytes, stored, whole } = head(store, file, limit).await.map_err(|e| store_failure(&e, file.location.as_ref()))?;
    let end = if whole { Some(bytes.len()) } else { last_row_end(&bytes, quote) };
    Ok(end.map(|end| {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let all = Volume { rows: 0, unpacked: stored, stored: count(bytes.len()) };
        Sample { rows: bytes.slice(..end), stored: all.unpacked_in(count(end)).unwrap_or(stored) }
    }))
}

/// What stands in the first bytes, enough for the names of a CSV file.
pub(super) async fn first_row(store: &Arc<dyn ObjectStore>, file: &ObjectMeta) -> Result<Option<Bytes>> {
    Ok(rows(store, file, HEADER_BYTES, Some(b'"')).await?.map(|sample| sample.rows))
}

/// The beginning of a file.
struct Head {
    bytes: Bytes,
    /// How many bytes of the file it was unpacked from.
    stored: u64,
    /// Whether it is all there is.
    whole: bool,
}

/// The first `limit` bytes, unpacked.
async fn head(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize) -> object_store::Result<Head> {
    let (_, compression) = Compression::of(file.location.as_ref());
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    if compression.is_none() && file.size > most {
        let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..GetOptions::default() };
        match store.get_opts(&file.location, options).await {
            // A web server need not give parts of a file: its beginning is all that is read of it.
            Err(object_store::Error::NotSupported { .. }) => {}
            found => {
                let bytes = found?.bytes().await?;
                return Ok(Head { stored: u64::try_from(bytes.len()).unwrap_or(u64::MAX), bytes, whole: false });
            }
        }
    }
    let stored = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&stored);
    let count = move |piece: &Bytes| {
        counter.fetch_add(u64::try_from(piece.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
    };
    let packed = store.get_opts(&file.location, GetOptions::default()).await?.into_stream().inspect_ok(count).boxed();
    let mut pieces = match compression {
        Some(compression) => compression.unpack(packed),
        None => packed,
    };
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.try_next().await? {
        let room = limit.saturating_sub(bytes.len());
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok(Head { bytes: bytes.freeze(), stored: stored.load(Ordering::Relaxed), whole: false });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Head { bytes: bytes.freeze(), stored: stored.load(Ordering::Relaxed), whole: true })
}

/// Behind the last line break that is not within quotes.
fn last_row_end(bytes: &[u8], quote: Option<u8>) -> Option<usize> {
    let mut quoted = false;
    let mut end = None;
    for (at, byte) in bytes.iter().enumerate() {
        if Some(*byte) == quote {
            quoted = !quoted;
        } else if *byte == b'\n' && !quoted {
            end = Some(at + 1);
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_estimated_by_what_a_sample_took() {
        let mut volume = Volume { rows: 10, unpacked: 1000, stored: 100 };
        assert_eq!((volume.rows_in(100), volume.rows_in(1005), volume.unpacked_in(50)), (Some(10), Some(100), Some(500)));
        volume.add(Volume { rows: 0, unpacked: 0, stored: 100 });
        assert_eq!(volume.rows_in(100), Some(5));
        assert_eq!(Volume::default().rows_in(100), None);
    }

    #[test]
    fn rows_end_outside_of_quotes() {
        assert_eq!(last_row_end(b"a,b\n1,\"x\ny", Some(b'"')), Some(4));
        assert_eq!(last_row_end(b"a,b\n1,\"x\ny\"\nrest", Some(b'"')), Some(12));
        assert_eq!(last_row_end(b"{\"a\": \"x\n", None), Some(9));
        assert_eq!(last_row_end(b"no end", None), None);
    }
}
