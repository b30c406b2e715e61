//! What the statements of the session itself do, in both protocols.

use std::borrow::Cow;
use std::sync::Arc;

use causeway_catalog::Asking;
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::command::{
    Command, DiscardTarget, DropForeignTable, ImportForeignSchema, QueryTag, ShowTarget, TransactionCommand, TransactionModes, parse_all,
};
use super::decode;
use super::encode::{Format, Style};
use super::notice::Notice;
use super::outcome::{ImportStep, STEP_COLUMNS};
use super::pg_type::oid_of_sql_name;
use super::portal::{Destination, Portal, PortalState};
use super::session::Session;
use super::settings::SetScope;
use super::simple_query::single;
use super::sqlstate::{
    DUPLICATE_CURSOR, Halt, NO_ACTIVE_TRANSACTION, PgError, SUCCESSFUL_COMPLETION_ACTIVE_TRANSACTION, SYNTAX, UNDEFINED_CURSOR,
    UNDEFINED_OBJECT, UNSUPPORTED,
};

const IMPORT: &str = "IMPORT FOREIGN SCHEMA";

/// The column of `pg_listening_channels()`.
const LISTENING_CHANNELS: &str = "pg_listening_channels";

/// What a statement of the session answers.
pub(super) struct Reply {
    pub(super) rows: Option<RecordBatch>,
    pub(super) tag: Cow<'static, str>,
}

impl Reply {
    fn tag(tag: impl Into<Cow<'static, str>>) -> Self {
        Self { rows: None, tag: tag.into() }
    }
}

impl Session {
    /// Runs a statement that is the session's own.
    pub(super) async fn run_command(&mut self, command: &Command) -> Result<Reply, Halt> {
        if let Some(role) = &self.role {
            role.admit(command)?;
        }
        match command {
            Command::Query { .. } | Command::Execute { .. } | Command::Fetch { .. } => {
                Err(PgError::internal("a statement with a stream was run without one").into())
            }
            Command::Set { scope, name, value } => {
                self.warn_unless_in_transaction(*scope, "SET LOCAL")?;
                match value {
                    Some(value) => self.settings.set(*scope, name, value)?,
                    None => self.settings.reset(*scope, name)?,
                }
                Ok(Reply::tag("SET"))
            }
            Command::SetConfig { scope, name, value } => {
                self.settings.set(*scope, name, value)?;
                let shown = self.settings.show(name)?;
                Ok(Reply { rows: Some(one_row(&["set_config"], &[&shown])?), tag: "SELECT 1".into() })
            }
            Command::Show(target) => Ok(Reply { rows: Some(self.show(target)?), tag: "SHOW".into() }),
            Command::Reset(name) => {
                match name {
                    Some(name) => self.settings.reset(SetScope::Session, name)?,
                    None => self.settings.reset_all(),
                }
                Ok(Reply::tag("RESET"))
            }
            Command::Discard(target) => self.discard(*target),
            Command::Transaction(command) => self.transact(command).await,
            Command::Prepare { name, types, sql } => {
                let oids = types.iter().map(|name| type_number(name)).collect::<Result<Vec<_>, _>>()?;
                self.prepare_named(name, sql, &oids).await?;
                Ok(Reply::tag("PREPARE"))
            }
            Command::Deallocate(name) => match name {
                Some(name) => match self.prepared.remove(name) {
                    Some(_) => Ok(Reply::tag("DEALLOCATE")),
                    None => Err(super::extended_query::unknown_statement(name).into()),
                },
                None => {
                    self.prepared.clear();
                    Ok(Reply::tag("DEALLOCATE ALL"))
                }
            },
            Command::Declare { name, sql } => self.declare(name, sql).await,
            Command::Close(name) => match name {
                Some(name) => match self.portals.remove(name) {
                    Some(_) => Ok(Reply::tag("CLOSE CURSOR")),
                    None => Err(unknown_cursor(name).into()),
                },
                None => {
                    self.portals.clear();
                    Ok(Reply::tag("CLOSE CURSOR ALL"))
                }
            },
            Command::Call { procedure, arguments } => {
                let environment = Arc::clone(&self.environment);
                let identity = self.identity();
                let call = async { environment.call(procedure, arguments, &identity).await.map_err(|error| PgError::from(&error)) };
                let outcome = self.guarded(call).await?;
                self.send_notices(outcome.notices)?;
                Ok(Reply::tag("CALL"))
            }
            Command::ImportForeignSchema(import) => self.import(import).await,
            Command::DropForeignTable(drop) => self.drop_tables(drop).await,
            Command::Listen(channel) => {
                self.listen(channel)?;
                Ok(Reply::tag("LISTEN"))
            }
            Command::Unlisten(channel) => {
                self.unlisten(channel.as_deref())?;
                Ok(Reply::tag("UNLISTEN"))
            }
            Command::Notify { channel, payload } => {
                self.notify(channel, payload)?;
                Ok(Reply::tag("NOTIFY"))
            }
            Command::ListeningChannels => {
                let channels = self.channels();
                let tag = format!("SELECT {}", channels.len());
                let column = Arc::new(StringArray::from(channels));
                Ok(Reply { rows: Some(text_batch(&[LISTENING_CHANNELS], vec![column])?), tag: tag.into() })
            }
            Command::Ignored(tag) => Ok(Reply::tag(*tag)),
        }
    }

