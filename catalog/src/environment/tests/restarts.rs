//! What the store remembers when the process begins again.

use super::*;

#[tokio::test]
async fn stored_tables_are_known_before_any_source_answers() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let sources = [("crm", &crm)];
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
    environment.settled(PATIENCE).await;
    let oldest = environment.history().await.unwrap()[0].clone();
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
    let schema = environment.snapshot().schemas["crm"].clone();
    assert!(schema.tables.contains_key("cust"));
    assert_eq!(schema.table("cust").unwrap_err().kind(), ErrorKind::Unreachable);
    assert!(status(&environment, "crm").stale_since.is_some_and(|since| since >= oldest.taken_at));
    environment.settled(PATIENCE).await;
    assert!(environment.snapshot().schemas["crm"].tables.contains_key("cust"));

    crm.set(&Mood::Well);
    until(&environment, in_state("crm", DatasourceState::Running)).await;
    assert!(environment.snapshot().schemas["crm"].table("cust").unwrap().is_some());
    assert_eq!(environment.history().await.unwrap().len(), 1, "it is as it was, so there is no new snapshot");
    environment.stop().await;
}

#[tokio::test]
async fn a_change_while_the_process_was_away_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let sources = [("crm", &crm)];
    for round in 0..3 {
        if round == 1 {
            crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
        }
        let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
        environment.settled(PATIENCE).await;
        let told = environment.events(0, 1000).await.unwrap();
        let drifts = told.iter().filter(|event| event.kind == "external.schema.drift").count();
        assert_eq!(drifts, usize::from(round > 0), "round {round}");
        environment.stop().await;
        environment.store().close().await;
    }
}

#[tokio::test]
async fn a_second_gateway_is_kept_off_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = ControlStore::open(folder.path()).await.unwrap();
    let refused = ControlStore::open(folder.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    store.close().await;
    drop(store);
    ControlStore::open(folder.path()).await.unwrap();
}
