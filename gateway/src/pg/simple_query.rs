//! The simple protocol: a text of statements, answered one by one.

use std::borrow::Cow;

use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{CommandComplete, EmptyQueryResponse};

use super::command::{Command, QueryTag, parse_all};
use super::encode::{Format, Style};
use super::portal::{Destination, PortalState, Running, row_description};
use super::session::Session;
use super::sqlstate::{Halt, PgError, SYNTAX};

impl Session {
    /// Runs all statements of a text; an error leaves out the rest.
    pub(super) async fn simple_query(&mut self, sql: &str) -> Result<(), Halt> {
        // As in PostgreSQL the unnamed statement and portal do not outlive a simple query.
        self.prepared.remove("");
        self.portals.remove("");
        self.announce(sql);
        let commands = parse_all(&self.engine, sql)?;
        if commands.is_empty() {
            return self.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
        }
        if let Some(role) = &self.role {
            role.admit_text(&commands)?;
        }
        let count = commands.len();
        for (at, command) in commands.into_iter().enumerate() {
            // Each statement has its own time limit.
            self.end_statement();
            self.simple_statement(command, at + 1 == count).await?;
        }
        self.commit_outside_block().await
    }

    async fn simple_statement(&mut self, command: Command, is_last: bool) -> Result<(), Halt> {
        if !command.ends_failed_transaction() {
            self.transaction.check()?;
        }
        match command {
            Command::Query { statement, tag } => {
                let running = self.start_unprepared(&statement).await?;
                self.send_result(running, tag, is_last).await
            }
            Command::Execute { name, arguments } => {
                let (mut portal, tag) = self.execute_arguments(&name, &arguments).await?;
                self.start(&mut portal).await?;
                match portal.state {
                    PortalState::Running(running) => self.send_result(*running, tag, is_last).await,
                    PortalState::Ready(_) | PortalState::Done(_) => Err(PgError::internal("a started portal does not run").into()),
                }
            }
            Command::Fetch { cursor, count, moves } => {
                if !moves {
                    let schema = self.cursor_columns(&cursor)?;
                    let formats = vec![Format::Text; schema.fields().len()];
                    self.send(row_description(&schema, &formats)?)?;
                }
                let tag = self.fetch(&cursor, count, moves, &[]).await?;
                self.complete(tag)
            }
            other => {
                let reply = self.run_command(&other).await?;
                if let Some(batch) = reply.rows {
                    let formats = vec![Format::Text; batch.num_columns()];
                    self.send(row_description(&batch.schema(), &formats)?)?;
                    let mut running = Running::of_batch(batch, formats, Style::of(&self.settings))?;
                    self.deliver(&mut running, None, Destination::Client).await?;
                }
                self.complete(reply.tag)
            }
        }
    }

    async fn send_result(&mut self, mut running: Running, tag: QueryTag, is_last: bool) -> Result<(), Halt> {
        let formats = vec![Format::Text; running.schema().fields().len()];
        if running.gives_rows() {
            self.send(row_description(running.schema(), &formats)?)?;
        }
        let delivered = self.deliver(&mut running, None, Destination::Client).await?;
        self.tell_cut(delivered.cut.as_ref())?;
        if is_last {
            // A client that is told of a change finds it made.
            self.commit_outside_block().await?;
        }
        self.complete(query_tag(tag, running.changed().unwrap_or(delivered.rows)))
    }

    pub(super) fn complete(&mut self, tag: impl Into<Cow<'static, str>>) -> Result<(), Halt> {
        self.send(PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.into().into_owned())))
    }
}

/// The tag of a query that sent `rows`, or of a change of so many.
pub(super) fn query_tag(tag: QueryTag, rows: u64) -> Cow<'static, str> {
    match tag {
        QueryTag::Select => format!("SELECT {rows}").into(),
        QueryTag::Explain => "EXPLAIN".into(),
        QueryTag::Insert => format!("INSERT 0 {rows}").into(),
        QueryTag::Update => format!("UPDATE {rows}").into(),
        QueryTag::Delete => format!("DELETE {rows}").into(),
    }
}

/// The one statement of a text that may hold no more.
pub(super) fn single(mut commands: Vec<Command>) -> Result<Option<Command>, PgError> {
    if commands.len() > 1 {
        return Err(PgError::new(SYNTAX, "cannot insert multiple commands into a prepared statement"));
    }
    Ok(commands.pop())
}
