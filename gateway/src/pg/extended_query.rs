//! The extended protocol: Parse, Bind, Describe, Execute, Close.

use std::sync::{Arc, Mutex};

use datafusion::arrow::datatypes::DataType;
use datafusion::scalar::ScalarValue;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{NoData, ParameterDescription};
use pgwire::messages::extendedquery::{BindComplete, CloseComplete, ParseComplete, PortalSuspended};
use pgwire::messages::response::EmptyQueryResponse;

use super::command::{Command, QueryTag, parse_all};
use super::decode;
use super::encode::{Format, Style};
use super::frontend::{Bind, Target};
use super::pg_type::{WIDE_NUMERIC, parameter_oid, parameter_type};
use super::portal::{Bound, Destination, Plan, Portal, PortalState, Prepared, Running, changed_result, row_description};
use super::session::Session;
use super::session_command::{command_columns, rows_tag};
use super::simple_query::{query_tag, single};
use super::sqlstate::{
    DUPLICATE_CURSOR, DUPLICATE_STATEMENT, Halt, NOT_IN_STATE, OUT_OF_RANGE, PROTOCOL_VIOLATION, PgError, UNDEFINED_CURSOR,
    UNDEFINED_STATEMENT,
};

impl Session {
    pub(super) async fn parse(&mut self, name: String, sql: &str, oids: &[u32]) -> Result<(), Halt> {
        if name.is_empty() {
            // A new unnamed statement replaces the old one, even when it fails.
            self.prepared.remove("");
        }
        self.prepare_named(&name, sql, oids).await?;
        self.send(PgWireBackendMessage::ParseComplete(ParseComplete::new()))
    }

    /// Prepares a statement under a name.
    pub(super) async fn prepare_named(&mut self, name: &str, sql: &str, oids: &[u32]) -> Result<(), Halt> {
        self.announce(sql);
        let command = single(parse_all(&self.engine, sql)?)?;
        if command.as_ref().is_some_and(|command| !command.ends_failed_transaction()) {
            self.transaction.check()?;
        }
        if !name.is_empty() && self.prepared.contains_key(name) {
            return Err(PgError::new(DUPLICATE_STATEMENT, format!("prepared statement \"{name}\" already exists")).into());
        }
        let mut prepared = self.prepare(sql, command, oids).await?;
        if let Some(tables) = prepared.tables().filter(|_| !name.is_empty()) {
            prepared.registered = Some(self.environment.statements().register(self.pid(), name, &tables));
        }
        self.prepared.insert(name.to_owned(), Arc::new(prepared));
        Ok(())
    }

    /// Finds the types of a statement, whose text is `sql`.
    pub(super) async fn prepare(&mut self, sql: &str, command: Option<Command>, oids: &[u32]) -> Result<Prepared, Halt> {
        let text = Arc::from(sql);
        let declared = oids.iter().map(|oid| parameter_type(*oid)).collect::<Result<Vec<_>, _>>()?;
        if let (Some(role), Some(command)) = (&self.role, &command) {
            role.admit(command)?;
        }
        match &command {
            Some(Command::Query { statement, .. }) => {
                let plan = self.plan(statement, &declared, None).await?;
                let parameter_oids = told_types(oids, plan.query.parameter_types());
                let columns = plan.query.gives_rows().then(|| Arc::clone(plan.query.schema()));
                Ok(Prepared { text, command, declared, parameter_oids, columns, plan: Mutex::new(Some(plan)), registered: None })
            }
            Some(Command::Fetch { cursor, moves: false, .. }) => {
                let columns = Some(self.cursor_columns(cursor)?);
                Ok(Prepared { text, command, declared, parameter_oids: oids.to_vec(), columns, plan: Mutex::default(), registered: None })
            }
            Some(Command::Execute { name, .. }) => {
                let columns = self.prepared.get(name).ok_or_else(|| unknown_statement(name))?.columns.clone();
                Ok(Prepared { text, command, declared, parameter_oids: oids.to_vec(), columns, plan: Mutex::default(), registered: None })
            }
            other => {
                let columns = other.as_ref().and_then(command_columns);
                Ok(Prepared { text, command, declared, parameter_oids: oids.to_vec(), columns, plan: Mutex::default(), registered: None })
            }
        }
    }

