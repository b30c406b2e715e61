//! Datasources that start late, fail, hang and come back.

use std::sync::atomic::Ordering;

mod drift;
mod hidden;
mod imports;
mod looks;
mod mending;
mod restarts;

use causeway_providers::{CatalogMark, OmissionCause};

use super::*;
use crate::datasource::{OnMismatch, PinnedTable};
use crate::fake::{FakeSource, Mood, datasource, pinned, registry, table};

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);

fn fast() -> Timing {
    Timing {
        watch: Duration::from_millis(20),
        doubt: Duration::from_millis(5),
        ping: Duration::from_millis(100),
        introspect: Duration::from_secs(10),
        check: Duration::from_secs(10),
        confirm: Duration::from_millis(1),
        first_retry: Duration::from_millis(5),
        last_retry: Duration::from_millis(20),
        last_retry_conflict: Duration::from_millis(20),
        close: Duration::from_secs(1),
    }
}

async fn start(datasources: Vec<Datasource>, sources: &[(&str, &Arc<FakeSource>)]) -> Arc<Environment> {
    start_on(ControlStore::ephemeral().await.unwrap(), datasources, sources).await
}

async fn start_on(store: ControlStore, datasources: Vec<Datasource>, sources: &[(&str, &Arc<FakeSource>)]) -> Arc<Environment> {
    start_with(store, datasources, sources, fast()).await
}

async fn start_with(
    store: ControlStore,
    datasources: Vec<Datasource>,
    sources: &[(&str, &Arc<FakeSource>)],
    timing: Timing,
) -> Arc<Environment> {
    Environment::start_with("default", datasources, registry(sources), store, Keeping::default(), timing).await.unwrap()
}

fn source() -> Arc<FakeSource> {
    FakeSource::with(vec![table("public", "cust", &["id", "cust_nm"])])
}

fn status(environment: &Environment, name: &str) -> DatasourceStatus {
    environment.datasources().into_iter().find(|status| status.datasource.name == name).unwrap()
}

async fn until(environment: &Environment, what: impl Fn(&Environment) -> bool) {
    let waiting = async {
        while !what(environment) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "it did not come to that: {:?}", environment.datasources());
}

fn in_state(name: &'static str, state: DatasourceState) -> impl Fn(&Environment) -> bool {
    move |environment| status(environment, name).state == state
}

#[tokio::test]
async fn a_datasource_that_is_down_harms_no_other_and_heals_by_itself() {
    let (good, bad) = (source(), source());
    bad.set(&Mood::Refuses(ErrorKind::Unreachable));
    let environment = start(vec![datasource("good"), datasource("bad")], &[("good", &good), ("bad", &bad)]).await;
    environment.settled(PATIENCE).await;

    assert_eq!(status(&environment, "good").state, DatasourceState::Running);
    let failed = status(&environment, "bad");
    assert_eq!(failed.state, DatasourceState::Error);
    assert_eq!(failed.last_error.as_deref(), Some("connection refused"));
    assert_eq!(failed.stale_since, None, "nothing is known of it that could be stale");
    let snapshot = environment.snapshot();
    assert!(snapshot.schemas["good"].tables.contains_key("cust"));
    assert!(snapshot.schemas["good"].unavailable.is_none());
    let reason = snapshot.schemas["bad"].unavailable.as_ref().unwrap();
    assert_eq!((reason.kind(), reason.datasource()), (ErrorKind::Unreachable, Some("bad")));
    assert_eq!(reason.message(), "the datasource is not available: connection refused");

    bad.set(&Mood::Well);
    until(&environment, in_state("bad", DatasourceState::Running)).await;
    let healed = environment.snapshot();
    assert!(healed.schemas["bad"].unavailable.is_none());
    assert!(healed.schemas["bad"].tables.contains_key("cust"));
    assert_eq!(status(&environment, "bad").last_error, None);
    assert!(snapshot.schemas["bad"].tables.is_empty(), "a pinned snapshot never changes");
    environment.stop().await;
}

#[tokio::test]
async fn an_outage_keeps_the_tables_known_and_says_since_when() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    let schema = environment.snapshot().schemas["crm"].clone();
    assert!(schema.tables.contains_key("cust"));
    assert_eq!(schema.unavailable.as_ref().unwrap().kind(), ErrorKind::Unreachable);
    let since = status(&environment, "crm").stale_since.unwrap();
    until(&environment, |e| status(e, "crm").stale_since == Some(since)).await;

    crm.seen.lock().unwrap().tables.push(table("public", "new", &["id"]));
    crm.set(&Mood::Well);
    until(&environment, in_state("crm", DatasourceState::Running)).await;
    assert_eq!(status(&environment, "crm").stale_since, None);
    let schema = environment.snapshot().schemas["crm"].clone();
    assert!(schema.unavailable.is_none());
    assert!(schema.tables.contains_key("new"), "it was read anew");
    environment.stop().await;
}

