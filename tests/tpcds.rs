//! The 99 queries of TPC-DS: the same rows from three sources as from a PostgreSQL that has all tables.

use std::thread;

use causeway_tests::{
    Datasource, FixedWidth, Gateway, MariaDbServer, Order, PostgresDatabase, PostgresServer, Row, Tpcds, as_precise, compare_rows,
    text_rows,
};
use futures::future::join_all;
use tempfile::TempDir;
use tokio_postgres::Client;

/// The locale in which text sorts and compares as it does here.
const BY_BYTES: &str = "LOCALE 'C' ENCODING 'UTF8'";

/// The queries, each with its number. Where the parameters that TPC-DS validates by find nothing at this scale, others do.
const QUERIES: [(u32, &str); 99] = [
    (1, include_str!("sql/tpcds/q01.sql")),
    (2, include_str!("sql/tpcds/q02.sql")),
    (3, include_str!("sql/tpcds/q03.sql")),
    (4, include_str!("sql/tpcds/q04.sql")),
    (5, include_str!("sql/tpcds/q05.sql")),
    (6, include_str!("sql/tpcds/q06.sql")),
    (7, include_str!("sql/tpcds/q07.sql")),
    (8, include_str!("sql/tpcds/q08.sql")),
    (9, include_str!("sql/tpcds/q09.sql")),
    (10, include_str!("sql/tpcds/q10.sql")),
    (11, include_str!("sql/tpcds/q11.sql")),
    (12, include_str!("sql/tpcds/q12.sql")),
    (13, include_str!("sql/tpcds/q13.sql")),
    (14, include_str!("sql/tpcds/q14.sql")),
    (15, include_str!("sql/tpcds/q15.sql")),
    (16, include_str!("sql/tpcds/q16.sql")),
    (17, include_str!("sql/tpcds/q17.sql")),
    (18, include_str!("sql/tpcds/q18.sql")),
    (19, include_str!("sql/tpcds/q19.sql")),
    (20, include_str!("sql/tpcds/q20.sql")),
    (21, include_str!("sql/tpcds/q21.sql")),
    (22, include_str!("sql/tpcds/q22.sql")),
    (23, include_str!("sql/tpcds/q23.sql")),
    (24, include_str!("sql/tpcds/q24.sql")),
    (25, include_str!("sql/tpcds/q25.sql")),
    (26, include_str!("sql/tpcds/q26.sql")),
    (27, include_str!("sql/tpcds/q27.sql")),
    (28, include_str!("sql/tpcds/q28.sql")),
    (29, include_str!("sql/tpcds/q29.sql")),
    (30, include_str!("sql/tpcds/q30.sql")),
    (31, include_str!("sql/tpcds/q31.sql")),
    (32, include_str!("sql/tpcds/q32.sql")),
    (33, include_str!("sql/tpcds/q33.sql")),
    (34, include_str!("sql/tpcds/q34.sql")),
    (35, include_str!("sql/tpcds/q35.sql")),
    (36, include_str!("sql/tpcds/q36.sql")),
    (37, include_str!("sql/tpcds/q37.sql")),
    (38, include_str!("sql/tpcds/q38.sql")),
    (39, include_str!("sql/tpcds/q39.sql")),
    (40, include_str!("sql/tpcds/q40.sql")),
    (41, include_str!("sql/tpcds/q41.sql")),
    (42, include_str!("sql/tpcds/q42.sql")),
    (43, include_str!("sql/tpcds/q43.sql")),
    (44, include_str!("sql/tpcds/q44.sql")),
    (45, include_str!("sql/tpcds/q45.sql")),
    (46, include_str!("sql/tpcds/q46.sql")),
    (47, include_str!("sql/tpcds/q47.sql")),
    (48, include_str!("sql/tpcds/q48.sql")),
    (49, include_str!("sql/tpcds/q49.sql")),
    (50, include_str!("sql/tpcds/q50.sql")),
    (51, include_str!("sql/tpcds/q51.sql")),
    (52, include_str!("sql/tpcds/q52.sql")),
    (53, include_str!("sql/tpcds/q53.sql")),
    (54, include_str!("sql/tpcds/q54.sql")),
    (55, include_str!("sql/tpcds/q55.sql")),
    (56, include_str!("sql/tpcds/q56.sql")),
    (57, include_str!("sql/tpcds/q57.sql")),
    (58, include_str!("sql/tpcds/q58.sql")),
    (59, include_str!("sql/tpcds/q59.sql")),
    (60, include_str!("sql/tpcds/q60.sql")),
    (61, include_str!("sql/tpcds/q61.sql")),
    (62, include_str!("sql/tpcds/q62.sql")),
    (63, include_str!("sql/tpcds/q63.sql")),
    (64, include_str!("sql/tpcds/q64.sql")),
    (65, include_str!("sql/tpcds/q65.sql")),
    (66, include_str!("sql/tpcds/q66.sql")),
    (67, include_str!("sql/tpcds/q67.sql")),
    (68, include_str!("sql/tpcds/q68.sql")),
    (69, include_str!("sql/tpcds/q69.sql")),
    (70, include_str!("sql/tpcds/q70.sql")),
    (71, include_str!("sql/tpcds/q71.sql")),
    (72, include_str!("sql/tpcds/q72.sql")),
    (73, include_str!("sql/tpcds/q73.sql")),
    (74, include_str!("sql/tpcds/q74.sql")),
    (75, include_str!("sql/tpcds/q75.sql")),
    (76, include_str!("sql/tpcds/q76.sql")),
    (77, include_str!("sql/tpcds/q77.sql")),
    (78, include_str!("sql/tpcds/q78.sql")),
    (79, include_str!("sql/tpcds/q79.sql")),
    (80, include_str!("sql/tpcds/q80.sql")),
    (81, include_str!("sql/tpcds/q81.sql")),
    (82, include_str!("sql/tpcds/q82.sql")),
    (83, include_str!("sql/tpcds/q83.sql")),
    (84, include_str!("sql/tpcds/q84.sql")),
    (85, include_str!("sql/tpcds/q85.sql")),
    (86, include_str!("sql/tpcds/q86.sql")),
    (87, include_str!("sql/tpcds/q87.sql")),
    (88, include_str!("sql/tpcds/q88.sql")),
    (89, include_str!("sql/tpcds/q89.sql")),
    (90, include_str!("sql/tpcds/q90.sql")),
    (91, include_str!("sql/tpcds/q91.sql")),
    (92, include_str!("sql/tpcds/q92.sql")),
    (93, include_str!("sql/tpcds/q93.sql")),
    (94, include_str!("sql/tpcds/q94.sql")),
    (95, include_str!("sql/tpcds/q95.sql")),
    (96, include_str!("sql/tpcds/q96.sql")),
    (97, include_str!("sql/tpcds/q97.sql")),
    (98, include_str!("sql/tpcds/q98.sql")),
    (99, include_str!("sql/tpcds/q99.sql")),
];

