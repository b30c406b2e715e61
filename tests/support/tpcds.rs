//! The tables of TPC-DS at its smallest scale: the same rows for PostgreSQL, MariaDB and Parquet.

use std::collections::HashSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use tpcdsgen::config::{Session, SessionBuilder, Table as Generated};
use tpcdsgen::row;

use crate::mariadb::MariaDbDatabase;
use crate::postgres::PostgresDatabase;
use crate::tpch::FixedWidth;

/// A statement for each table, a line for each column.
const DEFINITIONS: &str = include_str!("../sql/tpcds/tables.sql");

/// Below it no table of sales gets smaller.
const SCALE: f64 = 0.01;

/// As many as at scale 1. At [`SCALE`] there is one, and some queries look for orders that came from two.
const WAREHOUSES: u64 = 5;

/// Tables of which the scale does not matter, with the end of the names of columns that refer to them. Only rows that something refers
/// to are made: there are two million kinds of customers, of which a thousand customers buy.
const OF_ONE_SIZE: [(&str, &str); 3] = [("customer_demographics", "_cdemo_sk"), ("date_dim", "_date_sk"), ("time_dim", "_time_sk")];

/// All rows of TPC-DS at the smallest scale.
#[derive(Debug)]
pub struct Tpcds {
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<Column>,
    key: &'static str,
    /// A line for each row, fields between bars; an empty one is NULL.
    lines: Vec<String>,
}

#[derive(Debug)]
struct Column {
    name: &'static str,
    kind: &'static str,
    required: bool,
}

impl Tpcds {
    /// Makes them.
    ///
    /// # Panics
    /// When the definitions of tables and the generator differ.
    pub fn generate() -> Self {
        let session = SessionBuilder::new().with_scale_factor(SCALE).build().expect("the scale is a positive number");
        let mut tables = definitions();
        let of_one_size = |name| OF_ONE_SIZE.iter().find(|(table, _)| *table == name);
        for table in tables.iter_mut().filter(|table| of_one_size(table.name).is_none()) {
            table.lines = lines(table.name, &session, |_| true);
            table.trim();
            table.spread_warehouses();
        }
        for (name, referring) in OF_ONE_SIZE {
            let referred: HashSet<&str> = tables.iter().flat_map(|table| table.values(referring)).collect();
            let kept = lines(name, &session, |line| line.split('|').next().is_some_and(|key| referred.contains(key)));
            tables.iter_mut().find(|table| table.name == name).expect("it is a table of TPC-DS").lines = kept;
        }
        Self { tables }
    }

    /// All names of tables.
    pub fn names(&self) -> Vec<&'static str> {
        self.tables.iter().map(|table| table.name).collect()
    }

    /// Makes `tables` in a database of PostgreSQL.
    ///
    /// # Panics
    /// When they do not load.
    pub fn load_postgres(&self, database: &PostgresDatabase, tables: &[&str], fixed_width: FixedWidth) {
        let mut script = String::new();
        for table in self.named(tables) {
            script.push_str(&table.definition(fixed_width));
            script.push_str(&format!("COPY {} FROM STDIN (DELIMITER '|', NULL '');\n{}\n\\.\n", table.name, table.lines.join("\n")));
        }
        script.push_str("ANALYZE;\n");
        database.script(&script);
    }

    /// Makes `tables` in a database of MariaDB.
    ///
    /// # Panics
    /// When they do not load.
    pub fn load_mariadb(&self, database: &MariaDbDatabase, tables: &[&str]) {
        for table in self.named(tables) {
            let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("an own file's mode can be set");
            let fields = |line: &String| {
                let fields = line.split('|').map(|field| if field.is_empty() { "\\N" } else { field });
                fields.collect::<Vec<_>>().join("|") + "\n"
            };
            fs::write(file.path(), table.lines.iter().map(fields).collect::<String>()).expect("a temporary file can be written");
            database.script(&format!(
                "{}LOAD DATA INFILE '{}' INTO TABLE {name} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '|'; ANALYZE TABLE {name};",
                table.definition(FixedWidth::Char),
                file.path().display(),
                name = table.name
            ));
        }
    }

    /// Writes all tables as Parquet files into `folder`.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write_parquet(&self, folder: &Path) {
        for table in &self.tables {
            let columns =
                table.columns.iter().zip(table.texts()).map(|(column, texts)| (column.name, column.array(texts), !column.required));
            let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("the columns are equally long");
            let file = File::create(folder.join(table.name).with_extension("parquet")).expect("a file can be made in an own folder");
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("the schema is one Parquet has");
            writer.write(&batch).expect("a batch of its schema can be written");
            writer.close().expect("the file can be finished");
        }
    }

    fn named(&self, names: &[&str]) -> impl Iterator<Item = &Table> {
        names
            .iter()
            .map(|name| self.tables.iter().find(|table| table.name == *name).unwrap_or_else(|| panic!("{name} is not a table of TPC-DS")))
    }
}

