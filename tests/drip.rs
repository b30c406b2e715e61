//! Relations that yield a row every 10 ms for a long time, in the sources themselves.

use causeway_tests::{MariaDbDatabase, PostgresDatabase};

/// Enough for minutes: a test that waits for the end would be noticed.
const ROWS: u32 = 20_000;

/// Makes the view `drip`: a row of 1 kB every 10 ms. PostgreSQL itself sends what it has every 8 kB.
pub(crate) fn in_postgres(database: &PostgresDatabase) {
    database.script(&format!(
        "CREATE VIEW drip AS SELECT g AS id, repeat('x', 1000) AS payload FROM generate_series(1, {ROWS}) g WHERE pg_sleep(0.01) IS NOT NULL;"
    ));
}

/// As [`in_postgres`]; MariaDB sends what it has every 16 kB.
pub(crate) fn in_mariadb(database: &MariaDbDatabase) {
    database
        .script(&format!("CREATE VIEW drip AS SELECT seq AS id, REPEAT('x', 1000) AS payload FROM seq_1_to_{ROWS} WHERE SLEEP(0.01) = 0;"));
}
