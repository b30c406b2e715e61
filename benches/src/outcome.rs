//! What became of a statement within its time.

use std::fmt::{self, Display};
use std::time::{Duration, Instant};

use causeway_tests::{Row, text_rows};
use tokio::runtime::Runtime;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

/// An answer, or why there is none.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// After so long, these rows.
    Answer(Duration, Vec<Row>),
    /// It took longer than it was given.
    TooLong,
    /// What was said instead of an answer.
    Failed(String),
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(took, _) => write!(f, "{:.0} ms", took.as_secs_f64() * 1_000.0),
            Self::TooLong => f.write_str("too long"),
            Self::Failed(_) => f.write_str("failed"),
        }
    }
}

/// Asks by the simple protocol, whose server stops the statement at `limit`.
///
/// # Panics
/// When the server does not take a time limit.
pub(crate) fn ask(runtime: &Runtime, client: &Client, sql: &str, limit: Duration) -> Outcome {
    runtime.block_on(async {
        client.batch_execute(&format!("SET statement_timeout = {}", limit.as_millis())).await.expect("a time limit can be set");
        let start = Instant::now();
        match text_rows(client, sql).await {
            Ok(rows) => Outcome::Answer(start.elapsed(), rows),
            Err(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => Outcome::TooLong,
            Err(error) => Outcome::Failed(error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned())),
        }
    })
}
