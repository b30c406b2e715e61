//! The simple protocol, settings and transactions.

use tokio_postgres::SimpleQueryMessage;

use super::support::{Gateway, code, kinds, sqlstate, status, tags, within};

/// The first column of all rows.
async fn first_column(client: &tokio_postgres::Client, sql: &str) -> Vec<String> {
    let messages = within(sql, client.simple_query(sql)).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or("<null>").to_owned()),
            _ => None,
        })
        .collect()
}

async fn fails_with(client: &tokio_postgres::Client, sql: &str) -> String {
    match within(sql, client.simple_query(sql)).await {
        Ok(_) => panic!("{sql} succeeded"),
        Err(error) => sqlstate(&error).to_owned(),
    }
}

#[tokio::test]
async fn statements_answer_one_by_one() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("select n from numbers where n < 3; ; show timezone; set application_name = 'x'; explain select 1").await;
    assert_eq!(tags(&answer), ["SELECT 2", "SHOW", "SET", "EXPLAIN"]);
    assert!(kinds(&answer).starts_with("TDDCTDCCTD"), "{}", kinds(&answer));
    // The changed setting is reported before the client may go on.
    let reported = answer.iter().position(|(kind, body)| *kind == 'S' && body.starts_with(b"application_name\0x\0"));
    assert_eq!(reported, Some(answer.len() - 2));
    assert_eq!(kinds(&raw.query("").await), "IZ");
    assert_eq!(kinds(&raw.query(" -- nothing\n ;").await), "IZ");
}

#[tokio::test]
async fn an_error_leaves_out_the_rest() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("select 1; select * from nowhere; select 2").await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("TDCEZ", Some("42P01")));
    let answer = raw.query("select 1; selec 2").await;
    assert_eq!((kinds(&answer).as_str(), code(&answer).as_deref()), ("EZ", Some("42601")), "nothing of a wrong text runs");
    assert_eq!(kinds(&raw.query("select 1").await), "TDCZ", "the session goes on");
}

#[tokio::test]
async fn transactions_show_their_status() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    for (sql, expected, error) in [
        ("commit", 'I', Some("25P01")),
        ("begin", 'T', None),
        ("begin", 'T', Some("25001")),
        ("select 1", 'T', None),
        ("savepoint a", 'T', None),
        ("select * from nowhere", 'E', Some("42P01")),
        ("select 1", 'E', Some("25P02")),
        ("show timezone", 'E', Some("25P02")),
        ("rollback to a", 'T', None),
        ("select 1", 'T', None),
        ("selec", 'E', Some("42601")),
        ("commit", 'I', None),
        ("start transaction read only; select 1", 'T', None),
        ("abort", 'I', None),
        ("savepoint b", 'I', Some("25P01")),
        ("begin; select * from nowhere; commit", 'E', Some("42P01")),
        ("end", 'I', None),
    ] {
        let answer = raw.query(sql).await;
        assert_eq!((status(&answer), code(&answer).as_deref()), (Some(expected), error), "{sql}");
    }
    raw.query("begin").await;
    raw.query("selec").await;
    assert_eq!(tags(&raw.query("commit").await), ["ROLLBACK"], "a failed transaction cannot be committed");
}

