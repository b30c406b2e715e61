//! What `docs/operations.md` says of events and of imports is what a gateway sends.

use std::collections::{BTreeMap, BTreeSet};

use causeway_catalog::EventType;

use super::*;
use crate::config::Audit;
use crate::http::shape;

const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

/// The rows of the table whose header begins with `header`, cell by cell.
fn rows(header: &str) -> Vec<Vec<&'static str>> {
    let cells = |line: &'static str| line.trim_matches('|').split(" | ").map(str::trim).collect();
    let head = format!("| {header} |");
    let rows: Vec<_> = OPERATIONS
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "there is no table of {header}");
    rows
}

/// What a cell holds in backquotes.
fn words(cell: &str) -> BTreeSet<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The keys in the first column of a table.
fn keys(header: &str) -> BTreeSet<&'static str> {
    rows(header).into_iter().flat_map(|cells| words(cells[0])).collect()
}

fn keys_of(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn every_type_of_event_has_a_row() {
    let documented: Vec<&str> = rows("`type`").into_iter().flat_map(|cells| words(cells[0])).collect();
    assert_eq!(documented.iter().collect::<BTreeSet<_>>().len(), documented.len(), "each has one");
    assert_eq!(documented.into_iter().collect::<BTreeSet<_>>(), EventType::ALL.map(EventType::as_str).into());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_the_subject_and_the_keys_that_are_documented() {
    let running = Running::start_as(|_| {}, |settings| settings.audit = Audit::Full).await;
    running.post("/api/v1/webhooks", json!({ "name": "pager", "url": format!("http://{}/", once_gone().await) })).await;
    running.post(&format!("{SHOP}/tables/t/import"), json!({ "schema": "sales" })).await;
    let mut ana = Client::connect(&running.server.address().to_string(), "ana", "default").await.unwrap();
    ana.query("SELECT name FROM sales.t").await.unwrap();
    running.change("ALTER TABLE t RENAME COLUMN name TO label;");
    running.post(&format!("{SHOP}/validate"), json!({})).await;
    running.change("ALTER TABLE t RENAME COLUMN label TO name; CREATE TABLE u (id INTEGER);");
    running.post(&format!("{SHOP}/validate"), json!({})).await;
    running.post(&format!("{SHOP}/refresh-catalog"), json!({})).await;
    ana.query("DROP FOREIGN TABLE sales.t").await.unwrap();
    ana.close().await;
    // The gateway that is gone says so by itself, and the audit writes by itself.
    let wanted = [
        "external.schema.drift",
        "external.schema.drift.resolved",
        "external.catalog.refreshed",
        "external.table.imported",
        "external.table.dropped",
        "external.query.executed",
        "datasource.started",
        "datasource.failed",
        "webhook.disabled",
    ];
    let seen = async {
        loop {
            let all = running.get("/api/v1/events?after=0&limit=1000").await.as_array().unwrap().clone();
            if wanted.iter().all(|wanted| all.iter().any(|event| event["type"] == *wanted)) {
                return all;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, seen).await.expect("all of them happen");
    let documented: BTreeMap<&str, Vec<&str>> =
        rows("`type`").into_iter().map(|cells| (words(cells[0]).pop_first().unwrap(), cells[1..].to_vec())).collect();
    for event in &seen {
        let kind = event["type"].as_str().unwrap();
        let [subject, data] = documented[kind][..] else { panic!("{kind} has no row of three cells") };
        assert_eq!(event.get("subject").is_none(), subject == "none", "{event}");
        let always = data.split(';').next().unwrap();
        let keys = keys_of(&event["data"]);
        assert!(words(always).is_subset(&keys) && keys.is_subset(&words(data)), "{kind}: {event}");
    }

    let of = |kind: &str| &seen.iter().find(|event| event["type"] == kind).unwrap()["data"];
    let drift = of("external.schema.drift");
    let listed = |beginning: &str| {
        let line = OPERATIONS.lines().skip_while(|line| !line.starts_with(beginning)).take(2).collect::<Vec<_>>().join(" ");
        words(&line).into_iter().map(str::to_owned).collect::<BTreeSet<String>>()
    };
    let told = |value: &Value, beginning: &str| {
        let listed = listed(beginning);
        for key in keys_of(value) {
            assert!(listed.contains(key), "{beginning}: {key} is not documented");
        }
    };
    told(&drift["differences"][0], "- `differences` and `resolved`");
    told(&of("external.schema.drift.resolved")["differences"][0], "- `differences` and `resolved`");
    told(&drift["before"], "- `before`, `after` and `image`");
    told(&drift["before"]["columns"][0], "- `before`, `after` and `image`");
    told(&drift["impact"], "- `impact` has");
    told(&drift["impact"]["foreign_tables"][0], "- `impact` has");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_take_and_answer_what_is_documented() {
    let request = |shape: Value| shape.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let owned = |keys: BTreeSet<&str>| keys.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(request(serde_json::to_value(shape::TableImport::default()).unwrap()), owned(keys("key of one")));
    let many = shape::SchemaImport { limit_to: Some(Vec::new()), ..shape::SchemaImport::default() };
    assert_eq!(request(serde_json::to_value(many).unwrap()), owned(keys("key of many")));

    let running = Running::start().await;
    let one = json!({ "schema": "sales", "name": "things", "writable": true, "dry_run": false });
    running.post(&format!("{SHOP}/tables/t/import"), one.clone()).await;
    running.change("ALTER TABLE t RENAME COLUMN name TO label;");
    let answer = running.post(&format!("{SHOP}/tables/t/import"), one).await;
    assert_eq!(keys_of(&answer), ["tables", "written"].into());
    assert_eq!(keys_of(&answer["tables"][0]), keys("key of a table"));
    let differences = rows("key of a table").into_iter().find(|cells| cells[0] == "`differences`").unwrap()[1];
    assert_eq!(keys_of(&answer["tables"][0]["differences"][0]), words(differences), "{answer}");
    let many = json!({ "into": "copy", "remote_schema": "main", "except": ["u"], "rename": { "t": "x" }, "dry_run": true });
    assert_eq!(running.post(&format!("{SHOP}/import"), many).await["written"], json!(false));
    running.stop().await;
}
