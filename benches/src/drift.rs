//! Many datasources watched for drift every second: whether each check comes in time, what it asks of its source, and what look-ups
//! on the side feel of it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime};

use causeway_tests::{Gateway, PostgresDatabase, PostgresServer};

use crate::load;
use crate::lookup::look_up;
use crate::summary::{Measurements, millis};

/// Between two checks of a datasource.
const INTERVAL: Duration = Duration::from_secs(1);

/// A check asks its source no more, session set-up and pings included.
const MOST_STATEMENTS: usize = 3;
/// What a gateway may take that watches twenty datasources of five hundred tables.
const MOST_MEMORY_KIB: u64 = 300 << 10;

/// How much is watched, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Datasources, each a database of its own on one server.
    pub(crate) datasources: u32,
    /// Tables of each.
    pub(crate) tables: u32,
    /// How long they are watched in each round.
    pub(crate) watched: Duration,
}

/// What one watched database saw of one round.
#[derive(Debug, Default)]
struct Seen {
    /// When its tables were asked for, in seconds.
    looks: Vec<f64>,
    /// Statements that set up a session or see whether it lives.
    others: usize,
}

/// Measures and prints.
///
/// # Panics
/// When a look-up does not find exactly its order, or the watch does not keep its promises.
pub(crate) async fn run(scale: f64, rounds: u32, extent: Extent) {
    let server = tokio::task::block_in_place(load::server);
    let (orders, keys) = load::orders(&server, scale).await;
    let databases = tokio::task::block_in_place(|| watched(&server, extent));
    let ways = [("not watched", None), ("watched", Some(INTERVAL))];
    let sql = "SELECT * FROM pg.orders WHERE o_orderkey = $1";

    let mut lookups = [Measurements::default(), Measurements::default()];
    let mut memory = [0, 0];
    let mut seen = Vec::new();
    // The first round warms the caches and does not count.
    for round in 0..=rounds {
        for (index, (_, interval)) in ways.iter().enumerate() {
            let sources = databases.iter().map(|database| {
                let datasource = database.datasource(database.name());
                match interval {
                    Some(interval) => datasource.external("validation", &format!("{{ check_interval: {}s }}", interval.as_secs())),
                    None => datasource,
                }
            });
            let sources: Vec<_> = sources.chain([orders.datasource("pg")]).collect();
            let gateway = tokio::task::block_in_place(|| Gateway::start(sources));
            let client = gateway.connect().await;
            // Every watch has begun within the first interval.
            tokio::time::sleep(INTERVAL * 2).await;
            let (from, start) = (SystemTime::now(), Instant::now());
            let mut measured = Measurements::default();
            let watching = if round == 0 { extent.watched / 10 } else { extent.watched };
            while start.elapsed() < watching {
                measured.extend(look_up(&client, sql, &keys, 100, u64::from(round) + measured.len()).await);
            }
            let until = SystemTime::now();
            if round > 0 {
                lookups[index].extend(measured);
                memory[index] = memory[index].max(gateway.memory().peak);
                if interval.is_some() {
                    seen.push(read(&server, from, until));
                }
            }
        }
        eprintln!("round {round} of {rounds} done");
    }

    let Extent { datasources, tables, watched } = extent;
    println!("{datasources} datasources of {tables} tables, checked every second for {} s, {rounds} rounds\n", watched.as_secs());
    println!("| | look-up p50, ms | p99, ms | share of the p50 | peak memory, MiB |");
    println!("|---|---|---|---|---|");
    let base = lookups[0].percentile(50).as_secs_f64();
    for (index, (name, _)) in ways.iter().enumerate() {
        let (p50, p99) = (lookups[index].percentile(50), lookups[index].percentile(99));
        let share = 100.0 * (p50.as_secs_f64() / base - 1.0);
        println!("| {name} | {:.3} | {:.3} | {share:+.1} % | {} |", millis(p50), millis(p99), memory[index] >> 10);
    }
    println!("\n| round | statements of checks, per datasource | other statements, per datasource | between two of checks, ms |");
    println!("|---|---|---|---|");
    for (round, seen) in seen.iter().enumerate() {
        let looks = range(seen.values().map(|seen| seen.looks.len()));
        println!("| {} | {looks} | {} | {} |", round + 1, range(seen.values().map(|seen| seen.others)), gaps(seen));
    }
    keep_promises(&seen, memory[1]);
}

