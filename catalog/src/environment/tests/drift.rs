//! Drift: told once, after a second look, and told again when it is gone.

use super::*;
use crate::drift::Contract;
use crate::event::EventType;

async fn kinds(environment: &Environment) -> Vec<String> {
    environment.events(0, 1000).await.unwrap().into_iter().map(|event| event.kind).collect()
}

/// An environment whose `crm.cust` was imported as `sales.cust`, and the folder of its store.
async fn imported(crm: &Arc<FakeSource>) -> (Arc<Environment>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm")], &[("crm", crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
    (environment, folder)
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
        serde_json::json!([{
            "kind": "missing_column", "column": "cust_nm", "expected": "text", "actual": null, "severity": "error",
            "published": [{ "schema": "crm", "name": "cust" }], "new": true,
        }])
    );
    assert_eq!(told.data["impact"]["foreign_tables"][0]["columns"], serde_json::json!(["cust_nm"]));
    assert!(environment.snapshot().schemas["crm"].tables["cust"].columns.field_with_name("cust_nm").is_ok(), "nothing changed here");

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm"]);
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 0, events: 1, unreadable: 0 });
    let rows = environment.drift(DriftSelection::default()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].resolved_at.is_some());
    assert_eq!(rows[0].resolution.as_deref(), Some("reverted"));
    let events = drift_events(&environment).await;
    assert_eq!(events[1].kind, EventType::SchemaDriftResolved.as_str());
    assert_eq!(events[1].data["reason"], "reverted");
    environment.stop().await;
}

#[tokio::test]
async fn what_is_broken_is_what_each_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["cust"]), "old")).await.unwrap();
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm", "note"]);
    environment.import("crm", &imports::import(imports::only(&["cust"]), "new")).await.unwrap();

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    let told = drift_events(&environment).await.pop().unwrap();
    let named = |names: &[(&str, &str)]| {
        serde_json::Value::from(
            names.iter().map(|(schema, name)| serde_json::json!({ "schema": schema, "name": name })).collect::<Vec<_>>(),
        )
    };
    assert_eq!(told.data["differences"][0]["published"], named(&[("crm", "cust"), ("new", "cust")]), "{}", told.data);
    let broken: Vec<_> = told.data["impact"]["foreign_tables"].as_array().unwrap().iter().map(|t| (&t["schema"], &t["columns"])).collect();
    let note = serde_json::json!(["note"]);
    assert_eq!(broken, [(&"crm".into(), &note), (&"new".into(), &note)], "{}", told.data);
    let impact = environment.impact("crm").await.unwrap();
    let broken: Vec<_> = impact.foreign_tables.iter().map(|table| (&*table.schema, &*table.columns, table.pinned)).collect();
    let note = ["note".to_owned()];
    assert_eq!(broken, [("crm", &note[..], false), ("new", &note[..], true)]);

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm", "note", "more"]);
    environment.check_drift("crm").await.unwrap();
    let told = drift_events(&environment).await.pop().unwrap();
    assert_eq!(told.data["differences"][0]["kind"], "unmapped_column");
    assert_eq!(told.data["impact"]["foreign_tables"], serde_json::json!([]), "a column that nobody asked for breaks nothing");
    environment.stop().await;
}

#[tokio::test]
async fn what_was_about_a_dropped_table_alone_is_closed_with_it() {
    let crm = source();
    let (environment, _folder) = imported(&crm).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    environment.check_drift("crm").await.unwrap();
    // From here on the import alone misses the column.
    environment.refresh("crm", None).await.unwrap();
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &[]);
    environment.check_drift("crm").await.unwrap();
    let published = async || -> Vec<String> {
        let open = environment.drift(DriftSelection::open_of("crm")).await.unwrap();
        let shown = |row: &DriftRow| row.published.iter().map(|name| name.to_string()).collect::<Vec<_>>().join(" ");
        open.iter().map(|row| format!("{}: {}", row.column.as_deref().unwrap_or_default(), shown(row))).collect()
    };
    assert_eq!(published().await, ["cust_nm: sales.cust", "id: crm.cust sales.cust"]);
    environment.drop_imported(&[("sales".to_owned(), "cust".to_owned())], Some("ana"), &Asking::new()).await.unwrap();
    assert_eq!(published().await, ["id: crm.cust"], "the other one is still without it");
    let events = environment.events(0, 1000).await.unwrap();
    let dropped = events.iter().rfind(|event| event.kind == EventType::TableDropped.as_str()).unwrap();
    assert_eq!(dropped.subject.as_deref(), Some("public.cust"));
    let told = drift_events(&environment).await.pop().unwrap();
    assert_eq!((&*told.kind, told.actor.as_deref()), (EventType::SchemaDriftResolved.as_str(), Some("ana")));
    assert_eq!((&told.data["reason"], &told.data["differences"][0]["column"]), (&"dropped".into(), &"cust_nm".into()));
    let (narrowed, crm) = (&told.data["differences"][1], serde_json::json!([{ "schema": "crm", "name": "cust" }]));
    assert_eq!((&narrowed["column"], &narrowed["open_for"]), (&"id".into(), &crm));
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 0, unreadable: 0 });
    environment.stop().await;
}

