//! What our user may not read any more: neither gone nor changed, told as what it is, and there again with the privilege.

use super::*;
use crate::drift::Contract;
use crate::store::DriftRow;

/// How a source tells what may not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Telling {
    /// A look lists it.
    Listed,
    /// A look leaves it out, and the source says so when it is asked for by name.
    WhenAsked,
}

impl FakeSource {
    /// Takes the privilege on a table of `public`, or on a column of it.
    fn hide(&self, telling: Telling, name: &str, column: Option<&str>) {
        let mut seen = self.seen.lock().unwrap();
        let subject = match column {
            Some(column) => {
                let table = seen.tables.iter_mut().find(|table| table.name == name).unwrap();
                table.columns.retain(|known| known.name != column);
                if table.primary_key.iter().any(|key| key == column) {
                    table.primary_key.clear();
                }
                Subject::column("public", name, column)
            }
            None => {
                seen.tables.retain(|table| table.name != name);
                Subject::table("public", name)
            }
        };
        let subject = subject.to_string();
        match telling {
            Telling::Listed => {
                let reason = "no SELECT privilege".to_owned();
                seen.omitted.push(Omission { subject, reason, cause: OmissionCause::Unreadable });
            }
            Telling::WhenAsked => self.forbidden.lock().unwrap().push(subject),
        }
    }

    /// Grants everything, on a table of these columns.
    fn show(&self, name: &str, columns: &[&str]) {
        self.forbidden.lock().unwrap().clear();
        let mut seen = self.seen.lock().unwrap();
        seen.omitted.clear();
        seen.tables.retain(|table| table.name != name);
        seen.tables.push(table("public", name, columns));
    }
}

const BOTH: [Telling; 2] = [Telling::Listed, Telling::WhenAsked];

/// The events of drift after number `after`: type, and the kinds of what they tell as new or gone.
async fn told(environment: &Environment, after: usize) -> Vec<String> {
    let mut events = environment.events(0, 1000).await.unwrap();
    events.retain(|event| event.kind.starts_with("external.schema.drift"));
    let shown = |event: &Event| {
        let differences = event.data["differences"].as_array().unwrap();
        let kinds = differences.iter().filter(|one| one["new"] != false).map(|one| one["kind"].as_str().unwrap());
        format!("{} {}", event.kind.trim_start_matches("external.schema."), kinds.collect::<Vec<_>>().join(" "))
    };
    events.iter().skip(after).map(shown).collect()
}

async fn open(environment: &Environment) -> Vec<String> {
    environment.drift(DriftSelection::open_of("crm")).await.unwrap().iter().map(DriftRow::describe).collect()
}

fn omitted(environment: &Environment) -> Vec<String> {
    status(environment, "crm").omitted.into_iter().map(|omission| omission.subject).collect()
}

fn of_statement(environment: &Environment, schema: &str, name: &str) -> Option<(ErrorKind, String)> {
    let refused = environment.snapshot().schemas[schema].table(name).map(|found| assert!(found.is_some(), "there is no {schema}.{name}"));
    refused.err().map(|error| (error.kind(), error.message().to_owned()))
}