    pub(super) async fn bind(&mut self, bind: Bind) -> Result<(), Halt> {
        let Bind { portal: name, statement, parameter_formats, parameters, result_formats } = bind;
        let prepared = self.prepared.get(&statement).cloned().ok_or_else(|| unknown_statement(&statement))?;
        if prepared.command.as_ref().is_some_and(|command| !command.ends_failed_transaction()) {
            self.transaction.check()?;
        }
        let expected = prepared.parameter_oids.len();
        if parameters.len() != expected {
            let message = format!(
                "bind message supplies {} parameters, but prepared statement \"{statement}\" requires {expected}",
                parameters.len()
            );
            return Err(PgError::new(PROTOCOL_VIOLATION, message).into());
        }
        if parameter_formats.len() > 1 && parameter_formats.len() != expected {
            let message = format!("bind message has {} parameter formats but {expected} parameters", parameter_formats.len());
            return Err(PgError::new(PROTOCOL_VIOLATION, message).into());
        }
        if name.is_empty() {
            self.portals.remove("");
        } else if self.portals.contains_key(&name) {
            return Err(PgError::new(DUPLICATE_CURSOR, format!("cursor \"{name}\" already exists")).into());
        }
        let formats = Format::of_columns(&parameter_formats, expected)?;
        let zone = self.settings.time_zone();
        let portal = self
            .open(prepared, &result_formats, |prepared, types| {
                prepared
                    .parameter_oids
                    .iter()
                    .zip(&formats)
                    .zip(&parameters)
                    .zip(types)
                    .map(|(((oid, format), bytes), data_type)| decode::parameter(*oid, *format, bytes.as_ref(), data_type, zone))
                    .collect()
            })
            .await?;
        self.portals.insert(name, portal);
        self.send(PgWireBackendMessage::BindComplete(BindComplete::new()))
    }

