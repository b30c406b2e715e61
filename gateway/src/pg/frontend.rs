//! What a client sends, read with every length checked.
//!
//! pgwire's own decoders assume well-formed bodies: they read past the frame and panic on short ones, so a client could end its
//! task with a malformed Bind. Here a frame is cut out first and each field is taken only when it is there.

use bytes::{Buf, Bytes};

use super::sqlstate::{NOT_UTF8, PgError};

/// A message body of this length or more is refused before memory is taken for it.
const MAX_LARGE_MESSAGE: usize = 256 << 20;
/// The same for messages that are small by nature.
const MAX_SMALL_MESSAGE: usize = 10_000;

/// A message after start-up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrontendMessage {
    Query(String),
    Parse {
        name: String,
        query: String,
        parameter_oids: Vec<u32>,
    },
    Bind(Bind),
    Describe(Target),
    Execute {
        portal: String,
        limit: usize,
    },
    Close(Target),
    Flush,
    Sync,
    Terminate,
    FunctionCall,
    /// Copy messages outside a copy, which PostgreSQL ignores.
    Stray,
}

/// Binds parameters to a prepared statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Bind {
    pub(crate) portal: String,
    pub(crate) statement: String,
    pub(crate) parameter_formats: Vec<i16>,
    pub(crate) parameters: Vec<Option<Bytes>>,
    pub(crate) result_formats: Vec<i16>,
}

/// What Describe and Close speak of.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Statement(String),
    Portal(String),
}

/// How long a message of this type may be, its length field included; `None` is an unknown type.
pub(crate) fn max_length(kind: u8) -> Option<usize> {
    match kind {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(MAX_LARGE_MESSAGE),
        b'D' | b'E' | b'C' | b'H' | b'S' | b'X' | b'c' | b'f' | b'p' => Some(MAX_SMALL_MESSAGE),
        _ => None,
    }
}

/// Whether an error in this message is skipped over until Sync, rather than answered with ReadyForQuery.
pub(crate) fn is_extended(kind: u8) -> bool {
    matches!(kind, b'P' | b'B' | b'D' | b'E' | b'C' | b'H')
}

/// Reads the body of a frame.
pub(crate) fn decode(kind: u8, body: Bytes) -> Result<FrontendMessage, PgError> {
    let mut body = Body(body);
    let message = match kind {
        b'Q' => FrontendMessage::Query(body.string()?),
        b'P' => {
            let (name, query) = (body.string()?, body.string()?);
            let count = body.count(4)?;
            let parameter_oids = (0..count).map(|_| body.u32()).collect::<Result<_, _>>()?;
            FrontendMessage::Parse { name, query, parameter_oids }
        }
        b'B' => {
            let (portal, statement) = (body.string()?, body.string()?);
            let parameter_formats = body.formats()?;
            let count = body.count(4)?;
            let parameters = (0..count).map(|_| body.value()).collect::<Result<_, _>>()?;
            let result_formats = body.formats()?;
            FrontendMessage::Bind(Bind { portal, statement, parameter_formats, parameters, result_formats })
        }
        b'D' => FrontendMessage::Describe(body.target()?),
        b'C' => FrontendMessage::Close(body.target()?),
        b'E' => {
            let portal = body.string()?;
            // Zero and negative numbers both mean all rows.
            let limit = usize::try_from(body.u32()?.cast_signed()).unwrap_or(0);
            FrontendMessage::Execute { portal, limit }
        }
        b'H' => FrontendMessage::Flush,
        b'S' => FrontendMessage::Sync,
        b'X' => FrontendMessage::Terminate,
        b'F' => return Ok(FrontendMessage::FunctionCall),
        _ => return Ok(FrontendMessage::Stray),
    };
    if body.0.has_remaining() {
        return Err(malformed());
    }
    Ok(message)
}

fn malformed() -> PgError {
    PgError::protocol("invalid message format")
}

/// The unread rest of a message.
struct Body(Bytes);

impl Body {
    fn take(&mut self, length: usize) -> Result<Bytes, PgError> {
        if self.0.len() < length { Err(malformed()) } else { Ok(self.0.split_to(length)) }
    }

    fn u16(&mut self) -> Result<u16, PgError> {
        Ok(self.take(2)?.get_u16())
    }

    fn u32(&mut self) -> Result<u32, PgError> {
        Ok(self.take(4)?.get_u32())
    }

    /// A count of things at least `size` bytes each, which must still be there.
    fn count(&mut self, size: usize) -> Result<usize, PgError> {
        let count = usize::from(self.u16()?);
        if count * size > self.0.len() { Err(malformed()) } else { Ok(count) }
    }

    fn formats(&mut self) -> Result<Vec<i16>, PgError> {
        let count = self.count(2)?;
        (0..count).map(|_| self.u16().map(u16::cast_signed)).collect()
    }

    fn value(&mut self) -> Result<Option<Bytes>, PgError> {
        match self.u32()?.cast_signed() {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| malformed())?).map(Some),
        }
    }

    fn string(&mut self) -> Result<String, PgError> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or_else(malformed)?;
        let text = self.0.split_to(end);
        self.0.advance(1);
        String::from_utf8(text.into()).map_err(|_| PgError::new(NOT_UTF8, "invalid byte sequence for encoding \"UTF8\""))
    }

    fn target(&mut self) -> Result<Target, PgError> {
        match self.take(1)?[0] {
            b'S' => self.string().map(Target::Statement),
            b'P' => self.string().map(Target::Portal),
            other => Err(PgError::protocol(format!("invalid message subtype {other}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(kind: u8, body: &'static [u8]) -> String {
        decode(kind, Bytes::from_static(body)).expect_err("a malformed body").code
    }

    #[test]
    fn every_truncation_of_a_bind_is_refused() {
        let whole: &[u8] = b"p\0s\0\x00\x01\x00\x01\x00\x02\x00\x00\x00\x02ab\xff\xff\xff\xff\x00\x01\x00\x01";
        let bind = decode(b'B', Bytes::copy_from_slice(whole)).unwrap();
        assert_eq!(
            bind,
            FrontendMessage::Bind(Bind {
                portal: "p".into(),
                statement: "s".into(),
                parameter_formats: vec![1],
                parameters: vec![Some(Bytes::from_static(b"ab")), None],
                result_formats: vec![1],
            })
        );
        for length in 0..whole.len() {
            assert!(decode(b'B', Bytes::copy_from_slice(&whole[..length])).is_err(), "{length} bytes were accepted");
        }
    }

    #[test]
    fn lying_lengths_are_refused() {
        assert_eq!(fails(b'B', b"\0\0\x00\x00\x00\x01\x7f\xff\xff\xffab\x00\x00"), "08P01");
        assert_eq!(fails(b'B', b"\0\0\x00\x00\x00\x01\xff\xff\xff\xfeab\x00\x00"), "08P01");
        assert_eq!(fails(b'P', b"\0select 1\0\xff\xff"), "08P01");
        assert_eq!(fails(b'Q', b"no end"), "08P01");
        assert_eq!(fails(b'S', b"more"), "08P01");
        assert_eq!(fails(b'D', b"X\0"), "08P01");
    }

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(fails(b'Q', b"select '\xff'\0"), "22021");
    }
}
