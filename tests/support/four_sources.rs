//! One small business over four sources, and the same tables in one PostgreSQL that serves as the reference.
//!
//! The datasources are called as the reference's schemas, so one statement text runs on both. Texts are chosen to show
//! collations, quoting and padding; the reference compares them by code point, as the gateway promises to.

use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use crate::gateway::{Datasource, Gateway};
use crate::mariadb::MariaDbServer;
use crate::postgres::{PostgresDatabase, PostgresServer};
use crate::sqlite::write_sqlite;

const CUSTOMERS: i64 = 120;
const ORDERS: i64 = 500;
const NOTES: i64 = 200;
const ITEMS: i64 = 1_500;

/// Names that collations, escapes and paddings disagree about.
const NAMES: [&str; 14] = [
    "Anna",
    "anna",
    "ANNA",
    "Ánna",
    "O'Neil",
    "back\\slash",
    "per%cent",
    "under_score",
    "trailing ",
    "trailing",
    "東京",
    "née",
    "Zoë 🦀",
    "",
];
const CITIES: [&str; 7] = ["Lisbon", "lisbon", "São Paulo", "Oslo", "Zürich", "5-", "5."];
const STATES: [&str; 6] = ["open", "Open", "OPEN", "open ", "paid", "öpen"];

/// A gateway over PostgreSQL (`crm`), MariaDB (`shop`), SQLite (`desk`) and Parquet (`lake`), with its reference.
#[derive(Debug)]
pub struct FourSources {
    /// The gateway over the four.
    pub gateway: Gateway,
    /// One PostgreSQL database that holds all tables in schemas of the datasources' names.
    pub reference: PostgresDatabase,
    _files: TempDir,
}

impl FourSources {
    /// Makes the data and starts the gateway; `name` is that of the databases. `None` when a server is not installed: the test is skipped.
    ///
    /// # Panics
    /// When something does not start or load.
    pub fn start(name: &str) -> Option<Self> {
        let postgres = PostgresServer::shared()?;
        let mariadb = MariaDbServer::shared()?;
        let files = tempfile::Builder::new().prefix("causeway-files-").tempdir().expect("a temporary folder can be made");
        let tables = Tables::new();

        let crm = postgres.database(&format!("{name}_crm"));
        crm.script(&tables.script(Engine::PostgresSource, &["customers", "cities"]));
        let shop = mariadb.database(&format!("{name}_shop"));
        shop.script(&tables.script(Engine::MariaDb, &["orders", "payments"]));
        let desk = files.path().join("desk.db");
        write_sqlite(&desk, &tables.script(Engine::Sqlite, &["notes"]));
        let lake = files.path().join("lake");
        std::fs::create_dir(&lake).expect("a folder can be made in an own one");
        write_items(&lake.join("lineitems.parquet"));

        let reference = Self::reference(name)?;
        let gateway = Gateway::start([
            crm.datasource("crm"),
            shop.datasource("shop"),
            Datasource::sqlite("desk", &desk),
            Datasource::files("lake", &lake),
        ]);
        Some(Self { gateway, reference, _files: files })
    }

