//! Imports: kept, published, refused before anything is written.

use std::collections::BTreeMap;

use super::*;
use crate::import::{ImportAction, Selection};

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
    assert_eq!((planned.is_written, planned.tables[0].action), (false, ImportAction::Import));
    assert!(!environment.snapshot().schemas.contains_key("sales"));

    let report = environment.import("crm", &wanted).await.unwrap();
    assert!(report.is_written);
    assert!(environment.snapshot().schemas["sales"].table("customers").unwrap().is_some());
    let told = environment.events(0, 1000).await.unwrap().len();
    let again = environment.import("crm", &wanted).await.unwrap();
    assert_eq!((again.is_written, again.tables[0].action), (true, ImportAction::Keep), "once more is the same table");
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
    assert_eq!(broken.detail_text(), Some("public.cust: column cust_nm is gone (expected text)"));
    assert!(snapshot.schemas["crm"].table("cust").unwrap().is_some(), "what is merely exposed follows");

    let planned = environment.import("crm", &Import { dry_run: true, ..wanted.clone() }).await.unwrap();
    let accepted: Vec<String> = planned.tables[0].differences.iter().map(|found| found.describe("public.cust")).collect();
    assert_eq!(
        (planned.tables[0].action, accepted.as_slice()),
        (ImportAction::Replace, ["public.cust: column cust_nm is gone (expected text)".to_owned()].as_slice())
    );
    assert!(environment.snapshot().schemas["sales"].table("customers").is_err(), "a dry run accepts nothing");
    environment.import("crm", &wanted).await.unwrap();
    assert!(environment.snapshot().schemas["sales"].table("customers").unwrap().is_some(), "importing again accepts it");
    let customers = [("sales".to_owned(), "customers".to_owned())];
    environment.drop_imported(&customers, None, &Asking::new()).await.unwrap();
    assert!(!environment.snapshot().schemas.contains_key("sales"));
    assert_eq!(environment.drop_imported(&customers, None, &Asking::new()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let kinds: Vec<String> = environment.events(0, 1000).await.unwrap().into_iter().map(|event| event.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "external.table.imported").count(), 4);
    assert_eq!(kinds.last().unwrap(), "external.table.dropped");
    environment.stop().await;
}

#[tokio::test]
async fn a_schema_is_never_both_imported_into_and_a_remote_one() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &import(only(&["cust"]), "crm_mart")).await.unwrap();
    let written = async || environment.events(0, 1000).await.unwrap().len();
    let before = written().await;
    crm.seen.lock().unwrap().tables.push(table("mart", "m", &["a"]));
    for _ in 0..2 {
        let refused = environment.refresh("crm", None).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert_eq!(
            refused.message(),
            "schema \"crm_mart\" would be published twice: by remote schema \"mart\" of datasource \"crm\" and by imported tables"
        );
        assert!(refused.hint_text().unwrap().contains("DROP FOREIGN TABLE"));
        assert_eq!(written().await, before, "what is not published is not stored");
    }
    environment.drop_imported(&[("crm_mart".to_owned(), "cust".to_owned())], None, &Asking::new()).await.unwrap();
    environment.refresh("crm", None).await.unwrap();
    assert!(environment.snapshot().schemas["crm_mart"].tables.contains_key("m"));

    // Nor is there an import into a name that the next refresh would publish.
    crm.seen.lock().unwrap().tables.push(table("zeta", "z", &["a"]));
    let before = written().await;
    let refused = environment.import("crm", &import(only(&["cust"]), "crm_zeta")).await.unwrap_err();
    assert_eq!(refused.message(), "schema \"crm_zeta\" is the name of remote schema \"zeta\" of this datasource");
    assert_eq!(written().await, before);
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
    let refused = environment.drop_imported(&named(&["cust", "customers", "nope"]), None, &Asking::new()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.message()), (ErrorKind::NotFound, "there is no imported table sales.nope"));
    assert!(Arc::ptr_eq(&before, &environment.snapshot()));
    assert_eq!(environment.events(0, 1000).await.unwrap().len(), told);

    environment.drop_imported(&named(&["customers", "cust", "cust"]), Some("ana"), &Asking::new()).await.unwrap();
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
    environment.drop_imported(&[("sales".to_owned(), "cust".to_owned())], None, &Asking::new()).await.unwrap();
    assert_eq!(environment.imported_in(&schemas, "cust").await.unwrap(), None);
    let last = environment.events(0, 1000).await.unwrap().pop().unwrap();
    assert_eq!((last.kind.as_str(), last.datasource.as_deref()), ("external.table.dropped", Some("crm")));
    environment.stop().await;
}

