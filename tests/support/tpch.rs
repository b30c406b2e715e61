//! The tables of TPC-H at a small scale: the same rows for PostgreSQL, MariaDB and Parquet.

use std::fmt::Display;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int32Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use parquet::arrow::ArrowWriter;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, RegionGenerator,
    SupplierGenerator,
};

use crate::mariadb::MariaDbDatabase;
use crate::postgres::PostgresDatabase;

/// The eight tables, the large ones last.
const TABLES: [Table; 8] = [
    Table {
        name: "region",
        key: "r_regionkey",
        columns: &[("r_regionkey", Kind::Integer), ("r_name", Kind::Char(25)), ("r_comment", Kind::Varchar(152))],
    },
    Table {
        name: "nation",
        key: "n_nationkey",
        columns: &[
            ("n_nationkey", Kind::Integer),
            ("n_name", Kind::Char(25)),
            ("n_regionkey", Kind::Integer),
            ("n_comment", Kind::Varchar(152)),
        ],
    },
    Table {
        name: "supplier",
        key: "s_suppkey",
        columns: &[
            ("s_suppkey", Kind::Integer),
            ("s_name", Kind::Char(25)),
            ("s_address", Kind::Varchar(40)),
            ("s_nationkey", Kind::Integer),
            ("s_phone", Kind::Char(15)),
            ("s_acctbal", Kind::Decimal),
            ("s_comment", Kind::Varchar(101)),
        ],
    },
    Table {
        name: "customer",
        key: "c_custkey",
        columns: &[
            ("c_custkey", Kind::Integer),
            ("c_name", Kind::Varchar(25)),
            ("c_address", Kind::Varchar(40)),
            ("c_nationkey", Kind::Integer),
            ("c_phone", Kind::Char(15)),
            ("c_acctbal", Kind::Decimal),
            ("c_mktsegment", Kind::Char(10)),
            ("c_comment", Kind::Varchar(117)),
        ],
    },
    Table {
        name: "part",
        key: "p_partkey",
        columns: &[
            ("p_partkey", Kind::Integer),
            ("p_name", Kind::Varchar(55)),
            ("p_mfgr", Kind::Char(25)),
            ("p_brand", Kind::Char(10)),
            ("p_type", Kind::Varchar(25)),
            ("p_size", Kind::Integer),
            ("p_container", Kind::Char(10)),
            ("p_retailprice", Kind::Decimal),
            ("p_comment", Kind::Varchar(23)),
        ],
    },
    Table {
        name: "partsupp",
        key: "ps_partkey, ps_suppkey",
        columns: &[
            ("ps_partkey", Kind::Integer),
            ("ps_suppkey", Kind::Integer),
            ("ps_availqty", Kind::Integer),
            ("ps_supplycost", Kind::Decimal),
            ("ps_comment", Kind::Varchar(199)),
        ],
    },
    Table {
        name: "orders",
        key: "o_orderkey",
        columns: &[
            ("o_orderkey", Kind::Integer),
            ("o_custkey", Kind::Integer),
            ("o_orderstatus", Kind::Char(1)),
            ("o_totalprice", Kind::Decimal),
            ("o_orderdate", Kind::Date),
            ("o_orderpriority", Kind::Char(15)),
            ("o_clerk", Kind::Char(15)),
            ("o_shippriority", Kind::Integer),
            ("o_comment", Kind::Varchar(79)),
        ],
    },
    Table {
        name: "lineitem",
        key: "l_orderkey, l_linenumber",
        columns: &[
            ("l_orderkey", Kind::Integer),
            ("l_partkey", Kind::Integer),
            ("l_suppkey", Kind::Integer),
            ("l_linenumber", Kind::Integer),
            ("l_quantity", Kind::Decimal),
            ("l_extendedprice", Kind::Decimal),
            ("l_discount", Kind::Decimal),
            ("l_tax", Kind::Decimal),
            ("l_returnflag", Kind::Char(1)),
            ("l_linestatus", Kind::Char(1)),
            ("l_shipdate", Kind::Date),
            ("l_commitdate", Kind::Date),
            ("l_receiptdate", Kind::Date),
            ("l_shipinstruct", Kind::Char(25)),
            ("l_shipmode", Kind::Char(10)),
            ("l_comment", Kind::Varchar(44)),
        ],
    },
];

