//! Prepared statements, portals, and the rows of a portal on their way to the client.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_planner::{Progress, Query};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use futures::stream::Fuse;
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::{FieldDescription, RowDescription};
use tokio::time::Instant;

use super::active_statement::survive;
use super::command::Command;
use super::connection::Output;
use super::encode::{EncodedBatch, Format, RowEncoder, Style};
use super::pg_type::PgType;
use super::prepared_statements::Registered;
use super::settings::Settings;
use super::sqlstate::{Halt, PgError, UNSUPPORTED};
use super::truncation::{Cut, ResultLimit};

/// A statement with its types known.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// Its text, as the client sent it.
    pub(crate) text: Arc<str>,
    /// `None` is the empty statement.
    pub(crate) command: Option<Command>,
    /// The types the client declared, for planning again.
    pub(crate) declared: Vec<Option<DataType>>,
    /// The numbers of the parameters' types, as the client was told.
    pub(crate) parameter_oids: Vec<u32>,
    /// The columns of the result; `None` without one.
    pub(crate) columns: Option<SchemaRef>,
    /// The plan, until somebody takes it.
    pub(crate) plan: Mutex<Option<Plan>>,
    /// Its place among the statements of all sessions, when it has a name.
    pub(crate) registered: Option<Registered>,
}

/// A planned query, with what it was planned against.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) query: Query,
    pub(crate) version: u64,
    pub(crate) settings: Settings,
}

impl Plan {
    /// Whether planning again would give the same.
    pub(crate) fn is_current(&self, version: u64, settings: &Settings) -> bool {
        self.version == version && self.settings.is_same(settings)
    }
}

impl Prepared {
    /// Whether the client was told of these columns: of their names and of their types as it knows them.
    pub(crate) fn describes(&self, planned: &Schema) -> bool {
        self.columns.as_ref().map_or(planned.fields().is_empty(), |described| {
            described.fields().len() == planned.fields().len()
                && described.fields().iter().zip(planned.fields()).all(|(a, b)| a.name() == b.name() && PgType::of(a) == PgType::of(b))
        })
    }

    /// The tables it reads, as long as its plan is here.
    pub(crate) fn tables(&self) -> Option<Vec<(String, String)>> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        plan.as_ref().map(|plan| plan.query.tables().to_vec())
    }

    pub(crate) fn take_plan(&self) -> Option<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn keep_plan(&self, plan: Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
    }
}

/// A statement with its parameters, ready to run or on its way.
pub(crate) struct Portal {
    pub(crate) prepared: Arc<Prepared>,
    pub(crate) formats: Vec<Format>,
    pub(crate) state: PortalState,
}

pub(crate) enum PortalState {
    /// Not begun; with what a query needs for it.
    Ready(Option<Bound>),
    /// Some rows are out.
    Running(Box<Running>),
    /// At its end; with what it was cut by, if it was.
    Done(Option<Cut>),
}

/// A planned query with its parameters.
pub(crate) struct Bound {
    pub(crate) query: Query,
    /// What it was planned against.
    pub(crate) version: u64,
    pub(crate) parameters: Vec<ScalarValue>,
}

/// A result on its way.
pub(crate) struct Running {
    stream: Fuse<SendableRecordBatchStream>,
    encoder: RowEncoder,
    formats: Vec<Format>,
    schema: SchemaRef,
    /// The batch that is being sent, and how many of its rows are out.
    batch: Option<(RecordBatch, usize)>,
    encoded: Option<EncodedBatch>,
    progress: Progress,
    /// The rows that the client was sent, or that were passed over for it.
    sent: Arc<AtomicU64>,
    /// How much of it may be sent, if not all of it.
    limit: Option<ResultLimit>,
    /// What it was cut by while rows were sent.
    cut: Option<Cut>,
    /// How long the gateway has been at work on it.
    spent: Duration,
    /// How many rows were changed, when it is what a change returns.
    changed: Option<u64>,
}

/// Where a delivery stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Delivered {
    pub(crate) rows: u64,
    /// Whether the result is at its end; otherwise the limit was reached.
    pub(crate) is_complete: bool,
    /// What it was cut by, at its end.
    pub(crate) cut: Option<Cut>,
}

/// What happens to the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    Client,
    /// `MOVE` passes over them.
    Nowhere,
}