#[tokio::test]
async fn a_column_we_may_not_read_any_more_is_not_gone() {
    for telling in BOTH {
        let crm = source();
        let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        crm.hide(telling, "cust", Some("cust_nm"));
        let asked = || (crm.looked.load(Ordering::Relaxed), crm.asked.load(Ordering::Relaxed));
        for round in 0..3 {
            let before = asked();
            let hidden = DriftCheck { differences: 0, events: 0, unreadable: 1 };
            assert_eq!(environment.check_drift("crm").await.unwrap(), hidden, "{telling:?}, {round}");
            assert_eq!(omitted(&environment), ["public.cust.cust_nm"], "{telling:?}, {round}");
            let after = asked();
            assert!(after.0 + after.1 <= before.0 + before.1 + 3, "three statements at most");
        }
        // A column beside it that is really gone is told as that, whatever is hidden.
        crm.seen.lock().unwrap().tables[0].columns.clear();
        assert_eq!(environment.check_drift("crm").await.unwrap().events, 1, "{telling:?}");
        assert_eq!(told(&environment, 0).await, ["drift missing_column"], "{telling:?}");
        crm.show("cust", &["id", "cust_nm"]);
        environment.check_drift("crm").await.unwrap();
        assert!(omitted(&environment).is_empty(), "{telling:?}");

        crm.hide(telling, "cust", Some("cust_nm"));
        environment.check_drift("crm").await.unwrap();
        // It is dropped while nobody may read it.
        crm.forbidden.lock().unwrap().clear();
        crm.seen.lock().unwrap().omitted.clear();
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 1, unreadable: 0 }, "{telling:?}");
        assert_eq!(open(&environment).await, ["error    public.cust: column cust_nm is gone (expected text)"]);
        environment.stop().await;
    }
}

#[tokio::test]
async fn a_refresh_keeps_knowing_what_is_hidden() {
    for telling in BOTH {
        let crm = source();
        let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        crm.hide(telling, "cust", Some("cust_nm"));
        environment.refresh("crm", None).await.unwrap();
        let events = environment.events(0, 1000).await.unwrap().len();
        for _ in 0..2 {
            environment.refresh("crm", None).await.unwrap();
            environment.check_drift("crm").await.unwrap();
            assert_eq!(omitted(&environment), ["public.cust.cust_nm"], "{telling:?}");
        }
        assert_eq!(environment.events(0, 1000).await.unwrap().len(), events, "{telling:?}: nothing differs, so nothing happened");
        crm.show("cust", &["id", "cust_nm"]);
        environment.check_drift("crm").await.unwrap();
        assert_eq!(told(&environment, 0).await, ["drift unmapped_column"], "{telling:?}");
        environment.stop().await;
    }
}

#[tokio::test]
async fn what_is_open_stays_so_while_it_cannot_be_read() {
    for (telling, column) in BOTH.into_iter().flat_map(|telling| [Some("code"), None].map(|column| (telling, column))) {
        let crm = source();
        crm.show("cust", &["id", "code"]);
        crm.seen.lock().unwrap().tables[0].primary_key = vec!["id".to_owned(), "code".to_owned()];
        let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        let changed = || {
            crm.show("cust", &["id", "code", "extra"]);
            let mut seen = crm.seen.lock().unwrap();
            seen.tables[0].columns[1].remote_type = "bigint".to_owned();
            seen.tables[0].primary_key = vec!["code".to_owned()];
            seen.tables.push(table("public", "fresh", &["id"]));
        };
        changed();
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 4, events: 2, unreadable: 0 });
        let before = open(&environment).await;
        assert!(before.iter().any(|one| one.contains("primary key")), "{before:?}");
        crm.hide(telling, "cust", column);
        crm.hide(telling, "fresh", None);
        for _ in 0..2 {
            assert_eq!(environment.check_drift("crm").await.unwrap().events, 0, "{telling:?} {column:?}");
            assert_eq!(open(&environment).await, before, "{telling:?} {column:?}");
        }
        changed();
        assert_eq!(environment.check_drift("crm").await.unwrap().events, 0, "{telling:?} {column:?}");
        assert_eq!(open(&environment).await, before);
        environment.stop().await;
    }
}