#[tokio::test]
async fn what_goes_away_is_told_of_while_something_else_stays() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    for columns in [&["id", "extra"][..], &["id", "cust_nm", "extra"], &["id", "cust_nm"]] {
        crm.seen.lock().unwrap().tables[0] = table("public", "cust", columns);
        assert_eq!(environment.check_drift("crm").await.unwrap().events, 1, "{columns:?}");
    }
    let events = drift_events(&environment).await;
    let told: Vec<(&str, usize)> = events.iter().map(|event| (&*event.kind, event.data["differences"].as_array().unwrap().len())).collect();
    let resolved = EventType::SchemaDriftResolved.as_str();
    assert_eq!(told, [(EventType::SchemaDrift.as_str(), 2), (resolved, 1), (resolved, 1)]);
    assert_eq!(events[1].data["differences"][0]["column"], "cust_nm");

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "one"]);
    environment.check_drift("crm").await.unwrap();
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "other"]);
    environment.check_drift("crm").await.unwrap();
    let last = drift_events(&environment).await.pop().unwrap();
    assert_eq!((last.kind.as_str(), &last.data["resolved"][0]["column"]), (EventType::SchemaDrift.as_str(), &"one".into()));
    environment.stop().await;
}

#[tokio::test]
async fn a_check_that_is_overtaken_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    crm.seen.lock().unwrap().tables.push(table("public", "orders", &["id"]));
    let store = ControlStore::open(folder.path()).await.unwrap();
    // Long enough for an import to come between the two looks.
    let timing = Timing { confirm: Duration::from_millis(500), ..fast() };
    let environment = start_with(store, vec![datasource("crm")], &[("crm", &crm)], timing).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    let wanted = imports::import(imports::only(&["orders"]), "sales");
    let overtaking = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        environment.import("crm", &wanted).await
    };
    let (found, imported) = tokio::join!(environment.check_drift("crm"), overtaking);
    assert!(imported.unwrap().is_written);
    assert_eq!(found.unwrap(), DriftCheck { differences: 1, events: 1, unreadable: 0 });
    environment.stop().await;
}

#[tokio::test]
async fn a_refresh_accepts_what_is_there_and_says_so() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables.push(table("public", "new", &["id"]));
    environment.check_drift("crm").await.unwrap();
    environment.refresh("crm", None).await.unwrap();
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
    environment.refresh("crm", None).await.unwrap();
    assert_eq!(kinds(&environment).await.len(), 5, "nothing differs, so nothing happened");
    environment.stop().await;
}

#[tokio::test]
async fn a_change_that_nobody_checked_for_is_told_when_it_is_accepted() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm", "code"]);
    environment.refresh("crm", None).await.unwrap();
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

#[tokio::test]
async fn a_check_asks_two_looks_and_one_question_however_many_tables_are_gone() {
    let crm = source();
    crm.seen.lock().unwrap().tables.extend((0..50).map(|n| table("public", &format!("t{n:02}"), &["id"])));
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    {
        let mut seen = crm.seen.lock().unwrap();
        seen.tables.retain(|table| table.name == "cust");
        // Hidden from a look, and told of when it is asked for.
        crm.forbidden.lock().unwrap().push("public.t07".to_owned());
    }
    let asked = || (crm.looked.load(Ordering::Relaxed), crm.asked.load(Ordering::Relaxed));
    let before = asked();
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 49, events: 49, unreadable: 1 });
    assert_eq!(asked(), (before.0 + 2, before.1 + 1));
    environment.refresh("crm", None).await.unwrap();
    assert_eq!(asked(), (before.0 + 3, before.1 + 2), "a refresh is one look and one question");
    environment.stop().await;
}

