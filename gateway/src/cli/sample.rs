//! The demo's data: a small shop in SQLite, its deliveries in Parquet, its regions in CSV. The same on every machine.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use causeway_providers::write_sqlite_sample;
use chrono::{Days, NaiveDate};
use datafusion::arrow::array::{Decimal128Array, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::parquet::arrow::ArrowWriter;

const CUSTOMERS: usize = 300;
const ORDERS: usize = 4_000;
/// A delivery has one to this many lines.
const MOST_LINES: usize = 9;

/// Regions, who looks after them, and the revenue hoped for.
const REGIONS: [(&str, &str, u32); 5] = [
    ("Alps", "Mara Steiner", 800_000),
    ("Baltic", "Jonas Kask", 850_000),
    ("Danube", "Ilona Varga", 1_050_000),
    ("Iberia", "Rui Antunes", 1_150_000),
    ("North Sea", "Fenna de Boer", 720_000),
];
const FIRST_NAMES: [&str; 12] = ["Ada", "Ben", "Clara", "Dario", "Eva", "Finn", "Greta", "Hugo", "Ines", "Jan", "Kaja", "Leo"];
const LAST_NAMES: [&str; 10] = ["Novak", "Lindqvist", "Moreau", "Rossi", "O'Brien", "Weber", "Santos", "Kowalski", "Jansen", "Horvat"];
const STATUSES: [&str; 5] = ["shipped", "shipped", "shipped", "open", "returned"];
/// Products and their prices in hundredths.
const PRODUCTS: [(&str, i128); 8] = [
    ("kettle", 3490),
    ("lantern", 2450),
    ("tent", 18900),
    ("rucksack", 11995),
    ("compass", 1780),
    ("stove", 6400),
    ("rope", 4225),
    ("hammock", 5840),
];

/// Writes one file.
type Writer = fn(&Path) -> Result<(), String>;

/// Where the demo's data is.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    /// The SQLite database.
    pub(super) shop: PathBuf,
    /// The folder of files.
    pub(super) lake: PathBuf,
}

/// What was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It was there from an earlier run.
    Before,
    /// It has just been written.
    Now,
}

impl Sample {
    /// The sample in `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self { shop: folder.join("shop.db"), lake: folder.join("lake") }
    }

    /// Writes what is not there yet. Blocks the thread.
    ///
    /// Each file is written under another name first, so that a run that is interrupted leaves none half written.
    ///
    /// # Errors
    /// What could not be written, in words for the user.
    pub(super) fn write(&self) -> Result<Written, String> {
        let failed = |path: &Path, error: &dyn std::fmt::Display| format!("{} cannot be written: {error}", path.display());
        fs::create_dir_all(&self.lake).map_err(|error| failed(&self.lake, &error))?;
        let files: [(PathBuf, Writer); 3] = [
            (self.shop.clone(), write_shop),
            (self.lake.join("lineitems.parquet"), write_lineitems),
            (self.lake.join("regions.csv"), write_regions),
        ];
        let mut written = Written::Before;
        for (path, write) in files.iter().filter(|(path, _)| !path.exists()) {
            let part = path.with_extension("part");
            // A part left by an interrupted run would be added to.
            if part.exists() {
                fs::remove_file(&part).map_err(|error| failed(&part, &error))?;
            }
            write(&part).map_err(|error| failed(&part, &error))?;
            fs::rename(&part, path).map_err(|error| failed(path, &error))?;
            written = Written::Now;
        }
        Ok(written)
    }
}

fn write_shop(path: &Path) -> Result<(), String> {
    let mut dice = Dice::new(1);
    let mut script = "\
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, region TEXT NOT NULL, since DATE NOT NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), ordered_on DATE NOT NULL, status TEXT NOT NULL);
CREATE INDEX orders_customer_id ON orders (customer_id);
"
    .to_owned();
    for id in 1..=CUSTOMERS {
        let (first, last) = (dice.pick(&FIRST_NAMES), dice.pick(&LAST_NAMES));
        let (region, _, _) = dice.pick(&REGIONS);
        let name = format!("{first} {last}").replace('\'', "''");
        let email = format!("{}.{id}@example.com", first.to_lowercase());
        let since = day(2019, dice.below(1_500));
        let _ = writeln!(script, "INSERT INTO customers VALUES ({id}, '{name}', '{email}', '{region}', '{since}');");
    }
    for id in 1..=ORDERS {
        let (customer, ordered, status) = (1 + dice.below(CUSTOMERS), day(2024, dice.below(730)), dice.pick(&STATUSES));
        let _ = writeln!(script, "INSERT INTO orders VALUES ({id}, {customer}, '{ordered}', '{status}');");
    }
    write_sqlite_sample(path, &script).map_err(|error| error.to_string())
}

fn write_lineitems(path: &Path) -> Result<(), String> {
    let mut dice = Dice::new(2);
    let (mut orders, mut lines, mut products, mut quantities, mut prices) = (vec![], vec![], vec![], vec![], vec![]);
    for order in 1..=ORDERS {
        for line in 1..=1 + dice.below(MOST_LINES) {
            let (product, price) = dice.pick(&PRODUCTS);
            orders.push(i64::try_from(order).expect("a few thousand orders"));
            lines.push(i32::try_from(line).expect("a few lines"));
            products.push(product);
            quantities.push(i32::try_from(1 + dice.below(10)).expect("at most ten"));
            prices.push(price);
        }
    }
    let prices = Decimal128Array::from(prices).with_precision_and_scale(10, 2).map_err(|error| error.to_string())?;
    let batch = RecordBatch::try_from_iter([
        ("order_id", Arc::new(Int64Array::from(orders)) as _),
        ("line", Arc::new(Int32Array::from(lines)) as _),
        ("product", Arc::new(StringArray::from(products)) as _),
        ("quantity", Arc::new(Int32Array::from(quantities)) as _),
        ("unit_price", Arc::new(prices) as _),
    ])
    .map_err(|error| error.to_string())?;
    let file = File::create(path).map_err(|error| error.to_string())?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).map_err(|error| error.to_string())?;
    writer.write(&batch).map_err(|error| error.to_string())?;
    writer.close().map(drop).map_err(|error| error.to_string())
}

fn write_regions(path: &Path) -> Result<(), String> {
    let mut text = "region,manager,target\n".to_owned();
    for (region, manager, target) in REGIONS {
        let _ = writeln!(text, "{region},{manager},{target}");
    }
    fs::write(path, text).map_err(|error| error.to_string())
}

/// A day so many after the first of `year`.
fn day(year: i32, after: usize) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(year, 1, 1).expect("every year has a first day");
    first + Days::new(after as u64)
}

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        // Knuth's multiplier; the low bits of such a generator are poor, so the high ones are used.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_finds_what_the_first_wrote_and_an_interrupted_one_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::new(folder.path());
        assert_eq!(sample.write().unwrap(), Written::Now);
        let shop = fs::read(&sample.shop).unwrap();
        assert!(shop.starts_with(b"SQLite format 3"));
        assert!(fs::read_to_string(sample.lake.join("regions.csv")).unwrap().starts_with("region,manager,target\nAlps,Mara Steiner,"));
        assert_eq!(sample.write().unwrap(), Written::Before);

        fs::rename(&sample.shop, sample.shop.with_extension("part")).unwrap();
        assert_eq!(sample.write().unwrap(), Written::Now);
        assert_eq!(fs::read(&sample.shop).unwrap(), shop, "the same on every run");
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        let fault = Sample::new(&file).write().unwrap_err();
        assert!(fault.starts_with(&format!("{} cannot be written: ", file.join("lake").display())), "{fault}");
    }
}
