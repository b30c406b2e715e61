//! The hub and its bounds, without sockets.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::mailbox::{ENVIRONMENT_LIMIT, SESSION_LIMIT};
use super::{Arrival, Change, Notification, Notifications, Pending, Subscription};

fn rung(channel: &str, payload: &str) -> Notification {
    Notification { channel: channel.to_owned(), payload: payload.to_owned(), pid: 7 }
}

fn subscription(hub: &Arc<Notifications>, channels: &[&str]) -> Subscription {
    let mut subscription = Subscription::new(Arc::clone(hub), 1);
    channels.iter().for_each(|channel| subscription.listen((*channel).to_owned()));
    subscription
}

fn taken(subscription: &Subscription) -> Vec<String> {
    let shown = |arrival| match arrival {
        Arrival::Notification(posted) => posted.notification.payload.clone(),
        Arrival::Lost(count) => format!("lost {count}"),
    };
    std::iter::from_fn(|| subscription.take()).map(shown).collect()
}

#[test]
fn nobody_who_does_not_listen_costs_anything() {
    let hub = Arc::new(Notifications::new());
    let one = subscription(&hub, &["a"]);
    hub.publish(rung("b", "unheard"));
    assert_eq!(hub.waiting.load(Ordering::Relaxed), 0);
    assert_eq!(taken(&one), Vec::<String>::new());
    drop(one);
    assert!(hub.listeners().is_empty());
}

#[test]
fn one_waits_once_for_many() {
    let hub = Arc::new(Notifications::new());
    let all: Vec<_> = (0..100).map(|_| subscription(&hub, &["a"])).collect();
    hub.publish(rung("a", &"x".repeat(1_000)));
    let waiting = hub.waiting.load(Ordering::Relaxed);
    assert!((1_000..2_000).contains(&waiting), "{waiting}");
    assert_eq!(taken(&all[0]).len(), 1);
    assert_eq!(hub.waiting.load(Ordering::Relaxed), waiting, "others wait for it still");
    drop(all);
    assert_eq!(hub.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn a_gap_stays_where_it_is() {
    let hub = Arc::new(Notifications::new());
    let slow = subscription(&hub, &["a"]);
    let half = "x".repeat(SESSION_LIMIT / 2 - 200);
    hub.publish_all([rung("a", &half), rung("a", "1"), rung("a", &half), rung("a", &half), rung("a", "2")]);
    assert!(matches!(slow.take(), Some(Arrival::Notification(_))));
    hub.publish(rung("a", "3"));
    let rest: Vec<_> = taken(&slow).into_iter().map(|text| if text == half { "half".to_owned() } else { text }).collect();
    assert_eq!(rest, ["1", "half", "lost 2", "3"]);
}

#[test]
fn all_listeners_together_are_bounded() {
    let hub = Arc::new(Notifications::new());
    let slow: Vec<_> = (0..80).map(|number| subscription(&hub, &[&format!("c{number}")])).collect();
    let payload = "x".repeat(SESSION_LIMIT - 200);
    for number in 0..80 {
        hub.publish(rung(&format!("c{number}"), &payload));
    }
    assert!(hub.waiting.load(Ordering::Relaxed) <= ENVIRONMENT_LIMIT);
    let told: Vec<_> = slow.iter().flat_map(taken).collect();
    assert_eq!(told.len(), 80, "each has its notification or is told of its loss");
    assert!((60..=64).contains(&told.iter().filter(|text| **text == payload).count()));
}

#[test]
fn what_left_channels_received_is_nobodys() {
    let hub = Arc::new(Notifications::new());
    let mut one = subscription(&hub, &["a", "b"]);
    hub.publish_all([rung("a", "1"), rung("b", "2"), rung("a", "3")]);
    one.unlisten("a");
    assert_eq!(taken(&one), ["2"]);
}

#[test]
fn what_comes_late_is_not_the_next_transactions() {
    let mut pending = Pending::default();
    let first = pending.outbox().transaction();
    pending.change(Change::Listen("c".to_owned()));
    pending.outbox().add_in(first, "c", "in time").unwrap();
    let committed = pending.end();
    assert_eq!((committed.changes.len(), committed.messages), (1, vec![("c".to_owned(), "in time".to_owned())]));
    pending.outbox().add_in(first, "c", "late").unwrap();
    assert!(pending.end().messages.is_empty());
}

#[test]
fn going_back_makes_room_again() {
    let mut pending = Pending::default();
    let payload = "x".repeat(7_000);
    pending.outbox().add("c", &payload).unwrap();
    for _ in 0..3 {
        let mark = pending.mark();
        for number in 0..140 {
            pending.outbox().add("c", &format!("{payload}{number}")).unwrap();
        }
        pending.rewind(mark);
    }
    assert_eq!(pending.end().messages.len(), 1);
}
