//! Looks that statements and clients ask for: what they accept, in whose name, and how many there are.

use super::*;

fn names(names: &[(&str, &str)]) -> Vec<(String, String)> {
    names.iter().map(|(schema, name)| ((*schema).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test]
async fn a_statement_has_no_more_accepted_than_it_reads() {
    let crm = source();
    for name in ["orders", "gone"] {
        crm.seen.lock().unwrap().tables.push(table("public", name, &["id", "cust_nm"]));
    }
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let before = environment.snapshot();
    {
        let mut seen = crm.seen.lock().unwrap();
        seen.tables.retain(|table| table.name != "gone");
        seen.tables.iter_mut().for_each(|table| table.columns.truncate(1));
        seen.tables.push(table("public", "new", &["id"]));
    }
    let read = names(&[("crm", "cust"), ("pg_catalog", "pg_class"), ("crm", "gone")]);
    environment.refresh_tables("crm", &read, Some("ana")).await.unwrap();
    let after = environment.snapshot();
    let columns = |name: &str| after.schemas["crm"].tables.get(name).map(|table| table.columns.fields().len());
    assert_eq!(["cust", "gone", "orders", "new"].map(columns), [Some(1), Some(2), Some(2), None]);
    let [cust, orders] = ["cust", "orders"].map(|name| causeway_providers::Subject::table("public", name));
    assert_eq!(after.replaced["crm"].since([&cust]), after.version);
    assert!(after.replaced["crm"].since([&orders]) <= before.version, "nobody has looked at it");

    let events = environment.events(0, 1000).await.unwrap();
    let drifted: Vec<(&str, Option<&str>, Option<&str>)> = events
        .iter()
        .filter(|event| event.kind.starts_with("external.schema.drift"))
        .map(|event| (&*event.kind, event.subject.as_deref(), event.actor.as_deref()))
        .collect();
    let (told, resolved) = ("external.schema.drift", "external.schema.drift.resolved");
    let (cust, ana) = (Some("public.cust"), Some("ana"));
    assert_eq!(drifted, [(told, cust, ana), (resolved, cust, ana)]);
    let refreshed = events.iter().rfind(|event| event.kind == "external.catalog.refreshed").unwrap();
    assert_eq!(refreshed.actor.as_deref(), ana);

    // The rest is still for a check to tell, and for whoever accepts it to accept.
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 3, events: 3, unreadable: 0 });
    environment.refresh("crm", Some("bob")).await.unwrap();
    let last = environment.events(0, 1000).await.unwrap().pop().unwrap();
    assert_eq!((&*last.kind, last.actor.as_deref()), ("external.catalog.refreshed", Some("bob")));
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck::default());
    environment.stop().await;
}

#[tokio::test]
async fn a_table_that_is_briefly_gone_is_there_again_when_it_is_back() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let cust = crm.seen.lock().unwrap().tables.remove(0);
    environment.refresh_tables("crm", &names(&[("crm", "cust")]), Some("ana")).await.unwrap();
    assert!(environment.snapshot().schemas["crm"].table("cust").unwrap().is_some(), "it stays as it was");
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 1, unreadable: 0 });
    // Nor does a statement close what a check opened.
    environment.refresh_tables("crm", &names(&[("crm", "cust")]), Some("ana")).await.unwrap();
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 1, events: 0, unreadable: 0 });
    crm.seen.lock().unwrap().tables.push(cust);
    assert_eq!(environment.check_drift("crm").await.unwrap(), DriftCheck { differences: 0, events: 1, unreadable: 0 });
    assert!(environment.snapshot().schemas["crm"].table("cust").unwrap().is_some());
    environment.stop().await;
}

#[tokio::test]
async fn one_look_answers_all_that_wait_and_none_is_for_nobody() {
    let crm = source();
    let environment = start(vec![datasource("crm")], &[("crm", &crm)]).await;
    environment.settled(PATIENCE).await;
    let looked = || crm.looked.load(Ordering::Relaxed);
    *crm.introspect.lock().unwrap() = Mood::Dawdles(Duration::from_millis(200));
    for is_check in [false, true] {
        let ask = async || match is_check {
            false => environment.refresh("crm", None).await.map(drop),
            true => environment.check_drift("crm").await.map(drop),
        };
        let before = looked();
        let first = ask();
        let behind = async {
            while looked() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // They come while the first is at work; some of them go away.
            let impatient = futures::future::join_all((0..5).map(|_| ask()));
            assert!(tokio::time::timeout(Duration::from_millis(20), impatient).await.is_err());
            futures::future::join_all((0..8).map(|_| ask())).await
        };
        let (first, behind) = tokio::join!(first, behind);
        assert!(first.is_ok() && behind.iter().all(Result::is_ok));
        assert_eq!(looked(), before + 2, "one for the first and one for all behind it");

        let before = looked();
        let nobody = async {
            while looked() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let impatient = futures::future::join_all((0..5).map(|_| ask()));
            assert!(tokio::time::timeout(Duration::from_millis(20), impatient).await.is_err());
        };
        let (first, ()) = tokio::join!(ask(), nobody);
        first.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(looked(), before + 1, "nobody waits for another");
    }
    environment.stop().await;
}

#[tokio::test]
async fn a_source_that_does_not_answer_a_check_is_pinged_at_once() {
    let crm = source();
    let timing = Timing { watch: Duration::from_secs(3600), ..fast() };
    let environment = start_with(ControlStore::ephemeral().await.unwrap(), vec![datasource("crm")], &[("crm", &crm)], timing).await;
    environment.settled(PATIENCE).await;
    crm.set(&Mood::Refuses(ErrorKind::Unreachable));
    assert_eq!(environment.check_drift("crm").await.unwrap_err().kind(), ErrorKind::Unreachable);
    until(&environment, in_state("crm", DatasourceState::Error)).await;
    environment.stop().await;
}
