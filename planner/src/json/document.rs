//! The text of a `jsonb` as PostgreSQL writes it, and the one text of all that are equal.
//!
//! Nothing here recurses: a document may be nested as deep as its text is long.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::Range;

use super::cursor::Cursor;
use super::number::Number;

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As PostgreSQL shows them: numbers keep the decimals they were given with.
    Shown,
    /// Equal ones alike: `1.0` is `1`. It is no longer than a few times the text, and no document.
    Compared,
}

/// Why a text is no `jsonb`. The text is never part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is no JSON.
    Syntax,
    /// A number has more digits than a `numeric`.
    TooLarge,
    /// A string holds `\u0000`, which no text holds.
    Nul,
}

/// A document, and in which order its members are written.
#[derive(Debug)]
pub(super) struct Document<'a> {
    text: &'a str,
    /// Objects whose members are not written as they stand, by their start.
    reordered: Vec<Object>,
    /// Where the members of those begin, each object's in their order.
    members: Vec<usize>,
    growth: u64,
}

/// Where an object begins and ends in the text, and which of the members are its own.
#[derive(Debug)]
struct Object {
    start: usize,
    end: usize,
    members: Range<usize>,
}

/// A member of an object that is being read.
struct Member<'a> {
    key: Cow<'a, str>,
    at: usize,
}

impl Member<'_> {
    /// Keys come by their length in bytes, and those of one length by their bytes.
    fn rank(&self) -> (usize, &str) {
        (self.key.len(), &self.key)
    }
}

impl<'a> Document<'a> {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is none that PostgreSQL would take.
    pub(super) fn read(text: &'a str) -> Result<Self, Fault> {
        // What follows relies on it.
        serde_json::from_str::<serde::de::IgnoredAny>(text).map_err(|_| Fault::Syntax)?;
        let mut document = Self { text, reordered: Vec::new(), members: Vec::new(), growth: 0 };
        let mut cursor = Cursor::new(text);
        // The objects around the cursor, each with its start and how many members there were before its own.
        let mut open: Vec<(usize, usize)> = Vec::new();
        let mut members: Vec<Member<'a>> = Vec::new();
        while let Some(next) = cursor.peek() {
            let at = cursor.at();
            match next {
                '{' => {
                    open.push((at, members.len()));
                    cursor.pass();
                }
                '}' => {
                    cursor.pass();
                    let (start, first) = open.pop().ok_or(Fault::Syntax)?;
                    document.close(start..cursor.at(), &mut members, first);
                }
                '[' | ']' | ',' | ':' => cursor.pass(),
                '"' => {
                    let key = cursor.string()?;
                    if cursor.peek() == Some(':') {
                        members.push(Member { key, at });
                    }
                }
                't' | 'f' | 'n' => drop(cursor.word()),
                _ => {
                    let number = cursor.number();
                    let shown = Number::read(number)?.shown_bytes();
                    document.growth = document.growth.saturating_add(shown.saturating_sub(number.len()) as u64);
                }
            }
        }
        document.reordered.sort_unstable_by_key(|object| object.start);
        Ok(document)
    }