    /// Makes a portal: plans again if tables or settings changed, and reads the parameters by the plan's types.
    pub(super) async fn open(
        &mut self,
        prepared: Arc<Prepared>,
        result_formats: &[i16],
        read: impl Fn(&Prepared, &[DataType]) -> Result<Vec<ScalarValue>, PgError>,
    ) -> Result<Portal, Halt> {
        let columns = prepared.columns.as_ref().map_or(0, |columns| columns.fields().len());
        let formats = Format::of_columns(result_formats, columns)?;
        let Some(Command::Query { statement, .. }) = &prepared.command else {
            return Ok(Portal { prepared, formats, state: PortalState::Ready(None) });
        };
        let plan = self.plan(statement, &prepared.declared, prepared.take_plan()).await?;
        if !prepared.describes(plan.query.schema()) {
            return Err(changed_result().into());
        }
        let version = plan.version;
        let bound = match read(&prepared, plan.query.parameter_types()) {
            Ok(parameters) => {
                let query = plan.query.clone();
                self.keep(&prepared, plan);
                Bound { query, version, parameters }
            }
            // PostgreSQL's numeric parameters hold any digits. A plan that took one for its column's decimal is made anew for these.
            Err(error) if error.code == OUT_OF_RANGE => {
                let Some(widened) = widened(&prepared.declared, plan.query.parameter_types()) else { return Err(error.into()) };
                let wide = self.plan(statement, &widened, None).await?;
                if !prepared.describes(wide.query.schema()) {
                    return Err(error.into());
                }
                let parameters = read(&prepared, wide.query.parameter_types())?;
                Bound { query: wide.query, version: wide.version, parameters }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Portal { prepared, formats, state: PortalState::Ready(Some(bound)) })
    }

    /// Keeps the plan of a named statement; the unnamed one is rarely bound twice, and an idle session should cost little.
    fn keep(&self, prepared: &Arc<Prepared>, plan: Plan) {
        let is_unnamed = self.prepared.get("").is_some_and(|unnamed| Arc::ptr_eq(unnamed, prepared));
        if !is_unnamed {
            prepared.keep_plan(plan);
        }
    }

    pub(super) fn describe(&mut self, target: Target) -> Result<(), Halt> {
        let (prepared, formats) = match &target {
            Target::Statement(name) => {
                let prepared = self.prepared.get(name).cloned().ok_or_else(|| unknown_statement(name))?;
                (prepared, Vec::new())
            }
            Target::Portal(name) => {
                let portal = self.portals.get(name).ok_or_else(|| unknown_portal(name))?;
                (Arc::clone(&portal.prepared), portal.formats.clone())
            }
        };
        if prepared.columns.is_some() {
            self.transaction.check()?;
        }
        // Built first: an error must not follow half an answer.
        let columns = match &prepared.columns {
            Some(columns) => row_description(columns, &formats)?,
            None => PgWireBackendMessage::NoData(NoData::new()),
        };
        if let Target::Statement(_) = target {
            self.send(PgWireBackendMessage::ParameterDescription(ParameterDescription::new(prepared.parameter_oids.clone())))?;
        }
        self.send(columns)
    }

    pub(super) async fn execute(&mut self, name: String, limit: usize) -> Result<(), Halt> {
        // The portal is out of the map while it runs: an error or a cancel drops it, and with it the work at the sources.
        let mut portal = self.portals.remove(&name).ok_or_else(|| unknown_portal(&name))?;
        let prepared = Arc::clone(&portal.prepared);
        let Some(command) = &prepared.command else {
            self.portals.insert(name, portal);
            return self.send(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new()));
        };
        self.announce(&prepared.text);
        if !command.ends_failed_transaction() {
            self.transaction.check()?;
        }
        let is_complete = match command {
            Command::Query { tag, .. } => {
                self.start(&mut portal).await?;
                self.send_rows(&mut portal, limit, |rows| query_tag(*tag, rows).into_owned()).await?
            }
            Command::Execute { name, arguments } => {
                let executed = self.prepared.get(name).and_then(|prepared| prepared.command.as_ref());
                let mut tag = match executed {
                    Some(Command::Query { tag, .. }) => *tag,
                    _ => QueryTag::Select,
                };
                if let PortalState::Ready(None) = portal.state {
                    let (mut inner, own) = self.execute_arguments(name, arguments).await?;
                    // Another statement may have taken the name since.
                    let is_as_told = match inner.prepared.columns.as_ref() {
                        Some(columns) => prepared.describes(columns),
                        None => prepared.columns.is_none(),
                    };
                    if !is_as_told {
                        return Err(changed_result().into());
                    }
                    inner.formats.clone_from(&portal.formats);
                    self.start(&mut inner).await?;
                    portal.state = inner.state;
                    tag = own;
                }
                self.send_rows(&mut portal, limit, |rows| query_tag(tag, rows).into_owned()).await?
            }
            Command::Fetch { cursor, count, moves } => {
                begin_once(&mut portal, &name)?;
                // Another cursor may have taken the name since.
                if !moves && !prepared.describes(&*self.cursor_columns(cursor)?) {
                    return Err(changed_result().into());
                }
                let tag = self.fetch(cursor, *count, *moves, &portal.formats).await?;
                self.complete(tag)?;
                true
            }
            other => match portal.state {
                PortalState::Running(_) => self.send_rows(&mut portal, limit, |rows| rows_tag(other, rows).into_owned()).await?,
                PortalState::Ready(_) | PortalState::Done(_) => {
                    begin_once(&mut portal, &name)?;
                    let reply = self.run_command(other).await?;
                    match reply.rows {
                        Some(batch) => {
                            let running = Running::of_batch(batch, portal.formats.clone(), Style::of(&self.settings))?;
                            portal.state = PortalState::Running(Box::new(running));
                            self.send_rows(&mut portal, limit, |_| reply.tag.into_owned()).await?
                        }
                        None => {
                            self.complete(reply.tag)?;
                            true
                        }
                    }
                }
            },
        };
        if is_complete {
            self.end_statement();
        }
        // A statement that ended the transaction has ended its portals too.
        if !matches!(command, Command::Transaction(_) | Command::Discard(_) | Command::Close(_)) {
            self.portals.insert(name, portal);
        }
        Ok(())
    }

