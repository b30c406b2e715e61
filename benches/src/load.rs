//! TPC-H tables in private servers.

use std::fmt::{Display, Write as _};
use std::fs;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt;

use bytes::Bytes;
use causeway_tests::{MariaDbDatabase, PostgresDatabase, PostgresServer};
use futures::SinkExt;
use tpchgen::csv::{LineItemCsv, OrderCsv};
use tpchgen::generators::{LineItemGenerator, OrderGenerator};

const LINEITEM: &str = "CREATE TABLE lineitem (
    l_orderkey bigint NOT NULL, l_partkey bigint NOT NULL, l_suppkey bigint NOT NULL, l_linenumber integer NOT NULL,
    l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL,
    l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL,
    l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL,
    l_comment varchar(44) NOT NULL)";

const ORDERS: &str = "CREATE TABLE orders (
    o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice numeric(15,2) NOT NULL,
    o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL,
    o_comment varchar(79) NOT NULL)";

/// How much text is sent at once.
const PIECE: usize = 1 << 20;

/// A private server for one run.
///
/// # Panics
/// When PostgreSQL is not installed.
pub(crate) fn server() -> PostgresServer {
    PostgresServer::dedicated().expect("PostgreSQL is installed")
}

/// A database with the line items; how many they are, too.
pub(crate) async fn lineitem(server: &PostgresServer, scale: f64) -> (PostgresDatabase, u64) {
    eprintln!("loading lineitem at scale {scale}");
    let database = server.database("lineitem");
    let rows = LineItemGenerator::new(scale, 1, 1);
    let count = copy(&database, LINEITEM, "lineitem", rows.iter().map(LineItemCsv::new)).await;
    (database, count)
}

/// A database with the orders, and their keys.
pub(crate) async fn orders(server: &PostgresServer, scale: f64) -> (PostgresDatabase, Vec<i64>) {
    eprintln!("loading orders at scale {scale}");
    let database = server.database("orders");
    let rows = OrderGenerator::new(scale, 1, 1);
    copy(&database, ORDERS, "orders", rows.iter().map(OrderCsv::new)).await;
    (database, rows.iter().map(|order| order.o_orderkey).collect())
}

/// The line items in a database of MariaDB; how many they are.
pub(crate) fn lineitem_into(database: &MariaDbDatabase, scale: f64) -> u64 {
    eprintln!("loading lineitem at scale {scale} into MariaDB");
    database.script(LINEITEM);
    let file = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).expect("an own file's mode can be set");
    let mut text = BufWriter::new(file.as_file());
    let rows = LineItemGenerator::new(scale, 1, 1);
    let mut count = 0;
    for row in rows.iter() {
        writeln!(text, "{}", LineItemCsv::new(row)).expect("a temporary file can be written");
        count += 1;
    }
    text.flush().expect("a temporary file can be written");
    database.script(&format!(
        "LOAD DATA INFILE '{}' INTO TABLE lineitem FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"'; ANALYZE TABLE lineitem",
        file.path().display()
    ));
    count
}

async fn copy(database: &PostgresDatabase, create: &str, table: &str, rows: impl Iterator<Item = impl Display>) -> u64 {
    let client = database.connect().await;
    client.batch_execute(create).await.expect("an empty database takes a table");
    let sink = client.copy_in(&format!("COPY {table} FROM STDIN (FORMAT csv)")).await.expect("an own table takes rows");
    let mut sink = std::pin::pin!(sink);
    let mut text = String::with_capacity(PIECE + 1024);
    for row in rows {
        writeln!(text, "{row}").expect("a string takes any text");
        if text.len() >= PIECE {
            sink.send(Bytes::from(std::mem::take(&mut text))).await.expect("the server goes on taking rows");
        }
    }
    sink.send(Bytes::from(text)).await.expect("the server goes on taking rows");
    let count = sink.finish().await.expect("the rows fit their table");
    // Neither may be part of a transaction, which statements sent together are.
    for statement in [format!("VACUUM (FREEZE, ANALYZE) {table}"), "CHECKPOINT".to_owned()] {
        client.batch_execute(&statement).await.expect("an own table can be vacuumed");
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_tables_load() {
        let Some(server) = tokio::task::block_in_place(PostgresServer::dedicated) else { return };
        let (database, rows) = lineitem(&server, 0.001).await;
        assert_eq!(database.psql().rows("SELECT count(*), count(DISTINCT l_orderkey) FROM lineitem"), [format!("{rows}|1500")]);
        let (database, keys) = orders(&server, 0.001).await;
        assert_eq!(
            database.psql().rows("SELECT count(*), max(o_orderkey) FROM orders"),
            [format!("{}|{}", keys.len(), keys[keys.len() - 1])]
        );
    }
}
