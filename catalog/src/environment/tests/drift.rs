//! Drift: told once, after a second look, and told again when it is gone.

use super::*;
use crate::event::EventType;

async fn kinds(environment: &Environment) -> Vec<String> {
    environment.events(0, 1000).await.unwrap().into_iter().map(|event| event.kind).collect()
}

async fn drift_events(environment: &Environment) -> Vec<Event> {
    let mut events = environment.events(0, 1000).await.unwrap();
    events.retain(|event| event.kind.starts_with("external.schema.drift"));
    events
}

#[tokio::test]
async fn each_change_is_told_by_one_event_with_both_images() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    for _ in 0..3 {
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck::default());
    }
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    let found = environment.check_drift("crm").await.unwrap();
    assert_eq!(found, DriftCheck { differences: 1, events: 1, unreadable: 0 });
    assert_eq!(environment.check_drift("crm").await.unwrap().events, 0, "it was told already");

    let events = drift_events(&environment).await;
    assert_eq!(events.len(), 1);
    let told = &events[0];
    assert_eq!((told.kind.as_str(), told.subject.as_deref()), ("external.schema.drift", Some("public.cust")));
    assert_eq!(told.data["before"]["columns"][1]["name"], "cust_nm");
    assert_eq!(told.data["after"]["columns"].as_array().unwrap().len(), 1);
    assert_eq!(
        told.data["differences"],
        serde_json::json!([{ "kind": "missing_column", "column": "cust_nm", "expected": "text", "actual": null, "severity": "error" }])
    );
    assert_eq!(told.data["impact"]["foreign_tables"][0]["columns"], serde_json::json!(["cust_nm"]));
    assert!(environment.snapshot().schemas["crm"].tables["cust"].columns.field_with_name("cust_nm").is_ok(), "nothing changed here");

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm"]);
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 0, events: 1, unreadable: 0 });
    let rows = environment.drift().await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].resolved_at.is_some());
    let events = drift_events(&environment).await;
    assert_eq!(events[1].kind, EventType::SchemaDriftResolved.as_str());
    assert_eq!(events[1].data["reason"], "reverted");
    environment.stop().await;
}

#[tokio::test]
async fn a_refresh_accepts_what_is_there_and_says_so() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables.push(table("public", "new", &["id"]));
    environment.check_drift("crm").await.unwrap();
    environment.refresh("crm").await.unwrap();
    assert_eq!(
        kinds(&environment).await,
        [
            "external.catalog.refreshed",
            "datasource.started",
            "external.schema.drift",
            "external.schema.drift.resolved",
            "external.catalog.refreshed",
        ]
    );
    let events = environment.events(0, 1000).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(events[3].data["reason"], "accepted");
    let history = environment.history().await.unwrap();
    assert_eq!(history.iter().map(|snapshot| snapshot.version).collect::<Vec<_>>(), [1, 2]);
    let difference = environment.difference("crm", 1, 2).await.unwrap();
    assert_eq!(difference.to_string(), "warning  public.new: the table is new\n");
    assert_eq!(environment.difference("crm", 1, 9).await.unwrap_err().kind(), ErrorKind::NotFound);
    environment.refresh("crm").await.unwrap();
    assert_eq!(kinds(&environment).await.len(), 5, "nothing differs, so nothing happened");
    environment.stop().await;
}

#[tokio::test]
async fn a_change_that_nobody_checked_for_is_told_when_it_is_accepted() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm", "code"]);
    environment.refresh("crm").await.unwrap();
    let events = drift_events(&environment).await;
    assert_eq!(
        events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>(),
        ["external.schema.drift", "external.schema.drift.resolved"]
    );
    environment.stop().await;
}

#[tokio::test]
async fn what_may_not_be_read_any_more_is_not_gone() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    {
        let mut seen = crm.seen.lock().unwrap();
        let taken = seen.tables.remove(0);
        let omission = Omission {
            subject: format!("{}.{}", taken.schema, taken.name),
            reason: "no SELECT privilege".to_owned(),
            cause: causeway_providers::OmissionCause::Unreadable,
        };
        seen.omitted.push(omission);
    }
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 0, events: 0, unreadable: 1 });
    assert_eq!(status(&environment, "crm").omitted.len(), 1);
    crm.seen.lock().unwrap().omitted.clear();
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 1, unreadable: 0 });
    environment.stop().await;
}

#[tokio::test]
async fn a_source_that_is_down_or_hangs_has_no_drift() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    *crm.introspect.lock().unwrap() = Mood::Refuses(ErrorKind::Unreachable);
    assert_eq!(environment.check_drift("crm").await.unwrap_err().kind(), ErrorKind::Unreachable);
    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    assert_eq!(environment.check_drift("crm").await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert!(drift_events(&environment).await.is_empty());
    environment.stop().await;
}

#[tokio::test]
async fn a_timer_checks_and_one_that_hangs_holds_up_no_other() {
    let (crm, slow) = (source(), source());
    let timed = |name: &str| {
        let mut datasource = datasource(name);
        datasource.validation.check_interval = Some(Duration::from_millis(10));
        datasource
    };
    let environment = start(vec![timed("crm"), timed("slow")], &[("crm", &crm), ("slow", &slow)]).await;
    environment.settled(PATIENCE).await;
    *slow.introspect.lock().unwrap() = Mood::Hangs;
    crm.seen.lock().unwrap().tables.clear();
    let telling = async {
        while drift_events(&environment).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, telling).await.is_ok(), "the timer found it");
    let events = drift_events(&environment).await;
    assert_eq!(events[0].data["differences"][0]["kind"], "missing_table");
    assert!(tokio::time::timeout(PATIENCE, environment.stop()).await.is_ok());
}
