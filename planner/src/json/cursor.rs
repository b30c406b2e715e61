//! A place in a text that is JSON, and what is read from there on.

use std::borrow::Cow;

use super::document::Fault;

/// A place in a text that is JSON.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The bytes before it.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Goes to where it has been.
    pub(super) fn go_to(&mut self, at: usize) {
        self.at = at;
    }

    /// What comes next, behind blanks; the cursor is there then.
    pub(super) fn peek(&mut self) -> Option<char> {
        let rest = self.rest().trim_start_matches([' ', '\t', '\n', '\r']);
        self.at = self.text.len() - rest.len();
        rest.chars().next()
    }

    /// Passes one character of JSON's own.
    pub(super) fn pass(&mut self) {
        self.at += 1;
    }

    /// `true`, `false` or `null`.
    pub(super) fn word(&mut self) -> &'a str {
        self.take(|c| c.is_ascii_lowercase())
    }

    /// A number as it is written.
    pub(super) fn number(&mut self) -> &'a str {
        self.take(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'))
    }

    /// What a string says.
    ///
    /// # Errors
    /// When it is no text: half a pair of surrogates, or `\u0000`.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let inner = self.rest().get(1..).ok_or(Fault::Syntax)?;
        let mut is_escaped = false;
        let end = inner.find(|c| {
            let ends = c == '"' && !is_escaped;
            is_escaped = c == '\\' && !is_escaped;
            ends
        });
        let end = end.ok_or(Fault::Syntax)?;
        let quoted = &self.rest()[..end + 2];
        self.at += quoted.len();
        if !quoted.contains('\\') {
            return Ok(Cow::Borrowed(&inner[..end]));
        }
        let text: String = serde_json::from_str(quoted).map_err(|_| Fault::Syntax)?;
        if text.contains('\0') { Err(Fault::Nul) } else { Ok(Cow::Owned(text)) }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }
}
