//! Tables that break their contract: who is told what, and how they come back.

use super::*;
use crate::drift::Contract;
use crate::store::DriftRow;

/// A pinned table under the contract of these columns.
fn contracted(name: &str, remote: &str, columns: &[&str]) -> PinnedTable {
    let columns = Contract::of(&table("public", remote, columns)).columns;
    PinnedTable { columns: Some(columns), ..pinned(name, remote, &[], &[]) }
}

fn change(source: &FakeSource, name: &str, columns: &[&str]) {
    let mut seen = source.seen.lock().unwrap();
    seen.tables.retain(|table| table.name != name);
    seen.tables.push(table("public", name, columns));
}

/// What a statement that names a table is told; `None` when it can be read.
fn told(environment: &Environment, schema: &str, name: &str) -> Option<(ErrorKind, String)> {
    let refused = environment.snapshot().schemas[schema].table(name).map(|found| assert!(found.is_some(), "there is no {schema}.{name}"));
    refused.err().map(|error| (error.kind(), error.message().to_owned()))
}

async fn open(environment: &Environment) -> Vec<String> {
    environment.drift(DriftSelection::open_of("crm")).await.unwrap().iter().map(DriftRow::describe).collect()
}

#[tokio::test]
async fn a_mended_source_mends_its_tables_and_nothing_else_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    for name in ["contract", "follows", "imported"] {
        change(&crm, name, &["id", "cust_nm"]);
    }
    let mut declared = datasource("crm");
    declared.tables = vec![contracted("c", "contract", &["id", "cust_nm"]), pinned("f", "follows", &[("cust_nm", "name")], &[])];
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![declared], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["imported"]), "sales")).await.unwrap();
    let tables = [("crm", "c"), ("crm", "f"), ("sales", "imported")];
    for name in ["contract", "follows", "imported"] {
        change(&crm, name, &["id"]);
    }
    environment.refresh("crm", None).await.unwrap();
    for (schema, name) in tables {
        assert_eq!(told(&environment, schema, name).unwrap().0, ErrorKind::SchemaMismatch, "{name}");
    }
    let before = environment.snapshot();

    // One of them is broken otherwise now, and a table that is merely exposed drifts.
    change(&crm, "cust", &["id"]);
    change(&crm, "contract", &["cust_nm"]);
    change(&crm, "follows", &["id", "cust_nm"]);
    change(&crm, "imported", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    assert_eq!((told(&environment, "crm", "f"), told(&environment, "sales", "imported")), (None, None));
    let (kind, text) = told(&environment, "crm", "c").unwrap();
    assert_eq!(kind, ErrorKind::SchemaMismatch);
    assert!(text.ends_with("public.contract: column id is gone (expected bigint)"), "what differs is what differs now: {text}");
    let after = environment.snapshot();
    for name in ["cust", "imported"] {
        assert!(Arc::ptr_eq(&before.schemas["crm"].tables[name], &after.schemas["crm"].tables[name]), "{name} is as it was accepted");
    }
    assert_eq!(status(&environment, "crm").mismatches.len(), 1);
    assert_eq!(
        open(&environment).await,
        [
            "error    public.contract: column id is gone (expected bigint)",
            "error    public.cust: column cust_nm is gone (expected text)",
            "warning  public.imported: column cust_nm is new (text)",
        ]
    );

    change(&crm, "contract", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    assert_eq!(told(&environment, "crm", "c"), None);
    assert!(status(&environment, "crm").mismatches.is_empty());
    // What a check has mended an import of something else leaves so.
    environment.import("crm", &imports::import(imports::only(&["cust"]), "other")).await.unwrap();
    for (schema, name) in tables {
        assert_eq!(told(&environment, schema, name), None, "{name}");
    }
    let version = environment.snapshot().version;
    environment.check_drift("crm").await.unwrap();
    assert_eq!(environment.snapshot().version, version, "what is well is not published again");
    environment.stop().await;
}

#[tokio::test]
async fn what_did_not_match_at_a_start_is_mended_by_a_check() {
    let crm = source();
    let mut declared = datasource("crm");
    declared.validation.on_mismatch = OnMismatch::Warn;
    declared.tables = vec![contracted("late", "late", &["id"]), contracted("c", "cust", &["id", "absent"])];
    let environment = start(vec![declared], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let late = told(&environment, "crm", "late").unwrap();
    assert_eq!(
        late,
        (ErrorKind::SchemaMismatch, "EXTERNAL_SCHEMA_MISMATCH: pinned table \"late\": the source has no table public.late".to_owned())
    );
    change(&crm, "late", &["id"]);
    change(&crm, "cust", &["id", "absent"]);
    environment.check_drift("crm").await.unwrap();
    assert_eq!((told(&environment, "crm", "late"), told(&environment, "crm", "c")), (None, None));
    environment.stop().await;
}

#[tokio::test]
async fn a_refused_start_tells_each_table_its_own_reason() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    for name in ["contract", "broken", "sound"] {
        change(&crm, name, &["id", "cust_nm"]);
    }
    let declared = || {
        let mut declared = datasource("crm");
        declared.tables = vec![contracted("c", "contract", &["id", "cust_nm"])];
        declared
    };
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![declared()], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["broken", "sound"]), "sales")).await.unwrap();
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    change(&crm, "contract", &["id"]);
    change(&crm, "broken", &["cust_nm"]);
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![declared()], &[("crm", &crm)]).await;
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    let text = status(&environment, "crm").last_error.unwrap();
    assert_eq!(text, "EXTERNAL_SCHEMA_MISMATCH: pinned table \"c\": public.contract: column cust_nm is gone (expected text)");
    let mismatch = |text: &str| Some((ErrorKind::SchemaMismatch, format!("EXTERNAL_SCHEMA_MISMATCH: pinned table {text}")));
    assert_eq!(told(&environment, "crm", "c"), mismatch("\"c\": public.contract: column cust_nm is gone (expected text)"));
    assert_eq!(told(&environment, "sales", "broken"), mismatch("\"sales.broken\": public.broken: column id is gone (expected bigint)"));
    for (schema, name) in [("crm", "cust"), ("sales", "sound")] {
        let (kind, told) = told(&environment, schema, name).unwrap();
        assert_eq!((kind, told), (ErrorKind::Unreachable, format!("the datasource is not available: {text}")), "{name}");
    }
    // A check cannot be had; what the start found is known.
    let refused = environment.check_drift("crm").await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::SchemaMismatch, &*text));
    assert!(open(&environment).await.contains(&"error    public.contract: column cust_nm is gone (expected text)".to_owned()));
    change(&crm, "contract", &["id", "cust_nm"]);
    until(&environment, in_state("crm", DatasourceState::Running)).await;
    for (schema, name) in [("crm", "c"), ("crm", "cust"), ("sales", "sound")] {
        assert_eq!(told(&environment, schema, name), None, "{name}");
    }
    environment.stop().await;
}

#[tokio::test]
async fn what_was_stored_is_no_verdict_on_a_source_that_is_down() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
    change(&crm, "cust", &["id"]);
    environment.refresh("crm", None).await.unwrap();
    let broken = told(&environment, "sales", "cust").unwrap();
    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    assert_eq!(told(&environment, "sales", "cust"), Some(broken), "it is broken whether or not it can be reached");
    assert_eq!(told(&environment, "crm", "cust").unwrap().0, ErrorKind::Unreachable);
    environment.stop().await;
    environment.store().close().await;
    drop(environment);
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    assert_eq!(told(&environment, "sales", "cust").unwrap().0, ErrorKind::Unreachable, "it may have been mended since");
    environment.stop().await;
}
