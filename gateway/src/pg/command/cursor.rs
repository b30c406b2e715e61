//! A walk over the tokens of one statement, with what its grammar asks of them.

use std::borrow::Cow;

use super::lexer::{Kind, Lexer, Token, identifier, unquote_text};
use crate::pg::sqlstate::{PgError, SYNTAX};

/// What was read, or why it is no statement.
pub(super) type Parsed<T> = Result<T, PgError>;

/// The tokens that are left of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    lexer: Lexer<'a>,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(sql: &'a str) -> Self {
        Self { lexer: Lexer::new(sql), position: 0 }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn peek(&self) -> Option<Token> {
        self.lexer.clone().next_token()
    }

    pub(super) fn next(&mut self) -> Option<Token> {
        let token = self.lexer.next_token()?;
        self.position = token.end;
        Some(token)
    }

    /// A part of the statement, by positions.
    pub(super) fn slice(&self, start: usize, end: usize) -> &'a str {
        &self.lexer.sql[start..end]
    }

    pub(super) fn text(&self, token: Token) -> &'a str {
        &self.lexer.sql[token.start..token.end]
    }

    /// The next word, folded, if it is one.
    pub(super) fn word(&mut self) -> Option<Cow<'a, str>> {
        let token = self.peek().filter(|token| token.kind == Kind::Word)?;
        self.next();
        let text = self.text(token);
        Some(if text.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
    }

    pub(super) fn accept(&mut self, keyword: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.kind == Kind::Word && self.text(token).eq_ignore_ascii_case(keyword));
        if is_next {
            self.next();
        }
        is_next
    }

    pub(super) fn accept_any(&mut self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.accept(keyword))
    }

    pub(super) fn accept_symbol(&mut self, symbol: u8) -> bool {
        let is_next = self.peek().is_some_and(|token| token.kind == Kind::Symbol(symbol));
        if is_next {
            self.next();
        }
        is_next
    }

    pub(super) fn expect(&mut self, keyword: &str) -> Parsed<()> {
        if self.accept(keyword) { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn expect_symbol(&mut self, symbol: u8) -> Parsed<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// An identifier.
    pub(super) fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(token) if matches!(token.kind, Kind::Word | Kind::Quoted) => {
                let name = identifier(token.kind, self.text(token));
                if name.is_empty() {
                    return Err(PgError::new(SYNTAX, "zero-length delimited identifier"));
                }
                self.next();
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub(super) fn dotted_name(&mut self) -> Parsed<String> {
        let mut name = self.name()?;
        while self.accept_symbol(b'.') {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name)
    }

    pub(super) fn name_or_all(&mut self) -> Parsed<Option<String>> {
        if self.accept("all") { Ok(None) } else { self.name().map(Some) }
    }

    /// A literal, a word or a signed number; `None` when something else comes.
    pub(super) fn value(&mut self) -> Parsed<Option<String>> {
        let mut sign = "";
        if self.accept_symbol(b'-') {
            sign = "-";
        } else {
            self.accept_symbol(b'+');
        }
        let Some(token) = self.peek() else { return Ok(None) };
        let text = self.text(token);
        let value = match token.kind {
            Kind::Number => format!("{sign}{text}"),
            Kind::Text if sign.is_empty() => unquote_text(text).into_owned(),
            Kind::Word | Kind::Quoted if sign.is_empty() => identifier_value(token.kind, text),
            _ => return Ok(None),
        };
        self.next();
        Ok(Some(value))
    }

    /// A literal in quotes.
    pub(super) fn literal(&mut self) -> Parsed<String> {
        match self.peek() {
            Some(token) if token.kind == Kind::Text => {
                self.next();
                Ok(unquote_text(self.text(token)).into_owned())
            }
            _ => Err(self.unexpected()),
        }
    }

    /// All that is left, which must be something.
    pub(super) fn take_rest(&mut self) -> Parsed<String> {
        let start = self.peek().ok_or_else(|| self.unexpected())?.start;
        while self.next().is_some() {}
        Ok(self.lexer.sql[start..].to_owned())
    }

    pub(super) fn end(&self) -> Parsed<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.unexpected()) }
    }

    pub(super) fn unexpected(&self) -> PgError {
        match self.peek() {
            None => PgError::new(SYNTAX, "syntax error at end of input"),
            // A literal may hold a secret; its kind is enough to find it.
            Some(token) if matches!(token.kind, Kind::Text | Kind::Unterminated) => {
                PgError::new(SYNTAX, "syntax error at or near a string literal")
            }
            Some(token) => PgError::new(SYNTAX, format!("syntax error at or near \"{}\"", self.text(token))),
        }
    }
}

/// A bare word as a setting's value: as written for words such as zone names, exact when quoted.
fn identifier_value(kind: Kind, text: &str) -> String {
    if kind == Kind::Quoted { identifier(kind, text) } else { text.to_owned() }
}
