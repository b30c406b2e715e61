//! A statement without its values, for logs and audits.
//!
//! What is shipped to a source holds values of users, and what is written down about it may hold none. In doubt more is taken for a
//! value than is one.

/// How a source reads quotes and backslashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quoting {
    /// As the standard says: `"` begins a name, and a backslash is a character like any other but in `E'...'`.
    Standard,
    /// As MySQL does: `"` begins a text, a backslash takes the character after it along, and `#` begins a comment.
    MySql,
}

/// Longer statements are cut, so that what is written down of them stays small.
const LONGEST: usize = 8 * 1024;

/// The statement with `?` for every number and text, lists of them shortened to `?, ...`, and without comments.
///
/// Names, `TRUE`, `FALSE` and `NULL` stay. What is left is at most 8 KiB and ends in `...` where it was cut.
pub fn normalize(sql: &str, quoting: Quoting) -> String {
    let mut lexer = Lexer { rest: sql, quoting };
    let mut normal = Normal { text: String::with_capacity(sql.len().min(LONGEST)) };
    while normal.text.len() < LONGEST {
        match lexer.next() {
            Some(token) => normal.push(token),
            None => return normal.text,
        }
    }
    let mut end = LONGEST;
    while !normal.text.is_char_boundary(end) {
        end -= 1;
    }
    normal.text.truncate(end);
    normal.text.push_str("...");
    normal.text
}

/// What a statement is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A name, a keyword, an operator: stays.
    Kept(&'a str),
    /// A number or a text.
    Value,
    /// Blanks, line ends, comments.
    Gap,
}

struct Normal {
    text: String,
}

impl Normal {
    fn push(&mut self, token: Token<'_>) {
        match token {
            Token::Kept(text) => self.text.push_str(text),
            Token::Gap if self.text.is_empty() || self.text.ends_with(' ') => {}
            Token::Gap => self.text.push(' '),
            // A list of values is as long as the user likes, and says no more than its first.
            Token::Value if self.text.ends_with("?, ..., ") => self.text.truncate(self.text.len() - ", ".len()),
            Token::Value if self.text.ends_with("?, ") => self.text.push_str("..."),
            Token::Value => self.text.push('?'),
        }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    quoting: Quoting,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let first = self.rest.chars().next()?;
        let second = self.rest[first.len_utf8()..].chars().next();
        Some(match (first, second) {
            (c, _) if c.is_whitespace() => self.gap(|rest| rest.find(|c: char| !c.is_whitespace())),
            ('-', Some('-')) if self.is_dashed_comment() => self.gap(|rest| rest.find('\n')),
            ('#', _) if self.quoting == Quoting::MySql => self.gap(|rest| rest.find('\n')),
            ('/', Some('*')) => self.gap(end_of_comment),
            ('\'', _) => self.text('\'', self.backslash()),
            ('"', _) if self.quoting == Quoting::MySql => self.text('"', Backslash::Escapes),
            ('"' | '`', _) => self.name(first),
            ('$', _) => self.dollar(),
            (c, _) if c.is_ascii_digit() => self.number(),
            ('.', Some(c)) if c.is_ascii_digit() => self.number(),
            (c, _) if begins_word(c) => self.word(),
            (c, _) => Token::Kept(self.take(c.len_utf8())),
        })
    }

    /// MySQL takes two dashes for two minus signs unless a blank follows.
    fn is_dashed_comment(&self) -> bool {
        self.quoting == Quoting::Standard || self.rest[2..].chars().next().is_none_or(|c| c.is_whitespace() || c.is_control())
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn gap(&mut self, end: impl Fn(&str) -> Option<usize>) -> Token<'a> {
        self.take(end(self.rest).unwrap_or(self.rest.len()));
        Token::Gap
    }

    /// How the source reads a backslash in a text without a prefix.
    fn backslash(&self) -> Backslash {
        match self.quoting {
            Quoting::Standard => Backslash::Plain,
            Quoting::MySql => Backslash::Escapes,
        }
    }

    /// A text from its opening quote. One that is not closed takes all that is left.
    fn text(&mut self, quote: char, backslash: Backslash) -> Token<'a> {
        let length = quoted(self.rest, quote, backslash);
        self.take(length);
        Token::Value
    }

    fn name(&mut self, quote: char) -> Token<'a> {
        let length = quoted(self.rest, quote, Backslash::Plain);
        Token::Kept(self.take(length))
    }

    /// `$tag$ ... $tag$` is a text, `$1` a parameter.
    fn dollar(&mut self) -> Token<'a> {
        let tag_length = self.rest[1..].find(|c: char| !is_word(c) || c == '$').map(|end| end + 1);
        let delimiter =
            tag_length.filter(|&end| self.rest[end..].starts_with('$') && !self.rest[1..].starts_with(|c: char| c.is_ascii_digit()));
        match delimiter {
            Some(end) => {
                let (delimiter, body) = self.rest.split_at(end + 1);
                let length = body.find(delimiter).map_or(body.len(), |at| at + delimiter.len());
                self.take(delimiter.len() + length);
                Token::Value
            }
            None => {
                let length = self.rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(self.rest.len(), |end| end + 1);
                Token::Kept(self.take(length))
            }
        }
    }

    /// `1`, `.5`, `1.5e-3`, `0xff`, and whatever letters stand right behind.
    fn number(&mut self) -> Token<'a> {
        let mut before = '0';
        let end = self.rest.find(|c: char| {
            let goes_on = is_word(c) || c == '.' || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E'));
            before = c;
            !goes_on
        });
        self.take(end.unwrap_or(self.rest.len()));
        Token::Value
    }

    /// A name or keyword, or the prefix of the text right behind it: `E'...'`, `X'...'`, `_utf8mb4'...'`, `DATE'...'`, `U&'...'`.
    fn word(&mut self) -> Token<'a> {
        let length = self.rest.find(|c: char| !is_word(c)).unwrap_or(self.rest.len());
        let (word, behind) = self.rest.split_at(length);
        if word.eq_ignore_ascii_case("u") && behind.starts_with("&'") {
            self.take(length + 1);
            return self.text('\'', Backslash::Plain);
        }
        if !behind.starts_with('\'') {
            return Token::Kept(self.take(length));
        }
        match word.to_ascii_lowercase().as_str() {
            "e" => {
                self.take(length);
                self.text('\'', Backslash::Escapes)
            }
            "b" | "x" | "n" => {
                self.take(length);
                self.text('\'', self.backslash())
            }
            // A keyword says what the text behind it is, and is no part of it.
            _ => Token::Kept(self.take(length)),
        }
    }
}

