//! The store alone: its forms, its log, its subscribers.

use serde_json::json;

use super::*;
use crate::event::{EventType, NewEvent};

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

#[tokio::test]
async fn every_form_has_a_way_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = ControlStore::open(folder.path()).await.unwrap();
    assert!(store.migrations().await.unwrap().iter().all(|form| form.is_applied));
    store.migrate(MigrationDirection::Down).await.unwrap();
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
    let events = store.events("default", 0, 10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(store.events("default", 1, 1).await.unwrap()[0].sequence, 2);
    assert!(store.events("other", 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn old_events_go_but_none_that_a_subscriber_has_not_taken() {
    let store = ControlStore::ephemeral().await.unwrap();
    append(&store, 10).await;
    let keep_three = Retention { max_count: 3, ..Retention::default() };
    store.add_subscriber("default", &subscriber("slow", 4)).await.unwrap();
    assert_eq!(store.retain_events("default", keep_three).await.unwrap(), 4);
    store.note_subscriber("default", "slow", SubscriberState::Disabled, None).await.unwrap();
    assert_eq!(store.retain_events("default", keep_three).await.unwrap(), 3);
    assert_eq!(store.events("default", 0, 10).await.unwrap()[0].sequence, 8);
    append(&store, 1).await;
    assert_eq!(store.events("default", 10, 10).await.unwrap()[0].sequence, 11, "numbers go on");
}

#[tokio::test]
async fn a_subscriber_moves_forward_only_and_gives_up_in_order() {
    let store = ControlStore::ephemeral().await.unwrap();
    store.add_subscriber("default", &subscriber("hook", 0)).await.unwrap();
    assert_eq!(store.add_subscriber("default", &subscriber("hook", 0)).await.unwrap_err().kind(), ErrorKind::Conflict);
    store.advance_subscriber("default", "hook", 5).await.unwrap();
    store.advance_subscriber("default", "hook", 3).await.unwrap();
    store.postpone_subscriber("default", "hook", "500", Duration::from_secs(60)).await.unwrap();
    let hook = store.subscribers("default").await.unwrap().remove(0);
    assert_eq!((hook.position, hook.attempts, hook.state), (5, 1, SubscriberState::Error));
    assert!(hook.retry_at.is_some());
    store.give_up_event("default", "hook", 6, "500").await.unwrap();
    let hook = store.subscribers("default").await.unwrap().remove(0);
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
    fs::write(folder.path().join(FILE), "not a database, but long enough to look like one to a careless reader").unwrap();
    let refused = ControlStore::open(folder.path()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
}
