//! Every line item of MariaDB into Arrow: through the gateway, and as the Python package connectorx reads it.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use causeway_tests::{Gateway, MariaDbDatabase, MariaDbServer, finish_within};
use tokio::runtime::Runtime;

use crate::load;
use crate::summary::Measurements;

/// A Python that has connectorx and pyarrow.
const PYTHON: &str = "CAUSEWAY_BENCH_PYTHON";

/// Reads a query over one connection by MySQL's binary protocol, as the gateway does, and prints the rows and the seconds.
const CONNECTORX: &str = "
import sys, time, connectorx
start = time.perf_counter()
table = connectorx.read_sql(sys.argv[1], 'SELECT * FROM lineitem', protocol='binary', return_type='arrow')
print(table.num_rows, time.perf_counter() - start)
";

/// Measures and prints.
///
/// # Panics
/// When MariaDB is not installed, when there is no Python with connectorx, or when a way reads another number of rows.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32) {
    let python = std::env::var_os(PYTHON).map(PathBuf::from);
    let python = python.unwrap_or_else(|| panic!("{PYTHON} names a Python with connectorx and pyarrow: pip install connectorx pyarrow"));
    let server = MariaDbServer::shared().expect("MariaDB is installed");
    let database = server.database("lineitem");
    let rows = runtime.block_on(async { load::lineitem_into(&database, scale) });
    let gateway = Gateway::start([database.datasource("my").external("query_timeout", "30m")]);
    let psql = gateway.psql();

    let mut measured = [Measurements::default(), Measurements::default()];
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        let start = Instant::now();
        let plan = psql.rows("EXPLAIN ANALYZE SELECT * FROM my.lineitem").join("\n");
        let through = start.elapsed();
        assert!(plan.contains(&format!("rows={rows}")), "the gateway reads {rows} rows:\n{plan}");
        let peer = connectorx(&python, &database, rows);
        if round > 0 {
            measured[0].add(through);
            measured[1].add(peer);
        }
        eprintln!("round {round} of {rounds} done");
    }

    println!("{rows} line items of MariaDB read into Arrow, {rounds} rounds; medians\n");
    println!("| way | seconds | x connectorx | all rounds |");
    println!("|---|---|---|---|");
    let base = measured[1].median().as_secs_f64();
    for (name, measured) in [("gateway, EXPLAIN ANALYZE", &measured[0]), ("connectorx, binary protocol, one connection", &measured[1])] {
        let seconds = measured.median().as_secs_f64();
        println!("| {name} | {seconds:.2} | {:.2} | {} |", seconds / base, measured.seconds());
    }
}

/// What connectorx itself measures, its start left out.
fn connectorx(python: &PathBuf, database: &MariaDbDatabase, rows: u64) -> Duration {
    let mut command = Command::new(python);
    command.args(["-c", CONNECTORX, &database.url()]);
    let finished = finish_within(Duration::from_secs(1_800), &mut command);
    assert_eq!(finished.code, Some(0), "connectorx: {}", finished.stderr);
    let (read, seconds) = finished.stdout.trim().split_once(' ').expect("it prints two numbers");
    assert_eq!(read, rows.to_string(), "connectorx reads them all");
    Duration::from_secs_f64(seconds.parse().expect("seconds are a number"))
}