    async fn import(&mut self, import: &ImportForeignSchema) -> Result<Reply, Halt> {
        // PostgreSQL takes an import back with its transaction. Here it is written through at once, for every client to see, so a
        // block that might be rolled back must not hold one.
        if !import.is_dry_run() {
            self.refuse_in_transaction(IMPORT)?;
        }
        let (environment, identity) = (Arc::clone(&self.environment), self.identity());
        let asking = Asking::new();
        let done = async { environment.import_foreign_schema(import, &identity, &asking).await.map_err(|error| PgError::from(&error)) };
        let outcome = self.guarded_change(done, &asking).await?;
        self.send_notices(outcome.notices)?;
        let rows = if import.is_dry_run() { Some(steps(&outcome.steps)?) } else { None };
        Ok(Reply { rows, tag: IMPORT.into() })
    }

    async fn drop_tables(&mut self, drop: &DropForeignTable) -> Result<Reply, Halt> {
        // As with an import.
        self.refuse_in_transaction("DROP FOREIGN TABLE")?;
        let (environment, identity) = (Arc::clone(&self.environment), self.identity());
        let asking = Asking::new();
        let done = async { environment.drop_foreign_tables(drop, &identity, &asking).await.map_err(|error| PgError::from(&error)) };
        let outcome = self.guarded_change(done, &asking).await?;
        self.send_notices(outcome.notices)?;
        Ok(Reply::tag("DROP FOREIGN TABLE"))
    }

    fn send_notices(&mut self, notices: Vec<Notice>) -> Result<(), Halt> {
        notices.into_iter().try_for_each(|notice| self.send_notice(Some(notice)))
    }

    fn refuse_in_transaction(&self, statement: &str) -> Result<(), PgError> {
        if self.transaction.is_open() {
            let message = format!("{statement} cannot run inside a transaction block");
            return Err(PgError::new(SUCCESSFUL_COMPLETION_ACTIVE_TRANSACTION, message));
        }
        Ok(())
    }

    fn warn_unless_in_transaction(&mut self, scope: SetScope, statement: &str) -> Result<(), Halt> {
        if scope == SetScope::Transaction && !self.transaction.is_open() {
            let message = format!("{statement} can only be used in transaction blocks");
            self.send_notice(Some(Notice::warning(NO_ACTIVE_TRANSACTION, message)))?;
        }
        Ok(())
    }

    fn show(&self, target: &ShowTarget) -> Result<RecordBatch, PgError> {
        match target {
            ShowTarget::One(name) => {
                let value = self.settings.show(name)?;
                one_row(&[super::settings::display_name(name)], &[&value])
            }
            ShowTarget::All => {
                let rows = self.settings.all();
                let column = |get: fn(&super::SettingRow) -> &str| -> ArrayRef {
                    Arc::new(rows.iter().map(|row| Some(get(row))).collect::<StringArray>())
                };
                text_batch(
                    &["name", "setting", "description"],
                    vec![column(|row| &row.name), column(|row| &row.value), column(|row| row.description)],
                )
            }
        }
    }

    fn discard(&mut self, target: DiscardTarget) -> Result<Reply, Halt> {
        let tag = match target {
            DiscardTarget::All => {
                self.refuse_in_transaction("DISCARD ALL")?;
                self.portals.clear();
                self.prepared.clear();
                self.settings.reset_all();
                self.unlisten(None)?;
                "DISCARD ALL"
            }
            DiscardTarget::Plans => {
                for prepared in self.prepared.values() {
                    prepared.take_plan();
                }
                "DISCARD PLANS"
            }
            DiscardTarget::Sequences => "DISCARD SEQUENCES",
            DiscardTarget::Temp => "DISCARD TEMP",
        };
        Ok(Reply::tag(tag))
    }

