//! A gateway that is killed again and again while events are produced, and consumed in all five ways: nothing is lost, nothing is
//! made up, and the log tells of what is there.
//!
//! `CAUSEWAY_KILLS=200` kills it as often as that; `CAUSEWAY_SEED=N` chooses the moments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use causeway_tests::{Datasource, EventStream, Gateway, PostgresServer, Psql, WebhookReceiver, eventually};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_postgres::{AsyncMessage, Client, NoTls};

/// Long enough for a loaded machine; nothing here waits for it to pass.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two attempts to reach a gateway that is down.
const PAUSE: Duration = Duration::from_millis(20);

/// A generator of moments and choices; xorshift is as good as any.
#[derive(Clone)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// What a consumer was given: number and id, in the order it came.
type Received = Arc<Mutex<Vec<(i64, String)>>>;

/// One who consumes until told to stop, and comes back whenever the gateway does.
struct Consumer {
    name: &'static str,
    received: Received,
    thread: JoinHandle<()>,
}

impl Consumer {
    fn start(name: &'static str, stop: &Arc<AtomicBool>, mut consume: impl FnMut(&Received) + Send + 'static) -> Self {
        let (received, stop) = (Received::default(), Arc::clone(stop));
        let kept = Arc::clone(&received);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                consume(&kept);
                thread::sleep(PAUSE);
            }
        });
        Self { name, received, thread }
    }

    fn has(&self, log: &[(i64, String)]) -> bool {
        let received: BTreeSet<_> = self.received.lock().unwrap().iter().cloned().collect();
        log.iter().all(|event| received.contains(event))
    }
}

fn last(received: &Received) -> i64 {
    received.lock().unwrap().last().map_or(0, |(sequence, _)| *sequence)
}

async fn connect(port: u16) -> Option<(Client, mpsc::UnboundedReceiver<String>)> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).dbname("default").user("tester");
    let (client, mut connection) = config.connect(NoTls).await.ok()?;
    let (sender, bells) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut messages = stream::poll_fn(move |context| connection.poll_message(context));
        while let Some(Ok(message)) = messages.next().await {
            if let AsyncMessage::Notification(bell) = message {
                // Whoever does not listen drops the other end.
                let _ = sender.send(bell.payload().to_owned());
            }
        }
    });
    Some((client, bells))
}

/// Reads the mailbox from where the consumer is; `None` when the gateway is gone.
async fn read_mailbox(client: &Client, received: &Received) -> Option<()> {
    let sql = "SELECT seq, id FROM causeway.events WHERE seq > $1 ORDER BY seq";
    let rows = client.query(sql, &[&last(received)]).await.ok()?;
    received.lock().unwrap().extend(rows.iter().map(|row| (row.get(0), row.get(1))));
    Some(())
}

/// Asks for what is new, over and over.
fn poll(runtime: &Runtime, port: u16, received: &Received) -> Option<()> {
    runtime.block_on(async {
        let (client, _) = connect(port).await?;
        loop {
            read_mailbox(&client, received).await?;
            tokio::time::sleep(PAUSE).await;
        }
    })
}

/// Asks for what is new when it comes, and when the doorbell rings; keeps what the doorbell said.
fn answer_the_bell(runtime: &Runtime, port: u16, received: &Received, rung: &Received) -> Option<()> {
    runtime.block_on(async {
        let (client, mut bells) = connect(port).await?;
        client.batch_execute("LISTEN causeway_events").await.ok()?;
        read_mailbox(&client, received).await?;
        loop {
            let bell: Value = serde_json::from_str(&bells.recv().await?).expect("a bell says what in JSON");
            rung.lock().unwrap().push((bell["sequence"].as_i64().unwrap(), bell["id"].as_str().unwrap().to_owned()));
            read_mailbox(&client, received).await?;
        }
    })
}

/// Follows the stream from the last event it was given.
fn follow(address: &str, received: &Received) -> std::io::Result<()> {
    let mut events = EventStream::open(address, last(received))?;
    loop {
        let event = number_and_id(&events.receive()?);
        received.lock().unwrap().push(event);
    }
}

fn number_and_id(event: &Value) -> (i64, String) {
    (event["sequence"].as_i64().unwrap(), event["id"].as_str().unwrap().to_owned())
}

/// What the producer was told is done, by imported name. `None`: it does not know.
type Imported = Arc<Mutex<BTreeMap<String, Option<bool>>>>;

