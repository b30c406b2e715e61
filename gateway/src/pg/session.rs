//! A client's session: its state, and the loop over its messages.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_planner::Engine;
use chrono::{DateTime, Utc};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::ReadyForQuery;
use pgwire::messages::startup::ParameterStatus;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tracing::{debug, error};

use super::active_statement::ActiveStatement;
use super::cancel::CancelHandle;
use super::connection::{Frame, Input, Output};
use super::frontend::{self, FrontendMessage};
use super::listener::farewell;
use super::notice::Notice;
use super::notify::Subscription;
use super::portal::{Portal, Prepared};
use super::sessions::{Participant, Presence};
use super::settings::{Settings, SettingsView};
use super::sqlstate::{Aside, ErrorSeverity, Halt, IDLE_IN_TRANSACTION, IDLE_SESSION, PgError, UNSUPPORTED};
use super::startup::Admitted;
use super::transaction::Transaction;
use super::truncation::{Cut, LastTruncated};
use super::write::Writing;
use super::{EnvironmentBackend, SessionIdentity};
use crate::Shutdown;
use crate::roles::Role;

/// How long a client may be silent in a transaction that has changed rows.
const LONGEST_HOLD: Duration = Duration::from_secs(15 * 60);

/// The state of one session. While it is idle this is all there is of it.
pub(crate) struct Session {
    pub(super) input: Input,
    pub(super) output: Output,
    pub(super) engine: Arc<Engine>,
    pub(super) environment: Arc<dyn EnvironmentBackend>,
    pub(super) settings: Settings,
    pub(super) transaction: Transaction,
    pub(super) prepared: HashMap<String, Arc<Prepared>>,
    pub(super) portals: HashMap<String, Portal>,
    /// The transaction of a source that the one at hand holds; `None` when it has changed nothing.
    pub(super) writing: Option<Box<Writing>>,
    /// The channels it listens on; `None` without any.
    pub(super) subscription: Option<Box<Subscription>>,
    /// Set by an error in the extended protocol: messages are skipped until Sync.
    pub(super) is_skipping: bool,
    /// Set from the first message of the extended protocol to its Sync.
    is_in_pipeline: bool,
    user: String,
    /// The limited role it is, if it is one.
    pub(super) role: Option<Arc<Role>>,
    /// Whether the result of its last query was cut.
    pub(super) last_truncated: LastTruncated,
    client: SocketAddr,
    started: DateTime<Utc>,
    pub(super) cancel: CancelHandle,
    /// Its place among the sessions of its environment.
    pub(super) presence: Presence,
    pub(super) shutdown: Shutdown,
    /// The statement that runs, from its first message to its last.
    pub(super) active: Option<ActiveStatement>,
    /// The settings the client was last told of.
    told: Option<Settings>,
    /// How many faults of ours this session has met, to number them.
    faults: u32,
    _place: OwnedSemaphorePermit,
}

impl Session {
    pub(crate) fn new(
        admitted: Admitted,
        input: Input,
        output: Output,
        client: SocketAddr,
        engine: Arc<Engine>,
        shutdown: Shutdown,
    ) -> Self {
        let started = Utc::now();
        let who = Participant { pid: admitted.cancel.pid(), user: admitted.user.clone(), client_address: client, started };
        Self {
            input,
            output,
            engine,
            presence: admitted.environment.sessions().enter(who),
            environment: admitted.environment,
            settings: admitted.settings,
            transaction: Transaction::default(),
            prepared: HashMap::new(),
            portals: HashMap::new(),
            writing: None,
            subscription: None,
            is_skipping: false,
            is_in_pipeline: false,
            user: admitted.user,
            role: admitted.role,
            last_truncated: LastTruncated::default(),
            client,
            started,
            cancel: admitted.cancel,
            shutdown,
            active: None,
            told: None,
            faults: 0,
            _place: admitted.place,
        }
    }

