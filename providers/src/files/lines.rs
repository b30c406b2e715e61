//! The lines of a part of a file: those that begin in it.

use std::ops::Range;

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt};
use object_store::Result;

use super::opened::{Opened, PIECE, Pieces, Seen};

/// So many bytes behind a part are read with it, because its last line probably ends among them; if it does not, twice as many, and so on.
const BEHIND: u64 = 16 << 10;

/// The lines of `file` that begin in `range`. They end in an error when they are not those of one content.
pub(super) fn lines(file: Opened, range: Range<u64>) -> Pieces {
    let end = range.end.min(file.size());
    if range.start >= end {
        return futures::stream::empty().boxed();
    }
    // Whether a line begins with the part is told by the byte before it.
    let start = range.start.saturating_sub(1);
    let read_to = end.saturating_add(BEHIND).min(file.size());
    let pieces = file.part(start..read_to, PIECE);
    let lines =
        Lines { file, pieces, at: start, read_to, end, behind: BEHIND, has_begun: range.start == 0, is_done: false, seen: Seen::default() };
    futures::stream::try_unfold(lines, |mut lines| async move { Ok(lines.next().await?.map(|piece| (piece, lines))) }).boxed()
}

struct Lines {
    file: Opened,
    pieces: Pieces,
    /// Where the next piece begins, and where the last one ends.
    at: u64,
    read_to: u64,
    /// Where the part ends.
    end: u64,
    behind: u64,
    /// Whether the first line has begun.
    has_begun: bool,
    /// Whether the last line has ended.
    is_done: bool,
    seen: Seen,
}

impl Lines {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while !self.is_done {
            let Some(mut piece) = self.pieces.try_next().await? else {
                if self.read_to >= self.file.size() {
                    break;
                }
                self.behind *= 2;
                let from = self.read_to;
                self.read_to = from.saturating_add(self.behind).min(self.file.size());
                self.pieces = self.file.part(from..self.read_to, PIECE);
                continue;
            };
            self.seen.note(self.at, &piece);
            let mut from = self.at;
            self.at += length(piece.len());
            if !self.has_begun {
                let first = line_end(&piece, 0);
                self.has_begun = first.is_some();
                let skipped = first.unwrap_or(piece.len());
                piece.advance(skipped);
                from += length(skipped);
                // A line that goes on behind the part, or begins there, is the next one's.
                self.is_done = from >= self.end;
                if self.is_done || !self.has_begun {
                    continue;
                }
            }
            if self.at >= self.end {
                // The last byte of the part may be the end of its last line.
                let last = usize::try_from((self.end - 1).saturating_sub(from)).unwrap_or(usize::MAX);
                if let Some(end) = line_end(&piece, last) {
                    piece.truncate(end);
                    self.is_done = true;
                }
            }
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        self.is_done = true;
        self.file.unchanged(std::mem::take(&mut self.seen)).await.map(|()| None)
    }
}

/// Where the first line ends that does not end before `from`.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    Some(from + bytes.get(from..)?.iter().position(|byte| *byte == b'\n')? + 1)
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use object_store::local::LocalFileSystem;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;

    /// The lines of all parts of `text` that are cut at these places, each part by itself.
    async fn parts(store: Arc<dyn ObjectStore>, text: &str, cuts: &[u64]) -> Vec<String> {
        let path = Path::from("t.jsonl");
        store.put(&path, text.to_owned().into()).await.unwrap();
        let mut found = Vec::new();
        for range in cuts.windows(2) {
            let file = Opened::at(&store, &path).await.unwrap();
            let pieces: Vec<Bytes> = lines(file, range[0]..range[1]).try_collect().await.unwrap();
            found.push(String::from_utf8(pieces.concat()).unwrap());
        }
        found
    }

    #[tokio::test]
    async fn each_line_is_in_the_part_that_it_begins_in() {
        let folder = tempfile::tempdir().unwrap();
        let local = || Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let text = "one\ntwo\n\nthree\nno end";
        let end = length(text.len());
        for one in 0..end {
            for other in one..end {
                // Where a line begins, the part before has all the lines before it.
                let begins = |at: u64| {
                    text[usize::try_from(at).unwrap()..].len() == text.len() || text.as_bytes()[usize::try_from(at).unwrap() - 1] == b'\n'
                };
                let up_to = |at: u64| (at..end).find(|at| begins(*at)).unwrap_or(end);
                let cut = |from: u64, to: u64| text[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()].to_owned();
                let wanted = [cut(0, up_to(one)), cut(up_to(one), up_to(other)), cut(up_to(other), end)];
                let cuts = [0, one, other, u64::MAX];
                assert_eq!(parts(Arc::new(InMemory::new()), text, &cuts).await, wanted, "{cuts:?}");
                assert_eq!(parts(local(), text, &cuts).await, wanted, "{cuts:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_line_may_end_far_behind_its_part() {
        let folder = tempfile::tempdir().unwrap();
        let (long, short) = ("x".repeat(300_000), "short\n".repeat(10));
        let text = format!("{short}{long}\n{short}");
        for store in [Arc::new(InMemory::new()) as Arc<dyn ObjectStore>, Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap())]
        {
            let found = parts(store, &text, &[0, 100, 200_000, 300_061, u64::MAX]).await;
            assert_eq!(found, [format!("{short}{long}\n"), String::new(), String::new(), short.clone()]);
        }
    }

    #[tokio::test]
    async fn parts_are_of_the_file_that_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::from("t.jsonl");
        let read = |file: Opened| async move { lines(file, 2..u64::MAX).try_collect::<Vec<Bytes>>().await.map(|pieces| pieces.concat()) };
        // A store tells that it has another file by now.
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        store.put(&path, "1\n2\n3\n".into()).await.unwrap();
        let opened = Opened::at(&store, &path).await.unwrap();
        store.put(&path, "4\n5\n6\n".into()).await.unwrap();
        assert!(matches!(read(opened).await, Err(object_store::Error::Precondition { .. })));
        // A local one is the same file when it has no name any more.
        let store: Arc<dyn ObjectStore> = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        store.put(&path, "1\n2\n3\n".into()).await.unwrap();
        let opened = Opened::at(&store, &path).await.unwrap();
        store.put(&path, "4\n5\n6\n".into()).await.unwrap();
        assert_eq!(read(opened).await.unwrap(), b"2\n3\n");
    }
}