/// Runs statements and changes the source, whether or not the gateway is there.
async fn produce(port: u16, file: &Path, imported: &Imported, dice: &mut Dice, stop: &AtomicBool) -> Option<()> {
    let (client, _) = connect(port).await?;
    while !stop.load(Ordering::Relaxed) {
        match dice.below(6) {
            0 => {
                let change = if dice.below(2) == 0 { "ALTER TABLE t ADD COLUMN x INTEGER" } else { "ALTER TABLE t DROP COLUMN x" };
                let source = rusqlite::Connection::open(file).unwrap();
                source.busy_timeout(PATIENCE).unwrap();
                // Half of them find it done already.
                let _ = source.execute_batch(change);
                client.batch_execute("CALL causeway.check_drift('shop')").await.ok()?;
            }
            1 | 2 => {
                let name = format!("t{}", dice.below(3));
                let imports = dice.below(2) == 0;
                let sql = if imports {
                    format!("IMPORT FOREIGN SCHEMA main LIMIT TO (u) FROM SERVER shop INTO sales OPTIONS (rename 'u={name}')")
                } else {
                    format!("DROP FOREIGN TABLE sales.{name}")
                };
                let known = imported.lock().unwrap().insert(name.clone(), None).unwrap_or(Some(false));
                match client.batch_execute(&sql).await {
                    Ok(()) => imported.lock().unwrap().insert(name, Some(imports)),
                    // What was not there cannot be dropped; it was refused and nothing has changed.
                    Err(error) if error.as_db_error().is_some() => imported.lock().unwrap().insert(name, known),
                    Err(_) => return None,
                };
            }
            3 => client.batch_execute("CALL causeway.refresh_catalog('shop')").await.ok()?,
            _ => client.batch_execute(&format!("SELECT id FROM shop.t WHERE id > {}", dice.below(9))).await.ok()?,
        }
    }
    Some(())
}

fn logged(psql: &Psql) -> Vec<(i64, String, String, Value)> {
    let event = |row: &String| {
        let parts: Vec<&str> = row.splitn(4, '|').collect();
        let data = serde_json::from_str(parts[3]).expect("data is JSON");
        (parts[0].parse().expect("a number"), parts[1].to_owned(), parts[2].to_owned(), data)
    };
    psql.rows("SELECT seq, id, type, data FROM causeway.events ORDER BY seq").iter().map(event).collect()
}

fn numbers(psql: &Psql, sql: &str) -> BTreeSet<i64> {
    psql.rows(sql).iter().map(|number| number.parse().expect("a number")).collect()
}

/// Holds what the log tells against what is there.
fn the_log_tells_what_is_there(psql: &Psql, log: &[(i64, String, String, Value)], known: &BTreeMap<String, Option<bool>>) {
    let of = |kind: &str| log.iter().filter(|event| event.2 == kind).map(|event| event.0).collect::<BTreeSet<_>>();
    let opened = numbers(psql, "SELECT DISTINCT event FROM causeway.drift");
    let closed = numbers(psql, "SELECT DISTINCT resolved_event FROM causeway.drift WHERE resolved_event IS NOT NULL");
    let (drifted, resolved) = (of("external.schema.drift"), of("external.schema.drift.resolved"));
    assert!(opened.is_subset(&drifted), "each difference has the event that told of it");
    assert!(drifted.is_subset(&opened.union(&closed).copied().collect()), "each drift event has its differences");
    assert!(resolved.is_subset(&closed), "each resolution has closed something");
    assert!(closed.is_subset(&drifted.union(&resolved).copied().collect()), "nothing was closed without an event");

    let refreshed: BTreeSet<i64> = log
        .iter()
        .filter(|event| event.2 == "external.catalog.refreshed" && event.3["fingerprint"].is_string())
        .filter_map(|event| event.3["version"].as_i64())
        .collect();
    let versions = psql.rows("SELECT version FROM causeway.catalog_history WHERE datasource = 'shop'");
    for version in &versions {
        assert!(refreshed.contains(&version.parse().unwrap()), "snapshot {version} has an event");
    }

    let mut told = BTreeSet::new();
    for (_, _, kind, data) in log {
        let name = || data["name"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "external.table.imported" => told.insert(name()),
            "external.table.dropped" => told.remove(&name()),
            _ => false,
        };
    }
    let there: BTreeSet<String> = psql.rows("SELECT name FROM causeway.foreign_tables WHERE imported").into_iter().collect();
    assert_eq!(told, there, "the log tells of each import and each drop");
    for (name, known) in known {
        assert!(known.is_none_or(|is_there| there.contains(name) == is_there), "what {name} was told to be has become true");
    }
}