#[tokio::test]
async fn a_check_and_a_refresh_have_one_deadline_for_all_they_ask() {
    let crm = source();
    let mut timing = fast();
    (timing.check, timing.introspect) = (Duration::from_millis(900), Duration::from_millis(900));
    let store = ControlStore::ephemeral().await.unwrap();
    let sources = [("crm", &crm)];
    let started = Environment::start_with("default", vec![datasource("crm")], registry(&sources), store, Keeping::default(), timing);
    let environment = started.await.unwrap();
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables.clear();
    // One of them is in time, two are not.
    for part in [&crm.introspect, &crm.presence] {
        *part.lock().unwrap() = Mood::Dawdles(Duration::from_millis(500));
    }
    for late in [environment.check_drift("crm").await.map(drop), environment.refresh("crm", None).await.map(drop)] {
        let late = late.unwrap_err();
        assert_eq!((late.kind(), late.datasource()), (ErrorKind::Timeout, Some("crm")), "{late}");
        assert!(late.message().ends_with("took longer than 900ms"), "{late}");
    }
    assert!(drift_events(&environment).await.is_empty(), "a source that did not answer in time has not said that a table is gone");
    environment.stop().await;
}

/// The open and the resolved differences: table, column, and why it was resolved.
async fn noted(environment: &Environment) -> Vec<String> {
    let rows = environment.drift(DriftSelection::default()).await.unwrap();
    let shown = |row: &DriftRow| {
        let column = row.column.clone().unwrap_or_default();
        format!("{} {column} {}", row.remote_table, row.resolution.as_deref().unwrap_or("open"))
    };
    rows.iter().map(shown).collect()
}

#[tokio::test]
async fn a_refresh_accepts_what_is_exposed_and_leaves_contracts_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    for name in ["contract", "follows", "imported"] {
        crm.seen.lock().unwrap().tables.push(table("public", name, &["id", "cust_nm"]));
    }
    let mut declared = datasource("crm");
    declared.validation.on_mismatch = OnMismatch::Warn;
    let mut contract = pinned("c", "contract", &[], &[]);
    contract.columns = Some(Contract::of(&table("public", "contract", &["id", "cust_nm"])).columns);
    declared.tables = vec![contract, pinned("f", "follows", &[("cust_nm", "name")], &[])];
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![declared], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["imported"]), "sales")).await.unwrap();
    for table in &mut crm.seen.lock().unwrap().tables {
        table.columns.truncate(1);
    }
    assert_eq!(environment.check_drift("crm").await.unwrap().events, 4);
    let open = ["contract cust_nm open", "cust cust_nm open", "follows cust_nm open", "imported cust_nm open"];
    assert_eq!(noted(&environment).await, open);
    for round in 0..2 {
        environment.refresh("crm", None).await.unwrap();
        let after = ["contract cust_nm open", "cust cust_nm accepted", "follows cust_nm open", "imported cust_nm open"];
        assert_eq!(noted(&environment).await, after, "round {round}");
        let snapshot = environment.snapshot();
        for (schema, name) in [("crm", "c"), ("crm", "f"), ("sales", "imported")] {
            assert_eq!(snapshot.schemas[schema].table(name).unwrap_err().kind(), ErrorKind::SchemaMismatch, "{name}");
        }
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 3, events: 0, unreadable: 0 });
    }
    for table in &mut crm.seen.lock().unwrap().tables {
        *table = crate::fake::table("public", &table.name.clone(), &["id", "cust_nm"]);
    }
    environment.refresh("crm", None).await.unwrap();
    let open = DriftSelection::open_of("crm");
    assert!(environment.drift(open).await.unwrap().is_empty(), "{:?}", noted(&environment).await);
    let reverted = noted(&environment).await.iter().filter(|row| row.ends_with("reverted")).count();
    assert_eq!(reverted, 3);
    environment.stop().await;
}

