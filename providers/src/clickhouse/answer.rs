//! The answer to a request: record batches as they come, and whether they are all.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::buffer::Buffer;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::ipc::reader::StreamDecoder;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Response, StatusCode};

use super::failure::{Failure, Refusal};

/// So many of the last bytes are kept: the server may have begun a result when it finds that it cannot go on, and says so behind it.
const TAIL: usize = 16 << 10;
/// What each message of a stream of batches begins with.
const CONTINUATION: [u8; 4] = [0xff; 4];
/// So many bytes that make no sense are read on, in search of what the server says.
const LOST: usize = 1 << 20;

/// A result that is being read.
pub(super) struct Answer {
    body: Incoming,
    decoder: StreamDecoder,
    buffer: Buffer,
    /// What came behind the last whole batch.
    tail: Tail,
    begun: Begun,
}

/// How far it is seen that a body is a stream of batches at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// So many bytes of it came, and they could be.
    Perhaps(usize),
    Surely,
}

impl Answer {
    /// The result that `response` begins.
    ///
    /// # Errors
    /// What the server refused with, once all of that is read; or that it is none.
    pub(super) async fn of(response: Response<Incoming>) -> Result<Self, Failure> {
        let (head, body) = response.into_parts();
        let told = head.headers.get("x-clickhouse-exception-code").and_then(|code| code.to_str().ok()?.parse().ok());
        let mut answer =
            Self { body, decoder: StreamDecoder::new(), buffer: Buffer::default(), tail: Tail::default(), begun: Begun::Perhaps(0) };
        if head.status == StatusCode::OK && told.is_none() {
            return Ok(answer);
        }
        answer.skip().await?;
        Err(match (Refusal::find(&answer.tail.0), told) {
            (Some(refusal), _) => Failure::Refused(refusal),
            (None, Some(code)) => Failure::Refused(Refusal::unexplained(code)),
            (None, None) if is_unserved(head.status) => Failure::Unserved(head.status),
            (None, None) => Failure::Garbled,
        })
    }

    /// The next rows; `None` once the server has said that these were all.
    ///
    /// # Errors
    /// A result that ends otherwise.
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, Failure> {
        loop {
            while !self.buffer.is_empty() {
                match self.decoder.decode(&mut self.buffer) {
                    Ok(Some(batch)) => {
                        // A row may hold the text of an error.
                        self.tail = Tail::default();
                        self.tail.push(&self.buffer);
                        return Ok(Some(batch));
                    }
                    Ok(None) => {}
                    Err(cause) => return Err(self.is_none(Some(cause)).await),
                }
            }
            match self.receive().await? {
                Some(bytes) if !self.begins(&bytes) => return Err(self.is_none(None).await),
                Some(bytes) => self.buffer = Buffer::from(bytes),
                None if self.is_whole() => return Ok(None),
                None => return Err(Refusal::find(&self.tail.0).map_or(Failure::Cut, Failure::Refused)),
            }
        }
    }

    /// Whether the next `bytes` are still those of a stream of batches, as far as its first four say.
    fn begins(&mut self, bytes: &[u8]) -> bool {
        let Begun::Perhaps(seen) = self.begun else { return true };
        let wanted = &CONTINUATION[seen..];
        let compared = wanted.len().min(bytes.len());
        self.begun = if compared == wanted.len() { Begun::Surely } else { Begun::Perhaps(seen + compared) };
        wanted[..compared] == bytes[..compared]
    }

    /// Why what comes is no stream of batches: the server says what is wrong, or it is another one.
    async fn is_none(&mut self, cause: Option<ArrowError>) -> Failure {
        match self.skip().await {
            Ok(()) => Refusal::find(&self.tail.0).map_or(cause.map_or(Failure::Garbled, Failure::Damaged), Failure::Refused),
            Err(failure) => failure,
        }
    }

    /// Whether the mark that ends a stream of batches was the last of it. The decoder is content with an end between two batches; but
    /// only behind that mark it takes no further byte.
    fn is_whole(&mut self) -> bool {
        self.decoder.finish().is_ok() && self.decoder.decode(&mut Buffer::from(&[0_u8])).is_err()
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            // The server may hang up once it has said why.
            let frame = frame.map_err(|cause| Refusal::find(&self.tail.0).map_or(Failure::Lost(cause), Failure::Refused))?;
            if let Ok(bytes) = frame.into_data() {
                self.tail.push(&bytes);
                return Ok(Some(bytes));
            }
        }
    }

    /// Reads on, without looking at what comes.
    async fn skip(&mut self) -> Result<(), Failure> {
        let mut skipped = 0;
        while skipped < LOST {
            match self.receive().await {
                Ok(Some(bytes)) => skipped += bytes.len(),
                Ok(None) => break,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }
}

/// Whether it is what a proxy or an overloaded server says instead of an answer.
fn is_unserved(status: StatusCode) -> bool {
    status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
}

/// The last bytes of a body.
#[derive(Debug, Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(TAIL)..];
        let kept = self.0.len().min(TAIL - new.len());
        self.0.drain(..self.0.len() - kept);
        self.0.extend_from_slice(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_bytes_are_kept() {
        let mut tail = Tail::default();
        tail.push(b"abc");
        tail.push(b"def");
        assert_eq!(tail.0, b"abcdef");
        tail.push(&vec![b'x'; TAIL - 2]);
        assert_eq!((tail.0.len(), &tail.0[..3]), (TAIL, &b"efx"[..]));
        tail.push(&vec![b'y'; TAIL + 5]);
        assert!(tail.0.len() == TAIL && tail.0.iter().all(|byte| *byte == b'y'));
    }
}