#[test]
fn nothing_is_lost_or_made_up_by_kills() {
    let Some(server) = PostgresServer::shared() else { return };
    let kills: u32 = std::env::var("CAUSEWAY_KILLS").map_or(20, |kills| kills.parse().expect("CAUSEWAY_KILLS is a number"));
    let seed = std::env::var("CAUSEWAY_SEED").map_or_else(
        |_| u64::from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos()) | 1,
        |seed| seed.parse().expect("CAUSEWAY_SEED is a number"),
    );
    eprintln!("{kills} kills, CAUSEWAY_SEED={seed}");
    let mut dice = Dice(seed);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.db");
    causeway_tests::write_sqlite(&file, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE u (id INTEGER PRIMARY KEY)");
    let log = server.database("sink_through_kills").datasource("log").schema_mode("managed").external("allow_writes", "true");
    let shop = Datasource::sqlite("shop", &file).external("validation", "{ check_interval: 1s }");
    let mut gateway = Gateway::start_with("audit: { queries: full }", [shop, log]);
    let (port, address) = (gateway.port(), gateway.url().trim_start_matches("http://").to_owned());
    let receiver = WebhookReceiver::start(50);
    assert_eq!(gateway.ask("PUT", "/events/sink", &json!({ "datasource": "log" })).0, 200);
    let hook = json!({ "name": "hook", "url": receiver.url(), "after": 0 });
    assert_eq!(gateway.ask("POST", "/webhooks", &hook).0, 201);

    let (stop_producing, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (imported, rung) = (Imported::default(), Received::default());
    let producer = {
        let (imported, stop, file, mut dice) = (Arc::clone(&imported), Arc::clone(&stop_producing), file.clone(), dice.clone());
        thread::spawn(move || {
            let runtime = Runtime::new().unwrap();
            while !stop.load(Ordering::Relaxed) {
                runtime.block_on(produce(port, &file, &imported, &mut dice, &stop));
                thread::sleep(PAUSE);
            }
        })
    };
    let runtime = Arc::new(Runtime::new().unwrap());
    let (one, other, bells) = (Arc::clone(&runtime), Arc::clone(&runtime), Arc::clone(&rung));
    // Each returns when the gateway is gone, and is started again.
    let consumers = [
        Consumer::start("SELECT", &stop, move |received| {
            let _ = poll(&one, port, received);
        }),
        Consumer::start("LISTEN", &stop, move |received| {
            let _ = answer_the_bell(&other, port, received, &bells);
        }),
        Consumer::start("server-sent events", &stop, move |received| {
            let _ = follow(&address, received);
        }),
    ];

    for kill in 1..=kills {
        // Some while it comes up, most after.
        if dice.below(4) > 0 {
            gateway.wait_until_settled();
        }
        thread::sleep(Duration::from_millis(dice.below(700)));
        gateway.kill_and_serve();
        if kill.is_multiple_of(20) {
            eprintln!("{kill} of {kills} kills, {} events", last(&consumers[0].received));
        }
    }
    gateway.wait_until_settled();
    thread::sleep(Duration::from_millis(500));
    stop_producing.store(true, Ordering::Relaxed);
    producer.join().expect("the producer has seen nothing impossible");

    let psql = gateway.psql();
    eventually("all subscribers have come to the end of the log", PATIENCE, || {
        let behind = psql.rows("SELECT name, behind FROM causeway.subscribers ORDER BY name");
        (behind == ["hook|0", "sink|0"]).then_some(())
    });
    let log = logged(&psql);
    let ids: Vec<(i64, String)> = log.iter().map(|event| (event.0, event.1.clone())).collect();
    assert!(ids.iter().zip(1..).all(|(event, number)| event.0 == number), "the numbers have gaps");
    assert_eq!(ids.iter().map(|event| &event.1).collect::<BTreeSet<_>>().len(), ids.len(), "an id stands for one event");
    the_log_tells_what_is_there(&psql, &log, &imported.lock().unwrap());

    for consumer in &consumers {
        eventually(&format!("{} has given every event", consumer.name), PATIENCE, || consumer.has(&ids).then_some(()));
    }
    let hooked: BTreeSet<_> = receiver.taken().iter().map(number_and_id).collect();
    assert!(ids.iter().all(|event| hooked.contains(event)), "the webhook was sent every event");
    // What was told is in the log, under the same number, for ever.
    let known: BTreeSet<_> = logged(&psql).into_iter().map(|event| (event.0, event.1)).collect();
    for (name, told) in consumers.iter().map(|consumer| (consumer.name, &consumer.received)).chain([("the doorbell", &rung)]) {
        assert!(told.lock().unwrap().iter().all(|event| known.contains(event)), "{name} told of an event that never was");
    }
    assert!(hooked.is_subset(&known) && !rung.lock().unwrap().is_empty());
    eventually("the sink holds every event once", PATIENCE, || {
        let sink = psql.rows("SELECT sequence, id FROM log.causeway_events ORDER BY sequence");
        let held: Vec<_> = sink.iter().take(ids.len()).map(|row| row.split_once('|').unwrap()).collect();
        let expected: Vec<_> = ids.iter().map(|(sequence, id)| (sequence.to_string(), id.clone())).collect();
        let distinct = sink.iter().collect::<BTreeSet<_>>().len();
        let same = held.iter().zip(&expected).all(|(held, expected)| (held.0, held.1) == (&*expected.0, &*expected.1));
        (held.len() == ids.len() && same && distinct == sink.len()).then_some(())
    });
    let kinds: BTreeSet<_> = log.iter().map(|event| event.2.as_str()).collect();
    for kind in ["external.schema.drift", "external.schema.drift.resolved", "external.table.imported", "external.table.dropped"] {
        assert!(kinds.contains(kind) || kills < 100, "{kind} was not among what happened: {kinds:?}");
    }
    eprintln!("{} events in order through {kills} kills", log.len());

    stop.store(true, Ordering::Relaxed);
    drop(gateway);
    for consumer in consumers {
        consumer.thread.join().expect("a consumer ends with the gateway");
    }
}
