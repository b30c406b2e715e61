//! JSON text taken apart into the texts of its values, so that a number keeps the digits it was written with.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// A value as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written<'a> {
    Null,
    Boolean(&'a str),
    Number(&'a str),
    /// With its quotes.
    String(&'a str),
    Array(&'a str),
    Object(&'a str),
}

impl<'a> Written<'a> {
    /// The only value of a text; `None` for what is not JSON.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        Some(Cursor { text, at: 0 }.value())
    }

    /// The value as it stands in the file.
    pub(super) fn text(self) -> &'a str {
        match self {
            Self::Null => "null",
            Self::Boolean(text) | Self::Number(text) | Self::String(text) | Self::Array(text) | Self::Object(text) => text,
        }
    }
}

/// What a string says, without its quotes and escapes; `None` when it is no text, as half a surrogate pair is none.
pub(super) fn unquoted(string: &str) -> Option<Cow<'_, str>> {
    let within = string.get(1..string.len().checked_sub(1)?)?;
    if within.contains('\\') { serde_json::from_str(string).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(within)) }
}

/// The items of an array.
pub(super) fn items(array: &str) -> impl Iterator<Item = Written<'_>> {
    let mut cursor = Cursor { text: array, at: 1 };
    std::iter::from_fn(move || cursor.more(b']').then(|| cursor.value()))
}

/// The fields of an object: each name with its quotes, and its value.
pub(super) fn fields(object: &str) -> impl Iterator<Item = (&str, Written<'_>)> {
    let mut cursor = Cursor { text: object, at: 1 };
    std::iter::from_fn(move || {
        cursor.more(b'}').then(|| {
            let start = cursor.at;
            cursor.string();
            let name = &cursor.text[start..cursor.at];
            cursor.skip(|byte| byte.is_ascii_whitespace() || byte == b':');
            (name, cursor.value())
        })
    })
}

/// A place in JSON that is known to be valid.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, skipped: impl Fn(u8) -> bool) {
        while self.byte().is_some_and(&skipped) {
            self.at += 1;
        }
    }

    /// Goes to the next item, or tells that there is none.
    fn more(&mut self, end: u8) -> bool {
        self.skip(|byte| byte.is_ascii_whitespace() || byte == b',');
        self.byte().is_some_and(|byte| byte != end)
    }

    fn value(&mut self) -> Written<'a> {
        self.skip(|byte| byte.is_ascii_whitespace());
        let start = self.at;
        let first = self.byte();
        match first {
            Some(b'"') => self.string(),
            Some(b'[' | b'{') => self.nested(),
            _ => self.skip(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b',' | b']' | b'}')),
        }
        let text = &self.text[start..self.at];
        match first {
            Some(b'"') => Written::String(text),
            Some(b'[') => Written::Array(text),
            Some(b'{') => Written::Object(text),
            Some(b't' | b'f') => Written::Boolean(text),
            Some(b'n') | None => Written::Null,
            Some(_) => Written::Number(text),
        }
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.byte() {
            self.at += if byte == b'\\' { 2 } else { 1 };
            if byte == b'"' {
                return;
            }
        }
    }

    fn nested(&mut self) {
        let mut depth = 0_usize;
        while let Some(byte) = self.byte() {
            match byte {
                b'"' => {
                    self.string();
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_is_written() {
        let line = r#" {"a": 1.50e+2 ,"b\"}":"x\\","c":[ 1,"]", [{}] ],"d":{"e":[null , true]},"é":false,"f":{},"g":[]} "#;
        let Some(Written::Object(object)) = Written::parse(line) else { panic!() };
        let found: Vec<_> = fields(object).collect();
        assert_eq!(
            found,
            [
                (r#""a""#, Written::Number("1.50e+2")),
                (r#""b\"}""#, Written::String(r#""x\\""#)),
                (r#""c""#, Written::Array(r#"[ 1,"]", [{}] ]"#)),
                (r#""d""#, Written::Object(r#"{"e":[null , true]}"#)),
                (r#""é""#, Written::Boolean("false")),
                (r#""f""#, Written::Object("{}")),
                (r#""g""#, Written::Array("[]")),
            ]
        );
        let inner: Vec<_> = items(found[2].1.text()).collect();
        assert_eq!(inner, [Written::Number("1"), Written::String(r#""]""#), Written::Array("[{}]")]);
        assert_eq!((items("[ ]").count(), fields("{ }").count()), (0, 0));
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        for text in ["", "{", "{\"a\": 01}", "{\"a\" 1}", "[1,]", "{} {}", "nul", "\"\u{1}\""] {
            assert_eq!(Written::parse(text), None, "{text}");
        }
    }

    #[test]
    fn strings_lose_their_escapes() {
        assert_eq!(unquoted(r#""plain""#).unwrap(), "plain");
        assert_eq!(unquoted(r#""a\u00e9\n\"""#).unwrap(), "aé\n\"");
        assert_eq!(unquoted(r#""\ud800""#), None);
    }
}