#[tokio::test]
async fn an_import_leaves_what_it_does_not_name_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let crm = FakeSource::with(vec![table("public", "cust", &["id"]), table("public", "odd", &["id"]), table("public", "orders", &["id"])]);
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &import(only(&["orders"]), "sales")).await.unwrap();
    let before = environment.snapshot();
    // What is read of `orders` now cannot be read as what was published; `odd` is gone.
    crm.refused.lock().unwrap().push("orders".to_owned());
    crm.seen.lock().unwrap().tables.remove(1);
    let told = environment.events(0, 1000).await.unwrap().len();
    environment.import("crm", &import(only(&["cust"]), "sales")).await.unwrap();
    let after = environment.snapshot();
    for (schema, name) in [("crm", "odd"), ("crm", "orders"), ("sales", "orders")] {
        let tables = |snapshot: &CatalogSnapshot| Arc::clone(&snapshot.schemas[schema].tables[name].provider);
        assert!(Arc::ptr_eq(&tables(&before), &tables(&after)), "{schema}.{name}");
    }
    assert!(after.schemas["sales"].tables.contains_key("cust"));
    assert_eq!(status(&environment, "crm").omitted, []);
    let kinds: Vec<String> = environment.events(0, 1000).await.unwrap().drain(told..).map(|event| event.kind).collect();
    assert_eq!(kinds, ["external.table.imported"]);
    // A refresh is what looks at everything.
    environment.refresh("crm", None).await.unwrap();
    let refreshed = environment.snapshot();
    assert!(!refreshed.schemas["crm"].tables.contains_key("odd") && !refreshed.schemas["crm"].tables.contains_key("orders"));
    environment.stop().await;
}

#[tokio::test]
async fn a_look_of_an_import_or_a_draft_ends_in_its_time() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let timing = Timing { introspect: Duration::from_millis(50), ping: PATIENCE, ..fast() };
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_with(store, vec![datasource("crm")], &[("crm", &crm)], timing).await;
    environment.settled(PATIENCE).await;
    *crm.introspect.lock().unwrap() = Mood::Hangs;
    let wanted = import(Selection::All, "sales");
    let importing = tokio::time::timeout(PATIENCE, environment.import("crm", &wanted)).await.expect("it does not wait for another's time");
    assert_eq!(importing.unwrap_err().kind(), ErrorKind::Timeout);
    let drafting = tokio::time::timeout(PATIENCE, environment.draft("crm", None, "cust")).await.expect("nor does a draft");
    assert_eq!(drafting.unwrap_err().kind(), ErrorKind::Timeout);
    environment.stop().await;
}

#[tokio::test]
async fn a_table_that_may_not_be_read_is_not_called_missing() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let hidden = |name: &str, cause| Omission { subject: format!("public.{name}"), reason: "no SELECT on it".to_owned(), cause };
    crm.seen.lock().unwrap().omitted = vec![hidden("secret", OmissionCause::Unreadable), hidden("odd", OmissionCause::Unmapped)];
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    for (name, kind, message) in [
        ("secret", ErrorKind::Unauthorized, "permission denied for public.secret: no SELECT on it"),
        ("odd", ErrorKind::NotFound, "public.odd cannot be read: no SELECT on it"),
        ("nope", ErrorKind::NotFound, "the source has no table public.nope"),
    ] {
        let drafted = environment.draft("crm", None, name).await.unwrap_err();
        let imported = environment.import("crm", &import(only(&[name]), "sales")).await.unwrap_err();
        for error in [drafted, imported] {
            assert_eq!((error.kind(), error.message()), (kind, message));
        }
    }
    environment.stop().await;
}