struct Table {
    name: &'static str,
    key: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// A type of TPC-H. No column holds NULL.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Integer,
    Decimal,
    Char(u8),
    Varchar(u8),
    Date,
}

/// How PostgreSQL keeps texts of a fixed width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedWidth {
    /// As TPC-H has them, filled up with blanks.
    Char,
    /// As `varchar`, which prints the text alone.
    Varchar,
}

/// The tables of TPC-H at one scale.
#[derive(Debug, Clone, Copy)]
pub struct Tpch {
    scale: f64,
}

impl Tpch {
    /// All names of tables.
    pub const TABLES: [&'static str; 8] = ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

    /// The queries with the parameters that TPC-H validates by, each with its number.
    pub const QUERIES: [(u32, &'static str); 22] = [
        (1, include_str!("../sql/tpch/q01.sql")),
        (2, include_str!("../sql/tpch/q02.sql")),
        (3, include_str!("../sql/tpch/q03.sql")),
        (4, include_str!("../sql/tpch/q04.sql")),
        (5, include_str!("../sql/tpch/q05.sql")),
        (6, include_str!("../sql/tpch/q06.sql")),
        (7, include_str!("../sql/tpch/q07.sql")),
        (8, include_str!("../sql/tpch/q08.sql")),
        (9, include_str!("../sql/tpch/q09.sql")),
        (10, include_str!("../sql/tpch/q10.sql")),
        (11, include_str!("../sql/tpch/q11.sql")),
        (12, include_str!("../sql/tpch/q12.sql")),
        (13, include_str!("../sql/tpch/q13.sql")),
        (14, include_str!("../sql/tpch/q14.sql")),
        (15, include_str!("../sql/tpch/q15.sql")),
        (16, include_str!("../sql/tpch/q16.sql")),
        (17, include_str!("../sql/tpch/q17.sql")),
        (18, include_str!("../sql/tpch/q18.sql")),
        (19, include_str!("../sql/tpch/q19.sql")),
        (20, include_str!("../sql/tpch/q20.sql")),
        (21, include_str!("../sql/tpch/q21.sql")),
        (22, include_str!("../sql/tpch/q22.sql")),
    ];

    /// Scale 1 has six million line items.
    pub fn new(scale: f64) -> Self {
        Self { scale }
    }

    /// Makes `tables` in a database of PostgreSQL.
    ///
    /// # Panics
    /// When they do not load.
    pub fn load_postgres(self, database: &PostgresDatabase, tables: &[&str], fixed_width: FixedWidth) {
        let mut script = String::new();
        for table in named(tables) {
            script.push_str(&table.definition(fixed_width));
            script.push_str(&format!("COPY {} FROM STDIN (DELIMITER '|');\n{}\\.\n", table.name, self.lines(table)));
        }
        script.push_str("ANALYZE;\n");
        database.script(&script);
    }

    /// Makes `tables` in a database of MariaDB.
    ///
    /// # Panics
    /// When they do not load.
    pub fn load_mariadb(self, database: &MariaDbDatabase, tables: &[&str]) {
        for table in named(tables) {
            let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
            fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("an own file's mode can be set");
            fs::write(file.path(), self.lines(table)).expect("a temporary file can be written");
            database.script(&format!(
                "{}LOAD DATA INFILE '{}' INTO TABLE {name} FIELDS TERMINATED BY '|'; ANALYZE TABLE {name};",
                table.definition(FixedWidth::Char),
                file.path().display(),
                name = table.name
            ));
        }
    }

    /// Writes `tables` as Parquet files into `folder`.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write_parquet(self, folder: &Path, tables: &[&str]) {
        for table in named(tables) {
            let lines = self.lines(table);
            let rows: Vec<Vec<&str>> = lines.lines().map(|line| line.split('|').collect()).collect();
            let column = |(at, (name, kind)): (usize, &(&'static str, Kind))| {
                let values: Vec<&str> = rows.iter().map(|row| row[at]).collect();
                (*name, kind.array(&values), false)
            };
            let columns = table.columns.iter().enumerate().map(column);
            let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("the columns are equally long");
            let file = File::create(folder.join(table.name).with_extension("parquet")).expect("a file can be made in an own folder");
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("the schema is one Parquet has");
            writer.write(&batch).expect("a batch of its schema can be written");
            writer.close().expect("the file can be finished");
        }
    }

    /// The rows of a table, fields between bars.
    fn lines(self, table: &Table) -> String {
        let scale = self.scale;
        match table.name {
            "region" => joined(RegionGenerator::new(scale, 1, 1).iter()),
            "nation" => joined(NationGenerator::new(scale, 1, 1).iter()),
            "supplier" => joined(SupplierGenerator::new(scale, 1, 1).iter()),
            "customer" => joined(CustomerGenerator::new(scale, 1, 1).iter()),
            "part" => joined(PartGenerator::new(scale, 1, 1).iter()),
            "partsupp" => joined(PartSuppGenerator::new(scale, 1, 1).iter()),
            "orders" => joined(OrderGenerator::new(scale, 1, 1).iter()),
            "lineitem" => joined(LineItemGenerator::new(scale, 1, 1).iter()),
            other => panic!("{other} is not a table of TPC-H"),
        }
    }
}

fn named(tables: &[&str]) -> impl Iterator<Item = &'static Table> {
    tables.iter().map(|name| TABLES.iter().find(|table| table.name == *name).unwrap_or_else(|| panic!("{name} is not a table of TPC-H")))
}

/// Lines without the bar that a row ends with.
fn joined(rows: impl Iterator<Item = impl Display>) -> String {
    rows.fold(String::new(), |mut text, row| {
        text.push_str(row.to_string().trim_end_matches('|'));
        text.push('\n');
        text
    })
}

impl Table {
    fn definition(&self, fixed_width: FixedWidth) -> String {
        let columns: Vec<_> = self.columns.iter().map(|(name, kind)| format!("{name} {} NOT NULL", kind.name(fixed_width))).collect();
        format!("CREATE TABLE {} ({}, PRIMARY KEY ({}));\n", self.name, columns.join(", "), self.key)
    }
}

impl Kind {
    fn name(self, fixed_width: FixedWidth) -> String {
        match self {
            Self::Integer => "int".to_owned(),
            Self::Decimal => "decimal(15,2)".to_owned(),
            Self::Char(length) if fixed_width == FixedWidth::Char => format!("char({length})"),
            Self::Char(length) | Self::Varchar(length) => format!("varchar({length})"),
            Self::Date => "date".to_owned(),
        }
    }

    fn array(self, values: &[&str]) -> ArrayRef {
        match self {
            Self::Integer => {
                let values = values.iter().map(|value| value.parse::<i32>().expect("keys and counts are small numbers"));
                Arc::new(values.collect::<Int32Array>())
            }
            Self::Decimal => {
                let cents = |value: &&str| match value.split_once('.') {
                    Some((whole, hundredths)) => format!("{whole}{hundredths}").parse::<i128>().expect("prices have two decimals"),
                    None => value.parse::<i128>().expect("quantities are whole numbers") * 100,
                };
                let prices = values.iter().map(cents).collect::<Vec<_>>();
                Arc::new(Decimal128Array::from(prices).with_precision_and_scale(15, 2).expect("prices are small numbers"))
            }
            Self::Char(_) | Self::Varchar(_) => Arc::new(StringArray::from(values.to_vec())),
            Self::Date => cast(&StringArray::from(values.to_vec()), &DataType::Date32).expect("dates are written as ISO has them"),
        }
    }
}