    async fn transact(&mut self, command: &TransactionCommand) -> Result<Reply, Halt> {
        let answer = match command {
            TransactionCommand::Begin { tag, modes } => {
                let answer = self.transaction.begin(&self.settings, tag);
                self.apply_modes(modes, SetScope::Transaction, "transaction")?;
                answer
            }
            TransactionCommand::Commit { and_chain } => {
                // Cursors do not outlive their transaction.
                self.portals.clear();
                self.transaction.check_chain("COMMIT", *and_chain)?;
                if let Err(halt) = self.commit_changes().await {
                    self.transaction.rollback(&mut self.settings, false)?;
                    return Err(halt);
                }
                self.transaction.commit(&mut self.settings, *and_chain)?
            }
            TransactionCommand::Rollback { and_chain } => {
                self.portals.clear();
                self.writing = None;
                self.transaction.rollback(&mut self.settings, *and_chain)?
            }
            TransactionCommand::Savepoint(_) if self.writing.is_some() => {
                return Err(PgError::new(UNSUPPORTED, "a savepoint after a change of rows is not supported")
                    .hint("Set it before the first change, or commit first.")
                    .into());
            }
            TransactionCommand::Savepoint(name) => self.transaction.savepoint(name.clone(), &self.settings)?,
            TransactionCommand::Release(name) => self.transaction.release(name)?,
            TransactionCommand::RollbackTo(name) => {
                let answer = self.transaction.rollback_to(name, &mut self.settings)?;
                // All changes came after it.
                self.writing = None;
                answer
            }
            TransactionCommand::Characteristics { is_session: true, modes } => {
                self.apply_modes(modes, SetScope::Session, "default_transaction")?;
                return Ok(Reply::tag("SET"));
            }
            TransactionCommand::Characteristics { is_session: false, modes } => {
                self.warn_unless_in_transaction(SetScope::Transaction, "SET TRANSACTION")?;
                self.apply_modes(modes, SetScope::Transaction, "transaction")?;
                return Ok(Reply::tag("SET"));
            }
        };
        self.settle(answer.committed);
        self.send_notice(answer.notice)?;
        Ok(Reply::tag(answer.tag))
    }

    fn apply_modes(&mut self, modes: &TransactionModes, scope: SetScope, prefix: &str) -> Result<(), PgError> {
        let word = |on: bool| if on { "on" } else { "off" };
        let values = [("isolation", modes.isolation), ("read_only", modes.read_only.map(word)), ("deferrable", modes.deferrable.map(word))];
        for (suffix, value) in values {
            if let Some(value) = value {
                self.settings.set(scope, &format!("{prefix}_{suffix}"), value)?;
            }
        }
        Ok(())
    }

