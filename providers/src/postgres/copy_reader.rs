//! Reads the rows of one `COPY` after another and says when a batch should leave.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use datafusion::arrow::record_batch::RecordBatch;
use futures::Stream;
use tokio::time::{Instant, Sleep, sleep};
use tokio_postgres::{CopyOutStream, Error as DriverError};

use super::copy_binary::{CopyDecoder, Progress};
use crate::error::{Error, ErrorKind, Result};

/// How long the source may pause before a batch that is not full leaves. The first batch leaves at the first pause of any length.
const LINGER: Duration = Duration::from_millis(5);

/// A decoder and what it has read of the `COPY` at hand.
pub(super) struct CopyReader {
    decoder: CopyDecoder,
    linger: Pin<Box<Sleep>>,
    pause: Pause,
}

/// What a pause of the source means to the rows at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// No batch has left yet: they leave at once.
    First,
    /// They wait for more, but not long.
    Unseen,
    /// They are waiting.
    Seen,
}

/// What there is after reading on.
pub(super) enum Step {
    /// These rows should leave.
    Batch(RecordBatch),
    /// The result is complete. Its last rows are in [`CopyReader::rest`].
    End,
}

/// Why rows cannot be read.
pub(super) enum ReadError {
    Driver(DriverError),
    /// They are not what they should be.
    Value(Error),
}

impl From<DriverError> for ReadError {
    fn from(error: DriverError) -> Self {
        ReadError::Driver(error)
    }
}

impl CopyReader {
    pub(super) fn new(decoder: CopyDecoder) -> Self {
        Self { decoder, linger: Box::pin(sleep(LINGER)), pause: Pause::First }
    }

    /// What decodes the rows.
    pub(super) fn decoder(&mut self) -> &mut CopyDecoder {
        &mut self.decoder
    }

    /// Reads until a batch should leave or the result is complete.
    pub(super) async fn step(&mut self, rows: &mut Pin<Box<CopyOutStream>>) -> Result<Step, ReadError> {
        if !std::future::poll_fn(|context| self.poll_batch(rows, context)).await? {
            return Ok(Step::End);
        }
        self.pause = Pause::Unseen;
        self.decoder.take_batch().map(Step::Batch).map_err(ReadError::Value)
    }

    /// Makes ready for the next `COPY`. Rows of the last one that are in no batch yet stay.
    pub(super) fn restart(&mut self) {
        self.decoder.restart();
    }

    /// The rows that are in no batch yet, if there are any.
    ///
    /// # Errors
    /// As [`CopyDecoder::take_batch`].
    pub(super) fn rest(&mut self) -> Result<Option<RecordBatch>> {
        (self.decoder.rows() > 0).then(|| self.decoder.take_batch()).transpose()
    }

    /// Whether there are rows for a batch rather than the end.
    fn poll_batch(&mut self, rows: &mut Pin<Box<CopyOutStream>>, context: &mut Context<'_>) -> Poll<Result<bool, ReadError>> {
        loop {
            if self.decoder.decode().map_err(ReadError::Value)? == Progress::Full {
                return Poll::Ready(Ok(true));
            }
            match rows.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(message))) => self.decoder.push(message),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(ReadError::Driver(error))),
                Poll::Ready(None) if self.decoder.is_complete() => return Poll::Ready(Ok(false)),
                Poll::Ready(None) => {
                    let text = "lost the connection while reading: the source ended the result before it was complete";
                    return Poll::Ready(Err(ReadError::Value(Error::new(ErrorKind::Unreachable, text).hint("try again"))));
                }
                Poll::Pending => break,
            }
        }
        if self.decoder.rows() == 0 {
            return Poll::Pending;
        }
        if self.pause == Pause::Unseen {
            self.linger.as_mut().reset(Instant::now() + LINGER);
            self.pause = Pause::Seen;
        }
        if self.pause == Pause::Seen {
            ready!(self.linger.as_mut().poll(context));
        }
        Poll::Ready(Ok(true))
    }
}