    /// The reference alone. `None` when PostgreSQL is not installed: the test is skipped.
    ///
    /// # Panics
    /// When it does not load.
    pub fn reference(name: &str) -> Option<PostgresDatabase> {
        let reference = PostgresServer::shared()?.database(&format!("{name}_reference"));
        reference.script(&Tables::new().script(Engine::Reference, &["customers", "cities", "orders", "payments", "notes", "lineitems"]));
        Some(reference)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Engine {
    PostgresSource,
    MariaDb,
    Sqlite,
    Reference,
}

struct Table {
    name: &'static str,
    schema: &'static str,
    source: &'static str,
    reference: &'static str,
    rows: Vec<String>,
}

struct Tables(Vec<Table>);

impl Tables {
    fn new() -> Self {
        Self(vec![
            Table {
                name: "customers",
                schema: "crm",
                source: "id int PRIMARY KEY, name text NOT NULL, city text COLLATE \"en-US-x-icu\", segment varchar(20), \
                         balance numeric(12,2), score double precision, vip boolean, joined date, seen timestamp",
                reference: "id int PRIMARY KEY, name text NOT NULL, city text, segment varchar(20), \
                            balance numeric(12,2), score double precision, vip boolean, joined date, seen timestamp",
                rows: (1..=CUSTOMERS).map(customer).collect(),
            },
            Table {
                name: "cities",
                schema: "crm",
                source: "city text COLLATE \"en-US-x-icu\" PRIMARY KEY, country varchar(2), population bigint",
                reference: "city text PRIMARY KEY, country varchar(2), population bigint",
                rows: (0..).zip(CITIES).take(6).map(city).collect(),
            },
            Table {
                name: "orders",
                schema: "shop",
                source: "id bigint PRIMARY KEY, customer_id int, status varchar(20) COLLATE utf8mb4_general_ci, \
                         code varchar(20) COLLATE utf8mb4_nopad_bin NOT NULL, total decimal(12,2), weight double, \
                         units smallint, placed date, placed_at datetime(6)",
                reference: "id bigint PRIMARY KEY, customer_id int, status varchar(20), code varchar(20) NOT NULL, \
                            total numeric(12,2), weight double precision, units smallint, placed date, placed_at timestamp",
                rows: (1..=ORDERS).map(order).collect(),
            },
            Table {
                name: "payments",
                schema: "shop",
                source: "id int PRIMARY KEY, order_id bigint NOT NULL, amount decimal(10,2) NOT NULL, \
                         method varchar(10) COLLATE utf8mb4_bin",
                reference: "id int PRIMARY KEY, order_id bigint NOT NULL, amount numeric(10,2) NOT NULL, method varchar(10)",
                rows: (1..=ORDERS / 2).map(payment).collect(),
            },
            Table {
                name: "notes",
                schema: "desk",
                source: "id INTEGER PRIMARY KEY, order_id INTEGER, author TEXT COLLATE NOCASE, body TEXT, rating REAL, written DATE",
                reference: "id bigint PRIMARY KEY, order_id bigint, author text, body text, rating double precision, written date",
                rows: (1..=NOTES).map(note).collect(),
            },
            Table {
                name: "lineitems",
                schema: "lake",
                source: "",
                reference: "order_id bigint, line int, sku text, quantity bigint, price numeric(12,2), shipped date, returned boolean",
                rows: (0..ITEMS).map(|n| Item::new(n).sql()).collect(),
            },
        ])
    }

    fn script(&self, engine: Engine, names: &[&str]) -> String {
        let mut script = match engine {
            Engine::MariaDb => "SET NAMES utf8mb4, sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES';\n".to_owned(),
            Engine::Reference => "CREATE SCHEMA crm; CREATE SCHEMA shop; CREATE SCHEMA desk; CREATE SCHEMA lake;\n".to_owned(),
            Engine::PostgresSource | Engine::Sqlite => String::new(),
        };
        for table in self.0.iter().filter(|table| names.contains(&table.name)) {
            let (name, columns) = match engine {
                Engine::Reference => (format!("{}.{}", table.schema, table.name), table.reference),
                _ => (table.name.to_owned(), table.source),
            };
            let _ = writeln!(script, "CREATE TABLE {name} ({columns});\nINSERT INTO {name} VALUES\n{};", table.rows.join(",\n"));
        }
        script
    }
}

/// A number from 0 up to `below`, always the same one for the same `row` and `salt`.
fn pick(row: i64, salt: i64, below: i64) -> i64 {
    let seed = u64::from_ne_bytes((row * 1_000 + salt).to_ne_bytes());
    // The finisher of SplitMix64.
    let mixed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    i64::try_from((mixed ^ (mixed >> 31)) >> 1).expect("63 bits are not negative") % below
}

fn choose<'a>(row: i64, salt: i64, from: &[&'a str]) -> &'a str {
    let count = i64::try_from(from.len()).expect("the lists are short");
    from[usize::try_from(pick(row, salt, count)).expect("picks are not negative")]
}

fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// NULL for one row in `every`.
fn nullable(row: i64, salt: i64, every: i64, value: String) -> String {
    if pick(row, salt + 500, every) == 0 { "NULL".to_owned() } else { value }
}

fn cents(value: i64) -> String {
    format!("{}{}.{:02}", if value < 0 { "-" } else { "" }, value.abs() / 100, value.abs() % 100)
}

