//! Deliveries to targets that fail, hang and come back, with the control store in a folder of its own.

mod sink;

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use causeway_providers::ConnectorRegistry;
use serde_json::json;

use super::pace::Pace;
use super::*;
use crate::datasource::Datasource;
use crate::environment::{Environment, Keeping};
use crate::event::{Event, EventType, NewEvent};
use crate::store::{ControlStore, Subscriber, SubscriberKind, SubscriberState, SubscriptionId};

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(30);
const ENVIRONMENT: &str = "default";

fn fast() -> Pace {
    Pace {
        look: Duration::from_millis(10),
        first_retry: Duration::from_millis(1),
        last_retry: Duration::from_millis(4),
        last_endless_retry: Duration::from_millis(4),
        attempts: 5,
        refusals: 2,
        delivery: PATIENCE,
        passed_over: Duration::from_millis(10),
    }
}

/// What a target does with a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Take,
    Refuse(Verdict),
    Hang,
}

/// A target that answers as it is told, and takes everything once that is used up.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    /// The number of every event it was given, whatever it answered.
    given: Mutex<Vec<i64>>,
    taken: Mutex<Vec<i64>>,
}

impl Scripted {
    fn answering(answers: &[Answer]) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.iter().cloned().collect()), ..Self::default() })
    }

    fn given(&self) -> Vec<i64> {
        self.given.lock().unwrap().clone()
    }

    fn taken(&self) -> Vec<i64> {
        self.taken.lock().unwrap().clone()
    }
}

#[async_trait]
impl EventTarget for Scripted {
    fn batch(&self) -> usize {
        1
    }

    fn patience(&self) -> Patience {
        Patience::Limited
    }

    async fn prepare(&self) -> Result<(), Refusal> {
        Ok(())
    }

    async fn deliver(&self, events: &[Event]) -> Result<(), Refusal> {
        let numbers: Vec<i64> = events.iter().map(|event| event.sequence).collect();
        self.given.lock().unwrap().extend(&numbers);
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Take);
        match answer {
            Answer::Take => {
                self.taken.lock().unwrap().extend(&numbers);
                Ok(())
            }
            Answer::Refuse(verdict) => Err(Refusal::new(verdict, "it says no")),
            Answer::Hang => std::future::pending().await,
        }
    }
}

/// The targets of webhooks by their subscribers' names.
struct Scripts(BTreeMap<String, Arc<Scripted>>);

impl Targets for Scripts {
    fn webhook(&self, subscriber: &Subscriber) -> Arc<dyn EventTarget> {
        Arc::clone(&self.0[&subscriber.name]) as _
    }
}

/// An environment whose events are being delivered.
struct World {
    environment: Arc<Environment>,
    delivery: Delivery,
}

impl World {
    async fn start(folder: &Path, datasources: Vec<Datasource>, targets: &[(&str, &Arc<Scripted>)]) -> Self {
        Self::with_pace(folder, datasources, targets, fast()).await
    }

    async fn with_pace(folder: &Path, datasources: Vec<Datasource>, targets: &[(&str, &Arc<Scripted>)], pace: Pace) -> Self {
        let store = ControlStore::open(folder).await.unwrap();
        let registry = ConnectorRegistry::built_in();
        let environment = Environment::start(ENVIRONMENT, datasources, registry, store, Keeping::default()).await.unwrap();
        let scripts = Scripts(targets.iter().map(|(name, target)| ((*name).to_owned(), Arc::clone(target))).collect());
        let delivery = Delivery::start_with(Arc::clone(&environment), Arc::new(scripts), pace);
        Self { environment, delivery }
    }

    async fn subscribe(&self, subscriber: &Subscriber) {
        self.environment.store().add_subscriber(ENVIRONMENT, subscriber).await.unwrap();
    }

    async fn append(&self, kinds: &[EventType]) {
        let event = |&kind| NewEvent { kind, datasource: None, subject: None, actor: Some("ana".to_owned()), data: json!({"n": 1}) };
        self.environment.append(&kinds.iter().map(event).collect::<Vec<_>>()).await.unwrap();
    }

    async fn row(&self, name: &str) -> Subscriber {
        self.environment.store().subscriber(ENVIRONMENT, name).await.unwrap().unwrap()
    }

