//! Measures the gateway against PostgreSQL itself, in the same run, on TPC-H data. See README.md beside this crate.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark's output is its product")]

mod audit;
mod boot;
mod drift;
mod duckdb;
mod into_arrow;
mod join;
mod load;
mod lookup;
mod machine;
mod mariadb;
mod memory;
mod outcome;
mod planning;
mod pushdown;
mod scan;
mod session_share;
mod summary;
mod tpch;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures the gateway against PostgreSQL itself.
#[derive(Debug, Parser)]
struct Arguments {
    /// The TPC-H scale factor; 1 is 6,001,215 line items.
    #[arg(long, global = true, default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// How often each way is measured; the ways take turns.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// One order by its key, prepared, with every remote statement audited and with none.
    Audit {
        /// Look-ups per client and round.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Clients at once in the second part.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
        clients: u32,
    },
    /// Many datasources that are away when the gateway starts.
    Boot {
        /// Datasources.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(8..))]
        datasources: u32,
        /// Tables of each.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
        tables: u32,
    },
    /// Many datasources checked for drift every second, and look-ups on the side.
    Drift {
        /// Datasources.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=40))]
        datasources: u32,
        /// Tables of each.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        tables: u32,
        /// How long they are watched in each round.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(5..))]
        seconds: u64,
    },
    /// All line items into memory and no further: over one connection, over several, and as postgres_fdw reads them.
    Arrow {
        /// How much of a core each session of the server may use, as if it had cores of its own; needs root.
        #[arg(long, value_parser = share)]
        session_share: Option<f64>,
    },
    /// All line items of MariaDB into memory, and as the Python package connectorx reads them.
    Mariadb,
    /// What scans of tables of odd shapes hold; checks it against what is stated.
    Memory,
    /// A few rows of MariaDB joined with all line items, with and without dynamic filters.
    Join,
    /// How long a statement takes before its first source is asked.
    Planning {
        /// Statements of each kind.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
    },
    /// Statements that one PostgreSQL computes whole: through the gateway, and straight.
    Pushdown,
    /// All line items to a client that discards them, and how much memory the gateway takes for that.
    Scan,
    /// One order by its key, prepared.
    Lookup {
        /// Look-ups per client and round.
        #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
        count: u32,
        /// Clients at once in the second part.
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
        clients: u32,
    },
    /// The 22 queries of TPC-H over PostgreSQL, MariaDB and Parquet, and as DuckDB and foreign data wrappers answer them.
    Tpch {
        /// Seconds after which a query is stopped.
        #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        /// The number of the only query to ask.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=22))]
        query: Option<u32>,
    },
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(scale) if scale > 0.0 && scale <= 1_000.0 => Ok(scale),
        _ => Err("a scale factor is a number above 0 and up to 1000".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.01..=1.0).contains(&share) => Ok(share),
        _ => Err("a share of a core is a number from 0.01 to 1".to_owned()),
    }
}

fn main() {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    println!("{}", machine::facts());
    match arguments.bench {
        Bench::Audit { count, clients } => runtime.block_on(audit::run(arguments.scale, arguments.rounds, count, clients)),
        Bench::Boot { datasources, tables } => boot::run(arguments.rounds, datasources, tables),
        Bench::Drift { datasources, tables, seconds } => {
            let extent = drift::Extent { datasources, tables, watched: Duration::from_secs(seconds) };
            runtime.block_on(drift::run(arguments.scale, arguments.rounds, extent));
        }
        Bench::Arrow { session_share } => into_arrow::run(&runtime, arguments.scale, arguments.rounds, session_share),
        Bench::Mariadb => mariadb::run(&runtime, arguments.scale, arguments.rounds),
        Bench::Memory => memory::run(),
        Bench::Join => join::run(&runtime, arguments.scale, arguments.rounds),
        Bench::Planning { count } => planning::run(&runtime, count),
        Bench::Pushdown => pushdown::run(&runtime, arguments.scale, arguments.rounds),
        Bench::Scan => scan::run(&runtime, arguments.scale, arguments.rounds),
        Bench::Lookup { count, clients } => runtime.block_on(lookup::run(arguments.scale, arguments.rounds, count, clients)),
        Bench::Tpch { limit, query } => tpch::run(&runtime, arguments.scale, arguments.rounds, Duration::from_secs(limit), query),
    }
}
