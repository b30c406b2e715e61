//! What the source believes of its tables, and the plans that follow from it.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::stats::Precision;
use datafusion::logical_expr::{col, lit};
use datafusion::physical_plan::{StatisticsArgs, displayable};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::server::Database;
use super::{look, open};
use crate::sql::{ColumnEstimate, SqlRemote, SqlTable, TableStatistics};

const TABLES: &str =
    "CREATE TABLE small (id bigint PRIMARY KEY, name text); INSERT INTO small SELECT i, 'n' || i FROM generate_series(1, 50) i;
    CREATE TABLE large (id bigint, part integer, note text);
    INSERT INTO large SELECT i, i % 20, CASE WHEN i % 4 = 0 THEN 'noted' END FROM generate_series(1, 20000) i;
    CREATE TABLE parts (id bigint, at integer) PARTITION BY RANGE (at);
    CREATE TABLE p1 PARTITION OF parts FOR VALUES FROM (0) TO (5); CREATE TABLE p2 PARTITION OF parts DEFAULT;
    INSERT INTO parts SELECT i, i % 10 FROM generate_series(1, 5000) i;
    CREATE VIEW seen AS SELECT * FROM large; CREATE TABLE fresh (id integer);
    ANALYZE small, large, parts";

#[tokio::test(flavor = "multi_thread")]
async fn rows_nulls_and_values_come_with_the_look() {
    let Some(database) = Database::new(TABLES).await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    let known = |name: &str| remote.statistics(seen.tables.iter().find(|table| table.name == name).unwrap());
    let check = |large: &TableStatistics| {
        assert_eq!(large.rows, 20_000);
        // So few values are each counted, and no range is told of the others.
        assert_eq!(large.columns["part"], ColumnEstimate { null_fraction: 0.0, distinct: Some(20), width: 4, range: None });
        let (least, greatest) = large.columns["id"].range.unwrap();
        assert!(least < 200.0 && greatest > 19_800.0, "{least} to {greatest}");
        assert_eq!(large.columns["note"].range, None);
        let note = large.columns["note"];
        assert!((note.null_fraction - 0.75).abs() < 0.05 && note.distinct == Some(1) && note.width > 4, "{note:?}");
        assert_eq!(large.columns["id"].distinct, Some(20_000));
    };
    check(&known("large").unwrap());
    assert_eq!(known("small").unwrap().rows, 50);
    let parts = known("parts").unwrap();
    assert_eq!((parts.rows, parts.columns["at"].distinct), (5000, Some(10)));
    assert_eq!(known("seen"), None);
    // It may as well be one that nobody has counted.
    assert_eq!(known("fresh"), None);

    // A look soon after asks for sizes alone, and forgets no values; one at another schema forgets nothing either.
    database.admin().await.batch_execute("CREATE SCHEMA other; DROP TABLE small").await.unwrap();
    look(&remote, &["other"]).await;
    check(&known("large").unwrap());
    assert!(known("small").is_some());
    look(&remote, &["public", "other"]).await;
    check(&known("large").unwrap());
    assert_eq!(known("small"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_tells_what_it_is_believed_to_read() {
    let Some(database) = Database::new(TABLES).await else { return };
    let remote = open(&database).await;
    let table = look(&remote, &[]).await.tables.into_iter().find(|table| table.name == "large").unwrap();
    let provider = SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, table, None);
    let state = SessionContext::new().state();
    for (filters, limit, rows) in [
        (vec![], None, 20_000),
        (vec![col("part").eq(lit(3))], None, 1000),
        (vec![col("part").eq(lit(3)), col("note").is_not_null()], None, 250),
        (vec![], Some(7), 7),
    ] {
        let plan = provider.scan(&state, Some(&vec![1]), &filters, limit).await.unwrap();
        let Precision::Inexact(believed) = plan.statistics_from_inputs(&[], &StatisticsArgs::new()).unwrap().num_rows else {
            panic!("{filters:?} has no inexact number of rows");
        };
        assert!(believed.abs_diff(rows) <= rows / 10, "{filters:?}: {believed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smaller_side_of_a_join_is_kept_in_memory() {
    let Some(database) = Database::new(TABLES).await else { return };
    let remote = open(&database).await;
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    for table in look(&remote, &[]).await.tables {
        let name = table.name.clone();
        context.register_table(name, Arc::new(SqlTable::new(Arc::clone(&remote) as Arc<dyn SqlRemote>, table, None))).unwrap();
    }
    for from in ["small s JOIN large l ON s.id = l.id", "large l JOIN small s ON s.id = l.id"] {
        let plan = context.sql(&format!("SELECT s.name, l.part FROM {from}")).await.unwrap().create_physical_plan().await.unwrap();
        let shown = displayable(plan.as_ref()).indent(false).to_string();
        let (small, large) = (shown.find("\"small\"").unwrap(), shown.find("\"large\"").unwrap());
        assert!(shown.contains("HashJoinExec") && small < large, "{from}:\n{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_told_of_what_has_an_order() {
    let tables = "CREATE TABLE ranges (day date, at timestamp, seen timestamptz, price numeric(12, 2), part smallint, big numeric);
        INSERT INTO ranges SELECT date '2020-01-01' + i, timestamp '2020-01-01 00:00:00.5' + i * interval '1 hour',
               timestamptz '2020-01-01 00:00:00+00' + i * interval '1 hour', i / 100.0, i, i * 1e50 FROM generate_series(0, 10000) i;
        CREATE TABLE endless (day date); INSERT INTO endless SELECT CASE WHEN i < 200 THEN date '-infinity' + 0 ELSE date '2020-01-01' + i END
               FROM generate_series(0, 1000) i; ANALYZE ranges, endless";
    let Some(database) = Database::new(tables).await else { return };
    let remote = open(&database).await;
    let seen = look(&remote, &[]).await;
    let known = |name: &str| remote.statistics(seen.tables.iter().find(|table| table.name == name).unwrap()).unwrap();
    let ranges = known("ranges");
    let near = |name: &str, least: f64, greatest: f64| {
        let (low, high) = ranges.columns[name].range.unwrap_or_else(|| panic!("{name} has no range"));
        let slack = (greatest - least) / 50.0;
        assert!((low - least).abs() < slack && (high - greatest).abs() < slack, "{name}: {low} to {high}, not {least} to {greatest}");
    };
    // 2020-01-01 is the day 18262.
    near("day", 18_262.0, 28_262.0);
    near("at", 18_262.0 * 86_400e6, 18_262.0 * 86_400e6 + 10_000.0 * 3600e6);
    near("seen", 18_262.0 * 86_400e6, 18_262.0 * 86_400e6 + 10_000.0 * 3600e6);
    near("price", 0.0, 100.0);
    near("part", 0.0, 10_000.0);
    near("big", 0.0, 1e54);
    let endless = known("endless").columns["day"].range;
    assert!(endless.is_none_or(|(least, _)| least.is_finite()), "{endless:?}");
}