    /// Waits until the row of a subscriber is as wanted, and gives it.
    async fn until(&self, name: &str, what: impl Fn(&Subscriber) -> bool) -> Subscriber {
        let waiting = async {
            loop {
                let row = self.row(name).await;
                if what(&row) {
                    return row;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(row) => row,
            Err(_) => panic!("it did not come to that: {:?}", self.row(name).await),
        }
    }

    /// Ends everything, so that the folder can be opened again.
    async fn stop(self) {
        self.delivery.stop().await;
        self.environment.stop().await;
        self.environment.store().close().await;
    }
}

fn subscriber(name: &str, kind: SubscriberKind, target: &str, types: &[EventType]) -> Subscriber {
    Subscriber {
        name: name.to_owned(),
        id: SubscriptionId::default(),
        kind,
        target: target.to_owned(),
        secret: None,
        types: types.iter().map(|kind| kind.as_str().to_owned()).collect(),
        state: SubscriberState::Waiting,
        position: 0,
        attempts: 0,
        retry_at: None,
        last_error: None,
    }
}

fn webhook(name: &str) -> Subscriber {
    subscriber(name, SubscriberKind::Webhook, "http://hook.example/", &[])
}

async fn until(what: impl Fn() -> bool) {
    let waiting = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes to that");
}

const DRIFT: EventType = EventType::SchemaDrift;
const QUERY: EventType = EventType::QueryExecuted;

#[tokio::test]
async fn events_arrive_in_order_and_one_that_was_refused_comes_again_before_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let target = Scripted::answering(&[Answer::Take, Answer::Refuse(Verdict::Unavailable), Answer::Refuse(Verdict::Refused)]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.append(&[DRIFT, QUERY, DRIFT]).await;
    // One that subscribes later is sent what came before, from its position on, and what comes after.
    world.subscribe(&webhook("hook")).await;
    world.until("hook", |row| row.position == 3).await;
    world.append(&[QUERY]).await;
    let row = world.until("hook", |row| row.position == 4).await;
    assert_eq!((row.state, row.attempts, row.last_error), (SubscriberState::Ready, 0, None));
    assert_eq!(target.given(), [1, 2, 2, 2, 3, 4]);
    assert_eq!(target.taken(), [1, 2, 3, 4]);
    assert!(world.environment.store().dead_letters(ENVIRONMENT).await.unwrap().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn after_a_restart_it_goes_on_where_the_store_says() {
    let folder = tempfile::tempdir().unwrap();
    let before = Scripted::answering(&[Answer::Take, Answer::Take, Answer::Hang]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &before)]).await;
    world.subscribe(&webhook("hook")).await;
    world.append(&[DRIFT; 5]).await;
    until(|| before.given().len() == 3).await;
    assert_eq!(world.row("hook").await.position, 2, "what may have been taken is not noted as taken");
    world.stop().await;

    let after = Scripted::answering(&[]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &after)]).await;
    world.until("hook", |row| row.position == 5).await;
    assert_eq!(after.taken(), [3, 4, 5]);
    world.stop().await;
}

#[tokio::test]
async fn attempts_in_vain_are_kept_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let pace = Pace { first_retry: PATIENCE, last_retry: PATIENCE, ..fast() };
    let target = Scripted::answering(&[Answer::Refuse(Verdict::Unavailable)]);
    let world = World::with_pace(folder.path(), Vec::new(), &[("hook", &target)], pace).await;
    world.subscribe(&webhook("hook")).await;
    world.append(&[DRIFT]).await;
    let row = world.until("hook", |row| row.attempts == 1).await;
    assert_eq!((row.state, row.last_error.as_deref()), (SubscriberState::Error, Some("it says no")));
    world.stop().await;
    let world = World::with_pace(folder.path(), Vec::new(), &[("hook", &target)], pace).await;
    world.append(&[DRIFT]).await;
    // A ring lets the courier look again, and what it finds is that it is not time yet.
    world.delivery.subscribers_changed();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(target.given(), [1]);
    world.stop().await;
}

#[tokio::test]
async fn one_that_hangs_delays_no_other_and_is_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let (slow, quick) = (Scripted::answering(&[Answer::Hang]), Scripted::answering(&[]));
    let pace = Pace { delivery: Duration::from_millis(300), ..fast() };
    let world = World::with_pace(folder.path(), Vec::new(), &[("slow", &slow), ("quick", &quick)], pace).await;
    world.subscribe(&webhook("slow")).await;
    world.subscribe(&webhook("quick")).await;
    world.append(&[DRIFT; 3]).await;
    world.until("quick", |row| row.position == 3).await;
    assert_eq!(quick.taken(), [1, 2, 3]);
    world.until("slow", |row| row.position == 3).await;
    assert_eq!((slow.given(), slow.taken()), (vec![1, 1, 2, 3], vec![1, 2, 3]));
    world.stop().await;
}

#[tokio::test]
async fn an_event_nobody_takes_becomes_a_dead_letter_and_the_next_follows() {
    let folder = tempfile::tempdir().unwrap();
    let mut answers = vec![Answer::Refuse(Verdict::Refused); 2];
    // One refusal after an outage is not the end, five attempts are.
    answers.extend(vec![Answer::Refuse(Verdict::Unavailable); 3]);
    answers.extend([Answer::Refuse(Verdict::Refused), Answer::Refuse(Verdict::Unavailable)]);
    let target = Scripted::answering(&answers);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.subscribe(&webhook("hook")).await;
    world.append(&[DRIFT; 3]).await;
    world.until("hook", |row| row.position == 3).await;
    assert_eq!(target.given(), [1, 1, 2, 2, 2, 2, 2, 3]);
    assert_eq!(target.taken(), [3]);
    let letters = world.environment.store().dead_letters(ENVIRONMENT).await.unwrap();
    let letters: Vec<_> = letters.iter().map(|letter| (letter.sequence, letter.attempts, letter.error.as_str())).collect();
    assert_eq!(letters, [(1, 2, "it says no"), (2, 5, "it says no")]);
    world.stop().await;
}

