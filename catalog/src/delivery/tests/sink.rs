//! The sink on a SQLite file: made ready, refused, away and back, and never two rows of one event.

use causeway_providers::{ConnectorRegistry, Deadline, Options, RemoteId, Scope, write_sqlite_sample};
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::prelude::SessionContext;

use super::*;
use crate::datasource::{Expose, OnMismatch, Origin, SchemaMode, Validation};
use crate::gates::{SCHEMA_MODE_VIOLATION, WRITE_FORBIDDEN};

fn sqlite(file: &Path, schema_mode: SchemaMode, allow_writes: bool) -> Datasource {
    let registry = ConnectorRegistry::built_in();
    let manifest = registry.get("sqlite").unwrap().manifest();
    let values = BTreeMap::from([("path".to_owned(), file.display().to_string())]);
    Datasource {
        name: "log".to_owned(),
        connector: "sqlite".to_owned(),
        origin: Origin::Code,
        schema_mode,
        label: None,
        options: Options::check(manifest, RemoteId::new("log"), Path::new(""), values, BTreeMap::new()).unwrap(),
        allowed_schemas: Vec::new(),
        schema_names: BTreeMap::new(),
        expose: Expose::All,
        allow_writes,
        validation: Validation { on_mismatch: OnMismatch::Fail, check_on_boot: true, check_interval: None },
        refresh_interval: None,
        tables: Vec::new(),
    }
}

fn sink() -> Subscriber {
    subscriber("sink", SubscriberKind::Sink, "log", &[])
}

const ALL: &str = "SELECT id, sequence, type, source, data FROM causeway_events ORDER BY sequence";

/// A SQLite file with nothing of ours in it.
fn database(file: &Path) {
    write_sqlite_sample(file, "CREATE TABLE theirs (id INTEGER PRIMARY KEY);").unwrap();
}

/// What the datasource answers about the table of the sink.
async fn rows(world: &World, sql: &str) -> Vec<Vec<String>> {
    let remote = world.environment.remote("log").unwrap();
    let seen = remote.introspect(&Scope::default(), Deadline::after(PATIENCE)).await.unwrap();
    let table = seen.tables.iter().find(|table| table.name == "causeway_events").unwrap();
    let context = SessionContext::new();
    context.register_table("causeway_events", remote.table(table).unwrap()).unwrap();
    let batches = context.sql(sql).await.unwrap().collect().await.unwrap();
    let row = |batch: &datafusion::arrow::array::RecordBatch, row| {
        batch.columns().iter().map(|column| array_value_to_string(column, row).unwrap()).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(|at| row(batch, at)).collect::<Vec<_>>()).collect()
}

#[tokio::test]
async fn a_managed_datasource_is_given_the_table_and_each_event_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    database(&file);
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::Managed, true)], &[]).await;
    world.environment.settled(PATIENCE).await;
    write_sqlite_sample(&file, "CREATE TABLE later (id INTEGER PRIMARY KEY);").unwrap();
    world.subscribe(&sink()).await;
    world.append(&[DRIFT, QUERY, DRIFT]).await;
    // The start of the datasource is an event too.
    let last = *world.environment.latest_event().borrow();
    world.until("sink", |row| row.position >= last && row.state == SubscriberState::Ready).await;
    // And so is the table that was made, which is shown at once.
    let last = *world.environment.latest_event().borrow();
    world.until("sink", |row| row.position == last).await;
    let snapshot = world.environment.snapshot();
    let shown = |name: &str| snapshot.tables().any(|table| table.name == name);
    assert_eq!(["causeway_events", "theirs", "later"].map(shown), [true, true, false], "of all that changed there only what is ours");
    let report = world.delivery.sink_report("sink").unwrap();
    assert!(report.executed[0].starts_with("CREATE TABLE") && report.obstacles.is_empty(), "{report:?}");

    let events = world.environment.events(0, 100).await.unwrap();
    let expected: Vec<Vec<String>> = events
        .iter()
        .map(|event| vec![event.id.to_string(), event.sequence.to_string(), event.kind.clone(), event.source(), event.data.to_string()])
        .collect();
    assert_eq!(rows(&world, ALL).await, expected);
    assert_eq!(
        rows(&world, "SELECT count(*), count(subject), count(actor) FROM causeway_events").await,
        [[last.to_string(), "0".to_owned(), "3".to_owned()]]
    );

    // All over again: what is there counts as delivered.
    world.environment.store().remove_subscriber(ENVIRONMENT, SubscriberKind::Sink, "sink").await.unwrap();
    world.subscribe(&sink()).await;
    world.until("sink", |row| row.position == last).await;
    assert_eq!(rows(&world, ALL).await, expected);
    world.stop().await;
}

