//! Imports: kept, published, refused before anything is written.

use std::collections::BTreeMap;

use super::*;
use crate::import::Selection;

pub(super) fn import(selection: Selection, into: &str) -> Import {
    Import {
        remote_schema: None,
        selection,
        into: into.to_owned(),
        renames: BTreeMap::new(),
        writable: false,
        dry_run: false,
        actor: Some("ana".to_owned()),
    }
}

pub(super) fn only(names: &[&str]) -> Selection {
    Selection::Only(names.iter().map(|name| (*name).to_owned()).collect())
}

#[tokio::test]
async fn what_is_imported_is_published_kept_and_broken_by_drift() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let sources = [("crm", &crm)];
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
    environment.settled(PATIENCE).await;
    let mut wanted = import(only(&["cust"]), "sales");
    wanted.renames.insert("cust".to_owned(), "customers".to_owned());
    let planned = environment.import("crm", &Import { dry_run: true, ..wanted.clone() }).await.unwrap();
    assert!(!planned.is_written && !planned.tables[0].is_known);
    assert!(!environment.snapshot().schemas.contains_key("sales"));

    let report = environment.import("crm", &wanted).await.unwrap();
    assert!(report.is_written);
    assert!(environment.snapshot().schemas["sales"].table("customers").unwrap().is_some());
    let told = environment.events(0, 1000).await.unwrap().len();
    let again = environment.import("crm", &wanted).await.unwrap();
    assert!(again.is_written && again.tables[0].is_known, "once more is the same table");
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), told, "and makes no event");
    let writable = Import { writable: true, ..wanted.clone() };
    for wanted in [&writable, &wanted] {
        environment.import("crm", wanted).await.unwrap();
        assert_eq!(environment.snapshot().schemas["sales"].tables["customers"].writable, wanted.writable);
    }

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    let found = environment.check_drift("crm").await.unwrap();
    assert_eq!((found.differences, found.events), (1, 1));
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    // The contract outlives the process, and what breaks it fails its own queries.
    let mut warned = datasource("crm");
    warned.validation.on_mismatch = OnMismatch::Warn;
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![warned], &sources).await;
    environment.settled(PATIENCE).await;
    let snapshot = environment.snapshot();
    let broken = snapshot.schemas["sales"].table("customers").unwrap_err();
    assert_eq!(broken.kind(), ErrorKind::SchemaMismatch);
    assert!(broken.message().ends_with("public.cust: column cust_nm is gone (expected text)"), "{broken}");
    assert!(snapshot.schemas["crm"].table("cust").unwrap().is_some(), "what is merely exposed follows");

    environment.import("crm", &wanted).await.unwrap();
    assert!(environment.snapshot().schemas["sales"].table("customers").unwrap().is_some(), "importing again accepts it");
    let customers = [("sales".to_owned(), "customers".to_owned())];
    environment.drop_imported(&customers, None).await.unwrap();
    assert!(!environment.snapshot().schemas.contains_key("sales"));
    assert_eq!(environment.drop_imported(&customers, None).await.unwrap_err().kind(), ErrorKind::NotFound);
    let kinds: Vec<String> = environment.events(0, 1000).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "external.table.imported").count(), 4);
    assert_eq!(kinds.last().unwrap(), "external.table.dropped");
    environment.stop().await;
}

#[tokio::test]
async fn an_import_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (crm, erp) = (source(), source());
    let sources = [("crm", &crm), ("erp", &erp)];
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm"), datasource("erp")], &sources).await;
    environment.settled(PATIENCE).await;
    let before = environment.events(0, 1000).await.unwrap().len();
    for (wanted, kind) in [
        (import(only(&["cust", "nope"]), "sales"), ErrorKind::NotFound),
        (import(Selection::All, "crm"), ErrorKind::Conflict),
        (import(Selection::All, "pg_catalog"), ErrorKind::Invalid),
        (Import { remote_schema: Some("nope".to_owned()), ..import(Selection::All, "sales") }, ErrorKind::NotFound),
    ] {
        assert_eq!(environment.import("crm", &wanted).await.unwrap_err().kind(), kind, "{wanted:?}");
    }
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), before);
    environment.import("crm", &import(Selection::All, "sales")).await.unwrap();
    let taken = environment.import("erp", &import(Selection::All, "sales")).await.unwrap_err();
    assert_eq!(taken.message(), "the name sales.cust is taken by public.cust of datasource \"crm\"");
    environment.stop().await;

    let fleeting = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    fleeting.settled(PATIENCE).await;
    assert_eq!(fleeting.import("crm", &import(Selection::All, "sales")).await.unwrap_err().kind(), ErrorKind::Unsupported);
    fleeting.stop().await;
}

