//! Why a value is none that its column takes, in the words and codes of the source.

use crate::error::{Error, ErrorKind};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// Text of more characters, or bytes, than the column has.
    TooLong,
    /// A number beyond the type.
    OutOfRange,
    /// A number with more decimals than the column keeps.
    TooFine,
    /// A date or a time beyond the type.
    MomentOutOfRange,
    /// A time, or a span of time, of finer parts than the column keeps.
    MomentTooFine,
    /// Text that is no `uuid`.
    NotUuid,
    /// A value that no message holds.
    TooLarge,
    /// An array of another type than it should be.
    Other,
}

impl Misfit {
    /// The error of a value of `column`. It never tells the value.
    pub(super) fn of(self, column: &str) -> Error {
        let (kind, text, code) = match self {
            Self::TooLong => (ErrorKind::Invalid, "value too long for its type", "22001"),
            Self::OutOfRange => (ErrorKind::Invalid, "a number is out of range", "22003"),
            Self::TooFine => (ErrorKind::Invalid, "a number has more decimals than the column keeps", "22003"),
            Self::MomentOutOfRange => (ErrorKind::Invalid, "a date or time is out of range", "22008"),
            Self::MomentTooFine => (ErrorKind::Invalid, "a time has finer parts than the column keeps", "22008"),
            Self::NotUuid => (ErrorKind::Invalid, "a text is no uuid", "22P02"),
            Self::TooLarge => (ErrorKind::LimitExceeded, "a value is larger than any message", "54000"),
            Self::Other => {
                let text = format!("rows to insert have another type in column \"{column}\" than it takes");
                return Error::new(ErrorKind::Internal, text);
            }
        };
        Error::new(kind, format!("column \"{column}\": {text}")).remote_code(code)
    }
}
