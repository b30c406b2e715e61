//! The store alone: its forms, its log, its subscribers.

use serde_json::json;

use causeway_providers::ErrorKind;

use super::*;
use crate::event::{EventType, NewEvent};
use crate::published_name::PublishedName;

fn event(n: i64) -> NewEvent {
    NewEvent { kind: EventType::QueryExecuted, datasource: None, subject: None, actor: None, data: json!({ "n": n }) }
}

async fn append(store: &ControlStore, count: i64) {
    let mut change = store.begin("default").await.unwrap();
    for n in 0..count {
        change.append(&event(n)).await.unwrap();
    }
    change.commit().await.unwrap();
}

fn subscriber(name: &str, position: i64) -> Subscriber {
    Subscriber {
        name: name.to_owned(),
        id: SubscriptionId::default(),
        kind: SubscriberKind::Webhook,
        target: "http://127.0.0.1/".to_owned(),
        secret: None,
        types: vec!["external.schema.drift".to_owned()],
        state: SubscriberState::Ready,
        position,
        attempts: 0,
        retry_at: None,
        last_error: None,
    }
}

/// The only subscriber, as the store has it.
async fn row(store: &ControlStore) -> Subscriber {
    let [row] = <[Subscriber; 1]>::try_from(store.subscribers("default").await.unwrap()).unwrap();
    row
}

#[tokio::test]
async fn every_form_has_a_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = ControlStore::open(folder.path()).await.unwrap();
    assert!(store.migrations().await.unwrap().iter().all(|form| form.is_applied));
    for _ in store.migrations().await.unwrap() {
        store.migrate(MigrationDirection::Down).await.unwrap();
    }
    assert!(store.migrations().await.unwrap().iter().all(|form| !form.is_applied));
    store.migrate(MigrationDirection::Down).await.unwrap();
    store.migrate(MigrationDirection::Up).await.unwrap();
    append(&store, 1).await;
}

#[tokio::test]
async fn sequences_have_no_gaps_and_a_dropped_change_never_was() {
    let store = ControlStore::ephemeral().await.unwrap();
    append(&store, 2).await;
    let mut dropped = store.begin("default").await.unwrap();
    dropped.append(&event(9)).await.unwrap();
    drop(dropped);
    let latest = store.latest("default").await.unwrap();
    append(&store, 1).await;
    assert_eq!(*latest.borrow(), 3);
    let events = store.bounded_page("default", 0, 10, usize::MAX).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(store.bounded_page("default", 1, 1, usize::MAX).await.unwrap()[0].sequence, 2);
    assert!(store.events_page("other", 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_events_go_but_none_that_a_subscriber_has_not_taken() {
    let store = ControlStore::ephemeral().await.unwrap();
    append(&store, 10).await;
    let keep_three = Retention { max_count: 3, ..Retention::default() };
    store.add_subscriber("default", &subscriber("slow", 4)).await.unwrap();
    assert_eq!(store.retain_events("default", keep_three).await.unwrap(), 4);
    store.note_subscriber("default", &row(&store).await, SubscriberState::Disabled, None).await.unwrap();
    assert_eq!(store.retain_events("default", keep_three).await.unwrap(), 3);
    assert_eq!(store.bounded_page("default", 0, 10, usize::MAX).await.unwrap()[0].sequence, 8);
    append(&store, 1).await;
    assert_eq!(store.events_page("default", 10).await.unwrap()[0].sequence, 11, "numbers go on");
}

#[tokio::test]
async fn a_subscriber_moves_forward_only_and_gives_up_in_order() {
    let store = ControlStore::ephemeral().await.unwrap();
    store.add_subscriber("default", &subscriber("hook", 0)).await.unwrap();
    assert_eq!(store.add_subscriber("default", &subscriber("hook", 0)).await.unwrap_err().kind(), ErrorKind::Conflict);
    let hook = row(&store).await;
    store.advance_subscriber("default", &hook, 5).await.unwrap();
    store.advance_subscriber("default", &hook, 3).await.unwrap();
    store.postpone_subscriber("default", &hook, "500", Duration::from_secs(60)).await.unwrap();
    let hook = row(&store).await;
    assert_eq!((hook.position, hook.attempts, hook.state), (5, 1, SubscriberState::Error));
    assert!(hook.retry_at.is_some());
    store.give_up_event("default", &hook, 6, "500").await.unwrap();
    let hook = row(&store).await;
    assert_eq!((hook.position, hook.attempts), (6, 0));
    let letters = store.dead_letters("default").await.unwrap();
    assert_eq!((letters[0].sequence, letters[0].attempts), (6, 2));
    assert!(store.remove_subscriber("default", SubscriberKind::Webhook, "hook").await.unwrap());
    assert!(!store.remove_subscriber("default", SubscriberKind::Webhook, "hook").await.unwrap());
    assert!(store.dead_letters("default").await.unwrap().is_empty());
}

#[tokio::test]
async fn object_ids_stay_what_they_were() {
    let store = ControlStore::ephemeral().await.unwrap();
    let oid = |name: &str, oid| StoredOid { kind: "relation".to_owned(), schema: "crm".to_owned(), name: name.to_owned(), oid };
    store.keep_oids("default", &[oid("a", 20_000), oid("b", 20_001)]).await.unwrap();
    store.keep_oids("default", &[oid("a", 30_000)]).await.unwrap();
    let mut kept = store.oids("default").await.unwrap();
    kept.sort_by_key(|stored| stored.oid);
    assert_eq!(kept, [oid("a", 20_000), oid("b", 20_001)]);
}

#[tokio::test]
async fn a_file_that_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(folder::FILE), "not a database, but long enough to look like one to a careless reader").unwrap();
    let refused = ControlStore::open(folder.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    // What the driver says is said once: as the cause.
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(!refused.message().contains("code:") && !refused.message().contains(&cause), "{refused}: {cause}");
    assert_eq!(refused.with_causes().matches(&cause).count(), 1, "{}", refused.with_causes());
}

#[tokio::test]
async fn many_events_are_appended_in_order_and_without_a_gap() {
    let store = ControlStore::ephemeral().await.unwrap();
    append(&store, 1).await;
    let many: Vec<NewEvent> = (0..1201).map(event).collect();
    let mut change = store.begin("default").await.unwrap();
    assert_eq!(change.append_all(&many).await.unwrap(), 1202);
    assert_eq!(change.append_all(&[]).await.unwrap(), 1202);
    assert_eq!(change.append(&event(7)).await.unwrap(), 1203);
    change.commit().await.unwrap();
    let events = store.bounded_page("default", 1, 2000, usize::MAX).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), (2..=1203).collect::<Vec<_>>());
    let numbers: Vec<i64> = events.iter().map(|event| event.data["n"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (0..1201).chain([7]).collect::<Vec<_>>());
    let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), events.len());
}

