//! The two halves of a client's socket with their buffers.
//!
//! They are separate values so that a running statement can watch the reading half for a vanished client while it fills and drains
//! the writing half. An idle connection keeps hardly any memory.

use std::future::pending;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use pgwire::messages::PgWireBackendMessage;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::frontend;
use super::sqlstate::PgError;

/// Rows are written to the socket whenever this much has gathered.
const FLUSH_AT: usize = 64 << 10;
/// How much a client may send ahead while a statement runs.
const READ_AHEAD: usize = 256 << 10;
/// What an idle connection reads into.
const SMALL_READ: usize = 1 << 10;
/// What a connection in the middle of a long message reads into.
const LARGE_READ: usize = 64 << 10;
/// Buffers above this are given back when the session becomes idle.
const KEEP: usize = 4 << 10;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// What the client sent and nobody has read yet.
pub(crate) struct Input {
    reader: Reader,
    buffer: BytesMut,
}

/// A message cut out of the stream.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) body: Bytes,
}

impl Input {
    pub(crate) fn new(reader: Reader) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }

    /// Cuts the next whole message out of what has arrived.
    ///
    /// # Errors
    /// A type or length that cannot be: the stream is out of step and cannot be mended.
    pub(crate) fn take_frame(&mut self) -> Result<Option<Frame>, PgError> {
        let Some(length) = self.frame_length()? else { return Ok(None) };
        if self.buffer.len() < 1 + length {
            return Ok(None);
        }
        let kind = self.buffer[0];
        self.buffer.advance(5);
        Ok(Some(Frame { kind, body: self.buffer.split_to(length - 4).freeze() }))
    }

    /// The length field of the message that comes next, once it is known and allowed.
    fn frame_length(&self) -> Result<Option<usize>, PgError> {
        let Some(&kind) = self.buffer.first() else { return Ok(None) };
        let limit = frontend::max_length(kind).ok_or_else(|| PgError::protocol(format!("invalid frontend message type {kind}")))?;
        let Some(mut field) = self.buffer.get(1..5) else { return Ok(None) };
        let length = field.get_u32() as usize;
        if !(4..=limit).contains(&length) {
            return Err(PgError::protocol("invalid message length").hint(format!("A message of this type holds at most {limit} bytes.")));
        }
        Ok(Some(length))
    }

    /// Cuts a packet of start-up, which has a length but no type.
    ///
    /// # Errors
    /// A length outside `8..=limit`.
    pub(crate) fn take_packet(&mut self, limit: usize) -> Result<Option<BytesMut>, PgError> {
        let Some(mut field) = self.buffer.get(..4) else { return Ok(None) };
        let length = field.get_u32() as usize;
        if !(8..=limit).contains(&length) {
            return Err(PgError::protocol("invalid length of startup packet"));
        }
        if self.buffer.len() < length { Ok(None) } else { Ok(Some(self.buffer.split_to(length))) }
    }

    /// Waits for more bytes; `false` is the end of the stream. Dropping the future loses nothing.
    pub(crate) async fn fill(&mut self) -> io::Result<bool> {
        if self.buffer.is_empty() && self.buffer.capacity() > KEEP {
            self.buffer = BytesMut::new();
        }
        // Memory follows what has arrived, never what a length field promises.
        let wanted = if self.buffer.len() >= SMALL_READ { LARGE_READ } else { SMALL_READ };
        self.buffer.reserve(wanted);
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }

    /// Keeps what the client sends ahead and returns once it is gone.
    pub(crate) async fn gone(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            if !matches!(self.fill().await, Ok(true)) {
                return;
            }
        }
        pending().await
    }
}

/// What is on its way to the client.
pub(crate) struct Output {
    writer: Writer,
    pub(crate) buffer: BytesMut,
}

impl Output {
    pub(crate) fn new(writer: Writer) -> Self {
        Self { writer, buffer: BytesMut::new() }
    }

    /// Puts a message behind what waits already.
    ///
    /// # Errors
    /// When the message is longer than the protocol allows; nothing of it is kept.
    pub(crate) fn send(&mut self, message: PgWireBackendMessage) -> io::Result<()> {
        let mark = self.buffer.len();
        message.encode(&mut self.buffer).map_err(|error| {
            self.buffer.truncate(mark);
            io::Error::from(error)
        })
    }

    /// Whether enough has gathered that it must leave before more is made.
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= FLUSH_AT
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Writes what the socket takes now. Dropping the future loses nothing.
    pub(crate) async fn write_some(&mut self) -> io::Result<()> {
        if self.writer.write_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    /// Writes all there is.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while !self.buffer.is_empty() {
            self.write_some().await?;
        }
        if self.buffer.capacity() > KEEP {
            self.buffer = BytesMut::new();
        }
        self.writer.flush().await
    }

    /// Tells the client that nothing more comes.
    pub(crate) async fn close(&mut self) {
        // The client may be gone already, which is as good.
        let _ = self.writer.shutdown().await;
    }
}