/// Queries that find nothing at this scale: no customer lives where a store is (24, 54), and nothing is so common that
/// it happens in all channels at once (31, 38, 83).
const FIND_NOTHING: [u32; 5] = [24, 31, 38, 54, 83];

/// Where the tables are: a session chooses a layout by its search path, in which files come last and have them all.
const LAYOUTS: [(&str, &str); 3] =
    [("files alone", "lake"), ("split", "crm_one, shop_one, lake"), ("split the other way round", "crm_other, shop_other, lake")];

/// What PostgreSQL and MariaDB have; the rest is read from files.
const SPLITS: [(&str, [&[&str]; 2]); 2] = [
    (
        "one",
        [
            &["store_sales", "store_returns", "date_dim", "time_dim", "store", "promotion", "household_demographics"],
            &["item", "customer", "customer_address", "customer_demographics", "warehouse", "reason", "inventory", "income_band"],
        ],
    ),
    (
        "other",
        [
            &["item", "customer", "customer_address", "customer_demographics", "web_sales", "web_returns", "web_site", "web_page"],
            &["date_dim", "catalog_sales", "catalog_returns", "call_center", "catalog_page", "ship_mode", "store", "promotion"],
        ],
    ),
];

struct Layouts {
    gateway: Gateway,
    reference: PostgresDatabase,
    _files: TempDir,
}

