//! Random statements over random tables: whatever is pushed down, the rows of one PostgreSQL that holds all tables, or a typed error.
//!
//! `README.md` says how to run more of it by hand. The same seed gives the same tables and statements.

mod answers;
mod dice;
mod expressions;
mod files;
mod predicates;
mod queries;
mod tables;
mod tally;
mod tree;
mod values;
mod world;

use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use causeway_tests::{Row, compare_rows};
use tokio_postgres::Client;

use answers::{Refusal, rows};
use queries::{Statement, statement};
use tally::Tally;
use world::{Round, Way, World};

const SEED: u64 = 1;
const STATEMENTS: usize = 2_000;
/// After so many statements there are new tables.
const PER_ROUND: usize = 100;
/// So many rounds share a gateway.
const PER_WORLD: usize = 20;
const CLIENTS: usize = 4;
/// How many statements a difference is made smaller with, at most.
const SHRINKING: usize = 250;
/// How many differences are made smaller and shown.
const SHOWN: usize = 25;
/// How many of a hundred statements that PostgreSQL answers may be errors here.
const REFUSED_PERCENT: usize = 3;

/// Clients that ask the same.
struct Clients {
    reference: Client,
    on: Client,
    fixed: Client,
    off: Client,
    /// Whether errors of the gateway are differences too.
    strict: bool,
}

/// What became of a statement in one way.
enum Outcome {
    Same,
    RefusedByReference(String),
    Refused(String),
    Different(String),
}

