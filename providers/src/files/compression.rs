//! Files that are compressed as a whole: told by their names, unpacked as they are read.
//!
//! A compressed file has no parts that can be read by themselves, so it is read from its beginning by one thread.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::{Error, Result};
use tokio_util::io::{ReaderStream, StreamReader};

/// So many unpacked bytes are handed on at once.
const CHUNK: usize = 64 << 10;

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

impl Compression {
    /// The compression that the ending of a name tells, and the name without it.
    pub(super) fn of(name: &str) -> (&str, Option<Self>) {
        let Some((rest, ending)) = name.rsplit_once('.') else { return (name, None) };
        match ending.to_ascii_lowercase().as_str() {
            "gz" => (rest, Some(Self::Gzip)),
            "zst" => (rest, Some(Self::Zstd)),
            _ => (name, None),
        }
    }

    /// The bytes that were compressed. What is torn or damaged ends in an error, never early.
    pub(super) fn unpack(self, packed: BoxStream<'static, Result<Bytes>>) -> BoxStream<'static, Result<Bytes>> {
        let packed = StreamReader::new(packed.map_err(io::Error::other));
        match self {
            Self::Gzip => {
                let mut unpacked = GzipDecoder::new(packed);
                unpacked.multiple_members(true);
                ReaderStream::with_capacity(unpacked, CHUNK).map_err(failure).boxed()
            }
            Self::Zstd => {
                let mut unpacked = ZstdDecoder::new(packed);
                unpacked.multiple_members(true);
                ReaderStream::with_capacity(unpacked, CHUNK).map_err(failure).boxed()
            }
        }
    }
}

/// A compressed file that cannot be unpacked.
#[derive(Debug)]
pub(super) struct Damaged(io::Error);

impl fmt::Display for Damaged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the compressed file is damaged or incomplete")
    }
}

impl StdError for Damaged {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&self.0)
    }
}

/// The store's own error, where unpacking only passed it on.
fn failure(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => own,
        Err(error) => Error::Generic { store: "compressed file", source: Box::new(Damaged(error)) },
    }
}

#[cfg(test)]
mod tests {
    use async_compression::tokio::bufread::{GzipEncoder, ZstdEncoder};
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn packed(compression: Compression, text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        match compression {
            Compression::Gzip => GzipEncoder::new(text).read_to_end(&mut bytes).await.unwrap(),
            Compression::Zstd => ZstdEncoder::new(text).read_to_end(&mut bytes).await.unwrap(),
        };
        bytes
    }

    async fn unpacked(compression: Compression, bytes: &[u8]) -> Result<Vec<u8>> {
        // In small pieces, as a network brings them.
        let pieces: Vec<_> = bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        let chunks: Vec<Bytes> = compression.unpack(futures::stream::iter(pieces).boxed()).try_collect().await?;
        assert!(chunks.iter().all(|chunk| chunk.len() <= CHUNK), "however well it is packed");
        Ok(chunks.concat())
    }

    #[test]
    fn endings_tell_the_compression() {
        assert_eq!(Compression::of("a.csv.gz"), ("a.csv", Some(Compression::Gzip)));
        assert_eq!(Compression::of("a.b.JSON.ZST"), ("a.b.JSON", Some(Compression::Zstd)));
        assert_eq!(Compression::of("a.csv"), ("a.csv", None));
        assert_eq!(Compression::of("gz"), ("gz", None));
    }

    #[tokio::test]
    async fn all_members_are_read() {
        let (one, two) = (vec![b'x'; 3_000_000], b"and another".to_vec());
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut bytes = packed(compression, &one).await;
            bytes.extend(packed(compression, &two).await);
            assert_eq!(unpacked(compression, &bytes).await.unwrap(), [one.clone(), two.clone()].concat(), "{compression:?}");
        }
    }

    #[tokio::test]
    async fn what_is_torn_or_damaged_is_an_error() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let bytes = packed(compression, &text).await;
            for length in [1, 5, 12, bytes.len() / 2, bytes.len() - 4, bytes.len() - 1] {
                let error = unpacked(compression, &bytes[..length]).await.unwrap_err();
                assert!(error.source().is_some_and(|cause| cause.is::<Damaged>()), "{compression:?} {length}: {error:?}");
            }
            let mut damaged = bytes.clone();
            damaged[bytes.len() / 2] ^= 0xff;
            damaged[bytes.len() / 2 + 1] ^= 0xff;
            // Zstandard's checksum is the writer's choice, so what counts is only that damage is no success with other bytes than before.
            let read = unpacked(compression, &damaged).await;
            assert!(compression == Compression::Zstd || read.is_err());
        }
    }

    #[tokio::test]
    async fn the_stores_own_error_passes() {
        let lost = Error::NotFound { path: "a.gz".to_owned(), source: "gone".into() };
        let pieces = futures::stream::iter([Ok(Bytes::from(packed(Compression::Gzip, b"text").await).slice(..8)), Err(lost)]);
        let error = Compression::Gzip.unpack(pieces.boxed()).try_collect::<Vec<_>>().await.unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }), "{error:?}");
    }
}