/// What the watch promises, whatever else is measured.
///
/// # Panics
/// When a datasource was not looked at in time, was asked too much, or the gateway took more memory than it may.
fn keep_promises(seen: &[BTreeMap<String, Seen>], peak_kib: u64) {
    for (database, seen) in seen.iter().flatten() {
        let longest = seen.looks.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
        assert!(longest <= INTERVAL.as_secs_f64() * 2.0, "{database}: {longest:.2} s between two looks");
        let statements = seen.looks.len() + seen.others;
        assert!(statements <= MOST_STATEMENTS * seen.looks.len(), "{database}: {statements} statements for {} looks", seen.looks.len());
    }
    assert!(peak_kib < MOST_MEMORY_KIB, "{} MiB at its peak", peak_kib >> 10);
}

/// The databases to watch, each with the same tables; their server logs every statement that reaches them.
fn watched(server: &PostgresServer, extent: Extent) -> Vec<PostgresDatabase> {
    eprintln!("making {} databases of {} tables", extent.datasources, extent.tables);
    let tables: String = (0..extent.tables)
        .map(|number| {
            format!(
                "CREATE TABLE t{number:04} (id bigint PRIMARY KEY, name varchar(40) NOT NULL, amount numeric(12,2), at timestamptz, \
                 day date, flag boolean, note text, other integer);\n"
            )
        })
        .collect();
    let database = |number| {
        let database = server.database(&format!("watched_{number:02}"));
        database.script(&tables);
        database.script(&format!(
            "ALTER DATABASE {0} SET log_min_messages = 'log'; ALTER DATABASE {0} SET log_statement = 'all'",
            database.name()
        ));
        database
    };
    let databases = (0..extent.datasources).map(database).collect::<Vec<_>>();
    // Each line begins with the moment, in seconds, and the database.
    databases[0].script("ALTER SYSTEM SET log_line_prefix = '%n|%d|'; SELECT pg_reload_conf()");
    databases
}

/// Reads what reached each watched database in a span of time.
fn read(server: &PostgresServer, from: SystemTime, until: SystemTime) -> BTreeMap<String, Seen> {
    let seconds = |moment: SystemTime| moment.duration_since(SystemTime::UNIX_EPOCH).expect("it is past 1970").as_secs_f64();
    read_log(&server.log(), seconds(from)..seconds(until))
}

fn read_log(log: &str, span: Range<f64>) -> BTreeMap<String, Seen> {
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    for line in log.lines() {
        let mut parts = line.splitn(3, '|');
        let (Some(moment), Some(database), Some(message)) = (parts.next(), parts.next(), parts.next()) else { continue };
        let Some(moment) = moment.parse().ok().filter(|moment| span.contains(moment)) else { continue };
        // A check asks by the extended protocol, for the catalog's mark or its tables; what sets up a session comes by the simple one.
        if message.starts_with("LOG:  execute ") {
            all.entry(database.to_owned()).or_default().looks.push(moment);
        } else if message.starts_with("LOG:  statement:") {
            all.entry(database.to_owned()).or_default().others += 1;
        }
    }
    all
}

fn range(counts: impl Iterator<Item = usize> + Clone) -> String {
    format!("{} to {}", counts.clone().min().unwrap_or_default(), counts.max().unwrap_or_default())
}

fn gaps(seen: &BTreeMap<String, Seen>) -> String {
    let mut gaps = Measurements::default();
    for pair in seen.values().flat_map(|seen| seen.looks.windows(2)) {
        gaps.add(Duration::from_secs_f64(pair[1] - pair[0]));
    }
    let of = |percent| millis(gaps.percentile(percent));
    format!("{:.0} to {:.0}, median {:.0}", of(0), of(100), of(50))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_told_from_what_a_session_needs() {
        let log = "9.0|a|LOG:  execute <unnamed>: SELECT 1\n10.5|a|LOG:  execute <unnamed>: SELECT\n\t1\n\
                   10.6|a|LOG:  statement: SET x = 1\n11.5|a|LOG:  execute <unnamed>: SELECT 1\nnoise\n12.5|b|FATAL:  no\n";
        let seen = read_log(log, 10.0..20.0);
        assert_eq!((seen.len(), &seen["a"].looks, seen["a"].others), (1, &vec![10.5, 11.5], 1));
        assert_eq!((range([3, 1, 2].into_iter()), gaps(&seen)), ("1 to 3".to_owned(), "1000 to 1000, median 1000".to_owned()));
    }
}
