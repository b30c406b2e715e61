//! The first part of files, cut at the end of a row.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::compression::{Compression, Unpacked};
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

/// The whole rows among the first `limit` bytes of a file, unpacked; `None` when not even one ends there.
pub(super) async fn rows(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize, quote: Option<u8>) -> Result<Option<Bytes>> {
    let (bytes, whole) = head(store, file, limit).await.map_err(|e| store_failure(&e, file.location.as_ref()))?;
    if whole { Ok(Some(bytes)) } else { Ok(last_row_end(&bytes, quote).map(|end| bytes.slice(..end))) }
}

/// What stands in the first bytes, enough for the names of a CSV file.
pub(super) async fn first_row(store: &Arc<dyn ObjectStore>, file: &ObjectMeta) -> Result<Option<Bytes>> {
    rows(store, file, HEADER_BYTES, Some(b'"')).await
}

/// The first `limit` bytes, and whether they are all there are.
async fn head(store: &Arc<dyn ObjectStore>, file: &ObjectMeta, limit: usize) -> object_store::Result<(Bytes, bool)> {
    let (_, compression) = Compression::of(file.location.as_ref());
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    if compression.is_none() && file.size > most {
        let options = GetOptions { range: Some(GetRange::Bounded(0..most)), ..GetOptions::default() };
        match store.get_opts(&file.location, options).await {
            // A web server need not give parts of a file: its beginning is all that is read of it.
            Err(object_store::Error::NotSupported { .. }) => {}
            found => return Ok((found?.bytes().await?, false)),
        }
    }
    let mut pieces = Unpacked::around(Arc::clone(store)).get_opts(&file.location, GetOptions::default()).await?.into_stream();
    let mut bytes = BytesMut::new();
    while let Some(piece) = pieces.try_next().await? {
        let room = limit.saturating_sub(bytes.len());
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok((bytes.freeze(), false));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((bytes.freeze(), true))
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
    fn rows_end_outside_of_quotes() {
        assert_eq!(last_row_end(b"a,b\n1,\"x\ny", Some(b'"')), Some(4));
        assert_eq!(last_row_end(b"a,b\n1,\"x\ny\"\nrest", Some(b'"')), Some(12));
        assert_eq!(last_row_end(b"{\"a\": \"x\n", None), Some(9));
        assert_eq!(last_row_end(b"no end", None), None);
    }
}
