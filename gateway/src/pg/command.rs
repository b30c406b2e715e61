//! Statements by who runs them: the session itself, or the planner.
//!
//! What a session runs is read here, because SQL parsers lack many of its forms and drivers send all of them. Everything else is
//! left to the planner, unread.

mod cursor;
mod foreign;
mod lexer;
mod parse;

#[cfg(test)]
mod tests;

use causeway_planner::{Engine, Statement, Verb, change_verb};
pub use foreign::{DropForeignTable, ImportForeignSchema, ImportSelection};

use super::settings::SetScope;
use super::sqlstate::PgError;

/// One statement.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    /// A statement for the planner.
    Query {
        statement: Box<Parsed>,
        tag: QueryTag,
    },
    Set {
        scope: SetScope,
        name: String,
        value: Option<String>,
    },
    /// `SELECT set_config(name, value, is_local)`, which tools use as a SET that returns a row.
    SetConfig {
        scope: SetScope,
        name: String,
        value: String,
    },
    Show(ShowTarget),
    Reset(Option<String>),
    Discard(DiscardTarget),
    Transaction(TransactionCommand),
    Prepare {
        name: String,
        types: Vec<String>,
        sql: String,
    },
    Execute {
        name: String,
        arguments: Vec<Option<String>>,
    },
    Deallocate(Option<String>),
    Declare {
        name: String,
        sql: String,
    },
    Fetch {
        cursor: String,
        count: Option<usize>,
        moves: bool,
    },
    Close(Option<String>),
    Call {
        procedure: String,
        arguments: Vec<String>,
    },
    Listen(String),
    /// From one channel, or from all.
    Unlisten(Option<String>),
    Notify {
        channel: String,
        payload: String,
    },
    /// `SELECT pg_listening_channels()`.
    ListeningChannels,
    ImportForeignSchema(Box<ImportForeignSchema>),
    DropForeignTable(Box<DropForeignTable>),
    /// Accepted without effect, with this tag.
    Ignored(&'static str),
}

/// A statement of the planner's, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    pub(crate) statement: Statement,
    pub(crate) text: Box<str>,
}

/// How the planner's statement is reported when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QueryTag {
    /// `SELECT n`.
    Select,
    Explain,
    /// `INSERT 0 n`.
    Insert,
    Update,
    Delete,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ShowTarget {
    One(String),
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiscardTarget {
    All,
    Plans,
    Sequences,
    Temp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TransactionCommand {
    Begin {
        tag: &'static str,
        modes: TransactionModes,
    },
    Commit {
        and_chain: bool,
    },
    Rollback {
        and_chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `SET TRANSACTION` or `SET SESSION CHARACTERISTICS`.
    Characteristics {
        is_session: bool,
        modes: TransactionModes,
    },
}

/// What a transaction was asked to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TransactionModes {
    pub(crate) isolation: Option<&'static str>,
    pub(crate) read_only: Option<bool>,
    pub(crate) deferrable: Option<bool>,
}

impl QueryTag {
    /// The tag of a statement that is no `EXPLAIN`.
    fn of(statement: &Statement) -> Self {
        match change_verb(statement) {
            Some(Verb::Insert) => Self::Insert,
            Some(Verb::Update) => Self::Update,
            Some(Verb::Delete) => Self::Delete,
            None => Self::Select,
        }
    }
}

impl Command {
    /// Whether it may run in a transaction that failed.
    pub(crate) fn ends_failed_transaction(&self) -> bool {
        use TransactionCommand::{Commit, Rollback, RollbackTo};
        matches!(self, Command::Transaction(Commit { .. } | Rollback { .. } | RollbackTo(_)))
    }
}

/// Reads all statements of a text. Any syntax error refuses the whole text, as PostgreSQL does.
pub(crate) fn parse_all(engine: &Engine, sql: &str) -> Result<Vec<Command>, PgError> {
    let mut commands = Vec::new();
    for piece in lexer::split(sql) {
        match parse::recognise(piece)? {
            Some(command) => commands.push(command),
            None => {
                let is_explain = parse::is_explain(piece);
                let parsed = engine.parse(piece)?;
                let text = if parsed.len() == 1 { piece } else { "" };
                let query = |statement: Statement| {
                    let tag = if is_explain { QueryTag::Explain } else { QueryTag::of(&statement) };
                    Command::Query { statement: Box::new(Parsed { statement, text: text.into() }), tag }
                };
                commands.extend(parsed.into_iter().map(query));
            }
        }
    }
    Ok(commands)
}
