//! Statements that one PostgreSQL computes whole: what the gateway adds to the time they take there.

use std::time::Duration;

use causeway_tests::{FixedWidth, Gateway, Order, Tpch, compare_rows};
use tokio::runtime::Runtime;

use crate::load;
use crate::outcome::{Outcome, ask};
use crate::summary::{Measurements, millis};

/// More than any statement takes.
const LIMIT: Duration = Duration::from_secs(1_800);

const STATEMENTS: [(&str, &str); 3] = [
    (
        "aggregate",
        "SELECT l_returnflag, l_linestatus, sum(l_extendedprice), count(*) FROM lineitem
         GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
    ),
    (
        "join",
        "SELECT o_orderpriority, sum(l_extendedprice), count(*) FROM orders JOIN lineitem ON l_orderkey = o_orderkey
         WHERE o_orderdate >= date '1995-01-01' GROUP BY o_orderpriority ORDER BY o_orderpriority",
    ),
    ("the first hundred", "SELECT * FROM lineitem ORDER BY l_extendedprice DESC, l_orderkey, l_linenumber LIMIT 100"),
];

/// Measures and prints.
///
/// # Panics
/// When PostgreSQL is not installed, when a statement does not go to it whole, or when the answers differ.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32) {
    let server = load::server();
    eprintln!("loading orders and lineitem at scale {scale}");
    // Text that sorts by bytes is text that PostgreSQL may sort.
    let database = server.database_in("whole", "LOCALE 'C' ENCODING 'UTF8'");
    Tpch::new(scale).load_postgres(&database, &["orders", "lineitem"], FixedWidth::Varchar);
    database.script("VACUUM (FREEZE, ANALYZE)");
    let gateway = Gateway::start([database.datasource("pg").external("query_timeout", "30m")]);
    let (straight, through) = runtime.block_on(async { (database.connect().await, gateway.connect().await) });
    runtime.block_on(through.batch_execute("SET search_path = pg")).expect("the datasource is a schema");
    for (name, sql) in STATEMENTS {
        let plan = gateway.psql().commands(&["SET search_path = pg", &format!("EXPLAIN {sql}")]).expect_success();
        assert!(!plan.contains("Computed here"), "{name} goes to PostgreSQL whole:\n{plan}");
    }

    let mut measured = [[(); 2]; 3].map(|ways| ways.map(|()| Measurements::default()));
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for ((name, sql), measured) in STATEMENTS.iter().zip(&mut measured) {
            let answers = [&through, &straight].map(|client| match ask(runtime, client, sql, LIMIT) {
                Outcome::Answer(took, rows) => (took, rows),
                other => panic!("{name} is answered: {other:?}"),
            });
            compare_rows(&answers[1].1, &answers[0].1, Order::Given).unwrap_or_else(|difference| panic!("{name}: {difference}"));
            if round > 0 {
                measured.iter_mut().zip(&answers).for_each(|(measured, (took, _))| measured.add(*took));
            }
        }
        eprintln!("round {round} of {rounds} done");
    }

    println!("statements that PostgreSQL computes whole, {rounds} rounds; medians\n");
    println!("| statement | gateway, ms | straight, ms | x straight |");
    println!("|---|---|---|---|");
    for ((name, _), [through, straight]) in STATEMENTS.iter().zip(&measured) {
        let (through, straight) = (millis(through.median()), millis(straight.median()));
        println!("| {name} | {through:.1} | {straight:.1} | {:.2} |", through / straight);
    }
}