#[tokio::test]
async fn a_plan_says_who_reads_the_same_table_already() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let mut renamed = import(only(&["cust"]), "sales");
    renamed.renames.insert("cust".to_owned(), "customers".to_owned());
    environment.import("crm", &renamed).await.unwrap();
    let planned = environment.import("crm", &Import { dry_run: true, ..renamed.clone() }).await.unwrap();
    assert_eq!(planned.tables[0].notes, Vec::<String>::new(), "it is that table");
    let another = environment.import("crm", &Import { dry_run: true, ..import(only(&["cust"]), "sales") }).await.unwrap();
    assert_eq!(
        (another.tables[0].action, &another.tables[0].notes[..]),
        (ImportAction::Import, &["sales.customers reads public.cust already".to_owned()][..])
    );

    crm.seen.lock().unwrap().tables[0].name = "clients".to_owned();
    let moved = environment.import("crm", &import(only(&["clients"]), "sales")).await.unwrap();
    let expected = "sales.customers reads public.cust, which is gone and had the same columns: if public.clients is its new name, drop \
                    sales.customers";
    assert_eq!(moved.tables[0].notes, [expected]);
    environment.stop().await;
}

#[tokio::test]
async fn a_change_that_is_withdrawn_while_it_waits_never_happens() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &import(only(&["cust"]), "sales")).await.unwrap();
    let told = environment.events(0, 1000).await.unwrap().len();

    // A refresh that hangs holds the datasource.
    *crm.introspect.lock().unwrap() = Mood::Hangs;
    let looked = crm.looked.load(Ordering::Relaxed);
    let refreshing = tokio::spawn({
        let environment = Arc::clone(&environment);
        async move { environment.refresh("crm", None).await }
    });
    until(&environment, |_| crm.looked.load(Ordering::Relaxed) > looked).await;

    let cust = [("sales".to_owned(), "cust".to_owned())];
    let asking = Asking::new();
    let mut dropping = Box::pin(environment.drop_imported(&cust, None, &asking));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut dropping).await.is_err(), "it waits");
    assert!(asking.withdraw());
    assert_eq!(dropping.await.unwrap_err().kind(), ErrorKind::Cancelled);
    // One whose asker is gone, and an import that waits and one whose look hangs.
    let wanted = import(only(&["cust"]), "more");
    assert!(tokio::time::timeout(Duration::from_millis(50), environment.drop_imported(&cust, None, &Asking::new())).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(50), environment.import("crm", &wanted)).await.is_err());
    refreshing.abort();
    assert!(refreshing.await.is_err());
    // The refresh whose asker is gone holds nothing any more: this import is the next to look.
    let looked = crm.looked.load(Ordering::Relaxed);
    let mut importing = Box::pin(environment.import("crm", &wanted));
    until_with(&mut importing, || crm.looked.load(Ordering::Relaxed) > looked).await;
    drop(importing);

    *crm.introspect.lock().unwrap() = Mood::Well;
    crm.seen.lock().unwrap().tables.push(table("public", "orders", &["id"]));
    // It comes after all of them.
    environment.import("crm", &import(only(&["orders"]), "last")).await.unwrap();
    let snapshot = environment.snapshot();
    assert!(snapshot.schemas["sales"].tables.contains_key("cust") && !snapshot.schemas.contains_key("more"));
    let kinds: Vec<String> = environment.events(0, 1000).await.unwrap().drain(told..).map(|event| event.kind).collect();
    assert!(!kinds.iter().any(|kind| kind == "external.table.dropped"), "{kinds:?}");
    assert_eq!(kinds.iter().filter(|kind| *kind == "external.table.imported").count(), 1, "{kinds:?}");
    environment.stop().await;
}

/// Runs work that does not end until something else has come about.
async fn until_with<T>(work: &mut (impl Future<Output = T> + Unpin), what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            assert!(tokio::time::timeout(Duration::from_millis(2), &mut *work).await.is_err(), "it ended");
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "it did not come to that");
}
