//! A few rows of MariaDB joined with all line items of PostgreSQL: with what the join knows shipped to PostgreSQL, and without.

use std::time::Instant;

use causeway_tests::{Gateway, MariaDbServer, Psql};
use tokio::runtime::Runtime;

use crate::load;
use crate::summary::{Measurements, millis};

/// Orders in MariaDB, of which the statement wants one in ten.
const ORDERS: u32 = 1_000;

const JOIN: &str =
    "SELECT count(*), sum(l.l_extendedprice) FROM my.picked p JOIN pg.lineitem l ON l.l_orderkey = p.orderkey WHERE p.wanted = 1";

/// Measures and prints.
///
/// # Panics
/// When MariaDB is not installed, or the ways give different answers.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32) {
    let mariadb = MariaDbServer::shared().expect("MariaDB is installed");
    let picked = mariadb.database("picked");
    // Keys of TPC-H orders: eight of each thirty-two numbers are used, the first of them always.
    let rows: Vec<String> =
        (0..ORDERS).map(|number| format!("({}, {})", u64::from(number) * 32 + 1, u32::from(number % 10 == 0))).collect();
    picked.script(&format!(
        "CREATE TABLE picked (orderkey bigint PRIMARY KEY, wanted int NOT NULL); INSERT INTO picked VALUES {}",
        rows.join(", ")
    ));
    let server = load::server();
    let (database, all) = runtime.block_on(load::lineitem(&server, scale));
    database.script("CREATE INDEX ON lineitem (l_orderkey)");
    let gateway = Gateway::start([database.datasource("pg").external("query_timeout", "30m"), picked.datasource("my")]);
    let psql = gateway.psql();

    let ways = [("keys of the join shipped", "on"), ("without", "off")];
    let mut measured = [Measurements::default(), Measurements::default()];
    let mut answers = Vec::new();
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for (index, (_, setting)) in ways.iter().enumerate() {
            let start = Instant::now();
            answers.push(answer(&psql, setting));
            if round > 0 {
                measured[index].add(start.elapsed());
            }
        }
        eprintln!("round {round} of {rounds} done");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "the ways agree: {answers:?}");

    println!("{} rows of MariaDB joined with {all} of PostgreSQL by key, {rounds} rounds; `psql` and its start included\n", ORDERS / 10);
    println!("| way | ms, median | all rounds, s | rows read from PostgreSQL |");
    println!("|---|---|---|---|");
    for (index, (name, setting)) in ways.iter().enumerate() {
        println!("| {name} | {:.1} | {} | {} |", millis(measured[index].median()), measured[index].seconds(), rows_read(&psql, setting));
    }
    let ratio = measured[1].median().as_secs_f64() / measured[0].median().as_secs_f64();
    println!("\nwithout takes {ratio:.1}x as long");
}

fn answer(psql: &Psql, setting: &str) -> String {
    let set = format!("SET causeway.dynamic_filters = {setting}");
    let shown = psql.commands(&["\\t", "\\a", &set, JOIN]).expect_success();
    shown.lines().last().unwrap_or_default().to_owned()
}

/// What `EXPLAIN ANALYZE` says was read from PostgreSQL.
fn rows_read(psql: &Psql, setting: &str) -> String {
    let set = format!("SET causeway.dynamic_filters = {setting}");
    let plan = psql.commands(&["\\t", "\\a", &set, &format!("EXPLAIN ANALYZE {JOIN}")]).expect_success();
    let scan = plan.lines().find(|line| line.contains("RemoteScan on pg ")).expect("the plan reads from PostgreSQL");
    let rows = scan.rsplit_once("rows=").and_then(|(_, rest)| rest.split([',', ')']).next());
    rows.expect("the plan says how many").to_owned()
}
