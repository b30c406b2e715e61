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
        assert_eq!(large.columns["part"], ColumnEstimate { null_fraction: 0.0, distinct: Some(20), width: 4 });
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
