//! The first part of files, cut at the end of a row.

use bytes::Bytes;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::connect::store_failure;
use crate::error::Result;

/// At most so many bytes of a table are read to infer its columns.
const TABLE_BYTES: u64 = 4 << 20;

/// At most so many files of a table are looked at.
pub(super) const TABLE_FILES: usize = 16;

/// Bytes that hold any reasonable row of names.
const HEADER_BYTES: u64 = 64 << 10;

/// Up to [`TABLE_FILES`] of `files`, spread evenly, the first and the last among them.
pub(super) fn choose(files: &[ObjectMeta]) -> Vec<&ObjectMeta> {
    if files.len() <= TABLE_FILES {
        return files.iter().collect();
    }
    (0..TABLE_FILES).map(|n| &files[n * (files.len() - 1) / (TABLE_FILES - 1)]).collect()
}

/// The share of the bytes of a table that each of `files` chosen ones may have.
pub(super) fn share(files: usize) -> u64 {
    TABLE_BYTES / u64::try_from(files.clamp(1, TABLE_FILES)).unwrap_or(1)
}

/// The whole rows among the first `limit` bytes of a file; `None` when not even one ends there.
pub(super) async fn rows(store: &dyn ObjectStore, file: &ObjectMeta, limit: u64, quote: Option<u8>) -> Result<Option<Bytes>> {
    let bytes = head(store, file, limit).await?;
    if file.size <= limit {
        return Ok(Some(bytes));
    }
    Ok(last_row_end(&bytes, quote).map(|end| bytes.slice(..end)))
}

/// What stands in the first bytes, enough for the names of a CSV file.
pub(super) async fn first_row(store: &dyn ObjectStore, file: &ObjectMeta) -> Result<Option<Bytes>> {
    rows(store, file, HEADER_BYTES, Some(b'"')).await
}

async fn head(store: &dyn ObjectStore, file: &ObjectMeta, limit: u64) -> Result<Bytes> {
    let failed = |e| store_failure(&e, file.location.as_ref());
    let range = (file.size > limit).then_some(GetRange::Bounded(0..limit));
    let options = GetOptions { range, ..GetOptions::default() };
    store.get_opts(&file.location, options).await.map_err(failed)?.bytes().await.map_err(failed)
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