impl Layouts {
    fn start() -> Option<Self> {
        let (postgres, mariadb) = (PostgresServer::shared()?, MariaDbServer::shared()?);
        let data = Tpcds::generate();
        let reference = postgres.database_in("tpcds_reference", BY_BYTES);
        let files = tempfile::tempdir().unwrap();
        let splits = SPLITS.map(|(name, tables)| {
            let pg = postgres.database_in(&format!("tpcds_{name}"), BY_BYTES);
            (name, pg, mariadb.database(&format!("tpcds_{name}")), tables)
        });
        thread::scope(|scope| {
            scope.spawn(|| data.load_postgres(&reference, &data.names(), FixedWidth::Varchar));
            scope.spawn(|| data.write_parquet(files.path()));
            for (_, pg, my, [in_postgres, in_mariadb]) in &splits {
                scope.spawn(|| data.load_postgres(pg, in_postgres, FixedWidth::Char));
                scope.spawn(|| data.load_mariadb(my, in_mariadb));
            }
        });
        let mut datasources = vec![Datasource::files("lake", files.path())];
        for (name, pg, my, _) in splits {
            datasources.push(pg.datasource(&format!("crm_{name}")));
            datasources.push(my.datasource(&format!("shop_{name}")));
        }
        Some(Self { gateway: Gateway::start(datasources), reference, _files: files })
    }
}

async fn set(client: &Client, setting: &str, value: &str) {
    client.batch_execute(&format!("SET {setting} = {value}")).await.unwrap();
}

fn finds_something(rows: &[Row]) -> bool {
    let something = |value: &str| value.parse::<f64>().map_or(!value.is_empty(), |number| number != 0.0);
    rows.iter().flatten().any(|value| value.as_deref().is_some_and(something))
}

/// Queries that go on computing with quotients, of which we have six decimals or eight: their columns, and how far off they may be.
const ROUGH: [(u32, &[usize], f64); 3] =
    [(58, &[2, 4, 6], 1e-4), (61, &[2], 1e-6), (66, &[20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31], 1e-5)];

/// Takes our values for right that are off by no more than [`ROUGH`] allows.
fn near(number: u32, mut expected: Vec<Row>, ours: &[Row]) -> Vec<Row> {
    let Some((_, columns, most)) = ROUGH.iter().find(|(query, ..)| *query == number) else { return expected };
    for (expected, ours) in expected.iter_mut().zip(ours) {
        for column in *columns {
            let [left, right] =
                [&expected[*column], &ours[*column]].map(|value| value.as_deref().and_then(|text| text.parse::<f64>().ok()));
            if left.zip(right).is_some_and(|(left, right)| (left - right).abs() <= *most) {
                expected[*column].clone_from(&ours[*column]);
            }
        }
    }
    expected
}

/// What is wrong with a query in one layout.
async fn difference(client: &Client, schemas: &str, (number, sql): (u32, &str), expected: &[Row]) -> Option<String> {
    set(client, "search_path", schemas).await;
    match text_rows(client, sql).await {
        Ok(rows) => compare_rows(&near(number, as_precise(expected, &rows), &rows), &rows, Order::Given).err(),
        Err(error) => Some(format!("{error:?}")),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_wherever_the_tables_are() {
    let Some(layouts) = tokio::task::block_in_place(Layouts::start) else { return };
    let reference = layouts.reference.connect().await;
    let ours = [layouts.gateway.connect().await, layouts.gateway.connect().await, layouts.gateway.connect().await];
    for client in &ours {
        // Minutes more than any takes, and less than a plan that multiplies tables.
        set(client, "statement_timeout", "'5min'").await;
    }
    let mut wrong = Vec::new();
    for (number, sql) in QUERIES {
        let expected = text_rows(&reference, sql).await.unwrap();
        if finds_something(&expected) == FIND_NOTHING.contains(&number) {
            wrong.push(format!("Q{number} finds {} rows", expected.len()));
        }
        let answers = LAYOUTS.iter().zip(&ours).map(|((_, schemas), client)| difference(client, schemas, (number, sql), &expected));
        let differences = join_all(answers).await;
        let differences = LAYOUTS.iter().zip(differences).filter_map(|((layout, _), difference)| Some((layout, difference?)));
        wrong.extend(differences.map(|(layout, difference)| format!("Q{number}, {layout}: {difference}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
