//! How much a scan holds: tables of odd shapes read into memory and dropped, in two sizes each.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresDatabase};

use crate::load;

/// What docs/operations.md states for a partition of a scan, four rows per connection aside.
const PER_PARTITION_KIB: u64 = 16 << 10;

/// A table shape: how a row is made of its number `i`, and how many rows the larger of two tables has.
struct Shape {
    name: &'static str,
    /// Columns with their types, for PostgreSQL.
    columns: String,
    /// Their values.
    values: String,
    rows: u64,
    row_kib: u64,
}

/// Tables of about 400 MB.
fn shapes() -> Vec<Shape> {
    let many = |count: u32, one: &dyn Fn(u32) -> String| {
        let mut list = String::new();
        for column in 0..count {
            let comma = if column == 0 { "" } else { ", " };
            write!(list, "{comma}{}", one(column)).expect("a string can be written to");
        }
        list
    };
    let text = |name, kib: u64, rows| Shape {
        name,
        columns: "i bigint, t text STORAGE EXTERNAL".to_owned(),
        values: format!("i, repeat(md5(i::text), {})", kib * 32),
        rows,
        row_kib: kib,
    };
    vec![
        Shape { name: "2 numbers", columns: "i bigint, j bigint".to_owned(), values: "i, i".to_owned(), rows: 8_000_000, row_kib: 1 },
        text("a text of 10 kB", 10, 40_000),
        text("a text of 1 MB", 1024, 400),
        Shape {
            name: "300 numbers",
            columns: many(300, &|column| format!("c{column} integer")),
            values: many(300, &|_| "i".to_owned()),
            rows: 300_000,
            row_kib: 2,
        },
        Shape {
            name: "1,000 NULLs",
            columns: many(1_000, &|column| format!("c{column} text")),
            values: many(1_000, &|_| "NULL".to_owned()),
            rows: 400_000,
            row_kib: 24,
        },
    ]
}

/// Measures, prints and checks.
///
/// # Panics
/// When a scan holds more than is stated.
pub(crate) fn run() {
    let server = load::server();
    let database = server.database("shapes");
    println!("what a scan of PostgreSQL holds; {} MiB per partition are stated, and four rows per connection\n", PER_PARTITION_KIB >> 10);
    println!("| a row is | rows | connections | partitions | memory grown by, MiB | stated, MiB |");
    println!("|---|---|---|---|---|---|");
    for (place, shape) in shapes().iter().enumerate() {
        for (size, rows) in [("warm", 10), ("quarter", shape.rows / 4), ("whole", shape.rows)] {
            fill(&database, &format!("{size}_{place}"), shape, rows);
        }
        for connections in [1, 5] {
            let pool = format!("{{ max_connections: {connections} }}");
            let gateway = Gateway::start([database.datasource("pg").external("query_timeout", "30m").external("pool", &pool)]);
            read(&gateway, &format!("pg.warm_{place}"));
            for size in ["quarter", "whole"] {
                let seen = read(&gateway, &format!("pg.{size}_{place}"));
                seen.show_and_check(shape, if size == "whole" { shape.rows } else { shape.rows / 4 });
            }
        }
        for size in ["warm", "quarter", "whole"] {
            database.script(&format!("DROP TABLE {size}_{place}"));
        }
    }
    of_mariadb();
    of_csv();
}