/// What a backslash within quotes is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backslash {
    Plain,
    Escapes,
}

/// The length of what begins with `quote`, up to and with the quote that closes it; a doubled quote does not.
fn quoted(text: &str, quote: char, backslash: Backslash) -> usize {
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = characters.next() {
        if c == '\\' && backslash == Backslash::Escapes {
            characters.next();
        } else if c == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
            return at + quote.len_utf8();
        }
    }
    text.len()
}

/// Where a comment ends that may hold others. A source that does not nest them ends it earlier; what follows then is lost, not told.
fn end_of_comment(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    None
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || !c.is_ascii()
}

fn is_word(c: char) -> bool {
    begins_word(c) || c.is_ascii_digit() || c == '$'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_go_and_the_rest_stays() {
        for (sql, expected) in [
            ("SELECT \"id\", t1.\"a 1\" FROM \"public\".\"t2\" t1", "SELECT \"id\", t1.\"a 1\" FROM \"public\".\"t2\" t1"),
            ("SELECT a FROM t WHERE b = 42 AND c > -1.5e-3 AND d < .5", "SELECT a FROM t WHERE b = ? AND c > -? AND d < ?"),
            ("x = 0xDEADbeef OR y = 1_000", "x = ? OR y = ?"),
            ("name = 'O''Brien' AND x IS NULL AND y = TRUE", "name = ? AND x IS NULL AND y = TRUE"),
            ("E'it\\'s 1' || e'\\\\' || X'ff00' || b'01' || N'n' || U&'\\0041'", "? || ? || ? || ? || ? || ?"),
            ("path = 'C:\\' AND b = 'secret'", "path = ? AND b = ?"),
            ("DATE '2020-01-01' + TIMESTAMP'2020-01-01'", "DATE ? + TIMESTAMP?"),
            ("$$secret$$ || $tag$ $$secret $ta$ $tag$ || $1 || a$1", "? || ? || $1 || a$1"),
            ("a -- secret 1\n+ /* secret /* 2 */ secret */ b", "a + b"),
            ("a IN (1, 2, 3, 4) AND b IN ('x', 'y') AND c IN (5)", "a IN (?, ...) AND b IN (?, ...) AND c IN (?)"),
            ("CAST(? AS numeric(10, 2))::bigint", "CAST(? AS numeric(?, ...))::bigint"),
            ("'unclosed secret", "?"),
            ("\"unclosed", "\"unclosed"),
            ("$unclosed$ secret", "?"),
            ("/* secret", ""),
            ("größe = 'ü' AND \u{1F600} = 1", "größe = ? AND \u{1F600} = ?"),
            ("a->>'key' #> '{1}'", "a->>? #> ?"),
        ] {
            assert_eq!(normalize(sql, Quoting::Standard), expected, "{sql}");
        }
    }

    #[test]
    fn mysql_reads_quotes_and_backslashes_its_own_way() {
        for (sql, expected) in [
            ("SELECT `a``1` FROM `d`.`t` WHERE b = 'it\\'s secret' AND c = 1", "SELECT `a``1` FROM `d`.`t` WHERE b = ? AND c = ?"),
            ("a = \"sec\"\"ret\" AND b = \"x\\\" secret\"", "a = ? AND b = ?"),
            ("a = 'x\\\\' AND b = 'y'", "a = ? AND b = ?"),
            ("a = _utf8mb4 0x736563 AND b = _latin1'secret' AND c = N'it\\'s secret'", "a = _utf8mb4 ? AND b = _latin1? AND c = ?"),
            ("a # secret 'x\n= 1 -- secret", "a = ? "),
            ("5--1 = '\nsecret'", "?--? = ?"),
        ] {
            assert_eq!(normalize(sql, Quoting::MySql), expected, "{sql}");
        }
    }

    #[test]
    fn what_a_text_holds_never_shows_whatever_quotes_it() {
        let marks = ["'", "''", "\\", "\\\\", "$", "$$", "\"", "`", "/*", "*/", "--", "\n", "#", "E'"];
        for quoting in [Quoting::Standard, Quoting::MySql] {
            for one in marks {
                for other in marks {
                    let held = format!("{one}secret{other}");
                    let escaped = match quoting {
                        Quoting::Standard => held.replace('\'', "''"),
                        Quoting::MySql => held.replace('\\', "\\\\").replace('\'', "\\'"),
                    };
                    let normal = normalize(&format!("SELECT a WHERE b = '{escaped}' AND c = 7"), quoting);
                    assert_eq!(normal, "SELECT a WHERE b = ? AND c = ?", "{held}");
                }
            }
        }
    }

    #[test]
    fn a_long_statement_is_cut_between_characters() {
        let normal = normalize(&format!("SELECT {}", "ü + ".repeat(10_000)), Quoting::Standard);
        assert!(normal.ends_with("...") && normal.len() <= LONGEST + 3);
    }
}
