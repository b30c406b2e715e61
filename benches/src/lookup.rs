//! One order by its key, by a prepared statement: straight from PostgreSQL and through the gateway.

use std::time::{Duration, Instant};

use causeway_tests::Gateway;
use tokio_postgres::Client;

use crate::load;
use crate::summary::{Measurements, millis};

/// Measures and prints.
///
/// # Panics
/// When a look-up does not find exactly its order.
pub(crate) async fn run(scale: f64, rounds: u32, count: u32, clients: u32) {
    let server = tokio::task::block_in_place(load::server);
    let (database, keys) = load::orders(&server, scale).await;
    let gateway = tokio::task::block_in_place(|| Gateway::start([database.datasource("pg")]));
    let mut straight = Vec::new();
    let mut through = Vec::new();
    for _ in 0..clients {
        straight.push(database.connect().await);
        through.push(gateway.connect().await);
    }
    let (direct, gate) = ("SELECT * FROM orders WHERE o_orderkey = $1", "SELECT * FROM pg.orders WHERE o_orderkey = $1");

    let mut alone = [Measurements::default(), Measurements::default()];
    let mut together = [(Measurements::default(), Duration::ZERO), (Measurements::default(), Duration::ZERO)];
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for (index, (all, sql)) in [(&straight, direct), (&through, gate)].into_iter().enumerate() {
            let one = look_up(&all[0], sql, &keys, count, u64::from(round)).await;
            let start = Instant::now();
            let many = all.iter().zip(0..).map(|(client, number)| look_up(client, sql, &keys, count, number * 1_000 + u64::from(round)));
            let many = futures::future::join_all(many).await;
            if round > 0 {
                alone[index].extend(one);
                together[index].1 += start.elapsed();
                many.into_iter().for_each(|measured| together[index].0.extend(measured));
            }
        }
        eprintln!("round {round} of {rounds} done");
    }

    println!("look-up of one of {} orders by key, prepared, {count} per client and round, {rounds} rounds\n", keys.len());
    println!("| way | clients | p50, ms | p99, ms | look-ups per second |");
    println!("|---|---|---|---|---|");
    let per_second = |lookups: f64, took: Duration| lookups / took.as_secs_f64();
    for (index, name) in ["straight", "gateway"].into_iter().enumerate() {
        let (p50, p99) = (alone[index].percentile(50), alone[index].percentile(99));
        println!("| {name} | 1 | {:.3} | {:.3} | {:.0} |", millis(p50), millis(p99), per_second(1.0, p50));
        let (measured, took) = &together[index];
        let lookups = f64::from(count) * f64::from(clients) * f64::from(rounds);
        let (p50, p99) = (measured.percentile(50), measured.percentile(99));
        println!("| {name} | {clients} | {:.3} | {:.3} | {:.0} |", millis(p50), millis(p99), per_second(lookups, *took));
    }
}

/// Looks up `count` orders one after the other; `seed` decides which.
pub(crate) async fn look_up(client: &Client, sql: &str, keys: &[i64], count: u32, seed: u64) -> Measurements {
    let statement = client.prepare(sql).await.expect("the statement can be prepared");
    let mut measurements = Measurements::default();
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    for _ in 0..count {
        // A xorshift generator is as good as any to pick keys.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let place = state % u64::try_from(keys.len()).expect("a length fits 64 bits");
        let key = keys[usize::try_from(place).expect("a place in a list fits its index")];
        let start = Instant::now();
        let rows = client.query(&statement, &[&key]).await.expect("the look-up succeeds");
        measurements.add(start.elapsed());
        assert_eq!(rows.len(), 1, "an order has one row");
        assert_eq!(rows[0].get::<_, i64>(0), key, "it is the one that was asked for");
    }
    measurements
}
