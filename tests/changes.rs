//! Statements that change rows, on every source that takes them: what they do, what they answer, and what is undone.

use causeway_tests::{Datasource, Gateway, MariaDbServer, PostgresServer, Psql, write_sqlite};

const TABLE: &str = "CREATE TABLE t (id integer PRIMARY KEY, name varchar(40) NOT NULL, amount decimal(10,2) CHECK (amount < 1000), \
                     seen date, note varchar(40) DEFAULT 'none')";

/// What a source takes beyond what all take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Everything,
    /// No `ON CONFLICT`, and no `RETURNING` of updates.
    Less,
}

/// The table as `shop.w`, which may be changed, under other names; and as `shop.r`, which may not.
fn open(datasource: Datasource) -> Datasource {
    let tables = "tables:\n  - { name: w, remote: t, writable: true, column_map: { seen: day } }\n  - { name: r, remote: t }";
    datasource.external("allow_writes", "true").section(tables)
}

fn refused(psql: &Psql, sql: &str) -> String {
    let output = psql.commands(&["\\set VERBOSITY verbose", sql]);
    assert_ne!(output.code, 0, "{sql} was not refused: {}", output.stdout);
    output.stderr
}

/// Runs statements and compares what `psql` prints of each, rows and tag.
fn answers(psql: &Psql, statements: &[(&str, &[&str])]) {
    for (sql, expected) in statements {
        assert_eq!(psql.rows(sql), *expected, "{sql}");
    }
}

fn changes_rows(datasource: Datasource, takes: Takes) {
    let gateway = Gateway::start([open(datasource)]);
    let psql = gateway.psql();
    inserts(&psql);
    updates_and_deletes(&psql);
    returns(&psql, takes);
    conflicts(&psql, takes);
    refusals(&psql);
    transactions(&psql);
}

const ALL: &str = "SELECT * FROM shop.r ORDER BY id";

fn inserts(psql: &Psql) {
    answers(
        psql,
        &[
            ("INSERT INTO shop.w VALUES (1, 'one', 1.5, '2024-02-29', 'a'), (2, 'two', NULL, NULL, '')", &["INSERT 0 2"]),
            ("INSERT INTO shop.w (name, id) VALUES ('three', 3)", &["INSERT 0 1"]),
            ("INSERT INTO shop.w (id, name, note) VALUES (4, 'vier', DEFAULT), (5, 'fünf 😀', DEFAULT)", &["INSERT 0 2"]),
            // Fewer values than columns, and values that are computed here.
            ("INSERT INTO shop.w SELECT id + 10, upper(name), amount * 2 FROM shop.r WHERE id < 3", &["INSERT 0 2"]),
            (
                "WITH x AS (SELECT 20 AS id) INSERT INTO shop.w (id, name, day) SELECT id, 'x', date '2024-01-01' + 30 FROM x",
                &["INSERT 0 1"],
            ),
            ("INSERT INTO shop.w SELECT * FROM shop.r WHERE false", &["INSERT 0 0"]),
            (
                ALL,
                &[
                    "1|one|1.50|2024-02-29|a",
                    "2|two|<null>|<null>|",
                    "3|three|<null>|<null>|none",
                    "4|vier|<null>|<null>|none",
                    "5|fünf 😀|<null>|<null>|none",
                    "11|ONE|3.00|<null>|none",
                    "12|TWO|<null>|<null>|none",
                    "20|x|<null>|2024-01-31|none",
                ],
            ),
        ],
    );
}