    /// Serves the client until one of the two leaves.
    pub(crate) async fn run(mut self) {
        let halt = match self.serve().await {
            Ok(never) => match never {},
            Err(halt) => halt,
        };
        // Whatever still runs for this client ends before it is told so.
        self.portals.clear();
        self.writing = None;
        self.cancel.end();
        match halt {
            Halt::Gone => debug!("session ends"),
            Halt::Fatal(error) | Halt::Statement(error) => {
                debug!(code = error.code, "session is ended");
                let error = self.numbered(*error);
                farewell(&mut self.output, error).await;
            }
        }
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, Halt> {
        self.ready().await?;
        loop {
            let frame = self.next_frame().await?;
            // Boxed so that an idle session does not keep room for the states of a running one.
            Box::pin(self.answer(frame)).await?;
        }
    }

    /// Waits for the next message. Everything answered so far leaves first.
    async fn next_frame(&mut self) -> Result<Frame, Halt> {
        let mut silent_since = None;
        loop {
            // What has been sent ahead is no reason to stay: it has not begun.
            let is_idle = !self.is_in_pipeline;
            if is_idle && self.shutdown.is_draining() {
                return Err(Halt::Fatal(Box::new(PgError::terminated())));
            }
            if let Some(frame) = self.input.take_frame().map_err(|error| Halt::Fatal(Box::new(error)))? {
                return Ok(frame);
            }
            if is_idle {
                self.tell_notifications().await?;
            }
            self.flush().await?;
            let is_listening = is_idle && !self.transaction.is_open();
            // What the client is told of meanwhile does not make it less silent.
            let since = *silent_since.get_or_insert_with(Instant::now);
            let limit = self.idle_limit().map(|(limit, error)| (since.checked_add(limit), error));
            let filled = tokio::select! {
                biased;
                filled = self.input.fill() => filled?,
                () = self.shutdown.drained(), if is_idle => return Err(Halt::Fatal(Box::new(PgError::terminated()))),
                () = self.shutdown.terminated() => return Err(Halt::Fatal(Box::new(PgError::terminated()))),
                () = self.presence.terminated().cancelled() => return Err(Halt::Fatal(Box::new(PgError::terminated()))),
                error = idled_out(limit) => return Err(Halt::Fatal(Box::new(error))),
                () = arrived(self.subscription.as_deref()), if is_listening => continue,
            };
            if !filled {
                return Err(Halt::Gone);
            }
        }
    }

    /// How long the client may be silent now, and what it is told after.
    fn idle_limit(&self) -> Option<(Duration, PgError)> {
        if self.transaction.is_open() || self.writing.is_some() {
            // Whoever changed rows keeps others from theirs.
            let holding = self.writing.is_some().then_some(LONGEST_HOLD);
            let limit = self.settings.idle_in_transaction_timeout().into_iter().chain(holding).min()?;
            return Some((limit, PgError::new(IDLE_IN_TRANSACTION, "terminating connection due to idle-in-transaction timeout")));
        }
        let limit = self.settings.idle_timeout()?;
        Some((limit, PgError::new(IDLE_SESSION, "terminating connection due to idle-session timeout")))
    }

    /// Writes out what is answered. A client that does not read does not keep the process from ending.
    pub(super) async fn flush(&mut self) -> Result<(), Halt> {
        tokio::select! {
            biased;
            flushed = self.output.flush() => Ok(flushed?),
            () = self.shutdown.terminated() => Err(Halt::Fatal(Box::new(PgError::terminated()))),
        }
    }

    async fn answer(&mut self, frame: Frame) -> Result<(), Halt> {
        let is_sync = frame.kind == b'S';
        if self.is_skipping && !is_sync && frame.kind != b'X' {
            return Ok(());
        }
        let is_extended = frontend::is_extended(frame.kind);
        self.is_in_pipeline |= is_extended;
        let answered = match frontend::decode(frame.kind, frame.body) {
            Ok(message) => self.dispatch(message).await,
            Err(error) => Err(error.into()),
        };
        match answered {
            Err(Halt::Statement(error)) => {
                self.fail(*error)?;
                self.is_skipping = is_extended;
                if is_extended { Ok(()) } else { self.ready().await }
            }
            other => other,
        }
    }

    async fn dispatch(&mut self, message: FrontendMessage) -> Result<(), Halt> {
        match message {
            FrontendMessage::Query(sql) => {
                self.simple_query(&sql).await?;
                self.ready().await
            }
            FrontendMessage::Parse { name, query, parameter_oids } => self.parse(name, &query, &parameter_oids).await,
            FrontendMessage::Bind(bind) => self.bind(bind).await,
            FrontendMessage::Describe(target) => self.describe(target),
            FrontendMessage::Execute { portal, limit } => self.execute(portal, limit).await,
            FrontendMessage::Close(target) => self.close(target),
            FrontendMessage::Flush => self.flush().await,
            FrontendMessage::Sync => {
                self.is_skipping = false;
                match self.commit_outside_block().await {
                    Err(Halt::Statement(error)) => self.fail(*error)?,
                    committed => committed?,
                }
                self.ready().await
            }
            FrontendMessage::Terminate => Err(Halt::Gone),
            FrontendMessage::FunctionCall => {
                Err(PgError::new(UNSUPPORTED, "the function call protocol is not supported").hint("Use SELECT f(...).").into())
            }
            FrontendMessage::Stray => Ok(()),
        }
    }

    /// Ends the statement at hand and tells the client that the next may come.
    pub(super) async fn ready(&mut self) -> Result<(), Halt> {
        self.end_statement();
        self.is_in_pipeline = false;
        if !self.transaction.is_open() {
            self.settings.end_transaction();
            self.portals.clear();
            let committed = self.transaction.settle();
            self.settle(committed);
            self.tell_notifications().await?;
        }
        self.tell_settings()?;
        self.presence.is_ready(self.transaction.status());
        self.output.send(PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(self.transaction.status())))?;
        Ok(())
    }