/// The tables, still empty.
fn definitions() -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in DEFINITIONS.lines() {
        if let Some(name) = line.strip_prefix("CREATE TABLE ") {
            let name = name.trim_end_matches(" (");
            tables.push(Table { name, columns: Vec::new(), key: "", lines: Vec::new() });
        } else if let (Some(line), Some(table)) = (line.strip_prefix("    "), tables.last_mut()) {
            if let Some(key) = line.strip_prefix("PRIMARY KEY (") {
                table.key = key.trim_end_matches(')');
            } else {
                let (name, kind) = line.trim_end_matches(',').split_once(' ').expect("a column has a type");
                let required = kind.ends_with(" NOT NULL");
                table.columns.push(Column { name, kind: kind.trim_end_matches(" NOT NULL"), required });
            }
        }
    }
    tables
}

/// What the generator gives for a table, of which the `wanted` lines are kept.
fn lines(table: &str, session: &Session, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let rows = |table| session.get_scaling().get_row_count(table);
    let session = || session.clone();
    match table {
        "call_center" => shown(row::CallCenterRowGenerator::new(session(), rows(Generated::CallCenter)), wanted),
        "catalog_page" => shown(row::CatalogPageRowGenerator::new(session(), rows(Generated::CatalogPage)), wanted),
        "catalog_returns" => shown(row::CatalogReturnsRowGenerator::new(session(), rows(Generated::CatalogReturns)), wanted),
        "catalog_sales" => shown(row::CatalogSalesRowGenerator::new(session(), rows(Generated::CatalogSales)), wanted),
        "customer" => shown(row::CustomerRowGenerator::new(session(), rows(Generated::Customer)), wanted),
        "customer_address" => shown(row::CustomerAddressRowGenerator::new(session(), rows(Generated::CustomerAddress)), wanted),
        "customer_demographics" => {
            shown(row::CustomerDemographicsRowGenerator::new(session(), rows(Generated::CustomerDemographics)), wanted)
        }
        "date_dim" => shown(row::DateDimRowGenerator::new(session(), rows(Generated::DateDim)), wanted),
        "household_demographics" => {
            shown(row::HouseholdDemographicsRowGenerator::new(session(), rows(Generated::HouseholdDemographics)), wanted)
        }
        "income_band" => shown(row::IncomeBandRowGenerator::new(session(), rows(Generated::IncomeBand)), wanted),
        "inventory" => shown(row::InventoryRowGenerator::new(session(), rows(Generated::Inventory)), wanted),
        "item" => shown(row::ItemRowGenerator::new(session(), rows(Generated::Item)), wanted),
        "promotion" => shown(row::PromotionRowGenerator::new(session(), rows(Generated::Promotion)), wanted),
        "reason" => shown(row::ReasonRowGenerator::new(session(), rows(Generated::Reason)), wanted),
        "ship_mode" => shown(row::ShipModeRowGenerator::new(session(), rows(Generated::ShipMode)), wanted),
        "store" => shown(row::StoreRowGenerator::new(session(), rows(Generated::Store)), wanted),
        "store_returns" => shown(row::StoreReturnsRowGenerator::new(session(), rows(Generated::StoreReturns)), wanted),
        "store_sales" => shown(row::StoreSalesRowGenerator::new(session(), rows(Generated::StoreSales)), wanted),
        "time_dim" => shown(row::TimeDimRowGenerator::new(session(), rows(Generated::TimeDim)), wanted),
        "warehouse" => shown(row::WarehouseRowGenerator::new(session(), WAREHOUSES), wanted),
        "web_page" => shown(row::WebPageRowGenerator::new(session(), rows(Generated::WebPage)), wanted),
        "web_returns" => shown(row::WebReturnsRowGenerator::new(session(), rows(Generated::WebReturns)), wanted),
        "web_sales" => shown(row::WebSalesRowGenerator::new(session(), rows(Generated::WebSales)), wanted),
        "web_site" => shown(row::WebSiteRowGenerator::new(session(), rows(Generated::WebSite)), wanted),
        other => panic!("{other} is not a table of TPC-DS"),
    }
}

