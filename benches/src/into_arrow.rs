//! Every line item into Arrow and no further: over one connection, over as many as the pool has, and as `postgres_fdw` reads them
//! into another PostgreSQL.

use std::time::Instant;

use causeway_tests::{Gateway, PostgresDatabase, Psql};
use tokio::runtime::Runtime;

use crate::load;
use crate::session_share::SessionShare;
use crate::summary::Measurements;

/// Reads all rows and drops them.
const THROUGH: &str = "EXPLAIN ANALYZE SELECT * FROM pg.lineitem";
/// The same for PostgreSQL, which would otherwise spend most of the time on looking at the clock.
const FOREIGN: &str = "EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM lineitem";

/// Measures and prints.
///
/// # Panics
/// When a way reads another number of rows.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32, session_share: Option<f64>) {
    let server = load::server();
    let (database, rows) = runtime.block_on(load::lineitem(&server, scale));
    let foreign = server.database("foreigner");
    foreign.script(&foreign_table(&database, server.port()));
    let gateway = |connections: u32| {
        let pool = format!("{{ max_connections: {connections} }}");
        Gateway::start([database.datasource("pg").external("query_timeout", "30m").external("pool", &pool)])
    };
    let (one, five) = (gateway(1), gateway(5));
    let way = |name, psql, sql, gateway| Way { name, psql, sql, gateway, took: Measurements::default(), grown_kib: 0 };
    let mut ways = [
        way("one connection", one.psql(), THROUGH, Some(&one)),
        way("a pool of five", five.psql(), THROUGH, Some(&five)),
        way("postgres_fdw, default options", foreign.psql().clone(), FOREIGN, None),
    ];
    let _held = session_share.map(|share| SessionShare::of_sessions("reader", share));
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for way in &mut ways {
            way.read(rows, round > 0);
        }
        eprintln!("round {round} of {rounds} done");
    }

    let cores = session_share.map_or(String::new(), |share| format!("; each session of the server has {share} of a core"));
    println!("{rows} line items read into memory and dropped, {rounds} rounds; medians{cores}\n");
    println!("| way | seconds | as fast as one connection | as fast as postgres_fdw | connections | memory grown by, MiB | all rounds |");
    println!("|---|---|---|---|---|---|---|");
    let [base, _, fdw] = &ways;
    for way in &ways {
        let times = |other: &Way<'_>| other.took.median().as_secs_f64() / way.took.median().as_secs_f64();
        let (connections, grown) = match way.gateway {
            Some(_) => (connections(&way.psql).to_string(), (way.grown_kib >> 10).to_string()),
            None => ("-".to_owned(), "-".to_owned()),
        };
        println!(
            "| {} | {:.2} | {:.2}x | {:.2}x | {connections} | {grown} | {} |",
            way.name,
            way.took.median().as_secs_f64(),
            times(base),
            times(fdw),
            way.took.seconds()
        );
    }
}

/// A way to read all rows.
struct Way<'a> {
    name: &'static str,
    psql: Psql,
    sql: &'static str,
    /// The gateway that reads them, if one does.
    gateway: Option<&'a Gateway>,
    took: Measurements,
    /// The most that its resident memory rose above what it was before.
    grown_kib: u64,
}

impl Way<'_> {
    /// Runs the statement, whose plan tells how many rows were read.
    fn read(&mut self, rows: u64, counts: bool) {
        let before = self.gateway.map(|gateway| {
            gateway.forget_peak();
            gateway.memory().resident
        });
        let start = Instant::now();
        let plan = self.psql.rows(self.sql).join("\n");
        let took = start.elapsed();
        assert!(plan.contains(&format!("rows={rows}")), "{} reads {rows} rows:\n{plan}", self.name);
        if counts {
            self.took.add(took);
            if let Some((gateway, before)) = self.gateway.zip(before) {
                self.grown_kib = self.grown_kib.max(gateway.memory().peak.saturating_sub(before));
            }
        }
    }
}

/// Over how many connections the gateway reads at most.
fn connections(psql: &Psql) -> u64 {
    let plan = psql.rows("EXPLAIN SELECT * FROM pg.lineitem").join("\n");
    let count =
        plan.split_once("over up to ").and_then(|(_, rest)| rest.split_once(" connections")).and_then(|(count, _)| count.parse().ok());
    count.unwrap_or(1)
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