fn day(row: i64, salt: i64) -> String {
    format!("'{}-{:02}-{:02}'", 2019 + pick(row, salt, 6), 1 + pick(row, salt + 1, 12), 1 + pick(row, salt + 2, 28))
}

fn moment(row: i64, salt: i64) -> String {
    let (hour, minute, second) = (pick(row, salt + 3, 24), pick(row, salt + 4, 60), pick(row, salt + 5, 60));
    format!("{} {hour:02}:{minute:02}:{second:02}.{:06}'", day(row, salt).trim_end_matches('\''), pick(row, salt + 6, 1_000_000))
}

fn customer(id: i64) -> String {
    let score = match id {
        // A number as PostgreSQL has it and MariaDB does not, for the comparisons.
        7 | 77 => "'NaN'".to_owned(),
        8 => "'Infinity'".to_owned(),
        _ => format!("{}", f64::from(i32::try_from(pick(id, 5, 20_001) - 10_000).expect("a small number")) / 7.0),
    };
    let values = [
        id.to_string(),
        text(choose(id, 1, &NAMES)),
        nullable(id, 2, 8, text(choose(id, 2, &CITIES))),
        nullable(id, 3, 5, text(choose(id, 3, &["retail", "Retail", "wholesale", "public"]))),
        nullable(id, 4, 9, cents(pick(id, 4, 2_000_001) - 1_000_000)),
        nullable(id, 5, 7, score),
        nullable(id, 6, 6, (pick(id, 6, 2) == 0).to_string()),
        nullable(id, 7, 10, day(id, 10)),
        nullable(id, 8, 10, moment(id, 20)),
    ];
    format!("({})", values.join(", "))
}

fn city((index, name): (i64, &str)) -> String {
    let country = nullable(index, 30, 4, text(choose(index, 31, &["PT", "BR", "NO", "CH"])));
    format!("({}, {country}, {})", text(name), 10_000 + pick(index, 32, 20_000_000))
}

fn order(id: i64) -> String {
    let values = [
        (id * 3 + 9_000_000_000).to_string(),
        nullable(id, 40, 12, (1 + pick(id, 40, CUSTOMERS + 10)).to_string()),
        nullable(id, 41, 9, text(choose(id, 41, &STATES))),
        text(&format!("C{:03}", pick(id, 42, 300))),
        nullable(id, 43, 8, cents(pick(id, 43, 500_000) - 20_000)),
        nullable(id, 44, 8, format!("{}", f64::from(i32::try_from(pick(id, 44, 9_999)).expect("a small number")) / 8.0)),
        nullable(id, 45, 8, (pick(id, 45, 61) - 10).to_string()),
        nullable(id, 46, 10, day(id, 50)),
        nullable(id, 47, 10, moment(id, 60)),
    ];
    format!("({})", values.join(", "))
}

fn payment(id: i64) -> String {
    let order = (1 + pick(id, 70, ORDERS)) * 3 + 9_000_000_000;
    let method = nullable(id, 72, 6, text(choose(id, 72, &["card", "Card", "cash", "wire"])));
    format!("({id}, {order}, {}, {method})", cents(pick(id, 71, 90_000)))
}

fn note(id: i64) -> String {
    let values = [
        id.to_string(),
        nullable(id, 80, 9, ((1 + pick(id, 80, ORDERS + 20)) * 3 + 9_000_000_000).to_string()),
        nullable(id, 81, 9, text(choose(id, 81, &NAMES))),
        nullable(id, 82, 9, text(&format!("{} {}", choose(id, 82, &NAMES), pick(id, 83, 40)))),
        nullable(id, 84, 9, format!("{:.2}", f64::from(i32::try_from(pick(id, 84, 501)).expect("a small number")) / 100.0)),
        nullable(id, 85, 9, day(id, 86)),
    ];
    format!("({})", values.join(", "))
}

/// A row of the Parquet file, and of the reference's table.
struct Item {
    order_id: i64,
    line: i32,
    sku: Option<String>,
    quantity: Option<i64>,
    price_cents: Option<i128>,
    shipped_day: Option<i32>,
    returned: Option<bool>,
}

