//! The first part of files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::compression::Compression;
use super::connect::store_failure;
use super::opened::whole;
use crate::error::Result;

/// At most so many bytes of a table are read to infer its columns.
const TABLE_BYTES: usize = 4 << 20;

/// At most so many files of a table are looked at.
pub(super) const TABLE_FILES: usize = 16;

/// So many bytes of a local file are read at once. How many a sample took is counted in them.
const PIECE: u64 = 8 << 10;

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

/// The beginning of a file, unpacked.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) bytes: Bytes,
    /// How many bytes of the file it was unpacked from.
    stored: u64,
    /// Whether it is all there is.
    pub(super) is_whole: bool,
}

impl Head {
    /// How much its first `bytes` are, which hold so many rows.
    pub(super) fn volume(&self, rows: usize, bytes: usize) -> Volume {
        let all = Volume { rows: 0, unpacked: self.stored, stored: count(self.bytes.len()) };
        let stored = all.unpacked_in(count(bytes)).unwrap_or(self.stored);
        Volume { rows: count(rows), unpacked: count(bytes), stored }
    }

    /// The whole lines; `None` when not even one ends.
    pub(super) fn lines(&self) -> Option<&[u8]> {
        let end = if self.is_whole { self.bytes.len() } else { self.bytes.iter().rposition(|byte| *byte == b'\n')? + 1 };
        self.bytes.get(..end)
    }
}

#[cfg(test)]
impl Head {
    /// A file that is this text.
    pub(super) fn whole(text: &'static str) -> Self {
        Self { bytes: Bytes::from_static(text.as_bytes()), stored: count(text.len()), is_whole: true }
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The first `limit` bytes of a file.
pub(super) async fn head(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize) -> Result<Head> {
    read_head(store, file, limit).await.map_err(|e| store_failure(&e, file.location.as_ref()))
}

async fn read_head(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize) -> object_store::Result<Head> {
    let (_, compression) = Compression::of(file.location.as_ref());
    let most = count(limit);
    if compression.is_none() && file.size > most {
        let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..GetOptions::default() };
        match store.get_opts(&file.location, options).await {
            // A web server need not give parts of a file: its beginning is all that is read of it.
            Err(object_store::Error::NotSupported { .. }) => {}
            found => {
                let bytes = found?.bytes().await?;
                return Ok(Head { stored: count(bytes.len()), bytes, is_whole: false });
            }
        }
    }
    let stored = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&stored);
    let add = move |piece: &Bytes| {
        counter.fetch_add(count(piece.len()), Ordering::Relaxed);
    };
    let packed = whole(store, store.get_opts(&file.location, GetOptions::default()).await?, PIECE).inspect_ok(add).boxed();
    let mut pieces = match compression {
        Some(compression) => compression.unpack(packed),
        None => packed,
    };
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.try_next().await? {
        let room = limit.saturating_sub(bytes.len());
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok(Head { bytes: bytes.freeze(), stored: stored.load(Ordering::Relaxed), is_whole: false });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Head { bytes: bytes.freeze(), stored: stored.load(Ordering::Relaxed), is_whole: true })
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
    fn lines_end_where_they_are_broken() {
        let head = |text: &'static str, is_whole| Head { bytes: Bytes::from_static(text.as_bytes()), stored: 5, is_whole };
        assert_eq!(head("{}\n{\n{", false).lines(), Some(&b"{}\n{\n"[..]));
        assert_eq!(head("no end", false).lines(), None);
        assert_eq!(head("no end", true).lines(), Some(&b"no end"[..]));
        assert_eq!(head("{}\n{}\n{}\n{", false).volume(2, 5), Volume { rows: 2, unpacked: 5, stored: 2 });
    }
}