#[tokio::test]
async fn tables_under_a_contract_say_that_permission_is_denied_and_are_mended_by_the_grant() {
    for (telling, column) in BOTH.into_iter().flat_map(|telling| [Some("cust_nm"), None].map(|column| (telling, column))) {
        let folder = tempfile::tempdir().unwrap();
        let crm = source();
        let mut declared = datasource("crm");
        let columns = Contract::of(&table("public", "cust", &["id", "cust_nm"])).columns;
        declared.tables = vec![PinnedTable { columns: Some(columns), ..pinned("c", "cust", &[], &[]) }];
        let store = ControlStore::open(folder.path()).await.unwrap();
        let environment = start_on(store, vec![declared.clone()], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
        crm.hide(telling, "cust", column);
        environment.refresh("crm", None).await.unwrap();
        let subject = column.map_or("public.cust".to_owned(), |column| format!("public.cust.{column}"));
        for (schema, name) in [("crm", "c"), ("sales", "cust")] {
            let (kind, text) = of_statement(&environment, schema, name).unwrap();
            assert_eq!(kind, ErrorKind::Unauthorized, "{telling:?} {column:?}: {text}");
            assert!(text.contains(&format!("permission denied for {subject}: no SELECT privilege")), "{text}");
        }
        environment.check_drift("crm").await.unwrap();
        let (kind, text) = of_statement(&environment, "crm", "c").unwrap();
        assert_eq!(kind, ErrorKind::Unauthorized, "a check finds nothing else: {text}");
        assert!(told(&environment, 0).await.is_empty(), "{telling:?} {column:?}");
        assert_eq!(status(&environment, "crm").mismatches.len(), 2);
        environment.stop().await;
        environment.store().close().await;
        drop(environment);

        // Nor does a start refuse: permission lost is no mismatch.
        let store = ControlStore::open(folder.path()).await.unwrap();
        let environment = start_on(store, vec![declared], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        assert_eq!(status(&environment, "crm").state, DatasourceState::Running, "{:?}", status(&environment, "crm").last_error);
        assert_eq!(of_statement(&environment, "crm", "c").unwrap().0, ErrorKind::Unauthorized);
        crm.show("cust", &["id", "cust_nm"]);
        environment.check_drift("crm").await.unwrap();
        for (schema, name) in [("crm", "c"), ("sales", "cust")] {
            assert_eq!(of_statement(&environment, schema, name), None, "{telling:?} {column:?} {schema}");
        }
        assert!(told(&environment, 0).await.is_empty(), "{telling:?} {column:?}");
        environment.stop().await;
    }
}

#[tokio::test]
async fn an_exposed_table_that_was_refreshed_away_is_new_when_it_may_be_read_again() {
    for telling in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let crm = source();
        let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        crm.hide(telling, "cust", None);
        environment.refresh("crm", None).await.unwrap();
        let is_published = |environment: &Environment| environment.snapshot().schemas["crm"].tables.contains_key("cust");
        assert!(!is_published(&environment), "{telling:?}");
        assert_eq!(omitted(&environment), ["public.cust"], "{telling:?}");
        environment.check_drift("crm").await.unwrap();
        environment.stop().await;
        environment.store().close().await;
        drop(environment);

        // A source that is down has not shown it since.
        crm.set(&Mood::Refuses(ErrorKind::Unreachable));
        let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        assert!(!is_published(&environment), "{telling:?}");
        crm.set(&Mood::Well);
        until(&environment, in_state("crm", DatasourceState::Running)).await;
        assert!(told(&environment, 0).await.is_empty(), "{telling:?}");
        crm.show("cust", &["id", "cust_nm"]);
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 1, unreadable: 0 }, "{telling:?}");
        assert_eq!(told(&environment, 0).await, ["drift new_table"], "{telling:?}");
        environment.refresh("crm", None).await.unwrap();
        assert!(is_published(&environment));
        assert!(open(&environment).await.is_empty());
        environment.stop().await;
    }
}

