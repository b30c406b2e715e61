//! `EXPLAIN`: the plan as a tree, what each datasource is asked and gives, and what stays here and why.
//!
//! [`options`] reads what is asked for, [`outline`] takes from a plan what there is to show, and [`text`] and [`json`] write it.

mod json;
mod options;
mod outline;
mod text;

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::format::{ExplainFormat, ExplainStatementOptions};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;

use causeway_providers::{PRESENTATION_KEY, Presentation};

use crate::error::{Error, ErrorKind, Result};
use crate::query::Prepared;

pub(crate) use options::options;
use outline::Outline;

/// What is to be shown of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Explain {
    /// Whether it is run, to be measured.
    analyze: bool,
    /// Whether the logical plan is shown too.
    verbose: bool,
    /// Whether estimates are shown.
    estimates: bool,
    /// Whether the times of planning and of running are shown.
    summary: bool,
    /// Whether what sources are sent, and where files are, is left out.
    hides_sources: bool,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Json,
}

/// What an explanation shows, measured as far as that was asked for.
struct Explanation<'a> {
    explain: Explain,
    outline: Outline,
    prepared: &'a Prepared,
    planning: Duration,
    execution: Option<Duration>,
}

impl Explain {
    /// Reads the options of the statement.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a format other than text and JSON.
    pub(crate) fn new(options: &ExplainStatementOptions) -> Result<Self> {
        let form = match options.format {
            None | Some(ExplainFormat::Indent) => Form::Text,
            Some(ExplainFormat::PostgresJSON) => Form::Json,
            Some(ExplainFormat::Tree | ExplainFormat::Graphviz) => {
                return Err(
                    Error::new(ErrorKind::Unsupported, "EXPLAIN shows plans as text or as JSON").hint("FORMAT TEXT or FORMAT JSON.")
                );
            }
        };
        let (analyze, verbose) = (options.analyze, options.verbose);
        let summary = options.analyze_level.map_or(analyze, |level| level == options::SUMMARY);
        Ok(Self { analyze, verbose, estimates: options.show_statistics.unwrap_or(true), summary, hides_sources: false, form })
    }

    /// The same without what is between the gateway and its sources: statements, and the places of files.
    pub(crate) fn without_sources(self) -> Self {
        Self { verbose: false, hides_sources: true, ..self }
    }

    /// The one column of the explanation: a row per line of a text, or one row with a document.
    pub(crate) fn schema(self) -> SchemaRef {
        let column = Field::new("QUERY PLAN", DataType::Utf8, true);
        Arc::new(Schema::new(vec![match (self.form, Presentation::Json.as_str()) {
            (Form::Json, Some(word)) => column.with_metadata([(PRESENTATION_KEY.to_owned(), word.to_owned())].into()),
            (Form::Json, None) | (Form::Text, _) => column,
        }]))
    }

    /// Shows `prepared`, which took `planning` to come about, having run it if that was asked for.
    pub(crate) async fn run(self, prepared: Prepared, planning: Duration) -> Result<SendableRecordBatchStream> {
        let execution = if self.analyze { Some(run_through(&prepared).await?) } else { None };
        let mut outline = Outline::of(prepared.physical.as_ref(), self.analyze)?;
        if self.hides_sources {
            outline.hide_sources();
        }
        let explanation = Explanation { explain: self, outline, prepared: &prepared, planning, execution };
        let lines = match self.form {
            Form::Text => text::lines(&explanation),
            Form::Json => vec![json::document(&explanation)],
        };
        let schema = self.schema();
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(lines))]).map_err(DataFusionError::from)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]))))
    }
}

/// Runs the plan for its measurements and drops its rows.
async fn run_through(prepared: &Prepared) -> Result<Duration> {
    let start = Instant::now();
    let mut rows = prepared.rows()?;
    while rows.try_next().await?.is_some() {}
    Ok(start.elapsed())
}
