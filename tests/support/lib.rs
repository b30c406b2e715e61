//! What the tests and the benchmarks stand on: real servers on free ports, a running gateway, and rows to compare.
//!
//! Everything here panics with what went wrong, because that is what a test wants to show. A server that is not installed is not a
//! fault: whoever asks for it gets `None` after the skip was announced, unless `CI=true` says that skipping is not acceptable.

#![allow(clippy::missing_panics_doc, reason = "see above: panicking is how this crate reports")]

mod binary;
mod clickhouse;
mod discard;
mod four_sources;
mod gateway;
mod http;
mod mariadb;
mod port;
mod postgres;
mod process;
mod psql;
mod rows;
mod skip;
mod sqlite;
mod tpcds;
mod tpch;
mod wait;

pub use binary::causeway;
pub use clickhouse::{ClickHouseDatabase, ClickHouseServer};
pub use discard::{Canceller, DiscardingClient, Protocol, Received};
pub use four_sources::FourSources;
pub use gateway::{Datasource, Gateway, Memory};
pub use http::{EventStream, WebhookReceiver};
pub use mariadb::{MariaDbDatabase, MariaDbServer};
pub use port::free_port;
pub use postgres::{PostgresDatabase, PostgresServer};
pub use process::{Finished, Supervised, finish_within};
pub use psql::{Psql, PsqlOutput};
pub use rows::{Cell, Order, Row, as_precise, assert_same_rows, compare_rows, raw_rows, text_rows};
pub use skip::{skip, skip_for};
pub use sqlite::write_sqlite;
pub use tpcds::Tpcds;
pub use tpch::{FixedWidth, Tpch};
pub use wait::{eventually, eventually_async};