#[tokio::test]
async fn a_page_ends_by_its_size() {
    let store = ControlStore::ephemeral().await.unwrap();
    let large = NewEvent { data: json!("x".repeat(3 << 20)), ..event(0) };
    let mut change = store.begin("default").await.unwrap();
    change.append_all(&[large.clone(), large.clone(), large]).await.unwrap();
    change.commit().await.unwrap();
    append(&store, 1_000).await;
    let mut pages = Vec::new();
    let mut after = 0;
    loop {
        let page = store.events_page("default", after).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.sequence;
        pages.push(page.len());
    }
    assert_eq!((pages[0], pages.iter().sum::<usize>()), (2, 1_003), "{pages:?}");
}

fn difference(n: i64) -> DriftRow {
    DriftRow {
        published: vec![PublishedName::new("crm", "cust")],
        datasource: if n % 2 == 0 { "crm" } else { "erp" }.to_owned(),
        remote_schema: "public".to_owned(),
        remote_table: format!("t{n}"),
        kind: "missing_table".to_owned(),
        column: None,
        expected: None,
        actual: None,
        severity: "error".to_owned(),
        first_seen: std::time::SystemTime::UNIX_EPOCH,
        opened_sequence: n,
        resolved_at: None,
        resolved_sequence: None,
        resolution: None,
    }
}

#[tokio::test]
async fn old_resolved_differences_go_and_no_open_one_does() {
    let store = ControlStore::ephemeral().await.unwrap();
    let mut change = store.begin("default").await.unwrap();
    for n in 0..10 {
        change.open_difference(&difference(n)).await.unwrap();
    }
    for n in 0..8 {
        change.close_difference(&difference(n), 100 + n, "accepted").await.unwrap();
    }
    change.commit().await.unwrap();
    let tables = async |which: DriftSelection<'static>| -> Vec<String> {
        store.drift("default", which).await.unwrap().into_iter().map(|row| row.remote_table).collect()
    };
    let open = DriftSelection { state: Some(DriftState::Open), ..DriftSelection::default() };
    let resolved_of_crm = DriftSelection { state: Some(DriftState::Resolved), datasource: Some("crm"), limit: None };
    assert_eq!(tables(open).await, ["t8", "t9"]);
    assert_eq!(tables(resolved_of_crm).await, ["t0", "t2", "t4", "t6"]);
    assert_eq!(tables(DriftSelection { limit: Some(3), ..resolved_of_crm }).await, ["t0", "t2", "t4"]);
    let keep_three = Retention { max_count: 3, ..Retention::default() };
    assert_eq!(store.retain_drift("default", keep_three).await.unwrap(), 5);
    assert_eq!(tables(DriftSelection::default()).await, ["t5", "t6", "t7", "t8", "t9"]);
    assert_eq!(store.retain_drift("default", keep_three).await.unwrap(), 0);
    let keep_none = Retention { max_age: Duration::ZERO, ..Retention::default() };
    assert_eq!(store.retain_drift("default", keep_none).await.unwrap(), 3);
    assert_eq!(tables(DriftSelection::default()).await, ["t8", "t9"], "open ones are never old");
}