impl Item {
    fn new(n: i64) -> Self {
        let present = |salt| pick(n, salt, 10) != 0;
        let small = |salt, below| i32::try_from(pick(n, salt, below)).expect("a small number");
        Self {
            order_id: (1 + pick(n, 90, ORDERS + 30)) * 3 + 9_000_000_000,
            line: i32::try_from(n % 7).expect("a small number"),
            sku: present(91).then(|| format!("{}-{}", choose(n, 92, &["bolt", "Bolt", "nut", "cog ", "ñut"]), pick(n, 93, 30))),
            quantity: present(94).then(|| pick(n, 95, 100) - 5),
            price_cents: present(96).then(|| i128::from(pick(n, 97, 1_000_000))),
            shipped_day: present(98).then(|| 18_000 + small(99, 2_000)),
            returned: present(100).then(|| pick(n, 101, 2) == 0),
        }
    }

    fn sql(&self) -> String {
        let null = || "NULL".to_owned();
        let price = self.price_cents.map(|price| cents(i64::try_from(price).expect("a small number")));
        format!(
            "({}, {}, {}, {}, {}, {}, {})",
            self.order_id,
            self.line,
            self.sku.as_deref().map_or_else(null, text),
            self.quantity.map_or_else(null, |quantity| quantity.to_string()),
            price.unwrap_or_else(null),
            self.shipped_day.map_or_else(null, |day| format!("date '1970-01-01' + {day}")),
            self.returned.map_or_else(null, |returned| returned.to_string()),
        )
    }
}

fn write_items(path: &Path) {
    let items: Vec<_> = (0..ITEMS).map(Item::new).collect();
    let price = items.iter().map(|item| item.price_cents).collect::<Decimal128Array>();
    let price = price.with_precision_and_scale(12, 2).expect("prices have at most twelve digits");
    let columns: [(&str, ArrayRef, bool); 7] = [
        ("order_id", Arc::new(items.iter().map(|item| item.order_id).collect::<Int64Array>()), false),
        ("line", Arc::new(items.iter().map(|item| item.line).collect::<Int32Array>()), false),
        ("sku", Arc::new(items.iter().map(|item| item.sku.as_deref()).collect::<StringArray>()), true),
        ("quantity", Arc::new(items.iter().map(|item| item.quantity).collect::<Int64Array>()), true),
        ("price", Arc::new(price), true),
        ("shipped", Arc::new(items.iter().map(|item| item.shipped_day).collect::<Date32Array>()), true),
        ("returned", Arc::new(items.iter().map(|item| item.returned).collect::<BooleanArray>()), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("the columns are equally long");
    let file = File::create(path).expect("a file can be made in an own folder");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("the schema is one Parquet has");
    writer.write(&batch).expect("the batch fits its schema");
    writer.close().expect("the file can be finished");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data is only worth something when the traps are in it; this also proves that all engines take the scripts.
    #[test]
    fn every_engine_takes_the_data() {
        let tables = Tables::new();
        let folder = tempfile::tempdir().unwrap();
        write_sqlite(&folder.path().join("desk.db"), &tables.script(Engine::Sqlite, &["notes"]));
        write_items(&folder.path().join("items.parquet"));
        let (Some(postgres), Some(mariadb)) = (PostgresServer::shared(), MariaDbServer::shared()) else { return };
        let crm = postgres.database("sample_crm");
        crm.script(&tables.script(Engine::PostgresSource, &["customers", "cities"]));
        assert_eq!(
            crm.psql().rows("SELECT count(*), count(DISTINCT name), count(*) FILTER (WHERE city IS NULL) > 3 FROM customers"),
            ["120|14|t"]
        );
        let shop = mariadb.database("sample_shop");
        shop.script(&tables.script(Engine::MariaDb, &["orders", "payments"]));
        assert_eq!(shop.rows("SELECT COUNT(*), COUNT(DISTINCT CAST(status AS BINARY)) FROM orders"), ["500\t6"]);
        assert_eq!(shop.rows("SELECT COUNT(*) > COUNT(IF(BINARY status = 'open', 1, NULL)) FROM orders WHERE status = 'open'"), ["1"]);
        let reference = FourSources::reference("sample").expect("PostgreSQL was there a moment ago");
        assert_eq!(reference.psql().rows("SELECT count(*), count(DISTINCT sku) > 100 FROM lake.lineitems"), ["1500|t"]);
    }
}
