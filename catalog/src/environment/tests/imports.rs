//! Imports: kept, published, refused before anything is written.

use std::collections::BTreeMap;

use super::*;
use crate::import::Selection;

fn import(selection: Selection, into: &str) -> Import {
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

fn only(names: &[&str]) -> Selection {
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
    assert!(environment.import("crm", &wanted).await.unwrap().tables[0].is_known, "once more is the same table");

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
    assert_eq!(kinds.iter().filter(|kind| *kind == "external.table.imported").count(), 3);
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
async fn a_draft_is_the_yaml_of_the_table() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let draft = environment.draft("crm", None, "cust").await.unwrap();
    assert!(draft.contains("remote: public.cust\n") && draft.contains("- { name: id, type: bigint, nullable: true }"), "{draft}");
    assert_eq!(environment.draft("crm", None, "nope").await.unwrap_err().kind(), ErrorKind::NotFound);
    environment.stop().await;
}
