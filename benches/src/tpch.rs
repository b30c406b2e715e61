//! The 22 queries of TPC-H over three sources: through the gateway, as DuckDB joins them, and as a PostgreSQL with foreign tables does.

use std::fmt::Write as _;
use std::time::Duration;

use causeway_tests::{
    Datasource, FixedWidth, Gateway, MariaDbDatabase, MariaDbServer, Order, PostgresDatabase, PostgresServer, Row, Tpch, as_precise,
    compare_rows,
};
use tokio::runtime::Runtime;
use tokio_postgres::Client;

use crate::duckdb::DuckDb;
use crate::load;
use crate::outcome::{Outcome, ask};
use crate::summary::{Measurements, millis};

const IN_POSTGRES: [&str; 3] = ["customer", "orders", "nation"];
const IN_MARIADB: [&str; 2] = ["lineitem", "supplier"];
const IN_FILES: [&str; 3] = ["part", "partsupp", "region"];

/// The ways, the gateway first.
const NAMES: [&str; 4] = ["gateway", "DuckDB", FOREIGN, "one PostgreSQL"];

const FOREIGN: &str = "postgres_fdw and mysql_fdw";

/// Someone who answers.
enum Way {
    Server(Client),
    DuckDb(DuckDb),
}

/// What a way did with a query in all rounds.
#[derive(Debug, Default)]
struct Record {
    took: Measurements,
    too_long: bool,
    wrong: Option<String>,
}

/// Measures and prints.
///
/// # Panics
/// When a server or one of DuckDB's packages is not installed.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32, limit: Duration, only: Option<u32>) {
    let server = load::server();
    let mariadb = MariaDbServer::shared().expect("MariaDB is installed");
    let files = tempfile::tempdir().expect("a temporary folder can be made");
    eprintln!("loading TPC-H at scale {scale}");
    let data = Tpch::new(scale);
    let whole = server.database("whole");
    data.load_postgres(&whole, &Tpch::TABLES, FixedWidth::Varchar);
    // Without it PostgreSQL reads all line items again for each part of Q17 and Q20: hours for the answer to compare with.
    whole.script("CREATE INDEX ON lineitem (l_partkey, l_suppkey)");
    let postgres = server.database("crm");
    data.load_postgres(&postgres, &IN_POSTGRES, FixedWidth::Varchar);
    let shop = mariadb.database("shop");
    data.load_mariadb(&shop, &IN_MARIADB);
    data.write_parquet(files.path(), &IN_FILES);

    let gateway = Gateway::start([
        postgres.datasource("crm").external("query_timeout", "30m"),
        shop.datasource("shop").external("query_timeout", "30m"),
        Datasource::files("lake", files.path()).external("query_timeout", "30m"),
    ]);
    let through = runtime.block_on(gateway.connect());
    runtime.block_on(through.batch_execute("SET search_path = crm, shop, lake")).expect("the three datasources are schemas");
    let mut ways = [
        Some(Way::Server(through)),
        Some(Way::DuckDb(DuckDb::over((&postgres, server.port()), &shop, files.path(), &IN_FILES))),
        foreign(&server, &postgres, &shop, data).map(|database| Way::Server(runtime.block_on(database.connect()))),
        Some(Way::Server(runtime.block_on(whole.connect()))),
    ];

    let queries: Vec<_> = Tpch::QUERIES.iter().filter(|(number, _)| only.is_none_or(|only| only == *number)).collect();
    let mut records: Vec<[Record; 4]> = queries.iter().map(|_| Default::default()).collect();
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for ((number, sql), records) in queries.iter().zip(&mut records) {
            let expected = match ways[3].as_mut().map(|way| way.ask(runtime, sql, Duration::from_secs(1_800))) {
                Some(Outcome::Answer(took, rows)) => {
                    if round > 0 {
                        records[3].took.add(took);
                    }
                    rows
                }
                other => panic!("PostgreSQL answers Q{number}: {other:?}"),
            };
            let mut progress = format!("round {round} of {rounds}, Q{number}:");
            for ((way, record), name) in ways[..3].iter_mut().zip(records.iter_mut()).zip(NAMES) {
                if let Some(way) = way.as_mut().filter(|_| !record.too_long) {
                    let outcome = match (way.ask(runtime, sql, limit), name == FOREIGN) {
                        (Outcome::Answer(took, rows), true) => Outcome::Answer(took, as_written(rows, &expected)),
                        (outcome, _) => outcome,
                    };
                    // A line for who waits; a string takes any text.
                    let _ = write!(progress, " {name} {outcome},");
                    record.add(outcome, &expected, round > 0);
                }
            }
            eprintln!("{}", progress.trim_end_matches(','));
        }
    }
    print(&queries, &records, rounds, limit, [true, true, ways[2].is_some(), true]);
}

impl Way {
    fn ask(&mut self, runtime: &Runtime, sql: &str, limit: Duration) -> Outcome {
        match self {
            Self::Server(client) => ask(runtime, client, sql, limit),
            Self::DuckDb(duckdb) => duckdb.ask(sql, limit),
        }
    }
}