#[tokio::test]
async fn only_the_types_it_wants_arrive_and_the_others_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let target = Scripted::answering(&[]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.subscribe(&Subscriber { types: vec![DRIFT.as_str().to_owned()], ..webhook("hook") }).await;
    world.append(&[QUERY, DRIFT, QUERY, QUERY]).await;
    // Also past the last one that it wants, so that nothing is kept for it in vain.
    world.until("hook", |row| row.position == 4).await;
    world.append(&[QUERY, DRIFT]).await;
    world.until("hook", |row| row.position == 6).await;
    assert_eq!(target.given(), [2, 6]);
    world.stop().await;
}

#[tokio::test]
async fn one_that_is_gone_is_disabled_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let target = Scripted::answering(&[Answer::Take, Answer::Refuse(Verdict::Gone)]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.subscribe(&webhook("hook")).await;
    world.append(&[DRIFT; 3]).await;
    let row = world.until("hook", |row| row.state == SubscriberState::Disabled).await;
    assert_eq!((row.position, row.last_error.as_deref()), (1, Some("it says no")));
    world.delivery.subscribers_changed();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(target.given(), [1, 2]);
    // Once it is enabled again, it is sent what it did not take, and that it was away.
    let store = world.environment.store();
    assert!(store.enable_subscriber(ENVIRONMENT, &row, Some("ana")).await.unwrap());
    assert!(!store.enable_subscriber(ENVIRONMENT, &row, None).await.unwrap(), "it is not disabled any more");
    world.until("hook", |row| row.position == 5).await;
    assert_eq!(target.taken(), [1, 2, 3, 4, 5]);
    let told = world.environment.events(3, 10).await.unwrap();
    let told: Vec<_> = told.iter().map(|event| (event.kind.as_str(), event.subject.as_deref(), event.actor.as_deref())).collect();
    assert_eq!(told, [("webhook.disabled", Some("hook"), None), ("webhook.enabled", Some("hook"), Some("ana"))]);
    world.stop().await;
}

#[tokio::test]
async fn what_an_older_subscriber_took_moves_no_newer_one_of_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path(), Vec::new(), &[("hook", &Scripted::answering(&[]))]).await;
    world.delivery.stop().await;
    world.append(&[DRIFT; 3]).await;
    let store = world.environment.store();
    world.subscribe(&webhook("hook")).await;
    let older = world.row("hook").await;
    store.remove_subscriber(ENVIRONMENT, SubscriberKind::Webhook, "hook").await.unwrap();
    world.subscribe(&webhook("hook")).await;
    let newer = world.row("hook").await;
    assert_eq!((&newer.target, newer.id == older.id), (&older.target, false));

    // All that a courier may still have to say when its subscriber is another one already.
    store.advance_subscriber(ENVIRONMENT, &older, 3).await.unwrap();
    store.give_up_event(ENVIRONMENT, &older, 2, "it says no").await.unwrap();
    store.postpone_subscriber(ENVIRONMENT, &older, "it says no", PATIENCE).await.unwrap();
    store.note_subscriber(ENVIRONMENT, &older, SubscriberState::Ready, None).await.unwrap();
    store.disable_subscriber(ENVIRONMENT, &older, "it says no").await.unwrap();
    assert_eq!(world.row("hook").await, newer);
    assert!(store.dead_letters(ENVIRONMENT).await.unwrap().is_empty());
    assert_eq!(world.environment.events(3, 10).await.unwrap(), [], "and nobody is told of it");
    store.advance_subscriber(ENVIRONMENT, &newer, 1).await.unwrap();
    assert_eq!(world.row("hook").await.position, 1);
    world.stop().await;
}

#[tokio::test]
async fn one_that_is_removed_is_sent_no_more_even_when_it_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let target = Scripted::answering(&[Answer::Hang]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.subscribe(&webhook("hook")).await;
    world.append(&[DRIFT]).await;
    until(|| target.given() == [1]).await;
    world.environment.store().remove_subscriber(ENVIRONMENT, SubscriberKind::Webhook, "hook").await.unwrap();
    // The courier lets go of the target, which then is held here and in the table of scripts alone.
    until(|| Arc::strong_count(&target) == 2).await;
    world.append(&[DRIFT]).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(target.given(), [1]);
    // One of the same name is another subscriber, wherever it begins.
    world.subscribe(&webhook("hook")).await;
    world.until("hook", |row| row.position == 2).await;
    assert_eq!(target.taken(), [1, 2]);
    world.stop().await;
}

#[tokio::test]
async fn a_long_log_goes_page_by_page() {
    let folder = tempfile::tempdir().unwrap();
    let target = Scripted::answering(&[]);
    let world = World::start(folder.path(), Vec::new(), &[("hook", &target)]).await;
    world.append(&[DRIFT; 1203]).await;
    world.subscribe(&webhook("hook")).await;
    world.until("hook", |row| row.position == 1203).await;
    assert_eq!(target.taken(), (1..=1203).collect::<Vec<_>>());
    world.stop().await;
}
