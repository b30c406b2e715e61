//! A gateway that starts while every source is away: how soon it shows the tables it knew.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use causeway_tests::{Gateway, eventually};

use crate::load;
use crate::summary::{Measurements, millis};

/// What is asked, as clients ask it.
const QUESTIONS: [(&str, &str); 6] = [
    ("`\\dt` of one datasource", "\\dt ds_007.*"),
    ("`\\dt *.*`", "\\dt *.*"),
    ("`causeway.datasources`", "SELECT name, state, stale_since FROM causeway.datasources"),
    ("`causeway.remote_tables`", "SELECT * FROM causeway.remote_tables"),
    ("`causeway.foreign_tables`", "SELECT * FROM causeway.foreign_tables"),
    ("`information_schema.columns`", "SELECT count(*) FROM information_schema.columns WHERE table_schema LIKE 'ds%'"),
];

/// Measures and prints.
///
/// # Panics
/// When the gateway does not know its tables after a start.
pub(crate) fn run(rounds: u32, datasources: u32, tables: u32) {
    let server = load::server();
    let database = server.database("boot");
    let columns =
        "id bigint PRIMARY KEY, name varchar(40) NOT NULL, amount numeric(12,2), at timestamptz, day date, flag boolean, note text";
    let script: String = (0..tables).map(|number| format!("CREATE TABLE t{number:04} ({columns});\n")).collect();
    database.script(&script);
    let sources = (0..datasources).map(|number| database.datasource(&format!("ds_{number:03}")).external("pool", "{ max_connections: 1 }"));
    eprintln!("looking at {datasources} datasources of {tables} tables");
    let mut gateway = Gateway::start(sources);
    let expected = u64::from(datasources) * u64::from(tables);
    let known = format!("SELECT count(*) FROM causeway.remote_tables HAVING count(*) = {expected}");
    assert_eq!(gateway.psql().rows(&known).len(), 1, "all tables are known");

    server.stop();
    println!("{datasources} datasources of {tables} tables, all away, {rounds} rounds; medians and worst, ms\n");
    println!("| | sources refuse | sources hang |");
    println!("|---|---|---|");
    let refused = measure(&mut gateway, rounds, expected);
    let hanging = TcpListener::bind(("127.0.0.1", server.port())).expect("the server's port is free");
    let hung = measure(&mut gateway, rounds, expected);
    drop(hanging);
    for (refused, hung) in refused.iter().zip(&hung) {
        let both = |measured: &Measurements| format!("{:.0}, {:.0}", millis(measured.median()), millis(measured.percentile(100)));
        println!("| {} | {} | {} |", refused.0, both(&refused.1), both(&hung.1));
    }
}

fn measure(gateway: &mut Gateway, rounds: u32, expected: u64) -> Vec<(&'static str, Measurements)> {
    let first = ("from the start of the process to the first answer", Measurements::default());
    let mut all: Vec<_> = [first].into_iter().chain(QUESTIONS.map(|(name, _)| (name, Measurements::default()))).collect();
    for _ in 0..rounds {
        gateway.kill_and_serve();
        let start = Instant::now();
        let psql = gateway.psql();
        let known = "SELECT count(*) FROM causeway.remote_tables";
        eventually("the gateway answers", Duration::from_secs(30), || {
            let answer = psql.commands(&["\\t", "\\a", known]);
            (answer.code == 0).then(|| assert!(answer.stdout.contains(&expected.to_string()), "it knows its tables: {}", answer.stdout))
        });
        all[0].1.add(start.elapsed());
        for ((_, question), (_, measured)) in QUESTIONS.iter().zip(&mut all[1..]) {
            let start = Instant::now();
            psql.commands(&[question]).expect_success();
            measured.add(start.elapsed());
        }
    }
    all
}
