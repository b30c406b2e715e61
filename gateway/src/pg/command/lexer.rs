//! PostgreSQL's lexical rules, as far as they are needed to split a text into statements and to read those of the session itself.

use std::borrow::Cow;

/// One token, as a span of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A keyword or an unquoted name.
    Word,
    /// A name in double quotes.
    Quoted,
    /// A literal in single quotes, or between dollar signs.
    Text,
    Number,
    /// Any other character.
    Symbol(u8),
    /// A literal or comment that does not end.
    Unterminated,
}

/// Walks over the tokens of a text; white space and comments are passed over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lexer<'a> {
    pub(super) sql: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { sql, at: 0 }
    }

    fn rest(&self) -> &'a [u8] {
        &self.sql.as_bytes()[self.at..]
    }

    /// Passes over white space and comments; `false` when a comment does not end.
    fn skip_blanks(&mut self) -> bool {
        loop {
            match self.rest() {
                [blank, ..] if blank.is_ascii_whitespace() || *blank == 0x0b => self.at += 1,
                [b'-', b'-', tail @ ..] => {
                    self.at += 2 + tail.iter().position(|byte| *byte == b'\n').unwrap_or(tail.len());
                }
                [b'/', b'*', ..] => {
                    // Comments nest.
                    let mut depth = 0_usize;
                    loop {
                        match self.rest() {
                            [b'/', b'*', ..] => {
                                depth += 1;
                                self.at += 2;
                            }
                            [b'*', b'/', ..] => {
                                depth -= 1;
                                self.at += 2;
                                if depth == 0 {
                                    break;
                                }
                            }
                            [] => return false,
                            _ => self.at += 1,
                        }
                    }
                }
                _ => return true,
            }
        }
    }

    pub(super) fn next_token(&mut self) -> Option<Token> {
        let is_whole = self.skip_blanks();
        let start = self.at;
        if !is_whole {
            return Some(Token { kind: Kind::Unterminated, start, end: start });
        }
        let rest = self.rest();
        let (kind, length) = match rest {
            [] => return None,
            [b'\'', ..] => ended(Kind::Text, quoted(rest, b'\'', false)),
            [b'e' | b'E', b'\'', tail @ ..] => {
                ended(Kind::Text, quoted(&rest[1..], b'\'', true).map(|length| length + 1).filter(|_| !tail.is_empty()))
            }
            [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => {
                ended(Kind::Text, quoted(&rest[1..], b'\'', false).map(|length| length + 1))
            }
            [b'u' | b'U', b'&', b'\'', ..] => ended(Kind::Text, quoted(&rest[2..], b'\'', false).map(|length| length + 2)),
            [b'"', ..] => ended(Kind::Quoted, quoted(rest, b'"', false)),
            [b'$', ..] => match dollar_tag(rest) {
                Some(tag) => ended(Kind::Text, find(&rest[tag..], &rest[..tag]).map(|body| tag + body + tag)),
                None => (Kind::Symbol(b'$'), 1),
            },
            [first, ..] if first.is_ascii_alphabetic() || *first == b'_' || !first.is_ascii() => (Kind::Word, length_of(rest, is_word)),
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => (Kind::Number, number(rest)),
            [other, ..] => (Kind::Symbol(*other), 1),
        };
        let length = if kind == Kind::Unterminated { rest.len() } else { length };
        self.at += length;
        Some(Token { kind, start, end: self.at })
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        self.next_token()
    }
}

fn ended(kind: Kind, length: Option<usize>) -> (Kind, usize) {
    length.map_or((Kind::Unterminated, 0), |length| (kind, length))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || !byte.is_ascii()
}