#[tokio::test]
async fn an_import_that_cannot_be_published_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let (crm, mart) = (source(), source());
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm"), datasource("crm_mart")], &[("crm", &crm), ("crm_mart", &mart)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables.push(table("mart", "sales", &["id"]));
    let (events, snapshot) = (environment.events(0, 1000).await.unwrap().len(), environment.snapshot());
    // Its remote schema would be exposed under the name of another datasource.
    let wanted = Import { remote_schema: Some("mart".to_owned()), ..import(Selection::All, "shop") };
    assert_eq!(environment.import("crm", &wanted).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(environment.imported_in(&["shop".to_owned()], "sales").await.unwrap(), None);
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), events);
    assert!(Arc::ptr_eq(&snapshot, &environment.snapshot()));
    environment.stop().await;
}

#[tokio::test]
async fn an_import_that_cannot_be_stored_is_not_published() {
    let folder = tempfile::tempdir().unwrap();
    let (crm, erp) = (source(), source());
    let sources = [("crm", &crm), ("erp", &erp)];
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("erp")], &sources).await;
    environment.settled(PATIENCE).await;
    environment.import("erp", &import(Selection::All, "sales")).await.unwrap();
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    // The table is published no more, and its name is still taken.
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables.push(table("public", "new", &["id"]));
    let (events, snapshot) = (environment.events(0, 1000).await.unwrap().len(), environment.snapshot());
    let taken = environment.import("crm", &import(Selection::All, "sales")).await.unwrap_err();
    assert_eq!((taken.kind(), taken.code_text()), (ErrorKind::Conflict, Some(crate::NAME_TAKEN)));
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), events);
    assert!(Arc::ptr_eq(&snapshot, &environment.snapshot()));
    environment.refresh("crm", None).await.unwrap();
    assert!(!environment.snapshot().schemas.contains_key("sales"), "it is not there later either");
    environment.stop().await;
}

#[tokio::test]
async fn a_draft_is_the_yaml_of_the_table() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let draft = environment.draft("crm", None, "cust").await.unwrap();
    assert!(draft.contains("remote: public.cust\n") && draft.contains("- { name: id, type: bigint, nullable: true }"), "{draft}");
    assert_eq!(environment.draft("crm", None, "nope").await.unwrap_err().kind(), ErrorKind::NotFound);
    environment.stop().await;
}

#[tokio::test]
async fn several_tables_are_dropped_in_one_change_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (crm, erp) = (source(), source());
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm"), datasource("erp")], &[("crm", &crm), ("erp", &erp)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &import(Selection::All, "sales")).await.unwrap();
    let mut renamed = import(Selection::All, "sales");
    renamed.renames.insert("cust".to_owned(), "customers".to_owned());
    environment.import("erp", &renamed).await.unwrap();
    let named = |names: &[&str]| names.iter().map(|name| ("sales".to_owned(), (*name).to_owned())).collect::<Vec<_>>();
    let before = environment.snapshot();
    let told = environment.events(0, 1000).await.unwrap().len();
    let refused = environment.drop_imported(&named(&["cust", "customers", "nope"]), None).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::NotFound, "there is no imported table sales.nope"));
    assert!(Arc::ptr_eq(&before, &environment.snapshot()));
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), told);

    environment.drop_imported(&named(&["customers", "cust", "cust"]), Some("ana")).await.unwrap();
    let after = environment.snapshot();
    assert_eq!(
        (after.version, after.schemas.contains_key("sales")),
        (before.version + 1, false),
        "no statement sees the one without the other"
    );
    let events = environment.events(0, 1000).await.unwrap();
    let dropped: Vec<_> = events[told..].iter().map(|event| (event.kind.as_str(), event.datasource.as_deref().unwrap())).collect();
    assert_eq!(dropped, [("external.table.dropped", "crm"), ("external.table.dropped", "erp")]);
    environment.refresh("crm", None).await.unwrap();
    assert!(!environment.snapshot().schemas.contains_key("sales"), "a refresh does not bring it back");
    environment.stop().await;
}

#[tokio::test]
async fn what_was_imported_from_a_datasource_that_is_declared_no_more_can_be_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let sources = [("crm", &crm)];
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &sources).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &import(Selection::All, "sales")).await.unwrap();
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), Vec::new(), &[]).await;
    assert!(!environment.snapshot().schemas.contains_key("sales"));
    let schemas = ["public".to_owned(), "sales".to_owned()];
    assert_eq!(environment.imported_in(&schemas, "cust").await.unwrap(), Some(&schemas[1]));
    environment.drop_imported(&[("sales".to_owned(), "cust".to_owned())], None).await.unwrap();
    assert_eq!(environment.imported_in(&schemas, "cust").await.unwrap(), None);
    let last = environment.events(0, 1000).await.unwrap().pop().unwrap();
    assert_eq!((last.kind.as_str(), last.datasource.as_deref()), ("external.table.dropped", Some("crm")));
    environment.stop().await;
}
