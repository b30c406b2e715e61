//! The 22 queries of TPC-H: the same rows wherever the tables are, and what a PostgreSQL that has them all is asked.

use std::fmt::Write as _;

use causeway_tests::{
    Datasource, FixedWidth, Gateway, MariaDbServer, Order, PostgresDatabase, PostgresServer, Row, Tpch, compare_rows, text_rows,
};
use tempfile::TempDir;
use tokio_postgres::Client;

/// The smallest scale at which each query finds something.
const SCALE: f64 = 0.01;

/// Another scale to compare rows at.
const OTHER_SCALE: &str = "CAUSEWAY_TPCH_SCALE";

/// What PostgreSQL is asked: for each query the statements as they are `sent`, and what is `kept` here and why. Below `in English` the
/// same where texts are in the order of a language, if that makes a difference.
const STATEMENTS: &str = include_str!("sql/tpch/remote_statements.txt");

/// Set to anything, it has the test write that file instead of reading it.
const REWRITE: &str = "CAUSEWAY_TEST_REWRITE";

/// The locale in which text sorts and compares as it does here.
const BY_BYTES: &str = "LOCALE 'C' ENCODING 'UTF8'";

/// A locale of people.
const ENGLISH: &str = "LOCALE 'C.UTF-8' ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'";

/// Where the tables are: one gateway has all layouts, and a session chooses one by its search path.
const LAYOUTS: [(&str, &str); 5] = [
    ("all in PostgreSQL", "crm"),
    ("all in PostgreSQL, in English", "english"),
    ("all in MariaDB", "shop"),
    ("split", "crm_one, shop_one, lake_one"),
    ("split the other way round", "crm_other, shop_other, lake_other"),
];

/// How tables are split over PostgreSQL, MariaDB and Parquet, and the other way round.
const SPLITS: [(&str, [&[&str]; 3]); 2] = [
    ("one", [&["customer", "orders", "nation"], &["lineitem", "supplier"], &["part", "partsupp", "region"]]),
    ("other", [&["lineitem", "supplier", "region"], &["part", "partsupp", "nation"], &["customer", "orders"]]),
];

struct Layouts {
    gateway: Gateway,
    reference: PostgresDatabase,
    _files: TempDir,
}

impl Layouts {
    fn start() -> Option<Self> {
        let (postgres, mariadb) = (PostgresServer::shared()?, MariaDbServer::shared()?);
        let other = std::env::var(OTHER_SCALE).ok();
        let data = Tpch::new(other.map_or(SCALE, |scale| scale.parse().unwrap_or_else(|_| panic!("{OTHER_SCALE} is a number"))));
        let reference = postgres.database_in("tpch_reference", BY_BYTES);
        data.load_postgres(&reference, &Tpch::TABLES, FixedWidth::Varchar);
        let mut datasources = Vec::from(whole("tpch", postgres, data));
        let my = mariadb.database("tpch");
        data.load_mariadb(&my, &Tpch::TABLES);
        datasources.push(my.datasource("shop"));
        let files = tempfile::tempdir().unwrap();
        for (name, [in_postgres, in_mariadb, in_files]) in SPLITS {
            let pg = postgres.database_in(&format!("tpch_{name}"), BY_BYTES);
            data.load_postgres(&pg, in_postgres, FixedWidth::Char);
            let my = mariadb.database(&format!("tpch_{name}"));
            data.load_mariadb(&my, in_mariadb);
            let lake = files.path().join(name);
            std::fs::create_dir(&lake).unwrap();
            data.write_parquet(&lake, in_files);
            datasources.push(pg.datasource(&format!("crm_{name}")));
            datasources.push(my.datasource(&format!("shop_{name}")));
            datasources.push(Datasource::files(&format!("lake_{name}"), &lake));
        }
        Some(Self { gateway: Gateway::start(datasources), reference, _files: files })
    }
}

/// One PostgreSQL with all tables in two locales: `crm` and `english`.
fn whole(name: &str, server: &PostgresServer, data: Tpch) -> [Datasource; 2] {
    [("crm", BY_BYTES), ("english", ENGLISH)].map(|(datasource, locale)| {
        let database = server.database_in(&format!("{name}_{datasource}"), locale);
        data.load_postgres(&database, &Tpch::TABLES, FixedWidth::Char);
        database.datasource(datasource)
    })
}

async fn set(client: &Client, setting: &str, value: &str) {
    client.batch_execute(&format!("SET {setting} = {value}")).await.unwrap();
}

