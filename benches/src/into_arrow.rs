//! Every line item into Arrow and no further: over one connection, over as many as the pool has, and as `postgres_fdw` reads them
//! into another PostgreSQL.

use std::time::{Duration, Instant};

use causeway_tests::{Gateway, PostgresDatabase, Psql};
use tokio::runtime::Runtime;

use crate::load;
use crate::summary::Measurements;

/// Reads all rows and drops them.
const THROUGH: &str = "EXPLAIN ANALYZE SELECT * FROM pg.lineitem";
/// The same for PostgreSQL, which would otherwise spend most of the time on looking at the clock.
const FOREIGN: &str = "EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM lineitem";

/// Measures and prints.
///
/// # Panics
/// When a way reads another number of rows.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32) {
    let server = load::server();
    let (database, rows) = runtime.block_on(load::lineitem(&server, scale));
    let foreign = server.database("foreigner");
    foreign.script(&foreign_table(&database, server.port()));
    let gateway = |connections: u32| {
        let pool = format!("{{ max_connections: {connections} }}");
        Gateway::start([database.datasource("pg").external("query_timeout", "30m").external("pool", &pool)])
    };
    let (one, five) = (gateway(1), gateway(5));
    let ways: [(&str, &Psql, &str); 3] = [
        ("one connection", &one.psql(), THROUGH),
        ("a pool of five", &five.psql(), THROUGH),
        ("postgres_fdw, default options", foreign.psql(), FOREIGN),
    ];
    let mut measured = [Measurements::default(), Measurements::default(), Measurements::default()];
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for (index, (name, psql, sql)) in ways.iter().enumerate() {
            let took = read(psql, sql, rows, name);
            if round > 0 {
                measured[index].add(took);
            }
        }
        eprintln!("round {round} of {rounds} done");
    }

    println!("{rows} line items read into memory and dropped, {rounds} rounds; medians\n");
    println!("| way | seconds | as fast as one connection | as fast as postgres_fdw | all rounds |");
    println!("|---|---|---|---|---|");
    let [base, _, fdw] = &measured;
    for (index, (name, _, _)) in ways.iter().enumerate() {
        let times = |other: &Measurements| other.median().as_secs_f64() / measured[index].median().as_secs_f64();
        println!(
            "| {name} | {:.2} | {:.2}x | {:.2}x | {} |",
            measured[index].median().as_secs_f64(),
            times(base),
            times(fdw),
            measured[index].seconds()
        );
    }
}

/// Runs a statement whose plan tells how many rows were read.
fn read(psql: &Psql, sql: &str, rows: u64, name: &str) -> Duration {
    let start = Instant::now();
    let plan = psql.rows(sql).join("\n");
    let took = start.elapsed();
    assert!(plan.contains(&format!("rows={rows}")), "{name} reads {rows} rows:\n{plan}");
    took
}

/// A foreign table over the line items, in another database of the same server.
fn foreign_table(database: &PostgresDatabase, port: u16) -> String {
    format!(
        "CREATE EXTENSION postgres_fdw;
         CREATE SERVER source FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{port}', dbname '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER source OPTIONS (user 'reader', password '{}');
         IMPORT FOREIGN SCHEMA public LIMIT TO (lineitem) FROM SERVER source INTO public;",
        database.name(),
        database.password()
    )
}