fn updates_and_deletes(psql: &Psql) {
    answers(
        psql,
        &[
            ("UPDATE shop.w SET name = 'uno', amount = 2.25, day = '2025-12-31' WHERE id = 1", &["UPDATE 1"]),
            // Met, though it stays what it is.
            ("UPDATE shop.w SET name = 'uno' WHERE id = 1", &["UPDATE 1"]),
            ("UPDATE shop.w SET note = name WHERE id IN (2, 3)", &["UPDATE 2"]),
            ("UPDATE shop.w SET name = note, note = name WHERE id = 1", &["UPDATE 1"]),
            ("UPDATE shop.w SET id = id * 2 + 1 WHERE id = 12", &["UPDATE 1"]),
            ("UPDATE shop.w SET id = id - 13 WHERE id = 25", &["UPDATE 1"]),
            ("UPDATE shop.w SET (note, amount) = ('both', 7) WHERE name = 'vier'", &["UPDATE 1"]),
            // Upper case is another name, whatever the source's collation says.
            ("UPDATE shop.w SET note = 'never' WHERE name = 'VIER'", &["UPDATE 0"]),
            ("UPDATE shop.w SET note = 'never' WHERE id = 1 AND false", &["UPDATE 0"]),
            ("DELETE FROM shop.w AS x WHERE x.id > 10 AND x.day IS NULL", &["DELETE 2"]),
            ("DELETE FROM shop.w WHERE id = 99", &["DELETE 0"]),
            (
                ALL,
                &[
                    "1|a|2.25|2025-12-31|uno",
                    "2|two|<null>|<null>|two",
                    "3|three|<null>|<null>|three",
                    "4|vier|7.00|<null>|both",
                    "5|fünf 😀|<null>|<null>|none",
                    "20|x|<null>|2024-01-31|none",
                ],
            ),
        ],
    );
}

fn returns(psql: &Psql, takes: Takes) {
    answers(
        psql,
        &[
            (
                "INSERT INTO shop.w (id, name) VALUES (30, 'a'), (31, 'b') RETURNING id * 2 AS twice, note, w.name || '!'",
                &["60|none|a!", "62|none|b!", "INSERT 0 2"],
            ),
            ("DELETE FROM shop.w WHERE id >= 31 RETURNING *", &["31|b|<null>|<null>|none", "DELETE 1"]),
            ("DELETE FROM shop.w WHERE id = 99 RETURNING id", &["DELETE 0"]),
            // A number is rounded, and a text is read.
            ("INSERT INTO shop.w (id, name) VALUES (40.6, 'r'), ('42', 's') RETURNING id", &["41", "42", "INSERT 0 2"]),
            ("DELETE FROM shop.w WHERE id > 40", &["DELETE 2"]),
        ],
    );
    let update = "UPDATE shop.w AS x SET amount = 1, day = NULL WHERE id = 30 RETURNING x.id, amount + 1, day";
    match takes {
        Takes::Everything => answers(psql, &[(update, &["30|2.00|<null>", "UPDATE 1"])]),
        Takes::Less => {
            let error = refused(psql, update);
            assert!(error.contains("0A000") && error.contains("RETURNING of UPDATE on this datasource"), "{error}");
        }
    }
    answers(psql, &[("DELETE FROM shop.w WHERE id = 30", &["DELETE 1"])]);
}

fn conflicts(psql: &Psql, takes: Takes) {
    let upsert = "INSERT INTO shop.w AS w (id, name, amount) VALUES (5, 'five', 1), (6, 'six', 2) \
                  ON CONFLICT (id) DO UPDATE SET name = excluded.name, note = w.name WHERE w.id < 100 RETURNING id, name, note";
    if takes == Takes::Less {
        let error = refused(psql, upsert);
        assert!(error.contains("0A000") && error.contains("ON CONFLICT on this datasource"), "{error}");
        return answers(psql, &[("INSERT INTO shop.w (id, name) VALUES (6, 'six')", &["INSERT 0 1"])]);
    }
    answers(
        psql,
        &[
            (upsert, &["5|five|fünf 😀", "6|six|none", "INSERT 0 2"]),
            ("INSERT INTO shop.w (id, name) VALUES (6, 'other'), (7, 'seven') ON CONFLICT DO NOTHING", &["INSERT 0 1"]),
            ("SELECT id, name FROM shop.r WHERE id IN (6, 7) ORDER BY id", &["6|six", "7|seven"]),
            ("DELETE FROM shop.w WHERE id = 7", &["DELETE 1"]),
        ],
    );
}