#[tokio::test]
async fn an_import_says_nothing_of_the_tables_it_does_not_import() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    crm.seen.lock().unwrap().tables.push(table("public", "orders", &["id"]));
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    environment.check_drift("crm").await.unwrap();
    environment.import("crm", &imports::import(imports::only(&["orders"]), "sales")).await.unwrap();
    assert_eq!(noted(&environment).await, ["cust cust_nm open"]);
    environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
    assert_eq!(noted(&environment).await, ["cust cust_nm accepted"]);
    environment.stop().await;
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_datasource_and_the_task_goes_on() {
    let (crm, erp) = (source(), source());
    let environment = start(vec![datasource("crm"), datasource("erp")], &[("crm", &crm), ("erp", &erp)]).await;
    environment.settled(PATIENCE).await;
    *crm.introspect.lock().unwrap() = Mood::Panics;
    let failed = environment.check_drift("crm").await.unwrap_err();
    assert_eq!((failed.kind(), failed.datasource()), (ErrorKind::Internal, Some("crm")));
    *crm.introspect.lock().unwrap() = Mood::Well;
    let checked = tokio::time::timeout(PATIENCE, environment.check_drift("crm")).await.expect("the task was begun again");
    assert_eq!(checked.unwrap(), DriftCheck::default());

    *crm.ping.lock().unwrap() = Mood::Panics;
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    let reason = status(&environment, "crm").last_error.unwrap();
    assert!(reason.contains("by a fault of Causeway"), "{reason}");
    assert_eq!(environment.snapshot().schemas["crm"].table("cust").unwrap_err().kind(), ErrorKind::Unreachable);
    assert_eq!(status(&environment, "erp").state, DatasourceState::Running);
    *crm.ping.lock().unwrap() = Mood::Well;
    until(&environment, in_state("crm", DatasourceState::Running)).await;
    assert!(environment.snapshot().schemas["crm"].table("cust").unwrap().is_some());
    environment.stop().await;
}

#[tokio::test]
async fn an_event_says_which_of_its_differences_is_new() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    for columns in [&["id", "cust_nm", "one"][..], &["id", "cust_nm", "one", "two"]] {
        crm.seen.lock().unwrap().tables[0] = table("public", "cust", columns);
        environment.check_drift("crm").await.unwrap();
    }
    let last = drift_events(&environment).await.pop().unwrap();
    let told: Vec<_> = last.data["differences"].as_array().unwrap().iter().map(|one| (&one["column"], &one["new"])).collect();
    assert_eq!(told, [(&"one".into(), &false.into()), (&"two".into(), &true.into())], "all there are, each told as new once");
    environment.stop().await;
}

#[tokio::test]
async fn a_difference_that_is_gone_for_some_tables_is_told_to_be() {
    let crm = source();
    let (environment, _folder) = imported(&crm).await;
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    environment.check_drift("crm").await.unwrap();
    let (name, one) = (|schema: &str| serde_json::json!([{ "schema": schema, "name": "cust" }]), drift_events(&environment).await.len());
    // The statement accepts it for the table that follows its source, not for the one under a contract.
    environment.refresh_tables("crm", &[("crm".to_owned(), "cust".to_owned())], Some("ana")).await.unwrap();
    let events = drift_events(&environment).await;
    assert_eq!(events.len(), one + 1, "{events:#?}");
    let told = &events[one];
    assert_eq!((&*told.kind, told.actor.as_deref()), (EventType::SchemaDriftResolved.as_str(), Some("ana")));
    let gone = &told.data["differences"][0];
    assert_eq!((&told.data["reason"], &gone["column"]), (&"accepted".into(), &"cust_nm".into()));
    assert_eq!((&gone["published"], &gone["open_for"]), (&name("crm"), &name("sales")));
    assert_eq!(noted(&environment).await, ["cust cust_nm open"]);
    environment.refresh("crm", Some("ana")).await.unwrap();
    assert_eq!(drift_events(&environment).await.len(), one + 1, "it was told already");

    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    let last = drift_events(&environment).await.pop().unwrap();
    let gone = &last.data["resolved"][0];
    assert_eq!((&gone["column"], &gone["published"], &gone["open_for"]), (&"cust_nm".into(), &name("sales"), &serde_json::json!([])));
    environment.stop().await;
}

#[tokio::test]
async fn what_is_mended_and_changed_at_once_shows_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let mut declared = datasource("crm");
    declared.expose = crate::datasource::Expose::Pinned;
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![declared], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    environment.refresh("crm", None).await.unwrap();
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", "cust_nm", "extra"]);
    environment.check_drift("crm").await.unwrap();
    let last = drift_events(&environment).await.pop().unwrap();
    let columns = |image: &str| last.data[image]["columns"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect::<Vec<_>>();
    assert_eq!((columns("before"), columns("after")), (vec!["id".into()], vec!["id".into(), "cust_nm".into(), "extra".into()]));
    environment.stop().await;
}

#[tokio::test]
async fn a_rename_that_a_statement_accepted_and_that_is_undone_is_drift() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let read = [("crm".to_owned(), "cust".to_owned())];
    let title = |name: &str| crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id", name]);
    title("title");
    environment.refresh_tables("crm", &read, Some("ana")).await.unwrap();
    title("cust_nm");
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 2, events: 1, unreadable: 0 });
    // The next statement that its source cannot run has the table as it is.
    environment.refresh_tables("crm", &read, Some("ana")).await.unwrap();
    assert!(environment.snapshot().schemas["crm"].tables["cust"].columns.field_with_name("cust_nm").is_ok());
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck::default());
    environment.stop().await;
}