    /// Reports the settings that changed since the client was last told.
    fn tell_settings(&mut self) -> Result<(), Halt> {
        if self.told.as_ref().is_some_and(|told| told.is_same(&self.settings)) {
            return Ok(());
        }
        let before = self.told.as_ref().map(Settings::reported).unwrap_or_default();
        for (name, value) in self.settings.reported() {
            if !before.iter().any(|(known, old)| *known == name && *old == value) {
                self.output.send(PgWireBackendMessage::ParameterStatus(ParameterStatus::new(name.to_owned(), value.to_string())))?;
            }
        }
        self.told = Some(self.settings.clone());
        Ok(())
    }

    /// Tells the client that a statement failed, and what that means for its transaction.
    fn fail(&mut self, error: PgError) -> Result<(), Halt> {
        self.end_statement();
        self.transaction.fail();
        self.writing = None;
        self.portals.clear();
        let error = self.numbered(error);
        debug!(code = error.code, "statement failed");
        self.output.send(error.into_message(ErrorSeverity::Error))?;
        Ok(())
    }

    /// Logs a fault of ours and gives the client the number of the log line.
    fn numbered(&mut self, mut error: PgError) -> PgError {
        if let Aside::Fault(fault) = std::mem::replace(&mut error.aside, Aside::Nothing) {
            self.faults += 1;
            let number = format!("{:x}-{}-{}", self.started.timestamp(), self.cancel.pid(), self.faults);
            error!(fault = number, cause = fault, "internal error");
            error.message = format!("internal error {number}");
            error.hint = Some("This is a fault of Causeway; its log has the cause under this number.".to_owned());
        }
        error
    }

    pub(super) fn send(&mut self, message: PgWireBackendMessage) -> Result<(), Halt> {
        Ok(self.output.send(message)?)
    }

    /// Sends a notice if the client wants it.
    pub(super) fn send_notice(&mut self, notice: Option<Notice>) -> Result<(), Halt> {
        match notice {
            Some(notice) if notice.severity.passes(&self.settings.client_min_messages()) => self.send(notice.into_message()),
            _ => Ok(()),
        }
    }

    /// Notes whether the result of a query, which is at its end, was cut, and tells the client if so.
    pub(super) fn tell_cut(&mut self, cut: Option<&Cut>) -> Result<(), Halt> {
        self.last_truncated.set(cut.is_some());
        match cut {
            Some(cut) => self.send(cut.notice().into_message()),
            None => Ok(()),
        }
    }

    /// The session's number, as in `pg_backend_pid()`.
    pub(super) fn pid(&self) -> i32 {
        self.cancel.pid()
    }

    pub(super) fn identity(&self) -> SessionIdentity {
        SessionIdentity {
            user: self.user.clone(),
            database: self.environment.name().to_owned(),
            application_name: self.settings.application_name().to_string(),
            pid: self.pid(),
            client_address: self.client,
            started: self.started,
            role: self.role.clone(),
            search_path: self.settings.search_path(&self.user),
            settings: SettingsView(self.settings.clone()),
        }
    }
}

async fn idled_out(limit: Option<(Option<Instant>, PgError)>) -> PgError {
    match limit {
        Some((Some(end), error)) => {
            tokio::time::sleep_until(end).await;
            error
        }
        // A limit beyond what a clock can show is none.
        Some((None, _)) | None => std::future::pending().await,
    }
}

async fn arrived(subscription: Option<&Subscription>) {
    match subscription {
        Some(subscription) => subscription.arrived().await,
        None => std::future::pending().await,
    }
}