    /// Notes the order of an object that ends, whose members are those from `first` on.
    fn close(&mut self, place: Range<usize>, members: &mut Vec<Member<'a>>, first: usize) {
        if members[first..].windows(2).any(|two| two[0].rank() >= two[1].rank()) {
            let own = &mut members[first..];
            own.sort_by(|one, other| one.rank().cmp(&other.rank()));
            let from = self.members.len();
            // Of one key the last value counts.
            let last_of_key = own.chunk_by(|one, other| one.key == other.key).filter_map(<[Member<'_>]>::last);
            self.members.extend(last_of_key.map(|member| member.at));
            self.reordered.push(Object { start: place.start, end: place.end, members: from..self.members.len() });
        }
        members.truncate(first);
    }

    /// The bytes that exponents stand for, beyond those of the text, when it is shown.
    pub(super) fn growth(&self) -> u64 {
        self.growth
    }

    /// The text of it in one form.
    ///
    /// # Errors
    /// None that reading it has not told already.
    pub(super) fn written(&self, form: Form) -> Result<String, Fault> {
        let mut into = String::with_capacity(self.text.len());
        let mut cursor = Cursor::new(self.text);
        // What is around the cursor; of an object whose order is another, its end and the members to come.
        let mut open: Vec<Option<(usize, std::slice::Iter<'_, usize>)>> = Vec::new();
        while let Some(next) = cursor.peek() {
            match (next, open.last_mut()) {
                (',' | '}', Some(Some((end, members)))) => {
                    if let Some(member) = members.next() {
                        into.push_str(", ");
                        cursor.go_to(*member);
                    } else {
                        into.push('}');
                        cursor.go_to(*end);
                        open.pop();
                    }
                }
                ('{', _) => {
                    into.push('{');
                    let found = self.reordered.binary_search_by_key(&cursor.at(), |object| object.start);
                    let reordered = found.ok().map(|at| &self.reordered[at]);
                    let mut members = reordered.map(|object| (object.end, self.members[object.members.clone()].iter()));
                    match members.as_mut().and_then(|(_, members)| members.next()) {
                        Some(member) => cursor.go_to(*member),
                        None => cursor.pass(),
                    }
                    open.push(members);
                }
                ('[', _) => {
                    into.push('[');
                    cursor.pass();
                    open.push(None);
                }
                (']' | '}', _) => {
                    into.push(next);
                    cursor.pass();
                    open.pop();
                }
                (',' | ':', _) => {
                    into.push(next);
                    into.push(' ');
                    cursor.pass();
                }
                ('"', _) => write_string(&cursor.string()?, &mut into),
                ('t' | 'f' | 'n', _) => into.push_str(cursor.word()),
                _ => Number::read(cursor.number())?.write(form, &mut into),
            }
        }
        Ok(into)
    }
}

fn write_string(text: &str, into: &mut String) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\u{8}' => into.push_str("\\b"),
            '\u{c}' => into.push_str("\\f"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            c if c < ' ' => {
                let _never_fails = write!(into, "\\u{:04x}", u32::from(c));
            }
            c => into.push(c),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, form: Form) -> Result<String, Fault> {
        Document::read(text)?.written(form)
    }

    /// Texts and what `SELECT '...'::jsonb` of PostgreSQL 15 shows for them.
    const SHOWN: [(&str, &str); 22] = [
        ("{\"b\":1,\"a\" :\t2}", "{\"a\": 2, \"b\": 1}"),
        ("{\"bb\":1,\"c\":2,\"a\":{\"z\":[],\"y\":{}}}", "{\"a\": {\"y\": {}, \"z\": []}, \"c\": 2, \"bb\": 1}"),
        ("{\"a\":1,\"a\":[1,2,{\"x\":null}]}", "{\"a\": [1, 2, {\"x\": null}]}"),
        ("{\"é\":1,\"zz\":2,\"z\":3}", "{\"z\": 3, \"zz\": 2, \"é\": 1}"),
        (" [ true ,false,\nnull ] ", "[true, false, null]"),
        ("[{\"b\":[{\"d\":1,\"c\":\":\"}],\"a\":{}},{},[]]", "[{\"a\": {}, \"b\": [{\"c\": \":\", \"d\": 1}]}, {}, []]"),
        ("{\"a\":{\"z\":1,\"y\":2},\"a\":{\"a\":1},\"b\":0}", "{\"a\": {\"a\": 1}, \"b\": 0}"),
        ("{\"b\":\"}\",\"\\u0061\":\"\\\"{\",\"a\":3}", "{\"a\": 3, \"b\": \"}\"}"),
        ("1.50", "1.50"),
        ("1e2", "100"),
        ("1.5e1", "15"),
        ("1.50E+1", "15.0"),
        ("1E-3", "0.001"),
        ("12345.678e-2", "123.45678"),
        ("0.001e2", "0.1"),
        ("-0", "0"),
        ("-0.00", "0.00"),
        ("0e5", "0"),
        ("-1.0", "-1.0"),
        ("12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("\"\\u0041\\/\\u00e9\\t\\u001f\\\"\\ud83d\\ude00\"", "\"A/é\\t\\u001f\\\"😀\""),
        ("\"\\u007f\\\\\"", "\"\u{7f}\\\\\""),
    ];

    #[test]
    fn documents_are_written_as_postgres_writes_them() {
        for (text, shown) in SHOWN {
            assert_eq!(written(text, Form::Shown).as_deref(), Ok(shown), "{text}");
            assert_eq!(written(shown, Form::Shown).as_deref(), Ok(shown), "once more is the same");
        }
        assert_eq!(written("1e131071", Form::Shown).unwrap().len(), 131_072);
    }

    #[test]
    fn equal_documents_are_compared_as_one_text() {
        for (one, other) in [("1.0", "1"), ("[1.50, 2e0]", "[1.5, 2.00]"), ("{\"a\": -0.0}", "{\"a\":0}"), ("\"1.0\"", "\"\\u0031.0\"")] {
            assert_eq!(written(one, Form::Compared), written(other, Form::Compared), "{one} {other}");
        }
        assert_ne!(written("\"1.0\"", Form::Compared), written("\"1\"", Form::Compared));
        assert_ne!(written("10", Form::Compared), written("1", Form::Compared));
    }

    #[test]
    fn what_postgres_does_not_take_is_refused() {
        for (text, fault) in [
            ("", Fault::Syntax),
            ("{\"a\":}", Fault::Syntax),
            ("01", Fault::Syntax),
            ("\"\\ud83d\"", Fault::Syntax),
            ("\"\\u0000\"", Fault::Nul),
            ("{\"\\u0000\": 1}", Fault::Nul),
            ("1e131072", Fault::TooLarge),
            ("{\"a\": 1e131072, \"a\": 1}", Fault::TooLarge),
            ("1e-16384", Fault::TooLarge),
            ("1e99999999999999999999", Fault::TooLarge),
            ("1e-9223372036854775807", Fault::TooLarge),
        ] {
            assert_eq!(written(text, Form::Shown), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_document_may_be_nested_as_deep_as_its_text_is_long() {
        const DEPTH: usize = 1_000_000;
        let arrays = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        assert!(written(&arrays, Form::Shown).unwrap() == arrays);
        // Each of these has its members in the other order, and so writes them in another than they stand in.
        let objects = |members: [&str; 2]| format!("{}{}{}", members[0].repeat(DEPTH), "1", members[1].repeat(DEPTH));
        let shown = objects(["{\"a\": 1, \"b\": ", "}"]);
        assert!(written(&objects(["{\"b\":", ",\"a\":1}"]), Form::Shown).unwrap() == shown);
        assert!(written(&shown, Form::Shown).unwrap() == shown);
        assert!(written(&shown[..shown.len() - 1], Form::Compared) == Err(Fault::Syntax));
    }

    #[test]
    fn what_a_document_grows_by_is_counted_before_it_is_written() {
        let growth = |text| Document::read(text).unwrap().growth();
        assert_eq!(growth("[1e131071, 1e131071]"), 2 * (131_072 - 8));
        assert_eq!(growth("{\"a\":[1.50, 12, -3E0]}"), 0);
        let text = format!("[{}1]", "1e131071,".repeat(3000));
        let compared = Document::read(&text).unwrap().written(Form::Compared).unwrap();
        assert!(compared.len() < 2 * text.len(), "an exponent is compared as one");
    }
}
