//! Whoever observes a statement is told what it sent to the sources.

use std::sync::{Arc, Mutex};

use causeway_providers::{StatementObserver, StatementOutcome, StatementReport};
use futures::future::BoxFuture;

use super::support::world;

#[derive(Debug, Default)]
struct Told(Mutex<Vec<StatementReport>>);

impl StatementObserver for Told {
    fn ended(&self, report: StatementReport) -> Option<BoxFuture<'static, ()>> {
        self.0.lock().unwrap().push(report);
        None
    }
}

#[tokio::test]
async fn each_remote_statement_is_told_once_per_execution_and_without_values() {
    let told = Arc::new(Told::default());
    let mut world = world();
    world.context.observer = Some(Arc::clone(&told) as _);
    let query =
        world.plan("SELECT c.name, i.qty FROM customers c JOIN shop.items i ON i.order_id = c.id WHERE c.city = 'Rome'").await.unwrap();
    assert!(told.0.lock().unwrap().is_empty(), "planning asks no source");
    for executions in 1..=2 {
        query.rows(Vec::new()).await.unwrap();
        let mut reports = told.0.lock().unwrap().clone();
        assert_eq!(reports.len(), 2 * executions);
        reports.sort_by(|one, other| one.datasource.cmp(&other.datasource));
        let (crm, shop) = (&reports[0], &reports[reports.len() - 1]);
        assert_eq!((crm.datasource.as_str(), shop.datasource.as_str()), ("crm", "shop"));
        assert!(crm.statement.contains("= ?") && !crm.statement.contains("Rome"), "{}", crm.statement);
        assert_eq!((crm.outcome, shop.outcome), (StatementOutcome::Completed, StatementOutcome::Completed));
        assert!(crm.rows > 0 && crm.bytes > 0);
    }
}

#[tokio::test]
async fn a_statement_of_whole_tables_is_told_too_and_one_without_sources_is_not() {
    let told = Arc::new(Told::default());
    let mut world = world().without_push_down();
    world.context.observer = Some(Arc::clone(&told) as _);
    world.rows("SELECT 1").await.unwrap();
    assert!(told.0.lock().unwrap().is_empty());
    world.rows("SELECT count(*) FROM customers WHERE id = 42").await.unwrap();
    let reports = told.0.lock().unwrap();
    assert_eq!(reports.len(), 1);
    assert!(!reports[0].statement.contains("42"), "{}", reports[0].statement);
}