fn number(variable: &str, default: u64) -> u64 {
    let value = std::env::var(variable).ok();
    value.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn random_statements_have_the_reference_s_rows() {
    let seed = number("CAUSEWAY_FUZZ_SEED", SEED);
    let wanted = usize::try_from(number("CAUSEWAY_FUZZ_QUERIES", STATEMENTS as u64)).expect("a number of statements");
    eprintln!("fuzz: {wanted} statements, seed {seed}");
    let counts = (0..wanted.div_ceil(PER_ROUND)).map(|round| PER_ROUND.min(wanted - round * PER_ROUND));
    let rounds: Vec<_> = (seed..).zip(counts).map(|(seed, statements)| Round::new(seed, statements)).collect();
    let tally = Mutex::new(Tally::default());
    for (number, rounds) in rounds.chunks(PER_WORLD).enumerate() {
        let Some(world) = World::start(&format!("fuzz_{seed}_{number}"), rounds) else { return };
        run(&world, rounds, &tally).await;
        let log = world.gateway.log();
        let panics: Vec<_> = log.lines().filter(|line| line.contains("panicked")).collect();
        tally.lock().unwrap().panics(&panics);
    }
    let tally = tally.into_inner().unwrap();
    eprintln!("{}", tally.summary());
    assert_eq!(tally.differences(), 0, "answers differ:\n{}", tally.shown());
    assert!(tally.refused() * 100 <= tally.answered() * REFUSED_PERCENT, "too many errors:\n{}", tally.summary());
}

/// Runs the statements of these rounds over several connections.
async fn run(world: &World, rounds: &[Round], tally: &Mutex<Tally>) {
    let next = AtomicUsize::new(0);
    let worker = async || {
        let mut clients = Clients::connect(world).await;
        while let Some(round) = rounds.get(next.fetch_add(1, Ordering::Relaxed)) {
            for index in 0..round.statements {
                let statement = statement(round.dice(index), &round.tables);
                let expected = clients.expected(&statement).await;
                for way in [Way::On, Way::Off, Way::Static] {
                    if way == Way::Static && index % 4 != 0 {
                        continue;
                    }
                    let outcome = clients.outcome(&statement, &expected, way).await;
                    if let Outcome::Different(first) = &outcome
                        && tally.lock().unwrap().differences() < SHOWN
                    {
                        let shown = clients.shown(round, index, &statement, way, first, world).await;
                        eprintln!("{shown}");
                        tally.lock().unwrap().show(shown);
                    }
                    tally.lock().unwrap().count(&outcome, || statement.render().0);
                    clients.renew(world).await;
                }
            }
        }
    };
    futures::future::join_all((0..CLIENTS).map(|_| worker())).await;
}

impl Clients {
    async fn connect(world: &World) -> Self {
        Self {
            reference: world.ask_reference().await,
            on: world.ask_gateway(Way::On).await,
            fixed: world.ask_gateway(Way::Static).await,
            off: world.ask_gateway(Way::Off).await,
            strict: std::env::var_os("CAUSEWAY_FUZZ_ERRORS").is_some(),
        }
    }

    /// Connects again where a connection was closed.
    async fn renew(&mut self, world: &World) {
        if [&self.reference, &self.on, &self.fixed, &self.off].iter().any(|client| client.is_closed()) {
            *self = Self::connect(world).await;
        }
    }

    fn of(&self, way: Way) -> &Client {
        match way {
            Way::On => &self.on,
            Way::Static => &self.fixed,
            Way::Off => &self.off,
        }
    }

    /// What the reference answers, or why it does not.
    async fn expected(&self, statement: &Statement) -> Result<Vec<Row>, String> {
        let (sql, parameters) = statement.render();
        rows(&self.reference, &sql, statement.literals, &parameters).await.map_err(|refusal| match refusal {
            Refusal::Server { code, message } => format!("{code} {message}"),
            Refusal::Client(message) => message,
        })
    }

    async fn outcome(&self, statement: &Statement, expected: &Result<Vec<Row>, String>, way: Way) -> Outcome {
        let expected = match expected {
            Ok(rows) => rows,
            Err(refusal) => return Outcome::RefusedByReference(refusal.clone()),
        };
        let (sql, parameters) = statement.render();
        match rows(self.of(way), &sql, statement.literals, &parameters).await {
            Ok(rows) => match compare_rows(expected, &rows, statement.order()) {
                Ok(()) => Outcome::Same,
                Err(difference) => Outcome::Different(difference),
            },
            Err(Refusal::Server { code, message }) if !is_fault(&code) && !self.strict => Outcome::Refused(format!("{code} {message}")),
            Err(Refusal::Server { code, message }) => Outcome::Different(format!("{code} {message}")),
            Err(Refusal::Client(message)) => Outcome::Different(message),
        }
    }

    /// A difference as people want to see it: of a statement that is as small as it could be made.
    async fn shown(&mut self, round: &Round, index: usize, statement: &Statement, way: Way, first: &str, world: &World) -> String {
        let (mut smallest, mut difference, mut left) = (statement.clone(), first.to_owned(), SHRINKING);
        'smaller: while left > 0 {
            for smaller in smallest.smaller() {
                if left == 0 {
                    break 'smaller;
                }
                left -= 1;
                self.renew(world).await;
                let expected = self.expected(&smaller).await;
                if let Outcome::Different(found) = self.outcome(&smaller, &expected, way).await {
                    (smallest, difference) = (smaller, found);
                    continue 'smaller;
                }
            }
            break;
        }
        let (sql, parameters) = smallest.render();
        let mut text = format!("--- seed {}, statement {index}, push-down {way:?}\n-- {}\n", round.seed, statement.render().0);
        for table in round.tables.iter().filter(|table| sql.contains(&table.name)) {
            for place in &table.places {
                let _ = write!(text, "-- at {place:?}:\n{}", table.script(*place));
            }
        }
        let _ = writeln!(text, "-- statement\n{sql};\n-- parameters {parameters:?}\n=> {difference}");
        text + &world.logged(&difference)
    }
}

/// Whether an error is no answer at all: a fault of ours, a statement that a source does not take, memory for a few rows.
fn is_fault(code: &str) -> bool {
    code.starts_with("HV") || ["XX000", "42601", "53200"].contains(&code)
}