/// What is wrong is said, and nothing of it is done.
fn refusals(psql: &Psql) {
    let before = psql.rows(ALL);
    for (sql, expected) in [
        ("INSERT INTO shop.w (id, name) VALUES (100, 'new'), (1, 'again')", "23505"),
        ("INSERT INTO shop.w (id, name) VALUES (100, 'new'), (101, NULL)", "23502"),
        ("INSERT INTO shop.w (id, name, amount) VALUES (100, 'new', 1), (101, 'much', 5000)", "23514"),
        ("INSERT INTO shop.w (id, name) VALUES (100, 'new', 1)", "42601: INSERT has more expressions than target columns"),
        ("INSERT INTO shop.w (id, name) VALUES (100)", "42601: INSERT has more target columns than expressions"),
        ("INSERT INTO shop.w (id, nme) VALUES (100, 'new')", "42703: column \"nme\" of relation \"w\" does not exist"),
        ("INSERT INTO shop.w (id, seen) VALUES (100, NULL)", "42703: column \"seen\" of relation"),
        ("INSERT INTO shop.w (id, name) VALUES (100, 'new'), (5000000000000000000000, 'big')", "22003"),
        ("INSERT INTO shop.w (id, name, day) VALUES (100, 'new', 'tomorrow')", "22"),
        ("INSERT INTO shop.w (id, name, day) VALUES (100, 'new', '2024-02-30')", "22"),
        ("INSERT INTO shop.w (id, name) SELECT 100 + 1 / (id - 1), 'x' FROM shop.r", "22012"),
        ("INSERT INTO shop.w (id, name, amount) VALUES (100, 'new', 123456789012.5)", "22003"),
        ("UPDATE shop.w SET name = NULL", "23502"),
        ("UPDATE shop.w SET id = id + 9223372036854775807", "22003"),
        ("UPDATE shop.w SET id = 1", "23505"),
        ("UPDATE shop.w SET amount = 5000 WHERE id = 1", "23514"),
        ("UPDATE shop.w SET name = 'a', name = 'b'", "42601: multiple assignments to same column"),
        ("UPDATE shop.w SET id = 'one'", "22P02"),
        ("UPDATE shop.w SET name = 'x' WHERE id = (SELECT max(id) FROM shop.r)", "0A000"),
        ("UPDATE shop.w SET name = r.name FROM shop.r WHERE r.id = w.id", "0A000: UPDATE ... FROM is not supported"),
        ("DELETE FROM shop.w USING shop.r WHERE r.id = w.id", "0A000: DELETE ... USING is not supported"),
        ("DELETE FROM shop.w WHERE random() < 2", "0A000"),
        ("INSERT INTO shop.r (id, name) VALUES (100, 'new')", "25006"),
        ("DELETE FROM shop.r", "25006"),
        ("DELETE FROM shop.nothing", "42P01"),
        ("INSERT INTO causeway.events (id) VALUES (1)", "0A000"),
        ("BEGIN READ ONLY; DELETE FROM shop.w", "25006"),
    ] {
        let error = refused(psql, sql);
        assert!(error.contains(&format!("ERROR:  {expected}")), "{sql}: {error}");
    }
    assert_eq!(psql.rows(ALL), before, "nothing was changed");
}

