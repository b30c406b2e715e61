//! Running statements as others see them, and as others end them.

use std::time::Duration;

use causeway_tests::{Gateway, PostgresServer, Row, eventually, eventually_async, text_rows};
use tokio_postgres::Client;

use crate::drip;

const SOON: Duration = Duration::from_secs(10);

/// What `causeway.statements` has of the statement that reads `slow.drip`.
async fn seen(observer: &Client) -> Option<Row> {
    let sql = "SELECT pid, phase, query, rows_sent, datasources, scans, elapsed_ms, application_name FROM causeway.statements \
               WHERE datasources = 'slow'";
    text_rows(observer, sql).await.unwrap().pop()
}

fn text(row: &Row, at: usize) -> &str {
    row[at].as_deref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_is_seen_while_it_runs_and_can_be_ended() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("statements_seen");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("slow")]);
    let (observer, client) = (gateway.connect().await, gateway.connect().await);
    client.batch_execute("SET application_name = 'report'").await.unwrap();
    let running = tokio::spawn(async move {
        let failed = text_rows(&client, "SELECT id FROM slow.drip WHERE id <> 471147").await.unwrap_err();
        (client, failed)
    });

    let (row, _) = eventually_async("rows have arrived", SOON, || async {
        let row = seen(&observer).await?;
        (text(&row, 1) == "sending" && text(&row, 3).parse::<u64>().unwrap() > 0).then_some(row)
    })
    .await;
    assert_eq!(text(&row, 2), "SELECT id FROM slow.drip WHERE id <> ?");
    assert_eq!(text(&row, 7), "report");
    let scans: serde_json::Value = serde_json::from_str(text(&row, 5)).unwrap();
    let [scan] = scans.as_array().unwrap().as_slice() else { panic!("{scans}") };
    assert_eq!(scan["datasource"], "slow");
    let statement = scan["statement"].as_str().unwrap();
    assert!(statement.contains("\"drip\"") && !statement.contains("471147"), "{statement}");
    assert!(scan["rows"].as_u64().unwrap() > 0 && scan["bytes"].as_u64().unwrap() > 0, "{scan}");
    let (later, _) = eventually_async("more rows have arrived", SOON, || async {
        let later = seen(&observer).await?;
        (text(&later, 3).parse::<u64>().unwrap() > text(&row, 3).parse::<u64>().unwrap()).then_some(later)
    })
    .await;
    assert!(text(&later, 6).parse::<u64>().unwrap() >= text(&row, 6).parse::<u64>().unwrap());

    let pid = text(&row, 0).to_owned();
    let activity = format!("SELECT state, query, application_name FROM pg_stat_activity WHERE pid = {pid}");
    let states = text_rows(&observer, &activity).await.unwrap();
    assert_eq!(states, [["active", "SELECT id FROM slow.drip WHERE id <> ?", "report"].map(|text| Some(text.to_owned())).to_vec()]);
    assert_eq!(text_rows(&observer, &format!("SELECT pg_cancel_backend({pid})")).await.unwrap(), [[Some("t".to_owned())]]);
    let (client, failed) = running.await.unwrap();
    assert_eq!(failed.code().map(|code| code.code()), Some("57014"), "{failed:?}");
    eventually("the source is free", Duration::from_secs(2), || (database.running("drip") == 0).then_some(()));
    assert_eq!(seen(&observer).await, None);
    assert_eq!(text(&text_rows(&observer, &activity).await.unwrap()[0], 0), "idle");

    // The session lived on, and does not any more.
    client.batch_execute("BEGIN").await.unwrap();
    assert_eq!(text(&text_rows(&observer, &activity).await.unwrap()[0], 0), "idle in transaction");
    assert_eq!(text_rows(&observer, &format!("SELECT pg_terminate_backend({pid})")).await.unwrap(), [[Some("t".to_owned())]]);
    eventually_async("the session is gone", SOON, || async { client.is_closed().then_some(()) }).await;
    assert!(text_rows(&observer, &activity).await.unwrap().is_empty());
    for function in ["pg_cancel_backend", "pg_terminate_backend"] {
        assert_eq!(text_rows(&observer, &format!("SELECT {function}({pid})")).await.unwrap(), [[Some("f".to_owned())]], "{function}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_without_rows_yet_is_starting_and_a_terminated_session_frees_its_source() {
    let Some(server) = PostgresServer::shared() else { return };
    let database = server.database("statements_starting");
    drip::in_postgres(&database);
    let gateway = Gateway::start([database.datasource("slow")]);
    let (observer, client) = (gateway.connect().await, gateway.connect().await);
    let running =
        tokio::spawn(async move { text_rows(&client, "EXPLAIN ANALYZE SELECT count(payload) FROM slow.drip").await.unwrap_err() });
    let (row, _) = eventually_async("it is there", SOON, || seen(&observer)).await;
    assert_eq!((text(&row, 1), text(&row, 3)), ("starting", "0"));
    text_rows(&observer, &format!("SELECT pg_terminate_backend({}, 1000)", text(&row, 0))).await.unwrap();
    let failed = running.await.unwrap();
    assert_eq!(failed.code().map(|code| code.code()), Some("57P01"), "{failed:?}");
    eventually("the source is free", Duration::from_secs(2), || (database.running("drip") == 0).then_some(()));
}