#[tokio::test]
async fn one_late_ping_is_no_outage_and_three_are() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    *crm.ping.lock().unwrap() = Mood::Hangs;
    let before = crm.pinged.load(Ordering::Relaxed);
    until(&environment, |_| crm.pinged.load(Ordering::Relaxed) == before + 2).await;
    let doubted = status(&environment, "crm");
    assert_eq!(doubted.state, DatasourceState::Running);
    assert_eq!(doubted.last_error.as_deref(), Some("a ping took longer than 100ms"), "whoever looks may know");
    *crm.ping.lock().unwrap() = Mood::Well;
    until(&environment, |environment| status(environment, "crm").last_error.is_none()).await;
    assert_eq!(status(&environment, "crm").state, DatasourceState::Running);
    *crm.ping.lock().unwrap() = Mood::Hangs;
    *crm.open.lock().unwrap() = Mood::Refuses(ErrorKind::Unreachable);
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    environment.stop().await;
}

#[tokio::test]
async fn a_source_that_hangs_while_opening_is_given_up_and_can_be_stopped() {
    let crm = source();
    *crm.open.lock().unwrap() = Mood::Hangs;
    let mut slow = datasource("crm");
    slow.options.pool.connect_timeout = Duration::ZERO;
    let environment = start(vec![slow], &[("crm", &crm)]).await;
    assert_eq!(status(&environment, "crm").state, DatasourceState::Starting);
    assert_eq!(environment.snapshot().schemas["crm"].unavailable.as_ref().unwrap().message(), "the datasource has not been opened yet");
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    assert_eq!(status(&environment, "crm").last_error.as_deref(), Some("connecting took longer than 2 seconds"));
    assert!(tokio::time::timeout(PATIENCE, environment.stop()).await.is_ok());
    assert_eq!(status(&environment, "crm").state, DatasourceState::Stopped);
}

#[tokio::test]
async fn failing_to_list_tables_closes_what_was_opened() {
    let crm = source();
    *crm.introspect.lock().unwrap() = Mood::Refuses(ErrorKind::Unauthorized);
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    until(&environment, |_| crm.closed.load(Ordering::Relaxed) >= 2).await;
    assert_eq!(status(&environment, "crm").state, DatasourceState::Error);
    let told = environment.snapshot().schemas["crm"].unavailable.clone().unwrap();
    assert_eq!(told.kind(), ErrorKind::Unreachable, "a statement cannot do more about it than wait");
    environment.stop().await;
    assert_eq!(crm.closed.load(Ordering::Relaxed), crm.opened.load(Ordering::Relaxed));
}