#[tokio::test]
async fn settings_are_the_sessions_own() {
    let gateway = Gateway::start().await;
    let (one, other) = (gateway.connect().await, gateway.connect().await);
    one.batch_execute("set timezone to 'Asia/Kolkata'; set statement_timeout = '90s'").await.unwrap();
    assert_eq!(first_column(&one, "show time zone").await, ["Asia/Kolkata"]);
    assert_eq!(first_column(&one, "show statement_timeout").await, ["90s"]);
    assert_eq!(first_column(&other, "show timezone").await, ["UTC"]);
    assert_eq!(first_column(&one, "select timestamptz '2024-01-01 00:00:00Z'").await, ["2024-01-01 05:30:00+05:30"]);
    one.batch_execute("begin; set local timezone to 'UTC'; set application_name to 'inside'; rollback").await.unwrap();
    assert_eq!(first_column(&one, "show timezone").await, ["Asia/Kolkata"]);
    assert_eq!(first_column(&one, "show application_name").await, [""]);
    assert_eq!(first_column(&one, "select set_config('my.name', 'x', false)").await, ["x"]);
    assert_eq!(first_column(&one, "show my.name").await, ["x"]);
    assert!(first_column(&one, "show all").await.iter().any(|name| name == "server_version"));
    one.batch_execute("discard all").await.unwrap();
    assert_eq!(first_column(&one, "show timezone").await, ["UTC"]);
    for (sql, expected) in [
        ("set nonsense = 1", "42704"),
        ("show nonsense", "42704"),
        ("set client_encoding = 'LATIN1'", "22023"),
        ("set server_version = '9'", "55P02"),
        ("begin; discard all", "25001"),
        ("rollback; insert into numbers values (1)", "0A000"),
        ("close nothing", "34000"),
        ("execute nothing", "26000"),
    ] {
        assert_eq!(fails_with(&one, sql).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn startup_parameters_are_settings() {
    let gateway = Gateway::start().await;
    let mut config = gateway.config();
    config.application_name("probe").options("-c statement_timeout=7s -c search_path=other");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    assert_eq!(first_column(&client, "show application_name").await, ["probe"]);
    assert_eq!(first_column(&client, "show statement_timeout").await, ["7s"]);
    assert_eq!(fails_with(&client, "select * from numbers").await, "42P01");
    assert_eq!(first_column(&client, "select count(*) from public.numbers").await, ["10"]);
}

#[tokio::test]
async fn prepared_in_sql() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    client.batch_execute("prepare below (bigint) as select n from numbers where n < $1 order by n").await.unwrap();
    assert_eq!(first_column(&client, "execute below (3)").await, ["1", "2"]);
    assert_eq!(first_column(&client, "execute below ('2')").await, ["1"]);
    assert_eq!(fails_with(&client, "execute below (1, 2)").await, "42601");
    assert_eq!(fails_with(&client, "execute below ('x')").await, "22P02");
    assert_eq!(fails_with(&client, "prepare below as select 1").await, "42P05");
    client.batch_execute("deallocate below").await.unwrap();
    assert_eq!(fails_with(&client, "execute below (1)").await, "26000");
}

#[tokio::test]
async fn cursors_walk_forward() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    assert_eq!(fails_with(&client, "declare c cursor for select 1").await, "25P01");
    client.batch_execute("begin; declare c cursor for select n from numbers order by n").await.unwrap();
    assert_eq!(first_column(&client, "fetch 2 from c").await, ["1", "2"]);
    assert_eq!(first_column(&client, "move 3 in c; fetch c").await, ["6"]);
    assert_eq!(first_column(&client, "fetch all in c").await, ["7", "8", "9", "10"]);
    assert_eq!(first_column(&client, "fetch c").await, Vec::<String>::new());
    client.batch_execute("close c; declare d cursor for select n from slow; fetch d").await.unwrap();
    gateway.until_busy().await;
    client.batch_execute("commit").await.unwrap();
    gateway.until_idle().await;
}

#[tokio::test]
async fn procedures_are_called() {
    let gateway = Gateway::start().await;
    let mut raw = gateway.raw().await;
    let answer = raw.query("call causeway.refresh_catalog('crm')").await;
    assert_eq!((kinds(&answer).as_str(), tags(&answer)), ("NCZ", vec!["CALL".to_owned()]));
    assert!(String::from_utf8_lossy(&answer[0].1).contains("crm refreshed"));
    assert_eq!(code(&raw.query("call causeway.nothing()").await).as_deref(), Some("0A000"));
    let answer = raw.query("set statement_timeout = 50; call causeway.hang()").await;
    assert_eq!(code(&answer).as_deref(), Some("57014"));
}

#[tokio::test]
async fn failures_of_sources_name_them() {
    let gateway = Gateway::start().await;
    let client = gateway.connect().await;
    let error = within("an error", client.simple_query("select * from broken")).await.unwrap_err();
    let error = error.as_db_error().expect("an error of the server").clone();
    assert_eq!(
        (error.code().code(), error.message(), error.detail()),
        ("22012", "datasource \"crm\": division by zero", Some("datasource: crm"))
    );
    let error = within("an error", client.simple_query("select * from unreachable")).await.unwrap_err();
    let error = error.as_db_error().expect("an error of the server").clone();
    assert_eq!(error.code().code(), "HV00N");
    assert!(error.hint().is_some());
    assert_eq!(first_column(&client, "select 1").await, ["1"]);
}