#[tokio::test]
async fn differences_that_were_resolved_before_say_why() {
    let store = ControlStore::ephemeral().await.unwrap();
    let mut change = store.begin("default").await.unwrap();
    let told = NewEvent { kind: EventType::SchemaDriftResolved, data: json!({ "reason": "accepted" }), ..event(0) };
    let sequence = change.append(&told).await.unwrap();
    for n in 0..3 {
        change.open_difference(&difference(n)).await.unwrap();
    }
    change.close_difference(&difference(0), sequence, "reverted").await.unwrap();
    change.close_difference(&difference(1), 99, "accepted").await.unwrap();
    change.commit().await.unwrap();
    let names = store.drift("default", DriftSelection::default()).await.unwrap().remove(0).published;
    assert_eq!(names, difference(0).published);
    // Back behind the form that has resolutions, and the one that has names.
    for _ in 0..2 {
        store.migrate(MigrationDirection::Down).await.unwrap();
    }
    store.migrate(MigrationDirection::Up).await.unwrap();
    let rows = store.drift("default", DriftSelection::default()).await.unwrap();
    assert!(rows.iter().all(|row| row.published.is_empty()), "nobody knows any more");
    let resolutions: Vec<_> = rows.iter().map(|row| row.resolution.as_deref()).collect();
    // As the event says; of one whose event is gone the source is taken to be as it was.
    assert_eq!(resolutions, [Some("accepted"), Some("reverted"), None]);
}

#[tokio::test]
async fn what_is_looked_for_by_time_or_state_has_an_index() {
    let store = ControlStore::ephemeral().await.unwrap();
    for (sql, index) in [
        ("SELECT MAX(seq) FROM events WHERE environment = 'default' AND time < 5", "events_by_time"),
        ("SELECT id FROM drift WHERE environment = 'default' AND resolved_at < 5 AND resolved_at IS NOT NULL", "resolved_drift"),
        ("SELECT id FROM drift WHERE environment = 'default' AND datasource = 'crm' AND resolved_at IS NULL", "open_drift"),
    ] {
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(store.readers()).await.unwrap();
        assert!(plan.iter().any(|(_, _, _, step)| step.contains(index)), "{sql}: {plan:?}");
    }
}

#[tokio::test]
async fn a_subscriber_is_replaced_in_one_change_and_its_place_is_its_own() {
    let store = ControlStore::ephemeral().await.unwrap();
    let sink = |target: &str| Subscriber { kind: SubscriberKind::Sink, target: target.to_owned(), ..subscriber("sink", 0) };
    store.replace_subscriber("default", &sink("crm")).await.unwrap();
    let crm = row(&store).await;
    store.advance_subscriber("default", &crm, 5).await.unwrap();
    store.give_up_event("default", &crm, 6, "500").await.unwrap();
    store.replace_subscriber("default", &sink("erp")).await.unwrap();
    // What was still under way to the one before says nothing of this one.
    store.advance_subscriber("default", &crm, 7).await.unwrap();
    store.give_up_event("default", &crm, 8, "500").await.unwrap();
    let all = store.subscribers("default").await.unwrap();
    assert_eq!(all.iter().map(|row| (row.target.as_str(), row.position)).collect::<Vec<_>>(), [("erp", 0)]);
    assert!(store.dead_letters("default").await.unwrap().is_empty());
    let webhook = subscriber("sink", 0);
    assert_eq!(store.replace_subscriber("default", &webhook).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.subscribers("default").await.unwrap(), all, "what is refused changes nothing");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_reads_the_store() {
    use std::os::unix::fs::PermissionsExt;

    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data");
    let files = ["causeway.db", "causeway.db-wal", "causeway.db-shm", "causeway.lock"].map(|name| folder.join(name));
    for _ in 0..2 {
        let store = ControlStore::open(&folder).await.unwrap();
        append(&store, 1).await;
        assert_eq!(mode(&folder), 0o700);
        for file in &files {
            assert_eq!(mode(file), 0o600, "{}", file.display());
        }
        store.close().await;
        drop(store);
        // An older version left it to the umask.
        for file in files.iter().filter(|file| file.exists()) {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o644)).unwrap();
        }
    }
    assert!(ControlStore::is_in(&folder) && !ControlStore::is_in(parent.path()));
}
