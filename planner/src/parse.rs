//! Splits a text into statements and words what does not parse as PostgreSQL does.

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Error, ErrorKind, Result};

/// How deeply subqueries and parentheses may nest: the parser recurses on the stack.
const NESTING_LIMIT: usize = 64;

/// Splits `sql` into statements.
///
/// Everything but `EXPLAIN` goes to the SQL parser itself, so that `COPY`, `RESET` and `CREATE` keep PostgreSQL's grammar.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let mut parser = DFParserBuilder::new(sql).with_dialect(&PostgreSqlDialect {}).with_recursion_limit(NESTING_LIMIT).build()?;
    let mut statements = Vec::new();
    loop {
        let mut separated = statements.is_empty();
        while parser.parser.consume_token(&Token::SemiColon) {
            separated = true;
        }
        let next = parser.parser.peek_token();
        if next.token == Token::EOF {
            return Ok(statements);
        }
        if !separated {
            return Err(near(&next.token.to_string(), None));
        }
        let explain = matches!(&next.token, Token::Word(word) if word.keyword == Keyword::EXPLAIN);
        let statement = if explain {
            parser.parse_statement()?
        } else {
            let parsed = parser.parser.parse_statement().map_err(DataFusionError::from)?;
            Statement::Statement(Box::new(parsed))
        };
        statements.push(statement);
    }
}

/// An error of the parser, told as PostgreSQL tells it.
pub(crate) fn syntax_error(text: &str) -> Error {
    let text = text.trim();
    let (text, position) = match text.rfind(" at Line: ") {
        Some(at) => (&text[..at], Some(position(&text[at + " at Line: ".len()..]))),
        None => (text, None),
    };
    if let Some((expected, found)) = text.split_once(", found: ") {
        let expected = expected.trim_start_matches("Expected: ").trim_start_matches("Expected ");
        let error = near(found, position);
        return match error.hint_text() {
            Some(hint) => {
                let hint = format!("Expected {expected} {hint}");
                error.hint(hint)
            }
            None => error.hint(format!("Expected {expected}.")),
        };
    }
    if text.starts_with("Unterminated string literal") {
        return placed(Error::new(ErrorKind::Syntax, "unterminated quoted string"), position);
    }
    let mut letters = text.chars();
    let text = match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    };
    placed(Error::new(ErrorKind::Syntax, format!("syntax error: {text}")), position)
}

fn near(token: &str, position: Option<String>) -> Error {
    let token = token.trim();
    let message = if token == "EOF" || token.is_empty() {
        "syntax error at end of input".to_owned()
    } else if token.contains('\'') {
        // A quoted text may be a password.
        "syntax error at or near a quoted string".to_owned()
    } else {
        format!("syntax error at or near \"{}\"", token.trim_matches('"'))
    };
    placed(Error::new(ErrorKind::Syntax, message), position)
}

fn placed(error: Error, position: Option<String>) -> Error {
    match position {
        Some(position) => error.hint(format!("at {position}.")),
        None => error,
    }
}

/// `1, Column: 20` in words.
fn position(text: &str) -> String {
    format!("line {}", text.replace(", Column: ", ", column ").trim())
}
