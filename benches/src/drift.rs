//! Many datasources watched for drift every second: whether each check comes in time, what it asks of its source, and what look-ups
//! on the side feel of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use causeway_tests::{Gateway, PostgresDatabase, PostgresServer};

use crate::load;
use crate::lookup::look_up;
use crate::summary::{Measurements, millis};

/// Between two checks of a datasource.
const INTERVAL: Duration = Duration::from_secs(1);

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

/// What the sources saw of one round.
#[derive(Default)]
struct Seen {
    /// When each statement arrived, in seconds, by database.
    statements: BTreeMap<String, Vec<f64>>,
}

/// Measures and prints.
///
/// # Panics
/// When a look-up does not find exactly its order.
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
                    seen.push(Seen::read(&server, from, until));
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
    println!("\n| round | checks per datasource | statements per check | between two checks, ms |");
    println!("|---|---|---|---|");
    for (round, seen) in seen.iter().enumerate() {
        println!("| {} | {} | {} | {} |", round + 1, seen.checks(), seen.statements_per_check(), seen.gaps());
    }
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

impl Seen {
    /// Reads what reached the watched databases in a span of time.
    fn read(server: &PostgresServer, from: SystemTime, until: SystemTime) -> Self {
        let seconds = |moment: SystemTime| moment.duration_since(SystemTime::UNIX_EPOCH).expect("it is past 1970").as_secs_f64();
        let span = seconds(from)..seconds(until);
        let mut seen = Self::default();
        for line in server.log().lines() {
            let mut parts = line.splitn(3, '|');
            let (Some(moment), Some(database), Some(message)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let Ok(moment) = moment.parse::<f64>() else { continue };
            let is_statement = message.starts_with("LOG:  statement:") || message.starts_with("LOG:  execute ");
            if is_statement && span.contains(&moment) {
                seen.statements.entry(database.to_owned()).or_default().push(moment);
            }
        }
        seen
    }

    /// The looks of one database: statements that follow one another closely are one look.
    fn looks(moments: &[f64]) -> Vec<(f64, usize)> {
        let together = INTERVAL.as_secs_f64() / 4.0;
        let mut looks: Vec<(f64, usize)> = Vec::new();
        let mut last = f64::NEG_INFINITY;
        for moment in moments {
            match looks.last_mut() {
                Some(look) if moment - last < together => look.1 += 1,
                _ => looks.push((*moment, 1)),
            }
            last = *moment;
        }
        looks
    }

    fn checks(&self) -> String {
        let counts = self.statements.values().map(|moments| Self::looks(moments).len());
        let counts: Vec<_> = counts.collect();
        format!(
            "{} to {} on {}",
            counts.iter().min().copied().unwrap_or_default(),
            counts.iter().max().copied().unwrap_or_default(),
            counts.len()
        )
    }

    fn statements_per_check(&self) -> String {
        let counts: Vec<_> = self.statements.values().flat_map(|moments| Self::looks(moments)).map(|look| look.1).collect();
        format!("{} to {}", counts.iter().min().copied().unwrap_or_default(), counts.iter().max().copied().unwrap_or_default())
    }

    fn gaps(&self) -> String {
        let mut gaps = Measurements::default();
        for moments in self.statements.values() {
            for pair in Self::looks(moments).windows(2) {
                gaps.add(Duration::from_secs_f64(pair[1].0 - pair[0].0));
            }
        }
        let of = |percent| millis(gaps.percentile(percent));
        format!("{:.0} to {:.0}, median {:.0}", of(0), of(100), of(50))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_belong_together_are_one_look() {
        assert_eq!(Seen::looks(&[0.0, 0.01, 1.0, 2.0, 2.001, 2.002]), [(0.0, 2), (1.0, 1), (2.0, 3)]);
        assert_eq!(Seen::looks(&[]), []);
    }
}