/// The same of MariaDB, whose rows are no larger than it likes.
fn of_mariadb() {
    let server = MariaDbServer::shared().expect("MariaDB is installed");
    let database = server.database("shapes");
    println!("\nand of MariaDB\n");
    println!("| a row is | rows | connections | partitions | memory grown by, MiB | stated, MiB |");
    println!("|---|---|---|---|---|---|");
    for (name, kib, rows) in [("a text of 10 kB", 10, 40_000), ("a text of 1 MB", 1024, 400)] {
        let shape = Shape { name, columns: String::new(), values: String::new(), rows, row_kib: kib };
        for (table, count) in [("warm", 10), ("quarter", rows / 4), ("whole", rows)] {
            database.script(&format!(
                "CREATE OR REPLACE TABLE {table} (i bigint PRIMARY KEY, t longtext) ENGINE=InnoDB;
                 INSERT INTO {table} SELECT seq, REPEAT(MD5(seq), {}) FROM seq_1_to_{count}; ANALYZE TABLE {table}",
                kib * 32
            ));
        }
        let datasource = database.datasource("my").option("parallel_scans", "always").external("query_timeout", "30m");
        let gateway = Gateway::start([datasource]);
        read(&gateway, "my.warm");
        for (table, count) in [("my.quarter", rows / 4), ("my.whole", rows)] {
            read(&gateway, table).show_and_check(&shape, count);
        }
    }
}

/// The same of CSV files.
fn of_csv() {
    println!("\nand of CSV\n");
    println!("| a row is | rows | connections | partitions | memory grown by, MiB | stated, MiB |");
    println!("|---|---|---|---|---|---|");
    for (name, kib, rows) in [("a text of 10 kB", 10, 40_000), ("a text of 1 MB", 1024, 400)] {
        let shape = Shape { name, columns: String::new(), values: String::new(), rows, row_kib: kib };
        let folder = tempfile::tempdir().expect("a folder can be made");
        let text = "0123456789abcdef".repeat(64 * usize::try_from(kib).expect("a row fits in memory"));
        for (table, count) in [("warm", 10), ("quarter", rows / 4), ("whole", rows)] {
            let mut file = BufWriter::new(File::create(folder.path().join(format!("{table}.csv"))).expect("a file can be made"));
            let mut line = |line: &str| writeln!(file, "{line}").expect("a file can be written");
            line("i,t");
            (0..count).for_each(|row| line(&format!("{row},{text}")));
        }
        let gateway = Gateway::start([Datasource::files("lake", folder.path())]);
        read(&gateway, "lake.warm");
        for (table, count) in [("lake.quarter", rows / 4), ("lake.whole", rows)] {
            read(&gateway, table).show_and_check(&shape, count);
        }
    }
}

fn fill(database: &PostgresDatabase, table: &str, shape: &Shape, rows: u64) {
    let columns = shape.columns.replace(" STORAGE EXTERNAL", "");
    let mut sql = format!("CREATE UNLOGGED TABLE {table} ({columns});");
    if columns != shape.columns {
        write!(sql, "ALTER TABLE {table} ALTER t SET STORAGE EXTERNAL;").expect("a string can be written to");
    }
    database.script(&format!("{sql} INSERT INTO {table} SELECT {} FROM generate_series(1, {rows}) i; ANALYZE {table};", shape.values));
}

/// What one scan held.
struct Held {
    connections: u64,
    partitions: u64,
    grown_kib: u64,
}

impl Held {
    fn show_and_check(&self, shape: &Shape, rows: u64) {
        let stated = self.partitions * PER_PARTITION_KIB + self.connections * 4 * shape.row_kib;
        println!("| {} | {rows} | {} | {} | {} | {} |", shape.name, self.connections, self.partitions, self.grown_kib >> 10, stated >> 10);
        assert!(self.grown_kib <= stated, "a scan of {rows} rows of {} holds {} kB", shape.name, self.grown_kib);
    }
}

fn read(gateway: &Gateway, table: &str) -> Held {
    let plan = gateway.psql().rows(&format!("EXPLAIN SELECT * FROM {table}")).join("\n");
    let number = |after: &str, before: &str| {
        let number = plan.split_once(after).and_then(|(_, rest)| rest.split_once(before)).and_then(|(number, _)| number.parse().ok());
        number.unwrap_or(1)
    };
    let (partitions, connections) = (number(" in ", " streams"), number("over up to ", " connections"));
    gateway.forget_peak();
    let before = gateway.memory().resident;
    gateway.psql().rows(&format!("EXPLAIN ANALYZE SELECT * FROM {table}"));
    Held { connections, partitions, grown_kib: gateway.memory().peak.saturating_sub(before) }
}
