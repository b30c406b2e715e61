//! Audits of an environment without datasources, whose scans are made up.

use std::time::SystemTime;

use causeway_catalog::{ControlStore, Event, Keeping};
use causeway_providers::{ConnectorRegistry, RemoteId};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

async fn environment() -> Arc<Environment> {
    let store = ControlStore::ephemeral().await.unwrap();
    Environment::start("default", Vec::new(), ConnectorRegistry::built_in(), store, Keeping::default()).await.unwrap()
}

fn observer(audit: &Audit) -> SessionAudit {
    SessionAudit { reports: audit.reports.clone(), user: "ana".to_owned(), application_name: "psql".to_owned(), pid: 7 }
}

fn report(outcome: StatementOutcome) -> StatementReport {
    StatementReport {
        datasource: RemoteId::new("crm"),
        statement: "SELECT \"id\" FROM \"public\".\"cust\" WHERE \"id\" = ?".to_owned(),
        rows: 2,
        bytes: 40,
        elapsed: Duration::from_micros(1_500),
        outcome,
    }
}

async fn events(environment: &Environment) -> Vec<Event> {
    let mut all: Vec<Event> = Vec::new();
    loop {
        let page = environment.events_page(all.last().map_or(0, |event| event.sequence)).await.unwrap();
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

async fn until_written(environment: &Environment, count: i64) {
    let mut latest = environment.latest_event();
    tokio::time::timeout(PATIENCE, latest.wait_for(|latest| *latest >= count)).await.expect("they are written").unwrap();
}

#[tokio::test]
async fn each_scan_becomes_an_event_with_its_user_and_outcome() {
    let environment = environment().await;
    let audit = Audit::start(Arc::clone(&environment), Policy::Full).unwrap();
    let observer = observer(&audit);
    let began = SystemTime::now() - Duration::from_secs(1);
    for outcome in [StatementOutcome::Completed, StatementOutcome::Failed(ErrorKind::Timeout), StatementOutcome::Cancelled] {
        assert!(observer.ended(report(outcome)).is_none(), "there is room");
    }
    until_written(&environment, 3).await;
    let events = events(&environment).await;
    let first = &events[0];
    assert_eq!(
        (first.kind.as_str(), first.actor.as_deref(), first.datasource.as_deref()),
        ("external.query.executed", Some("ana"), Some("crm"))
    );
    assert!(first.time > began);
    assert_eq!(
        first.data,
        json!({
            "sql": "SELECT \"id\" FROM \"public\".\"cust\" WHERE \"id\" = ?",
            "rows": 2, "bytes": 40, "ms": 1.5, "outcome": "completed", "application_name": "psql", "pid": 7,
        })
    );
    assert_eq!((&events[1].data["outcome"], &events[1].data["failure"]), (&json!("failed"), &json!("timeout")));
    assert_eq!((&events[2].data["outcome"], events[2].data.get("failure")), (&json!("cancelled"), None));
}

#[tokio::test]
async fn with_all_to_be_audited_a_scan_waits_for_room_and_is_not_lost() {
    let environment = environment().await;
    let audit = Audit::start_with(Arc::clone(&environment), Policy::Full, 1).unwrap();
    let observer = observer(&audit);
    // Nothing is read from the channel before this task first waits.
    assert!(observer.ended(report(StatementOutcome::Completed)).is_none());
    let waiting: Vec<_> = (0..1_000).map(|_| observer.ended(report(StatementOutcome::Completed)).expect("there is no room")).collect();
    tokio::time::timeout(PATIENCE, futures::future::join_all(waiting)).await.expect("room is made");
    until_written(&environment, 1_001).await;
    assert_eq!(events(&environment).await.len(), 1_001);
}

#[tokio::test]
async fn a_sample_waits_for_nobody_and_counts_what_it_drops() {
    let environment = environment().await;
    let audit = Audit::start_with(Arc::clone(&environment), Policy::Sampled(1.0), 2).unwrap();
    let observer = observer(&audit);
    for _ in 0..5 {
        assert!(observer.ended(report(StatementOutcome::Completed)).is_none());
    }
    assert_eq!(audit.reports.dropped.load(Ordering::Relaxed), 3);
    until_written(&environment, 2).await;
    audit.stop().await;
    assert_eq!(events(&environment).await.len(), 2);
}

#[tokio::test]
async fn a_sample_is_about_as_large_as_it_should_be() {
    assert!(!(0..100).any(|_| is_in(0.0)) && (0..100).all(|_| is_in(1.0)));
    // So far off is a fair draw once in more than a million million times.
    let drawn = (0..10_000).filter(|_| is_in(0.25)).count();
    assert!((2_190..=2_810).contains(&drawn), "{drawn}");
}

#[tokio::test]
async fn stopping_writes_what_was_reported_and_off_is_nothing_at_all() {
    let environment = environment().await;
    assert!(Audit::start(Arc::clone(&environment), Policy::Off).is_none());
    let audit = Audit::start(Arc::clone(&environment), Policy::Full).unwrap();
    let observer = observer(&audit);
    for _ in 0..300 {
        assert!(observer.ended(report(StatementOutcome::Completed)).is_none());
    }
    audit.stop().await;
    assert_eq!(events(&environment).await.len(), 300);
    assert!(observer.ended(report(StatementOutcome::Completed)).is_none(), "nobody waits for an audit that has ended");
}
