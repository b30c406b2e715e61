//! Splits a text into statements and words what does not parse as PostgreSQL does.

use datafusion::error::DataFusionError;
use datafusion::sql::parser::{DFParser, DFParserBuilder, ExplainStatement, Statement};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::error::{Error, ErrorKind, Result};
use crate::explain::options;
use crate::grammar::Grammar;

/// How deeply subqueries and parentheses may nest: the parser recurses on the stack.
const NESTING_LIMIT: usize = 50;

/// How deeply brackets may nest. PostgreSQL's arrays have at most six dimensions, and parsing takes longer with each.
const BRACKET_LIMIT: usize = 12;

/// How heavy a chain without a comma may get: each link nests the tree of the statement by one, and most of the trees that become
/// of it are walked by recursion until the last value is computed.
const CHAIN_LIMIT: usize = 5000;

/// A link of `AND` or `OR`, which is balanced before it is planned.
const LOGICAL: usize = 1;

/// A link of another operator, or of a set operation.
const OPERATOR: usize = 10;

/// A join, whose streams nest.
const JOIN: usize = 50;

/// Splits `sql` into statements.
///
/// Everything but `EXPLAIN` goes to the SQL parser itself, so that `COPY`, `RESET` and `CREATE` keep PostgreSQL's grammar.
pub(crate) fn parse(sql: &str) -> Result<Vec<Statement>> {
    let tokens = Tokenizer::new(&Grammar, sql).tokenize_with_location().map_err(|error| DataFusionError::from(ParserError::from(error)))?;
    let tokens = joined_texts(tokens);
    if longest_chain(&tokens) > CHAIN_LIMIT || deepest_brackets(&tokens) > BRACKET_LIMIT {
        return Err(too_deep());
    }
    let mut parser = DFParserBuilder::new(tokens).with_dialect(&Grammar).with_recursion_limit(NESTING_LIMIT).build()?;
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
        statements.push(if is_keyword(&next.token, &[Keyword::EXPLAIN]) {
            explain(&mut parser)?
        } else {
            let parsed = parser.parser.parse_statement().map_err(DataFusionError::from)?;
            Statement::Statement(Box::new(parsed))
        });
    }
}

/// Texts with nothing but blanks and the end of a line between them are one, as in standard SQL.
fn joined_texts(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if let Token::SingleQuotedString(more) = &token.token {
            let blanks = joined.iter().rev().take_while(|token| matches!(token.token, Token::Whitespace(_))).count();
            let end = joined.len() - blanks;
            let (before, between) = joined.split_at_mut(end);
            let is_continued = between.iter().any(|token| matches!(token.token, Token::Whitespace(Whitespace::Newline)));
            if let Some(TokenWithSpan { token: Token::SingleQuotedString(text) | Token::EscapedStringLiteral(text), .. }) =
                before.last_mut()
                && is_continued
            {
                text.push_str(more);
                joined.truncate(end);
                continue;
            }
        }
        joined.push(token);
    }
    joined
}

/// `EXPLAIN ...`; what is in parentheses behind it are options, unless it is a query.
fn explain(parser: &mut DFParser<'_>) -> Result<Statement> {
    let behind = [parser.parser.peek_nth_token(1).token, parser.parser.peek_nth_token(2).token];
    let is_query = behind[1] == Token::LParen || is_keyword(&behind[1], &[Keyword::SELECT, Keyword::VALUES, Keyword::WITH, Keyword::TABLE]);
    if behind[0] != Token::LParen || is_query {
        return Ok(parser.parse_statement()?);
    }
    parser.parser.next_token();
    let options = options(&parser.parser.parse_utility_options().map_err(DataFusionError::from)?)?;
    Ok(Statement::Explain(ExplainStatement { statement: Box::new(parser.parse_statement()?), options }))
}

fn is_keyword(token: &Token, wanted: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if wanted.contains(&word.keyword))
}

/// The error for a statement that nests deeper than is safe to walk.
pub(crate) fn too_deep() -> Error {
    Error::new(ErrorKind::Unsupported, "the statement is nested too deeply")
        .hint("Use fewer nested parentheses and subqueries, and IN (...) or VALUES instead of long chains of operators.")
}

/// How many brackets are open at once, at most.
fn deepest_brackets(tokens: &[TokenWithSpan]) -> usize {
    let mut open: usize = 0;
    let mut deepest = 0;
    for token in tokens {
        match token.token {
            Token::LBracket => open += 1,
            Token::RBracket => open = open.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(open);
    }
    deepest
}

/// The heaviest chain of a statement, over all open parentheses.
fn longest_chain(tokens: &[TokenWithSpan]) -> usize {
    // The weight of operators since the last comma, and of joins and set operations, within the current parentheses; and of
    // both around them.
    let (mut operators, mut sets, mut around) = (0usize, 0usize, 0usize);
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut longest = 0;
    for token in tokens {
        match &token.token {
            Token::LParen | Token::LBracket => {
                open.push((operators, sets));
                around += operators + sets;
                (operators, sets) = (0, 0);
            }
            Token::RParen | Token::RBracket => {
                (operators, sets) = open.pop().unwrap_or_default();
                around = around.saturating_sub(operators + sets);
            }
            Token::Comma => operators = 0,
            Token::SemiColon => {
                (operators, sets, around) = (0, 0, 0);
                open.clear();
            }
            Token::Word(word) => match word.keyword {
                Keyword::AND | Keyword::OR => operators += LOGICAL,
                Keyword::NOT | Keyword::CASE | Keyword::COLLATE => operators += OPERATOR,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT => (operators, sets) = (0, sets + OPERATOR),
                Keyword::JOIN => (operators, sets) = (0, sets + JOIN),
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER => operators = 0,
                _ => {}
            },
            Token::Whitespace(_)
            | Token::EOF
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::Eq
            | Token::Neq
            | Token::Lt
            | Token::LtEq
            | Token::Gt
            | Token::GtEq => {}
            _ => operators += OPERATOR,
        }
        longest = longest.max(around + operators + sets);
    }
    longest
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