#[tokio::test]
async fn a_table_that_was_dropped_is_given_all_events_again() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    database(&file);
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::Managed, true)], &[]).await;
    world.environment.settled(PATIENCE).await;
    world.subscribe(&sink()).await;
    world.append(&[DRIFT, QUERY]).await;
    let taken = async || {
        let mut before = -1;
        // The table that is made is an event too.
        loop {
            let last = *world.environment.latest_event().borrow();
            if last == before {
                return last;
            }
            world.until("sink", |row| row.position >= last && row.state == SubscriberState::Ready).await;
            before = last;
        }
    };
    taken().await;
    write_sqlite_sample(&file, "DROP TABLE causeway_events;").unwrap();
    world.append(&[DRIFT]).await;
    let last = taken().await;
    assert_eq!(rows(&world, "SELECT count(*), min(sequence) FROM causeway_events").await, [[last.to_string(), "1".to_owned()]]);
    world.stop().await;
}

#[tokio::test]
async fn a_schema_that_is_not_ours_is_left_alone_until_somebody_makes_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    database(&file);
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::External, true)], &[]).await;
    world.subscribe(&sink()).await;
    world.append(&[DRIFT]).await;
    let refused = world.until("sink", |row| row.state == SubscriberState::Error).await;
    let error = refused.last_error.unwrap();
    assert!(error.starts_with(SCHEMA_MODE_VIOLATION), "{error}");
    let (_, statement) = error.split_once("run: ").unwrap();
    assert!(statement.starts_with("CREATE TABLE"), "{error}");
    let tables = world.environment.remote("log").unwrap().introspect(&Scope::default(), Deadline::after(PATIENCE)).await.unwrap().tables;
    assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["theirs"]);

    write_sqlite_sample(&file, statement).unwrap();
    let last = *world.environment.latest_event().borrow();
    world.until("sink", |row| row.position >= last && row.state == SubscriberState::Ready).await;
    assert!(world.delivery.sink_report("sink").unwrap().executed.is_empty());
    assert!(rows(&world, "SELECT sequence FROM causeway_events ORDER BY sequence").await.len() >= 2);
    world.stop().await;
}

#[tokio::test]
async fn without_allow_writes_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    database(&file);
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::Managed, false)], &[]).await;
    world.subscribe(&sink()).await;
    world.append(&[DRIFT]).await;
    let refused = world.until("sink", |row| row.attempts > 2).await;
    let error = refused.last_error.unwrap();
    assert!(error.contains(WRITE_FORBIDDEN) && error.contains("allow_writes"), "{error}");
    assert_eq!(refused.position, 0);
    assert_eq!(world.delivery.sink_report("sink"), None);
    world.stop().await;
}

#[tokio::test]
async fn what_happens_while_it_is_away_is_flushed_in_order_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.db");
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::Managed, true)], &[]).await;
    world.subscribe(&sink()).await;
    world.append(&[DRIFT; 700]).await;
    let waiting = world.until("sink", |row| row.state == SubscriberState::Waiting && row.last_error.is_some()).await;
    assert_eq!((waiting.position, waiting.attempts), (0, 0), "it is not an attempt to know that it is away");
    // It survives a restart.
    world.stop().await;
    let world = World::start(folder.path(), vec![sqlite(&file, SchemaMode::Managed, true)], &[]).await;
    database(&file);
    let last = world.until("sink", |row| row.position >= 700 && row.state == SubscriberState::Ready).await.position;
    let sequences: Vec<String> =
        rows(&world, "SELECT sequence FROM causeway_events ORDER BY sequence").await.into_iter().flatten().collect();
    assert_eq!(sequences[..700], (1..=700).map(|number| number.to_string()).collect::<Vec<_>>());
    assert!(last >= 700);
    world.stop().await;
}

#[tokio::test]
async fn a_datasource_nobody_knows_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::start(folder.path(), Vec::new(), &[]).await;
    world.subscribe(&sink()).await;
    let refused = world.until("sink", |row| row.state == SubscriberState::Error).await;
    assert!(refused.last_error.unwrap().contains("datasource \"log\" does not exist"));
    world.stop().await;
}