fn length_of(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

fn number(bytes: &[u8]) -> usize {
    let mantissa = length_of(bytes, |byte| byte.is_ascii_digit() || byte == b'.');
    match &bytes[mantissa..] {
        [b'e' | b'E', b'0'..=b'9', ..] => mantissa + 1 + length_of(&bytes[mantissa + 1..], |byte| byte.is_ascii_digit()),
        [b'e' | b'E', b'+' | b'-', b'0'..=b'9', ..] => mantissa + 2 + length_of(&bytes[mantissa + 2..], |byte| byte.is_ascii_digit()),
        _ => mantissa,
    }
}

/// The length of a quoted piece that begins with its quote.
fn quoted(bytes: &[u8], quote: u8, has_escapes: bool) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' if has_escapes => at += 2,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
            byte if *byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The length of `$tag$`.
fn dollar_tag(bytes: &[u8]) -> Option<usize> {
    let name = length_of(&bytes[1..], |byte| is_word(byte) && byte != b'$');
    let is_tag = bytes.get(1 + name) == Some(&b'$') && !bytes[1].is_ascii_digit();
    is_tag.then_some(name + 2)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Splits a text at the semicolons between statements. Pieces without a token are left out.
pub(super) fn split(sql: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = None;
    let mut end = 0;
    for token in Lexer::new(sql) {
        if token.kind == Kind::Symbol(b';') {
            pieces.extend(start.take().map(|start: usize| &sql[start..end]));
        } else {
            start.get_or_insert(token.start);
            end = if token.kind == Kind::Unterminated { sql.len() } else { token.end };
        }
    }
    pieces.extend(start.map(|start| &sql[start..end]));
    pieces
}

/// The value of a literal.
pub(super) fn unquote_text(literal: &str) -> Cow<'_, str> {
    if literal.starts_with('$') {
        let tag = literal[1..].find('$').map_or(0, |at| at + 2);
        return Cow::Borrowed(&literal[tag..literal.len() - tag]);
    }
    let has_escapes = literal.starts_with(['e', 'E']);
    let Some(open) = literal.find('\'') else { return Cow::Borrowed(literal) };
    let body = &literal[open + 1..literal.len() - 1];
    if has_escapes {
        return Cow::Owned(unescape(body));
    }
    if body.contains('\'') { Cow::Owned(body.replace("''", "'")) } else { Cow::Borrowed(body) }
}

fn unescape(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut characters = body.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                characters.next();
                text.push('\'');
            }
            '\\' => match characters.next() {
                Some('n') => text.push('\n'),
                Some('t') => text.push('\t'),
                Some('r') => text.push('\r'),
                Some('b') => text.push('\u{8}'),
                Some('f') => text.push('\u{c}'),
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

/// The name an identifier stands for: unquoted ones fold to lower case.
pub(super) fn identifier(kind: Kind, text: &str) -> String {
    if kind == Kind::Quoted { text[1..text.len() - 1].replace("\"\"", "\"") } else { text.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_between_statements_only() {
        assert_eq!(split("select 1; select 2"), ["select 1", "select 2"]);
        assert_eq!(split(" ;; -- nothing ; here\n /* nor ; /* here */ ; */ ;"), Vec::<&str>::new());
        assert_eq!(
            split("select ';', \";\", $$;$$, $a$;$b$;$a$, E'\\';', 'it''s;' ; x"),
            ["select ';', \";\", $$;$$, $a$;$b$;$a$, E'\\';', 'it''s;'", "x"]
        );
        assert_eq!(split("select $1; select a$b$c"), ["select $1", "select a$b$c"]);
        assert_eq!(split("select 'open; select 2"), ["select 'open; select 2"]);
        assert_eq!(split("select 1 /* open ; "), ["select 1 /* open ; "]);
        assert_eq!(split("select e'"), ["select e'"]);
        assert_eq!(split("sélect 'ü;'; ö"), ["sélect 'ü;'", "ö"]);
    }

    #[test]
    fn literals_have_their_values() {
        assert_eq!(unquote_text("'it''s'"), "it's");
        assert_eq!(unquote_text("E'a\\n\\'b''c'"), "a\n'b'c");
        assert_eq!(unquote_text("$x$it's$x$"), "it's");
        assert_eq!(identifier(Kind::Quoted, "\"A\"\"b\""), "A\"b");
    }
}