    async fn declare(&mut self, name: &str, sql: &str) -> Result<Reply, Halt> {
        if !self.transaction.is_open() {
            return Err(PgError::new(NO_ACTIVE_TRANSACTION, "DECLARE CURSOR can only be used in transaction blocks").into());
        }
        if self.portals.contains_key(name) {
            return Err(PgError::new(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")).into());
        }
        let prepared = self.prepare(sql, single(parse_all(&self.engine, sql)?)?, &[]).await?;
        if !matches!(prepared.command, Some(Command::Query { tag: QueryTag::Select | QueryTag::Explain, .. })) {
            return Err(PgError::new(SYNTAX, "a cursor is declared for a query").into());
        }
        let portal = self.open(Arc::new(prepared), &[], |_, _| Ok(Vec::new())).await?;
        self.portals.insert(name.to_owned(), portal);
        Ok(Reply::tag("DECLARE CURSOR"))
    }

    /// The columns of an open cursor.
    pub(super) fn cursor_columns(&self, name: &str) -> Result<SchemaRef, PgError> {
        let portal = self.portals.get(name).ok_or_else(|| unknown_cursor(name))?;
        portal.prepared.columns.clone().ok_or_else(|| unknown_cursor(name))
    }

    /// Sends the next rows of a cursor, or passes over them, and returns the tag.
    pub(super) async fn fetch(&mut self, name: &str, count: Option<usize>, moves: bool, formats: &[Format]) -> Result<String, Halt> {
        let mut portal = self.portals.remove(name).ok_or_else(|| unknown_cursor(name))?;
        self.start(&mut portal).await?;
        let mut rows = 0;
        if let PortalState::Running(running) = &mut portal.state {
            let columns = running.schema().fields().len();
            let formats = if formats.len() == columns { formats.to_vec() } else { vec![Format::Text; columns] };
            running.set_formats(formats, Style::of(&self.settings))?;
            let destination = if moves { Destination::Nowhere } else { Destination::Client };
            let delivered = self.deliver(running, count.map(|count| count as u64), destination).await?;
            rows = delivered.rows;
            if delivered.is_complete {
                portal.state = PortalState::Done(delivered.cut);
            }
        }
        // Whoever asks for rows after those that were cut is told again.
        let cut = if let PortalState::Done(cut) = &portal.state { cut.clone() } else { None };
        self.tell_cut(cut.as_ref())?;
        self.portals.insert(name.to_owned(), portal);
        Ok(format!("{} {rows}", if moves { "MOVE" } else { "FETCH" }))
    }

    /// Binds the literals of an `EXECUTE` to a prepared statement.
    pub(super) async fn execute_arguments(&mut self, name: &str, arguments: &[Option<String>]) -> Result<(Portal, QueryTag), Halt> {
        let prepared = self.prepared.get(name).cloned().ok_or_else(|| super::extended_query::unknown_statement(name))?;
        let Some(Command::Query { tag, .. }) = prepared.command else {
            return Err(PgError::new(UNSUPPORTED, "EXECUTE runs prepared queries only").into());
        };
        let zone = self.settings.time_zone();
        let expected = prepared.parameter_oids.len();
        if arguments.len() != expected {
            return Err(PgError::new(SYNTAX, format!("wrong number of parameters for prepared statement \"{name}\""))
                .detail(format!("Expected {expected} parameters but got {}.", arguments.len()))
                .into());
        }
        let oids = prepared.parameter_oids.clone();
        let portal = self.open(prepared, &[], |_, types| {
            oids.iter()
                .zip(arguments)
                .zip(types)
                .map(|((oid, argument), data_type)| decode::from_text(*oid, argument.as_deref(), data_type, zone))
                .collect()
        });
        Ok((portal.await?, tag))
    }
}

/// The columns of what the session itself answers.
pub(super) fn command_columns(command: &Command) -> Option<SchemaRef> {
    match command {
        Command::Show(ShowTarget::One(name)) => Some(text_schema(&[super::settings::display_name(name)])),
        Command::Show(ShowTarget::All) => Some(text_schema(&["name", "setting", "description"])),
        Command::SetConfig { .. } => Some(text_schema(&["set_config"])),
        Command::ListeningChannels => Some(text_schema(&[LISTENING_CHANNELS])),
        Command::ImportForeignSchema(import) if import.is_dry_run() => Some(text_schema(&STEP_COLUMNS)),
        _ => None,
    }
}

/// The tag of what the session itself answers with rows, when its last `rows` are sent.
pub(super) fn rows_tag(command: &Command, rows: u64) -> Cow<'static, str> {
    match command {
        Command::SetConfig { .. } | Command::ListeningChannels => format!("SELECT {rows}").into(),
        Command::ImportForeignSchema(_) => IMPORT.into(),
        _ => "SHOW".into(),
    }
}

fn steps(steps: &[ImportStep]) -> Result<RecordBatch, PgError> {
    let column = |get: fn(&ImportStep) -> &str| -> ArrayRef { Arc::new(steps.iter().map(|step| Some(get(step))).collect::<StringArray>()) };
    let columns = vec![
        column(|step| &step.remote_table),
        column(|step| &step.published_name),
        column(|step| &step.action),
        column(|step| &step.detail),
    ];
    text_batch(&STEP_COLUMNS, columns)
}

fn text_schema(names: &[&str]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect::<Vec<_>>()))
}

fn text_batch(names: &[&str], columns: Vec<ArrayRef>) -> Result<RecordBatch, PgError> {
    RecordBatch::try_new(text_schema(names), columns).map_err(|error| PgError::internal(error.to_string()))
}

fn one_row(names: &[&str], values: &[&str]) -> Result<RecordBatch, PgError> {
    text_batch(names, values.iter().map(|value| Arc::new(StringArray::from(vec![*value])) as ArrayRef).collect())
}

fn type_number(name: &str) -> Result<u32, PgError> {
    // A length or precision changes nothing for a parameter.
    let bare = match (name.find('('), name.rfind(')')) {
        (Some(open), Some(close)) if open < close => format!("{}{}", name[..open].trim_end(), &name[close + 1..]),
        _ => name.to_owned(),
    };
    if bare == "unknown" {
        return Ok(0);
    }
    oid_of_sql_name(&bare).ok_or_else(|| PgError::new(UNDEFINED_OBJECT, format!("type \"{name}\" does not exist")))
}

fn unknown_cursor(name: &str) -> PgError {
    PgError::new(UNDEFINED_CURSOR, format!("cursor \"{name}\" does not exist"))
}