impl Running {
    pub(crate) fn new(stream: SendableRecordBatchStream, schema: SchemaRef, formats: Vec<Format>, style: Style) -> Result<Self, PgError> {
        let encoder = RowEncoder::new(Arc::clone(&schema), formats.clone(), style)?;
        let (progress, sent) = (Progress::default(), Arc::default());
        let (limit, cut, spent, changed) = (None, None, Duration::ZERO, None);
        Ok(Self { stream: stream.fuse(), encoder, formats, schema, batch: None, encoded: None, progress, sent, limit, cut, spent, changed })
    }

    /// The same, which `progress` shows.
    pub(crate) fn shown_by(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// The same, which is what a change of so many rows returns.
    pub(crate) fn of_change(self, rows: u64) -> Self {
        Self { changed: Some(rows), ..self }
    }

    /// How many rows were changed, when it is what a change returns.
    pub(crate) fn changed(&self) -> Option<u64> {
        self.changed
    }

    /// Whether its client is told of columns: all but changes that return nothing.
    pub(crate) fn gives_rows(&self) -> bool {
        self.changed.is_none() || !self.schema.fields().is_empty()
    }

    /// Nothing, of these columns.
    pub(crate) fn of_nothing(schema: SchemaRef, formats: Vec<Format>, style: Style) -> Result<Self, PgError> {
        let stream = MemoryStream::try_new(Vec::new(), Arc::clone(&schema), None).map_err(|error| PgError::internal(error.to_string()))?;
        Self::new(Box::pin(stream), schema, formats, style)
    }

    /// How far what it reads is.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// How many rows are out.
    pub(crate) fn sent(&self) -> &Arc<AtomicU64> {
        &self.sent
    }

    /// The same, of which no more is sent than `limit` says; `spent` went by until it was here.
    pub(crate) fn limited(self, limit: ResultLimit, spent: Duration) -> Self {
        Self { limit: Some(limit), spent, ..self }
    }

    /// Whether it is the result of a limited role's query.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// How long the gateway has been at work on it, the client's own time between portions not counted.
    pub(crate) fn spent(&self) -> Duration {
        self.spent
    }

    /// A result that is there already.
    pub(crate) fn of_batch(batch: RecordBatch, formats: Vec<Format>, style: Style) -> Result<Self, PgError> {
        let schema = batch.schema();
        let stream = MemoryStream::try_new(vec![batch], Arc::clone(&schema), None).map_err(|error| PgError::internal(error.to_string()))?;
        Self::new(Box::pin(stream), schema, formats, style)
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Sends the rest in other formats.
    pub(crate) fn set_formats(&mut self, formats: Vec<Format>, style: Style) -> Result<(), PgError> {
        if formats == self.formats {
            return Ok(());
        }
        self.encoder = RowEncoder::new(Arc::clone(&self.schema), formats.clone(), style)?;
        self.formats = formats;
        self.encoded = None;
        Ok(())
    }

    /// Waits for the first rows, or the end, and sends nothing of them. What was answered before leaves meanwhile.
    pub(crate) async fn begin(&mut self, output: &mut Output, interrupted: Pin<&mut impl Future<Output = Halt>>) -> Result<(), Halt> {
        let begun = Instant::now();
        let first = self.begin_timed(output, interrupted).await;
        self.spent += begun.elapsed();
        first
    }

    async fn begin_timed(&mut self, output: &mut Output, mut interrupted: Pin<&mut impl Future<Output = Halt>>) -> Result<(), Halt> {
        while self.batch.is_none() {
            tokio::select! {
                biased;
                halt = &mut interrupted => return Err(halt),
                batch = survive(self.stream.next()) => match batch? {
                    Some(batch) => {
                        let batch = batch.map_err(PgError::from)?;
                        self.batch = (batch.num_rows() > 0).then_some((batch, 0));
                        tokio::task::coop::consume_budget().await;
                    }
                    None => return Ok(()),
                },
                written = output.write_some(), if !output.is_empty() => written?,
            }
        }
        Ok(())
    }

    /// Writes rows until `limit` or the end, and to the socket whenever enough has gathered or the source pauses.
    ///
    /// `interrupted` ends it: the caller drops the result, which ends the work at the sources.
    pub(crate) async fn deliver(
        &mut self,
        limit: Option<u64>,
        destination: Destination,
        output: &mut Output,
        interrupted: Pin<&mut impl Future<Output = Halt>>,
    ) -> Result<Delivered, Halt> {
        let begun = Instant::now();
        let delivered = self.deliver_timed(limit, destination, output, interrupted).await;
        self.spent += begun.elapsed();
        delivered
    }

    async fn deliver_timed(
        &mut self,
        limit: Option<u64>,
        destination: Destination,
        output: &mut Output,
        mut interrupted: Pin<&mut impl Future<Output = Halt>>,
    ) -> Result<Delivered, Halt> {
        let mut rows = 0;
        loop {
            let before = rows;
            self.encode(&mut rows, limit, destination, output)?;
            self.sent.fetch_add(rows - before, Ordering::Relaxed);
            if self.cut.is_some() {
                return Ok(Delivered { rows, is_complete: true, cut: self.cut.clone() });
            }
            if limit == Some(rows) {
                return Ok(Delivered { rows, is_complete: false, cut: None });
            }
            tokio::select! {
                biased;
                halt = &mut interrupted => return Err(halt),
                // Back-pressure: nothing more is asked of the source while rows of the last batch wait for the client.
                batch = survive(self.stream.next()), if self.batch.is_none() => match batch? {
                    Some(batch) => {
                        self.batch = Some((batch.map_err(PgError::from)?, 0));
                        // A source that is always ready must not keep cancel and timeout from being seen.
                        tokio::task::coop::consume_budget().await;
                    }
                    None => {
                        let cut = self.limit.as_ref().and_then(ResultLimit::ended);
                        return Ok(Delivered { rows, is_complete: true, cut });
                    }
                },
                // The source pauses or the buffer is full: what is there leaves.
                written = output.write_some(), if !output.is_empty() => written?,
            }
        }
    }

    /// Writes rows of the batch at hand until the buffer is full, the limit is reached or the batch is used up.
    fn encode(&mut self, rows: &mut u64, limit: Option<u64>, destination: Destination, output: &mut Output) -> Result<(), PgError> {
        let Some((batch, sent)) = &mut self.batch else { return Ok(()) };
        if self.encoded.is_none() {
            let mut encoded = self.encoder.batch(batch)?;
            encoded.skip(*sent);
            self.encoded = Some(encoded);
        }
        let Some(encoded) = &mut self.encoded else { return Ok(()) };
        while !encoded.is_done() && limit != Some(*rows) {
            match destination {
                Destination::Client if output.is_full() => return Ok(()),
                Destination::Client => {
                    let start = output.buffer.len();
                    encoded.write_row(&mut output.buffer)?;
                    let cut = self.limit.as_mut().and_then(|limit| limit.admit(output.buffer.len() - start));
                    if cut.is_some() {
                        output.buffer.truncate(start);
                        (self.cut, self.batch, self.encoded) = (cut, None, None);
                        return Ok(());
                    }
                    *sent += 1;
                    *rows += 1;
                }
                Destination::Nowhere => {
                    let wanted = limit.map_or(usize::MAX, |limit| usize::try_from(limit - *rows).unwrap_or(usize::MAX));
                    let skipped = encoded.skip(wanted);
                    *sent += skipped;
                    *rows += skipped as u64;
                }
            }
        }
        if encoded.is_done() {
            self.batch = None;
            self.encoded = None;
        }
        Ok(())
    }
}

/// The refusal of a result with other columns than its statement was prepared with.
pub(crate) fn changed_result() -> PgError {
    PgError::new(UNSUPPORTED, "cached plan must not change result type")
        .hint("The tables changed since the statement was prepared: prepare it again.")
}

/// The description of a result's columns.
pub(crate) fn row_description(schema: &SchemaRef, formats: &[Format]) -> Result<PgWireBackendMessage, PgError> {
    let fields = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| {
            let kind = PgType::of(field)?;
            let format = formats.get(position).map_or(0, |format| format.code());
            // A NUL would end the name early and shift all that follows.
            let name = field.name().replace('\0', "\u{fffd}");
            Ok(FieldDescription::new(name, 0, 0, kind.oid, kind.length(), kind.modifier, format))
        })
        .collect::<Result<Vec<_>, PgError>>()?;
    if fields.len() > i16::MAX as usize {
        return Err(PgError::new("54011", "a result has at most 32767 columns"));
    }
    Ok(PgWireBackendMessage::RowDescription(RowDescription::new(fields)))
}