fn transactions(psql: &Psql) {
    let ids = "SELECT id FROM shop.r WHERE id >= 100 ORDER BY id";
    // Each statement of its own: what is committed is there for the next session.
    psql.commands(&["BEGIN", "INSERT INTO shop.w (id, name) VALUES (100, 'a')", "UPDATE shop.w SET id = 101 WHERE id = 100", "COMMIT"])
        .expect_success();
    assert_eq!(psql.rows(ids), ["101"]);
    psql.commands(&["BEGIN", "DELETE FROM shop.w WHERE id = 101", "ROLLBACK"]).expect_success();
    assert_eq!(psql.rows(ids), ["101"]);
    // One text is one transaction, to its end or to its first error.
    let failed = psql.commands(&["INSERT INTO shop.w (id, name) VALUES (102, 'b'); INSERT INTO shop.w (id, name) VALUES (101, 'c')"]);
    assert_ne!(failed.code, 0);
    psql.rows("INSERT INTO shop.w (id, name) VALUES (103, 'b'); DELETE FROM shop.w WHERE id = 101");
    assert_eq!(psql.rows(ids), ["103"]);
    // A block that failed is rolled back, whatever it is told.
    let failed = psql.commands(&["BEGIN", "DELETE FROM shop.w WHERE id = 103", "SELECT 1 / 0", "COMMIT"]);
    assert!(failed.stdout.contains("ROLLBACK"), "{}", failed.stdout);
    assert_eq!(psql.rows(ids), ["103"]);
    // Changes after a savepoint are undone with it.
    let answers = psql.commands(&[
        "BEGIN",
        "SAVEPOINT s",
        "DELETE FROM shop.w WHERE id = 103",
        "SELECT 1 / 0",
        "ROLLBACK TO s",
        "INSERT INTO shop.w (id, name) VALUES (104, 'd')",
        "COMMIT",
    ]);
    assert!(answers.stdout.trim().ends_with("COMMIT"), "{}{}", answers.stdout, answers.stderr);
    assert_eq!(psql.rows(ids), ["103", "104"]);
    // What was changed is not read in the midst of it, as it would be read as it was.
    let read = psql.commands(&["\\set VERBOSITY verbose", "BEGIN", "DELETE FROM shop.w WHERE id = 104", "SELECT count(*) FROM shop.r"]);
    assert!(read.stderr.contains("0A000: reading datasource \"shop\" in the transaction that changes it"), "{}", read.stderr);
    assert_eq!(psql.rows(ids), ["103", "104"]);
    let off = psql.commands(&["SET causeway.push_down = off", "BEGIN", "DELETE FROM shop.w WHERE id = 104", "SELECT count(*) FROM shop.r"]);
    assert!(off.stderr.contains("reading datasource \"shop\" in the transaction that changes it"), "{}", off.stderr);
    // What is told to have failed has not happened.
    let chained = psql.commands(&["DELETE FROM shop.w WHERE id = 104; COMMIT AND CHAIN"]);
    assert!(chained.stderr.contains("COMMIT AND CHAIN can only be used in transaction blocks"), "{}", chained.stderr);
    assert_eq!(psql.rows(ids), ["103", "104"]);
}

/// Assigned values that a column would keep as others are refused.
fn keeps_or_refuses(datasource: Datasource, assignments: &[&str]) {
    let gateway = Gateway::start([open(datasource)]);
    let psql = gateway.psql();
    let before = psql.rows("SELECT * FROM shop.r");
    for assignment in assignments {
        let error = refused(&psql, &format!("UPDATE shop.w SET {assignment}"));
        assert!(["22001", "22026", "0A000", "22P02"].iter().any(|code| error.contains(code)), "{assignment}: {error}");
    }
    assert_eq!(psql.rows("SELECT * FROM shop.r"), before);
}

#[test]
fn values_that_a_column_would_cut_or_change_are_refused() {
    let Some((postgres, mariadb)) = PostgresServer::shared().zip(MariaDbServer::shared()) else { return };
    let database = postgres.database("kept");
    database.script("CREATE TABLE t (code varchar(3), flags bit(3), seen date); INSERT INTO t VALUES ('abc', '101', NULL)");
    keeps_or_refuses(database.datasource("shop"), &["code = 'abcdef'", "flags = '10111'"]);
    let database = mariadb.database("kept");
    database.script(
        "CREATE TABLE t (e enum('small', 'LARGE'), y year, bits bit(8), c char(5), seen date); \
         INSERT INTO t VALUES ('small', 2001, b'101', 'a', NULL)",
    );
    keeps_or_refuses(database.datasource("shop"), &["e = '2'", "y = 69", "y = y + 1", "bits = '5'", "c = 'a '"]);
}

#[test]
fn rows_of_postgresql_are_changed() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("changes");
    database.script(TABLE);
    changes_rows(database.datasource("shop"), Takes::Everything);
}

#[test]
fn rows_of_mariadb_are_changed() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("changes");
    database.script(TABLE);
    changes_rows(database.datasource("shop"), Takes::Less);
}

#[test]
fn rows_of_sqlite_are_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    write_sqlite(&file, TABLE);
    changes_rows(Datasource::sqlite("shop", &file), Takes::Everything);
}
