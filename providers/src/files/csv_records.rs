//! Records of CSV text, which may come in pieces: fields between delimiters, quoted where they hold a delimiter, a quote or a line break
//! (RFC 4180).

use std::fmt;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::text_reader::LONGEST;

/// What a text may begin with to say that it is UTF-8. The reader passes over it where it comes in one piece.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Room for fields that is kept from one record to the next.
const KEPT: usize = 1 << 20;

/// Why a text holds no further record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It goes on for too long.
    Endless,
    /// The text ends within quotes.
    Unclosed,
    /// Its bytes are no text.
    NotUtf8,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endless => write!(f, "it is longer than {} MiB, or a quote is not closed", LONGEST >> 20),
            Self::Unclosed => f.write_str("a quote is not closed"),
            Self::NotUtf8 => f.write_str("it is not UTF-8"),
        }
    }
}

/// The records of a text, one at a time. A line without anything on it is none.
#[derive(Debug)]
pub(super) struct Records {
    reader: Reader,
    /// The fields one behind the other, and room for more.
    text: Vec<u8>,
    length: usize,
    /// Where each field ends, and room for more.
    ends: Vec<usize>,
    count: usize,
    /// Whether the record is whole, so that the next one begins.
    is_whole: bool,
    has_begun: bool,
}

impl Records {
    pub(super) fn new(delimiter: u8) -> Self {
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        Self { reader, text: vec![0; 1024], length: 0, ends: vec![0; 16], count: 0, is_whole: false, has_begun: false }
    }

    /// Reads on in `text`, and leaves in it what is behind. Says whether a record is whole now. If none is, more of the text is needed,
    /// and unless it `is_end`, may come.
    pub(super) fn next(&mut self, text: &mut &[u8], is_end: bool) -> Result<bool, Broken> {
        if self.is_whole {
            (self.length, self.count, self.is_whole) = (0, 0, false);
            self.text.truncate(KEPT);
            self.text.shrink_to(KEPT);
        }
        if !self.has_begun && !is_end && text.len() < BYTE_ORDER_MARK.len() {
            return Ok(false);
        }
        self.has_begun = true;
        // To the reader, nothing is the end.
        while !text.is_empty() && !self.is_whole {
            *text = self.read(text)?;
        }
        if is_end && !self.is_whole {
            let before = self.length;
            let mut line_end: &[u8] = b"\n";
            // While the record fills its room exactly, nothing is taken.
            while !line_end.is_empty() && !self.is_whole {
                line_end = self.read(line_end)?;
            }
            // Within quotes alone it is a part of the record.
            if self.length > before {
                return Err(Broken::Unclosed);
            }
        }
        Ok(self.is_whole)
    }

    /// Reads a part of `text`; returns the rest.
    fn read<'a>(&mut self, text: &'a [u8]) -> Result<&'a [u8], Broken> {
        let (result, taken, written, ended) = self.reader.read_record(text, &mut self.text[self.length..], &mut self.ends[self.count..]);
        self.length += written;
        self.count += ended;
        match result {
            ReadRecordResult::Record => self.is_whole = true,
            ReadRecordResult::InputEmpty | ReadRecordResult::End => {}
            ReadRecordResult::OutputFull if self.length >= LONGEST => return Err(Broken::Endless),
            ReadRecordResult::OutputFull => self.text.resize(2 * self.text.len(), 0),
            ReadRecordResult::OutputEndsFull => self.ends.resize(2 * self.ends.len(), 0),
        }
        Ok(&text[taken..])
    }

    /// How many fields the record has.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The fields of the record.
    pub(super) fn fields(&self) -> Result<Fields<'_>, Broken> {
        let text = std::str::from_utf8(&self.text[..self.length]).map_err(|_| Broken::NotUtf8)?;
        let fields = Fields { text, ends: &self.ends[..self.count] };
        // Two broken fields could be valid together.
        if fields.ends.iter().all(|end| text.is_char_boundary(*end)) { Ok(fields) } else { Err(Broken::NotUtf8) }
    }
}

/// The fields of a record, without their quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(super) fn get(&self, place: usize) -> Option<&'a str> {
        let end = *self.ends.get(place)?;
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.text.get(start..end)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.ends.len()).map_while(move |place| self.get(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All records of a text that comes in pieces of so many bytes.
    fn all(text: &[u8], piece: usize) -> Result<Vec<Vec<String>>, Broken> {
        let mut records = Records::new(b',');
        let mut found = Vec::new();
        let mut keep = |records: &Records| -> Result<(), Broken> {
            found.push(records.fields()?.iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found.last().unwrap().len(), records.count());
            Ok(())
        };
        let mut pending = Vec::new();
        for piece in text.chunks(piece) {
            pending.extend_from_slice(piece);
            let mut rest = &*pending;
            while records.next(&mut rest, false)? {
                keep(&records)?;
            }
            pending = rest.to_vec();
        }
        let mut rest = &*pending;
        while records.next(&mut rest, true)? {
            keep(&records)?;
        }
        Ok(found)
    }

    #[test]
    fn records_are_the_same_in_any_pieces() {
        let long = "x".repeat(5000);
        let wide = vec!["1"; 100].join(",");
        for (text, wanted) in [
            ("a,b\n1,2\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\r\n\r\n1,2\n\n", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("a,b\r1,2", vec![vec!["a", "b"], vec!["1", "2"]]),
            ("\u{feff}a,\"b\"\"c\"\n\"1\n2\",\"\"", vec![vec!["a", "b\"c"], vec!["1\n2", ""]]),
            ("\u{feff}\"a\"\n\"x\"", vec![vec!["a"], vec!["x"]]),
            ("a", vec![vec!["a"]]),
            ("5\" pipe,é\n,", vec![vec!["5\" pipe", "é"], vec!["", ""]]),
            ("", vec![]),
            ("\n\n", vec![]),
            (&long, vec![vec![&*long]]),
            (&wide, vec![vec!["1"; 100]]),
        ] {
            for piece in [1, 2, 3, 7, 10_000] {
                assert_eq!(all(text.as_bytes(), piece).unwrap(), wanted, "{text:?} by {piece}");
            }
        }
    }

    #[test]
    fn a_record_that_fills_its_room_is_whole_at_the_end_of_the_text() {
        for length in (1000..1050).chain(2040..2050).chain(65_530..65_540) {
            let long = "x".repeat(length);
            for text in [format!("a,b\n1,{long}"), format!("a,b\n1,\"{long}\"")] {
                assert_eq!(all(text.as_bytes(), 700).unwrap(), [["a", "b"], ["1", &*long]], "{length}");
            }
            assert_eq!(all(format!("a,b\n1,\"{long}").as_bytes(), 700), Err(Broken::Unclosed), "{length}");
        }
        for width in 1..70 {
            let wide = vec!["1"; width];
            assert_eq!(all(wide.join(",").as_bytes(), 700).unwrap(), [wide], "{width}");
        }
    }

    #[test]
    fn what_is_cut_or_no_text_is_an_error() {
        for (text, wanted) in [
            (&b"a,b\n1,\"x"[..], Broken::Unclosed),
            (b"a,b\n1,\"", Broken::Unclosed),
            (b"a\n\"x\n1\n2\n", Broken::Unclosed),
            (b"a,b\n1,\xfc\n", Broken::NotUtf8),
            (b"\xc3,\xa9\n", Broken::NotUtf8),
        ] {
            for piece in [1, 1000] {
                assert_eq!(all(text, piece), Err(wanted), "{text:?}");
            }
        }
    }
}
