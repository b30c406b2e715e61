//! What it costs to audit every remote statement: look-ups through a gateway that does, and through one that does not.

use std::time::{Duration, Instant};

use causeway_tests::Gateway;

use crate::load;
use crate::lookup::look_up;
use crate::summary::{Measurements, millis};

/// Measures and prints.
///
/// # Panics
/// When a look-up does not find exactly its order, or one is not audited.
pub(crate) async fn run(scale: f64, rounds: u32, count: u32, clients: u32) {
    let server = tokio::task::block_in_place(load::server);
    let (database, keys) = load::orders(&server, scale).await;
    let ways = [("off", "audit: { queries: off }\n"), ("full", "audit: { queries: full }\n")];
    let sql = "SELECT * FROM pg.orders WHERE o_orderkey = $1";

    let mut gateways = Vec::new();
    for (name, settings) in ways {
        let gateway = tokio::task::block_in_place(|| Gateway::start_with(settings, [database.datasource("pg")]));
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(gateway.connect().await);
        }
        gateways.push((name, gateway, connections));
    }
    let mut alone = [Measurements::default(), Measurements::default()];
    let mut together = [(Measurements::default(), Duration::ZERO), (Measurements::default(), Duration::ZERO)];
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for (index, (_, _, connections)) in gateways.iter().enumerate() {
            let one = look_up(&connections[0], sql, &keys, count, u64::from(round)).await;
            let start = Instant::now();
            let many =
                connections.iter().zip(0..).map(|(client, number)| look_up(client, sql, &keys, count, number * 1_000 + u64::from(round)));
            let many = futures::future::join_all(many).await;
            if round > 0 {
                alone[index].extend(one);
                together[index].1 += start.elapsed();
                many.into_iter().for_each(|measured| together[index].0.extend(measured));
            }
        }
        eprintln!("round {round} of {rounds} done");
    }
    all_audited(&gateways[1].1, u64::from(rounds + 1) * u64::from(count) * u64::from(clients + 1)).await;

    println!("look-up of one of {} orders by key, prepared, {count} per client and round, {rounds} rounds\n", keys.len());
    println!("| audit | clients | p50, ms | p99, ms | look-ups per second | share of the p50 |");
    println!("|---|---|---|---|---|---|");
    let share = |value: Duration, base: Duration| 100.0 * (value.as_secs_f64() / base.as_secs_f64() - 1.0);
    for (index, (name, ..)) in gateways.iter().enumerate() {
        let (measured, took) = &together[index];
        let lookups = f64::from(count) * f64::from(clients) * f64::from(rounds);
        let lines = [
            (1, &alone[index], &alone[0], 1.0 / alone[index].percentile(50).as_secs_f64()),
            (clients, measured, &together[0].0, lookups / took.as_secs_f64()),
        ];
        for (clients, measured, base, per_second) in lines {
            let (p50, p99) = (measured.percentile(50), measured.percentile(99));
            let (p50_ms, p99_ms) = (millis(p50), millis(p99));
            println!("| {name} | {clients} | {p50_ms:.3} | {p99_ms:.3} | {per_second:.0} | {:+.1} % |", share(p50, base.percentile(50)));
        }
    }
}

/// Waits until the last look-up is in the log, and counts them.
async fn all_audited(gateway: &Gateway, expected: u64) {
    let client = gateway.connect().await;
    let sql = "SELECT count(*) FROM causeway.events WHERE type = 'external.query.executed'";
    let start = Instant::now();
    loop {
        let count: i64 = client.query_one(sql, &[]).await.expect("the log can be read").get(0);
        if u64::try_from(count).expect("a count is not negative") >= expected {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{count} of {expected} look-ups were audited");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