    /// Sends rows of a portal up to the limit, and whether that was all.
    async fn send_rows(&mut self, portal: &mut Portal, limit: usize, tag: impl FnOnce(u64) -> String) -> Result<bool, Halt> {
        let running = match &mut portal.state {
            PortalState::Running(running) => running,
            // A result that is at its end has no more rows.
            PortalState::Ready(_) => {
                self.complete(tag(0))?;
                return Ok(true);
            }
            PortalState::Done(cut) => {
                if let Some(cut) = cut.clone() {
                    self.tell_cut(Some(&cut))?;
                }
                self.complete(tag(0))?;
                return Ok(true);
            }
        };
        let (is_limited, changed) = (running.is_limited(), running.changed());
        let limit = (limit > 0).then_some(limit as u64);
        let delivered = self.deliver(running, limit, Destination::Client).await?;
        if delivered.is_complete {
            // Dropped before the client hears of it: its sources are free when it asks again.
            portal.state = PortalState::Done(delivered.cut.clone());
            if is_limited {
                self.tell_cut(delivered.cut.as_ref())?;
            }
            self.complete(tag(changed.unwrap_or(delivered.rows)))?;
        } else {
            self.send(PgWireBackendMessage::PortalSuspended(PortalSuspended::new()))?;
        }
        Ok(delivered.is_complete)
    }

    pub(super) fn close(&mut self, target: Target) -> Result<(), Halt> {
        match target {
            Target::Statement(name) => drop(self.prepared.remove(&name)),
            Target::Portal(name) => drop(self.portals.remove(&name)),
        }
        self.send(PgWireBackendMessage::CloseComplete(CloseComplete::new()))
    }
}

/// A statement that is no query runs once.
fn begin_once(portal: &mut Portal, name: &str) -> Result<(), PgError> {
    match portal.state {
        PortalState::Ready(_) => {
            portal.state = PortalState::Done(None);
            Ok(())
        }
        PortalState::Running(_) | PortalState::Done(_) => Err(PgError::new(NOT_IN_STATE, format!("portal \"{name}\" cannot be run"))),
    }
}

/// The types the client is told: those it declared, and the plan's for the others.
fn told_types(declared: &[u32], planned: &[DataType]) -> Vec<u32> {
    planned
        .iter()
        .enumerate()
        .map(|(position, data_type)| match declared.get(position) {
            Some(oid) if !matches!(*oid, 0 | super::pg_type::UNKNOWN) => *oid,
            _ => parameter_oid(data_type),
        })
        .collect()
}

/// The declared types with every undeclared decimal as a numeric of any digits; `None` when there is none.
fn widened(declared: &[Option<DataType>], planned: &[DataType]) -> Option<Vec<Option<DataType>>> {
    let is_narrow = |position: usize, data_type: &DataType| {
        declared.get(position).is_none_or(Option::is_none) && data_type.is_decimal() && *data_type != WIDE_NUMERIC
    };
    let types: Vec<_> = planned
        .iter()
        .enumerate()
        .map(|(position, data_type)| Some(if is_narrow(position, data_type) { WIDE_NUMERIC } else { data_type.clone() }))
        .collect();
    planned.iter().enumerate().any(|(position, data_type)| is_narrow(position, data_type)).then_some(types)
}

pub(super) fn unknown_statement(name: &str) -> PgError {
    let shown = if name.is_empty() {
        "unnamed prepared statement does not exist".to_owned()
    } else {
        format!("prepared statement \"{name}\" does not exist")
    };
    PgError::new(UNDEFINED_STATEMENT, shown)
}

fn unknown_portal(name: &str) -> PgError {
    PgError::new(UNDEFINED_CURSOR, format!("portal \"{name}\" does not exist"))
}
