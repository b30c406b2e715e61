//! Answers that a source would give otherwise: with push-down and without it, they are the same rows or an error of the same kind.

use causeway_tests::{ClickHouseServer, Datasource, Gateway, MariaDbServer, PostgresServer, text_rows, write_sqlite};

/// What a statement gives: its rows, or the SQLSTATE and text of its error.
async fn outcome(gateway: &Gateway, push_down: &str, sql: &str) -> Result<Vec<Vec<Option<String>>>, (String, String)> {
    let client = gateway.connect().await;
    client.batch_execute(&format!("SET causeway.push_down = {push_down}")).await.unwrap();
    let rows = text_rows(&client, sql).await;
    rows.map_err(|error| {
        let error = error.as_db_error().expect("the gateway says what is wrong");
        let detail = [Some(error.message()), error.detail(), error.hint()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        (error.code().code().to_owned(), detail)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_end_in_nul_characters_are_told_apart() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("ends_in_nul");
    database.script(
        "CREATE TABLE t (id int PRIMARY KEY, a varchar(20) COLLATE utf8mb4_nopad_bin, b varchar(20) COLLATE utf8mb4_nopad_bin);
         INSERT INTO t SELECT seq, concat('a', repeat(char(0), seq % 3)), concat('b', repeat(char(0), seq % 2)) FROM seq_1_to_60;
         INSERT INTO t VALUES (100, concat('a', char(0), 'b'), NULL), (101, concat('a', char(1)), ''), (102, NULL, char(0));",
    );
    let gateway = Gateway::start([database.datasource("shop")]);
    for sql in [
        "SELECT id FROM shop.t ORDER BY a, id",
        "SELECT id FROM shop.t ORDER BY a DESC, id LIMIT 30",
        "SELECT id FROM shop.t ORDER BY b NULLS FIRST, a DESC NULLS LAST, id LIMIT 50",
        "SELECT count(*) AS n, min(id) FROM shop.t GROUP BY a ORDER BY 1, 2",
        "SELECT count(*) AS n, min(id) FROM shop.t GROUP BY b, a ORDER BY 1, 2",
        "SELECT count(*) FROM (SELECT DISTINCT a FROM shop.t) s",
        "SELECT t.id, u.n FROM shop.t JOIN (SELECT a, count(*) AS n FROM shop.t GROUP BY a) u ON u.a = t.a ORDER BY t.id",
    ] {
        let (on, off) = (outcome(&gateway, "on", sql).await, outcome(&gateway, "off", sql).await);
        assert!(off.is_ok(), "{sql}: {off:?}");
        assert_eq!(on, off, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zero_date_is_no_missing_row() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("zero_dates");
    database.script(
        "SET sql_mode = ''; CREATE TABLE l (id int PRIMARY KEY); CREATE TABLE r (id int PRIMARY KEY, d date NOT NULL);
         INSERT INTO l VALUES (1), (2), (3); INSERT INTO r VALUES (1, '2024-01-01'), (2, '0000-00-00');",
    );
    let gateway = Gateway::start([database.datasource("shop")]);
    for sql in [
        "SELECT l.id FROM shop.l LEFT JOIN shop.r ON r.id = l.id WHERE r.d IS NULL",
        "SELECT l.id, coalesce(r.d, DATE '2000-01-01') FROM shop.l LEFT JOIN shop.r ON r.id = l.id",
    ] {
        for push_down in ["on", "off"] {
            let (_, text) = outcome(&gateway, push_down, sql).await.expect_err("a zero date is not a date");
            assert!(text.contains("shop") && text.contains("\"d\""), "{push_down}: {sql}: {text}");
        }
    }
    let sql = "SELECT l.id FROM shop.l LEFT JOIN shop.r ON r.id = l.id AND r.id <> 2 WHERE r.id IS NULL ORDER BY 1";
    assert_eq!(outcome(&gateway, "on", sql).await.unwrap(), [[Some("2".to_owned())], [Some("3".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_belies_its_column_is_noticed_where_it_is_computed_with() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    let rows = "(1, 5, 'a'), (2, 6, 'b'), (3, 7, 'a')";
    let tables = ["sound", "belied"]
        .map(|name| format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, v INTEGER, w TEXT); INSERT INTO {name} VALUES {rows};"));
    write_sqlite(&path, &format!("{} INSERT INTO belied VALUES (9, 'nine', 'c');", tables.concat()));
    let gateway = Gateway::start([Datasource::sqlite("desk", &path)]);
    for sql in [
        "SELECT count(*) FROM desk.T WHERE v <> 5",
        "SELECT id FROM desk.T WHERE v > 5 AND w = 'b'",
        "SELECT max(v) - min(v) FROM desk.T",
        "SELECT sum(v), count(v) FROM desk.T",
        "SELECT w, count(*) FROM desk.T GROUP BY w, v ORDER BY 1",
        "SELECT id FROM desk.T ORDER BY v DESC LIMIT 1",
        "SELECT count(*) FROM (SELECT DISTINCT v FROM desk.T) s",
        "SELECT count(*) FROM desk.sound s JOIN desk.T t ON t.v = s.v",
        "SELECT count(*) FROM desk.sound s WHERE EXISTS (SELECT 1 FROM desk.T t WHERE t.v = s.v)",
        "SELECT count(*) FROM (SELECT coalesce(v, 0) AS c FROM desk.T) s WHERE c > 5",
        "SELECT count(*) FROM (SELECT id FROM desk.T WHERE v < 6 UNION ALL SELECT id FROM desk.sound) s",
    ] {
        let sound = sql.replace("desk.T", "desk.sound");
        let (on, off) = (outcome(&gateway, "on", &sound).await, outcome(&gateway, "off", &sound).await);
        assert!(off.is_ok() && on == off, "{sound}: {on:?}, {off:?}");
        let belied = sql.replace("desk.T", "desk.belied");
        for push_down in ["on", "off"] {
            let (_, text) = outcome(&gateway, push_down, &belied).await.expect_err(&belied);
            assert!(text.contains("desk") && text.contains("\"v\""), "{push_down}: {belied}: {text}");
        }
        // A sum of `bigint` and a condition on a computed value are made here, of what arrives.
        let here = sql.contains("sum(") || sql.contains("coalesce(");
        let (_, text) = outcome(&gateway, "on", &belied).await.expect_err(&belied);
        assert!(here || (text.contains("table \"belied\"") && text.contains("id = 9")), "{belied}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integer_that_overflows_is_an_error_wherever_it_is_computed() {
    let (Some(server), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
    let database = server.database("overflow");
    database.script("CREATE TABLE t (n bigint); INSERT INTO t VALUES (9223372036854775807), (1);");
    let shop = mariadb.database("overflow");
    shop.script("CREATE TABLE t (n bigint, u bigint unsigned); INSERT INTO t VALUES (9223372036854775807, 1), (1, 18446744073709551615);");
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (9223372036854775807), (1);");
    let gateway = Gateway::start([database.datasource("crm"), shop.datasource("shop"), Datasource::sqlite("desk", &path)]);
    for sql in [
        "SELECT n + 1 FROM crm.t",
        "SELECT n * n FROM desk.t",
        "SELECT 0 - n - 2 FROM desk.t",
        "SELECT count(*) FROM crm.t WHERE n + n > 0",
        "SELECT n + 1 FROM shop.t",
        "SELECT count(*) FROM shop.t WHERE n * n > 0",
    ] {
        for push_down in ["on", "off"] {
            let (code, text) = outcome(&gateway, push_down, sql).await.expect_err(sql);
            assert!(text.contains("out of range") || code == "HV000", "{push_down}: {sql}: {code} {text}");
            assert!(push_down == "on" || code == "22003", "{sql}: {code} {text}");
        }
    }
    // Below zero, where an unsigned number of the source has nothing.
    for push_down in ["on", "off"] {
        let rows = outcome(&gateway, push_down, "SELECT u - 2 FROM shop.t WHERE u - 2 < 5").await.unwrap();
        assert_eq!(rows, [[Some("-1".to_owned())]], "{push_down}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_division_by_zero_is_an_error_wherever_it_is_computed() {
    let (Some(server), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
    let script = "CREATE TABLE t (n bigint, m numeric(10,2)); INSERT INTO t VALUES (0, 0), (7, 1.5);";
    let (crm, shop) = (server.database("by_zero"), mariadb.database("by_zero"));
    crm.script(script);
    shop.script(script);
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    write_sqlite(&path, "CREATE TABLE t (n INTEGER, m DECIMAL(10,2)); INSERT INTO t VALUES (0, 0), (7, 1.5);");
    let gateway = Gateway::start([crm.datasource("crm"), shop.datasource("shop"), Datasource::sqlite("desk", &path)]);
    for source in ["crm", "shop", "desk"] {
        for sql in [
            "SELECT 7 / n FROM S.t",
            "SELECT 7 % n FROM S.t",
            "SELECT 7 / m FROM S.t",
            "SELECT count(*) FROM S.t WHERE 7 / n > 0",
            "SELECT sum(7 / n) FROM S.t",
        ] {
            let sql = sql.replace("S.t", &format!("{source}.t"));
            for push_down in ["on", "off"] {
                let (code, text) = outcome(&gateway, push_down, &sql).await.expect_err(&sql);
                assert_eq!(code, "22012", "{push_down}: {sql}: {text}");
            }
        }
        let sql = format!("SELECT 7 / n FROM {source}.t WHERE n <> 0");
        for push_down in ["on", "off"] {
            assert_eq!(outcome(&gateway, push_down, &sql).await.unwrap(), [[Some("1".to_owned())]], "{push_down}: {sql}");
        }
    }
}

/// Sources order the labels of an enumeration as they were declared; here they are texts.
#[tokio::test(flavor = "multi_thread")]
async fn labels_are_compared_as_texts() {
    let (Some(server), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
    let rows = "INSERT INTO t VALUES (1, 'small'), (2, 'large'), (3, 'medium'), (4, 'small'), (5, NULL);";
    let (crm, shop) = (server.database("labels"), mariadb.database("labels"));
    crm.script(&format!("CREATE TYPE size AS ENUM ('small', 'medium', 'large'); CREATE TABLE t (id int, v size); {rows}"));
    shop.script(&format!("CREATE TABLE t (id int, v enum('small', 'medium', 'large')); {rows}"));
    let gateway = Gateway::start([crm.datasource("crm"), shop.datasource("shop")]);
    for (sql, expected) in [
        ("SELECT id FROM S.t ORDER BY v, id", "2 3 1 4 5"),
        ("SELECT id FROM S.t ORDER BY v DESC NULLS LAST, id LIMIT 3", "1 4 3"),
        ("SELECT id FROM S.t WHERE v > 'large' ORDER BY id", "1 3 4"),
        ("SELECT id FROM S.t WHERE v = 'small' ORDER BY id", "1 4"),
        ("SELECT id FROM S.t WHERE v <> 'Small' ORDER BY id", "1 2 3 4"),
        ("SELECT id FROM S.t WHERE v IN ('huge', 'medium')", "3"),
        ("SELECT max(v) FROM S.t", "small"),
        ("SELECT min(v) FROM S.t", "large"),
        ("SELECT count(*) FROM S.t GROUP BY v ORDER BY v", "1 1 2 1"),
        ("SELECT count(*) FROM S.t a JOIN S.t b ON a.v = b.v", "6"),
    ] {
        for source in ["crm", "shop"] {
            let sql = sql.replace("S.t", &format!("{source}.t"));
            for push_down in ["on", "off"] {
                let rows = outcome(&gateway, push_down, &sql).await.unwrap_or_else(|error| panic!("{push_down}: {sql}: {error:?}"));
                let found: Vec<_> = rows.into_iter().flatten().map(|value| value.unwrap_or_default()).collect();
                assert_eq!(found.join(" "), expected, "{push_down}: {sql}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_whose_text_is_made_here_are_the_same_everywhere() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("made_here");
    database.script(
        "CREATE DOMAIN key AS uuid;
         CREATE TABLE t (id int PRIMARY KEY, u uuid, k key, c char(6), d jsonb, us uuid[], cs char(3)[], told text, v varchar(40));
         INSERT INTO t SELECT g, CASE WHEN g % 7 <> 0 THEN md5((g % 40)::text)::uuid END, md5((g % 5)::text)::uuid,
             (ARRAY['a', 'a  ', ' a', 'ä', NULL])[g % 5 + 1], ('{\"b\": [1, 2.50], \"a\": \"' || g % 3 || '\"}')::jsonb,
             ARRAY[md5(g::text)::uuid, NULL], ARRAY['x', ' y '], md5((g % 40)::text)::uuid::text, 'a  ' FROM generate_series(1, 200) g;
         CREATE TABLE r AS SELECT u, c, id FROM t WHERE id % 9 = 0;
         CREATE VIEW both_kinds AS SELECT c FROM t UNION ALL SELECT v FROM t;",
    );
    let gateway = Gateway::start([database.datasource("crm")]);
    // What the source is to compute as a whole.
    for (sql, whole) in [
        ("SELECT * FROM crm.t ORDER BY id", true),
        ("SELECT id, u FROM crm.t ORDER BY u DESC NULLS LAST, id LIMIT 50", true),
        ("SELECT id, u FROM crm.t ORDER BY u NULLS FIRST, id", true),
        ("SELECT u, count(*) FROM crm.t GROUP BY u ORDER BY u", true),
        ("SELECT count(*) FROM (SELECT DISTINCT u, c FROM crm.t) s", true),
        ("SELECT t.id, r.u, r.id FROM crm.t JOIN crm.r ON r.u = t.u ORDER BY 1, 3", true),
        ("SELECT t.id FROM crm.t LEFT JOIN crm.r ON r.u = t.u WHERE r.u IS NULL ORDER BY 1", true),
        ("SELECT id FROM crm.t WHERE EXISTS (SELECT 1 FROM crm.r WHERE r.u IS NOT DISTINCT FROM t.u) ORDER BY 1", true),
        (
            "SELECT id FROM crm.t WHERE u IN ('c4ca4238-a0b9-2382-0dcc-509a6f75849b', 'cfcd2084-95d5-65ef-66e7-dff9f98764da') ORDER BY 1",
            true,
        ),
        // In other spellings, of which one is none.
        ("SELECT id FROM crm.t WHERE u IN ('C4CA4238A0B923820DCC509A6F75849B', '{cfcd2084-95d5-65ef-66e7-dff9f98764da}') ORDER BY 1", true),
        ("SELECT id FROM crm.t WHERE 'C4CA4238-A0B9-2382-0DCC-509A6F75849B' = u ORDER BY 1", true),
        // Of another type, though it is text here as well.
        ("SELECT id FROM crm.t WHERE u = told ORDER BY 1", false),
        ("SELECT id FROM crm.t WHERE u = k ORDER BY 1", false),
        ("SELECT id FROM crm.t WHERE u > 'c4ca4238-a0b9-2382-0dcc-509a6f75849b' ORDER BY 1", false),
        ("SELECT min(u), max(u), count(u) FROM crm.t", false),
        ("SELECT id, coalesce(u, told) FROM crm.t ORDER BY id", false),
        ("SELECT id, upper(u), u || 'x', CASE WHEN id > 50 THEN u ELSE told END FROM crm.t ORDER BY id", false),
        ("SELECT c, length(c), c || '|' FROM crm.both_kinds ORDER BY 1, 2", false),
        ("SELECT u FROM crm.t UNION ALL SELECT told FROM crm.t ORDER BY 1", false),
        ("SELECT c, count(*) FROM (SELECT c FROM crm.t UNION ALL SELECT v FROM crm.t) s GROUP BY c ORDER BY 1", false),
        ("SELECT d, count(*) FROM crm.t GROUP BY d ORDER BY 1", false),
    ] {
        let (on, off) = (outcome(&gateway, "on", sql).await, outcome(&gateway, "off", sql).await);
        assert!(off.is_ok(), "{sql}: {off:?}");
        assert_eq!(on, off, "{sql}");
        if whole {
            let plan = outcome(&gateway, "on", &format!("EXPLAIN {sql}")).await.unwrap().into_iter().flatten().flatten();
            let plan = plan.collect::<Vec<_>>();
            assert!(!plan.iter().any(|line| line == "Computed here"), "{sql}:\n{}", plan.join("\n"));
        }
    }
    // As the source prints them itself.
    let sql = "SELECT id, u, k, trim(trailing from c) AS c, d, told, v FROM t ORDER BY id";
    let source = database.psql().rows(&sql.replace("told, v", "told, v || '' AS v"));
    let here = gateway.psql().rows("SELECT id, u, k, c, d, told, v FROM crm.t ORDER BY id");
    assert_eq!(here, source);
}

/// Whether the plan of a statement leaves nothing to be done here.
async fn is_whole(gateway: &Gateway, sql: &str) -> bool {
    let plan = outcome(gateway, "on", &format!("EXPLAIN {sql}")).await.unwrap();
    !plan.iter().flatten().flatten().any(|line| line == "Computed here")
}

/// What a source computes beyond columns and conditions on them, and what of that it is not asked for.
#[tokio::test(flavor = "multi_thread")]
async fn values_that_are_computed_there_are_the_same_here() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("computed_there");
    database.script(
        "CREATE TABLE t (id int PRIMARY KEY, m numeric(15,2), z numeric(15,2), w numeric(36,2), d date, at timestamp,
             c char(9) COLLATE \"C\", v text COLLATE \"C\", e char(9) COLLATE \"en-US-x-icu\", f varchar(9) COLLATE \"en-US-x-icu\");
         INSERT INTO t SELECT g, (g * 37 % 101 - 50) / 7.0, g % 4, g * 1e28, DATE '1994-01-01' + g, TIMESTAMP '1994-01-01' + g * interval '13 h',
             (ARRAY['ab', 'Ab', 'a-b', 'ä ', '', NULL])[g % 6 + 1], (ARRAY['B', 'a', 'b', 'A', 'ab', NULL])[g % 6 + 1],
             (ARRAY['ab', 'Ab', 'a-b', 'ä ', '', NULL])[g % 6 + 1], (ARRAY['B', 'a', 'b', 'A', 'ab', NULL])[g % 6 + 1]
             FROM generate_series(1, 120) g;
         UPDATE t SET d = '9999-12-31' WHERE id = 7; UPDATE t SET d = '-infinity' WHERE id = 8; UPDATE t SET d = 'infinity' WHERE id = 9;",
    );
    let gateway = Gateway::start([database.datasource("crm")]);
    let there = database.connect().await;
    for (sql, whole) in [
        // Quotients.
        ("SELECT id, m / 7, m / -3.00, 100.00 * m / 8.125 FROM crm.t ORDER BY id", true),
        ("SELECT z, sum(m) / sum(z + 1), sum(m * z) / count(*) FROM crm.t GROUP BY z ORDER BY z", true),
        ("SELECT id, w / 3.0 FROM crm.t WHERE id < 3 ORDER BY id", true),
        ("SELECT id FROM crm.t WHERE m / 3.0 > 1.1666 ORDER BY id", true),
        ("SELECT id, m / z FROM crm.t WHERE z <> 0 ORDER BY id", true),
        ("SELECT z, sum(m) FROM crm.t GROUP BY z HAVING sum(m) / sum(z + 1) > 0 ORDER BY z", false),
        // Values of subqueries.
        ("SELECT id FROM crm.t WHERE m > (SELECT avg(m) FROM crm.t WHERE z = 1) ORDER BY id", true),
        ("SELECT id, m - (SELECT min(m) FROM crm.t) FROM crm.t ORDER BY id", true),
        ("SELECT id FROM crm.t WHERE m > (SELECT avg(m) FROM crm.t WHERE z = 17) ORDER BY id", true),
        ("SELECT id FROM crm.t WHERE d = (SELECT d FROM crm.t ORDER BY id DESC LIMIT 1)", true),
        ("SELECT z, sum(m) AS s FROM crm.t GROUP BY z HAVING sum(m) > (SELECT sum(m) * 0.25 FROM crm.t) ORDER BY s", true),
        ("SELECT id FROM crm.t WHERE w > (SELECT sum(w) * 0.0100 FROM crm.t WHERE id < 90) ORDER BY id", true),
        ("SELECT id FROM crm.t WHERE v = (SELECT max(v) FROM crm.t) ORDER BY id", false),
        ("SELECT id FROM crm.t WHERE m = (SELECT m FROM crm.t WHERE id = 5) ORDER BY id", false),
        // Texts made of a column, in the order of bytes and in that of a language.
        ("SELECT substring(c FROM 1 FOR 2) AS s, count(*) FROM crm.t GROUP BY 1 ORDER BY 1", true),
        ("SELECT id, length(c), length(e), substr(e, 2) FROM crm.t ORDER BY substr(v, 1, 1), id", true),
        ("SELECT id FROM crm.t WHERE substr(c, 2) IN ('b', '', '-b') AND substr(v, 1, 1) > 'A' ORDER BY id", true),
        ("SELECT min(substr(v, 1, 1)), max(substr(c, 1, 2)) FROM crm.t", true),
        ("SELECT id FROM crm.t WHERE substr(e, 1, 1) = 'A' OR substr(f, 1) <> 'a' ORDER BY id", true),
        ("SELECT substr(e, 1, 1), count(*) AS n FROM crm.t GROUP BY 1 ORDER BY n, 1", false),
        ("SELECT id FROM crm.t WHERE substr(f, 1, 1) > 'a' ORDER BY id", false),
        ("SELECT count(*) FROM crm.t a JOIN crm.t b ON substr(a.f, 1) = substr(b.v, 1)", false),
        ("SELECT count(*) FROM crm.t a JOIN crm.t b ON substr(a.c, 1, 1) = substr(b.v, 1, 1)", true),
        // Dates beside moments, dates among them that are no timestamps of nanoseconds.
        ("SELECT id FROM crm.t WHERE d < date '1994-01-15' + interval '1 month' ORDER BY id", true),
        ("SELECT id FROM crm.t WHERE d >= timestamp '1994-02-01 00:00:00.5' AND d <> timestamp '1994-03-01' ORDER BY id", true),
        (
            "SELECT id FROM crm.t WHERE d BETWEEN date '1994-02-01' - interval '1 h' AND date '1994-02-03' + interval '1 h' ORDER BY id",
            true,
        ),
        ("SELECT id FROM crm.t WHERE CASE WHEN id <> 8 AND id <> 9 THEN d END < at ORDER BY id", true),
    ] {
        let (on, off) = (outcome(&gateway, "on", sql).await, outcome(&gateway, "off", sql).await);
        assert!(off.is_ok(), "{sql}: {off:?}");
        assert_eq!(on, off, "{sql}");
        assert_eq!(is_whole(&gateway, sql).await, whole, "{sql}");
        // Quotients have more decimals there, and texts another order, or none in common.
        if ![" / ", "avg", "(e", "(f", "(a.f"].iter().any(|other| sql.contains(other)) {
            let there = text_rows(&there, &sql.replace("crm.t", "t")).await.unwrap();
            assert_eq!(on.unwrap(), there, "{sql}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb_computes_the_values_of_subqueries() {
    let Some(server) = MariaDbServer::shared() else { return };
    let database = server.database("subqueries");
    database.script(
        "CREATE TABLE t (id int PRIMARY KEY, m decimal(15,2), n bigint, d date, v varchar(9) COLLATE utf8mb4_nopad_bin);
         INSERT INTO t SELECT seq, (CAST(seq * 37 % 101 AS SIGNED) - 50) / 4, seq * 1000000007 % 97, DATE'1994-01-01' + INTERVAL seq % 50 DAY,
             ELT(seq % 4 + 1, 'B', 'a', 'b') FROM seq_1_to_120;",
    );
    let gateway = Gateway::start([database.datasource("shop")]);
    for (sql, whole) in [
        ("SELECT id FROM shop.t WHERE m > (SELECT max(m) FROM shop.t WHERE id < 20) ORDER BY id", true),
        ("SELECT id FROM shop.t WHERE n = (SELECT min(n) FROM shop.t) OR d = (SELECT max(d) FROM shop.t) ORDER BY id", true),
        ("SELECT id FROM shop.t WHERE m < (SELECT sum(m) FROM shop.t WHERE id > 999) ORDER BY id", true),
        ("SELECT n, sum(m) FROM shop.t GROUP BY n HAVING sum(m) > (SELECT max(m) FROM shop.t) ORDER BY n", true),
        ("SELECT id FROM shop.t WHERE n > (SELECT n FROM shop.t ORDER BY id LIMIT 1) ORDER BY id", true),
        ("SELECT id FROM shop.t WHERE v = (SELECT max(v) FROM shop.t) ORDER BY id", false),
        ("SELECT id FROM shop.t WHERE n > (SELECT n FROM shop.t WHERE id = 3) ORDER BY id", false),
    ] {
        let (on, off) = (outcome(&gateway, "on", sql).await, outcome(&gateway, "off", sql).await);
        assert!(off.is_ok(), "{sql}: {off:?}");
        assert_eq!(on, off, "{sql}");
        assert_eq!(is_whole(&gateway, sql).await, whole, "{sql}");
    }
}

/// Tables may be called as the aliases that a statement for their source gives to other ones.
#[tokio::test(flavor = "multi_thread")]
async fn tables_called_like_aliases_are_themselves() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("desk.db");
    let script = |table: &dyn Fn(&str) -> String| -> String {
        let rows = [("t0", "(1, 10), (2, 20)"), ("t1", "(2, 200), (3, 300)"), ("t2", "(1, 7), (2, 8), (3, 9)"), ("t3", "(2, 5)")];
        rows.map(|(name, rows)| format!("{};\nINSERT INTO {} VALUES {rows};\n", table(name), name)).concat()
    };
    let plain = script(&|name| format!("CREATE TABLE {name} (id int, v int)"));
    write_sqlite(&path, &plain);
    let mut datasources = vec![Datasource::sqlite("desk", &path)];
    let mut names = vec!["desk"];
    if let Some(server) = PostgresServer::shared() {
        let database = server.database("like_aliases");
        database.script(&plain);
        datasources.push(database.datasource("crm"));
        names.push("crm");
    }
    if let Some(server) = MariaDbServer::shared() {
        let database = server.database("like_aliases");
        database.script(&plain);
        datasources.push(database.datasource("shop"));
        names.push("shop");
    }
    if let Some(server) = ClickHouseServer::shared() {
        let database = server.database("like_aliases");
        let engine = "(id Int32, v Int32) ENGINE = MergeTree ORDER BY id";
        let table = |name: &str| format!("CREATE TABLE IN_HERE.{name} {engine}");
        database.script(&script(&table).replace("INSERT INTO ", "INSERT INTO IN_HERE."));
        datasources.push(database.datasource("log"));
        names.push("log");
    }
    let gateway = Gateway::start(datasources);
    for (sql, wanted) in [
        ("SELECT a.v, b.v FROM S.t1 a JOIN S.t0 b ON a.id = b.id", vec![["200", "20"]]),
        ("SELECT t1.v, t0.v FROM S.t1 JOIN S.t0 ON t1.id = t0.id", vec![["200", "20"]]),
        ("SELECT count(*), sum(c.v + a.v) FROM S.t2 c JOIN S.t1 a ON c.id = a.id", vec![["2", "517"]]),
        ("SELECT d.v, c.v FROM S.t3 d JOIN S.t2 c ON c.id = d.id JOIN S.t0 a ON a.id = c.id JOIN S.t1 b ON b.id = a.id", vec![["5", "8"]]),
        ("SELECT a.id, b.v FROM S.t1 a LEFT JOIN S.t0 b ON a.id = b.id WHERE a.v > 200", vec![["3", "-"]]),
        ("SELECT x.n, t0.v FROM (SELECT id, count(*) AS n FROM S.t1 GROUP BY id) x JOIN S.t0 ON t0.id = x.id", vec![["1", "20"]]),
    ] {
        for name in &names {
            let sql = sql.replace("S.", &format!("{name}."));
            for push_down in ["on", "off"] {
                let rows = outcome(&gateway, push_down, &sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                let rows: Vec<Vec<String>> =
                    rows.into_iter().map(|row| row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned())).collect()).collect();
                assert_eq!(rows, wanted, "{push_down}: {sql}");
            }
        }
    }
}

/// A join that gives many more rows than it reads is fetched as what it reads, unless something above it makes fewer rows of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_that_explodes_is_computed_here() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("exploding");
    database.script(
        "CREATE TABLE a AS SELECT n AS id, n % 5 AS kind FROM generate_series(1, 3000) n; CREATE TABLE b AS TABLE a;
         CREATE TABLE key AS TABLE a; ALTER TABLE key ADD PRIMARY KEY (id); ANALYZE",
    );
    let gateway = Gateway::start([database.datasource("pg")]);
    for (sql, statements) in [
        ("SELECT a.id, b.id FROM pg.a JOIN pg.b ON a.kind = b.kind", 2),
        ("SELECT a.id, b.id FROM pg.a LEFT JOIN pg.b ON a.kind = b.kind WHERE a.id <> 7", 2),
        // A condition that the source does not check lets all of it come back, whatever is made of it here.
        ("SELECT a.id, b.id FROM pg.a JOIN pg.b ON a.kind = b.kind AND a.id::float8 < b.id::float8", 2),
        ("SELECT a.kind, count(*) FROM pg.a JOIN pg.b ON a.kind = b.kind AND a.id::float8 < b.id::float8 GROUP BY a.kind", 2),
        // Of what it is made there, only a few rows come back.
        ("SELECT a.kind, count(*) FROM pg.a JOIN pg.b ON a.kind = b.kind GROUP BY a.kind", 1),
        ("SELECT a.id, b.id FROM pg.a JOIN pg.b ON a.kind = b.kind ORDER BY a.id, b.id LIMIT 20", 1),
        ("SELECT a.id, key.kind FROM pg.a JOIN pg.key ON key.id = a.id", 1),
        ("SELECT a.id, b.id FROM pg.a JOIN pg.b ON a.id = b.id", 1),
        // The one that is kept is so above what is not.
        (
            "SELECT s.n, b.id FROM (SELECT a.kind, count(*) AS n FROM pg.a JOIN pg.b ON a.kind = b.kind GROUP BY a.kind) s JOIN pg.b ON b.kind = s.kind",
            1,
        ),
    ] {
        let plan: Vec<_> = outcome(&gateway, "on", &format!("EXPLAIN {sql}")).await.unwrap().into_iter().flatten().flatten().collect();
        let sent = plan.iter().filter(|line| line.contains(" pg: SELECT")).count();
        assert_eq!(sent, statements, "{sql}\n{}", plan.join("\n"));
        let counted = format!("SELECT count(*), sum(x) FROM ({}) s(x, y)", sql.replace("LIMIT 20", "LIMIT 1"));
        assert_eq!(outcome(&gateway, "on", &counted).await, outcome(&gateway, "off", &counted).await, "{sql}");
    }
}