/// Rows whose texts end without blanks and whose averages are as precise as expected: with foreign tables a `char(n)` is filled up, and
/// MariaDB rounds.
fn as_written(rows: Vec<Row>, expected: &[Row]) -> Vec<Row> {
    let number = |text: &str| text.contains('.').then(|| text.parse::<f64>().ok()).flatten();
    let one = |(value, expected): (Option<String>, Option<&str>)| {
        let value = value.map(|text| text.trim_end_matches(' ').to_owned());
        match (value.as_deref().and_then(number), expected.and_then(number)) {
            (Some(one), Some(other)) if (one - other).abs() < 1e-6 * other.abs().max(1.0) => expected.map(str::to_owned),
            _ => value,
        }
    };
    let of_row = |(at, row): (usize, Row)| {
        let expected = |column: usize| expected.get(at).and_then(|row| row.get(column)?.as_deref());
        row.into_iter().enumerate().map(|(column, value)| one((value, expected(column)))).collect()
    };
    rows.into_iter().enumerate().map(of_row).collect()
}

impl Record {
    fn add(&mut self, outcome: Outcome, expected: &[Row], counts: bool) {
        match outcome {
            Outcome::Answer(took, rows) => {
                if let Err(difference) = compare_rows(&as_precise(expected, &rows), &rows, Order::Given) {
                    self.wrong = Some(difference);
                }
                if counts {
                    self.took.add(took);
                }
            }
            Outcome::TooLong => self.too_long = true,
            Outcome::Failed(error) => self.wrong = Some(error),
        }
    }

    /// What it counts in a sum: what took too long counts as long as it was given, and what failed nothing.
    fn counted(&self, limit: Duration) -> Duration {
        if self.too_long { limit } else { self.took.median() }
    }

    fn shown(&self) -> String {
        let time = match (self.too_long, self.took.len()) {
            (true, _) => "too long".to_owned(),
            (false, 0) => "failed".to_owned(),
            (false, _) => format!("{:.0}", millis(self.took.median())),
        };
        if self.wrong.is_some() { format!("{time} (wrong)") } else { time }
    }
}

fn print(queries: &[&(u32, &str)], records: &[[Record; 4]], rounds: u32, limit: Duration, present: [bool; 4]) {
    println!(
        "TPC-H with customer, orders and nation in PostgreSQL, lineitem and supplier in MariaDB, part, partsupp and region in Parquet,"
    );
    println!("{rounds} rounds; medians, ms; stopped after {} s\n", limit.as_secs());
    println!("| query | {} | x DuckDB | x the best |", NAMES.join(" | "));
    println!("|---|---|---|---|---|---|---|");
    let mut behind = Vec::new();
    for ((number, _), records) in queries.iter().zip(records) {
        let shown: Vec<_> =
            records.iter().zip(present).map(|(record, present)| if present { record.shown() } else { "-".to_owned() }).collect();
        let ours = records[0].counted(limit).as_secs_f64();
        let of = |record: &Record| ours / record.counted(limit).as_secs_f64().max(f64::EPSILON);
        let peers = records[1..3].iter().filter(|record| record.took.len() > 0 && record.wrong.is_none());
        let best = peers.map(of).fold(0.0, f64::max);
        if best > 1.3 {
            behind.push(format!("Q{number}"));
        }
        println!("| Q{number} | {} | {:.2} | {best:.2} |", shown.join(" | "), of(&records[1]));
    }
    let total = |way: usize| records.iter().map(|records| records[way].counted(limit)).sum::<Duration>().as_secs_f64();
    let totals: Vec<_> = (0..4).map(|way| if present[way] { format!("{:.0}", total(way) * 1_000.0) } else { "-".to_owned() }).collect();
    println!("| all | {} | {:.2} | |", totals.join(" | "), total(0) / total(1).max(f64::EPSILON));
    let right = |way: usize| records.iter().filter(|records| records[way].wrong.is_none() && records[way].took.len() > 0).count();
    let right: Vec<_> =
        (0..3).filter(|way| present[*way]).map(|way| format!("{} {} of {}", NAMES[way], right(way), records.len())).collect();
    println!("\nas one PostgreSQL with all tables answers: {}", right.join(", "));
    println!("more than 1.3x the best of the others: {}", if behind.is_empty() { "none".to_owned() } else { behind.join(", ") });
    for ((number, _), records) in queries.iter().zip(records) {
        for (name, record) in NAMES.iter().zip(records) {
            if let Some(wrong) = &record.wrong {
                println!("Q{number}, {name}: {wrong}");
            }
        }
    }
}

/// A PostgreSQL with foreign tables over the two servers, which has the tables of the files itself: it reads no Parquet. `None` when
/// mysql_fdw is not installed.
fn foreign(server: &PostgresServer, postgres: &PostgresDatabase, shop: &MariaDbDatabase, data: Tpch) -> Option<PostgresDatabase> {
    let database = server.database("foreigner");
    if database.psql().rows("SELECT 1 FROM pg_available_extensions WHERE name = 'mysql_fdw'").is_empty() {
        eprintln!("mysql_fdw is not installed and left out; its package: postgresql-15-mysql-fdw, or that of the server's version");
        return None;
    }
    data.load_postgres(&database, &IN_FILES, FixedWidth::Varchar);
    database.script(&format!(
        "CREATE EXTENSION postgres_fdw; CREATE EXTENSION mysql_fdw;
         CREATE SERVER crm FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '{}', dbname '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER crm OPTIONS (user 'reader', password '{}');
         IMPORT FOREIGN SCHEMA public FROM SERVER crm INTO public;
         CREATE SERVER shop FOREIGN DATA WRAPPER mysql_fdw OPTIONS (host '127.0.0.1', port '{}');
         CREATE USER MAPPING FOR CURRENT_USER SERVER shop OPTIONS (username '{}', password '{}');
         IMPORT FOREIGN SCHEMA {} FROM SERVER shop INTO public;",
        server.port(),
        postgres.name(),
        postgres.password(),
        shop.port(),
        shop.user(),
        shop.password(),
        shop.name()
    ));
    Some(database)
}
