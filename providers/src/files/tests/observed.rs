//! Whoever observes a session is told of each reading of files, once however many partitions it has.

use std::sync::Mutex;

use datafusion::prelude::SessionConfig;
use futures::future::BoxFuture;

use super::*;
use crate::{StatementObserver, StatementOutcome, StatementReport, observe_statements};

#[derive(Debug, Default)]
struct Told(Mutex<Vec<StatementReport>>);

impl StatementObserver for Told {
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap().push(report);
        None
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_one_reading_that_shows_no_values() {
    let lake = Lake::of(&[("orders/a.csv", "id,name\n1,one\n2,two\n"), ("orders/b.csv", "id,name\n3,three\n")]).await;
    let told = Arc::new(Told::default());
    let mut config = SessionConfig::new().with_target_partitions(4);
    observe_statements(&mut config, Arc::clone(&told) as _);
    let context = SessionContext::new_with_config(config);
    let table = lake.introspect().await.tables.remove(0);
    context.register_table("orders", Arc::clone(&lake.remote).table(&table).unwrap()).unwrap();
    query(&context, "SELECT name FROM orders WHERE name <> 'secret'").await.unwrap();
    let [report] = <[StatementReport; 1]>::try_from(told.0.lock().unwrap().clone()).unwrap();
    assert_eq!((report.datasource.as_str(), report.rows, report.outcome), ("lake", 3, StatementOutcome::Completed));
    assert!(report.statement.starts_with("READ ") && report.statement.contains("orders"), "{}", report.statement);
    assert!(!report.statement.contains("secret"));
}