/// The columns that are quotients, of which PostgreSQL gives more decimals: see `docs/postgres-differences.md`.
fn quotients(number: u32) -> &'static [usize] {
    match number {
        1 => &[6, 7, 8],
        8 => &[1],
        14 | 17 => &[0],
        _ => &[],
    }
}

/// What PostgreSQL gives, with no more decimals of quotients than we give. The rest is cut off here, not rounded.
fn as_precise(mut expected: Vec<Row>, ours: &[Row], number: u32) -> Vec<Row> {
    let decimals = |text: &str| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    for (expected, ours) in expected.iter_mut().zip(ours) {
        for column in quotients(number) {
            if let (Some(value), Some(ours)) = (&mut expected[*column], &ours[*column]) {
                let (all, kept) = (decimals(value), decimals(ours));
                assert!(kept >= 6, "Q{number} gives {ours} for {value}");
                value.truncate(value.len() - all.saturating_sub(kept));
            }
        }
    }
    expected
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_wherever_the_tables_are() {
    let Some(layouts) = Layouts::start() else { return };
    let reference = layouts.reference.connect().await;
    let ours = layouts.gateway.connect().await;
    let mut wrong = Vec::new();
    for (number, sql) in Tpch::QUERIES {
        let expected = text_rows(&reference, sql).await.unwrap();
        let something = |value: &str| value.parse::<f64>().map_or(!value.is_empty(), |number| number != 0.0);
        if !expected.iter().flatten().any(|value| value.as_deref().is_some_and(something)) {
            wrong.push(format!("Q{number} finds nothing to compare"));
        }
        for (layout, schemas) in LAYOUTS {
            set(&ours, "search_path", schemas).await;
            for push_down in ["on", "off"] {
                set(&ours, "causeway.push_down", push_down).await;
                let difference = match text_rows(&ours, sql).await {
                    Ok(rows) => compare_rows(&as_precise(expected.clone(), &rows, number), &rows, Order::Given).err(),
                    Err(error) => Some(format!("{error:?}")),
                };
                if let Some(difference) = difference {
                    wrong.push(format!("Q{number}, {layout}, push-down {push_down}: {difference}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What `EXPLAIN` says of a query: a line for each remote statement, and for each piece of work that is not part of one.
async fn explained(client: &Client, sql: &str) -> Vec<String> {
    let rows = text_rows(client, &format!("EXPLAIN {sql}")).await.unwrap();
    let (mut lines, mut heading) = (Vec::new(), String::new());
    for line in rows.into_iter().flatten().flatten() {
        match (heading.as_str(), line.strip_prefix("  ")) {
            ("Remote statements", Some(sent)) => {
                let (_, statement) = sent.split_once(": ").unwrap();
                lines.push(format!("sent {statement}"));
            }
            ("Computed here", Some(kept)) => {
                let (work, reason) = kept.split_once(": ").unwrap();
                let (work, _) = work.split_once(" on ").unwrap();
                lines.push(format!("kept {work}: {reason}"));
            }
            _ => heading = line,
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn one_postgres_is_asked_as_written_down() {
    let Some(server) = PostgresServer::shared() else { return };
    let gateway = Gateway::start(whole("tpch_statements", server, Tpch::new(SCALE)));
    let ours = gateway.connect().await;
    let mut seen = String::new();
    let mut whole = 0;
    for (number, sql) in Tpch::QUERIES {
        set(&ours, "search_path", "crm").await;
        let by_bytes = explained(&ours, sql).await;
        set(&ours, "search_path", "english").await;
        let english = explained(&ours, sql).await;
        let _ = writeln!(seen, "{}Q{number}", if seen.is_empty() { "" } else { "\n" });
        let _ = writeln!(seen, "{}", by_bytes.join("\n"));
        if english != by_bytes {
            let _ = writeln!(seen, "in English\n{}", english.join("\n"));
        }
        whole += usize::from(matches!(by_bytes.as_slice(), [only] if only.starts_with("sent ")));
    }
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/sql/tpch/remote_statements.txt"), &seen).unwrap();
        return;
    }
    for (at, (seen, written)) in seen.lines().zip(STATEMENTS.lines()).enumerate() {
        assert_eq!(seen, written, "line {} of sql/tpch/remote_statements.txt; {REWRITE}=1 writes it anew", at + 1);
    }
    assert_eq!(seen.lines().count(), STATEMENTS.lines().count());
    assert_eq!(whole, Tpch::QUERIES.len(), "each query is one statement");
}
