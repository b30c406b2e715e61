//! Files as of when they were opened: all of the bytes that they had then, or an error.
//!
//! A file may be cut, written over, or replaced while it is read. Rows of two contents, or of a part of one, are never an answer.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, GetResultPayload, ObjectMeta, ObjectStore, Result};
use tokio::sync::OnceCell;

/// So many bytes of a local file are worth the way to another thread.
pub(super) const PIECE: u64 = 256 << 10;

/// So many of the first and of the last bytes that were read are looked at again in a file that has grown.
const LOOKED_AT_AGAIN: usize = 4 << 10;

/// The bytes of a file, in pieces.
pub(super) type Pieces = BoxStream<'static, Result<Bytes>>;

/// All bytes of a file, those of a local one in pieces of the length `piece`. They end in [`Error::Precondition`] when they are not all, or
/// not those of one content.
pub(super) fn whole(store: &Arc<dyn ObjectStore>, found: GetResult, piece: u64) -> Pieces {
    let (opened, payload) = Opened::of(store, found);
    match payload {
        Some((pieces, range)) => opened.all_of(range, pieces),
        None => {
            let size = opened.meta.size;
            let reading = (opened.part(0..size, piece), Seen::default(), 0);
            futures::stream::try_unfold((opened, reading), |(opened, (mut pieces, mut seen, at))| async move {
                match pieces.try_next().await? {
                    Some(piece) => {
                        seen.note(at, &piece);
                        let next = at + length(&piece);
                        Ok(Some((piece, (opened, (pieces, seen, next)))))
                    }
                    None => opened.unchanged(seen).await.map(|()| None),
                }
            })
            .boxed()
        }
    }
}

/// A file that several read in parts, of the content that it has when the first of them opens it.
#[derive(Debug, Default)]
pub(super) struct SharedFile(OnceCell<Opened>);

impl SharedFile {
    pub(super) async fn opened(&self, store: &Arc<dyn ObjectStore>, location: &Path) -> Result<&Opened> {
        self.0.get_or_try_init(|| Opened::at(store, location)).await
    }
}

/// One content of a file.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// One of this machine stays what it is when another one takes its name.
    local: Option<Arc<File>>,
}

impl Opened {
    /// Looks what there is at `location`, without reading it.
    pub(super) async fn at(store: &Arc<dyn ObjectStore>, location: &Path) -> Result<Self> {
        let found = store.get_opts(location, GetOptions { head: true, ..GetOptions::default() }).await?;
        Ok(Self::of(store, found).0)
    }

    /// What was found, and its bytes where the store has begun to send them.
    fn of(store: &Arc<dyn ObjectStore>, found: GetResult) -> (Self, Option<(Pieces, Range<u64>)>) {
        let (store, meta) = (Arc::clone(store), found.meta);
        match found.payload {
            GetResultPayload::File(file, _) => (Self { store, meta, local: Some(Arc::new(file)) }, None),
            GetResultPayload::Stream(pieces) => (Self { store, meta, local: None }, Some((pieces, found.range))),
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.meta.size
    }

    /// The bytes of a part, which is within the file; those of a local one in pieces of the length `piece`.
    pub(super) fn part(&self, range: Range<u64>, piece: u64) -> Pieces {
        let opened = self.clone();
        match &self.local {
            Some(file) => {
                let file = Arc::clone(file);
                futures::stream::try_unfold(range.start, move |at| {
                    let (file, opened) = (Arc::clone(&file), opened.clone());
                    let next = range.end.min(at + piece);
                    async move {
                        if at >= next {
                            return Ok(None);
                        }
                        let read = blocking(move || read_at(&file, at..next)).await;
                        read.map(|piece| Some((piece, next))).map_err(|e| opened.failure(e))
                    }
                })
                .boxed()
            }
            None => futures::stream::once(async move {
                let options = GetOptions { range: Some(GetRange::Bounded(range.clone())), ..GetOptions::default() };
                let found = opened.store.get_opts(&opened.meta.location, options).await?;
                if !is_same(&opened.meta, &found.meta) {
                    return Err(opened.changed("it is another one than before"));
                }
                let pieces = found.into_stream();
                Ok(opened.all_of(range, pieces))
            })
            .try_flatten()
            .boxed(),
        }
    }

    /// The pieces, which must be as long together as the part that they are of.
    fn all_of(self, range: Range<u64>, pieces: Pieces) -> Pieces {
        futures::stream::try_unfold((self, pieces, range.end.saturating_sub(range.start)), |(opened, mut pieces, missing)| async move {
            match pieces.try_next().await? {
                Some(piece) => match missing.checked_sub(length(&piece)) {
                    Some(missing) => Ok(Some((piece, (opened, pieces, missing)))),
                    None => Err(opened.changed("more came than there was")),
                },
                None if missing > 0 => Err(opened.changed("it ended early")),
                None => Ok(None),
            }
        })
        .boxed()
    }

    /// Looks whether what was read is what the file held when it was opened. A store tells that with each part; a local file may have been
    /// written to. If it has grown, rows were appended where it still begins and goes on as it did.
    pub(super) async fn unchanged(&self, seen: Seen) -> Result<()> {
        let Some(file) = self.local.clone() else { return Ok(()) };
        let (size, last_modified) = (self.meta.size, self.meta.last_modified);
        let is_unchanged = blocking(move || {
            let metadata = file.metadata()?;
            if metadata.len() <= size {
                return Ok(metadata.len() == size && DateTime::<Utc>::from(metadata.modified()?) == last_modified);
            }
            for (at, bytes) in seen.0 {
                if read_at(&file, at..at + length(&bytes))? != bytes {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        if is_unchanged.await.map_err(|e| self.failure(e))? { Ok(()) } else { Err(self.changed("it was written to")) }
    }

    fn changed(&self, how: &str) -> Error {
        Error::Precondition { path: self.meta.location.to_string(), source: how.to_owned().into() }
    }

    fn failure(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.changed("it ended early"),
            _ => Error::Generic { store: "file", source: Box::new(error) },
        }
    }
}

/// What is remembered of the bytes that were read: where some are, and they.
#[derive(Debug, Default)]
pub(super) struct Seen(Vec<(u64, Bytes)>);

impl Seen {
    /// Takes note of a piece, behind those before it.
    pub(super) fn note(&mut self, at: u64, piece: &Bytes) {
        if self.0.is_empty() {
            // Not a slice: it would keep all of the piece.
            self.0.push((at, Bytes::copy_from_slice(&piece[..piece.len().min(LOOKED_AT_AGAIN)])));
        }
        let from = piece.len().saturating_sub(LOOKED_AT_AGAIN);
        self.0.truncate(1);
        self.0.push((at + length(&piece[..from]), piece.slice(from..)));
    }
}

/// Whether they are of one content.
fn is_same(one: &ObjectMeta, other: &ObjectMeta) -> bool {
    let is_same = match (&one.e_tag, &other.e_tag) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => one.last_modified == other.last_modified,
    };
    is_same && one.size == other.size
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

fn read_at(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    fill_at(file, &mut bytes, range.start)?;
    Ok(bytes.into())
}

/// Several read the same file, so none may rely on its position.
#[cfg(unix)]
fn fill_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(windows)]
fn fill_at(file: &File, mut bytes: &mut [u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, bytes, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                bytes = &mut bytes[read..];
                at += u64::try_from(read).map_err(io::Error::other)?;
            }
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