#[tokio::test]
async fn refresh_swaps_atomically_counts_and_keeps_the_old_on_failure() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let before = environment.snapshot();
    assert!(Arc::ptr_eq(&before, &environment.snapshot()));
    crm.seen.lock().unwrap().tables.push(table("mart", "sales", &["id"]));
    assert_eq!(environment.refresh("crm", None).await.unwrap(), 2);
    assert!(environment.snapshot().schemas["crm_mart"].tables.contains_key("sales"));
    assert!(!before.schemas.contains_key("crm_mart"));

    *crm.introspect.lock().unwrap() = Mood::Refuses(ErrorKind::Failed);
    assert_eq!(environment.refresh("crm", None).await.unwrap_err().kind(), ErrorKind::Failed);
    assert!(environment.snapshot().schemas.contains_key("crm_mart"));
    assert_eq!(status(&environment, "crm").state, DatasourceState::Running, "only pings decide");
    let unknown = environment.refresh("nope", None).await.unwrap_err();
    assert_eq!((unknown.kind(), unknown.hint_text()), (ErrorKind::NotFound, Some("there are: crm")));
    environment.stop().await;
    assert_eq!(environment.refresh("crm", None).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn refresh_opens_a_failed_datasource_at_once() {
    let crm = source();
    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    let mut timing = fast();
    timing.first_retry = Duration::from_secs(3600);
    timing.last_retry = timing.first_retry;
    let store = ControlStore::ephemeral().await.unwrap();
    let started =
        Environment::start_with("default", vec![datasource("crm")], registry(&[("crm", &crm)]), store, Keeping::default(), timing);
    let environment = started.await.unwrap();
    environment.settled(PATIENCE).await;
    assert_eq!(environment.refresh("crm", None).await.unwrap_err().kind(), ErrorKind::Unreachable);
    crm.set(&Mood::Well);
    let refreshed = tokio::time::timeout(PATIENCE, environment.refresh("crm", None)).await.unwrap();
    assert_eq!(refreshed.unwrap(), 1);
    assert_eq!(status(&environment, "crm").state, DatasourceState::Running);
    environment.stop().await;
}

fn with_pin(on_mismatch: OnMismatch, pin: PinnedTable) -> Datasource {
    let mut crm = datasource("crm");
    crm.validation.on_mismatch = on_mismatch;
    crm.tables = vec![pin];
    crm
}

#[tokio::test]
async fn a_mismatch_stops_the_datasource_only_when_it_shall() {
    let crm = source();
    let sources = [("crm", &crm)];
    let failing = start(vec![with_pin(OnMismatch::Fail, pinned("c", "cust", &[("absent", "x")], &[]))], &sources).await;
    failing.settled(PATIENCE).await;
    let failed = status(&failing, "crm");
    assert_eq!(failed.state, DatasourceState::Error);
    assert_eq!(failed.last_error.as_deref(), Some("EXTERNAL_SCHEMA_MISMATCH: pinned table \"c\": public.cust has no column absent"));
    assert_eq!(failed.mismatches, ["pinned table \"c\": public.cust has no column absent"]);
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "absent"]);
    until(&failing, in_state("crm", DatasourceState::Running)).await;
    assert!(status(&failing, "crm").mismatches.is_empty());

    // Once it runs, a mismatch fails the table's own queries from the next refresh on.
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    failing.refresh("crm", None).await.unwrap();
    assert_eq!(status(&failing, "crm").mismatches.len(), 1);
    assert_eq!(status(&failing, "crm").state, DatasourceState::Running);
    assert_eq!(failing.snapshot().schemas["crm"].table("c").unwrap_err().kind(), ErrorKind::SchemaMismatch);
    failing.stop().await;

    for on_mismatch in [OnMismatch::Warn, OnMismatch::Ignore] {
        let environment = start(vec![with_pin(on_mismatch, pinned("c", "absent", &[], &[]))], &sources).await;
        environment.settled(PATIENCE).await;
        let told = status(&environment, "crm");
        assert_eq!((told.state, told.mismatches.len()), (DatasourceState::Running, 1));
        assert_eq!(environment.snapshot().schemas["crm"].tables.keys().collect::<Vec<_>>(), ["cust"]);
        environment.stop().await;
    }
}

#[tokio::test]
async fn a_clash_of_schemas_fails_the_one_that_came_to_it() {
    let (crm, mart) = (source(), source());
    crm.seen.lock().unwrap().tables.push(table("mart", "sales", &["id"]));
    let environment = start(vec![datasource("crm"), datasource("crm_mart")], &[("crm", &crm), ("crm_mart", &mart)]).await;
    environment.settled(PATIENCE).await;
    assert_eq!(status(&environment, "crm_mart").state, DatasourceState::Running);
    let failed = status(&environment, "crm");
    assert_eq!(failed.state, DatasourceState::Error);
    let text = failed.last_error.unwrap();
    assert!(text.contains("remote schema \"mart\" of datasource \"crm\" and by ") && text.contains("\"crm_mart\""), "{text}");
    environment.stop().await;
}

#[tokio::test]
async fn stopping_closes_what_is_open_and_dropping_ends_the_tasks() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.stop().await;
    assert_eq!(crm.closed.load(Ordering::Relaxed), 1);
    assert_eq!(environment.snapshot().schemas["crm"].unavailable.as_ref().unwrap().message(), "the datasource was stopped");

    let other = source();
    let dropped = start(vec![datasource("crm")], &[("crm", &other)]).await;
    dropped.settled(PATIENCE).await;
    let tasks = dropped.tasks.clone();
    drop(dropped);
    assert!(tokio::time::timeout(PATIENCE, tasks.wait()).await.is_ok());
    assert_eq!(other.closed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_unknown_connector_is_an_error_of_that_datasource() {
    let mut odd = datasource("crm");
    odd.connector = "oracle".to_owned();
    let environment = start(vec![odd], &[]).await;
    environment.settled(PATIENCE).await;
    assert_eq!(status(&environment, "crm").last_error.as_deref(), Some("no connector \"oracle\" in this build: it has fake"));
    environment.stop().await;
}