#[tokio::test]
async fn a_source_marked_as_it_was_is_not_looked_at() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let looks = |of: usize| assert_eq!(crm.looked.swap(0, Ordering::Relaxed), of);
    let mark = |mark: Option<&str>| *crm.mark.lock().unwrap() = mark.map(CatalogMark::new);
    let check = async || environment.check_drift("crm").await.unwrap();
    looks(1);
    mark(Some("one"));
    for looked in [1, 0, 0] {
        assert_eq!(check().await, DriftCheck::default());
        looks(looked);
    }
    crm.seen.lock().unwrap().tables[0] = table("public", "cust", &["id"]);
    mark(Some("two"));
    assert_eq!(check().await, DriftCheck { differences: 1, events: 1, unreadable: 0 });
    looks(2);
    for looked in [1, 0] {
        assert_eq!(check().await, DriftCheck { differences: 1, events: 0, unreadable: 0 }, "it is open still");
        looks(looked);
    }
    environment.refresh("crm", None).await.unwrap();
    looks(1);
    assert_eq!(check().await, DriftCheck::default());
    looks(1);
    mark(None);
    for _ in 0..2 {
        check().await;
        looks(1);
    }
    environment.stop().await;
}

/// Each difference ever noted: kind, column, actual, resolution.
async fn resolutions(environment: &Environment) -> Vec<String> {
    let rows = environment.drift(DriftSelection::default()).await.unwrap();
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    rows.iter().map(|row| format!("{} {} {} {}", row.kind, text(&row.column), text(&row.actual), text(&row.resolution))).collect()
}

#[tokio::test]
async fn what_did_not_go_back_is_superseded() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let of_type = |remote_type: &str, nullable: bool| {
        let mut seen = crm.seen.lock().unwrap();
        seen.tables[0] = table("public", "cust", &["id", "cust_nm"]);
        seen.tables[0].columns[0].remote_type = remote_type.to_owned();
        seen.tables[0].columns[0].nullable = nullable;
    };
    of_type("text", false);
    environment.check_drift("crm").await.unwrap();
    of_type("varchar", true);
    environment.check_drift("crm").await.unwrap();
    let expected = ["type_mismatch id text superseded", "nullability_mismatch id not null reverted", "type_mismatch id varchar -"];
    assert_eq!(resolutions(&environment).await, expected);
    let told = drift_events(&environment).await.pop().unwrap();
    let told: Vec<&serde_json::Value> = told.data["resolved"].as_array().unwrap().iter().map(|one| &one["resolution"]).collect();
    assert_eq!(told, ["superseded", "reverted"]);

    // Renamed away: its column has no other type than before.
    crm.seen.lock().unwrap().tables[0] = table("public", "cust_old", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    assert!(resolutions(&environment).await.contains(&"type_mismatch id varchar superseded".to_owned()));
    of_type("bigint", true);
    environment.check_drift("crm").await.unwrap();
    let rows = resolutions(&environment).await;
    assert!(rows.iter().any(|row| row == "missing_table - - reverted"), "{rows:?}");
    assert!(rows.iter().any(|row| row == "new_table - public.cust_old reverted"), "{rows:?}");
    environment.stop().await;
}

#[tokio::test]
async fn a_contract_that_was_edited_reverts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let pin = |columns: &[&str]| {
        let columns = Contract::of(&table("public", "cust", columns)).columns;
        let mut declared = datasource("crm");
        declared.validation.on_mismatch = OnMismatch::Warn;
        declared.tables = vec![PinnedTable { columns: Some(columns), ..pinned("c", "cust", &[], &[]) }];
        declared
    };
    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![pin(&["id", "cust_nm", "email"])], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let missing = "missing_column email -";
    assert_eq!(resolutions(&environment).await, [format!("{missing} -")]);
    environment.stop().await;
    environment.store().close().await;
    drop(environment);

    let store = ControlStore::open(folder.path()).await.unwrap();
    let environment = start_on(store, vec![pin(&["id", "cust_nm"])], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    assert_eq!(resolutions(&environment).await, [format!("{missing} superseded")]);
    let told = drift_events(&environment).await.pop().unwrap();
    assert_eq!((&told.data["reason"], &told.data["differences"][0]["resolution"]), (&"superseded".into(), &"superseded".into()));
    environment.stop().await;
}