#[tokio::test]
async fn a_table_that_is_only_imported_is_new_to_its_datasource() {
    let folder = tempfile::tempdir().unwrap();
    let crm = source();
    let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    environment.import("crm", &imports::import(imports::only(&["cust"]), "sales")).await.unwrap();
    crm.seen.lock().unwrap().tables.clear();
    environment.refresh("crm", None).await.unwrap();
    crm.show("cust", &["id", "cust_nm"]);
    environment.check_drift("crm").await.unwrap();
    assert_eq!(of_statement(&environment, "sales", "cust"), None, "the import is mended");
    assert_eq!(open(&environment).await, ["warning  public.cust: the table is new"], "and the datasource does not show it");
    environment.refresh("crm", None).await.unwrap();
    assert_eq!(of_statement(&environment, "crm", "cust"), None);
    assert!(open(&environment).await.is_empty());
    environment.stop().await;
}

#[tokio::test]
async fn an_import_gives_up_what_may_not_be_read() {
    for telling in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let crm = source();
        let environment = start_on(ControlStore::open(folder.path()).await.unwrap(), vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        let wanted = imports::import(imports::only(&["cust"]), "sales");
        environment.import("crm", &wanted).await.unwrap();
        crm.seen.lock().unwrap().tables[0].columns[1].remote_type = "bigint".to_owned();
        environment.check_drift("crm").await.unwrap();
        crm.hide(telling, "cust", Some("cust_nm"));
        let report = environment.import("crm", &wanted).await.unwrap();
        assert!(report.tables[0].differences.is_empty(), "{telling:?}: nothing is known to be gone: {:?}", report.tables[0].differences);
        assert!(open(&environment).await.is_empty(), "{telling:?}: {:?}", open(&environment).await);
        let mut resolved = environment.events(0, 1000).await.unwrap();
        resolved.retain(|event| event.kind == "external.schema.drift.resolved");
        let shown = |event: &Event| {
            let gone_for = event.data["differences"][0]["published"][0]["schema"].clone();
            (gone_for, event.data["reason"].clone(), event.actor.clone())
        };
        let by_ana = |schema: &str| (schema.into(), "accepted".into(), Some("ana".to_owned()));
        assert_eq!(resolved.iter().map(shown).collect::<Vec<_>>(), [by_ana("sales"), by_ana("crm")], "{telling:?}");
        // It may be read again as it was: nothing went back meanwhile.
        crm.show("cust", &["id", "cust_nm"]);
        environment.check_drift("crm").await.unwrap();
        let rows = environment.drift(DriftSelection::default()).await.unwrap();
        assert!(rows.iter().all(|row| row.resolution.as_deref() != Some("reverted")), "{telling:?}");
        environment.stop().await;
    }
}

#[tokio::test]
async fn what_is_hidden_during_an_outage_stays_as_it_was_accepted() {
    for (telling, is_checked) in BOTH.into_iter().flat_map(|telling| [true, false].map(|is_checked| (telling, is_checked))) {
        let crm = source();
        crm.seen.lock().unwrap().tables[0].primary_key = vec!["id".to_owned()];
        let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
        environment.settled(PATIENCE).await;
        crm.hide(telling, "cust", Some("id"));
        if is_checked {
            environment.check_drift("crm").await.unwrap();
        }
        crm.set(&Mood::Refuses(ErrorKind::Unreachable));
        until(&environment, in_state("crm", DatasourceState::Error)).await;
        crm.set(&Mood::Well);
        until(&environment, in_state("crm", DatasourceState::Running)).await;
        assert_eq!(omitted(&environment), ["public.cust.id"], "{telling:?} {is_checked}");
        let shown = environment.snapshot().schemas["crm"].tables["cust"].columns.fields().len();
        assert_eq!(shown, 2, "{telling:?} {is_checked}");
        assert_eq!(environment.check_drift("crm").await.unwrap().events, 0, "{telling:?} {is_checked}");
        crm.show("cust", &["id", "cust_nm"]);
        crm.seen.lock().unwrap().tables[0].primary_key = vec!["id".to_owned()];
        assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck::default(), "{telling:?} {is_checked}");
        assert!(told(&environment, 0).await.is_empty() && omitted(&environment).is_empty(), "{telling:?} {is_checked}");
        environment.stop().await;
    }
}