/// Lines without the bar that a row ends with; what is before it may be NULL.
fn shown(rows: impl Iterator<Item = impl Display>, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let line = |row: &dyn Display| {
        let mut line = row.to_string();
        assert_eq!(line.pop(), Some('|'), "a row ends with a bar");
        line
    };
    rows.map(|row| line(&row)).filter(|line| wanted(line)).collect()
}

impl Table {
    /// Takes trailing blanks from texts of a fixed width, which do not count there, so that they are the same in every source.
    fn trim(&mut self) {
        let fixed: Vec<_> = self.columns.iter().map(|column| column.kind.starts_with("char")).collect();
        for line in self.lines.iter_mut().filter(|line| line.contains(" |") || line.ends_with(' ')) {
            let fields = line.split('|').zip(&fixed).map(|(field, fixed)| if *fixed { field.trim_end_matches(' ') } else { field });
            *line = fields.collect::<Vec<_>>().join("|");
        }
    }

    /// Has sales and returns take turns with the warehouses.
    fn spread_warehouses(&mut self) {
        let sold = |column: &Column| column.name.ends_with("_warehouse_sk") && !column.required;
        let Some(at) = self.columns.iter().position(sold) else { return };
        for (line, warehouse) in self.lines.iter_mut().zip((1..=WAREHOUSES).cycle()) {
            let warehouse = warehouse.to_string();
            let mut fields: Vec<&str> = line.split('|').collect();
            if !fields[at].is_empty() {
                fields[at] = &warehouse;
            }
            *line = fields.join("|");
        }
    }

    /// What its columns hold whose names end with `ending`.
    fn values(&self, ending: &str) -> HashSet<&str> {
        let ends: Vec<_> = self.columns.iter().map(|column| column.name.ends_with(ending)).collect();
        if !ends.contains(&true) {
            return HashSet::new();
        }
        let fields = self.lines.iter().flat_map(|line| line.split('|').zip(&ends));
        fields.filter(|(field, ends)| **ends && !field.is_empty()).map(|(field, _)| field).collect()
    }

    /// The texts of each column.
    fn texts(&self) -> Vec<StringArray> {
        let mut columns: Vec<Vec<Option<&str>>> = vec![Vec::with_capacity(self.lines.len()); self.columns.len()];
        for line in &self.lines {
            for (column, field) in columns.iter_mut().zip(line.split('|')) {
                column.push(Some(field).filter(|field| !field.is_empty()));
            }
        }
        columns.into_iter().map(StringArray::from).collect()
    }

    fn definition(&self, fixed_width: FixedWidth) -> String {
        let column = |column: &Column| {
            let kind = match fixed_width {
                FixedWidth::Varchar if column.kind.starts_with("char") => format!("var{}", column.kind),
                FixedWidth::Char | FixedWidth::Varchar => column.kind.to_owned(),
            };
            format!("{} {kind}{}", column.name, if column.required { " NOT NULL" } else { "" })
        };
        let columns: Vec<_> = self.columns.iter().map(column).collect();
        format!("CREATE TABLE {} ({}, PRIMARY KEY ({}));\n", self.name, columns.join(", "), self.key)
    }
}

impl Column {
    fn array(&self, texts: StringArray) -> ArrayRef {
        let kind = match self.kind {
            "int" => DataType::Int32,
            "date" => DataType::Date32,
            kind => match kind.strip_prefix("decimal(").and_then(|digits| digits.trim_end_matches(')').split_once(',')) {
                Some((precision, scale)) => {
                    DataType::Decimal128(precision.parse().expect("a precision is a number"), scale.parse().expect("a scale is a number"))
                }
                None => return Arc::new(texts),
            },
        };
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(&texts, &kind, &exact).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_the_columns_of_their_table() {
        let data = Tpcds::generate();
        assert_eq!(data.tables.len(), 24);
        for table in &data.tables {
            assert!(!table.lines.is_empty(), "{}", table.name);
            assert!(table.key.split(", ").all(|key| table.columns.iter().any(|column| column.name == key && column.required)));
            for line in &table.lines {
                assert_eq!(line.split('|').count(), table.columns.len(), "{}: {line}", table.name);
            }
        }
    }

    #[test]
    fn orders_come_from_several_warehouses() {
        let data = Tpcds::generate();
        let sales = data.named(&["web_sales"]).next().unwrap();
        assert_eq!(sales.values("_warehouse_sk").len(), 5);
    }
}
