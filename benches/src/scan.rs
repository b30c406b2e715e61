//! Every line item to a client that discards it: straight from PostgreSQL by COPY, and through the gateway in both protocols.

use causeway_tests::{Gateway, Protocol};
use tokio::runtime::Runtime;

use crate::load;
use crate::summary::Measurements;

const THROUGH: &str = "SELECT * FROM pg.lineitem";

struct Way {
    name: &'static str,
    protocol: Protocol,
    total: Measurements,
    first_row: Measurements,
    bytes: u64,
    grown_kib: u64,
}

/// Measures and prints.
///
/// # Panics
/// When a way gives an error or another number of rows.
pub(crate) fn run(runtime: &Runtime, scale: f64, rounds: u32) {
    let server = load::server();
    let (database, rows) = runtime.block_on(load::lineitem(&server, scale));
    let gateway = Gateway::start([database.datasource("pg").external("query_timeout", "30m")]);
    let way =
        |name, protocol| Way { name, protocol, total: Measurements::default(), first_row: Measurements::default(), bytes: 0, grown_kib: 0 };
    let mut ways = [way("gateway, simple, text", Protocol::Simple), way("gateway, extended, binary", Protocol::ExtendedBinary)];
    let mut direct = Measurements::default();
    let idle = gateway.memory();

    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        let took = database.psql().discard("COPY (SELECT * FROM lineitem) TO STDOUT");
        if round > 0 {
            direct.add(took);
        }
        for way in &mut ways {
            gateway.forget_peak();
            let before = gateway.memory().resident;
            let received = gateway.discarding_client().run(THROUGH, way.protocol).expect("the gateway answers");
            assert_eq!((received.rows, &received.error), (rows, &None), "{}", way.name);
            if round > 0 {
                way.total.add(received.total);
                way.first_row.add(received.first_row.unwrap_or_default());
            }
            way.bytes = received.bytes;
            way.grown_kib = way.grown_kib.max(gateway.memory().peak.saturating_sub(before));
        }
        eprintln!("round {round} of {rounds} done");
    }

    let base = direct.median().as_secs_f64();
    println!("scan of lineitem, {rows} rows, {rounds} rounds; medians\n");
    println!("| way | seconds | x direct | first row, ms | MiB to the client | memory grown by, MiB | all rounds |");
    println!("|---|---|---|---|---|---|---|");
    println!("| psql COPY straight | {base:.2} | 1.00 | - | - | - | {} |", direct.seconds());
    for way in &ways {
        let seconds = way.total.median().as_secs_f64();
        println!(
            "| {} | {seconds:.2} | {:.2} | {:.1} | {} | {} | {} |",
            way.name,
            seconds / base,
            way.first_row.median().as_secs_f64() * 1_000.0,
            way.bytes >> 20,
            way.grown_kib >> 10,
            way.total.seconds(),
        );
    }
    let memory = gateway.memory();
    println!(
        "\nresident memory of the gateway: {} MiB before the first scan, {} MiB after the last",
        idle.resident >> 10,
        memory.resident >> 10
    );
}
