//! How a statement runs.
//!
//! The only place that configures the session statements run in: its template, the federation of sub-plans, the plan report.
//! It receives the tables a statement may see as a value ([`StatementContext::catalog`]) and knows nothing of where they came from.

mod arithmetic;
mod balance;
mod bounds;
mod changes;
mod coercion;
mod column_names;
mod common_subplan;
mod correlated_columns;
mod correlation;
mod dates;
mod dispensable;
mod dynamic_filters;
mod engine;
mod error;
mod explain;
mod federation;
mod grammar;
mod group_keys;
mod growth;
mod guardrails;
mod integer_literals;
mod join_order;
mod json;
mod local_times;
mod maybe_null;
mod meeting;
mod memory;
mod named;
mod names;
mod not_in;
mod one_group;
mod ordered_skip;
mod outer_types;
mod output;
mod parameters;
mod parse;
mod progress;
mod query;
mod ranking;
mod regular_expressions;
mod report;
mod rewrite;
mod scan_only;
mod session;
mod set_operations;
mod single_distinct;
mod sliding;
mod sort_keys;
mod stack;
mod statement_cache;
mod stop;
mod subquery_values;
#[cfg(test)]
mod tests;
mod text_literals;
mod unambiguous_filters;
mod unmeasured;
mod unordered;
mod write;
mod zones;

pub use changes::{Changed, ChangedRelation, Verb, change_verb, changes};
pub use engine::{Engine, EngineLimits, PushDown, StatementContext};
pub use error::{Error, ErrorKind, Result, UndefinedTable};
pub use guardrails::{Guardrails, Truncation};
pub use progress::{Progress, ScanProgress};
pub use query::{Execution, Query};
pub use rewrite::ALWAYS_EMPTY;
pub use statement_cache::{Asked, CacheCounts, StatementCache};
pub use write::{Write, Written};

/// A parsed statement.
pub use datafusion::sql::parser::Statement;
